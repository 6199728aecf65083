"""Novelty: has this KPI ever done this? Records of seven signals, n series side by side and one as a river detector."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.detection.bank import LAST, Columns, Reading, Sample, Time, put, rate
from observability.detection.estimator import OneSeries
from observability.model import Array

TICK_S, HOUR_S, HOURS, WEEK_HOURS = 300.0, 3600.0, 24, 168
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

    fast: Time
    middle: Time
    slow: Time
    level: Time
    spread: Time
    hour: Time
    week: Time


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
        threshold: float = 0.05,
    ) -> None:
        self.fast_s, self.level_s = fast_h * HOUR_S, level_h * HOUR_S
        self.young = max(9 * self.fast_s, self.level_s) / TICK_S + 1
        self.hour_memory_s, self.week_memory_s = _memory_s(hour_rate), _memory_s(week_rate)
        self.common, self.clip, self.unit, self.again, self.tire = common, clip, unit, again, tire
        self.warm_up, self.rest, self.recover = (hours * HOUR_S / TICK_S for hours in (warm_up_h, rest_h, recover_h))
        super().__init__(_empty(), n, threshold)

    def _pass(self, state: Any, sample: Sample, learn: bool) -> Reading:
        ticks = np.minimum(sample.elapsed / TICK_S, 1.0)
        clock = state[AGE] + ticks
        scored = sample.new & (state[AGE] >= self.warm_up)
        signals, news = self._signals(state, sample, self._weights(sample.elapsed, ticks, state[AGE]))
        score = self._told(state, self._evidence(state, signals, scored), clock, learn)
        hour = state[_cells(HOUR, HOURS, sample.t)]
        expected = np.where(np.isnan(hour), state[MEAN], hour)
        band = (np.where(scored, row, np.nan) for row in (expected, state[LOW], state[HIGH]))
        reading = Reading(scored, score, *band)
        if learn:
            news += [
                (slice(LOW, HIGH), np.minimum(state[LOW:HIGH], signals)),
                (slice(HIGH, HOUR), np.maximum(state[HIGH:HOUR], signals)),
                (AGE, clock),
                (LAST, sample.t),
            ]
            for row, values in news:
                put(state, row, values, sample)
        return reading

    def _weights(self, elapsed: Time, ticks: Time, age: Array) -> Weights:
        stands_for = ticks * TICK_S
        level, spread = rate(stands_for, self.level_s), rate(stands_for, 9 * self.fast_s)
        if age.min() < self.young:  # at first all samples count alike
            alike = ticks / np.maximum(age + ticks, TINY)
            level, spread = np.maximum(level, alike), np.maximum(spread, alike)
        fast, middle, slow = (rate(stands_for, times * self.fast_s) for times in (1, 3, 9))
        visit = np.minimum(elapsed, HOUR_S)
        return Weights(
            fast, middle, slow, level, spread, rate(visit, self.hour_memory_s), rate(visit, self.week_memory_s)
        )

    def _signals(self, state: Any, sample: Sample, weights: Weights) -> tuple[NDArray[np.float64], list[Any]]:
        """The seven signals, of shape (7, block), and what the rows that they are made from become."""
        y, first = sample.values, state[AGE] == 0
        floor = FLOOR * (np.maximum(state[HIGH], y) - np.minimum(state[LOW], y)) + TINY
        away = np.where(first, 0.0, y - state[MEAN])
        size = np.abs(y)
        signals = np.empty((SIGNALS, y.size))
        signals[VALUE] = y
        signals[SIZE] = y / (np.where(first, size, state[MAGNITUDE]) + floor)
        signals[AWAY] = away
        unusual = np.clip(away / (state[DEVIATION] + floor), -self.clip, self.clip)
        by_hour, hour_news = self._by_hour(state, sample, weights, floor)
        by_week, week_news = self._by_week(state, sample, weights)
        inputs = ((FAST, unusual, weights.fast), (MIDDLE, by_hour, weights.middle), (SLOW, by_hour, weights.slow))
        for signal, z, weight in (*inputs, (WEEKLY, by_week, weights.fast)):
            signals[signal] = _moved(state[SMOOTH + signal], z, weight)
        level_news = [
            (SMOOTHED, signals[FAST:]),
            (MEAN, np.where(first, y, state[MEAN] + weights.level * away)),
            (DEVIATION, _moved(state[DEVIATION], np.abs(away), weights.level)),
            (MAGNITUDE, _moved(state[MAGNITUDE], size, weights.level)),
        ]
        return signals, [*level_news, *hour_news, *week_news]

    def _by_hour(self, state: Any, sample: Sample, weights: Weights, floor: Array) -> tuple[Array, list[Any]]:
        cells, spreads = _cells(HOUR, HOURS, sample.t), _cells(HOUR_SPREAD, HOURS, sample.t)
        expected, spread, common = state[cells], state[spreads], state[SPREAD]
        seen = ~np.isnan(expected)
        e = np.where(seen, sample.values - expected, 0.0)
        size = np.abs(e)
        z = np.clip(e / (spread + self.common * common + floor), -self.clip, self.clip)
        return z, [
            (cells, np.where(seen, expected + weights.hour * e, sample.values)),
            (spreads, np.where(seen, _moved(spread, size, weights.hour), common)),
            (SPREAD, np.where(seen, _moved(common, size, weights.spread), common)),
        ]

    def _by_week(self, state: Any, sample: Sample, weights: Weights) -> tuple[Array, list[Any]]:
        cells = _cells(WEEK, WEEK_HOURS, sample.t)
        expected = state[cells]
        seen = ~np.isnan(expected)
        e = np.where(seen, sample.values - expected, 0.0)
        return e, [(cells, np.where(seen, expected + weights.week * e, sample.values))]

    def _evidence(self, state: Any, signals: NDArray[np.float64], scored: NDArray[np.bool_]) -> Array:
        """How much the sample is a record of its signals, of shape (block,)."""
        broken = ((signals < state[LOW:HIGH]) | (signals > state[HIGH:HOUR])) & scored
        signal, column = np.nonzero(broken)
        if not signal.size:
            return np.zeros(scored.size)
        ends = (signals[signal, column], state[LOW + signal, column], state[HIGH + signal, column])
        y, low, high = (np.where(signal == SIZE, np.arcsinh(end), end) for end in ends)
        excess = np.maximum(y - high, low - y)
        share = np.minimum(excess / (high - low), WIDEST)
        is_more = excess > SAME * np.maximum(np.abs(low), np.abs(high))
        surprise = np.where(is_more, np.log1p(share / self.unit), 0.0)
        return np.bincount(column, surprise, scored.size)

    def _told(self, state: Any, evidence: Array, clock: Array, learn: bool) -> Array:
        """The score: the evidence, less what was told before."""
        score = np.zeros(evidence.size)
        rows = np.flatnonzero(evidence)
        if not rows.size:
            return score
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
        return score


def _empty() -> Array:
    empty = np.zeros(ROWS)
    empty[[LAST, TOLD_AT]] = -np.inf
    empty[LOW:HIGH], empty[HIGH:HOUR] = np.inf, -np.inf
    empty[HOUR:HOUR_SPREAD] = empty[WEEK:] = np.nan
    return empty


def _memory_s(share: float) -> float:
    """The memory of a bin that takes in this share of an hour's samples per visit; all of it, and it has none."""
    return HOUR_S / -np.log(1.0 - min(share, 0.999))


def _cells(base: int, bins: int, t: Time) -> Any:
    """The bin's row, or the row and the column of each series where they have different times."""
    which = np.floor(t / HOUR_S) % bins
    return base + int(which) if np.ndim(t) == 0 else (base + which.astype(int), np.arange(which.size))


def _moved(mean: Array, value: Array, weight: Time) -> Array:
    return mean + weight * (value - mean)
