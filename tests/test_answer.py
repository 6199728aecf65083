"""From scrapes to the steps' grid: in any parts the same, and the same as the naive twin."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from answers import points
from hypothesis import given
from hypothesis import strategies as st
from naive import scrapes_naive

from observability.model import Query
from observability.sources import counters
from observability.sources.answer import Grid, Series, Tally

QUERY = Query(name="q", type="counter", promql="q")
BUCKETS = Query(name="q", type="buckets", promql="q_bucket")
STEP_S, STEPS = 60, 10
GRID = Grid(0.0, STEP_S, STEPS, 0)


SCRAPES = st.lists(
    st.tuples(st.integers(-100, STEP_S * STEPS + 100), st.integers(0, 50)), unique_by=lambda one: one[0]
).map(sorted)


@given(st.lists(st.tuples(st.integers(0, 50), SCRAPES), min_size=1, max_size=4), st.sets(st.integers(1, STEPS - 1)))
def test_the_same_as_the_naive_twin_in_any_parts(series, cuts):
    """Every part returns all samples, those beyond its borders too."""
    labels = [{"instance": str(number)} for number in range(len(series))]
    tally, window = Tally(QUERY, GRID), (0, STEP_S * STEPS)
    named = list(zip(labels, series, strict=True))
    tally.look_back([Series(label, value=(-1.0, str(before))) for label, (before, _) in named])
    found = [Series(label, values=points(samples)) for label, (_, samples) in named]
    for low, high in pairwise([0, *sorted(cuts), STEPS]):
        tally.add(found, low, high, raw=True)
    answer = tally.answer(())
    expected, resets = zip(*(scrapes_naive(samples, before, window, STEP_S) for before, samples in series), strict=True)
    np.testing.assert_array_equal(counters.increases(answer.values, answer.before), np.array(expected, dtype=float))
    found = [set(answer.resets.steps[answer.resets.rows == row].tolist()) for row in range(len(series))]
    assert found == list(resets)
    for row, (_, samples) in enumerate(series):
        inside = [(second, value) for second, value in samples if 0 <= second < window[1]]
        for second, _ in inside:
            last = [value for other, value in inside if other // STEP_S <= second // STEP_S][-1]
            assert answer.raw_at(row, second // STEP_S) == last
    first = [next((value for second, value in samples if 0 <= second < window[1]), np.nan) for _, samples in series]
    np.testing.assert_array_equal(answer.first, first)


def test_a_step_with_several_scrapes_has_all_of_their_increases():
    """100, then 130 and 150 in the step, a restart, 20 and 30. The last value alone would tell 30."""
    tally = Tally(QUERY, GRID)
    tally.look_back([Series({}, value=(-1.0, "100"))])
    tally.add([Series({}, values=points([(10, 130), (25, 150), (40, 20), (55, 30)]))], 0, STEPS, raw=True)
    answer = tally.answer(())
    assert counters.increases(answer.values, answer.before)[0, 0] == 30 + 20 + 20 + 10
    assert (answer.resets.steps.tolist(), answer.resets.offsets.tolist()) == ([0], [150])


def test_the_sample_at_the_border_belongs_to_the_step_that_it_begins():
    tally = Tally(QUERY, GRID)
    tally.look_back([Series({}, value=(-1.0, "0"))])
    tally.add([Series({}, values=points([(59.999, 1), (60, 3), (600, 9)]))], 0, STEPS, raw=True)
    answer = tally.answer(())
    assert counters.increases(answer.values, answer.before)[0, :2].tolist() == [1, 2]
    assert np.isnan(answer.values[0, 2:]).all()


def test_one_bucket_under_two_spellings_is_one_series():
    """As after an update of a client library: 1 until the second minute, 1.0 from then on."""
    tally = Tally(BUCKETS, GRID)
    tally.look_back([Series({"le": "1"}, value=(-1.0, "5"))])
    spelled = [Series({"le": "1"}, values=points([(10, 7)])), Series({"le": "1.0"}, values=points([(70, 9), (10, 7)]))]
    tally.add(spelled, 0, STEPS, raw=True)
    answer = tally.answer(())
    assert [labels["le"] for labels in answer.labels] == ["1.0"]
    assert counters.increases(answer.values, answer.before)[0, :2].tolist() == [2, 2]


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_left_out_and_counted(text):
    tally = Tally(QUERY, GRID)
    tally.look_back([Series({}, value=(-1.0, text))])
    tally.add([Series({}, values=points([(10, 5), (70, text), (130, 8)]))], 0, STEPS, raw=True)
    answer = tally.answer(())
    assert (answer.dropped.tolist(), answer.before.tolist()) == ([1], pytest.approx([np.nan], nan_ok=True))
    assert answer.values[0, :3].tolist() == pytest.approx([5, np.nan, 8], nan_ok=True)


def test_many_series_are_kept_apart():
    tally = Tally(QUERY, GRID)
    tally.look_back([])
    series = [Series({"instance": f"{number:03d}"}, values=points([(10, number)])) for number in range(100)]
    tally.add(series, 0, STEPS, raw=True)
    assert tally.answer(()).values[:, 0].tolist() == list(range(100))


@pytest.mark.parametrize(
    "text", [b"[[0,null]]", b'[[0,"many"]]', b'[[0,"1"],[60]]', b'[["1"]]', b'[[0,"1x"],[60,"2"]]', b'[{"a":1}]']
)
def test_what_is_no_point_is_an_error(text):
    with pytest.raises(ValueError, match=r"something else than pairs|could not be read"):
        Tally(QUERY, GRID).add([Series({}, values=msgspec.Raw(text))], 0, STEPS, raw=True)


def test_gaps_are_told_with_the_values_around_them():
    """Not seen in steps 1 and 2, and 4; a series that begins in step 3 has no gap before it."""
    tally = Tally(QUERY, GRID)
    tally.look_back([Series({"a": "1"}, value=(-1.0, "1"))])
    found = [
        Series({"a": "0"}, values=points([(190, 7), (250, 8)])),
        Series({"a": "1"}, values=points([(10, 5), (190, 9), (310, 2)])),
    ]
    for low, high in ((0, 4), (4, STEPS)):
        tally.add(found, low, high, raw=True)
    gaps = tally.answer(()).gaps
    assert [one.tolist() for one in (gaps.rows, gaps.since, gaps.until)] == [[1, 1], [0, 3], [3, 5]]
    assert (gaps.before.tolist(), gaps.after.tolist()) == ([5, 9], [9, 2])


def test_a_series_that_was_last_seen_before_the_grid_has_a_gap_from_there():
    tally = Tally(QUERY, GRID)
    tally.look_back([Series({}, value=(-1.0, "4"))])
    tally.add([Series({}, values=points([(190, 7)]))], 0, STEPS, raw=True)
    gaps = tally.answer(()).gaps
    assert (gaps.since.tolist(), gaps.until.tolist(), gaps.before.tolist()) == ([-1], [3], [4])
