"""Watch a release: score every step as soon as it is over, and tell of incidents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import RecordingFlag, UrlFlag
from observability.layout import ANOMALIES

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.events import Finding
    from observability.watching.sinks import Sinks
    from observability.watching.watcher import Taken, Watcher

LISTEN, DELAY = "127.0.0.1:9464", "30s"
NAMED = 5  # services; of more it is told how many there are
FLUSH_S = 3.0  # for what is left to deliver when the watcher ends

DelayFlag = Annotated[
    str,
    typer.Option(help="How long after its end a step is scored: samples that come later are counted, and not scored."),
]
StartFlag = Annotated[
    str | None, typer.Option(help="Tell what happened from here on; the seven days before warm up. [default: GA]")
]
EndFlag = Annotated[
    str | None, typer.Option(help="Score up to here, and end. [default: the end of day 7, or of the recording]")
]
ListenFlag = Annotated[
    str | None,
    typer.Option(
        help=f"Address of /metrics and /-/healthy, port 0 for any that is free. [default: {LISTEN} while it goes on; "
        "a look at the past has none]"
    ),
]
AlertmanagerFlag = Annotated[
    list[str] | None,
    typer.Option("--alertmanager", help="Tell this Alertmanager (API v2) too, e.g. http://localhost:9093."),
]
WebhookFlag = Annotated[
    list[str] | None, typer.Option("--webhook", help="Post each notification to this URL too, as JSON.")
]
AnewFlag = Annotated[
    bool, typer.Option("--anew", help="Begin again from the history; what was found before is kept beside the log.")
]
CalibrateFlag = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Watch nothing; replay the week before GA, or --start to --end, and print which threshold would have "
        "given how many incidents.",
    ),
]
RateFlag = Annotated[
    float, typer.Option("--alarms-per-week", min=0.0, help="With --calibrate: how many incidents per service and week.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print incidents as JSON, one a line.")]


def main(
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release file (YAML).")],
    output_dir: Annotated[Path, typer.Option(help="Folder that all artifacts go below.")] = Path(),
    prometheus_url: UrlFlag = None,
    recording: RecordingFlag = None,
    start: StartFlag = None,
    end: EndFlag = None,
    delay: DelayFlag = DELAY,
    listen: ListenFlag = None,
    alertmanager: AlertmanagerFlag = None,
    webhook: WebhookFlag = None,
    anew: AnewFlag = False,
    calibrate: CalibrateFlag = False,
    alarms_per_week: RateFlag = 1.0,
    as_json: JsonFlag = False,
) -> None:
    """Watch a release: score every step as soon as it is over, and tell of incidents.

    It starts with the week before GA to warm up, reads what it has missed since, and goes on until the end of day 7.
    Stopped in whatever way, the same command carries on and finds the same. Each incident is one line on stdout, and
    one alert for whom the release file names under `notify`; anomaly_events.json is kept current. With --recording, or
    an --end that is past, it looks at that time instead, tells nobody, and ends.

    Example: postga watch release.yaml --output-dir week --alertmanager http://localhost:9093

    Example: postga watch release.yaml --start 2025-11-20T00:00:00Z --end 2025-11-21T00:00:00Z

    Example: postga watch release.yaml --calibrate --alarms-per-week 0.5
    """
    from observability.release import load

    found = commands.with_url(load(release), prometheus_url)
    if calibrate:
        from observability.calibrate_incidents import run

        run(found, recording, start, end, alarms_per_week, as_json)
        return
    found = _with_receivers(found, alertmanager or (), webhook or ())
    span = span_of(found, start, end, recording)
    options = Options(commands.duration("--delay", delay), listen, anew, as_json)
    watch(found, span, recording, output_dir, options)


@dataclass(frozen=True)
class Options:
    """How it is watched; ``name``: what the files with the events are called."""

    delay: timedelta
    listen: str | None
    anew: bool
    as_json: bool
    name: str = ANOMALIES


@dataclass(frozen=True)
class Span:
    """``[start, end)`` is read, and told from ``since`` on; ``is_live``: it ends in the future."""

    start: datetime
    since: datetime
    end: datetime
    is_live: bool


def span_of(release: Release, start: str | None, end: str | None, recording: Path | None) -> Span:
    """What is watched, on the grid of the release's steps."""
    from observability.errors import ConfigError
    from observability.model import DAYS_BEFORE, LAST_DAY, format_instant

    since = release.aligned(commands.instant("--start", start)) if start is not None else release.ga
    begin, until = since - DAYS_BEFORE * release.day, release.calendar.window(LAST_DAY).end
    if recording is not None:
        from observability.sources.recording import Recording

        held = Recording(recording).window
        begin, until = max(begin, release.aligned(held.start)), held.end
    until = release.aligned(commands.instant("--end", end) if end is not None else until)
    if recording is not None and (since < held.start or until > held.end):
        there = f"{format_instant(held.start)} to {format_instant(held.end)}"
        raise ConfigError(f"{recording} holds {there}; give a --start and an --end within that.")
    if until <= since:
        raise ConfigError(
            f"The time from {format_instant(since)} to {format_instant(until)} is empty; check --start and --end."
        )
    return Span(min(begin, since), since, until, recording is None and until > datetime.now(UTC))


def watch(release: Release, span: Span, recording: Path | None, folder: Path, options: Options) -> None:
    """Run the watcher, and print what it tells."""
    from observability import gather
    from observability.layout import Layout
    from observability.store import Store
    from observability.watching.console import Console
    from observability.watching.folder import only_watcher_in
    from observability.watching.outbox import FILE as OUTBOX
    from observability.watching.service import Service
    from observability.watching.sinks import Sinks
    from observability.watching.watcher import Watcher

    layout = Layout(Store(folder), release.services)
    with ExitStack() as stack:
        state = stack.enter_context(only_watcher_in(layout))
        advance = stack.enter_context(commands.progress("watch"))
        is_told = span.is_live or (recording is None and (state / OUTBOX).exists())  # or what was live is carried on
        sinks = Sinks(state, release.notify, commands.warn) if is_told else None
        console = Console(sinks, options.as_json, advance)
        watcher = Watcher(
            release,
            gather.open_source(release, recording),
            layout,
            start=span.start,
            since=span.since,
            now=datetime.now(UTC),
            announcer=console,
            warn=console.warn,
            name=options.name,
            anew=options.anew,
        )

        def took(taken: Taken, found: Sequence[Finding], seconds: float) -> None:
            console.took(watcher, taken, found, seconds, span.end)

        clock = _clock if recording is None else lambda: span.end + options.delay  # all that is recorded is over

        service = Service(watcher, span.end, options.delay, span.is_live, took, console.warn, clock)
        if span.is_live or options.listen is not None:
            from observability.watching.endpoint import serve
            from observability.watching.metrics import Metrics

            channels = [channel.name for channel in release.channels]
            metrics = Metrics(watcher.until, _clock, channels, [query.name for query in release.plan.queries])
            address = stack.enter_context(serve(options.listen or LISTEN, metrics, service.health))
            console.count(metrics)
            console.say(f"metrics at http://{address}/metrics")
        if sinks is not None:
            sinks.start()
            stack.callback(_flush, sinks)
        console.say(_introduction(watcher, span, options.delay))
        service.run()
        console.ended(watcher)
    if not options.as_json:
        commands.say(*watcher.locations())


def _flush(sinks: Sinks) -> None:
    """Deliver what is left, for a while, and tell what is left then."""
    sinks.stop(FLUSH_S)
    for name, left in sinks.pending().items():
        if left:
            what = "a notification" if left == 1 else f"{left:,} notifications"
            commands.warn(f"{name} has not taken {what}; the same command tries again")


def _introduction(watcher: Watcher, span: Span, delay: timedelta) -> str:
    """What is watched, and how."""
    from observability.model import format_instant
    from observability.units import format_duration

    step = format_duration(watcher.release.step_s)
    names = watcher.release.services
    of = ", ".join(names) if len(names) <= NAMED else f"{len(names):,} services"
    kpis = f"{len(watcher.stream.subjects):,} KPIs of {of}, every {step}"
    if span.is_live:
        kpis += f" and {format_duration(delay.total_seconds())} after it"
    went = "carries on after" if watcher.resumed else "from"
    if watcher.until >= span.end:
        went = "done before,"
    return f"{kpis}, {went} {format_instant(watcher.until)} to {format_instant(span.end)}"


def _clock() -> datetime:
    return datetime.now(UTC)


def _with_receivers(release: Release, alertmanagers: Sequence[str], webhooks: Sequence[str]) -> Release:
    """The release with the receivers that flags name beside its own."""
    from pydantic import ValidationError

    from observability.errors import ConfigError
    from observability.notify import Notify

    if not alertmanagers and not webhooks:
        return release
    told = release.notify
    try:
        notify = Notify(
            alertmanager=(*told.alertmanager, *({"url": url} for url in alertmanagers)),
            webhooks=(*told.webhooks, *({"url": url} for url in webhooks)),
            labels=told.labels,
        )
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--alertmanager or --webhook: {said}.") from None
    return release.model_copy(update={"notify": notify})
