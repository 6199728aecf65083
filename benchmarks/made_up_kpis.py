"""Values of many made-up KPIs, step by step: what the detectors are timed on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

START = 1_763_424_000.0  # 2025-11-18T00:00:00Z, seconds since the epoch
DAY_S = 86_400

Matrix = NDArray[np.float64]


class Load:
    """``size`` series, each with a level that walks at random, a daily season, and noise of 1 to 10 % of the level."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.time = size, START
        self._rng = np.random.default_rng([seed, size])
        self._level = self._rng.lognormal(3, 2, size)
        self._swing = self._level * self._rng.uniform(0, 0.5, size)
        self._phase = self._rng.uniform(0, 2 * np.pi, size)
        self._noise = self._level * self._rng.uniform(0.01, 0.1, size)

    def steps(self, count: int, step_s: float, missing: float = 0.0) -> tuple[list[float], Matrix]:
        """The next ``count`` steps: their times, and their values of shape (count, size), NaN where missing."""
        times = [self.time + step_s * (step + 1) for step in range(count)]
        values = np.empty((count, self.size))
        for row, time in zip(values, times, strict=True):
            row[:] = self._next(time, step_s)
            if missing:
                row[self._rng.random(self.size) < missing] = np.nan
        self.time = times[-1]
        return times, values

    def offsets(self, step_s: float) -> NDArray[np.float64]:
        """Seconds by which each series comes after the step's time, less than a step."""
        return self._rng.uniform(0, step_s, self.size)

    def _next(self, time: float, step_s: float) -> NDArray[np.float64]:
        walk, noise = self._rng.standard_normal((2, self.size), dtype=np.float32)
        self._level += 0.01 * (step_s / 60) ** 0.5 * self._noise * walk
        season = np.sin(2 * np.pi * time / DAY_S + self._phase)
        values: NDArray[np.float64] = self._level + self._swing * season + self._noise * noise
        return values
