"""What happens in the generated weeks, when, and how large: the only place where these figures stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAYS = range(-7, 8)
STEP_S = 60
SCRAPE_OFFSET_S = 17  # each minute's scrape, away from the borders of steps and days

CHECKOUT, REPORTS = "checkout", "reports"
OLD_PODS = ("checkout-v1-0-0-a", "checkout-v1-0-0-b")
NEW_PODS = ("checkout-v1-0-1-a", "checkout-v1-0-1-b")
REPORTS_POD = "reports-v3-2-0-a"


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """The instant on day ``day`` of the release; day 0 is the GA day."""
    return GA + timedelta(days=day, hours=hour, minutes=minute)


@dataclass(frozen=True)
class Event:
    """Something that happens to a service during ``[start, end)``.

    ``end`` is None for what lasts, and ``start`` for what takes no time. ``size`` is in ``unit``. ``pod`` is None
    where all pods of the service are concerned.
    """

    name: str
    service: str
    start: datetime
    end: datetime | None
    size: float | None
    unit: str
    pod: str | None = None


NIGHT_FROM_HOUR, NIGHT_TO_HOUR = 22, 6

TRAFFIC = Event("traffic step", CHECKOUT, GA, None, 1.2, "times the requests")
LATENCY = Event("latency step", CHECKOUT, GA, None, 1.25, "times each request's latency")
ROLLOUT = Event("rollout", CHECKOUT, GA, GA, 2, "pods end, and as many new ones begin")
BURST = Event("error burst", CHECKOUT, at(2, 14, 20), at(2, 15), 0.08, "share of the requests that fail")
ALERT = Event("critical alert", CHECKOUT, at(2, 14, 25), at(2, 15), 1, "alert firing")
LEAK = Event("memory leak", CHECKOUT, at(1), None, 0.05, "of the memory limit per day")
GAP = Event("scrape gap", CHECKOUT, at(4, 10, 5), at(4, 10, 52), 47, "minutes in which no target answers")
PARTIAL_GAP = Event(
    "partial scrape gap", CHECKOUT, at(5, 16), at(5, 16, 20), 20, "minutes without an answer of one pod", NEW_PODS[1]
)
NIGHT = Event("nightly silence", REPORTS, at(DAYS[0]), None, 0, "requests from 22:00 to 06:00 UTC")
NO_ERRORS = Event("no errors", REPORTS, at(DAYS[0]), None, 0, "share of the requests that fail")


def _restart(service: str, pod: str, instant: datetime) -> Event:
    return Event("restart", service, instant, instant, None, "the counters start from 0", pod)


# None of checkout's after day 1: a restart would end the leak. None of reports' at night: its request counter would be
# gone until the morning's first request.
RESTARTS = (
    _restart(CHECKOUT, OLD_PODS[0], at(-5, 3, 30)),
    _restart(CHECKOUT, OLD_PODS[1], at(-2, 15, 12)),
    _restart(CHECKOUT, NEW_PODS[0], at(0, 9, 41)),
    _restart(REPORTS, REPORTS_POD, at(3, 13, 8)),
    _restart(REPORTS, REPORTS_POD, at(6, 10, 45)),
)

EVENTS = (TRAFFIC, LATENCY, ROLLOUT, BURST, ALERT, LEAK, GAP, PARTIAL_GAP, NIGHT, NO_ERRORS, *RESTARTS)
