"""A probe as people read it: one row per query, and one sentence per finding. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from observability.model import format_instant
from observability.probe import DAYS
from observability.probed import Cost, Finding, Probe, QueryProbe
from observability.units import format_value

FEW_SERVICES = 3  # are named with their series; of more, the fewest and the most are told
_HEAD = ("query", "series", "samples/h", "/day", f"/{DAYS} d", "s/h", "s/day", f"s/{DAYS} d", f"size/{DAYS} d", "of")
_LEFT = {0, len(_HEAD) - 1}


def heading(probe: Probe) -> str:
    """Which server was asked for which time."""
    asked = f"{probe.prometheus}, {format_instant(probe.window.start)} to {format_instant(probe.window.end)}"
    if probe.instead_of is None:
        return asked
    return f"{asked}, because it has nothing of the hour before {format_instant(probe.instead_of.end)}"


def table(probe: Probe) -> list[str]:
    """The rows, in columns."""
    rows = [_HEAD, *(_row(query) for query in probe.queries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def total(probe: Probe) -> str:
    """What the whole run will cost."""
    cost = probe.total
    size = format_value(cost.bytes, "bytes")
    queries = f"{len(probe.queries)} {'query' if len(probe.queries) == 1 else 'queries'}"
    if cost == Cost():
        return f"{queries} over {DAYS} days: nothing was found whose cost could be told"
    return (
        f"{queries} over {DAYS} days: about {_count(cost.samples)} samples and {size} before compression; "
        f"{_seconds(cost.seconds)} s of asking one after the other, about {_seconds(probe.together_s)} s with "
        f"concurrency {probe.concurrency}"
    )


def sentences(probe: Probe, services: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Severity and sentence of each finding; one that is the same for several queries is said once."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in probe.findings:
        alike.setdefault((finding.severity, finding.text), []).append(finding)
    for (severity, text), findings in alike.items():
        queries = dict.fromkeys(finding.query for finding in findings)
        kpis = dict.fromkeys(kpi for finding in findings for kpi in finding.kpis)
        about = dict.fromkeys(service for finding in findings for service in finding.services)
        of = f" of {', '.join(about)}" if len(about) < len(services) else ""
        yield severity, f"{severity}: {', '.join(queries)}{of}: {text} (KPIs: {', '.join(kpis)})"


def _row(probe: QueryProbe) -> tuple[str, ...]:
    costs = (probe.hour, probe.day, probe.run)
    samples = [_count(cost.samples) for cost in costs]
    seconds = [_seconds(cost.seconds) for cost in costs]
    size = format_value(probe.run.bytes, "bytes") if probe.run != Cost() else "-"
    return (probe.query, str(probe.series), *samples, *seconds, size, _services(probe))


def _services(probe: QueryProbe) -> str:
    if len(probe.by_service) > 1 and set(probe.by_service.values()) == {probe.series} != {0}:
        return "all alike"
    if len(probe.by_service) > FEW_SERVICES:
        counts = probe.by_service.values()
        empty = sum(count == 0 for count in counts)
        return f"{min(counts)} to {max(counts)} of each" + (f", none of {empty}" if empty else "")
    return ", ".join(f"{service} {count}" for service, count in probe.by_service.items())


def _aligned(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, (text, width) in enumerate(zip(row, widths, strict=True)):
        yield text.ljust(width) if column in _LEFT else text.rjust(width)


def _count(value: float) -> str:
    """Three digits: 43.2k, 1.3M."""
    if value == 0:
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"


def _seconds(value: float) -> str:
    return "-" if value == 0 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"
