"""Compare the week with its baselines, and say whether a rollback is advised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands
from observability.commands import GaBaselineFlag, SummariesFlag


def main(
    ga_baseline: GaBaselineFlag = Path("ga_kpis/ga_kpi_summary.json"),
    summaries: SummariesFlag = Path("stability"),
    output: Annotated[Path, typer.Option(help="Where the comparison goes.")] = Path("regression_summary.json"),
) -> None:
    """Compare the week with its baselines.

    Says how large each change is, whether it is real, and whether a rollback is advised.

    Example: regression_analyzer.py --ga-baseline ga_kpis/ga_kpi_summary.json --7day-summaries stability
    --output regression_summary.json
    """
    from observability import stages
    from observability.store import Store

    stages.analyse_regressions(Store(), str(ga_baseline), str(summaries), str(output))
    commands.say(str(output))


if __name__ == "__main__":
    commands.run(main)
