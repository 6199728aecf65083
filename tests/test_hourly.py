"""A day's hours: folded as the day is, with the events that each of them stands on."""

import itertools
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from naive import fold_naive

from observability.definitions import Maintenance, PriceList
from observability.judgement.kpi_summary import summarise_kpi
from observability.judgement.summary import summarise
from observability.kpi import fold, folded, optional, part, step_counts, step_values
from observability.model import Samples, SourceInfo, Window
from observability.release import flags_release

NAN = float("nan")
GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP, HOURS, HOUR = 60, 24, timedelta(hours=1)
RELEASE = flags_release(GA, "http://localhost:9090")
KPIS = RELEASE.kpis
PRICES = PriceList(currency="EUR", cpu_core_hour=0.04, memory_gib_hour=0.005, storage_gib_month=0.1, network_gib=0.08)
SOURCE = SourceInfo(prometheus="http://localhost:9090", step_s=STEP)
COUNTED = [kpi for kpi in KPIS.values() if kpi.kind != "cost"]
BOUNDS = ("0.01", "0.1", "0.5", "2.5", "+Inf")
NAMES = sorted({name for kpi in COUNTED for name in kpi.operands if name not in ("http_latency", "db_latency")})


def samples(columns, step_s=STEP, start=GA):
    """Columns of any numbers, None for a missing one."""
    arrays = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    (steps,) = {column.size for column in arrays.values()}
    return Samples("default", Window(start=start, end=start + timedelta(seconds=steps * step_s)), step_s, arrays)


def summary(kpi, columns):
    return summarise_kpi(KPIS[kpi], samples(columns), PRICES)


def hours(first, second=(), rest=0):
    """Two steps an hour: those of the first hour, of the second one, and the same in all others."""
    return [*first, *second, *[rest] * (48 - len(first) - len(second))]


# By hand.


def test_the_counts_of_a_ratios_hours():
    """1 + 2 of 100 + 50 requests failed in the first hour, none of 10 + 20 in the second; then nothing happens."""
    found = summary(
        "overall_availability",
        {"http_requests": hours([100, 50], [10, 20]), "http_errors": hours([1, 2], [None, 0])},
    )
    assert found.hourly_numerator == (3, *[0] * 23)
    assert found.hourly_denominator == (150, 30, *[0] * 22)
    assert found.hourly == (pytest.approx(100 * (1 - 3 / 150)), 100, *[None] * 22)
    assert (found.numerator, found.denominator) == (3, 180)


def test_an_hour_that_nobody_saw_has_no_counts_and_one_without_traffic_has_0():
    total = hours([None, None], [None, 5], rest=0)
    found = summary("overall_error_rate", {"http_requests": total, "http_errors": hours([7, 7], [7, 1])})
    assert found.hourly_numerator == (None, 1, *[0] * 22)
    assert found.hourly_denominator == (None, 5, *[0] * 22)
    assert found.hourly == (None, 20, *[None] * 22)


def test_the_observations_of_a_quantiles_hours():
    """Of 8 + 2 requests in the first hour 5 + 1 took at most 0.1 s; those of the third hour were not seen."""
    found = summary(
        "p50_latency_ms",
        {
            "http_latency.le.0.1": [5, 1, 6, 6, None, None, *[0] * 42],
            "http_latency.le.0.5": [8, 2, 6, 6, 3, 3, *[0] * 42],
            "http_latency.le.+Inf": [8, 2, 6, 6, None, None, *[0] * 42],
        },
    )
    assert found.hourly_denominator == (10, 12, None, *[0] * 21)
    assert found.hourly_numerator == ()
    assert found.hourly == (pytest.approx(1000 * 0.1 * 5 / 6), pytest.approx(1000 * 0.1 * 6 / 12), *[None] * 22)


@pytest.mark.parametrize("kpi", ["request_rate", "db_connections", "avg_cpu_percent", "critical_incident_count"])
def test_only_ratios_and_quantiles_count_by_the_hour(kpi):
    columns = dict.fromkeys(NAMES, [1.0] * 48)
    found = summary(kpi, columns)
    assert len(found.hourly) == HOURS
    assert (found.hourly_numerator, found.hourly_denominator) == ((), ())


@pytest.mark.parametrize("kpi", ["overall_availability", "p99_latency_ms", "avg_p99_latency_ms"])
@pytest.mark.parametrize(
    ("steps", "hourly"),
    [
        pytest.param(23, (), id="too few steps"),
        pytest.param(36, (), id="not divisible"),
        pytest.param(24, (None,) * 24, id="nothing seen"),
    ],
)
def test_where_there_are_no_hours(kpi, steps, hourly):
    found = summary(kpi, {"something_else": [1] * steps})
    assert (found.value, found.numerator, found.denominator, found.buckets) == (None, None, None, None)
    assert found.hourly == found.hourly_denominator == hourly


def test_a_rate_without_data_counted_nothing_in_no_time():
    found = summary("request_rate", {"http_requests": [None] * 24})
    assert (found.value, found.numerator, found.denominator) == (None, None, None)


def test_the_rate_of_an_hour_that_a_gap_reaches_into():
    """600 a minute, two minutes an hour. Nothing is seen of hour 1; hour 2 brings 3 · 600 in its first minute."""
    counts, earlier = hours([600, 600], [None, None, 1800, 600], rest=600), hours([0] * 4, [1200])
    found = summary("request_rate", {"http_requests": counts, "http_requests.earlier": earlier})
    assert found.hourly == (10, None, (1800 + 600) / (4 * STEP), *[10] * 21)
    assert found.value == 10
    assert (found.numerator, found.denominator) == (48 * 600, 48 * STEP)


def test_an_alert_that_goes_on_counts_in_each_hour_and_once_in_the_day():
    """One begins in the second step; another fires in hours 1 and 2, and in hour 2 nobody looks first."""
    firing = {
        "critical_alerts": hours([0, 1, 2, 2], [None, 1]),
        "critical_alerts.started": hours([0, 1, 1, 0], [None, 0]),
    }
    found = summary("critical_incident_count", firing | {"targets": [3] * 46 + [None] * 2})
    assert found.hourly == (1, 2, 1, *[0] * 20, None)
    assert found.value == 2


def test_minutes_in_maintenance_do_not_count_in_their_hour():
    """100 requests a minute of which 10 fail; the second half of hour 1 is maintenance."""
    day = GA + timedelta(days=1)
    drill = Maintenance(start=day + 1.5 * HOUR, end=day + 2 * HOUR)
    release = RELEASE.model_copy(update={"maintenance": (drill,)})
    columns = {"http_requests": [100] * 1440, "http_errors": [10] * 1440, "http_latency.le.+Inf": [100] * 1440}
    found = summarise(release, samples(columns, start=day), 1, SOURCE, None, False).kpis
    assert found["overall_error_rate"].hourly_numerator == (600, 300, *[600] * 22)
    assert found["overall_error_rate"].hourly_denominator == (6000, 3000, *[6000] * 22)
    assert found["p99_latency_ms"].hourly_denominator == (6000, 3000, *[6000] * 22)


# Against the slow twin, and what must hold for any samples.

SEEDS = range(25)


def random_day(seed):
    """Columns of a day of one to three steps an hour, some of them with gaps, short of hours, missing or unknown."""
    rng = np.random.default_rng(seed)
    steps = HOURS * int(rng.integers(1, 4))
    columns = {name: rng.choice([1.0, 1e3, 1e9]) * rng.random(steps) for name in NAMES}
    for query in ("http_latency", "db_latency"):
        counts = np.cumsum(rng.poisson(rng.choice([0.1, 50]), (len(BOUNDS), steps)), axis=0).astype(float)
        columns |= {f"{query}.le.{bound}": row for bound, row in zip(BOUNDS, counts, strict=True)}
    columns |= {name: rng.integers(0, 3, steps).astype(float) for name in ("http_errors", "critical_alerts")}
    columns["http_requests.earlier"] = rng.choice([0.0, 0.0, 1.0], steps)
    is_gone = rng.random(steps) < rng.choice([0.0, 0.3])  # with all that is known of the service
    is_gone |= np.repeat(rng.random(HOURS) < 0.1, steps // HOURS)
    share = rng.choice([0.0, 0.1, 0.6])
    columns = {
        name: np.where(is_gone | (rng.random(steps) < share), NAN, column)
        for name, column in columns.items()
        if rng.random() < 0.9
    }
    if "critical_alerts" in columns:
        columns["critical_alerts.started"] = np.minimum(columns["critical_alerts"], rng.integers(0, 3, steps))
    if rng.random() < 0.3:
        columns["http_errors.unknown"] = rng.choice([0.0, 1.0], steps)
    return columns


def assert_close(found, expected, scale):
    """To 1e-12 of the figure, or for shares near 0, of which 1 was subtracted, of their whole."""
    assert [one is None for one in found] == [one is None for one in expected]
    pairs = [(one, other) for one, other in zip(found, expected, strict=True) if one is not None]
    assert all(math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12 * scale) for one, other in pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_and_its_hours_are_those_of_the_naive_twin(seed):
    columns = random_day(seed)
    twins = {name: [None if math.isnan(v) else v for v in column.tolist()] for name, column in columns.items()}
    steps = len(next(iter(columns.values())))
    edges = range(0, steps + 1, steps // HOURS)
    for kpi in COUNTED:
        found = summarise_kpi(kpi, samples(columns), None)
        value, numerator, denominator = fold_naive(kpi, twins, STEP, 0, steps)
        assert_close([found.value], [value], kpi.scale)
        assert_close([found.numerator, found.denominator], [numerator, denominator], 0)
        of_hours = [fold_naive(kpi, twins, STEP, a, b) for a, b in itertools.pairwise(edges)]
        values, numerators, denominators = zip(*of_hours, strict=True)
        assert_close(found.hourly, values, kpi.scale)
        if kpi.kind in ("ratio", "quantile"):
            assert_close(found.hourly_denominator, denominators, 0)
        if kpi.kind == "ratio":
            assert_close(found.hourly_numerator, numerators, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_hour_is_to_the_bit_the_same_stretch_folded_alone(seed):
    found = samples(random_day(seed))
    steps = found.steps // HOURS
    for kpi in KPIS.values():
        values, counts = step_values(kpi, found, PRICES), step_counts(kpi, found)
        alone = [fold(kpi, found, values, hour * steps, (hour + 1) * steps) for hour in range(HOURS)]
        assert list(optional(folded(kpi, found, values, counts, HOURS).values)) == alone
        assert [fold(kpi, found, values)] == list(optional(folded(kpi, found, values, counts, 1).values))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_hours_events_add_up_to_the_days(seed):
    columns = random_day(seed)
    for kpi in (kpi for kpi in COUNTED if kpi.kind in ("ratio", "quantile")):
        found = summarise_kpi(kpi, samples(columns), None)
        for hourly, whole in (
            (found.hourly_numerator, found.numerator),
            (found.hourly_denominator, found.denominator),
        ):
            known = [count for count in hourly if count is not None]
            assert (sum(known) if known else None) == (None if whole is None else pytest.approx(whole))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_kpis_of_the_same_queries_share_is_what_each_has_alone(seed):
    release = RELEASE.model_copy(update={"prices": PRICES})
    found = samples(random_day(seed))
    day = summarise(release, found, 1, SOURCE, None, False)
    assert day.kpis == {name: summarise_kpi(kpi, found, PRICES) for name, kpi in KPIS.items()}


@pytest.mark.parametrize("kpi", KPIS.values(), ids=lambda kpi: kpi.name)
def test_no_steps_have_no_value(kpi):
    found = samples(dict.fromkeys(NAMES, [1.0] * 24))
    assert fold(kpi, found, step_values(kpi, found, PRICES), 5, 5) is None
    assert summarise_kpi(kpi, part(found, 5, 5), PRICES).value is None


@pytest.mark.parametrize(("ended_before_h", "counts"), [(23, False), (25, True)])
def test_maintenance_of_the_day_before_leaves_out_what_it_brings_and_that_of_earlier_days_nothing(
    ended_before_h, counts
):
    """The first step of the day brings what came together nobody knows when (``earlier`` is not known)."""
    day = GA + timedelta(days=1)
    drill = Maintenance(start=day - 30 * HOUR, end=day - ended_before_h * HOUR)
    columns = {"http_requests": [60.0] * 48, "http_requests.earlier": [NAN] + [0.0] * 47}
    release = RELEASE.model_copy(update={"maintenance": (drill,)})
    found = summarise(release, samples(columns, 1800, day), 1, SOURCE, None, False).kpis["overall_availability"]
    assert found.denominator == (48 if counts else 47) * 60
