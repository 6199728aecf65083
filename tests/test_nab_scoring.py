"""NAB's rules: by hand on files of 100 rows, and against the plainest way to say them.

A file of 100 rows has 15 that are not scored. σ(y) = 2/(1 + e^(5y)) − 1, and σ(−1) = .986614. With one window, the
standard score is 100 (raw + 1)/2, that of low FP too, and that of low FN is 100 (raw + 2)/3.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nab_scoring import PROFILES, Sweep, half_tested, probation, sweep, weigh

STANDARD, LOW_FP, LOW_FN = PROFILES["standard"], PROFILES["low_fp"], PROFILES["low_fn"]
WINDOW = (40, 49)  # ten rows


def swept(windows: list[tuple[int, int]], scores: dict[int, float], rows: int = 100) -> Sweep:
    """One file in which only the given rows score above 0."""
    score = np.zeros(rows)
    score[list(scores)] = list(scores.values())
    return sweep([weigh(rows, windows)], [score])


def detected(windows: list[tuple[int, int]], *rows: int) -> tuple[float, float, float]:
    """The three scores where exactly these rows are detections."""
    found = swept(windows, dict.fromkeys(rows, 1.0))
    return found.at(1.0, STANDARD), found.at(1.0, LOW_FP), found.at(1.0, LOW_FN)


# --- one file by hand

BY_HAND = [
    ([], (0, 0, 0)),
    ([40], (100, 100, 100)),  # the first row: σ(−(49 − 40 + 1)/10)/σ(−1) = 1
    ([45], (92.98963, 92.98963, 95.32642)),  # half-way: σ(−.5)/σ(−1) = .848284/.986614 = .859793
    ([49], (62.41208, 62.41208, 74.94138)),  # the last row: σ(−.1)/σ(−1) = .244919/.986614 = .248242
    ([45, 49], (92.98963, 92.98963, 95.32642)),  # only the best counts
    ([49, 40, 45], (100, 100, 100)),
    ([50], (-1.48966, -2.97932, -0.99311)),  # just behind: p = 1/9, σ = 2/(1 + e^(5/9)) − 1 = −.270847, × .11 or .22
    ([58], (-5.42638, -10.85276, -3.61759)),  # a whole width behind: p = 9/9, σ(1) = −.986614
    ([77], (-5.5, -11, -11 / 3)),  # far behind: p = 28/9 > 3
    ([99], (-5.5, -11, -11 / 3)),
    ([39], (-5.5, -11, -11 / 3)),  # before the first window, even beside it
    ([15], (-5.5, -11, -11 / 3)),
    ([14], (0, 0, 0)),  # not scored
    ([*range(15)], (0, 0, 0)),
    ([40, 39, 77], (89, 78, 100 - 22 / 3)),  # 1 − 2 × .11, 1 − 2 × .22
]


@pytest.mark.parametrize(("rows", "expected"), BY_HAND)
def test_one_window(rows: list[int], expected: tuple[float, float, float]) -> None:
    assert detected([WINDOW], *rows) == pytest.approx(expected, abs=1e-5)


def test_three_widths_behind_is_the_border_of_far() -> None:
    # p = 27/9 = 3: σ(3) = 2/(1 + e^15) − 1 = −1 + 2/3269018.4 = −1 + 6.118e-7
    weights = weigh(100, [WINDOW])
    assert weights.weight[76 - weights.first] == pytest.approx(-1 + 6.118e-7, abs=1e-10)
    assert weights.weight[77 - weights.first] == -1


def test_a_window_at_the_end_of_the_file() -> None:
    assert detected([(90, 99)], 90)[0] == pytest.approx(100)
    assert detected([(90, 99)], 99)[0] == pytest.approx(62.41208, abs=1e-5)  # as in any window of ten rows


def test_behind_two_windows_only_the_nearer_counts() -> None:
    # The second has 5 rows, so that p = 2/4 two rows behind it: σ(.5) = −.848284, and −.848284 × .11 = −.0933113.
    # Nothing else is detected: 100 (−.0933113)/(2 + 2)
    assert detected([WINDOW, (60, 64)], 66)[0] == pytest.approx(-2.33278, abs=1e-5)


def test_each_window_counts_once() -> None:
    # 1 for the first, −1 for the second: 100 (0 + 2)/4; low FN: 100 (1 − 2 + 4)/6
    assert detected([WINDOW, (60, 64)], 40, 41) == pytest.approx((50, 50, 50))
    assert detected([WINDOW, (60, 64)], 40, 60) == pytest.approx((100, 100, 100))


def test_a_window_of_one_row() -> None:
    assert detected([(40, 40)], 40)[0] == pytest.approx(100)
    assert detected([(40, 40)], 41)[0] == pytest.approx(-5.5)  # no width is near to it


def test_adjoining_windows_are_two() -> None:
    assert detected([(40, 49), (50, 59)], 40, 50)[0] == pytest.approx(100)


def test_a_window_that_begins_before_the_scored_rows() -> None:
    # 10 to 19: the first scored row, 15, weighs σ(−.5)/σ(−1) = .859793
    assert detected([(10, 19)], 14)[0] == 0
    assert detected([(10, 19)], 14, 15)[0] == pytest.approx(92.98963, abs=1e-5)


def test_a_window_without_a_scored_row_is_neither_found_nor_missed() -> None:
    """NAB's null detector is charged nothing for it, but a perfect one is credited with it."""
    # The other window is found: 100 (1 − (−1))/(2 − (−1))
    assert detected([(5, 9), WINDOW], 7, 40)[0] == pytest.approx(200 / 3)
    assert detected([(5, 9), WINDOW], 7)[0] == 0
    # p = (15 − 9)/4 = 1.5: σ(1.5) = −.998894, × −.11, over 3
    assert detected([(5, 9), WINDOW], 15)[0] == pytest.approx(-3.66261, abs=1e-5)


@pytest.mark.parametrize(("rows", "expected"), [(1, 0), (6, 0), (7, 1), (100, 15), (5000, 750), (22_695, 750)])
def test_rows_that_are_not_scored(rows: int, expected: int) -> None:
    assert probation(rows) == expected


# --- the threshold


def test_the_best_threshold_is_the_lowest_score_that_pays() -> None:
    found = swept([WINDOW], {45: 3.0, 40: 2.0, 70: 1.0})
    # ≥ 3: .859793; ≥ 2: 1; ≥ 1: 1 − .11 × .999983 (p = 21/9)
    assert (found.best(STANDARD), found.at(2.0, STANDARD)) == (2.0, pytest.approx(100))


def test_equal_scores_are_detected_together() -> None:
    found = swept([WINDOW], {45: 3.0, 77: 3.0, 90: 3.0})
    # .859793 − 2 × .11 = .639793
    assert found.at(3.0, STANDARD) == pytest.approx(81.98963, abs=1e-5)
    assert list(found.thresholds) == [math.inf, 3.0, 0.0]


def test_it_can_be_best_to_detect_nothing() -> None:
    found = swept([WINDOW], dict.fromkeys([49, *range(60, 100)], 1.0))
    # .248242 + 1 for the window, and 40 × −.11 or a little less, or 40 × −.22
    assert found.best(LOW_FP) == math.inf
    assert found.at(math.inf, LOW_FP) == 0


def test_of_equally_good_thresholds_the_highest() -> None:
    assert swept([WINDOW], {40: 3.0, 45: 2.0}).best(STANDARD) == 3.0


def test_a_threshold_that_no_row_has_is_as_the_next_higher_score() -> None:
    found = swept([WINDOW], {45: 3.0, 40: 2.0})
    assert found.at(2.5, STANDARD) == found.at(3.0, STANDARD) == pytest.approx(92.98963, abs=1e-5)
    assert found.at(3.5, STANDARD) == 0


def test_one_threshold_for_all_files() -> None:
    files = [weigh(100, [WINDOW]), weigh(100, []), weigh(100, [WINDOW])]
    scores = [np.zeros(100) for _ in files]
    scores[0][40], scores[1][50], scores[2][40] = 3.0, 2.0, 1.0
    found = sweep(files, scores)
    # The second window costs the false alarm of the file without windows: 100 (1 + 1 − .11 + 2)/4
    assert found.best(STANDARD) == 1.0
    assert found.at(1.0, STANDARD) == pytest.approx(97.25)
    assert (found.windows, found.open_windows) == (2, 2)


# --- chosen on half, tested on the other


def test_thresholds_of_the_other_half() -> None:
    one, other = np.zeros(100), np.zeros(100)
    one[40] = 5.0
    other[40], other[77] = 3.0, 4.0
    files = [weigh(100, [WINDOW]), weigh(100, [WINDOW])]
    # 5, the best of the one, finds nothing in the other: 0. 3, the best of the other, is perfect on the one: 100.
    for seed in range(3):
        tested = half_tested(files, [[one, other]], 4, np.random.default_rng(seed))
        assert list(tested.values()) == pytest.approx([50, 50, 50])


def test_each_half_has_its_share_of_the_windows() -> None:
    """Were both files with a window in one half, the other would have nothing to find, and no score."""
    files = [weigh(100, [WINDOW]), weigh(100, []), weigh(100, [WINDOW]), weigh(100, [])]
    score = np.zeros(100)
    score[40] = 1.0
    tested = half_tested(files, [[score, score * 0, score, score * 0]], 20, np.random.default_rng(1))
    assert list(tested.values()) == pytest.approx([100, 100, 100])


class Dealt:
    """In place of a random generator: the files as they are, so that every other one is in the same half."""

    def permutation(self, n):
        return np.arange(n)


def made_up_set(*files: dict[int, float]) -> list[np.ndarray]:
    """Files of 100 rows in which only the given rows score above 0."""
    scores = [np.zeros(100) for _ in files]
    for score, given_rows in zip(scores, files, strict=True):
        score[list(given_rows)] = list(given_rows.values())
    return scores


def test_set_and_threshold_are_chosen_on_one_half_alone() -> None:
    """Four files with a window each; 0 and 2 are one half, 1 and 3 the other. No detection 0, one perfect window 50."""
    far = dict.fromkeys(range(80, 90), 2.0)  # ten false alarms
    careful = made_up_set({40: 5.0}, {40: 4.0}, {}, {40: 4.0})
    late = made_up_set({45: 6.0}, {45: 6.0}, {}, {45: 6.0})
    eager = made_up_set({40: 2.0, **far}, {40: 3.0}, {40: 2.0}, {45: 1.0, 80: 2.0})
    # Chosen on files 0 and 2. careful: 50 in each profile, at 5. late: half of 92.98963. eager, at 2, finds both:
    # 100 (4 − 10 × .11)/4 = 72.5; of low FP 100 (4 − 2.2)/4 = 45; of low FN 100 (6 − 1.1)/6 = 81.7. So low FP takes
    # careful, which at 5 finds nothing in files 1 and 3, and the others eager, which at 2 finds one window there and
    # has a false alarm: 100 (2 − .11)/4 = 47.25, and of low FN 100 (3 − .11)/6 = 48.16667.
    # Chosen on files 1 and 3: careful, 100 at 4. On files 0 and 2 that finds one window: 50.
    tested = half_tested([weigh(100, [WINDOW])] * 4, [careful, late, eager], 1, Dealt())
    assert tested == pytest.approx({"standard": 48.625, "low_fp": 25, "low_fn": 49.083333})


def test_each_profile_has_a_threshold_of_its_own() -> None:
    """One set. Files 0 and 2 are worth 50 at 5, and, as above, 72.5, 45 and 81.7 at 2: only low FP takes 5. Files 1
    and 3 are worth 50 at 5, and, as above, 47.25 and 48.16667 at 2; chosen on them it is 5, which is worth 50."""
    far = dict.fromkeys(range(80, 90), 2.0)
    scores = made_up_set({40: 5.0, **far}, {40: 5.0}, {40: 2.0}, {80: 2.0})
    tested = half_tested([weigh(100, [WINDOW])] * 4, [scores], 1, Dealt())
    assert tested == pytest.approx({"standard": 48.625, "low_fp": 50, "low_fn": 49.083333})


def test_of_equally_good_sets_the_first_is_chosen() -> None:
    one, other = made_up_set({40: 1.0}, {40: 1.0}), made_up_set({40: 3.0}, {40: 2.0})
    files = [weigh(100, [WINDOW])] * 2
    assert half_tested(files, [one, other], 1, Dealt())["standard"] == pytest.approx(100)
    # 3 finds nothing in file 1; 2 is perfect on file 0.
    assert half_tested(files, [other, one], 1, Dealt())["standard"] == pytest.approx(50)


# --- the plainest way to say it


def sigma(y):
    return 2 / (1 + math.exp(5 * y)) - 1


def naive_raw(files, threshold, profile):
    """The sum over the corpus; ``files``: pairs of scores and windows."""
    raw = 0.0
    for scores, windows in files:
        first = min(math.floor(0.15 * len(scores)), 750)
        detections = [row for row in range(first, len(scores)) if scores[row] >= threshold]
        for start, end in windows:
            width = end - start + 1
            earned = [sigma(-(end - row + 1) / width) / sigma(-1) for row in detections if start <= row <= end]
            if earned:
                raw += profile.found * max(earned)
            elif end >= first:
                raw -= profile.missed
        for row in detections:
            if not any(start <= row <= end for start, end in windows):
                raw += profile.false * naive_outside(row, windows)
    return raw


def naive_outside(row, windows):
    passed = [(start, end) for start, end in windows if end < row]
    if not passed:
        return -1.0
    start, end = max(passed)
    width = end - start + 1
    if width == 1 or (row - end) / (width - 1) > 3:
        return -1.0
    return sigma((row - end) / (width - 1))


def naive_normalised(files, threshold, profile):
    null = naive_raw(files, math.inf, profile)
    perfect = profile.found * sum(len(windows) for _, windows in files)
    return 100 * (naive_raw(files, threshold, profile) - null) / (perfect - null)


def naive_half_tested(windows, sets, profile):
    """Every set and every threshold tried on half of the files; the best pair tested on the other half."""
    tested = []
    for here, there in (([0, 2], [1, 3]), ([1, 3], [0, 2])):
        tries = []
        for scores in sets:
            for threshold in [math.inf, *sorted(np.concatenate([scores[at] for at in here]), reverse=True)]:
                earned = naive_normalised([(scores[at], windows[at]) for at in here], threshold, profile)
                tries.append((earned, threshold, scores))
        _, threshold, scores = max(tries, key=lambda one: one[0])
        tested.append(naive_normalised([(scores[at], windows[at]) for at in there], threshold, profile))
    return sum(tested) / 2


@pytest.mark.parametrize("seed", range(5))
def test_what_is_chosen_on_half_is_what_trying_everything_chooses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [60, 40, 50, 70]
    windows = [[(12, 17), (30, 34)], [(20, 29)], [(25, 30)], []]
    sets = [[rng.exponential(size=size) for size in rows] for _ in range(3)]
    for scores in sets:
        for score, of in zip(scores, windows, strict=True):
            for start, end in of:
                score[rng.integers(start, end + 1)] += rng.uniform(2, 6)
    tested = half_tested([weigh(size, of) for size, of in zip(rows, windows, strict=True)], sets, 1, Dealt())
    naive = {name: naive_half_tested(windows, sets, profile) for name, profile in PROFILES.items()}
    assert tested == pytest.approx(naive)
    assert len(set(tested.values())) > 1


@st.composite
def made_up_files(draw):
    """One to three files of 2 to 60 rows and few different scores, the first of them with a window."""
    files = []
    for number in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(2, 60))
        least = 2 if number == 0 else 0
        borders = sorted(draw(st.sets(st.integers(0, rows), min_size=least, max_size=6)))
        windows = [(start, end - 1) for start, end in zip(borders[::2], borders[1::2], strict=False)]
        scores = draw(st.lists(st.integers(-2, 9).map(lambda whole: whole / 3), min_size=rows, max_size=rows))
        files.append((scores, windows))
    return files


@given(made_up_files(), st.sampled_from(list(PROFILES.values())))
def test_every_threshold_is_scored_as_the_rules_say(files, profile) -> None:
    found = sweep([weigh(len(scores), windows) for scores, windows in files], [np.array(one) for one, _ in files])
    levels = [math.inf, *(level / 6 for level in range(20, -6, -1))]  # those that rows have, and between
    naive = [naive_normalised(files, threshold, profile) for threshold in levels]
    assert [found.at(threshold, profile) for threshold in levels] == pytest.approx(naive, abs=1e-9)
    best = found.best(profile)
    assert naive_normalised(files, best, profile) == pytest.approx(max(naive), abs=1e-9)
    assert found.at(best, profile) == pytest.approx(max(naive), abs=1e-9)
