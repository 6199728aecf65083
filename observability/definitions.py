"""What a release file defines: KPIs, objectives, prices and the release itself, with the queries to ask for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from observability.model import (
    DAYS_BEFORE,
    LAST_DAY,
    Calendar,
    Duration,
    Frozen,
    Instant,
    Plan,
    PrometheusSettings,
    Query,
    Window,
    service_matcher,
)
from observability.notify import Notify

DEFAULT_SERVICE = "default"

_PLACEHOLDER = re.compile(r"(\s*,\s*)?\$(match|by|step)(\s*,\s*)?")


class Direction(StrEnum):
    """Which way is worse."""

    HIGHER_IS_BETTER = "higher is better"
    LOWER_IS_BETTER = "lower is better"
    TWO_SIDED = "two-sided"


class Kind(StrEnum):
    """How a KPI comes from its queries; ``observability.kpi`` holds the formulas."""

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


class Maintenance(Window):
    """A stretch of time, ``[start, end)``, that counts neither for nor against the release: its steps are collected and
    left out of the verdicts. It concerns ``services``, or all of them where none is named."""

    reason: str = ""
    services: tuple[str, ...] = ()

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end

    def concerns(self, service: str) -> bool:
        return not self.services or service in self.services


class Channel(Frozen):
    """One online detector: one of ours (``significance``, ``novelty``, ``ewma``), or one of river's by the name of its
    class. Without a threshold it alarms at the one that it is shipped with."""

    name: str
    threshold: float | None = Field(default=None, gt=0)
    parameters: Mapping[str, int | float | str | bool] = {}


class IncidentSettings(Frozen):
    """From which joint evidence of its KPIs on a service has an incident, in nats; by default what is shipped."""

    threshold: float | None = Field(default=None, gt=0, strict=True)


DEFAULT_CHANNELS = (Channel(name="significance"), Channel(name="novelty"))


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
    maintenance: tuple[Maintenance, ...] = ()
    channels: tuple[Channel, ...] = DEFAULT_CHANNELS
    incidents: IncidentSettings = IncidentSettings()
    notify: Notify = Notify()
    baselines: Mapping[str, str] = Field(default={}, description="name → file or folder of summaries to compare with")
    good_day: int | None = Field(default=None, ge=-DAYS_BEFORE, le=LAST_DAY, strict=True)
    only_of: Mapping[str, tuple[str, ...]] = Field(default={}, description="service → its KPIs, where not all are its")

    def kpis_of(self, service: str) -> dict[str, Kpi]:
        """The KPIs that the service is expected to have."""
        return {name: kpi for name, kpi in self.kpis.items() if name in self.only_of.get(service, self.kpis)}

    def slos_of(self, service: str) -> list[Objective]:
        """The objectives on the service's KPIs."""
        return [slo for slo in self.slos if slo.kpi in self.kpis_of(service)]

    def maintenance_of(self, service: str) -> list[Maintenance]:
        """The windows that concern the service, in time order."""
        found = [window for window in self.maintenance if service in (window.services or self.services)]
        return sorted(found, key=lambda window: (window.start, window.end))

    def aligned(self, instant: datetime) -> datetime:
        """The last border of its steps up to the instant."""
        return self.ga + (instant - self.ga) // self.step * self.step

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
        if self.service_label:
            matchers.append(service_matcher(self.service_label, self.services))
        stands_for = {"match": ",".join(matchers), "by": self.service_label or "", "step": f"{self.step_s}s"}

        def fill(found: re.Match[str]) -> str:
            before, name, after = found[1] or "", found[2], found[3] or ""
            if stands_for[name]:
                return before + stands_for[name] + after
            return before and after  # of two commas around nothing, one goes

        return _PLACEHOLDER.sub(fill, promql)
