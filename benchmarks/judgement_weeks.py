"""Real weeks to judge: hourly series, windows of fifteen days without a labelled point, and changes put into them.

The folder has cloud-monitoring/ (any *.csv with TimeStamp, Value and, if points are labelled, Label) or hosts/
(KIND-NAME.csv.gz, see ``benchmarks.hosts_data``), or both; or it is one of the two itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import hosts_data
from benchmarks.event_scoring import Flags
from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary
from observability.definitions import Direction, Kind
from observability.errors import ConfigError
from observability.model import DAYS_BEFORE, LAST_DAY, Array, Calendar

Matrix = NDArray[np.float64]

CLOUD, HOSTS = "cloud-monitoring", "hosts"
TIME, VALUE, LABEL = "TimeStamp", "Value", "Label"
HOUR_S, HOURS = 3600, 24
GA = DAYS_BEFORE  # the GA day's row
DAYS = DAYS_BEFORE + 1 + LAST_DAY
RELEASED = DAYS - GA  # the GA day and those after it
MOST_MISSING = 0.05  # share of a window's hours
MOST_ZERO = 0.5  # likewise
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KPI = "kpi"


@dataclass(frozen=True)
class Series:
    """Hourly means, NaN where an hour has none; ``first_hour`` is counted from the epoch. ``labelled``: the hours in
    which a point is labelled. ``cluster``: what may move together, a host's KPIs."""

    group: str
    cluster: str
    name: str
    first_hour: int
    values: Array
    labelled: Flags


@dataclass(frozen=True)
class Window:
    """Fifteen days of a series from a midnight in UTC: ``hours`` of shape (15, 24), GA with row 7. ``first_day`` is
    counted from the epoch."""

    series: Series
    first_day: int
    hours: Matrix

    @property
    def spike_day(self) -> int:
        """Which of the days 1 to 7 a spike of a day is put on: each of them in turn."""
        return 1 + self.first_day % LAST_DAY


Inject = Callable[[Window], Matrix]
"""Gives the window's hours from GA on with a change in them, shape (8, 24)."""


def step(factor: float) -> Inject:
    """From the GA instant on."""
    return lambda window: window.hours[GA:] * factor


def ramp(factor: float) -> Inject:
    """From 1 at the GA instant to the factor at the end of day 7, a little each hour."""
    share = (np.arange(RELEASED * HOURS) + 0.5) / (RELEASED * HOURS)
    return lambda window: window.hours[GA:] * (1 + (factor - 1) * share).reshape(RELEASED, HOURS)


def spike(factor: float) -> Inject:
    """On one whole day, and nothing after it."""

    def inject(window: Window) -> Matrix:
        hours = window.hours[GA:].copy()
        hours[window.spike_day] *= factor
        return hours

    return inject


INJECTED: Mapping[str, Inject] = {
    "as_is": step(1.0),
    "1_15": step(1.15),
    "1_3": step(1.3),
    "ramp": ramp(1.3),
    "spike": spike(2.0),
    "spike_1_3": spike(1.3),
    "spike_5": spike(5.0),
}


# --- what is read


def read(folder: Path) -> list[Series]:
    """All series below the folder.

    Raises
    ------
    ConfigError
        There are none, or a file cannot be read.
    """
    cloud, hosts = folder / CLOUD, folder / HOSTS
    if not (cloud.is_dir() or hosts.is_dir()):
        cloud = hosts = folder
    found = [*_read_cloud(cloud), *_read_hosts(hosts)]
    if not found:
        raise ConfigError(
            f"{folder} has no *.csv with {TIME} and {VALUE}, and no KIND-NAME.csv.gz; name the folder that holds "
            f"{CLOUD}/ or {HOSTS}/ with --data."
        )
    return found


def _read_cloud(folder: Path) -> Iterator[Series]:
    for path in sorted(folder.rglob("*.csv")):
        try:
            frame = pd.read_csv(path)
            if not {TIME, VALUE} <= set(frame):
                continue
            instants = pd.to_datetime(frame[TIME], utc=True, format="ISO8601").dt.as_unit("ns")
            if instants.isna().any():
                raise ValueError(f"a row has no {TIME}")
            times = instants.astype("int64").to_numpy() / 1e9
            labels = frame[LABEL].to_numpy(float) > 0 if LABEL in frame else np.zeros(times.size, dtype=np.bool_)
            name = path.relative_to(folder).with_suffix("").as_posix()
            yield hourly("cloud", name, name, times, frame[VALUE].to_numpy(float), labels)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ConfigError(f"{path} cannot be read as {TIME}, {VALUE}, {LABEL}; get it again: {reason}.") from None


def _read_hosts(folder: Path) -> Iterator[Series]:
    if not any(folder.glob("*-*.csv.gz")):
        return
    for host in hosts_data.read(folder):
        for number, values in enumerate(host.values.T):
            yield hourly("hosts", host.name, f"{host.name}/{number}", host.times, values, host.labels)


def hourly(group: str, cluster: str, name: str, times: Array, values: Array, labels: Flags) -> Series:
    """The means of the values in each hour of UTC; ``times`` are seconds since the epoch, in any order."""
    if not times.size:
        raise ValueError("it has no rows")
    hours = (times // HOUR_S).astype(np.int64)
    first, is_seen = int(hours.min()), np.isfinite(values)
    at, size = hours - first, int(hours.max()) - first + 1
    counts = np.bincount(at[is_seen], minlength=size)
    sums = np.bincount(at[is_seen], weights=values[is_seen], minlength=size)
    means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return Series(group, cluster, name, first, means, np.bincount(at, weights=labels, minlength=size) > 0)


# --- windows


def windows(series: Sequence[Series], every: int = 1) -> tuple[list[Window], list[tuple[str, Window]]]:
    """The windows without a labelled hour that can be judged, starting ``every`` days; and the others, with why not."""
    found = [(why_left_out(window.hours), window) for one in series for window in _unlabelled(one, every)]
    return [window for why, window in found if why is None], [(why, window) for why, window in found if why is not None]


def _unlabelled(series: Series, every: int) -> Iterator[Window]:
    first = -series.first_hour % HOURS  # the first midnight
    for start in range(first, series.values.size - DAYS * HOURS + 1, every * HOURS):
        span = slice(start, start + DAYS * HOURS)
        if not series.labelled[span].any():
            day = (series.first_hour + start) // HOURS
            yield Window(series, day, series.values[span].reshape(DAYS, HOURS))


def why_left_out(hours: Matrix) -> str | None:
    """Why no rate of change of these fifteen days can be judged, whatever a rule says of them; None: it can."""
    seen = hours[~np.isnan(hours)]
    if seen.size < (1 - MOST_MISSING) * hours.size:
        return "missing"
    if (seen < 0).any():
        return "negative"
    if (seen == 0).mean() > MOST_ZERO or (np.nanmax(hours, axis=1) == 0).any():
        return "mostly zero"
    return "constant" if (seen == seen[0]).all() else None


def disjoint(found: Sequence[Window]) -> Flags:
    """Which windows share no day with another of these of the same series: as many as there can be."""
    ends: dict[str, int] = {}
    is_taken = np.zeros(len(found), dtype=np.bool_)
    for index in sorted(range(len(found)), key=lambda index: found[index].first_day):
        window = found[index]
        if window.first_day >= ends.get(window.series.name, window.first_day):
            is_taken[index], ends[window.series.name] = True, window.first_day + DAYS
    return is_taken


# --- as the product has them


def before(window: Window) -> PreReleaseSummary:
    """The week before GA. It is the same whatever is injected."""
    days = (_day(window, number, window.hours[GA + number]) for number in range(-DAYS_BEFORE, 0))
    return PreReleaseSummary.model_construct(days=tuple(days))


def released(window: Window, hours: Matrix) -> list[DaySummary]:
    """The GA day and the seven after it, of hours of shape (8, 24)."""
    return [_day(window, number, of_day) for number, of_day in enumerate(hours)]


def _day(window: Window, number: int, hours: Array) -> DaySummary:
    span = Calendar(EPOCH + timedelta(days=window.first_day + GA)).window(number)
    seen = hours[~np.isnan(hours)]
    kpi = KpiSummary.model_construct(
        value=float(seen.mean()) if seen.size else None,
        unit="",
        direction=Direction.LOWER_IS_BETTER,
        category="other",
        kind=str(Kind.GAUGE),
        coverage=seen.size / HOURS,
        n=seen.size,
        hourly=tuple(None if value != value else value for value in hours.tolist()),  # NaN alone is not itself
    )
    timestamp = span.end - timedelta(seconds=1) if number > 0 else span.start
    return DaySummary.model_construct(timestamp=timestamp, day_number=number, kpis={KPI: kpi}, window=span)
