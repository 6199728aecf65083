"""A service's week as text: its header, one line per KPI with a sparkline, and what the marks mean. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observability.judgement.summary import UNEXPECTED_DRIFT_PERCENT
from observability.model import DAYS_BEFORE, LAST_DAY, format_instant
from observability.units import format_change, format_value
from observability.week_table import Day, Row, WeekTable

LOW_COVERAGE = 0.95  # what the status EXCELLENT asks for
LEVELS = "▁▂▃▄▅▆▇█"
NO_DATA, NOT_THERE, NONE = "·", " ", "–"
WORSE, PARTIAL, LOW = "!", "*", "°"
ALL_DAYS = range(-DAYS_BEFORE, LAST_DAY + 1)
DROPPED = ("unit", "coverage", "GA day", "change")  # where the terminal is narrow, in this order
BOLD, RED, YELLOW = 1, 31, 33


@dataclass(frozen=True)
class Cell:
    text: str
    colour: int | None = None


def week_text(table: WeekTable, width: int | None, colours: bool) -> str:
    """The whole text. ``width``: the terminal's columns, None without a limit. Nothing is said by colour alone."""
    rows = [row for row in table.rows if row.has_data]
    without = [row.kpi for row in table.rows if not row.has_data]
    columns = _fitting({title: [_cell(title, row, table) for row in rows] for title in _titles(table)}, width)
    lines = [*_header(table, colours), ""]
    if rows:
        lines += _lines(columns, table, colours)
    if without:
        lines += ["", f"no data on any day: {', '.join(without)}"]
    text = "\n".join(lines)
    return "\n".join([text, "", *_legend(text, table)]) + "\n"


def _titles(table: WeekTable) -> list[str]:
    return ["KPI", "unit", "GA day", "days", *(["latest", "change"] if table.latest else []), "coverage"]


def _header(table: WeekTable, colours: bool) -> Iterator[str]:
    release = f" of {table.release}" if table.release else ""
    ga = f", GA {format_instant(table.ga)}" if table.ga else ""
    yield _paint(f"{table.service}{release}", BOLD, colours) + ga
    whole = [day.number for day in table.days if not day.partial]
    partial = [_day_name(day.number) + PARTIAL for day in table.days if day.partial]
    missing = _ranges([number for number in ALL_DAYS if number not in {day.number for day in table.days}])
    there = ", ".join(filter(None, [_ranges(whole), *partial]))
    yield f"days: {there}{_span(table.days)}" + (f"; missing: {missing}" if missing else "")
    covered = {day.number: day.coverage for day in table.days if day.coverage is not None}
    if covered:
        low = [f"day {_day_name(n)} {_share(share)}" for n, share in covered.items() if share < LOW_COVERAGE]
        mean = sum(covered.values()) / len(covered)
        yield f"coverage: {_share(mean)}" + (f"; below {_share(LOW_COVERAGE)}: {', '.join(low)}" if low else "")
    kept_out = [day for day in table.days if day.maintenance_seconds > 0]
    if kept_out:
        hours = [f"day {_day_name(day.number)} {format_value(day.maintenance_seconds / 3600, 'h')}" for day in kept_out]
        yield f"maintenance, left out of the figures: {', '.join(hours)}"


def _span(days: Sequence[Day]) -> str:
    first, last = days[0].start, days[-1].end
    return f" ({format_instant(first)} to {format_instant(last)})" if first and last else ""


def _day_name(number: int) -> str:
    return "GA" if number == 0 else f"{number}".replace("-", "−")


def _ranges(numbers: Sequence[int]) -> str:
    """Days as people list them: −7 to −1, GA, 1 to 5, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1 and 0 not in {number, runs[-1][-1]}:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(" to ".join(_day_name(number) for number in dict.fromkeys((run[0], run[-1]))) for run in runs)


def _cell(title: str, row: Row, table: WeekTable) -> Cell:
    is_low = any(share < LOW_COVERAGE for share in row.coverages.values())
    if title == "KPI":
        return Cell(row.kpi + LOW * is_low)
    if title == "unit":
        return Cell(row.unit)
    if title == "days":
        return Cell(sparkline(row, [day.number for day in table.days]))
    if title == "coverage":
        return Cell(_share(row.coverage), YELLOW if is_low else None)
    if title == "change":
        return Cell(_change(row) + (WORSE if row.is_worse else " "), RED if row.is_worse else None)
    number = 0 if title == "GA day" else table.latest
    return Cell(_figure(row, number))


def sparkline(row: Row, there: Sequence[int]) -> str:
    """One character per day from −7 to 7, the GA day in brackets, scaled from the row's lowest value to its highest."""
    seen = [value for value in row.values.values() if value is not None]
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    cells = []
    for number in ALL_DAYS:
        value = row.values.get(number)
        if value is not None:
            level = (len(LEVELS) - 1) * (value - low) / (high - low) if high > low else (len(LEVELS) - 1) / 2
            cells.append(LEVELS[int(level + 0.5)])
        else:
            cells.append(NO_DATA if number in there else NOT_THERE)
    cells[DAYS_BEFORE] = f"[{cells[DAYS_BEFORE]}]"
    return "".join(cells)


def _figure(row: Row, number: int | None) -> str:
    """The value without its unit, which has a column; bytes keep theirs, which is part of the figure."""
    value = row.values.get(number) if number is not None else None
    if value is None:
        return NONE
    text = format_value(value, row.unit, number in row.at_least)
    found = re.match(r"(≥ )?\S+", text)
    return text if row.unit.startswith("bytes") or found is None else found[0]


def _change(row: Row) -> str:
    """Relative; of a share of events, in percentage points."""
    if row.difference is None:
        return NONE
    if row.is_share:
        return f"{'+' if row.difference >= 0 else '−'}{format_value(abs(row.difference), 'pp')}"
    if row.change is None and row.difference != 0:
        return "from 0"
    return "+0" if row.change is None else format_change(row.change).replace("-", "−")


def _share(share: float | None) -> str:
    return NONE if share is None else f"{math.floor(100 * share + 1e-9)} %"


def _fitting(columns: dict[str, list[Cell]], width: int | None) -> dict[str, list[Cell]]:
    """The columns that fit, the least telling ones dropped first."""
    fitting = dict(columns)
    for title in DROPPED:
        if width is None or sum(1 + size for size in _sizes(fitting).values()) - 1 <= width:
            break
        fitting.pop(title, None)
    return fitting


def _sizes(columns: dict[str, list[Cell]]) -> dict[str, int]:
    return {title: max(len(title), *(len(cell.text) for cell in cells), 0) for title, cells in columns.items()}


def _lines(columns: dict[str, list[Cell]], table: WeekTable, colours: bool) -> Iterator[str]:
    titles, sizes = _shown_titles(columns, table), _sizes(columns)
    sizes = {title: max(size, len(titles[title])) for title, size in sizes.items()}
    yield " ".join(_padded(titles[title], title, size) for title, size in sizes.items()).rstrip()
    for cells in zip(*columns.values(), strict=True):
        texts = [_padded(cell.text, title, sizes[title]) for cell, title in zip(cells, columns, strict=True)]
        painted = [_paint(text, cell.colour, colours) for text, cell in zip(texts, cells, strict=True)]
        yield " ".join(painted).rstrip()


def _shown_titles(columns: dict[str, list[Cell]], table: WeekTable) -> dict[str, str]:
    partial = {day.number for day in table.days if day.partial}
    shown = {
        "days": "−7     [GA]     7",
        "GA day": "GA day" + PARTIAL * (0 in partial),
        "latest": f"day {table.latest}" + PARTIAL * (table.latest in partial),
    }
    return {title: shown.get(title, title) for title in columns}


def _padded(text: str, title: str, size: int) -> str:
    return text.ljust(size) if title in {"KPI", "unit", "days"} else text.rjust(size)


def _legend(text: str, table: WeekTable) -> Iterator[str]:
    """What the marks that were used mean."""
    yield f"days: {LEVELS[0]} the row's lowest, {LEVELS[-1]} its highest; {NO_DATA} no data; blank: not collected"
    if any(row.is_worse for row in table.rows):
        worse = f"over {UNEXPECTED_DRIFT_PERCENT:g} % worse than the GA day (a share: its bad part)"
        yield f"{WORSE} {worse}; one day is no verdict"
    if any(day.partial for day in table.days):
        yield f"{PARTIAL} partial day, which is not compared"
    if LOW in text:
        yield f"{LOW} the coverage of a day is below {_share(LOW_COVERAGE)}"


def _paint(text: str, colour: int | None, colours: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colours and colour is not None else text
