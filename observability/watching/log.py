"""The watcher's log: one JSON line for each finding that is over, appended and synced, never rewritten.

A line is ``{"kind": "anomaly" | "new_level" | "incident", "found": {…}}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
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
        """Raises ``ConfigError`` where it cannot be read or written, or is damaged elsewhere than at its end."""
        self.path = path
        self.size = 0  # bytes that are whole lines
        self.found: list[Finding] = []
        self._known: set[str] = set()
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
        self.size += len(text)
        for one in new:
            self._take(one)
        return new

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
            self.size += len(lines[number])
            self._take(found)

    def _write(self, handle: int, text: bytes) -> None:
        """Where the last whole line ends: on a full disk, an attempt before may have written a part."""
        if os.fstat(handle).st_size > self.size:
            os.ftruncate(handle, self.size)
        while text:
            text = text[os.write(handle, text) :]
        os.fsync(handle)

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
