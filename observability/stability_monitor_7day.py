"""Collect one of the seven days after GA, and compare it with the GA day."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands
from observability.commands import NowFlag, RecordingFlag, ReleaseFlag, UrlFlag
from observability.folder import alone_in
from observability.waiting import WAIT_AT_MOST, wait_until_over


def main(
    day_number: Annotated[int, typer.Option(help="1 to 7; day N begins N days after GA.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the day summaries.")] = Path("stability"),
    ga_baseline: Annotated[
        Path | None,
        typer.Option(help="The GA summary. [default: ga_kpis/ga_kpi_summary.json beside the output folder]"),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Summarise a day that is not over; it is marked.")] = False,
    prometheus_url: UrlFlag = None,
    release: ReleaseFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
) -> None:
    """Collect one of the seven days after GA.

    It is compared with the GA day. A day that ends within five minutes is waited for. What the evidence holds is not
    asked of the server again; delete evidence/ to collect anew.

    Example: stability_monitor_7day.py --prometheus-url http://localhost:9090 --output-dir stability --day-number 1
    --ga-baseline ga_kpis/ga_kpi_summary.json
    """
    from observability import gather, readers, stages
    from observability.layout import GA_DIR, GA_SUMMARY
    from observability.store import Store

    baseline = ga_baseline or commands.root_of(output_dir) / GA_DIR / GA_SUMMARY
    found = commands.the_release(release, prometheus_url, lambda: readers.read_ga(Store(), str(baseline)).timestamp)
    layout = commands.layout_of(found, output_dir, "stability")
    baselines = readers.read_baselines(found, layout, ga_baseline)
    missing = readers.missing_baselines(found, layout) if ga_baseline is None else None
    if missing is not None:
        commands.warn(missing)
    source = gather.open_source(found, recording)
    window = stages.day_after_ga(found, day_number)
    present = wait_until_over(window, f"day {day_number}", now, at_most=WAIT_AT_MOST)
    with alone_in(layout), commands.progress(f"collecting day {day_number}"):
        written = stages.collect_day(
            found, source, layout, day_number, baselines, now=present, partial=partial, warn=commands.warn
        )
    commands.say(*written)


if __name__ == "__main__":
    commands.run(main)
