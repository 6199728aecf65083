"""One service's day: every KPI with its counts, distribution, coverage and drift, the SLOs' events and the cost."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np

from observability import kpi as kpis
from observability.artifacts import (
    FLAT_KEYS,
    CostDay,
    DaySummary,
    KpiSummary,
    MaintenanceWindow,
    RollbackRecommendation,
    SloDay,
)
from observability.comparable import has_same_hours, is_mostly_judged
from observability.definitions import Direction, Kind, Kpi, Maintenance, PriceList, Release
from observability.judgement.kpi_summary import summarise_kpi
from observability.judgement.maintenance import ALL_MAINTENANCE, left_out, overlapped, taken, without
from observability.judgement.objectives import is_mixed, slo_day
from observability.kpi import Counts
from observability.model import Array, Samples, SourceInfo, Window
from observability.units import format_value

LEAST_SEEN_OF_GA = 0.95  # its coverage, below which the drifts against it deserve a warning
LARGE_DRIFT_PERCENT = 30.0  # the documents' "regression"
UNEXPECTED_DRIFT_PERCENT = 10.0  # the documents' "unexpected drift"


def summarise(
    release: Release, samples: Samples, day_number: int, source: SourceInfo, ga: DaySummary | None, partial: bool
) -> DaySummary:
    """The summary of the day that ``samples`` cover; ``ga`` is the GA day's, which drifts are taken against.

    Steps in maintenance count for none of the figures but the cost; what the figures are with them stands beside.
    """
    kpis_of, windows = release.kpis_of(samples.service), _near(release.maintenance_of(samples.service), samples.window)
    frame = _frame(samples, kpis_of.values(), windows)
    counts = _counts(kpis_of, samples)
    whole = {name: summarise_kpi(kpi, samples, release.prices, counts=counts[name]) for name, kpi in kpis_of.items()}
    judged = {name: _outside(kpi, samples, windows, whole[name]) for name, kpi in kpis_of.items()}
    slos = tuple(
        slo_day(slo, kpis_of[slo.kpi], judged[slo.kpi], whole[slo.kpi], is_mixed(kpis_of[slo.kpi], samples))
        for slo in release.slos_of(samples.service)
    )
    if ga is not None:
        day = frame.model_copy(update={"kpis": judged})
        judged = {name: _with_drift(found, day, ga, name) for name, found in judged.items()}
    expected = [judged[name].coverage for name, kpi in kpis_of.items() if _can_have_data(kpi, release)]
    coverage = float(np.mean(expected)) if expected and not frame.is_all_maintenance else None
    of_ga = coverage if day_number == 0 else ga.coverage if ga is not None else None
    return DaySummary(
        timestamp=samples.window.start if day_number == 0 else samples.window.end - timedelta(seconds=1),
        day_number=day_number,
        service=samples.service,
        release=release.release,
        **{key: judged[key].value for key in FLAT_KEYS if key in judged},
        kpis=judged,
        slos=slos,
        cost=cost_day(samples, release.prices),
        window=samples.window,
        partial=partial,
        maintenance=frame.maintenance,
        maintenance_seconds=frame.maintenance_seconds,
        coverage=coverage,
        warnings=(*(f"{n}: {k.note}" for n, k in judged.items() if k.note), *_half_seen(of_ga), *samples.warnings),
        source_warnings=samples.warnings,
        rollback_recommendation=_one_day(judged, slos, frame.is_all_maintenance) if day_number > 0 else None,
        source=source,
        queries={query.name: query.promql for query in release.plan.queries},
    )


def _near(windows: Iterable[Maintenance], day: Window) -> list[Maintenance]:
    """The windows that can leave a step of the day out: those of the day, and of as long before it."""
    return [window for window in windows if window.overlaps(day.start - (day.end - day.start), day.end)]


def _frame(samples: Samples, expected: Collection[Kpi], windows: Sequence[Maintenance]) -> DaySummary:
    """The day without its figures: when it is, and how much of it is maintenance."""
    steps = np.array([taken(expected, samples, window) for window in windows]).reshape(-1, samples.steps) > 0
    seconds = (steps.sum(axis=1) * samples.step_s).tolist()
    return DaySummary(
        timestamp=samples.window.start,
        window=samples.window,
        maintenance=tuple(
            MaintenanceWindow(start=window.start, end=window.end, reason=window.reason, seconds=left_out_s)
            for window, left_out_s in zip(windows, seconds, strict=True)
            if left_out_s > 0
        ),
        maintenance_seconds=float(steps.any(axis=0).sum() * samples.step_s),
    )


def _counts(kpis_of: Mapping[str, Kpi], samples: Samples) -> dict[str, Counts | None]:
    """Each KPI's counts step by step. Those that come from the same queries are worked out once."""
    found: dict[tuple[str, ...], Counts | None] = {}
    for kpi in kpis_of.values():
        queries = (kpi.kind, *kpi.operands)
        if queries not in found:
            found[queries] = kpis.step_counts(kpi, samples)
    return {name: found[kpi.kind, *kpi.operands] for name, kpi in kpis_of.items()}


def _half_seen(coverage: float | None) -> tuple[str, ...]:
    if coverage is None or coverage >= LEAST_SEEN_OF_GA:
        return ()
    return (f"Only {100 * coverage:.1f} % of the GA day was seen, and drifts are taken against that part.",)


def _outside(kpi: Kpi, samples: Samples, windows: Sequence[Maintenance], whole: KpiSummary) -> KpiSummary:
    """The KPI without the steps that the windows leave out, given what it is over the whole day."""
    steps = left_out(kpi, samples, windows)
    if not steps.any():
        return whole
    found = summarise_kpi(kpi, without(kpi, samples, windows, steps), None, expected=~steps)
    note = ALL_MAINTENANCE if overlapped(samples, windows).all() else found.note
    return found.model_copy(update={"with_maintenance": whole.value, "note": note})


def _can_have_data(kpi: Kpi, release: Release) -> bool:
    return kpi.kind is not Kind.COST or release.prices is not None


def drift_percent(value: float | None, baseline: float | None) -> float | None:
    """Change against the baseline in per cent of it; None where either is missing or the baseline is 0."""
    if value is None or baseline is None or baseline == 0:
        return None
    return 100.0 * (value - baseline) / abs(baseline)


def _with_drift(summary: KpiSummary, day: DaySummary, ga: DaySummary, name: str) -> KpiSummary:
    """No drift between quantiles of histograms with other buckets, or from one that is beyond them; and none between
    days of which maintenance leaves too little, or of which other hours were seen."""
    baseline = ga.value(name)
    first = ga.kpis.get(name)
    if first is not None and (first.at_least or not same_buckets(summary, first)):
        baseline = None
    if not (is_mostly_judged(day) and is_mostly_judged(ga) and has_same_hours(day, ga, name)):
        baseline = None
    return summary.model_copy(update={"drift_percent": drift_percent(summary.value, baseline)})


def same_buckets(one: KpiSummary, other: KpiSummary) -> bool:
    """Whether two quantiles come from the same bucket bounds, as far as both are known."""
    return one.buckets is None or other.buckets is None or one.buckets.keys() == other.buckets.keys()


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


def _one_day(
    found: dict[str, KpiSummary], slos: tuple[SloDay, ...], is_all_maintenance: bool
) -> RollbackRecommendation:
    """A single day never advises a rollback; it says what to look at (two-sided KPIs are no reason by themselves)."""
    if is_all_maintenance:
        return RollbackRecommendation(should_rollback=None, reason="The whole day is maintenance.")
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
