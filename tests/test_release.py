"""The release file: what it may leave out, what it changes, and how its queries are rendered."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.definitions import Channel, Release
from observability.errors import ConfigError
from observability.model import Calendar, Window, format_instant, parse_instant
from observability.release import examine, flags_release, load
from observability.release_yaml import parse

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
    with pytest.raises(ConfigError, match=r"release\.yaml:3: services\.queue\.only\.0: unknown KPI 'nope'"):
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


DETECTORS = """\
detectors:
  ewma: {threshold: 4, alpha: 0.01}
  StandardAbsoluteDeviation: {threshold: 5}
  LODA: {threshold: 20, seed: 7, n_bins: 20}
"""


def test_the_detectors_that_the_file_names_are_the_channels(tmp_path: Path) -> None:
    assert written(tmp_path, DETECTORS).channels == (
        Channel(name="ewma", threshold=4, parameters={"alpha": 0.01}),
        Channel(name="StandardAbsoluteDeviation", threshold=5),
        Channel(name="LODA", threshold=20, parameters={"seed": 7, "n_bins": 20}),
    )


@pytest.mark.parametrize("entry", ["", " {}", " {alpha: 0.3}"])
def test_a_detector_without_a_threshold_has_the_shipped_one(tmp_path: Path, entry: str) -> None:
    (channel,) = written(tmp_path, f"detectors:\n  ewma:{entry}\n").channels
    assert (channel.name, channel.threshold) == ("ewma", None)


def test_without_detectors_there_are_significance_and_novelty(tmp_path: Path) -> None:
    assert [channel.name for channel in written(tmp_path).channels] == ["significance", "novelty"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("detectors:", ":3: detectors: write names of detectors, such as {significance: {threshold: 5}}, or leave "),
        ("detectors: [ewma]", ":3: detectors: write names of detectors, such as "),
        ("detectors: {ewna: }", ":3: detectors.ewna: unknown detector 'ewna'; did you mean 'ewma'?"),
        ("detectors: {x: }", ":3: detectors.x: unknown detector 'x'; known are "),
        ("detectors:\n  ewma: 4", ":4: detectors.ewma: write nothing for what it is shipped with, or {threshold: …, "),
        (
            "detectors:\n  ewma:\n    alfa: 1",
            ":5: detectors.ewma.alfa: 'ewma' has no parameter 'alfa'; did you mean 'alpha'?",
        ),
        (
            "detectors:\n  ewma:\n    alpha: fast",
            ":5: detectors.ewma.alpha: 'ewma': alpha must be a number, and is 'fast'.",
        ),
        ("detectors:\n  ewma:\n    alpha: [1]", ":5: detectors.ewma.alpha: write a number, true, false or a text."),
        ("detectors:\n  ewma:\n    alpha: .nan", ":5: detectors.ewma.alpha: write a number, true, false or a text."),
        ("detectors:\n  ewma: {alpha: 2}", ":4: detectors.ewma: 'ewma' cannot be used with alpha=2: alpha must lie "),
        *(
            (
                f"detectors:\n  ewma:\n    threshold: {bad}",
                ":5: detectors.ewma.threshold: must be a number greater than 0.",
            )
            for bad in ("0", "-1", ".inf", ".nan", "high", "true", "[5]", "")
        ),
        ("detectors: {LODA: }", ":3: detectors.LODA: 'LODA' is river's, and comes without a threshold; give it one: "),
        ("detectors: {ThresholdFilter: }", ":3: detectors.ThresholdFilter: unknown detector 'ThresholdFilter'; known "),
        ("detector: {ewma: }", ":3: detector: there is no such field; did you mean 'detectors'?"),
        ("channels: []", ":3: channels: there is no such field; "),
    ],
)
def test_what_is_wrong_with_a_detector_is_said_at_its_line(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = problems(tmp_path, text + "\n")
    assert problem.startswith(f"release.yaml{said}")


def test_the_threshold_of_incidents(tmp_path: Path) -> None:
    assert written(tmp_path, "incidents: {threshold: 7}\n").incidents.threshold == 7.0
    assert written(tmp_path, "incidents:\n  threshold: 5.25\n").incidents.threshold == 5.25
    for text in ("", "incidents: {}\n", "incidents: {threshold: null}\n"):
        assert written(tmp_path, text).incidents.threshold is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("incidents:", ":3: incidents: write fields with their values, such as {name: value}."),
        ("incidents: 5", ":3: incidents: write fields with their values, such as {name: value}."),
        ("incidents: {treshold: 5}", ":3: incidents.treshold: there is no such field; "),
        ("incident: {threshold: 5}", ":3: incident: there is no such field; did you mean 'incidents'?"),
        *((f"incidents:\n  threshold: {bad}", ":4: incidents.threshold: must be greater than 0.") for bad in (0, -1)),
        *(
            (f"incidents:\n  threshold: {bad}", ":4: incidents.threshold: write a finite number.")
            for bad in (".inf", ".nan")
        ),
        *(
            (f"incidents:\n  threshold: {bad}", ":4: incidents.threshold: write a number.")
            for bad in ("high", "true", "[5]", "'5'", "{}")
        ),
    ],
)
def test_what_is_wrong_with_the_threshold_of_incidents_is_said_at_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (problem,) = problems(tmp_path, text + "\n")
    assert problem.startswith(f"release.yaml{said}")


def test_only_a_name_that_is_none_of_ours_loads_rivers_detectors(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(HEAD + "detectors: {ewma: {alpha: 0.1}}\n")
    (tmp_path / "rivers.yaml").write_text(HEAD + "detectors: {LODA: {threshold: 9}}\n")
    code = "import sys; from pathlib import Path; from observability.release import load; load(Path(sys.argv[1]))"
    for name, is_loaded in (("ours", False), ("rivers", True)):
        command = [sys.executable, "-c", f"{code}; print('river.anomaly' in sys.modules)", tmp_path / f"{name}.yaml"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{is_loaded}\n"


def test_every_kpi_of_the_catalog_says_what_it_is() -> None:
    release = flags_release(GA, "http://localhost:9090")
    for kpi in release.kpis.values():
        assert kpi.about.endswith("."), kpi.name
        assert kpi.unit, kpi.name
    for query in release.queries.values():
        assert query.exporter != "named in the release file", query.name
    used = {operand for kpi in release.kpis.values() for operand in kpi.operands}
    assert set(release.queries) == used | {"storage_used", "network_octets", "memory_bytes", "cpu_cores"}


PROBLEMS = """\
5: services.checkout.only.1: unknown KPI 'p99_latncy_ms'; did you mean 'p99_latency_ms'?
7: services.a/b: 'a/b' cannot name a folder; leave out slashes.
8: step: 'fast' is not a duration; write it like 60s, 5m, 24h.
9: matchers: these are not label matchers: {env="prod"}; write them like env="prod",region=~"eu-.*", without braces.
11: queries.http_error: the catalog has none of this name, and a new one needs type too; did you mean 'http_errors'?
12: queries.http_errors: '{' is not closed.
14: kpis.errs: unknown query 'http_erors'; did you mean 'http_errors'?
15: kpis.p95_latency_ms.quantile: must be less than 1.
17: slos.0.kpi: unknown KPI 'overal_error_rate'; did you mean 'overall_error_rate'?
18: slos.1.objective: must be less than 100.
19: slos.2: two objectives are named 'A'; give each a name of its own.
21: maintenance.0: the window ends at 2025-11-19T01:00:00Z, not after its start.
22: warning: maintenance.1: outside of what is watched, 2025-11-11T00:00:00Z to 2025-11-26T00:00:00Z; check its date.
22: maintenance.1.services.0: unknown service 'chekout'; did you mean 'checkout'?
23: maintenance.2.services: no service is named; leave the field out for all of them.
24: prometheus.ulr: there is no such field; did you mean 'url'?
"""


def problems(tmp_path: Path, text: str, head: str = HEAD) -> list[str]:
    """Every problem of a release file as a sentence, without the folder."""
    path = tmp_path / "release.yaml"
    path.write_text(head + text)
    return [problem.sentence("release.yaml") for problem in examine(path)[1]]


def test_every_problem_is_found_at_once_and_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = """
services:
  checkout: {only: [request_rate, p99_latncy_ms]}
  reports:
  a/b:
step: fast
matchers: '{env="prod"}'
queries:
  http_error: errors_total{$match}
  http_errors: errors_total{$match
kpis:
  errs: {about: E., kind: rate, query: http_erors, unit: 1/s, direction: higher is better, category: errors}
  p95_latency_ms: {quantile: 2}
slos:
  - {name: A, kpi: overal_error_rate, objective: 99}
  - {name: A, kpi: request_rate, objective: 200}
  - {name: A, kpi: p95_latency_ms, objective: 99}
maintenance:
  - {start: 2025-11-19T02:00:00Z, end: 2025-11-19T01:00:00Z}
  - {start: 2024-11-19T01:00:00Z, end: 2024-11-19T02:00:00Z, services: [chekout]}
  - {start: 2025-11-19T01:00:00Z, end: 2025-11-19T02:00:00Z, services: []}
prometheus: {ulr: http://localhost:9090}
"""
    said = [line.removeprefix("release.yaml:") for line in problems(tmp_path, text)]
    assert said == PROBLEMS.splitlines()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("release: [", "1: not YAML: while parsing a flow node, expected the node content, but found '<stream end>'."),
        ("release: a\nga: b: c\n", "2: not YAML: mapping values are not allowed here."),
        ('release: a\nga: "\x01"\n', "2: not YAML: special characters are not allowed."),
        ("release: !!int x\n", "1: not YAML: invalid literal for int() with base 10: 'x'."),
        ("release: !!int\n", "1: not YAML: string index out of range."),
        ("a: 1\n---\nb: 2\n", "2: not YAML: expected a single document in the stream, but found another document."),
        ("", "1: not a release file: it holds no fields such as `release:` and `ga:`."),
        ("- a\n", "1: not a release file: it holds no fields such as `release:` and `ga:`."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text, head="") == [f"release.yaml:{said}"]


def test_what_is_missing_is_missing_in_its_mapping(tmp_path: Path) -> None:
    assert problems(tmp_path, "# a comment\nslos:\n- name: A\n", head="") == [
        "release.yaml:2: release: is missing; this field is required.",
        "release.yaml:2: ga: is missing; this field is required.",
        "release.yaml:3: slos.0.kpi: is missing; this field is required.",
        "release.yaml:3: slos.0.objective: is missing; this field is required.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step: 60s\nstep: 30s\n", "4: step: the key 'step' is written twice; leave one of them out."),
        ("only_of: {a: b}\n", "3: only_of: there is no such field; did you mean 'only'?"),
        ("servce_label: app\n", "3: servce_label: there is no such field; did you mean 'service_label'?"),
        ("services: [a, b, a]\n", "3: services.2: 'a' is named twice; leave one of them out."),
        ("services: {8080: }\n", "3: services.8080: write it as text, in quotes where YAML would read something else."),
        ("kpis: [a]\n", "3: kpis: write names and their definitions, such as {name: value}, not a list."),
        ("kpis: {request_rate: {name: x}}\n", "3: kpis.request_rate.name: leave it out; 'request_rate' is the name."),
        (
            "prometheus: {basic_auth: {usernam: x}}\n",
            "3: prometheus.basic_auth.usernam: there is no such field; did you mean 'username'?",
        ),
    ],
)
def test_a_problem_is_at_its_field(tmp_path: Path, text: str, said: str) -> None:
    assert f"release.yaml:{said}" in problems(tmp_path, text)


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "localhost:9090", "http://h:99999", "http://h /x", "http://h:9090/?token=hunter2", "''", "http://[::1"],
)
def test_a_url_that_no_command_can_use_is_a_problem_of_its_field(tmp_path: Path, url: str) -> None:
    (found,) = problems(tmp_path, f"prometheus:\n  url: {url}\n")
    assert found.startswith("release.yaml:4: prometheus.url: the URL")
    assert found.endswith(" cannot be used; write it like http://localhost:9090.")
    assert "hunter2" not in found


@pytest.mark.parametrize("url", ["http://me:hunter2@h:9090", "me:hunter2@h:9090", "http://me:hunter2/x@h"])
def test_a_password_in_the_files_url_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    assert problems(tmp_path, f"prometheus: {{url: '{url}', basic_auth: {{username: a}}}}\n") == [
        (
            "release.yaml:3: prometheus.url: a user and a password do not belong in a release file; "
            "write `basic_auth`, or give them in PROMETHEUS_URL."
        )
    ]


def test_a_url_that_a_flag_gives_may_have_a_password() -> None:
    assert flags_release(GA, "http://me:hunter2@h").prometheus.url == "http://me:hunter2@h"


@pytest.mark.parametrize("tag", ["set {a, b}", "omap [a: 1]", "pairs [a: 1]", "binary aGk=", "timestamp 2025-11-18"])
def test_values_that_no_field_has_are_not_read(tmp_path: Path, tag: str) -> None:
    (found,) = problems(tmp_path, f"services: !!{tag}\n")
    assert found.startswith("release.yaml:3: not YAML: could not determine a constructor for the tag ")


@pytest.mark.parametrize(
    ("ga", "said"),
    [
        ("9999-12-31T00:00:00Z", "the year 9999 is none of 2000 to 2200; check it."),
        ("0001-01-01T00:00:00Z", "the year 1 is none of 2000 to 2200; check it."),
        ("0001-01-01T00:00:00+05:00", "'0001-01-01T00:00:00+05:00' lies outside of the years 1 to 9999 in UTC"),
    ],
)
def test_a_year_that_no_release_is_of(tmp_path: Path, ga: str, said: str) -> None:
    maintenance = "maintenance: [{start: 2025-11-18T00:00:00Z, end: 2025-11-19T00:00:00Z}]\n"
    (found,) = problems(tmp_path, maintenance, head=f"release: r\nga: {ga}\n")
    assert found.startswith(f"release.yaml:2: ga: {said}")


@pytest.mark.parametrize("name", ['"a\\nb"', '"a\\0b"', '"a\\ud800"', "a" * 201, "ä" * 101])
def test_a_service_that_cannot_name_a_folder(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, f"services: [{name}]\n")
    assert found.isprintable()
    assert found.endswith(" cannot name a folder; write at most 200 bytes, without control characters.")
    assert problems(tmp_path, f"services: [{'ä' * 100}]\n") == []


RANGE = "a counter query is a plain selector or last_over_time(…[$step]); leave out the range."
OTHER_TIME = "a counter query must return the series of its own time; leave out offset and @."


@pytest.mark.parametrize(
    ("promql", "said"),
    [
        ("x_total{$match}[5m]", RANGE),
        ("x_total{$match}[5m] # all", RANGE),
        ("x_total{$match} offset 5m", OTHER_TIME),
        ("last_over_time(x_total{$match}[$step] @ 0)", OTHER_TIME),
        ('x_offset{offset="@ offset",$match} # don\'t: offset, x[5m]', None),
    ],
)
def test_a_counter_is_asked_for_at_its_own_time_and_not_as_a_range(
    tmp_path: Path, promql: str, said: str | None
) -> None:
    found = problems(tmp_path, f"queries:\n  http_requests: |-\n    {promql}\n")
    assert found == ([] if said is None else [f"release.yaml:4: queries.http_requests: {said}"])


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("kpi: overall_availability, objective: 0.999", "0.999 is in per cent; for 99.9 % write 99.9."),
        ("kpi: p99_latency_ms, threshold: 500, objective: 0.99", "0.99 is in per cent; for 99 % write 99."),
        (
            "kpi: overall_error_rate, objective: 99.9",
            "it allows 99.9 % of bad events; for 99.9 % of good ones write 0.1.",
        ),
        ("kpi: overall_error_rate, objective: 0.1", None),
        ("kpi: overall_availability, objective: 99.9", None),
    ],
)
def test_an_objective_that_is_most_likely_another_is_a_warning(
    tmp_path: Path, objective: str, said: str | None
) -> None:
    found = problems(tmp_path, f"slos: [{{name: A, {objective}}}]\n")
    assert found == ([] if said is None else [f"release.yaml:3: warning: slos.0.objective: {said}"])


@pytest.mark.parametrize(("end", "warned"), [("2025-11-26T00:00:00Z", True), ("2025-11-25T23:00:00Z", False)])
def test_maintenance_over_all_days_is_a_warning(tmp_path: Path, end: str, warned: bool) -> None:
    found = problems(tmp_path, f"maintenance: [{{start: 2025-11-18T00:00:00Z, end: {end}}}]\n")
    assert [line.partition(": it covers the GA day and all days")[0] for line in found] == warned * [
        "release.yaml:3: warning: maintenance.0"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prometheus: {concurrency: 100000}", "prometheus.concurrency: must be at most 64."),
        ("prometheus: {concurrency: many}", "prometheus.concurrency: write a whole number."),
        ("services: []", "services: must not be empty."),
        ("kpis: {request_rate: {fold: x}}", "kpis.request_rate.fold: must be one of 'pooled', 'mean' or 'max'."),
        ("day: 99999999999d", "day: '99999999999d' is too long; check the number and its unit."),
        ("day: 32d", "day: a day of a rehearsal may take 31 d at most."),
        (
            "only: [request_rate]\nslos: [{name: A, kpi: p99_latency_ms, objective: 99}]",
            "slos.0.kpi: 'p99_latency_ms' is not in `only`; name it there, or leave the objective out.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_file(tmp_path: Path, text: str, said: str) -> None:
    (found,) = problems(tmp_path, f"{text}\n")
    assert found.endswith(f": {said}")


def test_other_commands_say_the_first_problem_and_how_to_see_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    with pytest.raises(ConfigError) as raised:
        written(tmp_path, "step: fast\nprices: {currency: euros}\nservices: []\n")
    assert str(raised.value) == (
        f"{path}:3: step: 'fast' is not a duration; write it like 60s, 5m, 24h. (and 2 more: postga validate {path})"
    )


def test_a_warning_does_not_stop_a_release(tmp_path: Path) -> None:
    assert written(tmp_path, "maintenance: [{start: 2024-11-18T01:00:00Z, end: 2024-11-18T02:00:00Z}]\n").maintenance


def test_what_aliases_repeat_is_noted_once(tmp_path: Path) -> None:
    """Ten to the power of four entries, written in four lines of ten: as many places as are written, and no more."""
    levels = "".join(f"l{n}: &l{n} [{', '.join(10 * [f'*l{n - 1}'])}]\n" for n in range(1, 5))
    text = f"l0: &l0 [a]\n{levels}"
    assert len(parse(text).places) == 1 + 5 + 1 + 4 * 10
    assert len(problems(tmp_path, text)) == 5
    assert problems(tmp_path, "colour: &l [*l]\n") == [
        "release.yaml:3: colour: there is no such field; check its spelling."
    ]


EXAMPLE = (Path(__file__).parents[1] / "test_data/release.yaml").read_text()


@given(st.data())
def test_a_mutilated_file_has_problems_with_lines_and_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(start + 40, len(EXAMPLE))))
    text = (
        EXAMPLE[:start]
        + data.draw(st.sampled_from(["", "[", "{", ": ", "'", "- ", "\t", "&a ", "*a", "!!int "]))
        + EXAMPLE[end:]
    )
    path = tmp_path_factory.getbasetemp() / "mutilated.yaml"
    path.write_text(text)
    release, found = examine(path)
    assert (release is None) == any(problem.severity == "error" for problem in found)
    assert all(problem.line is not None and 1 <= problem.line <= text.count("\n") + 1 for problem in found)


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


def test_baselines_and_a_good_day(tmp_path: Path) -> None:
    release = written(tmp_path, "baselines: {v1.0.0: ../v1, 'staging_2': s3://bucket/ga.json}\ngood_day: -2\n")
    assert dict(release.baselines) == {"v1.0.0": "../v1", "staging_2": "s3://bucket/ga.json"}
    assert release.good_day == -2
    assert written(tmp_path).baselines == {}
    assert written(tmp_path).good_day is None
    assert written(tmp_path, "good_day: 0\n").good_day == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *(
            (
                f"baselines: {{{name}: a}}",
                f"baselines.{name}: '{name}' is the name of a baseline that is always there; give it another one.",
            )
            for name in ("week_before", "ga_day", "previous_day", "pre_release_median", "good_day")
        ),
        (
            "baselines: {'a b': x}",
            "baselines.a b: 'a b' cannot name a baseline; use up to 40 letters, digits, dots, - and _.",
        ),
        (
            "baselines: {'a/b': x}",
            "baselines.a/b: 'a/b' cannot name a baseline; use up to 40 letters, digits, dots, - and _.",
        ),
        ("baselines: {v1: ''}", "baselines.v1: write the path of a summary, or of a folder of summaries."),
        ("baselines: {v1: 3}", "baselines.v1: write it as text, in quotes where YAML would read something else."),
        ("baselines: {v1: }", "baselines.v1: write it as text, in quotes where YAML would read something else."),
        ("baselines: {1.0: x}", "baselines.1.0: write it as text, in quotes where YAML would read something else."),
        ("baselines: {v1: [x]}", "baselines.v1: write it as text, in quotes where YAML would read something else."),
        ("baselines: [v1]", "baselines: write names with their values, such as {name: value}."),
        ("baselines: v1", "baselines: write names with their values, such as {name: value}."),
        ("baselines:", "baselines: write names with their values, such as {name: value}."),
        ("baseline: {v1: x}", "baseline: there is no such field; did you mean 'baselines'?"),
        ("baselines: {v1: x, v1: y}", "baselines.v1: the key 'v1' is written twice; leave one of them out."),
        ("good_day: 8", "good_day: must be at most 7."),
        ("good_day: -8", "good_day: must be at least -7."),
        ("good_day: 1.5", "good_day: write a whole number."),
        ("good_day: true", "good_day: write a whole number."),
        ("good_day: tuesday", "good_day: write a whole number."),
    ],
)
def test_baselines_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, f"{text}\n") == [f"release.yaml:3: {said}"]


def test_a_broken_baseline_hides_no_other_problem(tmp_path: Path) -> None:
    said = problems(tmp_path, "baselines: {v1: 3, ga_day: x}\nservices: [a, a]\n")
    assert [line.split(": ")[1] for line in said] == ["baselines.v1", "baselines.ga_day", "services.1"]
