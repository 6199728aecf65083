"""Print a service's week as a table, from the artifacts at hand."""

from __future__ import annotations

import difflib
import os
import shlex
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.errors import ConfigError, NotEnoughDataError
from observability.layout import GA_DIR, GA_SUMMARY, PRE_RELEASE, RECORDING, STABILITY_DIR

GA_FILES, DAY_FILES = (GA_SUMMARY, PRE_RELEASE), "day_0[1-7]_summary.json"

if TYPE_CHECKING:
    from observability.artifacts import DaySummary
    from observability.store import Store
    from observability.week_table import WeekTable


def main(
    folder: Annotated[Path, typer.Argument(help="The folder of the artifacts.")] = Path(),
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    kpi: Annotated[list[str] | None, typer.Option(help="Only this KPI; can be given several times.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Print a service's week as a table.

    One row per KPI: its value on the GA day, a sparkline of the days -7 to 7, the latest day's value with its change
    against the GA day, and the coverage. It reads what was collected and asks no server.

    Example: postga show week --service checkout --kpi p99_latency_ms
    """
    from observability.store import Store
    from observability.week_table import kpi_names, tabulate

    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; name the one that the artifacts went to (--output-dir).")
    store = Store(commands.root_of(folder))
    weeks = _weeks(store)
    if not weeks and store.exists(RECORDING):
        raise NotEnoughDataError(
            f"{folder} holds a recording without summaries; make them with postga rebuild FILE --output-dir "
            f"{shlex.quote(str(folder))}, FILE being the release file."
        )
    if not weeks:
        raise NotEnoughDataError(f"{folder} holds no day yet; collect the GA day with postga baseline, or postga run.")
    chosen = {name: days for name, days in weeks.items() if name == _known("service", service or name, weeks)}
    names = {name for days in chosen.values() for name in kpi_names(days)}
    kpis = [_known("KPI", name, names) for name in kpi or ()]
    _print([tabulate(days, kpis) for days in chosen.values()], as_json)


def _known(what: str, name: str, known: Collection[str]) -> str:
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(sorted(known))}."
    raise ConfigError(f"There is no {what} '{name}' in the artifacts; {hint}")


def _weeks(store: Store) -> dict[str, dict[int, DaySummary]]:
    """Service → its days: those of the folder itself, and of the folders below it with one service each."""
    folders: dict[str, list[str]] = {}
    for pattern in (*(f"{GA_DIR}/{name}" for name in GA_FILES), *GA_FILES, f"{STABILITY_DIR}/{DAY_FILES}", DAY_FILES):
        for key in [*store.matching(pattern), *store.matching(f"*/{pattern}")]:
            folder = key.rpartition("/")[0]
            for name in (GA_DIR, STABILITY_DIR):
                folder = "" if folder == name else folder.removesuffix(f"/{name}")
            if key not in folders.setdefault(folder, []):
                folders[folder].append(key)
    weeks: dict[str, dict[int, DaySummary]] = {}
    held_by: dict[str, str] = {}
    for folder, keys in folders.items():
        days = _week(store, keys)
        if not days:
            continue
        service = days[max(days)].service
        if service in weeks:
            both = " and ".join(store.location(one) for one in (held_by[service], folder))
            raise ConfigError(f"{both} both hold the service '{service}'; name one of them.")
        weeks[service], held_by[service] = days, folder
    return weeks


def _week(store: Store, keys: list[str]) -> dict[int, DaySummary]:
    """The days of one service, in order. They must agree with the first file, the GA summary if it is there."""
    from observability.artifacts import DaySummary, PreReleaseSummary
    from observability.readers import COLLECT_DAYS, COLLECT_GA, Ground

    found: dict[int, DaySummary] = {}
    base: Ground | None = None
    for key in keys:
        is_before = key.endswith(PRE_RELEASE)
        days = (
            store.read(key, PreReleaseSummary, COLLECT_GA).days
            if is_before
            else [store.read(key, DaySummary, COLLECT_GA if key.endswith(GA_SUMMARY) else COLLECT_DAYS)]
        )
        for day in days:
            base = base or Ground.of(day, store.location(key))
            base.check_day(day, store.location(key), "collect the day again")
            found[day.day_number] = day
    return dict(sorted(found.items()))


def _print(tables: list[WeekTable], as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps({"services": [table.model_dump(mode="json") for table in tables]}, indent=2, allow_nan=False))
        return
    from observability.week_text import week_text

    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else None
    colours = is_terminal and not os.environ.get("NO_COLOR")
    print("\n".join(week_text(table, width, colours) for table in tables), end="")
