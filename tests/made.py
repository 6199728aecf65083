"""Series and parameters that the tests of several channels share."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

NAN = float("nan")

# Memories so short that everything happens within the steps.
SHORT_SIGNIFICANCE = {
    "level_h": 0.06,
    "level_samples": 5.0,
    "spread_h": 0.04,
    "spread_samples": 4.0,
    "season_days": 3.0,
    "range_days": 1.5,
    "fatigue_days": 0.1,
    "settle_h": 0.3,
    "warm_up": 3.0,
    "threshold": 4.0,
}
SHORT_NOVELTY = {
    "fast_h": 0.05,
    "level_h": 0.4,
    "common": 0.3,
    "clip": 4.0,
    "warm_up_h": 0.11,
    "rest_h": 0.21,
    "again": 1.5,
    "recover_h": 0.5,
}


@dataclass(frozen=True)
class Made:
    """A KPI: noise of some kind around a level that may move, with bursts, gaps and a season."""

    seed: int
    noise: str
    season: float
    missing: float
    shifts: list[tuple[int, int, float]]  # from which step, for how many, by how much
    steps = 300

    def values(self):
        rng, steps = np.random.default_rng(self.seed), np.arange(self.steps)
        kinds = {"normal": rng.normal, "heavy tails": lambda size: rng.standard_t(2, size), "counts": self._counts(rng)}
        values = kinds[self.noise](size=self.steps) + self.season * np.sin(steps / 20)
        for first, length, shift in self.shifts:
            values[first : first + length] += shift
        return np.where(rng.random(self.steps) < self.missing, NAN, values)

    @staticmethod
    def _counts(rng):
        return lambda size: 2.0 * rng.poisson(0.3, size)


MADE = st.builds(
    Made,
    seed=st.integers(0, 2**32 - 1),
    noise=st.sampled_from(["normal", "heavy tails", "counts"]),
    season=st.sampled_from([0.0, 5.0]),
    missing=st.sampled_from([0.0, 0.3]),
    shifts=st.lists(
        st.tuples(
            st.integers(20, Made.steps - 1), st.sampled_from([1, 5, 30, 60, 200]), st.sampled_from([-40.0, 8.0, 20.0])
        ),
        max_size=3,
    ),
)
