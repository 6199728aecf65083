"""KPIs from raw columns: worked by hand, against the naive twins, and what must hold for any samples."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from naive import bucket_quantile_naive, rate_naive, ratio_naive

from observability.definitions import Kpi, PriceList
from observability.kpi import cost_per_hour, fold, histogram_quantile, observed_share, part, step_values
from observability.model import Samples, Window
from observability.release import flags_release

NAN, INF = float("nan"), float("inf")
GA = datetime(2025, 11, 18, tzinfo=UTC)
RELEASE = flags_release(GA, "http://localhost:9090")
KPIS, STEP = RELEASE.kpis, 60
ERRORS, AVAILABILITY, RATE = KPIS["overall_error_rate"], KPIS["overall_availability"], KPIS["request_rate"]
P99, INCIDENTS, CPU = KPIS["p99_latency_ms"], KPIS["critical_incident_count"], KPIS["avg_cpu_percent"]


def samples(columns, step_s=STEP):
    """Columns of any numbers, None for a missing one, as one service's samples from GA on."""
    arrays = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    steps = max((column.size for column in arrays.values()), default=24)
    return Samples("shop", Window(start=GA, end=GA + timedelta(seconds=steps * step_s)), step_s, arrays)


def requests(total, errors=None):
    return samples({"http_requests": total} | ({} if errors is None else {"http_errors": errors}))


def latency(*buckets):
    """Samples of the HTTP histogram from (upper bound, cumulative counts per step)."""
    return samples({f"http_latency.le.{bound}": counts for bound, counts in buckets})


def folded(kpi, found, prices=None):
    return fold(kpi, found, step_values(kpi, found, prices))


def assert_same(found, expected):
    """Compare an array with a list in which None is a missing number."""
    np.testing.assert_allclose(found, np.array(expected, dtype=np.float64), rtol=1e-12, atol=1e-12)


# Ratios: field rules 2 and 5.


def test_an_error_rate_is_a_ratio_of_the_days_counts():
    """Ten hours at 1,000 requests a minute without errors, fourteen of nothing but errors at 10 a minute."""
    found = requests([1000] * 600 + [10] * 840, [0] * 600 + [10] * 840)
    bad, total = 840 * 10, 600 * 1000 + 840 * 10
    assert folded(ERRORS, found) == pytest.approx(100 * bad / total, rel=1e-15)
    assert folded(ERRORS, found) == pytest.approx(1.38, abs=0.005)
    assert folded(AVAILABILITY, found) == pytest.approx(100 * (total - bad) / total, rel=1e-15)
    assert np.mean(step_values(ERRORS, found)) == pytest.approx(58.3, abs=0.05)  # what a mean of ratios would say


def test_errors_that_were_never_seen_are_0_only_where_requests_were_seen():
    np.testing.assert_array_equal(step_values(ERRORS, requests([100, None, 100])), [0, NAN, 0])
    np.testing.assert_array_equal(step_values(ERRORS, requests([100, 100], [None, 5])), [0, 5])
    np.testing.assert_array_equal(step_values(ERRORS, requests([None, 100], [7, 5])), [NAN, 5])
    assert folded(ERRORS, requests([100, None, 100])) == 0.0
    assert folded(ERRORS, samples({"http_errors": [5, 5]})) is None


@pytest.mark.parametrize(
    ("kpi", "columns"),
    [
        (ERRORS, {"http_requests": [9, 9], "http_errors.unknown": [1, 1]}),
        (INCIDENTS, {"targets": [3, 3], "critical_alerts.unknown": [1, 1]}),
    ],
    ids=["a ratio", "incidents"],
)
def test_a_query_that_is_unknown_is_not_one_that_returned_nothing(kpi, columns):
    """Of nothing returned, the share of errors and the number of alerts would be 0."""
    found = samples(columns)
    np.testing.assert_array_equal(step_values(kpi, found), [NAN, NAN])
    assert folded(kpi, found) is None
    assert observed_share(kpi, found).tolist() == [0, 0]


def test_without_traffic_there_is_no_ratio_but_it_was_observed():
    found = requests([0, 0], [0, 0])
    assert folded(AVAILABILITY, found) is None
    assert folded(RATE, found) == 0.0
    assert observed_share(AVAILABILITY, found).tolist() == [1, 1]
    assert folded(AVAILABILITY, requests([0, 8], [0, 8])) == 0.0


def test_a_step_in_which_a_part_of_the_targets_was_seen_is_observed_in_part_and_counts_whole():
    found = samples(
        {"http_requests": [10, 5, None, 10], "http_requests.seen": [1, 0.5, 0, 1], "http_errors": [0, 5, 0, 0]}
    )
    assert observed_share(ERRORS, found).tolist() == [1, 0.5, 0, 1]
    assert folded(ERRORS, found) == 100 * 5 / 25
    buckets = {"http_latency.le.+Inf": [1, 2, None], "http_latency.seen": [0.25, 1, 0.75]}
    assert observed_share(P99, samples(buckets)).tolist() == [0.25, 1, 0]  # nothing of this query, whatever the target


NUMBER = st.one_of(st.none(), st.integers(0, 1000))
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=40)


@given(PAIRS)
def test_ratios_are_those_of_the_naive_twin(pairs):
    errors, total = zip(*pairs, strict=True)
    expected = [None if share is None else 100 * share for share in ratio_naive(errors, total)]
    assert_same(step_values(ERRORS, requests(total, errors)), expected)


@given(PAIRS, st.integers(0, 40))
def test_two_parts_of_a_day_have_the_ratio_of_the_whole_when_their_counts_are_added(pairs, middle):
    errors, total = zip(*pairs, strict=True)
    seen = [[pair for pair in half if pair[1] is not None] for half in (pairs[:middle], pairs[middle:])]
    added = requests(
        [sum(total for _, total in half) for half in seen], [sum(errors or 0 for errors, _ in half) for half in seen]
    )
    assert folded(ERRORS, added) == pytest.approx(folded(ERRORS, requests(total, errors)))


@given(PAIRS, st.integers(2, 1000))
def test_more_of_the_same_traffic_has_the_same_availability(pairs, times):
    errors, total = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    one = folded(AVAILABILITY, requests(total, errors))
    assert folded(AVAILABILITY, requests(times * total, times * errors)) == pytest.approx(one)


# Rates, and what a gap does to them.


def test_the_first_step_after_a_gap_is_the_average_over_the_gap():
    """600 requests a minute; nothing is scraped for ten minutes, and the step after brings all eleven minutes'."""
    gap = {"http_requests.earlier": [*[0] * 11, 10 * 600, 0]}
    found = samples({"http_requests": [600, *[None] * 10, 11 * 600, 600]} | gap)
    np.testing.assert_array_equal(step_values(RATE, found), [10, *[NAN] * 10, (11 * 600 - 10 * 600) / 60, 10])
    assert folded(RATE, found) == 10.0
    assert observed_share(RATE, found).mean() == 3 / 13


def test_a_rate_is_the_count_over_the_step():
    np.testing.assert_array_equal(step_values(RATE, requests([600, 0, 90])), [10, 0, 1.5])


def test_a_step_of_which_nobody_knows_how_long_it_took_has_no_rate():
    found = samples({"http_requests": [600, 900], "http_requests.earlier": [NAN, 0]})
    np.testing.assert_array_equal(step_values(RATE, found), [NAN, 15])
    assert folded(RATE, found) == 900 / 60


def test_a_stretch_that_begins_within_a_gap_counts_the_whole_gap():
    """Else the hour after a gap that spans its beginning would look like a burst."""
    found = samples({"http_requests": [600, None, None, 3 * 600, 600], "http_requests.earlier": [0, 0, 0, 1200, 0]})
    values = step_values(RATE, found)
    assert fold(RATE, found, values, 2, 5) == pytest.approx((3 * 600 + 600) / (4 * 60))
    assert fold(RATE, found, values, 0, 2) == 10.0
    assert fold(RATE, found, values, 1, 3) is None


COUNTS = st.lists(NUMBER, min_size=1, max_size=40)


@given(COUNTS, st.sampled_from([1, 60, 300]), st.data())
def test_rates_are_those_of_the_naive_twin(counts, step_s, data):
    earlier = [data.draw(st.none() | st.floats(0, 100)) for _ in counts]
    found = samples({"http_requests": counts, "http_requests.earlier": earlier}, step_s)
    assert folded(RATE, found) == pytest.approx(rate_naive(counts, earlier, step_s))


# Quantiles: field rule 1.

BOUNDS = np.array([0.1, 0.2, 0.5, INF])
OBSERVED = np.array([[50.0], [90.0], [99.0], [100.0]])


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        pytest.param(0.25, 0 + 0.1 * 25 / 50, id="first bucket: from 0"),
        pytest.param(0.5, 0.1, id="at a bound"),
        pytest.param(0.6, 0.1 + (0.2 - 0.1) * (60 - 50) / (90 - 50), id="second bucket"),
        pytest.param(0.95, 0.2 + (0.5 - 0.2) * (95 - 90) / (99 - 90), id="third bucket"),
        pytest.param(0.995, 0.5, id="beyond the last finite bound: that bound"),
    ],
)
def test_quantiles_by_hand(q, expected):
    assert histogram_quantile(q, BOUNDS, OBSERVED)[0] == pytest.approx(expected, rel=1e-14)


def test_a_first_bound_that_is_not_above_0_is_the_quantile():
    assert histogram_quantile(0.1, np.array([-2.0, 1.0, INF]), OBSERVED[1:])[0] == -2.0
    assert histogram_quantile(0.1, np.array([0.0, 1.0, INF]), OBSERVED[1:])[0] == 0.0


def test_the_days_percentile_is_not_the_mean_of_the_percentiles():
    """100 requests within 0.1 s in one step, 900 between 0.2 and 0.5 s in the next."""
    found = latency((0.1, [100, 0]), (0.2, [100, 0]), (0.5, [100, 900]), ("+Inf", [100, 900]))
    first, second = 1000 * 0.1 * 99 / 100, 1000 * (0.2 + 0.3 * 891 / 900)
    np.testing.assert_allclose(step_values(P99, found), [first, second])
    assert folded(P99, found) == pytest.approx(1000 * (0.2 + 0.3 * (990 - 100) / 900))
    assert folded(KPIS["avg_p99_latency_ms"], found) == pytest.approx((first + second) / 2)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(latency((0.1, [5, 5]), (0.2, [5, 5])), id="no +Inf bucket"),
        pytest.param(latency(("+Inf", [5, 5])), id="nothing but the +Inf bucket"),
        pytest.param(latency((0.1, [0, 0]), ("+Inf", [0, 0])), id="no observations"),
        pytest.param(latency((0.1, [None, None]), ("+Inf", [None, None])), id="not seen"),
    ],
)
def test_no_quantile(found):
    assert np.isnan(step_values(P99, found)).all()
    assert folded(P99, found) is None


def test_a_bucket_that_is_missing_or_lower_than_the_one_before_it_is_as_high():
    """As Prometheus' ensureMonotonic does it. P50 of 10: 8 were within 0.1 s."""
    p50 = KPIS["p50_latency_ms"]
    for second in (None, 3):
        found = latency((0.1, [8]), (0.2, [second]), (0.5, [10]), ("+Inf", [10]))
        assert folded(p50, found) == pytest.approx(1000 * 0.1 * 5 / 8)
        assert folded(P99, found) == pytest.approx(1000 * (0.2 + 0.3 * (9.9 - 8) / 2))


@st.composite
def histograms(draw):
    """Upper bounds with +Inf last, and increasing cumulative counts."""
    bounds = sorted(draw(st.sets(st.integers(-3, 1000), min_size=1, max_size=8)))
    sizes = draw(st.lists(st.integers(0, 50), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return [float(bound) for bound in bounds] + [INF], np.cumsum(sizes).astype(float).tolist()


QUANTILE = st.floats(0.001, 0.999)


@given(histograms(), QUANTILE)
def test_quantiles_are_those_of_the_naive_twin(histogram, q):
    bounds, counts = histogram
    found = histogram_quantile(q, np.array(bounds), np.array([counts]).T)
    expected = bucket_quantile_naive(q, list(zip(bounds, counts, strict=True)))
    assert_same(found, [expected])


@given(histograms(), QUANTILE)
def test_a_quantile_lies_in_the_bucket_that_holds_its_rank(histogram, q):
    bounds, counts = histogram
    assume(counts[-1] > 0)
    value = histogram_quantile(q, np.array(bounds), np.array([counts]).T)[0]
    holding = next(i for i, count in enumerate(counts) if count >= q * counts[-1])
    lowest = bounds[holding - 1] if holding else min(0.0, bounds[0])
    assert lowest <= value <= (bounds[holding] if holding < len(bounds) - 1 else bounds[-2])


# Gauges, utilisation and incidents.


def test_utilisation_is_the_mean_of_the_steps_and_undefined_without_a_limit():
    found = samples({"cpu_cores": [1, 3, None, 2, 9], "cpu_limit_cores": [4, 4, 4, None, 0]})
    np.testing.assert_array_equal(step_values(CPU, found), [25, 75, NAN, NAN, NAN])
    assert folded(CPU, found) == (25 + 75) / 2
    assert folded(KPIS["peak_cpu_percent"], found) == 75
    assert observed_share(CPU, found).tolist() == [1, 1, 0, 0, 1]


def test_a_gauge_of_0_is_a_value():
    assert folded(KPIS["db_connections"], samples({"db_sessions": [0, 0]})) == 0.0
    assert folded(KPIS["cluster_cpu_utilization"], samples({"cluster_cpu": [0.5, None]})) == 50.0


def alerts(firing, started, up=1):
    return samples({"critical_alerts": firing, "critical_alerts.started": started, "targets": [up] * len(firing)})


def test_incidents_are_distinct_runs():
    """Two alerts start together, one ends, and one fires again later: three runs."""
    assert folded(INCIDENTS, alerts([0, 2, 1, 0, 1], [0, 2, 0, 0, 1])) == 3


def test_an_alert_that_fires_over_midnight_counts_on_both_days():
    assert folded(INCIDENTS, alerts([0, 0, 1], [0, 0, 1])) == 1
    assert folded(INCIDENTS, alerts([1, 1, 0], [0, 0, 0])) == 1
    assert folded(INCIDENTS, alerts([1, 0, 1], [1, 0, 1])) == 2


def test_no_alert_is_0_only_where_the_source_was_seen_to_scrape():
    assert folded(INCIDENTS, samples({"targets": [3, 3]})) == 0.0
    assert folded(INCIDENTS, alerts([0, 0], [0, 0], up=None)) is None
    assert folded(INCIDENTS, samples({"http_requests": [1, 1]})) is None
    np.testing.assert_array_equal(step_values(INCIDENTS, samples({"targets": [3, None]})), [0, NAN])


# Cost: usage times price.

GIB = 2**30
PRICES = PriceList(
    currency="EUR",
    cpu_core_hour=0.04,
    memory_gib_hour=0.005,
    storage_gib_month=0.1,
    network_gib=0.08,
    fixed_per_hour=0.25,
)
USAGE = {
    "cpu_cores": [2, 3],
    "memory_bytes": [4 * GIB, 6 * GIB],
    "storage_used": [73 * GIB, 73 * GIB],
    "network_octets": [GIB / 360, GIB / 360],
}


def test_cost_per_hour_by_hand():
    """A month has 730 hours, so 73 GiB are 0.1 GiB-months an hour; GIB / 360 bytes a second are 10 GiB an hour."""
    costs = cost_per_hour(samples(USAGE), PRICES)
    expected = {
        "cpu": [2 * 0.04, 3 * 0.04],
        "memory": [4 * 0.005, 6 * 0.005],
        "storage": [0.1 * 0.1] * 2,
        "network": [10 * 0.08] * 2,
        "other": [0.25] * 2,
    }
    assert costs.keys() == expected.keys()
    for resource, cost in expected.items():
        np.testing.assert_allclose(costs[resource], cost, rtol=1e-14, err_msg=resource)
    kpi = KPIS["estimated_cost_per_hour"]
    assert folded(kpi, samples(USAGE), PRICES) == pytest.approx(0.1 + 0.025 + 0.01 + 0.8 + 0.25)


def test_cost_is_missing_where_the_usage_of_one_priced_resource_is():
    kpi = KPIS["estimated_cost_per_hour"]
    holey = USAGE | {"memory_bytes": [None, 6 * GIB]}
    np.testing.assert_allclose(step_values(kpi, samples(holey), PRICES), [NAN, 0.12 + 0.03 + 0.01 + 0.8 + 0.25])
    without = {name: column for name, column in USAGE.items() if name != "memory_bytes"}
    assert folded(kpi, samples(without), PRICES) is None
    assert folded(kpi, samples(without), PriceList(currency="EUR", cpu_core_hour=0.04)) == pytest.approx(0.1)
    assert folded(kpi, samples(USAGE), None) is None
    assert folded(kpi, samples(USAGE), PriceList(currency="EUR")) is None


def test_a_price_of_0_is_a_price():
    assert folded(KPIS["estimated_cost_per_hour"], samples(USAGE), PriceList(currency="EUR", cpu_core_hour=0)) == 0.0


# All KPIs of the catalog.


@pytest.mark.parametrize("kpi", KPIS.values(), ids=lambda kpi: kpi.name)
@pytest.mark.parametrize("seen", ["columns of NaN", "no columns"])
def test_no_samples_are_no_value_and_never_0(kpi: Kpi, seen):
    names = [*kpi.operands, *USAGE, *(f"{kpi.query}.le.{bound}" for bound in (0.5, "+Inf")), f"{kpi.query}.started"]
    found = samples({name: [None] * 24 for name in names} if seen == "columns of NaN" else {})
    assert np.isnan(step_values(kpi, found, PRICES.model_copy(update={"fixed_per_hour": None}))).all()
    assert folded(kpi, found, PRICES) is None
    assert not observed_share(kpi, found, PRICES).any()


def test_a_part_has_only_its_steps():
    found = part(requests([1, 2, 3, 4], [0, 0, 1, 1]), 2, 4)
    assert found.columns["http_requests"].tolist() == [3, 4]
    assert folded(ERRORS, found) == pytest.approx(100 * 2 / 7)
