"""One service's artifacts of the week in one place, and the questions that the findings ask of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from observability.artifacts import FLAT_KEYS, SHARE_FLOOR, DaySummary, PreReleaseSummary
from observability.comparable import has_same_hours, is_mostly_judged
from observability.definitions import Direction
from observability.errors import ConfigError
from observability.events import AnomalyEvents
from observability.model import FIRST_DAY, LAST_DAY, Calendar
from observability.units import format_value
from observability.verdicts import Advice, HealthReport, Regression, RegressionSummary, SloBurnDown
from retrospective.objectives import ObjectiveWeek, counted, from_burn_down

MIN_KPI_COVERAGE = 0.5  # a KPI of which less was seen on a day has no value for that day
LAST_BIT = 1 - 1e-9  # 100 − 99.9 is a little less than 0.1
NOT_ITS_OWN = frozenset({"cluster", "incidents", "cost"})  # categories of KPIs that are there without the service
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
    """What a KPI is. ``is_ratio``: a share of events, compared by its share of bad ones; ``floor``: by how many points
    of a per cent it must move to have moved."""

    unit: str
    direction: Direction
    category: str
    is_ratio: bool
    floor: float = SHARE_FLOOR


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
    if before == after or (about.is_ratio and abs(after - before) < whole * about.floor / 100 * LAST_BIT):
        return 0.0
    if before <= 0:
        return math.inf if about.is_ratio else None
    return percent_change(before, after)


def unit_of(kpi: str, stated: str) -> str:
    """The unit that an artifact states for a KPI; older tools state none."""
    return stated if stated or kpi not in FLAT_KPIS else FLAT_KPIS[kpi][0]


@dataclass(frozen=True)
class WeekRecord:
    """One service's artifacts. ``days`` are those of days 1 to 7 that were over, in order; ``partial`` the others."""

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
    def past(self) -> tuple[DaySummary, ...]:
        """The days before GA that were over."""
        return tuple(day for day in (self.before.days if self.before is not None else ()) if not day.partial)

    @property
    def present(self) -> tuple[int, ...]:
        """The days on which something of the service itself was observed, and counts."""
        return tuple(day.day_number for day in self.days if has_own_data(day))

    @property
    def empty(self) -> tuple[int, ...]:
        """The days that have a summary, and nothing of the service in it, though they are not all maintenance."""
        return tuple(d.day_number for d in self.days if not has_own_data(d) and not d.is_all_maintenance)

    @property
    def maintained(self) -> tuple[int, ...]:
        """The days that are maintenance throughout: nothing of them is judged."""
        return tuple(day.day_number for day in self.all_days if day.is_all_maintenance)

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(n for n in range(FIRST_DAY, LAST_DAY + 1) if n not in self._given)

    @property
    def _given(self) -> set[int]:
        return {day.day_number for day in self.days} | set(self.partial)

    @property
    def has_before(self) -> bool:
        return self.before is not None and len(self.before.days) > 0

    @property
    def rows(self) -> tuple[Regression, ...]:
        """Every KPI against every baseline; none without a regression summary."""
        return self.regression.rows if self.regression is not None else ()

    @property
    def advised(self) -> Advice | None:
        """What the regression analysis advises; None in older files."""
        return self.regression.advice if self.regression is not None else None

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
        """Mean coverage of the GA day and days 1 to 7, a day without a summary counting 0. None: no file states it.

        Days weigh by what is left of them outside maintenance.
        """
        stated = [day.coverage * day.judged_share for day in self.all_days if day.coverage is not None]
        missing = LAST_DAY + 1 - len(self.all_days)
        return math.fsum(stated) / (missing + math.fsum(day.judged_share for day in self.all_days)) if stated else None

    @cached_property
    def kpis(self) -> tuple[str, ...]:
        """The KPIs of the days, in their order; in files that hold the flat keys alone, those with a value."""
        names = dict.fromkeys(name for day in self.all_days for name in day.kpis)
        flat = [key for key in FLAT_KEYS if any(day.value(key) is not None for day in self.all_days)]
        return tuple(names | dict.fromkeys(flat))

    def about(self, kpi: str) -> About:
        days = [day for day in self.all_days if kpi in day.kpis]
        if days:
            found, floor = days[0].kpis[kpi], min(day.share_floor(kpi) for day in days)
            return About(found.unit, found.direction, found.category, found.kind == "ratio", floor)
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

    def shown(self, kpi: str, day: int) -> str:
        """The day's value as people read it, and whether it is only a lower bound."""
        value = self.values(kpi).get(day)
        return format_value(value, self.about(kpi).unit, self.is_bound(kpi, day))

    def is_bound(self, kpi: str, day: int) -> bool:
        """Whether the day's value is only a lower bound: its quantile lies beyond the buckets."""
        return any(one.day_number == day and kpi in one.kpis and one.kpis[kpi].at_least for one in self.all_days)

    def compares_with_ga(self, kpi: str, day: int) -> bool:
        return self.compares(kpi, self.ga, day)

    def compares(self, kpi: str, before: DaySummary, day: int) -> bool:
        """Whether both days' values are of one kind: of the same hours, and for quantiles of the same buckets and not
        beyond them on the earlier day."""
        (compared,) = (one for one in self.all_days if one.day_number == day)
        first, found = before.kpis.get(kpi), compared.kpis.get(kpi)
        if first is None or found is None:
            return True
        judged = is_mostly_judged(before) and is_mostly_judged(compared)
        if not judged or not has_same_hours(before, compared, kpi):
            return False
        changed = (
            first.buckets is not None and found.buckets is not None and first.buckets.keys() != found.buckets.keys()
        )
        return not changed and not first.at_least

    def is_twin(self, kpi: str) -> bool:
        """Whether a KPI that says the same has data, and speaks for this one."""
        return kpi in TWINS and len(self.values(TWINS[kpi])) > 0

    @staticmethod
    def starts(days: Sequence[DaySummary]) -> dict[int, float]:
        """Day → how many critical alerts began on it, of the days that say so."""
        found = {day.day_number: day.kpis[INCIDENTS].started for day in days if INCIDENTS in day.kpis}
        return {day: started for day, started in found.items() if started is not None}

    @property
    def current_health(self) -> tuple[HealthReport, ...]:
        """The health reports that were made from the days' summaries as they are; older ones saw a part of the day."""
        whole = {day.day_number: day.timestamp for day in self.all_days if day.window is not None}
        ordered = sorted(self.health, key=lambda report: report.day_number)
        return tuple(one for one in ordered if one.timestamp == whole.get(one.day_number, one.timestamp))

    @cached_property
    def objectives(self) -> tuple[ObjectiveWeek, ...]:
        names = dict.fromkeys(slo.slo_name for day in self.all_days for slo in day.slos)
        found = tuple(counted(name, self.all_days) for name in names)
        return found or tuple(from_burn_down(slo) for slo in self.slos if slo.compliance_by_day)

    @property
    def with_objective(self) -> set[str]:
        """The KPIs on which an objective is set."""
        return {slo.kpi for slo in self.objectives}

    @property
    def objectives_before(self) -> dict[str, ObjectiveWeek]:
        """Days of which less than half was seen are crumbs: they say nothing about the pace."""
        days = [
            day.model_copy(update={"slos": tuple(slo for slo in day.slos if slo.coverage >= MIN_KPI_COVERAGE)})
            for day in self.past
        ]
        return {name: counted(name, days) for name in dict.fromkeys(slo.slo_name for day in days for slo in day.slos)}


def has_own_data(day: DaySummary) -> bool:
    """Whether a KPI of the service itself was observed. Cluster, alerts and prices are there without it."""
    own = [kpi for kpi in day.kpis.values() if kpi.category not in NOT_ITS_OWN]
    if own:
        return any(kpi.value is not None or kpi.coverage > 0 for kpi in own)
    return any(day.value(kpi) is not None for kpi in (*day.kpis, *FLAT_KEYS))


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
