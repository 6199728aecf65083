"""From scores to episodes: crossings of a threshold that belong together, told as one anomaly; and to new levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.artifacts import Severity
from observability.definitions import Kind, Kpi
from observability.detection.bank import NewLevel as Noticed
from observability.detection.bank import Reading
from observability.events import Anomaly, NewLevel
from observability.model import format_instant

MERGE_STEPS = 5  # crossings at most this many steps apart are one episode
# Events by which the steps of an anomaly differ at least from what was expected: one failed request is 1 % of 100, and
# chance. (Cochran, "Some methods for strengthening the common χ² tests", Biometrics 10, 1954, has 5 for a count.)
FEWEST_EVENTS = 5
SMALL = 0.1  # of what was expected: a change that the comparison of days does not call a drift
# The channels whose score says how far off a KPI is. Novelty says how new a value is, which is no measure of harm, and
# what the scores of river's detectors measure is theirs alone: none of them is more than medium.
GRADED = frozenset({"significance", "ewma"})
GRADED_FROM: dict[Severity, float] = {"medium": 1.5, "high": 2.5, "critical": 5.0}  # thresholds that a score reaches

Table = NDArray[np.float64]
"""One row per step, one column per series."""


class Subject(NamedTuple):
    """One KPI of one service: a series."""

    service: str
    kpi: Kpi


class Steps(NamedTuple):
    """When the steps are: step 0 begins at ``start``."""

    start: datetime
    step_s: int

    def time(self, number: int) -> datetime:
        return self.start.astimezone(UTC) + timedelta(seconds=number * self.step_s)


class Block(NamedTuple):
    """The values of several steps, the first of which is step ``first``, of shape (steps, series).

    ``seen``: how many values a series had up to a step, that one included. ``events``: by how many events a step
    differs from what was expected; asked with series, step of the block and the expected value; NaN where nothing is
    counted.
    """

    first: int
    values: Table
    seen: NDArray[np.int64]
    events: Callable[[int, int, float], float]


@dataclass
class Run:
    """Crossings of one series that belong together: the steps of the first, the last and the highest one, what stood
    there, and how many values there were before the first and up to the last. ``events`` is the sum over them."""

    series: int
    first: int
    last: int
    top: int
    score: float
    value: float
    expected: float
    low: float
    high: float
    events: float
    before: int
    seen: int

    @property
    def is_counted(self) -> bool:
        """Whether it stands on enough events; also where nothing is counted, or the detector expects nothing."""
        return not self.events < FEWEST_EVENTS


INTEGERS = ("series", "first", "last", "top", "before", "seen")


class Episodes:
    """The anomalies of one channel from step ``first`` on, put together as its scores arrive.

    Those of a counted KPI that stand on fewer than ``FEWEST_EVENTS`` events are none.
    """

    def __init__(self, channel: str, threshold: float, subjects: Sequence[Subject], steps: Steps, first: int) -> None:
        self.channel, self.threshold = channel, threshold
        self._subjects, self._steps, self._first = subjects, steps, first
        self._open: dict[int, Run] = {}

    def take(self, block: Block, reading: Reading) -> list[tuple[int, int, Anomaly]]:
        """The anomalies that are over by the end of the block, each with the step by which that was known, and its
        series."""
        over: list[Run] = []
        crossed = reading.scored & (reading.score >= self.threshold)
        crossed[: max(0, self._first - block.first)] = False
        for step, series in np.argwhere(crossed).tolist():
            found = self._run(block, reading, step, series)
            run = self._open.get(series)
            if run is not None and found.first - run.last <= MERGE_STEPS:
                _extend(run, found)
            else:
                over += [] if run is None else [run]
                self._open[series] = found
        last = block.first + len(block.values) - 1
        over += [run for run in self._open.values() if last - run.last >= MERGE_STEPS]
        self._open = {series: run for series, run in self._open.items() if last - run.last < MERGE_STEPS}
        return [(run.last + MERGE_STEPS, run.series, self._anomaly(run, False)) for run in over if run.is_counted]

    def ongoing(self) -> list[Anomaly]:
        """The anomalies that may go on."""
        runs = sorted(self._open.values(), key=lambda run: run.series)
        return [self._anomaly(run, True) for run in runs if run.is_counted]

    def memory(self) -> Table:
        """What is not over, as numbers: a row per run."""
        runs = sorted(self._open.values(), key=lambda run: run.series)
        return np.array([astuple(run) for run in runs], dtype=np.float64).reshape(-1, len(FIELDS))

    def remember(self, memory: Table) -> None:
        """Go on from another one's memory."""
        runs = [Run(*row) for row in memory.tolist()]
        for run in runs:
            for name in INTEGERS:
                setattr(run, name, int(getattr(run, name)))
        self._open = {run.series: run for run in runs}

    def _run(self, block: Block, reading: Reading, step: int, series: int) -> Run:
        """The crossing as a run of its own."""
        number, expected = block.first + step, float(reading.expected[step, series])
        seen = int(block.seen[step, series])
        return Run(
            series=series,
            first=number,
            last=number,
            top=number,
            score=float(reading.score[step, series]),
            value=float(block.values[step, series]),
            expected=expected,
            low=float(reading.low[step, series]),
            high=float(reading.high[step, series]),
            events=block.events(series, step, expected),
            before=seen - 1,
            seen=seen,
        )

    def _anomaly(self, run: Run, ongoing: bool) -> Anomaly:
        service, kpi = self._subjects[run.series]
        start, expected = self._steps.time(run.first), _known(run.expected)
        side = 0 if expected is None else (run.value > expected) - (run.value < expected)
        band = (_known(run.low), _known(run.high))
        return Anomaly(
            timestamp=self._steps.time(run.top),
            metric_name=kpi.name,
            value=run.value,
            baseline=expected,
            z_score=-run.score if side < 0 else run.score,
            severity=_severity(self.channel, run.score / self.threshold, is_small(kpi, run.value, expected)),
            category=kpi.category,
            id=f"{service}/{kpi.name}/{self.channel}/{format_instant(start)}",
            service=service,
            start=start,
            end=self._steps.time(run.last + 1),
            peak=run.value,
            channel=self.channel,
            direction={1: "up", -1: "down"}.get(side),
            score=run.score,
            band=None if band == (None, None) else band,
            unit=kpi.unit,
            coverage=(run.seen - run.before) / (run.last - run.first + 1),
            ongoing=ongoing,
        )


FIELDS = tuple(Run.__dataclass_fields__)


def new_level(subject: Subject, channel: str, level: Noticed) -> NewLevel:
    """A new level as it is told."""
    return NewLevel(
        metric_name=subject.kpi.name,
        since=datetime.fromtimestamp(level.since, UTC),
        noticed=datetime.fromtimestamp(level.noticed, UTC),
        before=level.before,
        after=level.after,
        settled=level.settled,
        category=subject.kpi.category,
        unit=subject.kpi.unit,
        service=subject.service,
        channel=channel,
    )


def _extend(run: Run, crossing: Run) -> None:
    """The run with one more crossing."""
    run.last, run.seen = crossing.last, crossing.seen
    run.events += crossing.events
    if crossing.score > run.score:
        run.top, run.score, run.value = crossing.top, crossing.score, crossing.value
        run.expected, run.low, run.high = crossing.expected, crossing.low, crossing.high


def _known(value: float) -> float | None:
    """A number of an artifact: a detector has NaN for what it does not know, and ±inf for a limit that is none."""
    return float(value) if math.isfinite(value) else None


def is_small(kpi: Kpi, value: float, expected: float | None) -> bool:
    """Whether the KPI moved by less than a tenth of what was expected, or of what a percentage has left up to 100.

    A gauge that stood still for a week alarms when it moves by its last digit. Shares of events are never small: they
    have been counted.
    """
    if expected is None or kpi.kind is Kind.RATIO:
        return False
    size = min(abs(expected), abs(100.0 - expected)) if kpi.unit == "%" else abs(expected)
    return abs(value - expected) < SMALL * size


def _severity(channel: str, thresholds: float, small: bool) -> Severity:
    """By how many thresholds the score reached."""
    if thresholds < GRADED_FROM["medium"] or small:
        return "low"
    if thresholds < GRADED_FROM["high"] or channel not in GRADED:
        return "medium"
    return "high" if thresholds < GRADED_FROM["critical"] else "critical"
