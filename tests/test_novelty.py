"""The novelty channel: by hand, and under what may change its alarms and what may not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import MADE, SHORT_NOVELTY

from observability.detection.novelty_bank import HIGH, SIZE, NoveltyBank

START, MINUTE, HOUR = 1_763_424_000.0, 60.0, 3600.0  # 2025-11-18T00:00:00Z


def scores_of(table, step_s=MINUTE, start=START, **parameters):
    """The scores of series side by side, of shape (steps, n) as the table, and the bank afterwards."""
    bank = NoveltyBank(table.shape[1], **parameters)
    scores = [bank.step_many(start + step_s * step, row) for step, row in enumerate(table)]
    return np.array(scores), bank


LATER_DOUBLED = (20.0, 10.0, 8.0, 10.0, 20.0, 10.0, 20.0, 10.0, 20.0, 10.0)
BEFORE = (10.0, 20.0) * 5
NO_MEMORY = {"level_h": 1e-6, "fast_h": 1e-6, "clip": 0.01, "warm_up_h": 0.7, "rest_h": 0.3, "recover_h": 0.5}


class TestByHand:
    """A sample an hour, each of which stands for five minutes, on one day of one week.

    Level and smoothed signals have no memory: the level is the value before. No hour is seen twice, so the signals that
    are about hours are 0. z₁ is clipped so early that it is ±0.01, and breaks no record. What is left is the value, its
    difference from the one before, and its quotient with the size of the one before, plus a thousandth of the range.
    """

    def scores(self, *values, before=BEFORE):
        """Of the values that come after ten others, none of which scores; of eight and a half is nothing scored."""
        table = np.array([*before, *values])[:, np.newaxis]
        found = scores_of(table, step_s=HOUR, **NO_MEMORY)[0][:, 0].tolist()
        assert not any(found[:10])
        return found[10:]

    def evidence(self, widths):
        return math.log(1 + widths / 0.075)

    def test_within_its_range_nothing_is_new(self):
        assert self.scores(10.0, 20.0, 12.0, 18.0, 10.0, 20.0) == [0.0] * 6

    def test_a_record_is_told_by_its_widths(self):
        """22 after 20 is new, by 2 of 10. That 2 more is no large step, and 22/20 no large quotient."""
        assert self.scores(22.0) == [pytest.approx(self.evidence(0.2))]
        assert self.scores(10.0, 8.0) == [0.0, pytest.approx(self.evidence(0.2))]

    def test_evidence_adds_up(self):
        """From 10 to 20.5: the value is new by .5 of 10, the step by .5 of 20, and the quotient, from 10/20.01 to 20/10
        before, by what asinh makes of it."""
        low, high, size = (math.asinh(one) for one in (10 / 20.01, 20 / 10, 20.5 / 10.01))
        expected = self.evidence(0.5 / 10) + self.evidence(0.5 / 20) + self.evidence((size - high) / (high - low))
        assert self.scores(10.0, 20.5) == [0.0, pytest.approx(expected)]

    def test_a_quotient_is_measured_on_the_scale_of_asinh(self):
        """From 8 to 18 is no record, and no record of a step, but the KPI has more than doubled."""
        low, high, size = (math.asinh(one) for one in (10 / 20.012, 20 / 10.012, 18 / 8.012))
        expected = self.evidence((size - high) / (high - low))
        assert self.scores(8.0, 18.0, before=LATER_DOUBLED) == [0.0, pytest.approx(expected)]

    def test_so_another_zero_changes_alarms(self):
        """1,018 after 1,008 is hardly more of a change than 1,020 after 1,010."""
        threshold = NoveltyBank(1).threshold
        _, there = self.scores(1008.0, 1018.0, before=[1000 + value for value in LATER_DOUBLED])
        assert there < threshold < self.scores(8.0, 18.0, before=LATER_DOUBLED)[1]

    def test_ten_widths_say_it_all(self):
        """What never moved has ranges of no width. A move is new in value, step, quotient and z₁."""
        assert self.scores(6.0, before=[5.0] * 10) == [pytest.approx(4 * self.evidence(10))]

    def test_rounding_makes_no_record(self):
        assert self.scores(20.0 + 1e-9, 20.0 - 1e-9, 10.0 - 1e-9) == [0.0, 0.0, 0.0]
        assert self.scores(20.0 + 1e-7)[0] > 0

    def test_the_same_again_is_no_news(self):
        assert self.scores(22.0, *[20.0] * 6, 22.0)[1:] == [0.0] * 7

    def test_for_a_while_little_more_is_not_told_and_then_less_by_what_was(self):
        """22 is told; 24 comes two samples later, within the 3.6 that are .3 h; 27 five later, within which F has lost
        5/6 of a halving."""
        told, later = self.evidence(2 / 10), self.evidence(3 / 14)
        score = later - 0.2 * math.log(1 + told * 0.5 ** (5 / 6))
        assert self.scores(22.0, 20.0, 24.0, 20.0, 20.0, 27.0) == [
            pytest.approx(told),
            0,
            0,
            0,
            0,
            pytest.approx(score),
        ]

    def test_much_more_is_told_at_once_and_counts_as_the_difference(self):
        """20.1, and 22 two samples later, which has 10 times the evidence; 25 comes five after that."""
        first, second, third = self.evidence(0.1 / 10), self.evidence(1.9 / 10.1), self.evidence(3 / 12)
        fatigue = first * 0.5 ** (2 / 6)
        expected = [first, 0, second - 0.2 * math.log(1 + fatigue)]
        fatigue = (fatigue + second - first) * 0.5 ** (5 / 6)
        expected += [0, 0, 0, 0, third - 0.2 * math.log(1 + fatigue)]
        assert self.scores(20.1, 20.0, 22.0, *[20.0] * 4, 25.0) == pytest.approx(expected)

    def test_nothing_is_told_before_it_has_learned_for_a_while(self):
        """.7 h are 8.4 samples: so nine."""
        table = np.array([*BEFORE[:8], 1000.0])[:, np.newaxis]
        assert not scores_of(table, step_s=HOUR, **NO_MEMORY)[0].any()
        table = np.array([*BEFORE[:9], 1000.0])[:, np.newaxis]
        assert scores_of(table, step_s=HOUR, **NO_MEMORY)[0][9] > 0

    def test_what_is_expected_is_the_hour_of_the_day_and_the_band_is_the_range(self):
        """20 at every odd hour, 10 at every even one; on the second day an even hour takes in .35 of a 12."""
        _, bank = scores_of(np.array([*BEFORE[:2] * 12, 12.0])[:, np.newaxis], step_s=HOUR)
        for hour, expected in ((25, 20.0), (26, 10.0), (48, 10 + 0.35 * 2)):
            reading = bank.read_many(START + HOUR * hour, np.array([15.0]))
            assert (reading.expected[0], reading.low[0], reading.high[0]) == (pytest.approx(expected), 10, 20)


EXAMPLES = given(kpi=MADE, parameters=st.sampled_from([{}, SHORT_NOVELTY]))


@settings(max_examples=40)
@EXAMPLES
def test_another_unit_changes_no_alarm(kpi, parameters):
    """Factors of two change no digit; with others the scores are the same but for rounding."""
    factors = np.array([1.0, 2.0**40, 2.0**-40, -1.0, -0.125, 3.7, 1e-9, 1e9])
    never_0 = kpi.values()[:, np.newaxis] + 0.1
    scores, _ = scores_of(never_0 * factors, **parameters)
    np.testing.assert_array_equal(scores[:, 1:5], scores[:, [0] * 4])
    np.testing.assert_allclose(scores[:, 5:], scores[:, [0] * 3], rtol=1e-6, atol=1e-6)


@settings(max_examples=40)
@EXAMPLES
def test_another_time_zone_changes_no_alarm(kpi, parameters):
    hours = np.array([0, 1, 5, -8, 14, 24 * 365])
    table = np.repeat(kpi.values()[:, np.newaxis], hours.size, axis=1)
    scores, _ = scores_of(table, start=START + 13 * MINUTE + HOUR * hours, **parameters)
    np.testing.assert_array_equal(scores, scores[:, [0] * hours.size])


def test_a_kpi_that_was_0_at_first_has_quotients_too():
    values = np.concatenate([[0.0], 10 + np.sin(np.arange(999))])
    _, bank = scores_of(values[:, np.newaxis] * np.array([1.0, 1e6]))
    scores = bank.score_many(START + 1000 * MINUTE, np.array([1e4, 1e10]))
    assert scores[0] == pytest.approx(scores[1])
    assert bank.state[HIGH + SIZE].max() < 1e6
