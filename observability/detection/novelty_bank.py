"""The bank of ``Novelty``, where the formulas stand: n series side by side."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.detection.bank import (
    BLOCK,
    HOUR_S,
    LAST,
    Columns,
    Sample,
    Time,
    cells,
    moved,
    put,
    rate,
    require_positive,
)
from observability.model import Array

TICK_S, HOURS, WEEK_HOURS = 300.0, 24, 168
FLOOR = 1e-3  # of the range so far: what a scale is at least
SAME = 1e-9  # of the larger end of a range: what a record must exceed it by, so that rounding makes none
WIDEST = 10.0  # widths outside the range so far, beyond which more says nothing more; also where there is no width
TINY = 1e-300  # keeps 0/0 a number

VALUE, SIZE, AWAY, FAST, MIDDLE, SLOW, WEEKLY = range(7)  # the signals
SIGNALS = 7  # the last four are smoothed
# The rows of the state: of the series, its smoothed signals, the ranges of all signals, and the bins.
AGE, MEAN, DEVIATION, MAGNITUDE, SPREAD, FATIGUE, TOLD, TOLD_AT = range(LAST + 1, LAST + 9)
SMOOTHED = slice(TOLD_AT + 1, TOLD_AT + 5)
SMOOTH = SMOOTHED.start - FAST
LOW = SMOOTHED.stop
HIGH = LOW + SIGNALS
HOUR = HIGH + SIGNALS
HOUR_SPREAD = HOUR + HOURS
WEEK = HOUR_SPREAD + HOURS
ROWS = WEEK + WEEK_HOURS


class Weights(NamedTuple):
    """What the newest sample counts in each memory: one weight for all series, or one each."""

    ticks: Time  # what it stands for
    fast: Time
    middle: Time
    slow: Time
    level: Time
    spread: Time
    hour: Time
    week: Time


class Records(NamedTuple):
    """Which signal of which series left its range, to where, and what the range was; arrays of one length."""

    signal: NDArray[np.intp]
    column: NDArray[np.intp]
    y: Array
    low: Array
    high: Array


class NoveltyBank(Columns):
    """``Novelty`` of n series: see there for the formulas, the parameters and the state."""

    def __init__(
        self,
        n: int,
        fast_h: float = 0.8,
        level_h: float = 48.0,
        hour_rate: float = 0.35,
        week_rate: float = 0.6,
        common: float = 0.1,
        clip: float = 10.0,
        unit: float = 0.075,
        warm_up_h: float = 2.0,
        rest_h: float = 8.5,
        again: float = 2.5,
        tire: float = 0.2,
        recover_h: float = 168.0,
        threshold: float = 0.055,
    ) -> None:
        require_positive(locals())
        self.fast_s, self.level_s = fast_h * HOUR_S, level_h * HOUR_S
        self.young = max(9 * self.fast_s, self.level_s) / TICK_S + 1
        self.hour_memory_s, self.week_memory_s = _memory_s(hour_rate), _memory_s(week_rate)
        self.common, self.unit, self.again, self.tire = common, unit, again, tire
        self.warm_up, self.rest, self.recover = (hours * HOUR_S / TICK_S for hours in (warm_up_h, rest_h, recover_h))
        self._last_weights = math.nan, self._weights_after(TICK_S)
        self.scratch = np.empty((SIGNALS, min(n, BLOCK)))
        self.most, self.least = np.full(min(n, BLOCK), clip), np.full(min(n, BLOCK), -clip)
        super().__init__(_empty(), n, threshold)

    def _pass(self, state: Any, sample: Sample, learn: bool) -> Array:
        youngest = state[AGE].min()
        weights = self._weights(sample.elapsed)
        if youngest < self.young:
            weights = _alike_at_first(weights, state[AGE])
        signals, news = self._signals(state, sample, weights, youngest == 0)
        clock = state[AGE] + weights.ticks
        score = np.zeros(clock.size)
        records = _records(state, signals, sample)
        if records.signal.size:
            self._tell(state, records, self._is_scored(state, sample), clock, score, learn)
        if learn:
            _widen(state, records)
            for row, values in (*news, (AGE, clock), (LAST, sample.t)):
                put(state, row, values, sample)
        return score

    def _is_scored(self, state: Any, sample: Sample) -> NDArray[np.bool_]:
        warm: NDArray[np.bool_] = state[AGE] >= self.warm_up
        return sample.new & warm

    def _band(self, state: Any, sample: Sample) -> tuple[Array, Array, Array]:
        hour = state[cells(HOUR, HOURS, sample.hours)]
        return np.where(np.isnan(hour), state[MEAN], hour), state[LOW + VALUE], state[HIGH + VALUE]

    def _weights(self, elapsed: Time) -> Weights:
        if not isinstance(elapsed, float):
            return self._weights_after(elapsed)
        if self._last_weights[0] != elapsed:  # mostly the step is the same
            self._last_weights = elapsed, self._weights_after(elapsed)
        return self._last_weights[1]

    def _weights_after(self, elapsed: Time) -> Weights:
        visit, stands_for = np.minimum(elapsed, HOUR_S), np.minimum(elapsed, TICK_S)
        fast, middle, slow = (rate(stands_for, times * self.fast_s) for times in (1, 3, 9))
        hour, week = rate(visit, self.hour_memory_s), rate(visit, self.week_memory_s)
        return Weights(stands_for / TICK_S, fast, middle, slow, rate(stands_for, self.level_s), slow, hour, week)

    def _signals(
        self, state: Any, sample: Sample, weights: Weights, has_first: bool
    ) -> tuple[NDArray[np.float64], list[Any]]:
        """The seven signals, of shape (7, block), and what the rows that they are made from become."""
        y, signals = sample.values, self.scratch[:, : sample.values.size]
        floor = state[HIGH] - state[LOW]
        floor *= FLOOR
        floor += TINY
        size, magnitude = np.abs(y), state[MAGNITUDE]
        signals[VALUE] = y
        away = np.subtract(y, state[MEAN], out=signals[AWAY])
        if has_first:  # which is where it is expected, and as large
            first = state[AGE] == 0
            floor[first], away[first] = TINY, 0.0
            magnitude = np.where(first, size, magnitude)
        np.divide(y, np.maximum(magnitude + floor, FLOOR * size + TINY), out=signals[SIZE])
        unusual = self._clipped(away / (state[DEVIATION] + floor))
        by_hour, hour_news = self._by_hour(state, sample, weights, floor)
        by_week, week_news = _by_week(state, sample, weights)
        inputs = ((FAST, unusual, weights.fast), (MIDDLE, by_hour, weights.middle), (SLOW, by_hour, weights.slow))
        for signal, z, weight in (*inputs, (WEEKLY, by_week, weights.fast)):
            moved(state[SMOOTH + signal], z, weight, out=signals[signal])
        mean = moved(state[MEAN], y, weights.level)
        deviation = moved(state[DEVIATION], np.abs(away), weights.level)
        level_news = [(MEAN, mean), (DEVIATION, deviation), (MAGNITUDE, moved(magnitude, size, weights.level))]
        return signals, [(SMOOTHED, signals[FAST:]), *level_news, *hour_news, *week_news]

    def _by_hour(self, state: Any, sample: Sample, weights: Weights, floor: Array) -> tuple[Array, list[Any]]:
        """The deviation from the hour of the day, in scales, clipped; and the bins' news."""
        hour, spreads = cells(HOUR, HOURS, sample.hours), cells(HOUR_SPREAD, HOURS, sample.hours)
        spread, common = state[spreads], state[SPREAD]
        e, unseen, mean = _against(state[hour], sample.values, weights.hour)
        size = np.abs(e)
        scale = common * self.common
        scale += spread
        scale += floor
        new_spread, new_common = moved(spread, size, weights.hour), moved(common, size, weights.spread)
        if unseen is not None:
            new_spread, new_common = np.where(unseen, common, new_spread), np.where(unseen, common, new_common)
        return self._clipped(e / scale), [(hour, mean), (spreads, new_spread), (SPREAD, new_common)]

    def _clipped(self, z: Array) -> Array:
        np.minimum(z, self.most[: z.size], out=z)  # against arrays, which takes less time than against a number
        np.maximum(z, self.least[: z.size], out=z)
        return z

    def _surprise(self, records: Records) -> Array:
        """How far outside the ranges the records are."""
        y, low, high = (np.where(records.signal == SIZE, np.arcsinh(end), end) for end in records[2:])
        excess = np.maximum(y - high, low - y)
        share = np.minimum(excess / (high - low), WIDEST)
        is_more = excess > SAME * np.maximum(np.abs(low), np.abs(high))
        return np.where(is_more, np.log1p(share / self.unit), 0.0)

    def _tell(
        self, state: Any, records: Records, scored: NDArray[np.bool_], clock: Array, score: Array, learn: bool
    ) -> None:
        """Where there are records, the score becomes their evidence, less what was told before."""
        evidence = np.bincount(records.column, self._surprise(records), scored.size)
        rows = np.flatnonzero((evidence > 0) & scored)
        found, now = evidence[rows], clock[rows]
        since = now - state[TOLD_AT, rows]
        fatigue = state[FATIGUE, rows] * 0.5 ** (since / self.recover)
        before = np.where(since > self.rest, 0.0, state[TOLD, rows])
        left = found - self.tire * np.log1p(fatigue)
        tells = (left > 0) & (found > self.again * before)
        score[rows[tells]] = left[tells]
        if learn:
            for row, values in ((FATIGUE, fatigue + found - before), (TOLD, found), (TOLD_AT, now)):
                state[row, rows[tells]] = values[tells]


def _records(state: Any, signals: NDArray[np.float64], sample: Sample) -> Records:
    broken = signals < state[LOW:HIGH]
    broken |= signals > state[HIGH:HOUR]
    if not sample.whole:
        broken &= sample.new
    signal, column = np.divmod(np.flatnonzero(broken), sample.values.size)
    low, high = state[LOW + signal, column], state[HIGH + signal, column]
    return Records(signal, column, signals[signal, column], low, high)


def _alike_at_first(weights: Weights, age: Array) -> Weights:
    """While a series is young its samples count alike in the longer memories."""
    alike = weights.ticks / np.maximum(age + weights.ticks, TINY)
    return weights._replace(level=np.maximum(weights.level, alike), spread=np.maximum(weights.spread, alike))


def _by_week(state: Any, sample: Sample, weights: Weights) -> tuple[Array, list[Any]]:
    """The difference from the hour of the week, and the bin's news."""
    at = cells(WEEK, WEEK_HOURS, sample.hours)
    e, _, mean = _against(state[at], sample.values, weights.week)
    return e, [(at, mean)]


def _against(expected: Array, y: Array, weight: Time) -> tuple[Array, NDArray[np.bool_] | None, Array]:
    """How far off a bin's mean the values are, which of the bins are new (none: None), and what their means become."""
    e = y - expected
    if not np.isnan(e.sum()):
        return e, None, expected + weight * e
    unseen = np.isnan(expected)
    e[unseen] = 0.0
    return e, unseen, np.where(unseen, y, expected + weight * e)


def _widen(state: Any, records: Records) -> None:
    """The ranges take the records in."""
    state[LOW + records.signal, records.column] = np.minimum(records.low, records.y)
    state[HIGH + records.signal, records.column] = np.maximum(records.high, records.y)


def _empty() -> Array:
    empty = np.zeros(ROWS)
    empty[[LAST, TOLD_AT]] = -np.inf
    empty[LOW:HIGH], empty[HIGH:HOUR] = np.inf, -np.inf
    empty[HOUR:HOUR_SPREAD] = empty[WEEK:] = np.nan
    return empty


def _memory_s(share: float) -> float:
    """The memory of a bin that takes in this share of an hour's samples per visit; all of it, and it has none."""
    return HOUR_S / -math.log(1.0 - min(share, 0.999))
