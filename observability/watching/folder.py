"""The folder of a watcher, which is its alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from observability.folder import locked
from observability.layout import WATCH, Layout
from observability.model import format_instant

LOCK, OWNER = "lock", "owner"
PATIENCE_S = 1.0  # for who only looks whether a watcher is at work


@contextmanager
def only_watcher_in(layout: Layout) -> Iterator[Path]:
    """Make the watcher's folder and keep other watchers out of it; gives the folder. The operating system drops the
    lock of a process that ends, in whatever way."""
    folder = Path(layout.store.location(WATCH))

    def taken() -> str:
        return f"Another watcher{_owner(folder)} is at work in {folder.parent}; stop it first, or name another folder."

    with locked(folder / LOCK, taken, PATIENCE_S):
        me = f"process {os.getpid()} on {socket.gethostname()}, since {format_instant(datetime.now(UTC))}"
        with suppress(OSError):  # the lock holds without it, also on a full disk
            (folder / OWNER).write_text(me + "\n", encoding="utf-8")
        try:
            yield folder
        finally:
            with suppress(OSError):
                (folder / OWNER).unlink(missing_ok=True)


def watcher_of(layout: Layout) -> str | None:
    """The watcher that is at work for this layout, as a text that names it; None for none."""
    folder = Path(layout.store.location(WATCH))
    if not (folder / LOCK).exists():
        return None
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return _owner(folder) or "another process"
    lock.release()
    return None


def _owner(folder: Path) -> str:
    """Who has the folder, in brackets."""
    try:
        return f" ({(folder / OWNER).read_text(encoding='utf-8').strip()})"
    except OSError:
        return ""
