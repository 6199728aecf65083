"""What the week cost, from the daily costs, and where to look first. No cost data, no advice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Literal

from observability.artifacts import CostDay, DaySummary
from observability.report import CostAnalysis
from observability.units import format_value
from retrospective.changes import DRIFT
from retrospective.record import WeekRecord, percent_change
from retrospective.wording import both, moved

COST = "estimated_cost_per_hour"
PARTS = ("compute", "storage", "network", "other")
HALVES = ((1, 2, 3), (5, 6, 7))  # day 4 is the middle and belongs to neither
MIN_HALF_DAYS = 2
TREND_PERCENT = 10.0


def analyse_cost(week: WeekRecord) -> CostAnalysis:
    """Totals over days 1 to 7, those with a cost; ``cost_breakdown`` is per day, so it adds up to the daily average."""
    daily = [cost for cost in (_total(week, day) for day in week.days) if cost is not None]
    ga_cost = _total(week, week.ga)
    return CostAnalysis(
        ga_day_cost=ga_cost,
        seven_day_total_cost=math.fsum(daily) if daily else None,
        daily_average_cost=fmean(daily) if daily else None,
        cost_trend=_trend(_halves({day.day_number: _total(week, day) for day in week.days})),
        cost_breakdown={part: _average(week, part) for part in PARTS},
        cost_optimization_recommendations=tuple(_advice(week, ga_cost, fmean(daily))) if daily else (),
        currency=_currency(week),
        days_counted=len(daily),
        note=_note(week, len(daily)),
    )


def _total(week: WeekRecord, day: DaySummary) -> float | None:
    """The day's cost; in files without a breakdown, its cost per hour times its hours."""
    if day.cost is not None:
        return day.cost.total
    per_hour = day.value(COST)
    return None if per_hour is None else per_hour * week.calendar.day.total_seconds() / 3600


def _part(day: DaySummary, part: str) -> float | None:
    cost: float | None = getattr(day.cost, part) if day.cost is not None else None
    return cost


def _average(week: WeekRecord, part: str) -> float | None:
    costs = [cost for cost in (_part(day, part) for day in week.days) if cost is not None]
    return fmean(costs) if costs else None


def _halves(costs: Mapping[int, float | None]) -> tuple[float, float] | None:
    """Daily averages of the week's two halves; None where one has too few days."""
    halves = [[cost for day in half if (cost := costs.get(day)) is not None] for half in HALVES]
    if any(len(half) < MIN_HALF_DAYS for half in halves):
        return None
    return fmean(halves[0]), fmean(halves[1])


def _trend(halves: tuple[float, float] | None) -> Literal["increasing", "stable", "decreasing", "unknown"]:
    """The documents' rule: the second half averages 10 % above (or below) the first."""
    if halves is None or halves[0] <= 0:
        return "unknown"
    change = percent_change(*halves)
    return "increasing" if change >= TREND_PERCENT else "decreasing" if change <= -TREND_PERCENT else "stable"


def _currency(week: WeekRecord) -> str | None:
    costs: list[CostDay] = [day.cost for day in week.all_days if day.cost is not None]
    return costs[0].currency if costs else None


def _note(week: WeekRecord, days: int) -> str | None:
    if days == 0:
        reason = next((d.kpis[COST].note for d in week.all_days if COST in d.kpis and d.kpis[COST].note), None)
        return f"No cost: {reason}." if reason else "No cost: the summaries hold none; give the release file `prices:`."
    if _currency(week) is None:
        return "The files state a cost per hour without a currency or a breakdown; a day is its hours times that."
    return None


def _advice(week: WeekRecord, ga_cost: float | None, daily: float) -> Iterator[str]:
    yield from _largest(week, daily)
    yield from _grown(week)
    yield from _more_than_before(week, ga_cost, daily)
    yield from _per_million(week)


def _largest(week: WeekRecord, daily: float) -> Iterator[str]:
    parts = {part: cost for part in PARTS if (cost := _average(week, part)) is not None}
    if len(parts) > 1 and daily > 0:
        part = max(parts, key=lambda name: parts[name])
        amounts = f"{_money(week, parts[part])} of {_money(week, daily)}"
        yield f"Look at {part} first: it is {100 * parts[part] / daily:.0f} % of the daily cost ({amounts})"


def _grown(week: WeekRecord) -> Iterator[str]:
    for part in PARTS:
        halves = _halves({day.day_number: _part(day, part) for day in week.days})
        if halves is not None and _trend(halves) == "increasing":
            amounts = both(*halves, _currency(week) or "")
            change = moved(percent_change(*halves))
            yield f"Find out why {part} {change} from days 1–3 to days 5–7 ({amounts} a day)"


def _more_than_before(week: WeekRecord, ga_cost: float | None, daily: float) -> Iterator[str]:
    """Against the week before GA where its cost is known, because a week has cheap days; else against the GA day."""
    past = [cost for day in week.past if (cost := _total(week, day)) is not None]
    name, before = ("a day of the week before GA", fmean(past)) if past else ("the GA day", ga_cost)
    if before is not None and before > 0 and percent_change(before, daily) > DRIFT:
        amounts = both(before, daily, _currency(week) or "")
        yield f"Find out why a day costs {percent_change(before, daily):.0f} % more than {name} ({amounts})"


def _per_million(week: WeekRecord) -> Iterator[str]:
    """The cost of a million requests against the week before GA: the same weekdays, so the same mix of busy days."""
    before, after = _unit_cost(week, week.past), _unit_cost(week, week.days)
    if before is not None and after is not None and percent_change(before, after) > DRIFT:
        amounts = both(before, after, _currency(week) or "")
        change = f"{percent_change(before, after):.0f} %"
        yield f"Find out why a million requests cost {change} more than in the week before GA ({amounts})"


def _unit_cost(week: WeekRecord, days: Sequence[DaySummary]) -> float | None:
    """Cost per million requests over the days that have both; None where that is nothing."""
    known = [(_total(week, day), day.value("request_rate")) for day in days]
    counted = [(cost, rate) for cost, rate in known if cost is not None and rate is not None]
    requests = math.fsum(rate for _, rate in counted) * week.calendar.day.total_seconds()
    cost = math.fsum(cost for cost, _ in counted)
    return 1e6 * cost / requests if requests > 0 and cost > 0 else None


def _money(week: WeekRecord, amount: float) -> str:
    return format_value(amount, _currency(week) or "")
