"""From what queries returned to the columns of ``Samples``, service by service. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.errors import ConfigError
from observability.model import MIXED_BOUNDS, Plan, Query, Samples, Window
from observability.sources import counters
from observability.sources.answer import Answer
from observability.sources.counters import Values
from observability.sources.origins import Origins, find_origins
from observability.sources.sightings import Sighting, Target, outages, sightings, target_of


def fold(plan: Plan, window: Window, answers: Sequence[Answer], up: Answer | None = None) -> dict[str, Samples]:
    """Service → its samples. A series without the service label concerns all services; one of another is ignored.

    ``up`` tells when targets could not be scraped: the answer to ``up == 0``.
    """
    counted = [answer for answer in answers if answer.query.is_counted]
    seen = sightings(plan, counted)
    found = find_origins(plan, counted, seen)
    grown = {
        name: counters.increases(values, found.origins[name])[:, seen.lead :] for name, values in found.values.items()
    }
    doubts = [] if up is None else up.warnings
    rows = [_by_service(answer.labels, plan) for answer in answers]
    folding = _Folding(plan, window, answers, rows, grown, found, seen.by_target(outages(up)), doubts)
    return {service: folding.samples(service) for service in plan.services}


@dataclass(frozen=True)
class _Folding:
    """What all services' samples are taken from. ``rows``: of each answer, the rows that concern each service."""

    plan: Plan
    window: Window
    answers: Sequence[Answer]
    rows: Sequence[Mapping[str, Sequence[int]]]
    grown: Mapping[str, Values]
    origins: Origins
    seen: Mapping[Target, Sighting]
    doubts: Sequence[str]

    def samples(self, service: str) -> Samples:
        columns: dict[str, Values] = {}
        warnings: list[str] = []
        for answer, by_service in zip(self.answers, self.rows, strict=True):
            rows = by_service[service]
            columns.update(self._columns(answer, rows, service))
            warnings += _warnings(answer, int(answer.dropped[rows].sum()))
            warnings += [f"{answer.query.name}: {text}" for text in self.doubts if answer.query.is_counted]
            old = {target_of(answer.labels[row], self.plan) for row in rows} & self.origins.old
            warnings += [left_out(answer.query, old)] if old and answer.query.is_counted else []
            warnings += _mixed_bounds(answer, rows, self.plan)
            warnings += _replicas(answer, rows)
        return Samples(service, self.window, self.plan.step_s, columns, tuple(dict.fromkeys(warnings)))

    def _columns(self, answer: Answer, rows: Sequence[int], service: str) -> Iterator[tuple[str, Values]]:
        name = answer.query.name
        if answer.query.type == "gauge":
            yield from _gauge(answer.query, answer.values[rows], self.plan, service)
        elif answer.query.type == "alerts":
            yield from _alerts(name, answer.values[rows] > 0)
        else:
            shown = [row for row in rows if not np.isnan(answer.values[row, answer.lead :]).all()]
            for column, members in _grouped(answer, shown).items():
                yield column, counters.total(self.grown[name][members])
            if answer.query.type == "counter":
                yield from _earlier(answer, rows, self.grown[name], self.origins.anew[name])
            if shown:
                yield from self._seen(answer, rows)

    def _seen(self, answer: Answer, rows: Sequence[int]) -> Iterator[tuple[str, Values]]:
        """``q.seen``, if any of the expected targets was not seen whole in a step in which another was."""
        targets = {target_of(answer.labels[row], self.plan) for row in rows}
        expected = np.sum([self.seen[target].expected for target in targets], axis=0)
        whole = np.sum([self.seen[target].whole for target in targets], axis=0)
        anything = np.any([self.seen[target].any for target in targets], axis=0)
        share = np.divide(whole, expected, out=np.zeros(expected.size), where=expected > 0)
        if (share[anything] < 1).any():
            yield f"{answer.query.name}.seen", share


def _by_service(series: Sequence[Mapping[str, str]], plan: Plan) -> dict[str, list[int]]:
    """Service → the rows of its series, and of those that concern all services."""
    found: dict[str, list[int]] = {service: [] for service in plan.services}
    for row, labels in enumerate(series):
        service = labels.get(plan.service_label or "")
        for name in plan.services if service is None else {service} & found.keys():
            found[name].append(row)
    return found


def _earlier(
    answer: Answer, rows: Sequence[int], grown: Values, anew: set[tuple[int, int]]
) -> Iterator[tuple[str, Values]]:
    """``q.earlier``, if there is anything to tell: unknown for the sum where it is for one of the series."""
    gaps, column = answer.gaps, np.zeros(grown.shape[1])
    told = np.isin(gaps.rows, rows) & (gaps.until >= answer.lead)
    told[told] = [place not in anew for place in zip(gaps.rows[told].tolist(), gaps.until[told].tolist(), strict=True)]
    at = gaps.until[told] - answer.lead
    increments = grown[gaps.rows[told], at]
    since = np.where(gaps.since < 0, 0, gaps.until - gaps.since)[told]
    np.add.at(column, at, np.where(np.isnan(increments), 0.0, counters.earlier(increments, since)))
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
        raise ConfigError(several_series(query, len(values), plan, service))
    for row in values:
        if not np.isnan(row).all():
            yield query.name, row


def several_series(query: Query, number: int, plan: Plan, service: str) -> str:
    """What is wrong with a gauge that returned so many series for the service."""
    example = f"sum by ({plan.service_label}) (…)" if plan.service_label else "sum(…)"
    return (
        f"query '{query.name}' returned {number} series for service '{service}', and a gauge is one; "
        f"aggregate them, for example with {example}: {query.promql}"
    )


def _alerts(name: str, firing: NDArray[np.bool_]) -> Iterator[tuple[str, Values]]:
    now, before = firing[:, 1:], firing[:, :-1]
    if now.any():
        yield name, now.sum(axis=0).astype(np.float64)
        yield f"{name}.started", (now & ~before).sum(axis=0).astype(np.float64)


def replica_label(series: Sequence[Mapping[str, str]]) -> str | None:
    """The label of a highly available pair of servers that tells series apart which are the same otherwise."""
    for label in sorted({name for labels in series for name in labels if "replica" in name}):
        others = {frozenset((name, value) for name, value in labels.items() if name != label) for labels in series}
        if len(others) < len(series):
            return label
    return None


def _replicas(answer: Answer, rows: Sequence[int]) -> list[str]:
    label = replica_label([answer.labels[row] for row in rows]) if answer.query.is_counted else None
    if label is None:
        return []
    text = f"its series differ in the label {label} alone, as those of a highly available pair"
    return [f"{answer.query.name}: {text}, and what both scraped is counted twice; choose one under `matchers`"]


def _warnings(answer: Answer, dropped: int) -> list[str]:
    warnings = [f"{answer.query.name}: {warning}" for warning in answer.warnings]
    if dropped:
        warnings.append(f"{answer.query.name}: values that are not finite numbers were left out: {dropped}")
    return warnings


def _mixed_bounds(answer: Answer, rows: Sequence[int], plan: Plan) -> list[str]:
    """Sums over targets with different buckets, or over a change of the buckets, are not cumulative, and quantiles of
    them are off."""
    if answer.query.type != "buckets":
        return []
    seen: dict[Target, dict[str, NDArray[np.bool_]]] = {}
    for row in rows:
        labels, there = answer.labels[row], ~np.isnan(answer.values[row, answer.lead :])
        if there.any():
            of_target = seen.setdefault(target_of(labels, plan), {})
            of_target[labels["le"]] = of_target.get(labels["le"], False) | there
    changes = any((there != next(iter(bounds.values()))).any() for bounds in seen.values() for there in bounds.values())
    if not changes and len({frozenset(bounds) for bounds in seen.values()}) < 2:
        return []
    return [f"{answer.query.name}: {MIXED_BOUNDS}, and quantiles over all of them are off"]


def left_out(query: Query, targets: set[Target]) -> str:
    names = ", ".join(sorted(str(instance) for _, _, instance in targets))
    text = f"{names} appeared with more than could have been counted since a start (renamed, or not scraped for a day)"
    return f"{query.name}: {text}; what was counted before is left out"
