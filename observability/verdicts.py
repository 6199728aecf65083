"""What the judges write: health, regressions, advice, cost, the gate and budgets. One type per JSON artifact, as in
``observability.artifacts``; files of older tools that hold the first keys of each alone can be read too."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from observability.artifacts import Artifact, Part, RollbackRecommendation, Severity, Share, Verdict
from observability.definitions import Direction
from observability.model import Instant, Window

Role = Literal["decides", "confirms", "informs"]
Basis = Literal["as measured", "per request", "at like load"]
Trend = Literal["increasing", "decreasing", "stable", "volatile", "unknown"]
Action = Literal["roll back", "fix forward", "not assessable", "watch", "keep"]
Resource = Literal["compute", "storage", "network", "other"]

Interval = tuple[float | None, float | None]
"""Both ends; None where it is open: from nothing to something, no change is too large."""


class HealthPart(Part):
    name: str
    weight: float
    score: float | None
    kpi: str | None
    why: str


class HealthReport(Artifact):
    """``day_NN_HEALTH.json``. ``health_score`` is None where nothing could be scored."""

    timestamp: Instant
    day_number: int
    service: str = "default"
    health_score: float | None
    status: Literal["healthy", "degraded", "unhealthy", "critical", "not assessable"]
    coverage: Share
    parts: tuple[HealthPart, ...] = ()
    veto: str | None = None
    anomalies: int | None = None
    mitigation_actions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Regression(Part):
    """One KPI against one baseline. ``real`` is None where no test was made; ``why`` says so in a sentence."""

    metric_name: str
    severity: Severity
    category: str
    impact: str
    baseline_value: float | None
    current_value: float | None
    drift_percent: float | None
    threshold_exceeded: bool = Field(description='"large": beyond 30 % for the worse, whether or not it is real')
    service: str = "default"
    baseline: str = "ga_day"
    role: Role | None = Field(default=None, description="whether the baseline decides, may confirm, or only informs")
    unit: str = ""
    direction: Direction | None = None
    real: bool | None = None
    change: float | None = Field(default=None, description="relative change, 0.1 = 10 % more")
    of_bad_share: bool = Field(default=False, description="the change is that of the share of bad events")
    basis: Basis | None = Field(default=None, description="what of the KPI was compared, where the traffic changed")
    below_floor: float | None = Field(
        default=None,
        description="percentage points: set where a share of events moved by less, which counts as no change",
    )
    baseline_at_least: bool = Field(default=False, description="the value is a lower bound: beyond the buckets")
    current_at_least: bool = Field(default=False, description="the value is a lower bound: beyond the buckets")
    persists: bool | None = Field(default=None, description="whether each of the last two days shows half of it")
    last_change: float | None = Field(
        default=None, description="relative change of the last day that was compared; 0 below the floor"
    )
    obstacle: str | None = Field(default=None, description="what kept the change from being judged")
    interval: Interval | None = Field(
        default=None,
        description="of `change`: for levels, by how much ordinary weeks differ; else at 98 %",
    )
    points: float | None = Field(default=None, description="of a share of events: the change in percentage points")
    points_interval: Interval | None = Field(default=None, description="of `points`, at 98 %")
    p: float | None = Field(default=None, description="of no change, from hourly values and their effective number")
    p_adjusted: float | None = Field(default=None, description="for all KPIs of the service against this baseline")
    detectable: float | None = Field(default=None, description="the smallest relative change that would be called real")
    n: int | None = Field(default=None, description="hours that were compared")
    n_effective: float | None = Field(default=None, description="independent ones that they are worth")
    days: int | None = Field(default=None, description="days that were compared")
    trend: Trend | None = Field(default=None, description="of the days since GA")
    slope_per_day: float | None = Field(default=None, description="of that trend, relative to the baseline")
    onset: Instant | None = Field(default=None, description="when a real change began; it may be before GA")
    ended: Instant | None = Field(default=None, description="when it went away; None: it was there at the end")
    coverage: Share | None = None
    verdict: Verdict = "inconclusive"
    why: str = ""


class BaselineUsed(Part):
    """One baseline of the analysis. ``days`` is 0 where it is absent, and ``note`` says why."""

    name: str
    about: str
    role: Role
    days: int
    source: str | None = Field(default=None, description="the file that it was read from, where it was named")
    note: str | None = None


class Waiting(Part):
    """What an hour of waiting costs of one error budget, at the rate of the last day that was counted."""

    slo_name: str
    day: int
    burn_rate: float
    budget_percent_per_hour: float = Field(description="of the 30-day budget")
    bad_events_per_hour: float
    hours_left: float | None = Field(description="until that budget is gone; 0: it is; None: not at this rate")


class Advice(Part):
    """What to do with the release, and what speaks for and against it."""

    action: Action
    why: str
    reasons: tuple[str, ...] = Field(default=(), description="that led to the action, the weightiest first")
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = Field(default=(), description="one per objective, the most expensive first")


class DailyCost(Part):
    """One day's cost; a negative number is a day before GA. None where it is not known."""

    day: int
    total: float | None
    compute: float | None = None
    storage: float | None = None
    network: float | None = None
    other: float | None = None
    per_million_requests: float | None = None


class CostDriver(Part):
    """One part of the change of the daily cost; the drivers' changes add up to it."""

    name: str
    change_per_day: float
    why: str


class CostReport(Part):
    """Cost of the week in ``currency``. Averages are per day; ``before`` is the week before GA."""

    currency: str | None
    days: tuple[DailyCost, ...] = ()
    ga_day: float | None = None
    week_total: float | None = None
    daily_average: float | None = None
    breakdown: dict[Resource, float | None] = Field(default={})
    before_daily_average: float | None = None
    before_breakdown: dict[Resource, float | None] = Field(default={})
    trend: Literal["increasing", "stable", "decreasing", "unknown"] = "unknown"
    trend_percent: float | None = Field(default=None, description="days 5 to 7 against days 1 to 3")
    per_million_requests: float | None = None
    before_per_million_requests: float | None = None
    drivers: tuple[CostDriver, ...] = Field(default=(), description="of the change against the week before GA")
    days_counted: int = 0
    note: str | None = None


class RegressionSummary(Artifact):
    """``regression_summary.json``: each row stands in the list that its size puts it in."""

    service: str = "default"
    window: Window | None = None
    regressions: tuple[Regression, ...] = ()
    unexpected_drifts: tuple[Regression, ...] = ()
    within_range: tuple[Regression, ...] = ()
    rollback_recommendation: RollbackRecommendation | None = None
    advice: Advice | None = None
    baselines: tuple[BaselineUsed, ...] = ()
    disagreements: tuple[str, ...] = Field(default=(), description="KPIs on which the baselines say different things")
    cost: CostReport | None = None
    warnings: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Regression, ...]:
        return self.regressions + self.unexpected_drifts + self.within_range


class GateReport(Artifact):
    """The gate's answer for one service: what minutes after ``since`` can say."""

    service: str
    release: str
    since: Instant
    window: Window | None = Field(description="what was judged; None: nothing has passed yet")
    verdict: Verdict
    why: str
    rows: tuple[Regression, ...] = ()
    advice: Advice | None = None
    warnings: tuple[str, ...] = ()


class ComplianceDay(Part):
    day: int
    value: float | None
    compliant: bool | None
    budget_consumed: float | None = Field(description="of the window's budget, in per cent; the days add up")


class SloBurnDown(Part):
    """One objective over the window. ``budget_consumed_percent`` is not capped: 500 is five budgets."""

    slo_name: str
    target: float
    budget: float
    budget_consumed_percent: float | None
    days_to_exhaustion: float | None = Field(description="of the 30-day budget; None: not at this rate, or no data")
    compliance_by_day: tuple[ComplianceDay, ...] = ()
    kpi: str | None = None
    unit: str = "%"
    value: float | None = None
    bad: float | None = None
    total: float | None = None
    burn_rate: float | None = None
    budget_consumed_30d_percent: float | None = None
    bad_with_maintenance: float | None = Field(
        default=None, description="over the whole days, where `bad` and `total` leave out steps because of maintenance"
    )
    total_with_maintenance: float | None = None
    coverage: Share = 0.0
    verdict: Verdict = "no data"
    why: str = ""


class SloReport(Artifact):
    """``slo_burn_down.json``."""

    service: str = "default"
    window: Window | None = None
    slo_burn_downs: tuple[SloBurnDown, ...] = ()
