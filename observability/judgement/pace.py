"""How fast the error budgets burn, now and before GA, when they are gone, and what an hour of waiting costs.

At a burn rate of 1 the 30-day budget lasts 30 · 24 hours, whatever the traffic is: so an hour at a burn rate r costs
100 · r / 720 per cent of it, at the traffic of that day. (Google SRE workbook, ch. 5, "Alerting on SLOs".) Hours are
hours of the clock, also where a rehearsal has shortened the days.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from observability.artifacts import DaySummary, PreReleaseSummary, SloDay
from observability.judgement.objectives import allowed_events
from observability.judgement.slo import BUDGET_DAYS, MIN_EVENTS
from observability.verdicts import SloBurnDown, Waiting

PERIOD_H = BUDGET_DAYS * 24
MIN_COVERAGE = 0.5  # a day of which less was seen says nothing about the pace
LAST_DAYS = 2  # one bad day is no pace
CLEARLY = 2.0  # times the pace before GA, from which on a burn rose clearly: a rollback would halve it


@dataclass(frozen=True)
class Burn:
    """One day of an objective: bad events, how many the budget allowed, and the hours of the day that were seen."""

    day: int
    bad: float
    total: float
    allowed: float
    hours: float

    @property
    def rate(self) -> float:
        return self.bad / self.allowed

    @property
    def bad_per_hour(self) -> float:
        return self.bad / self.hours


@dataclass(frozen=True)
class Pace:
    """One objective's burn, day by day: before GA, and from the GA day on; ``hours`` are those of the counted days."""

    slo: SloBurnDown
    before: tuple[Burn, ...]
    after: tuple[Burn, ...]
    hours: float

    @property
    def rate_before(self) -> float | None:
        """Of the week before GA, from its counts; None with too few events to say."""
        allowed = math.fsum(day.allowed for day in self.before)
        too_few = math.fsum(day.total for day in self.before) < MIN_EVENTS
        return None if too_few or allowed == 0 else math.fsum(day.bad for day in self.before) / allowed

    @property
    def lasting_rate(self) -> float | None:
        """The burn rate that each of the last two counted days reached; None with fewer days."""
        return min(day.rate for day in self.after[-LAST_DAYS:]) if len(self.after) >= LAST_DAYS else None

    @property
    def spent(self) -> float | None:
        """The share of the 30-day budget that is spent; 5 is five budgets."""
        return None if self.slo.burn_rate is None else self.slo.burn_rate * self.hours / PERIOD_H

    def hours_left(self, rate: float) -> float | None:
        """At that burn rate. 0: the budget is gone. None: nothing burns, or what is spent is not known."""
        if self.spent is None or (rate <= 0 and self.spent < 1):
            return None
        return (1 - self.spent) * PERIOD_H / rate if self.spent < 1 else 0.0

    @property
    def lasting_hours_left(self) -> float | None:
        """At the slower rate of the last two counted days; None unless both burn faster than the budget lasts."""
        if self.lasting_rate is None or self.lasting_rate <= 1:
            return None
        return self.hours_left(self.lasting_rate)

    @property
    def came_with_release(self) -> bool | None:
        """Whether each of the last two counted days burned clearly faster than the week before GA; None where that is
        not known. A burn that predates GA is not cured by a rollback."""
        return None if self.lasting_rate is None else self.has_risen_to(self.lasting_rate)

    def has_risen_to(self, rate: float) -> bool | None:
        return None if self.rate_before is None else rate >= CLEARLY * self.rate_before


def paces(
    slos: Iterable[SloBurnDown], ga: DaySummary, days: Sequence[DaySummary], before: PreReleaseSummary | None
) -> list[Pace]:
    week = sorted((day for day in (ga, *days) if not day.partial), key=lambda day: day.day_number)
    past = [day for day in (before.days if before else ()) if not day.partial]
    return [Pace(slo, _burns(slo, past), _burns(slo, week), _counted_hours(slo, week)) for slo in slos]


def waiting(found: Iterable[Pace]) -> tuple[Waiting, ...]:
    """What an hour costs of each objective that burned on the last day that was counted, the most expensive first."""
    costs = [_waiting(pace, pace.after[-1]) for pace in found if pace.after and pace.after[-1].bad > 0]
    return tuple(sorted(costs, key=lambda cost: -cost.budget_percent_per_hour))


def worth_telling(found: Iterable[Pace], costs: Iterable[Waiting]) -> Waiting | None:
    """The most expensive of those that burn faster than the budget lasts, or clearly faster than before GA."""
    by_name = {pace.slo.slo_name: pace for pace in found}
    told = (cost for cost in costs if cost.burn_rate > 1 or by_name[cost.slo_name].has_risen_to(cost.burn_rate))
    return next(told, None)


def _waiting(pace: Pace, last: Burn) -> Waiting:
    return Waiting(
        slo_name=pace.slo.slo_name,
        day=last.day,
        burn_rate=last.rate,
        budget_percent_per_hour=100 * last.rate / PERIOD_H,
        bad_events_per_hour=last.bad_per_hour,
        hours_left=pace.hours_left(last.rate),
    )


def _burns(slo: SloBurnDown, days: Iterable[DaySummary]) -> tuple[Burn, ...]:
    """The days of which enough was seen, with enough events to say."""
    found = [
        Burn(day.day_number, one.bad, one.total, allowed_events(one.budget, one.total), _hours(day) * one.coverage)
        for day, one in _of(slo, days)
        if one.bad is not None and one.total is not None and one.total >= MIN_EVENTS and one.coverage >= MIN_COVERAGE
    ]
    return tuple(burn for burn in found if burn.allowed > 0 and burn.hours > 0)


def _counted_hours(slo: SloBurnDown, days: Iterable[DaySummary]) -> float:
    return math.fsum(_hours(day) for day, one in _of(slo, days) if one.bad is not None)


def _of(slo: SloBurnDown, days: Iterable[DaySummary]) -> list[tuple[DaySummary, SloDay]]:
    return [(day, one) for day in days for one in day.slos if one.slo_name == slo.slo_name]


def _hours(day: DaySummary) -> float:
    """Those outside maintenance."""
    return (24.0 if day.window is None else day.window.seconds / 3600) * day.judged_share
