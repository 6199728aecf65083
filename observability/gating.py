"""What the gate reads: the day before the release at full step, and the same clock time of the six days before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from observability.definitions import Release
from observability.errors import NotEnoughDataError
from observability.judgement.gate_windows import Clock, History, margin
from observability.model import DAYS_BEFORE, Samples, Window

if TYPE_CHECKING:
    from observability.sources import Source

Advance = Callable[[str, float], None]


def read(release: Release, source: Source, window: Window, advance: Advance) -> dict[str, History]:
    """Service → what is judged, ``window``, and its history, as far as the source has it.

    Seven questions to the source, each of all queries. Raises ``NotEnoughDataError`` where a recording does not hold
    the window itself.
    """
    steps, step = window.steps(release.step_s), release.step
    around = margin(release, steps)
    advance("the day before", 0.0)
    start = window.start - release.day - around * step
    recent = _fetch(release, source, Window(start=start, end=window.end), needed=window)
    zero = (window.start - start) // step
    stretches: dict[int, tuple[Mapping[str, Samples], int]] = {1: (recent, zero - release.day // step)}
    for back in range(2, DAYS_BEFORE + 1):
        advance(f"the same time {back} days before", (back - 1) / DAYS_BEFORE)
        same = Window(
            start=window.start - back * release.day - around * step,
            end=window.end - back * release.day + around * step,
        )
        stretches[back] = (_fetch(release, source, same), around)
    return {
        service: History(
            service=service,
            since=window.start,
            steps=steps,
            margin=around,
            recent=Clock(recent[service], zero),
            earlier={back: Clock(found[service], at) for back, (found, at) in stretches.items()},
        )
        for service in release.services
    }


def aligned(release: Release, since: datetime) -> datetime:
    """The first border of the release's steps from ``since`` on: no step began before."""
    return release.ga - (release.ga - since) // release.step * release.step


def _fetch(release: Release, source: Source, window: Window, needed: Window | None = None) -> dict[str, Samples]:
    """A recording is asked day by day. What it does not hold is no data, unless it is ``needed``."""
    from observability.sources.recording import Recording

    if not isinstance(source, Recording):
        return source.fetch(release.plan, window)
    pieces = []
    for piece in _by_days(source, window):
        try:
            pieces.append(source.fetch(release.plan, piece))
        except NotEnoughDataError:
            if needed is not None and piece.end > needed.start:
                raise
            pieces.append({name: Samples(name, piece, release.step_s, {}) for name in release.services})
    return {name: _joined([piece[name] for piece in pieces], window) for name in release.services}


def _by_days(source: Source, window: Window) -> list[Window]:
    """The parts of the window in each of the recorded days."""
    from observability.sources.recording import Recording

    assert isinstance(source, Recording)
    calendar, parts, start = source.recorded.calendar, list[Window](), window.start
    while start < window.end:
        end = min(calendar.window(calendar.number(start)).end, window.end)
        parts.append(Window(start=start, end=end))
        start = end
    return parts


def _joined(parts: list[Samples], window: Window) -> Samples:
    """The parts one after the other. A column that one of them lacks has no data there."""
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {
        name: np.concatenate([part.columns.get(name, np.full(part.steps, _absent(name))) for part in parts])
        for name in names
    }
    warnings = tuple(dict.fromkeys(text for part in parts for text in part.warnings))
    return replace(parts[0], window=window, columns=columns, warnings=warnings)


def _absent(column: str) -> float:
    """What a column that is not there stands for, by the rules of ``Samples``."""
    if column.endswith((".earlier", ".started", ".unknown")):
        return 0.0
    return 1.0 if column.endswith(".seen") else np.nan
