"""What the watcher prints, and what it does where nobody reads it any more."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from observability.watching.console import Console, line
from tests.notifications import incident, notification
from tests.watched import sinks_of


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
