"""`postga run` on a recording: it carries on where it stopped, and redoes only what its inputs ask for."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from observability import gather
from observability.errors import ConfigError, NotEnoughDataError
from observability.layout import Layout
from observability.release import load
from observability.store import Store
from observability.week import Week

ROOT = Path(__file__).parents[1]
RELEASE, RECORDING = ROOT / "test_data/release.yaml", ROOT / "test_data/recording"
AFTER = datetime(2025, 11, 26, tzinfo=UTC)
BASELINE, ANOMALIES = "GA day and the week before it", "anomalies"
CONCLUSIONS = [
    f"{what} of {service}" for service in ("checkout", "reports") for what in ("regressions and SLOs", "retrospective")
]
HEALTH = ["health of checkout", "health of reports"]


def ran(output: Path, recording: Path = RECORDING, release: Path = RELEASE, now: datetime = AFTER) -> list[str]:
    """Run the week; the stages that were not found unchanged, and warnings."""
    found, stages_run = load(release), []
    week = Week(
        release=found,
        source=gather.open_source(found, recording),
        layout=Layout(Store(output), found.services),
        identity=gather.identity(found, recording),
        now=now,
        report=lambda stage, did_run: stages_run.append(stage) if did_run else None,
        warn=lambda text: stages_run.append(f"warning: {text}"),
        folder=str(release.parent),
    )
    week.run()
    return stages_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("week")
    every = [BASELINE, *(f"day {n}" for n in range(1, 8)), ANOMALIES, *HEALTH, *CONCLUSIONS]
    assert ran(output) == every
    return output


@pytest.fixture
def output(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "week"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_runs_nothing(output: Path) -> None:
    before = contents(output)
    assert ran(output) == []
    assert contents(output) == before


def test_a_lost_artifact_is_made_again_with_the_same_bytes(output: Path) -> None:
    before = contents(output)
    (output / "checkout/stability/day_03_summary.json").unlink()
    assert ran(output) == ["day 3"]
    assert contents(output) == before


def test_a_changed_artifact_is_made_again(output: Path) -> None:
    before = contents(output)
    path = output / "reports/anomaly_events.json"
    path.write_bytes(path.read_bytes() + b" ")
    assert ran(output) == [ANOMALIES]
    assert contents(output) == before


def test_a_changed_release_file_is_judged_again(output: Path, tmp_path: Path) -> None:
    release = tmp_path / "release.yaml"
    release.write_text(
        RELEASE.read_text() + "slos: [{name: Availability, kpi: overall_availability, objective: 99.99}]\n"
    )
    assert BASELINE in ran(output, release=release)
    summary = json.loads((output / "checkout/stability/day_01_summary.json").read_text())
    assert [slo["target"] for slo in summary["slos"]] == [99.99]


def test_a_broken_ledger_only_costs_time(output: Path) -> None:
    before = contents(output)
    (output / "run_ledger.json").write_text('{"day 1": ')
    assert len(ran(output)) == 15
    assert contents(output) == before


def test_a_week_that_is_not_over_does_what_it_can_and_says_when_to_come_back(tmp_path: Path, finished: Path) -> None:
    for now, words in (
        (datetime(2025, 11, 18, 23, tzinfo=UTC), "0 of 7 days are over, and the GA day ends at 2025-11-19T00:00:00Z"),
        (datetime(2025, 11, 21, 6, tzinfo=UTC), "2 of 7 days are over, and day 3 ends at 2025-11-22T00:00:00Z"),
    ):
        with pytest.raises(NotEnoughDataError, match=words):
            ran(tmp_path, now=now)
    assert (tmp_path / "checkout/stability/day_02_HEALTH.json").exists()
    assert not (tmp_path / "checkout/stability/day_03_summary.json").exists()
    assert ran(tmp_path)[0] == "day 3"
    assert contents(tmp_path) == contents(finished)


def test_a_day_without_data_is_missing_in_the_report_and_stops_nothing(tmp_path: Path) -> None:
    recording = Path(shutil.copytree(RECORDING, tmp_path / "recording"))
    for service in ("checkout", "reports"):
        (recording / service / "evidence/day_04.csv.gz").unlink()
    stages_run = ran(tmp_path / "week", recording)
    assert [text for text in stages_run if text.startswith("warning: ")]
    report = json.loads((tmp_path / "week/checkout/docs/final/GA_7DAY_RETROSPECTIVE.json").read_text())
    assert 4 not in report["days_present"]
    assert report["overall_status"] != "EXCELLENT"


def test_a_run_that_is_killed_carries_on(finished: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from observability.cli import main; main()", "run", str(RELEASE)]
    flags = ["--recording", str(RECORDING), "--output-dir", str(tmp_path), "--now", "2025-11-26T00:00:00Z"]
    with subprocess.Popen([*command, *flags], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        while b"day 2" not in process.stderr.readline():
            pass
        process.kill()
    assert BASELINE not in ran(tmp_path)
    kept = contents(tmp_path)
    kept.pop(".postga.lock", None)
    assert kept == contents(finished)


def test_a_recording_is_read_afresh_when_it_has_changed(output: Path, tmp_path: Path) -> None:
    """It is at hand as it is: what an earlier run kept of it does not stand in for it."""
    recording = Path(shutil.copytree(RECORDING, tmp_path / "recording"))
    for service in ("checkout", "reports"):
        (recording / service / "evidence/day_04.csv.gz").unlink()
    assert [text for text in ran(output, recording) if text.startswith("warning: ") and "day_04" in text]
    report = json.loads((output / "checkout/docs/final/GA_7DAY_RETROSPECTIVE.json").read_text())
    assert report["days_present"] == [1, 2, 3, 5, 6, 7]


# Baselines that the release file names


def naming(folder: Path, text: str) -> Path:
    """The release file with more fields, in a folder of its own."""
    path = folder / "release.yaml"
    path.write_text(RELEASE.read_text() + text)
    return path


def former(finished: Path, folder: Path, services: tuple[str, ...] = ("checkout", "reports")) -> Path:
    """The week before GA, as the summaries that another release might have left."""
    for service in services:
        source = finished / service / "ga_kpis/pre_release_summary.json"
        days = json.loads(source.read_text())["days"]
        (folder / service / "stability").mkdir(parents=True)
        for number, day in enumerate(days, 1):
            text = json.dumps({**day, "day_number": number})
            (folder / service / f"stability/day_{number:02d}_summary.json").write_text(text)
    return folder


def used(output: Path, service: str) -> dict[str, dict[str, object]]:
    summary = json.loads((output / service / "regression_summary.json").read_text())
    return {one["name"]: one for one in summary["baselines"]}


def test_a_named_baseline_makes_the_regressions_again_and_nothing_else(output: Path, tmp_path: Path) -> None:
    past = former(output, tmp_path / "v1")
    release = naming(tmp_path, "baselines: {v1.0.0: v1}\ngood_day: -2\n")
    assert ran(output, release=release) == CONCLUSIONS
    assert used(output, "checkout")["v1.0.0"]["days"] == 7
    assert used(output, "checkout")["v1.0.0"]["source"] == "v1"
    assert used(output, "checkout")["good_day"]["days"] == 1
    assert "`v1.0.0`" in (output / "checkout/regression_summary.md").read_text()
    assert ran(output, release=release) == []
    path = past / "reports/stability/day_03_summary.json"
    path.write_text(path.read_text() + " ")
    assert ran(output, release=release) == ["regressions and SLOs of reports"]
    (past / "checkout/stability/day_07_summary.json").unlink()
    assert "regressions and SLOs of checkout" in ran(output, release=release)
    assert used(output, "checkout")["v1.0.0"]["days"] == 6


def test_a_service_that_the_former_release_did_not_have(output: Path, tmp_path: Path) -> None:
    former(output, tmp_path / "v1", ("checkout",))
    ran(output, release=naming(tmp_path, "baselines: {v1: v1}\n"))
    assert "v1" in used(output, "checkout")
    assert "v1" not in used(output, "reports")


def test_a_lost_markdown_is_made_again(output: Path) -> None:
    before = contents(output)
    (output / "checkout/regression_summary.md").unlink()
    assert ran(output) == ["regressions and SLOs of checkout"]
    assert contents(output) == before


def test_a_baseline_that_cannot_be_read_is_told_before_the_week_is_over(output: Path, tmp_path: Path) -> None:
    """And after what was to be collected has been."""
    release, early = naming(tmp_path, "baselines: {v1: nowhere}\n"), datetime(2025, 11, 21, 6, tzinfo=UTC)
    with pytest.raises(ConfigError, match="nowhere is not there"):
        ran(tmp_path / "week", release=release, now=early)
    assert (tmp_path / "week/checkout/stability/day_02_HEALTH.json").exists()
