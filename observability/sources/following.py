"""Following a server: its samples window after window, as they come, for a watcher that never stops.

What the columns are does not depend on how the time was cut into windows, to the last bit: counters are counted by
``counting``, from what is remembered of them. There is no ``q.seen``, which needs the whole day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from observability.errors import ConfigError, SourceError
from observability.model import Plan, Window, format_instant
from observability.sources import Followed, Memory, counters
from observability.sources.answer import Grid, Series
from observability.sources.failures import rounded
from observability.sources.intake import Span
from observability.sources.kept import Kept
from observability.sources.parts import Course, Request
from observability.sources.reading import Reading

SCRAPED_WITHIN = timedelta(seconds=90)  # the default interval is a minute
NEWEST = "max(timestamp(up))"
NEWEST_OF_LONG = ("max(max_over_time(timestamp(up)[1d:5m]))", "max(max_over_time(timestamp(up)[8d:1h]))")

Take = Callable[[Course, Request, Sequence[Series], Sequence[str]], None]


class Server(Protocol):
    """What is asked. ``clock`` is what its clock said last."""

    url: str
    clock: datetime | None

    def ask(self, courses: Iterable[Course], window: Window, take: Take) -> dict[str, str]: ...

    def instant(self, name: str, promql: str, at: datetime) -> list[Series]: ...


class Following:
    """A ``Follower`` of a server."""

    def __init__(self, plan: Plan, start: datetime, server: Server) -> None:
        self._plan, self._server = plan, server
        self._step = timedelta(seconds=plan.step_s)
        self._old = max(SCRAPED_WITHIN, 1.5 * self._step)
        self._lead = counters.start_up_steps(plan.step_s)
        self._kept = Kept.nothing(plan, start)

    def read(self, window: Window) -> Followed:
        kept = self._kept if self._kept.next else Kept.nothing(self._plan, window.start - self._lead * self._step)
        low = kept.next or self._lead
        if kept.zero + low * self._step != window.start:
            raise ValueError(f"the next window does not begin at {format_instant(window.start)}")
        grid = Grid(kept.zero.timestamp(), self._plan.step_s, 0, 0)
        reading = Reading(kept, Span(self._plan, grid, low, low + window.steps(self._plan.step_s)))
        failed = self._server.ask(reading.courses(), window, reading.take)
        if len(failed) == len(self._plan.queries):  # that is the server's trouble, and no query's
            raise SourceError(next(iter(failed.values())))
        followed, now = reading.done(window, failed)
        if now.has_fallen_silent():
            self._check_age(window.end)
        self._kept = now.without_forgotten()
        return followed

    def memory(self) -> Memory:
        return self._kept.memory()

    def remember(self, memory: Memory) -> None:
        """Of a source that has none, such as a recording, there is nothing to go on from."""
        if memory:
            self._kept = Kept.of(self._plan, memory)

    def _check_age(self, end: datetime) -> None:
        """Queries that return nothing any more are believed only of a server that has the time's samples, or later
        ones: else it is one that lags behind, or stores nothing any more."""
        clock = self._server.clock or end
        if self._is_fresh(end) or (clock > end and self._is_fresh(clock)):
            return
        newest = next(filter(None, (self._newest(promql, end) for promql in NEWEST_OF_LONG)), None)
        if newest is not None:
            raise SourceError(
                f"{self._server.url}: its newest sample is of {format_instant(newest)}, "
                f"{rounded((end - newest).total_seconds())} before the end of the step; nothing is scored until it has "
                "newer ones."
            )

    def _is_fresh(self, at: datetime) -> bool:
        newest = self._newest(NEWEST, at)
        return newest is not None and at - newest <= self._old

    def _newest(self, promql: str, at: datetime) -> datetime | None:
        """When a target was scraped last before ``at``; None where the server does not tell."""
        try:
            found = self._server.instant("up", promql, at)
            return datetime.fromtimestamp(float(found[0].value[1]), UTC) if found and found[0].value else None
        except (ConfigError, ValueError, OverflowError):
            return None
