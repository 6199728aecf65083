"""One stream over a release's steps: however the time is cut, and wherever it is stopped, it finds the same."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.definitions import Channel
from observability.detection.stream import Stream
from observability.model import Samples, Window
from observability.release import flags_release

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = timedelta(minutes=30)
START, STEPS, BEFORE = GA - timedelta(days=4), 432, 192  # nine days, four of them before GA
KPIS = ("db_connections", "overall_error_rate", "request_rate", "p99_latency_ms")
BASE = flags_release(GA, "http://localhost:9090", STEP)
EWMA = Channel(name="ewma", threshold=4.0, parameters={"alpha": 0.05, "warm_up": 20})
RELEASE = BASE.model_copy(
    update={
        "services": ("shop", "cart"),
        "kpis": {name: BASE.kpis[name] for name in KPIS},
        "channels": (Channel(name="significance"), Channel(name="novelty"), EWMA),
    }
)


def made(seed):
    """Four KPIs with a daily course, errors now and then, some gaps, an hour that is off, and a level that moves."""
    draw = np.random.default_rng(seed)
    hours = np.arange(STEPS) / 2
    busy = 1 + 0.3 * np.sin(hours / 24 * 2 * np.pi)
    requests = draw.poisson(9000 * busy).astype(float)
    errors = draw.poisson(0.002 * requests).astype(float)
    sessions = np.round(40 * busy + draw.normal(0, 1, STEPS))
    off = slice(300, 304)
    errors[off], sessions[off], requests[off] = 0.2 * requests[off], 200.0, requests[off] / 3
    sessions[340:] += 30
    buckets = {
        f"http_duration.le.{le}": np.floor(requests * p) for le, p in (("0.1", 0.8), ("0.5", 0.995), ("+Inf", 1))
    }
    columns = {"http_requests": requests, "http_errors": errors, "db_sessions": sessions, **buckets}
    for values in columns.values():
        values[draw.random(STEPS) < 0.02] = np.nan
    return columns


SERVICES = {"shop": made(1), "cart": made(2)}


def samples(first, stop, without=()):
    window = Window(start=START + first * STEP, end=START + stop * STEP)
    return {
        service: Samples(service, window, RELEASE.step_s, {n: c[first:stop] for n, c in columns.items()})
        for service, columns in SERVICES.items()
        if service not in without
    }


def run(stream, first, stop, size):
    found = []
    for begin in range(first, stop, size):
        end = min(begin + size, stop)
        found += stream.take(samples(begin, end), end - begin)
    return found


def new():
    return Stream(RELEASE, START, GA)


@pytest.fixture(scope="module")
def undisturbed():
    stream = new()
    return run(stream, 0, STEPS, STEPS), stream


def test_the_made_up_week_has_findings_of_each_kind(undisturbed):
    found, stream = undisturbed
    kinds = {type(one.what).__name__ for one in found}
    assert kinds >= {"Anomaly", "NewLevel", "Incident"}
    assert {one.what.service for one in found} == {"shop", "cart"}
    assert stream.until == START + STEPS * STEP
    assert stream.is_warm("shop")
    assert [one.step for one in found] == sorted(one.step for one in found)


@pytest.mark.parametrize("size", [1, 7, 48, 431])
def test_the_cut_does_not_matter(undisturbed, size):
    stream = new()
    assert run(stream, 0, STEPS, size) == undisturbed[0]
    assert stream.ongoing() == undisturbed[1].ongoing()
    assert_same(stream.memory(), undisturbed[1].memory())


@settings(max_examples=15, deadline=None)
@given(at=st.integers(1, STEPS - 1), size=st.sampled_from([1, 5, 100]))
def test_another_stream_goes_on_from_the_memory(undisturbed, at, size):
    first, second = new(), new()
    found = run(first, 0, at, 60)
    second.remember({name: array.copy() for name, array in first.memory().items()})
    assert second.until == first.until
    assert found + run(second, at, STEPS, size) == undisturbed[0]
    assert_same(second.memory(), undisturbed[1].memory())


def test_a_memory_is_numbers_and_a_copy():
    stream = new()
    run(stream, 0, 300, 300)
    memory = {name: array.copy() for name, array in stream.memory().items()}
    assert all(array.dtype != object for array in memory.values())
    kept = stream.memory()
    run(stream, 300, 310, 1)
    assert_same(
        {n: a for n, a in kept.items() if not n.endswith(".state")},
        {n: a for n, a in memory.items() if not n.endswith(".state")},
    )


def test_a_service_without_samples_is_as_one_with_missing_ones():
    missing = {"shop": samples(0, 300)["shop"]}
    empty = missing | {"cart": Samples("cart", missing["shop"].window, RELEASE.step_s, {})}
    streams = [new(), new()]
    found = [stream.take(given, 300) for stream, given in zip(streams, (missing, empty), strict=True)]
    assert found[0] == found[1]
    assert {one.what.service for one in found[0]} <= {"shop"}
    assert not streams[0].is_warm("cart")


def test_nothing_before_since_is_told():
    found = run(Stream(RELEASE, START, START + 302 * STEP), 0, STEPS, 50)
    assert found
    assert all(one.step >= 302 for one in found)
    assert all(one.what.start >= START + 302 * STEP for one in found if hasattr(one.what, "start"))


def test_rivers_detectors_are_not_portable():
    river = Channel(name="StandardAbsoluteDeviation", threshold=6.0)
    assert not Stream(RELEASE.model_copy(update={"channels": (river,)}), START, GA).is_portable
    assert new().is_portable


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
