"""Hosts with many KPIs and labelled incidents: what is read, and the incident detector over it.

A folder with KIND-NAME.csv.gz, columns timestamp (seconds since the epoch), the KPIs, judged and label (0 or 1). Rows
that are not judged are history without labels. (Made of ASD and SMD, zhhlee/InterFusion, MIT.)"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import figures
from benchmarks.event_scoring import Flags
from observability.detection import joint
from observability.errors import ConfigError
from observability.model import Array

Matrix = NDArray[np.float64]

PLACES = ("*-*.csv.gz", "hosts/*-*.csv.gz")
TIME, JUDGED, LABEL = "timestamp", "judged", "label"
WEEK_S = 604_800
TOLD = 1000  # steps from one word on the progress to the next


@dataclass(frozen=True)
class Host:
    """One file: ``times`` in seconds since the epoch, ascending; ``values`` of shape (rows, KPIs), NaN if missing."""

    kind: str
    name: str
    times: Array
    values: Matrix
    judged: Flags
    labels: Flags

    @property
    def step_s(self) -> float:
        return float(np.median(np.diff(self.times)))

    @property
    def judged_weeks(self) -> float:
        return float(np.count_nonzero(self.judged)) * self.step_s / WEEK_S


def read(folder: Path) -> list[Host]:
    """The hosts in the folder, or in its folder hosts, by name.

    Raises
    ------
    ConfigError
        There are none, or one of them cannot be read.
    """
    paths = next(filter(None, (sorted(folder.glob(place)) for place in PLACES)), None)
    if not paths:
        raise ConfigError(f"{folder} has no KIND-NAME.csv.gz; name the folder of the hosts with --data.")
    return [_read_one(path) for path in paths]


def _read_one(path: Path) -> Host:
    try:
        frame = pd.read_csv(path).astype(float)
        missing = [name for name in (TIME, JUDGED, LABEL) if name not in frame]
        if missing:
            raise ConfigError(f"{path} has no column {missing[0]}; a host's file has {TIME}, KPIs, {JUDGED}, {LABEL}.")
        if len(frame) < 2 or not (np.diff(frame[TIME]) > 0).all():
            raise ConfigError(f"{path} has no two rows, or rows that are not in the order of time; get it again.")
        if not (frame[JUDGED] == 1).any():
            raise ConfigError(f"{path} has no row with {JUDGED} = 1; leave it out.")
        name = path.name.removesuffix(".csv.gz")
        return Host(
            kind=name.partition("-")[0],
            name=name,
            times=frame[TIME].to_numpy(),
            values=frame.drop(columns=[TIME, JUDGED, LABEL]).to_numpy(),
            judged=frame[JUDGED].to_numpy() == 1,
            labels=frame[LABEL].to_numpy() == 1,
        )
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(f"{path} cannot be read as a host's KPIs; get it again: {reason}.") from None


def shipped() -> dict[str, Any]:
    """The incident detector's numbers, its threshold among them."""
    return {"threshold": joint.JointBank(np.zeros(1, dtype=int)).threshold, **joint.parameters()}


def settings() -> dict[str, Any]:
    """The shipped numbers as those of a channel."""
    parameters = shipped()
    return {"channel": "incidents", "threshold": parameters.pop("threshold"), "parameters": parameters}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_usable(numbers: Mapping[str, Any]) -> None:
    """Raises ConfigError if the detector refuses one of the numbers, or has none of that name."""
    unknown = [name for name in numbers if name not in shipped()]
    if unknown:
        raise ConfigError(f"The incident detector has no parameter '{unknown[0]}'; it has {', '.join(shipped())}.")
    try:
        joint.JointBank(np.zeros(1, dtype=int), **numbers)
    except ValueError as error:
        given = ", ".join(f"{name}={value:g}" for name, value in numbers.items())
        raise ConfigError(f"The incident detector cannot be used with {given}: {error}.") from None


def score(hosts: Sequence[Host], numbers: Mapping[str, Any], done: figures.Done) -> list[Array]:
    """The joint scores of each host, each row scored and then learned. Hosts of a kind go side by side, a service each;
    one without a row at a time of the others has no samples then."""
    scores: dict[str, Array] = {}
    kinds = {host.kind: [other for other in hosts if other.kind == host.kind] for host in hosts}
    tables = {kind: _side_by_side(of) for kind, of in kinds.items()}
    steps = sum(times.size for times, _, _ in tables.values())
    whole = 0
    for kind, (times, values, services) in tables.items():
        bank = joint.JointBank(services, **numbers)
        found = np.empty((times.size, len(kinds[kind])))
        for row, (t, samples) in enumerate(zip(times.tolist(), values, strict=True)):
            found[row] = bank.step(t, samples).score
            whole += 1
            if whole % TOLD == 0 and whole < steps:
                done(whole / steps)
        for index, host in enumerate(kinds[kind]):
            scores[host.name] = found[np.searchsorted(times, host.times), index]
    done()
    return [scores[host.name] for host in hosts]


def _side_by_side(hosts: Sequence[Host]) -> tuple[Array, Matrix, NDArray[np.int64]]:
    """All times, the samples of all KPIs of all hosts at each, and the number of each KPI's host."""
    times = np.unique(np.concatenate([host.times for host in hosts]))
    services = np.repeat(np.arange(len(hosts)), [host.values.shape[1] for host in hosts])
    values = np.full((times.size, services.size), np.nan)
    for index, host in enumerate(hosts):
        values[np.ix_(np.searchsorted(times, host.times), services == index)] = host.values
    return times, values, services
