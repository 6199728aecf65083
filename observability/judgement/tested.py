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
from scipy import special

from observability.comparable import HOURS
from observability.judgement.badness import bad_value, log_ratios, relative
from observability.judgement.baseline import WEEK_BEFORE
from observability.judgement.comparison import Comparison
from observability.judgement.exact import compare_shares, hodges_lehmann, theil_sen
from observability.judgement.inference import adjusted, infer_hubers, infer_mean, locate_change
from observability.judgement.level import MIN_PAIRS, REAL_CHANGE, is_beyond, judge_level
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
    began_before: int | None = None  # the day before GA on which it began, where that is seen
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
            tested[place] = _either(_shares(comparison, comparison.counts), tested[place], _is_split(comparison))
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
    hours = np.array([one.whole for one in found]) if found[0].baseline.is_before else None
    levels = judge_level(np.array([one.daily for one in found]), hours)
    paired = infer_hubers(np.array([_paired_hours(one) for one in found]))
    return [
        _level(
            one,
            margin=float(levels.margin[at]),
            noise=float(levels.noise[at]),
            before=float(levels.before[at]),
            hours=(float(paired.p[at]), int(paired.n[at]), float(paired.n_effective[at])),
        )
        for at, one in enumerate(found)
    ]


def _level(one: Comparison, margin: float, noise: float, before: float, hours: tuple[float, int, float]) -> Tested:
    centre, (p_hours, n, n_effective) = one.log_change, hours
    if math.isnan(margin) or centre is None or not math.isfinite(centre) or not one.is_finite:
        return Tested(n=n)
    p = _of_level(one, p_hours)
    return Tested(
        p=p,
        n=n,
        n_effective=None if math.isnan(n_effective) else n_effective,
        interval=(relative(centre - margin), relative(centre + margin)),
        detectable=relative(margin),
        beyond=abs(centre) > margin and is_beyond(relative(centre)) and not one.below_floor,
        persists=_persists(one),
        noise=noise,
        # A median of the week has no days of which some have the change already and others have not.
        began_before=None if math.isnan(before) or one.baseline.name != WEEK_BEFORE else int(before),
    )


def _of_level(one: Comparison, p_hours: float) -> float | None:
    """That of the hours or that of the days, twice the smaller (Bonferroni): a change of some hours of every day moves
    no Huber location of hours, and one of all hours on uneven days moves no mean of days. Without any hours, as in
    files of older tools, Mann and Whitney's exact p of the days' values before and after."""
    if math.isnan(p_hours) and np.isfinite(one.observed).any():
        return None  # there are hours, and no ratio of them: no bad event, or values below 0
    if math.isnan(p_hours):
        after, before = ([bad_value(kpi) for kpi in side] for side in (one.now, one.past))
        found = hodges_lehmann(after, before)
        return None if found is None or len(one.past) < MIN_PAIRS else found.p
    return min(1.0, 2 * min(p_hours, infer_days(one.daily[1:])))


def infer_days(daily: Floats) -> float:
    """p of no change by Student's t of the days' log ratios, NaN left out; 1 for fewer than five."""
    known = daily[np.isfinite(daily)]
    if known.size < MIN_PAIRS:
        return 1.0
    mean, error = float(known.mean()), float(known.std(ddof=1)) / math.sqrt(known.size)
    if error <= abs(mean) * np.finfo(float).eps:
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(known.size - 1, -abs(mean) / error))


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
        beyond=is_beyond(one.change) and not one.below_floor and _excludes_none(low, high) and not _is_split(one),
        persists=_persists(one),
    )


def _either(counts: Tested, level: Tested, is_split: bool) -> Tested:
    """Real if either says so, at twice its p (Bonferroni); else the test with the tighter interval."""
    if counts.p is None or level.p is None:
        return level if counts.p is None else counts
    tighter = min((counts, level), key=lambda one: math.inf if one.detectable is None else one.detectable)
    sure = min((counts, level), key=lambda one: one.p if one.beyond and one.p is not None else math.inf)
    chosen = sure if sure.beyond else tighter
    return replace(
        chosen,
        beyond=chosen.beyond and not is_split,
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


def _is_split(one: Comparison) -> bool:
    """Whether the median day and all events together went different ways."""
    return one.pooled is not None and one.points is not None and (one.pooled[1] - one.pooled[0]) * one.points < 0


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
    """Whether each of the last two days shows at least half of the change."""
    last = [one.ratios[number] for number in one.numbers[-2:]]
    if one.log_change is None or not last:
        return None
    return all(math.copysign(1.0, one.log_change) * ratio >= abs(one.log_change) / 2 for ratio in last)


def onset(one: Comparison, tested: Tested) -> tuple[int, int | None] | None:
    """The hours after GA at which a real change began and went away. None where that cannot be told: the hours are too
    noisy, it is a ramp, it comes and goes with the hour of the day, or nothing was compared before it."""
    if tested.began_before is not None:
        return tested.began_before * HOURS, None
    if tested.real is not True or (tested.noise is not None and tested.noise > ONSET_NOISE) or _is_ramp(one.daily):
        return None
    hours = (one.observed - one.expected if one.counts is not None else log_ratios(one.expected, one.observed)).ravel()
    found = locate_change(hours, before=0.0)
    if found is None or (tested.persists and found.end is not None):
        return None
    return (found.start, found.end) if found.start == 0 or np.isfinite(hours[: found.start]).any() else None


def course(one: Comparison) -> tuple[Trend, float | None]:
    """How the KPI moved from day to day against its partners, and by how much of itself a day (Theil and Sen)."""
    daily = one.daily
    slope = theil_sen(daily) if np.isfinite(daily).sum() >= MIN_TREND_DAYS else None
    if slope is None:
        return "unknown", None
    if (slope.low > 0 or slope.high < 0) and abs(slope.value) * LAST_DAY > TREND_RISE:
        return "increasing" if slope.value > 0 else "decreasing", relative(slope.value)
    spread = float(np.nanmean(np.abs(daily - np.nanmedian(daily))))
    return "volatile" if spread > VOLATILE_SPREAD else "stable", relative(slope.value)


def _is_ramp(daily: Floats) -> bool:
    """Whether a line through the days leaves less than the best single step, by the sum of absolute distances."""
    slope = theil_sen(daily) if np.isfinite(daily).sum() >= MIN_TREND_DAYS else None
    if slope is None or not (slope.low > 0 or slope.high < 0) or abs(slope.value) * LAST_DAY <= TREND_RISE:
        return False
    about = [daily - slope.value * np.arange(daily.size)]
    steps = [(daily[:at], daily[at:]) for at in range(daily.size)]
    line, *stepped = (sum(_distance(side) for side in sides) for sides in (about, *steps))
    return line < min(stepped)


def _distance(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.abs(known - np.median(known)).sum()) if known.size else 0.0
