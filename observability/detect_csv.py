"""`detect --csv` as a command: what it is asked for, what it tells of each file, and how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from observability import commands
from observability.errors import ConfigError, NotEnoughDataError

if TYPE_CHECKING:
    from observability.definitions import Channel
    from observability.score_csv import Count, Report

FLAGS = {"out", "timestamp_column", "value_column", "channel", "plot", "as_json"}
MOST_LEVELS = 10  # of one channel and file, that are told one by one


def check_flags(context: typer.Context) -> None:
    """With --csv there is no release, and without it nothing that the other flags could be about."""
    given = [
        parameter
        for parameter in context.command.params
        if (source := context.get_parameter_source(parameter.name or "")) and source.name == "COMMANDLINE"
    ]
    names = {parameter.name for parameter in given}
    is_csv, either = "csv" in names, {"csv", *({"as_json"} if "follow" in names else ())}
    for parameter in given:
        if parameter.name in either or (parameter.name in FLAGS) == is_csv:
            continue
        if is_csv:
            raise ConfigError(f"{parameter.opts[0]} is about a release, and --csv about files; leave one of them out.")
        raise ConfigError(f"{parameter.opts[0]} is about the files of --csv; name them, or leave it out.")


def run(
    given: Sequence[str],
    out: Path | None,
    timestamp_column: str | None,
    value_column: str | None,
    channels: Sequence[str],
    plot: bool,
    as_json: bool,
) -> None:
    """Score the files, tell of each, and end with an error if one could not be read, or nothing could be scored."""
    from observability.csv_files import STDOUT, jobs
    from observability.csv_series import Columns
    from observability.score_csv import score_files

    if out is None:
        raise ConfigError("--csv needs --out: the file for the scores, or the folder for those of several files.")
    if out == STDOUT and as_json:
        raise ConfigError("--out - and --json would both print to stdout; name a file with --out.")
    todo = jobs(given, out, plot)
    reports: list[Report] = []
    with _stoppable(len(todo), reports, out == STDOUT), commands.progress("scoring") as advance:
        for report in score_files(todo, Columns(timestamp_column, value_column), _channels(channels), advance):
            reports.append(report)  # noqa: PERF402 - what a stop leaves is told from them
    for report in reports:
        _tell(report, len(reports) == 1)
    if as_json:
        shown = {"files": [report.model_dump(mode="json") for report in reports]}
        print(json.dumps(shown, indent=2, allow_nan=False))
    elif out != STDOUT:
        commands.say(*(str(path) for report in reports for path in (report.out, report.plot) if path is not None))
    _end(reports)


@contextmanager
def _stoppable(files: int, reports: Sequence[Report], is_printed: bool) -> Iterator[None]:
    """A stop says how far it came."""
    try:
        yield
    except commands.Stopped as stopped:
        written = sum(report.out is not None for report in reports)
        left = f"{written:,} of {files:,} files are written" if written else "nothing was written"
        stopped.left = "what was printed may end early" if is_printed else left
        raise


def _channels(texts: Collection[str]) -> list[Channel]:
    from observability.definitions import DEFAULT_CHANNELS
    from observability.detection.channels import parse_channel

    found = [parse_channel(text) for text in texts] or [*DEFAULT_CHANNELS]
    names = [channel.name for channel in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"--channel names {twice} twice, and its columns would bear the same names; name it once.")
    return found


def _tell(report: Report, is_alone: bool) -> None:
    """A line of figures, and a line for everything that is unusual. What an error will say of the only file is left
    to it."""
    if report.error is not None:
        if not is_alone:
            print(f"error: {report.error}", file=sys.stderr)
        return
    found = [_found(name, count) for name, count in report.channels.items()]
    rows = f"{report.rows:,} rows, {report.missing:,} missing, {report.late:,} late"
    print(f"{report.csv}: {rows}{_span(report)}; {', '.join(found)}", file=sys.stderr)
    for text in _levels(report):
        print(f"{report.csv}: {text}", file=sys.stderr)
    for text in (*report.warnings, *([] if is_alone or not report.no_data else [report.no_data])):
        commands.warn(f"{report.csv}: {text}")


def _found(name: str, count: Count) -> str:
    settled = sum(level.settled for level in count.new_levels)
    levels = f", {_counted(settled, 'new level')}" if settled else ""
    moving = f", {len(count.new_levels) - settled:,} still moving" if settled < len(count.new_levels) else ""
    return f"{name} {_counted(count.alarms, 'alarm')} of {count.scored:,} scored{levels}{moving}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _levels(report: Report) -> Iterator[str]:
    from observability.model import format_instant
    from observability.units import format_duration, format_value

    for name, count in report.channels.items():
        for level in count.new_levels[:MOST_LEVELS]:
            values = f"{format_value(level.before, '')} → {format_value(level.after, '')}"
            noticed = f"noticed {format_duration((level.noticed - level.since).total_seconds())} later"
            told = f"{noticed}, {_counted(level.alarms, 'alarm')} on the way"
            since = format_instant(level.since)
            new = f"new level: {values} since {since}"
            moving = f"has not come back since {since}, still moving: {values}"
            yield f"{name}: {new if level.settled else moving} ({told})"
        if len(count.new_levels) > MOST_LEVELS:
            yield f"{name}: {len(count.new_levels) - MOST_LEVELS:,} later ones are in the --json report"


def _span(report: Report) -> str:
    from observability.model import format_instant

    if report.first is None or report.last is None:
        return ""
    return f"; {format_instant(report.first)} to {format_instant(report.last)}"


def _end(reports: Sequence[Report]) -> None:
    """Nothing, if every file could be read and one of them scored."""
    failed = [report for report in reports if report.error is not None]
    without = [report for report in reports if report.exit_code]
    kind = ConfigError if any(report.exit_code == ConfigError.exit_code for report in without) else NotEnoughDataError
    if len(reports) == 1 and without:
        report = reports[0]
        raise kind(report.error or f"{report.csv}: {report.no_data}")
    if len(without) == len(reports):
        raise kind(f"None of the {len(reports)} files could be scored.")
    if failed:
        raise kind(f"{len(failed)} of the {len(reports)} files could not be read; the others are scored.")
