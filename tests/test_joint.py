"""Joint evidence: by hand, against its slow twin after every step, and under what must not change it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import JointNaive

from observability.detection.joint import THRESHOLD, JointBank, parameters

NAN, INF = float("nan"), float("inf")
START, MINUTE, HOUR, DAY = 1_763_424_000.0, 60.0, 3600.0, 86_400.0  # 2025-11-18T00:00:00Z
LN10 = math.log(10)
EARLY = {"warm_up_h": 0.5}
QUICK = EARLY | {
    "level_min": 3.0,
    "scale_days": 0.03,
    "hour_rate": 0.9,
    "range_days": 0.1,
    "power": 1.2,
    "smooth_s": 200.0,
    "rare": 0.2,
    "tail_days": 0.02,
    "least": 0.03,
}


def services(*numbers):
    return np.array(numbers, dtype=np.intp)


def scores_of(table, of=None, times=None, **given):
    """The scores of shape (steps, services) of a table of shape (steps, series), by default of one service."""
    bank = JointBank(services(*[0] * table.shape[1]) if of is None else of, **given)
    times = START + MINUTE * np.arange(len(table)) if times is None else times
    return np.array([bank.step(t, row).score for t, row in zip(times, table, strict=True)]), bank


def noise(steps, series, seed=1):
    return 100.0 + np.random.default_rng(seed).normal(0.0, 1.0, (steps, series))


FOREVER = {"level_min": 1e12, "scale_days": 1e9, "range_days": 1e9, "tail_days": 1e9}
BY_HAND = EARLY | FOREVER | {"smooth_s": 1.0}


class TestByHand:
    """One KPI, a sample an hour: each hour is new, so e₁ = e₂. With memories of a billion days a is 1/(n + 1)."""

    def test_one_kpi(self):
        """The first sample moves nothing: there is no evidence, and no step.

        12: e = 2, and a scale of nearly 0, so z is 100 and U = J = ln 101. Q = 0. It is the first step, so the score is
        0. Then s = 2/2 = 1, m = 11. U is worth 5 B = 0.35: B = 0.07 + (0.35 − 0.07)/2 = 0.21, and Q = 0.9 · ½ = 0.45.

        8: e = 3, σ = 1.2533 · 1 + 0.01 · 2, U = ln(1 + 3/σ) = 1.2107; the score is ln 10 + (1.2107 − 0.45)/0.21. Then
        s = 1 + (3 − 1)/3 = 5/3, m = 11 − 3/3 = 10, B = 0.21 + (U − 0.45 − 0.21)/3, Q = 0.45 + 0.9 · ½ = 0.9.

        10.5: e = 0.5, σ = 1.2533 · 5/3 + 0.01 · 4, U = ln(1 + 0.5/σ) = 0.211 is below Q: ln 10 · U/0.9.
        Then Q = 0.9 − 0.1 · ½ = 0.85, s = 5/3 + (0.5 − 5/3)/4 = 11/8, m = 10 + 0.5/4.

        10.125: where it is expected. U = 0, and the score, too.
        """
        of_hour = math.sqrt(math.pi / 2)
        u = math.log1p(3 / (of_hour + 0.02))
        later = math.log1p(0.5 / (of_hour * 5 / 3 + 0.04))
        bank = JointBank(services(0), **BY_HAND)
        found = [
            bank.step(START + HOUR * step, np.array([x])) for step, x in enumerate((10.0, 12.0, 8.0, 10.5, 10.125))
        ]
        assert [one.expected[0] for one in found] == pytest.approx([NAN, 10, 11, 10, 10.125], nan_ok=True)
        assert u == pytest.approx(1.2107, abs=1e-4)
        assert [one.score[0] for one in found] == pytest.approx(
            [0, 0, LN10 + (u - 0.45) / 0.21, LN10 * later / 0.9, 0], abs=1e-9
        )
        assert [one.evidence[0] for one in found] == pytest.approx(
            [0, math.log(101) ** 1.5, u**1.5, later**1.5, 0], abs=1e-9
        )

    def test_a_services_evidence_is_the_power_mean_of_its_kpis(self):
        """9 and 11 by turns, twice as wide in the second KPI, end with both m in the middle and z₁ = z₂. Then one is
        3 scales off and the other is not: J = (ln(4)^1.5 / 2)^(2/3). The third, which never moved, does not count."""
        turns = np.tile([[9.0, 18.0, 5.0], [11.0, 22.0, 5.0]], (40, 1))
        bank = scores_of(turns, **BY_HAND)[1]
        bank.smooth_s = 1e-3
        scale = math.sqrt(math.pi / 2) * bank.state[3, 0] + 0.01 * 2
        assert scale == pytest.approx(1.4, abs=0.2)
        bank.step(START + 80 * MINUTE, np.array([10 + 3 * scale, 20.0, 5.0]))
        assert bank.of_services[3, 0] == pytest.approx((math.log(4) ** 1.5 / 2) ** (1 / 1.5), rel=1e-6)

    def test_few_of_the_kpis_say_nothing_of_the_service_until_they_are_all_there_is(self):
        """Of four, two are half and are scored. One is when 4 exp(−t/day) ≤ 2: 998.1 minutes after the step 599.
        Until then nothing is learned of the service; the KPI learns."""
        table = noise(1601, 4)
        table[600:602, 2:] = NAN
        table[602:, 1:] = NAN
        table[610, 0] = 1e6
        bank, steps, scores = JointBank(services(0, 0, 0, 0), **EARLY), [], []
        for step, row in enumerate(table):
            scores.append(bank.step(START + MINUTE * step, row).score[0])
            steps.append(bank.of_services[2, 0])
        assert steps[599:602] == [599, 600, 601]
        assert steps[602:1598] == [601] * 996
        assert scores[602:1598] == [0] * 996
        assert steps[1598] == 602
        assert bank.state[0].tolist() == [1601, 602, 600, 600]

    def test_the_hour_of_the_day_speaks_for_what_it_knows(self):
        """Two samples an hour: an hour's mean goes half of the way to each, as 1 − (1 − 0.75)^½ = ½."""
        bank = JointBank(services(0), hour_rate=0.75)
        for half_hours, x in ((0, 0.0), (1, 8.0), (2, 8.0), (48, 8.0), (49, 8.0)):
            bank.step(START + half_hours * HOUR / 2, np.array([x]))
        level = 8 * (1 - math.exp(-3))  # after half an hour, for a level of ten minutes
        bins = bank.state[7:, 0]
        assert bins[1] == pytest.approx(level + (8 - level) / 2)
        after_a_day = 4 + 0.75 * (8 - 4)  # an hour counts of the day between
        assert bins[0] == pytest.approx(after_a_day + 0.5 * (8 - after_a_day))
        assert np.isnan(bins[2:]).all()


class TestFewStrong:
    """What is strong in three KPIs of many."""

    @pytest.fixture
    def bank(self):
        return scores_of(noise(600, 40), **EARLY)[1]

    def scales(self, bank):
        """Of the first hour, in which the level and the hour's mean differ: how far up all of both ends are."""
        state = bank.state
        floor = 0.01 * (state[6] - state[5])
        sigma = np.array([math.sqrt(math.pi / 2) * state[row] + floor for row in (3, 4)])
        hour = state[7 + int((START + 600 * MINUTE) // HOUR) % 24]
        return np.where(np.isnan(hour), state[2], hour), sigma

    def score(self, bank, far, deviations, holds=None):
        """With so many KPIs so many of both of their usual deviations off, the others where they are expected."""
        hour, sigma = self.scales(bank)
        up = np.maximum(bank.state[2] + deviations * sigma[0], hour + deviations * sigma[1])
        values = np.where(np.arange(40) < far, up, bank.state[2])
        return bank.step(START + 600 * MINUTE, values, holds).score[0]

    @pytest.mark.parametrize("far", [3, 4])
    def test_three_kpis_twenty_deviations_off_are_an_incident(self, bank, far):
        assert self.score(bank, far, 20) == pytest.approx(THRESHOLD)

    def test_half_as_far_is_half_the_score(self, bank):
        bank.of_services[6] = 50.0  # a long tail, so that the mean of the 40 says little
        assert self.score(bank, 3, 10) == pytest.approx(THRESHOLD / 2)

    def test_nothing_is_more_than_a_hundred_deviations_off(self, bank):
        assert self.score(bank, 3, 1e6) == pytest.approx(THRESHOLD * 100 / 20)

    def test_two_kpis_are_too_few(self, bank):
        assert self.score(bank, 2, 1e6) < THRESHOLD

    def test_what_does_not_hold_is_not_one_of_the_few(self, bank):
        assert self.score(bank, 3, 90, lambda far, levels: far > 0) < 2 * THRESHOLD

    def test_those_of_several_services_do_not_add_up(self):
        """Two of either service, and three of the last."""
        of = services(*[0] * 20, *[1] * 20, *[2] * 20)
        bank = scores_of(noise(600, 60), of=of, **EARLY)[1]
        values = bank.state[2].copy()
        values[[0, 1, 20, 21, 40, 41, 42]] += 1e6
        score = bank.step(START + 600 * MINUTE, values).score
        assert (score >= THRESHOLD).tolist() == [False, False, True]

    def test_in_the_warm_up_nothing_is_said(self):
        bank = scores_of(noise(600, 40))[1]
        assert bank.step(START + 600 * MINUTE, bank.state[2] + 1e6).score.tolist() == [0]


class TestHolds:
    def test_only_what_is_two_deviations_off_is_asked_about(self):
        bank, asked = scores_of(noise(600, 5), **EARLY)[1], []
        levels = bank.state[2].copy()

        def holds(far, of):
            asked.append((far.tolist(), of.tolist()))
            return np.ones(far.size, dtype=bool)

        bank.step(START + 600 * MINUTE, levels + np.array([0.0, 9.0, 0.1, -9.0, NAN]), holds)
        assert asked == [([1, 3], levels[[1, 3]].tolist())]
        bank.step(START + 601 * MINUTE, bank.state[2].copy(), holds)
        assert len(asked) == 1  # nobody is asked about nothing

    def test_what_does_not_hold_is_no_evidence_and_counts_as_a_kpi_that_is_where_it_was(self):
        one, other = (scores_of(noise(600, 5), **EARLY)[1] for _ in range(2))
        levels = one.state[2].copy()
        moved, still = (levels + np.array([0.0, far, 0.3, 0.0, 0.0]) for far in (50.0, 0.0))
        assert not (one.state[7:] == levels).any()
        held = one.step(START + 600 * MINUTE, moved, lambda far, of: far != 1)
        near = other.step(START + 600 * MINUTE, still)
        assert held.evidence.tolist() == near.evidence.tolist()
        assert held.score.tolist() == near.score.tolist()
        assert one.state[2, 1] != other.state[2, 1]  # it is learned all the same


# Against the slow twin.


def assert_as_naive(times, table, of, given, tolerance=1e-7, holds=None):
    """After every step: each service's score, and each series' evidence and expected value."""
    bank, twins = JointBank(of, **given), {int(service): JointNaive(**given) for service in of}
    rule = None if holds is None else lambda far, levels: np.array([*map(holds, far.tolist(), levels.tolist())])
    for step, (t, row) in enumerate(zip(times, table, strict=True)):
        found = bank.step(float(t), row, rule)
        for service, twin in twins.items():
            own = np.flatnonzero(of == service)
            more = {} if holds is None else {"holds": holds}
            score, evidence, expected = twin.step(float(t), {int(i): float(row[i]) for i in own}, **more)
            about = f"step {step}, service {service}"
            np.testing.assert_allclose(found.score[service], score, tolerance, tolerance, err_msg=about)
            for name, told in (("evidence", evidence), ("expected", expected)):
                values = [told[int(i)] for i in own]
                np.testing.assert_allclose(
                    getattr(found, name)[own], values, tolerance, 1e-9, err_msg=f"{about} {name}"
                )


def tables(steps=400):
    """Name → times, values of shape (steps, series), and the services."""
    draw = np.random.default_rng(7)
    regular, plain = START + MINUTE * np.arange(steps), noise(steps, 6, 3)
    two = services(0, 1, 0, 1, 1, 0)
    spiky = plain + np.where(draw.random((steps, 6)) < 0.02, 40.0, 0.0)
    gaps = np.where(draw.random((steps, 6)) < 0.3, draw.choice([NAN, INF, -INF, 1e301], (steps, 6)), spiky)
    late, silent, still = plain.copy(), spiky.copy(), np.full((steps, 2), 5.0)
    still[[3, 4, 60]] = 6.0
    late[: steps // 2, 3], late[:300, 0] = NAN, 7.0
    silent[100:200, [0, 2, 5]] = NAN
    days = regular + np.where(np.arange(steps) >= 150, 3 * DAY, 0.0)
    mixed = np.stack(
        [1e12 * plain[:, 0], 1e-12 * spiky[:, 1], np.full(steps, 3.0), np.zeros(steps), -spiky[:, 4], plain[:, 5] // 1],
        axis=1,
    )
    return {
        "two services": (regular, spiky, two),
        "gaps": (regular, gaps, two),
        "late and constant at first": (regular, late, two),
        "a service that is silent": (regular, silent, two),
        "all silent for days": (days, spiky, two),
        "irregular": (START + np.cumsum(draw.exponential(200, steps)), spiky, two),
        "out of order": (regular + 150 * draw.integers(-2, 3, steps), gaps, two),
        "a sample every five minutes": (START + 300 * np.arange(steps), spiky, two),
        "a sample every two hours": (START + 7200 * np.arange(steps), spiky, two),
        "huge, tiny, constant, zero, negative, whole": (regular, mixed, services(0, 0, 1, 1, 1, 0)),
        "hardly ever moving": (regular, still, services(0, 1)),
        "one KPI": (regular, spiky[:, :1], services(0)),
        "two KPIs": (regular, spiky[:, :2], services(0, 0)),
        "60 KPIs": (regular, noise(steps, 60) + np.where(draw.random((steps, 60)) < 0.05, 30, 0), services(*[0] * 60)),
        "a number without series": (regular, spiky, 2 * two),
        "before 1970": (regular - 60 * 365 * DAY, spiky, two),
    }


@pytest.mark.parametrize("given", [EARLY, QUICK, {}], ids=["shipped, warm early", "short memories", "shipped"])
@pytest.mark.parametrize("name", tables())
def test_the_bank_is_its_slow_twin(name, given):
    times, table, of = tables()[name]
    assert_as_naive(times, table, of, given)


def test_the_bank_is_its_slow_twin_where_some_do_not_hold():
    times, table, of = tables()["two services"]
    assert_as_naive(times, table, of, EARLY, holds=lambda series, level: series % 2 == 0 and level < 100.5)


VALUES = st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([NAN, INF, -INF, 0.0, 0.0, 5.0, 5.0, -1e300, 1e300, 1e301, 1e-9])
)
ROWS = st.lists(st.tuples(st.sampled_from([60.0, 60.0, 300.0, 0.0, -90.0, 1e5]), *[VALUES] * 4), max_size=40)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, given=st.sampled_from([{"warm_up_h": 0.01}, QUICK | {"warm_up_h": 0.01}]))
def test_the_bank_is_its_slow_twin_whatever_comes(rows, given):
    times = START + np.cumsum([later for later, *_ in rows])
    assert_as_naive(times, np.array([values for _, *values in rows]).reshape(-1, 4), services(0, 1, 0, 0), given, 1e-6)


@settings(max_examples=50, deadline=None)
@given(rows=ROWS)
def test_nothing_makes_it_forget_its_numbers(rows):
    """Whatever it is given, its state and what it says are numbers, and no score is below 0."""
    bank, t = JointBank(services(0, 1, 0, 0), warm_up_h=0.01), START
    for later, *values in rows:
        t += later
        found = bank.step(t, np.array(values))
        assert (found.score >= 0).all()
        assert np.isfinite(found.score).all()
        assert np.isfinite(found.evidence).all()
        assert np.isfinite(bank.state[2:7]).all()
        assert np.isfinite(bank.of_services[2:]).all()


# What must not change it.


@pytest.mark.parametrize("name", ["gaps", "out of order", "a service that is silent"])
def test_services_side_by_side_are_as_each_alone(name):
    times, table, of = tables()[name]
    together = scores_of(table, of, times, **EARLY)[0]
    for service in (0, 1):
        alone = scores_of(table[:, of == service], None, times, **EARLY)[0]
        np.testing.assert_array_equal(together[:, service], alone[:, 0])


def test_scaling_and_shifting_a_kpi_changes_nothing():
    table = tables()["two services"][1]
    moved = table * [1e-3, 1e6, -1.0, 7.0, 1e-9, 1.0] + [0.0, 1e6, 30.0, -700.0, 0.0, 1e3]
    one, other = (scores_of(values, **EARLY)[0] for values in (table, moved))
    assert one.max() > LN10
    np.testing.assert_allclose(other, one, rtol=1e-5)


def test_kpis_that_never_move_change_nothing():
    table = tables()["two services"][1]
    constant = np.tile([0.0, 1e9, -3.3, NAN], (len(table), 1))
    one, other = (scores_of(values, **EARLY)[0] for values in (table, np.hstack([constant, table])))
    np.testing.assert_array_equal(other, one)


def test_the_order_of_the_kpis_does_not_matter():
    table = tables()["two services"][1]
    one, other = (scores_of(values, **EARLY)[0] for values in (table, table[:, ::-1]))
    np.testing.assert_allclose(other, one, rtol=1e-9)


def test_no_score_knows_what_comes_later():
    table = tables()["gaps"][1]
    changed = table.copy()
    changed[250:] = 1e6
    one, other = (scores_of(values, **EARLY)[0] for values in (table, changed))
    np.testing.assert_array_equal(other[:250], one[:250])
    assert (other[250] != one[250]).all()


@pytest.mark.parametrize("at", [0, 1, 37, 250])
def test_another_bank_goes_on_from_the_state(at):
    times, table, of = tables()["gaps"]
    whole = scores_of(table, of, times, **EARLY)[0]
    first = scores_of(table[:at], of, times[:at], **EARLY)[1]
    second = JointBank(of, **EARLY)
    second.state[:], second.of_services[:] = first.state.copy(), first.of_services.copy()
    scores = [second.step(t, row).score for t, row in zip(times[at:], table[at:], strict=True)]
    np.testing.assert_array_equal(scores, whole[at:])


# What it is for.


@pytest.mark.parametrize("size", [5, 60])
@pytest.mark.parametrize("step_s", [60.0, 300.0])
def test_one_threshold_means_the_same_for_few_kpis_and_for_many(size, step_s):
    """Noise that is nothing is below it, and a shift of 8 deviations in a third of the KPIs is above it."""
    steps = int(4 * DAY / step_s)
    table = noise(steps, size)
    table[-2:, : -(-size // 3)] += 8.0
    scores = scores_of(table, times=START + step_s * np.arange(steps))[0][:, 0]
    assert scores[:-2].max() < THRESHOLD
    assert scores[-2:].max() >= THRESHOLD


@pytest.mark.parametrize("gap", [6 * HOUR, DAY, 3 * DAY, 30 * DAY])
def test_a_silence_is_no_incident(gap):
    """One sample after it must not stand for all that is usual."""
    table = noise(4500, 8, seed=5)
    times = START + MINUTE * np.arange(4500) + np.where(np.arange(4500) >= 4320, gap, 0.0)
    assert scores_of(table, times=times)[0][4320:].max() < THRESHOLD


def test_what_happens_every_day_at_the_same_hour_is_no_incident():
    """Each KPI has a job of its own from 03:00 to 04:00, and is 30 deviations off: on the first day it is news."""
    table = noise(6 * 1440, 6)
    minute = np.arange(len(table)) % 1440
    table[(minute >= 180) & (minute < 240)] += 30.0
    job = scores_of(table, **EARLY)[0][:, 0].reshape(6, 1440)[:, 180:240].max(axis=1)
    assert job[0] > 2 * THRESHOLD
    assert (job[3:] < THRESHOLD).all()


def test_rounding_is_no_evidence():
    """A KPI of 20 GB that stands still but for the last bits of its sum: less than a move."""
    steps = np.arange(600)
    table = np.stack([*noise(600, 2).T, 2e10 + (steps % 3 == 0) * 4e-6], axis=1)
    bank = JointBank(services(0, 0, 0))
    first = [bank.step(START + MINUTE * step, row).evidence[2] for step, row in enumerate(table[:2])]
    assert max(first) < 1e-3


def test_what_cannot_be_used_is_refused():
    for name in parameters():
        with pytest.raises(ValueError, match=f"{name} must be greater than 0, and is 0"):
            JointBank(services(0), **{name: 0.0})
    for name in ("hour_rate", "rare"):
        with pytest.raises(ValueError, match=f"{name} must be less than 1, and is 1"):
            JointBank(services(0), **{name: 1.0})
    with pytest.raises(ValueError, match="threshold must be greater than 0, and is -1"):
        JointBank(services(0), threshold=-1.0)


def test_services_without_series_score_0():
    assert JointBank(services(), 3).step(START, np.array([])).score.tolist() == [0, 0, 0]
    assert JointBank(services(1), 3).step(START, np.array([5.0])).score.tolist() == [0, 0, 0]
    assert JointBank(services()).step(START, np.array([])).score.tolist() == []
