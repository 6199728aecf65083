"""The level of autocorrelated sequences: by hand, against slow twins, on noise that says nothing, on odd input."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.signal import lfilter

from observability.judgement.inference import (
    Change,
    Inference,
    adjusted,
    infer_huber,
    infer_hubers,
    infer_mean,
    infer_means,
    locate_change,
)

NAN, INF = math.nan, math.inf
NOTHING = (None, None, None, None)
SCALARS = (infer_mean, infer_huber)
ROWS = (infer_means, infer_hubers)
readings = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


def noise(rng, phi, rows, n):
    """AR(1) with a variance of 1 from the first value on."""
    shocks = rng.standard_normal((rows, n))
    shocks[:, 1:] *= math.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], shocks, axis=1)


def same_days(rng, phi, pairs):
    """Log ratios of the 24 hourly means of two days of one process: minutes, coefficient of variation 0.1."""
    hours = 1 + 0.1 * noise(rng, phi, 2 * pairs, 1440).reshape(2 * pairs, 24, 60).mean(axis=2)
    return np.log(hours[:pairs] / hours[pairs:])


def omega_naive(residuals, cosines):
    n = len(residuals)
    squares = math.fsum(e * e for e in residuals)
    rho = math.fsum(a * b for a, b in itertools.pairwise(residuals)) / squares
    rho = min(max(rho + (1 + 4 * rho) / n, 0), 0.95)
    coefficients = [
        math.sqrt(2 / n) * math.fsum(e * math.cos(math.pi * j * (t + 0.5) / n) for t, e in enumerate(residuals))
        for j in range(1, cosines + 1)
    ]
    ewc = math.fsum(c * c for c in coefficients) / cosines
    return max(ewc, squares / (n - 1) * (1 + rho) / (1 - rho))


def mean_naive(values, level=0.98):
    known = [value for value in values if not math.isnan(value)]
    n = len(known)
    if n < 8:
        return Inference(*NOTHING, n, None)
    mean, b = math.fsum(known) / n, min(8, n // 4)
    residuals = [value - mean for value in known]
    omega = omega_naive(residuals, b)
    error = math.sqrt(omega / n)
    margin = special.stdtrit(b, (1 + level) / 2) * error
    n_effective = max(1, n * math.fsum(e * e for e in residuals) / (n - 1) / omega)
    return Inference(mean, mean - margin, mean + margin, 2 * special.stdtr(b, -abs(mean) / error), n, n_effective)


def huber_naive(values):
    """By bisection of the sum of the clipped deviations, which falls as the location grows."""
    middle = float(np.median(values))
    limit = 1.345 * 1.4826 * float(np.median([abs(value - middle) for value in values]))
    low, high = min(values), max(values)
    for _ in range(200):
        location = (low + high) / 2
        is_low = math.fsum(min(max(value - location, -limit), limit) for value in values) > 0
        low, high = (location, high) if is_low else (low, location)
    return low


class TestByHand:
    def test_two_levels_in_eight_values(self):
        """Mean 2, deviations −1 and +1: squares 8, s² 8/7; neighbours 3 − 1 + 3 = 5, so r = 0.625.

        Corrected: 0.625 + 3.5/8 > 0.95, so ρ = 0.95 and Ω = 8/7 · 1.95/0.05 = 44.571. The first cosine alone is not 0:
        −½ · 2 · (cos π/16 + cos 3π/16 + cos 5π/16 + cos 7π/16) = −2.563, so EWC is 2.563²/2 = 3.284, and less. With 2
        degrees of freedom p = 1 − t/√(2 + t²), and the quantile of 0.99 is 0.98 √2/√(1 − 0.98²) = 6.9646.
        """
        found = infer_mean([1, 1, 1, 1, 3, 3, 3, 3])
        error = math.sqrt(8 / 7 * 39 / 8)
        t = 2 / error
        assert found.estimate == 2
        assert found.p == pytest.approx(1 - t / math.sqrt(2 + t**2))
        assert (found.low, found.high) == pytest.approx((2 - 6.96456 * error, 2 + 6.96456 * error), rel=1e-5)
        assert (found.n, found.n_effective) == (8, 1)  # 8 · 8/7 / 44.571 = 0.2 is at least one

    def test_a_slow_wave_under_fast_noise(self):
        """The second cosine, with a size of 1, and −1 and +1 by turns: squares 12 + 24, s² 36/23, neighbours differ.

        So ρ is 0 and the model says s². The coefficient of the second cosine is √(2/24) · 12 = √12, that of the first
        nearly 0, and EWC is 12/2 = 6, which is more. With one cosine, EWC is next to nothing, and Ω is s².
        """
        wave = np.cos(2 * np.pi * (np.arange(24) + 0.5) / 24) + (-1.0) ** np.arange(24)
        found = infer_mean(3 + wave, cosines=2)
        assert (found.low, found.high) == pytest.approx((3 - 6.9646 * 0.5, 3 + 6.9646 * 0.5), abs=0.02)
        assert found.n_effective == pytest.approx(24 * 36 / 23 / 6, rel=0.01)
        assert infer_mean(3 + wave, cosines=1).n_effective == 24

    @pytest.mark.parametrize("infer", SCALARS)
    def test_a_balanced_sequence_has_no_level(self, infer):
        found = infer([1, -1] * 12)
        assert (found.estimate, found.p) == (0, 1)
        assert found.low == -found.high


class TestTwins:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.one_of(readings, st.just(NAN)), min_size=0, max_size=60))
    def test_the_mean_is_that_of_the_slow_twin(self, values):
        known = [value for value in values if not math.isnan(value)]
        if len(known) >= 8 and len(set(known)) == 1:
            return  # a constant: below
        expected, found = mean_naive(values), infer_mean(values)
        for one, other in zip(found, expected, strict=True):
            assert one == (other if other is None else pytest.approx(other, rel=1e-6, abs=1e-6))

    @pytest.mark.parametrize(("rows", "one"), list(zip(ROWS, SCALARS, strict=True)))
    def test_each_row_is_judged_as_if_alone(self, rows, one):
        rng = np.random.default_rng(1)
        table = noise(rng, 0.5, 40, 48)
        table[rng.random(table.shape) < np.linspace(0, 1, 40)[:, np.newaxis]] = NAN
        table[7] = 0.25
        found = rows(table)
        assert 0 < np.isnan(found.p).sum() < 40
        for row, fields in zip(table, np.array(found).T, strict=True):
            alone = [NAN if field is None else field for field in one(row)]
            assert list(fields) == pytest.approx(alone, nan_ok=True, rel=1e-9)

    def test_the_huber_location_is_that_of_the_slow_twin(self):
        rng = np.random.default_rng(2)
        table = rng.standard_t(2, (30, 50)) + 7
        expected = [huber_naive(list(row)) for row in table]
        assert list(infer_hubers(table).estimate) == pytest.approx(expected, abs=1e-9)

    def test_the_mean_of_no_outliers_is_the_huber_location(self):
        values = [1, 2, 3] * 8  # MAD 1: the limit is 1.345 · 1.4826 = 1.99, and nothing is clipped
        assert infer_huber(values) == pytest.approx(infer_mean(values))


class TestProperties:
    @pytest.mark.parametrize("infer", ROWS)
    def test_it_moves_with_scale_and_sign_and_not_with_the_direction_of_time(self, infer):
        table = noise(np.random.default_rng(3), 0.7, 50, 100) + 0.5
        found = infer(table)
        for factor in (1e-9, -3.0, 1e12):
            scaled = infer(table * factor)
            assert scaled.estimate == pytest.approx(found.estimate * factor)
            assert scaled.p == pytest.approx(found.p)
            ends = np.sort([found.low * factor, found.high * factor], axis=0)
            assert np.array([scaled.low, scaled.high]) == pytest.approx(ends)
        backwards = infer(table[:, ::-1])
        assert np.array(backwards) == pytest.approx(np.array(found))

    @pytest.mark.parametrize("infer", ROWS)
    @pytest.mark.parametrize("level", [0.5, 0.9, 0.98])
    def test_p_and_interval_say_the_same(self, infer, level):
        found = infer(noise(np.random.default_rng(4), 0.6, 400, 60) + 0.4, level)
        excludes = (found.low > 0) | (found.high < 0)
        assert 0 < excludes.sum() < 400
        assert (excludes == (found.p < 1 - level)).all()
        assert (found.low <= found.estimate).all()
        assert (found.estimate <= found.high).all()
        assert ((found.n_effective >= 1) & (found.n_effective <= 60)).all()

    @pytest.mark.parametrize("infer", SCALARS)
    def test_a_missing_value_is_no_value(self, infer):
        values = list(noise(np.random.default_rng(5), 0.5, 1, 30)[0])
        with_gaps = [NAN, *values[:7], NAN, NAN, *values[7:], NAN]
        assert infer(with_gaps) == infer(values)


class TestNoise:
    """Sequences of one process: how often is p below 2 %? Seeded, and the whole tables stand in the benchmark."""

    @pytest.mark.parametrize("infer", ROWS)
    @pytest.mark.parametrize("phi", [0.0, 0.9, 0.98])
    def test_two_days_of_the_same_minutes_raise_few_alarms(self, infer, phi):
        assert (infer(same_days(np.random.default_rng(6), phi, 2000)).p < 0.02).mean() <= 0.02

    @pytest.mark.parametrize("infer", ROWS)
    @pytest.mark.parametrize("hours", [168, 192])
    def test_nor_do_two_weeks_of_the_same_hours(self, infer, hours):
        for phi, most in ((0.0, 0.02), (0.5, 0.02), (0.8, 0.02), (0.9, 0.035)):
            assert (infer(noise(np.random.default_rng(7), phi, 2000, hours)).p < 0.02).mean() <= most

    def test_which_a_t_test_of_hours_does(self):
        weeks = noise(np.random.default_rng(7), 0.8, 2000, 168)
        t = weeks.mean(axis=1) / np.sqrt(weeks.var(axis=1, ddof=1) / 168)
        assert (2 * special.stdtr(167, -np.abs(t)) < 0.02).mean() > 0.35

    def test_nor_where_noise_hides_a_slow_component(self):
        rng = np.random.default_rng(8)
        weeks = noise(rng, 0.9, 2000, 168) + noise(rng, 0.0, 2000, 168)
        assert (infer_means(weeks).p < 0.02).mean() <= 0.06  # 25 % by the autocorrelation at lag 1 alone

    @pytest.mark.parametrize("infer", ROWS)
    @pytest.mark.parametrize("phi", [0.0, 0.8])
    def test_a_change_of_five_standard_errors_is_found(self, infer, phi):
        weeks = noise(np.random.default_rng(9), phi, 1000, 168)
        assert (infer(weeks + 5 * weeks.mean(axis=1).std()).p < 0.02).mean() > 0.9

    def test_four_values_a_side_are_refused_and_eight_are_careful(self):
        """Change detectors have tested means of 4 + 4 with a population variance: 7.8 % false alarms at 5 %."""
        rng = np.random.default_rng(10)
        before, after = rng.standard_normal((2, 20_000, 4))
        spread = np.sqrt((before.var(axis=1) + after.var(axis=1)) / 4)
        t = (after.mean(axis=1) - before.mean(axis=1)) / spread
        assert 0.07 < (2 * special.stdtr(6, -np.abs(t)) < 0.05).mean() < 0.09
        assert infer_mean(after[0] - before[0]) == Inference(*NOTHING, 4, None)
        assert (infer_means(rng.standard_normal((5000, 8))).p < 0.05).mean() < 0.05

    def test_a_day_of_spikes_moves_the_huber_location_little(self):
        week = 0.1 * noise(np.random.default_rng(11), 0.5, 200, 168)
        spiked = week.copy()
        spiked[:, 72:96] += math.log(5)
        assert (infer_means(spiked).estimate - infer_means(week).estimate).mean() == pytest.approx(math.log(5) / 7)
        assert abs(infer_hubers(spiked).estimate - infer_hubers(week).estimate).max() < 0.05
        assert (infer_hubers(spiked).p < 0.02).mean() <= 0.02
        risen = spiked + math.log(1.15)
        assert (infer_hubers(risen).p < 0.02).mean() > 0.98
        assert (infer_means(risen).p < 0.02).mean() == 0


class TestAccidents:
    @pytest.mark.parametrize("infer", SCALARS)
    @pytest.mark.parametrize(
        ("values", "n"),
        [([], 0), ([1], 1), ([1, 2], 2), ([3] * 7, 7), ([NAN] * 50, 0), ([NAN] * 50 + [1] * 7, 7), ([None] * 9, 0)],
    )
    def test_too_few_values_say_nothing(self, infer, values, n):
        assert infer(values) == Inference(*NOTHING, n, None)

    @pytest.mark.parametrize("infer", SCALARS)
    @pytest.mark.parametrize("constant", [0.1, -7.0, 1e300, 5e-324])
    def test_a_constant_shows_one_value_and_no_doubt(self, infer, constant):
        assert infer([constant] * 30) == Inference(constant, constant, constant, 0, 30, 1)

    @pytest.mark.parametrize("infer", SCALARS)
    def test_a_constant_zero_is_no_change(self, infer):
        assert infer([0.0] * 30) == Inference(0, 0, 0, 1, 30, 1)

    @pytest.mark.parametrize("infer", SCALARS)
    @pytest.mark.parametrize("values", [[INF] + [1] * 20, [1] * 20 + [-INF], [[1.0] * 9], 3.0, ["a"] * 9])
    def test_what_is_no_sequence_of_numbers_is_refused(self, infer, values):
        with pytest.raises(ValueError):
            infer(values)

    @pytest.mark.parametrize("infer", SCALARS)
    @pytest.mark.parametrize(("level", "cosines"), [(0, 3), (1, 3), (98, 3), (NAN, 3), (0.9, 0), (0.9, -1), (0.9, 20)])
    def test_so_are_levels_and_cosines_that_cannot_be(self, infer, level, cosines):
        with pytest.raises(ValueError):
            infer(range(20), level, cosines)

    @pytest.mark.parametrize("infer", SCALARS)
    def test_no_rows_are_no_inferences(self, infer):
        rows = dict(zip(SCALARS, ROWS, strict=True))[infer]
        assert [field.shape for field in rows(np.empty((0, 24)))] == [(0,)] * 6
        assert np.isnan(rows(np.empty((2, 0))).p).all()

    @pytest.mark.parametrize("infer", ROWS)
    def test_a_huge_offset_does_not_drown_the_noise(self, infer):
        table = noise(np.random.default_rng(12), 0.5, 20, 100)
        far, near = infer(table + 1e9), infer(table)
        assert far.high - far.low == pytest.approx(near.high - near.low, rel=1e-5)
        assert far.n_effective == pytest.approx(near.n_effective, rel=1e-5)

    @pytest.mark.parametrize("infer", SCALARS)
    @pytest.mark.parametrize("unit", [5e-324, 1e-200, 1e200])
    def test_the_squares_of_tiny_and_huge_values_are_not_lost(self, infer, unit):
        steps = np.array([3, 4, 5, 4, 3, 5, 4, 6] * 5)
        assert infer(steps * unit).p == pytest.approx(infer(steps * 1.0).p, rel=1e-3)

    def test_a_location_of_mostly_equal_values_is_theirs(self):
        found = infer_huber([0.0] * 30 + [5.0] + [0.0] * 30)
        assert 0 < found.estimate < 0.01
        assert found.p > 0.02


def changes_naive(values, before, shortest, away):
    """Start and stop of the stretch whose removal of its own level leaves the smallest sum of squares."""
    n, best = len(values), None
    for start in range(n):
        for stop in range(start + shortest, n + 1):
            if (start and start < shortest) or (stop < n and stop > n - away) or (before is None and not start):
                continue
            inside, outside = values[start:stop], [*values[:start], *values[stop:]]
            level = before if before is not None else np.mean(outside)
            left = sum((x - level) ** 2 for x in outside) + sum((x - np.mean(inside)) ** 2 for x in inside)
            if best is None or left < best[0]:
                best = (left, start, stop)
    return best[1], (None if best[2] == n else best[2])


class TestChange:
    @pytest.mark.parametrize(
        ("values", "before", "expected"),
        [
            ([0] * 20 + [3] * 30, None, Change(20, None, 0, 3)),
            ([0] * 20 + [3] * 30, 0.0, Change(20, None, 0, 3)),
            ([3] * 30, 0.0, Change(0, None, 0, 3)),
            ([3] * 30 + [0] * 30, 0.0, Change(0, 30, 0, 3)),
            ([3] * 30 + [0] * 30, None, Change(30, None, 3, 0)),
            ([0] * 20 + [-2] * 30 + [0] * 30, None, Change(20, 50, 0, -2)),
            ([0] * 20 + [-2] * 30 + [0] * 10, 0.0, Change(20, None, 0, -2)),  # gone for too short to be gone
            ([0] * 20 + [NAN] * 5 + [3] * 15 + [NAN] * 15 + [3] * 15, 0.0, Change(25, None, 0, 3)),
            ([0, NAN] * 20 + [NAN, 3] * 15 + [0] * 30, 0.0, Change(41, 70, 0, 3)),
        ],
    )
    def test_by_hand(self, values, before, expected):
        assert locate_change(values, before) == expected

    @pytest.mark.parametrize("before", [None, 0.0])
    def test_a_spike_is_no_level(self, before):
        values = 0.1 * noise(np.random.default_rng(15), 0, 1, 100)[0]
        values[60:] += 0.5
        values[20] = 50
        found = locate_change(values, before)
        assert (found.start, found.end) == (60, None)

    @pytest.mark.parametrize("before", [None, 0.0])
    def test_it_is_the_stretch_of_the_slow_twin(self, before):
        rng = np.random.default_rng(13)
        for values in rng.uniform(-1, 1, (20, 25)):  # within 3 sigmas of their median
            values[rng.integers(25) :] += 0.5
            values = np.clip(values, -1, 1)
            found = locate_change(values, before, shortest=3, away=4)
            assert (found.start, found.end) == changes_naive(list(values), before, 3, 4)

    @pytest.mark.parametrize("start", [0, 30, 75])
    def test_the_onset_of_a_change_in_noise(self, start):
        weeks = 0.1 * noise(np.random.default_rng(14), 0.5, 200, 192)
        weeks[:, start:] += math.log(1.3)
        found = [locate_change(week, 0.0) for week in weeks]
        assert np.quantile([abs(change.start - start) for change in found], 0.9) <= 3
        assert np.mean([change.end is not None for change in found]) < 0.03

    @pytest.mark.parametrize(
        ("values", "before"),
        [([], 0.0), ([NAN] * 50, 0.0), ([1.0] * 11, 0.0), ([1.0] * 23, None), ([2.0] * 50, None), ([0.0] * 50, 0.0)],
    )
    def test_where_nothing_changes_nothing_is_found(self, values, before):
        assert locate_change(values, before) is None

    @pytest.mark.parametrize("values", [[INF] * 50, [[1.0] * 50]])
    def test_what_is_no_sequence_of_numbers_is_refused(self, values):
        with pytest.raises(ValueError):
            locate_change(values)


class TestAdjusted:
    def test_by_hand(self):
        """Five tests: 0.005 · 5/1, 0.01 · 5/2, 0.03 · 5/3, 0.04 · 5/4 and 0.9; the third is not above the fourth."""
        found = adjusted([0.9, 0.01, None, 0.03, 0.005, 0.04])
        assert found.pop(2) is None
        assert found == pytest.approx([0.9, 0.025, 0.05, 0.025, 0.05])

    @given(st.lists(st.one_of(st.none(), st.floats(0, 1))), st.floats(0.001, 0.5))
    def test_what_is_below_a_rate_is_what_the_step_up_procedure_rejects(self, p_values, rate):
        """Reject the k smallest, with the largest k for which the k-th is at most k/m · rate."""
        tested = sorted(p for p in p_values if p is not None)
        limit = max((p for k, p in enumerate(tested, 1) if p * (len(tested) / k) <= rate), default=-1.0)
        found = adjusted(p_values)
        assert [p is None for p in found] == [p is None for p in p_values]
        for p, q in zip(p_values, found, strict=True):
            if p is not None:
                assert p <= q <= 1
                assert (q <= rate) == (p <= limit)

    def test_one_test_and_none(self):
        assert adjusted([0.03]) == [0.03]
        assert adjusted([]) == []
        assert adjusted([None, None]) == [None, None]
        assert adjusted([0.0, 1.0]) == [0.0, 1.0]

    @pytest.mark.parametrize("p", [NAN, -0.1, 1.1, INF])
    def test_what_is_no_p_value_is_refused(self, p):
        with pytest.raises(ValueError):
            adjusted([0.5, p])
