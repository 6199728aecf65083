"""One function per stage: read, let the pure rooms judge, write. Commands, DAGs and tests share them.

The clock's reading comes in as ``now``; what was written is returned as locations. Running a stage again with the same
input writes the same bytes. A key ending in ``_key`` is relative to the store's root, or stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from observability.artifacts import (
    AnomalyEvents,
    DaySummary,
    HealthReport,
    PreReleaseSummary,
    RegressionSummary,
    SloReport,
)
from observability.definitions import Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.gather import Advance, at_hand, collect, has_data, quiet, summaries, whole_steps
from observability.layout import ANOMALIES, GA_SUMMARY, INDEX, PRE_RELEASE, Layout
from observability.model import DAYS_BEFORE, FIRST_DAY, LAST_DAY, Samples, Window, format_instant
from observability.report import ReleaseIndex, Retrospective
from observability.store import Store, beside, within

if TYPE_CHECKING:
    from observability.detection.episodes import Setting
    from observability.sources import Source

COLLECT_GA = "collect the GA day first: ga_kpi_collector.py"
COLLECT_DAYS = "collect the days first: stability_monitor_7day.py"
DETECT = "run the anomaly detector first: anomaly_detector_lightweight.py"
ANALYSE = "run the regression analysis first: regression_analyzer.py"


def collect_ga(release: Release, source: Source, layout: Layout, advance: Advance = quiet) -> list[str]:
    """The GA day's baseline and, as far as the source still has them, the seven days before it."""
    advance("GA day")
    fetched = collect(release, source, layout, 0)
    empty = [service for service, samples in fetched.items() if not has_data(release, samples)]
    if empty:
        raise NotEnoughDataError(
            f"No KPI returned data on the GA day for {', '.join(empty)}; check the name"
            f" and that the label '{release.service_label}' holds it."
        )
    baselines = summaries(release, source, 0, fetched, None)
    before: dict[str, list[DaySummary]] = {service: [] for service in release.services}
    for number in range(-DAYS_BEFORE, 0):
        advance(f"day {number}")
        for service, summary in _day_before(release, source, layout, number, baselines).items():
            before[service].append(summary)
    written = [layout.store.write(layout.ga_summary(service), day) for service, day in baselines.items()]
    return written + [
        layout.store.write(layout.pre_release(service), _pre_release(service, past)) for service, past in before.items()
    ]


def _day_before(
    release: Release, source: Source, layout: Layout, number: int, baselines: Mapping[str, DaySummary]
) -> dict[str, DaySummary]:
    try:
        fetched = collect(release, source, layout, number)
    except NotEnoughDataError:
        return {}
    there = {service: samples for service, samples in fetched.items() if has_data(release, samples)}
    return summaries(release, source, number, there, baselines)


def _pre_release(service: str, past: list[DaySummary]) -> PreReleaseSummary:
    missing = DAYS_BEFORE - len(past)
    warnings = (f"The source has no data of {missing} of the {DAYS_BEFORE} days before GA.",) if missing else ()
    return PreReleaseSummary(service=service, days=tuple(past), warnings=warnings)


def collect_day(
    release: Release,
    source: Source,
    layout: Layout,
    number: int,
    baselines: Mapping[str, DaySummary],
    *,
    now: datetime,
    partial: bool = False,
) -> list[str]:
    """Day ``number`` of every service against its GA day. A day that is not over is refused, unless ``partial``."""
    if not FIRST_DAY <= number <= LAST_DAY:
        raise ConfigError(f"--day-number {number} is not a day of the week after GA; give {FIRST_DAY} to {LAST_DAY}.")
    window = release.calendar.window(number)
    if now >= window.end:
        days = summaries(release, source, number, collect(release, source, layout, number), baselines)
    else:
        over = whole_steps(release, window, now) if partial else None
        if over is None:
            raise ConfigError(
                f"Day {number} lasts from {format_instant(window.start)} to {format_instant(window.end)}, and it is "
                f"{format_instant(now)}; come back then, or add --partial once the day has begun."
            )
        days = summaries(release, source, number, source.fetch(release.plan, over), baselines, partial=True)
    return [layout.store.write(layout.day_summary(service, number), day) for service, day in days.items()]


def read_ga(store: Store, key: str, release: Release | None = None) -> DaySummary:
    """A GA summary; with a release, only one that was collected for the same GA instant."""
    ga = store.read(key, DaySummary, COLLECT_GA)
    if release is not None and ga.timestamp != release.ga:
        raise ConfigError(
            f"{store.location(key)} is the baseline of {format_instant(ga.timestamp)}, and the release's GA is "
            f"{format_instant(release.ga)}; collect the GA day again."
        )
    return ga


def read_baselines(release: Release, layout: Layout, given: Path | None = None) -> dict[str, DaySummary]:
    """Service → its GA summary, from the layout or, for the only service, from the file that a flag names."""
    if given is not None and len(release.services) > 1:
        raise ConfigError("One --ga-baseline cannot serve several services; leave it out, or give one service.")
    store = layout.store if given is None else Store()
    keys = {service: layout.ga_summary(service) if given is None else str(given) for service in release.services}
    found = {service: read_ga(store, key, release) for service, key in keys.items()}
    for service, ga in found.items():
        if ga.service != service:
            raise ConfigError(
                f"{store.location(keys[service])} is of service '{ga.service}', not of '{service}'; "
                "give the --release file that it was collected with, or collect the GA day again."
            )
    return found


def detect(
    release: Release,
    source: Source | None,
    layout: Layout,
    setting: Setting,
    *,
    now: datetime,
    anomalies_name: str = ANOMALIES,
    advance: Advance = quiet,
) -> list[str]:
    """Score every KPI from GA to ``now`` or the end of day 7, warmed up with the days before GA.

    Days whose evidence is at hand are read from it; the others are asked of the source.
    """
    from observability.detection.anomalies import score_release

    gathered: dict[str, list[Samples]] = {service: [] for service in release.services}
    for number in range(-DAYS_BEFORE, LAST_DAY + 1):
        advance(f"day {number}")
        for service, samples in (at_hand(release, source, layout, number, now) or {}).items():
            gathered[service].append(samples)
    since_ga = [s for days in gathered.values() for s in days if s.window.start >= release.ga and has_data(release, s)]
    if not since_ga:
        raise NotEnoughDataError(f"There is no sample since {format_instant(release.ga)} to score; check the GA time.")
    scored = {service: score_release(release, service, days, setting) for service, days in gathered.items()}
    return [layout.store.write(layout.key(service, anomalies_name), events) for service, events in scored.items()]


def detector_setting(alpha: float | None = None, threshold: float | None = None) -> Setting:
    """The detector's setting: the textbook's (EWMA 0.3, 3 standard deviations) as soon as a flag names one of them."""
    from observability.detection.episodes import QUIET, TEXTBOOK

    if alpha is None and threshold is None:
        return QUIET
    return replace(
        TEXTBOOK,
        alpha=TEXTBOOK.alpha if alpha is None else alpha,
        threshold=TEXTBOOK.threshold if threshold is None else threshold,
    )


def report_health(store: Store, summary_key: str, anomalies_key: str, output_key: str, number: int) -> HealthReport:
    """The health of one day, from its summary and the release's anomalies."""
    from observability.judgement.health import assess

    day = store.read(summary_key, DaySummary, COLLECT_DAYS)
    if day.day_number != number:
        raise ConfigError(
            f"{store.location(summary_key)} is of day {day.day_number}, and --day-number says {number}; give the same."
        )
    report = assess(day, store.read(anomalies_key, AnomalyEvents, DETECT))
    store.write(output_key, report)
    return report


def analyse_regressions(store: Store, ga_key: str, stability_key: str, output_key: str) -> RegressionSummary:
    """The week against the GA day, and against the week before it, which lies beside the GA summary."""
    from observability.judgement.regression import analyse

    summary = analyse(read_ga(store, ga_key), read_days(store, stability_key), _read_before(store, ga_key))
    store.write(output_key, summary)
    return summary


def burn_down(store: Store, ga_key: str, stability_key: str, output_key: str) -> SloReport:
    """The error budgets of the GA day and the days after it."""
    from observability.judgement.slo import burn_downs

    days = [read_ga(store, ga_key), *read_days(store, stability_key)]
    windows = [day.window for day in days if day.window is not None]
    window = Window(start=windows[0].start, end=windows[-1].end) if windows else None
    report = SloReport(service=days[0].service, window=window, slo_burn_downs=burn_downs(days))
    store.write(output_key, report)
    return report


def read_days(store: Store, stability_key: str) -> list[DaySummary]:
    """The summaries of days 1 to 7 that are there, in order: at least one."""
    keys = {n: within(stability_key, f"day_{n:02d}_summary.json") for n in range(FIRST_DAY, LAST_DAY + 1)}
    days = {n: store.read(key, DaySummary, COLLECT_DAYS) for n, key in keys.items() if store.exists(key)}
    if not days:
        raise ConfigError(f"{store.location(stability_key)} holds no day_01_summary.json … day_07; {COLLECT_DAYS}.")
    for number, day in days.items():
        if day.day_number != number:
            raise ConfigError(f"{store.location(keys[number])} says it is day {day.day_number}; collect it again.")
    return list(days.values())


def _read_before(store: Store, ga_key: str) -> PreReleaseSummary | None:
    key = beside(ga_key, PRE_RELEASE)
    return store.read(key, PreReleaseSummary, COLLECT_GA) if store.exists(key) else None


def build_retrospective(
    store: Store,
    *,
    ga_dir: str,
    stability_key: str,
    regressions_key: str | None,
    anomalies_key: str | None,
    output_key: str,
    now: datetime | None = None,
) -> tuple[Retrospective, list[str]]:
    """The report as Markdown at ``output_key`` and as JSON beside it. What is None is reported as not assessed."""
    from observability.judgement.slo import burn_downs
    from retrospective.assemble import assemble
    from retrospective.render import to_markdown

    ga_key = within(ga_dir, GA_SUMMARY)
    ga, days = read_ga(store, ga_key), read_days(store, stability_key)
    health = [within(stability_key, f"day_{day.day_number:02d}_HEALTH.json") for day in days]
    report = assemble(
        ga=ga,
        days=days,
        before=_read_before(store, ga_key),
        regression=store.read(regressions_key, RegressionSummary, ANALYSE) if regressions_key else None,
        anomalies=store.read(anomalies_key, AnomalyEvents, DETECT) if anomalies_key else None,
        slos=burn_downs([ga, *days]),
        health=[store.read(key, HealthReport, "run daily_health_reporter.py") for key in health if store.exists(key)],
        now=now,
    )
    json_key = output_key.removesuffix(".md") + ".json"
    return report, [store.write_bytes(output_key, to_markdown(report).encode()), store.write(json_key, report)]


def write_index(store: Store, index: ReleaseIndex) -> list[str]:
    """The index of a release with several services, as Markdown and JSON."""
    from retrospective.render import index_markdown

    return [
        store.write(f"{INDEX}.json", index),
        store.write_bytes(f"{INDEX}.md", index_markdown(index).encode()),
    ]
