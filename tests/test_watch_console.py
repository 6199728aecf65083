"""What the watcher prints, and what it does where nobody reads it any more."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from observability.model import Samples, Window
from observability.sources import Followed
from observability.watching.console import Console, line
from observability.watching.watcher import Taken
from tests.notifications import START, incident, notification
from tests.test_stream import STEP
from tests.watched import START as BEGUN
from tests.watched import run, sinks_of, watcher_in


def console(tmp_path: Path, is_live: bool = True) -> Console:
    return Console(sinks_of(tmp_path) if is_live else None, False, lambda *_: None)


def test_an_incident_is_a_line() -> None:
    assert line(incident(severity="high"), "resolved") == (
        "2025-11-20T14:02:00Z checkout high, resolved, 9 minutes long: "
        "p99_latency_ms (54 %), overall_error_rate (31 %); evidence 18.2 of 14"
    )


def test_each_notification_is_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = console(tmp_path)
    assert told.put(notification())
    assert not told.put(notification())
    assert capsys.readouterr().out.count("\n") == 1


def test_of_the_past_nobody_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = console(tmp_path, is_live=False)
    assert not told.put(notification())
    assert (told.unresolved(), capsys.readouterr().out) == ([], "")


def test_a_live_watch_goes_on_where_nobody_reads_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given_up: list[bool] = []
    monkeypatch.setattr("observability.watching.console.give_up_stdout", lambda: given_up.append(True))
    told = console(tmp_path)
    monkeypatch.setattr("sys.stdout", Closed())
    assert told.put(notification())
    assert given_up == [True]
    assert "nobody reads stdout any more" in capsys.readouterr().err


class Closed:
    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def flush(self) -> None: ...


def warned(*texts: str) -> Taken:
    """Two services that the source warns of alike."""
    window = Window(start=START, end=START + STEP)
    samples = {name: Samples(name, window, 1800, {}, texts) for name in ("shop", "cart")}
    return Taken(window, 1, 0, Followed(samples))


def test_a_warning_of_the_source_is_told_once_whatever_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = console(tmp_path)
    told._tell_warnings(warned("requests: it returned 2,400 series, and 20 in the step before"))
    told._tell_warnings(warned("requests: it returned 99 series, and 1.5 in the step before", "cpu: a store is away"))
    told._tell_warnings(warned("errors: it returned 99 series, and 1.5 in the step before"))
    assert capsys.readouterr().err.splitlines() == [
        "warning: requests: it returned 2,400 series, and 20 in the step before.",
        "warning: cpu: a store is away.",
        "warning: errors: it returned 99 series, and 1.5 in the step before.",
    ]


def test_a_look_at_the_past_prints_the_incidents_that_are_open_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watcher_in(tmp_path / "watched")
    run(watching, BEGUN + 303 * STEP)
    ongoing = watching.open_incidents()
    assert ongoing
    console(tmp_path, is_live=False).ended(watching)
    assert capsys.readouterr().out.splitlines() == [line(one, "open") for one in ongoing]
    console(tmp_path).ended(watching)
    assert capsys.readouterr().out == ""
