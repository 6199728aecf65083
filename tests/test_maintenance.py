"""Maintenance windows: what they leave out, by hand and against the naive twin, and what every verdict makes of it."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import counted_steps_naive, rate_naive

from observability import readers, stages
from observability.artifacts import DaySummary, KpiSummary, MaintenanceWindow, PreReleaseSummary
from observability.comparable import has_same_hours, is_mostly_judged
from observability.definitions import Channel, Maintenance, PriceList
from observability.detection.anomalies import score_release
from observability.errors import ConfigError
from observability.judgement.health import assess
from observability.judgement.maintenance import ALL_MAINTENANCE, left_out, overlapped
from observability.judgement.regression import analyse
from observability.judgement.slo import burn_downs
from observability.judgement.summary import summarise
from observability.layout import Layout
from observability.model import Samples, SourceInfo, Window
from observability.release import flags_release
from observability.store import Store
from observability.verdicts import SloReport
from retrospective.degradations import distinct_runs

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = 60
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RELEASE = flags_release(GA, "http://localhost:9090")
KPIS, SERVICE = RELEASE.kpis, RELEASE.services[0]
SOURCE = SourceInfo(prometheus="http://localhost:9090", step_s=STEP)
NAN = float("nan")


def window(start, end, reason="", services=()):
    """From and to so many minutes after GA; a fraction is of a minute."""
    return Maintenance(start=GA + start * MINUTE, end=GA + end * MINUTE, reason=reason, services=services)


def samples(columns, start=GA, step_s=STEP):
    """Columns of any numbers, None for a missing one."""
    arrays = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    (steps,) = {column.size for column in arrays.values()}
    return Samples(SERVICE, Window(start=start, end=start + timedelta(seconds=steps * step_s)), step_s, arrays)


def judged(columns, *windows, day=1, ga=None, release=RELEASE, start=GA, step_s=STEP):
    release = release.model_copy(update={"maintenance": windows})
    return summarise(release, samples(columns, start, step_s), day, SOURCE, ga, partial=False)


def steps_of(kpi, columns, *windows):
    return np.flatnonzero(left_out(KPIS[kpi], samples(columns), windows)).tolist()


# Which steps.


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        pytest.param(2, 4, [2, 3], id="whole steps, the end not among them"),
        pytest.param(2.5, 3.5, [2, 3], id="steps that it overlaps only in part"),
        pytest.param(2.4, 2.6, [2], id="within one step"),
        pytest.param(-5, 1, [0], id="from before the day"),
        pytest.param(4, 99, [4, 5], id="beyond the day"),
        pytest.param(-9, 99, [0, 1, 2, 3, 4, 5], id="the whole day"),
        pytest.param(-9, 0, [], id="up to the day"),
        pytest.param(6, 9, [], id="from the day's end on"),
    ],
)
def test_a_step_that_overlaps_a_window(start, end, steps):
    assert np.flatnonzero(overlapped(samples({"a": [1] * 6}), [window(start, end)])).tolist() == steps


def test_windows_that_overlap_each_other_leave_out_their_steps_once():
    found = judged({"http_requests": [60] * 1440}, window(0, 90), window(60, 120), window(60, 90))
    assert found.maintenance_seconds == 120 * 60
    assert [(w.start - GA) / MINUTE for w in found.maintenance] == [0, 60, 60]


# What arrives after a window and was counted in it.


def test_the_first_step_after_a_gap_that_reaches_into_the_window_is_left_out_by_hand():
    """60 requests a minute. Minutes 2 to 4 are maintenance; the target is not seen in 3 and 4, and minute 5 brings
    240 requests: 60 of its own and 180 of maintenance, all of which would count for minute 5."""
    columns = {"http_requests": [60, 60, 60, None, None, 240, 60, 60], "http_requests.earlier": [0] * 5 + [160, 0, 0]}
    assert steps_of("request_rate", columns, window(2, 5)) == [2, 3, 4, 5]
    found = judged({**columns, "http_errors": [1, 1, 50, None, None, 90, 0, 2]}, window(2, 5)).kpis
    rate, errors = found["request_rate"], found["overall_error_rate"]
    assert (rate.value, rate.numerator, rate.denominator) == (1.0, 4 * 60, 4 * STEP)
    assert (errors.numerator, errors.denominator) == (1 + 1 + 0 + 2, 4 * 60)  # the same steps of both
    assert errors.value == pytest.approx(100 * 4 / 240)
    assert errors.with_maintenance == pytest.approx(100 * (1 + 1 + 50 + 90 + 0 + 2) / (3 * 60 + 240 + 2 * 60))
    assert rate.with_maintenance == pytest.approx((3 * 60 + 240 + 2 * 60) / (8 * STEP))
    assert (rate.coverage, errors.coverage, rate.n) == (1.0, 1.0, 4)


def test_a_gap_that_goes_on_after_the_window_is_missing_and_what_it_brings_is_left_out():
    """Minutes 1 to 2 are maintenance, the gap is of 2 to 4: expected are 0, 3, 4, 6, and of them 0 and 6 were seen."""
    columns = {"http_requests": [60, 60, None, None, None, 240, 60], "http_requests.earlier": [0] * 5 + [180, 0]}
    assert steps_of("request_rate", columns, window(1, 3)) == [1, 2, 5]
    found = judged(columns, window(1, 3)).kpis["request_rate"]
    assert (found.value, found.coverage) == (1.0, 2 / 4)


def test_a_gap_that_begins_after_the_window_is_a_gap_like_any_other():
    """Its count took its own three minutes, and not those of the window before it."""
    columns = {"http_requests": [60, 60, None, None, 180, 60], "http_requests.earlier": [0] * 4 + [120, 0]}
    assert steps_of("request_rate", columns, window(1, 2)) == [1]
    found = judged(columns, window(1, 2)).kpis["request_rate"]
    assert (found.numerator, found.denominator, found.coverage) == (60 + 180 + 60, (1 + 3 + 1) * STEP, 3 / 5)


def test_a_gap_of_one_of_two_targets():
    """The second target is not seen from minute 2 to 4; minute 5 brings its four minutes' 120 requests."""
    columns = {
        "http_requests": [60, 60, 30, 30, 30, 30 + 120, 60],
        "http_requests.earlier": [0, 0, 0, 0, 0, 90, 0],
        "http_requests.seen": [1, 1, 0.5, 0.5, 0.5, 1, 1],
    }
    assert steps_of("request_rate", columns, window(1, 3)) == [1, 2, 5]
    found = judged(columns, window(1, 3)).kpis["request_rate"]
    assert found.coverage == (1 + 0.5 + 0.5 + 1) / 4
    assert found.numerator == 60 + 30 + 30 + 60


def test_buckets_do_not_say_what_came_together_and_a_counter_of_the_same_targets_tells_for_them():
    bounds = {"http_latency.le.0.5": [9, 9, None, 36, 9], "http_latency.le.+Inf": [10, 10, None, 40, 10]}
    assert steps_of("p99_latency_ms", bounds, window(1, 3)) == [1, 2, 3]
    seen = {"http_latency.le.0.5": [9, 9, 4, 36, 9], "http_latency.le.+Inf": [10, 10, 5, 40, 10]}
    assert steps_of("p99_latency_ms", {**seen, "http_latency.seen": [1, 1, 0.5, 1, 1]}, window(1, 3)) == [1, 2, 3]
    day_before = window(-30, 0)
    assert steps_of("p99_latency_ms", bounds, day_before) == []
    counter = {"http_requests": [10] * 5, "http_requests.earlier": [NAN, 0, 0, 0, 0]}
    assert steps_of("p99_latency_ms", {**bounds, **counter}, day_before) == [0]


def test_the_first_count_of_a_day_whose_eve_was_maintenance():
    """NaN: it came together in a gap that began before the day, nobody knows when."""
    columns = {"http_requests": [None, 600] + [60] * 1438, "http_requests.earlier": [0, NAN, 0, NAN] + [0] * 1436}
    for end, steps in ((0, [1]), (-600, [1]), (-1440, [])):
        assert steps_of("request_rate", columns, window(end - 30, end)) == steps
        late = 60 * len(steps)
        day = judged(columns, window(end - 30, end))
        assert ([found.seconds for found in day.maintenance], day.maintenance_seconds) == ([late] * len(steps), late)


def test_targets_that_come_up_after_midnight_bring_nothing_of_the_eve():
    """The second target is new in minute 2. What comes together later on was missed on the day itself."""
    columns = {
        "http_requests": [30, 30, 60, 60, 30, 90],
        "http_requests.earlier": [0, 0, 0, 0, 0, 30],
        "http_requests.seen": [0.5, 0.5, 1, 1, 0.5, 1],
    }
    assert steps_of("request_rate", columns, window(-30, 0)) == []
    unknown = {**columns, "http_requests.earlier": [0, 0, NAN, 0, 0, 30]}
    assert steps_of("request_rate", unknown, window(-30, 0)) == [2]


@pytest.mark.parametrize("shares", [[0.98] * 9 + [0] * 3 + [0.98] * 2, [1] * 2 + [0.98] * 7 + [0] * 3 + [0.98] * 2])
def test_a_window_does_not_reach_for_a_gap_long_after_it(shares):
    """One target of 50 is down, from before the window on. Hours later all are missed for three minutes."""
    requests = [60 if share else None for share in shares]
    requests[12] = 240
    columns = {"http_requests": requests, "http_requests.earlier": [0] * 12 + [180, 0], "http_requests.seen": shares}
    assert steps_of("request_rate", columns, window(3, 5)) == [3, 4]
    assert steps_of("request_rate", columns, window(-30, 0)) == []
    assert steps_of("request_rate", columns, window(9, 10)) == [9, 12]


def test_a_restart_in_the_windows_last_step_hides_nothing():
    columns = {"http_requests": [60, 60, 20, 60, 60], "http_requests.seen": [1, 1, 0, 1, 1]}
    assert steps_of("request_rate", columns, window(1, 3)) == [1, 2]


def test_targets_that_return_one_by_one():
    """Three are not seen at the window's end; they return in minutes 3, 5 and 6. The fourth misses minute 8."""
    columns = {
        "http_requests": [80, 80, 20, 80, 40, 120, 140, 80, 60, 100],
        "http_requests.earlier": [0, 0, 0, 40, 0, 60, 80, 0, 0, 20],
        "http_requests.seen": [1, 1, 0.25, 0.5, 0.5, 0.75, 1, 1, 0.75, 1],
    }
    assert steps_of("request_rate", columns, window(1, 3)) == [1, 2, 3, 5, 6]
    found = judged(columns, window(1, 3))
    assert ([window.seconds for window in found.maintenance], found.maintenance_seconds) == ([300.0], 300.0)


def test_the_first_error_after_a_window_counts():
    """A series that is born after the window has no past in it, though its column was empty until then."""
    columns = {"http_requests": [60] * 6, "http_errors": [None, None, None, None, 3, None]}
    assert steps_of("overall_error_rate", columns, window(1, 3)) == [1, 2]
    assert judged(columns, window(1, 3)).kpis["overall_error_rate"].numerator == 3


def test_a_gauge_is_left_out_in_the_window_only():
    columns = {"db_sessions": [1, 2, None, None, 5, 6]}
    assert steps_of("db_connections", columns, window(1, 4)) == [1, 2, 3]
    found = judged(columns, window(1, 4)).kpis["db_connections"]
    assert (found.value, found.with_maintenance, found.max, found.coverage) == (4.0, 14 / 4, 6.0, 1.0)


# Against the naive twin.

COUNT = st.one_of(st.none(), st.integers(0, 1000))
SECONDS = st.integers(0, 24 * STEP)
WINDOWS = st.lists(st.tuples(SECONDS, SECONDS).filter(lambda pair: pair[0] < pair[1]), max_size=4)


def gaps(counts):
    """What of each count came together before its step, counted evenly; None where the gap began before the day."""
    parts, gap, first = [], 0, True
    for step, count in enumerate(counts):
        unknown = count is not None and first and step > 0
        parts.append(None if unknown else 0.0 if count is None else count - count / (gap + 1))
        gap, first = (gap + 1, first) if count is None else (0, False)
    return parts


@given(st.lists(COUNT, min_size=24, max_size=24), st.lists(st.integers(0, 9), min_size=24, max_size=24), WINDOWS)
def test_the_figures_are_those_of_dropping_the_steps_one_by_one(counts, errors, windows):
    earlier = gaps(counts)
    maintenance = [window(start / STEP, end / STEP) for start, end in windows]
    columns = {
        "http_requests": counts,
        "http_requests.earlier": earlier,
        "http_errors": errors,
        "http_latency.le.0.5": [None if count is None else count / 2 for count in counts],
        "http_latency.le.+Inf": counts,
        "db_sessions": counts,
    }
    found = judged(columns, *maintenance).kpis
    counted = counted_steps_naive(counts, STEP, windows)
    kept = [(count, bad) for count, bad, counts_ in zip(counts, errors, counted, strict=True) if counts_]
    seen = [(count, bad) for count, bad in kept if count is not None]
    total, bad = sum(count for count, _ in seen), sum(bad for _, bad in seen)
    error_rate = found["overall_error_rate"]
    assert error_rate.value == (pytest.approx(100 * bad / total) if total else None)
    assert error_rate.coverage == pytest.approx(len(seen) / len(kept) if kept else 0)
    assert error_rate.n == sum(count > 0 for count, _ in seen)
    assert (error_rate.denominator or 0) == total
    assert (found["p99_latency_ms"].denominator or 0) == total
    masked = [(c, e) if k else (None, None) for c, e, k in zip(counts, earlier, counted, strict=True)]
    rate = rate_naive([count for count, _ in masked], [part for _, part in masked], STEP)
    assert found["request_rate"].value == (None if rate is None else pytest.approx(rate))
    hours = [100 * b / c if k and c else None for c, b, k in zip(counts, errors, counted, strict=True)]
    assert error_rate.hourly == tuple(None if hour is None else pytest.approx(hour) for hour in hours)
    overlap = [any(s < (step + 1) * STEP and step * STEP < e for s, e in windows) for step in range(24)]
    sessions = [c for c, inside in zip(counts, overlap, strict=True) if c is not None and not inside]
    assert found["db_connections"].value == (pytest.approx(sum(sessions) / len(sessions)) if sessions else None)


def scraped(seen):
    """The columns of targets that count 60 in each step and are ``seen`` or not, shape (targets, steps); all were seen
    just before the day. And, for each target, the steps in which counts of more than one step arrive."""
    since = np.zeros(len(seen))
    counts, earlier, arrivals = [], [], [[] for _ in seen]
    for step, column in enumerate(np.array(seen).T):
        since += 1
        earlier.append(float(60 * (since - 1)[column].sum()))
        counts.append(float(60 * since[column].sum()) if column.any() else None)
        for target in np.flatnonzero(column & (since > 1)):
            arrivals[target].append(step)
        since[column] = 0
    shares = np.mean(seen, axis=0).tolist()
    return {"http_requests": counts, "http_requests.earlier": earlier, "http_requests.seen": shares}, arrivals


@given(st.lists(st.lists(st.booleans(), min_size=40, max_size=40), min_size=1, max_size=4), st.integers(-20, 35))
def test_a_window_of_five_minutes_takes_no_more_than_them_and_what_arrives(seen, start):
    columns, arrivals = scraped(seen)
    end = start + 5
    after = set(steps_of("request_rate", columns, window(start, end))) - set(range(start, end))
    missing = [target for target, at in enumerate(seen) if end > 0 and not at[end - 1]]
    assert after <= {step for steps in arrivals for step in steps if step >= end}
    assert len(after) <= len(missing)
    if len(seen) == 1:  # of a single target it is known which gap reaches into the window
        assert after == {next(step for step in arrivals[0] if step >= end) for _ in missing if any(seen[0][end:])}


@given(st.lists(COUNT, min_size=24, max_size=24), WINDOWS)
def test_what_lies_in_maintenance_does_not_matter(counts, windows):
    """Whatever is counted in the windows themselves, the figures are the same."""
    maintenance = [window(start / STEP, end / STEP) for start, end in windows]
    inside = overlapped(samples({"a": counts}), maintenance)
    other = [7 if is_in and count is not None else count for count, is_in in zip(counts, inside, strict=True)]
    one, two = (
        judged({"http_requests": given, "http_requests.earlier": gaps(counts), "db_sessions": given}, *maintenance)
        for given in (counts, other)
    )
    figures = {"with_maintenance": True}
    for name in ("request_rate", "overall_availability", "db_connections"):
        assert one.kpis[name].model_dump(exclude=figures) == two.kpis[name].model_dump(exclude=figures)


def test_a_window_of_another_service_or_another_time_changes_nothing():
    columns = {"http_requests": [60, None, 120], "http_requests.earlier": [0, 0, 60], "db_sessions": [1, 2, 3]}
    plain = judged(columns)
    for other in (window(0, 3, services=("payments",)), window(3, 9), window(-9 * 1440, -8 * 1440)):
        assert judged(columns, other).model_dump_json() == plain.model_dump_json()
    assert judged(columns, window(0, 3, services=(SERVICE,))) != plain


def test_a_summary_of_before_there_was_maintenance_is_read():
    found = judged({"http_requests": [60] * 24}, window(2, 3))
    assert DaySummary.model_validate_json(found.model_dump_json()) == found
    data = json.loads(found.model_dump_json())
    for part in (data, *data["kpis"].values(), *data["slos"]):
        for key in [key for key in part if "maintenance" in key]:
            del part[key]
    old = DaySummary.model_validate(data)
    assert (old.maintenance, old.maintenance_seconds, old.judged_share, old.is_all_maintenance) == ((), 0.0, 1.0, False)


# Alerts.


def incidents(firing, started, *windows, start=GA):
    columns = {"critical_alerts": firing, "critical_alerts.started": started, "targets": [1] * len(firing)}
    return judged(columns, *windows, start=start).kpis["critical_incident_count"]


@pytest.mark.parametrize(
    ("firing", "started", "value", "begun"),
    [
        pytest.param([0, 0, 1, 1, 0, 0], [0, 0, 1, 0, 0, 0], 0, 0, id="inside only"),
        pytest.param([0, 0, 1, 1, 1, 0], [0, 0, 1, 0, 0, 0], 1, 1, id="inside and on: counts from the window's end"),
        pytest.param([0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 0, 0], 1, 1, id="through: one run"),
        pytest.param([1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], 1, 0, id="through the whole day, from the day before"),
        pytest.param([0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], 1, 1, id="before"),
        pytest.param([0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1], 1, 1, id="after"),
        pytest.param([0, 1, 2, 2, 2, 0], [0, 1, 1, 0, 0, 0], 2, 2, id="one through, and one from inside on"),
        pytest.param([0, 1, 2, 1, 1, 0], [0, 1, 1, 0, 0, 0], 2, 2, id="nobody knows which of the two went on"),
    ],
)
def test_an_alert_counts_where_it_fires_outside(firing, started, value, begun):
    """Minutes 2 and 3 are maintenance."""
    found = incidents(firing, started, window(2, 4))
    assert (found.value, found.started) == (value, begun)
    assert found.with_maintenance == firing[0] - started[0] + sum(started)


def test_an_alert_over_a_midnight_in_maintenance():
    """It fires on the day, and began before it; whether that was in maintenance the day before tells."""
    for end in (0, 2):
        found = incidents([1, 1, 1, 0], [0] * 4, window(-9, end))
        assert (found.value, found.started) == (1, 0)
    for before in (0, 1):  # not counted the day before: it began in maintenance, and counts once all the same
        assert distinct_runs({1: before, 2: 0}, {1: before, 2: 1}) == 1


def test_the_hours_of_an_alert():
    """Two steps an hour. Maintenance in hours 1 and 2; the alert fires from the end of hour 0 to the start of 3."""
    firing, started = [0] * 48, [0] * 48
    firing[1:7], started[1] = [1] * 6, 1
    assert incidents(firing, started, window(2, 6)).hourly == (1.0, None, None, 1.0, *[0.0] * 20)


# A whole day, and the other figures of one.

ALL_KINDS = {
    "http_requests": [600] * 24,
    "http_errors": [6] * 24,
    "http_latency.le.0.5": [590] * 24,
    "http_latency.le.+Inf": [600] * 24,
    "db_sessions": [5] * 24,
    "cpu_cores": [1] * 24,
    "cpu_limit_cores": [2] * 24,
    "critical_alerts": [1] * 24,
    "critical_alerts.started": [1] + [0] * 23,
    "targets": [1] * 24,
}


def test_a_day_that_is_maintenance_throughout_has_no_figures_and_no_verdict():
    priced = RELEASE.model_copy(update={"prices": PriceList(currency="EUR", cpu_core_hour=1.0)})
    ga = judged(ALL_KINDS, day=0, release=priced)
    found = judged(ALL_KINDS, window(-60, 10), window(10, 99), ga=ga, release=priced)
    assert (found.is_all_maintenance, found.coverage, found.maintenance_seconds) == (True, None, 24 * 60)
    cost = found.kpis.pop("estimated_cost_per_hour")
    assert (cost.value, cost.with_maintenance, found.cost.total) == (1.0, None, pytest.approx(24 / 60))
    for name, kpi in found.kpis.items():
        assert (kpi.value, kpi.note, kpi.n, kpi.drift_percent) == (None, ALL_MAINTENANCE, 0, None), name
    assert found.kpis["overall_error_rate"].with_maintenance == 1.0
    assert {slo.note for slo in found.slos} == {ALL_MAINTENANCE}
    assert {(slo.compliant, slo.bad, slo.total_with_maintenance) for slo in found.slos} == {(None, None, 14_400)}
    advice = found.rollback_recommendation
    assert (advice.should_rollback, advice.reason) == (None, "The whole day is maintenance.")
    health = assess(found, None)
    assert (health.health_score, health.status, health.veto) == (None, "not assessable", None)
    assert health.warnings[0] == "The whole day is maintenance, so nothing was judged."


def test_cost_is_of_all_hours():
    """Money is spent during maintenance too."""
    priced = RELEASE.model_copy(update={"prices": PriceList(currency="EUR", cpu_core_hour=1.0)})
    columns = {"cpu_cores": [1, 3, 5, 7], "http_requests": [60] * 4}
    one, other = judged(columns, release=priced), judged(columns, window(1, 3), release=priced)
    assert one.cost == other.cost
    assert one.kpis["estimated_cost_per_hour"] == other.kpis["estimated_cost_per_hour"]


def test_the_events_of_an_objective_by_hand():
    """1,000 requests a minute for ten minutes; in minutes 4 and 5, a drill, half of them fail, else 1 in 1,000."""
    columns = {"http_requests": [1000] * 10, "http_errors": [1, 1, 1, 1, 500, 500, 1, 1, 1, 1]}
    (found,) = [slo for slo in judged(columns, window(4, 6)).slos if slo.slo_name == "Availability"]
    assert (found.bad, found.total, found.compliant) == (8, 8000, True)
    assert (found.bad_with_maintenance, found.total_with_maintenance) == (1008, 10_000)
    (plain,) = [slo for slo in judged(columns).slos if slo.slo_name == "Availability"]
    assert (plain.bad, plain.compliant, plain.bad_with_maintenance) == (1008, False, None)


# The days of a week.


def steady(number, *windows, level=60, ga=None, **columns):
    """A day of 24 steps of an hour; ``windows`` are pairs of hours of the day."""
    start = GA + number * DAY
    maintenance = [Maintenance(start=start + a * HOUR, end=start + b * HOUR) for a, b in windows]
    traffic = {"http_requests": [level * 1000] * 24, "http_errors": [level] * 24, "db_sessions": [level] * 24}
    return judged({**traffic, **columns}, *maintenance, day=number, ga=ga, start=start, step_s=3600)


def test_budgets_weigh_days_by_what_is_left_of_them():
    """GA day whole, day 1 half, day 2 not at all: 1.5 days of the 30 have spent as many times the budget as the events
    say. In each hour 60 of 60,000 fail, which is the budget of 99.9 %."""
    days = [steady(0), steady(1, (0, 12)), steady(2, (0, 24))]
    (found,) = [slo for slo in burn_downs(days) if slo.slo_name == "Availability"]
    assert (found.bad, found.total, found.burn_rate) == (36 * 60, 36 * 60_000, 1.0)
    assert found.budget_consumed_30d_percent == pytest.approx(100 * 1.5 / 30)
    assert (found.coverage, found.verdict) == (1.0, "pass")
    assert (found.bad_with_maintenance, found.total_with_maintenance) == (72 * 60, 72 * 60_000)
    assert found.why.endswith(" With maintenance: 4,320 of 4,320,000.")
    assert [day.compliant for day in found.compliance_by_day] == [True, True, None]
    assert SloReport.model_validate_json(SloReport(slo_burn_downs=(found,)).model_dump_json()).slo_burn_downs == (
        found,
    )


def test_a_window_of_nothing_but_maintenance_decides_nothing():
    for found in burn_downs([steady(0, (0, 24)), steady(1, (0, 24))]):
        assert (found.verdict, found.coverage, found.bad, found.burn_rate) == ("no data", 0.0, None, None)


def of_hours(*windows, length=DAY, hourly=()):
    """A day with maintenance in these pairs of 24ths of it, and a KPI of each kind that is named as it."""
    told = tuple(MaintenanceWindow(start=GA + a * length / 24, end=GA + b * length / 24) for a, b in windows)
    seconds = sum(b - a for a, b in windows) * length.total_seconds() / 24
    values = {
        kind: KpiSummary(value=1.0, unit="", direction="two-sided", category="", kind=kind, coverage=1.0, hourly=hourly)
        for kind in ("rate", "gauge", "utilisation", "ratio", "quantile")
    }
    return DaySummary(
        timestamp=GA,
        window=Window(start=GA, end=GA + length),
        maintenance=told,
        maintenance_seconds=seconds,
        kpis=values,
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param([], [], True, id="none"),
        pytest.param([(2, 4)], [], True, id="two hours"),
        pytest.param([(2, 4.1)], [], False, id="more than two"),
        pytest.param([(2, 6)], [(2, 6)], True, id="the same hours of both"),
        pytest.param([(2, 6)], [(3, 7)], True, id="an hour at each end"),
        pytest.param([(2, 4)], [(12, 14)], False, id="two other ones each"),
        pytest.param([(2, 4), (3, 4), (2, 3)], [], True, id="windows that overlap"),
        pytest.param([(2 + 1 / 6, 2 + 7 / 6), (20.3, 21.3)], [], True, id="two hours in all, off the full hour"),
    ],
)
@pytest.mark.parametrize("length", [DAY, timedelta(minutes=24)])
def test_days_of_the_same_hours(one, other, same, length):
    days = of_hours(*one, length=length), of_hours(*other, length=length)
    for kind in days[0].kpis.keys() - {"ratio", "quantile"}:
        assert has_same_hours(*days, kind) is has_same_hours(*reversed(days), kind) is same
    assert has_same_hours(*days, "ratio")
    assert has_same_hours(*days, "quantile")


@pytest.mark.parametrize(
    ("dark", "same"),
    [
        pytest.param([], True, id="none"),
        pytest.param([5, 9], True, id="two hours"),
        pytest.param([5, 9, 12], False, id="three"),
        pytest.param([2, 3, 9, 12], True, id="two, and two in maintenance"),
        pytest.param(range(12, 24), False, id="half of the day"),
    ],
)
def test_an_hour_without_data_counts_as_one_of_maintenance(dark, same):
    hourly = tuple(None if hour in dark else 1.0 for hour in range(24))
    night = [(2, 4)] if same and len(dark) > 2 else []
    one, other = of_hours(*night, hourly=hourly), of_hours(*night)
    assert has_same_hours(one, other, "gauge") is has_same_hours(other, one, "gauge") is same
    assert has_same_hours(one, one, "gauge")
    assert has_same_hours(one, other, "ratio")


def test_a_ga_day_of_which_half_was_seen_is_no_measure_of_what_runs_with_the_clock():
    half = [None] * 12
    columns = {"http_requests": [*half, *[60_000] * 12], "http_errors": [*half, *[60] * 12]}
    ga = steady(0, db_sessions=[*half, *[40] * 12], **columns)
    day = steady(1, ga=ga)
    assert day.kpis["db_connections"].drift_percent is day.kpis["request_rate"].drift_percent is None
    assert day.kpis["overall_error_rate"].drift_percent == pytest.approx(0)
    (said,) = [text for text in day.warnings if "GA day" in text]
    assert said == f"Only {100 * ga.coverage:.1f} % of the GA day was seen, and drifts are taken against that part."
    assert said in ga.warnings
    whole = steady(0)
    whole = whole.model_copy(update={"coverage": 0.95})
    assert not [text for text in steady(1, ga=whole).warnings if "GA day" in text]


def test_half_of_a_day_is_enough():
    assert [is_mostly_judged(of_hours((0, hours))) for hours in (0, 12, 12.1, 24)] == [True, True, False, False]


NIGHT_AND_DAY = [10] * 8 + [100] * 16


def test_a_day_without_its_night_has_no_drift_against_a_whole_one():
    """Without its first four hours the day's mean is 82 sessions and not 70: 17 % more, and nothing has changed."""
    ga = steady(0, db_sessions=NIGHT_AND_DAY)
    release = RELEASE.model_copy(
        update={"maintenance": (Maintenance(start=GA + DAY, end=GA + DAY + 4 * HOUR, services=()),)}
    )
    columns = {"http_requests": [60_000] * 24, "http_errors": [60] * 24, "db_sessions": NIGHT_AND_DAY}
    day = summarise(release, samples(columns, GA + DAY, 3600), 1, SOURCE, ga, partial=False)
    assert day.kpis["db_connections"].value == pytest.approx((4 * 10 + 16 * 100) / 20)
    assert day.kpis["db_connections"].drift_percent is None
    assert day.kpis["overall_error_rate"].drift_percent == pytest.approx(0)


def row(summary, kpi, baseline="week_before"):
    (found,) = [found for found in summary.rows if (found.metric_name, found.baseline) == (kpi, baseline)]
    return found


def analysed(past, week, ga=()):
    before = PreReleaseSummary(days=tuple(steady(n, *past.get(n, ()), db_sessions=NIGHT_AND_DAY) for n in range(-7, 0)))
    days = [steady(n, *week.get(n, ()), db_sessions=NIGHT_AND_DAY) for n in range(1, 8)]
    return analyse(steady(0, *ga, db_sessions=NIGHT_AND_DAY), days, before)


def test_a_day_of_more_than_half_maintenance_is_not_paired():
    found = analysed({}, {3: [(0, 13)], 5: [(0, 24)]})
    errors, sessions = row(found, "overall_error_rate"), row(found, "db_connections")
    assert errors.days == sessions.days == 5
    assert (sessions.n, errors.n) == (5 * 24, 2 * 5 * 24)  # pairs of hours; hours of both sides
    assert errors.coverage == 1.0
    assert [text for text in found.warnings if "maintenance" in text] == [
        "More than half of day 3 is maintenance, so it was not compared.",
        "More than half of day 5 is maintenance, so it was not compared.",
    ]


def test_what_runs_with_the_clock_is_compared_over_the_hours_that_both_days_have():
    """Without its night the week has 82 sessions on average, the week before 70; of the same hours it has 82 too."""
    nights = {n: [(0, 4)] for n in range(1, 8)}
    for past in ({}, {n: [(0, 4)] for n in range(-7, 0)}):
        found = analysed(past, nights)
        sessions, errors = row(found, "db_connections"), row(found, "overall_error_rate")
        assert (sessions.days, sessions.n, sessions.change, sessions.verdict) == (7, 7 * 20, 0.0, "pass")
        assert sessions.current_value == pytest.approx((4 * 10 + 16 * 100) / 20)
        assert (errors.days, errors.real, errors.verdict) == (7, False, "pass")
    assert row(analysed({}, {}, ga=[(0, 4)]), "db_connections", "ga_day").verdict == "pass"


MORNINGS = {n: [(0, 7)] for n in range(-7, 0)}


def test_what_runs_with_the_clock_needs_half_a_day_of_the_same_hours():
    """Seven hours of the days before and six others of the days since are maintenance: eleven are left of both."""
    evenings = {n: [(12, 18)] for n in range(1, 8)}
    found = analysed(MORNINGS, evenings, ga=[(12, 18)])
    sessions, errors = row(found, "db_connections"), row(found, "overall_error_rate")
    assert (sessions.days, sessions.real, sessions.verdict) == (0, None, "inconclusive")
    assert sessions.why == (
        "No day has a partner in the week before GA; "
        "of 7 days, other hours than of the partner were seen outside maintenance."
    )
    assert (errors.days, errors.verdict) == (7, "pass")
    few = row(analysed(MORNINGS, {n: [(12, 18)] for n in (1, 2, 3)}), "db_connections")
    assert (few.days, few.change) == (4, 0.0)
    assert few.obstacle == (
        "fewer than 5 days compare with the week before GA; "
        "of 3 days, other hours than of the partner were seen outside maintenance"
    )
    one_less = analysed(MORNINGS, {n: [(12, 17)] for n in range(1, 8)})  # twelve are left
    assert row(one_less, "db_connections").verdict == "pass"


# Anomalies and health.

PROMPT = Channel(name="ewma", threshold=7.0, parameters={"alpha": 0.01, "warm_up": 20})


def scored(*windows):
    """Sessions that go up and down by one, and at minutes 40 to 42 jump to 80."""
    sessions = np.tile([39.0, 41.0], 720)
    sessions[40:43] = 80.0
    return events(sessions, *windows)


def events(sessions, *windows):
    release = RELEASE.model_copy(update={"maintenance": windows, "channels": (PROMPT,)})
    return score_release(release, {SERVICE: [samples({"db_sessions": sessions})]})[SERVICE]


@pytest.mark.parametrize(
    ("windows", "inside"),
    [
        pytest.param([], False, id="none"),
        pytest.param([(30, 60)], True, id="around it"),
        pytest.param([(40.5, 60)], True, id="over its end"),
        pytest.param([(41, 60), (30, 40)], False, id="beside it"),
    ],
)
def test_an_anomaly_is_in_maintenance_where_its_first_and_last_step_are(windows, inside):
    (event,) = scored(*[window(*pair) for pair in windows]).anomalies
    assert event.in_maintenance is inside
    (plain,) = scored().anomalies
    assert event.model_copy(update={"in_maintenance": False}) == plain


@pytest.mark.parametrize(("until", "inside"), [(43, True), (45, False)])
def test_what_outlasts_a_maintenance_window_counts(until, inside):
    """From minute 40 to 42, or to 44, more is open with each minute; the window is from 30 to 42.5."""
    sessions = np.tile([39.0, 41.0], 720)
    sessions[40:until] = 10.0 ** np.arange(3, until - 37)
    (event,) = events(sessions, window(30, 42.5)).anomalies
    assert (event.end - event.start, event.in_maintenance) == (timedelta(minutes=until - 40), inside)


def test_anomalies_in_maintenance_do_not_count_for_the_days_health():
    columns = {"db_sessions": [40] * 1440}
    for windows, counted, why in (([], 1, "1 critical"), ([window(30, 60)], 0, "none; 1 in maintenance not counted")):
        report = assess(judged(columns, *windows, day=0), scored(*windows))
        assert (report.anomalies, report.parts[-1].why) == (counted, why)
    assert report.warnings[0] == "Maintenance: 30 minutes of the day are left out."
    assert report.parts[-1].score == 100


# Judging again.


class Server:
    """One request in a thousand fails, but in a drill on day 1 from 10:00 to 12:00; how often it was asked is kept."""

    def __init__(self):
        self.asked = 0

    def info(self, plan):
        return SOURCE

    def fetch(self, plan, window):
        self.asked += 1
        errors = np.full(24, 60.0)
        if window.start == GA + DAY:
            errors[10:12] = 30_000.0
        columns = {"http_requests": np.full(24, 60_000.0), "http_errors": errors}
        return {service: Samples(service, window, plan.step_s, columns) for service in plan.services}


def test_a_window_that_is_written_down_afterwards_asks_nothing(tmp_path):
    release = flags_release(GA, "http://localhost:9090", HOUR)
    server, layout = Server(), Layout(Store(tmp_path), release.services)

    def error_rate(*windows):
        again = release.model_copy(update={"maintenance": windows})
        stages.collect_ga(again, server, layout, now=GA + 9 * DAY)
        baselines = readers.read_baselines(again, layout)
        stages.collect_day(again, server, layout, 1, baselines, now=GA + 9 * DAY)
        found = layout.store.read(layout.day_summary(SERVICE, 1), DaySummary, "")
        return found.overall_error_rate, found.kpis["overall_error_rate"].with_maintenance

    whole = pytest.approx(100 * (22 * 60 + 2 * 30_000) / (24 * 60_000))
    assert error_rate() == (whole, None)
    asked = server.asked
    assert error_rate(window(1440 + 600, 1440 + 720, "drill")) == (pytest.approx(0.1), whole)
    assert error_rate() == (whole, None)
    assert server.asked == asked


def test_a_baseline_without_the_releases_maintenance_is_refused(tmp_path):
    """Windows of other days or services, and another reason, do not matter."""
    release = flags_release(GA, "http://localhost:9090", HOUR)
    layout = Layout(Store(tmp_path), release.services)
    other_day, elsewhere = window(1440, 1500), window(0, 60, services=("payments",))

    def of(*windows):
        return release.model_copy(update={"maintenance": windows})

    stages.collect_ga(of(window(0, 60.5, "a")), Server(), layout, now=GA + 9 * DAY)
    assert readers.read_baselines(of(window(0, 60.5, "b"), other_day, elsewhere), layout)
    for windows in ([], [window(0, 60)], [window(0, 60.5), window(90, 99)]):
        with pytest.raises(ConfigError, match=r"leaves out other maintenance.*, or collect the GA day again\.$"):
            readers.read_baselines(of(*windows), layout)
