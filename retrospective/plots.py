"""Pictures: a scored series, with its band and its alarms, as a PNG."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from observability.model import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Indices = NDArray[np.intp]
    Mask = NDArray[np.bool_]

DAY_S = 86_400
FIRST_DAY, LAST_DAY = -719_162.0, 2_932_896.99  # since the epoch: the years 1 and 9999, beyond which no axis goes
WIDTH_IN, SERIES_IN, SCORE_IN, DPI = 14.0, 4.0, 1.4, 100
PIXELS = 1150  # across the panels; what lies in one of them is drawn as one
GAP = 1.5  # times the interval that nine of ten stay below: what is longer is a gap
BAND_OF = "significance"  # where several channels have a band
LINEAR_UP_TO = 3.0  # thresholds; a panel that reaches higher is logarithmic above 1
CROWD = 200  # marks of one channel, above which they are small
LARGEST = 1e300  # of a value that can be drawn: matplotlib subtracts and scales
SERIES, BAND, EXPECTED, THRESHOLD, LEVEL = "#333333", "#56B4E9", "#0072B2", "#999999", "#A50F15"
MARKS = (("#D55E00", "o"), ("#009E73", "D"), ("#CC79A7", "^"), ("#E69F00", "s"), ("#000000", "v"))  # Okabe and Ito's


class Step(NamedTuple):
    """A series leaves its level at ``since``, for another if it has ``settled``; times are seconds since the epoch."""

    since: float
    noticed: float
    before: float
    after: float
    settled: bool


@dataclass(frozen=True)
class Curve:
    """What one channel says of each sample, in arrays of shape (n,): NaN where it says nothing; and its new levels."""

    channel: str
    threshold: float
    score: Array
    expected: Array
    low: Array
    high: Array
    new_levels: tuple[Step, ...] = field(default=(), kw_only=True)

    @property
    def alarms(self) -> Mask:
        return self.score >= self.threshold

    @property
    def has_band(self) -> bool:
        return bool((np.isfinite(self.low) | np.isfinite(self.high)).any())


def plot_scores(title: str, times: Array, values: Array, curves: Sequence[Curve]) -> bytes:
    """The series over time (UTC) with the alarms of each channel, and below it a panel per channel with its score over
    its threshold. The band is that of significance, or of the first channel that has one.

    ``times`` are seconds since the epoch and ascend; NaN in ``values`` is a missing sample.
    """
    from matplotlib import dates
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its font cache
    heights = [SERIES_IN, *[SCORE_IN] * len(curves)]
    figure = Figure(figsize=(WIDTH_IN, sum(heights) + 0.8), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_series(panels[0], times, np.clip(values, -LARGEST, LARGEST), curves)
    for number, curve in enumerate(curves):
        _draw_score(panels[number + 1], times, curve, MARKS[number % len(MARKS)][0])
    panels[0].set_title(title, loc="left", parse_math=False)
    if times.size:
        first, last = _apart(times[0] / DAY_S, times[-1] / DAY_S)
        margin = 0.005 * (last - first)
        panels[0].set_xlim(max(first - margin, FIRST_DAY), min(last + margin, LAST_DAY))
    locator = dates.AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_formatter(formatter)
    panels[-1].set_xlabel("UTC", loc="left")
    figure.legend(loc="outside upper right", ncols=8, frameon=False)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a title may have letters that the font lacks
        figure.savefig(picture, format="png")
    return picture.getvalue()


def _draw_series(axes: Axes, times: Array, values: Array, curves: Sequence[Curve]) -> None:
    there = np.isfinite(values)
    times_there, values_there = times[there], values[there]
    longest = longest_interval(times_there)
    with_band = [curve for curve in curves if curve.has_band]
    if with_band:
        curve = next((one for one in with_band if one.channel == BAND_OF), with_band[0])
        _draw_band(axes, times, values_there, curve, longest)
    _line(axes, times_there, values_there, longest, color=SERIES, linewidth=0.8, label="value")
    for number, curve in enumerate(curves):
        found = np.flatnonzero(curve.alarms)
        found = found[thinned(times[found], values[found])]
        colour, mark = MARKS[number % len(MARKS)]
        size = 3 if found.size > CROWD else 6 + 3 * number  # the series stays in sight, and so do the marks behind
        label = f"{curve.channel}: {_count(curve.alarms)}"
        t, v = times[found] / DAY_S, values[found]
        axes.plot(t, v, mark, markersize=size, markerfacecolor="none", markeredgecolor=colour, label=label)
    _draw_levels(axes, [level for curve in curves for level in curve.new_levels])
    axes.grid(alpha=0.3)


def _draw_band(axes: Axes, times: Array, values: Array, curve: Curve, longest: float) -> None:
    """The band and what was expected, per pixel their mean, as far as the picture goes."""
    there = np.isfinite(curve.expected)
    low, high = _apart(values.min(), values.max())
    margin = 0.3 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    columns = [np.clip(one[there], low - margin, high + margin) for one in (curve.low, curve.high, curve.expected)]
    t, bottom, top, expected = _broken(*averaged(times[there], *columns), longest=longest)
    axes.fill_between(t / DAY_S, bottom, top, color=BAND, alpha=0.25, linewidth=0, label=f"band of {curve.channel}")
    axes.plot(t / DAY_S, expected, color=EXPECTED, linewidth=0.8, label="expected")


def _draw_levels(axes: Axes, levels: Sequence[Step]) -> None:
    """A step up or down where each new level begins: as long before it as it took to notice, and until it was. It is
    dashed where the series has not settled."""
    for settled, style, text in ((True, "-", "new level"), (False, "--", "not back, still moving")):
        found = [level for level in levels if level.settled is settled]
        for number, level in enumerate(found):
            times = np.array([2 * level.since - level.noticed, level.since, level.since, level.noticed])
            values = np.clip([level.before, level.before, level.after, level.after], -LARGEST, LARGEST)
            label = None if number else f"{text}: {len(found):,}"
            axes.plot(times / DAY_S, values, style, color=LEVEL, linewidth=1.6, label=label)


def _draw_score(axes: Axes, times: Array, curve: Curve, colour: str) -> None:
    there = np.isfinite(curve.score)
    t, ratio = times[there], np.clip(curve.score[there] / curve.threshold, -LARGEST, LARGEST)
    axes.set_title(f"{curve.channel}: score over its threshold, {curve.threshold:g}", loc="left", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.axhline(1, color=THRESHOLD, linewidth=1, linestyle="--")
    axes.set_ylim(0, 1.2)
    if not t.size:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center")
        return
    axes.axvspan(times[0] / DAY_S, t[0] / DAY_S, color=THRESHOLD, alpha=0.15, linewidth=0)
    _line(axes, t, ratio, longest_interval(t), color=colour, linewidth=0.8)
    highest = max(1.0, float(ratio.max()))
    if highest > LINEAR_UP_TO:
        axes.set_yscale("symlog", linthresh=1)
        powers = int(np.log10(highest))
        axes.set_yticks([0, *(10.0**power for power in range(0, powers + 1, powers // 4 + 1))])
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(min(0.0, float(ratio.min())), 1.2 * highest)


def _line(axes: Axes, times: Array, values: Array, longest: float, **style: Any) -> None:
    """A line that is broken at gaps; a sample between two of them is a dot."""
    shown = thinned(times, values)
    t, v = _broken(times[shown], values[shown], longest=longest)
    axes.plot(t / DAY_S, v, **style)
    ends = np.concatenate([[True], np.isnan(v), [True]])
    alone = ends[:-2] & ends[2:] & ~ends[1:-1]
    axes.plot(t[alone] / DAY_S, v[alone], ".", color=style["color"], markersize=2)


def longest_interval(times: Array) -> float:
    """The seconds above which two samples that follow each other are not joined: never less than two pixels."""
    if times.size < 2:
        return 0.0
    usual = float(np.quantile(np.diff(times), 0.9))
    return max(GAP * usual, 2 * float(times[-1] - times[0]) / PIXELS)


def thinned(times: Array, values: Array) -> Indices:
    """The samples that a line needs: in each pixel the first, the lowest, the highest and the last ("M4", Jugel et al.,
    VLDB 2014). No spike disappears."""
    if values.size <= 4 * PIXELS:
        return np.arange(values.size)
    starts, ends = _per_pixel(times)
    ascending = np.lexsort((values, _pixels(times)))  # pixel by pixel
    return np.unique(np.concatenate([starts, ends - 1, ascending[starts], ascending[ends - 1]]))


def averaged(times: Array, *columns: Array) -> list[Array]:
    """Times and columns, in each pixel their means."""
    if times.size <= 4 * PIXELS:
        return [times, *columns]
    starts, ends = _per_pixel(times)
    return [np.add.reduceat(one, starts) / (ends - starts) for one in (times, *columns)]


def _pixels(times: Array) -> Indices:
    span = max(float(times[-1] - times[0]), np.finfo(float).tiny)
    pixels: Indices = ((times - times[0]) / span * PIXELS).astype(np.intp)
    return pixels


def _per_pixel(times: Array) -> tuple[Indices, Indices]:
    """Where the samples of each pixel begin, and where they end."""
    starts = np.flatnonzero(np.diff(_pixels(times), prepend=-1))
    return starts, np.append(starts[1:], times.size)


def _broken(times: Array, *columns: Array, longest: float) -> list[Array]:
    """Times and columns with NaN wherever an interval is longer."""
    at = np.flatnonzero(np.diff(times) > longest) + 1
    return [np.insert(one, at, np.nan) for one in (times, *columns)]


def _apart(low: float, high: float) -> tuple[float, float]:
    """The two ends, moved apart where they are one."""
    if low < high:
        return low, high
    width = max(0.01 * abs(low), 0.01)
    return low - width, high + width


def _count(alarms: Mask) -> str:
    number = int(np.count_nonzero(alarms))
    return f"{number:,} alarm{'' if number == 1 else 's'}"
