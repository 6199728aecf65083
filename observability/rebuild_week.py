"""Make every report of a week again from the evidence that lies beside it, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import NowFlag
from observability.folder import alone_in
from observability.run_week import conclude

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def main(
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release file (YAML).")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the evidence, and of all artifacts.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    now: NowFlag = None,
) -> None:
    """Make every report of a week again from its evidence.

    No server is asked, and the evidence is not changed. The same release file gives the same files again; one with
    another objective, price, maintenance window or KPI is followed. A query that the evidence does not hold is named,
    and what rests on it has no data. While days are still to come the command ends with exit code 4, as run does.

    Example: postga rebuild release.yaml --output-dir week
    """
    from observability.archive import Archive
    from observability.layout import Layout
    from observability.model import DAYS_BEFORE, LAST_DAY
    from observability.release import load
    from observability.sources.recording import Forgotten
    from observability.store import Store
    from observability.week import Week, stage_count

    found = load(release)
    layout = Layout(Store(output_dir), found.services)
    source = Forgotten(output_dir, found.plan, found.calendar)
    with alone_in(layout), commands.stage_progress(stage_count(found)) as (report, warn):
        server = source.info(found.plan).prometheus
        lacking = Archive(found, layout).lacking(range(-DAYS_BEFORE, LAST_DAY + 1), server)
        if lacking:
            warn(_lacking(lacking))
        week = Week(
            release=found,
            source=source,
            layout=layout,
            identity=server,
            now=commands.the_present(now),
            report=report,
            warn=warn,
            afresh=True,
            folder=str(release.parent.absolute()),
        )
        index = week.run()
    conclude(week, index, as_json)


def _lacking(lacking: Mapping[str, Sequence[int]]) -> str:
    """One sentence on the queries that some days' evidence does not hold."""
    queries = "; ".join(f"{name} (day {commands.spans(days)})" for name, days in lacking.items())
    return (
        f"the evidence does not hold these queries as the release asks them: {queries}; what rests on them has no data"
    )
