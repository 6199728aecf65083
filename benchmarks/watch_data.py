"""What the watcher is measured with: services of ten series each, as they would be scraped, and their release file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.series import Integers, Series

GA = datetime(2025, 11, 18, tzinfo=UTC)
LEAD = timedelta(hours=6)  # of history before GA, that the watcher warms up with
STEP_S = 60
STEPS_A_DAY = 86_400 // STEP_S
INCIDENT_STEPS = 10  # at each time one service has an incident, and after these steps the next one
COUNTERS = ("http_requests_total", "http_errors_total", "http_timeouts_total", "jobs_total", "sent_bytes_total")
GAUGES = ("cpu_millicores", "memory_bytes", "queue_length", "connections", "threads")
PER_SERVICE = len(COUNTERS) + len(GAUGES)


def release(count: int, url: str) -> str:
    """The release file of ``count`` services: ten KPIs each, one for each of its series."""
    queries: dict[str, Any] = {
        name.removesuffix("_total"): {"type": "counter", "promql": f"last_over_time({name}{{$match}}[$step])"}
        for name in COUNTERS
    } | {name: {"type": "gauge", "promql": f"sum by ($by) ({name}{{$match}})"} for name in GAUGES}
    kpis = {
        "request_rate": _kpi("rate", "traffic", query="http_requests"),
        "error_rate": _kpi("ratio", "errors", numerator="http_errors", denominator="http_requests"),
        "timeout_rate": _kpi("ratio", "errors", numerator="http_timeouts", denominator="http_requests"),
        "job_rate": _kpi("rate", "traffic", query="jobs"),
        "sent_rate": _kpi("rate", "traffic", query="sent_bytes"),
        **{f"mean_{name}": _kpi("gauge", "resources", query=name) for name in GAUGES},
    }
    written = {
        "release": "benchmark",
        "ga": GA.isoformat(),
        "step": f"{STEP_S}s",
        "prometheus": {"url": url},
        "services": names(count),
        "service_label": "service",
        "queries": queries,
        "kpis": kpis,
        "only": list(kpis),
    }
    return yaml.safe_dump(written, sort_keys=False)


def _kpi(kind: str, category: str, **operands: str) -> dict[str, str]:
    direction = "lower is better" if category == "errors" else "two-sided"
    text = {"about": "Made up.", "unit": "1", "direction": direction, "category": category}
    return {**text, "kind": kind, **operands}


def names(count: int) -> list[str]:
    return [f"service-{number:04}" for number in range(count)]


def borders_ms(steps: int) -> list[int]:
    """Where the data begins and ends, and the midnights between: a block each."""
    days = range(-(-steps // STEPS_A_DAY))
    ends = [GA + timedelta(days=day) for day in days] + [GA + timedelta(seconds=STEP_S * steps)]
    return [_milliseconds(instant) for instant in (GA - LEAD, *ends)]


def series(count: int, steps: int, seed: int) -> list[Series]:
    """The series of ``count`` services and their targets' ``up``, from ``LEAD`` before GA until ``steps`` after it.

    Each is scraped once a step, at an offset of its own.
    """
    start, *_, end = borders_ms(steps)
    found: list[Series] = []
    for number, name in enumerate(names(count)):
        rng = np.random.default_rng([seed, number])
        times = np.arange(start + rng.integers(1000 * STEP_S), end, 1000 * STEP_S)
        labels = {"job": "made-up", "service": name, "instance": f"10.2.{number // 200}.{number % 200}:8080"}
        values = _values(rng, ill(number, count, times.size))
        found += [Series(metric, labels, times, values[metric]) for metric in (*COUNTERS, *GAUGES)]
        found.append(Series("up", labels, times, np.ones_like(times)))
    return found


def ill(number: int, count: int, scrapes: int) -> NDArray[np.bool_]:
    """When the service has an incident. The services take turns, in an order that jumps about."""
    turn = np.arange(scrapes) // INCIDENT_STEPS
    return np.asarray((turn * 37) % count == number)


def _values(rng: np.random.Generator, is_ill: NDArray[np.bool_]) -> Mapping[str, Integers]:
    def about(mean: float, when_ill: float = 1.0) -> Integers:
        return rng.poisson(np.where(is_ill, when_ill * mean, mean))

    a_step = float(np.exp(rng.uniform(np.log(60), np.log(6000))))
    requests = about(a_step)
    counted = {
        "http_requests_total": requests,
        "http_errors_total": about(0.01 * a_step, 10),
        "http_timeouts_total": about(0.002 * a_step, 20),
        "jobs_total": about(20),
        "sent_bytes_total": requests * 10_000 + about(50_000),
    }
    return {name: np.cumsum(values) for name, values in counted.items()} | {
        "cpu_millicores": about(300, 1.8),
        "memory_bytes": 500_000_000 + 100_000 * about(100),
        "queue_length": about(5, 10),
        "connections": about(50),
        "threads": 40 + about(2),
    }


def _milliseconds(instant: datetime) -> int:
    return round(1000 * instant.timestamp())
