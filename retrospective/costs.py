"""What the week cost, as the report has it, and where to look first. No cost data, no advice."""

from __future__ import annotations

from collections.abc import Iterator

from observability.costs import RESOURCES, half_averages, trend, trend_percent, week_costs
from observability.report import CostAnalysis
from observability.units import format_value
from observability.verdicts import CostDriver, CostReport
from retrospective.changes import DRIFT
from retrospective.record import WeekRecord, percent_change
from retrospective.wording import both, listed, moved

MOST_DRIVERS = 3  # named in a sentence


def analyse_cost(week: WeekRecord) -> CostAnalysis:
    """Totals over days 1 to 7, those with a cost; ``cost_breakdown`` is per day, so it adds up to the daily average."""
    cost = week_costs(week.ga, week.days, week.before)
    return CostAnalysis(
        ga_day_cost=cost.ga_day,
        seven_day_total_cost=cost.week_total,
        daily_average_cost=cost.daily_average,
        cost_trend=cost.trend,
        cost_breakdown={resource: cost.breakdown.get(resource) for resource in RESOURCES},
        cost_optimization_recommendations=tuple(_advice(cost, _drivers(week, cost))),
        currency=cost.currency,
        days_counted=cost.days_counted,
        note=cost.note,
    )


def _drivers(week: WeekRecord, cost: CostReport) -> tuple[CostDriver, ...]:
    """Those of the regression analysis, if it was made from the same days."""
    found = week.regression.cost if week.regression is not None else None
    return found.drivers if found is not None and found.days == cost.days else ()


def _advice(cost: CostReport, drivers: tuple[CostDriver, ...]) -> Iterator[str]:
    if cost.daily_average is None:
        return
    yield from _largest(cost, cost.daily_average)
    yield from _grown(cost)
    yield from _more_than_before(cost, cost.daily_average, drivers)
    yield from _per_million(cost)


def _largest(cost: CostReport, daily: float) -> Iterator[str]:
    parts = {part: amount for part, amount in cost.breakdown.items() if amount is not None}
    if len(parts) > 1 and daily > 0:
        part = max(parts, key=lambda name: parts[name])
        amounts = f"{_money(cost, parts[part])} of {_money(cost, daily)}"
        yield f"Look at {part} first: it is {100 * parts[part] / daily:.0f} % of the daily cost ({amounts})"


def _grown(cost: CostReport) -> Iterator[str]:
    week = [day for day in cost.days if day.day > 0]
    for part in RESOURCES:
        percent, halves = trend_percent(week, part), half_averages(week, part)
        if halves is not None and percent is not None and trend(percent) == "increasing":
            amounts = both(*halves, cost.currency or "")
            yield f"Find out why {part} {moved(percent)} from days 1–3 to days 5–7 ({amounts} a day)"


def _more_than_before(cost: CostReport, daily: float, drivers: tuple[CostDriver, ...]) -> Iterator[str]:
    """Against the week before GA where its cost is known, because a week has cheap days; else against the GA day."""
    name, before = "a day of the week before GA", cost.before_daily_average
    if before is None:
        name, before = "the GA day", cost.ga_day
    if before is not None and before > 0 and percent_change(before, daily) > DRIFT:
        amounts = both(before, daily, cost.currency or "")
        text = f"Find out why a day costs {percent_change(before, daily):.0f} % more than {name} ({amounts})"
        yield text + _driven_by(cost, drivers)


def _driven_by(cost: CostReport, drivers: tuple[CostDriver, ...]) -> str:
    signs = [f"{d.name} {'+' if d.change_per_day > 0 else ''}{_money(cost, d.change_per_day)}" for d in drivers]
    return f", by {listed(signs, MOST_DRIVERS)}" if signs else ""


def _per_million(cost: CostReport) -> Iterator[str]:
    """The cost of a million requests against the week before GA: the same weekdays, so the same mix of busy days."""
    before, after = cost.before_per_million_requests, cost.per_million_requests
    if before is not None and after is not None and before > 0 and percent_change(before, after) > DRIFT:
        amounts = both(before, after, cost.currency or "")
        change = f"{percent_change(before, after):.0f} %"
        yield f"Find out why a million requests cost {change} more than in the week before GA ({amounts})"


def _money(cost: CostReport, amount: float) -> str:
    return format_value(amount, cost.currency or "")
