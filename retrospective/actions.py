"""What to do: recommendations, process improvements and action items, each from a figure of the week."""

from __future__ import annotations

from collections.abc import Iterator

from observability.model import DAYS_BEFORE
from observability.report import ActionItem, CostAnalysis
from observability.units import format_value
from observability.verdicts import Regression
from retrospective.changes import DRIFT, by_family, deciding, is_worse
from retrospective.drifts import severe_anomalies, trend
from retrospective.gaps import unseen_kpis
from retrospective.reason import Reason
from retrospective.record import INCIDENTS, WeekRecord, change_of
from retrospective.wording import both, count, day_list, listed

GAPLESS = 0.99  # of a day: a quarter of an hour is missing
MOST_RECOMMENDATIONS, MOST_URGENT, MOST_ACTIONS, MOST_IMPROVEMENTS = 10, 5, 10, 5


def recommendations(week: WeekRecord, reasons: tuple[Reason, ...], cost: CostAnalysis) -> tuple[str, ...]:
    """``[P1] what to do: the figures``: at most ten, the most urgent first."""
    found = [(reason.priority, f"{reason.action}: {reason.evidence}") for reason in reasons]
    found += [("P2", text) for text in _anomalies(week, {reason.family for reason in reasons})]
    found += [("P3", text) for text in cost.cost_optimization_recommendations]
    ordered = sorted(found, key=lambda item: item[0])
    return tuple(f"[{priority}] {text}" for priority, text in ordered[:MOST_RECOMMENDATIONS])


def action_items(reasons: tuple[Reason, ...]) -> tuple[ActionItem, ...]:
    """One per reason, at most five of P0 and P1, and these first. Owners are for people to name."""
    ordered = sorted(reasons, key=lambda reason: reason.priority)
    urgent = [reason for reason in ordered if reason.priority in {"P0", "P1"}][:MOST_URGENT]
    later = [reason for reason in ordered if reason.priority not in {"P0", "P1"}]
    return tuple(
        ActionItem(priority=reason.priority, description=reason.action, done_when=reason.done_when)
        for reason in (*urgent, *later)[:MOST_ACTIONS]
    )


def process_improvements(week: WeekRecord) -> tuple[str, ...]:
    """What would make the next week easier to judge, at most five. Fewer where the data supports fewer."""
    found = [
        *_burst_without_alert(week),
        *_seen_at_ga(week),
        *_crept_up(week),
        *_blind_spots(week),
        *_gaps(week),
        *_baseline(week),
        *_prices(week),
    ]
    return tuple(found[:MOST_IMPROVEMENTS])


def _anomalies(week: WeekRecord, taken: set[str]) -> Iterator[str]:
    """KPIs with severe anomalies that no objective and no comparison speaks for."""
    for kpi, events in severe_anomalies(week, taken).items():
        number = count(len(events), "high or critical anomaly", "high or critical anomalies")
        yield f"Look at {kpi}: {number} in the week, and no objective or baseline shows a change"


def _burst_without_alert(week: WeekRecord) -> Iterator[str]:
    """Days on which an objective was missed and no critical alert fired."""
    alerts = week.values(INCIDENTS)
    for slo in week.objectives:
        silent = [day for day, found in slo.days.items() if found.compliant is False and alerts.get(day) == 0]
        if silent:
            worst = slo.worst(silent)
            value = format_value(slo.days[worst].value, slo.unit)
            yield (
                f"Alert on the burn rate of {slo.name}: no critical alert fired on {day_list(silent)}, when it was "
                f"missed ({value} on {day_list([worst])}, objective {slo.limit})"
            )
            return


def _seen_at_ga(week: WeekRecord) -> Iterator[str]:
    """The largest real change for the worse that the GA day showed already: a test before GA could have shown it."""
    for related in by_family(_real_and_worse(week), week.with_objective):
        row, on_ga_day = related[0], week.values(related[0].metric_name).get(0)
        if (
            on_ga_day is None
            or row.baseline_value is None
            or row.baseline_at_least
            or week.is_bound(row.metric_name, 0)
        ):
            continue
        change = change_of(week.about(row.metric_name), row.baseline_value, on_ga_day)
        if change is not None and abs(change) > DRIFT:
            yield (
                f"Compare {row.metric_name} with the running version before GA: on the GA day it had already moved "
                f"{both(row.baseline_value, on_ga_day, row.unit)} from the week before"
            )
            return


def _crept_up(week: WeekRecord) -> Iterator[str]:
    """The largest real change for the worse that grew over the days: an alert on its trend would have come earlier."""
    for related in by_family(_real_and_worse(week), week.with_objective):
        row, values = related[0], week.values(related[0].metric_name)
        if trend(values) in {"increasing", "decreasing"}:
            first, last = min(values), max(values)
            yield (
                f"Alert on the trend of {row.metric_name}: it went {both(values[first], values[last], row.unit)} from "
                f"{day_list([first])} to {day_list([last])}"
            )
            return


def _real_and_worse(week: WeekRecord) -> list[Regression]:
    return [row for row in deciding(week.rows) if row.real and is_worse(row)]


def _blind_spots(week: WeekRecord) -> Iterator[str]:
    unseen = unseen_kpis(week)
    if unseen:
        yield (
            f"Instrument {listed(unseen, 5)}, or leave out with `only:` what the service does not have: "
            f"{count(len(unseen), 'KPI')} of {len(week.kpis)} had no data on any day"
        )


def _gaps(week: WeekRecord) -> Iterator[str]:
    """Days of which KPIs that do have data were partly not seen."""
    low: dict[int, float] = {}
    for day in week.all_days:
        seen = [found.coverage for kpi, found in day.kpis.items() if week.values(kpi)]
        if seen and min(seen) < GAPLESS and not day.is_all_maintenance:
            low[day.day_number] = min(seen)
    if low:
        worst = min(low, key=lambda day: low[day])
        yield (
            f"Alert on missing samples (`absent_over_time`): on {day_list(low)} a KPI was seen less than 99 % of the "
            f"time ({format_value(100 * low[worst], '%')} on {day_list([worst])})"
        )
    if week.missing:
        yield f"Schedule the daily collection: there is no summary of {day_list(week.missing)}"


def _baseline(week: WeekRecord) -> Iterator[str]:
    days = len(week.before.days) if week.before is not None else 0
    if days < DAYS_BEFORE:
        yield (
            "Keep Prometheus' data for at least 15 days, or collect before the release: "
            f"{count(days, 'day')} of the {DAYS_BEFORE} before GA could be compared"
        )


def _prices(week: WeekRecord) -> Iterator[str]:
    if all(day.cost is None for day in week.all_days):
        yield "Add `prices:` to the release file: no day's cost could be broken down by resource"
