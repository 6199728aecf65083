"""The ``detectors:`` of a release file: names with their thresholds and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from observability.definitions import Channel
from observability.release_yaml import FieldPath, Finding

SECTION = "detectors"
_NAMED = "write names of detectors, such as {significance: {threshold: 5}}"


def channels(given: object, findings: list[Finding]) -> list[dict[str, Any]]:
    """The fields of the channels that the section names, without those of which something cannot be read."""
    if not isinstance(given, dict) or not given:
        findings.append(Finding((SECTION,), f"{_NAMED}, or leave the section out for the default ones"))
        return []
    found = {str(name): _unreadable((SECTION, str(name)), entry) for name, entry in given.items()}
    findings += [finding for several in found.values() for finding in several]
    return [_channel(str(name), entry or {}) for name, entry in given.items() if not found[str(name)]]


def _channel(name: str, entry: dict[object, Any]) -> dict[str, Any]:
    fields = {str(key): value for key, value in entry.items()}
    return {"name": name, "threshold": fields.pop("threshold", None), "parameters": fields}


def _unreadable(path: FieldPath, entry: object) -> list[Finding]:
    if entry is None:
        return []
    if not isinstance(entry, dict):
        return [Finding(path, "write nothing for what it is shipped with, or {threshold: …, parameter: …}")]
    wrong = [key for key, value in entry.items() if not (_is_threshold if key == "threshold" else _is_plain)(value)]
    said = {"threshold": "must be a number greater than 0"}
    return [Finding((*path, str(key)), said.get(key, "write a number, true, false or a text")) for key in wrong]


def _is_threshold(value: object) -> bool:
    return _is_plain(value) and isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def defects(named: Sequence[Channel]) -> Iterator[Finding]:
    """The detectors and parameters that there are not; river's detectors are loaded if a name is none of ours."""
    from observability.detection.channels import defects as defects_of

    for channel in named:
        for parameter, text in defects_of(channel):
            yield Finding((SECTION, channel.name, *([parameter] if parameter else [])), text)
