"""Reasons that lie in the data: too little of it to judge the release, or something that nobody looked at."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from datetime import datetime

from observability.artifacts import DaySummary
from observability.model import LAST_DAY
from observability.units import format_value
from retrospective.budgets import is_decided
from retrospective.changes import LARGE, deciding, has_values, size
from retrospective.reason import DAYS, Reason
from retrospective.record import INCIDENTS, MIN_KPI_COVERAGE, NOT_ITS_OWN, WeekRecord
from retrospective.wording import count, day_list, listed

MIN_COVERAGE = 0.95
HOURS = 24  # of a day, however long a rehearsal's is
ROUNDING = 1e-6  # of a coverage that stands for whole hours
LOAD = "request_rate"


def too_little(week: WeekRecord) -> Iterator[Reason]:
    """Data without which nobody can say that the release is fine."""
    absent = sorted((*week.missing, *week.partial, *week.empty))
    if absent:
        yield not_assessable(
            f"{count(len(week.present), 'complete daily summary', 'complete daily summaries')} of {LAST_DAY} "
            f"({day_list(absent)} missing, partial or without data)",
            f"Collect {day_list(absent)} while Prometheus still has the data",
            "stability/ holds seven complete daily summaries",
            DAYS,
        )
    yield from _dead(week)
    yield from _coverage(week)
    if not any(has_values(row) for row in deciding(week.rows)):
        yield not_assessable(
            "no KPI could be compared with a baseline",
            "Run the regression analysis on a GA summary and daily summaries that hold KPIs",
            "regression_summary.json holds a row with a value on both sides",
        )
    if week.slos and not any(is_decided(slo) for slo in week.slos):
        yield not_assessable(
            "the one objective could not be assessed"
            if len(week.slos) == 1
            else f"none of the {len(week.slos)} objectives could be assessed",
            "Give the objectives' KPIs the events that they count",
            "slo_burn_down.json: the verdict of one objective is pass or fail",
        )


def _coverage(week: WeekRecord) -> Iterator[Reason]:
    coverage = week.coverage
    done_when = f"day summaries of the next week: coverage is at least {MIN_COVERAGE}"
    if coverage is None:
        evidence = "the files do not state how much of the week was observed"
        yield not_assessable(evidence, "Collect the week again with summaries that state their coverage", done_when)
    elif coverage < MIN_COVERAGE:
        unseen = unseen_kpis(week)
        evidence = f"of the expected samples {format_value(100 * coverage, '%')} are there, less than the 95 % needed"
        if unseen:
            evidence += f"; without data: {listed(unseen, 3)}"
        collect = f"Collect {listed(unseen, 3)}, or leave out with `only:` what the service does not have"
        yield not_assessable(evidence, collect if unseen else "Close the gaps in the collection", done_when)


def unseen_kpis(week: WeekRecord) -> list[str]:
    """KPIs that were asked for and had no data on any day. Cost is not observed; it has prices or has none."""
    return [kpi for kpi in week.kpis if not week.values(kpi) and week.about(kpi).category != "cost"]


def not_assessable(evidence: str, action: str, done_when: str, family: str = "data") -> Reason:
    return Reason("NEEDS ATTENTION", "not assessable", "P1", family, evidence, action, done_when)


def _dead(week: WeekRecord) -> Iterator[Reason]:
    """Nothing of the service at the end of the window: it may be gone, and nobody would see."""
    since = ending(week)
    if since and since.keys() >= own_kpis(week):
        yield not_assessable(
            f"nothing of the service was seen at the end of day {LAST_DAY}, since {_clock(max(since.values()))}",
            "Find out whether the service still runs",
            "Prometheus holds samples of the service again",
        )


def own_kpis(week: WeekRecord) -> set[str]:
    """The service's own KPIs, those that had data in the week."""
    return {kpi for kpi in week.kpis if week.values(kpi) and week.about(kpi).category not in NOT_ITS_OWN}


def ending(week: WeekRecord) -> dict[str, datetime]:
    """KPI → since when nothing was seen of it at the end of day 7, for an hour or more."""
    last = next((day for day in week.days if day.day_number == LAST_DAY), None)
    dark = {kpi: _dark_hours(last, kpi) for kpi in week.kpis if week.values(kpi)} if last is not None else {}
    return {kpi: week.end - hours * week.calendar.day / HOURS for kpi, hours in dark.items() if hours > 0}


def _dark_hours(day: DaySummary, kpi: str) -> int:
    """Hours without data at the end of the day, no more than are missing from the coverage. A ratio or a quantile has
    none without traffic either: then none are dark where there was no request. A day that ends in maintenance has none.
    """
    if kpi not in day.kpis or len(day.kpis[kpi].hourly) != HOURS or _ends_in_maintenance(day):
        return 0
    found, load = day.kpis[kpi], day.kpis.get(LOAD)
    dark = len(list(itertools.takewhile(lambda value: value is None, reversed(found.hourly))))
    idle = load is not None and any(value == 0 for value in load.hourly[HOURS - dark :])
    if idle and found.kind in {"ratio", "quantile"}:
        return 0
    return min(dark, math.floor((1 - found.coverage) * HOURS + ROUNDING))


def _ends_in_maintenance(day: DaySummary) -> bool:
    return day.window is not None and any(window.end >= day.window.end for window in day.maintenance)


def _clock(instant: datetime) -> str:
    return f"{instant:%H:%M} UTC on {instant:%Y-%m-%d}"


def unseen(week: WeekRecord) -> Iterator[Reason]:
    """What is not known, and keeps a week without findings from being called excellent."""
    yield from _not_tested(week)
    yield from _maintained(week)
    yield from _gone(week)
    yield from _never_seen(week)
    yield from _source_warned(week)
    undecided = [slo.slo_name for slo in week.slos if not is_decided(slo)]
    if undecided and len(undecided) < len(week.slos):
        yield _watch(
            f"{listed(undecided)} could not be assessed",
            f"Make {listed(undecided)} assessable: the SLO Compliance Summary says what is missing",
            "slo_burn_down.json of the next week: each verdict is pass or fail",
        )
    if not week.slos:
        yield _watch(
            "no objective was assessed", "Define an objective in the release file", "slo_burn_down.json holds one"
        )
    if not week.values(INCIDENTS):
        yield _watch(
            "critical alerts were not observed",
            "Give the alerting rules a severity label and watch `critical_incident_count`",
            f"day summaries of the next week: {INCIDENTS} is not null",
        )


def _gone(week: WeekRecord) -> Iterator[Reason]:
    """KPIs that were there in the week and were not at its end."""
    since = ending(week)
    if not since or since.keys() >= own_kpis(week):
        return
    names = listed(list(since), 3)
    yield _watch(
        f"at the end of day {LAST_DAY} there was no data of {names}, since {_clock(min(since.values()))}",
        f"Find out why the data of {names} ended",
        f"day summaries of the next week: {names} up to the end of the day",
    )


def _never_seen(week: WeekRecord) -> Iterator[Reason]:
    """KPIs that were asked for and never seen; too many of them have a reason of their own, in the coverage."""
    never = [kpi for kpi in unseen_kpis(week) if not _was_observed(week, kpi)]
    if never and (week.coverage is None or week.coverage >= MIN_COVERAGE):
        yield _watch(
            f"{listed(never, 3)} had no data on any day",
            f"Collect {listed(never, 3)}, or leave out with `only:` what the service does not have",
            f"day summaries of the next week: {listed(never, 3)} with a value",
        )


def _was_observed(week: WeekRecord, kpi: str) -> bool:
    """Whether its samples are there, and a value is not: without traffic a ratio has none."""
    return any(kpi in day.kpis and day.kpis[kpi].coverage >= MIN_KPI_COVERAGE for day in week.all_days)


def _source_warned(week: WeekRecord) -> Iterator[Reason]:
    warned = {day.day_number: day.source_warnings[0] for day in week.all_days if day.source_warnings}
    if warned:
        yield _watch(
            f"the source warned on {day_list(warned)}, so its answers may not be whole: "
            f"{warned[min(warned)].rstrip('.')}",
            f"Look into the source's warnings of {day_list(warned)}",
            "day summaries of the next week: `source_warnings` is empty",
        )


def _not_tested(week: WeekRecord) -> Iterator[Reason]:
    """KPIs that were not tested against the week before GA. Those that changed a lot have a reason of their own."""
    rows = [row for row in deciding(week.rows) if has_values(row)]
    untested = [row.metric_name for row in rows if row.real is None and size(row) <= LARGE]
    if not any(row.baseline == "week_before" for row in rows):
        yield _watch(
            "nothing could be compared with a week before GA, so a defect that came with the release cannot be seen",
            "Keep Prometheus' data for at least 15 days, so that the week before GA can be pulled",
            "ga_kpis/pre_release_summary.json of the next release holds seven days",
        )
    elif untested:
        yield _watch(
            f"{count(len(untested), 'KPI')} could not be tested against the week before GA: {listed(untested, 3)}",
            f"Look at {listed(untested, 3)} by hand",
            "regression_summary.json of the next release: `real` is true or false for each",
        )


def _maintained(week: WeekRecord) -> Iterator[Reason]:
    if week.maintained:
        yield _watch(
            f"nothing of {day_list(week.maintained)} was judged, because all of it is maintenance",
            f"Look at {day_list(week.maintained)} by hand",
            "day summaries of the next week: `maintenance_seconds` is less than the day on every day",
        )


def _watch(evidence: str, action: str, done_when: str) -> Reason:
    return Reason("STABLE", "watch", "P2", "data", evidence, action, done_when)
