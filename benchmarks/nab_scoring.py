"""NAB's scoring rules: what a detection earns, the one threshold that earns most, and the normalised score.

Source: the Numenta Anomaly Benchmark, ``nab/sweeper.py`` and ``nab/runner.py`` of numenta/NAB (Lavin and Ahmad 2015,
https://doi.org/10.1109/ICMLA.2015.141). Rows and windows are counted from 0; a window is its first and its last row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.model import Array

PROBATION, PROBATION_ROWS = 0.15, 750  # a file's rows that are not scored: this share of them, and at most so many
FAR = 3.0  # as many window widths after a window a false alarm weighs as much as one before any window
OUTSIDE = -1


class Profile(NamedTuple):
    """What a window that is found, a false alarm and a window that is missed count: A_TP, A_FP and A_FN."""

    found: float
    false: float
    missed: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low_fp": Profile(1.0, 0.22, 1.0),
    "low_fn": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class Weights:
    """What a detection in each scored row of a file weighs, shape (rows,): within a window from 1 in its first row
    towards 0, outside from 0 behind a window to −1. ``window``: the number of the window that the row lies in, or −1.
    ``windows``: how many the file has, also those that end before the first scored row."""

    first: int
    weight: Array
    window: NDArray[np.int_]
    windows: int


def weigh(rows: int, windows: Sequence[tuple[int, int]]) -> Weights:
    """The weights of a file of so many rows. The windows are in order and share no row."""
    weight, window = np.full(rows, -1.0), np.full(rows, OUTSIDE)
    for number, (start, end) in enumerate(windows):
        width = end - start + 1
        weight[start : end + 1] = _sigma(-np.arange(width, 0, -1) / width) / _sigma(-1.0)
        weight[end + 1 :] = _after(np.arange(1, rows - end), width)
        window[start : end + 1] = number
    first = probation(rows)
    return Weights(first, weight[first:], window[first:], len(windows))


def probation(rows: int) -> int:
    """How many rows at a file's start are not scored."""
    return min(math.floor(PROBATION * rows), PROBATION_ROWS)


def _sigma(y: Array | float) -> Array:
    return np.asarray(2 / (1 + np.exp(5 * np.asarray(y))) - 1)


def _after(distance: NDArray[np.int_], width: int) -> Array:
    """Behind a window of one row, for which NAB's code divides by 0, every row is far."""
    widths = distance / (width - 1) if width > 1 else np.full(distance.shape, np.inf)
    return np.where(widths <= FAR, _sigma(np.minimum(widths, FAR)), -1.0)


@dataclass(frozen=True)
class Sweep:
    """What every threshold earns, from the highest on, shape (thresholds,). The first, inf, detects nothing; the others
    are all the scores that there are, so that between two of them nothing changes.

    ``hits``: the sum over the windows of their best-weighing detection; ``found``: how many windows have one;
    ``false``: the sum of the weights of the detections outside. ``windows``: how many there are; ``open_windows``: how
    many of them have a scored row.
    """

    thresholds: Array
    hits: Array
    found: Array
    false: Array
    windows: int
    open_windows: int

    def scores(self, profile: Profile) -> Array:
        """100 (raw − null)/(perfect − null), where null is what no detection earns. As in NAB, a window without a
        scored row can be neither found nor missed, and still counts in what is perfect."""
        above_null = (self.hits * profile.found + self.found * profile.missed) + self.false * profile.false
        return 100 * above_null / (profile.found * self.windows + profile.missed * self.open_windows)

    def best(self, profile: Profile) -> float:
        """The threshold that earns most; of several, the highest."""
        return float(self.thresholds[np.argmax(self.scores(profile))])

    def at(self, threshold: float, profile: Profile) -> float:
        """The normalised score where a detection is a row with a score of at least the threshold."""
        last = np.searchsorted(-self.thresholds, -threshold, side="right") - 1
        return float(self.scores(profile)[last])


def sweep(files: Sequence[Weights], scores: Sequence[Array]) -> Sweep:
    """All thresholds over all files at once. ``scores``: one array per file, of all its rows. O(n log n)."""
    offsets = np.cumsum([0, *(file.windows for file in files)])
    score = np.concatenate([one[file.first :] for file, one in zip(files, scores, strict=True)])
    weight = np.concatenate([file.weight for file in files])
    window = np.concatenate(
        [np.where(file.window == OUTSIDE, OUTSIDE, file.window + at) for file, at in zip(files, offsets, strict=False)]
    )
    order = np.argsort(-score, kind="stable")
    score, weight, window = score[order], weight[order], window[order]
    false = np.where(window == OUTSIDE, weight, 0.0)
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # rows with equal scores are detected together
    hits, found, false = (np.append(0.0, np.cumsum(gain)[last]) for gain in (*_gains(weight, window), false))
    return Sweep(np.append(np.inf, score[last]), hits, found, false, int(offsets[-1]), int(found[-1]))


def _gains(weight: Array, window: NDArray[np.int_]) -> tuple[Array, Array]:
    """By how much each row, in order of detection, raises the best weight of its window; and 1 for a window's first."""
    hits, found = np.zeros(weight.size), np.zeros(weight.size)
    inside = np.flatnonzero(window != OUTSIDE)
    for number in np.unique(window[inside]):
        rows = inside[window[inside] == number]
        hits[rows] = np.diff(np.maximum.accumulate(weight[rows]), prepend=0.0)
        found[rows[0]] = 1.0
    return hits, found


def half_tested(
    files: Sequence[Weights], sets: Iterable[Sequence[Array]], splits: int, random: np.random.Generator
) -> dict[str, float]:
    """Per profile the mean normalised score of half of the files with what is best on the other half, both ways: which
    of the sets of scores, each one array per file, and which threshold. Of equally good sets the first.

    Files with windows and files without are halved apart; needs two with windows.
    """
    halves = [_halves(files, random) for _ in range(splits)]
    earned = np.array([[_both_ways(files, scores, *two) for two in halves] for scores in sets])
    chosen = earned[..., :1].argmax(axis=0, keepdims=True)
    tested = np.take_along_axis(earned[..., 1:], chosen, axis=0)  # shape (1, splits, 2 ways, profiles, 1)
    return dict(zip(PROFILES, tested.mean(axis=(0, 1, 2, 4)).tolist(), strict=True))


def _both_ways(files: Sequence[Weights], scores: Sequence[Array], *halves: Sequence[int]) -> list[list[list[float]]]:
    """Per way and profile: what the threshold that is best on a half earns there, and what it earns on the other."""
    one, other = (sweep([files[at] for at in half], [scores[at] for at in half]) for half in halves)
    return [
        [_with_the_best_of(here, there, profile) for profile in PROFILES.values()]
        for here, there in ((one, other), (other, one))
    ]


def _with_the_best_of(here: Sweep, there: Sweep, profile: Profile) -> list[float]:
    threshold = here.best(profile)
    return [here.at(threshold, profile), there.at(threshold, profile)]


def _halves(files: Sequence[Weights], random: np.random.Generator) -> tuple[list[int], list[int]]:
    drawn = random.permutation(len(files)).tolist()
    dealt = sorted(drawn, key=lambda at: files[at].windows == 0)
    return dealt[::2], dealt[1::2]
