"""Artifacts as the stages read them: only together with what belongs to them.

Everything is of the GA summary's service, and lies where its calendar has it. Where files of older tools say neither,
they are taken as they are. A key is relative to the store's root, or stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.definitions import DEFAULT_SERVICE, Release
from observability.errors import ConfigError
from observability.events import AnomalyEvents
from observability.layout import PRE_RELEASE, Layout
from observability.model import DAYS_BEFORE, FIRST_DAY, LAST_DAY, Calendar, Window, format_instant
from observability.store import Store, beside, within
from observability.verdicts import HealthReport, RegressionSummary

COLLECT_GA = "collect the GA day first: ga_kpi_collector.py"
COLLECT_DAYS = "collect the days first: stability_monitor_7day.py"
DETECT = "run the anomaly detector first: anomaly_detector_lightweight.py"
ANALYSE = "run the regression analysis first: regression_analyzer.py"


@dataclass(frozen=True)
class Ground:
    """What everything else must belong to: the service and the calendar of a summary at ``where``."""

    where: str
    service: str
    calendar: Calendar | None
    kpis: Mapping[str, KpiSummary] = field(default_factory=dict)

    @classmethod
    def of(cls, day: DaySummary, where: str) -> Ground:
        """A summary of older tools has no window, so nobody knows its calendar."""
        calendar = None
        if day.window is not None and not day.partial:
            length = day.window.end - day.window.start
            calendar = Calendar(day.window.start - day.day_number * length, length)
        return cls(where, day.service, calendar, day.kpis)

    def check_service(self, service: str, where: str, again: str, *, says: bool = True) -> None:
        """``says`` is False for a file of older tools, which says nothing of a service: it has the default."""
        if (says or service != DEFAULT_SERVICE) and service != self.service:
            raise ConfigError(f"{where} is of service '{service}', and {self.where} is of '{self.service}'; {again}.")

    def check_day(self, day: DaySummary, where: str, again: str) -> None:
        """The day must be of the service, have its KPIs in the same units, and last as the calendar has it; a partial
        one, from its start on."""
        self.check_service(day.service, where, again)
        self.check_kpis(day, where, again)
        if self.calendar is None or day.window is None:
            return
        expected = self.calendar.window(day.day_number)
        if day.window != expected and not (day.partial and _begins(day.window, expected)):
            raise ConfigError(
                f"{where} covers {_shown(day.window)}, and by {self.where} day {day.day_number} is "
                f"{_shown(expected)}; {again}."
            )

    def check_kpis(self, day: DaySummary, where: str, again: str) -> None:
        """The KPIs that both have must be of one unit and kind, so that their figures compare."""
        for name, kpi in day.kpis.items():
            own = self.kpis.get(name, kpi)
            if kpi.unit != own.unit:
                raise ConfigError(
                    f"{where} has {name} in '{kpi.unit}', and {self.where} has it in '{own.unit}'; {again}."
                )
            if kpi.kind != own.kind:
                raise ConfigError(
                    f"{where} has {name} as a KPI of kind {kpi.kind}, and {self.where} as one of kind {own.kind}; "
                    f"{again}."
                )

    def check_week(self, window: Window | None, where: str, again: str) -> None:
        """The window must begin with GA and end by the end of day 7."""
        if self.calendar is None or window is None:
            return
        week = Window(start=self.calendar.ga, end=self.calendar.window(LAST_DAY).end)
        if not _begins(window, week):
            raise ConfigError(
                f"{where} covers {_shown(window)}, and by {self.where} the release's days are {_shown(week)}; {again}."
            )


def _begins(window: Window, whole: Window) -> bool:
    return window.start == whole.start and window.end <= whole.end


def _shown(window: Window) -> str:
    return f"{format_instant(window.start)} to {format_instant(window.end)}"


def read_ga(store: Store, key: str, release: Release | None = None) -> DaySummary:
    """A GA summary; with a release, only one that was collected for the same GA day."""
    ga = store.read(key, DaySummary, COLLECT_GA)
    if ga.partial and ga.window is not None:
        raise ConfigError(
            f"{store.location(key)} is of a part of the GA day, {_shown(ga.window)}, and no baseline; collect the "
            "whole GA day: ga_kpi_collector.py without --end."
        )
    if release is None:
        return ga
    if ga.timestamp != release.ga:
        raise ConfigError(
            f"{store.location(key)} is the baseline of {format_instant(ga.timestamp)}, and the release's GA is "
            f"{format_instant(release.ga)}; collect the GA day again."
        )
    if ga.window is not None and ga.window != release.calendar.window(0):
        raise ConfigError(
            f"{store.location(key)} covers {_shown(ga.window)}, and the release's GA day is "
            f"{_shown(release.calendar.window(0))}; collect the GA day again."
        )
    return ga


def read_baselines(release: Release, layout: Layout, given: Path | None = None) -> dict[str, DaySummary]:
    """Service → its GA summary, from the layout or, for the only service, from the file that a flag names.

    Services that had no data on the GA day have none, and are left out; at least one has.
    """
    if given is not None and len(release.services) > 1:
        raise ConfigError("One --ga-baseline cannot serve several services; leave it out, or give one service.")
    store = layout.store if given is None else Store()
    keys = {service: layout.ga_summary(service) if given is None else str(given) for service in release.services}
    there = {service: key for service, key in keys.items() if store.exists(key)} or keys
    found = {service: read_ga(store, key, release) for service, key in there.items()}
    for service, ga in found.items():
        if ga.service != service:
            raise ConfigError(
                f"{store.location(keys[service])} is of service '{ga.service}', not of '{service}'; "
                "give the --release file that it was collected with, or collect the GA day again."
            )
        _check_maintenance(ga, release, store.location(keys[service]))
    return found


def _check_maintenance(ga: DaySummary, release: Release, where: str) -> None:
    """A baseline must leave out what the release's maintenance windows leave out of the GA day."""
    day = release.calendar.window(0)
    of_ga, of_release = (
        {(format_instant(w.start), format_instant(w.end)) for w in windows if w.start < day.end and day.start < w.end}
        for windows in (ga.maintenance, release.maintenance_of(ga.service))
    )
    if ga.window is not None and of_ga != of_release:
        raise ConfigError(
            f"{where} leaves out other maintenance windows of the GA day than the release has; give the --release file "
            "that it was collected with, or collect the GA day again."
        )


def missing_baselines(release: Release, layout: Layout) -> str | None:
    """A sentence that names the services without a GA summary; None where all have one."""
    missing = [service for service in release.services if not layout.store.exists(layout.ga_summary(service))]
    if not missing:
        return None
    return (
        f"There is no baseline of {', '.join(missing)}: no KPI returned data on the GA day; check the name and that "
        f"the label '{release.service_label}' holds it, or leave it out."
    )


def read_days(store: Store, base: Ground, stability_key: str, numbers: Sequence[int] | None = None) -> list[DaySummary]:
    """The summaries of the days ``numbers``, by default of those of days 1 to 7 that are there: at least one."""
    keys = {
        number: within(stability_key, f"day_{number:02d}_summary.json")
        for number in (range(FIRST_DAY, LAST_DAY + 1) if numbers is None else numbers)
    }
    days = {
        number: store.read(key, DaySummary, COLLECT_DAYS)
        for number, key in keys.items()
        if numbers is not None or store.exists(key)
    }
    if not days:
        raise ConfigError(f"{store.location(stability_key)} holds no day_01_summary.json … day_07; {COLLECT_DAYS}.")
    for number, day in days.items():
        where = store.location(keys[number])
        if day.day_number != number:
            raise ConfigError(f"{where} says it is day {day.day_number}; collect it again.")
        base.check_day(day, where, "collect the day again: stability_monitor_7day.py")
    check_order([(store.location(keys[number]), day) for number, day in days.items()])
    return list(days.values())


def check_order(days: Iterable[tuple[str, DaySummary]]) -> None:
    """Days by number, each with its location, must be of later and later times. Those of older tools, which have no
    window, may be copies of one another, or out of order."""
    ordered = sorted(days, key=lambda one: one[1].day_number)
    for (_, earlier), (where, later) in pairwise(ordered):
        if later.timestamp <= earlier.timestamp:
            raise ConfigError(
                f"{where}: day {later.day_number} is of {format_instant(later.timestamp)}, and so no later than day "
                f"{earlier.day_number}, of {format_instant(earlier.timestamp)}; collect both again."
            )


def read_before(store: Store, base: Ground, ga_key: str) -> PreReleaseSummary | None:
    """The days before GA, which lie beside the GA summary; None where no such file is there."""
    key = beside(ga_key, PRE_RELEASE)
    if not store.exists(key):
        return None
    before, again = store.read(key, PreReleaseSummary, COLLECT_GA), "collect the GA day again: ga_kpi_collector.py"
    where, there = store.location(key), set[int]()
    base.check_service(before.service, where, again)
    for day in before.days:
        if not -DAYS_BEFORE <= day.day_number < 0:
            raise ConfigError(f"{where} holds day {day.day_number}, which is not one of the days before GA; {again}.")
        if day.day_number in there:
            raise ConfigError(f"{where} holds day {day.day_number} twice; {again}.")
        there.add(day.day_number)
        base.check_day(day, where, again)
    check_order([(where, day) for day in before.days])
    return before.model_copy(update={"days": tuple(sorted(before.days, key=lambda day: day.day_number))})


def missing_good_day(
    number: int, ga: DaySummary, days: Sequence[DaySummary], before: PreReleaseSummary | None
) -> str | None:
    """A sentence if the day that was pinned as good is not there, or was not over; None where it is."""
    whole = [day.day_number for day in (ga, *days, *(before.days if before else ())) if not day.partial]
    if number in whole:
        return None
    return f"There is no whole day {number} of {ga.service}, which was pinned as good, so nothing is compared with it."


def read_regression(store: Store, base: Ground, key: str) -> RegressionSummary:
    found, again = store.read(key, RegressionSummary, ANALYSE), "run the analysis again: regression_analyzer.py"
    base.check_service(found.service, store.location(key), again, says=found.window is not None)
    base.check_week(found.window, store.location(key), again)
    return found


def read_anomalies(store: Store, base: Ground, key: str) -> AnomalyEvents:
    found, again = store.read(key, AnomalyEvents, DETECT), "run the detector again: anomaly_detector_lightweight.py"
    base.check_service(found.service, store.location(key), again, says=found.window is not None)
    base.check_week(found.window, store.location(key), again)
    return found


def read_health(store: Store, base: Ground, stability_key: str, days: Sequence[DaySummary]) -> list[HealthReport]:
    """The health reports of these days, those that are there."""
    again = "run daily_health_reporter.py again"
    found = []
    for day in days:
        key = within(stability_key, f"day_{day.day_number:02d}_HEALTH.json")
        if not store.exists(key):
            continue
        health = store.read(key, HealthReport, "run daily_health_reporter.py")
        base.check_service(health.service, store.location(key), again, says=bool(health.parts))
        if health.parts and (health.day_number, health.timestamp) != (day.day_number, day.timestamp):
            raise ConfigError(
                f"{store.location(key)} is of day {health.day_number}, {format_instant(health.timestamp)}, and "
                f"{base.where} asks for day {day.day_number}, {format_instant(day.timestamp)}; {again}."
            )
        found.append(health)
    return found
