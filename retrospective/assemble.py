"""All of a service's verdicts become one retrospective. Pure: no file is read, no clock either."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Literal

from observability.artifacts import SEVERITIES, DaySummary, PreReleaseSummary
from observability.events import Anomaly, AnomalyEvents
from observability.model import LAST_DAY
from observability.report import KeyMetric, Retrospective
from observability.verdicts import HealthReport, Regression, RegressionSummary, SloBurnDown
from retrospective.actions import action_items, process_improvements, recommendations
from retrospective.caveats import checked, method, not_assessed
from retrospective.changes import deciding, has_values, is_notable, is_worse, size
from retrospective.costs import analyse_cost
from retrospective.degradations import degradations, distinct_runs
from retrospective.drifts import unexpected_drifts
from retrospective.maintenance import both_figures, left_out
from retrospective.record import INCIDENTS, WeekRecord, week_of
from retrospective.status import judge
from retrospective.successes import successes

# At a glance: of each group the first KPI that has data.
GLANCE = (
    ("overall_availability",),
    ("overall_error_rate",),
    ("request_rate",),
    ("p99_latency_ms", "avg_p99_latency_ms"),
    ("avg_cpu_percent",),
    ("avg_memory_percent",),
    ("avg_redis_hit_rate",),
    ("db_p95_latency_ms", "avg_db_p95_latency_ms"),
    (INCIDENTS,),
    ("estimated_cost_per_hour",),
)


Fold = Literal["counts", "runs", "days", "median"]


def assemble(
    *,
    ga: DaySummary,
    days: Sequence[DaySummary],
    before: PreReleaseSummary | None,
    regression: RegressionSummary | None,
    anomalies: AnomalyEvents | None,
    slos: Sequence[SloBurnDown],
    health: Sequence[HealthReport] = (),
    now: datetime | None = None,
) -> Retrospective:
    """The retrospective of one service. What is missing is reported as not assessed, never as fine.

    ``now`` is the generation time; without it, the end of day 7, so that the same input gives the same bytes.
    ``ConfigError`` where a day is there twice, is not one of days 1 to 7, or belongs to another service.
    """
    week = week_of(ga, days, before, regression, anomalies, slos, health)
    judgement, cost = judge(week), analyse_cost(week)
    metrics = tuple(_key_metrics(week))
    return Retrospective(
        generation_timestamp=week.end if now is None else now,
        ga_day_timestamp=week.calendar.ga,
        seven_day_end_timestamp=week.end - timedelta(seconds=1),
        successes=successes(week),
        degradations=degradations(week),
        unexpected_drifts=unexpected_drifts(week),
        cost_analysis=cost,
        slo_burn_downs=tuple(slos),
        recommendations_v1_0_2=recommendations(week, judgement.reasons, cost),
        process_improvements=process_improvements(week),
        action_items=action_items(judgement.reasons),
        service=ga.service,
        release=ga.release,
        overall_status=judgement.status,
        advice=judgement.advice,
        why=judgement.why,
        key_metrics=metrics,
        maintenance=left_out(week),
        both_figures=both_figures(week, [metric.metric_name for metric in metrics]),
        regressions=_notable(week),
        incidents=week.anomalies.incidents if week.anomalies is not None else (),
        anomalies=_by_severity(week),
        new_levels=week.anomalies.new_levels if week.anomalies is not None else (),
        health_by_day={str(r.day_number): r.health_score for r in week.current_health},
        coverage=week.coverage,
        days_present=week.present,
        not_assessed=not_assessed(week, cost),
        checked=checked(week),
        method=method(week, judgement),
        source=ga.source,
    )


def _key_metrics(week: WeekRecord) -> Iterator[KeyMetric]:
    """The KPIs at a glance; of a release that watches none of them, all that it watches."""
    glance = [next((kpi for kpi in group if week.values(kpi)), None) for group in GLANCE]
    own = [kpi for kpi in week.kpis if week.values(kpi)] if not any(glance) else []
    for kpi in (*filter(None, glance), *own):
        yield _key_metric(week, kpi)


def _key_metric(week: WeekRecord, kpi: str) -> KeyMetric:
    folded = _fold_of(week, kpi)
    last = [day for day in week.days if day.day_number == LAST_DAY]
    stretches = {"before": week.past, "ga_day": (week.ga,), "week": week.days, "last_day": last}
    figures = {name: _over_days(week, kpi, days, folded) for name, days in stretches.items()}
    return KeyMetric(
        metric_name=kpi,
        unit=week.about(kpi).unit,
        coverage=_coverage(week, kpi),
        folded=folded,
        at_least=tuple(name for name, days in stretches.items() if _is_bound(week, kpi, days, figures[name])),
        **figures,
    )


def _fold_of(week: WeekRecord, kpi: str) -> Fold:
    """How the week's figure is made: what all of its days allow. The week before follows as far as its days do."""
    found = [day.kpis.get(kpi) for day in week.days if week.value(day, kpi) is not None]
    if kpi == INCIDENTS:
        return "runs" if all(one is not None and one.started is not None for one in found) else "days"
    counted = all(one is not None and one.buckets is None and one.denominator is not None for one in found)
    return "counts" if counted else "median"


def _over_days(week: WeekRecord, kpi: str, days: Sequence[DaySummary], folded: Fold) -> float | None:
    """Ratios and rates from their counts (the daily values weighted by their denominators), incidents as distinct
    runs; of anything else the median day, because percentiles and peaks do not average."""
    known = {day.day_number: value for day in days if (value := week.value(day, kpi)) is not None}
    if len(known) < 2 and folded != "days":
        return next(iter(known.values()), None)
    if not known:
        return None
    if folded == "runs":
        return distinct_runs(week.starts(days), known)
    if folded == "days":
        return float(sum(value > 0 for value in known.values()))
    counted = [(known.get(day.day_number), day.kpis[kpi].denominator) for day in days if kpi in day.kpis]
    weights = [(value, weight) for value, weight in counted if value is not None and weight is not None]
    total = math.fsum(weight for _, weight in weights)
    if folded == "median" or total <= 0 or len(weights) < len(known):
        return median(known.values())
    return math.fsum(value * weight for value, weight in weights) / total


def _is_bound(week: WeekRecord, kpi: str, days: Sequence[DaySummary], level: float | None) -> bool:
    """Whether the median of the days is only a lower bound: one of them is, and lies no higher."""
    known = [(week.value(day, kpi), day.kpis[kpi].at_least) for day in days if kpi in day.kpis]
    return any(cut and value is not None and level is not None and value <= level for value, cut in known)


def _coverage(week: WeekRecord, kpi: str) -> float | None:
    stated = [day.kpis[kpi].coverage for day in week.days if kpi in day.kpis and not day.is_all_maintenance]
    return fmean(stated) if stated else None


def _notable(week: WeekRecord) -> tuple[Regression, ...]:
    """Rows that are large or real, or moved below the floor; those that decide and are worse first."""
    if week.regression is None:
        return ()
    decide = {id(row) for row in deciding(week.rows)}
    rows = [row for row in week.rows if has_values(row) and is_notable(row)]
    return tuple(
        sorted(rows, key=lambda row: (id(row) not in decide, not is_worse(row), row.real is not True, -size(row)))
    )


def _by_severity(week: WeekRecord) -> tuple[Anomaly, ...]:
    """The most severe first, those for the better or in maintenance last; of equal ones those of the detector that is
    named first, then the higher score, then the earlier."""
    channels = list(week.anomalies.detector.get("channels", {})) if week.anomalies is not None else []
    found = [
        event.model_copy(update={"for_better": event.is_better(week.about(event.metric_name).direction)})
        for event in (week.anomalies.anomalies if week.anomalies is not None else ())
    ]
    return tuple(sorted(found, key=lambda event: _order(event, channels)))


def _order(event: Anomaly, channels: list[str]) -> tuple[bool, int, int, float, datetime]:
    """Scores of different detectors are no measure of each other."""
    counts_little = event.for_better is True or event.in_maintenance is True
    channel = channels.index(event.channel) if event.channel in channels else len(channels)
    return counts_little, -SEVERITIES.index(event.severity), channel, -_score(event), event.timestamp


def _score(event: Anomaly) -> float:
    score = event.score if event.score is not None else event.z_score
    return 0.0 if score is None else abs(score)
