"""`postga init`: the file that it writes loads at once, and proposes of a server what the server has."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from observability import commands
from observability.choice import MOST_SERVICES, STATUSES, Choice, interval, is_usable
from observability.definitions import Channel, Release
from observability.errors import NotEnoughDataError
from observability.init_release import main, render
from observability.model import DEFAULT_URL, PrometheusSettings, Query, Window
from observability.promql import Selector, selectors
from observability.proposal import Proposal, Service, propose
from observability.release import flags_release, load
from observability.sources.answer import Series
from observability.survey import EXPORTERS, Exporters, Survey

NOW = datetime(2025, 11, 26, 0, 20, tzinfo=UTC)
GA = datetime(2025, 11, 18, tzinfo=UTC)
CATALOG = flags_release(GA, DEFAULT_URL)


def run(*arguments: str) -> int:
    import sys

    before, sys.argv = sys.argv, ["init", *arguments]
    try:
        commands.run(main)
    except SystemExit as end:
        return int(str(end.code or 0))
    finally:
        sys.argv = before
    return 0


def loaded(text: str, folder: Path) -> Release:
    path = folder / "proposed.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


# --- the file with placeholders


def test_the_file_loads_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "release.yaml"
    assert run(str(file), "--now", "2025-11-26T00:20:00Z") == 0
    release = load(file)
    assert (release.release, release.services, release.service_label) == ("my-release", ("my-service",), "service")
    assert (release.step, release.slos, release.kpis) == (timedelta(seconds=60), CATALOG.slos, CATALOG.kpis)
    out, err = capsys.readouterr()
    assert out == f"{file}\n"
    assert err == f"Next: read {file}, correct it, then run: postga validate {file} --probe\n"


@pytest.mark.parametrize(
    ("now", "ga"),
    [
        ("2025-11-26T00:20:00Z", "2025-11-26T01:00:00Z"),
        ("2025-11-26T00:00:00Z", "2025-11-26T01:00:00Z"),
        ("2025-11-26T23:59:59.5+01:00", "2025-11-26T23:00:00Z"),
    ],
)
def test_the_ga_instant_is_the_next_full_hour(now: str, ga: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-", "--now", now) == 0
    assert f"\nga: {ga}  # the next full hour; write the release's own\n" in capsys.readouterr().out


def test_a_ga_instant_without_a_time_zone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-", "--ga", "2025-11-18T00:00:00") == 2
    assert "has no time zone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--release", " "], "--release is empty; say what is released, such as checkout-v1.0.1."),
        (["--from", "nofile.yaml"], "--from: 'nofile.yaml' is no file that is there, and no URL such as http://"),
        (["--from", "me:hunter2@host"], "--from: the text is no file that is there, and no URL such as http://"),
        (["--ga", "soon"], "--ga 'soon' is not an ISO 8601 time"),
    ],
)
def test_flags_that_cannot_be_used(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-", *flags) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_the_next_command_can_be_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "my file.yaml")) == 0
    assert capsys.readouterr().err.endswith(f"postga validate '{tmp_path}/my file.yaml' --probe\n")


def test_a_file_that_exists_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "release.yaml"
    file.write_text("mine")
    assert run(str(file)) == 2
    assert capsys.readouterr().err == f"error: {file} exists already; give another name, or --force to replace it.\n"
    assert file.read_text() == "mine"
    assert run(str(file), "--force", "--release", "shop v2") == 0
    assert load(file).release == "shop v2"
    assert list(tmp_path.iterdir()) == [file]


def test_the_sections_stand_in_the_order_in_which_a_team_thinks() -> None:
    text = render("shop", GA)
    order = ["release", "ga", "prometheus", "service_label", "services", "step", "matchers", "queries", "only", "slos"]
    order += ["prices", "maintenance"]
    found = [re.search(rf"^(# )?{section}:", text, re.MULTILINE) for section in order]
    places = [match.start() for match in found if match]
    assert len(places) == len(order)
    assert places == sorted(places)
    for match in found:  # each has a comment above
        assert match is not None
        above = text[: match.start()].rstrip("\n").split("\n")[-1]
        assert "# " in above or above.startswith(("release:", "service_label:")), match[0]


def test_the_examples_in_comments_load_too(tmp_path: Path) -> None:
    text = render("shop", GA)
    for secret in ("password", "token", "ca.pem", "postga.pem", "postga.key"):
        assert secret in text
    opened = re.sub(
        r"^( *)# ?((?:  )?[-\w]+: |(?:  )?- \{|queries:|detectors:|notify:|maintenance:)",
        r"\1\2",
        text,
        flags=re.MULTILINE,
    )
    given = yaml.safe_load(opened)
    assert set(given["prometheus"]) > {
        "url",
        "timeout",
        "basic_auth",
        "authorization",
        "tls_config",
        "http_headers",
    } - {"timeout"}
    del given["prometheus"]["authorization"]  # excludes basic_auth
    release = loaded(yaml.safe_dump({**given, "ga": "2025-11-18T00:00:00Z"}), tmp_path)
    assert release.matchers == 'env="prod"'
    assert release.prices is not None
    assert len(release.maintenance) == 1
    channels = {channel.name: channel for channel in release.channels}
    assert channels == {name: Channel(name=name, threshold=at) for name, at in (("novelty", None), ("significance", 6))}
    assert "my_requests_total" in release.queries["http_errors"].promql


def test_how_the_server_is_reached_is_written_again(tmp_path: Path) -> None:
    section = "{url: 'http://prometheus:9090', authorization: {credentials: '${TOKEN}'}, timeout: 5s}"
    given = loaded(f"release: r\nga: 2025-11-18T00:00:00Z\nprometheus: {section}\n", tmp_path).prometheus
    assert loaded(render("shop", GA, settings=given), tmp_path).prometheus == given


def test_a_password_is_not_written() -> None:
    text = render("shop", GA, settings=PrometheusSettings(url="http://me:secret@prometheus:9090"))
    assert "\n  url: http://prometheus:9090\n" in text
    assert "secret@" not in text


# --- what is looked for


def test_every_alternative_has_a_source_and_the_catalogs_form(tmp_path: Path) -> None:
    data = yaml.safe_load(EXPORTERS.read_text(encoding="utf-8"))
    for entry in data["alternatives"]:
        assert entry["source"].startswith("https://"), entry["exporter"]
        assert set(entry) <= {"exporter", "source", "queries", "scale"}
        assert entry.get("scale", {}).keys() <= entry["queries"].keys()
    for candidate in Exporters.read().alternatives:
        query: Query = CATALOG.queries[candidate.query]
        if query.is_counted:
            assert re.fullmatch(r"last_over_time\(\w+\{(.+,)?\$match\}\[\$step\]\)", candidate.promql)
        else:
            assert candidate.promql.startswith("sum by ($by) (") == ("$match" in candidate.promql)
        replaced = (
            f"release: r\nga: {GA.isoformat()}\nservices: [a, b]\nqueries:\n  {candidate.query}: '{candidate.promql}'\n"
        )
        assert loaded(replaced, tmp_path).queries[candidate.query].promql == candidate.promql


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [
        (3600, 1),
        (720, 5),
        (240, 15),
        (241, 15),
        (239, 15),
        (120, 30),
        (60, 60),
        (61, 60),
        (59, 60),
        (12, 300),
        (2, 1800),
    ],
)
def test_the_interval_is_one_that_divides_the_day(samples: int, seconds: int) -> None:
    """An hour holds 3600 / interval samples, one more or less."""
    assert interval(samples) == seconds
    assert 86_400 % interval(samples) == 0


# --- a server, told by its series


class FakeServer:
    """Series as (metric, labels), each with how many samples it has in the hour and how much it counts per second."""

    url = "http://prometheus:9090"

    def __init__(self, *series: tuple[str, dict[str, str]]) -> None:
        self.series = list(series)
        self.samples: dict[str, int] = defaultdict(lambda: 60)
        self.rates: dict[str, float] = defaultdict(lambda: 1.0)

    def label_values(self, label: str, selector: str | None, window: Window) -> list[str]:
        assert (label, selector, window.end) == ("__name__", None, NOW)
        return sorted({metric for metric, _ in self.series})

    def instant(self, name: str, promql: str, at: datetime) -> Sequence[Series]:
        """``count by``, ``sum by`` and ``max`` over the series of the first selector."""
        assert at == NOW
        assert "$" not in promql
        found = [labels for metric, labels in self.series if _selects(selectors(promql)[0], metric, labels)]
        if promql.startswith("max("):
            return [Series({}, value=(0.0, str(self.samples[str(selectors(promql)[0].name)])))] if found else []
        match = re.match(r"(count|sum) by \(([^)]*)\)", promql)
        assert match is not None, promql
        groups: dict[tuple[tuple[str, str], ...], float] = defaultdict(float)
        for labels in found:
            group = tuple((label, labels[label]) for label in match[2].split(", ") if label in labels)
            groups[group] += 1.0 if match[1] == "count" else self.rates[next(iter(labels.values()))]
        return [Series(dict(group), value=(0.0, str(value))) for group, value in groups.items()]


def _selects(selector: Selector, metric: str, labels: dict[str, str]) -> bool:
    if selector.name not in {None, metric}:
        return False
    tests = {"=": str.__eq__, "!=": str.__ne__, "=~": lambda value, regex: re.fullmatch(regex, value) is not None}
    values = {**labels, "__name__": metric}
    return all(tests[m.op](values.get(m.label, ""), yaml.safe_load(m.value)) for m in selector.matchers)


def proposal(server: FakeServer) -> Proposal:
    return propose(Choice(Survey(server, CATALOG, NOW)))


def rendered(found: Proposal, folder: Path) -> Release:
    return loaded(render("shop", GA, found), folder)


def http(label: str, *services: str, status: str = "code", values: Sequence[str] = ("200", "500")) -> FakeServer:
    """The default metrics of some services."""
    requests = [("http_requests_total", {label: service, status: value}) for service in services for value in values]
    latency = [("http_request_duration_seconds_bucket", {label: service, "le": "+Inf"}) for service in services]
    return FakeServer(*requests, *latency, ("up", {"job": "x"}))


def test_a_server_with_the_default_metrics_needs_no_queries(tmp_path: Path) -> None:
    found = proposal(http("service", "checkout", "reports"))
    assert [answer.query for answer in found.answers if answer.is_new] == []
    release = rendered(found, tmp_path)
    assert (release.services, release.service_label) == (("checkout", "reports"), "service")
    assert release.queries == CATALOG.queries
    assert set(release.kpis) == {
        "overall_availability",
        "overall_error_rate",
        "request_rate",
        "p50_latency_ms",
        "p95_latency_ms",
        "p99_latency_ms",
        "avg_p99_latency_ms",
        "critical_incident_count",
    }
    assert [slo.name for slo in release.slos] == ["Availability", "P99 Latency", "Error Rate"]


def test_what_is_not_found_is_told_once_per_reason() -> None:
    assert [line for line in proposal(http("job", "checkout")).missing if "redis" in line] == [
        (
            "avg_redis_hit_rate: no samples of redis_keyspace_(hits|misses)_total (redis_exporter), nor of what could "
            "stand for it"
        ),
        "redis_memory_bytes: no samples of redis_memory_used_bytes (redis_exporter), nor of what could stand for it",
    ]


def test_a_histogram_without_its_last_bucket_is_not_called_absent(tmp_path: Path) -> None:
    buckets = [("http_request_duration_seconds_bucket", {"service": one, "le": "0.1"}) for one in ("shop", "pay")]
    server = http("service", "shop", "pay")
    without = [one for one in server.series if one[0] != buckets[0][0]]
    (line,) = [line for line in proposal(FakeServer(*without, *buckets)).missing if "p99_latency_ms" in line]
    assert line.endswith(
        'http_request_duration_seconds_bucket has no bucket with le="+Inf" in the hour, and there is no quantile '
        "without it"
    )
    of_one = proposal(FakeServer(*without, *buckets, (buckets[0][0], {"service": "shop", "le": "+Inf"})))
    assert {one.name: list(one.lacks) for one in of_one.services} == {
        "shop": [],
        "pay": ['http_latency with le="+Inf"'],
    }


@pytest.mark.parametrize(
    ("label", "values", "matcher"),
    [
        ("code", ("200", "404"), 'code=~"5.."'),
        ("status", ("200", "503"), 'status=~"5.."'),
        ("status", ("2xx", "5xx"), 'status="5xx"'),
        ("http_response_status_code", ("200",), 'http_response_status_code=~"5.."'),
        ("envoy_response_code_class", ("2", "5"), 'envoy_response_code_class="5"'),
    ],
)
def test_errors_are_told_by_what_the_status_label_holds(
    label: str, values: Sequence[str], matcher: str, tmp_path: Path
) -> None:
    found = proposal(http("service", "checkout", status=label, values=values))
    errors = rendered(found, tmp_path).queries["http_errors"].promql
    assert errors == f"last_over_time(http_requests_total{{{matcher},$match}}[$step])"
    about = next(answer.about for answer in found.answers if answer.query == "http_errors")
    assert about == f"{label} is {', '.join(values)}"


@pytest.mark.parametrize("values", [("ok", "failed"), ("200ms", "5th"), ("20", "600")])
def test_a_label_that_holds_something_else_is_no_status(values: Sequence[str]) -> None:
    found = proposal(http("service", "checkout", status="status", values=values))
    assert "overall_error_rate" not in found.only
    assert "request_rate" in found.only
    assert (
        "overall_availability, overall_error_rate: no label of http_requests_total is known to hold the responses' "
        "status" in found.missing
    )


def test_the_objectives_are_those_of_the_kpis_that_are_kept(tmp_path: Path) -> None:
    found = proposal(http("service", "checkout", status="status", values=("ok",)))
    assert [slo.name for slo in rendered(found, tmp_path).slos] == ["P99 Latency"]


def test_opentelemetry_is_proposed_where_it_is_what_there_is(tmp_path: Path) -> None:
    labels = {"job": "checkout", "http_response_status_code": "200", "le": "+Inf"}
    found = proposal(
        FakeServer(
            ("http_server_request_duration_seconds_count", labels),
            ("http_server_request_duration_seconds_bucket", labels),
        )
    )
    release = rendered(found, tmp_path)
    assert release.service_label == "job"
    assert release.queries["http_requests"].promql == (
        "last_over_time(http_server_request_duration_seconds_count{$match}[$step])"
    )
    assert release.queries["http_errors"].promql == (
        'last_over_time(http_server_request_duration_seconds_count{http_response_status_code=~"5..",$match}[$step])'
    )
    assert release.kpis["p99_latency_ms"].scale == 1000


def test_a_histogram_in_milliseconds_is_not_scaled(tmp_path: Path) -> None:
    labels = {"destination_service_name": "checkout", "reporter": "destination", "response_code": "200", "le": "+Inf"}
    other = {**labels, "reporter": "source"}
    series = [
        (f"istio_{name}", at)
        for name in ("requests_total", "request_duration_milliseconds_bucket")
        for at in (labels, other)
    ]
    found = proposal(FakeServer(*series))
    release = rendered(found, tmp_path)
    assert {release.kpis[name].scale for name in ("p50_latency_ms", "p99_latency_ms", "avg_p99_latency_ms")} == {1}
    assert release.service_label == "destination_service_name"
    about = {answer.query: answer.about for answer in found.answers}
    assert about["http_requests"].startswith("1 series of istio_requests_total")  # the client's side does not count


def test_grpc_has_its_own_errors(tmp_path: Path) -> None:
    found = proposal(FakeServer(("grpc_server_handled_total", {"job": "checkout", "grpc_code": "OK"})))
    assert 'grpc_code=~"Unknown|' in rendered(found, tmp_path).queries["http_errors"].promql


def test_the_label_is_the_one_that_most_queries_have_the_values_of() -> None:
    server = FakeServer(
        ("http_requests_total", {"service": "kubelet", "job": "checkout", "container": "checkout", "code": "200"}),
        ("http_requests_total", {"service": "kubelet", "job": "reports", "container": "reports", "code": "200"}),
        ("container_cpu_usage_seconds_total", {"job": "kubelet", "container": "checkout"}),
        ("container_cpu_usage_seconds_total", {"job": "kubelet", "container": "reports"}),
    )
    found = proposal(server)
    # container: 2 values with 2 queries; job: 2 with 1; service: 1 with 1
    assert found.label == "container"
    assert found.label_about == [
        "container: 2 values on http_requests_total; 2 of 2 queries have samples with them",
        "service: 1 value on http_requests_total; 1 of 2 queries have samples with them",
        "job: 2 values on http_requests_total; 1 of 2 queries have samples with them",
    ]


def test_a_namespace_is_taken_for_a_service_only_where_nothing_else_is_there() -> None:
    series = ("http_requests_total", {"namespace": "shop", "code": "200"})
    cpu = ("container_cpu_usage_seconds_total", {"namespace": "shop", "container": "a"})
    assert proposal(FakeServer(series, cpu)).label == "namespace"
    both = ("http_requests_total", {"namespace": "shop", "code": "200", "app": "checkout"})
    assert proposal(FakeServer(both, cpu)).label == "app"


def test_without_any_such_label_there_is_one_service(tmp_path: Path) -> None:
    found = proposal(FakeServer(("http_requests_total", {"code": "200"})))
    release = rendered(found, tmp_path)
    assert (release.services, release.service_label) == (("default",), None)
    assert release.plan.queries[0].promql == "last_over_time(http_requests_total{}[60s])"


def test_of_two_alternatives_the_one_that_joins_is_proposed(tmp_path: Path) -> None:
    """cAdvisor is there, but knows nothing of jobs; the process's own metrics do."""
    server = http("job", "checkout")
    server.series += [
        ("container_cpu_usage_seconds_total", {"container": "checkout", "pod": "a"}),
        ("process_cpu_seconds_total", {"job": "checkout"}),
        ("kube_pod_container_resource_limits", {"container": "checkout", "resource": "cpu"}),
    ]
    found = proposal(server)
    release = rendered(found, tmp_path)
    assert release.queries["cpu_cores"].promql == "sum by ($by) (rate(process_cpu_seconds_total{$match}[5m]))"
    assert "avg_cpu_percent" not in release.kpis  # there is no limit for the job
    assert (
        "avg_cpu_percent, peak_cpu_percent: kube_pod_container_resource_limits has samples, but none whose job is a "
        "service's (it has container)" in found.missing
    )


def test_a_service_with_fewer_kpis_keeps_those(tmp_path: Path) -> None:
    server = http("service", "checkout", "reports")
    server.series += [(f"redis_keyspace_{name}_total", {"service": "checkout"}) for name in ("hits", "misses")]
    found = proposal(server)
    release = rendered(found, tmp_path)
    assert "avg_redis_hit_rate" in release.kpis_of("checkout")
    assert "avg_redis_hit_rate" not in release.kpis_of("reports")
    assert [(service.name, tuple(service.lacks)) for service in found.services] == [
        ("checkout", ()),
        ("reports", ("redis_hits", "redis_lookups")),
    ]


def test_the_busiest_services_are_proposed_and_the_others_commented(tmp_path: Path) -> None:
    names = [f"s{number:02d}" for number in range(MOST_SERVICES + 3)]
    server = http("service", *names)
    server.rates.update({name: float(number) for number, name in enumerate(names)})
    found = proposal(server)
    assert [service.name for service in found.services] == names[:2:-1]
    assert found.others == ["s02", "s01", "s00"]
    text = render("shop", GA, found)
    assert "\n  # s02:\n" in text
    assert loaded(text.replace("  # s02:", "  s02:"), tmp_path).services[-1] == "s02"


def test_a_name_that_cannot_be_a_folder_is_left_out() -> None:
    found = proposal(http("job", "shop/checkout", "reports"))
    assert [service.name for service in found.services] == ["reports"]
    assert 'the job "shop/checkout" is left out: it cannot name a folder' in found.missing


def test_a_label_whose_values_are_all_no_folders_is_passed_over() -> None:
    server = FakeServer(("http_requests_total", {"service": "shop/checkout", "job": "checkout", "code": "200"}))
    assert proposal(server).label == "job"


def test_the_step_is_the_longest_scrape_interval() -> None:
    server = http("service", "checkout")
    assert proposal(server).step_s == 60
    server.samples.update(http_requests_total=240, up=240)
    found = proposal(server)
    assert found.step_s == 60
    assert found.step_about == (
        "The longest of those measured: 15s (http_requests_total and 1 more), "
        "60s (http_request_duration_seconds_bucket)."
    )
    server.samples["http_request_duration_seconds_bucket"] = 240
    found = proposal(server)
    assert (found.step_s, found.step_about) == (15, "Measured: 15s (http_requests_total and 2 more).")


def test_a_histogram_counts_once() -> None:
    server = http("service", "checkout")
    server.series.append(("http_request_duration_seconds_bucket", {"service": "checkout", "le": "0.5"}))
    about = next(answer.about for answer in proposal(server).answers if answer.query == "http_latency")
    assert about.startswith("1 histogram of http_request_duration_seconds_bucket (")


def test_a_server_without_known_metrics_is_not_enough_data() -> None:
    with pytest.raises(NotEnoughDataError) as error:
        proposal(FakeServer(("my_things_total", {"job": "x"})))
    assert (
        "http://prometheus:9090 has no samples of a metric that postga knows between 2025-11-25T23:20:00Z and"
        in str(error.value)
    )
    assert "(1 metrics have some)" in str(error.value)


def test_every_status_pattern_is_of_the_whole_value() -> None:
    kinds = {
        value: [k for k, (pattern, _) in enumerate(STATUSES) if re.fullmatch(pattern, value)]
        for value in ("200", "2xx", "2", "2x", "600", "ok")
    }
    assert kinds == {"200": [0], "2xx": [1], "2": [2], "2x": [], "600": [], "ok": []}


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)


@settings(max_examples=50, phases=[Phase.explicit, Phase.generate])
@example(names=["\U00018d09", "\u200e", "no", "1", "a: b # c", "a\u200bb", "- x", "2025-11-18"], release="~")
@given(names=st.lists(TEXT.filter(is_usable), min_size=1, max_size=5, unique=True), release=TEXT.filter(str.strip))
def test_any_names_come_back_as_they_were(names: list[str], release: str) -> None:
    found = proposal(http("service", "checkout"))
    services = [Service(name, "", ["request_rate"], ["x"]) for name in names]
    found = replace(found, services=services, others=["\x07"], missing=["\u2028"])
    with TemporaryDirectory() as folder:
        again = loaded(render(release, GA, found), Path(folder))
    assert (again.services, again.release) == (tuple(names), release)
