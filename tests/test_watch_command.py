"""``postga watch`` as a user runs it: over a recording, on a terminal and in a pipe, stopped, killed, and refused."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from observability.detection.anomalies import score_release
from observability.events import AnomalyEvents, Incident
from observability.layout import ANOMALIES, WATCH
from observability.model import Window
from observability.release import load
from observability.sources.recording import Recording
from observability.watching.console import Console
from tests.notifications import notification
from tests.programs import SCRIPTS, postga
from tests.torture import DAYS, RELEASE, record, torture
from tests.watched import events_in, layout_of, logged_in, sinks_of

REPLAY = ("watch", "release.yaml", "--recording", "recording")
FEW_KILLS, SEED = 20, 5


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    record(folder)
    return folder


@pytest.fixture(scope="module")
def replayed(recorded: Path) -> subprocess.CompletedProcess[str]:
    return postga(recorded, *REPLAY, "--output-dir", "replayed")


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """Another one with the release file and the recording."""
    shutil.copy(recorded / "release.yaml", tmp_path)
    (tmp_path / "recording").symlink_to(recorded / "recording")
    return tmp_path


# Replayed


def test_what_it_prints(replayed: subprocess.CompletedProcess[str]) -> None:
    assert (replayed.returncode, replayed.stderr) == (
        0,
        "8 KPIs of shop, cart, every 10 minutes, from 2025-11-11T00:00:00Z to 2025-11-26T00:00:00Z\n",
    )
    *incidents, shop, cart = replayed.stdout.splitlines()
    assert (shop, cart) == ("replayed/shop/anomaly_events.json", "replayed/cart/anomaly_events.json")
    line = re.compile(
        r"2025-11-2\dT\d\d:\d\d:00Z (shop|cart) (medium|high|critical), resolved, \d+ (minutes|hours) long: "
        r"\w+ \(\d+ %\)(, \w+ \(\d+ %\))*( and \d more)?; evidence [\d.]+ of [\d.]+"
    )
    assert len(incidents) >= 4
    assert all(line.fullmatch(text) for text in incidents), incidents


def test_it_finds_what_the_detector_finds(
    recorded: Path, replayed: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    release = load(recorded / "release.yaml")
    source = Recording(recorded / "recording")
    days = [source.fetch(release.plan, release.calendar.window(number)) for number in DAYS]
    expected = score_release(release, {service: [day[service] for day in days] for service in release.services})
    for service, events in expected.items():
        layout_of(tmp_path, release).store.write(f"{service}/{ANOMALIES}", events)
    assert replayed.returncode == 0
    assert events_in(recorded / "replayed") == events_in(tmp_path)


def test_as_json_each_line_is_an_incident(recorded: Path, replayed: subprocess.CompletedProcess[str]) -> None:
    done = postga(recorded, *REPLAY, "--output-dir", "as json", "--json")
    printed = {one.id: one for one in map(Incident.model_validate_json, done.stdout.splitlines())}
    files = [AnomalyEvents.model_validate_json(content) for content in events_in(recorded / "replayed").values()]
    assert printed == {one.id: one for events in files for one in events.incidents if not one.ongoing}


def test_a_replay_that_is_done_is_not_done_again(folder: Path, recorded: Path, replayed: Any) -> None:
    shutil.copytree(recorded / "replayed", folder / "replayed")
    again = postga(folder, *REPLAY, "--output-dir", "replayed")
    assert (again.returncode, again.stdout.splitlines()) == (0, replayed.stdout.splitlines()[-2:])
    assert "done before, 2025-11-26T00:00:00Z to 2025-11-26T00:00:00Z" in again.stderr
    assert events_in(folder / "replayed") == events_in(recorded / "replayed")


def test_a_part_of_the_time(recorded: Path, replayed: Any) -> None:
    """What begins and ends there is what the whole replay has. A start between two steps is that of the step."""
    span = ("--start", "2025-11-20T00:04:00Z", "--end", "2025-11-21T00:00:00Z")
    done = postga(recorded, *REPLAY, "--output-dir", "part", *span)
    assert "from 2025-11-13T00:00:00Z to 2025-11-21T00:00:00Z" in done.stderr
    whole, part = (events_in(recorded / name) for name in ("replayed", "part"))
    for service, content in part.items():
        events = AnomalyEvents.model_validate_json(content)
        assert events.window == Window(start=datetime(2025, 11, 20, tzinfo=UTC), end=datetime(2025, 11, 21, tzinfo=UTC))
        of_the_day = [
            one.id
            for one in AnomalyEvents.model_validate_json(whole[service]).incidents
            if one.start.day == 20 and one.end.day == 20
        ]
        assert [one.id for one in events.incidents] == of_the_day
        assert of_the_day


def test_on_a_terminal_progress_is_on_stderr_and_incidents_on_stdout(recorded: Path, replayed: Any) -> None:
    """Also where stdout goes to a file while stderr is the terminal."""
    leader, follower = pty.openpty()
    command = [str(SCRIPTS / "postga"), *REPLAY, "--output-dir", "on a terminal"]
    with subprocess.Popen(command, cwd=recorded, stdout=subprocess.PIPE, stderr=follower, text=True) as process:
        os.close(follower)
        shown = read_all(leader)
        assert process.stdout is not None
        printed = process.stdout.read()
    assert printed == replayed.stdout.replace("replayed", "on a terminal")
    assert "watch: scored up to 2025-11-2" in shown
    assert "evidence" not in shown


def read_all(leader: int) -> str:
    content = b""
    while True:
        try:
            more = os.read(leader, 65536)
        except OSError:  # everybody has closed it
            break
        if not more:
            break
        content += more
    os.close(leader)
    return content.decode()


# Refused


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--delay", "x"), "--delay: 'x' is not a duration; write it like 60s, 5m, 24h."),
        (
            ("--start", "2025-11-20T00:00:00Z", "--end", "2025-11-19T00:00:00Z"),
            "The time from 2025-11-20T00:00:00Z to 2025-11-19T00:00:00Z is empty; check --start and --end.",
        ),
        (("--start", "today"), "--start 'today' is not an ISO 8601 time; write it like 2025-11-18T00:00:00Z."),
        (
            ("--end", "2025-12-20T00:00:00Z"),
            "recording holds 2025-11-11T00:00:00Z to 2025-11-26T00:00:00Z; give a --start and an --end within that.",
        ),
        (
            ("--start", "2025-11-01T00:00:00Z"),
            "recording holds 2025-11-11T00:00:00Z to 2025-11-26T00:00:00Z; give a --start and an --end within that.",
        ),
        (
            ("--listen", "here"),
            "--listen: 'here' is no address; write it like 127.0.0.1:9464, [::1]:9464 or :9464.",
        ),
        (
            ("--webhook", "there"),
            "--alertmanager or --webhook: the URL cannot be used; write it like http://localhost:9093, or ${NAME}.",
        ),
    ],
)
def test_flags_that_cannot_be_used(folder: Path, flags: tuple[str, ...], said: str) -> None:
    done = postga(folder, *REPLAY, *flags)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, "", f"error: {said}")


def test_another_release_file(folder: Path, recorded: Path, replayed: Any) -> None:
    shutil.copytree(recorded / "replayed", folder / "out")
    (folder / "release.yaml").write_text(RELEASE.replace("shop-v2", "shop-v3"))
    refused = postga(folder, *REPLAY, "--output-dir", "out")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: out/watch/checkpoint.npz is of another watch: release was shop-v2 and is ")
    anew = postga(folder, *REPLAY, "--output-dir", "out", "--anew")
    assert anew.returncode == 0
    assert (folder / "out" / WATCH / "log.jsonl.1").exists()
    assert logged_in(folder / "out") == logged_in(recorded / "replayed")


def test_a_server_that_cannot_be_reached(folder: Path) -> None:
    url = ("--prometheus-url", "http://127.0.0.1:1")
    done = postga(folder, "watch", "release.yaml", *url)
    assert done.returncode == 3
    assert re.search(r"^error: query '\w+' at http://127\.0\.0\.1:1: the server cannot be reached", done.stderr, re.M)
    assert "Traceback" not in done.stderr


# Stopped


@contextmanager
def live(folder: Path, *flags: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A watcher that is waiting for a step that is not over: its GA is now. It is killed in the end."""
    ga = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    (folder / "live.yaml").write_text(RELEASE.replace("2025-11-18T00:00:00Z", f"{ga:%Y-%m-%dT%H:%M:%SZ}"))
    command = [str(SCRIPTS / "postga"), "watch", "live.yaml", "--output-dir", "out", "--listen", "127.0.0.1:0", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    with subprocess.Popen(command, cwd=folder, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def empty(httpserver: HTTPServer) -> str:
    """The URL of a server that has nothing."""

    def answer(request: Request) -> Response:
        is_matrix = request.path.endswith("range") or request.args["query"].endswith("]")
        data = {"resultType": "matrix" if is_matrix else "vector", "result": []}
        return Response(json.dumps({"status": "success", "data": data}), content_type="application/json")

    httpserver.expect_request(re.compile("/api/v1/.*")).respond_with_handler(answer)
    return httpserver.url_for("").rstrip("/")


def until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped")]
)
def test_it_is_stopped(folder: Path, empty: str, number: int, code: int, said: str) -> None:
    with live(folder, "--prometheus-url", empty) as process:
        until(process, lambda: (folder / "out" / "shop" / ANOMALIES).exists())
        second = postga(folder, "watch", "live.yaml", "--output-dir", "out", "--prometheus-url", empty)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (code, "")
    lines = stderr.splitlines()
    assert re.fullmatch(r"metrics at http://127\.0\.0\.1:\d+/metrics", lines[0])
    assert re.fullmatch(r"8 KPIs of shop, cart, every 10 minutes and 30 seconds after it, from .*Z to .*Z", lines[1])
    assert lines[2:] == [f"{said}: what was written is whole; the same command carries on."]
    assert second.returncode == 2
    assert re.fullmatch(
        rf"error: Another watcher \(process {process.pid} on \S+, since \S+Z\) is at work in out; stop it first, or "
        r"name another folder\.\n",
        second.stderr,
    )


def test_it_goes_on_while_what_it_prints_goes_to_a_full_disk(folder: Path, empty: str) -> None:
    flags = ("--prometheus-url", empty)
    with Path("/dev/full").open("w") as full, live(folder, *flags, stdout=full, stderr=full) as process:
        until(process, lambda: (folder / "out" / "shop" / ANOMALIES).exists())
        assert process.poll() is None


class Full(io.StringIO):
    """A file on a disk that is full for a while."""

    is_full = True

    def flush(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_incidents_are_printed_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = Full()
    monkeypatch.setattr(sys, "stdout", stdout)
    console = Console(sinks_of(tmp_path), False, lambda *_: None)
    assert console.put(notification())
    stdout.is_full = False
    assert console.put(notification(status="resolved"))
    assert not console.put(notification())
    assert [line.split(",")[0] for line in stdout.getvalue().splitlines()] == [
        "2025-11-20T14:02:00Z checkout high",
        "2025-11-20T14:02:00Z checkout high",
    ]
    stdout.is_full = True
    with pytest.raises(OSError, match="No space left"):  # of a look at the past, nothing is left to wait for
        Console(None, False, lambda *_: None)._print("an incident")


def small_files() -> None:
    """No file may be larger: that is as a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))


def test_a_replay_on_a_full_disk(folder: Path, recorded: Path, replayed: Any) -> None:
    command = [str(SCRIPTS / "postga"), *REPLAY, "--output-dir", "out"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_files,
    )
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: out/\S+ cannot be written: File too large; make room, or name another folder\.",
        done.stderr.splitlines()[-1],
    )
    assert postga(folder, *REPLAY, "--output-dir", "out").returncode == 0
    assert events_in(folder / "out") == events_in(recorded / "replayed")
    assert logged_in(folder / "out") == logged_in(recorded / "replayed")


def test_killed_at_random_moments(tmp_path: Path) -> None:
    assert torture(tmp_path, FEW_KILLS, SEED) == ""
