"""From scores to episodes: crossings of a threshold that belong together, told as one anomaly; and to new levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from observability.artifacts import Severity
from observability.definitions import Kind, Kpi
from observability.detection.bank import Reading, Track
from observability.detection.counts import surplus
from observability.events import Anomaly, NewLevel
from observability.model import Array, Samples, format_instant

MERGE_STEPS = 5  # crossings at most this many steps apart are one episode
# Events by which the steps of an anomaly differ at least from what was expected: one failed request is 1 % of 100, and
# chance. (Cochran, "Some methods for strengthening the common χ² tests", Biometrics 10, 1954, has 5 for a count.)
FEWEST_EVENTS = 5
SMALL = 0.1  # of what was expected: a change that the comparison of days does not call a drift
# The channels whose score says how far off a KPI is. Novelty says how new a value is, which is no measure of harm, and
# what the scores of river's detectors measure is theirs alone: none of them is more than medium.
GRADED = frozenset({"significance", "ewma"})


@dataclass(frozen=True)
class Series:
    """One KPI of one service, step by step: ``values`` of shape (steps,), NaN where missing, the first at ``start``.

    ``samples`` are what the values were made from, for the events that they stand on.
    """

    service: str
    kpi: Kpi
    start: datetime
    step_s: int
    values: Array
    samples: Samples | None = None

    def time(self, index: int) -> datetime:
        return self.start.astimezone(UTC) + timedelta(seconds=index * self.step_s)


def episodes(series: Series, channel: str, threshold: float, reading: Track | Reading, first: int = 0) -> list[Anomaly]:
    """The channel's anomalies from step ``first`` on; ``reading`` is of all of the series' steps.

    Those of a counted KPI that stand on fewer than ``FEWEST_EVENTS`` events are none.
    """
    crossings = np.flatnonzero(reading.scored & (reading.score >= threshold))
    runs = _merged(crossings[crossings >= first].tolist())
    return [_anomaly(series, channel, threshold, reading, run) for run in runs if _is_counted(series, reading, run)]


def new_levels(series: Series, channel: str, track: Track, first: int = 0) -> Iterator[NewLevel]:
    """The new levels that the series went to from step ``first`` on."""
    for level in track.new_levels:
        since, noticed = datetime.fromtimestamp(level.since, UTC), datetime.fromtimestamp(level.noticed, UTC)
        if since >= series.time(first):
            yield NewLevel(
                metric_name=series.kpi.name,
                since=since,
                noticed=noticed,
                before=level.before,
                after=level.after,
                settled=level.settled,
                category=series.kpi.category,
                unit=series.kpi.unit,
                service=series.service,
                channel=channel,
            )


def _is_counted(series: Series, reading: Track | Reading, run: Sequence[int]) -> bool:
    """Whether the run stands on enough events; also where nothing is counted, or the detector expects nothing."""
    events = None if series.samples is None else surplus(series.kpi, series.samples, run, reading.expected[run])
    return events is None or not events.sum() < FEWEST_EVENTS


def _merged(crossings: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for crossing in crossings:
        if runs and crossing - runs[-1][-1] <= MERGE_STEPS:
            runs[-1].append(crossing)
        else:
            runs.append([crossing])
    return runs


def _anomaly(series: Series, channel: str, threshold: float, reading: Track | Reading, run: Sequence[int]) -> Anomaly:
    top = max(run, key=lambda step: float(reading.score[step]))
    first, last = run[0], run[-1]
    start, value, score = series.time(first), float(series.values[top]), float(reading.score[top])
    expected = _known(reading.expected[top])
    side = 0 if expected is None else (value > expected) - (value < expected)
    band = (_known(reading.low[top]), _known(reading.high[top]))
    return Anomaly(
        timestamp=series.time(top),
        metric_name=series.kpi.name,
        value=value,
        baseline=expected,
        z_score=-score if side < 0 else score,
        severity=_severity(channel, score / threshold, _is_small(series.kpi, value, expected)),
        category=series.kpi.category,
        id=f"{series.service}/{series.kpi.name}/{channel}/{format_instant(start)}",
        service=series.service,
        start=start,
        end=series.time(last + 1),
        peak=value,
        channel=channel,
        direction={1: "up", -1: "down"}.get(side),
        score=score,
        band=None if band == (None, None) else band,
        unit=series.kpi.unit,
        coverage=float(np.mean(~np.isnan(series.values[first : last + 1]))),
    )


def _known(value: float) -> float | None:
    """A number of an artifact: a detector has NaN for what it does not know, and ±inf for a limit that is none."""
    return float(value) if math.isfinite(value) else None


def _is_small(kpi: Kpi, value: float, expected: float | None) -> bool:
    """Whether the KPI moved by less than a tenth of what was expected, or of what a percentage has left up to 100.

    A gauge that stood still for a week alarms when it moves by its last digit. Shares of events are never small: they
    have been counted.
    """
    if expected is None or kpi.kind is Kind.RATIO:
        return False
    size = min(abs(expected), abs(100.0 - expected)) if kpi.unit == "%" else abs(expected)
    return abs(value - expected) < SMALL * size


def _severity(channel: str, thresholds: float, is_small: bool) -> Severity:
    """By how many thresholds the score reached: below 1.5 low, below 2.5 medium, below 5 high, else critical."""
    if thresholds < 1.5 or is_small:
        return "low"
    if thresholds < 2.5 or channel not in GRADED:
        return "medium"
    return "high" if thresholds < 5 else "critical"
