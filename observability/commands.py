"""What all commands share: the flags' types, the clock, progress on stderr, and how a command ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from errno import EDQUOT, EFBIG, ENOSPC
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from observability.errors import ConfigError, PostgaError

if TYPE_CHECKING:
    from observability.definitions import Release
    from observability.layout import Layout

UrlFlag = Annotated[
    str | None,
    typer.Option(
        "--prometheus-url",
        envvar="PROMETHEUS_URL",
        help="Prometheus' base URL. [default: the release file's, else http://localhost:9090]",
        show_default=False,
    ),
]
ReleaseFlag = Annotated[
    Path | None, typer.Option("--release", help="Release file (YAML). Without it: one service named 'default'.")
]
RecordingFlag = Annotated[
    Path | None, typer.Option("--recording", help="Read the samples from this recording instead of a server.")
]
GaBaselineFlag = Annotated[
    Path, typer.Option("--ga-baseline", help="The GA summary; the week before GA lies beside it.")
]
SummariesFlag = Annotated[Path, typer.Option("--7day-summaries", help="Folder of the day summaries.")]
NowFlag = Annotated[
    str | None, typer.Option("--now", help="Take this instant for the present, e.g. 2025-11-26T00:00:00Z.")
]


def run(command: Callable[..., Any]) -> None:
    """Run one stage command as a program."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)
    end(app)


FULL = {EDQUOT, EFBIG, ENOSPC}


class Stopped(BaseException):
    """A signal asked the command to end. No ``Exception``, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number  # as shells have it
        self.said = "interrupted" if number == signal.SIGINT else "stopped"
        self.left = "what was written is whole; the same command carries on"


def _stop(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait
    raise Stopped(number)


def end(app: typer.Typer) -> None:
    """Run the app; an error becomes one sentence on stderr and its exit code, never a traceback. Ctrl-C and SIGTERM
    end it with 130 and 143."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # rather a ? than no table where the terminal has no such letter
    try:
        _run(app)
    except PostgaError as error:
        print(f"error: {error}", file=sys.stderr)
        give_up_stdout()
        raise SystemExit(error.exit_code) from None
    except Stopped as stopped:
        print(f"{stopped.said}: {stopped.left}.", file=sys.stderr)
        raise SystemExit(stopped.exit_code) from None
    except BrokenPipeError:
        give_up_stdout()
        raise SystemExit(0) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            give_up_stdout()
            where = error.filename or "the output"
            print(f"error: {where} cannot be written ({error.strerror}); make room and run it again.", file=sys.stderr)
            raise SystemExit(ConfigError.exit_code) from None
        if os.environ.get("POSTGA_DEBUG"):
            raise
        text = f"bug: {type(error).__name__}: {error}; please report it with the output of POSTGA_DEBUG=1."
        print(text, file=sys.stderr)
        raise SystemExit(70) from None


def _run(app: typer.Typer) -> None:
    """The app, and what it printed on its way, so that what cannot be written is known while it can still be told."""
    try:
        app()
    except SystemExit:  # typer's end
        sys.stdout.flush()
        raise


def give_up_stdout() -> None:
    """What cannot be written is dropped, before the interpreter tries again at its end and has an error of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def the_present(now: str | None) -> datetime:
    """The instant that ``--now`` gives, else the system's clock."""
    return instant("--now", now) if now is not None else datetime.now(UTC)


def instant(flag: str, text: str) -> datetime:
    """The instant that a flag gives."""
    from observability.model import parse_instant

    try:
        return parse_instant(text)
    except ConfigError as error:
        raise ConfigError(f"{flag} {error}") from None


def duration(flag: str, text: str) -> timedelta:
    """The duration that a flag gives, as in 30s."""
    from observability.model import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}.") from None


def the_release(path: Path | None, url: str | None, ga: Callable[[], datetime]) -> Release:
    """The release file with the URL flag laid over it, or what the flags alone describe; ``ga`` is then asked for."""
    from observability.model import DEFAULT_URL
    from observability.release import flags_release, load

    if path is None:
        return flags_release(ga(), DEFAULT_URL if url is None else url)
    return with_url(load(path), url)


def with_url(release: Release, url: str | None) -> Release:
    """The release, asked of another server if a flag names one."""
    if url is None:
        return release
    return release.model_copy(update={"prometheus": release.prometheus.model_copy(update={"url": url})})


def layout_of(release: Release, folder: Path, default: str) -> Layout:
    """Where the artifacts lie when ``folder`` is the one that a flag names.

    A folder with the documents' name has its siblings beside it; any other folder holds everything by itself.
    """
    from observability.layout import Layout
    from observability.store import Store

    root = root_of(folder)
    name = "." if root == folder else folder.name
    return Layout(Store(root), release.services, **{f"{default}_dir": name})


def root_of(folder: Path) -> Path:
    """The folder that a release's artifacts lie below, from the one of them that a flag names."""
    from observability.layout import GA_DIR, STABILITY_DIR

    return folder.parent if folder.name in {GA_DIR, STABILITY_DIR} else folder


class Advance(Protocol):
    """Told what is being done and, where it is known, how much of it is, from 0 to 1."""

    def __call__(self, text: str, share: float | None = None, /) -> None: ...


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar on stderr while it is a terminal, else nothing: pipes and logs stay quiet."""
    if not sys.stderr.isatty():
        yield lambda text, share=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20), TaskProgressColumn())
    console, to_terminal = Console(stderr=True, soft_wrap=True), sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=to_terminal) as bar:
        task = bar.add_task(what, total=None)

        def advance(text: str, share: float | None = None, /) -> None:
            bar.update(task, description=f"{what}: {text}", completed=share or 0.0)
            bar.tasks[task].total = None if share is None else 1.0  # a bar without a total only moves

        yield advance


@contextmanager
def stage_progress(total: int) -> Iterator[tuple[Callable[[str, bool], None], Callable[[str], None]]]:
    """One line per stage on stderr as it ends, with its duration, and on a terminal a bar below them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        begun = time.monotonic()

        def report(stage: str, ran: bool) -> None:
            nonlocal begun
            now = time.monotonic()
            console.print(f"{stage:<44} {f'{now - begun:6.1f} s' if ran else 'unchanged'}", markup=False)
            bar.advance(task)
            begun = now

        yield report, lambda text: console.print(f"warning: {text}", markup=False)


def warn(text: str) -> None:
    """Something that the user should know, on stderr."""
    print(f"warning: {text}", file=sys.stderr)


def spans(days: Sequence[int]) -> str:
    """Days in ascending order, those in a row by their ends.

    >>> spans([-7, -6, -5, 0, 3, 4])
    '-7 to -5, 0, 3 to 4'
    """
    found: list[list[int]] = []
    for day in days:
        if found and day == found[-1][-1] + 1:
            found[-1].append(day)
        else:
            found.append([day])
    return ", ".join(str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in found)


def say(*locations: str) -> None:
    """The locations that were written, one per line on stdout."""
    for location in locations:
        print(location)
