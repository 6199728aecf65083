"""A store of raw samples in place of a server: what it is asked as a follower asks, and as ``fetch`` does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from observability.errors import ConfigError
from observability.model import Plan, Query, Samples, Window, parse_instant
from observability.sources.answer import Grid, Series, Tally, lead_steps
from observability.sources.folding import fold
from observability.sources.following import Following, Take
from observability.sources.parts import Course, Request

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP_S = 60
LOOK_BACK_S = 300

Raw = list[tuple[dict[str, str], np.ndarray, np.ndarray]]
"""Series: labels, times in seconds from GA on, and values."""


@dataclass
class Store:
    """``raw``: query → its series. ``part_steps``: how long the parts of a longer window are.

    ``asked`` has every request; ``refused`` and ``raises`` are the queries that are answered with an error.
    """

    raw: dict[str, Raw]
    part_steps: int = 10_000
    warnings: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    raises: Exception | None = None
    newest: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, Request]] = field(default_factory=list)
    url: str = "http://store:9090"
    clock: datetime | None = None

    def ask(self, courses: Iterable[Course], window: Window, take: Take) -> dict[str, str]:
        failed = {}
        for course in courses:
            if course.query.name in self.refused:
                failed[course.query.name] = self.refused[course.query.name]
                continue
            try:
                for request in self._requests(course):
                    take(course, request, self.answer(course.query, request), self.warnings)
            except ConfigError as error:
                failed[course.query.name] = str(error)
        if self.raises is not None:
            raise self.raises
        return failed

    def _requests(self, course: Course) -> Iterable[Request]:
        if course.looks_back:
            yield course.look_back("1d")
        course._length = self.part_steps
        while (part := course.part()) is not None:
            course.answered(part, 1)
            course._length = self.part_steps
            yield part

    def instant(self, name: str, promql: str, at: datetime) -> list[Series]:
        self.asked.append((name, Request(promql, "query", "vector", {"time": at.isoformat()})))
        return []

    def answer(self, query: Query, request: Request) -> list[Series]:
        self.asked.append((query.name, request))
        held = self.raw.get(query.name, [])
        if request.kind == "vector":
            at = _seconds(request.params["time"])
            back = 86_400 if request.low == request.high and query.is_counted else LOOK_BACK_S
            found = [(labels, _last(times, values, at, back)) for labels, times, values in held]
            return [Series(metric=labels, value=(at, repr(value))) for labels, value in found if value is not None]
        if request.endpoint == "query":
            return self._raw(held, request)
        start, end = (_seconds(request.params[name]) for name in ("start", "end"))
        moments = np.arange(start, end + 1e-6, float(request.params["step"]))
        result = []
        for labels, times, values in held:
            points = [(at, _last(times, values, at, LOOK_BACK_S)) for at in moments.tolist()]
            result.append((labels, [(at, value) for at, value in points if value is not None]))
        return [_series(labels, points) for labels, points in result if points]

    def _raw(self, held: Raw, request: Request) -> list[Series]:
        end = _seconds(request.params["time"])
        start = end - int(re.search(r"\[(\d+)s\]$", request.promql)[1])
        result = []
        for labels, times, values in held:
            low, high = np.searchsorted(times, start, "left"), np.searchsorted(times, end, "right")
            if low < high:
                result.append(_series(labels, list(zip(times[low:high].tolist(), values[low:high].tolist(), strict=True))))
        return result


def _series(labels: dict[str, str], points: Sequence[tuple[float, float]]) -> Series:
    shifted = [(GA.timestamp() + at, repr(value)) for at, value in points]
    return Series(metric=labels, values=msgspec.Raw(msgspec.json.encode(shifted)))


def _last(times: np.ndarray, values: np.ndarray, at: float, back: float) -> float | None:
    number = int(np.searchsorted(times, at, "right")) - 1
    return float(values[number]) if number >= 0 and times[number] > at - back else None


def _seconds(text: str) -> float:
    return (parse_instant(text) - GA).total_seconds()


def window(low: int, high: int, step_s: int = STEP_S) -> Window:
    return Window(start=GA + low * timedelta(seconds=step_s), end=GA + high * timedelta(seconds=step_s))


def fetched(store: Store, plan: Plan, span: Window) -> dict[str, Samples]:
    """As ``Prometheus.fetch`` has it."""
    answers = []
    for query in plan.queries:
        lead, step = lead_steps(query, plan.step_s), timedelta(seconds=plan.step_s)
        steps = lead + span.steps(plan.step_s)
        course = Course(query, span.start - lead * step, steps, plan.step_s)
        tally = Tally(query, Grid((span.start - lead * step).timestamp(), plan.step_s, steps, lead))
        for request in store._requests(course):
            if request.kind == "vector":
                tally.look_back(store.answer(query, request))
            else:
                tally.add(store.answer(query, request), request.low, request.high, raw=request.endpoint == "query")
        answers.append(tally.answer(()))
    return fold(plan, span, answers)


def followed(store: Store, plan: Plan, cuts: Sequence[int], restarts: Iterable[int] = ()) -> dict[str, dict[str, np.ndarray]]:
    """Service → column → all steps from the first cut to the last one, read window by window; NaN for no column. At
    ``restarts`` another follower goes on."""
    follower, steps = Following(plan, GA + cuts[0] * timedelta(seconds=plan.step_s), store), cuts[-1] - cuts[0]
    columns: dict[str, dict[str, np.ndarray]] = {service: {} for service in plan.services}
    for low, high in zip(cuts[:-1], cuts[1:], strict=True):
        if low in restarts:
            memory = {name: values.copy() for name, values in follower.memory().items()}
            follower = Following(plan, GA, store)
            follower.remember(memory)
        for service, samples in follower.read(window(low, high, plan.step_s)).services.items():
            for name, values in samples.columns.items():
                whole = columns[service].setdefault(name, np.full(steps, nothing(name, plan)))
                whole[low - cuts[0] : high - cuts[0]] = values
    return columns


def nothing(column: str, plan: Plan) -> float:
    """What it means that there is no column."""
    of_alerts = {name for q in plan.queries if q.type == "alerts" for name in (q.name, f"{q.name}.started")}
    return 0.0 if column.endswith(".earlier") or column in of_alerts else np.nan
