"""An objective at the gate: do the minutes since the release burn its error budget so fast that it pages?

A page needs a burn rate of 14.4 over the window and over its last sixth (SRE workbook, "Alerting on SLOs": short and
long window), at least five bad events, and an exact binomial test that the budget itself is exceeded. No page is
*seen* only where the upper 98 % bound of the bad share (Clopper and Pearson, Biometrika 26, 1934) burns less.
"""

from __future__ import annotations

from typing import NamedTuple

from scipy import special

from observability.artifacts import SloDay, Verdict
from observability.definitions import Objective, Release
from observability.judgement.gate_comparison import PAGE_BURN
from observability.judgement.gate_windows import MIN_COVERAGE, Windows
from observability.judgement.objectives import is_mixed, slo_day
from observability.judgement.placebos import ONE_SIDE
from observability.judgement.slo import BUDGET_DAYS
from observability.model import Samples
from observability.units import format_value
from observability.verdicts import Regression, Waiting

BUDGET = "error_budget"
FEWEST_BAD = 5.0
MOST_P = 0.001
SHORT_WINDOW = 6  # of the window: the last such part


class Burn(NamedTuple):
    """One objective over the window, over its last part, and over the window just before. Counts are the fewest and the
    most that buckets allow."""

    slo: Objective
    day: SloDay
    bad: tuple[float, float]
    total: float
    rate: float
    rate_at_end: float
    rate_before: float

    @property
    def can_page(self) -> bool:
        """An objective under 93 % can never burn at 14.4."""
        return PAGE_BURN * self.day.budget < 100

    @property
    def p(self) -> float:
        """Of so many bad events, if the budget were just kept."""
        bad = self.bad[0]
        return float(special.betainc(bad, self.total - bad + 1, self.day.budget / 100)) if bad > 0 else 1.0

    @property
    def most_rate(self) -> float:
        """Upper 98 % bound of the burn rate."""
        most = self.bad[1]
        share = float(special.betaincinv(most + 1, self.total - most, ONE_SIDE)) if most < self.total else 1.0
        return 100 * share / self.day.budget

    @property
    def pages(self) -> bool:
        return self.rate >= PAGE_BURN and self.bad[0] >= FEWEST_BAD and self.p <= MOST_P

    @property
    def was_there(self) -> bool:
        """Whether the window just before the release burned so fast that it pages, and at least half as fast."""
        return self.rate_before >= max(PAGE_BURN, self.rate / 2)

    @property
    def verdict(self) -> Verdict:
        if self.pages and self.rate_at_end >= PAGE_BURN:
            return "fail"
        return "pass" if self.most_rate < PAGE_BURN else "inconclusive"


def burn(slo: Objective, windows: Windows, samples: Samples) -> Burn | None:
    """None where no events were seen, or less than half of the window was."""
    mixed = is_mixed(windows.kpi, samples)
    day = slo_day(slo, windows.kpi, windows.summary, windows.summary, mixed)
    if day.bad is None or not day.total or day.coverage < MIN_COVERAGE:
        return None
    last = windows.last(max(windows.steps // SHORT_WINDOW, 1))
    end, before = (slo_day(slo, windows.kpi, one, one, mixed) for one in (last, windows.summary_before))
    bad = day.bad_between or (day.bad, day.bad)
    return Burn(slo, day, bad, day.total, _rate(bad[0], day.total, day.budget), _rate_of(end), _rate_of(before))


def _rate_of(day: SloDay) -> float:
    if day.bad is None or not day.total:
        return 0.0
    return _rate((day.bad_between or (day.bad, day.bad))[0], day.total, day.budget)


def _rate(bad: float, total: float, budget_percent: float) -> float:
    return 100 * bad / total / budget_percent


def burn_row(slo: Objective, found: Burn | None, release: Release, windows: Windows, service: str) -> Regression:
    """The row of one objective: the share of bad events against its budget, in per cent."""
    budget = None if found is None else found.day.budget
    share = None if found is None else 100 * found.bad[0] / found.total
    return Regression(
        metric_name=slo.kpi,
        severity="critical" if found is not None and found.verdict == "fail" else "low",
        category=release.kpis[slo.kpi].category,
        impact=f"bad events {format_value(share, '%')}, budget of '{slo.name}' {format_value(budget, '%')}",
        baseline_value=budget,
        current_value=share,
        drift_percent=None,
        threshold_exceeded=found is not None and found.verdict == "fail",
        service=service,
        baseline=BUDGET,
        role="decides",
        unit="%",
        direction=windows.kpi.direction,
        of_bad_share=True,
        real=None if found is None else found.pages,
        p=None if found is None else found.p,
        coverage=windows.summary.coverage,
        verdict="no data" if found is None else found.verdict,
        why=_why(slo, found),
    )


def _why(slo: Objective, found: Burn | None) -> str:
    if found is None:
        return f"No events of '{slo.name}' were seen since the release."
    counts = f"{found.bad[0]:,.0f} of {found.total:,.0f} events are bad"
    text = f"'{slo.name}' burns its budget at {found.rate:.3g} times its pace ({counts})"
    if found.pages and found.rate_at_end < PAGE_BURN:
        return f"{text}, which pages from {PAGE_BURN:g} on; it has slowed down since, to {found.rate_at_end:.3g}."
    if found.verdict == "fail":
        return f"{text}; {PAGE_BURN:g} and more pages."
    if found.verdict == "pass":
        return f"{text}; a page's {PAGE_BURN:g} is excluded at 98 %."
    return f"{text}; so few events do not exclude a page's {PAGE_BURN:g}."


def waiting(found: Burn, day: int, seconds: float) -> Waiting:
    """What an hour of waiting costs at the window's rate; nothing is known of what the budget has spent before."""
    percent = 100 * found.rate / (24 * BUDGET_DAYS)
    return Waiting(
        slo_name=found.slo.name,
        day=day,
        burn_rate=found.rate,
        budget_percent_per_hour=percent,
        bad_events_per_hour=found.bad[0] * 3600 / seconds,
        hours_left=100 / percent if percent > 0 else None,
    )
