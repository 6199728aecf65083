"""A real Prometheus on the loopback interface, over blocks made of generated series."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests

from benchmarks.series import Series, write_openmetrics

PROGRAMS = ("prometheus", "promtool")
READY_WITHIN_S = 60
ATTEMPTS = 3
AT_ONCE = 2  # each promtool keeps one core busy


class ServerError(Exception):
    """The local Prometheus is missing, or does not do what it should."""


def require_programs() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ServerError(f"{' and '.join(missing)} not found; get them with: apt-get install prometheus")


def version() -> str:
    """What `prometheus --version` says first, e.g. "2.42.0"."""
    done = subprocess.run(["prometheus", "--version"], capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).split()[2].rstrip(",")


def backfill(
    series: Sequence[Series], borders_ms: Sequence[int], root: Path, done: Callable[[], None] = lambda: None
) -> None:
    """Blocks of ``series`` below ``root``, a part at a time: promtool reads its input again for every block.

    ``borders_ms``: where the parts begin, and where the last one ends. ``done`` is called after each part.
    """

    def backfill_part(part: int) -> None:
        text = root / f"part_{part}.om"
        write_openmetrics(series, text, borders_ms[part], borders_ms[part + 1])
        run = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h"]
        ended = subprocess.run([*run, str(text), str(root / "data")], capture_output=True, text=True)
        text.unlink()
        if ended.returncode != 0:
            raise ServerError(f"promtool could not make blocks: {ended.stderr.strip()[-500:]}")
        done()

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        list(pool.map(backfill_part, range(len(borders_ms) - 1)))


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The URL of a server over the blocks, on a free port. Another process may take the port first: then once more."""
    for _ in range(ATTEMPTS):
        port = _free_port()
        server = _start(root, port)
        try:
            if _is_ready(server, f"http://127.0.0.1:{port}"):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            _stop(server)
    raise ServerError(f"prometheus did not start: {(root / 'prometheus.log').read_text()[-500:]}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _start(root: Path, port: int) -> subprocess.Popen[bytes]:
    """Kept for 30 years: a server that starts on old blocks otherwise deletes them."""
    configuration = root / "prometheus.yml"
    configuration.write_text("scrape_configs: []\n")
    with (root / "prometheus.log").open("wb") as output:
        return subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={root / 'data'}",
                "--storage.tsdb.retention.time=30y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _is_ready(server: subprocess.Popen[bytes], url: str) -> bool:
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


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
