"""The week against its baselines: the named cases of the field, the pairing of days, and the sentences."""

import math
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary, SloDay
from observability.definitions import Direction
from observability.judgement.regression import analyse
from observability.model import Window
from observability.verdicts import RegressionSummary

GA = datetime(2025, 11, 18, tzinfo=UTC)
WEEK, BEFORE = range(1, 8), range(-7, 0)
HIGHER, LOWER, NEITHER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER, Direction.TWO_SIDED
KPIS = {
    "overall_availability": {"unit": "%", "direction": HIGHER, "category": "availability", "kind": "ratio"},
    "overall_error_rate": {"unit": "%", "direction": LOWER, "category": "errors", "kind": "ratio"},
    "cache_hits": {"unit": "share", "direction": HIGHER, "category": "redis", "kind": "ratio"},
    "request_rate": {"unit": "requests/s", "direction": NEITHER, "category": "traffic", "kind": "rate"},
    "p99_latency_ms": {"unit": "ms", "direction": LOWER, "category": "latency", "kind": "quantile"},
    "avg_cpu_percent": {"unit": "%", "direction": LOWER, "category": "resources", "kind": "utilisation"},
    "balance": {"unit": "", "direction": LOWER, "category": "other", "kind": "gauge"},
    "critical_incident_count": {"unit": "incidents", "direction": LOWER, "category": "incidents", "kind": "incidents"},
}


PER_HOUR = 100_000  # requests


def kpi(name, value, coverage=1.0):
    """The same value in each of the day's hours."""
    about = {"value": value, "coverage": coverage, **KPIS[name]}
    if value is None:
        return KpiSummary(**about)
    hourly = {"hourly": (value,) * 24}
    if about["kind"] == "ratio":
        count = value / (100 if about["unit"] == "%" else 1) * PER_HOUR
        hourly |= {"numerator": 24 * count, "denominator": 24 * PER_HOUR}
        hourly |= {"hourly_numerator": (count,) * 24, "hourly_denominator": (PER_HOUR,) * 24}
    return KpiSummary(**about, **hourly)


def day(number, partial=False, coverage=1.0, **values):
    start = GA + timedelta(days=number)
    kpis = {name: kpi(name, value, coverage) for name, value in values.items()}
    window = Window(start=start, end=start + timedelta(days=1))
    return DaySummary(
        timestamp=start, day_number=number, service="shop", kpis=kpis, window=window, partial=partial, coverage=coverage
    )


def seven(numbers, values):
    """One day per value, or the same value on all days; a KPI that a day lacks is None."""
    columns = {name: value if isinstance(value, list) else [value] * len(numbers) for name, value in values.items()}
    return [day(n, **{name: column[at] for name, column in columns.items()}) for at, n in enumerate(numbers)]


def analysed(before, after, ga=None):
    """KPI → value of every day, or list of seven values: of the week before GA (None: there is none) and after."""
    past = None if before is None else PreReleaseSummary(days=tuple(seven(BEFORE, before)))
    first = {name: value[0] if isinstance(value, list) else value for name, value in after.items()}
    return analyse(ga or day(0, **first), seven(WEEK, after), past)


def row(summary, name, baseline="week_before"):
    (found,) = [r for r in summary.rows if (r.metric_name, r.baseline) == (name, baseline)]
    return found


def names(rows, baseline="week_before"):
    return [found.metric_name for found in rows if found.baseline == baseline]


# The named cases.


def test_availability_from_99_9_to_99_0_is_a_regression():
    """A drift of 0.9 %, and ten times the errors: field rule 3."""
    summary = analysed({"overall_availability": 99.9}, {"overall_availability": 99.0})
    assert names(summary.regressions) == ["overall_availability"]
    found = summary.regressions[0]
    assert found.change == pytest.approx((100 - 99.0) / (100 - 99.9) - 1)
    assert found.drift_percent == pytest.approx(100 * (99.0 - 99.9) / 99.9)
    assert (found.real, found.verdict, found.severity, found.threshold_exceeded) == (True, "fail", "critical", True)
    assert (found.baseline_value, found.current_value) == (99.9, 99.0)
    assert found.impact == "99.900 % in the week before GA, 99.000 % in the week after GA (medians of the days)"
    assert found.why == (
        "The bad share's median change over 7 days against the week before GA is +900.0 %, beyond 10 %, for the worse."
    )
    assert summary.rollback_recommendation.should_rollback is True
    assert "overall_availability (bad share +900.0 %)" in summary.rollback_recommendation.reason


def test_a_p99_from_400_to_150_ms_is_not():
    summary = analysed({"p99_latency_ms": 400}, {"p99_latency_ms": 150})
    assert (summary.regressions, summary.unexpected_drifts) == ((), ())
    found = row(summary, "p99_latency_ms")
    assert (found.real, found.verdict, found.severity) == (True, "pass", "low")
    assert found.change == pytest.approx(-250 / 400)
    assert found.why.endswith("is -62.5 %, beyond 10 %, for the better.")
    advice = summary.rollback_recommendation
    assert (advice.should_rollback, advice.priority) == (False, "P3")
    assert advice.reason == "No change for the worse beyond 30 % is real and persists."


def test_errors_where_there_were_none_are_a_regression():
    """Field rule 4: the change is infinite, and stays out of the JSON."""
    summary = analysed({"overall_error_rate": 0.0}, {"overall_error_rate": 2.0})
    assert names(summary.regressions) == ["overall_error_rate"]
    found = summary.regressions[0]
    assert (found.change, found.drift_percent, found.baseline_value) == (None, None, 0.0)
    assert (found.real, found.verdict, found.severity) == (True, "fail", "critical")
    assert found.why == (
        "The median change over 7 days against the week before GA is a rise from 0, beyond 10 %, for the worse."
    )
    assert "overall_error_rate (a rise from 0)" in summary.rollback_recommendation.reason
    assert RegressionSummary.model_validate_json(summary.model_dump_json()) == summary


@pytest.mark.parametrize(
    ("name", "before", "after", "moved"),
    [
        pytest.param("overall_error_rate", 0.0, 0.05, False, id="0.05 points, from 0"),
        pytest.param("overall_error_rate", 0.02, 0.11, False, id="0.09 points, five times"),
        pytest.param("overall_error_rate", 0.1, 0.2, True, id="0.1 points"),
        pytest.param("overall_availability", 99.9, 99.8, True, id="0.1 points, up to the last bit of 100 − 99.9"),
        pytest.param("overall_availability", 99.9, 99.81, False, id="0.09 points of availability"),
        pytest.param("cache_hits", 0.999, 0.9985, False, id="0.05 points of a share of 1"),
        pytest.param("cache_hits", 0.999, 0.99, True, id="0.9 points of a share of 1: ten times the misses"),
        pytest.param("p99_latency_ms", 0.10, 0.15, True, id="no floor for what is not a share"),
    ],
)
def test_less_than_a_tenth_of_a_percentage_point_is_no_change(name, before, after, moved):
    found = row(analysed({name: before}, {name: after}), name)
    assert found.verdict == ("fail" if moved else "pass")
    assert found.below_floor == (None if moved else 0.1)
    assert found.real is moved
    assert found.why.endswith("below the floor of 0.1 percentage points; that counts as no change.") is not moved
    assert found.change is None or found.change > 0.1  # the change itself is told either way


def test_two_sided_kpis_never_fail():
    for before, after in ((100, 400), (400, 100), (0, 100)):
        summary = analysed({"request_rate": before}, {"request_rate": after})
        found = row(summary, "request_rate")
        assert (found.real, found.verdict) == (True if before else None, "inconclusive")
        assert found.why.endswith("neither direction of this KPI is worse by itself.") is (before > 0)
        assert names(summary.regressions) == ["request_rate"]
        assert summary.rollback_recommendation.should_rollback is not True


def test_incidents_are_not_compared():
    assert analysed({"critical_incident_count": 0}, {"critical_incident_count": 5}).rows == ()


# Sizes: the documents' labels.


@pytest.mark.parametrize(
    ("after", "list_name", "severity", "verdict"),
    [
        (100, "within_range", "low", "pass"),
        (110, "within_range", "low", "pass"),
        (111, "unexpected_drifts", "medium", "fail"),
        (130, "unexpected_drifts", "medium", "fail"),
        (131, "regressions", "high", "fail"),
        (200, "regressions", "high", "fail"),
        (201, "regressions", "critical", "fail"),
        (50, "within_range", "low", "pass"),
        (0, "within_range", "low", "pass"),
    ],
)
def test_each_row_is_in_the_list_of_its_size(after, list_name, severity, verdict):
    summary = analysed({"p99_latency_ms": 100}, {"p99_latency_ms": after})
    (found,) = [r for r in getattr(summary, list_name) if r.baseline == "week_before"]
    assert names(summary.rows) == ["p99_latency_ms"]  # in no other list
    assert (found.severity, found.verdict) == (severity, verdict)
    assert found.threshold_exceeded is (list_name == "regressions")
    assert found.current_value == after


def test_a_drift_of_exactly_0_is_a_result():
    found = row(analysed({"p99_latency_ms": 100}, {"p99_latency_ms": 100}), "p99_latency_ms")
    assert (found.change, found.drift_percent, found.real, found.verdict) == (0.0, 0.0, False, "pass")
    assert found.why == "The median change over 7 days against the week before GA is +0.0 %, within 10 %."


@pytest.mark.parametrize(("before", "after", "change"), [(-5, -4, 0.2), (-4, -5, -0.25), (0, -1, None), (2, -1, -1.5)])
def test_gauges_may_be_negative(before, after, change):
    found = row(analysed({"balance": before}, {"balance": after}), "balance")
    assert found.change == (None if change is None else pytest.approx(change))
    assert found.verdict == ("inconclusive" if before == 0 else "fail" if after > before else "pass")


@pytest.mark.parametrize("after", [0.0007, 5000])
def test_from_zero_nothing_says_how_much_is_much(after):
    """Only shares of events have a floor below which a change is none; anything else from 0 is not judged."""
    summary = analysed({"balance": 0}, {"balance": after})
    found = row(summary, "balance")
    assert (found.real, found.verdict, found.severity) == (None, "inconclusive", "medium")
    assert found.obstacle == "a baseline of 0 does not say how much is much"
    assert found.why.endswith("is a rise from 0; a baseline of 0 does not say how much is much.")
    assert summary.rollback_recommendation.should_rollback is not True


def test_a_rise_below_the_floor_is_told_as_it_is():
    found = row(analysed({"overall_error_rate": 0.0012}, {"overall_error_rate": 0.0904}), "overall_error_rate")
    assert found.change == pytest.approx(0.0904 / 0.0012 - 1)
    assert (found.verdict, found.below_floor) == ("pass", 0.1)
    assert found.why == (
        "The median change over 7 days against the week before GA is +7,433.3 % (0.0012 → 0.0904 %), below the floor "
        "of 0.1 percentage points; that counts as no change."
    )


def objective(budget, kpi="overall_availability"):
    counts = {"bad": 1, "total": 1000, "value": None, "compliant": None, "coverage": 1.0}
    return SloDay(slo_name="A", kpi=kpi, target=100 - budget, budget=budget, unit="%", counts_bad=False, **counts)


@pytest.mark.parametrize(
    ("budget", "floor"), [(0.1, 0.05), (0.01, 0.005), (1.0, 0.1)], ids=["three nines", "four nines", "two nines"]
)
def test_the_floor_is_no_more_than_half_of_an_objectives_budget(budget, floor):
    """0.09 points are most of what three nines allow. The error rate counts the same events as availability."""

    def with_counts(days):
        counted = {"numerator": 7.0, "denominator": 1000.0}
        return [
            d.model_copy(
                update={
                    "slos": (objective(budget),),
                    "kpis": {name: kpi.model_copy(update=counted) for name, kpi in d.kpis.items()},
                }
            )
            for d in days
        ]

    before, after = ({"overall_error_rate": rate, "overall_availability": 100 - rate} for rate in (0.0012, 0.0904))
    past = PreReleaseSummary(days=tuple(with_counts(seven(BEFORE, before))))
    summary = analyse(day(0), with_counts(seven(WEEK, after)), past)
    for name in before:
        assert row(summary, name).verdict == ("pass" if floor == 0.1 else "fail")
        assert row(summary, name).below_floor == (0.1 if floor == 0.1 else None)


# Histograms.


def quantiles(numbers, value, bounds, at_least=False):
    buckets = dict.fromkeys((*bounds, "+Inf"), 10.0)
    days = seven(numbers, {"p99_latency_ms": value})
    update = {"buckets": buckets, "at_least": at_least}
    return [
        d.model_copy(update={"kpis": {n: kpi.model_copy(update=update) for n, kpi in d.kpis.items()}}) for d in days
    ]


def test_quantiles_of_other_buckets_do_not_compare():
    past = PreReleaseSummary(days=tuple(quantiles(BEFORE, 100, ("0.1", "1.0"))))
    week = quantiles(WEEK, 200, ("0.1", "0.25", "2.5"))
    summary = analyse(quantiles([0], 100, ("0.1", "1.0"))[0], week, past)
    for baseline in ("week_before", "ga_day"):
        found = row(summary, "p99_latency_ms", baseline)
        assert (found.real, found.verdict) == (None, "inconclusive")
        assert found.obstacle == (
            "the histogram's buckets changed (the bounds 0.25, 1, 2.5 are not there on all days), "
            "so the quantiles do not compare"
        )
    assert summary.rollback_recommendation.should_rollback is None
    same = analyse(week[0], quantiles(WEEK, 200, ("0.1", "1.0")), past)
    assert row(same, "p99_latency_ms").verdict == "fail"


def test_buckets_that_change_within_the_week_do_not_compare_either():
    past = PreReleaseSummary(days=tuple(quantiles(BEFORE, 100, ("0.1", "1.0"))))
    week = [*quantiles(range(1, 7), 200, ("0.1", "1.0")), *quantiles([7], 200, ("0.1",))]
    found = row(analyse(day(0), week, past), "p99_latency_ms")
    assert (found.verdict, "the bound 1 is not there on all days" in found.why) == ("inconclusive", True)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        pytest.param((2500, True), (2500, True), "inconclusive", id="held, as far as anybody knows"),
        pytest.param((2400, False), (2500, True), "inconclusive", id="a little more, or much more"),
        pytest.param((2500, True), (400, False), "inconclusive", id="better by an unknown amount"),
        pytest.param((400, False), (2500, True), "fail", id="worse with the least that it can be"),
    ],
)
def test_a_quantile_beyond_the_last_bucket_is_a_lower_bound(before, after, verdict):
    past = PreReleaseSummary(days=tuple(quantiles(BEFORE, before[0], ("2.5",), before[1])))
    found = row(analyse(day(0), quantiles(WEEK, after[0], ("2.5",), after[1]), past), "p99_latency_ms")
    assert (found.verdict, found.baseline_at_least, found.current_at_least) == (verdict, before[1], after[1])
    assert ("it lies beyond the last bucket bound of 2,500 ms on" in found.why) is (verdict == "inconclusive")
    assert ("≥ 2,500 ms" in found.impact) is (before[1] or after[1])


# Pairs of days.

RATIOS = st.lists(st.floats(0.1, 10), min_size=7, max_size=7)


def test_days_are_paired_by_weekday():
    """Day 7 with day −7, day 1 with day −6. Each weekday has its own level, so any other pairing shows changes."""
    level = {number: 100 * 2 ** (number % 7) for number in range(-7, 8)}
    before, after = [level[n] for n in BEFORE], [level[n] for n in WEEK]
    assert row(analysed({"p99_latency_ms": before}, {"p99_latency_ms": after}), "p99_latency_ms").change == 0.0
    changed = [1.5 * value if n <= 4 else value for n, value in zip(WEEK, after, strict=True)]
    found = row(analysed({"p99_latency_ms": before}, {"p99_latency_ms": changed}), "p99_latency_ms")
    assert found.change == pytest.approx(0.5)  # on four of seven days
    assert found.days == 7


def test_the_ga_day_is_nobodys_partner_in_the_week_before():
    before = [100, None, None, None, None, None, None]
    summary = analysed({"p99_latency_ms": before}, {"p99_latency_ms": 200}, ga=day(0, p99_latency_ms=1))
    found = row(summary, "p99_latency_ms")
    assert (found.days, found.change) == (1, 1.0)
    assert found.why.startswith("The median change over 1 day against the week before GA is +100.0 %; fewer than 5")
    assert row(summary, "p99_latency_ms", "ga_day").change == 199.0


@given(RATIOS)
def test_the_change_is_the_median_of_the_days_and_one_spike_is_none(ratios):
    after = [100 * ratio for ratio in ratios]
    found = row(analysed({"p99_latency_ms": 100}, {"p99_latency_ms": after}), "p99_latency_ms")
    assert found.change == pytest.approx(median(ratios) - 1)
    spike = [100, 100, 100, 100_000, 100, 100, 100]
    assert row(analysed({"p99_latency_ms": 100}, {"p99_latency_ms": spike}), "p99_latency_ms").verdict == "pass"


@given(RATIOS, st.floats(0.01, 100))
def test_the_unit_does_not_matter(ratios, scale):
    after = [100 * ratio for ratio in ratios]
    one = row(analysed({"p99_latency_ms": 100}, {"p99_latency_ms": after}), "p99_latency_ms")
    scaled = [scale * value for value in after]
    other = row(analysed({"p99_latency_ms": scale * 100}, {"p99_latency_ms": scaled}), "p99_latency_ms")
    assert other.change == pytest.approx(one.change, abs=1e-9)


def test_fewer_than_five_pairs_are_inconclusive():
    for pairs, real, verdict in ((5, True, "fail"), (4, None, "inconclusive")):
        after = [200.0] * pairs + [None] * (7 - pairs)
        found = row(analysed({"p99_latency_ms": 100}, {"p99_latency_ms": after}), "p99_latency_ms")
        assert (found.days, found.real, found.verdict) == (pairs, real, verdict)
    assert found.why.endswith("is +100.0 %; fewer than 5 days have a partner in the week before GA.")


def test_the_shortened_days_of_a_rehearsal_are_not_tested():
    short = [
        found.model_copy(
            update={"window": Window(start=found.window.start, end=found.window.start + timedelta(hours=1))}
        )
        for found in seven(WEEK, {"p99_latency_ms": 800.0})
    ]
    past = PreReleaseSummary(days=tuple(seven(BEFORE, {"p99_latency_ms": 400.0})))
    found = row(analyse(day(0, p99_latency_ms=800.0), short, past), "p99_latency_ms")
    assert (found.real, found.verdict) == (None, "inconclusive")
    assert found.why.endswith("the days were shortened, and the rule was measured on whole days.")


def test_values_without_a_common_weekday_are_not_called_missing():
    before, after = [None] * 6 + [100], [200] + [None] * 6
    found = row(analysed({"p99_latency_ms": before}, {"p99_latency_ms": after}), "p99_latency_ms")
    assert (found.days, found.verdict, found.change) == (0, "inconclusive", None)
    assert found.why == "No day has a partner in the week before GA."


def test_partial_days_are_left_out():
    past = PreReleaseSummary(days=tuple(seven(BEFORE, {"p99_latency_ms": 100})))
    week = [day(n, p99_latency_ms=100) for n in range(1, 7)] + [day(7, partial=True, p99_latency_ms=900)]
    found = row(analyse(day(0, p99_latency_ms=100), week, past), "p99_latency_ms")
    assert (found.days, found.change) == (6, 0.0)
    assert [d.day_number for d in week if d.partial] == [7]
    cut = PreReleaseSummary(days=(day(-7, partial=True, p99_latency_ms=1), *past.days[1:]))
    assert row(analyse(day(0, p99_latency_ms=100), seven(WEEK, {"p99_latency_ms": 100}), cut), "p99_latency_ms").days == 6


def test_a_week_of_nothing_but_a_partial_day_compares_nothing():
    summary = analyse(day(0, p99_latency_ms=100), [day(1, partial=True, p99_latency_ms=200)], None)
    assert {found.verdict for found in summary.rows} == {"no data"}
    assert {found.service for found in summary.rows} == {"shop"}
    assert row(summary, "p99_latency_ms", "ga_day").why == "There is no data for the week after GA."
    assert summary.rollback_recommendation.should_rollback is None


def test_a_partial_ga_day_is_no_baseline():
    ga = day(0, partial=True, p99_latency_ms=100)
    summary = analysed(None, {"p99_latency_ms": 200}, ga=ga)
    assert row(summary, "p99_latency_ms", "ga_day").verdict == "no data"
    assert any("GA summary is of a day that was not over" in warning for warning in summary.warnings)


def test_days_of_which_less_than_half_was_seen_are_not_compared():
    past = PreReleaseSummary(days=tuple(seven(BEFORE, {"p99_latency_ms": 100})))
    week = [day(n, coverage=0.49 if n > 5 else 0.5, p99_latency_ms=200) for n in WEEK]
    found = row(analyse(day(0, p99_latency_ms=100), week, past), "p99_latency_ms")
    assert (found.days, found.verdict) == (5, "fail")
    assert found.coverage == pytest.approx((5 * 0.5 + 2 * 0.49) / 7)


# Load.


@pytest.mark.parametrize(
    ("load", "verdict"),
    [(1.49, "fail"), (1.51, "inconclusive"), (0.67, "fail"), (0.66, "inconclusive"), (0.0, "inconclusive")],
)
def test_kpis_that_depend_on_load_are_inconclusive_at_another_load(load, verdict):
    before = {"request_rate": 100, "avg_cpu_percent": 40, "p99_latency_ms": 100}
    after = {"request_rate": 100 * load, "avg_cpu_percent": 60, "p99_latency_ms": 200}
    summary = analysed(before, after)
    assert row(summary, "avg_cpu_percent").verdict == verdict
    assert row(summary, "p99_latency_ms").verdict == "fail"
    if verdict == "inconclusive":
        why = row(summary, "avg_cpu_percent").why
        assert why.endswith(f"is +50.0 %; at {load:g} times the traffic, on which this KPI depends.")


def test_load_from_none_to_some_and_load_that_is_not_known():
    summary = analysed(
        {"request_rate": 0, "avg_cpu_percent": 40}, {"request_rate": 5, "avg_cpu_percent": 60}, ga=day(0)
    )
    assert row(summary, "avg_cpu_percent").why.endswith("at a traffic that was 0 before, on which this KPI depends.")
    assert row(analysed({"avg_cpu_percent": 40}, {"avg_cpu_percent": 60}), "avg_cpu_percent").verdict == "fail"


# Baselines that are missing, and the GA day.


def test_the_ga_day_shows_the_week_and_decides_nothing():
    summary = analysed({"p99_latency_ms": 400}, {"p99_latency_ms": 400}, ga=day(0, p99_latency_ms=100))
    found = row(summary, "p99_latency_ms", "ga_day")
    assert (found.real, found.verdict, found.change) == (None, "inconclusive", 3.0)
    assert found.why == (
        "The median change over 7 days against the GA day is +300.0 %; "
        "the GA day is part of the release, so this is not tested."
    )
    assert found.impact == "100 ms on the GA day, 400 ms in the week after GA (medians of the days)"
    assert summary.rollback_recommendation.should_rollback is False
    for value, verdict in ((365, "pass"), (1000, "pass"), (360, "inconclusive")):  # 9.6 %, for the better, 11 %
        other = analysed(None, {"p99_latency_ms": 400}, ga=day(0, p99_latency_ms=value))
        assert row(other, "p99_latency_ms", "ga_day").verdict == verdict


@pytest.mark.parametrize("before", [None, {"p99_latency_ms": None}], ids=["no summary", "no values"])
def test_without_a_week_before_nothing_is_tested(before):
    summary = analysed(before, {"p99_latency_ms": 400}, ga=day(0, p99_latency_ms=100))
    found = row(summary, "p99_latency_ms")
    assert (found.real, found.verdict, found.why) == (None, "no data", "There is no data for the week before GA.")
    assert found.impact.startswith("no data in the week before GA, 400 ms in the week after GA")
    assert names(summary.regressions, "ga_day") == ["p99_latency_ms"]
    advice = summary.rollback_recommendation
    assert (advice.should_rollback, advice.priority) == (None, "P1")
    assert advice.reason == "Not assessable: no KPI could be tested against the week before GA."
    assert any("no week before GA" in warning for warning in summary.warnings) is (before is None)


def test_a_kpi_that_only_the_ga_day_has_is_no_data():
    summary = analyse(day(0, p99_latency_ms=100, avg_cpu_percent=40), seven(WEEK, {"p99_latency_ms": 100}), None)
    assert {found.verdict for found in summary.rows if found.metric_name == "avg_cpu_percent"} == {"no data"}


def test_a_ga_summary_without_kpis_is_said():
    summary = analyse(DaySummary(timestamp=GA), [], None)
    assert summary.rows == ()
    assert any("holds no `kpis`" in warning for warning in summary.warnings)


# Advice.


@pytest.mark.parametrize(
    ("after", "rollback", "priority"),
    [
        pytest.param([140] * 7, True, "P0", id="severe and persisting"),
        pytest.param([130] * 7, False, "P1", id="real, not severe"),
        pytest.param([140] * 6 + [100], False, "P1", id="gone on the last day"),
        pytest.param([140, 140, 140, 105, 140, 140, 140], True, "P0", id="back after a good day"),
        pytest.param([140] * 5 + [100, 140], False, "P1", id="gone on the last day but one"),
        pytest.param([140] * 5 + [111, 111], True, "P0", id="smaller, still there"),
        pytest.param([140] * 5 + [110, 110], False, "P1", id="too small by now"),
        pytest.param([140] * 5 + [60, 60], False, "P1", id="by now the other way"),
        pytest.param([100] * 5 + [300, 300], False, "P3", id="two days"),
        pytest.param([140] * 6 + [None], True, "P0", id="the last days that were seen"),
        pytest.param([140] * 4 + [None] * 3, None, "P1", id="too few days"),
        pytest.param([60] * 7, False, "P3", id="better"),
    ],
)
def test_a_rollback_is_advised_for_what_is_real_severe_and_persists(after, rollback, priority):
    advice = analysed({"p99_latency_ms": 100}, {"p99_latency_ms": after}).rollback_recommendation
    assert (advice.should_rollback, advice.priority) == (rollback, priority)


def test_a_row_says_whether_its_change_persists():
    for last, persists in ((140, True), (100, False)):
        found = row(analysed({"p99_latency_ms": 100}, {"p99_latency_ms": [140] * 6 + [last]}), "p99_latency_ms")
        assert found.persists is persists


def test_the_advice_names_what_speaks_for_it():
    before = {"p99_latency_ms": 100, "avg_cpu_percent": 40, "overall_error_rate": 0.0}
    after = {"p99_latency_ms": 140, "avg_cpu_percent": 50, "overall_error_rate": 0.0}
    advice = analysed(before, after, ga=day(0, p99_latency_ms=140)).rollback_recommendation
    assert advice.reason == (
        "Real and severe against the week before GA, and still there on the last 2 days: p99_latency_ms (+40.0 %)."
    )
    assert advice.investigation_items == (
        "p99_latency_ms: 100 ms in the week before GA, 140 ms in the week after GA (medians of the days)",
        "avg_cpu_percent: 40 % in the week before GA, 50 % in the week after GA (medians of the days)",
    )


VALUE = st.one_of(st.none(), st.just(0.0), st.floats(0.01, 99.99))


@given(*[st.fixed_dictionaries({name: st.lists(VALUE, min_size=7, max_size=7) for name in KPIS})] * 2)
def test_whatever_the_days_hold_every_kpi_is_told_once_per_baseline(before, after):
    summary = analysed(before, after)
    told = [(found.metric_name, found.baseline) for found in summary.rows]
    compared = KPIS.keys() - {"critical_incident_count"}
    assert sorted(told) == sorted((name, role) for name in compared for role in ("week_before", "ga_day"))
    assert all(found.real is None for found in summary.rows if found.baseline == "ga_day")
    assert all(found.verdict != "fail" for found in summary.rows if found.direction is NEITHER)
    assert all(found.why.endswith(".") and "nan" not in found.why for found in summary.rows)
    assert all(found.change is None or math.isfinite(found.change) for found in summary.rows)
    assert RegressionSummary.model_validate_json(summary.model_dump_json()) == summary
