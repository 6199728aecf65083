"""One release's anomalies: every KPI of a service scored over its days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from observability.artifacts import Anomaly, AnomalyEvents
from observability.definitions import Maintenance, Release
from observability.detection.episodes import CHANNEL, Series, Setting, detect
from observability.kpi import step_values
from observability.model import Array, Samples, Window

UNTOLD = {".earlier": 0.0, ".seen": 1.0}  # what a column stands for on a day that has none of it


def score_release(release: Release, service: str, days: Sequence[Samples], setting: Setting) -> AnomalyEvents:
    """Score the service's KPIs over its days, in time order; only what happened since GA is an event.

    What lies in maintenance is scored like the rest, and marked. Days that are not there are missing samples. KPIs
    that were never observed are named in the warnings.
    """
    if not days:
        return AnomalyEvents(service=service, warnings=("no day has data, so nothing was scored",))
    joined = join(days, release.step_s)
    first = max(0, round((release.ga - joined.window.start).total_seconds() / release.step_s))
    windows = release.maintenance_of(service)
    anomalies, scored = [], {}
    for name, kpi in release.kpis_of(service).items():
        if kpi.detect:
            values = step_values(kpi, joined, release.prices)
            found, scored[name] = detect(
                Series(service, kpi, joined.window.start, release.step_s, values), setting, first
            )
            anomalies += [_placed(event, windows, release.step) for event in found]
    return AnomalyEvents(
        service=service,
        window=Window(start=release.ga, end=joined.window.end),
        detector={
            "channel": CHANNEL,
            "alpha": setting.alpha,
            "z_threshold": setting.threshold,
            "warm_up_samples": setting.warm_up,
            "scored_from": "the days before GA warm it up" if first else "GA; there is no history to warm up with",
        },
        scored=scored,
        anomalies=tuple(sorted(anomalies, key=lambda event: (event.timestamp, event.metric_name))),
        warnings=tuple(f"{name}: nothing to score" for name, count in scored.items() if count == 0),
    )


def _placed(event: Anomaly, windows: Sequence[Maintenance], step: timedelta) -> Anomaly:
    """The event with whether it is one of a maintenance window: its first and its last step overlap the window. What
    begins with the maintenance and outlasts it is no part of it."""
    assert event.start is not None  # the detector's episodes have both ends
    assert event.end is not None
    first, last = event.start, event.end - step
    inside = any(one.overlaps(first, first + step) and one.overlaps(last, last + step) for one in windows)
    return event.model_copy(update={"in_maintenance": inside})


def join(days: Sequence[Samples], step_s: int) -> Samples:
    """Several windows of one service as one; steps between them, and columns that a window lacks, are missing."""
    window = Window(start=days[0].window.start, end=days[-1].window.end)
    size = window.steps(step_s)
    columns: dict[str, Array] = {}
    for day in days:
        at = round((day.window.start - window.start).total_seconds() / step_s)
        for name, values in day.columns.items():
            empty = next((value for ending, value in UNTOLD.items() if name.endswith(ending)), np.nan)
            columns.setdefault(name, np.full(size, empty))[at : at + values.size] = values
    return Samples(days[0].service, window, step_s, columns)
