"""The report's tables: one function per table, from the artifacts' types to Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from observability.artifacts import SEVERITIES
from observability.events import Anomaly, Incident, NewLevel, Suspect
from observability.model import LAST_DAY
from observability.report import BothFigures, CostAnalysis, Degradation, KeyMetric, LeftOut, Success, UnexpectedDrift
from observability.units import format_duration, format_value
from observability.verdicts import Regression, SloBurnDown
from retrospective.budgets import is_decided, month_share, state
from retrospective.changes import agrees, baseline_name, change_text, interval_text, label, pair_text
from retrospective.markdown import code, prose, table
from retrospective.objectives import limit
from retrospective.record import unit_of
from retrospective.wording import both, count, day_list, listed, signed

FIGURES = ("before", "ga_day", "week", "last_day")
MOST_ANOMALIES = 10
MOST_SUSPECTS = 3
BETTER = "for the better"
MAINTENANCE = "in maintenance"
NO_PAIR = "by paired days only"  # where the medians of the days move the other way than the days do
FOLDS = {
    "counts": "ratios and rates from their counts",
    "runs": "incidents as distinct runs",
    "days": "incidents as days with one, because the files do not say which went on from the day before",
    "median": "the median day",
}
MOST_SCORE = 10_000  # higher scores, and those below 1, are told with two digits
MOST_DECIMALS = 6  # of a score close to 1, at which some of river's end


def key_metrics(metrics: tuple[KeyMetric, ...]) -> str:
    rows = [
        (
            code(metric.metric_name),
            *(_figure(metric, name) for name in FIGURES),
            share(metric.coverage),
        )
        for metric in metrics
    ]
    return table(("KPI", "Week before", "GA day", "Week", f"Day {LAST_DAY}", "Coverage"), rows, (1, 2, 3, 4, 5))


def _figure(metric: KeyMetric, name: str) -> str:
    unit = "" if metric.folded in {"runs", "days"} else metric.unit
    return prose(format_value(getattr(metric, name), unit, name in metric.at_least))


def left_out(windows: tuple[LeftOut, ...]) -> str:
    rows = [
        (
            f"{when(window.start)} to {when(window.end)}",
            prose(window.reason) or "not stated",
            prose(day_list(day for day in window.days if day >= 0) or "the week before GA"),
            format_value(window.minutes, ""),
        )
        for window in windows
    ]
    return table(("From, to", "Reason", "Of", "Minutes"), rows, (3,))


def both_figures(found: tuple[BothFigures, ...]) -> str:
    rows = [
        (
            code(both.metric_name),
            prose(day_list([both.day_number])),
            _value(both.value, both.unit),
            _value(both.with_maintenance, both.unit),
        )
        for both in found
    ]
    return table(("KPI", "Day", "Judged", "With maintenance"), rows, (2, 3))


def folding(metrics: tuple[KeyMetric, ...]) -> str:
    """How the figures of a week were made, of those that are there."""
    used = {metric.folded for metric in metrics}
    named = [text for fold, text in FOLDS.items() if fold in used]
    return "; ".join([*named[:-1], f"else {named[-1]}" if len(named) > 1 and "median" in used else named[-1]])


def successes(found: tuple[Success, ...]) -> str:
    rows = [
        (
            prose(success.category),
            code(success.metric_name),
            prose(success.target_value),
            prose(success.actual_value),
            "–" if success.achievement_percent is None else f"{success.achievement_percent:.2f} %",
        )
        for success in found
    ]
    return table(("Category", "Metric", "Target", "Actual", "Achievement"), rows, (4,))


def degradations(found: tuple[Degradation, ...]) -> Iterator[tuple[str, str]]:
    for severity in reversed(SEVERITIES):
        rows = [
            (
                prose(day_list([item.day_occurred])),
                prose(item.description),
                prose(item.impact),
                f"{item.resolution_status}: {prose(item.resolution_details)}",
            )
            for item in found
            if item.severity == severity
        ]
        if rows:
            yield severity.capitalize(), table(("From", "What", "Impact", "Resolution"), rows)


def changes(rows: tuple[Regression, ...]) -> str:
    return table(
        ("KPI", "Against", "Before → after", "Change", "Verdict", "Evidence"),
        [
            (
                code(row.metric_name),
                prose(baseline_name(row.baseline)),
                _pair(row),
                change_text(row),
                label(row),
                _evidence(row),
            )
            for row in rows
        ],
        (2, 3),
    )


def _evidence(row: Regression) -> str:
    """What the verdict stands on, as far as the row says it."""
    parts = []
    if row.interval is not None:
        parts.append(interval_text(row))
    if row.p_adjusted is not None:
        parts.append(f"p {row.p_adjusted:.2g}")
    if row.days is not None:
        parts.append(count(row.days, "day"))
    if row.coverage is not None:
        parts.append(f"{share(row.coverage)} seen")
    return ", ".join(parts) or "not stated"


def anomaly_counts(found: tuple[Anomaly, ...]) -> str:
    numbers = Counter(MAINTENANCE if event.in_maintenance else _severity(event) for event in found)
    kinds = (*reversed(SEVERITIES), BETTER, MAINTENANCE)
    named = ", ".join(f"{numbers[kind]} {kind}" for kind in kinds if numbers[kind])
    channels = Counter(event.channel for event in found)
    if len(channels) > 1:
        named += "; " + ", ".join(f"{number} by {channel}" for channel, number in channels.most_common())
    shown = f"; the {MOST_ANOMALIES} most severe" if len(found) > MOST_ANOMALIES else ""
    return f"{count(len(found), 'anomaly', 'anomalies')} ({named}){shown}:"


def anomalies(found: tuple[Anomaly, ...]) -> str:
    return table(
        ("When", "KPI", "Value", "Expected", "Score", "Severity"),
        [
            (
                _episode(event),
                code(event.metric_name),
                _value(event.value, unit_of(event.metric_name, event.unit)),
                _expected(event),
                _scored(event),
                f"{_severity(event)}{' (maintenance)' if event.in_maintenance else ''}",
            )
            for event in found
        ],
        (2, 3, 4),
    )


def incidents(found: tuple[Incident, ...]) -> str:
    return table(
        ("When", "Suspects", "First", "Severity", "Evidence"),
        [
            (
                f"{when(one.start)}, {format_duration((one.end - one.start).total_seconds())}",
                ", ".join(_suspect(suspect) for suspect in one.suspects[:MOST_SUSPECTS]),
                code(one.earliest) if one.earliest else "–",
                f"{one.severity}{' (maintenance)' if one.in_maintenance else ''}",
                f"{one.score:.1f} of {one.threshold:g}",
            )
            for one in found
        ],
        (4,),
    )


def _suspect(suspect: Suspect) -> str:
    unit = unit_of(suspect.metric_name, suspect.unit)
    values = prose(both(suspect.expected, suspect.value, unit))
    return f"{code(suspect.metric_name)} {share(suspect.share)}" + (
        f" ({values})" if suspect.expected is not None else ""
    )


def _scored(event: Anomaly) -> str:
    """Each detector's scores are on a scale of their own."""
    sign = "+" if event.direction or event.channel == "unknown" else ""
    score = "?" if event.z_score is None else f"{event.z_score:{sign}{_digits(abs(event.z_score))}}"
    return score if event.channel == "unknown" else f"{score} {code(event.channel)}"


def _digits(score: float) -> str:
    """The format of a score: close to 1 with two digits of what is left up to it, as 0.99913."""
    if 0.9 < score < 1:
        return f".{min(1 - math.floor(math.log10(1 - score)), MOST_DECIMALS)}f"
    return ".1f" if 1 <= score < MOST_SCORE else ".2g"


def _expected(event: Anomaly) -> str:
    """River's detectors expect nothing."""
    if event.baseline is None and event.channel != "unknown":
        return "–"
    return _value(event.baseline, unit_of(event.metric_name, event.unit))


def _severity(event: Anomaly) -> str:
    return BETTER if event.for_better else event.severity


def _episode(event: Anomaly) -> str:
    if event.start is None or event.end is None or event.end <= event.start:
        return when(event.timestamp)
    return f"{when(event.start)}, {format_duration((event.end - event.start).total_seconds())}"


def drifts(found: tuple[UnexpectedDrift, ...]) -> str:
    return table(
        ("KPI", "Against", "Before → after", "Drift", "Trend over the days", "Investigate?"),
        [
            (
                code(drift.metric_name),
                prose(baseline_name(drift.baseline)),
                _drift_pair(drift),
                "?" if drift.drift_percent is None else signed(drift.drift_percent),
                drift.trend,
                "yes" if drift.investigation_needed else "no",
            )
            for drift in found
        ],
        (2, 3),
    )


def new_levels(found: tuple[NewLevel, ...]) -> Iterator[str]:
    """A line per KPI that moved and stayed away: from where to where, since when, and which anomalies are this too."""
    for level in found:
        values = prose(both(level.before, level.after, unit_of(level.metric_name, level.unit)))
        notes = [f"noticed {format_duration((level.noticed - level.since).total_seconds())} later"]
        if level.anomalies:
            notes.append(f"{count(len(level.anomalies), 'anomaly', 'anomalies')} on the way")
        if level.in_maintenance:
            notes.append("began in maintenance")
        since = when(level.since)
        new, moving = f"new level: {values} since {since}", f"has not come back since {since}, still moving: {values}"
        yield f"{code(level.metric_name)}: {new if level.settled else moving} ({', '.join(notes)})"


def candidates(found: tuple[UnexpectedDrift, ...]) -> Iterator[str]:
    """What moved with each drift; drifts with the same candidates share a line."""
    by_causes: dict[tuple[str, ...], list[str]] = {}
    for drift in found:
        by_causes.setdefault(drift.potential_causes, []).append(code(drift.metric_name))
    for causes, names in by_causes.items():
        yield f"{listed(names)}: {prose('; '.join(causes))}"


def cost(cost: CostAnalysis) -> str:
    if cost.daily_average_cost is None:
        return prose(cost.note or "No cost: there is no data.")
    unit = cost.currency or ""
    rows = [
        ("GA day", _value(cost.ga_day_cost, unit)),
        (f"A day of the week after (mean of {count(cost.days_counted, 'day')})", _value(cost.daily_average_cost, unit)),
        (f"Total of {count(cost.days_counted, 'day')}", _value(cost.seven_day_total_cost, unit)),
        ("Trend (days 5–7 against days 1–3)", cost.cost_trend),
    ]
    parts = [
        (part, _value(value, unit), f"{100 * value / cost.daily_average_cost:.0f} %")
        for part, value in cost.cost_breakdown.items()
        if value is not None and cost.daily_average_cost > 0
    ]
    tables = [table(("Cost", "Amount"), rows, (1,))]
    if parts:
        tables.append(table(("Resource", "A day", "Share"), parts, (1, 2)))
    return "\n\n".join(tables)


def slos(found: tuple[SloBurnDown, ...]) -> str:
    return table(
        ("Objective", "Achieved", "Window's budget used", "30-day budget used", "Days to exhaustion", "Status"),
        [
            (
                f"{prose(slo.slo_name)}: {_limit(slo)}",
                _value(slo.value, slo.unit),
                _percent(slo.budget_consumed_percent),
                _percent(month_share(slo)),
                _days_left(slo),
                state(slo),
            )
            for slo in found
        ],
        (1, 2, 3, 4),
    )


def _limit(slo: SloBurnDown) -> str:
    """An objective on bad events has its target as its budget."""
    return prose(limit(slo.target, slo.unit, counts_bad=slo.target == slo.budget))


def _days_left(slo: SloBurnDown) -> str:
    if slo.days_to_exhaustion is None:
        return "not at this rate" if is_decided(slo) else "?"
    return "gone" if slo.days_to_exhaustion <= 0 else f"{slo.days_to_exhaustion:.1f}"


def slo_notes(found: tuple[SloBurnDown, ...]) -> Iterator[str]:
    for slo in found:
        missed = [day.day for day in slo.compliance_by_day if day.compliant is False]
        when = f"missed on {day_list(missed)}. " if missed else ""
        if when or slo.why:
            yield f"{prose(slo.slo_name)}: {when}{prose(slo.why)}"


def when(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _value(value: float | None, unit: str) -> str:
    return prose(format_value(value, unit))


def _pair(row: Regression) -> str:
    shown = agrees(row.baseline_value, row.current_value, row.change, row.of_bad_share)
    return prose(pair_text(row) if shown else NO_PAIR)


def _drift_pair(drift: UnexpectedDrift) -> str:
    shown = agrees(drift.baseline_value, drift.final_value, drift.drift_percent, drift.of_bad_share)
    return prose(both(drift.baseline_value, drift.final_value, drift.unit) if shown else NO_PAIR)


def share(share: float | None) -> str:
    return "not stated" if share is None else format_value(100 * share, "%")


def _percent(value: float | None) -> str:
    return "?" if value is None else format_value(value, "%")
