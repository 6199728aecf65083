"""What to propose of what a server has: the label, the services, a query for each of the catalog's, and the step."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property

from observability.definitions import DEFAULT_SERVICE, Kind, Kpi
from observability.errors import NotEnoughDataError
from observability.model import format_instant, one_of
from observability.release_checks import fits_a_folder
from observability.survey import LOOKBACK, Candidate, Seen, Survey

MOST_SERVICES = 20
DAY_S = 86_400
REQUESTS, ERRORS, ALERTS, TARGETS = "http_requests", "http_errors", "critical_alerts", "targets"
USAGE = ("cpu_cores", "memory_bytes", "storage_used", "network_octets")
# What a label's values look like if they are a response's status → the matcher of the server errors among them.
STATUSES = (("[1-5][0-9][0-9]", '=~"5.."'), ("[1-5]xx", '="5xx"'), ("[1-5]", '="5"'))


class Choice:
    """What to propose of what a survey found. Raises ``NotEnoughDataError`` where it found no query's samples."""

    def __init__(self, survey: Survey) -> None:
        self.survey, self.release = survey, survey.release

    @cached_property
    def anchor(self) -> Seen:
        """What the services are read from: the requests, else the first query about services that has samples."""
        for found in self.survey.seen.values():
            if found and found[0].candidate.is_of_services:
                return found[0]
        window, names = self.survey.window, self.survey.names
        raise NotEnoughDataError(
            f"{self.survey.server.url} has no samples of a metric that postga knows between "
            f"{format_instant(window.start)} and {format_instant(window.end)} ({len(names)} metrics have some); check "
            "the URL, give --now with an instant of which it has, or leave out --from and write the queries yourself."
        )

    @cached_property
    def label(self) -> str | None:
        """The label on the anchor whose values most of the queries have: counted per value, the usual one of equals."""
        exporters = self.survey.exporters
        for labels in (exporters.service_labels, exporters.group_labels):
            there = [label for label in labels if any(map(is_usable, self.anchor.values(label)))]
            if there:
                return max(there, key=lambda label: sum(self.joined(label)))  # of equals, the first
        return None

    def joined(self, label: str) -> list[int]:
        """For each query about services, how many of the label's values on the anchor it has samples of."""
        values = list(self.anchor.values(label))
        return [
            max(len(seen.of(label, values)) for seen in found)
            for found in self.survey.seen.values()
            if found and found[0].candidate.is_of_services
        ]

    @cached_property
    def traffic(self) -> dict[str, float]:
        """Value of the label → requests per second, or where there are no requests, how many series it has."""
        if self.label is None:
            return {}
        if self.anchor.candidate.query == REQUESTS:
            return self.survey.traffic(self.anchor.candidate, self.label)
        return {value: float(count) for value, count in self.anchor.values(self.label).items()}

    @cached_property
    def usable(self) -> list[str]:
        """The label's values that can name a folder, the busiest first."""
        values = self.anchor.values(self.label) if self.label else {DEFAULT_SERVICE: 1}
        return sorted(filter(is_usable, values), key=lambda value: (-self.traffic.get(value, 0.0), value))

    @cached_property
    def services(self) -> list[str]:
        return self.usable[:MOST_SERVICES]

    @cached_property
    def chosen(self) -> dict[str, Seen]:
        """Query → the candidate that most of the services have samples of; of equals one of the requests' exporter,
        else the first."""
        return {
            name: min(found, key=lambda seen: (-len(self.of(seen)), seen.candidate.exporter != self._exporter))
            for name, found in self.survey.seen.items()
            if any(self.of(seen) for seen in found)
        }

    def of(self, seen: Seen) -> set[str]:
        return seen.of(self.label, self.services)

    @cached_property
    def _exporter(self) -> str:
        return self.anchor.candidate.exporter

    @cached_property
    def status(self) -> tuple[str, list[str], str] | None:
        """The label with the responses' status, its values, and the matcher of the errors; None without one."""
        rows = self.survey.statuses(self.chosen[REQUESTS].candidate)
        for label in self.survey.exporters.status_labels:
            values = sorted({labels[label] for labels, _ in rows if labels.get(label)})
            for pattern, matcher in STATUSES:
                if any(re.fullmatch(pattern, value) for value in values):
                    return label, values, f"{label}{matcher}"
        return None

    @cached_property
    def errors(self) -> Candidate | None:
        """The query of the errors: the exporter's own, else the requests with a matcher of their status."""
        if REQUESTS not in self.chosen:
            return None
        requests = self.chosen[REQUESTS].candidate
        for own in self.survey.candidates(ERRORS):
            if own.exporter == requests.exporter and not own.is_default:
                return own
        if self.status is None:
            return None
        promql = requests.promql.replace("$match", f"{self.status[2]},$match")
        return Candidate(ERRORS, promql, requests.exporter, promql == self.release.queries[ERRORS].promql)

    @cached_property
    def covered(self) -> dict[str, set[str]]:
        """Query → the services that it has samples of. Errors and alerts may have none: that is good news."""
        covered = {name: self.of(seen) for name, seen in self.chosen.items()}
        if self.errors is not None:
            covered[ERRORS] = covered[REQUESTS]
        if TARGETS in covered:
            covered[ALERTS] = covered[TARGETS]
        return covered

    def lacks(self, kpi: Kpi, service: str) -> list[str]:
        """The queries of the KPI that have no samples of the service."""
        return [name for name in kpi.operands if service not in self.covered.get(name, set())]

    def is_histogram(self, query: str) -> bool:
        return self.release.queries[query].type == "buckets"

    def kpis_of(self, service: str) -> list[str]:
        return [name for name, kpi in self.release.kpis.items() if self._has(kpi, service)]

    def _has(self, kpi: Kpi, service: str) -> bool:
        """A cost can be told where any of the usage that has a price is known."""
        if kpi.kind is Kind.COST:
            return any(service in self.covered.get(query, set()) for query in USAGE)
        return not self.lacks(kpi, service)

    @cached_property
    def kpis(self) -> list[str]:
        """The KPIs that at least one service has."""
        have = {name for service in self.services for name in self.kpis_of(service)}
        return [name for name in self.release.kpis if name in have]

    @cached_property
    def intervals(self) -> dict[str, int]:
        """Metric → its scrape interval in seconds, of the metrics that are read step by step."""
        match = _matcher(self.label, self.services)
        counts = {
            seen.candidate.metrics[0]: self.survey.samples(seen.candidate, match) for seen in self.chosen.values()
        }
        return {metric: interval(count) for metric, count in counts.items() if count is not None and count > 1}

    @property
    def step_s(self) -> int:
        return max(self.intervals.values(), default=60)


def interval(samples: int) -> int:
    """The scrape interval in seconds that fits so many samples in an hour best, of those that divide the day.

    >>> interval(60), interval(61), interval(240), interval(119)
    (60, 60, 15, 30)
    """
    divisors = [seconds for seconds in range(1, 3601) if DAY_S % seconds == 0]
    wanted = LOOKBACK.total_seconds() / samples
    return min(divisors, key=lambda seconds: abs(math.log(seconds / wanted)))


def is_usable(value: str) -> bool:
    """Whether a service of this name can have a folder."""
    return fits_a_folder(value) and bool(value.strip()) and value not in {".", ".."} and not set(value) & set("/\\")


def _matcher(label: str | None, services: Sequence[str]) -> str:
    if label is None:
        return ""
    return f"{label}=~{one_of(services)}"
