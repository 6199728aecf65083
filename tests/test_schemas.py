"""The artifacts' schemas: docs/schemas/ says what the types say, and what the types write is what the schemas allow."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from observability.artifacts import FLAT_KEYS, Artifact, DaySummary
from observability.events import AnomalyEvents
from scripts.export_schemas import ARTIFACTS, FOLDER, schema_text

GA = "2025-11-18T00:00:00Z"
WINDOW = {"start": GA, "end": "2025-11-19T00:00:00Z"}
SOURCE = {"prometheus": "http://localhost:9090", "step_s": 60}
KPI = {
    "value": 0.0,
    "unit": "%",
    "direction": "lower is better",
    "category": "errors",
    "kind": "ratio",
    "coverage": 0.5,
    "n": 720,
    "numerator": 0.0,
    "denominator": 86_400.0,
    "hourly": [0.0, None],
}
SLO_DAY = {
    "slo_name": "Availability",
    "kpi": "overall_availability",
    "target": 99.9,
    "budget": 0.1,
    "unit": "%",
    "counts_bad": False,
    "bad": None,
    "total": None,
    "value": None,
    "compliant": None,
    "coverage": 0.0,
    "note": "no requests were counted",
}
DAY = {
    "timestamp": "2025-11-18T23:59:59Z",
    "overall_availability": 99.95,
    "critical_incident_count": 0,
    "kpis": {"overall_error_rate": KPI},
    "slos": [SLO_DAY],
    "cost": {"currency": "EUR", "hours": 24.0, "compute": 0.0},
    "window": WINDOW,
    "coverage": 1.0,
    "rollback_recommendation": {"should_rollback": False, "reason": "one day is not evidence"},
    "source": SOURCE,
    "queries": {"http_requests": "http_requests_total"},
}
REGRESSION = {
    "metric_name": "p99_latency_ms",
    "severity": "high",
    "category": "latency",
    "impact": "Slower answers",
    "baseline_value": 200.0,
    "current_value": 300.0,
    "drift_percent": 50.0,
    "threshold_exceeded": True,
    "interval": [0.4, 0.6],
    "onset": GA,
}
BURN_DOWN = {
    "slo_name": "Availability",
    "target": 99.9,
    "budget": 0.1,
    "budget_consumed_percent": 500.0,
    "days_to_exhaustion": None,
    "compliance_by_day": [{"day": 0, "value": 99.5, "compliant": False, "budget_consumed": 500.0}],
}
ANOMALY = {
    "timestamp": "2025-11-18T12:00:00.500Z",
    "metric_name": "request_rate",
    "value": 0.0,
    "baseline": 12.5,
    "z_score": None,
    "severity": "critical",
    "category": "traffic",
    "start": GA,
    "direction": "down",
    "band": [10.0, 15.0],
}
MOVED = {
    "metric_name": "request_rate",
    "since": GA,
    "noticed": "2025-11-21T00:00:00Z",
    "before": 12.5,
    "after": 20.0,
    "settled": False,
    "category": "traffic",
}
INCIDENT = {
    "id": "default/incident/2025-11-18T00:00:00Z",
    "start": GA,
    "noticed": "2025-11-18T00:02:00Z",
    "end": "2025-11-18T00:12:00Z",
    "severity": "high",
    "score": 9.5,
    "threshold": 6.2,
    "suspects": [{"metric_name": "request_rate", "category": "traffic", "share": 0.75, "since": GA, "value": 0.0}],
    "earliest": "request_rate",
    "anomalies": ["default/request_rate/significance/2025-11-18T00:00:00Z"],
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "day_summary": DAY,
    "pre_release_summary": {"days": [DAY], "warnings": ["day -7 is gone"]},
    "anomaly_events": {
        "anomalies": [ANOMALY],
        "new_levels": [MOVED],
        "scored": {"request_rate": 1440},
        "incidents": [INCIDENT],
    },
    "notification": {
        "id": "default/incident/2025-11-18T00:00:00Z/open",
        "status": "open",
        "at": "2025-11-18T00:02:00Z",
        "release": "v1.0.1",
        "incident": INCIDENT,
    },
    "health": {
        "timestamp": GA,
        "day_number": 1,
        "health_score": None,
        "status": "not assessable",
        "coverage": 0.0,
        "parts": [{"name": "errors", "weight": 0.4, "score": None, "kpi": None, "why": "no data"}],
    },
    "regression_summary": {
        "window": WINDOW,
        "regressions": [REGRESSION],
        "rollback_recommendation": {"should_rollback": None, "reason": "not enough data"},
    },
    "slo_burn_down": {"window": WINDOW, "slo_burn_downs": [BURN_DOWN]},
    "retrospective": {
        "generation_timestamp": "2025-11-26T00:00:00Z",
        "ga_day_timestamp": GA,
        "seven_day_end_timestamp": "2025-11-25T23:59:59Z",
        "cost_analysis": {
            "ga_day_cost": None,
            "seven_day_total_cost": None,
            "daily_average_cost": None,
            "cost_trend": "unknown",
            "cost_breakdown": {"compute": None},
        },
        "slo_burn_downs": [BURN_DOWN],
        "regressions": [REGRESSION],
        "incidents": [INCIDENT],
        "anomalies": [ANOMALY],
        "overall_status": "NEEDS ATTENTION",
        "advice": "fix forward",
        "why": "the budget is gone",
        "health_by_day": {"1": None, "2": 0.0},
    },
    "gate": {
        "service": "checkout",
        "release": "v1.0.1",
        "since": GA,
        "window": {"start": GA, "end": "2025-11-18T00:30:00Z"},
        "verdict": "inconclusive",
        "why": "half an hour is too short",
        "rows": [REGRESSION],
    },
    "index": {
        "release": "v1.0.1",
        "ga_day_timestamp": GA,
        "services": [
            {
                "service": "checkout",
                "overall_status": "CRITICAL",
                "advice": "roll back",
                "why": "the budget is gone",
                "coverage": 1.0,
                "report": "checkout/docs/final/GA_7DAY_RETROSPECTIVE.md",
            }
        ],
    },
}

pairs = pytest.mark.parametrize(("name", "artifact"), ARTIFACTS.items(), ids=list(ARTIFACTS))


def exported(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pairs
def test_the_exported_schema_is_that_of_the_type(name: str, artifact: type[Artifact]) -> None:
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert text == schema_text(artifact), "run `make reference`"


def test_no_schema_is_left_of_a_type_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(ARTIFACTS)


@pairs
def test_an_example_comes_back_as_it_was(name: str, artifact: type[Artifact]) -> None:
    first = artifact.model_validate(EXAMPLES[name])
    written = first.model_dump_json()
    assert artifact.model_validate_json(written) == first
    assert contains(json.loads(written), EXAMPLES[name])


@pairs
def test_what_is_written_keeps_to_the_exported_schema(name: str, artifact: type[Artifact]) -> None:
    written = json.loads(artifact.model_validate(EXAMPLES[name]).model_dump_json())
    assert set(written) == set(exported(name)["properties"])
    Draft202012Validator(exported(name)).validate(written)


@pairs
def test_the_schema_refuses_another_version(name: str, artifact: type[Artifact]) -> None:
    written = json.loads(artifact.model_validate(EXAMPLES[name]).model_dump_json())
    assert not Draft202012Validator(exported(name)).is_valid(written | {"schema_version": 2})


def test_a_summary_of_nothing_but_the_flat_keys_is_read() -> None:
    flat = {"timestamp": GA} | dict.fromkeys(FLAT_KEYS, 0.0)
    Draft202012Validator(exported("day_summary")).validate(flat)
    summary = DaySummary.model_validate(flat)
    assert [summary.value(key) for key in FLAT_KEYS] == [0.0] * len(FLAT_KEYS)


def test_a_bare_list_of_events_is_read() -> None:
    assert AnomalyEvents.model_validate([ANOMALY]) == AnomalyEvents.model_validate({"anomalies": [ANOMALY]})


def contains(whole: Any, part: Any) -> bool:
    """Whether ``part`` stands in ``whole``, which may have further keys."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)
