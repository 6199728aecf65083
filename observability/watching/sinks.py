"""Everybody who is told of incidents: what is put here reaches each of them, whoever else is down."""

from __future__ import annotations

import hashlib
import string
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import quote

from observability.artifacts import Severity
from observability.events import Notification
from observability.notify import Notify, Receiver
from observability.watching.alertmanager import Alerts
from observability.watching.delivery import Delivery, MakeLetters, Pace, Tell
from observability.watching.outbox import Outbox
from observability.watching.posting import Message, Post

PLAIN = string.punctuation.replace("%", "")  # of what is quoted otherwise


class Webhook:
    """Letters as they stand: the JSON of the notification, once."""

    def message(self, notification: Notification) -> Message:
        key = quote(notification.id, safe=PLAIN)  # a header takes no other characters
        return Message(notification.model_dump_json().encode(), headers={"Idempotency-Key": key})

    def delivered(self, notification: Notification) -> None:
        """Nothing follows from it."""

    def reminder(self) -> None:
        """A webhook is told once."""


class Sinks:
    """The receivers of a release, and the outbox between them and who puts notifications.

    ``tell`` gets one sentence when a receiver begins to fail and one when that is over, on any thread.
    """

    def __init__(
        self,
        folder: Path,
        settings: Notify,
        tell: Tell,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ``ConfigError`` for an outbox that cannot be used, and for variables and files that the settings
        refer to."""
        self._outbox = Outbox(folder)
        self._deliveries: list[Delivery] = []
        alerts = partial(Alerts, settings.labels, pace.lasting, now)
        for alertmanager in settings.alertmanager:
            self._add("alertmanager", alertmanager, alerts, pace, tell)
        for webhook in settings.webhooks:
            self._add("webhook", webhook, lambda _: Webhook(), pace, tell)

    def _add(self, kind: str, receiver: Receiver, letters: MakeLetters, pace: Pace, tell: Tell) -> None:
        name, others = f"{kind} {receiver.shown}", {one.name for one in self._deliveries}
        if name in others:  # they differ in what is not shown
            name = next(found for number in count(2) if (found := f"{name} ({number})") not in others)
        key = f"outbox_{kind}_{hashlib.sha256(receiver.url.encode()).hexdigest()[:12]}.json"
        post = Post(receiver, pace.attempt_s)
        self._deliveries.append(Delivery(name, key, self._outbox, letters, post, pace, tell))

    def told(self, incident: str) -> Severity | None:
        """The severity that was put last of the incident of this id; None for one that is unknown."""
        return self._outbox.told(incident)

    def put(self, notification: Notification) -> bool:
        """Write it down for everybody; false where its id was put before. Returns when it cannot be lost any more, and
        waits for no receiver. Raises ``ConfigError`` where it cannot be written down."""
        is_new = self._outbox.put(notification)
        if is_new:
            self._outbox.shrink(min((one.next for one in self._deliveries), default=self._outbox.next_number))
            for one in self._deliveries:
                one.wake()
        return is_new

    def unresolved(self) -> list[Notification]:
        """What was put last of each incident that was put, and not that it is over."""
        return self._outbox.open_incidents(self._outbox.next_number)

    def start(self) -> None:
        for one in self._deliveries:
            one.start()

    def stop(self, within_s: float) -> None:
        """Deliver what is left, for so many seconds in all. The rest is left for the next start."""
        deadline = time.monotonic() + within_s
        for one in self._deliveries:
            one.stop()
        for one in self._deliveries:
            one.join(max(0.0, deadline - time.monotonic()))

    def pending(self) -> dict[str, int]:
        """Receiver → how many notifications it has not taken."""
        return {one.name: one.pending for one in self._deliveries}

    def failures(self) -> dict[str, int]:
        """Receiver → how many attempts have failed since the start."""
        return {one.name: one.failures for one in self._deliveries}
