"""What the counters that appear count from: 0, what went before them, or a past that nobody saw."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from observability.model import Plan
from observability.sources import counters
from observability.sources.answer import Answer
from observability.sources.counters import Values
from observability.sources.sightings import Sightings, Target

PLAUSIBLE = 2.0  # times what the job's busiest step would have made in the time

Measure = tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Appearance:
    """One series of a counted query, seen from step ``at`` on: born, or there again since it was seen in step ``since``
    with the value ``last`` (NaN for born)."""

    answer: Answer
    row: int
    at: int
    first: float
    last: float = np.nan
    since: int = -1

    @property
    def is_born(self) -> bool:
        return math.isnan(self.last)

    @property
    def measure(self) -> Measure:
        return measure_of(self.answer, self.row)


@dataclass(frozen=True)
class Origins:
    """By query: ``values``, each series' values without resets, as ``Answer.values`` but for those that count anew;
    ``origins``, what each counts from, shape (series,), NaN where nobody knows; ``anew``, row and step of those that
    count anew after they were seen before. ``old``: the targets that brought more than they can have counted."""

    values: Mapping[str, Values]
    origins: Mapping[str, Values]
    anew: Mapping[str, set[tuple[int, int]]]
    old: set[Target]


def measure_of(answer: Answer, row: int) -> Measure:
    """What a series counts, whatever its other labels are: query, name and bucket."""
    labels = answer.labels[row]
    return answer.query.name, labels.get("__name__"), labels.get("le")


def find_origins(plan: Plan, counted: Sequence[Answer], seen: Sightings) -> Origins:
    """The origins of all series (``counters``, rules 3 and 4). What it finds lost it marks as a reset in ``seen``:
    restarts under other labels, and a past that is left out."""
    search = _Search(counted, seen, counters.start_up_steps(plan.step_s))
    origins = {answer.query.name: answer.before.copy() for answer in counted}
    values = {answer.query.name: answer.values for answer in counted}
    anew: dict[str, set[tuple[int, int]]] = {answer.query.name: set() for answer in counted}
    old: set[Target] = set()
    for number, step, new in search.appearances():
        for one, origin in search.counting_from(number, step, new):
            name = one.answer.query.name
            if np.isnan(origin):
                old.add(seen.targets[number])
                seen.reset[number, step] = True
            if one.is_born:
                origins[name][one.row] = origin
                continue
            if not anew[name]:
                values[name] = values[name].copy()
            values[name][one.row, one.at :] += (one.last if one.first >= one.last else 0.0) - origin
            anew[name].add((one.row, one.at))
    return Origins(values, origins, anew, old)


@dataclass(frozen=True)
class _Search:
    """Looks for what the series of the counted answers count from. ``start_up`` is rule 4's time in steps."""

    counted: Sequence[Answer]
    seen: Sightings
    start_up: int

    def appearances(self) -> Iterator[tuple[int, int, list[Appearance]]]:
        """Target, step, and the series that appear there and then."""
        found: dict[tuple[int, int], list[Appearance]] = {}
        for one in (*self._births(), *self._returns()):
            number = int(self.seen.of[one.answer.query.name][one.row])
            found.setdefault((number, one.at), []).append(one)
        for (number, step), new in sorted(found.items(), key=lambda item: item[0]):
            yield number, step, new

    def _births(self) -> Iterator[Appearance]:
        of = np.concatenate([self.seen.of[one.query.name] for one in self.counted] or [np.zeros(0, dtype=np.intp)])
        first = np.concatenate([counters.first_seen(one.values, one.before) for one in self.counted] or [of])
        jobs = [self.seen.targets[number][:2] for number in of.tolist()]
        born = counters.births(first.tolist(), of.tolist(), jobs, self.start_up) & (first < self.seen.seen.shape[1])
        places = ((answer, row) for answer in self.counted for row in range(len(answer.labels)))
        for (answer, row), at, is_born in zip(places, first.tolist(), born.tolist(), strict=True):
            if is_born:
                yield Appearance(answer, row, at, float(answer.first[row]))

    def _returns(self) -> Iterator[Appearance]:
        """The series that were missing while their target was seen. Only one that is known by its instance can tell."""
        scrapes = _sums(self.seen.seen)
        known = np.array([target[2] is not None for target in self.seen.targets], dtype=np.bool_)
        for answer in self.counted:
            gaps, of = answer.gaps, self.seen.of[answer.query.name][answer.gaps.rows]
            missed = (scrapes[of, gaps.until] > scrapes[of, gaps.since + 1]) & known[of]
            for gap in np.flatnonzero(missed).tolist():
                yield Appearance(
                    answer=answer,
                    row=int(gaps.rows[gap]),
                    at=int(gaps.until[gap]),
                    first=float(gaps.after[gap]),
                    last=float(gaps.before[gap]),
                    since=int(gaps.since[gap]),
                )

    def counting_from(self, number: int, step: int, new: Sequence[Appearance]) -> Iterator[tuple[Appearance, float]]:
        """What each of a target's appearances in a step counts from; those that just go on are left out.

        One that was missing while its target was seen counts anew where the target was restarted meanwhile. Where that
        may have been before the grid, it does if it can have been counted since.
        """
        vanished, is_all, is_over = self._vanished(number, step)
        carried = _carried(vanished, new)
        if is_all and not carried and vanished.keys() <= {one.measure for one in new if one.is_born}:
            self.seen.reset[number, step] = True
        too_much = not is_all and self._brings_too_much(number, step, [one for one in new if one.is_born])
        unseen = [one for one in new if one.since < 0 and not one.is_born]
        long_gone = step >= self.start_up and not self._brings_too_much(number, step, unseen)
        for one in new:
            goes_on = one in carried and one.measure in vanished
            if one.is_born and goes_on and (is_all or too_much):
                yield one, carried[one]
            elif one.is_born:
                yield one, np.nan if too_much else 0.0
            elif goes_on and is_all and is_over:
                yield one, carried[one]
            elif self.seen.reset[number, one.since + 1 : step + 1].any() or (one.since < 0 and long_gone):
                yield one, 0.0

    def _vanished(self, number: int, step: int) -> tuple[dict[Measure, float], bool, bool]:
        """What was counted under each measure by the series that were there when the target was last seen before
        ``step``, and are not when it is seen next; whether none of them is; and whether it was seen again at all."""
        seen = self.seen.seen[number]
        earlier, later = np.flatnonzero(seen[:step]), step + 1 + np.flatnonzero(seen[step + 1 :])
        counts: dict[Measure, float] = {}
        if not earlier.size:
            return counts, False, False
        lately = slice(max(0, int(earlier[-1]) + 1 - self.start_up), int(earlier[-1]) + 1)
        soon = slice(int(later[0]), int(later[0]) + self.start_up) if later.size else slice(0, 0)
        is_all = True
        for answer in self.counted:
            rows = np.flatnonzero(self.seen.of[answer.query.name] == number)
            rows = rows[~np.isnan(answer.values[rows, lately]).all(axis=1)]
            stays = ~np.isnan(answer.values[rows, soon]).all(axis=1)
            is_all &= not stays.any()
            for row in rows[~stays].tolist():
                measure = measure_of(answer, row)
                counts[measure] = counts.get(measure, 0.0) + answer.raw_at(row, step)
        return counts, is_all, later.size > 0

    def _brings_too_much(self, number: int, step: int, born: Sequence[Appearance]) -> bool:
        """Whether more was counted than the job's busiest step can have made since the target was last seen, or since
        it was started. Counters are judged by counters, and buckets by buckets."""
        earlier = np.flatnonzero(self.seen.seen[number, :step])
        steps = max(self.start_up, step - int(earlier[-1]) if earlier.size else 0)
        for kind in {one.answer.query.type for one in born}:
            brought: dict[str, float] = {}
            for one in born:
                if one.answer.query.type == kind:
                    brought[one.answer.query.name] = brought.get(one.answer.query.name, 0.0) + one.first
            busiest = self._busiest[self.seen.targets[number][:2], kind]
            if 0 < PLAUSIBLE * steps * busiest < max(brought.values()):
                return True
        return False

    @cached_property
    def _busiest(self) -> dict[tuple[tuple[str | None, str | None], str], float]:
        """Service, job and type → the highest increase of any target in a step."""
        found: dict[tuple[tuple[str | None, str | None], str], float] = {}
        for answer in self.counted:
            of = self.seen.of[answer.query.name]
            grown = np.zeros((len(self.seen.targets), answer.values.shape[1] - 1))
            np.add.at(grown, of, counters.steady(answer.values))
            for number in np.unique(of).tolist():
                key = self.seen.targets[number][:2], answer.query.type
                found[key] = max(float(grown[number].max(initial=0.0)), found.get(key, 0.0))
        return found


def _carried(vanished: Mapping[Measure, float], new: Sequence[Appearance]) -> dict[Appearance, float]:
    """What each of the new series counts from, where their sums go on from those of the vanished ones: its share of
    them. Nothing where a sum is lower, as after a restart under the new labels."""
    after: dict[Measure, float] = {}
    for one in new:
        after[one.measure] = after.get(one.measure, 0.0) + one.first
    if any(after.get(measure, 0.0) < counted for measure, counted in vanished.items()):
        return {}
    shares = {measure: vanished.get(measure, 0.0) / counted if counted else 0.0 for measure, counted in after.items()}
    return {one: one.first * shares[one.measure] for one in new}


def _sums(steps: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many of the steps before each one are true, shape (targets, steps + 1)."""
    return np.column_stack([np.zeros(len(steps), dtype=np.intp), np.cumsum(steps, axis=1)])
