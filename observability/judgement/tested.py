"""What the tests say of the comparisons with one baseline: size, interval, p, and whether the change is real.

Three tests, by what there is to test:

* a **level** (latency, CPU, cost, …) on five days or more: the rule of the week (``level``). Its p comes from the
  paired hours of days 1 to 7, a Huber location with effective n (``inference``); it confirms and does not decide alone,
  because hours do not see how weeks differ.
* a **share of events** with hourly counts: the exact test on counts, allowing for bursts (``exact.compare_shares``),
  or the rule of the week, which one burst does not blind; its p is then twice that of the one that says so.
* a **single pair of days**: the mean of its 24 paired hourly log ratios at 98 %.

In each, a change is real where it is beyond 10 % (of a share: and beyond the floor), its test says so, and its p,
adjusted for all KPIs of the service against this baseline, is at most 0.10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observability.judgement.badness import log_ratios, relative
from observability.judgement.comparison import Comparison
from observability.judgement.exact import compare_shares, theil_sen
from observability.judgement.inference import adjusted, infer_hubers, infer_mean, locate_change
from observability.judgement.level import REAL_CHANGE, is_beyond, judge_level
from observability.judgement.obstacles import obstacle_of
from observability.model import LAST_DAY
from observability.verdicts import Interval, Trend

FALSE_DISCOVERIES = 0.10
ONSET_NOISE = 0.07  # of the days: above it, the hour at which a change began cannot be told (docs/judgement.md)

MIN_TREND_DAYS = 4
TREND_RISE, VOLATILE_SPREAD = 0.05, 0.10  # over the week; mean distance from the median day

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tested:
    """Changes are relative, 0.1 = 10 % more. ``detectable`` is the smallest that would have been called real."""

    p: float | None = None
    p_adjusted: float | None = None
    n: int = 0
    n_effective: float | None = None
    interval: Interval | None = None
    points_interval: Interval | None = None
    detectable: float | None = None
    beyond: bool | None = None  # what the test says by itself, before the correction for many; None: no test was made
    persists: bool | None = None
    noise: float | None = None
    obstacle: str | None = None  # what keeps the change from being judged; such a row counts for no correction

    @property
    def real(self) -> bool | None:
        if self.beyond is None:
            return None
        return self.beyond and self.p_adjusted is not None and self.p_adjusted <= FALSE_DISCOVERIES


def examine(found: Sequence[Comparison]) -> list[Tested]:
    """Of the comparisons of one service with one baseline, in their order."""
    tested = _levels(found)
    for place, comparison in enumerate(found):
        if comparison.counts is not None:
            tested[place] = _either(_shares(comparison, comparison.counts), tested[place])
        elif comparison.baseline.is_one_pair:
            tested[place] = _one_pair(comparison)
    obstacles = [obstacle_of(comparison) for comparison in found]
    judged = [one.p if obstacle is None else None for one, obstacle in zip(tested, obstacles, strict=True)]
    return [
        replace(one, obstacle=obstacle, p_adjusted=p)
        for one, obstacle, p in zip(tested, obstacles, adjusted(judged), strict=True)
    ]


def _levels(found: Sequence[Comparison]) -> list[Tested]:
    """The rule of the week for all KPIs at once: it is the same arithmetic on shape (KPIs, 8)."""
    if not found:
        return []
    daily = np.array([one.daily for one in found])
    levels = judge_level(daily, np.array([one.whole for one in found]) if found[0].baseline.is_before else None)
    hours = infer_hubers(np.array([_paired_hours(one) for one in found]))
    tested = []
    for place, one in enumerate(found):
        margin, n = float(levels.margin[place]), int(hours.n[place])
        p = float(hours.p[place])
        if math.isnan(margin) or one.change is None or not math.isfinite(one.change) or not one.is_finite:
            tested.append(Tested(n=n))
            continue
        centre = math.log1p(one.change)
        tested.append(
            Tested(
                p=None if math.isnan(p) else p,
                n=n,
                n_effective=None if math.isnan(p) else float(hours.n_effective[place]),
                interval=(relative(centre - margin), relative(centre + margin)),
                detectable=relative(margin),
                beyond=bool(levels.changed[place]) and not one.below_floor,
                persists=bool(levels.persists[place]),
                noise=float(levels.noise[place]),
            )
        )
    return tested


def _paired_hours(one: Comparison) -> Floats:
    """Log ratios of the hours of days 1 to 7. Of a share, no bad event before and after is no evidence of a level: what
    it says depends on how many events there were, and that the counts know."""
    ratios = log_ratios(one.expected, one.observed)[1:].ravel()
    if one.counts is None:
        return ratios
    return np.where((one.observed[1:].ravel() == 0) & (one.expected[1:].ravel() == 0), np.nan, ratios)


def _shares(one: Comparison, counts: tuple[Floats, Floats, Floats, Floats]) -> Tested:
    """Counts, allowing for bursts. The interval is widened to hold the median day where a burst moved it away."""
    bad, total, bad_after, total_after = (side.ravel() for side in counts)
    found = compare_shares(bad, total, bad_after, total_after)
    if found is None or found.p is None or one.change is None:
        return Tested(n=0 if found is None else found.n)
    low, high = (None if end is None else end - 1 for end in (found.ratio_low, found.ratio_high))
    interval = _holding(one.change, low, high)
    return Tested(
        p=found.p,
        n=found.n,
        n_effective=found.n_effective,
        interval=interval,
        points_interval=_holding(one.points, found.points_low, found.points_high),
        detectable=_half_width(interval),
        beyond=is_beyond(one.change) and not one.below_floor and _excludes_none(low, high),
        persists=_persists(one),
    )


def _either(counts: Tested, level: Tested) -> Tested:
    """Real if either says so, at twice its p (Bonferroni); else the test with the tighter interval."""
    if counts.p is None or level.p is None:
        return level if counts.p is None else counts
    tighter = min((counts, level), key=lambda one: math.inf if one.detectable is None else one.detectable)
    sure = min((counts, level), key=lambda one: one.p if one.beyond and one.p is not None else math.inf)
    chosen = sure if sure.beyond else tighter
    return replace(
        chosen,
        p=min(1.0, 2 * (counts.p if chosen is counts else level.p)),
        detectable=tighter.detectable,
        noise=None,
    )


def _one_pair(one: Comparison) -> Tested:
    """The mean of the day's paired hours (design rule for a day; EWC, see ``inference``)."""
    found = infer_mean(log_ratios(one.expected, one.observed)[1:].ravel())
    if found.p is None or found.low is None or found.high is None or one.change is None:
        return Tested(n=found.n)
    interval = _holding(one.change, relative(found.low), relative(found.high))
    return Tested(
        p=found.p,
        n=found.n,
        n_effective=found.n_effective,
        interval=interval,
        detectable=_half_width(interval),
        beyond=_excludes_none(found.low, found.high) and is_beyond(one.change) and not one.below_floor,
    )


def _excludes_none(low: float | None, high: float | None) -> bool:
    return (low is not None and low > 0) or (high is not None and high < 0)


def _holding(value: float | None, low: float | None, high: float | None) -> Interval:
    """The interval, and the value if it lies outside."""
    if value is None or not math.isfinite(value):
        return low, high
    return (low if low is None else min(low, value)), (high if high is None else max(high, value))


def _half_width(interval: Interval) -> float | None:
    """Of an interval of relative changes, on the scale of ratios; at least what counts as a change."""
    low, high = interval
    if low is None or high is None or low <= -1:
        return None
    return max(REAL_CHANGE, math.sqrt((1 + high) / (1 + low)) - 1)


def _persists(one: Comparison) -> bool | None:
    """Whether the last two days still show at least half of the change, and that it is one."""
    last = [one.ratios[number] for number in one.numbers[-2:]]
    if one.change is None or not last:
        return None
    if not math.isfinite(one.change):
        return all(ratio == math.inf for ratio in last)
    centre = math.log1p(one.change) if one.change > -1 else -math.inf
    return math.copysign(1.0, centre) * sum(last) / len(last) >= abs(centre) / 2  # NaN, from ∞ − ∞, is not


def onset(one: Comparison, tested: Tested) -> tuple[int, int | None] | None:
    """The hours after GA at which a real change began and went away; None where the hours are too noisy to tell."""
    if tested.real is not True or (tested.noise is not None and tested.noise > ONSET_NOISE):
        return None
    shares = one.counts is not None
    hours = one.observed - one.expected if shares else log_ratios(one.expected, one.observed)
    found = locate_change(hours.ravel(), before=0.0)
    return None if found is None else (found.start, found.end)


def course(one: Comparison) -> tuple[Trend, float | None]:
    """How the KPI moved from day to day against its partners, and by how much of itself a day (Theil and Sen)."""
    daily = one.daily[: LAST_DAY + 1]
    slope = theil_sen(daily) if np.isfinite(daily).sum() >= MIN_TREND_DAYS else None
    if slope is None:
        return "unknown", None
    if slope.low > 0 or slope.high < 0:
        trend: Trend = "increasing" if slope.value > 0 else "decreasing"
        return trend if abs(slope.value) * LAST_DAY > TREND_RISE else "stable", relative(slope.value)
    spread = float(np.nanmean(np.abs(daily - np.nanmedian(daily))))
    return "volatile" if spread > VOLATILE_SPREAD else "stable", relative(slope.value)
