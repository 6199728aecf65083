"""What to do with the release: keep, watch, fix forward or roll back, with what speaks for and against it.

The week before GA decides; the GA day confirms, other baselines inform. ``reasons`` finds what speaks for which action.

* **roll back**: a deciding row that is real, severe (beyond 30 % for the worse) and persists on each of the last two
  days, that did not begin before GA, and that the pre-release median does not contradict; or an error budget that is
  gone within 48 hours at the rate of each of the last two counted days, at least twice that of the week before GA.
* **fix forward**: no traffic since GA; other real changes for the worse; budgets that end before their 30 days;
  critical alerts on the last day that did not fire before GA.
* **not assessable**: no KPI that can get worse could be judged against the week before GA (passes or fails), or there
  was no traffic, neither before GA nor since; and nothing heavier speaks.
* **watch**: availability, errors or latency without data since GA; real changes for the worse that began before GA;
  large ones that could not be tested; one bad day. A two-sided KPI never leads to more. What was tested and is not
  significant asks for nothing.
* **keep**: otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from observability.artifacts import DaySummary, PreReleaseSummary, RollbackRecommendation
from observability.judgement.evidence import (
    USER_FACING,
    against,
    against_burn,
    burned,
    changed,
    evidence_against,
    evidence_for,
    is_judged,
    is_worse,
    is_worse_by,
    listed,
    not_judged,
    pair,
    role,
    size,
    times,
)
from observability.judgement.level import REAL_CHANGE
from observability.judgement.pace import paces, waiting, worth_telling
from observability.judgement.reasons import FIX_H, Case, Reason, lost_traffic, reasons
from observability.units import format_value
from observability.verdicts import Action, Advice, Regression, SloBurnDown, Waiting

ACTIONS: tuple[Action, ...] = get_args(Action)  # the weightiest first
SAID: dict[Action, str] = {
    "roll back": "Roll back",
    "fix forward": "Keep the release and fix it forward",
    "not assessable": "No verdict",
    "watch": "Keep the release and watch it",
    "keep": "Keep the release",
}


def advise(
    rows: Sequence[Regression],
    slos: Sequence[SloBurnDown],
    ga: DaySummary,
    days: Sequence[DaySummary],
    before: PreReleaseSummary | None,
) -> Advice:
    """The advice on all KPIs × baselines and the error budgets; ``reasons`` are those that led to the action."""
    week = sorted((day for day in days if not day.partial), key=lambda day: day.day_number)
    case = Case(rows, paces(slos, ga, week, before), ga, week, before)
    found = sorted(reasons(case), key=lambda reason: (ACTIONS.index(reason.action), -reason.weight))
    action: Action = found[0].action if found else "keep"
    leading = [reason for reason in found if reason.action == action or action == "not assessable"]
    costs = waiting(case.paces)
    return Advice(
        action=action,
        why=_why(action, leading, case, costs),
        reasons=tuple(_sentence(reason.text) for reason in leading),
        evidence_for=tuple(dict.fromkeys(_for(case, leading))),
        evidence_against=tuple(dict.fromkeys(_against(case, action, leading))),
        waiting=costs,
    )


def recommend(advice: Advice, rows: Sequence[Regression]) -> RollbackRecommendation:
    """The advice in the documents' keys. P0 for a rollback, and where a budget is gone before a fix can land, or the
    traffic is."""
    fails = {row.metric_name: row for row in rows if role(row) == "decides" and row.verdict == "fail"}
    silent = [f"{row.metric_name}: no traffic, {pair(row)}" for row in rows if lost_traffic(row)]
    items = [*silent[:1], *(f"{name}: {row.impact}" for name, row in fails.items())]
    urgent = any(w.burn_rate > 1 and w.hours_left is not None and w.hours_left <= FIX_H for w in advice.waiting)
    priorities: dict[Action, str] = {
        "roll back": "P0",
        "fix forward": "P0" if urgent or silent else "P1",
        "not assessable": "P1",
        "watch": "P2",
        "keep": "P3",
    }
    return RollbackRecommendation(
        should_rollback=None if advice.action == "not assessable" else advice.action == "roll back",
        reason=advice.why,
        priority=priorities[advice.action],
        investigation_items=tuple(items) or (advice.reasons if advice.action != "keep" else ()),
    )


def _for(case: Case, leading: Sequence[Reason]) -> Iterator[str]:
    for reason in leading:
        for row in reason.rows[:1]:
            yield from evidence_for(row, case.peers(row), case.start, case.day, case.last)
        if reason.pace is not None:
            yield from burned(reason.pace)
    if not leading:
        yield from _nothing_found(case)
        yield from _kept(case)


def _against(case: Case, action: Action, leading: Sequence[Reason]) -> Iterator[str]:
    for reason in leading:
        for row in reason.rows[:1]:
            yield from evidence_against(row, case.peers(row), case.start, case.day)
        if reason.pace is not None:
            yield from against_burn(reason.pace)
        yield from reason.against
    if leading:
        yield from _kept(case)
    if action != "not assessable" and (text := not_judged(case.deciding)) is not None:
        yield text
    if not leading:
        losses = [row for row in case.rows if role(row) == "informs" and row.verdict == "fail" and is_worse(row)]
        yield from (f"{changed(row)} {against(row, case.last)}." for row in losses)


def _way(row: Regression) -> float:
    """A figure with the sign of the change; one from nothing has no ratio, and points."""
    return row.change if row.change is not None else row.points if row.points is not None else 0.0


def _nothing_found(case: Case) -> Iterator[str]:
    """One sentence: how much was judged, what came closest, what moved below the floor, and what is not known."""
    judged = [row for row in case.judgeable if is_judged(row)]
    below = [row for row in judged if row.below_floor is not None and is_worse_by(row, _way(row))]
    parts = [
        f"{len(judged)} of {len(case.judgeable)} KPIs could be judged against the week before GA, and none got worse"
        + (" beyond the floor" if below else "")
    ]
    worse = [row for row in judged if is_worse(row)]
    if worse:
        closest = max(worse, key=size)
        parts.append(f"closest: {changed(closest)}{', not significant' if size(closest) > REAL_CHANGE else ''}")
    if below:
        parts.append(listed([f"{row.metric_name} {pair(row)}" for row in below], len(below)))
    unknown = [row.metric_name for row in case.judgeable if row.category in USER_FACING and not is_judged(row)]
    if unknown:
        parts.append(f"of what users see, not judged: {listed(unknown, len(unknown))}")
    yield f"{'; '.join(parts)}."


def _kept(case: Case) -> Iterator[str]:
    kept = {p.slo.slo_name: p.slo.burn_rate for p in case.paces if p.slo.verdict == "pass"}
    rates = {name: rate for name, rate in kept.items() if rate is not None}
    if rates:
        name = max(rates, key=lambda one: rates[one])
        closest = f"closest: {name}, burned at {times(rates[name])} the pace at which it lasts"
        yield f"Error budgets kept: {len(rates)} of {len(case.paces)} ({closest})."


def _why(action: Action, leading: Sequence[Reason], case: Case, costs: Sequence[Waiting]) -> str:
    """The decision, its weightiest reason, and what waiting costs where something is to be done."""
    first = leading[0].text if leading else next(_nothing_found(case))
    text = f"{SAID[action]}: {first.rstrip('.')}"
    if len(leading) > 1:
        text += f" ({len(leading) - 1} more reason{'s' if len(leading) > 2 else ''})"
    cost = worth_telling(case.paces, costs) if action in {"roll back", "fix forward"} else None
    if cost is not None:
        percent = format_value(cost.budget_percent_per_hour, "%")
        text += f"; an hour of waiting costs {percent} of the 30-day {cost.slo_name} budget"
    return f"{text}."


def _sentence(text: str) -> str:
    is_name = "_" in text.partition(" ")[0]
    return (text if is_name else text[:1].upper() + text[1:]).rstrip(".") + "."
