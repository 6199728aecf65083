"""The rule of the week on log ratios of days: by hand, against a slow twin of plain loops, and its cases."""

import math
import statistics
import warnings

import numpy as np
import pytest

from observability.judgement import level
from observability.judgement.level import Level, began_elsewhere, day_noise, hodges_lehmann, judge_level, margin_of

NAN = math.nan
LN = math.log
LEAST = LN(1.1)  # the margin of a KPI without noise
LATE = level.LATE
SEVERE = LN(1.3)
PATTERN = 10 + 5 * np.sin(np.arange(24) / 24 * 2 * np.pi)


def hours(factors, first=1.0):
    """Days −7 to 7 of one daily pattern, shape (15, 24); ``factors`` are those of days 0 to 7."""
    return np.concatenate([np.full(7, first), np.asarray(factors, dtype=float)])[:, np.newaxis] * PATTERN


def judged(factors):
    """Days 0 to 7, each that many times its partner."""
    return judge_level(np.log(np.asarray(factors, dtype=float)), hours(np.nan_to_num(factors, nan=1.0)))


# By hand


def test_hodges_lehmann():
    """Of 1, 2, 9: the means 1, 1.5, 5, 2, 5.5, 9, in order 1, 1.5, 2, 5, 5.5, 9; their middle is (2 + 5) / 2."""
    assert hodges_lehmann(np.array([1.0, 2.0, 9.0])) == 3.5
    assert hodges_lehmann(np.array([NAN, 1.0, 2.0, NAN, 9.0])) == 3.5
    # Six zeros and ln 5: 21 of the 28 means are 0.
    assert hodges_lehmann(np.array([0.0] * 6 + [LN(5)])) == 0
    # Five zeros and two ln 5: 15 of 28 are 0, and so are the 14th and 15th.
    assert hodges_lehmann(np.array([0.0] * 5 + [LN(5)] * 2)) == 0
    # Four zeros and three ln 5: 10 are 0, 12 are half, 6 are whole: the middle is half.
    assert hodges_lehmann(np.array([0.0] * 4 + [LN(5)] * 3)) == pytest.approx(LN(5) / 2)
    assert math.isnan(hodges_lehmann(np.full(7, NAN)))


@pytest.mark.parametrize(
    ("noise", "margin"),
    [
        (0.0, LEAST),
        (0.07, LEAST),
        (0.20, 0.20),
        (0.27, 0.27),  # beyond ln 1.3 = .2624: at this noise nothing passes
        (3.0, 3.0),
    ],
)
def test_margin(noise, margin):
    assert margin_of(np.array(noise)) == pytest.approx(margin)


def test_the_margin_never_falls_when_the_noise_rises():
    margins = margin_of(np.linspace(0, 1, 1001))
    assert (np.diff(margins) >= 0).all()
    assert margins[0] == pytest.approx(LEAST)


@pytest.mark.parametrize(
    ("daily", "noise"),
    [
        pytest.param([0.0] * 8, 0.01, id="none: the least that is taken for it"),
        pytest.param([0.0] * 7 + [0.7], 0.01, id="an incident: the largest distance is left out"),
        pytest.param([0.1 * day for day in range(8)], 0.01, id="a ramp"),
        pytest.param([0.0] * 3 + [1.0] * 5, 0.01, id="a step between two levels"),
        # No slope (10 of the 28 fall, 6 rise, 12 are 0), all eight are .1 off their median 0, one is left out:
        # √(7 · .01 / 7). The best step leaves as much, and counts twice.
        pytest.param([0.1, -0.1] * 4, 0.1, id="to and fro"),
        # Two incidents of .7: one is left out, √(.49 / 7); a step leaves one of them too, and counts twice.
        pytest.param([0.0, 0.0, 0.7, 0.0, 0.0, 0.7, 0.0, 0.0], math.sqrt(0.49 / 7), id="two incidents"),
        # Five days: slope 0, median .1, distances 0, .2, 0, .2, 0; one is left out: √(.04 / 4) = .1. Fewer days lie
        # nearer to their own line: · √(7/4 · .75 · 5/3). No step is fitted to five.
        pytest.param([0.1, -0.1, 0.1, -0.1, 0.1, NAN, NAN, NAN], 0.1 * math.sqrt(7 / 4 * 0.75 * 5 / 3), id="five days"),
        pytest.param([0.0, 0.1, 0.2, 0.3, NAN, NAN, NAN, NAN], NAN, id="four days"),
    ],
)
def test_noise(daily, noise):
    assert day_noise(np.array(daily)) == pytest.approx(noise, nan_ok=True)


# Steps, ramps, incidents


@pytest.mark.parametrize(
    ("times", "changed"),
    [(1.0, False), (1.09, False), (1 / 1.09, False), (1.11, True), (1 / 1.11, True), (1.3, True), (5.0, True)],
)
def test_a_step_at_ga_without_noise_is_called_beyond_a_tenth(times, changed):
    found = judged([times] * 8)
    assert found.centre == pytest.approx(LN(times))
    assert found.margin == pytest.approx(LEAST)
    assert bool(found.changed) is changed
    assert math.isnan(found.before)


@pytest.mark.parametrize("times", [1.3, 2, 10])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_step_that_came_later_is_called(times, first):
    wobble = 1 + 0.01 * np.array([1, -1, 1, -1, -1, 1, 1, -1])
    assert judged(np.array([1.0] * first + [times] * (8 - first)) * wobble).changed


def test_a_ramp_is_called():
    """Day k is 1 + .3 (k + ½)/8 times its partner: day 4, the middle of days 1 to 7, is 1.169 times."""
    found = judged(1 + 0.3 * (np.arange(8) + 0.5) / 8)
    assert float(found.centre) == pytest.approx(LN(1 + 0.3 * 4.5 / 8), abs=0.003)
    assert found.changed
    assert math.isnan(found.before)


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("times", [1.3, 2, 5, 0.2])
def test_an_incident_of_one_day_is_none(at, times):
    factors = np.ones(8)
    factors[at] = times
    found = judged(factors)
    assert not found.changed
    assert (float(found.centre), float(found.margin)) == (0.0, pytest.approx(LEAST))


@pytest.mark.parametrize("at", range(7))
def test_an_incident_of_two_days_is_none(at):
    factors = np.ones(8)
    factors[at : at + 2] = 3
    assert not judged(factors).changed


# What began before GA


def since(first, times=2.0, pattern=(1.0,) * 7):
    """All fifteen days of a weekly pattern, ``times`` as high from day ``first`` on: the days' ratios, the hours."""
    level_of = np.array([pattern[day % 7] * (times if day >= first else 1.0) for day in range(-7, 8)])
    partners = level_of[[0, 1, 2, 3, 4, 5, 6, 0]]
    return np.log(level_of[7:] / partners), level_of[:, np.newaxis] * PATTERN


WEEKEND = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("first", "pattern"), [(-1, (1.0,) * 7), (-2, (1.0,) * 7), (-3, (1.0,) * 7), (-1, WEEKEND), (-3, WEEKEND)]
)
def test_a_change_that_began_before_ga_is_told_so(first, pattern):
    """Of a doubling since day −2, days 5 and 6 are as their partners, which have it; the others double."""
    found = judge_level(*since(first, pattern=pattern))
    assert found.changed
    assert float(found.before) == first


@pytest.mark.parametrize("pattern", [(1.0,) * 7, WEEKEND])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_a_change_since_ga_is_not_taken_for_one_from_before(first, pattern):
    assert math.isnan(judge_level(*since(first, pattern=pattern)).before)


def test_a_change_that_went_away_is_not_taken_for_one_from_before():
    """Days 0 to 4 double: as of a doubling since day −2, but day 7 does not, nor is there a jump before GA."""
    factors = [2.0] * 5 + [1.0] * 3
    assert math.isnan(judged(factors).before)


@pytest.mark.parametrize("good", [(6,), (4, 5, 6)])
def test_a_release_that_was_good_for_a_while_is_not_taken_for_one_from_before(good):
    """Of a doubling at GA that is gone on day 6 alone, the days look like a doubling since day −1; but nothing jumped
    there. What a fall of the weekend hides, a doubling at its start, is not told either."""
    assert math.isnan(judged([1.0 if day in good else 2.0 for day in range(8)]).before)
    assert math.isnan(judge_level(*since(-2, pattern=WEEKEND)).before)


def test_fewer_days_need_more():
    """Days to and fro by .12 about .16: of six, the noise counts √(8/6) times."""
    daily = np.array([0.28, 0.04] * 4)
    whole, fewer = judge_level(daily), judge_level(np.where(np.arange(8) < 2, NAN, daily))
    assert float(whole.margin) == pytest.approx(float(whole.noise))
    assert float(fewer.margin) == pytest.approx(math.sqrt(8 / 6) * float(fewer.noise))


# Missing days


@pytest.mark.parametrize(
    ("missing", "changed"),
    [([], True), ([0], True), ([2], True), ([2, 5], True), ([0, 2, 5], True), ([2, 3, 5], False), (range(8), False)],
)
def test_five_of_the_days_after_ga_will_do(missing, changed):
    factors = np.full(8, 1.2)
    factors[list(missing)] = NAN
    found = judged(factors)
    assert bool(found.changed) is changed
    assert math.isnan(found.margin) is not changed


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for days in (np.full((15, 24), NAN), np.zeros((15, 24)), -np.ones((15, 24))):
            assert not judge_level(np.full(8, NAN), days).changed


# Whether it began at GA


def test_a_change_without_a_jump_at_ga_began_elsewhere():
    """All jumps at midnight are 0 but that of day 3, one of thirteen, which moves no median: 0 < ln 1.25 / 2."""
    late = hours([1, 1, 1, 1.25, 1.25, 1.25, 1.25, 1.25])
    assert began_elsewhere(late, np.array(LN(1.25)))
    assert not began_elsewhere(hours([1.25] * 8), np.array(LN(1.25)))
    assert not began_elsewhere(hours([0.8] * 8), np.array(LN(0.8)))
    assert began_elsewhere(hours([0.8] * 8), np.array(LN(1.25)))  # it jumped the other way
    assert began_elsewhere(hours([1.1] * 8), np.array(LN(1.25)))  # ln 1.1 = .095 < .112
    assert not began_elsewhere(hours([1.12] * 8), np.array(LN(1.25)))  # ln 1.12 = .113


def test_where_all_days_jump_the_lack_of_one_says_nothing():
    """To and fro between 1 and 1.2: the other jumps are ±ln 1.2 about −ln 1.2 or so, two deviations are far above."""
    to_and_fro = np.where(np.arange(15) % 2 == 0, 1.0, 1.2)[:, np.newaxis] * PATTERN
    assert not began_elsewhere(to_and_fro, np.array(LN(1.25)))


def test_the_daily_pattern_is_no_jump():
    """Each midnight the pattern jumps alike, from its low half to its high one: the other days' jumps are taken off."""
    steep = np.where(np.arange(24) < 12, 3.0, 1.0) * np.ones((15, 1))
    assert began_elsewhere(steep, np.array(LN(1.25)))


@pytest.mark.parametrize(
    ("unseen", "late"), [(range(4, 12), True), (range(3, 12), False)], ids=["four hours seen", "three"]
)
def test_a_jump_needs_four_hours_on_either_side(unseen, late):
    for at in (7 * 24, 6 * 24 + 12):
        flat = hours([1, 1, 1, 1.25, 1.25, 1.25, 1.25, 1.25]).ravel()
        flat[[at + hour for hour in unseen]] = NAN
        assert bool(began_elsewhere(flat.reshape(15, 24), np.array(LN(1.25)))) is late


def test_what_began_elsewhere_needs_a_margin_as_of_twice_the_noise():
    """Days to and fro by .1 about .2: the noise is .1, and .2 is beyond it. Without a jump at GA it counts as .2."""
    daily = np.array([0.3, 0.1] * 4)
    assert judge_level(daily).changed
    found = judge_level(daily, hours([1] * 8))
    assert (float(found.noise), float(found.margin)) == (pytest.approx(0.1), pytest.approx(LATE * 0.1))
    assert not found.changed
    assert judge_level(daily, hours([math.exp(0.2)] * 8)).changed


# On noise


def test_what_is_noise_beyond_reason_could_not_show_a_severe_change():
    rng = np.random.default_rng(1)
    found = judge_level(rng.normal(0, 0.8 * math.sqrt(2), (400, 8)))
    assert (found.margin > SEVERE).mean() > 0.98
    assert found.changed.mean() < 0.15  # and then the p-value must agree


def test_both_directions_are_alike():
    rng = np.random.default_rng(3)
    daily = rng.normal(0.15, 0.1, (200, 8))
    rise, fall = judge_level(daily), judge_level(-daily)
    assert np.allclose(rise.centre, -fall.centre)
    assert np.allclose(rise.margin, fall.margin)
    assert (rise.changed == fall.changed).all()
    assert 0.1 < rise.changed.mean() < 1


def test_the_unit_of_the_hours_does_not_matter():
    rng = np.random.default_rng(4)
    days = np.exp(rng.normal(0, 0.1, (100, 15, 24)))
    for scale in (1e-9, 1e9):
        assert (began_elsewhere(days, np.full(100, 0.1)) == began_elsewhere(scale * days, np.full(100, 0.1))).all()


# Against a slow twin


def known(values):
    return [value for value in values if not math.isnan(value)]


def middle_naive(values):
    return statistics.median(known(values)) if known(values) else NAN


def mean_naive(values):
    return statistics.fmean(known(values)) if known(values) else NAN


def centre_naive(values):
    found = known(values)
    return middle_naive([(found[i] + found[j]) / 2 for i in range(len(found)) for j in range(i, len(found))])


def scatter_naive(residuals):
    squares = sorted(residual**2 for residual in known(residuals))
    n = len(squares)
    if n < 5:
        return NAN
    return math.sqrt(7 / (n - 1) * 0.75 * n / (n - 2)) * math.sqrt(math.fsum(squares[:-1]) / (n - 1))


def noise_naive(daily):
    slope = middle_naive([(daily[j] - daily[i]) / (j - i) for i in range(8) for j in range(i + 1, 8)])
    flat = [value - slope * number for number, value in enumerate(daily)]
    noise = scatter_naive([value - middle_naive(flat) for value in flat])
    if len(known(daily)) >= 7:
        for split in range(1, 7):
            sides = daily[:split], daily[split:]
            stepped = scatter_naive([value - middle_naive(side) for side in sides for value in side])
            noise = noise if math.isnan(stepped) else min(noise, 2 * stepped)
    return noise if math.isnan(noise) else max(0.01, noise)


def jump_naive(flat, at):
    before, after = known(flat[at - 12 : at]), known(flat[at : at + 12])
    if min(len(before), len(after)) < 4 or min(mean_naive(before), mean_naive(after)) <= 0:
        return NAN
    return LN(mean_naive(after)) - LN(mean_naive(before))


def late_naive(days, centre):
    flat = [value for day in days for value in day]
    at_ga = jump_naive(flat, 7 * 24)
    others = [jump_naive(flat, day * 24) for day in range(1, 15) if day != 7]
    usual = middle_naive(others)
    spread = 1.4826 * middle_naive([abs(other - usual) for other in others])
    return math.copysign(1, centre) * (at_ga - usual) + 2 * spread < abs(centre) / 2


def before_naive(daily, days, centre):
    sign, flat = math.copysign(1, centre), [value for day in days for value in day]
    jumps = {day: sign * jump_naive(flat, 24 * (day + 7)) for day in range(-6, 8)}
    usual = middle_naive(list(jumps.values()))
    for m in range(1, 7):
        with_it = [sign * daily[day] for day in (*range(7 - m), 7)]
        without = known([sign * daily[day] for day in range(7 - m, 7)])
        half = middle_naive(with_it) / 2
        jumped = jumps[-m] - usual >= half / 2 and jumps[-m] - jumps[7 - m] >= half
        if without and max(without) < half and jumped and jumps[0] - jumps[7] < half:
            return -m
    return NAN


def level_naive(daily, days):
    centre, noise = centre_naive(daily[1:]), noise_naive(daily)
    if len(known(daily[1:])) < 5:
        return Level(centre, NAN, noise, False, NAN)
    raised = noise * math.sqrt(8 / len(known(daily)))
    margin = max(LN(1.1), LATE * raised if late_naive(days, centre) else raised)
    changed = abs(centre) > margin
    return Level(centre, margin, noise, changed, before_naive(daily, days, centre) if changed else NAN)


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("scatter", [0.02, 0.1, 0.4])
def test_it_is_what_plain_loops_find(missing, scatter):
    rng = np.random.default_rng(int(1000 * (missing + scatter)))
    size = 60
    daily = rng.normal(rng.choice([0.0, 0.15, -0.4], (size, 1)), scatter, (size, 8))
    days = np.exp(rng.normal(0, scatter, (size, 15, 1)) + rng.normal(0, 0.05, (size, 15, 24)))
    daily[rng.random(daily.shape) < missing] = NAN
    days[rng.random(days.shape) < 2 * missing] = NAN
    found = judge_level(daily, days)
    for place in range(size):
        twin = level_naive(daily[place].tolist(), days[place].tolist())
        for field in ("centre", "margin", "noise"):
            assert getattr(found, field)[place] == pytest.approx(getattr(twin, field), nan_ok=True), field
        assert bool(found.changed[place]) == twin.changed
        assert found.before[place] == pytest.approx(twin.before, nan_ok=True)


def test_a_batch_is_its_series_one_by_one():
    rng = np.random.default_rng(5)
    daily, days = rng.normal(0.1, 0.1, (30, 8)), np.exp(rng.normal(0, 0.2, (30, 15, 24)))
    daily[rng.random(daily.shape) < 0.2] = NAN
    batch = judge_level(daily, days)
    for place in range(len(daily)):
        alone = judge_level(daily[place], days[place])
        for field in Level._fields:
            assert np.array_equal(getattr(alone, field), getattr(batch, field)[place], equal_nan=True)


def test_the_constants_are_those_of_the_documents():
    """Drift 10 %, regression 30 %; five of seven days. At a noise of .26 a change of 30 % can be called, at .27 not."""
    assert (level.REAL_CHANGE, level.SEVERE_CHANGE, level.MIN_PAIRS) == (0.10, 0.30, 5)
    assert margin_of(np.array(0.26)) < SEVERE < margin_of(np.array(0.27))
