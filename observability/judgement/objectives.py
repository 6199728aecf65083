"""One day of an objective: the events that count against it, and what its budget allows of them."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from observability.artifacts import KpiSummary, SloDay
from observability.definitions import Direction, Kpi, Objective
from observability.judgement.maintenance import ALL_MAINTENANCE
from observability.model import MIXED_BOUNDS, Samples


def budget(objective: float, counts_bad: bool) -> float:
    """The error budget in per cent, in decimal arithmetic: 100 − 99.9 is 0.1 and not 0.09999999999999432."""
    return objective if counts_bad else float(Decimal(100) - Decimal(str(objective)))


def allowed_events(budget_percent: float, total: float) -> float:
    """How many of ``total`` events may be bad. Decimal, so that a budget that is spent to the last event is kept."""
    return float(Decimal(str(budget_percent)) * Decimal(total) / 100)


def slo_day(slo: Objective, kpi: Kpi, summary: KpiSummary, whole: KpiSummary, mixed: bool = False) -> SloDay:
    """Bad and all events of the day, and beside them those of the ``whole`` day where maintenance leaves out a part.

    ``value`` is the share of good events in per cent, or that of bad ones for a KPI for which lower is better. Where a
    threshold lies between two buckets, or the buckets are ``mixed``, ``bad`` is an estimate, and the day is compliant
    or not only if it is so at both ends of what the buckets allow.
    """
    counts_bad = kpi.direction is Direction.LOWER_IS_BETTER and slo.threshold is None
    allowed = budget(slo.objective, counts_bad)
    events = _slo_events(slo, kpi, summary)
    beside = None if whole is summary else _slo_events(slo, kpi, whole)
    common = {
        "slo_name": slo.name,
        "kpi": slo.kpi,
        "target": slo.objective,
        "budget": allowed,
        "unit": "%" if slo.threshold is None else f"% within {slo.threshold:g} {kpi.unit}",
        "counts_bad": counts_bad,
        "coverage": summary.coverage,
        "exact": _is_bound(slo, kpi, summary),
        "bad_with_maintenance": None if beside is None else beside[0],
        "total_with_maintenance": None if beside is None else beside[1],
    }
    if events is None:
        note = ALL_MAINTENANCE if summary.note == ALL_MAINTENANCE else "no data"
        return SloDay(**common, bad=None, total=None, value=None, compliant=None, note=note)
    bad, total = events
    if total == 0:
        return SloDay(**common, bad=bad, total=total, value=None, compliant=None, note="no events")
    between = (0.0, total) if mixed and slo.threshold is not None else _bad_between(slo, kpi, summary)
    fewest, most = between or (bad, bad)
    limit = allowed_events(allowed, total)
    return SloDay(
        **common,
        bad=bad,
        total=total,
        value=100.0 * (bad if counts_bad else total - bad) / total,
        compliant=True if most <= limit else False if fewest > limit else None,
        bad_between=between,
    )


def _slo_events(slo: Objective, kpi: Kpi, summary: KpiSummary) -> tuple[float, float] | None:
    if slo.threshold is not None:
        if summary.buckets is None:
            return None
        total = summary.buckets["+Inf"]
        return total - _count_up_to(slo.threshold / kpi.scale, summary.buckets), total
    if summary.numerator is None or summary.denominator is None:
        return None
    numerator_is_bad = kpi.complement != (kpi.direction is Direction.LOWER_IS_BETTER)
    bad = summary.numerator if numerator_is_bad else summary.denominator - summary.numerator
    return bad, summary.denominator


def _is_bound(slo: Objective, kpi: Kpi, summary: KpiSummary) -> bool | None:
    """Whether the threshold is one of the bounds, so that no event is counted by interpolation."""
    if slo.threshold is None or summary.buckets is None:
        return None
    return any(math.isclose(float(bound), slo.threshold / kpi.scale) for bound in summary.buckets)


def _bad_between(slo: Objective, kpi: Kpi, summary: KpiSummary) -> tuple[float, float] | None:
    """The fewest and the most events that can have taken longer than a threshold between two bounds."""
    if slo.threshold is None or summary.buckets is None or _is_bound(slo, kpi, summary):
        return None
    total, at = summary.buckets["+Inf"], slo.threshold / kpi.scale
    surely_good = max((count for bound, count in summary.buckets.items() if float(bound) < at), default=0.0)
    maybe_good = min(count for bound, count in summary.buckets.items() if float(bound) > at)
    return total - maybe_good, total - surely_good


def _count_up_to(threshold: float, buckets: dict[str, float]) -> float:
    """How many observations were at most ``threshold``: exact at a bucket's bound, linear between two."""
    bounds = [0.0, *(float(bound) for bound in buckets)]
    counts = [0.0, *buckets.values()]
    finite = [(b, c) for b, c in zip(bounds, counts, strict=True) if np.isfinite(b)]
    return float(np.interp(threshold, [b for b, _ in finite], [c for _, c in finite]))


def is_mixed(kpi: Kpi, samples: Samples) -> bool:
    """Whether the source warned that the KPI's histogram adds up different buckets."""
    return any(warning.startswith(f"{kpi.query}: {MIXED_BOUNDS}") for warning in samples.warnings)
