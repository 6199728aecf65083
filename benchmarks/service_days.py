"""Services whose every event is known: what their processes counted, and what Prometheus scraped of it.

Events are Poisson: the number between two instants is drawn with the integral of the rate as its mean, which is the
same as drawing it second by second. All times are seconds since the epoch unless a name says otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.series import Integers, Series
from benchmarks.services import DAY_S, Floats, Process, Service, Traffic, draw, draw_outages

LEAD_S = 3600  # scraped before the first day
CODES = ("200", "404", "500")
METRIC, JOB = "http_requests_total", "accuracy"

Key = tuple[str, str, str, str]
"""Instance, version, team and code."""


@dataclass(frozen=True)
class Truth:
    """Requests and errors of one service in one day, shape (2,) each.

    ``scraped``: those whose target's next scheduled scrape falls into the day, whether or not it took place: no reader
    of scrapes can place an event better. ``clock``: those that happened in the day.
    """

    service: str
    day: int
    scraped: Integers
    clock: Integers


def service_days(count: int, first_day: int, days: int, seed: int) -> tuple[list[Series], list[Truth]]:
    """At least ``count`` days of services that ran in them. ``first_day``: the start of day 0, in seconds."""
    outages = draw_outages(np.random.default_rng(seed), first_day, days)
    series: list[Series] = []
    truths: list[Truth] = []
    for number in itertools.count():
        if len(truths) >= count:
            break
        rng = np.random.default_rng([seed, number])
        service = draw(rng, f"service-{number}", first_day, days, outages)
        found, true = run(rng, service, first_day, days)
        series += found
        truths += true
    return series, truths


def run(rng: np.random.Generator, service: Service, first: int, days: int) -> tuple[list[Series], list[Truth]]:
    """The scraped series, and the truth of each day that a process ran in."""
    borders = first + DAY_S * np.arange(days + 1, dtype=np.float64)
    offsets = {process.instance: round(rng.uniform(0, service.interval_s), 3) for process in service.processes}
    scraped, clock = np.zeros((len(CODES), days), dtype=np.int64), np.zeros((len(CODES), days), dtype=np.int64)
    alive = np.zeros(days, dtype=np.bool_)
    pieces: dict[Key, list[tuple[Integers, Integers]]] = {}
    seen: dict[str, list[Floats]] = {}
    for process in service.processes:
        alive |= (borders[:-1] < process.end) & (process.start < borders[1:])
        scheduled = _last_scheduled(borders, service.interval_s, offsets[process.instance])
        times = _scrapes(rng, service, process, offsets[process.instance], first - LEAD_S, borders[-1])
        seen.setdefault(process.instance, []).append(times)
        counts = _counts(rng, service.traffic, process, np.concatenate([times, borders, scheduled]))
        values, at_borders, at_scheduled = np.split(counts, [times.size, times.size + borders.size], axis=1)
        clock += np.diff(at_borders, axis=1)
        scraped += np.diff(at_scheduled, axis=1)
        for label, low, high in _labelled(service, times):
            for code, row in zip(CODES, values, strict=True):
                shown = row[low:high] >= (1 if service.lazy else 0)
                piece = (np.rint(1000 * times[low:high][shown]).astype(np.int64), row[low:high][shown])
                version = f"v{process.version}" if service.versioned else ""
                pieces.setdefault((process.instance, version, label, code), []).append(piece)
    series = [_series(service, key, found) for key, found in pieces.items() if any(times.size for times, _ in found)]
    series += _ups(service, offsets, seen, first - LEAD_S, borders[-1])
    truths = [
        Truth(service.name, day, _requests_and_errors(scraped[:, day]), _requests_and_errors(clock[:, day]))
        for day in np.flatnonzero(alive).tolist()
    ]
    return series, truths


def _counts(rng: np.random.Generator, traffic: Traffic, process: Process, at: Floats) -> Integers:
    """What the process has counted at the instants, which need no order: shape (codes, instants)."""
    knots, place = np.unique(np.clip(at, process.start, process.end), return_inverse=True)
    knots = np.concatenate([[process.start], knots])
    drawn = rng.poisson(np.maximum(np.diff(traffic.expected(knots), axis=1), 0))
    counts: Integers = np.cumsum(drawn, axis=1)[:, place]
    return counts


def _scrapes(
    rng: np.random.Generator, service: Service, process: Process, offset: float, begin: float, end: float
) -> Floats:
    """When the process was scraped, ascending. One that ends at a scrape is still scraped."""
    low, high = max(begin, process.found), min(end, process.end)
    ticks = np.arange(np.ceil((low - offset) / service.interval_s), np.floor((high - offset) / service.interval_s) + 1)
    times: Floats = ticks * service.interval_s + offset
    kept = (times < end) & (rng.random(times.size) >= service.missed)
    for gap in service.gaps:
        if gap.instance in (None, process.instance):
            kept &= (times < gap.start) | (gap.end <= times)
    return times[kept]


def _ups(
    service: Service, offsets: Mapping[str, float], seen: Mapping[str, Sequence[Floats]], begin: float, end: float
) -> Iterator[Series]:
    """``up`` of each target as long as service discovery has it: 1 where it was scraped, 0 where that failed, and
    nothing while Prometheus was down."""
    for instance, offset in offsets.items():
        lives = [process for process in service.processes if process.instance == instance]
        low, high = max(begin, lives[0].found), min(end, lives[-1].end)
        ticks = np.arange(
            np.ceil((low - offset) / service.interval_s), np.floor((high - offset) / service.interval_s) + 1
        )
        times = ticks * service.interval_s + offset
        for gap in service.gaps:
            if gap.unnoticed:
                times = times[(times < gap.start) | (gap.end <= times)]
        if times.size:
            up = np.isin(times, np.concatenate(seen[instance])).astype(np.int64)
            labels = {"job": JOB, "instance": instance}
            yield Series("up", labels, np.rint(1000 * times).astype(np.int64), up)


def _last_scheduled(borders: Floats, interval_s: int, offset: float) -> Floats:
    """The last scheduled scrape before each border. A scrape at the border belongs to the day that begins there."""
    scheduled: Floats = (np.ceil((borders - offset) / interval_s) - 1) * interval_s + offset
    return scheduled


def _labelled(service: Service, times: Floats) -> Iterator[tuple[str, int, int]]:
    """The label ``team``, and from which scrape to which (exclusive) the targets had it."""
    edges = [0, *np.searchsorted(times, service.relabelled).tolist(), times.size]
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        yield f"team-{number}", low, high


def _series(service: Service, key: Key, found: Sequence[tuple[Integers, Integers]]) -> Series:
    """The processes of one target follow on each other in the same series."""
    instance, version, team, code = key
    labels = {
        "job": JOB,
        "service": service.name,
        "instance": instance,
        "version": version,
        "team": team,
        "code": code,
    }
    times, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Series(METRIC, labels, times, values)


def _requests_and_errors(counts: Integers) -> Integers:
    return np.array([counts.sum(), counts[CODES.index("500")]])
