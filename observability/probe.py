"""What the queries of a release file find on its server, and what a whole run will cost, from one hour of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from observability.absence import Absence, Labels, Reason
from observability.definitions import Kind, Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.model import DAYS_BEFORE, LAST_DAY, MIXED_BOUNDS, Array, Plan, Query, Samples, Window, format_instant
from observability.probed import SEVERITIES, Cost, Finding, Probe, QueryProbe, Severity
from observability.promql import selectors
from observability.series_checks import has_all_buckets, too_many, undecided
from observability.sources.answer import Series
from observability.sources.folding import replica_label

DAYS = DAYS_BEFORE + 1 + LAST_DAY
HOURS = 24  # of a day; a rehearsal's are shorter
RESOLUTION = timedelta(milliseconds=1)
SAMPLE_BYTES = 20  # of one sample in JSON, besides its value
COUNTED_S = 600  # how much of the raw samples is counted for the scrape interval
TRIES, LONG_S = 3, 0.5
MUCH_LONGER = 1.5  # a scrape interval this many times the step leaves steps empty

Said = Callable[[str], None]


class Server(Labels, Protocol):
    """What is asked of ``sources.prometheus.Prometheus``."""

    url: str

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]: ...

    def instant(self, name: str, promql: str, at: datetime) -> Sequence[Series]: ...


def probe(release: Release, server: Server, now: datetime, clock: Callable[[], float], advance: Said) -> Probe:
    """Ask for one hour of each query. ``clock`` reads seconds; ``advance`` is told what is being asked.

    The hour is the last one of the GA day, or the last one before ``now`` while the GA day is not over; where the
    server has nothing in it, the last one before ``now``. Raises ``NotEnoughDataError`` where it has nothing at all.
    """
    hours = [_Asking(release, server, window, clock, advance) for window in _hours(release, now)]
    first = hours[0].window
    asking = next((hour for hour in hours if hour.ask()), None) or next((hour for hour in hours if hour.metrics), None)
    if asking is None:
        ends = " and ".join(format_instant(hour.window.end) for hour in hours)
        raise NotEnoughDataError(
            f"{server.url} has no metrics at all in the hour before {ends}; check that it is the right server, or give "
            "--now."
        )
    probes = tuple(asking.measure())
    return Probe(
        prometheus=server.url,
        window=asking.window,
        instead_of=None if asking.window == first else first,
        queries=probes,
        findings=tuple(sorted(asking.findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        total=sum((one.run for one in probes), Cost()),
        together_s=asking.together_s([one.query for one in probes if one.run != Cost()]),
        concurrency=release.prometheus.concurrency,
    )


def _hours(release: Release, now: datetime) -> list[Window]:
    """The hours to ask for, in whole steps: the second only where the first has nothing."""
    steps = int(release.day / HOURS // release.step)
    ends = {min(now, release.calendar.window(0).end) if now > release.ga else now: None, now: None}
    whole = [release.ga + (end - release.ga) // release.step * release.step for end in ends]
    return [Window(start=end - steps * release.step, end=end) for end in whole]


@dataclass
class _Asking:
    """One hour of one server, query by query. ``found``: query → its series; ``refused``: the queries in error."""

    release: Release
    server: Server
    window: Window
    clock: Callable[[], float]
    advance: Said
    found: dict[str, Sequence[Series]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.absence = Absence(self.server, self.window, self.release)
        self.plan = self.release.plan
        self.at = self.window.end - RESOLUTION

    @property
    def metrics(self) -> Sequence[str]:
        return self.absence.metrics

    def ask(self) -> bool:
        """Ask which series each query had in the hour; whether there were any."""
        for number, query in enumerate(self.plan.queries, start=1):
            self.advance(f"series of query {number} of {len(self.plan.queries)}, {query.name}")
            try:
                self.found[query.name] = self._series(query)
            except ConfigError as error:
                self.found[query.name] = ()
                self._refuse(query, str(error))
        return any(self.found.values())

    def _series(self, query: Query) -> Sequence[Series]:
        of_hour = f"[{self.window.seconds:.0f}s:{self.plan.step_s}s]"
        wrapped = f"last_over_time(({query.promql}\n){of_hour})"  # a new line ends a comment
        try:
            return self.server.instant(query.name, wrapped, self.at)
        except ConfigError:
            plain = self.server.instant(query.name, query.promql, self.at)  # raises the server's own words on it
            if [one.metric for one in plain] != [{}]:
                raise
            return plain  # a scalar, of which there is no subquery

    def measure(self) -> Iterator[QueryProbe]:
        """What the series tell, and what they cost."""
        for number, query in enumerate(self.plan.queries, start=1):
            self.advance(f"an hour of query {number} of {len(self.plan.queries)}, {query.name}")
            series = {service: self._of(service, query) for service in self._wanting(query)}
            counts = {service: len(found) for service, found in series.items()}
            if query.name not in self.refused:
                self._examine(query, series)
            result = QueryProbe(
                query=query.name, type=query.type, series=len(self.found[query.name]), by_service=counts
            )
            yield self._costed(result, query) if query.name not in self.refused else result

    def _wanting(self, query: Query) -> list[str]:
        """The services that have a KPI which comes from the query."""
        return [service for service in self.plan.services if self._kpis(query.name, [service])]

    def _kpis(self, query: str, services: Sequence[str]) -> tuple[str, ...]:
        usage = self.release.prices.usage if self.release.prices else {}
        return tuple(
            name
            for name, kpi in self.release.kpis.items()
            if (query in kpi.operands or (kpi.kind is Kind.COST and query in usage))
            and any(name in self.release.kpis_of(service) for service in services)
        )

    def _of(self, service: str, query: Query | str) -> list[Series]:
        """A query's series that concern the service: its own, and those without the label."""
        label, name = self.plan.service_label, query if isinstance(query, str) else query.name
        return [one for one in self.found[name] if label is None or one.metric.get(label, service) == service]

    def _examine(self, query: Query, series: Mapping[str, list[Series]]) -> None:
        absent = [service for service, found in series.items() if not found]
        if absent:
            self._absent(query, absent)
        for service, found in series.items():
            if query.type == "gauge" and (text := too_many(found, self.plan.service_label)):
                self._refuse(query, text, [service])
            if query.type == "buckets" and found:
                self._buckets(query, service, found)
        replica = replica_label([one.metric for one in self.found[query.name]])
        if replica is not None:
            text = (
                f"series differ in nothing but the label {replica}, and each of them counts; ask a querier that "
                f"deduplicates, or choose one of the label's values with `matchers`"
            )
            self._say("warning", query, list(series), text)

    def _buckets(self, query: Query, service: str, found: Sequence[Series]) -> None:
        if not has_all_buckets(found):
            text = 'there is no bucket with le="+Inf", and no quantile without it; ask for all of the _bucket series'
            self._say("no data", query, [service], text)
        for text in undecided(self.release, service, query.name, found):
            self._say("warning", query, [service], text)

    def _absent(self, query: Query, absent: list[str]) -> None:
        """Nothing of some services: the reason that holds for all of them, or else each one's own."""
        reason = self.absence.reason(query.promql, absent)
        of_all = reason.cause in {"no metric", "no label", "no service"}
        alike: dict[tuple[Severity, str], list[str]] = {}
        for service in absent:
            own = reason if of_all else self.absence.reason(query.promql, [service])
            alike.setdefault(self._judged(query, service, own), []).append(service)
        for (severity, text), services in alike.items():
            self._say(severity, query, services, text)

    def _judged(self, query: Query, service: str, reason: Reason) -> tuple[Severity, str]:
        """Whether a reason is one to worry about. An absent numerator is 0 where the denominator was seen, and no alert
        is the best that can be found."""
        if query.type == "alerts":
            told_apart = reason.cause != "no label"
            return ("note", "no alert fired in the hour") if told_apart else ("warning", f"alerts: {reason.text}")
        if not self._is_counted_elsewhere(query, service):
            return "no data", reason.text
        if reason.cause == "no label":
            return "no data", f"{reason.text}; events that are never found would count as none"
        if reason.cause == "no metric":
            return "warning", f"no event so far, or a wrong name: {reason.text}"
        return "note", f"no event in the hour, as it seems: {reason.text}"

    def _is_counted_elsewhere(self, query: Query, service: str) -> bool:
        """Whether the query is the numerator of ratios whose denominators have series."""
        kpis = [self.release.kpis[name] for name in self._kpis(query.name, [service])]
        return all(
            kpi.kind is Kind.RATIO and kpi.numerator == query.name and bool(self._of(service, str(kpi.denominator)))
            for kpi in kpis
        )

    def _costed(self, result: QueryProbe, query: Query) -> QueryProbe:
        """With what an hour, a day and the whole run cost. What is asked for once, whatever the length, is told from
        the rest by asking for a single step too."""
        series = self.found[query.name]
        if not series:
            return result
        interval = self._interval(query) if query.is_counted else None
        try:
            _, once = self._timed([query], self._one_step)
            samples, seconds = self._timed([query], self.window)
        except ConfigError as error:
            self._refuse(query, str(error))
            return result
        self._without_numbers(query, samples)
        self._samples_warnings(query, samples)
        each = self.window.seconds / (interval or self.plan.step_s)
        width = sum(len(one.value[1]) for one in series if one.value) / len(series) + SAMPLE_BYTES
        names = sum(len(str(one.metric)) for one in series)
        hour = Cost(samples=each * len(series), seconds=seconds, bytes=each * len(series) * width + names)
        day = Cost(
            samples=self._hours * hour.samples,
            seconds=self._of_day(once, seconds),
            bytes=self._hours * (hour.bytes - names) + names,
        )
        run = Cost(samples=DAYS * day.samples, seconds=DAYS * day.seconds, bytes=DAYS * day.bytes)
        return result.model_copy(update={"interval_s": interval, "hour": hour, "day": day, "run": run})

    def together_s(self, names: Sequence[str]) -> float:
        """The seconds of the whole run with all these queries asked for together, as a run does it."""
        queries = [query for query in self.plan.queries if query.name in names]
        if not queries:
            return 0.0
        self.advance(f"an hour of all {len(queries)} queries together")
        once, seconds = self._timed(queries, self._one_step)[1], self._timed(queries, self.window)[1]
        return DAYS * self._of_day(once, seconds)

    @property
    def _one_step(self) -> Window:
        return Window(start=self.window.start, end=self.window.start + self.release.step)

    @property
    def _hours(self) -> float:
        return self.release.day.total_seconds() / self.window.seconds

    def _of_day(self, once: float, seconds: float) -> float:
        """From the seconds of a step and of an hour to those of a day."""
        return once + self._hours * max(seconds - once, 0.0)

    def _timed(self, queries: Sequence[Query], window: Window) -> tuple[Mapping[str, Samples], float]:
        """The samples, and the shortest of a few times that they took, because what disturbed one would be multiplied
        by all hours. What takes long is asked for once."""
        shortest = float("inf")
        for _ in range(TRIES):
            begun = self.clock()
            samples = self.server.fetch(replace(self.plan, queries=tuple(queries)), window)
            shortest = min(shortest, self.clock() - begun)
            if shortest > LONG_S:
                break
        return samples, shortest

    def _without_numbers(self, query: Query, samples: Mapping[str, Samples]) -> None:
        """Series of which no sample is a number that can be judged, such as 0/0."""
        for service in self._wanting(query):
            series, columns = self._of(service, query), samples[service].columns
            has_none = all(one.value is None or not math.isfinite(float(one.value[1])) for one in series)
            if series and has_none and not any(map(_has_number, columns.values())):
                text = (
                    f"{len(series)} series, and none of their samples in the hour is a finite number; correct the query"
                )
                self._say("no data", query, [service], text)

    def _samples_warnings(self, query: Query, samples: Mapping[str, Samples]) -> None:
        """What the source warns of, as it will in the run. Of counters by themselves only what their bounds tell: where
        they began is told by all of them together."""
        for service, found in samples.items():
            for text in (warning.removeprefix(f"{query.name}: ") for warning in found.warnings):
                if not query.is_counted or text.startswith(MIXED_BOUNDS):
                    self._say("warning", query, [service], text)

    def _interval(self, query: Query) -> float | None:
        """Seconds between the raw samples of the query's usual series, and a warning where the step is shorter."""
        selector = next((one for one in selectors(query.promql) if one.name is not None), None)
        if selector is None:
            return None
        counted = f"quantile(0.5, count_over_time({selector}[{COUNTED_S}s]))"
        answer = self.server.instant(query.name, counted, self.at)
        count = float(answer[0].value[1]) if answer and answer[0].value else 0.0
        if not count > 0:
            return None
        interval = COUNTED_S / count
        if interval > MUCH_LONGER * self.plan.step_s:
            text = f"scraped every {interval:.0f} s, so that most steps of {self.plan.step_s} s are empty"
            self._say("warning", query, self._wanting(query), f"{text}; write step: {interval:.0f}s")
        return interval

    def _refuse(self, query: Query, text: str, services: Sequence[str] | None = None) -> None:
        self.refused.add(query.name)
        text = text.removeprefix(f"query '{query.name}' at {self.server.url}: ")
        self._say("error", query, self._wanting(query) if services is None else services, text)

    def _say(self, severity: Severity, query: Query, services: Sequence[str], text: str) -> None:
        finding = Finding(
            severity=severity,
            query=query.name,
            kpis=self._kpis(query.name, services),
            services=tuple(services),
            text=text,
        )
        self.findings.append(finding)


def _has_number(column: Array) -> bool:
    return any(map(math.isfinite, column))
