"""A week as OpenMetrics text, for ``promtool tsdb create-blocks-from openmetrics``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby

import numpy as np

from test_data.events import SCRAPE_OFFSET_S, STEP_S
from test_data.week import Series, Week

HISTOGRAMS = ("http_request_duration_seconds", "db_client_operation_duration_seconds")


def text(week: Week, days: range | None = None) -> Iterator[str]:
    """The samples of ``days`` (all of the week's by default), piece by piece.

    The families follow on each other, each with its series, and each series in the order of time; the samples of one
    histogram at one time stand together, as the format has it. A series that ends just ends: ``promtool`` writes no
    staleness markers, so a plain selector sees it for five minutes more. (OpenMetrics 1.0, "Text format".)
    """
    order = sorted(week.series, key=lambda series: _family(series.metric))
    for (family, kind), members in groupby(order, key=lambda series: _family(series.metric)):
        yield f"# TYPE {family} {kind}\n"
        for _, metric in groupby(members, key=_identity):
            yield _samples(week, list(metric), week.timeline.days if days is None else days)
    yield "# EOF\n"


def _family(metric: str) -> tuple[str, str]:
    """A sample's metric family and its type."""
    for histogram in HISTOGRAMS:
        if metric.startswith(histogram):
            return histogram, "histogram"
    if metric.endswith("_total"):
        return metric.removesuffix("_total"), "counter"
    return metric, "gauge"


def _identity(series: Series) -> tuple[str, ...]:
    """What the series of one histogram have in common, and other series have alone."""
    return (_family(series.metric)[0], *(f"{name}={value}" for name, value in series.labels.items() if name != "le"))


def _samples(week: Week, metric: Sequence[Series], days: range) -> str:
    first, last = week.timeline.minutes_of(days[0]).start, week.timeline.minutes_of(days[-1]).stop
    start = int(week.timeline.start.timestamp()) + SCRAPE_OFFSET_S
    ends = [f" {start + STEP_S * minute}\n" for minute in range(first, last)]
    columns = [_lines(series, slice(first, last), ends) for series in metric]
    return "".join(chain.from_iterable(zip(*columns, strict=True)))


def _lines(series: Series, minutes: slice, ends: Sequence[str]) -> list[str]:
    """One line per scrape, empty where the scrape did not return the series."""
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
    begin = f"{series.metric}{{{labels}}} "
    values = series.values[minutes]
    missing = np.isnan(values).tolist()
    numbers = np.nan_to_num(values)
    if not np.mod(numbers, 1).any():
        numbers = numbers.astype(np.int64)  # 12 and not 12.0
    shown = map(repr, numbers.tolist())
    return ["" if gone else f"{begin}{value}{end}" for value, end, gone in zip(shown, ends, missing, strict=True)]
