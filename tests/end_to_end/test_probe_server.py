"""Probes of a real Prometheus: of the generated week, and of a small server with everything that goes wrong."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.server import serving
from tests.end_to_end.conftest import require_programs

ROOT = Path(__file__).parents[2]
START = datetime(2025, 11, 18, tzinfo=UTC)
EVERY = {"shop": 15, "slow": 120}  # service → scrape interval in seconds
FOR = timedelta(hours=2)
HEAD = "release: r\nga: 2025-11-18T00:00:00Z\nslos: []\n"
NOW = "2025-11-18T02:00:00Z"


@pytest.fixture(scope="module")
def mistaken_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with two services: of one everything is there twice, and its histogram has no last bucket."""
    require_programs()
    root = tmp_path_factory.mktemp("mistaken")
    text, blocks = root / "week.om", root / "data"
    text.write_text("".join(openmetrics()))
    run = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    with serving(root) as url:
        yield url


def openmetrics() -> Iterator[str]:
    pair = [{"service": "shop", "prometheus_replica": name} for name in ("a", "b")]
    yield from family(
        "http_requests",
        "counter",
        "_total",
        [*({**one, "code": "200"} for one in pair), {"service": "slow", "status": "200"}],
    )
    buckets = [{**one, "le": le} for one in pair for le in ("0.1", "0.5")]
    yield from family("http_request_duration_seconds", "unknown", "_bucket", buckets)
    yield from family("sessions", "gauge", "", [{"service": "shop", "pod": pod} for pod in "ab"])
    yield "# EOF\n"


def family(name: str, kind: str, suffix: str, series: list[dict[str, str]]) -> Iterator[str]:
    """One metric, with a sample per scrape and series."""
    yield f"# TYPE {name if kind != 'unknown' else name + suffix} {kind}\n"
    for labels in series:
        shown = ",".join(f'{label}="{value}"' for label, value in labels.items())
        every = EVERY[labels["service"]]
        for number in range(int(FOR.total_seconds()) // every):
            yield f"{name}{suffix}{{{shown}}} {number} {START.timestamp() + number * every:.0f}\n"


def probe(folder: Path, url: str, text: str, now: str = NOW) -> tuple[int, list[str]]:
    """Exit code and stdout of the command."""
    (folder / "release.yaml").write_text(text)
    command = [str(Path(sys.executable).parent / "postga"), "validate", "release.yaml", "--probe"]
    flags = ["--prometheus-url", url, "--now", now]
    done = subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert "bug:" not in done.stderr
    return done.returncode, done.stdout.splitlines()


def finding(lines: list[str], *words: str) -> str:
    """The one line that holds all of the words."""
    (line,) = [line for line in lines if all(word in line for word in words)]
    return line


EXAMPLE = (ROOT / "test_data/release.yaml").read_text()
AFTER = "2025-12-01T00:00:00Z"


def test_everything_of_the_generated_week_is_found(prometheus_url: str, tmp_path: Path) -> None:
    code, lines = probe(tmp_path, prometheus_url, EXAMPLE, AFTER)
    assert code == 0
    assert lines[0] == f"{prometheus_url}, 2025-11-18T23:00:00Z to 2025-11-19T00:00:00Z"
    rows = {line.split()[0]: line.split() for line in lines[2:20]}
    assert [name for name, row in rows.items() if row[1] == "0"] == ["critical_alerts"]
    assert rows["http_requests"][-4:] == ["checkout", "4,", "reports", "1"]
    assert [line.partition(":")[0] for line in lines[21:]] == ["note", "note"]


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("service_label: service", "service_label: app", 4, ("no label app", "write service_label: service")),
        ("[checkout, reports]", "[checkout, reprots]", 4, ("of reprots", "never reprots; did you mean reports?")),
        ("step: 60s", "step: 15s", 0, ("scraped every 60 s", "write step: 60s")),
        ("step: 60s", 'step: 60s\nmatchers: env="prod"', 4, ("no label env, which `matchers` asks for",)),
    ],
)
def test_a_mistake_in_the_file_is_said(
    prometheus_url: str, tmp_path: Path, before: str, after: str, code: int, words: tuple[str, ...]
) -> None:
    assert before in EXAMPLE
    found, lines = probe(tmp_path, prometheus_url, EXAMPLE.replace(before, after), AFTER)
    assert found == code
    assert finding(lines, *words)


@pytest.mark.parametrize(
    ("query", "promql", "code", "words"),
    [
        ("http_requests", "htp_requests_total{$match}", 4, ("htp_requests_total; did you mean http_requests_total?",)),
        (
            "http_errors",
            'http_requests_total{status=~"5..",$match}',
            4,
            ("http_errors", "no label status; it has code"),
        ),
        ("cpu_cores", "sum by ($by) (ratte(x{$match}[5m]))", 2, ("cpu_cores", 'unknown function with name "ratte"')),
        ("db_sessions", "container_memory_working_set_bytes{$match}", 2, ("of checkout", "2 series", "differ in pod")),
        ("db_sessions", "'text'", 2, ("error: db_sessions", "it returns a text, and not numbers")),
        ("db_sessions", "up[5m]", 2, ("error: db_sessions", "it returns a range vector, and not numbers")),
        ("db_sessions", "sum(up) * NaN", 4, ("no data: db_sessions", "none of their samples in the hour is a finite")),
    ],
)
def test_a_mistake_in_a_query_is_said(
    prometheus_url: str, tmp_path: Path, query: str, promql: str, code: int, words: tuple[str, ...]
) -> None:
    found, lines = probe(tmp_path, prometheus_url, f"{EXAMPLE}queries:\n  {query}: |-\n    {promql}\n", AFTER)
    assert found == code
    assert finding(lines, *words)


@pytest.mark.parametrize("promql", ["1", "scalar(sum(up))", "sum by ($by) (http_requests_total{$match}) # all of them"])
def test_a_query_that_can_be_recorded_can_be_probed(prometheus_url: str, tmp_path: Path, promql: str) -> None:
    text = f"{EXAMPLE}only: [db_connections]\nslos: []\nqueries:\n  db_sessions: |-\n    {promql}\n"
    code, lines = probe(tmp_path, prometheus_url, text, AFTER)
    assert (code, len(lines)) == (0, 4)
    assert lines[2].split()[0] == "db_sessions"
    assert lines[2].split()[1] != "0"


def test_a_server_without_the_ga_day_is_asked_for_the_last_hour(mistaken_url: str, tmp_path: Path) -> None:
    text = HEAD.replace("11-18", "11-10") + "services: [shop]\nonly: [request_rate]\n"
    _, lines = probe(tmp_path, mistaken_url, text)
    assert lines[0].startswith(f"{mistaken_url}, 2025-11-18T01:00:00Z to 2025-11-18T02:00:00Z, because it has nothing")


def test_a_highly_available_pair_counts_twice(mistaken_url: str, tmp_path: Path) -> None:
    code, lines = probe(tmp_path, mistaken_url, HEAD + "services: [shop]\nonly: [request_rate]\n")
    assert code == 0
    assert finding(lines, "warning: http_requests", "nothing but the label prometheus_replica")


def test_a_histogram_without_its_last_bucket(mistaken_url: str, tmp_path: Path) -> None:
    code, lines = probe(tmp_path, mistaken_url, HEAD + "services: [shop]\nonly: [p99_latency_ms]\n")
    assert code == 4
    assert finding(lines, "no data: http_latency", 'le="+Inf"', "p99_latency_ms")


def test_a_threshold_that_is_no_bound(mistaken_url: str, tmp_path: Path) -> None:
    slos = "slos: [{name: Fast, kpi: p99_latency_ms, objective: 99, threshold: 300}]"
    text = HEAD.replace("slos: []", slos) + "services: [shop]\nonly: [p99_latency_ms]\n"
    _, lines = probe(tmp_path, mistaken_url, text)
    assert finding(lines, "warning: http_latency", "300 ms", "the nearest are 100 and 500 ms")


def test_scrapes_that_are_rarer_than_the_steps(mistaken_url: str, tmp_path: Path) -> None:
    code, lines = probe(tmp_path, mistaken_url, HEAD + "services: [slow]\nonly: [request_rate]\n")
    assert code == 0
    assert finding(lines, "warning: http_requests", "scraped every 120 s", "write step: 120s")


def test_a_gauge_that_is_not_aggregated(mistaken_url: str, tmp_path: Path) -> None:
    query = "queries: {db_sessions: 'sessions{$match}'}\n"
    code, lines = probe(tmp_path, mistaken_url, HEAD + "services: [shop]\nonly: [db_connections]\n" + query)
    assert code == 2
    assert finding(lines, "error: db_sessions", "differ in pod; aggregate them, as in sum by (service)")


def test_errors_told_by_another_label(mistaken_url: str, tmp_path: Path) -> None:
    code, lines = probe(tmp_path, mistaken_url, HEAD + "services: [slow]\nonly: [overall_error_rate]\n")
    assert code == 4
    assert finding(lines, "no data: http_errors", "overall_error_rate")
