"""What speaks against the release: each reason with its weight, its figures, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from observability.artifacts import Regression, Severity, Status
from observability.model import LAST_DAY, Direction
from observability.units import format_value
from retrospective.budgets import BUDGET_GONE, burn_rate, burned, is_decided, month_share, same_budget
from retrospective.changes import (
    DRIFT,
    INVESTIGATE,
    LARGE,
    baseline_name,
    by_family,
    deciding,
    described_with,
    direction,
    has_values,
    is_worse,
    label,
    size,
)
from retrospective.degradations import degradations, still_firing
from retrospective.record import INCIDENTS, WeekRecord, family
from retrospective.wording import count, day_list, listed

Advice = Literal["roll back", "fix now", "fix forward", "not assessable", "watch", "keep"]
Priority = Literal["P0", "P1", "P2", "P3"]

MIN_COVERAGE = 0.95
_PRIORITIES: dict[Severity, Priority] = {"critical": "P0", "high": "P1", "medium": "P2", "low": "P3"}


@dataclass(frozen=True)
class Reason:
    """One thing that speaks against EXCELLENT. ``done_when`` can be checked on the next week's artifacts."""

    status: Status
    advice: Advice
    priority: Priority
    family: str
    evidence: str
    action: str
    done_when: str


def reasons_against(week: WeekRecord) -> list[Reason]:
    """All of them, in no order. A family that a heavier reason speaks for is not watched as well."""
    found = [*_budgets(week), *_regressions(week), *_incidents(week), *_too_little(week), *_untested(week)]
    taken = {reason.family for reason in found}
    moved = [*_moved(week, taken)]
    taken |= {reason.family for reason in moved}
    return [*found, *moved, *_degraded(week, taken), *_unseen(week)]


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
            family=family(week.about(slos[0].kpi or name).category),
            evidence=burned(week, slos),
            action=f"Bring the burn rate of {listed([slo.slo_name for slo in slos])} to 1 or below",
            done_when=f"slo_burn_down.json of the next week: burn_rate of {name} is at most 1",
        )


def _regressions(week: WeekRecord) -> Iterator[Reason]:
    """Real changes for the worse. Beyond 30 % they are severe; a rollback is said where the summary says it."""
    advised = week.regression.rollback_recommendation if week.regression else None
    for rows in by_family(row for row in _deciding(week) if row.real is True and is_worse(row)):
        row = rows[0]
        severe = size(row) > LARGE
        back = severe and advised is not None and advised.should_rollback is True
        advice: Advice = "roll back" if back else "fix now" if severe else "fix forward"
        yield Reason(
            status="CRITICAL" if severe else "NEEDS ATTENTION",
            advice=advice,
            priority="P0" if severe else "P1",
            family=family(row.category),
            evidence=_certain(week, rows),
            action=f"{'Roll back, then fix' if back else 'Fix'} what made {row.metric_name} worse",
            done_when=_back_in_range(row),
        )


def _certain(week: WeekRecord, rows: list[Regression]) -> str:
    """The change, against what, how sure, since when, and what the last day says."""
    row = rows[0]
    details = []
    if row.interval is not None:
        details.append(f"interval {100 * row.interval[0]:+.1f} to {100 * row.interval[1]:+.1f} %")
    if row.n is not None:
        details.append(f"median of {count(row.n, 'same-weekday change' if row.baseline == 'week_before' else 'day')}")
    last = week.values(row.metric_name).get(LAST_DAY)
    if last is not None:
        details.append(f"{format_value(last, row.unit)} on day {LAST_DAY}")
    text = f"{described_with(rows)} against {baseline_name(row.baseline)}"
    return f"{text} ({', '.join(details)})" if details else text


def _back_in_range(row: Regression) -> str:
    return (
        f"regression_summary.json of the next week: {row.metric_name} is within {DRIFT:.0f} % "
        f"of {format_value(row.baseline_value, row.unit)}"
    )


def _incidents(week: WeekRecord) -> Iterator[Reason]:
    days = [day for day, value in week.values(INCIDENTS).items() if value > 0]
    if not days:
        return
    still = still_firing(week) is True
    fired = f"critical alerts fired on {day_list(days)}"
    if still:
        fired += f", and one was still firing at the end of day {LAST_DAY}"
    yield Reason(
        status="CRITICAL" if still else "NEEDS ATTENTION",
        advice="fix now" if still else "fix forward",
        priority="P0" if still else "P1",
        family="incidents",
        evidence=fired,
        action=f"{'Resolve' if still else 'Find the cause of'} the critical alerts of {day_list(days)}",
        done_when=f"day summaries of the next week: {INCIDENTS} is 0 on every day",
    )


def _too_little(week: WeekRecord) -> Iterator[Reason]:
    """Data without which nobody can say that the release is fine."""
    absent = sorted((*week.missing, *week.partial))
    if absent:
        yield _not_assessable(
            f"{count(len(week.present), 'complete daily summary', 'complete daily summaries')} of {LAST_DAY} "
            f"({day_list(absent)} missing or partial)",
            f"Collect {day_list(absent)} while Prometheus still has the data",
            "stability/ holds seven complete daily summaries",
        )
    yield from _coverage(week)
    if not any(has_values(row) for row in _deciding(week)):
        yield _not_assessable(
            "no KPI could be compared with a baseline",
            "Run the regression analysis on a GA summary and daily summaries that hold KPIs",
            "regression_summary.json holds a row with a value on both sides",
        )
    if week.slos and not any(is_decided(slo) for slo in week.slos):
        yield _not_assessable(
            f"none of the {count(len(week.slos), 'objective')} could be assessed",
            "Give the objectives' KPIs the events that they count",
            "slo_burn_down.json: the verdict of one objective is pass or fail",
        )


def _coverage(week: WeekRecord) -> Iterator[Reason]:
    coverage = week.coverage
    done_when = f"day summaries of the next week: coverage is at least {MIN_COVERAGE}"
    if coverage is None:
        evidence = "the files do not state how much of the week was observed"
        yield _not_assessable(evidence, "Collect the week again with summaries that state their coverage", done_when)
    elif coverage < MIN_COVERAGE:
        unseen = unseen_kpis(week)
        evidence = f"of the expected samples {format_value(100 * coverage, '%')} are there, less than the 95 % needed"
        if unseen:
            evidence += f"; without data: {listed(unseen, 3)}"
        collect = f"Collect {listed(unseen, 3)}, or leave out with `only:` what the service does not have"
        yield _not_assessable(evidence, collect if unseen else "Close the gaps in the collection", done_when)


def unseen_kpis(week: WeekRecord) -> list[str]:
    """KPIs that were asked for and had no data on any day. Cost is not observed; it has prices or has none."""
    return [kpi for kpi in week.kpis if not week.values(kpi) and week.about(kpi).category != "cost"]


def _not_assessable(evidence: str, action: str, done_when: str) -> Reason:
    return Reason("NEEDS ATTENTION", "not assessable", "P1", "data", evidence, action, done_when)


def _untested(week: WeekRecord) -> Iterator[Reason]:
    """Large changes for the worse that no test has seen: neither confirmed nor dismissed."""
    for rows in by_family(row for row in _deciding(week) if row.real is None and is_worse(row) and size(row) > LARGE):
        yield Reason(
            status="NEEDS ATTENTION",
            advice="not assessable",
            priority="P1",
            family=family(rows[0].category),
            evidence=f"{described_with(rows)} against {baseline_name(rows[0].baseline)}: large, and not tested",
            action=f"Confirm or dismiss the change of {rows[0].metric_name}",
            done_when=_back_in_range(rows[0]),
        )
    advised = week.regression.rollback_recommendation if week.regression else None
    if advised is not None and advised.should_rollback is True and not any(row.real for row in _deciding(week)):
        yield _not_assessable(
            f"the regression summary advises a rollback ({advised.reason.rstrip('.')}), with no change that was tested",
            "Decide on the rollback that the regression summary advises",
            "the decision is written into the release's record",
        )


def _moved(week: WeekRecord, taken: set[str]) -> Iterator[Reason]:
    """Drifts, large changes that are not significant, and large moves of KPIs of which no direction is worse."""
    rows = [
        row
        for row in _deciding(week)
        if size(row) > DRIFT
        and (is_worse(row) or direction(row) is Direction.TWO_SIDED)
        and family(row.category) not in taken
        and has_values(row)
    ]
    for related in by_family(rows):
        row = related[0]
        look = size(row) > INVESTIGATE
        yield Reason(
            status="STABLE",
            advice="watch" if look else "keep",
            priority="P2" if look else "P3",
            family=family(row.category),
            evidence=f"{described_with(related)} against {baseline_name(row.baseline)} ({label(row)})",
            action=f"Find out why {row.metric_name} moved",
            done_when=_back_in_range(row),
        )


def _degraded(week: WeekRecord, taken: set[str]) -> Iterator[Reason]:
    for item in degradations(week):
        name = item.metric_name or item.category
        if family(item.category) in taken:
            continue
        yield Reason(
            status="STABLE",
            advice="keep" if item.resolution_status == "resolved" else "watch",
            priority=_PRIORITIES[item.severity],
            family=family(item.category),
            evidence=f"{item.description}; {item.resolution_details[:1].lower()}{item.resolution_details[1:]}",
            action=f"Find the cause of what happened to {name} on {day_list([item.day_occurred])}",
            done_when=f"the next retrospective lists no degradation of {name}",
        )


def _unseen(week: WeekRecord) -> Iterator[Reason]:
    """What is not known, and keeps a week without findings from being called excellent."""
    if not any(row.baseline == "week_before" and has_values(row) for row in _deciding(week)):
        yield _watch(
            "nothing could be compared with a week before GA, so a defect that came with the release cannot be seen",
            "Keep Prometheus' data for at least 15 days, so that the week before GA can be pulled",
            "ga_kpis/pre_release_summary.json of the next release holds seven days",
        )
    undecided = [slo.slo_name for slo in week.slos if not is_decided(slo)]
    if undecided and len(undecided) < len(week.slos):
        yield _watch(
            f"{listed(undecided)} could not be assessed",
            f"Give {listed(undecided)} enough events to be assessed",
            "slo_burn_down.json of the next week: each verdict is pass or fail",
        )
    if not week.slos:
        yield _watch(
            "no objective was assessed", "Define an objective in the release file", "slo_burn_down.json holds one"
        )
    if not week.values(INCIDENTS):
        yield _watch(
            "critical alerts were not observed",
            "Give the alerting rules a severity label and watch `critical_incident_count`",
            f"day summaries of the next week: {INCIDENTS} is not null",
        )


def _watch(evidence: str, action: str, done_when: str) -> Reason:
    return Reason("STABLE", "watch", "P2", "data", evidence, action, done_when)


def _deciding(week: WeekRecord) -> list[Regression]:
    return deciding(week.regression.rows) if week.regression is not None else []
