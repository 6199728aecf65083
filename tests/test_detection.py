"""The online detector and its episodes: by hand, against the textbook's weights, and what must hold for any series."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import river.checks
from hypothesis import given
from hypothesis import strategies as st
from naive import episodes_naive, ewma_naive
from river.checks import common

from observability.artifacts import AnomalyEvents
from observability.detection.anomalies import join, score_release
from observability.detection.episodes import MERGE_STEPS, QUIET, TEXTBOOK, Series, Setting, detect
from observability.detection.ewma import MAX_Z, EwmaZScore
from observability.kpi import histogram_quantile
from observability.model import Samples, Window
from observability.release import flags_release

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = 60
RELEASE = flags_release(GA, "http://localhost:9090", timedelta(hours=1))
P99 = RELEASE.kpis["p99_latency_ms"]
NAN, INF = float("nan"), float("inf")
PROMPT = Setting(alpha=0.05, threshold=6.0, warm_up=20)
NOISE = np.random.default_rng(7).normal(100.0, 1.0, 400)


def series(values):
    return Series("shop", P99, GA, STEP, np.array(values, dtype=float))


def episodes(values, setting=PROMPT, first=0):
    return detect(series(values), setting, first)[0]


def noise_with(changes):
    """Noise around 100 of standard deviation 1, with some of its values replaced: step → value."""
    values = NOISE.copy()
    values[list(changes)] = list(changes.values())
    return values


def at(step):
    return GA + timedelta(seconds=STEP * step)


def learned(values, **parameters):
    detector = EwmaZScore(**parameters)
    for value in values:
        detector.learn_one({}, value)
    return detector


# The detector.


def test_the_first_samples_count_alike():
    """Of 2, 4 and 9 the mean is 5 and the variance ((−3)² + (−1)² + 4²) / 3; 1/α = 4 samples are not reached."""
    detector = learned([2, 4, 9], alpha=0.25, warm_up=0)
    assert detector.mean == pytest.approx(5)
    assert detector.variance == pytest.approx((9 + 1 + 16) / 3)
    assert detector.z(5 - 2 * detector.deviation) == pytest.approx(-2)
    assert detector.score_one({}, 5 - 2 * detector.deviation) == pytest.approx(2)


def test_the_newest_sample_has_the_weight_alpha_from_then_on():
    """With α = 0.5: 10 and 12 make 11 ± 1, and then 14 makes 0.5 · 11 + 0.5 · 14, and 0.5 (1² + 0.5 · 3²)."""
    detector = learned([10, 12, 14], alpha=0.5, warm_up=0)
    assert detector.mean == 0.5 * 11 + 0.5 * 14
    assert detector.variance == 0.5 * (1 + 0.5 * 3**2)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60), st.sampled_from([0.01, 0.3, 0.9]))
def test_the_recursion_is_the_textbooks_weighted_sum(values, alpha):
    detector = learned([NAN if value is None else value for value in values], alpha=alpha)
    mean, variance = ewma_naive(values, alpha)
    assert detector.mean == pytest.approx(mean, rel=1e-9, abs=1e-6)
    assert detector.variance == pytest.approx(variance, rel=1e-9, abs=1e-6)
    assert detector.n == sum(value is not None for value in values)


def test_nothing_is_scored_before_the_warm_up_is_over():
    detector = EwmaZScore(warm_up=3)
    scores = []
    for value in (1.0, 2.0, 3.0, 100.0):
        scores.append(detector.score_one({}, value))
        detector.learn_one({}, value)
    assert scores[:3] == [0, 0, 0]
    assert scores[3] > 3


@pytest.mark.parametrize("missing", [NAN, INF, -INF])
def test_a_missing_sample_scores_0_and_is_not_learned(missing):
    detector = learned([1, 2, 3], warm_up=2)
    before = (detector.mean, detector.variance, detector.n)
    assert detector.score_one({}, missing) == 0
    detector.learn_one({}, missing)
    assert (detector.mean, detector.variance, detector.n) == before


@pytest.mark.parametrize("level", [0.3, 1e6, -7.0])
def test_a_constant_has_no_variance_and_a_thousandth_of_it_is_one_deviation(level):
    """E[x²] − E[x]² gives a negative variance for a constant 0.3: field rule 9."""
    detector = learned([level] * 500, alpha=0.01)
    assert (detector.mean, detector.variance) == (level, 0.0)
    assert detector.z(level) == 0
    assert detector.z(level + 0.004 * abs(level)) == pytest.approx(4)
    assert detector.z(level - 0.004 * abs(level)) == pytest.approx(-4)
    assert detector.z(3 * level) == math.copysign(MAX_Z, level)


def test_the_first_change_of_a_constant_zero_scores_the_cap():
    detector = learned([0.0] * 500, alpha=0.01)
    assert (detector.z(0.0), detector.z(0.001), detector.z(-0.001)) == (0, MAX_Z, -MAX_Z)


def test_a_small_variance_around_a_large_level_does_not_cancel():
    detector = learned([1e6 + 0.01, 1e6 - 0.01] * 500, alpha=0.01)
    assert math.sqrt(detector.variance) == pytest.approx(0.01, rel=0.02)


def test_the_last_bits_of_a_constant_quotient_are_no_change():
    """The P99 where all of the traffic lies in one bucket is a constant, but for the rounding of 0.99 n / n."""
    totals = np.random.default_rng(1).poisson(500, 2000).astype(float)
    quantiles = histogram_quantile(0.99, np.array([0.005, 0.01, INF]), np.stack([totals] * 3))
    assert np.ptp(quantiles) > 0
    for setting in (TEXTBOOK, QUIET):
        assert episodes(quantiles, setting) == []


# river's own conventions.


def test_it_keeps_rivers_conventions(monkeypatch):
    """The checks that need a data set of scikit-learn's are for unsupervised detectors, whose learn_one has no y."""
    monkeypatch.setattr(river.checks, "_yield_datasets", lambda model, scale=1: ())
    river.checks.check_estimator(EwmaZScore())


@pytest.mark.parametrize(
    "check",
    [
        common.check_learn_one,
        common.check_clone_is_independent,
        common.check_no_state_aliasing_with_input,
        common.check_bounded_memory_growth,
    ],
)
def test_it_learns_as_rivers_models_do(check):
    check(EwmaZScore(), [({"t": float(step)}, value) for step, value in enumerate(NOISE.tolist())])


def test_a_clone_has_the_parameters_and_not_the_state():
    detector = learned([1, 2, 3], alpha=0.25, warm_up=7)
    clone = detector.clone()
    assert (clone.alpha, clone.warm_up, clone.mean, clone.n) == (0.25, 7, 0.0, 0)


# Episodes.


def test_the_documents_defaults():
    assert (TEXTBOOK.alpha, TEXTBOOK.threshold) == (0.3, 3.0)


def test_an_episode_by_hand():
    """Two crossings within five steps are one episode, told at the higher one."""
    ((found,), scored) = detect(series(noise_with({300: 110, 303: 130})), PROMPT, 0)
    detector = learned(noise_with({300: 110})[:303], alpha=PROMPT.alpha)
    assert (found.start, found.end, found.timestamp) == (at(300), at(304), at(303))
    assert (found.value, found.peak, found.direction) == (130.0, 130.0, "up")
    assert found.baseline == pytest.approx(detector.mean)
    assert found.z_score == found.score == pytest.approx((130 - detector.mean) / detector.deviation)
    width = PROMPT.threshold * detector.deviation
    assert found.band == pytest.approx((detector.mean - width, detector.mean + width))
    assert found.id == "shop/p99_latency_ms/ewma/2025-11-18T05:00:00Z"
    assert (found.metric_name, found.unit, found.category) == ("p99_latency_ms", "ms", "latency")
    assert (found.service, found.channel, found.coverage) == ("shop", "ewma", 1.0)
    assert scored == 400 - PROMPT.warm_up


def test_an_episode_downwards():
    (found,) = episodes(noise_with({300: 60}))
    assert found.direction == "down"
    assert found.z_score < 0
    assert found.score == -found.z_score


@pytest.mark.parametrize(("apart", "number"), [(1, 1), (5, 1), (6, 2)])
def test_crossings_at_most_five_steps_apart_are_one_episode(apart, number):
    assert len(episodes(noise_with({200: 130, 200 + apart: 160}))) == number


def test_a_missing_sample_within_an_episode_lowers_its_coverage():
    (found,) = episodes(noise_with({300: 120, 301: NAN, 302: NAN, 303: 150}))
    assert found.coverage == 2 / 4


@pytest.mark.parametrize(
    ("thresholds", "severity"),
    [
        (1.01, "low"),
        (1.49, "low"),
        (1.51, "medium"),
        (2.49, "medium"),
        (2.51, "high"),
        (4.99, "high"),
        (5.01, "critical"),
    ],
)
def test_severity_grows_with_the_score(thresholds, severity):
    detector = learned(NOISE[:300], alpha=PROMPT.alpha)
    value = detector.mean + thresholds * PROMPT.threshold * detector.deviation
    assert [found.severity for found in episodes(noise_with({300: value}))] == [severity]


def test_the_first_errors_after_none_are_capped_and_critical():
    (found,) = episodes([0.0] * 100 + [0.5])
    assert (found.z_score, found.severity, found.band) == (MAX_Z, "critical", (0.0, 0.0))


def test_nothing_before_the_first_step_is_an_event_but_it_is_learned():
    values = noise_with({100: 130, 300: 130})
    found, scored = detect(series(values), PROMPT, 200)
    assert [event.start for event in found] == [at(300)]
    assert scored == 200
    assert found[0].z_score == pytest.approx(episodes(values)[1].z_score)


def test_a_sample_is_scored_only_once_enough_were_learned_and_gaps_are_not_learned():
    values = np.concatenate([np.full(300, NAN), NOISE[:50]])
    assert detect(series(values), PROMPT, 0)[1] == 50 - PROMPT.warm_up
    assert detect(series(values), QUIET, 0)[1] == 0
    assert detect(series([NAN] * 100), PROMPT, 0) == ([], 0)
    assert detect(series([]), PROMPT, 0) == ([], 0)


VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1000), st.sampled_from([10.0, 11.0])), min_size=1, max_size=120)
EAGER = Setting(alpha=0.3, threshold=2.0, warm_up=5)


def present(values):
    return [NAN if value is None else value for value in values]


@given(VALUES, VALUES, st.integers(0, 120))
def test_what_comes_later_changes_no_earlier_score(values, others, cut):
    """All episodes that are over, with the steps in which a crossing would still join, are the same."""
    cut = min(cut, len(values))
    later = values[:cut] + others
    over = [
        [event for event in episodes(present(some), EAGER) if event.end + timedelta(seconds=5 * STEP) <= at(cut)]
        for some in (values[:cut] or [None], later)
    ]
    assert over[0] == over[1]


@given(VALUES, st.floats(0.001, 1000))
def test_the_unit_does_not_matter(values, scale):
    scaled = [NAN if value is None else scale * value for value in values]
    one, other = learned(present(values), warm_up=0), learned(scaled, warm_up=0)
    assert other.mean == pytest.approx(scale * one.mean, rel=1e-6, abs=1e-9)
    assert other.deviation == pytest.approx(scale * one.deviation, rel=1e-6, abs=1e-6 * scale)


@given(VALUES)
def test_a_gap_delays_the_series_and_changes_no_score(values):
    detector, holey = EwmaZScore(alpha=0.3, warm_up=5), EwmaZScore(alpha=0.3, warm_up=5)
    for value in (value for value in values if value is not None):
        holey.learn_one({}, NAN)
        assert holey.z(value) == detector.z(value)
        for each in (detector, holey):
            each.learn_one({}, value)


@given(VALUES)
def test_episodes_are_the_crossings_that_belong_together(values):
    detector, crossings = EwmaZScore(alpha=EAGER.alpha, warm_up=EAGER.warm_up), []
    for step, value in enumerate(present(values)):
        if detector.score_one({}, value) >= EAGER.threshold:
            crossings.append(step)
        detector.learn_one({}, value)
    expected = [(at(episode[0]), at(episode[-1] + 1)) for episode in episodes_naive(crossings, MERGE_STEPS)]
    assert [(event.start, event.end) for event in episodes(present(values), EAGER)] == expected


# A whole release.


def hours(day, steps=24, **columns):
    start = GA + timedelta(days=day)
    window = Window(start=start, end=start + timedelta(hours=steps))
    return Samples("shop", window, 3600, {name: np.array(values, dtype=float) for name, values in columns.items()})


def test_days_are_joined_in_time_and_what_lies_between_them_is_missing():
    joined = join([hours(-1, a=np.zeros(24)), hours(1, a=np.ones(24), b=np.ones(24))], 3600)
    assert (joined.window.start, joined.window.end) == (GA - timedelta(days=1), GA + timedelta(days=2))
    np.testing.assert_array_equal(joined.columns["a"], [0] * 24 + [NAN] * 24 + [1] * 24)
    np.testing.assert_array_equal(joined.columns["b"], [NAN] * 48 + [1] * 24)


def test_a_day_without_a_gap_has_nothing_that_came_together_earlier():
    gap = {"a": np.ones(24), "a.earlier": np.full(24, 0.5)}
    joined = join([hours(0, a=np.ones(24)), hours(1, **gap)], 3600)
    np.testing.assert_array_equal(joined.columns["a.earlier"], [0] * 24 + [0.5] * 24)


def test_a_day_of_which_nothing_else_is_told_saw_its_targets_whole():
    joined = join([hours(0, a=np.ones(24)), hours(1, **{"a": np.ones(24), "a.seen": np.full(24, 0.5)})], 3600)
    np.testing.assert_array_equal(joined.columns["a.seen"], [1] * 24 + [0.5] * 24)


def sessions(day, level=40.0):
    """A day whose number of database sessions goes up and down by one."""
    return hours(day, db_sessions=level + np.tile([-1.0, 1.0], 12))


def test_a_release_is_scored_from_ga_on_warmed_up_by_the_days_before():
    days = [sessions(day) for day in range(-7, 0)] + [sessions(0, 80.0), sessions(1, 80.0)]
    setting = Setting(alpha=0.01, threshold=7.0, warm_up=100)
    events = score_release(RELEASE, "shop", days, setting)
    assert [(event.metric_name, event.start) for event in events.anomalies] == [("db_connections", GA)]
    assert events.window == Window(start=GA, end=GA + timedelta(days=2))
    assert events.scored["db_connections"] == 48
    assert events.scored["request_rate"] == 0
    assert "request_rate: nothing to score" in events.warnings
    assert not any(warning.startswith("db_connections") for warning in events.warnings)
    assert events.detector["scored_from"] == "the days before GA warm it up"
    assert set(events.scored) == {name for name, kpi in RELEASE.kpis.items() if kpi.detect}
    assert AnomalyEvents.model_validate_json(events.model_dump_json()) == events


def test_without_history_the_first_samples_since_ga_warm_it_up():
    events = score_release(RELEASE, "shop", [sessions(0), sessions(1)], PROMPT)
    assert events.scored["db_connections"] == 48 - PROMPT.warm_up
    assert events.detector["scored_from"] == "GA; there is no history to warm up with"


def test_no_days_are_said():
    events = score_release(RELEASE, "shop", [], PROMPT)
    assert (events.anomalies, events.window) == ((), None)
    assert events.warnings == ("no day has data, so nothing was scored",)


def test_the_first_step_after_a_gap_is_no_burst():
    """3,600 requests an hour; after a gap of ten hours the next hour brings eleven hours' requests."""
    counts = np.random.default_rng(3).poisson(3600, (9, 24)).astype(float)
    days = [hours(day, http_requests=counts[at]) for at, day in enumerate(range(-7, 2))]
    counts[7, 2:12], counts[7, 12] = NAN, 11 * 3600
    earlier = np.where(np.arange(24) == 12, 10 * 3600, 0)
    for known, number in (({}, 1), ({"http_requests.earlier": earlier}, 0)):
        days[7] = hours(0, http_requests=counts[7], **known)
        events = score_release(RELEASE, "shop", days, Setting(alpha=0.01, threshold=7.0, warm_up=100))
        assert len(events.anomalies) == number
