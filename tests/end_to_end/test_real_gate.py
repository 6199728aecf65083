"""`postga gate` on a real Prometheus: the same answer as from a recording of it, and one when the server forgot."""

import json
from pathlib import Path

import pytest

from observability.verdicts import GateReport, Regression
from tests.programs import postga

ROOT = Path(__file__).parents[2]
RELEASE, RECORDING = ROOT / "test_data/release.yaml", ROOT / "test_data/recording"
BURST = "2025-11-20T14:20:00Z"


def gate(folder: Path, *flags: str) -> tuple[int, dict[str, GateReport]]:
    done = postga(folder, "gate", str(RELEASE), "--json", *flags)
    assert done.returncode in {0, 1, 4}, done.stderr
    services = json.loads(done.stdout)["services"]
    return done.returncode, {one["service"]: GateReport.model_validate(one) for one in services}


def figures(row: Regression) -> tuple[float | None, ...]:
    return row.baseline_value, row.current_value, row.change, row.points


@pytest.mark.parametrize(("since", "code"), [("GA", 4), (BURST, 1)])
def test_the_server_says_what_its_recording_says(prometheus_url: str, tmp_path: Path, since: str, code: int) -> None:
    asked, live = gate(tmp_path, "--since", since, "--prometheus-url", prometheus_url)
    read, recorded = gate(tmp_path, "--since", since, "--recording", str(RECORDING))
    assert asked == read == code
    for service, report in recorded.items():
        assert live[service].verdict == report.verdict
        for one, other in zip(live[service].rows, report.rows, strict=True):
            assert (one.metric_name, one.baseline, one.verdict) == (other.metric_name, other.baseline, other.verdict)
            for value, expected in zip(figures(one), figures(other), strict=True):
                assert value == (expected if expected is None else pytest.approx(expected, rel=1e-6))


def test_a_server_without_data_of_the_window_has_no_data(prometheus_url: str, tmp_path: Path) -> None:
    code, reports = gate(tmp_path, "--since", "2025-10-01T12:00:00Z", "--prometheus-url", prometheus_url)
    assert code == 4
    assert {report.verdict for report in reports.values()} == {"no data"}


def test_the_first_day_has_no_history(prometheus_url: str, tmp_path: Path) -> None:
    code, reports = gate(
        tmp_path, "--since", "2025-11-11T12:00:00Z", "--service", "checkout", "--prometheus-url", prometheus_url
    )
    assert code == 4
    assert reports["checkout"].verdict == "inconclusive"
