"""Which counter series are being followed, and what each of them stands for: numbers in place of labels. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from observability.model import Plan
from observability.sources.answer import Labels, Rows
from observability.sources.sightings import Target, target_of

Column = tuple[int, str | None, str | None]
"""Query, bound for buckets, and service; None for series that concern all services."""
Job = tuple[str | None, str | None]
"""Service and job."""
OTHER = -1  # the row of a series that concerns none of the plan's services

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Tables:
    """What each row stands for, as numbers from 0 on, each of shape (rows,).

    ``measure``: job, query, name and bucket. ``meter``: target and query. ``rank``: the row's place in the order of the
    labels, which sums are taken in. ``job_of_meter``, ``job_of_target``, ``kind`` (of a meter: 0 for counters and 1 for
    buckets), ``target_of_meter``, and ``has_instance`` (of a target) say more of the numbers.
    """

    query: Rows
    target: Rows
    job: Rows
    column: Rows
    measure: Rows
    meter: Rows
    rank: Rows
    job_of_target: Rows
    target_of_meter: Rows
    job_of_meter: Rows
    kind: Rows
    has_instance: NDArray[np.bool_]


class Roster:
    """The rows of the counter series that have been met, and their targets, jobs and columns. It only grows; ``of``
    makes a new one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.queries = [query for query in plan.queries if query.is_counted]
        self._services = set(plan.services)
        self._rows: list[dict[Labels, int]] = [{} for _ in self.queries]
        self.series: list[tuple[int, Labels]] = []
        self._new: list[tuple[int, ...]] = []  # numbers of the rows that ``_known`` does not have yet
        self._known = np.zeros((6, 0), dtype=np.intp)
        self._order: list[int] = []
        self.targets: dict[Target, int] = {}
        self.jobs: dict[Job, int] = {}
        self.columns: dict[Column, int] = {}
        self._measures: dict[Hashable, int] = {}
        self._meters: dict[tuple[int, int], int] = {}
        self._tables: Tables | None = None

    @classmethod
    def of(cls, plan: Plan, series: Iterable[tuple[int, Labels]]) -> Roster:
        """Of these series alone, their rows in this order. Each is the number of a counted query, and labels."""
        roster = cls(plan)
        for query, labels in series:
            roster.row(query, labels)
        return roster

    def row(self, query: int, labels: Labels) -> int:
        """The row of a series of the query (a number), which may be new."""
        found = self._rows[query].get(labels)
        if found is not None:
            return found
        names = dict(labels)
        service = names.get(self._plan.service_label or "")
        if service is not None and service not in self._services:
            return OTHER
        self._new.append(self._numbered(query, names, service))
        self.series.append((query, labels))
        self._rows[query][labels] = row = len(self.series) - 1
        self._tables = None
        return row

    def _numbered(self, query: int, names: dict[str, str], service: str | None) -> tuple[int, ...]:
        target = target_of(names, self._plan)
        target_number, job = _number(self.targets, target), _number(self.jobs, target[:2])
        upper = names["le"] if self.queries[query].type == "buckets" else None
        return (
            query,
            target_number,
            job,
            _number(self.columns, (query, upper, service)),
            _number(self._measures, (job, query, names.get("__name__"), names.get("le"))),
            _number(self._meters, (target_number, query)),
        )

    @property
    def tables(self) -> Tables:
        if self._tables is None:
            self._tables = self._made()
        return self._tables

    def _made(self) -> Tables:
        query, target, job, column, measure, meter = self._of_rows()
        job_of_target = np.array([self.jobs[target[:2]] for target in self.targets], dtype=np.intp)
        meters = np.array(list(self._meters), dtype=np.intp).reshape(-1, 2)
        is_buckets = np.array([query.type == "buckets" for query in self.queries], dtype=np.intp)
        return Tables(
            query=query,
            target=target,
            job=job,
            column=column,
            measure=measure,
            meter=meter,
            rank=self._rank(),
            job_of_target=job_of_target,
            target_of_meter=meters[:, 0],
            job_of_meter=job_of_target[meters[:, 0]],
            kind=is_buckets[meters[:, 1]],
            has_instance=np.array([target[2] is not None for target in self.targets], dtype=np.bool_),
        )

    def _of_rows(self) -> NDArray[np.intp]:
        """Query, target, job, column, measure and meter, shape (6, rows)."""
        new = np.array(self._new, dtype=np.intp).reshape(-1, 6).T
        self._new, self._known = [], np.concatenate([self._known, new], axis=1)
        return self._known

    def _rank(self) -> Rows:
        """Sorting is fast where only a few are new: the others are in order."""
        self._order += range(len(self._order), len(self.series))
        self._order.sort(key=self.series.__getitem__)
        rank = np.empty(len(self._order), dtype=np.intp)
        rank[self._order] = np.arange(rank.size)
        return rank


def _number(numbers: dict[Key, int], key: Key) -> int:
    return numbers.setdefault(key, len(numbers))
