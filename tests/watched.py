"""A made-up source, a clock and receivers for the tests of the watcher. The samples are those of the stream's tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from observability.definitions import Release
from observability.events import AnomalyEvents, Notification
from observability.layout import WATCH, Layout
from observability.model import Plan, Samples, Window
from observability.notify import Notify
from observability.sources import Followed, Memory
from observability.store import Store
from observability.watching.service import Service
from observability.watching.sinks import Sinks
from observability.watching.watcher import Watcher
from tests.test_stream import GA, RELEASE, START, STEP, STEPS, samples

END = START + STEPS * STEP
DELAY = timedelta(seconds=30)
Trouble = Callable[[Window], None]
Made = Callable[[int, int], dict[str, Samples]]


class Source:
    """Has the made-up samples, or others. ``trouble`` may raise for a window; ``points`` that a step has bound the
    windows."""

    def __init__(
        self, trouble: Trouble = lambda window: None, points: int = 8, late: int = 0, made: Made = samples
    ) -> None:
        self.trouble, self.points, self.late, self.made = trouble, points, late, made
        self.read: list[Window] = []
        self.tried: list[Window] = []

    def follow(self, plan: Plan, start: datetime) -> Following:
        return Following(self, start)


class Following:
    """Refuses a window that does not begin where the one before ended."""

    def __init__(self, source: Source, start: datetime) -> None:
        self._source, self._next = source, start

    def read(self, window: Window) -> Followed:
        assert window.start == self._next
        self._source.tried.append(window)
        self._source.trouble(window)
        self._source.read.append(window)
        self._next = window.end
        first, last = ((instant - START) // STEP for instant in (window.start, window.end))
        return Followed(
            self._source.made(first, last), points=self._source.points * (last - first), late=self._source.late
        )

    def memory(self) -> Memory:
        return {"next": np.array((self._next - START) // STEP)}

    def remember(self, memory: Memory) -> None:
        self._next = START + int(memory["next"]) * STEP


class Clock:
    """Time that passes only while somebody sleeps. ``jumps``: after so many seconds, the clock is set by so much."""

    def __init__(self, now: datetime, jumps: dict[float, timedelta] | None = None) -> None:
        self.passed, self.now, self._jumps = 0.0, now, dict(jumps or {})

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.passed += seconds
        self.now += timedelta(seconds=seconds)
        for at in [at for at in self._jumps if at <= self.passed]:
            self.now += self._jumps.pop(at)


def layout_of(folder: Path, release: Release = RELEASE) -> Layout:
    return Layout(Store(folder), release.services)


def sinks_of(folder: Path) -> Sinks:
    return Sinks(folder / WATCH, Notify(), lambda text: None)


def watcher_in(folder: Path, source: Source | None = None, warnings: list[str] | None = None, **more: Any) -> Watcher:
    release = more.pop("release", RELEASE)
    told: list[str] = [] if warnings is None else warnings
    given = {"start": START, "since": GA, "now": START, "announcer": sinks_of(folder), "warn": told.append, **more}
    return Watcher(release, Source() if source is None else source, layout_of(folder, release), **given)


def run(watcher: Watcher, end: datetime = END) -> dict[str, AnomalyEvents]:
    """All steps up to ``end``, in windows as large as they go."""
    while due := watcher.due(end, end):
        watcher.take(due)
        watcher.keep()
    return watcher.finish()


def service_of(watcher: Watcher, clock: Clock, said: list[str], **more: Any) -> Service:
    given = {"end": END, "delay": DELAY, "patient": True, "took": lambda *_: None, **more}
    return Service(watcher, say=said.append, clock=clock, monotonic=clock.monotonic, sleep=clock.sleep, **given)


def events_in(folder: Path) -> dict[str, bytes]:
    """Service → what lies in its anomaly_events.json."""
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/anomaly_events.json")}


def logged_in(folder: Path) -> list[str]:
    """The log's lines, in an order that does not depend on when they were written."""
    return sorted((folder / WATCH / "log.jsonl").read_text().splitlines())


def notified_in(folder: Path) -> list[Notification]:
    lines = (folder / WATCH / "outbox.jsonl").read_text().splitlines()
    return [Notification.model_validate({k: v for k, v in json.loads(line).items() if k != "number"}) for line in lines]


def windows(first: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    yield from ((begin, min(begin + size, stop)) for begin in range(first, stop, size))
