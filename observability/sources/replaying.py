"""Following a recording: its days in a row, each file read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.errors import NotEnoughDataError
from observability.model import Array, Plan, Samples, Window, format_instant
from observability.sources import Followed, Memory
from observability.sources.evidence import select

RESOLUTION = timedelta(microseconds=1)

if TYPE_CHECKING:
    from observability.sources.recording import Recording


@dataclass(frozen=True)
class _Day:
    """What is held of a service's day: its columns, the warnings, and how many samples the steps before each one have,
    shape (steps + 1,)."""

    columns: Mapping[str, Array]
    warnings: tuple[str, ...]
    points: NDArray[np.intp]

    @property
    def steps(self) -> int:
        return self.points.size - 1

    def count(self, low: int, high: int) -> int:
        return int(self.points[high] - self.points[low])


class Replaying:
    """A ``Follower`` of a recording. It holds the days that the last window lay in, and has nothing to remember.

    A day, or the end of one, that the recording does not hold is missing samples; a window that lies before or behind
    all that it holds raises ``NotEnoughDataError``. There is no ``q.seen``, as of a server. Its warnings are
    told with the first window of each day.
    """

    def __init__(self, recording: Recording, plan: Plan) -> None:
        self._recording, self._plan = recording, plan
        self._held: Window | None = None
        self._days: dict[int, dict[str, _Day]] = {}

    def read(self, window: Window) -> Followed:
        self._check(window)
        skipped = self._recording.steps_into_day(self._plan, window)
        days = {number: self._days.get(number) or self._read(number) for number in self._numbers(window)}
        fresh = [day for number, day in days.items() if number not in self._days]
        samples, points = {}, 0
        for service in self._plan.services:
            columns: dict[str, Array] = {}
            for first, low, high, day in self._stretches(service, window, days, skipped):
                points += day.count(low, high)
                _put(columns, window.steps(self._plan.step_s), first, day, low, high)
            texts = (text for day in fresh if service in day for text in day[service].warnings)
            samples[service] = Samples(service, window, self._plan.step_s, columns, tuple(dict.fromkeys(texts)))
        self._days = days
        return Followed(samples, points=points)

    def memory(self) -> Memory:
        return {}

    def remember(self, memory: Memory) -> None:
        """There is nothing to go on from."""

    def _check(self, window: Window) -> None:
        self._held = held = self._held or self._recording.window
        if window.end <= held.start or window.start >= held.end:
            raise NotEnoughDataError(
                f"{self._recording.root} holds {format_instant(held.start)} to {format_instant(held.end)}, and nothing "
                f"of {format_instant(window.start)} to {format_instant(window.end)}; ask for a time that it holds."
            )

    def _numbers(self, window: Window) -> range:
        """The days that the window lies in."""
        calendar = self._recording.recorded.calendar
        return range(calendar.number(window.start), calendar.number(window.end - RESOLUTION) + 1)

    def _read(self, number: int) -> dict[str, _Day]:
        return {s: self._day(s, number) for s in self._plan.services if self._recording.holds(number, s)}

    def _day(self, service: str, number: int) -> _Day:
        table = self._recording.table(self._plan, service, number)
        window = self._recording.recorded.calendar.window(number)
        whole = Samples(service, window, self._plan.step_s, table.columns, table.warnings)
        held = select(whole, {query.name for query in self._plan.queries})
        columns = {name: values for name, values in held.columns.items() if not name.endswith(".seen")}
        there = np.sum([~np.isnan(values) for values in columns.values()], axis=0) if columns else np.zeros(0)
        points = np.zeros(len(table.times) + 1, dtype=np.intp)
        points[1 : there.size + 1] = np.cumsum(there)
        return _Day(columns, held.warnings, points)

    def _stretches(
        self, service: str, window: Window, days: Mapping[int, Mapping[str, _Day]], skipped: int
    ) -> Iterator[tuple[int, int, int, _Day]]:
        """The window's step in which a part of a day begins, and the part: its steps ``low`` to ``high``."""
        left, first = window.steps(self._plan.step_s), 0
        whole = self._recording.recorded.day_s // self._plan.step_s
        for held in days.values():
            steps = min(whole - skipped, left)
            day = held.get(service)
            if day is not None and skipped < day.steps:
                yield first, skipped, min(skipped + steps, day.steps), day
            first, left, skipped = first + steps, left - steps, 0


def _put(columns: dict[str, Array], steps: int, first: int, day: _Day, low: int, high: int) -> None:
    """Write a part of a day into the columns of the window, from its step ``first`` on."""
    for name, values in day.columns.items():
        if high - low == steps:
            columns[name] = values[low:high]
            continue
        if name not in columns:
            columns[name] = np.full(steps, np.nan)
        columns[name][first : first + high - low] = values[low:high]
