"""One release's anomalies: the KPIs of its services side by side, scored by each channel over the days."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.definitions import Channel, Maintenance, Release
from observability.detection.channels import OURS, in_effect, track
from observability.detection.episodes import Series, episodes, new_levels
from observability.events import Anomaly, AnomalyEvents, NewLevel
from observability.kpi import step_values
from observability.model import Array, Samples, Window

UNTOLD = {".earlier": 0.0, ".seen": 1.0}  # what a column stands for on a day that has none of it
MOST = 256  # series that are scored side by side: more take memory, and little less time each


@dataclass
class _Scored:
    """A series, what the channels found in it, which of its steps since GA each of them scored, and all of its scores'
    number and the highest."""

    series: Series
    anomalies: list[Anomaly] = field(default_factory=list)
    new_levels: list[NewLevel] = field(default_factory=list)
    steps: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    scores: dict[str, tuple[int, float]] = field(default_factory=dict)


def score_release(
    release: Release, days: Mapping[str, Sequence[Samples]], advance: Callable[[str, float], None] = lambda *_: None
) -> dict[str, AnomalyEvents]:
    """Score the KPIs of each service over its days, in time order; only what happened since GA is an event.

    What lies in maintenance is scored like the rest, and marked. Days that are not there are missing samples. KPIs
    that were never observed are named in the warnings.
    """
    there = {service: found for service, found in days.items() if found}
    if not there:
        return {service: _unscored(release, service) for service in days}
    window = Window(
        start=min(found[0].window.start for found in there.values()),
        end=max(found[-1].window.end for found in there.values()),
    )
    scored = [
        _Scored(Series(service, kpi, window.start, release.step_s, step_values(kpi, joined, release.prices), joined))
        for service, found in there.items()
        for joined in [join(found, release.step_s, window)]
        for kpi in release.kpis_of(service).values()
        if kpi.detect
    ]
    first = max(0, round((release.ga - window.start).total_seconds() / release.step_s))
    for channel in release.channels:
        for at in range(0, len(scored), MOST):
            several = scored[at : at + MOST]
            text = f"{channel.name} on {at + 1} to {at + len(several)} of {len(scored)} KPIs"
            _score(channel, several, first, partial(advance, text))
    far = tuple(text for channel in release.channels for text in _out_of_reach(channel, scored))
    return {
        service: _events(release, service, found, [one for one in scored if one.series.service == service], first, far)
        if found
        else _unscored(release, service)
        for service, found in days.items()
    }


def _score(channel: Channel, several: Sequence[_Scored], first: int, advance: Callable[[float], None]) -> None:
    """Note what the channel finds in several series from step ``first`` on; the steps before warm it up."""
    series, threshold = several[0].series, float(in_effect(channel)["threshold"])
    times = series.start.timestamp() + series.step_s * np.arange(series.values.size, dtype=float)
    tracks = track(channel, [times] * len(several), [one.series.values for one in several], advance)
    for one, reading in zip(several, tracks, strict=True):
        one.anomalies += episodes(one.series, channel.name, threshold, reading, first)
        one.new_levels += new_levels(one.series, channel.name, reading, first)
        one.steps[channel.name] = reading.scored[first:].copy()
        scores = reading.score[reading.scored]
        one.scores[channel.name] = scores.size, float(scores.max(initial=-math.inf))


def _events(
    release: Release, service: str, days: Sequence[Samples], scored: Sequence[_Scored], first: int, far: Sequence[str]
) -> AnomalyEvents:
    windows = release.maintenance_of(service)
    found = [_placed(event, windows, release.step) for one in scored for event in one.anomalies]
    levels = [_level_placed(level, one.anomalies, windows, release.step) for one in scored for level in one.new_levels]
    counts = {one.series.kpi.name: int(np.any(list(one.steps.values()), axis=0).sum()) for one in scored}
    is_warm = days[0].window.start < release.ga
    return AnomalyEvents(
        service=service,
        window=Window(start=release.ga, end=days[-1].window.end),
        detector={
            **_detector(release),
            "scored_from": "GA, warmed up by the days before it" if is_warm else "GA, without history to warm up with",
        },
        scored=counts,
        anomalies=tuple(sorted(found, key=lambda event: (event.timestamp, event.metric_name, event.channel))),
        new_levels=tuple(sorted(levels, key=lambda level: (level.since, level.metric_name, level.channel))),
        warnings=(*far, *(text for one in scored for text in _silent(one, first))),
    )


def _silent(one: _Scored, first: int) -> Iterator[str]:
    """What no channel could score, and what only some could: no data, which is no score of 0."""
    kpi, silent = one.series.kpi.name, [channel for channel, steps in one.steps.items() if not steps.any()]
    number = int(np.isfinite(one.series.values[first:]).sum())
    if number == 0:
        yield f"{kpi}: no data since GA, so nothing was scored"
    elif silent:
        yield f"{kpi}: {_named(silent)} could score none of the {number:,} values since GA"


def _out_of_reach(channel: Channel, scored: Sequence[_Scored]) -> Iterator[str]:
    """That no score of the release came near the threshold, which for river's detectors is the user's guess."""
    counts, highest = zip(*(one.scores[channel.name] for one in scored), strict=True) if scored else ((0,), (0.0,))
    threshold = float(in_effect(channel)["threshold"])
    if channel.name not in OURS and sum(counts) and max(highest) < threshold / 2:
        text = f"highest score {max(highest):.3g} of {sum(counts):,} samples, the threshold is {threshold:g}"
        yield f"{channel.name}: {text}"


def _named(channels: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(channels[:-1]), channels[-1]]))


def _unscored(release: Release, service: str) -> AnomalyEvents:
    return AnomalyEvents(
        service=service,
        detector=_detector(release),
        scored={kpi.name: 0 for kpi in release.kpis_of(service).values() if kpi.detect},
        warnings=("no day has data, so nothing was scored",),
    )


def _detector(release: Release) -> dict[str, Any]:
    return {"channels": {channel.name: in_effect(channel) for channel in release.channels}}


def _placed(event: Anomaly, windows: Sequence[Maintenance], step: timedelta) -> Anomaly:
    """The event with whether it is one of a maintenance window: its first and its last step overlap the window. What
    begins with the maintenance and outlasts it is no part of it."""
    assert event.start is not None  # the detector's episodes have both ends
    assert event.end is not None
    first, last = event.start, event.end - step
    inside = any(one.overlaps(first, first + step) and one.overlaps(last, last + step) for one in windows)
    return event.model_copy(update={"in_maintenance": inside})


def _level_placed(
    level: NewLevel, anomalies: Sequence[Anomaly], windows: Sequence[Maintenance], step: timedelta
) -> NewLevel:
    """The new level with the KPI's anomalies on the way to it, and whether it came with a maintenance window."""
    inside = any(one.overlaps(level.since, level.since + step) for one in windows)
    ids = tuple(str(event.id) for event in anomalies if level.since <= event.timestamp <= level.noticed)
    return level.model_copy(update={"in_maintenance": inside, "anomalies": ids})


def join(days: Sequence[Samples], step_s: int, window: Window) -> Samples:
    """A service's days as one window; steps outside them, and columns that a day lacks, are missing."""
    size = window.steps(step_s)
    columns: dict[str, Array] = {}
    for day in days:
        at = round((day.window.start - window.start).total_seconds() / step_s)
        for name, values in day.columns.items():
            empty = next((value for ending, value in UNTOLD.items() if name.endswith(ending)), np.nan)
            columns.setdefault(name, np.full(size, empty))[at : at + values.size] = values
    return Samples(days[0].service, window, step_s, columns)
