"""What the counters that appear count from: 0, what went before them, or a past that nobody saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from observability.model import Plan
from observability.sources import counters
from observability.sources.answer import Answer
from observability.sources.counters import Values
from observability.sources.sightings import Sightings, Target

PLAUSIBLE = 2.0  # times what the start-up time allows

Measure = tuple[str | None, ...]


@dataclass(frozen=True)
class Appearance:
    """One series of a counted query, seen from step ``at`` on: born, or there again after ``last`` (NaN for born)."""

    answer: Answer
    row: int
    at: int
    first: float
    last: float = np.nan

    @property
    def measure(self) -> Measure:
        """What it counts, whatever its other labels are: query, name and bucket."""
        labels = self.answer.labels[self.row]
        return self.answer.query.name, labels.get("__name__"), labels.get("le")


@dataclass(frozen=True)
class Origins:
    """By query: ``values``, each series' values without resets, as ``Answer.values`` but for those that were dropped
    and count anew; ``origins``, what each counts from, shape (series,), NaN where nobody knows; ``anew``, row and step
    of those that count anew. ``old``: the targets of a known job that bring more than they can have counted since they
    were started."""

    values: Mapping[str, Values]
    origins: Mapping[str, Values]
    anew: Mapping[str, set[tuple[int, int]]]
    old: set[Target]


def find_origins(plan: Plan, counted: Sequence[Answer], seen: Sightings) -> Origins:
    """The origins of all series (``counters``, rules 3 and 4)."""
    start_up = counters.start_up_steps(plan.step_s)
    born, old = _births(counted, seen, start_up)
    origins = {answer.query.name: answer.before.copy() for answer in counted}
    values = {answer.query.name: answer.values for answer in counted}
    anew: dict[str, set[tuple[int, int]]] = {answer.query.name: set() for answer in counted}
    for number, appearances in _by_target([*born, *_returns(counted, seen)], seen).items():
        for one, origin in _counting_from(counted, seen, number, appearances):
            name = one.answer.query.name
            if np.isnan(one.last):
                origins[name][one.row] = origin
                continue
            if not anew[name]:
                values[name] = values[name].copy()
            values[name][one.row, one.at :] += (one.last if one.first >= one.last else 0.0) - origin
            anew[name].add((one.row, one.at))
    return Origins(values, origins, anew, {seen.targets[number] for number in old})


def _births(counted: Sequence[Answer], seen: Sightings, start_up: int) -> tuple[list[Appearance], set[int]]:
    """The born series, but for those of the targets that bring too much; and these targets."""
    of = np.concatenate([seen.of[answer.query.name] for answer in counted] or [np.zeros(0, dtype=np.intp)])
    first = np.concatenate([counters.first_seen(one.values, one.before) for one in counted] or [of])
    jobs = [seen.targets[number][:2] for number in of.tolist()]
    born = counters.births(first.tolist(), of.tolist(), jobs, start_up) & (first < seen.seen.shape[1])
    begins = np.full(len(seen.targets), seen.seen.shape[1])
    np.minimum.at(begins, of, first)
    old = {
        number
        for number in np.unique(of[born]).tolist()
        if begins[number] >= 0 and _brings_too_much(number, int(begins[number]), counted, seen, start_up)
    }
    places = ((answer, row) for answer in counted for row in range(len(answer.labels)))
    found = [
        Appearance(answer, row, at, float(answer.first[row]))
        for (answer, row), at, number, is_born in zip(places, first.tolist(), of.tolist(), born.tolist(), strict=True)
        if is_born and not (number in old and at == begins[number])
    ]
    return found, old


def _returns(counted: Sequence[Answer], seen: Sightings) -> Iterator[Appearance]:
    """The series that were missing from scrapes of their target, and are there again. Only a target that is known by
    its instance can tell: what is scraped from it at once is either all there or not."""
    scrapes = np.column_stack([np.zeros(len(seen.targets), dtype=np.intp), np.cumsum(seen.seen, axis=1)])
    known = np.array([target[2] is not None for target in seen.targets], dtype=np.bool_)
    for answer in counted:
        gaps, of = answer.gaps, seen.of[answer.query.name][answer.gaps.rows]
        missed = scrapes[of, gaps.until] > scrapes[of, gaps.since + 1]
        for gap in np.flatnonzero(missed & known[of]).tolist():
            yield Appearance(
                answer, int(gaps.rows[gap]), int(gaps.until[gap]), float(gaps.after[gap]), float(gaps.before[gap])
            )


def _by_target(appearances: Sequence[Appearance], seen: Sightings) -> dict[int, list[Appearance]]:
    found: dict[int, list[Appearance]] = {}
    for one in appearances:
        found.setdefault(int(seen.of[one.answer.query.name][one.row]), []).append(one)
    return found


def _counting_from(
    counted: Sequence[Answer], seen: Sightings, number: int, appearances: Sequence[Appearance]
) -> Iterator[tuple[Appearance, float]]:
    """What each of a target's appearances counts from, those of one step together."""
    for step in sorted({one.at for one in appearances}):
        new = [one for one in appearances if one.at == step]
        yield from zip(new, _carried(_relabelled(counted, seen, number, step), new), strict=True)


def _relabelled(counted: Sequence[Answer], seen: Sightings, number: int, step: int) -> dict[Measure, float]:
    """What was counted under each measure by the series that were there when the target was last seen before ``step``,
    if none of them is there any more when it is next seen after it; else nothing."""
    earlier, later = np.flatnonzero(seen.seen[number, :step]), np.flatnonzero(seen.seen[number, step + 1 :])
    counts: dict[Measure, float] = {}
    if not earlier.size:
        return counts
    for answer in counted:
        rows = np.flatnonzero(seen.of[answer.query.name] == number)
        rows = rows[~np.isnan(answer.values[rows, earlier[-1]])]
        if later.size and not np.isnan(answer.values[rows, step + 1 + later[0]]).all():
            return {}
        for row in rows.tolist():
            measure = Appearance(answer, row, step, 0.0).measure
            counts[measure] = counts.get(measure, 0.0) + answer.raw_at(row, step)
    return counts


def _carried(before: Mapping[Measure, float], new: Sequence[Appearance]) -> list[float]:
    """What each of the new series counts from, where their sums go on from those of the old ones: its share of them.

    A sum that is lower shows that the target was restarted under its new labels, and then all count from 0.
    """
    after: dict[Measure, float] = {}
    for one in new:
        after[one.measure] = after.get(one.measure, 0.0) + one.first
    if any(after.get(measure, 0.0) < counted for measure, counted in before.items()):
        return [0.0] * len(new)
    shares = {measure: before.get(measure, 0.0) / counted if counted else 0.0 for measure, counted in after.items()}
    return [one.first * shares[one.measure] for one in new]


def _brings_too_much(number: int, step: int, counted: Sequence[Answer], seen: Sightings, start_up: int) -> bool:
    """Judged by the target's busiest counter, against the busiest step of any target of its job."""
    brought = [float(np.nansum(one.values[seen.of[one.query.name] == number, step])) for one in counted]
    busiest = int(np.argmax(brought))
    steps = [float(steady.max()) for steady in _of_the_job(number, counted[busiest], seen)]
    return brought[busiest] > PLAUSIBLE * start_up * max(steps, default=0.0)


def _of_the_job(number: int, answer: Answer, seen: Sightings) -> Iterator[Values]:
    """The steps' increases of each target of the job, shape (steps − 1,)."""
    of = seen.of[answer.query.name]
    for other in np.unique(of).tolist():
        if seen.targets[other][:2] == seen.targets[number][:2]:
            yield counters.steady(answer.values[of == other]).sum(axis=0)
