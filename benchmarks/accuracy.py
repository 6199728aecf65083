"""Whether what was collected is what was counted, service-day by service-day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from benchmarks.service_days import JOB, METRIC, Truth
from observability.model import Calendar, Plan, PrometheusSettings, Query, Samples
from observability.sources.prometheus import Prometheus

STEP_S = 60
EXAMPLES = 5
TOLERANCE = 0.001
PLAUSIBLE = 5.0  # a missing step holds at most so many times what a step holds on average


@dataclass(frozen=True)
class ServiceDay:
    """Requests and errors, shape (2,) each: as collected, and as they were. ``coverage``: that of the requests, which
    is the coverage of the error rate too, from 0 to 1."""

    truth: Truth
    found: tuple[float, float]
    coverage: float

    @property
    def error(self) -> float:
        """The larger of the two relative errors."""
        return _error(self.found, self.truth.scraped.tolist())

    @property
    def error_by_clock(self) -> float:
        return _error(self.found, self.truth.clock.tolist())

    @property
    def is_within(self) -> bool:
        return self.error <= TOLERANCE

    @property
    def is_over(self) -> bool:
        """Whether more was found than there was, as after a gap that began the day before."""
        return bool((np.array(self.found) > (1 + TOLERANCE) * self.truth.scraped).any())

    @property
    def is_explained(self) -> bool:
        return not self.is_within and self.coverage < 1

    @property
    def says_too_little(self) -> bool:
        """Explained, but more of the requests is wrong than such a coverage lets one expect."""
        wrong = _error(self.found[:1], self.truth.scraped.tolist()[:1])
        return self.is_explained and wrong > max(TOLERANCE, PLAUSIBLE * (1 - self.coverage))


def plan(services: Sequence[str]) -> Plan:
    """The catalog's queries of the requests and of the errors, one each for all services."""
    match = f'job="{JOB}",service=~"{"|".join(services)}"'
    selectors = {"http_requests": f"{METRIC}{{{match}}}", "http_errors": f'{METRIC}{{code=~"5..",{match}}}'}
    queries = tuple(
        Query(name=name, type="counter", promql=f"last_over_time({selector}[{STEP_S}s])")
        for name, selector in selectors.items()
    )
    return Plan(tuple(services), "service", STEP_S, queries)


def collect(
    url: str, first_day: datetime, truths: Sequence[Truth], done: Callable[[], None] = lambda: None
) -> list[ServiceDay]:
    """Every day of the truths, collected from the server."""
    source = Prometheus(PrometheusSettings(url=url, timeout=timedelta(minutes=2)))
    asked = plan(list(dict.fromkeys(truth.service for truth in truths)))
    compared = []
    for day in sorted({truth.day for truth in truths}):
        fetched = source.fetch(asked, Calendar(first_day).window(day))
        compared += [compare(truth, fetched[truth.service]) for truth in truths if truth.day == day]
        done()
    return compared


def compare(truth: Truth, samples: Samples) -> ServiceDay:
    requests, errors = (float(np.nansum(samples.columns.get(name, 0.0))) for name in ("http_requests", "http_errors"))
    return ServiceDay(truth, (requests, errors), coverage(samples.columns, "http_requests"))


def coverage(columns: Mapping[str, Any], query: str) -> float:
    """The mean over the steps of the share of targets that were seen whole: 0 where none was seen at all."""
    if query not in columns:
        return 0.0
    seen = columns.get(f"{query}.seen", np.ones_like(columns[query]))
    return float(np.where(np.isnan(columns[query]), 0.0, seen).mean())


def summary(compared: Sequence[ServiceDay]) -> dict[str, Any]:
    """How many service-days are right, and why the others are not. Errors are shares of the true count."""
    wrong = [day for day in compared if not day.is_within]
    unexplained = [day for day in wrong if not day.is_explained]
    count = len(compared)
    return {
        "service_days": count,
        "within_0_1_percent": (count - len(wrong)) / count,
        "within_0_1_percent_by_clock": sum(day.error_by_clock <= TOLERANCE for day in compared) / count,
        "fully_covered": sum(day.coverage == 1 for day in compared) / count,
        "explained_by_coverage": len(wrong) - len(unexplained),
        "explained_too_weakly": sum(day.says_too_little for day in compared),
        "unexplained": len(unexplained),
        "max_unexplained_error": max((day.error for day in unexplained), default=0.0),
        "overcounted": sum(day.is_over for day in compared),
        "examples": {
            "unexplained": _examples(unexplained),
            "explained_too_weakly": _examples([day for day in wrong if day.says_too_little]),
            "overcounted": _examples([day for day in wrong if day.is_over]),
        },
    }


def _examples(days: Sequence[ServiceDay]) -> list[str]:
    return [describe(day) for day in sorted(days, key=lambda day: -day.error)[:EXAMPLES]]


def describe(day: ServiceDay) -> str:
    (requests, errors), truth = day.found, day.truth
    true_requests, true_errors = truth.scraped.tolist()
    return (
        f"{truth.service} day {truth.day}: {requests:.0f} of {true_requests} requests, {errors:.0f} of {true_errors} "
        f"errors, coverage {100 * day.coverage:.2f} %"
    )


def _error(found: Sequence[float], true: Sequence[int]) -> float:
    """Beside a true count of 0, every event is a whole one too many."""
    return max(abs(one - other) / max(other, 1) for one, other in zip(found, true, strict=True))
