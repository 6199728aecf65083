"""The watcher's day: a step as soon as it is over, patience with whatever fails, and words for it, each once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from observability.errors import ConfigError, NotEnoughDataError, PostgaError
from observability.events import Finding
from observability.model import format_instant
from observability.units import format_duration
from observability.watching.watcher import Taken, Watcher

LONGEST_NAP_S = 1.0  # a clock that jumps, or a signal, is noticed after so long
PAUSE_S = 30.0  # at most, between attempts to reach a source that fails
JUMP = timedelta(seconds=30)  # by which the clock and the time that went by differ, to be told
DEAD_S, DEAD_STEPS = 300.0, 5  # without a sign of life, it is not healthy
TOLD_AGAIN, LASTING = timedelta(hours=1), timedelta(minutes=5)
NOTHING_LOST = {True: "nothing is lost", False: "what is missed is read as soon as it answers"}

AGAIN = re.compile(r"(;|, or) run (the command|it) again( later| then)?")  # for who is not at work already

T = TypeVar("T")


@dataclass
class Service:
    """Runs a watcher up to ``end``: each step ``delay`` after it is over, at times that are aligned with the steps.

    ``patient``: a source or a disk that fails is tried again, for as long as it takes, once anything was read;
    otherwise it ends the run.
    ``took`` is told of each window that was scored, what was found by its end and is new, and how many seconds that
    took; ``say`` of what a user should know.
    """

    watcher: Watcher
    end: datetime
    delay: timedelta
    patient: bool
    took: Callable[[Taken, Sequence[Finding], float], None]
    say: Callable[[str], None]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _trouble: _Trouble | None = field(default=None, init=False)
    _told: dict[type, datetime] = field(default_factory=dict, init=False)  # of each kind of error, when it was last
    _is_settled: bool = field(default=False, init=False)
    _alive: float = field(default=0.0, init=False)
    _clocks: tuple[datetime, float] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._alive = self.monotonic()

    def run(self) -> None:
        """Until the last step is scored and kept."""
        while self.watcher.until < self.end:
            if self.patient:
                self._check_clock()
            due = self.watcher.due(self.clock() - self.delay, self.end)
            if due:
                self._advance(due)
            else:
                self._settle()
                self._nap(self.watcher.until + self.watcher.release.step + self.delay - self.clock())
        self._settle()
        self._persist(self.watcher.finish)

    def _settle(self) -> None:
        """Once, when it has caught up."""
        if not self._is_settled:
            self._is_settled = self._persist(self.watcher.settle)

    def health(self) -> tuple[bool, str]:
        """Whether it is at work, and a sentence that says how it stands."""
        silent = self.monotonic() - self._alive
        limit = max(DEAD_S, DEAD_STEPS * self.watcher.release.step_s)
        scored = f"scored up to {format_instant(self.watcher.until)}"
        if silent > limit:
            return False, f"{scored}; no sign of life for {format_duration(silent)}"
        if self._trouble is not None:
            return not self._trouble.is_ours, f"{scored}; {self._trouble.text}"
        return True, scored

    def _advance(self, due: int) -> None:
        begun = self.monotonic()
        try:
            taken = self.watcher.take(due)
        except NotEnoughDataError as error:  # the server's clock is behind: the first of the steps may be over there
            if due > 1:
                self._advance(1)
            else:
                self._suffer(error, is_ours=False)
        except PostgaError as error:
            self._suffer(error, is_ours=False)
        else:
            self._recover()
            found = self._persist(self.watcher.keep)
            if self.watcher.unwritten is not None:
                self._suffer(self.watcher.unwritten, is_ours=True, pause=False)
            self._alive = self.monotonic()
            self.took(taken, found, self._alive - begun)

    def _persist(self, write: Callable[[], T]) -> T:
        """Try to write for as long as it takes."""
        while True:
            try:
                written = write()
            except ConfigError as error:
                self._suffer(error, is_ours=True)
            else:
                self._recover()
                return written

    def _suffer(self, error: PostgaError, is_ours: bool, pause: bool = True) -> None:
        """Tell of what fails, once and then every hour, and wait. What comes and goes is not told each time, unless it
        lasts."""
        if not self.patient or not self.watcher.stream.done:
            raise error
        now, kind = self.clock(), type(error)
        text = AGAIN.sub("", str(error)).rstrip(".")
        if self._trouble is None:
            self._trouble = _Trouble(text, now, is_ours)
        trouble, before = self._trouble, self._told.get(kind)
        lasts = not trouble.is_told and now - trouble.since >= LASTING
        if before is None or now - before >= TOLD_AGAIN or lasts:
            trouble.text, trouble.is_told, self._told[kind] = text, True, now
            self.say(f"{trouble.text}; trying again, {NOTHING_LOST[is_ours]}.")
        if pause:
            self._nap(timedelta(seconds=min(PAUSE_S, self.watcher.release.step_s)))

    def _recover(self) -> None:
        if self.watcher.unwritten is not None:
            return
        if self._trouble is not None and self._trouble.is_told:
            lasted = format_duration((self.clock() - self._trouble.since).total_seconds())
            self.say(f"working again, after {lasted}.")
        self._trouble = None

    def _check_clock(self) -> None:
        """Tell of a clock that was set. Steps that were scored stay scored, and none is left out."""
        now, passed = self.clock(), self.monotonic()
        if self._clocks is not None:
            jump = now - self._clocks[0] - timedelta(seconds=passed - self._clocks[1])
            if abs(jump) >= JUMP:
                way = "forward" if jump > timedelta() else "back"
                text = f"the clock went {way} by {format_duration(abs(jump).total_seconds())}"
                self.say(f"{text}; the next step is the one after {format_instant(self.watcher.until)}, as before.")
        self._clocks = now, passed

    def _nap(self, left: timedelta) -> None:
        """Sleep, in pieces, but look up for what has changed meanwhile."""
        end = self.monotonic() + min(left.total_seconds(), PAUSE_S)
        while (rest := end - self.monotonic()) > 0:
            self._alive = self.monotonic()
            self.sleep(min(rest, LONGEST_NAP_S))


@dataclass
class _Trouble:
    """What fails, and since when; ``is_ours``: the disk, and not the source."""

    text: str
    since: datetime
    is_ours: bool
    is_told: bool = False
