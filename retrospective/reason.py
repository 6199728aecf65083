"""One reason against the release: the unit that status, advice, recommendations and action items are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from observability.artifacts import Status

Advice = Literal["roll back", "fix now", "fix forward", "not assessable", "watch", "keep"]
Priority = Literal["P0", "P1", "P2", "P3"]


DAYS = "days"  # the family of the reason that days are missing


@dataclass(frozen=True)
class Reason:
    """One thing that speaks against EXCELLENT. ``done_when`` can be checked on the next week's artifacts."""

    status: Status
    advice: Advice
    priority: Priority
    family: str
    evidence: str
    action: str
    done_when: str
    is_of_summary: bool = False  # the regression summary has judged the same, and its advice goes before
