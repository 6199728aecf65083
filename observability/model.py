"""The types that flow between the rooms: instants, windows, KPI definitions and samples. No I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from observability.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float64]]"

FIRST_DAY, LAST_DAY, DAYS_BEFORE = 1, 7, 7
DEFAULT_URL = "http://localhost:9090"
DEFAULT_SERVICE = "default"

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
    return instant.astimezone(UTC)


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


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(str(value))
    if match is None or int(match[1]) == 0:
        raise ValueError(f"'{value}' is not a duration; write it like 60s, 5m, 24h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
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


class Direction(StrEnum):
    """Which way is worse."""

    HIGHER_IS_BETTER = "higher is better"
    LOWER_IS_BETTER = "lower is better"
    TWO_SIDED = "two-sided"


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


class Kind(StrEnum):
    """How a KPI comes from its queries; ``judgement.summary`` holds the formulas."""

    GAUGE = "gauge"
    RATE = "rate"
    RATIO = "ratio"
    UTILISATION = "utilisation"
    QUANTILE = "quantile"
    INCIDENTS = "incidents"
    COST = "cost"


_OPERANDS: dict[Kind, dict[str, str]] = {
    Kind.GAUGE: {"query": "gauge"},
    Kind.RATE: {"query": "counter"},
    Kind.RATIO: {"numerator": "counter", "denominator": "counter"},
    Kind.UTILISATION: {"numerator": "gauge", "denominator": "gauge"},
    Kind.QUANTILE: {"query": "buckets"},
    Kind.INCIDENTS: {"query": "alerts", "denominator": "gauge"},
    Kind.COST: {},
}


class Kpi(Frozen):
    """One KPI: where it comes from, its unit and which way is worse. ``scale`` turns the query's unit into ``unit``."""

    name: str
    about: str
    unit: str
    direction: Direction
    category: str
    kind: Kind
    query: str | None = None
    numerator: str | None = None
    denominator: str | None = None
    quantile: float | None = Field(default=None, gt=0, lt=1)
    complement: bool = False
    scale: float = Field(default=1.0, gt=0)
    fold: Literal["pooled", "mean", "max"] = "pooled"
    detect: bool = True

    @property
    def operands(self) -> dict[str, str]:
        """Query name → the type that it must have."""
        return {getattr(self, role): kind for role, kind in _OPERANDS[self.kind].items()}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = set(_OPERANDS[self.kind]) | ({"quantile"} if self.kind is Kind.QUANTILE else set())
        for role in ("query", "numerator", "denominator", "quantile"):
            if (getattr(self, role) is not None) != (role in wanted):
                raise ValueError(f"kind '{self.kind}' {'needs' if role in wanted else 'takes no'} '{role}'")
        return self


class Objective(Frozen):
    """A service level objective on a ratio or latency KPI, as a share of events in per cent.

    With ``threshold`` (in the KPI's unit) on a latency KPI, an event is good when it took no longer than that. On a
    KPI for which lower is better and no threshold is given, ``objective`` is the largest share of bad events.
    """

    name: str
    kpi: str
    objective: float = Field(gt=0, lt=100)
    threshold: float | None = Field(default=None, gt=0)


class PriceList(Frozen):
    """What a unit of each resource costs. A resource without a price is not part of the cost."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    cpu_core_hour: float | None = Field(default=None, ge=0)
    memory_gib_hour: float | None = Field(default=None, ge=0)
    storage_gib_month: float | None = Field(default=None, ge=0)
    network_gib: float | None = Field(default=None, ge=0)
    fixed_per_hour: float | None = Field(default=None, ge=0)

    @property
    def usage(self) -> dict[str, tuple[str, float]]:
        """Usage query → the resource that it measures and its price, for the resources that have one."""
        priced = {
            "cpu_cores": ("cpu", self.cpu_core_hour),
            "memory_bytes": ("memory", self.memory_gib_hour),
            "storage_used": ("storage", self.storage_gib_month),
            "network_octets": ("network", self.network_gib),
        }
        return {query: (resource, price) for query, (resource, price) in priced.items() if price is not None}


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


class PrometheusSettings(Frozen):
    """The server to ask. ``timeout`` holds for one query."""

    url: str = DEFAULT_URL
    timeout: Duration = timedelta(seconds=30)


class Release(Frozen):
    """A release to watch, with the catalog's defaults filled in: see ``load``."""

    release: str = Field(min_length=1)
    ga: Instant
    prometheus: PrometheusSettings = PrometheusSettings()
    step: Duration = timedelta(seconds=60)
    day: Duration = timedelta(days=1)
    services: tuple[str, ...] = Field(default=(DEFAULT_SERVICE,), min_length=1)
    service_label: str | None = Field(default=None, pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")
    matchers: str = ""
    prices: PriceList | None = None
    queries: Mapping[str, Query]
    kpis: Mapping[str, Kpi]
    slos: tuple[Objective, ...]
    only_of: Mapping[str, tuple[str, ...]] = Field(default={}, description="service → its KPIs, where not all are its")

    def kpis_of(self, service: str) -> dict[str, Kpi]:
        """The KPIs that the service is expected to have."""
        return {name: kpi for name, kpi in self.kpis.items() if name in self.only_of.get(service, self.kpis)}

    def slos_of(self, service: str) -> list[Objective]:
        """The objectives on the service's KPIs."""
        return [slo for slo in self.slos if slo.kpi in self.kpis_of(service)]

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.ga, self.day)

    @property
    def step_s(self) -> int:
        return int(self.step.total_seconds())

    @cached_property
    def plan(self) -> Plan:
        """The queries that the KPIs and the price list need, rendered for all services at once."""
        wanted = {name for kpi in self.kpis.values() for name in kpi.operands}
        if any(kpi.kind == "cost" for kpi in self.kpis.values()):
            wanted |= set(self.prices.usage) if self.prices else set()
        queries = tuple(
            query.model_copy(update={"promql": self._render(query.promql)})
            for name, query in self.queries.items()
            if name in wanted
        )
        return Plan(self.services, self.service_label, self.step_s, queries)

    def _render(self, promql: str) -> str:
        matchers = [self.matchers] if self.matchers else []
        if self.service_label and len(self.services) == 1:
            matchers.append(f'{self.service_label}="{_quoted(self.services[0])}"')
        elif self.service_label:
            names = "|".join(_quoted(re.escape(service)) for service in self.services)
            matchers.append(f'{self.service_label}=~"{names}"')
        text = promql.replace("$match", ",".join(matchers)).replace("$by", self.service_label or "")
        return text.replace("$step", f"{self.step_s}s").replace(",}", "}")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def query_of(column: str) -> str:
    """The query that a column of ``Samples`` comes from."""
    return re.sub(r"\.(le\..*|started|earlier)$", "", column)


@dataclass(frozen=True)
class Samples:
    """What one service's queries returned over a window, step by step. The window is a whole number of steps.

    ``columns`` maps a column to a float64 array of shape (steps,), NaN where there was no sample. Step k covers
    ``[start + k·step, start + (k + 1)·step)``. Columns of a query ``q``:

    * gauge: ``q``, the value at the end of the step;
    * counter: ``q``, the increase seen in the step, summed over the series, and ``q.earlier``, the part of it that came
      together before the step, in a gap of one of the series (no column where that is 0 throughout; NaN: not known);
    * buckets: ``q.le.B`` for each upper bound B (cumulative, as Prometheus has them), increases during the step;
    * alerts: ``q``, how many were firing at the end of the step, and ``q.started``, how many of them had not been
      firing in the step before.

    A query that returned no series for the service in the whole window has no column.
    """

    service: str
    window: Window
    step_s: int
    columns: Mapping[str, Array]
    warnings: tuple[str, ...] = field(default=())

    @property
    def steps(self) -> int:
        return self.window.steps(self.step_s)
