"""Score a channel on the Numenta Anomaly Benchmark with NAB's own rules: one parameter set for the whole corpus, and
one threshold per profile, the best one. Needs NAB's data and labels (https://github.com/numenta/NAB).

With --robustness also: every parameter off by up to 25 %; and parameters and thresholds that are chosen on half of the
files and tested on the other half. There the parameters are the best of random sets between half and double the
channel's own, which were chosen on all files, so that this figure still knows a little of the files it is tested on.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks import figures, nab_corpus
from benchmarks.channel import OFF_BY, at_least, jittered, scattered, settings, settings_table
from benchmarks.nab_corpus import File
from benchmarks.nab_scoring import PROFILES, Weights, half_tested, sweep, weigh
from observability.definitions import Channel
from observability.detection.channels import parse_channel, track
from observability.errors import ConfigError
from observability.model import Array

SPLITS = 20
STANDARD = PROFILES["standard"]
EXAMPLES = """\
examples:
  python -m benchmarks.nab --nab NAB                              a table
  python -m benchmarks.nab --nab NAB --json                       the same as JSON
  python -m benchmarks.nab --nab NAB --robustness                 also with other parameters; takes minutes
  python -m benchmarks.nab --nab NAB --channel ewma:alpha=0.01    another channel
  python -m benchmarks.nab --nab NAB --results NAB/results        also files that NAB's own runner can score
"""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    return figures.tell(lambda: _measured(given), table, given, "nab")


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    files = nab_corpus.read(given.nab)
    channel = parse_channel(given.channel)
    return measure(files, channel, others_of(channel, files, given) if given.robustness else None, given.results)


class Others(NamedTuple):
    """The channel with other parameters, a little off and further off; ``seed`` is that of the halves."""

    near: Sequence[Channel]
    far: Sequence[Channel]
    seed: int


def others_of(channel: Channel, files: Sequence[File], given: argparse.Namespace) -> Others:
    if sum(bool(file.windows) for file in files) < 2:
        raise ConfigError("--robustness halves the files that have windows, and there are not two; leave it out.")
    near, far = jittered(channel, given.draws, given.seed), scattered(channel, given.sets, given.seed)
    return Others(near, far, given.seed)


def measure(files: Sequence[File], channel: Channel, others: Others | None, results: Path | None) -> dict[str, Any]:
    """The channel at the best threshold of each profile and at its own; with ``others``, also how robust that is."""
    measured = settings(channel)
    weights = [weigh(file.times.size, file.windows) for file in files]
    scores = score(files, channel, figures.progress(f"scoring {len(files)} files", 1))
    if results is not None:
        nab_corpus.write_results(results, channel.name, files, scores)
    report = {**normalised(weights, scores, measured["threshold"]), **measured, **size(files)}
    if others is not None:
        report |= robustness(files, weights, scores, others)
    return {**report, "about": figures.about()}


def score(files: Sequence[File], channel: Channel, done: figures.Done) -> list[Array]:
    """The scores of each file, all of them side by side; 0 where nothing is scored."""
    readings = track(channel, [file.times for file in files], [file.values for file in files], done)
    done()
    return [reading.score for reading in readings]


def normalised(weights: Sequence[Weights], scores: Sequence[Array], shipped: float) -> dict[str, Any]:
    """Per profile the best score and its threshold, None if it is best to detect nothing; and at the shipped one."""
    swept = sweep(weights, scores)
    best = {name: swept.best(profile) for name, profile in PROFILES.items()}
    return {
        **{name: swept.at(best[name], profile) for name, profile in PROFILES.items()},
        "thresholds": {name: threshold if math.isfinite(threshold) else None for name, threshold in best.items()},
        "at_shipped_threshold": {name: swept.at(shipped, profile) for name, profile in PROFILES.items()},
    }


def size(files: Sequence[File]) -> dict[str, int]:
    windows = sum(len(file.windows) for file in files)
    return {"files": len(files), "rows": sum(file.times.size for file in files), "windows": windows}


def robustness(
    files: Sequence[File], weights: Sequence[Weights], scores: Sequence[Array], others: Others
) -> dict[str, Any]:
    """How much of the score was chosen to fit. On all files, the standard scores of the sets a little off, each at its
    best threshold (``jitter_median``, ``jitter_lowest``). On half of the files with what is best on the other half: of
    the sets further off, the shipped one not among them, the set and its threshold, per profile (``half_tested``); of
    the shipped set the threshold alone, the standard score (``threshold_half_tested``)."""
    runs = len(others.near) + len(others.far)
    done = figures.progress(f"scoring {len(files)} files with {runs} other parameter sets", runs)
    swept = [sweep(weights, score(files, channel, done)) for channel in others.near]
    found = [one.at(one.best(STANDARD), STANDARD) for one in swept]
    far = (score(files, channel, done) for channel in others.far)
    own, best = (half_tested(weights, sets, SPLITS, np.random.default_rng(others.seed)) for sets in ([scores], far))
    return {
        "half_tested": best,
        "half_tested_sets": len(others.far),
        "threshold_half_tested": own["standard"],
        "jitter_median": median(found),
        "jitter_lowest": min(found),
        "jitter_draws": len(found),
    }


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    head = "{date}, {machine}, Python {python}, commit `{commit}`.".format(**report["about"])
    corpus = "{files} files, {rows:,} rows, {windows} windows.".format(**report)
    return "\n".join([head, corpus, "", *_score_table(report), "", *settings_table(report)])


def _score_table(report: dict[str, Any]) -> list[str]:
    shipped = report["at_shipped_threshold"]
    rows = [
        (f"{report['channel']}, best threshold", [f"{report[name]:.1f}" for name in PROFILES]),
        ("that threshold", [_threshold(report["thresholds"][name]) for name in PROFILES]),
        (f"at its own threshold, {report['threshold']:.4g}", [f"{shipped[name]:.1f}" for name in PROFILES]),
    ]
    if "jitter_median" in report:
        off = f"{report['jitter_draws']} draws of all parameters ±{100 * OFF_BY:.0f} %"
        best = f"parameters (best of {report['half_tested_sets']} sets) and threshold"
        rows += [
            ("threshold chosen on half of the files, tested on the other", [f"{report['threshold_half_tested']:.1f}"]),
            (
                f"{best} chosen on half of the files, tested on the other",
                [f"{report['half_tested'][name]:.1f}" for name in PROFILES],
            ),
            (f"{off}, median", [f"{report['jitter_median']:.1f}"]),
            (f"{off}, lowest", [f"{report['jitter_lowest']:.1f}"]),
        ]
    return [
        "| NAB | standard | low FP | low FN |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {' | '.join([*values, '', ''][:3])} |" for name, values in rows),
    ]


def _threshold(threshold: float | None) -> str:
    return "none" if threshold is None else f"{threshold:.4g}"


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nab",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nab", type=Path, required=True, metavar="PATH", help="holds NAB's data/ and labels/")
    parser.add_argument("--channel", default="novelty", help="NAME or NAME:parameter=value,… (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    page = figures.DETECTOR_PAGE.relative_to(figures.ROOT)
    parser.add_argument("--document", action="store_true", help=f"write the table into {page}")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write DIR/CHANNEL/CATEGORY/CHANNEL_FILE.csv")
    parser.add_argument("--robustness", action="store_true", help="also with other parameters")
    parser.add_argument(
        "--draws", type=at_least(1), default=40, help="of parameters off by up to 25 %% (default: %(default)s)"
    )
    parser.add_argument(
        "--sets", type=at_least(1), default=60, help="to choose from on half of the files (default: %(default)s)"
    )
    parser.add_argument("--seed", type=at_least(0), default=3, help="of the random numbers (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
