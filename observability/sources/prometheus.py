"""Samples from a Prometheus server, or from one that speaks its HTTP API (Thanos, Mimir, VictoriaMetrics)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.retry import Retry

from observability.errors import ConfigError, PostgaError, SourceError
from observability.model import Plan, PrometheusSettings, Query, Samples, SourceInfo, Window, format_instant
from observability.sources.answer import Answer, Grid, Result, lead_steps, parse
from observability.sources.folding import fold

MAX_POINTS = 11_000  # per series and request; the server refuses more
HISTORY = "1d"
RESOLUTION = timedelta(milliseconds=1)

RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
RETRIES, CONNECT_RETRIES, READ_RETRIES = 3, 2, 1
BACKOFF_S = 0.5  # waits of 0, 1 and 2 s
RETRY_AFTER_MAX_S = 10.0
CONNECT_TIMEOUT_S = 5.0
ERROR_LENGTH = 300

_STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
_SELECTOR = r"(?=[a-zA-Z_:{])(?:[a-zA-Z_:][\w:]*)?\s*(?:\{(?:[^\"'`{}]|" + _STRING + r")*\})?"
_LATEST = re.compile(rf"\s*(?:last_over_time\s*\(\s*({_SELECTOR})\s*\[[^\[\]:]+\]\s*\)|({_SELECTOR}))\s*")


class Prometheus:
    """A ``Source`` over HTTP. ``timeout`` holds for one query, on the server and here. Not for several threads at once.

    Step k of a window covers ``[start + k·step, start + (k + 1)·step)``, so each query is evaluated at the last
    millisecond of each step. Counters are asked for from five minutes before the window on (``counters``, rule 4), and
    once more for their last value before that, at most a day old: for ``last_over_time(SELECTOR[RANGE])`` and for a
    plain SELECTOR that is ``last_over_time(SELECTOR[1d])``; any other query is evaluated as it is.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        parts = _checked(settings.url)
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._timeout_s = settings.timeout.total_seconds()
        self._session = requests.Session()
        self._client = PrometheusConnect(
            self.url,
            session=self._session,
            auth=_credentials(parts),
            retry=_BoundedRetry(
                total=RETRIES,
                connect=CONNECT_RETRIES,
                read=READ_RETRIES,
                status_forcelist=RETRIED_STATUS,
                backoff_factor=BACKOFF_S,
                raise_on_status=False,
            ),
            timeout=(min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s),
        )

    def info(self, plan: Plan) -> SourceInfo:
        return SourceInfo(prometheus=self.url, step_s=plan.step_s)

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        return fold(plan, window, [self._answer(query, plan.step_s, window) for query in plan.queries])

    def _answer(self, query: Query, step_s: int, window: Window) -> Answer:
        lead, step = lead_steps(query, step_s), timedelta(seconds=step_s)
        start, steps = window.start - lead * step, lead + window.steps(step_s)
        asked = _Asked(query, f"query '{query.name}' at {self.url}")
        found: list[Any] = []
        earlier: Result = []
        for low in range(0, steps, MAX_POINTS):
            part = Window(start=start + low * step, end=start + min(low + MAX_POINTS, steps) * step)
            found += self._range(asked, part, step)
        if query.is_counted:
            ask = partial(self._client.custom_query, _looking_back(query.promql))
            earlier = self._send(asked, "vector", ask, {"time": format_instant(start - RESOLUTION)})
        grid = Grid((start + step - RESOLUTION).timestamp(), step_s, steps, lead)
        try:
            return parse(query, grid, found, earlier, asked.warnings)
        except (LookupError, TypeError, ValueError):
            raise SourceError(f"{asked.where}: the answer is not one of Prometheus; check the URL.") from None

    def _range(self, asked: _Asked, part: Window, step: timedelta) -> Result:
        first, last = part.start + step - RESOLUTION, part.end - RESOLUTION
        ask = partial(self._client.custom_query_range, asked.query.promql, first, last, f"{step.total_seconds():.0f}")
        return self._send(asked, "matrix", ask, {"start": format_instant(first), "end": format_instant(last)})

    def _send(self, asked: _Asked, kind: str, ask: Callable[..., Result], times: dict[str, str]) -> Result:
        """One request. The client rounds its times to seconds, but lays ``params`` over them."""
        self._session.hooks["response"] = [partial(_read, asked=asked, kind=kind)]
        try:
            return ask(params={**times, "timeout": f"{self._timeout_s:g}"})
        except requests.RequestException as error:
            raise SourceError(f"{asked.where}: {_unreachable(error, self._timeout_s)}.") from None


@dataclass(frozen=True)
class _Asked:
    """A query, how messages name it, and what the server warned of while it answered."""

    query: Query
    where: str
    warnings: list[str] = field(default_factory=list)


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


def _looking_back(promql: str) -> str:
    match = _LATEST.fullmatch(promql)
    return f"last_over_time({(match[1] or match[2]).strip()}[{HISTORY}])" if match else promql


def _read(response: requests.Response, asked: _Asked, kind: str, **_: object) -> None:
    """The session's hook: raises for everything but a good answer, keeps its warnings, and parses it only once."""
    if response.is_redirect:
        return
    payload = _json(response)
    reason = _reason(payload, response)
    if response.status_code != requests.codes.ok:
        raise _refusal(response.status_code, reason, asked)
    if payload is None:
        content = response.headers.get("Content-Type", "no content type").partition(";")[0]
        raise SourceError(
            f"{asked.where}: the answer ({content}) is not JSON; check that the URL is Prometheus' own, and that no "
            "login page stands before it."
        )
    if payload.get("status") != "success":
        raise SourceError(f"{asked.where}: the server reports an error ({reason}); see the server's log.")
    data = payload.get("data")
    if not isinstance(data, dict) or data.get("resultType") != kind:
        raise SourceError(f"{asked.where}: the answer is not a {kind}, as Prometheus' would be; check the URL.")
    asked.warnings.extend(" ".join(str(warning).split()) for warning in payload.get("warnings") or [])
    response.json = lambda **_: payload  # type: ignore[method-assign]


def _json(response: requests.Response) -> dict[str, Any] | None:
    try:
        payload = json.loads(response.content)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _reason(payload: dict[str, Any] | None, response: requests.Response) -> str:
    text = " ".join(str((payload or {}).get("error") or response.reason).split())
    return text if len(text) <= ERROR_LENGTH else text[:ERROR_LENGTH] + "…"


def _refusal(status: int, reason: str, asked: _Asked) -> PostgaError:
    said = f"{asked.where}: HTTP {status} ({reason})"
    if status in {400, 422}:
        return ConfigError(f"{said}; correct the query: {asked.query.promql}")
    if status in {401, 403}:
        return SourceError(f"{said}; give credentials that may read, as in https://user:password@host.")
    if status == 404:
        return SourceError(f"{said}; check that this is Prometheus' base URL, with its path prefix if it has one.")
    if status in RETRIED_STATUS:
        return SourceError(f"{said}, also after {RETRIES} more attempts; run the command again later.")
    return SourceError(f"{said}; check the URL.")


def _unreachable(error: requests.RequestException, timeout_s: float) -> str:
    chain = list(_causes(error))
    if any(isinstance(cause, ReadTimeoutError) for cause in chain):
        return f"no answer within {timeout_s:g} s; raise `timeout` under `prometheus:` in the release file"
    reason = str(getattr(chain[-1], "strerror", None) or chain[-1]).rstrip(".")
    return f"the server cannot be reached ({reason}); check the URL and that the server runs"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
