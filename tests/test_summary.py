"""A day's summary: counts, coverage, drift, the objectives' events, cost, and the sentences that go with them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts import FLAT_KEYS, DaySummary
from observability.definitions import Direction, Objective, PriceList
from observability.judgement.objectives import allowed_events, budget, slo_day
from observability.judgement.summary import cost_day, drift_percent, summarise, summarise_kpi, worse
from observability.model import Samples, SourceInfo, Window
from observability.release import flags_release
from observability.units import format_change, format_value

GA = datetime(2025, 11, 18, tzinfo=UTC)
HOUR = 3600
RELEASE = flags_release(GA, "http://localhost:9090", timedelta(hours=1))
PRICED = RELEASE.model_copy(
    update={"prices": PriceList(currency="EUR", cpu_core_hour=0.04, memory_gib_hour=0.005, storage_gib_month=0.1)}
)
SOURCE = SourceInfo(prometheus="http://localhost:9090", step_s=HOUR)
KPIS = RELEASE.kpis
GIB = 2**30
EVERY_HOUR = np.ones(24)


def samples(columns, day=1, steps=24):
    """A day of hourly samples; a number stands for the same in every hour, None for a missing one."""
    arrays = {
        name: np.full(steps, values, dtype=float) if np.ndim(values) == 0 else np.array(values, dtype=float)
        for name, values in columns.items()
    }
    start = GA + timedelta(days=day)
    return Samples("shop", Window(start=start, end=start + timedelta(hours=steps)), HOUR, arrays)


def summary(columns, day=1, release=RELEASE, ga=None, partial=False, steps=24):
    return summarise(release, samples(columns, day, steps), day, SOURCE, ga, partial)


def kpi_summary(name, columns, prices=None):
    return summarise_kpi(KPIS[name], samples(columns), prices)


def of_kpi(kpi, objective, columns, threshold=None, **changes):
    """The objective's events of a day on a KPI of the catalog, or on a changed one."""
    kpi = KPIS[kpi].model_copy(update=changes)
    slo = Objective(name="Objective", kpi=kpi.name, objective=objective, threshold=threshold)
    found = summarise_kpi(kpi, samples(columns), None)
    return slo_day(slo, kpi, found, found)


def traffic(requests, errors):
    """So many in the whole day, in its first hour."""
    return {"http_requests": [requests] + [0] * 23, "http_errors": [errors] + [0] * 23}


# One KPI.


@pytest.mark.parametrize(
    ("name", "counts_bad"),
    [
        ("overall_error_rate", True),  # errors of all requests
        ("overall_availability", True),  # the same counts: their rest is the value
        ("avg_redis_hit_rate", False),  # hits of all lookups
        ("p99_latency_ms", None),
        ("avg_cpu_percent", None),
    ],
)
def test_a_ratio_says_whether_its_numerator_counts_bad_events(name, counts_bad):
    kpi, counted = KPIS[name], {"http_requests": 100.0, "http_errors": 40.0, "redis_hits": 60.0, "redis_lookups": 100.0}
    found = summarise_kpi(kpi, samples(counted), None)
    assert found.counts_bad is counts_bad
    if counts_bad is not None:
        bad = found.numerator if counts_bad else found.denominator - found.numerator
        assert bad / found.denominator == pytest.approx(0.4)
        assert found.value == pytest.approx(40 if name == "overall_error_rate" else 60)


def test_a_ratio_keeps_its_counts_and_the_distribution_of_its_hours():
    found = kpi_summary("overall_error_rate", {"http_requests": 1000, "http_errors": [*range(10)] * 2 + [None] * 4})
    assert (found.numerator, found.denominator) == (2 * 45, 24_000)
    assert found.value == pytest.approx(100 * 90 / 24_000)
    assert found.hourly == pytest.approx([100 * n / 1000 for n in [*range(10)] * 2 + [0] * 4])
    assert (found.min, found.max, found.n, found.coverage) == (0.0, pytest.approx(0.9), 24, 1.0)
    assert found.mean == pytest.approx(found.value)
    assert found.p50 == pytest.approx(np.median(found.hourly))


def test_the_distribution_is_that_of_the_steps():
    found = kpi_summary("db_connections", {"db_sessions": [*range(24)]})
    assert (found.min, found.mean, found.max, found.n) == (0, 11.5, 23, 24)
    assert (found.p50, found.p95, found.p99) == pytest.approx((23 * 0.5, 23 * 0.95, 23 * 0.99))


def test_coverage_is_observed_of_expected_samples():
    found = kpi_summary("request_rate", {"http_requests": [3600] * 6 + [None] * 12 + [7200] * 6})
    assert found.coverage == 12 / 24
    assert found.n == 12
    assert found.hourly[6:18] == (None,) * 12
    assert (found.numerator, found.denominator) == (6 * 3600 + 6 * 7200, 12 * HOUR)


def test_a_histogram_keeps_its_buckets_and_reads_them_back_in_order():
    latency = {"http_latency.le.0.5": 98, "http_latency.le.10.0": 99, "http_latency.le.+Inf": 100}
    found = kpi_summary("p99_latency_ms", latency)
    assert found.buckets == {"0.5": 24 * 98, "10.0": 24 * 99, "+Inf": 2400}
    assert list(json.loads(found.model_dump_json())["buckets"]) == ["0.5", "10.0", "+Inf"]
    assert found.value == pytest.approx(10_000)
    assert found.denominator == 2400


@pytest.mark.parametrize(("slow", "at_least"), [(0.9, False), (1.1, True)])
def test_a_quantile_beyond_the_last_bound_is_a_lower_bound(slow, at_least):
    latency = {"http_latency.le.0.5": 50, "http_latency.le.2.5": 100 - slow, "http_latency.le.+Inf": 100}
    for kpi in ("p99_latency_ms", "avg_p99_latency_ms"):
        assert kpi_summary(kpi, latency).at_least is at_least
    assert kpi_summary("p50_latency_ms", latency).at_least is False
    assert kpi_summary("request_rate", {"http_requests": 10}).at_least is False


@pytest.mark.parametrize(("hours", "at_least"), [(1, False), (2, True)])
def test_a_mean_of_quantiles_is_one_where_more_than_a_few_steps_are_cut_off(hours, at_least):
    fast, slow = 24 - hours, hours
    latency = {"http_latency.le.2.5": [100] * fast + [90] * slow, "http_latency.le.+Inf": 100}
    assert kpi_summary("avg_p99_latency_ms", latency).at_least is at_least
    assert kpi_summary("p99_latency_ms", latency).at_least is False  # of all requests less than 1 % lie beyond


def test_how_many_incidents_began():
    firing = {"targets": 3, "critical_alerts": [1] * 24, "critical_alerts.started": [0] * 23 + [1]}
    found = kpi_summary("critical_incident_count", firing)
    assert (found.value, found.started) == (2, 1)  # one went on from the day before
    assert kpi_summary("critical_incident_count", {"targets": 3}).started == 0
    assert kpi_summary("critical_incident_count", {}).started is None


def test_what_the_source_warned_of_stands_apart():
    warned = samples({"http_requests": 10})
    warned = replace(warned, warnings=("http_requests: a partial response",))
    found = summarise(RELEASE, warned, 1, SOURCE, None, False)
    assert found.source_warnings == ("http_requests: a partial response",)
    assert set(found.source_warnings) < set(found.warnings)


def test_hours_only_where_the_steps_divide():
    assert summary({"http_requests": 10}, steps=7, partial=True).kpis["request_rate"].hourly == ()


@pytest.mark.parametrize(
    ("kpi", "columns", "note"),
    [
        pytest.param("overall_availability", {}, "no data", id="nothing"),
        pytest.param("overall_availability", {"http_requests": None}, "no data", id="a column of nothing"),
        pytest.param("overall_availability", {"http_requests": 0}, "no traffic", id="no traffic"),
        pytest.param("p99_latency_ms", {"http_latency.le.1.0": 0, "http_latency.le.+Inf": 0}, "no traffic", id="p99"),
        pytest.param("avg_cpu_percent", {}, "no data", id="no utilisation"),
        pytest.param("avg_cpu_percent", {"cpu_cores": 1, "cpu_limit_cores": 0}, "cpu_limit_cores was 0", id="limit 0"),
        pytest.param("estimated_cost_per_hour", {"cpu_cores": 1}, "no `prices:`", id="no prices"),
    ],
)
def test_a_kpi_without_a_value_says_why(kpi, columns, note):
    found = kpi_summary(kpi, columns)
    assert found.value is None
    assert note in found.note
    assert found.n == 0


@pytest.mark.parametrize(
    ("kpi", "columns"),
    [
        ("overall_error_rate", {"http_requests": 10}),
        ("overall_availability", {"http_requests": 10, "http_errors": 10}),
        ("request_rate", {"http_requests": 0}),
        ("db_connections", {"db_sessions": 0}),
        ("critical_incident_count", {"targets": 1}),
    ],
)
def test_0_is_a_value_and_needs_no_note(kpi, columns):
    day = summary(columns, ga=summary(columns, day=0))
    assert day.kpis[kpi].value == 0.0
    assert day.kpis[kpi].note is None
    assert day.value(kpi) == 0.0
    assert json.loads(day.model_dump_json()).get(kpi, 0.0) == 0.0


# Drift.


@pytest.mark.parametrize(
    ("value", "baseline", "expected"),
    [
        (110, 100, 10.0),
        (100, 100, 0.0),
        (0.0, 100, -100.0),
        (5, 0, None),
        (0, 0, None),
        (None, 100, None),
        (100, None, None),
        (-4, -5, 20.0),
    ],
)
def test_drift(value, baseline, expected):
    assert drift_percent(value, baseline) == expected


def test_days_drift_against_the_ga_day_and_a_drift_of_0_is_one():
    ga = summary({"http_requests": 1000, "db_sessions": 40, "cluster_cpu": 0.5}, day=0)
    day = summary({"http_requests": 1000, "db_sessions": 50}, ga=ga)
    assert day.kpis["request_rate"].drift_percent == 0.0
    assert day.kpis["db_connections"].drift_percent == 25.0
    assert day.kpis["overall_error_rate"].drift_percent is None  # from 0 to 0 there is no per cent
    assert day.kpis["cluster_cpu_utilization"].drift_percent is None
    assert ga.kpis["request_rate"].drift_percent is None


def test_quantiles_of_other_buckets_do_not_drift():
    ga = summary({"http_latency.le.0.5": 99.5, "http_latency.le.+Inf": 100}, day=0)
    same = summary({"http_latency.le.0.5": 100, "http_latency.le.+Inf": 100}, ga=ga)
    other = summary({"http_latency.le.0.5": 98, "http_latency.le.1.0": 99.5, "http_latency.le.+Inf": 100}, ga=ga)
    assert same.kpis["p99_latency_ms"].drift_percent is not None
    assert other.kpis["p99_latency_ms"].drift_percent is None
    beyond = summary({"http_latency.le.0.5": 50, "http_latency.le.+Inf": 100}, day=0)
    assert (
        summary({"http_latency.le.0.5": 100, "http_latency.le.+Inf": 100}, ga=beyond)
        .kpis["p99_latency_ms"]
        .drift_percent
        is None
    )


def test_worse():
    higher, lower, neither = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER, Direction.TWO_SIDED
    assert [worse(-1, d) for d in (higher, lower, neither)] == [True, False, True]
    assert [worse(1, d) for d in (higher, lower, neither)] == [False, True, True]
    assert [worse(0, d) for d in (higher, lower, neither)] == [False, False, False]


# Objectives: field rules 3, 6 and 7.


def test_budgets_are_decimal():
    assert [budget(objective, counts_bad=False) for objective in (99.9, 99.95, 99.99, 99)] == [0.1, 0.05, 0.01, 1.0]
    assert budget(0.1, counts_bad=True) == 0.1
    assert allowed_events(0.1, 1_000_000) == 1000.0
    assert allowed_events(0.29, 3_000_000) == 8700.0  # 0.29 / 100 * 3e6 is 8699.999999999998


@pytest.mark.parametrize("objective", [99.9, 99.71, 99.93, 97.3, 99.999])
@given(thousands=st.integers(1, 5000))
def test_a_budget_spent_to_the_last_event_is_kept_and_one_more_is_not(objective, thousands):
    total, allowed = thousands * 100_000, round((100 - objective) * 1000) * thousands
    kpi, slo = KPIS["overall_availability"], Objective(name="A", kpi="overall_availability", objective=objective)
    seen = kpi_summary("overall_availability", {})
    days = [seen.model_copy(update={"numerator": allowed + more, "denominator": total}) for more in (0, 1)]
    assert [slo_day(slo, kpi, day, day).compliant for day in days] == [True, False]


GOOD_SHARE = {"complement": False, "direction": Direction.HIGHER_IS_BETTER}


@pytest.mark.parametrize(
    ("kpi", "changes", "objective", "bad", "value"),
    [
        pytest.param("overall_availability", {}, 99.0, 30, 97.0, id="availability: the rest of the errors"),
        pytest.param("overall_error_rate", {}, 1.0, 30, 3.0, id="error rate: the errors"),
        pytest.param("overall_error_rate", GOOD_SHARE, 99.0, 970, 3.0, id="hit rate: the numerator is good"),
        pytest.param("overall_error_rate", {"complement": True}, 1.0, 970, 97.0, id="miss rate: the rest of the hits"),
    ],
)
def test_what_counts_as_bad_follows_from_the_kpi(kpi, changes, objective, bad, value):
    found = of_kpi(kpi, objective, traffic(1000, 30), **changes)
    assert (found.bad, found.total) == (bad, 1000)
    assert found.value == pytest.approx(value)
    assert found.compliant is False


LATENCY = {"http_latency.le.0.2": 2, "http_latency.le.0.5": 8, "http_latency.le.+Inf": 10}


@pytest.mark.parametrize(
    ("threshold_ms", "slow"),
    [
        pytest.param(500, 10 - 8, id="at a bound: exact"),
        pytest.param(350, 10 - (2 + 6 / 2), id="half way between two bounds"),
        pytest.param(100, 10 - 2 / 2, id="in the first bucket, from 0"),
        pytest.param(9000, 10 - 8, id="beyond the last bound nobody knows: slow"),
    ],
)
def test_slow_requests_of_a_latency_objective(threshold_ms, slow):
    found = of_kpi("p99_latency_ms", 99, LATENCY, threshold_ms)
    assert found.bad == pytest.approx(24 * slow)
    assert found.total == 240
    assert found.value == pytest.approx(100 * (10 - slow) / 10)
    assert found.unit == f"% within {threshold_ms} ms"
    # Of ten requests at least two are slow where a bound tells, and the objective allows a tenth of one.
    assert (found.budget, found.compliant) == (1.0, None if threshold_ms == 9000 else False)


@pytest.mark.parametrize(("threshold", "exact"), [(500, True), (350, False), (None, None)])
def test_whether_a_threshold_is_a_bound(threshold, exact):
    kpi = "overall_availability" if threshold is None else "p99_latency_ms"
    columns = {"http_requests": 10} if threshold is None else LATENCY
    assert of_kpi(kpi, 99, columns, threshold).exact is exact


def test_an_objective_without_data_or_events_is_neither_kept_nor_missed():
    for columns, note, bad in (({}, "no data", None), ({"http_requests": 0}, "no events", 0.0)):
        found = of_kpi("overall_availability", 99.9, columns)
        assert (found.value, found.compliant, found.bad, found.note) == (None, None, bad, note)
    assert of_kpi("p99_latency_ms", 99, {}, 500).note == "no data"


# Cost.


def test_the_days_cost_by_hand():
    columns = {"cpu_cores": [2] * 12 + [4] * 12, "memory_bytes": 4 * GIB, "storage_used": 73 * GIB}
    found = cost_day(samples(columns), PRICED.prices)
    assert (found.currency, found.hours, found.network, found.other, found.note) == ("EUR", 24, None, None, None)
    assert found.compute == pytest.approx(24 * (3 * 0.04 + 4 * 0.005))
    assert found.storage == pytest.approx(24 * 73 / 730 * 0.1)
    assert found.total == pytest.approx(24 * (0.12 + 0.02 + 0.01))
    day = summary(columns, release=PRICED)
    assert day.estimated_cost_per_hour == pytest.approx(0.12 + 0.02 + 0.01)
    assert day.kpis["estimated_cost_per_hour"].unit == "EUR per hour"


def test_a_cost_without_all_of_its_usage_is_unknown_and_says_so():
    found = cost_day(samples({"cpu_cores": 2, "storage_used": 73 * GIB}), PRICED.prices)
    assert (found.compute, found.total) == (None, None)
    assert found.storage == pytest.approx(24 * 0.01)
    assert found.note == "no usage data for memory"
    assert cost_day(samples({"cpu_cores": 2}), None) is None


# The whole day.


def test_when_a_day_is():
    ga, day = summary({}, day=0), summary({}, day=3)
    assert ga.timestamp == GA
    assert day.timestamp == datetime(2025, 11, 21, 23, 59, 59, tzinfo=UTC)
    assert day.window == Window(start=GA + timedelta(days=3), end=GA + timedelta(days=4))
    assert ga.rollback_recommendation is None
    assert [summary({}, partial=partial).partial for partial in (False, True)] == [False, True]


def test_coverage_of_a_day_is_the_mean_of_what_could_be_seen():
    """Cost without a price list is not expected. Of the other KPIs two need only http_requests, half of it here."""
    day = summary({"http_requests": [10] * 12 + [None] * 12})
    expected = len(KPIS) - 1
    assert day.coverage == pytest.approx(3 * 0.5 / expected)  # availability, error rate and request rate


def test_every_kpi_without_a_value_is_named_in_the_warnings():
    day = summary({"http_requests": 10})
    missing = {name for name, found in day.kpis.items() if found.value is None}
    assert {warning.partition(":")[0] for warning in day.warnings} == missing
    assert "p99_latency_ms: no data" in day.warnings


NUMBER = st.one_of(st.none(), st.integers(0, 10**6), st.floats(1e-9, 1e12))
COLUMNS = (
    "http_requests",
    "http_errors",
    "http_latency.le.0.5",
    "http_latency.le.+Inf",
    "cpu_cores",
    "cpu_limit_cores",
)


@given(st.dictionaries(st.sampled_from(COLUMNS), st.lists(NUMBER, min_size=24, max_size=24)), st.booleans())
def test_json_has_null_for_what_is_missing_and_reads_back_the_same(columns, priced):
    release = PRICED if priced else RELEASE
    ga = summary({name: values[::-1] for name, values in columns.items()}, day=0, release=release)
    day = summary(columns, release=release, ga=ga)
    text = day.model_dump_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert DaySummary.model_validate_json(text) == day
    data = json.loads(text)
    assert all(data[key] == day.kpis[key].value for key in FLAT_KEYS)


# What a single day says.


def recommendation(columns, ga=None):
    found = summary(columns, ga=ga).rollback_recommendation
    return found.should_rollback, found.priority, found.reason


def test_a_day_on_which_nothing_stood_out():
    assert recommendation({"http_requests": 1000, "targets": 3}) == (
        False,
        "P3",
        "One day is not evidence; nothing stood out.",
    )


def test_a_bad_day_is_watched_and_rolls_nothing_back():
    ga = summary({"http_requests": 10_000, "db_sessions": 40, "redis_hits": 9, "redis_lookups": 10}, day=0)
    columns = {
        "http_requests": 20_000,
        "http_errors": 20_000 * EVERY_HOUR * 0.01,
        "db_sessions": 60,
        "redis_hits": 5,
        "redis_lookups": 10,
        "critical_alerts": [0, 1] + [0] * 22,
        "critical_alerts.started": [0, 1] + [0] * 22,
        "targets": 3,
    }
    should, priority, reason = recommendation(columns, ga)
    assert (should, priority) == (False, "P1")
    assert reason == (
        "One day is not evidence; watch: Availability 99.000 %, objective 99.9 %; Error Rate 1 %, objective 0.1 %; "
        "critical_incident_count 1; avg_redis_hit_rate -44.4 % against the GA day; "
        "db_connections +50.0 % against the GA day."
    )  # twice the requests are no reason by themselves


def test_a_critical_alert_is_watched_though_there_was_none_on_the_ga_day():
    """From 0 there is no drift in per cent."""
    alert = {"critical_alerts": [1] * 24, "critical_alerts.started": [0] * 24, "targets": 3}
    found = recommendation(alert, summary({"targets": 3}, day=0))
    assert found == (False, "P1", "One day is not evidence; watch: critical_incident_count 1.")


def test_a_large_drift_alone_is_less_urgent_and_one_for_the_better_is_none():
    ga = summary({"db_sessions": 40}, day=0)
    assert recommendation({"db_sessions": 52.2}, ga)[1] == "P2"
    assert recommendation({"db_sessions": 52}, ga)[1] == "P3"  # exactly 30 %
    assert recommendation({"db_sessions": 10}, ga)[1] == "P3"


def test_a_day_without_any_data_says_nothing():
    assert recommendation({}) == (None, "P3", "No KPI had data on this day.")


# Figures as people read them.


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ms", "no data"),
        (0.0, "ms", "0 ms"),
        (0, "incidents", "0 incidents"),
        (1, "incidents", "1 incident"),
        (99.9512, "%", "99.951 %"),
        (99.99996, "%", "99.999960 %"),
        (100, "%", "100 %"),
        (98.76, "% within 500 ms", "98.8 % within 500 ms"),
        (0.02134, "%", "0.0213 %"),
        (486.3, "ms", "486 ms"),
        (12345.6, "requests", "12,346 requests"),
        (-4.25, "", "-4.25"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1,023 B"),
        (1024, "bytes", "1 KiB"),
        (1010 * 2**20, "bytes", "1,010 MiB"),
        (3.2e9, "bytes/s", "2.98 GiB/s"),
        (2.0**62, "bytes", "4,096 PiB"),
        (2560.4, "%", "2,560 %"),
        (99.96, "ms", "100 ms"),
    ],
)
def test_format_value(value, unit, text):
    assert format_value(value, unit) == text


def test_a_lower_bound_is_shown_as_one():
    assert format_value(2500, "ms", at_least=True) == "≥ 2,500 ms"
    assert format_value(None, "ms", at_least=True) == "no data"


def test_format_change():
    texts = [format_change(change) for change in (0.1834, -0.05, 0.0, -0.0001, 12.5, None)]
    assert texts == ["+18.3 %", "-5.0 %", "+0.0 %", "+0.0 %", "+1,250.0 %", "undefined"]
