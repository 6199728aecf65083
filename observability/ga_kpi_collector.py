"""Collect the GA day's baseline, and the seven days before it where the source still has them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands
from observability.commands import NowFlag, RecordingFlag, ReleaseFlag, UrlFlag
from observability.errors import ConfigError
from observability.folder import alone_in
from observability.waiting import wait_until_over

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.model import Window


def main(
    ga_timestamp: Annotated[
        str | None, typer.Option(help="The GA instant, e.g. 2025-11-18T00:00:00Z. [default: the release file's]")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder of the summaries; the evidence goes beside it.")] = Path(
        "ga_kpis"
    ),
    end: Annotated[
        str | None, typer.Option(help="Look at the GA day only up to this instant; the summary is marked partial.")
    ] = None,
    prometheus_url: UrlFlag = None,
    release: ReleaseFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
) -> None:
    """Collect the GA day, and the week before it.

    Of the seven days before GA, those are collected that the source still has. Waits for the end of the GA day if it is
    not over yet; it can be stopped and started again meanwhile. What the evidence holds is not asked of the server
    again; delete evidence/ to collect anew. With --end, nothing is kept as evidence, and no day is compared with it.

    Example: ga_kpi_collector.py --prometheus-url http://localhost:9090 --output-dir ga_kpis
    --ga-timestamp 2025-11-18T00:00:00Z
    """
    from observability import gather, readers, stages
    from observability.errors import NotEnoughDataError
    from observability.model import format_instant

    found = _release(release, prometheus_url, ga_timestamp)
    window = _window(found, end)
    source, layout = gather.open_source(found, recording), commands.layout_of(found, output_dir, "ga")
    with alone_in(layout):
        pass  # a folder that cannot be written is told before a day is waited for
    what = "the GA day" if end is None else "the part of the GA day"
    present = wait_until_over(window, what, now, at_most=None)
    if present < window.end:
        raise ConfigError(
            f"It is {format_instant(present)} by --now, and {what} ends at {format_instant(window.end)}; give a later "
            "--now, or an earlier --end for a look at what is over."
        )
    with alone_in(layout), commands.progress("collecting") as advance:
        if window == found.calendar.window(0):
            written = stages.collect_ga(found, source, layout, now=present, advance=advance, warn=commands.warn)
        else:
            written = stages.collect_part_of_ga(found, source, layout, window.end)
    commands.say(*written)
    missing = readers.missing_baselines(found, layout)
    if missing is not None:
        raise NotEnoughDataError(missing)


def _release(path: Path | None, url: str | None, ga_timestamp: str | None) -> Release:
    from observability.model import format_instant

    def ga() -> datetime:
        if ga_timestamp is None:
            raise ConfigError("The GA instant is not known; give --ga-timestamp or a --release file.")
        return commands.instant("--ga-timestamp", ga_timestamp)

    found = commands.the_release(path, url, ga)
    if ga_timestamp is not None and ga() != found.ga:
        raise ConfigError(f"--ga-timestamp differs from {path}, which has {format_instant(found.ga)}; give one.")
    return found


def _window(release: Release, end: str | None) -> Window:
    """The GA day, or its part up to ``--end``."""
    from observability.model import format_instant

    day = release.calendar.window(0)
    until = day.end if end is None else commands.instant("--end", end)
    if not day.start < until <= day.end:
        raise ConfigError(
            f"--end {format_instant(until)} is not within the GA day, {format_instant(day.start)} to "
            f"{format_instant(day.end)}; give an instant within it, or leave --end out."
        )
    return day.model_copy(update={"end": until})


if __name__ == "__main__":
    commands.run(main)
