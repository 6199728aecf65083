"""Baselines that the user names: what is read, what is refused by name, and which days of it meet which."""

import json
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.artifacts import Artifact, DaySummary, PreReleaseSummary
from observability.errors import ConfigError
from observability.judgement.baseline import BUILT_IN, Named
from observability.model import Window
from observability.named_baselines import Reference, from_flags, is_of_others_alone, keys_of, read_named
from observability.store import Store
from observability.verdicts import RegressionSummary
from tests import weeks

GA_KEY = "ga_kpis/ga_kpi_summary.json"
EARLIER = timedelta(days=84)  # twelve weeks: the same weekdays


def earlier(day: DaySummary, by: timedelta = EARLIER) -> DaySummary:
    assert day.window is not None
    window = Window(start=day.window.start - by, end=day.window.end - by)
    return day.model_copy(update={"timestamp": day.timestamp - by, "window": window})


def past(number: int, by: timedelta = EARLIER, **fields: Any) -> DaySummary:
    """A day of the former release, a little other than this one's."""
    return earlier(weeks.day(number, {"p99_latency_ms": 390.0}, **fields), by)


def legacy(number: int) -> DaySummary:
    return weeks.legacy(number)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The week to judge, beside which the baselines are written."""
    return Store(tmp_path)


def read(store: Store, path: str = "v1", name: str = "v1") -> Named:
    return read_named(store, Reference(name, path), weeks.day(0), GA_KEY, weeks.days())


def numbers(found: Named) -> list[int]:
    return [day.day_number for day in found.days]


def write_days(store: Store, folder: str, days: range = weeks.WEEK) -> None:
    for number in days:
        store.write(f"{folder}/day_{number:02d}_summary.json", past(number))


# What is read


@pytest.mark.parametrize(
    ("path", "artifact", "expected"),
    [
        ("ga_kpi_summary.json", past(0), [-84]),
        ("day_03_summary.json", past(3), [-81]),
        ("of-any-name.json", past(3), [-81]),
        ("pre_release_summary.json", PreReleaseSummary(service="checkout", days=(past(-1), past(-7))), [-91, -85]),
    ],
)
def test_a_file_is_a_baseline_by_what_it_holds(
    store: Store, path: str, artifact: Artifact, expected: list[int]
) -> None:
    store.write(path, artifact)
    found = read(store, path)
    assert (found.name, found.source, numbers(found)) == ("v1", path, expected)
    assert keys_of(store, Reference("v1", path), "checkout") == [path]


@pytest.mark.parametrize("folder", ["v1", "v1/stability", "v1/checkout/stability", "v1/checkout"])
def test_a_folder_of_days(store: Store, folder: str) -> None:
    write_days(store, folder)
    assert numbers(read(store)) == list(range(-83, -76))


def test_a_whole_release_is_its_ga_day_and_the_days_after_it(store: Store) -> None:
    store.write("v1/ga_kpis/ga_kpi_summary.json", past(0))
    store.write("v1/ga_kpis/pre_release_summary.json", PreReleaseSummary(service="checkout", days=(past(-1),)))
    write_days(store, "v1/stability", range(1, 4))
    assert numbers(read(store)) == [-84, -83, -82, -81]
    assert len(keys_of(store, Reference("v1", "v1"), "checkout")) == 4


def test_of_several_services_the_own_folder_is_taken(store: Store) -> None:
    write_days(store, "v1/checkout/stability")
    store.write("v1/stability/day_01_summary.json", past(1, service="reports"))
    assert len(read(store).days) == 7


def test_a_service_that_the_baseline_does_not_have(store: Store) -> None:
    write_days(store, "v1/reports/stability")
    reference = Reference("v1", "v1")
    assert is_of_others_alone(store, reference, "checkout")
    assert not is_of_others_alone(store, reference, "reports")
    assert not is_of_others_alone(store, Reference("v1", "nowhere"), "checkout")
    with pytest.raises(ConfigError, match="of 'checkout', but of other services"):
        read(store)


@pytest.mark.parametrize(("by", "expected"), [(0, -84), (1, -85), (3, -87), (7, -91)])
def test_days_of_another_weekday_meet_their_own_weekday(store: Store, by: int, expected: int) -> None:
    """A release that was GA on another weekday: its day 0 is a Tuesday only if its window is one."""
    store.write("v1.json", past(0, EARLIER + by * weeks.DAY))
    (day,) = read(store, "v1.json").days
    assert day.day_number == expected
    assert day.window is not None
    assert (day.day_number - 0) % 7 == (day.window.start - weeks.GA).days % 7


def test_a_ga_at_another_hour_is_the_nearest_day(store: Store) -> None:
    store.write("v1.json", past(0, EARLIER - timedelta(hours=9)))
    assert numbers(read(store, "v1.json")) == [-84]


def test_partial_days_are_left_out(store: Store) -> None:
    write_days(store, "v1")
    store.write("v1/day_07_summary.json", past(7, partial=True))
    assert len(read(store).days) == 6


def test_flat_keys_alone_are_kpis_without_hours(store: Store) -> None:
    store.write("flat.json", legacy(0))
    (day,) = read(store, "flat.json").days
    assert day.kpis["overall_availability"].value == 99.95
    assert day.kpis["overall_availability"].unit == "%"
    assert day.kpis["overall_availability"].hourly == ()
    assert "flat keys" in str(day.kpis["overall_availability"].note)
    assert "p99_latency_ms" not in day.kpis  # the flat key is the mean of the steps' P99s, another KPI
    assert "overall_error_rate" in day.kpis


def test_a_null_of_a_flat_file_is_no_value(store: Store) -> None:
    store.write_bytes("flat.json", b'{"timestamp": "2025-11-01T00:00:00Z", "overall_error_rate": null}')
    (day,) = read(store, "flat.json").days
    assert day.kpis == {}


def test_kpis_of_one_side_alone_are_no_error(store: Store) -> None:
    mine = weeks.kpi("throughput", 3.0)
    store.write("v1.json", past(0).model_copy(update={"kpis": {"throughput": mine}}))
    assert list(read(store, "v1.json").days[0].kpis) == ["throughput"]


def test_a_path_is_relative_to_the_folder_that_names_it(tmp_path: Path) -> None:
    assert Reference("a", "../v1", "/releases/v2").key == "/releases/v2/../v1"
    assert Reference("a", "/v1", "/releases/v2").key == "/v1"
    assert Reference("a", "s3://bucket/v1", "/releases").key == "s3://bucket/v1"
    assert Reference("a", "~/v1", "/releases").key == str(Path.home() / "v1")


# What is refused


def text(**fields: Any) -> str:
    return json.dumps(fields)


SUMMARY = json.loads(past(0).model_dump_json())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("\0", "is not JSON"),
        ("[]", "is no summary of a day"),
        ("null", "is no summary of a day"),
        ("3", "is no summary of a day"),
        ("{}", "is no summary of a day"),
        (text(timestamp="2025-11-01T00:00:00Z"), "is no summary of a day"),
        (text(timestamp="2025-11-01T00:00:00Z", day_number=1, health_score=9, status="healthy", coverage=1), "no summ"),
        (text(anomalies=[]), "is no summary of a day"),
        (text(regressions=[], service="checkout"), "is no summary of a day"),
        (text(kpis={}), "is no summary of a day"),
        (text(days=[]), "holds no day"),
        (text(days=3), "days: "),
        (text(days=[{"kpis": {}}]), "timestamp"),
        (text(**{**SUMMARY, "timestamp": "yesterday"}), "timestamp"),
        (text(**{**SUMMARY, "timestamp": "2025-11-01T00:00:00"}), "time zone"),
        (text(**{**SUMMARY, "schema_version": 2}), "schema version 2"),
        (text(**{**SUMMARY, "kpis": {"p99_latency_ms": {}}}), "kpis.p99_latency_ms"),
        (json.dumps({**SUMMARY, "overall_error_rate": math.nan}), "overall_error_rate"),
        (text(**{**SUMMARY, "service": "reports"}), "is of service 'reports', and .* is of 'checkout'"),
        (text(**{**SUMMARY, "partial": True}), "holds no day that was over"),
    ],
)
def test_a_file_that_cannot_be_used(store: Store, content: str, words: str) -> None:
    store.write_bytes("v1.json", content.encode())
    with pytest.raises(ConfigError, match=words) as raised:
        read(store, "v1.json")
    assert str(raised.value).count("\n") == 0
    assert store.location("v1.json") in str(raised.value)


@pytest.mark.parametrize("value", [0.999, 1.0, 0.0])
def test_an_availability_that_is_a_share_is_refused(store: Store, value: float) -> None:
    """Flat keys have no units: 0.999 against 99.95 % would be a regression of anything."""
    store.write("flat.json", legacy(0).model_copy(update={"overall_availability": value}))
    with pytest.raises(
        ConfigError, match=r"flat\.json has overall_availability \S+, which looks like a share"
    ) as raised:
        read(store, "flat.json")
    assert "in '%'; give a baseline that was collected in the same units." in str(raised.value)


@pytest.mark.parametrize("value", [1.01, 99.0, None])
def test_an_availability_in_per_cent_is_none(store: Store, value: float | None) -> None:
    store.write("flat.json", legacy(0).model_copy(update={"overall_availability": value}))
    (day,) = read(store, "flat.json").days
    assert day.value("overall_availability") == value


def other_unit(day: DaySummary) -> DaySummary:
    return with_latency(day, unit="s")


def other_kind(day: DaySummary) -> DaySummary:
    return with_latency(day, kind="gauge")


def with_latency(day: DaySummary, **fields: str) -> DaySummary:
    return day.model_copy(update={"kpis": {**day.kpis, "p99_latency_ms": weeks.kpi("p99_latency_ms", 0.4, **fields)}})


def shortened(day: DaySummary) -> DaySummary:
    assert day.window is not None
    short = Window(start=day.window.start, end=day.window.start + timedelta(minutes=24))
    return day.model_copy(update={"window": short})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_unit, r"has p99_latency_ms in 's', and .*ga_kpi_summary\.json has it in 'ms'"),
        (other_kind, "has p99_latency_ms as a KPI of kind gauge, and .* as one of kind quantile"),
        (shortened, r"is of a day of 24 minutes, and .* of one of 24 hours"),
    ],
)
def test_a_baseline_that_does_not_compare(store: Store, change: Callable[[DaySummary], DaySummary], words: str) -> None:
    store.write("v1.json", change(past(0)))
    with pytest.raises(ConfigError, match=words):
        read(store, "v1.json")


@pytest.mark.parametrize("number", [0, 3])
def test_a_day_of_this_release_is_no_other_baseline(store: Store, number: int) -> None:
    """It would be compared with itself, and agree."""
    store.write("v1.json", weeks.day(number))
    with pytest.raises(ConfigError, match=f"is day {number} of this release itself.*--good-day {number}"):
        read(store, "v1.json")


def test_staging_of_the_same_days_is_a_baseline(store: Store) -> None:
    store.write("staging.json", weeks.day(0, {"p99_latency_ms": 371.0}))
    assert len(read(store, "staging.json").days) == 1


def test_a_folder_without_summaries_and_one_that_is_not_there(store: Store, tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"baseline v1: .*v1 holds no ga_kpi_summary\.json and no day summary; give"):
        read(store)
    with pytest.raises(ConfigError, match="nowhere is not there"):
        read(store, "nowhere")


def test_a_file_that_claims_another_day(store: Store) -> None:
    write_days(store, "v1")
    store.write("v1/day_03_summary.json", past(4))
    with pytest.raises(ConfigError, match=r"day_03_summary\.json says it is day 4"):
        read(store)


def test_a_day_that_is_there_twice(store: Store) -> None:
    write_days(store, "v1")
    store.write("v1/stability/day_02_summary.json", past(2))
    with pytest.raises(ConfigError, match="day 2 is there twice"):
        read(store)
    store.write("before.json", PreReleaseSummary(service="checkout", days=(past(-3), past(-3))))
    with pytest.raises(ConfigError, match="day -3 is there twice"):
        read(store, "before.json")


def test_days_of_two_releases(store: Store) -> None:
    write_days(store, "v1")
    store.write("v1/day_05_summary.json", past(5, 2 * EARLIER))
    with pytest.raises(ConfigError, match=r"day_05_summary\.json: day 5 is of .*, and so no later than day 4"):
        read(store)
    store.write("v1/day_05_summary.json", past(5, EARLIER - timedelta(hours=3)))
    with pytest.raises(ConfigError, match=r"day_05_summary\.json covers .* day 5 is .*; give the days of one release"):
        read(store)


def test_flat_days_that_are_copies_of_one_another(store: Store) -> None:
    for number in (1, 2):
        store.write(f"v1/day_{number:02d}_summary.json", weeks.legacy(1).model_copy(update={"day_number": number}))
    with pytest.raises(ConfigError, match=r"day 2 is of .*, and so no later than day 1"):
        read(store)


def test_a_folder_of_another_service(store: Store) -> None:
    store.write("v1/day_01_summary.json", past(1, service="reports"))
    with pytest.raises(ConfigError, match=r"day_01_summary\.json is of service 'reports'"):
        read(store)


def test_another_artifact_in_the_place_of_a_day(store: Store) -> None:
    store.write("v1/day_01_summary.json", RegressionSummary(service="checkout"))
    with pytest.raises(ConfigError, match=r"day_01_summary\.json is no summary of a day"):
        read(store)


# The flag


def test_the_flags() -> None:
    assert from_flags(["v1.0.0=../v1", "a=b=c"]) == [Reference("v1.0.0", "../v1"), Reference("a", "b=c")]
    assert from_flags([]) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["v1"], "names no file; write it like"),
        (["v1="], "names no file"),
        (["v1= "], "names no file"),
        (["=path"], "cannot name a baseline"),
        (["a b=path"], "cannot name a baseline"),
        (["a|b=path"], "cannot name a baseline"),
        (["ä=path"], "cannot name a baseline"),
        ([f"{'a' * 41}=path"], "cannot name a baseline"),
        (["v1\n=path"], "cannot name a baseline"),
        (["v1=a", "v1=b"], "v1 is given twice"),
        *(([f"{name}=path"], "is always there") for name in BUILT_IN),
    ],
)
def test_flags_that_cannot_be_used(flags: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_flags(flags)
