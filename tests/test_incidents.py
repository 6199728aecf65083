"""Incidents: by hand, by a plain twin however time is cut, and those of the shipped recording."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stream import BASE, RELEASE

from observability.definitions import Channel, Direction, Maintenance
from observability.detection.anomalies import dressed, placed, score_release
from observability.detection.bank import Reading
from observability.detection.episodes import Block, Steps, Subject
from observability.detection.incidents import LEAST_SHARE, Evidence, Gathering, Incidents
from observability.detection.joint import THRESHOLD
from observability.detection.stream import Stream
from observability.events import Anomaly, Incident, Suspect
from observability.model import Samples, Window
from observability.release import load
from observability.sources.recording import Recording
from test_data.events import BURST

NAN = float("nan")
T0, MINUTE = datetime(2025, 11, 20, 14, tzinfo=UTC), timedelta(minutes=1)
STEPS = Steps(T0, 60)
NAMES = ("overall_error_rate", "p99_latency_ms", "db_connections", "avg_redis_hit_rate")
SHOP = [Subject("shop", BASE.kpis[name]) for name in NAMES]
FAR = np.log1p(4.0) ** 1.5 + 1e-9  # evidence of a KPI that is four of its usual deviations off


def at(step):
    return T0 + step * MINUTE


def numbers(*given):
    return np.array(given, dtype=np.intp)


# Put together, at a threshold of 10.


def evidence_of(scores, alarmed=(), evidence=None, values=None, expected=None, symptom=None):
    """Of one service of four KPIs. ``alarmed``: the steps in which the first one is far from normal."""
    steps = len(scores)
    told = np.tile([FAR, 0.0, 0.0, 0.0], (steps, 1)) if evidence is None else np.array(evidence, dtype=float)
    is_alarmed = np.zeros((steps, 4), dtype=bool)
    is_alarmed[list(alarmed), 0] = True
    return Evidence(
        joint=np.array(scores, dtype=float)[:, np.newaxis],
        symptom=np.zeros((steps, 1)) if symptom is None else np.array(symptom, dtype=float)[:, np.newaxis],
        evidence=told,
        expected=np.full((steps, 4), 5.0) if expected is None else np.array(expected, dtype=float),
        alarmed=is_alarmed,
    ), np.full((steps, 4), 7.0) if values is None else np.array(values, dtype=float)


def incidents(first=0, threshold=10.0):
    return Incidents(["shop"], SHOP, numbers(0, 0, 0, 0), STEPS, first, threshold)


def found_in(scores, first=0, threshold=10.0, **more):
    """The incidents that are over, each with the step by which that was known, and those that are not."""
    evidence, values = evidence_of(scores, **more)
    watched = incidents(first, threshold)
    over = watched.take(0, values, evidence)
    assert {service for _, service, _ in over} <= {0}
    return [(step, one) for step, _, one in over], watched.ongoing()


def span(incident):
    """Its first step, that in which it was noticed, and its last one."""
    return tuple(
        (when - T0) // MINUTE - less for when, less in ((incident.start, 0), (incident.noticed, 1), (incident.end, 1))
    )


QUIET = [0.0] * 12


class TestWhen:
    def test_it_begins_where_the_evidence_last_rose_above_half_of_the_threshold(self):
        ((known, one),), ongoing = found_in([0, 5, 4.9, 5, 7, 10, 12, 11, 3, *QUIET])
        assert span(one) == (3, 5, 7)
        assert known == 7 + 10
        assert (one.score, one.threshold, one.ongoing) == (12, 10, False)
        assert ongoing == []

    def test_below_the_threshold_there_is_none(self):
        assert found_in([9.99] * 40) == ([], [])

    def test_at_the_threshold_there_is_one(self):
        (((_, one),), _) = found_in([10, *QUIET])
        assert span(one) == (0, 0, 0)

    def test_what_comes_within_ten_steps_belongs_to_it(self):
        ((known, one),), _ = found_in([10, *[0] * 9, 20, *QUIET])
        assert span(one) == (0, 0, 10)
        assert (known, one.score) == (20, 20)

    def test_what_comes_later_is_another_one(self):
        ((known, one), (later, other)), _ = found_in([20, *[0] * 10, 15, *QUIET])
        assert (span(one), known, one.score) == ((0, 0, 0), 10, 20)
        assert (span(other), later, other.score) == ((11, 11, 11), 21, 15)
        assert one.id != other.id

    def test_evidence_that_never_falls_below_half_does_not_keep_it_open(self):
        ((known, one),), _ = found_in([10, *[9] * 15])
        assert span(one) == (0, 0, 0)
        assert known == 10

    def test_it_is_held_open_while_a_suspect_is_alarmed(self):
        ((known, one),), _ = found_in([10, 10, *[0] * 60], alarmed=range(45))
        assert span(one) == (0, 0, 44)
        assert known == 54

    def test_who_is_alarmed_and_no_suspect_holds_nothing_open(self):
        little = [[FAR - 0.01, FAR, 0, 0]] * 62
        ((known, _),), _ = found_in([10, 10, *[0] * 60], alarmed=range(45), evidence=little)
        assert known == 11

    def test_an_alarm_alone_begins_nothing(self):
        assert found_in([9] * 30, alarmed=range(30)) == ([], [])

    def test_nothing_is_noticed_before_the_first_step(self):
        """At half before it and at the threshold after it: the beginning is the first step."""
        assert found_in([20] * 5 + QUIET, first=5) == ([], [])
        ((_, one),), _ = found_in([20] * 6 + QUIET, first=5)
        assert span(one) == (5, 5, 5)
        assert one.id == "shop/incident/2025-11-20T14:05:00Z"

    def test_a_symptom_is_an_incident_at_any_threshold(self):
        for threshold in (1.0, 1e3):
            ((_, one),), _ = found_in([0, 0, *QUIET], threshold=threshold, symptom=[0.9, 1.2, *QUIET])
            assert span(one) == (0, 1, 1)
            assert one.score == pytest.approx(1.2 * threshold)

    def test_another_threshold_is_begun_anew(self):
        evidence, values = evidence_of([8, 8, *QUIET])
        strict = incidents()
        strict.take(0, values, evidence)
        lenient = strict.at(8.0)
        ((_, _, one),) = lenient.take(0, values, evidence)
        assert (one.threshold, span(one)) == (8, (0, 0, 1))
        assert strict.ongoing() == []

    def test_the_threshold_after_the_merge_time_is_another_one(self):
        """The first is held open by its suspect: eleven steps after its last hot one, ten are no reason to split."""
        for gap, expected in ((9, [(0, 0, 10)]), (10, [(0, 0, 10), (11, 11, 11)])):
            over, ongoing = found_in([20, *[0] * gap, 15, *QUIET], alarmed=range(gap + 1))
            assert [span(one) for _, one in over] == expected
            assert ongoing == []
            assert over[0][1].score == 20
        assert over[0][0] == 11

    def test_steps_without_a_sample_of_a_suspect_are_not_calm(self):
        """Nine calm steps, silence, and the tenth; that another KPI has samples says nothing of the suspect."""
        for silent in ([NAN] * 4, [NAN, 7, 7, 7]):
            there = [*[[7] * 4] * 10, *[silent] * 50, *[[7] * 4] * 3]
            ((known, one),), _ = found_in([10, *[0] * 62], values=there)
            assert (known, span(one)) == (60, (0, 0, 0))
            assert found_in([10, *[0] * 59], values=there[:60])[1] == [one.model_copy(update={"ongoing": True})]

    def test_where_none_is_a_suspect_any_sample_shows_that_it_is_calm(self):
        told, there = [[0, 0, 0, 1]] * 12, [[NAN, NAN, NAN, 7]] * 12
        ((known, _),), _ = found_in([10, *[0] * 11], evidence=told, values=there)
        assert known == 10

    @pytest.mark.parametrize(("step_s", "merge"), [(5, 120), (60, 10), (90, 7), (3600, 6)])
    def test_ten_minutes_or_six_steps_are_one_incident(self, step_s, merge):
        for gap, number in ((merge - 1, 1), (merge, 2)):
            evidence, values = evidence_of([10, *[0] * gap, 10, *[0] * merge])
            watched = Incidents(["shop"], SHOP, numbers(0, 0, 0, 0), Steps(T0, step_s), 0, 10.0)
            assert len(watched.take(0, values, evidence)) == number

    @pytest.mark.parametrize(
        ("between", "begun"), [([9, 9], 13), ([9, 4], 13), ([4, 9], 12), ([0, 5], 12), ([0, 0], 13)]
    )
    def test_the_next_one_begins_after_the_evidence_has_fallen_below_half(self, between, begun):
        """The first is over at step 10; what was never below half since then is no beginning of another one."""
        (_, (_, other)), _ = found_in([10, *[9] * 10, *between, 10, *QUIET])
        assert span(other) == (begun, 13, 13)

    def test_what_had_fallen_by_the_end_of_the_one_before_counts_at_once(self):
        (_, (_, other)), _ = found_in([10, *[0] * 10, 5, 10, *QUIET])
        assert span(other) == (11, 12, 12)

    def test_another_service_changes_nothing(self):
        """One that always has half of the threshold."""
        scores = np.array([10, *[0] * 20, 5, 10, *QUIET], dtype=float)
        joint = np.stack([scores, np.full(scores.size, 5.0)], axis=1)
        watched = Incidents(["shop", "cart"], [*SHOP[:2]], numbers(0, 1), STEPS, 0, 10.0)
        nothing = np.zeros((scores.size, 2))
        found = watched.take(0, nothing, Evidence(joint, 0 * joint, nothing, nothing, nothing > 0))
        assert [span(one) for _, _, one in found] == [span(one) for _, one in found_in(scores)[0]]
        assert span(found[1][2]) == (21, 22, 22)

    def test_its_id_stays_from_its_first_step_on(self):
        scores, watched, ids = [0, 6, 12, 3, 12, 0, 9, 0, 11, *QUIET], incidents(), []
        evidence, values = evidence_of(scores)
        for step in range(len(scores)):
            row = slice(step, step + 1)
            over = watched.take(step, values[row], Evidence(*(field[row] for field in evidence)))
            ids += [one.id for one in watched.ongoing()] + [one.id for _, _, one in over]
        assert len(ids) == len(range(2, 18)) + 1
        assert set(ids) == {"shop/incident/2025-11-20T14:01:00Z"}

    def test_services_have_incidents_of_their_own(self):
        both = [*SHOP[:2], Subject("cart", SHOP[0].kpi), Subject("cart", SHOP[1].kpi)]
        watched = Incidents(["shop", "cart"], both, numbers(0, 0, 1, 1), STEPS, 0, 10.0)
        joint = np.array([[0, 20], [10, 0]] + [[0, 0]] * 12, dtype=float)
        told = np.tile([1.0, 0.0, 0.0, 1.0], (14, 1))
        nothing = np.zeros((14, 4))
        over = watched.take(0, nothing, Evidence(joint, 0 * joint, told, nothing, nothing > 0))
        assert [(step, service, one.service, span(one)) for step, service, one in over] == [
            (10, 1, "cart", (0, 0, 0)),
            (11, 0, "shop", (1, 1, 1)),
        ]
        assert [[suspect.metric_name for suspect in one.suspects] for _, _, one in over] == [[NAMES[1]], [NAMES[0]]]


class TestWhose:
    def test_the_kpis_by_their_share(self):
        """Of the steps above half of the threshold: 1 + 2 + 3, 6 + 5 + 3 and 0.2; the last is not worth a name."""
        told = [[9, 9, 9, 9], [1, 6, 0.2, 0], [2, 5, 0, 0], [3, 3, 0, 0], [9, 9, 9, 9], *[[9, 9, 9, 9]] * 12]
        ((_, one),), _ = found_in([4, 5, 10, 5, 4, *QUIET], evidence=told)
        assert [suspect.metric_name for suspect in one.suspects] == ["p99_latency_ms", "overall_error_rate"]
        assert [suspect.share for suspect in one.suspects] == pytest.approx([14 / 20.2, 6 / 20.2])
        assert LEAST_SHARE > 0.2 / 20.2

    def test_what_is_usual_in_a_day_that_it_is_held_open_adds_nothing(self):
        told = [[30, 3, 0, 0], *[[0.4, 0.4, 0.4, 0.4]] * 1400]
        ((_, one),), _ = found_in([20, *[1] * 1400], evidence=told, alarmed=range(1300))
        assert span(one) == (0, 0, 1299)
        assert [suspect.share for suspect in one.suspects] == pytest.approx([30 / 33, 3 / 33])

    def test_where_all_have_a_small_share_the_largest_are_named(self):
        subjects = [Subject("shop", SHOP[2].kpi.model_copy(update={"name": f"kpi{i}"})) for i in range(100)]
        watched = Incidents(["shop"], subjects, numbers(*[0] * 100), STEPS, 0, 10.0)
        told = np.full((11, 100), 2.0)
        told[:, 50:] = 1.0
        joint, nothing = np.full((11, 1), 0.0), np.zeros((11, 100))
        joint[0] = 10
        ((_, _, one),) = watched.take(0, nothing, Evidence(joint, 0 * joint, told, nothing, nothing > 0))
        assert [suspect.metric_name for suspect in one.suspects] == [f"kpi{i}" for i in range(50)]
        assert all(suspect.share == pytest.approx(2 / 150) for suspect in one.suspects)

    def test_the_earliest_was_far_off_first(self):
        """Four deviations make a suspect; of two at the same step the larger one is the earliest."""
        near = FAR - 0.01
        told = [[near, 0, 0, 0], [near, FAR, near, 2 * FAR], [near, 0, 9, 2 * FAR], [9, 0, 9, 9], *[[0] * 4] * 12]
        ((_, one),), _ = found_in([6, 6, 20, 20, *QUIET], evidence=told)
        since = {suspect.metric_name: suspect.since for suspect in one.suspects}
        assert since == {NAMES[0]: at(3), NAMES[1]: at(1), NAMES[2]: at(2), NAMES[3]: at(1)}
        assert one.earliest == NAMES[3]

    def test_where_none_was_far_off_by_itself_there_is_no_earliest(self):
        ((_, one),), _ = found_in([20, *QUIET], evidence=[[1, 1, 1, 1]] * 13)
        assert one.earliest is None
        assert {suspect.since for suspect in one.suspects} == {None}

    def test_a_kpi_is_told_where_its_evidence_was_highest(self):
        told = [[3, 1, 1, 1], [5, 1, 1, 1], [4, 1, 1, 1], *[[0] * 4] * 12]
        values = [[7, 1, 2, 3], [8, 1, 2, 3], [9, 1, 2, 3], *[[0] * 4] * 12]
        expected = [[5, 5, 2, NAN], [6, 5, 2, NAN], [7, 5, 2, NAN], *[[NAN] * 4] * 12]
        ((_, one),), _ = found_in([10, 10, 10, *QUIET], evidence=told, values=values, expected=expected)
        of = {suspect.metric_name: suspect for suspect in one.suspects}
        assert [(of[n].value, of[n].expected, of[n].direction) for n in NAMES] == [
            (8, 6, "up"),
            (1, 5, "down"),
            (2, 2, None),
            (3, None, None),
        ]
        assert [(of[n].category, of[n].unit) for n in NAMES] == [
            ("errors", "%"),
            ("latency", "ms"),
            ("database", "connections"),
            ("redis", "%"),
        ]

    def test_an_incident_without_evidence_names_nobody(self):
        ((_, one),), _ = found_in([20, *QUIET], evidence=[[0] * 4] * 13)
        assert one.suspects == ()
        assert one.earliest is None

    def test_what_follows_the_threshold_counts_for_the_one_that_it_opens(self):
        """Steps 11 to 13: 4 + 2 + 2, and 1 + 3 + 0. The first one never fell below half, and was over at step 10."""
        told = [*[[9, 0, 0, 0]] * 11, [4, 1, 0, 0], [2, 3, 0, 0], [2, 0, 0, 0], *[[0] * 4] * 12]
        (_, (_, other)), _ = found_in([10, *[9] * 10, 12, 6, 5, *QUIET], evidence=told)
        assert [suspect.share for suspect in other.suspects] == pytest.approx([8 / 12, 4 / 12])

    def test_the_next_one_begins_with_nothing(self):
        told = [[9, 0, 0, 0], *[[9] * 4] * 11, [0, 0, 9, 0], *[[9] * 4] * 12]
        (_, (_, other)), _ = found_in([20, *[0] * 11, 20, *QUIET], evidence=told)
        assert [(suspect.metric_name, suspect.since) for suspect in other.suspects] == [(NAMES[2], at(12))]
        assert other.score == 20


# However time is cut: against a plain twin of the rule.


def incidents_naive(scores, is_suspect, alarmed, silent, first, threshold):
    """First step, noticed, last one, and the step by which it was known to be over, None where it is not."""
    told, begun, noticed, hot, last, calm, stale, suspects = [], None, None, None, None, 0, False, set()
    for step, score in enumerate(scores):
        if noticed is not None and score >= threshold and step - hot > 10:
            told.append((max(begun, first), noticed, last, step))
            begun, noticed, suspects = None, None, set()
        stale = stale and threshold / 2 <= score < threshold
        if score >= threshold / 2 and not stale:
            begun = step if begun is None else begun
            suspects |= is_suspect[step]
        elif noticed is None:
            begun, suspects = None, set()
        is_hot = score >= threshold and step >= first
        if is_hot:
            noticed, hot = step if noticed is None else noticed, step
        is_on = is_hot or suspects & alarmed[step]
        last = step if noticed is not None and is_on else last
        is_seen = (suspects or {0, 1, 2, 3}) - silent[step]
        calm = 0 if is_on else calm + bool(is_seen)
        if noticed is not None and calm >= 10:
            told.append((max(begun, first), noticed, last, step))
            begun, noticed, stale, suspects = None, None, score >= threshold / 2, set()
    if noticed is not None:
        told.append((max(begun, first), noticed, last, None))
    return told


STEPS_OF = st.tuples(
    st.integers(1, 12),
    st.sampled_from([0, 0, 0, 0, 4.9, 5, 9.9, 10, 30]),
    st.sets(st.integers(0, 3), max_size=2),
    st.sets(st.integers(0, 3), max_size=1),
    st.one_of(st.just(set()), st.sets(st.integers(0, 3))),
)


@settings(max_examples=300, deadline=None)
@given(runs=st.lists(STEPS_OF, min_size=1, max_size=12), first=st.integers(0, 20), cuts=st.sets(st.integers(1, 143)))
def test_it_is_its_plain_twin_however_time_is_cut(runs, first, cuts):
    steps = [step for length, *step in runs for _ in range(length)]
    scores, far, alarmed, silent = zip(*steps, strict=True)
    is_suspect = [kpis - gone for kpis, gone in zip(far, silent, strict=True)]
    told = [
        [0 if kpi in gone else FAR if kpi in kpis else 0.5 for kpi in range(4)]
        for kpis, gone in zip(far, silent, strict=True)
    ]
    there = [[NAN if kpi in gone else 7.0 for kpi in range(4)] for gone in silent]
    evidence, values = evidence_of(scores, evidence=told, values=there)
    for step, kpis in enumerate(alarmed):
        evidence.alarmed[step, list(kpis)] = True
    watched, found = incidents(first), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 144], strict=True):
        if begin >= len(steps):
            break
        block = slice(begin, end)
        over = watched.take(begin, values[block], Evidence(*(field[block] for field in evidence)))
        found += [(*span(one), step) for step, _, one in over]
        for one in (*(one for _, _, one in over), *watched.ongoing()):
            shares = [suspect.share for suspect in one.suspects]
            assert shares == sorted(shares, reverse=True)
            assert sum(shares) <= 1 + 1e-9
        other = incidents(first)
        other.remember({name: array.copy() for name, array in watched.memory().items()})
        watched = other
    found += [(*span(one), None) for one in watched.ongoing()]
    assert found == incidents_naive(scores, is_suspect, alarmed, silent, first, 10.0)


# Symptoms, and which deviations are some.


def gathered(
    value, expected, score, events=NAN, kpi="overall_error_rate", threshold=5.0, counts=True, scored=True, **changed
):
    """One KPI, one step: how far its symptom is on its way, and its evidence."""
    subjects = [Subject("shop", BASE.kpis[kpi].model_copy(update=changed))]
    gathering = Gathering(subjects, numbers(0), np.array([counts]))
    block = Block(0, np.array([[value]]), np.array([[1]]), lambda series, step, expected: events)
    reading = Reading(*(np.array([[one]]) for one in (scored, score, expected, NAN, NAN)))
    told = gathering.take(block, np.array([0.0]), [(threshold, reading)])
    assert told.alarmed.tolist() == [[scored and score >= threshold]]
    return told.symptom[0, 0], told.evidence[0, 0]


class TestSymptoms:
    def test_two_and_a_half_thresholds_of_a_symptom_are_an_incident(self):
        assert gathered(9.0, 1.0, 12.5) == pytest.approx((1.0, np.log1p(12.5) ** 1.5))
        assert gathered(9.0, 1.0, 25.0)[0] == pytest.approx(2.0)
        assert gathered(9.0, 1.0, 12.49) == (0, 0)
        assert gathered(9.0, 1.0, 7.5, threshold=3.0)[0] == pytest.approx(1.0)

    @pytest.mark.parametrize(
        ("kpi", "is_symptom"), [("p99_latency_ms", True), ("db_p95_latency_ms", False), ("redis_memory_bytes", False)]
    )
    def test_causes_are_none(self, kpi, is_symptom):
        assert (gathered(900.0, 100.0, 50.0, kpi=kpi)[0] > 0) == is_symptom

    def test_what_became_better_is_none(self):
        assert gathered(0.1, 1.0, 50.0) == (0, 0)
        assert gathered(10.0, 100.0, 50.0, kpi="p99_latency_ms") == (0, 0)
        better_up = BASE.kpis["overall_availability"]
        assert better_up.category == "availability"
        assert gathered(99.99, 90.0, 50.0, kpi="overall_availability") == (0, 0)
        assert gathered(90.0, 99.99, 50.0, kpi="overall_availability")[0] == pytest.approx(4.0)

    @pytest.mark.parametrize(("events", "told"), [(4.9, 0.0), (5.0, 4.0), (NAN, 4.0)])
    def test_it_stands_on_five_events(self, events, told):
        assert gathered(9.0, 1.0, 50.0, events=events)[0] == pytest.approx(told)

    def test_a_small_move_is_none(self):
        assert gathered(109.0, 100.0, 50.0, kpi="p99_latency_ms") == (0, 0)
        assert gathered(111.0, 100.0, 50.0, kpi="p99_latency_ms")[0] == pytest.approx(4.0)

    def test_what_does_not_count_for_the_service_is_none(self):
        assert gathered(9.0, 1.0, 50.0, counts=False) == (0, 0)

    @pytest.mark.parametrize(("value", "told"), [(0.0, 4.0), (10.0, 4.0), (10.1, 0.0), (50.0, 0.0), (900.0, 0.0)])
    def test_traffic_that_is_gone_is_one(self, value, told):
        """At a tenth of what was expected; that it rises, or falls by half, is none."""
        assert BASE.kpis["request_rate"].category == "traffic"
        assert gathered(value, 100.0, 50.0, kpi="request_rate")[0] == pytest.approx(told)

    def test_what_may_go_either_way_is_none(self):
        for value in (9.0, 900.0):
            assert gathered(value, 100.0, 50.0, kpi="p99_latency_ms", direction=Direction.TWO_SIDED) == (0, 0)

    def test_what_is_not_scored_is_none_and_not_alarmed(self):
        assert gathered(9.0, 1.0, 50.0, scored=False) == (0, 0)

    def test_at_its_threshold_a_kpi_is_alarmed(self):
        assert gathered(9.0, 1.0, 5.0) == (0, 0)


def test_a_deviation_that_is_small_or_chance_is_no_evidence():
    """An error rate of 100 deviations that stands on four errors; connections that went from 100 to 105."""
    subjects = [SHOP[0], SHOP[2], SHOP[2]]
    values = np.random.default_rng(3).normal([1.0, 100.0, 100.0], [0.01, 0.1, 0.1], (40, 3))
    values[-1] = [50.0, 105.0, 150.0]
    gathering = Gathering(subjects, numbers(0, 0, 0), np.ones(3, dtype=bool))
    asked = []

    def events(series, step, expected):
        asked.append((series, step, expected))
        return 4.0 if series == 0 else NAN

    block = Block(0, values, np.ones((40, 3), dtype=int), events)
    told = gathering.take(block, 60.0 * np.arange(40), [])
    assert told.evidence[-1].tolist() == [0, 0, gathering.bank.weight(100.0)]
    assert told.expected[-1] == pytest.approx([1, 100, 100], rel=0.1)
    assert (0, 39, told.expected[-1, 0]) in asked


# Severity.


def incident(*suspects, start=10, end=20):
    told = tuple(
        Suspect(metric_name=name, category="x", share=0.2, since=None if since is None else at(since))
        for name, since in suspects
    )
    return Incident(
        id="shop/incident/x",
        service="shop",
        start=at(start),
        noticed=at(start + 1),
        end=at(end),
        severity="medium",
        score=20.0,
        threshold=10.0,
        suspects=told,
    )


def anomaly(name="overall_error_rate", severity="high", channel="significance", start=12, end=14, direction="up"):
    return Anomaly(
        timestamp=at(start),
        metric_name=name,
        value=1.0,
        baseline=0.5,
        z_score=9.0,
        severity=severity,
        category="errors",
        id=f"shop/{name}/{channel}/{start}",
        service="shop",
        start=at(start),
        end=at(end),
        channel=channel,
        direction=direction,
    )


class TestSeverity:
    def severity(self, *anomalies, suspects=(("overall_error_rate", 11),)):
        return dressed(incident(*suspects), anomalies, RELEASE).severity

    def test_it_is_as_severe_as_its_worst_anomaly(self):
        assert self.severity(anomaly(severity="low")) == "low"
        assert self.severity(anomaly(severity="high"), anomaly(severity="critical", start=15, end=16)) == "critical"
        assert self.severity(anomaly(severity="critical", channel="ewma")) == "critical"

    def test_it_is_medium_where_there_is_none(self):
        assert self.severity() == "medium"

    def test_what_is_for_the_better_does_not_count(self):
        assert self.severity(anomaly(severity="critical", direction="down")) == "medium"
        assert self.severity(anomaly(severity="critical", direction="down"), anomaly(severity="low")) == "low"

    def test_a_move_of_a_two_sided_kpi_counts_either_way(self):
        suspects = (("request_rate", 11),)
        for way in ("up", "down"):
            assert self.severity(anomaly("request_rate", direction=way), suspects=suspects) == "high"

    @pytest.mark.parametrize("channel", ["novelty", "GaussianScorer"])
    def test_novelty_never_raises_it(self, channel):
        """Nor does it lower it: what is new says nothing of harm. It is one of its anomalies all the same."""
        told = dressed(incident(("overall_error_rate", 11)), [anomaly(severity="critical", channel=channel)], RELEASE)
        assert told.severity == "medium"
        assert len(told.anomalies) == 1

    def test_only_the_suspects_anomalies_of_its_time_are_its_own(self):
        inside = [anomaly(start=9, end=11), anomaly(start=19, end=30), anomaly(start=10, end=20)]
        others = [
            anomaly(start=8, end=10),
            anomaly(start=20, end=22),
            anomaly("p99_latency_ms"),
            anomaly("db_connections", severity="critical"),
        ]
        suspects = (("overall_error_rate", 11), ("db_connections", None))
        told = dressed(incident(*suspects), [*others, *inside], RELEASE)
        assert told.anomalies == tuple(sorted(one.id for one in inside))
        assert told.severity == "high"


def test_an_incident_of_a_maintenance_window_is_marked():
    drill = Maintenance(start=at(5), end=at(21), services=("shop",))
    release = RELEASE.model_copy(update={"maintenance": (drill,), "step": MINUTE})
    assert placed(incident(start=10, end=20), release).in_maintenance is True
    assert placed(incident(start=10, end=23), release).in_maintenance is False  # it outlasts the window
    assert placed(incident(start=1, end=20), release).in_maintenance is False
    assert placed(incident().model_copy(update={"service": "cart"}), release).in_maintenance is False
    assert placed(incident(), RELEASE).in_maintenance is False


# What counts for a service.


CLUSTER = ("cluster_cpu_utilization", "cluster_memory_utilization")


def clustered(services):
    """Two KPIs of each service, and two of the cluster, all of which go off at the same time."""
    kpis = ("db_connections", "redis_memory_bytes", *CLUSTER)
    start = BASE.ga - timedelta(days=3)
    release = BASE.model_copy(
        update={
            "services": services,
            "service_label": "service",
            "kpis": {name: BASE.kpis[name] for name in kpis},
            "channels": (Channel(name="significance"),),
            "step": timedelta(minutes=5),
        }
    )
    draw, steps = np.random.default_rng(1), 5 * 288
    shared = draw.normal(50, 1, (2, steps)) / 100
    shared[:, 1000:1004] = 0.99
    window = Window(start=start, end=start + steps * timedelta(minutes=5))
    columns = {
        name: {
            "db_sessions": draw.normal(50, 1, steps),
            "redis_memory": draw.normal(1e6, 1e4, steps),
            "cluster_cpu": shared[0],
            "cluster_memory": shared[1],
        }
        for name in services
    }
    columns[services[0]]["db_sessions"][1200:1204] = 200.0
    columns[services[0]]["redis_memory"][1200:1204] = 3e6
    stream = Stream(release, start, release.ga)
    found = stream.take({n: Samples(n, window, 300, c) for n, c in columns.items()}, steps)
    return [one.what for one in found if isinstance(one.what, Incident)], start


def test_what_is_the_same_for_all_services_is_no_incident_of_each():
    (one,), start = clustered(("shop", "cart"))
    assert one.service == "shop"
    assert one.start == start + 1200 * timedelta(minutes=5)
    assert {suspect.metric_name for suspect in one.suspects} == {"db_connections", "redis_memory_bytes"}


def test_of_a_single_service_it_counts():
    found, start = clustered(("shop",))
    assert [one.start for one in found] == [start + step * timedelta(minutes=5) for step in (1000, 1200)]
    assert {suspect.metric_name for suspect in found[0].suspects[:2]} == set(CLUSTER)


# The release field, and the shipped recording.


def test_the_release_file_sets_the_threshold():
    start = BASE.ga - timedelta(days=3)
    assert Stream(BASE, start, BASE.ga).incidents.threshold == THRESHOLD
    settings = BASE.incidents.model_copy(update={"threshold": 9.5})
    stream = Stream(BASE.model_copy(update={"incidents": settings}), start, BASE.ga)
    assert stream.incidents.threshold == 9.5


def test_the_shipped_recording_has_the_incident_of_its_truth():
    """The burst of errors, and not the scrape gap: what few KPIs are left then are no evidence of a service."""
    shipped = Path(__file__).parents[1] / "test_data"
    release, recording = load(shipped / "release.yaml"), Recording(shipped / "recording")
    fetched = [recording.fetch(release.plan, release.calendar.window(day)) for day in range(-7, 8)]
    told = score_release(release, {name: [day[name] for day in fetched] for name in release.services})
    assert told["reports"].incidents == ()
    (burst,) = told["checkout"].incidents
    assert BURST.start <= burst.start <= burst.noticed <= BURST.start + 3 * MINUTE
    assert BURST.end <= burst.end <= BURST.end + 2 * MINUTE
    assert (burst.severity, burst.earliest, burst.ongoing) == ("critical", "overall_error_rate", False)
    assert burst.suspects[0].metric_name == "overall_error_rate"
    assert burst.suspects[0].share > 0.5
    assert any("overall_error_rate/significance" in one for one in burst.anomalies)
    assert not burst.in_maintenance
