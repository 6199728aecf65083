"""What a row of the comparison says, in short sentences: how far the KPI moved, how sure that is, since when, and which
baselines say the same; and what an error budget's pace says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from observability.definitions import Direction
from observability.judgement.pace import LAST_DAYS, Pace
from observability.model import format_instant
from observability.units import format_change, format_duration, format_value
from observability.verdicts import Regression, Role

ROLES: dict[str, Role] = {"week_before": "decides", "ga_day": "confirms"}  # of rows that do not say theirs
BASELINES = {
    "week_before": "the week before GA, by weekday",
    "ga_day": "the GA day",
    "previous_day": "the day before each",
    "pre_release_median": "the pre-release median",
    "good_day": "the pinned good day",
}
# Where the release is in the baseline already, no change is what a defect shipped at GA looks like.
HAS_THE_RELEASE = frozenset({"ga_day", "previous_day"})
REAL_CHANGE, SEVERE_CHANGE = 0.10, 0.30
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


def size(row: Regression) -> float:
    """Of the relative change, whichever way it goes; infinite from nothing to something."""
    return float("inf") if row.change is None and row.threshold_exceeded else abs(row.change or 0.0)


def changed(row: Regression) -> str:
    """``p99_latency_ms +34.0 % (412 → 552 ms)``"""
    before = format_value(row.baseline_value, row.unit, row.baseline_at_least)
    after = format_value(row.current_value, row.unit, row.current_at_least)
    pair = f"{before.removesuffix(f' {row.unit}')} → {after}"
    if row.change is None:
        return f"{row.metric_name} {pair}"
    what = " of bad events" if row.of_bad_share else ""
    return f"{row.metric_name} {format_change(row.change)}{what} ({pair})"


def against(row: Regression) -> str:
    return f"against {BASELINES.get(row.baseline, row.baseline)}"


def grouped(rows: Sequence[Regression]) -> str:
    """The largest in full, and the others of the same matter with their change."""
    others = [f"{row.metric_name} {format_change(row.change)}" for row in rows[1:]]
    text = f"{changed(rows[0])} {against(rows[0])}"
    return f"{text}, likewise {listed(others)}" if others else text


def evidence_for(row: Regression, peers: Iterable[Regression], ga: datetime, day: timedelta) -> Iterator[str]:
    """What speaks for the change being real, and the release's."""
    sure = ", ".join(_certainty(row))
    yield f"{changed(row)} {against(row)}{f': {sure}' if sure else ''}."
    if row.onset is not None and ga <= row.onset < ga + day:
        after = (row.onset - ga).total_seconds()
        yield f"{row.metric_name} changed {f'{format_duration(after)} after' if after > 0 else 'at'} GA."
    if row.persists and row.ended is None:
        yield f"{row.metric_name} was still changed on each of the last two days."
    agree = [peer for peer in peers if peer.verdict == "fail"]
    if agree:
        yield f"Other baselines agree on {row.metric_name}: {listed([_by(peer) for peer in agree])}."


def evidence_against(row: Regression, peers: Iterable[Regression], ga: datetime, day: timedelta) -> Iterator[str]:
    """What speaks against the change being the release's, real, severe, or still there."""
    name = row.metric_name
    if row.onset is not None and row.onset < ga:
        yield f"{name} began to change at {format_instant(row.onset)}, before GA."
    elif row.onset is not None and row.onset >= ga + day:
        yield f"{name} began to change on day {(row.onset - ga) // day}, not at GA."
    if row.ended is not None:
        yield f"{name} was back at {format_instant(row.ended)}."
    elif row.persists is False:
        yield f"{name} was not changed on each of the last two days."
    differ = [peer for peer in peers if disagrees(peer)]
    if differ:
        yield f"{name} is {format_change(row.change)} {against(row)}, and {listed([_by(peer) for peer in differ])}."
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


def untested(rows: Iterable[Regression]) -> str | None:
    """Which of the rows could not be tested, and why not the first of them."""
    left = [row for row in rows if row.real is None]
    if not left:
        return None
    reason = left[0].obstacle or left[0].why.rstrip(".")
    named = listed([row.metric_name for row in left])
    return f"Not tested: {named}{f' ({left[0].metric_name}: {reason})' if reason else ''}."


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
    if pace.came_with_release is False:
        yield f"The burn of {name} predates GA, so a rollback does not cure it."
    if pace.rate_before is None:
        yield f"How fast {name} burned before GA is not known."
    if pace.lasting_rate is not None and pace.lasting_rate <= 1:
        yield f"{name} did not burn faster than it lasts on each of the last two counted days."


def times(rate: float | None) -> str:
    return f"{format_value(rate, '')} times"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``, or ``a, b, c and 2 more``."""
    more = [f"{len(words) - MOST_NAMED} more"] if len(words) > MOST_NAMED else []
    words = [*words[:MOST_NAMED], *more]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _by(peer: Regression) -> str:
    return f"{format_change(peer.change)} {against(peer)}" if peer.change is not None else against(peer)


def _nearest(row: Regression) -> float | None:
    """The interval's end that is nearest to no change, where both are on one side of it; else 0."""
    if row.interval is None or row.change is None:
        return None
    end = row.interval[0] if row.change > 0 else row.interval[1]
    return None if end is None else end if end * row.change > 0 else 0.0


def _certainty(row: Regression) -> Iterator[str]:
    if row.interval is not None:
        ends = " to ".join("?" if end is None else f"{100 * end:+.1f}" for end in row.interval)
        yield f"interval {ends} %"
    if row.p_adjusted is not None:
        yield "adjusted p " + ("< 0.0001" if row.p_adjusted < 0.0001 else f"{row.p_adjusted:.2g}")
    if row.n is not None and row.n_effective is not None:
        yield f"{row.n} hours, worth {row.n_effective:.0f} independent ones"
    elif row.days is not None:
        yield f"{row.days} day{'s' if row.days != 1 else ''} compared"
    if row.coverage is not None:
        yield f"{100 * row.coverage:.1f} % seen"
