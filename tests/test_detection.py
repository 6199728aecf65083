"""The online detector and its episodes: by hand, against the textbook's weights, and what must hold for any series."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import episodes_naive, ewma_naive

from observability import stages
from observability.definitions import Channel, Maintenance
from observability.detection import anomalies
from observability.detection.anomalies import join, score_release
from observability.detection.bank import Reading
from observability.detection.channels import OURS, in_effect, track
from observability.detection.counts import surplus
from observability.detection.episodes import MERGE_STEPS, Block, Episodes, Steps, Subject
from observability.detection.ewma import MAX_Z, EwmaBank, EwmaZScore
from observability.errors import ConfigError
from observability.events import AnomalyEvents
from observability.kpi import histogram_quantile
from observability.model import Samples, Window
from observability.release import flags_release

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = 60
RELEASE = flags_release(GA, "http://localhost:9090", timedelta(hours=1))
P99 = RELEASE.kpis["p99_latency_ms"]
NAN, INF = float("nan"), float("inf")


def ewma(alpha, threshold, warm_up=60):
    return Channel(name="ewma", threshold=threshold, parameters={"alpha": alpha, "warm_up": warm_up})


PROMPT, SLOW = ewma(0.05, 6.0, 20), ewma(0.01, 7.0, 100)
NOISE = np.random.default_rng(7).normal(100.0, 1.0, 400)


def episodes_of(kpi, values, channel, threshold, reading, first=0, samples=None):
    """What one series' readings come to, those that may go on included."""

    def events(_, step, expected):
        found = None if samples is None else surplus(kpi, samples, [step], np.array([expected]))
        return NAN if found is None else float(found[0])

    values = np.array(values, dtype=float)[:, np.newaxis]
    found = Episodes(channel, threshold, [Subject("shop", kpi)], Steps(GA, STEP), first)
    table = Reading(*(column[:, np.newaxis] for column in reading[:5]))
    over = found.take(Block(0, values, np.cumsum(np.isfinite(values), axis=0), events), table)
    return [event for _, _, event in over] + found.ongoing()


def read(values, channel=PROMPT):
    times = GA.timestamp() + STEP * np.arange(len(values))
    return track(channel, [times], [np.array(values, dtype=float)])[0]


def episodes(values, channel=PROMPT, first=0):
    return episodes_of(P99, values, channel.name, in_effect(channel)["threshold"], read(values, channel), first)


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
    for channel in (Channel(name="ewma"), SLOW):
        assert episodes(quantiles, channel) == []


# Episodes.


def test_an_episode_by_hand():
    """Two crossings within five steps are one episode, told at the higher one."""
    (found,) = episodes(noise_with({300: 110, 303: 130}))
    detector = learned(noise_with({300: 110})[:303], alpha=0.05)
    assert (found.start, found.end, found.timestamp) == (at(300), at(304), at(303))
    assert (found.value, found.peak, found.direction) == (130.0, 130.0, "up")
    assert found.baseline == pytest.approx(detector.mean)
    assert found.z_score == found.score == pytest.approx((130 - detector.mean) / detector.deviation)
    width = 6 * detector.deviation
    assert found.band == pytest.approx((detector.mean - width, detector.mean + width))
    assert found.id == "shop/p99_latency_ms/ewma/2025-11-18T05:00:00Z"
    assert (found.metric_name, found.unit, found.category) == ("p99_latency_ms", "ms", "latency")
    assert (found.service, found.channel, found.coverage) == ("shop", "ewma", 1.0)


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
    noise = NOISE - 60  # around 40, of which 6 deviations are more than a tenth
    detector = learned(noise[:300], alpha=0.05)
    noise[300] = detector.mean + thresholds * 6 * detector.deviation
    assert [found.severity for found in episodes(noise)] == [severity]


@pytest.mark.parametrize(
    ("kpi", "value", "expected", "is_low"),
    [
        ("avg_memory_percent", 42.0, 41.9, True),  # the last digit of a gauge that stood still
        ("avg_memory_percent", 46.0, 41.9, True),  # 4.1 of 41.9
        ("avg_memory_percent", 46.2, 41.9, False),
        ("avg_memory_percent", 95.9, 95.0, False),  # 0.9 of the 5 that were left
        ("avg_memory_percent", 95.4, 95.0, True),
        ("db_connections", 0.01, 0.0, False),
        ("db_connections", 109.0, 100.0, True),  # 100 connections are no per cent
        ("overall_error_rate", 1.05, 1.0, False),  # counted events
        ("overall_availability", 99.0, 99.9, False),
        ("avg_memory_percent", 42.0, NAN, False),  # river's detectors expect nothing
    ],
)
def test_a_small_move_is_low_however_far_off_it_is(kpi, value, expected, is_low):
    one = [np.array([number]) for number in (200.0, expected, NAN, NAN)]
    (found,) = episodes_of(RELEASE.kpis[kpi], [value], "significance", 5.0, Reading(np.array([True]), *one))
    assert found.severity == ("low" if is_low else "critical")


def errors_of(*failed):
    """Requests, 100 a minute, of which so many failed in each."""
    of = Samples("shop", Window(start=GA, end=GA + timedelta(minutes=len(failed))), STEP, {})
    of.columns.update(http_requests=np.full(len(failed), 100.0), http_errors=np.array(failed, dtype=float))
    return of


@pytest.mark.parametrize(
    ("failed", "anomalies"),
    [
        ([0, 1, 0, 0], 0),  # one failed request is 1 % of the minute's, and chance
        ([0, 1, 1, 1, 1, 0], 0),
        ([0, 1, 1, 1, 1, 1, 0], 1),  # five in a row are not
        ([0, 5, 0, 0], 1),
        ([0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1], 1),  # nor are five in one episode
        ([4, 0, 0, 0, 0, 0, 0, 0, 4], 0),
    ],
)
def test_an_anomaly_stands_on_five_events(failed, anomalies):
    n = len(failed)
    reading = Reading(np.full(n, True), 10.0 * np.array(failed), np.zeros(n), np.zeros(n), np.zeros(n))
    kpi, samples = RELEASE.kpis["overall_error_rate"], errors_of(*failed)
    assert len(episodes_of(kpi, failed, "significance", 5.0, reading, samples=samples)) == anomalies
    unknown = reading._replace(expected=np.full(n, NAN))
    assert (
        len(episodes_of(kpi, failed, "GaussianScorer", 5.0, unknown, samples=samples)) > 0
    )  # whether it does is not known


def test_the_first_errors_after_none_are_capped_and_critical():
    (found,) = episodes([0.0] * 100 + [0.5])
    assert (found.z_score, found.severity, found.band) == (MAX_Z, "critical", (0.0, 0.0))


def test_nothing_before_the_first_step_is_an_event_but_it_is_learned():
    values = noise_with({100: 130, 300: 130})
    found = episodes(values, first=200)
    assert [event.start for event in found] == [at(300)]
    assert found[0].z_score == pytest.approx(episodes(values)[1].z_score)


def test_a_sample_is_scored_only_once_enough_were_learned_and_gaps_are_not_learned():
    values = np.concatenate([np.full(300, NAN), NOISE[:50]])
    assert read(values).scored.sum() == 50 - 20
    assert read(values, SLOW).scored.sum() == 0
    assert episodes([NAN] * 100) == episodes([]) == []


VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1000), st.sampled_from([10.0, 11.0])), min_size=1, max_size=120)
EAGER = ewma(0.3, 2.0, 5)


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
    detector, crossings = EwmaZScore(alpha=0.3, warm_up=5), []
    for step, value in enumerate(present(values)):
        if detector.score_one({}, value) >= 2:
            crossings.append(step)
        detector.learn_one({}, value)
    expected = [(at(episode[0]), at(episode[-1] + 1)) for episode in episodes_naive(crossings, MERGE_STEPS)]
    assert [(event.start, event.end) for event in episodes(present(values), EAGER)] == expected


# What other detectors say.


def spoken(channel, score, threshold=5.0, expected=NAN, low=NAN, high=NAN):
    """The one anomaly of a reading of which a single sample, of value 130, reaches the threshold."""
    values = noise_with({300: 130})
    columns = [np.where(np.arange(400) == 300, one, NAN) for one in (expected, low, high)]
    scored = np.ones(400, dtype=bool)
    reading = Reading(scored, np.where(np.arange(400) == 300, score, 0.0), *columns)
    (found,) = episodes_of(P99, values, channel, threshold, reading)
    return found


def test_a_detector_that_expects_nothing_names_no_side():
    found = spoken("GaussianScorer", 7.0)
    assert (found.baseline, found.band, found.direction) == (None, None, None)
    assert (found.score, found.z_score) == (7.0, 7.0)


def test_an_end_of_the_band_that_no_value_can_reach_is_none():
    found = spoken("novelty", 7.0, expected=200.0, low=150.0, high=INF)
    assert (found.band, found.direction, found.z_score) == ((150.0, None), "down", -7.0)
    assert AnomalyEvents.model_validate_json(AnomalyEvents(anomalies=(found,)).model_dump_json()).anomalies == (found,)


@pytest.mark.parametrize("thresholds", [1.01, 1.51, 2.51, 5.01, 1000])
def test_only_what_measures_harm_is_more_than_medium(thresholds):
    low_or_medium = "low" if thresholds < 1.5 else "medium"
    assert spoken("novelty", 5 * thresholds).severity == low_or_medium
    assert spoken("HalfSpaceTrees", 5 * thresholds).severity == low_or_medium
    assert (spoken("significance", 5 * thresholds).severity == low_or_medium) == (thresholds < 2.5)


# A whole release.


def hours(day, steps=24, **columns):
    start = GA + timedelta(days=day)
    window = Window(start=start, end=start + timedelta(hours=steps))
    return Samples("shop", window, 3600, {name: np.array(values, dtype=float) for name, values in columns.items()})


def joined_of(*days):
    return join(days, 3600, Window(start=days[0].window.start, end=days[-1].window.end))


def test_days_are_joined_in_time_and_what_lies_between_them_is_missing():
    joined = joined_of(hours(-1, a=np.zeros(24)), hours(1, a=np.ones(24), b=np.ones(24)))
    assert (joined.window.start, joined.window.end) == (GA - timedelta(days=1), GA + timedelta(days=2))
    np.testing.assert_array_equal(joined.columns["a"], [0] * 24 + [NAN] * 24 + [1] * 24)
    np.testing.assert_array_equal(joined.columns["b"], [NAN] * 48 + [1] * 24)


def test_a_day_without_a_gap_has_nothing_that_came_together_earlier():
    gap = {"a": np.ones(24), "a.earlier": np.full(24, 0.5)}
    joined = joined_of(hours(0, a=np.ones(24)), hours(1, **gap))
    np.testing.assert_array_equal(joined.columns["a.earlier"], [0] * 24 + [0.5] * 24)


def test_a_day_of_which_nothing_else_is_told_saw_its_targets_whole():
    joined = joined_of(hours(0, a=np.ones(24)), hours(1, **{"a": np.ones(24), "a.seen": np.full(24, 0.5)}))
    np.testing.assert_array_equal(joined.columns["a.seen"], [1] * 24 + [0.5] * 24)


def sessions(day, level=40.0):
    """A day whose number of database sessions goes up and down by one."""
    return hours(day, db_sessions=level + np.tile([-1.0, 1.0], 12))


def scored(days, *channels):
    """The shop's events, scored with the channels."""
    return score_release(RELEASE.model_copy(update={"channels": channels}), {"shop": days})["shop"]


def test_a_release_is_scored_from_ga_on_warmed_up_by_the_days_before():
    days = [sessions(day) for day in range(-7, 0)] + [sessions(0, 80.0), sessions(1, 80.0)]
    events = scored(days, SLOW)
    assert [(event.metric_name, event.start) for event in events.anomalies] == [("db_connections", GA)]
    assert events.window == Window(start=GA, end=GA + timedelta(days=2))
    assert events.scored["db_connections"] == 48
    assert events.scored["request_rate"] == 0
    assert "request_rate: no data since GA, so nothing was scored" in events.warnings
    assert not any(warning.startswith("db_connections") for warning in events.warnings)
    assert events.detector["scored_from"] == "GA, warmed up by the days before it"
    assert set(events.scored) == {name for name, kpi in RELEASE.kpis.items() if kpi.detect}
    assert AnomalyEvents.model_validate_json(events.model_dump_json()) == events


def test_a_kpi_that_stays_where_it_went_is_at_a_new_level():
    """From 39 and 41 in turn to 79 and 81: noticed when it has been there for a day."""
    events = scored([*SHIFTED, sessions(2, 80.0), sessions(3, 800.0)], SIGNIFICANCE, SLOW)
    (level,), (plain, anomaly, later, _) = events.new_levels, events.anomalies
    assert (level.since, level.noticed) == (GA, GA + timedelta(days=1))
    assert (level.before, level.after, level.settled) == (pytest.approx(40, abs=1.1), pytest.approx(80, abs=1.1), True)
    assert level.after - level.before == pytest.approx(40, abs=0.1)
    assert (level.metric_name, level.unit, level.service, level.channel, level.in_maintenance) == (
        ("db_connections", "connections", "shop", "significance", False)
    )
    assert level.anomalies == (plain.id, anomaly.id)  # of all channels, but not
    assert later.timestamp > level.noticed
    assert AnomalyEvents.model_validate_json(events.model_dump_json()) == events


def test_a_kpi_that_went_and_goes_on_is_not_said_to_have_settled():
    """Up from 40 by 20 sessions a day, for four days."""
    leak = [hours(day, db_sessions=40 + 20 * day + 20 / 24 * np.arange(1.0, 25.0)) for day in range(4)]
    (level,) = scored([*SHIFTED[:7], *leak], SIGNIFICANCE).new_levels
    assert (level.settled, level.noticed >= GA + timedelta(days=3)) == (False, True)
    assert level.before < level.after


def test_a_new_level_from_before_ga_is_not_told():
    days = [sessions(day, 40.0 if day < -2 else 80.0) for day in range(-7, 3)]
    assert scored(days, SIGNIFICANCE).new_levels == ()


@pytest.mark.parametrize(("threshold", "is_far"), [(8.0, True), (1.5, False)])
def test_a_threshold_of_rivers_that_no_score_comes_near_is_told(threshold, is_far):
    """GaussianScorer's scores end at 1, which the move of the sessions comes to: of 216 hours, 100 warm it up."""
    text = "GaussianScorer: highest score 1 of 116 samples, the threshold is 8"
    events = scored(SHIFTED, Channel(name="GaussianScorer", threshold=threshold), SLOW)
    assert [warning for warning in events.warnings if "highest score" in warning] == ([text] if is_far else [])


def test_only_rivers_thresholds_are_doubted_and_only_where_every_kpi_is_far_from_them():
    far, near = [sessions(day) for day in range(-7, 2)], SHIFTED
    channels = (RIVERS.model_copy(update={"threshold": 8.0}), ewma(0.01, 1000.0, 100))
    release = RELEASE.model_copy(update={"channels": channels, "services": ("shop", "cart")})
    told = [score_release(release, {"shop": far, "cart": cart})["shop"].warnings for cart in (far, near)]
    names = [[text.partition(":")[0] for text in one if "highest score" in text] for one in told]
    assert names == [["StandardAbsoluteDeviation"], []]
    assert not any(text.startswith("StandardAbsoluteDeviation: highest") for text in told[1])


@pytest.mark.parametrize(("begins", "inside"), [(-1, True), (0, True), (1, False)])
def test_a_new_level_that_came_with_maintenance_is_marked(begins, inside):
    start = GA + timedelta(hours=begins)
    window = Maintenance(start=start, end=start + timedelta(hours=2))
    release = RELEASE.model_copy(update={"services": ("shop",), "channels": (SIGNIFICANCE,), "maintenance": (window,)})
    (level,) = score_release(release, {"shop": SHIFTED}, lambda *_: None)["shop"].new_levels
    assert level.in_maintenance is inside


def test_how_much_is_scored_is_told():
    told = []
    release = RELEASE.model_copy(update={"channels": (SLOW, RIVERS)})
    score_release(release, {"shop": SHIFTED}, lambda text, share: told.append((text, share)))
    assert told == [("15 KPIs", 0.0)]  # one block of steps


def test_without_history_the_first_samples_since_ga_warm_it_up():
    events = scored([sessions(0), sessions(1)], PROMPT)
    assert events.scored["db_connections"] == 48 - 20
    assert events.detector["scored_from"] == "GA, without history to warm up with"
    assert events.warnings[0] == (
        "without a day of history, joint evidence is told from 2025-11-19T01:00:00Z on; before, only what users feel"
    )


def test_no_days_are_said():
    events = scored([], PROMPT)
    assert (events.anomalies, events.window) == ((), None)
    assert events.warnings == ("no day has data, so nothing was scored",)
    assert set(events.scored.values()) == {0}  # no data, which is not "no anomaly"
    assert events.detector["channels"] == {"ewma": in_effect(PROMPT)}
    assert events.detector["incidents"]["threshold"] == 6.2


def test_too_few_samples_to_warm_up_are_no_score():
    events = scored([sessions(0)], Channel(name="significance"), Channel(name="novelty"), SLOW)
    assert (events.anomalies, events.scored["db_connections"]) == ((), 0)
    assert "db_connections: significance, novelty and ewma could score none of the 24 values since GA" in (
        events.warnings
    )


def test_the_first_step_after_a_gap_is_no_burst():
    """3,600 requests an hour; after a gap of ten hours the next hour brings eleven hours' requests."""
    counts = np.random.default_rng(3).poisson(3600, (9, 24)).astype(float)
    days = [hours(day, http_requests=counts[at]) for at, day in enumerate(range(-7, 2))]
    counts[7, 2:12], counts[7, 12] = NAN, 11 * 3600
    earlier = np.where(np.arange(24) == 12, 10 * 3600, 0)
    for known, number in (({}, 1), ({"http_requests.earlier": earlier}, 0)):
        days[7] = hours(0, http_requests=counts[7], **known)
        events = scored(days, SLOW)
        assert len(events.anomalies) == number


RIVERS = Channel(name="StandardAbsoluteDeviation", threshold=4.0)
SIGNIFICANCE = Channel(name="significance")
SHIFTED = [sessions(day) for day in range(-7, 0)] + [sessions(0, 80.0), sessions(1, 80.0)]


def test_each_channel_tells_its_own_anomalies_and_is_named_with_all_of_its_numbers():
    events = scored(SHIFTED, SLOW, RIVERS)
    assert [(event.start, event.channel) for event in events.anomalies] == [
        (GA, "StandardAbsoluteDeviation"),
        (GA, "ewma"),
    ]
    assert len({event.id for event in events.anomalies}) == 2
    assert [event.severity for event in events.anomalies] == ["medium", "critical"]
    assert events.detector["channels"] == {
        "ewma": {"threshold": 7.0, "alpha": 0.01, "warm_up": 100},
        "StandardAbsoluteDeviation": {"threshold": 4.0},
    }
    assert events.scored["db_connections"] == 48


def test_a_release_tells_no_single_failed_request():
    """100 requests an hour. One that fails is told by no channel; ten in another hour are."""
    requests, failed = np.full(24, 100.0), np.zeros(24)
    failed[[5, 15]] = 1, 10
    days = [hours(day, http_requests=requests, http_errors=np.zeros(24)) for day in range(-7, 0)]
    events = scored([*days, hours(0, http_requests=requests, http_errors=failed)], SLOW, SIGNIFICANCE)
    assert {
        (event.channel, event.start) for event in events.anomalies if event.metric_name == "overall_error_rate"
    } == {
        ("ewma", GA + timedelta(hours=15)),
        ("significance", GA + timedelta(hours=15)),
    }


def test_a_channel_that_scores_nothing_while_another_does_is_named():
    events = scored([sessions(0), sessions(1)], PROMPT, RIVERS)
    assert "db_connections: StandardAbsoluteDeviation could score none of the 48 values since GA" in events.warnings
    assert events.scored["db_connections"] == 48 - 20
    assert "request_rate: no data since GA, so nothing was scored" in events.warnings


def test_services_are_scored_side_by_side_as_each_alone(monkeypatch):
    """Also one whose days end earlier, one without days, and however the time is cut."""
    release = RELEASE.model_copy(update={"services": ("shop", "cart", "none"), "channels": (SLOW, RIVERS)})
    days = {"shop": SHIFTED, "cart": SHIFTED[2:-1], "none": []}
    alone = {service: score_release(release, {service: found})[service] for service, found in days.items()}
    for block in (anomalies.BLOCK, 1, 7):
        monkeypatch.setattr(anomalies, "BLOCK", block)
        assert score_release(release, days) == alone
    assert len(alone["cart"].anomalies) == 2


def test_the_detectors_are_told_the_time_of_day(monkeypatch):
    """Seconds since the epoch, from the first day's start on."""
    asked = []

    class Timed(EwmaBank):
        def read_many(self, t, values, learn=False):
            asked.append(t)
            return super().read_many(t, values, learn)

    monkeypatch.setitem(OURS, "ewma", Timed)
    scored(SHIFTED, SLOW)
    np.testing.assert_array_equal(asked, GA.timestamp() + 3600 * np.arange(-7 * 24, 2 * 24))


def test_the_flags_put_the_plain_ewma_beside_the_other_channels():
    assert stages.with_ewma(RELEASE) is RELEASE
    found = stages.with_ewma(RELEASE, threshold=4.0).channels
    assert found == (*RELEASE.channels, Channel(name="ewma", threshold=4.0))
    assert in_effect(found[-1])["alpha"] == 0.3
    assert in_effect(stages.with_ewma(RELEASE, alpha=0.1).channels[-1]) == {"threshold": 3, "alpha": 0.1, "warm_up": 60}


@pytest.mark.parametrize("flags", [{"alpha": NAN}, {"threshold": NAN}, {"threshold": INF}])
def test_a_flag_that_is_no_number_is_refused(flags):
    with pytest.raises(ConfigError, match="is no number that a detector can use"):
        stages.with_ewma(RELEASE, **flags)


def test_the_flags_change_the_plain_ewma_that_the_release_file_has():
    release = RELEASE.model_copy(update={"channels": (SLOW, RIVERS)})
    assert stages.with_ewma(release, threshold=3.0).channels == (RIVERS, ewma(0.01, 3.0, 100))
    assert stages.with_ewma(release, alpha=0.3).channels == (RIVERS, ewma(0.3, 7.0, 100))


# What several detectors say of one thing is one thing.


def told(channel, severity, first, last, **fields):
    event = episodes(noise_with({300: 130}))[0]
    changed = {"channel": channel, "severity": severity, "start": at(first), "end": at(last), **fields}
    return event.model_copy(update=changed)


def test_of_anomalies_of_one_kpi_at_one_time_the_most_severe_counts():
    novelty, high = told("novelty", "medium", 10, 20), told("significance", "high", 12, 30)
    after, other = told("ewma", "low", 30, 31), told("novelty", "medium", 12, 30, metric_name="request_rate")
    assert AnomalyEvents(anomalies=(novelty, high, after, other)).distinct == (high, after, other)


def test_of_equal_ones_the_first_counts_and_without_their_ends_all_do():
    first, second = told("novelty", "medium", 10, 20), told("ewma", "medium", 10, 20)
    assert AnomalyEvents(anomalies=(first, second)).distinct == (first,)
    legacy = [told("unknown", "medium", 10, 20, end=None) for _ in range(2)]
    assert AnomalyEvents(anomalies=legacy).distinct == tuple(legacy)


def test_what_lies_in_maintenance_hides_nothing():
    inside, outside = told("ewma", "critical", 10, 20, in_maintenance=True), told("novelty", "low", 10, 40)
    assert AnomalyEvents(anomalies=(inside, outside)).distinct == (inside, outside)
