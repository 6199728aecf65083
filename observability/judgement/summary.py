"""One service's day: every KPI with its counts, distribution, coverage and drift, the SLOs' events and the cost."""

from __future__ import annotations

import itertools
import math
from datetime import timedelta
from decimal import Decimal

import numpy as np

from observability import kpi as kpis
from observability.artifacts import FLAT_KEYS, CostDay, DaySummary, KpiSummary, RollbackRecommendation, SloDay
from observability.definitions import Direction, Kind, Kpi, Objective, PriceList, Release
from observability.model import MIXED_BOUNDS, Array, Samples, SourceInfo
from observability.units import format_value

HOURS = 24
LARGE_DRIFT_PERCENT = 30.0  # the documents' "regression"
MOST_CUT_OFF = 0.05  # share of the steps beyond the buckets, up to which a mean over the steps is taken as it is
UNEXPECTED_DRIFT_PERCENT = 10.0  # the documents' "unexpected drift"


def summarise(
    release: Release, samples: Samples, day_number: int, source: SourceInfo, ga: DaySummary | None, partial: bool
) -> DaySummary:
    """The summary of the day that ``samples`` cover; ``ga`` is the GA day's, which drifts are taken against."""
    kpis_of = release.kpis_of(samples.service)
    kpi_summaries = {name: summarise_kpi(kpi, samples, release.prices) for name, kpi in kpis_of.items()}
    if ga is not None:
        kpi_summaries = {name: _with_drift(found, ga, name) for name, found in kpi_summaries.items()}
    slos = tuple(
        slo_day(slo, kpis_of[slo.kpi], kpi_summaries[slo.kpi], _is_mixed(kpis_of[slo.kpi], samples))
        for slo in release.slos_of(samples.service)
    )
    expected = [kpi_summaries[name].coverage for name, kpi in kpis_of.items() if _can_have_data(kpi, release)]
    flat = {key: kpi_summaries[key].value for key in FLAT_KEYS if key in kpi_summaries}
    return DaySummary(
        timestamp=samples.window.start if day_number == 0 else samples.window.end - timedelta(seconds=1),
        day_number=day_number,
        service=samples.service,
        release=release.release,
        **flat,
        kpis=kpi_summaries,
        slos=slos,
        cost=cost_day(samples, release.prices),
        window=samples.window,
        partial=partial,
        coverage=float(np.mean(expected)) if expected else None,
        warnings=tuple(f"{n}: {k.note}" for n, k in kpi_summaries.items() if k.note) + samples.warnings,
        source_warnings=samples.warnings,
        rollback_recommendation=_one_day(kpi_summaries, slos) if day_number > 0 else None,
        source=source,
        queries={query.name: query.promql for query in release.plan.queries},
    )


def summarise_kpi(kpi: Kpi, samples: Samples, prices: PriceList | None) -> KpiSummary:
    """Value, counts, distribution over the steps, coverage, and 24 hourly values unless the steps do not divide."""
    values = kpis.step_values(kpi, samples, prices)
    seen = values[~np.isnan(values)]
    coverage = float(kpis.observed(kpi, samples, prices).mean())
    value = kpis.fold(kpi, samples, values)
    return KpiSummary(
        value=value,
        unit=f"{prices.currency} {kpi.unit}" if kpi.kind is Kind.COST and prices else kpi.unit,
        direction=kpi.direction,
        category=kpi.category,
        kind=str(kpi.kind),
        coverage=coverage,
        n=seen.size,
        **_counts(kpi, samples),
        **_distribution(seen),
        hourly=_hourly(kpi, samples, values),
        at_least=value is not None and _is_lower_bound(kpi, samples),
        note=None if value is not None else _why_missing(kpi, coverage, prices),
    )


def _counts(kpi: Kpi, samples: Samples) -> dict[str, object]:
    if kpi.kind is Kind.RATIO:
        numerator, denominator = kpis.ratio_counts(kpi, samples)
        if np.isnan(denominator).all():
            return {}
        return {"numerator": float(np.nansum(numerator)), "denominator": float(np.nansum(denominator))}
    if kpi.kind is Kind.RATE and kpi.query is not None and kpi.query in samples.columns:
        count, seconds = kpis.rate_totals(kpi, samples)
        return {"numerator": count, "denominator": seconds}
    if kpi.kind is Kind.QUANTILE:
        bounds, cumulative = kpis.bucket_counts(samples, str(kpi.query))
        if np.isnan(cumulative).all():
            return {}
        totals = np.nansum(cumulative, axis=1)
        names = ["+Inf" if np.isinf(bound) else repr(float(bound)) for bound in bounds]
        return {"buckets": dict(zip(names, totals.tolist(), strict=True)), "denominator": float(totals[-1])}
    if kpi.kind is Kind.INCIDENTS and not np.isnan(kpis.step_values(kpi, samples)).all():
        started = samples.columns.get(f"{kpi.query}.started", np.zeros(0))
        return {"started": float(np.nansum(started))}
    return {}


def _is_lower_bound(kpi: Kpi, samples: Samples) -> bool:
    """Whether the quantile lies beyond the last finite bound, where its value is that bound; of a mean over the steps
    (``avg_p99_latency_ms``), whether more than 5 % of the steps with traffic do."""
    if kpi.kind is not Kind.QUANTILE or kpi.quantile is None:
        return False
    _, cumulative = kpis.bucket_counts(samples, str(kpi.query))
    if kpi.fold == "pooled":
        cumulative = np.nansum(cumulative, axis=1, keepdims=True)
    if len(cumulative) < 2:
        return False
    busy = cumulative[:, cumulative[-1] > 0]
    return bool((kpi.quantile * busy[-1] > busy[-2]).mean() > MOST_CUT_OFF) if busy.size else False


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


def _hourly(kpi: Kpi, samples: Samples, values: Array) -> tuple[float | None, ...]:
    """The KPI folded over each 24th of the window."""
    if samples.steps % HOURS:
        return ()
    edges = range(0, samples.steps + 1, samples.steps // HOURS)
    return tuple(kpis.fold(kpi, samples, values, start, stop) for start, stop in itertools.pairwise(edges))


def _why_missing(kpi: Kpi, coverage: float, prices: PriceList | None) -> str:
    if kpi.kind is Kind.COST and prices is None:
        return "no data, because the release file has no `prices:`"
    if coverage > 0 and kpi.kind is Kind.UTILISATION:
        return f"undefined, because {kpi.denominator} was 0"
    if coverage > 0:
        return "undefined, because there was no traffic"
    return "no data"


def _can_have_data(kpi: Kpi, release: Release) -> bool:
    return kpi.kind is not Kind.COST or release.prices is not None


def drift_percent(value: float | None, baseline: float | None) -> float | None:
    """Change against the baseline in per cent of it; None where either is missing or the baseline is 0."""
    if value is None or baseline is None or baseline == 0:
        return None
    return 100.0 * (value - baseline) / abs(baseline)


def _with_drift(summary: KpiSummary, ga: DaySummary, name: str) -> KpiSummary:
    """No drift between quantiles of histograms with other buckets, or from one that is beyond them."""
    baseline = ga.value(name)
    first = ga.kpis.get(name)
    if first is not None and (first.at_least or not same_buckets(summary, first)):
        baseline = None
    return summary.model_copy(update={"drift_percent": drift_percent(summary.value, baseline)})


def same_buckets(one: KpiSummary, other: KpiSummary) -> bool:
    """Whether two quantiles come from the same bucket bounds, as far as both are known."""
    return one.buckets is None or other.buckets is None or one.buckets.keys() == other.buckets.keys()


def budget(objective: float, counts_bad: bool) -> float:
    """The error budget in per cent, in decimal arithmetic: 100 − 99.9 is 0.1 and not 0.09999999999999432."""
    return objective if counts_bad else float(Decimal(100) - Decimal(str(objective)))


def allowed_events(budget_percent: float, total: float) -> float:
    """How many of ``total`` events may be bad. Decimal, so that a budget that is spent to the last event is kept."""
    return float(Decimal(str(budget_percent)) * Decimal(total) / 100)


def _is_mixed(kpi: Kpi, samples: Samples) -> bool:
    """Whether the source warned that the KPI's histogram adds up different buckets."""
    return any(warning.startswith(f"{kpi.query}: {MIXED_BOUNDS}") for warning in samples.warnings)


def slo_day(slo: Objective, kpi: Kpi, summary: KpiSummary, mixed: bool = False) -> SloDay:
    """Bad and all events of the day. ``value`` is the share of good events in per cent, or that of bad ones for a KPI
    for which lower is better. Where a threshold lies between two buckets, or the buckets are ``mixed``, ``bad`` is an
    estimate, and the day is compliant or not only if it is so at both ends of what the buckets allow."""
    counts_bad = kpi.direction is Direction.LOWER_IS_BETTER and slo.threshold is None
    allowed = budget(slo.objective, counts_bad)
    events = _slo_events(slo, kpi, summary)
    common = {
        "slo_name": slo.name,
        "kpi": slo.kpi,
        "target": slo.objective,
        "budget": allowed,
        "unit": "%" if slo.threshold is None else f"% within {slo.threshold:g} {kpi.unit}",
        "counts_bad": counts_bad,
        "coverage": summary.coverage,
        "exact": _is_bound(slo, kpi, summary),
    }
    if events is None:
        return SloDay(**common, bad=None, total=None, value=None, compliant=None, note="no data")
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


def cost_day(samples: Samples, prices: PriceList | None) -> CostDay | None:
    """Mean cost per hour times the hours of the window, by resource; None without a price list."""
    if prices is None:
        return None
    hours = samples.window.seconds / 3600
    per_hour = {name: _mean(values) for name, values in kpis.cost_per_hour(samples, prices).items()}
    missing = [name for name, value in per_hour.items() if value is None]
    costs = {name: value * hours for name, value in per_hour.items() if value is not None}
    compute = [costs[name] for name in ("cpu", "memory") if name in costs]
    return CostDay(
        currency=prices.currency,
        hours=hours,
        compute=math.fsum(compute) if compute and not {"cpu", "memory"} & set(missing) else None,
        storage=costs.get("storage"),
        network=costs.get("network"),
        other=costs.get("other"),
        total=math.fsum(costs.values()) if costs and not missing else None,
        note=f"no usage data for {', '.join(missing)}" if missing else None,
    )


def _mean(values: Array) -> float | None:
    seen = values[~np.isnan(values)]
    return float(seen.mean()) if seen.size else None


def worse(change: float, direction: Direction) -> bool:
    """Whether a change, in any unit, goes the wrong way."""
    if direction is Direction.TWO_SIDED:
        return change != 0
    return change < 0 if direction is Direction.HIGHER_IS_BETTER else change > 0


def _one_day(found: dict[str, KpiSummary], slos: tuple[SloDay, ...]) -> RollbackRecommendation:
    """A single day never advises a rollback; it says what to look at (two-sided KPIs are no reason by themselves)."""
    if all(kpi.value is None for kpi in found.values()):
        return RollbackRecommendation(should_rollback=None, reason="No KPI had data on this day.")
    missed = [
        f"{slo.slo_name} {format_value(slo.value, slo.unit)}, objective {slo.target:g} %"
        for slo in slos
        if slo.compliant is False
    ]
    fired = [
        f"{name} {kpi.value:.0f}"
        for name, kpi in found.items()
        if kpi.kind == Kind.INCIDENTS and kpi.value is not None and kpi.value > 0
    ]
    large = [
        f"{name} {kpi.drift_percent:+.1f} % against the GA day"
        for name, kpi in found.items()
        if kpi.drift_percent is not None
        and kpi.direction is not Direction.TWO_SIDED
        and abs(kpi.drift_percent) > LARGE_DRIFT_PERCENT
        and worse(kpi.drift_percent, kpi.direction)
    ]
    watch = missed + fired + large
    stood_out = f"watch: {'; '.join(watch)}" if watch else "nothing stood out"
    return RollbackRecommendation(
        should_rollback=False,
        reason=f"One day is not evidence; {stood_out}.",
        priority="P1" if missed or fired else "P2" if large else "P3",
        investigation_items=tuple(watch),
    )
