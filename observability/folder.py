"""A folder that one command at a time writes to."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
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
    from filelock import FileLock, Timeout

    folder = Path(layout.store.root)
    if re.match(r"\w+:/", layout.store.root):
        raise ConfigError(f"{folder} is a URL, and days are collected into local folders; name one of them.")
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"Another command is writing to {folder}; run this one again when it is done, or name another folder."
        ) from None
    except OSError as error:
        raise ConfigError(_unusable(folder, error)) from None
    try:
        layout.store.clear_away(layout.folders)
        yield
    finally:
        lock.release()


def _unusable(folder: Path, error: OSError) -> str:
    """Why the folder cannot be locked; on some network file systems no file can."""
    from observability.store import unwritable

    if error.errno in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}:
        return f"{folder} is on a file system without locks ({error.strerror}); name a folder on another one."
    return unwritable(str(folder), error)
