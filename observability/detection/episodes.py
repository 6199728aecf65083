"""From scores to episodes: crossings of a threshold that belong together, told as one anomaly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from observability.artifacts import Anomaly, Severity
from observability.definitions import Kpi
from observability.detection.bank import Reading
from observability.model import Array, format_instant

MERGE_STEPS = 5  # crossings at most this many steps apart are one episode
# The channels whose score says how far off a KPI is. Novelty says how new a value is, which is no measure of harm, and
# what the scores of river's detectors measure is theirs alone: none of them is more than medium.
GRADED = frozenset({"significance", "ewma"})


@dataclass(frozen=True)
class Series:
    """One KPI of one service, step by step: ``values`` of shape (steps,), NaN where missing, the first at ``start``."""

    service: str
    kpi: Kpi
    start: datetime
    step_s: int
    values: Array

    def time(self, index: int) -> datetime:
        return self.start.astimezone(UTC) + timedelta(seconds=index * self.step_s)


def episodes(series: Series, channel: str, threshold: float, reading: Reading, first: int = 0) -> list[Anomaly]:
    """The channel's anomalies from step ``first`` on; ``reading`` is of all of the series' steps."""
    crossings = np.flatnonzero(reading.scored & (reading.score >= threshold))
    runs = _merged(crossings[crossings >= first].tolist())
    return [_anomaly(series, channel, threshold, reading, run) for run in runs]


def _merged(crossings: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for crossing in crossings:
        if runs and crossing - runs[-1][-1] <= MERGE_STEPS:
            runs[-1].append(crossing)
        else:
            runs.append([crossing])
    return runs


def _anomaly(series: Series, channel: str, threshold: float, reading: Reading, run: Sequence[int]) -> Anomaly:
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
        severity=_severity(channel, score / threshold),
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


def _severity(channel: str, thresholds: float) -> Severity:
    """By how many thresholds the score reached: below 1.5 low, below 2.5 medium, below 5 high, else critical."""
    if thresholds < 1.5:
        return "low"
    if thresholds < 2.5 or channel not in GRADED:
        return "medium"
    return "high" if thresholds < 5 else "critical"
