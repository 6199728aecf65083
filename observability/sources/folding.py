"""From what queries returned to the columns of ``Samples``, service by service. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from observability.errors import ConfigError
from observability.model import MIXED_BOUNDS, Plan, Query, Samples, Window
from observability.sources import counters
from observability.sources.answer import Answer
from observability.sources.counters import Values
from observability.sources.origins import Target, origins, target_of


def fold(plan: Plan, window: Window, answers: Sequence[Answer]) -> dict[str, Samples]:
    """Service → its samples. A series without the service label concerns all services; one of another is ignored."""
    counted = [answer for answer in answers if answer.query.is_counted]
    born, old = origins(plan, counted)
    grown = {
        answer.query.name: counters.increases(answer.values, answer.before, born[answer.query.name])[:, answer.lead :]
        for answer in counted
    }
    return {service: _service_samples(plan, window, service, answers, grown, old) for service in plan.services}


def _service_samples(
    plan: Plan,
    window: Window,
    service: str,
    answers: Sequence[Answer],
    grown: Mapping[str, Values],
    old: set[Target],
) -> Samples:
    columns: dict[str, Values] = {}
    warnings: list[str] = []
    for answer in answers:
        rows = [row for row, labels in enumerate(answer.labels) if _concerns(labels, plan, service)]
        columns.update(_columns(answer, rows, grown, plan, service))
        warnings += _warnings(answer, int(answer.dropped[rows].sum()))
        warnings += _left_out(answer, {target_of(answer.labels[row], plan) for row in rows} & old)
        warnings += _mixed_bounds(answer, rows, plan)
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


def _mixed_bounds(answer: Answer, rows: Sequence[int], plan: Plan) -> list[str]:
    """Sums over targets with different buckets are not cumulative, and quantiles of them are off."""
    if answer.query.type != "buckets":
        return []
    bounds: dict[Target, set[str]] = {}
    for row in rows:
        if not np.isnan(answer.values[row, answer.lead :]).all():
            bounds.setdefault(target_of(answer.labels[row], plan), set()).add(answer.labels[row]["le"])
    if len({frozenset(found) for found in bounds.values()}) < 2:
        return []
    return [f"{answer.query.name}: {MIXED_BOUNDS}, and quantiles over all of them are off"]


def _left_out(answer: Answer, targets: set[Target]) -> list[str]:
    if not answer.query.is_counted or not targets:
        return []
    names = ", ".join(sorted(str(instance) for _, _, instance in targets))
    text = f"{names} appeared with more than could have been counted since a start (renamed, or not scraped for a day)"
    return [f"{answer.query.name}: {text}; what was counted before is left out"]
