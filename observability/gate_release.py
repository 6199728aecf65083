"""`postga gate`: may the release go on? Judged now, from minutes, for a step of a deployment pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import NowFlag, RecordingFlag, UrlFlag
from observability.errors import ConfigError

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.model import Window
    from observability.verdicts import GateReport

SHORTEST = timedelta(minutes=1)
LONGEST_SHARE = 4  # of a day: beyond a quarter of it, the week's judgement is the better one
EXIT = {"pass": 0, "fail": 1, "inconclusive": 4, "no data": 4}
WORST_FIRST = ("fail", "no data", "inconclusive", "pass")


def main(
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release file (YAML).")],
    since: Annotated[
        str, typer.Option(help="From when on: GA, or an instant such as 2025-11-18T09:30:00Z, the deployment's.")
    ] = "GA",
    window: Annotated[
        str, typer.Option(help="How long from there, e.g. 30m; of it, what has passed is judged.")
    ] = "30m",
    service: Annotated[
        list[str] | None, typer.Option(help="Only this service; can be given several times. [default: all]")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the whole window has passed.")] = False,
    prometheus_url: UrlFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Judge the minutes since a release, for use in a deployment pipeline.

    Each KPI is held against the same clock time of the seven days before, and against what such windows differ by
    without a release. A service fails for a severe worsening (beyond 30 %, or of errors) that is real and goes on, and
    for an error budget that burns so fast that it pages. It passes only where both are excluded; too little traffic,
    history or time is inconclusive.

    Exit codes: 0 all services pass, 1 one fails, 4 none fails and one is inconclusive or without data.

    Example: postga gate release.yaml --since GA --window 30m

    In a pipeline: postga gate release.yaml --since "$DEPLOYED_AT" --wait --json > gate.json
    """
    from observability.release import load

    chosen = _of_services(commands.with_url(load(release), prometheus_url), service or ())
    whole = _window(chosen, since, window)
    reports = _reports(chosen, whole, recording, _present(whole, now, wait))
    reports.sort(key=lambda report: WORST_FIRST.index(report.verdict))
    if as_json:
        print(json.dumps({"services": [one.model_dump(mode="json") for one in reports]}, indent=2, allow_nan=False))
    else:
        from observability.gate_text import gate_text

        print("\n\n".join(gate_text(report) for report in reports))
    raise typer.Exit(exit_code(reports))


def exit_code(reports: Sequence[GateReport]) -> int:
    """1 for a failure, else 4 where something is open."""
    codes = {EXIT[report.verdict] for report in reports}
    return 1 if 1 in codes else max(codes)


def _of_services(release: Release, names: Sequence[str]) -> Release:
    unknown = [name for name in names if name not in release.services]
    if unknown:
        raise ConfigError(f"--service: there is no service '{unknown[0]}'; there are {', '.join(release.services)}.")
    return release.model_copy(update={"services": tuple(dict.fromkeys(names))}) if names else release


def _window(release: Release, since: str, length: str) -> Window:
    """The whole window, in whole steps, whether or not it has passed."""
    from observability import gating
    from observability.model import Window

    asked, longest = commands.duration("--window", length), release.day / LONGEST_SHARE
    least = max(SHORTEST, release.step)
    if not least <= asked <= longest:
        raise ConfigError(
            f"--window {length} is not between {least.total_seconds():g} s and {longest.total_seconds() / 3600:g} h; "
            "for longer times, use postga run."
        )
    start = gating.aligned(release, release.ga if since == "GA" else commands.instant("--since", since))
    return Window(start=start, end=start + asked // release.step * release.step)


def _present(window: Window, now: str | None, wait: bool) -> datetime:
    """The present, less the time that samples take to reach the server; with ``wait``, once the window is over."""
    from observability.waiting import SETTLED, wait_until_over

    present = wait_until_over(window, "the window", now, None) if wait else commands.the_present(now)
    return present - SETTLED


def _reports(release: Release, whole: Window, recording: Path | None, settled: datetime) -> list[GateReport]:
    from observability import gather, gating
    from observability.judgement.gate import judge, not_begun

    passed = gather.whole_steps(release, whole, settled)
    if passed is None or passed.end - passed.start < SHORTEST:
        return [not_begun(release, name, whole, _too_early(whole, settled)) for name in release.services]
    source = gather.open_source(release, recording)
    with commands.progress("reading") as advance:
        histories = gating.read(release, source, passed, advance)
    return [judge(release, history) for history in histories.values()]


def _too_early(whole: Window, settled: datetime) -> str:
    from observability.model import format_instant
    from observability.waiting import SETTLED

    when = format_instant(whole.start)
    if whole.start > settled + SETTLED:
        return f"The window begins at {when}, which is still to come; check --since, or run this again then."
    return f"Less than a minute since {when} has passed and reached the server; run this again later."
