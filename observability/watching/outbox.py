"""The outbox: every notification, on disk before anybody is told, and how far each receiver is.

``outbox.jsonl`` has one notification a line, each with its number. A line counts when it is whole and synced; a torn
one at the end is what was being written when the process died. Numbers only grow, also when the file is begun anew:
once it is large, it is rewritten without what every receiver has and without incidents that are over.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from pydantic import Field, ValidationError

from observability.artifacts import Artifact, Severity
from observability.errors import ConfigError
from observability.events import Notification
from observability.store import Store, unwritable

FILE = "outbox.jsonl"
KNOWN = 10_000  # ids that are remembered of lines that are gone
LARGE = 4 * 2**20  # bytes; rewriting that much takes some tens of milliseconds
RESTORE = "restore the file, or delete it with what it still had to deliver"


class _Line(Notification):
    number: int


class _Head(Artifact):
    """First line of a file that was begun anew: what it goes on from."""

    next_number: int
    known: tuple[str, ...] = Field(description="ids of notifications before, the last ones")


class Cursor(Artifact):
    """How far a receiver is: it has every notification whose number is below ``delivered``."""

    receiver: str
    delivered: int


@dataclass(frozen=True)
class _Entry:
    """Where a notification is in the file, and what has to be known of it without reading it."""

    number: int
    start: int
    size: int
    incident: str
    is_over: bool


class Outbox:
    """Notifications in the order in which they were put. For several threads at once."""

    def __init__(self, folder: Path) -> None:
        """Goes on from what the folder holds. Raises ``ConfigError`` where that cannot be read or written."""
        self._store, self._path = Store(folder), folder / FILE
        self._lock = Lock()
        self._known: dict[str, None] = {}  # in their order
        self._entries: list[_Entry] = []
        self._severities: dict[str, Severity] = {}  # incident → the severity that was put last
        self._head = self._end = self._next = 0
        try:
            self._load(_begun(self._path))
        except OSError as error:
            raise ConfigError(unwritable(str(self._path), error)) from None

    @property
    def next_number(self) -> int:
        """The number that the next notification will have."""
        return self._next

    def told(self, incident: str) -> Severity | None:
        """The severity that was put last of the incident of this id; None for one that is unknown."""
        with self._lock:
            return self._severities.get(incident)

    def put(self, notification: Notification) -> bool:
        """Write it down, synced; false where its id is known. Raises ``ConfigError`` where it cannot be written: then
        nothing was put."""
        with self._lock:
            if notification.id in self._known:
                return False
            line = _Line.model_validate({**dict(notification), "number": self._next})
            content = line.model_dump_json().encode() + b"\n"
            try:
                self._append(content)
            except OSError as error:
                raise ConfigError(unwritable(str(self._path), error)) from None
            self._take(line, content)
            return True

    def after(self, number: int) -> tuple[int, Notification] | None:
        """The first notification with this number or a later one, and its number."""
        with self._lock:
            position = bisect_left(self._entries, number, key=lambda entry: entry.number)
            if position == len(self._entries):
                return None
            entry = self._entries[position]
            return entry.number, self._read(entry)

    def open_incidents(self, before: int) -> list[Notification]:
        """The last notification of each incident that is not over, as who has those with numbers below ``before``
        knows them."""
        with self._lock:
            last = self._last_of_each(before)
            return [self._read(entry) for entry in last.values() if not entry.is_over]

    def _first_open(self) -> int:
        """The number of the first notification of an incident that is not over, else the next number."""
        with self._lock:
            last = self._last_of_each(self._next)
            return next((entry.number for entry in self._entries if not last[entry.incident].is_over), self._next)

    def begin(self, key: str, receiver: str) -> int:
        """How far a receiver is by its file. A new one begins with the incidents that are not over, and so does one
        that is further than the outbox ever was, because that is another outbox's."""
        hint = f"delete it, and {receiver} begins with the incidents that are not over"
        known = self._store.read(key, Cursor, hint).delivered if self._store.exists(key) else None
        if known is not None and known <= self._next:
            return known
        first = self._first_open()
        self.advance(key, receiver, first)  # now, lest it be new again after a restart
        return first

    def advance(self, key: str, receiver: str, delivered: int) -> None:
        """Write down how far a receiver is. Raises ``ConfigError`` where that cannot be written."""
        self._store.write(key, Cursor(receiver=receiver, delivered=delivered))

    def shrink(self, delivered: int) -> None:
        """Begin the file anew if that makes it much smaller. All receivers have what is below ``delivered``."""
        with self._lock:
            if self._end - self._head < LARGE:
                return
            last = self._last_of_each(self._next)
            over = {name for name, entry in last.items() if entry.is_over and entry.number < delivered}
            kept = [entry for entry in self._entries if entry.incident not in over]
            if self._end - self._head - sum(entry.size for entry in kept) < LARGE:
                return
            head = _Head(next_number=self._next, known=tuple(self._known)[-KNOWN:])
            with self._path.open("rb") as file:
                lines = [_bytes(file, entry) for entry in kept]
            content = b"".join([head.model_dump_json().encode() + b"\n", *lines])
            try:
                self._store.write_bytes(FILE, content)
            except ConfigError:
                return  # it stays as large as it is, and the next notification tries again
            self._known, self._entries = {}, []
            self._severities.clear()
            self._load(content)

    def _last_of_each(self, before: int) -> dict[str, _Entry]:
        """Incident → its last notification with a number below ``before``."""
        return {entry.incident: entry for entry in self._entries if entry.number < before}

    def _load(self, content: bytes) -> None:
        """Take in the file's whole lines."""
        self._end = 0
        for position, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(keepends=True)):
            try:
                if position == 0 and b'"next_number":' in line:
                    self._take_head(_Head.model_validate_json(line), line)
                else:
                    self._take(_Line.model_validate_json(line), line)
            except ValidationError as error:
                said = error.errors()[0]["msg"]
                raise ConfigError(f"{self._path}:{position + 1} is no notification ({said}); {RESTORE}.") from None

    def _take_head(self, head: _Head, content: bytes) -> None:
        self._known, self._next = dict.fromkeys(head.known), head.next_number
        self._head = self._end = len(content)

    def _take(self, line: _Line, content: bytes) -> None:
        is_over = line.status == "resolved"
        self._entries.append(_Entry(line.number, self._end, len(content), line.incident.id, is_over))
        self._known[line.id] = None
        self._severities[line.incident.id] = line.incident.severity
        self._end += len(content)
        self._next = max(self._next, line.number + 1)

    def _append(self, content: bytes) -> None:
        """Where the last whole line ends: what an attempt that failed has left there is written over."""
        with self._path.open("r+b") as file:
            file.truncate(self._end)
            file.seek(self._end)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _read(self, entry: _Entry) -> Notification:
        with self._path.open("rb") as file:
            return Notification.model_validate_json(_bytes(file, entry))


def _begun(path: Path) -> bytes:
    """The file's content. Where there is no file, an empty one is made that lasts, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return path.read_bytes()


def _bytes(file: BinaryIO, entry: _Entry) -> bytes:
    file.seek(entry.start)
    return file.read(entry.size)
