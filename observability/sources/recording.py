"""Recordings, and the evidence that they consist of: what the queries returned, in files that give it back exactly.

A recording is a folder with ``recording.json`` at its root and, per service and day, one ``evidence/day_NN.csv.gz``
(GA day is ``day_00``, the days before it are ``day_-7`` to ``day_-1``); with several services that tree lies below a
folder of the service's name. Evidence that a run has kept is itself a recording.

An evidence file is gzipped CSV in UTF-8. Lines that begin with ``# `` come first, each a warning as a JSON string. The
header is ``time``, the KPIs' names, and ``query.<column>`` for each raw column. A row is one step: its start in UTC,
and floats as ``repr`` writes them; an empty field is a step without a sample.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import ValidationError

from observability.errors import ConfigError, NotEnoughDataError
from observability.model import (
    Calendar,
    Frozen,
    Instant,
    Plan,
    Query,
    Samples,
    SourceInfo,
    Window,
    format_instant,
    query_of,
)

if TYPE_CHECKING:
    from observability.model import Array

RECORDING = "recording.json"
RAW = "query."
COMPRESSION = 6  # level 9 takes twice as long and saves 1 %


class RecordedQuery(Frozen):
    type: Literal["counter", "buckets", "gauge", "alerts"]
    promql: str


class Recorded(Frozen):
    """``recording.json``: the calendar and the plan that the evidence was made with, and the server it came from."""

    schema_version: Literal[1] = 1
    ga: Instant
    day_s: int
    step_s: int
    services: tuple[str, ...]
    service_label: str | None
    queries: dict[str, RecordedQuery]
    source: SourceInfo

    @classmethod
    def of(cls, plan: Plan, calendar: Calendar, source: SourceInfo) -> Self:
        return cls(
            ga=calendar.ga,
            day_s=round(calendar.day.total_seconds()),
            step_s=plan.step_s,
            services=plan.services,
            service_label=plan.service_label,
            queries={query.name: RecordedQuery(type=query.type, promql=query.promql) for query in plan.queries},
            source=source,
        )

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.ga, timedelta(seconds=self.day_s))


def evidence_path(services: Sequence[str], service: str, day: int) -> str:
    """Where the evidence of one service and day lies, relative to the recording's root."""
    name = f"evidence/day_{day:02d}.csv.gz"
    return name if len(services) == 1 else f"{service}/{name}"


class Recording:
    """A ``Source`` that reads a recording from a local folder. A window lies within one of the recorded days."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recorded = _read_index(root / RECORDING)

    def info(self, plan: Plan) -> SourceInfo:
        """That of the recorded server, so that a recording's artifacts are those of the live run."""
        return self.recorded.source

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        self._check(plan)
        return {service: self._samples(plan, service, window) for service in plan.services}

    def _samples(self, plan: Plan, service: str, window: Window) -> Samples:
        calendar = self.recorded.calendar
        number = calendar.number(window.start)
        path = self.root / evidence_path(self.recorded.services, service, number)
        day = calendar.window(number)
        skipped, rest = divmod((window.start - day.start).total_seconds(), plan.step_s)
        if rest or window.end > day.end:
            raise ConfigError(
                f"{self.root / RECORDING} has days that begin at {format_instant(day.start)}, and "
                f"{format_instant(window.start)} to {format_instant(window.end)} is not within one of them; "
                f"give the release the recorded GA instant, {format_instant(self.recorded.ga)}."
            )
        try:
            table = _parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            raise NotEnoughDataError(f"{path} not found: the recording does not hold this day; record it.") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from None
        _check_times(table.times, day.start, plan.step_s, str(path))
        return _part(table, plan, service, window, int(skipped), str(path))

    def _check(self, plan: Plan) -> None:
        where = self.root / RECORDING
        if plan.step_s != self.recorded.step_s:
            raise ConfigError(
                f"{where} was made at a step of {self.recorded.step_s}s, not {plan.step_s}s; set `step:` to it."
            )
        for service in plan.services:
            if service not in self.recorded.services:
                raise ConfigError(
                    f"{where} does not hold the service '{service}'; it holds {', '.join(self.recorded.services)}."
                )
        for query in plan.queries:
            self._check_query(query, where)

    def _check_query(self, query: Query, where: Path) -> None:
        recorded = self.recorded.queries.get(query.name)
        if recorded is None:
            raise ConfigError(f"{where} does not hold the query '{query.name}'; leave out the KPIs that need it.")
        if (recorded.type, recorded.promql) != (query.type, query.promql):
            raise ConfigError(
                f"{where} holds the query '{query.name}' as {recorded.type} {recorded.promql}, not as {query.type} "
                f"{query.promql}; use the release file that the recording was made with."
            )


def _read_index(path: Path) -> Recorded:
    try:
        return Recorded.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}; name a recording's folder.") from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}".removeprefix(": ")
            for found in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(f"{path} is not a recording's index: {problems}.") from None


def _part(table: _Table, plan: Plan, service: str, window: Window, first: int, where: str) -> Samples:
    """The plan's columns over the steps of the window, which begins with the table's row ``first``."""
    end = first + window.steps(plan.step_s)
    if end > len(table.times):
        raise NotEnoughDataError(f"{where} holds {len(table.times)} steps of the day, not {end}; record the whole day.")
    names = {query.name for query in plan.queries}
    columns = {name: values[first:end] for name, values in table.columns.items() if query_of(name) in names}
    return Samples(
        service=service,
        window=window,
        step_s=plan.step_s,
        columns={name: values for name, values in columns.items() if not np.isnan(values).all()},
        warnings=tuple(warning for warning in table.warnings if warning.partition(": ")[0] in names),
    )


def encode_evidence(samples: Samples, kpis: Mapping[str, Array]) -> bytes:
    """One service's day as an evidence file; the same samples give the same bytes. ``kpis``: each of shape (steps,)."""
    columns = {**kpis, **{f"{RAW}{name}": values for name, values in samples.columns.items()}}
    text = io.StringIO()
    text.writelines(f"# {json.dumps(warning)}\n" for warning in samples.warnings)
    csv.writer(text, lineterminator="\n").writerow(["time", *columns])
    times = _times(samples.window.start, samples.steps, samples.step_s)
    fields = [["" if number == "nan" else number for number in map(repr, c.tolist())] for c in columns.values()]
    text.writelines(",".join(row) + "\n" for row in zip(times, *fields, strict=True))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=packed, mtime=0) as file:
        file.write(text.getvalue().encode())
    return packed.getvalue()


def decode_evidence(data: bytes, service: str, window: Window, step_s: int, where: str) -> Samples:
    """The raw columns of an evidence file, which must hold exactly the steps of ``window``.

    Every defect is one ``ConfigError`` that names ``where``.
    """
    table = _parse(data, where)
    _check_times(table.times, window.start, step_s, where)
    expected = window.steps(step_s)
    if len(table.times) != expected:
        raise ConfigError(f"{where} holds {len(table.times)} steps, not {expected}; collect the day again.")
    return Samples(service, window, step_s, table.columns, table.warnings)


@dataclass(frozen=True)
class _Table:
    warnings: tuple[str, ...]
    times: Sequence[str]
    columns: Mapping[str, Array]


def _parse(data: bytes, where: str) -> _Table:
    try:
        lines = gzip.decompress(data).decode().removesuffix("\n").split("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _defect(where, f"it is not gzipped text ({error})") from None
    comments = next((i for i, line in enumerate(lines) if not line.startswith("# ")), len(lines))
    header = _header(lines[comments : comments + 1], where)
    rows = [line.split(",") for line in lines[comments + 1 :]]
    for number, row in enumerate(rows, comments + 2):
        if len(row) != len(header):
            raise _defect(where, f"line {number} has {len(row)} fields, not {len(header)}")
    fields = list(zip(*rows, strict=True)) or [()] * len(header)
    columns = {
        name.removeprefix(RAW): _numbers(texts, name, where)
        for name, texts in zip(header, fields, strict=True)
        if name.startswith(RAW)
    }
    return _Table(_warnings(lines[:comments], where), fields[0], columns)


def _warnings(comments: Sequence[str], where: str) -> tuple[str, ...]:
    try:
        warnings = tuple(json.loads(comment.removeprefix("# ")) for comment in comments)
    except ValueError:
        warnings = (None,)
    if not all(isinstance(warning, str) for warning in warnings):
        raise _defect(where, "a line that begins with '# ' is not a JSON string")
    return warnings


def _header(lines: Sequence[str], where: str) -> list[str]:
    try:
        names = next(csv.reader(lines), [])
    except csv.Error:
        names = []
    if names[:1] != ["time"] or len(set(names)) != len(names):
        raise _defect(where, "it has no header of distinct columns that begins with 'time'")
    return names


def _numbers(texts: Sequence[str], name: str, where: str) -> Array:
    try:
        values = np.array([float(text) if text else np.nan for text in texts], dtype=np.float64)
    except ValueError as error:
        raise _defect(where, f"column '{name}': {error}") from None
    if np.isinf(values).any():
        raise _defect(where, f"column '{name}' holds an infinite value")
    return values


def _check_times(times: Sequence[str], start: datetime, step_s: int, where: str) -> None:
    for found, expected in zip(times, _times(start, len(times), step_s), strict=True):
        if found != expected:
            raise _defect(where, f"'{found}' stands where the step {expected} should be")


def _times(start: datetime, steps: int, step_s: int) -> list[str]:
    return [format_instant(start + k * timedelta(seconds=step_s)) for k in range(steps)]


def _defect(where: str, what: str) -> ConfigError:
    return ConfigError(f"{where} is not an evidence file that can be used: {what}; collect or copy the day again.")
