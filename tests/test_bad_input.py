"""What a user or a server can get wrong: one sentence on stderr, the documented exit code, no file half written."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

ROOT = Path(__file__).parents[1]
RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
only: [request_rate]
slos: []
prometheus: {{url: {url}, timeout: 5s}}
"""
AFTER = "2025-12-01T00:00:00Z"
GA_FLAGS = ("--ga-timestamp", "2025-11-18T00:00:00Z", "--now", AFTER)


def stage(name: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """A stage command, run as a file."""
    return program([sys.executable, str(ROOT / name)], folder, *flags)


def postga(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return program([str(Path(sys.executable).parent / "postga")], folder, *flags)


def program(command: list[str], folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


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
    def answer(request: object) -> Response:
        if status == 200 and "matrix" in body and str(getattr(request, "path", "")).endswith("/query"):
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
    httpserver.expect_request("/api/v1/query_range").respond_with_data("no", status=401)
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


@pytest.mark.parametrize(
    ("instant", "words"),
    [("yesterday", "ISO 8601"), ("2025-11-18T00:00:00", "time zone"), ("2025-11-18", "time zone"), ("", "ISO 8601")],
)
def test_a_timestamp_that_is_no_instant(tmp_path: Path, instant: str, words: str) -> None:
    assert_fails(stage("observability/ga_kpi_collector.py", tmp_path, "--ga-timestamp", instant), 2, words)


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
    """Take the numbers of the raw columns out of an evidence file."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    header = next(number for number, line in enumerate(lines) if line.startswith("time,"))
    empty = "," * lines[header].count(",")
    rows = [line.partition(",")[0] + empty for line in lines[header + 1 :]]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in [*lines[: header + 1], *rows]).encode()))


def test_an_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(RELEASE.format(url="http://127.0.0.1:9"))
    (tmp_path / "out").write_text("")
    assert_fails(postga(tmp_path, "run", "release.yaml", "--output-dir", "out", "--now", AFTER), 2, "out")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no fields"),
        ("release: [", "not YAML"),
        ("release: x\n", "ga: Field required"),
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
        ("release: x\nga: 2025-11-18T00:00:00Z\nqueries: {a: b, a: c}\n", "'a' is written twice"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: [8080]\n", "services.0: write it as text, in quotes"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: shop\n", "services: write a list"),
        ("release: x\nga: 2025-11-18T00:00:00Z\nservices: {8080: }\n", "services.0: write it as text, in quotes"),
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
