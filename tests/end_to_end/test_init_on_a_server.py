"""`postga init --from` on a real Prometheus: what it proposes gives figures, as it stands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.server import serving
from observability.model import PrometheusSettings, format_instant
from observability.release import load
from observability.sources.prometheus import Prometheus
from observability.survey import Exporters
from tests.end_to_end.conftest import require_programs

RELEASE = Path(__file__).parents[2] / "test_data/release.yaml"
POSTGA = Path(sys.executable).with_name("postga")
WEEK_OVER = "2025-11-26T00:00:00Z"


def postga(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([POSTGA, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def proposed(prometheus_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("init") / "release.yaml"
    given = ["--release", "checkout-v1.0.1", "--ga", "2025-11-18T00:00:00Z", "--now", WEEK_OVER]
    done = postga("init", file, "--from", prometheus_url, *given)
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert done.stderr == f"Next: read {file}, correct it, then run: postga validate {file} --probe\n"
    return file


def test_the_proposal_asks_what_the_release_file_of_the_week_asks(proposed: Path) -> None:
    found, written = load(proposed), load(RELEASE)
    assert found.plan.services == written.plan.services
    assert (found.plan.service_label, found.plan.step_s) == (written.plan.service_label, written.plan.step_s)
    assert found.plan.queries == written.plan.queries
    assert found.slos == written.slos


def test_the_proposal_runs_and_every_kpi_but_the_cost_has_figures(proposed: Path, tmp_path: Path) -> None:
    done = postga("run", proposed, "--output-dir", tmp_path, "--now", WEEK_OVER)
    assert done.returncode == 0, done.stderr
    for service in ("checkout", "reports"):
        day = json.loads((tmp_path / service / "stability/day_03_summary.json").read_text())
        empty = [name for name, kpi in day["kpis"].items() if kpi["value"] is None]
        assert empty == ["estimated_cost_per_hour"]  # the prices are commented


def test_the_week_can_be_shown(proposed: Path, tmp_path: Path) -> None:
    assert postga("baseline", "--release", proposed, "--output-dir", tmp_path, "--now", WEEK_OVER).returncode == 0
    done = postga("show", tmp_path, "--service", "checkout", "--kpi", "overall_error_rate")
    assert done.returncode == 0, done.stderr
    assert "days: −7 to −1, GA (2025-11-11T00:00:00Z to 2025-11-19T00:00:00Z); missing: 1 to 7" in done.stdout


def test_a_time_without_samples_is_told_and_nothing_written(prometheus_url: str, tmp_path: Path) -> None:
    done = postga("init", tmp_path / "r.yaml", "--from", prometheus_url, "--now", "2020-01-01T00:00:00Z")
    assert done.returncode == 4
    assert "has no samples of a metric that postga knows between 2019-12-31T23:00:00Z" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_told_and_nothing_written(tmp_path: Path) -> None:
    done = postga("init", tmp_path / "r.yaml", "--from", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert "http://127.0.0.1:9" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_server_understands_every_alternative(prometheus_url: str) -> None:
    server = Prometheus(PrometheusSettings(url=prometheus_url))
    now = datetime(2025, 11, 20, tzinfo=UTC)
    alternatives = Exporters.read().alternatives
    answers = [
        server.instant(one.exporter, one.rendered('service!=""', "service, job", "60s"), now) for one in alternatives
    ]
    assert len(answers) == len(alternatives) > 0


END = datetime(2025, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def opentelemetry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two services by OpenTelemetry's names, scraped every 15 s for two hours; and pods that no label relates."""
    require_programs()
    root = tmp_path_factory.mktemp("opentelemetry")
    times = [int((END - timedelta(hours=2)).timestamp()) + 15 * k for k in range(480)]
    lines = ["# TYPE http_server_request_duration_seconds histogram"]
    for service, status in (("cart", "200"), ("cart", "503"), ("search", "200")):
        labels = f'service_name="{service}",job="shop/{service}",http_response_status_code="{status}"'
        for k, time in enumerate(times):
            for bound, share in (("0.1", 1), ("0.5", 2), ("+Inf", 2)):
                lines.append(f'http_server_request_duration_seconds_bucket{{{labels},le="{bound}"}} {share * k} {time}')
            lines.append(f"http_server_request_duration_seconds_count{{{labels}}} {2 * k} {time}")
    lines.append("# TYPE container_cpu_usage_seconds counter")
    lines += [f'container_cpu_usage_seconds_total{{container="cart",pod="a"}} {k} {t}' for k, t in enumerate(times)]
    text = root / "metrics.om"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    run = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(root / "data")]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    with serving(root) as url:
        yield url


def test_other_exporters_metrics_are_proposed(opentelemetry_url: str, tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    now = format_instant(END)
    done = postga("init", file, "--from", opentelemetry_url, "--now", now, "--ga", "2025-11-19T00:00:00Z")
    assert done.returncode == 0, done.stderr
    release = load(file)
    assert (release.services, release.service_label, release.step_s) == (("cart", "search"), "service_name", 15)
    assert 'http_response_status_code=~"5.."' in release.queries["http_errors"].promql
    assert (
        "warning: not found: avg_cpu_percent, peak_cpu_percent: container_cpu_usage_seconds_total has samples, but "
        "none whose service_name is a service's (it has container)\n"
    ) in done.stderr
    fetched = Prometheus(release.prometheus).fetch(release.plan, release.calendar.window(0))
    assert fetched["cart"].columns["http_requests"][-1] == 4  # 2 per step of each of its two series
    assert fetched["cart"].columns["http_errors"][-1] == 2
    assert fetched["search"].columns["http_latency.le.0.1"][-1] == 1
    watched = {query.name for query in release.plan.queries}
    assert watched == {"http_requests", "http_errors", "http_latency"}
    assert release.queries["http_requests"].exporter == "OpenTelemetry HTTP server conventions"
