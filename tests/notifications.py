"""Notifications of made-up incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from observability.artifacts import Severity
from observability.events import Incident, Notification, Suspect

START = datetime(2025, 11, 20, 14, 2, tzinfo=UTC)
SUSPECTS = (
    Suspect(
        metric_name="p99_latency_ms",
        category="latency",
        unit="ms",
        share=0.54,
        since=START,
        value=812.3,
        expected=240.1,
        direction="up",
    ),
    Suspect(metric_name="overall_error_rate", category="reliability", unit="%", share=0.31),
)


def incident(name: str = "checkout-1", severity: Severity = "high", start: datetime = START, **more: Any) -> Incident:
    fields = {"service": "checkout", "score": 18.21, "threshold": 14.0, "suspects": SUSPECTS, **more}
    noticed, end = start + timedelta(minutes=2), start + timedelta(minutes=9)
    return Incident(id=name, severity=severity, start=start, noticed=noticed, end=end, **fields)


def notification(
    name: str = "checkout-1",
    status: Literal["open", "escalated", "resolved"] = "open",
    severity: Severity = "high",
    start: datetime = START,
    **more: Any,
) -> Notification:
    told = incident(name, severity, start, **more)
    at = start + timedelta(minutes={"open": 2, "escalated": 5, "resolved": 9}[status])
    return Notification(id=f"{name}/{status}/{severity}", status=status, at=at, release="shop-v2", incident=told)
