"""Where the samples of a release come from: a Prometheus server, or a recording of one. Both keep one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from observability.model import Plan, Samples, SourceInfo, Window

if TYPE_CHECKING:
    import numpy as np

Memory = dict[str, "np.ndarray[Any, Any]"]
"""Name → an array of numbers, or of bytes (uint8): what a checkpoint holds."""


class Source(Protocol):
    """Anything that can answer a plan."""

    def info(self, plan: Plan) -> SourceInfo:
        """What the artifacts say about where their samples came from; never with credentials."""

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        """Service → its samples, for each service of the plan. ``window`` is a whole number of the plan's steps.

        Raises ``SourceError`` when the source cannot be reached or understood, ``ConfigError`` when a query cannot be
        used as it is, and ``NotEnoughDataError`` when a recording does not hold the window.
        """

    def follow(self, plan: Plan, start: datetime) -> Follower:
        """The plan's samples from ``start`` on, window after window."""


@dataclass(frozen=True)
class Followed:
    """What a source had of a window: service → its samples.

    ``failed``: query → why it could not be used; its columns are missing. ``points``: how many samples were read.
    ``late``: how many of the step before had not been there when it was read; they count no more.
    """

    services: Mapping[str, Samples]
    failed: Mapping[str, str] = field(default_factory=dict)
    points: int = 0
    late: int = 0


class Follower(Protocol):
    """Reads windows one after the other, each beginning where the one before ended.

    What a step's samples are depends on what came before it and not on how the time was cut into windows: a counter's
    increase is counted from where it stood.
    """

    def read(self, window: Window) -> Followed:
        """The next window. If it raises, nothing was read, and the same window can be asked for again.

        Raises ``SourceError`` when the source cannot be reached or understood, or answers with old data.
        """

    def memory(self) -> Memory:
        """All that it remembers of what it has read."""

    def remember(self, memory: Memory) -> None:
        """Go on from what another follower of the same plan remembered."""
