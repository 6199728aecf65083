"""One comparison and what the tests say of it, as a row of the summary: verdict, labels and one sentence why."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from observability.artifacts import Severity, Verdict
from observability.comparable import HOURS
from observability.definitions import Direction
from observability.judgement.badness import relative, whole_of
from observability.judgement.comparison import Comparison
from observability.judgement.level import REAL_CHANGE, SEVERE_CHANGE, is_beyond
from observability.judgement.obstacles import is_from_zero, other_hours
from observability.judgement.summary import LARGE_DRIFT_PERCENT, UNEXPECTED_DRIFT_PERCENT, drift_percent
from observability.judgement.tested import FALSE_DISCOVERIES, Tested, course, onset
from observability.units import format_change, format_value
from observability.verdicts import Regression

WHOLE_DAY = timedelta(days=1)


def row_of(found: Comparison, tested: Tested, service: str) -> Regression:
    """The row of one KPI against one baseline."""
    kpi, change = found.kpi, found.change
    obstacle = _obstacle(found, tested)
    real, verdict, why = _judge(found, tested, obstacle)
    trend, slope = course(found) if found.baseline.role != "informs" else ("unknown", None)
    began, ended = _when(found, tested) if real else (None, None)
    return Regression(
        metric_name=found.name,
        severity="medium" if is_from_zero(found) else _severity(found.size_percent),
        category=kpi.category,
        impact=_impact(found),
        baseline_value=found.before,
        current_value=found.after,
        drift_percent=_finite(drift_percent(found.after, found.before)),
        threshold_exceeded=found.size_percent > LARGE_DRIFT_PERCENT,
        service=service,
        baseline=found.baseline.name,
        role=found.baseline.role,
        unit=kpi.unit,
        direction=kpi.direction,
        real=real,
        change=_finite(change),
        of_bad_share=found.good_share,
        basis=None if change is None or isinstance(found.at_load, str) else found.at_load.basis,
        below_floor=found.floor if found.below_floor else None,
        baseline_at_least=found.before_at_least,
        current_at_least=found.after_at_least,
        persists=tested.persists if obstacle is None else None,
        last_change=None if found.last_ratio is None else _finite(relative(found.last_ratio)),
        obstacle=obstacle,
        interval=tested.interval if obstacle is None else None,
        points=found.points,
        points_interval=tested.points_interval if obstacle is None else None,
        p=tested.p if obstacle is None else None,
        p_adjusted=tested.p_adjusted if obstacle is None else None,
        detectable=tested.detectable if obstacle is None else None,
        n=tested.n,
        n_effective=tested.n_effective,
        days=len(found.numbers),
        trend=trend,
        slope_per_day=slope,
        onset=began,
        ended=ended,
        coverage=found.coverage,
        verdict=verdict,
        why=why,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _obstacle(found: Comparison, tested: Tested) -> str | None:
    if tested.obstacle is None and found.change is not None and tested.p is None:
        return "the summaries hold too few hourly values to test it"
    return tested.obstacle


def _judge(found: Comparison, tested: Tested, obstacle: str | None) -> tuple[bool | None, Verdict, str]:
    """Real or not, the verdict, and one sentence why."""
    about = found.baseline.about
    if found.before is None or found.after is None:
        side = about if found.before is None else "the week after GA"
        note = f" ({found.baseline.note})" if found.before is None and found.baseline.note else ""
        return None, "no data", f"There is no data for {side}{note}."
    if found.change is None:
        return None, "inconclusive", f"No day has a partner in {about}{other_hours(found)}."
    moved = _moved(found, tested if obstacle is None else Tested())
    if obstacle is not None:
        return None, "inconclusive", f"{moved}; {obstacle}."
    doubt = _doubt(found, tested)
    if tested.real:
        return _of_real(found, tested, moved)
    if doubt is not None:
        return False, "inconclusive", f"{moved}; {doubt}."
    if found.below_floor:
        return False, "pass", f"{moved}; that counts as no change."
    return False, *_of_unreal(found, tested, moved)


def _doubt(found: Comparison, tested: Tested) -> str | None:
    """What the median day does not show: that the week's share moved, or that the last day is far worse."""
    if found.is_uneven and found.pooled is not None:
        before, after = (100 / whole_of(found.kpi) * share for share in found.pooled)
        return f"but of all events the bad ones went from {before:.3g} to {after:.3g} %: some days are bad"
    last, margin = found.last_ratio, max(SEVERE_CHANGE, tested.detectable or 0.0)
    if last is not None and relative(abs(last)) > margin and found.is_worse_by(last):
        return f"but its last day is {format_change(relative(last))}, and one day is not evidence"
    return None


def _of_real(found: Comparison, tested: Tested, moved: str) -> tuple[bool, Verdict, str]:
    if tested.began_before is not None:
        since = f"{-tested.began_before} day{'s' if tested.began_before != -1 else ''} before GA"
        return True, "inconclusive", f"{moved}: real, but it began {since}, so it did not come with the release."
    if found.kpi.direction is Direction.TWO_SIDED:
        return True, "inconclusive", f"{moved}: real, and neither direction of this KPI is worse by itself."
    if found.is_worse:
        return True, "fail", f"{moved}: real, for the worse."
    return True, "pass", f"{moved}: real, for the better."


def _of_unreal(found: Comparison, tested: Tested, moved: str) -> tuple[Verdict, str]:
    """Large and not significant is no pass; nor is a small change where a severe one would not have been seen."""
    assert found.change is not None
    if is_beyond(found.change):
        if tested.beyond and tested.p is not None and tested.p <= FALSE_DISCOVERIES:
            return "inconclusive", f"{moved}: large, and with p {_p(tested)} for so many KPIs not significant."
        if tested.beyond:
            return "inconclusive", f"{moved}: large, and with p {_p(tested)} not significant."
        return "inconclusive", f"{moved}: large, not significant; {_least(found, tested)}."
    if _would_show(found, tested):
        return "pass", f"{moved}, within {100 * REAL_CHANGE:.0f} %."
    return "inconclusive", f"{moved}: small, but {_least(found, tested)}."


def _would_show(found: Comparison, tested: Tested) -> bool:
    """Whether a severe worsening would have been called; of a share, whether what it can be is below the floor."""
    if tested.points_interval is not None and found.floor is not None:
        low, high = tested.points_interval
        ends = [high] if found.is_worse_by(1.0) else []
        ends += [None if low is None else -low] if found.is_worse_by(-1.0) else []
        if all(end is not None and end <= found.floor for end in ends):
            return True
    return tested.detectable is not None and tested.detectable <= SEVERE_CHANGE


def _least(found: Comparison, tested: Tested) -> str:
    if tested.detectable is None:
        return "the events are too few, or come too much in bursts, to tell"
    what = (
        "with so few events" if found.counts is not None else "ordinary days and weeks of this KPI differ so much that"
    )
    return f"{what} only a change beyond {format_change(tested.detectable).lstrip('+')} could be told"


def _p(tested: Tested) -> str:
    return "unknown" if tested.p_adjusted is None else f"{tested.p_adjusted:.2g}"


def _moved(found: Comparison, tested: Tested) -> str:
    what = "bad share's change" if found.good_share else "change"
    days = f"{len(found.numbers)} day{'s' if len(found.numbers) != 1 else ''}"
    text = f"The {what} over {days} against {found.baseline.about} is {_change_text(found)}"
    if tested.interval is not None and not found.below_floor:
        text += f" ({_interval(tested)})"
    if not isinstance(found.at_load, str) and found.at_load.clause is not None:
        text += f", {found.at_load.clause}"
    if not found.below_floor:
        return text
    before = format_value(found.before, found.kpi.unit).removesuffix(f" {found.kpi.unit}")
    pair = f"{before} → {format_value(found.after, found.kpi.unit)}"
    return f"{text} ({pair}), below the floor of {found.floor:.3g} percentage points"


def _interval(tested: Tested) -> str:
    low, high = tested.interval or (None, None)
    if (low is None or high is None) and tested.points_interval is not None:
        return " to ".join(f"{end:+.2g}" for end in tested.points_interval if end is not None) + " percentage points"
    return f"{'?' if low is None else format_change(low)} to {'?' if high is None else format_change(high)}"


def _change_text(found: Comparison) -> str:
    if found.change is None or math.isfinite(found.change):
        return format_change(found.change)
    return "a rise from 0" if found.change > 0 else "a fall from 0"


def _impact(found: Comparison) -> str:
    before = format_value(found.before, found.kpi.unit, found.before_at_least)
    after = format_value(found.after, found.kpi.unit, found.after_at_least)
    if found.baseline.is_one_pair and found.numbers:
        return f"{before} {found.baseline.during}, {after} on day {found.numbers[-1]}"
    return f"{before} {found.baseline.during}, {after} in the week after GA (medians of the days)"


def _severity(size_percent: float) -> Severity:
    """By the documents' sizes: to 10 % low, to 30 % medium, above high; more than doubled is critical."""
    if size_percent <= UNEXPECTED_DRIFT_PERCENT:
        return "low"
    if size_percent <= LARGE_DRIFT_PERCENT:
        return "medium"
    return "high" if size_percent <= 100 else "critical"


def _when(found: Comparison, tested: Tested) -> tuple[datetime | None, datetime | None]:
    """When the change began and went away."""
    hours, start = onset(found, tested), found.start
    if hours is None or start is None:
        return None, None
    began, ended = hours
    hour = WHOLE_DAY / HOURS
    return start + began * hour, None if ended is None else start + ended * hour
