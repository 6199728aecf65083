"""What a probe of a server found: per query how many series, what they will cost, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from observability.model import Frozen, Window

Severity = Literal["error", "no data", "warning", "note"]
SEVERITIES = get_args(Severity)


class Finding(Frozen):
    """What is wrong with a query, or worth knowing. ``kpis``: those that suffer; ``services``: those that it is about.

    An ``error`` ends a run; ``no data`` leaves KPIs without a value; a ``warning`` is of figures that may mislead; a
    ``note`` explains what looks wrong and is not.
    """

    severity: Severity
    query: str
    kpis: tuple[str, ...]
    services: tuple[str, ...]
    text: str


class Cost(Frozen):
    """Of a stretch of time: samples, seconds until they are here, and bytes of JSON before compression."""

    samples: float = 0.0
    seconds: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            samples=self.samples + other.samples,
            seconds=self.seconds + other.seconds,
            bytes=self.bytes + other.bytes,
        )


class QueryProbe(Frozen):
    """What one query returned in the hour, and what it is estimated to cost. ``series``: how many, ``by_service``:
    how many concern each service; ``interval_s``: of the scrapes, in seconds, where it was measured."""

    query: str
    type: str
    series: int
    by_service: Mapping[str, int]
    interval_s: float | None = None
    hour: Cost = Cost()
    day: Cost = Cost()
    run: Cost = Cost()


class Probe(Frozen):
    """What was asked and what was found. ``instead_of``: the hour of the GA day, where the server has nothing in it.
    ``total`` is of all queries, one after the other; ``together_s``: the seconds of a run that asks ``concurrency`` of
    them at once, and only once for what they share."""

    prometheus: str
    window: Window
    instead_of: Window | None
    queries: tuple[QueryProbe, ...]
    findings: tuple[Finding, ...]
    total: Cost
    together_s: float
    concurrency: int
