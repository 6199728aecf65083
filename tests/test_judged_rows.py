"""One KPI against one baseline as a row: verdict, interval, what could have been seen, obstacles, onset, trend."""

import math
from datetime import timedelta

import numpy as np
import pytest
from judged import (
    BEFORE,
    DAY,
    GA,
    PER_HOUR,
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

from observability.artifacts import MaintenanceWindow
from observability.judgement.regression import analyse
from observability.judgement.tested import FALSE_DISCOVERIES
from observability.model import Window

LATENCY, CPU, GAUGE, ERRORS, HITS = "p99_latency_ms", "avg_cpu_percent", "balance", "overall_error_rate", "cache_hits"
AVAILABILITY = "overall_availability"
HOUR = timedelta(hours=1)
TO_AND_FRO = [(-1) ** number for number in range(8)]


def spread(centre, by):
    """Days that lie ``by`` to either side of ``centre``, on the scale of logarithms, from 100."""
    return [100 * math.exp(centre + by * side) for side in TO_AND_FRO]


def by_hour(times, start=0, stop=192, cv=0.0, seed=1):
    """Eight days of 100, which ``times`` that from hour ``start`` after GA to hour ``stop``."""
    values = np.full(192, 100.0)
    values[start:stop] *= times
    return list((values * np.exp(np.random.default_rng(seed).normal(0, cv, 192))).reshape(8, 24))


# What is real


def test_a_rise_of_40_percent_by_hand():
    """No noise, so the margin is ln 1.1: the interval is 1.4/1.1 to 1.4 · 1.1, and 10 % would have been called."""
    found = judged(GAUGE, 100.0, 140.0)
    assert (found.verdict, found.real, found.severity, found.threshold_exceeded) == ("fail", True, "high", True)
    assert found.change == pytest.approx(0.4)
    assert found.drift_percent == pytest.approx(40)
    assert found.interval == pytest.approx((1.4 / 1.1 - 1, 1.4 * 1.1 - 1))
    assert found.detectable == pytest.approx(0.1)
    assert (found.days, found.n, found.coverage) == (7, 168, 1.0)
    assert found.n_effective == 1  # all hours are the same, so they showed one value
    assert (found.persists, found.obstacle, found.below_floor, found.points) == (True, None, None, None)
    assert found.why == (
        "The change over 7 days against the week before GA is +40.0 % (+27.3 % to +54.0 %): real, for the worse."
    )
    assert found.impact == "100 in the week before GA, 140 in the week after GA (medians of the days)"


@pytest.mark.parametrize(
    ("after", "severity", "is_large", "real", "verdict"),
    [
        (100.0, "low", False, False, "pass"),
        (109.9, "low", False, False, "pass"),
        (110.1, "medium", False, True, "fail"),
        (129.9, "medium", False, True, "fail"),
        (130.1, "high", True, True, "fail"),
        (199.9, "high", True, True, "fail"),
        (200.1, "critical", True, True, "fail"),
        (91.0, "low", False, False, "pass"),  # −9 %: ln .91 = −.094
        (90.2, "low", False, False, "pass"),  # −9.8 %: beyond −ln 1.1, and not beyond 10 %
        (89.8, "low", False, True, "pass"),  # better
        (50.0, "low", False, True, "pass"),
    ],
)
def test_sizes(after, severity, is_large, real, verdict):
    found = judged(LATENCY, 100.0, after)
    assert (found.severity, found.threshold_exceeded, found.real, found.verdict) == (severity, is_large, real, verdict)


@pytest.mark.parametrize(("name", "after", "verdict"), [("jobs", 50.0, "fail"), ("jobs", 200.0, "pass")])
def test_where_higher_is_better_less_is_worse(name, after, verdict):
    assert judged(name, 100.0, after).verdict == verdict


@pytest.mark.parametrize("after", [50.0, 200.0])
def test_two_sided_kpis_never_fail_and_never_pass_a_real_change(after):
    found = judged("request_rate", 100.0, after)
    assert (found.real, found.verdict, found.threshold_exceeded) == (True, "inconclusive", True)
    assert found.why.endswith(": real, and neither direction of this KPI is worse by itself.")
    assert judged("request_rate", 100.0, 101.0).verdict == "pass"


# What could have been seen


def test_a_pass_needs_that_a_severe_change_would_have_been_called():
    """Days to and fro by .2: of days 1 to 7 four are low and three high, the means are 10, 12 and 6, the middle one 0.
    The noise is .2, so what is called is beyond e^.2 = 1.22. By .27 it is e^.27 = 1.31."""
    for by, verdict in ((0.2, "pass"), (0.27, "inconclusive")):
        found = judged(GAUGE, 100.0, spread(0, by))
        assert found.change == pytest.approx(0, abs=1e-9)
        assert found.detectable == pytest.approx(math.exp(by) - 1)
        assert (found.real, found.verdict) == (False, verdict)
    assert "small, but ordinary days and weeks of this KPI differ so much that only a change beyond" in found.why
    assert found.why.endswith(f"beyond {100 * found.detectable:.1f} % could be told.")


def test_large_and_within_what_the_weeks_differ_anyway_is_inconclusive():
    """About .3 by .4: the margin, .4, is more than .3, so the interval holds 0."""
    found = judged(GAUGE, 100.0, spread(0.3, 0.4))
    assert found.change == pytest.approx(math.exp(0.3) - 1)
    assert found.interval[0] < 0 < found.interval[1]
    assert (found.real, found.verdict, found.threshold_exceeded) == (False, "inconclusive", True)
    assert ": large, not significant; ordinary days and weeks of this KPI differ so much" in found.why


def adjusted_naive(p_values):
    """Benjamini and Hochberg: the least p · m / rank of all that are no smaller."""
    ordered = sorted(p_values)
    return [
        min(1.0, *(ordered[k] * len(ordered) / (k + 1) for k in range(len(ordered)) if ordered[k] >= p))
        for p in p_values
    ]


def test_what_is_surprising_alone_is_none_among_twenty():
    """Five days are 1.3 times (the GA day and four more), the last three are not: hours that agree for days are worth
    few, p is .06. Alone it stands; among twenty quiet KPIs p is .06 · 21, and it does not."""
    step = [130.0] * 5 + [100.0] * 3
    alone = judged(GAUGE, 100.0, step)
    assert 0.01 < alone.p == alone.p_adjusted < 0.1
    assert (alone.real, alone.verdict) == (True, "fail")
    quiet = {f"quiet_{number}": 5.0 for number in range(20)}
    summary = analysed({GAUGE: 100.0, **quiet}, {GAUGE: step, **quiet})
    among = row(summary, GAUGE)
    assert (among.p, among.interval) == (alone.p, alone.interval)
    assert among.p_adjusted == 1.0
    assert (among.real, among.verdict) == (False, "inconclusive")
    assert among.why.endswith(": large, and with p 1 for so many KPIs not significant.")


def test_p_is_adjusted_within_a_baseline():
    past = {f"kpi_{at}": noisy(at, 10.0, 7, 0.3) for at in range(12)}
    since = {f"kpi_{at}": noisy(100 + at, 10.0 * (1 + 0.03 * at), 8, 0.3) for at in range(12)}
    summary = analysed({**past, GAUGE: 0.0}, {**since, GAUGE: 3.0})  # from 0: not tested, and counts for nothing
    for baseline in ("week_before", "ga_day", "previous_day", "pre_release_median"):
        tested = [one for one in summary.rows if one.baseline == baseline and one.p is not None]
        assert [one.p_adjusted for one in tested] == pytest.approx(adjusted_naive([one.p for one in tested]))
        assert len(tested) == (12 if baseline in {"week_before", "pre_release_median"} else 13)
        assert all(one.p_adjusted <= FALSE_DISCOVERIES for one in tested if one.real)


# What keeps a change from being judged


def short(days_of):
    return [d.model_copy(update={"window": Window(start=d.window.start, end=d.window.start + HOUR)}) for d in days_of]


def buckets(value, *bounds, at_least=False):
    return kpi(LATENCY, value, buckets=dict.fromkeys((*bounds, "+Inf"), 10.0), at_least=at_least)


FLAT = kpi(GAUGE, 140.0, hourly=())


def flat(value):
    return kpi(GAUGE, value, hourly=())


def test_days_without_hours_are_tested_by_their_values():
    """Seven values above seven: of the 3,432 ways to part fourteen one is as far, and one the other way."""
    found = judged(GAUGE, [flat(100.0 + n) for n in range(7)], [flat(140.0 + n) for n in range(8)])
    assert found.p == pytest.approx(2 / 3432)
    assert (found.real, found.verdict) == (True, "fail")
    quiet = judged(GAUGE, [flat(100.0 + n) for n in range(7)], [flat(100.0 + n % 7) for n in range(8)])
    assert (quiet.real, quiet.verdict) == (False, "pass")


def test_what_lasts_some_hours_of_every_day_is_real():
    """Half as much again from 9 to 17 h: the typical hour has not changed, the days have, by an eighth and more."""
    daily = [100.0] * 24
    office = [100.0 * (1.6 if 9 <= hour < 17 else 1.0) for hour in range(24)]
    wobble = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01]
    found = judged(GAUGE, daily, [[value * by for value in office] for by in wobble])
    assert found.change == pytest.approx(0.2, abs=0.02)
    assert (found.real, found.verdict) == (True, "fail")
    assert (found.ended, found.persists) == (None, True)


@pytest.mark.parametrize(("name", "times"), [(GAUGE, 5.0), (LATENCY, 1.5)])
def test_a_last_day_that_is_far_worse_is_no_pass(name, times):
    found = judged(name, 100.0, [100.0] * 7 + [100.0 * times])
    assert (found.real, found.verdict, found.last_change) == (False, "inconclusive", pytest.approx(times - 1))
    assert "its last day is" in found.why
    assert judged(name, 100.0, [100.0] * 7 + [100.0 / times]).verdict == "pass"


def test_a_week_of_which_some_days_are_bad_is_no_pass():
    """.2 % of errors before; since, four days of .29 %, below the floor of .1 points, and three of 5 %."""
    found = judged(ERRORS, 0.2, [0.29, 0.29, 5.0, 0.29, 5.0, 0.29, 5.0, 0.29])
    assert (found.real, found.verdict) == (False, "inconclusive")
    assert found.why.endswith("some days are bad.")


def test_more_errors_in_all_are_not_better_because_the_median_day_has_fewer():
    found = judged(ERRORS, 2.0, [1.6, 1.6, 20.0, 1.6, 20.0, 1.6, 20.0, 1.6])
    assert found.change == pytest.approx(-0.2)
    assert (found.real, found.verdict) == (False, "inconclusive")


def test_what_began_before_ga_did_not_come_with_the_release():
    before = [100.0] * 5 + [200.0] * 2
    found = judged(GAUGE, before, 200.0)
    assert (found.real, found.verdict) == (True, "inconclusive")
    assert found.onset == GA - 2 * DAY
    assert found.why.endswith("it began 2 days before GA, so it did not come with the release.")


@pytest.mark.parametrize("last", [(140.0, 100.0), (100.0, 140.0)])
def test_what_one_of_the_last_days_does_not_show_does_not_persist(last):
    found = judged(GAUGE, 100.0, [140.0] * 6 + list(last))
    assert (found.real, found.persists) == (True, False)


def test_the_day_before_is_told_by_its_own_pair():
    summary = analysed({GAUGE: 100.0}, {GAUGE: [100.0] * 6 + [110.0, 220.0]})
    (found,) = [row for row in summary.rows if row.baseline == "previous_day"]
    assert (found.baseline_value, found.current_value, found.drift_percent) == (110.0, 220.0, pytest.approx(100))
    assert found.impact == "110 on the day before, 220 on day 7"


def test_a_level_that_falls_to_dust_stops_nothing():
    assert judged(GAUGE, 10.0, 1e-16).verdict == "pass"


@pytest.mark.parametrize(
    ("name", "past", "since", "obstacle"),
    [
        pytest.param(GAUGE, 0.0, 5000.0, "a baseline of 0 does not say how much is much", id="from 0"),
        pytest.param(GAUGE, 0.0, 0.0007, "a baseline of 0 does not say how much is much", id="from 0, a little"),
        pytest.param(GAUGE, -5.0, -4.0, "some days are 0 or below, and have no ratio to judge by", id="negative"),
        pytest.param(GAUGE, 5.0, 0.0, "some days are 0 or below, and have no ratio to judge by", id="to 0"),
        pytest.param(GAUGE, 2.0, [2.0] * 7 + [-1.0], "some days are 0 or below, and have no ratio", id="one day"),
        pytest.param(LATENCY, kpi(LATENCY, 0.1, unit="s"), 100.0, "some days are in s, and some in ms", id="unit"),
        pytest.param(
            LATENCY,
            100.0,
            [*[kpi(LATENCY, 0.1, unit="s")] * 7, 100.0],
            "some days are in s, and some in ms",
            id="units",
        ),
        pytest.param(
            LATENCY, buckets(100, "0.1", "1"), buckets(200, "0.1", "2"), "the histogram's buckets changed", id="buckets"
        ),
        pytest.param(
            LATENCY,
            buckets(2500, "2.5", at_least=True),
            buckets(2500, "2.5", at_least=True),
            "it lies beyond the last bucket bound of 2,500 ms on 14 days, so nobody knows how high",
            id="both beyond the buckets",
        ),
        pytest.param(
            LATENCY,
            buckets(2500, "2.5", at_least=True),
            buckets(400, "2.5"),
            "it lies beyond the last bucket bound of 2,500 ms on 7 days, so nobody knows how high",
            id="better by nobody knows how much",
        ),
        pytest.param(GAUGE, 100.0, [140.0] * 5 + [None] * 3, "fewer than 5 days compare with the week", id="four days"),
        pytest.param(GAUGE, 100.0, [140.0] * 2 + [None] * 6, "fewer than 5 days compare with the week", id="one day"),
        pytest.param(
            ERRORS,
            0.0,
            kpi(ERRORS, 5.0, hourly=(), hourly_numerator=(), hourly_denominator=()),
            "the summaries hold too few hourly values to test it",
            id="errors from 0 without hours",
        ),
    ],
)
def test_an_obstacle(name, past, since, obstacle):
    found = judged(name, past, since)
    assert found.obstacle.startswith(obstacle)
    assert found.why.endswith(f"; {found.obstacle}.")
    assert (found.real, found.verdict) == (None, "inconclusive")
    untold = (found.p, found.p_adjusted, found.interval, found.points_interval, found.detectable, found.persists)
    assert untold == (None,) * 6
    assert (found.onset, found.ended) == (None, None)


def test_worse_with_the_least_that_it_can_be_is_worse():
    found = judged(LATENCY, buckets(400, "2.5"), buckets(2500, "2.5", at_least=True))
    assert (found.verdict, found.current_at_least, found.baseline_at_least) == ("fail", True, False)
    assert "≥ 2,500 ms" in found.impact


def test_a_rehearsal_is_not_judged():
    summary = analyse(day(0, {GAUGE: 140.0}), short(days(WEEK, {GAUGE: 140.0})), before({GAUGE: 100.0}))
    found = row(summary, GAUGE)
    assert (found.real, found.verdict) == (None, "inconclusive")
    assert found.obstacle == "the days were shortened, and the rule was measured on whole days"


def test_one_day_decides_nothing():
    """After day 1 the week before GA has one pair, which is watched; yesterday is what a single pair is for."""
    summary = analyse(day(0, {GAUGE: 100.0}), days([1], {GAUGE: 200.0}), before({GAUGE: 100.0}))
    assert (row(summary, GAUGE).verdict, row(summary, GAUGE).real) == ("inconclusive", None)
    assert row(summary, GAUGE, "previous_day").verdict == "fail"
    assert summary.rollback_recommendation.should_rollback is not True


@pytest.mark.parametrize(
    ("past", "since", "why"),
    [
        (None, 5.0, "There is no data for the week before GA."),
        (5.0, None, "There is no data for the week after GA."),
        ([5.0] * 6 + [None], [5.0] + [None] * 7, "There is no data for the week after GA."),
    ],
)
def test_no_data(past, since, why):
    found = judged(GAUGE, past, since)
    assert (found.verdict, found.real, found.why, found.days) == ("no data", None, why, 0)
    assert (found.change, found.interval, found.p) == (None, None, None)


def test_values_of_other_weekdays_are_not_called_missing():
    found = judged(GAUGE, [None] * 6 + [5.0], [None] * 2 + [5.0] + [None] * 5)
    assert (found.verdict, found.days, found.change) == ("inconclusive", 0, None)
    assert found.why == "No day has a partner in the week before GA."


# Shares of events


def test_ten_times_the_errors_by_their_counts():
    """.1 → 1 % of 16,800,000 requests: 10 times, 0.9 points, and the interval of so many events is narrow."""
    found = judged(AVAILABILITY, 99.9, 99.0)
    assert (found.verdict, found.real, found.of_bad_share, found.severity) == ("fail", True, True, "critical")
    assert found.change == pytest.approx(9)
    assert found.points == pytest.approx(0.9)
    assert found.points_interval[0] < 0.9 < found.points_interval[1] < 0.91
    assert found.interval[0] < 9 < found.interval[1] < 9.3
    assert found.n == 336  # hours of both weeks
    assert found.why.startswith("The bad share's change over 7 days against the week before GA is +900.0 % (+8")


@pytest.mark.parametrize(
    ("name", "past", "since", "moved"),
    [
        pytest.param(ERRORS, 0.0, 0.05, False, id="0.05 points, from 0"),
        pytest.param(ERRORS, 0.02, 0.11, False, id="0.09 points, five times"),
        pytest.param(ERRORS, 0.1, 0.2, True, id="0.1 points"),
        pytest.param(AVAILABILITY, 99.9, 99.8, True, id="0.1 points"),
        pytest.param(AVAILABILITY, 99.5, 99.4, True, id="0.1 points, up to the last bit of 100 − 99.4"),
        pytest.param(AVAILABILITY, 99.9, 99.81, False, id="0.09 points of availability"),
        pytest.param(HITS, 0.999, 0.9985, False, id="0.05 points of a share of 1"),
        pytest.param(HITS, 0.999, 0.99, True, id="0.9 points of a share of 1: ten times the misses"),
        pytest.param(GAUGE, 0.10, 0.15, True, id="no floor for what is not a share"),
    ],
)
def test_less_than_a_tenth_of_a_percentage_point_is_no_change(name, past, since, moved):
    found = judged(name, past, since)
    assert (found.verdict, found.real, found.below_floor) == (("fail", True, None) if moved else ("pass", False, 0.1))
    assert found.why.endswith("below the floor of 0.1 percentage points; that counts as no change.") is not moved
    assert found.change is None or found.change > 0.1  # the change itself is told either way


def test_a_rise_below_the_floor_is_told_as_it_is():
    found = judged(ERRORS, 0.0012, 0.0904)
    assert found.why == (
        "The change over 7 days against the week before GA is +7,433.3 % (0.0012 → 0.0904 %), below the floor of 0.1 "
        "percentage points; that counts as no change."
    )


def of(per_hour, bad=0.0):
    share = {"hourly_numerator": (bad,) * 24, "hourly_denominator": (per_hour,) * 24}
    return kpi(ERRORS, 100 * bad / per_hour, numerator=24 * bad, denominator=24 * per_hour, **share)


@pytest.mark.parametrize(("per_hour", "verdict"), [(10.0, "inconclusive"), (100.0, "pass"), (PER_HOUR, "pass")])
def test_no_errors_among_few_requests_is_no_pass(per_hour, verdict):
    """None of 1,680 leaves up to 5.3/1,680 = .32 % open (e^−5.3 = .005), above the floor of .1; of 16,800 it is .03."""
    found = judged(ERRORS, of(per_hour), of(per_hour))
    assert (found.verdict, found.real, found.change) == (verdict, False, 0.0)
    assert found.points_interval[1] == pytest.approx(-100 * math.log(0.005) / (168 * per_hour), rel=0.02)
    if verdict != "pass":
        assert found.why.endswith("small, but the events are too few, or come too much in bursts, to tell.")


@pytest.mark.parametrize("bad_days", [(2,), (2, 4), (2, 4, 6)])
def test_days_of_errors_where_there_were_none_never_pass(bad_days):
    """The median day is still without an error, and has nothing to say about the days that are not."""
    found = judged(ERRORS, 0.0, [10.0 if number in bad_days else 0.0 for number in range(8)])
    assert (found.change, found.verdict) == (0.0, "inconclusive")


def bursty(level, bursts, seed):
    """Of 100,000 requests an hour ``level`` fail, and in one hour of each day a burst of the given size as well."""
    at = np.random.default_rng(seed).integers(24, size=len(bursts))
    burst = [[size if hour == place else 0 for hour in range(24)] for place, size in zip(at, bursts, strict=True)]
    return [[(level + more + hour % 3) / 1000 for hour, more in enumerate(day_of)] for day_of in burst]  # per cent


def test_what_the_hours_are_sure_of_is_not_real_where_the_weeks_differ_as_much():
    """The typical hour has a quarter more errors, which the paired hours are sure of; but bursts make the days differ
    by half, so neither the days nor the counts say that the week changed. Days 1 to 7 have 30, 90, 30, 40, 90, 30, 50
    thousand errors, their partners 64, 64, 24, 64, 64, 34, 24: the median day is day 3, 30/24 = 1.25."""
    sizes = [(0, 40_000, 40_000, 0, 40_000, 40_000, 10_000), (0, 0, 60_000, 0, 10_000, 60_000, 0, 20_000)]
    for seed in range(5):
        found = judged(ERRORS, bursty(1000, sizes[0], seed), bursty(1250, sizes[1], seed + 50))
        assert found.change == pytest.approx(0.25, abs=0.001)
        assert (found.real, found.verdict) == (False, "inconclusive")
        assert found.p < 0.001
        assert found.interval[0] < 0 < found.interval[1]


def test_counters_that_are_a_little_apart_stop_nothing():
    ahead = {"hourly_numerator": (PER_HOUR + 1e-9,) * 24}
    assert judged(HITS, 1.0, kpi(HITS, 1.0, **ahead)).verdict == "pass"


def test_days_that_change_in_opposite_ways_stop_nothing():
    """Day 6 rises from no errors, and day 7 falls to none: not each of them shows half of the change."""
    found = judged(ERRORS, [5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 5.0, 0.0])
    assert found.persists is False
    assert found.verdict != "pass"


def test_numbers_beyond_reason_stop_nothing():
    for past, since in ((1e-200, 1e200), (1.0, [1e-170, 1e170] * 4), (1e308, 1e-308), (1e-300, 1e5)):
        with np.errstate(all="ignore"):
            found = judged(GAUGE, past, since)
        assert found.verdict != "fail" or found.change > 0


# What the middle of the week does not show


@pytest.mark.parametrize("name", [LATENCY, GAUGE, CPU, ERRORS])
def test_a_bad_last_day_is_no_pass_and_no_evidence(name):
    """Six of seven days are as before, so the change is 0; the last is five times as much."""
    found = judged(name, 1.0, [1.0] * 7 + [5.0])
    assert (found.verdict, found.real, found.change) == ("inconclusive", False, pytest.approx(0))
    assert found.last_change == pytest.approx(4)
    if name != ERRORS:  # of errors more is known: of all requests too many failed
        assert found.why.endswith("; but its last day is +400.0 %, and one day is not evidence.")


@pytest.mark.parametrize(
    ("last", "verdict"),
    [(1.29, "pass"), (1.31, "inconclusive"), (0.2, "pass"), (None, "pass")],
    ids=["29 %", "31 %", "better", "not seen"],
)
def test_the_last_day_is_far_worse_beyond_30_percent(last, verdict):
    found = judged(GAUGE, 1.0, [1.0] * 7 + [last])
    assert (found.verdict, found.real) == (verdict, False)
    assert found.last_change == pytest.approx((last or 1.0) - 1)


def test_a_last_day_below_the_floor_has_not_moved():
    found = judged(ERRORS, 0.01, [0.01] * 7 + [0.05])
    assert (found.verdict, found.last_change) == ("pass", 0.0)


@pytest.mark.parametrize(("past", "of_all"), [(0.1, "0.1 to 2.2 %"), (0.0, "0 to 2.14 %")])
def test_three_bad_days_of_seven_are_told(past, of_all):
    """The median day is as before. Of all requests 3 · 5/7 = 2.14 %, with 4 · .1/7 = .06 on the other days, failed."""
    found = judged(ERRORS, past, [5.0 if number in (2, 4, 6) else past for number in range(8)])
    assert (found.verdict, found.real, found.change) == ("inconclusive", False, 0.0)
    assert found.why.endswith(f"; but of all events the bad ones went from {of_all}: some days are bad.")


def test_days_of_ten_times_the_errors_are_not_made_good_by_more_days_of_fewer():
    """2 %; four of days 1 to 7 have 1.6, −20 %, and three have 20: of all (4 · 1.6 + 3 · 20)/7 = 9.49 %."""
    found = judged(ERRORS, 2.0, [1.6] * 5 + [20.0] * 3)
    assert found.change == pytest.approx(-0.2)
    assert (found.verdict, found.real) == ("inconclusive", False)
    assert "of all events the bad ones went from 2 to 9.49 %: some days are bad" in found.why


def test_days_of_hardly_any_errors_are_made_good_by_none():
    """The mirror image: four days of 2.4, three of 0.2, of all 1.46 %: the median day is worse, the week is better."""
    found = judged(ERRORS, 2.0, [2.4] * 5 + [0.2] * 3)
    assert found.change == pytest.approx(0.2)
    assert (found.verdict, found.real) == ("inconclusive", False)


def test_a_day_of_a_hundred_times_the_errors_is_not_made_good_by_six_of_a_tenth():
    """2 %; then .2 but for 20 on the last day: (6 · .2 + 20)/7 = 3.03 % of all. The hours are sure of the tenth."""
    found = judged(ERRORS, noisy(5, 2.0, 7, 0.1), [0.2] * 7 + [20.0])
    assert found.change == pytest.approx(-0.9, abs=0.01)
    assert found.p_adjusted <= FALSE_DISCOVERIES
    assert (found.verdict, found.real) == ("inconclusive", False)


@pytest.mark.parametrize("cv", [0.0, 0.05])
def test_some_hours_of_every_day_are_a_change(cv):
    """From 9 to 17 h 1.6 times: the days are 1 + 8/24 · .6 = 1.2 times. Two thirds of the hours did not change, so no
    location of hours moved: the days say it."""
    hours = np.where((np.arange(24) >= 9) & (np.arange(24) < 17), 160.0, 100.0)
    found = judged(LATENCY, noisy(1, 100.0, 7, cv), hours * noisy(2, 1.0, 8, cv))
    assert found.change == pytest.approx(0.2, abs=0.02)
    assert (found.verdict, found.real, found.persists, found.ended) == ("fail", True, True, None)


@pytest.mark.parametrize("name", [LATENCY, GAUGE, ERRORS, AVAILABILITY])
@pytest.mark.parametrize("since", [1e-16, [10.0] * 7 + [1e-16], [1e-16, *[10.0] * 7]])
def test_next_to_nothing_stops_nothing(name, since):
    """Between 10 and 1e−16 lies e^39; 100 − 1e−16 is 100."""
    found = judged(name, 10.0, since)
    assert found.verdict in ({"pass"} if name != AVAILABILITY else {"pass", "fail"})


@pytest.mark.parametrize(
    ("last", "persists"),
    [
        ((150.0, 150.0), True),
        ((150.0, 124.0), True),  # ln 1.24 = .215, half of ln 1.5 is .203
        ((150.0, 121.0), False),  # .191
        ((121.0, 150.0), False),
        ((100.0, 200.0), False),  # their mean would do
        ((None, 150.0), True),  # days 5 and 7
        ((None, None), True),  # days 4 and 5
    ],
)
def test_a_change_persists_where_each_of_the_last_two_days_has_half_of_it(last, persists):
    found = judged(GAUGE, 100.0, [150.0] * 6 + list(last))
    assert found.change == pytest.approx(0.5)
    assert found.persists is persists


def test_what_is_beyond_the_margin_and_of_no_small_p_is_told_by_its_p():
    """Five days 1.4 times, and by now the other way: the middle is +40 %, and the days do not agree."""
    found = judged(GAUGE, 100.0, [140.0] * 6 + [60.0, 60.0])
    assert (found.verdict, found.real, found.change) == ("inconclusive", False, pytest.approx(0.4))
    assert found.p > FALSE_DISCOVERIES
    assert found.why.endswith(f": large, and with p {found.p:.2g} not significant.")


# What began before GA

WEEKEND = (1.0, 1.0, 1.0, 1.5, 1.5, 1.0, 1.0)


def all_days(times, pattern=(1.0,) * 7, cv=0.03, seed=1):
    """Days −7 to 7, each the factor of its weekday, ``times`` by day: those before GA, and those since."""
    levels = np.array([100 * pattern[number % 7] * times(number) for number in range(-7, 8)])
    hours = noisy(seed, levels[:, np.newaxis], 15, cv)
    return list(hours[:7]), list(hours[7:])


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("pattern", [(1.0,) * 7, WEEKEND], ids=["flat", "weekend"])
@pytest.mark.parametrize("first", [-1, -2, -3])
@pytest.mark.parametrize("times", [2.0, 0.5])
def test_a_change_from_before_ga_did_not_come_with_the_release(first, times, pattern, shift):
    """The weekend may lie anywhere; days 7 and 0 to 6 + first are held against days without it, the others not."""
    turned = pattern[shift:] + pattern[:shift]
    found = judged(LATENCY, *all_days(lambda number: times if number >= first else 1.0, turned))
    assert (found.verdict, found.real, found.ended) == ("inconclusive", True, None)
    assert found.onset == GA + first * DAY
    days_of = "1 day" if first == -1 else f"{-first} days"
    assert found.why.endswith(f": real, but it began {days_of} before GA, so it did not come with the release.")


@pytest.mark.parametrize("first", [-5, -6])
@pytest.mark.parametrize("pattern", [(1.0,) * 7, WEEKEND], ids=["flat", "weekend"])
def test_a_change_that_most_partners_have_is_neither_real_nor_a_pass(first, pattern):
    """Of days 1 to 7 at most days 1 and 7 are held against days without it: the middle of the seven is no change."""
    found = judged(LATENCY, *all_days(lambda number: 2.0 if number >= first else 1.0, pattern, cv=0.01))
    assert found.change == pytest.approx(0, abs=0.01)
    assert (found.verdict, found.real, found.onset) == ("inconclusive", False, None)
    assert found.why.endswith("and one day is not evidence.")


SINCE_GA = {
    "a step": lambda number: 2.0 if number >= 0 else 1.0,
    "on day 1": lambda number: 2.0 if number >= 1 else 1.0,
    "six days": lambda number: 2.0 if 0 <= number <= 5 else 1.0,
    "seven days": lambda number: 2.0 if 0 <= number <= 6 else 1.0,
    "gone on day 4": lambda number: 2.0 if 0 <= number <= 3 else 1.0,
    "a ramp": lambda number: 1 + 0.15 * max(0, number + 1),
    "a ramp from before GA": lambda number: 1 + 0.1 * (number + 7),
}


@pytest.mark.parametrize("shape", SINCE_GA)
@pytest.mark.parametrize("pattern", [(1.0,) * 7, WEEKEND], ids=["flat", "weekend"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_release_brought_is_not_taken_for_older(shape, pattern, seed):
    found = judged(LATENCY, *all_days(SINCE_GA[shape], pattern, seed=seed))
    assert found.onset is None or found.onset >= GA
    assert "before GA, so" not in found.why
    assert (found.verdict == "fail") is (shape != "gone on day 4")


def test_a_median_of_the_week_does_not_know_what_is_older():
    """Twice since GA, but for day 6."""
    past, since = all_days(lambda number: 2.0 if number >= 0 and number != 6 else 1.0)
    found = row(analysed({GAUGE: past}, {GAUGE: since}), GAUGE, "pre_release_median")
    assert (found.verdict, found.onset) == ("fail", GA)


# When


@pytest.mark.parametrize("start", [0, 12, 30, 47, 75])
def test_a_step_has_its_onset_in_the_hour_in_which_it_began(start):
    found = judged(LATENCY, 100.0, by_hour(1.6, start))
    assert (found.verdict, found.persists) == ("fail", True)
    assert found.onset == GA + start * HOUR
    assert found.ended is None


def test_a_step_that_went_away_has_ended():
    """From GA for six days; by hour 150 it was gone, and for 42 hours."""
    for stop in (144, 150):
        found = judged(LATENCY, 100.0, by_hour(1.5, 0, stop))
        assert (found.verdict, found.persists) == ("fail", False)
        assert (found.onset, found.ended) == (GA, GA + stop * HOUR)
    assert judged(LATENCY, 100.0, by_hour(1.5, 0, 180)).ended is None  # twelve hours are no end


@pytest.mark.parametrize("seed", range(5))
def test_a_late_step_in_noise_has_its_onset_within_the_hour(seed):
    found = judged(LATENCY, noisy(seed + 9, 100.0, 7, 0.01), by_hour(1.5, 30, cv=0.01, seed=seed))
    assert found.verdict == "fail"
    assert abs(found.onset - (GA + 30 * HOUR)) <= HOUR


@pytest.mark.parametrize("cv", [0.0, 0.1])
def test_errors_in_some_hours_of_every_day_have_not_ended(cv):
    """From 12 to 14 h 2 in place of .1 %: they come and go, and come again tomorrow."""
    hours = np.where((np.arange(24) >= 12) & (np.arange(24) < 14), 2.0, 0.1)
    found = judged(ERRORS, noisy(1, 0.1, 7, cv), hours * noisy(2, 1.0, 8, cv))
    assert (found.verdict, found.persists, found.ended) == ("fail", True, None)
    assert found.onset is None or found.onset == GA + 12 * HOUR


def test_a_ramp_has_no_onset():
    found = judged(GAUGE, 100.0, [100 * math.exp(0.05 * number) for number in range(8)])
    assert (found.verdict, found.trend, found.onset) == ("fail", "increasing", None)


def test_a_change_before_which_nothing_was_compared_has_no_onset():
    """The GA day is maintenance: day 1 is the first that is seen, and the change need not have begun on it."""
    past, week = before({GAUGE: 100.0}), days(WEEK, {GAUGE: 150.0})
    window = MaintenanceWindow(start=GA, end=GA + DAY)
    dark = day(0, {GAUGE: None}, maintenance=(window,), maintenance_seconds=86_400.0)
    found = row(analyse(dark, week, past), GAUGE)
    assert (found.verdict, found.real, found.persists, found.onset) == ("fail", True, True, None)
    assert row(analyse(day(0, {GAUGE: 100.0}), week, past), GAUGE).onset == GA + DAY


def test_a_rise_of_errors_has_its_onset_too():
    errors = [[0.1 if hour < 30 else 1.0 for hour in range(24 * n, 24 * n + 24)] for n in range(8)]
    assert judged(ERRORS, 0.1, errors).onset == GA + 30 * HOUR


def test_no_onset_of_what_is_not_real_or_too_noisy_to_tell():
    assert judged(GAUGE, 100.0, 105.0).onset is None
    found = judged(GAUGE, 100.0, spread(0.6, 0.1))  # the days scatter by .1, more than .07
    assert (found.real, found.onset, found.ended) == (True, None, None)
    assert judged(GAUGE, 100.0, spread(0.6, 0.05)).onset is not None


def test_a_change_for_the_better_has_an_onset_too():
    found = judged(LATENCY, 100.0, by_hour(0.5, 30))
    assert (found.verdict, found.onset) == ("pass", GA + 30 * HOUR)


@pytest.mark.parametrize(
    ("since", "trend", "slope"),
    [
        pytest.param([100 * math.exp(0.04 * n) for n in range(8)], "increasing", math.exp(0.04) - 1, id="4 % a day"),
        pytest.param([100 * math.exp(-0.04 * n) for n in range(8)], "decreasing", math.exp(-0.04) - 1, id="down"),
        pytest.param([100 * math.exp(0.005 * n) for n in range(8)], "stable", math.exp(0.005) - 1, id="3.5 % a week"),
        pytest.param([150.0] * 8, "stable", 0.0, id="a step at GA is no trend"),
        pytest.param(spread(0, 0.2), "volatile", 0.0, id="to and fro"),
        pytest.param([100.0] * 4 + [None] * 4, "stable", 0.0, id="four days"),
        pytest.param([100.0] * 3 + [None] * 5, "unknown", None, id="three days"),
    ],
)
def test_the_trend_of_the_days(since, trend, slope):
    found = judged(GAUGE, 100.0, since)
    assert found.trend == trend
    assert found.slope_per_day == (None if slope is None else pytest.approx(slope, abs=1e-12))


# Traffic


def test_the_basis_of_the_comparison_is_said():
    summary = analysed(
        {"request_rate": busy(), CPU: 0.3 * busy(), GAUGE: 1.0},
        {"request_rate": busy(2), CPU: 0.6 * busy(), GAUGE: 1.0},
    )
    assert [row(summary, name).basis for name in (CPU, GAUGE)] == ["per request", "as measured"]
    assert "judged per request, because the traffic was 2 times that of the baseline" in row(summary, CPU).why
    assert row(summary, CPU).drift_percent == pytest.approx(100)  # as it is


def test_without_traffic_nothing_that_depends_on_it_is_judged():
    summary = analysed({"request_rate": 100.0, CPU: 40.0}, {"request_rate": 0.0, CPU: 10.0})
    found = row(summary, CPU)
    assert (found.real, found.verdict, found.basis) == (None, "inconclusive", None)
    assert "the traffic, on which this KPI depends" in found.obstacle


# One pair of days


def test_the_last_day_is_tested_against_the_day_before():
    """Days 6 and 7, hour by hour: half more, with a little noise."""
    since = [*noisy(3, 100.0, 7, 0.05), noisy(4, 150.0, 1, 0.05)[0]]
    found = row(analysed({GAUGE: 100.0}, {GAUGE: since}), GAUGE, "previous_day")
    assert (found.verdict, found.real, found.days, found.n) == ("fail", True, 1, 24)
    assert found.interval[0] < found.change < found.interval[1]
    assert found.change == pytest.approx(since[7].mean() / since[6].mean() - 1)
    assert (found.persists, found.trend) == (None, "unknown")
    same = row(analysed({GAUGE: 100.0}, {GAUGE: noisy(3, 100.0, 8, 0.05)}), GAUGE, "previous_day")
    assert (same.verdict, same.real) == ("pass", False)
    assert same.detectable == pytest.approx(0.1)


def test_a_day_too_noisy_to_tell_is_inconclusive():
    since = noisy(3, 100.0, 8, 0.9)
    found = row(analysed({GAUGE: 100.0}, {GAUGE: since}), GAUGE, "previous_day")
    assert found.verdict == "inconclusive"
    assert found.detectable > 0.3


def test_the_row_of_another_baseline_names_it():
    good = days([-30], {GAUGE: 100.0})[0]
    past = before({GAUGE: 100.0})
    summary = analyse(day(0, {GAUGE: 140.0}), days(WEEK, {GAUGE: 140.0}), past, good_day=-3)
    assert row(summary, GAUGE, "good_day").impact.startswith("100 in day -3, pinned as good, 140 in the week")
    assert row(summary, GAUGE, "ga_day").impact == "140 on the GA day, 140 in the week after GA (medians of the days)"
    assert good.window.start == GA - 30 * DAY
    assert [one.day_number for one in past.days] == list(BEFORE)
