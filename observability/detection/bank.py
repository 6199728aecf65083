"""What all channels have in common: N series side by side, one timestep per call."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from observability.model import Array

BLOCK = 10_000  # series that a timestep passes through at once: their rows stay in the processor's cache
LARGEST = 1e300  # a value further from 0 is no measurement, but missing; sums and differences of others are numbers
HOUR_S = 3600.0
ALL_NEW = np.ones(BLOCK, dtype=bool)
LAST = 0  # the row of the time of the last sample learned

Time: TypeAlias = "float | Array"  # seconds since the epoch: one for all series, or one each, of shape (n,)


class Reading(NamedTuple):
    """What a channel says of one timestep, in arrays of shape (n,), or of several, with the steps in front.

    ``scored`` is false for a sample that is missing, late, or that came before the series was warm; there the score is
    0 and the other three are NaN. ``expected`` and the band ``low`` to ``high``, outside which the score reaches the
    threshold, are in the series' unit; an end that no value can reach is ±inf. Novelty's band is the range of the
    value so far, one of several that it watches. They are NaN, too, where a detector knows none, as river's do not.
    """

    scored: NDArray[np.bool_]
    score: Array
    expected: Array
    low: Array
    high: Array


class NewLevel(NamedTuple):
    """A series has gone to a new level: the mean over its day, in its unit; times are seconds since the epoch.

    ``settled``: it rests there. Otherwise it has only not come back for long, and may still move.
    """

    series: int
    since: float
    noticed: float
    before: float
    after: float
    settled: bool


class Track(NamedTuple):
    """A ``Reading`` of one series over many steps, arrays of shape (steps,), and the new levels that were noticed."""

    scored: NDArray[np.bool_]
    score: Array
    expected: Array
    low: Array
    high: Array
    new_levels: tuple[NewLevel, ...]


class Bank(Protocol):
    """A detector of n series. ``score_many`` and ``read_many`` change nothing; ``learn_many`` takes the sample in.

    NaN and ±inf are missing samples. A sample that is not later than the last one learned of its series is late. Both
    score 0 and are not learned.
    """

    threshold: float
    new_levels: list[NewLevel]  # that were noticed so far

    def score_many(self, t: Time, values: Array) -> Array: ...

    def read_many(self, t: Time, values: Array, learn: bool = False) -> Reading:
        """The scores and what they rest on; with ``learn`` the samples are then learned, in the same pass."""

    def learn_many(self, t: Time, values: Array) -> None: ...

    def step_many(self, t: Time, values: Array) -> Array:
        """The scores, and then the samples learned, in one pass."""


class Sample(NamedTuple):
    """One timestep of a block of series: ``elapsed`` seconds since the last sample, inf before the first; ``hours``,
    whole, since the epoch.

    Where a sample is not ``new``, the numbers are 0. ``whole``: all are new. ``t`` and ``hours``, and ``elapsed``, are
    numbers where they are the same for all series, else arrays.
    """

    t: Any
    values: Array
    elapsed: Any
    hours: Any
    new: NDArray[np.bool_]
    whole: bool
    first: int  # the number of the block's first series


class Columns(ABC):
    """A bank whose state is one array: a row per quantity, a column per series, ``LAST`` the first row.

    A timestep goes block by block through the series, and in one pass through each block.
    """

    def __init__(self, empty: Array, n: int, threshold: float) -> None:
        """``empty``: what each row holds before the first sample."""
        self.threshold = threshold
        self.new_levels: list[NewLevel] = []
        self.state = np.repeat(empty[:, np.newaxis], n, axis=1)

    @property
    def nbytes(self) -> int:
        return self.state.nbytes

    def score_many(self, t: Time, values: Array) -> Array:
        return self._walk(t, values, learn=False)

    def learn_many(self, t: Time, values: Array) -> None:
        self._walk(t, values, learn=True)

    def step_many(self, t: Time, values: Array) -> Array:
        return self._walk(t, values, learn=True)

    def read_many(self, t: Time, values: Array, learn: bool = False) -> Reading:
        reading = nothing(values.size)
        self._walk(t, values, learn, reading)
        return reading

    @abstractmethod
    def _pass(self, state: Any, sample: Sample, learn: bool) -> Array:
        """The block's scores, from its state of shape (rows, block); with ``learn``, the state then takes it in."""

    @abstractmethod
    def _is_scored(self, state: Any, sample: Sample) -> NDArray[np.bool_]:
        """Which of the samples are new and of a series that is warm."""

    @abstractmethod
    def _band(self, state: Any, sample: Sample) -> tuple[Array, Array, Array]:
        """What was expected, and the lower and the upper end of the band."""

    def _walk(self, t: Time, values: Array, learn: bool, reading: Reading | None = None) -> Array:
        if values.shape != self.state.shape[1:]:
            raise ValueError(f"values must have the shape {self.state.shape[1:]}, and have {values.shape}")
        score = np.zeros(values.size)
        t = t if isinstance(t, np.ndarray) and t.ndim else float(t)
        with np.errstate(all="ignore"):  # what is not scored may be inf or NaN on its way
            for first in range(0, values.size, BLOCK):
                block = slice(first, first + BLOCK)
                state = self.state[:, block]
                sample = _sample(state[LAST], t[block] if isinstance(t, np.ndarray) else t, values[block], first)
                if sample.whole or sample.new.any():
                    if reading is not None:
                        self._read(state, sample, reading, block)
                    score[block] = self._pass(state, sample, learn)
        if reading is not None:
            reading.score[:] = score
        return score

    def _read(self, state: Any, sample: Sample, reading: Reading, block: slice) -> None:
        """All of the block's reading but the score."""
        reading.scored[block] = scored = self._is_scored(state, sample)
        for field, values in zip(reading[2:], self._band(state, sample), strict=True):
            np.copyto(field[block], values, where=scored)


def require_positive(given: Mapping[str, object]) -> None:
    """Of a constructor's arguments, the numbers must be greater than 0, but for n."""
    for name, value in given.items():
        if isinstance(value, int | float) and name != "n" and not value > 0:
            raise ValueError(f"{name} must be greater than 0, and is {value:g}")


def nothing(n: int) -> Reading:
    """The reading of n samples of which none is scored."""
    return Reading(np.zeros(n, dtype=bool), np.zeros(n), *(np.full(n, np.nan) for _ in range(3)))


def _sample(last: Array, t: Time, values: Array, first: int) -> Sample:
    if isinstance(t, float) and math.isfinite(t) and t > last[0]:
        are_numbers = math.isfinite(values @ values)  # in less time than it takes to look at each
        if are_numbers and (last == last[0]).all():
            return Sample(t, values, float(t - last[0]), int(t // HOUR_S), ALL_NEW[: values.size], True, first)
    new = (np.abs(values) <= LARGEST) & (t > last) & np.isfinite(t)
    elapsed, whole = t - last, bool(new.all())
    if not whole:
        values, elapsed = np.where(new, values, 0.0), np.where(new, elapsed, 0.0)
        t = np.where(new, t, 0.0) if isinstance(t, np.ndarray) else t if math.isfinite(t) else 0.0
    hours: Any = int(t // HOUR_S) if isinstance(t, float) else np.floor(t / HOUR_S).astype(int)
    return Sample(t, values, elapsed, hours, new, whole, first)


def put(state: Any, row: Any, values: Time, sample: Sample) -> None:
    """The new values of a row, or of several, where the sample is new; or of the cells ``row``, (row, column) each."""
    state[row] = values if sample.whole else np.where(sample.new, values, state[row])


def rate(elapsed: Time, memory_s: float) -> Time:
    """The weight of a sample that stands for ``elapsed`` seconds in an exponential memory: 1 − e^(−elapsed/memory)."""
    return 1.0 - np.exp(-elapsed / memory_s)


def moved(mean: Array, value: Array, weight: Time, out: Array | None = None) -> Array:
    """The mean, moved towards the value by that share of the way."""
    step = np.subtract(value, mean, out=out)
    step *= weight
    step += mean
    return step


def cells(base: int, bins: int, hours: Any) -> Any:
    """Where the bins of the hours lie in the state: their row, or the row and the column of each series."""
    return base + hours % bins if isinstance(hours, int) else (base + hours % bins, np.arange(hours.size))
