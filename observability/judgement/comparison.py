"""One KPI of the week against one baseline: pairs of days, their changes, and what keeps them from being compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Literal

from observability.artifacts import DaySummary, KpiSummary
from observability.comparable import has_same_hours, is_mostly_judged
from observability.definitions import Direction, Kind
from observability.judgement.summary import worse
from observability.model import DAYS_BEFORE

REAL_CHANGE = 0.10
MIN_COVERAGE = 0.5  # a day of which less was seen is not compared
LAST_DAYS = 2  # a change that the last days no longer show has not persisted
WHOLE_DAY_S = 86_400
LAST_BIT = 1 - 1e-9  # 100 − 99.9 is a little less than 0.1

Role = Literal["week_before", "ga_day"]
Days = Mapping[int, DaySummary]


@dataclass(frozen=True)
class Comparison:
    """One KPI of the week against one baseline, and the arithmetic of their difference."""

    name: str
    kpi: KpiSummary  # of any day: its unit, direction and kind
    role: Role
    past: Days
    week: Days

    @property
    def before(self) -> float | None:
        return middle(kpi.value for kpi in self._seen(self.past))

    @property
    def after(self) -> float | None:
        return middle(kpi.value for kpi in self._seen(self.week))

    @cached_property
    def pairs(self) -> list[tuple[KpiSummary, KpiSummary]]:
        """Each day with a partner of the same hours, after it: the same weekday of the week before, or the GA day."""
        return [
            (partner.kpis[self.name], day.kpis[self.name])
            for partner, day in self._partners
            if has_same_hours(partner, day, self.name)
        ]

    @property
    def of_other_hours(self) -> int:
        """How many days have a partner that they do not compare with, because other hours of it were seen."""
        return len(self._partners) - len(self.pairs)

    @cached_property
    def _partners(self) -> list[tuple[DaySummary, DaySummary]]:
        """Both with a value of the KPI."""
        weekdays = {number % DAYS_BEFORE: day for number, day in self.past.items()}
        found = []
        for number, day in sorted(self.week.items()):
            partner = weekdays.get(number % DAYS_BEFORE) if self.role == "week_before" else self.past.get(0)
            if partner is not None and self._of(partner) is not None and self._of(day) is not None:
                found.append((partner, day))
        return found

    @property
    def is_rehearsed(self) -> bool:
        """Whether the days were shortened."""
        windows = [day.window for day in self.week.values() if day.window is not None]
        return any(window.seconds < WHOLE_DAY_S for window in windows)

    @cached_property
    def floor(self) -> float | None:
        """Percentage points by which a share of events must move to have moved; None for anything else."""
        if self.kpi.kind != Kind.RATIO:
            return None
        days = [day for day in (*self.past.values(), *self.week.values()) if self.name in day.kpis]
        return min(day.share_floor(self.name) for day in days)

    @cached_property
    def changes(self) -> list[float]:
        """Relative change of each pair; 0 below the floor."""
        return [0.0 if self._is_below_floor(*pair) else self._change(*pair) for pair in self.pairs]

    @cached_property
    def change(self) -> float | None:
        """The median of the days' changes: of what counts as a change, or where nothing does of what there is."""
        counted = middle(self.changes)
        return middle(self._change(*pair) for pair in self.pairs) if counted == 0 else counted

    @property
    def below_floor(self) -> bool:
        """Whether the change is beyond 10 %, and of too small a part of all events to count."""
        return middle(self.changes) == 0 and self.change is not None and abs(self.change) > REAL_CHANGE

    @property
    def ratio(self) -> float | None:
        return None if self.change is None else 1.0 + self.change

    @property
    def is_worse(self) -> bool:
        return self.change is not None and self._worse(self.change)

    @property
    def size_percent(self) -> float:
        """How far the KPI moved the wrong way (either way for a two-sided one), in per cent; 0 where it did not."""
        if self.change is None or self.below_floor or not self.is_worse:
            return 0.0
        return 100 * abs(self.change)

    @property
    def persists(self) -> bool:
        """Whether each of the last days that were seen still shows the change."""
        return all(self._worse(change) and abs(change) > REAL_CHANGE for change in self.changes[-LAST_DAYS:])

    @property
    def good_share(self) -> bool:
        """Whether the KPI is a share of good events, of which the bad share is compared."""
        return self.kpi.kind == Kind.RATIO and self.kpi.direction is Direction.HIGHER_IS_BETTER

    @cached_property
    def odd_bounds(self) -> list[float]:
        """Finite bucket bounds that some of the compared days have and others lack: their quantiles do not compare."""
        days: list[set[float]] = [
            set(map(float, kpi.buckets)) for pair in self.pairs for kpi in pair if kpi.buckets is not None
        ]
        return sorted(days[0].union(*days) - days[0].intersection(*days) - {math.inf}) if days else []

    @cached_property
    def beyond(self) -> list[float]:
        """Of the days on which the quantile lies beyond the buckets: the value that it is at least. Empty where that
        does not matter, because the change is for the worse already with the least that it can be."""
        past, week = ([kpi.value for kpi in side if kpi.at_least and kpi.value is not None] for side in self._sides)
        if not past and self.is_worse and self.change is not None and abs(self.change) > REAL_CHANGE:
            return []
        return past + week

    def is_at_least(self, days: Days) -> bool:
        """Whether the median of the days is only a lower bound: one of them is, and lies no higher."""
        found = self._seen(days)
        level = middle(kpi.value for kpi in found)
        return any(kpi.at_least and kpi.value is not None and level is not None and kpi.value <= level for kpi in found)

    @property
    def _sides(self) -> tuple[list[KpiSummary], list[KpiSummary]]:
        past = {id(before): before for before, _ in self.pairs}  # the GA day is the partner of all days
        return list(past.values()), [after for _, after in self.pairs]

    def _worse(self, change: float) -> bool:
        return worse(-change if self.good_share else change, self.kpi.direction)

    def _of(self, day: DaySummary) -> KpiSummary | None:
        """Not of a day of which too little was seen, or too much is maintenance."""
        found = day.kpis.get(self.name) if is_mostly_judged(day) else None
        return None if found is None or found.coverage < MIN_COVERAGE or found.value is None else found

    def _seen(self, days: Days) -> list[KpiSummary]:
        return [kpi for kpi in map(self._of, days.values()) if kpi is not None]

    def _bad(self, before: KpiSummary, after: KpiSummary) -> tuple[float, float]:
        """The two values; of a share of good events, the two shares of bad ones."""
        assert before.value is not None  # days without a value are in no pair
        assert after.value is not None
        if not self.good_share:
            return before.value, after.value
        return self._whole - before.value, self._whole - after.value

    @property
    def _whole(self) -> float:
        return 100.0 if self.kpi.unit.startswith("%") else 1.0

    def _change(self, before: KpiSummary, after: KpiSummary) -> float:
        """Relative; infinite from nothing to something."""
        past, now = self._bad(before, after)
        if past == now:
            return 0.0
        return math.copysign(math.inf, now - past) if past == 0 else (now - past) / abs(past)

    def _is_below_floor(self, before: KpiSummary, after: KpiSummary) -> bool:
        past, now = self._bad(before, after)
        return self.floor is not None and abs(now - past) < self._whole * self.floor / 100 * LAST_BIT


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    found = median(known) if known else None
    return 0.0 if found is not None and math.isnan(found) else found  # half of them from 0 up, half from 0 down
