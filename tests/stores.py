"""A store of raw samples in place of a server: asked as a follower asks, and as ``fetch`` does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from observability.errors import ConfigError
from observability.model import Plan, Query, Samples, Window, parse_instant
from observability.sources import Followed
from observability.sources.answer import Grid, Series, Tally, lead_steps
from observability.sources.folding import fold
from observability.sources.following import Following, Take
from observability.sources.parts import Course, Request

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP_S = 60
DAY_S = 86_400
LOOK_BACK_S = 300

Raw = list[tuple[dict[str, str], np.ndarray, np.ndarray]]
"""Series: labels, times in seconds from GA on, and values."""
Columns = dict[str, dict[str, np.ndarray]]
"""Service → name → column."""


@dataclass
class Store:
    """``raw``: query → its series. Its parts are of ``part_steps`` steps. ``refused``: query → why.

    ``error`` is raised when all else has been answered. ``asked`` has every request.
    """

    raw: dict[str, Raw]
    part_steps: int = 10_000
    warnings: Sequence[str] = ()
    refused: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[tuple[str, Request]] = field(default_factory=list)
    url: str = "http://store:9090"
    clock: datetime | None = None

    def ask(self, courses: Iterable[Course], window: Window, take: Take) -> dict[str, str]:
        failed = dict(self.refused)
        for course in courses:
            try:
                for request in self.requests(course) if course.query.name not in failed else ():
                    take(course, request, self.answer(course.query, request), self.warnings)
            except ConfigError as error:
                failed[course.query.name] = str(error)
        if self.error is not None:
            raise self.error
        return failed

    def requests(self, course: Course) -> Iterator[Request]:
        if course.looks_back:
            yield course.look_back("1d")
        while (part := course.part()) is not None:
            while part.high - part.low > self.part_steps and course.was_too_much(part):
                part = course.part()
            course.answered(part, 8_000_000)
            yield part

    def instant(self, name: str, promql: str, at: datetime) -> list[Series]:
        """When the newest sample of ``up`` was scraped."""
        self.asked.append((name, Request(promql, "query", "vector", {"time": at.isoformat()})))
        second, back = (at - GA).total_seconds(), LOOK_BACK_S
        if long := re.search(r"\[(\d)d:", promql):
            back = DAY_S * int(long[1])
        times = [time for _, times, _ in self.raw.get(name, ()) for time in times if second - back < time <= second]
        return [Series(metric={}, value=(0.0, repr(GA.timestamp() + float(max(times)))))] if times else []

    def answer(self, query: Query, request: Request) -> list[Series]:
        self.asked.append((query.name, request))
        held = self.raw.get(query.name, [])
        if request.kind == "vector":
            back = DAY_S if request.low == request.high else LOOK_BACK_S
            found = [
                (labels, _last(times, values, [_second(request.params["time"])], back))
                for labels, times, values in held
            ]
            return [Series(metric=labels, value=points[0]) for labels, points in found if points]
        if request.endpoint == "query_range":
            start, end = (_second(request.params[name]) for name in ("start", "end"))
            moments = np.arange(start, end + 1e-6, float(request.params["step"])).tolist()
            return _matrix((labels, _last(times, values, moments, LOOK_BACK_S)) for labels, times, values in held)
        end = _second(request.params["time"])
        start = end - int(re.search(r"\[(\d+)s\]$", request.promql)[1])
        return _matrix((labels, _between(times, values, start, end)) for labels, times, values in held)


def _last(times: np.ndarray, values: np.ndarray, moments: Sequence[float], back: float) -> list[tuple[float, str]]:
    """At each moment the last value of so many seconds."""
    number = np.searchsorted(times, moments, "right") - 1
    return [
        (GA.timestamp() + moment, repr(float(values[n])))
        for moment, n in zip(moments, number.tolist(), strict=True)
        if n >= 0 and times[n] > moment - back
    ]


def _between(times: np.ndarray, values: np.ndarray, start: float, end: float) -> list[tuple[float, str]]:
    low, high = np.searchsorted(times, start, "left"), np.searchsorted(times, end, "right")
    return [
        (GA.timestamp() + t, repr(v)) for t, v in zip(times[low:high].tolist(), values[low:high].tolist(), strict=True)
    ]


def _matrix(found: Iterable[tuple[dict[str, str], list[tuple[float, str]]]]) -> list[Series]:
    return [
        Series(metric=labels, values=msgspec.Raw(msgspec.json.encode(points))) for labels, points in found if points
    ]


def _second(text: str) -> float:
    return (parse_instant(text) - GA).total_seconds()


def window(low: int, high: int, step_s: int = STEP_S) -> Window:
    return Window(start=GA + low * timedelta(seconds=step_s), end=GA + high * timedelta(seconds=step_s))


def fetched(store: Store, plan: Plan, steps: int) -> Columns:
    """The first steps as ``Prometheus.fetch`` has them, without ``q.seen``."""
    span, answers = window(0, steps, plan.step_s), []
    for query in plan.queries:
        lead = lead_steps(query, plan.step_s)
        start = GA - lead * timedelta(seconds=plan.step_s)
        tally = Tally(query, Grid(start.timestamp(), plan.step_s, lead + steps, lead))
        for request in store.requests(Course(query, start, lead + steps, plan.step_s)):
            found = store.answer(query, request)
            if request.low == request.high:
                tally.look_back(found)
            else:
                tally.add(found, request.low, request.high, raw=request.endpoint == "query")
        answers.append(tally.answer(()))
    return {service: _seldom(samples) for service, samples in fold(plan, span, answers).items()}


def _seldom(samples: Samples) -> dict[str, np.ndarray]:
    return {name: values for name, values in samples.columns.items() if not name.endswith(".seen")}


class Reader:
    """Reads a store window after window, and puts the columns together."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.follower = Following(plan, GA, store)
        self.until = 0
        self._parts: list[tuple[int, Followed]] = []

    def read(self, steps: int = 1) -> Followed:
        followed = self.follower.read(window(self.until, self.until + steps, self.plan.step_s))
        self._parts.append((self.until, followed))
        self.until += steps
        return followed

    def restart(self) -> None:
        """Another follower goes on from what this one remembers."""
        memory = {name: values.copy() for name, values in self.follower.memory().items()}
        self.follower = Following(self.plan, GA, self.store)
        self.follower.remember(memory)

    def columns(self) -> Columns:
        """Of all that was read."""
        found: Columns = {service: {} for service in self.plan.services}
        for low, followed in self._parts:
            for service, samples in followed.services.items():
                for name, values in samples.columns.items():
                    whole = found[service].setdefault(name, np.full(self.until, nothing(name, self.plan)))
                    whole[low : low + values.size] = values
        return found


def followed(store: Store, plan: Plan, cuts: Collection[int], restarts: Collection[int] = ()) -> Columns:
    """The columns, read in windows from cut to cut; at ``restarts`` another follower goes on."""
    reader = Reader(store, plan)
    for cut in sorted(set(cuts) - {0}):
        if reader.until in restarts:
            reader.restart()
        reader.read(cut - reader.until)
    return reader.columns()


def nothing(column: str, plan: Plan) -> float:
    """What it means that there is no column."""
    of_alerts = {name for q in plan.queries if q.type == "alerts" for name in (q.name, f"{q.name}.started")}
    return 0.0 if column.endswith(".earlier") or column in of_alerts else np.nan


def assert_same(found: Columns, expected: Columns, plan: Plan, tolerance: float = 0.0) -> None:
    assert found.keys() == expected.keys()
    for service in expected:
        for name in found[service].keys() | expected[service].keys():
            size = next(len(columns[name]) for columns in (found[service], expected[service]) if name in columns)
            absent = np.full(size, nothing(name, plan))
            one, other = found[service].get(name, absent), expected[service].get(name, absent)
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=0, err_msg=f"{service} {name}")
