"""Reasons that lie in the data: too little of it to judge the release, or something that nobody looked at."""

from __future__ import annotations

from collections.abc import Iterator

from observability.model import LAST_DAY
from observability.units import format_value
from retrospective.budgets import is_decided
from retrospective.changes import LARGE, deciding, has_values, size
from retrospective.reason import Reason
from retrospective.record import INCIDENTS, WeekRecord
from retrospective.wording import count, day_list, listed

MIN_COVERAGE = 0.95


def too_little(week: WeekRecord) -> Iterator[Reason]:
    """Data without which nobody can say that the release is fine."""
    absent = sorted((*week.missing, *week.partial))
    if absent:
        yield not_assessable(
            f"{count(len(week.present), 'complete daily summary', 'complete daily summaries')} of {LAST_DAY} "
            f"({day_list(absent)} missing or partial)",
            f"Collect {day_list(absent)} while Prometheus still has the data",
            "stability/ holds seven complete daily summaries",
        )
    yield from _coverage(week)
    if not any(has_values(row) for row in deciding(week.rows)):
        yield not_assessable(
            "no KPI could be compared with a baseline",
            "Run the regression analysis on a GA summary and daily summaries that hold KPIs",
            "regression_summary.json holds a row with a value on both sides",
        )
    if week.slos and not any(is_decided(slo) for slo in week.slos):
        yield not_assessable(
            f"none of the {count(len(week.slos), 'objective')} could be assessed",
            "Give the objectives' KPIs the events that they count",
            "slo_burn_down.json: the verdict of one objective is pass or fail",
        )


def _coverage(week: WeekRecord) -> Iterator[Reason]:
    coverage = week.coverage
    done_when = f"day summaries of the next week: coverage is at least {MIN_COVERAGE}"
    if coverage is None:
        evidence = "the files do not state how much of the week was observed"
        yield not_assessable(evidence, "Collect the week again with summaries that state their coverage", done_when)
    elif coverage < MIN_COVERAGE:
        unseen = unseen_kpis(week)
        evidence = f"of the expected samples {format_value(100 * coverage, '%')} are there, less than the 95 % needed"
        if unseen:
            evidence += f"; without data: {listed(unseen, 3)}"
        collect = f"Collect {listed(unseen, 3)}, or leave out with `only:` what the service does not have"
        yield not_assessable(evidence, collect if unseen else "Close the gaps in the collection", done_when)


def unseen_kpis(week: WeekRecord) -> list[str]:
    """KPIs that were asked for and had no data on any day. Cost is not observed; it has prices or has none."""
    return [kpi for kpi in week.kpis if not week.values(kpi) and week.about(kpi).category != "cost"]


def not_assessable(evidence: str, action: str, done_when: str) -> Reason:
    return Reason("NEEDS ATTENTION", "not assessable", "P1", "data", evidence, action, done_when)


def unseen(week: WeekRecord) -> Iterator[Reason]:
    """What is not known, and keeps a week without findings from being called excellent."""
    yield from _not_tested(week)
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


def _not_tested(week: WeekRecord) -> Iterator[Reason]:
    """KPIs that were not tested against the week before GA. Those that changed a lot have a reason of their own."""
    rows = [row for row in deciding(week.rows) if has_values(row)]
    untested = [row.metric_name for row in rows if row.real is None and size(row) <= LARGE]
    if not any(row.baseline == "week_before" for row in rows):
        yield _watch(
            "nothing could be compared with a week before GA, so a defect that came with the release cannot be seen",
            "Keep Prometheus' data for at least 15 days, so that the week before GA can be pulled",
            "ga_kpis/pre_release_summary.json of the next release holds seven days",
        )
    elif untested:
        yield _watch(
            f"{count(len(untested), 'KPI')} could not be tested against the week before GA: {listed(untested, 3)}",
            f"Look at {listed(untested, 3)} by hand",
            "regression_summary.json of the next release: `real` is true or false for each",
        )


def _watch(evidence: str, action: str, done_when: str) -> Reason:
    return Reason("STABLE", "watch", "P2", "data", evidence, action, done_when)
