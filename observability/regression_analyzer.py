"""Compare the week with its baselines, and say whether a rollback is advised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands
from observability.commands import GaBaselineFlag, SummariesFlag

if TYPE_CHECKING:
    from observability.fail_on import Outcome
    from observability.verdicts import RegressionSummary

FailOnFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on",
        metavar="CONDITION",
        help="Exit with 1 if the verdict is this: regression, rollback or slo. Several with commas, or several times.",
    ),
]


def main(
    ga_baseline: GaBaselineFlag = Path("ga_kpis/ga_kpi_summary.json"),
    summaries: SummariesFlag = Path("stability"),
    output: Annotated[
        Path, typer.Option(help="Where the comparison goes, as JSON; the same as Markdown lies beside it.")
    ] = Path("regression_summary.json"),
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Compare with this too: another release's or staging's summary, or the folder of its summaries. "
            "Can be given several times.",
        ),
    ] = None,
    good_day: Annotated[
        int | None,
        typer.Option(metavar="DAY", help="Compare with this day, -7 to 7, which is known to have been good."),
    ] = None,
    fail_on: FailOnFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Compare the week with its baselines.

    Says how large each change is, whether it is real, since when it is there, and whether a rollback is advised. The
    week before GA, which lies beside the GA summary, decides; every other baseline informs, and where they disagree
    that is said.

    With --fail-on, a finding ends the command with exit code 1, and with 4 if nothing could be assessed of what was
    asked for, or if availability, errors or latency have no data since GA; the files are written before that.

    Example: regression_analyzer.py --ga-baseline ga_kpis/ga_kpi_summary.json --7day-summaries stability
    --output regression_summary.json --baseline v1.0.0=../v1.0.0 --baseline staging=staging/ga_kpi_summary.json
    --good-day -2 --fail-on regression,slo
    """
    from observability import fail_on as conditions
    from observability import stages
    from observability.errors import ConfigError
    from observability.model import DAYS_BEFORE, LAST_DAY
    from observability.named_baselines import from_flags
    from observability.store import Store

    wanted = conditions.conditions(fail_on or ())
    if good_day is not None and not -DAYS_BEFORE <= good_day <= LAST_DAY:
        raise ConfigError(f"--good-day {good_day} is no day of this release; give {-DAYS_BEFORE} to {LAST_DAY}.")
    found = stages.analyse_regressions(
        Store(),
        str(ga_baseline),
        str(summaries),
        str(output),
        references=from_flags(baseline or ()),
        good_day=good_day,
        warn=commands.warn,
    )
    if as_json:
        print(found.summary.model_dump_json(indent=2))
    else:
        commands.say(*found.written)
        for line in _verdict(found.summary):
            print(line)
    end_on(conditions.ask(wanted, {found.summary.service: (found.summary, found.slos)}))


def end_on(outcome: Outcome) -> None:
    """End with what ``--fail-on`` found, once everything has been written: a finding goes before what is not known."""
    from observability.errors import FoundError, NotEnoughDataError

    for text in outcome.warnings:
        commands.warn(text)
    if outcome.found is not None:
        raise FoundError(outcome.found)
    if outcome.unknown is not None:
        raise NotEnoughDataError(outcome.unknown)


def _verdict(summary: RegressionSummary) -> list[str]:
    """The advice, and one line for each KPI that got worse for real."""
    if summary.advice is not None:
        lines = [f"{summary.service}: {summary.advice.action}", f"  {summary.advice.why}"]
    else:
        back = summary.rollback_recommendation
        lines = [f"{summary.service}: {back.reason}"] if back is not None else []
    failed = [row for row in summary.rows if row.verdict == "fail" and row.role == "decides"]
    return [*lines, *(f"  {row.metric_name}: {row.why}" for row in failed)]


if __name__ == "__main__":
    commands.run(main)
