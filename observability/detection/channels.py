"""The channels by name, and a whole stretch of time scored with one of them."""

from __future__ import annotations

from collections.abc import Sequence

from observability.definitions import Channel
from observability.detection.bank import Bank, Reading
from observability.model import Array


def bank_of(channel: Channel, n: int) -> Bank:
    """The channel's detector for n series.

    Raises
    ------
    ConfigError
        No detector has that name, or it has no such parameter.
    """
    raise NotImplementedError


def track(channel: Channel, times: Sequence[Array], values: Sequence[Array]) -> list[Reading]:
    """Several series, each scored sample by sample as the online detector does: each sample is scored, then learned.

    ``times`` are seconds since the epoch and need not be the same for all series. A reading has the series' length.
    """
    raise NotImplementedError
