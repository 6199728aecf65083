"""One KPI over one day: its value, counts and distribution, the coverage, and the same fold for each hour."""

from __future__ import annotations

import numpy as np

from observability import kpi as kpis
from observability.artifacts import KpiSummary
from observability.comparable import HOURS
from observability.definitions import Direction, Kind, Kpi, PriceList
from observability.judgement.maintenance import Steps
from observability.kpi import Counts, Folded
from observability.model import Array, Samples

MOST_CUT_OFF = 0.05  # share of the steps beyond the buckets, up to which a mean over the steps is taken as it is


def summarise_kpi(
    kpi: Kpi, samples: Samples, prices: PriceList | None, expected: Steps | None = None, counts: Counts | None = None
) -> KpiSummary:
    """Value, counts, distribution over the steps, coverage, and 24 hourly values unless the steps do not divide.

    ``expected`` are the steps that the coverage is of, by default all. ``counts`` are the KPI's ``step_counts``, where
    they are at hand.
    """
    counts = kpis.step_counts(kpi, samples) if counts is None else counts
    values = kpis.step_values(kpi, samples, prices, counts)
    share = kpis.observed_share(kpi, samples, prices)[slice(None) if expected is None else expected]
    coverage = float(share.mean()) if share.size else 0.0
    day = kpis.folded(kpi, samples, values, counts, 1)
    hours = kpis.folded(kpi, samples, values, counts, HOURS) if values.size % HOURS == 0 else None
    (value,) = kpis.optional(day.values)
    seen = values[~np.isnan(values)]
    return KpiSummary(
        value=value,
        unit=f"{prices.currency} {kpi.unit}" if kpi.kind is Kind.COST and prices else kpi.unit,
        direction=kpi.direction,
        category=kpi.category,
        kind=str(kpi.kind),
        coverage=coverage,
        n=seen.size,
        **_of_day(kpi, samples, values, day),
        **_distribution(seen),
        **({} if hours is None else _of_hours(kpi, hours)),
        at_least=value is not None and _is_lower_bound(kpi, counts, day),
        note=None if value is not None else _why_missing(kpi, coverage, prices),
    )


def _of_day(kpi: Kpi, samples: Samples, values: Array, day: Folded) -> dict[str, object]:
    """What was counted in the day: nothing of it where there was no data."""
    if kpi.kind is Kind.INCIDENTS and not np.isnan(values).all():
        started = samples.columns.get(f"{kpi.query}.started", np.zeros(0))
        return {"started": float(np.nansum(started))}
    if day.totals is None or np.isnan(day.totals.rows[-1]).all():
        return {}
    totals = day.totals.rows[:, 0].tolist()
    if day.totals.bounds is None:
        counts_bad = kpi.complement != (kpi.direction is Direction.LOWER_IS_BETTER)
        return {"numerator": totals[0], "denominator": totals[1], "counts_bad": counts_bad}
    names = ["+Inf" if np.isinf(bound) else repr(bound) for bound in day.totals.bounds.tolist()]
    return {"buckets": dict(zip(names, totals, strict=True)), "denominator": totals[-1]}


def _of_hours(kpi: Kpi, hours: Folded) -> dict[str, tuple[float | None, ...]]:
    """The KPI of each 24th of the day, and the events that it stands on: none seen is 0, and nothing seen is None."""
    found = {"hourly": kpis.optional(hours.values)}
    if hours.totals is not None and kpi.kind is not Kind.RATE:
        found["hourly_denominator"] = kpis.optional(hours.totals.rows[-1])
    if hours.totals is not None and kpi.kind is Kind.RATIO:
        found["hourly_numerator"] = kpis.optional(hours.totals.rows[0])
    return found


def _is_lower_bound(kpi: Kpi, counts: Counts | None, day: Folded) -> bool:
    """Whether the quantile lies beyond the last finite bound, where its value is that bound; of a mean over the steps
    (``avg_p99_latency_ms``), whether more than 5 % of the steps with traffic do."""
    if kpi.quantile is None or counts is None or day.totals is None:
        return False
    cumulative = (day.totals if kpi.fold == "pooled" else counts).rows
    if len(cumulative) < 2:
        return False
    within, total = cumulative[-2:, cumulative[-1] > 0]
    return bool((kpi.quantile * total > within).mean() > MOST_CUT_OFF) if total.size else False


def _distribution(seen: Array) -> dict[str, float]:
    if not seen.size:
        return {}
    p50, p95, p99 = np.percentile(seen, [50, 95, 99]).tolist()
    return {
        "mean": float(seen.mean()),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "min": float(seen.min()),
        "max": float(seen.max()),
    }


def _why_missing(kpi: Kpi, coverage: float, prices: PriceList | None) -> str:
    if kpi.kind is Kind.COST and prices is None:
        return "no data, because the release file has no `prices:`"
    if coverage > 0 and kpi.kind is Kind.UTILISATION:
        return f"undefined, because {kpi.denominator} was 0"
    if coverage > 0:
        return "undefined, because there was no traffic"
    return "no data"
