"""What collecting costs: against the same requests by plain HTTP, and against the client library's own way."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import requests
from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect
from requests.adapters import HTTPAdapter

from benchmarks.series import Integers, Series
from observability.model import Calendar, Plan, PrometheusSettings, Query, Window
from observability.sources.prometheus import Prometheus

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAYS = range(-7, 8)
STEP_S = 60
LEAD = timedelta(minutes=15)
CODES = ("200", "201", "204", "301", "400", "404", "500", "503")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
PER_TARGET = len(CODES) + len(BOUNDS)
TARGETS_PER_SERVICE = 5
CHUNK = 1 << 16


def steady_series(size: int, seed: int) -> list[Series]:
    """``size`` series that were scraped every 60 s for fifteen days: counters and histograms of ``size`` / 20 targets.

    They count from before the first day on, a few events to a few hundred between two scrapes.
    """
    series: list[Series] = []
    for target in range(size // PER_TARGET):
        rng = np.random.default_rng([seed, size, target])
        offset_ms = int(rng.integers(1, 1000 * STEP_S))
        times = np.arange(borders_ms()[0] + offset_ms, borders_ms()[-1], 1000 * STEP_S)
        labels = {
            "job": job(size),
            "service": f"service-{target // TARGETS_PER_SERVICE}",
            "instance": f"10.1.{target // 200}.{target % 200}:8080",
        }
        series += _of_target(labels, times, rng)
    return series


def _of_target(labels: dict[str, str], times: Integers, rng: np.random.Generator) -> Iterator[Series]:
    def counted(scale: float, sorts: int) -> Integers:
        mean = scale * rng.uniform(0.5, 2, size=(sorts, 1))
        return np.cumsum(rng.poisson(mean, size=(sorts, times.size)), axis=1) + int(1e5 * scale)

    for code, values in zip(CODES, counted(20, len(CODES)), strict=True):
        yield Series("http_requests_total", {**labels, "code": code}, times, values)
    for bound, values in zip(BOUNDS, np.cumsum(counted(13, len(BOUNDS)), axis=0), strict=True):
        yield Series("http_request_duration_seconds_bucket", {**labels, "le": bound}, times, values)


def job(size: int) -> str:
    return f"size-{size}"


def plan(size: int) -> Plan:
    """One query per KPI for all services, each series once."""
    services = tuple(f"service-{number}" for number in range(-(-size // PER_TARGET // TARGETS_PER_SERVICE)))
    return Plan(
        services or ("service-0",),
        "service",
        STEP_S,
        tuple(
            Query(name=name, type=kind, promql=f'last_over_time({metric}{{job="{job(size)}"}}[{STEP_S}s])')
            for name, kind, metric in (
                ("http_requests", "counter", "http_requests_total"),
                ("http_latency", "buckets", "http_request_duration_seconds_bucket"),
            )
        ),
    )


def borders_ms() -> list[int]:
    """Where the days begin, and the last one ends; first of all, where the scrapes before them begin."""
    starts = [GA + day * timedelta(days=1) for day in range(DAYS.start, DAYS.stop + 1)]
    return [_milliseconds(instant) for instant in (starts[0] - LEAD, *starts)]


def days(count: int = len(DAYS)) -> list[Window]:
    return [Calendar(GA).window(day) for day in DAYS[:count]]


def collect(url: str, size: int, count: int = len(DAYS)) -> Iterator[int]:
    """Collects day after day, and keeps none of them: one column count per day."""
    source, asked = Prometheus(PrometheusSettings(url=url, concurrency=1)), plan(size)
    for window in days(count):
        yield sum(len(samples.columns) for samples in source.fetch(asked, window).values())


def client_collect(url: str, size: int) -> Iterator[int]:
    """The same series with prometheus-api-client's range queries in day chunks and its data frame: rows per day."""
    client = PrometheusConnect(url)
    for window in days():
        start, end = window.start, window.end - timedelta(seconds=STEP_S)
        yield sum(
            len(MetricRangeDataFrame(client.custom_query_range(f'{metric}{{job="{job(size)}"}}', start, end, "60")))
            for metric in ("http_requests_total", "http_request_duration_seconds_bucket")
        )


@contextmanager
def recording() -> Iterator[list[requests.PreparedRequest]]:
    """The requests that are really sent meanwhile, as they go over the wire."""
    sent: list[requests.PreparedRequest] = []
    send = HTTPAdapter.send

    def send_and_note(self: HTTPAdapter, request: requests.PreparedRequest, *rest: Any, **more: Any) -> Any:
        sent.append(request.copy())
        return send(self, request, *rest, **more)

    HTTPAdapter.send = send_and_note  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]


def requests_by_day(collecting: Iterator[int]) -> list[list[requests.PreparedRequest]]:
    """What is sent for each day."""
    found: list[list[requests.PreparedRequest]] = []
    while True:
        with recording() as sent:
            if next(collecting, None) is None:
                return found
        found.append(sent)


def replay(by_day: Sequence[Sequence[requests.PreparedRequest]]) -> Iterator[int]:
    """Sends the same requests over a plain session, and throws the bodies away: bytes per day."""
    with requests.Session() as session:
        for sent in by_day:
            yield sum(_discarded(session, request) for request in sent)


def uncompressed(by_day: Sequence[Sequence[requests.PreparedRequest]]) -> list[list[requests.PreparedRequest]]:
    """The same requests, for answers that the server does not compress."""
    found = [[request.copy() for request in sent] for sent in by_day]
    for request in itertools.chain.from_iterable(found):
        request.headers["Accept-Encoding"] = "identity"
    return found


def _discarded(session: requests.Session, request: requests.PreparedRequest) -> int:
    with session.send(request, stream=True) as response:
        response.raise_for_status()
        return sum(len(chunk) for chunk in response.iter_content(CHUNK))


@dataclass(frozen=True)
class Round:
    """Seconds for all days: ours and the client's, each beside its own requests by plain HTTP."""

    ours: float
    plain: float
    plain_uncompressed: float
    client: float
    client_plain: float

    @property
    def ratio(self) -> float:
        return self.ours / self.plain

    @property
    def overhead(self) -> float:
        return (self.ours - self.plain) / (self.client - self.client_plain)


def measure(url: str, size: int, rounds: int, done: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The medians over the rounds. The first, unmeasured pass notes the requests and warms the server up.

    ``done`` is called after each day of each round.
    """
    ours, clients = requests_by_day(collect(url, size)), requests_by_day(client_collect(url, size))
    measured = []
    for _ in range(rounds):
        ways = {
            "ours": collect(url, size),
            "plain": replay(ours),
            "plain_uncompressed": replay(uncompressed(ours)),
            "client": client_collect(url, size),
            "client_plain": replay(clients),
        }
        measured.append(Round(**_interleaved(ways, done)))
    return {
        "ratio_plain_http": median(one.ratio for one in measured),
        "overhead_vs_client": median(one.overhead for one in measured),
        "seconds": {way.name: median(getattr(one, way.name) for one in measured) for way in fields(Round)},
        "queries": sum(map(len, ours)),
        "queries_per_day": max(map(len, ours)),
        "mb_received": sum(replay(ours)) / 1e6,
        "peak_mb": peak_mb(url, size, len(DAYS)),
        "peak_mb_one_day": peak_mb(url, size, 1),
    }


def _interleaved(ways: Mapping[str, Iterator[int]], done: Callable[[], None]) -> dict[str, float]:
    """Seconds of each way in all, day by day in turn, so that a busy machine is busy for all of them."""
    seconds = dict.fromkeys(ways, 0.0)
    for _ in DAYS:
        for name, way in ways.items():
            begin = time.perf_counter()
            next(way)
            seconds[name] += time.perf_counter() - begin
        done()
    return seconds


def peak_mb(url: str, size: int, count: int) -> float:
    """Peak memory of a fresh process that collects ``count`` days, in MB."""
    run = [sys.executable, "-m", "benchmarks.memory", url, str(size), str(count)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return float(done.stdout)


def _milliseconds(instant: datetime) -> int:
    return round(1000 * instant.timestamp())
