"""Compute the error budgets' burn-down of the GA day and the days after it."""

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
    output: Annotated[Path, typer.Option(help="Where the burn-downs go.")] = Path("slo_burn_down.json"),
) -> None:
    """Compute the error budgets' burn-down since GA.

    Example: slo_burn_down.py --ga-baseline ga_kpis/ga_kpi_summary.json --7day-summaries stability
    """
    from observability import stages
    from observability.store import Store

    stages.burn_down(Store(), str(ga_baseline), str(summaries), str(output))
    commands.say(str(output))


if __name__ == "__main__":
    commands.run(main)
