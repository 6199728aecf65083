"""A real Prometheus server over the generated weeks: made once per session, and only where a test asks for it."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import server
from test_data.generate import SEED, write_openmetrics
from test_data.week import Week, generate

REQUIRED = "POSTGA_REQUIRE_PROMETHEUS"


@pytest.fixture(scope="session")
def week() -> Week:
    return generate(SEED)


@pytest.fixture(scope="session")
def prometheus_url(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server on the loopback interface that holds the fifteen days."""
    require_programs()
    root = tmp_path_factory.mktemp("prometheus")
    backfill(week, root, root / "data")
    with server.serving(root) as url:
        yield url


def require_programs() -> None:
    """Skip without Prometheus, but fail where it was promised, as in continuous integration."""
    try:
        server.require_programs()
    except server.ServerError as error:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but {error}")
        pytest.skip(str(error))


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
