"""Servers of our own that are asked over HTTP: one that answers as Prometheus does, proxies, and what breaks off."""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from observability.model import PrometheusSettings
from observability.sources import connection
from observability.sources.prometheus import Prometheus

INSTANT = "/api/v1/query"
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


def ask(url: str, **fields: Any) -> Any:
    """One instant query with these settings."""
    return opened(url, **fields).instant("q", "up", datetime(2025, 11, 18, tzinfo=UTC))


def opened(url: str, **fields: Any) -> Prometheus:
    return Prometheus(PrometheusSettings.model_validate({"url": url, "concurrency": 1, **fields}))


def nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies, CAs or .netrc of the machine that runs the tests, and no waiting."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setattr(connection, "BACKOFF_S", 0.0)


def url_of(server: HTTPServer) -> str:
    return f"http://{server.host}:{server.port}"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def moved(url: str) -> Response:
    return Response(status=302, headers={"Location": url})


def headers_of(server: HTTPServer) -> Any:
    """The headers of the last request."""
    return server.log[-1][0].headers


@contextmanager
def prometheus(context: ssl.SSLContext | None = None) -> Iterator[HTTPServer]:
    """A server that answers instant queries with nothing."""
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request(INSTANT).respond_with_json(EMPTY)
        yield server


class _Threading(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    with _Threading(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _head(connection: socket.socket) -> bytes:
    """A request up to its empty line."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            break
        head += part
    return head


@contextmanager
def raw(*answers: bytes | None) -> Iterator[str]:
    """A server's address that gives each request the next answer, and the last one again, and closes. ``None`` resets
    the connection."""
    left = list(answers)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            _head(self.request)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is None:  # closing with a lingering time of 0 sends a reset
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                return self.request.close()
            return self.request.sendall(answer)

        def finish(self) -> None:
            self.request.close()

    with _serving(Handler) as address:
        yield address


@contextmanager
def tunnel(log: list[str], refusal: bytes | None = None) -> Iterator[str]:
    """The address of a proxy that tunnels: what CONNECT asks for is logged, and joined to the asker, or refused."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = _head(self.request).decode()
            log.append(head)
            if refusal is not None:
                return self.request.sendall(refusal)
            host, port = head.split()[1].split(":")
            with socket.create_connection((host, int(port))) as there:
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
                back.start()
                _copy(self.request, there)
                back.join()
            return None

    with _serving(Handler) as address:
        yield address


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
