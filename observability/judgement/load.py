"""What the baseline would have been at the traffic that was observed.

A launch changes the traffic, and what depends on it must not pass or fail by that alone. A KPI depends on the load
either *in proportion*, with an elasticity from 0 (a fixed base) to 1 (so much per request), or *by queueing*: more load
never makes it lower, and nothing says how much higher. So several readings of the baseline are possible. Where they all
give one verdict, the KPI is judged by the one that leaves the smallest change: nothing is called a change that the
traffic can explain. Where they do not, that is an obstacle.

| traffic against the baseline | readings, in proportion | readings, by queueing |
|---|---|---|
| not known, or within ±10 % | as measured | as measured |
| beyond | the elasticities that the baseline's hours allow, lower and upper end, each as a power of the load and as a \
base and so much per request | the baseline's hours of like load |
| beyond, and the baseline does not show that | elasticity 0 (as measured) and 1 (per request) | as measured; beyond \
1.5 times also anything that queueing can do |

Where the baseline shows nothing, CPU ×2.6 at traffic ×2 is worse by either reading and fails, CPU ×1 passes, and CPU
×1.4 is an obstacle. The two curves agree at the loads that the baseline has seen and part beyond them, which is what
limits the extrapolation. In proportion, an hour keeps its partner, so a job at night is expected again at
night. At like load it has none, so like hours that go against queueing must agree with as measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeAlias

import numpy as np

from observability.definitions import Direction, Kind
from observability.judgement.elasticity import Hours, following
from observability.model import Array
from observability.units import format_value
from observability.verdicts import Basis

Flags: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
Dependence = Literal["in proportion", "by queueing", "none"]

SAME_LOAD = math.log(1.10)  # the traffic of two weeks differs by that much without a release
NEAR_LOAD = math.log(1.50)  # up to here queueing is taken to do little
LAST_DAYS = 2  # where a ramp of the traffic has got to, and what follows it too
LEAST_DAYS = 3  # to be compared; all of fewer
LEAST_SHARE = 0.25  # of a day's hours, for the day to count
NEAREST_HOURS = 7  # of like load, of which the mean is taken
HARDLY = 0.005  # an elasticity that near to 0 or 1 is called so
EXTREME = math.log(1e6)  # stands for a load from or to 0

FOLLOWS_LOAD = {
    "resources": "CPU and memory: a base, and so much per request",
    "database": "sessions, queues and memory grow with the requests under way",
    "redis": "likewise",
    "network": "bytes per request",
    "cost": "follows from the resources",
}


@dataclass(frozen=True)
class Paired:
    """Hourly values of a KPI and of the request rate. NaN is no data, and so is a load that is infinite
    or negative.

    The first four, shape (days, hours), belong together hour by hour: ``expected`` of the baseline, ``observed`` after
    GA. ``pool`` and ``pool_load``, shape (days of the baseline, hours), are all that the baseline has. Raises
    ``ValueError`` for other shapes.
    """

    expected: Hours
    observed: Hours
    load_expected: Hours
    load_observed: Hours
    pool: Hours
    pool_load: Hours

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.expected, self.observed, self.load_expected, self.load_observed)}
        if len(shapes) > 1 or self.observed.ndim != 2:
            raise ValueError(f"the paired arrays must have one shape (days, hours), not {sorted(shapes)}")
        if self.pool.shape != self.pool_load.shape or self.pool.shape[1:] != self.observed.shape[1:]:
            raise ValueError(f"pool {self.pool.shape} and pool_load {self.pool_load.shape} must be (days, hours) too")

    def compared(self, expected: Hours) -> Flags:
        """The hours in which that can be compared with what was observed."""
        return np.isfinite(self.observed) & np.isfinite(expected)


@dataclass(frozen=True)
class AtLoad:
    """What to hold ``observed`` against, shape (days, hours), NaN in hours that cannot be compared.

    ``clause`` is for the report, None where the traffic is no matter.
    """

    expected: Hours
    basis: Basis = "as measured"
    clause: str | None = None


@dataclass(frozen=True)
class _Reading:
    """One thing that the baseline can have been at the observed load, and the log ratio of what was observed to it."""

    expected: Hours
    basis: Basis
    change: float


def dependence(category: str, kind: str) -> Dependence:
    """How a KPI depends on the traffic.

    Quantiles are latencies, a database's too. A share of events is per request already: a hit rate is not divided by
    the traffic. Not adjusted either are traffic itself, the cluster (others use it too), alerts and what is not known.

    >>> dependence("resources", "utilisation"), dependence("database", "quantile"), dependence("redis", "ratio")
    ('in proportion', 'by queueing', 'none')
    """
    if kind in (Kind.RATIO, Kind.INCIDENTS):
        return "none"
    if kind == Kind.QUANTILE or category == "latency":
        return "by queueing"
    return "in proportion" if category in FOLLOWS_LOAD else "none"


def at_load(hours: Paired, depends: Dependence, direction: Direction, real_change: float) -> AtLoad | str:
    """The baseline at the observed load, or a clause why it cannot be known closely enough.

    ``real_change`` (0.1 = 10 %) is what counts as a change; ``direction`` says whether a fall can be one. See the
    module for the rules.
    """
    if depends == "none":
        return AtLoad(hours.expected)
    if not _is_enough(hours, _is_known(hours.load_observed) & _is_known(hours.load_expected)):
        return AtLoad(hours.expected, clause="judged as measured, because the traffic is not known")
    shift, lately = _load_shift(hours)
    if abs(shift) <= SAME_LOAD:
        return AtLoad(hours.expected)
    judge = _Judge(hours, shift, lately, direction, math.log1p(real_change))
    return _in_proportion(judge) if depends == "in proportion" else _by_queueing(judge)


@dataclass(frozen=True)
class _Judge:
    """Holds the hours against readings. ``shift`` is the log ratio of the traffic, ``real`` that of a real change."""

    hours: Paired
    shift: float
    lately: bool  # of the last days alone
    direction: Direction
    real: float

    def reading(self, expected: Hours, basis: Basis) -> _Reading:
        return _Reading(expected, basis, _log_ratio(self.hours.observed, expected))

    def settle(self, readings: list[_Reading], doubt: str) -> AtLoad | str:
        """The reading that leaves the smallest change, if all of them give one verdict."""
        if len({self._verdict(reading.change) for reading in readings}) > 1:
            return self.obstacle(doubt)
        found = min(readings, key=lambda reading: abs(reading.change))
        because = "although" if found.basis == "as measured" else "because"
        clause = f"judged {found.basis}, {because} the traffic was {self.times} that of the baseline{self.when}"
        return AtLoad(found.expected, found.basis, clause + self._left_out(found.expected))

    def obstacle(self, doubt: str) -> str:
        return f"at {self.times} the traffic{self.when}, on which this KPI depends; {doubt}"

    @property
    def when(self) -> str:
        return f" on the last {LAST_DAYS} days" if self.lately else ""

    @property
    def times(self) -> str:
        if abs(self.shift) >= EXTREME:
            return "more than a million times" if self.shift > 0 else "nearly 0 times"
        return f"{format_value(math.exp(self.shift), '')} times"

    def _verdict(self, change: float) -> int:
        """1 for a rise that matters, −1 for a fall that does, 0 for neither, and for what is for the better."""
        rise, fall = int(change > self.real), int(change < -self.real)
        if self.direction is Direction.LOWER_IS_BETTER:
            return rise
        return -fall if self.direction is Direction.HIGHER_IS_BETTER else rise - fall

    def _left_out(self, expected: Hours) -> str:
        left, whole = (int(self.hours.compared(hours).sum()) for hours in (expected, self.hours.expected))
        return f"; {left} of {whole} hours can be compared so" if left < whole else ""


def _in_proportion(judge: _Judge) -> AtLoad | str:
    hours = judge.hours
    has_load = _is_positive(hours.load_observed) & _is_positive(hours.load_expected)
    has_load &= _days_that_count(hours, has_load)
    if not _is_enough(hours, has_load):
        return judge.obstacle("too few hours had traffic before and after")
    before, after = (np.where(has_load, load, 1.0) for load in (hours.load_expected, hours.load_observed))
    expected = np.where(has_load, hours.expected, np.nan)
    factors = following(hours.pool, hours.pool_load).factors(before, after)
    readings = [judge.reading(expected * factor, _basis(elasticity)) for elasticity, factor in factors]
    return judge.settle(readings, "the baseline does not show closely enough how")


def _basis(elasticity: float) -> Basis:
    if abs(elasticity) < HARDLY:
        return "as measured"
    return "per request" if abs(elasticity - 1) < HARDLY else "at like load"


def _by_queueing(judge: _Judge) -> AtLoad | str:
    hours, shift = judge.hours, judge.shift
    as_measured = judge.reading(hours.expected, "as measured")
    like = _like_load(hours)
    like = np.where(_days_that_count(hours, np.isfinite(like)), like, np.nan)
    if _is_enough(hours, np.isfinite(like)):
        readings = [judge.reading(like, "at like load")]
        if _log_ratio(like, hours.expected) * shift < 0:  # against queueing: more than the load is different
            readings.append(as_measured)
        return judge.settle(readings, "hours of like load differ by more than that")
    if abs(shift) <= NEAR_LOAD:
        clause = f"judged as measured, although the traffic was {judge.times} that of the baseline{judge.when}"
        return AtLoad(hours.expected, clause=f"{clause}: too few of its hours are at like load")
    anything = _Reading(hours.expected, "as measured", -math.copysign(math.inf, shift))
    way = "busy" if shift > 0 else "quiet"
    return judge.settle([as_measured, anything], f"too few hours of the baseline were as {way}")


def _like_load(hours: Paired) -> Hours:
    """For each observed hour the mean of the pool's hours of nearest load, all within ±10 %; else NaN."""
    known = np.isfinite(hours.pool) & _is_positive(hours.pool_load)
    order = np.argsort(hours.pool_load[known], kind="stable")
    pool, load = hours.pool[known][order], np.log(hours.pool_load[known][order])
    if load.size < NEAREST_HOURS:
        return np.full_like(hours.observed, np.nan)
    wanted = np.log(np.where(_is_positive(hours.load_observed), hours.load_observed, np.nan))
    first = np.searchsorted(load, wanted) - NEAREST_HOURS // 2  # as many quieter ones as busier ones
    nearest = np.clip(first[..., np.newaxis] + np.arange(NEAREST_HOURS), 0, load.size - 1)
    is_like = (np.abs(load[nearest] - wanted[..., np.newaxis]) <= SAME_LOAD).all(axis=-1)
    is_amid = (first >= 0) & (first <= load.size - NEAREST_HOURS)
    return np.where(is_like & is_amid, pool[nearest].mean(axis=-1), np.nan)


def _load_shift(hours: Paired) -> tuple[float, bool]:
    """Log ratio of the traffic: the median of the days, or the mean of the last ones where that is farther from 0. And
    whether it is of these, and the traffic of the median day was within ±10 %."""
    after, before = (np.where(_is_known(load), load, np.nan) for load in (hours.load_observed, hours.load_expected))
    days = np.clip(_daily(after, before), -EXTREME, EXTREME)
    middle, last = float(median(days.tolist())), float(days[-LAST_DAYS:].mean())
    return max(middle, last, key=abs), abs(middle) <= SAME_LOAD


def _log_ratio(after: Hours, before: Hours) -> float:
    """The median of the days'; NaN without any."""
    days = _daily(after, before)
    return float(median(days.tolist())) if days.size else math.nan


def _daily(after: Hours, before: Hours) -> Array:
    """Log ratio of each day's sums over the hours that both have, of the days with some; 0 from 0 is no change."""
    both = np.isfinite(after) & np.isfinite(before)
    some = both.any(axis=1)
    now, past = (np.where(both, values, 0.0).sum(axis=1)[some] for values in (after, before))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(now == past, 0.0, np.log(now / past)))


def _is_known(load: Hours) -> Flags:
    return np.asarray((load >= 0) & (load < math.inf))


def _is_positive(load: Hours) -> Flags:
    return np.asarray((load > 0) & (load < math.inf))


def _is_enough(hours: Paired, usable: Flags) -> bool:
    """Whether enough days count, of those that can be compared at all."""
    days = int(hours.compared(hours.expected).any(axis=1).sum())
    return int(_days_that_count(hours, usable).sum()) >= max(1, min(LEAST_DAYS, days))


def _days_that_count(hours: Paired, usable: Flags) -> Flags:
    """Those with enough usable hours among the compared ones, shape (days, 1)."""
    compared = hours.compared(hours.expected)
    return np.asarray((compared & usable).sum(axis=1, keepdims=True) >= LEAST_SHARE * compared.shape[1])
