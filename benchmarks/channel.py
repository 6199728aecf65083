"""The channel that is measured: the settings it ran with, and others near to them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
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
    """The channel ``draws`` times, its parameters ``nearby``; the threshold is as it was.

    Raises
    ------
    ConfigError
        The detector refuses one of the numbers.
    """
    return _checked(channel, nearby(settings(channel)["parameters"], draws, seed))


def nearby(numbers: Mapping[str, Any], draws: int, seed: int) -> list[dict[str, Any]]:
    """The numbers ``draws`` times, each times a random factor from 1 − OFF_BY to 1 + OFF_BY. What was a whole number
    stays one; text and flags are as they were."""
    rng = np.random.default_rng(seed)
    return _drawn(numbers, draws, lambda: rng.uniform(1 - OFF_BY, 1 + OFF_BY))


def scattered(channel: Channel, draws: int, seed: int) -> list[Channel]:
    """As ``jittered``, further off: the factors are log-uniform from 1/UP_TO to UP_TO."""
    rng = np.random.default_rng(seed)
    return _checked(channel, _drawn(settings(channel)["parameters"], draws, lambda: UP_TO ** rng.uniform(-1, 1)))


def at_least(least: int) -> Callable[[str], int]:
    """Reads a flag that is a whole number."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        return int(text)

    return read


def _drawn(numbers: Mapping[str, Any], draws: int, factor: Callable[[], float]) -> list[dict[str, Any]]:
    return [{name: _off(value, factor()) for name, value in numbers.items()} for _ in range(draws)]


def _checked(channel: Channel, sets: Sequence[dict[str, Any]]) -> list[Channel]:
    drawn = [channel.model_copy(update={"parameters": off}) for off in sets]
    for one in drawn:
        channels.bank_of(one, 0)
    return drawn


def _off(value: Any, factor: float) -> Any:
    if isinstance(value, bool | str):
        return value
    return round(value * factor) if isinstance(value, int) else value * factor
