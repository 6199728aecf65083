"""Rows of the regression summary: which one decides for a KPI, how large and how sure it is, and how to say it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from observability.definitions import Direction
from observability.units import format_value
from observability.verdicts import Interval, Regression
from retrospective.record import FLAT_KPIS, TWINS, family, unit_of
from retrospective.wording import both, listed, moved, signed

# The documents' sizes, in per cent: a drift, a drift to look into, a regression.
DRIFT, INVESTIGATE, LARGE = 10.0, 15.0, 30.0

BASELINES = {"week_before": "the week before GA", "ga_day": "the GA day"}
_OTHERS = {
    "previous_day": "the day before",
    "pre_release_median": "the pre-release median",
    "good_day": "the pinned good day",
}
FROM_0 = "a rise from 0"


def baseline_name(baseline: str) -> str:
    return (BASELINES | _OTHERS).get(baseline, baseline.replace("_", " "))


def deciding(rows: Iterable[Regression]) -> list[Regression]:
    """One row per KPI: against the week before GA where both sides have data, else against the GA day, else any.

    The GA day is part of the release: a defect shipped at GA is in it already, so it may confirm and never veto.
    """
    order = {baseline: rank for rank, baseline in enumerate(BASELINES)}
    found: dict[str, Regression] = {}
    for row in sorted(rows, key=lambda row: (not has_values(row), order.get(row.baseline, len(order)))):
        found.setdefault(row.metric_name, row)
    return list(found.values())


def has_values(row: Regression) -> bool:
    return row.baseline_value is not None and row.current_value is not None


def change_percent(row: Regression) -> float | None:
    """The change that was judged, in per cent; None from zero to something. Older files have the plain drift alone."""
    if row.change is not None:
        return 100 * row.change
    return row.drift_percent if row.days is None else None


def size(row: Regression) -> float:
    """How large the change is, in per cent, whichever way it goes; infinite from zero to something, 0 below a floor."""
    if row.below_floor is not None:
        return 0.0
    change = change_percent(row)
    if change is not None:
        return abs(change)
    return math.inf if row.threshold_exceeded else 0.0


def is_notable(row: Regression) -> bool:
    """Whether the changes are worth a line: large or real, or beyond 10 % and too few events to count."""
    return size(row) > DRIFT or row.real is True or row.below_floor is not None


def direction(row: Regression) -> Direction | None:
    if row.direction is not None:
        return row.direction
    known = FLAT_KPIS.get(row.metric_name)
    return known[1] if known else None


def is_worse(row: Regression) -> bool:
    """Whether the change that was judged goes the wrong way. No way is wrong for a two-sided KPI. A row of unknown
    direction is worse because it is listed, and a rise from 0 is where the row says that it is large."""
    way, change = direction(row), change_percent(row)
    if way is Direction.TWO_SIDED or not has_values(row):
        return False
    if way is None:
        return True
    if change is None:
        return row.threshold_exceeded
    return change > 0 if way is Direction.LOWER_IS_BETTER or row.of_bad_share else change < 0


def agrees(before: float | None, after: float | None, change: float | None, of_bad_share: bool) -> bool:
    """Whether the two medians move the way of the change, which is the centre of the paired days' changes.

    They need not: then the pair beside the change would only confuse.
    """
    if before is None or after is None or change is None:
        return True
    return (before - after if of_bad_share else after - before) * change >= 0


def pair_text(row: Regression) -> str:
    """``412 → ≥ 2,500 ms``: the medians of the days."""
    unit = unit_of(row.metric_name, row.unit)
    return both(row.baseline_value, row.current_value, unit, (row.baseline_at_least, row.current_at_least))


def change_text(row: Regression) -> str:
    """The change as a table shows it, with what it is a change of where that is not the value."""
    change = change_percent(row)
    if change is None:
        return FROM_0 if row.threshold_exceeded else "?"
    return f"{signed(change)}{' (bad share)' if row.of_bad_share else ''}"


def interval_text(row: Regression) -> str:
    """The interval of the change, ``+12.0 to +19.5 %``. Where it is open, as of a rise from 0, that in percentage
    points says more: ``+0.02 to +0.1 percentage points``."""
    low, high = (None if end is None else 100 * end for end in row.interval or (None, None))
    if row.points_interval is not None and row.interval is not None and None in row.interval:
        return ends_text(row.points_interval, "percentage points", ".3g")
    return ends_text((low, high), "%", ".1f")


def ends_text(ends: Interval, unit: str, digits: str) -> str:
    """``+12.0 to +19.5 %``, ``+12.0 % or more``, ``up to +19.5 %``; nothing where both ends are open."""
    low, high = (None if end is None else f"{end:+{digits}}" for end in ends)
    if low is None:
        return "" if high is None else f"up to {high} {unit}"
    return f"{low} {unit} or more" if high is None else f"{low} to {high} {unit}"


def label(row: Regression) -> str:
    """Both labels, how large and how sure, and which way: ``large, not tested, worse``."""
    if row.below_floor is not None:
        return f"below {row.below_floor:.3g} points"
    large = "large" if size(row) > LARGE else "drift" if size(row) > DRIFT else "small"
    if large == "small" and row.real is False:
        return f"within {DRIFT:.0f} %"
    real = {True: "real", False: "not significant", None: "not tested"}[row.real]
    two_sided = direction(row) is Direction.TWO_SIDED
    return f"{large}, {real}, {'two-sided' if two_sided else 'worse' if is_worse(row) else 'better'}"


def described(row: Regression) -> str:
    """``p99_latency_ms rose 25 % (412 → 515 ms)``, with the share of bad events where that was compared."""
    unit, change = unit_of(row.metric_name, row.unit), change_percent(row)
    before = format_value(row.baseline_value, unit, row.baseline_at_least)
    after = format_value(row.current_value, unit, row.current_at_least)
    if change is None:
        return f"{row.metric_name} went from {before} to {after}"
    least = "at least " if row.current_at_least and change > 0 else ""
    if not agrees(row.baseline_value, row.current_value, change, row.of_bad_share):
        what = f"the share of bad events of {row.metric_name}" if row.of_bad_share else row.metric_name
        return f"{what} {moved(change, least)} from day to paired day"
    if row.of_bad_share:
        return f"{row.metric_name} went from {before} to {after}, its share of bad events {moved(change)}"
    return f"{row.metric_name} {moved(change, least)} ({pair_text(row)})"


def below_floor(row: Regression) -> str:
    """``overall_error_rate 0.0012 → 0.0904 %, below the floor of 0.1 percentage points``."""
    return f"{row.metric_name} {pair_text(row)}, below the floor of {row.below_floor:.3g} percentage points"


def described_with(rows: list[Regression]) -> str:
    """The first row in full, the others with their change: ``…; likewise p95_latency_ms (rose 22 %)``."""
    others = [f"{row.metric_name} ({_short(row)})" for row in rows[1:]]
    return described(rows[0]) + (f", likewise {listed(others, 3)}" if others else "")


def by_family(rows: Iterable[Regression], leading: Collection[str] = ()) -> list[list[Regression]]:
    """Rows of one family together, the largest first, within the families and between them.

    Within one, the KPIs named in ``leading`` come before the others, and twins after them.
    """
    families: dict[str, list[Regression]] = {}
    for row in sorted(rows, key=lambda row: (row.metric_name in TWINS, row.metric_name not in leading, -size(row))):
        families.setdefault(family(row.category, row.metric_name), []).append(row)
    return sorted(families.values(), key=lambda related: size(related[0]), reverse=True)


def _short(row: Regression) -> str:
    change = change_percent(row)
    return change_text(row) if change is None else moved(change)
