"""A folder that one command at a time writes to."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from observability.errors import ConfigError

if TYPE_CHECKING:
    from observability.layout import Layout

LOCK = ".postga.lock"


@contextmanager
def alone_in(layout: Layout) -> Iterator[None]:
    """Make the layout's root, refuse to share it with another command, and clear away what killed ones left half
    written. The operating system drops the lock of a process that ends, in whatever way."""
    folder = Path(layout.store.root)
    if re.match(r"\w+:/", layout.store.root):
        raise ConfigError(f"{folder} is a URL, and days are collected into local folders; name one of them.")
    taken = f"Another command is writing to {folder}; run this one again when it is done, or name another folder."
    with locked(folder / LOCK, lambda: taken):
        layout.store.clear_away(layout.folders)
        yield


@contextmanager
def locked(path: Path, taken: Callable[[], str], patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock, a file in a folder that is made for it.

    Raises ``ConfigError``: what ``taken`` says if another process has held it for so long, or that the folder cannot be
    used.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=patience_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(taken()) from None
    except OSError as error:
        raise ConfigError(_unusable(path.parent, error)) from None
    try:
        yield
    finally:
        lock.release()


def _unusable(folder: Path, error: OSError) -> str:
    """Why the folder cannot be locked; on some network file systems no file can."""
    from observability.store import unwritable

    if error.errno in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}:
        return f"{folder} is on a file system without locks ({error.strerror}); name a folder on another one."
    return unwritable(str(folder), error)
