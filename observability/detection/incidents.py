"""Incidents: the joint evidence of a service's KPIs, put together as it arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.definitions import Release
from observability.detection.episodes import Block, Steps, Subject
from observability.events import Incident


class Incidents:
    def __init__(self, release: Release, subjects: Sequence[Subject], steps: Steps, first: int) -> None: ...

    def take(self, block: Block, times: NDArray[np.float64]) -> list[tuple[int, int, Incident]]:
        return []

    def ongoing(self) -> list[Incident]:
        return []

    def memory(self) -> dict[str, NDArray[Any]]:
        return {}

    def remember(self, memory: Mapping[str, NDArray[Any]]) -> None: ...
