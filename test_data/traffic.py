"""What the two services really do: every request is drawn, with its latency and whether it fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from test_data import events
from test_data.events import CHECKOUT, REPORTS, SCRAPE_OFFSET_S, STEP_S, Event

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MINUTES_PER_DAY = 1440
# Upper bounds in microseconds. Latencies are whole microseconds, so that sums and comparisons are exact.
HTTP_BOUNDS_US = tuple(1000 * ms for ms in (25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500))
DB_BOUNDS_US = tuple(1000 * ms for ms in (1, 2, 4, 8, 16, 32, 64, 128))
HTTP_SIGMA, DB_MEDIAN_US, DB_SIGMA = 0.6, 4_000, 0.7
BASE_ERROR_SHARE = 0.0002
REDIS_HIT_SHARE = 0.93
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True)
class Timeline:
    """The minutes of the days, each with one scrape.

    Requests are drawn by slot: slot 2m is what comes before minute m's scrape, slot 2m + 1 what comes after it. So
    both what a scrape has counted and what happened in a day, which begins between two scrapes, are whole slots.
    """

    days: range

    @property
    def start(self) -> datetime:
        return events.at(self.days[0])

    @property
    def minutes(self) -> int:
        return len(self.days) * MINUTES_PER_DAY

    def minute(self, instant: datetime) -> int:
        """The minute that begins at ``instant``; negative before the days."""
        return (instant - self.start) // timedelta(seconds=STEP_S)

    def during(self, event: Event) -> Mask:
        """Which minutes the event covers, shape (minutes,)."""
        numbers = np.arange(self.minutes)
        end = self.minutes if event.end is None else self.minute(event.end)
        return (numbers >= self.minute(event.start)) & (numbers < end)

    def minutes_of(self, day: int) -> slice:
        first = self.days.index(day) * MINUTES_PER_DAY
        return slice(first, first + MINUTES_PER_DAY)

    def daily(self, curve: Callable[[float], float]) -> Floats:
        """A curve over the hour of the day at each minute. Rounded, so that every machine's sine gives the same."""
        day = [round(curve(minute / 60), 6) for minute in range(MINUTES_PER_DAY)]
        return np.tile(np.array(day), len(self.days))

    def weekend(self) -> Mask:
        return np.repeat([events.at(day).weekday() >= 5 for day in self.days], MINUTES_PER_DAY)

    @cached_property
    def slot_ms(self) -> Ints:
        """How long each slot is, shape (slots,)."""
        return np.tile(np.array([SCRAPE_OFFSET_S, STEP_S - SCRAPE_OFFSET_S]) * 1000, self.minutes)


@dataclass(frozen=True)
class Pod:
    """One process: it runs in the minutes ``[first, last)``; ``births`` are those at which its counters start from 0.

    A pod that ran before the days began has a negative ``first``.
    """

    name: str
    first: int
    last: int
    births: tuple[int, ...]

    def alive(self, timeline: Timeline) -> Mask:
        numbers = np.arange(timeline.minutes)
        return (numbers >= self.first) & (numbers < self.last)


@dataclass(frozen=True)
class Histogram:
    """Observations per slot, pod and bucket (cumulative over the buckets, +Inf last); their sum per slot and pod."""

    bounds_us: tuple[int, ...]
    counts: Ints
    sum_us: Ints
    raw: Mapping[int, Mapping[str, float]]  # day → n and the quantiles of the observations themselves


@dataclass(frozen=True)
class Profile:
    """How a service is used: requests per minute, median latency and share of failures at each minute."""

    service: str
    pods: tuple[Pod, ...]
    per_minute: Floats
    median_us: Floats
    error_share: Floats


@dataclass(frozen=True)
class Traffic:
    """What a service did: ``requests`` and ``errors`` of shape (slots, pods), Redis look-ups of shape (slots,)."""

    service: str
    pods: tuple[Pod, ...]
    requests: Ints
    errors: Ints
    http: Histogram
    db: Histogram
    lookups: Ints
    hits: Ints


def checkout(timeline: Timeline) -> Profile:
    """A daily wave with its top at 15:00, less at weekends; a release at GA."""
    released = timeline.during(events.TRAFFIC)
    wave = timeline.daily(lambda hour: 170 * (1 + 0.6 * math.sin(2 * math.pi * (hour - 9) / 24)))
    burst = timeline.during(events.BURST)
    return Profile(
        CHECKOUT,
        _pods(timeline, events.OLD_PODS, None, timeline.minute(events.ROLLOUT.start))
        + _pods(timeline, events.NEW_PODS, timeline.minute(events.ROLLOUT.start), timeline.minutes),
        wave * np.where(timeline.weekend(), 0.7, 1) * np.where(released, _size(events.TRAFFIC), 1),
        90_000 * np.where(timeline.during(events.LATENCY), _size(events.LATENCY), 1),
        np.where(burst, _size(events.BURST), BASE_ERROR_SHARE),
    )


def reports(timeline: Timeline) -> Profile:
    """Used in the daytime only, and never failing."""
    day = timeline.daily(_reports_curve)
    nothing = np.zeros(timeline.minutes)
    return Profile(
        REPORTS,
        _pods(timeline, (events.REPORTS_POD,), None, timeline.minutes),
        day * np.where(timeline.weekend(), 0.4, 1),
        np.full(timeline.minutes, 110_000.0),
        nothing,
    )


def _reports_curve(hour: float) -> float:
    if hour < events.NIGHT_TO_HOUR or hour >= events.NIGHT_FROM_HOUR:
        return 0.0
    awake = events.NIGHT_FROM_HOUR - events.NIGHT_TO_HOUR
    return 6 + 18 * math.sin(math.pi * (hour - events.NIGHT_TO_HOUR) / awake)


def _size(event: Event) -> float:
    assert event.size is not None
    return event.size


def _pods(timeline: Timeline, names: tuple[str, ...], first: int | None, last: int) -> tuple[Pod, ...]:
    """Pods that start at minute ``first``, or did so before the days began."""
    return tuple(Pod(name, -1 if first is None else first, last, _births(timeline, name, first)) for name in names)


def _births(timeline: Timeline, name: str, first: int | None) -> tuple[int, ...]:
    restarts = [timeline.minute(event.start) for event in events.RESTARTS if event.pod == name]
    started = [] if first is None else [first]
    return tuple(minute for minute in started + restarts if 0 <= minute < timeline.minutes)


def draw(rng: np.random.Generator, timeline: Timeline, profile: Profile) -> Traffic:
    """Draw every request: Poisson counts around the profile, shared by the pods, with lognormal latencies."""
    alive = np.repeat(np.stack([pod.alive(timeline) for pod in profile.pods], axis=1), 2, axis=0)
    expected = np.repeat(profile.per_minute, 2) * timeline.slot_ms / (1000 * STEP_S)
    requests = rng.poisson((expected / alive.sum(axis=1))[:, np.newaxis] * alive)
    errors = rng.binomial(requests, np.repeat(profile.error_share, 2)[:, np.newaxis])
    operations = requests + rng.binomial(requests, 0.5)
    lookups = 2 * requests.sum(axis=1)
    return Traffic(
        profile.service,
        profile.pods,
        requests,
        errors,
        _observe(rng, timeline, requests, np.repeat(profile.median_us, 2), HTTP_SIGMA, HTTP_BOUNDS_US),
        _observe(rng, timeline, operations, np.full(2 * timeline.minutes, DB_MEDIAN_US), DB_SIGMA, DB_BOUNDS_US),
        lookups,
        rng.binomial(lookups, REDIS_HIT_SHARE),
    )


def _observe(
    rng: np.random.Generator,
    timeline: Timeline,
    counts: Ints,
    median_us: Floats,
    sigma: float,
    bounds_us: tuple[int, ...],
) -> Histogram:
    """A latency for each of ``counts`` (slots, pods), and what a histogram with these bounds keeps of them."""
    buckets = np.zeros((*counts.shape, len(bounds_us) + 1), dtype=np.int64)
    sums = np.zeros(counts.shape, dtype=np.int64)
    raw = {}
    for day in timeline.days:
        minutes = timeline.minutes_of(day)
        slots = slice(2 * minutes.start, 2 * minutes.stop)
        part = counts[slots]
        cell = np.repeat(np.arange(part.size), part.ravel())  # the slot and pod that each observation belongs to
        median = np.repeat(median_us[slots], part.sum(axis=1))
        latency_us = np.rint(median * rng.lognormal(0, sigma, cell.size)).astype(np.int64)
        bucket = np.searchsorted(bounds_us, latency_us)
        found = np.bincount(cell * buckets.shape[2] + bucket, minlength=part.size * buckets.shape[2])
        buckets[slots] = found.reshape(*part.shape, -1).cumsum(axis=2)
        sums[slots] = np.bincount(cell, weights=latency_us, minlength=part.size).reshape(part.shape)
        raw[day] = _quantiles(latency_us)
    return Histogram(bounds_us, buckets, sums, raw)


def _quantiles(latency_us: Ints) -> dict[str, float]:
    """How many, and the quantiles as observations: the least one that at least this share of them does not exceed."""
    if not latency_us.size:
        return {"n": 0}
    levels_ms = np.quantile(latency_us, list(QUANTILES.values()), method="inverted_cdf") / 1000
    return {"n": latency_us.size, **dict(zip(QUANTILES, levels_ms.tolist(), strict=True))}
