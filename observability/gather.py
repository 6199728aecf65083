"""Days of samples: asked of the source or read from evidence at hand, kept as evidence, and summarised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
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

    return Prometheus(release.prometheus.url, release.prometheus.timeout)


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
    from observability.sources.evidence import decode_evidence
    from observability.sources.recording import Recording

    if isinstance(source, Recording):
        return {}
    kept = {}
    for service in release.services:
        key = layout.evidence(service, number)
        try:
            data = layout.store.read_bytes(key, "")
            window = release.calendar.window(number)
            found = decode_evidence(data, service, window, release.step_s, layout.store.location(key))
        except ConfigError:
            continue
        if source is None or found.origin.source == source.info(release.plan).prometheus:
            kept[service] = found
    return kept


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
        counted = any(_is_counted(query) for query in plan.queries if query.name in missing)
        asked = tuple(q for q in plan.queries if q.name in missing or (counted and _is_counted(q)))
        fetched = source.fetch(replace(plan, queries=asked), window)
    return {
        service: _merged(plan, kept.get(service), fetched.get(service, Samples(service, window, plan.step_s, {})))
        for service in plan.services
    }


def _is_counted(query: Query) -> bool:
    return query.type in {"counter", "buckets"}


def _merged(plan: Plan, kept: Evidence | None, fetched: Samples) -> Samples:
    """Query by query, in the plan's order: what is kept of the very query, else what was fetched."""
    from observability.sources.evidence import select

    parts = [
        select(kept.samples if kept is not None and kept.origin.holds(query) else fetched, {query.name})
        for query in plan.queries
    ]
    columns = {name: values for part in parts for name, values in part.columns.items()}
    return replace(fetched, columns=columns, warnings=tuple(text for part in parts for text in part.warnings))


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
        content = encode_evidence(whole.samples, kpis, whole.origin)
        layout.store.write_bytes(layout.evidence(service, number), content)
    recorded = Recorded.of(release.plan, release.calendar, info)
    layout.store.write_bytes(RECORDING, (recorded.model_dump_json(indent=2) + "\n").encode())


def _with_others(new: Evidence, before: Evidence | None) -> Evidence:
    """The new evidence, and what the old one holds of queries that the release no longer has."""
    from observability.sources.evidence import Evidence, Origin, select

    if before is None:
        return new
    others = select(before.samples, before.origin.queries.keys() - new.origin.queries.keys())
    samples = replace(
        new.samples,
        columns={**new.samples.columns, **others.columns},
        warnings=new.samples.warnings + others.warnings,
    )
    return Evidence(Origin(source=new.origin.source, queries={**before.origin.queries, **new.origin.queries}), samples)
