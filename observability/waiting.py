"""Waiting for a day to be over, with a bar on a terminal and a line an hour in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from observability import commands

if TYPE_CHECKING:
    from observability.model import Calendar, Window

WAIT_AT_MOST = timedelta(minutes=5)
SETTLED = timedelta(minutes=1)  # after its end, a day's last samples have reached the server: a scrape, and its writing
LOGGED_EVERY = timedelta(hours=1)
LONGEST_NAP_S = 30.0
LONGEST_NAP_ON_A_TERMINAL_S = 1.0

Show = Callable[[datetime], None]


def wait_until_over(window: Window, what: str, now: str | None, at_most: timedelta | None) -> datetime:
    """Sleep until the window is over and its last samples are there, if it ends no later than ``at_most`` from now; the
    present afterwards.

    With ``--now`` nothing is waited for. Nothing is kept of the wait, so it can be stopped and begun again.
    """
    present, until = commands.the_present(now), window.end + SETTLED
    if now is not None or present >= until or (at_most is not None and window.end - present > at_most):
        return present
    with _shown(window, what, present) as show:
        while present < until:
            show(present)
            nap = LONGEST_NAP_ON_A_TERMINAL_S if sys.stderr.isatty() else LONGEST_NAP_S
            time.sleep(min((until - present).total_seconds(), nap))
            present = commands.the_present(None)
    return present


def settled(calendar: Calendar, now: str | None) -> datetime:
    """The present, a minute after the end of the last day that is over at least: the rest of it is slept.

    With ``--now`` nothing is waited for.
    """
    from observability.model import DAYS_BEFORE, LAST_DAY

    present = commands.the_present(now)
    ended = calendar.window(calendar.number(present) - 1).end
    if now is not None or present >= ended + SETTLED or not -DAYS_BEFORE < calendar.number(present) <= LAST_DAY + 1:
        return present
    left = ended + SETTLED - present
    print(f"waiting {_shorter(left)} for the last samples of the day that has just ended.", file=sys.stderr)
    time.sleep(left.total_seconds())
    return ended + SETTLED


@contextmanager
def _shown(window: Window, what: str, begun: datetime) -> Iterator[Show]:
    from observability.model import format_instant

    print(f"{what} ends at {format_instant(window.end)}; waiting for it.", file=sys.stderr)
    if sys.stderr.isatty():
        with _bar(window) as show:
            yield show
    else:
        yield _log(window, what, begun)


def _log(window: Window, what: str, said: datetime) -> Show:
    """At most one line an hour, the first an hour after ``said``."""

    def show(present: datetime) -> None:
        nonlocal said
        if present - said >= LOGGED_EVERY and present < window.end:
            print(f"{what}: {_shorter(window.end - present)} to go.", file=sys.stderr, flush=True)
            said = present

    return show


@contextmanager
def _bar(window: Window) -> Iterator[Show]:
    """How much of the window is over and how much is left, whenever the command was started."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.fields[over]} over"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=1) as bar:
        task = bar.add_task("", total=window.seconds, over=_shorter(timedelta()))

        def show(present: datetime) -> None:
            over, left = present - window.start, window.end - present
            text = f"{_shorter(left)} left" if left > timedelta() else "until its last samples are there"
            bar.update(task, completed=over.total_seconds(), over=_shorter(over), description=text)

        yield show


def _shorter(length: timedelta) -> timedelta:
    """In whole seconds, as it is printed; what has not begun is 0."""
    return timedelta(seconds=max(0, round(length.total_seconds())))
