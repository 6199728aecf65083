"""Time the detectors side by side: samples scored and learned in a second, on one core, beside river's own loop over
one GaussianScorer per series. A million series take about 5 GB of memory and a few minutes."""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np
from river.anomaly import GaussianScorer

from benchmarks import figures
from benchmarks.channel import at_least
from benchmarks.made_up_kpis import Load, Matrix
from observability.definitions import DEFAULT_CHANNELS, Channel
from observability.detection import channels
from observability.detection.bank import Bank, Time

NAMES = ("ewma", "significance", "novelty")
TOGETHER = tuple(channel.name for channel in DEFAULT_CHANNELS)
RIVER = "river"
COLUMNS = {**{name: name for name in NAMES}, RIVER: "river's GaussianScorer"}
REFERENCE, MILLION = 10_000, 1_000_000
STEP_S = 60
WARM_UP_STEPS, WARM_UP_STEP_S = 7 * 96, 900  # a week of quarter hours, as the week before a release
POINTS = 2_000_000  # that a bank is timed with at once, in whole steps
FEWEST_STEPS, MOST_STEPS = 3, 500
RIVER_STEPS = 20
MISSING = 0.02
EXAMPLES = """\
examples:
  python -m benchmarks.detector_speed                          a table
  python -m benchmarks.detector_speed --json                   the same as JSON
  python -m benchmarks.detector_speed --series 1000,10000      without the large ones
"""


@dataclass(frozen=True)
class Case:
    """How the samples come: in one call per step or in two, some of them missing, each series with its own times."""

    text: str
    in_two_calls: bool = False
    missing: float = 0.0
    own_times: bool = False


CASES = {
    "step": Case("score and learn"),
    "score_then_learn": Case("score, then learn, in two calls", in_two_calls=True),
    "missing": Case(f"{100 * MISSING:g} % missing", missing=MISSING),
    "own_times": Case("each series with its own times", own_times=True),
}


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    return figures.tell(lambda: measure_all(given.series, given.rounds, given.seed), table, given, "speed")


def measure_all(sizes: Sequence[int], rounds: int, seed: int) -> dict[str, Any]:
    return summary({size: measure(size, rounds, seed) for size in sizes}, about())


def about() -> dict[str, Any]:
    """Also the libraries that the detectors stand on, and that they are compared with."""
    return {**figures.about(), "numpy": version("numpy"), "river": version("river")}


def measure(size: int, rounds: int, seed: int) -> dict[str, Any]:
    """Seconds per sample, per case and detector one for each round, and bytes per series, of ``size`` series."""
    load = Load(size, seed)
    banks, traced = made(size)
    scorers = [GaussianScorer() for _ in range(size if size == REFERENCE else 0)]  # type: ignore[no-untyped-call]
    done = figures.progress(f"timing {size:,} series", WARM_UP_STEPS + rounds * len(CASES))
    warm_up(load, banks, scorers, done)
    seconds: dict[str, dict[str, list[float]]] = {case: {} for case in CASES}
    for _ in range(rounds):
        for name, case in CASES.items():
            for detector, cost in timed(load, banks, scorers, case).items():
                seconds[name].setdefault(detector, []).append(cost)
            done()
    return {
        "seconds_per_point": seconds,
        "bytes_per_series": {name: bank.nbytes / size for name, bank in banks.items()},
        "traced_bytes_per_series": {name: bytes_ / size for name, bytes_ in traced.items()},
    }


def made(size: int) -> tuple[dict[str, Any], dict[str, int]]:
    """The banks, and how much memory Python has given to each after its first step."""
    banks, traced = {}, {}
    nothing = np.full(size, np.nan)
    for name in NAMES:
        tracemalloc.start()
        banks[name] = channels.bank_of(Channel(name=name), size)
        banks[name].step_many(0.0, nothing)
        traced[name] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return banks, traced


def warm_up(load: Load, banks: Mapping[str, Bank], scorers: Sequence[Any], done: Callable[[], None]) -> None:
    """Learns until every series is scored."""
    for _ in range(WARM_UP_STEPS):
        times, values = load.steps(1, WARM_UP_STEP_S)
        for bank in banks.values():
            bank.step_many(times[0], values[0])
        if scorers:
            river_loop(scorers, values.tolist())
        done()
    times, values = load.steps(1, STEP_S)
    for name, bank in banks.items():
        scored = bank.read_many(times[0], values[0]).scored
        assert scored.all(), f"{name} scores {scored.mean():.0%} of the series after the warm-up; lengthen it"


def timed(load: Load, banks: Mapping[str, Bank], scorers: Sequence[Any], case: Case) -> dict[str, float]:
    """Seconds per sample of each detector with the same samples, one detector after the other."""
    steps = min(max(POINTS // load.size, FEWEST_STEPS), MOST_STEPS)
    instants, values = load.steps(steps, STEP_S, case.missing)
    offsets = load.offsets(STEP_S)
    times: list[Time] = [instant + offsets for instant in instants] if case.own_times else [*instants]
    run = score_then_learn if case.in_two_calls else step
    costs = {name: _seconds(run, bank, times, values) / values.size for name, bank in banks.items()}
    if scorers:
        rows = values[:RIVER_STEPS]
        costs[RIVER] = _seconds(river_loop, scorers, rows.tolist()) / rows.size
    return costs


def step(bank: Bank, times: Sequence[Time], values: Matrix) -> None:
    for t, row in zip(times, values, strict=True):
        bank.step_many(t, row)


def score_then_learn(bank: Bank, times: Sequence[Time], values: Matrix) -> None:
    for t, row in zip(times, values, strict=True):
        bank.score_many(t, row)
        bank.learn_many(t, row)


def river_loop(scorers: Sequence[Any], rows: Sequence[Sequence[float]]) -> None:
    """Each sample scored, then learned, by its series' own object; what is missing is left out."""
    x: dict[str, float] = {}
    for row in rows:
        for scorer, value in zip(scorers, row, strict=True):
            if value == value:
                scorer.score_one(x, value)
                scorer.learn_one(x, value)


def _seconds(run: Callable[..., None], *arguments: Any) -> float:
    begin = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begin


def summary(by_size: Mapping[int, dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """The figures that have targets, None where their size was not measured, and the medians of everything."""
    rates = {size: _rates(found["seconds_per_point"]) for size, found in by_size.items()}
    largest = by_size[max(by_size)]
    own = largest["bytes_per_series"]
    return {
        "points_per_s": rates[REFERENCE]["step"] if REFERENCE in rates else None,
        **{f"ratio_{name}": _ratio(by_size, name) for name in TOGETHER},
        "million_series_step_s": _step_s(by_size),
        "bytes_per_series": {**own, "total": sum(own.values())},
        "traced_bytes_per_series": largest["traced_bytes_per_series"],
        "growth": _growth(rates),
        "sizes": {str(size): found for size, found in rates.items()},
        "about": about,
    }


def _rates(seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Samples a second, per case and detector."""
    return {case: {name: 1 / median(costs) for name, costs in of.items()} for case, of in seconds.items()}


def _ratio(by_size: Mapping[int, dict[str, Any]], name: str) -> float | None:
    """How many times faster than river's loop: the median of what was measured within one round."""
    if REFERENCE not in by_size:
        return None
    costs = by_size[REFERENCE]["seconds_per_point"]["step"]
    return float(median(rivers / ours for rivers, ours in zip(costs[RIVER], costs[name], strict=True)))


def _step_s(by_size: Mapping[int, dict[str, Any]]) -> float | None:
    """Both channels, one after the other: the median over the rounds."""
    if MILLION not in by_size:
        return None
    costs = by_size[MILLION]["seconds_per_point"]["step"]
    return MILLION * float(median(sum(both) for both in zip(*(costs[name] for name in TOGETHER), strict=True)))


def _growth(rates: Mapping[int, dict[str, dict[str, float]]]) -> dict[str, float] | None:
    """The cost of a sample among a million series over that among 10,000."""
    if not {REFERENCE, MILLION} <= rates.keys():
        return None
    return {name: rates[REFERENCE]["step"][name] / rates[MILLION]["step"][name] for name in NAMES}


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables, with the targets."""
    about = "{date}, {machine}, Python {python}, numpy {numpy}, river {river}, commit `{commit}`."
    return "\n".join([about.format(**report["about"]), "", *_rate_table(report["sizes"]), "", *_target_table(report)])


def _rate_table(sizes: Mapping[str, dict[str, dict[str, float]]]) -> list[str]:
    rows = [
        (f"{int(size):,} series, {case.text}", [_millions(rates[name].get(column)) for column in COLUMNS])
        for size, rates in sizes.items()
        for name, case in CASES.items()
    ]
    return [
        f"| million samples a second, one core | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---:|' * len(COLUMNS)}",
        *(f"| {name} | {' | '.join(values)} |" for name, values in rows),
    ]


def _millions(rate: float | None) -> str:
    return "" if rate is None else f"{rate / 1e6:.1f}"


def _target_table(report: dict[str, Any]) -> list[str]:
    own, traced, growth = report["bytes_per_series"], report["traced_bytes_per_series"], report["growth"] or {}
    rows = [
        ("significance over river's GaussianScorer", _told(report["ratio_significance"], ".0f", " times"), "≥ 60"),
        ("novelty over river's GaussianScorer", _told(report["ratio_novelty"], ".0f", " times"), "≥ 20"),
        ("a step of a million series, both", _told(report["million_series_step_s"], ".3f", " s"), "< 0.2 s"),
        *(
            (f"cost of a sample, a million series over 10,000, {name}", f"{cost:.2f}", "< 2")
            for name, cost in growth.items()
        ),
        *(
            (f"bytes per series, {name} (as Python counts them)", f"{own[name]:.0f} ({traced[name]:.0f})", "")
            for name in traced
        ),
        ("bytes per series, all", f"{own['total']:.0f}", "≤ 4,000"),
    ]
    return ["| | measured | target |", "|---|---:|---|", *(f"| {' | '.join(row)} |" for row in rows)]


def _told(figure: float | None, form: str, unit: str) -> str:
    return "not measured" if figure is None else f"{figure:{form}}{unit}"


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detector_speed",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    page = figures.DETECTOR_PAGE.relative_to(figures.ROOT)
    sizes = [1000, REFERENCE, 100_000, MILLION]
    parser.add_argument("--series", type=_sizes, default=sizes, help="how many (default: 1000,10000,100000,1000000)")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="how often each is timed (default: %(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=3, help="of the random numbers (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--document", action="store_true", help=f"write the tables into {page}")
    return parser.parse_args(arguments)


def _sizes(text: str) -> list[int]:
    if not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers; write it like 1000,10000")
    return [at_least(1)(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
