"""What one query returned, from the HTTP API's JSON to arrays on the steps' grid. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.errors import ConfigError
from observability.model import Query
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
    if query.is_counted:
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
