"""Evidence files: what the queries returned for one service and day, and which queries they were.

An evidence file is gzipped CSV in UTF-8. Lines that begin with ``# `` come first: a JSON object with the source, the
service and the queries that were asked, so that no other file has to be believed about them, and then each warning as a
JSON string. The header is ``time``, the KPIs' names, and ``query.<column>`` for each raw column. A row is one step: its
start in UTC, and floats as ``repr`` writes them; an empty field is a step without a sample.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import ValidationError

from observability.errors import ConfigError
from observability.model import Frozen, Plan, Samples, SourceInfo, Window, format_instant, query_of

if TYPE_CHECKING:
    from observability.model import Array

RAW = "query."
COMPRESSION = 6  # level 9 takes twice as long and saves 1 %


class RecordedQuery(Frozen):
    type: Literal["counter", "buckets", "gauge", "alerts"]
    promql: str


def recorded_queries(plan: Plan) -> dict[str, RecordedQuery]:
    """The plan's queries, as they are asked."""
    return {query.name: RecordedQuery(type=query.type, promql=query.promql) for query in plan.queries}


def own_queries(plan: Plan, service: str) -> dict[str, RecordedQuery]:
    """The plan's queries, as they would be asked for the service alone."""
    return {q.name: RecordedQuery(type=q.type, promql=plan.promql_of(q, service)) for q in plan.queries}


class Origin(Frozen):
    """What an evidence file says of itself: whom was asked, for which service, and what. A query without a column
    returned nothing.

    The queries stand there as for this service alone, so that it does not matter which others are watched. ``service``
    is None where no label tells services apart. Files of older versions have none either, and the queries as they were
    asked for all services.
    """

    source: str
    service: str | None = None
    queries: dict[str, RecordedQuery]

    @classmethod
    def of(cls, plan: Plan, service: str, source: SourceInfo) -> Self:
        named = service if plan.service_label is not None else None
        return cls(source=source.prometheus, service=named, queries=own_queries(plan, service))

    def held(self, plan: Plan, service: str) -> set[str]:
        """The plan's queries that the file is of, and not of others of their names."""
        asked, own = recorded_queries(plan), own_queries(plan, service)
        return {name for name, query in self.queries.items() if query in (own.get(name), asked.get(name))}

    def check_service(self, service: str, where: str) -> None:
        if self.service not in (None, service):
            raise ConfigError(f"{where} is of the service '{self.service}', not of '{service}'; move or delete it.")


@dataclass(frozen=True)
class Evidence:
    """One service's day as its file has it."""

    origin: Origin
    samples: Samples

    def held(self, plan: Plan) -> set[str]:
        """The plan's queries that it holds."""
        return self.origin.held(plan, self.samples.service)


def select(samples: Samples, queries: Collection[str]) -> Samples:
    """The same samples, with the columns and the warnings of these queries only."""
    return replace(
        samples,
        columns={name: values for name, values in samples.columns.items() if query_of(name) in queries},
        warnings=tuple(warning for warning in samples.warnings if warning.partition(": ")[0] in queries),
    )


def joined(samples: Samples, parts: Sequence[Samples]) -> Samples:
    """The same service and window, with the columns and the warnings of the parts, in their order."""
    columns = {name: values for part in parts for name, values in part.columns.items()}
    return replace(samples, columns=columns, warnings=tuple(text for part in parts for text in part.warnings))


def encode_evidence(samples: Samples, kpis: Mapping[str, Array], origin: Origin) -> bytes:
    """One service's day as an evidence file; the same samples give the same bytes. ``kpis``: each of shape (steps,)."""
    columns = {**kpis, **{f"{RAW}{name}": values for name, values in samples.columns.items()}}
    text = io.StringIO()
    comments = (origin.model_dump(exclude_none=True), *samples.warnings)
    text.writelines(f"# {json.dumps(comment)}\n" for comment in comments)
    csv.writer(text, lineterminator="\n").writerow(["time", *columns])
    times = _times(samples.window.start, samples.steps, samples.step_s)
    fields = [["" if number == "nan" else number for number in map(repr, c.tolist())] for c in columns.values()]
    text.writelines(",".join(row) + "\n" for row in zip(times, *fields, strict=True))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=packed, mtime=0) as file:
        file.write(text.getvalue().encode())
    return packed.getvalue()


def decode_evidence(data: bytes, service: str, window: Window, step_s: int, where: str) -> Evidence:
    """The origin and the raw columns of an evidence file, which must be of the service and hold exactly the steps of
    ``window``.

    Every defect is one ``ConfigError`` that names ``where``.
    """
    table = parse(data, where)
    table.origin.check_service(service, where)
    check_times(table.times, window.start, step_s, where)
    expected = window.steps(step_s)
    if len(table.times) != expected:
        raise ConfigError(f"{where} holds {len(table.times)} steps, not {expected}; collect the day again.")
    return Evidence(table.origin, Samples(service, window, step_s, table.columns, table.warnings))


@dataclass(frozen=True)
class Table:
    """An evidence file's content, before anybody has asked what window it is of."""

    origin: Origin
    warnings: tuple[str, ...]
    times: Sequence[str]
    columns: Mapping[str, Array]


def parse(data: bytes, where: str) -> Table:
    """An evidence file of any window. Every defect is one ``ConfigError`` that names ``where``."""
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
    return Table(_origin(lines[:1], where), _warnings(lines[1:comments], where), fields[0], columns)


def _origin(lines: Sequence[str], where: str) -> Origin:
    try:
        return Origin.model_validate_json("".join(lines).removeprefix("# "))
    except ValidationError:
        raise _defect(where, "its first line does not say which source and queries it is of") from None


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


def check_times(times: Sequence[str], start: datetime, step_s: int, where: str) -> None:
    """The rows must be steps of ``step_s`` seconds from ``start`` on, without a gap."""
    for found, expected in zip(times, _times(start, len(times), step_s), strict=True):
        if found != expected:
            raise _defect(where, f"'{found}' stands where the step {expected} should be")


def _times(start: datetime, steps: int, step_s: int) -> list[str]:
    return [format_instant(start + k * timedelta(seconds=step_s)) for k in range(steps)]


def _defect(where: str, what: str) -> ConfigError:
    return ConfigError(f"{where} is not an evidence file that can be used: {what}; collect or copy the day again.")
