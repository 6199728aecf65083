"""One KPI against one baseline: which days are paired, by what they are compared, and what the change is."""

import math
from datetime import timedelta

import judged as made
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import BEFORE, DAY, GA, LOWER, PER_HOUR, WEEK, compared, days, kpi

from observability.artifacts import MaintenanceWindow, SloDay
from observability.judgement import obstacles
from observability.judgement.badness import log_ratios, middle
from observability.judgement.level import hodges_lehmann
from observability.model import Window

NAN = math.nan
LN = math.log
LATENCY, CPU, GAUGE, ERRORS, HITS = "p99_latency_ms", "avg_cpu_percent", "balance", "overall_error_rate", "cache_hits"
AVAILABILITY = "overall_availability"


def pair_up(name, before, since, **fields):
    """Seven values before GA, and eight since."""
    return compared(name, days(BEFORE, {name: before}, **fields), days(range(8), {name: since}, **fields))


def hours(unseen=(), value=10.0):
    return [None if hour in unseen else value for hour in range(24)]


# Which days are paired


def test_days_are_paired_by_weekday():
    """Day 1 with day −6, …, day 7 with day −7, and so is the GA day; values are the numbers of the days."""
    found = pair_up(GAUGE, [float(20 + n) for n in BEFORE], [float(20 + n) for n in range(8)])
    assert [(pair.number, pair.partner.day_number) for pair in found.pairs] == [
        (0, -7),
        *((number, number - 7) for number in range(1, 7)),
        (7, -7),
    ]
    assert found.numbers == [1, 2, 3, 4, 5, 6, 7]
    assert found.ratios[3] == pytest.approx(LN(23 / 16))
    assert found.ratios[7] == pytest.approx(LN(27 / 13))


@pytest.mark.parametrize(
    ("before", "since", "numbers"),
    [
        ([1.0] * 7, [1.0] * 8, [1, 2, 3, 4, 5, 6, 7]),
        ([1.0] * 7, [None, *[1.0] * 7], [1, 2, 3, 4, 5, 6, 7]),
        ([None, *[1.0] * 6], [1.0] * 8, [1, 2, 3, 4, 5, 6]),  # day −7 is the GA day's partner, and day 7's
        ([1.0, None, *[1.0] * 5], [1.0] * 8, [2, 3, 4, 5, 6, 7]),
        ([1.0] * 7, [1.0, None, 1.0, None, 1.0, 1.0, 1.0, 1.0], [2, 4, 5, 6, 7]),
        ([None] * 7, [1.0] * 8, []),
        ([1.0] * 7, [1.0, *[None] * 7], []),
    ],
)
def test_a_day_without_a_value_is_in_no_pair(before, since, numbers):
    assert pair_up(GAUGE, before, since).numbers == numbers


@pytest.mark.parametrize(("coverage", "pairs"), [(0.5, 8), (0.49, 0)])
def test_a_day_of_which_less_than_half_was_seen_is_in_no_pair(coverage, pairs):
    seen = kpi(LATENCY, 5.0, coverage=coverage)
    assert len(pair_up(LATENCY, seen, 5.0).pairs) == len(pair_up(LATENCY, 5.0, seen).pairs) == pairs


def test_a_day_of_more_than_half_maintenance_is_in_no_pair():
    since = days(range(8), {LATENCY: 5.0})
    window = MaintenanceWindow(start=GA + 3 * DAY, end=GA + 3.6 * DAY)
    since[3] = since[3].model_copy(update={"maintenance": (window,), "maintenance_seconds": 0.6 * 86_400})
    found = compared(LATENCY, days(BEFORE, {LATENCY: 5.0}), since)
    assert found.numbers == [1, 2, 4, 5, 6, 7]
    assert np.isnan(found.observed[3]).all()


@pytest.mark.parametrize(
    ("unseen", "compares"),
    [(range(12), True), (range(13), False), ((1, 2), True)],
    ids=["twelve hours are left", "eleven", "two hours"],
)
@pytest.mark.parametrize("name", [CPU, GAUGE, "request_rate"])
def test_what_runs_with_the_clock_needs_half_a_day_of_common_hours(name, unseen, compares):
    found = pair_up(name, hours(unseen), 10.0)
    assert found.numbers == (list(WEEK) if compares else [])
    assert found.of_other_hours == (0 if compares else 7)


@pytest.mark.parametrize("name", [LATENCY, ERRORS, "estimated_cost_per_hour"])
def test_shares_quantiles_and_cost_need_none(name):
    assert pair_up(name, hours(range(20)), 10.0).numbers == list(WEEK)


def test_the_days_of_the_other_baselines():
    before, since = days(BEFORE, {GAUGE: 1.0}), days(range(8), {GAUGE: 1.0})
    partners = {
        name: [pair.partner.day_number for pair in compared(GAUGE, before, since, name).pairs]
        for name in ("ga_day", "previous_day", "pre_release_median")
    }
    assert partners == {"ga_day": [0] * 7, "previous_day": [6], "pre_release_median": [0] * 8}  # a median has no day


def test_the_pre_release_median_is_the_median_hour_by_hour():
    """Of hour h the days have h, h + 1, …, h + 6: the median is h + 3. The values are 11.5 + (0 … 6)."""
    before = days(BEFORE, {GAUGE: [[float(hour + at) for hour in range(24)] for at in range(7)]})
    found = compared(GAUGE, before, days(range(8), {GAUGE: 29.0}), "pre_release_median")
    assert found.measured[4].tolist() == [hour + 3 for hour in range(24)]
    assert found.ratios[4] == pytest.approx(LN(29 / 14.5))
    assert found.before == 14.5


# By what they are compared


def test_what_runs_with_the_clock_is_compared_over_the_hours_that_both_have():
    """The peak of 100 was not seen in the week: without it the partner's mean is 10, and nothing changed."""
    peak = [100.0 if hour == 9 else 10.0 for hour in range(24)]
    found = pair_up(CPU, peak, hours([9]))
    assert found.ratios == dict.fromkeys(range(8), 0.0)
    assert found.after == 10
    assert found.before == pytest.approx((100 + 23 * 10) / 24)


def test_quantiles_and_shares_are_compared_by_the_days_own_values():
    """Not by the mean of the hours' P99s, 100 on both sides."""
    before, after = kpi(LATENCY, 100.0, value=200.0), kpi(LATENCY, 100.0, value=300.0)
    assert pair_up(LATENCY, before, after).ratios[2] == pytest.approx(LN(1.5))
    assert pair_up(ERRORS, kpi(ERRORS, 1.0, value=2.0), kpi(ERRORS, 1.0, value=5.0)).ratios[2] == pytest.approx(LN(2.5))


@pytest.mark.parametrize(
    ("name", "before", "after", "ratio"),
    [
        pytest.param(GAUGE, 2.0, 3.0, LN(1.5), id="a level"),
        pytest.param(GAUGE, 0.0, 0.0, 0.0, id="nothing stays nothing"),
        pytest.param(GAUGE, 0.0, 3.0, math.inf, id="from nothing"),
        pytest.param(GAUGE, 3.0, 0.0, -math.inf, id="to nothing"),
        pytest.param(GAUGE, -3.0, 3.0, math.inf, id="through nothing"),
        pytest.param(GAUGE, -3.0, -3.0, 0.0, id="negative, and as ever"),
        pytest.param(GAUGE, -3.0, -6.0, -math.inf, id="negative"),
        pytest.param(ERRORS, 1.0, 1.2, LN(1.2), id="errors"),
        pytest.param(ERRORS, 0.01, 0.05, 0.0, id="below the floor of .1 points"),
        pytest.param(ERRORS, 0.0, 0.05, 0.0, id="below the floor, from 0"),
        pytest.param(ERRORS, 0.1, 0.2, LN(2), id="the floor itself"),
        pytest.param(ERRORS, 0.0, 0.2, math.inf, id="errors from none"),
        pytest.param(AVAILABILITY, 99.9, 99.0, LN(10), id="availability by what fails: .1 and 1 %"),
        pytest.param(HITS, 0.9, 0.8, LN(2), id="of a share of 1, too: misses .1 and .2"),
        pytest.param(HITS, 1.0, 1.0, 0.0, id="nothing missed"),
    ],
)
def test_the_log_ratio_of_a_day(name, before, after, ratio):
    assert pair_up(name, before, after).ratios[5] == pytest.approx(ratio)


def test_hours_are_of_the_bad_share():
    found = pair_up(HITS, 0.9, [None] * 8)
    assert np.isnan(found.measured).all()  # no pairs
    found = pair_up(HITS, 0.9, [[0.8] * 12 + [None] * 12] * 8)
    assert found.measured[1] == pytest.approx(np.full(24, 0.1))
    assert found.observed[1][:12] == pytest.approx(np.full(12, 0.2))
    assert np.isnan(found.observed[1][12:]).all()
    assert found.whole.shape == (15, 24)
    assert found.whole[0] == pytest.approx(np.full(24, 0.1))  # day −7
    assert found.whole[14][0] == pytest.approx(0.2)  # day 7


def test_log_ratios_of_hours():
    """ln 2; 0 of nothing; none from nothing, to nothing, of what is negative or unknown."""
    expected = np.array([1.0, 0.0, 0.0, 1.0, -1.0, NAN, 1.0])
    observed = np.array([2.0, 0.0, 1.0, 0.0, -2.0, 1.0, NAN])
    assert log_ratios(expected, observed) == pytest.approx([LN(2), 0, NAN, NAN, NAN, NAN, NAN], nan_ok=True)


# Counts


@pytest.mark.parametrize(
    ("name", "before", "after", "complement", "bad"),
    [
        pytest.param(ERRORS, 1.0, 2.0, False, (1000, 2000), id="1 and 2 % of 100,000 fail"),
        pytest.param(HITS, 0.99, 0.98, False, (1000, 2000), id="the numerator counts hits"),
        pytest.param(AVAILABILITY, 99.0, 98.0, True, (1000, 2000), id="the numerator counts what failed"),
        pytest.param(AVAILABILITY, 100.0, 98.0, True, (0, 2000), id="and nothing did"),
        pytest.param(HITS, 0.0, 0.98, False, (100_000, 2000), id="nothing hit"),
    ],
)
@pytest.mark.parametrize("baseline", ["week_before", "pre_release_median"])
def test_the_events_that_are_bad(name, before, after, complement, bad, baseline):
    def side(value):
        found = kpi(name, value)
        if not complement:
            return found
        rest = [PER_HOUR - count for count in found.hourly_numerator]
        return found.model_copy(update={"hourly_numerator": tuple(rest), "numerator": sum(rest)})

    past, since = days(BEFORE, {name: side(before)}), days(range(8), {name: side(after)})
    bad_before, total_before, bad_after, total_after = compared(name, past, since, baseline).counts
    assert (bad_after.shape, total_after.sum()) == ((7, 24), 7 * 24 * PER_HOUR)  # without the GA day
    assert total_before.sum() == 7 * 24 * PER_HOUR  # day −7 once, though it is the partner of two
    assert bad_before.sum() == pytest.approx(7 * 24 * bad[0])
    assert bad_after.sum() == pytest.approx(7 * 24 * bad[1])


def test_days_that_differ_are_counted_right_by_their_median():
    """The median of the days is .11 %, that of all counts together .1129: the counts are of errors all the same."""
    errors = [0.10, 0.11, 0.12, 0.10, 0.13, 0.12, 0.11]
    found = compared(ERRORS, days(BEFORE, {ERRORS: errors}), days(range(8), {ERRORS: 0.11}), "pre_release_median")
    bad, total, *_ = found.counts
    assert bad.sum() == pytest.approx(sum(errors) / 100 * 24 * PER_HOUR)
    assert total.sum() == 7 * 24 * PER_HOUR


def test_two_counters_may_be_a_little_apart():
    """More hits than look-ups, because they were not scraped in the same instant, are no misses and no error."""
    since = days(range(8), {HITS: 1.0})
    ahead = {"hourly_numerator": (PER_HOUR + 0.5,) * 24, "numerator": 24 * (PER_HOUR + 0.5)}
    since = [d.model_copy(update={"kpis": {HITS: d.kpis[HITS].model_copy(update=ahead)}}) for d in since]
    bad_before, _, bad_after, _ = compared(HITS, days(BEFORE, {HITS: 0.999}), since).counts
    assert (bad_after.sum(), bad_before.sum()) == (0, pytest.approx(7 * 24 * 100))


def test_no_counts():
    assert pair_up(LATENCY, 1.0, 1.0).counts is None
    flat = kpi(ERRORS, 1.0, hourly_numerator=(), hourly_denominator=())
    assert pair_up(ERRORS, flat, 1.0).counts is None
    assert pair_up(ERRORS, None, 1.0).counts is None
    unseen = kpi(ERRORS, 1.0, hourly_numerator=(None,) * 24, hourly_denominator=(None,) * 24)
    assert pair_up(ERRORS, 1.0, unseen).counts is None


# The change of the week


def test_the_change_of_a_level_is_hodges_and_lehmanns():
    """Log ratios 0 on four days, ln 4 on three: of the means 10 are 0, 12 are ln 2 and 6 ln 4; the middle is ln 2. Two
    days would move nothing: 15 of 28 are 0."""
    assert pair_up(GAUGE, 1.0, [1.0, *[4.0] * 3, *[1.0] * 4]).change == pytest.approx(1.0)
    assert pair_up(GAUGE, 1.0, [1.0, *[4.0] * 2, *[1.0] * 5]).change == 0
    assert pair_up(GAUGE, 1.0, [9.0, *[1.0] * 7]).change == 0  # the GA day is not of the seven


def test_the_change_of_a_share_is_the_median_days():
    """Because days below the floor count as none: 1, 1, 1, 1, 4, 4, 4 % against 1 %."""
    assert pair_up(ERRORS, 1.0, [1.0, *[4.0] * 3, *[1.0] * 4]).change == 0
    assert pair_up(ERRORS, 1.0, [1.0, *[4.0] * 4, *[1.0] * 3]).change == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("name", "before", "after", "change"),
    [
        (GAUGE, 0.0, 5.0, math.inf),
        (GAUGE, 0.0, -5.0, -math.inf),
        (GAUGE, 5.0, 0.0, -1.0),
        (GAUGE, -5.0, -4.0, 0.2),
        (GAUGE, -4.0, -5.0, -0.25),
        (GAUGE, 2.0, -1.0, -1.5),
        (GAUGE, -5.0, -5.0, 0.0),
        (ERRORS, 0.0, 2.0, math.inf),
        (ERRORS, 2.0, 0.0, -1.0),
        (ERRORS, 0.0, 0.0, 0.0),
        (AVAILABILITY, 100.0, 99.0, math.inf),
        (GAUGE, 1e-150, 1e156, math.exp(700)),  # e to the 704th; beyond e to the 709th is no float
        (GAUGE, 1.0, None, None),
    ],
)
def test_the_change_where_there_is_no_ratio(name, before, after, change):
    assert pair_up(name, before, after).change == (None if change is None else pytest.approx(change))


@pytest.mark.parametrize(
    ("since", "has_ratio"),
    [
        ([2.0] * 8, True),
        ([2.0] * 7 + [0.0], False),
        ([0.0] + [2.0] * 7, True),  # the GA day is not judged, and its 0 keeps nothing from being so
        ([2.0] * 7 + [-1.0], False),
    ],
)
def test_whether_a_level_is_one_of_ratios(since, has_ratio):
    assert pair_up(GAUGE, 2.0, since).is_finite is has_ratio


def test_a_change_of_little_is_told_and_counts_for_none():
    """.0012 → .0904 % is 75 times as much, and .0892 points, below the floor of .1."""
    found = pair_up(ERRORS, 0.0012, 0.0904)
    assert (found.below_floor, found.floor, found.size_percent) == (True, 0.1, 0.0)
    assert found.change == pytest.approx(0.0904 / 0.0012 - 1)
    assert found.points == pytest.approx(0.0892)
    assert set(found.ratios.values()) == {0.0}


@pytest.mark.parametrize(
    ("name", "before", "after", "points"),
    [
        (ERRORS, 1.0, 3.0, 2.0),
        (AVAILABILITY, 99.9, 99.0, 0.9),
        (HITS, 0.9, 0.8, 10.0),
        (GAUGE, 1.0, 3.0, None),
        (LATENCY, 1.0, 3.0, None),
    ],
)
def test_shares_move_by_points_of_what_is_bad(name, before, after, points):
    assert pair_up(name, before, after).points == (None if points is None else pytest.approx(points))


def objective(budget, name=AVAILABILITY):
    counts = {"bad": 1, "total": 1000, "value": None, "compliant": None, "coverage": 1.0}
    return SloDay(slo_name="A", kpi=name, target=100 - budget, budget=budget, unit="%", counts_bad=False, **counts)


@pytest.mark.parametrize(("budget", "floor"), [(1.0, 0.1), (0.2, 0.1), (0.1, 0.05), (0.01, 0.005)])
def test_the_floor_is_no_more_than_half_of_an_objectives_budget(budget, floor):
    """Of an objective on the same events, whichever of the two KPIs it is on."""
    for name, other in ((AVAILABILITY, AVAILABILITY), (ERRORS, AVAILABILITY)):
        value = 99.0 if name == AVAILABILITY else 1.0
        both = {name: value, other: kpi(other, 99.0, **_counts(kpi(name, value)))}
        found = compared(name, days(BEFORE, both), days(range(8), both, slos=(objective(budget, other),)))
        assert found.floor == floor
    assert pair_up(LATENCY, 1.0, 1.0).floor is None


def _counts(found):
    return {"numerator": found.numerator, "denominator": found.denominator}


@pytest.mark.parametrize(
    ("name", "change", "worse"),
    [
        (LATENCY, 2.0, True),
        (LATENCY, 0.5, False),
        ("jobs", 0.5, True),
        ("jobs", 2.0, False),
        ("request_rate", 2.0, True),  # two-sided: either way
        ("request_rate", 0.5, True),
        (LATENCY, 1.0, False),
    ],
)
def test_which_way_is_worse(name, change, worse):
    found = pair_up(name, 10.0, 10.0 * change)
    assert found.is_worse is worse
    assert found.size_percent == pytest.approx(100 * abs(change - 1) if worse else 0)


# What keeps them from being compared


def unit(value, name):
    return kpi(LATENCY, value, unit=name)


@pytest.mark.parametrize(
    ("before", "since", "odd"),
    [
        pytest.param("ms", "ms", None, id="one unit"),
        pytest.param("s", "ms", "s", id="the week before"),
        pytest.param("ms", ["ms", "ms", "ms", "s", *["ms"] * 4], "s", id="one day of the week"),
        pytest.param("ms", ["ms", *["s"] * 6, "ms"], "s", id="all but the last"),
        pytest.param("ms", [*["ms"] * 7, "s"], "ms", id="the last"),
        pytest.param("", "ms", "", id="none"),
    ],
)
def test_a_day_of_another_unit_shows(before, since, odd):
    by_day = since if isinstance(since, list) else [since] * 8
    found = pair_up(LATENCY, unit(1.0, before), [unit(1.0, name) for name in by_day])
    assert obstacles.odd_unit(found) == odd


def buckets(*bounds):
    return kpi(LATENCY, 5.0, buckets=dict.fromkeys((*bounds, "+Inf"), 10.0))


@pytest.mark.parametrize(
    ("before", "last", "odd"),
    [
        (("0.1", "1.0"), ("0.1", "1.0"), []),
        (("0.1", "1.0"), ("0.1", "1"), []),
        (("0.1", "1.0"), ("0.1",), [1.0]),
        (("0.1", "1.0"), ("0.25", "0.1", "2.5"), [0.25, 1.0, 2.5]),
    ],
)
@pytest.mark.parametrize("baseline", ["week_before", "pre_release_median"])
def test_bounds_that_some_days_lack(before, last, odd, baseline):
    past, since = days(BEFORE, {LATENCY: buckets(*before)}), days(range(7), {LATENCY: buckets(*before)})
    found = compared(LATENCY, past, [*since, *days([7], {LATENCY: buckets(*last)})], baseline)
    assert obstacles.odd_bounds(found) == odd


def test_a_rehearsal_and_the_ga_instant():
    assert not obstacles.is_rehearsed(pair_up(GAUGE, 1.0, 1.0))
    assert pair_up(GAUGE, 1.0, 1.0).start == GA
    short = timedelta(minutes=24)
    since = [
        d.model_copy(update={"window": Window(start=GA + n * short, end=GA + (n + 1) * short)})
        for n, d in enumerate(days(range(8), {GAUGE: 1.0}))
    ]
    found = compared(GAUGE, days(BEFORE, {GAUGE: 1.0}), since[3:])
    assert obstacles.is_rehearsed(found)
    assert found.start == GA


# Load


def test_the_load_is_that_of_the_same_hours():
    """CPU follows the traffic in proportion; at twice the traffic twice as much is expected, hour by hour."""
    past = days(BEFORE, {"request_rate": made.busy(), CPU: 0.3 * made.busy()})
    since = days(range(8), {"request_rate": made.busy(2.0), CPU: 0.6 * made.busy()})
    found = compared(CPU, past, since)
    assert found.at_load.basis == "per request"
    assert found.expected[3] == pytest.approx(0.6 * made.busy())
    assert found.change == pytest.approx(0)
    assert compared("request_rate", past, since).at_load.basis == "as measured"


def test_a_day_whose_traffic_is_not_known_is_left_out_where_the_load_matters():
    """Day 3 has no request rate: as measured its CPU, twice as much, would be the odd one among the others."""
    past = days(BEFORE, {"request_rate": made.busy(), CPU: 0.3 * made.busy()})
    since = days(range(8), {"request_rate": made.busy(2.0), CPU: 0.6 * made.busy()})
    since[3] = days([3], {"request_rate": None, CPU: 0.6 * made.busy()})[0]
    found = compared(CPU, past, since)
    assert found.numbers == [1, 2, 4, 5, 6, 7]
    assert [found.ratios[number] for number in found.numbers] == pytest.approx([0] * 6)


# Against a slow twin

DAY_OF_HOURS = st.lists(st.one_of(st.none(), st.floats(0.1, 100)), min_size=24, max_size=24)


def common_naive(past, now):
    return [(x, y) for x, y in zip(past, now, strict=True) if x is not None and y is not None]


@settings(max_examples=25)
@given(st.lists(DAY_OF_HOURS, min_size=7, max_size=7), st.lists(DAY_OF_HOURS, min_size=8, max_size=8))
def test_the_days_of_a_gauge_are_what_plain_loops_find(before, since):
    found = pair_up(GAUGE, before, since)
    expected = {}
    for number in range(8):
        past, now = before[number % 7], since[number]
        same = common_naive(past, now)
        apart = sum((x is None) != (y is None) for x, y in zip(past, now, strict=True))
        seen = any(x is not None for x in past) and any(y is not None for y in now)
        if seen and (len(same) >= 12 or (apart <= 2 and same)):
            expected[number] = LN(sum(y for _, y in same) / sum(x for x, _ in same))
    assert found.ratios == pytest.approx(expected)
    week = [ratio for number, ratio in expected.items() if number > 0]
    assert found.change == (
        pytest.approx(math.expm1(float(hodges_lehmann(np.array(week)))), abs=1e-12) if week else None
    )


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        ([None], None),
        ([3, None, 1], 2),
        ([-math.inf, math.inf], 0.0),
        ([0.0, math.inf, math.inf], math.inf),
    ],
)
def test_the_middle_of_what_is_known(values, found):
    assert middle(values) == found


def test_the_made_up_kpis_are_lower_is_better_unless_told():
    assert kpi("anything", 1.0).direction is LOWER
