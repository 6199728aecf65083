"""The channels by name: what they are called and take, and that scoring many series is scoring each of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly
from river.base import SupervisedAnomalyDetector

from observability.definitions import Channel
from observability.detection import channels, foreign
from observability.detection.channels import OURS, bank_of, in_effect, parameters, parse_channel, track
from observability.detection.foreign import WARM_UP
from observability.errors import ConfigError

NAN, INF = float("nan"), float("inf")
STEP = 60.0
FOREIGN = ["GaussianScorer", "HalfSpaceTrees", "LODA", "OneClassSVM", "PredictiveAnomalyDetection"]
SLOW = ["LocalOutlierFactor"]
NOISE = np.random.default_rng(5).normal(100.0, 1.0, 600)


def channel(name, threshold=None, **given):
    return Channel(name=name, threshold=threshold if name in OURS else threshold or 0.9, parameters=given)


def times(size):
    return 1_763_424_000.0 + STEP * np.arange(size)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# Names and parameters.


def test_every_channel_of_ours_can_be_made_and_has_parameters():
    for name in OURS:
        assert bank_of(Channel(name=name), 3).threshold > 0
        assert parameters(name)
        assert in_effect(Channel(name=name)) == {"threshold": bank_of(Channel(name=name), 0).threshold} | parameters(
            name
        )


def test_the_plain_ewma_is_shipped_as_the_textbook_has_it():
    assert in_effect(Channel(name="ewma")) == {"threshold": 3.0, "alpha": 0.3, "warm_up": 60}
    given = in_effect(Channel(name="ewma", threshold=4, parameters={"alpha": 0.01}))
    assert given == {"threshold": 4.0, "alpha": 0.01, "warm_up": 60}


def test_the_numbers_that_a_detector_is_tuned_with():
    assert parameters("ewma") == {"alpha": 0.3, "warm_up": 60.0}
    assert parameters("GaussianScorer") == {"grace_period": 100.0}


def test_rivers_detectors_are_all_known_and_its_filters_are_not():
    assert set(foreign.names()) == {*FOREIGN, *SLOW, "StandardAbsoluteDeviation"}
    assert "window_size" in foreign.defaults("GaussianScorer")
    assert foreign.defaults("StandardAbsoluteDeviation") == {}  # its only parameter is a statistic of river's


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ewma", Channel(name="ewma")),
        ("ewma:threshold=4", Channel(name="ewma", threshold=4)),
        ("ewma:alpha=0.01,threshold=4", Channel(name="ewma", threshold=4, parameters={"alpha": 0.01})),
        (
            "GaussianScorer:threshold=0.999,window_size=300",
            Channel(name="GaussianScorer", threshold=0.999, parameters={"window_size": 300}),
        ),
    ],
)
def test_a_channel_as_a_flag_gives_it(text, expected):
    assert parse_channel(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no channel; write a name alone, or with parameters as in GaussianScorer:threshold=0.999,"),
        (":alpha=1", "':alpha=1' is no channel"),
        ("ewma:alpha", "'ewma:alpha' is no channel"),
        ("ewma:alpha=", "'ewma:alpha=' is no channel"),
        ("ewma:alpha=.1,alpha=.2", "is no channel"),
        ("ewma:threshold=high", "The threshold in 'ewma:threshold=high' must be a number greater than 0."),
        ("ewma:threshold=-1", "must be a number greater than 0."),
        ("ewma:threshold=inf", "must be a number greater than 0."),
        ("ewna", "Unknown detector 'ewna'; did you mean 'ewma'?"),
        ("gaussianscorer:threshold=1", "Unknown detector 'gaussianscorer'; did you mean 'GaussianScorer'?"),
        ("x", "Unknown detector 'x'; known are "),
        ("QuantileFilter:threshold=1", "Unknown detector 'QuantileFilter'; known are "),
        ("ewma:alfa=0.1", "'ewma' has no parameter 'alfa'; did you mean 'alpha'?"),
        ("ewma:tau=5", "'ewma' has no parameter 'tau'; it has alpha, warm_up."),
        ("ewma:alpha=fast", "'ewma': alpha must be a number, and is 'fast'."),
        ("ewma:alpha=nan", "'ewma': alpha must be a number, and is 'nan'."),
        ("ewma:alpha=true", "'ewma': alpha must be a number, and is True."),
        ("ewma:alpha=2", "'ewma' cannot be used with alpha=2: alpha must lie between 0 and 1, and is 2."),
        ("ewma:warm_up=-1", "'ewma' cannot be used with warm_up=-1: warm_up must not be negative, and is -1."),
        (
            "GaussianScorer",
            "'GaussianScorer' is river's, and comes without a threshold; give it one: `GaussianScorer: {",
        ),
        (
            "GaussianScorer:threshold=1,window=3",
            "'GaussianScorer' has no parameter 'window'; did you mean 'window_size'?",
        ),
        ("GaussianScorer:threshold=1,window_size=abc", "'GaussianScorer' cannot be used with window_size='abc': "),
        ("GaussianScorer:threshold=1,window_size=-3", "'GaussianScorer' cannot be used with window_size=-3: "),
        (
            "StandardAbsoluteDeviation:threshold=1,sub_stat=3",
            "has no parameter 'sub_stat'; it has none that can be given.",
        ),
    ],
)
def test_what_is_no_channel_is_said_in_one_sentence(text, said):
    with pytest.raises(ConfigError) as error:
        parse_channel(text)
    assert said in str(error.value)
    assert str(error.value).count("\n") == 0
    assert str(error.value)[-1] in ".?"


def test_a_bank_of_an_unknown_detector_is_refused():
    with pytest.raises(ConfigError, match="Unknown detector 'ewna'"):
        bank_of(Channel(name="ewna"), 3)


# Many series.

SERIES = st.lists(
    st.tuples(
        st.sampled_from([60.0, 60.0, 60.0, 0.0, -300.0, 1e8]),
        st.one_of(st.just(NAN), st.floats(-1e6, 1e6), st.sampled_from([0.0, 10.0, INF])),
    ),
    max_size=40,
)


@pytest.mark.parametrize("name", [*OURS, "GaussianScorer"])
@settings(max_examples=30)
@given(several=st.lists(SERIES, max_size=4), block=st.sampled_from([1, 7, 1000]))
def test_many_series_are_scored_as_each_of_them_alone(name, several, block):
    whens = [np.cumsum([later for later, _ in one], dtype=float) for one in several]
    values = [np.array([value for _, value in one], dtype=float) for one in several]
    quick = channel(name, **({"warm_up": 3} if "warm_up" in parameters(name) else {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channels, "BLOCK", block)
        patch.setattr(foreign, "WARM_UP", 3)
        together = track(quick, whens, values)
        assert len(together) == len(several)
        for reading, t, one in zip(together, whens, values, strict=True):
            assert reading.score.shape == one.shape
            assert_same(reading, track(quick, [t], [one])[0])


@pytest.mark.parametrize("name", OURS)
def test_equal_times_of_all_series_give_what_times_of_each_give(name):
    """The fast path has one time for all; a series that begins a second later makes it one time each."""
    t, values = times(NOISE.size), [NOISE, 2 * NOISE]
    same = track(Channel(name=name), [t, t.copy()], values)
    other = track(Channel(name=name), [t, t, t + 1], [*values, NOISE])
    for one, of_each in zip(same, other[:2], strict=True):
        assert_same(one, of_each)


def test_each_sample_is_scored_before_it_is_learned():
    """Of a series that is cut off, nothing is different: no score knows what comes later."""
    for name in OURS:
        (whole,), (part,) = (track(Channel(name=name), [times(n)], [NOISE[:n]]) for n in (600, 350))
        assert_same([column[:350] for column in whole], part)


def test_no_series_and_empty_series():
    assert track(Channel(name="ewma"), [], []) == []
    (empty, full) = track(Channel(name="ewma"), [np.array([]), times(600)], [np.array([]), NOISE])
    assert [column.shape for column in empty[:-1]] == [(0,)] * 5
    assert full.scored.sum() == 540


def test_how_much_is_done_is_told(monkeypatch):
    monkeypatch.setattr(channels, "BLOCK", 200)
    told = []
    track(Channel(name="ewma"), [times(600), times(300)], [NOISE, NOISE[:300]], told.append)
    assert told == [0, pytest.approx(1 / 3), pytest.approx(2 / 3)]


# River's detectors.


def rivers_own(name, values, **given):
    """What a plain loop over one of river's detectors gives: every sample scored, then learned."""
    detector = getattr(anomaly, name)(**given)
    scores = []
    for second, value in zip(times(values.size).tolist(), values.tolist(), strict=True):
        is_supervised = isinstance(detector, SupervisedAnomalyDetector)
        sample = ({"t": second}, value) if is_supervised else ({"value": value},)
        scores.append(detector.score_one(*sample))
        detector.learn_one(*sample)
    return np.array(scores)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("GaussianScorer", {"window_size": 50, "grace_period": 20}),
        ("StandardAbsoluteDeviation", {}),
        ("LODA", {"n_random_cuts": 5, "seed": 3}),
        ("LocalOutlierFactor", {"n_neighbors": 5}),
    ],
)
def test_a_detector_of_rivers_scores_as_in_a_loop_over_it(name, given):
    values = NOISE[:250]
    (reading,) = track(channel(name, **given), [times(values.size)], [values])
    assert not reading.scored[:WARM_UP].any()
    assert reading.scored[WARM_UP:].all()
    np.testing.assert_array_equal(reading.score[WARM_UP:], rivers_own(name, values, **given)[WARM_UP:])
    assert all(np.isnan(column).all() for column in reading[2:])


@pytest.mark.parametrize("name", [name for name in FOREIGN if name != "OneClassSVM"] + ["StandardAbsoluteDeviation"])
def test_a_spike_scores_highest_with_nearly_all_of_rivers_detectors(name):
    """Also with HalfSpaceTrees, which takes values from 0 to 1 only, and for values of any size. River's one-class SVM
    is linear: of a single number it sees one side."""
    for scale in (1e-6, 1.0, 1e9):
        values = scale * NOISE
        values[500] *= 1.5
        (reading,) = track(channel(name), [times(values.size)], [values])
        assert reading.scored[500]
        assert int(np.argmax(np.where(np.arange(values.size) < 450, 0, reading.score))) == 500


@pytest.mark.parametrize("name", FOREIGN)
def test_the_same_samples_give_the_same_scores(name):
    first, second = (track(channel(name), [times(300)], [NOISE[:300]])[0] for _ in range(2))
    assert_same(first, second)


def test_what_is_missing_or_late_is_neither_scored_nor_learned_by_rivers_detectors():
    gappy, t = NOISE.copy(), times(NOISE.size)
    gappy[[150, 200]] = NAN, INF
    t[250] = t[249]
    (reading,) = track(channel("StandardAbsoluteDeviation"), [t], [gappy])
    kept = np.delete(np.arange(NOISE.size), [150, 200, 250])
    (without,) = track(channel("StandardAbsoluteDeviation"), [t[kept]], [NOISE[kept]])
    assert not reading.scored[[150, 200, 250]].any()
    np.testing.assert_array_equal(reading.score[kept], without.score)


def test_a_score_that_is_no_number_is_none(monkeypatch):
    answers = iter([math.inf, math.nan, ZeroDivisionError, OverflowError, ValueError, 0.5] * 100)

    def answer(self, x, y):
        found = next(answers)
        if isinstance(found, float):
            return found
        raise found

    monkeypatch.setattr(anomaly.GaussianScorer, "score_one", answer)
    (reading,) = track(channel("GaussianScorer"), [times(200)], [NOISE[:200]])
    assert set(reading.score[reading.scored]) == {0.5}
    assert 10 < reading.scored.sum() < 20
