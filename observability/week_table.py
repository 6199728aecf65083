"""A service's week as a table: one row per KPI with its days, and what the latest day changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from observability.artifacts import FLAT_KEYS, DaySummary, KpiSummary
from observability.comparable import has_same_hours, is_mostly_judged
from observability.definitions import Direction, Kind
from observability.judgement.summary import UNEXPECTED_DRIFT_PERCENT, drift_percent, same_buckets, worse
from observability.model import Frozen, Instant


class Day(Frozen):
    """One day that is there. Files of older tools have no window."""

    number: int
    start: Instant | None
    end: Instant | None
    partial: bool
    coverage: float | None
    maintenance_seconds: float


class Row(Frozen):
    """One KPI. ``values`` and ``coverages`` are by day, of the days that are there; a value is None without data.

    ``at_least``: the days whose value is only a lower bound. ``change`` is that of the latest day against the GA day,
    relative (0.1 = 10 % more), and ``difference`` in the unit; both are None where the two cannot be compared, which a
    partial day never is, and ``change`` also where the GA day's value is 0. ``is_worse``: None without a difference, or
    for a two-sided KPI.
    """

    kpi: str
    unit: str
    direction: Direction | None
    values: dict[int, float | None]
    at_least: tuple[int, ...] = ()
    coverages: dict[int, float]
    change: float | None = None
    difference: float | None = None
    is_share: bool = False
    is_worse: bool | None = None

    @property
    def coverage(self) -> float | None:
        """Mean of the days that are there."""
        return sum(self.coverages.values()) / len(self.coverages) if self.coverages else None

    @property
    def has_data(self) -> bool:
        return any(value is not None for value in self.values.values())


class WeekTable(Frozen):
    """One service's table. ``latest`` is the last of the days 1 to 7 that is there, None if none is."""

    service: str
    release: str | None
    ga: Instant | None
    latest: int | None
    days: tuple[Day, ...]
    rows: tuple[Row, ...]


def tabulate(days: Mapping[int, DaySummary], kpis: Sequence[str] = ()) -> WeekTable:
    """The table of the days that are there, at least one, with the KPIs named, or all of them."""
    newest = days[max(days)]
    latest = max((number for number in days if number > 0), default=None)
    return WeekTable(
        service=newest.service,
        release=newest.release,
        ga=_ga(days),
        latest=latest,
        days=tuple(_day(number, day) for number, day in sorted(days.items())),
        rows=tuple(_row(name, days, latest) for name in kpis or kpi_names(days)),
    )


def kpi_names(days: Mapping[int, DaySummary]) -> list[str]:
    """The KPIs of any of the days. Files of older tools have the flat keys only."""
    flat = [key for key in FLAT_KEYS if any(day.value(key) is not None for day in days.values())]
    return list(dict.fromkeys([name for day in days.values() for name in day.kpis] + flat))


def _ga(days: Mapping[int, DaySummary]) -> datetime | None:
    for number, day in days.items():
        if day.window is not None and not day.partial:
            return day.window.start - number * (day.window.end - day.window.start)
    return days[0].timestamp if 0 in days else None


def _day(number: int, day: DaySummary) -> Day:
    window = day.window
    return Day(
        number=number,
        start=window.start if window else None,
        end=window.end if window else None,
        partial=day.partial,
        coverage=day.coverage,
        maintenance_seconds=day.maintenance_seconds,
    )


def _row(name: str, days: Mapping[int, DaySummary], latest: int | None) -> Row:
    found = {number: day.kpis[name] for number, day in sorted(days.items()) if name in day.kpis}
    about = next(iter(found.values()), None)
    row = Row(
        kpi=name,
        unit=about.unit if about else "",
        direction=about.direction if about else None,
        values={number: day.value(name) for number, day in sorted(days.items())},
        at_least=tuple(number for number, kpi in found.items() if kpi.at_least),
        coverages={number: kpi.coverage for number, kpi in found.items()},
        is_share=about is not None and about.kind == Kind.RATIO and about.unit == "%",
    )
    if latest is None or any(days[number].partial for number in {0, latest} & days.keys()):
        return row
    if not _comparable(found.get(0), found.get(latest)) or not _compares(days, latest, name):
        return row
    return row.model_copy(update=_changes(row, latest, days[latest].share_floor(name)))


def _comparable(one: KpiSummary | None, other: KpiSummary | None) -> bool:
    """Not quantiles beyond their buckets, or of histograms with other buckets."""
    return one is None or other is None or not (one.at_least or other.at_least or not same_buckets(one, other))


def _compares(days: Mapping[int, DaySummary], latest: int, name: str) -> bool:
    """Not days of other hours, or of maintenance for the most part."""
    pair = [days[number] for number in (0, latest) if number in days]
    return all(map(is_mostly_judged, pair)) and has_same_hours(pair[0], pair[-1], name)


def _changes(row: Row, latest: int, floor: float) -> dict[str, object]:
    baseline, value = row.values.get(0), row.values[latest]
    if baseline is None or value is None:
        return {}
    drift, difference = drift_percent(value, baseline), value - baseline
    is_worse = None
    if row.direction not in {None, Direction.TWO_SIDED}:
        is_worse = worse(difference, Direction(row.direction)) and _is_large(row, baseline, difference, floor)
    return {"change": None if drift is None else drift / 100, "difference": difference, "is_worse": is_worse}


def _is_large(row: Row, baseline: float, difference: float, floor: float) -> bool:
    """Over 10 % of the GA day's value; of a share, over 10 % of its bad part, and over the floor of its events."""
    bad = 100 - baseline if row.is_share and row.direction is Direction.HIGHER_IS_BETTER else baseline
    drift = drift_percent(bad + abs(difference), bad)
    is_small = row.is_share and abs(difference) <= floor
    return not is_small and (drift is None or drift > UNEXPECTED_DRIFT_PERCENT)
