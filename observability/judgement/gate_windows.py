"""One KPI's windows for the gate: the release's minutes, those before them, and the same clock time of earlier days."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from observability import kpi as kpis
from observability.artifacts import KpiSummary
from observability.definitions import Direction, Kind, Kpi, Release
from observability.judgement.kpi_summary import summarise_kpi
from observability.judgement.maintenance import left_out, without
from observability.judgement.placebos import Contrast, Floats, contrast, offsets
from observability.kpi import Counts
from observability.model import Samples, query_of

MIN_COVERAGE = 0.5  # a window of which less was seen is not compared
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class Clock:
    """Samples, and the step in them at which the clock shows the time of the release."""

    samples: Samples
    zero: int


@dataclass(frozen=True)
class History:
    """What the gate judges of one service: ``steps`` from ``since`` on, in ``recent``, which goes back a day and the
    margin. ``earlier``: so many days back → the same clock time with the margin on both sides."""

    service: str
    since: datetime
    steps: int
    margin: int
    recent: Clock
    earlier: Mapping[int, Clock]


def margin(release: Release, steps: int) -> int:
    """How many steps around the clock time are looked at on earlier days: an hour, or the window where that is
    longer."""
    return max(steps, int(release.day / HOURS_PER_DAY / release.step))


class Folded:
    """One KPI over one stretch: its value, or its counts, in any window. Steps in maintenance are not seen."""

    def __init__(self, release: Release, kpi: Kpi, clock: Clock) -> None:
        samples, windows = clock.samples, release.maintenance_of(clock.samples.service)
        self._kpi, self._zero, self._prices = kpi, clock.zero, release.prices
        steps = left_out(kpi, samples, windows)
        if steps.any():
            samples = without(kpi, samples, windows, steps)
        if kpi.kind is not Kind.COST:
            own = {name: column for name, column in samples.columns.items() if query_of(name) in kpi.operands}
            samples = replace(samples, columns=own)
        self._samples = samples
        self._counts = kpis.step_counts(kpi, samples)
        self.steps = kpis.step_values(kpi, samples, release.prices, self._counts)
        self._seen = kpis.observed_share(kpi, samples, release.prices)

    def value(self, offset: int, steps: int) -> float:
        """The KPI, or of a ratio the share of bad events in per cent; NaN for no data."""
        start, stop = self._zero + offset, self._zero + offset + steps
        if start < 0 or stop > self._seen.size or self._seen[start:stop].mean() < MIN_COVERAGE:
            return math.nan
        if self._kpi.kind is Kind.RATIO:
            bad, total = self.counts(offset, steps)
            return 100.0 * bad / total if total > 0 else math.nan
        counts = None if self._counts is None else Counts(self._counts.rows[:, start:stop], self._counts.bounds)
        return float(kpis.folded(self._kpi, self._samples, self.steps[start:stop], counts, 1).values[0])

    def counts(self, offset: int, steps: int) -> tuple[float, float]:
        """Bad and all events of a ratio."""
        start, stop = max(self._zero + offset, 0), max(self._zero + offset + steps, 0)
        assert self._counts is not None  # a ratio comes from counts
        numerator, denominator = np.nansum(self._counts.rows[:, start:stop], axis=1).tolist()
        is_bad = self._kpi.complement != (self._kpi.direction is Direction.LOWER_IS_BETTER)
        return (numerator if is_bad else denominator - numerator), denominator

    def summary(self, offset: int, steps: int) -> KpiSummary:
        """Of a window that lies within the stretch."""
        start, stop = self._zero + offset, self._zero + offset + steps
        return summarise_kpi(self._kpi, kpis.part(self._samples, start, stop), self._prices)

    def paired(self, steps: int) -> Floats:
        """The KPI's value at each step from the clock time of the release on, NaN where there is none."""
        found = np.full(steps, np.nan)
        known = self.steps[max(self._zero, 0) : max(self._zero + steps, 0)]
        found[: known.size] = known
        return found


class Windows:
    """One KPI of one service. Values of ratios are shares of bad events in per cent."""

    def __init__(self, release: Release, kpi: Kpi, history: History) -> None:
        self.kpi, self.steps = kpi, history.steps
        self._recent = Folded(release, kpi, history.recent)
        self._earlier = [Folded(release, kpi, clock) for _, clock in sorted(history.earlier.items())]
        self._offsets = offsets(history.steps, history.margin)
        self._at = self._offsets.index(0)

    @property
    def is_share(self) -> bool:
        return self.kpi.kind is Kind.RATIO

    @cached_property
    def now(self) -> float:
        return self._recent.value(0, self.steps)

    @cached_property
    def before(self) -> float:
        """In the window just before the release."""
        return self._recent.value(-self.steps, self.steps)

    @cached_property
    def summary(self) -> KpiSummary:
        return self._recent.summary(0, self.steps)

    @cached_property
    def summary_before(self) -> KpiSummary:
        return self._recent.summary(-self.steps, self.steps)

    def last(self, steps: int) -> KpiSummary:
        """The last steps of the window alone."""
        return self._recent.summary(self.steps - steps, steps)

    @cached_property
    def days(self) -> Floats:
        """The earlier days' values, shape (days, offsets), NaN for no data."""
        rows = [[day.value(offset, self.steps) for offset in self._offsets] for day in self._earlier]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self._offsets))

    @cached_property
    def known_days(self) -> int:
        return int((~np.isnan(self.days[:, self._at])).sum())

    @cached_property
    def usual(self) -> float:
        """The earlier days' value at the same clock time: of a share from their counts, else their mean, which is
        the geometric one where changes are ratios."""
        if self.is_share:
            bad, total = self.counts_of_days
            return 100.0 * bad / total if total > 0 else math.nan
        if not self.known_days:
            return math.nan
        same = self.days[~np.isnan(self.days[:, self._at]), self._at]
        return math.exp(np.log(same).mean()) if self.is_log else float(same.mean())

    @property
    def counts(self) -> tuple[float, float]:
        return self._recent.counts(0, self.steps)

    @property
    def counts_of_days(self) -> tuple[float, float]:
        """Bad and all events of the same clock time, of all earlier days with data."""
        known = zip(self._earlier, ~np.isnan(self.days[:, self._at]), strict=True)
        found = [day.counts(0, self.steps) for day, is_known in known if is_known]
        return math.fsum(bad for bad, _ in found), math.fsum(total for _, total in found)

    @cached_property
    def is_log(self) -> bool:
        """Whether changes are ratios: no value is 0 or negative."""
        known = np.append(self.days[~np.isnan(self.days)], [v for v in (self.now, self.before) if not math.isnan(v)])
        return not self.is_share and bool((known > 0).all())

    @cached_property
    def contrast(self) -> Contrast | None:
        """Now against the earlier days: of a share in percentage points, else as logarithms, or where a value is 0 or
        negative in parts of the usual value. None without enough data."""
        if math.isnan(self.now) or not self.known_days:
            return None
        if self.is_share:
            return contrast(self.now, self.days, self._at, self._off(self._windows_of_the_day_before))
        if self.is_log:
            return contrast(math.log(self.now), np.log(self.days), self._at)
        size = abs(self.usual)
        return contrast(self.now / size, self.days / size, self._at) if size > 0 else None

    def relative(self, value: float) -> float:
        """A contrast in its own unit (not of a share) as a relative change."""
        return math.expm1(value) if self.is_log else value

    @cached_property
    def late(self) -> float:
        """What the second half of the window shows: of a share its change in percentage points, else the median of the
        steps' relative changes against the same minutes of the earlier days. NaN without data."""
        first = self.steps // 2
        if self.is_share:
            bad, total = self._recent.counts(first, self.steps - first)
            return 100.0 * bad / total - self.usual if total > 0 else math.nan
        days = np.stack([day.paired(self.steps) for day in self._earlier])
        is_known = ~np.isnan(days)
        usual = np.where(is_known, days, 0.0).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            changes = ((self._recent.paired(self.steps) - usual) / np.abs(usual))[first:]
        changes = changes[np.isfinite(changes)]
        return float(np.median(changes)) if changes.size else math.nan

    @cached_property
    def neighbours(self) -> Floats:
        """What two windows of the day before, one right after the other, differ by: relative changes, of a share
        percentage points."""
        values = self._windows_of_the_day_before
        return np.array([self.between(a, b) for a, b in itertools.pairwise(values) if a == a and b == b])

    def between(self, one: float, other: float) -> float:
        """From one window's value to the other's: relative, infinite from 0; of a share in percentage points."""
        if self.is_share:
            return other - one
        if one == other:
            return 0.0
        return (other - one) / abs(one) if one != 0 else math.copysign(math.inf, other - one)

    @cached_property
    def _windows_of_the_day_before(self) -> list[float]:
        """One after the other, in the order of time, up to the release."""
        count = (self._recent.steps.size - self.steps) // self.steps
        return [self._recent.value(-n * self.steps, self.steps) for n in range(count, 0, -1)]

    @staticmethod
    def _off(values: Sequence[float]) -> list[float]:
        known = [value for value in values if not math.isnan(value)]
        return [value - math.fsum(known) / len(known) for value in known]
