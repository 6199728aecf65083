"""What the days of a week cost, from their summaries: totals, averages, trend, and the cost of a million requests.

Amounts are in the currency of the days, and a day is as long as its window (24 h in files without one). Partial days
are left out, and so are days of which less than half was seen. What drove a change is ``judgement.cost``'s question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal, get_args

from observability.artifacts import DaySummary, PreReleaseSummary
from observability.units import format_duration
from observability.verdicts import CostReport, DailyCost, Resource

Trend = Literal["increasing", "stable", "decreasing", "unknown"]

COST, TRAFFIC = "estimated_cost_per_hour", "request_rate"
RESOURCES: tuple[Resource, ...] = get_args(Resource)
HALVES = ((1, 2, 3), (5, 6, 7))  # day 4 is the middle and belongs to neither
MIN_HALF_DAYS = 2
TREND_PERCENT = 10.0
MIN_COVERAGE = 0.5  # a day of which less was seen has no cost, and no number of requests
DAY_S = 86_400.0
NO_CURRENCY = "a currency that is not named"


def week_costs(ga: DaySummary, days: Sequence[DaySummary], before: PreReleaseSummary | None) -> CostReport:
    """The days' costs and what they come to over days 1 to 7; ``drivers`` is left empty.

    The currency is that of the GA day and the days after it. Where they have several, nothing is added up; days before
    GA in another one are left out. Both are said in ``note``, as is a resource that has a price on some days only:
    then totals of other days do not compare, and there is no trend.
    """
    past = [day for day in (before.days if before else ()) if not day.partial]
    week = [day for day in (ga, *days) if not day.partial]
    currencies = _currencies(week)
    if len(currencies) > 1:
        return CostReport(currency=None, note=f"The days' costs are in {_listed(currencies)}, so nothing is added up.")
    in_other = [day for day in past if not _currencies([day]) <= currencies]
    found = {day.day_number: daily_cost(day) for day in (*past, *week) if day not in in_other}
    after = [cost for number, cost in found.items() if number > 0]
    known, earlier = _known(after), _known(cost for number, cost in found.items() if number < 0)
    percent = trend_percent(known, "total") if len(priced(known)) <= 1 else None
    return CostReport(
        currency=next(iter(currencies), None),
        days=tuple(found[number] for number in sorted(found)),
        ga_day=found[0].total if 0 in found else None,
        week_total=math.fsum(totals(known)) if known else None,
        daily_average=fmean(totals(known)) if known else None,
        breakdown=breakdown(known),
        before_daily_average=fmean(totals(earlier)) if earlier else None,
        before_breakdown=breakdown(earlier) if earlier else {},
        trend=trend(percent),
        trend_percent=percent,
        per_million_requests=_unit_cost(week, known),
        before_per_million_requests=_unit_cost(past, earlier),
        days_counted=len(known),
        note=" ".join(_notes(week, after, known, _listed(_currencies(in_other)), currencies)) or None,
    )


def daily_cost(day: DaySummary) -> DailyCost:
    """One day's cost by resource; without a breakdown, the cost per hour times the day's hours."""
    if _too_little_seen(day, COST):
        return DailyCost(day=day.day_number, total=None)
    total, requests = total_cost(day), requests_of(day)
    unit = 1e6 * total / requests if total is not None and requests else None
    parts: dict[str, float | None] = {r: getattr(day.cost, r) for r in RESOURCES} if day.cost is not None else {}
    return DailyCost(day=day.day_number, total=total, **parts, per_million_requests=unit)


def total_cost(day: DaySummary) -> float | None:
    if day.cost is not None:
        return day.cost.total
    per_hour = day.value(COST)
    return None if per_hour is None else per_hour * _seconds(day) / 3600


def requests_of(day: DaySummary) -> float | None:
    """How many requests the whole day had: what was counted over the seconds that it took, times the day's length.

    With its maintenance, because the cost is of all hours. None without data.
    """
    kpi = day.kpis.get(TRAFFIC)
    if kpi is None or kpi.value is None or _too_little_seen(day, TRAFFIC):
        return None
    rate = kpi.value if kpi.numerator is None or not kpi.denominator else kpi.numerator / kpi.denominator
    if kpi.with_maintenance is not None and kpi.value > 0:
        rate *= kpi.with_maintenance / kpi.value
    return rate * _seconds(day)


def trend_percent(days: Iterable[DailyCost], part: str) -> float | None:
    """Days 5 to 7 against days 1 to 3, in per cent; None with fewer than two days in a half, or from nothing."""
    halves = half_averages(days, part)
    return 100 * (halves[1] - halves[0]) / halves[0] if halves is not None and halves[0] > 0 else None


def half_averages(days: Iterable[DailyCost], part: str) -> tuple[float, float] | None:
    """Daily averages of days 1 to 3 and of days 5 to 7; None where a half has fewer than two days."""
    costs: Mapping[int, float | None] = {day.day: getattr(day, part) for day in days}
    first, second = ([cost for day in half if (cost := costs.get(day)) is not None] for half in HALVES)
    return (fmean(first), fmean(second)) if min(len(first), len(second)) >= MIN_HALF_DAYS else None


def trend(percent: float | None) -> Trend:
    """The documents' rule: increasing where the second half averages 10 % above the first."""
    if percent is None:
        return "unknown"
    return "increasing" if percent >= TREND_PERCENT else "decreasing" if percent <= -TREND_PERCENT else "stable"


def breakdown(days: Sequence[DailyCost]) -> dict[Resource, float | None]:
    """Mean per day of each resource; None where not all of the days have a cost of it."""
    parts = {resource: [getattr(day, resource) for day in days] for resource in RESOURCES}
    return {r: fmean(costs) if costs and None not in costs else None for r, costs in parts.items()}


def totals(days: Iterable[DailyCost]) -> list[float]:
    return [day.total for day in days if day.total is not None]


def priced(days: Iterable[DailyCost]) -> set[frozenset[Resource]]:
    """Which resources have a price: one set where it is the same on all of the days that have a cost."""
    return {frozenset(r for r in RESOURCES if getattr(day, r) is not None) for day in _known(days)}


def _known(days: Iterable[DailyCost]) -> list[DailyCost]:
    return [day for day in days if day.total is not None]


def _unit_cost(days: Sequence[DaySummary], costs: Sequence[DailyCost]) -> float | None:
    """Per million requests, over the days that have a cost and requests."""
    requests = {day.day_number: requests_of(day) for day in days}
    pairs = [(day.total, count) for day in costs if day.total is not None and (count := requests.get(day.day))]
    return 1e6 * math.fsum(cost for cost, _ in pairs) / math.fsum(count for _, count in pairs) if pairs else None


def _seconds(day: DaySummary) -> float:
    return DAY_S if day.window is None else day.window.seconds


def _too_little_seen(day: DaySummary, name: str) -> bool:
    return name in day.kpis and day.kpis[name].coverage < MIN_COVERAGE


def _currencies(days: Iterable[DaySummary]) -> set[str | None]:
    return {day.cost.currency if day.cost else None for day in days if total_cost(day) is not None}


def _listed(currencies: Iterable[str | None]) -> str:
    return " and ".join(sorted(NO_CURRENCY if name is None else name for name in currencies))


def _notes(
    week: Sequence[DaySummary],
    after: Sequence[DailyCost],
    known: Sequence[DailyCost],
    others: str,
    currencies: set[str | None],
) -> Iterable[str]:
    if not known:
        yield _no_cost(week)
        return
    if None in currencies:
        length = format_duration(_seconds(week[0]))
        yield (
            "The files state a cost per hour without a currency or a breakdown; "
            f"a day is {length.replace('1 day', '24 hours')} of it."
        )
    unknown = [day.day for day in after if day.total is None]
    if unknown:
        named = f"day{'s' if len(unknown) > 1 else ''} {', '.join(map(str, unknown))}"
        reasons = dict.fromkeys(filter(None, (_why_unknown(day) for day in week if day.day_number in unknown)))
        yield f"No cost is known of {named}" + (f" ({'; '.join(reasons)})." if reasons else ".")
    if others:
        yield f"Days before GA are in {others}, and left out."
    some = _priced_on_some(known)
    if some:
        yield f"Not all days have a price of {some}, so their totals do not compare."
    if all(day.per_million_requests is None for day in known):
        yield "No requests were counted, so there is no cost per request."


def _priced_on_some(days: Sequence[DailyCost]) -> str:
    sets = priced(days)
    return ", ".join(r for r in RESOURCES if any(r in one for one in sets) and any(r not in one for one in sets))


def _no_cost(days: Sequence[DaySummary]) -> str:
    reason = next(filter(None, map(_why_unknown, days)), None)
    return f"No cost: {reason or 'the summaries hold none; give the release file `prices:`'}."


def _why_unknown(day: DaySummary) -> str | None:
    """Why a day has no cost, as far as its summary says so."""
    if day.cost is not None and day.cost.note:
        return day.cost.note
    if _too_little_seen(day, COST) and total_cost(day) is not None:
        return "less than half of it was seen"
    return day.kpis[COST].note if COST in day.kpis else None
