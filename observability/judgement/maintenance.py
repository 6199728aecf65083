"""Maintenance windows: the steps that they leave out of a KPI's day, and the day's samples without them.

A step is left out where it overlaps a window. So is a step behind a window of which some may have been counted before
it ended: the first one in which a target is seen again that was not seen at the window's end. Other steps that nobody
saw are not left out; that they are missing is no maintenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from observability.definitions import Kind, Kpi, Maintenance
from observability.kpi import observed_share
from observability.model import Array, Samples

ALL_MAINTENANCE = "the whole day is maintenance"  # the note of a KPI without any step that counts

Steps = np.ndarray[tuple[int], np.dtype[np.bool_]]

LOOK_BACK = timedelta(days=1)  # how long ago a counter may last have been seen, so that its increase is still known
COUNTED = frozenset({Kind.RATE, Kind.RATIO, Kind.QUANTILE})


def overlapped(samples: Samples, windows: Sequence[Maintenance]) -> Steps:
    """The steps that overlap a window, shape (steps,)."""
    steps = np.zeros(samples.steps, dtype=np.bool_)
    for window in windows:
        first = (window.start - samples.window.start) // timedelta(seconds=samples.step_s)
        steps[max(first, 0) : _stop(samples, window)] = True
    return steps


def left_out(kpi: Kpi, samples: Samples, windows: Sequence[Maintenance]) -> Steps:
    """The steps that do not count for the KPI, shape (steps,). Cost has none: money is spent during maintenance too."""
    if kpi.kind is Kind.COST:
        return np.zeros(samples.steps, dtype=np.bool_)
    steps = overlapped(samples, windows)
    if kpi.kind in COUNTED:
        share = observed_share(kpi, samples)
        for window in windows:
            if samples.window.start - window.end < LOOK_BACK:
                steps |= _late(samples, share, _stop(samples, window))
    return steps


def without(kpi: Kpi, samples: Samples, windows: Sequence[Maintenance], steps: Steps) -> Samples:
    """The samples as if nothing had been seen in ``steps``, those that the windows leave out of the KPI."""
    columns = dict(samples.columns)
    if kpi.kind is Kind.INCIDENTS and kpi.query in columns:
        columns[f"{kpi.query}.started"] = _begun(kpi, samples, windows)
    return replace(samples, columns={name: np.where(steps, np.nan, values) for name, values in columns.items()})


def _stop(samples: Samples, window: Maintenance) -> int:
    """The first step behind the window: 0 for a window that ended before the samples."""
    return max(-((samples.window.start - window.end) // timedelta(seconds=samples.step_s)), 0)


def _late(samples: Samples, share: Array, stop: int) -> Steps:
    """The steps from ``stop`` on in which targets are seen again that were not seen whole since the step before it.

    What came together in a scrape gap says so in ``earlier``. Buckets do not; but a target is scraped with all of its
    series, so any counter tells for them. The search ends with the first step in which all targets were seen whole.
    """
    gaps = [values != 0 for name, values in samples.columns.items() if name.endswith(".earlier")]
    arrived = np.any(gaps, axis=0) if gaps else np.zeros(share.size, dtype=np.bool_)  # NaN, not known, is not 0
    late = np.zeros(share.size, dtype=np.bool_)
    for step in range(stop, share.size):
        before = share[step - 1] if step > 0 else 0.0
        late[step] = arrived[step] or (step > 0 and share[step] > before)
        if before >= 1 or share[step] >= 1:
            break
    return late


def _begun(kpi: Kpi, samples: Samples, windows: Sequence[Maintenance]) -> Array:
    """How many runs of the alert begin in each step, shape (steps,): of those that began in a window and go on after
    it, at its end. Where one that began before it may have ended instead, it counts as well."""
    firing, started = samples.columns[str(kpi.query)], samples.columns[f"{kpi.query}.started"].copy()
    hidden = 0.0
    for step, inside in enumerate(overlapped(samples, windows)):
        if inside:
            hidden += started[step]
        elif hidden > 0:
            started[step] += min(hidden, firing[step] - started[step])
            hidden = 0.0
    return started
