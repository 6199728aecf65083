"""The way to a server: its URL, and a session that knows how to authenticate, retry and give up."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError
from urllib3.util.retry import Retry

from observability.errors import ConfigError
from observability.http_config import Server, is_server_url, without_credentials
from observability.model import PrometheusSettings
from observability.sources import credentials

RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
RETRIES, CONNECT_RETRIES, READ_RETRIES = 3, 2, 1
BACKOFF_S = 0.5  # waits of 0, 1 and 2 s
RETRY_AFTER_MAX_S = 60.0
SECONDS_DIGITS, LONGEST_WAIT_S = 12, 1e6  # of Retry-After; what is longer is as good as for ever
CONNECT_TIMEOUT_S = 5.0
GRACE_S = 2.0  # for the server, which is told the timeout too, to say itself that it ran out
MAX_REDIRECTS = 10


@dataclass(frozen=True)
class Connection:
    """What the client needs for one thread's requests. ``url`` is without credentials and can be shown."""

    url: str
    session: requests.Session
    timeout: tuple[float, float]


def connect(settings: PrometheusSettings) -> Connection:
    """A connection that nothing has been sent over yet.

    Raises ``ConfigError`` for a URL that cannot be used, and for variables and files that the settings refer to.
    """
    parts, timeout_s = _checked(settings.url), settings.timeout.total_seconds()
    return Connection(
        url=without_credentials(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"),
        session=session(settings, retries=True),
        timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s + GRACE_S),
    )


def session(server: Server, retries: bool) -> requests.Session:
    """One that nothing has been sent over yet. With ``retries`` it waits for a busy server by itself.

    Raises ``ConfigError`` for variables and files that the settings refer to.
    """
    credentials.check(server)
    if server.tls_config.insecure_skip_verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return _Session(server, retries)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How many seconds from now the server wants to be left alone; ``None`` where it does not say."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text[:SECONDS_DIGITS]), LONGEST_WAIT_S)
    try:
        date = email.utils.parsedate_tz(text)
        return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
    except (ValueError, OverflowError):
        return None


class _Session(requests.Session):
    """Sends what the settings say. Of the environment it takes only what they leave open, the proxies and the CAs:
    requests by itself would let a proxy of the environment and ``~/.netrc`` override them."""

    def __init__(self, settings: Server, retries: bool) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = MAX_REDIRECTS
        self.auth = self._authorise
        self._settings = settings
        self._adapter = _Adapter(settings.tls_config.server_name, _patience() if retries else Retry(0, read=False))
        self.mount("http://", self._adapter)

    def get_adapter(self, url: str) -> HTTPAdapter:
        """The client mounts an adapter of its own, which does not know the name that a certificate must have."""
        return self._adapter

    def merge_environment_settings(
        self, url: str | bytes | None, proxies: object, stream: bool | None, verify: object, cert: object
    ) -> Any:
        asked = str(url)
        return {
            "proxies": self._proxies(asked),
            "stream": bool(stream),
            "verify": credentials.ca(self._settings, asked),
            "cert": credentials.certificate(self._settings),
        }

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: object) -> dict[str, str]:
        return self._proxies(str(prepared_request.url))

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """What says who asks is not for another host that the server redirects to."""
        if self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
            for name in ("Authorization", *self._settings.http_headers):
                prepared_request.headers.pop(name, None)

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(credentials.headers(self._settings))
        return request

    def _proxies(self, url: str) -> dict[str, str]:
        proxy = credentials.proxy(self._settings)
        if proxy is None:
            return get_environ_proxies(url)
        return {} if _is_direct(url, self._settings.no_proxy or "") else {"http": proxy, "https": proxy}


class _Adapter(HTTPAdapter):
    """Expects the server's certificate to bear ``server_name`` instead of the URL's host, if one is given."""

    def __init__(self, server_name: str | None, retry: Retry) -> None:
        self._tls: dict[str, Any] = {} if server_name is None else {"server_hostname": server_name}
        super().__init__(max_retries=retry)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **more, **self._tls)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        return super().proxy_manager_for(proxy, **more, **self._tls)


class _BoundedRetry(Retry):
    """Waits as long as Retry-After says; a server that asks for more than ``RETRY_AFTER_MAX_S`` is not asked again."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        return retry_after_s(response.headers)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        wait_s = None if response is None else self.get_retry_after(response)
        if wait_s is not None and wait_s > RETRY_AFTER_MAX_S and _pool is not None:
            raise MaxRetryError(_pool, str(url))  # upon which the pool hands on the response, as after the last attempt
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _patience() -> Retry:
    return _BoundedRetry(
        total=RETRIES,
        connect=CONNECT_RETRIES,
        read=READ_RETRIES,
        other=0,
        status_forcelist=RETRIED_STATUS,
        backoff_factor=BACKOFF_S,
        raise_on_status=False,
    )


def _is_direct(url: str, no_proxy: str) -> bool:
    """Whether ``no_proxy`` excepts the URL's host: names with what lies below them, addresses, networks, or ``*``."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return any(_excepts(name.strip().lower(), parts.hostname or "", port) for name in no_proxy.split(","))


def _excepts(name: str, host: str, port: int) -> bool:
    try:
        return ip_address(host) in ip_network(name, strict=False)
    except ValueError:
        name = name.removesuffix(f":{port}").lstrip(".")
        return name == "*" or host == name or (name != "" and host.endswith(f".{name}"))


def _checked(url: str) -> SplitResult:
    if not is_server_url(url):
        shown = "(not shown: it may hold a password)" if re.search("[@?#]", url) else f"'{url}'"
        raise ConfigError(f"The Prometheus URL {shown} cannot be used; write it like http://localhost:9090.")
    return urlsplit(url)
