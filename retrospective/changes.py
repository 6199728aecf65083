"""Rows of the regression summary: which one decides for a KPI, how large and how sure it is, and how to say it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from observability.artifacts import Regression
from observability.definitions import Direction
from observability.units import format_value
from retrospective.record import FLAT_KPIS, TWINS, family, unit_of
from retrospective.wording import both, listed, moved, signed

# The documents' sizes, in per cent: a drift, a drift to look into, a regression.
DRIFT, INVESTIGATE, LARGE = 10.0, 15.0, 30.0

BASELINES = {"week_before": "the week before GA", "ga_day": "the GA day"}


def baseline_name(baseline: str) -> str:
    return BASELINES.get(baseline, baseline.replace("_", " "))


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
    return row.drift_percent if row.n is None else None


def size(row: Regression) -> float:
    """How large the change is, in per cent, whichever way it goes; infinite from zero to something."""
    change = change_percent(row)
    if change is not None:
        return abs(change)
    return math.inf if row.threshold_exceeded else 0.0


def direction(row: Regression) -> Direction | None:
    if row.direction is not None:
        return row.direction
    known = FLAT_KPIS.get(row.metric_name)
    return known[1] if known else None


def is_worse(row: Regression) -> bool:
    """Whether the KPI moved the wrong way. No way is wrong for a two-sided one; a row of unknown direction is."""
    way, before, after = direction(row), row.baseline_value, row.current_value
    if way is Direction.TWO_SIDED or before is None or after is None:
        return False
    return way is None or (after > before if way is Direction.LOWER_IS_BETTER else after < before)


def is_bad_share(row: Regression) -> bool:
    """Whether the change is that of the share of bad events: of 99.9 → 99.8 % it is +100 %."""
    change, drift = change_percent(row), row.drift_percent
    if direction(row) is not Direction.HIGHER_IS_BETTER or change is None or drift is None:
        return False
    return change * drift < 0


def change_text(row: Regression) -> str:
    """The change as a table shows it, with what it is a change of where that is not the value."""
    change = change_percent(row)
    if change is None:
        return "from 0" if row.threshold_exceeded else "?"
    return f"{signed(change)}{' (bad share)' if is_bad_share(row) else ''}"


def label(row: Regression) -> str:
    """Both labels, how large and how sure, and which way: ``large, not tested, worse``."""
    large = "large" if size(row) > LARGE else "drift" if size(row) > DRIFT else "small"
    real = {True: "real", False: "not significant", None: "not tested"}[row.real]
    two_sided = direction(row) is Direction.TWO_SIDED
    return f"{large}, {real}, {'two-sided' if two_sided else 'worse' if is_worse(row) else 'better'}"


def described(row: Regression) -> str:
    """``p99_latency_ms rose 25 % (412 → 515 ms)``, with the share of bad events where that was compared."""
    unit = unit_of(row.metric_name, row.unit)
    before, after = format_value(row.baseline_value, unit), format_value(row.current_value, unit)
    change = change_percent(row)
    if change is None:
        return f"{row.metric_name} went from {before} to {after}"
    if is_bad_share(row):
        return f"{row.metric_name} went from {before} to {after}, its share of bad events {moved(change)}"
    return f"{row.metric_name} {moved(change)} ({both(row.baseline_value, row.current_value, unit)})"


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
