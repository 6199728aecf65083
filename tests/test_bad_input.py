"""What a user or a server can get wrong: one sentence on stderr, the documented exit code, no file half written."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from observability.cli import app
from observability.errors import ConfigError
from tests.gauges import Gauges
from tests.programs import ROOT, postga, stage

RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
only: [request_rate]
slos: []
prometheus: {{url: {url}, timeout: 5s}}
"""
AFTER = "2025-12-01T00:00:00Z"
GA_FLAGS = ("--ga-timestamp", "2025-11-18T00:00:00Z", "--now", AFTER)


def assert_fails(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One sentence on stderr that holds the words; nothing on stdout, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def nothing_written(folder: Path) -> bool:
    return not any(path.is_file() for path in folder.rglob("*") if path.name not in {".postga.lock", "release.yaml"})


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (400, '{"status":"error","errorType":"bad_data","error":"parse error: unexpected }"}', 2, ("parse error",)),
        (422, '{"status":"error","errorType":"execution","error":"many-to-many matching"}', 2, ("many-to-many",)),
        (401, "no", 3, ("401",)),
        (403, "no", 3, ("403",)),
        (404, "not here", 3, ("404",)),
        (500, "oops", 3, ("500",)),
        (200, "<html><body>Log in</body></html>", 3, ("text/html", "login page")),
        (200, '{"status":"success","data":{"resultTy', 3, ("JSON",)),
        (200, '{"status":"error","errorType":"internal","error":"tsdb closed"}', 3, ("tsdb closed",)),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', 4, ("No KPI returned data",)),
    ],
)
def test_answers_that_are_no_samples(
    httpserver: HTTPServer, tmp_path: Path, status: int, body: str, code: int, words: tuple[str, ...]
) -> None:
    def answer(request: Request) -> Response:
        if "matrix" in body and request.args["query"].startswith("last_over_time"):
            return Response(body.replace("matrix", "vector"), status=status)
        return Response(body, status=status, content_type="text/html" if "<html>" in body else "application/json")

    httpserver.expect_request("/api/v1/query_range").respond_with_handler(answer)
    httpserver.expect_request("/api/v1/query").respond_with_handler(answer)
    url = httpserver.url_for("")
    (tmp_path / "release.yaml").write_text(RELEASE.format(url=url))
    done = postga(tmp_path, "run", "release.yaml", "--now", AFTER)
    assert_fails(done, code, url.removesuffix("/"), *words)
    assert nothing_written(tmp_path)


def test_credentials_in_the_url_are_not_shown(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/api/v1/query").respond_with_data("no", status=401)
    url = httpserver.url_for("").replace("http://", "http://someone:secret@")
    done = stage("observability/ga_kpi_collector.py", tmp_path, "--prometheus-url", url, *GA_FLAGS)
    assert_fails(done, 3, "401")
    assert "secret" not in done.stderr


def test_a_refused_connection(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    assert_fails(stage("observability/ga_kpi_collector.py", tmp_path, "--prometheus-url", url, *GA_FLAGS), 3, url)
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("url", ["localhost:9090", "ftp://localhost", "http://", "http://[::1", ""])
def test_a_url_that_is_none(tmp_path: Path, url: str) -> None:
    assert_fails(stage("observability/ga_kpi_collector.py", tmp_path, "--prometheus-url", url, *GA_FLAGS), 2, "URL")


NO_INSTANTS = [
    ("yesterday", "ISO 8601"),
    ("2025-11-18T00:00:00", "time zone"),
    ("2025-11-18", "time zone"),
    ("2025-11-31T00:00:00Z", "ISO 8601"),
    ("", "ISO 8601"),
]


@pytest.mark.parametrize(("instant", "words"), NO_INSTANTS)
def test_a_timestamp_that_is_no_instant(tmp_path: Path, instant: str, words: str) -> None:
    done = stage("observability/ga_kpi_collector.py", tmp_path, "--ga-timestamp", instant)
    assert_fails(done, 2, f"error: --ga-timestamp '{instant}' ", words)


@pytest.mark.parametrize(
    "command",
    [
        "run release.yaml --now",
        "record release.yaml --output-dir out --now",
        "rebuild release.yaml --output-dir recording --now",
        "baseline --release release.yaml --now",
        "baseline --release release.yaml --end",
        "day --release release.yaml --day-number 1 --ga-baseline ga.json --now",
        "detect --release release.yaml --now",
        "retrospective --ga-data ga_kpis --7day-data stability --now",
    ],
)
@pytest.mark.parametrize(("instant", "words"), NO_INSTANTS[:2])
def test_every_flag_that_takes_an_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, instant: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "release.yaml").write_text(RELEASE.format(url="http://127.0.0.1:9"))
    (tmp_path / "ga.json").write_text('{"timestamp": "2025-11-18T00:00:00Z"}')
    (tmp_path / "recording").mkdir()
    recorded = {"ga": "2025-11-18T00:00:00Z", "day_s": 86400, "step_s": 60, "services": ["default"]}
    recorded |= {"service_label": None, "queries": {}, "source": {"prometheus": "http://127.0.0.1:9", "step_s": 60}}
    (tmp_path / "recording/recording.json").write_text(json.dumps(recorded))
    flag = command.rpartition(" ")[2]
    with pytest.raises(ConfigError, match=f"^{flag} '{instant}' .*{words}"):
        app([*command.split(), instant], standalone_mode=False)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("run release.yaml", 4, "the GA day ends at 2025-11-19T00:00:00Z"),
        ("record release.yaml --output-dir out", 4, "day -2 ends at 2025-11-17T00:00:00Z; run the same command then"),
        ("baseline --release release.yaml", 2, "the GA day ends at 2025-11-19T00:00:00Z"),
        ("day --release release.yaml --day-number 1 --ga-baseline ga.json", 2, "Day 1 lasts from 2025-11-19T00:00:00Z"),
        ("detect --release release.yaml", 4, "GA is at 2025-11-18T00:00:00Z"),
    ],
)
def test_a_present_before_ga(httpserver: HTTPServer, tmp_path: Path, command: str, code: int, words: str) -> None:
    Gauges(httpserver).release_file(tmp_path)
    (tmp_path / "ga.json").write_text('{"timestamp": "2025-11-18T00:00:00Z"}')
    done = postga(tmp_path, *command.split(), "--now", "2025-11-16T12:00:00Z")
    assert done.returncode == code, done.stderr
    assert words in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("end", ["2025-11-18T00:00:00Z", "2025-11-17T12:00:00Z", "2025-11-19T00:00:01Z"])
def test_an_end_that_is_not_within_the_ga_day(tmp_path: Path, end: str) -> None:
    done = stage("observability/ga_kpi_collector.py", tmp_path, *GA_FLAGS, "--end", end)
    assert_fails(done, 2, f"--end {end} is not within the GA day, 2025-11-18T00:00:00Z to 2025-11-19T00:00:00Z")


def test_an_end_before_the_first_step_is_over(tmp_path: Path) -> None:
    done = stage("observability/ga_kpi_collector.py", tmp_path, *GA_FLAGS, "--end", "2025-11-18T00:00:59Z")
    assert_fails(done, 2, "--end 2025-11-18T00:00:59Z leaves no whole step")


def test_an_end_that_is_to_come(tmp_path: Path) -> None:
    flags = ("--ga-timestamp", "2025-11-18T00:00:00Z", "--end", "2025-11-18T12:00:00Z")
    done = stage("observability/ga_kpi_collector.py", tmp_path, *flags, "--now", "2025-11-18T11:00:00Z")
    assert_fails(done, 2, "the part of the GA day ends at 2025-11-18T12:00:00Z", "an earlier --end")


def test_a_look_at_a_part_of_the_ga_day_is_no_baseline(httpserver: HTTPServer, tmp_path: Path) -> None:
    Gauges(httpserver).release_file(tmp_path)
    now = ("--release", "release.yaml", "--now", AFTER)
    done = stage("observability/ga_kpi_collector.py", tmp_path, "--end", "2025-11-18T12:30:00Z", *now)
    assert (done.returncode, done.stdout) == (0, "ga_kpis/ga_kpi_summary.json\n")
    summary = json.loads((tmp_path / "ga_kpis/ga_kpi_summary.json").read_text())
    assert summary["partial"]
    assert summary["window"] == {"start": "2025-11-18T00:00:00Z", "end": "2025-11-18T12:00:00Z"}
    assert not (tmp_path / "evidence").exists()
    sentence = ("ga_kpi_summary.json is of a part of the GA day", "collect the whole GA day", "without --end")
    for command in ("day --day-number 1", "day --day-number 1 --release release.yaml", "detect", "regressions", "slo"):
        assert_fails(postga(tmp_path, *command.split()), 2, *sentence)
    assert_fails(postga(tmp_path, "retrospective", "--ga-data", "ga_kpis", "--7day-data", "stability"), 2, *sentence)
    assert stage("observability/ga_kpi_collector.py", tmp_path, *now).returncode == 0
    assert not json.loads((tmp_path / "ga_kpis/ga_kpi_summary.json").read_text())["partial"]


def test_a_server_that_does_not_keep_the_ga_day_any_more(httpserver: HTTPServer, tmp_path: Path) -> None:
    server = Gauges(httpserver)
    server.release_file(tmp_path)
    server.first = 10
    done = stage("observability/ga_kpi_collector.py", tmp_path, "--release", "release.yaml", "--now", AFTER)
    assert_fails(
        done, 4, server.url, "none of the GA day", "it seems not to keep that day any more", "check the GA time"
    )
    assert nothing_written(tmp_path)


def test_no_ga_instant(tmp_path: Path) -> None:
    assert_fails(stage("observability/ga_kpi_collector.py", tmp_path), 2, "--ga-timestamp")


@pytest.mark.parametrize("command", ["stability_monitor_7day.py --day-number 1", "anomaly_detector_lightweight.py"])
def test_a_missing_baseline(tmp_path: Path, command: str) -> None:
    name, *flags = command.split()
    assert_fails(
        stage(f"observability/{name}", tmp_path, *flags), 2, "ga_kpi_summary.json", "not found", "collect the GA day"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ('{"timestamp": "2025-11-1', "not JSON"),
        ("[]", "ga_kpi_summary.json"),
        ('{"timestamp": "2025-11-18T00:00:00"}', "time zone"),
        ('{"schema_version": 99, "timestamp": "2025-11-18T00:00:00Z"}', "schema version 99"),
        ('{"timestamp": "2025-11-18T00:00:00Z", "overall_availability": "high"}', "overall_availability"),
        ('{"timestamp": "2025-11-18T00:00:00Z", "overall_availability": NaN}', "overall_availability"),
    ],
)
def test_a_broken_baseline(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "ga_kpis").mkdir()
    (tmp_path / "ga_kpis/ga_kpi_summary.json").write_text(content)
    done = stage("observability/stability_monitor_7day.py", tmp_path, "--day-number", "1")
    assert_fails(done, 2, "ga_kpi_summary.json", words)


@pytest.mark.parametrize("number", ["0", "8", "-1"])
def test_a_day_outside_the_week(tmp_path: Path, number: str) -> None:
    (tmp_path / "ga_kpis").mkdir()
    (tmp_path / "ga_kpis/ga_kpi_summary.json").write_text(json.dumps({"timestamp": "2025-11-18T00:00:00Z"}))
    done = stage("observability/stability_monitor_7day.py", tmp_path, "--day-number", number, "--now", AFTER)
    assert_fails(done, 2, "--day-number", number, "1 to 7")


def test_a_day_that_is_not_over(tmp_path: Path) -> None:
    (tmp_path / "ga_kpis").mkdir()
    (tmp_path / "ga_kpis/ga_kpi_summary.json").write_text(json.dumps({"timestamp": "2025-11-18T00:00:00Z"}))
    flags = ("--day-number", "3", "--now", "2025-11-21T12:00:00Z")
    done = stage("observability/stability_monitor_7day.py", tmp_path, *flags)
    assert_fails(done, 2, "2025-11-22T00:00:00Z", "--partial")


def test_missing_summaries(tmp_path: Path) -> None:
    (tmp_path / "ga_kpis").mkdir()
    (tmp_path / "ga_kpis/ga_kpi_summary.json").write_text(json.dumps({"timestamp": "2025-11-18T00:00:00Z"}))
    assert_fails(stage("observability/regression_analyzer.py", tmp_path), 2, "stability", "collect the days")
    assert_fails(
        stage("scripts/generate_retrospective.py", tmp_path, "--ga-data", "ga_kpis", "--7day-data", "stability"), 2
    )
    assert_fails(
        stage("observability/daily_health_reporter.py", tmp_path, "--day-number", "1"), 2, "day_01_summary.json"
    )
    assert not (tmp_path / "regression_summary.json").exists()


def test_the_retrospective_needs_its_inputs_named(tmp_path: Path) -> None:
    assert_fails(stage("scripts/generate_retrospective.py", tmp_path), 2, "--auto")


@pytest.mark.parametrize("indexed", [True, False])
def test_the_retrospective_of_several_services_is_made_in_their_folders(tmp_path: Path, indexed: bool) -> None:
    for service in ("checkout", "reports"):
        (tmp_path / service / "ga_kpis").mkdir(parents=True)
        (tmp_path / service / "ga_kpis/ga_kpi_summary.json").write_text("{}")
    if indexed:
        (tmp_path / "index.json").write_text("{}")
        (tmp_path / "ga_kpis").mkdir()
        (tmp_path / "ga_kpis/ga_kpi_summary.json").write_text(json.dumps({"timestamp": "2025-11-18T00:00:00Z"}))
    assert_fails(
        stage("scripts/generate_retrospective.py", tmp_path, "--auto"), 2, "checkout, reports", "run the command in"
    )


def test_a_service_without_data_ends_with_its_name_after_the_others_were_written(tmp_path: Path) -> None:
    """Of the shipped recording, without one service's GA day; run twice, since what was found then is kept."""
    recording = shutil.copytree(ROOT / "test_data/recording", tmp_path / "recording")
    empty_evidence(recording / "reports/evidence/day_00.csv.gz")
    flags = ("--release", str(ROOT / "test_data/release.yaml"), "--recording", str(recording))
    done = stage("observability/ga_kpi_collector.py", tmp_path, *flags, "--now", AFTER)
    assert done.returncode == 4, done.stderr
    assert "checkout/ga_kpis/ga_kpi_summary.json" in done.stdout
    assert "reports" not in done.stdout
    run = ("run", str(ROOT / "test_data/release.yaml"), "--recording", str(recording), "--now", AFTER)
    for _ in range(2):
        done = postga(tmp_path, *run, "--output-dir", "week")
        assert done.returncode == 4, done.stderr
        assert done.stdout.splitlines()[-1] == "week/index.md"
        assert done.stderr.splitlines()[-1].startswith("error: There is no baseline of reports: ")
    assert (tmp_path / "week/checkout/docs/final/GA_7DAY_RETROSPECTIVE.md").is_file()
    done = stage("observability/stability_monitor_7day.py", tmp_path, "--day-number", "1", *flags, "--now", AFTER)
    assert done.returncode == 0
    assert done.stdout == "stability/day_01_summary.json\n".replace("stability", "checkout/stability")
    assert done.stderr.startswith("warning: There is no baseline of reports: ")


def empty_evidence(path: Path) -> None:
    """Take all columns but the time out of an evidence file, as where no query returned anything."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    header = next(number for number, line in enumerate(lines) if line.startswith("time,"))
    rows = [line.partition(",")[0] for line in lines[header:]]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in [*lines[:header], *rows]).encode()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no fields"),
        ("release: [", "not YAML"),
        ("release: x\n", "ga: is missing"),
        ("release: x\nga: 2025-11-18 00:00:00\n", "time zone"),
        ("release: x\nga: soon\n", "ISO 8601"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nonly: [p99_latncy_ms]\n", "did you mean 'p99_latency_ms'"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nslos: [{name: A, kpi: nope, objective: 99}]\n", "unknown KPI 'nope'"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: [a, a]\n", "named twice"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: ['../up']\n", "folder"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nstep: 7m\nday: 24h\n", "step"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nstep: fast\n", "not a duration"),
        ("release: x\nga: 2025-11-18T00:00:00Z\ncolour: red\n", "colour"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nqueries: {http_requests: 'sum(x_total)'}\n", "raw series"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nkpis: {mine: {kind: rate, query: nope}}\n", "kpis.mine"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nrelease: y\n", "'release' is written twice"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nqueries: {targets: b, targets: c}\n", "'targets' is written twice"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: [8080]\n", "services.0: write it as text, in quotes"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: shop\n", "services: write a list"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: {8080: }\n", "services.8080: write it as text, in quotes"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nslos: [99.9]\n", "slos.0: write fields"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nonly: [[a]]\n", "unknown KPI"),
        (
            "release: x\nga: 2025-11-18T00:00:00Z\nkpis: {}\nslos:\n"
            + 2 * "- {name: A, kpi: overall_error_rate, objective: 1}\n",
            "two objectives are named 'A'",
        ),
    ],
)
def test_a_release_file_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "release.yaml").write_text(text)
    assert_fails(postga(tmp_path, "run", "release.yaml", "--now", AFTER), 2, "release.yaml", words)
    assert nothing_written(tmp_path)


def test_a_release_file_that_is_not_there(tmp_path: Path) -> None:
    assert_fails(postga(tmp_path, "run", "nowhere.yaml"), 2, "nowhere.yaml")


def test_a_recording_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(RELEASE.format(url="http://127.0.0.1:9"))
    assert_fails(postga(tmp_path, "run", "release.yaml", "--recording", ".", "--now", AFTER), 2, "recording.json")
