"""What the watcher says of itself, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from math import nan

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from observability import __version__
from observability.artifacts import SEVERITIES, Severity

PREFIX = "postga_watch"
STEP_BOUNDS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)

Counts = Callable[[], Mapping[str, int]]


class Metrics:
    """Counters that begin at 0 with the process, and gauges of how the watcher stands.

    ``start`` is the end of the last step that was scored before, or where the watch begins: the lag counts from there
    until a step is scored. ``clock`` gives the present in UTC. The labels' values that are known before anything
    happens, ``channels`` and ``queries``, are told with 0 from the first scrape on, so that ``increase()`` sees the
    first event. All methods can be called from any thread.
    """

    def __init__(
        self,
        start: datetime,
        clock: Callable[[], datetime],
        channels: Iterable[str] = (),
        queries: Iterable[str] = (),
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each counter
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Info("build", "The version that runs.", namespace=PREFIX, registry=self.registry).info({"version": __version__})
        self._end = start
        self._make_counters()
        self._make_gauges()
        self._gauge("lag_seconds", "Now minus the end of the last step that was scored.").set_function(
            lambda: (clock() - self._end).total_seconds()
        )
        self._tell_zeros(channels, queries)

    def _make_counters(self) -> None:
        self._samples = self._counter("samples_total", "KPI values that were scored.")
        self._steps = self._counter("steps_total", "Steps that were scored.")
        self._late = self._counter("late_samples_total", "Samples that came after their step; they are not scored.")
        self._failures = self._counter("query_failures_total", "Queries that could not be used in a step.", "query")
        self._episodes = self._counter("episodes_total", "Anomalies that are over.", "severity", "channel")
        self._incidents = self._counter("incidents_total", "Incidents that were opened.", "severity")

    def _make_gauges(self) -> None:
        self._last_step = self._gauge("last_step_timestamp_seconds", "End of the last step that was scored.")
        self._checkpoint = self._gauge("checkpoint_timestamp_seconds", "End of the last step in the last checkpoint.")
        for gauge in (self._last_step, self._checkpoint):
            gauge.set(nan)
        self._speed = self._gauge("samples_per_second", "KPI values scored per second of work, in the last step.")
        self._series = self._gauge("series", "KPIs of services that are scored.")
        self._open_incidents = self._gauge("open_incidents", "Incidents that are not over.")
        self._open_episodes = self._gauge("open_episodes", "Anomalies that are not over.")
        self._duration = Histogram(
            "step_duration_seconds",
            "From the first query of a step to its events; the mean of steps that were read together.",
            namespace=PREFIX,
            buckets=STEP_BOUNDS_S,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, namespace=PREFIX, registry=self.registry)

    def _tell_zeros(self, channels: Iterable[str], queries: Iterable[str]) -> None:
        for query in queries:
            self._failures.labels(query)
        for severity in SEVERITIES:
            self._incidents.labels(severity)
        for channel in channels:
            for severity in SEVERITIES:
                self._episodes.labels(severity, channel)

    def stepped(self, end: datetime, samples: int, seconds: float, late: int = 0, steps: int = 1) -> None:
        """``steps`` steps were scored, the last one ending at ``end``: ``samples`` KPI values, in ``seconds``."""
        self._end = end
        self._last_step.set(end.timestamp())
        self._steps.inc(steps)
        self._samples.inc(samples)
        self._late.inc(late)
        self._duration.observe(seconds / steps)
        self._speed.set(samples / seconds if seconds > 0 else nan)

    def failed(self, query: str) -> None:
        """A query could not be used in a step."""
        self._failures.labels(query).inc()

    def episode(self, severity: Severity, channel: str) -> None:
        """An anomaly is over."""
        self._episodes.labels(severity, channel).inc()

    def incident(self, severity: Severity) -> None:
        """An incident was opened."""
        self._incidents.labels(severity).inc()

    def set_open(self, incidents: int, episodes: int) -> None:
        """How many are not over."""
        self._open_incidents.set(incidents)
        self._open_episodes.set(episodes)

    def set_series(self, series: int) -> None:
        """How many KPIs are scored, each service's by itself."""
        self._series.set(series)

    def checkpointed(self, end: datetime) -> None:
        """All that was learned up to ``end`` is on the disk."""
        self._checkpoint.set(end.timestamp())

    def sinks(self, pending: Counts, failures: Counts) -> None:
        """From now on each scrape asks for these, sink → count: what waits to be delivered, and what failed so far."""
        self.registry.register(_Sinks(pending, failures))

    def exposition(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and text, in the format that an ``Accept`` header asks for: Prometheus' own, or OpenMetrics."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self.registry)


class _Sinks(Collector):
    """Asked at the scrape, not told by the watcher's loop, which may be waiting for its source just then."""

    def __init__(self, pending: Counts, failures: Counts) -> None:
        self._pending, self._failures = pending, failures

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            f"{PREFIX}_notifications_pending", "Notifications that are not delivered yet.", labels=["sink"]
        )
        failed = CounterMetricFamily(
            f"{PREFIX}_notification_failures", "Attempts to deliver a notification that failed.", labels=["sink"]
        )
        for family, counts in ((waiting, self._pending()), (failed, self._failures())):
            for sink, count in counts.items():
                family.add_metric([sink], count)
            yield family
