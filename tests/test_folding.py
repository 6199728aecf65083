"""A pod that is away for a while: its requests are counted once, and no step shows a burst that nobody made."""

from datetime import UTC, datetime, timedelta

import numpy as np

from observability.kpi import fold, step_values
from observability.model import Plan, Query, Samples, Window
from observability.release import flags_release
from observability.sources.folding import Answer
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
