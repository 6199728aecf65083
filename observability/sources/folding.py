"""From what queries returned to the columns of ``Samples``, service by service. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.errors import ConfigError
from observability.model import Plan, Query, Samples, Window
from observability.sources import counters
from observability.sources.counters import Values

Result = Sequence[Mapping[str, Any]]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Grid:
    """The instants that a query is evaluated at: ``steps`` of them, every ``step_s`` seconds from ``first`` (seconds
    since the epoch) on. The first ``lead`` lie before the window."""

    first: float
    step_s: int
    steps: int
    lead: int


@dataclass(frozen=True)
class Answer:
    """What one query returned.

    ``labels`` has one entry per series. ``values``: the finite value at each instant of the grid, shape (series,
    lead + steps), NaN where there was none. ``before``: the last one before the grid, shape (series,). ``dropped``: how
    many values in the window were NaN or infinite, shape (series,). ``warnings``: the server's.
    """

    query: Query
    lead: int
    labels: Sequence[Mapping[str, str]]
    values: Values
    before: Values
    dropped: NDArray[np.intp]
    warnings: Sequence[str] = ()


def lead_steps(query: Query, step_s: int) -> int:
    """How many steps before the window a query of this type needs."""
    if query.type in {"counter", "buckets"}:
        return counters.start_up_steps(step_s)
    return 1 if query.type == "alerts" else 0


def parse(query: Query, grid: Grid, found: Result, earlier: Result, warnings: Sequence[str]) -> Answer:
    """The series of range results ``found`` and of the instant result ``earlier``, as the HTTP API writes them.

    A malformed result raises ``LookupError``, ``TypeError`` or ``ValueError``.
    """
    labels = sorted({_labels(query, series) for series in (*found, *earlier)})
    rows = {key: row for row, key in enumerate(labels)}
    values = np.full((len(rows), grid.steps), np.nan)
    before, dropped = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.intp)
    for series in found:
        row = rows[_labels(query, series)]
        at, numbers = _points(series["values"], grid)
        usable = np.isfinite(numbers)
        values[row, at[usable]] = np.fmax(values[row, at[usable]], numbers[usable])
        dropped[row] += np.count_nonzero(~usable & (at >= grid.lead))
    for series in earlier:
        number = float(series["value"][1])
        if math.isfinite(number):
            row = rows[_labels(query, series)]
            before[row] = np.fmax(before[row], number)
    return Answer(query, grid.lead, [dict(key) for key in labels], values, before, dropped, warnings)


def _labels(query: Query, series: Mapping[str, Any]) -> Labels:
    """What tells a series from others. Bounds are compared as numbers: 1 and 1.0 are one bucket, and one series."""
    labels = dict(series["metric"])
    if query.type == "buckets":
        try:
            labels["le"] = _bound(labels["le"])
        except (KeyError, ValueError):
            raise ConfigError(
                f"query '{query.name}' returned a series without a number in the label 'le'; ask for the _bucket "
                f"series of a classic histogram: {query.promql}"
            ) from None
    return tuple(sorted(labels.items()))


def _bound(text: str) -> str:
    value = float(text)
    return "+Inf" if math.isinf(value) else repr(value)  # 1.0 for 1, as OpenMetrics writes it


def _points(points: Sequence[Any], grid: Grid) -> tuple[NDArray[np.intp], Values]:
    """Position on the grid and value of each point. Points off its ends are left out: some servers align a range to
    whole steps and then answer one more."""
    times = np.array([time for time, _ in points], dtype=np.float64)
    numbers = np.array([float(text) for _, text in points], dtype=np.float64)
    at = np.rint((times - grid.first) / grid.step_s).astype(np.intp)
    inside = (at >= 0) & (at < grid.steps)
    return at[inside], numbers[inside]


def fold(plan: Plan, window: Window, answers: Sequence[Answer]) -> dict[str, Samples]:
    """Service → its samples. A series without the service label concerns all services; one of another is ignored."""
    grown = _increases(plan, [answer for answer in answers if answer.query.type in {"counter", "buckets"}])
    return {service: _service_samples(plan, window, service, answers, grown) for service in plan.services}


def _increases(plan: Plan, counted: Sequence[Answer]) -> dict[str, Values]:
    """Query → the increases of its series in the window, shape (series, steps)."""
    labels = [labels for answer in counted for labels in answer.labels]
    jobs = [(entry.get(plan.service_label or ""), entry.get("job")) for entry in labels]
    targets = [(job, entry.get("instance")) for job, entry in zip(jobs, labels, strict=True)]
    first = [step for answer in counted for step in counters.first_seen(answer.values, answer.before).tolist()]
    born = iter(counters.births(first, targets, jobs, counters.start_up_steps(plan.step_s)))
    return {
        answer.query.name: counters.increases(
            answer.values, answer.before, np.fromiter(born, np.bool_, len(answer.labels))
        )[:, answer.lead :]
        for answer in counted
    }


def _service_samples(
    plan: Plan, window: Window, service: str, answers: Sequence[Answer], grown: Mapping[str, Values]
) -> Samples:
    columns: dict[str, Values] = {}
    warnings: list[str] = []
    for answer in answers:
        rows = [row for row, labels in enumerate(answer.labels) if _concerns(labels, plan, service)]
        columns.update(_columns(answer, rows, grown, plan, service))
        warnings += _warnings(answer, int(answer.dropped[rows].sum()))
    return Samples(service, window, plan.step_s, columns, tuple(dict.fromkeys(warnings)))


def _concerns(labels: Mapping[str, str], plan: Plan, service: str) -> bool:
    return plan.service_label is None or labels.get(plan.service_label, service) == service


def _columns(
    answer: Answer, rows: Sequence[int], grown: Mapping[str, Values], plan: Plan, service: str
) -> Iterator[tuple[str, Values]]:
    name = answer.query.name
    if answer.query.type == "gauge":
        yield from _gauge(answer.query, answer.values[rows], plan, service)
    elif answer.query.type == "alerts":
        yield from _alerts(name, answer.values[rows] > 0)
    else:
        shown = [row for row in rows if not np.isnan(answer.values[row, answer.lead :]).all()]
        for column, members in _grouped(answer, shown).items():
            yield column, counters.total(grown[name][members])
        if answer.query.type == "counter":
            yield from _earlier(answer, shown, grown[name])


def _earlier(answer: Answer, rows: Sequence[int], grown: Values) -> Iterator[tuple[str, Values]]:
    """``q.earlier``, if there is anything to tell: unknown for the sum where it is for one of the series."""
    full = np.column_stack([np.full((len(grown), answer.lead), np.nan), grown])
    part = counters.earlier(full, answer.values, answer.before)[rows, answer.lead :]
    counted = ~np.isnan(grown[rows])
    column = np.where(counted, part, 0.0).sum(axis=0)
    if column.any():
        yield f"{answer.query.name}.earlier", column


def _grouped(answer: Answer, rows: Sequence[int]) -> dict[str, list[int]]:
    """Column → the rows that it sums: all of a counter's, and a histogram's by upper bound, in ascending order."""
    name = answer.query.name
    if answer.query.type == "counter":
        return {name: list(rows)} if rows else {}
    uppers = sorted({answer.labels[row]["le"] for row in rows}, key=float)
    return {f"{name}.le.{upper}": [row for row in rows if answer.labels[row]["le"] == upper] for upper in uppers}


def _gauge(query: Query, values: Values, plan: Plan, service: str) -> Iterator[tuple[str, Values]]:
    if len(values) > 1:
        example = f"sum by ({plan.service_label}) (…)" if plan.service_label else "sum(…)"
        raise ConfigError(
            f"query '{query.name}' returned {len(values)} series for service '{service}', and a gauge is one; "
            f"aggregate them, for example with {example}: {query.promql}"
        )
    for row in values:
        if not np.isnan(row).all():
            yield query.name, row


def _alerts(name: str, firing: NDArray[np.bool_]) -> Iterator[tuple[str, Values]]:
    now, before = firing[:, 1:], firing[:, :-1]
    if now.any():
        yield name, now.sum(axis=0).astype(np.float64)
        yield f"{name}.started", (now & ~before).sum(axis=0).astype(np.float64)


def _warnings(answer: Answer, dropped: int) -> list[str]:
    warnings = [f"{answer.query.name}: {warning}" for warning in answer.warnings]
    if dropped:
        warnings.append(f"{answer.query.name}: values that are not finite numbers were left out: {dropped}")
    return warnings
