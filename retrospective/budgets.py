"""Error budgets as the report reads them: how fast they burned, what is left, and how that is called."""

from __future__ import annotations

from observability.units import format_value
from observability.verdicts import SloBurnDown
from retrospective.changes import DRIFT
from retrospective.degradations import BUDGET_DAYS
from retrospective.record import WeekRecord
from retrospective.wording import day_list, listed

BUDGET_GONE = 100.0  # per cent of the 30-day budget
MODERATE_BURN = 0.5


def burn_rate(slo: SloBurnDown) -> float | None:
    """Bad events over those that the window's budget allows; older files state only the share that was consumed."""
    if slo.burn_rate is not None or slo.budget_consumed_percent is None:
        return slo.burn_rate
    return slo.budget_consumed_percent / 100.0


def is_decided(slo: SloBurnDown) -> bool:
    """Whether there was enough to say. Older files carry no verdict, only the budget that was consumed."""
    return slo.verdict in {"pass", "fail"} or (slo.total is None and slo.budget_consumed_percent is not None)


def month_share(slo: SloBurnDown) -> float | None:
    """Per cent of the 30-day budget that is spent."""
    if slo.budget_consumed_30d_percent is not None:
        return slo.budget_consumed_30d_percent
    burn, days = burn_rate(slo), sum(day.value is not None for day in slo.compliance_by_day)
    return None if burn is None or days == 0 else 100.0 * burn * days / BUDGET_DAYS


def same_budget(slos: list[SloBurnDown]) -> list[list[SloBurnDown]]:
    """Objectives that count the same events against the same budget stand together."""
    groups: dict[object, list[SloBurnDown]] = {}
    for slo in slos:
        groups.setdefault(slo.slo_name if slo.total is None else (slo.bad, slo.total, slo.budget), []).append(slo)
    return list(groups.values())


def state(slo: SloBurnDown) -> str:
    """The documents' indicator.

    Critical: the 30-day budget is gone. At risk: at this rate it ends before the 30 days do (burn rate above 1).
    Moderate: more than half of the window's budget is used, or a day missed the objective. Else healthy; "?" where
    there was not enough to say.
    """
    burn, share = burn_rate(slo), month_share(slo)
    if burn is None or not is_decided(slo):
        return "? Not assessable"
    if share is not None and share >= BUDGET_GONE:
        return "🚨 Critical"
    if burn > 1:
        return "⚠️ At Risk"
    missed = any(day.compliant is False for day in slo.compliance_by_day)
    return "⚡ Moderate" if missed or burn > MODERATE_BURN else "✅ Healthy"


def burned(week: WeekRecord, slos: list[SloBurnDown]) -> str:
    """How fast, against which pace before GA, and what is left."""
    burn, share, left = burn_rate(slos[0]), month_share(slos[0]), slos[0].days_to_exhaustion
    pace = "" if burn is None else f" {_times(burn)} as fast as it lasts{_pace_before(week, slos[0], burn)}"
    text = f"{listed([slo.slo_name for slo in slos])} burned the error budget{pace}"
    if share is not None:
        text += f": {format_value(share, '%')} of the 30-day budget is spent"
    last = slowed(week, slos[0])
    if last is not None:
        text += f"; on {day_list([last[0]])} it burned only {_times(last[1])} as fast as it lasts"
    elif left is not None and left > 0:
        text += f", and the rest lasts {format_value(left, 'days')} at this rate"
    return text


def slowed(week: WeekRecord, slo: SloBurnDown) -> tuple[int, float] | None:
    """The last counted day and its burn rate, where the budget would last at that; None where not, or not known."""
    found = next((one for one in week.objectives if one.name == slo.slo_name), None)
    rates = {day: rate for day in (found.days if found else ()) if found and (rate := found.burn(day)) is not None}
    last = max(rates, default=None)
    return None if last is None or rates[last] > 1 else (last, rates[last])


def _times(rate: float) -> str:
    return f"{format_value(round(rate, 1) if rate >= 1 else rate, '')} times"


def _pace_before(week: WeekRecord, slo: SloBurnDown, burn: float) -> str:
    """The pace before GA, and that the burn predates the release where it was too fast already and is no faster."""
    before = week.objectives_before.get(slo.slo_name)
    counted = before.over_all_days if before is not None else None
    if counted is None or before is None:
        return ""
    pace = counted[0] / (before.budget / 100 * counted[1])
    if pace > 1 and burn <= pace * (1 + DRIFT / 100):
        return f" (the same in the week before GA, {_times(pace)}: it predates the release)"
    return f" ({_times(pace)} in the week before GA)"
