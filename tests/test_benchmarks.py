"""The pure parts of the benchmarks: a truth that is wrong would prove anything. Nothing is timed here."""

import json
import re
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from benchmarks import accuracy, collect, figures, server, service_days, services, speed
from benchmarks.accuracy import ServiceDay
from benchmarks.series import Series, samples, write_openmetrics
from benchmarks.service_days import CODES, Truth
from benchmarks.services import DAY_S, Gap, Process, Service, Stop, Traffic
from observability.model import Calendar, Samples

FIRST = 20_000 * DAY_S
STEADY = Traffic(rate=2.0, swing=0.5, phase=1.0, missing=0.1, failing=0.02, incidents=())


def service(processes: list[Process], **more: object) -> Service:
    given: dict[str, object] = {"interval_s": 30, "lazy": False, "versioned": False, "traffic": STEADY, **more}
    return Service(name="shop", processes=tuple(processes), **given)  # type: ignore[arg-type]


def one_process(start: float = FIRST - DAY_S, end: float = FIRST + 9 * DAY_S) -> Process:
    return Process("a:80", 0, start, start, end)


def ran(one: Service, days: int = 2) -> tuple[list[Series], list[Truth]]:
    series, truths = service_days.run(np.random.default_rng(1), one, FIRST, days)
    return [one for one in series if one.name == service_days.METRIC], truths


def of_code(series: list[Series], code: str) -> list[Series]:
    return [one for one in series if one.labels["code"] == code]


def increase(series: Series, start_s: float, end_s: float) -> int:
    """From the last scrape before the start to the last one before the end; after a fall the whole value is new."""
    total = 0
    for (_, before), (time_ms, value) in pairwise(zip(series.times_ms.tolist(), series.values.tolist(), strict=True)):
        if 1000 * start_s <= time_ms < 1000 * end_s:
            total += value if value < before else value - before
    return total


# --- what is counted


def test_a_steady_process_is_scraped_to_the_count() -> None:
    series, truths = ran(service([one_process()]))
    assert len(series) == len(CODES)
    for truth in truths:
        start = FIRST + truth.day * DAY_S
        seen = [increase(one, start, start + DAY_S) for one in series]
        assert truth.scraped.tolist() == [sum(seen), seen[CODES.index("500")]]
        # Two requests a second, a day of them: 172,800, give or take 5 √172,800.
        assert truth.clock[0] == pytest.approx(172_800, abs=5 * 172_800**0.5)
        assert truth.clock[1] == pytest.approx(0.02 * 172_800, abs=5 * (0.02 * 172_800) ** 0.5)


def test_scrapes_decide_only_the_borders() -> None:
    """What the clock and the scrapes' days differ by is at most what is counted in one interval at either end."""
    _, truths = ran(service([one_process()], interval_s=60))
    for truth in truths:
        assert 0 < abs(truth.clock[0] - truth.scraped[0]) < 2 * 60 * 2 * 1.5 * 2


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0.0, 540.0), (10.5, 550.5), (59.999, 599.999)],  # a scrape at the border itself is the next day's
)
def test_the_last_scheduled_scrape_lies_before_the_border(offset: float, expected: float) -> None:
    assert service_days._last_scheduled(np.array([600.0]), 60, offset) == pytest.approx([expected])


def test_the_mean_is_the_integral_of_the_rate() -> None:
    traffic = Traffic(3.0, 0.8, 2.0, 0.05, 0.01, ((FIRST + 1000.0, FIRST + 2500.0, 0.3),))
    seconds = FIRST + np.arange(0, 4000) + 0.5
    rates = 3.0 * (1 + 0.8 * np.sin(2 * np.pi * seconds / DAY_S + 2.0))
    failing = np.where((seconds > FIRST + 1000) & (seconds < FIRST + 2500), 0.31, 0.01)
    naive = [((1 - 0.05 - failing) * rates).sum(), (0.05 * rates).sum(), (failing * rates).sum()]
    ends = traffic.expected(np.array([FIRST, FIRST + 4000.0]))
    assert ends[:, 1] - ends[:, 0] == pytest.approx(naive, rel=1e-6)


# --- what is scraped of it


def test_a_gap_hides_scrapes_and_no_events() -> None:
    gap = Gap(FIRST + 3600.0, FIRST + 7200.0, "a:80")
    series, truths = ran(service([one_process()], gaps=(gap, Gap(FIRST, FIRST + 9000.0, "b:80"))))
    times = series[0].times_ms / 1000
    assert not ((gap.start <= times) & (times < gap.end)).any()
    assert np.diff(times).max() == pytest.approx(3600 + 30)
    assert truths[0].scraped[0] == sum(increase(one, FIRST, FIRST + DAY_S) for one in series)


def test_a_restart_resets_the_series_and_loses_its_last_events() -> None:
    restarted = FIRST + 3600.0
    series, truths = ran(service([one_process(end=restarted), one_process(start=restarted + 5)]))
    assert len(series) == len(CODES)
    for one in series:
        fallen = np.flatnonzero(np.diff(one.values) < 0)
        assert [one.times_ms[at] / 1000 <= restarted < one.times_ms[at + 1] / 1000 for at in fallen] == [True]
    lost = truths[0].scraped[0] - sum(increase(one, FIRST, FIRST + DAY_S) for one in series)
    assert 0 < lost < 30 * 2 * 1.5 * 2  # at most an interval's, at the highest rate, and as much for chance


def test_another_label_begins_another_series_that_goes_on() -> None:
    series, _ = ran(service([one_process()], relabelled=(FIRST + 5000.0,)))
    before, after = of_code(series, "200")
    assert (before.labels["team"], after.labels["team"]) == ("team-0", "team-1")
    assert before.times_ms[-1] < 1000 * (FIRST + 5000) <= after.times_ms[0]
    assert after.values[0] >= before.values[-1] > 0


def test_client_libraries_export_a_code_from_its_first_event_on() -> None:
    rare = Traffic(0.5, 0.0, 0.0, 0.0, 0.0005, ())
    born = [one_process(start=FIRST + 100.0)]
    for lazy, first_value in ((True, 1), (False, 0)):
        series, _ = ran(service(born, lazy=lazy, traffic=rare))
        errors = of_code(series, "500")[0]
        assert errors.values[0] == first_value
        assert bool(errors.times_ms[0] > 1000 * (FIRST + 130)) is lazy


def test_a_day_counts_only_if_a_process_ran_in_it() -> None:
    _, truths = ran(service([one_process(start=FIRST + DAY_S + 10.0, end=FIRST + DAY_S + 900.0)]), days=3)
    assert [truth.day for truth in truths] == [1]


# --- what happens to services


def test_the_chain_of_a_replica() -> None:
    stops = [Stop(100, 90, moves=True, deploys=True), Stop(200, 210, moves=False), Stop(205, 220, moves=False)]
    found = list(services.chain(np.random.default_rng(1), "r", 0, 300, stops))
    assert [(one.instance, one.version, one.start, one.end) for one in found] == [
        ("r-0:8080", 0, 0, 100),
        ("r-1:8080", 1, 90, 200),
        ("r-1:8080", 1, 210, 300),  # the stop at 205 comes while the process is down
    ]
    assert [0 <= one.found - one.start <= 10 for one in found] == [True] * 3


def test_processes_of_one_target_never_overlap() -> None:
    for number in range(40):
        drawn = services.draw(np.random.default_rng(number), "s", FIRST, 8, [])
        lives = defaultdict(list)
        for process in drawn.processes:
            lives[process.instance].append((process.start, process.end))
        for spans in lives.values():
            assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_service_days_are_the_same_every_time_and_hold_everything() -> None:
    series, truths = service_days.service_days(60, FIRST, 4, 7)
    again, _ = service_days.service_days(60, FIRST, 4, 7)
    assert len(truths) >= 60
    assert all((one.times_ms == other.times_ms).all() for one, other in zip(series, again, strict=True))
    keys = [tuple(one.labels.values()) for one in series]
    assert len(set(keys)) == len(keys)
    assert all((np.diff(one.times_ms) > 0).all() for one in series)
    assert any((np.diff(one.values) < 0).any() for one in series)
    spacings = {int(np.median(np.diff(one.times_ms))) for one in series if one.times_ms.size > 100}
    assert spacings == {15_000, 30_000, 60_000}


# --- the text


def test_openmetrics_holds_the_part_that_was_asked_for(tmp_path: Path) -> None:
    one = Series("http_requests_total", {"job": "a", "code": "200"}, np.array([999, 1000, 1500, 2000]), np.arange(4))
    write_openmetrics([one], tmp_path / "part.om", 1000, 2000)
    assert (tmp_path / "part.om").read_text() == (
        'http_requests_total{job="a",code="200"} 1 1.000\nhttp_requests_total{job="a",code="200"} 2 1.500\n# EOF\n'
    )


def test_steady_series_are_scraped_every_minute() -> None:
    series = speed.steady_series(40, 1)
    assert len(series) == 40
    assert {one.times_ms.size for one in series} == {15 * 1440 + 15}
    assert all((np.diff(one.values) >= 0).all() for one in series)
    assert samples(series) == 40 * (15 * 1440 + 15)
    buckets = [one for one in series if one.name.endswith("_bucket")][: len(speed.BOUNDS)]
    assert (np.diff([one.values for one in buckets], axis=0) >= 0).all()


# --- the comparison


def service_day(found: tuple[float, float], coverage: float = 1.0) -> ServiceDay:
    return ServiceDay(Truth("shop", 3, np.array([10_000, 20]), np.array([10_001, 21])), found, coverage)


@pytest.mark.parametrize(
    ("found", "coverage", "error", "within", "explained"),
    [
        ((10_000, 20), 1.0, 0, True, False),
        ((9_990, 20), 0.5, 0.001, True, False),  # within the tolerance the coverage does not matter
        ((9_989, 20), 1.0, 0.0011, False, False),
        ((9_989, 20), 0.999, 0.0011, False, True),
        ((10_000, 19), 1.0, 0.05, False, False),
        ((20_000, 20), 1.0, 1.0, False, False),
    ],
)
def test_a_service_day_is_right_or_explained(
    found: tuple[float, float], coverage: float, error: float, within: bool, explained: bool
) -> None:
    day = service_day(found, coverage)
    assert day.error == pytest.approx(error)
    assert (day.is_within, day.is_explained) == (within, explained)


def test_coverage_is_the_share_of_targets_and_steps() -> None:
    columns = {"q": np.array([1.0, np.nan, 2.0, 0.0]), "q.seen": np.array([1.0, 0.0, 0.5, 1.0])}
    assert accuracy.coverage(columns, "q") == (1 + 0 + 0.5 + 1) / 4
    assert accuracy.coverage({"q": columns["q"]}, "q") == 3 / 4
    assert accuracy.coverage({}, "q") == 0


def test_a_day_without_errors_is_compared_with_0() -> None:
    window = Calendar(speed.GA).window(3)
    truth = Truth("shop", 3, np.array([30, 0]), np.array([30, 0]))
    samples = Samples("shop", window, 28_800, {"http_requests": np.array([10.0, 10.0, 10.0])})
    assert accuracy.compare(truth, samples) == ServiceDay(truth, (30.0, 0.0), 1.0)


def test_the_summary_counts_what_is_wrong() -> None:
    days = [
        service_day((10_000, 20)),
        service_day((9_000, 20), 0.8),
        service_day((10_100, 20)),
        service_day((0, 0), 0.0),
    ]
    found = accuracy.summary(days)
    assert found["service_days"] == 4
    assert found["within_0_1_percent"] == 0.25
    assert (found["explained_by_coverage"], found["unexplained"], found["overcounted"]) == (2, 1, 1)
    assert found["max_unexplained_error"] == pytest.approx(0.01)
    over = "shop day 3: 10100 of 10000 requests, 20 of 20 errors, coverage 100.00 %"
    assert found["examples"] == {"unexplained": [over], "explained_too_weakly": [], "overcounted": [over]}


@pytest.mark.parametrize(
    ("requests", "errors", "coverage", "too_little"),
    [
        (9_500, 20, 0.99, False),  # 5 % of the requests at 1 % of the targets and steps
        (9_400, 20, 0.99, True),
        (9_985, 20, 0.9999, True),
        (10_000, 10, 0.99, False),  # errors come in bursts, so that only the requests are judged by this
        (9_400, 20, 1.0, False),  # not explained at all
    ],
)
def test_a_coverage_can_say_too_little(requests: int, errors: int, coverage: float, too_little: bool) -> None:
    assert service_day((requests, errors), coverage).says_too_little is too_little


# --- the measurement and the report


def test_the_same_requests_are_sent_again(httpserver: HTTPServer) -> None:
    def nothing(request: Request) -> Response:
        is_range = request.path.endswith("_range") or request.args["query"].endswith("]")
        kind = "matrix" if is_range else "vector"
        return Response(json.dumps({"status": "success", "data": {"resultType": kind, "result": []}}))

    httpserver.expect_request(re.compile("/api/v1/query.*")).respond_with_handler(nothing)
    sent = speed.requests_by_day(speed.collect(httpserver.url_for("").rstrip("/"), 20, 2))
    first = [(request.url, request.headers["Accept-Encoding"]) for request, _ in httpserver.log]
    assert {r.headers["Accept-Encoding"] for day in speed.uncompressed(sent) for r in day} == {"identity"}
    received = list(speed.replay(sent))
    again = [(request.url, request.headers["Accept-Encoding"]) for request, _ in httpserver.log][len(first) :]
    assert [len(day) > 0 for day in sent] == [True, True]
    assert sorted(again) == sorted(first)
    assert received == [len(day) * len(httpserver.log[0][1].data) for day in sent]


def test_the_plan_asks_once_for_every_series() -> None:
    assert [query.name for query in speed.plan(1000).queries] == ["http_requests", "http_latency"]
    assert len(speed.plan(1000).services) == 10
    assert speed.plan(20).services == ("service-0",)
    assert len(speed.days()) == 15
    assert speed.days()[7].start == speed.GA
    assert speed.days(1)[0].start == speed.GA - timedelta(days=7)


def test_overhead_is_what_is_not_http() -> None:
    measured = speed.Round(ours=3.0, plain=2.0, plain_uncompressed=0.5, client=7.0, client_plain=3.0)
    assert (measured.ratio, measured.overhead) == (1.5, 0.25)


def by_size(ratio: float, peak: float) -> dict[str, object]:
    seconds = {"ours": 1.0, "plain": 0.8, "plain_uncompressed": 0.2, "client": 2.0, "client_plain": 0.5}
    return {
        "ratio_plain_http": ratio,
        "overhead_vs_client": 0.2,
        "seconds": seconds,
        "queries": 60,
        "queries_per_day": 4,
        "mb_received": 12.0,
        "peak_mb": peak,
        "peak_mb_one_day": 80.0,
    }


ABOUT = {"date": "2025-11-26", "machine": "m", "python": "3.11", "prometheus": "2.42.0", "commit": "abc"}


def test_the_worst_size_counts() -> None:
    report = collect.report({20: by_size(1.4, 90.0), 1000: by_size(1.2, 95.0)}, None, ABOUT)
    assert (report["ratio_plain_http"], report["peak_mb"], report["queries"]) == (1.4, 95.0, 60)
    assert list(report["sizes"]) == ["20", "1000"]
    json.dumps(report, allow_nan=False)


def test_the_table_is_markdown() -> None:
    report = collect.report({20: by_size(1.4, 90.0)}, accuracy.summary([service_day((9_000, 20), 0.8)]), ABOUT)
    lines = collect.table(report).splitlines()
    assert "| time over plain HTTP | 1.40 | ≤ 1.5 |" in lines
    assert "| not explained | 0 | 0 |" in lines
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {4}


def test_figures_are_filled_in_between_the_marks() -> None:
    text = collect.DOCUMENT.read_text(encoding="utf-8")
    assert all(text.count(mark) == 1 for mark in figures.marks())
    once = figures.filled_in(text, "figures of today")
    assert "figures of today" in once
    assert all(once.count(mark) == 1 for mark in figures.marks())
    assert figures.filled_in(once, "figures of tomorrow") == figures.filled_in(text, "figures of tomorrow")


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert collect.main([]) == 3
    assert capsys.readouterr() == (
        "",
        "error: prometheus and promtool not found; get them with: apt-get install prometheus\n",
    )
    with pytest.raises(server.ServerError):
        server.require_programs()


@pytest.mark.parametrize("arguments", [["--sizes", "7"], ["--sizes", "0"], ["--sizes", "x"]])
def test_sizes_are_those_of_whole_targets(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        collect.main(arguments)
    assert ended.value.code == 2
    assert "--sizes" in capsys.readouterr().err


def test_up_is_0_where_a_scrape_fails_and_missing_where_prometheus_is_down() -> None:
    gaps = (Gap(FIRST + 1000, FIRST + 2000), Gap(FIRST + 5000, FIRST + 6000, unnoticed=True))
    series, _ = service_days.run(np.random.default_rng(1), service([one_process()], gaps=gaps), FIRST, 1)
    (up,) = [one for one in series if one.name == "up"]
    at = up.times_ms / 1000 - FIRST
    assert up.labels == {"job": service_days.JOB, "instance": "a:80"}
    assert up.values[(at >= 1000) & (at < 2000)].max() == 0
    assert up.values[(at < 1000) | (at >= 2000)].min() == 1
    assert not ((at >= 5000) & (at < 6000)).any()
