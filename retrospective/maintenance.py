"""Maintenance in the report: what was left out, and what the figures are with it where that matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from observability.artifacts import DaySummary, KpiSummary
from observability.report import BothFigures, LeftOut
from retrospective.changes import DRIFT
from retrospective.record import WeekRecord, change_of


def left_out(week: WeekRecord) -> tuple[LeftOut, ...]:
    """Each window of the days that were judged, the week before GA among them, in time order."""
    days = (*week.past, *week.all_days)
    found: dict[tuple[datetime, datetime, str], dict[int, float]] = {}
    for day in days:
        for window in day.maintenance:
            found.setdefault((window.start, window.end, window.reason), {})[day.day_number] = window.seconds
    return tuple(
        LeftOut(start=start, end=end, reason=reason, days=tuple(of), minutes=sum(of.values()) / 60)
        for (start, end, reason), of in sorted(found.items())
    )


def both_figures(week: WeekRecord, kpis: Sequence[str]) -> tuple[BothFigures, ...]:
    """The days' figures of these KPIs without and with the maintenance, where it makes a drift of a difference."""
    return tuple(found for day in week.all_days for kpi in kpis for found in _both(week, day, kpi))


def _both(week: WeekRecord, day: DaySummary, kpi: str) -> Iterator[BothFigures]:
    found = day.kpis.get(kpi)
    if found is not None and found.with_maintenance is not None and _matters(week, kpi, found):
        yield BothFigures(
            metric_name=kpi,
            day_number=day.day_number,
            unit=found.unit,
            value=found.value,
            with_maintenance=found.with_maintenance,
        )


def _matters(week: WeekRecord, kpi: str, found: KpiSummary) -> bool:
    if found.value is None or found.with_maintenance is None:
        return True
    change = change_of(week.about(kpi), found.value, found.with_maintenance)
    return change is None or abs(change) > DRIFT
