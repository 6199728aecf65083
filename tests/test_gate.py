"""The gate's judgement: what fails, what passes and what cannot be said, on series whose truth is known."""

import math
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.gate import GA, HISTORY, Made
from observability import gating
from observability.definitions import Direction, Kind, Kpi, Maintenance, Objective, Release
from observability.judgement.gate import judge, not_begun
from observability.judgement.gate_burn import BUDGET
from observability.judgement.gate_rows import BEFORE, EARLIER
from observability.judgement.placebos import FEWEST_PLACEBOS, contrast, offsets, rank_p
from observability.model import Query, Window
from observability.release import flags_release
from observability.verdicts import GateReport, Regression

NAN = float("nan")
STEPS = 30
WINDOW = Window(start=GA, end=GA + STEPS * timedelta(minutes=1))
SINCE = slice(HISTORY, None)
GAUGES = {
    "latency": ("latency", Direction.LOWER_IS_BETTER),
    "cpu": ("resources", Direction.LOWER_IS_BETTER),
    "throughput": ("jobs", Direction.HIGHER_IS_BETTER),
    "sessions": ("other", Direction.TWO_SIDED),
}
LATENCY_OBJECTIVE = Objective(name="Fast", kpi="p99_latency_ms", objective=99, threshold=500)
ERRORS_OBJECTIVE = Objective(name="Errors", kpi="overall_error_rate", objective=0.1)

Columns = dict[str, np.ndarray]


def release(*objectives: Objective, more: tuple[str, ...] = (), **fields: object) -> Release:
    """Four gauges, the traffic and the error rate, and ``more`` of the catalog's KPIs."""
    default = flags_release(GA, "http://localhost:9090")
    gauges = {
        name: Kpi(name=name, about="", unit="ms", direction=way, category=category, kind=Kind.GAUGE, query=name)
        for name, (category, way) in GAUGES.items()
    }
    kept = {name: default.kpis[name] for name in ("request_rate", "overall_error_rate", *more)}
    queries = {name: Query(name=name, type="gauge", promql=name) for name in gauges}
    changed = {"kpis": {**gauges, **kept}, "queries": {**default.queries, **queries}, "slos": objectives, **fields}
    return default.model_copy(update=changed)


def quiet(seed: int = 1) -> Columns:
    """Gauges within a few per cent of 100, 100 requests a minute and one error in 5,000."""
    rng = np.random.default_rng(seed)
    size = HISTORY + STEPS
    columns = {name: 100 * np.exp(0.03 * rng.normal(size=size)) for name in GAUGES}
    columns["http_requests"] = np.full(size, 100.0)
    columns["http_errors"] = np.where(np.arange(size) % 50 == 7, 1.0, 0.0)
    return columns


def judged(columns: Columns, given: Release | None = None) -> GateReport:
    chosen = release(ERRORS_OBJECTIVE) if given is None else given
    source = Made(GA - HISTORY * timedelta(minutes=1), {"default": columns})
    return judge(chosen, gating.read(chosen, source, WINDOW, lambda text, share: None)["default"])


def row(report: GateReport, kpi: str, baseline: str = EARLIER) -> Regression:
    (found,) = (one for one in report.rows if (one.metric_name, one.baseline) == (kpi, baseline))
    return found


def changed(**times: float | np.ndarray) -> Columns:
    """A quiet service, with these columns multiplied since the release."""
    columns = quiet()
    for name, factor in times.items():
        columns[name][SINCE] *= factor
    return columns


# --- placebos ---


def test_a_contrast_worked_by_hand() -> None:
    """Days 1, 2, 3 have mean 2 and variance 1; a fourth differs by √(1 + 1/3). t = 3/1.1547 = 2.598, and for two
    degrees of freedom p = 1 − t/√(2 + t²) = 0.1217. Each day against the mean of the others: ∓1.5 and 0."""
    found = contrast(5.0, np.array([[1.0], [2.0], [3.0]]), 0)
    assert found is not None
    assert found.value == 3.0
    assert found.error == pytest.approx(math.sqrt(4 / 3))
    assert found.freedom == pytest.approx(2)
    assert found.p == pytest.approx(1 - 2.598076 / math.sqrt(2 + 6.75), rel=1e-6)
    assert sorted(found.placebos.tolist()) == pytest.approx([-1.5, 0, 1.5])


@pytest.mark.parametrize(
    ("second", "freedom"),
    [
        pytest.param([1.0, -1.0, 0.0], 2, id="the same"),
        pytest.param([-1.0, 1.0, 0.0], 2, id="the opposite"),
        pytest.param([1 / math.sqrt(3), 1 / math.sqrt(3), -2 / math.sqrt(3)], 4, id="orthogonal"),
    ],
)
def test_degrees_of_freedom_lie_between_one_offset_and_all(second: list[float], freedom: float) -> None:
    found = contrast(0.0, np.array([[1.0, -1.0, 0.0], second]).T, 0)
    assert found is not None
    assert found.freedom == pytest.approx(freedom)


def test_placebos_are_what_a_loop_finds() -> None:
    days = np.random.default_rng(3).normal(size=(7, 5))
    found = contrast(0.0, days, 2, others=[9.0])
    expected = [days[k, o] - np.delete(days[:, o], k).mean() for k in range(7) for o in range(5)]
    assert found is not None
    assert found.placebos.tolist() == pytest.approx([*expected, 9.0])


@pytest.mark.parametrize("days", [0, 1, 2])
def test_two_days_are_no_history(days: int) -> None:
    assert contrast(1.0, np.ones((days, 3)), 1) is None


def test_missing_days_and_offsets_are_left_out() -> None:
    days = np.array([[NAN, 1.0, 4.0], [2.0, 2.0, 5.0], [7.0, 3.0, 6.0], [1.0, NAN, 1.0]])
    found, whole = contrast(5.0, days, 1), contrast(5.0, days[:3, 1:], 0)
    assert found is not None
    assert whole is not None
    assert (found.value, found.error, found.freedom) == (whole.value, whole.error, whole.freedom)


@pytest.mark.parametrize(("now", "p"), [(1.0, 1.0), (1.1, 0.0)])
def test_where_nothing_ever_moved_any_change_is_one(now: float, p: float) -> None:
    found = contrast(now, np.ones((7, 13)), 6)
    assert found is not None
    assert (found.p, found.margin, found.stands_out) == (p, 0.0, p == 0)


def test_standing_out_is_of_one_direction_and_needs_enough_placebos() -> None:
    days = np.random.default_rng(5).normal(size=(7, 13)) * 0.01
    high = contrast(1.0, days, 6)
    assert high is not None
    assert high.stands_out
    assert not high._replace(placebos=np.append(high.placebos, 1.0)).stands_out
    assert high._replace(placebos=np.append(high.placebos, -2.0)).stands_out
    assert not high._replace(placebos=high.placebos[: FEWEST_PLACEBOS - 1]).stands_out
    assert high._replace(value=-1.0).stands_out


def test_a_rank_counts_itself() -> None:
    assert rank_p(2.0, np.array([1.0, -3.0, 0.5])) == 0.5
    assert rank_p(4.0, np.zeros(39)) == 1 / 40


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 30, 60, 120, 360])
def test_offsets_are_few_and_symmetric(steps: int) -> None:
    margin = max(steps, 60)
    found = offsets(steps, margin)
    assert found == sorted(-offset for offset in found)
    assert 0 in found
    assert 7 <= len(found) <= 25
    assert max(found) <= margin


@pytest.mark.parametrize("phi", [0.9, 0.98])
def test_without_a_change_p_keeps_its_level(phi: float) -> None:
    """Windows of 30 autocorrelated minutes: p ≤ .05 in about 5 % of 600."""
    rng, found = np.random.default_rng(11), offsets(30, 60)
    series, noise = rng.normal(size=(600, 8, 210)), math.sqrt(1 - phi**2)
    for step in range(1, 210):
        series[..., step] = phi * series[..., step - 1] + noise * series[..., step]
    means = np.stack([series[..., 60 + o : 90 + o].mean(axis=-1) for o in found], axis=-1)
    contrasts = [contrast(days[0, 6], days[1:], 6) for days in means]
    assert 10 <= sum(one is not None and one.p <= 0.05 for one in contrasts) <= 48


# --- one KPI ---


def test_a_quiet_release_passes() -> None:
    report = judged(quiet())
    assert (report.verdict, report.advice and report.advice.action) == ("pass", "keep")
    assert {one.verdict for one in report.rows if one.role == "decides"} == {"pass"}
    assert GateReport.model_validate_json(report.model_dump_json()) == report


def test_a_latency_that_nearly_doubled_fails() -> None:
    report = judged(changed(latency=1.8))
    found = row(report, "latency")
    assert (report.verdict, report.advice and report.advice.action) == ("fail", "roll back")
    assert (found.verdict, found.real, found.persists, found.severity) == ("fail", True, True, "high")
    assert found.change == pytest.approx(0.8, abs=0.05)
    assert found.interval is not None
    assert found.interval[0] is not None
    assert 0.3 < found.interval[0] < 0.8
    assert report.why.startswith("latency: It changed by +")
    assert row(report, "latency", BEFORE).verdict == "fail"


@pytest.mark.parametrize(
    ("times", "verdict", "action", "of_kpi"),
    [
        pytest.param(1.05, "pass", "keep", "pass", id="5 %"),
        pytest.param(1.20, "pass", "watch", "fail", id="20 % is real and does not stop"),
        pytest.param(1.40, "fail", "roll back", "fail", id="40 % stops"),
        pytest.param(0.50, "pass", "keep", "pass", id="better"),
    ],
)
def test_sizes(times: float, verdict: str, action: str, of_kpi: str) -> None:
    report = judged(changed(latency=times))
    assert (report.verdict, report.advice and report.advice.action) == (verdict, action)
    assert row(report, "latency").verdict == of_kpi


@pytest.mark.parametrize(
    ("kpi", "times", "verdict"),
    [
        ("throughput", 0.5, "fail"),
        ("throughput", 2.0, "pass"),
        ("sessions", 0.5, "inconclusive"),
        ("sessions", 2.0, "inconclusive"),
    ],
)
def test_which_way_is_worse(kpi: str, times: float, verdict: str) -> None:
    report = judged(changed(**{kpi: times}))
    assert row(report, kpi).verdict == verdict
    assert (report.verdict == "fail") == (verdict == "fail")


def shape(part: slice, times: float) -> np.ndarray:
    factors = np.ones(STEPS)
    factors[part] = times
    return factors


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        pytest.param(shape(slice(5, 6), 40.0), "inconclusive", id="one minute"),
        pytest.param(shape(slice(25, 26), 40.0), "inconclusive", id="one late minute"),
        pytest.param(shape(slice(0, 10), 4.0), "inconclusive", id="over after ten minutes"),
        pytest.param(shape(slice(10, None), 4.0), "fail", id="from the tenth minute on"),
        pytest.param(np.minimum(1 + np.arange(STEPS) / 10, 2.0), "fail", id="rising for ten minutes"),
    ],
)
def test_a_failure_goes_on(factors: np.ndarray, verdict: str) -> None:
    assert row(judged(changed(latency=factors)), "latency").verdict == verdict


def test_what_was_there_before_is_not_taken_back() -> None:
    columns = quiet()
    columns["latency"][HISTORY - 120 :] *= 2
    report = judged(columns)
    assert (report.verdict, report.advice and report.advice.action) == ("fail", "fix forward")
    assert "before the release" in (report.advice.why if report.advice else "")


TIGHT = Objective(name="Errors", kpi="overall_error_rate", objective=0.01)


def with_shares(earlier: float, just_before: float, since: float) -> Columns:
    """Shares of errors in per cent, of a million requests a minute; just before: the last two hours."""
    columns = quiet()
    columns["http_requests"][:] = 1e6
    columns["http_errors"] = 1e4 * np.full(HISTORY + STEPS, earlier)
    columns["http_errors"][HISTORY - 120 :] = 1e4 * just_before
    columns["http_errors"][SINCE] = 1e4 * since
    return columns


@pytest.mark.parametrize(
    ("shares", "action", "of_before"),
    [
        pytest.param((0.0017, 0.0022, 0.077), "roll back", "fail", id="the release brought it"),
        pytest.param((0.0017, 0.076, 0.077), "fix forward", "pass", id="it was so before"),
        pytest.param((0.0017, 0.0037, 0.0077), "roll back", "pass", id="within the floor, and a third of it before"),
        pytest.param((0.0017, 0.03, 0.3), "roll back", "fail", id="a tenth of it before"),
        pytest.param((0.0017, 0.25, 0.26), "fix forward", "pass", id="paged before"),
    ],
)
def test_what_was_there_just_before_is_at_least_half_of_it(
    shares: tuple[float, float, float], action: str, of_before: str
) -> None:
    """The floor is half of the budget of 0.01 %: .077 − .0022 is far beyond it, and far below 0.1 points."""
    report = judged(with_shares(*shares), release(TIGHT))
    assert (report.verdict, report.advice and report.advice.action) == ("fail", action)
    assert row(report, "overall_error_rate", BEFORE).verdict == of_before


@pytest.mark.parametrize(("just_before", "action"), [(0.0, "roll back"), (0.5, "roll back"), (1.8, "fix forward")])
def test_a_budget_that_pages_without_a_history(just_before: float, action: str) -> None:
    """Of 2 % now: nothing, a quarter, or as good as all just before."""
    columns = with_shares(0.0, just_before, 2.0)
    for values in columns.values():
        values[: HISTORY - 120] = NAN
    report = judged(columns)
    assert (report.verdict, report.advice and report.advice.action) == ("fail", action)


def test_days_that_scatter_prove_little() -> None:
    columns = quiet()
    columns["latency"] *= np.repeat(np.exp([0.3, -0.3, 0.1, 0.4, -0.2, -0.4, 0.2, 0.0, 0.0]), 1440)[: HISTORY + STEPS]
    columns["latency"][SINCE] *= 1.5
    found = row(judged(columns), "latency")
    assert (found.verdict, found.real) == ("inconclusive", False)


def test_values_of_zero_are_values() -> None:
    columns = quiet()
    columns["latency"] = np.where(np.arange(HISTORY + STEPS) % 200 < 100, 0.0, 1.0)
    assert row(judged(columns), "latency").obstacle is None
    columns["latency"][:] = 0.0
    assert row(judged(columns), "latency").verdict == "pass"
    columns["latency"][SINCE] = 5.0
    found = row(judged(columns), "latency")
    assert (found.verdict, found.obstacle) == ("inconclusive", "a baseline of 0 does not say how much is much")


# --- missing data ---


def without_since(columns: Columns) -> None:
    columns["latency"][SINCE] = NAN


def without_past(columns: Columns) -> None:
    columns["latency"][: HISTORY - 60] = NAN


def gone(columns: Columns) -> None:
    del columns["latency"]


def half_seen(columns: Columns) -> None:
    columns["latency"][HISTORY + 5 :] = NAN


@pytest.mark.parametrize("spoil", [without_since, without_past, gone, half_seen])
def test_a_kpi_of_one_side_only_is_no_data(spoil: Callable[[Columns], None]) -> None:
    columns = quiet()
    spoil(columns)
    report = judged(columns, release(Objective(name="x", kpi="overall_error_rate", objective=0.1)))
    assert row(report, "latency").verdict == "no data"
    assert "Not judged: latency." in report.warnings
    assert judged(columns, release()).verdict == "inconclusive"  # without objectives a pass needs the latency


def test_nothing_at_all_is_no_data() -> None:
    report = judged({})
    assert report.verdict == "no data"
    assert {one.verdict for one in report.rows} == {"no data"}


def test_without_traffic_there_is_nothing_to_pass() -> None:
    report = judged(changed(http_requests=0.0, http_errors=0.0))
    assert report.verdict == "no data"
    assert "no traffic" in report.why


@pytest.mark.parametrize(
    ("known", "verdict", "of_kpi"),
    [
        (0, "inconclusive", "no data"),
        (1, "inconclusive", "inconclusive"),
        (2, "inconclusive", "inconclusive"),
        (4, "pass", "pass"),
    ],
)
def test_a_short_history_is_inconclusive(known: int, verdict: str, of_kpi: str) -> None:
    columns = quiet()
    for values in columns.values():
        values[: HISTORY - known * 1440 - 60] = NAN
    report = judged(columns)
    assert (report.verdict, row(report, "latency").verdict) == (verdict, of_kpi)
    told = {1: "only 1 of the earlier days has data of it", 2: "only 2 of the earlier days have data of it"}
    assert told.get(known, "") in row(report, "latency").why


def test_maintenance_does_not_count() -> None:
    windows = (Maintenance(start=GA, end=WINDOW.end),)
    report = judged(changed(latency=2.0), release(ERRORS_OBJECTIVE, maintenance=windows))
    assert report.verdict == "no data"
    assert any("maintenance" in warning for warning in report.warnings)


# --- errors and budgets ---


def with_errors(share: float, requests: float = 100.0) -> Columns:
    columns = quiet()
    columns["http_requests"][:] = requests
    columns["http_errors"][:] = 0.0
    columns["http_errors"][SINCE] = share * requests
    return columns


@pytest.mark.parametrize(
    ("share", "requests", "verdict"),
    [
        pytest.param(0.0, 100.0, "pass", id="none"),
        pytest.param(0.0003, 100.0, "pass", id="one of 3,000"),
        pytest.param(0.005, 100.0, "fail", id="from 0 to 0.5 %"),
        pytest.param(0.03, 100.0, "fail", id="from 0 to 3 %"),
        pytest.param(0.0, 1.0, "inconclusive", id="none of 30"),
        pytest.param(0.03, 1.0, "inconclusive", id="one of 30"),
        pytest.param(0.4, 1.0, "fail", id="twelve of 30"),
    ],
)
def test_errors_from_zero(share: float, requests: float, verdict: str) -> None:
    assert judged(with_errors(share, requests)).verdict == verdict


def test_few_events_exclude_nothing() -> None:
    """None of 30: the 98 % bound of the share is 1 − .01^(1/30), which is 14.2 %, and 1.44 % pages."""
    report = judged(with_errors(0.0, requests=1.0))
    found = row(report, "overall_error_rate")
    assert (found.verdict, row(report, "overall_error_rate", BUDGET).verdict) == ("inconclusive", "inconclusive")
    assert found.points_interval is not None
    assert found.points_interval[1] == pytest.approx(100 * (1 - 0.01 ** (1 / 30)), abs=0.1)


def test_a_budget_that_pages_fails_with_what_waiting_costs() -> None:
    """2 % of errors are 20 times a budget of 0.1 %: 100 · 20/720 = 2.78 % of the 30 days' budget an hour, 120 of 6,000
    requests."""
    report = judged(with_errors(0.02))
    found = row(report, "overall_error_rate", BUDGET)
    assert (found.verdict, found.current_value, found.baseline_value) == ("fail", pytest.approx(2.0), 0.1)
    assert report.advice is not None
    (cost,) = report.advice.waiting
    assert (cost.burn_rate, cost.bad_events_per_hour) == (pytest.approx(20), pytest.approx(120))
    assert cost.budget_percent_per_hour == pytest.approx(100 * 20 / 720)
    assert cost.hours_left == pytest.approx(36)


def test_a_burst_that_has_stopped_does_not_fail_and_does_not_pass() -> None:
    columns = with_errors(0.0)
    columns["http_errors"][HISTORY : HISTORY + 5] = 100.0
    report = judged(columns)
    assert report.verdict == "inconclusive"
    assert "slowed down" in row(report, "overall_error_rate", BUDGET).why
    assert row(report, "overall_error_rate").persists is False


def test_bursts_like_those_before_are_no_news() -> None:
    """Every day at this hour, two minutes of errors; with the release as well."""
    columns = with_errors(0.0)
    for back in range(8):
        columns["http_errors"][HISTORY - 1440 * back + 20 : HISTORY - 1440 * back + 22] = 10.0
    assert row(judged(columns), "overall_error_rate").verdict != "fail"


def test_an_objective_that_can_never_page_does_not_stop_the_service() -> None:
    loose = Objective(name="Loose", kpi="overall_error_rate", objective=10)
    report = judged(with_errors(0.0), release(loose))
    assert report.verdict == "pass"


def test_a_critical_alert_keeps_it_from_passing() -> None:
    columns = quiet()
    columns["targets"] = np.full(HISTORY + STEPS, 3.0)
    columns["critical_alerts"] = np.zeros(HISTORY + STEPS)
    columns["critical_alerts"][HISTORY + 10 :] = 1.0
    columns["critical_alerts.started"] = np.zeros(HISTORY + STEPS)
    given = release(ERRORS_OBJECTIVE, more=("critical_incident_count",))
    assert judged(columns, given).verdict == "pass"  # it fires, and did not begin since: not known to be news
    columns["critical_alerts.started"][HISTORY + 10] = 1.0
    report = judged(columns, given)
    assert report.verdict == "inconclusive"
    assert report.why.startswith("critical_incident_count: 1 began to fire")


# --- traffic ---


@pytest.mark.parametrize(
    ("traffic", "cpu", "verdict"),
    [
        pytest.param(1.05, 1.4, "fail", id="without more traffic"),
        pytest.param(2.0, 2.0, "inconclusive", id="in proportion"),
        pytest.param(2.0, 3.0, "fail", id="more than in proportion"),
        pytest.param(2.0, 1.4, "inconclusive", id="between the two"),
        pytest.param(2.0, 1.0, "pass", id="a fixed base"),
        pytest.param(0.5, 0.5, "pass", id="less of both"),
        pytest.param(0.5, 1.0, "inconclusive", id="a fixed base, and less traffic"),
    ],
)
def test_cpu_is_judged_at_the_traffic(traffic: float, cpu: float, verdict: str) -> None:
    columns = changed(http_requests=traffic, cpu=cpu)
    assert row(judged(columns), "cpu").verdict == verdict


def with_latencies(before: float, since: float) -> Columns:
    """All requests take 200 ms but for these shares, which take 700."""
    columns = quiet()
    requests = columns["http_requests"]
    slow = np.full(requests.size, before)
    slow[SINCE] = since
    columns["http_latency.le.0.3"] = requests * (1 - slow)
    columns["http_latency.le.0.5"] = requests * (1 - slow)
    columns["http_latency.le.1"] = requests.copy()
    columns["http_latency.le.+Inf"] = requests.copy()
    return columns


LATENCY = release(LATENCY_OBJECTIVE, more=("p99_latency_ms", "p50_latency_ms"))


def test_a_latency_objective_is_counted_from_the_buckets() -> None:
    assert judged(with_latencies(0.002, 0.002), LATENCY).verdict == "pass"
    report = judged(with_latencies(0.002, 0.4), LATENCY)
    found = row(report, "p99_latency_ms", BUDGET)
    assert (report.verdict, found.verdict) == ("fail", "fail")
    assert found.current_value == pytest.approx(40)


def test_a_latency_at_twice_the_traffic_is_not_compared() -> None:
    columns = with_latencies(0.002, 0.02)
    for name in ("http_requests", "http_latency.le.0.3", "http_latency.le.0.5", "http_latency.le.1"):
        columns[name][SINCE] *= 2
    columns["http_latency.le.+Inf"][SINCE] *= 2
    found = row(judged(columns, LATENCY), "p99_latency_ms")
    assert (found.verdict, found.obstacle) == ("inconclusive", "at 2 times the traffic, on which this KPI depends")


def test_beyond_the_buckets_nobody_knows() -> None:
    columns = with_latencies(0.02, 0.02)
    columns["http_latency.le.1"] = columns["http_latency.le.0.5"].copy()
    found = row(judged(columns, LATENCY), "p99_latency_ms")
    assert (found.verdict, found.current_at_least) == ("inconclusive", True)


def test_other_buckets_do_not_compare() -> None:
    columns = with_latencies(0.002, 0.002)
    columns["http_latency.le.0.5"][:HISTORY] = NAN
    columns["http_latency.le.0.3"][SINCE] = 0.0
    report = judged({name: v for name, v in columns.items() if name != "http_latency.le.1"}, LATENCY)
    assert report.verdict != "pass"


# --- what is not judged yet ---


def test_before_the_window_has_begun() -> None:
    report = not_begun(release(), "default", WINDOW, "Too early.")
    assert (report.verdict, report.window, report.since) == ("inconclusive", None, GA)
    assert report.advice is not None
    assert report.advice.action == "not assessable"


@pytest.mark.parametrize(("seconds", "expected"), [(0, 0), (1, 60), (59, 60), (60, 60), (61, 120), (-1, 0), (-61, -60)])
def test_no_step_began_before_the_release(seconds: int, expected: int) -> None:
    aligned = gating.aligned(release(), GA + timedelta(seconds=seconds))
    assert aligned == GA + timedelta(seconds=expected)
