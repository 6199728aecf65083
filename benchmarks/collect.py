"""Measure the collector: its time against plain HTTP and the client library, its memory, and its counts against the
truth. Needs `prometheus` and `promtool`; everything happens below a temporary folder and on the loopback interface."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import accuracy, figures, server, service_days, services, speed
from benchmarks.figures import filled_in, progress
from benchmarks.series import Series, samples

DOCUMENT = figures.ROOT / "docs/benchmarks.md"
TRUTH_DAYS = 8
EXAMPLES = """\
examples:
  python -m benchmarks.collect                            a table; about ten minutes
  python -m benchmarks.collect --json                     the same as JSON
  python -m benchmarks.collect --quick                    small sizes, one round
  python -m benchmarks.collect --service-days 0           only time and memory
"""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended and the folder removed
    try:
        server.require_programs()
        report = measure(given.sizes, given.rounds, given.service_days, given.seed)
    except server.ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is left behind.", file=sys.stderr)
        return 130
    print(json.dumps(report, indent=1) if given.json else table(report))
    if given.document:
        DOCUMENT.write_text(filled_in(DOCUMENT.read_text(encoding="utf-8"), table(report)), encoding="utf-8")
    return 0


def measure(sizes: Sequence[int], rounds: int, count: int, seed: int) -> dict[str, Any]:
    """``count`` service-days against the truth, and the time and the memory for each size; without either, less."""
    truth = measure_accuracy(count, seed) if count else None
    return report(measure_speed(sizes, rounds, seed) if sizes else {}, truth, about())


def report(by_size: dict[int, dict[str, Any]], truth: dict[str, Any] | None, about: dict[str, Any]) -> dict[str, Any]:
    """The worst of the sizes is what counts."""
    names = ("ratio_plain_http", "overhead_vs_client", "queries", "queries_per_day", "peak_mb", "peak_mb_one_day")
    worst = {name: max(found[name] for found in by_size.values()) for name in names if by_size}
    return {**worst, "sizes": {str(size): found for size, found in by_size.items()}, "truth": truth, "about": about}


def measure_speed(sizes: Sequence[int], rounds: int, seed: int) -> dict[int, dict[str, Any]]:
    with TemporaryDirectory(prefix="postga-benchmark-") as folder:
        series = [one for size in sizes for one in speed.steady_series(size, seed)]
        _fill(series, speed.borders_ms(), Path(folder))
        del series
        with server.serving(Path(folder)) as url:
            return {
                size: speed.measure(url, size, rounds, progress(f"collecting {size} series", rounds * len(speed.DAYS)))
                for size in sizes
            }


def measure_accuracy(count: int, seed: int) -> dict[str, Any]:
    first = speed.GA
    start = round(first.timestamp())
    with TemporaryDirectory(prefix="postga-benchmark-") as folder:
        series, truths = service_days.service_days(count, start, TRUTH_DAYS, seed)
        starts = [start - service_days.LEAD_S, *(start + day * services.DAY_S for day in range(TRUTH_DAYS + 1))]
        _fill(series, [1000 * border for border in starts], Path(folder))
        del series
        with server.serving(Path(folder)) as url:
            done = progress(f"collecting {len(truths)} service-days", TRUTH_DAYS)
            return accuracy.summary(accuracy.collect(url, first, truths, done))


def _fill(series: Sequence[Series], borders_ms: Sequence[int], folder: Path) -> None:
    parts = len(borders_ms) - 1
    done = progress(f"loading {samples(series) / 1e6:.1f} million samples of {len(series)} series", parts)
    server.backfill(series, borders_ms, folder, done)


def about() -> dict[str, Any]:
    return {**figures.about(), "prometheus": server.version()}


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables, with the targets."""
    lines = [
        "{date}, {machine}, Python {python}, Prometheus {prometheus}, commit `{commit}`.".format(**report["about"])
    ]
    if report["sizes"]:
        lines += ["", *_speed_table(report["sizes"])]
    if report["truth"]:
        lines += ["", *_truth_table(report["truth"])]
    return "\n".join(lines)


def _speed_table(sizes: dict[str, dict[str, Any]]) -> list[str]:
    found, series = list(sizes.values()), [f"{size} series" for size in sizes]
    ways = {
        "ours": "collected",
        "plain": "the same requests by plain HTTP",
        "plain_uncompressed": "the same, not compressed by the server",
        "client": "prometheus-api-client with its data frame",
        "client_plain": "its requests by plain HTTP",
    }
    rows = [
        *((f"{text}, s", [f"{one['seconds'][way]:.2f}" for one in found], "") for way, text in ways.items()),
        ("time over plain HTTP", [f"{one['ratio_plain_http']:.2f}" for one in found], "≤ 1.5"),
        ("overhead over the client's", [f"{one['overhead_vs_client']:.2f}" for one in found], "≤ 0.5"),
        ("requests, in all (most in a day)", [f"{one['queries']} ({one['queries_per_day']})" for one in found], ""),
        ("received, MB of JSON", [f"{one['mb_received']:.0f}" for one in found], ""),
        ("peak memory of 15 days, MB", [f"{one['peak_mb']:.0f}" for one in found], "that of 1 day"),
        ("peak memory of 1 day, MB", [f"{one['peak_mb_one_day']:.0f}" for one in found], ""),
    ]
    return [
        f"| 15 days at 60 s | {' | '.join(series)} | target |",
        f"|---|{'---:|' * len(found)}---|",
        *(f"| {name} | {' | '.join(values)} | {target} |" for name, values, target in rows),
    ]


def _truth_table(truth: dict[str, Any]) -> list[str]:
    rows = [
        ("service-days", f"{truth['service_days']}", ""),
        ("counts within 0.1 % of the truth", f"{100 * truth['within_0_1_percent']:.1f} %", ""),
        ("of the others, with a coverage below 100 %", f"{truth['explained_by_coverage']}", "all"),
        ("of these, with more wrong than the coverage says", f"{truth['explained_too_weakly']}", "0"),
        ("not explained", f"{truth['unexplained']}", "0"),
        ("largest error not explained", f"{100 * truth['max_unexplained_error']:.2f} %", ""),
        ("more counted than there was", f"{truth['overcounted']}", ""),
        ("coverage of 100 %", f"{100 * truth['fully_covered']:.1f} %", ""),
        ("within 0.1 % by the clock of the events", f"{100 * truth['within_0_1_percent_by_clock']:.1f} %", ""),
    ]
    return ["| against the truth | | target |", "|---|---:|---|", *(f"| {' | '.join(row)} |" for row in rows)]


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.collect",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--document", action="store_true", help=f"write the table into {DOCUMENT.relative_to(figures.ROOT)}"
    )
    parser.add_argument("--quick", action="store_true", help="the same as --sizes 20 100 --rounds 1 --service-days 100")
    parser.add_argument("--sizes", type=_size, nargs="*", default=[20, 1000], help="how many series (default: 20 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default: %(default)s)")
    parser.add_argument("--service-days", type=int, default=1000, help="to compare with the truth; 0 for none")
    parser.add_argument("--seed", type=int, default=3, help="of the random numbers (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.quick:
        given.sizes, given.rounds, given.service_days = [20, 100], 1, 100
    return given


def _size(text: str) -> int:
    size = int(text)
    if size <= 0 or size % speed.PER_TARGET:
        raise argparse.ArgumentTypeError(f"{size} is not a multiple of {speed.PER_TARGET}, the series of one target")
    return size


if __name__ == "__main__":
    sys.exit(main())
