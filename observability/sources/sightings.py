"""In which steps each target was seen, as far as its counters tell: what the coverage of counts rests on.

A target is expected from the first step in which it is seen, or from the window's start where it was known before, up
to the step after the one in which it is seen last; and wherever the server says that it could not be scraped (``up`` is
0), for a day after it was last seen. It is seen whole in a step in which it was seen, scraped whenever it should, and
not restarted. So the places at which counts are lost for good lower the coverage: between the last scrape and a
restart, and between the last scrape and the end of a target. What a gap without a restart hid arrives after it
(``counters``, rule 5); the gap is not seen all the same. A target that is gone without ``up`` being 0, or for longer,
is no longer expected: nobody needs it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.model import Plan
from observability.sources.answer import Answer

Target = tuple[str | None, str | None, str | None]
"""Service, job and instance."""

Steps = NDArray[np.bool_]


@dataclass(frozen=True)
class Sighting:
    """Of one target, for each step of the window, shape (steps,): whether it was expected, seen at all, seen whole."""

    expected: Steps
    any: Steps
    whole: Steps


@dataclass(frozen=True)
class Sightings:
    """All targets of the counted answers, ``targets``; ``of`` has the position of each series' target by query.

    ``seen`` and ``reset``: in which steps of the grid any of a target's counters was seen, or reset, shape (targets,
    lead + steps). ``known``: which targets were seen before the grid, shape (targets,).
    """

    targets: Sequence[Target]
    of: Mapping[str, NDArray[np.intp]]
    seen: Steps
    reset: Steps
    known: Steps
    lead: int

    def by_target(self, down: Mapping[tuple[str | None, str | None], Steps]) -> dict[Target, Sighting]:
        """Target → when it was seen. ``down``: job and instance → in which steps of the window ``up`` was 0."""
        return {target: self._sighting(number, down.get(target[1:])) for number, target in enumerate(self.targets)}

    def _sighting(self, number: int, down: Steps | None) -> Sighting:
        seen, steps = self.seen[number], np.flatnonzero(self.seen[number])
        expected = np.zeros(seen.size, dtype=np.bool_)
        if steps.size:
            expected[0 if self.known[number] else steps[0] : steps[-1] + 2] = True
        expected, whole = expected[self.lead :], (seen & ~self.reset[number])[self.lead :]
        if down is not None:
            expected, whole = expected | down, whole & ~down
        return Sighting(expected, seen[self.lead :], whole)


def target_of(labels: Mapping[str, str], plan: Plan) -> Target:
    return labels.get(plan.service_label or ""), labels.get("job"), labels.get("instance")


def sightings(plan: Plan, counted: Sequence[Answer]) -> Sightings:
    """When the targets of the counted answers were seen, by all of their counters together."""
    numbers: dict[Target, int] = {}
    of = {
        answer.query.name: np.fromiter(
            (numbers.setdefault(target_of(labels, plan), len(numbers)) for labels in answer.labels), np.intp
        )
        for answer in counted
    }
    shape = (len(numbers), counted[0].values.shape[1] if counted else 0)
    seen, reset, known = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_), np.zeros(len(numbers), np.bool_)
    for answer in counted:
        rows = of[answer.query.name]
        np.logical_or.at(seen, rows, ~np.isnan(answer.values))
        reset[rows[answer.resets.rows], answer.resets.steps] = True
        np.logical_or.at(known, rows, ~np.isnan(answer.before))
    return Sightings(list(numbers), of, seen, reset, known, counted[0].lead if counted else 0)


def outages(up: Answer | None) -> dict[tuple[str | None, str | None], Steps]:
    """Job and instance → in which steps ``up`` was 0, from the answer to ``up == 0``."""
    if up is None:
        return {}
    keys = [(labels.get("job"), labels.get("instance")) for labels in up.labels]
    return {key: ~np.isnan(up.values[row]) for row, key in enumerate(keys)}
