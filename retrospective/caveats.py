"""What the report cannot say and why, what was looked at where nothing was found, and how it was judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from observability.artifacts import SHARE_FLOOR
from observability.definitions import Direction
from observability.model import LAST_DAY, format_instant
from observability.report import CostAnalysis
from observability.verdicts import Regression
from retrospective.budgets import is_decided
from retrospective.changes import BASELINES, DRIFT, LARGE, baseline_name, deciding, has_values
from retrospective.gaps import MIN_COVERAGE
from retrospective.reason import Reason
from retrospective.record import INCIDENTS, TWINS, WeekRecord
from retrospective.status import Judgement
from retrospective.wording import count, day_list, listed, sentence

_SIZES = (
    f"Sizes: a change of {DRIFT:.0f} to {LARGE:.0f} % is a drift, beyond {LARGE:.0f} % it is large. How large a change "
    "is and whether it is real are two labels. The change is the centre of the days' changes, so it need not be the "
    "quotient of the two values shown, which are median days. Of a share of good events, the share of bad ones is "
    f"compared. A share that moves by less than {SHARE_FLOOR:g} percentage points, or half of the tightest error "
    "budget on the same events where that is less, counts as unchanged."
)
_INTERVALS = (
    "Intervals: of a level, the change and a margin that is as wide as ordinary weeks of the KPI differ, so it is no "
    "confidence interval; of a share of events, that of the test that decided."
)
_ADVICE = (
    "The advice is that of regression_summary.json, or a heavier one where alerts, gaps in the data or days that were "
    "worse ask for it; then the summary says so."
)
ERRORS = frozenset({"errors", "availability"})
_OBJECTIVES = (
    "Objectives: events are counted over the GA day and the daily summaries, each once. A burn rate of 1 uses up a "
    "30-day budget in 30 days; the 30-day figures take the week's traffic for the whole period."
)
_MAINTENANCE = (
    "Maintenance: steps that overlap a window of the release file count for no verdict and need not be seen. "
    "Cost is of all hours. An anomaly within a window is marked and decides nothing."
)
_INCIDENTS = (
    "Incidents: distinct runs of firing alerts with severity=critical; one over midnight is seen on both days, and "
    "counts once in the week."
)


def not_assessed(week: WeekRecord, cost: CostAnalysis) -> tuple[str, ...]:
    """One sentence per thing that the data could not answer, and why."""
    found = [
        *_days(week),
        *_baselines(week),
        *_kpis(week),
        *_objectives(week),
        *_beyond(week),
        *_no_error(week),
        *_missing_files(week),
        *_anomalies(week),
        *_health(week),
        *_warnings(week),
    ]
    if cost.note is not None:
        found.append(cost.note)
    return tuple(dict.fromkeys(sentence(text) for text in found))


def _days(week: WeekRecord) -> Iterator[str]:
    if week.missing:
        yield f"{day_list(week.missing)}: no daily summary was given"
    if week.empty:
        yield f"{day_list(week.empty)}: the summary holds no data of the service"
    if week.maintained:
        yield f"{day_list(week.maintained)}: all of it is maintenance, so nothing of it was judged"
    if week.partial:
        yield f"{day_list(week.partial)}: the summary is of a day that was not over, and is left out"
    if week.ga.partial:
        yield "The GA summary is of a day that was not over: its values are of a part of the day"
    if week.coverage is None:
        yield "How much of the week was observed: the files do not state their coverage"


def _baselines(week: WeekRecord) -> Iterator[str]:
    if week.regression is None:
        yield "Regressions and drifts: no regression summary was given"
        return
    if not week.has_before and not week.regression.warnings:
        yield "The week before GA: there is none, so a defect that came with the release cannot be seen"
    untested: dict[str, list[Regression]] = {}
    for row in week.regression.rows:
        if row.real is None and has_values(row):
            untested.setdefault(row.baseline, []).append(row)
    for baseline, rows in untested.items():
        changes = count(len(rows), "change was", "changes were")
        yield f"{changes} not tested against {baseline_name(baseline)}: {_why_untested(rows)}"


def _why_untested(rows: list[Regression]) -> str:
    """The GA day's rows say it all with one reason; others are named with theirs."""
    if rows[0].baseline == "ga_day":
        return "it is part of the release, and is one day"
    reasons = [f"{row.metric_name}: {row.obstacle or row.why.rstrip('.')}".rstrip(": ") for row in rows]
    return "; ".join([*reasons[:3], *([f"and {len(reasons) - 3} more"] if len(reasons) > 3 else [])])


def _kpis(week: WeekRecord) -> Iterator[str]:
    """KPIs without data on any day, by the reason that the summaries give; and those without on some days."""
    by_note: dict[str, list[str]] = {}
    some: dict[str, list[int]] = {}
    for kpi in week.kpis:
        values = week.values(kpi)
        if not values:
            notes = [day.kpis[kpi].note for day in week.all_days if kpi in day.kpis and day.kpis[kpi].note]
            by_note.setdefault(notes[0] or "no data" if notes else "no data", []).append(kpi)
        elif absent := [
            n for n in (d.day_number for d in week.all_days) if n not in values and n not in week.maintained
        ]:
            some[kpi] = absent
    for note, kpis in by_note.items():
        yield f"{', '.join(kpis)}: {note}"
    for kpi, days in some.items():
        yield f"{kpi} on {day_list(days)}: no data, or less than half of the day seen"


def _objectives(week: WeekRecord) -> Iterator[str]:
    if not week.slos:
        yield "Objectives: no burn-down was given, or the files hold no counted events"
    for slo in week.slos:
        if not is_decided(slo):
            yield f"{slo.slo_name}: {slo.why or slo.verdict}"


def _missing_files(week: WeekRecord) -> Iterator[str]:
    if week.anomalies is None:
        yield "Anomalies: no anomaly events were given"
    if not week.values(INCIDENTS):
        yield "Incidents: critical alerts were not observed"


def _anomalies(week: WeekRecord) -> Iterator[str]:
    scored = week.anomalies.window if week.anomalies is not None else None
    if scored is not None and scored.end < week.end:
        yield f"Anomalies were scored up to {format_instant(scored.end)}; what came after it is not known"


def _health(week: WeekRecord) -> Iterator[str]:
    stale = {report.day_number for report in week.health} - {report.day_number for report in week.current_health}
    unscored = [report.day_number for report in week.current_health if report.health_score is None]
    if not week.health:
        yield "Health scores: no health report was given"
    if stale:
        yield f"Health scores of {day_list(stale)}: the report was made from another summary of the day, such as a part"
    if unscored:
        yield f"Health scores of {day_list(unscored)}: nothing could be scored"


def _beyond(week: WeekRecord) -> Iterator[str]:
    """Quantiles beyond the last finite bucket: their days are known only from below."""
    for kpi in week.kpis:
        days = [day.day_number for day in week.all_days if week.is_bound(kpi, day.day_number)]
        if days and not week.is_twin(kpi):
            yield f"{kpi} on {day_list(days)}: beyond the last bucket bound, {week.shown(kpi, days[0])}"


def _no_error(week: WeekRecord) -> Iterator[str]:
    """Never an error in eight days and more: good, or a label that the query does not match."""
    days = (*week.past, *week.all_days)
    for kpi in week.kpis:
        about = week.about(kpi)
        if about.category not in ERRORS or not about.is_ratio or week.is_twin(kpi):
            continue
        clean = 0.0 if about.direction is Direction.LOWER_IS_BETTER else 100.0
        values = [value for day in days if (value := week.value(day, kpi)) is not None]
        if len(values) > LAST_DAY and all(value == clean for value in values):
            yield (
                f"{kpi}: not one error was seen on {count(len(values), 'day')}, so a wrong label in the query cannot "
                f"be told from a service without errors{_error_query(week)}"
            )


def _error_query(week: WeekRecord) -> str:
    named = [f"`{name}`: `{promql}`" for name, promql in week.ga.queries.items() if "error" in name]
    return f" (check {listed(named)})" if named else ""


def _warnings(week: WeekRecord) -> Iterator[str]:
    """The artifacts' own warnings; those of KPIs are told above."""
    for artifact in (week.before, week.regression, week.anomalies):
        yield from artifact.warnings if artifact is not None else ()
    told: dict[str, list[int]] = {}
    for day in week.all_days:
        for warning in day.warnings:
            if not any(warning.startswith(f"{kpi}: ") for kpi in day.kpis):
                told.setdefault(warning, []).append(day.day_number)
    for warning, days in told.items():
        yield f"{warning.rstrip('.')} (a warning on {day_list(days)})"


def checked(week: WeekRecord) -> dict[str, str]:
    """Section → the sentence for when it is empty: what was looked at and not found, or why nothing was."""
    looked, rows = _looked_at(week), [row for row in week.rows if has_values(row)]
    compared = count(len({row.metric_name for row in rows}), "KPI")
    against = listed([baseline_name(name) for name in dict.fromkeys(row.baseline for row in rows)])
    decided = listed([baseline_name(name) for name in dict.fromkeys(row.baseline for row in deciding(rows))])
    nothing = "Not assessed: no KPI could be compared with a baseline."
    no_days = "Not assessed: there is no complete daily summary."
    return {
        "successes": f"Nothing is known to have held, of {looked}." if looked else "Not assessed: no KPI has a value.",
        "degradations": f"None was found on the GA day and {count(len(week.days), 'day')} after it, in {looked}. A KPI "
        f"counts as degraded when it is more than {LARGE:.0f} % worse than {_degraded_against(week)}."
        if looked and week.days
        else no_days,
        "unexpected_drifts": f"No drift of {DRIFT:.0f} to {LARGE:.0f} % was found in {compared} against {decided}."
        if rows
        else nothing,
        "regressions": f"No change beyond {DRIFT:.0f} % was found in {compared} against {against}."
        if rows
        else nothing,
        "anomalies": _scored(week),
        "slo_burn_downs": "Not assessed: the summaries hold no counted events of an objective.",
    }


def _degraded_against(week: WeekRecord) -> str:
    if not week.has_before:
        return "on the GA day"
    return "on the same weekday before GA, or than on the GA day where the traffic changed"


def _looked_at(week: WeekRecord) -> str:
    """``3 objectives, critical alerts and 22 KPIs``, as far as there are."""
    kpis = [kpi for kpi in week.kpis if week.values(kpi) and kpi != INCIDENTS]
    parts = [count(len(week.objectives), "objective")] if week.objectives else []
    parts += ["critical alerts"] if week.values(INCIDENTS) else []
    parts += [count(len(kpis), "KPI")] if kpis else []
    return listed(parts)


def _scored(week: WeekRecord) -> str:
    if week.anomalies is None:
        return "Not assessed: no anomaly events were given."
    if not week.anomalies.scored:
        return "No anomaly is listed; the events do not say which samples were scored."
    samples = sum(week.anomalies.scored.values())
    if not samples:
        return "Not assessed: not one sample could be scored."
    return f"No anomaly was found in {samples:,} samples of {count(len(week.anomalies.scored), 'KPI')}."


def method(week: WeekRecord, judgement: Judgement) -> tuple[str, ...]:
    """How the report came to what it says, one sentence per matter."""
    advised = week.advised is not None
    lines = [_rests_on(judgement.reasons), *([_ADVICE] if advised else []), *_baseline_lines(week), _SIZES]
    lines += [
        *([_INTERVALS] if any(row.interval for row in week.rows) else []),
        _OBJECTIVES,
        _INCIDENTS,
        *_maintenance(week),
        _detector(week),
        *_twins(week),
    ]
    if week.ga.source is not None:
        source = week.ga.source
        lines.append(f"Source: {source.prometheus}, one sample every {source.step_s} s.")
    return tuple(lines)


def _rests_on(reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return (
            "The status rests on: no real regression, no objective ahead of its pace, no critical alert, no drift, "
            f"no degradation, and a coverage of at least {100 * MIN_COVERAGE:.0f} %."
        )
    numbers = Counter(reason.status for reason in reasons)
    named = listed([f"{number} for {status}" for status, number in numbers.items()])
    return f"The status is that of the heaviest reason ({named}); each stands with its figures under Recommendations."


def _baseline_lines(week: WeekRecord) -> Iterator[str]:
    used = dict.fromkeys(row.baseline for row in week.rows if has_values(row))
    if "week_before" in used:
        yield (
            "Baselines: the week before GA decides, same weekday against same weekday. The GA day is part of the "
            "release: it shows how the week developed, may confirm, and vetoes nothing."
        )
    elif used:
        names = listed([baseline_name(baseline) for baseline in used])
        yield f"Baselines: {names}. There is nothing to compare with {BASELINES['week_before']}."


def _maintenance(week: WeekRecord) -> Iterator[str]:
    if any(day.maintenance for day in (*week.past, *week.all_days)):
        yield _MAINTENANCE


def _twins(week: WeekRecord) -> Iterator[str]:
    pairs = [f"{kpi} with {TWINS[kpi]}" for kpi in week.kpis if week.is_twin(kpi)]
    if pairs:
        yield f"KPIs told together with the one that shows the same series: {listed(pairs)}."


def _detector(week: WeekRecord) -> str:
    if week.anomalies is None:
        return "Anomalies: none were given."
    channels = week.anomalies.detector.get("channels", {})
    named = [f"{name} ({_settings(of_it)})" for name, of_it in channels.items()]
    told = {"channels", "incidents", "scored_from"}
    older = {name: value for name, value in week.anomalies.detector.items() if name not in told}
    joint = week.anomalies.detector.get("incidents", {})
    named += [f"incidents ({_settings(joint)})"] if joint else []
    history = week.anomalies.detector.get("scored_from")
    settings = "; ".join(filter(None, [*named, _settings(older), f"scored from {history}" if history else ""]))
    return f"Anomalies inform and do not decide the status. Detector: {settings or 'not stated'}."


def _settings(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
