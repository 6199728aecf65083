"""What went badly and when: runs of days in which an objective was missed, a KPI was far worse, or an alert fired."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from observability.artifacts import SEVERITIES, DaySummary, Severity
from observability.definitions import Direction
from observability.model import DAYS_BEFORE as WEEK_DAYS
from observability.model import FIRST_DAY, LAST_DAY
from observability.report import Degradation
from observability.units import format_value
from retrospective.changes import LARGE
from retrospective.objectives import ObjectiveWeek
from retrospective.record import INCIDENTS, WeekRecord, change_of, family
from retrospective.wording import count, day_list, listed, runs

BUDGET_DAYS = 30.0  # the usual SLO period (Google SRE workbook, ch. 2)
TICKET_PERCENT = 10.0  # of that budget: what the SRE workbook (ch. 5) opens a ticket for

Outcome = tuple[Literal["resolved", "ongoing", "unknown"], str]


@dataclass(frozen=True)
class Run:
    """Consecutive days on which one thing was wrong."""

    family: str
    days: tuple[int, ...]
    found: Degradation


def degradations(week: WeekRecord) -> tuple[Degradation, ...]:
    """One per run of days, the worst first.

    Severity: an objective's run is critical when it spent the whole 30-day budget, high from 10 % of it, else medium;
    a KPI's is high when it more than doubled, else medium; a critical alert's is critical while it still fires at the
    end of the last day, else high. A KPI's run is left out where a missed objective of the same kind covers its days.
    """
    missed = [run for slos in _same_events(week) for run in _missed(week, slos)]
    covered = {(run.family, day) for run in missed for day in run.days}
    worse = [run for run in _worse(week) if not all((run.family, day) in covered for day in run.days)]
    found = [run.found for run in (*missed, *worse, *_alerts(week))]
    return tuple(sorted(found, key=lambda item: (-SEVERITIES.index(item.severity), item.day_occurred)))


def _same_events(week: WeekRecord) -> list[list[ObjectiveWeek]]:
    """Objectives that count the same events stand together: availability and the error rate are one matter."""
    groups: dict[object, list[ObjectiveWeek]] = {}
    for slo in sorted(week.objectives, key=lambda slo: not slo.counts_bad):
        events = tuple((day, found.bad, found.total, found.compliant) for day, found in slo.days.items())
        known = any(bad is not None for _, bad, _, _ in events)
        groups.setdefault(events if known else slo.name, []).append(slo)
    return list(groups.values())


def _missed(week: WeekRecord, slos: Sequence[ObjectiveWeek]) -> Iterator[Run]:
    slo = slos[0]
    states = {day: found.compliant for day, found in slo.days.items() if day not in week.partial}
    about = week.about(slo.kpi)
    for days in runs(day for day, compliant in states.items() if compliant is False):
        worst = slo.worst(days)
        outcome = _outcome(days, states.get, lambda day: format_value(slo.days[day].value, slo.unit))
        yield Run(
            family(about.category, slo.kpi),
            tuple(days),
            Degradation(
                day_occurred=days[0],
                category=about.category,
                description=f"{listed([s.name for s in slos])}: {_against(slo, worst)}{_worst_of(days)}",
                severity=_budget_severity(slo, days),
                impact=_budget_impact(slo, days),
                resolution_status=outcome[0],
                resolution_details=outcome[1],
                metric_name=slo.kpi,
            ),
        )


def _against(slo: ObjectiveWeek, day: int) -> str:
    text = f"{format_value(slo.days[day].value, slo.unit)} on {day_list([day])} against an objective of {slo.limit}"
    ga = slo.days.get(0)
    if day == 0 or ga is None or ga.value is None:
        return text
    return f"{text}, {format_value(ga.value, slo.unit)} on the GA day"


def _worst_of(days: Sequence[int]) -> str:
    return f", the worst of {day_list(days)}" if len(days) > 1 else ""


def _budget_share(slo: ObjectiveWeek, days: Sequence[int]) -> float | None:
    """What the days spent of the 30-day budget at their traffic, in per cent; None where events were not counted."""
    burns = [burn for burn in map(slo.burn, days) if burn is not None]
    return 100.0 * math.fsum(burns) / BUDGET_DAYS if len(burns) == len(days) else None


def _budget_severity(slo: ObjectiveWeek, days: Sequence[int]) -> Severity:
    share = _budget_share(slo, days)
    if share is None or share < TICKET_PERCENT:
        return "medium"
    return "high" if share < 100.0 else "critical"


def _budget_impact(slo: ObjectiveWeek, days: Sequence[int]) -> str:
    share = _budget_share(slo, days)
    if share is None:
        return f"Objective missed on {count(len(days), 'day')}; the events were not counted"
    found = [slo.days[day] for day in days]
    bad = math.fsum(day.bad for day in found if day.bad is not None)
    total = math.fsum(day.total for day in found if day.total is not None)
    return f"{bad:,.0f} of {total:,.0f} events bad: {format_value(share, '%')} of a 30-day error budget"


def _worse(week: WeekRecord) -> list[Run]:
    """KPIs that were more than 30 % worse than before GA. Those of one family on the same days are one run."""
    together: dict[tuple[str, tuple[int, ...]], dict[str, dict[int, float]]] = {}
    for kpi in week.kpis:
        if kpi == INCIDENTS or week.is_twin(kpi):
            continue
        changes = _changes(week, kpi)
        for days in runs(day for day, change in changes.items() if change > LARGE):
            found = together.setdefault((family(week.about(kpi).category, kpi), tuple(days)), {})
            found[kpi] = {day: changes[day] for day in days}
    return [_worse_run(week, name, days, kpis) for (name, days), kpis in together.items()]


def _changes(week: WeekRecord, kpi: str) -> dict[int, float]:
    """Day → how much worse than its partner, in per cent; negative is better. Two-sided KPIs have no worse."""
    about, values, partners = week.about(kpi), week.values(kpi), _partners(week, kpi)
    if about.direction is Direction.TWO_SIDED:
        return {}
    sign = -1.0 if about.direction is Direction.HIGHER_IS_BETTER and not about.is_ratio else 1.0
    changes = {
        day: change_of(about, before, values[day])
        for day, partner in partners.items()
        if day in values and (before := week.value(partner, kpi)) is not None and week.compares(kpi, partner, day)
    }
    return {day: sign * change for day, change in changes.items() if change is not None}


def _partners(week: WeekRecord, kpi: str) -> dict[int, DaySummary]:
    """Day → the one that it is held against: the same weekday before GA. The GA day is part of the release; it stands
    in where there is no week before, or where the traffic or another obstacle keeps it from being compared."""
    row = next((row for row in week.rows if row.metric_name == kpi and row.baseline == "week_before"), None)
    adjusted = row is not None and (row.basis not in {None, "as measured"} or row.obstacle is not None)
    weekdays = {day.day_number % WEEK_DAYS: day for day in week.past if week.value(day, kpi) is not None}
    if not weekdays or adjusted:
        return dict.fromkeys(range(FIRST_DAY, LAST_DAY + 1), week.ga)
    return {day: weekdays[day % WEEK_DAYS] for day in range(LAST_DAY + 1) if day % WEEK_DAYS in weekdays}


def _worse_run(week: WeekRecord, name: str, days: tuple[int, ...], kpis: Mapping[str, Mapping[int, float]]) -> Run:
    kpi, *others = sorted(kpis, key=lambda name: max(kpis[name].values()), reverse=True)
    changes = kpis[kpi]
    worst = max(days, key=lambda day: (changes[day], -day))
    states = {day: change > LARGE for day, change in _changes(week, kpi).items()}
    outcome = _outcome(
        days, lambda day: None if day not in states else not states[day], lambda day: week.shown(kpi, day)
    )
    partner = _partners(week, kpi)[worst]
    against = "on the GA day" if partner is week.ga else "on the same weekday before GA"
    likewise = [f"{other} ({_more(max(kpis[other].values()))})" for other in others]
    return Run(
        name,
        days,
        Degradation(
            day_occurred=days[0],
            category=week.about(kpi).category,
            description=f"{kpi}: {week.shown(kpi, worst)} on {day_list([worst])} against "
            f"{format_value(week.value(partner, kpi), week.about(kpi).unit)} {against} "
            f"({_more(changes[worst])}{_worst_of(days)})" + (f", likewise {listed(likewise, 3)}" if likewise else ""),
            severity="high" if changes[worst] > 100.0 else "medium",
            impact=f"More than {LARGE:.0f} % worse than {against} for {count(len(days), 'day')}",
            resolution_status=outcome[0],
            resolution_details=outcome[1],
            metric_name=kpi,
        ),
    )


def _more(change: float) -> str:
    return "from 0" if math.isinf(change) else f"{change:,.0f} % worse"


def _alerts(week: WeekRecord) -> Iterator[Run]:
    values = week.values(INCIDENTS)
    for days in runs(day for day, value in values.items() if value > 0):
        still = days[-1] == LAST_DAY and still_firing(week) is True
        details = "Still firing at the end of day 7" if still else "Not firing at the end of day 7"
        outcome = _outcome(days, lambda day: None if day not in values else values[day] == 0, lambda _: "no alert")
        if days[-1] == LAST_DAY:
            outcome = ("ongoing" if still else "resolved", details)
        yield Run(
            "incidents",
            tuple(days),
            Degradation(
                day_occurred=days[0],
                category="incidents",
                description=fired(week, days),
                severity="critical" if still else "high",
                impact=f"Critical alerts on {count(len(days), 'day')}",
                resolution_status=outcome[0],
                resolution_details=outcome[1],
                metric_name=INCIDENTS,
            ),
        )


def fired(week: WeekRecord, days: Sequence[int]) -> str:
    """``1 critical alert on days 1–7 and 3 critical alerts on day 9``: one that goes on over midnight counts once where
    the summaries say how many began; else the days are told, and not the sum of what they saw."""
    return listed([_fired_in(week, run) for run in runs(days)])


def _fired_in(week: WeekRecord, run: Sequence[int]) -> str:
    values, starts = week.values(INCIDENTS), week.starts(week.all_days)
    number = distinct_runs(starts, {day: values[day] for day in run})
    return f"{'critical alerts' if number is None else count(number, 'critical alert')} on {day_list(run)}"


def distinct_runs(starts: Mapping[int, float], values: Mapping[int, float]) -> float | None:
    """Runs seen on the days: those of the first, and those that began later. Days between which one is missing are
    counted each by itself. None where that is not known. A day with more runs than the one before has begun at least
    the difference, be it in maintenance, which counts none as begun."""
    number = 0.0
    for first, *later in runs(values):
        if any(day not in starts for day in later):
            return None
        number += values[first] + math.fsum(max(starts[day], values[day] - values[day - 1]) for day in later)
    return number


def still_firing(week: WeekRecord) -> bool | None:
    """Whether a critical alert fired at the end of the last day: in its last hour where the hours are known."""
    last = next((day for day in week.days if day.day_number == LAST_DAY), None)
    if last is None or week.value(last, INCIDENTS) is None:
        return None
    hourly = last.kpis[INCIDENTS].hourly if INCIDENTS in last.kpis else ()
    if last.maintenance:
        hourly = tuple(value for value in hourly if value is not None)  # the last hour that counts
    known = hourly[-1] if hourly and hourly[-1] is not None else week.value(last, INCIDENTS)
    return known is not None and known > 0


def _outcome(days: Sequence[int], is_fine: Callable[[int], bool | None], shown: Callable[[int], str]) -> Outcome:
    """Resolved where the next day was fine; ongoing where the last day was not; unknown where the next has no data."""
    following = days[-1] + 1
    if following > LAST_DAY:
        return "ongoing", f"Still so on day {LAST_DAY}"
    if is_fine(following) is None:
        return "unknown", f"No data on day {following}"
    return "resolved", f"Recovered on day {following} ({shown(following)})"
