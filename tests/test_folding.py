"""A pod that is away for a while: its requests are counted once, and no step shows a burst that nobody made."""

from datetime import UTC, datetime, timedelta

import numpy as np

from observability.kpi import fold, step_values
from observability.model import Plan, Query, Samples, Window
from observability.release import flags_release
from observability.sources.answer import Answer
from observability.sources.folding import fold as folded

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP_S, LEAD, STEPS = 60, 5, 24
REQUESTS = Query(name="http_requests", type="counter", promql="last_over_time(http_requests_total[60s])")
RATE = flags_release(GA, "http://localhost:9090").kpis["request_rate"]


def seen(*pods: np.ndarray) -> Samples:
    """The samples of a service whose pods' counters are given from five steps before the window on."""
    window = Window(start=GA, end=GA + timedelta(seconds=STEPS * STEP_S))
    labels = [{"job": "shop", "instance": str(number)} for number in range(len(pods))]
    before, dropped = np.full(len(pods), np.nan), np.zeros(len(pods), dtype=np.intp)
    answer = Answer(REQUESTS, LEAD, labels, np.array(pods), before, dropped)
    return folded(Plan(("default",), None, STEP_S, (REQUESTS,)), window, [answer])["default"]


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
        Answer(query, LEAD, [{"job": "shop", "instance": "0"}], np.array([values]), np.array([np.nan]), np.array([0]))
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
    values, unknown = np.array([counter(60.0)] * 4), np.full(4, np.nan)
    plan = Plan(("default",), None, STEP_S, (latency,))
    window = Window(start=GA, end=GA + timedelta(seconds=STEPS * STEP_S))
    mixed = Answer(latency, LEAD, labels, values, unknown, np.zeros(4, dtype=np.intp))
    (warning,) = folded(plan, window, [mixed])["default"].warnings
    assert "http_latency: its targets have different bucket bounds" in warning
    alike = Answer(latency, LEAD, labels[:2], values[:2], unknown[:2], np.zeros(2, dtype=np.intp))
    assert folded(plan, window, [alike])["default"].warnings == ()
