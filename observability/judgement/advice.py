"""What to do with the release: keep, watch, fix forward or roll back, with what speaks for and against it.

The week before GA decides; the GA day confirms, other baselines inform.

* **roll back**: a deciding row that is real, severe (beyond 30 % for the worse) and still there, and that the
  pre-release median does not contradict; or an error budget that is gone within 48 hours at the rate of each of the
  last two counted days, where the burn came with the release.
* **fix forward**: other real changes for the worse; budgets that end before their 30 days; critical alerts on the last
  day that did not fire before GA.
* **not assessable**: no KPI could be tested against the week before GA, and no budget speaks.
* **watch**: drifts, large changes that were not tested, one bad day. A two-sided KPI never leads to more.
* **keep**: otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import get_args

from observability.artifacts import DaySummary, PreReleaseSummary, RollbackRecommendation
from observability.definitions import Direction
from observability.judgement.evidence import (
    REAL_CHANGE,
    against,
    against_burn,
    burned,
    burning,
    changed,
    disagrees,
    evidence_against,
    evidence_for,
    grouped,
    is_worse,
    listed,
    role,
    size,
    times,
    untested,
)
from observability.judgement.pace import Pace, paces, waiting
from observability.units import format_value
from observability.verdicts import Action, Advice, Regression, SloBurnDown, Waiting

FIX_H = 48.0  # the documents' "P1: 24–48h resolution"
ALERTS = "critical_incident_count"
ACTIONS: tuple[Action, ...] = get_args(Action)  # the weightiest first
MATTERS = {"availability": "errors"}  # two views of one matter
SAID: dict[Action, str] = {
    "roll back": "Roll back",
    "fix forward": "Keep the release and fix it forward",
    "not assessable": "No verdict",
    "watch": "Keep the release and watch it",
    "keep": "Keep the release",
}


@dataclass(frozen=True)
class Reason:
    """One thing that speaks for an action. Reasons for the same one are told by their ``weight``, the largest first."""

    action: Action
    text: str
    weight: float = 0.0
    rows: tuple[Regression, ...] = ()
    pace: Pace | None = None


@dataclass(frozen=True)
class Case:
    """All that the advice rests on."""

    rows: Sequence[Regression]
    paces: Sequence[Pace]
    ga: DaySummary
    days: Sequence[DaySummary]
    before: PreReleaseSummary | None

    @cached_property
    def deciding(self) -> list[Regression]:
        return [row for row in self.rows if role(row) == "decides"]

    def peers(self, row: Regression) -> list[Regression]:
        """The KPI against the other baselines."""
        return [one for one in self.rows if one.metric_name == row.metric_name and one is not row]

    @property
    def start(self) -> datetime:
        return self.ga.timestamp if self.ga.window is None else self.ga.window.start

    @property
    def day(self) -> timedelta:
        return timedelta(days=1) if self.ga.window is None else self.ga.window.end - self.ga.window.start


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
    reasons = sorted(_reasons(case), key=lambda reason: (ACTIONS.index(reason.action), -reason.weight))
    action: Action = reasons[0].action if reasons else "keep"
    leading = [reason for reason in reasons if reason.action == action or action == "not assessable"]
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
    """The advice in the documents' keys. P0 for a rollback, and where a budget is gone before a fix can land."""
    fails = {row.metric_name: row for row in rows if role(row) == "decides" and row.verdict == "fail"}
    items = [f"{name}: {row.impact}" for name, row in fails.items()]
    urgent = any(w.burn_rate > 1 and w.hours_left is not None and w.hours_left <= FIX_H for w in advice.waiting)
    priorities: dict[Action, str] = {
        "roll back": "P0",
        "fix forward": "P0" if urgent else "P1",
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


def _reasons(case: Case) -> Iterator[Reason]:
    yield from _of_rows(case)
    yield from _of_budgets(case)
    yield from _of_days(case)
    if all(row.real is None for row in case.deciding):
        why = untested(case.deciding) or "There is none."
        yield Reason("not assessable", f"no KPI could be tested against the week before GA. {why}", float("inf"))


def _of_rows(case: Case) -> Iterator[Reason]:
    """One reason per matter and action."""
    found = [(action, row) for row in case.rows if (action := _asked(case, row)) is not None]
    key = {id(row): (action, row.baseline, MATTERS.get(row.category, row.category)) for action, row in found}
    ordered = sorted((row for _, row in found), key=lambda row: (key[id(row)], -size(row)))
    for (action, _, _), rows in itertools.groupby(ordered, key=lambda row: key[id(row)]):
        group = tuple(rows)
        yield Reason(action, grouped(group) + _how_sure(group[0]), size(group[0]), group)


def _asked(case: Case, row: Regression) -> Action | None:
    """What the row alone asks for."""
    if role(row) != "decides":
        return "watch" if _confirms_alone(case, row) else None
    if row.direction is Direction.TWO_SIDED:
        return "watch" if row.real and size(row) > REAL_CHANGE else None
    if row.real and row.verdict == "fail":
        lasting = row.persists is True and row.ended is None
        severe = row.threshold_exceeded and lasting and _contradiction(case, row) is None
        return "roll back" if severe else "fix forward"
    return "watch" if is_worse(row) and size(row) > REAL_CHANGE and row.verdict != "no data" else None


def _confirms_alone(case: Case, row: Regression) -> bool:
    """Whether the GA day shows a real loss that the week before does not: it came after GA, or is the weekday's."""
    decided = any(one.metric_name == row.metric_name and one.verdict == "fail" for one in case.deciding)
    return role(row) == "confirms" and row.verdict == "fail" and is_worse(row) and not decided


def _contradiction(case: Case, row: Regression) -> Regression | None:
    """The row against the pre-release median, if it was assessed and shows no loss. Missing is no contradiction."""
    medians = (peer for peer in case.peers(row) if peer.baseline == "pre_release_median")
    return next((peer for peer in medians if disagrees(peer)), None)


def _how_sure(row: Regression) -> str:
    if row.real:
        return ", real" + (" and severe" if row.threshold_exceeded and row.verdict == "fail" else "")
    if row.real is None:
        return f", not tested{f': {row.obstacle}' if row.obstacle else ''}"
    return ", not significant"


def _of_budgets(case: Case) -> Iterator[Reason]:
    """Objectives on the same events against the same budget are one matter."""
    failing = [pace for pace in case.paces if pace.slo.verdict == "fail"]
    events: dict[object, list[Pace]] = {}
    for pace in failing:
        events.setdefault((pace.slo.bad, pace.slo.total, pace.slo.budget), []).append(pace)
    for same in events.values():
        pace, left = same[0], same[0].lasting_hours_left
        back = left is not None and left <= FIX_H and pace.came_with_release is True
        name = listed([one.slo.slo_name for one in same])
        yield Reason("roll back" if back else "fix forward", burning(pace, name), pace.slo.burn_rate or 0.0, pace=pace)


def _of_days(case: Case) -> Iterator[Reason]:
    """What single days say: objectives missed although the window's budget holds, and critical alerts."""
    for pace in case.paces:
        missed = [day.day for day in pace.slo.compliance_by_day if day.compliant is False]
        if missed and pace.slo.verdict != "fail":
            yield Reason("watch", f"{pace.slo.slo_name} was missed on day {', '.join(map(str, missed))}")
    fired = [day.day_number for day in (case.ga, *case.days) if (day.value(ALERTS) or 0) > 0]
    before = any((day.value(ALERTS) or 0) > 0 for day in (case.before.days if case.before else ()))
    if fired:
        new = case.days and fired[-1] == case.days[-1].day_number and not before
        text = f"critical alerts fired on day {', '.join(map(str, fired))}"
        yield Reason("fix forward" if new else "watch", text + (", as before GA" if before else ""))


def _for(case: Case, leading: Sequence[Reason]) -> Iterator[str]:
    for reason in leading:
        for row in reason.rows[:1]:
            yield from evidence_for(row, case.peers(row), case.start, case.day)
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
    if leading:
        yield from _kept(case)
    if action != "not assessable" and (text := untested(case.deciding)) is not None:
        yield text
    if not leading:
        named = [row for row in case.rows if role(row) == "informs" and row.verdict == "fail" and is_worse(row)]
        yield from (f"{changed(row)} {against(row)}." for row in named)


def _nothing_found(case: Case) -> Iterator[str]:
    tested = [row for row in case.deciding if row.real is not None]
    worse = [row for row in tested if is_worse(row)]
    text = f"{len(tested)} of {len(case.deciding)} KPIs were tested against the week before GA, and none got worse"
    yield f"{text}; closest: {changed(max(worse, key=size))}." if worse else f"{text}."


def _kept(case: Case) -> Iterator[str]:
    kept = {p.slo.slo_name: p.slo.burn_rate for p in case.paces if p.slo.verdict == "pass"}
    rates = {name: rate for name, rate in kept.items() if rate is not None}
    if rates:
        name = max(rates, key=lambda one: rates[one])
        closest = f"closest: {name}, burned at {times(rates[name])} the pace at which it lasts"
        yield f"Error budgets kept: {len(rates)} of {len(case.paces)} ({closest})."


def _why(action: Action, leading: Sequence[Reason], case: Case, costs: Sequence[Waiting]) -> str:
    """The decision, its weightiest reason, and what waiting costs where something is to be done."""
    first = leading[0].text if leading else next(_nothing_found(case)).rstrip(".")
    text = f"{SAID[action]}: {first.rstrip('.')}"
    if len(leading) > 1:
        text += f" ({len(leading) - 1} more reason{'s' if len(leading) > 2 else ''})"
    if action in {"roll back", "fix forward"} and costs:
        percent = format_value(costs[0].budget_percent_per_hour, "%")
        text += f"; an hour of waiting costs {percent} of the 30-day {costs[0].slo_name} budget"
    return f"{text}."


def _sentence(text: str) -> str:
    is_name = "_" in text.partition(" ")[0]
    return (text if is_name else text[:1].upper() + text[1:]).rstrip(".") + "."
