"""What the detector found: anomalies, new levels and incidents, as ``anomaly_events.json`` has them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, model_validator

from observability.artifacts import SEVERITIES, Artifact, Part, Severity, Share
from observability.definitions import Direction
from observability.model import Instant, Window


class Anomaly(Part):
    """One episode: crossings of a KPI's threshold that belong together. ``timestamp`` is that of its highest score."""

    timestamp: Instant
    metric_name: str
    value: float | None
    baseline: float | None
    z_score: float | None
    severity: Severity
    category: str
    id: str | None = None
    service: str = "default"
    start: Instant | None = None
    end: Instant | None = None
    peak: float | None = None
    channel: str = "unknown"
    direction: Literal["up", "down"] | None = None
    score: float | None = None
    band: tuple[float | None, float | None] | None = Field(
        default=None,
        description="lower and upper end, outside which it raises an alarm, null where it has none; of novelty, only "
        "the range of the values so far, which is no limit: what was new may be something else",
    )
    unit: str = ""
    coverage: Share | None = None
    in_maintenance: bool | None = None
    ongoing: bool = Field(default=False, description="it was not over when this was written")
    for_better: bool | None = Field(default=None, description="the KPI moved the good way: unusual, and no harm")

    def is_better(self, way: Direction) -> bool:
        """Whether the KPI moved the good way: such a move is unusual and no harm."""
        return self.direction == {Direction.HIGHER_IS_BETTER: "up", Direction.LOWER_IS_BETTER: "down"}.get(way, "")

    def overlaps(self, other: Anomaly) -> bool:
        """Whether a part of the time is in both; of one without its ends this is not known."""
        if self.start is None or self.end is None or other.start is None or other.end is None:
            return False
        return self.start < other.end and other.start < self.end


class NewLevel(Part):
    """A KPI that moved and did not come back: it left at ``since``, and by ``noticed`` had stayed away long enough."""

    metric_name: str
    since: Instant
    noticed: Instant
    before: float = Field(description="mean of what was expected over the hours of the day, as if it had not moved")
    after: float
    settled: bool = Field(default=True, description="it rests at the new level; if false, it is still moving")
    category: str
    unit: str = ""
    service: str = "default"
    channel: str = "unknown"
    in_maintenance: bool | None = Field(default=None, description="it began in a maintenance window")
    anomalies: tuple[str, ...] = Field(
        default=(),
        description="ids of the anomalies that the KPI had on its way there: they are the same matter",
    )


class Suspect(Part):
    """A KPI's part in an incident."""

    metric_name: str
    category: str
    unit: str = ""
    share: Share = Field(description="of the incident's evidence so far")
    since: Instant | None = Field(default=None, description="when it was first out of the ordinary by itself")
    value: float | None = Field(default=None, description="where its own evidence was highest")
    expected: float | None = Field(default=None, description="what its level was then")
    direction: Literal["up", "down"] | None = None


class Incident(Part):
    """The joint evidence of a service's KPIs that something is wrong: one entry, however many of them cross a limit."""

    id: str
    service: str = "default"
    start: Instant = Field(description="when the evidence began to gather")
    noticed: Instant = Field(description="when it reached the threshold: the end of that step")
    end: Instant = Field(
        description="the end of the last step in which it was at the threshold, or a suspect was alarmed"
    )
    ongoing: bool = Field(default=False, description="it was not over when this was written")
    severity: Severity
    score: float = Field(description="the highest joint evidence")
    threshold: float
    suspects: tuple[Suspect, ...] = Field(description="the KPIs by their share, the largest first")
    earliest: str | None = Field(default=None, description="the KPI that was out of the ordinary first")
    anomalies: tuple[str, ...] = Field(default=(), description="ids of the service's anomalies in its time")
    in_maintenance: bool | None = None


Finding: TypeAlias = Anomaly | NewLevel | Incident


class Notification(Artifact):
    """What is told of an incident, once: that it began, became more severe, or is over."""

    id: str
    status: Literal["open", "escalated", "resolved"]
    at: Instant
    release: str
    incident: Incident


class AnomalyEvents(Artifact):
    """``anomaly_events.json``. A bare list of events is read too."""

    service: str = "default"
    window: Window | None = None
    detector: dict[str, Any] = Field(default={})
    scored: dict[str, int] = Field(default={}, description="KPI → how many samples were scored in the window")
    anomalies: tuple[Anomaly, ...] = ()
    new_levels: tuple[NewLevel, ...] = Field(default=(), description="KPIs that moved since GA and did not come back")
    incidents: tuple[Incident, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def distinct(self) -> tuple[Anomaly, ...]:
        """Each matter once: of anomalies of one KPI at one time, as several detectors find them, the most severe. Those
        in maintenance stand for themselves."""
        kept: dict[tuple[str, bool], list[Anomaly]] = {}
        for event in sorted(self.anomalies, key=lambda event: -SEVERITIES.index(event.severity)):
            others = kept.setdefault((event.metric_name, event.in_maintenance is True), [])
            if not any(event.overlaps(other) for other in others):
                others.append(event)
        found = {id(event) for others in kept.values() for event in others}
        return tuple(event for event in self.anomalies if id(event) in found)

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, data: Any) -> Any:
        return {"anomalies": data} if isinstance(data, list) else data
