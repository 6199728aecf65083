"""The answers of one window, taken in query by query, and the columns that they make. Pure.

Steps are counted as the follower counts them, from its first one on. Of each query ``sizes`` tells how many series had
a sample in each step of the window, shape (steps,), and ``points`` how many samples there were.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from observability.model import Plan, Query
from observability.sources.answer import (
    Grid,
    Labels,
    Rows,
    Series,
    key_of,
    on_grid,
    refuse_histograms,
    without_duplicates,
)
from observability.sources.counters import Values
from observability.sources.counting import Mask, Scrapes
from observability.sources.folding import several_series
from observability.sources.parts import Request
from observability.sources.roster import OTHER, Roster


@dataclass(frozen=True)
class Span:
    """The steps ``low`` to ``high`` (exclusive) of a window. ``grid`` says when the first step of all began."""

    plan: Plan
    grid: Grid
    low: int
    high: int
    services: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "services", {name: number for number, name in enumerate(self.plan.services)})

    @property
    def steps(self) -> int:
        return self.high - self.low

    def service(self, series: Series) -> int:
        """The number of the service that a series concerns; behind the last one for all, ``OTHER`` for none of them."""
        name = series.metric.get(self.plan.service_label or "")
        return len(self.services) if name is None else self.services.get(name, OTHER)

    def samples(
        self, found: Sequence[Series], of: Rows, request: Request, begin: int
    ) -> tuple[Rows, Values, Values, Rows]:
        """Rows, times, finite numbers and steps of an answer. ``of``: the row of each series; ``begin``: the step that
        the request counts from."""
        if request.kind == "vector":
            rows, steps = of, np.full(of.size, begin + request.low, dtype=np.intp)
            times = numbers = np.array([_number(series) for series in found], dtype=np.float64)
        else:
            low, high, raw = begin + request.low, begin + request.high, request.endpoint == "query"
            rows, times, numbers, steps = on_grid(found, of, self.grid, low, high, raw)
        good = np.isfinite(numbers) & (rows != OTHER)
        return rows[good], times[good], numbers[good], steps[good]


def _number(series: Series) -> float:
    if series.value is None:
        raise ValueError("a vector's series without a value")
    return float(series.value[1])


class CountedIntake:
    """Of a counted query: its scrapes, and the last values before the first step. ``number`` is the query's."""

    def __init__(self, query: Query, number: int, roster: Roster, span: Span, begin: int) -> None:
        self.begin = begin
        self.points = 0
        self.sizes = np.zeros(span.steps, dtype=np.intp)
        self.looked_back: list[tuple[Rows, Values]] = []
        self.scrapes: list[Scrapes] = []
        self._query, self._number, self._roster, self._span = query, number, roster, span

    def take(self, request: Request, found: Sequence[Series]) -> None:
        rows = [self._roster.row(self._number, key_of(self._query, series)) for series in found]
        of = np.array(rows, dtype=np.intp)
        at, times, numbers, steps = self._span.samples(found, of, request, self.begin)
        if request.low == request.high:
            self.looked_back.append(_highest(at, numbers))
            return
        if np.unique(of).size < of.size:
            at, numbers, steps = without_duplicates(at, times, numbers, steps)
        scrapes = Scrapes.of(at, steps, numbers)
        inside = scrapes.steps >= self._span.low
        self.points += int(scrapes.sizes[inside].sum())
        np.add.at(self.sizes, scrapes.steps[inside] - self._span.low, 1)
        self.scrapes.append(scrapes)


def _highest(rows: Rows, numbers: Values) -> tuple[Rows, Values]:
    """Of each row once, its highest number."""
    order = np.lexsort((numbers, rows))
    rows, numbers = rows[order], numbers[order]
    last = np.append(rows[1:] != rows[:-1], True)[: rows.size]
    return rows[last], numbers[last]


class GaugeIntake:
    """Of a gauge: the value of each service at the end of each step."""

    def __init__(self, query: Query, span: Span) -> None:
        self.begin = span.low
        self.points = 0
        self._query, self._span = query, span
        self._values = np.full((len(span.services) + 1, span.steps), np.nan)
        self._number = np.zeros(self._values.shape, dtype=np.intp)

    @property
    def sizes(self) -> Rows:
        sizes: Rows = self._number.sum(axis=0)
        return sizes

    def take(self, request: Request, found: Sequence[Series]) -> None:
        for series in found:
            refuse_histograms(self._query, series)
        of = np.array([self._span.service(series) for series in found], dtype=np.intp)
        rows, _, numbers, steps = self._span.samples(found, of, request, self.begin)
        self.points += numbers.size
        np.add.at(self._number, (rows, steps - self._span.low), 1)
        self._values[rows, steps - self._span.low] = numbers

    def columns(self) -> Iterator[tuple[int, str, Values]]:
        """Service, name and column."""
        number = self._number[:-1] + self._number[-1]
        values = np.where(self._number[:-1] > 0, self._values[:-1], self._values[-1])
        values = np.where(number == 1, values, np.nan)
        for service in np.flatnonzero((number == 1).any(axis=1)).tolist():
            yield service, self._query.name, values[service]

    def defect(self) -> str | None:
        """Why the value is missing where there were several."""
        most = (self._number[:-1] + self._number[-1]).max(axis=1)
        several = np.flatnonzero(most > 1)
        if not several.size:
            return None
        plan, first = self._span.plan, int(several[0])
        return several_series(self._query, int(most[first]), plan, plan.services[first])


class AlertsIntake:
    """Of alerts: which were firing at the end of each step. ``before``: those that were in the step before, if it is
    not asked for."""

    def __init__(self, query: Query, span: Span, begin: int, before: Collection[Labels]) -> None:
        self.begin = begin
        self.points = 0
        self.sizes = np.zeros(span.steps, dtype=np.intp)
        self._query, self._span = query, span
        self._before = before
        self._rows: dict[Labels, int] = {}
        self._services: list[int] = []
        self._firing: list[tuple[Rows, Rows]] = []

    def take(self, request: Request, found: Sequence[Series]) -> None:
        rows = [self._row(key_of(self._query, series), self._span.service(series)) for series in found]
        at, _, numbers, steps = self._span.samples(found, np.array(rows, dtype=np.intp), request, self.begin)
        inside = steps >= self._span.low
        self.points += int(inside.sum())
        np.add.at(self.sizes, steps[inside] - self._span.low, 1)
        self._firing.append((at[numbers > 0], steps[numbers > 0]))

    def _row(self, key: Labels, service: int) -> int:
        if service == OTHER:
            return OTHER
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            self._services.append(service)
        return self._rows[key]

    def columns(self) -> Iterator[tuple[int, str, Values]]:
        """Service, name and column."""
        firing = self._matrix()
        now, services = firing[:, 1:], np.array(self._services, dtype=np.intp)
        count = np.zeros((2, len(self._span.services) + 1, self._span.steps))
        for number, of in enumerate((now, now & ~firing[:, :-1])):
            np.add.at(count[number], services, of)
        count = count[:, :-1] + count[:, -1:]
        for service in np.flatnonzero(count[0].any(axis=1)).tolist():
            yield service, self._query.name, count[0, service]
            yield service, f"{self._query.name}.started", count[1, service]

    def firing(self) -> frozenset[Labels]:
        """Those that are at the end of the window."""
        last = self._matrix()[:, -1]
        return frozenset(key for key, row in self._rows.items() if last[row])

    def _matrix(self) -> Mask:
        """From the step before the window on, shape (alerts, steps + 1)."""
        firing = np.zeros((len(self._rows), self._span.steps + 1), dtype=np.bool_)
        firing[[self._rows[key] for key in self._before if key in self._rows], 0] = True
        for rows, steps in self._firing:
            firing[rows, steps - self._span.low + 1] = True
        return firing


Intake = CountedIntake | GaugeIntake | AlertsIntake
