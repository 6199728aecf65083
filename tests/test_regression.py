"""The week against its baselines: the cases that any judge must get right, and what holds whatever the days hold."""

import itertools
import json
import math
import re
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import (
    BASELINES,
    BEFORE,
    GA,
    KPIS,
    NEITHER,
    WEEK,
    analysed,
    before,
    busy,
    day,
    days,
    judged,
    kpi,
    noisy,
    row,
)
from judged import verdicts as verdicts_of

from observability.artifacts import DaySummary, SloDay
from observability.definitions import Direction
from observability.judgement.baseline import Named
from observability.judgement.regression import analyse
from observability.verdicts import RegressionSummary

LATENCY, CPU, GAUGE, ERRORS = "p99_latency_ms", "avg_cpu_percent", "balance", "overall_error_rate"
AVAILABILITY, COST, TRAFFIC = "overall_availability", "estimated_cost_per_hour", "request_rate"
COMPARED = [name for name in KPIS if name != "critical_incident_count"]


def names(rows, baseline="week_before"):
    return [found.metric_name for found in rows if found.baseline == baseline]


def in_turn(values, scale=1.0):
    """Eight days of hours that take the values in turn, over and over."""
    hours = itertools.islice(itertools.cycle(values), 192)
    return list(np.array([scale * value for value in hours]).reshape(8, 24))


# The cases that any judge must get right

SEVEN_OF_TEN = [100.0] * 7 + [1.0] * 3
SOME_ERRORS = [0, 0.048, 0, 0.18, 0.089, 0, 0.098, 0.035, 0, 0]


@pytest.mark.parametrize("name", [LATENCY, GAUGE, CPU])
@pytest.mark.parametrize(
    "order", [SEVEN_OF_TEN, SEVEN_OF_TEN[::-1], SEVEN_OF_TEN[::3] + SEVEN_OF_TEN[1::3] + [1.0, 100.0]]
)
def test_seven_100s_and_three_1s_against_ten_1s_in_the_hours(name, order):
    """Kayenta's judge passes it. A day's mean is about .7 · 100 + .3 = 70.3 times the 1 before."""
    found = judged(name, 1.0, in_turn(order))
    assert found.verdict == "fail"
    assert 60 < found.change < 80


@pytest.mark.parametrize("quiet", list(itertools.combinations(range(1, 8), 2)))
def test_seven_100s_and_three_1s_against_ten_1s_in_the_days(quiet):
    """Seven tenths of seven days are five. 15 of the 28 means of days 1 to 7 are those of two 100s: the change is 100
    times, whichever days the two are. It may be told as not significant, and never as a pass."""
    found = judged(LATENCY, 1.0, [1.0 if number in quiet else 100.0 for number in range(8)])
    assert found.change == pytest.approx(99)
    assert found.verdict in {"fail", "inconclusive"}
    assert found.threshold_exceeded


def test_seven_100s_and_three_1s_against_ten_1s_in_counts():
    """Errors of 100,000 requests in an hour: 100 or 1 in the place of 1. The days' shares are .0703 against .001 %,
    below the floor of .1 points; with an objective of four nines the floor is .005, and they fail."""
    past, since = 0.001, in_turn(SEVEN_OF_TEN, 0.001)
    assert judged(ERRORS, past, since).below_floor == 0.1
    slo = objective(0.01)
    week = days(range(8), {ERRORS: since}, slos=(slo,))
    found = row(analyse(week[0], week[1:], before({ERRORS: past})), ERRORS)
    assert (found.verdict, found.real) == ("fail", True)
    assert found.change == pytest.approx(69.3, rel=0.1)


def objective(budget, name=ERRORS):
    counts = {"bad": 1, "total": 1000, "value": None, "compliant": None, "coverage": 1.0}
    return SloDay(slo_name="A", kpi=name, target=budget, budget=budget, unit="%", counts_bad=True, **counts)


def test_an_error_ratio_against_zeros_in_the_hours():
    """Kayenta's judge passes it, of shares: in half of the hours up to 18 % fail. Their mean is 4.5 %, from none."""
    found = judged(ERRORS, 0.0, in_turn(SOME_ERRORS, 100))
    assert (found.verdict, found.real, found.change, found.severity) == ("fail", True, None, "critical")
    assert found.points == pytest.approx(4.5, abs=0.5)
    assert found.points_interval[0] > 0


@pytest.mark.parametrize("first", range(10))
def test_an_error_ratio_against_zeros_in_the_days(first):
    """The same as days, whichever eight of the ten in a circle: so few and so different ones may not suffice to call it
    real, but none of them passes."""
    column = [100 * SOME_ERRORS[(first + at) % 10] for at in range(8)]
    found = judged(ERRORS, 0.0, column)
    assert found.verdict in {"fail", "inconclusive"}
    assert found.obstacle is None


def test_a_gauge_against_zeros_is_not_judged():
    assert judged(GAUGE, 0.0, in_turn(SOME_ERRORS)).verdict == "inconclusive"


def test_availability_from_99_9_to_99_0_is_a_regression():
    """A drift of 0.9 %, and ten times the errors: field rule 3."""
    summary = analysed({AVAILABILITY: 99.9}, {AVAILABILITY: 99.0})
    assert names(summary.regressions) == [AVAILABILITY]
    found = row(summary, AVAILABILITY)
    assert found.change == pytest.approx((100 - 99.0) / (100 - 99.9) - 1)
    assert found.drift_percent == pytest.approx(100 * (99.0 - 99.9) / 99.9)
    assert (found.real, found.verdict, found.severity, found.threshold_exceeded) == (True, "fail", "critical", True)
    assert found.impact == "99.900 % in the week before GA, 99.000 % in the week after GA (medians of the days)"
    assert summary.rollback_recommendation.should_rollback is True


def test_a_p99_from_400_to_150_ms_is_none():
    summary = analysed({LATENCY: 400.0}, {LATENCY: 150.0})
    assert (summary.regressions, summary.unexpected_drifts) == ((), ())
    found = row(summary, LATENCY)
    assert (found.real, found.verdict, found.severity) == (True, "pass", "low")
    assert found.change == pytest.approx(-250 / 400)
    assert found.why.endswith(": real, for the better.")
    assert (summary.rollback_recommendation.should_rollback, summary.rollback_recommendation.priority) == (False, "P3")


def test_errors_where_there_were_none_are_a_regression():
    """Field rule 4: the change is infinite, and stays out of the JSON."""
    summary = analysed({ERRORS: 0.0}, {ERRORS: 2.0})
    assert names(summary.regressions) == [ERRORS]
    found = row(summary, ERRORS)
    assert (found.change, found.drift_percent, found.baseline_value) == (None, None, 0.0)
    assert (found.real, found.verdict, found.severity, found.persists) == (True, "fail", "critical", True)
    assert found.why.startswith("The change over 7 days against the week before GA is a rise from 0 (+2 to +2 percent")
    assert summary.rollback_recommendation.should_rollback is True
    assert RegressionSummary.model_validate_json(summary.model_dump_json()) == summary


def test_a_week_of_identical_values_passes():
    same = {name: 50.0 if KPIS[name][0] != "share" else 0.5 for name in COMPARED}
    summary = analysed(same, same)
    assert {one.verdict for one in summary.rows} == {"pass"}
    assert {(one.change, one.real, one.drift_percent) for one in summary.rows} == {(0.0, False, 0.0)}
    assert summary.advice.action == "keep"


def test_a_week_without_any_traffic_passes_nothing_that_needs_some():
    """Requests stopped: no errors of nothing, no latency, and idle CPUs are no achievement."""
    past = {TRAFFIC: 100.0, ERRORS: 0.1, LATENCY: 100.0, CPU: 40.0}
    since = {TRAFFIC: 0.0, ERRORS: None, LATENCY: None, CPU: 5.0}
    summary = analysed(past, since)
    assert {name: row(summary, name).verdict for name in past} == {
        TRAFFIC: "inconclusive",
        ERRORS: "no data",
        LATENCY: "no data",
        CPU: "inconclusive",
    }
    assert all(one.verdict != "pass" for one in summary.rows if one.metric_name in {ERRORS, LATENCY})
    assert summary.advice.action != "keep"


def test_weeks_without_any_data_at_all():
    summary = analysed(dict.fromkeys(KPIS), dict.fromkeys(KPIS))
    assert {one.verdict for one in summary.rows} == {"no data"}
    assert {one.real for one in summary.rows} == {None}
    assert summary.rollback_recommendation.should_rollback is None


def test_kpis_on_only_one_side_are_told_and_not_passed():
    """One that the release brought, and one that went missing with it."""
    summary = analysed({GAUGE: 1.0, "old": 3.0}, {GAUGE: 1.0, "new": 3.0})
    assert verdicts_of(summary, "old") == dict.fromkeys(BASELINES, "no data")
    assert row(summary, "old").why == "There is no data for the week after GA."
    assert row(summary, "new").why == "There is no data for the week before GA."
    assert row(summary, "new").verdict == "no data"
    assert row(summary, "new", "ga_day").verdict == "pass"
    assert row(summary, GAUGE).verdict == "pass"


def test_a_kpi_that_only_the_ga_day_has_is_no_data():
    summary = analyse(day(0, {GAUGE: 1.0, CPU: 40.0}), days(WEEK, {GAUGE: 1.0}), None)
    assert set(verdicts_of(summary, CPU).values()) == {"no data"}


@pytest.mark.parametrize(
    ("missing", "verdict"),
    [((), "fail"), ((3,), "fail"), ((1, 7), "fail"), ((1, 2, 3), "inconclusive"), ((3, 4, 5, 6, 7), "inconclusive")],
)
def test_days_that_are_missing(missing, verdict):
    week = [found for found in days(WEEK, {LATENCY: 150.0}) if found.day_number not in missing]
    found = row(analyse(day(0, {LATENCY: 150.0}), week, before({LATENCY: 100.0})), LATENCY)
    assert (found.verdict, found.days) == (verdict, 7 - len(missing))
    assert found.change == pytest.approx(0.5)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_day_with_another_unit_is_not_compared(at):
    """Seconds among milliseconds would be a drop to a thousandth, and pass."""
    column = [kpi(LATENCY, 0.3, unit="s") if number == at else 300.0 for number in range(8)]
    found = judged(LATENCY, 300.0, column)
    assert (found.verdict, found.real) == ("inconclusive", None)
    assert sorted(unit for unit in ("ms", "s") if f"in {unit}" in found.obstacle) == ["ms", "s"]


@pytest.mark.parametrize(("past", "since"), [(-5.0, -4.0), (-4.0, -5.0), (2.0, -1.0), (-1.0, 2.0), (-5.0, -5.0)])
def test_negative_values_are_not_judged(past, since):
    assert judged(GAUGE, past, since).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("name", "since", "verdict"),
    [
        (ERRORS, 0.0, "pass"),
        (ERRORS, 2.0, "fail"),
        (LATENCY, 2.0, "inconclusive"),
        (GAUGE, 2.0, "inconclusive"),
        (GAUGE, 0.0, "pass"),
        (TRAFFIC, 2.0, "inconclusive"),
        (COST, 2.0, "inconclusive"),
    ],
)
def test_zero_baselines(name, since, verdict):
    assert judged(name, 0.0, since).verdict == verdict


def test_the_week_before_decides_and_the_ga_day_never_vetoes():
    """The defect shipped with GA: the GA day has it already, so against it nothing changed."""
    summary = analysed({LATENCY: 100.0}, {LATENCY: 150.0})
    assert verdicts_of(summary, LATENCY) == {
        "week_before": "fail",
        "ga_day": "pass",
        "previous_day": "pass",
        "pre_release_median": "fail",
    }
    assert [row(summary, LATENCY, name).role for name in BASELINES] == ["decides", "confirms", "informs", "informs"]
    assert summary.rollback_recommendation.should_rollback is True
    (said,) = summary.disagreements
    assert said == "p99_latency_ms: fail against week_before (+50.0 %), pass against ga_day (+0.0 %)."


def test_the_ga_day_alone_decides_nothing():
    """A bad GA day from which the week recovered, and one that was better than the week ever is."""
    for first in (300.0, 60.0):
        summary = analysed({LATENCY: 100.0}, {LATENCY: [first, *[100.0] * 7]})
        assert row(summary, LATENCY).verdict == "pass"
        assert row(summary, LATENCY, "ga_day").verdict == ("pass" if first > 100 else "fail")
        assert summary.rollback_recommendation.should_rollback is False


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("name", [LATENCY, GAUGE, CPU])
def test_a_spike_of_one_day_is_no_regression(name, at):
    """Nor a pass, while it is the last day and nobody knows whether it goes on."""
    found = judged(name, 100.0, [300.0 if number == at else 100.0 for number in range(8)])
    assert (found.verdict, found.change) == ("pass" if at < 7 else "inconclusive", 0.0)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_day_of_errors_is_no_regression_and_no_pass_from_none(at):
    column = [5.0 if number == at else 0.1 for number in range(8)]
    assert judged(ERRORS, 0.1, column).verdict != "fail"
    assert judged(ERRORS, 0.0, [0.0 if value == 0.1 else value for value in column]).verdict == "inconclusive"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [LATENCY, GAUGE])
def test_a_ramp_is_a_regression_and_increasing(name, seed):
    """From 0 to 30 % over the eight days, through hours that scatter by 2 %; its middle, on day 4, is 1.169 times."""
    ramp = np.array([100 * (1 + 0.3 * (number + 0.5) / 8) for number in range(8)])
    found = judged(name, noisy(seed, 100.0, 7, 0.02), noisy(seed + 10, ramp[:, np.newaxis], 8, 0.02))
    assert (found.verdict, found.trend, found.persists) == ("fail", "increasing", True)
    assert found.change == pytest.approx(0.169, abs=0.02)
    assert found.slope_per_day == pytest.approx(0.3 / 8 / 1.15, abs=0.01)


def test_a_step_at_ga_plus_30_hours_has_its_onset_there():
    hours = np.where(np.arange(192) < 30, 100.0, 150.0)
    found = judged(LATENCY, 100.0, list(hours.reshape(8, 24)))
    assert (found.verdict, found.onset, found.ended) == ("fail", GA + timedelta(hours=30), None)


def test_a_step_that_went_away_has_ended():
    hours = np.where(np.arange(192) < 144, 150.0, 100.0)
    found = judged(LATENCY, 100.0, list(hours.reshape(8, 24)))
    assert (found.onset, found.ended, found.persists) == (GA, GA + timedelta(hours=144), False)
    summary = analysed({LATENCY: 100.0}, {LATENCY: list(hours.reshape(8, 24))})
    assert summary.rollback_recommendation.should_rollback is False


def at_traffic(times, **since):
    """The week before with CPU and cost that follow the traffic through the day, and memory that does not."""
    past = {TRAFFIC: noisy(1, busy(), 7, 0.02), CPU: noisy(2, 0.3 * busy(), 7, 0.02), COST: noisy(3, busy(), 7, 0.02)}
    past["memory"] = noisy(4, 50.0, 7, 0.02)
    now = {TRAFFIC: noisy(5, busy(times), 8, 0.02)}
    follows = {CPU: 0.3 * busy(), COST: busy(), "memory": np.full(24, 50.0)}
    now |= {name: noisy(6, times_of * follows[name], 8, 0.02) for name, times_of in since.items()}
    return analysed(past, now)


def test_traffic_times_2_with_cpu_and_cost_in_proportion_passes():
    summary = at_traffic(2.0, avg_cpu_percent=2.0, estimated_cost_per_hour=2.0)
    for name in (CPU, COST):
        found = row(summary, name)
        assert (found.verdict, found.real, found.basis) == ("pass", False, "per request")
        assert found.change == pytest.approx(0, abs=0.02)
        assert found.drift_percent == pytest.approx(100, abs=3)  # told as it is


def test_cpu_times_2_6_at_traffic_times_2_fails():
    """2.6 / 2 = 1.3 per request."""
    found = row(at_traffic(2.0, avg_cpu_percent=2.6), CPU)
    assert (found.verdict, found.real) == ("fail", True)
    assert found.change == pytest.approx(0.3, abs=0.03)


def test_memory_times_1_4_at_traffic_times_2_that_did_not_follow_the_load_never_passes():
    found = row(at_traffic(2.0, memory=1.4), "memory")
    assert (found.verdict, found.real) == ("fail", True)
    assert found.change == pytest.approx(0.4, abs=0.03)
    # Where the traffic never varied, nobody knows whether it would have followed.
    summary = analysed({TRAFFIC: 100.0, "memory": 50.0}, {TRAFFIC: 200.0, "memory": 70.0})
    assert row(summary, "memory").verdict == "inconclusive"
    assert row(summary, "memory").obstacle.startswith("at 2 times the traffic, on which this KPI depends;")


@pytest.mark.parametrize("seed", range(5))
def test_false_discovery_twenty_kpis_of_noise_and_a_real_one(seed):
    """Hours that scatter by 20 % about a level of their own on each day (by 5 %)."""
    rng = np.random.default_rng(seed)

    def week(numbers, times=1.0):
        return 10 * times * np.exp(rng.normal(0, 0.05, (numbers, 1)) + rng.normal(0, 0.2, (numbers, 24)))

    past, since = ({f"noise_{at}": week(numbers) for at in range(20)} for numbers in (7, 8))
    summary = analysed({**past, "real": week(7)}, {**since, "real": week(8, 1.5)})
    found = [one.metric_name for one in summary.rows if one.baseline == "week_before" and one.real]
    assert found == ["real"]
    assert row(summary, "real").verdict == "fail"
    assert summary.advice.action == "roll back"


# Baselines together


def test_each_row_is_in_the_list_of_its_size():
    for after, where in ((100, "within_range"), (111, "unexpected_drifts"), (129, "unexpected_drifts")):
        summary = analysed({LATENCY: 100.0}, {LATENCY: float(after)})
        assert names(getattr(summary, where)) == names(summary.rows) == [LATENCY]
    for after, where in ((131, "regressions"), (300, "regressions"), (50, "within_range"), (0, "within_range")):
        summary = analysed({LATENCY: 100.0}, {LATENCY: float(after)})
        assert names(getattr(summary, where)) == names(summary.rows) == [LATENCY]


def test_incidents_are_not_compared():
    assert analysed({"critical_incident_count": 0.0}, {"critical_incident_count": 5.0}).rows == ()


@pytest.mark.parametrize("past", [None, {LATENCY: None}], ids=["no summary", "no values"])
def test_without_a_week_before_nothing_is_decided(past):
    summary = analysed(past, {LATENCY: 400.0}, ga=day(0, {LATENCY: 100.0}))
    found = row(summary, LATENCY)
    note = " (7 of its 7 days are not there)" if past is None else ""
    assert (found.real, found.verdict) == (None, "no data")
    assert found.why == f"There is no data for the week before GA{note}."
    assert row(summary, LATENCY, "ga_day").verdict == "fail"
    advice = summary.rollback_recommendation
    assert (advice.should_rollback, advice.priority) == (None, "P1")
    assert any("no week before GA" in warning for warning in summary.warnings) is (past is None)


def test_partial_days_are_left_out():
    week = [*days(range(1, 7), {LATENCY: 100.0}), day(7, {LATENCY: 900.0}, partial=True)]
    found = row(analyse(day(0, {LATENCY: 100.0}), week, before({LATENCY: 100.0})), LATENCY)
    assert (found.days, found.change, found.verdict) == (6, 0.0, "pass")
    past = before({LATENCY: 100.0})
    cut = past.model_copy(update={"days": (day(-7, {LATENCY: 1.0}, partial=True), *past.days[1:])})
    summary = analyse(day(0, {LATENCY: 100.0}), days(WEEK, {LATENCY: 100.0}), cut)
    assert row(summary, LATENCY).days == 6
    assert [one.note for one in summary.baselines if one.name == "week_before"] == ["1 of its 7 days are not there"]


def test_a_week_of_nothing_but_a_partial_day_compares_nothing():
    summary = analyse(day(0, {LATENCY: 100.0}), [day(1, {LATENCY: 200.0}, partial=True)], None)
    assert {found.verdict for found in summary.rows} == {"no data"}
    assert row(summary, LATENCY, "ga_day").why == "There is no data for the week after GA."
    assert summary.rollback_recommendation.should_rollback is None


def test_a_partial_ga_day_is_no_baseline_and_no_day():
    summary = analysed({LATENCY: 100.0}, {LATENCY: 200.0}, ga=day(0, {LATENCY: 100.0}, partial=True))
    found = row(summary, LATENCY, "ga_day")
    assert found.verdict == "no data"
    assert found.why == "There is no data for the GA day (the GA day was not over when it was collected)."
    assert (row(summary, LATENCY).verdict, row(summary, LATENCY).days) == ("fail", 7)
    assert any("GA summary is of a day that was not over" in warning for warning in summary.warnings)


def test_a_ga_summary_without_kpis_is_said():
    summary = analyse(DaySummary(timestamp=GA), [], None)
    assert summary.rows == ()
    assert any("holds no `kpis`" in warning for warning in summary.warnings)


def test_named_baselines_and_a_good_day_inform():
    """A year ago all was at 50: against that the week doubled, and nothing follows from it alone."""
    old = Named("v1", "../v1", tuple(days(range(-364, -357), {LATENCY: 50.0})))
    one = Named("staging", "staging.json", (day(0, {LATENCY: 100.0}),))
    summary = analysed({LATENCY: 100.0}, {LATENCY: 100.0}, named=[old, one], good_day=-3)
    assert verdicts_of(summary, LATENCY) == {
        **dict.fromkeys(BASELINES, "pass"),
        "good_day": "pass",
        "v1": "fail",
        "staging": "pass",
    }
    assert row(summary, LATENCY, "v1").role == "informs"
    assert row(summary, LATENCY, "v1").onset is not None
    assert summary.rollback_recommendation.should_rollback is False
    pinned = row(analysed({LATENCY: 100.0}, {LATENCY: 100.0}, good_day=3), LATENCY, "good_day")
    assert (pinned.verdict, pinned.days) == ("pass", 6)  # not with itself
    absent = analysed({LATENCY: 100.0}, {LATENCY: [100.0] * 7 + [None]}, good_day=7)
    assert row(absent, LATENCY, "good_day").verdict == "no data"


def test_the_floor_of_an_objective_makes_a_small_rise_a_failure():
    """0.0892 points are most of what three nines allow: half of the budget is .05."""
    for budget, verdict in ((0.1, "fail"), (0.01, "fail"), (1.0, "pass")):
        week = days(range(8), {ERRORS: 0.0904}, slos=(objective(budget),))
        assert row(analyse(week[0], week[1:], before({ERRORS: 0.0012})), ERRORS).verdict == verdict


# Advice


@pytest.mark.parametrize(
    ("after", "rollback"),
    [
        pytest.param([140.0] * 8, True, id="severe and persisting"),
        pytest.param([129.0] * 8, False, id="real, not severe"),
        pytest.param([140.0] * 7 + [None], True, id="the last days that were seen"),
        pytest.param([140.0] * 6 + [None] * 2, True, id="five days, and the week is not over"),
        pytest.param([140.0] * 5 + [None] * 3, None, id="too few days"),
        pytest.param([140.0] * 7 + [100.0], False, id="gone on the last day, so it has ended"),
        pytest.param([140.0] * 7 + [130.0], True, id="a little less on the last day"),
        pytest.param([140.0] * 6 + [110.0, 110.0], False, id="hardly there: .095 < .336 / 2"),
        pytest.param([140.0] * 6 + [100.0, 100.0], False, id="gone on the last two days"),
        pytest.param([140.0] * 6 + [60.0, 60.0], None, id="by now the other way"),
        pytest.param([100.0] * 6 + [300.0, 300.0], None, id="two days"),
        pytest.param([60.0] * 8, False, id="better"),
    ],
)
def test_a_rollback_is_advised_for_what_is_real_severe_and_persists(after, rollback):
    summary = analysed({LATENCY: 100.0}, {LATENCY: after})
    assert summary.rollback_recommendation.should_rollback is rollback


def test_the_advice_names_what_speaks_for_it():
    past = {LATENCY: 100.0, CPU: 40.0, ERRORS: 0.0}
    advice = analysed(past, {LATENCY: 140.0, CPU: 50.0, ERRORS: 0.0}).rollback_recommendation
    assert (advice.should_rollback, advice.priority) == (True, "P0")
    assert "p99_latency_ms +40.0 %" in advice.reason
    assert advice.investigation_items == (
        "p99_latency_ms: 100 ms in the week before GA, 140 ms in the week after GA (medians of the days)",
        "avg_cpu_percent: 40 % in the week before GA, 50 % in the week after GA (medians of the days)",
    )


# What always holds

FIGURE = st.one_of(st.none(), st.just(0.0), st.floats(0.01, 99.99))
PARTLY = st.builds(
    lambda value, first, last: [value if first <= h < last else None for h in range(24)],
    st.floats(0.01, 99.99),
    st.integers(0, 12),
    st.integers(12, 24),
)


def weeks(numbers, names_of=tuple(KPIS)):
    """Days of any figures, seen whole or in part; shares of 1 are below 1."""
    columns = {name: st.lists(st.one_of(FIGURE, PARTLY), min_size=numbers, max_size=numbers) for name in names_of}
    return st.fixed_dictionaries(columns).map(
        lambda found: {name: [_fitting(name, value) for value in column] for name, column in found.items()}
    )


def _fitting(name, value):
    if value is None or KPIS[name][0] != "share":
        return value
    return [None if hour is None else hour / 100 for hour in value] if isinstance(value, list) else value / 100


def figures(value):
    """Every number of a JSON document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in figures(part)]
    return [value] if isinstance(value, float) else []


@settings(max_examples=30)
@given(weeks(7), weeks(8))
def test_whatever_the_days_hold(past, since):
    summary = analysed(past, since)
    told = [(found.metric_name, found.baseline) for found in summary.rows]
    assert sorted(told) == sorted((name, baseline) for name in COMPARED for baseline in BASELINES)
    text = summary.model_dump_json()
    assert RegressionSummary.model_validate_json(text) == summary
    assert all(map(math.isfinite, figures(json.loads(text))))
    for found in summary.rows:
        assert found.why.endswith(".")
        assert not re.search(r"\b(nan|inf)\b", found.why)
        assert (found.real is None) == (
            found.obstacle is not None or found.verdict == "no data" or (found.change is None and found.days == 0)
        )
        if found.verdict in {"pass", "fail"}:
            assert found.baseline_value is not None
            assert found.current_value is not None
            assert found.days > 0
            assert found.n > 0
            assert found.p_adjusted is not None
        if found.verdict == "pass" and not found.real and found.below_floor is None:
            assert abs(found.change) <= 0.1 + 1e-12
            within = found.points_interval is not None and found.points_interval[1] is not None
            assert (found.detectable is not None and found.detectable <= 0.3) or within
        if found.verdict == "fail":
            assert found.real
            assert found.direction is not NEITHER
        assert (found.onset is None) or found.real
        assert found.ended is None or found.ended > found.onset


LEVEL = st.floats(0.5, 20)
LEVELS = st.tuples(st.lists(LEVEL, min_size=7, max_size=7), st.lists(LEVEL, min_size=8, max_size=8))
UNTOLD = {"baseline_value", "current_value", "impact", "why", "unit", "metric_name"}


def same(one, other):
    """Two rows but for what names or shows the values themselves."""
    mine, its = (found.model_dump(exclude=UNTOLD | {"direction"}) for found in (one, other))
    return all(
        mine[key] == pytest.approx(its[key], rel=1e-6, abs=1e-9)
        if isinstance(mine[key], float)
        else _close(mine[key], its[key])
        for key in mine
    )


def _close(mine, its):
    if isinstance(mine, tuple) and its is not None:
        return all(a == pytest.approx(b, rel=1e-6, abs=1e-9) for a, b in zip(mine, its, strict=True))
    return mine == its


@settings(max_examples=25)
@given(LEVELS, st.sampled_from([2.0**-20, 0.5, 2.0, 2.0**40]))
def test_the_unit_of_a_level_does_not_matter(levels, scale):
    """Powers of two, so that nothing is rounded."""
    past, since = levels
    one = analysed({GAUGE: past}, {GAUGE: since})
    other = analysed({GAUGE: [scale * value for value in past]}, {GAUGE: [scale * value for value in since]})
    for mine, its in zip(one.rows, other.rows, strict=True):
        assert same(mine, its)


def directed(direction, column):
    return [kpi(GAUGE, value, direction=direction) for value in column]


@settings(max_examples=25)
@given(LEVELS)
def test_the_other_direction_swaps_fail_and_pass_of_what_is_real(levels):
    lower, higher = (
        analysed(*({GAUGE: directed(direction, column)} for column in levels))
        for direction in (Direction.LOWER_IS_BETTER, Direction.HIGHER_IS_BETTER)
    )
    for low in lower.rows:
        high = row(higher, GAUGE, low.baseline)
        assert (low.real, low.p, low.interval, low.detectable) == (high.real, high.p, high.interval, high.detectable)
        if low.real and {low.verdict, high.verdict} != {"inconclusive"}:  # which they are if it began before GA
            assert {low.verdict, high.verdict} == {"pass", "fail"}
            assert (low.verdict == "fail") is (low.change > 0)
        elif not low.real:
            assert "fail" not in {low.verdict, high.verdict}


@settings(max_examples=15)
@given(LEVELS, LEVELS)
def test_another_kpi_changes_no_raw_p(levels, others):
    (past, since), (past_of_other, since_of_other) = levels, others
    alone = analysed({GAUGE: past}, {GAUGE: since})
    beside = analysed({GAUGE: past, "other": past_of_other}, {GAUGE: since, "other": since_of_other})
    for one in alone.rows:
        other = row(beside, GAUGE, one.baseline)
        assert other.p == pytest.approx(one.p, rel=1e-9, abs=1e-15)
        assert (one.interval, one.change, one.detectable) == (other.interval, other.change, other.detectable)


@settings(max_examples=25)
@given(st.permutations(range(7)))
def test_the_order_of_the_days_does_not_matter(order):
    past, week = days(BEFORE, {GAUGE: noisy(1, 10.0, 7, 0.1)}), days(range(8), {GAUGE: noisy(2, 12.0, 8, 0.1)})
    straight = analyse(week[0], week[1:], before({GAUGE: noisy(1, 10.0, 7, 0.1)}))
    shuffled = analyse(
        week[0],
        [week[1:][at] for at in order],
        before({}).model_copy(update={"days": tuple(past[at] for at in order)}),
    )
    for one in straight.rows:
        assert same(one, row(shuffled, GAUGE, one.baseline))
