"""The channels by name, and a whole stretch of time scored with one of them."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from observability.definitions import Channel
from observability.detection import foreign
from observability.detection.bank import Bank, Reading, Time, Track, nothing
from observability.detection.ewma import EwmaBank
from observability.detection.novelty_bank import NoveltyBank
from observability.detection.significance_bank import SignificanceBank
from observability.errors import ConfigError
from observability.model import Array

# Name → its bank, made as Bank(n, threshold=…, **parameters); the defaults in its signature are what is shipped.
OURS: Mapping[str, Callable[..., Bank]] = {
    "significance": SignificanceBank,
    "novelty": NoveltyBank,
    "ewma": EwmaBank,
}
BLOCK = 1000  # steps that are scored before they are handed on, so that a short series costs no more than it has
EXAMPLE = "GaussianScorer:threshold=0.999,window_size=300"


def bank_of(channel: Channel, n: int) -> Bank:
    """The channel's detector for n series.

    Raises
    ------
    ConfigError
        No detector has that name, or it has no such parameter.
    """
    for _, text in defects(channel):
        raise ConfigError(text[0].upper() + text[1:] + ("" if text.endswith("?") else "."))
    return _made(channel, n)


def track(
    channel: Channel,
    times: Sequence[Array],
    values: Sequence[Array],
    advance: Callable[[float], None] = lambda _: None,
) -> list[Track]:
    """Several series, each scored sample by sample as the online detector does: each sample is scored, then learned.

    ``times`` are seconds since the epoch and need not be the same for all series. A track has the series' length.
    ``advance`` is told how much is done, from 0 to 1.
    """
    bank = bank_of(channel, len(values))
    if not values:
        return []
    are_equal = all(np.array_equal(times[0], other) for other in times[1:])
    readings = [nothing(one.size) for one in values]
    steps = max(one.size for one in values)
    for first in range(0, steps, BLOCK):
        advance(first / steps)
        block = slice(first, first + BLOCK)
        samples = _side_by_side([one[block] for one in values], math.nan)
        if are_equal:
            instants: Any = times[0][block].tolist()
        else:
            instants = _side_by_side([one[block] for one in times], 0.0)
        _keep(_read(bank, instants, samples), readings, first)
    levels = bank.new_levels
    return [
        Track(*reading, tuple(level for level in levels if level.series == index))
        for index, reading in enumerate(readings)
    ]


def parameters(name: str) -> dict[str, float]:
    """The numbers that a channel can be tuned with, and their shipped values; not its threshold."""
    return {
        parameter: value
        for parameter, value in _defaults(name).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def in_effect(channel: Channel) -> dict[str, Any]:
    """The channel's threshold and all of its parameters, with the shipped values of those that it does not name."""
    threshold = bank_of(channel, 0).threshold
    return {"threshold": threshold, **_defaults(channel.name), **_given(channel)}


def parse_channel(text: str) -> Channel:
    """A channel as a flag gives it: ``NAME`` or ``NAME:threshold=5,parameter=value``.

    >>> parse_channel("ewma:threshold=4,alpha=0.01")
    Channel(name='ewma', threshold=4.0, parameters={'alpha': 0.01})

    Raises
    ------
    ConfigError
        It is not written so, or there is no such detector or parameter.
    """
    name, _, rest = text.partition(":")
    fields = [part.partition("=") for part in rest.split(",")] if rest else []
    given = {key.strip(): _value(value.strip()) for key, _, value in fields}
    if not name or not all(key.strip() and value.strip() for key, _, value in fields) or len(given) < len(fields):
        raise ConfigError(f"'{text}' is no channel; write a name alone, or with parameters as in {EXAMPLE}.")
    try:
        channel = Channel(name=name, threshold=given.pop("threshold", None), parameters=given)
    except ValidationError:
        raise ConfigError(f"The threshold in '{text}' must be a number greater than 0.") from None
    bank_of(channel, 0)
    return channel


def defects(channel: Channel) -> Iterator[tuple[str | None, str]]:
    """What is wrong with a channel: a parameter, or None for the whole of it, and what to say of it."""
    text = _unknown(channel.name)
    if text is not None:
        yield None, text
        return
    shipped = _defaults(channel.name)
    wrong = [found for given in channel.parameters.items() for found in _misfit(channel.name, *given, shipped)]
    yield from wrong
    if channel.name not in OURS and channel.threshold is None:
        text = f"is river's, and comes without a threshold; give it one: `{channel.name}: {{threshold: …}}` in a"
        yield None, f"'{channel.name}' {text} release file, `{channel.name}:threshold=…` as a flag"
    elif not wrong:
        yield from _refused(channel)


def _unknown(name: str) -> str | None:
    """What to say of a name that no detector has; river is looked at only if it is none of ours."""
    if name in OURS or name in foreign.names():
        return None
    close = difflib.get_close_matches(name, [*OURS, *foreign.names()], n=1)
    known = f"known are {', '.join(OURS)}, and river's {', '.join(foreign.names())}"
    return f"unknown detector '{name}'; {f'did you mean {close[0]!r}?' if close else known}"


def _defaults(name: str) -> dict[str, Any]:
    """The parameters that can be given, with their shipped values."""
    if name not in OURS:
        return foreign.defaults(name)
    signature = inspect.signature(OURS[name]).parameters
    return {key: one.default for key, one in signature.items() if key not in {"n", "threshold"}}


def _misfit(name: str, parameter: str, value: object, shipped: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if parameter not in shipped:
        close = difflib.get_close_matches(parameter, shipped, n=1)
        known = f"it has {', '.join(shipped)}" if shipped else "it has none that can be given"
        yield parameter, f"'{name}' has no parameter '{parameter}'; {f'did you mean {close[0]!r}?' if close else known}"
    elif _is_number(shipped[parameter]) and not (_is_number(value) and math.isfinite(value)):
        yield parameter, f"'{name}': {parameter} must be a number, and is {value!r}"


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refused(channel: Channel) -> Iterator[tuple[None, str]]:
    """What the detector itself says of its parameters, when it is made and given a few samples."""
    try:
        bank = _made(channel, 1)
        for second in range(3):
            bank.step_many(float(second), np.array([second], dtype=float))
    except Exception as error:  # river's detectors check nothing, and fail in ways of their own
        given = ", ".join(f"{parameter}={value!r}" for parameter, value in channel.parameters.items())
        said = " ".join(str(error).split()).rstrip(".")
        yield None, f"'{channel.name}' cannot be used with {given}: {said}"


def _made(channel: Channel, n: int) -> Bank:
    if channel.name not in OURS:
        assert channel.threshold is not None  # else it has a defect
        return foreign.ForeignBank(channel.name, n, channel.threshold, _given(channel))
    threshold = {} if channel.threshold is None else {"threshold": channel.threshold}
    return OURS[channel.name](n, **threshold, **_given(channel))


def _given(channel: Channel) -> dict[str, Any]:
    """The parameters that the channel names, of the types of their shipped values: 48 is 48.0 for a time in hours."""
    shipped = _defaults(channel.name)
    return {
        name: float(value) if isinstance(shipped[name], float) else value for name, value in channel.parameters.items()
    }


def _value(text: str) -> int | float | str | bool:
    if text in {"true", "false"}:
        return text == "true"
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        return float(text) if math.isfinite(float(text)) else text
    return text


def _side_by_side(series: Sequence[Array], rest: float) -> NDArray[np.float64]:
    """One row per step and one column per series; behind the end of a series ``rest``."""
    table = np.full((max(one.size for one in series), len(series)), rest)
    for column, one in enumerate(series):
        table[: one.size, column] = one
    return table


def _read(bank: Bank, instants: Sequence[Time], samples: NDArray[np.float64]) -> Reading:
    """The readings of several steps, each of shape (steps, n)."""
    readings = [bank.read_many(t, row, learn=True) for t, row in zip(instants, samples, strict=True)]
    return Reading(*map(np.array, zip(*readings, strict=True)))


def _keep(block: Reading, readings: Sequence[Reading], first: int) -> None:
    """What was read of each series from step ``first`` on."""
    for index, reading in enumerate(readings):
        for whole, part in zip(reading, block, strict=True):
            whole[first : first + BLOCK] = part[: max(whole.size - first, 0), index]
