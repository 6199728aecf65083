"""The plain EWMA z-score of the documents: n series side by side, and one as a river anomaly detector."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.detection.bank import LAST, Columns, Sample, put
from observability.detection.estimator import OneSeries
from observability.model import Array

MAX_Z = 1000.0
FLOOR = 1e-3  # of the mean: what a series that hardly varies must move by to be one standard deviation away
FARTHEST = 1e150  # how far from the mean a sample counts as at most, in the series' unit: its square is still a number
MEAN, VARIANCE, COUNT = range(LAST + 1, LAST + 4)  # the rows of the state


class EwmaBank(Columns):
    """``EwmaZScore`` of n series: see there for the formula and the parameters.

    ``threshold`` is in standard deviations. The band is the mean ± threshold · deviation. State: four rows, 32 bytes
    per series.
    """

    def __init__(self, n: int, alpha: float = 0.3, warm_up: float = 60, threshold: float = 3.0) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, and is {alpha:g}")
        if warm_up < 0:
            raise ValueError(f"warm_up must not be negative, and is {warm_up:g}")
        self.alpha, self.warm_up = alpha, warm_up
        super().__init__(np.array([-np.inf, 0.0, 0.0, 0.0]), n, threshold)

    def _pass(self, state: Any, sample: Sample, learn: bool) -> Array:
        difference = sample.values - state[MEAN]
        z = np.minimum(np.abs(difference) / _deviation(state), MAX_Z)
        score = np.where(self._is_scored(state, sample) & (difference != 0), z, 0.0)
        if learn:
            self._learn(state, sample, np.clip(difference, -FARTHEST, FARTHEST))
        return score

    def _is_scored(self, state: Any, sample: Sample) -> NDArray[np.bool_]:
        warm: NDArray[np.bool_] = state[COUNT] >= self.warm_up
        return sample.new & warm

    def _band(self, state: Any, sample: Sample) -> tuple[Array, Array, Array]:
        width = self.threshold * _deviation(state) if self.threshold <= MAX_Z else np.inf
        return state[MEAN], state[MEAN] - width, state[MEAN] + width

    def _learn(self, state: Any, sample: Sample, difference: Array) -> None:
        alpha = np.maximum(self.alpha, 1.0 / (state[COUNT] + 1.0))
        variance = (1.0 - alpha) * (state[VARIANCE] + alpha * difference * difference)
        put(state, MEAN, state[MEAN] + alpha * difference, sample)
        put(state, VARIANCE, variance, sample)
        put(state, LAST, sample.t, sample)
        state[COUNT] += sample.new


def _deviation(state: Any) -> Array:
    """max(√v, FLOOR · |m|), in the series' unit."""
    deviation: Array = np.maximum(np.sqrt(state[VARIANCE]), FLOOR * np.abs(state[MEAN]))
    return deviation


class EwmaZScore(OneSeries):
    """How many standard deviations a sample is away from its exponentially weighted mean.

    Mean m and variance v are updated in the incremental form, which does not cancel (Finch, "Incremental calculation
    of weighted mean and variance", 2009, section 9): d = y − m; m += α d; v = (1 − α)(v + α d²). While fewer than 1/α
    samples were learned, α is 1/(n + 1), so that the first ones count alike. The score is
    |y − m| / max(√v, FLOOR · |m|): a gauge that stood still for a week and moves by its last digit is no alarm. It is 0
    during the first ``warm_up`` samples and capped at ``MAX_Z``, which the first change of a constant 0 scores too.

    Parameters
    ----------
    alpha
        Weight of the newest sample, per sample, 0 < α < 1. The mean forgets with a time constant of about 1/α samples.
    warm_up
        How many samples are learned before any is scored.

    State: four floats. A missing sample (NaN, ±inf), and one that is not later than the last, scores 0 and is not
    learned. Without a time in ``x`` every sample is later.

    >>> detector = EwmaZScore(alpha=0.5, warm_up=2)
    >>> for y in (10.0, 12.0, 11.0):
    ...     detector.learn_one({}, y)
    >>> round(detector.mean, 6), round(detector.deviation, 6)
    (11.0, 0.707107)
    >>> round(detector.score_one({}, 14.0), 4)
    4.2426
    """

    def __init__(self, alpha: float = 0.3, warm_up: int = 60) -> None:
        self.alpha = alpha
        self.warm_up = warm_up
        self.bank: EwmaBank = EwmaBank(1, alpha, warm_up)

    @property
    def mean(self) -> float:
        return float(self.bank.state[MEAN, 0])

    @property
    def variance(self) -> float:
        return float(self.bank.state[VARIANCE, 0])

    @property
    def deviation(self) -> float:
        """max(√v, FLOOR · |m|), in the series' unit."""
        return float(_deviation(self.bank.state)[0])

    @property
    def n(self) -> int:
        return int(self.bank.state[COUNT, 0])

    def z(self, y: float) -> float:
        """The score of the next sample with its sign: above the mean is positive."""
        return math.copysign(self.score_one({}, y), y - self.mean)

    def _time(self, x: dict[Hashable, Any]) -> float:
        return super()._time(x) if x and "t" in x else max(float(self.bank.state[LAST, 0]) + 1.0, 0.0)
