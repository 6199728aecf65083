"""The picture of a scored series: what is left out of it, and that it can be drawn of anything."""

import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.model import Array
from retrospective.plots import PIXELS, Curve, Step, averaged, longest_interval, plot_scores, thinned

START = 1704110400.0


def evenly(n: int, step: float = 60.0) -> Array:
    return START + step * np.arange(n)


def curve(score: Array, threshold: float = 5.0) -> Curve:
    there = np.where(np.isfinite(score), 100.0, np.nan)
    return Curve("significance", threshold, score, there, there - 5, there + 5)


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def naive_thinned(times: Array, values: Array) -> list[int]:
    """First, last, lowest and highest sample of each of the pixels, one pixel after the other."""
    pixels: dict[int, list[int]] = {}
    for k, t in enumerate(times):
        pixels.setdefault(int((t - times[0]) / (times[-1] - times[0]) * PIXELS), []).append(k)
    kept = set()
    for inside in pixels.values():
        kept |= {inside[0], inside[-1], min(inside, key=lambda k: values[k]), max(inside, key=lambda k: (values[k], k))}
    return sorted(kept)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_line_keeps_each_pixels_ends_and_extremes(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = START + np.cumsum(random.exponential(60.0, 4 * PIXELS + 500))
    values = random.integers(0, 50, times.size).astype(float)
    assert thinned(times, values).tolist() == naive_thinned(times, values)


def test_no_spike_disappears() -> None:
    values = np.zeros(100_000)
    values[[7, 50_000, 99_990]] = 5.0
    shown = thinned(evenly(values.size), values)
    assert {7, 50_000, 99_990} <= set(shown.tolist())
    assert shown.size <= 4 * (PIXELS + 1)


def test_a_short_series_is_drawn_whole() -> None:
    assert thinned(evenly(100), np.zeros(100)).tolist() == list(range(100))


def test_samples_at_one_time_are_drawn() -> None:
    same = np.full(10_000, START)
    assert thinned(same, np.arange(10_000.0)).tolist() == [0, 9_999]


def test_a_band_is_averaged_per_pixel() -> None:
    """Five samples in each pixel, of 0, 1, 2, 3 and 4; besides, the first and the last sample are 6."""
    inner = (np.arange(PIXELS)[:, np.newaxis] + [0.1, 0.3, 0.5, 0.7, 0.9]).ravel()
    times, means = averaged(np.concatenate([[0.0], inner, [PIXELS]]), np.array([6.0, *[0, 1, 2, 3, 4] * PIXELS, 6.0]))
    assert means.tolist() == [16 / 6] + [2.0] * (PIXELS - 1) + [6.0]
    assert times[[0, 1, -1]] == pytest.approx([2.5 / 6, 1.5, PIXELS])


@pytest.mark.parametrize(
    ("times", "longest"),
    [
        (evenly(100), 90.0),  # 1.5 intervals: one missing sample is a gap
        (np.delete(evenly(100), 50), 90.0),
        (evenly(100_000), 2 * 60.0 * 99_999 / PIXELS),  # what is narrower than two pixels cannot be seen
        (np.array([START]), 0.0),
        (np.array([]), 0.0),
    ],
)
def test_what_is_a_gap(times: Array, longest: float) -> None:
    assert longest_interval(times) == pytest.approx(longest)


def scores(n: int, warm_up: int = 10) -> Array:
    found = np.abs(np.random.default_rng(0).normal(0, 1, n))
    found[:warm_up] = np.nan
    return found


@pytest.mark.parametrize(
    ("times", "values"),
    [
        pytest.param(evenly(100), np.arange(100.0), id="100"),
        pytest.param(evenly(100_000), np.sin(np.arange(100_000.0)), id="100,000"),
        pytest.param(evenly(0), np.zeros(0), id="none"),
        pytest.param(evenly(1), np.ones(1), id="one"),
        pytest.param(evenly(50), np.full(50, np.nan), id="all missing"),
        pytest.param(evenly(50), np.full(50, 7.0), id="constant"),
        pytest.param(evenly(50), np.zeros(50), id="zero"),
        pytest.param(evenly(50), np.array([-1.7e308, 1.7e308] * 25), id="huge"),
        pytest.param(evenly(50), np.array([0.0, 5e-324] * 25), id="tiny"),
        pytest.param(evenly(50), 1e12 + np.arange(50.0), id="far from 0"),
        pytest.param(np.append(evenly(25), evenly(25) + 3.2e8), np.arange(50.0), id="ten years of gap"),
        pytest.param(np.full(50, START), np.arange(50.0), id="one time"),
        pytest.param(START + 1e-6 * np.arange(50), np.arange(50.0), id="microseconds"),
        pytest.param(np.linspace(-62_135_596_800, 253_402_300_799, 50), np.arange(50.0), id="all years"),
    ],
)
def test_anything_can_be_drawn(times: Array, values: Array) -> None:
    found = np.where(np.isfinite(values), scores(values.size), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = plot_scores("a.csv", times, values, [curve(found), curve(np.full(values.size, np.nan))])
    assert size(picture)[0] == 1400


@pytest.mark.parametrize("factor", [0.0, 1e3, 1e306])
def test_scores_of_any_size_can_be_drawn(factor: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert size(plot_scores("a.csv", evenly(50), np.arange(50.0), [curve(factor * scores(50))]))


def test_a_panel_per_channel() -> None:
    heights = [
        size(plot_scores("a", evenly(50), np.arange(50.0), [curve(scores(50))] * count))[1] for count in (1, 2, 6)
    ]
    assert heights[0] < heights[1] < heights[2]


def test_a_new_level_is_a_step_in_the_picture() -> None:
    values = np.where(np.arange(50) < 20, 1.0, 2.0)
    step = Step(since=START + 20 * 60, noticed=START + 40 * 60, before=1.0, after=2.0, settled=True)
    plain = curve(scores(50))
    drawn = [plot_scores("a", evenly(50), values, [one]) for one in (plain, replace(plain, new_levels=(step,)))]
    assert drawn[0] != drawn[1]
    moving = replace(plain, new_levels=(step._replace(settled=False),))
    assert plot_scores("a", evenly(50), values, [moving]) not in drawn
    huge = Step(since=START, noticed=253_402_300_799.0, before=-1.7e308, after=1.7e308, settled=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert size(plot_scores("a", evenly(50), values, [replace(plain, new_levels=(step, huge))]))


def test_open_ends_of_a_band_are_drawn_to_the_edge() -> None:
    open_ended = replace(curve(scores(50)), low=np.full(50, -np.inf), high=np.full(50, np.inf))
    assert size(plot_scores("a", evenly(50), np.arange(50.0), [open_ended]))


def test_a_title_is_taken_as_it_stands() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert size(plot_scores("costs $1$ 指标 \\frac{.csv", evenly(50), np.arange(50.0), [curve(scores(50))]))


def test_the_same_series_gives_the_same_bytes() -> None:
    first, second = (plot_scores("a", evenly(50), np.arange(50.0), [curve(scores(50))]) for _ in range(2))
    assert first == second
