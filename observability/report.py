"""What the retrospective writes, and the index of a release's services: the types of the last artifacts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from observability.artifacts import Artifact, Part, Severity, Share, Status
from observability.events import Anomaly, Incident, NewLevel
from observability.model import Instant, SourceInfo
from observability.verdicts import Regression, SloBurnDown


class Success(Part):
    category: str
    description: str
    metric_name: str
    target_value: str
    actual_value: str
    achievement_percent: float | None


class Degradation(Part):
    day_occurred: int
    category: str
    description: str
    severity: Severity
    impact: str
    resolution_status: Literal["resolved", "ongoing", "unknown"]
    resolution_details: str
    metric_name: str | None = None


class UnexpectedDrift(Part):
    metric_name: str
    baseline_value: float | None
    final_value: float | None
    drift_percent: float | None
    trend: Literal["increasing", "decreasing", "stable", "volatile", "unknown"]
    potential_causes: tuple[str, ...]
    investigation_needed: bool
    baseline: str = "ga_day"
    unit: str = ""
    of_bad_share: bool = False


class CostAnalysis(Part):
    ga_day_cost: float | None
    seven_day_total_cost: float | None
    daily_average_cost: float | None
    cost_trend: Literal["increasing", "stable", "decreasing", "unknown"]
    cost_breakdown: dict[str, float | None]
    cost_optimization_recommendations: tuple[str, ...] = ()
    currency: str | None = None
    days_counted: int = 0
    note: str | None = None


class ActionItem(Part):
    priority: Literal["P0", "P1", "P2", "P3"]
    description: str
    status: Literal["open", "done"] = "open"
    owner: str = "OWNER NEEDED"
    done_when: str | None = None


class KeyMetric(Part):
    """One row of "key metrics at a glance"."""

    metric_name: str
    unit: str
    before: float | None
    ga_day: float | None
    week: float | None
    last_day: float | None
    coverage: Share | None
    folded: Literal["counts", "runs", "days", "median"] = Field(
        default="median",
        description="how a week's figure is made: from counts; distinct runs; days with one; the median day",
    )
    at_least: tuple[str, ...] = Field(default=(), description="which figures are lower bounds: beyond the buckets")


class LeftOut(Part):
    """A maintenance window, the days of which it leaves steps out (those before GA are below 0) and how much."""

    start: Instant
    end: Instant
    reason: str
    days: tuple[int, ...]
    minutes: float


class BothFigures(Part):
    """A KPI's day without and with its maintenance. ``value`` is None where nothing but maintenance has one."""

    metric_name: str
    day_number: int
    unit: str
    value: float | None
    with_maintenance: float


class Retrospective(Artifact):
    """``GA_7DAY_RETROSPECTIVE.json``."""

    generation_timestamp: Instant
    ga_day_timestamp: Instant
    seven_day_end_timestamp: Instant
    successes: tuple[Success, ...] = ()
    degradations: tuple[Degradation, ...] = ()
    unexpected_drifts: tuple[UnexpectedDrift, ...] = ()
    cost_analysis: CostAnalysis
    slo_burn_downs: tuple[SloBurnDown, ...] = ()
    recommendations_v1_0_2: tuple[str, ...] = ()
    process_improvements: tuple[str, ...] = ()
    action_items: tuple[ActionItem, ...] = ()
    service: str = "default"
    release: str | None = None
    overall_status: Status
    advice: str
    why: str
    key_metrics: tuple[KeyMetric, ...] = ()
    maintenance: tuple[LeftOut, ...] = ()
    both_figures: tuple[BothFigures, ...] = Field(
        default=(), description="key metrics of days that are another figure with their maintenance"
    )
    regressions: tuple[Regression, ...] = ()
    incidents: tuple[Incident, ...] = Field(default=(), description="joint evidence of several KPIs, by time")
    anomalies: tuple[Anomaly, ...] = ()
    new_levels: tuple[NewLevel, ...] = Field(
        default=(), description="of KPIs that moved since GA and did not come back, by time"
    )
    health_by_day: dict[str, float | None] = Field(default={})
    coverage: Share | None = None
    days_present: tuple[int, ...] = ()
    not_assessed: tuple[str, ...] = ()
    checked: dict[str, str] = Field(default={}, description="section → what was looked at, for a section that is empty")
    method: tuple[str, ...] = Field(
        default=(), description="baselines, thresholds, detector and what the status rests on"
    )
    source: SourceInfo | None = None


class ServiceEntry(Part):
    service: str
    overall_status: Status
    advice: str
    why: str
    coverage: Share | None
    report: str


class ReleaseIndex(Artifact):
    """``index.json`` of a release with several services: one line per service, the worst first."""

    release: str
    ga_day_timestamp: Instant
    services: tuple[ServiceEntry, ...]
