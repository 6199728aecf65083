"""Artifacts of another release or service are refused, by name; files of older tools are taken as they are."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability import readers, stages
from observability.artifacts import Artifact, DaySummary
from observability.errors import ConfigError
from observability.events import AnomalyEvents
from observability.judgement.health import assess
from observability.model import Window
from observability.store import Store
from observability.verdicts import HealthReport, RegressionSummary
from tests import weeks

WEEK = Window(start=weeks.GA, end=weeks.GA + 8 * weeks.DAY)


def later(window: Window, days: int = 1) -> Window:
    return Window(start=window.start + days * weeks.DAY, end=window.end + days * weeks.DAY)


def day_of(number: int, **fields: Any) -> DaySummary:
    return weeks.day(number, **fields)


def moved(day: DaySummary) -> DaySummary:
    """The same day of a release a day later."""
    assert day.window is not None
    return day.model_copy(update={"timestamp": day.timestamp + weeks.DAY, "window": later(day.window)})


ARTIFACTS: dict[str, Artifact] = {
    "ga_kpis/ga_kpi_summary.json": day_of(0),
    "ga_kpis/pre_release_summary.json": weeks.before(),
    **{f"stability/day_{number:02d}_summary.json": day_of(number) for number in weeks.WEEK},
    **{f"stability/day_{number:02d}_HEALTH.json": assess(day_of(number), None) for number in weeks.WEEK},
    "regression_summary.json": weeks.regression(window=WEEK),
    "anomaly_events.json": weeks.events(window=WEEK),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for key, artifact in ARTIFACTS.items():
        store.write(key, artifact)
    return store


def retrospective(store: Store) -> object:
    return stages.build_retrospective(
        store,
        ga_dir="ga_kpis",
        stability_key="stability",
        regressions_key="regression_summary.json",
        anomalies_key="anomaly_events.json",
        output_key="docs/final/report.md",
    )


def regressions(store: Store) -> object:
    return stages.analyse_regressions(store, "ga_kpis/ga_kpi_summary.json", "stability", "out.json")


def burn_down(store: Store) -> object:
    return stages.burn_down(store, "ga_kpis/ga_kpi_summary.json", "stability", "out.json")


def health(store: Store) -> object:
    return stages.report_health(store, "stability/day_02_summary.json", "anomaly_events.json", "out.json", 2)


def of_another_service(artifact: Artifact) -> Artifact:
    return artifact.model_copy(update={"service": "reports"})


def of_another_week(artifact: Artifact) -> Artifact:
    match artifact:
        case DaySummary():
            return moved(artifact)
        case HealthReport():
            return artifact.model_copy(update={"timestamp": artifact.timestamp + weeks.DAY})
        case RegressionSummary() | AnomalyEvents():
            assert artifact.window is not None
            return artifact.model_copy(update={"window": later(artifact.window)})
        case _:
            return artifact.model_copy(update={"days": tuple(map(moved, artifact.days))})  # type: ignore[attr-defined]


DAY, BEFORE = "stability/day_03_summary.json", "ga_kpis/pre_release_summary.json"
JUDGED = ("regression_summary.json", "anomaly_events.json", "stability/day_03_HEALTH.json")


@pytest.mark.parametrize("change", [of_another_service, of_another_week])
@pytest.mark.parametrize(
    ("stage", "key"),
    [
        (regressions, DAY),
        (regressions, BEFORE),
        (burn_down, DAY),
        (health, "anomaly_events.json"),
        *((retrospective, key) for key in (DAY, BEFORE, *JUDGED)),
    ],
)
def test_what_belongs_to_another_release_is_refused(
    store: Store, stage: Callable[[Store], object], key: str, change: Callable[[Artifact], Artifact]
) -> None:
    stage(store)
    store.write(key, change(ARTIFACTS[key]))
    with pytest.raises(ConfigError, match="again") as raised:
        stage(store)
    assert store.location(key) in str(raised.value)
    assert "summary.json" in str(raised.value).replace(store.location(key), "")


def test_a_ga_day_that_was_collected_again_a_day_later_needs_new_days(store: Store) -> None:
    store.write("ga_kpis/ga_kpi_summary.json", moved(day_of(0)))
    store.write(BEFORE, of_another_week(ARTIFACTS[BEFORE]))
    with pytest.raises(ConfigError, match=r"day_01_summary\.json covers 2025-11-19T00:00:00Z to .*day 1 is 2025-11-20"):
        regressions(store)


def test_a_partial_day_begins_with_its_day(store: Store) -> None:
    started = weeks.GA + 7 * weeks.DAY
    half = Window(start=started, end=started + timedelta(hours=12))
    store.write("stability/day_07_summary.json", day_of(7, window=half, partial=True))
    (Path(store.root) / "stability/day_07_HEALTH.json").unlink()
    retrospective(store)
    store.write("stability/day_07_summary.json", day_of(7, window=half, partial=False))
    with pytest.raises(ConfigError, match=r"day_07_summary\.json covers"):
        retrospective(store)


def test_days_that_are_not_asked_for_are_not_read(store: Store) -> None:
    store.write_bytes("stability/day_07_summary.json", b"of another release, and broken")
    stages.analyse_regressions(store, "ga_kpis/ga_kpi_summary.json", "stability", "out.json", [1, 2, 3, 4, 5, 6])
    found = store.read("out.json", RegressionSummary, "")
    assert found.window == Window(start=weeks.GA, end=weeks.GA + 7 * weeks.DAY)


def test_verdicts_of_older_tools_are_taken_as_they_are(store: Store) -> None:
    """They do not say whose they are or what they cover, and a bare list of events says nothing at all."""
    store.write_bytes("anomaly_events.json", b"[]")
    store.write("regression_summary.json", RegressionSummary())
    health = {"timestamp": "2025-11-20T12:00:00Z", "day_number": 3, "health_score": 90, "status": "healthy"}
    store.write("stability/day_03_HEALTH.json", HealthReport.model_validate({**health, "coverage": 1}))
    retrospective(store)
    assert store.exists("docs/final/report.json")


def test_summaries_of_older_tools_are_taken_as_they_are(store: Store) -> None:
    for number in (0, *weeks.WEEK):
        key = f"stability/day_{number:02d}_summary.json" if number else "ga_kpis/ga_kpi_summary.json"
        store.write(key, weeks.legacy(number))
        (Path(store.root) / f"stability/day_{number:02d}_HEALTH.json").unlink(missing_ok=True)
    (Path(store.root) / BEFORE).unlink()
    regressions(store)
    burn_down(store)
    store.write("regression_summary.json", RegressionSummary())
    store.write_bytes("anomaly_events.json", b"[]")
    retrospective(store)
    assert store.exists("docs/final/report.md")


def write_before(store: Store, *days: DaySummary) -> None:
    store.write(BEFORE, weeks.before().model_copy(update={"days": days}))


def test_days_before_ga_in_any_order_are_read_in_their_order(store: Store) -> None:
    write_before(store, *reversed(weeks.before().days))
    base = readers.Ground.of(day_of(0), "ga")
    found = readers.read_before(store, base, "ga_kpis/ga_kpi_summary.json")
    assert found is not None
    assert [day.day_number for day in found.days] == list(range(-7, 0))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ((day_of(-3), day_of(-2), day_of(-3)), "holds day -3 twice"),
        ((day_of(-1), day_of(0)), "holds day 0, which is not one of the days before GA"),
        ((day_of(-8),), "holds day -8, which is not one"),
        ((day_of(3),), "holds day 3, which is not one"),
    ],
)
def test_days_before_ga_that_are_no_week(store: Store, days: tuple[DaySummary, ...], words: str) -> None:
    write_before(store, *days)
    with pytest.raises(ConfigError, match=f"pre_release_summary.json {words}"):
        regressions(store)


def in_seconds(day: DaySummary) -> DaySummary:
    return day.model_copy(update={"kpis": {**day.kpis, "p99_latency_ms": weeks.kpi("p99_latency_ms", 0.4, unit="s")}})


@pytest.mark.parametrize("stage", [regressions, retrospective, burn_down])
def test_a_day_in_other_units_is_refused(store: Store, stage: Callable[[Store], object]) -> None:
    store.write(DAY, in_seconds(day_of(3)))
    with pytest.raises(ConfigError, match=r"day_03.* has p99_latency_ms in 's', and .*ga_kpi_.* has it in 'ms'"):
        stage(store)


def test_a_day_before_ga_in_other_units_is_refused(store: Store) -> None:
    write_before(store, in_seconds(day_of(-3)))
    with pytest.raises(ConfigError, match=r"pre_release.* has p99_latency_ms in 's'"):
        regressions(store)


def test_a_kpi_that_one_day_alone_has_is_no_error(store: Store) -> None:
    store.write(DAY, weeks.day(3, {"throughput": 3.0}))
    regressions(store)


def test_a_day_that_claims_another_number_is_refused(store: Store) -> None:
    store.write(DAY, day_of(4))
    with pytest.raises(ConfigError, match=r"day_03_summary\.json says it is day 4"):
        regressions(store)


def test_days_that_are_missing_are_no_error(store: Store) -> None:
    for number in (2, 5):
        (Path(store.root) / f"stability/day_{number:02d}_summary.json").unlink()
    base = readers.Ground.of(day_of(0), "ga")
    assert [day.day_number for day in readers.read_days(store, base, "stability")] == [1, 3, 4, 6, 7]


@pytest.mark.parametrize("timestamp", [weeks.legacy(2).timestamp, weeks.legacy(1).timestamp])
def test_flat_days_that_are_copies_or_out_of_order_are_refused(store: Store, timestamp: datetime) -> None:
    for number in (0, *weeks.WEEK):
        key = f"stability/day_{number:02d}_summary.json" if number else "ga_kpis/ga_kpi_summary.json"
        store.write(key, weeks.legacy(number))
    (Path(store.root) / BEFORE).unlink()
    store.write(DAY, weeks.legacy(3).model_copy(update={"timestamp": timestamp}))
    with pytest.raises(ConfigError, match=r"day_03_summary\.json: day 3 is of .*, and so no later than day 2, of "):
        burn_down(store)


@pytest.mark.parametrize(("number", "there"), [(0, True), (-7, True), (7, True), (3, False), (-1, False), (6, False)])
def test_a_good_day_is_a_whole_day_that_is_there(number: int, there: bool) -> None:
    days = [day_of(n, partial=n == 6) for n in weeks.WEEK if n != 3]
    before = weeks.before().model_copy(update={"days": weeks.before().days[:6]})
    assert (readers.missing_good_day(number, day_of(0), days, before) is None) == there
