"""Following a recording: its days in a row, each file read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.errors import NotEnoughDataError
from observability.model import Array, Plan, Samples, Window, format_instant, query_of
from observability.sources import Followed, Memory
from observability.sources.evidence import select

if TYPE_CHECKING:
    from observability.sources.recording import Recording


@dataclass(frozen=True)
class _Day:
    """What is held of a service's day: its columns, the warnings, and how many samples the steps before each one have,
    shape (steps + 1,)."""

    columns: Mapping[str, Array]
    warnings: tuple[str, ...]
    points: NDArray[np.intp]

    def count(self, low: int, high: int) -> int:
        last = self.points.size - 1
        return int(self.points[min(high, last)] - self.points[min(low, last)])


class Replaying:
    """A ``Follower`` of a recording. It holds one day at a time, and has nothing to remember.

    A day, or the end of one, that the recording does not hold is missing samples; a window that lies before or behind
    all that it holds raises ``NotEnoughDataError``. There is no ``q.seen``, as of a server. The warnings of a day come
    with the first window that it is read for.
    """

    def __init__(self, recording: Recording, plan: Plan) -> None:
        self._recording, self._plan = recording, plan
        self._alerts = {query.name for query in plan.queries if query.type == "alerts"}
        self._held: Window | None = None
        self._day: tuple[int, dict[str, _Day]] | None = None

    def read(self, window: Window) -> Followed:
        self._check(window)
        columns: dict[str, dict[str, Array]] = {service: {} for service in self._plan.services}
        warnings: dict[str, list[str]] = {service: [] for service in self._plan.services}
        points = 0
        for number, first, low, high in self._stretches(window):
            day = self._read(number, warnings)
            for service, held in day.items():
                points += held.count(low, high)
                self._put(columns[service], window.steps(self._plan.step_s), first, held, low, high)
        samples = {
            name: Samples(name, window, self._plan.step_s, columns[name], tuple(dict.fromkeys(warnings[name])))
            for name in self._plan.services
        }
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

    def _stretches(self, window: Window) -> Iterator[tuple[int, int, int, int]]:
        """The days that the window lies in: the number, the window's step that its part begins at, and which of the
        day's steps that are."""
        number = self._recording.recorded.calendar.number(window.start)
        whole = self._recording.recorded.day_s // self._plan.step_s
        first, low, steps = 0, self._recording.steps_into_day(self._plan, window), window.steps(self._plan.step_s)
        while first < steps:
            high = min(low + steps - first, whole)
            yield number, first, low, high
            number, first, low = number + 1, first + high - low, 0

    def _read(self, number: int, warnings: Mapping[str, list[str]]) -> dict[str, _Day]:
        """Service → what is held of its day. If it was not read before, the day's warnings are added."""
        if self._day is None or self._day[0] != number:
            services = [name for name in self._plan.services if self._recording.holds(number, name)]
            self._day = number, {name: self._parsed(name, number) for name in services}
            for name, day in self._day[1].items():
                warnings[name].extend(day.warnings)
        return self._day[1]

    def _parsed(self, service: str, number: int) -> _Day:
        table = self._recording.table(self._plan, service, number)
        window = self._recording.recorded.calendar.window(number)
        whole = Samples(service, window, self._plan.step_s, table.columns, table.warnings)
        held = select(whole, {query.name for query in self._plan.queries})
        columns = {name: values for name, values in held.columns.items() if not name.endswith(".seen")}
        there = np.zeros(len(table.times) + 1, dtype=np.intp)
        for values in columns.values():
            there[1:] += ~np.isnan(values)
        return _Day(columns, held.warnings, np.cumsum(there))

    def _put(self, columns: dict[str, Array], steps: int, first: int, day: _Day, low: int, high: int) -> None:
        """Write the day's steps ``low`` to ``high`` into the columns of the window, from its step ``first`` on."""
        for name, values in day.columns.items():
            if high - low == steps and high <= values.size:
                columns[name] = values[low:high]
                continue
            if name not in columns:
                columns[name] = np.full(steps, self._absent(name))
            found = values[low:high]
            columns[name][first : first + found.size] = found

    def _absent(self, column: str) -> float:
        """What a column is in steps of which there is none."""
        return 0.0 if column.endswith(".earlier") or query_of(column) in self._alerts else np.nan
