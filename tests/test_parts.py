"""Which requests a window is asked for with, and how their length follows from the answers."""

from datetime import UTC, datetime

import pytest

from observability.model import Query
from observability.sources import parts
from observability.sources.parts import Course

START = datetime(2025, 11, 18, tzinfo=UTC)
DAY = 1440


def course(kind="counter", promql="last_over_time(a_total[60s])", steps=DAY, series=1, step_s=60):
    return Course(Query(name="q", type=kind, promql=promql), START, steps, step_s, series)


def asked(of, size):
    """All parts, when every answer has ``size(part)`` bytes."""
    found = []
    while (part := of.part()) is not None:
        found.append(part)
        of.answered(part, size(part))
    return found


def test_the_parts_follow_on_each_other_and_cover_the_window():
    found = asked(course(series=1000), lambda part: (part.high - part.low) * 50_000)
    assert [part.low for part in found] == [0, *(part.high for part in found[:-1])]
    assert found[-1].high == DAY


def test_the_first_part_is_laid_out_for_the_number_of_series():
    # 1,000 series every 15 s are 4 · 1,000 · 28 = 112,000 bytes a minute: 8 MB are 71 minutes.
    assert course(series=1000).part().high == 71
    assert course(series=1).part().high == DAY


def test_later_parts_are_as_long_as_the_last_answer_tells():
    of = course(series=1000)
    of.answered(of.part(), 2_000_000)  # 71 minutes were a quarter of what is aimed at
    assert of.part().high - 71 == 4 * 71
    of.answered(of.part(), 16_000_000)  # and 284 are twice of it
    assert of.part().high - 5 * 71 == 142


def test_an_empty_answer_makes_the_next_part_four_times_as_long_and_no_longer():
    of = course(series=1000)
    of.answered(of.part(), 60)
    assert of.part().high - 71 == 4 * 71


def test_a_part_that_is_too_much_is_halved_down_to_one_step():
    of = course(steps=5)
    lengths = []
    while of.was_too_much(of.part()):
        lengths.append(of.part().high)
    assert lengths == [2, 1]


def test_raw_samples_are_asked_for_up_to_the_last_millisecond():
    part = course(steps=3).part()
    assert (part.promql, part.endpoint, part.params) == ("a_total[180s]", "query", {"time": "2025-11-18T00:02:59.999Z"})


@pytest.mark.parametrize("kind", ["gauge", "alerts"])
def test_other_queries_are_evaluated_at_the_end_of_each_step(kind):
    part = course(kind, "sum(up)", steps=3).part()
    times = {"start": "2025-11-18T00:00:59.999Z", "end": "2025-11-18T00:02:59.999Z", "step": "60"}
    assert (part.promql, part.endpoint, part.params) == ("sum(up)", "query_range", times)


def test_a_range_query_keeps_the_servers_limit_of_points():
    found = asked(course("gauge", "up", steps=30_000, step_s=5), lambda _: 10)
    assert [part.high - part.low for part in found] == [parts.MAX_POINTS, parts.MAX_POINTS, 8_000]


def test_a_part_of_one_step_is_an_instant_query_where_that_is_wanted():
    query = Query(name="q", type="gauge", promql="up")
    part = Course(query, START, 1, 60, instant=True).part()
    assert (part.endpoint, part.kind, part.params) == ("query", "vector", {"time": "2025-11-18T00:00:59.999Z"})
    assert Course(query, START, 1, 60).part().endpoint == "query_range"
    assert Course(query, START, 2, 60, instant=True).part().endpoint == "query_range"


@pytest.mark.parametrize(
    ("kind", "goes_on", "looks_back"), [("counter", False, True), ("counter", True, False), ("gauge", False, False)]
)
def test_only_counters_that_begin_look_back(kind, goes_on, looks_back):
    assert Course(Query(name="q", type=kind, promql="a"), START, 1, 60, goes_on=goes_on).looks_back is looks_back
