"""Incidents as alerts of an Alertmanager, by version 2 of its API.

An alert is known by its labels, and its severity is one of them. So an incident that becomes more severe ends one alert
and begins another: at any time it has one alert that fires. An alert fires until its ``endsAt``, which lies a few
minutes ahead and is moved on by sending the alert again: if the watcher dies, its alerts end by themselves.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml and
https://prometheus.io/docs/alerting/latest/alerts_api/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from observability.events import Incident, Notification, Suspect
from observability.model import format_instant
from observability.units import format_value
from observability.watching.posting import Message

ALERT = "PostgaIncident"
PATH = "/api/v2/alerts"
MOST_NAMED = 3  # KPIs in the summary; the description has them all

Alert = dict[str, Any]


class Alerts:
    """What is posted to one Alertmanager, which has been told of the incidents in ``open_incidents``.

    ``lasting``: how long an alert fires if it is not sent again. ``now`` gives the present in UTC.
    """

    def __init__(
        self,
        labels: Mapping[str, str],
        lasting: timedelta,
        now: Callable[[], datetime],
        open_incidents: Iterable[Notification],
    ) -> None:
        self._labels, self._lasting, self._now = labels, lasting, now
        self._open = {told.incident.id: told for told in open_incidents}

    def message(self, notification: Notification) -> Message:
        """The alert, and the end of the one that the incident had with another severity."""
        before = self._open.get(notification.incident.id)
        alert = self._alert(notification)
        ended = [] if before is None else [self._until(before, notification.at)]
        return _message([*(other for other in ended if other["labels"] != alert["labels"]), alert])

    def delivered(self, notification: Notification) -> None:
        """It has been posted."""
        if notification.status == "resolved":
            self._open.pop(notification.incident.id, None)
        else:
            self._open[notification.incident.id] = notification

    def reminder(self) -> Message | None:
        """All alerts that fire, to be sent again; ``None`` where there are none."""
        return _message([self._alert(told) for told in self._open.values()]) if self._open else None

    def _alert(self, told: Notification) -> Alert:
        fires = told.status != "resolved"
        return self._until(told, self._now() + self._lasting if fires else told.incident.end)

    def _until(self, told: Notification, end: datetime) -> Alert:
        incident = told.incident
        return {
            "labels": {
                **self._labels,
                "alertname": ALERT,
                "service": incident.service,
                "severity": incident.severity,
                "release": told.release,
                "incident": incident.id,
            },
            "annotations": {"summary": summary(incident), "description": description(incident)},
            "startsAt": format_instant(incident.start),
            "endsAt": format_instant(max(end, incident.start)),  # an earlier end is refused
        }


def summary(incident: Incident) -> str:
    """One sentence for a pager: ``checkout: p99_latency_ms (54 %), overall_error_rate (31 %) since 14:02Z``."""
    named = [f"{suspect.metric_name} ({100 * suspect.share:.0f} %)" for suspect in incident.suspects]
    more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return f"{incident.service}: {', '.join([*named[:MOST_NAMED], *more])} since {_time(incident.start)}"


def description(incident: Incident) -> str:
    """The suspects, the largest share first, each with what it was and what was expected."""
    evidence = f"Joint evidence of {incident.score:.3g}, threshold {incident.threshold:.3g}"
    suspects = [f"{place}. {_suspect(suspect)}" for place, suspect in enumerate(incident.suspects, 1)]
    earliest = [] if incident.earliest is None else [f"Out of the ordinary first: {incident.earliest}."]
    return "\n".join([f"{evidence}, noticed at {format_instant(incident.noticed)}.", *suspects, *earliest])


def _suspect(suspect: Suspect) -> str:
    said = f"{suspect.metric_name} ({suspect.category}): {100 * suspect.share:.0f} % of the evidence"
    if suspect.value is not None:
        said += f", {format_value(suspect.value, suspect.unit)}"
    if suspect.expected is not None:
        said += f" where {format_value(suspect.expected, suspect.unit)} was expected"
    return said if suspect.since is None else f"{said}, since {_time(suspect.since)}"


def _time(instant: datetime) -> str:
    return f"{instant:%H:%M}Z"


def _message(alerts: list[Alert]) -> Message:
    return Message(json.dumps(alerts, ensure_ascii=False).encode(), path=PATH)
