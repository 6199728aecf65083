"""Collecting again: what the evidence holds is kept whatever the server has forgotten; what is missing is told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from observability import readers, stages, week
from observability.artifacts import DaySummary, PreReleaseSummary
from observability.definitions import Release
from observability.errors import NotEnoughDataError, SourceError
from observability.layout import Layout
from observability.model import SERVER_WARNED, Plan, Samples, SourceInfo, Window
from observability.release import load
from observability.report import ReleaseIndex, Retrospective
from observability.sources.evidence import Evidence, decode_evidence
from observability.sources.recording import Forgotten
from observability.store import Store

GA = datetime(2025, 11, 18, tzinfo=UTC)
AFTER = GA + timedelta(days=8)
HEAD = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
step: 1h
slos: []
services: [shop, desk]
service_label: service
"""
ONLY = "only: [request_rate, overall_error_rate, db_connections, redis_memory_bytes]\n"
COUNTERS = {"http_requests", "http_errors"}
ALL = COUNTERS | {"db_sessions", "redis_memory"}
TOO_LATE = (
    "http_errors: the evidence of this day does not hold it, and the server has forgotten the day, so what rests on it "
    "has no data"
)
OTHER_SESSIONS = "queries: {db_sessions: 'sum by ($by) (sessions{$match})'}\n"


class Server:
    """One number per query and step, another one for another PromQL, from ``retained`` on; it keeps what was asked."""

    def __init__(self, url: str = "http://prometheus:9090") -> None:
        self.url = url
        self.asked: dict[datetime, set[str]] = {}
        self.retained = GA - timedelta(days=99)
        self.without: dict[str, Sequence[datetime]] = {}
        self.down_at: datetime | None = None
        self.partial: set[datetime] = set()

    def info(self, plan: Plan) -> SourceInfo:
        return SourceInfo(prometheus=self.url, step_s=plan.step_s)

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        if window.start == self.down_at:
            raise SourceError("the server cannot be reached")
        self.asked[window.start] = {query.name for query in plan.queries}
        return {service: self._samples(plan, window, service) for service in plan.services}

    def _samples(self, plan: Plan, window: Window, service: str) -> Samples:
        there = window.start >= self.retained and window.start not in self.without.get(service, ())
        half = 0.5 if window.start in self.partial else 1.0
        names = {query.name: half * number(query.promql) for query in plan.queries if there}
        columns = {name: np.full(window.steps(plan.step_s), value) for name, value in names.items()}
        warned = f"{SERVER_WARNED}store-2 is gone" if half < 1 else "partial"
        return Samples(service, window, plan.step_s, columns, tuple(f"{name}: {warned}" for name in names))


def number(promql: str) -> float:
    return float(sum(map(ord, promql)))


def release(tmp_path: Path, text: str = ONLY, head: str = HEAD) -> Release:
    path = tmp_path / "release.yaml"
    path.write_text(head + text)
    return load(path)


def promql(found: Release, name: str) -> str:
    return next(query.promql for query in found.plan.queries if query.name == name)


def layout_of(tmp_path: Path, found: Release) -> Layout:
    return Layout(Store(tmp_path / "out"), found.services)


def collect(tmp_path: Path, server: Server, text: str = ONLY) -> Release:
    """Collect the GA day and the week before it."""
    found = release(tmp_path, text)
    server.asked.clear()
    stages.collect_ga(found, server, layout_of(tmp_path, found), now=AFTER)
    return found


def summary(tmp_path: Path, service: str = "shop") -> DaySummary:
    return Store(tmp_path / "out").read(f"{service}/ga_kpis/ga_kpi_summary.json", DaySummary, "")


def days_before(tmp_path: Path, service: str = "shop") -> tuple[DaySummary, ...]:
    return Store(tmp_path / "out").read(f"{service}/ga_kpis/pre_release_summary.json", PreReleaseSummary, "").days


def evidence(tmp_path: Path, day: int = 0) -> Evidence:
    path = tmp_path / f"out/shop/evidence/day_{day:02d}.csv.gz"
    window = Window(start=GA + timedelta(days=day), end=GA + timedelta(days=day + 1))
    return decode_evidence(path.read_bytes(), "shop", window, 3600, str(path))


# What is at hand is not asked for


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """One that has answered once, and then forgotten everything."""
    server = Server()
    collect(tmp_path, server)
    assert server.asked[GA] == ALL
    server.retained = AFTER
    server.asked.clear()
    return server


def test_the_same_release_asks_nothing_and_writes_the_same(tmp_path: Path, server: Server) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    collect(tmp_path, server)
    assert server.asked == {}
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("prices: {currency: USD, storage_gib_month: 0.1}\n" + ONLY.replace("]", ", estimated_cost_per_hour]"), True),
        (ONLY.replace("]", ", storage_bytes]"), True),
        (ONLY.replace(", redis_memory_bytes", ""), False),
        ("kpis: {request_rate: {about: Another sentence.}}\n" + ONLY, False),
    ],
    ids=["prices", "a new KPI", "a KPI less", "a KPI's text"],
)
def test_a_late_edit_asks_for_what_is_new_and_loses_nothing(
    tmp_path: Path, server: Server, text: str, asked: bool
) -> None:
    before = summary(tmp_path)
    collect(tmp_path, server, text)
    assert set().union(*server.asked.values()) == ({"storage_used"} if asked else set())
    assert summary(tmp_path).kpis["request_rate"].value == before.kpis["request_rate"].value is not None
    assert len(days_before(tmp_path)) == 7
    assert evidence(tmp_path).samples.columns.keys() == ALL


def test_a_changed_query_is_asked_for_alone(tmp_path: Path, server: Server) -> None:
    server.retained = GA
    found = collect(tmp_path, server, ONLY + OTHER_SESSIONS)
    assert set(map(frozenset, server.asked.values())) == {frozenset({"db_sessions"})}
    assert summary(tmp_path).kpis["db_connections"].value == number(promql(found, "db_sessions"))
    assert days_before(tmp_path)[-1].kpis["db_connections"].value is None
    assert days_before(tmp_path)[-1].kpis["redis_memory_bytes"].value is not None
    assert evidence(tmp_path).samples.warnings == tuple(f"{query.name}: partial" for query in found.plan.queries)


def test_what_a_ratio_relates_is_of_one_answer_and_nothing_is_lost_by_asking(tmp_path: Path, server: Server) -> None:
    """The server has forgotten the errors: a day of requests at hand is not a day without errors."""
    before, days = summary(tmp_path), days_before(tmp_path)
    collect(tmp_path, server, ONLY + "queries: {http_errors: 'errors_total{$match}'}\n")
    assert set(map(frozenset, server.asked.values())) == {frozenset(COUNTERS)}
    after = summary(tmp_path)
    assert after.kpis["overall_error_rate"].value is None
    assert after.kpis["overall_error_rate"].coverage == 0
    assert after.kpis["request_rate"] == before.kpis["request_rate"]
    assert after.kpis["db_connections"] == before.kpis["db_connections"]
    assert [text for text in after.source_warnings if text.startswith("http_errors: ")] == [TOO_LATE]
    assert "http_errors" not in evidence(tmp_path).origin.queries
    collect(tmp_path, server)
    assert server.asked == {}
    assert (summary(tmp_path), days_before(tmp_path)) == (before, days)


def test_another_name_of_the_server_loses_nothing(tmp_path: Path, server: Server) -> None:
    before, days = summary(tmp_path), days_before(tmp_path)
    elsewhere = Server("http://localhost:9090")
    elsewhere.retained = GA
    collect(tmp_path, elsewhere)
    assert days_before(tmp_path) == ()
    collect(tmp_path, server)
    assert (summary(tmp_path), days_before(tmp_path)) == (before, days)


def test_a_query_that_was_left_out_for_a_while_is_still_there(tmp_path: Path, server: Server) -> None:
    before = summary(tmp_path)
    collect(tmp_path, server, ONLY.replace(", redis_memory_bytes", ""))
    assert "redis_memory_bytes" not in summary(tmp_path).kpis
    collect(tmp_path, server)
    assert server.asked == {}
    assert summary(tmp_path) == before


def test_a_collection_that_was_stopped_half_way_mixes_nothing(tmp_path: Path) -> None:
    server = Server()
    first = collect(tmp_path, server)
    server.down_at = GA - timedelta(days=4)
    with pytest.raises(SourceError):
        collect(tmp_path, server, ONLY + OTHER_SESSIONS)
    assert evidence(tmp_path, -5).origin != evidence(tmp_path, -4).origin
    server.down_at = None
    collect(tmp_path, server)
    assert server.asked == {}
    values = {day.kpis["db_connections"].value for day in (summary(tmp_path), *days_before(tmp_path))}
    assert values == {number(promql(first, "db_sessions"))}


def test_another_server_is_asked(tmp_path: Path, server: Server) -> None:
    other = Server("http://other:9090")
    collect(tmp_path, other)
    assert set(map(frozenset, other.asked.values())) == {frozenset(ALL)}


def test_another_ga_instant_is_asked_for(tmp_path: Path, server: Server) -> None:
    server.retained = GA
    moved = release(tmp_path, head=HEAD.replace("2025-11-18", "2025-11-19"))
    stages.collect_ga(moved, server, layout_of(tmp_path, moved), now=AFTER)
    assert server.asked[GA + timedelta(days=1)] == ALL


def test_evidence_that_was_deleted_is_collected_again(tmp_path: Path) -> None:
    server = Server()
    collect(tmp_path, server)
    (tmp_path / "out/desk/evidence/day_-2.csv.gz").unlink()
    (tmp_path / "out/shop/evidence/day_-1.csv.gz").write_bytes(b"broken")
    collect(tmp_path, server)
    assert server.asked == {GA - timedelta(days=2): ALL, GA - timedelta(days=1): ALL}
    assert evidence(tmp_path, -1).samples.columns.keys() == ALL


def test_the_detector_asks_only_for_what_no_evidence_holds(tmp_path: Path, server: Server) -> None:
    found = release(tmp_path)
    stages.detect(found, server, layout_of(tmp_path, found), now=GA + timedelta(days=1))
    assert server.asked == {}
    server.retained = GA
    changed = release(tmp_path, ONLY + OTHER_SESSIONS)
    layout = layout_of(tmp_path, changed)
    stages.detect(changed, server, layout, now=GA + timedelta(days=1))
    assert server.asked[GA] == {"db_sessions"}


# The week


def run(
    tmp_path: Path, server: Server | Forgotten, found: Release | None = None
) -> tuple[ReleaseIndex, list[str], list[str]]:
    """Run the week on the server: what came out, the stages that ran, and the warnings."""
    found, ran, warned = found or release(tmp_path), list[str](), list[str]()
    if isinstance(server, Server):
        server.asked.clear()
    index = week.Week(
        release=found,
        source=server,
        layout=layout_of(tmp_path, found),
        identity=server.info(found.plan).prometheus,
        now=found.calendar.window(7).end,
        report=lambda stage, did_run: ran.append(stage) if did_run else None,
        warn=warned.append,
    ).run()
    return index, ran, warned


def test_an_upgrade_judges_again_and_collects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    run(tmp_path, server)
    monkeypatch.setattr(week, "__version__", "99")
    server.retained = AFTER
    _, ran, _ = run(tmp_path, server)
    assert len(ran) == 15
    assert server.asked == {}


def test_a_service_without_data_on_the_ga_day_stops_no_other(tmp_path: Path) -> None:
    server = Server()
    run(tmp_path, server)
    server.without = {"desk": [GA]}
    found = release(tmp_path, ONLY + 'matchers: env="prod"\n')
    index, _, warned = run(tmp_path, server, found)
    assert [entry.service for entry in index.services] == ["shop"]
    assert (tmp_path / "out/shop/docs/final/GA_7DAY_RETROSPECTIVE.md").is_file()
    assert (tmp_path / "out/index.md").is_file()
    assert not (tmp_path / "out/desk/ga_kpis/ga_kpi_summary.json").exists()
    missing = readers.missing_baselines(found, layout_of(tmp_path, found))
    assert missing is not None
    assert warned == [missing]
    assert "desk" in missing


def test_no_service_with_data_on_the_ga_day_is_refused(tmp_path: Path) -> None:
    server = Server()
    server.retained = AFTER
    with pytest.raises(NotEnoughDataError, match="No KPI returned data from http://prometheus:9090 for day 0"):
        collect(tmp_path, server)
    assert not (tmp_path / "out").exists()


def test_a_day_without_data_of_one_service_is_told_and_summarised_as_that(tmp_path: Path) -> None:
    server = Server()
    server.without = {"desk": [GA + timedelta(days=3)]}
    assert run(tmp_path, server)[2] == ["No KPI returned data on day 3 for desk; its summary says so."]
    day = Store(tmp_path / "out").read("desk/stability/day_03_summary.json", DaySummary, "")
    assert day.coverage == 0
    assert {kpi.value for kpi in day.kpis.values()} == {None}


def test_days_of_another_ga_instant_are_not_of_this_week(tmp_path: Path) -> None:
    """GA moves by two days, and the new day 7 has no data: the old day 7 does not stand in for it."""
    server = Server()
    run(tmp_path, server)
    day_7 = [GA + timedelta(days=9)]
    server.without = {"shop": day_7, "desk": day_7}
    _, _, warned = run(tmp_path, server, release(tmp_path, head=HEAD.replace("2025-11-18", "2025-11-20")))
    assert any("for day 7" in text for text in warned)
    report = Store(tmp_path / "out").read("shop/docs/final/GA_7DAY_RETROSPECTIVE.json", Retrospective, "")
    assert report.days_present == (1, 2, 3, 4, 5, 6)


def test_an_index_of_services_that_are_gone_is_removed(tmp_path: Path) -> None:
    server = Server()
    run(tmp_path, server)
    assert (tmp_path / "out/index.json").is_file()
    run(tmp_path, server, release(tmp_path, head=HEAD.replace("[shop, desk]", "[shop]")))
    assert not (tmp_path / "out/index.json").exists()
    assert not (tmp_path / "out/index.md").exists()
    assert (tmp_path / "out/docs/final/GA_7DAY_RETROSPECTIVE.md").is_file()


CLIENT_ERRORS = """
only: [request_rate, overall_error_rate, client_error_rate]
queries: {http_4xx: {type: counter, promql: 'last_over_time(http_4xx{$match}[$step])'}}
kpis:
  client_error_rate: {about: Bad requests., kind: ratio, numerator: http_4xx, denominator: http_requests, scale: 100,
                      unit: "%", direction: lower is better, category: errors}
"""


def test_a_new_ratio_on_a_server_that_has_forgotten_costs_nothing_that_is_held(tmp_path: Path, server: Server) -> None:
    before = summary(tmp_path).kpis
    collect(tmp_path, server, CLIENT_ERRORS)
    assert server.asked[GA] == {*COUNTERS, "http_4xx"}
    after = summary(tmp_path).kpis
    assert (after["client_error_rate"].value, after["client_error_rate"].coverage) == (None, 0)
    assert [after[name] for name in ("request_rate", "overall_error_rate")] == [
        before[name] for name in ("request_rate", "overall_error_rate")
    ]
    found = release(tmp_path, CLIENT_ERRORS)
    forgotten = Forgotten(tmp_path / "out", found.plan, found.calendar)
    stages.collect_ga(found, forgotten, layout_of(tmp_path, found), now=AFTER)
    assert summary(tmp_path).kpis == after


def test_a_new_ratio_on_a_server_that_has_forgotten_nothing_is_of_its_answer(tmp_path: Path) -> None:
    server = Server()
    collect(tmp_path, server)
    found = collect(tmp_path, server, CLIENT_ERRORS)
    rate = number(promql(found, "http_4xx")) / number(promql(found, "http_requests"))
    assert summary(tmp_path).kpis["client_error_rate"].value == pytest.approx(100 * rate)
    collect(tmp_path, server, CLIENT_ERRORS)
    assert server.asked == {}


def test_what_the_server_warned_of_is_used_told_and_asked_for_again(tmp_path: Path) -> None:
    server, day_2 = Server(), GA + timedelta(days=2)
    server.partial = {day_2}
    _, _, warned = run(tmp_path, server)
    assert [text.partition(":")[0] for text in warned] == [
        f"day 2 of {name} may not be whole" for name in ("shop", "desk")
    ]
    half = Store(tmp_path / "out").read("shop/stability/day_02_summary.json", DaySummary, "").kpis["request_rate"].value
    found = release(tmp_path)
    forgotten = Forgotten(tmp_path / "out", found.plan, found.calendar)
    (tmp_path / "out/shop/stability/day_02_summary.json").unlink()
    assert run(tmp_path, forgotten)[2] == warned
    day = Store(tmp_path / "out").read("shop/stability/day_02_summary.json", DaySummary, "")
    assert day.kpis["request_rate"].value == half
    server.partial = set()
    _, ran, warned = run(tmp_path, server)
    assert (server.asked, warned) == ({day_2: ALL}, [])
    day = Store(tmp_path / "out").read("shop/stability/day_02_summary.json", DaySummary, "")
    assert half is not None
    assert day.kpis["request_rate"].value == pytest.approx(2 * half)
    assert ran[0] == "day 2"
    run(tmp_path, server)
    assert server.asked == {}


def test_a_baseline_that_the_server_warned_of_is_told_and_asked_for_again(tmp_path: Path) -> None:
    server, found, warned = Server(), release(tmp_path), list[str]()
    server.partial = {GA - timedelta(days=3)}
    stages.collect_ga(found, server, layout_of(tmp_path, found), now=AFTER, warn=warned.append)
    assert [text for text in warned if text.startswith("day -3 of shop may not be whole")]
    server.partial = set()
    collect(tmp_path, server)
    assert server.asked == {GA - timedelta(days=3): ALL}


def test_what_the_server_warned_of_and_has_forgotten_since_stands(tmp_path: Path) -> None:
    server = Server()
    server.partial = {GA}
    collect(tmp_path, server)
    before = summary(tmp_path).kpis
    server.retained = AFTER
    collect(tmp_path, server)
    assert server.asked == {GA: ALL}
    assert summary(tmp_path).kpis == before


@pytest.mark.parametrize("services", ["[desk, shop]", "[shop, desk, third]", "[shop]"])
def test_the_services_that_stay_are_not_asked_for_again(tmp_path: Path, server: Server, services: str) -> None:
    before, days = summary(tmp_path), days_before(tmp_path)
    found = release(tmp_path, head=HEAD.replace("[shop, desk]", services))
    stages.collect_ga(found, server, layout_of(tmp_path, found), now=AFTER)
    folder = tmp_path / "out" / ("shop" if "," in services else "")
    after = Store(folder).read("ga_kpis/ga_kpi_summary.json", DaySummary, "")
    past = Store(folder).read("ga_kpis/pre_release_summary.json", PreReleaseSummary, "").days
    assert (after.kpis, [day.kpis for day in past]) == (before.kpis, [day.kpis for day in days])
    assert (server.asked == {}) is ("third" not in services)


def test_a_day_that_has_lost_its_evidence_leaves_no_summary(tmp_path: Path) -> None:
    server = Server()
    run(tmp_path, server)
    server.retained = AFTER
    for service in ("shop", "desk"):
        (tmp_path / f"out/{service}/evidence/day_03.csv.gz").unlink()
    _, _, warned = run(tmp_path, server)
    assert any("for day 3" in text for text in warned)
    assert not list((tmp_path / "out").rglob("day_03_*"))
    assert len(list((tmp_path / "out").rglob("day_04_*"))) == 4
