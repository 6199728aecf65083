"""The way to a server: its URL, and a session that knows how to authenticate, retry and give up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

import requests
from urllib3.util.retry import Retry

from observability.errors import ConfigError
from observability.model import PrometheusSettings

RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
RETRIES, CONNECT_RETRIES, READ_RETRIES = 3, 2, 1
BACKOFF_S = 0.5  # waits of 0, 1 and 2 s
RETRY_AFTER_MAX_S = 10.0
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Connection:
    """What the client needs for one thread's requests. ``url`` is without credentials and can be shown."""

    url: str
    session: requests.Session
    auth: tuple[bytes, bytes] | None
    retry: Retry
    timeout: tuple[float, float]


def connect(settings: PrometheusSettings) -> Connection:
    """A connection that nothing has been sent over yet. Raises ``ConfigError`` for a URL that cannot be used."""
    parts, timeout_s = _checked(settings.url), settings.timeout.total_seconds()
    retry = _BoundedRetry(
        total=RETRIES,
        connect=CONNECT_RETRIES,
        read=READ_RETRIES,
        status_forcelist=RETRIED_STATUS,
        backoff_factor=BACKOFF_S,
        raise_on_status=False,
    )
    return Connection(
        url=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}",
        session=requests.Session(),
        auth=_credentials(parts),
        retry=retry,
        timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s),
    )


class _BoundedRetry(Retry):
    """Honours Retry-After, but waits no longer than ``RETRY_AFTER_MAX_S``."""

    def parse_retry_after(self, retry_after: str) -> float:
        return min(super().parse_retry_after(retry_after), RETRY_AFTER_MAX_S)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s?#]", url):
        shown = "(not shown: it may hold a password)" if re.search("[@?#]", url) else f"'{url}'"
        raise ConfigError(f"The Prometheus URL {shown} cannot be used; write it like http://localhost:9090.")
    return parts


def _credentials(parts: SplitResult) -> tuple[bytes, bytes] | None:
    if parts.username is None:
        return None
    return unquote(parts.username).encode(), unquote(parts.password or "").encode()
