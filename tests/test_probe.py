"""What a probe concludes from what a server answers: of a server that is a table of series."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from observability.absence import Absence
from observability.definitions import Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.model import Plan, Samples, Window
from observability.probe import probe
from observability.probe_table import sentences, table, total
from observability.probed import Cost, Finding, Probe, QueryProbe
from observability.promql import selectors
from observability.release import examine
from observability.sources.answer import Series

GA = datetime(2025, 11, 18, tzinfo=UTC)
NOW = GA + timedelta(days=30)
LAST_HOUR = Window(start=GA + timedelta(hours=23), end=GA + timedelta(days=1))
NUMBER = (0.0, "12345")
SHOP = [
    {"__name__": "http_requests_total", "service": service, "instance": f"{service}:80", "code": code}
    for service, code in [("shop", "200"), ("shop", "500"), ("pay", "200")]
]
BUCKETS = [
    {"__name__": "http_request_duration_seconds_bucket", "service": service, "instance": f"{service}:80", "le": le}
    for service in ("shop", "pay")
    for le in ("0.1", "0.5", "1.0", "+Inf")
]
HEAD = "release: r\nga: 2025-11-18T00:00:00Z\nservices: [shop, pay]\n"
REQUESTS = "only: [overall_error_rate, request_rate]\n"


class Table:
    """A server whose series all have a sample at any time in ``there``, scraped every ``interval_s`` seconds."""

    url = "http://table"

    def __init__(self, *series: dict[str, str], interval_s: float = 60, there: Window | None = None) -> None:
        self.series, self.interval_s, self.there = series, interval_s, there
        self.asked: list[str] = []
        self.seconds = 0.0

    def matching(self, promql: str, window: Window) -> list[dict[str, str]]:
        if self.there is not None and (window.end <= self.there.start or window.start >= self.there.end):
            return []
        found = [one for selector in selectors(promql) for one in self.series if fits(one, selector)]
        by = re.search(r"sum by \((\w+)\)", promql)
        return found if by is None else [{by[1]: name} for name in sorted({one.get(by[1], "") for one in found})]

    def instant(self, name: str, promql: str, at: datetime) -> list[Series]:
        self.asked.append(promql)
        if promql.startswith("last_over_time((scalar"):
            raise ConfigError("a scalar has no subquery")
        if promql.startswith("scalar"):
            return [Series(metric={}, value=NUMBER)]
        if "broken" in promql:
            raise ConfigError(f"query '{name}' at {self.url}: HTTP 400 (no); correct the query: {promql}")
        window = Window(start=at - timedelta(hours=1), end=at)
        if "count_over_time" in promql:
            count = 600 / self.interval_s if self.matching(promql, window) else None
            return [] if count is None else [Series(metric={}, value=(0.0, str(count)))]
        return [Series(metric=one, value=NUMBER) for one in self.matching(promql, window)]

    def label_names(self, selector: str, window: Window) -> list[str]:
        return sorted({name for one in self.matching(selector, window) for name in one})

    def label_values(self, label: str, selector: str | None, window: Window) -> list[str]:
        found = self.matching(selector or '{__name__!=""}', window)
        return sorted({one[label] for one in found if label in one})

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        """Takes 2 s for each request and 1 s more for each hour of it."""
        self.seconds += 2 + window.seconds / 3600
        ones = np.ones(window.steps(plan.step_s))
        return {one: Samples(one, window, plan.step_s, {plan.queries[0].name: ones}) for one in plan.services}


def fits(labels: dict[str, str], selector: object) -> bool:
    """The matchers of PromQL, spelled out."""
    if selector.name is not None and labels["__name__"] != selector.name:
        return False
    for matcher in selector.matchers:
        value, wanted = labels.get(matcher.label, ""), matcher.value[1:-1].replace("\\\\", "\\")
        same = value == wanted if matcher.op in {"=", "!="} else re.fullmatch(wanted, value) is not None
        if same == matcher.op.startswith("!"):
            return False
    return True


def release(tmp_path: Path, text: str, head: str = HEAD) -> Release:
    path = tmp_path / "release.yaml"
    path.write_text(head + text)
    found, problems = examine(path)
    assert found is not None, problems
    return found


def probed(release: Release, server: Table, now: datetime = NOW) -> Probe:
    return probe(release, server, now, lambda: server.seconds, lambda text: None)


def said(release: Release, server: Table) -> list[tuple[str, str, tuple[str, ...], str]]:
    findings = probed(release, server).findings
    return [(one.severity, one.query, one.services, one.text) for one in findings]


def test_what_is_all_there_is_only_counted(tmp_path: Path) -> None:
    found = probed(release(tmp_path, REQUESTS), Table(*SHOP))
    assert [(one.query, one.series, one.by_service) for one in found.queries] == [
        ("http_requests", 3, {"shop": 2, "pay": 1}),
        ("http_errors", 1, {"shop": 1, "pay": 0}),
    ]
    assert found.window == LAST_HOUR
    assert found.instead_of is None
    assert [one.severity for one in found.findings] == ["note"]


def test_the_cost_is_told_from_an_hour_and_a_step(tmp_path: Path) -> None:
    """Three series, scraped every 30 s: 120 · 3 = 360 samples an hour, 8,640 a day, 129,600 in fifteen days.

    A step of 60 s takes 2 + 1/60 s and an hour 3 s, so 24 hours take 2 + 1/60 + 24 · (1 − 1/60) = 25.6167 s.
    A sample is the 5 characters of its value and 20 more.
    """
    (requests, _) = probed(release(tmp_path, REQUESTS), Table(*SHOP, interval_s=30)).queries
    assert requests.interval_s == 30
    assert [cost.samples for cost in (requests.hour, requests.day, requests.run)] == [360, 8640, 129_600]
    assert requests.hour.seconds == pytest.approx(3)
    assert requests.day.seconds == pytest.approx(2 + 1 / 60 + 24 * (1 - 1 / 60))
    assert requests.run.seconds == pytest.approx(15 * requests.day.seconds)
    names = sum(len(str(one)) for one in SHOP)
    assert requests.hour.bytes == 360 * 25 + names
    assert requests.day.bytes == 8640 * 25 + names


def test_a_gauge_has_a_sample_for_each_step_and_service(tmp_path: Path) -> None:
    text = "only: [db_connections]\nstep: 5m\n"
    server = Table(*({"__name__": "pg_stat_activity_count", "service": one, "pod": "a"} for one in ("shop", "pay")))
    (sessions,) = probed(release(tmp_path, text), server).queries
    assert (sessions.hour.samples, sessions.interval_s) == (24, None)


def test_a_rehearsal_has_shorter_hours(tmp_path: Path) -> None:
    found = probed(release(tmp_path, REQUESTS + "day: 48m\n"), Table(*SHOP))
    assert found.window == Window(start=GA + timedelta(minutes=46), end=GA + timedelta(minutes=48))
    assert found.queries[0].hour.samples == 6
    assert found.queries[0].day.samples == 24 * 6


@pytest.mark.parametrize(
    ("now", "there", "end", "instead"),
    [
        (NOW, None, LAST_HOUR.end, False),
        (GA + timedelta(hours=5, seconds=59), None, GA + timedelta(hours=5), False),
        (GA - timedelta(days=3, seconds=1), None, GA - timedelta(days=3, minutes=1), False),
        (NOW, Window(start=NOW - timedelta(days=1), end=NOW), NOW, True),
    ],
)
def test_the_hour_is_of_the_ga_day_or_else_the_last_one(
    tmp_path: Path, now: datetime, there: Window | None, end: datetime, instead: bool
) -> None:
    found = probed(release(tmp_path, REQUESTS), Table(*SHOP, there=there), now)
    assert (found.window.start, found.window.end) == (end - timedelta(hours=1), end)
    assert (found.instead_of == LAST_HOUR) is instead


def test_a_server_without_anything_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match=r"http://table has no metrics at all in the hour before .* and "):
        probed(release(tmp_path, ""), Table())


def test_a_misspelt_metric(tmp_path: Path) -> None:
    text = REQUESTS + "queries: {http_requests: 'htp_requests_total{$match}'}\n"
    assert said(release(tmp_path, text), Table(*SHOP))[0][:3] == ("no data", "http_requests", ("shop", "pay"))
    assert (
        "no metric htp_requests_total; did you mean http_requests_total?"
        in said(release(tmp_path, text), Table(*SHOP))[0][3]
    )


NO_LABEL = (
    "there is no label app, which `service_label` asks for; "
    "the label service names the services: write service_label: service"
)


def test_a_service_label_that_is_not_there_and_the_one_that_is(tmp_path: Path) -> None:
    found = said(release(tmp_path, REQUESTS + "service_label: app\n"), Table(*SHOP))
    assert [query for _, query, _, _ in found] == ["http_requests", "http_errors"]
    assert {text for _, _, _, text in found} == {NO_LABEL}


def test_a_misspelt_service_next_to_a_right_one(tmp_path: Path) -> None:
    head = HEAD.replace("shop, pay", "shop, pya")
    found = said(release(tmp_path, "only: [request_rate]\n", head), Table(*SHOP))
    assert found == [("no data", "http_requests", ("pya",), "the label service is never pya; did you mean pay?")]


def test_a_service_that_has_not_the_kpi_is_not_missed(tmp_path: Path) -> None:
    head = HEAD.replace("[shop, pay]", "{shop: {only: [request_rate]}, queue: {only: [db_connections]}}")
    server = Table(*SHOP, {"__name__": "pg_stat_activity_count", "service": "queue"})
    assert said(release(tmp_path, "only: [request_rate, db_connections]\n", head), server) == []


def test_matchers_that_exclude_all(tmp_path: Path) -> None:
    found = said(release(tmp_path, 'only: [request_rate]\nmatchers: env="prod"\n'), Table(*SHOP))
    assert [one[3] for one in found] == ["there is no label env, which `matchers` asks for"]
    server = Table(*({**one, "env": "live"} for one in SHOP))
    (found,) = said(release(tmp_path, 'only: [request_rate]\nmatchers: env="prod"\n'), server)[:1]
    assert found[3] == 'no series of http_requests_total{service=~"shop"} has env="prod"; its env is live'


def test_errors_that_never_happened_are_fine(tmp_path: Path) -> None:
    server = Table(*(one for one in SHOP if one["code"] == "200"))
    found = said(release(tmp_path, REQUESTS), server)
    assert {(severity, query) for severity, query, _, _ in found} == {("note", "http_errors")}
    assert "its code is 200" in found[0][3]


def test_errors_by_a_label_that_is_not_there_are_not(tmp_path: Path) -> None:
    server = Table(*({("status" if name == "code" else name): value for name, value in one.items()} for one in SHOP))
    ((severity, query, services, text),) = said(release(tmp_path, REQUESTS), server)
    assert (severity, query, services) == ("no data", "http_errors", ("shop", "pay"))
    assert "has no label code; it has instance, service, status; events that are never found" in text


def test_errors_of_a_metric_of_their_own_may_still_be_to_come(tmp_path: Path) -> None:
    text = REQUESTS + "queries: {http_errors: 'http_errors_total{$match}'}\n"
    ((severity, query, _, text),) = said(release(tmp_path, text), Table(*SHOP))
    assert (severity, query) == ("warning", "http_errors")
    assert text.startswith("no event so far, or a wrong name: the server has no metric http_errors_total")


def test_no_alert_is_good_news_but_alerts_of_no_service_are_not(tmp_path: Path) -> None:
    watched = release(tmp_path, "only: [critical_incident_count]\n")
    up = {"__name__": "up", "job": "shop"}
    assert [one[:2] for one in said(watched, Table(up))] == [("note", "critical_alerts")]
    alert = {"__name__": "ALERTS", "alertstate": "firing", "severity": "critical"}
    ((severity, query, _, text),) = said(watched, Table(up, alert))
    assert (severity, query) == ("warning", "critical_alerts")
    assert "no label service" in text


def test_a_gauge_of_several_series_cannot_be_used(tmp_path: Path) -> None:
    text = "only: [db_connections]\nqueries: {db_sessions: 'pg_stat_activity_count{$match}'}\n"
    series = [{"__name__": "pg_stat_activity_count", "service": "shop", "datname": name} for name in ("a", "b")]
    server = Table(*series, {"__name__": "pg_stat_activity_count", "service": "pay"})
    ((severity, _, services, text),) = said(release(tmp_path, text), server)
    assert (severity, services) == ("error", ("shop",))
    assert text == "2 series, and a gauge is one; they differ in datname; aggregate them, as in sum by (service) (…)"


LATENCY = "only: [p99_latency_ms]\nslos: [{name: Fast, kpi: p99_latency_ms, objective: 99, threshold: %s}]\n"


def test_a_threshold_between_two_bounds_is_told_with_them(tmp_path: Path) -> None:
    assert said(release(tmp_path, LATENCY % 500), Table(*BUCKETS)) == []
    found = said(release(tmp_path, LATENCY % 300), Table(*BUCKETS))
    assert [(severity, services) for severity, _, services, _ in found] == [
        ("warning", (name,)) for name in ("shop", "pay")
    ]
    assert "300 ms, is no bound of a bucket; the nearest are 100 and 500 ms" in found[0][3]


def test_buckets_without_the_last_one_give_no_quantile(tmp_path: Path) -> None:
    found = said(release(tmp_path, LATENCY % 500), Table(*(one for one in BUCKETS if one["le"] != "+Inf")))
    assert [one[:3] for one in found] == [("no data", "http_latency", (name,)) for name in ("shop", "pay")]
    assert 'no bucket with le="+Inf"' in found[0][3]


@pytest.mark.parametrize(("interval_s", "warned"), [(15, False), (60, False), (80, False), (120, True)])
def test_a_step_shorter_than_the_scrapes(tmp_path: Path, interval_s: float, warned: bool) -> None:
    found = said(release(tmp_path, "only: [request_rate]\n"), Table(*SHOP, interval_s=interval_s))
    text = "scraped every 120 s, so that most steps of 60 s are empty; write step: 120s"
    assert [one[3] for one in found] == warned * [text]


@pytest.mark.parametrize("label", ["prometheus_replica", "replica", "__replica__"])
def test_series_of_a_highly_available_pair(tmp_path: Path, label: str) -> None:
    server = Table(*({**one, label: name} for one in SHOP for name in ("a", "b")))
    ((severity, query, services, text),) = said(release(tmp_path, "only: [request_rate]\n"), server)
    assert (severity, query, services) == ("warning", "http_requests", ("shop", "pay"))
    assert f"nothing but the label {label}," in text


def test_a_replica_that_is_a_target_of_its_own_is_fine(tmp_path: Path) -> None:
    server = Table(*({**one, "replica": name, "instance": name} for one in SHOP for name in ("a", "b")))
    assert said(release(tmp_path, "only: [request_rate]\n"), server) == []


def test_a_query_that_the_server_refuses_is_told_in_its_words_and_the_others_go_on(tmp_path: Path) -> None:
    text = REQUESTS + "queries: {http_errors: 'broken{$match}'}\n"
    server = Table(*SHOP)
    assert said(release(tmp_path, text), server) == [
        ("error", "http_errors", ("shop", "pay"), 'HTTP 400 (no); correct the query: broken{service=~"shop|pay"}')
    ]
    assert server.seconds > 0


def test_a_comment_ends_with_its_line(tmp_path: Path) -> None:
    server = Table(*SHOP)
    text = "only: [request_rate]\nqueries:\n  http_requests: |-\n    http_requests_total{$match} # all\n"
    assert said(release(tmp_path, text), server) == []
    assert 'last_over_time((http_requests_total{service=~"shop|pay"} # all\n)[3600s:60s])' in server.asked


def test_a_scalar_is_one_series_of_all_services(tmp_path: Path) -> None:
    text = "only: [db_connections]\nqueries: {db_sessions: scalar(up)}\n"
    (found,) = probed(release(tmp_path, text), Table(*SHOP)).queries
    assert (found.series, found.by_service) == (1, {"shop": 1, "pay": 1})
    assert probed(release(tmp_path, text), Table(*SHOP)).findings == ()


class WithoutNumbers(Table):
    """Every sample of the service ``pay`` is NaN."""

    def instant(self, name: str, promql: str, at: datetime) -> list[Series]:
        found = super().instant(name, promql, at)
        return [
            Series(metric=one.metric, value=(0.0, "NaN")) if one.metric.get("service") == "pay" else one
            for one in found
        ]

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        found = super().fetch(plan, window)
        columns = {name: np.full_like(column, np.nan) for name, column in found["pay"].columns.items()}
        return {**found, "pay": Samples("pay", window, plan.step_s, columns)}


def test_samples_that_are_no_numbers_are_no_data(tmp_path: Path) -> None:
    text = "only: [db_connections]\n"
    server = WithoutNumbers(*({"__name__": "pg_stat_activity_count", "service": one} for one in ("shop", "pay")))
    ((severity, query, services, text),) = said(release(tmp_path, text), server)
    assert (severity, query, services) == ("no data", "db_sessions", ("pay",))
    assert text == "1 series, and none of their samples in the hour is a finite number; correct the query"


def test_all_queries_together_are_timed_once(tmp_path: Path) -> None:
    """Asked one after the other, each of the two queries has 2 s of its own; together they share them."""
    found = probed(release(tmp_path, REQUESTS), Table(*SHOP))
    assert found.total.seconds == pytest.approx(2 * found.queries[0].run.seconds)
    assert found.together_s == pytest.approx(found.queries[0].run.seconds)
    assert found.concurrency == 2


def test_the_affected_kpis_are_named(tmp_path: Path) -> None:
    (found, _) = probed(release(tmp_path, REQUESTS + "service_label: app\n"), Table(*SHOP)).findings
    assert found.kpis == ("overall_error_rate", "request_rate")


def test_what_was_asked_before_is_not_asked_again(tmp_path: Path) -> None:
    asked = []

    class Counting(Table):
        def label_names(self, selector: str, window: Window) -> list[str]:
            asked.append(selector)
            return super().label_names(selector, window)

    absence = Absence(Counting(*SHOP), LAST_HOUR, release(tmp_path, ""))
    for _ in range(3):
        assert absence.reason('http_requests_total{service=~"shop|pya"}', ["pya"]).cause == "no service"
    assert len(asked) == len(set(asked))


def row(query: str, by_service: dict[str, int], cost: Cost) -> QueryProbe:
    series = max(by_service.values())
    return QueryProbe(query=query, type="counter", series=series, by_service=by_service, hour=cost, day=cost, run=cost)


def example(findings: Sequence[Finding] = ()) -> Probe:
    many = {f"s{number}": number % 3 for number in range(20)}
    cost = Cost(samples=1_234_567, seconds=75, bytes=3 * 2**20)
    queries = (row("a", {"x": 2, "y": 1}, cost), row("b", {"x": 1, "y": 1}, cost), row("c", many, Cost()))
    return Probe(
        prometheus="http://p",
        window=LAST_HOUR,
        instead_of=None,
        queries=queries,
        findings=tuple(findings),
        total=cost,
        together_s=40,
        concurrency=2,
    )


def test_the_table() -> None:
    assert table(example()) == [
        "query  series  samples/h   /day  /15 d  s/h  s/day  s/15 d  size/15 d  of",
        "a           2      1.23M  1.23M  1.23M   75     75      75      3 MiB  x 2, y 1",
        "b           1      1.23M  1.23M  1.23M   75     75      75      3 MiB  all alike",
        "c           2          -      -      -    -      -       -          -  0 to 2 of each, none of 7",
    ]
    assert total(example()) == (
        "3 queries over 15 days: about 1.23M samples and 3 MiB before compression; "
        "75 s of asking one after the other, about 40 s with concurrency 2"
    )
    nothing = example().model_copy(update={"total": Cost()})
    assert total(nothing) == "3 queries over 15 days: nothing was found whose cost could be told"


def test_the_same_finding_of_several_queries_is_said_once() -> None:
    def finding(query: str, service: str, text: str) -> Finding:
        return Finding(severity="warning", query=query, kpis=(f"kpi_{query}",), services=(service,), text=text)

    late = [finding(query, "x", "late") for query in ("a", "b")]
    findings = late + [finding("a", service, "early") for service in ("y", "x")]
    assert list(sentences(example(findings), ["x", "y"])) == [
        ("warning", "warning: a, b of x: late (KPIs: kpi_a, kpi_b)"),
        ("warning", "warning: a: early (KPIs: kpi_a)"),
    ]
