"""The stage behind `detect --csv`: series from CSV files, scored side by side as the online detector does.

A scored file has one row per row of its CSV, in that order: ``timestamp`` and ``value`` as they stand there, and per
channel its score, what it expected, the band outside which it alarms, and whether it did (1 or 0); empty cells where it
did not score the row.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from observability.csv_files import STDOUT, Job
from observability.csv_series import Columns, CsvSeries, read_series
from observability.csv_times import EPOCH, is_clock_change
from observability.definitions import Channel
from observability.errors import NotEnoughDataError, PostgaError
from observability.model import Array, Frozen, Instant
from observability.store import Store

CLOCK_CHANGE = "; a clock change? write the zone, or UTC"

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from observability.detection.bank import NewLevel, Track

    Indices = NDArray[np.intp]

MOST = 256  # files that are scored side by side: more take memory, and little less time each


class Level(Frozen):
    """The series moved at ``since``, and by ``noticed`` had not come back for long enough: it has ``settled``, or still
    moves. ``alarms`` is how many of the channel's there were on the way."""

    since: Instant
    noticed: Instant
    before: float
    after: float
    settled: bool
    alarms: int


class Count(Frozen):
    """One channel on one file: how many samples it scored, how many of them reached its threshold, and its new
    levels."""

    threshold: float
    scored: int
    alarms: int
    new_levels: tuple[Level, ...] = ()


class Report(Frozen):
    """What became of one file. ``missing`` rows have no value or no time, ``late`` ones the time of an earlier row;
    neither are scored. ``error`` says why the file could not be read, ``no_data`` why no channel scored any row."""

    csv: Path
    out: Path | None = None
    plot: Path | None = None
    rows: int = 0
    missing: int = 0
    late: int = 0
    first: Instant | None = None
    last: Instant | None = None
    channels: Mapping[str, Count] = {}
    warnings: tuple[str, ...] = ()
    no_data: str | None = None
    error: str | None = None
    exit_code: int = 0


@dataclass(frozen=True)
class _Timeline:
    """A series in time order: sample k is row ``rows[k]`` of the file. Rows without a time are not in it; ``late`` are
    the rows whose sample has the time of an earlier one."""

    series: CsvSeries
    rows: Indices
    late: Indices

    @property
    def times(self) -> Array:
        return self.series.times[self.rows]

    @property
    def values(self) -> Array:
        return self.series.values[self.rows]

    @property
    def samples(self) -> int:
        return int(np.isfinite(self.values).sum()) - self.late.size


@dataclass(frozen=True)
class _Scores:
    """What a channel says of a timeline."""

    channel: str
    threshold: float
    reading: Track

    @property
    def alarms(self) -> NDArray[np.bool_]:
        return self.reading.scored & (self.reading.score >= self.threshold)

    @property
    def told(self) -> list[Array]:
        """Score, expected, low and high, NaN where the sample was not scored."""
        return [np.where(self.reading.scored, numbers, np.nan) for numbers in self.reading[1:5]]


def score_files(
    jobs: Sequence[Job], columns: Columns, channels: Sequence[Channel], advance: Callable[[str, float], None]
) -> Iterator[Report]:
    """Score the files, write the scores and the plots, and report on each file once that is done.

    A file that cannot be read does not keep the others from it. Files are read in groups, and each group written before
    the next is read.

    Raises
    ------
    ConfigError
        No detector has a channel's name or parameter, or a place cannot be written to.
    """
    from observability.detection.channels import bank_of

    thresholds = [bank_of(channel, 0).threshold for channel in channels]
    for first in range(0, len(jobs), MOST):
        group = jobs[first : first + MOST]
        name = f"file {first + 1}" if len(group) == 1 else f"files {first + 1} to {first + len(group)}"
        yield from _score(group, columns, channels, thresholds, partial(_advance, advance, f"{name} of {len(jobs)}"))


def _advance(advance: Callable[[str, float], None], name: str, text: str, share: float) -> None:
    advance(f"{name}: {text}", share)


def _score(
    jobs: Sequence[Job],
    columns: Columns,
    channels: Sequence[Channel],
    thresholds: Sequence[float],
    advance: Callable[[str, float], None],
) -> Iterator[Report]:
    """The reports on files that are scored side by side."""
    from observability.detection.channels import track

    read: dict[Job, _Timeline | PostgaError] = {}
    for number, job in enumerate(jobs, 1):
        advance("reading", number / len(jobs))
        read[job] = _read(job, columns)
    lines = {job: one for job, one in read.items() if isinstance(one, _Timeline)}
    found: dict[Job, list[_Scores]] = {job: [] for job in lines}
    times, values = [one.times for one in lines.values()], [one.values for one in lines.values()]
    for channel, threshold in zip(channels, thresholds, strict=True):
        tracks = track(channel, times, values, partial(advance, channel.name))
        for job, reading in zip(lines, tracks, strict=True):
            found[job].append(_Scores(channel.name, threshold, reading))
    for number, (job, one) in enumerate(read.items(), 1):
        if isinstance(one, PostgaError):
            yield Report(csv=job.source, error=str(one), exit_code=one.exit_code)
            continue
        advance("writing", number / len(jobs))
        _write(job, one, found[job])
        yield _report(job, one, found[job])


def _read(job: Job, columns: Columns) -> _Timeline | PostgaError:
    try:
        return _timeline(read_series(job.source, columns))
    except PostgaError as error:
        return error


def _timeline(series: CsvSeries) -> _Timeline:
    order = np.argsort(series.times, kind="stable")  # those without a time come last
    rows = order[np.isfinite(series.times[order])]
    samples = rows[np.isfinite(series.values[rows])]
    again = np.diff(series.times[samples]) == 0
    return _Timeline(series, rows, np.sort(samples[1:][again]))


def _write(job: Job, line: _Timeline, found: Sequence[_Scores]) -> None:
    content = _csv(line, found)
    if job.target == STDOUT:
        sys.stdout.write(content)
        return
    encoded = content.encode()
    picture = None if job.plot is None else _picture(job, line, found)
    Store().write_bytes(str(job.target), gzip.compress(encoded, mtime=0) if job.target.suffix == ".gz" else encoded)
    if picture is not None:
        Store().write_bytes(str(job.plot), picture)


def _csv(line: _Timeline, found: Sequence[_Scores]) -> str:
    header = ["timestamp", "value"]
    columns = [line.series.timestamps, line.series.texts]
    for scores in found:
        header += [f"{scores.channel}_{what}" for what in ("score", "expected", "low", "high", "alarm")]
        columns += _cells(line, scores)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _cells(line: _Timeline, scores: _Scores) -> Iterator[list[str]]:
    """The channel's five columns, one cell per row of the file."""
    alarms = np.where(scores.reading.scored, scores.alarms, np.nan)
    for numbers, as_text in (*((one, repr) for one in scores.told), (alarms, _as_bit)):
        cells = [""] * len(line.series.texts)
        for row, number in zip(line.rows.tolist(), numbers.tolist(), strict=True):
            if not math.isnan(number):
                cells[row] = as_text(number)
        yield cells


def _as_bit(number: float) -> str:
    return str(int(number))


def _picture(job: Job, line: _Timeline, found: Sequence[_Scores]) -> bytes:
    from retrospective.plots import Curve, Step, plot_scores

    curves = [
        Curve(one.channel, one.threshold, *one.told, new_levels=tuple(Step(*s[1:]) for s in one.reading.new_levels))
        for one in found
    ]
    return plot_scores(job.source.name, line.times, line.values, curves)


def _report(job: Job, line: _Timeline, found: Sequence[_Scores]) -> Report:
    series, times = line.series, line.times
    counts = {one.channel: _count(times, one) for one in found}
    no_data = _no_data(line, counts)
    return Report(
        csv=job.source,
        out=job.target,
        plot=job.plot,
        rows=len(series.texts),
        missing=len(series.texts) - line.samples - line.late.size,
        late=line.late.size,
        first=EPOCH + timedelta(seconds=times[0]) if times.size else None,
        last=EPOCH + timedelta(seconds=times[-1]) if times.size else None,
        channels=counts,
        warnings=(*series.warnings, *_order(line), *([] if no_data else _cold(line, counts))),
        no_data=no_data,
        exit_code=NotEnoughDataError.exit_code if no_data else 0,
    )


def _count(times: Array, scores: _Scores) -> Count:
    alarms = times[scores.alarms]
    return Count(
        threshold=scores.threshold,
        scored=int(scores.reading.scored.sum()),
        alarms=alarms.size,
        new_levels=tuple(_level(alarms, level) for level in scores.reading.new_levels),
    )


def _level(alarms: Array, level: NewLevel) -> Level:
    return Level(
        since=EPOCH + timedelta(seconds=level.since),
        noticed=EPOCH + timedelta(seconds=level.noticed),
        before=level.before,
        after=level.after,
        settled=level.settled,
        alarms=int(((level.since <= alarms) & (alarms <= level.noticed)).sum()),
    )


def _order(line: _Timeline) -> Iterator[str]:
    """What is unusual in the order of the rows."""
    series = line.series
    placed = np.flatnonzero(np.isfinite(series.times))
    back = placed[1:][np.diff(series.times[placed]) < 0]
    if back.size:
        change = CLOCK_CHANGE if is_clock_change(series.times, series.zoneless, int(back[0])) else ""
        where = f"line {series.lines[back[0]]} is earlier than the row before it{change}"
        yield f"not in time order ({where}); scored in time order, and written in the file's."
    if line.late.size:
        is_change = not back.size and is_clock_change(series.times, series.zoneless, int(line.late[0]))
        where = f"the first on line {series.lines[line.late[0]]}{CLOCK_CHANGE if is_change else ''}"
        yield f"late rows: {line.late.size:,} ({where}); of rows with one time, the first with a value is scored."


def _no_data(line: _Timeline, counts: Mapping[str, Count]) -> str | None:
    if any(count.scored for count in counts.values()):
        return None
    if not line.series.texts:
        return "no data: it has a header and no rows."
    if line.samples == 0:
        return "no data: not one of its rows has a time and a value that can be scored."
    return f"no data: too few values ({line.samples:,}) to warm up {' or '.join(counts)}."


def _cold(line: _Timeline, counts: Mapping[str, Count]) -> Iterator[str]:
    for name, count in counts.items():
        if count.scored == 0:
            yield f"{name}: no data: too few values ({line.samples:,}) to warm it up."
