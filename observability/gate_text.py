"""The gate's answer as text: the verdict, a table of what decided, the advice and the warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from observability.judgement.gate_burn import BUDGET
from observability.judgement.gate_rows import BEFORE
from observability.model import format_instant
from observability.units import format_change, format_value
from observability.verdicts import GateReport, Regression

HEADS = ("verdict", "KPI", "earlier days", "now", "change", "98 % interval", "just before")
WORST_FIRST = ("fail", "no data", "inconclusive", "pass")


def gate_text(report: GateReport) -> str:
    """One service's answer."""
    lines = [f"{report.service}: {report.verdict}. {report.why}"]
    if report.window is not None:
        start, end = format_instant(report.window.start), format_instant(report.window.end)
        lines += [f"judged: {start} to {end}, against the same time of earlier days", ""]
        lines += _table(report.rows)
    if report.advice is not None:
        lines += ["", f"advice: {report.advice.action}"]
        lines += [f"  {cost}" for cost in _costs(report)]
    return "\n".join([*lines, *(f"warning: {text}" for text in report.warnings)])


def _table(rows: Sequence[Regression]) -> Iterator[str]:
    before = {row.metric_name: row for row in rows if row.baseline == BEFORE}
    deciding = sorted((row for row in rows if row.baseline != BEFORE), key=lambda row: WORST_FIRST.index(row.verdict))
    cells = [HEADS, *(_cells(row, before.get(row.metric_name)) for row in deciding)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cells(row: Regression, before: Regression | None) -> tuple[str, ...]:
    name = f"{row.metric_name}, budget" if row.baseline == BUDGET else row.metric_name
    values = (format_value(row.baseline_value, row.unit), format_value(row.current_value, row.unit))
    if row.baseline == BUDGET:
        allowed, now = values
        return (row.verdict, name, f"allowed {allowed}", now, "", "", "")
    return (row.verdict, name, *values, _change(row), _interval(row), "" if before is None else _change(before))


def _change(row: Regression) -> str:
    if row.points is not None:
        return f"{'bad share ' if row.of_bad_share else ''}{row.points:+.3g} points"
    if row.change is None:
        return ""
    return format_change(row.change) + (" per request" if row.basis == "per request" else "")


def _interval(row: Regression) -> str:
    """Of a share, of the points by which the bad share moved."""
    if row.points_interval is not None:
        return " to ".join(f"{end:+.3g}" for end in row.points_interval if end is not None)
    return "" if row.interval is None else " to ".join(map(format_change, row.interval))


def _costs(report: GateReport) -> Iterator[str]:
    for cost in report.advice.waiting if report.advice is not None else ():
        yield (
            f"an hour of waiting costs {cost.budget_percent_per_hour:.3g} % of the 30-day budget of '{cost.slo_name}' "
            f"({cost.bad_events_per_hour:,.0f} bad events)"
        )
