"""All that a watcher knows, as numbers: so that it can go on where it was stopped, in whatever way.

A checkpoint is one ``.npz`` file (a zip of arrays, read without pickle), replaced whole, with its SHA-256 behind it.
Beside the arrays it says which release it is of, as ``identity`` has it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.definitions import Release
from observability.detection import joint
from observability.detection.channels import in_effect
from observability.errors import PostgaError
from observability.model import format_instant
from observability.store import Store

VERSION = 1
FILE = "checkpoint.npz"
DIGEST_BYTES = 32
MOST_NAMED = 3  # differences that a sentence names

Arrays = dict[str, NDArray[Any]]


class UnusableError(PostgaError):
    """The file is there, and nobody can go on from it."""

    exit_code = 2


@dataclass(frozen=True)
class Checkpoint:
    """``identity``: of what it is. ``begun``: when the watcher was first started. ``logged``: bytes of the log that it
    knows of. ``stream`` and ``source``: their memories."""

    identity: Mapping[str, Any]
    begun: datetime
    logged: int
    stream: Arrays
    source: Arrays


def identity(release: Release, start: datetime, since: datetime) -> dict[str, Any]:
    """What the numbers of a watcher depend on besides the samples."""
    return {
        "release": release.release,
        "ga": format_instant(release.ga),
        "start": format_instant(start),
        "since": format_instant(since),
        "step": release.step_s,
        "service_label": release.service_label,
        "prices": None if release.prices is None else release.prices.model_dump(mode="json"),
        "services": {service: [k.name for k in release.kpis_of(service).values()] for service in release.services},
        "kpis": {name: kpi.model_dump(mode="json") for name, kpi in release.kpis.items() if kpi.detect},
        "queries": {query.name: [query.type, query.promql] for query in release.plan.queries},
        "detectors": {channel.name: in_effect(channel) for channel in release.channels},
        "incidents": {"threshold": release.incidents.threshold or joint.THRESHOLD, **joint.parameters()},
    }


def write(store: Store, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint."""
    about = {
        "version": VERSION,
        "identity": checkpoint.identity,
        "begun": format_instant(checkpoint.begun),
        "logged": checkpoint.logged,
    }
    arrays = {f"stream.{name}": array for name, array in checkpoint.stream.items()}
    arrays |= {f"source.{name}": array for name, array in checkpoint.source.items()}
    content = io.BytesIO()
    np.savez(content, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    store.write_bytes(FILE, content.getvalue() + hashlib.sha256(content.getbuffer()).digest())


def read(store: Store) -> Checkpoint | None:
    """The checkpoint, None where there is none.

    Raises ``UnusableError`` for one that is damaged or of another version.
    """
    if not store.exists(FILE):
        return None
    where, content = store.location(FILE), store.read_bytes(FILE, "make it readable")
    try:
        found = _parsed(content)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UnusableError(f"{where} is damaged ({error})") from None
    if isinstance(found, Checkpoint):
        return found
    raise UnusableError(f"{where} has version {found}, and this postga reads {VERSION}")


def _parsed(content: bytes) -> Checkpoint | object:
    """The checkpoint, or only its version where that is another one."""
    arrays_of, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(arrays_of).digest() != digest:  # a zip's own sums do not cover its list of contents
        raise ValueError("its checksum is wrong")
    with np.load(io.BytesIO(arrays_of), allow_pickle=False) as file:
        about = json.loads(file["about"].tobytes())
        version: object = about["version"]
        if version != VERSION:
            return version
        arrays = {name: file[name] for name in file.files}
    return Checkpoint(
        identity=about["identity"],
        begun=datetime.fromisoformat(about["begun"]),
        logged=about["logged"],
        stream={name.removeprefix("stream."): one for name, one in arrays.items() if name.startswith("stream.")},
        source={name.removeprefix("source."): one for name, one in arrays.items() if name.startswith("source.")},
    )


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What has changed since, as the end of a sentence; empty for nothing."""
    found = [text for field in now for text in _changed(field, then.get(field), now[field])]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more


_ONE = {
    "services": "service",
    "kpis": "KPI",
    "queries": "query",
    "detectors": "detector",
    "incidents": "incidents' parameter",
}


def _changed(field: str, then: Any, now: Any) -> list[str]:
    if json.dumps(then) == json.dumps(now):
        return []
    if field == "prices":
        return ["the prices have changed"]
    if field not in _ONE:
        return [f"{field} was {then} and is {now}"]
    one = _ONE[field]
    if sorted(then) == sorted(now) and list(then) != list(now):  # the arrays are in this order
        return [f"the {field} are in another order"]
    return [
        *(f"{one} {name} is new" for name in now if name not in then),
        *(f"{one} {name} is gone" for name in then if name not in now),
        *(f"{one} {name} has changed" for name in now if name in then and then[name] != now[name]),
    ]
