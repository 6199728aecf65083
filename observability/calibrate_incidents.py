"""`postga watch --calibrate`: which threshold gives how many incidents, in the user's own quiet time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from observability import commands

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.watching.calibration import Calibration

MOST_LINES = 20


def run(
    release: Release, recording: Path | None, start: str | None, end: str | None, wanted: float, as_json: bool
) -> None:
    """Replay the week before GA, or before now where that is earlier, or what the flags say, and print what it would
    have given."""
    from observability import gather
    from observability.errors import ConfigError
    from observability.model import DAYS_BEFORE, format_instant
    from observability.watching.calibration import calibrate

    week, now = DAYS_BEFORE * release.day, datetime.now(UTC)
    until = release.aligned(commands.instant("--end", end) if end is not None else min(release.ga, now))
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
    lines = [
        f"{start} to {end}: {found.service_weeks:.3g} weeks of services",
        "threshold  incidents  per service and week",
        *_rows(found),
        "",
        f"No threshold gives {found.wanted:g} per service and week or fewer. With the highest there would have been:"
        if found.threshold is None
        else f"At {found.threshold:g} there would have been:",
    ]
    lines += [f"  {line(incident, 'over')}" for incident in found.incidents[:MOST_LINES]] or ["  no incident"]
    if len(found.incidents) > MOST_LINES:
        lines.append(f"  and {len(found.incidents) - MOST_LINES} more (--json lists all of them)")
    lines.append(_confidence(found))
    if found.threshold is None:
        lines += ["", "Replay a quieter time (--start, --end), name what is known under `maintenance`, or want more."]
    else:
        lines += ["", "To watch with it, write into the release file:", ""]
        lines += ["incidents:", f"  threshold: {found.threshold:g}"]
    return "\n".join(lines)


def _confidence(found: Calibration) -> str:
    """How much the time says, in a line: also where nothing happened in it."""
    most = f"{found.at_most:,.0f}" if found.at_most >= 10 else f"{found.at_most:.2g}"
    sure = f"with 95 % confidence that is no more than {most} per service and week."
    if found.is_short:
        return f"The time is too short to be sure of {found.wanted:g}: {sure}"
    return sure[0].upper() + sure[1:]


def _rows(found: Calibration) -> Iterator[str]:
    """The whole thresholds and those with a mark, up to where there is no incident any more."""
    marked, before = max(found.shipped, found.in_use, found.threshold or 0.0), 0
    for rate in found.rates:
        mark, ends = _mark(found, rate.threshold), rate.threshold > marked and rate.incidents == 0
        if mark or rate.threshold % 1 == 0 or (ends and before):
            yield f"{rate.threshold:>9g}  {rate.incidents:>9,}  {rate.per_week:>20.2f}{mark}"
        if ends:
            return
        before = rate.incidents


def _mark(found: Calibration, threshold: float) -> str:
    marks = {f"at most {found.wanted:g}": found.threshold, "shipped": found.shipped}
    if found.in_use != found.shipped:
        marks["in the release file"] = found.in_use
    told = ", ".join(mark for mark, of in marks.items() if of == threshold)
    return told and f"  ← {told}"
