"""Samples from a Prometheus server, or from one that speaks its HTTP API (Thanos, Mimir, VictoriaMetrics)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect

from observability.errors import ConfigError, NotEnoughDataError, PostgaError
from observability.model import (
    SERVER_WARNED,
    Plan,
    PrometheusSettings,
    Query,
    Samples,
    SourceInfo,
    Window,
    format_instant,
    one_of,
)
from observability.sources import failures, in_flight
from observability.sources.answer import Answer, Grid, Names, Series, Tally, lead_steps
from observability.sources.connection import connect
from observability.sources.folding import fold
from observability.sources.following import Following, Take
from observability.sources.parts import HISTORIES, Course, Request
from observability.sources.responses import decoded, read, understood, vector

TOO_MUCH = frozenset({413, 422, 503})  # statuses that servers refuse large answers with
_TOO_MUCH = re.compile(r"too many|too large|limit|exceed|timed out", re.IGNORECASE)
TENANT = "x-scope-orgid"
DATE_RESOLUTION = timedelta(seconds=1)
TOO_LARGE = 413


class Prometheus:
    """A ``Source`` over HTTP, with at most ``settings.concurrency`` requests on their way at once.

    Not for several threads at once. ``parts`` tells what is asked for, ``counters`` what becomes of it.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._clients = self._opened()
        self.url = self._clients[0].url
        self.clock: datetime | None = None  # what the server's said when it answered last
        self._name = _with_tenant(self.url, settings)

    def _opened(self) -> list[_Client]:
        return [_Client(self._settings) for _ in range(self._settings.concurrency)]

    def info(self, plan: Plan) -> SourceInfo:
        return SourceInfo(prometheus=self._name, step_s=plan.step_s)

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        answers = self._answers(plan, window)
        jobs = {labels.get("job", "") for one in answers if one.query.is_counted for labels in one.labels} - {""}
        return fold(plan, window, answers, self._up(plan, window, jobs) if jobs else None)

    def follow(self, plan: Plan, start: datetime) -> Following:
        return Following(plan, start, self)

    def ask(self, courses: Iterable[Course], window: Window, take: Take) -> dict[str, str]:
        """Ask for all of the courses, hand each answer on, and return which queries cannot be used, and why."""
        failed: dict[str, str] = {}
        try:
            for course, found in in_flight.each(_unless_refused, courses, self._clients):
                try:
                    self._hand_on(course, found, window, take)
                except ConfigError as error:
                    failed.setdefault(course.query.name, str(error))
        except BaseException:
            self._clients = self._opened()  # threads may still be waiting for answers over the others
            raise
        return failed

    def _hand_on(
        self, course: Course, found: tuple[Request, requests.Response] | PostgaError, window: Window, take: Take
    ) -> None:
        if isinstance(found, PostgaError):
            raise ConfigError(str(found))
        request, response = found
        self._check_clock(response, window)
        where = self._where(course.query.name)
        if request.kind == "vector":
            series, warnings = vector(response, request.promql, where)
        else:
            series, warnings = read(response, request.kind, where)
        with understood(where):
            take(course, request, series, warnings)

    def _up(self, plan: Plan, window: Window, jobs: Iterable[str]) -> Answer:
        """When targets could not be scraped. A server that does not answer this is one whose coverage is in doubt."""
        query = _down(jobs, plan.step_s)
        try:
            (up,) = self._answers(replace(plan, queries=(query,)), window)
        except ConfigError:
            doubt = f"{SERVER_WARNED}it does not tell when targets could not be scraped"
            return Tally(query, Grid(0.0, plan.step_s, window.steps(plan.step_s), 0)).answer([doubt])
        return up

    def _answers(self, plan: Plan, window: Window) -> list[Answer]:
        collecting = [_Collecting(query, plan, window) for query in plan.queries]
        for query, request, response in in_flight.each(_collected, collecting, self._clients):
            self._check_clock(response, window)
            query.take(request, response, self._where(query.course.query.name))
        return [query.tally.answer(query.warnings) for query in collecting]

    def instant(self, name: str, promql: str, at: datetime) -> list[Series]:
        """The vector that ``promql`` is at an instant, a scalar as one series without labels; messages call the query
        ``name``. Raises ``ConfigError`` where it is neither."""
        request = Request(promql, "query", "vector", {"time": format_instant(at)})
        return vector(self._clients[0].ask(request, name), promql, self._where(name))[0]

    def label_names(self, selector: str, window: Window) -> list[str]:
        """The names of the labels that the selector's series have in the window."""
        client = self._clients[0]
        return client.names(client.api.get_label_names, selector, window)

    def label_values(self, label: str, selector: str | None, window: Window) -> list[str]:
        """The values of a label on the selector's series, by default on all, in the window."""
        client = self._clients[0]
        return client.names(partial(client.api.get_label_values, label), selector, window)

    def _where(self, name: str) -> str:
        return f"query '{name}' at {self.url}"

    def _check_clock(self, response: requests.Response, window: Window) -> None:
        """A window that is over here and not there is not collected: its end would be missing without a word."""
        try:
            there = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError, OverflowError):
            return
        self.clock = there
        if there + DATE_RESOLUTION < window.end:
            raise NotEnoughDataError(
                f"{self.url}: the server's clock says {format_instant(there)}, before the end of the time that is "
                f"asked for, {format_instant(window.end)}; wait for it, or set this machine's clock (or --now) right."
            )


def _down(jobs: Iterable[str], step_s: int) -> Query:
    """Which of the jobs' targets could not be scraped: a target that is gone for good has no ``up`` at all."""
    promql = f"min by (job, instance) (min_over_time(up{{job=~{one_of(sorted(jobs))}}}[{step_s}s])) == 0"
    return Query(name="up", type="gauge", promql=promql)


def _with_tenant(url: str, settings: PrometheusSettings) -> str:
    """What tells the source from others: under one URL, Mimir and its like hold the series of many tenants."""
    headers = [header for name, header in settings.http_headers.items() if name.lower() == TENANT]
    tenants = [str(value) for header in headers for value in (*header.values, *header.secrets, *header.files)]
    return f"{url} ({TENANT}: {', '.join(tenants)})" if tenants else url


class _Collecting:
    """One query of a plan on its way: what is still to be asked, and what has been answered."""

    def __init__(self, query: Query, plan: Plan, window: Window) -> None:
        lead, step = lead_steps(query, plan.step_s), timedelta(seconds=plan.step_s)
        start, steps = window.start - lead * step, lead + window.steps(plan.step_s)
        self.course = Course(query, start, steps, plan.step_s, len(plan.services))
        self.tally = Tally(query, Grid(start.timestamp(), plan.step_s, steps, lead))
        self.warnings: list[str] = []

    def take(self, request: Request, response: requests.Response, where: str) -> None:
        series, warnings = read(response, request.kind, where)
        self.warnings += warnings
        with understood(where):
            if request.kind == "vector":
                self.tally.look_back(series)
            else:
                self.tally.add(series, request.low, request.high, raw=request.endpoint == "query")


def _collected(query: _Collecting, client: _Client) -> Iterator[tuple[_Collecting, Request, requests.Response]]:
    for request, response in _answers(query.course, client):
        yield query, request, response


def _unless_refused(
    course: Course, client: _Client
) -> Iterator[tuple[Course, tuple[Request, requests.Response] | PostgaError]]:
    """All answers, or in the end why the query cannot be used: others may go on without it."""
    try:
        for found in _answers(course, client):
            yield course, found
    except PostgaError as error:
        if not isinstance(error, ConfigError) and getattr(error.__cause__, "status", None) != TOO_LARGE:
            raise
        yield course, error


def _answers(course: Course, client: _Client) -> Iterator[tuple[Request, requests.Response]]:
    """Every request of one query with its answer, in the order of time."""
    name = course.query.name
    if course.looks_back:
        request, response = _looked_back(course, client)
        course.expect(response.content.count(b'"metric"'))
        yield request, response
    while (part := course.part()) is not None:
        try:
            response = client.ask(part, name)
        except PostgaError as refused:
            if not (isinstance(refused.__cause__, _TooMuchError) and course.was_too_much(part)):
                raise
            continue
        course.answered(part, len(response.content))
        yield part, response


def _looked_back(course: Course, client: _Client) -> tuple[Request, requests.Response]:
    """The last values before the window, of as long as the server can look back at once."""
    for history in HISTORIES:
        request = course.look_back(history)
        try:
            return request, client.ask(request, course.query.name)
        except PostgaError as error:
            if not isinstance(error.__cause__, _TooMuchError) or history == HISTORIES[-1]:
                raise
    raise AssertionError("the last one returns or raises")


class _TooMuchError(Exception):
    """The cause of a refusal: the answer would be too large, so a smaller one may be given."""

    def __init__(self, status: int) -> None:
        self.status = status


class _Client:
    """The library's client over one connection of ours, for one thread at a time.

    The client rounds its times to seconds, but lays ``params`` over them; and it hands on what the response's ``json``
    returns, which here is the response itself: it is read where a thread has time for it.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        connection = connect(settings)
        self.url = connection.url
        self._timeout_s = settings.timeout.total_seconds()
        self._session = connection.session
        self.api = PrometheusConnect(self.url, session=self._session, timeout=connection.timeout)

    def ask(self, request: Request, name: str) -> requests.Response:
        """The answer, unread but for its status."""
        call = partial(self.api.custom_query, request.promql)
        if request.endpoint == "query_range":
            moment = datetime.fromtimestamp(0, UTC)  # stands for the times in params
            call = partial(self.api.custom_query_range, request.promql, moment, moment, request.params["step"])
        where = f"query '{name}' at {self.url}"
        return self._send(call, request.params, where, request.promql)

    def names(self, call: Callable[..., Any], selector: str | None, window: Window) -> list[str]:
        """What one of the API's endpoints for labels returns."""
        where = f"the labels of {selector or 'all series'} at {self.url}"
        params = {"start": format_instant(window.start), "end": format_instant(window.end)}
        params |= {} if selector is None else {"match[]": selector}
        return decoded(self._send(call, params, where, selector or ""), Names, where).data or []

    def _send(self, call: Callable[..., Any], params: dict[str, str], where: str, promql: str) -> requests.Response:
        self._session.hooks["response"] = [partial(_check, where=where, promql=promql)]
        try:
            found = call(params={**params, "timeout": f"{self._timeout_s:g}"})
        except requests.RequestException as error:
            raise failures.unreachable(error, where, self._timeout_s) from None
        response: requests.Response = found["result"] if isinstance(found, dict) else found
        del response.json  # it holds the response: a circle, which would keep the body until garbage is collected
        return response


def _check(response: requests.Response, where: str, promql: str, **_: object) -> None:
    """The session's hook: raises for everything but a good status."""
    if response.is_redirect:
        return
    if response.status_code != requests.codes.ok:
        too_much = response.status_code in TOO_MUCH and _TOO_MUCH.search(response.text)
        raise failures.refusal(response, where, promql) from (_TooMuchError(response.status_code) if too_much else None)
    response.json = lambda **_: {"data": {"result": response}}  # type: ignore[method-assign]
