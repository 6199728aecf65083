"""What a week is compared with: which baselines there are, what each may say, and which of its days is whose partner.

| baseline | partner of day N | role |
|---|---|---|
| week_before | the same weekday of the seven days before GA | decides |
| pre_release_median | the hour-by-hour median of those seven days | informs |
| ga_day | the GA day, which is part of the release: it shows how the week developed | confirms |
| previous_day | day N − 1, for the last day alone: what changed last | informs |
| good_day | a pinned day of this release | informs |
| a name | the same weekday of a named week, or the one day that was given | informs |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.comparable import is_mostly_judged
from observability.model import DAYS_BEFORE
from observability.verdicts import BaselineUsed, Role

WEEK_BEFORE, GA_DAY, PREVIOUS_DAY = "week_before", "ga_day", "previous_day"
PRE_RELEASE_MEDIAN, GOOD_DAY = "pre_release_median", "good_day"
BUILT_IN = (WEEK_BEFORE, GA_DAY, PREVIOUS_DAY, PRE_RELEASE_MEDIAN, GOOD_DAY)

DURING = {WEEK_BEFORE: "in the week before GA", GA_DAY: "on the GA day", PREVIOUS_DAY: "on the day before"}

Days = Mapping[int, DaySummary]


@dataclass(frozen=True)
class Named:
    """A baseline that the user named: its days, one or several, from the file or folder ``source``."""

    name: str
    source: str
    days: tuple[DaySummary, ...]


@dataclass(frozen=True)
class Baseline:
    """``about`` stands in a sentence: "against the week before GA". ``partners``: day since GA → what it is held
    against; the GA day, 0, has one where the baseline is older. ``days`` are those that its figures are of."""

    name: str
    about: str
    role: Role
    days: tuple[DaySummary, ...]
    partners: Days
    source: str | None = None
    note: str | None = None

    @property
    def is_one_pair(self) -> bool:
        """Whether a single day is held against a single day. A baseline that decides waits for more of them."""
        return self.role != "decides" and sum(number > 0 for number in self.partners) == 1

    @property
    def is_before(self) -> bool:
        """Whether its days are those before GA, so that the hours at GA show whether a change began there."""
        return self.name in {WEEK_BEFORE, PRE_RELEASE_MEDIAN}

    @property
    def during(self) -> str:
        """In a sentence about a figure: "412 ms in the week before GA"."""
        return DURING.get(self.name, f"in {self.about}")

    @property
    def used(self) -> BaselineUsed:
        return BaselineUsed(
            name=self.name, about=self.about, role=self.role, days=len(self.days), source=self.source, note=self.note
        )


def baselines(
    ga: DaySummary,
    week: Days,
    before: PreReleaseSummary | None,
    named: Sequence[Named] = (),
    good_day: int | None = None,
) -> list[Baseline]:
    """All that the week can be compared with. Those that are absent have no days, and say why.

    Parameters
    ----------
    week
        Days 1 to 7 by number, those that are over.
    good_day
        The number, −7 to 7, of a day that is known to have been good; 0 is the GA day.
    """
    past = {day.day_number: day for day in (before.days if before else ()) if not day.partial}
    first = None if ga.partial else ga
    since = week if first is None else {0: first, **week}
    found = [
        _weekdays(WEEK_BEFORE, "the week before GA", "decides", tuple(past.values()), since, _absent(past)),
        _one(GA_DAY, "the GA day", "confirms", first, week, "the GA day was not over when it was collected"),
        _previous(first, week),
        _median(past, since),
    ]
    if good_day is not None:
        pinned = {**past, **since}.get(good_day)
        found.append(
            _one(GOOD_DAY, f"day {good_day}, pinned as good", "informs", pinned, since, f"there is no day {good_day}")
        )
    return [*found, *(_named(one, since) for one in named)]


def _absent(past: Days) -> str | None:
    missing = DAYS_BEFORE - len(past)
    return f"{missing} of its {DAYS_BEFORE} days are not there" if missing else None


def _weekdays(
    name: str, about: str, role: Role, days: tuple[DaySummary, ...], week: Days, note: str | None = None
) -> Baseline:
    weekdays = {day.day_number % DAYS_BEFORE: day for day in days}
    partners = {n: weekdays[n % DAYS_BEFORE] for n in week if n % DAYS_BEFORE in weekdays}
    return Baseline(name, about, role, days, partners, note=note)


def _one(name: str, about: str, role: Role, day: DaySummary | None, week: Days, absent: str) -> Baseline:
    if day is None:
        return Baseline(name, about, role, (), {}, note=absent)
    return Baseline(name, about, role, (day,), {n: day for n, other in week.items() if other is not day})


def _previous(ga: DaySummary | None, week: Days) -> Baseline:
    about, last = "the day before", max(week, default=None)
    day = None if last is None else ga if last == 1 else week.get(last - 1)
    if last is None or day is None:
        return Baseline(PREVIOUS_DAY, about, "informs", (), {}, note="the day before the last one is not there")
    return Baseline(PREVIOUS_DAY, f"{about} (day {last} against day {last - 1})", "informs", (day,), {last: day})


def _median(past: Days, week: Days) -> Baseline:
    about = "the pre-release median"
    if not past:
        return Baseline(PRE_RELEASE_MEDIAN, about, "informs", (), {}, note="there is no day before GA")
    middle = median_day([day for day in past.values() if is_mostly_judged(day)] or list(past.values()))
    return Baseline(PRE_RELEASE_MEDIAN, about, "informs", tuple(past.values()), dict.fromkeys(week, middle))


def _named(one: Named, week: Days) -> Baseline:
    days = tuple(day for day in one.days if not day.partial)
    if len(days) == 1:
        found = _one(one.name, one.name, "informs", days[0], week, "")
    else:
        found = _weekdays(one.name, one.name, "informs", days, week, None if days else "it has no whole day")
    return Baseline(found.name, found.about, found.role, found.days, found.partners, one.source, found.note)


def median_day(days: Sequence[DaySummary]) -> DaySummary:
    """A day of which each figure is the median of the days', hour by hour; counts are those of all days together."""
    names = dict.fromkeys(name for day in days for name in day.kpis)
    kpis = {name: _median_kpi([day.kpis[name] for day in days if name in day.kpis]) for name in names}
    return DaySummary(timestamp=days[0].timestamp, service=days[0].service, kpis=kpis, slos=days[0].slos)


def _median_kpi(found: Sequence[KpiSummary]) -> KpiSummary:
    values = [kpi.value for kpi in found if kpi.value is not None]
    middle = median(values) if values else None
    return found[0].model_copy(
        update={
            "value": middle,
            "coverage": median(kpi.coverage for kpi in found),
            "numerator": _total([kpi.numerator for kpi in found]),
            "denominator": _total([kpi.denominator for kpi in found]),
            "buckets": _all_buckets(found),
            "hourly": _by_hour(median, [kpi.hourly for kpi in found]),
            "hourly_numerator": _by_hour(math.fsum, [kpi.hourly_numerator for kpi in found]),
            "hourly_denominator": _by_hour(math.fsum, [kpi.hourly_denominator for kpi in found]),
            "at_least": any(kpi.at_least and kpi.value is not None and kpi.value <= (middle or 0.0) for kpi in found),
        }
    )


def _total(counts: Sequence[float | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return math.fsum(known) if known else None


def _all_buckets(found: Sequence[KpiSummary]) -> dict[str, float] | None:
    """Their bounds are what matters: a bound that one of the days lacks shows."""
    bounds = dict.fromkeys(bound for kpi in found for bound in kpi.buckets or ())
    if not bounds:
        return None
    return {bound: math.fsum((kpi.buckets or {}).get(bound, 0.0) for kpi in found) for bound in bounds}


def _by_hour(
    fold: Callable[[list[float]], float], days: Sequence[tuple[float | None, ...]]
) -> tuple[float | None, ...]:
    """The hours of the days folded into one day's; an hour that no day has stays None."""
    hours = [[value for value in hour if value is not None] for hour in zip(*filter(None, days), strict=True)]
    return tuple(fold(hour) if hour else None for hour in hours)
