"""Following a server: the same samples give the same columns, however the time is cut, and those of ``fetch``."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pods import PLAN, made
from stores import Reader, Store, assert_same, fetched, followed

SEEDS = st.integers(0, 10_000)


@st.composite
def cut_time(draw):
    """How many steps, where they are cut, and where another follower goes on."""
    steps = draw(st.integers(2, 60))
    cuts = {*draw(st.sets(st.integers(1, steps - 1), max_size=8)), steps}
    return steps, cuts, draw(st.sets(st.sampled_from(sorted(cuts))))


@settings(max_examples=40, deadline=None)
@given(SEEDS, cut_time(), st.booleans(), st.sampled_from([1, 3, 10_000]))
def test_it_does_not_matter_how_the_time_is_cut(seed, time, whole, part_steps):
    steps, cuts, restarts = time
    raw = made(seed, steps, pods=3, whole=whole)
    step_by_step = followed(Store(raw), PLAN, range(steps + 1))
    assert_same(followed(Store(raw, part_steps), PLAN, cuts, restarts), step_by_step, PLAN)


@settings(max_examples=20, deadline=None)
@given(SEEDS, cut_time())
def test_the_memory_is_the_same_however_the_time_is_cut(seed, time):
    steps, cuts, _ = time
    raw = made(seed, steps, pods=3)
    one, other = Reader(Store(raw), PLAN), Reader(Store(raw), PLAN)
    one.read(steps)
    for cut in sorted(cuts):
        other.read(cut - other.until)
    expected, found = one.follower.memory(), other.follower.memory()
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 120))
def test_the_columns_are_those_of_fetch(seed, steps):
    """But for the last bits of ``q.earlier``, whose parts are added in another order."""
    raw = made(seed, steps)
    assert_same(followed(Store(raw), PLAN, [steps]), fetched(Store(raw), PLAN, steps), PLAN, tolerance=1e-12)
