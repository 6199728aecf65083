"""A real Prometheus server over the generated weeks: made once per session, and only where a test asks for it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from test_data.generate import SEED, write_openmetrics
from test_data.week import Week, generate

PROGRAMS = ("prometheus", "promtool")
REQUIRED = "POSTGA_REQUIRE_PROMETHEUS"
READY_WITHIN_S = 30
ATTEMPTS = 3


@pytest.fixture(scope="session")
def week() -> Week:
    return generate(SEED)


@pytest.fixture(scope="session")
def prometheus_url(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server on the loopback interface that holds the fifteen days."""
    require_programs()
    root = tmp_path_factory.mktemp("prometheus")
    blocks = root / "data"
    backfill(week, root, blocks)
    with serving(root, blocks) as url:
        yield url


def require_programs() -> None:
    """Skip without Prometheus, but fail where it was promised, as in continuous integration."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    reason = f"{' and '.join(missing)} not found; get them with: apt-get install prometheus"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, but {reason}")
    pytest.skip(reason)


def backfill(week: Week, root: Path, blocks: Path) -> None:
    """Day by day, two at a time: promtool reads its whole input again for every block that it makes of it."""

    def backfill_day(day: int) -> None:
        text = root / f"day_{day}.om"
        write_openmetrics(week, text, range(day, day + 1))
        run = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h"]
        subprocess.run([*run, str(text), str(blocks)], check=True, stdout=subprocess.DEVNULL)
        text.unlink()

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(backfill_day, week.timeline.days))


@contextmanager
def serving(root: Path, blocks: Path) -> Iterator[str]:
    """A server on a free port. Another process may take the port first: a server that ends at once is tried again."""
    log = root / "prometheus.log"
    for _ in range(ATTEMPTS):
        port = free_port()
        server = start(root, blocks, port, log)
        try:
            if wait_until_ready(server, f"http://127.0.0.1:{port}"):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            stop(server)
    pytest.fail(f"prometheus did not start: {log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(root: Path, blocks: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    """Kept for 30 years: a server that starts on old blocks otherwise deletes them."""
    configuration = root / "prometheus.yml"
    configuration.write_text("scrape_configs: []\n")
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={blocks}",
                "--storage.tsdb.retention.time=30y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> bool:
    """False when the server has ended, or does not get ready in time."""
    deadline = time.monotonic() + READY_WITHIN_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/-/ready", timeout=1).ok:
                return True
        except requests.RequestException:
            pass
        time.sleep(0.1)
    return False


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
