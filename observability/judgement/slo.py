"""Error budgets from counted events: what the days since GA have consumed, and when it is gone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from observability.artifacts import DaySummary, SloDay, Verdict
from observability.judgement.objectives import allowed_events
from observability.verdicts import ComplianceDay, SloBurnDown

BUDGET_DAYS = 30.0  # the usual SLO period (Google SRE workbook, ch. 2)
MIN_EVENTS = 1000.0  # fewer events than this in the window decide nothing
MIN_COVERAGE = 0.95  # less than this of the window seen, and a budget that was not overspent is not known to be kept

CHANGED = (
    " The histogram's buckets changed among the days and the threshold is not a bound on all of them, so the days' "
    "counts are estimates that do not compare."
)


def burn_downs(days: Sequence[DaySummary]) -> tuple[SloBurnDown, ...]:
    """One burn-down per objective, over the GA day and the days after it.

    The window's budget is ``budget · events of the window``: event-weighted, so that an hour of errors at night costs
    what it cost (SRE workbook, ch. 2). Consumption is not capped, and the days' shares add up to it. The share of the
    30-day budget takes the window's mean traffic for the whole period. Partial days are left out, and days weigh by
    what is left of them outside maintenance. An objective with a threshold is inconclusive where the buckets changed
    among its days, unless the threshold is a bound on all of them.
    """
    days = [day for day in days if not day.partial]
    judged = {day.day_number: day.judged_share for day in days}
    names = dict.fromkeys(slo.slo_name for day in days for slo in day.slos)
    return tuple(
        _burn_down(
            {day.day_number: slo for day in days for slo in day.slos if slo.slo_name == name},
            judged,
            _buckets_changed(days, name),
        )
        for name in names
    )


def _buckets_changed(days: Sequence[DaySummary], name: str) -> bool:
    """Whether the days' counts up to a threshold are estimated from different buckets."""
    found = [(slo, day.kpis.get(slo.kpi)) for day in days for slo in day.slos if slo.slo_name == name]
    bounds = {frozenset(kpi.buckets) for slo, kpi in found if kpi and kpi.buckets is not None and slo.exact is not None}
    return len(bounds) > 1 and not all(slo.exact for slo, _ in found if slo.exact is not None)


def _burn_down(by_day: Mapping[int, SloDay], judged: Mapping[int, float], changed: bool) -> SloBurnDown:
    """``judged``: the share of each day, of those without the objective too, that is outside maintenance."""
    slo = next(iter(by_day.values()))
    counted = [(day.bad, day.total) for day in by_day.values() if day.bad is not None and day.total is not None]
    bad, total = math.fsum(bad for bad, _ in counted), math.fsum(total for _, total in counted)
    allowed = allowed_events(slo.budget, total)
    between = _between(by_day)
    burn_rate = bad / allowed if allowed > 0 else None
    days = math.fsum(judged[number] for number, day in by_day.items() if day.bad is not None)
    seen = math.fsum(day.coverage * judged[number] for number, day in by_day.items())
    coverage = seen / math.fsum(judged.values()) if any(judged.values()) else 0.0
    spent = None if burn_rate is None else burn_rate * days / BUDGET_DAYS
    whole = _with_maintenance(by_day)
    return SloBurnDown(
        slo_name=slo.slo_name,
        kpi=slo.kpi,
        unit=slo.unit,
        target=slo.target,
        budget=slo.budget,
        value=None if total == 0 else 100.0 * (bad if slo.counts_bad else total - bad) / total,
        bad=bad if counted else None,
        total=total if counted else None,
        burn_rate=burn_rate,
        budget_consumed_percent=None if burn_rate is None else 100 * burn_rate,
        budget_consumed_30d_percent=None if spent is None else 100 * spent,
        days_to_exhaustion=_days_left(burn_rate, spent, total),
        compliance_by_day=_by_day(by_day, allowed),
        bad_with_maintenance=None if whole is None else whole[0],
        total_with_maintenance=None if whole is None else whole[1],
        coverage=coverage,
        verdict=_verdict(between, allowed, total, coverage, changed),
        why=_why(bad, total, allowed, len(counted), coverage)
        + (CHANGED if changed and total > 0 else "")
        + (_estimated(between, allowed) if total > 0 else "")
        + ("" if whole is None else f" With maintenance: {whole[0]:,.0f} of {whole[1]:,.0f}."),
    )


def _with_maintenance(by_day: Mapping[int, SloDay]) -> tuple[float, float] | None:
    """Bad and all events of the whole days; None where maintenance leaves out nothing of any."""
    if all(day.total_with_maintenance is None for day in by_day.values()):
        return None
    bad = [day.bad if day.bad_with_maintenance is None else day.bad_with_maintenance for day in by_day.values()]
    total = [day.total if day.total_with_maintenance is None else day.total_with_maintenance for day in by_day.values()]
    return math.fsum(n for n in bad if n is not None), math.fsum(n for n in total if n is not None)


def _days_left(burn_rate: float | None, spent: float | None, total: float) -> float | None:
    """Days until what remains of the 30-day budget is gone at the window's mean rate; None: not at this rate."""
    if burn_rate is None or spent is None or total < MIN_EVENTS:
        return None
    if spent >= 1:
        return 0.0
    return (1 - spent) * BUDGET_DAYS / burn_rate if burn_rate > 0 else None


def _between(by_day: Mapping[int, SloDay]) -> tuple[float, float]:
    """The fewest and the most bad events of the window; the same where all of them were counted exactly."""
    counted = [day.bad_between or (day.bad, day.bad) for day in by_day.values() if day.bad is not None]
    return math.fsum(fewest for fewest, _ in counted), math.fsum(most for _, most in counted)


def _verdict(between: tuple[float, float], allowed: float, total: float, coverage: float, changed: bool) -> Verdict:
    if allowed <= 0:
        return "no data"
    if total < MIN_EVENTS or changed:
        return "inconclusive"
    if between[0] > allowed:
        return "fail"
    return "pass" if between[1] <= allowed and coverage >= MIN_COVERAGE else "inconclusive"


def _estimated(between: tuple[float, float], allowed: float) -> str:
    fewest, most = between
    if fewest == most:
        return ""
    text = f" The buckets say only that {fewest:,.0f} to {most:,.0f} were bad"
    return f"{text}: put a bound at the threshold." if fewest <= allowed < most else f"{text}."


def _by_day(by_day: Mapping[int, SloDay], allowed: float) -> tuple[ComplianceDay, ...]:
    return tuple(
        ComplianceDay(
            day=number,
            value=slo.value,
            compliant=slo.compliant,
            budget_consumed=None if slo.bad is None or allowed <= 0 else 100 * slo.bad / allowed,
        )
        for number, slo in sorted(by_day.items())
    )


def _why(bad: float, total: float, allowed: float, days: int, coverage: float) -> str:
    if total == 0:
        return "No events were counted in the window." if days else "No data in the window."
    span = f"{days} day{'s' if days != 1 else ''}"
    text = f"Bad events in {span}: {bad:,.0f} of {total:,.0f}; the objective allows {allowed:,.1f}."
    if total < MIN_EVENTS:
        return f"{text} Fewer than {MIN_EVENTS:,.0f} events decide nothing."
    if coverage < MIN_COVERAGE and bad <= allowed:
        return f"{text} Only {100 * coverage:.1f} % of the window was seen, so a kept budget is not proven."
    return text
