"""The baseline at the observed traffic: by hand, on made-up weeks, against slow twins, and on what is odd."""

import math
from dataclasses import replace
from statistics import fmean, median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.definitions import Direction
from observability.judgement import elasticity, load
from observability.judgement.elasticity import following, line, power
from observability.judgement.load import AtLoad, Paired, at_load, dependence

LOWER, HIGHER, EITHER = Direction.LOWER_IS_BETTER, Direction.HIGHER_IS_BETTER, Direction.TWO_SIDED
DAYS, HOURS = 7, 24
NAN, INF = math.nan, math.inf
DAYTIME = np.sin(2 * np.pi * (np.arange(HOURS) - 9) / HOURS)


def noise(seed, cv=0.05, shape=(DAYS, HOURS)):
    return np.exp(np.random.default_rng(seed).normal(0, cv, shape))


def busy(amplitude=3.0):
    """A load with a mean (geometric) of 100 whose busiest hour has ``amplitude`` times the load of its quietest."""
    return np.tile(100 * np.exp(math.log(amplitude) / 2 * DAYTIME), (DAYS, 1))


def week(follows, traffic=1.0, change=1.0, amplitude=3.0, cv=0.05):
    """A KPI that is a function of load/100, before GA and after, when it changed at equal load by ``change``."""
    before, after = busy(amplitude) * noise(1), traffic * busy(amplitude) * noise(2)
    past = follows(before / 100) * noise(3, cv)
    now = change * follows(after / 100) * noise(4, cv)
    return Paired(past, now, before, after, past, before)


def flat(expected, observed, traffic, depends="in proportion", direction=LOWER):
    """Each hour is like the other, so nothing shows how the KPI follows the load."""
    one = np.ones((DAYS, HOURS))
    hours = Paired(expected * one, observed * one, one, traffic * one, expected * one, one)
    return at_load(hours, depends, direction, 0.10)


def judged(hours, depends="in proportion", direction=LOWER):
    return at_load(hours, depends, direction, 0.10)


def verdict(hours, found):
    """By the rule that the callers have: the median of the days' ratios of sums, over the hours that both have."""
    if isinstance(found, str):
        return "inconclusive"
    both = np.isfinite(hours.observed) & np.isfinite(found.expected)
    days = [
        now[seen].sum() / past[seen].sum()
        for now, past, seen in zip(hours.observed, found.expected, both, strict=True)
        if seen.any()
    ]
    return "fail" if median(days) > 1.10 else "pass"


CONSTANT, PROPORTIONAL, HALF = (lambda x: np.ones_like(x)), (lambda x: x), (lambda x: 0.5 + 0.5 * x)
ROOT = np.sqrt


class TestCases:
    """What a launch does, on weeks with noise of 5 %."""

    @pytest.mark.parametrize(
        ("follows", "traffic", "change", "allowed"),
        [
            (PROPORTIONAL, 1.4, 1.0, "pass"),  # CPU ×1.4 at traffic ×1.4
            (PROPORTIONAL, 1.05, 1.4 / 1.05, "fail"),  # CPU ×1.4 at traffic ×1.05
            (PROPORTIONAL, 2.0, 1.0, "pass"),  # CPU and cost in proportion
            (PROPORTIONAL, 2.0, 1.3, "fail"),  # CPU ×2.6
            (PROPORTIONAL, 4.0, 1.0, "pass inconclusive"),
            (PROPORTIONAL, 0.5, 1.0, "pass"),
            (PROPORTIONAL, 0.5, 1.3, "fail"),  # CPU ×0.65, which looks like less
            (CONSTANT, 2.0, 1.0, "pass"),
            (CONSTANT, 2.0, 1.4, "fail"),  # a leak, which per request is a fall by 30 %
            (CONSTANT, 0.5, 1.0, "pass"),  # per request it doubled
            (CONSTANT, 0.5, 1.3, "fail"),
            (HALF, 1.4, 1.0, "pass"),
            (HALF, 2.0, 1.0, "pass inconclusive"),
            (HALF, 2.0, 1.3, "fail"),
            (HALF, 0.5, 1.0, "pass inconclusive"),
            (HALF, 0.5, 1.3, "fail"),
            (ROOT, 2.0, 1.0, "pass inconclusive"),
            (ROOT, 2.0, 1.3, "fail"),
            (ROOT, 4.0, 1.5, "fail inconclusive"),
        ],
    )
    def test_only_what_the_traffic_does_not_explain_is_a_regression(self, follows, traffic, change, allowed):
        hours = week(follows, traffic, change)
        assert verdict(hours, judged(hours)) in allowed.split()

    def test_more_per_request_on_a_base_is_not_hidden_by_dividing(self):
        before, after = busy() * noise(1), 2 * busy() * noise(2)
        past, now = HALF(before / 100) * noise(3), (0.5 + 0.5 * 1.3 * after / 100) * noise(4)
        hours = Paired(past, now, before, after, past, before)
        assert median(now.sum(axis=1) / (2 * past.sum(axis=1))) < 0.95  # 1.8 / (2 · 1): per request it fell
        assert verdict(hours, judged(hours)) in ("fail", "inconclusive")

    @pytest.mark.parametrize("amplitude", [1.0, 1.1, 1.5, 3.0])
    @pytest.mark.parametrize("traffic", [1.2, 1.5, 2.0, 5.0])
    def test_a_leak_never_passes_and_a_rise_in_proportion_never_fails(self, amplitude, traffic):
        leak, grown = week(CONSTANT, traffic, 1.4, amplitude), week(PROPORTIONAL, traffic, 1.0, amplitude)
        assert verdict(leak, judged(leak)) != "pass"
        assert verdict(grown, judged(grown)) != "fail"

    def test_one_day_of_baseline_says_it_too(self):
        for change, told in ((1.0, "pass"), (1.3, "fail")):
            hours = week(PROPORTIONAL, 2.0, change)
            one = replace(hours, pool=hours.pool[:1], pool_load=hours.pool_load[:1])
            assert verdict(one, judged(one)) == told

    def test_a_ramp_of_the_traffic_is_adjusted_day_by_day_though_its_median_is_small(self):
        hours = week(PROPORTIONAL)
        ramp = np.linspace(1.0, 1.19, DAYS)[:, np.newaxis]
        hours = replace(hours, observed=hours.expected * ramp, load_observed=hours.load_expected * ramp)
        found = judged(hours)
        assert found.basis != "as measured"
        assert (hours.observed / found.expected)[-1] == pytest.approx(1.0, abs=0.03)


class TestNightJob:
    """A job runs from 1 to 5 or to 9 that takes as much CPU as the usual load does, and does not follow it."""

    def hours(self, follows, traffic, change, lasting=4):
        found = week(follows, traffic, change)
        job = ((np.arange(HOURS) >= 1) & (np.arange(HOURS) < 1 + lasting)).astype(float)
        past = found.expected + job
        return replace(found, expected=past, observed=found.observed + change * job, pool=past)

    @pytest.mark.parametrize("traffic", [1.2, 1.4, 2.0, 4.0, 0.5])
    @pytest.mark.parametrize("follows", [CONSTANT, HALF, PROPORTIONAL])
    @pytest.mark.parametrize("lasting", [4, 8])
    def test_it_does_not_lead_to_a_wrong_verdict(self, lasting, follows, traffic):
        quiet, worse = (self.hours(follows, traffic, change, lasting) for change in (1.0, 1.3))
        assert verdict(quiet, judged(quiet)) != "fail"
        assert verdict(worse, judged(worse)) != "pass"

    def test_without_its_error_the_elasticity_would_mislead(self, monkeypatch):
        monkeypatch.setattr(elasticity, "_slope_error", lambda *_: 0.0)
        quiet = self.hours(PROPORTIONAL, 2.0, 1.0, lasting=8)
        assert verdict(quiet, judged(quiet)) == "fail"


class TestWhereTheBaselineShowsNothing:
    """At traffic ×2, the KPI ×k: as measured it changed by k − 1, per request by k/2 − 1."""

    @pytest.mark.parametrize(
        ("before", "after", "traffic", "expected", "basis"),
        [
            (10, 26, 2.0, 20, "per request"),  # +160 % and +30 %
            (10, 10, 2.0, 10, "as measured"),  # 0 and −50 %
            (10, 10.9, 2.0, 10, "as measured"),  # +9 % and −45.5 %
            (10, 5, 0.5, 5, "per request"),  # −50 % and 0
            (10, 13, 0.5, 10, "as measured"),  # +30 % and +160 %
        ],
    )
    def test_two_readings_that_agree(self, before, after, traffic, expected, basis):
        found = flat(before, after, traffic)
        assert (found.basis, found.expected.tolist()) == (basis, [[expected] * HOURS] * DAYS)

    @pytest.mark.parametrize(("after", "traffic"), [(14, 2.0), (20, 2.0), (14, 1.4), (10, 0.5), (9, 0.5)])
    def test_two_readings_that_do_not(self, after, traffic):
        assert flat(10, after, traffic) == (
            f"at {traffic:g} times the traffic, on which this KPI depends; "
            "the baseline does not show closely enough how"
        )

    @pytest.mark.parametrize(
        ("direction", "after", "is_told"),
        [
            (LOWER, 10, True),  # 0 and −50 %: neither is worse
            (HIGHER, 10, False),  # −50 % would be
            (EITHER, 10, False),  # and a change it is
            (HIGHER, 20, True),  # +100 % and 0
            (EITHER, 26, True),  # +160 % and +30 %
            (EITHER, 8, True),  # −20 % and −60 %
        ],
    )
    def test_the_direction_says_what_they_must_agree_on(self, direction, after, is_told):
        assert isinstance(flat(10, after, 2.0, direction=direction), AtLoad) is is_told

    def test_what_counts_as_a_change_is_given(self):
        one = np.ones((DAYS, HOURS))
        hours = Paired(10 * one, 12 * one, one, 1.15 * one, 10 * one, one)  # +20 % and +4.3 %
        assert isinstance(at_load(hours, "in proportion", LOWER, 0.10), str)
        assert isinstance(at_load(hours, "in proportion", LOWER, 0.30), AtLoad)


class TestTraffic:
    @pytest.mark.parametrize("traffic", [1.0, 1.099, 1 / 1.099])
    def test_within_10_percent_it_is_no_matter(self, traffic):
        found = flat(10, 14, traffic)
        assert (found.basis, found.clause, found.expected[0, 0]) == ("as measured", None, 10)

    @pytest.mark.parametrize("depends", ["in proportion", "by queueing"])
    def test_unknown_traffic_is_said(self, depends):
        hours = replace(week(CONSTANT), load_observed=np.full((DAYS, HOURS), NAN))
        found = judged(hours, depends)
        assert found.clause == "judged as measured, because the traffic is not known"
        assert found.expected is hours.expected

    def test_what_does_not_depend_on_it_is_left_alone(self):
        found = flat(10, 14, 3.0, "none")
        assert (found.basis, found.clause, found.expected[0, 0]) == ("as measured", None, 10)

    @pytest.mark.parametrize(
        ("category", "kind", "expected"),
        [
            ("resources", "utilisation", "in proportion"),
            ("cost", "cost", "in proportion"),
            ("network", "gauge", "in proportion"),
            ("redis", "gauge", "in proportion"),
            ("database", "gauge", "in proportion"),
            ("database", "quantile", "by queueing"),
            ("latency", "quantile", "by queueing"),
            ("latency", "gauge", "by queueing"),
            ("redis", "ratio", "none"),
            ("latency", "ratio", "none"),
            ("errors", "ratio", "none"),
            ("traffic", "rate", "none"),
            ("cluster", "gauge", "none"),
            ("storage", "gauge", "none"),
            ("resources", "incidents", "none"),
            ("my own", "gauge", "none"),
        ],
    )
    def test_what_depends_on_it(self, category, kind, expected):
        assert dependence(category, kind) == expected

    def test_the_clauses(self):
        hours = week(PROPORTIONAL, 2.1)
        hours = replace(hours, load_observed=2.1 * hours.load_expected, observed=2.1 * hours.expected)
        said = "the traffic was 2.1 times that of the baseline"
        assert judged(hours).clause == f"judged {judged(hours).basis}, because {said}"
        assert flat(10, 10, 2.1).clause == f"judged as measured, although {said}"
        assert flat(10, 10, 1.3, "by queueing").clause == (
            "judged as measured, although the traffic was 1.3 times that of the baseline: "
            "too few of its hours are at like load"
        )


class TestElasticity:
    LOADS = busy()

    @pytest.mark.parametrize("exponent", [0.0, 0.3, 1.0])
    def test_a_power_is_found_exactly(self, exponent):
        found = following(7 * self.LOADS**exponent, self.LOADS)
        assert (found.low, found.high) == pytest.approx((exponent, exponent), abs=1e-9)
        assert found.reference == pytest.approx(100)

    def test_of_a_base_and_so_much_per_request_the_line_is_found(self):
        found = following(50 + 0.5 * self.LOADS, self.LOADS)
        assert found.curves == (line,)
        assert found.low < 0.5 < found.high

    def test_with_noise_both_curves_are_possible(self):
        assert set(following(HALF(busy(1.3) / 100) * noise(1, 0.1), busy(1.3)).curves) == {power, line}

    def test_a_rise_faster_than_in_proportion_is_kept_as_far_as_it_is_sure(self):
        found = following(self.LOADS**1.5, self.LOADS)
        assert (found.low, found.high) == pytest.approx((1.0, 1.5))

    @pytest.mark.parametrize(
        ("pool", "loads"),
        [
            (1 / busy(), busy()),  # falls with the load
            (busy(), np.full((DAYS, HOURS), 5.0)),
            (busy(), np.zeros((DAYS, HOURS))),
            (busy(), np.full((DAYS, HOURS), NAN)),
            (np.full((DAYS, HOURS), NAN), busy()),
            (np.zeros((DAYS, HOURS)), busy()),
            (-busy(), busy()),
            (np.where(np.arange(HOURS) % 4 == 0, 0.0, busy()), busy()),  # zeros, of which there is no logarithm
            (np.where(np.arange(HOURS) < 11, busy(), NAN), busy()),  # 11 hours
            (np.empty((0, HOURS)), np.empty((0, HOURS))),
            (np.full((DAYS, HOURS), INF), busy()),
        ],
    )
    def test_what_shows_nothing_allows_anything(self, pool, loads):
        found = following(pool, loads)
        assert (found.low, found.high) == (0.0, 1.0)

    def test_a_bad_day_and_a_reset_in_the_baseline_are_outvoted(self):
        pool = 7 * self.LOADS.copy()
        pool[2] *= 5
        pool[4, 5:9], pool[5, 3] = NAN, 0
        found = following(pool, self.LOADS)
        assert (found.low, found.high) == pytest.approx((1.0, 1.0))

    def test_the_factors_by_hand(self):
        """e = 0.5 at load 100; from 100 to 400: power 4^0.5 = 2, line (0.5 + 0.5 · 4)/(0.5 + 0.5) = 2.5."""
        found = elasticity.Following(0.5, 1.0, 100.0).factors(np.array([100.0]), np.array([400.0]))
        assert [(e, factor.tolist()) for e, factor in found] == [
            (0.5, pytest.approx([2.0])),
            (0.5, pytest.approx([2.5])),
            (1.0, pytest.approx([4.0])),
        ]

    def test_the_error_of_the_slope_by_hand(self):
        """x = ±1 by turns in pairs, sd 1; residuals 1, −1, −1, 1 …: their lag-1 products cancel, so ρ = 0 and n' = 12.

        s² = 12/(12 − 2) = 1.2, so the error is √(1.2/12).
        """
        x, rest = np.array([1.0, 1, -1, -1] * 3), np.array([1.0, -1, -1, 1] * 3)
        assert elasticity._slope_error(x, rest) == pytest.approx(math.sqrt(1.2 / 12))

    def test_residuals_that_last_widen_it(self):
        """Four 1s, four −1s …: of 24 products of neighbours 18 are 1 and 6 are −1, so ρ = 1/2 and n' = 24/3 = 8."""
        x, rest = (
            np.array([1.0, -1] * 12),
            np.array([1.0] * 4 + [-1.0] * 4 + [1.0] * 4 + [-1.0] * 4 + [1.0] * 4 + [-1.0] * 4),
        )
        assert elasticity._slope_error(x, rest) == pytest.approx(math.sqrt(24 / 22 / 8))

    def test_the_slope_against_a_naive_twin(self):
        x, y = noise(1, 0.3, 24), noise(2, 0.3, 24)
        slopes = [(y[j] - y[i]) / (x[j] - x[i]) for i in range(24) for j in range(i + 1, 24)]
        assert elasticity._theil_sen(x, y) == pytest.approx(median(slopes))

    def test_the_median_day_against_a_naive_twin(self):
        values = noise(1, 0.3)
        values[noise(2, 1.0) > 1.5] = NAN
        naive = [math.log(math.prod(_middles([v for v in hour if not math.isnan(v)])) ** 0.5) for hour in values.T]
        assert elasticity._median_day(values) == pytest.approx(naive)

    def test_the_interval_holds_the_truth_most_of_the_time(self):
        held = 0
        for seed in range(100):
            pool = ROOT(busy()) * noise(seed, 0.2)
            found = following(pool, busy())
            held += found.low <= 0.5 <= found.high
        assert held >= 90


def _middles(values):
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]


class TestLatency:
    """1/(1 − utilisation), which in the busiest hour before GA is 0.6."""

    @staticmethod
    def queueing(x):
        return 1 / (1 - np.minimum(0.6 * x / math.sqrt(3), 0.98))

    @pytest.mark.parametrize(("change", "told"), [(1.0, "pass"), (1.3, "fail")])
    @pytest.mark.parametrize("traffic", [0.5, 1.2, 1.4, 2.0])
    @pytest.mark.parametrize("follows", [CONSTANT, queueing])
    def test_it_is_judged_at_like_load(self, follows, traffic, change, told):
        hours = week(follows, traffic, change)
        found = judged(hours, "by queueing")
        assert verdict(hours, found) == told
        assert follows is CONSTANT or found.basis == "at like load"

    def test_hours_that_no_hour_was_like_are_left_out(self):
        hours = week(self.queueing, 2.0)
        found = judged(hours, "by queueing")
        left_out = np.isnan(found.expected)
        assert hours.load_observed[~left_out].max() < hours.pool_load.max()
        assert f"; {(~left_out).sum()} of 168 hours can be compared so" in found.clause

    def test_a_day_with_few_like_hours_is_left_out(self):
        """On day 3 all but five hours are busier than any before."""
        hours = week(self.queueing, 1.2)
        hours.load_observed[3, 5:] = 10 * hours.pool_load.max()
        hours.load_observed[3, :5] = 100.0
        found = judged(hours, "by queueing")
        assert np.isfinite(load._like_load(hours)[3]).sum() == 5
        assert np.isnan(found.expected[3]).all()
        assert np.isfinite(found.expected[2]).sum() > 6

    @pytest.mark.parametrize(
        ("before", "after", "traffic", "told"),
        [
            (10, 10.5, 4.0, "as measured"),  # not worse, although there was more to do
            (
                10,
                14,
                4.0,
                "at 4 times the traffic, on which this KPI depends; too few hours of the baseline were as busy",
            ),
            (10, 14, 0.25, "as measured"),  # worse, although there was less to do
            (
                10,
                10,
                0.25,
                "at 0.25 times the traffic, on which this KPI depends; too few hours of the baseline were as quiet",
            ),
            (10, 14, 1.4, "as measured"),
            (10, 14, 1 / 1.4, "as measured"),
        ],
    )
    def test_without_like_hours(self, before, after, traffic, told):
        found = flat(before, after, traffic, "by queueing")
        assert (found if isinstance(found, str) else found.basis) == told

    @pytest.mark.parametrize("traffic", [1.2, 1.4, 2.0])
    def test_slow_nights_are_not_held_against_fast_days(self, traffic):
        """Six hours a night take 1.6 times as long, whatever the load: it looks as if little load were slow."""
        quiet, worse = (self.slow_nights(week(CONSTANT, traffic, change)) for change in (1.0, 1.3))
        assert verdict(quiet, judged(quiet, "by queueing")) != "fail"
        assert verdict(worse, judged(worse, "by queueing")) != "pass"

    @staticmethod
    def slow_nights(hours):
        slow = np.where(np.arange(HOURS) < 6, 1.6, 1.0)
        return replace(hours, expected=hours.expected * slow, observed=hours.observed * slow, pool=hours.pool * slow)

    def test_like_load_against_a_naive_twin(self):
        hours = week(self.queueing, 1.3)
        hours.pool[0, 3], hours.pool_load[1, 4], hours.load_observed[2, 5], hours.load_observed[2, 6] = NAN, 0, NAN, 0
        found = load._like_load(hours)
        assert np.isfinite(found).any()
        for index, wanted in np.ndenumerate(hours.load_observed):
            assert found[index] == pytest.approx(naive_like(hours, wanted), nan_ok=True)


def naive_like(hours, wanted):
    """The mean over the three next quieter hours and the four next busier ones, where all are within ±10 %."""
    known = [
        (x, y) for x, y in zip(hours.pool_load.ravel(), hours.pool.ravel(), strict=True) if x > 0 and not math.isnan(y)
    ]
    quieter = sorted(pair for pair in known if pair[0] < wanted)[-3:]
    busier = sorted(pair for pair in known if pair[0] >= wanted)[:4]
    if len(quieter) < 3 or len(busier) < 4 or any(not 1 / 1.1 <= x / wanted <= 1.1 for x, _ in quieter + busier):
        return NAN
    return fmean(y for _, y in quieter + busier)


class TestOddInput:
    ANYTHING = ("in proportion", "by queueing", "none")

    @pytest.mark.parametrize("depends", ANYTHING)
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda h: replace(h, observed=h.observed * NAN),
            lambda h: replace(h, expected=h.expected * NAN),
            lambda h: replace(h, expected=h.expected * 0),
            lambda h: replace(h, observed=h.observed * 0),
            lambda h: replace(h, expected=h.expected * 0, observed=h.observed * 0),
            lambda h: replace(h, expected=-h.expected),
            lambda h: replace(h, load_expected=h.load_expected * 0),
            lambda h: replace(h, load_observed=h.load_observed * 0),
            lambda h: replace(h, load_expected=h.load_expected * 0, load_observed=h.load_observed * 0),
            lambda h: replace(h, load_observed=h.load_observed * INF),
            lambda h: replace(h, load_observed=-h.load_observed),
            lambda h: replace(h, pool=h.pool[:0], pool_load=h.pool_load[:0]),
            lambda h: replace(h, pool=h.pool * NAN, pool_load=h.pool_load * NAN),
            lambda h: replace(h, pool=h.pool * INF),
            lambda h: Paired(*(getattr(h, name)[:0] for name in Paired.__dataclass_fields__)),
            lambda h: Paired(*(getattr(h, name)[:, :1] for name in Paired.__dataclass_fields__)),
        ],
    )
    @pytest.mark.filterwarnings("error")
    def test_there_is_a_defined_answer(self, spoil, depends):
        hours = spoil(week(PROPORTIONAL, 2.0))
        found = judged(hours, depends)
        assert isinstance(found, str) or found.expected.shape == hours.observed.shape

    @pytest.mark.parametrize(
        ("before", "after", "times"),
        [(0, 5, "more than a million times"), (5, 0, "nearly 0 times")],
    )
    def test_traffic_from_or_to_nothing_is_an_obstacle(self, before, after, times):
        one = np.ones((DAYS, HOURS))
        hours = Paired(one, one, before * one, after * one, one, before * one)
        assert judged(hours) == (
            f"at {times} the traffic, on which this KPI depends; too few hours had traffic before and after"
        )

    def test_no_traffic_at_all_is_no_change_of_traffic(self):
        assert flat(10, 14, 0.0).__class__ is str
        one = np.ones((DAYS, HOURS))
        idle = Paired(one, 1.4 * one, 0 * one, 0 * one, one, 0 * one)
        assert judged(idle) == AtLoad(idle.expected)

    def test_hours_without_traffic_are_left_out(self):
        hours = week(PROPORTIONAL, 2.0)
        hours.load_expected[:, :3], hours.load_observed[:, 3] = 0, 0
        found = judged(hours)
        assert np.isnan(found.expected[:, :4]).all()
        assert np.isfinite(found.expected[:, 4:]).all()
        assert "; 140 of 168 hours can be compared so" in found.clause

    def test_days_without_a_pair_do_not_count(self):
        """Only the last of eight rows is there, as for the day before it."""
        hours = week(PROPORTIONAL, 2.0)
        empty = np.full((DAYS, HOURS), NAN)
        last = {}
        for name in ("expected", "observed", "load_expected", "load_observed"):
            last[name] = np.vstack([empty, getattr(hours, name)[-1:]])
        found = judged(replace(hours, **last))
        assert found.basis != "as measured"
        assert np.isfinite(found.expected).sum() == HOURS

    def test_a_zero_stays_a_zero(self):
        hours = week(PROPORTIONAL, 2.0)
        hours.expected[3, 4] = 0.0
        assert judged(hours).expected[3, 4] == 0.0

    def test_a_counter_that_began_anew_at_the_launch(self):
        hours = week(PROPORTIONAL, 2.0)
        hours.observed[0, :2], hours.load_observed[0, :2] = NAN, NAN
        assert verdict(hours, judged(hours)) == "pass"

    @pytest.mark.parametrize("name", ["expected", "observed", "load_expected", "load_observed", "pool", "pool_load"])
    def test_other_shapes_are_refused(self, name):
        hours = week(PROPORTIONAL)
        with pytest.raises(ValueError, match="days, hours"):
            replace(hours, **{name: getattr(hours, name)[:, :-1]})


PARTS = st.tuples(
    st.sampled_from([CONSTANT, PROPORTIONAL, HALF, ROOT]),
    st.floats(0.2, 5.0),
    st.floats(0.5, 2.0),
    st.floats(1.0, 5.0),
    st.sampled_from([0.01, 0.1, 0.3]),
)


class TestProperties:
    @settings(max_examples=60, deadline=None)
    @given(PARTS)
    def test_what_is_expected_lies_between_as_measured_and_per_request(self, parts):
        hours = week(*parts)
        found = judged(hours)
        if isinstance(found, str):
            return
        per_request = hours.expected * hours.load_observed / hours.load_expected
        low, high = np.minimum(hours.expected, per_request), np.maximum(hours.expected, per_request)
        sure = following(hours.pool, hours.pool_load).high <= 1
        assert not sure or bool(((found.expected >= low * 0.999) & (found.expected <= high * 1.001)).all())

    @settings(max_examples=40, deadline=None)
    @given(PARTS, st.sampled_from(["in proportion", "by queueing"]), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
    def test_units_do_not_matter(self, parts, depends, of_kpi, of_load):
        hours = week(*parts)
        other = Paired(
            hours.expected * of_kpi,
            hours.observed * of_kpi,
            hours.load_expected * of_load,
            hours.load_observed * of_load,
            hours.pool * of_kpi,
            hours.pool_load * of_load,
        )
        one, two = judged(hours, depends), judged(other, depends)
        assert isinstance(one, str) == isinstance(two, str)
        if isinstance(one, AtLoad):
            assert two.expected == pytest.approx(one.expected * of_kpi, rel=1e-6, nan_ok=True)
            assert (two.basis, two.clause) == (one.basis, one.clause)

    @settings(max_examples=40, deadline=None)
    @given(PARTS, st.sampled_from(["in proportion", "by queueing"]))
    def test_more_of_the_kpi_never_turns_a_fail_into_a_pass(self, parts, depends):
        hours = week(*parts)
        more = replace(hours, observed=hours.observed * 1.05)
        if verdict(hours, judged(hours, depends)) == "fail":
            assert verdict(more, judged(more, depends)) == "fail"

    @settings(max_examples=20, deadline=None)
    @given(PARTS, st.sampled_from(["in proportion", "by queueing"]))
    def test_nothing_given_is_changed(self, parts, depends):
        hours = week(*parts)
        before = [getattr(hours, name).copy() for name in Paired.__dataclass_fields__]
        judged(hours, depends)
        after = [getattr(hours, name) for name in Paired.__dataclass_fields__]
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
