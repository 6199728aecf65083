"""Folders and files that cannot be used: one sentence that names them, and nothing half written or lost."""

import ctypes
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from observability.cli import app
from observability.errors import ConfigError
from tests.gauges import Gauges
from tests.programs import ROOT, SCRIPTS, postga
from tests.test_bad_input import assert_fails, nothing_written

AFTER = ("--now", "2025-12-01T00:00:00Z")
FLAT = {
    "ga_kpis": "ga_kpis",
    "stability": "stability",
    "health": "stability",
    "regression": ".",
    "anomalies": ".",
}
COLLECTING = [
    "run release.yaml --output-dir out",
    "record release.yaml --output-dir out",
    "baseline --release release.yaml --output-dir out/ga_kpis",
    "baseline --release release.yaml --output-dir out/ga_kpis --end 2025-11-18T12:00:00Z",
    "day --release release.yaml --day-number 1 --ga-baseline ga_kpis/ga_kpi_summary.json --output-dir out/stability",
    "detect --release release.yaml --output-file out/anomalies.json",
]


@pytest.fixture
def folder(httpserver: HTTPServer, tmp_path: Path) -> Path:
    """One with a release file, and with the GA summary that the stages after the first need."""
    Gauges(httpserver).release_file(tmp_path)
    done = postga(tmp_path, "baseline", "--release", "release.yaml", *AFTER)
    assert done.returncode == 0, done.stderr
    return tmp_path


def limited(folder: Path, limit: Callable[[], None], *flags: str) -> subprocess.CompletedProcess[str]:
    """`postga`, with something taken from its process."""
    command = [str(SCRIPTS / "postga"), *flags, *AFTER]
    return subprocess.run(command, cwd=folder, preexec_fn=limit, capture_output=True, text=True, check=False)


def no_superuser() -> None:
    """Root may write everywhere; without CAP_DAC_OVERRIDE (1) it may not. prctl(2), PR_CAPBSET_DROP (24)."""
    ctypes.CDLL(None).prctl(24, 1)


def small_files_only() -> None:
    """As on a disk that gets full: what is longer than 200 bytes cannot be written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))


@pytest.mark.parametrize("command", COLLECTING)
def test_a_folder_that_is_read_only(folder: Path, command: str) -> None:
    (folder / "out").mkdir()
    (folder / "out").chmod(0o555)
    done = limited(folder, no_superuser, *command.split())
    assert_fails(done, 2, "out cannot be written: Permission denied; make it writable, or name another folder")
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("command", COLLECTING)
def test_a_folder_that_is_a_file(folder: Path, command: str) -> None:
    (folder / "out").write_text("mine")
    assert_fails(postga(folder, *command.split(), *AFTER), 2, "out cannot be written: ")
    assert (folder / "out").read_text() == "mine"


@pytest.mark.parametrize("command", COLLECTING)
def test_a_disk_that_gets_full(folder: Path, command: str) -> None:
    done = limited(folder, small_files_only, *command.split())
    assert_fails(done, 2, "out/", "cannot be written: File too large; make room, or name another folder")
    assert nothing_written(folder / "out")


def test_a_folder_without_evidence_cannot_be_rebuilt(folder: Path) -> None:
    assert_fails(postga(folder, "rebuild", "release.yaml", "--output-dir", "nowhere"), 2, "nowhere/recording.json")
    assert not (folder / "nowhere").exists()


# Artifacts


def flat(folder: Path) -> Path:
    """The shipped artifacts where the documents have them."""
    for source, target in FLAT.items():
        shutil.copytree(ROOT / "test_data" / source, folder / target, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("ga_kpis/ga_kpi_summary.json", "retrospective --auto"),
        ("ga_kpis/ga_kpi_summary.json", "slo"),
        ("ga_kpis/pre_release_summary.json", "retrospective --auto"),
        ("ga_kpis/pre_release_summary.json", "regressions"),
        ("stability/day_04_summary.json", "retrospective --auto"),
        ("stability/day_04_summary.json", "regressions"),
        ("stability/day_04_summary.json", "slo"),
        ("stability/day_04_summary.json", "health --day-number 4"),
        ("stability/day_04_HEALTH.json", "retrospective --auto"),
        ("anomaly_events.json", "health --day-number 4"),
        ("anomaly_events.json", "retrospective --auto"),
        ("regression_summary.json", "retrospective --auto"),
    ],
)
def test_an_artifact_that_is_empty_cut_off_or_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = flat(tmp_path) / name
    whole = path.read_text()
    for broken, words in (
        ("", "is not JSON"),
        (whole[: len(whole) // 2], "is not JSON"),
        ("[1]", ""),
        (whole.replace('"schema_version": 1', '"schema_version": 2', 1), "has schema version 2, and this postga reads"),
    ):
        path.write_text(broken)
        before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
        with pytest.raises(ConfigError, match=f"^{name}.*{words}"):
            app(command.split(), standalone_mode=False)
        assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before


# Evidence


@pytest.mark.parametrize("broken", [b"", b"half"], ids=["empty", "truncated"])
@pytest.mark.parametrize(
    "command",
    [
        "rebuild release.yaml --output-dir recording",
        "run release.yaml --recording recording --output-dir out",
        "baseline --release release.yaml --recording recording --output-dir out/ga_kpis",
        "detect --release release.yaml --recording recording --output-file out/anomalies.json",
    ],
)
def test_evidence_that_is_empty_or_cut_off(folder: Path, command: str, broken: bytes) -> None:
    assert postga(folder, "record", "release.yaml", "--output-dir", "recording", *AFTER).returncode == 0
    path = folder / "recording/evidence/day_-2.csv.gz"
    path.write_bytes(path.read_bytes()[:-20] if broken else b"")
    before = {each: each.read_bytes() for each in (folder / "recording").rglob("*") if each.is_file()}
    done = postga(folder, *command.split(), *AFTER)
    assert_fails(done, 2, "recording/evidence/day_-2.csv.gz is not an evidence file that can be used")
    assert {each: each.read_bytes() for each in (folder / "recording").rglob("*") if each.is_file()} == before
    assert not list((folder / "out").rglob("*summary.json"))


def test_evidence_that_is_broken_is_collected_again_and_named_where_that_cannot_be(
    httpserver: HTTPServer, folder: Path
) -> None:
    record = ("record", "release.yaml", "--output-dir", "recording", *AFTER)
    assert postga(folder, *record).returncode == 0
    path = folder / "recording/evidence/day_03.csv.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert postga(folder, *record).returncode == 0
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-20])
    httpserver.clear()
    Gauges(httpserver).first = 4
    done = postga(folder, *record)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: recording/evidence/day_03.csv.gz is not an evidence file")
    assert path.read_bytes() == whole[:-20]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "Invalid JSON"), ('{"schema_version": 2}', "schema_version: Input should be 1"), ("[]", "recording's index")],
)
def test_an_index_that_cannot_be_used(folder: Path, text: str, words: str) -> None:
    (folder / "recording.json").write_text(text)
    for command in ("rebuild release.yaml", "run release.yaml --recording . --output-dir out"):
        assert_fails(postga(folder, *command.split(), *AFTER), 2, "recording.json is not a recording's index", words)


def test_days_are_not_collected_into_a_url(folder: Path) -> None:
    """Which would become a local folder of that name."""
    done = postga(folder, "run", "release.yaml", "--output-dir", "s3://bucket/week", *AFTER)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is a URL, and days are collected into local folders" in done.stderr
    assert not (folder / "s3:").exists()
