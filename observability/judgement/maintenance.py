"""Maintenance windows: the steps that they leave out of a KPI's day, and the day's samples without them.

A step is left out where it overlaps a window. So is a step behind a window of which some may have been counted before
it ended: one in which a target is seen again that was not seen at the window's end. Other steps that nobody saw are not
left out; that they are missing is no maintenance. Where it is in doubt whether a gap reaches into a window, its counts
stay in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from observability.definitions import Kind, Kpi, Maintenance
from observability.kpi import observed_share
from observability.model import Array, Samples

ALL_MAINTENANCE = "the whole day is maintenance"  # the note of a KPI without any step that counts

Steps = np.ndarray[tuple[int], np.dtype[np.bool_]]

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
        for window in windows:
            stop = _stop(samples, window)
            if 0 < stop < samples.steps:
                steps |= _late(kpi, samples, stop)
            elif stop == 0 and samples.window.start - window.end < samples.window.end - samples.window.start:
                steps |= _late_from_before(kpi, samples)
    return steps


def taken(kpis: Iterable[Kpi], samples: Samples, window: Maintenance) -> Steps:
    """The steps that the window leaves out of any of the KPIs, shape (steps,)."""
    steps = overlapped(samples, [window])
    for kpi in kpis:
        steps |= left_out(kpi, samples, [window])
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


def _late(kpi: Kpi, samples: Samples, stop: int) -> Steps:
    """The steps from ``stop`` on, the first behind a window, that bring what may have been counted in it.

    Where nothing was seen in the window's last step, the first step with data does. Else targets that were not seen
    then return where more are seen than in any step since, and counts say that they came together (``earlier``). Once
    as many are seen as ever before the window's end, all are back.
    """
    share, unseen = observed_share(kpi, samples), np.isnan(_total(kpi, samples))
    came = _came_together(kpi, samples)
    late = np.zeros(share.size, dtype=np.bool_)
    most, is_dark, before = float(share[stop - 1]), unseen[stop - 1], float(share[:stop].max()) or 1.0
    for step in range(stop, share.size):
        if most >= before:
            break
        late[step] = (is_dark and not unseen[step]) or (came[step] and share[step] > most)
        most, is_dark = max(most, share[step]), is_dark and unseen[step]
    return late


def _late_from_before(kpi: Kpi, samples: Samples) -> Steps:
    """The steps that bring what was counted nobody knows when before the samples' start, as targets return."""
    share = observed_share(kpi, samples)
    most = np.maximum.accumulate(np.concatenate([[0.0], share]))[:-1]
    unknown = [np.isnan(values) for values in _earlier(samples)]
    return np.any(unknown, axis=0) & (share > most) if unknown else np.zeros(share.size, dtype=np.bool_)


def _total(kpi: Kpi, samples: Samples) -> Array:
    """All that the KPI counts, NaN in steps in which nothing was seen."""
    name = f"{kpi.query}.le.+Inf" if kpi.kind is Kind.QUANTILE else str(kpi.denominator or kpi.query)
    return samples.columns.get(name, np.full(samples.steps, np.nan))


def _came_together(kpi: Kpi, samples: Samples) -> Steps:
    """The steps in which some of the counts came together in a scrape gap, shape (steps,).

    Buckets do not say so; but a target is scraped with all of its series, so any counter tells for them. Where none
    does, any step may be one.
    """
    gaps = [values != 0 for values in _earlier(samples)]  # NaN, not known, is not 0
    return np.any(gaps, axis=0) if gaps else np.full(samples.steps, kpi.kind is Kind.QUANTILE)


def _earlier(samples: Samples) -> list[Array]:
    return [values for name, values in samples.columns.items() if name.endswith(".earlier")]


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
