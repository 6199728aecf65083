"""One KPI at the gate against the earlier days: is it worse, and could that have been seen?

A change is *real* if t against the scatter of the earlier days gives p ≤ .02, adjusted for all KPIs of the service, if
it stands out of all placebos, and if it is beyond 10 % (of a share of events: beyond the floor in percentage points,
and in an exact test on the counts too). It *fails the gate* if besides it is beyond 30 % for the worse (of errors and
availability: any real one) and the second half of the window shows it. It *passes* only where the 98 % interval
excludes a worsening that would fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from scipy import special

from observability.artifacts import SHARE_FLOOR
from observability.definitions import Direction
from observability.judgement.exact import compare_rates
from observability.judgement.gate_windows import Windows
from observability.judgement.load import NEAR_LOAD, SAME_LOAD, dependence
from observability.judgement.placebos import FEWEST_PLACEBOS, LEVEL, ONE_SIDE, Contrast
from observability.judgement.summary import same_buckets
from observability.units import format_value
from observability.verdicts import Basis

REAL_CHANGE, SEVERE_CHANGE = 0.10, 0.30
PAGE_BURN = 14.4  # of a 30-day budget: 2 % of it in an hour (SRE workbook, "Alerting on SLOs")
ERRORS = frozenset({"availability", "errors"})
LAST_BIT = 1 - 1e-9


@dataclass(frozen=True)
class Reading:
    """One way to read a change: as measured, or per request."""

    basis: Basis
    contrast: Contrast


@dataclass(frozen=True)
class Comparison:
    """One KPI against the earlier days. ``load``: the traffic against theirs, None where it is not known; ``budget``:
    the tightest error budget on the KPI's events, in percentage points."""

    windows: Windows
    load: float | None
    budget: float | None

    @cached_property
    def readings(self) -> list[Reading]:
        """From the least to the most for the worse. Where the traffic moved by more than 10 %, a KPI that grows with it
        may be a fixed base or so much per request, and minutes cannot tell which."""
        found = self.windows.contrast
        if found is None:
            return []
        readings = [Reading("as measured", found)]
        if self._shift is not None and self._depends == "in proportion" and self.windows.is_log:
            readings.append(Reading("per request", found._replace(value=found.value - self._shift)))
        return sorted(readings, key=lambda reading: self.harm(reading.contrast.value))

    @cached_property
    def chosen(self) -> Reading | None:
        """The reading with the smallest change, which is judged: nothing is a change that the traffic can explain."""
        return min(self.readings, key=lambda reading: abs(reading.contrast.value), default=None)

    @property
    def p(self) -> float | None:
        """Of no change; None where nothing was tested. Of a share, the counts must differ in the exact test too, which
        works from 0 as well."""
        if self.chosen is None:
            return None
        p = self.chosen.contrast.p
        if not self.windows.is_share:
            return p
        (bad, total), (bad_before, total_before) = self.windows.counts, self.windows.counts_of_days
        return max(p, compare_rates(bad_before, total_before, bad, total).p)

    @property
    def value(self) -> float:
        """The change in the contrast's unit; NaN where there is none."""
        return math.nan if self.chosen is None else self.chosen.contrast.value

    @property
    def floor(self) -> float:
        """Percentage points by which a share must move to have moved."""
        return min(SHARE_FLOOR, math.inf if self.budget is None else self.budget / 2)

    @property
    def is_worse(self) -> bool:
        return self.harm(self.value) > 0

    @property
    def change(self) -> float | None:
        """Relative change; None where there is none, or from a share of 0."""
        if self.chosen is None:
            return None
        if not self.windows.is_share:
            return self.windows.relative(self.value)
        return self.value / self.windows.usual if self.windows.usual > 0 else None

    @property
    def is_large(self) -> bool:
        """Beyond 10 %, and beyond the floor."""
        return self.is_beyond(REAL_CHANGE)

    @property
    def is_severe(self) -> bool:
        """Large enough to fail: beyond 30 %, or errors."""
        counts = self.windows.is_share and self.windows.kpi.category in ERRORS
        return self.is_beyond(REAL_CHANGE if counts else SEVERE_CHANGE)

    def is_beyond(self, size: float) -> bool:
        """Whether the change is larger than this, relative, and beyond the floor; any change from 0 is."""
        if self.chosen is None or (self.windows.is_share and abs(self.value) < self.floor * LAST_BIT):
            return False
        return self.change is None or abs(self.change) > size

    def is_real(self, p_adjusted: float | None) -> bool | None:
        """None where no test was made."""
        if p_adjusted is None or self.chosen is None or not self.chosen.contrast.has_enough:
            return None
        return p_adjusted <= 1 - LEVEL and self.is_large and self.chosen.contrast.stands_out

    @property
    def persists(self) -> bool:
        """Whether the second half of the window shows a change of the same direction that is large."""
        late, least = self.windows.late, self.floor * LAST_BIT if self.windows.is_share else REAL_CHANGE
        return bool(late * self.value > 0 and abs(late) >= least)  # NaN is neither

    @cached_property
    def obstacle(self) -> str | None:
        """What keeps the KPI from being judged."""
        found, now = self.windows, self.windows.summary
        if not same_buckets(now, found.summary_before):
            return "the histogram's buckets changed, so its quantiles do not compare"
        if now.at_least and not (self.is_worse and self.is_severe):
            bound = format_value(now.value, now.unit)
            return f"it lies beyond the last bucket bound of {bound}, so nobody knows how high"
        if found.usual == 0 and not found.is_share and not found.is_log and found.now != 0:
            return "a baseline of 0 does not say how much is much"
        if self.chosen is None or not self.chosen.contrast.has_enough:
            return f"{self._days_with_data} data of it, and {FEWEST_PLACEBOS} windows without a release are needed"
        return self._load_obstacle

    @property
    def _days_with_data(self) -> str:
        days = self.windows.known_days
        return f"only {days} of the earlier days {'has' if days == 1 else 'have'}" if days else "no earlier day has"

    @property
    def _load_obstacle(self) -> str | None:
        if self._shift is None or self.chosen is None:
            return None
        if self._depends == "by queueing":
            explained = self.is_worse and self.is_large if self._shift > 0 else not self.is_worse
            excused = explained and abs(self._shift) > NEAR_LOAD
        else:
            least, most = (self.harm(reading.contrast.value) for reading in (self.readings[0], self.readings[-1]))
            excused = most > REAL_CHANGE and least <= 0
        return f"at {format_value(self.load, '')} times the traffic, on which this KPI depends" if excused else None

    @cached_property
    def excludes_severe(self) -> bool:
        """Whether the interval's end for the worse is less than what fails."""
        if not self.readings:
            return False
        if self.windows.is_share:
            return self.most_points < self.allowed_points
        low, high = self.worst_interval
        is_low_enough = self.windows.kpi.direction is Direction.HIGHER_IS_BETTER or high <= SEVERE_CHANGE
        return is_low_enough and (self.windows.kpi.direction is Direction.LOWER_IS_BETTER or low >= -SEVERE_CHANGE)

    @property
    def worst_interval(self) -> tuple[float, float]:
        """Of the relative change, at 98 %, by the reading that is the most for the worse."""
        worst = self.readings[-1].contrast
        ends = (worst.value - worst.margin, worst.value + worst.margin)
        return self.windows.relative(ends[0]), self.windows.relative(ends[1])

    @cached_property
    def most_points(self) -> float:
        """The interval's upper end, in percentage points: that of the scatter or of the counts (Clopper and Pearson
        1934), whichever is higher."""
        bad, total = self.windows.counts
        share = float(special.betaincinv(bad + 1, max(total - bad, 0.0), ONE_SIDE)) if bad < total else 1.0
        margin = 0.0 if self.chosen is None else self.chosen.contrast.margin
        return max(self.value + margin, 100 * share - self.windows.usual)

    @property
    def allowed_points(self) -> float:
        """By how much a share may rise: to where its budget pages, else by 30 % of itself or the floor."""
        if self.budget is not None:
            return PAGE_BURN * self.budget - self.windows.usual
        return max(SEVERE_CHANGE * self.windows.usual, self.floor)

    @cached_property
    def _shift(self) -> float | None:
        """Logarithm of the traffic against the earlier days', where it is known and beyond 10 %."""
        if self.load is None or self.load <= 0:
            return None
        shift = math.log(self.load)
        return shift if abs(shift) > SAME_LOAD else None

    @property
    def _depends(self) -> str:
        return dependence(self.windows.kpi.category, self.windows.kpi.kind)

    def harm(self, value: float) -> float:
        """A change as how much worse it is; negative for the better, and 0 where no direction is worse."""
        kpi = self.windows.kpi
        if kpi.direction is Direction.TWO_SIDED:
            return 0.0
        return -value if kpi.direction is Direction.HIGHER_IS_BETTER and not self.windows.is_share else value
