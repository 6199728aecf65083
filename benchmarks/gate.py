"""How often the gate stops a release that changed nothing, and what it sees of one that did."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy.signal import lfilter

from benchmarks import figures
from observability import gating
from observability.definitions import Direction, Kind, Kpi, Objective, Release
from observability.judgement.gate import judge
from observability.model import Plan, Query, Samples, SourceInfo, Window
from observability.release import flags_release
from observability.sources import Follower
from observability.verdicts import GateReport
from test_data.columns import columns
from test_data.events import CHECKOUT, REPORTS
from test_data.generate import RELEASE
from test_data.week import generate

PAGE = figures.ROOT / "docs/gate.md"
EXAMPLES = """\
examples:
  python -m benchmarks.gate
  python -m benchmarks.gate --services 200 --json
"""
GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY = 1440
HISTORY = 7 * DAY + 60  # steps before the release: seven days and the hour around the first one's clock time
GAUGES = 13  # and the traffic and the errors: 15 KPIs
PHIS = (0.9, 0.95, 0.98, 0.99, 0.995)
QUIET_DAYS = range(-21, 0)  # of the generated weeks: nothing happens before GA
EVERY = timedelta(hours=2)
QUIET_SHARE = 0.0002
MORE_QUIET = 5  # times as many gates where nothing happens


@dataclass(frozen=True)
class Made:
    """A ``Source`` of columns that begin at ``start``: service → name → column."""

    start: datetime
    services: dict[str, dict[str, np.ndarray]]

    def info(self, plan: Plan) -> SourceInfo:
        return SourceInfo(prometheus="made up", step_s=plan.step_s)

    def fetch(self, plan: Plan, window: Window) -> dict[str, Samples]:
        first = (window.start - self.start) // timedelta(seconds=plan.step_s)
        steps = window.steps(plan.step_s)
        return {
            name: Samples(name, window, plan.step_s, {c: v[first : first + steps] for c, v in found.items()})
            for name, found in self.services.items()
        }

    def follow(self, plan: Plan, start: datetime) -> Follower:
        raise NotImplementedError


@dataclass(frozen=True)
class Case:
    """What the release does: to the first gauge, and to the share of errors. ``ramp``: steps until it is there.
    ``bursts``: the errors come in bursts, with and without a release."""

    name: str
    times: float = 1.0
    errors: float = QUIET_SHARE
    ramp: int = 0
    bursts: bool = False

    @property
    def is_quiet(self) -> bool:
        return self.times == 1.0 and self.errors == QUIET_SHARE


CASES = (
    Case("nothing"),
    Case("nothing, errors in bursts", bursts=True),
    Case("×1.3", 1.3),
    Case("×1.5", 1.5),
    Case("×2", 2.0),
    Case("×2, over ten minutes", 2.0, ramp=10),
    Case("errors 0.02 → 0.1 %", errors=0.001),
    Case("errors 0.02 → 1 %", errors=0.01),
)


def made_release() -> Release:
    """Thirteen gauges of which more is worse, the traffic and the error rate with its objective of 0.1 %."""
    default = flags_release(GA, "http://localhost:9090")
    names = [f"gauge_{number}" for number in range(GAUGES)]
    gauges = {
        name: Kpi(
            name=name, about="", unit="ms", direction=Direction.LOWER_IS_BETTER, category="latency", kind=Kind.GAUGE,
            query=name,
        )
        for name in names
    }  # fmt: skip
    kept = {name: default.kpis[name] for name in ("request_rate", "overall_error_rate")}
    queries = {name: Query(name=name, type="gauge", promql=name) for name in names}
    objective = Objective(name="Error Rate", kpi="overall_error_rate", objective=0.1)
    return default.model_copy(
        update={"kpis": {**gauges, **kept}, "queries": {**default.queries, **queries}, "slos": (objective,)}
    )


def made_up(rng: np.random.Generator, phi: float, scatter: float, case: Case, steps: int) -> Made:
    """KPIs with AR(1) noise of this relative size around a daily wave; ``case`` begins ``steps`` before their end."""
    size = HISTORY + steps
    wave = 1 + 0.3 * np.sin(2 * np.pi * np.arange(size) / DAY)
    noise = rng.normal(size=(GAUGES + 1, size + DAY)) * np.sqrt(1 - phi**2)
    levels = np.maximum(wave * (1 + scatter * lfilter([1], [1, -phi], noise)[:, DAY:]), 0.01)
    effect = np.full(steps, case.times)
    effect[: case.ramp] = 1 + (case.times - 1) * np.arange(case.ramp) / max(case.ramp, 1)
    levels[0, -steps:] *= effect
    requests = rng.poisson(100 * levels[-1]).astype(np.float64)
    share = np.full(size, QUIET_SHARE)
    share[-steps:] = case.errors
    if case.bursts:  # their logarithm is AR(1) too, with a standard deviation of 1
        share *= np.exp(lfilter([1], [1, -0.95], rng.normal(size=size) * np.sqrt(1 - 0.95**2)) - 0.5)
    found = {f"gauge_{number}": levels[number] for number in range(GAUGES)}
    found |= {"http_requests": requests, "http_errors": rng.binomial(requests.astype(np.int64), share).astype(float)}
    return Made(GA - HISTORY * timedelta(minutes=1), {"default": found})


def measure(services: int, steps: int, seed: int) -> dict[str, Any]:
    rng, release = np.random.default_rng(seed), made_release()
    window = Window(start=GA, end=GA + steps * release.step)
    rows = []
    total = len(PHIS) * 2 * len(CASES) * services
    done = figures.progress("judging made-up releases", total)
    for scatter in (0.05, 0.1):
        for phi in PHIS:
            for case in CASES:
                count = services * (MORE_QUIET if case.is_quiet else 1)
                found = []
                for _ in range(count):
                    history = gating.read(release, made_up(rng, phi, scatter, case, steps), window, _quiet)
                    found.append(judge(release, history["default"]))
                for _ in range(services):
                    done()
                rows.append(
                    {"scatter": scatter, "phi": phi, "case": case.name, "quiet": case.is_quiet, **_shares(found, case)}
                )
    return {
        "steps": steps,
        "services": services,
        "made_up": rows,
        "weeks": weeks(seed, steps),
        "about": figures.about(),
    }


def _quiet(text: str, share: float) -> None:
    """Nobody watches."""


def _shares(found: Sequence[GateReport], case: Case) -> dict[str, float]:
    """Of the gates: those that failed; and of the KPI that was changed: those that were called real, and passed."""
    changed = "overall_error_rate" if case.errors != QUIET_SHARE else "gauge_0"
    rows = [row for report in found for row in report.rows if row.baseline == "earlier_days"]
    rows = [row for row in rows if row.metric_name == changed]
    return {
        "gates": len(found),
        "failed": float(np.mean([report.verdict == "fail" for report in found])),
        "real": float(np.mean([row.verdict == "fail" for row in rows])),
        "passed": float(np.mean([row.verdict == "pass" for row in rows])),
    }


def weeks(seed: int, steps: int) -> list[dict[str, Any]]:
    """Gates at many quiet instants of two generated services, none of them a release."""
    from observability.release import load

    release, week = load(RELEASE), generate(seed, QUIET_DAYS)
    source = Made(week.timeline.start, {name: columns(week, name) for name in (CHECKOUT, REPORTS)})
    since = week.timeline.start + timedelta(days=8)
    reports: list[GateReport] = []
    while since + steps * release.step <= GA:
        window = Window(start=since, end=since + steps * release.step)
        reports += [judge(release, history) for history in gating.read(release, source, window, _quiet).values()]
        since += EVERY
    return [
        {
            "service": service,
            **{verdict: sum(r.verdict == verdict for r in reports if r.service == service) for verdict in VERDICTS},
        }
        for service in (CHECKOUT, REPORTS)
    ]


VERDICTS = ("fail", "pass", "inconclusive", "no data")


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown: in each cell the gates that failed, and of the changed KPI those that passed."""
    head = "{date}, {machine}, Python {python}, commit `{commit}`.".format(**report["about"])
    lines = [
        head,
        "",
        f"| scatter | the release | {' | '.join(f'φ {phi}' for phi in PHIS)} |",
        "|---:|---|" + "---:|" * 5,
    ]
    cells: dict[tuple[float, str], list[str]] = {}
    for row in report["made_up"]:
        cell = f"{100 * row['failed']:.3g} / {100 * row['passed']:.3g}"
        cells.setdefault((row["scatter"], row["case"]), []).append(cell)
    lines += [f"| {100 * scatter:.0f} % | {case} | {' | '.join(row)} |" for (scatter, case), row in cells.items()]
    lines += ["", f"| generated service, no release | {' | '.join(VERDICTS)} |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {one['service']} | {' | '.join(str(one[name]) for name in VERDICTS)} |" for one in report["weeks"]]
    return "\n".join([*lines, "", _totals(report)])


def _totals(report: dict[str, Any]) -> str:
    quiet = [row for row in report["made_up"] if row["quiet"]]
    gates, failed = sum(row["gates"] for row in quiet), sum(round(row["gates"] * row["failed"]) for row in quiet)
    more = sum(one[verdict] for one in report["weeks"] for verdict in VERDICTS)
    weeks = sum(one["fail"] for one in report["weeks"])
    return (
        f"False fails: {failed} of {gates:,} made-up services of {GAUGES + 2} KPIs, {weeks} of {more} gates on "
        f"generated weeks. Windows of {report['steps']} minutes; {report['services']} services per cell, "
        f"{MORE_QUIET} times as many where nothing happens."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    return figures.tell(lambda: measure(given.services, given.minutes, given.seed), table, given, "the gate", PAGE)


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    page = PAGE.relative_to(figures.ROOT)
    parser.add_argument("--document", action="store_true", help=f"write the table into {page}")
    parser.add_argument(
        "--services", type=int, default=25, help="per case, five times as many quiet ones (%(default)s)"
    )
    parser.add_argument("--minutes", type=int, default=30, help="of the window (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=5, help="of the random numbers (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
