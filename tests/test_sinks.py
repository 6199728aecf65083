"""Sinks: real servers on the loopback interface that are down, slow, broken or hostile; nobody misses anything."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from observability.errors import ConfigError
from observability.events import Notification
from observability.notify import Notify
from observability.watching import outbox, posting
from observability.watching.delivery import Pace
from observability.watching.outbox import FILE
from observability.watching.posting import Failure
from observability.watching.sinks import Sinks
from tests.certificates import Authority
from tests.http_servers import basic, nothing_around, raw
from tests.notifications import START, notification
from tests.programs import ROOT

ALERTS = "/api/v2/alerts"
PACE = Pace(first_s=0.005, most_s=0.02, attempt_s=5.0, reminder_s=60.0)
PATIENCE_S = 10.0  # how long a test waits for what must happen, at most


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_around(monkeypatch)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


class Told(list[str]):
    """What was told, without the port in it."""

    def __call__(self, text: str) -> None:
        self.append(text)


@contextmanager
def sinks(folder: Path, told: Told | None = None, pace: Pace = PACE, **settings: Any) -> Iterator[Sinks]:
    """Sinks that run, and are stopped without delivering what is left."""
    told = Told() if told is None else told
    running = Sinks(folder, Notify.model_validate(settings), told, pace, lambda: START + timedelta(minutes=10))
    running.start()
    try:
        yield running
    finally:
        running.stop(0)
        for one in running._deliveries:  # what is on its way would come to the next test's server
            one._thread.join(PATIENCE_S)


def hook(server: HTTPServer, path: str = "/hook") -> dict[str, str]:
    return {"url": server.url_for(path)}


def ids(server: HTTPServer, path: str = "/hook") -> list[str]:
    """The notifications that the server answered 200 to, in order."""
    return [json.loads(request.data)["id"] for request, response in server.log if response.status_code == 200]


def alerts(server: HTTPServer) -> list[list[dict[str, Any]]]:
    return [json.loads(request.data) for request, _ in server.log if request.path == ALERTS]


def all_three() -> list[Any]:
    return [
        notification(),
        notification(status="escalated", severity="critical"),
        notification(status="resolved", severity="critical"),
    ]


def none_pending(running: Sinks) -> Callable[[], bool]:
    return lambda: not any(running.pending().values())


# Webhooks


def test_a_webhook_gets_the_notification_as_json(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data()
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(none_pending(running))
    [(request, _)] = httpserver.log
    assert request.content_type == "application/json"
    assert request.headers["Idempotency-Key"] == "checkout-1/open/high"
    assert json.loads(request.data) == notification().model_dump(mode="json")


@pytest.mark.parametrize(
    ("name", "key"),
    [("a b", "a%20b"), ("zähler-1", "z%C3%A4hler-1"), ("x\r\nEvil: 1", "x%0D%0AEvil:%201"), ("%", "%25")],
)
def test_any_id_fits_into_the_header(httpserver: HTTPServer, tmp_path: Path, name: str, key: str) -> None:
    httpserver.expect_request("/hook").respond_with_data()
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        running.put(notification(name))
        until(none_pending(running))
    assert httpserver.log[0][0].headers["Idempotency-Key"] == f"{key}/open/high"
    assert ids(httpserver) == [f"{name}/open/high"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(httpserver: HTTPServer, tmp_path: Path, status: int) -> None:
    httpserver.expect_request("/hook").respond_with_data(status=status)
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(none_pending(running))
        assert running.failures() == {f"webhook {httpserver.url_for('/hook')}": 0}
    assert len(httpserver.log) == 1


def test_credentials_arrive_and_are_in_no_sentence(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", f"http://me:hunter2@{httpserver.host}:{httpserver.port}/hunter3?key=hunter4")
    monkeypatch.setenv("KEY", "hunter5")
    answers = [Response("you sent hunter2, hunter5", 500, content_type="text/plain"), Response("")]
    httpserver.expect_request("/hunter3").respond_with_handler(lambda _: answers.pop(0))
    told = Told()
    with sinks(
        tmp_path, told, webhooks=[{"url": "${HOOK}", "http_headers": {"X-Key": {"secrets": ["${KEY}"]}}}]
    ) as one:
        one.put(notification())
        until(none_pending(one))
        until(lambda: len(told) == 2)
        assert one.pending() == {"webhook ${HOOK}": 0}
    request = httpserver.log[-1][0]
    assert request.headers["Authorization"] == basic("me", "hunter2")
    assert (request.headers["X-Key"], request.query_string) == ("hunter5", b"key=hunter4")
    assert told[0].startswith("webhook ${HOOK} takes no notifications (HTTP 500 (you sent …, …)); they wait ")
    assert "hunter" not in "".join(told) + "".join(path.read_text() for path in tmp_path.iterdir())


def test_what_settings_refer_to_must_be_there_at_the_start(tmp_path: Path) -> None:
    url = "http://localhost:9093"
    missing = {"url": url, "authorization": {"credentials": "${NOT_SET}"}}
    with pytest.raises(ConfigError, match=r"^notify\.webhooks\.authorization\.credentials: .* NOT_SET is not set; "):
        Sinks(tmp_path, Notify.model_validate({"webhooks": [missing]}), print)
    with pytest.raises(ConfigError, match=r"^notify\.alertmanager\.url: the environment variable NOT_SET is not set"):
        Sinks(tmp_path, Notify.model_validate({"alertmanager": {"url": "${NOT_SET}"}}), print)


def test_a_token_that_is_gone_and_comes_back(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/hook").respond_with_data()
    token = tmp_path / "token"
    token.write_text("first")
    told, asks = Told(), {**hook(httpserver), "authorization": {"credentials_file": str(token)}}
    with sinks(tmp_path / "out", told, webhooks=[asks]) as running:
        token.unlink()
        running.put(notification())
        until(lambda: len(told) == 1)
        token.write_text("second")
        until(none_pending(running))
    assert "notify.webhooks.authorization.credentials_file: " in told[0]
    assert [request.headers["Authorization"] for request, _ in httpserver.log] == ["Bearer second"]


def test_a_variable_that_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "hunter2")
    with pytest.raises(
        ConfigError, match=r"^notify\.webhooks\.url: the environment variable HOOK is not a URL; "
    ) as it:
        Sinks(tmp_path, Notify.model_validate({"webhooks": [{"url": "${HOOK}"}]}), print)
    assert "hunter2" not in str(it.value)


def test_two_webhooks_that_differ_in_what_is_not_shown(tmp_path: Path) -> None:
    hooks = [{"url": f"http://localhost/hook?key={key}"} for key in "abc"]
    running = Sinks(tmp_path, Notify.model_validate({"webhooks": hooks}), print)
    name = "webhook http://localhost/hook"
    assert list(running.pending()) == [name, f"{name} (2)", f"{name} (3)"]
    assert len(list(tmp_path.glob("outbox_webhook_*.json"))) == 3


def test_the_pages_example_is_a_notification() -> None:
    text = (ROOT / "docs/watch.md").read_text(encoding="utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    assert Notification.model_validate_json(example).model_dump(mode="json") == json.loads(example)


# Receivers that fail


def test_one_that_is_down_at_first(tmp_path: Path) -> None:
    """Told once when it begins and once when it is over, whatever number of attempts lie between."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    told, name = Told(), f"webhook http://127.0.0.1:{port}/hook"
    with sinks(tmp_path, told, webhooks=[{"url": f"http://127.0.0.1:{port}/hook"}]) as running:
        for one in all_three():
            running.put(one)
        until(lambda: running.failures()[name] >= 5)
        assert running.pending() == {name: 3}
        with HTTPServer(host="127.0.0.1", port=port) as server:
            server.expect_request("/hook").respond_with_data()
            until(none_pending(running))
            until(lambda: len(told) == 2)
            assert ids(server) == [one.id for one in all_three()]
    assert told[0] == (
        f"{name} takes no notifications (the request failed: Connection refused); they wait until it does."
    )
    assert told[1].startswith(f"{name} takes notifications again, at attempt ")


def test_a_proxy_that_is_down_is_named(tmp_path: Path) -> None:
    told = Told()
    with sinks(tmp_path, told, webhooks=[{"url": "http://x/hook", "proxy_url": "http://127.0.0.1:9"}]) as running:
        running.put(notification())
        until(lambda: len(told) == 1)
    assert "(the request failed: the proxy http://127.0.0.1:9 does not connect (Connection refused)); they" in told[0]


def test_a_certificate_is_believed_only_with_its_authority(tmp_path: Path) -> None:
    told, authority = Told(), Authority(tmp_path)
    with HTTPServer(host="127.0.0.1", ssl_context=authority.signs("server", "127.0.0.1").serving()) as server:
        server.expect_request("/hook").respond_with_data()
        with sinks(tmp_path / "out", told, webhooks=[hook(server)]) as running:
            running.put(notification())
            until(lambda: len(told) == 1)
        trusting = {**hook(server), "tls_config": {"ca_file": authority.file}}
        with sinks(tmp_path / "out", webhooks=[trusting]) as running:
            until(none_pending(running))
        assert ids(server) == [notification().id]
    assert "(the request failed: the server's certificate is not trusted (" in told[0]


def test_one_that_answers_500_for_long(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = iter([500] * 50)
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=next(answers, 200)))
    told = Told()
    with sinks(tmp_path, told, Pace(first_s=1e-4, most_s=1e-3), webhooks=[hook(httpserver)]) as running:
        for one in all_three():
            running.put(one)
        until(none_pending(running))
        until(lambda: len(told) == 2)
        assert list(running.failures().values()) == [50]
    assert ids(httpserver) == [one.id for one in all_three()]
    assert "(HTTP 500 (INTERNAL SERVER ERROR)); they wait until it does." in told[0]
    assert told[1].endswith("takes notifications again, at attempt 51.")


def test_a_second_failure_is_told_again(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = iter([500, 500, 200, 500, 200])
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=next(answers)))
    told = Told()
    with sinks(tmp_path, told, webhooks=[hook(httpserver)]) as running:
        for one in all_three()[:2]:
            running.put(one)
            until(none_pending(running))
        until(lambda: len(told) == 4)
    assert [text.partition(" takes ")[2] for text in told] == [
        "no notifications (HTTP 500 (INTERNAL SERVER ERROR)); they wait until it does.",
        "notifications again, at attempt 3.",
        "no notifications (HTTP 500 (INTERNAL SERVER ERROR)); they wait until it does.",
        "notifications again, at attempt 2.",
    ]


@pytest.mark.parametrize("status", [400, 401, 404, 413, 302, 307])
def test_a_refusal_is_told_once_and_tried_at_the_slowest_pace(
    httpserver: HTTPServer, tmp_path: Path, status: int
) -> None:
    answer = Response("no such room", status, content_type="text/plain", headers={"Location": "/hook"})
    answers = iter([answer] * 3)
    httpserver.expect_request("/hook").respond_with_handler(lambda _: next(answers, Response("")))
    told = Told()
    with sinks(tmp_path, told, Pace(first_s=30.0, most_s=0.001), webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(none_pending(running))
        until(lambda: len(told) == 2)
    assert ids(httpserver) == [notification().id]
    assert {request.method for request, _ in httpserver.log} == {"POST"}
    said = "no such room" if status >= 400 else "redirects; write the URL"
    assert said in told[0]
    assert told[0].endswith("; see to it, or correct `notify` in the release file; it is tried every 0.001 s.")


def test_a_failure_that_becomes_a_refusal_says_so(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = iter([500, 404, 500, 404])
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=next(answers, 200)))
    told = Told()
    with sinks(tmp_path, told, webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(lambda: len(told) == 3)
    assert ["HTTP 500" in told[0], "HTTP 404" in told[1], "again, at attempt 5" in told[2]] == [True] * 3


def test_one_that_hangs_delays_nobody_else(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/hook").respond_with_data()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        told = Told()
        hooks = [{"url": url}, hook(httpserver)]
        with sinks(tmp_path, told, Pace(attempt_s=0.2, first_s=0.01), webhooks=hooks) as running:
            for one in all_three():
                running.put(one)
            other = f"webhook {httpserver.url_for('/hook')}"
            until(lambda: running.pending()[other] == 0)
            assert running.pending() == {f"webhook {url}": 3, other: 0}
            until(
                lambda: (
                    f"webhook {url} takes no notifications (no answer within 0.2 s); they wait until it does." in told
                )
            )
    assert ids(httpserver) == [one.id for one in all_three()]


def test_one_that_is_down_leaves_the_others_their_order(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/hook").respond_with_data()
    httpserver.expect_request("/down").respond_with_data(status=503)
    with sinks(tmp_path, webhooks=[hook(httpserver, "/down"), hook(httpserver)]) as running:
        for one in all_three():
            running.put(one)
        until(lambda: running.pending()[f"webhook {httpserver.url_for('/hook')}"] == 0)
        assert running.pending()[f"webhook {httpserver.url_for('/down')}"] == 3
    assert ids(httpserver) == [one.id for one in all_three()]


@pytest.mark.parametrize("broken", [b"", None, b"HTTP/1.1 2", b"hello\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n"])
def test_one_that_breaks_off(tmp_path: Path, broken: bytes | None) -> None:
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    told = Told()
    with (
        raw(broken, broken, good) as address,
        sinks(tmp_path, told, webhooks=[{"url": f"http://{address}/hook"}]) as running,
    ):
        running.put(notification())
        until(none_pending(running))
        until(lambda: len(told) == 2)
        assert list(running.failures().values()) == [2]
    assert "\n" not in told[0]


@contextmanager
def endless(head: bytes, part: bytes) -> Iterator[str]:
    """A server that says ``head`` at once, and then ``part`` every 10 ms without end."""
    over = threading.Event()

    def answer(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, contextlib.suppress(OSError):
            client.sendall(head)
            while not over.wait(0.01):
                client.sendall(part)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


def test_an_answer_without_an_end_counts_by_its_head(tmp_path: Path) -> None:
    with endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x") as url, sinks(tmp_path, webhooks=[{"url": url}]) as running:
        running.put(notification())
        until(none_pending(running))
        assert running.failures() == {f"webhook {url}": 0}


def test_a_refusal_without_an_end_is_a_refusal(tmp_path: Path) -> None:
    told = Told()
    with (
        endless(b"HTTP/1.1 400 Bad\r\n\r\nwrong ", b"x") as url,
        sinks(tmp_path, told, webhooks=[{"url": url}]) as running,
    ):
        running.put(notification())
        until(lambda: len(told) == 1)
    assert "(HTTP 400 (wrong" in told[0]


def test_a_head_without_an_end_is_given_up_and_does_not_pile_up(tmp_path: Path) -> None:
    before, told = threading.active_count(), Told()
    with endless(b"HTTP/1.1 200 OK\r\nX: ", b"x") as url:
        with sinks(tmp_path, told, Pace(1e-3, 1e-3, attempt_s=0.1), webhooks=[{"url": url}]) as running:
            running.put(notification())
            until(lambda: running.failures()[f"webhook {url}"] >= 3 * posting.MOST_HANGING)
            hanging = [thread for thread in threading.enumerate() if "_attempt" in repr(thread) or thread.daemon]
            assert len(hanging) < before + 2 * posting.MOST_HANGING + 4  # here and at the server
        assert "(no answer within 0.1 s)" in told[0]


# Waiting


def test_waits_double_up_to_a_minute() -> None:
    pace, down = Pace(), Failure("down")
    for failures, most in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)]:
        waits = [pace.wait_s(failures, down) for _ in range(200)]
        low = min(2.0 ** (failures - 1) / 2, 60)
        assert low <= min(waits) <= max(waits) <= most
        assert failures > 7 or max(waits) - min(waits) > 0.2 * low  # of chance


def test_a_receiver_says_how_long_to_wait() -> None:
    assert Pace().wait_s(1, Failure("busy", retry_after_s=17.0)) == 17.0
    assert Pace().wait_s(1, Failure("busy", retry_after_s=3600.0)) == 60.0
    assert Pace().wait_s(1, Failure("wrong", is_refusal=True)) == 60.0


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_what_passes_by_itself_is_no_refusal(httpserver: HTTPServer, tmp_path: Path, status: int) -> None:
    answers = iter([Response(status=status, headers={"Retry-After": "0"})])
    httpserver.expect_request("/hook").respond_with_handler(lambda _: next(answers, Response("")))
    told = Told()
    with sinks(tmp_path, told, webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(none_pending(running))
    assert told[0].endswith("they wait until it does.")


def test_retry_after_is_read(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data(status=429, headers={"Retry-After": "17"})
    receiver = Notify.model_validate({"webhooks": [hook(httpserver)]}).webhooks[0]
    failure = posting.Post(receiver, 5.0)(posting.Message(b"{}"))
    assert failure == Failure("HTTP 429 (TOO MANY REQUESTS)", is_refusal=False, retry_after_s=17.0)


# Stopping and starting again


def test_stop_delivers_what_is_left_at_once(httpserver: HTTPServer, tmp_path: Path) -> None:
    """The receiver has just come back, and the next attempt would be a minute from now."""
    answers = iter([500])
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=next(answers, 200)))
    told = Told()
    with sinks(tmp_path, told, Pace(first_s=60.0), webhooks=[hook(httpserver)]) as running:
        for one in all_three():
            running.put(one)
        until(lambda: len(told) == 1)
        running.stop(PATIENCE_S)
        assert none_pending(running)()
    assert ids(httpserver) == [one.id for one in all_three()]


def test_stop_does_not_wait_as_long_after_a_refusal(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = iter([404, 404])
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=next(answers, 200)))
    told = Told()
    with sinks(tmp_path, told, Pace(first_s=0.01), webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(lambda: len(told) == 1)
        running.stop(PATIENCE_S)
        assert none_pending(running)()


def test_stop_leaves_the_rest_for_the_next_start(httpserver: HTTPServer, tmp_path: Path) -> None:
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        for one in all_three():
            running.put(one)
        started = time.monotonic()
        running.stop(0.05)
        assert time.monotonic() - started < PATIENCE_S
        assert list(running.pending().values()) == [3]
    httpserver.clear_log()
    httpserver.expect_request("/hook").respond_with_data()
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        running.put(notification())  # known already
        until(none_pending(running))
    assert ids(httpserver) == [one.id for one in all_three()]


def test_without_receivers_it_is_kept_for_one_that_comes(httpserver: HTTPServer, tmp_path: Path) -> None:
    with sinks(tmp_path) as running:
        running.put(notification())
        running.put(notification("over"))
        running.put(notification("over", "resolved"))
        assert (running.pending(), running.failures()) == ({}, {})
    httpserver.expect_request("/hook").respond_with_data()
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        until(none_pending(running))
    assert ids(httpserver)[0] == "checkout-1/open/high"


PUTS = 40
PROGRAM = """
import sys
from pathlib import Path
from observability.notify import Notify
from observability.watching.delivery import Pace
from observability.watching.sinks import Sinks
from tests.notifications import notification
sinks = Sinks(Path(sys.argv[1]), Notify.model_validate({"webhooks": [{"url": sys.argv[2]}]}), print, Pace(.001, .001))
sinks.start()
for k in range(int(sys.argv[3])):
    sinks.put(notification(f"n-{k:02}"))
    print("put", k, flush=True)
sinks.stop(30)
print("done", flush=True)
"""


@contextmanager
def watcher(folder: Path, server: HTTPServer) -> Iterator[subprocess.Popen[str]]:
    """A program that puts all notifications from the first one on, as a watcher does from its last checkpoint."""
    run = [sys.executable, "-c", PROGRAM, str(folder), server.url_for("/hook"), str(PUTS)]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def test_killed_before_anything_was_delivered(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/hook").respond_with_data(status=500)
    with watcher(tmp_path, httpserver) as process:
        assert process.stdout is not None
        until(lambda: process.stdout.readline() == "put 9\n")  # type: ignore[union-attr]
    put = (tmp_path / FILE).read_bytes().count(b"\n")
    assert 10 <= put <= PUTS
    httpserver.clear()
    httpserver.expect_request("/hook").respond_with_data()
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        until(none_pending(running))
    assert ids(httpserver) == [f"n-{k:02}/open/high" for k in range(put)]


def test_killed_again_and_again_while_delivering(httpserver: HTTPServer, tmp_path: Path) -> None:
    """Everything arrives, in its order; what arrives twice was being delivered when the process died."""
    got: list[str] = []

    def take(request: Request) -> Response:
        got.append(request.headers["Idempotency-Key"])
        return Response("")

    httpserver.expect_request("/hook").respond_with_handler(take)
    kills = (3, 11, 20)
    for enough in kills:
        with watcher(tmp_path, httpserver):
            until(lambda enough=enough: len(got) >= enough)  # type: ignore[misc]
    with watcher(tmp_path, httpserver) as process:
        assert process.wait(30) == 0
    assert list(dict.fromkeys(got)) == [f"n-{k:02}/open/high" for k in range(PUTS)]
    assert len(got) <= PUTS + len(kills)
    assert [key for key, before in zip(got[1:], got, strict=False) if key < before] == []


def test_a_cursor_that_cannot_be_written_is_told_and_stops_nobody(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/hook").respond_with_data()
    told = Told()
    with sinks(tmp_path, told, webhooks=[hook(httpserver)]) as running:
        write = running._outbox.advance

        def full(*_: object) -> None:
            raise ConfigError("x cannot be written: No space left on device; make room.")

        monkeypatch.setattr(running._outbox, "advance", full)
        for one in all_three()[:2]:
            running.put(one)
        until(none_pending(running))
        monkeypatch.setattr(running._outbox, "advance", write)
        running.put(all_three()[2])
        until(none_pending(running))
    assert ids(httpserver) == [one.id for one in all_three()]
    assert [text.partition(" may be ")[2] for text in told] == [
        "told again what it knows, after a restart: x cannot be written: No space left on device; make room."
    ]


def test_a_terminal_that_is_gone_ends_no_deliveries(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = iter([500])
    httpserver.expect_request("/hook").respond_with_handler(lambda _: Response(status=next(answers, 200)))

    def gone(_: str) -> None:
        raise BrokenPipeError

    running = Sinks(tmp_path, Notify.model_validate({"webhooks": [hook(httpserver)]}), gone, PACE)
    running.start()
    running.put(notification())
    until(none_pending(running))
    running.stop(PATIENCE_S)


def test_an_outbox_that_is_deleted_meanwhile(httpserver: HTTPServer, tmp_path: Path) -> None:
    """The receiver's thread lives; who puts is told."""
    httpserver.expect_request("/hook").respond_with_data(status=500)
    told = Told()
    with sinks(tmp_path, told, webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        until(lambda: len(told) == 1)
        (tmp_path / FILE).unlink()
        with pytest.raises(ConfigError, match=r"outbox\.jsonl cannot be written: No such file or directory; "):
            running.put(notification("other"))
        failures = next(iter(running.failures().values()))
        until(lambda: next(iter(running.failures().values())) > failures + 2)


def test_what_is_over_and_was_cleared_away_while_a_receiver_was_none_is_no_failure(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken out of the release file for a while, with notifications that it had not got."""
    httpserver.expect_request("/hook").respond_with_data(status=500)
    with sinks(tmp_path, webhooks=[hook(httpserver)]) as running:
        running.put(notification())
        running.put(notification(status="resolved"))
        until(lambda: bool(httpserver.log))
    monkeypatch.setattr(outbox, "LARGE", 1)
    outbox.Outbox(tmp_path).shrink(10)
    httpserver.clear()
    httpserver.expect_request("/hook").respond_with_data()
    told = Told()
    with sinks(tmp_path, told, webhooks=[hook(httpserver)]) as running:
        until(none_pending(running))
        running.put(notification("checkout-2"))
        until(none_pending(running))
    assert told == []
    assert ids(httpserver) == ["checkout-2/open/high"]


# Alertmanager


def test_an_incident_is_one_alert_with_our_labels(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request(ALERTS, method="POST").respond_with_data()
    with sinks(tmp_path, alertmanager=hook(httpserver, "/"), labels={"team": "shop"}) as running:
        running.put(notification())
        until(none_pending(running))
    assert httpserver.log[0][0].content_type == "application/json"
    assert alerts(httpserver)[0] == [
        {
            "labels": {
                "team": "shop",
                "alertname": "PostgaIncident",
                "service": "checkout",
                "severity": "high",
                "release": "shop-v2",
                "incident": "checkout-1",
            },
            "annotations": {
                "summary": "checkout: p99_latency_ms (54 %), overall_error_rate (31 %) since 14:02Z",
                "description": (
                    "Joint evidence of 18.2, threshold 14, noticed at 2025-11-20T14:04:00Z.\n"
                    "1. p99_latency_ms (latency): 54 % of the evidence, 812 ms where 240 ms was expected, "
                    "since 14:02Z\n"
                    "2. overall_error_rate (reliability): 31 % of the evidence"
                ),
            },
            "startsAt": "2025-11-20T14:02:00Z",
            "endsAt": "2025-11-20T14:16:00Z",  # the present is 14:12, and an alert lasts four minutes
        }
    ]


def posted(server: HTTPServer, position: int) -> list[tuple[str, str]]:
    """Severity and end of each alert of a request."""
    return [(alert["labels"]["severity"], alert["endsAt"]) for alert in alerts(server)[position]]


def test_an_escalation_ends_one_alert_and_begins_another(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request(ALERTS).respond_with_data()
    with sinks(tmp_path, alertmanager=hook(httpserver, "")) as running:
        for one in all_three():
            running.put(one)
        until(none_pending(running))
    fires = "2025-11-20T14:16:00Z"
    assert [posted(httpserver, k) for k in range(3)] == [
        [("high", fires)],
        [("high", "2025-11-20T14:07:00Z"), ("critical", fires)],
        [("critical", "2025-11-20T14:11:00Z")],
    ]
    assert len(httpserver.log) == 3  # none of them was sent again at once


def test_an_end_before_the_start_is_not_sent(httpserver: HTTPServer, tmp_path: Path) -> None:
    """The clock was set back: Alertmanager refuses alerts that end before they start."""
    httpserver.expect_request(ALERTS).respond_with_data()
    with sinks(tmp_path, alertmanager=hook(httpserver, "")) as running:
        running.put(notification(start=START + timedelta(hours=1)))
        until(none_pending(running))
    [alert] = alerts(httpserver)[0]
    assert alert["startsAt"] == alert["endsAt"] == "2025-11-20T15:02:00Z"


def test_open_alerts_are_sent_again_also_after_a_restart(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request(ALERTS).respond_with_data()
    pace = Pace(reminder_s=0.01)
    with sinks(tmp_path, pace=pace, alertmanager=hook(httpserver, "")) as running:
        running.put(notification("over"))
        running.put(notification("over", "resolved"))
        running.put(notification())
        running.put(notification(status="escalated", severity="critical"))
        running.stop(PATIENCE_S)
    for _ in range(2):
        httpserver.clear_log()
        with sinks(tmp_path, pace=pace, alertmanager=hook(httpserver, "")) as running:
            until(lambda: len(httpserver.log) >= 3)
            running.stop(PATIENCE_S)
        found = [[(a["labels"]["incident"], a["labels"]["severity"]) for a in one] for one in alerts(httpserver)]
        assert found == [[("checkout-1", "critical")]] * len(found)
    with sinks(tmp_path, pace=pace, alertmanager=hook(httpserver, "")) as running:
        running.put(notification(status="resolved", severity="critical"))
        until(none_pending(running))
        httpserver.clear_log()
        time.sleep(0.05)
    assert httpserver.log == []
    with sinks(tmp_path, pace=pace, alertmanager=hook(httpserver, "")) as running:
        time.sleep(0.05)
    assert httpserver.log == []


def test_open_alerts_are_kept_alive_while_a_notification_is_refused(httpserver: HTTPServer, tmp_path: Path) -> None:
    """Alertmanager does not want one alert; the others must not end for that."""

    def judge(request: Request) -> Response:
        names = {alert["labels"]["service"] for alert in json.loads(request.data)}
        return Response("start time must be before end time", 400 if "odd" in names else 200)

    httpserver.expect_request(ALERTS).respond_with_handler(judge)
    told = Told()
    with sinks(tmp_path, told, Pace(most_s=60.0, reminder_s=0.01), alertmanager=hook(httpserver, "")) as running:
        running.put(notification())
        until(none_pending(running))
        running.put(notification("other", service="odd"))
        until(lambda: len(told) == 1)
        httpserver.clear_log()
        until(lambda: len(httpserver.log) >= 3)
        assert list(running.pending().values()) == [1]
        assert len(told) == 1
    assert {response.status_code for _, response in httpserver.log} == {200}
    assert "HTTP 400 (start time must be before end time)); see to it" in told[0]


def test_reminders_that_fail_are_told_once(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = iter([200, 500, 500, 500])
    httpserver.expect_request(ALERTS).respond_with_handler(lambda _: Response(status=next(answers, 200)))
    told = Told()
    with sinks(tmp_path, told, Pace(1e-3, 1e-3, reminder_s=0.005), alertmanager=hook(httpserver, "")) as running:
        running.put(notification())
        until(lambda: len(told) == 2)
        until(lambda: len(httpserver.log) >= 7)
    assert "(HTTP 500 (INTERNAL SERVER ERROR)); they wait" in told[0]
    assert told[1].endswith("takes notifications again, at attempt 4.")
    assert len(told) == 2


def test_the_present_is_the_clocks(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request(ALERTS).respond_with_data()
    running = Sinks(tmp_path, Notify.model_validate({"alertmanager": hook(httpserver, "")}), print)
    running.start()
    running.put(notification())
    running.stop(PATIENCE_S)
    end = datetime.fromisoformat(alerts(httpserver)[0][0]["endsAt"])
    assert timedelta(minutes=3) < end - datetime.now(UTC) < timedelta(minutes=5)
