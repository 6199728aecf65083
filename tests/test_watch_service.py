"""The watcher's day: when which steps are read, and what it says and does while something fails."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.errors import ConfigError, NotEnoughDataError, SourceError
from observability.layout import WATCH
from observability.model import Window, format_instant
from observability.watching.folder import only_watcher_in, watcher_of
from observability.watching.service import DEAD_S, PAUSE_S
from observability.watching.watcher import Taken, Watcher
from tests.notifications import notification
from tests.test_stream import START, STEP, STEPS
from tests.watched import (
    DELAY,
    END,
    Clock,
    Source,
    events_in,
    layout_of,
    logged_in,
    notified_in,
    run,
    service_of,
    sinks_of,
    watcher_in,
)

LATE = START + 400 * STEP  # the tests of the loop begin here, to be short
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(watcher_in(folder))
    return folder


class Live:
    """A watcher that has caught up by ``LATE`` and goes on with a clock of its own to the end."""

    def __init__(self, folder: Path, jumps: dict[float, timedelta] | None = None, **more: Any) -> None:
        self.folder, self.said, self.asked = folder, list[str](), list[tuple[datetime, Window]]()
        self.clock = Clock(LATE + DELAY, jumps)
        self.trouble: Callable[[Window], None] = lambda window: None
        self.source = Source(self._read)
        self.watcher = watcher_in(folder, self.source)
        while due := self.watcher.due(LATE, LATE):
            self.watcher.take(due)
            self.watcher.keep()
        self.asked.clear()
        self.source.read.clear()
        self.service = service_of(self.watcher, self.clock, self.said, **more)

    def _read(self, window: Window) -> None:
        self.asked.append((self.clock.now, window))
        self.trouble(window)

    def run(self) -> Live:
        self.service.run()
        return self

    def assert_found_the_same(self, undisturbed: Path) -> None:
        """And no step was left out or read twice: the source sees to that."""
        assert events_in(self.folder) == events_in(undisturbed)
        assert logged_in(self.folder) == logged_in(undisturbed)
        assert self.source.read[-1].end == END


# Time


def test_each_step_is_read_when_it_is_over_and_the_delay_has_passed(undisturbed: Path, tmp_path: Path) -> None:
    live = Live(tmp_path).run()
    assert [window.end - window.start for _, window in live.asked] == [STEP] * 32
    assert [at - window.end for at, window in live.asked] == [DELAY] * 32
    assert live.said == []
    live.assert_found_the_same(undisturbed)


def test_another_delay(tmp_path: Path) -> None:
    live = Live(tmp_path, delay=timedelta(minutes=4)).run()
    assert {at - window.end for at, window in live.asked} == {timedelta(minutes=4)}


def test_a_past_window_is_read_at_once(undisturbed: Path, tmp_path: Path) -> None:
    source, clock, said = Source(), Clock(END + DELAY), list[str]()
    service_of(watcher_in(tmp_path, source), clock, said, patient=False).run()
    assert clock.passed == 0.0
    assert len(source.read) == 9
    assert said == []
    assert events_in(tmp_path) == events_in(undisturbed)


def test_a_past_window_is_only_read_when_its_last_step_is_settled(tmp_path: Path) -> None:
    """So that what is told of it does not depend on when it was asked for."""
    clock = Clock(END + timedelta(seconds=5))
    service_of(watcher_in(tmp_path), clock, [], patient=False).run()
    assert clock.now == END + DELAY


def test_a_clock_that_goes_forward(undisturbed: Path, tmp_path: Path) -> None:
    """The steps that are over by then are read together; those that are not, the server does not have yet."""
    live = Live(tmp_path, jumps={5000.0: 3 * HOUR}).run()
    jumped = [window for _, window in live.asked if window.end - window.start > STEP]
    assert [window.end - window.start for window in jumped] == [6 * STEP]
    step = format_instant(jumped[0].start)
    assert live.said == [f"the clock went forward by 3 hours; the next step is the one after {step}, as before."]
    live.assert_found_the_same(undisturbed)


def test_a_clock_that_goes_back(undisturbed: Path, tmp_path: Path) -> None:
    live = Live(tmp_path, jumps={5000.0: -3 * HOUR}).run()
    step = format_instant(LATE + 2 * STEP)
    assert live.said == [f"the clock went back by 3 hours; the next step is the one after {step}, as before."]
    assert live.clock.passed == pytest.approx(3 * 3600 + 32 * STEP.total_seconds(), abs=PAUSE_S)
    assert {window.end - window.start for _, window in live.asked} == {STEP}
    live.assert_found_the_same(undisturbed)


def test_a_clock_that_is_corrected_a_little(tmp_path: Path) -> None:
    assert Live(tmp_path, jumps={5000.0: timedelta(seconds=-20), 9000.0: timedelta(seconds=20)}).run().said == []


def test_a_server_whose_clock_is_behind(undisturbed: Path, tmp_path: Path) -> None:
    """It is asked for each step until it has that, and it is told once."""
    live = Live(tmp_path)
    behind = timedelta(minutes=2)

    def trouble(window: Window) -> None:
        if window.end > live.clock.now - behind:
            raise NotEnoughDataError("http://prom:9090 has not come to the end of the step; ask later.")

    live.trouble = trouble
    live.run()
    assert live.said[0] == (
        "http://prom:9090 has not come to the end of the step; ask later; trying again, what is missed is read as soon "
        "as it answers."
    )
    assert live.said[1] == "working again, after 2 minutes."
    assert len(live.said) == 2 * 16  # every hour, and not at each of 32 steps
    live.assert_found_the_same(undisturbed)


def test_a_server_that_has_only_some_of_the_steps_that_are_due(undisturbed: Path, tmp_path: Path) -> None:
    live = Live(tmp_path, jumps={1.0: 2 * HOUR})
    live.trouble = lambda window: too_early() if window.end > live.clock.now - HOUR else None
    live.run()
    tried = [(window.end - window.start) // STEP for _, window in live.asked][:6]
    assert tried == [4, 1, 3, 1, 2, 1]
    live.assert_found_the_same(undisturbed)


def too_early() -> None:
    raise NotEnoughDataError("too early.")


# A source that fails


def away(live: Live, hours: float) -> None:
    """From two hours after the start on, for so many hours."""
    since, until = LATE + 2 * HOUR, LATE + (2 + hours) * HOUR

    def trouble(window: Window) -> None:
        if since <= live.clock.now < until:
            raise SourceError("http://prom:9090 cannot be reached: connection refused; check that it runs.")

    live.trouble = trouble


def test_a_source_that_is_away_for_six_hours(undisturbed: Path, tmp_path: Path) -> None:
    live = Live(tmp_path)
    away(live, 6)
    live.run()
    trouble = (
        "http://prom:9090 cannot be reached: connection refused; check that it runs; trying again, what is missed is "
        "read as soon as it answers."
    )
    assert live.said == [trouble] * 6 + ["working again, after 6 hours."]
    assert [(window.end - window.start) // STEP for window in live.source.read] == [1] * 4 + [11] + [1] * 17
    live.assert_found_the_same(undisturbed)


def test_it_does_not_knock_too_often(tmp_path: Path) -> None:
    live = Live(tmp_path)
    away(live, 1)
    live.run()
    failed = [at for at, _ in live.asked if LATE + 2 * HOUR <= at < LATE + 3 * HOUR]
    assert {later - earlier for earlier, later in itertools.pairwise(failed)} == {timedelta(seconds=PAUSE_S)}


@pytest.mark.parametrize("hint", ["; run the command again later", ", or run it again", "; run it again then", ""])
def test_who_tries_again_tells_nobody_to(tmp_path: Path, hint: str) -> None:
    live = Live(tmp_path)

    def trouble(window: Window) -> None:
        if live.clock.now < LATE + HOUR:
            raise SourceError(f"http://prom:9090 answers 503; see its log{hint}.")

    live.trouble = trouble
    live.run()
    told = "http://prom:9090 answers 503; see its log; trying again, what is missed is read as soon as it answers."
    assert live.said[0] == told


def test_a_source_that_comes_and_goes(undisturbed: Path, tmp_path: Path) -> None:
    """It fails at every step, once: that is told once an hour."""
    live, failed = Live(tmp_path), set[Window]()

    def trouble(window: Window) -> None:
        if window not in failed:
            failed.add(window)
            raise SourceError("http://prom:9090 answers 503.")

    live.trouble = trouble
    live.run()
    assert len(live.said) == 2 * 16
    assert set(live.said[1::2]) == {"working again, after 30 seconds."}
    live.assert_found_the_same(undisturbed)


def test_another_trouble_is_told_when_it_lasts(tmp_path: Path) -> None:
    """Also soon after one of the same kind."""
    live = Live(tmp_path)
    spans = [(timedelta(hours=2), timedelta(hours=2, minutes=2)), (timedelta(hours=2, minutes=30), timedelta(hours=3))]

    def trouble(window: Window) -> None:
        if any(start <= live.clock.now - LATE < end for start, end in spans):
            raise SourceError(f"no answer at {live.clock.now - LATE}.")

    live.trouble = trouble
    live.run()
    first, over, second, over_again = live.said
    assert (first[:20], over) == ("no answer at 2:00:30", "working again, after 2 minutes.")
    assert (second[:20], over_again) == ("no answer at 2:35:30", "working again, after 30 minutes.")


@pytest.mark.parametrize("error", [SourceError("gone."), NotEnoughDataError("too early."), ConfigError("no password.")])
def test_a_look_at_the_past_has_no_patience(tmp_path: Path, error: Exception) -> None:
    def trouble(window: Window) -> None:
        raise error

    said: list[str] = []
    with pytest.raises(type(error)) as raised:
        service_of(watcher_in(tmp_path, Source(trouble)), Clock(END + DELAY), said, patient=False).run()
    assert raised.value is error
    assert said == []


def test_a_password_that_cannot_be_read_for_a_while(undisturbed: Path, tmp_path: Path) -> None:
    """A ``ConfigError`` of the source: nothing was read, and nothing is kept."""
    tried: list[Window] = []

    def trouble(window: Window) -> None:
        tried.append(window)
        if 1 < len(tried) < 5:
            raise ConfigError("basic_auth.password_file: /run/secret cannot be read; make it readable.")

    said: list[str] = []
    service = service_of(watcher_in(tmp_path, Source(trouble)), Clock(END + DELAY), said)
    service.run()
    assert said[0].endswith("make it readable; trying again, what is missed is read as soon as it answers.")
    assert said[1:] == ["working again, after 2 minutes."]
    assert events_in(tmp_path) == events_in(undisturbed)


def test_stopped_while_the_source_is_away(undisturbed: Path, tmp_path: Path) -> None:
    """Started again in the middle, when it is back: what is missing is read, and nothing else."""
    live = Live(tmp_path)
    away(live, 6)

    class Stopped(BaseException):
        pass

    def sleep(seconds: float) -> None:
        live.clock.sleep(seconds)
        if live.clock.now > LATE + 3 * HOUR:
            raise Stopped

    live.service.sleep = sleep
    with pytest.raises(Stopped):
        live.run()
    source = Source()
    again = watcher_in(tmp_path, source)
    run(again)
    assert START + 400 * STEP - 10 * STEP <= source.read[0].start <= LATE + 2 * HOUR
    assert events_in(tmp_path) == events_in(undisturbed)
    assert logged_in(tmp_path) == logged_in(undisturbed)


def test_a_source_that_was_never_there(tmp_path: Path) -> None:
    """Is rather a wrong URL: that is said at once. A watcher that goes on is patient from the beginning."""
    answers: list[bool] = []

    def trouble(window: Window) -> None:
        if not answers:
            raise SourceError("http://prom:9090 cannot be reached.")

    with pytest.raises(SourceError):
        service_of(watcher_in(tmp_path, Source(trouble)), Clock(LATE), []).run()
    run(watcher_in(tmp_path), LATE)
    clock, said = Clock(END + DELAY), list[str]()
    service = service_of(watcher_in(tmp_path, Source(trouble)), clock, said)
    service.sleep = lambda seconds: (clock.sleep(seconds), answers.append(True))  # type: ignore[func-returns-value]
    service.run()
    assert said[1:] == ["working again, after 30 seconds."]


# Health


def test_health(tmp_path: Path) -> None:
    live = Live(tmp_path)
    at = "scored up to 2025-11-22T08:00:00Z"
    assert live.service.health() == (True, at)
    live.clock.passed += DEAD_S
    assert live.service.health() == (True, at)
    live.clock.passed += 5 * STEP.total_seconds()
    assert live.service.health() == (False, f"{at}; no sign of life for 3 hours")
    live.run()
    assert live.service.health() == (True, f"scored up to {format_instant(END)}")


def test_health_while_the_source_is_away(tmp_path: Path) -> None:
    """To start the watcher again would not help."""
    live, seen = Live(tmp_path), set()
    away(live, 6)
    watch_health(live, seen)
    live.run()
    sick = {text.partition("; ")[2] for is_healthy, text in seen if "; " in text}
    assert sick == {"http://prom:9090 cannot be reached: connection refused; check that it runs"}
    assert all(is_healthy for is_healthy, _ in seen)


def watch_health(live: Live, seen: set[tuple[bool, str]]) -> None:
    """What it says whenever time passes."""

    def sleep(seconds: float) -> None:
        seen.add(live.service.health())
        live.clock.sleep(seconds)

    live.service.sleep = sleep


def test_health_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, seen = Live(tmp_path), set()
    watch_health(live, seen)
    full = [True] * 3
    keep = live.watcher.keep

    def kept() -> list[Any]:
        if full:
            full.pop()
            raise ConfigError("watch/log.jsonl cannot be written: No space left on device; make room.")
        return keep()

    monkeypatch.setattr(live.watcher, "keep", kept)
    live.run()
    assert [text.partition("; ")[2] for is_healthy, text in seen if not is_healthy] == [
        "watch/log.jsonl cannot be written: No space left on device; make room"
    ]
    assert live.said[1:] == ["working again, after 2 minutes."]


# What it hands on


def test_what_came_of_a_window_is_told_once_it_is_on_disk(tmp_path: Path) -> None:
    taken: list[tuple[Taken, int, float]] = []
    watcher: list[Watcher] = []

    def took(one: Taken, found: Any, seconds: float) -> None:
        taken.append((one, len(found), seconds))
        assert len(watcher[0].log.found) == sum(number for _, number, _ in taken)

    clock = Clock(END + DELAY)
    watcher.append(watcher_in(tmp_path, Source(late=2)))
    service_of(watcher[0], clock, [], took=took).run()
    assert sum(one.steps for one, _, _ in taken) == STEPS
    assert sum(one.samples for one, _, _ in taken) == watcher[0].stream.scored > 0
    assert sum(one.followed.late for one, _, _ in taken) == 2 * len(taken)


# The folder


def test_a_second_watcher_is_refused(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    with only_watcher_in(layout) as folder:
        assert folder == tmp_path / WATCH
        with pytest.raises(ConfigError) as raised, only_watcher_in(layout):
            pass
        me = f"process {os.getpid()} on {socket.gethostname()}, since 20"
        assert str(raised.value).startswith(f"Another watcher ({me}")
        assert str(raised.value).endswith(f"is at work in {tmp_path}; stop it first, or name another folder.")
        assert str(watcher_of(layout)).startswith(f" ({me}")
    assert watcher_of(layout) is None
    with only_watcher_in(layout):
        pass


HOLD = """
import sys
from pathlib import Path
from observability.layout import Layout
from observability.store import Store
from observability.watching.folder import only_watcher_in
with only_watcher_in(Layout(Store(Path(sys.argv[1])), ("shop", "cart"))):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


def test_the_folder_of_one_that_was_killed_is_free(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    layout = layout_of(tmp_path)
    named = rf"Another watcher \(process {other.pid} on {socket.gethostname()}, since .*Z\) is at work in"
    with pytest.raises(ConfigError, match=named), only_watcher_in(layout):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert watcher_of(layout) is None
    with only_watcher_in(layout):
        assert (tmp_path / WATCH / "owner").read_text().startswith(f"process {os.getpid()} on")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / WATCH).write_text("in the way")
    with pytest.raises(ConfigError, match="watch cannot be written: File exists"), only_watcher_in(layout_of(tmp_path)):
        pass


def test_what_was_told_and_is_found_no_more_is_over_once_it_has_caught_up(tmp_path: Path) -> None:
    """As after --anew with another catalog: whoever was told would wait for ever."""
    sinks, gone = sinks_of(tmp_path), notification("shop/incident/gone", ongoing=True)
    assert sinks.put(gone)
    watcher = watcher_in(tmp_path, announcer=sinks)
    service_of(watcher, Clock(END + DELAY), []).run()
    told = [one for one in notified_in(tmp_path) if one.incident.id == gone.incident.id]
    assert [one.status for one in told] == ["open", "resolved"]
    assert not told[-1].incident.ongoing
    assert {one.id for one in sinks.unresolved()} <= {one.id for one in watcher.open_incidents()}
