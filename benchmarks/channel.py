"""The channel that is measured: the settings it ran with, and others near to them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

import numpy as np

from observability.definitions import Channel
from observability.detection import channels

OFF_BY = 0.25
UP_TO = 2.0


def settings(channel: Channel) -> dict[str, Any]:
    """Name, threshold and parameters, with the shipped ones where the channel names no others."""
    return {
        "channel": channel.name,
        "threshold": channels.bank_of(channel, 1).threshold,
        "parameters": {**channels.parameters(channel.name), **channel.parameters},
    }


def settings_table(measured: dict[str, Any]) -> list[str]:
    """The settings in Markdown, with every digit that they have."""
    rows = {"threshold": measured["threshold"], **measured["parameters"]}
    head = [f"| {measured['channel']} | measured with |", "|---|---:|"]
    return [*head, *(f"| `{name}` | {value!r} |" for name, value in rows.items())]


def jittered(channel: Channel, draws: int, seed: int) -> list[Channel]:
    """The channel ``draws`` times, each of its numbers times a random factor from 1 − OFF_BY to 1 + OFF_BY.

    What was a whole number stays one. The threshold is as it was.

    Raises
    ------
    ConfigError
        The detector refuses one of the numbers.
    """
    rng = np.random.default_rng(seed)
    return _drawn(channel, draws, lambda: rng.uniform(1 - OFF_BY, 1 + OFF_BY))


def scattered(channel: Channel, draws: int, seed: int) -> list[Channel]:
    """As ``jittered``, further off: the factors are log-uniform from 1/UP_TO to UP_TO."""
    rng = np.random.default_rng(seed)
    return _drawn(channel, draws, lambda: UP_TO ** rng.uniform(-1, 1))


def at_least(least: int) -> Callable[[str], int]:
    """Reads a flag that is a whole number."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        return int(text)

    return read


def _drawn(channel: Channel, draws: int, factor: Callable[[], float]) -> list[Channel]:
    numbers = settings(channel)["parameters"]
    sets = [{name: _off(value, factor()) for name, value in numbers.items()} for _ in range(draws)]
    drawn = [channel.model_copy(update={"parameters": off}) for off in sets]
    for one in drawn:
        channels.bank_of(one, 0)
    return drawn


def _off(value: Any, factor: float) -> Any:
    if isinstance(value, bool | str):
        return value
    return round(value * factor) if isinstance(value, int) else value * factor
