"""Score every KPI since GA with the online detector, and write the anomalies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands, detect_csv
from observability.commands import NowFlag, RecordingFlag, ReleaseFlag, UrlFlag
from observability.folder import alone_in

if TYPE_CHECKING:
    from observability.definitions import Release


def main(
    context: typer.Context,
    output_file: Annotated[Path, typer.Option(help="Where the anomalies go; evidence is looked for beside it.")] = Path(
        "anomaly_events.json"
    ),
    baseline: Annotated[Path, typer.Option(help="The GA summary, for the GA instant.")] = Path(
        "ga_kpis/ga_kpi_summary.json"
    ),
    z_threshold: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Standard deviations at which the plain EWMA alarms. [default: 3.0 if --ewma-alpha is given]"
        ),
    ] = None,
    ewma_alpha: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=0.9999, help="The plain EWMA's weight of a sample. [default: 0.3 if --z-threshold is given]"
        ),
    ] = None,
    prometheus_url: UrlFlag = None,
    release: ReleaseFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Go on: score each step as soon as it is over, until the end of day 7, as `postga watch`."
        ),
    ] = False,
    csv: Annotated[
        list[str] | None,
        typer.Option(
            "--csv",
            help="Score this CSV instead, a folder of them, or a quoted pattern as 'd/*.csv'; can be given several "
            "times. Its timestamps are ISO 8601, without a zone UTC, or epoch times in s, ms, us or ns.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --csv: the file for its scores, - for stdout; of several files, a folder.")
    ] = None,
    timestamp_column: Annotated[
        str | None, typer.Option(help="With --csv. [default: timestamp, time, datetime, date, ts, or the first of two]")
    ] = None,
    value_column: Annotated[
        str | None, typer.Option(help="With --csv. [default: value, y, or the second of two columns]")
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="With --csv: a detector that scores it, as 'ewma:threshold=4,alpha=0.01', one of river's too; can be "
            "given several times. [default: significance and novelty]"
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="With --csv: draw each file's scores, beside them.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --csv or --follow: print what was scored, or found, as JSON.")
    ] = False,
) -> None:
    """Score every KPI since GA, and write the anomalies.

    With --csv: score any series with the same detector, and write each sample's score, expected value and band.

    The release file says which detectors score; by default significance (how far is a value from where the KPI is at
    this hour?) and novelty (has the KPI ever done this?). With --z-threshold or --ewma-alpha the plain EWMA of the
    textbook scores beside them. The output says which scored.

    Example: anomaly_detector_lightweight.py --prometheus-url http://localhost:9090 --output-file anomaly_events.json
    --baseline ga_kpis/ga_kpi_summary.json --z-threshold 3.0

    Example: anomaly_detector_lightweight.py --follow --prometheus-url http://localhost:9090

    Example: postga detect --csv requests.csv --out scored.csv --plot
    """
    detect_csv.check_flags(context)
    if csv is not None:
        detect_csv.run(csv, out, timestamp_column, value_column, channel or (), plot, as_json)
        return
    from observability import gather, readers, stages
    from observability.errors import ConfigError
    from observability.layout import Layout
    from observability.store import Store
    from observability.watching.folder import watcher_of

    found = commands.the_release(release, prometheus_url, lambda: readers.read_ga(Store(), str(baseline)).timestamp)
    found = stages.with_ewma(found, ewma_alpha, z_threshold)
    layout = Layout(Store(output_file.parent), found.services)
    if follow:
        _follow(found, recording, now, output_file, as_json)
        return
    if release is not None and len(found.services) == 1 and baseline.is_file():
        readers.read_baselines(found, layout, baseline)  # refuses that of another service or GA
    source = gather.open_source(found, recording)
    watcher = watcher_of(layout)
    if watcher is not None:
        raise ConfigError(f"A watcher{watcher} keeps {output_file} current; stop it first, or name another folder.")
    with alone_in(layout), commands.progress("scoring") as advance:
        written = stages.detect(
            found,
            source,
            layout,
            now=commands.the_present(now),
            anomalies_name=output_file.name,
            advance=advance,
        )
    commands.say(*written)


def _follow(release: Release, recording: Path | None, now: str | None, output_file: Path, as_json: bool) -> None:
    """Watch the release, with the defaults of `postga watch`."""
    from observability import watch_release

    span = watch_release.span_of(release, None, now, recording)
    options = watch_release.Options(
        commands.duration("--delay", watch_release.DELAY), None, False, as_json, output_file.name
    )
    watch_release.watch(release, span, recording, output_file.parent, options)


if __name__ == "__main__":
    commands.run(main)
