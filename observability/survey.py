"""What a server has of the catalog's queries and of their alternatives, found by asking it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

import yaml

from observability.definitions import Release
from observability.model import Query, Window
from observability.sources.answer import Series

EXPORTERS = Path(__file__).parent / "catalog" / "exporters.yaml"
LOOKBACK = timedelta(hours=1)

_METRIC = re.compile(r'([a-zA-Z_:][\w:]*)[{\[]|__name__=~"([^"]+)"')


class Server(Protocol):
    """What is asked of ``sources.prometheus.Prometheus``."""

    url: str

    def instant(self, name: str, promql: str, at: datetime) -> Sequence[Series]: ...

    def label_values(self, label: str, selector: str | None, window: Window) -> list[str]: ...


@dataclass(frozen=True)
class Candidate:
    """One way to answer a query: the catalog's own, or an alternative. ``scale`` is None where it is the catalog's."""

    query: str
    promql: str
    exporter: str
    is_default: bool = False
    scale: float | None = None

    @property
    def metrics(self) -> list[str]:
        """The names, or regular expressions of names, of the metrics that it reads."""
        return list(dict.fromkeys(name or pattern for name, pattern in _METRIC.findall(self.promql)))

    @property
    def is_of_services(self) -> bool:
        return "$match" in self.promql

    def rendered(self, match: str, by: str, step: str) -> str:
        return self.promql.replace("$match", match).replace("$by", by).replace("$step", step)


@dataclass(frozen=True)
class Seen:
    """A candidate that has samples. ``rows``: the labels that may hold the services, and how many series have them."""

    candidate: Candidate
    rows: Sequence[tuple[Mapping[str, str], int]]

    @property
    def series(self) -> int:
        return sum(count for _, count in self.rows)

    def values(self, label: str) -> Counter[str]:
        """How many series each value of the label has."""
        found: Counter[str] = Counter()
        for labels, count in self.rows:
            if labels.get(label):
                found[labels[label]] += count
        return found

    def of(self, label: str | None, services: Sequence[str]) -> set[str]:
        """The services that it has samples of."""
        if label is None or not self.candidate.is_of_services:
            return set(services)
        return self.values(label).keys() & set(services)


@dataclass(frozen=True)
class Exporters:
    """``catalog/exporters.yaml``."""

    service_labels: Sequence[str]
    group_labels: Sequence[str]
    status_labels: Sequence[str]
    alternatives: Sequence[Candidate]

    @classmethod
    def read(cls) -> Exporters:
        data = yaml.safe_load(EXPORTERS.read_text(encoding="utf-8"))
        alternatives = [
            Candidate(query, promql, entry["exporter"], scale=entry.get("scale", {}).get(query))
            for entry in data["alternatives"]
            for query, promql in entry["queries"].items()
        ]
        return cls(data["service_labels"], data["group_labels"], data["status_labels"], alternatives)


class Survey:
    """The candidates of each query that had samples in the hour before ``now``, the catalog's own first."""

    def __init__(self, server: Server, release: Release, now: datetime) -> None:
        self.server, self.release = server, release
        self.window = Window(start=now - LOOKBACK, end=now)
        self.exporters = Exporters.read()
        self._labels = [*self.exporters.service_labels, *self.exporters.group_labels]

    @cached_property
    def names(self) -> list[str]:
        """The metrics that the server has samples of."""
        return self.server.label_values("__name__", None, self.window)

    @cached_property
    def seen(self) -> dict[str, list[Seen]]:
        """Query → its candidates that have samples; the errors follow from the requests, see ``statuses``."""
        asked = [name for name in self.release.queries if name not in {"http_errors", "critical_alerts"}]
        return {name: list(self._seen(name)) for name in asked}

    def candidates(self, name: str) -> list[Candidate]:
        query: Query = self.release.queries[name]
        own = Candidate(name, query.promql, query.exporter, is_default=True)
        return [own, *(other for other in self.exporters.alternatives if other.query == name)]

    def _seen(self, name: str) -> Iterator[Seen]:
        for candidate in self.candidates(name):
            if self.exists(candidate):
                rows = self._count(candidate, self._labels)
                if rows:
                    yield Seen(candidate, rows)

    def exists(self, candidate: Candidate) -> bool:
        """Whether the server has samples of each of its metrics."""
        return all(any(re.fullmatch(metric, name) for name in self.names) for metric in candidate.metrics)

    def _count(self, candidate: Candidate, labels: Sequence[str]) -> list[tuple[Mapping[str, str], int]]:
        """Of buckets only the last one is counted: one series per histogram."""
        is_histogram = self.release.queries[candidate.query].type == "buckets"
        promql = candidate.rendered('le="+Inf"' if is_histogram else "", ", ".join(labels), _seconds(LOOKBACK))
        found = self._ask(candidate.query, f"count by ({', '.join(labels)}) ({promql})")
        return [(row.metric, round(_number(row))) for row in found]

    def statuses(self, requests: Candidate) -> list[tuple[Mapping[str, str], int]]:
        """The labels that may hold a response's status, and how many series of the requests have them."""
        return self._count(requests, self.exporters.status_labels)

    def traffic(self, requests: Candidate, label: str) -> dict[str, float]:
        """Value of the label → its requests per second."""
        promql = requests.rendered(f'{label}!=""', label, _seconds(LOOKBACK)).replace("last_over_time(", "rate(")
        found = self._ask(requests.query, f"sum by ({label}) ({promql})")
        return {row.metric[label]: _number(row) for row in found}

    def samples(self, candidate: Candidate, match: str) -> int | None:
        """How many samples the series that was scraped most often has in the hour; None where nothing tells."""
        selectors = re.findall(r"last_over_time\(([^\[]+)\[\$step\]\)", candidate.promql)
        if not selectors or "__name__" in selectors[0]:  # count_over_time drops the name, and series would be alike
            return None
        selector = selectors[0].replace("$match", match)
        found = self._ask(candidate.query, f"max(count_over_time({selector}[{_seconds(LOOKBACK)}]))")
        return round(_number(found[0])) if found else None

    def _ask(self, name: str, promql: str) -> Sequence[Series]:
        return self.server.instant(name, promql, self.window.end)


def _number(series: Series) -> float:
    return float(series.value[1]) if series.value is not None else 0.0  # a native histogram has no one value


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f}s"
