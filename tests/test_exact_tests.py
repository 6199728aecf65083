"""Counts, small samples and slopes: by hand, against enumeration, on noise that says nothing, on odd input."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from observability.judgement.exact import compare_rates, compare_shares, hodges_lehmann, theil_sen, trend

NAN, INF = math.nan, math.inf
HOURS = 168


def rates_p_naive(bad_before, total_before, bad_after, total_after):
    """Twice the smaller tail of the binomial distribution, in whole numbers."""
    events, share = bad_before + bad_after, Fraction(total_after, total_before + total_after)
    chances = [math.comb(events, k) * share**k * (1 - share) ** (events - k) for k in range(events + 1)]
    return float(min(1, 2 * min(sum(chances[: bad_after + 1]), sum(chances[bad_after:]))))


def bursts(rng, share, rows, times=1.0, per_hour=10_000):
    """Hourly requests with a daily cycle, and errors in bursts: negative binomial, with an autocorrelated intensity."""
    total = np.round(per_hour * (1 + 0.5 * np.sin(2 * np.pi * np.arange(HOURS) / 24)))
    shocks = rng.standard_normal((rows, HOURS)) * np.where(np.arange(HOURS) == 0, 1, math.sqrt(1 - 0.7**2))
    intensity = np.exp(0.5 * lfilter([1], [1, -0.7], shocks, axis=1) - 0.125) * rng.standard_gamma(1.0, (rows, HOURS))
    return rng.poisson(times * share * total * intensity).astype(float), total


def shares(before, after, total):
    return [compare_shares(b, total, a, total) for b, a in zip(before, after, strict=True)]


class TestRates:
    @pytest.mark.parametrize(
        ("counts", "ratio", "p"),
        [
            ((0, 100, 0, 50), None, 1.0),
            ((0, 100, 5, 100), None, 2 * 0.5**5),
            ((5, 100, 0, 100), 0.0, 2 * 0.5**5),
            ((0, 100, 4, 200), None, 2 * (2 / 3) ** 4),
            ((1, 100, 3, 100), 3.0, 2 * (4 + 1) / 16),
            ((2, 100, 2, 100), 1.0, 1.0),
            ((3, 300, 1, 100), 1.0, 1.0),
        ],
    )
    def test_by_hand(self, counts, ratio, p):
        found = compare_rates(*counts)
        assert found.ratio == ratio
        assert found.p == pytest.approx(p)

    @given(st.integers(0, 30), st.integers(1, 500), st.integers(0, 30), st.integers(1, 500))
    def test_p_is_that_of_enumeration(self, bad_before, total_before, bad_after, total_after):
        counts = (bad_before, total_before, bad_after, total_after)
        assert compare_rates(*counts).p == pytest.approx(rates_p_naive(*counts), rel=1e-9)

    @given(
        st.floats(0, 1e9), st.floats(1, 1e12), st.floats(0, 1e9), st.floats(1, 1e12), st.sampled_from([0.5, 0.9, 0.98])
    )
    def test_interval_and_p_say_the_same(self, bad_before, total_before, bad_after, total_after, level):
        found = compare_rates(bad_before, total_before, bad_after, total_after, level)
        excludes = found.low > 1 or (found.high is not None and found.high < 1)
        assert abs(found.p - (1 - level)) < 1e-9 or excludes == (found.p < 1 - level)
        assert found.ratio is None or found.low <= found.ratio * (1 + 1e-9)
        assert found.ratio is None or found.high is None or found.ratio <= found.high * (1 + 1e-9)

    def test_a_bound_is_where_the_tail_is_one_percent(self):
        """From 0 to 3 among as many: the ratio r with π³ = 0.01, where π = r/(1 + r)."""
        low = 0.01 ** (1 / 3)
        found = compare_rates(0, 1000, 3, 1000)
        assert (found.ratio, found.high) == (None, None)
        assert found.low == pytest.approx(low / (1 - low))
        gone = compare_rates(3, 1000, 0, 1000)
        assert (gone.ratio, gone.low, gone.high) == (0, 0, pytest.approx((1 - low) / low))

    def test_billions_of_requests(self):
        """Half a million of 1e9, and 2,000 more: with ±√(1,002,000) around 0, that is a z of 1.998."""
        found = compare_rates(500_000, 1e9, 502_000, 1e9)
        assert found.p == pytest.approx(math.erfc(1.998 / math.sqrt(2)), rel=0.01)
        margin = 2.326 * math.sqrt(1 / 500_000 + 1 / 502_000)
        assert (found.low, found.high) == pytest.approx((1.004 * math.exp(-margin), 1.004 * math.exp(margin)), rel=1e-4)

    def test_parts_of_counts_lie_between_the_whole_ones(self):
        assert (
            compare_rates(3, 1000, 9, 1000).p > compare_rates(3, 1000, 9.5, 1000).p > compare_rates(3, 1000, 10, 1000).p
        )

    def test_exchanged_sides_give_the_inverse(self):
        found, turned = compare_rates(30, 1e6, 50, 2e6), compare_rates(50, 2e6, 30, 1e6)
        assert turned.p == pytest.approx(found.p)
        assert (turned.low, turned.high) == pytest.approx((1 / found.high, 1 / found.low))

    @pytest.mark.parametrize(
        "counts", [(-1, 10, 1, 10), (1, 0, 1, 10), (1, 10, 1, 0), (NAN, 10, 1, 10), (1, INF, 1, 10), (1, 10, 1, -10)]
    )
    def test_what_is_no_count_is_refused(self, counts):
        with pytest.raises(ValueError):
            compare_rates(*counts)

    @pytest.mark.parametrize("level", [0, 1, 98, NAN])
    def test_what_is_no_level_is_refused(self, level):
        with pytest.raises(ValueError):
            compare_rates(1, 10, 1, 10, level)


class TestShares:
    TOTAL = np.full(HOURS, 10_000.0)

    def test_by_hand(self):
        """Shares of 0.1 and 0.3 %; 9 and 11, or 29 and 31, in turn vary less than Poisson counts: all of them count."""
        turn = (-1.0) ** np.arange(HOURS)
        found = compare_shares(10 + turn, self.TOTAL, 30 + turn, self.TOTAL)
        assert (found.before, found.after, found.points, found.ratio) == pytest.approx((0.001, 0.003, 0.2, 3.0))
        assert (found.n, found.n_effective) == (2 * HOURS, 2 * HOURS)
        # ln 3 ± t √(1/1680 + 1/5040), t with (1/1680 + 1/5040)² / (1/1680² + 1/5040²) · 8 = 12.8 degrees of freedom
        margin = 2.657 * math.sqrt(1 / 1680 + 1 / 5040)
        assert (found.ratio_low, found.ratio_high) == pytest.approx(
            (3 * math.exp(-margin), 3 * math.exp(margin)), rel=0.003
        )
        margin = 2.657 * 100 * math.sqrt(1680 + 5040) / self.TOTAL.sum()
        assert (found.points_low, found.points_high) == pytest.approx((0.2 - margin, 0.2 + margin), rel=0.003)
        assert found.p_exact <= found.p < 1e-9

    def test_from_no_errors_at_all(self):
        found = compare_shares(np.zeros(HOURS), self.TOTAL, np.full(HOURS, 5.0), self.TOTAL)
        assert (found.before, found.points, found.ratio, found.ratio_high) == (0, pytest.approx(0.05), None, None)
        assert found.ratio_low > 100
        assert 0.04 < found.points_low < 0.05 < found.points_high < 0.06
        assert found.p < 0.001

    def test_nor_from_none_to_none(self):
        found = compare_shares(np.zeros(HOURS), self.TOTAL, np.zeros(HOURS), self.TOTAL)
        assert (found.p, found.p_exact, found.points, found.ratio, found.ratio_low) == (1, 1, 0, None, 0)
        assert found.points_low == -found.points_high < 0
        assert found.n_effective == 2 * HOURS

    def test_one_burst_is_no_change_of_the_share(self):
        burst = np.zeros(HOURS)
        burst[40] = 300
        found = compare_shares(np.zeros(HOURS), self.TOTAL, burst, self.TOTAL)
        assert found.p_exact < 1e-80
        assert found.p > 0.5

    def test_a_whole_outage_of_traffic_counts_by_its_requests(self):
        """Ten hours at 60,000 requests without an error, fourteen of nothing but errors at 600: 1.38 %, not 58 %."""
        total = np.array([60_000.0] * 10 + [600.0] * 14)
        found = compare_shares(np.zeros(24), total, np.where(total == 600, 600.0, 0.0), total)
        assert found.after == pytest.approx(8400 / 608_400)

    def test_bursts_alone_raise_few_alarms(self):
        rng = np.random.default_rng(1)
        for share in (1e-3, 1e-5):
            (before, total), (after, _) = bursts(rng, share, 300), bursts(rng, share, 300)
            assert np.mean([found.p < 0.02 for found in shares(before, after, total)]) <= 0.02
        (before, total), (after, _) = bursts(rng, 1e-3, 300), bursts(rng, 1e-3, 300)
        assert np.mean([found.p_exact < 0.02 for found in shares(before, after, total)]) > 0.5

    @pytest.mark.parametrize(("times", "least"), [(1.5, 0.25), (2.0, 0.75), (4.0, 0.99)])
    def test_more_errors_are_found_and_their_ratio_lies_in_the_interval(self, times, least):
        rng = np.random.default_rng(2)
        (before, total), (after, _) = bursts(rng, 1e-3, 200), bursts(rng, 1e-3, 200, times)
        found = shares(before, after, total)
        assert np.mean([one.p < 0.02 for one in found]) >= least
        assert np.mean([one.ratio_low <= times <= one.ratio_high for one in found]) >= 0.96
        points = 0.1 * (times - 1)
        assert np.mean([one.points_low <= points <= one.points_high for one in found]) >= 0.95
        assert [one.ratio_low > 1 or one.ratio_high < 1 for one in found] == [one.p < 0.02 for one in found]

    def test_a_missing_hour_is_no_hour(self):
        (before, total), (after, _) = (
            bursts(np.random.default_rng(3), 1e-3, 1),
            bursts(np.random.default_rng(4), 1e-3, 1),
        )
        gaps = np.arange(HOURS) % 10 == 3
        with_gaps = compare_shares(np.where(gaps, NAN, before[0]), total, after[0], np.where(gaps, NAN, total))
        assert with_gaps == compare_shares(before[0][~gaps], total[~gaps], after[0][~gaps], total[~gaps])

    @pytest.mark.parametrize("hours", [1, 7])
    def test_too_few_hours_have_no_p_but_the_exact_one(self, hours):
        found = compare_shares(np.zeros(hours), [1e4] * hours, np.full(hours, 50.0), [1e4] * hours)
        assert (found.p, found.points_low, found.points_high, found.ratio_low, found.n_effective) == (None,) * 5
        assert found.p_exact < 1e-9
        assert found.n == 2 * hours

    @pytest.mark.parametrize("total", [[], [NAN] * 24, [0.0] * 24])
    def test_no_traffic_is_no_data(self, total):
        bad = [0.0] * len(total)
        assert compare_shares(bad, total, [1.0] * 24, [100.0] * 24) is None
        assert compare_shares([1.0] * 24, [100.0] * 24, bad, total) is None

    @pytest.mark.parametrize(
        ("bad", "total"),
        [([1] * 9, [10] * 8), ([-1] + [1] * 9, [10] * 10), ([0] * 10, [-5] * 10), ([INF] * 9, [INF] * 9), (3, 4)],
    )
    def test_what_are_no_counts_is_refused(self, bad, total):
        with pytest.raises(ValueError):
            compare_shares([1] * 24, [10] * 24, bad, total)

    def test_billions_of_requests_and_more_bad_than_all(self):
        total = np.full(HOURS, 1e9)
        found = compare_shares(np.full(HOURS, 1e9), total, np.full(HOURS, 1.1e9), total)
        assert found.ratio == pytest.approx(1.1)  # of counters that are read at different times
        assert found.ratio_low > 1.09
        assert 0 <= found.p < 1e-9


def shift_naive(after, before, level):
    """By all ways to share out the ranks: how often are so many of the differences above 0?"""
    m, n = len(after), len(before)
    counts = [
        sum(a > b for a in chosen for b in set(range(m + n)) - set(chosen))
        for chosen in itertools.combinations(range(m + n), m)
    ]
    return interval_naive([a - b for a in after for b in before], counts, level)


def slope_naive(values, level):
    pairs = list(itertools.combinations(range(len(values)), 2))
    counts = [sum(order[i] < order[j] for i, j in pairs) for order in itertools.permutations(range(len(values)))]
    return interval_naive([(values[j] - values[i]) / (j - i) for i, j in pairs], counts, level)


def interval_naive(differences, counts, level):
    differences = sorted(differences)
    above = sum((d > 0) + (d == 0) / 2 for d in differences)
    extreme = math.ceil(min(above, len(differences) - above))
    p = min(1, 2 * sum(count <= extreme for count in counts) / len(counts))
    outside = 1
    while sum(count <= outside for count in counts) / len(counts) <= (1 - level) / 2:
        outside += 1
    return float(np.median(differences)), differences[outside - 1], differences[-outside], p


class TestShift:
    def test_an_oracle(self):
        """The smallest and the largest of 16 differences; of the 70 ways to rank 4 + 4, one at each end is outside."""
        found = hodges_lehmann([10, 20, 30, 40], [1, 2, 3, 4])
        assert found[:3] == (22.5, 6, 39)
        assert (found.p, found.level) == pytest.approx((2 / 70, 1 - 2 / 70))

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.integers(-5, 5), min_size=1, max_size=5),
        st.lists(st.integers(-5, 5), min_size=1, max_size=5),
        st.sampled_from([0.5, 0.8, 0.95]),
    )
    def test_enumeration_says_the_same(self, after, before, level):
        found = hodges_lehmann(after, before, level)
        assert found[:4] == pytest.approx(shift_naive(after, before, level))

    def test_a_week_against_a_week_and_against_a_day(self):
        days = [10.0, 11, 12, 13, 14, 15, 16]
        found = hodges_lehmann([day + 20 for day in days], days)
        assert (found.value, found.p, found.level) == (20, pytest.approx(2 / math.comb(14, 7)), 0.98)
        against_one = hodges_lehmann([*days, 17], [9])
        assert (against_one.p, against_one.level) == pytest.approx((2 / 9, 7 / 9))  # it cannot carry more

    def test_an_outcome_as_rare_as_the_tail_lies_outside(self):
        """Differences of 3 to 9; each is as likely to be the first above the shift, and 0.25 is two of eight."""
        assert hodges_lehmann([10], [1, 2, 3, 4, 5, 6, 7], level=0.5) == (6, 4, 8, 0.25, 0.5)

    def test_ties_make_no_evidence(self):
        assert hodges_lehmann([5] * 7, [5] * 7)[:4] == (0, 0, 0, 1)
        assert hodges_lehmann([5, 5, 5, 6], [5, 5, 5, 5]).p == pytest.approx(2 * 24 / 70)  # of U ≤ 6

    def test_same_samples_raise_no_more_alarms_than_the_level(self):
        rng = np.random.default_rng(5)
        found = [hodges_lehmann(after, before).p < 0.02 for after, before in rng.standard_normal((2000, 2, 7))]
        assert 0.005 < np.mean(found) <= 0.025

    @pytest.mark.parametrize(("after", "before"), [([], [1]), ([1], []), ([NAN], [1]), ([], [])])
    def test_an_empty_side_is_no_data(self, after, before):
        assert hodges_lehmann(after, before) is None

    def test_a_missing_value_is_no_value(self):
        assert hodges_lehmann([NAN, 3, 4], [1, NAN, 2]) == hodges_lehmann([3, 4], [1, 2])

    @pytest.mark.parametrize("values", [[INF], [[1.0]], [1.0] * 61])
    def test_what_it_cannot_take_is_refused(self, values):
        for sides in ((values, [1.0]), ([1.0], values)):
            with pytest.raises(ValueError):
                hodges_lehmann(*sides)

    def test_sixty_a_side_are_still_counted_out(self):
        found = hodges_lehmann(np.arange(60.0), np.arange(60.0) + 0.5)
        assert (found.value, found.level) == (-0.5, 0.98)
        assert 0.5 < found.p < 1


class TestSlope:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(-3, 3), min_size=4, max_size=6), st.sampled_from([0.5, 0.8, 0.95]))
    def test_enumeration_says_the_same(self, values, level):
        assert theil_sen(values, level)[:4] == pytest.approx(slope_naive(values, level))

    def test_one_wild_day_does_not_turn_it(self):
        found = theil_sen([1, 2, 3, 4, 900, 6, 7, 8])
        assert found.value == 1
        assert found.low > 0

    def test_a_missing_day_keeps_its_place(self):
        values = [0.0, 2, NAN, NAN, 8, 10, 12, NAN]
        assert theil_sen(values)[:3] == (2, 2, 2)

    def test_four_ordered_days_prove_little(self):
        found = theil_sen([1, 2, 3, 4])
        assert (found.p, found.level) == pytest.approx((2 / 24, 1 - 2 / 24))

    @pytest.mark.parametrize("values", [[], [1], [1, 2, 3], [NAN] * 8, [1, NAN, 2, NAN, 3]])
    def test_fewer_than_four_days_have_no_slope(self, values):
        assert theil_sen(values) is None
        assert trend(values, 0.1) == "inconclusive"

    @pytest.mark.parametrize("values", [[INF, 1, 2, 3], [[1.0, 2, 3, 4]], [1.0] * 61])
    def test_what_it_cannot_take_is_refused(self, values):
        with pytest.raises(ValueError):
            theil_sen(values)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([0, 1, 2, 3, 4, 5, 6], "increasing"),
            ([6, 5, 4, 3, 2, 1, 0], "decreasing"),
            ([7, 7, 7, 7, 7, 7, 7], "stable"),
            ([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "stable"),  # real, and less than what counts
            ([0, 9, 1, 8, 2, 7, 3], "inconclusive"),
            ([0, 1, 2, 3], "inconclusive"),  # in order, which happens by chance
            ([0, 1, NAN, 3, 4, NAN, 6, 7], "increasing"),
        ],
    )
    def test_in_words(self, values, expected):
        assert trend(values, least=1.0) == expected

    def test_noise_has_no_trend(self):
        rng = np.random.default_rng(6)
        found = [trend(days, least=0.0) for days in rng.standard_normal((1000, 8))]
        assert np.mean([word != "inconclusive" for word in found]) <= 0.03
