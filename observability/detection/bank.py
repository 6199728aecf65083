"""What all channels have in common: N series side by side, one timestep per call."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from observability.model import Array

Time = float | Array  # seconds since the epoch: one for all series, or one each, of shape (n,)


class Reading(NamedTuple):
    """What a channel says of one timestep, or of several (the same shape with the steps in front); arrays of shape (n,).

    ``scored`` is false for a sample that is missing, late, or that came before the series was warm; there the score is
    0 and the other three are NaN. ``expected`` and the band ``low`` to ``high``, outside which the score reaches the
    threshold, are in the series' unit; an end that no value can reach is ±inf.
    """

    scored: NDArray[np.bool_]
    score: Array
    expected: Array
    low: Array
    high: Array


class Bank(Protocol):
    """A detector of n series. ``score_many`` and ``read_many`` change nothing; ``learn_many`` takes the sample in.

    NaN and ±inf are missing samples. A sample that is not later than the last one learned of its series is late. Both
    score 0 and are not learned.
    """

    threshold: float

    def score_many(self, t: Time, values: Array) -> Array: ...

    def read_many(self, t: Time, values: Array) -> Reading: ...

    def learn_many(self, t: Time, values: Array) -> None: ...

    def step_many(self, t: Time, values: Array) -> Array:
        """The scores, and then the samples learned: ``score_many`` and ``learn_many`` in one pass."""
