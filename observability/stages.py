"""One function per stage: read, let the pure rooms judge, write. Commands, DAGs and tests share them.

The clock's reading comes in as ``now``; what was written is returned as locations. Running a stage again with the same
input writes the same bytes. A key ending in ``_key`` is relative to the store's root, or stands for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from observability.artifacts import DaySummary, PreReleaseSummary
from observability.definitions import Channel, Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.gather import (
    Advance,
    Gathered,
    NoDataError,
    Share,
    at_hand,
    collect,
    has_data,
    nothing,
    quiet,
    refuse_forgotten,
    summaries,
    whole_steps,
)
from observability.layout import ANOMALIES, GA_SUMMARY, INDEX, Layout, beside_as_text
from observability.model import DAYS_BEFORE, FIRST_DAY, LAST_DAY, Samples, Window, format_instant
from observability.readers import (
    COLLECT_DAYS,
    Ground,
    missing_good_day,
    read_anomalies,
    read_before,
    read_days,
    read_ga,
    read_health,
    read_regression,
)
from observability.report import ReleaseIndex, Retrospective
from observability.store import Store, within
from observability.verdicts import HealthReport, RegressionSummary, SloBurnDown, SloReport

if TYPE_CHECKING:
    from observability.named_baselines import Reference
    from observability.sources import Source

Warn = Callable[[str], None]
"""Told what a user should know of a stage that did not fail."""


def collect_ga(
    release: Release, source: Source, layout: Layout, *, now: datetime, advance: Advance = quiet, warn: Warn = quiet
) -> list[str]:
    """The GA day's baseline and, as far as the source still has them, the seven days before it.

    A service without data on the GA day has no baseline, and what an earlier run wrote of one is deleted; only a GA day
    without any data is refused. ``readers.missing_baselines`` then names it.
    """
    advance("GA day")
    try:
        fetched = collect(release, source, layout, 0, warn).services
    except NoDataError:
        refuse_forgotten(release, source, now)
        raise
    there = {service: samples for service, samples in fetched.items() if has_data(release, samples)}
    baselines = summaries(release, source, 0, there, None)
    before: dict[str, list[DaySummary]] = {service: [] for service in there}
    for number in range(-DAYS_BEFORE, 0):
        advance(f"day {number}")
        for service, summary in _day_before(release, source, layout, number, baselines, warn).items():
            before[service].append(summary)
    for service in fetched.keys() - there.keys():
        layout.store.delete(layout.ga_summary(service))
        layout.store.delete(layout.pre_release(service))
    written = [layout.store.write(layout.ga_summary(service), day) for service, day in baselines.items()]
    for service, past in before.items():
        found = _pre_release(service, past)
        written.append(layout.store.write(layout.pre_release(service), found))
        for text in found.warnings:
            warn(f"{service}: {text}")
    return written


def collect_part_of_ga(release: Release, source: Source, layout: Layout, end: datetime) -> list[str]:
    """A look at the GA day from its start to ``end``, in whole steps: its summaries are marked ``partial``, no evidence
    is kept, and the stages that need a baseline refuse them."""
    window = whole_steps(release, release.calendar.window(0), end)
    if window is None:
        raise ConfigError(f"--end {format_instant(end)} leaves no whole step of the GA day; give a later one.")
    fetched = source.fetch(release.plan, window)
    there = {service: samples for service, samples in fetched.items() if has_data(release, samples)}
    if not there:
        raise NoDataError(nothing(release, source, 0, window))
    days = summaries(release, source, 0, there, None, partial=True)
    return [layout.store.write(layout.ga_summary(service), day) for service, day in days.items()]


def _day_before(
    release: Release, source: Source, layout: Layout, number: int, baselines: Mapping[str, DaySummary], warn: Warn
) -> dict[str, DaySummary]:
    try:
        fetched = collect(release, source, layout, number, warn).services
    except NotEnoughDataError:
        return {}
    there = {s: samples for s, samples in fetched.items() if s in baselines and has_data(release, samples)}
    return summaries(release, source, number, there, baselines)


def _pre_release(service: str, past: list[DaySummary]) -> PreReleaseSummary:
    missing = DAYS_BEFORE - len(past)
    warnings = (f"The source has no data of {missing} of the {DAYS_BEFORE} days before GA.",) if missing else ()
    return PreReleaseSummary(service=service, days=tuple(past), warnings=warnings)


def day_after_ga(release: Release, number: int) -> Window:
    """The window of one of the seven days; any other number is refused."""
    if not FIRST_DAY <= number <= LAST_DAY:
        raise ConfigError(f"--day-number {number} is not a day of the week after GA; give {FIRST_DAY} to {LAST_DAY}.")
    return release.calendar.window(number)


def collect_day(
    release: Release,
    source: Source,
    layout: Layout,
    number: int,
    baselines: Mapping[str, DaySummary],
    *,
    now: datetime,
    partial: bool = False,
    warn: Warn = quiet,
) -> list[str]:
    """Day ``number`` of every service that has a baseline, against its GA day.

    A day that is not over is refused, unless ``partial``. A service without data on it is warned of. Of a day without
    any data, what was written of it before is deleted, so that no later stage takes it for a day of this week.
    """
    window = day_after_ga(release, number)
    if now >= window.end:
        fetched = _collected(release, source, layout, number, warn)
    else:
        over = whole_steps(release, window, now) if partial else None
        if over is None:
            raise ConfigError(
                f"Day {number} lasts from {format_instant(window.start)} to {format_instant(window.end)}, and it is "
                f"{format_instant(now)}; come back then, or add --partial once the day has begun."
            )
        fetched = source.fetch(release.plan, over)
    judged = {service: samples for service, samples in fetched.items() if service in baselines}
    for service in (service for service, samples in judged.items() if not has_data(release, samples)):
        warn(f"No KPI returned data on day {number} for {service}; its summary says so.")
    days = summaries(release, source, number, judged, baselines, partial=now < window.end)
    return [layout.store.write(layout.day_summary(service, number), day) for service, day in days.items()]


def _collected(release: Release, source: Source, layout: Layout, number: int, warn: Warn) -> Mapping[str, Samples]:
    try:
        return collect(release, source, layout, number, warn).services
    except NotEnoughDataError:
        for service in release.services:
            layout.store.delete(layout.day_summary(service, number))
            layout.store.delete(layout.health(service, number))
        raise


def record(
    release: Release,
    source: Source,
    layout: Layout,
    numbers: Sequence[int],
    report: Callable[[int, Gathered | None], None],
    warn: Warn = quiet,
) -> list[int]:
    """The evidence of the days ``numbers``, and no verdicts; the days that have data. ``report`` is told of each day
    what was gathered, None where there is nothing."""
    there = []
    for number in numbers:
        try:
            found = collect(release, source, layout, number, warn)
        except NoDataError:
            report(number, None)
            continue
        report(number, found)
        there.append(number)
        for service in (name for name, samples in found.services.items() if not has_data(release, samples)):
            warn(f"No KPI returned data on day {number} for {service}.")
    return there


def detect(
    release: Release,
    source: Source,
    layout: Layout,
    *,
    now: datetime,
    anomalies_name: str = ANOMALIES,
    advance: Share = quiet,
) -> list[str]:
    """Score every KPI from GA to ``now`` or the end of day 7 with the release's channels, warmed up before GA.

    Days whose evidence is at hand are read from it; the others are asked of the source.
    """
    from observability.detection.anomalies import score_release

    if now <= release.ga:
        raise NotEnoughDataError(
            f"It is {format_instant(now)}, and GA is at {format_instant(release.ga)}, so nothing is there to score; "
            "come back after it, or check the GA time."
        )
    gathered: dict[str, list[Samples]] = {service: [] for service in release.services}
    for number in range(-DAYS_BEFORE, LAST_DAY + 1):
        advance(f"day {number}", (number + DAYS_BEFORE) / (DAYS_BEFORE + 1 + LAST_DAY))
        for service, samples in at_hand(release, source, layout, number, now).items():
            gathered[service].append(samples)
    since_ga = [s for days in gathered.values() for s in days if s.window.start >= release.ga and has_data(release, s)]
    if not since_ga:
        raise NotEnoughDataError(f"There is no sample since {format_instant(release.ga)} to score; check the GA time.")
    scored = score_release(release, gathered, advance)
    return [layout.store.write(layout.key(service, anomalies_name), events) for service, events in scored.items()]


def with_ewma(release: Release, alpha: float | None = None, threshold: float | None = None) -> Release:
    """The release with the documents' plain EWMA beside its other channels, as soon as a flag names one of its numbers;
    the other one, and what the release file says of it, stay as they are."""
    if alpha is None and threshold is None:
        return release
    for flag, value in (("--ewma-alpha", alpha), ("--z-threshold", threshold)):
        if value is not None and not math.isfinite(value):
            raise ConfigError(f"{flag} {value} is no number that a detector can use; give a finite one.")
    ewma = next((one for one in release.channels if one.name == "ewma"), Channel(name="ewma"))
    flags = {**ewma.parameters, **({} if alpha is None else {"alpha": alpha})}
    ewma = Channel(name="ewma", threshold=ewma.threshold if threshold is None else threshold, parameters=flags)
    others = tuple(one for one in release.channels if one.name != "ewma")
    return release.model_copy(update={"channels": (*others, ewma)})


def report_health(
    store: Store, summary_key: str, anomalies_key: str, output_key: str, number: int, ga_key: str | None = None
) -> HealthReport:
    """The health of one day, from its summary and the release's anomalies.

    With the GA summary, KPIs are compared with the same weekday before GA, which lies beside it; else with the GA day.
    """
    from observability.judgement.daily_drift import partner_of
    from observability.judgement.health import assess

    day = store.read(summary_key, DaySummary, COLLECT_DAYS)
    where = store.location(summary_key)
    if day.day_number != number:
        raise ConfigError(f"{where} is of day {day.day_number}, and --day-number says {number}; give the same.")
    ga = before = None
    if ga_key is not None:
        ga = read_ga(store, ga_key)
        base = Ground.of(ga, store.location(ga_key))
        base.check_day(day, where, "collect the day again: stability_monitor_7day.py")
        before = read_before(store, base, ga_key)
    report = assess(day, read_anomalies(store, Ground.of(day, where), anomalies_key), partner_of(day, before), ga)
    store.write(output_key, report)
    return report


@dataclass(frozen=True)
class Analysis:
    """What the week was judged to be, and where that was written."""

    summary: RegressionSummary
    slos: tuple[SloBurnDown, ...]
    written: tuple[str, ...]


def analyse_regressions(
    store: Store,
    ga_key: str,
    stability_key: str,
    output_key: str,
    numbers: Sequence[int] | None = None,
    *,
    references: Sequence[Reference] = (),
    good_day: int | None = None,
    warn: Warn = quiet,
) -> Analysis:
    """The week against every baseline, as JSON at ``output_key`` and as Markdown beside it.

    The week before GA lies beside the GA summary; ``references`` are the baselines that the user named, and
    ``good_day`` the day of this release that is known to have been good: one that is not there is warned of.
    ``numbers`` are the days that count, here and below; by default those that are there.
    """
    from observability.judgement.regression import analyse
    from observability.judgement.slo import burn_downs
    from observability.named_baselines import read_named
    from retrospective.regression_text import to_text

    if output_key.endswith(".md"):
        raise ConfigError(f"--output {output_key} names Markdown, which goes beside the JSON; write one in .json.")
    ga = read_ga(store, ga_key)
    base = Ground.of(ga, store.location(ga_key))
    days, before = read_days(store, base, stability_key, numbers), read_before(store, base, ga_key)
    named = [read_named(store, reference, ga, ga_key, days) for reference in references]
    missing = None if good_day is None else missing_good_day(good_day, ga, days, before)
    if missing is not None:
        warn(missing)
    slos = burn_downs([ga, *days])
    summary = analyse(ga, days, before, named, good_day, slos)
    written = store.write(output_key, summary), store.write_bytes(beside_as_text(output_key), to_text(summary).encode())
    return Analysis(summary, slos, written)


def burn_down(
    store: Store, ga_key: str, stability_key: str, output_key: str, numbers: Sequence[int] | None = None
) -> SloReport:
    """The error budgets of the GA day and the days after it."""
    from observability.judgement.slo import burn_downs

    ga = read_ga(store, ga_key)
    days = [ga, *read_days(store, Ground.of(ga, store.location(ga_key)), stability_key, numbers)]
    windows = [day.window for day in days if day.window is not None]
    window = Window(start=windows[0].start, end=windows[-1].end) if windows else None
    report = SloReport(service=ga.service, window=window, slo_burn_downs=burn_downs(days))
    store.write(output_key, report)
    return report


def build_retrospective(
    store: Store,
    *,
    ga_dir: str,
    stability_key: str,
    regressions_key: str | None,
    anomalies_key: str | None,
    output_key: str,
    numbers: Sequence[int] | None = None,
    now: datetime | None = None,
) -> tuple[Retrospective, list[str]]:
    """The report as Markdown at ``output_key`` and as JSON beside it. What is None is reported as not assessed."""
    from observability.judgement.slo import burn_downs
    from retrospective.assemble import assemble
    from retrospective.render import to_markdown

    ga_key = within(ga_dir, GA_SUMMARY)
    ga = read_ga(store, ga_key)
    base = Ground.of(ga, store.location(ga_key))
    days = read_days(store, base, stability_key, numbers)
    report = assemble(
        ga=ga,
        days=days,
        before=read_before(store, base, ga_key),
        regression=read_regression(store, base, regressions_key) if regressions_key else None,
        anomalies=read_anomalies(store, base, anomalies_key) if anomalies_key else None,
        slos=burn_downs([ga, *days]),
        health=read_health(store, base, stability_key, days),
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


def delete_index(store: Store) -> None:
    """A release with one service has no index: what an earlier run left of one is of services that it has no more."""
    store.delete(f"{INDEX}.json")
    store.delete(f"{INDEX}.md")
