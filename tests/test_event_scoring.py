"""Alarms against labelled events: by hand, and against the plainest way to say the rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.event_scoring import WARM_UP, Counts, count, total

ROWS = 200


def flags(*places: int | range, rows: int = ROWS) -> np.ndarray:
    found = np.zeros(rows, dtype=bool)
    for place in places:
        found[list(place) if isinstance(place, range) else place] = True
    return found


def counted(labelled: list[int | range], alarming: list[int | range], rows: int = ROWS) -> Counts:
    return count(flags(*labelled, rows=rows), flags(*alarming, rows=rows))


def in_short(found: Counts) -> tuple[int, int, int, int, list[int]]:
    return found.events, found.found, found.episodes, found.right, list(found.delays)


# --- what is one event

LABELLED = [
    ([], 0),
    ([150], 1),
    ([range(150, 160)], 1),
    ([150, 153], 1),  # two rows without a label between them
    ([150, 154], 2),  # three
    ([150, 153, 156, 159], 1),  # from one to the next, however long it becomes
    ([199], 1),
    ([0, 99], 0),  # in the warm-up
    ([99, 100], 0),  # begins in it and goes on
    ([97, 100], 0),  # merged with one that begins in it
    ([96, 100], 1),  # not merged
    ([100], 1),
]


@pytest.mark.parametrize(("labelled", "events"), LABELLED)
def test_labels_that_are_one_event(labelled: list[int | range], events: int) -> None:
    assert counted(labelled, []).events == events


# --- what is found, and what is right: the event is 150 to 155, so its interval 150 to 157

FOUND = [
    ([], (1, 0, 0, 0, [])),
    ([150], (1, 1, 1, 1, [0])),
    ([155], (1, 1, 1, 1, [5])),
    ([157], (1, 1, 1, 1, [7])),  # two rows after the end
    ([158], (1, 0, 1, 0, [])),  # three
    ([149], (1, 0, 1, 0, [])),
    ([149, 150], (1, 1, 1, 0, [0])),  # found, by an episode that began before it
    ([140, 150], (1, 1, 1, 0, [0])),  # one episode
    ([139, 150], (1, 1, 2, 1, [0])),  # two
    ([151, 152, 153], (1, 1, 1, 1, [1])),
    ([153, 163, 173, 183], (1, 1, 1, 1, [3])),  # one that goes on for long after the event
    ([153, 164], (1, 1, 2, 1, [3])),
    ([99, 100], (1, 0, 1, 0, [])),  # the crossing in the warm-up is none
    ([99], (1, 0, 0, 0, [])),
    ([95, 105], (1, 0, 1, 0, [])),  # nor does it begin an episode: 105 does
]


@pytest.mark.parametrize(("alarming", "expected"), FOUND)
def test_one_event(alarming: list[int | range], expected: tuple[int, int, int, int, list[int]]) -> None:
    assert in_short(counted([range(150, 156)], alarming)) == expected


def test_two_events_found_by_one_episode() -> None:
    """150 and 158 are two events; 151 and 160 are nine apart, so one episode, whose first crossing is in the first."""
    assert in_short(counted([150, 158], [151, 160])) == (2, 2, 1, 1, [1, 2])


def test_two_episodes_in_one_event_are_both_right() -> None:
    assert in_short(counted([range(150, 180)], [152, 170])) == (1, 1, 2, 2, [2])


def test_two_events_next_to_each_other_share_no_row() -> None:
    """150 and 154: the intervals are 150 to 152 and 154 to 156, and 153 is in neither."""
    assert in_short(counted([150, 154], [153])) == (2, 0, 1, 0, [])
    assert in_short(counted([150, 154], [154])) == (2, 1, 1, 1, [0])


def test_an_event_at_the_end_of_the_file() -> None:
    assert in_short(counted([198, 199], [199])) == (1, 1, 1, 1, [1])
    assert in_short(counted([range(190, 200)], [])) == (1, 0, 0, 0, [])


def test_an_event_over_the_end_of_the_warm_up_is_no_event_and_excuses_nothing() -> None:
    assert in_short(counted([range(95, 110)], [105])) == (0, 0, 1, 0, [])


def test_a_file_that_is_warm_up_throughout_counts_nothing() -> None:
    assert counted([50], [50], rows=WARM_UP) == Counts(0, 0, 0, 0, 0, ())
    assert counted([], [], rows=0) == Counts(0, 0, 0, 0, 0, ())


# --- figures


def test_the_figures_of_two_files() -> None:
    """Of 3 events 2 are found; of 4 episodes 1 is right. Delays 0 and 3. 3 false ones in 100 + 400 judged rows."""
    both = total([Counts(100, 1, 1, 1, 1, (0,)), Counts(400, 2, 1, 3, 0, (3,))])
    assert (both.points, both.events, both.episodes) == (500, 3, 4)
    assert both.recall == 2 / 3
    assert both.precision == 1 / 4
    assert both.f1 == pytest.approx(2 * (1 / 4) * (2 / 3) / (1 / 4 + 2 / 3))  # 4/11
    assert both.median_delay == 1.5
    assert both.false_per_1000 == 6.0


def test_nothing_at_all_is_0_and_has_no_delay() -> None:
    none = total([])
    assert (none.precision, none.recall, none.f1, none.median_delay, none.false_per_1000) == (0, 0, 0, None, 0)


# --- the plainest way to say it


def runs_naive(rows: list[int], gap: int) -> list[list[int]]:
    found: list[list[int]] = []
    for row in rows:
        if found and row - found[-1][-1] <= gap:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def count_naive(labels: list[bool], crossings: list[bool]) -> tuple[int, int, int, int, list[int]]:
    events = [run for run in runs_naive([row for row, is_one in enumerate(labels) if is_one], 3) if run[0] >= 100]
    intervals = [range(run[0], run[-1] + 2 + 1) for run in events]
    alarms = [row for row, is_one in enumerate(crossings) if is_one and row >= 100]
    episodes = runs_naive(alarms, 10)
    delays = []
    for interval in intervals:
        for alarm in alarms:
            if alarm in interval:
                delays.append(alarm - interval[0])
                break
    right = [episode for episode in episodes if any(episode[0] in interval for interval in intervals)]
    return len(events), len(delays), len(episodes), len(right), delays


ROWS_OF_A_FILE = st.sets(st.integers(80, 219), max_size=40)


@given(labelled=ROWS_OF_A_FILE, alarming=ROWS_OF_A_FILE)
def test_against_the_naive_twin(labelled: set[int], alarming: set[int]) -> None:
    labels, crossings = flags(*labelled, rows=220), flags(*alarming, rows=220)
    assert in_short(count(labels, crossings)) == count_naive(labels.tolist(), crossings.tolist())


@given(labelled=ROWS_OF_A_FILE)
def test_alarming_where_it_is_labelled_is_perfect(labelled: set[int]) -> None:
    labels = flags(*labelled, rows=220)
    found = count(labels, labels)
    assert found.found == found.events
    assert set(found.delays) <= {0}
