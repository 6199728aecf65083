"""One release's anomalies: what its stream has found, as the artifact of each service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from observability.artifacts import SEVERITIES
from observability.definitions import Release
from observability.detection.channels import OURS
from observability.detection.episodes import GRADED
from observability.detection.stream import Scoring, Stream, settings
from observability.events import Anomaly, AnomalyEvents, Finding, Incident, NewLevel
from observability.kpi import part
from observability.model import Array, Samples, Window, format_instant

UNTOLD = {".earlier": 0.0, ".seen": 1.0}  # what a column stands for on a day that has none of it
BLOCK = 1000  # steps that are scored before it is told how much is done


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
    joined = {service: join(found, release.step_s, window) for service, found in there.items()}
    release = release.model_copy(update={"services": tuple(days)})
    stream, found = Stream(release, window.start, release.ga), list[Finding]()
    steps = window.steps(release.step_s)
    for first in range(0, steps, BLOCK):
        advance(f"{len(stream.subjects)} KPIs", first / steps)
        block = {name: _cut(samples, first, min(first + BLOCK, steps)) for name, samples in joined.items()}
        found += [one.what for one in stream.take(block, min(BLOCK, steps - first))]
    of = by_service(release, (*found, *stream.ongoing()))
    return {
        service: _told(stream, service, of[service], there[service])
        if service in there
        else _unscored(release, service)
        for service in days
    }


def by_service(release: Release, found: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Service → what was found in it, in the order given."""
    of: dict[str, list[Finding]] = {service: [] for service in release.services}
    for one in found:
        of[one.service].append(one)
    return of


def _told(stream: Stream, service: str, found: Sequence[Finding], days: Sequence[Samples]) -> AnomalyEvents:
    """Of a service whose days may end before others' do."""
    ga = stream.release.ga
    events = told_events(stream, service, found, days[0].window.start < ga)
    return events.model_copy(update={"window": Window(start=ga, end=days[-1].window.end)})


def told_events(stream: Stream, service: str, found: Sequence[Finding], is_warm: bool) -> AnomalyEvents:
    """What was ``found`` in a service, what is not over included. ``is_warm``: whether it has a history."""
    release = stream.release
    told = [placed(one, release) for one in found]
    anomalies = [one for one in told if isinstance(one, Anomaly)]
    levels = [_with_anomalies(one, anomalies) for one in told if isinstance(one, NewLevel)]
    incidents = [dressed(one, anomalies, release) for one in told if isinstance(one, Incident)]
    history = "warmed up by the days before it" if is_warm else "without history to warm up with"
    return AnomalyEvents(
        service=service,
        window=Window(start=stream.steps.time(stream.first), end=stream.until),
        detector={**stream.settings, "scored_from": f"GA, {history}"},
        scored={stream.subjects[index].kpi.name: int(stream.any_scored[index]) for index in stream.own[service]},
        anomalies=tuple(sorted(anomalies, key=lambda event: (event.timestamp, event.metric_name, event.channel))),
        new_levels=tuple(sorted(levels, key=lambda level: (level.since, level.metric_name, level.channel))),
        incidents=tuple(sorted(incidents, key=lambda incident: incident.start)),
        warnings=(
            *_too_early(stream, service),
            *(text for one in stream.channels for text in _out_of_reach(one)),
            *(text for index in stream.own[service] for text in _silent(stream, index)),
        ),
    )


def dressed(incident: Incident, anomalies: Iterable[Anomaly], release: Release) -> Incident:
    """The incident with the anomalies of its suspects in its time: it is as severe as the most severe of them that are
    for the worse, and medium where the evidence is a little in many KPIs."""
    names = {one.metric_name for one in incident.suspects if one.since is not None}
    members = [
        one
        for one in anomalies
        if one.metric_name in names and one.start and one.end and one.start < incident.end and incident.start < one.end
    ]
    graded = [one.severity for one in members if one.channel in GRADED and not _is_better(one, release)]
    severity = max(graded, key=SEVERITIES.index, default="medium")
    ids = tuple(sorted(str(one.id) for one in members))
    return incident.model_copy(update={"severity": severity, "anomalies": ids})


def _is_better(anomaly: Anomaly, release: Release) -> bool:
    return anomaly.is_better(release.kpis[anomaly.metric_name].direction)


def placed(found: Finding, release: Release) -> Finding:
    """The finding with whether it is one of a maintenance window: its first and its last step overlap the window. What
    begins with the maintenance and outlasts it is no part of it. A new level is, where it began in one."""
    windows, step = release.maintenance_of(found.service), release.step
    if isinstance(found, NewLevel):
        inside = any(one.overlaps(found.since, found.since + step) for one in windows)
    else:
        assert found.start is not None  # the detector's episodes have both ends
        assert found.end is not None
        first, last = found.start, found.end - step
        inside = any(one.overlaps(first, first + step) and one.overlaps(last, last + step) for one in windows)
    return found.model_copy(update={"in_maintenance": inside})


def _too_early(stream: Stream, service: str) -> Iterator[str]:
    """That incidents were missed for want of history."""
    begun = stream.joint_from(service)
    if begun is not None and begun > stream.steps.time(stream.first):
        when = format_instant(begun)
        yield f"without a day of history, joint evidence is told from {when} on; before, only what users feel"


def _silent(stream: Stream, index: int) -> Iterator[str]:
    """What no channel could score, and what only some could: no data, which is no score of 0."""
    kpi, number = stream.subjects[index].kpi.name, int(stream.present[index])
    silent = [one.channel.name for one in stream.channels if not one.steps[index]]
    if number == 0:
        yield f"{kpi}: no data since GA, so nothing was scored"
    elif silent:
        yield f"{kpi}: {_named(silent)} could score none of the {number:,} values since GA"


def _out_of_reach(one: Scoring) -> Iterator[str]:
    """That no score of the release came near the threshold, which for river's detectors is the user's guess."""
    threshold, name = one.episodes.threshold, one.channel.name
    if name not in OURS and one.count and one.highest < threshold / 2:
        text = f"highest score {one.highest:.3g} of {one.count:,} samples, the threshold is {threshold:g}"
        yield f"{name}: {text}"


def _named(channels: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(channels[:-1]), channels[-1]]))


def _unscored(release: Release, service: str) -> AnomalyEvents:
    return AnomalyEvents(
        service=service,
        detector=settings(release),
        scored={kpi.name: 0 for kpi in release.kpis_of(service).values() if kpi.detect},
        warnings=("no day has data, so nothing was scored",),
    )


def _with_anomalies(level: NewLevel, anomalies: Sequence[Anomaly]) -> NewLevel:
    """The new level with the KPI's anomalies on the way to it."""
    ids = tuple(
        str(event.id)
        for event in sorted(anomalies, key=lambda event: (event.timestamp, event.channel))
        if event.metric_name == level.metric_name and level.since <= event.timestamp <= level.noticed
    )
    return level.model_copy(update={"anomalies": ids})


def _cut(samples: Samples, start: int, stop: int) -> Samples:
    """The samples of the steps ``start`` to ``stop`` (exclusive)."""
    first = samples.window.start + start * timedelta(seconds=samples.step_s)
    window = Window(start=first, end=first + (stop - start) * timedelta(seconds=samples.step_s))
    return replace(part(samples, start, stop), window=window)


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
