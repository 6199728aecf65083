"""The generated weeks hold what they say they hold. They are drawn anew here, or small parts of them."""

import re
import subprocess
import sys
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from observability.release import load
from observability.sources.recording import Recording
from test_data import columns, events, openmetrics
from test_data import generate as script
from test_data.events import BURST, CHECKOUT, GA, GAP, PARTIAL_GAP, REPORTS
from test_data.traffic import Floats
from test_data.truth import truth
from test_data.week import Series, Week, generate

ROOT = Path(__file__).parent.parent
SEED = 3
ROLLOUT_DAYS, BURST_DAY, GAP_DAYS = range(-1, 1), range(2, 3), range(4, 6)
SAMPLE = re.compile(r"(\w+)\{(.*)\} (\S+) (\d+)")
# What a service's own targets do not answer for: kube-state-metrics, Prometheus itself and its rules.
FROM_ELSEWHERE = {"kube_pod_container_resource_limits", "up", "ALERTS"}


@pytest.fixture(scope="module")
def week() -> Week:
    return generate(SEED)


@pytest.fixture(scope="module")
def burst_day() -> Week:
    return generate(SEED, BURST_DAY)


def requests_between(week: Week, service: str, start: datetime, end: datetime) -> int:
    slots = slice(2 * week.timeline.minute(start), 2 * week.timeline.minute(end))
    return int(week.traffic[service].requests[slots].sum())


def error_share(week: Week, start: datetime, end: datetime) -> float:
    slots = slice(2 * week.timeline.minute(start), 2 * week.timeline.minute(end))
    traffic = week.traffic[CHECKOUT]
    return float(traffic.errors[slots].sum() / traffic.requests[slots].sum())


def during(week: Week, series: Series, start: datetime, end: datetime) -> Floats:
    return series.values[week.timeline.minute(start) : week.timeline.minute(end)]


def is_missing(values: Floats) -> bool:
    return bool(np.isnan(values).all())


def is_complete(values: Floats) -> bool:
    return not np.isnan(values).any()


# --- the same every time


def test_same_seed_same_bytes(burst_day: Week, tmp_path: Path) -> None:
    def written(week: Week, folder: Path) -> dict[str, bytes]:
        folder.mkdir()
        script.write_openmetrics(week, folder / "week.om")
        script.write_truth(week, folder / "truth.json")
        script.write_recording(week, folder / "recording")
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    first = written(burst_day, tmp_path / "first")
    assert len(first) == 5
    assert written(generate(SEED, BURST_DAY), tmp_path / "again") == first
    other = written(generate(SEED + 1, BURST_DAY), tmp_path / "other")
    assert not any(other[name] == content for name, content in first.items())


# --- the events, with their sizes


def test_traffic_grows_at_the_ga_instant(week: Week) -> None:
    week_long, hour = timedelta(days=7), timedelta(hours=1)
    before = requests_between(week, CHECKOUT, GA - week_long, GA)
    assert requests_between(week, CHECKOUT, GA, GA + week_long) / before == pytest.approx(1.2, rel=0.005)
    for start, ratio in ((GA - hour, 1.0), (GA, 1.2)):
        weekday_before = start - timedelta(days=5)
        base = requests_between(week, CHECKOUT, weekday_before, weekday_before + hour)
        assert requests_between(week, CHECKOUT, start, start + hour) / base == pytest.approx(ratio, rel=0.06)


def test_traffic_has_a_daily_and_a_weekly_course(week: Week) -> None:
    by_hour = [
        requests_between(week, CHECKOUT, events.at(-7, hour), events.at(-7, hour + 1)) / 60 for hour in range(24)
    ]
    assert (int(np.argmin(by_hour)), int(np.argmax(by_hour))) in {(2, 14), (2, 15), (3, 14), (3, 15)}
    assert max(by_hour) / min(by_hour) > 3
    by_day = [requests_between(week, CHECKOUT, events.at(day), events.at(day + 1)) for day in range(-7, 0)]
    weekend = [by_day[4], by_day[5]]
    assert np.mean(weekend) / np.mean([*by_day[:4], by_day[6]]) == pytest.approx(0.7, rel=0.01)


@pytest.mark.parametrize("quantile", ["p50_ms", "p95_ms", "p99_ms"])
def test_latency_grows_at_the_ga_instant(week: Week, quantile: str) -> None:
    raw = week.traffic[CHECKOUT].http.raw
    before = np.mean([raw[day][quantile] for day in range(-7, 0)])
    for day in range(8):
        assert raw[day][quantile] / before == pytest.approx(1.25, rel=0.02)


def test_database_latency_stays(week: Week) -> None:
    p95 = [day["p95_ms"] for day in week.traffic[CHECKOUT].db.raw.values()]
    assert max(p95) / min(p95) < 1.02


def test_quantiles_lie_inside_the_buckets(week: Week) -> None:
    for traffic in week.traffic.values():
        for histogram in (traffic.http, traffic.db):
            for day in histogram.raw.values():
                assert histogram.bounds_us[0] < 1000 * day["p50_ms"] < 1000 * day["p99_ms"] < histogram.bounds_us[-2]


def test_errors_burst_for_forty_minutes(burst_day: Week) -> None:
    assert BURST.end is not None
    assert BURST.end - BURST.start == timedelta(minutes=40)
    assert error_share(burst_day, BURST.start, BURST.end) == pytest.approx(0.08, rel=0.1)
    edge = timedelta(minutes=5)
    for start, is_burst in (
        (BURST.start - edge, False),
        (BURST.start, True),
        (BURST.end - edge, True),
        (BURST.end, False),
    ):
        assert (error_share(burst_day, start, start + edge) > 0.05) is is_burst
    assert error_share(burst_day, BURST.end, events.at(3)) < 0.0005


def test_the_burst_leaves_some_of_the_budget(week: Week) -> None:
    slots = slice(2 * week.timeline.minute(GA), None)
    traffic = week.traffic[CHECKOUT]
    spent = traffic.errors[slots].sum() / (0.001 * traffic.requests[slots].sum())
    assert 0.4 < spent < 0.8


def test_the_alert_fires_from_five_minutes_into_the_burst(burst_day: Week) -> None:
    firing, pending = (burst_day.select("ALERTS", alertstate=state)[0] for state in ("firing", "pending"))
    assert BURST.end is not None
    fires = BURST.start + timedelta(minutes=5)
    assert is_complete(during(burst_day, firing, fires, BURST.end))
    assert np.count_nonzero(~np.isnan(firing.values)) == 35
    assert is_complete(during(burst_day, pending, BURST.start, fires))
    assert np.count_nonzero(~np.isnan(pending.values)) == 5
    assert firing.labels["severity"] == "critical"
    assert firing.labels["service"] == CHECKOUT


def test_memory_leaks_from_day_1(week: Week) -> None:
    means = {day: found["memory_percent"]["mean"] for day, found in in_days(week, CHECKOUT).items()}
    for day in range(-7, 1):
        assert means[day] == pytest.approx(38.1, abs=0.1)
    growth = [means[day + 1] - means[day] for day in range(1, 7)]
    assert all(4 < step < 6 for step in growth)


def in_days(week: Week, service: str) -> dict[int, dict[str, dict[str, float]]]:
    return {int(day): found for day, found in truth(week)["services"][service].items()}


def test_nothing_of_checkout_answers_during_the_gap(week: Week) -> None:
    assert GAP.end is not None
    minute = timedelta(minutes=1)
    after = week.timeline.minute(GAP.end)
    alive = [one for one in week.series if one.labels.get("service") == CHECKOUT and not np.isnan(one.values[after])]
    own = [one for one in alive if one.metric not in FROM_ELSEWHERE]
    assert len(own) > 60
    for series in own:
        assert is_missing(during(week, series, GAP.start, GAP.end))
        assert is_complete(during(week, series, GAP.start - minute, GAP.start))
    for series in (one for one in alive if one.metric == "up"):
        assert not during(week, series, GAP.start, GAP.end).any()
        assert series.values[after] == 1
    for series in week.select("kube_pod_container_resource_limits", service=CHECKOUT):
        assert is_complete(series.values)
    reports = week.select("http_requests_total", service=REPORTS)
    assert all(is_complete(during(week, series, GAP.start, GAP.end)) for series in reports)


def test_one_pod_does_not_answer_during_the_partial_gap(week: Week) -> None:
    assert PARTIAL_GAP.end is not None
    start, end = PARTIAL_GAP.start, PARTIAL_GAP.end
    gone, there = (week.select("http_requests_total", pod=pod, code="200")[0] for pod in reversed(events.NEW_PODS))
    assert gone.labels["pod"] == PARTIAL_GAP.pod
    assert is_missing(during(week, gone, start, end))
    assert is_complete(during(week, there, start, end))
    (memory,) = week.select("container_memory_working_set_bytes", pod=str(PARTIAL_GAP.pod))
    assert is_complete(during(week, memory, start, end))


@pytest.mark.parametrize("metric", ["http_requests_total", "db_client_operation_duration_seconds_sum"])
def test_counters_fall_at_the_restarts_alone(week: Week, metric: str) -> None:
    found = set()
    for series in week.select(metric):
        if series.labels.get("code", "200") != "200":
            continue
        known = series.values[~np.isnan(series.values)]
        minutes = np.flatnonzero(~np.isnan(series.values))
        found |= {(series.labels["pod"], int(minutes[k + 1])) for k in np.flatnonzero(np.diff(known) < 0)}
    assert found == {(event.pod, week.timeline.minute(event.start)) for event in events.RESTARTS}
    assert len(found) == 5


def test_pods_change_at_the_ga_instant(week: Week) -> None:
    for service_pods, lives in ((events.OLD_PODS, slice(None, 7 * 1440)), (events.NEW_PODS, slice(7 * 1440, None))):
        for pod in service_pods:
            (up,) = week.select("up", pod=pod)
            seen = ~np.isnan(up.values)
            assert seen[lives].all()
            assert seen.sum() == seen[lives].size
    for pod in events.NEW_PODS:
        (requests,) = week.select("http_requests_total", pod=pod, code="200")
        assert 0 < requests.values[7 * 1440] < 100


def test_errors_have_no_series_before_the_first(week: Week) -> None:
    births = []
    for series in week.select("http_requests_total", code="500"):
        seen = ~np.isnan(series.values)
        assert (series.values[seen] > 0).all()
        births.append(int(seen.argmax()))
    ga = week.timeline.minute(GA)
    assert len(births) == 4
    assert all(birth > ga for birth in births[2:])


def test_reports_is_silent_at_night_and_still_scraped(week: Week) -> None:
    for day in events.DAYS:
        assert requests_between(week, REPORTS, events.at(day), events.at(day, 6)) == 0
        assert requests_between(week, REPORTS, events.at(day, 6), events.at(day, 7)) > 60
        assert requests_between(week, REPORTS, events.at(day, 22), events.at(day + 1)) == 0
    (requests,) = week.select("http_requests_total", service=REPORTS, code="200")
    night = during(week, requests, events.at(1, 22) + timedelta(minutes=1), events.at(2, 6))
    assert is_complete(night)
    assert np.unique(night).size == 1


def test_reports_never_fails(week: Week) -> None:
    assert not week.traffic[REPORTS].errors.any()
    assert {one.labels["code"] for one in week.select("http_requests_total", service=REPORTS)} == {"200"}


def test_the_truth_names_the_events_of_its_days(week: Week, burst_day: Week) -> None:
    assert len(truth(week)["events"]) == len(events.EVENTS)
    names = {event["name"] for event in truth(burst_day)["events"]}
    assert {"error burst", "critical alert", "memory leak", "traffic step"} <= names
    assert not names & {"scrape gap", "restart", "rollout"}
    burst = next(event for event in truth(burst_day)["events"] if event["name"] == "error burst")
    assert (burst["start"], burst["end"], burst["size"]) == ("2025-11-20T14:20:00Z", "2025-11-20T15:00:00Z", 0.08)


# --- the text


def test_metrics_are_those_of_the_catalog(week: Week) -> None:
    catalog = " ".join(query.promql for query in load(script.RELEASE).plan.queries)
    asked = set(re.findall(r"\b([a-zA-Z][a-zA-Z0-9_]*)(?=[{\[])", catalog.replace("[5m", "[").replace("[60s", "[")))
    assert 'redis_keyspace_(hits|misses)_total"' in catalog
    asked |= {"redis_keyspace_hits_total", "redis_keyspace_misses_total"}
    of_histograms = {f"{name}_{part}" for name in openmetrics.HISTOGRAMS for part in ("count", "sum")}
    assert {series.metric for series in week.series} == asked | of_histograms


def test_the_text_is_openmetrics(burst_day: Week) -> None:
    lines = "".join(openmetrics.text(burst_day)).splitlines()
    assert lines[-1] == "# EOF"
    families = [line.split()[2:] for line in lines if line.startswith("# TYPE")]
    assert len({name for name, _ in families}) == len(families)
    family, kind = "", ""
    last: dict[str, int] = {}
    newest: dict[str, int] = {}  # of all the samples of one histogram
    for line in lines[:-1]:
        if line.startswith("# TYPE"):
            _, _, family, kind = line.split()
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None
        assert match[1] in openmetrics_names(family, kind)
        second = int(match[4])
        assert second > last.get(match[1] + match[2], 0)
        last[match[1] + match[2]] = second
        point = family + re.sub(',le="[^"]*"', "", match[2])
        assert second >= newest.get(point, 0)
        newest[point] = second
    assert len(last) == len(burst_day.series)
    assert {second % 60 for second in last.values()} == {17}


def openmetrics_names(family: str, kind: str) -> set[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
    return {family + suffix for suffix in suffixes[kind]}


def test_days_follow_on_each_other_in_the_text() -> None:
    week = generate(SEED, ROLLOUT_DAYS)

    def body(days: range) -> list[str]:
        return [line for line in "".join(openmetrics.text(week, days)).splitlines() if not line.startswith("#")]

    assert sorted(body(range(-1, 0)) + body(range(1))) == sorted(body(ROLLOUT_DAYS))


# --- the truth and the columns


@pytest.mark.parametrize("days", [ROLLOUT_DAYS, GAP_DAYS])
def test_the_truth_is_what_a_recount_of_the_text_finds(days: range) -> None:
    week = generate(SEED, days)
    counted = recount("".join(openmetrics.text(week)))
    for service, by_day in truth(week)["services"].items():
        for day, expected in by_day.items():
            found = counted[service, int(day)]
            assert found["requests"] == expected["requests"] > 0
            assert found["errors"] == expected["errors"]
            assert found["redis_keyspace_hits_total"] == expected["redis_hits"]
            lookups = found["redis_keyspace_hits_total"] + found["redis_keyspace_misses_total"]
            assert lookups == expected["redis_lookups"]
            assert found["db_client_operation_duration_seconds_count"] == expected["db_operations"]
            for query, metric in columns.BUCKETS.items():
                buckets = {bound: found[f"{metric} {bound}"] for bound in expected[f"{query}_buckets"]}
                assert buckets == expected[f"{query}_buckets"]


def recount(text: str) -> dict[tuple[str, int], dict[str, float]]:
    """(service, day) → what happened, from the samples alone and line by line."""
    series: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for name, labels, value, second in SAMPLE.findall(text):
        series[name, labels].append((int(second), float(value)))
    first_scrape = min(samples[0][0] for samples in series.values())
    found: dict[tuple[str, int], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (name, text_labels), samples in series.items():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', text_labels))
        keys = [f"{name} {labels['le']}" if "le" in labels else name]
        if name == "http_requests_total":
            keys = ["requests", "errors"] if labels["code"] == "500" else ["requests"]
        origin = [] if samples[0][0] == first_scrape else [(0, 0.0)]
        for (_, before), (second, now) in pairwise([*origin, *samples]):
            day = (second - int(GA.timestamp())) // 86400
            for key in keys:
                found[labels.get("service", ""), day][key] += now if now < before else now - before
    return found


def test_the_gap_shows_in_columns_and_coverage() -> None:
    week = generate(SEED, GAP_DAYS)
    assert GAP.end is not None
    gap = slice(week.timeline.minute(GAP.start), week.timeline.minute(GAP.end))
    requests = columns.columns(week, CHECKOUT)["http_requests"]
    assert is_missing(requests[gap])
    assert np.isnan(requests).sum() == 47 + 1  # and the very first scrape, before which nothing is known
    assert requests[gap.stop] > 40 * requests[gap.stop + 1]
    days = truth(week)["services"]
    assert days[CHECKOUT]["4"]["scrapes"] == {"observed": 1393, "expected": 1440, "coverage": 1393 / 1440}
    assert days[CHECKOUT]["5"]["scrapes"]["coverage"] == 1
    assert days[REPORTS]["4"]["scrapes"]["coverage"] == 1


def test_no_column_without_a_sample(burst_day: Week) -> None:
    reports, checkout = (columns.by_day(burst_day, service)[2].columns for service in (REPORTS, CHECKOUT))
    assert set(checkout) - set(reports) == {"http_errors", "critical_alerts", "critical_alerts.started"}
    assert checkout["critical_alerts"].sum() == 35
    assert checkout["critical_alerts.started"].sum() == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([np.nan, 5, 7, np.nan, 10], [np.nan, 5, 2, np.nan, 3], id="appears later, and is missed once"),
        pytest.param([5, 7, 3, 3], [np.nan, 2, 3, 0], id="there from the beginning, and reset"),
        pytest.param([0, 0, 1], [np.nan, 0, 1], id="zero is a value"),
    ],
)
def test_increases(values: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(columns.increases(np.array(values, dtype=np.float64)), expected)


MINUTE = 60_000


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param([(17, 1000), (77, 1060), (137, 1120), (197, 1180), (257, 1240)], 1.0, id="stretched to both ends"),
        pytest.param([(17, 1000), (77, 1060), (137, 0), (197, 60), (257, 120)], 180 / 240, id="reset"),
        pytest.param([(137, 5000), (197, 5060)], 60 * (60 + 30 + 30) / (60 * 300), id="half an interval at the ends"),
        pytest.param([(197, 5), (257, 65)], 60 * (60 + 5 + 43) / (60 * 300), id="not to before it was 0"),
        pytest.param([(17, 7), (257, 7)], 0.0, id="flat"),
        pytest.param([(257, 7)], np.nan, id="one sample"),
        pytest.param([], np.nan, id="none"),
    ],
)
def test_rate_is_prometheus_rate(samples: list[tuple[int, float]], expected: float) -> None:
    found = columns.rate([(second * 1000, value) for second, value in samples], 5 * MINUTE, 5 * MINUTE)
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


# --- the files


def test_the_recording_gives_the_columns_back(burst_day: Week, tmp_path: Path) -> None:
    script.write_recording(burst_day, tmp_path)
    release = load(script.RELEASE)
    found = Recording(tmp_path).fetch(release.plan, release.calendar.window(2))
    for service in release.services:
        expected = columns.by_day(burst_day, service)[2]
        assert set(found[service].columns) == set(expected.columns)
        for name, values in expected.columns.items():
            np.testing.assert_array_equal(found[service].columns[name], values)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.csv.gz"))
    assert len(events.DAYS) * size < 4_200_000


def test_the_command_writes_each_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "generate", lambda seed: generate(seed, BURST_DAY))
    for verb, out in (("openmetrics", "week.om"), ("recording", "recording"), ("truth", "truth.json")):
        assert script.main([verb, str(tmp_path / out), "--seed", "5"]) == 0
        assert (tmp_path / out).exists()
    assert '"seed": 5' in (tmp_path / "truth.json").read_text()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "seed 5" in captured.err


def test_a_path_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "generate", lambda seed: generate(seed, BURST_DAY))
    assert script.main(["truth", str(tmp_path / "missing" / "truth.json")]) == 2
    assert "truth.json cannot be written: No such file or directory" in capsys.readouterr().err


def test_the_command_runs_as_a_file(tmp_path: Path) -> None:
    run = [sys.executable, str(ROOT / "test_data/generate.py"), "--help"]
    help_text = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "python test_data/generate.py openmetrics /tmp/week.om" in help_text
