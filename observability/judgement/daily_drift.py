"""How far one day's KPIs moved the wrong way: against the same weekday before GA, else against the GA day.

The GA day is part of the release, so it does not show what was shipped at GA. Where the traffic rose by more than a
tenth, it excuses CPU, memory, connections and cost as far as they followed it through the hours of the day that is
compared with (``elasticity``): a leak at twice the traffic stays a leak. Where those hours allow several answers, the
least and the most drift are given. One day proves nothing: this feeds the day's health, and no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.comparable import WITH_THE_CLOCK, has_same_hours, is_mostly_judged
from observability.definitions import Direction
from observability.judgement.badness import padded
from observability.judgement.elasticity import following
from observability.judgement.summary import UNEXPECTED_DRIFT_PERCENT, drift_percent, same_buckets, worse
from observability.model import DAYS_BEFORE
from observability.units import format_value

LOAD_KPI = "request_rate"
MORE_TRAFFIC = 1.1  # times, from which on it explains a part of what follows it
FOLLOWS_TRAFFIC = frozenset({"resources", "database", "redis", "network", "cost"})  # categories, of these kinds:
LEVELS = frozenset({"gauge", "utilisation", "cost"})
SAME = 0.0005  # of a factor: what the figures do not show
MIN_COVERAGE = 0.5  # a day of which less was seen is no baseline
FAILURES = frozenset({"errors", "availability"})

WEEKDAY, GA_DAY = "the same weekday before GA", "the GA day"
NO_BASELINE = "there is no value to compare with: none, 0, of other buckets, or of other hours"
NOT_OVER = "the day is not over, so it does not compare with a whole one"


@dataclass(frozen=True)
class Drift:
    """``sizes``: the least and the most that it can be, in per cent for the worse; 0 where it did not get worse,
    infinite from nothing to something. None where it does not compare."""

    sizes: tuple[float, float] | None
    why: str


def partner_of(day: DaySummary, before: PreReleaseSummary | None) -> DaySummary | None:
    """The same weekday of the week before GA, if the day was over."""
    found = [past for past in (before.days if before else ()) if not past.partial]
    return next((past for past in found if past.day_number % DAYS_BEFORE == day.day_number % DAYS_BEFORE), None)


def drift_of(name: str, day: DaySummary, partner: DaySummary | None, ga: DaySummary | None) -> Drift:
    """The KPI's drift, against the first of the two days that it compares with."""
    kpi = day.kpis[name]
    if kpi.value is None:
        return Drift(None, kpi.note or "no data")
    if day.partial and kpi.kind in WITH_THE_CLOCK | {"cost"}:
        return Drift(None, NOT_OVER)
    past = _baseline(name, day, [past for past in (partner, ga) if past is not None])
    if past is None:
        return _as_collected(kpi) if ga is None else Drift(None, NO_BASELINE)
    known = WEEKDAY if past is partner else GA_DAY
    if kpi.category in FAILURES:
        return _of_failures(name, day, past, known)
    return _of_level(name, day, past, known)


def has_no_traffic(day: DaySummary, past: DaySummary | None) -> bool:
    """Whether the day had no requests, where the other one had some."""
    return day.value(LOAD_KPI) == 0 and past is not None and (past.value(LOAD_KPI) or 0.0) > 0


def _baseline(name: str, day: DaySummary, others: Sequence[DaySummary]) -> DaySummary | None:
    return next((past for past in others if _compares(name, day, past)), None)


def _compares(name: str, day: DaySummary, past: DaySummary) -> bool:
    kpi, first = day.kpis[name], past.kpis.get(name)
    if first is None or first.value is None or first.coverage < MIN_COVERAGE or first.at_least:
        return False
    if first.value == 0 and kpi.value != 0 and kpi.category not in FAILURES:
        return False
    same_hours = day.partial or has_same_hours(day, past, name)
    return same_hours and is_mostly_judged(day) and is_mostly_judged(past) and same_buckets(kpi, first)


def _as_collected(kpi: KpiSummary) -> Drift:
    """Against the GA day as the day's summary has it, where the GA summary itself is not at hand."""
    if kpi.drift_percent is None or kpi.category in FAILURES:
        return Drift(None, NO_BASELINE)
    return _drift(_for_the_worse(kpi.drift_percent, kpi.direction), _told(kpi, kpi.drift_percent, GA_DAY))


def _of_level(name: str, day: DaySummary, past: DaySummary, known: str) -> Drift:
    kpi, before = day.kpis[name], past.kpis[name].value
    percent = drift_percent(kpi.value, before) or 0.0  # from 0 to 0 nothing moved
    why = _told(kpi, percent, known)
    load = _load(day, past) if kpi.category in FOLLOWS_TRAFFIC and kpi.kind in LEVELS else None
    if load == 0:
        return Drift(None, f"{why}; without requests, which it follows, that says nothing")
    size = _for_the_worse(percent, kpi.direction)
    if size > 0 and load is not None and load > MORE_TRAFFIC and kpi.direction is Direction.LOWER_IS_BETTER:
        return _at_load(size, load, name, past, why)
    return _drift(size, why)


def _at_load(size: float, load: float, name: str, past: DaySummary, why: str) -> Drift:
    """What the traffic leaves of a rise, by how the KPI followed it through the other day's hours."""
    least, most = _explained(load, name, past)
    low, high = (max(0.0, 100 * ((1 + size / 100) / factor - 1)) for factor in (most, least))
    span = f"{100 * (most - 1):+.1f} %"
    if most - least > SAME:
        span = f"{100 * (least - 1):+.1f} to {span}"
    told = f"{why}; at {format_value(load, '')} times the traffic, where {span} is expected by that day's hours"
    if low <= UNEXPECTED_DRIFT_PERCENT < high:
        told += ", so it cannot be told from the traffic"
    return Drift((low, high), told)


def _explained(load: float, name: str, past: DaySummary) -> tuple[float, float]:
    """The least and the most times by which the KPI rises with that many times the traffic. 1 and ``load``, a fixed
    base and so much per request, where the hours do not show it."""
    hours, loads = (padded(past.kpis[kpi].hourly)[np.newaxis] for kpi in (name, LOAD_KPI))
    before = np.array([past.kpis[LOAD_KPI].value], dtype=np.float64)
    factors = [float(factor[0]) for _, factor in following(hours, loads).factors(before, load * before)]
    return min(factors), max(factors)


def _drift(size: float, why: str) -> Drift:
    return Drift((size, size), why)


def _of_failures(name: str, day: DaySummary, past: DaySummary, known: str) -> Drift:
    """By the share of bad events; below the floor of such shares nothing moved."""
    kpi, whole = day.kpis[name], 100.0 if day.kpis[name].unit.startswith("%") else 1.0
    now, before = kpi.value or 0.0, past.kpis[name].value or 0.0
    told = f"{format_value(now, kpi.unit)}, {format_value(before, kpi.unit)} on {known}"
    if kpi.direction is Direction.HIGHER_IS_BETTER:
        now, before = whole - now, whole - before
    if now <= before or now - before < whole * day.share_floor(name) / 100:
        return _drift(0.0, told)
    return _drift(100 * (now - before) / before if before > 0 else math.inf, told)


def _load(day: DaySummary, past: DaySummary) -> float | None:
    """How many times the traffic of the other day; None where that is not known."""
    now, before = day.kpis.get(LOAD_KPI), past.kpis.get(LOAD_KPI)
    if now is None or before is None or now.value is None or not before.value:
        return None
    return now.value / before.value if min(now.coverage, before.coverage) >= MIN_COVERAGE else None


def _for_the_worse(percent: float, direction: Direction) -> float:
    return abs(percent) if worse(percent, direction) else 0.0


def _told(kpi: KpiSummary, percent: float, known: str) -> str:
    return f"{format_value(kpi.value, kpi.unit, kpi.at_least)}, {percent:+.1f} % against {known}"
