"""Incidents: the joint evidence of a service's KPIs, put together as it arrives, with the KPIs that it is from.

A service has an incident when its joint evidence (``joint``) reaches the threshold, or when one of its symptoms does so
much harm that it is one by itself: what users feel, and not its causes, is what wakes people. (Google, "Site
Reliability Engineering", 2016, chapter 6, "Symptoms Versus Causes".)

It begins where the evidence last rose above half of the threshold, and it is over once for ``MERGE_S`` neither the
evidence was at the threshold nor any of its suspects was far from normal: the evidence falls as soon as a KPI stays
where it went, and the service is not well for that. Steps in which nothing of the service was seen do not count: no
data is not well. What reaches the threshold in an incident that is only held open by its suspects is another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.definitions import Direction, Kpi
from observability.detection.bank import Reading
from observability.detection.episodes import FEWEST_EVENTS, GRADED_FROM, Block, Steps, Subject, Table, is_small
from observability.detection.joint import JointBank
from observability.events import Incident, Suspect
from observability.model import Array, format_instant

MERGE_S = 600  # a service that flaps has one incident
LEAST_MERGE = 6  # steps; more than it takes a KPI's crossings to be over, so that its anomalies are known by then
SYMPTOMS = frozenset({"availability", "errors", "latency"})  # categories of what users feel
TRAFFIC, GONE = "traffic", 0.1  # less than a tenth of the usual traffic is a symptom: who gets no answer sends no more
SUSPECT = float(np.log1p(4.0) ** 1.5)  # evidence of a KPI that is four of its usual deviations off
LEAST_SHARE = 0.05  # of the evidence, that a KPI is named for that was never far off; of more than 20 alike, all are


class Evidence(NamedTuple):
    """Several steps. Per service, shape (steps, services): the ``joint`` evidence, and how far the worst ``symptom`` is
    on its way to an incident of its own, 1 being there. Per series, shape (steps, series): its part of the
    ``evidence``, what was ``expected``, and whether it is ``alarmed``, far from normal."""

    joint: Table
    symptom: Table
    evidence: Table
    expected: Table
    alarmed: NDArray[np.bool_]


class Gathering:
    """Takes in samples, gives the evidence of them. ``services``: which service each of the subjects is of."""

    def __init__(self, subjects: Sequence[Subject], services: NDArray[np.intp], counts: NDArray[np.bool_]) -> None:
        """``counts``: which of the subjects count for their service."""
        self._subjects, self._services = subjects, services
        self._counts, self._own = counts, np.flatnonzero(counts)
        self.bank = JointBank(services[self._own], int(services.max(initial=-1)) + 1)

    def take(self, block: Block, times: NDArray[np.float64], graded: Sequence[tuple[float, Reading]]) -> Evidence:
        """``graded``: threshold and readings of the channels that say how far a KPI is from normal."""
        steps, series = block.values.shape
        evidence, expected = np.zeros((steps, series)), np.full((steps, series), np.nan)
        joint = np.zeros((steps, self.bank.of_services.shape[1]))
        for step, t in enumerate(times.tolist()):

            def holds(indices: NDArray[np.intp], levels: Array, step: int = step) -> NDArray[np.bool_]:
                pairs = zip(self._own[indices].tolist(), levels.tolist(), strict=True)
                return np.array([self._holds(block, step, index, level) for index, level in pairs], dtype=np.bool_)

            found = self.bank.step(t, block.values[step, self._own], holds)
            joint[step] = found.score
            evidence[step, self._own], expected[step, self._own] = found.evidence, found.expected
        alarmed, symptom = np.zeros((steps, series), dtype=np.bool_), np.zeros(joint.shape)
        for threshold, reading in graded:
            alarmed |= reading.scored & (reading.score >= threshold)
            self._symptoms(block, threshold, reading, symptom, evidence)
        return Evidence(joint, symptom, evidence, expected, alarmed)

    def _holds(self, block: Block, step: int, series: int, expected: float) -> bool:
        """Whether a deviation is one: large enough to matter, and where events are counted, not the chance of a few."""
        value = float(block.values[step, series])
        return not (
            is_small(self._subjects[series].kpi, value, expected)
            or block.events(series, step, expected) < FEWEST_EVENTS
        )

    def _symptoms(self, block: Block, threshold: float, reading: Reading, symptom: Table, evidence: Table) -> None:
        limit = GRADED_FROM["high"] * threshold
        for step, series in np.argwhere(self._counts & reading.scored & (reading.score >= limit)).tolist():
            kpi, expected = self._subjects[series].kpi, float(reading.expected[step, series])
            if _is_symptom(kpi, float(block.values[step, series]), expected) and self._holds(
                block, step, series, expected
            ):
                score, service = float(reading.score[step, series]), self._services[series]
                symptom[step, service] = max(symptom[step, service], score / limit)
                evidence[step, series] = max(evidence[step, series], self.bank.weight(score))


def _is_symptom(kpi: Kpi, value: float, expected: float) -> bool:
    """Whether users feel that the KPI is where it is."""
    if kpi.category == TRAFFIC:
        return value <= GONE * expected
    worse = (value > expected) == (kpi.direction is Direction.LOWER_IS_BETTER)
    return kpi.category in SYMPTOMS and worse and kpi.direction is not Direction.TWO_SIDED


@dataclass
class _Rows:
    """What is known of the present. Of services: the steps in which the evidence began and reached the threshold, when
    it was at it last (``hot``) or a suspect was far from normal (``last``), −1 for none, how many steps were ``calm``
    since then, whether the evidence is that of an incident before and has not fallen since (``stale``), and the peak.
    Of series, from ``gathered`` on: its sum, the step since when the series is a suspect, its highest evidence, and the
    value and what was expected then."""

    begun: Array
    noticed: Array
    hot: Array
    last: Array
    calm: Array
    stale: Array
    peak: Array
    gathered: Array
    since: Array
    top: Array
    value: Array
    expected: Array


OF_SERVICES = ("begun", "noticed", "hot", "last", "calm", "stale", "peak")


class Incidents:
    """The incidents from step ``first`` on, at one threshold."""

    def __init__(
        self,
        names: Sequence[str],
        subjects: Sequence[Subject],
        services: NDArray[np.intp],
        steps: Steps,
        first: int,
        threshold: float,
    ) -> None:
        self.threshold = threshold
        self._names, self._subjects, self._services = names, subjects, services
        self._steps, self._first = steps, first
        self._merge = max(LEAST_MERGE, -(-MERGE_S // steps.step_s))
        m, n = len(names), len(subjects)
        sizes = {name: m if name in OF_SERVICES else n for name in _Rows.__dataclass_fields__}
        self._rows = _Rows(**{name: np.zeros(size) for name, size in sizes.items()})
        self._forget(np.ones(m, dtype=np.bool_))

    def take(self, first: int, values: Table, found: Evidence) -> list[tuple[int, int, Incident]]:
        """The incidents that are over by the end of the block that begins with step ``first``, each with the step by
        which that was known, and the number of its service."""
        over = []
        scores = np.maximum(found.joint, self.threshold * found.symptom)
        for step in range(len(values)):
            number = first + step
            rows = self._rows
            if (rows.begun < 0).all() and not rows.stale.any() and not (scores[step] >= self.threshold / 2).any():
                continue  # nothing is on, and nothing begins
            over += self._close(number, self._is_another(number, scores[step]), scores[step])
            self._gather(number, scores[step], values[step], found.evidence[step], found.expected[step])
            self._move(number, scores[step], values[step], found.alarmed[step])
            over += self._close(number, (rows.noticed >= 0) & (rows.calm >= self._merge), scores[step])
        return over

    def _close(self, number: int, services: NDArray[np.bool_], scores: Array) -> list[tuple[int, int, Incident]]:
        found = [(number, service, self._incident(service, False)) for service in np.flatnonzero(services).tolist()]
        self._forget(services)
        self._rows.stale[services & (scores >= self.threshold / 2)] = 1.0
        return found

    def _is_another(self, number: int, scores: Array) -> NDArray[np.bool_]:
        """Where the threshold is reached again in an incident that has only been held open for a while."""
        rows = self._rows
        return (rows.noticed >= 0) & (scores >= self.threshold) & (number - rows.hot > self._merge)

    def at(self, threshold: float) -> Incidents:
        """The same at another threshold, from the beginning."""
        return Incidents(self._names, self._subjects, self._services, self._steps, self._first, threshold)

    def ongoing(self) -> list[Incident]:
        """The incidents that are not over."""
        return [self._incident(service, True) for service in np.flatnonzero(self._rows.noticed >= 0).tolist()]

    def memory(self) -> dict[str, NDArray[Any]]:
        """All that it knows of the present, as numbers."""
        return {name: array.copy() for name, array in vars(self._rows).items()}

    def remember(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from another one's memory."""
        self._rows = _Rows(**{name: memory[name].copy() for name in vars(self._rows)})

    def _gather(self, number: int, scores: Array, values: Array, evidence: Array, expected: Array) -> None:
        """Sum up the evidence where it is above half of the threshold: in a day that an incident is held open, what is
        usual of each KPI would add up to more than what the incident is from."""
        rows, high = self._rows, scores >= self.threshold / 2
        rows.stale[~high | (scores >= self.threshold)] = 0.0
        high &= rows.stale == 0
        self._forget(~high & (rows.noticed < 0))
        np.copyto(rows.begun, number, where=high & (rows.begun < 0))
        of_series = high[self._services]
        rows.gathered += np.where(of_series, evidence, 0.0)
        np.copyto(rows.since, number, where=of_series & (rows.since < 0) & (evidence >= SUSPECT))
        higher = of_series & (evidence > rows.top)
        for row, now in ((rows.top, evidence), (rows.value, values), (rows.expected, expected)):
            np.copyto(row, now, where=higher)

    def _move(self, number: int, scores: Array, values: Array, alarmed: NDArray[np.bool_]) -> None:
        """Open incidents, and note how long they last."""
        rows, of_services = self._rows, len(self._names)
        hot = (scores >= self.threshold) & (number >= self._first)
        np.copyto(rows.noticed, number, where=hot & (rows.noticed < 0))
        far = np.bincount(self._services, weights=alarmed & (rows.since >= 0), minlength=of_services) > 0
        seen = self._is_seen(values)
        np.copyto(rows.hot, number, where=hot)
        np.copyto(rows.last, number, where=(hot | far) & (rows.noticed >= 0))
        rows.calm[:] = np.where(hot | far, 0.0, rows.calm + seen)
        np.copyto(rows.peak, np.maximum(rows.peak, scores), where=hot)

    def _is_seen(self, values: Array) -> NDArray[np.bool_]:
        """Which services any suspect, or else any KPI, has a sample of."""
        suspects = np.bincount(self._services, weights=self._rows.since >= 0, minlength=len(self._names)) > 0
        asked = np.where(suspects[self._services], self._rows.since >= 0, True)
        found = np.bincount(self._services, weights=asked & np.isfinite(values), minlength=len(self._names)) > 0
        return np.asarray(found, dtype=np.bool_)

    def _forget(self, services: NDArray[np.bool_]) -> None:
        rows, series = self._rows, services[self._services]
        for row in (rows.begun, rows.noticed, rows.hot, rows.last):
            row[services] = -1.0
        rows.peak[services] = rows.calm[services] = 0.0
        rows.since[series] = -1.0
        rows.gathered[series] = rows.top[series] = 0.0
        rows.value[series] = rows.expected[series] = np.nan

    def _incident(self, service: int, ongoing: bool) -> Incident:
        rows, name = self._rows, self._names[service]
        start = self._steps.time(max(int(rows.begun[service]), self._first))
        suspects = self._suspects(service)
        known = [one for one in suspects if one.since is not None]
        return Incident(
            id=f"{name}/incident/{format_instant(start)}",
            service=name,
            start=start,
            noticed=self._steps.time(int(rows.noticed[service]) + 1),
            end=self._steps.time(int(rows.last[service]) + 1),
            ongoing=ongoing,
            severity="medium",
            score=float(rows.peak[service]),
            threshold=self.threshold,
            suspects=tuple(suspects),
            earliest=min(known, key=lambda one: (one.since, -one.share)).metric_name if known else None,
        )

    def _suspects(self, service: int) -> list[Suspect]:
        """The service's KPIs by their share in the evidence."""
        own = np.flatnonzero(self._services == service)
        total = float(self._rows.gathered[own].sum())
        shares = self._rows.gathered[own] / total if total > 0 else np.zeros(own.size)
        order, least = np.argsort(-shares, kind="stable"), min(LEAST_SHARE, shares.max())
        named = (shares > 0) & ((shares >= least) | (self._rows.since[own] >= 0))
        return [self._suspect(int(own[at]), float(shares[at])) for at in order if named[at]]

    def _suspect(self, series: int, share: float) -> Suspect:
        rows, kpi = self._rows, self._subjects[series].kpi
        value, expected, since = rows.value[series], rows.expected[series], int(rows.since[series])
        side = 1 if value > expected else -1 if value < expected else 0
        return Suspect(
            metric_name=kpi.name,
            category=kpi.category,
            unit=kpi.unit,
            share=min(share, 1.0),
            since=None if since < 0 else self._steps.time(since),
            value=float(value),
            expected=None if np.isnan(expected) else float(expected),
            direction={1: "up", -1: "down"}.get(side),
        )
