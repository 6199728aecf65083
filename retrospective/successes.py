"""What went well, with the figures that it rests on. Missing data is no success."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from observability.definitions import Direction
from observability.model import LAST_DAY
from observability.report import Success
from observability.units import format_value
from observability.verdicts import Regression
from retrospective.changes import BASELINES, DRIFT, change_text, deciding, described, has_values, is_worse, size
from retrospective.degradations import degradations
from retrospective.objectives import ObjectiveWeek
from retrospective.record import INCIDENTS, WeekRecord, change_of, family, percent_change
from retrospective.wording import day_list, signed


def successes(week: WeekRecord) -> tuple[Success, ...]:
    """What held: objectives, alerts, KPIs. Each names the days that it was assessed on."""
    return (*_objectives_met(week), *_no_alert(week), *_improved(week), *_held(week))


def _objectives_met(week: WeekRecord) -> Iterator[Success]:
    for slo in week.objectives:
        assessed = [day for day, found in slo.days.items() if found.compliant is not None and day not in week.partial]
        if not assessed or not all(slo.days[day].compliant for day in assessed):
            continue
        actual = _over_the_week(slo)
        yield Success(
            category=week.about(slo.kpi).category,
            description=f"{slo.name} met its objective on {_all_of(assessed, 'each')}",
            metric_name=slo.kpi,
            target_value=slo.limit,
            actual_value=format_value(actual, slo.unit),
            achievement_percent=_achievement(actual, slo.target, slo.counts_bad),
        )


def _over_the_week(slo: ObjectiveWeek) -> float | None:
    """Share of good events (of bad ones where the objective counts them) over all days, every event counting once."""
    counted = slo.over_all_days
    if counted is None:
        return None
    bad, total = counted
    return 100.0 * (bad if slo.counts_bad else total - bad) / total


def _achievement(actual: float | None, target: float, lower_is_better: bool) -> float | None:
    """actual / target in per cent, or target / actual where lower is better; None where nothing divides."""
    if actual is None or (actual == 0 and lower_is_better):
        return None
    return 100.0 * (target / actual if lower_is_better else actual / target)


def _all_of(days: list[int], each: str) -> str:
    missing = [day for day in range(LAST_DAY + 1) if day not in days]
    text = f"{each} of the {len(days)} assessed days" if len(days) > 1 else day_list(days)
    return f"{text}; not assessed: {day_list(missing)}" if missing else text


def _no_alert(week: WeekRecord) -> Iterator[Success]:
    values = week.values(INCIDENTS)
    if values and all(value == 0 for value in values.values()):
        yield Success(
            category="incidents",
            description=f"No critical alert fired on {_all_of(list(values), 'any')}",
            metric_name=INCIDENTS,
            target_value="0 incidents",
            actual_value="0 incidents",
            achievement_percent=None,
        )


def _improved(week: WeekRecord) -> Iterator[Success]:
    """Changes for the better that were tested and are real."""
    for row in deciding(week.rows):
        if row.real is True and row.direction is not Direction.TWO_SIDED and has_values(row) and not is_worse(row):
            yield Success(
                category=row.category,
                description=f"{described(row)} against the week before GA: a real change for the better",
                metric_name=row.metric_name,
                target_value=format_value(row.baseline_value, row.unit, row.baseline_at_least),
                actual_value=format_value(row.current_value, row.unit, row.current_at_least),
                achievement_percent=None,
            )


def _held(week: WeekRecord) -> Iterator[Success]:
    """KPIs within 10 % of the week before GA and of the GA day; without a week before, of the GA day on each day.

    Not those that were degraded on some day: their median day says little.
    """
    degraded = {family(item.category, item.metric_name) for item in degradations(week) if item.metric_name is not None}
    for kpi in week.kpis:
        about = week.about(kpi)
        if kpi == INCIDENTS or week.is_twin(kpi) or family(about.category, kpi) in degraded:
            continue
        held = _within_baselines(week, kpi) if week.has_before else _within_ga_day(week, kpi)
        if held is not None:
            yield Success(
                category=about.category,
                description=f"{kpi} held within {DRIFT:.0f} % of {held[0]}",
                metric_name=kpi,
                target_value=f"within {DRIFT:.0f} % of {held[0]}",
                actual_value=held[1],
                achievement_percent=None,
            )


def _within_baselines(week: WeekRecord, kpi: str) -> tuple[str, str] | None:
    rows = _both_rows(week, kpi)
    if len(rows) < 2 or not all(map(_held_by, rows)):
        return None
    names = [f"{BASELINES[row.baseline]}{_basis(row)}" for row in rows]
    return " and of ".join(names), " and ".join(map(change_text, rows))


def _both_rows(week: WeekRecord, kpi: str) -> list[Regression]:
    """Against the week before GA, and against the GA day."""
    rows = {row.baseline: row for row in week.rows if row.metric_name == kpi}
    return [rows[baseline] for baseline in ("week_before", "ga_day") if baseline in rows]


def _held_by(row: Regression) -> bool:
    """Within 10 %, and nothing kept it from being judged. What moved below a floor did move, and so did a bill that is
    higher because the traffic is."""
    within = has_values(row) and size(row) <= DRIFT and row.below_floor is None and row.obstacle is None
    return within and not (row.category == "cost" and _plain_change(row) > DRIFT)


def _plain_change(row: Regression) -> float:
    """Of the values as they are, in per cent."""
    if row.baseline_value is None or row.current_value is None or row.baseline_value <= 0:
        return 0.0
    return percent_change(row.baseline_value, row.current_value)


def _basis(row: Regression) -> str:
    """How it was compared where not as measured: a CPU that held per request may have doubled."""
    return "" if row.basis in {None, "as measured"} else f" {row.basis}"


def _within_ga_day(week: WeekRecord, kpi: str) -> tuple[str, str] | None:
    values = week.values(kpi)
    ga = values.pop(0, None)
    if ga is None or not values:
        return None
    if not all(week.compares_with_ga(kpi, day) and not week.is_bound(kpi, day) for day in values):
        return None
    about = replace(week.about(kpi), floor=0.0)  # what moved below the floor did move
    changes = [change_of(about, ga, value) for value in values.values()]
    known = [change for change in changes if change is not None]
    furthest = max(known, key=abs, default=math.inf)
    if len(known) < len(changes) or abs(furthest) > DRIFT:
        return None
    return f"the GA day on {day_list(values)} (there is no week before GA)", f"at most {signed(furthest)}"
