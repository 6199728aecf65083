"""One KPI of the week against one baseline: paired days and hours, and their changes, in the KPI's badness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from statistics import median

import numpy as np

from observability.artifacts import DaySummary, KpiSummary
from observability.comparable import HOURS, WITH_THE_CLOCK, has_same_hours, is_mostly_judged
from observability.definitions import Kind
from observability.judgement.badness import (
    NOTHING,
    Matrix,
    bad_hours,
    bad_value,
    events,
    is_good_share,
    log_ratio,
    middle,
    padded,
    relative,
    relative_change,
    whole_of,
)
from observability.judgement.baseline import Baseline, Days
from observability.judgement.level import REAL_CHANGE, hodges_lehmann, is_beyond
from observability.judgement.load import AtLoad, Paired, at_load, dependence
from observability.judgement.summary import worse
from observability.model import DAYS_BEFORE, LAST_DAY

MIN_COVERAGE = 0.5  # a day of which less was seen is not compared
MIN_HOURS = 12  # of a day that both sides must have
LAST_BIT = 1 - 1e-9  # 100 − 99.9 is a little less than 0.1
ALL_DAYS = range(-DAYS_BEFORE, LAST_DAY + 1)


@dataclass(frozen=True)
class Pair:
    """A day since GA and its partner."""

    number: int
    day: DaySummary
    partner: DaySummary


@dataclass(frozen=True)
class Comparison:
    """One KPI of the days since GA (0 is the GA day) against one baseline. ``load``: the KPI that counts the requests
    on which this one depends; None where there is none."""

    name: str
    kpi: KpiSummary  # of any day: its unit, direction and kind
    baseline: Baseline
    since: Days
    load: str | None

    # What was there

    @cached_property
    def before(self) -> float | None:
        return middle(kpi.value for kpi in self.past)

    @cached_property
    def after(self) -> float | None:
        return middle(kpi.value for kpi in self.now)

    @cached_property
    def past(self) -> list[KpiSummary]:
        """Of the baseline's days, those with a value of which enough was seen."""
        return self._seen(self.baseline.days)

    @cached_property
    def now(self) -> list[KpiSummary]:
        """Of the days after the GA day, those that the baseline speaks of."""
        week = self.baseline.partners if self.baseline.is_one_pair else self.since
        return self._seen([self.since[number] for number in week if number > 0])

    @property
    def _week(self) -> list[DaySummary]:
        return [day for number, day in self.since.items() if number > 0]

    @cached_property
    def candidates(self) -> list[Pair]:
        """The days and partners of both of which enough was seen to have a value."""
        partners = self.baseline.partners
        found = [Pair(n, day, partners[n]) for n, day in sorted(self.since.items()) if n in partners]
        return [pair for pair in found if self._of(pair.day) is not None and self._of(pair.partner) is not None]

    @cached_property
    def pairs(self) -> list[Pair]:
        """Those that compare: both of the same hours, or with at least half a day of hours in common."""
        return [pair for pair in self.candidates if self._compares(pair)]

    @property
    def of_other_hours(self) -> int:
        """How many days have a partner of which other hours were seen, so that they do not compare."""
        return sum(pair.number > 0 for pair in self.candidates) - len(self._after_ga)

    @cached_property
    def numbers(self) -> list[int]:
        """The days after the GA day that are compared."""
        return [number for number in self.ratios if number > 0]

    def _compares(self, pair: Pair) -> bool:
        if self.kpi.kind not in WITH_THE_CLOCK or has_same_hours(pair.partner, pair.day, self.name):
            return True
        before, after = (padded(day.kpis[self.name].hourly) for day in (pair.partner, pair.day))
        return int((~np.isnan(before) & ~np.isnan(after)).sum()) >= MIN_HOURS

    # Hour by hour; rows of 24 hours by the number of the day since GA, NaN where there is no pair or no data

    @cached_property
    def observed(self) -> Matrix:
        """Badness of the days since GA, shape (8, 24)."""
        return self._by_number({pair.number: self._badness(pair.day) for pair in self.pairs})

    @cached_property
    def measured(self) -> Matrix:
        """Badness of their partners, shape (8, 24)."""
        return self._by_number({pair.number: self._badness(pair.partner) for pair in self.pairs})

    @cached_property
    def at_load(self) -> AtLoad | str:
        """The partners' hours at the traffic of the week, or why they cannot be known."""
        depends = dependence(self.kpi.category, self.kpi.kind)
        if depends == "none":
            return AtLoad(self.measured)
        pool = [day for day in self.baseline.days if self._of(day) is not None]
        hours = Paired(
            observed=self.observed,
            expected=self.measured,
            load_observed=self._by_number({pair.number: self._loads(pair.day) for pair in self.pairs}),
            load_expected=self._by_number({pair.number: self._loads(pair.partner) for pair in self.pairs}),
            pool=np.array([self._badness(day) for day in pool]).reshape(-1, HOURS),
            pool_load=np.array([self._loads(day) for day in pool]).reshape(-1, HOURS),
        )
        return at_load(hours, depends, self.kpi.direction, REAL_CHANGE)

    @cached_property
    def expected(self) -> Matrix:
        """What the week is held against, shape (8, 24)."""
        return self.measured if isinstance(self.at_load, str) else self.at_load.expected

    @cached_property
    def whole(self) -> Matrix:
        """Badness of all days, shape (15, 24): the seven before GA and the eight since; NaN for a day without data."""
        found = {day.day_number: day for day in (*self.baseline.days, *self.since.values())}
        rows = [self._badness(found[n]) if n in found and self._of(found[n]) else NOTHING for n in ALL_DAYS]
        return np.array(rows)

    @cached_property
    def counts(self) -> tuple[Matrix, Matrix, Matrix, Matrix] | None:
        """Of a share of events: bad and all events of the baseline's days, and of the days after GA, by hour; each of
        shape (days, 24). None for anything else, or without hourly counts."""
        if self.kpi.kind != Kind.RATIO:
            return None
        sides = (
            list({id(pair.partner): pair.partner for pair in self.pairs}.values()),
            [pair.day for pair in self.pairs if pair.number > 0],
        )
        found = [events([day.kpis[self.name] for day in days]) for days in sides]
        if any(np.isnan(total).all() for _, total in found):
            return None
        return (*found[0], *found[1])

    # Day by day

    @cached_property
    def ratios(self) -> dict[int, float]:
        """Day → natural logarithm of its ratio to what is expected; 0 below the floor, ±inf from or to nothing."""
        return {
            pair.number: 0.0 if self._is_below_floor(pair) else self._plain[pair.number]
            for pair in self.pairs
            if pair.number in self._plain
        }

    @cached_property
    def _plain(self) -> dict[int, float]:
        """The same without the floor. Of what runs with the clock, and of all at another load, over the hours that both
        sides have; of counts and quantiles else the days' own. A day without such an hour has none."""
        both = ~np.isnan(self.observed) & ~np.isnan(self.expected)
        hours = both.sum(axis=1).tolist()
        before, after = (np.where(both, side, 0.0).sum(axis=1).tolist() for side in (self.expected, self.observed))
        found = {}
        for pair in self.pairs:
            n = pair.number
            if self._is_as_measured and (self.kpi.kind not in WITH_THE_CLOCK or not hours[n]):
                found[n] = log_ratio(*self._bad(pair))
            elif hours[n]:
                found[n] = log_ratio(before[n], after[n])
        return found

    @cached_property
    def _is_as_measured(self) -> bool:
        return isinstance(self.at_load, str) or self.at_load.basis == "as measured"

    @cached_property
    def daily(self) -> Matrix:
        """The same by the number of the day, shape (8,); NaN for a day without a pair, or from or to nothing."""
        found = [self.ratios.get(number, math.nan) for number in range(LAST_DAY + 1)]
        return np.where(np.isfinite(found), found, np.nan)

    @cached_property
    def log_change(self) -> float | None:
        """Of days 1 to 7: of what counts as a change, or where nothing does of what there is. Infinite where half of
        the days are from or to nothing."""
        counted = self._centre([self.ratios[number] for number in self.numbers])
        return self._centre([self._plain[number] for number in self.numbers]) if counted == 0 else counted

    @cached_property
    def change(self) -> float | None:
        """The same as a relative change; infinite from nothing to something."""
        if self.log_change is None or math.isfinite(self.log_change):
            return None if self.log_change is None else relative(self.log_change)
        return relative_change(*(median(side) for side in zip(*map(self._bad, self._after_ga), strict=True)))

    @property
    def last_ratio(self) -> float | None:
        """Of the last day that is compared, 0 below the floor."""
        return self.ratios[self.numbers[-1]] if self.numbers else None

    @cached_property
    def pooled(self) -> tuple[float, float] | None:
        """Of a share of events: that of the bad ones among all that were counted, before and after, in its unit."""
        if self.counts is None:
            return None
        bad, total, bad_after, total_after = (float(np.nansum(side)) for side in self.counts)
        whole = whole_of(self.kpi)
        return (whole * bad / total, whole * bad_after / total_after) if total > 0 and total_after > 0 else None

    @property
    def is_uneven(self) -> bool:
        """Whether the week's share of bad events moved for the worse, by more than 10 % and the floor, and the median
        day's did not: then some days are bad and others are not."""
        if self.pooled is None or self.floor is None:
            return False
        before, after = self.pooled
        moved = 100 / whole_of(self.kpi) * (after - before)
        large = abs(moved) >= self.floor * LAST_BIT and is_beyond(relative_change(before, after))
        change = None if self.below_floor else self.change
        is_told = change is not None and change * moved > 0 and is_beyond(change)
        return large and self.is_worse_by(moved) and not is_told

    @property
    def is_finite(self) -> bool:
        """Whether none of the days after the GA day is from or to nothing, but for what lies below the floor."""
        return all(math.isfinite(self.ratios[number]) for number in self.numbers)

    def _centre(self, ratios: list[float]) -> float | None:
        """Hodges and Lehmann's, but the median where days below the floor count as 0, or where some have no ratio."""
        if not ratios or self.kpi.kind == Kind.RATIO or not all(map(math.isfinite, ratios)):
            return middle(ratios)
        return float(hodges_lehmann(np.array(ratios)))

    @cached_property
    def points(self) -> float | None:
        """Of a share of events: the median of the days' differences of the bad share, in percentage points."""
        if self.kpi.kind != Kind.RATIO:
            return None
        return middle(100 / whole_of(self.kpi) * (after - before) for before, after in map(self._bad, self._after_ga))

    @cached_property
    def _after_ga(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.number > 0]

    # What it means

    @property
    def start(self) -> datetime | None:
        """The GA instant, as the days say it."""
        first = next(iter(self.since.values()), None)
        if first is None or first.window is None:
            return None
        return first.window.start - first.day_number * (first.window.end - first.window.start)

    @cached_property
    def floor(self) -> float | None:
        """Percentage points by which a share of events must move to have moved; None for anything else."""
        if self.kpi.kind != Kind.RATIO:
            return None
        days = [day for day in (*self.baseline.days, *self.since.values()) if self.name in day.kpis]
        return min(day.share_floor(self.name) for day in days)

    @property
    def below_floor(self) -> bool:
        """Whether the change is beyond 10 %, and of too small a part of all events to count."""
        counted = middle(self.ratios[number] for number in self.numbers)
        return self.floor is not None and counted == 0 and self.change is not None and is_beyond(self.change)

    @property
    def is_worse(self) -> bool:
        return self.change is not None and self.is_worse_by(self.change)

    def is_worse_by(self, change: float) -> bool:
        return worse(-change if self.good_share else change, self.kpi.direction)

    @property
    def size_percent(self) -> float:
        """How far the KPI moved the wrong way (either way for a two-sided one), in per cent; 0 where it did not."""
        if self.change is None or self.below_floor or not self.is_worse:
            return 0.0
        return 100 * abs(self.change)

    @cached_property
    def good_share(self) -> bool:
        """Whether the KPI is a share of good events, of which the bad share is compared."""
        return is_good_share(self.kpi)

    @property
    def before_at_least(self) -> bool:
        """Whether the figure before is only a lower bound: one of the days is, and lies no higher."""
        return _is_bound(self.past, self.before)

    @property
    def after_at_least(self) -> bool:
        return _is_bound(self.now, self.after)

    @property
    def coverage(self) -> float | None:
        days = [day for day in self._week if not day.is_all_maintenance]
        seen = [day.kpis[self.name].coverage for day in days if self.name in day.kpis]
        return math.fsum(seen) / len(seen) if seen else None

    # How

    @cached_property
    def sides(self) -> tuple[list[KpiSummary], list[KpiSummary]]:
        """The KPI on the partners' days, each once, and on those after the GA day that are compared."""
        past = {id(pair.partner): pair.partner for pair in self._after_ga}  # one may be the partner of all days
        return [day.kpis[self.name] for day in past.values()], [pair.day.kpis[self.name] for pair in self._after_ga]

    def _of(self, day: DaySummary) -> KpiSummary | None:
        """Not of a day of which too little was seen, or too much is maintenance."""
        found = day.kpis.get(self.name) if is_mostly_judged(day) else None
        return None if found is None or found.coverage < MIN_COVERAGE or found.value is None else found

    def _seen(self, days: Iterable[DaySummary]) -> list[KpiSummary]:
        return [kpi for kpi in map(self._of, days) if kpi is not None]

    def _bad(self, pair: Pair) -> tuple[float, float]:
        return bad_value(pair.partner.kpis[self.name]), bad_value(pair.day.kpis[self.name])

    def _is_below_floor(self, pair: Pair) -> bool:
        past, now = self._bad(pair)
        return self.floor is not None and abs(now - past) < whole_of(self.kpi) * self.floor / 100 * LAST_BIT

    def _badness(self, day: DaySummary) -> Matrix:
        return bad_hours(day.kpis[self.name])

    def _loads(self, day: DaySummary) -> Matrix:
        return padded(day.kpis[self.load].hourly) if self.load is not None and self.load in day.kpis else NOTHING

    def _by_number(self, rows: Mapping[int, Matrix]) -> Matrix:
        return np.array([rows.get(number, NOTHING) for number in range(LAST_DAY + 1)])


def _is_bound(days: Iterable[KpiSummary], level: float | None) -> bool:
    return any(kpi.at_least and kpi.value is not None and level is not None and kpi.value <= level for kpi in days)
