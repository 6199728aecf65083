"""What is said when a server does not answer as asked, or cannot be reached: one sentence, and never a secret."""

import socket
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from observability.errors import SourceError
from observability.sources import connection
from tests.http_servers import INSTANT, ask, basic, moved, nothing_around, raw, tunnel, url_of

BEARER = {"authorization": {"credentials": "${TOKEN}"}}


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_around(monkeypatch)


def refused(url: str, **fields: Any) -> str:
    """What is said of the query, without its beginning, which names it and the URL."""
    with pytest.raises(SourceError) as raised:
        ask(url, **fields)
    start = f"query 'q' at {url}: "
    assert str(raised.value).startswith(start)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(start)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {},
            "; no credentials were sent: give `basic_auth` or `authorization` under `prometheus:` in the release file",
        ),
        ({"basic_auth": {"username": "me", "password": "${TOKEN}"}}, "; Basic credentials were sent: check that they"),
        (BEARER, "; Bearer credentials were sent: check that they are right and may read."),
    ],
)
def test_a_refusal_says_what_was_sent_and_not_the_secret(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int, fields: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    httpserver.expect_request(INSTANT).respond_with_handler(
        lambda request: Response(f"denied {request.headers.get('Authorization')}", status, content_type="text/plain")
    )
    text = refused(url_of(httpserver), **fields)
    assert text.startswith(f"HTTP {status} (denied ")
    assert said in text
    assert "hunter2" not in text
    assert basic("me", "hunter2").split()[1] not in text


def test_a_missing_tenant_is_named(httpserver: HTTPServer) -> None:
    httpserver.expect_request(INSTANT).respond_with_data("no org id\n", 401)
    assert "HTTP 401 (no org id); name the tenant under `http_headers`" in refused(url_of(httpserver))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            400,
            "Client sent an HTTP request to an HTTPS server.\n",
            "server.); check the URL, and whether it should begin",
        ),
        (407, "", "; the proxy wants other credentials"),
        (413, "", "the request or its answer is too large: ask for fewer services"),
        (414, "", "the request or its answer is too large: ask for fewer services"),
        (429, "slow down", "HTTP 429 (slow down), also after 3 more attempts; lower `concurrency` under `prometheus:`"),
        (503, "the query timed out in expression evaluation", "narrow the query, or raise `timeout`"),
        (503, "", "HTTP 503 (SERVICE UNAVAILABLE), also after 3 more attempts; run the command again later."),
    ],
)
def test_statuses(httpserver: HTTPServer, status: int, body: str, said: str) -> None:
    httpserver.expect_request(INSTANT).respond_with_data(body, status, content_type="text/plain; charset=utf-8")
    assert said in refused(url_of(httpserver))


def test_redirects_without_an_end(httpserver: HTTPServer) -> None:
    httpserver.expect_request(INSTANT).respond_with_response(moved(INSTANT))
    assert refused(url_of(httpserver)).startswith("the server redirects again and again; check the URL")
    assert len(httpserver.log) == 1 + connection.MAX_REDIRECTS


@pytest.mark.parametrize("to", [b"ftp://127.0.0.1/", b"http://:80/"])
def test_a_redirect_to_nowhere(to: bytes) -> None:
    with raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + to + b"\r\n\r\n") as address:
        assert "one that the server redirects to, cannot be used" in refused(f"http://{address}")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzipped",
    ],
)
def test_an_answer_that_breaks_off_is_not_taken_for_whole(answer: bytes) -> None:
    with raw(answer) as address:
        assert refused(f"http://{address}").startswith("the answer broke off or was garbled on its way (")


@pytest.mark.parametrize(
    ("answer", "reason"), [(None, "reset by peer"), (b"", "without response"), (b"what\r\n", "what")]
)
def test_a_connection_that_is_closed_without_an_answer(answer: bytes | None, reason: str) -> None:
    with raw(answer) as address:
        text = refused(f"http://{address}")
    assert text.startswith("the server closed the connection without an answer (")
    assert reason in text


def test_a_connection_that_is_reset_once_is_opened_again() -> None:
    with raw(
        None, b'HTTP/1.1 200 OK\r\n\r\n{"status":"success","data":{"resultType":"vector","result":[]}}'
    ) as address:
        assert ask(f"http://{address}") == []


def free_address() -> tuple[socket.socket, str]:
    """An address that nobody listens at as long as the socket is held."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, f"127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named_without_credentials(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    held, address = free_address()
    with held:
        monkeypatch.setenv("PROXY", f"http://me:hunter2@{address}")
        text = refused(f"{scheme}://prometheus.invalid:9090", proxy_url="${PROXY}")
    assert text == (
        f"the proxy http://{address} does not connect (Connection refused); check it, and its user and password."
    )


def test_a_proxy_that_does_not_let_pass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with tunnel(log := [], b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@{address}")
        text = refused("https://prometheus.invalid:9090")
    assert text.startswith(f"the proxy http://{address} does not connect (")
    assert "407 Proxy Authentication Required" in text
    assert "hunter2" not in text
    assert len(log) == 1


def test_a_proxy_that_refuses_a_plain_request_is_named(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    httpserver.expect_request(INSTANT).respond_with_data("", 407)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@{httpserver.host}:{httpserver.port}")
    text = refused("http://prometheus.invalid:9090")
    assert f"the proxy {url_of(httpserver)} wants other credentials: check its user and password" in text


@pytest.mark.parametrize("proxy", ["http://me:hunter2 @proxy:x", "socks5://me:hunter2@proxy:1080", "http://"])
def test_a_proxy_of_the_environment_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    text = refused("http://prometheus.invalid:9090")
    assert text.startswith(
        "the URL of the proxy, or one that the server redirects to, cannot be used; check `proxy_url`"
    )
    assert "hunter2" not in text
