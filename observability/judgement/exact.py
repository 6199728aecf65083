"""Exact inference: counts of events, two small samples, and the slope of a few days.

Exact: from the null distribution itself, so the level holds for small samples, too. Two-sided p-values are twice the
smaller tail, at most 1; there is no mid-p. The values must be independent, but for those of ``compare_shares``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from observability.judgement import inference
from observability.judgement.inference import MIN_VALUES, Floats, checked_floats, checked_level

Trend = Literal["increasing", "decreasing", "stable", "inconclusive"]

PRIOR_EVENTS = 20.0  # a side of fewer does not show by itself in what bursts its events come
DUST = 1e-9  # of an event: what subtracting counters leaves of none
MOST_VALUES = 60  # of a side of Mann–Whitney or of Kendall: their null distributions are counted out
FEWEST_DAYS = 4  # for a slope: of three, even a perfect order has p = 1/3


class Estimate(NamedTuple):
    """With exact interval and p. ``level`` is the interval's: less than asked for where the whole range has less."""

    value: float
    low: float
    high: float
    p: float
    level: float


class RateRatio(NamedTuple):
    """Ratio of two rates of events. None where nothing bounds it, or where it is 0/0."""

    ratio: float | None
    low: float
    high: float | None
    p: float


class ShareChange(NamedTuple):
    """Shares of bad events before and after, their difference in percentage points, and their ratio.

    ``p_exact`` is that of independent events, ``p`` the one to use. A bound is None where nothing bounds it; ``ratio``
    is None from a share of 0. ``n`` and ``n_effective`` count the hours of both sides. Where a side has too few hours,
    ``p``, the bounds and ``n_effective`` are None.
    """

    before: float
    after: float
    points: float
    ratio: float | None
    p_exact: float
    n: int
    p: float | None = None
    points_low: float | None = None
    points_high: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    n_effective: float | None = None


def compare_rates(
    bad_before: float, total_before: float, bad_after: float, total_after: float, level: float = 0.98
) -> RateRatio:
    """Events per unit of exposure, after over before: ratio, exact interval and exact two-sided p.

    Given the sum of both counts, the count after is binomial with π = r·t₁/(t₀ + r·t₁), t the totals and r the ratio
    (Przyborowski and Wilenski, Biometrika 31, 1940; Lehmann and Romano, "Testing Statistical Hypotheses", 3rd ed.,
    section 4.5), and the interval of π is that of Clopper and Pearson (Biometrika 26, 1934). On shares of requests it
    is conservative, and for rare events nearly Fisher's exact test. A count of 0 is a count: from 0, the ratio is
    bounded below alone, at a confidence of (1 + level)/2. Counts need not be whole (``increase()`` makes fractions of
    them), because the tails are incomplete beta functions; large ones take no longer.

    ValueError for negative, infinite or missing counts, and for a total of 0.

    >>> compare_rates(0, 1_000_000, 5, 1_000_000).p  # 2 · 0.5⁵
    0.0625
    """
    counts = (bad_before, total_before, bad_after, total_after)
    if not all(math.isfinite(count) and count >= 0 for count in counts) or total_before == 0 or total_after == 0:
        raise ValueError(f"counts must be finite and not negative, and totals above 0: {counts}")
    tail, odds = (1 - checked_level(level)) / 2, total_before / total_after
    bad_before, bad_after = (bad if bad > DUST else 0.0 for bad in (bad_before, bad_after))
    after = total_after / (total_before + total_after)  # of all events, if there is no change
    at_least = special.betainc(bad_after, bad_before + 1, after) if bad_after > 0 else 1.0
    at_most = special.betaincc(bad_after + 1, bad_before, after) if bad_before > 0 else 1.0
    return RateRatio(
        ratio=bad_after / bad_before * odds if bad_before > 0 else None,
        low=_odds(bad_after, bad_before + 1, tail) * odds,
        high=odds / least if (least := _odds(bad_before, bad_after + 1, tail)) > 0 else None,
        p=min(1.0, 2 * float(min(at_least, at_most))),
    )


def _odds(a: float, b: float, tail: float) -> float:
    """π/(1 − π) with I(π; a, b) = tail; 0 where nothing bounds π below, or only a number too small for a float."""
    share = special.betaincinv(a, b, tail) if a > 0 else 0.0
    return float(share / special.betainccinv(b, a, tail)) if share > 1e-300 else 0.0


def compare_shares(
    bad_before: npt.ArrayLike,
    total_before: npt.ArrayLike,
    bad_after: npt.ArrayLike,
    total_after: npt.ArrayLike,
    level: float = 0.98,
) -> ShareChange | None:
    """Did the share of bad events change? From the counts of each hour, in time order; NaN for a missing hour.

    Errors come in bursts: their hours vary by more than independent events would, and together. Hence both counts are
    divided by their design effect (Rao and Scott, Biometrics 48, 1992): Ω of the residuals bad − share · total of the
    linearised ratio (Cochran, "Sampling Techniques", 1977, chapter 6) over the variance of Poisson counts, at least 1;
    of a side with few events, drawn to that of both. The test is ``compare_rates`` on these fewer events, its normal
    score referred to t, because the design effect is estimated. The ratio's interval belongs to this test; the
    difference's is put together from the exact ones of both shares (MOVER: Zou and Donner, Statistics in Medicine 27,
    2008). ``p`` is at least ``p_exact``. A share of 0 before bounds the ratio below alone.

    None where a side has no traffic. ValueError for negative or infinite counts, and for lengths that differ.
    """
    before, after = _Side.of(bad_before, total_before), _Side.of(bad_after, total_after)
    if before.total == 0 or after.total == 0:
        return None
    exact = compare_rates(before.bad, before.total, after.bad, after.total, level)
    points, n = 100 * (after.share - before.share), before.n + after.n
    change = ShareChange(before.share, after.share, points, exact.ratio, exact.p, n)
    return change if min(before.n, after.n) < MIN_VALUES else _with_bursts(change, before, after, level)


def _with_bursts(change: ShareChange, before: _Side, after: _Side, level: float) -> ShareChange:
    """By the exact test of as many events as would vary like these, its normal score taken for a t."""
    pooled = (before.bad * before.effect + after.bad * after.effect) / max(before.bad + after.bad, 1.0)
    before, after = before.blended(pooled), after.blended(pooled)
    # Satterthwaite's, of the variances of the shares' logarithms.
    first, second = (1 / max(side.effective[0], 1.0) for side in (before, after))
    freedom = (first + second) ** 2 / (first**2 / before.cosines + second**2 / after.cosines)
    tail = float(special.ndtr(special.stdtrit(freedom, (1 - level) / 2)))
    fewer = compare_rates(*before.effective, *after.effective, 1 - 2 * tail)
    (low_before, high_before), (low_after, high_after) = before.interval(tail), after.interval(tail)
    return change._replace(
        p=max(change.p_exact, 2 * float(special.stdtr(freedom, special.ndtri(fewer.p / 2)))),
        points_low=change.points - 100 * math.hypot(after.share - low_after, high_before - before.share),
        points_high=change.points + 100 * math.hypot(high_after - after.share, before.share - low_before),
        ratio_low=fewer.low,
        ratio_high=fewer.high,
        n_effective=before.n_effective + after.n_effective,
    )


def hodges_lehmann(after: npt.ArrayLike, before: npt.ArrayLike, level: float = 0.98) -> Estimate | None:
    """Shift between two samples: the median of all differences, with the exact Mann–Whitney interval and p.

    (Hollander and Wolfe, "Nonparametric Statistical Methods", sections 4.1–4.3; R's ``wilcox.test`` has the same
    figures.) NaN are left out; None without a value on a side. Each tied pair counts one half, and half a pair counts
    towards no difference, so ties make p larger. ValueError beyond 60 values a side.

    >>> hodges_lehmann([10, 20, 30, 40], [1, 2, 3, 4])[:3]
    (22.5, 6.0, 39.0)
    """
    x, y = _known(after), _known(before)
    if x.size == 0 or y.size == 0:
        return None
    return _estimate((x[:, np.newaxis] - y).ravel(), _mann_whitney(x.size, y.size), level)


def theil_sen(values: npt.ArrayLike, level: float = 0.98) -> Estimate | None:
    """Slope per step: the median of the slopes between all pairs of values, with the exact Kendall interval and p.

    (Sen, JASA 63, 1968, with the exact distribution in the place of its approximation.) A NaN is left out and keeps its
    place in time; None with fewer than four values. Ties are as in ``hodges_lehmann``. ValueError beyond 60 values.

    >>> theil_sen([1, 2, 3, float("nan"), 5, 6, 7, 8]).value
    1.0
    """
    days = np.flatnonzero(~np.isnan(checked_floats(values)))
    known = _known(values)
    if known.size < FEWEST_DAYS:
        return None
    first, second = np.triu_indices(known.size, 1)
    return _estimate((known[second] - known[first]) / (days[second] - days[first]), _kendall(known.size), level)


def trend(values: npt.ArrayLike, least: float, level: float = 0.98) -> Trend:
    """In words, where the values go from the first to the last by their Theil–Sen slope.

    ``least`` is the change over the whole stretch, in the values' unit, that is one. A trend needs a change of that
    size and a slope whose interval excludes 0; "stable" an interval without such changes. Else it is "inconclusive".
    """
    slope = theil_sen(values, level)
    if slope is None or slope.level < level:
        return "inconclusive"
    low, change, high = ((checked_floats(values).size - 1) * end for end in (slope.low, slope.value, slope.high))
    if (low > 0 or high < 0) and abs(change) >= least:
        return "increasing" if change > 0 else "decreasing"
    return "stable" if max(-low, high) < least else "inconclusive"


class _Side(NamedTuple):
    """One side of a comparison of shares; ``effect`` is its design effect."""

    n: int
    bad: float
    total: float
    effect: float = 1.0
    n_effective: float = 0.0
    cosines: int = 0

    @classmethod
    def of(cls, bad: npt.ArrayLike, total: npt.ArrayLike) -> _Side:
        events, requests = checked_floats(bad), checked_floats(total)
        if events.shape != requests.shape or (events < 0).any() or (requests < 0).any():
            raise ValueError("there must be as many bad events as totals, and none negative")
        events, requests = np.stack([events, requests])[:, ~np.isnan(events + requests)]
        side = cls(events.size, float(events.sum()), float(requests.sum()))
        if side.n < MIN_VALUES or side.total == 0:
            return side
        residuals = events - side.share * requests
        omega, n_effective = inference.long_run_variance(residuals[np.newaxis], inference.cosines_of(side.n))
        return side._replace(
            effect=max(1.0, side.n * float(omega[0]) / max(side.bad, 1.0)),
            n_effective=float(n_effective[0]) if residuals.any() else float(side.n),
            cosines=inference.cosines_of(side.n),
        )

    @property
    def share(self) -> float:
        return self.bad / self.total

    def blended(self, pooled: float) -> _Side:
        """With a design effect drawn towards the pooled one, if that is larger, as by 20 events that have it."""
        own = self.effective[0] / (self.effective[0] + PRIOR_EVENTS)
        return self._replace(effect=max(self.effect, own * self.effect + (1 - own) * pooled))

    @property
    def effective(self) -> tuple[float, float]:
        """Bad and all events, as many independent ones as would vary like these."""
        return self.bad / self.effect, self.total / self.effect

    def interval(self, tail: float) -> tuple[float, float]:
        """Of the share, exact for a Poisson count (Garwood, Biometrika 28, 1936)."""
        bad, total = self.effective
        low = special.gammaincinv(bad, tail) if bad > 0 else 0.0
        return float(low / total), float(special.gammainccinv(bad + 1, tail) / total)


def _known(values: npt.ArrayLike) -> Floats:
    found = checked_floats(values)
    found = found[~np.isnan(found)]
    if found.size > MOST_VALUES:
        raise ValueError(f"exact tests take at most {MOST_VALUES} values, not {found.size}")
    return found


def _estimate(differences: Floats, cumulative: Floats, level: float) -> Estimate:
    """From differences (or slopes), and P(at most k of them are above 0) if there is no shift.

    The shift lies below the k-th smallest difference just if fewer than k of them lie below the shift.
    """
    ordered = np.sort(differences)
    above = float((ordered > 0).sum() + (ordered == 0).sum() / 2)
    tail = (1 - checked_level(level)) / 2
    outside = max(1, int(np.searchsorted(cumulative, tail, side="right")))
    return Estimate(
        value=float(np.median(ordered)),
        low=float(ordered[outside - 1]),
        high=float(ordered[-outside]),
        p=min(1.0, 2 * float(cumulative[math.ceil(min(above, ordered.size - above))])),
        level=min(level, 1 - 2 * float(cumulative[outside - 1])),
    )


@lru_cache(maxsize=256)
def _mann_whitney(m: int, n: int) -> Floats:
    """P(U ≤ u) for u = 0 … mn. The largest value is one of the m, above all n, or one of the n: the recurrence of Mann
    and Whitney (Annals of Mathematical Statistics 18, 1947), row by row."""
    row = [np.ones(1) for _ in range(n + 1)]  # none of the m: one way
    for _ in range(m):
        ways = [np.ones(1)]
        for below in range(1, n + 1):
            last_of_m = np.concatenate([np.zeros(below), row[below]])
            last_of_m[: ways[-1].size] += ways[-1]
            ways.append(last_of_m)
        row = ways
    return np.asarray(np.cumsum(row[n]) / row[n].sum())


@lru_cache(maxsize=256)
def _kendall(n: int) -> Floats:
    """P(K ≤ k) for k = 0 … n(n − 1)/2, K the pairs in ascending order of a random permutation of n (Kendall 1938)."""
    chances = np.ones(1)
    for place in range(2, n + 1):
        chances = np.convolve(chances, np.full(place, 1 / place))
    return np.asarray(np.cumsum(chances))
