"""Check a release file, and ask its server whether the queries return anything."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import NowFlag, UrlFlag
from observability.errors import ConfigError, NotEnoughDataError

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.probed import Probe
    from observability.release_yaml import Problem

COLOURS = {"error": "red", "no data": "red", "warning": "yellow", "note": "dim"}
MOST_NAMED = 4


def main(
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release file (YAML).")],
    probe: Annotated[
        bool, typer.Option("--probe", help="Ask the server too: does each query return data, and what will it cost?")
    ] = False,
    prometheus_url: UrlFlag = None,
    now: NowFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Check a release file, and with --probe its queries on the server.

    Every problem is printed with its line, and ends the command with exit code 2. The probe asks for one hour of
    every query: the last one of the GA day, or the last one before --now while that is still to come. It says what is
    missing and why, and estimates what the fifteen days will cost. A query that cannot be used ends it with exit code
    2, a service without data with 4.

    Example: postga validate release.yaml --probe
    """
    from observability.release import examine

    found, problems = examine(release)
    if not as_json:
        for problem in problems:
            _print(problem.sentence(str(release)), problem.severity)
    probed = _probe(commands.with_url(found, prometheus_url), now) if found is not None and probe else None
    if as_json:
        print(json.dumps(_data(problems, probed), indent=2, ensure_ascii=False))
    elif found is not None and probed is not None:
        _show(probed, found)
    if found is None:
        raise ConfigError(_not_usable(release, problems, probe))
    print(f"{release}: {_summary(found)}", file=sys.stderr)
    if probed is not None:
        _judge(probed)


def _probe(release: Release, now: str | None) -> Probe:
    from observability import probe
    from observability.sources.prometheus import Prometheus

    server = Prometheus(release.prometheus)
    with commands.progress(f"asking {server.url}") as advance:
        return probe.probe(release, server, commands.the_present(now), time.perf_counter, advance)


def _show(probed: Probe, release: Release) -> None:
    from observability import probe_table

    print(probe_table.heading(probed))
    for line in (*probe_table.table(probed), probe_table.total(probed)):
        print(line)
    for severity, sentence in probe_table.sentences(probed, release.services):
        _print(sentence, severity)


def _print(line: str, severity: str) -> None:
    """In colour on a terminal, whole and plain in a pipe."""
    if not sys.stdout.isatty():
        print(line)
        return
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(line, style=COLOURS[severity], markup=False)


def _data(problems: Sequence[Problem], probed: Probe | None) -> dict[str, object]:
    from dataclasses import asdict

    data: dict[str, object] = {"problems": [asdict(problem) for problem in problems]}
    if probed is not None:
        whole = probed.model_dump(mode="json")
        data["probe"] = whole.pop("queries")
        data |= whole
    return data


def _summary(release: Release) -> str:
    """What a file that can be used describes."""
    from observability.model import DAYS_BEFORE, LAST_DAY, format_instant

    calendar = release.calendar
    days = DAYS_BEFORE + 1 + LAST_DAY
    start, end = calendar.window(-DAYS_BEFORE).start, calendar.window(LAST_DAY).end
    counts = [
        _counted(len(release.services), "service"),
        f"{_counted(len(release.kpis), 'KPI')} from {_counted(len(release.plan.queries), 'query', 'queries')}",
        _counted(len(release.slos), "objective"),
        *([_counted(len(release.maintenance), "maintenance window")] if release.maintenance else []),
        f"{days} days from {format_instant(start)} to {format_instant(end)}",
    ]
    return ", ".join(counts)


def _counted(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def _not_usable(path: Path, problems: Sequence[Problem], probe: bool) -> str:
    errors = _counted(sum(problem.severity == "error" for problem in problems), "problem")
    unasked = "; the server was not asked" if probe else ""
    return f"{path} has {errors}{unasked}; correct the file and run the command again."


def _judge(probed: Probe) -> None:
    """End with the exit code of the worst finding."""
    errors = {finding.query for finding in probed.findings if finding.severity == "error"}
    lacking = {finding.query for finding in probed.findings if finding.severity == "no data"}
    if errors:
        raise ConfigError(f"The server cannot answer {_listed(errors)} as needed; correct the release file.")
    if lacking:
        raise NotEnoughDataError(
            f"The server lacks data of {_listed(lacking)}, for one service or for all; correct the release file, or "
            "leave out with `only` the KPIs that there is nothing of."
        )


def _listed(queries: set[str]) -> str:
    return f"{len(queries)} queries" if len(queries) > MOST_NAMED else ", ".join(sorted(queries))
