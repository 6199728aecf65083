"""The benchmarks of the detector, on made-up data. Nothing is timed here."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import detector_speed, figures, kpi
from benchmarks.channel import jittered, scattered, settings, settings_table
from benchmarks.made_up_kpis import Load
from observability.definitions import Channel
from observability.detection import channels
from observability.detection.ewma import EwmaBank
from observability.errors import ConfigError

HOUR_S = 3600
ROWS = 300


def write_series(path: Path, spikes: list[int], labelled: list[int]) -> None:
    """0 and 1 in turn every hour, and 100 at the spikes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"2018-06-{1 + row // 24:02} {row % 24:02}:00:00,{100 if row in spikes else row % 2},{int(row in labelled)}"
        for row in range(ROWS)
    ]
    path.write_text("\n".join(["TimeStamp,Value,Label", *rows]) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One spike that is labelled, of one kind, and one that is not, of another."""
    write_series(tmp_path / "data/crashes/crash-1.csv", [200], [200, 201])
    write_series(tmp_path / "data/requests/api-1.csv", [250], [])
    return tmp_path


# --- KPIs: what is read


def test_files_are_read_by_kind_and_name(folder: Path) -> None:
    found = kpi.read(folder)
    assert [(one.kind, one.name) for one in found] == [("crashes", "crash-1"), ("requests", "api-1")]
    first = found[0]
    assert first.times[0] == 1_527_811_200  # 2018-06-01T00:00:00Z
    assert set(np.diff(first.times)) == {HOUR_S}
    assert np.flatnonzero(first.values > 1).tolist() == [200]
    assert np.flatnonzero(first.labels).tolist() == [200, 201]


def test_the_folder_above_will_do(folder: Path, tmp_path: Path) -> None:
    above = tmp_path / "all"
    above.mkdir()
    (above / "cloud-monitoring").symlink_to(folder)
    assert len(kpi.read(above)) == 2


def test_zones_quotes_gaps_and_missing_values_are_as_in_the_data_set(tmp_path: Path) -> None:
    path = tmp_path / "data/a/a-1.csv"
    path.parent.mkdir(parents=True)
    path.write_text('"TimeStamp","Value","Label"\n"2018-03-15T00:00:00Z",0.5,0\n"2018-03-15T03:00:00Z",,1\n')
    (found,) = kpi.read(tmp_path)
    assert found.times.tolist() == [1_521_072_000, 1_521_072_000 + 3 * HOUR_S]
    assert found.values[0] == 0.5
    assert math.isnan(found.values[1])
    assert found.labels.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("TimeStamp,Value\n2018-06-01,1\n", "has no column Label"),
        ("", "cannot be read"),
        ("TimeStamp,Value,Label\nyesterday,1,0\n", "cannot be read"),
        ("TimeStamp,Value,Label\n2018-06-01,many,0\n", "cannot be read"),
    ],
)
def test_a_file_that_is_none_of_the_data_set_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "data/a/a-1.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        kpi.read(tmp_path)
    assert str(raised.value).startswith(f"{path} {said}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("arguments", [["--data", "/nowhere"], ["--data", "/nowhere", "--channel", "ewma:gamma=1"]])
def test_what_cannot_be_measured_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert kpi.main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


# --- KPIs: the figures


def test_the_figures_of_one_true_and_one_false_alarm(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 and 1 in turn have mean 0.5 and deviation 0.5, so that 1 scores 1 and 100 scores 199; after it the deviation is
    about 10, and 0 and 1 score less still. So there are two alarms: one right, and one false in 2 × 200 judged rows."""
    assert kpi.main(["--data", str(folder), "--channel", "ewma:alpha=0.01,threshold=5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    expected = {
        "f1": 2 / 3,
        "precision": 1 / 2,
        "recall": 1.0,
        "median_delay": 0,
        "false_per_1000": 1000 / 400,
        "events": 1,
        "episodes": 2,
        "points": 400,
        "channel": "ewma",
        "threshold": 5,
    }
    assert {name: report[name] for name in expected} == pytest.approx(expected)
    assert report["parameters"]["alpha"] == 0.01
    assert {kind: (of["f1"], of["p"], of["r"]) for kind, of in report["by_kind"].items()} == {
        "crashes": (1, 1, 1),
        "requests": (0, 0, 0),
    }
    assert [report["beside"][name]["parameters"]["alpha"] for name in ("textbook", "slow")] == [0.3, 0.01]
    assert report["about"].keys() >= {"date", "commit", "python"}
    assert "jitter_median" not in report


def test_a_score_at_the_threshold_is_an_alarm(folder: Path) -> None:
    """Row 200 is labelled. A score below the threshold finds nothing; one at it does."""
    series = kpi.read(folder)[:1]
    scores = np.where(np.arange(ROWS) == 200, 5.0, np.nextafter(5.0, 0.0))
    (found,) = kpi.count_all(series, [scores], 5.0)
    assert (found.episodes, found.right) == (1, 1)


def test_the_best_threshold_is_the_best(folder: Path) -> None:
    """The false spike is as high as the true one, so no threshold gets beyond 2/3, and a high one finds nothing."""
    report = kpi.measure(kpi.read(folder), Channel(name="ewma"), 0, 1)
    assert report["beside"]["slow"]["f1"] == pytest.approx(2 / 3)
    assert report["beside"]["slow"]["threshold"] < 199


def test_parameters_that_are_a_little_off(folder: Path) -> None:
    channel = Channel(name="ewma", threshold=5, parameters={"alpha": 0.01})
    report = kpi.measure(kpi.read(folder), channel, 3, 1)
    assert report["jitter_draws"] == 3
    assert report["jitter_lowest"] <= report["jitter_median"] == pytest.approx(2 / 3)
    again = kpi.measure(kpi.read(folder), channel, 3, 1)
    assert {**report, "about": None} == {**again, "about": None}


def test_nothing_found_has_no_delay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kpi.main(["--data", str(folder), "--channel", "ewma:threshold=5000"]) == 0
    assert "| median delay, samples | none found |" in capsys.readouterr().out


def is_table(lines: list[str]) -> bool:
    return len({line.count("|") for line in lines}) == 1


def tables(text: str) -> list[list[str]]:
    parts = [part.splitlines() for part in text.split("\n\n")]
    return [part for part in parts if part[0].startswith("|")]


def test_the_kpi_tables_are_markdown_and_go_into_the_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(figures.DETECTOR_PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "DETECTOR_PAGE", page)
    assert kpi.main(["--data", str(folder), "--channel", "ewma", "--robustness", "--draws", "2", "--document"]) == 0
    printed = capsys.readouterr().out
    found = tables(printed)
    assert len(found) == 3
    assert all(is_table(lines) for lines in found)
    assert "2 series, 400 judged points, 1 events." in printed
    written = page.read_text(encoding="utf-8")
    begin, end = figures.marks("kpi")
    assert printed.strip() == written.partition(begin)[2].partition(end)[0].strip()
    assert all(written.count(mark) == 1 for name in ("kpi", "nab", "speed") for mark in figures.marks(name))


@pytest.mark.parametrize("given", [("--draws", "0"), ("--draws", "-1"), ("--draws", "many"), ("--seed", "-1")])
def test_numbers_that_cannot_be_are_refused(given: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        kpi.main(["--data", "x", "--robustness", *given])
    assert ended.value.code == 2
    assert f"argument {given[0]}: '{given[1]}' is not a whole number of at least" in capsys.readouterr().err


# --- the channel that is measured


def test_the_settings_are_the_shipped_ones_where_nothing_else_is_said() -> None:
    shipped = settings(Channel(name="ewma"))
    assert shipped == {"channel": "ewma", "threshold": 3.0, "parameters": channels.parameters("ewma")}
    other = settings(Channel(name="ewma", threshold=4, parameters={"alpha": 0.125}))
    assert (other["threshold"], other["parameters"]["alpha"]) == (4, 0.125)
    assert other["parameters"]["warm_up"] == shipped["parameters"]["warm_up"]
    assert "| `alpha` | 0.125 |" in settings_table(other)


def test_jittered_parameters_lie_within_a_quarter() -> None:
    channel = Channel(name="ewma", threshold=4, parameters={"alpha": 0.1, "warm_up": 100})
    found = jittered(channel, 200, 1)
    assert found == jittered(channel, 200, 1)
    assert found != jittered(channel, 200, 2)
    assert {one.threshold for one in found} == {4}
    alphas = [float(one.parameters["alpha"]) for one in found]
    warm_ups = [one.parameters["warm_up"] for one in found]
    assert 0.075 <= min(alphas) < 0.08
    assert 0.12 < max(alphas) <= 0.125
    assert all(isinstance(one, int) and 75 <= one <= 125 for one in warm_ups)
    assert np.corrcoef(alphas, np.array(warm_ups, dtype=float))[0, 1] < 0.3  # each by a factor of its own


def test_scattered_parameters_lie_between_half_and_double() -> None:
    channel = Channel(name="ewma", threshold=4, parameters={"alpha": 0.1, "warm_up": 100})
    found = scattered(channel, 400, 1)
    assert found == scattered(channel, 400, 1)
    assert {one.threshold for one in found} == {4}
    alphas = np.array([float(one.parameters["alpha"]) for one in found])
    assert 0.05 <= alphas.min() < 0.051
    assert 0.196 < alphas.max() <= 0.2
    assert np.mean(alphas < 0.1) == pytest.approx(0.5, abs=0.08)  # log-uniformly: uniformly, a third would be
    assert all(isinstance(one.parameters["warm_up"], int) for one in found)


@pytest.mark.parametrize("name", ["significance", "novelty"])
def test_our_channels_take_all_parameters_near_theirs(name: str) -> None:
    assert len(scattered(Channel(name=name), 50, 1)) == 50


def test_parameters_that_cannot_be_are_refused_before_anything_is_scored() -> None:
    with pytest.raises(ConfigError, match="alpha must lie between 0 and 1"):
        jittered(Channel(name="ewma", parameters={"alpha": 0.9}), 40, 1)


# --- speed


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain EWMA under all three names, and few samples."""
    monkeypatch.setattr(channels, "OURS", dict.fromkeys(detector_speed.NAMES, EwmaBank))
    monkeypatch.setattr(detector_speed, "POINTS", 60)
    monkeypatch.setattr(detector_speed, "REFERENCE", 20)


def test_the_load_goes_on_from_step_to_step() -> None:
    load = Load(50, 1)
    first, values = load.steps(3, 900)
    second, _ = load.steps(2, 60)
    assert np.diff([*first, *second]).tolist() == [900, 900, 60, 60]
    assert values.shape == (3, 50)
    assert np.isfinite(values).all()
    assert (Load(50, 1).steps(3, 900)[1] == values).all()
    assert ((load.offsets(60) >= 0) & (load.offsets(60) < 60)).all()


def test_the_load_has_a_season_and_misses_what_it_is_asked_to() -> None:
    _, values = Load(200, 1).steps(3 * 96, 900)
    days = values.reshape(3, 96, 200)
    same_hour = np.abs(days[1] - days[0]).mean(axis=0)
    half_a_day_apart = np.abs(days[0, :48] - days[0, 48:]).mean(axis=0)
    assert (half_a_day_apart > 2 * same_hour).mean() > 0.5
    _, gappy = Load(1000, 1).steps(100, 60, missing=0.02)
    assert np.isnan(gappy).mean() == pytest.approx(0.02, abs=0.002)


class Noting:
    """A bank that notes what it is given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, list[float]]] = []

    def step_many(self, t: Any, values: np.ndarray) -> None:
        self.calls.append(("step", t, values.tolist()))

    def score_many(self, t: Any, values: np.ndarray) -> None:
        self.calls.append(("score", t, values.tolist()))

    def learn_many(self, t: Any, values: np.ndarray) -> None:
        self.calls.append(("learn", t, values.tolist()))


@pytest.mark.parametrize(
    ("case", "verbs"), [("step", ["step"]), ("score_then_learn", ["score", "learn"]), ("own_times", ["step"])]
)
def test_all_detectors_are_given_the_same_samples_in_time_order(
    case: str, verbs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_speed, "POINTS", 16)
    banks = {"a": Noting(), "b": Noting()}
    load = Load(4, 1)
    costs = detector_speed.timed(load, banks, [], detector_speed.CASES[case])  # type: ignore[arg-type]
    assert costs.keys() == {"a", "b"}
    called = banks["a"].calls
    assert [verb for verb, _, _ in called] == verbs * 4
    assert str(called) == str(banks["b"].calls)
    times = np.array([np.broadcast_to(t, 4) for _, t, _ in called[:: len(verbs)]])
    assert (np.diff(times, axis=0) > 0).all()
    assert times.max() < load.time + 60
    assert (np.ptp(times, axis=1) > 0).all() == (case == "own_times")


class Scorer:
    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    def score_one(self, x: dict[str, float], y: float) -> None:
        self.calls.append(("score", y))

    def learn_one(self, x: dict[str, float], y: float) -> None:
        self.calls.append(("learn", y))


def test_rivers_loop_scores_before_it_learns_and_leaves_out_what_is_missing() -> None:
    scorers = [Scorer(), Scorer()]
    detector_speed.river_loop(scorers, [[1.0, 2.0], [3.0, math.nan]])
    assert scorers[0].calls == [("score", 1.0), ("learn", 1.0), ("score", 3.0), ("learn", 3.0)]
    assert scorers[1].calls == [("score", 2.0), ("learn", 2.0)]


@pytest.mark.usefixtures("stand_ins")
def test_every_case_is_timed_in_every_round() -> None:
    found = detector_speed.measure(20, 2, 1)
    for case in detector_speed.CASES:
        of = found["seconds_per_point"][case]
        assert of.keys() == {"ewma", "significance", "novelty", "river"}
        assert {len(costs) for costs in of.values()} == {2}
        assert all(cost > 0 for costs in of.values() for cost in costs)
    assert found["bytes_per_series"] == dict.fromkeys(detector_speed.NAMES, EwmaBank(1).nbytes)
    assert detector_speed.RIVER not in detector_speed.measure(10, 1, 1)["seconds_per_point"]["step"]


@pytest.mark.usefixtures("stand_ins")
def test_python_counts_at_least_the_state() -> None:
    banks, traced = detector_speed.made(1000)
    assert all(banks[name].nbytes <= traced[name] < 1.5 * banks[name].nbytes for name in detector_speed.NAMES)


def test_a_series_that_is_not_scored_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_speed, "WARM_UP_STEPS", 10)
    with pytest.raises(AssertionError, match="ewma scores 0% of the series"):
        detector_speed.warm_up(Load(3, 1), {"ewma": EwmaBank(3)}, [], lambda: None)


ABOUT = {"date": "2025-11-26", "machine": "m", "python": "3.11", "numpy": "2", "river": "0", "commit": "abc"}


def timed_as(**seconds: list[float]) -> dict[str, Any]:
    sizes = {"significance": 208.0, "novelty": 3100.0, "ewma": 32.0}
    return {
        "seconds_per_point": dict.fromkeys(detector_speed.CASES, seconds),
        "bytes_per_series": sizes,
        "traced_bytes_per_series": {name: size + 1 for name, size in sizes.items()},
    }


BY_SIZE = {
    10_000: timed_as(ewma=[1e-9] * 3, significance=[1e-8, 2e-8, 1e-8], novelty=[5e-8] * 3, river=[1e-6, 4e-6, 1e-6]),
    1_000_000: timed_as(ewma=[2e-9] * 3, significance=[2e-8] * 3, novelty=[6e-8, 7e-8, 9e-8]),
}


def test_the_figures_of_speed() -> None:
    """River over significance in the three rounds: 100, 200, 100. A million series: 20 + 60, 20 + 70 and 20 + 90 ms."""
    report = detector_speed.summary(BY_SIZE, ABOUT)
    assert report["points_per_s"] == pytest.approx({"ewma": 1e9, "significance": 1e8, "novelty": 2e7, "river": 1e6})
    assert report["ratio_significance"] == pytest.approx(100)
    assert report["ratio_novelty"] == pytest.approx(20)
    assert report["million_series_step_s"] == pytest.approx(0.09)
    assert report["growth"] == pytest.approx({"ewma": 2, "significance": 2, "novelty": 1.4})
    assert report["bytes_per_series"] == {"ewma": 32, "significance": 208, "novelty": 3100, "total": 3340}
    assert list(report["sizes"]) == ["10000", "1000000"]
    json.dumps(report, allow_nan=False)


def test_what_was_not_measured_is_none_and_says_so() -> None:
    report = detector_speed.summary({1000: BY_SIZE[1_000_000]}, ABOUT)
    names = ("points_per_s", "ratio_significance", "ratio_novelty", "million_series_step_s", "growth")
    assert [report[name] for name in names] == [None] * 5
    assert "| a step of a million series, both | not measured | < 0.2 s |" in detector_speed.table(report)


def test_the_speed_tables_are_markdown() -> None:
    text = detector_speed.table(detector_speed.summary(BY_SIZE, ABOUT))
    assert "| 10,000 series, score and learn | 1000.0 | 100.0 | 20.0 | 1.0 |" in text
    assert "| 1,000,000 series, score and learn | 500.0 | 50.0 | 14.3 |  |" in text
    assert "| bytes per series, all | 3340 | ≤ 4,000 |" in text
    assert len(tables(text)) == 2
    assert all(is_table(lines) for lines in tables(text))


@pytest.mark.parametrize(
    "arguments", [["--series", "10,x"], ["--series", "0"], ["--series", "-5"], ["--series", ""], ["--rounds", "0"]]
)
def test_sizes_and_rounds_are_whole_numbers_above_0(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        detector_speed.main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err
