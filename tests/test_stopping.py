"""One command at a time in a folder, and commands that are stopped in the middle: what is left, and what comes next."""

import errno
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from observability.errors import ConfigError
from observability.folder import alone_in
from observability.layout import Layout
from observability.store import Store
from tests.gauges import Gauges
from tests.programs import ROOT, SCRIPTS, postga, stage

AFTER = ("--now", "2025-11-26T00:00:00Z")
RELEASE = ("--release", "release.yaml")


@pytest.fixture
def server(httpserver: HTTPServer) -> Iterator[Gauges]:
    server = Gauges(httpserver)
    yield server
    server.let_go.set()


@contextmanager
def working(server: Gauges, folder: Path, day: int, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is waiting for the server's answer for a day; it is killed in the end, if it still runs."""
    server.held = day
    server.release_file(folder)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, *AFTER], cwd=folder, text=True, **pipes) as process:
        try:
            assert server.arrived.wait(30), "the command did not come so far"
            yield process
        finally:
            process.kill()
            server.held = None
            server.let_go.set()


POSTGA = str(SCRIPTS / "postga")
RECORD = (POSTGA, "record", "release.yaml", "--output-dir", "out")
RUN = (POSTGA, "run", "release.yaml", "--output-dir", "out")
BASELINE = (
    sys.executable,
    str(ROOT / "observability/ga_kpi_collector.py"),
    *("--output-dir", "out/ga_kpis", "--release", "release.yaml"),
)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".postga.lock"
    }


# One at a time


def test_two_collectors_on_one_folder(server: Gauges, tmp_path: Path) -> None:
    """Every command that collects or writes there is refused while another one works, and none waits."""
    with working(server, tmp_path, 3, *RECORD):
        others = [
            postga(tmp_path, "record", "release.yaml", "--output-dir", "out", *AFTER),
            postga(tmp_path, "run", "release.yaml", "--output-dir", "out", *AFTER),
            postga(tmp_path, "rebuild", "release.yaml", "--output-dir", "out", *AFTER),
            stage("observability/ga_kpi_collector.py", tmp_path, "--output-dir", "out/ga_kpis", *RELEASE, *AFTER),
            stage("observability/anomaly_detector_lightweight.py", tmp_path, "--output-file", "out/a.json", *RELEASE),
        ]
    for done in others:
        assert done.returncode == 2, done.stderr
        assert done.stderr == (
            "error: Another command is writing to out; run this one again when it is done, or name another folder.\n"
        )


def test_a_day_is_not_collected_beside_another_command(server: Gauges, tmp_path: Path) -> None:
    flags = ("--output-dir", "out/stability", "--day-number", "1", *RELEASE, *AFTER)
    server.release_file(tmp_path)
    assert stage("observability/ga_kpi_collector.py", tmp_path, *BASELINE[2:], *AFTER).returncode == 0
    with working(server, tmp_path, 3, *RUN):
        done = stage("observability/stability_monitor_7day.py", tmp_path, *flags)
    assert (done.returncode, "Another command is writing to out" in done.stderr) == (2, True)
    assert stage("observability/stability_monitor_7day.py", tmp_path, *flags).returncode == 0


def layout(folder: Path) -> Layout:
    return Layout(Store(folder), ("default",))


def test_a_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    """An error of the work is no error of the folder."""
    with pytest.raises(OSError, match="the server"), alone_in(layout(tmp_path)):
        raise OSError("the server hung up")
    with alone_in(layout(tmp_path)):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match=f"^{tmp_path} is on a file system without locks"), alone_in(layout(tmp_path)):
        pass


# Stopped


CARRIES_ON = "what was written is whole; the same command carries on."


@pytest.mark.parametrize(
    ("command", "number", "code", "said"),
    [
        pytest.param(RECORD, signal.SIGINT, 130, f"interrupted: {CARRIES_ON}", id="Ctrl-C while it records"),
        pytest.param(RECORD, signal.SIGTERM, 143, f"stopped: {CARRIES_ON}", id="SIGTERM while it records"),
        pytest.param(RECORD, signal.SIGKILL, -9, None, id="kill -9 while it records"),
        pytest.param(RUN, signal.SIGINT, 130, f"interrupted: {CARRIES_ON}", id="Ctrl-C in a run"),
        pytest.param(BASELINE, signal.SIGTERM, 143, f"stopped: {CARRIES_ON}", id="SIGTERM in the GA collector"),
    ],
)
def test_the_same_command_carries_on(
    server: Gauges, tmp_path: Path, command: tuple[str, ...], number: int, code: int, said: str | None
) -> None:
    with working(server, tmp_path, -3, *command) as process:
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout) == (code, "")
    if said:
        assert stderr.splitlines()[-1] == said
    assert "Traceback" not in stderr
    server.asked.clear()
    assert subprocess.run([*command, *AFTER], cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert -7 not in server.asked
    (tmp_path / "anew").mkdir()
    server.release_file(tmp_path / "anew")
    subprocess.run([*command, *AFTER], cwd=tmp_path / "anew", capture_output=True, check=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "anew/out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_is_stopped_at_once_and_leaves_the_folder_to_others(
    server: Gauges, tmp_path: Path, number: signal.Signals
) -> None:
    """The GA day is still to come, so that the collector would wait for years; the folder is free meanwhile."""
    server.release_file(tmp_path)
    command = [*BASELINE[:2], "--ga-timestamp", "2199-01-01T00:00:00Z", "--output-dir", "out/ga_kpis"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "the GA day ends at 2199-01-02T00:00:00Z; waiting for it.\n"
        assert subprocess.run([*BASELINE, *AFTER], cwd=tmp_path, capture_output=True, check=False).returncode == 0
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert process.stderr.read().endswith("the same command carries on.\n")


def test_a_second_signal_ends_it_without_a_word(tmp_path: Path) -> None:
    code = """
import signal, sys
from observability import commands
def stuck():
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.raise_signal(signal.SIGINT)
commands.run(stuck)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def on_a_terminal(command: list[str], folder: Path, until: str) -> int:
    """Run the command with its stderr on a terminal, and press Ctrl-C when it shows ``until``; the exit code."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=folder, stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        while until not in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode(errors="ignore"):
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    os.close(ours)
    return code


def test_the_wait_shows_a_bar_on_a_terminal(tmp_path: Path) -> None:
    command = [*BASELINE[:2], "--ga-timestamp", "2199-01-01T00:00:00Z"]
    assert on_a_terminal(command, tmp_path, "0:00:00 over ━━━") == 130


def test_recording_shows_days_values_and_the_time_that_is_left_on_a_terminal(server: Gauges, tmp_path: Path) -> None:
    server.release_file(tmp_path)
    server.held = 3
    assert on_a_terminal([*RECORD, *AFTER], tmp_path, " 10/15 days, 480 values, ") == 130


# What a killed command leaves


def killed_while_it_wrote(folder: Path) -> None:
    """Stop a write at its worst moment: everything is on disk, and not yet in its place."""
    code = """
import os, signal, sys
from observability import store
store.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.Store(sys.argv[1]).write_bytes("evidence/day_01.csv.gz", b"half")
"""
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False)


def test_what_a_killed_write_left_is_cleared_away_by_the_next_command(server: Gauges, tmp_path: Path) -> None:
    server.release_file(tmp_path)
    killed_while_it_wrote(tmp_path / "out")
    (left,) = (tmp_path / "out/evidence").iterdir()
    assert left.name.startswith(".day_01.csv.gz.")
    for kept in (".mine", ".day_01.csv.gz.swp", "notes.postga"):
        (tmp_path / "out/evidence" / kept).write_text("mine")
    assert postga(tmp_path, *RECORD[1:], *AFTER).returncode == 0
    names = {path.name for path in (tmp_path / "out/evidence").iterdir()}
    assert left.name not in names
    assert names >= {".mine", ".day_01.csv.gz.swp", "notes.postga"}


def test_what_another_command_is_writing_is_left_alone(server: Gauges, tmp_path: Path) -> None:
    with working(server, tmp_path, 3, *RECORD):
        killed_while_it_wrote(tmp_path / "out")
        before = set((tmp_path / "out/evidence").iterdir())
        assert postga(tmp_path, *RUN[1:], *AFTER).returncode == 2
        assert set((tmp_path / "out/evidence").iterdir()) == before
