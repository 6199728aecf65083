"""A day's health, 0 to 100, from error budgets, drifts against the GA day and anomalies, with its parts shown.

Each part scores 0–100 and counts by its weight. A part without data scores nothing: the score is the mean of the
others, capped at the share of the weights that could be assessed, so that what was not seen never counts as healthy.
A day that spent ten days' budget, or on which a critical alert fired, is critical whatever the rest says.
"""

from __future__ import annotations

from collections.abc import Sequence

from observability.artifacts import Anomaly, AnomalyEvents, DaySummary, HealthPart, HealthReport, KpiSummary, SloDay
from observability.judgement.summary import UNEXPECTED_DRIFT_PERCENT, worse
from observability.model import Direction
from observability.units import format_value

BUDGET_WEIGHT, DRIFT_WEIGHT, ANOMALY_WEIGHT = 50.0, 35.0, 15.0
ZERO_AT_BURN = 4.0  # a day that spends four days' budget scores 0
ZERO_AT_DRIFT_PERCENT = 50.0
VETO_BURN, VETO_CAP = 10.0, 30.0
POINTS = {"low": 2.0, "medium": 5.0, "high": 15.0, "critical": 30.0}
HEALTHY, DEGRADED = 90.0, 70.0
LOOK_FIRST = {
    "errors": "the failing requests by route and pod",
    "availability": "the failing requests by route and pod",
    "latency": "the slowest routes, and the database's latency in the same hours",
    "resources": "usage by pod over the days: a steady rise is a leak, a step came with a deployment",
    "redis": "evictions, and keys whose expiry changed",
    "database": "the slowest statements, and the pool's size",
    "cluster": "the nodes' busiest workloads",
    "cost": "the resource that grew, in the cost breakdown",
    "incidents": "the alert's runbook",
}


def assess(day: DaySummary, events: AnomalyEvents | None) -> HealthReport:
    """The health of one day; of the release's anomalies, those of the day count."""
    found = _of_the_day(day, events)
    parts = (*_budget_parts(day.slos), *_drift_parts(day.kpis), _anomaly_part(found))
    assessed = sum(part.weight for part in parts if part.score is not None) / sum(part.weight for part in parts)
    veto = _veto(day)
    score = _score(parts, assessed, veto)
    return HealthReport(
        timestamp=day.timestamp,
        day_number=day.day_number,
        service=day.service,
        health_score=score,
        status=_status(score, veto),
        coverage=assessed,
        parts=parts,
        veto=veto,
        anomalies=None if found is None else len(found),
        mitigation_actions=_actions(day, parts, veto),
        warnings=day.warnings,
    )


def _of_the_day(day: DaySummary, events: AnomalyEvents | None) -> list[Anomaly] | None:
    if events is None or day.window is None:
        return None
    return [event for event in events.anomalies if day.window.start <= event.timestamp < day.window.end]


def _budget_parts(slos: Sequence[SloDay]) -> list[HealthPart]:
    return [_budget_part(slo, BUDGET_WEIGHT / len(slos)) for slo in slos]


def _budget_part(slo: SloDay, weight: float) -> HealthPart:
    burn = _burn(slo)
    if burn is None:
        return HealthPart(name=slo.slo_name, weight=weight, score=None, kpi=slo.kpi, why=slo.note or "no data")
    why = f"spent {burn:.2g} times the day's error budget"
    return HealthPart(name=slo.slo_name, weight=weight, score=_linear(burn, 0, ZERO_AT_BURN), kpi=slo.kpi, why=why)


def _burn(slo: SloDay) -> float | None:
    if slo.bad is None or slo.total is None or slo.total == 0:
        return None
    return slo.bad / (slo.budget / 100 * slo.total)


def _drift_parts(kpis: dict[str, KpiSummary]) -> list[HealthPart]:
    judged = {
        name: kpi
        for name, kpi in kpis.items()
        if kpi.category in LOOK_FIRST
        and kpi.category not in {"errors", "availability", "incidents"}
        and kpi.direction is not Direction.TWO_SIDED
    }
    return [_drift_part(name, kpi, DRIFT_WEIGHT / len(judged)) for name, kpi in judged.items()]


def _drift_part(name: str, kpi: KpiSummary, weight: float) -> HealthPart:
    drift = kpi.drift_percent
    if drift is None:
        return HealthPart(name=name, weight=weight, score=None, kpi=name, why=kpi.note or "no GA value to compare with")
    size = abs(drift) if worse(drift, kpi.direction) else 0.0
    why = f"{format_value(kpi.value, kpi.unit)}, {drift:+.1f} % against the GA day"
    score = _linear(size, UNEXPECTED_DRIFT_PERCENT, ZERO_AT_DRIFT_PERCENT)
    return HealthPart(name=name, weight=weight, score=score, kpi=name, why=why)


def _anomaly_part(found: list[Anomaly] | None) -> HealthPart:
    if found is None:
        return HealthPart(name="Anomalies", weight=ANOMALY_WEIGHT, score=None, kpi=None, why="no anomaly data")
    score = max(0.0, 100.0 - sum(POINTS[event.severity] for event in found))
    counts = {severity: sum(event.severity == severity for event in found) for severity in reversed(POINTS)}
    why = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "none"
    return HealthPart(name="Anomalies", weight=ANOMALY_WEIGHT, score=score, kpi=None, why=why)


def _linear(value: float, full: float, zero: float) -> float:
    """100 up to ``full``, 0 from ``zero`` on, linear between."""
    return 100.0 * min(1.0, max(0.0, (zero - value) / (zero - full)))


def _veto(day: DaySummary) -> str | None:
    for slo in day.slos:
        burn = _burn(slo)
        if burn is not None and burn >= VETO_BURN:
            return f"{slo.slo_name}: {burn:.3g} times the day's error budget was spent"
    alerts = day.value("critical_incident_count")
    if alerts is not None and alerts > 0:
        return f"critical_incident_count: {alerts:.0f} critical alert{'s' if alerts != 1 else ''} fired"
    return None


def _score(parts: Sequence[HealthPart], assessed: float, veto: str | None) -> float | None:
    scored = [(part.weight, part.score) for part in parts if part.score is not None]
    if not any(part.kpi is not None and part.score is not None for part in parts):
        return None
    mean = sum(weight * score for weight, score in scored) / sum(weight for weight, _ in scored)
    return min(mean, 100.0 * assessed, VETO_CAP if veto else 100.0)


def _status(score: float | None, veto: str | None) -> str:
    if score is None:
        return "not assessable"
    if veto:
        return "critical"
    return "healthy" if score >= HEALTHY else "degraded" if score >= DEGRADED else "unhealthy"


def _actions(day: DaySummary, parts: Sequence[HealthPart], veto: str | None) -> tuple[str, ...]:
    """The KPI, the figure and what to look at first, the worst part first."""
    low = sorted((part for part in parts if part.kpi and part.score is not None and part.score < DEGRADED), key=_worst)
    actions = [f"Look into {part.kpi} ({part.why}): {_look(day, str(part.kpi))}." for part in low]
    return ((f"Look into {veto}: {LOOK_FIRST['incidents']}.",) if veto else ()) + tuple(actions)


def _worst(part: HealthPart) -> float:
    return part.score if part.score is not None else 100.0


def _look(day: DaySummary, kpi: str) -> str:
    category = day.kpis[kpi].category if kpi in day.kpis else ""
    return f"first {LOOK_FIRST[category]}" if category in LOOK_FIRST else "first its query in Prometheus"
