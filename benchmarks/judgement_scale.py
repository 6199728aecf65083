"""Folds and judges made-up services one after the other, in a process of its own on one core, and prints what it took.
Run by ``benchmarks.judgement``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import ROOT
from benchmarks.memory import peak_mb
from observability.artifacts import DaySummary, PreReleaseSummary
from observability.definitions import Release
from observability.errors import PostgaError
from observability.events import AnomalyEvents
from observability.judgement.daily_drift import partner_of
from observability.judgement.health import assess
from observability.judgement.regression import analyse
from observability.judgement.slo import burn_downs
from observability.judgement.summary import summarise
from observability.model import DAYS_BEFORE, LAST_DAY, Array, Samples, SourceInfo
from observability.release import load

MINUTES, STEP_S = 1440, 60
ILL = 10  # every tenth service is worse from GA on
WEEK = range(LAST_DAY + 1)
# Upper bounds in seconds, and the share of the requests up to each.
BUCKETS = dict(
    zip(
        ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"),
        (0.02, 0.1, 0.3, 0.55, 0.75, 0.9, 0.97, 0.99, 0.997, 0.999, 0.9998, 1.0),
        strict=True,
    )
)
RELEASE = """\
release: made-up
ga: 2025-11-18T00:00:00Z
step: 60s
prices: {currency: USD, cpu_core_hour: 0.04, memory_gib_hour: 0.005, network_gib: 0.08}
only:
  [overall_availability, overall_error_rate, request_rate, p50_latency_ms, p95_latency_ms, p99_latency_ms,
  avg_p99_latency_ms, avg_cpu_percent, peak_cpu_percent, avg_memory_percent, avg_redis_hit_rate, db_p95_latency_ms,
  db_connections, network_bytes_per_second, estimated_cost_per_hour]
"""
SOURCE = SourceInfo(prometheus="made up", step_s=STEP_S)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ScaleError(PostgaError):
    """The process that was measured did not come to its end."""


def run(services: int, seed: int) -> dict[str, Any]:
    """What ``measure`` gives, from a process of its own on one core."""
    command = [sys.executable, "-m", "benchmarks.judgement_scale", str(services), str(seed)]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    if done.returncode != 0:
        raise ScaleError("The services could not be judged; what was said stands above.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass
class Stopwatch:
    """Seconds by part; of the processor, so that what else runs on the machine takes no part."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun


def measure(services: int, seed: int) -> dict[str, Any]:
    """Folds the eight days from GA on and judges them, service after service. Samples are made, and the week before GA
    is folded, beside the ``seconds``: a product has it from the day of the release."""
    release, watch = _release(), Stopwatch()
    failing = sum(_judged(release, number, seed, watch) for number in range(services))
    before = watch.seconds.pop("fold_before", 0.0)
    return {
        "services": services,
        "kpis": len(release.kpis),
        "days": len(WEEK),
        "seconds": sum(watch.seconds.values()),
        "peak_mb": peak_mb(),
        "parts": watch.seconds,
        "fold_before_seconds": before,
        "failing": failing,
    }


def _judged(release: Release, number: int, seed: int, watch: Stopwatch) -> bool:
    """Whether one of the service's KPIs fails."""
    random = np.random.default_rng([seed, number])
    past = [_folded(release, number, day, random, None, watch, "fold_before") for day in range(-DAYS_BEFORE, 0)]
    ga = _folded(release, number, 0, random, None, watch, "fold")
    week = [_folded(release, number, day, random, ga, watch, "fold") for day in WEEK[1:]]
    before = PreReleaseSummary(service=ga.service, days=tuple(past))
    with watch.part("slo"):
        budgets = burn_downs([ga, *week])
    with watch.part("regression"):
        summary = analyse(ga, week, before, slos=budgets)
    with watch.part("health"):
        events = AnomalyEvents()
        health = [assess(day, events, partner_of(day, before), ga) for day in week]
    assert budgets
    assert len(health) == LAST_DAY
    return any(row.verdict == "fail" for row in summary.rows)


def _folded(
    release: Release,
    number: int,
    day: int,
    random: np.random.Generator,
    ga: DaySummary | None,
    watch: Stopwatch,
    part: str,
) -> DaySummary:
    made = samples(release, number, day, random)
    with watch.part(part):
        return summarise(release, made, day, SOURCE, ga, partial=False)


def samples(release: Release, number: int, day: int, random: np.random.Generator) -> Samples:
    """A service's day as a source gives it: traffic by the hour of the day, and what follows from it."""
    worse = 1.5 if number % ILL == 0 and day >= 0 else 1.0
    busy = 1 - 0.5 * np.cos(2 * np.pi * np.arange(MINUTES) / MINUTES)
    requests = random.poisson((50 + number % 100) * 60 * busy).astype(np.float64)
    lookups, statements = random.poisson(3 * requests).astype(np.float64), random.poisson(2 * requests)
    columns: dict[str, Array] = {
        "http_requests": requests,
        "http_errors": random.poisson(0.0004 * worse * requests).astype(np.float64),
        **_histogram("http_latency", requests, worse),
        "cpu_cores": worse * requests / 4000 * _noise(random),
        "cpu_limit_cores": np.full(MINUTES, 8.0),
        "memory_bytes": 4e9 * _noise(random),
        "memory_limit_bytes": np.full(MINUTES, 8e9),
        "redis_hits": np.minimum(random.poisson(0.95 * lookups), lookups).astype(np.float64),
        "redis_lookups": lookups,
        **_histogram("db_latency", statements.astype(np.float64), 1.0),
        "db_sessions": 40 * _noise(random),
        "network_octets": 2000 * requests * _noise(random),
    }
    return Samples(f"service-{number:04}", release.calendar.window(day), STEP_S, columns)


def _noise(random: np.random.Generator) -> Array:
    return np.asarray(np.exp(0.05 * random.standard_normal(MINUTES)))


def _histogram(name: str, events: Array, slower: float) -> Mapping[str, Array]:
    """Cumulative counts by upper bound; ``slower``: the share beyond a bound is as many times as high."""
    shares = {bound: max(0.0, 1 - slower * (1 - share)) for bound, share in BUCKETS.items()}
    return {f"{name}.le.{bound}": np.floor(share * events) for bound, share in shares.items()}


def _release() -> Release:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "release.yaml"
        path.write_text(RELEASE, encoding="utf-8")
        return load(path)


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core
    print(json.dumps(measure(*map(int, sys.argv[1:]))))
