"""Calibration: which threshold gives how many incidents, by hand, over made-up time, and as the command prints it."""

from __future__ import annotations

import json
import math
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pytest_httpserver import HTTPServer

from observability.calibrate_incidents import MOST_LINES, text
from observability.definitions import IncidentSettings, Maintenance
from observability.detection.anomalies import score_release
from observability.detection.joint import THRESHOLD
from observability.errors import NotEnoughDataError
from observability.events import Incident, Suspect
from observability.model import Samples, Window
from observability.release import load
from observability.watching import calibration
from observability.watching.calibration import THRESHOLDS, Calibration, Rate, calibrate, limit, lowest
from tests.programs import ROOT, postga
from tests.test_stream import GA, RELEASE, START, STEP, samples
from tests.torture import record
from tests.watched import END, Made, Source

WEEK = timedelta(days=7)
FEW = (3.0, 5.0, 8.0, 20.0)


# By hand.


def rates(*per_week: float) -> list[Rate]:
    return [Rate(threshold=float(n), incidents=0, per_week=rate) for n, rate in enumerate(per_week, start=3)]


@pytest.mark.parametrize(
    ("per_week", "wanted", "threshold"),
    [
        ([9, 5, 2, 1, 0.5, 0], 1, 6),
        ([9, 5, 2, 1, 0.5, 0], 0.9, 7),
        ([9, 5, 2, 1, 0.5, 0], 0, 8),
        ([9, 5, 2, 1, 0.5, 0], 100, 3),
        ([0.5, 5, 2, 3, 1, 0], 1, 7),  # at 3 all of them are one
        ([9, 5, 2], 1, None),
    ],
)
def test_the_lowest_threshold_from_which_on_there_are_no_more(
    per_week: list[float], wanted: float, threshold: float | None
) -> None:
    assert lowest(rates(*per_week), wanted) == threshold


@pytest.mark.parametrize("count", [0, 1, 2, 5, 20, 100])
def test_the_upper_limit_of_a_mean(count: int) -> None:
    """Of so many events or fewer, a Poisson distribution of that mean has a probability of 5 %."""
    mean = limit(count)
    chance = math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(count + 1))
    assert chance == pytest.approx(0.05, abs=0.002)
    assert limit(0) == pytest.approx(-math.log(0.05), rel=0.01)


# Over made-up time: two services, nine days of steps of half an hour, of which GA is after four.


def calibrated(made: Made = samples, **more: Any) -> Calibration:
    given = {"release": RELEASE, "start": START, "since": GA, "end": END, "wanted": 1.0, **more}
    return calibrate(source=Source(made=made), advance=lambda text, share: None, **given)


@pytest.fixture(scope="module")
def found() -> Calibration:
    return calibrated()


def test_each_row_is_what_would_have_been_found_with_that_threshold(found: Calibration) -> None:
    assert [rate.threshold for rate in found.rates] == sorted({*THRESHOLDS, THRESHOLD})
    counts = {rate.threshold: rate.incidents for rate in found.rates}
    days = {service: [own] for service, own in samples(0, (END - START) // STEP).items()}
    for threshold in (3.0, 5.0, 6.2, 12.0, 20.0):
        release = RELEASE.model_copy(update={"incidents": IncidentSettings(threshold=threshold)})
        told = [one for events in score_release(release, days).values() for one in events.incidents]
        assert counts[threshold] == len(told), threshold
        if threshold == (found.threshold or 20.0):
            assert list(found.incidents) == sorted(told, key=lambda one: (one.start, one.service))
    assert found.rates[0].incidents > found.rates[-1].incidents >= 1


def test_rates_are_per_service_and_week(found: Calibration) -> None:
    """Five days of two services since GA; of each KPI some steps are missing."""
    assert found.service_weeks == pytest.approx(10 / 7, rel=0.03)
    for rate in found.rates:
        assert rate.per_week == pytest.approx(rate.incidents / found.service_weeks)
    assert found.at_most == pytest.approx(limit(len(found.incidents)) / found.service_weeks)


def test_the_warm_up_is_not_counted() -> None:
    with_history, without = calibrated(), calibrated(start=GA)
    assert with_history.service_weeks - without.service_weeks == pytest.approx(2 / 7, abs=0.01)
    assert calibrated(start=GA - timedelta(hours=12)).service_weeks == pytest.approx(
        with_history.service_weeks - 1 / 7, abs=0.01
    )


def test_a_service_that_is_silent_is_not_counted() -> None:
    alone = calibrated(made=lambda first, stop: samples(first, stop, without=("cart",)))
    assert alone.service_weeks == pytest.approx(5 / 7, rel=0.03)
    assert {one.service for one in alone.incidents} <= {"shop"}


@pytest.mark.parametrize("value", [math.nan, 5.0], ids=["nothing was seen", "nothing moved"])
def test_from_nothing_nothing_can_be_told(value: float) -> None:
    def made(first: int, stop: int) -> dict[str, Samples]:
        window = Window(start=START + first * STEP, end=START + stop * STEP)
        columns = {"db_sessions": np.full(stop - first, value)}
        return {name: Samples(name, window, RELEASE.step_s, columns) for name in RELEASE.services}

    with pytest.raises(NotEnoughDataError) as error:
        calibrated(made)
    assert str(error.value) == (
        "There is too little data from 2025-11-18T00:00:00Z to 2025-11-23T00:00:00Z to count incidents in, of which a "
        "service's first 24 hours warm up; check --start and --end."
    )
    assert error.value.exit_code == 4


def test_what_is_known_of_maintenance_does_not_count(found: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "THRESHOLDS", FEW)
    drill = Maintenance(start=START, end=END, services=("shop",))
    quieter = calibrated(release=RELEASE.model_copy(update={"maintenance": (drill,)}))
    assert {one.service for one in found.incidents} == {"shop", "cart"}
    assert {one.service for one in quieter.incidents} == {"cart"}
    assert {one.in_maintenance for one in quieter.incidents} == {False}
    for rate in quieter.rates:
        assert rate.incidents < next(one.incidents for one in found.rates if one.threshold == rate.threshold)


def test_what_is_not_over_at_the_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outage is from step 300 on, four steps long."""
    monkeypatch.setattr(calibration, "THRESHOLDS", FEW)
    told = calibrated(end=START + 303 * STEP)
    assert {(one.service, one.ongoing, one.severity) for one in told.incidents} == {
        ("shop", True, "critical"),
        ("cart", True, "critical"),
    }


def test_the_threshold_in_use_is_one_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "THRESHOLDS", FEW)
    release = RELEASE.model_copy(update={"incidents": IncidentSettings(threshold=7.77)})
    told = calibrated(release=release)
    assert [rate.threshold for rate in told.rates] == [3.0, 5.0, THRESHOLD, 7.77, 8.0, 20.0]
    assert (told.shipped, told.in_use) == (THRESHOLD, 7.77)


def test_more_is_wanted_or_less(found: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "THRESHOLDS", FEW)
    lenient = calibrated(wanted=1e6)
    assert (lenient.threshold, len(lenient.incidents)) == (3.0, lenient.rates[0].incidents)
    none = calibrated(wanted=0.0)
    assert none.rates[-1].incidents > 0  # the made-up outage is one at any threshold
    assert (none.threshold, len(none.incidents)) == (None, none.rates[-1].incidents)


# The page.


def incident(hour: int) -> Incident:
    start = datetime(2025, 11, 12, tzinfo=UTC) + timedelta(hours=hour)
    suspects = (
        Suspect(metric_name="p99_latency_ms", category="latency", share=0.54),
        Suspect(metric_name="overall_error_rate", category="errors", share=0.31),
    )
    return Incident(
        id=f"shop/{hour}",
        service="shop",
        start=start,
        noticed=start,
        end=start + timedelta(minutes=30),
        severity="high",
        score=9.06,
        threshold=6.2,
        suspects=suspects,
    )


def page(counts: dict[float, int], threshold: float | None, **more: object) -> str:
    chosen = threshold if threshold is not None else max(counts)
    given: dict[str, object] = {
        "window": (datetime(2025, 11, 11, tzinfo=UTC), datetime(2025, 11, 18, tzinfo=UTC)),
        "service_weeks": 4.0,
        "wanted": 1.0,
        "shipped": 6.2,
        "in_use": 6.2,
        "rates": tuple(Rate(threshold=t, incidents=n, per_week=n / 4) for t, n in counts.items()),
        "threshold": threshold,
        "incidents": tuple(incident(hour) for hour in range(counts[chosen])),
        "at_most": limit(counts[chosen]) / 4,
    }
    return text(Calibration.model_validate(given | more))


def test_the_page() -> None:
    """Rows of whole thresholds and marked ones, up to the first after all marks that has nothing."""
    counts = {3.0: 1200, 3.5: 90, 4.0: 30, 5.0: 6, 5.25: 1, 6.0: 0, 6.2: 0, 6.5: 0, 7.0: 0, 8.0: 0}
    assert page(counts, 5.25) == (
        "2025-11-11T00:00:00Z to 2025-11-18T00:00:00Z: 4 weeks of services\n"
        "threshold  incidents  per service and week\n"
        "        3      1,200                300.00\n"
        "        4         30                  7.50\n"
        "        5          6                  1.50\n"
        "     5.25          1                  0.25  ← at most 1\n"
        "        6          0                  0.00\n"
        "      6.2          0                  0.00  ← shipped\n"
        "\n"
        "At 5.25 there would have been:\n"
        "  2025-11-12T00:00:00Z shop high, over, 30 minutes long: p99_latency_ms (54 %), overall_error_rate (31 %); "
        "evidence 9.06 of 6.2\n"
        "With 95 % confidence that is no more than 1.2 per service and week.\n"
        "\n"
        "To watch with it, write into the release file:\n"
        "\n"
        "incidents:\n"
        "  threshold: 5.25"
    )


def rows(printed: str) -> list[list[str]]:
    return [line.split(maxsplit=3) for line in printed.partition("week\n")[2].partition("\n\n")[0].splitlines()]


def test_the_table_ends_after_all_marks_where_nothing_is_left() -> None:
    counts = {5.0: 9, 6.0: 5, 6.2: 5, 7.0: 3, 8.0: 2, 8.25: 1, 9.0: 1, 10.0: 1, 11.0: 0, 12.0: 0}
    assert [row[0] for row in rows(page(counts, 8.0))] == ["5", "6", "6.2", "7", "8", "9", "10", "11"]
    assert [row[0] for row in rows(page(counts, None))][-1] == "11"
    few = {6.0: 3, 6.2: 2, 6.25: 1, 6.5: 0, 7.0: 0}
    assert [row[:2] for row in rows(page(few, 6.0))] == [["6", "3"], ["6.2", "2"], ["6.5", "0"]]


def test_marks_of_one_row_and_of_the_release_file() -> None:
    counts = {6.0: 2, 6.2: 1, 7.0: 0, 8.0: 0, 8.5: 0, 9.0: 0}
    marked = {row[0]: row[3] for row in rows(page(counts, 6.2, in_use=8.5)) if len(row) > 3}
    assert marked == {"6.2": "← at most 1, shipped", "8.5": "← in the release file"}


def test_no_threshold_gives_so_few() -> None:
    printed = page({6.0: 30, 6.2: 25, 20.0: 24}, None, wanted=0.5)
    assert "← at most" not in printed
    assert (
        "\nNo threshold gives 0.5 per service and week or fewer. With the highest there would have been:\n" in printed
    )
    assert printed.count(" shop high, over") == MOST_LINES
    assert f"\n  and {24 - MOST_LINES} more (--json lists all of them)\n" in printed
    assert "threshold:" not in printed
    assert printed.endswith(
        "Replay a quieter time (--start, --end), name what is known under `maintenance`, or want more."
    )


@pytest.mark.parametrize(
    ("weeks", "wanted", "said"),
    [
        (
            0.05,
            1.0,
            "The time is too short to be sure of 1: with 95 % confidence that is no more than 59 per ",
        ),
        (
            2.0,
            1.0,
            "The time is too short to be sure of 1: with 95 % confidence that is no more than 1.5 per ",
        ),
        (4.0, 1.0, "With 95 % confidence that is no more than 0.74 per "),
        (
            100.0,
            0.0,
            "The time is too short to be sure of 0: with 95 % confidence that is no more than 0.03 per ",
        ),
        (
            0.001,
            1.0,
            "The time is too short to be sure of 1: with 95 % confidence that is no more than 2,969 per ",
        ),
    ],
)
def test_how_much_the_time_says(weeks: float, wanted: float, said: str) -> None:
    printed = page({6.0: 0, 6.2: 0}, 6.0, service_weeks=weeks, wanted=wanted, at_most=limit(0) / weeks)
    assert "\n  no incident\n" in printed
    assert f"\n{said}service and week.\n" in printed


# The command.


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    record(folder)
    return folder


CALIBRATE = ("watch", "release.yaml", "--calibrate", "--recording", "recording")


def calibrate_in(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return postga(folder, *CALIBRATE, *flags)


def test_the_week_before_ga_of_a_recording(recorded: Path, tmp_path: Path) -> None:
    done = calibrate_in(recorded)
    assert (done.returncode, done.stderr) == (0, "")
    head, *_ = done.stdout.splitlines()
    assert head == "2025-11-11T00:00:00Z to 2025-11-18T00:00:00Z: 1.7 weeks of services"  # two weeks but for a day each
    assert sorted(path.name for path in recorded.iterdir()) == ["recording", "release.yaml"]  # it writes nothing
    settings = done.stdout.partition("write into the release file:\n\n")[2]
    assert set(yaml.safe_load(settings)) == {"incidents"}
    release = tmp_path / "release.yaml"
    release.write_text((recorded / "release.yaml").read_text() + settings)
    told = calibrate_in(recorded, "--json")
    assert load(release).incidents.threshold == json.loads(told.stdout)["threshold"]
    assert Calibration.model_validate_json(told.stdout).window[1] == GA


def test_a_time_of_ones_own(recorded: Path) -> None:
    flags = ("--start", "2025-11-19T00:05:00Z", "--end", "2025-11-21T00:00:00Z")
    done = calibrate_in(recorded, *flags, "--alarms-per-week", "0")
    assert done.returncode == 0
    assert done.stdout.startswith("2025-11-19T00:00:00Z to 2025-11-21T00:00:00Z: 0.564 weeks of services\n")
    assert "No threshold gives 0 per service and week or fewer." in done.stdout
    assert "2025-11-20T08:20:00Z shop critical, over" in done.stdout


def test_the_page_in_the_documentation_is_what_it_prints() -> None:
    command = "$ postga watch release.yaml --calibrate --alarms-per-week 1\n"
    page = (ROOT / "docs/watch.md").read_text().partition(command)[2].partition("```")[0]
    flags = ("--calibrate", "--recording", "test_data/recording", "--alarms-per-week", "1")
    assert postga(ROOT, "watch", "test_data/release.yaml", *flags).stdout == page


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--start", "2024-11-18T00:00:00Z", "--end", "2024-11-19T00:00:00Z"), 4, "holds 2025-11-11T00:00:00Z to"),
        (("--start", "2025-11-18T00:00:00Z"), 2, "is empty; check --start and --end."),
        (("--end", "yesterday"), 2, "--end"),
        (("--alarms-per-week", "-1"), 2, "--alarms-per-week"),
        (("--alarms-per-week", "nan"), 2, "--alarms-per-week"),
    ],
)
def test_what_cannot_be_calibrated(recorded: Path, flags: tuple[str, ...], code: int, said: str) -> None:
    done = calibrate_in(recorded, *flags)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_of_a_server_before_ga_it_is_the_week_before_now(tmp_path: Path, httpserver: HTTPServer) -> None:
    """The server knows nothing, and is not asked for what is yet to come."""
    httpserver.expect_request("/api/v1/query_range").respond_with_json(
        {"status": "success", "data": {"resultType": "matrix", "result": []}}
    )
    httpserver.expect_request("/api/v1/query").respond_with_json(
        {"status": "success", "data": {"resultType": "matrix", "result": []}}
    )
    ga = datetime.now(UTC) + timedelta(days=2)
    release = f"release: shop-v2\nga: {ga:%Y-%m-%dT00:00:00Z}\nstep: 10m\nonly: [db_connections]\nslos: []\n"
    (tmp_path / "release.yaml").write_text(release)
    done = postga(tmp_path, "watch", "release.yaml", "--calibrate", "--prometheus-url", httpserver.url_for("/"))
    assert done.returncode == 4
    assert "There is too little data from" in done.stderr
    until = done.stderr.split(" to ")[1][:20]
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(until) < timedelta(minutes=12)
