"""`postga watch --calibrate`: which threshold gives how many incidents, in the user's own quiet time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from observability import commands

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.watching.calibration import Calibration

STEP = 4  # of the thresholds, every so manieth is a row of the table
MOST_LINES = 20


def run(
    release: Release, recording: Path | None, start: str | None, end: str | None, wanted: float, as_json: bool
) -> None:
    """Replay the week before GA, or what the flags say, and print what it would have given."""
    from observability import gather
    from observability.errors import ConfigError
    from observability.model import DAYS_BEFORE, format_instant
    from observability.watching.calibration import calibrate

    week = DAYS_BEFORE * release.day
    until = release.aligned(commands.instant("--end", end)) if end is not None else release.ga
    since = release.aligned(commands.instant("--start", start)) if start is not None else until - week
    if until <= since:
        raise ConfigError(
            f"The time from {format_instant(since)} to {format_instant(until)} is empty; check --start and --end."
        )
    source = gather.open_source(release, recording)
    with commands.progress("calibrate") as advance:
        found = calibrate(
            release, source, _begin(release, recording, since - week, since), since, until, wanted, advance
        )
    print(found.model_dump_json(indent=2) if as_json else text(found))


def _begin(release: Release, recording: Path | None, wanted: datetime, since: datetime) -> datetime:
    """Where the warm-up begins: a recording may begin later."""
    if recording is None:
        return wanted
    from observability.sources.recording import Recording

    return min(max(wanted, release.aligned(Recording(recording).window.start)), since)


def text(found: Calibration) -> str:
    """The table, the threshold, and what it would have given."""
    from observability.model import format_instant
    from observability.watching.console import line

    start, end = map(format_instant, found.window)
    rows = [
        f"{rate.threshold:>9g}  {rate.incidents:>9,}  {rate.per_week:>20.2f}{_mark(found, rate.threshold)}"
        for number, rate in enumerate(found.rates)
        if number % STEP == 0 or _mark(found, rate.threshold)
    ]
    lines = [
        f"{start} to {end}: {found.service_weeks:g} weeks of services",
        "threshold  incidents  per service and week",
        *rows,
        "",
    ]
    if found.threshold is None:
        lines.append(
            f"No threshold gives {found.wanted:g} per service and week or fewer: these are what the highest gives"
        )
    else:
        lines.append(f"At {found.threshold:g} there would have been:")
    lines += [f"  {line(incident, 'over')}" for incident in found.incidents[:MOST_LINES]] or ["  no incident"]
    if len(found.incidents) > MOST_LINES:
        lines.append(f"  and {len(found.incidents) - MOST_LINES} more (--json lists all of them)")
    if found.threshold is not None:
        lines += [
            "",
            "To watch with it, write into the release file:",
            "",
            "incidents:",
            f"  threshold: {found.threshold:g}",
        ]
    return "\n".join(lines)


def _mark(found: Calibration, threshold: float) -> str:
    marks = {found.shipped: "shipped", found.threshold: f"at most {found.wanted:g}"}
    return f"  ← {marks[threshold]}" if threshold in marks else ""
