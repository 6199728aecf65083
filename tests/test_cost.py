"""What a week cost and what drove it: hand-worked splits that add up, trends, and what cannot be said."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts import CostDay, DaySummary, KpiSummary, PreReleaseSummary
from observability.costs import requests_of, week_costs
from observability.definitions import Direction
from observability.judgement.cost import cost_report
from observability.model import Window
from observability.verdicts import CostReport, RegressionSummary
from retrospective.costs import analyse_cost
from retrospective.record import WeekRecord

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY = timedelta(days=1)
AFTER, BEFORE = range(1, 8), range(-7, 0)
TWO_SIDED, LOWER = Direction.TWO_SIDED, Direction.LOWER_IS_BETTER


def traffic(requests_a_day, coverage=1.0, seconds=86_400.0, **fields):
    rate = requests_a_day / 86_400
    common = {"unit": "requests/s", "direction": TWO_SIDED, "category": "traffic", "kind": "rate"}
    return KpiSummary(
        **{"value": rate, "coverage": coverage, "numerator": rate * seconds, "denominator": seconds, **common, **fields}
    )


def day(number, parts=None, requests=1_000_000.0, currency="USD", length=DAY, seen=1.0, partial=False, total=...):
    """``parts``: resource → cost of the day; None where nothing is known of it."""
    start = GA + number * length
    kpis = {} if requests is None else {"request_rate": traffic(requests)}
    common = {"unit": "USD per hour", "direction": LOWER, "category": "cost", "kind": "cost"}
    kpis["estimated_cost_per_hour"] = KpiSummary(value=None, coverage=seen, **common)
    cost = None
    if parts is not None:
        total = math.fsum(parts.values()) if total is ... else total
        cost = CostDay(currency=currency, hours=length.total_seconds() / 3600, total=total, **parts)
    window = Window(start=start, end=start + length)
    return DaySummary(timestamp=start, day_number=number, kpis=kpis, cost=cost, window=window, partial=partial)


def report(before, after, ga=None, **requests):
    """Both sides alike on all of their days: resource → cost of a day."""
    past = [day(n, before, requests.get("r0", 1e6)) for n in BEFORE] if before is not None else []
    week = [day(n, after, requests.get("r1", 1e6)) for n in AFTER]
    return cost_report(ga or day(0, after, requests.get("r1", 1e6)), week, PreReleaseSummary(days=tuple(past)))


def drivers(found):
    return {driver.name: pytest.approx(driver.change_per_day) for driver in found.drivers}


def adds_up(found):
    change = found.daily_average - found.before_daily_average
    return math.fsum(driver.change_per_day for driver in found.drivers) == pytest.approx(change, abs=1e-9)


# What drove the change.


def test_the_drivers_by_hand():
    """Twice the requests. Compute 6 → 15: twice of 6 is 12, and 3 more per request. Network 1 → 2: all of it traffic.
    Storage and the fixed price do not follow the requests: 2 → 2.5, and 1 as before. 10 → 20.5 in all."""
    found = report(
        {"compute": 6.0, "storage": 2.0, "network": 1.0, "other": 1.0},
        {"compute": 15.0, "storage": 2.5, "network": 2.0, "other": 1.0},
        r1=2e6,
    )
    assert drivers(found) == {"compute: traffic": 6, "compute: per request": 3, "network: traffic": 1, "storage": 0.5}
    assert adds_up(found)
    assert [driver.name for driver in found.drivers][:2] == ["compute: traffic", "compute: per request"]
    assert {driver.name: driver.why for driver in found.drivers} == {
        "compute: traffic": "2 times the requests at the old cost: 6 → 12 USD a day",
        "compute: per request": "12 → 15 USD a day at the same requests (+25.0 %)",
        "network: traffic": "2 times the requests at the old cost: 1 → 2 USD a day",
        "storage": "2 → 2.5 USD a day; not by the request",
    }


def test_less_traffic_and_the_same_cost_is_more_per_request():
    found = report({"compute": 8.0}, {"compute": 8.0}, r0=2e6, r1=1e6)
    assert drivers(found) == {"compute: traffic": -4, "compute: per request": 4}
    assert adds_up(found)


def test_nothing_changed():
    found = report({"compute": 8.0, "other": 1.0}, {"compute": 8.0, "other": 1.0})
    assert (found.drivers, found.note) == ((), None)


@pytest.mark.parametrize(("r0", "r1"), [(None, 1e6), (1e6, None), (0.0, 1e6), (1e6, 0.0), (0.0, 0.0)])
def test_without_requests_the_resources_are_not_split(r0, r1):
    found = report({"compute": 6.0, "network": 1.0}, {"compute": 8.0, "network": 1.0}, r0=r0, r1=r1)
    assert drivers(found) == {"compute": 2}
    assert found.drivers[0].why == "6 → 8 USD a day; no number of requests to split it by"


def test_where_the_resources_do_not_add_up_the_total_is_split():
    past = PreReleaseSummary(days=tuple(day(n, {}, total=10.0) for n in BEFORE))
    found = cost_report(day(0, {}, total=12.0), [day(n, {"compute": 5.0}, 1.5e6, total=12.0) for n in AFTER], past)
    assert (found.drivers, found.note) == (
        (),
        "What drove the cost is not known: compute had no price on some of the days.",
    )
    found = cost_report(day(0, {}, total=12.0), [day(n, {}, 1.5e6, total=12.0) for n in AFTER], past)
    assert drivers(found) == {"all resources: traffic": 5, "all resources: per request": -3}


def test_the_same_weekdays_are_compared():
    """Weekends are cheap: without days 4 and 5, their partners do not count either."""
    costs = {1: 10.0, 2: 10.0, 3: 10.0, 4: 4.0, 5: 4.0, 6: 10.0, 7: 10.0}
    past = [day(n - 7 if n < 7 else -7, {"compute": cost}) for n, cost in costs.items()]
    week = [day(n, None if n in {4, 5} else {"compute": cost}) for n, cost in costs.items()]
    found = cost_report(day(0, {"compute": 10.0}), week, PreReleaseSummary(days=tuple(past)))
    assert found.drivers == ()
    assert found.daily_average == 10
    assert found.before_daily_average == pytest.approx(58 / 7)


# Totals, trend and unit costs.


def test_totals_averages_and_the_cost_of_a_million_requests():
    """8 USD for 2 million requests are 4 per million; before GA, 7 USD for 1 million."""
    found = report({"compute": 7.0}, {"compute": 6.0, "storage": 2.0}, r1=2e6)
    assert (found.currency, found.ga_day, found.week_total, found.daily_average, found.days_counted) == (
        *("USD", 8, 56, 8),
        7,
    )
    assert found.breakdown == {"compute": 6, "storage": 2, "network": None, "other": None}
    assert (found.before_daily_average, found.before_breakdown["compute"]) == (7, 7)
    assert found.per_million_requests == pytest.approx(4)
    assert found.before_per_million_requests == pytest.approx(7)
    assert [one.day for one in found.days] == list(range(-7, 8))
    assert found.days[-1].per_million_requests == pytest.approx(4)


def test_a_cheap_day_does_not_count_as_much_as_a_busy_one():
    """10 USD for 1 million requests and 10 for 4 million: 20 USD for 5 million, and not the mean of 10 and 2.5."""
    week = [day(1, {"compute": 10.0}, 1e6), day(2, {"compute": 10.0}, 4e6), day(3, {"compute": 99.0}, None)]
    assert week_costs(day(0), week, None).per_million_requests == pytest.approx(4)


@pytest.mark.parametrize(
    ("costs", "percent", "trend"),
    [
        ([100, 100, 100, 900, 110, 110, 110], 10, "increasing"),  # day 4 is the middle
        ([100, 100, 100, 100, 109, 109, 109], 9, "stable"),
        ([100, 100, 100, 100, 90, 90, 90], -10, "decreasing"),
        ([100, None, 100, 100, 120, 120, None], 20, "increasing"),
        ([100, None, None, 100, 120, 120, 120], None, "unknown"),
        ([0, 0, 0, 0, 5, 5, 5], None, "unknown"),  # from nothing
        ([None] * 7, None, "unknown"),
    ],
)
def test_the_trend(costs, percent, trend):
    week = [day(n, None if cost is None else {"compute": float(cost)}) for n, cost in zip(AFTER, costs, strict=True)]
    found = week_costs(day(0), week, None)
    assert (found.trend, found.trend_percent) == (trend, None if percent is None else pytest.approx(percent))


@pytest.mark.parametrize(
    ("kpi", "requests"),
    [
        (traffic(1e6), 1e6),
        (traffic(1e6, seconds=43_200.0), 1e6),  # counted in half of the day
        (traffic(1e6, numerator=None, denominator=None), 1e6),
        (traffic(1e6, with_maintenance=2e6 / 86_400), 2e6),  # the cost is of all hours
        (traffic(1e6, coverage=0.4), None),
        (traffic(0.0), 0.0),
        (traffic(1e6, value=None), None),
        (None, None),
    ],
)
def test_the_requests_of_a_day(kpi, requests):
    found = requests_of(day(1).model_copy(update={"kpis": {} if kpi is None else {"request_rate": kpi}}))
    assert found == (None if requests is None else pytest.approx(requests))


def test_shortened_days_are_as_long_as_they_are():
    """An hour for a day: 3,600 of 86,400 seconds at the same rate."""
    hour = timedelta(hours=1)
    found = week_costs(day(0, length=hour), [day(1, {"compute": 0.5}, 24e6, length=hour)], None)
    assert found.days[-1].per_million_requests == pytest.approx(0.5)


# What cannot be said.


def flat(number, per_hour):
    stamp = GA + number * DAY
    return DaySummary(timestamp=stamp, day_number=number, estimated_cost_per_hour=per_hour)


def test_older_files_have_a_cost_per_hour():
    found = cost_report(flat(0, 12.5), [flat(n, 12.5) for n in AFTER], None)
    assert (found.ga_day, found.week_total, found.currency) == (300, 2100, None)
    assert found.breakdown == dict.fromkeys(["compute", "storage", "network", "other"])
    assert found.note == (
        "The files state a cost per hour without a currency or a breakdown; a day is 24 hours of it. "
        "No requests were counted, so there is no cost per request. "
        "What drove the cost is not known: 0 weekdays have a cost both before and after GA, and it takes 5."
    )


def test_no_cost_is_none():
    assert cost_report(day(0), [day(n) for n in AFTER], PreReleaseSummary(days=(day(-1),))) is None
    assert week_costs(day(0), [day(1)], None).note == (
        "No cost: the summaries hold none; give the release file `prices:`."
    )


def test_a_cost_of_nothing_is_a_cost():
    found = report({"compute": 0.0}, {"compute": 0.0})
    assert (found.week_total, found.daily_average, found.per_million_requests, found.trend) == (0, 0, 0, "unknown")


def test_missing_days_are_named():
    week = [day(n, None if n in {2, 5} else {"compute": 1.0}) for n in AFTER]
    found = week_costs(day(0), week, None)
    assert (found.days_counted, found.week_total) == (5, 5)
    assert found.note == "No cost is known of days 2, 5."


def test_a_resource_without_usage_is_named():
    gone = day(3, {"compute": 1.0}, total=None)
    gone = gone.model_copy(update={"cost": gone.cost.model_copy(update={"note": "no usage data for memory"})})
    found = week_costs(day(0), [day(n, {"compute": 1.0}) if n != 3 else gone for n in AFTER], None)
    assert found.note == "No cost is known of day 3 (no usage data for memory)."


def test_a_day_of_which_less_than_half_was_seen_has_no_cost():
    week = [day(n, {"compute": 1.0}, seen=0.4 if n == 3 else 1.0) for n in AFTER]
    found = week_costs(day(0), week, None)
    assert (found.week_total, found.note) == (6, "No cost is known of day 3 (less than half of it was seen).")
    unseen = week_costs(day(0), [day(1, {"compute": 1.0}, seen=0.4)], None)
    assert unseen.note == "No cost: less than half of it was seen."


def test_partial_days_are_left_out():
    found = week_costs(day(0), [day(1, {"compute": 1.0}), day(2, {"compute": 9.0}, partial=True)], None)
    assert (found.week_total, found.note) == (1, None)


def test_a_resource_that_is_priced_later():
    """5 a day more from day 4 on is no rise of the cost: it was not priced before."""
    week = [day(n, {"compute": 10.0} if n < 4 else {"compute": 10.0, "storage": 5.0}) for n in AFTER]
    past = PreReleaseSummary(days=tuple(day(n, {"compute": 10.0}) for n in BEFORE))
    found = cost_report(day(0, {"compute": 10.0}), week, past)
    assert (found.trend, found.trend_percent, found.drivers) == ("unknown", None, ())
    assert found.breakdown == {"compute": 10, "storage": None, "network": None, "other": None}
    assert found.note == (
        "Not all days have a price of storage, so their totals do not compare. "
        "What drove the cost is not known: storage had no price on some of the days."
    )


def test_another_currency():
    week = [day(n, {"compute": 1.0}, currency="USD" if n < 4 else "EUR") for n in AFTER]
    found = cost_report(day(0, {"compute": 1.0}), week, None)
    assert (found.week_total, found.currency, found.days) == (None, None, ())
    assert found.note == "The days' costs are in EUR and USD, so nothing is added up."
    past = PreReleaseSummary(days=tuple(day(n, {"compute": 9.0}, currency="EUR") for n in BEFORE))
    found = cost_report(day(0, {"compute": 1.0}), [day(n, {"compute": 1.0}) for n in AFTER], past)
    assert (found.week_total, found.before_daily_average, found.drivers) == (7, None, ())
    assert found.note.startswith("Days before GA are in EUR, and left out.")


def test_without_a_week_before_nothing_is_a_driver():
    found = report(None, {"compute": 5.0})
    assert (found.drivers, found.before_daily_average, found.before_per_million_requests) == ((), None, None)
    assert found.note == (
        "What drove the cost is not known: 0 weekdays have a cost both before and after GA, and it takes 5."
    )


# Properties.

AMOUNT = st.one_of(st.just(0.0), st.floats(1e-3, 1e6))
PARTS = st.fixed_dictionaries(dict.fromkeys(("compute", "storage", "network", "other"), AMOUNT))
REQUESTS = st.one_of(st.none(), st.just(0.0), st.floats(1, 1e12))


@given(PARTS, PARTS, REQUESTS, REQUESTS)
def test_the_drivers_always_add_up(before, after, r0, r1):
    found = report(before, after, r0=r0, r1=r1)
    change = math.fsum(after.values()) - math.fsum(before.values())
    scale = max(abs(driver.change_per_day) for driver in found.drivers) if found.drivers else 0.0
    assert math.fsum(d.change_per_day for d in found.drivers) == pytest.approx(change, abs=1e-6 + 1e-9 * scale)
    assert CostReport.model_validate_json(found.model_dump_json()) == found


@given(st.lists(st.one_of(st.none(), AMOUNT), min_size=7, max_size=7))
def test_the_breakdown_adds_up_to_the_average(costs):
    week = [
        day(n, None if cost is None else {"compute": cost, "other": 1.0}) for n, cost in zip(AFTER, costs, strict=True)
    ]
    found = week_costs(day(0), week, None)
    if found.daily_average is not None:
        assert found.breakdown["compute"] + found.breakdown["other"] == pytest.approx(found.daily_average)
        assert found.daily_average * found.days_counted == pytest.approx(found.week_total)


# In the report.


@pytest.mark.parametrize(
    ("other_days", "by"),
    [(False, ", by compute: traffic +2 USD and compute: per request +0.5 USD"), (True, "")],
)
def test_the_report_names_the_drivers_of_the_same_days(other_days, by):
    """10 USD become 12.5, with a fifth more requests."""
    past = PreReleaseSummary(days=tuple(day(n, {"compute": 10.0}) for n in BEFORE))
    week = [day(n, {"compute": 12.5}, 1.2e6) for n in AFTER]
    judged = cost_report(day(0, {"compute": 12.5}, 1.2e6), week[:6] if other_days else week, past)
    assert judged.drivers
    record = WeekRecord(
        ga=day(0, {"compute": 12.5}, 1.2e6),
        days=tuple(week),
        partial=(),
        before=past,
        regression=RegressionSummary(cost=judged),
        anomalies=None,
        slos=(),
        health=(),
    )
    assert analyse_cost(record).cost_optimization_recommendations == (
        f"Find out why a day costs 25 % more than a day of the week before GA (10 → 12.5 USD){by}",
    )
