"""Write the JSON Schema of every artifact to ``docs/schemas/``, from the types that are written."""

from __future__ import annotations

import json
from pathlib import Path

from observability.artifacts import Artifact, DaySummary, PreReleaseSummary
from observability.events import AnomalyEvents, Notification
from observability.report import ReleaseIndex, Retrospective
from observability.verdicts import GateReport, HealthReport, RegressionSummary, SloReport

ARTIFACTS: dict[str, type[Artifact]] = {
    "day_summary": DaySummary,
    "pre_release_summary": PreReleaseSummary,
    "anomaly_events": AnomalyEvents,
    "notification": Notification,
    "health": HealthReport,
    "regression_summary": RegressionSummary,
    "slo_burn_down": SloReport,
    "gate": GateReport,
    "retrospective": Retrospective,
    "index": ReleaseIndex,
}

FOLDER = Path(__file__).parent.parent / "docs" / "schemas"


def schema_text(artifact: type[Artifact]) -> str:
    """The schema of what is accepted when the file is read. What the stages write keeps to it, with every key."""
    return json.dumps(artifact.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    for name, artifact in ARTIFACTS.items():
        (FOLDER / f"{name}.json").write_text(schema_text(artifact), encoding="utf-8")


if __name__ == "__main__":
    main()
