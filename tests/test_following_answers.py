"""What a follower asks of a server, and what it makes of answers that are late, partial, refused, old, or too many."""

from datetime import timedelta

import numpy as np
import pytest
from pods import PLAN, made
from stores import GA, STEP_S, Reader, Store, assert_same, followed, window

from observability.errors import SourceError
from observability.model import Plan, Query
from observability.sources.parts import Request

REQUESTS = Query(name="requests", type="counter", promql="last_over_time(requests_total[60s])")
RATE = Query(name="rate", type="counter", promql="sum by (service) (rate_total)")
CPU = Query(name="cpu", type="gauge", promql="sum by (service) (cpu)")
FIRING = Query(name="alerts", type="alerts", promql="ALERTS")
POD = {"job": "web", "service": "shop", "instance": "0"}
EVERY_15_S = np.arange(-600.0, 7200.0, 15)


def plan(*queries):
    return Plan(("shop",), "service", STEP_S, queries)


def steady(until=7200.0, **labels):
    """One series that counts a request a second."""
    times = EVERY_15_S[until > EVERY_15_S]
    return {**POD, **labels}, times, times + 600


def reader(raw, *queries, **fields):
    return Reader(Store(raw, **fields), plan(*queries))


def shop(found):
    return {name: values.tolist() for name, values in found.services["shop"].columns.items()}


# What is asked


def test_a_step_is_one_instant_query_for_each_query():
    one = reader({"requests": [steady()]}, REQUESTS, RATE, CPU, FIRING)
    one.read(), one.read()
    one.store.asked.clear()
    one.read()
    end = {"time": "2025-11-18T00:02:59.999Z"}
    assert one.store.asked == [
        ("requests", Request("requests_total[120s]", "query", "matrix", end, 0, 2)),
        ("rate", Request(RATE.promql, "query", "vector", end, 0, 1)),
        ("cpu", Request(CPU.promql, "query", "vector", end, 0, 1)),
        ("alerts", Request("ALERTS", "query", "vector", end, 0, 1)),
    ]


def test_the_first_window_looks_back_and_takes_in_five_minutes_before():
    one = reader({}, REQUESTS, CPU, FIRING)
    one.read(60)
    asked = [(name, request.promql, request.params) for name, request in one.store.asked]
    start, end = "2025-11-17T23:55:00Z", "2025-11-18T00:59:59.999Z"
    assert asked == [
        ("requests", "last_over_time(requests_total[1d])", {"time": "2025-11-17T23:54:59.999Z"}),
        ("requests", "requests_total[3900s]", {"time": end}),
        ("cpu", CPU.promql, {"start": "2025-11-18T00:00:59.999Z", "end": end, "step": "60"}),
        ("alerts", "ALERTS", {"start": "2025-11-17T23:59:59.999Z", "end": end, "step": "60"}),
    ], start


def test_later_windows_are_ranges_without_a_look_back():
    one = reader({"requests": [steady()]}, REQUESTS, CPU)
    one.read()
    one.store.asked.clear()
    one.read(60)
    assert [request.promql for _, request in one.store.asked] == ["requests_total[3600s]", CPU.promql]


# Late samples


def test_samples_that_were_not_there_are_counted_and_not_taken_twice():
    late = steady()
    raw = {"requests": [(late[0], *(values[EVERY_15_S < 3 * 60 + 30] for values in late[1:]))]}
    one = reader(raw, REQUESTS)
    found = [one.read() for _ in range(4)]
    assert shop(found[3]) == {"requests": [30.0]}  # up to second 195, where it should be 225
    raw["requests"][0] = late
    found.append(one.read())
    assert [each.late for each in found] == [0, 0, 0, 0, 2]
    assert [shop(each)["requests"][0] for each in found] == [60.0, 60.0, 60.0, 30.0, 90.0]
    assert one.read().late == 0


def test_a_series_that_was_late_altogether_is_counted():
    raw = {"requests": [steady()]}
    one = reader(raw, REQUESTS)
    one.read(), one.read()
    raw["requests"].append(steady(instance="1"))
    assert one.read().late == 4


def test_points_are_the_samples_of_the_window():
    one = reader(
        {"requests": [steady(), steady(instance="1")], "cpu": [({"service": "shop"}, EVERY_15_S, EVERY_15_S)]},
        REQUESTS,
        CPU,
    )
    assert [one.read().points for _ in range(3)] == [2 * 4 + 1] * 3
    assert one.read(10).points == 10 * (2 * 4 + 1)


# Errors


def test_after_an_error_the_same_window_can_be_read_again():
    raw = made(3, 30)
    one = Reader(Store(raw), PLAN)
    for _ in range(30):
        before = one.follower.memory()
        one.store.error = SourceError("refused")
        with pytest.raises(SourceError, match="refused"):
            one.follower.read(window(one.until, one.until + 1))
        after = one.follower.memory()
        assert all(
            np.array_equal(after[name], before[name], equal_nan=before[name].dtype.kind == "f") for name in before
        )
        one.store.error = None
        one.read()
    assert_same(one.columns(), followed(Store(raw), PLAN, [30]), PLAN)


def test_a_query_that_is_refused_leaves_the_others_alone():
    one = reader({"requests": [steady()], "cpu": [({"service": "shop"}, EVERY_15_S, EVERY_15_S)]}, REQUESTS, CPU)
    one.read()
    one.store.refused = {"cpu": "query 'cpu': HTTP 400"}
    found = one.read()
    assert found.failed == {"cpu": "query 'cpu': HTTP 400"}
    assert shop(found) == {"requests": [60.0]}
    one.store.refused = {}
    assert shop(one.read()) == {"requests": [60.0], "cpu": [165.0]}


def test_that_all_queries_are_refused_is_the_servers_trouble():
    """Nothing was read then: the same window is read when it is over."""
    one = reader({"requests": [steady()], "cpu": [({"service": "shop"}, EVERY_15_S, EVERY_15_S)]}, REQUESTS, CPU)
    one.read()
    one.store.refused = {"requests": "query 'requests': HTTP 422", "cpu": "query 'cpu': HTTP 422"}
    with pytest.raises(SourceError, match=r"^query 'requests': HTTP 422$"):
        one.follower.read(window(one.until, one.until + 1))
    one.store.refused = {}
    assert shop(one.read()) == {"requests": [60.0], "cpu": [105.0]}


def test_series_that_appeared_while_their_query_was_refused_have_a_past():
    """What is known of the pod's errors is no evidence of its requests, which nobody asked for."""
    errors = Query(name="errors", type="counter", promql="errors_total")
    raw = {"requests": [], "errors": [steady()]}
    one = reader(raw, REQUESTS, errors)
    one.read()
    one.store.refused = {"requests": "no"}
    one.read()
    one.store.refused, raw["requests"] = {}, [steady()]
    found = one.read()
    assert np.isnan(found.services["shop"].columns["requests"]).all()
    assert found.late == 0
    assert shop(one.read())["requests"] == [60.0]


def test_several_series_of_a_gauge_are_missing_in_their_step():
    times = np.array([30.0, 90.0, 150.0])
    second = ({"service": "shop", "pod": "1"}, np.array([90.0]), np.array([7.0]))
    raw = {"cpu": [({"service": "shop"}, times, np.array([1.0, 2.0, 3.0])), second]}
    one = reader(raw, CPU)
    found = one.read(2)
    assert shop(found)["cpu"][0] == 1.0
    assert np.isnan(shop(found)["cpu"][1])
    assert found.failed == {
        "cpu": "query 'cpu' returned 2 series for service 'shop', and a gauge is one; aggregate them, for example with "
        "sum by (service) (…): sum by (service) (cpu)"
    }


def test_a_series_without_the_label_concerns_all_services():
    services = Plan(("cart", "shop"), "service", STEP_S, (REQUESTS, CPU, FIRING))
    everywhere = {"job": "web", "instance": "9"}
    raw = {
        "requests": [steady(), (everywhere, EVERY_15_S, 2 * EVERY_15_S + 2000)],
        "cpu": [({}, EVERY_15_S, EVERY_15_S)],
        "alerts": [({"alertname": "a"}, EVERY_15_S, np.ones(EVERY_15_S.size))],
    }
    one = Reader(Store(raw), services)
    one.read()
    found = {name: samples.columns for name, samples in one.read().services.items()}
    assert found["shop"]["requests"].tolist() == [60.0 + 120.0]
    assert found["cart"]["requests"].tolist() == [120.0]
    assert found["cart"]["cpu"].tolist() == found["shop"]["cpu"].tolist() == [105.0]
    assert found["cart"]["alerts"].tolist() == [1.0]


def test_series_of_other_services_are_passed_over():
    raw = {"requests": [steady(), steady(service="cart")], "cpu": [({"service": "cart"}, EVERY_15_S, EVERY_15_S)]}
    raw["alerts"] = [({"service": "cart"}, EVERY_15_S, np.ones(EVERY_15_S.size))]
    assert shop(reader(raw, REQUESTS, CPU, FIRING).read()) == {"requests": [60.0]}


def test_an_alert_that_goes_on_has_not_started():
    raw = {
        "alerts": [
            ({"service": "shop", "alertname": "a"}, EVERY_15_S[(EVERY_15_S > 60) & (EVERY_15_S < 200)], np.ones(9))
        ]
    }
    one = reader(raw, FIRING)
    started = []
    for _ in range(5):
        one.restart()
        started.append(shop(one.read()).get("alerts.started"))
    assert started == [None, [1.0], [0.0], [0.0], [0.0]]  # it is seen for five minutes more


def test_the_servers_warnings_are_told_once_for_each_query():
    raw = {"requests": [steady()], "cpu": [({"service": "shop"}, EVERY_15_S, EVERY_15_S)]}
    one = reader(raw, REQUESTS, CPU, warnings=["the server warned: a store is away"], part_steps=2)
    texts = ("requests: the server warned: a store is away", "cpu: the server warned: a store is away")
    assert one.read(60).services["shop"].warnings == texts


def test_a_hundred_times_as_many_series_are_told_and_read():
    raw = {"requests": [steady(), steady(instance="1")]}
    one = reader(raw, REQUESTS)
    one.read()
    times = EVERY_15_S[EVERY_15_S >= 60]
    raw["requests"] += [({**POD, "path": str(number)}, times, times - 60) for number in range(198)]
    found = one.read()
    (warning,) = found.services["shop"].warnings
    assert warning == ("requests: it returned 200 series, and 2 in the step before; see which label has so many values")
    assert one.read().services["shop"].warnings == ()
    assert shop(one.read()) == {"requests": [200 * 60.0]}


# Old data


def test_a_server_whose_data_ends_is_old():
    raw = {"requests": [steady(until=605.0)], "up": [steady(until=605.0)]}
    one = reader(raw, REQUESTS)
    one.read(11)
    one.store.clock = GA + timedelta(seconds=11 * 60)
    with pytest.raises(SourceError) as raised:
        one.read()
    assert str(raised.value) == (
        "http://store:9090: its newest sample is of 2025-11-18T00:10:00Z, 2 min before the end of the step; nothing is "
        "scored until it has newer ones."
    )
    raw["requests"], raw["up"] = [steady()], [steady()]
    assert shop(one.read()) == {"requests": [105.0]}


def test_a_server_that_lags_by_three_minutes_is_waited_for():
    """Its steps are read when they have come, and not before: they are whole then."""
    raw = {"requests": [steady()], "up": [steady()]}
    expected = followed(Store({**raw}), plan(REQUESTS), [10, 11, 12, 13, 14])
    one = reader(raw, REQUESTS)
    one.read(10)
    for end in (11, 12, 13, 14):
        raw["requests"] = raw["up"] = [steady(until=60.0 * end - 180 + 1)]
        one.store.clock = GA + timedelta(minutes=end)
        with pytest.raises(SourceError, match=r"its newest sample is of .*, 3 min before the end of the step"):
            one.read()
        raw["requests"] = raw["up"] = [steady(until=60.0 * end + 1)]
        one.read()
    assert_same(one.columns(), expected, plan(REQUESTS))


@pytest.mark.parametrize("phase", [1, 30, 59])
def test_a_scrape_interval_of_a_minute_is_no_lag(phase):
    """Whenever in the minute it is, at steps of 15 s, and although a service falls silent."""
    times = EVERY_15_S[::4] + phase
    raw = {"requests": [steady(until=600.0)], "up": [(POD, times, times)]}
    one = Reader(Store(raw), Plan(("shop",), "service", 15, (REQUESTS,)))
    one.read(40)
    for _ in range(20):
        one.store.clock = GA + timedelta(seconds=15 * (one.until + 1))
        assert shop(one.read()) == {}


def test_services_that_fall_silent_are_no_old_data():
    raw = {"requests": [steady(until=600.0)], "up": [steady()]}
    one = reader(raw, REQUESTS)
    one.read(10)
    one.store.asked.clear()
    for _ in range(20):
        assert shop(one.read()) == {}
    assert [name for name, _ in one.store.asked].count("up") == 20


def test_a_hole_in_the_data_is_no_old_data():
    """It was away, and has samples of now: those of then will never come."""
    there = (EVERY_15_S < 600) | (EVERY_15_S > 3600)
    raw = {"requests": [(POD, EVERY_15_S[there], EVERY_15_S[there] + 600)]}
    raw["up"] = raw["requests"]
    one = reader(raw, REQUESTS)
    one.read(10)
    one.store.clock = GA + timedelta(hours=2)
    for _ in range(30):
        assert shop(one.read()) == {}


def test_nothing_is_said_of_the_age_where_there_never_was_any_up():
    one = reader({"requests": [steady(until=600.0)]}, REQUESTS)
    one.read(10)
    for _ in range(20):
        assert shop(one.read()) == {}


def test_the_age_is_not_asked_for_while_there_is_something():
    one = reader({"requests": [steady()], "cpu": []}, REQUESTS, RATE, CPU)
    for _ in range(20):
        one.read()
    assert {name for name, _ in one.store.asked} == {"requests", "rate", "cpu"}
