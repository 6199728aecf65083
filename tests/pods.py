"""Made-up pods that are scraped: counters with restarts, gaps and births, and what else a plan asks for."""

from __future__ import annotations

import numpy as np
from stores import STEP_S, Raw

from observability.model import Plan, Query

SERVICES = ("cart", "shop")
SCRAPE_S = 15.0
PLAN = Plan(
    SERVICES,
    "service",
    STEP_S,
    (
        Query(name="requests", type="counter", promql="requests_total"),
        Query(name="errors", type="counter", promql="last_over_time(errors_total[60s])"),
        Query(name="latency", type="buckets", promql="latency_bucket"),
        Query(name="cpu", type="gauge", promql="cpu"),
        Query(name="alerts", type="alerts", promql="ALERTS"),
    ),
)


def made(seed: int, steps: int, pods: int = 4, whole: bool = True) -> dict[str, Raw]:
    """The raw series of some services' pods: some begin or end in mid time, are restarted, or are away for a while.

    Errors are exported from the first one after each start on. Without ``whole`` the counters have fractions.
    """
    random = np.random.default_rng(seed)
    raw: dict[str, Raw] = {query.name: [] for query in PLAN.queries}
    for service in SERVICES:
        for number in range(pods):
            _add_pod(raw, random, steps, {"job": "web", "service": service, "instance": f"{service}-{number}"}, whole)
        times = np.arange(-600.0, steps * STEP_S, 30)
        seen = random.random(times.size) < 0.9
        raw["cpu"].append(({"service": service}, times[seen], random.random(int(seen.sum()))))
        for number in range(3):
            start = random.uniform(-600, steps * STEP_S)
            times = np.arange(start, start + random.uniform(30, 4000), 30)
            raw["alerts"].append(({"service": service, "alertname": str(number)}, times, np.ones(times.size)))
    return raw


def _add_pod(raw: dict[str, Raw], random: np.random.Generator, steps: int, pod: dict[str, str], whole: bool) -> None:
    end = steps * STEP_S
    start = -1000.0 if random.random() < 0.6 else random.uniform(0, 0.8 * end)
    last = end if random.random() < 0.6 else start + random.uniform(120, 120 + end)
    times = np.arange(start, min(last, end), SCRAPE_S)
    times = np.round(times + random.uniform(-0.2, 0.2, times.size), 3)
    seen = np.ones(times.size, dtype=bool)
    for at in random.integers(0, times.size, random.poisson(0.003 * times.size)):
        seen[at : at + random.integers(1, 60)] = False
    restarts = np.cumsum(random.random(times.size) < 0.003)
    requests = _counter(random, restarts, whole)
    for code, numbers in (("200", requests), ("500", _counter(random, restarts, whole, 0.02))):
        there = seen & ((numbers > 0) | (code == "200"))
        raw["requests"].append(({**pod, "code": code}, times[there], numbers[there]))
        if code == "500":
            raw["errors"].append(({**pod, "code": code}, times[there], numbers[there]))
    for le, share in (("0.1", 0.5), ("0.25", 0.9), ("+Inf", 1.0)):
        raw["latency"].append(({**pod, "le": le}, times[seen], np.floor(share * requests)[seen]))


def _counter(random: np.random.Generator, restarts: np.ndarray, whole: bool, rate: float = 2.0) -> np.ndarray:
    """A counter that begins at 0 at each restart."""
    mean = rate * SCRAPE_S
    grown = random.poisson(mean, restarts.size) if whole else random.exponential(mean, restarts.size)
    return np.concatenate([np.cumsum(grown[restarts == one]) for one in np.unique(restarts)]).astype(float)
