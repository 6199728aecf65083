"""Score hosts with many KPIs for incidents, by event: what the joint evidence finds at the one threshold shipped.

The data is a folder with KIND-NAME.csv.gz: timestamp, the KPIs, judged (0: history without labels) and label."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import figures, hosts_data
from benchmarks.channel import OFF_BY, at_least, nearby, settings_table
from benchmarks.event_scoring import Counts, Sweep, by_event, count, f1, sweep, total
from benchmarks.hosts_data import Host
from observability.errors import ConfigError
from observability.model import Array

RESAMPLES = 10_000
MIDDLE = (0.025, 0.975)  # the ends of an interval, as quantiles of the resampled figures
EXAMPLES = """\
examples:
  python -m benchmarks.hosts --data hosts                 tables
  python -m benchmarks.hosts --data hosts --json          the same as JSON
  python -m benchmarks.hosts --data hosts --robustness    also with every number off by up to 25 %; takes minutes
"""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    return figures.tell(lambda: _measured(given), table, given, "hosts")


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    also = [_numbers(text) for text in given.also]
    return measure(hosts_data.read(given.data), also, given.draws if given.robustness else 0, given.seed)


def measure(hosts: Sequence[Host], also: Sequence[dict[str, Any]], draws: int, seed: int) -> dict[str, Any]:
    """The detector as shipped, per kind of host. ``also``: other numbers, to choose from as well when a host is left
    out. ``draws``: of jittered numbers."""
    shipped = hosts_data.shipped()
    sets = [shipped, *({**shipped, **other} for other in also)]
    off = nearby(shipped, draws, seed)
    for one in [*sets, *off]:
        hosts_data.require_usable(one)
    runs = len(sets) + draws
    done = figures.progress(f"scoring {len(hosts)} hosts with {runs} parameter set{'s' * (runs > 1)}", runs)
    scores = [hosts_data.score(hosts, one, done) for one in sets]
    report = by_kind(hosts, scores[0], shipped["threshold"], seed)
    choose_without(hosts, scores, report)
    if draws:
        jitter(report, [f1_by_kind(hosts, hosts_data.score(hosts, one, done), one["threshold"]) for one in off])
    return {**report, **hosts_data.settings(), "sets": len(sets), "about": figures.about()}


def by_kind(hosts: Sequence[Host], scores: Sequence[Array], threshold: float, seed: int) -> dict[str, dict[str, Any]]:
    """The figures of each kind: its hosts counted together, and each by itself."""
    report = {}
    for kind in _kinds(hosts):
        found = [(host, one >= threshold) for host, one in zip(hosts, scores, strict=True) if host.kind == kind]
        counts = [count(host.labels, crossings, host.judged) for host, crossings in found]
        of = [host for host, _ in found]
        events = [by_event(host.labels, crossings, host.judged) for host, crossings in found]
        by_host = {host.name: summary([host], [one]) for host, one in zip(of, counts, strict=True)}
        report[kind] = {
            **summary(of, counts),
            "interval": interval(events, counts, np.random.default_rng(seed)),
            "hosts": by_host,
        }
    return report


def summary(hosts: Sequence[Host], counts: Sequence[Counts]) -> dict[str, Any]:
    """The figures of hosts of one kind together. Delays are in rows and in minutes; weeks are those of a host."""
    names = ("f1", "precision", "recall", "median_delay", "quiet_alarm_share", "events", "found", "episodes", "right")
    of, weeks = total(counts), sum(host.judged_weeks for host in hosts)
    minutes = [rows * host.step_s / 60 for host, one in zip(hosts, counts, strict=True) for rows in one.delays]
    return {
        **{name: getattr(of, name) for name in names},
        "median_delay_min": median(minutes) if minutes else None,
        "false_per_week": (of.episodes - of.right) / weeks if weeks else 0.0,
        "judged_weeks": weeks,
    }


def interval(
    events: Sequence[tuple[Any, Any]], counts: Sequence[Counts], random: np.random.Generator
) -> tuple[float, float] | None:
    """Between what F1 lies in the middle 95 % of ``RESAMPLES`` draws, None without events and episodes.

    Drawn from, with replacement and as many as there are, is one list of a kind's events, each with whether it is found
    and with the episodes that are right by it, and of its wrong episodes.
    """
    found, right = (np.concatenate(column) for column in zip(*events, strict=True))
    wrong = total(counts).episodes - int(right.sum())
    is_event = np.arange(found.size + wrong) < found.size
    if not is_event.size:
        return None
    found, right = (np.append(column, np.zeros(wrong, dtype=int)) for column in (found, right))
    units = np.array([is_event, found, np.where(is_event, right, 1), right])
    sums = random.multinomial(is_event.size, np.full(is_event.size, 1 / is_event.size), RESAMPLES) @ units.T
    low, high = np.quantile(f1(*sums.T), MIDDLE).tolist()
    return low, high


def jitter(report: dict[str, dict[str, Any]], found: Sequence[dict[str, float]]) -> None:
    """Adds to each kind the median and the lowest F1 of the draws."""
    for kind, of in report.items():
        drawn = [one[kind] for one in found]
        of |= {"jitter_median": median(drawn), "jitter_lowest": min(drawn), "jitter_draws": len(drawn)}


def f1_by_kind(hosts: Sequence[Host], scores: Sequence[Array], threshold: float) -> dict[str, float]:
    counts = [count(host.labels, one >= threshold, host.judged) for host, one in zip(hosts, scores, strict=True)]
    return {kind: _together(hosts, counts, kind).f1 for kind in _kinds(hosts)}


def choose_without(hosts: Sequence[Host], scores: Sequence[Sequence[Array]], report: dict[str, dict[str, Any]]) -> None:
    """Adds F1 where each host is judged with what is ``best`` on the others, of whatever kind, and the threshold that
    was chosen for it; None with one host, which has no others. ``scores``: of each parameter set those of all hosts."""
    swept = [[sweep(host.labels, one, host.judged) for host, one in zip(hosts, of, strict=True)] for of in scores]
    counts = []
    for index, host in enumerate(hosts):
        number, threshold = best([one.kind for one in hosts], swept, index) if len(hosts) > 1 else (0, None)
        report[host.kind]["hosts"][host.name]["threshold_left_out"] = threshold
        if threshold is not None:
            counts.append(count(host.labels, scores[number][index] >= threshold, host.judged))
    for kind, of in report.items():
        of["f1_left_out"] = _together(hosts, counts, kind).f1 if counts else None


def best(kinds: Sequence[str], swept: Sequence[Sequence[Sweep]], leave_out: int) -> tuple[int, float]:
    """The parameter set, and of all thresholds the one, with which the mean of the kinds' F1 is highest without one of
    the hosts; of equally good ones the first set and the highest threshold."""
    kept = [index for index in range(len(kinds)) if index != leave_out]
    found = []
    for of in swept:
        thresholds = np.unique(np.concatenate([of[index].thresholds for index in kept]))[::-1]
        counts = {index: of[index].at(thresholds) for index in kept}
        by_kind = [
            f1(*np.sum([counts[index] for index in kept if kinds[index] == kind], axis=0))
            for kind in dict.fromkeys(kinds[index] for index in kept)
        ]
        mean = np.mean(by_kind, axis=0)
        found.append((float(mean.max()), float(thresholds[mean.argmax()])))
    number = max(range(len(found)), key=lambda index: found[index][0])
    return number, found[number][1]


def _kinds(hosts: Sequence[Host]) -> list[str]:
    return list(dict.fromkeys(host.kind for host in hosts))


def _together(hosts: Sequence[Host], counts: Sequence[Counts], kind: str) -> Counts:
    return total(one for host, one in zip(hosts, counts, strict=True) if host.kind == kind)


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables, with the target."""
    kinds = {name: of for name, of in report.items() if isinstance(of, dict) and "hosts" in of}
    lines = [
        "{date}, {machine}, Python {python}, commit `{commit}`.".format(**report["about"]),
        "",
        *_kinds_table(kinds, report["sets"]),
        "",
        *_hosts_table(kinds),
        "",
        *settings_table(report),
    ]
    return "\n".join(lines)


def _kinds_table(kinds: dict[str, dict[str, Any]], sets: int) -> list[str]:
    chosen = "threshold" if sets == 1 else f"threshold and one of {sets} parameter sets"
    rows: list[tuple[str, Callable[[dict[str, Any]], str], str]] = [
        ("hosts", lambda of: f"{len(of['hosts'])}", ""),
        ("events", lambda of: f"{of['events']}", ""),
        ("F1", lambda of: f"{of['f1']:.2f}", ""),
        ("its middle 95 %, events resampled", _interval, ""),
        ("precision", lambda of: f"{of['precision']:.2f}", ""),
        ("recall", lambda of: f"{of['recall']:.2f}", ""),
        ("median delay, samples (minutes)", _delay, ""),
        ("false incidents per host and week", lambda of: f"{of['false_per_week']:.1f}", ""),
        ("quiet time in alarm", lambda of: f"{100 * of['quiet_alarm_share']:.2f} %", ""),
        (f"F1, {chosen} chosen on the other hosts", lambda of: _figure(of["f1_left_out"]), "≥ 0.60"),
    ]
    draws = [of["jitter_draws"] for of in kinds.values() if "jitter_draws" in of]
    if draws:
        name = f"F1, all parameters and the threshold ±{100 * OFF_BY:g} %, median (lowest) of {draws[0]} draws"
        rows.append((name, lambda of: f"{of['jitter_median']:.2f} ({of['jitter_lowest']:.2f})", ""))
    return [
        f"| at the shipped threshold | {' | '.join(kinds)} | target |",
        f"|---|{'---:|' * len(kinds)}---|",
        *(f"| {name} | {' | '.join(map(text, kinds.values()))} | {target} |" for name, text, target in rows),
    ]


def _hosts_table(kinds: dict[str, dict[str, Any]]) -> list[str]:
    names = ("judged days", "events", "found", "episodes", "right", "F1", "median delay, samples (minutes)")
    heads = [*names, "false per week", "quiet time in alarm", "threshold of the others"]
    return [
        f"| host | {' | '.join(heads)} |",
        f"|---|{'---:|' * len(heads)}",
        *(_host_row(name, of) for kind in kinds.values() for name, of in kind["hosts"].items()),
    ]


def _host_row(name: str, of: dict[str, Any]) -> str:
    counted = [f"{of[one]}" for one in ("events", "found", "episodes", "right")]
    cells = [
        f"{7 * of['judged_weeks']:.1f}",
        *counted,
        f"{of['f1']:.2f}" if of["events"] else "–",
        _delay(of),
        f"{of['false_per_week']:.1f}",
        f"{100 * of['quiet_alarm_share']:.2f} %",
        _figure(of["threshold_left_out"]),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _interval(of: dict[str, Any]) -> str:
    return "–" if of["interval"] is None else "{:.2f} to {:.2f}".format(*of["interval"])


def _delay(of: dict[str, Any]) -> str:
    rows, minutes = of["median_delay"], of["median_delay_min"]
    return "none found" if rows is None else f"{rows:g} ({minutes:g})"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _numbers(text: str) -> dict[str, Any]:
    """What a flag gives as NAME=VALUE,…: whole numbers stay whole."""
    try:
        fields = [part.partition("=") for part in text.split(",")]
        return {name.strip(): float(value) if set(value) & set(".eE") else int(value) for name, _, value in fields}
    except ValueError:
        raise ConfigError(f"'{text}' is no parameter set; write NAME=VALUE, or several with commas between.") from None


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hosts",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    page = figures.DETECTOR_PAGE.relative_to(figures.ROOT)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the hosts, or the one above it")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=VALUE,…",
        help="other parameters, to choose from as well when a host is left out; can be repeated",
    )
    parser.add_argument("--robustness", action="store_true", help="also with every number off by up to 25 %%")
    parser.add_argument(
        "--draws", type=at_least(1), default=40, help="of numbers off by up to 25 %% (default: %(default)s)"
    )
    parser.add_argument("--seed", type=at_least(0), default=3, help="of the random numbers (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--document", action="store_true", help=f"write the tables into {page}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
