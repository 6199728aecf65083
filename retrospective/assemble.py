"""All of a service's verdicts become one retrospective. Pure: no file is read, no clock either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import fmean, median

from observability.artifacts import (
    SEVERITIES,
    Anomaly,
    AnomalyEvents,
    DaySummary,
    HealthReport,
    PreReleaseSummary,
    Regression,
    RegressionSummary,
    SloBurnDown,
)
from observability.model import LAST_DAY
from observability.report import KeyMetric, Retrospective
from retrospective.actions import action_items, process_improvements, recommendations
from retrospective.caveats import checked, method, not_assessed
from retrospective.changes import DRIFT, deciding, has_values, is_worse, size
from retrospective.costs import analyse_cost
from retrospective.degradations import degradations
from retrospective.drifts import unexpected_drifts
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
        key_metrics=tuple(_key_metrics(week)),
        regressions=_notable(week),
        anomalies=_by_severity(anomalies),
        health_by_day={str(r.day_number): r.health_score for r in sorted(health, key=lambda r: r.day_number)},
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
    past = [day for day in (week.before.days if week.before else ()) if not day.partial]
    for kpi in (*filter(None, glance), *own):
        values = week.values(kpi)
        yield KeyMetric(
            metric_name=kpi,
            unit=week.about(kpi).unit,
            before=_over_days(week, kpi, past),
            ga_day=values.get(0),
            week=_over_days(week, kpi, week.days),
            last_day=values.get(LAST_DAY),
            coverage=_coverage(week, kpi),
        )


def _over_days(week: WeekRecord, kpi: str, days: Sequence[DaySummary]) -> float | None:
    """Ratios and rates from their counts (the daily values weighted by their denominators), incidents summed; of
    anything else the median day, because percentiles and peaks do not average."""
    known = [(value, day.kpis.get(kpi)) for day in days if (value := week.value(day, kpi)) is not None]
    if not known:
        return None
    values = [value for value, _ in known]
    if kpi == INCIDENTS:
        return sum(values)
    weights = [found.denominator for _, found in known if found is not None and found.buckets is None]
    counted = [weight for weight in weights if weight is not None]
    if len(counted) < len(values) or sum(counted) <= 0:
        return median(values)
    return sum(value * weight for value, weight in zip(values, counted, strict=True)) / sum(counted)


def _coverage(week: WeekRecord, kpi: str) -> float | None:
    stated = [day.kpis[kpi].coverage for day in week.days if kpi in day.kpis]
    return fmean(stated) if stated else None


def _notable(week: WeekRecord) -> tuple[Regression, ...]:
    """Rows that are large or real, those that decide and are worse first."""
    if week.regression is None:
        return ()
    decide = {id(row) for row in deciding(week.rows)}
    rows = [row for row in week.rows if has_values(row) and (size(row) > DRIFT or row.real is True)]
    return tuple(
        sorted(rows, key=lambda row: (id(row) not in decide, not is_worse(row), row.real is not True, -size(row)))
    )


def _by_severity(events: AnomalyEvents | None) -> tuple[Anomaly, ...]:
    """The most severe first; of equal ones the higher score, then the earlier."""
    found = events.anomalies if events is not None else ()
    return tuple(sorted(found, key=lambda event: (-SEVERITIES.index(event.severity), -_score(event), event.timestamp)))


def _score(event: Anomaly) -> float:
    score = event.score if event.score is not None else event.z_score
    return 0.0 if score is None else abs(score)
