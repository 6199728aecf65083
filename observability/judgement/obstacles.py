"""What keeps a change from being judged: one clause for the row, in the order in which they matter."""

from __future__ import annotations

import math

from observability.definitions import Kind
from observability.judgement.comparison import Comparison
from observability.judgement.level import MIN_PAIRS, is_beyond
from observability.units import format_value

MOST_BOUNDS = 3  # named in a sentence
WHOLE_DAY_S = 86_400


def obstacle_of(found: Comparison) -> str | None:
    """None where nothing does, or where there is no change."""
    if found.change is None:
        return None
    unit, bounds, hidden = odd_unit(found), odd_bounds(found), beyond_the_buckets(found)
    if unit is not None:
        return f"some days are in {unit or 'no unit'}, and some in {found.kpi.unit or 'no unit'}"
    if bounds:
        return _of_bounds(bounds)
    if hidden:
        days = f"{len(hidden)} day{'s' if len(hidden) != 1 else ''}"
        bound = format_value(max(hidden), found.kpi.unit)
        return f"it lies beyond the last bucket bound of {bound} on {days}, so nobody knows how high"
    if isinstance(found.at_load, str):
        return found.at_load
    if is_from_zero(found):
        return "a baseline of 0 does not say how much is much"
    if not (found.kpi.kind == Kind.RATIO or found.is_finite):
        return "some days are 0 or below, and have no ratio to judge by"
    if is_rehearsed(found):
        return "the days were shortened, and the rule was measured on whole days"
    if not found.baseline.is_one_pair and len(found.numbers) < MIN_PAIRS:
        return f"fewer than {MIN_PAIRS} days compare with {found.baseline.about}{other_hours(found)}"
    return None


def other_hours(found: Comparison) -> str:
    """A clause on the days that have a partner of which other hours were seen."""
    days = found.of_other_hours
    text = f"; of {days} day{'s' if days != 1 else ''}, other hours than of the partner were seen outside maintenance"
    return text if days else ""


def is_from_zero(found: Comparison) -> bool:
    """Whether nothing says how large the change is: from 0, and without the floor that shares of events have."""
    return found.change is not None and math.isinf(found.change) and found.kpi.kind != Kind.RATIO


def is_rehearsed(found: Comparison) -> bool:
    """Whether the days were shortened."""
    windows = [day.window for day in found.since.values() if day.window is not None]
    return any(window.seconds < WHOLE_DAY_S for window in windows)


def odd_unit(found: Comparison) -> str | None:
    """A unit of some days of the baseline, or of the week, that is not the last day's."""
    return next((kpi.unit for kpi in (*found.past, *found.now) if kpi.unit != found.kpi.unit), None)


def odd_bounds(found: Comparison) -> list[float]:
    """Finite bucket bounds that some of the compared days have and others lack: their quantiles do not compare."""
    days: list[set[float]] = [
        set(map(float, kpi.buckets)) for side in found.sides for kpi in side if kpi.buckets is not None
    ]
    return sorted(days[0].union(*days) - days[0].intersection(*days) - {math.inf}) if days else []


def beyond_the_buckets(found: Comparison) -> list[float]:
    """Of the days on which the quantile lies beyond the buckets: the value that it is at least. Empty where that does
    not matter, because the change is for the worse already with the least that it can be."""
    past, week = ([kpi.value for kpi in side if kpi.at_least and kpi.value is not None] for side in found.sides)
    if not past and found.is_worse and found.change is not None and is_beyond(found.change):
        return []
    return past + week


def _of_bounds(odd: list[float]) -> str:
    bounds = [f"{bound:g}" for bound in odd[:MOST_BOUNDS]]
    more = f" and {len(odd) - MOST_BOUNDS} more" if len(odd) > MOST_BOUNDS else ""
    named = f"bounds {', '.join(bounds)}{more} are" if len(odd) > 1 else f"bound {bounds[0]} is"
    return f"the histogram's buckets changed (the {named} not there on all days), so the quantiles do not compare"
