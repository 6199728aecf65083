"""What a row of the comparison says, in short sentences: how far the KPI moved, how sure that is, since when, and which
baselines say the same; and what an error budget's pace says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from observability.definitions import Direction
from observability.judgement.level import REAL_CHANGE, SEVERE_CHANGE
from observability.judgement.pace import LAST_DAYS, Pace
from observability.model import format_instant
from observability.units import format_change, format_duration, format_value
from observability.verdicts import Regression, Role

ROLES: dict[str, Role] = {"week_before": "decides", "ga_day": "confirms"}  # of rows that do not say theirs
BASELINES = {
    "week_before": "the week before GA, by weekday",
    "ga_day": "the GA day",
    "previous_day": "the day before",
    "pre_release_median": "the pre-release median",
    "good_day": "the pinned good day",
}
# Where the release is in the baseline already, no change is what a defect shipped at GA looks like.
HAS_THE_RELEASE = frozenset({"ga_day", "previous_day"})
USER_FACING = frozenset({"availability", "errors", "latency"})  # categories of what users see
SURELY_LATER = 2  # days after GA: on day 1 a change may have come with the release, where the GA day was not compared
WHOLLY_SEEN = 0.95
MOST_NAMED = 3


def role(row: Regression) -> Role:
    return row.role or ROLES.get(row.baseline, "informs")


def is_worse(row: Regression) -> bool:
    """Whether it moved the wrong way. No way is wrong for a two-sided KPI; a change from 0 is one where it is large."""
    if row.direction is Direction.TWO_SIDED or row.below_floor is not None:
        return False
    if row.change is None or row.direction is None:
        return row.threshold_exceeded
    return row.change > 0 if row.of_bad_share or row.direction is Direction.LOWER_IS_BETTER else row.change < 0


def is_worse_by(row: Regression, change: float) -> bool:
    """Whether a relative change of the KPI's badness would be for the worse."""
    if row.direction is None or row.direction is Direction.TWO_SIDED:
        return False
    return change > 0 if row.of_bad_share or row.direction is Direction.LOWER_IS_BETTER else change < 0


def is_judged(row: Regression) -> bool:
    """Whether it was found out if the KPI got worse. Where neither direction is worse, that proves nothing."""
    return row.verdict in {"pass", "fail"} and row.direction is not Direction.TWO_SIDED


def is_ramp(row: Regression) -> bool:
    """Whether it gets worse from day to day, and did not at one instant."""
    if row.onset is not None or row.slope_per_day is None or row.trend not in {"increasing", "decreasing"}:
        return False
    return is_worse_by(row, row.slope_per_day)


def size(row: Regression) -> float:
    """Of the relative change, whichever way it goes; infinite from nothing to something."""
    return float("inf") if row.change is None and row.threshold_exceeded else abs(row.change or 0.0)


def changed(row: Regression) -> str:
    """``p99_latency_ms +34.0 % (412 → 552 ms)``, ``overall_error_rate 0 → 0.2 %, a rise from 0``"""
    if row.change is None:
        moved = _moved(row)
        return f"{row.metric_name} {pair(row)}{f', {moved}' if moved else ''}"
    what = " of bad events" if row.of_bad_share else ""
    return f"{row.metric_name} {format_change(row.change)}{what} ({pair(row)})"


def pair(row: Regression) -> str:
    """``412 → 552 ms``"""
    before = format_value(row.baseline_value, row.unit, row.baseline_at_least)
    after = format_value(row.current_value, row.unit, row.current_at_least)
    return f"{before.removesuffix(f' {row.unit}')} → {after}"


def named(row: Regression) -> str:
    """With how far it moved, where that is known."""
    return f"{row.metric_name} {_moved(row)}".rstrip()


def against(row: Regression, last: int | None = None) -> str:
    """``last``: the number of the week's last day, which is compared with the day before."""
    days = f" (day {last} against day {last - 1})" if row.baseline == "previous_day" and last is not None else ""
    return f"against {BASELINES.get(row.baseline, row.baseline)}{days}"


def grouped(rows: Sequence[Regression]) -> str:
    """The largest in full, and the others of the same matter with their change."""
    others = [named(row) for row in rows[1:]]
    text = f"{changed(rows[0])} {against(rows[0])}"
    return f"{text}, likewise {listed(others)}" if others else text


def evidence_for(
    row: Regression, peers: Iterable[Regression], ga: datetime, day: timedelta, last: int | None = None
) -> Iterator[str]:
    """What speaks for the change being real, and the release's. ``last``: the number of the week's last day."""
    sure = ", ".join(_certainty(row))
    yield f"{changed(row)} {against(row)}{f': {sure}' if sure else ''}."
    if row.onset is not None and ga <= row.onset < ga + day:
        after = (row.onset - ga).total_seconds()
        yield f"{row.metric_name} changed {f'{format_duration(after)} after' if after > 0 else 'at'} GA."
    if is_ramp(row):
        verb = "rises" if row.trend == "increasing" else "falls"
        yield f"{_what(row)} {verb} by {format_change(row.slope_per_day)} a day."
    if row.persists:
        yield f"{row.metric_name} was still changed on each of the last two days."
    agree = [peer for peer in peers if peer.verdict == "fail"]
    if agree:
        yield f"Other baselines agree on {row.metric_name}: {listed([_by(peer, last) for peer in agree])}."


def evidence_against(row: Regression, peers: Iterable[Regression], ga: datetime, day: timedelta) -> Iterator[str]:
    """What speaks against the change being the release's, real, severe, or still there."""
    name = row.metric_name
    if row.onset is not None and row.onset < ga:
        yield f"{name} began to change at {format_instant(row.onset)}, before GA."
    elif row.onset is not None and row.onset >= ga + SURELY_LATER * day:
        yield f"{name} began to change on day {(row.onset - ga) // day}, not at GA."
    if row.real and row.persists is False:
        since = "on at least one of the last two days" if row.ended is None else f"at {format_instant(row.ended)}"
        yield f"{name} was back {since}."
    differ = [peer for peer in peers if disagrees(peer)]
    if differ:
        moved = _moved(row) or pair(row)
        yield f"{name} is {moved} {against(row)}, and {listed([_by(peer) for peer in differ])}."
    nearest = _nearest(row)
    if row.threshold_exceeded and nearest is not None and abs(nearest) <= SEVERE_CHANGE:
        yield f"{name} may have changed by no more than {format_change(nearest)}."
    if row.basis not in {None, "as measured"}:
        yield f"{name} was judged {row.basis}, because the traffic changed."
    if row.coverage is not None and row.coverage < WHOLLY_SEEN:
        yield f"Only {100 * row.coverage:.1f} % of {name} was seen."


def disagrees(peer: Regression) -> bool:
    """Whether another baseline was assessed and shows no loss. The GA day and the day before may confirm, never veto:
    they have the release in them."""
    return peer.verdict == "pass" and peer.baseline not in HAS_THE_RELEASE


def not_judged(rows: Iterable[Regression]) -> str | None:
    """Which of the rows could not be judged, all that users see first, and why not the first of them."""
    left = [row for row in rows if not is_judged(row) and row.direction is not Direction.TWO_SIDED]
    left.sort(key=lambda row: (row.category not in USER_FACING, -size(row)))
    if not left:
        return None
    reason = left[0].obstacle or left[0].why.rstrip(".")
    seen = sum(row.category in USER_FACING for row in left)
    words = listed([named(row) if size(row) > REAL_CHANGE else row.metric_name for row in left], max(seen, MOST_NAMED))
    return f"Could not be judged: {words}{f' ({left[0].metric_name}: {reason})' if reason else ''}."


def burning(pace: Pace, name: str) -> str:
    """How fast a budget burned, and when it is gone if it goes on like that."""
    rate, left = pace.lasting_rate, pace.lasting_hours_left
    text = f"the error budget of {name} burned at {times(pace.slo.burn_rate)} the pace at which it lasts 30 days"
    if left == 0:
        return f"{text}; it is gone, and still burns at {times(rate)}"
    if left is not None:
        return f"{text}; at the last two days' rate it is gone in {format_value(left, 'hours')}"
    return f"{text}; it is gone" if pace.spent is not None and pace.spent >= 1 else text


def burned(pace: Pace) -> Iterator[str]:
    """The burn rates of the last counted days, and before GA."""
    name = pace.slo.slo_name
    if pace.after:
        last = [f"{times(day.rate)} on day {day.day}" for day in pace.after[-LAST_DAYS:]]
        yield f"{name} burned at {listed(last)}."
    if pace.rate_before is not None:
        yield f"{name} burned at {times(pace.rate_before)} in the week before GA."


def against_burn(pace: Pace) -> Iterator[str]:
    """What speaks against a burn being the release's, or still going on."""
    name = pace.slo.slo_name
    if pace.rate_before is None:
        yield f"How fast {name} burned before GA is not known."
    if pace.lasting_rate is None:
        yield f"{name} was counted on {'only one day' if pace.after else 'no day'}, which is no pace."
    elif pace.lasting_rate <= 1:
        fast = [f"day {day.day}: {times(day.rate)}" for day in pace.after[-LAST_DAYS:] if day.rate > 1]
        days = f"only one of the last two counted days ({fast[0]})" if fast else "neither of the last two counted days"
        yield f"{name} burned faster than it lasts on {days}."
    elif pace.came_with_release is False:
        rates = f"{times(pace.rate_before)} before, {times(pace.lasting_rate)} now"
        yield f"More than half of the burn of {name} predates GA ({rates}), so a rollback does not cure it."


def times(rate: float | None) -> str:
    return f"{format_value(rate, '')} times"


def listed(words: Sequence[str], most: int = MOST_NAMED) -> str:
    """``a, b and c``, or ``a, b, c and 2 more``."""
    more = [f"{len(words) - most} more"] if len(words) > most else []
    words = [*words[:most], *more]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _by(peer: Regression, last: int | None = None) -> str:
    return f"{_moved(peer)} {against(peer, last)}".lstrip()


def _moved(row: Regression) -> str:
    """Relatively; from 0 in percentage points, where they are known. Empty where it is not known."""
    if row.change is not None:
        return format_change(row.change)
    if row.baseline_value is None or row.current_value is None or not (row.threshold_exceeded or _was_zero(row)):
        return ""
    verb = "rise" if row.of_bad_share or row.current_value > row.baseline_value else "fall"
    points = _points(row)
    return f"a {verb} from 0{f' ({points})' if points else ''}"


def _was_zero(row: Regression) -> bool:
    assert row.baseline_value is not None  # a row without it has no change to speak of
    whole = 100.0 if row.unit.startswith("%") else 1.0
    return (whole - row.baseline_value if row.of_bad_share else row.baseline_value) == 0


def _points(row: Regression) -> str:
    low, high = row.points_interval or (None, None)
    return _ends(low, high, "{:+.2g}", "percentage points")


def _ends(low: float | None, high: float | None, form: str, unit: str) -> str:
    """An interval, whose ends may be open."""
    if low is None and high is None:
        return ""
    if low is None or high is None:
        end = high if low is None else low
        return f"at {'most' if low is None else 'least'} {form.format(end)} {unit}"
    return f"{form.format(low)} to {form.format(high)} {unit}"


def _what(row: Regression) -> str:
    return f"The bad share of {row.metric_name}" if row.of_bad_share else row.metric_name


def _nearest(row: Regression) -> float | None:
    """The interval's end that is nearest to no change, where both are on one side of it; else 0."""
    if row.interval is None or row.change is None:
        return None
    end = row.interval[0] if row.change > 0 else row.interval[1]
    return None if end is None else end if end * row.change > 0 else 0.0


def _interval(row: Regression) -> str:
    """In percentage points where an end of the relative one is open; that of a rise from 0 is told with the rise."""
    if row.interval is None or row.change is None:
        return ""
    low, high = row.interval
    if (low is None or high is None) and (points := _points(row)):
        return points
    percent = [None if end is None else 100 * end for end in row.interval]
    return _ends(percent[0], percent[1], "{:+.1f}", "%")


def _certainty(row: Regression) -> Iterator[str]:
    interval = _interval(row)
    if interval:
        yield f"interval {interval}"
    if row.real and row.p_adjusted is not None:
        yield "adjusted p " + ("< 0.0001" if row.p_adjusted < 0.0001 else f"{row.p_adjusted:.2g}")
    if row.n is not None and row.n_effective is not None:
        yield f"{row.n} hours, worth {row.n_effective:.0f} independent ones"
    elif row.days is not None:
        yield f"{row.days} day{'s' if row.days != 1 else ''} compared"
    if row.coverage is not None:
        yield f"{100 * row.coverage:.1f} % seen"
