"""One service's artifacts of the week in one place, and the questions that the findings ask of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from observability.artifacts import (
    FLAT_KEYS,
    AnomalyEvents,
    DaySummary,
    HealthReport,
    PreReleaseSummary,
    Regression,
    RegressionSummary,
    SloBurnDown,
)
from observability.definitions import Direction
from observability.errors import ConfigError
from observability.model import FIRST_DAY, LAST_DAY, Calendar

MIN_KPI_COVERAGE = 0.5  # a KPI of which less was seen on a day has no value for that day
# A share of events that moves by less than 0.1 percentage points did not move; less the last bit of 100 − 99.9.
BAD_SHARE_FLOOR = 0.001 * (1 - 1e-9)
INCIDENTS = "critical_incident_count"

_HIGHER, _LOWER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER

# Files of older tools hold the flat keys alone, without unit or direction. A test holds this to the catalog.
FLAT_KPIS: dict[str, tuple[str, Direction, str]] = {
    "overall_availability": ("%", _HIGHER, "availability"),
    "overall_error_rate": ("%", _LOWER, "errors"),
    "avg_p99_latency_ms": ("ms", _LOWER, "latency"),
    "avg_cpu_percent": ("%", _LOWER, "resources"),
    "peak_cpu_percent": ("%", _LOWER, "resources"),
    "avg_memory_percent": ("%", _LOWER, "resources"),
    "peak_memory_percent": ("%", _LOWER, "resources"),
    "avg_redis_hit_rate": ("%", _HIGHER, "redis"),
    "avg_db_p95_latency_ms": ("ms", _LOWER, "database"),
    INCIDENTS: ("incidents", _LOWER, "incidents"),
    "estimated_cost_per_hour": ("per hour", _LOWER, "cost"),
    "cluster_cpu_utilization": ("%", _LOWER, "cluster"),
    "cluster_memory_utilization": ("%", _LOWER, "cluster"),
}

# Left: another view of the series on the right, which speaks for both where it has data.
TWINS = {
    "overall_availability": "overall_error_rate",
    "avg_p99_latency_ms": "p99_latency_ms",
    "avg_db_p95_latency_ms": "db_p95_latency_ms",
    "peak_cpu_percent": "avg_cpu_percent",
    "peak_memory_percent": "avg_memory_percent",
}


def family(category: str, kpi: str) -> str:
    """KPIs of one family tell the same story: errors from both sides, the quantiles of the latency, twins."""
    if kpi in FLAT_KPIS:
        category = FLAT_KPIS[kpi][2]  # older tools name other categories
    together = {"availability": "errors", "errors": "errors", "latency": "latency"}
    return together.get(category, TWINS.get(kpi, kpi))


@dataclass(frozen=True)
class About:
    """What a KPI is. ``is_ratio``: a share of events, which is compared by its share of bad ones."""

    unit: str
    direction: Direction
    category: str
    is_ratio: bool


def percent_change(before: float, after: float) -> float:
    """The change in per cent of ``before``, which is not 0. The difference comes first, so that 30 % is 30 exactly."""
    return 100.0 * (after - before) / abs(before)


def change_of(about: About, before: float, after: float) -> float | None:
    """Change in per cent; of a share of events that of its bad ones, below the floor 0, from none to some infinite.

    None from 0 for anything else: nothing can be divided by.
    """
    whole = 100.0 if about.unit.startswith("%") else 1.0
    if about.is_ratio and about.direction is Direction.HIGHER_IS_BETTER:
        before, after = whole - before, whole - after
    if before == after or (about.is_ratio and abs(after - before) < whole * BAD_SHARE_FLOOR):
        return 0.0
    if before <= 0:
        return math.inf if about.is_ratio else None
    return percent_change(before, after)


def unit_of(kpi: str, stated: str) -> str:
    """The unit that an artifact states for a KPI; older tools state none."""
    return stated if stated or kpi not in FLAT_KPIS else FLAT_KPIS[kpi][0]


def limit(target: float, unit: str, counts_bad: bool) -> str:
    """An objective as it was set, without rounding: ``at least 99 % within 500 ms``."""
    return f"at {'most' if counts_bad else 'least'} {target:g} {unit}"


@dataclass(frozen=True)
class ObjectiveDay:
    """One day of an objective; None where it could not be counted."""

    compliant: bool | None
    value: float | None
    bad: float | None
    total: float | None


@dataclass(frozen=True)
class ObjectiveWeek:
    """One objective, day by day. ``budget`` is the share of bad events that it allows, in per cent."""

    name: str
    kpi: str
    target: float
    budget: float
    unit: str
    counts_bad: bool
    days: Mapping[int, ObjectiveDay]

    @property
    def limit(self) -> str:
        """The objective in words: ``at least 99.9 %``, ``at most 0.1 %``."""
        return limit(self.target, self.unit, self.counts_bad)

    def burn(self, day: int) -> float | None:
        """The day's bad events over those that its budget allows; None without events."""
        found = self.days.get(day)
        if found is None or found.bad is None or found.total is None or found.total <= 0:
            return None
        return found.bad / (self.budget / 100 * found.total)

    def worst(self, days: Sequence[int]) -> int:
        """The day whose value is furthest on the bad side; of equal ones the first."""
        values = {day: self.days[day].value for day in days}
        badness = {day: -math.inf if v is None else v if self.counts_bad else -v for day, v in values.items()}
        return max(days, key=lambda day: (badness[day], -day))

    @property
    def over_all_days(self) -> tuple[float, float] | None:
        """Bad events and all events of the days that were counted; None without events."""
        counted = [(day.bad, day.total) for day in self.days.values() if day.bad is not None and day.total is not None]
        total = sum(total for _, total in counted)
        return (sum(bad for bad, _ in counted), total) if total > 0 else None


@dataclass(frozen=True)
class WeekRecord:
    """One service's artifacts. ``days`` are the complete ones of days 1 to 7, in order; ``partial`` the others."""

    ga: DaySummary
    days: tuple[DaySummary, ...]
    partial: tuple[int, ...]
    before: PreReleaseSummary | None
    regression: RegressionSummary | None
    anomalies: AnomalyEvents | None
    slos: tuple[SloBurnDown, ...]
    health: tuple[HealthReport, ...]

    @property
    def all_days(self) -> tuple[DaySummary, ...]:
        return (self.ga, *self.days)

    @property
    def present(self) -> tuple[int, ...]:
        return tuple(day.day_number for day in self.days)

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(n for n in range(FIRST_DAY, LAST_DAY + 1) if n not in self.present and n not in self.partial)

    @property
    def has_before(self) -> bool:
        return self.before is not None and len(self.before.days) > 0

    @property
    def rows(self) -> tuple[Regression, ...]:
        """Every KPI against every baseline; none without a regression summary."""
        return self.regression.rows if self.regression is not None else ()

    @property
    def calendar(self) -> Calendar:
        """The release's days, as the GA summary's window has them; 24 h from its timestamp in files without one."""
        window = self.ga.window
        if window is None:
            return Calendar(self.ga.timestamp)
        return Calendar(window.start, timedelta(seconds=window.seconds))

    @property
    def end(self) -> datetime:
        return self.calendar.window(LAST_DAY).end

    @property
    def coverage(self) -> float | None:
        """Mean coverage of the GA day and days 1 to 7, a day without a summary counting 0. None: no file states it."""
        stated = [day.coverage for day in self.all_days if day.coverage is not None]
        return sum(stated) / (LAST_DAY + 1) if stated else None

    @cached_property
    def kpis(self) -> tuple[str, ...]:
        """The KPIs of the days, in their order; in files that hold the flat keys alone, those with a value."""
        names = dict.fromkeys(name for day in self.all_days for name in day.kpis)
        flat = [key for key in FLAT_KEYS if any(day.value(key) is not None for day in self.all_days)]
        return tuple(names | dict.fromkeys(flat))

    def about(self, kpi: str) -> About:
        for day in self.all_days:
            if kpi in day.kpis:
                found = day.kpis[kpi]
                return About(found.unit, found.direction, found.category, found.kind == "ratio")
        unit, direction, category = FLAT_KPIS.get(kpi, ("", Direction.TWO_SIDED, "other"))
        return About(unit, direction, category, category in {"availability", "errors", "redis"})

    def value(self, day: DaySummary, kpi: str) -> float | None:
        """The day's value, or None where too little of the day was seen."""
        too_little = kpi in day.kpis and day.kpis[kpi].coverage < MIN_KPI_COVERAGE
        return None if too_little else day.value(kpi)

    def values(self, kpi: str) -> dict[int, float]:
        """Day → value, the GA day being 0. Days without a value are left out."""
        found = {day.day_number: self.value(day, kpi) for day in self.all_days}
        return {day: value for day, value in found.items() if value is not None}

    def is_twin(self, kpi: str) -> bool:
        """Whether a KPI that says the same has data, and speaks for this one."""
        return kpi in TWINS and len(self.values(TWINS[kpi])) > 0

    @cached_property
    def objectives(self) -> tuple[ObjectiveWeek, ...]:
        names = dict.fromkeys(slo.slo_name for day in self.all_days for slo in day.slos)
        counted = tuple(_counted(name, self.all_days) for name in names)
        return counted or tuple(_from_burn_down(slo) for slo in self.slos if slo.compliance_by_day)

    @property
    def with_objective(self) -> set[str]:
        """The KPIs on which an objective is set."""
        return {slo.kpi for slo in self.objectives}

    @property
    def objectives_before(self) -> dict[str, ObjectiveWeek]:
        days = self.before.days if self.before is not None else ()
        return {name: _counted(name, days) for name in dict.fromkeys(slo.slo_name for day in days for slo in day.slos)}


def week_of(
    ga: DaySummary,
    days: Sequence[DaySummary],
    before: PreReleaseSummary | None,
    regression: RegressionSummary | None,
    anomalies: AnomalyEvents | None,
    slos: Sequence[SloBurnDown],
    health: Sequence[HealthReport],
) -> WeekRecord:
    """Order and check what was read: ``ConfigError`` where a day is there twice or belongs to another service."""
    numbers = [day.day_number for day in days]
    for day in days:
        if not FIRST_DAY <= day.day_number <= LAST_DAY:
            raise ConfigError(f"A daily summary is of day {day.day_number}; give those of days 1 to 7.")
        if numbers.count(day.day_number) > 1:
            raise ConfigError(f"There are two summaries of day {day.day_number}; remove one.")
        if day.service != ga.service:
            raise ConfigError(
                f"The summary of day {day.day_number} is of service '{day.service}', that of the GA day of "
                f"'{ga.service}'; give one service's files."
            )
    ordered = sorted(days, key=lambda day: day.day_number)
    return WeekRecord(
        ga=ga,
        days=tuple(day for day in ordered if not day.partial),
        partial=tuple(day.day_number for day in ordered if day.partial),
        before=before,
        regression=regression,
        anomalies=anomalies,
        slos=tuple(slos),
        health=tuple(health),
    )


def _counted(name: str, days: Sequence[DaySummary]) -> ObjectiveWeek:
    found = {day.day_number: slo for day in days for slo in day.slos if slo.slo_name == name}
    first = next(iter(found.values()))
    by_day = {n: ObjectiveDay(slo.compliant, slo.value, slo.bad, slo.total) for n, slo in found.items()}
    return ObjectiveWeek(name, first.kpi, first.target, first.budget, first.unit, first.counts_bad, by_day)


def _from_burn_down(slo: SloBurnDown) -> ObjectiveWeek:
    days = {day.day: ObjectiveDay(day.compliant, day.value, None, None) for day in slo.compliance_by_day}
    return ObjectiveWeek(
        slo.slo_name, slo.kpi or slo.slo_name, slo.target, slo.budget, slo.unit, slo.target == slo.budget, days
    )
