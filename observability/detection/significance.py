"""Significance: is this sample far from where this KPI is now, and from where it is at this hour?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.detection.bank import HOUR_S, LAST, Columns, NewLevel, Sample, Time, cells, put
from observability.detection.estimator import OneSeries
from observability.model import Array

DAY_S, HOURS = 86_400.0, 24
TO_SIGMA = 1.2533  # √(π/2): the standard deviation over the mean absolute one, of a normal distribution
SAME = 1e-12  # of the series' largest value: what rounding may move it by
TINY = 1e-300  # keeps 0/0 a number
FARTHEST = 200.0  # scales, beyond which more says nothing more
START_UP = 10  # samples that are learned as they are, before any is limited
VISITS = 2  # of an hour of the day, before it is expected to look like that again
GOES_ON = 3.0  # scales on the same side of what is expected: a run of such samples may be a new level
TEACHES = 3  # samples of a run that are learned; what comes then is held back until the run is over or settled
FEWEST = 24  # samples of a run that can be a new level
RESTLESS = 2.0  # scales: a run that spreads more has not settled
PATIENCE = 3  # times ``settle_h``, after which a run is a new level however it spreads

# The rows of the state: of the series, of its run, and of the hours of its day.
COUNT, MEAN, SPREAD, SEASON_SPREAD, SEASON_COUNT, LOW, HIGH, FLOOR, FATIGUE, TIRED, IS_UP = range(LAST + 1, LAST + 12)
RUN, MISSED, SINCE, LASTED, OFFSET, UNREST = range(IS_UP + 1, IS_UP + 7)
HOUR = UNREST + 1
SEEN = HOUR + HOURS
ROWS = SEEN + HOURS

Bools = NDArray[np.bool_]


class Deviation(NamedTuple):
    """What a block's samples are against what is expected of them; arrays of shape (block,), in the series' unit."""

    level: Array  # difference from the level
    hour: Array  # difference from this hour of the day; from the level, where the hour was not seen often enough
    is_daily: Bools | None  # where it was; None: everywhere
    scale: Array
    outside: Array  # signed distance from the interval between level and hour of the day


class Run(NamedTuple):
    """Samples far off on one side: how many, with the sign of the side; how many in a row were not; since when; for how
    many seconds of samples; how far off in the mean, and how much they spread around it."""

    length: Array
    missed: Array
    since: Array
    lasted: Array
    offset: Array
    unrest: Array


class SignificanceBank(Columns):
    """``Significance`` of n series: see there for the formulas, the parameters and the state."""

    def __init__(
        self,
        n: int,
        level_h: float = 2.0,
        level_samples: float = 50.0,
        spread_h: float = 4.0,
        spread_samples: float = 240.0,
        season_days: float = 5.0,
        limit: float = 4.0,
        least: float = 0.005,
        range_days: float = 30.0,
        fatigue_days: float = 30.0,
        settle_h: float = 24.0,
        warm_up: float = 24.0,
        threshold: float = 5.0,
    ) -> None:
        self.level_s, self.level_samples = level_h * HOUR_S, level_samples
        self.spread_s, self.spread_samples = spread_h * HOUR_S, spread_samples
        self.season_days, self.limit, self.least, self.warm_up = season_days, limit, least, warm_up
        self.range_s, self.fatigue_s, self.settle_s = range_days * DAY_S, fatigue_days * DAY_S, settle_h * HOUR_S
        self.young = max(level_samples, spread_samples, START_UP)
        empty = np.zeros(ROWS)
        empty[[LAST, HIGH]], empty[LOW], empty[FLOOR] = -np.inf, np.inf, TINY
        super().__init__(empty, n, threshold)

    def _pass(self, state: Any, sample: Sample, learn: bool) -> Array:
        found = _deviation(state, sample)
        scales = np.minimum(np.abs(found.outside) / found.scale, FARTHEST)
        scored = self._is_scored(state, sample)
        score = np.maximum(scales - state[TIRED], 0.0)
        score *= scored
        if learn:
            is_up = (scales >= self.threshold) & scored
            self._tire(state, is_up)
            held = self._runs(state, sample, found, is_up)
            self._learn(state, sample, found, held)
            self._widen(state, sample)
            self._forget(state, sample)
            put(state, IS_UP, is_up, sample)
            put(state, COUNT, state[COUNT] + 1, sample)
            put(state, LAST, sample.t, sample)
        return score

    def _is_scored(self, state: Any, sample: Sample) -> Bools:
        return sample.new & (state[COUNT] >= self.warm_up)

    def _band(self, state: Any, sample: Sample) -> tuple[Array, Array, Array]:
        found, scales = _deviation(state, sample), self.threshold + state[TIRED]
        level, hour = sample.values - found.level, sample.values - found.hour
        width = np.where(scales <= FARTHEST, scales * found.scale, np.inf)
        expected = np.where(state[SEASON_SPREAD] < state[SPREAD], hour, level)
        return expected, np.minimum(level, hour) - width, np.maximum(level, hour) + width

    def _tire(self, state: Any, is_up: Bools) -> None:
        """Each time that a series goes up it takes more to say so again."""
        starts = np.flatnonzero(is_up & (state[IS_UP] == 0))
        state[FATIGUE, starts] += 1
        state[TIRED, starts] = np.log1p(state[FATIGUE, starts])

    def _runs(self, state: Any, sample: Sample, found: Deviation, is_up: Bools) -> NDArray[np.intp]:
        """Runs of samples far off on one side begin, go on, end and settle. Gives the series that are not to learn."""
        rows = np.flatnonzero(((state[RUN] != 0) & sample.new) | is_up)
        if not rows.size:
            return rows
        nearer, scale = _nearer(state, found)[rows], found.scale[rows]
        run = self._followed(Run(*state[RUN:HOUR, rows]), nearer, scale, _of(sample.elapsed, rows))
        begins = is_up[rows] & (run.length == 0)
        new = Run(np.sign(nearer), 0.0, _of(sample.t, rows), 0.0, nearer, 0.0)
        run = Run(*(np.where(begins, first, value) for first, value in zip(new, run, strict=True)))
        settles = self._is_settled(run, scale)
        self._move(state, sample, rows[settles], nearer[settles], Run(*(value[settles] for value in run)))
        held = np.abs(run.length) > TEACHES
        run.length[settles] = 0.0
        state[RUN:HOUR, rows] = run
        return rows[held]

    def _followed(self, run: Run, nearer: Array, scale: Array, elapsed: Array) -> Run:
        """The runs with a sample more, or, at the second in a row that is not far off on their side, without any."""
        side = np.sign(run.length)
        goes_on = nearer * side > GOES_ON * scale
        missed = np.where(goes_on, 0.0, run.missed + 1)
        length = np.where(goes_on, run.length + side, np.where(missed > 1, 0.0, run.length))
        elapsed = np.minimum(elapsed, HOUR_S)
        weight = np.maximum(_share(4 * elapsed, self.settle_s, FEWEST), 1 / np.maximum(np.abs(length), 1))
        weight *= goes_on
        change = nearer - run.offset
        offset = run.offset + weight * change
        unrest = run.unrest + weight * (np.abs(change) - run.unrest)
        return Run(length, missed, run.since, run.lasted + elapsed, offset, unrest)

    def _is_settled(self, run: Run, scale: Array) -> Bools:
        rests = RESTLESS * scale >= TO_SIGMA * run.unrest
        return (np.abs(run.length) >= FEWEST) & (run.lasted >= np.where(rests, 1, PATIENCE) * self.settle_s)

    def _move(self, state: Any, sample: Sample, rows: NDArray[np.intp], nearer: Array, run: Run) -> None:
        """The series are at a new level: what is expected of them moves there, at all hours."""
        if not rows.size:
            return
        before = sample.values[rows] - nearer
        state[MEAN, rows] += run.offset
        state[HOUR:SEEN, rows] += run.offset
        for row in (SPREAD, SEASON_SPREAD):
            state[row, rows] = np.maximum(state[row, rows], run.unrest)
        columns = (rows + sample.first, run.since, _of(sample.t, rows), before, before + run.offset)
        self.new_levels += [NewLevel(int(row), *map(float, one)) for row, *one in zip(*columns, strict=True)]

    def _learn(self, state: Any, sample: Sample, found: Deviation, held: NDArray[np.intp]) -> None:
        """Level, hour of the day and their spreads take the samples in, but for the series that are held."""
        count, elapsed = state[COUNT], np.minimum(sample.elapsed, DAY_S)
        is_young, has_first = count.min() < self.young, count.min() == 0
        level = _share(elapsed, self.level_s, self.level_samples)
        spread = _share(elapsed, self.spread_s, self.spread_samples)
        reach = self._reach(state, state[SPREAD])
        if is_young:  # at first all samples count alike, and as they are
            level, spread = np.maximum(level, 1 / (count + 1)), np.maximum(spread, 1 / (count + 1))
            reach[count < START_UP] = np.inf
        change = _clipped(found.level, reach)
        mean = state[MEAN] + level * change
        if has_first:
            np.copyto(mean, sample.values, where=count == 0)
        new_spread = _moved(state[SPREAD], np.abs(change), spread)
        season = self._season(state, sample, found, spread, held)
        for row, values in ((MEAN, mean), (SPREAD, new_spread)):
            values[held] = state[row, held]
            put(state, row, values, sample)
        for at, values in season:
            put(state, at, values, sample)

    def _season(
        self, state: Any, sample: Sample, found: Deviation, spread: Time, held: NDArray[np.intp]
    ) -> list[tuple[Any, Array]]:
        """What the hour of the day and the spread around all hours become."""
        hour, seen = cells(HOUR, HOURS, sample.t), cells(SEEN, HOURS, sample.t)
        expected, visits = state[hour], state[seen]
        season_spread, count = state[SEASON_SPREAD], state[SEASON_COUNT]
        part = np.minimum(sample.elapsed, HOUR_S) / HOUR_S
        weight = part / (visits + part)
        reach = self._reach(state, season_spread)
        is_young = found.is_daily is not None or count.min() < self.young
        change = sample.values - expected
        if not is_young:
            change = _clipped(change, reach)
            new_spread = _moved(season_spread, np.abs(change), spread)
            new_hour = expected + weight * change
        else:
            change[visits == 0] = 0.0
            size = np.minimum(np.abs(change), np.where(count < START_UP, np.inf, reach))
            new_spread = _moved(season_spread, size, np.maximum(spread, 1 / (count + 1)) * (visits >= 1))
            new_hour = expected + weight * _clipped(change, np.where(visits < VISITS, np.inf, reach))
        new_spread[held] = season_spread[held]
        new_hour[held] = expected[held]
        if is_young:
            np.copyto(new_hour, sample.values, where=visits == 0)
        return [
            (hour, new_hour),
            (SEASON_SPREAD, new_spread),
            (SEASON_COUNT, count + (visits >= 1)),
            (seen, np.minimum(visits + part, self.season_days)),
        ]

    def _reach(self, state: Any, spread: Array) -> Array:
        """How far from what is expected a sample is learned at most."""
        reach = spread * (TO_SIGMA * self.limit)
        reach += self.limit * state[FLOOR]
        return reach

    def _widen(self, state: Any, sample: Sample) -> None:
        """Ranges take the samples in; after the first ones, they at most grow by their own width on a side."""
        y = sample.values
        rows = np.flatnonzero(((y < state[LOW]) | (y > state[HIGH])) & sample.new)
        if not rows.size:
            return
        low, high, value = state[LOW, rows], state[HIGH, rows], y[rows]
        width = high - low
        is_limited = (width > 0) & (state[COUNT, rows] >= START_UP)
        value = np.where(is_limited, np.clip(value, low - width, high + width), value)
        state[LOW, rows], state[HIGH, rows] = np.minimum(low, value), np.maximum(high, value)
        self._lay_floor(state, rows)

    def _forget(self, state: Any, sample: Sample) -> None:
        """Once an hour, ranges and fatigue shrink by what that hour, or the gap before it, counts."""
        begins = np.floor(sample.t / HOUR_S) > np.floor(state[LAST] / HOUR_S)
        rows = np.flatnonzero(begins & sample.new)
        if not rows.size:
            return
        elapsed = np.clip(_of(sample.elapsed, rows), HOUR_S, DAY_S)
        low, high, mean = state[LOW, rows], state[HIGH, rows], state[MEAN, rows]
        state[LOW, rows] = _moved(low, mean, elapsed / self.range_s)
        state[HIGH, rows] = _moved(high, mean, elapsed / self.range_s)
        state[FATIGUE, rows] /= 1 + elapsed / self.fatigue_s
        state[TIRED, rows] = np.log1p(state[FATIGUE, rows])
        self._lay_floor(state, rows)

    def _lay_floor(self, state: Any, rows: NDArray[np.intp]) -> None:
        low, high = state[LOW, rows], state[HIGH, rows]
        state[FLOOR, rows] = self.least * (high - low) + SAME * np.maximum(np.abs(low), np.abs(high)) + TINY


def _deviation(state: Any, sample: Sample) -> Deviation:
    y, visits = sample.values, state[cells(SEEN, HOURS, sample.t)]
    level = y - state[MEAN]
    if state[COUNT].min() == 0:
        level[state[COUNT] == 0] = 0.0
    hour = y - state[cells(HOUR, HOURS, sample.t)]
    spread, is_daily = state[SEASON_SPREAD], None
    if visits.min() < VISITS:
        is_daily = visits >= VISITS
        hour, spread = np.where(is_daily, hour, level), np.where(is_daily, spread, state[SPREAD])
    scale = spread * TO_SIGMA
    scale += state[FLOOR]
    outside = np.maximum(np.minimum(level, hour), 0.0)
    outside += np.minimum(np.maximum(level, hour), 0.0)
    return Deviation(level, hour, is_daily, scale, outside)


def _nearer(state: Any, found: Deviation) -> Array:
    """The difference from the better of the two: that around which the series spreads less."""
    return np.where(state[SEASON_SPREAD] < state[SPREAD], found.hour, found.level)


def _share(elapsed: Time, memory_s: float, fewest: float) -> Time:
    """The weight of a sample in a memory of so many seconds, or of ``fewest`` samples if that is longer."""
    return np.minimum(elapsed / (elapsed + memory_s), 1 / fewest)


def _clipped(values: Array, reach: Array) -> Array:
    return np.maximum(np.minimum(values, reach), -reach)


def _moved(mean: Array, value: Array, weight: Time) -> Array:
    """The mean, moved towards the value by that share of the way."""
    moved = value - mean
    moved *= weight
    moved += mean
    return moved


def _of(values: Time, rows: NDArray[np.intp]) -> Array:
    return np.full(rows.size, values) if np.ndim(values) == 0 else values[rows]


class Significance(OneSeries):
    """How far a sample is from what is expected of its KPI, in scales of how much the KPI varies.

    A value v arrives at t, Δ seconds after the one before it. Expected is what lies between the level m and the mean b
    of this hour of the day (UTC; once the hour was seen on two days, before that m alone). With e the signed distance
    of v from that interval, the score is

        |e| / (1.2533 S + f) − ln(1 + F), at most 200 of the first and at least 0,

    where S is the mean absolute deviation from b (from m, before), f = ``least`` · (highest − lowest value so far), and
    F counts how often the first term went up to the threshold; F fades over ``fatigue_days``. The alarms are the scores
    of ``threshold`` or more; the band is the interval, widened by (threshold + ln(1 + F)) (1.2533 S + f).

    Learned afterwards, with d limited to ± ``limit`` (1.2533 spread + f), so that an incident does not become normal:

    - d = v − m: m += a d, s += a′ (|d| − s), with a = min(Δ/(Δ + ``level_h``), 1/``level_samples``), a′ likewise for
      ``spread_h`` and ``spread_samples``, and both at least 1/(n + 1) for the n-th sample;
    - d = v − b: b += d p/(c + p), with p = min(Δ/1 h, 1) and c the visits of this hour so far, at most ``season_days``;
      S += a′ (|d| − S), from the second visit on. The first sample of an hour is what the hour expects;
    - lowest and highest, which shrink towards m over ``range_days`` and by one sample grow at most by their distance.

    A run begins with an alarm, goes on with each sample more than 3 scales off on the same side, and ends with the
    second in a row that is not. The nearer of m and b counts, by which the KPI varies less. From its fourth sample on a
    run is not learned. When it has lasted ``settle_h`` and 24 samples, and spreads by no more than 2 scales around its
    mean, or after three times as long, it is a new level: m and all b move there, and ``bank.new_levels`` says so.

    Parameters
    ----------
    level_h, spread_h, level_samples, spread_samples
        Memory of the level and of the spread: hours, or samples where those are rarer.
    season_days
        Days that the mean of an hour of the day reaches back.
    limit
        Scales that a deviation is learned as at most.
    least
        Share of the range so far that a scale is at least: with a threshold of 5, a move by 2.5 % of the range or less
        is never an alarm.
    range_days, fatigue_days
        Days over which the range and the number of alarms are forgotten.
    settle_h
        Hours after which a run is a new level: a whole day, because a level is one at all its hours.
    warm_up
        Samples that are learned before any is scored.
    threshold
        Score of an alarm; it takes part in learning, too: see above.

    State: 66 floats. A missing sample (NaN, ±inf, beyond ±1e300), and one that is not later than the last, scores 0 and
    is not learned. The alarms do not change when the values are scaled, shifted or negated, nor when the clock is set
    to another time zone by whole hours. Source: the EWMA control chart (Roberts, "Control chart tests based on
    geometric moving averages", Technometrics 1, 1959), with mean absolute deviations and limited residuals for
    robustness (Huber, "Robust Statistics", 1981, chapter 3); the interval, the runs and the shipped values were chosen
    by measurement, see docs/detector.md.

    >>> detector = Significance()
    >>> for step in range(1440):
    ...     detector.learn_one({"t": 60.0 * step}, 10.0 + step % 7)
    >>> detector.score_one({"t": 86400.0}, 16.0) < 5 < detector.score_one({"t": 86400.0}, 30.0)
    True
    """

    def __init__(
        self,
        level_h: float = 2.0,
        level_samples: float = 50.0,
        spread_h: float = 4.0,
        spread_samples: float = 240.0,
        season_days: float = 5.0,
        limit: float = 4.0,
        least: float = 0.005,
        range_days: float = 30.0,
        fatigue_days: float = 30.0,
        settle_h: float = 24.0,
        warm_up: float = 24.0,
        threshold: float = 5.0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in {"self", "__class__"}}
        self.__dict__.update(given)
        self.bank = SignificanceBank(1, **given)
