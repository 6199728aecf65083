"""Error budgets over the window: by hand, and what must hold for any days."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts import DaySummary, KpiSummary, SloDay
from observability.judgement.slo import burn_downs
from observability.verdicts import SloReport

GA = datetime(2025, 11, 18, tzinfo=UTC)
QUIET, NOTHING = (0, 100_000), (None, None)


def slo_day(bad, total, coverage=1.0, target=99.9, counts_bad=False, name="Availability"):
    """The counted events of a day. ``None, None`` is a day without data."""
    budget = target if counts_bad else round(100 - target, 6)
    known = total is not None and total > 0
    return SloDay(
        slo_name=name,
        kpi="overall_availability",
        target=target,
        budget=budget,
        unit="%",
        counts_bad=counts_bad,
        bad=bad,
        total=total,
        value=100 * (bad if counts_bad else total - bad) / total if known else None,
        compliant=100 * bad <= budget * total if known else None,
        coverage=coverage if total is not None else 0.0,
    )


def day(number, *slos):
    return DaySummary(timestamp=GA + timedelta(days=number), day_number=number, slos=slos)


def burn_down(*counts, **changes):
    """The burn-down of days from GA on, given as (bad, total)."""
    (found,) = burn_downs([day(number, slo_day(*count, **changes)) for number, count in enumerate(counts)])
    return found


def test_a_week_by_hand():
    """GA day and seven days of 100,000 requests: 8 × 100 may fail. 40 do on the GA day, and 600 on day 2."""
    found = burn_down((40, 100_000), QUIET, (600, 100_000), *[QUIET] * 5)
    assert (found.bad, found.total, found.target, found.budget) == (640, 800_000, 99.9, 0.1)
    assert found.burn_rate == 640 / 800
    assert found.budget_consumed_percent == 100 * 640 / 800
    assert found.value == pytest.approx(100 * (800_000 - 640) / 800_000)
    assert [day.budget_consumed for day in found.compliance_by_day] == [5.0, 0.0, 75.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert [day.compliant for day in found.compliance_by_day] == [True, True, False, True, True, True, True, True]
    assert [day.day for day in found.compliance_by_day] == list(range(8))
    assert (found.verdict, found.coverage) == ("pass", 1.0)
    assert found.why == "Bad events in 8 days: 640 of 800,000; the objective allows 800.0."


def test_the_30_day_budget_takes_the_windows_traffic_for_the_whole_period():
    """At a burn rate of 0.8, eight of thirty days have spent 0.8 × 8 / 30, and the rest lasts (1 − that) × 30 / 0.8."""
    found = burn_down((640, 100_000), *[QUIET] * 7)
    assert found.budget_consumed_30d_percent == pytest.approx(100 * 0.8 * 8 / 30)
    assert found.days_to_exhaustion == pytest.approx((1 - 0.8 * 8 / 30) * 30 / 0.8)
    assert found.days_to_exhaustion == pytest.approx(29.5)


@pytest.mark.parametrize(
    ("bad_a_day", "burn_rate", "spent", "left"),
    [
        pytest.param(100, 1.0, 100 * 8 / 30, 22.0, id="at its pace: the other 22 days"),
        pytest.param(300, 3.0, 100 * 24 / 30, 2.0, id="three times: 24 of 30 days' budget, and two days more"),
        pytest.param(500, 5.0, 100 * 40 / 30, 0.0, id="gone, and more than gone"),
        pytest.param(0, 0.0, 0.0, None, id="nothing spent: not at this rate"),
    ],
)
def test_days_to_exhaustion(bad_a_day, burn_rate, spent, left):
    found = burn_down(*[(bad_a_day, 100_000)] * 8)
    assert found.burn_rate == pytest.approx(burn_rate)
    assert found.budget_consumed_30d_percent == pytest.approx(spent)
    assert found.days_to_exhaustion == (None if left is None else pytest.approx(left))


def test_an_overspent_budget_is_not_capped():
    found = burn_down(*[(500, 100_000)] * 8)
    assert found.budget_consumed_percent == 500.0
    assert sum(day.budget_consumed for day in found.compliance_by_day) == pytest.approx(500.0)
    assert found.verdict == "fail"


def test_an_hour_of_errors_at_night_costs_what_it_cost():
    """Event-weighted: 50 % of a day with 100 requests is a small part of a week with 700,100."""
    found = burn_down((50, 100), *[QUIET] * 7)
    assert found.budget_consumed_percent == pytest.approx(100 * 50 / 700.1)
    assert [day.compliant for day in found.compliance_by_day][:2] == [False, True]
    assert found.verdict == "pass"


def test_a_budget_spent_to_the_last_event_is_kept():
    for target, allowed in ((99.9, 1000), (99.71, 2900), (99.93, 700)):
        found = [burn_down((allowed + more, 1_000_000), target=target) for more in (0, 1)]
        assert [slo.verdict for slo in found] == ["pass", "fail"]
        assert found[0].burn_rate == 1.0


def test_an_objective_on_the_share_of_bad_events():
    found = burn_down((90, 100_000), target=0.1, counts_bad=True)
    assert (found.budget, found.value) == (0.1, pytest.approx(0.09))
    assert found.budget_consumed_percent == pytest.approx(90.0)
    assert found.verdict == "pass"


def test_no_data_is_not_a_kept_budget():
    found = burn_down(NOTHING, NOTHING)
    assert (found.bad, found.total, found.value, found.burn_rate) == (None, None, None, None)
    assert (found.budget_consumed_percent, found.days_to_exhaustion) == (None, None)
    assert (found.verdict, found.coverage, found.why) == ("no data", 0.0, "No data in the window.")
    assert [day.budget_consumed for day in found.compliance_by_day] == [None, None]
    assert burn_downs([day(0)]) == ()


def test_no_events_are_not_a_kept_budget():
    found = burn_down((0, 0), (0, 0))
    assert (found.bad, found.total, found.verdict) == (0, 0, "no data")
    assert found.why == "No events were counted in the window."
    assert [day.budget_consumed for day in found.compliance_by_day] == [None, None]


def test_too_few_events_decide_nothing():
    found = burn_down((5, 499), (0, 500))
    assert (found.verdict, found.days_to_exhaustion) == ("inconclusive", None)
    assert found.budget_consumed_percent == pytest.approx(100 * 5 / 0.999)
    assert found.why.endswith("Fewer than 1,000 events decide nothing.")
    enough = burn_down((5, 500), (0, 500))
    assert (enough.verdict, enough.days_to_exhaustion) == ("fail", pytest.approx((1 - 5 * 2 / 30) * 30 / 5))
    assert enough.why.endswith("the objective allows 1.0.")


def test_a_kept_budget_needs_coverage_and_an_overspent_one_does_not():
    unproven = "Only 90.0 % of the window was seen, so a kept budget is not proven."
    for bad, coverage, verdict, words in (
        (100, 0.9, "inconclusive", unproven),
        (101, 0.9, "fail", "the objective allows 100.0."),
        (100, 0.95, "pass", "the objective allows 100.0."),
    ):
        found = burn_down((bad, 100_000), coverage=coverage)
        assert found.verdict == verdict
        assert found.why.endswith(words)


def test_a_day_without_data_lowers_the_coverage_and_is_not_a_day_of_budget():
    found = burn_down((100, 100_000), NOTHING, (100, 100_000), NOTHING)
    assert found.coverage == 0.5
    assert found.burn_rate == pytest.approx(1.0)
    assert found.budget_consumed_30d_percent == pytest.approx(100 * 2 / 30)
    assert [day.budget_consumed for day in found.compliance_by_day] == pytest.approx([50, None, 50, None])


def test_partial_days_are_left_out():
    days = [day(0, slo_day(1, 1000)), day(1, slo_day(900, 1000)).model_copy(update={"partial": True})]
    (found,) = burn_downs(days)
    assert (found.bad, found.coverage, len(found.compliance_by_day)) == (1, 1.0, 1)


def latency_day(number, bounds, exact):
    counted = slo_day(1, 10_000, target=99, name="Latency").model_copy(update={"kpi": "p99_latency_ms", "exact": exact})
    latency = KpiSummary(
        value=400,
        unit="ms",
        direction="lower is better",
        category="latency",
        kind="quantile",
        coverage=1,
        buckets=bounds,
    )
    return day(number, counted).model_copy(update={"kpis": {"p99_latency_ms": latency}})


@pytest.mark.parametrize(
    ("bounds", "exact", "verdict"),
    [
        pytest.param({"0.5": 1, "+Inf": 1}, True, "pass", id="the same"),
        pytest.param({"0.4": 1, "0.5": 1, "+Inf": 1}, True, "pass", id="others, exact in all"),
        pytest.param({"0.4": 1, "+Inf": 1}, False, "inconclusive", id="others, estimated in one"),
    ],
)
def test_a_threshold_among_buckets_that_changed(bounds, exact, verdict):
    (found,) = burn_downs([latency_day(0, {"0.5": 1, "+Inf": 1}, True), latency_day(1, bounds, exact)])
    assert found.verdict == verdict
    assert ("buckets changed among the days" in found.why) is (verdict == "inconclusive")


def test_sums_do_not_depend_on_the_version_of_python():
    """Python 3.12 made the built-in sum of floats exact; 3.11 loses the last digits."""
    counts = [(0.1, 1000.1)] * 8
    assert burn_down(*counts).total == math.fsum(total for _, total in counts)
    assert burn_down(*counts).bad == 0.8


def test_objectives_are_told_apart_by_name_and_a_day_may_lack_one():
    days = [
        day(0, slo_day(1, 1000), slo_day(30, 1000, target=99, name="Latency")),
        day(1, slo_day(2, 1000)),
    ]
    availability, latency = burn_downs(days)
    assert (availability.slo_name, availability.bad, availability.coverage) == ("Availability", 3, 1.0)
    assert (latency.slo_name, latency.bad, latency.coverage) == ("Latency", 30, 0.5)
    assert latency.burn_rate == pytest.approx(3.0)


def test_one_day_is_a_day():
    assert burn_down((1, 5000)).why == "Bad events in 1 day: 1 of 5,000; the objective allows 5.0."


COUNT = st.one_of(
    st.just((None, None)),
    st.integers(0, 10**6).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))),
)
WEEK = st.lists(COUNT, min_size=1, max_size=8)


@given(WEEK, st.sampled_from([99.9, 99.0, 95.0]))
def test_the_days_shares_add_up_to_the_windows(counts, target):
    found = burn_down(*counts, target=target)
    shares = [day.budget_consumed for day in found.compliance_by_day if day.budget_consumed is not None]
    if found.budget_consumed_percent is None:
        assert shares == []
    else:
        assert math.fsum(shares) == pytest.approx(found.budget_consumed_percent)
        assert found.budget_consumed_percent == pytest.approx(100 * found.burn_rate)


@given(WEEK, st.integers(2, 50))
def test_more_of_the_same_traffic_burns_at_the_same_rate(counts, times):
    more = [(bad if bad is None else times * bad, total if total is None else times * total) for bad, total in counts]
    one, many = burn_down(*counts), burn_down(*more)
    assert many.burn_rate == pytest.approx(one.burn_rate)
    assert many.value == pytest.approx(one.value)


@given(WEEK, st.permutations(range(8)))
def test_the_order_of_the_days_does_not_matter(counts, order):
    days = [day(number, slo_day(*count)) for number, count in enumerate(counts)]
    shuffled = [days[number] for number in order if number < len(days)]
    assert burn_downs(shuffled) == burn_downs(days)


@given(WEEK)
def test_a_report_reads_back_the_same(counts):
    report = SloReport(slo_burn_downs=(burn_down(*counts),))
    assert SloReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    ("between", "verdict"),
    [
        pytest.param((10, 90), "pass", id="at most 90 of the 100 that are allowed"),
        pytest.param((10, 900), "inconclusive", id="10 to 900: nobody knows"),
        pytest.param((110, 900), "fail", id="at least 110"),
    ],
)
def test_a_threshold_between_two_bounds_decides_only_where_both_ends_agree(between, verdict):
    """99 % of 10,000 events: 100 may be bad."""
    estimated = slo_day(50, 10_000, target=99).model_copy(update={"bad_between": between, "exact": False})
    (found,) = burn_downs([day(0, estimated)])
    assert found.verdict == verdict
    assert f"The buckets say only that {between[0]} to {between[1]} were bad" in found.why
