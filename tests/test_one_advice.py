"""The regression summary and the retrospective of the same week advise the same."""

import pytest
from judged import WEEK, days
from judged import before as past_of

from observability.judgement.regression import analyse
from observability.judgement.slo import burn_downs
from retrospective.assemble import assemble

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
