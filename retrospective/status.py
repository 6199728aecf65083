"""The overall status, the advice, and one sentence why: the worst reason decides.

| status | when | advice |
|---|---|---|
| CRITICAL | a severe real regression not over, a budget gone, a critical incident unresolved | roll back, or fix now |
| NEEDS ATTENTION | a real regression, an SLO that ends before its window, a high incident | fix forward |
| NEEDS ATTENTION | too little data to say | not assessable |
| STABLE | only drifts, degradations of single days, or something to watch | watch, or keep |
| EXCELLENT | none of these, and a coverage of at least 95 % | keep |

The week before GA decides whether a regression is real; the GA day is part of the release and vetoes nothing.
Incidents are judged from the count of critical alerts. Anomalies inform and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from observability.artifacts import Status
from observability.model import LAST_DAY
from observability.units import format_value
from observability.verdicts import SloBurnDown
from retrospective.budgets import burn_rate, is_decided
from retrospective.changes import DRIFT, baseline_name, below_floor, deciding, described, has_values, size
from retrospective.degradations import BUDGET_DAYS
from retrospective.reason import DAYS, Advice, Priority, Reason
from retrospective.reasons import reasons_against
from retrospective.record import WeekRecord
from retrospective.wording import count, sentence

STATUSES: tuple[Status, ...] = ("CRITICAL", "NEEDS ATTENTION", "STABLE", "EXCELLENT")
_ADVICE: tuple[Advice, ...] = get_args(Advice)
_PRIORITIES: tuple[Priority, ...] = get_args(Priority)
_WEIGHTS: dict[Advice, int] = {
    "roll back": 0,
    "fix now": 1,  # is to fix forward, now
    "fix forward": 1,
    "not assessable": 2,
    "watch": 3,
    "keep": 4,
}
_STATUS_OF: dict[Advice, Status | None] = {
    "roll back": "CRITICAL",
    "fix forward": "NEEDS ATTENTION",
    "not assessable": "NEEDS ATTENTION",
    "watch": "STABLE",
    "keep": None,
}
_TO_DO: dict[Advice, str] = {
    "roll back": "Roll back, then fix it",
    "fix forward": "Fix it forward",
    "not assessable": "Make the release assessable",
    "watch": "Watch it",
}
_DECISIONS: dict[Advice, str] = {
    "roll back": "Roll {0} back",
    "fix now": "Keep {0} and fix it forward, now",
    "fix forward": "Keep {0} and fix it forward",
    "not assessable": "No verdict on {0}",
    "watch": "Keep {0} and watch it",
    "keep": "Keep {0}",
}


@dataclass(frozen=True)
class Judgement:
    """``reasons`` are ordered, the worst first; none of them means EXCELLENT."""

    status: Status
    advice: Advice
    why: str
    reasons: tuple[Reason, ...]


def judge(week: WeekRecord) -> Judgement:
    """The status of the week by the table above. Of equal reasons, that days are missing comes first: it bears on the
    others."""
    reasons = tuple(
        sorted(
            _with_advice(week, reasons_against(week)),
            key=lambda r: _order(r, week.advised is not None),
        )
    )
    status: Status = reasons[0].status if reasons else "EXCELLENT"
    advice: Advice = reasons[0].advice if reasons else "keep"
    return Judgement(status, advice, _why(week, status, advice, reasons), reasons)


def _order(reason: Reason, advised: bool) -> tuple[int, int, bool, int, str]:
    """Beside an advice of the regression summary the missing days come after what is heavier: they unsay nothing."""
    weight = _WEIGHTS[reason.advice] if advised else 0
    status, advice = STATUSES.index(reason.status), _ADVICE.index(reason.advice)
    return status, weight, reason.family != DAYS, advice, reason.priority


def _with_advice(week: WeekRecord, reasons: list[Reason]) -> list[Reason]:
    """One decision: where the regression summary has an advice, what it judged weighs no more than that, and at least
    that is said. Incidents and missing days, of which it knows less, may weigh more."""
    advised = week.advised
    if advised is None:
        return reasons
    weight, status = _WEIGHTS[advised.action], _STATUS_OF[advised.action]
    recommended = week.regression.rollback_recommendation if week.regression is not None else None
    priority: Priority = next((p for p in _PRIORITIES if recommended is not None and recommended.priority == p), "P2")
    told = [
        replace(reason, advice=advised.action, status=status, priority=max(reason.priority, priority))
        if reason.is_of_summary and status is not None and _WEIGHTS[reason.advice] < weight
        else reason
        for reason in reasons
        if not (reason.is_of_summary and status is None and _WEIGHTS[reason.advice] < _WEIGHTS["keep"])
    ]
    if status is None or any(_WEIGHTS[reason.advice] <= weight for reason in told):
        return told
    evidence = (advised.reasons[0] if advised.reasons else advised.why).rstrip(".")
    said = Reason(
        status=status,
        advice=advised.action,
        priority=priority,
        family="advice",
        evidence=evidence,
        action=_TO_DO[advised.action],
        done_when="regression_summary.json, made again, no longer says it",
    )
    return [*told, said]


def _why(week: WeekRecord, status: Status, advice: Advice, reasons: tuple[Reason, ...]) -> str:
    """Decision, magnitude, absolute values, against what, how sure, and what it means."""
    decision = _DECISIONS[advice].format(week.ga.release or "the release")
    parts = [reasons[0].evidence] if reasons else [*_nothing_found(week)]
    parts += [*_heavier(week, advice), *_missing(reasons)]
    if status == "CRITICAL" or advice in {"roll back", "fix forward"}:
        parts += [*_waiting(week, status)]
    parts += [*_budgets_kept(week)]
    if week.coverage is not None and advice != "not assessable":
        parts.append(f"coverage {format_value(100 * week.coverage, '%')}")
    if len(reasons) > 1:
        parts.append(f"{count(len(reasons) - 1, 'further reason')} under Recommendations")
    return sentence(f"{decision}: {'; '.join(parts)}")


def _heavier(week: WeekRecord, advice: Advice) -> Iterator[str]:
    """That the regression summary alone would ask for less."""
    if week.advised is not None and _WEIGHTS[advice] < _WEIGHTS[week.advised.action]:
        yield f"without that, the advice of the regression summary is: {week.advised.action}"


def _missing(reasons: tuple[Reason, ...]) -> Iterator[str]:
    """Missing days bear on whatever is heavier."""
    yield from (reason.evidence for reason in reasons[1:] if reason.family == DAYS)


def _nothing_found(week: WeekRecord) -> Iterator[str]:
    """The smallest change that would have been named, and the largest one seen."""
    rows = [row for row in deciding(week.rows) if has_values(row)]
    counted = [row for row in rows if row.below_floor is None]
    if counted:
        closest = max(counted, key=size)
        yield (
            f"no KPI of {len(counted)} changed by more than {DRIFT:.0f} % for the worse against "
            f"{baseline_name(closest.baseline)}; largest change: {described(closest)}"
        )
    for row in rows:
        if row.below_floor is not None and not week.is_twin(row.metric_name):
            yield below_floor(row)


def _budgets_kept(week: WeekRecord) -> Iterator[str]:
    decided = [slo for slo in week.slos if is_decided(slo)]
    rates = {slo.slo_name: rate for slo in decided if (rate := burn_rate(slo)) is not None}
    if not rates or max(rates.values()) > 1:
        return
    name = max(rates, key=lambda slo: rates[slo])
    yield (
        f"{_all_of(len(rates), len(week.slos))} within the error budget"
        f"{_counted_days(decided)}(closest: {name}, {format_value(100 * rates[name], '%')} of the window's budget used)"
    )


def _counted_days(slos: list[SloBurnDown]) -> str:
    """On how many days the events were counted, where it was not on all eight."""
    days = min((sum(day.value is not None for day in slo.compliance_by_day) for slo in slos), default=0)
    return f" over {count(days, 'day')} of {LAST_DAY + 1} " if 0 < days <= LAST_DAY else " "


def _all_of(number: int, of: int) -> str:
    if number < of:
        return f"{number} of {count(of, 'objective')}"
    return {1: "the one objective", 2: "both objectives"}.get(of, f"all {of} objectives")


def _waiting(week: WeekRecord, status: Status) -> Iterator[str]:
    """What an hour of waiting costs: the regression summary's figure, of what burns faster than it lasts or is a
    reason; in older files for CRITICAL alone."""
    if week.advised is None:
        if status == "CRITICAL":
            yield _waiting_of_older(week)
        return
    failed = {slo.slo_name for slo in week.slos if is_decided(slo) and (burn_rate(slo) or 0.0) > 1}
    most = next((one for one in week.advised.waiting if one.burn_rate > 1 or one.slo_name in failed), None)
    if most is not None:
        cost = format_value(most.budget_percent_per_hour, "%")
        yield f"at day {most.day}'s rate an hour of waiting costs {cost} of the 30-day {most.slo_name} budget"


def _waiting_of_older(week: WeekRecord) -> str:
    """At the last day's burn rate. At a rate of 1 the budget lasts 30 · 24 hours."""
    rates = {slo.name: rate for slo in week.objectives if (rate := slo.burn(LAST_DAY)) is not None}
    if not rates:
        return f"what waiting costs is not known, because no events were counted on day {LAST_DAY}"
    name = max(rates, key=lambda slo: rates[slo])
    per_hour = 100 * rates[name] / (BUDGET_DAYS * 24)
    return (
        f"at day {LAST_DAY}'s rate an hour of waiting costs {format_value(per_hour, '%')} of the 30-day {name} budget"
    )
