"""The regression summary and the retrospective of the same week advise the same."""

from datetime import timedelta
from typing import Any

import pytest
from judged import WEEK, days
from judged import before as past_of

from observability.judgement.regression import analyse
from observability.judgement.slo import burn_downs
from observability.report import Retrospective
from observability.verdicts import Advice, Waiting
from retrospective.assemble import assemble
from retrospective.changes import interval_text
from tests import weeks

LATENCY, GAUGE, ERRORS, RATE = "p99_latency_ms", "balance", "overall_error_rate", "request_rate"
QUIET = {LATENCY: 100.0, GAUGE: 5.0, ERRORS: 0.02, RATE: 100.0}
UNSEEN = ("watch", "keep")  # anomalies and critical alerts were not looked at, which the retrospective alone knows
SAME = {"fix now": "fix forward"}  # which it is, with urgency


@pytest.mark.parametrize(
    ("since", "has_before"),
    [
        pytest.param({}, True, id="quiet"),
        pytest.param({}, False, id="no week before GA"),
        pytest.param({LATENCY: 140.0}, True, id="a severe step"),
        pytest.param({LATENCY: 120.0}, True, id="a step"),
        pytest.param({LATENCY: [140.0] * 6 + [100.0] * 2}, True, id="gone"),
        pytest.param({LATENCY: [100.0] * 7 + [500.0]}, True, id="the last day"),
        pytest.param({LATENCY: [100.0] * 6 + [500.0] * 2}, True, id="the last two days"),
        pytest.param({LATENCY: [100.0] + [None] * 7}, True, id="no data since GA"),
        pytest.param({ERRORS: 2.0}, True, id="errors"),
        pytest.param({RATE: 0.0}, True, id="no traffic"),
        pytest.param({RATE: 200.0}, True, id="twice the traffic"),
        pytest.param({GAUGE: 0.0}, True, id="fallen to 0"),
    ],
)
def test_both_advise_the_same(since, has_before):
    """The retrospective may weigh more by what it alone knows; of these weeks it knows no more."""
    ga, *week = days([0, *WEEK], {**QUIET, **since})
    before = past_of(QUIET) if has_before else None
    summary = analyse(ga, week, before, slos=burn_downs([ga, *week]))
    report = assemble(ga=ga, days=week, before=before, regression=summary, anomalies=None, slos=burn_downs([ga, *week]))
    assert summary.advice is not None
    told = SAME.get(report.advice, report.advice)
    assert told == summary.advice.action or (told, summary.advice.action) == UNSEEN


# With made-up summaries: what the report adds, and what it leaves out.

P99, CPU, COST = "p99_latency_ms", "avg_cpu_percent", "estimated_cost_per_hour"
SEVERE: dict[str, Any] = {"real": True, "verdict": "fail", "role": "decides", "persists": True}


def told(action: Any, *rows: Any, waiting: Any = (), **inputs: Any) -> Retrospective:
    advice = Advice(action=action, why="As told.", reasons=("As told.",), waiting=waiting)
    summary = weeks.regression(*rows, back=action == "roll back", advice=advice)
    return weeks.report(regression=summary, **inputs)


def test_missing_days_unsay_nothing():
    found = told("fix forward", weeks.row(P99, 400, 480, **SEVERE), days=weeks.days()[:5])
    assert (found.overall_status, found.advice) == ("NEEDS ATTENTION", "fix forward")
    assert "5 complete daily summaries of 7 (days 6–7 missing, partial or without data)" in found.why


def test_what_weighs_more_than_the_summary_says_so():
    alert = weeks.days({2: {"critical_incident_count": 1}})
    found = told("watch", days=alert)
    assert found.advice == "fix forward"
    assert "without that, the advice of the regression summary is: watch" in found.why
    assert "without that" not in told("watch").why


def test_what_is_only_watched_is_not_urgent():
    found = told("watch", weeks.row(P99, 400, 560, **SEVERE))
    assert (found.overall_status, found.advice) == ("STABLE", "watch")
    assert {item.priority for item in found.action_items} <= {"P2", "P3"}


def test_a_rollback_for_a_budget_is_no_untested_advice():
    found = told("roll back")
    assert (found.overall_status, found.advice) == ("CRITICAL", "roll back")
    assert not any("no change that was tested" in text for text in found.recommendations_v1_0_2)


def cost_of(name: str, rate: float) -> Waiting:
    share = 100 * rate / 720
    return Waiting(
        slo_name=name, day=7, burn_rate=rate, budget_percent_per_hour=share, bad_events_per_hour=1, hours_left=1
    )


@pytest.mark.parametrize(("rate", "is_told"), [(0.65, False), (3.6, True)])
def test_waiting_costs_what_the_summary_says_where_a_budget_burns_too_fast(rate, is_told):
    found = told("roll back", weeks.row(P99, 400, 560, **SEVERE), waiting=(cost_of("P99", rate),))
    assert ("an hour of waiting costs 0.5 % of the 30-day P99 budget" in found.why) is is_told
    assert "an hour of waiting" not in found.why or is_told


def test_what_has_ended_is_told_so_and_is_not_urgent():
    ended = {**SEVERE, "persists": False, "ended": weeks.GA + timedelta(hours=90)}
    found = told("fix forward", weeks.row(P99, 400, 560, **ended))
    assert (found.overall_status, found.advice) == ("NEEDS ATTENTION", "fix forward")
    assert "ended at 2025-11-21T18:00:00Z" in found.why
    assert found.action_items[0].description == "Find out what made p99_latency_ms worse, so that it does not come back"


def test_what_began_before_ga_is_watched():
    older = {**SEVERE, "verdict": "inconclusive", "onset": weeks.GA - timedelta(days=2)}
    found = told("watch", weeks.row(P99, 400, 560, **older))
    assert (found.overall_status, found.advice) == ("STABLE", "watch")
    assert "began at 2025-11-16T00:00:00Z, before GA: a rollback would not cure it" in found.why


@pytest.mark.parametrize(("last", "action"), [(200, "Bring the burn rate"), (20, "Find out what burned")])
def test_a_burn_that_stopped_is_not_to_be_brought_down(last, action):
    """Of 100,000 events 100 may be bad."""
    found = weeks.report(slos=[weeks.burn_down(1_600, 800_000)], days=weeks.slo_days({7: weeks.slo(last)}))
    assert found.action_items[0].description.startswith(action)
    assert ("on day 7 it burned only 0.2 times" in found.why) is (last == 20)
    assert ("the rest lasts" in found.why) is (last == 200)


def held(metric: str, *rows: Any) -> list[str]:
    found = weeks.report(
        regression=weeks.regression(*rows),
        ga=weeks.day(0, {metric: 50}),
        days=weeks.days({n: {metric: 50} for n in range(1, 8)}),
    )
    return [one.description for one in found.successes if one.metric_name == metric]


def test_what_held_says_at_what():
    rows = [weeks.row(CPU, 50, 50, basis="at like load"), weeks.row(CPU, 50, 50, baseline="ga_day")]
    assert held(CPU, *rows) == [f"{CPU} held within 10 % of the week before GA at like load and of the GA day"]


@pytest.mark.parametrize(("bill", "number"), [(54.9, 1), (55.1, 0)])
def test_a_bill_that_rose_did_not_hold_per_request(bill, number):
    rows = [weeks.row(COST, 50, bill, change=0.0, basis="per request"), weeks.row(COST, 50, 50, baseline="ga_day")]
    assert len(held(COST, *rows)) == number


@pytest.mark.parametrize(
    ("interval", "points", "text"),
    [
        ((0.12, 0.195), None, "+12.0 to +19.5 %"),
        ((0.5, None), None, "+50.0 % or more"),
        ((None, 0.5), None, "up to +50.0 %"),
        ((0.5, None), (0.02, 0.1), "+0.02 to +0.1 percentage points"),
        ((None, None), (0.02, None), "+0.02 percentage points or more"),
        ((None, None), None, ""),
        (None, None, ""),
    ],
)
def test_an_open_interval_is_told_in_points(interval, points, text):
    row = weeks.row(ERRORS, 0.0, 0.05, interval=interval, points_interval=points)
    assert interval_text(row) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "the one objective could not be assessed"), (2, "none of the 2 objectives could be assessed")],
)
def test_objectives_are_counted_as_people_do(number, text):
    slos = [weeks.burn_down(0, 800, slo_name=str(n), verdict="inconclusive") for n in range(number)]
    assert text in weeks.report(slos=slos).why
