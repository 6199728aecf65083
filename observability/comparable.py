"""Which days compare with each other, where maintenance left a part of them out or not all of them was seen."""

from __future__ import annotations

import math
from collections.abc import Iterable

from observability.artifacts import DaySummary, MaintenanceWindow
from observability.model import Window

LOAD_KPI = "request_rate"  # what the traffic is measured by
HOURS = 24  # of a day, however long a rehearsal's is
LEAST_JUDGED = 0.5  # share of a day outside maintenance, below which it is not compared
MOST_OTHER_HOURS = 2.0
WITH_THE_CLOCK = frozenset({"rate", "gauge", "utilisation"})  # kinds of KPIs that follow the traffic through the day


def is_mostly_judged(day: DaySummary) -> bool:
    """Whether at least half of the day is outside maintenance."""
    return day.judged_share >= LEAST_JUDGED


def has_same_hours(one: DaySummary, other: DaySummary, name: str) -> bool:
    """Whether the two days are of the same hours, as far as that matters for the KPI.

    What is a share or a quantile of requests compares anyway. What runs with the clock does not: a day without its
    night looks busier than a whole one. Two hours that only one of the days lacks are let pass: where no hour is above
    twice the day's mean, they move that mean by at most 1/11, which is less than the 10 % of a drift.
    """
    kpi = one.kpis.get(name) or other.kpis.get(name)
    if kpi is None or kpi.kind not in WITH_THE_CLOCK or one.window is None or other.window is None:
        return True
    lost = zip(_lost(one, one.window, name), _lost(other, other.window, name), strict=True)
    return math.fsum(abs(mine - its) for mine, its in lost) <= MOST_OTHER_HOURS * one.window.seconds / HOURS


def _lost(day: DaySummary, window: Window, name: str) -> list[float]:
    """How many seconds of each 24th of the day do not count for the KPI: for maintenance, or all for want of data."""
    lost, hourly = _maintained(window, day.maintenance), day.kpis[name].hourly if name in day.kpis else ()
    for number in (number for number, value in enumerate(hourly) if value is None):
        lost[number] = window.seconds / HOURS
    return lost


def _maintained(day: Window, windows: Iterable[MaintenanceWindow]) -> list[float]:
    """How many seconds of each 24th of the day are maintenance."""
    lost, hour, told = [0.0] * HOURS, (day.end - day.start) / HOURS, day.start
    for window in sorted(windows, key=lambda window: window.start):
        start, told = max(window.start, told), max(window.end, told)  # what two windows share is lost once
        for number in range(HOURS):
            begin = day.start + number * hour
            lost[number] += max((min(told, begin + hour) - max(start, begin)).total_seconds(), 0.0)
    return lost
