"""The gate: may the release go on, judged now, from minutes?

| verdict | when |
|---|---|
| fail | a KPI is really and severely worse than at the same time of earlier days, or an error budget burns so fast \
that it pages; and it does so still |
| pass | nothing fails, and of each KPI that has an objective a severe worsening and a page are excluded at 98 %; \
without objectives, of availability, errors and latency |
| no data | of none of those KPIs there is anything |
| inconclusive | everything else |

A real worsening of 10 to 30 % does not stop a release: it passes with the advice to watch. A critical alert that began
in the window keeps it from passing. KPIs without an objective that cannot be judged are named in the warnings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from observability.artifacts import Verdict
from observability.definitions import Direction, Kind, Kpi, Release
from observability.judgement.daily_drift import LOAD_KPI
from observability.judgement.gate_burn import Burn, burn, burn_row, waiting
from observability.judgement.gate_comparison import Comparison
from observability.judgement.gate_rows import row, row_before
from observability.judgement.gate_windows import History, Windows
from observability.judgement.inference import adjusted
from observability.judgement.objectives import budget
from observability.model import Window
from observability.units import format_duration
from observability.verdicts import Advice, GateReport, Regression, Waiting

MOST_NAMED = 5
SAME_SHARE = 0.5  # of the change against the earlier days, for it to have been there before
USERS_SEE = frozenset({"availability", "errors", "latency"})


def judge(release: Release, history: History) -> GateReport:
    """One service's answer."""
    service = history.service
    kpis = release.kpis_of(service)
    every = {name: Windows(release, kpi, history) for name, kpi in kpis.items()}
    windows = {name: found for name, found in every.items() if found.kpi.kind is not Kind.INCIDENTS}
    load = _load(windows.get(LOAD_KPI))
    found = {name: Comparison(one, load, _budget(release, service, one.kpi)) for name, one in windows.items()}
    p_adjusted = adjusted([one.p for one in found.values()])
    tests = max(sum(p is not None for p in p_adjusted), 1)
    rows = [row(one, p, tests, service) for one, p in zip(found.values(), p_adjusted, strict=True)]
    burns = {slo.name: burn(slo, every[slo.kpi], history.recent.samples) for slo in release.slos_of(service)}
    budgets = [burn_row(slo, burns[slo.name], release, every[slo.kpi], service) for slo in release.slos_of(service)]
    before = [row_before(one, service) for one in found.values()]
    window = Window(start=history.since, end=history.since + history.steps * release.step)
    stops = [one for one, of in zip(rows, found.values(), strict=True) if one.verdict == "fail" and of.is_severe]
    old = [one for one in stops if _was_there(one, before)]
    stops += [one for one in budgets if one.verdict == "fail"]
    old += [one for one, of in zip(budgets, burns.values(), strict=True) if one in stops and of and of.was_there]
    needed = _needed(release, service, [*rows, *budgets])
    alerts = _alerts(every)
    verdict, why = _verdict(stops, needed, alerts, format_duration(window.seconds))
    return GateReport(
        service=service,
        release=release.release,
        since=history.since,
        window=window,
        verdict=verdict,
        why=why,
        rows=(*rows, *budgets, *before),
        advice=_advice(verdict, why, stops, old, rows, _costs(release, window, burns)),
        warnings=(
            *alerts,
            *_maintenance(release, service, window),
            *_warnings([one for one in rows if one not in stops], needed),
            *history.recent.samples.warnings,
        ),
    )


def not_begun(release: Release, service: str, window: Window, why: str) -> GateReport:
    """The answer before there is anything to judge."""
    return GateReport(
        service=service,
        release=release.release,
        since=window.start,
        window=None,
        verdict="inconclusive",
        why=why,
        advice=Advice(action="not assessable", why=why),
    )


def _load(rate: Windows | None) -> float | None:
    """The traffic against that of the earlier days; None where it is not known."""
    if rate is None or not rate.usual > 0 or rate.now != rate.now:
        return None
    return rate.now / rate.usual


def _budget(release: Release, service: str, kpi: Kpi) -> float | None:
    """The tightest error budget on the KPI's events, in percentage points."""
    kpis = release.kpis_of(service)
    found = [
        budget(slo.objective, kpis[slo.kpi].direction is Direction.LOWER_IS_BETTER)
        for slo in release.slos_of(service)
        if slo.threshold is None and kpis[slo.kpi].operands == kpi.operands
    ]
    return min(found, default=None)


def _needed(release: Release, service: str, rows: Sequence[Regression]) -> list[Regression]:
    """The rows that a pass needs: of the KPIs with an objective, or where none has one, of availability, errors and
    latency; of all where there are none of these either."""
    objectives = {slo.kpi for slo in release.slos_of(service)}
    needed = [one for one in rows if one.metric_name in objectives or (not objectives and one.category in USERS_SEE)]
    return needed or list(rows)


def _maintenance(release: Release, service: str, window: Window) -> list[str]:
    found = [one for one in release.maintenance_of(service) if one.overlaps(window.start, window.end)]
    return ["Minutes of the window are maintenance, and do not count."] if found else []


def _alerts(windows: Mapping[str, Windows]) -> list[str]:
    found = []
    for name, one in windows.items():
        started = one.summary.started if one.kpi.kind is Kind.INCIDENTS else None
        if started is not None and started > 0:
            found.append(f"{name}: {started:.0f} began to fire since the release")
    return found


def _verdict(
    stops: Sequence[Regression], needed: Sequence[Regression], alerts: Sequence[str], length: str
) -> tuple[Verdict, str]:
    if stops:
        more = f" And {len(stops) - 1} more." if len(stops) > 1 else ""
        return "fail", f"{stops[0].metric_name}: {stops[0].why}{more}"
    if all(one.verdict == "no data" for one in needed):
        first = f" {needed[0].metric_name}: {needed[0].why}" if needed else ""
        return "no data", f"In the {length} since the release there is nothing of {_names(needed) or 'any KPI'}.{first}"
    if alerts:
        return "inconclusive", f"{alerts[0]}; see what it is before the release goes on."
    open_ = [one for one in needed if one.verdict in {"inconclusive", "no data"}]
    if open_:
        return "inconclusive", f"{_names(open_)} cannot be judged yet. {open_[0].metric_name}: {open_[0].why}"
    fails = [one for one in needed if one.verdict == "fail"]
    worse = f" {_names(fails)} became worse by 10 to 30 %." if fails else ""
    return "pass", f"{length} since the release exclude a severe worsening of {_names(needed)}.{worse}"


def _names(rows: Sequence[Regression]) -> str:
    names = list(dict.fromkeys(one.metric_name for one in rows))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _advice(
    verdict: Verdict,
    why: str,
    stops: Sequence[Regression],
    old: Sequence[Regression],
    rows: Sequence[Regression],
    costs: Sequence[Waiting],
) -> Advice:
    """A rollback helps only against what the release brought: the ``old`` of the stops were there just before it, and
    stay."""
    fails = [one for one in rows if one.verdict == "fail"]
    if verdict in {"inconclusive", "no data"}:
        return Advice(action="not assessable", why=why)
    if verdict == "pass":
        reasons = tuple(f"{one.metric_name}: {one.impact}" for one in fails)
        return Advice(action="watch" if fails else "keep", why=why, reasons=reasons)
    is_new = len(old) < len(stops)
    return Advice(
        action="roll back" if is_new else "fix forward",
        why=why if is_new else f"{why} But it was so before the release: to take that back would not help.",
        reasons=tuple(f"{one.metric_name}: {one.why}" for one in stops),
        evidence_for=tuple(f"{one.metric_name}: {one.impact}" for one in stops),
        evidence_against=tuple(f"{one.metric_name}: it was so before the release" for one in old),
        waiting=tuple(costs),
    )


def _was_there(stop: Regression, before: Sequence[Regression]) -> bool:
    """Whether the minutes just before the release show the same as those since: no change against them, within 10 % or
    the floor, and at least half of the change against the earlier days."""
    past = next(one for one in before if one.metric_name == stop.metric_name)
    usual, just_before, now = stop.baseline_value, past.baseline_value, stop.current_value
    if past.verdict != "pass" or usual is None or just_before is None or now is None or now == usual:
        return False
    return (just_before - usual) / (now - usual) >= SAME_SHARE


def _costs(release: Release, window: Window, burns: Mapping[str, Burn | None]) -> list[Waiting]:
    """Of the objectives whose budget does not last, the most expensive first."""
    day = release.calendar.number(window.start)
    found = [waiting(one, day, window.seconds) for one in burns.values() if one is not None and one.rate > 1]
    return sorted(found, key=lambda one: -one.budget_percent_per_hour)


def _warnings(rows: Sequence[Regression], needed: Sequence[Regression]) -> list[str]:
    """KPIs that the verdict does not rest on, and of which nothing can be said or something must."""
    others = [one for one in rows if one not in needed]
    drifts = [one for one in rows if one.verdict == "fail"]
    unknown = [one for one in others if one.verdict in {"inconclusive", "no data"}]
    found = [f"{one.metric_name}: {one.why}" for one in drifts]
    return found + ([f"Not judged: {_names(unknown)}."] if unknown else [])
