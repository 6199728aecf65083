"""Alarms against labelled events: by hand, and against the plainest way to say the rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.event_scoring import WARM_UP, Counts, by_event, count, f1, sweep, total

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


# --- rows that are judged

JUDGED = flags(range(50, 60), range(70, 100), rows=120)


def judged(labelled: list[int | range], alarming: list[int | range]) -> Counts:
    return count(flags(*labelled, rows=120), flags(*alarming, rows=120), JUDGED)


def test_only_rows_that_are_judged_count() -> None:
    assert judged([75, 110], [20, 65, 75, 115]) == Counts(40, 1, 1, 1, 1, (0,), quiet=37, quiet_alarms=0)
    assert judged([65, 75], [65, 66]) == Counts(40, 1, 0, 0, 0, (), quiet=37, quiet_alarms=0)


def test_an_episode_does_not_begin_before_it_is_judged() -> None:
    """65 would be its first crossing, 10 before 75; so it is 75 that is right."""
    assert in_short(judged([75], [65, 75])) == (1, 1, 1, 1, [0])


def test_an_event_that_reaches_out_of_what_is_judged_is_found_within() -> None:
    """It begins in 95, and 99 is the last row that is judged: 100 is too late."""
    assert in_short(judged([range(95, 110)], [100])) == (1, 0, 0, 0, [])
    assert in_short(judged([range(95, 110)], [99, 100])) == (1, 1, 1, 1, [4])


def test_quiet_rows_are_those_of_no_interval() -> None:
    """80 to 83 is labelled, so 80 to 85 is not quiet: 34 of the 40 judged rows are, and of those 2 alarm."""
    found = judged([range(80, 84)], [79, 80, 84, 85, 86, 110])
    assert (found.quiet, found.quiet_alarms, found.quiet_alarm_share) == (34, 2, 2 / 34)


def test_the_warm_up_is_what_is_not_judged_where_nothing_else_is_said() -> None:
    labels, crossings = flags(150), flags(99, 120, 151)
    assert count(labels, crossings) == count(labels, crossings, np.arange(ROWS) >= WARM_UP)


# --- event by event


def test_what_was_found_of_each_event() -> None:
    """55 is never found; 75 has one episode of its own; 90 is found by the one that began in 85, and has none."""
    labels, crossings = flags(55, 75, 90, rows=120), flags(76, 88, 91, rows=120)
    found, right = by_event(labels, crossings, JUDGED)
    assert (found.tolist(), right.tolist()) == ([False, True, True], [0, 1, 0])
    crossings[[76, 88]] = False
    crossings[[75, 77]] = True
    assert by_event(labels, crossings, JUDGED)[1].tolist() == [0, 1, 1]


# --- all thresholds at once


def test_all_thresholds_of_one_event_by_hand() -> None:
    """Scores 1, 3, 2 in 71 to 73 and 3 in 90; 72 and 73 are labelled, so that 72 to 75 is the event's interval. At 3
    there are two episodes, 72 and 90. At 2 the first goes on to 73. At 1 it begins in 71, outside the interval."""
    scores = np.zeros(120)
    scores[[71, 72, 73, 90]] = 1, 3, 2, 3
    found = sweep(flags(72, 73, rows=120), scores, JUDGED)
    assert found.thresholds.tolist() == [3, 1, 0]
    thresholds = np.array([3.5, 3, 2.5, 2, 1.5, 1, 0.5])
    assert found.at(thresholds).T.tolist() == [
        [1, 0, 0, 0],
        [1, 1, 2, 1],
        [1, 1, 2, 1],
        [1, 1, 2, 1],
        [1, 1, 2, 1],
        [1, 1, 2, 0],
        [1, 1, 2, 0],
    ]


def test_what_is_not_judged_or_no_number_reaches_no_threshold() -> None:
    scores = np.full(120, np.nan)
    scores[[20, 65, 80]] = 9, 9, 2
    found = sweep(flags(20, 65, rows=120), scores, JUDGED)
    assert found.thresholds.tolist() == [2]
    assert found.at(np.array([9.0, 2.0])).T.tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]


def test_a_file_of_which_nothing_is_judged_has_no_thresholds() -> None:
    found = sweep(flags(10, rows=20), np.ones(20), flags(rows=20))
    assert found.thresholds.size == 0
    assert found.at(np.array([1.0])).T.tolist() == [[0, 0, 0, 0]]


# --- figures


def test_f1_of_many_at_once_is_that_of_each() -> None:
    assert f1(np.array([3, 3, 0]), np.array([2, 0, 0]), np.array([4, 0, 5]), np.array([1, 0, 0])).tolist() == [
        Counts(100, 3, 2, 4, 1, ()).f1,
        0,
        0,
    ]


def test_the_figures_of_two_files() -> None:
    """Of 3 events 2 are found; of 4 episodes 1 is right. Delays 0 and 3. 3 false ones in 100 + 400 judged rows, 480 of
    them quiet, of which 6 alarm."""
    both = total([Counts(100, 1, 1, 1, 1, (0,), 90, 0), Counts(400, 2, 1, 3, 0, (3,), 390, 6)])
    assert (both.points, both.events, both.episodes) == (500, 3, 4)
    assert both.recall == 2 / 3
    assert both.precision == 1 / 4
    assert both.f1 == pytest.approx(2 * (1 / 4) * (2 / 3) / (1 / 4 + 2 / 3))  # 4/11
    assert both.median_delay == 1.5
    assert both.false_per_1000 == 6.0
    assert both.quiet_alarm_share == 6 / 480


def test_nothing_at_all_is_0_and_has_no_delay() -> None:
    none = total([])
    assert (none.precision, none.recall, none.f1, none.median_delay, none.false_per_1000) == (0, 0, 0, None, 0)
    assert none.quiet_alarm_share == 0


# --- the plainest way to say it


def runs_naive(rows: list[int], gap: int) -> list[list[int]]:
    found: list[list[int]] = []
    for row in rows:
        if found and row - found[-1][-1] <= gap:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def count_naive(
    labels: list[bool], crossings: list[bool], judged: set[int] | range = range(100, 10**9)
) -> tuple[int, int, int, int, list[int]]:
    events = [run for run in runs_naive([row for row, is_one in enumerate(labels) if is_one], 3) if run[0] in judged]
    intervals = [range(run[0], run[-1] + 2 + 1) for run in events]
    alarms = [row for row, is_one in enumerate(crossings) if is_one and row in judged]
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


SOME_ROWS = st.sets(st.integers(0, 59), max_size=40)


@given(
    labelled=SOME_ROWS, rows=SOME_ROWS, scores=st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0]), min_size=60, max_size=60)
)
def test_every_threshold_against_the_naive_twin(labelled: set[int], rows: set[int], scores: list[float]) -> None:
    labels, is_judged, score = flags(*labelled, rows=60), flags(*rows, rows=60), np.array(scores)
    found = sweep(labels, score, is_judged)
    for threshold in [0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 6.0]:
        crossings = score >= threshold
        expected = count_naive(labels.tolist(), crossings.tolist(), rows)
        assert in_short(count(labels, crossings, is_judged)) == expected
        assert found.at(np.array([threshold])).T.tolist() == [list(expected[:4])]
        is_found, right = by_event(labels, crossings, is_judged)
        assert (is_found.sum(), right.sum()) == (expected[1], expected[3])


@given(scores=st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0]), min_size=60, max_size=60))
def test_nothing_changes_between_two_thresholds(scores: list[float]) -> None:
    labels = flags(range(20, 30), rows=60)
    found = sweep(labels, np.array(scores), flags(range(60), rows=60))
    between = np.array([0.5, 1.5, 3.5])
    nearest = [found.thresholds[found.thresholds >= one].min(initial=np.inf) for one in between]
    assert (found.at(between) == found.at(np.array(nearest))).all()
