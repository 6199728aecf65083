"""Watches a release in a process of its own, each step as if it had just ended, and prints what each took. Run by
``benchmarks.watch``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.memory import peak_mb
from benchmarks.watch_data import LEAD
from observability.errors import PostgaError
from observability.layout import WATCH, Layout
from observability.model import Plan, Window
from observability.release import load
from observability.sources import Followed, Follower, Memory
from observability.sources.prometheus import Prometheus
from observability.store import Store
from observability.watching.sinks import Sinks
from observability.watching.watcher import Watcher

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Step:
    """Seconds in all, and of these until the samples were there; samples read, findings that were over; the process'
    memory afterwards, and its highest so far."""

    seconds: float
    reading_s: float
    points: int
    found: int
    mb: float
    peak_mb: float


class Timed:
    """A follower that adds up how long reading takes."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.seconds = 0.0

    def read(self, window: Window) -> Followed:
        begun = time.perf_counter()
        followed = self._follower.read(window)
        self.seconds += time.perf_counter() - begun
        return followed

    def memory(self) -> Memory:
        return self._follower.memory()

    def remember(self, memory: Memory) -> None:
        self._follower.remember(memory)


class TimedPrometheus(Prometheus):
    follower: Timed

    def follow(self, plan: Plan, start: datetime) -> Timed:
        self.follower = Timed(super().follow(plan, start))
        return self.follower


def watched(path: Path, folder: Path, steps: int) -> Iterator[Step]:
    """The release's history from where its data begins, at once, and then step after step from GA on."""
    release = load(path)
    source = TimedPrometheus(release.prometheus)
    sinks = Sinks(folder / WATCH, release.notify, _tell)
    layout, ga = Layout(Store(folder), release.services), release.ga
    watcher = Watcher(release, source, layout, start=ga - LEAD, since=ga, now=ga, warn=_tell, announcer=sinks)
    while due := watcher.due(ga, ga):
        watcher.take(due)
        watcher.keep()
    for _ in range(steps):
        source.follower.seconds, begun = 0.0, time.perf_counter()
        taken, found = watcher.take(1), watcher.keep()
        took = time.perf_counter() - begun
        yield Step(took, source.follower.seconds, taken.followed.points, len(found), _memory_mb(), peak_mb())


def _memory_mb() -> float:
    """Resident: Linux's ``statm`` has it in pages, as the second number."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    release_file, into, count = sys.argv[1:]
    try:
        for step in watched(Path(release_file), Path(into), int(count)):
            print(json.dumps(asdict(step)), flush=True)
    except PostgaError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
