"""`postga validate`: what it prints where, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

ROOT = Path(__file__).parents[1]
RELEASE = "release: shop-v2\nga: 2025-11-18T00:00:00Z\nonly: [request_rate]\nslos: []\n"
WRONG = "release: shop-v2\nga: 2025-11-18\nonly: [request_rates]\nslos: []\n"
AFTER = "2025-12-01T00:00:00Z"
EMPTY = {"status": "success", "data": []}


def validate(folder: Path, text: str | None, *flags: str) -> subprocess.CompletedProcess[str]:
    if text is not None:
        (folder / "release.yaml").write_text(text)
    command = [str(Path(sys.executable).parent / "postga"), "validate", "release.yaml", *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_file_that_is_fine_is_summed_up(tmp_path: Path) -> None:
    done = validate(tmp_path, (ROOT / "test_data/release.yaml").read_text())
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "release.yaml: 2 services, 22 KPIs from 18 queries, 3 objectives, "
        "15 days from 2025-11-11T00:00:00Z to 2025-11-26T00:00:00Z\n"
    )


def test_problems_are_on_stdout_and_their_number_on_stderr(tmp_path: Path) -> None:
    done = validate(tmp_path, WRONG)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "release.yaml:2: ga: '2025-11-18' has no time zone; add Z for UTC, or an offset such as +01:00.",
        "release.yaml:3: only.0: unknown KPI 'request_rates'; did you mean 'request_rate'?",
    ]
    assert done.stderr == "error: release.yaml has 2 problems; correct the file and run the command again.\n"


def test_problems_as_json(tmp_path: Path) -> None:
    done = validate(tmp_path, WRONG, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["problems"][1] == {
        "line": 3,
        "column": 8,
        "field": "only.0",
        "text": "unknown KPI 'request_rates'; did you mean 'request_rate'?",
        "severity": "error",
    }


def test_a_warning_is_printed_and_does_not_fail(tmp_path: Path) -> None:
    maintenance = "maintenance: [{start: 2024-11-18T01:00:00Z, end: 2024-11-18T02:00:00Z}]\n"
    done = validate(tmp_path, RELEASE + maintenance)
    assert done.returncode == 0
    assert done.stdout.startswith("release.yaml:5: warning: maintenance.0: outside of what is watched")
    assert "1 maintenance window" in done.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = validate(tmp_path, None)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: release.yaml cannot be read")


def test_a_wrong_file_is_not_probed(tmp_path: Path) -> None:
    done = validate(tmp_path, WRONG, "--probe", "--prometheus-url", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "2 problems; the server was not asked" in done.stderr


def test_an_unreachable_server(tmp_path: Path) -> None:
    done = validate(tmp_path, RELEASE, "--probe", "--prometheus-url", "http://127.0.0.1:9", "--now", AFTER)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "http://127.0.0.1:9" in done.stderr


def test_an_output_that_is_full_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(WRONG)
    with Path("/dev/full").open("w") as full:
        command = [str(Path(sys.executable).parent / "postga"), "validate", "release.yaml", "--json"]
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the output cannot be written (No space left on device); make room and run it again.\n"
    )


def test_letters_that_the_output_has_not_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(RELEASE + "services: [ä/ö]\n", encoding="utf-8")
    command = [str(Path(sys.executable).parent / "postga"), "validate", "release.yaml"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == "release.yaml:5: services.0: '?/?' cannot name a folder; leave out slashes.\n"


def test_without_a_probe_nothing_heavy_is_imported() -> None:
    code = """
import sys
from pathlib import Path
from observability import validate_release
validate_release.main(Path("test_data/release.yaml"))
print([m for m in ("numpy", "pandas", "requests", "prometheus_api_client", "rich") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def server_of(httpserver: HTTPServer, series: list[dict[str, str]], status: int = 200) -> str:
    """A server that answers every query with these series, and knows no labels."""

    def query(request: Request) -> Response:
        promql = request.args["query"]
        if status != 200:
            body: object = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected }"}
        else:
            raw = promql.endswith("]")
            kind, key, sample = ("matrix", "values", [[1, "10"]]) if raw else ("vector", "value", [1, "10"])
            body = {
                "status": "success",
                "data": {"resultType": kind, "result": [{"metric": m, key: sample} for m in series]},
            }
        return Response(json.dumps(body), status=status, content_type="application/json")

    httpserver.expect_request("/api/v1/query").respond_with_handler(query)
    httpserver.expect_request("/api/v1/labels").respond_with_json(EMPTY)
    httpserver.expect_request("/api/v1/label/__name__/values").respond_with_json({**EMPTY, "data": ["hits_total"]})
    return httpserver.url_for("").removesuffix("/")


def test_a_probe_prints_a_table_and_the_cost(tmp_path: Path, httpserver: HTTPServer) -> None:
    url = server_of(httpserver, [{"__name__": "http_requests_total", "instance": "a"}])
    done = validate(tmp_path, RELEASE, "--probe", "--prometheus-url", url, "--now", AFTER)
    assert done.returncode == 0, done.stderr
    heading, columns, row, cost = done.stdout.splitlines()
    assert heading == f"{url}, 2025-11-18T23:00:00Z to 2025-11-19T00:00:00Z"
    assert columns.split()[0] == "query"
    assert row.split()[:2] == ["http_requests", "1"]
    assert cost.startswith("1 query over 15 days: about ")


def test_a_probe_as_json(tmp_path: Path, httpserver: HTTPServer) -> None:
    url = server_of(httpserver, [{"__name__": "http_requests_total", "instance": "a"}])
    done = validate(tmp_path, RELEASE, "--probe", "--prometheus-url", url, "--now", AFTER, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == found["findings"] == []
    assert found["window"] == {"start": "2025-11-18T23:00:00Z", "end": "2025-11-19T00:00:00Z"}
    assert [(one["query"], one["by_service"]) for one in found["probe"]] == [("http_requests", {"default": 1})]


def test_a_query_without_data_ends_with_4(tmp_path: Path, httpserver: HTTPServer) -> None:
    url = server_of(httpserver, [])
    done = validate(tmp_path, RELEASE, "--probe", "--prometheus-url", url, "--now", AFTER)
    assert done.returncode == 4
    assert "no data: http_requests: the server has no metric http_requests_total" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: The server lacks data of http_requests, ")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_query_that_the_server_refuses_ends_with_2(
    tmp_path: Path, httpserver: HTTPServer, flags: tuple[str, ...]
) -> None:
    url = server_of(httpserver, [], status=400)
    done = validate(tmp_path, RELEASE, "--probe", "--prometheus-url", url, "--now", AFTER, *flags)
    assert done.returncode == 2
    assert "parse error: unexpected }" in done.stdout
    assert "last_over_time((" not in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: The server cannot answer http_requests ")


def test_a_password_in_the_url_is_not_shown(tmp_path: Path, httpserver: HTTPServer) -> None:
    url = server_of(httpserver, []).replace("http://", "http://me:hidden@")
    for flags in ((), ("--json",)):
        done = validate(tmp_path, RELEASE, "--probe", "--prometheus-url", url, "--now", AFTER, *flags)
        assert done.returncode == 4
        assert "hidden" not in done.stdout + done.stderr
