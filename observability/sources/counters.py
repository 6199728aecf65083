"""Increases of raw counters, step by step.

The rules hold per series, and nothing is extrapolated. Each with its reason:

1. The increase of a step is the last value in it minus the last value seen before it, over all scrapes of the step.
2. A value that is lower than the one before is a reset: the whole new value is the increase. What was counted between
   the last scrape and the restart is lost, because nobody saw it. (Prometheus documentation, "Query functions", rate.)
3. A series that appears although its history could have been seen is born and counts from 0: a new pod, or a label
   combination that a client library exports from its first event on, such as the first error. ``increase()`` loses
   both. Its history could have been seen when its target (``job`` and ``instance``) was scraped in an earlier step, or
   when its job has been scraped for five minutes. The evidence is every counter of the plan together, so the first
   error counts where the requests were seen before it.
   A target may show its series under other labels from one scrape to the next, as after a change of its relabelling.
   Where their sums go on from those of the vanished ones, they count from there, and nothing is counted twice; where
   all of them changed and the sums are lower, the target was restarted as well, and they count from 0.
   A series that was missing while its target was seen, and is there again, goes on: it missed a scrape. Where other
   counters of the target fell meanwhile it was dropped by a restart, and counts anew.
4. Any other series that appears has a history that nobody knows: its first value is where later increases start from.
   Five minutes, because the targets of a job are first scraped one after the other over one scrape interval, and
   intervals beyond Prometheus' look-back of five minutes do not work anyway. By service and job, so that an exporter
   which is scraped for the first time does not bring its whole past as one step's traffic.
   Series that bring more than the job's busiest step could have made in ten minutes, or in twice the time since their
   target was last seen, were not born either: the target was renamed, or not scraped for longer than the look-back of
   a day, or a rule that hid them was taken away. Of them, too, the past is left out (``origins``), and a warning says
   so.
5. After a gap the increase lands in the step in which the series is seen again. Spreading it would invent a course;
   this way the increases of adjacent days add up to what was counted. How much of it came together before that step,
   evenly counted, is told beside it (``earlier``), so that a rate does not show a burst that nobody made.

What is lost all the same, between a last scrape and a restart or an end, or with a past that is left out, lowers the
coverage (``sightings``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

START_UP_S = 300


def start_up_steps(step_s: int) -> int:
    """Rule 4's five minutes in whole steps of ``step_s`` seconds, rounded up."""
    return -(-START_UP_S // step_s)


def unwrapped(numbers: Values, previous: Values, starts: NDArray[np.intp], offsets: Values) -> Values:
    """Counters without their resets (rule 2): what was counted before a reset is added to all values after it.

    ``numbers`` holds the samples of several series, one series after the other, each in the order of time, and
    ``previous`` the sample before each of them, NaN for none; both of shape (samples,). ``starts`` tells where each
    series begins, and ``offsets`` what was counted before the resets it had earlier; both of shape (series,).
    """
    sizes = np.diff(np.append(starts, numbers.size))
    values = numbers + np.repeat(offsets, sizes)
    fallen = numbers < previous
    for series in np.unique(np.searchsorted(starts, np.flatnonzero(fallen), side="right") - 1):
        part = slice(starts[series], starts[series] + sizes[series])
        values[part] += np.cumsum(np.where(fallen[part], previous[part], 0.0))
    return values


def increases(values: Values, origins: Values) -> Values:
    """The increase of each series in each step, shape (series, steps); NaN where it was not seen, or is not known.

    ``values``: the last value in each step, without resets, shape (series, steps), NaN where there was none.
    ``origins``: what each series counts from, shape (series,), NaN where nobody knows.
    """
    last = _carried_forward(np.column_stack([origins, values]))[:, :-1]
    return values - last


def earlier(increments: Values, since: NDArray[np.intp]) -> Values:
    """Of increases that arrived so many steps ``since`` the series was seen before: the part that belongs to the steps
    before, counted evenly. NaN where it is not known how many: for 0. All of shape (n,)."""
    return np.where(since > 0, increments - increments / np.maximum(since, 1), np.nan)


def first_seen(values: Values, before: Values) -> NDArray[np.intp]:
    """The step in which each series is first seen, shape (series,): −1 for before the first, ``steps`` for never."""
    seen = ~np.isnan(np.column_stack([before, values]))
    first: NDArray[np.intp] = np.where(seen.any(axis=1), seen.argmax(axis=1) - 1, values.shape[1])
    return first


def births(
    first: Iterable[int], targets: Sequence[Hashable], jobs: Sequence[Hashable], start_up: int
) -> NDArray[np.bool_]:
    """Which series count from 0 (rule 3), shape (series,), given the step in which each is first seen.

    ``targets`` and ``jobs`` name what each series was scraped from; ``start_up`` is rule 4's time in steps.
    """
    steps = list(first)
    of_target, of_job = _earliest(steps, targets), _earliest(steps, jobs)
    return np.array(
        [
            of_target[target] < step or of_job[job] + start_up <= step
            for step, target, job in zip(steps, targets, jobs, strict=True)
        ],
        dtype=np.bool_,
    )


def steady(values: Values) -> Values:
    """The increases of series in each step but the first, those after a gap spread over it, shape (series, steps − 1);
    0 where they were not seen, or not before."""
    steps = np.arange(values.shape[1])
    since = np.maximum.accumulate(np.where(np.isnan(values), -1, steps), axis=1)[:, :-1]
    grown = values[:, 1:] - np.take_along_axis(values, np.maximum(since, 0), axis=1)
    return np.nan_to_num(grown / (steps[1:] - since))


def total(increments: Values) -> Values:
    """The sum over the series, shape (series, steps) → (steps,); NaN where no increase is known."""
    known = ~np.isnan(increments)
    return np.where(known.any(axis=0), np.where(known, increments, 0.0).sum(axis=0), np.nan)


def _carried_forward(values: Values) -> Values:
    """Each row with its gaps filled by the last value before them."""
    positions = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    filled: Values = np.take_along_axis(values, np.maximum.accumulate(positions, axis=1), axis=1)
    return filled


def _earliest(steps: Iterable[int], groups: Iterable[Hashable]) -> dict[Hashable, int]:
    earliest: dict[Hashable, int] = {}
    for step, group in zip(steps, groups, strict=True):
        earliest[group] = min(step, earliest.get(group, step))
    return earliest
