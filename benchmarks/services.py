"""Services, and what happens to them.

A service has replicas. A replica is a chain of processes, each counting from 0 from its start to its end: processes are
replaced in rolling deployments, restarted in place, crash in loops, come and go with the scale, and are down. Each
counts requests (with a daily course) and, now and then and in incidents, errors. Beside that, and without any effect on
what is counted, scrapes fail: one at a time, for one target, for a whole service, or everywhere; and the labels of
targets are changed while the processes go on.

All times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
INTERVALS_S = (15, 30, 60)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stop:
    """A process ends, and the next of its replica starts. ``moves``: as a new target. ``deploys``: of a new version."""

    end: float
    start: float
    moves: bool
    deploys: bool = False


@dataclass(frozen=True)
class Process:
    """``found``: when service discovery has its target."""

    instance: str
    version: int
    start: float
    found: float
    end: float


@dataclass(frozen=True)
class Gap:
    """No scrape in ``[start, end)`` of one instance, or of all (None): it fails, and ``up`` is 0. ``unnoticed``: there
    is no ``up`` either, because Prometheus itself is down."""

    start: float
    end: float
    instance: str | None = None
    unnoticed: bool = False


@dataclass(frozen=True)
class Traffic:
    """Requests per second of one process: ``rate · (1 + swing · sin(2π t / day + phase))``. A share of them is not
    found, a share fails, and in the incidents a larger one does."""

    rate: float
    swing: float
    phase: float
    missing: float
    failing: float
    incidents: tuple[tuple[float, float, float], ...]
    """Start, end and the share that fails in between, beside the usual one."""

    def expected(self, t: Floats) -> Floats:
        """How many requests of each code there are on average from any fixed instant to ``t``, shape (codes, t)."""
        everything = self._requests(t)
        failed = self.failing * everything
        for start, end, share in self.incidents:
            failed = failed + share * self._requests(np.clip(t, start, end))
        not_found = self.missing * everything
        return np.stack([everything - not_found - failed, not_found, failed])

    def _requests(self, t: Floats) -> Floats:
        turn = 2 * np.pi / DAY_S
        return self.rate * (t - self.swing / turn * np.cos(turn * t + self.phase))


@dataclass(frozen=True)
class Service:
    """``lazy``: a code's series appears with its first event, as client libraries do it, and not with the process.

    ``versioned``: its series bear the version of the process. ``relabelled``: when the label ``team`` of its targets
    changes. ``missed``: the share of scrapes that fail one by one.
    """

    name: str
    interval_s: int
    lazy: bool
    versioned: bool
    traffic: Traffic
    processes: tuple[Process, ...]
    gaps: tuple[Gap, ...] = ()
    relabelled: tuple[float, ...] = ()
    missed: float = 0.0


def draw(rng: np.random.Generator, name: str, first: int, days: int, outages: Sequence[Gap]) -> Service:
    """A service with what happens to it in ``days`` days; about half of its days have something."""
    last = first + days * DAY_S

    def some(mean: float) -> list[float]:
        return sorted(rng.uniform(first, last, rng.poisson(mean * days / 8)).tolist())

    moves = bool(rng.random() < 0.7)  # pods get a new address, hosts keep theirs
    born = float(rng.uniform(first, last)) if rng.random() < 0.08 else first - float(rng.uniform(1, 20)) * DAY_S
    retired = float(rng.uniform(max(first, born), last)) if rng.random() < 0.05 else last + DAY_S
    stops: list[list[Stop]] = [[] for _ in range(rng.integers(1, 5))]
    for at in some(1.0):
        _deploy(rng, at, stops, moves)
    for at in some(0.6):
        stops[rng.integers(len(stops))].append(Stop(at, at + rng.uniform(1, 60), moves=False))
    for at in some(0.3):
        stops[rng.integers(len(stops))].extend(_crash_loop(rng, at))
    for at in some(0.2):
        until = at + rng.uniform(300, 7200)
        for replica in stops:
            replica.append(Stop(at, until + rng.uniform(0, 60), moves))
    lives = [(born, retired, replica) for replica in stops]
    lives += [(at, at + float(rng.uniform(600, 30_000)), []) for at in some(0.8) for _ in range(rng.integers(1, 4))]
    processes = [one for number, life in enumerate(lives) for one in chain(rng, f"{name}-{number}", *life)]
    instances = sorted({process.instance for process in processes})
    gaps = [Gap(at, at + float(rng.lognormal(6.5, 1.5)), str(rng.choice(instances))) for at in some(1.0)]
    gaps += [Gap(at, at + float(rng.lognormal(6.0, 1.2))) for at in some(0.5)]
    return Service(
        name=name,
        interval_s=int(rng.choice(INTERVALS_S)),
        lazy=bool(rng.random() < 0.7),
        versioned=bool(rng.random() < 0.4),
        traffic=_traffic(rng, some(0.8)),
        processes=tuple(processes),
        gaps=(*gaps, *outages),
        relabelled=tuple(some(0.25)),
        missed=float(rng.choice([0.0, 0.0, 0.0, 0.002])),
    )


def draw_outages(rng: np.random.Generator, first: int, days: int) -> list[Gap]:
    """Prometheus itself is down twice in eight days."""
    starts = rng.uniform(first, first + days * DAY_S, max(1, days // 4))
    return [Gap(float(start), float(start + rng.uniform(300, 7200)), unnoticed=True) for start in starts]


def _deploy(rng: np.random.Generator, at: float, stops: Sequence[list[Stop]], moves: bool) -> None:
    """One replica after the other. A pod's successor starts before it ends, a host's process is down in between."""
    for replica in stops:
        pause = -rng.uniform(5, 40) if moves else rng.uniform(2, 30)
        replica.append(Stop(at, at + pause, moves, deploys=True))
        at += rng.uniform(20, 120)


def _crash_loop(rng: np.random.Generator, at: float) -> Iterator[Stop]:
    until = at + rng.uniform(300, 7200)
    while at < until:
        start = at + rng.uniform(1, 120)
        yield Stop(at, start, moves=False)
        at = start + rng.uniform(5, 300)


def chain(
    rng: np.random.Generator, replica: str, born: float, retired: float, stops: Sequence[Stop]
) -> Iterator[Process]:
    """A replica's processes, one after the other. A stop of what has not started yet changes nothing."""
    moved, version, start, found = 0, 0, born, born + rng.uniform(0, 10)
    for stop in sorted(stops, key=lambda stop: stop.end):
        if stop.end <= start or stop.end >= retired:
            continue
        yield Process(f"{replica}-{moved}:8080", version, start, found, stop.end)
        start = found = stop.start
        version += stop.deploys
        if stop.moves:
            moved, found = moved + 1, start + rng.uniform(0, 10)
    if start < retired:
        yield Process(f"{replica}-{moved}:8080", version, start, found, retired)


def _traffic(rng: np.random.Generator, incidents: Sequence[float]) -> Traffic:
    return Traffic(
        rate=float(10 ** rng.uniform(-1.5, 2.3)),
        swing=float(rng.uniform(0, 0.9)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        missing=float(rng.uniform(0, 0.05)),
        failing=float(10 ** rng.uniform(-5, -2)),
        incidents=tuple((at, at + float(rng.uniform(60, 3600)), float(rng.uniform(0.02, 0.5))) for at in incidents),
    )
