"""Unexpected drifts: KPIs that moved by 10 to 30 per cent, how they moved over the week, and what moved with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from statistics import fmean, median
from typing import Literal

from observability.artifacts import SEVERITIES
from observability.events import Anomaly
from observability.model import format_instant
from observability.report import UnexpectedDrift
from observability.verdicts import Regression
from retrospective.changes import (
    DRIFT,
    INVESTIGATE,
    by_family,
    change_percent,
    deciding,
    described,
    has_values,
    size,
)
from retrospective.record import INCIDENTS, WeekRecord, family, unit_of
from retrospective.wording import count, day_list

Trend = Literal["increasing", "decreasing", "stable", "volatile", "unknown"]

MIN_TREND_DAYS = 4
TREND_RISE, VOLATILE_SPREAD = 0.05, 0.10  # of the median day
MOST_CAUSES = 3
UNDETERMINED = "undetermined from this data"


def drifting(week: WeekRecord) -> list[Regression]:
    """The drifts that count: one row per KPI, that of the baseline which decides, the largest first."""
    if week.regression is None:
        return []
    listed = {(row.metric_name, row.baseline) for row in week.regression.unexpected_drifts}
    rows = [row for row in deciding(week.rows) if (row.metric_name, row.baseline) in listed]
    return sorted(rows, key=size, reverse=True)


def unexpected_drifts(week: WeekRecord) -> tuple[UnexpectedDrift, ...]:
    """``drift_percent`` is the change that was judged: of a share of events that of its bad ones."""
    return tuple(
        UnexpectedDrift(
            metric_name=row.metric_name,
            baseline_value=row.baseline_value,
            final_value=row.current_value,
            drift_percent=change_percent(row),
            trend=trend(week.values(row.metric_name)),
            potential_causes=_moved_with(week, row),
            investigation_needed=size(row) > INVESTIGATE,
            baseline=row.baseline,
            unit=unit_of(row.metric_name, row.unit),
            of_bad_share=row.of_bad_share,
        )
        for row in drifting(week)
    )


def trend(values: Mapping[int, float]) -> Trend:
    """How a KPI moved over its days (day → value, the GA day being 0).

    The line is Theil–Sen's: its slope is the median of the slopes between all pairs of days, its intercept the median
    of what remains (Sen 1968, doi:10.1080/01621459.1968.10480934). Increasing or decreasing: from the first day to the
    last the line moves by more than 5 % of the median day, and by more than twice the mean distance of the days from
    it. Else volatile where that distance is above 10 % of the median day, and stable below. Unknown under four days.

    >>> trend({0: 50, 1: 52, 2: 53, 3: 55, 4: 58}), trend({0: 50, 1: 51, 2: 50, 3: 51})
    ('increasing', 'stable')
    """
    if len(values) < MIN_TREND_DAYS:
        return "unknown"
    slope = median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(sorted(values.items()), 2))
    intercept = median(y - slope * x for x, y in values.items())
    spread = fmean(abs(y - slope * x - intercept) for x, y in values.items())
    rise, level = slope * (max(values) - min(values)), abs(median(values.values()))
    if abs(rise) > TREND_RISE * level and abs(rise) > 2 * spread:
        return "increasing" if rise > 0 else "decreasing"
    return "volatile" if spread > VOLATILE_SPREAD * level else "stable"


def _moved_with(week: WeekRecord, drift: Regression) -> tuple[str, ...]:
    """What else moved in the same week: candidates from the data, ranked, and none where there is nothing."""
    own = family(drift.category, drift.metric_name)
    found = [*_other_kpis(week, drift, own), *_anomalies(week, own), *_alerts(week)]
    return tuple(found[:MOST_CAUSES]) or (UNDETERMINED,)


def _other_kpis(week: WeekRecord, drift: Regression, own: str) -> Iterator[str]:
    """The largest change of each other family against the same baseline. Cost follows usage, so it explains nothing."""
    rows = [row for row in week.rows if row.baseline == drift.baseline and has_values(row) and size(row) > DRIFT]
    for related in by_family(rows):
        row = related[0]
        if row.category != "cost" and family(row.category, row.metric_name) != own:
            yield f"{described(row)} in the same week"


def severe_anomalies(week: WeekRecord, told: Collection[str]) -> dict[str, list[Anomaly]]:
    """KPI → its high and critical anomalies outside maintenance and not for the better, each once, the worst first,
    without the families ``told``."""
    by_kpi: dict[str, list[Anomaly]] = {}
    for event in week.anomalies.distinct if week.anomalies else ():
        harmless = event.in_maintenance or event.is_better(week.about(event.metric_name).direction)
        severe = event.severity in {"high", "critical"} and not harmless
        if severe and family(event.category, event.metric_name) not in told:
            by_kpi.setdefault(event.metric_name, []).append(event)
    return dict(sorted(by_kpi.items(), key=lambda item: (_worst(item[1]), len(item[1])), reverse=True))


def _anomalies(week: WeekRecord, own: str) -> Iterator[str]:
    for kpi, events in severe_anomalies(week, {own}).items():
        first = format_instant(min(event.start or event.timestamp for event in events))
        number = count(len(events), "high or critical anomaly", "high or critical anomalies")
        yield f"{number} of {kpi}, the first at {first}"


def _worst(events: list[Anomaly]) -> int:
    return max(SEVERITIES.index(event.severity) for event in events)


def _alerts(week: WeekRecord) -> Iterator[str]:
    days = [day for day, value in week.values(INCIDENTS).items() if value > 0]
    if days:
        yield f"critical alerts fired on {day_list(days)}"
