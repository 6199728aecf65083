"""A small server: two gauges of one service, one number per step, from a first day on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY_S = 86_400
RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
step: 1h
only: [db_connections, redis_memory_bytes]
slos: []
prometheus: {{url: {url}, timeout: 30s, concurrency: 1}}
"""


class Gauges:
    """``asked`` has the days whose queries have arrived, ``first`` and ``last`` are those that the server has kept.
    A request of the day ``held`` arrives and is not answered, until ``let_go`` is set."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").removesuffix("/")
        self.asked: list[int] = []
        self.first, self.last = -99, 99
        self.held: int | None = None
        self.arrived, self.let_go = threading.Event(), threading.Event()
        server.expect_request("/api/v1/query_range").respond_with_handler(self._answer)

    def release_file(self, folder: Path) -> Path:
        path = folder / "release.yaml"
        path.write_text(RELEASE.format(url=self.url))
        return path

    def _answer(self, request: Request) -> Response:
        start, end, step = (_seconds(request.args[name]) for name in ("start", "end", "step"))
        day = int((start - GA.timestamp()) // DAY_S)
        self.asked.append(day)
        if day == self.held:
            self.arrived.set()
            self.let_go.wait(30)
        size = len(request.args["query"])
        values = [[at, f"{size + at % 7919}"] for at in _times(start, end, step) if self.first <= day <= self.last]
        series = [{"metric": {}, "values": values}] if values else []
        body = {"status": "success", "data": {"resultType": "matrix", "result": series}}
        return Response(json.dumps(body), content_type="application/json")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if "T" in text else float(text)


def _times(start: float, end: float, step: float) -> Iterator[float]:
    for number in range(int((end - start) // step) + 1):
        yield start + number * step
