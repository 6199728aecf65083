"""River's own anomaly detectors as channels: one object per series, behind the interface of a bank."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from observability.detection.bank import NewLevel, Reading, Time, nothing
from observability.model import Array

WARM_UP = 100  # samples that a series' detector learns before any score of it counts
SEED = 1  # of detectors that draw at random: the same samples give the same scores
SCALERS = {"HalfSpaceTrees": "MinMaxScaler", "OneClassSVM": "StandardScaler"}  # what river's pages put before them

_PLAIN = {"int", "float", "str", "bool"}


def names() -> list[str]:
    """River's anomaly detectors. Its filters, which wrap a detector, are none."""
    from river import anomaly, base

    found = {name: getattr(anomaly, name) for name in anomaly.__all__}
    return sorted(name for name, one in found.items() if not issubclass(one, base.AnomalyFilter))


def defaults(name: str) -> dict[str, Any]:
    """The detector's parameters that can be written as a number, a text, true or false, and their shipped values."""
    plain = {one.name: one.default for one in inspect.signature(_class(name)).parameters.values() if _is_plain(one)}
    return {**plain, "seed": SEED} if "seed" in plain else plain


def _class(name: str) -> Any:
    from river import anomaly

    return getattr(anomaly, name)


def _is_plain(parameter: inspect.Parameter) -> bool:
    """Whether its value is written as one word; those that are None, and are not told what they are, are numbers."""
    if parameter.default is None and parameter.annotation is not inspect.Parameter.empty:
        return bool(_PLAIN & {part.strip() for part in str(parameter.annotation).split("|")})
    return isinstance(parameter.default, int | float | str | None)


class ForeignBank:
    """One of river's detectors, n times.

    Supervised ones are given ``x = {"t": seconds}`` and the value as ``y``, the others ``x = {"value": value}``;
    HalfSpaceTrees and OneClassSVM behind the scaler that they need. A score that is not finite, or that cannot be
    computed, is none, and so are those of the first ``WARM_UP`` samples: many of these detectors have no warm-up of
    their own and score their first samples highest. They know no expected value and no band.

    River lets a detector learn while it scores (PredictiveAnomalyDetection does), so each sample is scored once.
    """

    def __init__(self, name: str, n: int, threshold: float, parameters: Mapping[str, Any]) -> None:
        self.threshold = threshold
        self.new_levels: list[NewLevel] = []
        self._detectors = [_Detector(name, parameters) for _ in range(n)]
        self._count = np.zeros(n)
        self._last = np.full(n, -np.inf)

    def score_many(self, t: Time, values: Array) -> Array:
        return self.read_many(t, values).score

    def read_many(self, t: Time, values: Array, learn: bool = False) -> Reading:
        raw = np.full(values.size, np.nan)
        for index, time, value in self._new(t, values):
            if self._count[index]:  # asked before they learned anything, some are NaN for ever
                raw[index] = self._detectors[index].score(time, value)
        reading = nothing(values.size)
        reading.scored[:] = np.isfinite(raw) & (self._count >= WARM_UP)
        np.copyto(reading.score, raw, where=reading.scored)
        if learn:
            self.learn_many(t, values)
        return reading

    def learn_many(self, t: Time, values: Array) -> None:
        for index, time, value in self._new(t, values):
            self._detectors[index].learn(time, value)
            self._count[index] += 1
            self._last[index] = time

    def step_many(self, t: Time, values: Array) -> Array:
        return self.read_many(t, values, learn=True).score

    def _new(self, t: Time, values: Array) -> Iterator[tuple[int, float, float]]:
        """Of each sample that is neither missing nor late: its series, time and value, as plain numbers."""
        times = np.broadcast_to(t, values.shape)
        new = np.isfinite(values) & ~(times <= self._last)
        for index in np.flatnonzero(new).tolist():
            yield index, float(times[index]), float(values[index])


class _Detector:
    """One of river's detectors: both kinds of them, asked of a time and a value. What it cannot compute is NaN."""

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        from river import base, preprocessing

        made = _class(name)(**{**defaults(name), **parameters})
        self._is_supervised = isinstance(made, base.SupervisedAnomalyDetector)
        self._detector = getattr(preprocessing, SCALERS[name])() | made if name in SCALERS else made

    def score(self, time: float, value: float) -> float:
        try:
            return float(self._detector.score_one(*self._sample(time, value)))
        except (ArithmeticError, ValueError):
            return math.nan

    def learn(self, time: float, value: float) -> None:
        with suppress(ArithmeticError, ValueError):
            self._detector.learn_one(*self._sample(time, value))

    def _sample(self, time: float, value: float) -> tuple[Any, ...]:
        return ({"t": time}, value) if self._is_supervised else ({"value": value},)
