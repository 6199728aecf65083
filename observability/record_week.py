"""Record a week from a live server, without verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import NowFlag, UrlFlag
from observability.errors import NotEnoughDataError
from observability.folder import alone_in

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.gather import Gathered
    from observability.model import Samples

Report = Callable[[int, "Gathered | None"], None]


def main(
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release file (YAML).")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the recording.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was recorded as JSON.")] = False,
    prometheus_url: UrlFlag = None,
    now: NowFlag = None,
) -> None:
    """Record a week from a server, without verdicts.

    Every day that is over, from the seventh before GA to the seventh after it, becomes a file below evidence/; any
    stage then runs on the folder with --recording. Days that are at hand are not asked for again, so the same command
    carries on after a stop, or on the next day. While days are still to come it ends with exit code 4, and so it does
    when there was no data at all.

    Example: postga record release.yaml --prometheus-url http://localhost:9090 --output-dir recording
    """
    from observability import gather, stages, waiting
    from observability.layout import RECORDING, Layout
    from observability.model import DAYS_BEFORE, LAST_DAY
    from observability.release import load
    from observability.store import Store

    found = commands.with_url(load(release), prometheus_url)
    layout, source = Layout(Store(output_dir), found.services), gather.open_source(found)
    present = waiting.settled(found.calendar, now)
    days = range(-DAYS_BEFORE, LAST_DAY + 1)
    over = [number for number in days if present >= found.calendar.window(number).end]
    with alone_in(layout), _progress(len(over)) as (report, warn):
        there = stages.record(found, source, layout, over, report, warn)
    without = [number for number in over if number not in there]
    where = layout.store.location(RECORDING)
    if there:
        _print(as_json, where, there, without, days[len(over) :])
    _end(found, there, without, days[len(over) :])


def _print(as_json: bool, where: str, there: Sequence[int], without: Sequence[int], to_come: Sequence[int]) -> None:
    import json

    found = {"recording": where, "days": [*there], "without_data": [*without], "to_come": [*to_come]}
    print(json.dumps(found, indent=2) if as_json else where)


def _end(release: Release, there: Sequence[int], without: Sequence[int], to_come: Sequence[int]) -> None:
    """Name the days without data; days to come, or no data at all, are an error."""
    from observability.model import format_instant

    if without:
        commands.warn(f"no data of day {commands.spans(without)}.")
    if to_come:
        ends = format_instant(release.calendar.window(to_come[0]).end)
        raise NotEnoughDataError(
            f"{len(there)} days are recorded, and day {to_come[0]} ends at {ends}; run the same command then."
        )
    if not there:
        raise NotEnoughDataError(
            f"No KPI returned data from {release.prometheus.url} for any day; check the GA time, the services "
            f"({', '.join(release.services)}) and the KPIs' queries."
        )


@contextmanager
def _progress(total: int) -> Iterator[tuple[Report, Callable[[str], None]]]:
    """One line per day on stderr, and on a terminal a bar below them: days, values and the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    values = TextColumn("days, {task.fields[values]:,} values,")
    columns = (BarColumn(), MofNCompleteColumn(), values, TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, seen = bar.add_task("", total=total, values=0), 0

        def report(number: int, found: Gathered | None) -> None:
            nonlocal seen
            count = 0 if found is None else _count(found.services)
            seen += count
            state = "no data" if found is None else "recorded" if found.asked else "at hand"
            console.print(f"day {number:>2} {count:>12,} values  {state}", markup=False)
            bar.update(task, advance=1, values=seen)

        yield report, lambda text: console.print(f"warning: {text}", markup=False)


def _count(services: Mapping[str, Samples]) -> int:
    """How many values there are, over all services, columns and steps."""
    return sum(int((values == values).sum()) for each in services.values() for values in each.columns.values())
