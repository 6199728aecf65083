"""What speaks for which action: the rules of ``advice``, as reasons from rows, error budgets and single days."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from observability.artifacts import DaySummary, PreReleaseSummary
from observability.comparable import LOAD_KPI
from observability.definitions import Direction
from observability.judgement.evidence import (
    USER_FACING,
    against,
    burning,
    changed,
    disagrees,
    grouped,
    is_judged,
    is_worse,
    is_worse_by,
    listed,
    not_judged,
    pair,
    role,
    size,
)
from observability.judgement.level import REAL_CHANGE, SEVERE_CHANGE
from observability.judgement.pace import Pace
from observability.model import format_instant
from observability.units import format_change
from observability.verdicts import Action, Regression

FIX_H = 48.0  # the documents' "P1: 24–48h resolution"
FIRST = float("inf")
ALL_OF_IT = -1.0
ALERTS = "critical_incident_count"
MATTERS = {"availability": "errors"}  # two views of one matter

Finding = Literal["moved", "older", "last day", "silent"]


@dataclass(frozen=True)
class Reason:
    """One thing that speaks for an action. Reasons for the same one are told by their ``weight``, the largest first.
    ``rows`` are those that are evidence for it, ``against`` what speaks against it beside them."""

    action: Action
    text: str
    weight: float = 0.0
    rows: tuple[Regression, ...] = ()
    pace: Pace | None = None
    against: tuple[str, ...] = ()


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

    @cached_property
    def judgeable(self) -> list[Regression]:
        """Of the deciding ones, those of KPIs that can get worse."""
        return [row for row in self.deciding if row.direction is not Direction.TWO_SIDED]

    def peers(self, row: Regression) -> list[Regression]:
        """The KPI against the other baselines."""
        return [one for one in self.rows if one.metric_name == row.metric_name and one is not row]

    @property
    def start(self) -> datetime:
        return self.ga.timestamp if self.ga.window is None else self.ga.window.start

    @property
    def day(self) -> timedelta:
        return timedelta(days=1) if self.ga.window is None else self.ga.window.end - self.ga.window.start

    @property
    def last(self) -> int | None:
        return self.days[-1].day_number if self.days else None


def reasons(case: Case) -> Iterator[Reason]:
    yield from _of_traffic(case)
    yield from _of_rows(case)
    yield from _of_budgets(case)
    yield from _of_days(case)
    if not any(map(is_judged, case.deciding)):
        why = not_judged(case.deciding) or "There is none."
        yield Reason("not assessable", f"no KPI could be judged against the week before GA. {why}", FIRST)


def lost_traffic(row: Regression) -> bool:
    """Whether requests came before, and none since."""
    had_some = row.baseline_value is not None and row.baseline_value > 0
    return row.metric_name == LOAD_KPI and role(row) != "informs" and had_some and row.current_value == 0


def _of_traffic(case: Case) -> Iterator[Reason]:
    lost = next(filter(lost_traffic, sorted(case.rows, key=lambda row: role(row) != "decides")), None)
    if lost is not None:
        since = "GA" if role(lost) == "decides" else "the GA day"
        yield Reason("fix forward", f"no traffic since {since} ({LOAD_KPI} {pair(lost)})", FIRST)
        return
    for row in (row for row in case.deciding if row.metric_name == LOAD_KPI):
        if row.baseline_value == 0 and row.current_value == 0:
            yield Reason("not assessable", "the service had no traffic, neither before GA nor since", FIRST)
        elif row.last_change == ALL_OF_IT:
            yield Reason("watch", "no traffic on the last day", FIRST)


def _of_rows(case: Case) -> Iterator[Reason]:
    """One reason per matter, action and kind of finding."""
    found = [(*asked, row) for row in case.rows if (asked := _asked(case, row)) is not None]
    key = {
        id(row): (action, kind, row.baseline, MATTERS.get(row.category, row.category)) for action, kind, row in found
    }
    ordered = sorted((row for *_, row in found), key=lambda row: (key[id(row)], -size(row)))
    for (action, kind, *_), rows in itertools.groupby(ordered, key=lambda row: key[id(row)]):
        yield _reason(action, kind, tuple(rows))


def _asked(case: Case, row: Regression) -> tuple[Action, Finding] | None:
    """What the row alone asks for, and why."""
    if role(row) != "decides":
        return ("watch", "moved") if _confirms_alone(case, row) else None
    if _is_silent(row):
        return "watch", "silent"
    if row.direction is Direction.TWO_SIDED:
        return ("watch", "moved") if row.real and size(row) > REAL_CHANGE else None
    large = is_worse(row) and size(row) > REAL_CHANGE and row.verdict != "no data"
    if row.real and large and row.onset is not None and row.onset < case.start:
        return "watch", "older"
    if row.real and row.verdict == "fail":
        severe = row.threshold_exceeded and row.persists is True and _contradiction(case, row) is None
        return ("roll back" if severe else "fix forward"), "moved"
    if large and row.real is not False:
        return "watch", "moved"
    return ("watch", "last day") if _is_last_day_worse(row) else None


def _confirms_alone(case: Case, row: Regression) -> bool:
    """Whether the GA day shows a real loss that the week before does not: it came after GA, or is the weekday's."""
    decided = any(one.metric_name == row.metric_name and one.verdict == "fail" for one in case.deciding)
    return role(row) == "confirms" and row.verdict == "fail" and is_worse(row) and not decided


def _contradiction(case: Case, row: Regression) -> Regression | None:
    """The row against the pre-release median, if it was assessed and shows no loss. Missing is no contradiction."""
    medians = (peer for peer in case.peers(row) if peer.baseline == "pre_release_median")
    return next((peer for peer in medians if disagrees(peer)), None)


def _is_silent(row: Regression) -> bool:
    """Whether something that users see had data before GA, and has none since."""
    gone = row.verdict == "no data" and row.baseline_value is not None and row.current_value is None
    return gone and row.category in USER_FACING


def _is_last_day_worse(row: Regression) -> bool:
    """Beyond 30 %, and beyond what ordinary days of the KPI differ by."""
    if row.last_change is None or not is_worse_by(row, row.last_change):
        return False
    return abs(row.last_change) > max(SEVERE_CHANGE, row.detectable or 0.0)


def _reason(action: Action, kind: Finding, rows: tuple[Regression, ...]) -> Reason:
    """On rows of one matter, the largest change first."""
    first = rows[0]
    if kind == "silent":
        names = listed([row.metric_name for row in rows])
        have = "have" if len(rows) > 1 else "has"
        return Reason(action, f"{names} {have} no data since GA (the query, or the service?)", FIRST)
    if kind == "last day":
        days = listed([f"{row.metric_name} {format_change(row.last_change)}" for row in rows])
        week = f"Over the week, {changed(first)} {against(first)}."
        worst = max(abs(row.last_change or 0.0) for row in rows)
        return Reason(action, f"worse on the last day: {days}; one day is not evidence", worst, against=(week,))
    if kind == "older" and first.onset is not None:
        began = f"began on {format_instant(first.onset)}, before GA: a rollback would not cure it"
        return Reason(action, f"{grouped(rows)}, real, but {began}", size(first), rows)
    return Reason(action, grouped(rows) + _how_sure(first), size(first), rows)


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
