"""The significance channel: by hand, under what must not change its alarms, and on levels that move."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import MADE, NAN, SHORT_SIGNIFICANCE

from observability.detection.significance_bank import MEAN, SEASON_SPREAD, SignificanceBank

START, MINUTE, HOUR, DAY = 1_763_424_000.0, 60.0, 3600.0, 86_400.0  # 2025-11-18T00:00:00Z
TO_SIGMA = 1.2533


def scores_of(table, step_s=MINUTE, start=START, **parameters):
    """The scores of series side by side, of shape (steps, n) as the table, and the bank afterwards."""
    bank = SignificanceBank(table.shape[1], **parameters)
    scores = [bank.step_many(start + step_s * step, row) for step, row in enumerate(table)]
    return np.array(scores), bank


def told(bank, series):
    """The new levels of one series: since, noticed, before, after."""
    return [
        (level.since, level.noticed, level.before, level.after) for level in bank.new_levels if level.series == series
    ]


class TestByHand:
    """9 and 11 by turns, a sample a minute. All samples count alike: a and a′ are 1/(n + 1) up to the 121st and 241st.

    Then m is 10 after an even number of samples, and 10 − 1/(2k + 1) after the k-th 9 more than 11s; so the d are 0, 2,
    −1, 4/3, −1, 6/5 …: −1 for each 9 but the first, and 1 + 1/(2k + 1) for the k-th 11, k from 0 on; and s is the mean
    of their sizes.
    """

    STEPS = 100
    NOW = START + MINUTE * STEPS
    VALUES = [9.0, 11.0] * (STEPS // 2)
    SPREAD = (STEPS // 2 - 1 + math.fsum(1 + 1 / (2 * k + 1) for k in range(STEPS // 2))) / STEPS
    SCALE = TO_SIGMA * SPREAD + 0.005 * (11 - 9)

    @pytest.fixture
    def bank(self):
        return scores_of(np.array([self.VALUES]).T)[1]

    def read(self, bank, t, value):
        return [float(field[0]) for field in bank.read_many(t, np.array([value]))]

    def test_a_score_is_the_distance_from_the_level_in_scales(self, bank):
        for value in (10.0, 12.5, 13.0, 5.0):
            scored, score, expected, low, high = self.read(bank, self.NOW, value)
            assert scored
            assert (score, expected) == pytest.approx((abs(value - 10) / self.SCALE, 10))
            assert (low, high) == pytest.approx((10 - 5 * self.SCALE, 10 + 5 * self.SCALE))

    def test_more_than_200_scales_say_no_more(self, bank):
        assert self.read(bank, self.NOW, 10 + 199 * self.SCALE)[1] == pytest.approx(199)
        assert self.read(bank, self.NOW, 10 + 1e9 * self.SCALE)[1] == 200

    def test_the_band_ends_where_the_score_reaches_the_threshold(self, bank):
        low, high = self.read(bank, self.NOW, 10.0)[3:]
        for end, outwards in ((low, -1), (high, 1)):
            assert self.read(bank, self.NOW, end + outwards * 1e-9)[1] >= 5 > self.read(bank, self.NOW, end)[1] - 1e-6
            assert self.read(bank, self.NOW, end - outwards * 1e-9)[1] < 5

    def test_a_sample_of_a_thousand_scales_moves_the_level_as_one_of_four(self, bank):
        """d is 4 scales, and its weight the greater of 60 s / (60 s + 2 h) = 1/121 and 1/(100 + 1); with 1,010 the
        range grows at most by its width of 2, to 4. The band is then wider by ln 2, because a run began.
        """
        bank.learn_many(self.NOW, np.array([10 + 1000 * self.SCALE]))
        d = 4 * self.SCALE
        level, spread = 10 + d / 101, self.SPREAD + (d - self.SPREAD) / 101
        _, _, expected, low, high = self.read(bank, self.NOW + MINUTE, 10.0)
        width = (5 + math.log(2)) * (TO_SIGMA * spread + 0.005 * 4)
        assert (expected, low, high) == pytest.approx((level, level - width, level + width))

    def test_later_samples_weigh_what_their_seconds_do(self, bank):
        """5 h without a sample, and then one of 11: d is 1, and counts 5/(5 + 2) hours, but at most 1/50."""
        for gap, weight in ((MINUTE, 1 / 101), (HOUR / 10, 1 / 50), (5 * HOUR, 1 / 50)):
            _, other = scores_of(np.array([self.VALUES]).T)
            other.learn_many(self.NOW - MINUTE + gap, np.array([11.0]))
            assert self.read(other, self.NOW + DAY, 10.0)[2] == pytest.approx(10 + weight)

    def test_each_run_makes_the_next_alarm_harder(self, bank):
        """A score of 200 is 200 − ln(1 + F). A run goes on over one sample that is not far off, and ends with two."""
        t, far, near = self.NOW, np.array([1e6]), np.array([10.0])
        for told, calm in ((0, 2), (1, 1), (2, 1), (2, 2), (2, 2), (3, 2)):
            assert bank.step_many(t, far)[0] == pytest.approx(200 - math.log(1 + told))
            for _ in range(calm):
                t += MINUTE
                assert bank.step_many(t, near)[0] == 0
            t += MINUTE
        assert t < START + 2 * HOUR - MINUTE
        assert bank.score_many(t, far)[0] == pytest.approx(200 - math.log(1 + 4))

    def runs_after(self, bank, scales, *values):
        """How many runs began: with a sample far up, two of so many scales, or with the values after them.

        The band is 5 + ln(1 + F) scales wide on either side; a score of 200 is 200 − ln(1 + F).
        """
        bank.learn_many(self.NOW, np.array([1e6]))
        for step in range(1, 3):
            _, _, expected, _, high = self.read(bank, self.NOW + MINUTE * step, 10.0)
            value = expected + scales * (high - expected) / (5 + math.log(2))
            bank.learn_many(self.NOW + MINUTE * step, np.array([value]))
        for step, value in enumerate(values, start=3):
            bank.learn_many(self.NOW + MINUTE * step, np.array([value]))
        return math.exp(200 - bank.score_many(self.NOW + MINUTE * 10, np.array([1e6]))[0]) - 1

    @pytest.mark.parametrize(("scales", "runs"), [(2.95, 2), (3.05, 1), (-3.05, 2)])
    def test_a_run_goes_on_beyond_three_scales_on_its_side(self, bank, scales, runs):
        assert self.runs_after(bank, scales, 1e6) == pytest.approx(runs)

    @pytest.mark.parametrize(("scales", "runs"), [(-4.95, 1), (-5.75, 2)])
    def test_what_ends_a_run_begins_another_only_beyond_five_scales(self, bank, scales, runs):
        assert self.runs_after(bank, scales) == pytest.approx(runs)

    def test_what_was_told_fades_by_the_hour_and_a_gap_counts_as_a_day_at_most(self, bank):
        for gap, counted in ((HOUR, HOUR), (5 * HOUR, 5 * HOUR), (DAY, DAY), (300 * DAY, DAY)):
            _, other = scores_of(np.array([[*self.VALUES, 1e6]]).T)
            assert other.score_many(self.NOW + gap, np.array([1e9]))[0] == pytest.approx(200 - math.log(2))
            other.learn_many(self.NOW + gap, np.array([10.0]))
            fatigue = 1 / (1 + counted / (30 * DAY))
            later = self.NOW + gap + MINUTE
            assert other.score_many(later, np.array([1e9]))[0] == pytest.approx(200 - math.log(1 + fatigue))

    def test_nothing_is_scored_before_24_samples_were_learned(self):
        scores, _ = scores_of(np.array([[*self.VALUES[:23], 1e6]]).T)
        assert not scores.any()
        scores, _ = scores_of(np.array([[*self.VALUES[:24], 1e6]]).T)
        assert scores[24] == 200

    def test_what_is_expected_of_an_hour_of_the_day_counts_from_the_third_day_on(self):
        """Every hour of the day has its own value, exactly. So S is 0; the distance from m is no distance."""
        values = 10.0 + np.arange(24) % 24
        bank = SignificanceBank(1)
        for step in range(48):
            reading = bank.read_many(START + HOUR * step, values[[step % 24]], learn=True)
        assert reading.expected != pytest.approx(33)
        for step in range(48, 72):
            reading = bank.read_many(START + HOUR * step, values[[step % 24]], learn=True)
            assert reading.expected == pytest.approx(values[step % 24])
            assert reading.score == 0
            assert reading.low < 10 + step % 24 < reading.high

    def test_between_level_and_hour_of_the_day_nothing_is_far(self):
        bank = SignificanceBank(1)
        for step in range(72):
            bank.learn_many(START + HOUR * step, np.array([100.0 if step % 24 == 0 else 10.0]))
        level, at_midnight = START + HOUR * 73, START + HOUR * 96
        assert bank.score_many(at_midnight, np.array([60.0]))[0] == 0
        assert bank.score_many(level, np.array([60.0]))[0] > 5

    def test_a_constant_that_changes_is_a_new_level_after_a_day(self):
        """The scale is 10 · 1e-12 when the first 20 comes, and .005 · 10 then. So the second and the third move m by .2
        over 50, and no other does.
        """
        values = np.where(np.arange(600) < 400, 10.0, 20.0)
        scores, bank = scores_of(values[:, np.newaxis], step_s=900.0)
        assert np.flatnonzero(scores >= 5).tolist() == list(range(400, 400 + 97))
        since = START + 900.0 * 400
        assert told(bank, 0) == [(since, since + DAY, pytest.approx(10, abs=0.01), pytest.approx(20, abs=0.01))]
        assert bank.new_levels[0].settled


EXAMPLES = given(kpi=MADE, parameters=st.sampled_from([{}, SHORT_SIGNIFICANCE]))


def assert_same_scores(found, expected, threshold):
    """But for rounding, which can make an alarm of a score at the very threshold only."""
    expected = np.broadcast_to(expected, found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    is_clear = np.abs(expected - threshold) > 1e-3
    np.testing.assert_array_equal((found >= threshold)[is_clear], (expected >= threshold)[is_clear])


@settings(max_examples=40)
@EXAMPLES
def test_another_unit_changes_no_alarm(kpi, parameters):
    """With factors of two not even in their last digit; while all is 0 the scale is 10⁻³⁰⁰ and scores are nothing."""
    factors = np.array([1.0, 2.0**40, 2.0**-40, -1.0, -0.125, 3.7, 1e-9, 1e9])
    scores, bank = scores_of(kpi.values()[:, np.newaxis] * factors, **parameters)
    np.testing.assert_allclose(scores[:, 1:5], scores[:, [0] * 4], rtol=0, atol=1e-200)
    assert_same_scores(scores[:, 5:], scores[:, [0]], bank.threshold)
    for series, factor in enumerate(factors.tolist()):
        expected = [
            (since, noticed, before * factor, after * factor) for since, noticed, before, after in told(bank, 0)
        ]
        assert told(bank, series) == [pytest.approx(level, rel=1e-6) for level in expected]


@settings(max_examples=40)
@EXAMPLES
def test_another_zero_changes_no_alarm(kpi, parameters):
    shifts = np.array([0.0, 1.0, -37.0, 1000.0, 5000.0])
    scores, bank = scores_of(kpi.values()[:, np.newaxis] + shifts, **parameters)
    assert_same_scores(scores[:, 1:], scores[:, [0]], bank.threshold)
    for series, shift in enumerate(shifts.tolist()):
        expected = [(*times, before + shift, after + shift) for *times, before, after in told(bank, 0)]
        assert told(bank, series) == [pytest.approx(level, abs=1e-6) for level in expected]


@settings(max_examples=40)
@EXAMPLES
def test_another_time_zone_changes_no_alarm(kpi, parameters):
    hours = np.array([0, 1, 5, -8, 14, 24 * 365])
    table = np.repeat(kpi.values()[:, np.newaxis], hours.size, axis=1)
    scores, bank = scores_of(table, start=START + 13 * 60 + HOUR * hours, **parameters)
    np.testing.assert_array_equal(scores, scores[:, [0] * hours.size])
    for series, by in enumerate((HOUR * hours).tolist()):
        expected = [(since + by, noticed + by, *levels) for since, noticed, *levels in told(bank, 0)]
        assert told(bank, series) == expected


def test_a_younger_neighbour_changes_nothing():
    """With memories of days and few samples, 1/n is the larger weight for longer than ``level_samples``."""
    parameters = {"level_h": 48.0, "level_samples": 2.0, "spread_h": 48.0, "spread_samples": 2.0}
    rng, quarters = np.random.default_rng(3), np.arange(4 * 24 * 4)[:, np.newaxis]
    table = rng.normal(size=(quarters.size, 1))
    younger = np.where(quarters < 270, NAN, 1.0)
    alone, _ = scores_of(table, step_s=900.0, **parameters)
    beside, _ = scores_of(np.hstack([table, younger]), step_s=900.0, **parameters)
    np.testing.assert_array_equal(beside[:, 0], alone[:, 0])


@pytest.mark.parametrize("hours", [50, 80], ids="after {} hours".format)
def test_an_incident_of_the_first_days_is_not_normal_either(hours):
    """Four hours at 20 standard deviations, when each hour was seen twice: said to its end, and forgotten after it."""
    noise = np.random.default_rng(4).normal(size=5 * 24 * 60)
    first, end = hours * 60, (hours + 4) * 60
    burst = 20.0 * ((np.arange(noise.size) >= first) & (np.arange(noise.size) < end))
    scores, bank = scores_of(np.array([noise, noise + burst])[:, : end + 60].T)
    assert (scores[first:end, 1] >= bank.threshold).all()
    assert bank.state[MEAN, 1] == pytest.approx(bank.state[MEAN, 0], abs=0.5)
    assert bank.state[SEASON_SPREAD, 1] == pytest.approx(bank.state[SEASON_SPREAD, 0], rel=0.1)


class TestWhatComesBack:
    """Five weeks of a sample every five minutes, from a Saturday on, with a noise of 1."""

    DAY = 288
    DAYS, STEPS = 35, 35 * 288

    def alarms(self, values):
        """How many a day, and the new levels."""
        noise = np.random.default_rng(2).normal(size=self.STEPS)
        scores, bank = scores_of((values + noise)[:, np.newaxis], step_s=300.0)
        return (scores[:, 0] >= bank.threshold).reshape(self.DAYS, self.DAY).sum(axis=1), bank.new_levels

    def at(self, first, last):
        """Whether the hour of the day lies between the two."""
        hour = np.arange(self.STEPS) % self.DAY / 12
        return (hour >= first) & (hour < last)

    def test_a_nightly_job_that_is_new_is_told_for_some_nights(self):
        is_new = np.arange(self.STEPS) >= 14 * self.DAY
        alarms, levels = self.alarms(100.0 * (is_new & self.at(1, 4)))
        assert (alarms[14:18] == 36).all()
        assert alarms[20:].sum() == 0
        assert levels == []

    def test_office_hours_are_learned_though_the_first_days_are_a_weekend(self):
        is_working_day = np.arange(self.STEPS) // self.DAY % 7 >= 2
        alarms, levels = self.alarms(100.0 * (is_working_day & self.at(9, 17)))
        assert (alarms[2:5] > 0).all()
        assert alarms[14:].sum() == 0
        assert levels == []

    def test_the_way_back_from_a_long_incident_is_known(self):
        """It lasts 30 hours: after 24 it is a new level. The 24 samples after it, two hours, say that it is over."""
        steps = np.arange(self.STEPS)
        alarms, levels = self.alarms(20.0 * ((steps >= 20 * self.DAY) & (steps < 21.25 * self.DAY)))
        assert alarms[20] == self.DAY
        assert 20 <= alarms[21] <= 30
        assert alarms[22:].sum() == 0
        assert [level.after - level.before for level in levels] == pytest.approx([20, -20], abs=1.5)

    def test_what_flaps_has_no_new_level_of_its_own(self):
        """Half of the samples are at 20: after three days the mean of both is what is left to say."""
        steps = np.arange(self.STEPS)
        _, levels = self.alarms(20.0 * ((steps >= 20 * self.DAY) & (steps % 2 == 0)))
        assert [(round(level.after - level.before), level.settled) for level in levels] == [(10, False)]

    def test_what_goes_on_moving_does_not_hide_what_comes(self):
        """By 50 a day, it is followed after three days. It spreads by dozens then; at most two scales count."""
        moving = 20 + 50 / self.DAY * np.arange(4 * self.DAY)
        noise = np.random.default_rng(2).normal(size=11 * self.DAY)
        bank = SignificanceBank(1)
        for step, value in enumerate(noise + np.concatenate([np.zeros(7 * self.DAY), moving])):
            before = bank.state[SEASON_SPREAD, 0]
            bank.learn_many(START + 300.0 * step, np.array([value]))
            if bank.new_levels:
                break
        assert bank.new_levels[0].settled is False
        assert before < bank.state[SEASON_SPREAD, 0] < 5 * before


SHIFT, SEEDS = 10.0, 4  # standard deviations of the noise; series of each kind
LEVELS = {
    "steady": lambda i, day: 0.0 * i,
    "up": lambda i, day: SHIFT * (i >= 0),
    "down": lambda i, day: -SHIFT * (i >= 0),
    "up, and twice as far down": lambda i, day: SHIFT * (i >= 0) - 2 * SHIFT * (i >= 2.2 * day),
    "up, with a gap of 30 hours": lambda i, day: np.where((i >= 5) & (i < 5 + 1.25 * day), NAN, SHIFT * (i >= 0)),
    "burst of 10": lambda i, day: SHIFT * ((i >= 0) & (i < 10)),
    "burst of 60": lambda i, day: SHIFT * ((i >= 0) & (i < 60)),
    "burst of 200": lambda i, day: SHIFT * ((i >= 0) & (i < 200)),
    "burst, and a higher level": lambda i, day: SHIFT * ((i >= 0) & (i < 10)) + 1.5 * SHIFT * (i >= 110),
    "burst to a level": lambda i, day: 3 * SHIFT * ((i >= 0) & (i < 10)) + SHIFT * (i >= 10),
    "burst, and another": lambda i, day: SHIFT * ((i >= 0) & (i < 10)) + SHIFT * ((i >= 60) & (i < 70)),
    "ramp": lambda i, day: SHIFT * np.clip(i / 500, 0, 1),
    "drift": lambda i, day: SHIFT * np.clip(i / (4 * day), 0, None),
    "spikes": lambda i, day: SHIFT * ((i >= 0) & (i % 50 == 0)),
    "one far spike": lambda i, day: 1000.0 * (i == 0),
}


class Shifts:
    """All of ``LEVELS`` at one sampling interval, ``SEEDS`` series of each, as one bank sees them."""

    def __init__(self, step_s, days, season):
        self.step_s, self.day = step_s, round(DAY / step_s)
        steps = days * self.day
        self.at = steps // 2 + 37  # the step of the shift
        i = np.arange(steps)
        daily = season * np.sin(2 * np.pi * i / self.day)
        noise = np.array([np.random.default_rng(seed).normal(size=steps) for seed in range(SEEDS)])
        base = 100 + daily
        shifts = [level(i - self.at, self.day) for level in LEVELS.values()]
        self.table = np.concatenate([base + noise + shift for shift in shifts]).T
        self.bank = SignificanceBank(self.table.shape[1])
        self.alarms, self.levels, self.spreads = (np.zeros(self.table.shape) for _ in range(3))
        for step, row in enumerate(self.table):
            self.alarms[step] = self.bank.step_many(START + step_s * step, row) >= self.bank.threshold
            self.levels[step], self.spreads[step] = self.bank.state[MEAN], self.bank.state[SEASON_SPREAD]

    def columns(self, kind):
        first = list(LEVELS).index(kind) * SEEDS
        return range(first, first + SEEDS)

    def told(self, kind):
        """Per series what it says: from which step on after the shift, after how many hours, before and after."""
        return [
            [
                ((since - START) / self.step_s - self.at, (noticed - since) / HOUR, before, after)
                for since, noticed, before, after in told(self.bank, series)
            ]
            for series in self.columns(kind)
        ]


@pytest.fixture(scope="module", params=[(60, 8), (300, 21), (3600, 60)], ids=["1 min", "5 min", "1 h"])
def sampling(request):
    return request.param


@pytest.fixture(scope="module", params=[0.0, 5.0], ids=["no season", "daily season"])
def shifts(request, sampling):
    return Shifts(*sampling, request.param)


class TestLevels:
    def test_before_the_shift_nothing_is_said(self, shifts):
        assert not shifts.alarms[: shifts.at].any()
        assert not shifts.alarms[:, shifts.columns("steady")].any()

    @pytest.mark.parametrize("kind", ["up", "down"])
    def test_a_new_level_is_said_once_after_a_day(self, shifts, kind):
        by = SHIFT if kind == "up" else -SHIFT
        for ((since, hours, before, after),) in shifts.told(kind):
            assert 0 <= since <= 2
            assert hours == pytest.approx(24)
            assert after - before == pytest.approx(by, abs=0.6)
            assert before == pytest.approx(100, abs=1)

    def test_then_the_level_is_normal(self, shifts):
        for kind in ("up", "down"):
            columns = shifts.columns(kind)
            assert shifts.alarms[shifts.at : shifts.at + 3, columns].any(axis=0).all()
            assert not shifts.alarms[shifts.at + shifts.day + 3 :, columns].any()

    def test_the_next_one_is_said_too(self, shifts):
        for first, second in shifts.told("up, and twice as far down"):
            assert 0 <= first[0] <= 2
            assert 0 <= second[0] - 2.2 * shifts.day <= 2
            assert first[3] - first[2] == pytest.approx(SHIFT, abs=0.6)
            assert second[3] - second[2] == pytest.approx(-2 * SHIFT, abs=0.6)

    def test_a_gap_counts_as_an_hour(self, shifts):
        """A day, of which the 30 hours from one sample to the next, and a step more, are one: so 24 + 30 − 1 hours."""
        for ((since, hours, before, after),) in shifts.told("up, with a gap of 30 hours"):
            assert 0 <= since <= 2
            assert hours == pytest.approx(53 + shifts.step_s / HOUR)
            assert after - before == pytest.approx(SHIFT, abs=0.6)

    def test_what_a_burst_was_is_not_the_level(self, shifts):
        """But for a part of it that is small among a day's samples, of which hourly ones are few."""
        for ((since, _, before, after),) in shifts.told("burst, and a higher level"):
            assert since == 110
            assert after - before == pytest.approx(1.5 * SHIFT, abs=0.8)
        for ((since, _, before, after),) in shifts.told("burst to a level"):
            assert 0 <= since <= 10
            assert after - before == pytest.approx(SHIFT, abs=1.5 if shifts.day > 24 else 2.5)

    @pytest.mark.parametrize("length", [10, 60, 200])
    def test_after_a_burst_everything_is_as_before(self, shifts, length):
        """Within some per cent of the burst; of hourly samples the level is a mean of 50, of which three are of the
        burst. A burst of more than a day is a level, and its end another.
        """
        kind = f"burst of {length}"
        if length > shifts.day:
            assert [[since for since, *_ in told] for told in shifts.told(kind)] == [[0, length]] * SEEDS
            return
        assert shifts.told(kind) == [[]] * SEEDS
        assert shifts.alarms[shifts.at : shifts.at + length, shifts.columns(kind)].any(axis=0).all()
        then = shifts.at + length + shifts.day
        steady = shifts.columns("steady")
        apart = shifts.levels[then, shifts.columns(kind)] - shifts.levels[then, steady]
        assert np.abs(apart).max() < (0.02 if shifts.day > 24 else 0.08) * SHIFT
        wider = shifts.spreads[then, shifts.columns(kind)] / shifts.spreads[then, steady]
        assert wider.max() < 1.07

    def test_a_second_burst_is_found_as_the_first_was(self, shifts):
        columns = shifts.columns("burst, and another")
        for first in (shifts.at, shifts.at + 60):
            assert shifts.alarms[first : first + 10, columns].any(axis=0).all()

    @pytest.mark.parametrize("kind", ["steady", "ramp", "drift", "spikes", "one far spike"])
    def test_what_does_not_settle_is_no_level(self, shifts, kind):
        assert shifts.told(kind) == [[]] * SEEDS

    def test_what_comes_slowly_is_followed_and_not_told(self, shifts):
        for kind in ("ramp", "drift"):
            assert not shifts.alarms[:, shifts.columns(kind)].any()

    def test_one_far_spike_is_one_alarm_and_teaches_little(self, shifts):
        columns = shifts.columns("one far spike")
        assert shifts.alarms[:, columns].sum(axis=0).tolist() == [1] * SEEDS
        apart = shifts.levels[shifts.at, columns] - shifts.levels[shifts.at, shifts.columns("steady")]
        assert np.abs(apart).max() < 0.5
