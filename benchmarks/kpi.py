"""Score labelled production KPIs with a channel, by event: precision, recall, delay and false alarms at its threshold.

The data is microsoft/cloud-monitoring-dataset (MIT): a folder with data/KIND/*.csv, columns TimeStamp, Value, Label."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import figures
from benchmarks.channel import OFF_BY, at_least, jittered, settings, settings_table
from benchmarks.event_scoring import Counts, Flags, count, total
from observability.definitions import Channel
from observability.detection import channels
from observability.errors import ConfigError
from observability.model import Array

COLUMNS = ("TimeStamp", "Value", "Label")
PLACES = ("data/*/*.csv", "cloud-monitoring/data/*/*.csv")
THRESHOLDS = np.geomspace(1, 100, 464)  # for the best one, each 1 % above the one before
TEXTBOOK = Channel(name="ewma", threshold=3, parameters={"alpha": 0.3})
SLOW = Channel(name="ewma", parameters={"alpha": 0.01})
EXAMPLES = """\
examples:
  python -m benchmarks.kpi --data cloud-monitoring                 a table
  python -m benchmarks.kpi --data cloud-monitoring --json          the same as JSON
  python -m benchmarks.kpi --data cloud-monitoring --robustness    also with every parameter off by up to 25 %
"""


@dataclass(frozen=True)
class LabelledSeries:
    """One file: seconds since the epoch and values, NaN where missing, in the order of the file."""

    kind: str
    name: str
    times: Array
    values: Array
    labels: Flags


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    return figures.tell(lambda: _measured(given), table, given, "kpi")


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    channel = channels.parse_channel(given.channel)
    return measure(read(given.data), channel, given.draws if given.robustness else 0, given.seed)


def read(folder: Path) -> list[LabelledSeries]:
    """The labelled files below the folder, by kind and name.

    Raises
    ------
    ConfigError
        There are none, or one of them cannot be read.
    """
    paths = next(filter(None, (sorted(folder.glob(place)) for place in PLACES)), None)
    if not paths:
        raise ConfigError(
            f"{folder} has no data/*/*.csv; name the folder of the cloud-monitoring data set with --data."
        )
    return [_read_one(path) for path in paths]


def _read_one(path: Path) -> LabelledSeries:
    try:
        frame = pd.read_csv(path)
        missing = [name for name in COLUMNS if name not in frame]
        if missing:
            raise ConfigError(f"{path} has no column {missing[0]}; a file of the data set has {', '.join(COLUMNS)}.")
        times, values, labels = (frame[name] for name in COLUMNS)
        instants = pd.to_datetime(times, utc=True, format="ISO8601").dt.as_unit("ns")
        return LabelledSeries(
            kind=path.parent.name,
            name=path.stem,
            times=instants.astype("int64").to_numpy() / 1e9,
            values=values.to_numpy(float),
            labels=labels.to_numpy(float) == 1,
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(f"{path} cannot be read as labelled samples; get the data set again: {reason}.") from None


def measure(series: Sequence[LabelledSeries], channel: Channel, sets: int, seed: int) -> dict[str, Any]:
    """The channel at its threshold, the plain EWMA beside it; with ``sets``, also as many jittered parameter sets."""
    measured, others = settings(channel), jittered(channel, sets, seed)
    runs = 3 + len(others)
    done = figures.progress(f"scoring {len(series)} series with {runs} parameter sets", runs)
    counts = count_all(series, score(series, channel, done), measured["threshold"])
    report = {**summary(counts), **measured, "series": len(series), "by_kind": by_kind(series, counts)}
    report["beside"] = {"textbook": textbook(series, done), "slow": slow(series, done)}
    if sets:
        report |= robustness(series, others, measured["threshold"], done)
    return {**report, "about": figures.about()}


def score(series: Sequence[LabelledSeries], channel: Channel, done: figures.Done) -> list[Array]:
    """The scores of each series, all of them side by side; 0 where nothing is scored."""
    readings = channels.track(channel, [one.times for one in series], [one.values for one in series], done)
    done()
    return [reading.score for reading in readings]


def count_all(series: Sequence[LabelledSeries], scores: Sequence[Array], threshold: float) -> list[Counts]:
    return [count(one.labels, found >= threshold) for one, found in zip(series, scores, strict=True)]


def summary(counts: Sequence[Counts]) -> dict[str, Any]:
    names = ("f1", "precision", "recall", "median_delay", "false_per_1000", "events", "episodes", "points")
    return {name: getattr(total(counts), name) for name in names}


def by_kind(series: Sequence[LabelledSeries], counts: Sequence[Counts]) -> dict[str, dict[str, Any]]:
    """The files of each folder together."""
    kinds: dict[str, list[Counts]] = {}
    for one, found in zip(series, counts, strict=True):
        kinds.setdefault(one.kind, []).append(found)
    sums = {kind: total(found) for kind, found in kinds.items()}
    return {
        kind: {"f1": of.f1, "p": of.precision, "r": of.recall, "series": len(kinds[kind]), "events": of.events}
        | {"false_per_1000": of.false_per_1000}
        for kind, of in sums.items()
    }


def textbook(series: Sequence[LabelledSeries], done: figures.Done) -> dict[str, Any]:
    """The documents' EWMA with its usual setting."""
    measured = settings(TEXTBOOK)
    counts = count_all(series, score(series, TEXTBOOK, done), measured["threshold"])
    return {**summary(counts), **measured}


def slow(series: Sequence[LabelledSeries], done: figures.Done) -> dict[str, Any]:
    """A slower EWMA with the threshold that suits these labels best."""
    scores = score(series, SLOW, done)
    found = [(count_all(series, scores, threshold), float(threshold)) for threshold in THRESHOLDS]
    counts, threshold = max(found, key=lambda one: total(one[0]).f1)
    return {**summary(counts), **settings(SLOW.model_copy(update={"threshold": threshold}))}


def robustness(
    series: Sequence[LabelledSeries], others: Sequence[Channel], threshold: float, done: figures.Done
) -> dict[str, float]:
    """F1 with other parameters and the same threshold."""
    f1 = [total(count_all(series, score(series, one, done), threshold)).f1 for one in others]
    return {"jitter_median": median(f1), "jitter_lowest": min(f1), "jitter_draws": len(f1)}


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables, with the targets."""
    lines = [
        "{date}, {machine}, Python {python}, commit `{commit}`.".format(**report["about"]),
        "",
        f"{report['series']} series, {report['points']:,} judged points, {report['events']} events.",
        "",
        *_figures_table(report),
        "",
        *_kinds_table(report["by_kind"]),
        "",
        *settings_table(report),
    ]
    return "\n".join(lines)


def _figures_table(report: dict[str, Any]) -> list[str]:
    columns = [report, *report["beside"].values()]
    slow_alpha = report["beside"]["slow"]["parameters"]["alpha"]
    names = [report["channel"], "textbook's EWMA", f"EWMA, α = {slow_alpha:g}, best threshold"]
    rows = [
        ("threshold", [f"{one['threshold']:.3g}" for one in columns], ""),
        ("F1", [f"{one['f1']:.3f}" for one in columns], "≥ 0.60"),
        ("precision", [f"{one['precision']:.3f}" for one in columns], ""),
        ("recall", [f"{one['recall']:.3f}" for one in columns], ""),
        ("median delay, samples", [_delay(one["median_delay"]) for one in columns], "≤ 1"),
        ("false alarms per 1,000 points", [f"{one['false_per_1000']:.2f}" for one in columns], "≤ 0.5"),
    ]
    if "jitter_median" in report:
        f1 = [f"{report['jitter_median']:.3f} ({report['jitter_lowest']:.3f})", "", ""]
        rows.append(
            (f"F1, all parameters ±{100 * OFF_BY:g} %, median (lowest) of {report['jitter_draws']} draws", f1, "")
        )
    return [
        f"| at its threshold | {' | '.join(names)} | target |",
        f"|---|{'---:|' * len(names)}---|",
        *(f"| {name} | {' | '.join(values)} | {target} |" for name, values, target in rows),
    ]


def _kinds_table(kinds: dict[str, dict[str, Any]]) -> list[str]:
    return [
        "| kind | series | events | F1 | precision | recall | false alarms per 1,000 |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {kind} | {of['series']} | {of['events']} | {_shares(of)} | {of['false_per_1000']:.2f} |"
            for kind, of in kinds.items()
        ),
    ]


def _shares(of: dict[str, Any]) -> str:
    """A kind without events has none of them."""
    return " | ".join(f"{of[name]:.2f}" if of["events"] else "–" for name in ("f1", "p", "r"))


def _delay(samples: float | None) -> str:
    return "none found" if samples is None else f"{samples:g}"


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kpi",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    page = figures.DETECTOR_PAGE.relative_to(figures.ROOT)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data set, or the one above it")
    parser.add_argument("--channel", default="significance", help="which to measure (default: %(default)s)")
    parser.add_argument("--robustness", action="store_true", help="also with every parameter off by up to 25 %%")
    parser.add_argument(
        "--draws",
        type=at_least(1),
        default=40,
        help="of parameters off by up to 25 %% (default: %(default)s)",
    )
    parser.add_argument("--seed", type=at_least(0), default=3, help="of the draws (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--document", action="store_true", help=f"write the tables into {page}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
