"""From scores to episodes: crossings of a threshold that belong together, told as one anomaly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from observability.artifacts import Anomaly, Severity
from observability.definitions import Kpi
from observability.detection.ewma import EwmaZScore
from observability.model import Array, format_instant

CHANNEL = "ewma"
MERGE_STEPS = 5  # crossings at most this many steps apart are one episode


@dataclass(frozen=True)
class Setting:
    """Smoothing per sample, threshold in standard deviations, and how many samples are learned before any is scored."""

    alpha: float
    threshold: float
    warm_up: int = 60


# The documents' flags (EWMA α = 0.3, 3 σ) are the textbook's, and page 27 times per 1,000 points on labelled production
# KPIs. Without those flags a slower mean and a higher threshold score.
TEXTBOOK = Setting(alpha=0.3, threshold=3.0)
QUIET = Setting(alpha=0.01, threshold=7.0, warm_up=200)


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


@dataclass(frozen=True)
class _Crossing:
    index: int
    z: float
    mean: float
    deviation: float


def detect(series: Series, setting: Setting, first: int) -> tuple[list[Anomaly], int]:
    """The episodes from step ``first`` on, and how many samples were scored there; earlier steps warm it up."""
    crossings = list(_crossings(series, setting, first))
    seen = np.isfinite(series.values)
    warm = np.cumsum(seen) > setting.warm_up  # samples are learned, steps without one are not
    scored = int(np.count_nonzero((seen & warm)[first:]))
    return [_anomaly(series, setting, run) for run in _merged(crossings)], scored


def _crossings(series: Series, setting: Setting, first: int) -> Iterator[_Crossing]:
    """Each sample is scored before it is learned, so nothing looks ahead."""
    detector = EwmaZScore(alpha=setting.alpha, warm_up=setting.warm_up)
    for index, value in enumerate(series.values.tolist()):
        if index >= first:
            z = detector.z(value)
            if abs(z) >= setting.threshold:
                yield _Crossing(index, z, detector.mean, detector.deviation)
        detector.learn_one({}, value)


def _merged(crossings: Sequence[_Crossing]) -> list[list[_Crossing]]:
    runs: list[list[_Crossing]] = []
    for crossing in crossings:
        if runs and crossing.index - runs[-1][-1].index <= MERGE_STEPS:
            runs[-1].append(crossing)
        else:
            runs.append([crossing])
    return runs


def _anomaly(series: Series, setting: Setting, run: Sequence[_Crossing]) -> Anomaly:
    top = max(run, key=lambda crossing: abs(crossing.z))
    first, last = run[0].index, run[-1].index
    start, value = series.time(first), float(series.values[top.index])
    width = setting.threshold * top.deviation
    return Anomaly(
        timestamp=series.time(top.index),
        metric_name=series.kpi.name,
        value=value,
        baseline=top.mean,
        z_score=top.z,
        severity=_severity(abs(top.z) / setting.threshold),
        category=series.kpi.category,
        id=f"{series.service}/{series.kpi.name}/{CHANNEL}/{format_instant(start)}",
        service=series.service,
        start=start,
        end=series.time(last + 1),
        peak=value,
        channel=CHANNEL,
        direction="up" if top.z > 0 else "down",
        score=abs(top.z),
        band=(top.mean - width, top.mean + width),
        unit=series.kpi.unit,
        coverage=float(np.mean(~np.isnan(series.values[first : last + 1]))),
    )


def _severity(thresholds: float) -> Severity:
    """By how many thresholds the score reached: below 1.5 low, below 2.5 medium, below 5 high, else critical."""
    if thresholds < 1.5:
        return "low"
    if thresholds < 2.5:
        return "medium"
    return "high" if thresholds < 5 else "critical"
