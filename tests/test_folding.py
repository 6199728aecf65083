"""A pod that is away for a while: its requests are counted once, and no step shows a burst that nobody made."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from answers import answer

from observability.kpi import fold, step_values
from observability.model import Plan, Query, Samples, Window
from observability.release import flags_release
from observability.sources.folding import fold as folded

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP_S, LEAD, STEPS = 60, 5, 24
REQUESTS = Query(name="http_requests", type="counter", promql="last_over_time(http_requests_total[60s])")
RATE = flags_release(GA, "http://localhost:9090").kpis["request_rate"]


def seen(*pods: np.ndarray) -> Samples:
    """The samples of a service whose pods' counters are given from five steps before the window on."""
    window = Window(start=GA, end=GA + timedelta(seconds=STEPS * STEP_S))
    labels = [{"job": "shop", "instance": str(number)} for number in range(len(pods))]
    return folded(Plan(("default",), None, STEP_S, (REQUESTS,)), window, [answer(REQUESTS, LEAD, labels, pods)])[
        "default"
    ]


def counter(per_step: float, away: slice = slice(0)) -> np.ndarray:
    """A counter that grows by ``per_step``, and the steps in which nobody saw it."""
    values = per_step * np.arange(1.0, LEAD + STEPS + 1)
    values[away] = np.nan
    return values


def test_one_pod_of_two_is_away() -> None:
    samples = seen(counter(120.0), counter(60.0, away=slice(LEAD + 4, LEAD + 9)))
    rates = step_values(RATE, samples)
    # Both: (120 + 60) / 60 s = 3 per second; the one alone 2; on its return 120 + 6 · 60 / 6 = 180 again, not 480.
    assert rates.tolist() == [3.0] * 4 + [2.0] * 5 + [3.0] * (STEPS - 9)
    assert samples.columns["http_requests"][9] == 120 + 6 * 60
    assert fold(RATE, samples, rates) == 3.0


def test_all_pods_are_away() -> None:
    samples = seen(counter(120.0, away=slice(LEAD + 4, LEAD + 9)))
    rates = step_values(RATE, samples)
    assert np.isnan(rates[4:9]).all()
    assert rates[9] == 2.0
    assert fold(RATE, samples, rates) == 2.0


def test_without_a_gap_there_is_nothing_to_tell() -> None:
    assert set(seen(counter(120.0)).columns) == {"http_requests"}


def renamed(new: np.ndarray) -> Samples:
    """A service of two pods, of which one ends and another appears ten steps into the window."""
    old = counter(120.0, away=slice(LEAD + 10, None))
    return seen(counter(60.0), old, new)


def test_a_pod_that_took_over_counts_from_its_first_sample_on() -> None:
    born = np.full(LEAD + STEPS, np.nan)
    born[LEAD + 10 :] = 300 + 120 * np.arange(STEPS - 10)  # started within the last five minutes: 300 requests
    samples = renamed(born)
    assert samples.warnings == ()
    assert samples.columns["http_requests"][10] == 60 + 300


def test_a_pod_that_was_only_renamed_does_not_bring_its_past() -> None:
    past = np.full(LEAD + STEPS, np.nan)
    past[LEAD + 10 :] = 1_000_000 + 120 * np.arange(STEPS - 10)  # ten minutes of the busiest step would be 1,200
    samples = renamed(past)
    assert samples.columns["http_requests"].tolist() == [180.0] * 10 + [60.0] + [180.0] * (STEPS - 11)
    (warning,) = samples.warnings
    assert "http_requests: 2 appeared with more than could have been counted since a start" in warning


def test_the_first_errors_of_a_known_pod_count_however_many() -> None:
    errors = Query(name="http_errors", type="counter", promql="last_over_time(http_errors_total[60s])")
    burst = np.full(LEAD + STEPS, np.nan)
    burst[LEAD + 10 :] = 5000.0
    answers = [
        answer(query, LEAD, [{"job": "shop", "instance": "0"}], [values])
        for query, values in ((REQUESTS, counter(600.0)), (errors, burst))
    ]
    window = Window(start=GA, end=GA + timedelta(seconds=STEPS * STEP_S))
    samples = folded(Plan(("default",), None, STEP_S, (REQUESTS, errors)), window, answers)["default"]
    assert np.nansum(samples.columns["http_errors"]) == 5000
    assert samples.warnings == ()


def test_targets_with_different_buckets_are_told() -> None:
    latency = Query(name="http_latency", type="buckets", promql="last_over_time(latency_bucket[60s])")
    labels = [
        {"job": "shop", "instance": pod, "le": le}
        for pod, le in (("0", "0.1"), ("0", "+Inf"), ("1", "0.3"), ("1", "+Inf"))
    ]
    values = [counter(60.0)] * 4
    plan = Plan(("default",), None, STEP_S, (latency,))
    window = Window(start=GA, end=GA + timedelta(seconds=STEPS * STEP_S))
    mixed = answer(latency, LEAD, labels, values)
    (warning,) = folded(plan, window, [mixed])["default"].warnings
    assert "http_latency: its targets have different bucket bounds" in warning
    alike = answer(latency, LEAD, labels[:2], values[:2])
    assert folded(plan, window, [alike])["default"].warnings == ()


def of_one_target(*series: tuple[dict[str, str], np.ndarray]) -> Samples:
    """The samples of a service with one pod, whose series have these labels besides."""
    labels = [{"job": "shop", "instance": "0", **more} for more, _ in series]
    plan, window = Plan(("default",), None, STEP_S, (REQUESTS,)), Window(start=GA, end=GA + timedelta(minutes=STEPS))
    return folded(plan, window, [answer(REQUESTS, LEAD, labels, [values for _, values in series])])["default"]


def from_step(step: int, values: np.ndarray) -> np.ndarray:
    """A series that is not there before the window's step."""
    found = np.full(LEAD + STEPS, np.nan)
    found[LEAD + step :] = values
    return found


def test_series_that_get_other_labels_in_mid_day_go_on_counting() -> None:
    old, new = counter(120.0, away=slice(LEAD + 10, None)), counter(120.0, away=slice(0, LEAD + 10))
    samples = of_one_target(({}, old), ({"version": "2"}, new))
    assert samples.columns["http_requests"].tolist() == [120.0] * STEPS
    assert samples.warnings == ()


def test_the_sums_go_on_where_labels_are_split() -> None:
    """One series becomes two; each counts from its share of what was counted: 1,800 of 2,400 and 600."""
    old = counter(160.0, away=slice(LEAD + 10, None))  # 2,400 when it is last seen, in step 9
    parts = [from_step(10, share * (2400 + 160 * np.arange(1.0, STEPS - 9))) for share in (0.75, 0.25)]
    samples = of_one_target(({}, old), ({"zone": "a"}, parts[0]), ({"zone": "b"}, parts[1]))
    np.testing.assert_allclose(samples.columns["http_requests"], 160.0, rtol=1e-12)


def test_a_restart_under_new_labels_counts_from_0() -> None:
    old, new = counter(120.0, away=slice(LEAD + 10, None)), from_step(10, 50 + 120 * np.arange(STEPS - 10))
    samples = of_one_target(({}, old), ({"version": "2"}, new))
    assert samples.columns["http_requests"].tolist() == [120.0] * 10 + [50.0] + [120.0] * (STEPS - 11)


def test_a_series_that_ends_when_another_begins_hands_nothing_over_while_the_target_goes_on() -> None:
    old, new = counter(1.0, away=slice(LEAD + 10, None)), from_step(10, np.full(STEPS - 10, 500.0))
    samples = of_one_target(({"path": "/"}, counter(120.0)), ({"path": "/a"}, old), ({"path": "/b"}, new))
    assert samples.columns["http_requests"][10] == 120 + 500


def shares(*pods: np.ndarray) -> list[float]:
    """What share of the pods was seen whole in each step."""
    return seen(*pods).columns.get("http_requests.seen", np.ones(STEPS)).tolist()


def test_a_step_in_which_one_of_two_pods_is_missing_is_half_seen() -> None:
    away = slice(LEAD + 4, LEAD + 9)
    assert shares(counter(120.0), counter(60.0, away=away)) == [1.0] * 4 + [0.5] * 5 + [1.0] * (STEPS - 9)


def test_a_step_with_a_restart_is_not_seen_whole() -> None:
    restarted = counter(60.0)
    restarted[LEAD + 7 :] -= restarted[LEAD + 6]
    assert shares(counter(120.0), restarted) == [1.0] * 7 + [0.5] + [1.0] * (STEPS - 8)


def test_the_step_after_a_pods_last_one_is_not_seen() -> None:
    """What it counted after its last scrape is lost. Afterwards nobody expects it."""
    assert shares(counter(120.0), counter(60.0, away=slice(LEAD + 7, None))) == [1.0] * 7 + [0.5] + [1.0] * (STEPS - 8)


def test_a_pod_is_expected_from_its_first_step_on() -> None:
    assert shares(counter(120.0), counter(1.0, away=slice(0, LEAD + 7))) == [1.0] * STEPS


def test_a_service_that_is_away_for_a_while_is_expected_all_the_time() -> None:
    """It ends for good in step 20: the step after that is the last one in which it is expected."""
    pod = counter(120.0, away=slice(LEAD + 4, LEAD + 9))
    pod[LEAD + 20 :] = np.nan
    samples = seen(pod)
    assert np.isnan(samples.columns["http_requests"]).nonzero()[0].tolist() == [*range(4, 9), *range(20, STEPS)]
    assert "http_requests.seen" not in samples.columns  # where anything was seen, all of it was


def test_a_series_that_was_dropped_counts_anew() -> None:
    """One error before a restart that nobody saw, one after it: two, though the value is 1 both times."""
    errors = np.full(LEAD + STEPS, np.nan)
    errors[: LEAD + 3] = 1.0
    errors[LEAD + 10 :] = 1.0
    restarted = counter(60.0)
    restarted[LEAD + 5 :] -= restarted[LEAD + 4]
    samples = of_one_target(({"code": "200"}, restarted), ({"code": "500"}, errors))
    assert samples.columns["http_requests"].tolist() == [60.0] * 10 + [61.0] + [60.0] * (STEPS - 11)
    assert "http_requests.earlier" not in samples.columns


def test_a_series_that_misses_a_scrape_goes_on() -> None:
    """The others of its target were there, and nothing was restarted."""
    missed = 1e6 + counter(60.0)
    missed[LEAD + 7] = np.nan
    samples = of_one_target(({"code": "200"}, missed), ({"code": "500"}, counter(1.0)))
    assert np.nansum(samples.columns["http_requests"]) == STEPS * (60 + 1)


def test_a_series_that_comes_into_view_does_not_bring_its_past() -> None:
    """As when a rule that dropped it is taken away: the target's other series go on all the time."""
    hidden = from_step(10, 5e7 + 60 * np.arange(STEPS - 10))
    samples = of_one_target(({"path": "/"}, counter(60.0)), ({"path": "/health"}, hidden))
    assert samples.columns["http_requests"].tolist() == [60.0] * 11 + [120.0] * (STEPS - 11)
    assert samples.columns["http_requests.seen"][10] == 0
    assert "appeared with more than could have been counted" in samples.warnings[0]


def test_one_of_two_paths_that_gets_other_labels_goes_on() -> None:
    old, new = counter(600.0, away=slice(LEAD + 10, None)), counter(600.0, away=slice(0, LEAD + 10))
    samples = of_one_target(({"path": "/"}, counter(60.0)), ({"path": "/a"}, 1e5 + old), ({"path": "/a/"}, 1e5 + new))
    assert samples.columns["http_requests"].tolist() == [660.0] * STEPS
    assert samples.warnings == ()


def test_a_restart_under_new_labels_is_not_seen_whole() -> None:
    old, new = counter(120.0, away=slice(LEAD + 10, None)), from_step(10, 50 + 120 * np.arange(STEPS - 10))
    samples = of_one_target(({"cid": "1"}, old), ({"cid": "2"}, new))
    assert samples.columns["http_requests.seen"].tolist() == [1.0] * 10 + [0.0] + [1.0] * (STEPS - 11)


def test_two_exporters_of_one_target_that_are_scraped_in_turn_go_on() -> None:
    """With a step shorter than the scrape interval each is missing where the other is seen."""
    one, other = counter(60.0), counter(30.0)
    one[1::2] = other[::2] = np.nan
    samples = of_one_target(({"exporter": "a"}, one), ({"exporter": "b"}, other))
    assert np.nansum(samples.columns["http_requests"]) == pytest.approx(STEPS * 90, abs=2 * 90)


def test_the_pods_of_an_idle_job_that_are_seen_once_count() -> None:
    pods = [from_step(step, np.array([50.0] + [np.nan] * (STEPS - step - 1))) for step in (6, 10, 14)]
    samples = seen(np.zeros(LEAD + STEPS), *pods)
    assert np.nansum(samples.columns["http_requests"]) == 150
    assert samples.warnings == ()


def test_series_of_a_replicated_pair_are_told() -> None:
    samples = of_one_target(({"replica": "a"}, counter(60.0)), ({"replica": "b"}, counter(60.0)))
    assert "differ in the label replica alone" in samples.warnings[0]
    assert of_one_target(({"replicaset": "a"}, counter(60.0)), ({"zone": "b"}, counter(60.0))).warnings == ()


def test_buckets_that_change_in_mid_day_are_told() -> None:
    latency = Query(name="http_latency", type="buckets", promql="last_over_time(latency_bucket[60s])")
    until, since = slice(LEAD + 10, None), slice(0, LEAD + 10)
    bounds = {"0.1": until, "0.25": since, "+Inf": slice(0)}
    labels = [{"job": "shop", "instance": "0", "le": bound} for bound in bounds]
    plan, window = Plan(("default",), None, STEP_S, (latency,)), Window(start=GA, end=GA + timedelta(minutes=STEPS))
    values = [counter(60.0, away) for away in bounds.values()]
    (warning,) = folded(plan, window, [answer(latency, LEAD, labels, values)])["default"].warnings
    assert "its targets have different bucket bounds" in warning


def test_a_series_that_was_missing_with_its_target_goes_on() -> None:
    away = slice(LEAD + 5, LEAD + 10)
    samples = of_one_target(({"code": "200"}, counter(60.0, away)), ({"code": "500"}, counter(1.0, away)))
    assert np.nansum(samples.columns["http_requests"]) == STEPS * (60 + 1)


def test_labels_that_change_back_and_forth_go_on_counting() -> None:
    numbers = counter(120.0)
    first, second = numbers.copy(), numbers.copy()
    first[LEAD + 6 : LEAD + 12] = np.nan
    second[: LEAD + 6] = second[LEAD + 12 :] = np.nan
    samples = of_one_target(({"version": "1"}, first), ({"version": "2"}, second))
    assert samples.columns["http_requests"].tolist() == [120.0] * STEPS


def test_a_target_that_could_not_be_scraped_until_the_end_was_expected() -> None:
    """Its last scrape is that of step 6. Without ``up`` it looks like a pod that nobody needs any more."""
    pods = [counter(120.0), counter(60.0, away=slice(LEAD + 7, None))]
    labels = [{"job": "shop", "instance": str(number)} for number in range(2)]
    down = np.full(STEPS, np.nan)
    down[9:] = 0.0
    query = Query(name="up", type="gauge", promql="up == 0")
    up = answer(query, 0, [{"job": "shop", "instance": "1"}], [down])
    plan, window = Plan(("default",), None, STEP_S, (REQUESTS,)), Window(start=GA, end=GA + timedelta(minutes=STEPS))
    samples = folded(plan, window, [answer(REQUESTS, LEAD, labels, pods)], up)["default"]
    assert samples.columns["http_requests.seen"].tolist() == [1.0] * 7 + [0.5, 1.0] + [0.5] * (STEPS - 9)


def test_a_series_that_was_dropped_before_the_window_counts_anew() -> None:
    """One error a day ago, a restart in between, one error now. A replica that was away for hours has a past."""
    errors = from_step(10, np.full(STEPS - 10, 1.0))
    labels = [{"job": "shop", "instance": "0", "code": code} for code in ("200", "500")]
    plan, window = Plan(("default",), None, STEP_S, (REQUESTS,)), Window(start=GA, end=GA + timedelta(minutes=STEPS))
    found = answer(REQUESTS, LEAD, labels, [counter(60.0), errors], before=[0.0, 1.0])
    assert folded(plan, window, [found])["default"].columns["http_requests"][10] == 60 + 1
    past = answer(REQUESTS, LEAD, labels, [counter(60.0), 1e6 + errors], before=[0.0, 1e6])
    assert folded(plan, window, [past])["default"].columns["http_requests"][10] == 60 + 1


def test_a_target_that_is_seen_although_it_was_down_for_a_part_of_the_step_is_not_seen_whole() -> None:
    down = np.full(STEPS, np.nan)
    down[7] = 0.0
    query = Query(name="up", type="gauge", promql="up == 0")
    up = answer(query, 0, [{"job": "shop", "instance": "0"}], [down])
    plan, window = Plan(("default",), None, STEP_S, (REQUESTS,)), Window(start=GA, end=GA + timedelta(minutes=STEPS))
    found = answer(REQUESTS, LEAD, [{"job": "shop", "instance": "0"}], [counter(120.0)])
    samples = folded(plan, window, [found], up)["default"]
    assert samples.columns["http_requests.seen"].tolist() == [1.0] * 7 + [0.0] + [1.0] * (STEPS - 8)


def test_a_target_that_is_known_from_before_is_expected_from_the_start() -> None:
    """Two pods, of which one was seen a day ago and is seen again in step 8."""
    labels = [{"job": "shop", "instance": str(number)} for number in range(2)]
    pods = [counter(120.0), counter(60.0, away=slice(0, LEAD + 8))]
    plan, window = Plan(("default",), None, STEP_S, (REQUESTS,)), Window(start=GA, end=GA + timedelta(minutes=STEPS))
    samples = folded(plan, window, [answer(REQUESTS, LEAD, labels, pods, before=[0.0, 0.0])])["default"]
    assert samples.columns["http_requests.seen"].tolist() == [0.5] * 8 + [1.0] * (STEPS - 8)


def test_a_gap_before_the_window_tells_nothing_in_it() -> None:
    assert set(seen(counter(120.0, away=slice(1, 3))).columns) == {"http_requests"}
