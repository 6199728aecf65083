"""Run the whole week of a release file: every stage whose time has come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import NowFlag, RecordingFlag, UrlFlag
from observability.folder import alone_in
from observability.regression_analyzer import FailOnFlag, end_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observability.fail_on import Condition
    from observability.report import ReleaseIndex
    from observability.week import Week


def main(
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release file (YAML).")],
    output_dir: Annotated[Path, typer.Option(help="Folder that all artifacts go below.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    prometheus_url: UrlFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
    fail_on: FailOnFlag = None,
) -> None:
    """Run the whole week of a release file.

    Every stage whose time has come is run, unless its inputs have not changed since it last ran: the same
    command carries on after a stop, or on the next day. While days are still to come it ends with exit code 4, and so
    it does when a service had no data on the GA day. What the evidence holds is not asked of the server again; delete
    evidence/ to collect anew.

    With --fail-on, a finding ends the command with exit code 1, and with 4 if of a service nothing could be assessed of
    what was asked for, or if its availability, errors or latency have no data since GA; everything is written before.

    Example: postga run release.yaml --prometheus-url http://localhost:9090 --output-dir week --fail-on rollback,slo
    """
    from observability import gather, waiting
    from observability.fail_on import conditions
    from observability.layout import Layout
    from observability.release import load
    from observability.store import Store
    from observability.week import Week, stage_count

    wanted = conditions(fail_on or ())
    found = commands.with_url(load(release), prometheus_url)
    layout = Layout(Store(output_dir), found.services)
    identity = gather.identity(found, recording)
    present = waiting.settled(found.calendar, now) if recording is None else commands.the_present(now)
    with alone_in(layout), commands.stage_progress(stage_count(found)) as (report, warn):
        week = Week(
            release=found,
            source=gather.open_source(found, recording),
            layout=layout,
            identity=identity,
            now=present,
            report=report,
            warn=warn,
            folder=str(release.parent.absolute()),
        )
        index = week.run()
    conclude(week, index, as_json, wanted)


def conclude(week: Week, index: ReleaseIndex, as_json: bool, wanted: Sequence[Condition] = ()) -> None:
    """Print the verdicts, and the page to open. After that a finding to fail on is an error, and so are, in this order,
    a service without a baseline and one of which nothing that was wanted could be assessed."""
    from dataclasses import replace

    from observability.errors import NotEnoughDataError
    from observability.fail_on import Outcome, ask
    from observability.readers import missing_baselines
    from observability.week import report_location

    print(index.model_dump_json(indent=2) if as_json else _summary(week, index))
    if not as_json:
        print(report_location(week, index))
    outcome = ask(wanted, week.verdicts) if wanted else Outcome()
    missing = missing_baselines(week.release, week.layout)
    if missing is not None:
        end_on(replace(outcome, unknown=None))
        raise NotEnoughDataError(missing)
    end_on(outcome)


def _summary(week: Week, index: ReleaseIndex) -> str:
    lines = []
    for entry in index.services:
        lines.append(f"{entry.service}: {entry.overall_status}, {entry.advice}")
        lines.append(f"  {entry.why}")
        if len(index.services) > 1:
            lines.append(f"  {week.layout.store.location(entry.report)}")
    return "\n".join(lines)
