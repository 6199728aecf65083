"""A KPI's figures as comparisons read them: its *badness*, which is its value, or of a share of good events the share
of bad ones, because 99.9 → 99.0 % is a drift of 0.9 % and ten times the errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from observability.artifacts import KpiSummary
from observability.comparable import HOURS
from observability.definitions import Direction, Kind

Matrix = NDArray[np.float64]

NOTHING: Matrix = np.full(HOURS, np.nan)
MOST_LOG = 700.0  # of a ratio: beyond, its exponential is no float


def is_good_share(kpi: KpiSummary) -> bool:
    return kpi.kind == Kind.RATIO and kpi.direction is Direction.HIGHER_IS_BETTER


def whole_of(kpi: KpiSummary) -> float:
    """What all events together are, in the KPI's unit."""
    return 100.0 if kpi.unit.startswith("%") else 1.0


def bad_value(kpi: KpiSummary) -> float:
    assert kpi.value is not None  # days without a value are in no pair
    return whole_of(kpi) - kpi.value if is_good_share(kpi) else kpi.value


def bad_hours(kpi: KpiSummary) -> Matrix:
    """Shape (24,), NaN without data."""
    hours = padded(kpi.hourly)
    return whole_of(kpi) - hours if is_good_share(kpi) else hours


def events(days: Sequence[KpiSummary]) -> tuple[Matrix, Matrix]:
    """Of a share of events: bad and all events by hour, shape (days, 24) each."""
    part = np.array([padded(kpi.hourly_numerator) for kpi in days]).reshape(-1, HOURS)
    total = np.array([padded(kpi.hourly_denominator) for kpi in days]).reshape(-1, HOURS)
    counts_bad = np.array([_counts_bad(kpi) for kpi in days], dtype=np.bool_)
    rest = np.maximum(total - part, 0.0)  # two counters are not read in the same instant
    return np.where(counts_bad[:, np.newaxis], part, rest), total


def _counts_bad(kpi: KpiSummary) -> bool:
    """Files that do not say it are asked what is nearer to the value: what the numerator counts, or what is left."""
    if kpi.counts_bad is not None:
        return kpi.counts_bad
    if kpi.value is None or kpi.numerator is None or not kpi.denominator:
        return not is_good_share(kpi)
    share, counted = kpi.value / whole_of(kpi), kpi.numerator / kpi.denominator
    is_of_value = abs(share - counted) <= abs(share - (1.0 - counted))
    return is_of_value != is_good_share(kpi)


def padded(hours: Sequence[float | None]) -> Matrix:
    return np.array(hours, dtype=np.float64) if hours else NOTHING  # None becomes NaN


def log_ratio(before: float, after: float) -> float:
    """0 where both are nothing; infinite where one is, or where they lie on different sides of 0."""
    if before == after:
        return 0.0
    if before > 0 and after > 0:
        quotient = after / before
        return math.log(quotient) if 0 < quotient < math.inf else math.log(after) - math.log(before)
    return math.copysign(math.inf, after - before)


def log_ratios(before: Matrix, after: Matrix) -> Matrix:
    """Likewise hour by hour, but NaN where one is nothing, or below 0, or not known."""
    positive = (before > 0) & (after > 0)
    ratio = np.log(np.where(positive, after, 1.0)) - np.log(np.where(positive, before, 1.0))
    return np.where(positive | ((before == 0) & (after == 0)), ratio, np.nan)


def relative(log_ratio: float) -> float:
    """A log ratio as a relative change, 0.1 = 10 % more."""
    return math.expm1(min(log_ratio, MOST_LOG))


def relative_change(before: float, after: float) -> float:
    """Where there is no ratio; infinite from nothing to something."""
    if before == after:
        return 0.0
    return math.copysign(math.inf, after - before) if before == 0 else (after - before) / abs(before)


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    found = median(known) if known else None
    return 0.0 if found is not None and math.isnan(found) else found  # half of them from 0 up, half from 0 down
