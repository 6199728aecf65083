"""Days of samples: asked of the source or read from evidence at hand, kept as evidence, and summarised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from observability.artifacts import DaySummary
from observability.definitions import Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.layout import RECORDING, Layout
from observability.model import Samples, Window, format_instant, query_of

if TYPE_CHECKING:
    from observability.sources import Source

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
    """The samples of one whole day of every service, kept as evidence. A day without any data is refused."""
    window = release.calendar.window(number)
    fetched = source.fetch(release.plan, window)
    if not any(has_data(release, samples) for samples in fetched.values()):
        raise NotEnoughDataError(
            f"No KPI returned data from {source.info(release.plan).prometheus} for day {number}, "
            f"{format_instant(window.start)} to {format_instant(window.end)}; check the GA time, the services "
            f"({', '.join(release.services)}) and the KPIs' queries."
        )
    _keep(release, source, layout, number, fetched)
    return fetched


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
    if window == whole:
        kept = _kept(release, layout, window)
        if kept is not None:
            return kept
    if source is None:
        raise ConfigError(f"There is no evidence of day {number} under {layout.store.root}; collect the day first.")
    try:
        return source.fetch(release.plan, window)
    except NotEnoughDataError:
        return None


def _keep(release: Release, source: Source, layout: Layout, number: int, fetched: Mapping[str, Samples]) -> None:
    from observability.kpi import step_values
    from observability.sources.recording import Recorded, encode_evidence

    for service, samples in fetched.items():
        kpis = {name: step_values(kpi, samples, release.prices) for name, kpi in release.kpis_of(service).items()}
        layout.store.write_bytes(layout.evidence(service, number), encode_evidence(samples, kpis))
    recorded = Recorded.of(release.plan, release.calendar, source.info(release.plan))
    layout.store.write_bytes(RECORDING, (recorded.model_dump_json(indent=2) + "\n").encode())


def _kept(release: Release, layout: Layout, window: Window) -> dict[str, Samples] | None:
    """The day as evidence has it, if it was collected with the same queries; else None."""
    from observability.sources.recording import Recording

    if not layout.store.exists(RECORDING):
        return None
    try:
        return Recording(Path(layout.store.root)).fetch(release.plan, window)
    except (ConfigError, NotEnoughDataError):
        return None
