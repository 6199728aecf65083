"""Baselines that the user names: another release's summaries, or staging's, from a file or a folder.

They are of the same service, of days as long, and have their KPIs in the same units; what is not so is refused by name.
Days that were not over are left out. A key is relative to the store's root, or stands for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from observability.artifacts import FLAT_KEYS, DaySummary, KpiSummary, PreReleaseSummary
from observability.definitions import DEFAULT_SERVICE
from observability.errors import ConfigError
from observability.judgement.baseline import Named
from observability.layout import GA_DIR, GA_SUMMARY, PRE_RELEASE, STABILITY_DIR
from observability.model import FIRST_DAY, LAST_DAY
from observability.readers import Ground, check_order
from observability.release_checks import wrong_baseline
from observability.store import Store, within
from observability.units import format_duration

DAY_FILES = [f"day_{number:02d}_summary.json" for number in range(FIRST_DAY, LAST_DAY + 1)]
IN_A_FOLDER = [  # the files of a release's whole tree, and of one folder of it
    (f"{GA_DIR}/{GA_SUMMARY}", 0),
    (GA_SUMMARY, 0),
    *((f"{STABILITY_DIR}/{name}", number) for number, name in enumerate(DAY_FILES, FIRST_DAY)),
    *((name, number) for number, name in enumerate(DAY_FILES, FIRST_DAY)),
]
GIVE = f"give a {GA_SUMMARY}, a {DAY_FILES[0]}, a {PRE_RELEASE} or a folder of them"
AVAILABILITY = "overall_availability"
LEGACY_NOTE = "from a file of flat keys alone, which says nothing of its hours and coverage"

Found = list[tuple[str, DaySummary]]
"""Days, each with the location that it was read from."""


@dataclass(frozen=True)
class Reference:
    """A baseline as a flag or a release file names it. A relative path is relative to ``folder``."""

    name: str
    path: str
    folder: str = ""

    @property
    def said(self) -> str:
        return f"baseline {self.name}"

    @property
    def key(self) -> str:
        return self.path if "://" in self.path else str(Path(self.folder, Path(self.path).expanduser()))


def from_flags(flags: Iterable[str]) -> list[Reference]:
    """What ``--baseline NAME=PATH``, given several times, names."""
    found: dict[str, Reference] = {}
    for flag in flags:
        name, equals, path = flag.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f"--baseline {flag} names no file; write it like v1.0.0=../v1.0.0/stability.")
        wrong = wrong_baseline(name)
        if wrong is not None:
            raise ConfigError(f"--baseline {flag}: {wrong}.")
        if name in found:
            raise ConfigError(f"--baseline {name} is given twice; leave one of them out.")
        found[name] = Reference(name, path)
    return list(found.values())


def keys_of(store: Store, reference: Reference, service: str) -> list[str]:
    """The files that the baseline of the service is read from. Empty where there are none."""
    if store.exists(reference.key):
        return [reference.key]
    return [key for key, _ in _in_folder(store, reference, service)]


def read_named(
    store: Store, reference: Reference, ga: DaySummary, ga_key: str, days: Sequence[DaySummary] = ()
) -> Named:
    """The baseline's whole days in the order of time, with the day numbers that this release's calendar has for them.

    ``days`` are those that are judged: a baseline that holds one of them would only be compared with itself.
    """
    where = store.location(ga_key)
    found = _found(store, reference, ga.service)
    _check_services(found, ga, where)
    _check_as_a_week(found, reference)
    whole = [(location, day) for location, day in found if not day.partial]
    if not whole:
        raise ConfigError(f"{reference.said}: {store.location(reference.key)} holds no day that was over.")
    for location, day in whole:
        _check_day(location, day, ga, where)
        _check_other(location, day, (ga, *days))
    like = {name: kpi for day in (ga, *days) for name, kpi in day.kpis.items()}
    fitted = [_fitted(day, ga, like) for _, day in whole]
    return Named(reference.name, reference.path, tuple(sorted(fitted, key=lambda day: day.day_number)))


def is_of_others_alone(store: Store, reference: Reference, service: str) -> bool:
    """Whether the folder holds one folder per service, and none of this service."""
    if keys_of(store, reference, service):
        return False
    folder = Store(store.location(reference.key))
    return any(folder.matching(f"*/{name}") for name in (f"{GA_DIR}/{GA_SUMMARY}", f"{STABILITY_DIR}/day_0?_*.json"))


def _found(store: Store, reference: Reference, service: str) -> Found:
    if store.exists(reference.key):
        location = store.location(reference.key)
        return [(location, day) for day in _days_of(store, reference.key)]
    found = []
    for key, number in _in_folder(store, reference, service):
        (day,) = _days_of(store, key)
        if day.day_number != number:
            raise ConfigError(
                f"{store.location(key)} says it is day {day.day_number}; collect it again, or give another baseline."
            )
        found.append((store.location(key), day))
    if not found:
        raise ConfigError(f"{reference.said}: {_lacking(store, reference, service)}; {GIVE}.")
    return found


def _lacking(store: Store, reference: Reference, service: str) -> str:
    location = store.location(reference.key)
    if "://" not in location and not Path(location).exists():
        return f"{location} is not there"
    of = f" of '{service}', but of other services" if is_of_others_alone(store, reference, service) else ""
    return f"{location} holds no {GA_SUMMARY} and no day summary{of}"


def _in_folder(store: Store, reference: Reference, service: str) -> list[tuple[str, int]]:
    """Key and day number of each file: of the service's own folder, where the release had several services."""
    for folder in (within(reference.key, service), reference.key):
        there = [(key, number) for name, number in IN_A_FOLDER if store.exists(key := within(folder, name))]
        if there:
            return there
    return []


def _days_of(store: Store, key: str) -> tuple[DaySummary, ...]:
    """The days in a file, by what it holds and not by its name."""
    try:
        data = json.loads(store.read_bytes(key, GIVE))
    except ValueError:
        data = {"days": []}  # for the store to say what is wrong with it
    if isinstance(data, dict) and "days" in data:
        days = store.read(key, PreReleaseSummary, GIVE).days
        if not days:
            raise ConfigError(f"{store.location(key)} holds no day; {GIVE}.")
        return days
    if not isinstance(data, dict) or "timestamp" not in data or not data.keys() & {"kpis", *FLAT_KEYS}:
        raise ConfigError(f"{store.location(key)} is no summary of a day; {GIVE}.")
    return (store.read(key, DaySummary, GIVE),)


def _check_services(found: Found, ga: DaySummary, where: str) -> None:
    """A file of older tools says nothing of a service: it has the default."""
    for location, day in found:
        says = bool(day.kpis) or day.window is not None or day.service != DEFAULT_SERVICE
        if says and day.service != ga.service:
            raise ConfigError(
                f"{location} is of service '{day.service}', and {where} is of '{ga.service}'; a baseline is of the "
                "same service."
            )


def _check_as_a_week(found: Found, reference: Reference) -> None:
    """Each day once, and all of one calendar."""
    numbers: dict[int, str] = {}
    for location, day in found:
        if day.day_number in numbers:
            both = location if numbers[day.day_number] == location else f"{numbers[day.day_number]} and {location}"
            raise ConfigError(f"{both}: day {day.day_number} is there twice; leave one of them out.")
        numbers[day.day_number] = location
    check_order(found)
    grounds = [Ground.of(day, location) for location, day in found if day.window is not None and not day.partial]
    for location, day in found if grounds else ():
        grounds[0].check_day(day, location, "give the days of one release")


def _check_day(location: str, day: DaySummary, ga: DaySummary, where: str) -> None:
    """A day as long as the release's, with the same KPIs in the same units."""
    if day.window is not None and ga.window is not None and day.window.seconds != ga.window.seconds:
        raise ConfigError(
            f"{location} is of a day of {format_duration(day.window.seconds)}, and {where} of one of "
            f"{format_duration(ga.window.seconds)}; give a baseline with days as long."
        )
    Ground.of(ga, where).check_kpis(day, location, "give a baseline that was collected in the same units")
    if not day.kpis:
        _check_flat(location, day, ga, where)


def _check_flat(location: str, day: DaySummary, ga: DaySummary, where: str) -> None:
    """Flat keys have no units: an availability of at most 1 is a share, and the other keys of the file likely too."""
    value, own = day.value(AVAILABILITY), ga.kpis.get(AVAILABILITY)
    if value is not None and value <= 1 and own is not None and own.unit.startswith("%"):
        raise ConfigError(
            f"{location} has {AVAILABILITY} {value:g}, which looks like a share, and {where} has it in '{own.unit}'; "
            "give a baseline that was collected in the same units."
        )


def _check_other(location: str, day: DaySummary, judged: Iterable[DaySummary]) -> None:
    for own in judged:
        if day.kpis and day.window == own.window and day.kpis == own.kpis:
            raise ConfigError(
                f"{location} is day {own.day_number} of this release itself; for a day of its own that was good, give "
                f"--good-day {own.day_number}."
            )


def _fitted(day: DaySummary, ga: DaySummary, like: dict[str, KpiSummary]) -> DaySummary:
    """Numbered so that weekdays meet, and with the flat keys of older tools as KPIs."""
    update: dict[str, object] = {}
    if day.window is not None and ga.window is not None:
        update["day_number"] = round((day.window.start - ga.window.start).total_seconds() / ga.window.seconds)
    if not day.kpis:
        update["kpis"] = {name: _flat(day, name, kpi) for name, kpi in like.items() if day.value(name) is not None}
    return day.model_copy(update=update)


def _flat(day: DaySummary, name: str, like: KpiSummary) -> KpiSummary:
    return KpiSummary(
        value=day.value(name),
        unit=like.unit,
        direction=like.direction,
        category=like.category,
        kind=like.kind,
        coverage=1.0,
        note=LEGACY_NOTE,
    )
