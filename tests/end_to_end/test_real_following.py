"""A real Prometheus, followed over a day of the generated weeks: in any windows what ``fetch`` has of it."""

import itertools
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from observability.definitions import Release
from observability.errors import SourceError
from observability.model import DAYS_BEFORE, LAST_DAY, PrometheusSettings, Window
from observability.release import load
from observability.sources import Followed
from observability.sources.prometheus import Prometheus

RELEASE = Path(__file__).parents[2] / "test_data/release.yaml"
DAY = 1440  # steps
LIVE = range(600, 660)  # read step by step, as they come

Columns = dict[tuple[str, str], np.ndarray]


@pytest.fixture(scope="module")
def release() -> Release:
    return load(RELEASE)


@pytest.fixture(scope="module")
def source(prometheus_url: str) -> Prometheus:
    return Prometheus(PrometheusSettings(url=prometheus_url))


def absent(column: str) -> float:
    return 0.0 if column.endswith(".earlier") or column.startswith("critical_alerts") else np.nan


def followed(source: Prometheus, release: Release, number: int, cuts: list[int], restart: int | None = None) -> Columns:
    """Service and name → column over the day; at ``restart`` another follower goes on."""
    start, columns = release.calendar.window(number).start, {}
    follower, found = source.follow(release.plan, start), []
    for low, high in itertools.pairwise(cuts):
        if low == restart:
            memory = follower.memory()
            follower = source.follow(release.plan, start)
            follower.remember(memory)
        window = Window(start=start + low * release.step, end=start + high * release.step)
        found.append((low, follower.read(window)))
    for low, read in found:
        _check(read)
        for service, samples in read.services.items():
            for name, values in samples.columns.items():
                whole = columns.setdefault((service, name), np.full(DAY, absent(name)))
                whole[low : low + values.size] = values
    return columns


def _check(read: Followed) -> None:
    assert read.failed == {}
    assert read.late == 0
    assert all(samples.warnings == () for samples in read.services.values())


@pytest.mark.parametrize("number", [0, 3])
def test_a_day_is_what_fetch_has_of_it(release: Release, source: Prometheus, number: int) -> None:
    window = release.calendar.window(number)
    expected = {
        (service, name): values
        for service, samples in source.fetch(release.plan, window).items()
        for name, values in samples.columns.items()
        if not name.endswith(".seen")
    }
    found = followed(source, release, number, [0, DAY])
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values, err_msg=str(key))


def test_a_day_is_the_same_in_all_windows(release: Release, source: Prometheus) -> None:
    """An hour of it step by step, the rest in windows of many lengths; and once more with a restart in that hour."""
    cuts = [0, 1, 2, 9, 60, 599, *LIVE, 700, 1000, 1001, DAY]
    whole, cut = followed(source, release, 0, [0, DAY]), followed(source, release, 0, cuts, restart=LIVE[30])
    assert whole.keys() == cut.keys()
    for key, values in whole.items():
        np.testing.assert_array_equal(cut[key], values, err_msg=str(key))


def test_behind_the_last_sample_the_data_is_old(release: Release, source: Prometheus) -> None:
    """Targets were scraped until 17 s after the last minute of the week began, once a minute."""
    end = release.calendar.window(LAST_DAY).end
    follower = source.follow(release.plan, end - timedelta(hours=1))
    follower.read(Window(start=end - timedelta(hours=1), end=end))
    with pytest.raises(SourceError, match=r"its newest sample is of 2025-11-25T23:59:17.*, 103 s before the end of"):
        follower.read(Window(start=end, end=end + release.step))


def test_a_time_before_all_samples_is_no_old_data(release: Release, source: Prometheus) -> None:
    start = release.calendar.window(-DAYS_BEFORE).start - timedelta(hours=1)
    follower = source.follow(release.plan, start)
    for number in range(3):
        window = Window(start=start + number * release.step, end=start + (number + 1) * release.step)
        assert follower.read(window).services["checkout"].columns == {}
