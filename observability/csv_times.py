"""Times from the cells of a CSV's column: ISO 8601, compact dates, and epoch times in the column's unit. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from observability.model import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_S, LATEST_S = -62_135_596_800.0, 253_402_300_799.0  # the years 1 and 9999: what a calendar can hold
# Epoch times above this are milliseconds; a thousand times as much, microseconds, and again, nanoseconds. Seconds reach
# it in the year 5138, milliseconds in 1973.
LARGEST_SECONDS = 1e11
UNITS = {1.0: "seconds", 1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}  # by how many make a second
# Smaller numbers are an index or a measurement sooner than epoch times: as seconds, they lie before March 1973.
SMALLEST_EPOCH = 1e8
HOUR_S, CLOCK_CHANGE_WITHIN_S = 3600.0, 60.0
_COMPACT = re.compile(r"((?:19|20)\d{6})(\d{6})?")  # as seconds in 1970, as milliseconds after the year 2500


class Times(NamedTuple):
    """A column of times, in arrays of shape (rows,): seconds since the epoch, NaN where there is none; whether it was
    written without a zone; and the epoch times as they stand there, NaN or ±inf where there is none."""

    seconds: Array
    zoneless: Flags
    epoch: Array

    @property
    def is_epoch(self) -> Flags:
        return np.isfinite(self.epoch)

    @property
    def unit(self) -> str:
        return UNITS[_per_second(_middle(self.epoch))]

    @property
    def are_plausible(self) -> bool:
        """Whether the column is not one of numbers too small for epoch times."""
        numbers = self.epoch[self.is_epoch]
        return 2 * numbers.size <= self.epoch.size or bool(np.median(numbers) >= SMALLEST_EPOCH)

    @property
    def in_other_unit(self) -> Flags:
        """Units lie a factor of 1,000 apart, and the epoch times of one unit since 1973 a factor of less than 100."""
        if not self.is_epoch.any():
            return self.is_epoch
        middle, size = _middle(self.epoch), np.abs(self.epoch)
        is_far = (size > 100 * middle) | (size < middle / 100)
        return is_far & (size >= SMALLEST_EPOCH) & (size <= LARGEST_SECONDS * max(UNITS))


def read_times(texts: Sequence[str]) -> Times:
    """The times of the texts.

    What is neither an ISO 8601 time (without a zone: UTC) nor a number is none. A number is an epoch time in the unit
    that the column's median has the magnitude of.
    """
    instants = [_instant(text.strip()) for text in texts]
    epoch = np.array([_epoch(text.strip()) for text in texts], dtype=np.float64)
    seconds = np.array([math.nan if one is None else _since_epoch(one) for one in instants], dtype=np.float64)
    zoneless = np.array([one is not None and one.tzinfo is None for one in instants], dtype=np.bool_)
    numeric = np.isfinite(epoch)
    if numeric.any():
        seconds[numeric] = epoch[numeric] / _per_second(_middle(epoch))
    seconds[(seconds < EARLIEST_S) | (seconds > LATEST_S)] = np.nan
    return Times(seconds, zoneless & ~numeric, epoch)


def is_clock_change(seconds: Array, zoneless: Flags, row: int) -> bool:
    """Whether the row and the one before it have no zone, and it is an hour earlier than was due."""
    placed = np.flatnonzero(np.isfinite(seconds))
    steps, at = np.diff(seconds[placed]), int(np.searchsorted(placed, row)) - 1
    behind = float(np.median(steps) - steps[at])
    return bool(zoneless[placed[at : at + 2]].all()) and abs(behind - HOUR_S) <= CLOCK_CHANGE_WITHIN_S


def _middle(epoch: Array) -> float:
    return float(np.median(np.abs(epoch[np.isfinite(epoch)])))


def _per_second(magnitude: float) -> float:
    unit = 1.0
    while magnitude > LARGEST_SECONDS * unit and unit < max(UNITS):
        unit *= 1e3
    return unit


def _epoch(text: str) -> float:
    if _COMPACT.fullmatch(text):
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _instant(text: str) -> datetime | None:
    """With the zone that the text gives; UTC may stand behind it."""
    bare = text.removesuffix(" UTC")
    if compact := _COMPACT.fullmatch(bare):
        bare = f"{compact[1]}T{compact[2] or '000000'}"
    try:
        instant = datetime.fromisoformat(bare)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None and text.endswith(" UTC") else instant


def _since_epoch(instant: datetime) -> float:
    return ((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - EPOCH).total_seconds()
