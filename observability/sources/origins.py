"""What the counters that appear count from: 0, what went before them, or a past that nobody saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from observability.model import Plan
from observability.sources import counters
from observability.sources.answer import Answer
from observability.sources.counters import Values

Target = tuple[str | None, str | None, str | None]
"""Service, job and instance."""

PLAUSIBLE = 2.0  # times what the start-up time allows


@dataclass(frozen=True)
class Counter:
    """One series of one counted query. ``begins``: the step in which it is first seen (``counters.first_seen``)."""

    answer: Answer
    row: int
    target: Target
    begins: int

    @property
    def values(self) -> Values:
        """Shape (lead + steps,)."""
        values: Values = self.answer.values[self.row]
        return values

    @property
    def measure(self) -> tuple[str | None, ...]:
        """What it counts, whatever its other labels are: query, name and bucket."""
        labels = self.answer.labels[self.row]
        return self.answer.query.name, labels.get("__name__"), labels.get("le")


def origins(plan: Plan, counted: Sequence[Answer]) -> tuple[dict[str, Values], set[Target]]:
    """Query → what each of its series counts from (``counters``, rules 3 and 4), shape (series,), NaN where nobody
    knows; and the targets of a known job that bring more than they can have counted since they were started."""
    series = [
        Counter(answer, row, target_of(labels, plan), int(begins))
        for answer in counted
        for row, (labels, begins) in enumerate(
            zip(answer.labels, counters.first_seen(answer.values, answer.before), strict=True)
        )
    ]
    start_up = counters.start_up_steps(plan.step_s)
    targets = [one.target for one in series]
    born = counters.births([one.begins for one in series], targets, [target[:2] for target in targets], start_up)
    new = [one for one, counts in zip(series, born.tolist(), strict=True) if counts and one.begins < one.values.size]
    of_target = _by_target(series)
    old = {
        target
        for target in {one.target for one in new}
        if (begins := min(one.begins for one in of_target[target])) >= 0
        and _brings_too_much(target, begins, plan, counted, start_up)
    }
    found = {answer.query.name: answer.before.copy() for answer in counted}
    for target, members in _by_target(new).items():
        for one, origin in _born(of_target[target], members, target in old):
            found[one.answer.query.name][one.row] = origin
    return found, old


def target_of(labels: Mapping[str, str], plan: Plan) -> Target:
    return labels.get(plan.service_label or ""), labels.get("job"), labels.get("instance")


def _by_target(series: Sequence[Counter]) -> dict[Target, list[Counter]]:
    found: dict[Target, list[Counter]] = {}
    for one in series:
        found.setdefault(one.target, []).append(one)
    return found


def _born(members: Sequence[Counter], born: Sequence[Counter], is_old: bool) -> Iterator[tuple[Counter, float]]:
    """What each of a target's born series counts from. ``members`` are all of the target's."""
    begins = min(one.begins for one in members)
    for step in sorted({one.begins for one in born}):
        new = [one for one in born if one.begins == step]
        if is_old and step == begins:
            continue
        yield from zip(new, _carried(_relabelled(members, step), new), strict=True)


def _relabelled(members: Sequence[Counter], step: int) -> list[Counter]:
    """The series that were there when the target was last seen before ``step``, if none of them is seen after it."""
    seen = np.array([~np.isnan(one.values) for one in members])
    earlier = np.flatnonzero(seen[:, :step].any(axis=0))
    if not earlier.size:
        return []
    there = seen[:, earlier[-1]]
    if seen[there, step + 1 :].any():
        return []
    return [one for one, was_there in zip(members, there.tolist(), strict=True) if was_there]


def _carried(old: Sequence[Counter], new: Sequence[Counter]) -> list[float]:
    """What each of the new series counts from, where their sums go on from those of the old ones: its share of them.

    A sum that is lower shows that the target was restarted under its new labels, and then all count from 0.
    """
    before, after = _sums(old, [one.answer.last for one in old]), _sums(new, [one.answer.first for one in new])
    if any(after.get(measure, 0.0) < counted for measure, counted in before.items()):
        return [0.0] * len(new)
    shares = {measure: before.get(measure, 0.0) / counted if counted else 0.0 for measure, counted in after.items()}
    return [float(one.answer.first[one.row]) * shares[one.measure] for one in new]


def _sums(series: Sequence[Counter], values: Sequence[Values]) -> dict[tuple[str | None, ...], float]:
    sums: dict[tuple[str | None, ...], float] = {}
    for one, numbers in zip(series, values, strict=True):
        sums[one.measure] = sums.get(one.measure, 0.0) + float(numbers[one.row])
    return sums


def _brings_too_much(target: Target, step: int, plan: Plan, counted: Sequence[Answer], start_up: int) -> bool:
    """Judged by the target's busiest counter, against the busiest step of any target of its job."""
    brought = [(_brought(target, step, plan, answer), answer) for answer in counted]
    most, answer = max(brought, key=lambda found: found[0])
    busiest = max((float(steady.sum(axis=0).max()) for steady in _of_the_job(target, plan, answer)), default=0.0)
    return most > PLAUSIBLE * start_up * busiest


def _brought(target: Target, step: int, plan: Plan, answer: Answer) -> float:
    rows = [row for row, labels in enumerate(answer.labels) if target_of(labels, plan) == target]
    return float(np.nansum(answer.values[rows, step]))


def _of_the_job(target: Target, plan: Plan, answer: Answer) -> Iterator[Values]:
    """The steps' increases of each target of the job, shape (series of the target, steps − 1)."""
    rows: dict[Target, list[int]] = {}
    for row, labels in enumerate(answer.labels):
        other = target_of(labels, plan)
        if other[:2] == target[:2]:
            rows.setdefault(other, []).append(row)
    for members in rows.values():
        yield counters.steady(answer.values[members])
