"""The overall status and the advice: every reason that speaks against the release, with its figures and what to do.

| status | when | advice |
|---|---|---|
| CRITICAL | a severe real regression, a budget gone, a critical incident unresolved | roll back, or fix now |
| NEEDS ATTENTION | a real regression, an SLO that ends before its window, a high incident | fix forward |
| NEEDS ATTENTION | too little data to say | not assessable |
| STABLE | only drifts, degradations of single days, or "watch" | watch, or keep |
| EXCELLENT | none of these, and coverage of at least 95 % | keep |

The week before GA decides whether a regression is real; the GA day is part of the release and never vetoes. "Roll back"
is said only where the regression summary says it. Incidents are judged from the count of critical alerts; anomalies
inform and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from observability.artifacts import Regression, SloBurnDown, Status
from observability.model import LAST_DAY, Direction
from observability.units import format_value
from retrospective.changes import (
    DRIFT,
    INVESTIGATE,
    LARGE,
    baseline_name,
    by_family,
    change_percent,
    deciding,
    described,
    described_with,
    has_values,
    is_worse,
    label,
    size,
)
from retrospective.degradations import BUDGET_DAYS, degradations, still_firing
from retrospective.week import INCIDENTS, Week, family
from retrospective.wording import count, day_list, listed, sentence

Advice = Literal["roll back", "fix now", "fix forward", "not assessable", "watch", "keep"]
Priority = Literal["P0", "P1", "P2", "P3"]

STATUSES: tuple[Status, ...] = ("CRITICAL", "NEEDS ATTENTION", "STABLE", "EXCELLENT")
ADVICE: tuple[Advice, ...] = ("roll back", "fix now", "fix forward", "not assessable", "watch", "keep")
MIN_COVERAGE = 0.95


@dataclass(frozen=True)
class Reason:
    """One thing that speaks against EXCELLENT: what it makes of the status, the figures, and what to do about it."""

    status: Status
    advice: Advice
    evidence: str
    priority: Priority
    action: str
    done_when: str
    family: str

    @property
    def rank(self) -> tuple[int, int]:
        return STATUSES.index(self.status), ADVICE.index(self.advice)


@dataclass(frozen=True)
class Judgement:
    status: Status
    advice: Advice
    why: str
    reasons: tuple[Reason, ...]


def judge(week: Week) -> Judgement:
    """The worst reason decides; ``why`` is one sentence. Reasons come worst first."""
    found = [*_budgets(week), *_regressions(week), *_incidents(week), *_too_little(week), *_untested(week)]
    found += _to_watch(week, {reason.family for reason in found})
    reasons = tuple(sorted(found, key=lambda reason: reason.rank))
    status, advice = (reasons[0].status, reasons[0].advice) if reasons else ("EXCELLENT", "keep")
    return Judgement(status, advice, _why(week, advice, reasons), reasons)
