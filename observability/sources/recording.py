"""Recordings: a folder of evidence files that takes the place of a server.

A recording is a folder with ``recording.json`` at its root and, per service and day, one ``evidence/day_NN.csv.gz``
(GA day is ``day_00``, the days before it are ``day_-7`` to ``day_-1``); with several services that tree lies below a
folder of the service's name. Evidence that a run has kept is itself a recording. Each evidence file says itself which
queries it is of (see ``evidence``): the index tells of the release that was collected last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import ValidationError

from observability.errors import ConfigError, NotEnoughDataError
from observability.model import (
    DAYS_BEFORE,
    LAST_DAY,
    Calendar,
    Frozen,
    Instant,
    Plan,
    Samples,
    SourceInfo,
    Window,
    format_instant,
    query_of,
)
from observability.sources import Followed, Follower, Memory
from observability.sources.evidence import (
    Origin,
    RecordedQuery,
    Table,
    check_times,
    own_queries,
    parse,
    recorded_queries,
    select,
)
from observability.sources.replaying import Replaying

RECORDING = "recording.json"
DAYS = range(-DAYS_BEFORE, LAST_DAY + 1)


class Recorded(Frozen):
    """``recording.json``: the calendar and the plan that the evidence was made with, and the server it came from."""

    schema_version: Literal[1] = 1
    ga: Instant
    day_s: int
    step_s: int
    services: tuple[str, ...]
    service_label: str | None
    queries: dict[str, RecordedQuery]
    source: SourceInfo

    @classmethod
    def of(cls, plan: Plan, calendar: Calendar, source: SourceInfo) -> Self:
        return cls(
            ga=calendar.ga,
            day_s=round(calendar.day.total_seconds()),
            step_s=plan.step_s,
            services=plan.services,
            service_label=plan.service_label,
            queries=recorded_queries(plan),
            source=source,
        )

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.ga, timedelta(seconds=self.day_s))


def evidence_path(services: Sequence[str], service: str, day: int) -> str:
    """Where the evidence of one service and day lies, relative to the recording's root."""
    name = f"evidence/day_{day:02d}.csv.gz"
    return name if len(services) == 1 else f"{service}/{name}"


class Recording:
    """A ``Source`` that reads a recording from a local folder. A window that is fetched lies within one of the recorded
    days; one that is followed may be of several."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recorded = _read_index(root / RECORDING)

    def info(self, plan: Plan) -> SourceInfo:
        """That of the recorded server, so that a recording's artifacts are those of the live run."""
        return self.recorded.source

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        self._check(plan)
        return {service: self._samples(plan, service, window) for service in plan.services}

    def follow(self, plan: Plan, start: datetime) -> Follower:
        self._check(plan)
        return Replaying(self, plan)

    @property
    def window(self) -> Window:
        """All that it holds: from the start of its first day to the last step of the last one."""
        calendar, services = self.recorded.calendar, self.recorded.services
        held = [number for number in DAYS if any(self.holds(number, service) for service in services)]
        if not held:
            raise NotEnoughDataError(f"{self.root} holds no evidence of any day; record one.")
        paths = [self._path(service, held[-1]) for service in services if self.holds(held[-1], service)]
        steps = max(len(parse(path.read_bytes(), str(path)).times) for path in paths)
        end = calendar.window(held[-1]).start + steps * timedelta(seconds=self.recorded.step_s)
        return Window(start=calendar.window(held[0]).start, end=end)

    def holds(self, number: int, service: str) -> bool:
        """Whether it has evidence of a service's day."""
        return self._path(service, number).is_file()

    def table(self, plan: Plan, service: str, number: int) -> Table:
        """What it holds of a service's day."""
        path = self._path(service, number)
        try:
            table = parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            raise NotEnoughDataError(f"{path} not found: the recording does not hold this day; record it.") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from None
        check_times(table.times, self.recorded.calendar.window(number).start, plan.step_s, str(path))
        self._check_origin(table.origin, plan, service, str(path))
        return table

    def _path(self, service: str, number: int) -> Path:
        return self.root / evidence_path(self.recorded.services, service, number)

    def _samples(self, plan: Plan, service: str, window: Window) -> Samples:
        number = self.recorded.calendar.number(window.start)
        day = self.recorded.calendar.window(number)
        skipped = self.steps_into_day(plan, window)
        if window.end > day.end:
            raise self._other_days(day, window)
        table = self.table(plan, service, number)
        return _part(table, plan, service, window, skipped, str(self._path(service, number)))

    def steps_into_day(self, plan: Plan, window: Window) -> int:
        """How many steps its first day is old when the window begins."""
        day = self.recorded.calendar.window(self.recorded.calendar.number(window.start))
        skipped, rest = divmod((window.start - day.start).total_seconds(), plan.step_s)
        if rest:
            raise self._other_days(day, window)
        return int(skipped)

    def _other_days(self, day: Window, window: Window) -> ConfigError:
        return ConfigError(
            f"{self.root / RECORDING} has days that begin at {format_instant(day.start)}, and "
            f"{format_instant(window.start)} to {format_instant(window.end)} is not within one of them; "
            f"give the release the recorded GA instant, {format_instant(self.recorded.ga)}."
        )

    def _check(self, plan: Plan) -> None:
        where = self.root / RECORDING
        if plan.step_s != self.recorded.step_s:
            raise ConfigError(
                f"{where} was made at a step of {self.recorded.step_s}s, not {plan.step_s}s; set `step:` to it."
            )
        for service in plan.services:
            if service not in self.recorded.services:
                raise ConfigError(
                    f"{where} does not hold the service '{service}'; it holds {', '.join(self.recorded.services)}."
                )

    def _check_origin(self, origin: Origin, plan: Plan, service: str, where: str) -> None:
        origin.check_service(service, where)
        if origin.source != self.recorded.source.prometheus:
            raise ConfigError(
                f"{where} comes from {origin.source}, and {self.root / RECORDING} names "
                f"{self.recorded.source.prometheus}; collect the day again from the one of them that is meant."
            )
        held = origin.held(plan, service)
        for query in plan.queries:
            if query.name not in held:
                raise _not_held(query.name, own_queries(plan, service)[query.name], origin, where)


class Forgotten:
    """The server that a folder's evidence came from, when it has forgotten everything: what is at hand is all there is.

    The release must be of the recorded calendar and step, because evidence of others is of no use to it.
    """

    def __init__(self, root: Path, plan: Plan, calendar: Calendar) -> None:
        self.root = root
        where, recorded = root / RECORDING, _read_index(root / RECORDING)
        self._info = recorded.source
        asked = Recorded.of(plan, calendar, recorded.source)
        for name, shown in _SHOWN.items():
            ours, theirs = shown(asked), shown(recorded)
            if ours != theirs:
                raise ConfigError(
                    f"{where} was made with {name} {theirs}, and the release has {ours}; give the release the recorded "
                    "one."
                )

    def info(self, plan: Plan) -> SourceInfo:
        return self._info

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        return {service: Samples(service, window, plan.step_s, {}) for service in plan.services}

    def follow(self, plan: Plan, start: datetime) -> Follower:
        return _Nothing(self, plan)


class _Nothing:
    """A ``Follower`` of what has forgotten everything."""

    def __init__(self, source: Forgotten, plan: Plan) -> None:
        self._source, self._plan = source, plan

    def read(self, window: Window) -> Followed:
        return Followed(self._source.fetch(self._plan, window))

    def memory(self) -> Memory:
        return {}

    def remember(self, memory: Memory) -> None:
        """There is nothing to go on from."""


_SHOWN: Mapping[str, Callable[[Recorded], str]] = {
    "`ga:`": lambda recorded: format_instant(recorded.ga),
    "`day:`": lambda recorded: f"{recorded.day_s}s",
    "`step:`": lambda recorded: f"{recorded.step_s}s",
}


def _not_held(name: str, query: RecordedQuery, origin: Origin, where: str) -> ConfigError:
    recorded = origin.queries.get(name)
    if recorded is None:
        return ConfigError(f"{where} does not hold the query '{name}'; leave out the KPIs that need it.")
    return ConfigError(
        f"{where} holds the query '{name}' as {recorded.type} {recorded.promql}, not as {query.type} "
        f"{query.promql}; use the release file that the recording was made with."
    )


def _read_index(path: Path) -> Recorded:
    try:
        return Recorded.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}; name a recording's folder.") from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}".removeprefix(": ")
            for found in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(f"{path} is not a recording's index: {problems}.") from None


def _part(table: Table, plan: Plan, service: str, window: Window, first: int, where: str) -> Samples:
    """The plan's columns over the steps of the window, which begins with the table's row ``first``: of a part of the
    day those that a server would have answered."""
    end = first + window.steps(plan.step_s)
    if end > len(table.times):
        raise NotEnoughDataError(f"{where} holds {len(table.times)} steps of the day, not {end}; record the whole day.")
    whole = Samples(service, window, plan.step_s, table.columns, table.warnings)
    samples = select(whole, {query.name for query in plan.queries})
    if end - first == len(table.times):
        return samples
    columns = {name: values[first:end] for name, values in samples.columns.items()}
    seen = {name: values for name, values in columns.items() if not np.isnan(values).all()}
    told = {query_of(name) for name in seen if not name.endswith((".seen", ".earlier"))}
    silent = {q.name for q in plan.queries if q.type == "alerts" and q.name in seen and not np.nansum(seen[q.name])}
    return replace(samples, columns={name: v for name, v in seen.items() if query_of(name) in told - silent})
