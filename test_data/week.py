"""The generated weeks: what each scrape of each target returned. The same seed gives the same series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from test_data import events
from test_data.traffic import Floats, Histogram, Ints, Mask, Pod, Timeline, Traffic, checkout, draw, reports

MIB = 2**20
POD_CPU_CORES, POD_MEMORY_BYTES = 1, 1000 * MIB  # the limits
BASE_MEMORY_MIB = {events.CHECKOUT: 380, events.REPORTS: 290}
# Counters move in whole grains. A multiple of 1/4 s is exact in binary, so rates of it are short decimal numbers.
CPU_GRAIN_MS = 750
NETWORK_GRAIN = 1200
NODES, CPUS = ("node-1", "node-2"), ("0", "1")
NODE_MEMORY_BYTES = 16_384_000_000
NODE_MEMORY_GRAIN = NODE_MEMORY_BYTES // 1000


@dataclass(frozen=True)
class Series:
    """One time series: ``values`` has shape (minutes,), NaN where the minute's scrape did not return it."""

    metric: str
    labels: Mapping[str, str]
    values: Floats


@dataclass(frozen=True)
class Week:
    """All series of the days, and per service the requests that they come from."""

    timeline: Timeline
    seed: int
    series: tuple[Series, ...]
    traffic: Mapping[str, Traffic]

    def select(self, *metrics: str, **labels: str) -> list[Series]:
        """The series of these metrics whose labels have these values."""
        return [
            series
            for series in self.series
            if series.metric in metrics and all(series.labels.get(key) == value for key, value in labels.items())
        ]


def generate(seed: int, days: range = events.DAYS) -> Week:
    """Draw these days of the calendar: the whole fifteen, or fewer where that is enough."""
    rng = np.random.default_rng(seed)
    timeline = Timeline(days)
    traffic = {profile.service: draw(rng, timeline, profile) for profile in (checkout(timeline), reports(timeline))}
    series = [*_alerts(timeline), *_nodes(rng, timeline, traffic)]
    for service in traffic.values():
        series += [*_pods(rng, timeline, service), *_backing(rng, timeline, service)]
    return Week(timeline, seed, tuple(s for s in series if not np.isnan(s.values).all()), traffic)


def counted(increments: Ints, pod: Pod, timeline: Timeline) -> Floats:
    """What a counter shows at each scrape, from its increments per slot (first axis), for the life of the pod.

    It starts from 0 at each birth. A pod that is older than the days counts on from as much as their first one adds.
    """
    total = increments.cumsum(axis=0)
    values = total[0::2].astype(np.float64)
    if pod.first < 0:
        values += total[2 * timeline.minutes_of(timeline.days[0]).stop - 1]
    for birth in pod.births:
        values[birth:] = total[2 * birth :: 2] - (total[2 * birth - 1] if birth else 0)
    values[~pod.alive(timeline)] = np.nan
    return values


def _seen(values: Floats, mask: Mask) -> Floats:
    return np.where(mask, values, np.nan)


def _in_grains(values: Floats, grain: int) -> Floats:
    return np.asarray(np.floor(values / grain) * grain)


def _since_first_event(values: Floats) -> Floats:
    """A labelled counter as client libraries have it: it does not exist before its first event."""
    return np.where(values > 0, values, np.nan)


def _targets_answer(timeline: Timeline, service: str) -> Mask:
    gap = timeline.during(events.GAP)
    return ~gap if service == events.GAP.service else np.ones_like(gap)


def _pods(rng: np.random.Generator, timeline: Timeline, traffic: Traffic) -> Iterator[Series]:
    for index, pod in enumerate(traffic.pods):
        labels = {"service": traffic.service, "pod": pod.name}
        target = {"job": traffic.service, "instance": f"{pod.name}:8080", **labels}
        answers = _targets_answer(timeline, traffic.service)
        app_answers = answers & ~timeline.during(events.PARTIAL_GAP) if pod.name == events.PARTIAL_GAP.pod else answers
        up = np.where(app_answers, 1.0, 0.0)
        yield Series("up", target, _seen(up, pod.alive(timeline)))
        for series in _application(timeline, traffic, index, target):
            yield Series(series.metric, series.labels, _seen(series.values, app_answers))
        for series in _container(rng, timeline, traffic, index, {"job": "kubelet", "instance": NODES[0], **labels}):
            yield Series(series.metric, series.labels, _seen(series.values, answers))


def _application(timeline: Timeline, traffic: Traffic, index: int, labels: Mapping[str, str]) -> Iterator[Series]:
    """What the process itself exposes."""
    pod = traffic.pods[index]
    errors = traffic.errors[:, index]
    for code, increments in {"200": traffic.requests[:, index] - errors, "500": errors}.items():
        values = _since_first_event(counted(increments, pod, timeline))
        yield Series("http_requests_total", {**labels, "code": code}, values)
    yield from _histogram("http_request_duration_seconds", timeline, traffic.http, index, pod, labels)
    yield from _histogram("db_client_operation_duration_seconds", timeline, traffic.db, index, pod, labels)


def _histogram(
    name: str, timeline: Timeline, histogram: Histogram, index: int, pod: Pod, labels: Mapping[str, str]
) -> Iterator[Series]:
    counts = counted(histogram.counts[:, index], pod, timeline)
    bounds = [repr(bound / 10**6) for bound in histogram.bounds_us] + ["+Inf"]
    for column, bound in enumerate(bounds):
        yield Series(f"{name}_bucket", {**labels, "le": bound}, counts[:, column])
    yield Series(f"{name}_count", labels, counts[:, -1])
    yield Series(f"{name}_sum", labels, counted(histogram.sum_us[:, index], pod, timeline) / 10**6)


def _container(
    rng: np.random.Generator, timeline: Timeline, traffic: Traffic, index: int, labels: Mapping[str, str]
) -> Iterator[Series]:
    """What cAdvisor exposes about the pod's one container."""
    pod, requests = traffic.pods[index], traffic.requests[:, index]
    container = {**labels, "container": traffic.service}
    cpu_ms = counted(timeline.slot_ms // 20 + 100 * requests, pod, timeline)
    yield Series("container_cpu_usage_seconds_total", container, _in_grains(cpu_ms, CPU_GRAIN_MS) / 1000)
    yield Series("container_memory_working_set_bytes", container, _working_set(rng, timeline, traffic.service, pod))
    for direction, octets in {"transmit": 20_000, "receive": 1_800}.items():
        total = counted(octets * requests, pod, timeline)
        yield Series(f"container_network_{direction}_bytes_total", labels, _in_grains(total, NETWORK_GRAIN))


def _leaked_mib(timeline: Timeline) -> Floats:
    """What each of the leaking service's pods has lost at each minute."""
    minutes = np.arange(timeline.minutes) - timeline.minute(events.LEAK.start)
    assert events.LEAK.size is not None
    return np.maximum(minutes, 0) / 1440 * events.LEAK.size * (POD_MEMORY_BYTES / MIB)


def _working_set(rng: np.random.Generator, timeline: Timeline, service: str, pod: Pod) -> Floats:
    mib = np.asarray(BASE_MEMORY_MIB[service] + rng.integers(0, 3, timeline.minutes), dtype=np.float64)
    if service == events.LEAK.service:
        mib += np.floor(_leaked_mib(timeline))
    return _seen(mib * MIB, pod.alive(timeline))


def _backing(rng: np.random.Generator, timeline: Timeline, traffic: Traffic) -> Iterator[Series]:
    """Redis, Postgres, the volume and the limits of a service: no pod of its own, and as old as the service."""
    old = Pod("", -1, timeline.minutes, ())
    busy = traffic.requests.sum(axis=1).reshape(-1, 2).sum(axis=1)
    minutes = np.arange(float(timeline.minutes))
    found = (
        ("redis", "redis_keyspace_hits_total", counted(traffic.hits, old, timeline)),
        ("redis", "redis_keyspace_misses_total", counted(traffic.lookups - traffic.hits, old, timeline)),
        ("redis", "redis_memory_used_bytes", 210 * MIB + minutes // 30 % 96 * 65536),
        ("postgres", "pg_stat_activity_count", 8.0 + busy // 30 + rng.integers(0, 2, timeline.minutes)),
        ("kubelet", "kubelet_volume_stats_used_bytes", 20 * 1024 * MIB + minutes // 15 * MIB),
    )
    answers = _targets_answer(timeline, traffic.service)
    for job, metric, values in found:
        labels = {"job": job, "instance": f"{job}-{traffic.service}", "service": traffic.service}
        yield Series(metric, labels, _seen(values, answers))
    # From kube-state-metrics, which answers during the gap too. Without a pod: a dead pod's limit would be seen for
    # five minutes beside the new one's, because backfilled series carry no staleness markers.
    replicas = np.stack([pod.alive(timeline) for pod in traffic.pods]).sum(axis=0).astype(np.float64)
    for resource, unit, limit in (("cpu", "core", POD_CPU_CORES), ("memory", "byte", POD_MEMORY_BYTES)):
        labels = {"job": "kube-state-metrics", "service": traffic.service, "resource": resource, "unit": unit}
        yield Series("kube_pod_container_resource_limits", labels, replicas * limit)


def _nodes(rng: np.random.Generator, timeline: Timeline, traffic: Mapping[str, Traffic]) -> Iterator[Series]:
    """What node_exporter exposes: the services' load on top of others'."""
    old = Pod("", -1, timeline.minutes, ())
    requests = sum(service.requests.sum(axis=1) for service in traffic.values())
    for node in NODES:
        instance = {"job": "node", "instance": node}
        yield Series("up", instance, np.ones(timeline.minutes))
        for cpu in CPUS:
            noise = rng.integers(0, 20, 2 * timeline.minutes)
            user = timeline.slot_ms * (180 + noise) // 1000 + 40 * requests
            for mode, spent_ms in {"idle": timeline.slot_ms - user, "user": user}.items():
                seconds = _in_grains(counted(spent_ms, old, timeline), CPU_GRAIN_MS) / 1000
                yield Series("node_cpu_seconds_total", {**instance, "cpu": cpu, "mode": mode}, seconds)
        available = 0.58 * NODE_MEMORY_BYTES - _leaked_mib(timeline) * MIB + rng.integers(0, 3) * NODE_MEMORY_GRAIN
        yield Series("node_memory_MemAvailable_bytes", instance, _in_grains(available, NODE_MEMORY_GRAIN))
        yield Series("node_memory_MemTotal_bytes", instance, np.full(timeline.minutes, float(NODE_MEMORY_BYTES)))


def _alerts(timeline: Timeline) -> Iterator[Series]:
    """The alert waits for five minutes of the burst, pending, and then fires until the burst ends."""
    labels = {"alertname": "CheckoutErrorBudgetBurn", "severity": "critical", "service": events.ALERT.service}
    firing = timeline.during(events.ALERT)
    pending = timeline.during(events.BURST) & ~firing
    for state, mask in {"pending": pending, "firing": firing}.items():
        yield Series("ALERTS", {**labels, "alertstate": state}, np.where(mask, 1.0, np.nan))
