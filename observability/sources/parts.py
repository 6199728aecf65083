"""Which requests a query's window is asked for with: counters as raw samples, all else step by step. Pure.

A window is asked for in parts, so that no answer is much larger than ``ANSWER_BYTES``, however many series there are:
memory does not grow with the window, and no single request weighs on the server. How long the first part is follows
from the number of series before the window, how long the next one is from the size of the last answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from observability.model import Query, format_instant

ANSWER_BYTES = 8_000_000
POINT_BYTES = 28  # of one sample in JSON
FASTEST_SCRAPE_S = 15  # the shortest scrape interval in common use: the first part is laid out for it
GROWTH = 4  # the next part is at most so many times as long
MAX_POINTS = 11_000  # per series of a range query; the server refuses more
HISTORIES = ("1d", "1h", "10m")  # how far is looked back: as far as the server can at once
RESOLUTION = timedelta(milliseconds=1)

_STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
_SELECTOR = r"(?=[a-zA-Z_:{])(?:[a-zA-Z_:][\w:]*)?\s*(?:\{(?:[^\"'`{}]|" + _STRING + r")*\})?"
_LATEST = re.compile(rf"\s*(?:last_over_time\s*\(\s*({_SELECTOR})\s*\[[^\[\]:]+\]\s*\)|({_SELECTOR}))\s*")


@dataclass(frozen=True)
class Request:
    """One request for the steps ``low`` to ``high`` (exclusive) of a window, or for what came before it (both 0).
    ``params`` are those of the HTTP API besides the query."""

    promql: str
    endpoint: Literal["query", "query_range"]
    kind: Literal["vector", "matrix"]
    params: dict[str, str]
    low: int = 0
    high: int = 0


def raw_selector(query: Query) -> str | None:
    """The selector of a query that is asked for as raw samples; None for one that the server evaluates."""
    match = _LATEST.fullmatch(query.promql) if query.is_counted else None
    return (match[1] or match[2]).strip() if match else None


class Course:
    """The requests of one query over ``steps`` steps from ``start`` on, one after the other.

    Step k is ``[start + k·step, start + (k + 1)·step)``. A query of type counter or buckets that is a SELECTOR or
    ``last_over_time(SELECTOR[…])`` is asked for as raw samples, ``SELECTOR[part]``; any other query is evaluated at the
    last millisecond of each step: a part of one step as an instant query where ``instant`` is set, and else as a range.

    The last values before the first step are asked for first, but for a course that ``goes_on`` from another one.
    """

    def __init__(
        self,
        query: Query,
        start: datetime,
        steps: int,
        step_s: int,
        series: int = 1,
        *,
        instant: bool = False,
        goes_on: bool = False,
    ) -> None:
        self.query = query
        self.looks_back = query.is_counted and not goes_on
        self._selector, self._instant = raw_selector(query), instant
        self._start, self._steps, self._step = start, steps, timedelta(seconds=step_s)
        self._next = 0
        self.expect(series)

    def look_back(self, history: str) -> Request:
        """The last values before the first step, at most as old as ``history``."""
        promql = f"last_over_time({self._selector}[{history}])" if self._selector else self.query.promql
        return Request(promql, "query", "vector", {"time": format_instant(self._start - RESOLUTION)})

    def expect(self, series: int) -> None:
        """Lay out the first part for so many series."""
        every = min(FASTEST_SCRAPE_S, self._step.total_seconds()) if self._selector else self._step.total_seconds()
        seconds = ANSWER_BYTES / (max(series, 1) * POINT_BYTES) * every
        self._length = self._bounded(seconds / self._step.total_seconds())

    def part(self) -> Request | None:
        """The next part; None after the last one."""
        low, high = self._next, min(self._next + self._length, self._steps)
        if low == high:
            return None
        first, end = self._start + low * self._step, self._start + high * self._step - RESOLUTION
        if self._selector:
            seconds = (high - low) * self._step.total_seconds()
            promql = f"{self._selector}[{seconds:.0f}s]"
            return Request(promql, "query", "matrix", {"time": format_instant(end)}, low, high)
        if self._instant and high - low == 1:
            return Request(self.query.promql, "query", "vector", {"time": format_instant(end)}, low, high)
        times = {"start": format_instant(first + self._step - RESOLUTION), "end": format_instant(end)}
        params = {**times, "step": f"{self._step.total_seconds():.0f}"}
        return Request(self.query.promql, "query_range", "matrix", params, low, high)

    def answered(self, part: Request, size: int) -> None:
        """The part was answered with so many bytes."""
        self._next = part.high
        length = part.high - part.low
        self._length = self._bounded(length * min(ANSWER_BYTES / max(size, 1), GROWTH))

    def was_too_much(self, part: Request) -> bool:
        """The server refused the part for its size: halve it. False where it is a single step already."""
        self._length = (part.high - part.low) // 2
        return self._length > 0

    def _bounded(self, steps: float) -> int:
        return int(max(1, min(steps, self._steps if self._selector else MAX_POINTS)))
