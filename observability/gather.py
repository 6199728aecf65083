"""Days of samples: read from the evidence that is at hand, else asked of the source, and summarised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from observability.archive import Archive, doubted, related, seen, unknown
from observability.artifacts import DaySummary
from observability.definitions import Release
from observability.errors import NotEnoughDataError
from observability.layout import Layout
from observability.model import Samples, Window, format_instant, is_doubted, query_of

if TYPE_CHECKING:
    from observability.sources import Source
    from observability.sources.evidence import Evidence

Advance = Callable[[str], None]
"""Told what a long stage is doing: one short text per piece of work."""
Share = Callable[[str, float], None]
"""Told that, and how much of it is done, from 0 to 1."""

PROBED = timedelta(minutes=5)  # how far is looked back to see whether a server has anything at all


def quiet(_: str, share: float = 0.0) -> None:
    """Progress that nobody watches."""


def open_source(release: Release, recording: Path | None = None) -> Source:
    """The recording if one is given, else the release's Prometheus."""
    if recording is not None:
        from observability.sources.recording import Recording

        return Recording(recording)
    from observability.sources.prometheus import Prometheus

    return Prometheus(release.prometheus)


def identity(release: Release, recording: Path | None) -> str:
    """What samples depend on besides the rest of the release file: the server's URL and the headers (a tenant's, for
    one), or a digest of the whole recording."""
    if recording is None:
        return release.prometheus.model_dump_json(include={"url", "http_headers"})
    digest = hashlib.sha256()
    for path in sorted(recording.rglob("*.csv.gz")):
        digest.update(str(path.relative_to(recording)).encode() + path.read_bytes())
    return digest.hexdigest()


class NoDataError(NotEnoughDataError):
    """A source was asked, and has nothing of the day."""


@dataclass(frozen=True)
class Gathered:
    """Service → its samples of one day, and the queries that the source was asked for because no evidence holds them,
    or only an answer that the server warned of."""

    services: Mapping[str, Samples]
    asked: frozenset[str]


def collect(release: Release, source: Source, layout: Layout, number: int, warn: Advance = quiet) -> Gathered:
    """The samples of one whole day of every service, kept as evidence. A day without any data is refused. ``warn`` is
    told what the source warned of.

    What evidence of the same server holds is not asked for again: the past does not change, but servers forget it.
    """
    from observability.sources.recording import Forgotten

    archive, window = Archive(release, layout), release.calendar.window(number)
    kept = _at_hand(archive, source, number)
    found = _completed(release, source, kept, window)
    _check(archive, number, found)
    if found.asked:
        services = {name: _warned(archive, source, number, each) for name, each in found.services.items()}
        found = replace(found, services=services)
    if not any(has_data(release, samples) for samples in found.services.values()):
        raise NoDataError(nothing(release, source, number, window))
    for text in doubts(release, number, found.services):
        warn(text)
    if not isinstance(source, Forgotten):
        archive.keep(number, found.services, kept, source.info(release.plan))
    return found


def at_hand(release: Release, source: Source, layout: Layout, number: int, now: datetime) -> dict[str, Samples]:
    """The day's samples, as far as it is over, from the evidence, else from the source: none where nothing is there."""
    whole = release.calendar.window(number)
    window = whole_steps(release, whole, now)
    if window is None:
        return {}
    archive = Archive(release, layout)
    try:
        found = _completed(release, source, _at_hand(archive, source, number) if window == whole else {}, window)
    except NotEnoughDataError:
        return {}
    _check(archive, number, found)
    return dict(found.services) if any(has_data(release, each) for each in found.services.values()) else {}


def doubts(release: Release, number: int, found: Mapping[str, Samples]) -> list[str]:
    """A sentence for each service of whose day the server itself warned."""
    names = [query.name for query in release.plan.queries]
    sentences = []
    for service, samples in found.items():
        warned = [warning for warning in samples.warnings if is_doubted(warning, names)]
        if warned:
            more = f", and {len(warned) - 1} more" if len(warned) > 1 else ""
            sentences.append(f"day {number} of {service} may not be whole: {warned[0]}{more}; run this again later")
    return sentences


def has_data(release: Release, samples: Samples) -> bool:
    """Whether any query that is about the service itself, and not about all services alike, returned something."""
    own = {name for name, query in release.queries.items() if "$match" in query.promql}
    plan = {query.name for query in release.plan.queries}
    return any(query_of(column) in (own & plan or plan) - unknown(samples) for column in samples.columns)


def summaries(
    release: Release,
    source: Source,
    number: int,
    fetched: Mapping[str, Samples],
    baselines: Mapping[str, DaySummary] | None,
    *,
    partial: bool = False,
) -> dict[str, DaySummary]:
    """Service → the summary of its day."""
    from observability.judgement.summary import summarise

    info = source.info(release.plan)
    return {
        service: summarise(release, samples, number, info, baselines[service] if baselines else None, partial)
        for service, samples in fetched.items()
    }


def whole_steps(release: Release, window: Window, now: datetime) -> Window | None:
    """The part of the window that is over at ``now``, in whole steps; None where there is none."""
    steps = min(window.end - window.start, now - window.start) // release.step
    return Window(start=window.start, end=window.start + steps * release.step) if steps > 0 else None


def nothing(release: Release, source: Source, number: int, window: Window) -> str:
    """What to say where no service has any data of a window of day ``number``."""
    from observability.sources.recording import Forgotten

    when = f"day {number}, {format_instant(window.start)} to {format_instant(window.end)}"
    if isinstance(source, Forgotten):
        return (
            f"The evidence below {source.root} holds nothing that the release asks for of {when}; rebuild with the "
            "release file that it was collected with."
        )
    return (
        f"No KPI returned data from {source.info(release.plan).prometheus} for {when}; check the GA time, the services "
        f"({', '.join(release.services)}) and the KPIs' queries."
    )


def refuse_forgotten(release: Release, source: Source, now: datetime) -> None:
    """Say so where a server that has no data of the GA day has data of the present."""
    from observability.sources.recording import Forgotten, Recording

    if isinstance(source, Forgotten | Recording):
        return
    ga, recent = release.calendar.window(0), Window(start=now - -(-PROBED // release.step) * release.step, end=now)
    if any(has_data(release, samples) for samples in source.fetch(release.plan, recent).values()):
        raise NotEnoughDataError(
            f"{source.info(release.plan).prometheus} has data of the present, and none of the GA day, "
            f"{format_instant(ga.start)} to {format_instant(ga.end)}: it seems not to keep that day any more; check "
            "the GA time, or ask a server that keeps it."
        )


def _at_hand(archive: Archive, source: Source, number: int) -> dict[str, Evidence]:
    """Service → the evidence of its day. A recording is not a server that forgets: it is always read afresh."""
    from observability.sources.recording import Recording

    if isinstance(source, Recording):
        return {}
    return archive.best(number, source.info(archive.release.plan).prometheus)


def _completed(release: Release, source: Source, kept: Mapping[str, Evidence], window: Window) -> Gathered:
    """The plan's samples: what is kept, and from the source only what is not, with what KPIs relate to it.

    A counter that is asked for brings the others with it, because they tell which of its series are born
    (``sources.counters``, rule 3); of theirs, what is kept stands.
    """
    from observability.sources.recording import Forgotten

    plan, can_answer = release.plan, not isinstance(source, Forgotten)
    asked = {name for service in plan.services for name in _wanting(release, kept.get(service), can_answer)}
    fetched: Mapping[str, Samples] = {}
    if asked:
        names = asked.union(*(group for group in related(release) if group & asked))
        counted = any(query.is_counted for query in plan.queries if query.name in names)
        queries = tuple(q for q in plan.queries if q.name in names or (counted and q.is_counted))
        fetched = source.fetch(replace(plan, queries=queries), window)
    empty = {service: Samples(service, window, plan.step_s, {}) for service in plan.services}
    found = {s: _merged(release, kept.get(s), fetched.get(s, empty[s]), can_answer) for s in plan.services}
    return Gathered(found, frozenset(asked))


def _wanting(release: Release, kept: Evidence | None, can_answer: bool) -> set[str]:
    """The queries that the evidence does not hold, and those that the server warned of, which may have the rest by
    now."""
    names = {query.name for query in release.plan.queries}
    held = kept.held(release.plan) if kept is not None else set()
    warned = {name for name in held if can_answer and kept is not None and doubted(kept.samples, {name})}
    return names - held | warned


def _merged(release: Release, kept: Evidence | None, fetched: Samples, can_answer: bool) -> Samples:
    """Query by query, in the plan's order: what is kept, else what was fetched.

    What a KPI relates is of one answer. So a group of which a part is wanting is as it was fetched, unless the server
    has forgotten what is kept of it: then that stands, and the rest is unknown.
    """
    from observability.sources.evidence import joined, select

    plan = release.plan
    if kept is None:
        return joined(fetched, [select(fetched, {query.name}) for query in plan.queries])
    wanting, parts = _wanting(release, kept, can_answer), dict[str, Samples]()
    for group in related(release):
        held = kept.held(plan) & group
        is_forgotten = any(seen(kept.samples, {name}) > seen(fetched, {name}) for name in held)
        stands = is_forgotten or not wanting & group
        for name in group:
            if not stands:
                parts[name] = select(fetched, {name})
            else:
                parts[name] = select(kept.samples, {name}) if name in held else _asked_too_late(fetched, name)
    return joined(fetched, [parts[query.name] for query in plan.queries])


def _asked_too_late(samples: Samples, query: str) -> Samples:
    """The mark of a query whose answer nobody knows, in place of what was fetched of it."""
    import numpy as np

    why = "the evidence of this day does not hold it, and the server has forgotten the day, so what rests on it"
    mark = {f"{query}.unknown": np.ones(samples.steps)}
    return replace(samples, columns=mark, warnings=(f"{query}: {why} has no data",))


def _check(archive: Archive, number: int, found: Gathered) -> None:
    """A file that nobody can read is named where the source has nothing in its place."""
    for service, samples in found.services.items():
        if not has_data(archive.release, samples):
            archive.check(service, number)


def _warned(archive: Archive, source: Source, number: int, samples: Samples) -> Samples:
    """The samples, with a warning for each query of which there was more."""
    from observability.sources.recording import Forgotten

    why = "an earlier collection saw more of this day; see evidence/replaced"
    if isinstance(source, Forgotten):
        why = "the evidence of this day is of another query, so what rests on it has no data"
    lost = [name for name in archive.lost(number, samples) if name not in unknown(samples)]
    warnings = tuple(f"{name}: {why}" for name in lost)
    return replace(samples, warnings=(*samples.warnings, *warnings))
