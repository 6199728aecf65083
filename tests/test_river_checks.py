"""Our detectors keep river's conventions: its own checks of an estimator, on each of ours."""

import pickle

import numpy as np
import pytest
import river.checks
from river import anomaly, dummy, stats
from river.checks import common

from observability.detection.ewma import EwmaZScore
from observability.detection.novelty import Novelty
from observability.detection.significance import Significance

OURS = [EwmaZScore, Significance, Novelty]
NOISE = np.random.default_rng(7).normal(100.0, 1.0, 400)


@pytest.mark.parametrize("estimator", OURS)
def test_it_keeps_rivers_conventions(estimator, monkeypatch):
    """The checks that need a data set of scikit-learn's are for unsupervised detectors, whose learn_one has no y."""
    monkeypatch.setattr(river.checks, "_yield_datasets", lambda model, scale=1: ())
    river.checks.check_estimator(estimator())


@pytest.mark.parametrize("estimator", OURS)
@pytest.mark.parametrize(
    "check",
    [
        common.check_learn_one,
        common.check_clone_is_independent,
        common.check_no_state_aliasing_with_input,
        common.check_bounded_memory_growth,
    ],
)
def test_it_learns_as_rivers_models_do(check, estimator):
    check(estimator(), [({"t": 60.0 * step}, value) for step, value in enumerate(NOISE.tolist())])


@pytest.mark.parametrize("estimator", OURS)
def test_a_clone_has_the_parameters_and_not_the_state(estimator):
    detector = estimator()
    for step, value in enumerate(NOISE.tolist()):
        detector.learn_one({"t": 60.0 * step}, value)
    clone, new = detector.clone(), estimator()
    assert clone._get_params() == new._get_params()
    later = {"t": 60.0 * NOISE.size}
    assert clone.score_one(later, 200.0) == new.score_one(later, 200.0)
    assert detector.score_one(later, 200.0) > 0


@pytest.mark.parametrize("estimator", OURS)
def test_a_pickled_one_goes_on_where_it_was(estimator):
    """River's own check of this is for models that predict."""
    detector = estimator()
    for step, value in enumerate(NOISE.tolist()):
        detector.learn_one({"t": 60.0 * step}, value)
    other, later = pickle.loads(pickle.dumps(detector)), {"t": 60.0 * NOISE.size}
    assert other.score_one(later, 200.0) == detector.score_one(later, 200.0) > 0


@pytest.mark.parametrize(
    "detector", [EwmaZScore(alpha=0.2), Significance(level_h=1.0, threshold=4.0), Novelty(warm_up_h=1.0)]
)
def test_a_clone_of_one_with_other_parameters_has_these(detector):
    assert detector.clone()._get_params() == detector._get_params() != type(detector)()._get_params()
    for step, value in enumerate(NOISE.tolist()):
        detector.learn_one({"t": 60.0 * step}, value)
    again, later = detector.clone(), {"t": 60.0 * NOISE.size}
    for step, value in enumerate(NOISE.tolist()):
        again.learn_one({"t": 60.0 * step}, value)
    assert again.score_one(later, 200.0) == detector.score_one(later, 200.0) > 0


@pytest.mark.parametrize("estimator", [Significance, Novelty])
def test_a_new_one_scores_nothing_and_says_what_it_needs(estimator):
    assert estimator().score_one({"t": 0.0}, 1e9) == 0.0
    with pytest.raises(ValueError, match=r'needs x = \{"t": seconds since the epoch\}'):
        estimator().score_one({"time": 0.0}, 1.0)


def test_it_guards_a_model_in_a_pipeline_of_rivers():
    """River's filter lets a model learn only what does not score too high; here it would learn 1,000 once."""
    guarded = anomaly.ThresholdFilter(Significance(), threshold=5.0) | dummy.StatisticRegressor(stats.Mean())
    alone = dummy.StatisticRegressor(stats.Mean())
    values = [*NOISE.tolist(), 1000.0]
    for step, value in enumerate(values):
        for model in (guarded, alone):
            model.learn_one({"t": 60.0 * step}, value)
    assert guarded.predict_one({"t": 1e6}) == pytest.approx(NOISE.mean())
    assert alone.predict_one({"t": 1e6}) == pytest.approx(np.mean(values))
