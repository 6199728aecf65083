"""What one query returned, from the HTTP API's JSON to arrays on the steps' grid. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from observability.errors import ConfigError
from observability.model import Query
from observability.sources import counters
from observability.sources.counters import Values

Labels = tuple[tuple[str, str], ...]
CLOCK_ERROR = 1e-6  # steps: what is left of a time on the border after its arithmetic
Rows = NDArray[np.intp]


class Series(msgspec.Struct):
    """One series of a matrix (``values``, JSON that ``_points`` reads) or of a vector (``value``): pairs of seconds
    since the epoch and a number. Native histograms are only noticed."""

    metric: dict[str, str]
    values: msgspec.Raw = msgspec.Raw(b"[]")
    value: tuple[float, str] | None = None
    histogram: Any = None
    histograms: Any = None


class Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[Series]


class Payload(msgspec.Struct, rename="camel"):
    """The body of an answer. (Prometheus documentation, "HTTP API", Format overview; ``isPartial`` is
    VictoriaMetrics'.)"""

    status: str
    data: Data | None = None
    error: str = ""
    warnings: list[str] | None = None
    is_partial: bool = False


class Names(msgspec.Struct):
    """The body of an answer of the endpoints for labels."""

    status: str
    data: list[str] | None = None
    error: str = ""


@dataclass(frozen=True)
class Grid:
    """``steps`` steps of ``step_s`` seconds from ``start`` (seconds since the epoch) on; the first ``lead`` of them lie
    before the window."""

    start: float
    step_s: int
    steps: int
    lead: int


@dataclass(frozen=True)
class Resets:
    """The falls of counters, in the order of time: ``offsets`` is what was counted before each of them. Shape (n,)."""

    rows: Rows
    steps: Rows
    offsets: Values


@dataclass(frozen=True)
class Gaps:
    """The steps that a counter was not seen in, between ``since`` (−1: before the grid) and ``until``, with its values
    ``before`` and ``after`` as they were. Shape (n,)."""

    rows: Rows
    since: Rows
    until: Rows
    before: Values
    after: Values


@dataclass(frozen=True)
class Answer:
    """What one query returned.

    ``labels`` has one entry per series. ``values``: the last finite value in each step of the grid, shape (series, lead
    + steps), NaN where there was none; of counters, without their resets (``counters.unwrapped``). ``before``: the last
    value before the grid, ``first``: the first one in it as it was, shape (series,), NaN for none. ``dropped``: how
    many values in the window were NaN or infinite, shape (series,). ``warnings``: the server's.
    """

    query: Query
    lead: int
    labels: Sequence[Mapping[str, str]]
    values: Values
    before: Values
    first: Values
    resets: Resets
    gaps: Gaps
    dropped: Rows
    warnings: Sequence[str] = ()

    def raw_at(self, row: int, step: int) -> float:
        """The counter's last value up to the end of the step as it was, resets included."""
        seen = np.flatnonzero(~np.isnan(self.values[row, : step + 1]))[-1]
        offsets = self.resets.offsets[(self.resets.rows == row) & (self.resets.steps <= seen)]
        return float(self.values[row, seen] - (offsets[-1] if offsets.size else 0.0))


def lead_steps(query: Query, step_s: int) -> int:
    """How many steps before the window a query of this type needs."""
    if query.is_counted:
        return counters.start_up_steps(step_s)
    return 1 if query.type == "alerts" else 0


class Tally:
    """Takes in what a query returns, part by part in the order of time, and holds no more of it than the grid needs."""

    def __init__(self, query: Query, grid: Grid) -> None:
        self._query, self._grid = query, grid
        self._rows: dict[Labels, int] = {}
        self._values = np.full((0, grid.steps), np.nan)
        self._before, self._first, self._last, self._offset = (np.full(0, np.nan) for _ in range(4))
        self._last_at, self._dropped = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
        self._resets = [_nothing(2, 1)]
        self._gaps = [_nothing(3, 2)]

    def look_back(self, found: Iterable[Series]) -> None:
        """The last values before the grid, from a vector."""
        for series in found:
            number = float(series.value[1]) if series.value else math.nan
            row = self._row(series)
            if math.isfinite(number):
                self._before[row] = np.fmax(self._before[row], number)
        self._last = self._before.copy()

    def add(self, found: Sequence[Series], low: int, high: int, raw: bool) -> None:
        """A matrix over the grid's steps ``low`` to ``high`` (exclusive): samples as they were scraped (``raw``), or
        the query's values at the steps' ends, which some servers move to a multiple of the step. What lies outside is
        left out: of two parts both may return what lies on their border, and some servers answer one step more."""
        of = np.array([self._row(series) for series in found], dtype=np.intp)
        rows, times, numbers, at = on_grid(found, of, self._grid, low, high, raw)
        finite = np.isfinite(numbers)
        np.add.at(self._dropped, rows[~finite & (at >= self._grid.lead)], 1)
        rows, times, numbers, at = rows[finite], times[finite], numbers[finite], at[finite]
        if not self._query.is_counted:
            np.fmax.at(self._values, (rows, at), numbers)
            return
        if np.unique(of).size < of.size:
            rows, numbers, at = without_duplicates(rows, times, numbers, at)
        self._count(rows, numbers, at)

    def _count(self, rows: NDArray[np.intp], numbers: Values, at: NDArray[np.intp]) -> None:
        """Samples of counters, those of one series together and in the order of time."""
        if not rows.size:
            return
        starts = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        ends = np.concatenate([starts[1:], [rows.size]]) - 1
        of = rows[starts]
        self._first[of] = np.where(np.isnan(self._first[of]), numbers[starts], self._first[of])
        previous, since = np.concatenate([[np.nan], numbers[:-1]]), np.concatenate([[-1], at[:-1]])
        previous[starts], since[starts] = self._last[of], self._last_at[of]
        values = counters.unwrapped(numbers, previous, starts, self._offset[of])
        fallen, gaps = numbers < previous, (at - since > 1) & ~np.isnan(previous)
        self._resets.append((rows[fallen], at[fallen], (values - numbers)[fallen]))
        self._gaps.append((rows[gaps], since[gaps], at[gaps], previous[gaps], numbers[gaps]))
        self._values[rows, at] = values
        self._last[of], self._last_at[of] = numbers[ends], at[ends]
        self._offset[of] = values[ends] - numbers[ends]

    def answer(self, warnings: Sequence[str]) -> Answer:
        """All of it, the series in the order of their labels."""
        labels = sorted(self._rows)
        order = np.array([self._rows[key] for key in labels], dtype=np.intp)
        place = np.argsort(order)
        reset_rows, *resets = map(np.concatenate, zip(*self._resets, strict=True))
        gap_rows, *gaps = map(np.concatenate, zip(*self._gaps, strict=True))
        return Answer(
            query=self._query,
            lead=self._grid.lead,
            labels=[dict(key) for key in labels],
            values=self._values[order],
            before=self._before[order],
            first=self._first[order],
            resets=Resets(place[reset_rows], *resets),
            gaps=Gaps(place[gap_rows], *gaps),
            dropped=self._dropped[order],
            warnings=warnings,
        )

    def _row(self, series: Series) -> int:
        key = key_of(self._query, series)
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            if len(self._rows) > len(self._values):
                self._grow()
        return self._rows[key]

    def _grow(self) -> None:
        more = max(8, len(self._values))
        self._values = np.vstack([self._values, np.full((more, self._grid.steps), np.nan)])
        nothing = np.full(more, np.nan)
        self._before = np.concatenate([self._before, nothing])
        self._first = np.concatenate([self._first, nothing])
        self._last = np.concatenate([self._last, nothing])
        self._offset = np.concatenate([self._offset, np.zeros(more)])
        self._last_at = np.concatenate([self._last_at, np.full(more, -1, dtype=np.intp)])
        self._dropped = np.concatenate([self._dropped, np.zeros(more, dtype=np.intp)])


def _nothing(integers: int, numbers: int) -> tuple[Any, ...]:
    """So many empty arrays of each kind."""
    return (*[np.zeros(0, dtype=np.intp)] * integers, *[np.zeros(0)] * numbers)


def on_grid(
    found: Sequence[Series], of: Rows, grid: Grid, low: int, high: int, raw: bool
) -> tuple[Rows, Values, Values, Rows]:
    """Rows, times, numbers and steps of all samples of a matrix that lie in the grid's steps ``low`` to ``high``
    (exclusive). ``of`` has the row of each series, shape (series,); ``raw`` as for ``Tally.add``."""
    sizes, times, numbers = _points([bytes(series.values) for series in found])
    steps = (times - grid.start) / grid.step_s
    at = (np.floor(steps) if raw else np.ceil(steps - CLOCK_ERROR) - 1).astype(np.intp)
    inside = (at >= low) & (at < high)
    return np.repeat(of, sizes)[inside], times[inside], numbers[inside], at[inside]


def _points(texts: Sequence[bytes]) -> tuple[list[int], Values, Values]:
    """How many points each text has, and the times and numbers of all of them, from JSON such as ``[[0.5,"1"],…]``.

    NumPy reads all of them at once: half the time of an object per number, and a small part of the memory. Raises
    ``ValueError`` for anything but numbers.
    """
    sizes = [text.count(b"[") - 1 for text in texts]
    joined = b",".join(text for text in texts if text != b"[]").translate(None, b'[]"')
    flat = np.fromstring(joined, dtype=np.float64, sep=",")
    if flat.size != 2 * sum(sizes) or any(t.count(b",") != 2 * n - 1 for t, n in zip(texts, sizes, strict=True) if n):
        raise ValueError("there is something else than pairs of numbers")
    return sizes, flat[::2], flat[1::2]


def without_duplicates(rows: Rows, times: Values, numbers: Values, at: Rows) -> tuple[Rows, Values, Rows]:
    """Of samples of one series at one time the highest, such as where 1 and 1.0 are one bucket."""
    order = np.lexsort((numbers, times, rows))
    rows, times, numbers, at = rows[order], times[order], numbers[order], at[order]
    last = np.concatenate([(rows[1:] != rows[:-1]) | (times[1:] != times[:-1]), [True]])
    return rows[last], numbers[last], at[last]


def key_of(query: Query, series: Series) -> Labels:
    """What tells a series from others. Bounds are compared as numbers: 1 and 1.0 are one bucket, and one series."""
    refuse_histograms(query, series)
    labels = series.metric
    if query.type == "buckets":
        try:
            labels = {**labels, "le": _bound(labels["le"])}
        except (KeyError, ValueError):
            raise ConfigError(
                f"query '{query.name}' returned a series without a number in the label 'le'; ask for the _bucket "
                f"series of a classic histogram: {query.promql}"
            ) from None
    return tuple(sorted(labels.items()))


def refuse_histograms(query: Query, series: Series) -> None:
    if series.histogram is not None or series.histograms is not None:
        raise ConfigError(
            f"query '{query.name}' returned native histograms, which are not read; ask for classic _bucket "
            f"series or for a plain number: {query.promql}"
        )


def _bound(text: str) -> str:
    value = float(text)
    return "+Inf" if math.isinf(value) else repr(value)  # 1.0 for 1, as OpenMetrics writes it
