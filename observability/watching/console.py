"""What the watcher says on the terminal, and to its metrics and receivers: incidents on stdout, the rest on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from observability.artifacts import Severity
from observability.commands import FULL, give_up_stdout
from observability.events import Anomaly, Finding, Incident, Notification
from observability.model import format_instant
from observability.units import format_duration
from observability.watching.watcher import Taken, Watcher

if TYPE_CHECKING:
    from observability.watching.metrics import Metrics
    from observability.watching.sinks import Sinks

SUSPECTS = 3  # that a line names
MOST_WARNINGS = 1000  # of the source, that are told by one process
NUMBER = re.compile(r"[\d.,]+")


class Console:
    """An announcer. Live, it tells the receivers what is new, and prints it; of the past it prints what is over."""

    def __init__(self, sinks: Sinks | None, as_json: bool, advance: Callable[..., None]) -> None:
        self._sinks, self._as_json, self._advance = sinks, as_json, advance
        self._metrics: Metrics | None = None
        self._failing: dict[str, str] = {}
        self._warned: set[str] = set()

    def count(self, metrics: Metrics) -> None:
        """Keep these metrics from now on."""
        self._metrics = metrics
        if self._sinks is not None:
            metrics.sinks(self._sinks.pending, self._sinks.failures)

    def told(self, incident: str) -> Severity | None:
        return None if self._sinks is None else self._sinks.told(incident)

    def put(self, notification: Notification) -> bool:
        if self._sinks is None or not self._sinks.put(notification):
            return False
        if self._metrics is not None and notification.status == "open":
            self._metrics.incident(notification.incident.severity)
        self._print(
            notification.model_dump_json() if self._as_json else line(notification.incident, notification.status)
        )
        return True

    def unresolved(self) -> list[Notification]:
        return [] if self._sinks is None else self._sinks.unresolved()

    def took(self, watcher: Watcher, taken: Taken, found: Sequence[Finding], seconds: float, end: datetime) -> None:
        """What came of a window, and what is over and new since."""
        self._tell_failures(taken)
        self._tell_warnings(taken)
        if self._metrics is not None:
            self._count(self._metrics, watcher, taken, seconds)
            for one in found:
                if isinstance(one, Anomaly):
                    self._metrics.episode(one.severity, one.channel)
        if self._sinks is None:
            for one in found:
                if isinstance(one, Incident):
                    self._print(one.model_dump_json() if self._as_json else line(one, "resolved"))
        text, begun = f"scored up to {format_instant(watcher.until)}", watcher.stream.steps.start
        if self._sinks is not None and taken.steps == 1:
            self._advance(f"{text}, {len(watcher.open_incidents())} open incidents")
        else:
            self._advance(text, (watcher.until - begun) / (end - begun))

    def ended(self, watcher: Watcher) -> None:
        """Of the past, the incidents that were not over at its end."""
        for one in watcher.open_incidents() if self._sinks is None else ():
            self._print(one.model_dump_json() if self._as_json else line(one, "open"))

    def _tell_failures(self, taken: Taken) -> None:
        """Each query that begins to fail, and each that works again, once."""
        for query, text in taken.followed.failed.items():
            if query not in self._failing:
                self.warn(text)
        for query in self._failing.keys() - taken.followed.failed.keys():
            self.say(f"query '{query}' works again")
        self._failing = dict(taken.followed.failed)

    def _tell_warnings(self, taken: Taken) -> None:
        """What the source warned of, each thing once, whatever its numbers are."""
        for text in dict.fromkeys(text for one in taken.followed.services.values() for text in one.warnings):
            kind = NUMBER.sub("", text)
            if kind not in self._warned and len(self._warned) < MOST_WARNINGS:
                self._warned.add(kind)
                self.warn(f"{text}.")

    def say(self, text: str) -> None:
        """A line on stderr. Live, one that is on a full disk, or gone, must not end the watch."""
        with nullcontext() if self._sinks is None else suppress(OSError):
            print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        """Something that a user should know."""
        self.say(f"warning: {text}")

    def _print(self, text: str) -> None:
        """A line on stdout. Live, a full disk is waited for: the next line brings this one along; and nobody who reads
        it any more is no reason to stop."""
        try:
            print(text, flush=True)
        except OSError as error:
            if self._sinks is None:
                raise
            if error.errno not in FULL:
                give_up_stdout()
                self.warn("nobody reads stdout any more; incidents go to the receivers and to the files.")

    def _count(self, metrics: Metrics, watcher: Watcher, taken: Taken, seconds: float) -> None:
        metrics.stepped(taken.window.end, taken.samples, seconds, taken.followed.late, taken.steps)
        for query in taken.followed.failed:
            metrics.failed(query)
        ongoing = watcher.stream.ongoing()
        incidents = sum(isinstance(one, Incident) for one in ongoing)
        metrics.set_open(incidents, len(ongoing) - incidents)
        metrics.set_series(len(watcher.stream.subjects))
        metrics.checkpointed(watcher.kept_until)


def line(incident: Incident, status: str) -> str:
    """An incident in a line.

    ``2025-11-20T14:02:00Z checkout high, open: p99_latency_ms (54 %), overall_error_rate (31 %); evidence 9.1 of 6.4``
    """
    suspects = [f"{one.metric_name} ({one.share:.0%})".replace("%", " %") for one in incident.suspects[:SUSPECTS]]
    more = f" and {len(incident.suspects) - SUSPECTS} more" if len(incident.suspects) > SUSPECTS else ""
    over = "" if incident.ongoing else f", {format_duration((incident.end - incident.start).total_seconds())} long"
    where = ", in maintenance" if incident.in_maintenance else ""
    return (
        f"{format_instant(incident.start)} {incident.service} {incident.severity}, {status}{over}{where}: "
        f"{', '.join(suspects)}{more}; evidence {incident.score:.3g} of {incident.threshold:.3g}"
    )
