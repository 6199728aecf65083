"""A day's health: scores by hand, what was not seen, vetoes, and what to look at."""

import math
from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from observability import daily_health_reporter, stages
from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary, SloDay
from observability.definitions import Direction
from observability.errors import ConfigError
from observability.events import Anomaly, AnomalyEvents, Incident, Suspect
from observability.judgement.daily_drift import partner_of
from observability.judgement.health import LOOK_FIRST, assess
from observability.model import Window
from observability.release import flags_release
from observability.store import Store
from observability.verdicts import HealthReport

GA = datetime(2025, 11, 18, tzinfo=UTC)
CATALOG = flags_release(GA, "http://localhost:9090").kpis
TODAY = Window(start=GA + timedelta(days=2), end=GA + timedelta(days=3))
WEEK = Window(start=GA, end=GA + timedelta(days=8))
NOTHING_FOUND = AnomalyEvents(window=WEEK, scored={"p99_latency_ms": 1440})


def slo(burn=0.0, total=1_000_000, coverage=1.0, kpi="overall_availability"):
    """An objective of 99.9 % of which ``burn`` times the day's budget was spent; None is a day without data."""
    bad = None if burn is None else burn * total / 1000
    total = None if burn is None else total
    return SloDay(
        slo_name="Availability",
        kpi=kpi,
        target=99.9,
        budget=0.1,
        unit="%",
        counts_bad=False,
        bad=bad,
        total=total,
        value=None,
        compliant=None,
        coverage=coverage,
        note="no data" if burn is None else None,
    )


def kpi(name, drift=None, value=1.0, coverage=1.0, note=None):
    known = CATALOG[name]
    return KpiSummary(
        value=value,
        unit=known.unit,
        direction=known.direction,
        category=known.category,
        kind=known.kind,
        coverage=coverage,
        drift_percent=drift,
        note=note,
    )


def day(*slos, partial=False, window=TODAY, **kpis):
    """Day 2, with objectives and KPIs; a number is the KPI's drift against the GA day."""
    found = {name: given if isinstance(given, KpiSummary) else kpi(name, given) for name, given in kpis.items()}
    return DaySummary(
        timestamp=TODAY.end, day_number=2, service="shop", kpis=found, slos=slos, window=window, partial=partial
    )


def with_values(*slos, number=2, coverage=1.0, partial=False, **values):
    """A day of KPIs by their values; a KpiSummary stands as it is."""
    start = GA + timedelta(days=number)
    found = {
        name: given if isinstance(given, KpiSummary) else kpi(name, value=given, coverage=coverage)
        for name, given in values.items()
    }
    window = Window(start=start, end=start + timedelta(days=1))
    return DaySummary(
        timestamp=start, day_number=number, service="shop", kpis=found, slos=slos, window=window, partial=partial
    )


def drifted(now, before=None, ga=None, name="p99_latency_ms", **fields):
    """The score and the sentence of one KPI, given its value (or all values) on the day, on the same weekday before GA
    and on the GA day."""
    days = [None if d is None else d if isinstance(d, dict) else {name: d} for d in (now, before, ga)]
    today, partner, first = (
        None if d is None else with_values(number=n, **d) for d, n in zip(days, (2, -5, 0), strict=True)
    )
    report = assess(today.model_copy(update=fields), None, partner, first)
    (part,) = [part for part in report.parts if part.kpi == name]
    return part.score, part.why


def incidents(number):
    return kpi("critical_incident_count", value=number)


def anomaly(severity, at=TODAY.start):
    return Anomaly(
        timestamp=at,
        metric_name="p99_latency_ms",
        value=1,
        baseline=0,
        z_score=9,
        severity=severity,
        category="latency",
    )


def events(*anomalies):
    return NOTHING_FOUND.model_copy(update={"anomalies": anomalies})


# Scores.


def test_a_day_by_hand():
    """Half of the budget, a P99 30 % up, and one high anomaly, by the weights 50, 35 and 15."""
    report = assess(day(slo(0.5), p99_latency_ms=30.0), events(anomaly("high")))
    budget, drift, anomalies = 100 * (4 - 0.5) / 4, 100 * (50 - 30) / (50 - 10), 100 - 15
    assert [part.score for part in report.parts] == pytest.approx([budget, drift, anomalies])
    assert [part.weight for part in report.parts] == [50, 35, 15]
    assert report.health_score == pytest.approx((50 * budget + 35 * drift + 15 * anomalies) / 100)
    assert (report.status, report.coverage, report.veto, report.anomalies) == ("degraded", 1.0, None, 1)
    assert [part.why for part in report.parts] == [
        "50 % of the day's error budget was spent",
        "1 ms, +30.0 % against the GA day",
        "1 high",
    ]
    assert (report.day_number, report.service, report.timestamp) == (2, "shop", TODAY.end)


@pytest.mark.parametrize(("burn", "score"), [(0, 100), (1, 75), (2, 50), (4, 0), (9.9, 0)])
def test_the_budget_part(burn, score):
    assert assess(day(slo(burn)), None).parts[0].score == pytest.approx(score)


@pytest.mark.parametrize(
    ("name", "drift", "score"),
    [
        ("p99_latency_ms", 0.0, 100),
        ("p99_latency_ms", 10.0, 100),
        ("p99_latency_ms", 30.0, 50),
        ("p99_latency_ms", 50.0, 0),
        ("p99_latency_ms", 500.0, 0),
        ("p99_latency_ms", -80.0, 100),
        ("avg_redis_hit_rate", -30.0, 50),
        ("avg_redis_hit_rate", 30.0, 100),
    ],
)
def test_the_drift_part(name, drift, score):
    assert assess(day(**{name: drift}), None).parts[0].score == pytest.approx(score)


def test_what_has_an_objective_or_no_worse_direction_has_no_drift_part():
    drifts = {"overall_error_rate": 500.0, "overall_availability": -5.0, "request_rate": 300.0, "p50_latency_ms": 0.0}
    assert [part.name for part in assess(day(**drifts), None).parts] == ["p50_latency_ms", "Anomalies"]


def test_weights_are_shared_within_a_group():
    report = assess(day(slo(0), slo(4), p50_latency_ms=0.0, p99_latency_ms=50.0), NOTHING_FOUND)
    assert [part.weight for part in report.parts] == [25, 25, 17.5, 17.5, 15]
    assert report.health_score == pytest.approx(25 + 17.5 + 15)


def test_the_anomaly_part():
    found = events(*[anomaly("low")] * 2, anomaly("critical"), anomaly("medium"))
    part = assess(day(slo()), found).parts[-1]
    assert (part.why, part.score) == ("1 critical, 1 medium, 2 low", 100 - 30 - 5 - 2 * 2)
    assert assess(day(slo()), events(*[anomaly("critical")] * 9)).parts[-1].score == 0


def test_a_move_for_the_better_costs_nothing():
    fell, rose = (anomaly("critical").model_copy(update={"direction": way}) for way in ("down", "up"))
    for event, score in ((fell, 100), (rose, 70)):
        assert assess(day(slo(), p99_latency_ms=0.0), events(event)).parts[-1].score == score


def test_only_the_days_anomalies_count():
    second = timedelta(seconds=1)
    at = [TODAY.start - second, TODAY.start, TODAY.end - second, TODAY.end]
    assert assess(day(slo()), events(*[anomaly("low", instant) for instant in at])).anomalies == 2


def test_what_two_detectors_say_of_one_time_counts_once():
    """A high and a medium anomaly at once cost the points of the high one; that of another KPI, or later, its own."""
    ends = {"start": TODAY.start, "end": TODAY.start + timedelta(minutes=5)}
    high, medium = (anomaly(severity, TODAY.start).model_copy(update=ends) for severity in ("high", "medium"))
    assert assess(day(slo()), events(high, medium)).parts[-1].why == "1 high"
    other = medium.model_copy(update={"metric_name": "avg_cpu_percent"})
    later = medium.model_copy(update={"start": ends["end"], "end": TODAY.end})
    for apart in (other, later):
        assert assess(day(slo()), events(high, apart)).parts[-1].why == "1 high, 1 medium"


@pytest.mark.parametrize(
    ("score_of_budget", "status"),
    [(100, "healthy"), (80, "healthy"), (79, "degraded"), (40, "degraded"), (39, "unhealthy")],
)
def test_the_status_follows_the_score(score_of_budget, status):
    """The other half of the weights scores 100."""
    report = assess(day(slo(4 * (1 - score_of_budget / 100)), p99_latency_ms=0.0), NOTHING_FOUND)
    assert report.health_score == pytest.approx((score_of_budget + 100) / 2)
    assert report.status == status


@pytest.mark.parametrize(
    ("drift", "status"),
    [
        pytest.param({"p99_latency_ms": 400.0}, "degraded", id="P99 five times as high"),
        pytest.param({"avg_memory_percent": 50.0}, "degraded", id="memory half as high again"),
        pytest.param({"avg_memory_percent": 49.0}, "healthy", id="a little less"),
    ],
)
def test_a_part_at_0_keeps_the_day_from_being_healthy(drift, status):
    """One of eight KPIs at 0 costs 35/8 = 4.4 points."""
    quiet = ("p50_latency_ms", "p95_latency_ms", "avg_cpu_percent", "avg_redis_hit_rate", "db_connections")
    others = dict.fromkeys((*quiet, "estimated_cost_per_hour", "p99_latency_ms", "avg_memory_percent"), 0.0)
    report = assess(day(slo(0), **{**others, **drift}), NOTHING_FOUND)
    assert report.health_score > 95
    assert report.status == status


def test_ten_anomalies_keep_the_day_from_being_healthy():
    found = events(*[anomaly("high", TODAY.start + timedelta(hours=hour)) for hour in range(10)])
    quiet = {"p99_latency_ms": 0.0}
    assert assess(day(slo(0), **quiet), found).parts[-1].score == 0
    assert assess(day(slo(0), **quiet), found).status == "degraded"


# What was not seen never counts as healthy.


def test_a_part_without_data_caps_the_score():
    unseen = kpi("p99_latency_ms", value=None, coverage=0.0, note="no data")
    report = assess(day(slo(0), p99_latency_ms=unseen), NOTHING_FOUND)
    assert [part.score for part in report.parts] == [100, None, 100]
    assert report.parts[1].why == "no data"
    assert report.coverage == pytest.approx(0.65)
    assert (report.health_score, report.status) == (pytest.approx(65), "unhealthy")


def test_a_part_that_was_seen_for_a_quarter_of_the_day_speaks_for_a_quarter():
    seen = kpi("overall_availability", value=100.0, coverage=0.25)
    report = assess(day(slo(0, coverage=0.25), overall_availability=seen, p99_latency_ms=0.0), NOTHING_FOUND)
    assert report.coverage == pytest.approx((50 * 0.25 + 35 + 15) / 100)
    assert report.health_score == pytest.approx(62.5)


def test_a_low_score_is_not_raised_by_what_was_not_seen():
    assert assess(day(slo(4), slo(None), p99_latency_ms=50.0), None).health_score == 0


def test_no_anomaly_data_is_not_no_anomalies():
    """None, a detector that scored nothing, and one that stopped before the day: none has seen the day."""
    earlier = NOTHING_FOUND.model_copy(update={"window": Window(start=GA, end=TODAY.start + timedelta(hours=12))})
    idle = NOTHING_FOUND.model_copy(update={"scored": {"p99_latency_ms": 0}})
    for unknown in (None, earlier, idle):
        report = assess(day(slo(0), p99_latency_ms=0.0), unknown)
        assert (report.anomalies, report.parts[-1].score, report.parts[-1].why) == (None, None, "no anomaly data")
        assert (report.health_score, report.coverage) == (pytest.approx(85), pytest.approx(0.85))
    shortly_before_midnight = NOTHING_FOUND.model_copy(
        update={"window": Window(start=GA, end=TODAY.end - timedelta(minutes=30))}
    )
    for known in (NOTHING_FOUND, shortly_before_midnight, AnomalyEvents()):  # the last as older files are
        report = assess(day(slo(0), p99_latency_ms=0.0), known)
        assert (report.anomalies, report.health_score, report.parts[-1].why) == (0, 100, "none")


def test_a_day_of_which_only_anomalies_are_known_is_not_assessable():
    for found in (day(slo(None)), day(p99_latency_ms=kpi("p99_latency_ms", value=None, note="no data")), day()):
        report = assess(found, NOTHING_FOUND)
        assert (report.health_score, report.status) == (None, "not assessable")
        assert HealthReport.model_validate_json(report.model_dump_json()) == report


def test_too_few_events_spend_no_budget_and_veto_nothing():
    """Field rule 24: one bad request of five is 200 times the budget, and decides nothing."""
    report = assess(day(slo(burn=200, total=5), p99_latency_ms=0.0), NOTHING_FOUND)
    assert (report.parts[0].score, report.veto) == (None, None)
    assert report.parts[0].why == "fewer than 1,000 events decide nothing"
    assert assess(day(slo(burn=0, total=0)), NOTHING_FOUND).parts[0].score is None
    assert assess(day(slo(burn=200, total=1000)), NOTHING_FOUND).status == "critical"


def test_without_a_drift_there_is_nothing_to_compare_with():
    report = assess(day(slo(0), db_connections=kpi("db_connections", drift=None, value=5.0)), NOTHING_FOUND)
    assert (report.parts[1].score, report.parts[1].why) == (
        None,
        "there is no value to compare with: none, 0, of other buckets, or of other hours",
    )


# Against the same weekday before GA.


@pytest.mark.parametrize(
    ("now", "before", "ga", "score", "why"),
    [
        pytest.param(520, 400, 520, 50, "520 ms, +30.0 % against the same weekday before GA", id="shipped at GA"),
        pytest.param(520, 520, 400, 100, "520 ms, +0.0 % against the same weekday before GA", id="the GA day no veto"),
        pytest.param(520, None, 400, 50, "520 ms, +30.0 % against the GA day", id="no week before"),
        pytest.param(520, 0, 400, 50, "520 ms, +30.0 % against the GA day", id="0 before is no baseline"),
        pytest.param(0, 0, None, 100, "0 ms, +0.0 % against the same weekday before GA", id="from 0 to 0"),
        pytest.param(300, 400, None, 100, "300 ms, -25.0 % against the same weekday before GA", id="better"),
    ],
)
def test_the_same_weekday_before_ga_is_the_baseline(now, before, ga, score, why):
    found = drifted(now, before, ga)
    assert found == (pytest.approx(score), why)


@pytest.mark.parametrize(
    "unfit",
    [
        {"coverage": 0.4},
        {"at_least": True},
        {"buckets": {"0.5": 1, "+Inf": 2}},
        {"value": None},
    ],
)
def test_what_does_not_compare_is_no_baseline(unfit):
    before = kpi("p99_latency_ms", value=400.0).model_copy(update=unfit)
    now = kpi("p99_latency_ms", value=520.0).model_copy(update={"buckets": {"1.0": 1, "+Inf": 2}})
    assert drifted({"p99_latency_ms": now}, {"p99_latency_ms": before}) == (
        None,
        "there is no value to compare with: none, 0, of other buckets, or of other hours",
    )


def test_the_partner_is_the_same_weekday():
    past = PreReleaseSummary(days=tuple(with_values(number=n, partial=n == -4) for n in range(-7, 0)))
    partners = {n: partner_of(with_values(number=n), past) for n in range(1, 8)}
    assert {n: None if p is None else p.day_number for n, p in partners.items()} == {
        **dict(zip((1, 2, 4, 5, 6, 7), (-6, -5, -3, -2, -1, -7), strict=True)),
        3: None,  # was not over
    }
    assert partner_of(with_values(number=1), None) is None


def test_without_the_week_before_it_says_what_it_cannot_see():
    blind = "Without the same weekday before GA, KPIs are compared with the GA day, which hides what was shipped at GA."
    assert assess(day(slo(0), p99_latency_ms=0.0), NOTHING_FOUND).warnings == (blind,)
    assert assess(with_values(p99_latency_ms=4.0), None, ga=with_values(number=0, p99_latency_ms=4.0)).warnings == (
        blind,
    )
    assert assess(with_values(p99_latency_ms=4.0), None, with_values(number=-5, p99_latency_ms=4.0)).warnings == ()


# What follows the traffic.


@pytest.mark.parametrize(
    ("name", "rate", "value", "score", "why"),
    [
        pytest.param(
            *("avg_cpu_percent", 200, 40, 50),
            "40 %, +100.0 % against the same weekday before GA; at 2 times the traffic, where +0.0 to +100.0 % is "
            "expected by that day's hours, so it cannot be told from the traffic",
            id="in proportion to twice the traffic, without hours: 0 as measured, 100 per request",
        ),
        pytest.param(
            *("avg_cpu_percent", 200, 52, 25),
            "52 %, +160.0 % against the same weekday before GA; at 2 times the traffic, where +0.0 to +100.0 % is "
            "expected by that day's hours",
            id="30 % more per request: 0 as measured, 50 per request",
        ),
        pytest.param(
            *("avg_cpu_percent", 109, 26, 50),
            "26 %, +30.0 % against the same weekday before GA",
            id="9 % more traffic is no excuse",
        ),
        pytest.param(
            *("estimated_cost_per_hour", 200, 21, 100),
            "21 per hour, +5.0 % against the same weekday before GA; at 2 times the traffic, where +0.0 to +100.0 % "
            "is expected by that day's hours",
            id="no worse either way",
        ),
        pytest.param(
            *("avg_cpu_percent", 50, 20, 100),
            "20 %, +0.0 % against the same weekday before GA",
            id="less traffic makes nothing worse",
        ),
        pytest.param(
            *("p99_latency_ms", 200, 26, 50),
            "26 ms, +30.0 % against the same weekday before GA",
            id="a latency is no matter of more requests",
        ),
        pytest.param(
            *("cluster_cpu_utilization", 200, 26, 50),
            "26 %, +30.0 % against the same weekday before GA",
            id="nor is the whole cluster",
        ),
    ],
)
def test_more_traffic(name, rate, value, score, why):
    found = drifted({name: value, "request_rate": rate}, {name: 20, "request_rate": 100}, name=name)
    assert found == (pytest.approx(score), why)


WAVE = [100 + 50 * math.sin(2 * math.pi * hour / 24) for hour in range(24)]  # requests/s through a day, 100 on average


def by_the_hour(name, values):
    return kpi(name, value=math.fsum(values) / 24).model_copy(update={"hourly": tuple(values)})


@pytest.mark.parametrize(
    ("hours", "now", "score", "expected"),
    [
        pytest.param(
            [40 + 0.1 * (n % 3) for n in range(24)], 75.8, 0, "+0.0 to +0.3 %", id="a leak at twice the traffic"
        ),
        pytest.param([0.4 * load for load in WAVE], 80, 100, "where +100.0 %", id="in proportion"),
        pytest.param([0.4 * load for load in WAVE], 104, 50, "where +100.0 %", id="30 % more per request"),
        pytest.param([20 + 0.2 * load for load in WAVE], 60, 100, "+44.3 to +55.0 %", id="a base and some per request"),
        pytest.param([20 + 0.2 * load for load in WAVE], 78, 48.8, "+44.3 to +55.0 %", id="30 % above that"),
        pytest.param([40 - 0.2 * load for load in WAVE], 60, 50, "to +100.0 %", id="against the traffic, so unknown"),
        pytest.param([], 60, 50, "+0.0 to +100.0 %", id="no hours"),
    ],
)
def test_the_traffic_excuses_what_followed_it(hours, now, score, expected):
    """40 % at 100 requests/s before. Of readings that differ, the mean of both scores."""
    before = {"avg_memory_percent": kpi("avg_memory_percent", value=40.0).model_copy(update={"hourly": tuple(hours)})}
    before["request_rate"] = by_the_hour("request_rate", WAVE)
    today = {"avg_memory_percent": now, "request_rate": 200.0}
    found, why = drifted(today, before, name="avg_memory_percent")
    assert found == pytest.approx(score, abs=0.1)
    assert expected in why


@pytest.mark.parametrize("now", [None, kpi("request_rate", value=200.0, coverage=0.4)])
def test_traffic_that_is_not_known_excuses_nothing(now):
    found = drifted(
        {"avg_cpu_percent": 40, "request_rate": now},
        {"avg_cpu_percent": 20, "request_rate": 100},
        name="avg_cpu_percent",
    )
    assert found == (0, "40 %, +100.0 % against the same weekday before GA")


def test_a_day_of_zeros_is_not_healthy():
    """No requests: no latency, an idle CPU, no errors. None of that is health."""
    before = with_values(slo(0), number=-5, request_rate=100.0, avg_cpu_percent=20.0, p99_latency_ms=400.0)
    nothing = kpi("p99_latency_ms", value=None, note="undefined, because there was no traffic")
    today = with_values(slo(0, total=0), request_rate=0.0, avg_cpu_percent=0.0, p99_latency_ms=nothing)
    report = assess(today, NOTHING_FOUND, before)
    assert [part.score for part in report.parts] == [None, None, None, 100]
    assert (report.health_score, report.status) == (None, "not assessable")
    assert report.warnings == ("The day had no requests, so low latency, usage and errors say nothing.",)
    (action,) = report.mitigation_actions
    assert action == (
        "Look into request_rate (none, 100 requests/s before): "
        "first whether requests still reach the service: its ingress, DNS and scrape targets."
    )


# Failures without an objective.


@pytest.mark.parametrize(
    ("name", "before", "now", "score"),
    [
        ("overall_error_rate", 0.0, 0.05, 100),  # below the floor of 0.1 points
        ("overall_error_rate", 0.0, 0.5, 0),
        ("overall_error_rate", 1.0, 1.3, 50),
        ("overall_error_rate", 1.0, 0.5, 100),
        ("overall_availability", 99.0, 98.7, 50),  # 1 → 1.3 % of bad events
        ("overall_availability", 99.0, 99.9, 100),
    ],
)
def test_failures_count_where_no_objective_is_on_them(name, before, now, score):
    assert drifted(now, before, name=name)[0] == pytest.approx(score)
    found = assess(
        with_values(slo(0), **{name: now, "overall_availability": now}), None, with_values(number=-5, **{name: before})
    )
    assert [part.name for part in found.parts] == ["Availability", "Anomalies"]


# A day that is not over.


def test_a_partial_day_says_so_and_is_not_compared_where_that_depends_on_the_hour():
    until = Window(start=TODAY.start, end=TODAY.start + timedelta(hours=6))
    today = day(slo(0), partial=True, window=until, avg_cpu_percent=40.0, p99_latency_ms=0.0)
    report = assess(today, NOTHING_FOUND)
    assert report.warnings[0] == "The day is not over: this is of 2025-11-20T00:00:00Z to 2025-11-20T06:00:00Z alone."
    assert [(part.name, part.score) for part in report.parts] == [
        ("Availability", 100),
        ("avg_cpu_percent", None),
        ("p99_latency_ms", 100),
        ("Anomalies", 100),
    ]
    assert report.parts[1].why == "the day is not over, so it does not compare with a whole one"
    assert report.coverage == pytest.approx((50 + 17.5 + 15) / 100)


# Vetoes.


def test_ten_days_budget_in_one_is_critical():
    good = {"p99_latency_ms": 0.0, "avg_cpu_percent": 0.0, "overall_availability": kpi("overall_availability")}
    for burn, status, veto in (
        (9.99, "unhealthy", None),
        (10, "critical", "overall_availability: 10 times the day's error budget was spent"),
        (500, "critical", "overall_availability: 500 times the day's error budget was spent"),
    ):
        report = assess(day(slo(burn), **good), NOTHING_FOUND)
        assert (report.status, report.veto) == (status, veto)
    many = assess(day(slo(10), *[slo(0, kpi="p95_latency_ms")] * 9, **good), NOTHING_FOUND)
    assert (many.health_score, many.status) == (30, "critical")  # 95 without the veto


@pytest.mark.parametrize(("fired", "why"), [(1, "1 critical alert fired"), (2, "2 critical alerts fired")])
def test_a_critical_alert_is_critical(fired, why):
    report = assess(day(slo(0), p99_latency_ms=0.0, critical_incident_count=incidents(fired)), NOTHING_FOUND)
    assert (report.health_score, report.status, report.veto) == (30, "critical", f"critical_incident_count: {why}")
    assert report.mitigation_actions == (f"Look into critical_incident_count ({why}): first the alert's runbook.",)


def test_a_critical_alert_is_critical_even_where_nothing_was_scored():
    report = assess(day(slo(None), critical_incident_count=incidents(1)), None)
    assert (report.health_score, report.status) == (None, "critical")


@pytest.mark.parametrize("number", [0, None])
def test_no_critical_alert_and_unknown_alerts_veto_nothing(number):
    report = assess(day(slo(0), p99_latency_ms=0.0, critical_incident_count=incidents(number)), NOTHING_FOUND)
    assert (report.status, report.veto) == ("healthy", None)


def incident(severity="critical", start=9.0, end=10.0, **fields):
    """From and until so many hours after the day began."""
    suspect = Suspect(metric_name="avg_cpu_percent", category="resources", share=0.8)
    at = {"start": TODAY.start + timedelta(hours=start), "end": TODAY.start + timedelta(hours=end)}
    common = {"id": "1", "score": 90.0, "threshold": 6.0, "suspects": (suspect,)}
    return Incident(**{"severity": severity, "noticed": at["start"], **at, **common, **fields})


def test_a_critical_incident_is_critical():
    found = NOTHING_FOUND.model_copy(update={"incidents": (incident(),)})
    report = assess(day(slo(0), avg_cpu_percent=0.0), found)
    told = "critical incident from 2025-11-20T09:00:00Z to 2025-11-20T10:00:00Z"
    assert (report.health_score, report.status, report.veto) == (30, "critical", f"avg_cpu_percent: {told}")
    (action,) = report.mitigation_actions
    assert action == (
        f"Look into avg_cpu_percent ({told}): "
        "first usage by pod over the days (a steady rise is a leak, a step came with a deployment)."
    )


@pytest.mark.parametrize(
    ("found", "status"),
    [
        pytest.param(incident("high"), "healthy", id="less severe"),
        pytest.param(incident(in_maintenance=True), "healthy", id="in maintenance"),
        pytest.param(incident(in_maintenance=None), "critical", id="maybe in maintenance"),
        pytest.param(incident(start=-5, end=0), "healthy", id="over when the day began"),
        pytest.param(incident(start=24, end=25), "healthy", id="of the next day"),
        pytest.param(incident(start=-5, end=0.1), "critical", id="reaching into the day"),
        pytest.param(incident(suspects=()), "critical", id="without a suspect"),
    ],
)
def test_which_incidents_are_of_the_day(found, status):
    events = NOTHING_FOUND.model_copy(update={"incidents": (found,)})
    assert assess(day(slo(0), avg_cpu_percent=0.0), events).status == status


def test_all_that_makes_one_kpi_critical_stands_in_one_action():
    suspect = Suspect(metric_name="overall_availability", category="availability", share=1.0)
    events = NOTHING_FOUND.model_copy(update={"incidents": (incident(suspects=(suspect,), ongoing=True),)})
    (action,) = assess(day(slo(12)), events).mitigation_actions
    assert action == (
        "Look into overall_availability (12 times the day's error budget was spent; "
        "critical incident from 2025-11-20T09:00:00Z to now): first its query in Prometheus."
    )


def test_all_vetoes_are_told():
    found = day(slo(12), overall_availability=kpi("overall_availability"), critical_incident_count=incidents(1))
    report = assess(found, None)
    assert report.veto == (
        "overall_availability: 12 times the day's error budget was spent; "
        "critical_incident_count: 1 critical alert fired"
    )
    assert report.mitigation_actions == (
        (
            "Look into overall_availability (12 times the day's error budget was spent): "
            "first the failing requests by route and pod."
        ),
        "Look into critical_incident_count (1 critical alert fired): first the alert's runbook.",
    )


# What to look at.


def test_actions_name_the_kpi_its_figure_and_what_to_look_at_first_and_begin_with_the_worst():
    latency = kpi("p99_latency_ms", drift=32.5, value=512.0)
    memory = kpi("avg_memory_percent", drift=45.0, value=61.2)
    found = day(slo(0), p99_latency_ms=latency, avg_memory_percent=memory, avg_cpu_percent=12.0)
    assert assess(found, None).mitigation_actions == (
        (
            "Look into avg_memory_percent (61.2 %, +45.0 % against the GA day): "
            "first usage by pod over the days (a steady rise is a leak, a step came with a deployment)."
        ),
        (
            "Look into p99_latency_ms (512 ms, +32.5 % against the GA day): "
            "first the slowest routes, and the database's latency in the same hours."
        ),
    )


def test_a_kpi_of_two_objectives_is_named_once_with_the_worse():
    found = day(slo(2), slo(3), overall_availability=kpi("overall_availability"))
    (action,) = assess(found, None).mitigation_actions
    assert "(3 times" in action
    (vetoed,) = assess(day(slo(11), slo(20), slo(15)), None).mitigation_actions
    assert vetoed == (
        "Look into overall_availability (20 times the day's error budget was spent): first its query in Prometheus."
    )


def test_a_healthy_day_asks_for_nothing():
    assert assess(day(slo(1), p99_latency_ms=20.0), events(anomaly("low"))).mitigation_actions == ()


def test_there_is_something_to_look_at_for_every_kpi_that_can_score_low():
    for name, known in CATALOG.items():
        if known.direction is not Direction.TWO_SIDED:
            assert known.category in LOOK_FIRST, name


# The stage and its command.


def write(folder, before=True, service="shop"):
    """A week in which the P99 rose by 30 % at GA, as day 2, the GA day and the week before have it."""
    store = Store(folder)
    ga = with_values(number=0, p99_latency_ms=520.0).model_copy(update={"timestamp": GA, "service": service})
    store.write("ga_kpis/ga_kpi_summary.json", ga)
    if before:
        past = tuple(
            with_values(number=n, p99_latency_ms=400.0).model_copy(update={"service": service}) for n in range(-7, 0)
        )
        store.write("ga_kpis/pre_release_summary.json", PreReleaseSummary(service=service, days=past))
    store.write("stability/day_02_summary.json", with_values(p99_latency_ms=520.0))
    store.write("anomaly_events.json", NOTHING_FOUND.model_copy(update={"service": "shop"}))
    return store


def reported(store, ga_key="ga_kpis/ga_kpi_summary.json"):
    keys = ("stability/day_02_summary.json", "anomaly_events.json", "stability/day_02_HEALTH.json")
    report = stages.report_health(store, *keys, 2, ga_key)
    assert store.read(keys[-1], HealthReport, "") == report
    return report.parts[0].why


def test_the_stage_reads_the_week_before_from_beside_the_ga_summary(tmp_path):
    assert reported(write(tmp_path / "a")) == "520 ms, +30.0 % against the same weekday before GA"
    assert reported(write(tmp_path / "b", before=False)) == "520 ms, +0.0 % against the GA day"
    assert reported(write(tmp_path / "c"), None).startswith("there is no value to compare with")


def test_the_stage_refuses_the_baseline_of_another_service(tmp_path):
    with pytest.raises(ConfigError, match=r"is of service 'shop', and .* is of 'search'"):
        reported(write(tmp_path, service="search"))


def test_the_command_takes_the_baseline_that_is_there(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(daily_health_reporter.main)
    assert CliRunner().invoke(app, ["--day-number", "2"]).exit_code == 0
    found = HealthReport.model_validate_json((tmp_path / "stability/day_02_HEALTH.json").read_bytes())
    assert found.parts[0].why == "520 ms, +30.0 % against the same weekday before GA"
    (tmp_path / "ga_kpis/ga_kpi_summary.json").unlink()
    assert CliRunner().invoke(app, ["--day-number", "2"]).exit_code == 0
    assert isinstance(CliRunner().invoke(app, ["--day-number", "2", "--ga-baseline", "no.json"]).exception, ConfigError)


# Properties.

BURN = st.one_of(st.none(), st.floats(0, 1000))
DRIFT = st.one_of(st.none(), st.floats(-100, 1000))
SEVERITY = st.sampled_from(["low", "medium", "high", "critical"])


@given(
    st.lists(BURN, max_size=4),
    st.dictionaries(st.sampled_from(sorted(CATALOG)), st.tuples(DRIFT, st.floats(0, 1))),
    st.one_of(st.none(), st.lists(SEVERITY, max_size=5)),
)
def test_a_score_lies_between_0_and_what_was_seen(burns, drifts, severities):
    kpis = {name: kpi(name, drift, coverage=coverage) for name, (drift, coverage) in drifts.items()}
    found = None if severities is None else events(*map(anomaly, severities))
    report = assess(day(*map(slo, burns), **kpis), found)
    if report.health_score is not None:
        assert 0 <= report.health_score <= 100 * report.coverage + 1e-9
    assert 0 <= report.coverage <= 1
    assert (report.veto is not None) is (report.status == "critical")
    assert all(text.endswith(".") and ": first " in text for text in report.mitigation_actions)
    assert HealthReport.model_validate_json(report.model_dump_json()) == report


VALUES = st.dictionaries(
    st.sampled_from(["p99_latency_ms", "avg_cpu_percent", "avg_redis_hit_rate", "estimated_cost_per_hour"]),
    st.one_of(st.none(), st.floats(0.5, 2)),
    min_size=1,
)
KNOWN = {
    "p99_latency_ms": 1.0,
    "avg_cpu_percent": 1.0,
    "avg_redis_hit_rate": 1.0,
    "estimated_cost_per_hour": 1.0,
    "request_rate": 1.0,
}


def scored(values, burn, severities=()):
    rate = {"request_rate": values["request_rate"]} if "request_rate" in values else {}
    today = with_values(slo(burn), **{**rate, **values})
    return assess(today, events(*map(anomaly, severities)), with_values(number=-5, **KNOWN)).health_score


@given(VALUES, st.floats(0, 9.9), st.lists(SEVERITY, max_size=4), st.data())
def test_the_score_never_rises_when_a_kpi_gets_worse_or_is_lost(values, burn, severities, data):
    """But for a veto: it stands on what was seen."""
    values = {**values, "request_rate": data.draw(st.floats(0.5, 3))}
    name = data.draw(st.sampled_from(sorted(values.keys() - {"request_rate"})))
    score = scored(values, burn, severities)
    lost = scored({**values, name: None}, burn, severities)
    assert lost is None or score is None or lost <= score + 1e-9
    if values[name] is not None:
        times = data.draw(st.floats(1, 3))
        worse = values[name] / times if name == "avg_redis_hit_rate" else values[name] * times
        after = scored({**values, name: worse}, burn, severities)
        assert after <= score + 1e-9
    unknown = scored(values, None, severities)
    assert unknown is None or score is None or unknown <= score + 1e-9


def test_losing_sight_of_a_bad_kpi_does_not_raise_the_score():
    """The bad half counts 0, seen or not."""
    seen, unseen = (assess(day(slo(burn), p99_latency_ms=30.0), NOTHING_FOUND) for burn in (4, None))
    assert seen.health_score == unseen.health_score == pytest.approx(0.35 * 50 + 15)


@given(st.floats(0, 100), st.floats(0, 100))
def test_spending_more_is_never_healthier(one, other):
    scores = [assess(day(slo(burn), p99_latency_ms=0.0), NOTHING_FOUND).health_score for burn in sorted((one, other))]
    assert scores[0] >= scores[1]
