"""The regression summary as Markdown: the advice first, then what is behind it, the long tables last.

Nothing is judged or worked out here; every figure and sentence is the summary's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from observability.model import format_instant
from observability.units import format_duration, format_value
from observability.verdicts import Advice, CostReport, Regression, RegressionSummary, Waiting
from retrospective.changes import change_text, deciding, ends_text, interval_text, label, pair_text
from retrospective.markdown import code, prose, table
from retrospective.tables import share
from retrospective.wording import count, sentence

MARKS = {"fail": "✕", "pass": "✓", "inconclusive": "?", "no data": "·"}
NONE = "–"


def to_text(summary: RegressionSummary) -> str:
    """The whole document."""
    decided = deciding(summary.rows)
    blocks = [
        f"# Regressions: {code(summary.service)}",
        *_heading(summary),
        *_advice(summary),
        *_section("Failed", _failed(decided), _none_failed(decided)),
        *_section("Where the baselines disagree", _bullets(summary.disagreements)),
        *_section("Without a verdict, and why", _bullets(_undecided(decided))),
        *_section("Warnings", _bullets(summary.warnings)),
        *_section("Baselines", _baselines(summary)),
        *_section("Every KPI", _every(decided)),
        *_section("Every KPI against every baseline", _matrix(summary)),
        *_section("Cost", _cost(summary.cost)),
    ]
    return "\n\n".join(blocks) + "\n"


def _section(title: str, text: str, otherwise: str = "") -> Iterator[str]:
    if text or otherwise:
        yield f"## {title}"
        yield text or otherwise


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"- {prose(text)}" for text in texts)


def _heading(summary: RegressionSummary) -> Iterator[str]:
    if summary.window is not None:
        yield f"{format_instant(summary.window.start)} to {format_instant(summary.window.end)}"


def _advice(summary: RegressionSummary) -> Iterator[str]:
    advice, back = summary.advice, summary.rollback_recommendation
    if advice is None:
        if back is not None:
            yield f"**{_should(back.should_rollback)}** {prose(back.reason)}"
        return
    priority = f" ({back.priority})" if back is not None else ""
    yield f"## Advice: {prose(advice.action)}{priority}"
    yield prose(advice.why)
    yield from _listing("Because:", advice.reasons)
    yield from _listing("For it:", advice.evidence_for)
    yield from _listing("Against it:", advice.evidence_against)
    if advice.waiting:
        yield f"What waiting costs, at the rate of the last day that was counted:\n\n{_waiting(advice)}"


def _should(rollback: bool | None) -> str:
    return {True: "Roll back.", False: "No rollback.", None: "Not assessable."}[rollback]


def _listing(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield f"{title}\n\n{_bullets(texts)}"


def _waiting(advice: Advice) -> str:
    return table(
        ("Objective", "Burn rate", "30-day budget an hour", "Bad events an hour", "Until it is gone"),
        [
            (
                prose(one.slo_name),
                f"{format_value(one.burn_rate, '')}× (day {one.day})",
                format_value(one.budget_percent_per_hour, "%"),
                format_value(one.bad_events_per_hour, ""),
                _left(one),
            )
            for one in advice.waiting
        ],
        (1, 2, 3, 4),
    )


def _left(one: Waiting) -> str:
    if one.hours_left is None:
        return "not at this rate"
    return "gone" if one.hours_left <= 0 else format_duration(3600 * one.hours_left)


def _failed(decided: Sequence[Regression]) -> str:
    failed = [row for row in decided if row.verdict == "fail"]
    if not failed:
        return ""
    rows = [(code(row.metric_name), prose(pair_text(row)), _change(row), _since(row), prose(row.why)) for row in failed]
    return table(("KPI", "Before → after", "Change (interval)", "Since", "Why"), rows, (1, 2))


def _none_failed(decided: Sequence[Regression]) -> str:
    """With how many could have: a summary in which nothing was tested reads like no good news."""
    tested = sum(row.verdict == "pass" for row in decided)
    return f"None. {tested} of {count(len(decided), 'KPI')} passed."


def _undecided(decided: Sequence[Regression]) -> list[str]:
    """One line per reason, with the KPIs that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for row in decided:
        if row.verdict in {"inconclusive", "no data"}:
            by_reason.setdefault(sentence(row.obstacle or row.why or row.verdict), []).append(row.metric_name)
    return [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def _baselines(summary: RegressionSummary) -> str:
    rows = [
        (
            code(one.name),
            prose(one.about),
            one.role,
            str(one.days),
            code(one.source) if one.source else NONE,
            _note(one.note),
        )
        for one in summary.baselines
    ]
    return table(("Baseline", "What it is", "Role", "Days", "From", "Note"), rows, (3,)) if rows else ""


def _note(note: str | None) -> str:
    return prose(note) if note else NONE


def _every(decided: Sequence[Regression]) -> str:
    header = (
        "KPI",
        "Against",
        "Before → after",
        "Change (interval)",
        "p",
        "Hours (worth)",
        "Seen",
        "How large, how sure",
        "Since",
        "Verdict",
    )
    rows = [
        (
            code(row.metric_name),
            code(row.baseline),
            prose(pair_text(row)),
            _change(row),
            NONE if row.p_adjusted is None else f"{row.p_adjusted:.2g}",
            _hours(row),
            share(row.coverage),
            prose(_label(row)),
            _since(row),
            f"{MARKS[row.verdict]} {row.verdict}",
        )
        for row in decided
    ]
    return table(header, rows, (2, 3, 4, 5, 6)) if rows else ""


def _label(row: Regression) -> str:
    return NONE if row.verdict == "no data" else label(row)


def _change(row: Regression) -> str:
    if row.baseline_value is None or row.current_value is None:
        return NONE
    told_in_points = row.points is not None and row.interval is not None and None in row.interval
    parts = [f"{change_text(row)}{'' if told_in_points else _bracketed(interval_text(row))}"]
    if row.points is not None:
        interval = ends_text(row.points_interval or (None, None), "pp", ".3g")
        parts.append(f"{row.points:+.3g} pp{_bracketed(interval)}")
    if row.basis not in {None, "as measured"}:
        parts.append(str(row.basis))
    return prose(", ".join(parts))


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def _hours(row: Regression) -> str:
    if row.n is None:
        return NONE
    return f"{row.n}" if row.n_effective is None else f"{row.n} ({format_value(row.n_effective, '')})"


def _since(row: Regression) -> str:
    if row.onset is None:
        return NONE
    ended = f", until {format_instant(row.ended)}" if row.ended is not None else ""
    return f"{format_instant(row.onset)}{ended}"


def _matrix(summary: RegressionSummary) -> str:
    """Changes with the mark of their verdict, one column per baseline that has a row."""
    names = list(dict.fromkeys([one.name for one in summary.baselines] + [row.baseline for row in summary.rows]))
    found = {(row.metric_name, row.baseline): row for row in summary.rows}
    there = [name for name in names if any(baseline == name for _, baseline in found)]
    kpis = dict.fromkeys(row.metric_name for row in summary.rows)
    if not there:
        return ""
    rows = [(code(kpi), *(_cell(found.get((kpi, name))) for name in there)) for kpi in kpis]
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    header = ("KPI", *map(code, there))
    return f"{table(header, rows, tuple(range(1, len(header))))}\n\n{legend}"


def _cell(row: Regression | None) -> str:
    if row is None:
        return NONE
    if row.verdict == "no data":
        return MARKS["no data"]
    return f"{prose(change_text(row).removesuffix(' (bad share)'))} {MARKS[row.verdict]}"


def _cost(cost: CostReport | None) -> str:
    if cost is None:
        return ""
    unit = cost.currency or ""
    rows = [
        ("A day of the week before GA", format_value(cost.before_daily_average, unit)),
        ("The GA day", format_value(cost.ga_day, unit)),
        ("A day since", format_value(cost.daily_average, unit)),
        ("A million requests, before", format_value(cost.before_per_million_requests, unit)),
        ("A million requests, since", format_value(cost.per_million_requests, unit)),
        ("Trend", cost.trend),
    ]
    parts = [
        table(("Cost", "Amount"), rows, (1,)),
        _bullets([f"{driver.name}: {driver.why}" for driver in cost.drivers]),
        _note(cost.note),
    ]
    return "\n\n".join(part for part in parts if part and part != NONE)
