"""Scoring of alarms against labelled points by event: what an operator would count as found, as right, and as false.

No point adjustment: finding one point of an event does not make the others right. All places are row numbers of a file,
from 0; rows, and not seconds, so that a file of hours and one of minutes are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

WARM_UP = 100  # rows at the head of a file that are not judged
EVENT_GAP = 3  # labelled rows at most this far apart are one event: at most two rows without a label between them
EPISODE_GAP = 10  # crossings at most this far apart are one episode
GRACE = 2  # rows after an event in which a crossing still belongs to it


@dataclass(frozen=True)
class Counts:
    """What was counted. ``found`` and ``delays`` are of the events, ``right`` is of the episodes; ``delays``: rows from
    the start of each found event to its first crossing; ``points``: the rows that were judged."""

    points: int
    events: int
    found: int
    episodes: int
    right: int
    delays: tuple[int, ...]

    @property
    def precision(self) -> float:
        """The share of the episodes that are right; 0 without any."""
        return self.right / self.episodes if self.episodes else 0.0

    @property
    def recall(self) -> float:
        """The share of the events that are found; 0 without any."""
        return self.found / self.events if self.events else 0.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def median_delay(self) -> float | None:
        """Of the events that were found; None if none was."""
        return median(self.delays) if self.delays else None

    @property
    def false_per_1000(self) -> float:
        """Episodes that are not right, per 1,000 judged rows."""
        return 1000 * (self.episodes - self.right) / self.points if self.points else 0.0


def count(labels: Flags, crossings: Flags) -> Counts:
    """One file: ``labels`` and ``crossings`` of shape (rows,), true where a row is labelled and where it alarms.

    An event is found if a crossing lies in its interval, from its start to ``GRACE`` rows after its end; an episode is
    right if its first crossing lies in the interval of an event. An event that begins in the warm-up is left out as a
    whole: it need not be found, and a crossing in what is left of it after the warm-up is as false as any other.
    """
    first, last = runs(np.flatnonzero(labels), EVENT_GAP)
    judged = first >= WARM_UP
    first, until = first[judged], last[judged] + GRACE
    alarms = np.flatnonzero(crossings)
    alarms = alarms[alarms >= WARM_UP]
    begins, _ = runs(alarms, EPISODE_GAP)
    delays = _delays(first, until, alarms)
    return Counts(
        points=max(0, labels.size - WARM_UP),
        events=first.size,
        found=delays.size,
        episodes=begins.size,
        right=int(np.count_nonzero(_inside(begins, first, until))),
        delays=tuple(delays.tolist()),
    )


def total(counts: Iterable[Counts]) -> Counts:
    """Of several files: everything is added up, so a file weighs by its events and by its alarms."""
    given = list(counts)
    names = ("points", "events", "found", "episodes", "right")
    sums = {name: sum(getattr(one, name) for one in given) for name in names}
    return Counts(**sums, delays=tuple(delay for one in given for delay in one.delays))


def runs(rows: Rows, gap: int) -> tuple[Rows, Rows]:
    """First and last row of each run of ascending rows in which none is more than ``gap`` after the one before it."""
    apart = np.diff(rows) > gap
    begins, ends = np.append(True, apart), np.append(apart, True)
    return rows[begins[: rows.size]], rows[ends[: rows.size]]


def _delays(first: Rows, until: Rows, alarms: Rows) -> Rows:
    """From the first row of each event that is found to its first alarm."""
    never = until.max(initial=0) + 1
    earliest = np.append(alarms, never)[np.searchsorted(alarms, first)]
    return (earliest - first)[earliest <= until]


def _inside(rows: Rows, first: Rows, until: Rows) -> Flags:
    """Which of the rows lie in an interval."""
    inside: Flags = np.any((first[:, None] <= rows) & (rows <= until[:, None]), axis=0)
    return inside
