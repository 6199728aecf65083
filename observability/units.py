"""A figure as people read it: one way for the terminal, the artifacts' sentences and the report."""

from __future__ import annotations

import math

_ONE = {"incidents": "incident", "connections": "connection", "requests": "request", "events": "event", "days": "day"}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi")


def format_value(value: float | None, unit: str, at_least: bool = False) -> str:
    """Three significant digits with the unit; shares close to 100 % keep at least three decimals, and as many as it
    takes to tell them from 100; no data is said, and so is a value that is only a lower bound.

    >>> format_value(99.9512, "%"), format_value(0.02134, "%"), format_value(486.3, "ms")
    ('99.951 %', '0.0213 %', '486 ms')
    >>> format_value(99.99996, "%")
    '99.999960 %'
    >>> format_value(3.2e9, "bytes"), format_value(12345.6, "requests"), format_value(None, "ms")
    ('2.98 GiB', '12,346 requests', 'no data')
    >>> format_value(1, "incidents"), format_value(2500, "ms", at_least=True)
    ('1 incident', '≥ 2,500 ms')
    """
    if value is None:
        return "no data"
    if at_least:
        return f"≥ {format_value(value, unit)}"
    if unit.startswith("bytes"):
        return _bytes(value) + unit.removeprefix("bytes")
    if unit.startswith("%") and 99 <= value < 100:
        return f"{value:.{max(3, 1 - math.floor(math.log10(100 - value)))}f} {unit}"
    return f"{_digits(value)} {_ONE.get(unit, unit) if value == 1 else unit}".rstrip()


def format_change(change: float | None) -> str:
    """A relative change in per cent, with its sign: 0.1834 → +18.3 %. Nothing is +0.0 %, whichever its sign."""
    return "undefined" if change is None else f"{round(100 * change, 1) + 0.0:+,.1f} %"


def format_duration(seconds: float) -> str:
    """Seconds up to a minute, minutes up to two hours, hours up to two days, then days.

    >>> format_duration(30), format_duration(60), format_duration(7200), format_duration(36 * 3600)
    ('30 seconds', '1 minute', '2 hours', '36 hours')
    >>> format_duration(259_200)
    '3 days'
    """
    for noun, size, most in (("second", 1, 60), ("minute", 60, 120), ("hour", 3600, 49)):
        if round(seconds / size) < most:
            return _counted(round(seconds / size), noun)
    return _counted(round(seconds / 86_400), "day")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _bytes(value: float) -> str:
    power = 0
    while abs(value) >= 1024 and power < len(_BINARY) - 1:
        value, power = value / 1024, power + 1
    return f"{_digits(value)} {_BINARY[power]}B"
