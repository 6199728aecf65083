"""A real Prometheus, asked for the generated weeks: what comes back is what was scraped."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observability.definitions import Release
from observability.kpi import fold, step_values
from observability.model import LAST_DAY, PrometheusSettings, Samples, Window
from observability.release import load
from observability.sources.prometheus import Prometheus
from test_data import columns
from test_data.events import ALERT, CHECKOUT, DAYS, REPORTS
from test_data.truth import truth
from test_data.week import Week

RELEASE = Path(__file__).parents[2] / "test_data/release.yaml"
SERVICES = (CHECKOUT, REPORTS)
EVERY_DAY = [pytest.param(service, day, id=f"{service} day {day}") for service in SERVICES for day in DAYS]

# From the server these go through floating point, in the server's own order of additions.
COMPUTED = {"cpu_cores", "network_octets", "cluster_cpu", "cluster_memory"}
# Backfilled series carry no staleness markers, so the plain selector of ALERTS sees an alert for five minutes more.
LOOK_BACK = timedelta(minutes=5)
SEEN_LONGER = {"critical_alerts"}
ONE_OF_EACH_TYPE = {"http_errors", "db_latency", "cpu_cores", "critical_alerts"}


@pytest.fixture(scope="module")
def release() -> Release:
    return load(RELEASE)


@pytest.fixture(scope="module")
def source(prometheus_url: str) -> Prometheus:
    return Prometheus(PrometheusSettings(url=prometheus_url))


@pytest.fixture(scope="module")
def fetched(release: Release, source: Prometheus) -> dict[int, dict[str, Samples]]:
    """Day → service → what the server has."""
    return {day: source.fetch(release.plan, release.calendar.window(day)) for day in DAYS}


@pytest.fixture(scope="module")
def generated(week: Week) -> dict[str, dict[int, Samples]]:
    return {service: columns.by_day(week, service) for service in SERVICES}


@pytest.fixture(scope="module")
def true(week: Week) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = truth(week)["services"]
    return services


def value(release: Release, samples: Samples, name: str) -> float | None:
    kpi = release.kpis[name]
    return fold(kpi, samples, step_values(kpi, samples, release.prices))


def total(samples: Samples, column: str) -> float:
    """0 where the column is absent, as where no error ever happened."""
    return float(np.nansum(samples.columns.get(column, 0.0)))


@pytest.mark.parametrize(("service", "day"), EVERY_DAY)
def test_counts_are_those_of_the_scrapes(
    service: str, day: int, fetched: dict[int, dict[str, Samples]], true: dict[str, dict[str, Any]]
) -> None:
    samples, expected = fetched[day][service], true[service][str(day)]
    assert expected["requests"] > 0
    assert total(samples, "http_requests") == expected["requests"]
    assert total(samples, "http_errors") == expected["errors"]
    assert total(samples, "redis_hits") == expected["redis_hits"]
    assert total(samples, "redis_lookups") == expected["redis_lookups"]
    for query in columns.BUCKETS:
        found = {bound: total(samples, f"{query}.le.{bound}") for bound in expected[f"{query}_buckets"]}
        assert found == expected[f"{query}_buckets"]


@pytest.mark.parametrize(("service", "day"), EVERY_DAY)
def test_columns_are_those_of_the_recording(
    service: str, day: int, fetched: dict[int, dict[str, Samples]], generated: dict[str, dict[int, Samples]]
) -> None:
    samples, expected = fetched[day][service], generated[service][day]
    assert set(samples.columns) == set(expected.columns)
    assert (samples.window, samples.step_s, samples.warnings) == (expected.window, expected.step_s, ())
    for name in set(expected.columns) - SEEN_LONGER:
        tolerance = 1e-9 if name in COMPUTED or name.endswith((".earlier", ".seen")) else 0
        np.testing.assert_allclose(samples.columns[name], expected.columns[name], tolerance, err_msg=name)


@pytest.mark.parametrize(("service", "day"), EVERY_DAY)
def test_ratios_are_those_of_the_scrapes(
    service: str,
    day: int,
    release: Release,
    fetched: dict[int, dict[str, Samples]],
    true: dict[str, dict[str, Any]],
) -> None:
    samples, expected = fetched[day][service], true[service][str(day)]
    true_values = {
        "overall_availability": expected["availability_percent"],
        "overall_error_rate": expected["error_rate_percent"],
        "avg_redis_hit_rate": 100 * expected["redis_hits"] / expected["redis_lookups"],
        "avg_memory_percent": expected["memory_percent"]["mean"],
        "peak_memory_percent": expected["memory_percent"]["max"],
    }
    found = {name: value(release, samples, name) for name in true_values}
    assert found == pytest.approx(true_values, rel=1e-3, abs=0)


@pytest.mark.parametrize(("service", "day"), EVERY_DAY)
@pytest.mark.parametrize(
    ("kpi", "histogram", "quantile"),
    [
        ("p50_latency_ms", "http_latency", "p50_ms"),
        ("p95_latency_ms", "http_latency", "p95_ms"),
        ("p99_latency_ms", "http_latency", "p99_ms"),
        ("db_p95_latency_ms", "db_latency", "p95_ms"),
    ],
)
def test_quantiles_lie_in_the_bucket_of_the_raw_ones(
    kpi: str,
    histogram: str,
    quantile: str,
    service: str,
    day: int,
    release: Release,
    fetched: dict[int, dict[str, Samples]],
    true: dict[str, dict[str, Any]],
) -> None:
    expected = true[service][str(day)]
    raw = expected[f"{histogram}_raw"][quantile]
    bounds = [0.0, *(1000 * float(bound) for bound in expected[f"{histogram}_buckets"])]
    upper = int(np.searchsorted(bounds, raw))
    found = value(release, fetched[day][service], kpi)
    assert found == pytest.approx(raw, abs=bounds[upper] - bounds[upper - 1])


@pytest.mark.parametrize("service", SERVICES)
def test_the_alert_is_one_run_on_its_day(
    service: str, release: Release, fetched: dict[int, dict[str, Samples]], true: dict[str, dict[str, Any]]
) -> None:
    runs = {day: value(release, fetched[day][service], "critical_incident_count") for day in DAYS}
    assert runs == {day: len(true[service][str(day)]["critical_alerts"]) for day in DAYS}


def test_the_alert_is_seen_until_the_look_back_ends(
    release: Release, fetched: dict[int, dict[str, Samples]], generated: dict[str, dict[int, Samples]]
) -> None:
    day = release.calendar.number(ALERT.start)
    found = fetched[day][CHECKOUT].columns["critical_alerts"]
    expected = generated[CHECKOUT][day].columns["critical_alerts"].copy()
    end = (ALERT.end - release.calendar.window(day).start) // release.step if ALERT.end else len(expected)
    expected[end : end + LOOK_BACK // release.step - 1] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_window_above_the_servers_limit_is_its_days_in_a_row(
    release: Release, source: Prometheus, fetched: dict[int, dict[str, Samples]]
) -> None:
    days = range(LAST_DAY + 1)
    calendar = release.calendar
    window = Window(start=calendar.window(0).start, end=calendar.window(LAST_DAY).end)
    assert window.steps(release.step_s) > 11_000
    asked = tuple(query for query in release.plan.queries if query.name in ONE_OF_EACH_TYPE)
    whole = source.fetch(replace(release.plan, queries=asked), window)
    assert {name.split(".")[0] for name in whole[CHECKOUT].columns} == ONE_OF_EACH_TYPE
    for service in SERVICES:
        for name, values in whole[service].columns.items():
            if name.endswith(".seen"):
                continue  # which targets a query has is a matter of the window
            absent = np.full(1440, 0.0 if name.startswith("critical_alerts") or name.endswith(".earlier") else np.nan)
            together = np.concatenate([fetched[day][service].columns.get(name, absent) for day in days])
            np.testing.assert_array_equal(values, together, err_msg=name)
