"""The bank of ``Significance``, where the formulas stand: n series side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.detection.bank import (
    BLOCK,
    HOUR_S,
    LAST,
    Columns,
    NewLevel,
    Sample,
    Time,
    cells,
    moved,
    put,
    require_positive,
)
from observability.model import Array

DAY_S, HOURS = 86_400.0, 24
TO_SIGMA = 1.2533  # √(π/2): the standard deviation over the mean absolute one, of a normal distribution
SAME = 1e-12  # of the series' largest value: what rounding may move it by
TINY = 1e-300  # keeps 0/0 a number
FARTHEST = 200.0  # scales, beyond which more says nothing more
START_UP = 10  # samples that are learned as they are, before any is limited
VISITS = 2  # of an hour of the day, before it is expected to look like that again; and off it, before it is not
ROUNDING = 1e-9  # of an hour: what its parts may lack
GOES_ON = 3.0  # scales on the same side of what is expected: a run of such samples may be a new level
TEACHES = 3  # samples of a run that are learned; what comes then is held back until the run is over or settled
FEWEST = 24  # samples of a run that can be a new level
RESTLESS = 2.0  # scales: a run that spreads more has not settled
PATIENCE = 3  # times ``settle_h``, after which a run is a new level however it spreads

# The rows of the state: of the series, of its run, and of the hours of its day.
COUNT, MEAN, SPREAD, SEASON_SPREAD, SEASON_COUNT, LOW, HIGH, FLOOR, FATIGUE, TIRED, MOVED = range(LAST + 1, LAST + 12)
SPREADS = slice(SPREAD, SEASON_SPREAD + 1)
RUN, MISSED, SINCE, LASTED, OFFSET, UNREST = range(MOVED + 1, MOVED + 7)
HOUR = UNREST + 1
SEEN = HOUR + HOURS
OFF = SEEN + HOURS
ROWS = OFF + HOURS

Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]  # the numbers of some of a block's series
NONE: Rows = np.empty(0, dtype=np.intp)
Two = NDArray[np.float64]  # against the level, and against the hour of the day; of shape (2, block)


class Deviation(NamedTuple):
    """What a block's samples are against what is expected of them, in the series' unit."""

    differences: Two
    scales: Two
    hour: Array  # the difference from the hour of the day, or from the level where the hour was not seen often enough
    scale: Array  # likewise
    outside: Array  # distance from the interval between level and hour of the day; within it, not above 0
    youngest: float  # the fewest samples that one of the series has learned, or less if all are warm
    fewest: float  # the fewest of them at an hour that had been seen
    rarest: float  # the fewest visits of the hour
    at: Any  # where the means of the hour are in the state
    visits: Array


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
        require_positive(locals())
        self.level_s, self.level_samples = level_h * HOUR_S, level_samples
        self.spread_s, self.spread_samples = spread_h * HOUR_S, spread_samples
        self.season_days, self.limit, self.least, self.warm_up = season_days, limit, least, warm_up
        self.range_s, self.fatigue_s, self.settle_s = range_days * DAY_S, fatigue_days * DAY_S, settle_h * HOUR_S
        self.scratch = np.empty((4, min(n, BLOCK)))
        empty = np.zeros(ROWS)
        empty[[LAST, HIGH]], empty[LOW], empty[FLOOR] = -np.inf, np.inf, TINY
        super().__init__(empty, n, threshold)

    def _pass(self, state: Any, sample: Sample, learn: bool) -> Array:
        found = self._deviation(state, sample)
        scales = found.outside
        scales /= found.scale
        peak = scales.max()
        if peak > FARTHEST:
            np.minimum(scales, FARTHEST, out=scales)
        if not sample.whole or found.youngest < self.warm_up:
            scales *= self._is_scored(state, sample)
        score: Array = np.maximum(scales, state[TIRED])
        score -= state[TIRED]
        if learn:
            is_calm = peak < self.threshold and not state[RUN].any()
            held = NONE if is_calm else self._runs(state, sample, found, scales)
            self._learn(state, sample, found, held)
            self._widen(state, sample)
            self._forget(state, sample)
            put(state, LAST, sample.t, sample)
        return score

    def _is_scored(self, state: Any, sample: Sample) -> Bools:
        warm: Bools = state[COUNT] >= self.warm_up
        return sample.new & warm

    def _band(self, state: Any, sample: Sample) -> tuple[Array, Array, Array]:
        found, scales = self._deviation(state, sample), self.threshold + state[TIRED]
        level = state[MEAN]
        hour = np.where(found.visits >= VISITS, state[found.at], level)
        width = np.where(scales <= FARTHEST, scales * found.scale, np.inf)
        expected = np.where(state[SEASON_SPREAD] < state[SPREAD], hour, level)
        return expected, np.minimum(level, hour) - width, np.maximum(level, hour) + width

    def _deviation(self, state: Any, sample: Sample) -> Deviation:
        y, size, at = sample.values, sample.values.size, cells(HOUR, HOURS, sample.hours)
        seen = state[cells(SEEN, HOURS, sample.hours)]
        fewest, rarest = state[SEASON_COUNT].min(), seen.min()
        youngest = fewest if fewest >= self.warm_up else state[COUNT].min()
        differences, scales = self.scratch[:2, :size], self.scratch[2:, :size]
        level = np.subtract(y, state[MEAN], out=differences[0])
        hour = np.subtract(y, state[at], out=differences[1])
        np.multiply(state[SPREADS], TO_SIGMA, out=scales)
        scales += state[FLOOR]
        scale = scales[1]
        if youngest == 0:
            level[state[COUNT] == 0] = 0.0
        if rarest < VISITS:
            is_daily = seen >= VISITS
            hour, scale = np.where(is_daily, hour, level), np.where(is_daily, scale, scales[0])
        outside, below = np.minimum(level, hour), np.maximum(level, hour)
        np.maximum(outside, np.negative(below, out=below), out=outside)
        return Deviation(differences, scales, hour, scale, outside, youngest, fewest, rarest, at, seen)

    def _runs(self, state: Any, sample: Sample, found: Deviation, scales: Array) -> Rows:
        """Runs of samples far off on one side begin, go on, end and settle. Gives the series that are not to learn."""
        rows = np.flatnonzero(((state[RUN] != 0) & sample.new) | (scales >= self.threshold))
        nearer, scale = _nearer(state, found)[rows], found.scale[rows]
        run = self._followed(Run(*state[RUN:HOUR, rows]), nearer, scale, _of(sample.elapsed, rows))
        begins = (scales[rows] >= self.threshold) & (run.length == 0)
        nothing = np.zeros(rows.size)
        new = Run(np.sign(nearer), nothing, _of(sample.t, rows), nothing, nearer, nothing)
        run = Run(*(np.where(begins, first, value) for first, value in zip(new, run, strict=True)))
        self._tire(state, rows[begins])
        rests = TO_SIGMA * run.unrest <= RESTLESS * scale
        goes_back = (state[MOVED, rows] != 0) & (np.abs(run.offset + state[MOVED, rows]) <= RESTLESS * scale)
        patience = np.where(goes_back, HOUR_S, np.where(rests, 1, PATIENCE) * self.settle_s)
        settles = (np.abs(run.length) >= FEWEST) & (run.lasted >= patience)
        self._move(
            state, sample, rows[settles], Run(*(value[settles] for value in run)), scale[settles], rests[settles]
        )
        held = (np.abs(run.length) > TEACHES) & (found.visits[rows] >= VISITS) | settles
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
        change = nearer - run.offset
        offset = run.offset + weight * change
        unrest = moved(run.unrest, np.abs(change), weight)
        return Run(length, missed, run.since, run.lasted + elapsed, offset, unrest)

    def _tire(self, state: Any, rows: Rows) -> None:
        """With each run it takes more to say so again."""
        state[FATIGUE, rows] += 1
        state[TIRED, rows] = np.log1p(state[FATIGUE, rows])

    def _move(self, state: Any, sample: Sample, rows: Rows, run: Run, scale: Array, rests: Bools) -> None:
        """The series are at a new level: what is expected of them moves there, at all hours."""
        if not rows.size:
            return
        is_seen = state[SEEN:OFF, rows] > 0
        of_hours = np.sum(state[HOUR:SEEN, rows] * is_seen, axis=0) / np.maximum(is_seen.sum(axis=0), 1)
        before = np.where(is_seen.any(axis=0), of_hours, state[MEAN, rows])
        state[MOVED, rows] = run.offset
        state[MEAN, rows] += run.offset
        state[HOUR:SEEN, rows] += run.offset * is_seen
        for row in (SPREAD, SEASON_SPREAD):  # of a run that does not rest, its own spread would hide what comes
            state[row, rows] = np.maximum(state[row, rows], np.minimum(run.unrest, RESTLESS * scale / TO_SIGMA))
        columns = (rows + sample.first, run.since, _of(sample.t, rows), before, before + run.offset)
        told = zip(*(column.tolist() for column in (*columns, rests)), strict=True)
        self.new_levels += [NewLevel(*one) for one in told]

    def _learn(self, state: Any, sample: Sample, found: Deviation, held: Rows) -> None:
        """Level, hour of the day and their spreads take the samples in, but for the series that are held.

        What is not to be learned is made to change nothing, so that all series can be added to in place.
        """
        visits, spreads = found.visits, state[SPREADS]
        elapsed, part = _at_most(sample.elapsed, DAY_S), _at_most(sample.elapsed, HOUR_S) / HOUR_S
        level = _share(elapsed, self.level_s, self.level_samples)
        spread: Any = _share(elapsed, self.spread_s, self.spread_samples)
        reach = found.scales
        reach *= self.limit
        least = min(level, spread) if isinstance(level, float) else np.minimum(level, spread).min()
        is_young = found.fewest < START_UP or found.rarest < VISITS or least < 1 / (found.fewest + 1)
        longest: Any = np.inf
        if is_young:
            level, spread, longest = self._at_first(state, found, level, spread)
        changes = found.differences
        np.minimum(changes, reach, out=changes)
        np.maximum(changes, np.negative(reach, out=reach), out=changes)
        sizes = np.abs(changes)
        if is_young:
            np.minimum(sizes, longest, out=sizes)
        sizes -= spreads
        first_visit = np.flatnonzero((visits == 0) & sample.new) if found.rarest == 0 else NONE
        for rows in (held, NONE if sample.whole else np.flatnonzero(~sample.new)):
            if rows.size:
                changes[:, rows] = sizes[:, rows] = 0.0
        if found.youngest == 0:  # its first sample is its level
            changes[0] += (state[COUNT] == 0) * sample.values
        changes[0] *= level
        changes[1] *= part / (visits + part + TINY if found.rarest < self.season_days else self.season_days + part)
        if first_visit.size:
            changes[1, first_visit] = (sample.values - state[found.at])[first_visit]
        sizes *= spread
        state[MEAN] += changes[0]
        spreads += sizes
        state[found.at] += changes[1]
        state[COUNT] += 1 if sample.whole else sample.new
        state[SEASON_COUNT] += sample.new & (visits >= 1) if is_young else 1
        if found.rarest < self.season_days:
            visits = np.minimum(visits + part, self.season_days)
            visits[held] = found.visits[held]
            put(state, cells(SEEN, HOURS, sample.hours), visits, sample)
        self._count_off(state, sample, held, part)

    def _count_off(self, state: Any, sample: Sample, held: Rows, part: Time) -> None:
        """An hour that is held back on ``VISITS`` days, with no sample as expected in between, is unknown again. A run
        that goes on for days is another matter."""
        at = cells(OFF, HOURS, sample.hours)
        off = state[at]
        if not held.size and off.max() == 0:
            return
        back = held[(state[RUN, held] != 0) & (state[LASTED, held] < self.settle_s)]
        off[back] += _of(part, back)
        forgotten = back[off[back] >= VISITS - ROUNDING]
        seen = state[cells(SEEN, HOURS, sample.hours)]
        seen[forgotten] = off[forgotten] = 0.0
        off[(state[RUN] == 0) & sample.new] = 0.0
        state[at], state[cells(SEEN, HOURS, sample.hours)] = off, seen

    def _at_first(self, state: Any, found: Deviation, level: Time, spread: Time) -> tuple[Array, Two, Two]:
        """The first samples count alike, and as they are: weights for the level and, two, for the spreads; and how far
        the spreads may reach, which for the hour of the day is less than for its mean."""
        count, season_count = state[COUNT], state[SEASON_COUNT]
        alike = 1 / (count + 1)
        of_season = np.maximum(spread, 1 / (season_count + 1)) * (found.visits >= 1)
        reach = found.scales  # by now
        reach[0, count < START_UP] = reach[1, season_count < START_UP] = np.inf
        longest = reach.copy()
        reach[1, found.visits < VISITS] = np.inf
        return np.maximum(level, alike), np.array([np.maximum(spread, alike), of_season]), longest

    def _widen(self, state: Any, sample: Sample) -> None:
        """Ranges take the samples in; after the first ones, they at most grow by their own width on a side."""
        y = sample.values
        is_outside = y < state[LOW]
        is_outside |= y > state[HIGH]
        if not sample.whole:
            is_outside &= sample.new
        rows = np.flatnonzero(is_outside)
        if not rows.size:
            return
        low, high, value = state[LOW, rows], state[HIGH, rows], y[rows]
        width = high - low
        is_limited = (width > 0) & (state[COUNT, rows] > START_UP)
        value = np.where(is_limited, np.minimum(np.maximum(value, low - width), high + width), value)
        state[LOW, rows], state[HIGH, rows] = np.minimum(low, value), np.maximum(high, value)
        self._lay_floor(state, rows)

    def _forget(self, state: Any, sample: Sample) -> None:
        """Once an hour, ranges and fatigue shrink by what that hour, or the gap before it, counts."""
        if isinstance(sample.elapsed, float) and sample.hours == (sample.t - sample.elapsed) // HOUR_S:
            return
        rows = np.flatnonzero((sample.hours > state[LAST] // HOUR_S) & sample.new)
        elapsed = np.clip(_of(sample.elapsed, rows), HOUR_S, DAY_S)
        mean = state[MEAN, rows]
        for row in (LOW, HIGH):
            state[row, rows] = moved(state[row, rows], mean, np.minimum(elapsed / self.range_s, 1.0))
        state[FATIGUE, rows] /= 1 + elapsed / self.fatigue_s
        state[TIRED, rows] = np.log1p(state[FATIGUE, rows])
        self._lay_floor(state, rows)

    def _lay_floor(self, state: Any, rows: Rows) -> None:
        low, high = state[LOW, rows], state[HIGH, rows]
        state[FLOOR, rows] = self.least * (high - low) + SAME * np.maximum(np.abs(low), np.abs(high)) + TINY


def _nearer(state: Any, found: Deviation) -> Array:
    """The difference from the better of the two: that around which the series spreads less."""
    return np.where(state[SEASON_SPREAD] < state[SPREAD], found.hour, found.differences[0])


def _share(elapsed: Time, memory_s: float, fewest: float) -> Time:
    """The weight of a sample in a memory of so many seconds, or of ``fewest`` samples if that is longer."""
    share: Time = _at_most(elapsed / (elapsed + memory_s), 1 / fewest)
    return share


def _at_most(value: Any, most: float) -> Any:
    return min(value, most) if isinstance(value, float) else np.minimum(value, most)


def _of(values: Time, rows: Rows) -> Array:
    return values[rows] if isinstance(values, np.ndarray) else np.full(rows.size, values)
