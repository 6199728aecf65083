"""Days of samples: asked of the source or read from evidence at hand, kept as evidence, and summarised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from observability.artifacts import DaySummary
from observability.definitions import Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.layout import RECORDING, Layout
from observability.model import Plan, Query, Samples, Window, format_instant, query_of

if TYPE_CHECKING:
    from observability.sources import Source
    from observability.sources.evidence import Evidence

Advance = Callable[[str], None]
"""Told what a long stage is doing: one short text per piece of work."""


def quiet(_: str) -> None:
    """Progress that nobody watches."""


def open_source(release: Release, recording: Path | None = None) -> Source:
    """The recording if one is given, else the release's Prometheus."""
    if recording is not None:
        from observability.sources.recording import Recording

        return Recording(recording)
    from observability.sources.prometheus import Prometheus

    return Prometheus(release.prometheus)


def identity(release: Release, recording: Path | None) -> str:
    """What samples depend on besides the release file: the server's URL, or a digest of the whole recording."""
    if recording is None:
        return release.prometheus.url
    digest = hashlib.sha256()
    for path in sorted(recording.rglob("*.csv.gz")):
        digest.update(str(path.relative_to(recording)).encode() + path.read_bytes())
    return digest.hexdigest()


def collect(release: Release, source: Source, layout: Layout, number: int) -> dict[str, Samples]:
    """The samples of one whole day of every service, kept as evidence. A day without any data is refused.

    What evidence of the same server holds is not asked for again: the past does not change, but servers forget it.
    """
    window = release.calendar.window(number)
    kept = _kept(release, source, layout, number)
    found = _completed(release, source, kept, window)
    if _missing(release.plan, kept):
        found = {service: _with_losses(release, layout, number, samples) for service, samples in found.items()}
    if not any(has_data(release, samples) for samples in found.values()):
        raise NotEnoughDataError(
            f"No KPI returned data from {source.info(release.plan).prometheus} for day {number}, "
            f"{format_instant(window.start)} to {format_instant(window.end)}; check the GA time, the services "
            f"({', '.join(release.services)}) and the KPIs' queries."
        )
    _keep(release, source, layout, number, found, kept)
    return found


def has_data(release: Release, samples: Samples) -> bool:
    """Whether any query that is about the service itself, and not about all services alike, returned something."""
    own = {name for name, query in release.queries.items() if "$match" in query.promql}
    plan = {query.name for query in release.plan.queries}
    return any(query_of(column) in (own & plan or plan) for column in samples.columns)


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


def at_hand(
    release: Release, source: Source | None, layout: Layout, number: int, now: datetime
) -> dict[str, Samples] | None:
    """The day's samples from the evidence, else from the source. None where the day has not begun, or is not there."""
    whole = release.calendar.window(number)
    window = whole_steps(release, whole, now)
    if window is None:
        return None
    kept = _kept(release, source, layout, number) if window == whole else {}
    if source is None and _missing(release.plan, kept):
        raise ConfigError(f"There is no evidence of day {number} under {layout.store.root}; collect the day first.")
    try:
        return _completed(release, source, kept, window)
    except NotEnoughDataError:
        return None


def _kept(release: Release, source: Source | None, layout: Layout, number: int) -> dict[str, Evidence]:
    """Service → the evidence of its day, where it is at hand, whole, and of the same server.

    A recording is not a server that forgets: it is always read afresh.
    """
    from observability.sources.recording import Recording

    if isinstance(source, Recording):
        return {}
    origin = None if source is None else source.info(release.plan).prometheus
    found = {service: _generations(release, layout, service, number, origin) for service in release.services}
    return {service: _best(release, generations) for service, generations in found.items() if generations}


def _generations(release: Release, layout: Layout, service: str, number: int, origin: str | None) -> list[Evidence]:
    """The day's evidence, and what it has replaced, of the same server (any, for None), window and step."""
    from observability.sources.evidence import decode_evidence

    window, generations = release.calendar.window(number), []
    for key in (layout.evidence(service, number), *layout.store.matching(layout.replaced(service, number, "*"))):
        try:
            data = layout.store.read_bytes(key, "")
            found = decode_evidence(data, service, window, release.step_s, layout.store.location(key))
        except ConfigError:
            continue
        if origin is None or found.origin.source == origin:
            generations.append(found)
    return generations


def _best(release: Release, generations: Sequence[Evidence]) -> Evidence:
    """Of each group of queries the generation that holds all of it and saw most of it; a group that none holds is left
    out. What the release does not ask for is the newest's."""
    from observability.sources.evidence import Evidence, Origin, select

    newest, asked = generations[0], {query.name for query in release.plan.queries}
    others = [name for name in newest.origin.queries if name not in asked]
    queries = {name: newest.origin.queries[name] for name in others}
    parts = [select(newest.samples, others)]
    for group in _groups(release):
        holders = [found for found in generations if all(found.origin.holds(query) for query in group)]
        if holders:
            names = {query.name for query in group}
            best = max(holders, key=lambda found: _seen(found.samples, names))
            parts.append(select(best.samples, names))
            queries |= {name: best.origin.queries[name] for name in names}
    return Evidence(Origin(source=newest.origin.source, queries=queries), _joined(newest.samples, parts))


def _groups(release: Release) -> list[list[Query]]:
    """The plan's queries, those together that a KPI relates: a ratio of one answer's errors to another's requests would
    be 0 where the second answer is of a server that has forgotten them."""
    groups = [{query.name} for query in release.plan.queries]
    for kpi in release.kpis.values():
        related = [group for group in groups if group & kpi.operands.keys()]
        groups = [group for group in groups if group not in related]
        if related:
            groups.append(set().union(*related))
    return [[query for query in release.plan.queries if query.name in group] for group in groups]


def _seen(samples: Samples, queries: Collection[str]) -> int:
    """How many steps of these queries' columns have a value."""
    return sum(
        int((values == values).sum())  # NaN is not equal to itself
        for name, values in samples.columns.items()
        if query_of(name) in queries
    )


def _with_losses(release: Release, layout: Layout, number: int, samples: Samples) -> Samples:
    """The samples, with a warning for each query of which an earlier collection saw more of the day."""
    earlier = _generations(release, layout, samples.service, number, None)
    names = [query.name for query in release.plan.queries]
    less = [name for name in names if any(_seen(one.samples, {name}) > _seen(samples, {name}) for one in earlier)]
    warnings = tuple(f"{name}: an earlier collection saw more of this day; see evidence/replaced" for name in less)
    return replace(samples, warnings=(*samples.warnings, *warnings))


def _missing(plan: Plan, kept: Mapping[str, Evidence]) -> set[str]:
    """The queries of the plan that the evidence of one of the services does not hold."""
    return {
        query.name
        for query in plan.queries
        if not all(service in kept and kept[service].origin.holds(query) for service in plan.services)
    }


def _completed(
    release: Release, source: Source | None, kept: Mapping[str, Evidence], window: Window
) -> dict[str, Samples]:
    """The plan's samples: what is kept, and from the source only what is not.

    A counter that is asked for brings the others with it, because they tell which of its series are born
    (``sources.counters``, rule 3); of theirs, what is kept stands.
    """
    plan, missing = release.plan, _missing(release.plan, kept)
    fetched: Mapping[str, Samples] = {}
    if missing and source is not None:
        counted = any(query.is_counted for query in plan.queries if query.name in missing)
        asked = tuple(q for q in plan.queries if q.name in missing or (counted and q.is_counted))
        fetched = source.fetch(replace(plan, queries=asked), window)
    return {
        service: _merged(plan, kept.get(service), fetched.get(service, Samples(service, window, plan.step_s, {})))
        for service in plan.services
    }


def _merged(plan: Plan, kept: Evidence | None, fetched: Samples) -> Samples:
    """Query by query, in the plan's order: what is kept of the very query, else what was fetched."""
    from observability.sources.evidence import select

    parts = [
        select(kept.samples if kept is not None and kept.origin.holds(query) else fetched, {query.name})
        for query in plan.queries
    ]
    return _joined(fetched, parts)


def _joined(samples: Samples, parts: Sequence[Samples]) -> Samples:
    """The same service and window, with the columns and the warnings of the parts, in their order."""
    columns = {name: values for part in parts for name, values in part.columns.items()}
    return replace(samples, columns=columns, warnings=tuple(text for part in parts for text in part.warnings))


def _keep(
    release: Release,
    source: Source,
    layout: Layout,
    number: int,
    found: Mapping[str, Samples],
    kept: Mapping[str, Evidence],
) -> None:
    """Write the evidence, and at the root which release it is of."""
    from observability.kpi import step_values
    from observability.sources.evidence import Evidence, Origin, encode_evidence
    from observability.sources.recording import Recorded

    info = source.info(release.plan)
    for service, samples in found.items():
        kpis = {name: step_values(kpi, samples, release.prices) for name, kpi in release.kpis_of(service).items()}
        whole = _with_others(Evidence(Origin.of(release.plan, info), samples), kept.get(service))
        _replace(layout, service, number, whole, encode_evidence(whole.samples, kpis, whole.origin))
    recorded = Recorded.of(release.plan, release.calendar, info)
    layout.store.write_bytes(RECORDING, (recorded.model_dump_json(indent=2) + "\n").encode())


def _replace(layout: Layout, service: str, number: int, new: Evidence, content: bytes) -> None:
    """Write the evidence; what an older file holds beyond it is kept beside it, and found again by ``_generations``."""
    key = layout.evidence(service, number)
    if layout.store.exists(key):
        old = layout.store.read_bytes(key, "")
        if _loses(old, new, layout.store.location(key)):
            layout.store.write_bytes(layout.replaced(service, number, hashlib.sha256(old).hexdigest()[:8]), old)
    layout.store.write_bytes(key, content)


def _loses(old: bytes, new: Evidence, where: str) -> bool:
    """Whether the old file holds another window, server or query than the new one, or saw more of the same."""
    from observability.sources.evidence import parse

    try:
        table = parse(old, where)
    except ConfigError:
        return False
    samples = new.samples
    if len(table.times) != samples.steps or table.times[0] != format_instant(samples.window.start):
        return True
    if table.origin.source != new.origin.source or not table.origin.queries.items() <= new.origin.queries.items():
        return True
    before = replace(samples, columns=table.columns)
    return any(_seen(before, {name}) > _seen(samples, {name}) for name in table.origin.queries)


def _with_others(new: Evidence, before: Evidence | None) -> Evidence:
    """The new evidence, and what the old one holds of queries that the release no longer has."""
    from observability.sources.evidence import Evidence, Origin, select

    if before is None:
        return new
    old = {name: query for name, query in before.origin.queries.items() if name not in new.origin.queries}
    others = select(before.samples, old)
    origin = Origin(source=new.origin.source, queries={**new.origin.queries, **old})
    return Evidence(origin, _joined(new.samples, [new.samples, others]))
