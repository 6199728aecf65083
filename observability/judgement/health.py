"""A day's health, 0 to 100, from error budgets, drifts of the KPIs and anomalies, with its parts shown.

Each part scores 0–100 and counts by its weight and by the share of the day that was seen. What was not seen scores
nothing, so it never counts as healthy, and losing sight of a bad KPI never makes a day better. A KPI whose drift cannot
be told from the traffic scores the mean of what the least and the most drift would. Whatever the rest says, a day is at
most degraded on which a part scores 0, since a P99 five times as high is no small matter among fifteen KPIs; and it is
critical on which ten days' budget was spent, a critical alert fired, or the detector had a critical incident
outside maintenance: joint evidence of the service's KPIs at five times its threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from observability.artifacts import DaySummary, SloDay
from observability.definitions import Direction
from observability.events import Anomaly, AnomalyEvents, Incident
from observability.judgement.daily_drift import FAILURES, GA_DAY, LOAD_KPI, WEEKDAY, drift_of, has_no_traffic
from observability.judgement.objectives import allowed_events
from observability.judgement.slo import MIN_COVERAGE, MIN_EVENTS
from observability.judgement.summary import UNEXPECTED_DRIFT_PERCENT
from observability.model import Window, format_instant
from observability.units import format_value
from observability.verdicts import HealthPart, HealthReport

BUDGET_WEIGHT, DRIFT_WEIGHT, ANOMALY_WEIGHT = 50.0, 35.0, 15.0
ZERO_AT_BURN = 4.0  # a day that spends four days' budget scores 0
ZERO_AT_DRIFT_PERCENT = 50.0
VETO_BURN, VETO_CAP = 10.0, 30.0
POINTS = {"low": 2.0, "medium": 5.0, "high": 15.0, "critical": 30.0}
HEALTHY, DEGRADED = 90.0, 70.0
ALERTS = "critical_incident_count"
LOOK_FIRST = {
    "errors": "the failing requests by route and pod",
    "availability": "the failing requests by route and pod",
    "latency": "the slowest routes, and the database's latency in the same hours",
    "resources": "usage by pod over the days (a steady rise is a leak, a step came with a deployment)",
    "redis": "evictions, and keys whose expiry changed",
    "database": "the slowest statements, and the pool's size",
    "cluster": "the nodes' busiest workloads",
    "cost": "the resource that grew, in the cost breakdown",
    "incidents": "the alert's runbook",
    "traffic": "whether requests still reach the service: its ingress, DNS and scrape targets",
}


def assess(
    day: DaySummary, events: AnomalyEvents | None, partner: DaySummary | None = None, ga: DaySummary | None = None
) -> HealthReport:
    """The health of one day; of the release's anomalies, those of the day outside maintenance count.

    ``partner`` is the same weekday before GA, which KPIs are compared with where they can be, else with the GA day;
    without ``ga``, by the drifts that the day's summary has.
    """
    of_day = _of_the_day(day, events)
    found = None if of_day is None else [event for event in of_day if not event.in_maintenance]
    parts = (
        *_budget_parts(day.slos),
        *_drift_parts(day, partner, ga),
        _anomaly_part(found, len(of_day or ()) - len(found or ())),
    )
    vetoes = _vetoes(day, _critical(day, events))
    score = _score(parts, day, bool(vetoes))
    return HealthReport(
        timestamp=day.timestamp,
        day_number=day.day_number,
        service=day.service,
        health_score=score,
        status=_status(score, parts, bool(vetoes)),
        coverage=_weighed(parts, [_seen(part, day) for part in parts]),
        parts=parts,
        veto="; ".join(f"{kpi}: {why}" for kpi, whys in vetoes.items() for why in whys) or None,
        anomalies=None if found is None else len(found),
        mitigation_actions=_actions(day, parts, vetoes, partner or ga),
        warnings=(*_warnings(day, parts, partner, ga), *day.warnings),
    )


def _warnings(
    day: DaySummary, parts: Sequence[HealthPart], partner: DaySummary | None, ga: DaySummary | None
) -> list[str]:
    if day.is_all_maintenance:
        return ["The whole day is maintenance, so nothing was judged."]
    found = []
    if day.partial and day.window is not None:
        span = f"{format_instant(day.window.start)} to {format_instant(day.window.end)}"
        found.append(f"The day is not over: this is of {span} alone.")
    if day.maintenance_seconds > 0:
        found.append(f"Maintenance: {day.maintenance_seconds / 60:,.0f} minutes of the day are left out.")
    if has_no_traffic(day, partner or ga):
        found.append("The day had no requests, so low latency, usage and errors say nothing.")
    if partner is None and any(GA_DAY in part.why for part in parts):
        found.append(f"Without {WEEKDAY}, KPIs are compared with {GA_DAY}, which hides what was shipped at GA.")
    return found


def _of_the_day(day: DaySummary, events: AnomalyEvents | None) -> list[Anomaly] | None:
    """Those that are not for the better, each once. None where the detector did not score the day: none could be
    found."""
    if events is None or day.window is None or (events.scored and not any(events.scored.values())):
        return None
    if events.window is not None and not _covers(events.window, day.window):
        return None
    of_day = [event for event in events.distinct if day.window.start <= event.timestamp < day.window.end]
    return [event for event in of_day if not event.is_better(_direction(day, event.metric_name))]


def _critical(day: DaySummary, events: AnomalyEvents | None) -> list[Incident]:
    """The critical incidents outside maintenance that reach into the day."""
    if events is None or day.window is None:
        return []
    return [
        incident
        for incident in events.incidents
        if incident.severity == "critical"
        and not incident.in_maintenance
        and incident.start < day.window.end
        and day.window.start < incident.end
    ]


def _direction(day: DaySummary, kpi: str) -> Direction:
    return day.kpis[kpi].direction if kpi in day.kpis else Direction.TWO_SIDED


def _covers(scored: Window, day: Window) -> bool:
    """Whether nearly all of the day was scored: a detector that ran shortly before midnight has seen the day."""
    both = min(scored.end, day.end) - max(scored.start, day.start)
    return both >= MIN_COVERAGE * (day.end - day.start)


def _budget_parts(slos: Sequence[SloDay]) -> list[HealthPart]:
    return [_budget_part(slo, BUDGET_WEIGHT / len(slos)) for slo in slos]


def _budget_part(slo: SloDay, weight: float) -> HealthPart:
    burn = _burn(slo)
    if burn is None:
        few = f"fewer than {MIN_EVENTS:,.0f} events decide nothing"
        return HealthPart(name=slo.slo_name, weight=weight, score=None, kpi=slo.kpi, why=slo.note or few)
    why = _spent(burn)
    return HealthPart(name=slo.slo_name, weight=weight, score=_linear(burn, 0, ZERO_AT_BURN), kpi=slo.kpi, why=why)


def _burn(slo: SloDay) -> float | None:
    """How many times the day's budget was spent; None without data, or with too few events to say."""
    if slo.bad is None or slo.total is None or slo.total < MIN_EVENTS:
        return None
    return slo.bad / allowed_events(slo.budget, slo.total)


def _spent(burn: float) -> str:
    if burn < 1:
        return f"{format_value(100 * burn, '%') if burn > 0 else 'none'} of the day's error budget was spent"
    return f"{format_value(burn, '')} times the day's error budget was spent"


def _drift_parts(day: DaySummary, partner: DaySummary | None, ga: DaySummary | None) -> list[HealthPart]:
    """Of each KPI that has a worse direction, but alerts; failures count here only where no objective is on them."""
    with_objective = {day.kpis[slo.kpi].category for slo in day.slos if slo.kpi in day.kpis}
    left_out = {"incidents"} | (FAILURES if FAILURES & with_objective or not (partner or ga) else set())
    judged = [
        name
        for name, kpi in day.kpis.items()
        if kpi.category not in left_out and kpi.direction is not Direction.TWO_SIDED
    ]
    return [_drift_part(name, day, partner, ga, DRIFT_WEIGHT / len(judged)) for name in judged]


def _drift_part(
    name: str, day: DaySummary, partner: DaySummary | None, ga: DaySummary | None, weight: float
) -> HealthPart:
    drift = drift_of(name, day, partner, ga)
    scores = [_linear(size, UNEXPECTED_DRIFT_PERCENT, ZERO_AT_DRIFT_PERCENT) for size in drift.sizes or ()]
    score = math.fsum(scores) / len(scores) if scores else None
    return HealthPart(name=name, weight=weight, score=score, kpi=name, why=drift.why)


def _anomaly_part(found: list[Anomaly] | None, in_maintenance: int) -> HealthPart:
    if found is None:
        return HealthPart(name="Anomalies", weight=ANOMALY_WEIGHT, score=None, kpi=None, why="no anomaly data")
    score = max(0.0, 100.0 - math.fsum(POINTS[event.severity] for event in found))
    counts = {severity: sum(event.severity == severity for event in found) for severity in reversed(POINTS)}
    why = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "none"
    if in_maintenance:
        why += f"; {in_maintenance} in maintenance not counted"
    return HealthPart(name="Anomalies", weight=ANOMALY_WEIGHT, score=score, kpi=None, why=why)


def _linear(value: float, full: float, zero: float) -> float:
    """100 up to ``full``, 0 from ``zero`` on, linear between."""
    return 100.0 * min(1.0, max(0.0, (zero - value) / (zero - full)))


def _seen(part: HealthPart, day: DaySummary) -> float:
    """The share of the day that the part speaks for."""
    if part.score is None:
        return 0.0
    return day.kpis[part.kpi].coverage if part.kpi in day.kpis else 1.0


def _vetoes(day: DaySummary, critical: Sequence[Incident]) -> dict[str, list[str]]:
    """KPI → what makes the day critical whatever the rest says."""
    burns = sorted((burn, slo.kpi) for slo in day.slos if (burn := _burn(slo)) is not None)
    vetoes = {kpi: [_spent(burn)] for burn, kpi in burns if burn >= VETO_BURN}  # of one KPI, the last is the worst
    alerts = day.value(ALERTS)
    if alerts is not None and alerts > 0:
        vetoes[ALERTS] = [f"{alerts:.0f} critical alert{'s' if alerts != 1 else ''} fired"]
    for incident in critical:
        vetoes.setdefault(incident.suspects[0].metric_name if incident.suspects else "incident", []).append(
            f"critical incident from {format_instant(incident.start)} to "
            f"{'now' if incident.ongoing else format_instant(incident.end)}"
        )
    return vetoes


def _weighed(parts: Sequence[HealthPart], values: Sequence[float]) -> float:
    """The mean of the values by the parts' weights."""
    return math.fsum(part.weight * value for part, value in zip(parts, values, strict=True)) / math.fsum(
        part.weight for part in parts
    )


def _score(parts: Sequence[HealthPart], day: DaySummary, vetoed: bool) -> float | None:
    if not any(part.kpi is not None and part.score is not None for part in parts):
        return None
    score = _weighed(parts, [_seen(part, day) * (part.score or 0.0) for part in parts])
    return min(score, VETO_CAP if vetoed else 100.0)


def _status(score: float | None, parts: Sequence[HealthPart], vetoed: bool) -> str:
    if vetoed:
        return "critical"
    if score is None:
        return "not assessable"
    if score >= HEALTHY and not any(part.score == 0 for part in parts):
        return "healthy"
    return "degraded" if score >= DEGRADED else "unhealthy"


def _actions(
    day: DaySummary, parts: Sequence[HealthPart], vetoes: Mapping[str, list[str]], past: DaySummary | None
) -> tuple[str, ...]:
    """The KPI, the figure and what to look at first: what is critical by itself, then the worst part first."""
    figures = {kpi: "; ".join(whys) for kpi, whys in vetoes.items()}
    if past is not None and has_no_traffic(day, past):
        figures[LOAD_KPI] = f"none, {format_value(past.value(LOAD_KPI), 'requests/s')} before"
    low = sorted((p.score, p.kpi, p.why) for p in parts if p.kpi and p.score is not None and p.score < DEGRADED)
    for _, kpi, why in low:
        figures.setdefault(kpi, why)
    return tuple(f"Look into {kpi} ({why}): first {_look(day, kpi)}." for kpi, why in figures.items())


def _look(day: DaySummary, kpi: str) -> str:
    category = "incidents" if kpi == ALERTS else day.kpis[kpi].category if kpi in day.kpis else ""
    return LOOK_FIRST.get(category, "its query in Prometheus")
