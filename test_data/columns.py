"""The columns of ``observability.model.Samples`` straight from the generated series.

Written simply and apart from ``observability.sources``, to be compared with it. Step k holds scrape k and no other, so
nothing needs to be looked up, and the catalog's queries are spelled out as loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from observability.model import Calendar, Samples
from test_data.events import GA, SCRAPE_OFFSET_S, STEP_S
from test_data.traffic import MINUTES_PER_DAY, Floats
from test_data.week import Series, Week

BUCKETS = {
    "http_latency": "http_request_duration_seconds_bucket",
    "db_latency": "db_client_operation_duration_seconds_bucket",
}
SUMS = {
    "memory_bytes": "container_memory_working_set_bytes",
    "redis_memory": "redis_memory_used_bytes",
    "db_sessions": "pg_stat_activity_count",
    "storage_used": "kubelet_volume_stats_used_bytes",
}
ALERTS = "critical_alerts"
RANGE_STEPS = 5  # of rate(...[5m])
LEAD_MINUTES = 5  # that counters are looked at before a window
SCRAPE_TO_END_MS = (STEP_S - SCRAPE_OFFSET_S) * 1000 - 1  # a step is asked for at its last millisecond


def by_day(week: Week, service: str) -> dict[int, Samples]:
    """Day → the service's samples, as a source returns them: without the columns that have no sample in the day."""
    whole = columns(week, service)
    found = {}
    for day in week.timeline.days:
        part = {name: values[week.timeline.minutes_of(day)] for name, values in whole.items()}
        quiet = {name for name, values in part.items() if np.isnan(values).all()}
        if not part[ALERTS].any():
            quiet |= {ALERTS, f"{ALERTS}.started"}
        quiet |= {name for name, values in part.items() if name.endswith(".earlier") and not values.any()}
        shown = {name: values for name, values in part.items() if name not in quiet}
        shown |= seen(week, service, week.timeline.minutes_of(day), shown)
        found[day] = Samples(service, Calendar(GA).window(day), STEP_S, shown)
    return found


def columns(week: Week, service: str) -> dict[str, Floats]:
    """Every column over all days, shape (minutes,)."""
    restarts = restarted(week, service)
    counters = _counters(week, service)
    found = {
        name: added([increases(one.values, restarts[one.labels["instance"]]) for one in series], week)
        for name, series in counters.items()
    }
    for name, series in counters.items():
        if series:
            parts = [earlier(one.values, restarts[one.labels["instance"]]) for one in series]
            found[f"{name}.earlier"] = sum(parts, np.zeros(week.timeline.minutes))
    for name, metric in BUCKETS.items():
        series = week.select(metric, service=service)
        for bound in dict.fromkeys(one.labels["le"] for one in series):
            of_bound = [one for one in series if one.labels["le"] == bound]
            grown = [increases(one.values, restarts[one.labels["instance"]]) for one in of_bound]
            found[f"{name}.le.{bound}"] = added(grown, week)
    return found | _usage(week, service) | _shared(week) | _alerts(week, service)


def _counters(week: Week, service: str) -> dict[str, list[Series]]:
    requests = week.select("http_requests_total", service=service)
    errors = [series for series in requests if series.labels["code"].startswith("5")]
    hits = week.select("redis_keyspace_hits_total", service=service)
    lookups = hits + week.select("redis_keyspace_misses_total", service=service)
    return {"http_requests": requests, "http_errors": errors, "redis_hits": hits, "redis_lookups": lookups}


def _counted(week: Week, service: str) -> dict[str, list[Series]]:
    return _counters(week, service) | {name: week.select(metric, service=service) for name, metric in BUCKETS.items()}


def restarted(week: Week, service: str) -> dict[str, NDArray[np.bool_]]:
    """Instance → in which minutes any of its counters was reset, shape (minutes,)."""
    found: dict[str, NDArray[np.bool_]] = {}
    for one in [one for series in _counted(week, service).values() for one in series]:
        instance = one.labels["instance"]
        found[instance] = found.get(instance, np.zeros(one.values.size, dtype=np.bool_)) | resets(one.values)
    return found


def seen(week: Week, service: str, minutes: slice, shown: Mapping[str, Floats]) -> dict[str, Floats]:
    """Which share of the targets that were expected in each minute was seen whole, for the queries of ``shown`` in
    which that is not all of them. What was seen up to a day and five minutes before is known."""
    counted = _counted(week, service)
    targets: dict[str, list[Floats]] = {}
    for one in {id(one): one for series in counted.values() for one in series}.values():
        targets.setdefault(one.labels["instance"], []).append(one.values)
    down = {up.labels["instance"]: up.values == 0 for up in week.select("up")}
    never = np.zeros(week.timeline.minutes, dtype=np.bool_)
    sightings = {target: sighting(values, down.get(target, never), minutes) for target, values in targets.items()}
    found = {}
    for name, series in counted.items():
        instances = {one.labels["instance"] for one in series if not np.isnan(one.values[_known_of(minutes)]).all()}
        expected = sum((sightings[instance][0] for instance in instances), np.zeros(minutes.stop - minutes.start))
        whole = sum((sightings[instance][1] for instance in instances), np.zeros(minutes.stop - minutes.start))
        share = np.divide(whole, expected, out=np.zeros(expected.size), where=expected > 0)
        column = shown.get(name, shown.get(f"{name}.le.+Inf"))
        if column is not None and (share[~np.isnan(column)] < 1).any():
            found[f"{name}.seen"] = share
    return found


def _known_of(minutes: slice) -> slice:
    return slice(max(0, minutes.start - LEAD_MINUTES - MINUTES_PER_DAY), minutes.stop)


def sighting(values: Sequence[Floats], down: NDArray[np.bool_], minutes: slice) -> tuple[Floats, Floats]:
    """Of one target with these counters: 1 in the minutes in which it was expected, and in those it was seen whole in.

    It is expected from when it is first seen to the minute after it is seen last, and where it was ``down``. In a
    minute in which one of its counters is lower than before it was not seen whole, because it was restarted.
    """
    there = ~np.isnan(np.array(values)).all(axis=0)
    restarted = np.any([resets(one) for one in values], axis=0)
    known = np.flatnonzero(there[_known_of(minutes)]) + _known_of(minutes).start
    lately = known[known >= minutes.start - LEAD_MINUTES]
    expected = np.zeros(there.size + 2)
    if lately.size:
        expected[known[0] : lately[-1] + 2] = 1
    expected[:-2][down] = 1
    return expected[minutes], np.where(there & ~restarted, 1.0, 0.0)[minutes]


def resets(values: Floats) -> NDArray[np.bool_]:
    """In which minutes the counter is lower than when it was last seen, shape (minutes,)."""
    at = np.flatnonzero(~np.isnan(values))
    found = np.zeros(values.size, dtype=np.bool_)
    found[at[1:]] = np.diff(values[at]) < 0
    return found


def increases(values: Floats, restarts: NDArray[np.bool_] | None = None) -> Floats:
    """A counter's increase since the scrape that saw it last, at each scrape that sees it, shape (minutes,).

    A lower value is a reset, and counts whole. So does one that was missing while its target was restarted. A series
    that appears later than the first scrape counts from 0: the rest of its service had been scraped before. One that is
    there from the beginning has an unknown past: NaN.
    """
    seen = np.flatnonzero(~np.isnan(values))
    now = values[seen]
    last = np.concatenate([[0.0 if seen[0] > 0 else np.nan], now[:-1]])
    anew = np.concatenate([[False], [counts_anew(restarts, a, b) for a, b in pairwise(seen.tolist())]])
    found = np.full(values.size, np.nan)
    found[seen] = np.where((now < last) | anew, now, now - last)
    return found


def counts_anew(restarts: NDArray[np.bool_] | None, before: int, after: int) -> bool:
    """Whether the target was restarted, as others of its counters show, while the series was missing."""
    return restarts is not None and bool(restarts[before + 1 : after].any())


def earlier(values: Floats, restarts: NDArray[np.bool_]) -> Floats:
    """The part of each increase that came together before the minute in which it was seen, shape (minutes,)."""
    increments, found = increases(values, restarts), np.zeros(values.size)
    for last, minute in pairwise(np.flatnonzero(~np.isnan(values)).tolist()):
        if not counts_anew(restarts, last, minute):
            found[minute] = increments[minute] - increments[minute] / (minute - last)
    return found


def added(parts: Sequence[Floats], week: Week) -> Floats:
    """The sum over those that have a value, NaN where none has."""
    total = np.full(week.timeline.minutes, np.nan)
    for part in parts:
        total = np.where(np.isnan(part), total, np.nan_to_num(total) + part)
    return total


def rate(samples: Sequence[tuple[int, float]], end_ms: int, range_ms: int) -> float:
    """PromQL's ``rate`` at ``end_ms`` of the counter's (time in ms, value) in the range before it; NaN below two.

    The increase is stretched to the range's borders, but by no more than half an interval where the next sample is
    further off than 1.1 intervals, and not to before the counter was 0. (Prometheus documentation, "Query functions",
    rate; ``promql/functions.go``, ``extrapolatedRate``. Newer versions clamp in another order, which makes no
    difference here.) Multiplied before it is divided, so that a short decimal number stays one.
    """
    if len(samples) < 2:
        return np.nan
    (first_ms, first), (last_ms, _) = samples[0], samples[-1]
    steps = [(before, after) for (_, before), (_, after) in pairwise(samples)]
    increase = sum(after if after < before else after - before for before, after in steps)
    sampled = last_ms - first_ms
    interval = sampled / len(steps)
    to_start: float = first_ms - (end_ms - range_ms)
    if increase > 0:
        to_start = min(to_start, sampled * (first / increase))
    to_start = to_start if to_start < 1.1 * interval else interval / 2
    to_end = end_ms - last_ms if end_ms - last_ms < 1.1 * interval else interval / 2
    return increase * (sampled + to_start + to_end) * 1000 / (sampled * range_ms)


def rates(series: Series) -> Floats:
    """``rate(series[5m])`` at the end of each step, shape (minutes,)."""
    step_ms = STEP_S * 1000
    scrapes = [(minute * step_ms, value) for minute, value in enumerate(series.values.tolist())]
    found = np.full(len(scrapes), np.nan)
    for k, (scraped_ms, _) in enumerate(scrapes):
        window = [(at_ms, value) for at_ms, value in scrapes[max(0, k + 1 - RANGE_STEPS) : k + 1] if value == value]
        found[k] = rate(window, scraped_ms + SCRAPE_TO_END_MS, RANGE_STEPS * step_ms)
    return found


def _usage(week: Week, service: str) -> dict[str, Floats]:
    cpu = week.select("container_cpu_usage_seconds_total", service=service)
    sent = week.select("container_network_transmit_bytes_total", service=service)
    received = week.select("container_network_receive_bytes_total", service=service)
    sums = {name: [one.values for one in week.select(metric, service=service)] for name, metric in SUMS.items()}
    limits = "kube_pod_container_resource_limits"
    for name, resource in {"cpu_limit_cores": "cpu", "memory_limit_bytes": "memory"}.items():
        sums[name] = [one.values for one in week.select(limits, service=service, resource=resource)]
    sums["cpu_cores"] = [rates(one) for one in cpu]
    sums["network_octets"] = [rates(one) for one in sent + received]
    return {name: added(parts, week) for name, parts in sums.items()}


def _shared(week: Week) -> dict[str, Floats]:
    """What concerns all services alike: the nodes, and how many targets there are, whether they answer or not."""
    idle = [rates(series) for series in week.select("node_cpu_seconds_total", mode="idle")]
    available = added([series.values for series in week.select("node_memory_MemAvailable_bytes")], week)
    installed = added([series.values for series in week.select("node_memory_MemTotal_bytes")], week)
    targets = added([np.where(np.isnan(series.values), np.nan, 1.0) for series in week.select("up")], week)
    return {
        "cluster_cpu": 1 - added(idle, week) / len(idle),
        "cluster_memory": 1 - available / installed,
        "targets": targets,
    }


def _alerts(week: Week, service: str) -> dict[str, Floats]:
    """How many critical alerts fire, and how many of them did not a minute before, as seen while it happened."""
    alerts = week.select("ALERTS", service=service, alertstate="firing", severity="critical")
    firing = [np.nan_to_num(series.values) for series in alerts]
    started = [np.diff(one, prepend=0.0).clip(0) for one in firing]
    nothing = np.zeros(week.timeline.minutes)
    return {ALERTS: sum(firing, nothing), f"{ALERTS}.started": sum(started, nothing)}
