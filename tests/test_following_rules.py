"""The rules of ``counting`` by hand: each series has a number per step, from five steps before the first one on."""

import numpy as np
import pytest
from stores import STEP_S, Reader, Store, assert_same, fetched, followed

from observability.model import Plan, Query

LEAD, STEPS = 5, 24
NAN = float("nan")
REQUESTS = Query(name="requests", type="counter", promql="requests_total")
ERRORS = Query(name="errors", type="counter", promql="errors_total")
PLAN = Plan(("default",), None, STEP_S, (REQUESTS, ERRORS))
POD = {"job": "web", "instance": "0"}


def series(values, offset_s=15, **labels):
    """Scraped in each step that has a number. The first one is looked back at: it is of the step before the lead."""
    numbers = np.array(values, dtype=float)
    times = STEP_S * (np.arange(numbers.size) - LEAD - 1.0) + offset_s
    return {**POD, **labels}, times[~np.isnan(numbers)], numbers[~np.isnan(numbers)]


def counter(per_step, away=(), since=None, until=None, past=0.0):
    """A counter that grows by ``per_step`` from ``past`` on; it is not there in the steps ``away``, nor before
    ``since`` and from ``until`` on (of the window)."""
    values = past + per_step * np.arange(1.0, LEAD + STEPS + 2)
    steps = np.arange(values.size) - LEAD - 1
    values[np.isin(steps, list(away))] = NAN
    values[steps < (since if since is not None else -LEAD - 1)] = NAN
    values[steps >= (until if until is not None else STEPS)] = NAN
    return values


def born(per_step, since, until=None):
    """One that has counted ``per_step`` when it is first seen."""
    return counter(per_step, since=since, until=until, past=-per_step * (LEAD + 1 + since))


def read(*requests, errors=(), steps=STEPS):
    """The column of the requests and what of it is from earlier, read step by step, and the same in one window."""
    raw = {"requests": list(requests), "errors": list(errors)}
    found = followed(Store(raw), PLAN, range(steps + 1))
    assert_same(followed(Store(raw), PLAN, [steps]), found, PLAN)
    columns = found["default"]
    return columns.get("requests", np.full(steps, NAN)).tolist(), columns.get(
        "requests.earlier", np.zeros(steps)
    ).tolist()


def grown(*requests, errors=()):
    return read(*requests, errors=errors)[0]


def same(found, expected):
    np.testing.assert_array_equal(found, expected)


def test_a_steady_counter():
    assert grown(series(counter(60.0))) == [60.0] * STEPS


def test_a_reset_counts_whole():
    values = counter(60.0)
    values[LEAD + 1 + 7 :] -= values[LEAD + 7]  # 60 in step 7, as if from 0
    values[LEAD + 1 + 7 :] -= 20  # and 20 less: restarted in the middle of the step
    assert grown(series(values)) == [60.0] * 7 + [40.0] + [60.0] * (STEPS - 8)


def test_a_reset_between_two_scrapes_of_a_step():
    """100 → 150, restart, 20 → 30: 50 + 30."""
    labels, times, numbers = series([80.0, 100.0, 30.0])
    times = np.array([*times, times[1] + 15, times[2] - 15])  # 15 s after the second one, and before the third
    numbers = np.array([*numbers, 150.0, 20.0])
    order = np.argsort(times)
    raw = {"requests": [(labels, times[order] + STEP_S * LEAD, numbers[order])]}
    found = followed(Store(raw), PLAN, [1, 2])["default"]["requests"]
    assert found.tolist() == [100 - 80 + 50, 30]


def test_what_came_in_a_gap_lands_where_it_is_seen_again():
    found, earlier = read(series(counter(60.0, away=range(4, 9))))
    same(found, [60.0] * 4 + [NAN] * 5 + [6 * 60.0] + [60.0] * (STEPS - 10))
    assert earlier == [0.0] * 9 + [5 * 60.0] + [0.0] * (STEPS - 10)


def test_the_first_errors_of_a_known_pod_count_from_0():
    assert grown(series(counter(60.0)), series(born(3.0, since=10), code="500")) == [60.0] * 10 + [63.0] * (STEPS - 10)


def test_the_evidence_is_every_counter_of_the_plan():
    """The pod is known by its errors, which another query returns."""
    found = grown(series(born(60.0, since=10)), errors=[series(counter(100.0))])
    same(found, [NAN] * 10 + [60.0] * (STEPS - 10))


def test_a_new_pod_of_a_known_job_counts_from_0():
    pod = series(counter(60.0, since=10, past=-60.0 * (LEAD + 11) + 50), instance="1")  # 50 + 60 when it is seen
    assert grown(series(counter(60.0)), pod) == [60.0] * 10 + [60 + 110.0] + [120.0] * (STEPS - 11)


def test_a_new_job_has_a_past_that_nobody_knows():
    other = series(counter(7.0, since=10, past=1e6), job="cron")
    assert grown(series(counter(60.0)), other) == [60.0] * 11 + [67.0] * (STEPS - 11)


def test_the_pods_of_a_job_that_is_first_scraped_have_a_past():
    """The second one is seen four minutes after the first, the third one five."""
    pods = [series(born(60.0, since), instance=str(since)) for since in (6, 10, 11)]
    same(grown(*pods), [NAN] * 7 + [60.0] * 4 + [180.0] * (STEPS - 11))


def test_a_series_that_missed_a_scrape_goes_on():
    found, earlier = read(series(counter(60.0, away=[7]), code="200"), series(counter(1.0), code="500"))
    assert found == [61.0] * 7 + [1.0] + [121.0] + [61.0] * (STEPS - 9)
    assert earlier == [0.0] * 8 + [60.0] + [0.0] * (STEPS - 9)


def test_a_series_that_was_dropped_by_a_restart_counts_anew():
    """One error before a restart that nobody saw, one after it: two, though the value is 1 both times."""
    errors = np.full(LEAD + 1 + STEPS, NAN)
    errors[: LEAD + 4] = errors[LEAD + 11 :] = 1.0
    requests = counter(60.0)
    requests[LEAD + 6 :] -= requests[LEAD + 5]
    found, earlier = read(series(requests, code="200"), series(errors, code="500"))
    assert found == [60.0] * 10 + [61.0] + [60.0] * (STEPS - 11)
    assert not any(earlier)


def test_a_restart_between_two_scrapes_of_a_step_is_one():
    """In step 5 there are three scrapes: 720, 0, and 720."""
    errors = np.full(LEAD + 1 + STEPS, NAN)
    errors[: LEAD + 4] = errors[LEAD + 11 :] = 1.0
    labels, times, numbers = series(counter(60.0), code="200")
    at = int(np.searchsorted(times, STEP_S * 5))
    times = np.insert(times, at + 1, times[at] + [10.0, 20.0])
    numbers = np.insert(numbers, at + 1, [0.0, numbers[at]])
    assert grown((labels, times, numbers), series(errors, code="500"))[10] == 60 + 1


def test_a_series_that_was_dropped_before_the_first_step_counts_anew():
    errors = np.full(LEAD + 1 + STEPS, NAN)
    errors[0] = errors[LEAD + 11 :] = 1.0
    assert grown(series(counter(60.0), code="200"), series(errors, code="500"))[10] == 60 + 1


def test_a_replica_with_a_past_goes_on_after_a_long_absence():
    errors = np.full(LEAD + 1 + STEPS, NAN)
    errors[0], errors[LEAD + 11 :] = 1e6, 1e6 + 1
    assert grown(series(counter(60.0), code="200"), series(errors, code="500"))[10] == 60 + 1


def test_what_brings_too_much_was_not_born():
    """Ten times the busiest step so far, 60, are 600."""
    for first, expected in ((600.0, 600.0), (601.0, 0.0)):
        pod = series(counter(0.0, since=10, past=first), instance="1")
        assert grown(series(counter(60.0)), pod)[10] == 60 + expected


def test_the_busiest_step_is_that_so_far():
    """It made 120 in step 12. A pod that appears before that with 700 was not born, one that appears after it was."""
    busy = counter(60.0)
    busy[LEAD + 1 + 12 :] += 60
    early, late = (series(counter(0.0, since=since, past=700.0), instance=str(since)) for since in (11, 13))
    found = grown(series(busy), early, late)
    assert found == [60.0] * 12 + [120.0, 60 + 700.0] + [60.0] * (STEPS - 14)


def test_what_came_before_the_first_step_was_not_made_in_one():
    """Nobody knows how long the last value before it had been there."""
    requests = 1e6 + counter(60.0)
    requests[0] = 0.0
    assert grown(series(requests), series(counter(0.0, since=10, past=601.0), instance="1"))[10] == 60


def test_a_target_that_was_away_may_bring_what_it_can_have_counted():
    """Twelve steps of it: 1,440, and not 600."""
    errors = series(counter(0.0, since=15, past=1400.0), code="500")
    assert grown(series(counter(60.0, away=range(4, 15)), code="200"), errors)[15] == 12 * 60 + 1400


def test_of_a_target_that_brings_too_much_the_warning_tells():
    reader = Reader(
        Store({"requests": [series(counter(60.0)), series(counter(0.0, since=1, past=1e9), instance="1")]}), PLAN
    )
    assert reader.read().services["default"].warnings == ()
    (warning,) = reader.read().services["default"].warnings
    assert warning.startswith("requests: 1 appeared with more than could have been counted since a start")


# Other labels for the same counters: nobody can know yet that the old series are gone for good


def test_series_that_get_other_labels_miss_a_step():
    """1,020 of 960 when they appear: fewer than ten busiest steps, and no burst."""
    old, new = series(counter(60.0, until=10)), series(counter(60.0, since=10), version="2")
    same(grown(old, new), [60.0] * 10 + [NAN] + [60.0] * (STEPS - 11))


def test_one_of_two_paths_that_gets_other_labels_misses_a_step():
    old, new = series(counter(60.0, until=10), path="/a"), series(counter(60.0, since=10), path="/a/")
    assert grown(series(counter(5.0), path="/"), old, new) == [65.0] * 10 + [5.0] + [65.0] * (STEPS - 11)


def test_labels_that_change_back_and_forth_never_make_a_burst():
    numbers = counter(60.0)
    first, second = numbers.copy(), numbers.copy()
    first[LEAD + 1 + 6 : LEAD + 1 + 12] = first[LEAD + 1 + 18 :] = NAN
    second[: LEAD + 1 + 6] = second[LEAD + 1 + 12 : LEAD + 1 + 18] = NAN
    found = grown(series(first, version="1"), series(second, version="2"))
    same(found, [NAN if step in {6, 12, 18} else 60.0 for step in range(STEPS)])


def test_a_restart_under_other_labels_counts_from_0():
    old, new = (
        series(counter(60.0, until=10), cid="1"),
        series(born(60.0, since=10), cid="2"),
    )
    assert grown(old, new) == [60.0] * STEPS


def test_targets_that_are_renamed_miss_a_step():
    """Each of the two brings 1,320, fewer than ten times their busiest step, which made 360."""
    numbers = counter(60.0)
    numbers[LEAD + 1 + 5 :] += 300
    old, new = numbers.copy(), numbers.copy()
    old[LEAD + 1 + 10 :] = new[: LEAD + 1 + 10] = NAN
    pods = [series(values, instance=f"{name}-{n}") for name, values in (("old", old), ("new", new)) for n in range(2)]
    same(grown(*pods), [120.0] * 5 + [720.0] + [120.0] * 4 + [NAN] + [120.0] * (STEPS - 11))


def test_a_series_of_a_pod_that_is_there_hands_nothing_on_to_a_new_pod():
    gone = series(counter(1.0, until=10), path="/x")
    pod = series(born(60.0, since=10), instance="1", path="/")
    assert grown(series(counter(60.0), path="/"), gone, pod) == [61.0] * 10 + [120.0] * (STEPS - 10)


def test_other_errors_after_a_restart_count_from_0():
    """Three of one kind until then; of the other kind five, though they are more."""
    requests = counter(60.0)
    requests[LEAD + 1 + 10 :] -= requests[LEAD + 10]
    gone = series(np.where(np.arange(requests.size) < LEAD + 1 + 10, 3.0, NAN), code="500")
    new = series(counter(0.0, since=10, past=5.0), code="503")
    assert grown(series(requests, code="200"), gone, new) == [60.0] * 10 + [65.0] + [60.0] * (STEPS - 11)


def test_a_pod_that_takes_over_from_another_counts_from_0():
    old = series(counter(60.0, until=10))
    new = series(born(60.0, since=10), instance="1")
    assert grown(old, new) == [60.0] * STEPS


def test_two_exporters_of_one_target_that_are_scraped_in_turn_go_on():
    steps = range(-LEAD - 1, STEPS)
    one, other = counter(60.0, away=list(steps)[1::2]), counter(30.0, away=list(steps)[::2])
    assert np.nansum(grown(series(one, exporter="a"), series(other, exporter="b"))) == pytest.approx(
        STEPS * 90, abs=180
    )


def test_a_series_that_comes_into_view_does_not_bring_its_past():
    hidden = series(counter(60.0, since=10, past=5e7), path="/health")
    assert grown(series(counter(60.0), path="/"), hidden) == [60.0] * 11 + [120.0] * (STEPS - 11)


# What is remembered


def test_who_was_not_seen_for_a_day_is_forgotten():
    """A day is four steps of six hours. What a pod counted in them arrives with it; one that was away for five is like
    a new one of its job, and brings 800 when the busiest step so far made 100."""
    plan = Plan(("default",), None, 21_600, (REQUESTS,))
    times, numbers = 21_600.0 * np.arange(12) + 60, 100.0 * np.arange(1, 13)
    raw = []
    for number, away in enumerate((range(0), range(3, 6), range(3, 7))):
        seen = ~np.isin(np.arange(12), away)
        raw.append(({**POD, "instance": str(number)}, times[seen], numbers[seen]))
    found = followed(Store({"requests": raw}), plan, range(13))["default"]["requests"]
    assert found[1:].tolist() == [300.0, 300.0, 100.0, 100.0, 100.0, 100 + 400.0, 200.0] + [300.0] * 4


def test_a_job_that_was_forgotten_has_no_busiest_step():
    """It made 1,000 in each step of six hours before it was away for five of them, and 10 after that."""
    plan = Plan(("default",), None, 21_600, (REQUESTS,))
    times = 21_600.0 * np.arange(14) + 60
    made = np.cumsum([1000.0] * 3 + [0.0] * 4 + [10.0] * 7)
    there = ~np.isin(np.arange(14), range(3, 7))
    new = (np.arange(14) >= 11) & there
    raw = [(POD, times[there], made[there]), ({**POD, "instance": "1"}, times[new], np.full(int(new.sum()), 500.0))]
    assert followed(Store({"requests": raw}), plan, range(15))["default"]["requests"][11] == 10


def test_the_memory_does_not_grow_with_pods_that_come_and_go():
    """A new pod every hour, each there for one: of one day 24 are remembered, and some more that were seen then."""
    plan = Plan(("default",), None, 3600, (REQUESTS,))
    raw = [
        ({**POD, "instance": str(n)}, np.array([3600.0 * n + 60, 3600.0 * n + 120]), np.array([1.0, 2.0]))
        for n in range(200)
    ]
    reader, sizes = Reader(Store({"requests": raw}), plan), []
    for _ in range(200):
        reader.read()
        sizes.append(sum(values.nbytes for values in reader.follower.memory().values()))
    assert max(sizes[30:]) <= 1.1 * min(sizes[30:])
    assert len(reader.follower._kept.roster.series) <= 50


def test_memory_is_numbers():
    reader = Reader(Store({"requests": [series(counter(60.0))]}), PLAN)
    reader.read(3)
    assert all(values.dtype.kind in "fiu" for values in reader.follower.memory().values())


def test_a_follower_that_remembers_nothing_begins_where_it_is_asked():
    reader = Reader(Store({"requests": [series(counter(60.0))]}), PLAN)
    reader.follower.remember({})
    reader.until = 3
    assert reader.read(2).services["default"].columns["requests"].tolist() == [60.0, 60.0]


def test_windows_follow_on_each_other():
    reader = Reader(Store({"requests": [series(counter(60.0))]}), PLAN)
    reader.read(3)
    reader.until = 4
    with pytest.raises(ValueError, match="the next window does not begin at 2025-11-18T00:04:00Z"):
        reader.read()


def test_the_columns_of_a_day_of_steady_pods_are_those_of_fetch():
    raw = {"requests": [series(counter(60.0), instance=str(number)) for number in range(3)]}
    assert_same(followed(Store(raw), PLAN, range(STEPS + 1)), fetched(Store(raw), PLAN, STEPS), PLAN)
