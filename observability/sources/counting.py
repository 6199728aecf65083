"""Increases of raw counters as they come, step by step: the rules of ``counters`` without looking ahead. Pure.

What a step's increase is follows from what was seen before it (``Past``) and from the step itself, so that it does not
matter how the time was cut into windows. The rules are those of ``counters``, read so:

1, 2. The increase is the last value in the step minus the last one seen before it; a lower one counts whole.
3. A series that appears counts from 0 if its target was seen in an earlier step, or its job at least five minutes
   before. One that was missing while its target was seen goes on, or counts anew if another counter of the target fell
   meanwhile. All counters of a step are taken in before this is decided.
4. What brings more than the job's busiest step *so far* could have made was not born: its past is left out.
5. After a gap the increase lands in the step in which the series is seen again, and ``earlier`` tells how much of it
   came together before.

Nobody knows yet whether a series that is missing is gone. So where ``fold``, which sees the whole window, hands the
sums of relabelled series on, here their past is left out: that of series which appear with at least the sums of others
of the same name that are gone in the same step. For a target that is known these are its own, for a new one those of
targets of its job which were seen in the step before. It costs one step's increase, and a burst of one is never made.
Series that were missing while others took their place are treated alike when they return.

A series, target or job that nobody has seen for a day is forgotten, as the server's look-back of a day would not find
it; ``fold`` remembers what it saw earlier in its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.sources import counters
from observability.sources.answer import Rows
from observability.sources.counters import Values
from observability.sources.origins import PLAUSIBLE
from observability.sources.roster import Roster, Tables

NEVER = -(2**40)
LOOKED_BACK = -1  # the step that the last values before the first step are of
DAY_S = 86_400

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scrapes:
    """The scrapes of series in steps, one entry for each series and step that has any, shape (n,).

    ``rows`` and ``steps`` tell which; ``first`` and ``last`` value as they were, ``offsets``: what was counted before
    the falls between them; ``fell``: whether there was one; ``sizes``: how many scrapes.
    """

    rows: Rows
    steps: Rows
    first: Values
    last: Values
    offsets: Values
    fell: Mask
    sizes: Rows

    @classmethod
    def of(cls, rows: Rows, steps: Rows, numbers: Values) -> Scrapes:
        """From samples, those of one series together and in the order of time."""
        new = np.concatenate([[True], (rows[1:] != rows[:-1]) | (steps[1:] != steps[:-1])])[: rows.size]
        starts = np.flatnonzero(new)
        ends = np.append(starts[1:], rows.size)[: starts.size] - 1
        previous = np.concatenate([[np.nan], numbers[:-1]])[: rows.size]
        fallen = (numbers < previous) & ~new
        lost = np.where(fallen, previous, 0.0)
        return cls(
            rows=rows[starts],
            steps=steps[starts],
            first=numbers[starts],
            last=numbers[ends],
            offsets=np.add.reduceat(lost, starts) if starts.size else lost,
            fell=np.logical_or.reduceat(fallen, starts) if starts.size else fallen,
            sizes=ends - starts + 1,
        )

    def part(self, which: slice | Mask | Rows) -> Scrapes:
        return Scrapes(*(values[which] for values in vars(self).values()))

    @classmethod
    def joined(cls, parts: Sequence[Scrapes]) -> Scrapes:
        none = cls.of(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
        return cls(*map(np.concatenate, zip(*(vars(part).values() for part in (none, *parts)), strict=True)))


@dataclass(frozen=True)
class Past:
    """What was seen of the rows, targets and jobs of a roster. Steps are counted from the first one on; ``NEVER``.

    Of a row: its ``last`` raw value (NaN for none), the step ``at`` which it was seen last, and the one in which it was
    ``born``, or seen first. Of a target: when any of its counters was ``seen`` last and when one ``fell`` last. Of a
    job: ``since`` when it is known, when it was ``heard`` last, and what its busiest step made of counters and of
    buckets, shape (jobs, 2).
    """

    last: Values
    at: Rows
    born: Rows
    seen: Rows
    fell: Rows
    since: Rows
    heard: Rows
    busiest: Values

    @classmethod
    def nothing(cls) -> Past:
        none = np.zeros(0, dtype=np.intp)
        return cls(np.zeros(0), none, none, none, none, none, none, np.zeros((0, 2)))

    def copy(self, roster: Roster) -> Past:
        """Another one, with room for all that the roster has by now."""
        rows, targets, jobs = len(roster.series), len(roster.targets), len(roster.jobs)
        return Past(
            last=_extended(self.last, rows, np.nan),
            at=_extended(self.at, rows, NEVER),
            born=_extended(self.born, rows, NEVER),
            seen=_extended(self.seen, targets, NEVER),
            fell=_extended(self.fell, targets, NEVER),
            since=_extended(self.since, jobs, NEVER),
            heard=_extended(self.heard, jobs, NEVER),
            busiest=_extended(self.busiest, jobs, 0.0),
        )

    def of(self, rows: Rows, targets: Rows, jobs: Rows) -> Past:
        """Of these rows, targets and jobs alone."""
        return Past(
            self.last[rows],
            self.at[rows],
            self.born[rows],
            self.seen[targets],
            self.fell[targets],
            self.since[jobs],
            self.heard[jobs],
            self.busiest[jobs],
        )


@dataclass(frozen=True)
class Counted:
    """What became of scrapes, shape (n,): the increase, NaN where it is not known; how much of it is from before the
    step (counters alone); ``old``: which of them brought more than they can have counted."""

    grown: Values
    earlier: Values
    old: Mask

    def part(self, which: Mask) -> Counted:
        return Counted(self.grown[which], self.earlier[which], self.old[which])

    @classmethod
    def joined(cls, parts: Sequence[Counted]) -> Counted:
        none = cls(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
        return cls(*map(np.concatenate, zip(*(vars(part).values() for part in (none, *parts)), strict=True)))


class Counting:
    """Counts scrapes step after step, and writes what it has seen into ``past``."""

    def __init__(self, tables: Tables, past: Past, step_s: int) -> None:
        self.past = past
        self._tables = tables
        self._start_up = counters.start_up_steps(step_s)
        self._day = day_steps(step_s)

    def look_back(self, rows: Rows, numbers: Values) -> None:
        """The last values before the first step."""
        at = np.full(rows.size, LOOKED_BACK, dtype=np.intp)
        self._renew(LOOKED_BACK, self._tables.job[rows])
        self._keep(LOOKED_BACK, Scrapes(rows, at, numbers, numbers, numbers, at > 0, at))

    def take(self, step: int, seen: Scrapes, is_new: Mask) -> Counted:
        """The scrapes of one step, in the order of ``Tables.rank``. ``is_new``: whether a query was not answered before
        this step, shape (queries,): what history its series have could not be seen."""
        past, tables, rows = self.past, self._tables, seen.rows
        target, job = tables.target[rows], tables.job[rows]
        self._renew(step, job)
        since, value = past.at[rows], seen.last + seen.offsets
        known = step - since <= self._day
        before = np.where(known, past.last[rows], np.nan)
        fallen = seen.first < before
        grown = value - np.where(fallen, 0.0, before)
        past.fell[target[fallen | seen.fell]] = step
        self._note_busiest(rows, np.where(known & (since > LOOKED_BACK), grown / (step - since), 0.0))
        scraped = step - past.seen[target] <= self._day
        born = ~known & (scraped | (past.since[job] + self._start_up <= step)) & ~is_new[tables.query[rows]]
        missed = known & (since < past.seen[target]) & tables.has_instance[target]
        old = anew = np.zeros(rows.size, dtype=np.bool_)
        if born.any() or missed.any():
            old = born & self._brings_too_much(step, seen, born)[target]
            anew = missed & self._counts_anew(step, seen, missed)
            grown = np.where(born | anew, value, grown)
            grown[old | self._in_place_of_others(step, seen, born, missed)] = np.nan
        gap = known & (step - since > 1) & ~anew & ~np.isnan(grown)
        earlier = counters.earlier(grown, np.where(since == LOOKED_BACK, 0, step - since))
        self._keep(step, seen)
        return Counted(grown, np.where(gap, earlier, 0.0), old)

    def _renew(self, step: int, job: Rows) -> None:
        """A job that was forgotten is known from now on."""
        lost = job[step - self.past.heard[job] > self._day]
        self.past.since[lost], self.past.busiest[lost] = step, 0.0

    def _note_busiest(self, rows: Rows, steady: Values) -> None:
        tables = self._tables
        made = np.bincount(tables.meter[rows], weights=steady, minlength=tables.kind.size)
        np.maximum.at(self.past.busiest, (tables.job_of_meter, tables.kind), made)

    def _brings_too_much(self, step: int, seen: Scrapes, which: Mask) -> Mask:
        """Which targets' appearing series bring more than was counted since the target was last seen, or since it was
        started; by target. Counters are judged by counters, and buckets by buckets."""
        tables, past = self._tables, self.past
        meters = tables.meter[seen.rows[which]]
        brought = np.bincount(meters, weights=seen.first[which], minlength=tables.kind.size)
        away = step - past.seen[tables.target_of_meter]
        steps = np.maximum(self._start_up, np.where(away <= self._day, away, 0))
        most = PLAUSIBLE * steps * past.busiest[tables.job_of_meter, tables.kind]
        found = np.zeros(tables.job_of_target.size, dtype=np.bool_)
        found[tables.target_of_meter[(most > 0) & (brought > most)]] = True
        return found

    def _counts_anew(self, step: int, seen: Scrapes, missed: Mask) -> Mask:
        """Of series that were missing: whether their target was restarted meanwhile. Where that may have been before
        the first step, they count anew if what they bring can have been counted since."""
        target, since = self._tables.target[seen.rows], self.past.at[seen.rows]
        restarted: Mask = np.greater(self.past.fell[target], since)
        unseen = missed & (since == LOOKED_BACK)
        if step < self._start_up or not unseen.any():
            return restarted
        restarted |= unseen & ~self._brings_too_much(step, seen, unseen)[target]
        return restarted

    def _in_place_of_others(self, step: int, seen: Scrapes, born: Mask, missed: Mask) -> Mask:
        """Which series appear with sums that go on from those of others that are gone in the same step."""
        tables, past, rows = self._tables, self.past, seen.rows
        target = tables.target[rows]
        scraped = (step - past.seen[target] <= self._day) & (past.fell[target] < step)
        of_job = born & (step - past.seen[target] > self._day)
        gone = np.ones(tables.target.size, dtype=np.bool_)
        gone[rows] = False
        lately = gone & (past.at == past.seen[tables.target])
        found = self._replacing(step, seen, (born | missed) & scraped, lately, tables.target)
        here = np.zeros(tables.job_of_target.size, dtype=np.bool_)
        here[target] = True
        lately = gone & (past.at == step - 1) & ~here[tables.target]
        found |= self._replacing(step, seen, of_job, lately, tables.job)
        return found

    def _replacing(self, step: int, seen: Scrapes, new: Mask, gone: Mask, group: Rows) -> Mask:
        """Of the ``new`` series, those that bring at least what the ``gone`` ones of their group (a number for each
        row) had counted under the same measure. Where another of the group's measures is lower, it was restarted."""
        tables, past = self._tables, self.past
        hit = np.zeros(group.max(initial=-1) + 1, dtype=np.bool_)
        hit[group[seen.rows[new]]] = True
        left = np.flatnonzero(gone & hit[group])
        if not left.size:
            return np.zeros_like(new)
        came = seen.rows[new]
        both = np.concatenate([came, left])
        _, key = np.unique(group[both] * (tables.measure.max() + 1) + tables.measure[both], return_inverse=True)
        key_came, key_left = key[: came.size], key[came.size :]
        size = int(key.max()) + 1
        counted = np.bincount(key_left, weights=past.last[left], minlength=size)
        brought = np.bincount(key_came, weights=seen.first[new], minlength=size)
        is_lower = np.zeros(hit.size, dtype=np.bool_)
        is_lower[group[came[(brought < counted)[key_came]]]] = True
        born = np.full(size, NEVER)
        np.maximum.at(born, key_left, past.born[left])
        goes_on = (counted[key_came] > 0) & ~is_lower[group[came]]
        since = past.at[came]
        found = np.zeros_like(new)
        found[new] = goes_on & ((born[key_came] > since) | (step - since > self._start_up))
        return found

    def _keep(self, step: int, seen: Scrapes) -> None:
        past, rows, tables = self.past, seen.rows, self._tables
        past.born[rows[step - past.at[rows] > self._day]] = step
        past.last[rows], past.at[rows] = seen.last, step
        past.seen[tables.target[rows]] = step
        past.heard[tables.job[rows]] = step


def day_steps(step_s: int) -> int:
    """How many steps a series is remembered for."""
    return max(1, DAY_S // step_s)


def _extended(values: NDArray[Any], size: int, filling: float) -> NDArray[Any]:
    found = np.full((size, *values.shape[1:]), filling, dtype=values.dtype)
    found[: len(values)] = values
    return found
