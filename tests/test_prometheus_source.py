"""The Prometheus source against a server of our own: what it asks, how it folds, what it says when it is refused."""

import json
import re
import socket
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from observability.errors import ConfigError, NotEnoughDataError, SourceError
from observability.model import Plan, PrometheusSettings, Query, SourceInfo, Window, parse_instant
from observability.sources import connection, parts
from observability.sources.prometheus import Prometheus

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = 60
NAN = float("nan")
LEAD = 5  # steps of 60 s that counters are asked for before the window
TIMEOUT = timedelta(seconds=20)
RANGE, INSTANT = "/api/v1/query_range", "/api/v1/query"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(connection, "BACKOFF_S", 0.0)


def window(steps, step_s=STEP):
    return Window(start=GA, end=GA + timedelta(seconds=steps * step_s))


def plan(*queries, services=("shop",), label="service", step_s=STEP):
    return Plan(services, label, step_s, queries)


def query(kind, name="q", promql=None):
    return Query(name=name, type=kind, promql=promql or f"last_over_time({name}[60s])")


def series(values, first=0, **labels):
    """One series that has ``values`` from step ``first`` of the window on; before the window steps are negative."""
    return labels, {first + k: str(value) for k, value in enumerate(values) if value is not None}


def success(kind, result, **more):
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


class Server:
    """As much of Prometheus as it takes: each promql has its series, and the steps' last values are what is there."""

    def __init__(self, httpserver):
        self.http = httpserver
        self.url = httpserver.url_for("").rstrip("/")
        self.held = {}
        self.warnings = []
        httpserver.expect_request(RANGE).respond_with_handler(self._range)
        httpserver.expect_request(INSTANT).respond_with_handler(self._instant)

    def hold(self, name, *held):
        self.held[name] = held

    def asked(self, path=RANGE):
        return [request.args.to_dict() for request, _ in self.http.log if request.path == path]

    def _series(self, request):
        query = request.args["query"]
        return next((held for name, held in self.held.items() if re.search(rf"\b{name}\b", query)), ())

    def _answer(self, kind, result):
        more = {"warnings": self.warnings} if self.warnings else {}
        return Response(json.dumps(success(kind, result, **more)), content_type="application/json")

    def _range(self, request):
        start, end = (parse_instant(request.args[key]).timestamp() for key in ("start", "end"))
        step = int(request.args["step"])
        result = []
        for labels, values in self._series(request):
            times = {GA.timestamp() + (k + 1) * step - 0.001: text for k, text in values.items()}
            points = [[time, text] for time, text in sorted(times.items()) if start <= time <= end]
            result += [{"metric": labels, "values": points}] if points else []
        return self._answer("matrix", result)

    def _instant(self, request):
        if raw := re.search(r"\[(\d+)s\]$", request.args["query"]):
            return self._raw(request, int(raw[1]))
        last = (parse_instant(request.args["time"]) - GA).total_seconds() // STEP
        result = []
        for labels, values in self._series(request):
            before = [text for k, text in sorted(values.items()) if k <= last]
            result += [{"metric": labels, "value": [0, before[-1]]}] if before else []
        return self._answer("vector", result)

    def _raw(self, request, seconds):
        """The samples of a range selector, both borders included as Prometheus 2 has them. A step's is scraped 15 s
        after its start."""
        end = parse_instant(request.args["time"]).timestamp()
        result = []
        for labels, values in self._series(request):
            times = {GA.timestamp() + k * STEP + 15: text for k, text in values.items()}
            points = [[time, text] for time, text in sorted(times.items()) if end - seconds <= time <= end]
            result += [{"metric": labels, "values": points}] if points else []
        return self._answer("matrix", result)


@pytest.fixture
def server(httpserver):
    return Server(httpserver)


def source_at(url, timeout=TIMEOUT):
    return Prometheus(PrometheusSettings(url=url, timeout=timeout, concurrency=1))


def fetch(server, plan, window):
    return source_at(server.url).fetch(plan, window)


def columns(server, query, steps, **plan_fields):
    """Service → the columns of the one query, over the first steps after GA."""
    found = fetch(server, plan(query, **plan_fields), window(steps))
    return {service: {name: c.tolist() for name, c in samples.columns.items()} for service, samples in found.items()}


# What is asked


def test_a_step_is_evaluated_at_its_last_millisecond(server):
    fetch(server, plan(query("gauge", promql="up")), window(3))
    assert server.asked() == [
        {
            "query": "up",
            "start": "2025-11-18T00:00:59.999Z",
            "end": "2025-11-18T00:02:59.999Z",
            "step": "60",
            "timeout": "20",
        }
    ]


def test_counters_are_asked_for_from_five_minutes_before_and_for_the_last_value_before_that(server):
    fetch(server, plan(query("counter", "requests")), window(3))
    before, asked = server.asked(INSTANT)
    assert asked == {"query": "requests[480s]", "time": "2025-11-18T00:02:59.999Z", "timeout": "20"}
    time = "2025-11-17T23:54:59.999Z"
    assert before == {"query": "last_over_time(requests[1d])", "time": time, "timeout": "20"}
    assert server.asked() == []


def test_counters_that_are_no_plain_selection_are_evaluated_step_by_step(server):
    fetch(server, plan(query("counter", promql="a_total or b_total")), window(3))
    [before], [asked] = server.asked(INSTANT), server.asked()
    assert (before["query"], before["time"]) == ("a_total or b_total", "2025-11-17T23:54:59.999Z")
    assert (asked["start"], asked["end"]) == ("2025-11-17T23:55:59.999Z", "2025-11-18T00:02:59.999Z")


@pytest.mark.parametrize(
    ("promql", "looking_back"),
    [
        ("last_over_time(a_total[60s])", "last_over_time(a_total[1d])"),
        (' last_over_time( a_total{b="]",c=~"x|y"} [1m30s] ) ', 'last_over_time(a_total{b="]",c=~"x|y"}[1d])'),
        (r'last_over_time({__name__=~"a|b",c="\"}"}[60s])', r'last_over_time({__name__=~"a|b",c="\"}"}[1d])'),
        ("a_total", "last_over_time(a_total[1d])"),
        ("a_total{b='}'}", "last_over_time(a_total{b='}'}[1d])"),
        ("last_over_time(a_total[60s] offset 1m)", None),
        ("last_over_time(a_total[60s:15s])", None),
        ("a_total + b_total", None),
        ("label_replace(a_total, 'b', '$1', 'c', '(.*)')", None),
    ],
)
def test_the_query_for_the_last_value_before(server, promql, looking_back):
    fetch(server, plan(query("counter", promql=promql)), window(1))
    assert server.asked(INSTANT)[0]["query"] == (looking_back or promql)


def test_alerts_are_asked_for_from_the_step_before(server):
    fetch(server, plan(query("alerts", promql="ALERTS")), window(3))
    [asked] = server.asked()
    assert (asked["start"], asked["end"]) == ("2025-11-17T23:59:59.999Z", "2025-11-18T00:02:59.999Z")


def test_no_request_asks_for_more_points_than_the_server_gives_and_none_twice(server, monkeypatch):
    monkeypatch.setattr(parts, "MAX_POINTS", 4)
    server.hold("up", series(range(10), service="shop"))
    found = columns(server, query("gauge", promql="up"), 10)
    assert found == {"shop": {"q": [float(k) for k in range(10)]}}
    assert [(asked["start"][11:19], asked["end"][11:19]) for asked in server.asked()] == [
        ("00:00:59", "00:03:59"),
        ("00:04:59", "00:07:59"),
        ("00:08:59", "00:09:59"),
    ]


def test_the_servers_own_limit_is_kept(server):
    fetch(server, plan(query("gauge"), step_s=5), window(17280, step_s=5))
    points = [
        (parse_instant(asked["end"]) - parse_instant(asked["start"])).total_seconds() / 5 + 1
        for asked in server.asked()
    ]
    assert points == [11_000, 17_280 - 11_000]


def test_a_ga_instant_between_seconds_is_asked_for_exactly(server):
    start = GA + timedelta(milliseconds=250)
    fetch(server, plan(query("gauge")), Window(start=start, end=start + timedelta(seconds=60)))
    assert server.asked()[0]["start"] == "2025-11-18T00:01:00.249Z"


@pytest.mark.parametrize("shift", [0.0, -1.0])
def test_points_off_the_ends_of_the_range_are_left_out(httpserver, shift):
    """VictoriaMetrics aligns a range to whole steps, and answers points beyond it."""
    points = [[GA.timestamp() + 60 * k + shift, text] for k, text in {0: "9", 1: "1", 2: "2", 4: "4"}.items()]
    httpserver.expect_request(RANGE).respond_with_json(success("matrix", [{"metric": {}, "values": points}]))
    source = source_at(httpserver.url_for(""))
    samples = source.fetch(plan(query("gauge")), window(3))["shop"]
    np.testing.assert_array_equal(samples.columns["q"], [1, 2, NAN])


# Services


def test_each_service_has_the_series_of_its_label(server):
    server.hold("up", series([1, 2], service="shop"), series([3, 4], service="desk"), series([9, 9], service="other"))
    found = columns(server, query("gauge", promql="up"), 2, services=("shop", "desk"))
    assert found == {"shop": {"q": [1, 2]}, "desk": {"q": [3, 4]}}


def test_a_series_without_the_label_concerns_all_services(server):
    server.hold("up", series([7, 8]))
    assert columns(server, query("gauge", promql="up"), 2, services=("shop", "desk")) == {
        "shop": {"q": [7, 8]},
        "desk": {"q": [7, 8]},
    }


def test_without_a_service_label_everything_is_the_one_service(server):
    server.hold("q", series([10] * 6 + [15], first=-6, service="a"), series([4] * 6 + [6], first=-6, service="b"))
    assert columns(server, query("counter"), 1, label=None) == {"shop": {"q": [(15 - 10) + (6 - 4)]}}


def test_a_service_without_series_has_no_column(server):
    server.hold("a", series([1], service="shop"))
    queries = [
        query(kind, name) for name, kind in {"a": "gauge", "b": "counter", "c": "buckets", "d": "alerts"}.items()
    ]
    assert list(fetch(server, plan(*queries), window(1))["shop"].columns) == ["a"]


# Gauges


def test_a_gauge_is_missing_where_it_has_no_point(server):
    server.hold("up", series([5, None, 7], service="shop"))
    np.testing.assert_array_equal(columns(server, query("gauge", promql="up"), 4)["shop"]["q"], [5, NAN, 7, NAN])


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
def test_values_that_are_no_numbers_are_dropped_and_counted(server, text):
    server.hold("up", series([text, "1e-07", text], service="shop"))
    samples = fetch(server, plan(query("gauge", promql="up"), services=("shop", "desk")), window(3))
    np.testing.assert_array_equal(samples["shop"].columns["q"], [NAN, 1e-07, NAN])
    assert samples["shop"].warnings == ("q: values that are not finite numbers were left out: 2",)
    assert samples["desk"].warnings == ()


def test_a_gauge_of_nothing_but_nan_is_no_column(server):
    server.hold("up", series(["NaN", "NaN"], service="shop"))
    assert columns(server, query("gauge", promql="up"), 2) == {"shop": {}}


def test_two_series_for_one_gauge_are_refused(server):
    server.hold("up", series([1], service="shop", pod="a"), series([1], service="shop", pod="b"))
    with pytest.raises(ConfigError, match=r"'q' returned 2 series for service 'shop'.*sum by \(service\).*: up$"):
        columns(server, query("gauge", promql="up"), 1)


# Counters


def test_a_counter_is_the_increase_summed_over_its_series(server):
    server.hold(
        "q",
        series([100, 100, 100, 100, 100, 100, 110, 130], first=-6, service="shop", instance="a"),
        series([50, 50, 50, 50, 50, 50, 5, None], first=-6, service="shop", instance="b"),  # reset, then not seen
    )
    assert columns(server, query("counter"), 2)["shop"]["q"] == [(110 - 100) + 5, 130 - 110]


def test_the_last_value_before_may_be_hours_old(server):
    server.hold("q", series([100], first=-300, service="shop"), series([160, 161], first=1, service="shop"))
    np.testing.assert_array_equal(columns(server, query("counter"), 3)["shop"]["q"], [NAN, 160 - 100, 1])


def test_a_new_pod_counts_from_zero(server):
    server.hold(
        "q",
        series([100] * 12, first=-9, service="shop", job="web", instance="a"),
        series([40, 44], first=1, service="shop", job="web", instance="b"),
    )
    assert columns(server, query("counter"), 3)["shop"]["q"] == [0, 0 + 40, 0 + 4]


def test_a_pod_that_took_over_counts_from_zero(server):
    """The old pod is only known from before the window."""
    server.hold(
        "q",
        series([100], first=-20, service="shop", job="web", instance="a"),
        series([40, 44], service="shop", job="web", instance="b"),
    )
    assert columns(server, query("counter"), 2)["shop"]["q"] == [40, 44 - 40]


def test_the_first_error_counts_where_the_requests_were_seen_before(server):
    server.hold("requests", series([1000] * 12, first=-9, service="shop", instance="a"))
    server.hold("errors", series([2, 3], first=1, service="shop", instance="a"))
    found = fetch(server, plan(query("counter", "requests"), query("counter", "errors")), window(3))
    np.testing.assert_array_equal(found["shop"].columns["errors"], [NAN, 2 - 0, 3 - 2])


@pytest.mark.parametrize("labels", [{"service": "desk", "job": "web"}, {"service": "shop", "job": "redis"}])
def test_a_job_that_is_scraped_for_the_first_time_has_an_unknown_past(server, labels):
    server.hold("known", series([1000] * 12, first=-9, service="shop", job="web", instance="a"))
    server.hold("new", series([10**6, 10**6 + 3], first=1, instance="n", **labels))
    queries = (query("counter", "known"), query("counter", "new"))
    found = fetch(server, plan(*queries, services=("shop", "desk")), window(3))
    np.testing.assert_array_equal(found[labels["service"]].columns["new"], [NAN, NAN, 3])


def test_a_counter_that_was_only_seen_before_the_window_is_no_column(server):
    server.hold("q", series([10, 11], first=-3, service="shop"))
    assert columns(server, query("counter"), 2) == {"shop": {}}


def test_an_infinite_value_before_the_window_is_no_history(server):
    server.hold("q", series(["+Inf"], first=-20, service="shop"), series([100, 101], service="shop"))
    np.testing.assert_array_equal(columns(server, query("counter"), 2)["shop"]["q"], [NAN, 1])


def test_targets_that_are_first_scraped_in_turn_have_an_unknown_past(server):
    """The server's first minutes: the counters are old, and one target comes a step later than the other."""
    server.hold(
        "q",
        series([5000, 5001, 5002], service="shop", job="web", instance="a"),
        series([7000, 7004], first=1, service="shop", job="web", instance="b"),
    )
    np.testing.assert_array_equal(columns(server, query("counter"), 3)["shop"]["q"], [NAN, 1, 1 + 4])


def test_adjacent_windows_add_up(server):
    server.hold(
        "q",
        series([1000 + 7 * k for k in range(20)], first=-2, service="shop", job="web", instance="a"),
        series([9000 + k for k in range(18)], first=1, service="shop", job="web", instance="b"),
        series([40, 44, None, 60, 2, 8], first=8, service="shop", job="web", instance="c"),
    )
    source, plan_ = source_at(server.url), plan(query("counter"))
    whole = source.fetch(plan_, window(18))["shop"].columns["q"]
    for middle in (1, 4, 9, 11):
        border = GA + timedelta(seconds=middle * STEP)
        first, second = Window(start=GA, end=border), Window(start=border, end=window(18).end)
        parts = [source.fetch(plan_, part)["shop"].columns["q"] for part in (first, second)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_counter_value_that_is_no_number_is_not_seen(server):
    server.hold("q", series([10] * 5 + ["NaN", 15, "NaN", 22], first=-6, service="shop"))
    samples = fetch(server, plan(query("counter")), window(3))["shop"]
    np.testing.assert_array_equal(samples.columns["q"], [5, NAN, 22 - 15])
    assert samples.warnings == ("q: values that are not finite numbers were left out: 1",)


# Buckets


def test_buckets_are_columns_by_bound(server):
    server.hold(
        "q",
        *(
            series([n] * 6 + [2 * n], first=-6, service="shop", le=le)
            for le, n in {"+Inf": 9, "0.5": 4, "10": 6}.items()
        ),
    )
    found = columns(server, query("buckets"), 1)["shop"]
    assert list(found.items()) == [("q.le.0.5", [4]), ("q.le.10.0", [6]), ("q.le.+Inf", [9])]


def test_bounds_that_are_equal_numbers_are_one_series(server):
    """A server or client that is upgraded starts to write le="1.0" for le="1": the counter goes on."""
    server.hold(
        "q",
        series([104, 105, 110], service="shop", instance="a", le="1.0"),
        series([100] * 9 + [103], first=-9, service="shop", instance="a", le="1"),
    )
    assert columns(server, query("buckets"), 3)["shop"] == {"q.le.1.0": [104 - 100, 105 - 104, 110 - 105]}


@pytest.mark.parametrize("labels", [{}, {"le": "often"}])
def test_buckets_without_bounds_are_refused(server, labels):
    server.hold("q", series([1], service="shop", **labels))
    with pytest.raises(ConfigError, match=r"'q' returned a series without a number in the label 'le'.*_bucket"):
        columns(server, query("buckets"), 1)


# Alerts


def test_alerts_are_counted_and_their_starts(server):
    server.hold(
        "ALERTS",
        series([1, 1, None, 1], first=-1, service="shop", alertname="Slow"),  # from before; ends, and starts again
        series([1, 1], service="shop", alertname="Down"),
        series([1], first=3, alertname="Everything"),
        series([1], first=3, service="other", alertname="Down"),
    )
    assert columns(server, query("alerts", promql="ALERTS"), 4)["shop"] == {
        "q": [2, 1, 1, 1],
        "q.started": [1, 0, 1, 1],
    }


def test_an_alert_that_ended_before_the_window_is_no_column(server):
    server.hold("ALERTS", series([1], first=-1, service="shop", alertname="Slow"))
    assert columns(server, query("alerts", promql="ALERTS"), 2) == {"shop": {}}


# The server's word


def test_warnings_are_kept_once_with_the_querys_name(server):
    server.warnings = ["partial response:\n store-2 is down"]
    samples = fetch(server, plan(query("counter", "a"), query("gauge", "b")), window(1))["shop"]
    assert samples.warnings == tuple(f"{name}: the server warned: partial response: store-2 is down" for name in "ab")


def asking(url, promql="last_over_time(q[60s])", timeout=TIMEOUT):
    return source_at(url, timeout).fetch(plan(query("gauge", promql=promql)), window(1))


ERROR = {"status": "error", "errorType": "x", "error": "the server's\nown words"}
HTML = "<html>Please log in</html>"


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (
            400,
            ERROR,
            ConfigError,
            r"HTTP 400 \(the server's own words\); correct the query: last_over_time\(q\[60s\]\)",
        ),
        (422, ERROR, ConfigError, r"HTTP 422 \(the server's own words\); correct the query"),
        (401, HTML, SourceError, r"HTTP 401 \(UNAUTHORIZED\); no credentials were sent: give"),
        (403, ERROR, SourceError, r"HTTP 403 \(the server's own words\); no credentials were sent: give"),
        (404, HTML, SourceError, r"HTTP 404 \(NOT FOUND\); check that this is Prometheus' base URL"),
        (408, ERROR, SourceError, r"HTTP 408 \(the server's own words\), also after 3 more attempts"),
        (429, ERROR, SourceError, r"HTTP 429 \(the server's own words\), also after 3 more attempts"),
        (500, ERROR, SourceError, r"HTTP 500 \(the server's own words\), also after"),
        (502, HTML, SourceError, r"HTTP 502 \(BAD GATEWAY\), also after"),
        (503, ERROR, SourceError, r"HTTP 503 \(the server's own words\), also after"),
        (504, "", SourceError, r"HTTP 504 \(GATEWAY TIMEOUT\), also after"),
        (418, HTML, SourceError, r"HTTP 418 \(I'M A TEAPOT\); check the URL"),
        (204, "", SourceError, r"HTTP 204 \(NO CONTENT\); check the URL"),
        (200, HTML, SourceError, r"the answer \(text/plain\) is not JSON; .*login page"),
        (200, '{"status": "succ', SourceError, r"is not JSON"),
        (200, "[]", SourceError, r"not one of Prometheus"),
        (200, ERROR, SourceError, r"the server reports an error \(the server's own words\)"),
        (200, {"status": "success"}, SourceError, r"the answer is not a matrix"),
        (200, success("vector", []), SourceError, r"the answer is not a matrix"),
        (200, success("matrix", [{"metric": {}, "values": [[0, None]]}]), SourceError, r"not one of Prometheus"),
        (200, success("matrix", [{"metric": {}, "values": [[0, "many"]]}]), SourceError, r"not one of Prometheus"),
        (200, success("matrix", {"a": 1}), SourceError, r"not one of Prometheus"),
    ],
)
def test_refusals(httpserver, status, body, error, message):
    text = body if isinstance(body, str) else json.dumps(body)
    httpserver.expect_request(RANGE).respond_with_data(text, status=status, content_type="text/plain; charset=utf-8")
    with pytest.raises(error, match=message) as raised:
        asking(httpserver.url_for(""))
    start = f"query 'q' at http://{httpserver.host}:{httpserver.port}: "
    assert str(raised.value).startswith(start)
    assert "\n" not in str(raised.value)


def test_a_very_long_reason_is_cut(httpserver):
    httpserver.expect_request(RANGE).respond_with_json({"error": "x" * 10_000}, status=500)
    with pytest.raises(SourceError) as raised:
        asking(httpserver.url_for(""))
    assert len(str(raised.value)) < 500


def test_a_busy_server_is_asked_again(httpserver):
    httpserver.expect_ordered_request(RANGE).respond_with_data("busy", status=503)
    httpserver.expect_ordered_request(RANGE).respond_with_data("busy", status=503)
    httpserver.expect_ordered_request(RANGE).respond_with_json(success("matrix", []))
    assert asking(httpserver.url_for(""))["shop"].columns == {}
    assert len(httpserver.log) == 3


def test_a_busy_server_is_not_asked_for_ever(httpserver):
    httpserver.expect_request(RANGE).respond_with_data("busy", status=503)
    with pytest.raises(SourceError, match="HTTP 503"):
        asking(httpserver.url_for(""))
    assert len(httpserver.log) == 1 + connection.RETRIES


def test_a_refused_connection_is_one_sentence():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SourceError) as raised:
            asking(url)
    assert str(raised.value) == (
        f"query 'q' at {url}: the server cannot be reached (Connection refused); "
        "check the URL and that the server runs."
    )


def test_an_unknown_host_is_named(monkeypatch):
    asked = []

    def unknown(host, *_):
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match=r"http://nowhere\.invalid:9090: .*Name or service not known"):
        asking("http://nowhere.invalid:9090")
    assert len(asked) == 1 + connection.CONNECT_RETRIES


def test_a_server_that_does_not_answer(httpserver, monkeypatch):
    monkeypatch.setattr(connection, "READ_RETRIES", 0)
    done = threading.Event()
    httpserver.expect_request(RANGE).respond_with_handler(lambda _: Response(str(done.wait(60))))
    try:
        with pytest.raises(SourceError, match=r"no answer within 0\.05 s; raise `timeout` under `prometheus:`"):
            asking(httpserver.url_for(""), timeout=timedelta(milliseconds=50))
    finally:
        done.set()


def test_a_redirect_is_followed(httpserver):
    httpserver.expect_request("/old" + RANGE).respond_with_data(
        "", status=302, headers={"Location": httpserver.url_for("/new")}
    )
    httpserver.expect_request("/new").respond_with_json(success("matrix", []))
    assert asking(httpserver.url_for("/old"))["shop"].columns == {}


# The URL


@pytest.mark.parametrize("path", ["", "/", "/prometheus", "/prometheus/"])
def test_the_url_may_have_a_path_and_a_slash(httpserver, path):
    httpserver.expect_request(path.rstrip("/") + RANGE).respond_with_json(success("matrix", []))
    assert asking(f"http://{httpserver.host}:{httpserver.port}{path}")["shop"].columns == {}


@pytest.mark.parametrize(
    "url",
    [
        "localhost:9090",
        "ftp://localhost",
        "http://",
        "",
        "http://host:port",
        "http://host:70000",
        "http://[::1",
        "http://a b",
    ],
)
def test_a_url_that_cannot_be_used_is_named(url):
    with pytest.raises(ConfigError, match="cannot be used; write it like http://localhost:9090") as raised:
        source_at(url)
    assert f"'{url}'" in str(raised.value)


@pytest.mark.parametrize("url", ["http://me:secret@host:port", "http://host?token=secret", "http://me:se?cret@host"])
def test_a_url_that_cannot_be_used_is_not_shown_when_it_may_hold_a_secret(url):
    with pytest.raises(ConfigError) as raised:
        source_at(url)
    assert "cret" not in str(raised.value)


def test_credentials_are_sent_and_never_shown(httpserver):
    httpserver.expect_request(RANGE).respond_with_data("no", status=401)
    source = source_at(f"http://m%C3%A9:s%C3%A9cret%40@{httpserver.host}:{httpserver.port}")
    asked = plan(query("gauge"))
    with pytest.raises(SourceError) as raised:
        source.fetch(asked, window(1))
    authorization = httpserver.log[0][0].authorization
    assert (authorization.username, authorization.password) == ("mé", "sécret@")
    shown = f"{raised.value} {source.url} {source.info(asked)}"
    assert "cret" not in shown
    assert "m%C3%A9" not in shown


def test_info_names_the_server_without_credentials():
    source = source_at("https://me:secret@host:9090/prom/")
    assert source.info(plan(step_s=30)) == SourceInfo(prometheus="https://host:9090/prom", step_s=30)


def test_an_answer_is_parsed_once(server, monkeypatch):
    decode, parsed = msgspec.json.decode, []
    monkeypatch.setattr(msgspec.json, "decode", lambda text, **more: parsed.append(text) or decode(text, **more))
    server.hold("up", series([1], service="shop"))
    columns(server, query("gauge", promql="up"), 1)
    assert len(parsed) == 1


@pytest.mark.parametrize("kind", ["gauge", "counter"])
def test_native_histograms_are_refused(httpserver, kind):
    found = [{"metric": {}, "histogram": [0, {}]}], [{"metric": {}, "histograms": [[0, {}]]}]
    httpserver.expect_request(INSTANT).respond_with_json(success("vector", found[0]))
    httpserver.expect_request(RANGE).respond_with_json(success("matrix", found[1]))
    with pytest.raises(ConfigError, match="query 'q' returned native histograms, which are not read"):
        source_at(httpserver.url_for("")).fetch(plan(query(kind)), window(1))


# Parts, and what is on its way at once


def test_a_window_in_parts_has_the_counts_of_the_whole(server, monkeypatch):
    values = [100, 130, 20, 50, None, 90, 10, 10, 35]
    server.hold("q", series(values, first=-3, service="shop"))
    whole = columns(server, query("counter"), 6)
    monkeypatch.setattr(parts, "ANSWER_BYTES", 100)
    in_parts = columns(server, query("counter"), 6)
    assert {name: pytest.approx(values, nan_ok=True) for name, values in whole["shop"].items()} == in_parts["shop"]
    asked = [request["query"] for request in server.asked(INSTANT)]
    assert len(asked) > 2 + 3
    # Steps 0 to 5 hold 50, nothing, 90, 10 (a restart), 10, 35.
    assert whole["shop"]["q"] == pytest.approx([30, NAN, 40, 10, 0, 25], nan_ok=True)


@pytest.mark.parametrize("status", [413, 422, 503])
def test_a_part_that_is_too_much_for_the_server_is_halved(httpserver, status):
    """This server gives at most 100 s of samples at once."""

    def respond(request):
        seconds = re.search(r"\[(\d+)s\]$", request.args["query"])
        if seconds is None:
            return Response(json.dumps(success("vector", [])))
        if int(seconds[1]) > 100:
            refused = {"status": "error", "error": "query processing would load too many samples into memory"}
            return Response(json.dumps(refused), status=status)
        return Response(json.dumps(success("matrix", [])))

    httpserver.expect_request(INSTANT).respond_with_handler(respond)
    assert source_at(httpserver.url_for("")).fetch(plan(query("counter")), window(10))["shop"].columns == {}


def test_a_server_that_gives_not_even_one_step_is_an_error(httpserver):
    refused = {"status": "error", "error": "query processing would load too many samples into memory"}
    httpserver.expect_request(RANGE).respond_with_json(refused, status=422)
    with pytest.raises(ConfigError, match="too many samples"):
        source_at(httpserver.url_for("")).fetch(plan(query("gauge")), window(10))


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_are_on_their_way_than_the_limit(limit):
    running, most, lock = [], [], threading.Lock()
    together = threading.Barrier(limit, timeout=20)

    def respond(request):
        with lock:
            running.append(request)
            most.append(len(running))
        together.wait()
        with lock:
            running.remove(request)
        return Response(json.dumps(success("matrix", [])))

    with HTTPServer(threaded=True) as threaded:
        threaded.expect_request(RANGE).respond_with_handler(respond)
        settings = PrometheusSettings(url=threaded.url_for(""), concurrency=limit)
        queries = [query("gauge", f"q{number}") for number in range(6)]
        Prometheus(settings).fetch(plan(*queries), window(1))
    assert (max(most), len(most)) == (limit, 6)


def test_a_server_whose_clock_is_behind_is_not_asked_for_its_future(httpserver):
    httpserver.expect_request(RANGE).respond_with_json(success("matrix", []))
    start = datetime(2999, 1, 1, tzinfo=UTC)
    with pytest.raises(NotEnoughDataError, match=r"clock says 20.*, before .* 2999-01-01T00:01:00Z; wait for it"):
        source_at(httpserver.url_for("")).fetch(
            plan(query("gauge")), Window(start=start, end=start + timedelta(seconds=STEP))
        )


# Looking around


def test_an_instant_is_a_vector(server):
    server.hold("up", series([1, 2], service="shop"))
    (found,) = source_at(server.url).instant("up", "up", GA + timedelta(seconds=119))
    assert (found.metric, found.value[1]) == ({"service": "shop"}, "2")


def test_labels(httpserver):
    names, values = "/api/v1/labels", "/api/v1/label/job/values"
    asked = {"match[]": "up", "start": "2025-11-18T00:00:00Z", "end": "2025-11-18T00:01:00Z", "timeout": "20"}
    httpserver.expect_request(names, query_string=asked).respond_with_json({"status": "success", "data": ["job"]})
    httpserver.expect_request(values).respond_with_json({"status": "success", "data": ["a", "b"]})
    source = source_at(httpserver.url_for(""))
    assert source.label_names("up", window(1)) == ["job"]
    assert source.label_values("job", None, window(1)) == ["a", "b"]


def test_the_tenants_of_one_server_are_different_sources():
    def named(**headers):
        settings = {"url": "http://mimir:9009/prometheus", "http_headers": headers}
        return Prometheus(PrometheusSettings(**settings)).info(plan()).prometheus

    assert named(**{"X-Scope-OrgID": {"values": ["a"]}}) == "http://mimir:9009/prometheus (x-scope-orgid: a)"
    assert named(**{"X-Other": {"values": ["a"]}}) == "http://mimir:9009/prometheus"


# What a server says beside its answer


def test_a_part_of_an_answer_is_told(httpserver):
    """As VictoriaMetrics marks it."""
    httpserver.expect_request(RANGE).respond_with_json(success("matrix", []) | {"isPartial": True})
    samples = source_at(httpserver.url_for("")).fetch(plan(query("gauge")), window(1))["shop"]
    assert samples.warnings == ("q: the server warned: the answer is only a part",)


def test_secrets_that_a_server_repeats_are_left_out(httpserver, monkeypatch):
    monkeypatch.setenv("KEY", "s3cret-key")
    repeated = success("matrix", []) | {"warnings": ["denied for s3cret-key and hunter2-pw", "me:hunter2-pw"]}
    httpserver.expect_request(RANGE).respond_with_json(repeated)
    settings = PrometheusSettings(
        url=f"http://me:hunter2-pw@{httpserver.host}:{httpserver.port}", http_headers={"X-Key": {"secrets": ["${KEY}"]}}
    )
    samples = Prometheus(settings).fetch(plan(query("gauge")), window(1))["shop"]
    assert samples.warnings == ("q: the server warned: denied for … and …", "q: the server warned: me:…")


NOTHING = success("vector", [])


def one_target(request):
    """A counter of one target, seen once; nothing before."""
    found = [{"metric": {"job": "shop", "instance": "a"}, "values": [[GA.timestamp() + 15, "5"]]}]
    looks_back = request.args["query"].startswith("last_over_time")
    return Response(json.dumps(NOTHING if looks_back else success("matrix", found)))


def test_targets_that_could_not_be_scraped_are_asked_for_by_job(httpserver):
    httpserver.expect_request(INSTANT).respond_with_handler(one_target)
    httpserver.expect_request(RANGE).respond_with_json(success("matrix", []))
    source_at(httpserver.url_for("")).fetch(plan(query("counter")), window(1))
    (asked,) = [request.args["query"] for request, _ in httpserver.log if request.path == RANGE]
    assert asked == 'min by (job, instance) (min_over_time(up{job=~"shop"}[60s])) == 0'


def test_a_server_that_does_not_tell_which_targets_were_down_is_doubted(httpserver):
    httpserver.expect_request(INSTANT).respond_with_handler(one_target)
    httpserver.expect_request(RANGE).respond_with_json({"status": "error", "error": "no"}, status=422)
    samples = source_at(httpserver.url_for("")).fetch(plan(query("counter")), window(1))["shop"]
    assert samples.warnings == ("q: the server warned: it does not tell when targets could not be scraped",)


def test_what_came_before_is_asked_for_as_far_back_as_the_server_can(httpserver):
    def respond(request):
        asked = request.args["query"]
        if "1d" in asked:
            return Response(json.dumps({"status": "error", "error": "would load too many samples"}), status=422)
        return Response(json.dumps(NOTHING if "last_over_time" in asked else success("matrix", [])))

    httpserver.expect_request(INSTANT).respond_with_handler(respond)
    source_at(httpserver.url_for("")).fetch(plan(query("counter")), window(1))
    asked = [request.args["query"] for request, _ in httpserver.log]
    assert asked == ["last_over_time(q[1d])", "last_over_time(q[1h])", "q[360s]"]


@pytest.mark.parametrize("shift", [0.0, -30.0, -45.0])
def test_values_that_a_server_moves_into_their_step_are_all_there(httpserver, shift):
    """Of a server that lays ranges on multiples of the step, where GA does not lie on one."""
    points = [[GA.timestamp() + 60 * (k + 1) + shift, str(k)] for k in range(4)]
    httpserver.expect_request(RANGE).respond_with_json(success("matrix", [{"metric": {}, "values": points}]))
    samples = source_at(httpserver.url_for("")).fetch(plan(query("gauge")), window(4))["shop"]
    assert samples.columns["q"].tolist() == [0, 1, 2, 3]
