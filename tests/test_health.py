"""A day's health: scores by hand, what was not seen, vetoes, and what to look at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts import DaySummary, KpiSummary, SloDay
from observability.definitions import Direction
from observability.events import Anomaly, AnomalyEvents
from observability.judgement.health import LOOK_FIRST, assess
from observability.model import Window
from observability.release import flags_release
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


def day(*slos, **kpis):
    """Day 2, with objectives and KPIs; a number is the KPI's drift against the GA day."""
    found = {name: given if isinstance(given, KpiSummary) else kpi(name, given) for name, given in kpis.items()}
    return DaySummary(timestamp=TODAY.end, day_number=2, service="shop", kpis=found, slos=slos, window=TODAY)


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
        "0.5 times the day's error budget was spent",
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


def test_a_ga_value_of_0_or_none_is_no_baseline():
    report = assess(day(slo(0), db_connections=kpi("db_connections", drift=None, value=5.0)), NOTHING_FOUND)
    assert (report.parts[1].score, report.parts[1].why) == (
        None,
        "there is no GA value to compare with: none, 0, of other buckets, or of other hours",
    )


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
        scored = known.direction is not Direction.TWO_SIDED
        assert (known.category in LOOK_FIRST) is scored, name


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


@given(st.floats(0, 100), st.floats(0, 100))
def test_spending_more_is_never_healthier(one, other):
    scores = [assess(day(slo(burn), p99_latency_ms=0.0), NOTHING_FOUND).health_score for burn in sorted((one, other))]
    assert scores[0] >= scores[1]
