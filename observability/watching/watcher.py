"""The watcher: reads a release's samples step after step, scores them, and keeps what it finds on disk.

Live, a replay of a recording and a look at a past window are this one loop: they differ in the clock. After a stop of
any kind it goes on from its last checkpoint, reads again what came after it, and finds the same: what the log and the
outbox have already is passed over.

Below the folder ``watch``: ``checkpoint.npz``, ``log.jsonl`` and the outbox. What it has found lies beside that folder
in ``anomaly_events.json``, or what else ``name`` says, for each service.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from observability.artifacts import SEVERITIES, Severity
from observability.definitions import Release
from observability.detection.anomalies import by_service, dressed, placed, told_events
from observability.detection.stream import Stream
from observability.errors import ConfigError, SourceError
from observability.events import Anomaly, AnomalyEvents, Finding, Incident, Notification
from observability.layout import ANOMALIES, WATCH, Layout
from observability.model import Window
from observability.sources import Followed, Source
from observability.store import Store
from observability.watching import checkpoint
from observability.watching.checkpoint import Checkpoint, UnusableError
from observability.watching.log import Log, set_aside

LOG = "log.jsonl"
CHECKPOINT_STEPS = 10  # live, so many steps are read again at most after a stop
FIRST_STEPS = 60  # of the first window, before it is known how many samples a step has
MOST_POINTS = 2_000_000  # samples that are read at once
PUBLISHED_AT_ONCE = 200  # services whose events are written in one step; others wait for the next
PUBLISHED_WITHIN = 60  # steps after which each service's events are written again, changed or not


class Announcer(Protocol):
    """Tells the world of incidents, each thing once."""

    def told(self, incident: str) -> Severity | None:
        """The severity that was last told of the incident of this id; None where it is unknown."""

    def put(self, notification: Notification) -> bool:
        """Tell this, unless a notification of its id was told before. Whether it was new."""

    def unresolved(self) -> list[Notification]:
        """What was told last of each incident that was told, and not that it is over."""


@dataclass(frozen=True)
class Taken:
    """What came of a window, and what the source had of it. ``samples``: how many values were scored."""

    window: Window
    steps: int
    samples: int
    followed: Followed


class Watcher:
    """Scores the steps from ``start`` on, and tells what happened from ``since`` on.

    ``layout`` is of the release's folder, which must exist. ``warn`` is told what a user should know.

    Raises ``ConfigError`` where the folder's checkpoint is of another release, or nothing can be written there.
    """

    def __init__(
        self,
        release: Release,
        source: Source,
        layout: Layout,
        *,
        start: datetime,
        since: datetime,
        now: datetime,
        warn: Callable[[str], None],
        announcer: Announcer,
        name: str = ANOMALIES,
        anew: bool = False,
    ) -> None:
        self.release, self._layout, self._announcer, self._name = release, layout, announcer, name
        folder = Path(layout.store.location(WATCH))
        folder.mkdir(parents=True, exist_ok=True)
        self._published = Store(layout.store.root, half_written=folder)
        self._state = Store(folder)
        self._state.clear_away([""])
        if anew:
            set_aside(folder / LOG)
            self._state.delete(checkpoint.FILE)
        self.log = Log(folder / LOG)
        self.stream = Stream(release, start, since)
        self._follower = source.follow(release.plan, start)
        self._identity = checkpoint.identity(release, start, since)
        self.begun, self.resumed = now, False
        self._over: list[Finding] = []  # by the end of the window that was scored last
        self.unwritten: ConfigError | None = None
        self._new: list[Finding] = []  # in the log, while the rest is not on disk
        self._resume(warn)
        self._changed: set[str] = set(release.services)
        self._others = itertools.cycle(release.services)
        self._kept_at = self.stream.done
        self._most = FIRST_STEPS

    @property
    def until(self) -> datetime:
        """The end of the last step that was scored."""
        return self.stream.until

    def due(self, now: datetime, end: datetime) -> int:
        """How many steps are over at ``now``, and end by ``end``."""
        return max(0, (min(now, end) - self.until) // self.release.step)

    def take(self, due: int) -> Taken:
        """Read and score as many of the ``due`` steps as go at once. What was found is not on disk before ``keep``.

        If the source raises, nothing was read.
        """
        steps = min(due, self._most)
        window = Window(start=self.until, end=self.until + steps * self.release.step)
        try:
            followed = self._follower.read(window)
        except SourceError:
            self._most = max(1, steps // 2)  # some servers give up on long ones, in many words
            raise
        self._most = steps_at_once(steps, followed.points, self.release)
        scored = self.stream.scored
        before = {one.service for one in self.stream.ongoing()}
        self._over = [one.what for one in self.stream.take(followed.services, steps)]
        self._changed |= before | {one.service for one in (*self._over, *self.stream.ongoing())}
        return Taken(window, steps, self.stream.scored - scored, followed)

    def keep(self) -> list[Finding]:
        """Write what was found: the log, the notifications, the events, and in due time the checkpoint. The findings
        that are new in the log. If it raises ``ConfigError``, some of it is not on disk: it can be called again.

        Events and checkpoint are made again from the rest: that they cannot be written, ``unwritten``, stops nothing.
        """
        ongoing = self.stream.ongoing()
        known = [*self._over, *ongoing]  # however the time is cut, what begins in an incident's time is among them
        over = [self._whole(one, known) for one in self._over]
        new = self.log.append(over)
        self._new += new
        self._announce_all([*over, *(self._whole(one, known) for one in ongoing)])
        try:
            self._write_state(ongoing)
            self.unwritten = None
        except ConfigError as error:
            self.unwritten = error
        kept, self._new = self._new, []
        return kept

    def _write_state(self, ongoing: Sequence[Finding]) -> None:
        if self.stream.done > self.stream.first:
            urgent = [one.service for one in ongoing if isinstance(one, Incident)]
            changed = [name for name in dict.fromkeys((*urgent, *sorted(self._changed))) if name in self._changed]
            number = -(-len(self.release.services) // PUBLISHED_WITHIN)
            now = changed[:PUBLISHED_AT_ONCE]
            self._publish({*now, *itertools.islice(self._others, number)})
            self._changed -= set(now)
        if self.stream.done - self._kept_at >= CHECKPOINT_STEPS:
            self.checkpoint()

    @property
    def kept_until(self) -> datetime:
        """The end of the last step that a checkpoint knows of."""
        return self.stream.steps.time(self._kept_at)

    def checkpoint(self) -> None:
        """Keep all state; that of river's detectors cannot be, and is made again from the history."""
        is_portable = self.stream.is_portable
        found = Checkpoint(
            identity=self._identity,
            begun=self.begun,
            logged=self.log.size,
            stream=self.stream.memory() if is_portable else {},
            source=self._follower.memory() if is_portable else {},
        )
        checkpoint.write(self._state, found)
        self._kept_at = self.stream.done

    def settle(self) -> bool:
        """Once it has caught up: incidents that were told and are found no more are over, as after a new catalog. False
        while some of them were told of steps that are still to be scored again."""
        known, told = {one.id for one in self.open_incidents()}, self._announcer.unresolved()
        for last in told:
            if last.incident.id not in known and last.at <= self.until:
                over = last.incident.model_copy(update={"ongoing": False})
                for resolved in notifications(over, over.severity, self.release, self.until):
                    self._announcer.put(resolved)
        return all(last.at <= self.until for last in told)

    def finish(self) -> dict[str, AnomalyEvents]:
        """Keep everything; service → what was found in it."""
        self.checkpoint()
        told = self._publish(self.release.services)
        self.unwritten = None
        return told

    def open_incidents(self) -> list[Incident]:
        """The incidents that are not over."""
        ongoing = self.stream.ongoing()
        found = [self._whole(one, ongoing) for one in ongoing if isinstance(one, Incident)]
        return [one for one in found if isinstance(one, Incident)]

    def locations(self) -> list[str]:
        """Where the services' events lie."""
        return [self._published.location(self._layout.key(name, self._name)) for name in self.release.services]

    def _resume(self, warn: Callable[[str], None]) -> None:
        """Go on from the folder's checkpoint; from the history where there is none, or none that can be used."""
        try:
            kept = checkpoint.read(self._state)
            if kept is not None and kept.logged > self.log.size:
                raise UnusableError(f"{self.log.path} is shorter than it was at the last checkpoint")
        except UnusableError as error:
            warn(f"{error}; it is begun again from the history, and what the log holds is not told again.")
            kept = None
        if kept is None:
            self._check_log(warn)
            return
        changed = checkpoint.differences(kept.identity, self._identity)
        if changed:
            raise ConfigError(
                f"{self._state.location(checkpoint.FILE)} is of another watch: {changed}; undo that, name another "
                "folder, or add --anew to begin again from the history (what was found before is kept beside the log)."
            )
        self.begun = kept.begun
        if kept.stream:
            self.stream.remember(kept.stream)
            self._follower.remember(kept.source)
            self.resumed = True

    def _check_log(self, warn: Callable[[str], None]) -> None:
        """Without a checkpoint, only what is found can tell that a log is of another release file."""
        kpis = {(subject.service, subject.kpi.name) for subject in self.stream.subjects}
        services = set(self.release.services)
        if all(
            one.service in services if isinstance(one, Incident) else (one.service, one.metric_name) in kpis
            for one in self.log.found
        ):
            return
        set_aside(self.log.path)
        warn(f"{self.log.path} is of another release file; it is kept beside, and begun anew.")
        self.log = Log(self.log.path)

    def _whole(self, one: Finding, also: Iterable[Finding]) -> Finding:
        """The finding with whether it lies in maintenance; an incident with its anomalies, of those that were found
        before and of ``also``."""
        told = placed(one, self.release)
        if not isinstance(told, Incident):
            return told
        found = [*self.log.of(one.service), *(other for other in also if other.service == one.service)]
        anomalies = {str(other.id): other for other in found if isinstance(other, Anomaly)}
        return dressed(told, anomalies.values(), self.release)

    def _announce_all(self, found: Iterable[Finding]) -> None:
        """Tell of incidents that began, became more severe, or are over; what is known already is passed over there.

        What was over before the watcher was first started is history, and what lies in maintenance is expected: neither
        is told, but of who was told once, the end is told, too.
        """
        for incident in found:
            if isinstance(incident, Incident):
                told = self._announcer.told(incident.id)
                if told is None and (same := self._told_before(incident)) is not None:
                    incident, told = incident.model_copy(update={"id": same.id}), same.severity
                if told is not None or (not incident.in_maintenance and incident.end >= self.begun):
                    for notification in notifications(incident, told, self.release, self.until):
                        self._announcer.put(notification)

    def _told_before(self, incident: Incident) -> Incident | None:
        """The incident as it was told before a stop, if it begins at another step since, by samples that came late."""
        found = {one.id for one in (*self._over, *self.stream.ongoing()) if isinstance(one, Incident)}
        for last in self._announcer.unresolved():
            one = last.incident
            overlaps = one.start < incident.end and incident.start < one.end
            if one.service == incident.service and one.id not in found and overlaps:
                return one
        return None

    def _publish(self, services: Iterable[str]) -> dict[str, AnomalyEvents]:
        ongoing = by_service(self.release, self.stream.ongoing())
        told = {}
        for service in services:
            found = [*self.log.of(service), *ongoing[service]]
            told[service] = told_events(self.stream, service, found, self.stream.is_warm(service))
            self._published.write(self._layout.key(service, self._name), told[service])
        return told


def notifications(incident: Incident, told: Severity | None, release: Release, at: datetime) -> Iterator[Notification]:
    """What is to be told of an incident now, if ``told`` is its severity as it was last told. Each has one id."""

    def made(status: Literal["open", "escalated", "resolved"], key: str) -> Notification:
        name = f"{incident.id}/{key}"
        return Notification(id=name, status=status, at=at, release=release.release, incident=incident)

    if told is None:
        yield made("open", "open")
    elif SEVERITIES.index(incident.severity) > SEVERITIES.index(told):
        yield made("escalated", f"escalated/{incident.severity}")
    if not incident.ongoing:
        yield made("resolved", "resolved")


def steps_at_once(steps: int, points: int, release: Release) -> int:
    """How many steps are read at once, from how many samples so many of them had."""
    of_a_day = max(1, release.day // release.step)
    return max(1, min(of_a_day, steps * MOST_POINTS // max(points, 1)))
