"""The week against its baselines, KPI by KPI: how large is the change, is it real, and what follows.

``baseline`` says what there is to compare with, ``comparison`` pairs the days and hours, ``tested`` tests, ``rows``
puts it in words, ``advice`` draws the conclusion. The week before GA decides. The GA day is part of the release: a
defect that shipped at GA is in it already, so it may confirm and never veto.

Ratios of events (errors, availability, hit rates) are compared by their bad share. Below a floor a change of it counts
as none: 0.1 percentage points, or half of the tightest error budget of an objective on the same events where that is
less. The floor is what makes errors from 0 judgeable; for anything else a baseline of 0 proves nothing, because nothing
says how much is much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.comparable import LOAD_KPI, is_mostly_judged
from observability.definitions import Kind
from observability.judgement.advice import advise, recommend
from observability.judgement.baseline import PREVIOUS_DAY, Baseline, Days, Named, baselines
from observability.judgement.comparison import Comparison
from observability.judgement.cost import cost_report
from observability.judgement.rows import row_of
from observability.judgement.summary import LARGE_DRIFT_PERCENT, UNEXPECTED_DRIFT_PERCENT
from observability.judgement.tested import examine
from observability.model import Window
from observability.units import format_change
from observability.verdicts import Regression, RegressionSummary, Role, SloBurnDown

ROLES: tuple[Role, ...] = get_args(Role)  # the weightiest first


def analyse(
    ga: DaySummary,
    days: Sequence[DaySummary],
    before: PreReleaseSummary | None,
    named: Sequence[Named] = (),
    good_day: int | None = None,
    slos: Sequence[SloBurnDown] = (),
) -> RegressionSummary:
    """Every KPI against every baseline, the cost, and the advice.

    Left out are partial days, and days of which less than half was seen or is outside maintenance. ``slos`` are the
    burn-downs of the same days: the advice speaks of them. ``good_day`` is the number of a day that was good.
    """
    week = {day.day_number: day for day in days if not day.partial}
    since = week if ga.partial else {0: ga, **week}
    used = baselines(ga, week, before, named, good_day)
    kpis = _comparable((*used[0].days, *since.values()))
    found = [
        (comparison.size_percent, row)
        for baseline in used
        for comparison, row in _against(baseline, since, kpis, ga.service)
    ]
    rows = [row for _, row in found]
    advice = advise(rows, slos, ga, list(week.values()), before)
    return RegressionSummary(
        service=ga.service,
        window=_window(ga, week.values()),
        regressions=tuple(row for size, row in found if size > LARGE_DRIFT_PERCENT),
        unexpected_drifts=tuple(row for size, row in found if UNEXPECTED_DRIFT_PERCENT < size <= LARGE_DRIFT_PERCENT),
        within_range=tuple(row for size, row in found if size <= UNEXPECTED_DRIFT_PERCENT),
        rollback_recommendation=recommend(advice, rows),
        advice=advice,
        baselines=tuple(baseline.used for baseline in used),
        disagreements=tuple(_disagreements(rows)),
        cost=cost_report(ga, list(week.values()), before),
        warnings=_warnings(ga, used, week),
    )


def _against(
    baseline: Baseline, since: Days, kpis: Mapping[str, KpiSummary], service: str
) -> list[tuple[Comparison, Regression]]:
    load = LOAD_KPI if LOAD_KPI in kpis else None
    found = [Comparison(name, kpi, baseline, since, load) for name, kpi in kpis.items()]
    return [(one, row_of(one, tested, service)) for one, tested in zip(found, examine(found), strict=True)]


def _comparable(days: Iterable[DaySummary]) -> dict[str, KpiSummary]:
    """The days' KPIs in their order, as the last one has them: one that went missing since GA must be told. Incidents
    are events and told as such."""
    return {name: kpi for day in days for name, kpi in day.kpis.items() if kpi.kind != Kind.INCIDENTS}


def _disagreements(rows: Sequence[Regression]) -> Iterable[str]:
    """KPIs that the deciding baseline fails and another passes, or the other way round. Yesterday is no second opinion:
    it only says what changed last."""
    by_kpi: dict[str, list[Regression]] = {}
    for row in rows:
        if row.verdict in {"pass", "fail"} and row.baseline != PREVIOUS_DAY:
            by_kpi.setdefault(row.metric_name, []).append(row)
    for name, found in by_kpi.items():
        first = min(found, key=lambda row: ROLES.index(row.role) if row.role else len(ROLES))
        others = [f"{row.baseline} ({format_change(row.change)})" for row in found if row.verdict != first.verdict]
        if others:
            said = f"{first.verdict} against {first.baseline} ({format_change(first.change)})"
            yield f"{name}: {said}, {'pass' if first.verdict == 'fail' else 'fail'} against {', '.join(others)}."


def _window(ga: DaySummary, week: Iterable[DaySummary]) -> Window | None:
    windows = [day.window for day in (ga, *week) if day.window is not None]
    return Window(start=windows[0].start, end=max(w.end for w in windows)) if windows else None


def _warnings(ga: DaySummary, used: Sequence[Baseline], week: Days) -> tuple[str, ...]:
    past = used[0].days
    mostly = [day for day in (*past, ga, *week.values()) if not is_mostly_judged(day)]
    warnings = [f"More than half of day {day.day_number} is maintenance, so it was not compared." for day in mostly]
    if not past:
        warnings.append("There is no week before GA: a change that came with the release cannot be seen.")
    if ga.partial:
        warnings.append("The GA summary is of a day that was not over, so nothing was compared with it.")
    if not ga.kpis:
        warnings.append("The GA summary holds no `kpis`, so nothing could be compared; collect it again.")
    return tuple(warnings)
