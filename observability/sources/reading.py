"""One window of what is followed: what to ask, and what becomes of the answers and of what was remembered. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property

import numpy as np

from observability.model import Query, Samples, Window
from observability.sources import Followed
from observability.sources.answer import Rows, Series
from observability.sources.counters import Values
from observability.sources.counting import Counted, Counting, Mask, Scrapes
from observability.sources.folding import left_out
from observability.sources.intake import AlertsIntake, CountedIntake, GaugeIntake, Intake, Span
from observability.sources.kept import UNKNOWN, Kept
from observability.sources.parts import Course, Request, raw_selector
from observability.sources.sightings import Target

CROWD = 100  # times as many series as in the step before are worth a word
Columns = list[dict[str, Values]]
"""By number of the service: name → column."""


class Reading:
    """The answers of a window as they come, and in the end its columns and what is to be kept."""

    def __init__(self, kept: Kept, span: Span) -> None:
        self._kept, self._span = kept, span
        self._step = timedelta(seconds=span.plan.step_s)
        self._counted = {q.name: self._counted_intake(q, n) for n, q in enumerate(kept.roster.queries)}
        self._gauges = {q.name: GaugeIntake(q, span) for q in span.plan.queries if q.type == "gauge"}
        self._alerts = {q.name: self._alerts_intake(q) for q in span.plan.queries if q.type == "alerts"}
        self._intakes: dict[str, Intake] = {**self._counted, **self._gauges, **self._alerts}
        self._told: dict[str, str] = {}

    def _counted_intake(self, query: Query, number: int) -> CountedIntake:
        """From the start of all on the first time; a step that follows another one is read together with it."""
        kept, low = self._kept, self._span.low
        again = kept.scrapes is not None and self._span.steps == 1 and raw_selector(query) is not None
        again = again and kept.sizes[query.name] != UNKNOWN
        begin = low - int(again) if kept.next else 0
        return CountedIntake(query, number, kept.roster, self._span, begin)

    def _alerts_intake(self, query: Query) -> AlertsIntake:
        begin = self._span.low if self._kept.next else self._span.low - 1
        return AlertsIntake(query, self._span, begin, self._kept.firing.get(query.name, frozenset()))

    def courses(self) -> list[Course]:
        return [self._course(query, self._intakes[query.name].begin) for query in self._span.plan.queries]

    def _course(self, query: Query, begin: int) -> Course:
        kept, span = self._kept, self._span
        return Course(
            query,
            kept.zero + begin * self._step,
            span.high - begin,
            span.plan.step_s,
            max(kept.sizes.get(query.name, 0), len(span.services)),
            instant=True,
            goes_on=kept.next > 0,
        )

    def take(self, course: Course, request: Request, found: Sequence[Series], warnings: Sequence[str]) -> None:
        name = course.query.name
        self._intakes[name].take(request, found)
        for warning in warnings[:1]:
            self._told.setdefault(name, f"{name}: {warning}")

    def done(self, window: Window, failed: Mapping[str, str]) -> tuple[Followed, Kept]:
        plan, span = self._span.plan, self._span
        good = [query.name for query in plan.queries if query.name not in failed]
        counts = _Counts(self._kept, span, [self._counted[name] for name in good if name in self._counted])
        columns: Columns = [{} for _ in plan.services]
        for service, name, values in self._columns(good, counts):
            columns[service][name] = values
        sizes = {name: self._intakes[name].sizes for name in good}
        told = {name: text for name, text in self._told.items() if name in good}
        texts = [*told.values(), *self._crowds(sizes)]
        warnings = [(*texts, *counts.left_out(service)) for service in plan.services]
        samples = {
            service: Samples(service, window, plan.step_s, columns[number], warnings[number])
            for number, service in enumerate(plan.services)
        }
        defects = {name: text for name in good if (text := self._defect(name)) is not None}
        points = sum(self._intakes[name].points for name in good)
        return Followed(samples, {**failed, **defects}, points, counts.late), self._next(counts, sizes, failed)

    def _columns(self, good: Collection[str], counts: _Counts) -> Iterator[tuple[int, str, Values]]:
        for name in good:
            if name not in self._counted:
                yield from (self._gauges.get(name) or self._alerts[name]).columns()
        yield from counts.columns()

    def _defect(self, name: str) -> str | None:
        return self._gauges[name].defect() if name in self._gauges else None

    def _crowds(self, sizes: Mapping[str, Rows]) -> Iterator[str]:
        for name, found in sizes.items():
            before = np.append(self._kept.sizes.get(name, UNKNOWN), found[:-1])
            for step in np.flatnonzero((before > 0) & (found >= CROWD * before))[:1].tolist():
                yield (
                    f"{name}: it returned {found[step]:,} series, and {before[step]:,} in the step before; see which "
                    "label has so many values"
                )

    def _next(self, counts: _Counts, sizes: Mapping[str, Rows], failed: Collection[str]) -> Kept:
        firing = {
            n: self._kept.firing.get(n, frozenset()) if n in failed else i.firing() for n, i in self._alerts.items()
        }
        return replace(
            self._kept,
            next=self._span.high,
            past=counts.past,
            firing=firing,
            sizes={name: int(sizes[name][-1]) if name in sizes else UNKNOWN for name in self._intakes},
            scrapes=counts.last_scrapes(),
        )


class _Counts:
    """The counted queries of a window together. ``past`` is what is known after it, ``late`` as in ``Followed``."""

    def __init__(self, kept: Kept, span: Span, intakes: Sequence[CountedIntake]) -> None:
        self.past = kept.past.copy(kept.roster)
        self._kept, self._span = kept, span
        self._tables = tables = kept.roster.tables
        counting = Counting(tables, self.past, span.plan.step_s)
        for rows, numbers in (found for intake in intakes for found in intake.looked_back):
            counting.look_back(rows, numbers)
        scrapes = Scrapes.joined([part for intake in intakes for part in intake.scrapes])
        begin = span.low if kept.next else 0
        self.late = self._late(scrapes.part(scrapes.steps < begin))
        scrapes = scrapes.part(scrapes.steps >= begin)
        scrapes = scrapes.part(np.lexsort((tables.rank[scrapes.rows], scrapes.steps)))
        counted = self._count(counting, scrapes, begin)
        shown = scrapes.steps >= span.low
        self._scrapes, self._counted = scrapes.part(shown), counted.part(shown)

    def _late(self, again: Scrapes) -> int:
        """How many scrapes of the step before there are more than when it was read."""
        before = np.zeros(len(self._kept.roster.series), dtype=np.intp)
        if self._kept.scrapes is not None:
            before[: self._kept.scrapes.size] = self._kept.scrapes
        return int(np.maximum(again.sizes - before[again.rows], 0).sum())

    def _count(self, counting: Counting, scrapes: Scrapes, begin: int) -> Counted:
        """Step after step. ``scrapes`` are in the order of the steps."""
        queries = self._kept.roster.queries
        nothing_before = np.array([self._kept.sizes.get(q.name) == UNKNOWN for q in queries], dtype=np.bool_)
        borders = np.searchsorted(scrapes.steps, np.arange(begin, self._span.high + 1)).tolist()
        parts = []
        for step, low, high in zip(range(begin, self._span.high), borders[:-1], borders[1:], strict=True):
            if low < high:
                parts.append(counting.take(step, scrapes.part(slice(low, high)), nothing_before & (step == begin)))
        return Counted.joined(parts)

    def last_scrapes(self) -> Rows:
        found = np.zeros(len(self._kept.roster.series), dtype=np.intp)
        last = self._scrapes.steps == self._span.high - 1
        found[self._scrapes.rows[last]] = self._scrapes.sizes[last]
        return found

    def columns(self) -> Iterator[tuple[int, str, Values]]:
        """Service, name and column."""
        grown, earlier, is_there = self._sums()
        found: dict[tuple[int, str], Values] = {}
        for (query, upper, service), number in self._kept.roster.columns.items():
            if not is_there[number]:
                continue
            name = self._kept.roster.queries[query].name
            column = name if upper is None else f"{name}.le.{upper}"
            for of in self._numbers(service):
                found[of, column] = _together(found.get((of, column)), grown[number])
                if earlier is not None and upper is None and earlier[number].any():
                    found[of, f"{name}.earlier"] = found.get((of, f"{name}.earlier"), 0.0) + earlier[number]
        for (of, column), values in found.items():
            yield of, column, values

    def _numbers(self, service: str | None) -> Iterable[int]:
        return range(len(self._span.services)) if service is None else (self._span.services[service],)

    def _sums(self) -> tuple[Values, Values | None, Mask]:
        """By number of the column: the increase and what of it is from earlier, shape (columns, steps); and whether any
        of its series was seen. The series are added in the order of their labels, whatever the window is."""
        shape = len(self._kept.roster.columns), self._span.steps
        column = self._tables.column[self._scrapes.rows]
        cell = column * self._span.steps + self._scrapes.steps - self._span.low
        is_known = ~np.isnan(self._counted.grown)
        grown = _sums(cell[is_known], self._counted.grown[is_known], shape[0] * shape[1])
        nothing = np.ones(grown.size, dtype=np.bool_)
        nothing[cell[is_known]] = False
        grown[nothing] = np.nan
        is_there = np.zeros(shape[0], dtype=np.bool_)
        is_there[column] = True
        if not self._counted.earlier.any():
            return grown.reshape(shape), None, is_there
        earlier = _sums(cell, self._counted.earlier, shape[0] * shape[1])
        return grown.reshape(shape), earlier.reshape(shape), is_there

    def left_out(self, service: str) -> list[str]:
        """What to say of targets that brought more than they can have counted."""
        return self._left_out.get(service, []) + self._left_out.get(None, [])

    @cached_property
    def _left_out(self) -> dict[str | None, list[str]]:
        names, roster, tables = list(self._kept.roster.targets), self._kept.roster, self._tables
        old: dict[tuple[str | None, int], set[Target]] = {}
        for row in self._scrapes.rows[self._counted.old].tolist():
            target = names[tables.target[row]]
            old.setdefault((target[0], int(tables.query[row])), set()).add(target)
        found: dict[str | None, list[str]] = {}
        for (service, query), targets in old.items():
            found.setdefault(service, []).append(left_out(roster.queries[query], targets))
        return found


def _sums(cell: Rows, weights: Values, size: int) -> Values:
    return np.bincount(cell, weights, size).astype(np.float64, copy=False)


def _together(one: Values | None, other: Values) -> Values:
    """The sum where both are known, and else the one that is."""
    if one is None:
        return other
    return np.where(np.isnan(one), other, np.where(np.isnan(other), one, one + other))
