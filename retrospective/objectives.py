"""Objectives day by day: what was counted, how fast the budget burned, which day was the worst."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from observability.artifacts import DaySummary
from observability.verdicts import SloBurnDown


def limit(target: float, unit: str, counts_bad: bool) -> str:
    """An objective as it was set, without rounding: ``at least 99 % within 500 ms``."""
    return f"at {'most' if counts_bad else 'least'} {target:g} {unit}"


@dataclass(frozen=True)
class ObjectiveDay:
    """One day of an objective; None where it could not be counted."""

    compliant: bool | None
    value: float | None
    bad: float | None
    total: float | None


@dataclass(frozen=True)
class ObjectiveWeek:
    """One objective, day by day. ``budget`` is the share of bad events that it allows, in per cent."""

    name: str
    kpi: str
    target: float
    budget: float
    unit: str
    counts_bad: bool
    days: Mapping[int, ObjectiveDay]

    @property
    def limit(self) -> str:
        """The objective in words: ``at least 99.9 %``, ``at most 0.1 %``."""
        return limit(self.target, self.unit, self.counts_bad)

    def burn(self, day: int) -> float | None:
        """The day's bad events over those that its budget allows; None without events."""
        found = self.days.get(day)
        if found is None or found.bad is None or found.total is None or found.total <= 0:
            return None
        return found.bad / (self.budget / 100 * found.total)

    def worst(self, days: Sequence[int]) -> int:
        """The day whose value is furthest on the bad side; of equal ones the first."""
        values = {day: self.days[day].value for day in days}
        badness = {day: -math.inf if v is None else v if self.counts_bad else -v for day, v in values.items()}
        return max(days, key=lambda day: (badness[day], -day))

    @property
    def over_all_days(self) -> tuple[float, float] | None:
        """Bad events and all events of the days that were counted; None without events."""
        counted = [(day.bad, day.total) for day in self.days.values() if day.bad is not None and day.total is not None]
        total = math.fsum(total for _, total in counted)
        return (math.fsum(bad for bad, _ in counted), total) if total > 0 else None


def counted(name: str, days: Sequence[DaySummary]) -> ObjectiveWeek:
    """The days' events of one objective."""
    found = {day.day_number: slo for day in days for slo in day.slos if slo.slo_name == name}
    first = next(iter(found.values()))
    by_day = {n: ObjectiveDay(slo.compliant, slo.value, slo.bad, slo.total) for n, slo in found.items()}
    return ObjectiveWeek(name, first.kpi, first.target, first.budget, first.unit, first.counts_bad, by_day)


def from_burn_down(slo: SloBurnDown) -> ObjectiveWeek:
    """The days of a burn-down, in files whose summaries hold no events."""
    days = {day.day: ObjectiveDay(day.compliant, day.value, None, None) for day in slo.compliance_by_day}
    return ObjectiveWeek(
        slo.slo_name, slo.kpi or slo.slo_name, slo.target, slo.budget, slo.unit, slo.target == slo.budget, days
    )
