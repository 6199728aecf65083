"""Joint evidence: how far all KPIs of a service are off together, for what is usual in this service.

Of each KPI: how many of its usual deviations it is away from where it was in the last minutes, and from what it is at
this hour, the smaller of the two. The KPIs' mean (a power mean of the logarithms, between weak in many and strong in
few) is then held against its own past: the score is minus the logarithm of how rarely this service has such a mean, by
an exponential tail above an online quantile. So one threshold means the same for 5 KPIs and for 50, for calm services
and for restless ones.

Per KPI, at its sample x, Δ seconds after the one before, an hour at most: after a silence of days, one sample must not
be all that is known. r(τ) = 1 − exp(−Δ/τ), and a(τ) = max(r(τ), 1/(n + 1)) is the weight of x in an EWMA over τ that
has n samples so far.

* e₁ = |x − m|, e₂ = |x − h|: from the level m, an EWMA over ``level_min``, and from the mean h of this hour of the day
  (UTC), which goes the way 1 − (1 − ``hour_rate``)^(Δ/3600) to x. An hour that was never seen begins at m.
* σᵢ = 1.2533 sᵢ + ``floor`` (highest − lowest) + 10⁻¹² max(|highest|, |lowest|), sᵢ the EWMA of eᵢ over ``scale_days``.
  From the eleventh sample on, eᵢ is learned as ``clip`` σᵢ at most. 1.2533 = √(π/2) makes a normal deviation's mean its
  standard deviation. Before x widens the range, both of its ends go the way r(``range_days``) to its middle.
* evidence w = ln(1 + z)^``power``, z = min(e₁/σ₁, e₂/σ₂, ``most``); 0 at the first sample.

Per service, over its KPIs that have a sample and ever moved, this sample included. Where they are none, or fewer than
half of the most there were lately (a number that shrinks to a third in ``scale_days``), nothing is scored or learned:
the rest of the KPIs is another mean. Δ and n are those of the steps where there are enough.

* J = (mean w)^(1/``power``), and U goes the way r(``smooth_s``) to J, from the first J on.
* score = ln(1/``rare``) + (U − Q)/B if U > Q, else ln(1/``rare``) U/Q, in nats: U exceeds Q in a share ``rare`` of the
  steps, and by B in the mean. A score of U = Q = 0 is 0.

The tail is learned so: of each excess U − Q > 0, as 5 B at most, B takes the weight r(``tail_days``)/``rare``, but at
least 1/(k + 1) at the k-th excess, and at most 1; it begins at ``least`` and stays at or above it. Q, from 0 on, goes
up by (1 − ``rare``) q where U > Q, else down by ``rare`` q and to 0 at the lowest, q = min(B a(``tail_days``)/``rare``,
1/2), with that B. (Robbins and Monro, "A stochastic approximation method", Ann. Math. Stat. 22, 1951. A tail beyond a
high threshold is close to a generalised Pareto distribution, here with shape 0: Pickands, Ann. Stat. 3, 1975, p. 119.)

What is strong in few KPIs hardly moves the mean of many, and counts by itself: where ``FEW`` of a service's KPIs are z
or more deviations off at once, and z is at least ``ASKED``, the score is at least ``THRESHOLD`` z/``strong``.

A sample is scored before it is learned. Missing samples neither count nor teach. In the first ``warm_up_h`` after its
first step a service's score is 0.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from observability.detection.bank import HOUR_S, LARGEST, rate, require_positive
from observability.model import Array

DAY_S = 86_400.0
ROOT_HALF_PI = 1.2533141373155001
THRESHOLD = 6.2  # nats, as shipped
FEW = 3
ASKED = 2.0  # deviations; what is nearer is noise, whatever it stands on
FIRST = 10  # samples of a KPI that are learned as they are, before it is known what is usual
MOST_EXCESS = 5.0  # times the mean excess that one excess counts as
FASTEST = 0.5  # by which the quantile moves in a step at most
ROUNDING = 1e-12  # of a KPI's size, that two sums of the same numbers may differ by
TINY = 1e-300
HOURS = 24

# Rows of a series' state; from BINS on, one per hour of the day.
COUNT, TIME, LEVEL, SPREAD, HOUR_SPREAD, LOW, HIGH, BINS = range(8)
# Rows of a service's state.
SINCE, LAST, STEPS, SMOOTH, QUANTILE, EXCESSES, EXCESS, SEEN, MOST_THERE = range(9)


Holds: TypeAlias = Callable[[NDArray[np.intp], Array], NDArray[np.bool_]]


class Joint(NamedTuple):
    """One step: ``score`` of each service in nats, shape (services,); of each series ``evidence`` (0 where there is no
    sample) and ``expected``, its level before the sample (NaN before the first), shape (series,)."""

    score: Array
    evidence: Array
    expected: Array


class JointBank:
    """The joint evidence of several services, all of them at the same instants.

    Parameters
    ----------
    services
        Which service each series is of, numbers from 0 on, shape (series,).
    count
        How many services there are; by default those that have a series.
    threshold
        Nats. By an exponential tail a score of 6.2 is reached in one of 500 steps; the tails are shorter.
    level_min
        Minutes: what is "where it was". A short level is what carried over from some hosts to others.
    scale_days
        Days: usual deviations are those of a whole day.
    hour_rate
        Share of the way that an hour's bin moves to the present in an hour: daily jobs are no incidents.
    clip
        σ that a deviation counts as at most when it is learned: an incident must not become the norm.
    floor
        Share of the range that is always within one σ: rounding and idle KPIs.
    range_days
        Days in which a range shrinks to a third: what a KPI did months ago does not say how far it moves.
    power
        1 counts weak in many KPIs, 2 strong in few; 1.5 lies between.
    most
        σ: a KPI that moves for the first time has no scale.
    smooth_s
        Seconds: one sample may be a glitch of the scrape. Nothing at steps of minutes.
    rare
        Share of the steps that the tail is fitted to.
    tail_days
        Days: hundreds of steps in the tail, at five minutes too.
    least
        The smallest mean excess: what is rare and tiny is no incident.
    strong
        σ: off by so many, ``FEW`` KPIs at once are an incident, whatever the others do.
    warm_up_h
        Hours: no score before.

    The state is 31 floats a series and 9 a service.
    """

    def __init__(
        self,
        services: NDArray[np.intp],
        count: int | None = None,
        threshold: float = THRESHOLD,
        level_min: float = 10.0,
        scale_days: float = 1.0,
        hour_rate: float = 0.7,
        clip: float = 4.0,
        floor: float = 0.01,
        range_days: float = 30.0,
        power: float = 1.5,
        most: float = 100.0,
        smooth_s: float = 60.0,
        rare: float = 0.1,
        tail_days: float = 14.0,
        least: float = 0.07,
        strong: float = 20.0,
        warm_up_h: float = 24.0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in {"self", "services", "count"}}
        require_positive(given)
        for name in ("hour_rate", "rare"):
            if given[name] >= 1:
                raise ValueError(f"{name} must be less than 1, and is {given[name]:g}")
        self.threshold, self.level_s, self.scale_s = threshold, 60 * level_min, DAY_S * scale_days
        self.hour_rate, self.clip, self.floor, self.range_s = hour_rate, clip, floor, DAY_S * range_days
        self.power, self.most, self.smooth_s, self.rare = power, most, smooth_s, rare
        self.tail_s, self.least, self.strong, self.warm_up_s = DAY_S * tail_days, least, strong, HOUR_S * warm_up_h
        self.services = np.asarray(services, dtype=np.intp)
        count = int(self.services.max(initial=-1)) + 1 if count is None else count
        self.state = np.zeros((BINS + HOURS, self.services.size))
        self.state[BINS:] = np.nan
        self.state[TIME] = -np.inf
        self.of_services = np.zeros((9, count))
        self.of_services[LAST] = -np.inf
        self.of_services[EXCESS] = least

    @property
    def scored_from(self) -> Array:
        """When each service's warm-up is over, in seconds since the epoch; inf where nothing of it ever moved."""
        since: Array = np.where(self.of_services[STEPS] > 0, self.of_services[SINCE], np.inf)
        return since + self.warm_up_s

    def weight(self, deviations: Any) -> Any:
        """The evidence of a KPI that is so many of its usual deviations off."""
        return np.log1p(np.minimum(deviations, self.most)) ** self.power

    def step(self, t: float, values: Array, holds: Holds | None = None) -> Joint:
        """Score the samples of the instant ``t`` (seconds since the epoch), and learn them. NaN and ±inf are missing,
        and so is what is not later than the KPI's last sample, or than its service's last step.

        ``holds`` is asked of the series that are ``ASKED`` or more deviations off, with their levels, which of them may
        be evidence at all; the evidence of the others is 0, and they do not count among the few.
        """
        with np.errstate(all="ignore"):  # what is missing may be inf or NaN on its way
            return self._step(t, values, holds)

    def _step(self, t: float, values: Array, holds: Holds | None) -> Joint:
        state = self.state
        count, level = state[COUNT], state[LEVEL]
        new = (np.abs(values) <= LARGEST) & (t > np.maximum(state[TIME], self.of_services[LAST][self.services]))
        seen = count > 0
        expected = np.where(seen, level, np.nan)
        first = new & ~seen
        for row in (LEVEL, LOW, HIGH):
            np.copyto(state[row], values, where=first)
        bins = state[BINS + int(t // HOUR_S) % HOURS]
        hour = np.where(np.isnan(bins), level, bins)
        size = np.maximum(np.abs(state[LOW]), np.abs(state[HIGH]))
        floor = self.floor * (state[HIGH] - state[LOW]) + ROUNDING * size + TINY
        off = np.abs(values - level), np.abs(values - hour)
        sigma = tuple(ROOT_HALF_PI * state[row] + floor for row in (SPREAD, HOUR_SPREAD))
        z = np.minimum(off[0] / sigma[0], off[1] / sigma[1])
        evidence = np.where(new & seen, self.weight(z), 0.0)
        far = np.flatnonzero(new & seen & (z >= ASKED))
        if holds is not None and far.size:
            held = holds(far, level[far])
            evidence[far[~held]] = 0.0
            far = far[held]
        moves = new & ((state[HIGH] > state[LOW]) | (off[0] > 0))
        score = self._judge(t, evidence, moves)
        self._count_few(far, z, score)
        self._learn(t, values, new, bins, hour, off, sigma)
        return Joint(score, evidence, expected)

    def _learn(
        self,
        t: float,
        values: Array,
        new: NDArray[np.bool_],
        bins: Array,
        hour: Array,
        off: tuple[Array, Array],
        sigma: tuple[Array, ...],
    ) -> None:
        state = self.state
        count, level, low, high = state[COUNT], state[LEVEL], state[LOW], state[HIGH]
        elapsed = np.minimum(t - state[TIME], HOUR_S)
        least = 1.0 / (count + 1.0)
        knows = count >= FIRST
        weight = np.maximum(rate(elapsed, self.scale_s), least)
        for row, away, usual in zip((SPREAD, HOUR_SPREAD), off, sigma, strict=True):
            away = np.where(knows, np.minimum(away, self.clip * usual), away)
            np.copyto(state[row], state[row] + weight * (away - state[row]), where=new)
        way = 1.0 - (1.0 - self.hour_rate) ** (elapsed / HOUR_S)
        np.copyto(bins, hour + way * (values - hour), where=new)
        way = np.maximum(rate(elapsed, self.level_s), least)
        np.copyto(level, level + way * (values - level), where=new)
        shrunk, middle = rate(elapsed, self.range_s), 0.5 * (high + low)
        np.copyto(high, np.maximum(high - shrunk * (high - middle), values), where=new)
        np.copyto(low, np.minimum(low + shrunk * (middle - low), values), where=new)
        np.copyto(count, count + 1.0, where=new)
        np.copyto(state[TIME], t, where=new)

    def _judge(self, t: float, evidence: Array, moves: NDArray[np.bool_]) -> Array:
        """The services' scores from their KPIs' evidence, which is then learned."""
        state, count = self.of_services, self.of_services.shape[1]
        there = np.bincount(self.services, weights=moves, minlength=count)
        total = np.bincount(self.services, weights=evidence, minlength=count)
        away = np.where(state[MOST_THERE] > 0, np.minimum(t - state[SEEN], HOUR_S), 0.0)
        lately = state[MOST_THERE] * (1.0 - rate(away, self.scale_s))
        np.copyto(state[MOST_THERE], np.maximum(there, lately), where=there > 0)
        np.copyto(state[SEEN], t, where=there > 0)
        some = (there > 0) & (there >= 0.5 * state[MOST_THERE])
        mean = (total / np.maximum(there, 1.0)) ** (1.0 / self.power)
        begun = state[STEPS] > 0
        elapsed = np.minimum(t - state[LAST], HOUR_S)
        np.copyto(state[SINCE], t, where=some & ~begun)
        smooth = np.where(begun, state[SMOOTH] + rate(elapsed, self.smooth_s) * (mean - state[SMOOTH]), mean)
        above = smooth > state[QUANTILE]
        base = -math.log(self.rare)
        beyond = base + (smooth - state[QUANTILE]) / state[EXCESS]
        below = np.where(state[QUANTILE] > 0, base * smooth / state[QUANTILE], 0.0)
        is_warm = some & (t - state[SINCE] >= self.warm_up_s)
        score: Array = np.where(is_warm, np.where(above, beyond, below), 0.0)
        self._fit(smooth, above, elapsed, some)
        np.copyto(state[SMOOTH], smooth, where=some)
        np.copyto(state[LAST], t, where=some)
        np.copyto(state[STEPS], state[STEPS] + 1.0, where=some)
        return score

    def _count_few(self, far: NDArray[np.intp], z: Array, score: Array) -> None:
        """Raise the scores of the services of which few KPIs are very far off; ``far``: the series that may be."""
        services = self.services[far]
        for service in np.flatnonzero(np.bincount(services) >= FEW).tolist():
            least = np.partition(z[far[services == service]], -FEW)[-FEW]
            is_warm = score[service] > 0
            score[service] = max(score[service], is_warm * THRESHOLD * min(least, self.most) / self.strong)

    def _fit(self, smooth: Array, above: NDArray[np.bool_], elapsed: Array, some: NDArray[np.bool_]) -> None:
        """Learn the tail: the mean excess, and with it the quantile."""
        state = self.of_services
        quantile, mean = state[QUANTILE], state[EXCESS]
        memory = rate(elapsed, self.tail_s)
        number = state[EXCESSES] + above
        weight = np.minimum(1.0, np.maximum(memory / self.rare, 1.0 / (number + 1.0)))
        excess = np.minimum(smooth - quantile, MOST_EXCESS * mean)
        mean = np.where(above, np.maximum(self.least, mean + weight * (excess - mean)), mean)
        way = np.minimum(np.maximum(memory, 1.0 / (state[STEPS] + 1.0)) * mean / self.rare, FASTEST)
        np.copyto(state[QUANTILE], np.maximum(0.0, quantile + way * (above - self.rare)), where=some)
        np.copyto(state[EXCESS], mean, where=some)
        np.copyto(state[EXCESSES], number, where=some)


def parameters() -> dict[str, float]:
    """The numbers that it can be tuned with, and their shipped values; not its threshold."""
    signature = inspect.signature(JointBank).parameters
    return {name: one.default for name, one in signature.items() if name not in {"services", "count", "threshold"}}
