"""The gate's rows: each KPI against the earlier days, which decide, and against the minutes just before."""

from __future__ import annotations

import math

from observability.artifacts import Severity, Verdict
from observability.definitions import Direction
from observability.judgement.gate_comparison import REAL_CHANGE, SEVERE_CHANGE, Comparison
from observability.judgement.gate_windows import MIN_COVERAGE, Windows
from observability.judgement.placebos import FEWEST_PLACEBOS, Contrast, rank_p
from observability.judgement.summary import drift_percent, worse
from observability.units import format_change, format_value
from observability.verdicts import Basis, Interval, Regression

BEFORE, EARLIER = "just_before", "earlier_days"
MOST_P = 0.025  # of a rank among the day before's neighbours


def row(found: Comparison, p_adjusted: float | None, tests: int, service: str) -> Regression:
    """The row against the earlier days; ``tests``: how many KPIs of the service were tested."""
    windows, real = found.windows, found.is_real(p_adjusted)
    reading = found.chosen
    verdict, why = _judged(found, real)
    is_share = windows.is_share
    return Regression(
        **_common(windows, service),
        severity=_severity(found),
        baseline=EARLIER,
        role="decides",
        impact=f"{_value(windows, windows.usual)} at the same time of earlier days, {_value(windows, windows.now)} now",
        baseline_value=_shown(windows, windows.usual),
        drift_percent=drift_percent(_shown(windows, windows.now), _shown(windows, windows.usual)),
        threshold_exceeded=found.is_worse and found.is_beyond(SEVERE_CHANGE),
        real=real,
        change=found.change,
        basis=None if reading is None else reading.basis,
        below_floor=found.floor if is_share and reading is not None and not found.is_beyond(0.0) else None,
        persists=None if reading is None else found.persists,
        obstacle=_obstacle(found),
        interval=None if reading is None or is_share else _interval(windows, reading.contrast),
        points=reading.contrast.value if reading is not None and is_share else None,
        points_interval=(found.value - reading.contrast.margin, found.most_points) if reading and is_share else None,
        p=found.p,
        p_adjusted=p_adjusted,
        detectable=None if reading is None or is_share else windows.relative(reading.contrast.critical(tests)),
        days=windows.known_days,
        verdict=verdict,
        why=why,
    )


def row_before(found: Comparison, service: str) -> Regression:
    """The row against the window just before, which informs. p is the change's rank among those of neighbouring windows
    of the day before."""
    windows = found.windows
    difference, placebos = windows.between(windows.before, windows.now), windows.neighbours
    is_known, change = not math.isnan(difference), _relative(windows)
    p = rank_p(difference, placebos) if is_known and placebos.size else None
    is_large = is_known and not (change is not None and abs(change) <= REAL_CHANGE)  # any change from 0 is
    if windows.is_share:
        is_large = is_large and abs(difference) > found.floor
    real = is_large and p <= MOST_P if p is not None and placebos.size >= FEWEST_PLACEBOS else None
    is_worse = is_known and _is_worse(windows, difference)
    return Regression(
        **_common(windows, service),
        severity="low",
        baseline=BEFORE,
        role="informs",
        impact=f"{_value(windows, windows.before)} just before, {_value(windows, windows.now)} now",
        baseline_value=_shown(windows, windows.before),
        drift_percent=drift_percent(_shown(windows, windows.now), _shown(windows, windows.before)),
        threshold_exceeded=is_worse and change is not None and abs(change) > SEVERE_CHANGE,
        real=real,
        change=change,
        points=difference if windows.is_share and is_known else None,
        p=p,
        verdict=_verdict_before(is_known, is_large, bool(real and is_worse)),
        why=_why_before(windows, change, real),
    )


def _verdict_before(is_known: bool, is_large: bool, is_really_worse: bool) -> Verdict:
    if not is_known:
        return "no data"
    if not is_large:
        return "pass"
    return "fail" if is_really_worse else "inconclusive"


def _why_before(windows: Windows, change: float | None, real: bool | None) -> str:
    if math.isnan(windows.now) or math.isnan(windows.before):
        return f"There is no data of it {'now' if math.isnan(windows.now) else 'just before'}."
    told = {
        None: "not tested",
        True: "more than neighbouring windows differ by",
        False: "not unusual",
    }
    return f"{_moved(windows, windows.before, change, 'the window just before')}; {told[real]}."


def _common(windows: Windows, service: str) -> dict[str, object]:
    kpi = windows.summary
    return {
        "metric_name": windows.kpi.name,
        "category": kpi.category,
        "service": service,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "of_bad_share": _is_good_share(windows),
        "current_value": _shown(windows, windows.now),
        "current_at_least": kpi.at_least,
        "coverage": kpi.coverage,
        "n": kpi.n,
    }


def _judged(found: Comparison, real: bool | None) -> tuple[Verdict, str]:
    """The verdict, and one sentence why."""
    windows = found.windows
    if math.isnan(windows.now):
        return "no data", _why_missing(windows)
    if math.isnan(windows.usual):
        return "no data", "No earlier day has data of it at this time."
    if windows.now == windows.usual == 0 and not windows.is_share:
        return "pass", "It is 0, as at the same time of earlier days."
    basis: Basis = "as measured" if found.chosen is None else found.chosen.basis
    moved = _moved(windows, windows.usual, found.change, "the same time of earlier days", basis)
    obstacle = _obstacle(found)
    if obstacle is not None:
        return "inconclusive", f"{moved}; {obstacle}."
    if real:
        return _judged_real(found, moved)
    way = "either way" if windows.kpi.direction is Direction.TWO_SIDED else "for the worse"
    if found.excludes_severe:
        return "pass", f"{moved}; more than {_allowed(found)} {way} is excluded at 98 %."
    return "inconclusive", f"{moved}, which is not proven; but {_worst(found)} {way} cannot be excluded."


def _judged_real(found: Comparison, moved: str) -> tuple[Verdict, str]:
    if found.windows.kpi.direction is Direction.TWO_SIDED:
        return "inconclusive", f"{moved}, which is real; neither direction of this KPI is worse by itself."
    if not found.is_worse:
        return "pass", f"{moved}, which is real and for the better."
    if not found.persists:
        return "inconclusive", f"{moved}, which is real; but the second half of the window no longer shows it."
    return "fail", f"{moved}, which is real: no window without a release differs as much."


def _obstacle(found: Comparison) -> str | None:
    is_known = not (math.isnan(found.windows.now) or math.isnan(found.windows.usual))
    return found.obstacle if is_known else None


def _why_missing(windows: Windows) -> str:
    kpi = windows.summary
    if kpi.value is not None and kpi.coverage < MIN_COVERAGE:
        return f"Only {100 * kpi.coverage:.0f} % of the window was seen."
    return f"It has no value since the release: {kpi.note or 'no data'}."


def _moved(windows: Windows, before: float, change: float | None, against: str, basis: Basis = "as measured") -> str:
    """What happened, in words: of a share of events the bad share, because a relative change of few is large."""
    if windows.is_share:
        return f"The bad share is {format_value(windows.now, '%')}, and {format_value(before, '%')} at {against}"
    if change is None:
        return f"It rose from 0 at {against}"
    per_request = " per request" if basis == "per request" else ""
    return f"It changed by {format_change(change)}{per_request} against {against}"


def _allowed(found: Comparison) -> str:
    if found.windows.is_share:
        return f"{found.allowed_points:.3g} percentage points"
    return f"{100 * SEVERE_CHANGE:.0f} %"


def _worst(found: Comparison) -> str:
    if found.windows.is_share:
        return f"{found.most_points:.3g} percentage points"
    low, high = found.worst_interval
    worst = low if found.windows.kpi.direction is Direction.HIGHER_IS_BETTER else high
    return format_change(worst)


def _interval(windows: Windows, contrast: Contrast) -> Interval:
    """Of the relative change."""
    return windows.relative(contrast.value - contrast.margin), windows.relative(contrast.value + contrast.margin)


def _severity(found: Comparison) -> Severity:
    """By the documents' sizes: to 10 % low, to 30 % medium, above high; more than doubled is critical."""
    if not found.is_worse or not found.is_large:
        return "low"
    if not found.is_beyond(SEVERE_CHANGE):
        return "medium"
    return "critical" if found.change is not None and found.change > 1 else "high"


def _relative(windows: Windows) -> float | None:
    """Since the window just before; None where there is none, or from 0."""
    before, now = windows.before, windows.now
    if math.isnan(before) or math.isnan(now) or before == 0 != now:
        return None
    return 0.0 if before == now else (now - before) / abs(before)


def _is_worse(windows: Windows, difference: float) -> bool:
    kpi = windows.kpi
    if kpi.direction is Direction.TWO_SIDED:
        return False
    return worse(difference, Direction.LOWER_IS_BETTER if windows.is_share else kpi.direction)


def _is_good_share(windows: Windows) -> bool:
    """Whether the KPI is a share of good events, of which the bad share is compared."""
    return windows.is_share and windows.kpi.direction is Direction.HIGHER_IS_BETTER


def _shown(windows: Windows, value: float) -> float | None:
    """The KPI itself, in its unit, from what is compared."""
    if math.isnan(value):
        return None
    if not windows.is_share:
        return value
    share = 1 - value / 100 if _is_good_share(windows) else value / 100
    return windows.kpi.scale * share


def _value(windows: Windows, value: float) -> str:
    return format_value(_shown(windows, value), windows.summary.unit)
