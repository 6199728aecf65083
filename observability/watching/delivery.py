"""One receiver's way through the outbox: in order, each notification until it is taken, at its own pace."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from threading import Event, Thread
from typing import Protocol

from observability.errors import ConfigError
from observability.events import Notification
from observability.watching.outbox import Outbox
from observability.watching.posting import Failure, Message

Tell = Callable[[str], None]


class Letters(Protocol):
    """What a receiver is sent."""

    def message(self, notification: Notification) -> Message:
        """The notification, as the receiver wants it."""

    def delivered(self, notification: Notification) -> None:
        """It has been taken."""

    def reminder(self) -> Message | None:
        """What is to be sent again and again; ``None`` where there is nothing."""


MakeLetters = Callable[[list[Notification]], Letters]


@dataclass(frozen=True)
class Pace:
    """In seconds: the wait after the first failure and the longest one, each failure doubling it; how long an attempt
    may take; how often a reminder is sent."""

    first_s: float = 1.0
    most_s: float = 60.0
    attempt_s: float = 10.0
    reminder_s: float = 60.0

    @property
    def lasting(self) -> timedelta:
        """How long a reminder holds: several may be lost on their way."""
        return timedelta(seconds=4 * self.reminder_s)

    def wait_s(self, failures: int, failure: Failure) -> float:
        """After so many failures in a row. Half of it is left to chance, so that not all watchers come at once."""
        if failure.is_refusal:
            return self.most_s
        doubled = self.first_s * 2.0 ** min(failures - 1, 30)
        return min(max(doubled * random.uniform(0.5, 1.0), failure.retry_after_s), self.most_s)


class Delivery:
    """Delivers to one receiver on a thread of its own. ``tell`` is called on that thread, once when a failure begins
    and once when it is over."""

    def __init__(
        self,
        name: str,
        key: str,
        outbox: Outbox,
        letters: MakeLetters,
        post: Callable[[Message], Failure | None],
        pace: Pace,
        tell: Tell,
    ) -> None:
        """``key``: its cursor's file. ``letters`` are made from the open incidents that the receiver knows of."""
        self.name = name
        self.next = outbox.begin(key, name)
        self.failures = 0
        self._key, self._outbox, self._post, self._pace, self._tell = key, outbox, post, pace, tell
        self._letters = letters(outbox.open_incidents(self.next))
        self._deliver_at = self._remind_at = 0.0
        self._in_a_row = 0
        self._told: set[str] = set()
        self._woken, self._stopping, self._ended = Event(), Event(), Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    @property
    def pending(self) -> int:
        return self._outbox.next_number - self.next

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Try at once what is left, and end when there is nothing."""
        self._stopping.set()
        self._deliver_at = 0.0
        self._woken.set()

    def join(self, within_s: float) -> None:
        """Wait so long for the end, and then end anyway."""
        if self._thread.is_alive():
            self._thread.join(within_s)
        self._ended.set()
        self._woken.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._woken.clear()
            again_at = min(self._deliver(), self._remind())
            if self._stopping.is_set() and self.pending == 0:
                return
            if again_at > time.monotonic():
                self._woken.wait(None if again_at == inf else again_at - time.monotonic())

    def _deliver(self) -> float:
        """Deliver the next notification if it is time to. When to come back, on the monotonic clock; ``inf``: when
        woken."""
        if self.pending == 0:
            return inf
        if time.monotonic() < self._deliver_at:
            return self._deliver_at
        failure = self._attempt(self._deliver_next)
        if failure is None:
            self._well()
            return 0.0 if self.pending else inf
        self._deliver_at = time.monotonic() + self._failed(failure)
        if not failure.is_refusal:  # then a reminder has no better chance
            self._remind_at = max(self._remind_at, self._deliver_at)
        return self._deliver_at

    def _deliver_next(self) -> Failure | None:
        found = self._outbox.after(self.next)
        if found is None:  # the outbox was begun anew without what is over, while nobody asked for it
            self._advance(self._outbox.next_number)
            return None
        number, notification = found
        failure = self._post(self._letters.message(notification))
        if failure is None:
            if self._letters.reminder() is None:  # what it is to be reminded of it hears only now
                self._remind_at = time.monotonic() + self._pace.reminder_s
            self._letters.delivered(notification)
            self._advance(number + 1)
        return failure

    def _remind(self) -> float:
        """Send the reminder if it is time to. When to come back, as ``_deliver`` has it."""
        message = None if self._stopping.is_set() else self._letters.reminder()
        if message is None:
            return inf
        if time.monotonic() >= self._remind_at:
            failure = self._attempt(lambda: self._post(message))
            wait_s = self._pace.reminder_s if failure is None else self._failed(failure)
            self._remind_at = time.monotonic() + min(wait_s, self._pace.reminder_s)
            if failure is None and self.pending == 0:
                self._well()
        return self._remind_at

    def _attempt(self, action: Callable[[], Failure | None]) -> Failure | None:
        try:
            return action()
        except Exception as error:  # whatever it is, the notification stays, and the thread goes on
            return Failure(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip("."))

    def _advance(self, number: int) -> None:
        """Go on, also where that cannot be written down: then the receiver may be told again after a restart."""
        self.next = number
        try:
            self._outbox.advance(self._key, self.name, number)
            self._told.discard("cursor")
        except ConfigError as error:
            self._tell_once("cursor", f"{self.name} may be told again what it knows, after a restart: {error}")

    def _failed(self, failure: Failure) -> float:
        """How long to wait, in seconds."""
        self.failures += 1
        self._in_a_row += 1
        kind = "refusal" if failure.is_refusal else "failure"
        self._tell_once(kind, self._sentence(failure))
        if self._stopping.is_set():
            return self._pace.first_s
        return self._pace.wait_s(self._in_a_row, failure)

    def _sentence(self, failure: Failure) -> str:
        todo = "they wait until it does"
        if failure.is_refusal:
            todo = f"see to it, or correct `notify` in the release file; it is tried every {self._pace.most_s:g} s"
        return f"{self.name} takes no notifications ({failure.reason}); {todo}."

    def _well(self) -> None:
        if self._told & {"failure", "refusal"}:
            self._say(f"{self.name} takes notifications again, at attempt {self._in_a_row + 1}.")
        self._told -= {"failure", "refusal"}
        self._in_a_row = 0

    def _tell_once(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._say(text)

    def _say(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone must not end the deliveries
            self._tell(text)
