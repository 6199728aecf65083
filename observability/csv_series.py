"""One series from a CSV file: its rows as they stand there, and their times and values as numbers.

The file is UTF-8, with or without a byte order mark, plain or compressed with gzip. Its first line names the columns,
which are separated by commas, semicolons or tabs; beside semicolons the decimal sign may be a comma. No row is dropped:
one whose timestamp cannot be read has the time NaN, one without a number the value NaN. Lines without any character are
no rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from observability.csv_times import Times, read_times
from observability.detection.bank import LARGEST
from observability.errors import ConfigError, NotEnoughDataError
from observability.model import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEPARATORS = (";", ",", "\t")  # beside semicolons, as many commas may be decimal signs
TIMESTAMP_NAMES = ("timestamp", "time", "datetime", "date", "ts")
VALUE_NAMES = ("value", "y")
NO_VALUE = {"", "-", "na", "n/a", "nan", "none", "null"}
LISTED = 10  # columns that a sentence names
SHOWN = 40  # characters of a cell that a sentence quotes


@dataclass(frozen=True)
class Columns:
    """The columns that flags name; None: found by their names, or by being two."""

    timestamp: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class CsvSeries:
    """A file's rows in their order: the two cells as text, the line that each ends on, its time in seconds since the
    epoch and its value, both NaN where they cannot be read; ``zoneless``: whether the time was written without a zone;
    ``warnings`` say what is against expectation."""

    path: Path
    timestamps: Sequence[str]
    texts: Sequence[str]
    lines: Sequence[int]
    times: Array
    values: Array
    zoneless: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()


def read_series(path: Path, columns: Columns) -> CsvSeries:
    """The file's series.

    Raises
    ------
    ConfigError
        The file is no CSV, lacks a column, or no timestamp or no value in it can be read.
    NotEnoughDataError
        The file is empty.
    """
    header, rows, lines, decimal = _table(path)
    at, of = _columns(path, header, columns)
    if np.isfinite(read_times([header[at]]).seconds[0]) and _is_value(header[of], decimal):
        raise ConfigError(f"{path} has no header: its first line is data; put one before it, such as timestamp,value.")
    timestamps = [row[at] if at < len(row) else "" for row in rows]
    texts = [row[of] if of < len(row) else "" for row in rows]
    times = read_times(timestamps)
    series = CsvSeries(path, timestamps, texts, lines, times.seconds, _numbers(texts, decimal), times.zoneless)
    is_guess = columns.timestamp is None and header[at].lower() not in TIMESTAMP_NAMES
    warnings = (
        *_unread_times(series, header[at]),
        *_no_epoch_times(series, header[at], times, is_guess),
        *_other_units(series, times),
        *_without_zone(series),
        *_unread_values(series, header[of]),
    )
    values = np.where(np.abs(series.values) <= LARGEST, series.values, np.nan)
    return replace(series, values=values, warnings=warnings)


def _table(path: Path) -> tuple[list[str], list[list[str]], list[int], str]:
    """Header, rows, the line that each row ends on, and the decimal sign."""
    text = _text(path)
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}, is not CSV: {error}; repair it.") from None
    if not rows:
        raise NotEnoughDataError(f"{path} is empty; give a CSV with a header line and rows.")
    header = [name.strip() for name in rows.pop(0)]
    for row, line in zip(rows, lines[1:], strict=True):
        if any(row[len(header) :]):
            raise ConfigError(f"{path}, line {line}, has {len(row)} cells, and the header {len(header)}; repair it.")
    return header, rows, lines[1:], "," if separator == ";" else "."


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path} is a damaged gzip file ({error}); get it again.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}; name a CSV that can.") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(f"{path} is in UTF-16; save it as UTF-8.")
    if b"\0" in content:
        raise ConfigError(f"{path} is not a text file; name a CSV, plain or compressed with gzip.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}, is not in UTF-8; save it as UTF-8.") from None


def _columns(path: Path, header: Sequence[str], wanted: Columns) -> tuple[int, int]:
    """Where the timestamp and the value stand in a row."""
    at = _column(path, header, wanted.timestamp, "--timestamp-column", TIMESTAMP_NAMES)
    of = _column(path, header, wanted.value, "--value-column", VALUE_NAMES)
    if len(header) == 2:
        if at is None:
            at = 0 if of is None else 1 - of
        if of is None:
            of = 1 - at
    for found, what, flag in ((at, "timestamp", "--timestamp-column"), (of, "value", "--value-column")):
        if found is None:
            raise ConfigError(f"{path} has the columns {_listed(header)}; say with {flag} which is the {what}.")
    assert at is not None
    assert of is not None
    if at == of:
        raise ConfigError(f"{path}: '{header[at]}' cannot be both timestamp and value; name another --value-column.")
    return at, of


def _column(path: Path, header: Sequence[str], name: str | None, flag: str, usual: Sequence[str]) -> int | None:
    """The column that the flag names, else the one with a usual name, in whichever case; None where there is none."""
    if name is not None:
        found = [i for i, column in enumerate(header) if column == name.strip()]
        if not found:
            raise ConfigError(
                f"{path} has no column '{name}' ({flag}); its columns are {_listed(header)}; name one of them."
            )
    else:
        lower = [column.lower() for column in header]
        named = next((one for one in usual if one in lower), None)
        found = [i for i, column in enumerate(lower) if column == named]
    if len(found) > 1:
        raise ConfigError(f"{path} has {len(found)} columns named '{header[found[0]]}'; rename all but one of them.")
    return found[0] if found else None


def _listed(header: Sequence[str]) -> str:
    return ", ".join(header[:LISTED]) + (f" and {len(header) - LISTED} more" if len(header) > LISTED else "")


def _numbers(texts: Sequence[str], decimal: str) -> Array:
    """As they read, infinities too; NaN where there is no value, and where the text is no number."""
    return np.array([_number(text.replace(decimal, ".")) for text in texts], dtype=np.float64)


def _is_value(text: str, decimal: str) -> bool:
    """Whether it is what a cell of values holds: a number, or a word for none."""
    return text.strip().lower() in NO_VALUE or not math.isnan(_number(text.replace(decimal, ".")))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _unread_times(series: CsvSeries, column: str) -> Iterator[str]:
    unread = np.flatnonzero(np.isnan(series.times)).tolist()
    if not unread:
        return
    where = _first(unread, series.lines, series.timestamps)
    if len(unread) == len(series.times):
        raise ConfigError(
            f"{series.path}: no timestamp in column '{column}' can be read ({where}); write ISO 8601 or epoch times, "
            "or name another --timestamp-column."
        )
    yield f"unreadable timestamps: {len(unread):,} of {len(series.times):,} rows ({where}), which are not scored."


def _no_epoch_times(series: CsvSeries, column: str, times: Times, is_guess: bool) -> Iterator[str]:
    if times.are_plausible:
        return
    numeric = np.flatnonzero(times.is_epoch).tolist()
    some = ", ".join(_shown(series.timestamps[row]) for row in numeric[:3]) + (" …" if len(numeric) > 3 else "")
    if is_guess:
        raise ConfigError(
            f"{series.path}: column '{column}' holds no epoch times ({some}); name that of the times with "
            "--timestamp-column."
        )
    yield f"column '{column}' is read as epoch times, and most lie before 1974 ({some})."


def _other_units(series: CsvSeries, times: Times) -> Iterator[str]:
    other = np.flatnonzero(times.in_other_unit).tolist()
    if other:
        where = f"{len(other):,} of {len(series.times):,} rows ({_first(other, series.lines, series.timestamps)})"
        yield f"timestamps in another unit than the rest: {where}, which are read as {times.unit} too."


def _without_zone(series: CsvSeries) -> Iterator[str]:
    """Something to say only where others have one; epoch times do."""
    without = np.flatnonzero(series.zoneless).tolist()
    if without and len(without) < np.isfinite(series.times).sum():
        where = f"{len(without):,} of {len(series.times):,} rows ({_first(without, series.lines, series.timestamps)})"
        yield f"timestamps without a zone: {where}, which are taken as UTC."


def _unread_values(series: CsvSeries, column: str) -> Iterator[str]:
    without = np.flatnonzero(~(np.abs(series.values) <= LARGEST)).tolist()
    unread = [i for i in without if series.texts[i].strip().lower() not in NO_VALUE]
    if not unread:
        return
    where = _first(unread, series.lines, series.texts)
    if np.isnan(series.values).all():
        raise ConfigError(
            f"{series.path}: no value in column '{column}' is a number ({where}); name another --value-column."
        )
    largest = f"{LARGEST:g}".replace("+", "")
    count = f"{len(unread):,} of {len(series.values):,} values ({where})"
    yield f"no numbers, or beyond ±{largest}: {count}, which count as missing."


def _first(found: Sequence[int], lines: Sequence[int], texts: Sequence[str]) -> str:
    return f"the first on line {lines[found[0]]}: '{_shown(texts[found[0]])}'"


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
