"""One release's anomalies: every KPI of a service scored over its days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from observability.artifacts import AnomalyEvents
from observability.definitions import Release
from observability.detection.episodes import CHANNEL, Series, Setting, detect
from observability.kpi import step_values
from observability.model import Array, Samples, Window


def score_release(release: Release, service: str, days: Sequence[Samples], setting: Setting) -> AnomalyEvents:
    """Score the service's KPIs over its days, in time order; only what happened since GA is an event.

    Days that are not there are missing samples. KPIs that were never observed are named in the warnings.
    """
    if not days:
        return AnomalyEvents(service=service, warnings=("no day has data, so nothing was scored",))
    joined = join(days, release.step_s)
    first = max(0, round((release.ga - joined.window.start).total_seconds() / release.step_s))
    anomalies, scored = [], {}
    for name, kpi in release.kpis_of(service).items():
        if kpi.detect:
            values = step_values(kpi, joined, release.prices)
            found, scored[name] = detect(
                Series(service, kpi, joined.window.start, release.step_s, values), setting, first
            )
            anomalies += found
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


def join(days: Sequence[Samples], step_s: int) -> Samples:
    """Several windows of one service as one; steps between them, and columns that a window lacks, are missing."""
    window = Window(start=days[0].window.start, end=days[-1].window.end)
    size = window.steps(step_s)
    columns: dict[str, Array] = {}
    for day in days:
        at = round((day.window.start - window.start).total_seconds() / step_s)
        for name, values in day.columns.items():
            empty = 0.0 if name.endswith(".earlier") else np.nan
            columns.setdefault(name, np.full(size, empty))[at : at + values.size] = values
    return Samples(days[0].service, window, step_s, columns)
