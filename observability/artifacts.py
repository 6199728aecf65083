"""What the stages write: one type per JSON artifact. Its JSON Schema in ``docs/schemas/`` is exported from here.

Keys that older tools of this kind read and write come first and stay as they were; files that hold nothing but those
keys can be read too, so everything beside them has a default.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from observability.definitions import Direction
from observability.model import Instant, SourceInfo, Window

SCHEMA_VERSION: Literal[1] = 1

Verdict = Literal["pass", "fail", "inconclusive", "no data"]
Severity = Literal["low", "medium", "high", "critical"]
Status = Literal["EXCELLENT", "STABLE", "NEEDS ATTENTION", "CRITICAL"]
SHARE_FLOOR = 0.1  # percentage points by which a share of events must move to have moved
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A piece of an artifact. Keys that it does not know are passed over: files of later versions stay readable."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Artifact(Part):
    """A whole file."""

    schema_version: Literal[1] = SCHEMA_VERSION


class KpiSummary(Part):
    """One KPI over one day. ``value`` is None where there was no data; ``note`` then says why."""

    value: float | None
    unit: str
    direction: Direction
    category: str
    kind: str
    coverage: Share
    n: int = 0
    numerator: float | None = None
    denominator: float | None = None
    buckets: dict[str, float] | None = None
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    min: float | None = None
    max: float | None = None
    hourly: tuple[float | None, ...] = ()
    counts_bad: bool | None = Field(default=None, description="of a ratio: whether the numerator counts bad events")
    hourly_numerator: tuple[float | None, ...] = Field(
        default=(), description="of a ratio: the numerator's count in each 24th of the day, None without data"
    )
    hourly_denominator: tuple[float | None, ...] = Field(
        default=(), description="of a ratio: the denominator's count; of a quantile: the observations"
    )
    with_maintenance: float | None = Field(
        default=None, description="the value over the whole day, where `value` leaves out steps because of maintenance"
    )
    started: float | None = Field(default=None, description="of incidents: those that began in the day")
    drift_percent: float | None = None
    at_least: bool = Field(
        default=False, description="the value is a quantile's lower bound: it lies beyond the buckets"
    )
    note: str | None = None


class SloDay(Part):
    """The events that count against one objective during one day. ``bad`` and ``total`` are None without data."""

    slo_name: str
    kpi: str
    target: float
    budget: float
    unit: str
    counts_bad: bool = Field(description="whether target and value are shares of bad events, or of good ones")
    bad: float | None
    total: float | None
    value: float | None
    compliant: bool | None
    coverage: Share
    exact: bool | None = Field(default=None, description="whether the threshold is a bucket's bound")
    bad_between: tuple[float, float] | None = Field(
        default=None, description="the fewest and the most bad events that the buckets allow; None: `bad` is exact"
    )
    bad_with_maintenance: float | None = Field(
        default=None, description="over the whole day, where `bad` and `total` leave out steps because of maintenance"
    )
    total_with_maintenance: float | None = None
    note: str | None = None


class MaintenanceWindow(Part):
    """``[start, end)`` as the release file has it: it may reach beyond the day that it is told of, or end before it."""

    start: Instant
    end: Instant
    reason: str = ""
    seconds: float = Field(default=0.0, description="what it leaves out of the day, in whole steps")


class CostDay(Part):
    """Cost of one day in ``currency``, by resource. A resource that has no price is left out."""

    currency: str
    hours: float
    compute: float | None = None
    storage: float | None = None
    network: float | None = None
    other: float | None = None
    total: float | None = None
    note: str | None = None


class RollbackRecommendation(Part):
    should_rollback: bool | None = Field(description="None: not enough data to say")
    reason: str
    priority: str = "P3"
    investigation_items: tuple[str, ...] = ()


FLAT_KEYS = (
    "overall_availability",
    "overall_error_rate",
    "avg_p99_latency_ms",
    "avg_cpu_percent",
    "peak_cpu_percent",
    "avg_memory_percent",
    "peak_memory_percent",
    "avg_redis_hit_rate",
    "avg_db_p95_latency_ms",
    "critical_incident_count",
    "estimated_cost_per_hour",
    "cluster_cpu_utilization",
    "cluster_memory_utilization",
)


class DaySummary(Artifact):
    """``ga_kpi_summary.json`` (day 0) and ``day_NN_summary.json``."""

    timestamp: Instant
    day_number: int = 0
    service: str = "default"
    release: str | None = None
    overall_availability: float | None = None
    overall_error_rate: float | None = None
    avg_p99_latency_ms: float | None = None
    avg_cpu_percent: float | None = None
    peak_cpu_percent: float | None = None
    avg_memory_percent: float | None = None
    peak_memory_percent: float | None = None
    avg_redis_hit_rate: float | None = None
    avg_db_p95_latency_ms: float | None = None
    critical_incident_count: int | None = None
    estimated_cost_per_hour: float | None = None
    cluster_cpu_utilization: float | None = None
    cluster_memory_utilization: float | None = None
    kpis: dict[str, KpiSummary] = {}
    slos: tuple[SloDay, ...] = ()
    cost: CostDay | None = None
    window: Window | None = None
    partial: bool = False
    maintenance: tuple[MaintenanceWindow, ...] = Field(default=(), description="the windows that leave steps of it out")
    maintenance_seconds: float = Field(default=0.0, description="what they leave out of the day, in whole steps")
    coverage: Share | None = None
    warnings: tuple[str, ...] = ()
    source_warnings: tuple[str, ...] = Field(default=(), description="what the source said of its answers: partial, …")
    rollback_recommendation: RollbackRecommendation | None = None
    source: SourceInfo | None = None
    queries: dict[str, str] = {}

    def value(self, kpi: str) -> float | None:
        """The KPI's value for the day: from ``kpis``, or from the flat key in files that hold nothing else."""
        if kpi in self.kpis:
            return self.kpis[kpi].value
        flat: float | None = getattr(self, kpi) if kpi in FLAT_KEYS else None
        return flat

    def share_floor(self, kpi: str) -> float:
        """By how many percentage points a share of events must move to have moved: 0.1, or half of the tightest error
        budget of an objective on the same events where that is less."""
        counts = self._counts(kpi)
        budgets = [
            slo.budget
            for slo in self.slos
            if slo.kpi == kpi or (counts is not None and self._counts(slo.kpi) == counts)
        ]
        return min([SHARE_FLOOR, *(budget / 2 for budget in budgets)])

    @property
    def judged_share(self) -> float:
        """How much of the day is outside maintenance, from 0 to 1."""
        if self.window is None or self.maintenance_seconds == 0:
            return 1.0
        return max(0.0, 1.0 - self.maintenance_seconds / self.window.seconds)

    @property
    def is_all_maintenance(self) -> bool:
        return self.judged_share == 0.0

    def _counts(self, kpi: str) -> tuple[float, float] | None:
        found = self.kpis.get(kpi)
        if found is None or found.numerator is None or found.denominator is None:
            return None
        return found.numerator, found.denominator


class PreReleaseSummary(Artifact):
    """``ga_kpis/pre_release_summary.json``: the seven days before GA, those that the source still has."""

    service: str = "default"
    days: tuple[DaySummary, ...] = ()
    warnings: tuple[str, ...] = ()
