"""Did a KPI's level change with the release? The rule of the week, from the log ratios of its days to their partners.

1. **Size**: the Hodges–Lehmann centre of days 1 to 7: the median of all pairwise means (Hodges and Lehmann, Annals of
   Mathematical Statistics 34, 1963). One bad day moves it little, and two of seven not much.
2. **Noise**: how much the days scatter about their own course, a line or a single step, with the largest distance left
   out. So a ramp, a step that came later and a one-day incident are no noise.
3. **Margin**: ln 1.10, the documents' drift, or the noise where that is more. The noise counts twice where
   the level did not jump at GA, because what began elsewhere is ordinary drift more often than the release.
4. **Changed** where the centre is beyond the margin, which is where the interval centre ± margin excludes 0. It is an
   interval of ordinary weeks, not of sampling: it says how much the weeks of such a KPI differ anyway.

The figures behind the constants are in docs/judgement.md. Shapes: a trailing (8,) are the days 0 to 7, a trailing
(15, 24) the hours of days −7 to 7; leading axes are a batch. Logarithms are natural; NaN is no data.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

REAL_CHANGE = 0.10  # a smaller change is not called, however sure (the documents' "unexpected drift")
SEVERE_CHANGE = 0.30  # and the documents' "regression"
MIN_PAIRS = 5  # of days 1 to 7

NOISE_FLOOR = 0.01
STEP_TIMES = 2.0  # the scatter about a step is that of the best of several, which flatters
STEP_DAYS = 7  # fewer are too few to fit a step to
LATE = 2.0
JUMP_HOURS = 12
AT_GA = 6  # of the fourteen borders of fifteen days
MIN_AROUND = 4  # hours seen on each side of a day's border

REAL_LOG = math.log1p(REAL_CHANGE)
LAST_BIT = 1e-9
TO_SIGMA = 1.4826  # from the median absolute deviation, for normal values


class Level(NamedTuple):
    """One entry per series; NaN where there were too few pairs. ``noise`` and ``margin`` are natural logarithms."""

    centre: Floats
    margin: Floats
    noise: Floats
    changed: Flags
    before: Floats  # on which day before GA, −6 to −1, the change began; NaN: it is not seen to


def judge_level(daily: Floats, hours: Floats | None = None) -> Level:
    """``daily``: log ratios, shape (…, 8). ``hours``, shape (…, 15, 24), serve to see whether the change began at GA;
    without them that is not held against it."""
    centre = hodges_lehmann(daily[..., 1:])
    noise = day_noise(daily)
    late = np.zeros(centre.shape, np.bool_) if hours is None else began_elsewhere(hours, centre)
    enough = np.isfinite(daily[..., 1:]).sum(-1) >= MIN_PAIRS
    margin = np.where(enough, margin_of(np.where(late, LATE, 1.0) * noise * _fewer(daily)), np.nan)
    changed = enough & (np.abs(centre) > margin + LAST_BIT)
    before = np.full(centre.shape, np.nan)
    if hours is not None:
        before = np.where(changed, began_before(hours, daily, centre), np.nan)
    return Level(centre, margin, noise, changed, before)


def _fewer(daily: Floats) -> Floats:
    """The centre of fewer days is less sure: 1 for eight, by the square root of their number."""
    return np.asarray(np.sqrt(daily.shape[-1] / np.maximum(np.isfinite(daily).sum(-1), 1)))


def is_beyond(change: float) -> bool:
    """Whether a relative change is more than 10 %; 100 to 110 is not, whatever its last bit says."""
    return abs(change) > REAL_CHANGE + LAST_BIT


def margin_of(noise: Floats) -> Floats:
    """By how much a log ratio must exceed 0, at this noise.

    >>> margin_of(np.array([0.05, 0.2])).round(3).tolist()  # ln 1.1; the noise
    [0.095, 0.2]
    """
    return np.asarray(np.maximum(REAL_LOG, noise))


def hodges_lehmann(values: Floats) -> Floats:
    """Median of the means of all pairs, each value with itself too; NaN is left out."""
    i, j = _pairs(values.shape[-1], 0)
    return _median((values[..., i] + values[..., j]) / 2)


def day_noise(daily: Floats) -> Floats:
    """Scatter of the days about a Theil–Sen line, or about the best single step where twice that is less."""
    i, j = _pairs(daily.shape[-1], 1)
    slope = _median((daily[..., j] - daily[..., i]) / (j - i))
    detrended = daily - slope[..., np.newaxis] * np.arange(daily.shape[-1])
    noise = _scatter(detrended - _median(detrended)[..., np.newaxis])
    can_step = np.isfinite(daily).sum(-1) >= STEP_DAYS
    for split in range(1, daily.shape[-1] - 1):
        sides = (daily[..., :split], daily[..., split:])
        residuals = np.concatenate([side - _median(side)[..., np.newaxis] for side in sides], -1)
        noise = np.fmin(noise, np.where(can_step, STEP_TIMES * _scatter(residuals), np.nan))
    return np.asarray(np.maximum(NOISE_FLOOR, noise))


def _scatter(residuals: Floats) -> Floats:
    """Root mean square without the largest, raised where days are missing. NaN under five."""
    squares = residuals**2
    n = np.isfinite(squares).sum(-1)
    largest = np.where(np.isfinite(squares), squares, 0.0).max(-1)
    left = np.maximum(np.nansum(squares, -1) - largest, 0.0)
    safe = np.maximum(n, MIN_PAIRS)
    fewer = np.sqrt(7 / (safe - 1) * 0.75 * safe / (safe - 2))  # 1 for eight days
    return np.where(n >= MIN_PAIRS, fewer * np.sqrt(left / (safe - 1)), np.nan)


def began_elsewhere(hours: Floats, centre: Floats) -> Flags:
    """Whether the jump at GA, twelve hours after it against twelve before, is under half of the change, even with two
    robust standard deviations of the other days' jumps added."""
    jumps = _jumps(hours)
    others = np.delete(jumps, AT_GA, -1)
    usual = _median(others)
    spread = TO_SIGMA * _median(np.abs(others - usual[..., np.newaxis]))
    jump = np.sign(centre) * (jumps[..., AT_GA] - usual)
    return np.asarray(jump + 2 * spread < np.abs(centre) / 2)


def began_before(hours: Floats, daily: Floats, centre: Floats) -> Floats:
    """The day, −6 to −1, at whose start the change began; NaN where it is not seen to.

    Two things must show it. The days since GA: of a change since day −m, days 0 to 6 − m and day 7, whose partners lie
    before it, have it, and those whose partners have it too have less than half of it. And the jump at the start of
    day −m: it is by half of the change more than that of the same weekday a week later, which is not so at GA, and by a
    quarter more than is usual.
    """
    towards, jumps = (np.sign(centre)[..., np.newaxis] * values for values in (daily, _jumps(hours)))
    jumps = jumps - _median(jumps)[..., np.newaxis]
    more = jumps[..., : AT_GA + 1] - jumps[..., AT_GA + 1 :]
    found = np.full(centre.shape, np.nan)
    for days_before in range(1, AT_GA + 1):
        has_it = np.append(np.arange(AT_GA + 1) <= AT_GA - days_before, True)  # days 0 to 6, and 7
        half = _median(np.where(has_it, towards, np.nan)) / 2
        without = np.where(has_it, np.nan, towards)
        is_split = (np.nan_to_num(without, nan=-np.inf) < half[..., np.newaxis]).all(-1) & np.isfinite(without).any(-1)
        border = AT_GA - days_before
        has_jumped = (more[..., border] >= half) & (more[..., AT_GA] < half) & (jumps[..., border] >= half / 2)
        found = np.where(np.isnan(found) & is_split & has_jumped, -days_before, found)
    return found


def _jumps(hours: Floats) -> Floats:
    """At the borders before days −6 to 7, shape (…, 14)."""
    flat = hours.reshape(*hours.shape[:-2], -1)
    return np.stack([_jump(flat, 24 * day) for day in range(1, hours.shape[-2])], -1)


def _jump(flat: Floats, at: int) -> Floats:
    after, before = flat[..., at : at + JUMP_HOURS], flat[..., at - JUMP_HOURS : at]
    seen = (np.isfinite(after).sum(-1) >= MIN_AROUND) & (np.isfinite(before).sum(-1) >= MIN_AROUND)
    x, y = _mean(before), _mean(after)
    fit = seen & (x > 0) & (y > 0)
    return np.where(fit, np.log(np.where(fit, y, 1.0)) - np.log(np.where(fit, x, 1.0)), np.nan)


@cache
def _pairs(n: int, apart: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All i and j with j at least i + apart."""
    i, j = np.triu_indices(n, apart)
    return i, j


def _median(values: Floats) -> Floats:
    """Of the last axis; NaN where nothing is known. (numpy's own takes ten times as long for so few values.)"""
    ordered = np.sort(values, -1)  # NaN last
    n = np.isfinite(values).sum(-1, keepdims=True)
    middle = np.take_along_axis(ordered, np.maximum(np.concatenate([(n - 1) // 2, n // 2], -1), 0), -1)
    return np.where(n[..., 0] > 0, middle.sum(-1) / 2, np.nan)


def _mean(values: Floats) -> Floats:
    """Of the last axis; NaN where nothing is known."""
    seen = np.isfinite(values)
    n = seen.sum(-1)
    return np.where(n > 0, np.where(seen, values, 0.0).sum(-1) / np.maximum(n, 1), np.nan)
