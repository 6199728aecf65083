"""The watcher's HTTP endpoint: ``/metrics`` and ``/-/healthy``, on threads of its own."""

from __future__ import annotations

import errno
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from observability.errors import ConfigError

if TYPE_CHECKING:
    from observability.watching.metrics import Metrics

LONGEST_REQUEST_S = 30.0
LONGEST_SILENCE_S = 10.0
MOST_CLIENTS = 64  # at once; one more is hung up on
POLL_S = 0.1
TEXT = "text/plain; charset=utf-8"
_ADDRESS = re.compile(r"(?:\[([^]]+)\]|([^:\[\]]*)):([0-9]{1,5})")

Health = Callable[[], tuple[bool, str]]


@contextmanager
def serve(address: str, metrics: Metrics, health: Health) -> Iterator[str]:
    """Answer on ``address`` while the block runs; gives the address that it really is, as HOST:PORT.

    ``health``: whether the watcher does its work, and a sentence that says so. Without a host it is every address of
    the machine; port 0 is any free one. Raises ``ConfigError`` when the address cannot be listened on.
    """
    with _Server(_listen(address), metrics, health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name="metrics", daemon=True)
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()


def _listen(address: str) -> socket.socket:
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[3]) > 65535:
        raise ConfigError(f"--listen: '{address}' is no address; write it like 127.0.0.1:9464, [::1]:9464 or :9464.")
    try:
        return _bound(found[1] or found[2], int(found[3]))
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--listen: cannot listen on {address}: {_why(error)}.") from None


def _bound(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family, _, _, _, place = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(place[:2], family=family)


def _why(error: OSError | UnicodeError) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return "another process has this port; give another one, or 0 for any that is free"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have this address; give one that it has, or none for all of them"
        case errno.EACCES:
            return "ports below 1024 are not for everyone; give a higher one"
    return f"{getattr(error, 'strerror', None) or error}; check the host's name"


class _Server(ThreadingHTTPServer):
    """A thread per client, as long as it behaves: whoever is slow or silent is hung up on, and keeps nobody waiting."""

    def __init__(self, listener: socket.socket, metrics: Metrics, health: Health) -> None:
        super().__init__(listener.getsockname()[:2], _Request, bind_and_activate=False)
        self.socket.close()
        self.socket, self.metrics, self.health = listener, metrics, health
        self._clients: dict[socket.socket, float] = {}  # since when

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def verify_request(self, request: Any, client_address: Any) -> bool:
        if len(self._clients) >= MOST_CLIENTS:
            return False
        self._clients[request] = time.monotonic()
        return True

    def shutdown_request(self, request: Any) -> None:
        self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called at least every ``POLL_S``."""
        late = time.monotonic() - LONGEST_REQUEST_S
        for client in [client for client, since in list(self._clients.items()) if since < late]:
            _hang_up(client)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no matter; anything else is a defect, and told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _hang_up(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it or writes to it
    except OSError:
        return  # it was gone already


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = LONGEST_SILENCE_S
    server_version, sys_version = "postga", ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._send(HTTPStatus.OK, *self.server.metrics.exposition(self.headers.get("Accept", "")))
            case "/-/healthy":
                is_healthy, sentence = self.server.health()
                status = HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
                self._send(status, TEXT, f"{sentence}\n".encode())
            case _:
                self._send(HTTPStatus.NOT_FOUND, TEXT, b"There are /metrics and /-/healthy.\n")

    do_HEAD = do_GET  # noqa: N815

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"Only GET and HEAD are answered.\n")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse  # noqa: N815

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (likewise)
        """Scrapes are no news."""
