"""Made-up days and weeks to judge: pairs of days of the same process, and a launch that changes the traffic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.judgement_rates import shares
from benchmarks.judgement_weeks import DAYS, GA, HOURS, Matrix
from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.definitions import Direction, Kind
from observability.judgement.baseline import WEEK_BEFORE
from observability.judgement.inference import infer_means
from observability.judgement.regression import analyse
from observability.model import Array, Calendar
from observability.verdicts import Regression

PHIS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
MINUTES, VARIATION = 1440, 0.1
LEVEL = 0.98
WEEKS = 20  # per case
CALENDAR = Calendar(datetime(2025, 11, 18, tzinfo=UTC))

KPIS: Mapping[str, tuple[str, Direction, str, Kind]] = {
    "request_rate": ("requests/s", Direction.TWO_SIDED, "traffic", Kind.RATE),
    "avg_cpu_percent": ("%", Direction.LOWER_IS_BETTER, "resources", Kind.UTILISATION),
    "estimated_cost_per_hour": ("USD per hour", Direction.LOWER_IS_BETTER, "cost", Kind.COST),
}


# --- the same process on both days


def aa_rate(phi: float, pairs: int, random: np.random.Generator) -> float:
    """How often two days of the same AR(1) process, minute by minute with a coefficient of variation of 0.1, are told
    apart at a level of 2 %: by the test of the hourly means' log ratios alone, whatever the size of the change."""
    before, after = (hourly_means(ar1(phi, pairs, random)) for _ in range(2))
    return float((infer_means(np.log(after / before), LEVEL).p < 1 - LEVEL).mean())


def ar1(phi: float, rows: int, random: np.random.Generator) -> Matrix:
    """Days of 1,440 minutes around 1, stationary from the first on, shape (rows, 1440)."""
    noise = random.standard_normal((MINUTES, rows))
    noise[1:] *= np.sqrt(1 - phi**2)
    for minute in range(1, MINUTES):
        noise[minute] += phi * noise[minute - 1]
    return np.asarray(1 + VARIATION * noise.T)


def hourly_means(minutes: Matrix) -> Matrix:
    return np.asarray(minutes.reshape(len(minutes), HOURS, -1).mean(axis=2))


# --- a launch that changes the traffic


def load_cases(seed: int) -> dict[str, dict[str, float]]:
    """How made-up weeks are judged in which the traffic doubles at GA: the share of each verdict on a KPI."""
    cases: dict[str, tuple[str, float, float]] = {
        "cpu_in_proportion": ("avg_cpu_percent", 2.0, 2.0),
        "cost_in_proportion": ("estimated_cost_per_hour", 2.0, 2.0),
        "cpu_more_than_in_proportion": ("avg_cpu_percent", 2.0, 2.6),
        "cost_more_than_in_proportion": ("estimated_cost_per_hour", 2.0, 2.6),
        "cpu_without_more_traffic": ("avg_cpu_percent", 1.0, 1.4),
    }
    return {
        name: shares([_of_launch(np.random.default_rng([seed, number]), *case).verdict for number in range(WEEKS)])
        for name, case in cases.items()
    }


def _of_launch(random: np.random.Generator, kpi: str, traffic: float, usage: float) -> Regression:
    """The KPI's row in a week in which the traffic and the KPI are so many times as high from GA on."""
    return deciding({"request_rate": _busy(random, traffic), kpi: 0.1 * _busy(random, usage)}, kpi)


def _busy(random: np.random.Generator, factor: float) -> Matrix:
    """Fifteen days of hours, three times as high by day as by night, times the factor from GA on; shape (15, 24)."""
    hours = 100 * (1 - 0.5 * np.cos(2 * np.pi * np.arange(HOURS) / HOURS)) * np.ones((DAYS, 1))
    hours[GA:] *= factor
    return np.asarray(hours * np.exp(0.05 * random.standard_normal(hours.shape)))


def deciding(hours: Mapping[str, Matrix], kpi: str) -> Regression:
    """The KPI against the week before GA. ``hours``: per KPI fifteen days, shape (15, 24)."""
    days = [_day(number, {name: of[GA + number] for name, of in hours.items()}) for number in range(-GA, DAYS - GA)]
    found = analyse(days[GA], days[GA + 1 :], PreReleaseSummary(days=tuple(days[:GA])))
    return next(row for row in found.rows if row.metric_name == kpi and row.baseline == WEEK_BEFORE)


def _day(number: int, hours: Mapping[str, Array]) -> DaySummary:
    window = CALENDAR.window(number)
    timestamp = window.end - timedelta(seconds=1) if number > 0 else window.start
    kpis = {name: _kpi(name, values) for name, values in hours.items()}
    return DaySummary(timestamp=timestamp, day_number=number, kpis=kpis, window=window)


def _kpi(name: str, hours: Array) -> KpiSummary:
    unit, direction, category, kind = KPIS[name]
    return KpiSummary(
        value=float(hours.mean()),
        unit=unit,
        direction=direction,
        category=category,
        kind=str(kind),
        coverage=1.0,
        n=MINUTES,
        hourly=tuple(hours.tolist()),
    )
