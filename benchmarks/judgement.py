"""Judge real weeks as they are and with changes put into them, and made-up ones: false alarms, what is found, the cost.

The data is a folder with cloud-monitoring/ (any *.csv with TimeStamp, Value, Label) or hosts/ (KIND-NAME.csv.gz), or
both, or one of these. Windows of fifteen days without a labelled point are judged: seven days before GA, and eight from
it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import figures, judgement_made_up, judgement_rates, judgement_scale, judgement_weeks
from benchmarks.channel import at_least

PAGE = figures.ROOT / "docs/benchmarks.md"
PARTS = ("weeks", "aa", "load", "scale")
SIZES = (100, 300, 1000)
EXAMPLES = """\
examples:
  python -m benchmarks.judgement --data data                    tables; takes some minutes
  python -m benchmarks.judgement --data data --json             the same as JSON
  python -m benchmarks.judgement --data data --only weeks --every 5   a quick look at the real weeks
"""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    return figures.tell(lambda: measure(given), table, given, "judgement", PAGE)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "weeks": lambda: weeks(given.data, given.every, given.seed),
        "aa": lambda: aa(given.pairs, given.seed),
        "load": lambda: judgement_made_up.load_cases(given.seed),
        "scale": lambda: scale(given.services, given.seed),
    }
    return {**{name: parts[name]() for name in given.only or PARTS}, "about": figures.about()}


def weeks(data: Path, every: int, seed: int) -> dict[str, Any]:
    """Real weeks: see ``judgement_rates.weeks``."""
    return judgement_rates.weeks(*judgement_weeks.windows(judgement_weeks.read(data), every), seed)


def aa(pairs: int, seed: int) -> dict[str, float]:
    """Per φ, how often two days of the same process are told apart at a level of 2 %."""
    done = figures.progress(f"comparing {pairs} pairs of days per φ", len(judgement_made_up.PHIS))
    found = {}
    for phi in judgement_made_up.PHIS:
        found[f"{phi:g}"] = judgement_made_up.aa_rate(phi, pairs, np.random.default_rng(seed))
        done()
    return found


def scale(services: int, seed: int) -> dict[str, Any]:
    """The figures of the most services, and of fewer beside them: ``cost_ratio`` is what a service costs then over
    what one costs among the fewest."""
    counts = sorted({size for size in SIZES if size < services} | {services})
    done = figures.progress(f"folding and judging {', '.join(map(str, counts))} services", len(counts))
    runs = []
    for count in counts:
        runs.append(judgement_scale.run(count, seed))
        done()
    each = [run["seconds"] / run["services"] for run in runs]
    return {
        **runs[-1],
        "cost_ratio": each[-1] / each[0],
        "sizes": [{name: run[name] for name in ("services", "seconds", "peak_mb")} for run in runs],
    }


# --- the report


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables, with the targets."""
    head = "{date}, {machine}, Python {python}, commit `{commit}`.".format(**report["about"])
    tables: dict[str, Callable[[Any], list[str]]] = {
        "weeks": _weeks_tables,
        "aa": _aa_table,
        "load": _load_table,
        "scale": _scale_tables,
    }
    lines = [head]
    for name, rows in tables.items():
        if name in report:
            lines += ["", *rows(report[name])]
    return "\n".join(lines)


WEEKS_ROWS = {
    "false_alarm_rate": ("false alarms: real, for the worse", "≤ .03, aim ≤ .01"),
    "real_either_way": ("real, for more or for less", ""),
    "found_1_15": ("found: × 1.15 from GA", "≥ .83"),
    "found_1_3": ("found: × 1.3 from GA", "≥ .95"),
    "found_ramp": ("found: a ramp to × 1.3", "≥ .85"),
    "found_1_15_among_20": ("× 1.15 as the only change of 20 KPIs", ""),
    "found_1_3_among_20": ("× 1.3 likewise", ""),
    "found_ramp_among_20": ("the ramp likewise", ""),
    "spike_as_regression": ("a day × 2 called a regression", ""),
    "spike_extra": ("of these, not without the spike", ""),
    "spike_1_3_as_regression": ("a day × 1.3 called a regression", ""),
    "spike_5_as_regression": ("a day × 5 called a regression", ""),
    "spike_as_episode": ("a day × 2 with an alarm online", ""),
    "no_spike_as_episode": ("that day with one without the spike", ""),
    "inconclusive": ("inconclusive as it is", ""),
}
SIZE_ROWS = {
    "windows": "windows",
    "disjoint": "of these disjoint",
    "series": "series",
    "clusters": "series; a host's KPIs as one",
}


def _weeks_tables(weeks: dict[str, Any]) -> list[str]:
    groups = weeks["by_group"]
    columns = [weeks, *groups.values()]
    head = ["real weeks", "all", "middle 95 %", "disjoint alone", *groups, "target"]
    lines = [_row(head), _rule(len(head) - 2, "---|")]
    for name, (text, target) in WEEKS_ROWS.items():
        of_all, *of_groups = [_rate(of[name]) for of in columns]
        alone = _rate(weeks["disjoint_alone"][name])
        lines.append(_row([text, of_all, _interval(weeks["intervals"][name]), alone, *of_groups, target]))
    for name, text in SIZE_ROWS.items():
        of_all, *of_groups = [f"{of[name]:,}" for of in columns]
        lines.append(_row([text, of_all, "", "", *of_groups, ""]))
    verdicts = {name.replace("_", " "): of for name, of in weeks["verdicts"].items()}
    return [*lines, "", _left_out(weeks), "", *_verdicts_table("windows by verdict", verdicts)]


def _left_out(weeks: dict[str, Any]) -> str:
    counts = ", ".join(f"{count:,} {why}" for why, count in weeks["left_out"].items())
    alarms = weeks["left_out_false_alarm_rate"]
    return f"Left out: {counts}; false alarms on these: {_rate(alarms)}." if counts else "Left out: none."


def _verdicts_table(head: str, verdicts: dict[str, dict[str, float]]) -> list[str]:
    kinds = ("pass", "fail", "inconclusive", "no data")
    rows = [_row([name, *(_rate(of.get(kind, 0.0)) for kind in kinds)]) for name, of in verdicts.items()]
    return [_row([head, *kinds]), _rule(len(kinds)), *rows]


def _aa_table(rates_of: dict[str, float]) -> list[str]:
    head = _row(["told apart, same process, φ =", *rates_of, "target"])
    rule = _rule(len(rates_of), "---|")
    return [head, rule, _row(["at a level of 2 %", *(f"{100 * rate:.1f} %" for rate in rates_of.values()), "≤ 3 %"])]


LOAD_ROWS = {
    "cpu_in_proportion": "traffic × 2, CPU × 2: not to fail",
    "cost_in_proportion": "traffic × 2, cost × 2: not to fail",
    "cpu_more_than_in_proportion": "traffic × 2, CPU × 2.6: to fail",
    "cost_more_than_in_proportion": "traffic × 2, cost × 2.6: to fail",
    "cpu_without_more_traffic": "traffic as before, CPU × 1.4: to fail",
}


def _load_table(load: dict[str, dict[str, float]]) -> list[str]:
    return _verdicts_table("made-up weeks by verdict", {text: load[name] for name, text in LOAD_ROWS.items()})


def _scale_tables(scale: dict[str, Any]) -> list[str]:
    head = "{services:,} services × {kpis} KPIs × {days} days at 1 min".format(**scale)
    parts = [(f"of this, {name}", f"{seconds:.1f} s", "") for name, seconds in scale["parts"].items()]
    rows = [
        ("one core", f"{scale['seconds']:.1f} s", "< 60 s"),
        *parts,
        ("peak memory", f"{scale['peak_mb']:,.0f} MB", "< 2,000 MB"),
        ("the week before GA folded, beside it", f"{scale['fold_before_seconds']:.1f} s", ""),
        *((f"{of['services']:,} services", f"{of['seconds']:.1f} s", "") for of in scale["sizes"][:-1]),
        ("a service among the most over one among the fewest", f"{scale['cost_ratio']:.2f}", "1"),
    ]
    return [_row([head, "", "target"]), _rule(1, "---|"), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(figures_of: int, after: str = "") -> str:
    return f"|---|{'---:|' * figures_of}{after}"


def _rate(rate: float) -> str:
    return f"{rate:.3f}"


def _interval(found: tuple[float, float] | None) -> str:
    return "–" if found is None else "{:.3f} to {:.3f}".format(*found)


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judgement",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="holds cloud-monitoring/ or hosts/, or is one of them")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this alone; can be repeated")
    parser.add_argument(
        "--every", type=at_least(1), default=1, metavar="DAYS", help="between two windows (default: %(default)s)"
    )
    parser.add_argument("--pairs", type=at_least(1), default=10_000, help="of days per φ (default: %(default)s)")
    parser.add_argument("--services", type=at_least(1), default=1000, help="to judge (default: %(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=3, help="of the random numbers (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    page = PAGE.relative_to(figures.ROOT)
    parser.add_argument("--document", action="store_true", help=f"write the tables into {page}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
