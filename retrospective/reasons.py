"""What speaks against the release: each reason with its weight, its figures, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from observability.artifacts import Severity
from observability.definitions import Direction
from observability.model import LAST_DAY, format_instant
from observability.units import format_value
from observability.verdicts import Regression, SloBurnDown
from retrospective.budgets import BUDGET_GONE, burn_rate, burned, is_decided, month_share, same_budget, slowed
from retrospective.changes import (
    DRIFT,
    INVESTIGATE,
    LARGE,
    baseline_name,
    by_family,
    deciding,
    described,
    described_with,
    direction,
    has_values,
    interval_text,
    is_worse,
    label,
    size,
)
from retrospective.degradations import degradations, fired, still_firing
from retrospective.gaps import not_assessable, too_little, unseen
from retrospective.reason import Advice, Priority, Reason
from retrospective.record import INCIDENTS, WeekRecord, family, unit_of
from retrospective.wording import count, day_list, listed

LOAD_CATEGORIES = frozenset({"resources", "database", "redis", "network", "cost"})  # what follows the traffic
_PRIORITIES: dict[Severity, Priority] = {"critical": "P0", "high": "P1", "medium": "P2", "low": "P3"}


def reasons_against(week: WeekRecord) -> list[Reason]:
    """All of them, in no order. A family that a heavier reason speaks for is not watched as well."""
    found = [
        *(replace(reason, is_of_summary=True) for reason in (*_budgets(week), *_regressions(week), *_untested(week))),
        *(*_incidents(week), *too_little(week)),
    ]
    taken = {reason.family for reason in found}
    moved = [replace(reason, is_of_summary=True) for reason in _moved(week, taken)]
    taken |= {reason.family for reason in moved}
    return [*found, *moved, *_degraded(week, taken), *unseen(week)]


def _budgets(week: WeekRecord) -> Iterator[Reason]:
    for slos in same_budget([slo for slo in week.slos if is_decided(slo)]):
        burn, share = burn_rate(slos[0]), month_share(slos[0])
        gone = share is not None and share >= BUDGET_GONE
        if not gone and (burn is None or burn <= 1):
            continue
        name = slos[0].slo_name
        yield Reason(
            status="CRITICAL" if gone else "NEEDS ATTENTION",
            advice="fix now" if gone else "fix forward",
            priority="P0" if gone else "P1",
            family=family(week.about(slos[0].kpi or name).category, slos[0].kpi or name),
            evidence=burned(week, slos),
            action=_of_budget(week, slos),
            done_when=f"slo_burn_down.json of the next week: burn_rate of {name} is at most 1",
        )


def _of_budget(week: WeekRecord, slos: list[SloBurnDown]) -> str:
    names = listed([slo.slo_name for slo in slos])
    if slowed(week, slos[0]) is None:
        return f"Bring the burn rate of {names} to 1 or below"
    return f"Find out what burned the error budget of {names}, so that it does not come back"


def _regressions(week: WeekRecord) -> Iterator[Reason]:
    """Real changes for the worse, severe beyond 30 %. A rollback is said where the regression summary advises one, of
    changes that it does not say have passed."""
    advised = week.regression.rollback_recommendation if week.regression else None
    for rows in by_family(
        [row for row in deciding(week.rows) if row.real is True and is_worse(row)], week.with_objective
    ):
        row = rows[0]
        large = [one for one in rows if size(one) > LARGE]
        severe = len(large) > 0
        lasting = any(one.persists is not False for one in large)
        back = lasting and advised is not None and advised.should_rollback is True
        older, over = _is_older(week, row), all(one.ended is not None for one in rows)
        now = severe and not over
        advice: Advice = "watch" if older else "roll back" if back else "fix now" if now else "fix forward"
        yield Reason(
            status="STABLE" if older else "CRITICAL" if back or now else "NEEDS ATTENTION",
            advice=advice,
            priority="P2" if older else "P0" if back or now else "P1",
            family=_family(row),
            evidence=_certain(week, rows),
            action=_to_do(row, back=back and not older, older=older, over=over),
            done_when=_back_in_range(row),
        )


def _is_older(week: WeekRecord, row: Regression) -> bool:
    """Whether the change began before GA: then it did not come with the release."""
    return row.onset is not None and row.onset < week.calendar.ga


def _to_do(row: Regression, *, back: bool, older: bool, over: bool) -> str:
    name = row.metric_name
    if back:
        return f"Roll back, then fix what made {name} worse"
    if older:
        return f"Find out what made {name} worse before GA"
    return f"Find out what made {name} worse, so that it does not come back" if over else f"Fix what made {name} worse"


def _certain(week: WeekRecord, rows: list[Regression]) -> str:
    """The change, against what, how sure, since when, and what the last day says."""
    row = rows[0]
    details = []
    if row.interval is not None:
        details.append(f"interval {interval_text(row)}")
    if row.days is not None:
        details.append(
            f"centre of {count(row.days, 'same-weekday change' if row.baseline == 'week_before' else 'day')}"
        )
    last = week.values(row.metric_name).get(LAST_DAY)
    if last is not None:
        details.append(f"{week.shown(row.metric_name, LAST_DAY)} on day {LAST_DAY}")
    details += [*_course(week, row), *_load(week, row)]
    return f"{_against(rows)} ({', '.join(details)})" if details else _against(rows)


def _course(week: WeekRecord, row: Regression) -> Iterator[str]:
    """Whether it came with the release, and whether it is still there."""
    if row.onset is not None and _is_older(week, row):
        yield f"began at {format_instant(row.onset)}, before GA: a rollback would not cure it"
    if row.ended is not None:
        yield f"ended at {format_instant(row.ended)}"
    elif row.persists is False:
        yield "not there on each of the last two days"


def _against(rows: list[Regression]) -> str:
    return f"{described_with(rows)} against {baseline_name(rows[0].baseline)}"


def _load(week: WeekRecord, row: Regression) -> list[str]:
    """How the traffic moved against the same baseline, for KPIs that follow it."""
    load = [other for other in week.rows if other.metric_name == "request_rate" and other.baseline == row.baseline]
    if row.category not in LOAD_CATEGORIES or not load or size(load[0]) <= DRIFT:
        return []
    return [f"meanwhile {described(load[0])}"]


def _back_in_range(row: Regression) -> str:
    return (
        f"regression_summary.json of the next week: {row.metric_name} is within {DRIFT:.0f} % "
        f"of {format_value(row.baseline_value, unit_of(row.metric_name, row.unit))}"
    )


def _incidents(week: WeekRecord) -> Iterator[Reason]:
    days = [day for day, value in week.values(INCIDENTS).items() if value > 0]
    if not days:
        return
    still = still_firing(week) is True
    evidence = fired(week, days)
    if still:
        evidence += f", one of them still firing at the end of day {LAST_DAY}"
    yield Reason(
        status="CRITICAL" if still else "NEEDS ATTENTION",
        advice="fix now" if still else "fix forward",
        priority="P0" if still else "P1",
        family=INCIDENTS,
        evidence=evidence,
        action="Resolve the critical alert that is firing"
        if still
        else f"Find the cause of the alerts of {day_list(days)}",
        done_when=f"day summaries of the next week: {INCIDENTS} is 0 on every day",
    )


def _untested(week: WeekRecord) -> Iterator[Reason]:
    """Large changes for the worse that no test has seen: neither confirmed nor dismissed. Those from 0 are watched."""
    untested = [row for row in deciding(week.rows) if row.real is None and LARGE < size(row) < math.inf]
    for rows in by_family([row for row in untested if is_worse(row)], week.with_objective):
        yield Reason(
            status="NEEDS ATTENTION",
            advice="not assessable",
            priority="P1",
            family=_family(rows[0]),
            evidence="; ".join([f"{_against(rows)}: large, and not tested{_because(rows[0])}", *_load(week, rows[0])]),
            action=f"Confirm or dismiss the change of {rows[0].metric_name}",
            done_when=_back_in_range(rows[0]),
        )
    advised = week.regression.rollback_recommendation if week.regression else None
    if advised is None or week.advised is not None:
        return  # newer summaries say what a rollback rests on
    if advised.should_rollback is True and not any(row.real for row in deciding(week.rows)):
        yield not_assessable(
            f"the regression summary advises a rollback ({advised.reason.rstrip('.')}), with no change that was tested",
            "Decide on the rollback that the regression summary advises",
            "regression_summary.json, made again, says of each row behind the advice whether it is real",
        )


def _because(row: Regression) -> str:
    return f": {row.obstacle}" if row.obstacle is not None else ""


def _moved(week: WeekRecord, taken: set[str]) -> Iterator[Reason]:
    """Drifts, large changes that are not significant, and large moves of KPIs of which no direction is worse."""
    rows = [
        row
        for row in deciding(week.rows)
        if size(row) > DRIFT
        and (is_worse(row) or direction(row) is Direction.TWO_SIDED)
        and _family(row) not in taken
        and has_values(row)
    ]
    for related in by_family(rows, week.with_objective):
        row = related[0]
        look = size(row) > INVESTIGATE
        yield Reason(
            status="STABLE",
            advice="watch" if look else "keep",
            priority="P2" if look else "P3",
            family=_family(row),
            evidence=f"{_against(related)} ({label(row)}){_because(row)}",
            action=f"Find out why {row.metric_name} moved",
            done_when=f"regression_summary.json of the next release: {row.metric_name} is within {DRIFT:.0f} %",
        )


def _degraded(week: WeekRecord, taken: set[str]) -> Iterator[Reason]:
    for item in degradations(week):
        name = item.metric_name or item.category
        if family(item.category, name) in taken:
            continue
        yield Reason(
            status="STABLE",
            advice="keep" if item.resolution_status == "resolved" else "watch",
            priority=_PRIORITIES[item.severity],
            family=family(item.category, name),
            evidence=f"{item.description}; {item.resolution_details[:1].lower()}{item.resolution_details[1:]}",
            action=f"Find out why {name} degraded on {day_list([item.day_occurred])}",
            done_when=f"the next retrospective lists no degradation of {name}",
        )


def _family(row: Regression) -> str:
    return family(row.category, row.metric_name)
