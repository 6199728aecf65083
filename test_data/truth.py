"""What is true of a week, to compare results with: counts as the scrapes show them, and quantiles of raw latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np

from observability.model import format_instant
from test_data import events
from test_data.columns import BUCKETS, columns
from test_data.traffic import MINUTES_PER_DAY, Floats
from test_data.week import Week


def truth(week: Week) -> dict[str, Any]:
    """The whole truth, ready for JSON: per service and day, and the events with their instants and sizes."""
    return {
        "seed": week.seed,
        "ga": format_instant(events.GA),
        "step_s": events.STEP_S,
        "scrape_offset_s": events.SCRAPE_OFFSET_S,
        "services": {service: _service(week, service) for service in week.traffic},
        "events": _events(week),
    }


def _service(week: Week, service: str) -> dict[str, Any]:
    whole = columns(week, service)
    days = {}
    for day in week.timeline.days:
        part = {name: values[week.timeline.minutes_of(day)] for name, values in whole.items()}
        days[str(day)] = {**_counts(part), **_observed(week, service, day, part), **_raw(week, service, day)}
    return days


def _counts(part: Mapping[str, Floats]) -> dict[str, Any]:
    """The day's counts. A day without requests has no availability and no error rate."""
    requests, errors = _total(part["http_requests"]), _total(part["http_errors"])
    counts: dict[str, Any] = {
        "requests": requests,
        "errors": errors,
        "availability_percent": 100 * (requests - errors) / requests if requests else None,
        "error_rate_percent": 100 * errors / requests if requests else None,
        "redis_hits": _total(part["redis_hits"]),
        "redis_lookups": _total(part["redis_lookups"]),
        "db_operations": _total(part["db_latency.le.+Inf"]),
    }
    for query in BUCKETS:
        bounds = {name.removeprefix(f"{query}.le."): name for name in part if name.startswith(f"{query}.le.")}
        counts[f"{query}_buckets"] = {bound: _total(part[name]) for bound, name in bounds.items()}
    return counts


def _total(increments: Floats) -> int:
    return int(np.nansum(increments))


def _observed(week: Week, service: str, day: int, part: Mapping[str, Floats]) -> dict[str, Any]:
    """What was seen rather than counted. A scrape is observed when any of the service's pods answered it."""
    minutes = week.timeline.minutes_of(day)
    answered = sum(np.nan_to_num(up.values[minutes]) for up in week.select("up", service=service))
    observed = int(np.count_nonzero(answered))
    memory = 100 * part["memory_bytes"] / part["memory_limit_bytes"]
    return {
        "memory_percent": {"mean": float(np.nanmean(memory)), "max": float(np.nanmax(memory))},
        "critical_alerts": _runs(week, service, day),
        "scrapes": {
            "observed": observed,
            "expected": MINUTES_PER_DAY,
            "coverage": observed / MINUTES_PER_DAY,
        },
    }


def _runs(week: Week, service: str, day: int) -> list[dict[str, str]]:
    """The distinct runs of a firing critical alert that begin on the day; ``end`` is exclusive, to the minute."""
    found = []
    start, minute = events.at(day), timedelta(seconds=events.STEP_S)
    for alert in week.select("ALERTS", service=service, alertstate="firing", severity="critical"):
        firing = np.nan_to_num(alert.values)[week.timeline.minutes_of(day)]
        edges = np.diff(firing, prepend=0.0, append=0.0)
        for first, last in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
            run = {"start": start + int(first) * minute, "end": start + int(last) * minute}
            found.append({name: format_instant(instant) for name, instant in run.items()})
    return found


def _raw(week: Week, service: str, day: int) -> dict[str, Any]:
    traffic = week.traffic[service]
    return {"http_latency_raw": traffic.http.raw[day], "db_latency_raw": traffic.db.raw[day]}


def _events(week: Week) -> list[dict[str, Any]]:
    """Those that concern the week's days, in the order of time."""
    start, end = week.timeline.start, events.at(week.timeline.days[-1] + 1)
    concerned = [e for e in events.EVENTS if e.start < end and (e.end is None or e.end > start or e.start >= start)]
    return [
        {**asdict(e), "start": format_instant(e.start), "end": None if e.end is None else format_instant(e.end)}
        for e in sorted(concerned, key=lambda e: e.start)
    ]
