"""Made-up days of one service, KPI by KPI and hour by hour, for the tests of the week against its baselines."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.definitions import Direction
from observability.judgement.baseline import Baseline, baselines
from observability.judgement.comparison import Comparison
from observability.judgement.regression import LOAD_KPI, analyse
from observability.model import Window
from observability.verdicts import Regression, RegressionSummary

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK, BEFORE = range(1, 8), range(-7, 0)
HIGHER, LOWER, NEITHER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER, Direction.TWO_SIDED
PER_HOUR = 100_000.0  # requests
BASELINES = ("week_before", "ga_day", "previous_day", "pre_release_median")

KPIS: dict[str, tuple[str, Direction, str, str]] = {
    "overall_availability": ("%", HIGHER, "availability", "ratio"),
    "overall_error_rate": ("%", LOWER, "errors", "ratio"),
    "cache_hits": ("share", HIGHER, "redis", "ratio"),
    "request_rate": ("requests/s", NEITHER, "traffic", "rate"),
    "p99_latency_ms": ("ms", LOWER, "latency", "quantile"),
    "avg_cpu_percent": ("%", LOWER, "resources", "utilisation"),
    "memory": ("bytes", LOWER, "resources", "gauge"),
    "estimated_cost_per_hour": ("USD per hour", LOWER, "cost", "cost"),
    "balance": ("", LOWER, "other", "gauge"),
    "jobs": ("jobs/s", HIGHER, "other", "gauge"),
    "critical_incident_count": ("incidents", LOWER, "incidents", "incidents"),
}
OTHER = ("", LOWER, "other", "gauge")

Value = float | None | Sequence[float | None] | np.ndarray
"""Of a day: a figure for all of its hours, its 24 hours, or nothing."""


def kpi(name: str, figure: Value, **fields: Any) -> KpiSummary:
    """A day's KPI. Of a share the hours are turned into counts, ``PER_HOUR`` requests in each."""
    unit, direction, category, kind = KPIS.get(name, OTHER)
    about = {"unit": unit, "direction": direction, "category": category, "kind": kind, "coverage": 1.0}
    if figure is None:
        return KpiSummary(**{"value": None, **about, **fields})
    hours = [figure] * 24 if isinstance(figure, int | float) else [None if h is None else float(h) for h in figure]
    hours = [None if hour is None or math.isnan(hour) else hour for hour in hours]
    known = [hour for hour in hours if hour is not None]
    about |= {"value": sum(known) / len(known) if known else None, "hourly": tuple(hours)}
    if isinstance(figure, int | float):
        about["value"] = figure
    if kind == "ratio":
        about |= _counts(hours, 100.0 if unit == "%" else 1.0)
    return KpiSummary(**{**about, **fields})


def _counts(hours: Sequence[float | None], whole: float) -> dict[str, Any]:
    """Those of what the value is a share of."""
    part = tuple(None if hour is None else hour / whole * PER_HOUR for hour in hours)
    total = tuple(None if hour is None else PER_HOUR for hour in hours)
    sums = [sum(count for count in counts if count is not None) for counts in (part, total)]
    return {"hourly_numerator": part, "hourly_denominator": total, "numerator": sums[0], "denominator": sums[1]}


def day(number: int, values: Mapping[str, Value | KpiSummary] | None = None, **fields: Any) -> DaySummary:
    start = GA + number * DAY
    made = {name: v if isinstance(v, KpiSummary) else kpi(name, v) for name, v in (values or {}).items()}
    common = {"timestamp": start, "day_number": number, "service": "shop", "kpis": made, "coverage": 1.0}
    return DaySummary(**{**common, "window": Window(start=start, end=start + DAY), **fields})


def days(numbers: Sequence[int], columns: Mapping[str, Any], **fields: Any) -> list[DaySummary]:
    """Of a KPI one value for all days, or a list with each day's."""
    each = {name: _by_day(column, (len(numbers),)) for name, column in columns.items()}
    return [day(n, {name: column[at] for name, column in each.items()}, **fields) for at, n in enumerate(numbers)]


def _by_day(column: Any, lengths: Sequence[int]) -> list[Any]:
    """A list of another length is one day's hours."""
    by_day = isinstance(column, list | np.ndarray) and len(column) in lengths
    return list(column) if by_day else [column] * lengths[-1]


def before(columns: Mapping[str, Any]) -> PreReleaseSummary:
    return PreReleaseSummary(days=tuple(days(BEFORE, columns)))


def analysed(
    past: Mapping[str, Any] | None, since: Mapping[str, Any], ga: DaySummary | None = None, **more: Any
) -> RegressionSummary:
    """KPI → value of every day, or one per day: of the week before GA (None: there is none), and since. Of seven days
    since GA the first is the GA day's too; of eight the first is the GA day's alone."""
    columns = {name: _by_day(column, (7, 8)) for name, column in since.items()}
    columns = {name: column if len(column) == 8 else [column[0], *column] for name, column in columns.items()}
    first, *week = days(range(8), columns)
    return analyse(ga or first, week, None if past is None else before(past), **more)


def row(summary: RegressionSummary, name: str, baseline: str = "week_before") -> Regression:
    (found,) = [one for one in summary.rows if (one.metric_name, one.baseline) == (name, baseline)]
    return found


def judged(name: str, past: Any, since: Any) -> Regression:
    """One KPI alone, against the week before GA."""
    return row(analysed({name: past}, {name: since}), name)


def verdicts(summary: RegressionSummary, name: str) -> dict[str, str]:
    return {one.baseline: one.verdict for one in summary.rows if one.metric_name == name}


def compared(
    name: str, past: Sequence[DaySummary], since: Sequence[DaySummary], baseline: str = "week_before"
) -> Comparison:
    """The comparison of one KPI; ``since`` has the GA day where it begins with day 0."""
    by_number = {one.day_number: one for one in since}
    ga = by_number.get(0, day(0, partial=True))
    week = {number: one for number, one in by_number.items() if number > 0}
    found: dict[str, Baseline] = {
        one.name: one for one in baselines(ga, week, PreReleaseSummary(days=tuple(past)) if past else None)
    }
    held = next(one.kpis[name] for one in reversed(since) if name in one.kpis)
    load = LOAD_KPI if any(LOAD_KPI in one.kpis for one in since) else None
    return Comparison(name, held, found[baseline], by_number, load)


def noisy(seed: int, level: Any, numbers: int, cv: float) -> np.ndarray:
    """Hours with independent log-normal noise, shape (numbers, 24)."""
    noise = np.random.default_rng(seed).normal(0.0, cv, (numbers, 24))
    return np.asarray(level * np.exp(noise))


def busy(times: float = 1.0) -> np.ndarray:
    """The traffic of a day: by night half, by day one and a half of ``times`` 100 requests a second."""
    return np.asarray(times * (100 + 50 * np.sin(np.arange(24) / 24 * 2 * np.pi)))
