"""NAB's corpus, read from its repository's folders, and result files as NAB's own runner reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.errors import ConfigError
from observability.model import Array

LABELS = "labels/combined_windows.json"
EPOCH = pd.Timestamp(0, tz="UTC")


@dataclass(frozen=True)
class File:
    """One series. ``name``: its category and file, as the labels have it; ``text``: its timestamps and values as they
    stand; ``times``: seconds since the epoch; ``windows``: the first and the last row of each, in order."""

    name: str
    text: pd.DataFrame
    times: Array
    values: Array
    windows: list[tuple[int, int]]


def read(folder: Path) -> list[File]:
    """The corpus below a folder: ``data/*/*.csv`` and the windows. Timestamps have no zone and are taken as UTC.

    Raises
    ------
    ConfigError
        Something is missing, or is not as NAB has it.
    """
    labels = _labels(folder / LABELS)
    found = {path.relative_to(folder / "data").as_posix(): path for path in sorted(folder.glob("data/*/*.csv"))}
    for name in sorted(labels.keys() ^ found.keys()):
        where = f"data/{name} is not there, but labelled" if name in labels else f"data/{name} has no entry"
        raise ConfigError(f"{folder / LABELS}: {where}; labels and data must be of the same version of NAB.")
    if not any(labels.values()):
        raise ConfigError(f"{folder / LABELS} has no window; there is nothing to find.")
    return [_file(name, path, labels[name]) for name, path in found.items()]


def _labels(path: Path) -> dict[str, list[list[str]]]:
    try:
        labels: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        whole = f"name the folder that holds NAB's data/*/*.csv and {LABELS}"
        raise ConfigError(f"{path} cannot be read ({error.strerror}); {whole}.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}); get it from NAB again.") from None
    if not isinstance(labels, dict) or not all(_are_windows(windows) for windows in labels.values()):
        raise ConfigError(f"{path} must map each file to its list of [start, end]; get it from NAB again.")
    return labels


def _are_windows(windows: object) -> bool:
    return isinstance(windows, list) and all(isinstance(one, list) and len(one) == 2 for one in windows)


def _file(name: str, path: Path, limits: Sequence[Sequence[str]]) -> File:
    try:
        text = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=["timestamp", "value"])
        times = _seconds(text["timestamp"])
        values = pd.to_numeric(text["value"].where(text["value"] != "")).to_numpy(float)
        windows = _windows(times, limits)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be used ({_line(error)}); get it and its labels from NAB again.") from None
    return File(name, text[["timestamp", "value"]], times, values, windows)


def _seconds(texts: pd.Series[str]) -> Array:
    times = pd.to_datetime(texts, format="ISO8601", utc=True)
    return (times - EPOCH).dt.total_seconds().to_numpy(float)


def _windows(times: Array, limits: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    windows = sorted(_rows(times, *one) for one in limits)
    if any(end >= start for (_, end), (start, _) in pairwise(windows)):
        raise ValueError("two of its windows overlap")
    return windows


def _rows(times: Array, *limits: str) -> tuple[int, int]:
    start, end = _seconds(pd.Series(limits, dtype=str))
    inside = np.flatnonzero((start <= times) & (times <= end))
    if not inside.size:
        raise ValueError(f"no row lies in its window from {limits[0]} to {limits[1]}")
    return int(inside[0]), int(inside[-1])


def _line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def write_results(folder: Path, channel: str, files: Sequence[File], scores: Sequence[Array]) -> None:
    """One CSV per file, ``<channel>/<category>/<channel>_<file>``, for NAB's runner to optimise and to score.

    NAB's sweep begins at a threshold of 1.1 and takes scores from 0 to 1, so s is written as s/(1 + |s|). That keeps
    their order, and so the optimised score; the threshold becomes s/(1 + |s|) too. Only scores near s that differ by
    less than about 10⁻¹⁶ s² become equal.

    Raises
    ------
    ConfigError
        The folder cannot be written to.
    """
    for file, score in zip(files, scores, strict=True):
        category, _, name = file.name.partition("/")
        path = folder / channel / category / f"{channel}_{name}"
        rows = file.text.assign(anomaly_score=squashed(score), label=_label(file))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            rows.to_csv(path, index=False, lineterminator="\n")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}); name another --results folder.") from None


def squashed(score: Array) -> Array:
    return score / (1 + np.abs(score))


def _label(file: File) -> Array:
    label = np.zeros(file.times.size, int)
    for start, end in file.windows:
        label[start : end + 1] = 1
    return label
