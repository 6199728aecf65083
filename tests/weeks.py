"""Made-up artifacts of one service's week, quiet unless told otherwise, for the tests of the retrospective."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from observability.artifacts import CostDay, DaySummary, KpiSummary, PreReleaseSummary, RollbackRecommendation, SloDay
from observability.definitions import Direction
from observability.events import Anomaly, AnomalyEvents
from observability.model import SourceInfo, Window
from observability.report import Retrospective
from observability.verdicts import Regression, RegressionSummary, SloBurnDown
from retrospective.assemble import assemble

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = range(1, 8)
LOWER, HIGHER, BOTH = Direction.LOWER_IS_BETTER, Direction.HIGHER_IS_BETTER, Direction.TWO_SIDED

ABOUT: dict[str, tuple[str, Direction, str, str]] = {
    "overall_availability": ("%", HIGHER, "availability", "ratio"),
    "overall_error_rate": ("%", LOWER, "errors", "ratio"),
    "request_rate": ("requests/s", BOTH, "traffic", "rate"),
    "p50_latency_ms": ("ms", LOWER, "latency", "quantile"),
    "p99_latency_ms": ("ms", LOWER, "latency", "quantile"),
    "avg_p99_latency_ms": ("ms", LOWER, "latency", "quantile"),
    "avg_cpu_percent": ("%", LOWER, "resources", "utilisation"),
    "avg_memory_percent": ("%", LOWER, "resources", "utilisation"),
    "avg_redis_hit_rate": ("%", HIGHER, "redis", "ratio"),
    "throughput": ("jobs/s", HIGHER, "jobs", "gauge"),
    "critical_incident_count": ("incidents", LOWER, "incidents", "incidents"),
    "estimated_cost_per_hour": ("USD per hour", LOWER, "cost", "cost"),
}
QUIET = {
    "overall_availability": 99.98,
    "overall_error_rate": 0.02,
    "request_rate": 100.0,
    "p99_latency_ms": 400.0,
    "avg_cpu_percent": 50.0,
    "critical_incident_count": 0.0,
}


def kpi(name: str, value: float | None, **fields: Any) -> KpiSummary:
    unit, direction, category, kind = ABOUT[name]
    common = {"unit": unit, "direction": direction, "category": category, "kind": kind, "coverage": 1.0}
    return KpiSummary(**{"value": value, **common, **fields})


def slo(
    bad: float | None = 20,
    total: float | None = 100_000,
    *,
    name: str = "Availability",
    kpi: str = "overall_availability",
    target: float = 99.9,
    budget: float = 0.1,
    unit: str = "%",
) -> SloDay:
    counts_bad, known = target == budget, bad is not None and total
    return SloDay(
        slo_name=name,
        kpi=kpi,
        target=target,
        budget=budget,
        unit=unit,
        counts_bad=counts_bad,
        bad=bad,
        total=total,
        value=100 * (bad if counts_bad else total - bad) / total if known else None,
        compliant=100 * bad <= budget * total if known else None,
        coverage=1.0 if known else 0.0,
    )


def error_rate(bad: float | None = 20, total: float | None = 100_000) -> SloDay:
    return slo(bad, total, name="Error Rate", kpi="overall_error_rate", target=0.1)


def day(number: int, values: Mapping[str, float | None] | None = None, **fields: Any) -> DaySummary:
    """Day ``number`` of a quiet week with ``values`` over it; KpiSummary values stand as they are."""
    merged = {**QUIET, **(values or {})}
    start = GA + number * DAY
    return DaySummary(
        **{
            "timestamp": start if number == 0 else start + DAY - timedelta(seconds=1),
            "day_number": number,
            "service": "checkout",
            "release": "v1.0.1",
            "kpis": {name: v if isinstance(v, KpiSummary) else kpi(name, v) for name, v in merged.items()},
            "slos": (slo(),),
            "window": Window(start=start, end=start + DAY),
            "coverage": 1.0,
            "source": SourceInfo(prometheus="http://prometheus:9090", step_s=60),
            **fields,
        }
    )


def days(by_day: Mapping[int, Mapping[str, float | None]] | None = None, **fields: Any) -> list[DaySummary]:
    return [day(number, (by_day or {}).get(number), **fields) for number in WEEK]


def slo_days(by_day: Mapping[int, SloDay | Sequence[SloDay]]) -> list[DaySummary]:
    found = {n: (by_day.get(n, slo()),) if not isinstance(by_day.get(n), list) else tuple(by_day[n]) for n in WEEK}
    return [day(number, slos=slos) for number, slos in found.items()]


def cost(total: float | None, **parts: float) -> CostDay:
    return CostDay(currency="USD", hours=24, total=total, **parts)


def row(metric: str, before: float | None, after: float | None, **fields: Any) -> Regression:
    """One KPI against one baseline; not tested against the GA day, tested and not real against the week before."""
    unit, direction, category, kind = ABOUT[metric]
    change = after / before - 1 if before and after is not None else None
    baseline = fields.get("baseline", "week_before")
    return Regression(
        **{
            "metric_name": metric,
            "baseline": baseline,
            "severity": "medium",
            "category": category,
            "impact": "",
            "baseline_value": before,
            "current_value": after,
            "drift_percent": None if change is None else 100 * change,
            "threshold_exceeded": change is None or abs(change) > 0.3,
            "service": "checkout",
            "unit": unit,
            "direction": direction,
            "real": None if baseline == "ga_day" else False,
            "change": change,
            "of_bad_share": kind == "ratio" and direction is HIGHER,
            "days": 7,
            **fields,
        }
    )


def regression(*rows: Regression, back: bool | None = False, quiet: bool = True, **fields: Any) -> RegressionSummary:
    """The rows in the lists that their sizes put them in, over quiet rows for the KPIs that they do not name."""
    named = {(one.metric_name, one.baseline) for one in rows}
    others = [
        row(metric, value, value, baseline=baseline)
        for metric, value in QUIET.items()
        for baseline in ("week_before", "ga_day")
        if quiet and metric != "critical_incident_count" and (metric, baseline) not in named
    ]
    sizes = [(abs(one.change) if one.change is not None else 9.9 if one.threshold_exceeded else 0.0) for one in rows]
    return RegressionSummary(
        service="checkout",
        regressions=tuple(one for one, size in zip(rows, sizes, strict=True) if size > 0.3),
        unexpected_drifts=tuple(one for one, size in zip(rows, sizes, strict=True) if 0.1 < size <= 0.3),
        within_range=(*(one for one, size in zip(rows, sizes, strict=True) if size <= 0.1), *others),
        rollback_recommendation=RollbackRecommendation(should_rollback=back, reason="As told."),
        **fields,
    )


def burn_down(bad: float, total: float, **fields: Any) -> SloBurnDown:
    """Of Availability (99.9 %) over eight days: budget 0.1 % of the events."""
    burn = bad / (0.001 * total)
    spent = burn * 8 / 30
    return SloBurnDown(
        **{
            "slo_name": "Availability",
            "kpi": "overall_availability",
            "target": 99.9,
            "budget": 0.1,
            "value": 100 * (1 - bad / total),
            "bad": bad,
            "total": total,
            "burn_rate": burn,
            "budget_consumed_percent": 100 * burn,
            "budget_consumed_30d_percent": 100 * spent,
            "days_to_exhaustion": None if burn == 0 else max(0.0, 1 - spent) * 30 / burn,
            "coverage": 1.0,
            "verdict": "fail" if burn > 1 else "pass",
            **fields,
        }
    )


def anomaly(metric: str = "p99_latency_ms", hours: float = 62, **fields: Any) -> Anomaly:
    at = GA + timedelta(hours=hours)
    common = {"severity": "high", "category": ABOUT[metric][2], "unit": ABOUT[metric][0]}
    return Anomaly(
        **{"timestamp": at, "metric_name": metric, "value": 9.0, "baseline": 4.0, "z_score": 8.0, **common, **fields}
    )


def events(*anomalies: Anomaly, **fields: Any) -> AnomalyEvents:
    return AnomalyEvents(
        **{"service": "checkout", "scored": {"p99_latency_ms": 11_520}, "anomalies": anomalies, **fields}
    )


def before(**fields: Any) -> PreReleaseSummary:
    return PreReleaseSummary(service="checkout", days=tuple(day(number, **fields) for number in range(-7, 0)))


def report(**inputs: Any) -> Retrospective:
    """The retrospective of a quiet week, with the named inputs in place of its own."""
    quiet = {
        "ga": day(0),
        "days": days(),
        "before": before(),
        "regression": regression(),
        "anomalies": events(),
        "slos": (burn_down(160, 800_000),),
    }
    return assemble(**{**quiet, **inputs})


def legacy(number: int, **values: float) -> DaySummary:
    """A summary as older tools wrote it: the flat keys and nothing else."""
    flat = {
        "overall_availability": 99.95,
        "overall_error_rate": 0.05,
        "avg_p99_latency_ms": 412.0,
        "avg_cpu_percent": 45.2,
        "critical_incident_count": 0,
        "estimated_cost_per_hour": 12.5,
    }
    timestamp = GA if number == 0 else GA + (number + 1) * DAY - timedelta(seconds=1)
    return DaySummary.model_validate({"timestamp": timestamp, "day_number": number, **flat, **values})
