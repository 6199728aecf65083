"""A real Alertmanager: an incident is one alert that fires while it lasts, and ends with it or without the watcher."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from benchmarks.server import ATTEMPTS, READY_WITHIN_S, _free_port, _is_ready, _stop
from observability.artifacts import Severity
from observability.notify import Notify
from observability.watching.delivery import Pace
from observability.watching.sinks import Sinks
from tests.end_to_end.conftest import REQUIRED
from tests.notifications import notification

PROGRAM = "prometheus-alertmanager"
PAGE = Path(__file__).parents[2] / "docs/watch.md"
PACE = Pace()
OURS = {"alertname": "PostgaIncident", "service": "checkout", "release": "shop-v2", "team": "shop"}


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """With the configuration that the page shows."""
    found = re.search(r"```yaml\n# alertmanager.yml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found is not None
    (folder / "alertmanager.yml").write_text(found[1])
    return subprocess.Popen(
        [
            PROGRAM,
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an Alertmanager on the loopback interface."""
    if shutil.which(PROGRAM) is None:
        text = f"{PROGRAM} not found; get it with: apt-get install {PROGRAM}"
        pytest.fail(f"{REQUIRED} is set, but {text}") if os.environ.get(REQUIRED) else pytest.skip(text)
    for _ in range(ATTEMPTS):
        port = _free_port()
        server = start(tmp_path_factory.mktemp("alertmanager"), port)
        try:
            if _is_ready(server, f"http://127.0.0.1:{port}"):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            _stop(server)
    pytest.fail(f"{PROGRAM} did not start")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The incident of one test."""
    return str(request.node.name)


@pytest.fixture
def running(url: str, tmp_path: Path) -> Iterator[Sinks]:
    sinks = begun(url, tmp_path)
    yield sinks
    sinks.stop(10)


def begun(url: str, folder: Path, pace: Pace = PACE) -> Sinks:
    def refused(text: str) -> None:
        raise AssertionError(text)

    settings = Notify.model_validate({"alertmanager": {"url": url}, "labels": {"team": "shop"}})
    sinks = Sinks(folder, settings, refused, pace)
    sinks.start()
    return sinks


def put(sinks: Sinks, name: str, status: Literal["open", "escalated", "resolved"], severity: Severity) -> None:
    """A notification of an incident of the last minutes, delivered."""
    sinks.put(notification(name, status, severity, start=datetime.now(UTC) - timedelta(minutes=10)))
    until(lambda: not any(sinks.pending().values()))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def firing(url: str, name: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/api/v2/alerts", params={"filter": f'incident="{name}"'}, timeout=5)
    answer.raise_for_status()
    return [alert for alert in answer.json() if alert["status"]["state"] != "suppressed"]


def severities(url: str, name: str) -> list[str]:
    return [alert["labels"]["severity"] for alert in firing(url, name)]


def test_an_incident_fires_and_is_over(url: str, running: Sinks, name: str) -> None:
    put(running, name, "open", "high")
    [alert] = firing(url, name)
    assert alert["labels"] == {**OURS, "incident": name, "severity": "high"}
    assert alert["annotations"]["summary"].startswith(
        "checkout: p99_latency_ms (54 %), overall_error_rate (31 %) since "
    )
    assert "2. overall_error_rate (reliability): 31 % of the evidence" in alert["annotations"]["description"]
    left = datetime.fromisoformat(alert["endsAt"]) - datetime.now(UTC)
    assert timedelta(minutes=3) < left <= timedelta(minutes=4)
    put(running, name, "resolved", "high")
    assert firing(url, name) == []


def test_an_escalation_leaves_one_alert(url: str, running: Sinks, name: str) -> None:
    for status, severity in (("open", "medium"), ("escalated", "high"), ("escalated", "critical")):
        put(running, name, status, severity)  # type: ignore[arg-type]
        assert severities(url, name) == [severity]
    put(running, name, "resolved", "critical")
    assert firing(url, name) == []


def test_alerts_end_without_the_watcher_and_fire_again_with_it(url: str, tmp_path: Path, name: str) -> None:
    pace = Pace(reminder_s=0.1)  # an alert lasts 0.4 s
    sinks = begun(url, tmp_path, pace)
    put(sinks, name, "open", "high")
    time.sleep(1)  # it outlives what one request gives it
    assert severities(url, name) == ["high"]
    sinks.stop(10)
    until(lambda: firing(url, name) == [])
    sinks = begun(url, tmp_path, pace)
    until(lambda: severities(url, name) == ["high"])
    put(sinks, name, "resolved", "high")
    sinks.stop(10)
    assert firing(url, name) == []
