"""Following a recording: its days in a row, whatever the windows are."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.errors import ConfigError, NotEnoughDataError
from observability.model import Calendar, Plan, Query, Samples, SourceInfo, Window
from observability.release import load
from observability.sources import recording as recordings
from observability.sources.evidence import Origin, encode_evidence
from observability.sources.recording import Forgotten, Recorded, Recording, evidence_path

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = timedelta(minutes=10)
CALENDAR = Calendar(GA, timedelta(hours=4))
STEPS = 24  # of a day
NAN = float("nan")
SOURCE = SourceInfo(prometheus="https://prom.example:9090", step_s=600)
QUERIES = (
    Query(name="requests", type="counter", promql="requests_total"),
    Query(name="cpu", type="gauge", promql="cpu"),
    Query(name="alerts", type="alerts", promql="ALERTS"),
)
PLAN = Plan(("cart", "shop"), "service", 600, QUERIES)
SHIPPED = Path(__file__).parents[1] / "test_data"


def record(root, **days):
    """Service → day → columns, and an optional warning under "warning"."""
    (root / "recording.json").write_text(Recorded.of(PLAN, CALENDAR, SOURCE).model_dump_json())
    for service, held in days.items():
        for number, columns in held.items():
            steps = len(next(iter(columns.values())))
            day = CALENDAR.window(number)
            part = Window(start=day.start, end=day.start + steps * STEP)
            samples = Samples(service, part, 600, columns, (f"cpu: of day {number}",))
            path = root / evidence_path(PLAN.services, service, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_evidence(samples, {}, Origin.of(PLAN, service, SOURCE)))
    return Recording(root)


def numbers(day, steps=STEPS):
    return 100.0 * day + np.arange(steps)


def window(low, high):
    return Window(start=GA + low * STEP, end=GA + high * STEP)


def follow(recording):
    return recording.follow(PLAN, GA)


def read(follower, low, high):
    """Service → column → its numbers."""
    found = follower.read(window(low, high)).services
    return {service: {name: v.tolist() for name, v in samples.columns.items()} for service, samples in found.items()}


def three_days(root):
    """The first day of one service and the second one of the other are not there, and the last one ends early."""
    shop = {-1: {"cpu": numbers(-1)}, 0: {"cpu": numbers(0), "requests": numbers(7)}, 1: {"cpu": numbers(1, 20)}}
    shop[0] |= {
        "requests.earlier": numbers(8),
        "cpu.seen": numbers(9),
        "alerts": numbers(1),
        "alerts.started": numbers(2),
    }
    return record(root, shop=shop, cart={0: {"cpu": numbers(3)}})


def test_a_window_may_be_of_several_days(tmp_path):
    found = read(follow(three_days(tmp_path)), -2, STEPS + 2)
    assert found["shop"]["cpu"] == [-78.0, -77.0, *numbers(0), 100.0, 101.0]
    np.testing.assert_array_equal(found["shop"]["requests"], [NAN, NAN, *numbers(7), NAN, NAN])
    assert found["shop"]["requests.earlier"] == [0, 0, *numbers(8), 0, 0]
    assert found["shop"]["alerts"] == [0, 0, *numbers(1), 0, 0]
    np.testing.assert_array_equal(found["cart"]["cpu"], [NAN, NAN, *numbers(3), NAN, NAN])
    assert "cpu.seen" not in found["shop"]


def test_a_day_that_is_not_there_is_missing(tmp_path):
    follower = follow(three_days(tmp_path))
    assert read(follower, STEPS, STEPS + 1) == {"shop": {"cpu": [100.0]}, "cart": {}}
    np.testing.assert_array_equal(read(follower, STEPS + 19, STEPS + 30)["shop"]["cpu"], [119.0] + 10 * [NAN])


def test_the_window_of_a_recording_is_all_that_it_holds(tmp_path):
    assert three_days(tmp_path).window == window(-STEPS, STEPS + 20)


@pytest.mark.parametrize(("low", "high"), [(-STEPS - 5, -STEPS), (STEPS + 20, STEPS + 21)])
def test_a_window_outside_of_all_is_not_enough_data(tmp_path, low, high):
    follower = follow(three_days(tmp_path))
    with pytest.raises(NotEnoughDataError, match=r"holds 2025-11-17T20:00:00Z to 2025-11-18T07:20:00Z, and nothing of"):
        follower.read(window(low, high))


def test_a_recording_without_days_is_not_enough_data(tmp_path):
    with pytest.raises(NotEnoughDataError, match="holds no evidence of any day"):
        follow(record(tmp_path)).read(window(0, 1))


def test_windows_are_on_the_recorded_grid(tmp_path):
    with pytest.raises(ConfigError, match="has days that begin at 2025-11-18T00:00:00Z"):
        follow(three_days(tmp_path)).read(Window(start=GA + STEP / 2, end=GA + 3 * STEP / 2))


def test_another_plan_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="set `step:` to it"):
        three_days(tmp_path).follow(replace(PLAN, step_s=60), GA)


def test_a_file_of_other_queries_is_refused(tmp_path):
    other = Query(name="cpu", type="gauge", promql="other")
    follower = three_days(tmp_path).follow(replace(PLAN, queries=(other,)), GA)
    with pytest.raises(ConfigError, match="holds the query 'cpu' as gauge cpu, not as gauge other"):
        follower.read(window(0, 1))


def test_the_warnings_of_a_day_come_with_its_first_window(tmp_path):
    follower = follow(three_days(tmp_path))
    warnings = [follower.read(window(low, low + 1)).services["shop"].warnings for low in (0, 1, STEPS - 1, STEPS)]
    assert warnings == [("cpu: of day 0",), (), (), ("cpu: of day 1",)]


def test_each_file_is_read_once(tmp_path, monkeypatch):
    recording, parsed = three_days(tmp_path), []
    follower, parse = follow(recording), recordings.parse
    monkeypatch.setattr(recordings, "parse", lambda data, where: parsed.append(where) or parse(data, where))
    for low in range(-STEPS, STEPS + 20, 4):
        read(follower, low, low + 4)
    of_days = [where.removeprefix(f"{tmp_path}/") for where in parsed]
    assert of_days == [
        "shop/evidence/day_01.csv.gz",  # how long it is
        "shop/evidence/day_-1.csv.gz",
        "cart/evidence/day_00.csv.gz",
        "shop/evidence/day_00.csv.gz",
        "shop/evidence/day_01.csv.gz",
    ]


def test_points_are_the_samples_of_the_window(tmp_path):
    follower = follow(three_days(tmp_path))
    assert follower.read(window(-2, 1)).points == 2 + 5 + 1
    assert follower.read(window(STEPS + 18, STEPS + 25)).points == 2


def test_there_is_nothing_to_remember(tmp_path):
    follower = follow(three_days(tmp_path))
    read(follower, 0, 1)
    assert follower.memory() == {}
    follower.remember({})
    assert read(follower, 1, 2)["cart"]["cpu"] == [301.0]


def test_what_has_forgotten_everything_has_no_samples(tmp_path):
    three_days(tmp_path)
    follower = Forgotten(tmp_path, PLAN, CALENDAR).follow(PLAN, GA)
    assert read(follower, 0, 3) == {"shop": {}, "cart": {}}
    follower.remember(follower.memory())


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(1, 2 * 1440), max_size=6))
def test_the_shipped_recording_is_the_same_in_all_windows(cuts):
    """Two days of it: as ``fetch`` has them, without ``q.seen``."""
    release, recording = load(SHIPPED / "release.yaml"), Recording(SHIPPED / "recording")
    start, step = release.calendar.window(0).start, release.step
    follower, found = recording.follow(release.plan, start), {}
    borders = sorted({0, *cuts, 2 * 1440})
    for low, high in itertools.pairwise(borders):
        read = follower.read(Window(start=start + low * step, end=start + high * step))
        for service, samples in read.services.items():
            for name, values in samples.columns.items():
                found.setdefault((service, name), {}).update(zip(range(low, high), values.tolist(), strict=True))
    for number in (0, 1):
        for service, samples in recording.fetch(release.plan, release.calendar.window(number)).items():
            for name, values in samples.columns.items():
                if not name.endswith(".seen"):
                    steps = range(1440 * number, 1440 * (number + 1))
                    np.testing.assert_array_equal([found[service, name][step] for step in steps], values)
