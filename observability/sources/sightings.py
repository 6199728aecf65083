"""In which steps each target was seen, as far as its counters tell: what the coverage of counts rests on.

A target is expected from the first step in which it is seen, or from the window's start where it was known before, up
to the step after the one in which it is seen last. It is seen whole in a step in which it was seen and not restarted.
So the two places at which counts are lost for good lower the coverage: between the last scrape and a restart, and
between the last scrape and the end of a target. What a gap without a restart hid arrives after it (``counters``, rule
5); the gap is not seen all the same. A target that is gone and one that is no longer needed look alike: neither is
expected any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.model import Plan
from observability.sources.answer import Answer
from observability.sources.origins import Target, target_of

Steps = NDArray[np.bool_]


@dataclass(frozen=True)
class Sighting:
    """Of one target, for each step of the window, shape (steps,): whether it was expected, seen at all, seen whole."""

    expected: Steps
    any: Steps
    whole: Steps


def sightings(plan: Plan, counted: Sequence[Answer]) -> dict[Target, Sighting]:
    """Target → when it was seen, by all of its counters together."""
    rows: dict[Target, list[tuple[Answer, int]]] = {}
    for answer in counted:
        for row, labels in enumerate(answer.labels):
            rows.setdefault(target_of(labels, plan), []).append((answer, row))
    return {target: _sighting(members) for target, members in rows.items()}


def _sighting(members: Sequence[tuple[Answer, int]]) -> Sighting:
    lead = members[0][0].lead
    seen = np.any([~np.isnan(answer.values[row]) for answer, row in members], axis=0)
    reset = np.any([answer.resets[row] for answer, row in members], axis=0)
    known = any(not np.isnan(answer.before[row]) for answer, row in members)
    expected = np.zeros(seen.size, dtype=np.bool_)
    steps = np.flatnonzero(seen)
    if steps.size:
        expected[0 if known else steps[0] : steps[-1] + 2] = True
    return Sighting(expected[lead:], seen[lead:], (seen & ~reset)[lead:])
