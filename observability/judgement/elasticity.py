"""How a KPI followed the load in the baseline: its elasticity, with an error, and the curve.

At an elasticity of e, 1 % more load is e % more of the KPI: 0 is a fixed base, 1 so much per request. Between them two
curves are in question, a power of the load and a line (a base and so much per request). They agree where the load is
usual and part beyond that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from observability.model import Array

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Hours: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Curve: TypeAlias = Callable[[float, Floats], Floats]
Indices: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]

LEAST_POINTS = 12  # hours of the median day
LEAST_POSITIVE = 0.9  # of the KPI's hours: 0 has no logarithm
ERRORS = 2.5  # to either side; 24 hours show less autocorrelation than there is, so 2 would be too few
MOST_AUTOCORRELATION = 0.9
FALLING = -0.1  # an elasticity surely below it is no noise about 0
CLEARLY_WORSE = 2.0  # times the squared residuals of the better curve


def power(elasticity: float, log_load: Floats) -> Floats:
    """The KPI's logarithm, but for a constant, at the logarithm of the load."""
    return elasticity * log_load


def line(elasticity: float, log_load: Floats) -> Floats:
    """Likewise of a base and so much per request, with that elasticity where the load is 1. No base is below 0."""
    return np.asarray(np.log(max(0.0, 1.0 - elasticity) + elasticity * np.exp(log_load)))


CURVES: tuple[Curve, ...] = (power, line)


@dataclass(frozen=True)
class Following:
    """What the baseline allows: elasticities from ``low`` to ``high`` at the load ``reference``, on each curve."""

    low: float
    high: float
    reference: float
    curves: tuple[Curve, ...] = CURVES

    def factors(self, before: Floats, after: Floats) -> list[tuple[float, Floats]]:
        """By what the KPI changes when the load does, at each end on each curve, with the elasticity. Loads are > 0."""
        x, y = np.log(before / self.reference), np.log(after / self.reference)
        return [(e, np.exp(curve(e, y) - curve(e, x))) for e in (self.low, self.high) for curve in self._curves_at(e)]

    def _curves_at(self, elasticity: float) -> tuple[Curve, ...]:
        return self.curves if 0 < elasticity < 1 else (power,)  # at 0 and 1 they are one


def following(pool: Hours, load: Hours) -> Following:
    """How the KPI follows the load over the hours of the baseline, both of shape (days, hours), NaN for no data.

    The elasticity is the median slope (Theil–Sen; Sen 1968, JASA 63(324)) of log KPI on log load over the hours of the
    median day. Both ends are within [0, 1]; where the KPI surely rises faster than in proportion, the upper end is the
    least at which it surely does. They are 0 and 1, anything, where the baseline does not show it: too few hours, no
    variation of the load, zeros, or a KPI that falls when the load rises.
    """
    known = np.isfinite(pool) & np.isfinite(load) & (load > 0)
    usable = known & (pool > 0)
    at = usable.any(axis=0)
    if at.sum() < LEAST_POINTS or usable.sum() < LEAST_POSITIVE * known.sum():
        return Following(0.0, 1.0, 1.0)
    x, y = (_median_day(np.where(usable, values, np.nan)[:, at]) for values in (load, pool))
    reference = float(x.mean())
    return _fitted(x - reference, y, math.exp(reference))


def _fitted(x: Array, y: Array, reference: float) -> Following:
    """Of logarithms, x about 0."""
    slope = _theil_sen(x, y)
    if math.isnan(slope):
        return Following(0.0, 1.0, reference)
    residuals = [_centred(y - curve(min(max(slope, 0.0), 1.0), x)) for curve in CURVES]
    squares = [float(rest @ rest) for rest in residuals]
    margin = ERRORS * _slope_error(x, _centred(y - slope * x))
    if slope + margin < FALLING:
        return Following(0.0, 1.0, reference)
    surely, at_most = max(0.0, slope - margin), min(max(slope + margin, 0.0), 1.0)
    curves = tuple(curve for curve, own in zip(CURVES, squares, strict=True) if own <= CLEARLY_WORSE * min(squares))
    return Following(min(1.0, surely), max(at_most, surely), reference, curves)


def _centred(values: Array) -> Array:
    return np.asarray(values - values.mean())


def _median_day(values: Hours) -> Array:
    """Logarithm of the median over the days, hour by hour; each hour has at least one."""
    found = np.sort(np.log(values), axis=0)  # NaN comes last
    number = np.isfinite(found).sum(axis=0)
    hours = np.arange(number.size)
    return np.asarray((found[(number - 1) // 2, hours] + found[number // 2, hours]) / 2)


def _theil_sen(x: Array, y: Array) -> float:
    """NaN where x does not vary."""
    left, right = _pairs(x.size)
    run, rise = x[right] - x[left], y[right] - y[left]
    apart = np.abs(run) > 1e-9
    return float(np.median(rise[apart] / run[apart])) if apart.any() else math.nan


@lru_cache
def _pairs(n: int) -> tuple[Indices, Indices]:
    return np.triu_indices(n, 1)


def _slope_error(x: Array, residuals: Array) -> float:
    """s / (sd(x) √n'), n' = n (1 − ρ)/(1 + ρ), at least 3. The day is a circle: its last hour is next to its first."""
    squares = float(residuals @ residuals)
    if not squares > 0:
        return 0.0
    rho = min(max(float(residuals @ np.roll(residuals, 1)) / squares, 0.0), MOST_AUTOCORRELATION)
    effective = max(3.0, x.size * (1 - rho) / (1 + rho))
    return math.sqrt(squares / (x.size - 2) / effective) / float(x.std())
