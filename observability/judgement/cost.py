"""What the week cost, and what drove its change against the week before GA.

The change of the daily cost is split so that its parts add up. Compute and network are paid for work, and are split
into *traffic* (more requests at the old cost per request, ``C₀ · (R₁/R₀ − 1)``) and *per request* (``C₁ − C₀ · R₁/R₀``;
C: cost of a day, R: its requests, before and after). Storage is paid for what lies there and the other costs are a
fixed price, so they do not follow the requests of the day, and count as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from observability.artifacts import DaySummary, PreReleaseSummary
from observability.costs import RESOURCES, priced, requests_of, total_cost, week_costs
from observability.model import DAYS_BEFORE
from observability.units import format_change, format_value
from observability.verdicts import CostDriver, CostReport, DailyCost, Resource

PER_REQUEST: frozenset[Resource] = frozenset({"compute", "network"})
MIN_PAIRS = 5  # same weekdays, as for any KPI against the week before GA


@dataclass(frozen=True)
class Sides:
    """Mean days before and after GA, of the same weekdays. ``load`` is R₁/R₀, None where it is not known or from 0."""

    before: Sequence[DailyCost]
    after: Sequence[DailyCost]
    load: float | None
    currency: str

    def costs(self, part: str) -> tuple[float, float]:
        before, after = (fmean(getattr(day, part) for day in side) for side in (self.before, self.after))
        return before, after


def cost_report(ga: DaySummary, days: Sequence[DaySummary], before: PreReleaseSummary | None) -> CostReport | None:
    """The costs with their drivers; None where no day has a cost.

    Drivers compare days 1 to 7 with the same weekdays before GA, those that have a cost on both sides: at least five.
    Where there are none, ``note`` says why.
    """
    every = [*(before.days if before else ()), ga, *days]
    if all(total_cost(day) is None for day in every):
        return None
    report = week_costs(ga, days, before)
    if report.daily_average is None:
        return report
    pairs = _pairs(report.days)
    obstacle = _obstacle(pairs)
    if obstacle is not None:
        return report.model_copy(update={"note": " ".join(filter(None, [report.note, obstacle]))})
    drivers = sorted(_drivers(_sides(pairs, every, report.currency)), key=lambda driver: -abs(driver.change_per_day))
    return report.model_copy(update={"drivers": tuple(drivers)})


def _pairs(days: Sequence[DailyCost]) -> list[tuple[DailyCost, DailyCost]]:
    """Each day after the GA day with the same weekday before it, where both have a cost."""
    known = [day for day in days if day.total is not None]
    weekdays = {day.day % DAYS_BEFORE: day for day in known if day.day < 0}
    return [
        (weekdays[day.day % DAYS_BEFORE], day) for day in known if day.day > 0 and day.day % DAYS_BEFORE in weekdays
    ]


def _obstacle(pairs: Sequence[tuple[DailyCost, DailyCost]]) -> str | None:
    if len(pairs) < MIN_PAIRS:
        return (
            f"What drove the cost is not known: {len(pairs)} weekdays have a cost both before and after GA, "
            f"and it takes {MIN_PAIRS}."
        )
    sets = priced(day for pair in pairs for day in pair)
    if len(sets) > 1:
        odd = [name for name in RESOURCES if any(name in one for one in sets) and any(name not in one for one in sets)]
        return f"What drove the cost is not known: {' and '.join(odd)} had no price on some of the days."
    return None


def _sides(pairs: Sequence[tuple[DailyCost, DailyCost]], every: Iterable[DaySummary], currency: str | None) -> Sides:
    requests = {day.day_number: requests_of(day) for day in every if not day.partial}
    before, after = ([requests.get(pair[side].day) for pair in pairs] for side in (0, 1))
    known = None not in before and None not in after
    first, second = (math.fsum(count or 0.0 for count in side) for side in (before, after))
    return Sides(
        before=[pair[0] for pair in pairs],
        after=[pair[1] for pair in pairs],
        load=second / first if known and first > 0 and second > 0 else None,
        currency=currency or "",
    )


def _drivers(sides: Sides) -> Iterator[CostDriver]:
    """Those that changed. Where the resources do not add up to the total, the total is split as one."""
    parts: list[Resource] = [name for name in RESOURCES if getattr(sides.after[0], name) is not None]
    split = {name: sides.costs(name) for name in parts}
    total = sides.costs("total")
    if not parts or not all(math.isclose(math.fsum(pair[n] for pair in split.values()), total[n]) for n in (0, 1)):
        yield from _of_part(sides, "all resources", total, follows_requests=True)
        return
    for name, pair in split.items():
        yield from _of_part(sides, name, pair, follows_requests=name in PER_REQUEST)


def _of_part(sides: Sides, name: str, pair: tuple[float, float], *, follows_requests: bool) -> Iterator[CostDriver]:
    before, after = pair
    if before == after and (sides.load is None or not follows_requests):
        return
    if not follows_requests or sides.load is None:
        reason = "not by the request" if not follows_requests else "no number of requests to split it by"
        yield CostDriver(name=name, change_per_day=after - before, why=f"{_amounts(sides, *pair)}; {reason}")
        return
    expected = before * sides.load
    traffic = f"{format_value(sides.load, '')} times the requests at the old cost: {_amounts(sides, before, expected)}"
    unit = f"{_amounts(sides, expected, after)} at the same requests{_percent(expected, after)}"
    if sides.load != 1:
        yield CostDriver(name=f"{name}: traffic", change_per_day=expected - before, why=traffic)
    if after != expected:
        yield CostDriver(name=f"{name}: per request", change_per_day=after - expected, why=unit)


def _amounts(sides: Sides, before: float, after: float) -> str:
    return f"{format_value(before, '')} → {format_value(after, sides.currency)} a day"


def _percent(before: float, after: float) -> str:
    return f" ({format_change((after - before) / before)})" if before > 0 else ""
