"""Artifacts: where they lie, and how they are read and replaced whole.

A location is a path or an fsspec URL (``s3://…``, ``gs://…``). ``write`` replaces the artifact: locally it writes
beside, syncs and renames; on an object store it is one PUT. There is no append. ``alone_in`` is the lock of a folder.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from observability.artifacts import SCHEMA_VERSION, Artifact
from observability.errors import ConfigError

A = TypeVar("A", bound=Artifact)
HALF_WRITTEN = ".postga"  # ends the name of a file that is being written


class Store:
    """Artifacts below one root folder or URL. Keys are relative paths; an absolute path or a URL stands for itself.

    Local files are first written to the folder ``half_written``, by default the one that they are for: a command that
    is not alone there names another one on the same file system, where nobody clears them away.
    """

    def __init__(self, root: str | Path = ".", half_written: Path | None = None) -> None:
        self.root = str(root)
        self._half_written = half_written

    def location(self, key: str) -> str:
        """Where ``key`` lies, as a path or URL that can be shown and opened."""
        if "://" in key or Path(key).is_absolute():
            return key
        return f"{self.root.rstrip('/')}/{key}" if "://" in self.root else str(Path(self.root) / key)

    def exists(self, key: str) -> bool:
        location = self.location(key)
        if "://" in location:
            filesystem, path = _filesystem(location)
            return bool(filesystem.exists(path))
        return Path(location).is_file()

    def matching(self, pattern: str) -> list[str]:
        """The keys that match a pattern such as ``evidence/*.gz``, in order."""
        if "://" in self.root:
            filesystem, path = _filesystem(self.location(pattern))
            prefix = path.removesuffix(pattern)
            return sorted(str(found).removeprefix(prefix) for found in filesystem.glob(path))
        return sorted(found.relative_to(self.root).as_posix() for found in Path(self.root).glob(pattern))

    def read_bytes(self, key: str, hint: str) -> bytes:
        """The artifact's bytes. ``hint`` says what to do when it is not there, as the end of a sentence."""
        location = self.location(key)
        try:
            if "://" in location:
                filesystem, path = _filesystem(location)
                content: bytes = filesystem.cat_file(path)
                return content
            return Path(location).read_bytes()
        except FileNotFoundError:
            raise ConfigError(f"{location} not found; {hint}.") from None
        except OSError as error:
            raise ConfigError(f"{location} cannot be read: {error.strerror or error}; {hint}.") from None

    def write_bytes(self, key: str, content: bytes) -> str:
        """Replace the artifact whole; returns its location."""
        location = self.location(key)
        try:
            if "://" in location:
                filesystem, path = _filesystem(location)
                filesystem.pipe_file(path, content)
            else:
                _replace(Path(location), content, self._half_written)
        except OSError as error:
            raise ConfigError(unwritable(location, error)) from None
        return location

    def delete(self, key: str) -> None:
        """Remove the artifact; it may be gone already."""
        location = self.location(key)
        try:
            if "://" in location:
                filesystem, path = _filesystem(location)
                if filesystem.exists(path):
                    filesystem.rm_file(path)
            else:
                Path(location).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{location} cannot be deleted: {error.strerror or error}; delete it.") from None

    def clear_away(self, folders: Iterable[str]) -> None:
        """Delete what writes that were killed have left beside the artifacts. Only for who is alone in the folders."""
        for folder in folders if "://" not in self.root else ():
            for left in Path(self.location(folder)).glob(f".*{HALF_WRITTEN}"):
                left.unlink(missing_ok=True)

    def read(self, key: str, kind: type[A], hint: str) -> A:
        """The artifact as its type. Whatever is wrong with the file is one ``ConfigError`` that names it."""
        content = self.read_bytes(key, hint)
        location = self.location(key)
        try:
            data = json.loads(content)
        except ValueError as error:
            raise ConfigError(f"{location} is not JSON ({error}); {hint}.") from None
        version = data.get("schema_version", SCHEMA_VERSION) if isinstance(data, dict) else SCHEMA_VERSION
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"{location} has schema version {version}, and this postga reads {SCHEMA_VERSION}; {hint}."
            )
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ConfigError(f"{location}: {field}: {first['msg']}; {hint}.") from None

    def write(self, key: str, artifact: Artifact) -> str:
        """Replace the artifact; the same artifact gives the same bytes."""
        return self.write_bytes(key, (artifact.model_dump_json(indent=2) + "\n").encode())


def unwritable(location: str, error: OSError) -> str:
    """Why a file or folder cannot be written, and what to do."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    what_to_do = "make room" if full else "make it writable"
    return f"{location} cannot be written: {error.strerror or error}; {what_to_do}, or name another folder."


def _filesystem(location: str) -> tuple[Any, str]:
    import fsspec  # only URLs pay for it

    filesystem, path = fsspec.core.url_to_fs(location)
    return filesystem, path


def _replace(path: Path, content: bytes, folder: Path | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=folder or path.parent, prefix=f".{path.name}.", suffix=HALF_WRITTEN)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp made it private
        os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def beside(key: str, name: str) -> str:
    """The key of a file in the same folder."""
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}{name}"


def within(folder: str, name: str) -> str:
    """The key of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}"
