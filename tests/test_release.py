"""The release file: what it may leave out, what it changes, and how its queries are rendered."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.definitions import Release
from observability.errors import ConfigError
from observability.model import Calendar, Window, format_instant, parse_instant
from observability.release import flags_release, load

GA = datetime(2025, 11, 18, tzinfo=UTC)
HEAD = "release: shop-v2\nga: 2025-11-18T00:00:00Z\n"


def written(tmp_path: Path, text: str = "") -> Release:
    path = tmp_path / "release.yaml"
    path.write_text(HEAD + text)
    return load(path)


def promql(release: Release, name: str) -> str:
    return next(query.promql for query in release.plan.queries if query.name == name)


def test_flags_alone_ask_without_matchers() -> None:
    release = flags_release(GA, "http://localhost:9090")
    assert release.services == ("default",)
    assert promql(release, "http_requests") == "last_over_time(http_requests_total{}[60s])"
    assert promql(release, "http_errors") == 'last_over_time(http_requests_total{code=~"5.."}[60s])'
    assert promql(release, "db_sessions") == "sum by () (last_over_time(pg_stat_activity_count{}[60s]))"


def test_one_service_is_matched_by_equality(tmp_path: Path) -> None:
    release = written(tmp_path, "services: [shop]\n")
    assert promql(release, "http_requests") == 'last_over_time(http_requests_total{service="shop"}[60s])'


def test_several_services_are_one_query(tmp_path: Path) -> None:
    release = written(tmp_path, "services: [shop, 'pay.api']\nservice_label: job\nmatchers: env=\"prod\"\nstep: 5m\n")
    selector = r'http_requests_total{env="prod",job=~"shop|pay\\.api"}'
    assert promql(release, "http_requests") == f"last_over_time({selector}[300s])"
    assert promql(release, "cpu_limit_cores").startswith("sum by (job) (")


@pytest.mark.parametrize(
    ("query", "without", "with_one"),
    [
        ("x_total{$match}", "x_total{}", 'x_total{service="shop"}'),
        ("x_total{a='b',$match}", "x_total{a='b'}", "x_total{a='b',service=\"shop\"}"),
        ("x_total{$match, a='b'}", "x_total{a='b'}", "x_total{service=\"shop\", a='b'}"),
        ("x_total{a='b', $match, c='d'}", "x_total{a='b', c='d'}", "x_total{a='b', service=\"shop\", c='d'}"),
        ('x_total{code=~".{2,}",$match}', 'x_total{code=~".{2,}"}', 'x_total{code=~".{2,}",service="shop"}'),
        ('x_total{code=~".{2,}"}', 'x_total{code=~".{2,}"}', 'x_total{code=~".{2,}"}'),
    ],
)
def test_only_the_comma_beside_a_placeholder_goes(tmp_path: Path, query: str, without: str, with_one: str) -> None:
    text = f"only: [request_rate]\nqueries:\n  http_requests: |-\n    {query}\n"
    assert promql(written(tmp_path, text), "http_requests") == without
    assert promql(written(tmp_path, text + "services: [shop]\n"), "http_requests") == with_one


def test_what_stands_for_a_placeholder_is_not_searched_for_more(tmp_path: Path) -> None:
    release = written(tmp_path, "services: ['a$step', 'b$by']\nmatchers: 'c=\"$match\"'\n")
    selector = r'http_requests_total{c="$match",service=~"a\\$step|b\\$by"}'
    assert promql(release, "http_requests") == f"last_over_time({selector}[60s])"


@pytest.mark.parametrize(
    "query",
    [
        "sum by ($by) (two{$match})",
        "sum(two{$match}) by ($by)",
        "sum by (region, service) (two{$match})",
        "sum without (pod) (two{$match})",
        "two{$match}",
        "sum(two)",
        'two{job="sum(x)",$match}',
    ],
)
def test_a_gauge_may_tell_services_apart_or_concern_them_all(tmp_path: Path, query: str) -> None:
    text = f"services: [a, b]\nonly: [db_connections]\nqueries:\n  db_sessions: |-\n    {query}\n"
    assert promql(written(tmp_path, text), "db_sessions")


def test_a_gauge_of_one_service_may_be_any_sum(tmp_path: Path) -> None:
    assert written(tmp_path, "services: [a]\nqueries: {db_sessions: 'sum(two{$match})'}\n")


@pytest.mark.parametrize("query", ["sum(two{$match})", 'max (two{service!="x",$match})', "sum by (pod) (two{$match})"])
def test_a_gauge_that_adds_up_the_services_is_refused(tmp_path: Path, query: str) -> None:
    text = f"services: [a, b]\nqueries:\n  db_sessions: |-\n    {query}\n"
    with pytest.raises(ConfigError, match=r"queries\.db_sessions: this adds up all services"):
        written(tmp_path, text)


@pytest.mark.parametrize("query", ["http_requests", "http_latency"])
@pytest.mark.parametrize(
    "function",
    ["rate", "irate", "increase", "delta", "idelta", "deriv", "histogram_quantile", "sum_over_time", "sum", "SUM"],
)
def test_a_counter_query_that_is_not_the_raw_series_is_refused(tmp_path: Path, query: str, function: str) -> None:
    with pytest.raises(ConfigError, match=f"queries.{query}: .* must return the raw series"):
        written(tmp_path, f"queries: {{{query}: '{function} (x_total{{$match}}[5m])'}}\n")


@pytest.mark.parametrize(
    "query", ['x_total{path="rate(x)",$match}', "request_rate{$match}", 'max_over_time(x{f="sum (\\"a"}[$step])']
)
def test_names_and_labels_are_no_functions(tmp_path: Path, query: str) -> None:
    assert written(tmp_path, f"queries:\n  http_requests: |-\n    {query}\n")


def test_one_line_replaces_a_query_for_all_of_its_kpis(tmp_path: Path) -> None:
    release = written(tmp_path, "queries: {http_requests: 'last_over_time(hits_total{$match}[$step])'}\n")
    assert promql(release, "http_requests") == "last_over_time(hits_total{}[60s])"
    assert release.queries["http_requests"].type == "counter"


def test_only_keeps_some_kpis_their_queries_and_their_objectives(tmp_path: Path) -> None:
    release = written(tmp_path, "only: [overall_availability, request_rate]\n")
    assert list(release.kpis) == ["overall_availability", "request_rate"]
    assert {query.name for query in release.plan.queries} == {"http_errors", "http_requests"}
    assert [slo.name for slo in release.slos] == ["Availability"]


def test_services_may_have_kpis_of_their_own(tmp_path: Path) -> None:
    release = written(tmp_path, "services: {shop: , queue: {only: [request_rate]}}\n")
    assert release.services == ("shop", "queue")
    assert list(release.kpis_of("shop")) == list(release.kpis)
    assert list(release.kpis_of("queue")) == ["request_rate"]
    assert release.slos_of("queue") == []
    with pytest.raises(ConfigError, match=r"services\.queue\.only: unknown KPI 'nope'"):
        written(tmp_path, "services: {queue: {only: [nope]}}\n")


def test_a_kpi_of_ones_own(tmp_path: Path) -> None:
    text = """
only: [order_rate]
queries:
  orders: {type: counter, promql: 'orders_total{$match}', exporter: the shop}
kpis:
  order_rate: {about: Orders per second., kind: rate, query: orders, unit: orders/s, direction: higher is better,
               category: business}
"""
    release = written(tmp_path, text)
    assert promql(release, "orders") == "orders_total{}"
    assert release.slos == ()


def test_a_kpi_of_the_catalog_is_changed_field_by_field(tmp_path: Path) -> None:
    release = written(tmp_path, "kpis: {p99_latency_ms: {direction: two-sided}}\n")
    assert release.kpis["p99_latency_ms"].direction == "two-sided"
    assert release.kpis["p99_latency_ms"].quantile == 0.99


def test_prices_bring_in_the_usage_that_they_are_for(tmp_path: Path) -> None:
    text = "only: [estimated_cost_per_hour]\nprices: {currency: EUR, storage_gib_month: 0.1}\n"
    assert {query.name for query in written(tmp_path, text).plan.queries} == {"storage_used"}


def test_every_kpi_of_the_catalog_says_what_it_is() -> None:
    release = flags_release(GA, "http://localhost:9090")
    for kpi in release.kpis.values():
        assert kpi.about.endswith("."), kpi.name
        assert kpi.unit, kpi.name
    for query in release.queries.values():
        assert query.exporter != "named in the release file", query.name
    used = {operand for kpi in release.kpis.values() for operand in kpi.operands}
    assert set(release.queries) == used | {"storage_used", "network_octets", "memory_bytes", "cpu_cores"}


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        written(tmp_path, "step: fast\nprices: {currency: euros}\nservices: []\n")
    for field in ("step", "prices.currency", "services"):
        assert f"{field}: " in str(raised.value)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-11-18T00:00:00Z", GA),
        ("2025-11-18T01:30:00+01:30", GA),
        ("2025-11-18 00:00:00+00:00", GA),
        (datetime(2025, 11, 18, tzinfo=UTC), GA),
    ],
)
def test_instants(text: object, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert format_instant(parse_instant(text)) == "2025-11-18T00:00:00Z"


def test_days_are_half_open_and_share_no_instant() -> None:
    calendar = Calendar(GA)
    assert calendar.window(-7).start == GA - timedelta(days=7)
    for number in range(-7, 7):
        assert calendar.window(number).end == calendar.window(number + 1).start
        assert calendar.number(calendar.window(number).start) == number
        assert calendar.number(calendar.window(number).end - timedelta(milliseconds=1)) == number


def test_a_rehearsal_shortens_the_day() -> None:
    calendar = Calendar(GA, timedelta(minutes=24))
    assert calendar.window(7) == Window(start=GA + timedelta(minutes=168), end=GA + timedelta(minutes=192))
