"""The channel that is measured: the settings it ran with, and the same ones a little off."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

import numpy as np

from observability.definitions import Channel
from observability.detection import channels

OFF_BY = 0.25


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


def jittered(channel: Channel, draws: int, seed: int) -> Iterator[Channel]:
    """The channel ``draws`` times, each of its numbers times a random factor from 1 − OFF_BY to 1 + OFF_BY.

    What was a whole number stays one. The threshold is as it was.
    """
    rng = np.random.default_rng(seed)
    numbers = settings(channel)["parameters"]
    for _ in range(draws):
        off = {name: _off(value, rng.uniform(1 - OFF_BY, 1 + OFF_BY)) for name, value in numbers.items()}
        yield channel.model_copy(update={"parameters": off})


def draws(text: str) -> int:
    """How many, from a flag."""
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"{number} draws have no median; give at least 1")
    return number


def _off(value: Any, factor: float) -> Any:
    if isinstance(value, bool | str):
        return value
    return round(value * factor) if isinstance(value, int) else value * factor
