"""`postga record`: what it writes, what it prints, and how it carries on."""

import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from observability.release import load
from observability.sources.recording import Recording
from tests.gauges import Gauges
from tests.programs import postga

AFTER = "2025-11-26T00:00:00Z"


@pytest.fixture
def server(httpserver: HTTPServer) -> Gauges:
    return Gauges(httpserver)


def record(server: Gauges, folder: Path, *flags: str, now: str = AFTER):
    server.release_file(folder)
    server.asked.clear()
    return postga(folder, "record", "release.yaml", "--output-dir", "recording", "--now", now, *flags)


def test_every_day_becomes_a_file_and_a_line(server: Gauges, tmp_path: Path) -> None:
    done = record(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "recording/recording.json\n"
    assert done.stderr.splitlines() == [f"day {number:>2}           48 values  recorded" for number in range(-7, 8)]
    files = {path.name for path in (tmp_path / "recording").rglob("*") if path.is_file()}
    assert files == {"recording.json", ".postga.lock", *(f"day_{number:02d}.csv.gz" for number in range(-7, 8))}
    found = load(tmp_path / "release.yaml")
    samples = Recording(tmp_path / "recording").fetch(found.plan, found.calendar.window(7))["default"]
    assert {name: values.size for name, values in samples.columns.items()} == {"db_sessions": 24, "redis_memory": 24}


def test_what_is_at_hand_is_not_asked_for_again(server: Gauges, tmp_path: Path) -> None:
    record(server, tmp_path)
    before = contents(tmp_path / "recording")
    done = record(server, tmp_path)
    assert (done.returncode, server.asked) == (0, [])
    assert done.stderr.splitlines()[0] == "day -7           48 values  at hand"
    assert contents(tmp_path / "recording") == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_while_days_are_to_come_it_says_when_to_come_back(server: Gauges, tmp_path: Path) -> None:
    done = record(server, tmp_path, now="2025-11-20T12:00:00Z")
    assert (done.returncode, done.stdout) == (4, "recording/recording.json\n")
    assert done.stderr.splitlines()[-1] == (
        "error: 9 days are recorded, and day 2 ends at 2025-11-21T00:00:00Z; run the same command then."
    )
    done = record(server, tmp_path, now="2025-11-22T00:00:00Z")
    assert (done.returncode, sorted(set(server.asked))) == (4, [2, 3])
    done = record(server, tmp_path)
    assert (done.returncode, sorted(set(server.asked))) == (0, [4, 5, 6, 7])


def test_before_ga_the_days_before_it_are_recorded(server: Gauges, tmp_path: Path) -> None:
    done = record(server, tmp_path, now="2025-11-16T00:00:00Z")
    assert done.returncode == 4
    assert "5 days are recorded, and day -2 ends at 2025-11-17T00:00:00Z" in done.stderr


def test_days_without_data_are_named(server: Gauges, tmp_path: Path) -> None:
    server.first, server.last = -4, 6
    done = record(server, tmp_path)
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == "day -7            0 values  no data"
    assert done.stderr.splitlines()[-1] == "warning: no data of day -7 to -5, 7."
    assert not (tmp_path / "recording/evidence/day_-5.csv.gz").exists()


def test_no_data_at_all(server: Gauges, tmp_path: Path) -> None:
    server.first = 99
    done = record(server, tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines()[-1].startswith(f"error: No KPI returned data from {server.url} for any day; check")
    assert [path.name for path in (tmp_path / "recording").rglob("*")] == [".postga.lock"]


def test_as_json(server: Gauges, tmp_path: Path) -> None:
    server.first = -2
    done = record(server, tmp_path, "--json", now="2025-11-24T00:00:00Z")
    assert done.returncode == 4
    assert json.loads(done.stdout) == {
        "recording": "recording/recording.json",
        "days": [-2, -1, 0, 1, 2, 3, 4, 5],
        "without_data": [-7, -6, -5, -4, -3],
        "to_come": [6, 7],
    }


def test_a_query_that_is_new_is_asked_for_alone(server: Gauges, tmp_path: Path) -> None:
    record(server, tmp_path)
    before = len(server.asked)
    (tmp_path / "more.yaml").write_text(
        server.release_file(tmp_path).read_text().replace("only: [", "only: [storage_bytes, ")
    )
    server.asked.clear()
    done = postga(tmp_path, "record", "more.yaml", "--output-dir", "recording", "--now", AFTER)
    assert (done.returncode, len(server.asked), before) == (0, 15, 30)
    assert done.stderr.splitlines()[0] == "day -7           72 values  recorded"


def test_a_recording_that_was_interrupted_is_carried_on(server: Gauges, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    record(server, whole)
    record(server, tmp_path, now="2025-11-20T12:00:00Z")
    record(server, tmp_path)
    assert contents(tmp_path / "recording") == contents(whole / "recording")
