"""Whole commands with secrets: they arrive at the server, and are in nothing that is printed or written."""

import base64
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from observability.model import parse_instant

PASSWORD, KEY = "hunter2-password", "hunter2-key"
LOGIN = base64.b64encode(f"sre:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, KEY, LOGIN)
RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
day: 1h
queries: {load: {type: gauge, promql: load}}
kpis:
  load: {about: Load., kind: gauge, query: load, unit: cores, direction: lower is better, category: performance}
only: [load]
slos: []
prometheus:
  url: URL
  LOGIN
  http_headers: {X-Key: {secrets: ["${KEY}"]}}
"""
FROM_FILE = "basic_auth: {username: sre, password_file: password}"
FROM_ENVIRONMENT = 'basic_auth: {username: sre, password: "${PASSWORD}"}'
FROM_URL = "timeout: 20s"


def answer(request: Request) -> Response:
    """A load that rises from minute to minute, for whoever has both secrets; others are told what they sent."""
    sent = request.headers.get("Authorization", ""), request.headers.get("X-Key", "")
    if sent != (f"Basic {LOGIN}", KEY):
        return Response(f"denied: {sent}", 401, content_type="text/plain")
    if not request.path.endswith("query_range"):
        return payload("vector", [])
    start, end = (parse_instant(request.args[name]).timestamp() for name in ("start", "end"))
    steps = range(int((end - start) // 60) + 1)
    return payload("matrix", [{"metric": {}, "values": [[start + 60 * k, str(1 + k % 7)] for k in steps]}])


def payload(kind: str, result: list[object]) -> Response:
    found = {"status": "success", "data": {"resultType": kind, "result": result}}
    return Response(json.dumps(found), content_type="application/json")


def run(server: HTTPServer, folder: Path, login: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A whole week by `postga run`, with the secrets where the release file says."""
    server.expect_request("/api/v1/query_range").respond_with_handler(answer)
    server.expect_request("/api/v1/query").respond_with_handler(answer)
    (folder / "release.yaml").write_text(RELEASE.replace("URL", server.url_for("")).replace("LOGIN", login))
    if login == FROM_URL:
        environment["PROMETHEUS_URL"] = f"http://sre:{PASSWORD}@{server.host}:{server.port}"
    (folder / "password").write_text(f"{PASSWORD}\n")
    return subprocess.run(
        [str(Path(sys.executable).parent / "postga"), "run", "release.yaml", "--output-dir", "week"],
        cwd=folder,
        env={**os.environ, "POSTGA_DEBUG": "1", "PASSWORD": PASSWORD, "KEY": KEY, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def written(folder: Path) -> dict[str, str]:
    """Every file below the folder and its text, unpacked."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {
        name: (gzip.decompress(content) if name.endswith(".gz") else content).decode(errors="replace")
        for name, content in found.items()
    }


def assert_secret(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    shown = {"stdout": done.stdout, "stderr": done.stderr, **written(folder / "week")}
    assert [(name, secret) for name, text in shown.items() for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("login", [FROM_FILE, FROM_ENVIRONMENT, FROM_URL])
def test_a_week_that_is_collected_shows_no_secret(httpserver: HTTPServer, tmp_path: Path, login: str) -> None:
    done = run(httpserver, tmp_path, login)
    assert done.returncode == 0, done.stderr
    names = written(tmp_path / "week")
    assert {"ga_kpis/ga_kpi_summary.json", "evidence/day_07.csv.gz", "recording.json"} <= names.keys()
    assert any(f"{httpserver.host}:{httpserver.port}" in text for text in names.values())
    assert_secret(done, tmp_path)


@pytest.mark.parametrize("login", [FROM_FILE, FROM_ENVIRONMENT, FROM_URL])
def test_a_week_that_is_refused_shows_no_secret(httpserver: HTTPServer, tmp_path: Path, login: str) -> None:
    done = run(httpserver, tmp_path, login, KEY="another")
    assert done.returncode == 3, done.stderr
    assert "HTTP 401 (denied: " in done.stderr
    assert "Basic credentials were sent" in done.stderr
    assert_secret(done, tmp_path)


def test_a_release_file_with_a_secret_is_refused_without_repeating_it(httpserver: HTTPServer, tmp_path: Path) -> None:
    done = run(httpserver, tmp_path, f"basic_auth: {{username: sre, password: {PASSWORD}}}")
    assert done.returncode == 2, done.stderr
    assert "basic_auth.password: a secret does not belong in a release file" in done.stderr
    assert_secret(done, tmp_path)
    assert httpserver.log == []
