"""Generated samples, and the text that promtool makes blocks of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """One series. ``times_ms``: when it was scraped, milliseconds since the epoch, ascending; ``values``: its value
    then, the same shape."""

    name: str
    labels: Mapping[str, str]
    times_ms: Integers
    values: Integers


def write_openmetrics(series: Iterable[Series], path: Path, start_ms: int, end_ms: int) -> None:
    """The samples in ``[start_ms, end_ms)``, each series in the order of time. (OpenMetrics 1.0, "Text format".)"""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for one in series:
            file.writelines(_lines(one, *np.searchsorted(one.times_ms, (start_ms, end_ms)).tolist()))
        file.write("# EOF\n")


def _lines(series: Series, low: int, high: int) -> Iterator[str]:
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
    begin = f"{series.name}{{{labels}}}"
    rows = zip(series.values[low:high].tolist(), series.times_ms[low:high].tolist(), strict=True)
    return (f"{begin} {value} {time / 1000:.3f}\n" for value, time in rows)


def samples(series: Sequence[Series]) -> int:
    """How many samples there are in all."""
    return sum(one.times_ms.size for one in series)
