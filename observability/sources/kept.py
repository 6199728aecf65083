"""What is remembered of what was followed, between two windows and over a restart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from observability.model import Plan
from observability.sources import Memory
from observability.sources.answer import Labels, Rows
from observability.sources.counting import Mask, Past, day_steps
from observability.sources.roster import Roster

UNKNOWN = -1  # how many series a query had in a step that it was not answered for

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Kept:
    """``zero``: the start of step 0; ``next``: the first step that was not read, 0 before anything was; ``firing``: by
    query the alerts that were at the end; ``sizes``: by query how many series it had in the last step, or ``UNKNOWN``;
    ``scrapes``: by row the number of scrapes in the last step, None after a restart.
    """

    plan: Plan
    zero: datetime
    next: int
    roster: Roster
    past: Past
    firing: Mapping[str, frozenset[Labels]]
    sizes: Mapping[str, int]
    scrapes: Rows | None = None

    @classmethod
    def nothing(cls, plan: Plan, zero: datetime) -> Kept:
        return cls(plan, zero, 0, Roster(plan), Past.nothing(), {}, {})

    def has_fallen_silent(self) -> bool:
        """Whether a counted query had no series in the last step, and had some in the day before."""
        known = np.bincount(self.roster.tables.query[self._live()], minlength=len(self.roster.queries)) > 0
        return any(self.sizes[q.name] == 0 for q, is_known in zip(self.roster.queries, known, strict=True) if is_known)

    def without_forgotten(self) -> Kept:
        """Itself while most of its series have been seen within a day, else the same without the others."""
        return self if 2 * int(self._live().sum()) >= len(self.roster.series) else self.compacted()

    def _live(self) -> Mask:
        return self._past().at >= self.next - day_steps(self.plan.step_s)

    def _past(self) -> Past:
        """With room for what the roster got to know since, in a window that could not be read."""
        return self.past.copy(self.roster)

    def compacted(self) -> Kept:
        """The same without the series that nobody has seen for a day, the others in the order of their labels."""
        rows, past = self._ordered()
        roster = Roster.of(self.plan, [self.roster.series[row] for row in rows.tolist()])
        return replace(self, roster=roster, past=past, scrapes=None if self.scrapes is None else self.scrapes[rows])

    def _ordered(self) -> tuple[Rows, Past]:
        """The rows of the series that were seen within a day, in the order of their labels, and what is known of them,
        their targets and jobs: these are numbered as they come up, as a roster does it."""
        tables = self.roster.tables
        rows = np.argsort(tables.rank)
        rows = rows[self._live()[rows]]
        return rows, self._past().of(rows, _as_they_come(tables.target[rows]), _as_they_come(tables.job[rows]))

    def memory(self) -> Memory:
        """The same for the same samples, whatever the windows were."""
        rows, past = self._ordered()
        series: dict[str, list[Labels]] = {query.name: [] for query in self.roster.queries}
        for row in rows.tolist():
            query, labels = self.roster.series[row]
            series[self.roster.queries[query].name].append(labels)
        return {
            "zero": np.array([(self.zero - _EPOCH) // _MICROSECOND]),
            "next": np.array([self.next]),
            "series": _packed(series),
            "firing": _packed({name: sorted(alerts) for name, alerts in self.firing.items()}),
            "sizes": _packed(self.sizes),
            **vars(past),
        }

    @classmethod
    def of(cls, plan: Plan, memory: Memory) -> Kept:
        """From what ``memory`` returned for the same plan."""
        numbers = {
            query.name: number for number, query in enumerate(query for query in plan.queries if query.is_counted)
        }
        series = msgspec.json.decode(memory["series"].tobytes(), type=dict[str, list[Labels]])
        return cls(
            plan=plan,
            zero=_EPOCH + int(memory["zero"][0]) * _MICROSECOND,
            next=int(memory["next"][0]),
            roster=Roster.of(plan, [(numbers[name], labels) for name, found in series.items() for labels in found]),
            past=Past(**{field.name: memory[field.name] for field in fields(Past)}),
            firing=msgspec.json.decode(memory["firing"].tobytes(), type=dict[str, frozenset[Labels]]),
            sizes=msgspec.json.decode(memory["sizes"].tobytes(), type=dict[str, int]),
        )


def _as_they_come(numbers: Rows) -> Rows:
    """Each number once, in the order in which they first come up."""
    found, first = np.unique(numbers, return_index=True)
    return found[np.argsort(first)]


def _packed(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(msgspec.json.encode(value), dtype=np.uint8)
