"""Which of the counters that appear count from 0, and which have a past that nobody saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from observability.model import Plan
from observability.sources import counters
from observability.sources.answer import Answer
from observability.sources.counters import Values

Target = tuple[str | None, str | None, str | None]
"""Service, job and instance."""

PLAUSIBLE = 2.0  # times what the start-up time allows


def origins(plan: Plan, counted: Sequence[Answer]) -> tuple[dict[str, NDArray[np.bool_]], set[Target]]:
    """Query → which of its series count from 0 if they appear, shape (series,); and the targets of a known job that
    bring more than they can have counted since they were started (``counters``, rule 4), whose series do not."""
    targets = [target_of(labels, plan) for answer in counted for labels in answer.labels]
    first = [step for answer in counted for step in counters.first_seen(answer.values, answer.before).tolist()]
    start_up = counters.start_up_steps(plan.step_s)
    born = counters.births(first, targets, [target[:2] for target in targets], start_up)
    begins: dict[Target, int] = {}
    for target, step in zip(targets, first, strict=True):
        begins[target] = min(step, begins.get(target, step))
    old = {
        target
        for target in {target for target, counts in zip(targets, born, strict=True) if counts}
        if begins[target] >= 0 and _brings_too_much(target, begins[target], plan, counted, start_up)
    }
    from_0 = [
        bool(counts) and not (target in old and step == begins[target])
        for target, step, counts in zip(targets, first, born, strict=True)
    ]
    rest = iter(from_0)
    return {answer.query.name: np.fromiter(rest, np.bool_, len(answer.labels)) for answer in counted}, old


def target_of(labels: Mapping[str, str], plan: Plan) -> Target:
    return labels.get(plan.service_label or ""), labels.get("job"), labels.get("instance")


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
