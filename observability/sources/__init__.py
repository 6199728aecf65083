"""Where the samples of a release come from: a Prometheus server, or a recording of one. Both keep one protocol."""

from __future__ import annotations

from typing import Protocol

from observability.model import Plan, Samples, SourceInfo, Window


class Source(Protocol):
    """Anything that can answer a plan."""

    def info(self, plan: Plan) -> SourceInfo:
        """What the artifacts say about where their samples came from; never with credentials."""

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        """Service → its samples, for each service of the plan. ``window`` is a whole number of the plan's steps.

        Raises ``SourceError`` when the source cannot be reached or understood, ``ConfigError`` when a query cannot be
        used as it is, and ``NotEnoughDataError`` when a recording does not hold the window.
        """
