"""How much two windows differ where nothing was released: the reference that a release's minutes are held against.

Minutes resemble each other so much that thirty of them prove little by themselves. What they can be held against is
history: the same clock time of earlier days, and windows a little before and after it. Each of those, held against
the other days, is a placebo: a contrast like the release's, without a release.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

LEVEL = 0.98
FEWEST_DAYS = 3
FEWEST_PLACEBOS = 39  # one in forty: with fewer, standing out of all of them has p > .025
ONE_SIDE = (1 + LEVEL) / 2


class Contrast(NamedTuple):
    """A window against the mean of the earlier days, and what such contrasts vary by.

    ``error`` and ``freedom`` are those of the t distribution that the contrast has where nothing changed. ``placebos``
    has shape (n,). All in the unit of the values.
    """

    value: float
    error: float
    freedom: float
    placebos: Floats

    @property
    def p(self) -> float:
        """Two-sided, of no change; 0 for a change where nothing ever moved."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * special.stdtr(self.freedom, -abs(self.value) / self.error))

    @property
    def margin(self) -> float:
        """Half of the 98 % interval's width."""
        return self.error * float(special.stdtrit(self.freedom, ONE_SIDE))

    def critical(self, tests: int) -> float:
        """The smallest contrast that would be real among so many tests, if no other of them were."""
        quantile = float(special.stdtrit(self.freedom, 1 - (1 - LEVEL) / 2 / tests))
        return max(self.error * quantile, float(np.abs(self.placebos).max(initial=0.0)))

    @property
    def has_enough(self) -> bool:
        return self.placebos.size >= FEWEST_PLACEBOS

    @property
    def stands_out(self) -> bool:
        """Whether it is larger than every placebo of its direction, of which there are enough."""
        return self.has_enough and bool((math.copysign(1.0, self.value) * self.placebos < abs(self.value)).all())


def offsets(steps: int, margin: int) -> list[int]:
    """Where the windows of ``steps`` begin, in steps from the clock time of the release: 0 among them, a third of a
    window apart, at most 25 of them.

    >>> offsets(30, 60)
    [-60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50, 60]
    """
    apart = max(steps // 3, -(-margin // 12), 1)
    side = range(apart, margin + 1, apart)
    return [*(-offset for offset in reversed(side)), 0, *side]


def contrast(now: float, earlier: Floats, at: int, others: Sequence[float] = ()) -> Contrast | None:
    """``now`` against the earlier days' values, shape (days, offsets), NaN for no data; column ``at`` has the clock
    time of ``now``. ``others`` are further placebos. None with fewer than three days.

    The variance among the days is pooled over the offsets. These resemble each other, so the degrees of freedom are
    Satterthwaite's, (m − 1)·tr(C)²/‖C‖², with C the offsets' covariance among m days (Biometrics Bulletin 2, 1946):
    between those of one offset and those of independent ones. A new day differs from the mean of m by σ²·(1 + 1/m).
    """
    days = earlier[~np.isnan(earlier[:, at])]
    m = len(days)
    if m < FEWEST_DAYS:
        return None
    mean = float(days[:, at].mean())
    days = days[:, ~np.isnan(days).any(axis=0)]
    off = days - days.mean(axis=0)
    covariance = off.T @ off / (m - 1)
    variance, squares = float(np.trace(covariance)) / len(covariance), float((covariance**2).sum())
    freedom = (m - 1) * (variance * len(covariance)) ** 2 / squares if squares > 0 else m - 1.0
    placebos = np.concatenate([(off * m / (m - 1)).ravel(), np.asarray(others, dtype=np.float64)])
    return Contrast(now - mean, math.sqrt(variance * (1 + 1 / m)), freedom, placebos)


def rank_p(value: float, placebos: Floats) -> float:
    """Two-sided p of a contrast among placebos: the share of those at least as large, itself counted.

    >>> rank_p(-3.0, np.array([1.0, 2.0, -4.0]))
    0.5
    """
    return (1 + int((np.abs(placebos) >= abs(value)).sum())) / (1 + placebos.size)
