"""The watcher's log: one JSON line for each finding that is over, appended and synced, never rewritten.

A line is ``{"kind": "anomaly" | "new_level" | "incident", "found": {…}}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from observability.errors import ConfigError
from observability.events import Anomaly, Finding, Incident, NewLevel
from observability.store import unwritable

KINDS: dict[str, type[Finding]] = {"anomaly": Anomaly, "new_level": NewLevel, "incident": Incident}


class Log:
    """The findings so far, in the order in which they were known to be over. Only one process may write to it.

    What a crash has left of a line at the end is cut off: the watcher finds it again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes that are whole lines
        self.found: list[Finding] = []
        self._known: set[str] = set()
        try:
            for line, finding in _lines(path.read_bytes() if path.exists() else b""):
                self.size += len(line)
                self._take(finding)
            if path.exists():
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
        self.size += len(text)
        for one in new:
            self._take(one)
        return new

    def set_aside(self) -> None:
        """Begin anew; the file is kept under another name."""
        if self.path.exists():
            taken = [
                int(one.suffix[1:]) for one in self.path.parent.glob(f"{self.path.name}.*") if one.suffix[1:].isdigit()
            ]
            self.path.rename(self.path.with_name(f"{self.path.name}.{max(taken, default=0) + 1}"))
        self.size, self.found, self._known = 0, [], set()

    def _write(self, handle: int, text: bytes) -> None:
        """All of it, or nothing: on a full disk a part may have been written."""
        try:
            written = 0
            while written < len(text):
                written += os.write(handle, text[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, self.size)
            raise

    def _take(self, finding: Finding) -> None:
        if key_of(finding) not in self._known:
            self._known.add(key_of(finding))
            self.found.append(finding)


def key_of(finding: Finding) -> str:
    """What makes a finding the same one."""
    if isinstance(finding, NewLevel):
        return f"{finding.service}/{finding.metric_name}/{finding.channel}/{finding.since.isoformat()}/new level"
    return str(finding.id)


def _line(finding: Finding) -> bytes:
    kind = next(name for name, kind in KINDS.items() if isinstance(finding, kind))
    return (json.dumps({"kind": kind, "found": finding.model_dump(mode="json")}) + "\n").encode()


def _lines(content: bytes) -> Iterator[tuple[bytes, Finding]]:
    """The whole lines and what they hold, up to the first that is none."""
    for line in content.splitlines(keepends=True):
        try:
            entry = json.loads(line)
            finding = KINDS[entry["kind"]].model_validate(entry["found"])
        except (ValueError, TypeError, KeyError):
            return
        if not line.endswith(b"\n"):
            return
        yield line, finding
