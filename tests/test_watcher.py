"""The watcher finds what the detector finds, however its time is cut, and wherever it dies."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observability.artifacts import SEVERITIES
from observability.definitions import Maintenance
from observability.detection.anomalies import score_release
from observability.errors import ConfigError, SourceError
from observability.events import AnomalyEvents, Notification
from observability.layout import ANOMALIES, WATCH
from observability.model import Samples, Window
from observability.watching import checkpoint, watcher
from observability.watching.watcher import notifications
from tests.notifications import incident, notification
from tests.test_stream import GA, RELEASE, SERVICES, START, STEP, STEPS, samples
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

DAY = timedelta(days=1) // STEP
TORTURE = "POSTGA_TORTURE"
LATE = 296  # steps, shortly before the hour that is off


class Found:
    """What a watcher has left in its folder."""

    def __init__(self, folder: Path) -> None:
        self.events = events_in(folder)
        self.log = logged_in(folder)
        self.notified = notified_in(folder)

    def assert_is(self, other: Found) -> None:
        """The same events and log; each notification once, and the receivers know the same in the end."""
        assert self.events == other.events
        assert self.log == other.log
        assert max(Counter(told.id for told in self.notified).values()) == 1
        assert last_told(self.notified) == last_told(other.notified)


def last_told(notified: list[Notification]) -> dict[str, Any]:
    """Incident → how often it was opened and resolved, and the highest severity that was told of it."""
    of: dict[str, Any] = {}
    for told in notified:
        of.setdefault(told.incident.id, []).append(told)
    return {
        name: (
            [one.status for one in each if one.status != "escalated"],
            max((one.incident.severity for one in each), key=SEVERITIES.index),
        )
        for name, each in of.items()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Of a watcher that took every step by itself."""
    folder = tmp_path_factory.mktemp("undisturbed")
    in_windows(folder, 1)
    return Found(folder)


def in_windows(folder: Path, size: int) -> dict[str, AnomalyEvents]:
    watcher = watcher_in(folder)
    while due := min(size, watcher.due(END, END)):
        watcher.take(due)
        watcher.keep()
    return watcher.finish()


# One detector


def test_it_finds_what_the_detector_finds(undisturbed: Found, tmp_path: Path) -> None:
    days = {service: [samples(first, first + DAY)[service] for first in range(0, STEPS, DAY)] for service in SERVICES}
    expected = score_release(RELEASE, days)
    assert all(one.anomalies and one.new_levels and one.incidents for one in expected.values())
    for service, events in expected.items():
        layout_of(tmp_path).store.write(f"{service}/{ANOMALIES}", events)
    assert undisturbed.events == events_in(tmp_path)


@pytest.mark.parametrize("size", [7, 48, 60])
def test_how_the_time_is_cut_does_not_matter(undisturbed: Found, tmp_path: Path, size: int) -> None:
    in_windows(tmp_path, size)
    Found(tmp_path).assert_is(undisturbed)


def test_the_log_has_all_that_is_over(undisturbed: Found) -> None:
    events = [AnomalyEvents.model_validate_json(content) for content in undisturbed.events.values()]
    over = sum(not found.ongoing for one in events for found in (*one.anomalies, *one.incidents))
    assert len(undisturbed.log) == over + sum(len(one.new_levels) for one in events)


def test_each_incident_is_told_when_it_begins_and_when_it_is_over(undisturbed: Found) -> None:
    assert {told.status for told in undisturbed.notified} >= {"open", "resolved"}
    for name, (statuses, _) in last_told(undisturbed.notified).items():
        assert statuses in (["open"], ["open", "resolved"]), name


def test_the_windows_are_as_large_as_they_may_be(tmp_path: Path) -> None:
    """The first is small; then a day at most, and of a release with many series less."""
    sources = [Source(), Source(points=100_000)]
    for number, source in enumerate(sources):
        run(watcher_in(tmp_path / str(number), source))
    sizes = [[(window.end - window.start) // STEP for window in source.read] for source in sources]
    assert sizes[0] == [60, *[DAY] * 7, STEPS - 60 - 7 * DAY]
    assert sizes[1] == [60, *[20] * 18, STEPS - 60 - 18 * 20]


def quiet(first: int, stop: int) -> dict[str, Samples]:
    """Two quiet days, again and again."""
    steps = np.arange(first, stop) % (2 * DAY) + DAY
    window = Window(start=START + first * STEP, end=START + stop * STEP)
    return {
        service: Samples(service, window, RELEASE.step_s, {name: values[steps] for name, values in columns.items()})
        for service, columns in SERVICES.items()
    }


def test_every_service_has_its_file_from_the_first_step_on(tmp_path: Path) -> None:
    """Also those that nothing happens to."""
    watcher = watcher_in(tmp_path)
    while due := watcher.due(GA, END):
        watcher.take(due)
        watcher.keep()
    assert events_in(tmp_path) == {}
    watcher.take(1)
    watcher.keep()
    assert events_in(tmp_path).keys() == {"shop", "cart"}


def test_what_a_killed_one_has_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / WATCH).mkdir()
    left = tmp_path / WATCH / ".checkpoint.npz.abc.postga"
    left.write_bytes(b"half")
    watcher_in(tmp_path)
    assert not left.exists()


def test_memory_is_flat(tmp_path: Path) -> None:
    """What grows is findings, and no more."""
    watcher = watcher_in(tmp_path, Source(made=quiet))
    sizes = []
    for stop in (1000, 2000, 3000):
        while watcher.stream.done < stop:
            watcher.take(20)
            watcher.keep()
        watcher.checkpoint()
        besides = {id(one) for one in (watcher.log, watcher._announcer, watcher._follower)}
        sizes.append((size_of(vars(watcher), besides), (tmp_path / WATCH / checkpoint.FILE).stat().st_size))
    for (held, kept), (now, larger) in itertools.pairwise(sizes):
        assert now - held < 4_000
        assert larger - kept < 1_000


def size_of(thing: Any, seen: set[int]) -> int:
    """Bytes of arrays, and a hundred for everything else that is held."""
    if id(thing) in seen or isinstance(thing, type) or callable(thing):
        return 0
    seen.add(id(thing))
    inside = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple | set) else ()
    parts = [*inside, *getattr(thing, "__dict__", {}).values()]
    return int(getattr(thing, "nbytes", 100)) + sum(size_of(part, seen) for part in parts)


# What is told


@pytest.mark.parametrize(
    ("before", "now", "ongoing", "expected"),
    [
        (None, "medium", True, ["open"]),
        (None, "medium", False, ["open", "resolved"]),
        ("medium", "medium", True, []),
        ("medium", "high", True, ["escalated/high"]),
        ("medium", "critical", False, ["escalated/critical", "resolved"]),
        ("high", "medium", True, []),
        ("high", "medium", False, ["resolved"]),
    ],
)
def test_what_is_to_be_told(before: Any, now: Any, ongoing: bool, expected: list[str]) -> None:
    found = notifications(incident(severity=now, ongoing=ongoing), before, RELEASE, END)
    assert [one.id for one in found] == [f"checkout-1/{key}" for key in expected]


def test_what_was_over_before_the_first_start_is_history(tmp_path: Path, undisturbed: Found) -> None:
    """Also after a restart; what was still going on then is told."""
    incidents = [told.incident for told in undisturbed.notified if told.status == "resolved"]
    begun = min(one.end for one in incidents) + STEP
    watcher = watcher_in(tmp_path, now=begun)
    while watcher.until < begun:
        watcher.take(min(10, watcher.due(END, END)))
        watcher.keep()
    watcher.checkpoint()
    again = watcher_in(tmp_path, now=END)
    run(again)
    assert again.begun == begun
    expected = {one.id for one in incidents if one.end >= begun}
    assert {told.incident.id for told in notified_in(tmp_path) if told.status == "resolved"} == expected
    assert len(expected) < len(incidents)
    assert logged_in(tmp_path) == undisturbed.log


def test_incidents_in_maintenance_are_kept_and_not_told(tmp_path: Path) -> None:
    window = Maintenance(start=START + 295 * STEP, end=START + 330 * STEP, services=("shop",), reason="moving house")
    release = RELEASE.model_copy(update={"maintenance": (window,)})
    found = run(watcher_in(tmp_path, release=release))
    marked = [one for one in found["shop"].incidents if one.in_maintenance]
    assert marked
    assert not {one.id for one in marked} & {told.incident.id for told in notified_in(tmp_path)}


def test_who_was_told_of_an_incident_is_told_that_it_is_over(tmp_path: Path) -> None:
    """Also if it was killed before the first checkpoint, and the incident was over before it was started again."""
    first = watcher_in(tmp_path)
    while not first.open_incidents():
        first.take(1)
        first.keep()
    (tmp_path / WATCH / checkpoint.FILE).unlink()
    opened = {told.incident.id for told in notified_in(tmp_path) if told.status == "open"}
    run(watcher_in(tmp_path, now=END))
    resolved = {told.incident.id for told in notified_in(tmp_path) if told.status == "resolved"}
    assert opened
    assert opened <= resolved


def test_an_incident_that_begins_at_another_step_keeps_the_id_that_it_was_told_under(
    undisturbed: Found, tmp_path: Path
) -> None:
    """As after a stop, with samples that had come late."""
    real = next(told.incident for told in undisturbed.notified if told.incident.service == "shop")
    sinks = sinks_of(tmp_path)
    before = real.model_copy(update={"id": "shop/incident/before", "start": real.start - STEP, "ongoing": True})
    opened = Notification(id=f"{before.id}/open", status="open", at=before.noticed, release="r", incident=before)
    assert sinks.put(opened)
    run(watcher_in(tmp_path, announcer=sinks))
    told = [one for one in notified_in(tmp_path) if one.incident.id in (real.id, before.id)]
    assert {one.incident.id for one in told} == {before.id}
    assert [one.status for one in told if one.status != "escalated"] == ["open", "resolved"]
    assert told[-1].incident.start == real.start


def test_what_was_told_of_steps_that_are_not_scored_again_yet_is_not_settled(tmp_path: Path) -> None:
    """Told at step 200 before a stop, and it goes on from an earlier one."""
    sinks, at = sinks_of(tmp_path), START + 200 * STEP
    gone = notification("shop/incident/gone", start=at - timedelta(minutes=2), ongoing=True, service="shop")
    assert gone.at == at
    assert sinks.put(gone)
    watching = watcher_in(tmp_path, announcer=sinks)
    for until, is_settled in ((199, False), (200, True)):
        run(watching, START + until * STEP)
        assert watching.settle() is is_settled
        assert [one.incident.id for one in sinks.unresolved()] == ([] if is_settled else [gone.incident.id])


# Logs, files, windows


RENAMED = RELEASE.model_copy(update={"services": ("store", "cart")})
WITHOUT = RELEASE.model_copy(
    update={"kpis": {name: kpi for name, kpi in RELEASE.kpis.items() if name != "db_connections"}}
)


@pytest.mark.parametrize(("release", "kinds"), [(RENAMED, "all"), (WITHOUT, "all"), (RENAMED, "incidents")])
def test_a_log_of_another_release_file_is_kept_aside(
    undisturbed: Found, tmp_path: Path, release: Any, kinds: str
) -> None:
    """Without a checkpoint that would have said so."""
    folder = tmp_path / WATCH
    folder.mkdir()
    lines = [line for line in undisturbed.log if kinds == "all" or '"kind": "incident"' in line]
    content = "".join(f"{line}\n" for line in lines)
    assert content
    (folder / "log.jsonl").write_text(content)
    warned: list[str] = []
    watching = watcher_in(tmp_path, release=release, warnings=warned)
    assert warned == [f"{folder}/log.jsonl is of another release file; it is kept beside, and begun anew."]
    assert (folder / "log.jsonl.1").read_text() == content
    assert watching.log.found == []


def test_a_log_of_the_same_release_file_is_gone_on_with(undisturbed: Found, tmp_path: Path) -> None:
    in_windows(tmp_path, 48)
    (tmp_path / WATCH / checkpoint.FILE).unlink()
    warned: list[str] = []
    run(watcher_in(tmp_path, warnings=warned))
    assert warned == []
    Found(tmp_path).assert_is(undisturbed)


@pytest.mark.parametrize("which", ["_published", "_state"])
def test_files_that_cannot_be_written_stop_neither_scoring_nor_notifications(
    undisturbed: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Events, or the checkpoint: for 200 steps there is no room for them, and it is told each hour that it lasts."""
    watching, said, seen = watcher_in(tmp_path, Source(points=150_000)), list[str](), set[tuple[bool, bool]]()
    store: Any = getattr(watching, which)
    monkeypatch.setattr(store, "write", refusing(store.write, watching))
    monkeypatch.setattr(store, "write_bytes", refusing(store.write_bytes, watching))

    def took(*_: Any) -> None:
        is_refused = 200 <= watching.stream.done < 400
        seen.add((is_refused, service.health()[0]))
        if is_refused:
            told.append(len(notified_in(tmp_path)))

    told: list[int] = []
    service = service_of(watching, Clock(END + DELAY), said, took=took)
    service.run()
    assert (False, True) in seen
    assert (True, False) in seen
    assert (False, False) not in seen
    assert said[0] == "events cannot be written: no room; trying again, nothing is lost."
    assert said[-1].startswith("working again")
    assert told[-1] > told[0]
    Found(tmp_path).assert_is(undisturbed)


def refusing(write: Callable[..., Any], watching: Any) -> Callable[..., Any]:
    tries = itertools.count()

    def call(*arguments: Any) -> Any:
        if 200 <= watching.stream.done < 400:
            assert next(tries) < 1000, "it waits for them"
            raise ConfigError("events cannot be written: no room.")
        return write(*arguments)

    return call


def test_events_are_written_of_so_many_services_a_step_those_with_open_incidents_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred that changed, and two more that are next in turn: 100 / 60, rounded up."""
    names = tuple(f"s{number:02}" for number in range(100))
    watching = watcher_in(tmp_path, release=RELEASE.model_copy(update={"services": names}))
    monkeypatch.setattr(watcher, "PUBLISHED_AT_ONCE", 40)
    monkeypatch.setattr(watching.stream, "done", watching.stream.first + 1)
    monkeypatch.setattr(watching, "checkpoint", lambda: None)
    written: list[set[str]] = []
    monkeypatch.setattr(watching, "_publish", written.append)
    for _ in range(3):
        watching._write_state([incident(service="s77"), incident(service="s50")])
    assert written == [
        {"s50", "s77", *names[:38], "s00", "s01"},
        {*names[38:50], *names[51:77], *names[78:80], "s02", "s03"},
        {*names[80:], "s04", "s05"},
    ]


def test_after_an_error_of_the_source_the_next_window_is_half_as_long(tmp_path: Path) -> None:
    """Until the server answers; then they grow again."""

    def trouble(window: Window) -> None:
        if window.end - window.start > 10 * STEP:
            raise SourceError("too much.")

    source = Source(trouble)
    watching = watcher_in(tmp_path, source)
    for _ in range(3):
        with pytest.raises(SourceError):
            watching.take(watching.due(END, END))
    watching.take(watching.due(END, END))
    assert [(window.end - window.start) // STEP for window in source.tried] == [60, 30, 15, 7]


# Killed


class Killed(BaseException):
    """As if the process had ended there."""


@contextmanager
def nth_call(fail: Callable[[str, Callable[[], Any]], Any]) -> Iterator[None]:
    """``fail`` is called in place of each call that changes the disk, with its name and what it would have done."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (os, "fsync"),
            (os, "replace"),
            (os, "write"),
            (os, "ftruncate"),
            (os, "truncate"),
            (os, "chmod"),
            (tempfile, "mkstemp"),
            (Path, "open"),
        ):
            real = (lambda _: None) if name == "fsync" else getattr(owner, name)  # no power is lost here
            patch.setattr(owner, name, intercepted(name, real, fail))
        yield


def intercepted(name: str, real: Callable[..., Any], fail: Callable[[str, Callable[[], Any]], Any]) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        if name == "write":
            half = (arguments[0], arguments[1][: len(arguments[1]) // 2])
            return fail("half", lambda: real(*half)) or real(*arguments)
        if name != "open":
            return fail(name, lambda: real(*arguments, **named))
        if {*arguments[1:], *named.values()} <= {"r", "rb"}:
            return real(*arguments, **named)
        return fail(f"open {arguments[0].name}", lambda: real(*arguments, **named))

    return call


class Counted:
    """Does what is asked ``when`` times, and then raises: before the call, after it, or in the middle of writing."""

    def __init__(self, dies_at: int, error: Callable[[], BaseException], way: str = "before", times: int = 1) -> None:
        self.calls, self._dies_at, self._error, self._way, self._times = 0, dies_at, error, way, times
        self.names: list[str] = []

    def __call__(self, name: str, real: Callable[[], Any]) -> Any:
        self.calls += 1
        self.names.append(name)
        is_hit = self._dies_at <= self.calls < self._dies_at + self._times
        if is_hit and (self._way == "after" or name == "half"):
            real()
        if is_hit:
            raise self._error()
        return None if name == "half" else real()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is watched up to shortly before the hour that is off."""
    folder = tmp_path_factory.mktemp("begun")
    watcher = watcher_in(folder)
    while watcher.stream.done < LATE:
        watcher.take(8)
        watcher.keep()
    watcher.checkpoint()
    return folder


def copied(begun: Path, folder: Path) -> Path:
    return Path(shutil.copytree(begun, folder))


def rest(folder: Path, size: int = 12) -> None:
    """The days from there on, in short windows."""
    watcher = watcher_in(folder)
    while due := min(size, watcher.due(END, END)):
        watcher.take(due)
        watcher.keep()
    watcher.finish()


def calls_of_the_rest(folder: Path, undisturbed: Found) -> list[int]:
    """The numbers of the calls: all of them in ``make torture``, else some, and those that write notifications."""
    counted = Counted(-1, Killed)
    with nth_call(counted):
        rest(folder)
    assert {"fsync", "replace", "half", "mkstemp", "open log.jsonl"} <= set(counted.names)
    Found(folder).assert_is(undisturbed)
    if os.environ.get(TORTURE):
        return list(range(1, counted.calls + 1))
    puts = [number for number, name in enumerate(counted.names, 1) if name == "open outbox.jsonl"]
    return sorted({*range(1, counted.calls + 1, 12), *puts})


@pytest.mark.parametrize("way", ["before", "after"])
def test_killed_at_any_call(undisturbed: Found, begun: Path, tmp_path: Path, way: str) -> None:
    """It goes on from what is there, and finds the same: nothing twice, nothing lost."""
    for number in calls_of_the_rest(copied(begun, tmp_path / "whole"), undisturbed):
        folder = copied(begun, tmp_path / str(number))
        with nth_call(Counted(number, Killed, way)), pytest.raises(Killed):
            rest(folder)
        rest(folder)
        Found(folder).assert_is(undisturbed)
        shutil.rmtree(folder)


def test_killed_again_and_again(undisturbed: Found, begun: Path, tmp_path: Path) -> None:
    folder, deaths = copied(begun, tmp_path / "watched"), 0
    while True:
        with nth_call(Counted(30 + deaths % 7, Killed, ("before", "after")[deaths % 2])):
            try:
                rest(folder)
            except Killed:
                deaths += 1
            else:
                break
    assert deaths > 3
    Found(folder).assert_is(undisturbed)


# A full disk


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_waited_for(undisturbed: Found, begun: Path, tmp_path: Path) -> None:
    """At whatever call there is no room, and for a while; nothing is lost, and it is told once."""
    for number in calls_of_the_rest(copied(begun, tmp_path / "whole"), undisturbed):
        folder, said = copied(begun, tmp_path / str(number)), []
        clock, counted = Clock(END + DELAY), Counted(number, full, times=20)
        service = service_of(watcher_in(folder, Source(points=150_000)), clock, said)
        with nth_call(counted):
            service.run()
        Found(folder).assert_is(undisturbed)
        if counted.calls >= number:
            assert re.fullmatch(FULL, said[0])
            assert [text.partition(",")[0] for text in said[1:]] == ["working again"]
        shutil.rmtree(folder)


FULL = r"/.* cannot be written: No space left .*; make room, or name another folder; trying again, nothing is lost\."


def test_a_full_disk_ends_a_look_at_the_past(undisturbed: Found, begun: Path, tmp_path: Path) -> None:
    """With one sentence; the same command carries on."""
    for number in calls_of_the_rest(copied(begun, tmp_path / "whole"), undisturbed):
        folder = copied(begun, tmp_path / str(number))
        with nth_call(Counted(number, full, times=10**9)), pytest.raises(ConfigError, match="make room") as raised:
            rest(folder)
        assert raised.value.exit_code == 2
        rest(folder)
        Found(folder).assert_is(undisturbed)
        shutil.rmtree(folder)
