"""Any stage on a recording writes, byte for byte, what it wrote on the server that the recording is of."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from observability import readers, stages
from observability.archive import Archive
from observability.definitions import Channel, Release
from observability.errors import ConfigError, NotEnoughDataError
from observability.layout import Layout
from observability.model import Plan, Query, Samples, SourceInfo, Window, query_of
from observability.release import load
from observability.sources import Source
from observability.sources.recording import Forgotten, Recording
from observability.store import Store
from observability.week import Week

GA = datetime(2025, 11, 18, tzinfo=UTC)
RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
services: [shop, desk, ghost]
prices: {currency: USD, cpu_core_hour: 0.04, storage_gib_month: 0.1}
maintenance: [{start: 2025-11-18T03:00:00Z, end: 2025-11-18T05:00:00Z, reason: disks}]
"""
LENGTHS = {"days": "step: 1h\n", "a rehearsal": "step: 60s\nday: 24m\n"}
FOREVER = 10_000
NAN = np.nan


class Server:
    """What each query has at a step depends on nothing but the step's number since GA: no window changes it.

    ``shop`` has a gap over the border of days 1 and 2, an alert and a histogram whose last bucket is born on day 2;
    ``desk`` begins at noon of the GA day, and has nothing on day 3; ``ghost`` has never had anything. ``days`` are
    those that the server has kept.
    """

    def __init__(self, release: Release, days: range = range(-4, 8)) -> None:
        self._release, self._days = release, days
        self._per_day = release.day // release.step

    def info(self, plan: Plan) -> SourceInfo:
        return SourceInfo(prometheus="http://prometheus:9090", step_s=plan.step_s)

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        first = (window.start - self._release.ga) // self._release.step
        steps = np.arange(first, first + window.steps(plan.step_s))
        return {service: self._samples(plan, window, service, steps) for service in plan.services}

    def _samples(self, plan: Plan, window: Window, service: str, steps: np.ndarray) -> Samples:
        columns = {
            name: values for query in plan.queries for name, values in self._columns(query, service, steps).items()
        }
        warned = tuple(f"{query.name}: partial response: store-2" for query in plan.queries[:2])
        return Samples(service, window, plan.step_s, columns, warned)

    def _there(self, service: str, steps: np.ndarray) -> np.ndarray:
        day = steps // self._per_day
        kept = (day >= self._days.start) & (day < self._days.stop)
        if service == "shop":
            return kept & ((steps < 2 * self._per_day - 2) | (steps >= 2 * self._per_day + 3))
        return kept & (steps >= self._per_day // 2) & (day != 3) & (service == "desk")

    def _columns(self, query: Query, service: str, steps: np.ndarray) -> dict[str, np.ndarray]:
        """The query's columns as ``model.Samples`` has them: without those that tell nothing."""
        there, name = self._there(service, steps), query.name
        if not there.any():
            return {}
        size = 1 + sum(map(ord, name)) % 50
        wave = np.where(there, size * (20 + np.sin(steps / 3) + (steps % 7) / 10), NAN)
        if query.type == "gauge":
            return {name: wave}
        if query.type == "alerts":
            firing = np.where((steps % 30 >= 20) & there, 1.0, 0.0)
            started = np.where((steps % 30 == 20) & there, 1.0, 0.0)
            return {name: firing, f"{name}.started": started} if firing.any() else {}
        seen = np.where(there, np.where(steps % 11 == 0, 0.5, 1.0), 0.0)
        share = {f"{name}.seen": seen} if (seen[there] < 1).any() else {}
        if query.type == "buckets":
            return {**self._buckets(name, wave, steps), **share}
        after_a_gap = there & (steps == 2 * self._per_day + 3)
        earlier = np.where(after_a_gap, NAN if steps[0] == 2 * self._per_day else 6 / 7 * wave, 0.0)
        return {name: np.round(wave), **({f"{name}.earlier": earlier} if earlier.any() else {}), **share}

    def _buckets(self, name: str, wave: np.ndarray, steps: np.ndarray) -> dict[str, np.ndarray]:
        shares = {"0.1": 0.5, "0.5": 0.99, "1.0": 0.995, "+Inf": 1.0}
        columns = {f"{name}.le.{bound}": np.round(wave * 100 * share) for bound, share in shares.items()}
        columns[f"{name}.le.1.0"][steps < 2 * self._per_day] = NAN
        return {column: values for column, values in columns.items() if not np.isnan(values).all()}


@pytest.fixture(params=LENGTHS.values(), ids=LENGTHS)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Release:
    return written(tmp_path, request.param)


def written(tmp_path: Path, more: str) -> Release:
    path = tmp_path / "release.yaml"
    path.write_text(RELEASE + more)
    return load(path)


def day(release: Release, number: float) -> datetime:
    return release.ga + number * release.day


def layout(release: Release, folder: Path) -> Layout:
    return Layout(Store(folder), release.services)


def recorded(release: Release, folder: Path, server: Server | None = None) -> Recording:
    source = server or Server(release)
    stages.record(release, source, layout(release, folder), range(-7, 8), lambda number, found: None)
    return Recording(folder)


def textbook(release: Release) -> Release:
    """The release scored by the detector that finds something in any data."""
    return release.model_copy(update={"channels": (Channel(name="ewma"),)})


def week(release: Release, source: Source, folder: Path, now: datetime, *, afresh: bool = False) -> None:
    Week(
        release=textbook(release),
        source=source,
        layout=layout(release, folder),
        identity="",
        now=now,
        report=lambda stage, ran: None,
        warn=lambda text: None,
        afresh=afresh,
    ).run()


def a_whole_week(release: Release, source: Source, folder: Path) -> None:
    week(release, source, folder, day(release, 8))


def half_a_week(release: Release, source: Source, folder: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="3 of 7 days are over"):
        week(release, source, folder, day(release, 4.5))


def the_ga_day(release: Release, source: Source, folder: Path) -> None:
    stages.collect_ga(release, source, layout(release, folder), now=day(release, 2))


def a_part_of_the_ga_day(release: Release, source: Source, folder: Path) -> None:
    stages.collect_part_of_ga(release, source, layout(release, folder), day(release, 0.4))


def days(release: Release, source: Source, folder: Path) -> None:
    """Days 1 to 3, and what is over of day 2 in between."""
    where = layout(release, folder)
    the_ga_day(release, source, folder)
    baselines = readers.read_baselines(release, where)
    for number, now in ((1, 2.0), (3, 4.0)):
        stages.collect_day(release, source, where, number, baselines, now=day(release, now))


def a_part_of_a_day(release: Release, source: Source, folder: Path) -> None:
    where = layout(release, folder)
    the_ga_day(release, source, folder)
    baselines = readers.read_baselines(release, where)
    for number, over in ((1, 0.5), (2, 0.05), (2, 0.3), (3, 0.5), (5, 0.9)):
        now = day(release, number + over)
        stages.collect_day(release, source, where, number, baselines, now=now, partial=True)
        part = where.day_summary("shop", number)
        assert b'"partial": true' in where.store.read_bytes(part, "")
        where.store.write_bytes(f"{part}.{over}", where.store.read_bytes(part, ""))


def anomalies(release: Release, source: Source, folder: Path) -> None:
    where = layout(release, folder)
    for number in (0.5, 1.0, 2.04, 4.5, 8.0):
        name = f"anomalies-{number}.json"
        stages.detect(textbook(release), source, where, now=day(release, number), anomalies_name=name)


STAGES = (a_whole_week, half_a_week, the_ga_day, a_part_of_the_ga_day, days, a_part_of_a_day, anomalies)


def artifacts(folder: Path) -> dict[str, bytes]:
    """What a stage has written, the evidence included; the ledger tells of the run and not of the release."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run_ledger.json"]
    assert files
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_stage_on_a_recording_writes_what_it_wrote_on_the_server(
    release: Release, tmp_path: Path, stage: Callable[[Release, Source, Path], None]
) -> None:
    stage(release, Server(release), tmp_path / "live")
    stage(release, recorded(release, tmp_path / "recording"), tmp_path / "replayed")
    assert artifacts(tmp_path / "replayed") == artifacts(tmp_path / "live")


def test_days_that_the_server_has_not_kept_are_scored_by_neither(tmp_path: Path) -> None:
    release = written(tmp_path, LENGTHS["days"])
    server = Server(release, range(7))
    anomalies(release, server, tmp_path / "live")
    anomalies(release, recorded(release, tmp_path / "recording", server), tmp_path / "replayed")
    assert artifacts(tmp_path / "replayed") == artifacts(tmp_path / "live")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole week that was run on the server."""
    folder = tmp_path_factory.mktemp("lived")
    release = written(folder, LENGTHS["days"])
    a_whole_week(release, Server(release), folder / "week")
    return folder / "week"


@pytest.fixture
def finished(lived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "week"))


def test_the_evidence_of_a_run_is_a_recording_of_it(lived: Path, tmp_path: Path) -> None:
    a_whole_week(written(tmp_path, LENGTHS["days"]), Recording(lived), tmp_path / "replayed")
    assert artifacts(tmp_path / "replayed") == artifacts(lived)


def test_the_server_is_what_it_says(release: Release) -> None:
    """What makes the comparisons above worth something: gaps, births, warnings, and a service without data."""
    server, plan = Server(release), release.plan
    found = {number: server.fetch(plan, release.calendar.window(number)) for number in range(-7, 8)}
    assert not any(found[number][service].columns for number in (-7, -5) for service in plan.services)
    assert not any(found[number]["ghost"].columns for number in found)
    assert not found[3]["desk"].columns
    assert "http_latency.le.1.0" not in found[1]["shop"].columns
    assert "http_latency.le.1.0" in found[2]["shop"].columns
    assert np.isnan(found[2]["shop"].columns["http_requests"][:3]).all()
    assert np.isnan(found[2]["shop"].columns["http_requests.earlier"]).any()
    assert {query_of(name) for name in found[5]["shop"].columns} == {query.name for query in plan.queries}
    assert found[1]["shop"].warnings


# Rebuilding from the evidence


def rebuild(release: Release, folder: Path, now: float = 8) -> None:
    week(release, Forgotten(folder, release.plan, release.calendar), folder, day(release, now), afresh=True)


def reports(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in artifacts(folder).items() if "evidence/" not in name}


def evidence(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in artifacts(folder).items() if "evidence/" in name}


def test_a_rebuilt_week_is_the_same_week(lived: Path, finished: Path, tmp_path: Path) -> None:
    for name in reports(finished):
        if name != "recording.json":
            (finished / name).unlink()
    rebuild(written(tmp_path, LENGTHS["days"]), finished)
    assert artifacts(finished) == artifacts(lived)


def test_what_was_recorded_without_verdicts_can_be_judged(lived: Path, tmp_path: Path) -> None:
    release = written(tmp_path, LENGTHS["days"])
    recorded(release, tmp_path / "recording")
    rebuild(release, tmp_path / "recording")
    assert artifacts(tmp_path / "recording") == artifacts(lived)


def test_half_a_week_is_rebuilt_as_far_as_it_goes(release: Release, tmp_path: Path) -> None:
    half_a_week(release, Server(release), tmp_path / "live")
    before = artifacts(tmp_path / "live")
    with pytest.raises(NotEnoughDataError, match="3 of 7 days are over"):
        rebuild(release, tmp_path / "live", now=4.5)
    assert artifacts(tmp_path / "live") == before


@pytest.mark.parametrize(
    "edit",
    [
        "slos: [{name: Availability, kpi: overall_availability, objective: 50}]\n",
        "prices: {currency: EUR, cpu_core_hour: 4}\n",
        "maintenance: [{start: 2025-11-19T03:00:00Z, end: 2025-11-19T05:00:00Z}]\n",
        "kpis: {p99_latency_ms: {quantile: 0.5}}\n",
    ],
    ids=["an objective", "a price", "a maintenance window", "a KPI on the same query"],
)
def test_an_edited_release_is_judged_as_if_it_had_been_so_from_the_start(
    lived: Path, finished: Path, tmp_path: Path, edit: str
) -> None:
    lines = [line for line in RELEASE.splitlines(keepends=True) if not line.startswith(edit.partition(":")[0])]
    (tmp_path / "release.yaml").write_text("".join(lines) + LENGTHS["days"] + edit)
    edited = load(tmp_path / "release.yaml")
    rebuild(edited, finished)
    assert evidence(finished) == evidence(lived)
    a_whole_week(edited, Server(edited), tmp_path / "anew")
    assert reports(finished) == reports(tmp_path / "anew") != reports(lived)


def test_what_rests_on_a_query_that_the_evidence_does_not_hold_has_no_data(
    lived: Path, finished: Path, tmp_path: Path
) -> None:
    """The errors' query has changed: without them there is no error rate, and the requests at hand are used."""
    first = written(tmp_path, LENGTHS["days"])
    edited = written(tmp_path, LENGTHS["days"] + "queries: {http_errors: 'errors_total{$match}'}\n")
    lacking = Archive(edited, layout(edited, finished)).lacking(range(-7, 8), "http://prometheus:9090")
    assert lacking == {"http_errors": [*range(-4, 8)]}
    rebuild(edited, finished)
    summary = (finished / "shop/stability/day_01_summary.json").read_text()
    before = json.loads((lived / "shop/stability/day_01_summary.json").read_text())
    assert '"overall_error_rate": null' in summary
    assert json.loads(summary)["kpis"]["request_rate"] == before["kpis"]["request_rate"]
    assert "http_errors: the evidence of this day does not hold it, and the server has forgotten the day" in summary
    assert evidence(finished) == evidence(lived)
    rebuild(first, finished)
    assert reports(finished) == reports(lived)


def test_a_week_is_rebuilt_from_the_best_of_what_was_collected(lived: Path, finished: Path, tmp_path: Path) -> None:
    """A later collection asked another query of that name: the first one's files are in replaced/."""
    first = written(tmp_path, LENGTHS["days"])
    edited = written(tmp_path, LENGTHS["days"] + "queries: {targets: 'sum by ($by) (other{$match})'}\n")
    a_whole_week(edited, Server(edited), finished)
    assert list((finished / "shop/evidence/replaced").iterdir())
    rebuild(first, finished)
    assert reports(finished) == {**reports(lived), "recording.json": reports(finished)["recording.json"]}


def test_a_day_without_evidence_is_missing_as_in_a_run(finished: Path, tmp_path: Path) -> None:
    release = written(tmp_path, LENGTHS["days"])
    for service in release.services:
        (finished / service / "evidence/day_05.csv.gz").unlink()
    rebuild(release, finished)
    report = json.loads((finished / "shop/docs/final/GA_7DAY_RETROSPECTIVE.json").read_text())
    assert report["days_present"] == [1, 2, 3, 4, 6, 7]


@pytest.mark.parametrize("name", ["ga", "day", "step"])
def test_evidence_of_another_calendar_is_refused(finished: Path, tmp_path: Path, name: str) -> None:
    release = written(tmp_path, LENGTHS["days"])
    other = {"ga": day(release, 1), "day": 2 * release.day, "step": release.step / 2}
    before = artifacts(finished)
    with pytest.raises(ConfigError, match=f"recording.json was made with `{name}:` .*; give the release the recorded"):
        rebuild(release.model_copy(update={name: other[name]}), finished)
    assert artifacts(finished) == before


def test_evidence_that_nobody_can_read_is_refused(finished: Path, tmp_path: Path) -> None:
    release = written(tmp_path, LENGTHS["days"])
    (finished / "desk/evidence/day_03.csv.gz").write_bytes(b"")
    archive = Archive(release, layout(release, finished))
    for attempt in (
        lambda: archive.lacking(range(-7, 8), "http://prometheus:9090"),
        lambda: rebuild(release, finished),
    ):
        with pytest.raises(ConfigError, match=r"desk/evidence/day_03\.csv\.gz is not an evidence file"):
            attempt()
