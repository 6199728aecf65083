"""How findings are put into words: counts with their nouns, runs of days, changes with both absolute values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from observability.units import format_value

UNCHANGED = 0.05  # per cent, below which one decimal shows nothing


def count(number: float, noun: str, plural: str | None = None) -> str:
    """The number with its noun: 1 day, 2 days, 0 days."""
    return f"{number:,.0f} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Sequence[str], most: int | None = None) -> str:
    """``a, b and c``; with ``most``, what is left over is counted: ``a, b and 3 more``."""
    if most is not None and len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def day_list(days: Iterable[int]) -> str:
    """``days 1–3 and 5``, ``day 4``, ``the GA day``, ``the GA day and days 2–3``."""
    numbers = sorted(set(days))
    later = [number for number in numbers if number > 0]
    words = ["the GA day"] if 0 in numbers else []
    if later:
        words.append(("day " if len(later) == 1 else "days ") + listed([_span(run) for run in runs(later)]))
    return listed(words)


def runs(days: Iterable[int]) -> list[list[int]]:
    """Runs of consecutive numbers: 1 2 4 → [1, 2], [4]."""
    numbered = enumerate(sorted(days))
    return [[day for _, day in run] for _, run in itertools.groupby(numbered, key=lambda pair: pair[1] - pair[0])]


def _span(run: list[int]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}"


def both(before: float | None, after: float | None, unit: str, at_least: tuple[bool, bool] = (False, False)) -> str:
    """``412 → 486 ms``, or with both units where they differ: ``512 MiB → 1.2 GiB``."""
    left, right = format_value(before, unit, at_least[0]), format_value(after, unit, at_least[1])
    number, _, tail = left.removeprefix("≥ ").partition(" ")
    if not tail or not right.endswith(f" {tail}") or before is None:
        return f"{left} → {right}"
    return f"{'≥ ' if left.startswith('≥ ') else ''}{number} → {right}"


def moved(drift_percent: float, least: str = "") -> str:
    """``rose 20 %``, ``fell 3.5 %``, ``did not change``; with ``least``, ``rose at least 20 %``."""
    size = abs(drift_percent)
    if size < UNCHANGED:
        return "did not change"
    return f"{'rose' if drift_percent > 0 else 'fell'} {least}{size:,.{0 if size >= 10 else 1}f} %"


def signed(percent: float) -> str:
    """``+18.3 %``, and ``+0.0 %`` for what rounds to nothing."""
    return f"{0.0 if abs(percent) < UNCHANGED else percent:+,.1f} %"


def sentence(text: str) -> str:
    """The text with a capital letter in front, unless that is a name such as a KPI's, and one full stop behind."""
    is_name = "_" in text.partition(" ")[0]
    return (text if is_name else text[:1].upper() + text[1:]).rstrip(".") + "."
