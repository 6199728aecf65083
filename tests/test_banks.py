"""Each bank against its slow twin, one series at a time and after every step; and what all banks have in common."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import SHORT_NOVELTY, SHORT_SIGNIFICANCE
from naive import EwmaNaive, NoveltyNaive, SignificanceNaive

from observability.detection import bank as bank_module
from observability.detection.bank import BLOCK
from observability.detection.ewma import EwmaBank, EwmaZScore
from observability.detection.novelty import Novelty
from observability.detection.novelty_bank import NoveltyBank
from observability.detection.significance import Significance
from observability.detection.significance_bank import SignificanceBank

NAN, INF = float("nan"), float("inf")
START, STEP = 1_763_424_000.0, 60.0  # 2025-11-18T00:00:00Z, and a minute


@dataclass(frozen=True)
class Pair:
    """A bank, called with its number of series, its twin, its river estimator, and its parameters in all three."""

    bank: Any
    twin: Any
    estimator: Any
    parameters: dict[str, Any]
    steps: int = 120


PAIRS = {
    "ewma": Pair(EwmaBank, EwmaNaive, EwmaZScore, {"alpha": 0.1, "warm_up": 20}),
    "ewma, fast": Pair(EwmaBank, EwmaNaive, EwmaZScore, {"alpha": 0.9, "warm_up": 0}),
    "significance": Pair(SignificanceBank, SignificanceNaive, Significance, {}),
    "significance, short": Pair(SignificanceBank, SignificanceNaive, Significance, SHORT_SIGNIFICANCE, 200),
    "significance, slow": Pair(
        SignificanceBank,
        SignificanceNaive,
        Significance,
        {"level_samples": 120.0, "spread_h": 0.5, "spread_samples": 10.0, "warm_up": 100.0},
        200,
    ),
    "novelty": Pair(NoveltyBank, NoveltyNaive, Novelty, {}, 240),
    "novelty, short": Pair(NoveltyBank, NoveltyNaive, Novelty, SHORT_NOVELTY),
}


def inputs(steps):
    """Name → times and values, each of shape (steps,)."""
    rng = np.random.default_rng(11)
    regular, noise = START + STEP * np.arange(steps), rng.normal(0.0, 1.0, steps)
    burst = np.where(np.arange(steps) == steps - 20, 30.0, 0.0)
    mostly = (np.arange(steps) > 60) & (np.arange(steps) % 5 > 0)
    gaps = np.where(rng.random(steps) < 0.3, rng.choice([NAN, INF, -INF], steps), noise)
    return {
        "flat": (regular, np.full(steps, 0.3)),
        "flat, then not": (regular, np.where(np.arange(steps) < steps - 30, 7.0, 7.5)),
        "zero": (regular, np.zeros(steps)),
        "zero, then not": (regular, np.where(np.arange(steps) < steps - 30, 0.0, 1e-9)),
        "noise": (regular, 100 + noise + burst),
        "huge": (regular, 1e12 * (1 + 0.01 * noise + burst)),
        "huge, hardly moving": (regular, 1e12 + noise),
        "tiny": (regular, 1e-12 * (5 + noise + burst)),
        "up and down again": (regular, 100 + noise + np.where(np.arange(steps) // (steps // 3) == 1, 30.0, 0.0)),
        "up, but for every fifth": (regular, 100 + noise + 30.0 * mostly),
        "below zero": (regular, -50 + noise - burst),
        "with a season": (
            START + 3600 * np.arange(steps),
            10 + 5 * np.sin(np.arange(steps) * np.pi / 12) + 0.1 * noise,
        ),
        "a sample a day": (START + 86_400 * np.arange(steps), 10 + rng.standard_t(1.2, steps)),
        "gaps": (regular, gaps),
        "nothing": (regular, np.full(steps, NAN)),
        "irregular": (START + np.cumsum(rng.exponential(STEP, steps)), noise),
        "a gap of ten years": (regular + np.where(np.arange(steps) < steps // 2, 0, 3.2e8), 20 + noise),
        "out of order": (regular + rng.choice([0.0, -STEP, -5 * STEP], steps), noise),
        "the clock jumps back": (regular - np.where(np.arange(steps) == steps // 2, 1e6, 0), 20 + noise),
        "the same second": (np.repeat(regular, 2)[:steps], noise),
    }


def read_all(pair, times, table):
    """The readings of all steps, of shape (5, steps, n), and the bank; ``times``: of shape (steps,), or (steps, n)."""
    bank = pair.bank(table.shape[1], **pair.parameters)
    readings = [bank.read_many(t, row, learn=True) for t, row in zip(times, table, strict=True)]
    return np.array(readings, dtype=float).swapaxes(0, 1), bank


def assert_agrees(reading, at, expected, largest):
    """What a bank said of its series ``at``, and what its twin says; ``largest`` is the largest value so far, against
    which numbers in the series' unit are rounded."""
    scored, score, *numbers = expected
    assert reading.scored[at] == scored
    assert reading.score[at] == pytest.approx(score, rel=1e-6, abs=1e-9)
    for found, wanted in zip(reading[2:], numbers, strict=True):
        if wanted is None:
            assert np.isnan(found[at])
        else:
            assert found[at] == pytest.approx(wanted, rel=1e-6, abs=1e-9 * largest)


def assert_same_levels(bank, twins):
    for at, twin in enumerate(twins):
        found = [tuple(level[1:]) for level in bank.new_levels if level.series == at]
        assert found == [pytest.approx(level, rel=1e-6) for level in getattr(twin, "new_levels", [])]


def largest(values):
    return max(abs(value) for value in [0.0, *values] if np.isfinite(value))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_bank_agrees_with_its_twin_after_every_step(pair):
    series = list(inputs(pair.steps).values())
    bank, twins = pair.bank(len(series), **pair.parameters), [pair.twin(**pair.parameters) for _ in series]
    for step in range(pair.steps):
        times, values = (np.array([one[part][step] for one in series]) for part in (0, 1))
        reading = bank.read_many(times, values)
        for at, (twin, sample) in enumerate(zip(twins, zip(times.tolist(), values.tolist(), strict=True), strict=True)):
            assert_agrees(reading, at, twin.read(*sample), largest(series[at][1][: step + 1].tolist()))
            twin.learn(*sample)
        bank.learn_many(times, values)
        assert_same_levels(bank, twins)


def three_weeks():
    """Name → values of every quarter of an hour: long enough for the weekly bins, and for new levels."""
    rng, hours = np.random.default_rng(12), np.arange(3 * 7 * 24 * 4) / 4
    day, is_weekend = 10 * np.sin(hours * np.pi / 12), hours // 24 % 7 > 4
    steady = 100 + day - 15 * is_weekend + rng.normal(0, 1, hours.size)
    return {
        "steady": steady,
        "a new level": steady + 40 * (hours > 250),
        "up, down, and up": 100 + day + 20 * (hours // 120 % 2) + rng.normal(0, 1, hours.size),
        "a burst of eight hours": steady + 60 * ((hours > 300) & (hours < 308)),
        "heavy tails": 100 + rng.standard_t(2, hours.size),
        "counts": rng.poisson(0.05, hours.size).astype(float),
        "a walk": np.cumsum(rng.normal(0, 1, hours.size)),
        "gaps": np.where(rng.random(hours.size) < 0.4, NAN, steady),
        "a day without data": np.where((hours > 270) & (hours < 294), NAN, steady + 40 * (hours > 260)),
    }


@pytest.mark.parametrize("pair", [PAIRS["significance"], PAIRS["novelty"]], ids=["significance", "novelty"])
def test_a_bank_agrees_with_its_twin_for_three_weeks(pair):
    table = np.array(list(three_weeks().values()))
    bank, twins = pair.bank(len(table)), [pair.twin() for _ in table]
    for step, row in enumerate(table.T):
        t = START + 900.0 * step
        reading = bank.read_many(t, row, learn=True)
        for at, (twin, value) in enumerate(zip(twins, row.tolist(), strict=True)):
            assert_agrees(reading, at, twin.read(t, value), 1000.0)
            twin.learn(t, value)
    assert_same_levels(bank, twins)
    assert len(bank.new_levels) > 3 or pair.bank is NoveltyBank


# Seconds since the sample before, value, and how often that comes: long enough for runs of the same.
# Deviations of numbers near the smallest that there are have but a few digits, so these are left out.
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from([60.0, 60.0, 60.0, 900.0, 0.0, -60.0, 1e8]),
        st.one_of(
            st.just(NAN),
            st.floats(-1e6, 1e6).map(lambda value: value if abs(value) > 1e-100 else 0.0),
            st.sampled_from([0.0, 10.0, 10.0, 1e12, 1e-12, INF]),
        ),
        st.sampled_from([1, 1, 2, 5, 30]),
    ),
    max_size=30,
).map(lambda runs: [(later, value) for later, value, times in runs for _ in range(times)][:200])


@settings(max_examples=60)
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@given(samples=SAMPLES)
def test_a_bank_agrees_with_its_twin_on_whatever_comes(pair, samples):
    bank, twin, t = pair.bank(1, **pair.parameters), pair.twin(**pair.parameters), START
    for step, (later, value) in enumerate(samples):
        t += later
        so_far = largest(value for _, value in samples[: step + 1])
        assert_agrees(bank.read_many(t, np.array([value])), 0, twin.read(t, value), so_far)
        twin.learn(t, value)
        bank.learn_many(t, np.array([value]))
    assert_same_levels(bank, [twin])


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
class TestEveryBank:
    def test_scoring_changes_nothing_and_a_step_is_a_score_and_a_lesson(self, pair):
        series = list(inputs(pair.steps).values())
        bank = pair.bank(len(series), **pair.parameters)
        for step in range(pair.steps):
            times, values = (np.array([one[part][step] for one in series]) for part in (0, 1))
            other = copy.deepcopy(bank)
            score = bank.score_many(times, values)
            np.testing.assert_array_equal(bank.score_many(times, values), score)
            np.testing.assert_array_equal(bank.read_many(times, values).score, score)
            reading = bank.read_many(times, values)
            again = copy.deepcopy(other)
            for column, of_step in zip(reading, again.read_many(times, values, learn=True), strict=True):
                np.testing.assert_array_equal(column, of_step)
            np.testing.assert_array_equal(other.step_many(times, values), score)
            bank.learn_many(times, values)
            ahead = START + 1e9, values
            for one in (other, again):
                np.testing.assert_array_equal(bank.score_many(*ahead), one.score_many(*ahead))

    def test_one_series_is_the_estimator_and_the_same_beside_others(self, pair):
        for times, values in inputs(pair.steps).values():
            many, one = pair.bank(3, **pair.parameters), pair.estimator(**pair.parameters)
            for t, value in zip(times.tolist(), values.tolist(), strict=True):
                row = np.array([value, -value, NAN])
                assert one.score_one({"t": t}, value) == many.score_many(t, row)[0]
                one.learn_one({"t": t}, value)
                many.learn_many(t, row)

    def test_series_side_by_side_are_as_each_alone_and_in_blocks(self, pair, monkeypatch):
        """Also where the block's series have their times in one number, or each its own."""
        series = list(inputs(pair.steps).values())
        together = [np.array(part).T for part in zip(*series, strict=True)]
        side_by_side, bank = read_all(pair, *together)
        for column, (times, values) in enumerate(series):
            alone, _ = read_all(pair, times, values[:, np.newaxis])
            np.testing.assert_array_equal(alone[:, :, 0], side_by_side[:, :, column])
        monkeypatch.setattr(bank_module, "BLOCK", 4)
        in_blocks, other = read_all(pair, *together)
        np.testing.assert_array_equal(in_blocks, side_by_side)
        assert sorted(other.new_levels) == sorted(bank.new_levels)

    def test_missing_and_late_samples_between_change_nothing(self, pair):
        regular = START + STEP * np.arange(pair.steps)
        table = np.array([values for times, values in inputs(pair.steps).values() if np.isfinite(values).all()]).T
        plain, disturbed = (pair.bank(table.shape[1], **pair.parameters) for _ in range(2))
        for t, row in zip(regular.tolist(), table, strict=True):
            np.testing.assert_array_equal(disturbed.step_many(t, row), plain.step_many(t, row))
            for late in (t, t - STEP, -INF, INF, NAN):
                assert not disturbed.step_many(late, row + 7).any()
                assert not disturbed.step_many(np.full(row.size, late), row + 7).any()
            for missing in (NAN, INF, -1.1e300):
                assert not disturbed.step_many(t + 1, np.full(row.size, missing)).any()
        assert disturbed.new_levels == plain.new_levels

    def test_no_score_is_ever_nan_and_what_is_not_scored_says_nothing(self, pair):
        values = np.array([1e299, -1e299, 1.7e308, 0.0, 5e-324, NAN, INF])
        bank = pair.bank(values.size, **pair.parameters)
        for step in range(pair.steps):
            reading = bank.read_many(START + STEP * step, np.roll(values, step))
            assert np.isfinite(reading.score).all()
            assert (reading.score >= 0).all()
            assert (reading.score[~reading.scored] == 0).all()
            assert np.isnan([column[~reading.scored] for column in reading[2:]]).all()
            assert not np.isnan([column[reading.scored] for column in reading[2:]]).any()
            bank.learn_many(START + STEP * step, np.roll(values, step))

    def test_the_bytes_that_each_series_takes_are_told(self, pair):
        def held(bank):
            return sum(one.nbytes for one in vars(bank).values() if isinstance(one, np.ndarray))

        few, many = pair.bank(BLOCK, **pair.parameters), pair.bank(BLOCK + 1000, **pair.parameters)
        assert many.nbytes - few.nbytes == held(many) - held(few) > 0


@pytest.mark.parametrize(
    "pair", [PAIRS[name] for name in ("ewma", "ewma, fast", "significance", "significance, short")]
)
def test_outside_the_band_the_score_reaches_the_threshold_and_inside_not(pair):
    times, values = inputs(pair.steps)["noise"]
    bank = pair.bank(1, **pair.parameters)
    for t, value in zip(times[:-30].tolist(), values[:-30].tolist(), strict=True):
        bank.learn_many(t, np.array([value]))
    now = times[-30]
    reading = bank.read_many(now, values[-30:-29])
    for end, way in ((reading.low[0], -1), (reading.high[0], 1)):
        if np.isfinite(end):
            assert bank.score_many(now, np.array([end + way * 1e-6 * abs(end)]))[0] >= bank.threshold
            assert bank.score_many(now, np.array([end - way * 1e-6 * abs(end)]))[0] < bank.threshold
