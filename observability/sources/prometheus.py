"""Samples from a Prometheus server, or from one that speaks its HTTP API (Thanos, Mimir, VictoriaMetrics)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect

from observability.errors import SourceError
from observability.model import Plan, PrometheusSettings, Query, Samples, SourceInfo, Window, format_instant
from observability.sources import failures
from observability.sources.answer import Answer, Grid, Result, lead_steps, parse
from observability.sources.connection import connect
from observability.sources.folding import fold

MAX_POINTS = 11_000  # per series and request; the server refuses more
HISTORY = "1d"
RESOLUTION = timedelta(milliseconds=1)

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
        connection = connect(settings)
        self.url = connection.url
        self._timeout_s = settings.timeout.total_seconds()
        self._session = connection.session
        self._client = PrometheusConnect(
            self.url,
            session=self._session,
            auth=connection.auth,
            retry=connection.retry,
            timeout=connection.timeout,
        )

    def info(self, plan: Plan) -> SourceInfo:
        return SourceInfo(prometheus=self.url, step_s=plan.step_s)

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        return fold(plan, window, [self._answer(query, plan.step_s, window) for query in plan.queries])

    def instant(self, name: str, promql: str, at: datetime) -> Result:
        """The vector that ``promql`` is at an instant, as the HTTP API writes it; messages call the query ``name``."""
        ask = partial(self._client.custom_query, promql)
        found: Result = self._send(self._asked(name, promql), "vector", ask, {"time": format_instant(at)})
        return found

    def label_names(self, selector: str, window: Window) -> list[str]:
        """The names of the labels that the selector's series have in the window."""
        ask = self._client.get_label_names
        return list(self._send(self._asked("labels", selector), None, ask, _series_of(selector, window)))

    def label_values(self, label: str, selector: str | None, window: Window) -> list[str]:
        """The values of a label on the selector's series, by default on all, in the window."""
        ask = partial(self._client.get_label_values, label)
        return list(self._send(self._asked("labels", label), None, ask, _series_of(selector, window)))

    def _asked(self, name: str, promql: str) -> _Asked:
        return _Asked(promql, f"query '{name}' at {self.url}")

    def _answer(self, query: Query, step_s: int, window: Window) -> Answer:
        lead, step = lead_steps(query, step_s), timedelta(seconds=step_s)
        start, steps = window.start - lead * step, lead + window.steps(step_s)
        asked = self._asked(query.name, query.promql)
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
        ask = partial(self._client.custom_query_range, asked.promql, first, last, f"{step.total_seconds():.0f}")
        found: Result = self._send(asked, "matrix", ask, {"start": format_instant(first), "end": format_instant(last)})
        return found

    def _send(self, asked: _Asked, kind: str | None, ask: Callable[..., Any], params: dict[str, str]) -> Any:
        """One request. The client rounds its times to seconds, but lays ``params`` over them."""
        self._session.hooks["response"] = [partial(_read, asked=asked, kind=kind)]
        try:
            return ask(params={**params, "timeout": f"{self._timeout_s:g}"})
        except requests.RequestException as error:
            raise failures.unreachable(error, asked.where, self._timeout_s) from None


@dataclass(frozen=True)
class _Asked:
    """A query, how messages name it, and what the server warned of while it answered."""

    promql: str
    where: str
    warnings: list[str] = field(default_factory=list)


def _series_of(selector: str | None, window: Window) -> dict[str, str]:
    match = {} if selector is None else {"match[]": selector}
    return {**match, "start": format_instant(window.start), "end": format_instant(window.end)}


def _looking_back(promql: str) -> str:
    match = _LATEST.fullmatch(promql)
    return f"last_over_time({(match[1] or match[2]).strip()}[{HISTORY}])" if match else promql


def _read(response: requests.Response, asked: _Asked, kind: str | None, **_: object) -> None:
    """The session's hook: raises for everything but a good answer, keeps its warnings, and parses it only once."""
    if response.is_redirect:
        return
    if response.status_code != requests.codes.ok:
        raise failures.refusal(response, asked.where, asked.promql)
    payload = _json(response)
    if payload is None:
        raise failures.not_json(response, asked.where)
    if payload.get("status") != "success":
        raise failures.reported(payload, asked.where)
    data = payload.get("data")
    if kind is not None and (not isinstance(data, dict) or data.get("resultType") != kind):
        raise SourceError(f"{asked.where}: the answer is not a {kind}, as Prometheus' would be; check the URL.")
    asked.warnings.extend(" ".join(str(warning).split()) for warning in payload.get("warnings") or [])
    response.json = lambda **_: payload  # type: ignore[method-assign]


def _json(response: requests.Response) -> dict[str, Any] | None:
    try:
        payload = json.loads(response.content)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None
