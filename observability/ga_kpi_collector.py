"""Collect the GA day's baseline, and the seven days before it where the source still has them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands
from observability.commands import NowFlag, RecordingFlag, ReleaseFlag, UrlFlag
from observability.errors import ConfigError


def main(
    ga_timestamp: Annotated[
        str | None, typer.Option(help="The GA instant, e.g. 2025-11-18T00:00:00Z. [default: the release file's]")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder of the summaries; the evidence goes beside it.")] = Path(
        "ga_kpis"
    ),
    prometheus_url: UrlFlag = None,
    release: ReleaseFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
) -> None:
    """Collect the GA day, and the week before it.

    Of the seven days before GA, those are collected that the source still has. Waits for the end of the GA day if it is
    not over yet; it can be stopped and started again meanwhile. What the evidence holds is not asked of the server
    again; delete evidence/ to collect anew.

    Example: ga_kpi_collector.py --prometheus-url http://localhost:9090 --output-dir ga_kpis
    --ga-timestamp 2025-11-18T00:00:00Z
    """
    from observability import gather, readers, stages
    from observability.errors import NotEnoughDataError
    from observability.model import format_instant, parse_instant

    def instant() -> datetime:
        if ga_timestamp is None:
            raise ConfigError("The GA instant is not known; give --ga-timestamp or a --release file.")
        return parse_instant(ga_timestamp)

    found = commands.the_release(release, prometheus_url, instant)
    if ga_timestamp is not None and parse_instant(ga_timestamp) != found.ga:
        raise ConfigError(f"--ga-timestamp differs from {release}, which has {format_instant(found.ga)}; give one.")
    source = gather.open_source(found, recording)
    layout = commands.layout_of(found, output_dir, "ga")
    window = found.calendar.window(0)
    present = commands.wait_until_over(window, "GA day", now, at_most=None)
    if present < window.end:
        raise ConfigError(f"The GA day ends at {format_instant(window.end)}, which --now says is not over yet.")
    with commands.progress("collecting") as advance:
        commands.say(*stages.collect_ga(found, source, layout, advance, commands.warn))
    missing = readers.missing_baselines(found, layout)
    if missing is not None:
        raise NotEnoughDataError(missing)


if __name__ == "__main__":
    commands.run(main)
