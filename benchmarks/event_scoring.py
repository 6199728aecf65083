"""Scoring of alarms against labelled points by event: what an operator would count as found, as right, and as false.

No point adjustment: finding one point of an event does not make the others right. All places are row numbers of a file,
from 0; rows, and not seconds, so that a file of hours and one of minutes are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.model import Array

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

WARM_UP = 100  # rows at the head of a file that are not judged
EVENT_GAP = 3  # labelled rows at most this far apart are one event: at most two rows without a label between them
EPISODE_GAP = 10  # crossings at most this far apart are one episode
GRACE = 2  # rows after an event in which a crossing still belongs to it


@dataclass(frozen=True)
class Counts:
    """What was counted. ``found`` and ``delays`` are of the events, ``right`` is of the episodes; ``delays``: rows from
    the start of each found event to its first crossing; ``points``: the rows that were judged. ``quiet``: those of them
    that lie in no event's interval; ``quiet_alarms``: on how many of these it alarms."""

    points: int
    events: int
    found: int
    episodes: int
    right: int
    delays: tuple[int, ...]
    quiet: int = 0
    quiet_alarms: int = 0

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
        return float(f1(self.events, self.found, self.episodes, self.right))

    @property
    def median_delay(self) -> float | None:
        """Of the events that were found; None if none was."""
        return median(self.delays) if self.delays else None

    @property
    def false_per_1000(self) -> float:
        """Episodes that are not right, per 1,000 judged rows."""
        return 1000 * (self.episodes - self.right) / self.points if self.points else 0.0

    @property
    def quiet_alarm_share(self) -> float:
        """The share of the quiet rows that it alarms on; 0 without any."""
        return self.quiet_alarms / self.quiet if self.quiet else 0.0


@dataclass(frozen=True)
class Sweep:
    """One file at all thresholds at once. ``rises`` and ``falls``: a row begins an episode at the thresholds from its
    own score down to, and without, the highest of the ``EPISODE_GAP`` judged rows before it; ``right`` is of those rows
    that lie in an event's interval. ``peaks``: the highest score in each event's interval. Each ascending."""

    rises: Array
    falls: Array
    right_rises: Array
    right_falls: Array
    peaks: Array

    def at(self, thresholds: Array) -> NDArray[np.int64]:
        """Shape (4, thresholds): the events, how many of them are found, the episodes, and how many are right."""
        found, up, down, right_up, right_down = (
            values.size - np.searchsorted(values, thresholds)
            for values in (self.peaks, self.rises, self.falls, self.right_rises, self.right_falls)
        )
        return np.array([np.full(thresholds.shape, self.peaks.size), found, up - down, right_up - right_down])

    @property
    def thresholds(self) -> Array:
        """All at which something changes, descending: between one and the next lower, all is as at the one."""
        found: Array = np.unique(np.concatenate([self.rises, self.falls, self.peaks]))
        return found[np.isfinite(found)][::-1]


def count(labels: Flags, crossings: Flags, judged: Flags | None = None) -> Counts:
    """One file: ``labels`` and ``crossings`` of shape (rows,), true where a row is labelled and where it alarms;
    ``judged`` likewise, without it all rows but the warm-up.

    An event is found if a crossing lies in its interval, from its start to ``GRACE`` rows after its end; an episode is
    right if its first crossing lies in the interval of an event. Crossings on rows that are not judged do not count. An
    event that begins in one, as in the warm-up, is left out as a whole: it need not be found, and a crossing in what is
    left of it is as false as any other.
    """
    judged = _after_warm_up(labels.size) if judged is None else judged
    first, until = intervals(labels, judged)
    alarms = np.flatnonzero(crossings & judged)
    begins, _ = runs(alarms, EPISODE_GAP)
    delays = _delays(first, until, alarms)
    quiet = judged & ~_inside(np.arange(labels.size), first, until)
    return Counts(
        points=int(np.count_nonzero(judged)),
        events=first.size,
        found=delays.size,
        episodes=begins.size,
        right=int(np.count_nonzero(_inside(begins, first, until))),
        delays=tuple(delays.tolist()),
        quiet=int(np.count_nonzero(quiet)),
        quiet_alarms=int(np.count_nonzero(quiet & crossings)),
    )


def by_event(labels: Flags, crossings: Flags, judged: Flags) -> tuple[Flags, Rows]:
    """Of each event whether it is found, and how many episodes are right by it."""
    first, until = intervals(labels, judged)
    alarms = np.flatnonzero(crossings & judged)
    begins, _ = runs(alarms, EPISODE_GAP)
    return _between(alarms, first, until) > 0, _between(begins, first, until)


def sweep(labels: Flags, scores: Array, judged: Flags) -> Sweep:
    """What ``count`` finds at every threshold that the scores may have to reach; NaN reaches none."""
    first, until = intervals(labels, judged)
    scores = np.where(judged & ~np.isnan(scores), scores, -np.inf)
    padded = np.append(np.full(EPISODE_GAP, -np.inf), scores)
    before = np.lib.stride_tricks.sliding_window_view(padded, EPISODE_GAP)[:-1].max(axis=1)
    begins = scores > before
    right = begins & _inside(np.arange(labels.size), first, until)
    peaks = np.array([scores[start : end + 1].max() for start, end in zip(first, until, strict=True)])
    return Sweep(*map(np.sort, (scores[begins], before[begins], scores[right], before[right], peaks)))


def f1(events: Any, found: Any, episodes: Any, right: Any) -> Any:
    """The harmonic mean of right/episodes and found/events, numbers or arrays; 0 where nothing is found."""
    precision = right / np.maximum(episodes, 1)
    recall = found / np.maximum(events, 1)
    both = precision + recall
    return 2 * precision * recall / np.where(both > 0, both, 1.0)


def total(counts: Iterable[Counts]) -> Counts:
    """Of several files: everything is added up, so a file weighs by its events and by its alarms."""
    given = list(counts)
    names = ("points", "events", "found", "episodes", "right", "quiet", "quiet_alarms")
    sums = {name: sum(getattr(one, name) for one in given) for name in names}
    return Counts(**sums, delays=tuple(delay for one in given for delay in one.delays))


def runs(rows: Rows, gap: int) -> tuple[Rows, Rows]:
    """First and last row of each run of ascending rows in which none is more than ``gap`` after the one before it."""
    apart = np.diff(rows) > gap
    begins, ends = np.append(True, apart), np.append(apart, True)
    return rows[begins[: rows.size]], rows[ends[: rows.size]]


def intervals(labels: Flags, judged: Flags) -> tuple[Rows, Rows]:
    """First row of each event that begins in a judged row, and last row in which a crossing belongs to it."""
    first, last = runs(np.flatnonzero(labels), EVENT_GAP)
    counts = judged[first]
    return first[counts], last[counts] + GRACE


def _after_warm_up(rows: int) -> Flags:
    return np.arange(rows) >= WARM_UP


def _delays(first: Rows, until: Rows, alarms: Rows) -> Rows:
    """From the first row of each event that is found to its first alarm."""
    never = until.max(initial=0) + 1
    earliest = np.append(alarms, never)[np.searchsorted(alarms, first)]
    return (earliest - first)[earliest <= until]


def _between(rows: Rows, first: Rows, until: Rows) -> Rows:
    """How many of the ascending rows lie in each interval."""
    return np.searchsorted(rows, until, side="right") - np.searchsorted(rows, first)


def _inside(rows: Rows, first: Rows, until: Rows) -> Flags:
    """Which of the rows lie in an interval."""
    inside: Flags = np.any((first[:, None] <= rows) & (rows <= until[:, None]), axis=0)
    return inside
