"""``postga watch`` on a real Prometheus: live and killed in the middle, afterwards over the same time, and recorded."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from observability.events import AnomalyEvents
from tests.end_to_end.conftest import require_programs
from tests.programs import ROOT, SCRIPTS, postga
from tests.watched import events_in, logged_in

POSTGA = str(SCRIPTS / "postga")
LASTS = timedelta(seconds=24)
OFF = range(10, 14)  # seconds after GA, in which half of the requests fail
KILLED_AFTER = 15
DELAY = ("--delay", "3s")
RELEASE = """
release: shop-v2
ga: {ga:%Y-%m-%dT%H:%M:%SZ}
prometheus: {{url: "{url}"}}
step: 1s
day: 60s
services: [shop]
service_label: app
only: [request_rate, overall_error_rate]
detectors:
  ewma: {{threshold: 4, alpha: 0.2, warm_up: 5}}
"""


class Shop(BaseHTTPRequestHandler):
    """A program with two counters."""

    ga = datetime.now(UTC)
    counted: ClassVar[dict[str, int]] = {"200": 0, "500": 0}
    draw = random.Random(5)

    def do_GET(self) -> None:
        since = (datetime.now(UTC) - self.ga).total_seconds()
        requests = self.draw.randrange(90, 110)
        failed = requests // 2 if OFF.start <= since < OFF.stop else self.draw.randrange(3)
        self.counted["200"] += requests - failed
        self.counted["500"] += failed
        text = "".join(f'http_requests_total{{app="shop",code="{k}"}} {v}\n' for k, v in self.counted.items())
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: Any) -> None:
        """Scrapes are no news."""


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of the program."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def scraping(shop: str, tmp_path: Path) -> Iterator[str]:
    """A server that scrapes it every second."""
    require_programs()
    (tmp_path / "prometheus.yml").write_text(
        f"scrape_configs: [{{job_name: shop, scrape_interval: 1s, static_configs: [{{targets: ['{shop}']}}]}}]\n"
    )
    port = free_port()
    files = (f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}")
    with (tmp_path / "prometheus.log").open("wb") as output:
        command = ["prometheus", *files, f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: is_there(f"http://127.0.0.1:{port}/-/ready"))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_there(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_live_and_killed_and_afterwards(scraping: str, tmp_path: Path) -> None:
    """The events are those of who asks when all is over."""
    Shop.ga = ga = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    (tmp_path / "release.yaml").write_text(RELEASE.format(ga=ga, url=scraping))
    end = f"{ga + LASTS:%Y-%m-%dT%H:%M:%SZ}"
    watch = ("watch", "release.yaml", "--end", end, *DELAY)
    live = [POSTGA, *watch, "--output-dir", "live", "--listen", f"127.0.0.1:{(port := free_port())}"]
    with subprocess.Popen(live, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: is_there(f"http://127.0.0.1:{port}/-/healthy") or process.poll() is not None)
        until(lambda: datetime.now(UTC) > ga + timedelta(seconds=KILLED_AFTER))
        lag = gauge(f"http://127.0.0.1:{port}/metrics", "postga_watch_lag_seconds")
        process.kill()
    assert 3 <= lag < 8
    again = subprocess.run(live, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90)
    assert again.returncode == 0, again.stderr
    assert "carries on after" in again.stderr
    assert "warning" not in again.stderr
    time.sleep(1)  # the server's clock has the end's second
    done = postga(tmp_path, *watch, "--output-dir", "afterwards")
    assert done.returncode == 0, done.stderr
    assert events_in(tmp_path / "live") == events_in(tmp_path / "afterwards")
    assert logged_in(tmp_path / "live") == logged_in(tmp_path / "afterwards")
    events = AnomalyEvents.model_validate_json((tmp_path / "live" / "anomaly_events.json").read_bytes())
    assert events.scored["overall_error_rate"] > 12  # after the warm-up
    assert "overall_error_rate" in {one.metric_name for one in events.anomalies}


def gauge(url: str, name: str) -> float:
    lines = requests.get(url, timeout=5).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_a_recording_gives_the_same_events_as_the_server(prometheus_url: str, tmp_path: Path) -> None:
    release = str(ROOT / "test_data/release.yaml")
    server = ("--prometheus-url", prometheus_url)
    recorded = postga(
        tmp_path, "record", release, *server, "--output-dir", "recording", "--now", "2025-11-26T00:00:00Z"
    )
    assert recorded.returncode == 0, recorded.stderr
    span = ("--start", "2025-11-20T12:00:00Z", "--end", "2025-11-20T18:00:00Z")
    for name, source in (("server", server), ("replay", ("--recording", "recording"))):
        done = postga(tmp_path, "watch", release, *source, *span, "--output-dir", name)
        assert done.returncode == 0, done.stderr
    events = events_in(tmp_path / "server")
    assert events == events_in(tmp_path / "replay")
    assert logged_in(tmp_path / "server") == logged_in(tmp_path / "replay")
    assert any(AnomalyEvents.model_validate_json(content).incidents for content in events.values())
