"""Which threshold gives how many incidents, from a replay of time that was quiet. Pure but for the reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import takewhile

import numpy as np

from observability.artifacts import Artifact, Part
from observability.definitions import Release
from observability.detection.anomalies import dressed, placed
from observability.detection.bank import HOUR_S
from observability.detection.episodes import Table
from observability.detection.incidents import Evidence
from observability.detection.stream import Stream
from observability.errors import NotEnoughDataError
from observability.events import Anomaly, Incident
from observability.model import Instant, Window, format_instant
from observability.sources import Source
from observability.watching.watcher import FIRST_STEPS, steps_at_once

THRESHOLDS = tuple(np.round(np.arange(3.0, 20.01, 0.25), 2).tolist())
WEEK_S = 604_800.0


class Rate(Part):
    """What one threshold would have given."""

    threshold: float
    incidents: int
    per_week: float


class Calibration(Artifact):
    """``rates``: by ascending threshold, the ``shipped`` one and that ``in_use`` among them; ``threshold``: the lowest
    from which on none gives more than ``wanted`` incidents per service and week, None where the highest gives more;
    ``incidents``: what it, or else the highest one, would have given; ``at_most``: so many per service and week are
    they with 95 % confidence, as independent events."""

    window: tuple[Instant, Instant]
    service_weeks: float
    wanted: float
    shipped: float
    in_use: float
    rates: tuple[Rate, ...]
    threshold: float | None
    incidents: tuple[Incident, ...]
    at_most: float

    @property
    def is_short(self) -> bool:
        """Whether not even a time without an incident would be enough to tell that there are no more than wanted."""
        return limit(0) / self.service_weeks > self.wanted


def calibrate(
    release: Release,
    source: Source,
    start: datetime,
    since: datetime,
    end: datetime,
    wanted: float,
    advance: Callable[[str, float], None],
) -> Calibration:
    """Replay ``[start, end)`` and count the incidents from ``since`` on, at each of the ``THRESHOLDS``.

    Incidents in maintenance do not count. Raises ``NotEnoughDataError`` where nothing was seen since ``since``.
    """
    stream = Stream(release, start, since)
    shipped, in_use = stream.gathering.bank.threshold, stream.incidents.threshold
    trials = {threshold: _Trial(stream, threshold) for threshold in (*THRESHOLDS, shipped, in_use)}
    stream.listeners += [trial.take for trial in trials.values()]
    anomalies = _replay(stream, source, end, advance)
    weeks = _service_weeks(stream, since)
    if weeks == 0:
        when = f"{format_instant(since)} to {format_instant(end)}"
        raise NotEnoughDataError(
            f"There is too little data from {when} to count incidents in, of which a service's first "
            f"{stream.gathering.bank.warm_up_s / HOUR_S:g} hours warm up; check --start and --end."
        )
    told = {threshold: _told(trials[threshold], release, anomalies) for threshold in sorted(trials)}
    rates = [Rate(threshold=one, incidents=len(told[one]), per_week=len(told[one]) / weeks) for one in told]
    enough = lowest(rates, wanted)
    incidents = told[rates[-1].threshold if enough is None else enough]
    return Calibration(
        window=(since, end),
        service_weeks=weeks,
        wanted=wanted,
        shipped=shipped,
        in_use=in_use,
        rates=tuple(rates),
        threshold=enough,
        incidents=tuple(incidents),
        at_most=limit(len(incidents)) / weeks,
    )


def lowest(rates: Sequence[Rate], wanted: float) -> float | None:
    """The lowest threshold from which on none gives more than wanted. One far too low may give fewer than those above
    it: all of its incidents are one that never ends."""
    enough = takewhile(lambda rate: rate.per_week <= wanted, reversed(rates))
    return min((rate.threshold for rate in enough), default=None)


def limit(count: int) -> float:
    """The upper limit, with 95 % confidence, of the mean of events that were counted so many times: 3 of none. (Half of
    a quantile of χ², by Wilson and Hilferty, "The distribution of chi-square", PNAS 17, 1931; within 1 %.)"""
    n = count + 1.0
    return float(n * (1 - 1 / (9 * n) + 1.645 / (3 * n**0.5)) ** 3)


class _Trial:
    """The incidents at one threshold."""

    def __init__(self, stream: Stream, threshold: float) -> None:
        self._incidents = stream.incidents.at(threshold)
        self.over: list[Incident] = []

    def take(self, first: int, values: Table, evidence: Evidence) -> None:
        self.over += [incident for _, _, incident in self._incidents.take(first, values, evidence)]

    @property
    def found(self) -> list[Incident]:
        return self.over + self._incidents.ongoing()


def _replay(stream: Stream, source: Source, end: datetime, advance: Callable[[str, float], None]) -> list[Anomaly]:
    """All anomalies up to the end."""
    release, found = stream.release, list[Anomaly]()
    follower, most, steps = source.follow(release.plan, stream.until), FIRST_STEPS, (end - stream.until) // release.step
    while stream.done < steps:
        advance(f"replayed up to {format_instant(stream.until)}", stream.done / steps)
        count = min(most, steps - stream.done)
        followed = follower.read(Window(start=stream.until, end=stream.until + count * release.step))
        found += [one.what for one in stream.take(followed.services, count) if isinstance(one.what, Anomaly)]
        most = steps_at_once(count, followed.points, release)
    return found + [one for one in stream.ongoing() if isinstance(one, Anomaly)]


def _service_weeks(stream: Stream, since: datetime) -> float:
    """How long the services were seen since then, after their warm-up."""
    step_s = stream.steps.step_s
    seen = [step_s * max((int(stream.present[index]) for index in own), default=0) for own in stream.own.values()]
    silent = np.maximum(stream.gathering.bank.scored_from - since.timestamp(), 0.0)
    return float(np.maximum(seen - silent, 0.0).sum()) / WEEK_S


def _told(trial: _Trial, release: Release, anomalies: list[Anomaly]) -> list[Incident]:
    told = []
    for incident in trial.found:
        one = placed(incident, release)
        assert isinstance(one, Incident)
        if not one.in_maintenance:
            own = [event for event in anomalies if event.service == one.service]
            told.append(dressed(one, own, release))
    return sorted(told, key=lambda one: (one.start, one.service))
