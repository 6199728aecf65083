"""All KPIs of a release, scored step by step as their samples arrive: the one detector behind `detect` and `watch`.

What comes out depends on the samples alone and not on how the time was cut into blocks; ``memory`` holds all of it as
numbers, so that another stream can go on where one was stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from observability.definitions import Channel, Release
from observability.detection import joint
from observability.detection.bank import Bank, Columns, Reading
from observability.detection.channels import bank_of, in_effect
from observability.detection.counts import surplus
from observability.detection.episodes import GRADED, Block, Episodes, Steps, Subject, Table, new_level
from observability.detection.incidents import Evidence, Gathering, Incidents
from observability.events import Anomaly, Finding, Incident, NewLevel
from observability.kpi import step_values
from observability.model import Samples

Memory: TypeAlias = "dict[str, NDArray[Any]]"


class Found(NamedTuple):
    """A finding, and the step by whose end it was known to be over."""

    step: int
    what: Finding


@dataclass
class Scoring:
    """One channel: its detector, its episodes, and what it scored since ``first``: how many steps of each series, how
    many in all, and the highest score."""

    channel: Channel
    bank: Bank
    episodes: Episodes
    steps: NDArray[np.int64]
    count: int = 0
    highest: float = -math.inf


class Stream:
    """The detector of a release. Step 0 begins at ``start``; what happens from ``since`` on is told, what was before
    warms it up."""

    def __init__(self, release: Release, start: datetime, since: datetime) -> None:
        self.release = release
        self.settings = settings(release)
        self.steps = Steps(start, release.step_s)
        self.first = max(0, round((since - start).total_seconds() / release.step_s))
        self.subjects = [
            Subject(service, kpi)
            for service in release.services
            for kpi in release.kpis_of(service).values()
            if kpi.detect
        ]
        self.own: dict[str, list[int]] = {service: [] for service in release.services}
        for index, subject in enumerate(self.subjects):
            self.own[subject.service].append(index)
        self.listeners: list[Callable[[int, Table, Evidence], None]] = []  # told of each block's evidence
        self.done = 0  # steps taken
        self.scored = 0  # values that any channel scored, by this stream itself
        self.present = np.zeros(len(self.subjects), dtype=np.int64)  # values since ``since``, by series
        self.any_scored = np.zeros(len(self.subjects), dtype=np.int64)  # steps since then that any channel scored
        self._seen = np.zeros(len(self.subjects), dtype=np.int64)
        self.channels = [self._scoring(channel) for channel in release.channels]
        services = np.array([release.services.index(one.service) for one in self.subjects], dtype=np.intp)
        self.gathering = Gathering(self.subjects, services, self._counting())
        threshold = float(self.settings["incidents"]["threshold"])
        self.incidents = Incidents(release.services, self.subjects, services, self.steps, self.first, threshold)

    @property
    def until(self) -> datetime:
        """The end of the last step that was taken."""
        return self.steps.time(self.done)

    def take(self, services: Mapping[str, Samples], count: int) -> list[Found]:
        """Score the next ``count`` steps; what is over by their end, in the order in which that was known.

        ``services``: service → its samples of these steps; one that is not there has none.
        """
        values = self._values(services, count)
        seen = self._seen + np.cumsum(np.isfinite(values), axis=0)
        block = Block(self.done, values, seen, self._events(services))
        times = self.steps.start.timestamp() + self.steps.step_s * (self.done + np.arange(count, dtype=np.float64))
        found: list[tuple[int, int, int, Finding]] = []
        scored, graded = np.zeros(values.shape, dtype=np.bool_), []
        for order, one in enumerate(self.channels):
            reading = _read(one.bank, times, values)
            scored |= reading.scored
            graded += [(one.episodes.threshold, reading)] if one.channel.name in GRADED else []
            self._count(one, reading)
            found += [(step, 2 * order, series, event) for step, series, event in one.episodes.take(block, reading)]
            found += [(step, 2 * order + 1, series, level) for step, series, level in self._new_levels(one)]
        evidence = self.gathering.take(block, times, graded)
        incidents = self.incidents.take(self.done, values, evidence)
        for listener in self.listeners:
            listener(self.done, values, evidence)
        found += [(step, 2 * len(self.channels), service, incident) for step, service, incident in incidents]
        self.scored += int(scored.sum())
        since = max(0, self.first - self.done)
        self.any_scored += scored[since:].sum(axis=0)
        self.present += np.isfinite(values[since:]).sum(axis=0)
        self._seen = seen[-1]
        self.done += count
        return [Found(step, what) for step, _, _, what in sorted(found, key=lambda one: one[:3])]

    def ongoing(self) -> list[Anomaly | Incident]:
        """What is not over."""
        anomalies = [event for one in self.channels for event in one.episodes.ongoing()]
        return [*anomalies, *self.incidents.ongoing()]

    def is_warm(self, service: str) -> bool:
        """Whether anything of the service was seen before ``since``."""
        return bool((self._seen > self.present)[self.own[service]].any())

    def joint_from(self, service: str) -> datetime | None:
        """From when on the service's KPIs are joint evidence; None where none was seen yet."""
        begun = float(self.gathering.bank.scored_from[self.release.services.index(service)])
        return datetime.fromtimestamp(begun, UTC) if math.isfinite(begun) else None

    @property
    def is_portable(self) -> bool:
        """Whether all of its state is numbers: that of river's detectors is not."""
        return all(isinstance(one.bank, Columns) for one in self.channels)

    def memory(self) -> Memory:
        """All of its state. Only of a portable one."""
        counts = {"done": np.array(self.done), "present": self.present, "scored": self.any_scored, "seen": self._seen}
        memory: Memory = {name: array.copy() for name, array in counts.items()}
        for one in self.channels:
            assert isinstance(one.bank, Columns)
            name = one.channel.name
            memory[f"{name}.state"] = one.bank.state.copy()
            memory[f"{name}.runs"] = one.episodes.memory()
            memory[f"{name}.steps"] = one.steps.copy()
            memory[f"{name}.scores"] = np.array([one.count, one.highest])
        bank = self.gathering.bank
        memory |= {"joint.series": bank.state.copy(), "joint.services": bank.of_services.copy()}
        return memory | {f"incidents.{name}": array for name, array in self.incidents.memory().items()}

    def remember(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the memory of another stream of the same release and start."""
        self.done = int(memory["done"])
        self.present, self.any_scored, self._seen = (memory[name].copy() for name in ("present", "scored", "seen"))
        for one in self.channels:
            assert isinstance(one.bank, Columns)
            name = one.channel.name
            one.bank.state[:] = memory[f"{name}.state"]
            one.episodes.remember(memory[f"{name}.runs"])
            one.steps = memory[f"{name}.steps"].copy()
            count, one.highest = memory[f"{name}.scores"].tolist()
            one.count = int(count)
        self.gathering.bank.state[:] = memory["joint.series"]
        self.gathering.bank.of_services[:] = memory["joint.services"]
        prefix = "incidents."
        self.incidents.remember({n.removeprefix(prefix): a for n, a in memory.items() if n.startswith(prefix)})

    def _counting(self) -> NDArray[np.bool_]:
        """Which series count for their service's incidents: of several services, not what is the same for all of them,
        or one of its moves would be an incident of each."""
        common = {name for name, query in self.release.queries.items() if "$match" not in query.promql}
        several = len(self.release.services) > 1
        return np.array(
            [not (several and common.issuperset(one.kpi.operands)) for one in self.subjects], dtype=np.bool_
        )

    def _scoring(self, channel: Channel) -> Scoring:
        threshold = float(self.settings["channels"][channel.name]["threshold"])
        episodes = Episodes(channel.name, threshold, self.subjects, self.steps, self.first)
        return Scoring(
            channel, bank_of(channel, len(self.subjects)), episodes, np.zeros(len(self.subjects), dtype=np.int64)
        )

    def _values(self, services: Mapping[str, Samples], count: int) -> Table:
        values = np.full((count, len(self.subjects)), np.nan)
        for column, (service, kpi) in enumerate(self.subjects):
            if service in services and services[service].columns:
                values[:, column] = step_values(kpi, services[service], self.release.prices)
        return values

    def _events(self, services: Mapping[str, Samples]) -> Callable[[int, int, float], float]:
        def events(series: int, step: int, expected: float) -> float:
            service, kpi = self.subjects[series]
            found = surplus(kpi, services[service], [step], np.array([expected]))
            return math.nan if found is None else float(found[0])

        return events

    def _count(self, one: Scoring, reading: Reading) -> None:
        since = max(0, self.first - self.done)
        one.steps += reading.scored[since:].sum(axis=0)
        scores = reading.score[reading.scored]
        one.count += scores.size
        one.highest = max(one.highest, float(scores.max(initial=-math.inf)))

    def _new_levels(self, one: Scoring) -> Iterator[tuple[int, int, NewLevel]]:
        """Those that were noticed, and that the series left for since ``since``."""
        for level in one.bank.new_levels:
            told = new_level(self.subjects[level.series], one.channel.name, level)
            if told.since >= self.steps.time(self.first):
                yield round((told.noticed - self.steps.start).total_seconds() / self.steps.step_s), level.series, told
        one.bank.new_levels.clear()


def _read(bank: Bank, times: NDArray[np.float64], values: Table) -> Reading:
    """The readings of several steps, each of shape (steps, series); the samples are learned."""
    readings = [bank.read_many(t, row, learn=True) for t, row in zip(times.tolist(), values, strict=True)]
    return Reading(*map(np.array, zip(*readings, strict=True)))


def settings(release: Release) -> dict[str, Any]:
    """The detector's thresholds and parameters, as the artifacts tell them."""
    threshold = release.incidents.threshold or joint.THRESHOLD
    channels = {channel.name: in_effect(channel) for channel in release.channels}
    return {"channels": channels, "incidents": {"threshold": threshold, **joint.parameters()}}
