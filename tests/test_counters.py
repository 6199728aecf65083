"""Increases of counters: the rules of ``counters.py`` by hand, and against the naive twin."""

import numpy as np
import pytest
from answers import answer
from hypothesis import given
from hypothesis import strategies as st
from naive import increments_naive, total_naive

from observability.model import Query
from observability.sources import counters

NAN = float("nan")
START_UP = 5
QUERY = Query(name="q", type="counter", promql="q")


def without_resets(values, before):
    """The values as a source keeps them, after a look back at ``before``."""
    labels = [{"row": f"{row:03d}"} for row in range(len(values))]
    return answer(QUERY, 0, labels, values, before).values


def increase(values, before=NAN, born=False):
    """The increases of one series."""
    origin = 0.0 if born and np.isnan(before) else before
    return counters.increases(without_resets([values], [before]), np.array([origin]))[0].tolist()


@pytest.mark.parametrize(
    ("values", "before", "expected"),
    [
        pytest.param([110, 125], 100, [110 - 100, 125 - 110], id="since the previous sample"),
        pytest.param([100, 100], 100, [0, 0], id="no increase is 0, not missing"),
        pytest.param([130, 20, 50], 100, [130 - 100, 20, 50 - 20], id="reset: the new value counts whole"),
        pytest.param([130, 0, 5], 100, [130 - 100, 0, 5 - 0], id="reset to 0"),
        pytest.param([30, 40], 100, [30, 40 - 30], id="reset right at the border"),
        pytest.param([110, NAN, NAN, 170], 100, [10, NAN, NAN, 170 - 110], id="gap: lands where it is seen again"),
        pytest.param([110, NAN, 30], 100, [10, NAN, 30], id="reset within a gap"),
        pytest.param([NAN, NAN], 100, [NAN, NAN], id="never seen again"),
        pytest.param([500, 520], NAN, [NAN, 520 - 500], id="unknown history: later increases only"),
        pytest.param([NAN, 500, 520], NAN, [NAN, NAN, 520 - 500], id="unknown history, later"),
        pytest.param([0.25, 1.75], 0, [0.25, 1.5], id="fractions, as of seconds"),
    ],
)
def test_increases(values, before, expected):
    np.testing.assert_array_equal(increase(values, before), expected)


def test_a_born_series_counts_from_zero():
    np.testing.assert_array_equal(increase([NAN, 7, 9], born=True), [NAN, 7 - 0, 9 - 7])


def test_a_known_history_wins_over_being_born():
    assert increase([107, 109], before=100, born=True) == [107 - 100, 109 - 107]


def test_every_scrape_of_a_step_counts():
    """Within one step 100 → 150, restart, 20 → 30: 50 + 30, where its last value alone would tell 30."""
    times = [15, 30, 45, 60 + 15]
    found = counters.unwrapped(
        np.array([150.0, 20.0, 30.0, 45.0]), np.array([100.0, 150.0, 20.0, 30.0]), np.array([0]), np.array([0.0])
    )
    assert found.tolist() == [150, 170, 180, 195], times


def births(*series):
    """Whether each series, as (first step, target, job), is born."""
    first, targets, jobs = zip(*series, strict=True)
    return counters.births(first, targets, jobs, START_UP).tolist()


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param([(0, "a", "web")], [False], id="the first ever seen"),
        pytest.param([(0, "a", "web"), (3, "a", "web")], [False, True], id="first error of a scraped target"),
        pytest.param([(0, "a", "web"), (0, "a", "web")], [False, False], id="both first seen in the same step"),
        pytest.param([(0, "a", "web"), (4, "b", "web")], [False, False], id="new target while the job starts"),
        pytest.param([(0, "a", "web"), (5, "b", "web")], [False, True], id="new target of a job that is known"),
        pytest.param([(-1, "a", "web"), (4, "b", "web")], [False, True], id="job known from before the first step"),
        pytest.param([(0, "a", "web"), (9, "r", "redis")], [False, False], id="another job's exporter is new"),
    ],
)
def test_births(series, expected):
    assert births(*series) == expected


@pytest.mark.parametrize(("step_s", "steps"), [(1, 300), (60, 5), (7, 43), (300, 1), (3600, 1)])
def test_start_up_is_five_minutes_rounded_up(step_s, steps):
    assert counters.start_up_steps(step_s) == steps


def test_first_seen():
    values = np.array([[NAN, 1, 2], [NAN, 1, 2], [NAN, NAN, NAN], [NAN, NAN, NAN], [3, NAN, NAN]])
    before = np.array([NAN, 0, 0, NAN, NAN])
    assert counters.first_seen(values, before).tolist() == [1, -1, -1, 3, 0]


def test_total_adds_what_is_known():
    increments = np.array([[1, NAN, NAN, 0], [2, 5, NAN, NAN]])
    np.testing.assert_array_equal(counters.total(increments), [3, 5, NAN, 0])


def test_total_of_no_series_is_missing():
    np.testing.assert_array_equal(counters.total(np.empty((0, 3))), [NAN] * 3)


NUMBER = st.one_of(st.none(), st.integers(0, 20))


@st.composite
def many_series(draw):
    steps = draw(st.integers(1, 15))
    one = st.fixed_dictionaries(
        {
            "target": st.sampled_from(["a1", "a2", "b1"]),
            "before": NUMBER,
            "values": st.lists(NUMBER, min_size=steps, max_size=steps),
        }
    ).map(lambda one: {**one, "job": one["target"][0]})
    return draw(st.lists(one, min_size=1, max_size=6))


def arrays(series):
    values = np.array([one["values"] for one in series], dtype=float)
    return values, np.array([one["before"] for one in series], dtype=float)


def increases_of(values, before, series):
    first = counters.first_seen(values, before).tolist()
    targets, jobs = [one["target"] for one in series], [one["job"] for one in series]
    born = counters.births(first, targets, jobs, START_UP)
    return counters.increases(without_resets(values, before), np.where(np.isnan(before) & born, 0.0, before))


@given(many_series())
def test_the_same_as_the_naive_twin(series):
    increments = increases_of(*arrays(series), series)
    naive = increments_naive(series, START_UP)
    np.testing.assert_array_equal(increments, np.array(naive, dtype=float))
    np.testing.assert_array_equal(counters.total(increments), np.array(total_naive(naive), dtype=float))


@given(many_series(), st.data())
def test_adjacent_windows_have_the_increases_of_the_whole(series, data):
    """The second window is asked for from its start-up time on, and for the last values before that."""
    values, before = arrays(series)
    middle = data.draw(st.integers(0, values.shape[1]))
    lead = min(middle, START_UP)
    history = np.column_stack([before, values[:, : middle - lead]])
    last = [next((v for v in row[::-1] if not np.isnan(v)), NAN) for row in history]
    whole = increases_of(values, before, series)
    first = increases_of(values[:, :middle], before, series) if middle else whole[:, :0]
    second = increases_of(values[:, middle - lead :], np.array(last), series)[:, lead:]
    np.testing.assert_array_equal(np.hstack([first, second]), whole)


def test_what_came_together_before_the_step():
    """60 after a gap of three steps: a third of it is the step's own. Nobody knows how long 0 steps were."""
    found = counters.earlier(np.array([60.0, 60.0, 60.0]), np.array([3, 1, 0]))
    assert found.tolist() == pytest.approx([60 - 60 / 3, 0, NAN], nan_ok=True)
