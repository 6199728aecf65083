"""Inference from autocorrelated sequences: the level of paired hours, its onset, and the correction for many tests.

Consecutive hours resemble each other, so n of them tell less than n independent ones would. What the mean of a
stationary sequence varies by is Ω/n, with Ω the long-run variance: the variance plus twice all autocovariances. Here Ω
is the larger of two estimates, because each alone was measured to raise false alarms where the other does not:

- equal-weighted cosine (EWC): the mean square of the sequence's first B cosine coefficients. It assumes no model; it is
  too small for few values that are strongly autocorrelated.
- AR(1): s² (1 + ρ)/(1 − ρ), with ρ the lag-1 autocorrelation, corrected for its bias and not below 0. It is too small
  where noise hides a slow component.

The reference distribution is t with B degrees of freedom (Lazarus, Lewis, Stock and Watson, "HAR Inference:
Recommendations for Practice", JBES 36(4), 2018, p. 545: EWC and its t).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

MIN_VALUES = 8  # with fewer, the variance of the mean is not estimable and nothing is said
# 8 cosines: the shortest lasts a quarter of the sequence, which in a week is slower than the daily cycle.
MAX_COSINES = 8
VALUES_PER_COSINE = 4
MAX_AUTOCORRELATION = 0.95
HUBER_K = 1.345  # 95 % as efficient as the mean where the values are normal
TO_SIGMA = 1.4826  # from the median absolute deviation, for normal values
MEAN_TO_SIGMA = 1.2533  # likewise from the mean absolute deviation


class Inference(NamedTuple):
    """A level with its interval and two-sided p against 0. All but ``n`` are None where there were too few values."""

    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    n_effective: float | None


class Inferences(NamedTuple):
    """The same of many sequences: float64 arrays of shape (m,), NaN in the place of None; ``n`` is never missing."""

    estimate: Floats
    low: Floats
    high: Floats
    p: Floats
    n: Floats
    n_effective: Floats


class Change(NamedTuple):
    """Where a level changes: from ``start``, until before ``end`` (None: to the last value), with the levels."""

    start: int
    end: int | None
    before: float
    after: float


def checked_level(level: float) -> float:
    """The level, which must lie between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    return level


def checked_floats(values: npt.ArrayLike, dimensions: int = 1) -> Floats:
    """The values as float64 with NaN for what is missing (None, too). Infinities are refused."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != dimensions:
        raise ValueError(f"values must have {dimensions} dimension(s), not {found.ndim}")
    if np.isinf(found).any():
        raise ValueError("values must be finite, or NaN where one is missing")
    return found


def infer_mean(values: npt.ArrayLike, level: float = 0.98, cosines: int | None = None) -> Inference:
    """The mean of one sequence in time order; see ``infer_means``."""
    return _only(infer_means(checked_floats(values)[np.newaxis], level, cosines))


def infer_means(rows: npt.ArrayLike, level: float = 0.98, cosines: int | None = None) -> Inferences:
    """The mean of each row, shape (m, n), with an interval and p that hold under autocorrelation.

    NaN are left out and the rest is closed up (Datta and Du, "Nonparametric HAC estimation for time series data with
    missing observations", 2012, show that this is consistent). With fewer than 8 values nothing is inferred. Effective
    n is n s²/Ω, between 1 and n. The number of cosines B is a quarter of n and at most 8 by default; fewer are more
    careful and have less power. A constant row has a variance of 0: its p is 0, or 1 if the constant is 0, its interval
    is the constant and its effective n 1, because it showed one value.

    ValueError for infinite values, a level outside (0, 1) and B outside 1 … n − 1.
    """
    return _infer(checked_floats(rows, 2), level, cosines, lambda dense: dense)


def infer_huber(values: npt.ArrayLike, level: float = 0.98, cosines: int | None = None) -> Inference:
    """The Huber location of one sequence in time order; see ``infer_hubers``."""
    return _only(infer_hubers(checked_floats(values)[np.newaxis], level, cosines))


def infer_hubers(rows: npt.ArrayLike, level: float = 0.98, cosines: int | None = None) -> Inferences:
    """As ``infer_means``, of Huber's M-estimator of location, which a minority of far values moves little.

    Its influence values ψ(x − μ)/mean(ψ′), ψ clipped at 1.345 robust sigmas (from the median absolute deviation), take
    the place of x − μ: Ω of them is the sandwich variance (Huber, "Robust Statistics", 1981, chapter 3). If more than
    half of the values are equal, the mean absolute deviation gives the sigma.
    """
    return _infer(checked_floats(rows, 2), level, cosines, _huberised)


def long_run_variance(residuals: Floats, cosines: int) -> tuple[Floats, Floats]:
    """Ω and effective n of each row of residuals, shape (m, n), whose mean is 0."""
    n = residuals.shape[1]
    squares = np.einsum("ij,ij->i", residuals, residuals)
    lagged = np.einsum("ij,ij->i", residuals[:, 1:], residuals[:, :-1])
    varies = squares > 0
    rho = np.divide(lagged, squares, out=np.zeros_like(squares), where=varies)
    rho = np.clip(rho + (1 + 4 * rho) / n, 0.0, MAX_AUTOCORRELATION)  # Kendall, Biometrika 41, 1954
    variance = squares / (n - 1)
    ewc = np.mean((residuals @ _cosine_terms(n, cosines)) ** 2, axis=1)
    omega = np.maximum(ewc, variance * (1 + rho) / (1 - rho))
    n_effective = np.divide(n * variance, omega, out=np.ones_like(omega), where=varies)
    return omega, np.maximum(n_effective, 1.0)


def cosines_of(n: int) -> int:
    """How many cosines are used for n values by default."""
    return min(MAX_COSINES, n // VALUES_PER_COSINE)


def locate_change(
    values: npt.ArrayLike, before: float | None = None, shortest: int = 12, away: int = 24
) -> Change | None:
    """Where a sequence leaves its level, and whether it comes back: the stretch that differs most from the rest.

    Of all stretches, the one whose separate level removes most of the sum of squares (the epidemic alternative: Levin
    and Kline, Statistics in Medicine 4, 1985). ``before`` is the level outside, if that is known: 0 for log ratios
    against hours before the release, and then the stretch may be the whole sequence. The stretch and what lies before
    it have at least ``shortest`` values, and what lies after it at least ``away``, unless there is nothing: a change
    that was gone for less is still there. Values more than 3 robust sigmas away from the median count as 3, unless
    more than half are equal. NaN are left out; places are those of the given sequence. The levels are medians.

    This only locates: it finds a stretch in noise, too, so ask ``infer_mean`` first. None for fewer than ``shortest``
    values (twice that if ``before`` is not given) and for constant ones at the level outside. Time and memory grow with
    n², 0.2 ms for 192 hours: a linear search finds one change, and misses one that went away.
    """
    given = checked_floats(values)
    places = np.flatnonzero(~np.isnan(given))
    x = given[places]
    if shortest < 1 or x.size < shortest * (1 if before is not None else 2):
        return None
    gains = _gains(_limited(x, before), before, shortest, away)
    start, stop = (int(place) for place in np.unravel_index(np.argmax(gains), gains.shape))
    if not gains[start, stop] > 0:
        return None
    outside = np.concatenate([x[:start], x[stop:]])
    return Change(
        start=int(places[start]),
        end=int(places[stop]) if stop < x.size else None,
        before=float(np.median(outside)) if before is None else before,
        after=float(np.median(x[start:stop])),
    )


def adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for the false-discovery rate: Benjamini and Hochberg (JRSS B 57, 1995), made monotone.

    What was not tested is None, counts for nothing and stays None. The rate holds for independent tests and for
    positively dependent ones (Benjamini and Yekutieli, Annals of Statistics 29, 2001, theorem 1.2), which KPIs of one
    service are; their correction for any dependence costs a factor of 1 + 1/2 + … + 1/m, and is not made.

    >>> adjusted([0.01, None, 0.04, 0.03])
    [0.03, None, 0.04, 0.04]
    """
    if not all(p is None or 0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values must lie between 0 and 1, or be None: {list(p_values)}")
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    result: list[float | None] = [None] * len(p_values)
    least = 1.0
    for rank, (p, place) in reversed(list(enumerate(tested, start=1))):
        least = min(least, p * (len(tested) / rank))
        result[place] = least
    return result


def _gains(x: Floats, before: float | None, shortest: int, away: int) -> Floats:
    """What a level of its own for x[i:j] takes off the sum of squares, shape (n + 1, n + 1), −inf where not allowed."""
    n = x.size
    sums = np.concatenate([[0.0], np.cumsum(x - (x.mean() if before is None else before))])
    start, stop = np.arange(n + 1)[:, np.newaxis], np.arange(n + 1)
    length = stop - start
    is_whole = (length >= shortest) & ((stop == n) | (stop <= n - away))
    is_whole &= (start >= shortest) if before is None else (start == 0) | (start >= shortest)
    # Where the level outside is estimated as well, (1/length + 1/rest) stands for 1/length.
    share = length * (1 - length / n) if before is None else length
    gains = (sums - sums[:, np.newaxis]) ** 2 / np.where(is_whole, share, 1)
    return np.where(is_whole, gains, -np.inf)


def _limited(x: Floats, before: float | None) -> Floats:
    """Without far values; the level outside, where it is known, is none of them."""
    middle = np.median(x)
    sigma = TO_SIGMA * np.median(np.abs(x - middle))
    most = 3 * sigma if before is None else max(3 * sigma, abs(middle - before))
    return x if sigma == 0 else np.asarray(np.clip(x, middle - most, middle + most))


def _only(found: Inferences) -> Inference:
    estimate, low, high, p, n, n_effective = (float(field[0]) for field in found)
    if np.isnan(p):
        return Inference(None, None, None, None, int(n), None)
    return Inference(estimate, low, high, p, int(n), n_effective)


def _infer(rows: Floats, level: float, cosines: int | None, replaced: Callable[[Floats], Floats]) -> Inferences:
    """Row by row, those of the same number of values together."""
    checked_level(level)
    is_missing = np.isnan(rows)
    n = rows.shape[1] - is_missing.sum(axis=1)
    found = np.full((5, len(rows)), np.nan)
    for length in np.unique(n[n >= MIN_VALUES]):
        which = n == length
        dense = rows[which][~is_missing[which]].reshape(-1, length)
        found[:, which] = _infer_dense(dense, level, cosines, replaced)
    estimate, low, high, p, n_effective = found
    return Inferences(estimate, low, high, p, n.astype(np.float64), n_effective)


def _infer_dense(rows: Floats, level: float, cosines: int | None, replaced: Callable[[Floats], Floats]) -> Floats:
    """Estimate, low, high, p and effective n of rows without NaN, shape (5, m)."""
    n = rows.shape[1]
    b = cosines_of(n) if cosines is None else cosines
    if not 1 <= b < n:
        raise ValueError(f"cosines must be 1 to {n - 1} for {n} values, not {b}")
    size = np.abs(rows).max(axis=1)
    size = np.where(size > 0, size, 1.0)
    scaled = replaced(rows / size[:, np.newaxis])  # no square is lost or infinite, and of constants ±1 no dust is left
    mean = scaled.mean(axis=1)
    omega, n_effective = long_run_variance(scaled - mean[:, np.newaxis], b)
    error = np.sqrt(omega / n)
    t = np.where(mean == 0, 0.0, np.inf)
    np.divide(np.abs(mean), error, out=t, where=error > 0)
    margin = special.stdtrit(b, (1 + level) / 2) * error
    estimate, low, high = ((mean + side * margin) * size for side in (0, -1, 1))
    return np.stack([estimate, low, high, 2 * special.stdtr(b, -t), n_effective])


@lru_cache(maxsize=512)
def _cosine_terms(n: int, cosines: int) -> Floats:
    """√(2/n) cos(πj (t − ½)/n) for t = 1 … n and j = 1 … B, shape (n, B)."""
    angles = np.pi * np.outer((np.arange(n) + 0.5) / n, np.arange(1, cosines + 1))
    return np.asarray(np.sqrt(2 / n) * np.cos(angles))


def _huberised(rows: Floats) -> Floats:
    """Each value replaced by the location plus its influence: the mean of a row is its Huber location."""
    middle = np.median(rows, axis=1, keepdims=True)
    off = rows - middle
    sigma = TO_SIGMA * np.median(np.abs(off), axis=1, keepdims=True)
    sigma = np.where(sigma > 0, sigma, MEAN_TO_SIGMA * np.abs(off).mean(axis=1, keepdims=True))
    limit = HUBER_K * sigma
    location = np.zeros_like(middle)
    for _ in range(50):  # Newton's method; it ends after a few steps
        clipped = np.clip(off - location, -limit, limit)
        inside = np.maximum(np.mean(np.abs(off - location) <= limit, axis=1, keepdims=True), 0.25)
        step = clipped.mean(axis=1, keepdims=True) / inside
        location = location + step
        if (np.abs(step) <= 1e-12 * sigma).all():
            break
    return np.asarray(middle + (location + clipped / inside))
