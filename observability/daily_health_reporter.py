"""Score one day's health from its summary and the anomalies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands

DEFAULT_GA = Path("ga_kpis/ga_kpi_summary.json")


def main(
    day_number: Annotated[int, typer.Option(help="1 to 7.")],
    stability_data: Annotated[
        Path | None, typer.Option(help="The day's summary. [default: stability/day_NN_summary.json]")
    ] = None,
    anomaly_data: Annotated[Path, typer.Option(help="The anomalies.")] = Path("anomaly_events.json"),
    output_file: Annotated[Path | None, typer.Option(help="[default: stability/day_NN_HEALTH.json]")] = None,
    ga_baseline: Annotated[
        Path | None,
        typer.Option(
            help="The GA summary, with the week before GA beside it, which the day is compared with. "
            "[default: ga_kpis/ga_kpi_summary.json, if there]"
        ),
    ] = None,
) -> None:
    """Score one day's health from its summary and the anomalies.

    KPIs are compared with the same weekday before GA. Without it they are compared with the GA day, and the report says
    so: what was shipped at GA does not show.

    Example: daily_health_reporter.py --stability-data stability/day_01_summary.json
    --anomaly-data anomaly_events.json --output-file stability/day_01_HEALTH.json --day-number 1
    """
    from observability import stages
    from observability.store import Store

    summary = stability_data or Path(f"stability/day_{day_number:02d}_summary.json")
    output = output_file or Path(f"stability/day_{day_number:02d}_HEALTH.json")
    ga = ga_baseline or (DEFAULT_GA if DEFAULT_GA.exists() else None)
    stages.report_health(
        Store(), str(summary), str(anomaly_data), str(output), day_number, None if ga is None else str(ga)
    )
    commands.say(str(output))


if __name__ == "__main__":
    commands.run(main)
