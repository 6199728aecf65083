"""A week run on a real Prometheus, and the same week from its recording and from its evidence."""

import subprocess
from pathlib import Path

import pytest

from tests.programs import ROOT, postga

RELEASE = str(ROOT / "test_data/release.yaml")
AFTER = ("--now", "2025-11-26T00:00:00Z")
LEDGER, LOCK = "run_ledger.json", ".postga.lock"


@pytest.fixture(scope="module")
def folder(prometheus_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One in which the week was run on the server, in ``week``, and recorded, in ``recording``."""
    folder = tmp_path_factory.mktemp("replay")
    server = ("--prometheus-url", prometheus_url)
    done(postga(folder, "run", RELEASE, *server, "--output-dir", "week", *AFTER))
    done(postga(folder, "record", RELEASE, *server, "--output-dir", "recording", *AFTER))
    return folder


def done(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 0, process.stderr
    return process.stdout


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in {LEDGER, LOCK}]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_what_was_recorded_is_the_evidence_of_the_run(folder: Path) -> None:
    week = contents(folder / "week")
    assert contents(folder / "recording") == {
        name: content for name, content in week.items() if "evidence/" in name or name == "recording.json"
    }
    assert len(contents(folder / "recording")) == 1 + 2 * 15


@pytest.mark.parametrize("recording", ["recording", "week"])
def test_a_run_on_the_recording_is_the_run_on_the_server(folder: Path, recording: str) -> None:
    output = f"from {recording}"
    done(postga(folder, "run", RELEASE, "--recording", recording, "--output-dir", output, *AFTER))
    assert contents(folder / output) == contents(folder / "week")


def test_a_rebuilt_week_is_the_week_of_the_server(folder: Path) -> None:
    done(postga(folder, "rebuild", RELEASE, "--output-dir", "recording", *AFTER))
    assert contents(folder / "recording") == contents(folder / "week")
