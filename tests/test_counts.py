"""How many events stand behind an alarm: by hand, for each way in which a KPI is counted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from observability.definitions import Kpi
from observability.detection.counts import surplus
from observability.model import Samples, Window
from observability.release import flags_release

START = datetime(2025, 11, 18, tzinfo=UTC)
KPIS = flags_release(START, "http://localhost:9090").kpis
NAN = float("nan")


def samples(**columns: list[float]) -> Samples:
    steps = len(next(iter(columns.values())))
    window = Window(start=START, end=START + timedelta(minutes=steps))
    return Samples("shop", window, 60, {name: np.array(values) for name, values in columns.items()})


def events(kpi: Kpi, of: Samples, steps: list[int], *expected: float) -> list[float]:
    found = surplus(kpi, of, steps, np.array(expected))
    assert found is not None
    return found.tolist()


def test_of_a_share_the_events_of_its_numerator() -> None:
    """Of 100 requests 1 failed where 0.5 % were to be expected: half a request. Of 200, 20 and not 1."""
    of = samples(http_requests=[50.0, 100.0, 200.0], http_errors=[0.0, 1.0, 20.0])
    assert events(KPIS["overall_error_rate"], of, [1, 2], 0.5, 0.5) == pytest.approx([0.5, 19.0])


def test_fewer_events_than_expected_count_too() -> None:
    of = samples(http_requests=[200.0], http_errors=[0.0])
    assert events(KPIS["overall_error_rate"], of, [0], 5.0) == pytest.approx([10.0])


def test_of_a_share_of_good_events_the_bad_ones_count_alike() -> None:
    """1 of 100 failed, and 99.5 % availability expected."""
    of = samples(http_requests=[100.0], http_errors=[1.0])
    assert KPIS["overall_availability"].complement
    assert events(KPIS["overall_availability"], of, [0], 99.5) == pytest.approx([0.5])


def test_of_a_rate_its_counts() -> None:
    """16 requests in a minute, and 0.1 per second, 6 in a minute, expected; 0.5 per second, 30 in a minute."""
    of = samples(http_requests=[16.0, 16.0])
    assert events(KPIS["request_rate"], of, [0, 1], 0.1, 0.5) == pytest.approx([10.0, 14.0])


def test_of_a_quantile_the_events_on_the_other_side_of_what_was_expected() -> None:
    """200 requests, of which 99 %, 198, were to be within 150 ms. There were 100 within 100 ms and 180 within 200 ms,
    so half of the 80 between them, 140 in all: 58 too few. Had 50 ms been expected, half of 100: 148 too few."""
    buckets = {"http_latency.le.0.1": [100.0], "http_latency.le.0.2": [180.0], "http_latency.le.+Inf": [200.0]}
    assert events(KPIS["p99_latency_ms"], samples(**buckets), [0], 150.0) == pytest.approx([58.0])
    assert events(KPIS["p99_latency_ms"], samples(**buckets), [0], 50.0) == pytest.approx([148.0])


def test_one_slow_request_of_sixty_is_less_than_one_event_of_a_p99() -> None:
    """0.6 of 60 are beyond the P99 as it is."""
    buckets = {"http_latency.le.0.1": [59.0], "http_latency.le.10": [59.0], "http_latency.le.+Inf": [60.0]}
    assert events(KPIS["p99_latency_ms"], samples(**buckets), [0], 100.0) == pytest.approx([0.4])


def test_a_gauge_counts_nothing() -> None:
    assert surplus(KPIS["db_connections"], samples(db_sessions=[1.0]), [0], np.array([2.0])) is None


def test_where_nothing_was_expected_nothing_is_known() -> None:
    of = samples(http_requests=[100.0], http_errors=[1.0])
    assert np.isnan(events(KPIS["overall_error_rate"], of, [0], NAN))
