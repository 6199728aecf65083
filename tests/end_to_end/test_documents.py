"""The documents' commands as printed (but for the URL), and `postga run`, against a real Prometheus."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test_data.events import CHECKOUT, REPORTS
from test_data.truth import truth
from test_data.week import Week

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "test_data/release.yaml"
SECTIONS = (
    "Executive Summary",
    "What Went Well",
    "What Could Be Improved",
    "Unexpected Drifts",
    "Cost Analysis",
    "SLO Compliance Summary",
    "Recommendations for v1.0.2",
    "Process Improvements",
    "Action Items",
)


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line as the documents print it, with this Python as `python`."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(prometheus_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which every command of the quickstart guide was run once, in its order."""
    folder = tmp_path_factory.mktemp("documents")
    for package in ("observability", "retrospective", "scripts"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    commands = [
        f"""python observability/ga_kpi_collector.py \\
  --prometheus-url {prometheus_url} \\
  --output-dir ga_kpis \\
  --ga-timestamp "2025-11-18T00:00:00Z"
""",
        *(
            f"""python observability/stability_monitor_7day.py \\
  --prometheus-url {prometheus_url} \\
  --output-dir stability \\
  --day-number {number} \\
  --ga-baseline ga_kpis/ga_kpi_summary.json
"""
            for number in range(1, 7)
        ),
        # The line of the documents' cron job: every flag but the day has a default.
        "python observability/stability_monitor_7day.py --day-number 7",
        f"""python observability/anomaly_detector_lightweight.py \\
  --prometheus-url {prometheus_url} \\
  --output-file anomaly_events.json \\
  --baseline ga_kpis/ga_kpi_summary.json \\
  --z-threshold 3.0
""",
        *(
            f"""python observability/daily_health_reporter.py \\
  --stability-data stability/day_{number:02d}_summary.json \\
  --anomaly-data anomaly_events.json \\
  --output-file stability/day_{number:02d}_HEALTH.json \\
  --day-number {number}
"""
            for number in range(1, 8)
        ),
        """python observability/regression_analyzer.py \\
  --ga-baseline ga_kpis/ga_kpi_summary.json \\
  --7day-summaries stability \\
  --output regression_summary.json
""",
        "python scripts/generate_retrospective.py --auto",
    ]
    for command in commands:
        done = run(command, folder, PROMETHEUS_URL=prometheus_url)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stderr == "", command
    return folder


@pytest.fixture(scope="module")
def true(week: Week) -> dict[str, Any]:
    services: dict[str, Any] = truth(week)["services"]
    return services


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("number", range(8))
def test_ratios_without_a_release_file_are_those_of_all_services(
    folder: Path, true: dict[str, Any], number: int
) -> None:
    summary = read(
        folder / ("ga_kpis/ga_kpi_summary.json" if number == 0 else f"stability/day_{number:02d}_summary.json")
    )
    errors = sum(true[service][str(number)]["errors"] for service in (CHECKOUT, REPORTS))
    requests = sum(true[service][str(number)]["requests"] for service in (CHECKOUT, REPORTS))
    assert summary["service"] == "default"
    assert summary["overall_error_rate"] == pytest.approx(100 * errors / requests, rel=1e-3)
    assert summary["overall_availability"] == pytest.approx(100 * (1 - errors / requests), rel=1e-3)
    assert summary["kpis"]["overall_error_rate"]["denominator"] == requests


def test_the_error_burst_is_on_day_2_alone(folder: Path) -> None:
    alerts = [
        read(folder / f"stability/day_{number:02d}_summary.json")["critical_incident_count"] for number in range(1, 8)
    ]
    assert alerts == [0, 1, 0, 0, 0, 0, 0]
    slos = [read(folder / f"stability/day_{number:02d}_summary.json")["slos"][0] for number in range(1, 8)]
    assert [slo["compliant"] for slo in slos] == [True, False, True, True, True, True, True]
    assert read(folder / "stability/day_02_HEALTH.json")["status"] == "critical"


def test_the_textbook_detector_scored_because_its_flag_was_given(folder: Path) -> None:
    events = read(folder / "anomaly_events.json")
    channels = events["detector"]["channels"]
    assert list(channels) == ["significance", "novelty", "ewma"]
    assert (channels["ewma"]["alpha"], channels["ewma"]["threshold"]) == (0.3, 3.0)
    textbook = [e for e in events["anomalies"] if e["channel"] == "ewma"]
    burst = [e for e in textbook if e["metric_name"] == "overall_error_rate" and e["severity"] == "critical"]
    assert any(event["timestamp"].startswith("2025-11-20") for event in burst)


def test_without_prices_there_is_no_cost(folder: Path) -> None:
    report = read(folder / "docs/final/GA_7DAY_RETROSPECTIVE.json")
    assert report["cost_analysis"]["seven_day_total_cost"] is None


def test_the_report_has_all_sections(folder: Path) -> None:
    text = (folder / "docs/final/GA_7DAY_RETROSPECTIVE.md").read_text()
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("## ")]
    found = [next((section for section in SECTIONS if section in heading), None) for heading in headings]
    assert tuple(section for section in found if section) == SECTIONS


@pytest.fixture(scope="module")
def live(prometheus_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("live")
    done = run(f"postga run {RELEASE} --prometheus-url {prometheus_url} --output-dir {output}", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(output / "index.md")
    return output


@pytest.mark.parametrize("service", [CHECKOUT, REPORTS])
@pytest.mark.parametrize("number", range(-7, 8))
def test_a_run_agrees_with_the_truth(live: Path, true: dict[str, Any], service: str, number: int) -> None:
    expected = true[service][str(number)]
    if number < 0:
        summary = read(live / service / "ga_kpis/pre_release_summary.json")["days"][number]
    elif number == 0:
        summary = read(live / service / "ga_kpis/ga_kpi_summary.json")
    else:
        summary = read(live / service / f"stability/day_{number:02d}_summary.json")
    assert summary["day_number"] == number
    assert summary["overall_error_rate"] == pytest.approx(100 * expected["errors"] / expected["requests"], rel=1e-3)
    for name in ("p50_latency_ms", "p95_latency_ms", "p99_latency_ms"):
        raw = expected["http_latency_raw"][name.replace("_latency", "")]
        assert within_its_bucket(summary["kpis"][name], raw), name


def within_its_bucket(kpi: dict[str, Any], true_ms: float) -> bool:
    """Interpolation can be off by the width of the bucket that the true quantile lies in, and no more."""
    bounds = [0.0, *(1000 * float(bound) for bound in kpi["buckets"] if bound != "+Inf")]
    low = max(bound for bound in bounds if bound <= true_ms)
    high = min(bound for bound in bounds if bound >= true_ms)
    return abs(kpi["value"] - true_ms) <= high - low


def test_a_run_from_its_own_evidence_writes_the_same_bytes(live: Path, tmp_path: Path) -> None:
    done = run(f"postga run {RELEASE} --recording {live} --output-dir {tmp_path}", tmp_path)
    assert done.returncode == 0, done.stderr
    for path in sorted(live.rglob("*")):
        if path.is_file() and path.name not in {"run_ledger.json", ".postga.lock"}:
            assert (tmp_path / path.relative_to(live)).read_bytes() == path.read_bytes(), path


def test_a_second_run_finds_everything_unchanged(live: Path, prometheus_url: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in live.rglob("*.json")}
    done = run(f"postga run {RELEASE} --prometheus-url {prometheus_url} --output-dir {live}", live)
    stages = done.stderr.splitlines()
    assert len(stages) == 15
    assert all(line.endswith("unchanged") for line in stages), done.stderr
    changed = {path.name for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed <= {"index.json"}
