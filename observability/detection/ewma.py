"""The plain EWMA z-score, one series at a time, as a river anomaly detector."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from river.base import SupervisedAnomalyDetector

MAX_Z = 1000.0
FLOOR = 1e-3  # of the mean: what a series that hardly varies must move by to be one standard deviation away


class EwmaZScore(SupervisedAnomalyDetector):
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

    State: three floats. A missing sample (NaN, ±inf) scores 0 and is not learned.

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
        self.mean = 0.0
        self.variance = 0.0
        self.n = 0

    @property
    def deviation(self) -> float:
        """max(√v, FLOOR · |m|), in the series' unit."""
        return max(math.sqrt(self.variance), FLOOR * abs(self.mean))

    def z(self, y: float) -> float:
        """The score with its sign: above the mean is positive."""
        if self.n < self.warm_up or not math.isfinite(y) or y == self.mean:
            return 0.0
        difference = y - self.mean
        if abs(difference) >= MAX_Z * self.deviation:
            return math.copysign(MAX_Z, difference)
        return difference / self.deviation

    def score_one(self, x: dict[Hashable, Any], y: Any) -> float:
        return abs(self.z(y))

    def learn_one(self, x: dict[Hashable, Any], y: Any) -> None:
        if not math.isfinite(y):
            return
        alpha = max(self.alpha, 1.0 / (self.n + 1))
        difference = y - self.mean
        self.mean += alpha * difference
        self.variance = (1.0 - alpha) * (self.variance + alpha * difference * difference)
        self.n += 1
