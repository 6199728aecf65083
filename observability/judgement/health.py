"""A day's health, 0 to 100, from error budgets, drifts against the GA day and anomalies, with its parts shown.

Each part scores 0–100 and counts by its weight. A part without data scores nothing: the score is the mean of the
others, capped at the share that could be assessed, of the weights and within them of the day, so that what was not
seen never counts as healthy. A day that spent ten days' budget, or on which a critical alert fired, is critical
whatever the rest says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from observability.artifacts import DaySummary, KpiSummary, SloDay
from observability.definitions import Direction
from observability.events import Anomaly, AnomalyEvents
from observability.judgement.objectives import allowed_events
from observability.judgement.slo import MIN_COVERAGE, MIN_EVENTS
from observability.judgement.summary import UNEXPECTED_DRIFT_PERCENT, worse
from observability.model import Window
from observability.units import format_value
from observability.verdicts import HealthPart, HealthReport

BUDGET_WEIGHT, DRIFT_WEIGHT, ANOMALY_WEIGHT = 50.0, 35.0, 15.0
ZERO_AT_BURN = 4.0  # a day that spends four days' budget scores 0
ZERO_AT_DRIFT_PERCENT = 50.0
VETO_BURN, VETO_CAP = 10.0, 30.0
POINTS = {"low": 2.0, "medium": 5.0, "high": 15.0, "critical": 30.0}
HEALTHY, DEGRADED = 90.0, 70.0
NO_DRIFT = "there is no GA value to compare with: none, 0, of other buckets, or of other hours"
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
}


def assess(day: DaySummary, events: AnomalyEvents | None) -> HealthReport:
    """The health of one day; of the release's anomalies, those of the day outside maintenance count."""
    of_day = _of_the_day(day, events)
    found = None if of_day is None else [event for event in of_day if not event.in_maintenance]
    parts = (
        *_budget_parts(day.slos),
        *_drift_parts(day.kpis),
        _anomaly_part(found, len(of_day or ()) - len(found or ())),
    )
    assessed = math.fsum(part.weight * _seen(part, day) for part in parts) / math.fsum(part.weight for part in parts)
    vetoes = _vetoes(day)
    score = _score(parts, assessed, bool(vetoes))
    return HealthReport(
        timestamp=day.timestamp,
        day_number=day.day_number,
        service=day.service,
        health_score=score,
        status=_status(score, bool(vetoes)),
        coverage=assessed,
        parts=parts,
        veto="; ".join(f"{kpi}: {why}" for kpi, why in vetoes.items()) or None,
        anomalies=None if found is None else len(found),
        mitigation_actions=_actions(day, parts, vetoes),
        warnings=(*_maintenance(day), *day.warnings),
    )


def _maintenance(day: DaySummary) -> list[str]:
    if day.is_all_maintenance:
        return ["The whole day is maintenance, so nothing was judged."]
    minutes = day.maintenance_seconds / 60
    return [f"Maintenance: {minutes:,.0f} minutes of the day are left out."] if day.maintenance_seconds > 0 else []


def _of_the_day(day: DaySummary, events: AnomalyEvents | None) -> list[Anomaly] | None:
    """Those that are not for the better, each once. None where the detector did not score the day: none could be
    found."""
    if events is None or day.window is None or (events.scored and not any(events.scored.values())):
        return None
    if events.window is not None and not _covers(events.window, day.window):
        return None
    of_day = [event for event in events.distinct if day.window.start <= event.timestamp < day.window.end]
    return [event for event in of_day if not event.is_better(_direction(day, event.metric_name))]


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
    return f"{format_value(burn, '')} times the day's error budget was spent"


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
        return HealthPart(name=name, weight=weight, score=None, kpi=name, why=kpi.note or NO_DRIFT)
    size = abs(drift) if worse(drift, kpi.direction) else 0.0
    why = f"{format_value(kpi.value, kpi.unit)}, {drift:+.1f} % against the GA day"
    score = _linear(size, UNEXPECTED_DRIFT_PERCENT, ZERO_AT_DRIFT_PERCENT)
    return HealthPart(name=name, weight=weight, score=score, kpi=name, why=why)


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


def _vetoes(day: DaySummary) -> dict[str, str]:
    """KPI → what makes the day critical whatever the rest says."""
    burns = sorted((burn, slo.kpi) for slo in day.slos if (burn := _burn(slo)) is not None)
    vetoes = {kpi: _spent(burn) for burn, kpi in burns if burn >= VETO_BURN}
    alerts = day.value("critical_incident_count")
    if alerts is not None and alerts > 0:
        vetoes["critical_incident_count"] = f"{alerts:.0f} critical alert{'s' if alerts != 1 else ''} fired"
    return vetoes


def _score(parts: Sequence[HealthPart], assessed: float, vetoed: bool) -> float | None:
    scored = [(part.weight, part.score) for part in parts if part.score is not None]
    if not any(part.kpi is not None and part.score is not None for part in parts):
        return None
    mean = math.fsum(weight * score for weight, score in scored) / math.fsum(weight for weight, _ in scored)
    return min(mean, 100.0 * assessed, VETO_CAP if vetoed else 100.0)


def _status(score: float | None, vetoed: bool) -> str:
    if vetoed:
        return "critical"
    if score is None:
        return "not assessable"
    return "healthy" if score >= HEALTHY else "degraded" if score >= DEGRADED else "unhealthy"


def _actions(day: DaySummary, parts: Sequence[HealthPart], vetoes: Mapping[str, str]) -> tuple[str, ...]:
    """The KPI, the figure and what to look at first: what is critical by itself, then the worst part first."""
    low = sorted((p.score, p.kpi, p.why) for p in parts if p.kpi and p.score is not None and p.score < DEGRADED)
    figures = dict(vetoes)
    for _, kpi, why in low:
        figures.setdefault(kpi, why)
    return tuple(f"Look into {kpi} ({why}): first {_look(day, kpi)}." for kpi, why in figures.items())


def _look(day: DaySummary, kpi: str) -> str:
    category = "incidents" if kpi == "critical_incident_count" else day.kpis[kpi].category if kpi in day.kpis else ""
    return LOOK_FIRST.get(category, "its query in Prometheus")
