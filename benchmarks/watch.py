"""Measure a step of `postga watch`, from the first query to the events on disk, over thousands of series of a real
Prometheus, and its memory over many steps. Needs `prometheus` and `promtool`; everything happens below a temporary
folder and on the loopback interface."""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import figures, server, watch_data
from benchmarks.channel import at_least
from benchmarks.series import samples
from benchmarks.watch_steps import Step
from observability.errors import SourceError

PAGE = figures.ROOT / "docs/watch.md"
SETTLED_STEPS = 200  # after which memory should not grow
BESIDE = 50  # steps up to then, and up to the end, whose highest memory is compared: a checkpoint is in some of them
EXAMPLES = """\
examples:
  python -m benchmarks.watch                              a table
  python -m benchmarks.watch --json                       the same as JSON
  python -m benchmarks.watch --series 1000 --steps 300    a smaller one
"""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended and the folder removed
    return figures.tell(lambda: measure(given.series, given.steps, given.seed), table, given, "watch", PAGE)


def measure(series: int, steps: int, seed: int) -> dict[str, Any]:
    try:
        server.require_programs()
        with TemporaryDirectory(prefix="postga-benchmark-") as folder:
            found = list(_steps(series // watch_data.PER_SERVICE, steps, seed, Path(folder)))
        return summary(series, found, {**figures.about(), "prometheus": server.version()})
    except server.ServerError as error:
        raise SourceError(str(error)) from None


def _steps(services: int, steps: int, seed: int, folder: Path) -> Iterator[Step]:
    """Fill a server, and watch it."""
    _fill(services, steps, seed, folder)
    with server.serving(folder) as url:
        release = folder / "release.yaml"
        release.write_text(watch_data.release(services, url), encoding="utf-8")
        done = figures.progress(f"watching {services * watch_data.PER_SERVICE:,} series for {steps:,} steps", steps)
        for step in _run(release, folder / "watched", steps):
            done()
            yield step


def _fill(services: int, steps: int, seed: int, folder: Path) -> None:
    series, borders = watch_data.series(services, steps, seed), watch_data.borders_ms(steps)
    text = f"loading {samples(series) / 1e6:.1f} million samples of {len(series):,} series"
    server.backfill(series, borders, folder, figures.progress(text, len(borders) - 1))


def _run(release: Path, folder: Path, steps: int) -> Iterator[Step]:
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.watch_steps", str(release), str(folder), str(steps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=figures.ROOT) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield Step(**json.loads(line))
        finally:
            process.terminate()
    if process.returncode != 0:
        raise server.ServerError("the watcher ended before its last step; what it said stands above")


def summary(series: int, steps: Sequence[Step], about: dict[str, Any]) -> dict[str, Any]:
    """The figures that have targets, and what they are made of. Memory is in MB of 10⁶ bytes."""
    seconds = sorted(step.seconds for step in steps)
    at_200 = _highest_mb(steps[:SETTLED_STEPS]) if len(steps) >= SETTLED_STEPS + BESIDE else None
    at_end = _highest_mb(steps)
    return {
        "series": series,
        "steps": len(steps),
        "step_s": median(seconds),
        "step_p99_s": seconds[math.ceil(0.99 * len(seconds)) - 1],
        "step_max_s": seconds[-1],
        "reading_s": median(step.reading_s for step in steps),
        "peak_mb": max(step.peak_mb for step in steps),
        "mb_at_200": at_200,
        "mb_at_end": at_end,
        "growth": None if at_200 is None else at_end / at_200,
        "points_per_step": median(step.points for step in steps),
        "found": sum(step.found for step in steps),
        "about": about,
    }


def _highest_mb(steps: Sequence[Step]) -> float:
    return max(step.mb for step in steps[-BESIDE:])


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown, with the targets."""
    head = "{date}, {machine}, Python {python}, Prometheus {prometheus}, commit `{commit}`.".format(**report["about"])
    settled, growth = report["mb_at_200"], report["growth"]
    rows = [
        ("a step, median", f"{report['step_s']:.2f} s", "< 2 s"),
        ("of this, until the samples are there", f"{report['reading_s']:.2f} s", ""),
        ("a step, 99th percentile", f"{report['step_p99_s']:.2f} s", "< 2 s"),
        ("the slowest step", f"{report['step_max_s']:.2f} s", ""),
        ("samples read in a step", f"{report['points_per_step']:,.0f}", ""),
        ("findings in all", f"{report['found']:,}", ""),
        (f"memory after {SETTLED_STEPS} steps", "not measured" if settled is None else f"{settled:.0f} MB", ""),
        ("memory at the end", f"{report['mb_at_end']:.0f} MB", ""),
        ("the one over the other", "not measured" if growth is None else f"{growth:.2f}", "1"),
        ("most memory, history included", f"{report['peak_mb']:.0f} MB", ""),
    ]
    columns = f"{report['series']:,} series, {report['steps']:,} steps"
    return "\n".join([head, "", f"| {columns} | | target |", "|---|---:|---|", *(f"| {' | '.join(r)} |" for r in rows)])


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watch",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    page = PAGE.relative_to(figures.ROOT)
    parser.add_argument("--document", action="store_true", help=f"write the table into {page}")
    parser.add_argument("--series", type=_series, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--steps", type=at_least(1), default=2000, help="of a minute, live (default: %(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=3, help="of the random numbers (default: %(default)s)")
    return parser.parse_args(arguments)


def _series(text: str) -> int:
    number = at_least(1)(text)
    if number % watch_data.PER_SERVICE:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of {watch_data.PER_SERVICE}, a service's series")
    return number


if __name__ == "__main__":
    sys.exit(main())
