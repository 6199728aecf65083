"""A bank of one series as a river estimator."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from river.base import SupervisedAnomalyDetector

from observability.detection.bank import Bank


class OneSeries(SupervisedAnomalyDetector):
    """The N = 1 view of a bank, which the subclass makes in its constructor.

    ``x = {"t": seconds since the epoch}`` and ``y`` is the value, as river has it of supervised anomaly detectors.
    """

    bank: Bank

    def score_one(self, x: dict[Hashable, Any], y: Any) -> float:
        return float(self.bank.score_many(self._time(x), np.array([y], dtype=float))[0])

    def learn_one(self, x: dict[Hashable, Any], y: Any) -> None:
        self.bank.learn_many(self._time(x), np.array([y], dtype=float))

    def _time(self, x: dict[Hashable, Any]) -> float:
        if not x or "t" not in x:
            raise ValueError(f'{type(self).__name__} needs x = {{"t": seconds since the epoch}}')
        return float(x["t"])
