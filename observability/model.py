"""The types that flow between the rooms: instants, windows, KPI definitions and samples. No I/O, no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from observability.errors import ConfigError
from observability.http_config import Server

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float64]]"

MIXED_BOUNDS = "its targets have different bucket bounds"  # how a source begins to warn of it, behind the query's name
SERVER_WARNED = "the server warned: "  # and how it begins to tell what the server said of its answer

FIRST_DAY, LAST_DAY, DAYS_BEFORE = 1, 7, 7
LONGEST_DIGITS = 9  # of a duration's number: 999,999,999 d are the most that Python can hold
DEFAULT_URL = "http://localhost:9090"

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_instant(text: object) -> datetime:
    """An ISO 8601 instant with a time zone, in UTC. A naive one is refused: nobody knows which instant it is."""
    if isinstance(text, datetime):
        instant = text
    else:
        try:
            instant = datetime.fromisoformat(str(text))
        except ValueError:
            raise ConfigError(f"'{text}' is not an ISO 8601 time; write it like 2025-11-18T00:00:00Z.") from None
    if instant.tzinfo is None:
        raise ConfigError(f"'{text}' has no time zone; add Z for UTC, or an offset such as +01:00.")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ConfigError(f"'{text}' lies outside of the years 1 to 9999 in UTC; check the year.") from None


def format_instant(instant: datetime) -> str:
    """ISO 8601 in UTC with a Z, to the second, or to the millisecond where there is a fraction."""
    timespec = "milliseconds" if instant.microsecond else "seconds"
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _instant_field(value: object) -> datetime:
    try:
        return parse_instant(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


Instant = Annotated[
    datetime, BeforeValidator(_instant_field), PlainSerializer(format_instant, return_type=str, when_used="json")
]


def parse_duration(value: object) -> timedelta:
    """A duration written like 60s, 5m, 24h. Raises ``ValueError`` for anything else."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(str(value))
    if match is None or int(match[1]) == 0:
        raise ValueError(f"'{value}' is not a duration; write it like 60s, 5m, 24h")
    if len(match[1]) > LONGEST_DIGITS:
        raise ValueError(f"'{value}' is too long; check the number and its unit")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda d: f"{round(d.total_seconds())}s", return_type=str, when_used="json"),
]


class Frozen(BaseModel):
    """A value: immutable, and with no field that its definition does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Window(Frozen):
    """A half-open stretch of time, ``[start, end)``: adjacent windows share no sample."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"the window ends at {format_instant(self.end)}, not after its start")
        return self

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def steps(self, step_s: int) -> int:
        """How many whole steps of ``step_s`` seconds the window holds."""
        return int(self.seconds // step_s)


@dataclass(frozen=True)
class Calendar:
    """The days of a release. GA day is day 0; day N is ``[GA + N d, GA + (N + 1) d)``; days −7 to −1 are before GA.

    A rehearsal shortens ``day``; everything named an hour is then ``day / 24``.
    """

    ga: datetime
    day: timedelta = timedelta(days=1)

    def window(self, number: int) -> Window:
        return Window(start=self.ga + number * self.day, end=self.ga + (number + 1) * self.day)

    def number(self, instant: datetime) -> int:
        """The day that ``instant`` lies in."""
        return (instant - self.ga) // self.day


class Query(Frozen):
    """One PromQL query and what it returns.

    ``counter``: raw counters, one series per target; increments are taken here, not by the server. ``buckets``: the
    same for a classic histogram's ``_bucket`` series. ``gauge``: one value per service and step. ``alerts``: the
    ``ALERTS`` series.

    In ``promql``, ``$match`` stands for the matchers that select the services, ``$by`` for the label that tells them
    apart and ``$step`` for the step. A query without ``$match`` concerns all services alike.

    A gauge query's result has one series per service.
    """

    name: str
    type: Literal["counter", "buckets", "gauge", "alerts"]
    promql: str
    exporter: str = "named in the release file"

    @property
    def is_counted(self) -> bool:
        """Whether it returns counters, whose increases are taken here."""
        return self.type in {"counter", "buckets"}


class PrometheusSettings(Server):
    """The server to ask. ``timeout`` holds for one query; ``concurrency`` is how many are in flight at once."""

    section = "prometheus"
    url: str = DEFAULT_URL
    timeout: Duration = timedelta(seconds=30)
    concurrency: int = Field(default=2, ge=1, le=64)


class SourceInfo(Frozen):
    """Where samples came from. A recording carries that of the server it was recorded from."""

    prometheus: str
    step_s: int


@dataclass(frozen=True)
class Plan:
    """What to ask a source for: the rendered queries, for all services at once, at one step (in seconds)."""

    services: tuple[str, ...]
    service_label: str | None
    step_s: int
    queries: tuple[Query, ...]

    def promql_of(self, query: Query, service: str) -> str:
        """The query as it would be asked for the service alone."""
        if self.service_label is None:
            return query.promql
        every, one = (service_matcher(self.service_label, names) for names in (self.services, (service,)))
        return query.promql.replace(every, one)


def service_matcher(label: str, services: Sequence[str]) -> str:
    """The PromQL matcher that selects the services."""
    if len(services) == 1:
        return f"{label}={_string(services[0])}"
    return f"{label}=~{one_of(services)}"


def one_of(values: Iterable[str]) -> str:
    """The PromQL string, with its quotes, of the regular expression that matches these values alone."""
    return _string("|".join(map(re.escape, values)))


def _string(text: str) -> str:
    """A PromQL string, with its quotes; those of JSON are."""
    return json.dumps(text, ensure_ascii=False)


def query_of(column: str) -> str:
    """The query that a column of ``Samples`` comes from."""
    return re.sub(r"\.(le\..*|started|earlier|seen|unknown)$", "", column)


def is_doubted(warning: str, queries: Collection[str]) -> bool:
    """Whether the server itself warned of its answer to one of the queries: it may be only a part of the truth."""
    return any(warning.startswith(f"{query}: {SERVER_WARNED}") for query in queries)


@dataclass(frozen=True)
class Samples:
    """What one service's queries returned over a window, step by step. The window is a whole number of steps.

    ``columns`` maps a column to a float64 array of shape (steps,), NaN where there was no sample. Step k covers
    ``[start + k·step, start + (k + 1)·step)``. Columns of a query ``q``:

    * gauge: ``q``, the value at the end of the step;
    * counter: ``q``, the increase seen in the step, summed over the series, and ``q.earlier``, the part of it that came
      together before the step, in a gap of one of the series (no column where that is 0 throughout; NaN: not known);
    * buckets: ``q.le.B`` for each upper bound B (cumulative, as Prometheus has them), increases during the step;
    * counter and buckets: ``q.seen``, the share of the targets expected in the step that were seen whole, from 0 to 1
      (no column where that is 1 in every step in which any was);
    * alerts: ``q``, how many were firing at the end of the step, and ``q.started``, how many of them had not been
      firing in the step before.

    A query that returned no series for the service in the whole window has no column. Of a query whose answer nobody
    knows any more, while that of others at hand does not go without it, there is ``q.unknown`` alone: 1 at each step.
    """

    service: str
    window: Window
    step_s: int
    columns: Mapping[str, Array]
    warnings: tuple[str, ...] = field(default=())

    @property
    def steps(self) -> int:
        return self.window.steps(self.step_s)
