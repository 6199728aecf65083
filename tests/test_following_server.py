"""Following over HTTP: what a server says when it cannot answer, and what becomes of it."""

import itertools
import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pods import PLAN, made
from pytest_httpserver import HTTPServer
from stores import GA, STEP_S, Store, assert_same, followed, nothing, window
from werkzeug import Request, Response

from observability.errors import NotEnoughDataError, SourceError
from observability.model import Plan, PrometheusSettings, Query, Window
from observability.sources import connection, parts
from observability.sources.prometheus import Prometheus

CPU = Query(name="cpu", type="gauge", promql="cpu")
REQUESTS = Query(name="requests", type="counter", promql="requests_total")
TIMES = np.arange(-600.0, 3600.0, 15)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(connection, "BACKOFF_S", 0.0)


class Served:
    """A store behind HTTP. ``answers``: what stands in a query -> the response that it gets instead."""

    def __init__(self, httpserver: HTTPServer, raw):
        self.store, self.answers = Store(raw), {}
        self.url = httpserver.url_for("").rstrip("/")
        httpserver.expect_request("/api/v1/query").respond_with_handler(self._answer)
        httpserver.expect_request("/api/v1/query_range").respond_with_handler(self._answer)

    def follow(self, plan, concurrency=1):
        settings = PrometheusSettings(url=self.url, timeout=timedelta(seconds=20), concurrency=concurrency)
        return Prometheus(settings).follow(plan, GA)

    def _answer(self, request: Request) -> Response:
        promql = request.args["query"]
        for text, answer in self.answers.items():
            if text in promql:
                return answer if isinstance(answer, Response) else answer()
        endpoint = request.path.rsplit("/", 1)[1]
        is_raw = endpoint == "query_range" or promql.endswith("s]")
        name = next((name for name in self.store.raw if name in promql.lower()), "")
        kind, step = "matrix" if is_raw else "vector", int("[1d" not in promql)
        asked = parts.Request(promql, endpoint, kind, request.args, 0, step)
        found = self.store.answer(Query(name=name, type="gauge", promql=promql), asked)
        fields = ("metric", "values") if is_raw else ("metric", "value")
        series = [{field: _plain(getattr(one, field)) for field in fields} for one in found]
        body = {"status": "success", "data": {"resultType": asked.kind, "result": series}}
        return Response(json.dumps(body), content_type="application/json")


def _plain(value):
    return value if isinstance(value, dict | tuple) else json.loads(bytes(value))


def refused(status, text):
    return Response(json.dumps({"status": "error", "error": text}), status, content_type="application/json")


def result(kind, value):
    body = {"status": "success", "data": {"resultType": kind, "result": value}}
    return Response(json.dumps(body), content_type="application/json")


def plan(*queries):
    return Plan(("shop",), "service", STEP_S, queries)


def gauge():
    return {"cpu": [({"service": "shop"}, TIMES, TIMES)]}


def test_the_columns_are_those_of_the_store(httpserver):
    raw = made(1, 12)
    follower, found = Served(httpserver, raw).follow(PLAN, concurrency=3), {s: {} for s in PLAN.services}
    cuts = [0, 1, 2, 3, 9, 10, 12]
    for low, high in itertools.pairwise(cuts):
        read = follower.read(window(low, high))
        assert read.failed == {}
        for service, samples in read.services.items():
            for name, values in samples.columns.items():
                found[service].setdefault(name, np.full(12, nothing(name, PLAN)))[low:high] = values
    assert_same(found, followed(Store(raw), PLAN, [12]), PLAN)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refused(400, "parse error"), "HTTP 400 (parse error); correct the query: cpu"),
        (refused(422, "many-to-many matching"), "HTTP 422 (many-to-many matching); correct the query: cpu"),
        (refused(413, "too large"), "HTTP 413"),
        (result("matrix", []), "it returns a range vector, and not numbers; correct the query: cpu"),
        (result("string", [0, "a"]), "it returns a text, and not numbers; correct the query: cpu"),
        (result("vector", [{"metric": {}, "histogram": [0, {}]}]), "returned native histograms"),
    ],
)
def test_a_query_that_cannot_be_used_is_told_and_left_out(httpserver, answer, reason):
    served = Served(httpserver, {**gauge(), "requests": [({"service": "shop", "job": "web"}, TIMES, TIMES + 600)]})
    follower = served.follow(plan(CPU, REQUESTS))
    follower.read(window(0, 2))
    served.answers["cpu"] = answer
    found = follower.read(window(2, 3))
    assert reason in found.failed["cpu"]
    assert found.failed.keys() == {"cpu"}
    assert found.services["shop"].columns.keys() == {"requests"}
    served.answers.clear()
    assert follower.read(window(3, 4)).services["shop"].columns.keys() == {"cpu", "requests"}


def test_a_scalar_is_a_number(httpserver):
    served = Served(httpserver, gauge())
    served.answers["cpu"] = result("scalar", [0, "42"])
    follower = served.follow(plan(CPU))
    assert follower.read(window(0, 1)).services["shop"].columns["cpu"].tolist() == [42.0]


@pytest.mark.parametrize(
    "answer",
    [
        refused(500, "oops"),
        refused(503, "query timed out"),
        Response("<html>", content_type="text/html"),
        result("vector", [{"metric": {"service": "shop"}, "value": [0, "a"]}]),
        result("vector", [{"metric": {"service": "shop"}}]),
    ],
)
def test_what_is_no_answer_raises_and_the_window_can_be_read_again(httpserver, answer):
    served = Served(httpserver, gauge())
    follower = served.follow(plan(CPU))
    follower.read(window(0, 1))
    served.answers["cpu"] = answer
    with pytest.raises(SourceError, match="query 'cpu' at http"):
        follower.read(window(1, 2))
    served.answers.clear()
    assert follower.read(window(1, 2)).services["shop"].columns["cpu"].tolist() == [105.0]


def test_a_window_that_is_not_over_there_is_not_read(httpserver):
    follower, start = Served(httpserver, gauge()).follow(plan(CPU)), datetime(2999, 1, 1, tzinfo=UTC)
    with pytest.raises(NotEnoughDataError, match=r"clock says 20.*, before .* 2999-01-01T00:01:00Z; wait for it"):
        follower.read(Window(start=start, end=start + timedelta(minutes=1)))
    assert follower.read(window(0, 1)).services["shop"].columns["cpu"].tolist() == [45.0]


@pytest.fixture
def threaded():
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


def test_a_request_that_hangs_does_not_disturb_the_next_reading(threaded):
    """One query's answer does not come while the other's is an error: its thread still waits when all is read again."""
    other = Query(name="memory", type="gauge", promql="memory")
    served = Served(threaded, {**gauge(), "memory": [({"service": "shop"}, TIMES, 2 * TIMES)]})
    follower, arrived, let_go = served.follow(plan(CPU, other), concurrency=2), threading.Event(), threading.Event()

    def hang():
        arrived.set()
        let_go.wait(20)
        return refused(400, "too late")

    def fail():
        arrived.wait(20)
        return refused(500, "oops")

    served.answers = {"cpu": hang, "memory": fail}
    with pytest.raises(SourceError, match="query 'memory'"):
        follower.read(window(0, 1))
    served.answers = {}
    found = follower.read(window(0, 1))
    let_go.set()
    assert found.failed == {}
    assert {name: values.tolist() for name, values in found.services["shop"].columns.items()} == {
        "cpu": [45.0],
        "memory": [90.0],
    }


def test_old_data_is_told_with_its_time(httpserver):
    """The last scrape of all is that of second 600. The age is asked for at the end of the step."""
    until = TIMES[TIMES <= 600]
    pod = {"service": "shop", "job": "web"}
    served = Served(httpserver, {"requests": [(pod, until, until + 600)]})
    follower = served.follow(plan(REQUESTS))
    follower.read(window(0, 11))
    age = {"timestamp(up))": result("vector", []), "[1d:5m]": result("vector", [])}
    age["[8d:1h]"] = result("vector", [{"metric": {}, "value": [0, str(GA.timestamp() + 600.5)]}])
    served.answers = {promql: age[promql] for promql in ("[8d:1h]", "[1d:5m]", "timestamp(up))")}
    with pytest.raises(SourceError, match=r"its newest sample is of 2025-11-18T00:10:00.500Z, 10 min before the end"):
        follower.read(window(11, 20))


def test_a_server_that_does_not_tell_its_age_is_believed(httpserver):
    until = TIMES[TIMES <= 600]
    served = Served(httpserver, {"requests": [({"service": "shop", "job": "web"}, until, until + 600)]})
    served.answers["timestamp(up)"] = refused(400, "unknown function")
    follower = served.follow(plan(REQUESTS))
    follower.read(window(0, 11))
    assert follower.read(window(11, 30)).services["shop"].columns == {}
