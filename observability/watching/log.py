"""The watcher's log: one JSON line for each finding that is over, appended and synced, never rewritten.

A line is ``{"kind": "anomaly" | "new_level" | "incident", "found": {…}}``.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from observability.errors import ConfigError
from observability.events import Anomaly, Finding, Incident, NewLevel
from observability.store import unwritable

KINDS: dict[str, type[Finding]] = {"anomaly": Anomaly, "new_level": NewLevel, "incident": Incident}


class Log:
    """The findings so far, in the order in which they were known to be over. Only one process may write to it.

    They stay on disk, and of each it is remembered where: a week of a thousand services has tens of thousands.

    What a crash has left of a line at the end is cut off: the watcher finds it again.
    """

    def __init__(self, path: Path) -> None:
        """Raises ``ConfigError`` where it cannot be read or written, or is damaged elsewhere than at its end."""
        self.path = path
        self.size = 0  # bytes that are whole lines
        self._known: set[str] = set()
        self._places: dict[str, array[int]] = {}  # service → start and size of each of its lines
        try:
            content = path.read_bytes() if path.exists() else b""
            self._load(content)
            if len(content) > self.size:
                os.truncate(path, self.size)
        except OSError as error:
            raise ConfigError(unwritable(str(path), error)) from None

    def append(self, findings: Iterable[Finding]) -> list[Finding]:
        """Write those that are not in it yet, and return them. If it raises, none of them was written."""
        new = [one for one in findings if key_of(one) not in self._known]
        text = b"".join(_line(one) for one in new)
        if not text:
            return []
        try:
            with self.path.open("ab") as file:
                self._write(file.fileno(), text)
        except OSError as error:
            raise ConfigError(unwritable(str(self.path), error)) from None
        for one in new:
            self._take(one, len(_line(one)))
        return new

    @property
    def found(self) -> list[Finding]:
        """All of them, in their order."""
        places = sorted(place for service in self._places for place in self._places_of(service))
        return self._read(places)

    def of(self, service: str) -> list[Finding]:
        """Those of one service, in their order. Raises ``ConfigError`` where the file cannot be read any more."""
        return self._read(self._places_of(service))

    def _places_of(self, service: str) -> list[tuple[int, int]]:
        flat = self._places.get(service, array("q"))
        return list(zip(flat[::2], flat[1::2], strict=True))

    def _read(self, places: Sequence[tuple[int, int]]) -> list[Finding]:
        if not places:
            return []
        try:
            with self.path.open("rb") as file:
                lines = [_at(file, start, size) for start, size in places]
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read: {error.strerror or error}; restore the file.") from None
        found = [_finding(line) for line in lines]
        if None in found:
            raise ConfigError(f"{self.path} is not as it was written; restore the file, or begin again with --anew.")
        return [one for one in found if one is not None]

    def _load(self, content: bytes) -> None:
        """Take in the whole lines. What is none is the end, unless whole lines come after it."""
        lines = content.splitlines(keepends=True)
        findings = [_finding(line) for line in lines]
        last = max((number for number, found in enumerate(findings) if found is not None), default=-1)
        for number in range(last + 1):
            if (found := findings[number]) is None:
                where = f"{self.path}:{number + 1}"
                raise ConfigError(
                    f"{where} is no finding; restore the file, or add --anew to begin again from the history."
                )
            self._take(found, len(lines[number]))

    def _write(self, handle: int, text: bytes) -> None:
        """Where the last whole line ends: on a full disk, an attempt before may have written a part."""
        if os.fstat(handle).st_size > self.size:
            os.ftruncate(handle, self.size)
        while text:
            text = text[os.write(handle, text) :]
        os.fsync(handle)

    def _take(self, finding: Finding, size: int) -> None:
        """Remember the line of so many bytes that comes next."""
        if key_of(finding) not in self._known:
            self._known.add(key_of(finding))
            self._places.setdefault(finding.service, array("q")).extend((self.size, size))
        self.size += size


def _at(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def key_of(finding: Finding) -> str:
    """What makes a finding the same one."""
    if isinstance(finding, NewLevel):
        return f"{finding.service}/{finding.metric_name}/{finding.channel}/{finding.since.isoformat()}/new level"
    return str(finding.id)


def _line(finding: Finding) -> bytes:
    kind = next(name for name, kind in KINDS.items() if isinstance(finding, kind))
    return (json.dumps({"kind": kind, "found": finding.model_dump(mode="json")}) + "\n").encode()


def _finding(line: bytes) -> Finding | None:
    """What a line holds; None where it is none, or not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
        return KINDS[entry["kind"]].model_validate(entry["found"])
    except (ValueError, TypeError, KeyError):
        return None


def set_aside(path: Path) -> None:
    """Keep a log under another name, so that one can be begun anew."""
    if path.exists():
        taken = [int(one.suffix[1:]) for one in path.parent.glob(f"{path.name}.*") if one.suffix[1:].isdigit()]
        path.rename(path.with_name(f"{path.name}.{max(taken, default=0) + 1}"))
