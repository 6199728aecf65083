"""The benchmark of the judgement, on tiny made-up folders: what is read, what is put in, and how it is counted."""

import gzip
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import figures, judgement, judgement_made_up, judgement_rates, judgement_scale, judgement_weeks
from benchmarks.judgement_rates import Outcome
from benchmarks.judgement_weeks import INJECTED, Series, Window
from observability.artifacts import DaySummary
from observability.errors import ConfigError
from observability.judgement.inference import infer_mean
from observability.judgement.regression import analyse
from observability.model import format_instant

DAY_S = 86_400
MIDNIGHT = 1_736_121_600  # 2025-01-06T00:00:00Z
FIRST_DAY = MIDNIGHT // DAY_S
FIGURES = {"false_alarm_rate", "found_1_15", "found_1_3", "found_ramp", "spike_as_regression"}


def hours_of(days: int = 15, seed: int = 1) -> np.ndarray:
    """A daily pattern with a little noise."""
    hours = np.arange(24 * days)
    return 100 * (1 + 0.5 * np.sin(2 * np.pi * hours / 24)) + np.random.default_rng(seed).normal(0, 1, hours.size)


def series(values: Sequence[float], labelled: Sequence[int] = (), name: str = "a", first_hour: int = 0) -> Series:
    is_labelled = np.zeros(len(values), dtype=bool)
    is_labelled[list(labelled)] = True
    return Series("cloud", name, name, first_hour + MIDNIGHT // 3600, np.asarray(values, dtype=float), is_labelled)


def window(hours: np.ndarray | None = None, first_day: int = FIRST_DAY, name: str = "a") -> Window:
    hours = hours_of() if hours is None else hours
    return Window(series(hours, name=name), first_day, hours.reshape(15, 24))


def write_csv(path: Path, values: Sequence[float], labelled: Sequence[int] = (), step_s: int = 3600) -> None:
    stamps = (MIDNIGHT + step_s * np.arange(len(values))).astype("datetime64[s]")
    rows = [
        f'"{stamp}Z",{value!r},{int(row in labelled)}'
        for row, (stamp, value) in enumerate(zip(stamps, np.asarray(values).tolist(), strict=True))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["TimeStamp,Value,Label", *rows]) + "\n")


def write_host(path: Path, kpis: Sequence[Sequence[float]], labelled: Sequence[int] = ()) -> None:
    names = [f"kpi_{number}" for number in range(len(kpis))]
    rows = [
        ",".join(
            [str(MIDNIGHT + 3600 * row), *(repr(float(value)) for value in values), "1", str(int(row in labelled))]
        )
        for row, values in enumerate(zip(*kpis, strict=True))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join([",".join(["timestamp", *names, "judged", "label"]), *rows]).encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four windows of a series without labels, one of a series with a label on its first day, and a host's two."""
    write_csv(tmp_path / "cloud-monitoring/data/rates/a-01.csv", hours_of(18))
    write_csv(tmp_path / "cloud-monitoring/data/rates/a-02.csv", hours_of(16, seed=2), labelled=[5])
    write_host(tmp_path / "hosts/web-1.csv.gz", [hours_of(15, seed=3), hours_of(15, seed=4), np.ones(360)])
    return tmp_path


# --- what is read


def test_both_kinds_of_files_are_read(folder: Path) -> None:
    found = judgement_weeks.read(folder)
    assert [(one.group, one.cluster, one.name) for one in found] == [
        ("cloud", "data/rates/a-01", "data/rates/a-01"),
        ("cloud", "data/rates/a-02", "data/rates/a-02"),
        ("hosts", "web-1", "web-1/0"),
        ("hosts", "web-1", "web-1/1"),
        ("hosts", "web-1", "web-1/2"),
    ]
    assert {one.first_hour for one in found} == {MIDNIGHT // 3600}
    assert found[0].values.tolist() == hours_of(18).tolist()
    assert np.flatnonzero(found[1].labelled).tolist() == [5]


@pytest.mark.parametrize(("below", "groups"), [("cloud-monitoring", {"cloud"}), ("hosts", {"hosts"})])
def test_one_of_the_two_folders_will_do(below: str, groups: set[str], folder: Path) -> None:
    assert {one.group for one in judgement_weeks.read(folder / below)} == groups


def test_minutes_in_any_order_become_hours(tmp_path: Path) -> None:
    """Three hours: of 10 and 20, of nothing but a label, and of 7, twice at the same time."""
    (tmp_path / "x.csv").write_text(
        "TimeStamp,Value,Label\n2025-01-06T02:00:00Z,7,0\n2025-01-06T00:30:00Z,20,0\n2025-01-06T00:00:00Z,10,0\n"
        "2025-01-06T01:59:00Z,,1\n2025-01-06T02:00:00Z,7,0\n"
    )
    (found,) = judgement_weeks.read(tmp_path)
    assert np.array_equal(found.values, [15, np.nan, 7], equal_nan=True)
    assert found.labelled.tolist() == [False, True, False]


def test_without_a_column_of_labels_nothing_is_labelled(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("TimeStamp,Value\n2025-01-06 00:00:00,1\n2025-01-06 01:00:00,inf\n")
    (tmp_path / "other.csv").write_text("name,age\na,1\n")
    (found,) = judgement_weeks.read(tmp_path)
    assert np.array_equal(found.values, [1, np.nan], equal_nan=True)
    assert not found.labelled.any()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no *.csv with TimeStamp and Value, and no KIND-NAME.csv.gz"),
        ({"other.csv": "name,age\na,1\n"}, "has no *.csv with TimeStamp and Value"),
        ({"x.csv": "TimeStamp,Value\n2025-01-06T00:00:00Z,many\n"}, "x.csv cannot be read"),
        ({"x.csv": "TimeStamp,Value\nyesterday,1\n"}, "x.csv cannot be read"),
        ({"x.csv": "TimeStamp,Value\n,1\n"}, "x.csv cannot be read as TimeStamp, Value, Label; get it again: a row"),
        ({"x.csv": "TimeStamp,Value\n"}, "it has no rows"),
        ({"x.csv": ""}, "x.csv cannot be read"),
        ({"web-1.csv.gz": "no gzip"}, "web-1.csv.gz cannot be read as a host's KPIs"),
        ({"x.csv": "TimeStamp,Value\n2025-01-06T00:00:00Z,1\n"}, "no fifteen days without a labelled point"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    files: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert judgement.main(["--data", str(tmp_path), "--only", "weeks", "--json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert said in told.err
    assert told.err.count("\n") == 1


# --- windows


def test_windows_begin_at_midnight() -> None:
    """The series begins at 22:00 the day before, and has 16 days from the first midnight on."""
    found, left_out = judgement_weeks.windows([series(hours_of(17)[: 2 + 24 * 16], first_hour=-2)])
    assert [one.first_day for one in found] == [FIRST_DAY, FIRST_DAY + 1]
    assert found[1].hours[0].tolist() == hours_of(17)[26:50].tolist()
    assert left_out == []


@pytest.mark.parametrize("every", [1, 2, 3])
def test_windows_never_overlap_a_label(every: int) -> None:
    rng = np.random.default_rng(every)
    for _ in range(20):
        labelled = set(rng.choice(24 * 60, size=3).tolist())
        found, _ = judgement_weeks.windows([series(hours_of(60), sorted(labelled))], every)
        naive = [
            day
            for day in range(0, 60 - 15 + 1, every)
            if not any(24 * day <= hour < 24 * (day + 15) for hour in labelled)
        ]
        assert [one.first_day - FIRST_DAY for one in found] == naive


def changed(places: slice | int, value: float) -> np.ndarray:
    hours = hours_of()
    hours[places] = value
    return hours


@pytest.mark.parametrize(
    ("hours", "why"),
    [
        (hours_of(), None),
        (changed(slice(0, 18), np.nan), None),  # 5 % of 360
        (changed(slice(0, 19), np.nan), "missing"),
        (changed(slice(None), np.nan), "missing"),
        (changed(0, -1e-9), "negative"),
        (changed(slice(None), 3.0), "constant"),
        (changed(slice(0, 359), 3.0), None),
        (changed(slice(None), 0.0), "mostly zero"),
        (changed(slice(24, 48), 0.0), "mostly zero"),  # a whole day
        (changed(slice(12, 36), 0.0), None),
        (np.where(np.arange(360) % 2 == 0, 0.0, hours_of()), None),  # half of them
        (np.where(np.arange(360) % 24 < 13, 0.0, hours_of()), "mostly zero"),
    ],
)
def test_what_is_left_out(hours: np.ndarray, why: str | None) -> None:
    assert judgement_weeks.why_left_out(hours.reshape(15, 24)) == why
    found, left_out = judgement_weeks.windows([series(hours)])
    assert [reason for reason, _ in left_out] == ([] if why is None else [why])
    assert len(found) == (why is None)


def most_disjoint(days: Sequence[int]) -> int:
    """By trying all subsets."""
    return max(
        size
        for size in range(len(days) + 1)
        for chosen in itertools.combinations(sorted(days), size)
        if all(later - earlier >= 15 for earlier, later in itertools.pairwise(chosen))
    )


def test_as_many_windows_are_disjoint_as_there_can_be() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        days = {name: rng.choice(70, size=7, replace=False).tolist() for name in "ab"}
        found = [window(first_day=day, name=name) for name, of in days.items() for day in of]
        is_taken = judgement_weeks.disjoint(found)
        assert is_taken.sum() == most_disjoint(days["a"]) + most_disjoint(days["b"])
        for name in "ab":
            taken = sorted(one.first_day for one, is_one in zip(found, is_taken, strict=True) if is_one)
            of = [day for day in taken if day in days[name]]
            assert len(of) >= most_disjoint(days[name])


def test_series_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for kind in ("one", "other"):
        write_csv(tmp_path / kind / "a.csv", hours_of(15))
    found, _ = judgement_weeks.windows(judgement_weeks.read(tmp_path))
    assert judgement_weeks.disjoint(found).tolist() == [True, True]


# --- what is put in


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("as_is", {0: 1, 191: 1}),
        ("1_15", {0: 1.15, 23: 1.15, 191: 1.15}),
        ("1_3", {0: 1.3, 191: 1.3}),
        # From 1 to 1.3 in 192 hours: 0.3/192 an hour, and half of that in the middle of the first.
        ("ramp", {0: 1 + 0.3 * 0.5 / 192, 95: 1 + 0.3 * 95.5 / 192, 191: 1 + 0.3 * 191.5 / 192}),
        # FIRST_DAY is 20094 = 7 · 2870 + 4, so the spike is on day 5.
        ("spike", {0: 1, 119: 1, 120: 2, 143: 2, 144: 1, 191: 1}),
        ("spike_1_3", {119: 1, 120: 1.3, 144: 1}),
        ("spike_5", {119: 1, 120: 5, 144: 1}),
    ],
)
def test_injections_by_hand(name: str, factors: dict[int, float]) -> None:
    given = window(np.full(360, 10.0))
    hours = INJECTED[name](given)
    assert hours.shape == (8, 24)
    assert {hour: hours.ravel()[hour] for hour in factors} == pytest.approx({h: 10 * f for h, f in factors.items()})
    assert (given.hours == 10).all()


def test_spikes_take_each_day_after_ga_in_turn() -> None:
    days = [window(first_day=FIRST_DAY + day).spike_day for day in range(7)]
    assert sorted(days) == [1, 2, 3, 4, 5, 6, 7]


def test_the_days_are_as_the_product_has_them() -> None:
    hours = np.repeat(np.arange(1.0, 16.0), 24)
    hours[2 * 24 + 3 : 2 * 24 + 9] = np.nan
    given = window(hours)
    before, released = judgement_weeks.before(given), judgement_weeks.released(given, INJECTED["1_15"](given))
    days = [*before.days, *released]
    assert [day.day_number for day in days] == list(range(-7, 8))
    assert [day.value("kpi") for day in days] == pytest.approx([*range(1, 8), *(1.15 * n for n in range(8, 16))])
    assert format_instant(released[0].timestamp) == "2025-01-13T00:00:00Z"
    assert format_instant(released[1].timestamp) == "2025-01-14T23:59:59Z"
    windows = [day.window for day in days]
    assert all(one.end == other.start for one, other in itertools.pairwise(windows) if one and other)
    third = days[2].kpis["kpi"]
    assert (third.coverage, third.n, third.hourly) == (0.75, 18, (3.0,) * 3 + (None,) * 6 + (3.0,) * 15)
    for day in days:
        assert DaySummary.model_validate_json(day.model_dump_json()) == day  # what was not validated is valid


# --- how it is counted


def outcome(real: bool, up: bool = True, verdict: Any = "pass") -> Outcome:
    return Outcome(real, up, verdict, is_clear=real and up)


def test_what_is_found_and_what_is_a_false_alarm() -> None:
    """Of four windows the first is real for less as it is, the second for more, the last is inconclusive."""
    quiet, up, down = outcome(False), outcome(True), outcome(True, up=False)
    unsure = outcome(False, verdict="inconclusive")
    outcomes = {
        "as_is": [down, up, quiet, unsure],
        "1_15": [down, up, quiet, quiet],
        "1_3": [quiet, up, up, up],
        "ramp": [down, up, up, quiet],
        "spike": [down, quiet, up, quiet],
        "spike_1_3": [down, up, quiet, quiet],
        "spike_5": [down, up, up, up],
    }
    hits = judgement_rates.counted(outcomes)
    assert {name: flags.tolist() for name, flags in hits.items()} == {
        "false_alarm_rate": [0.5, 0.5, 0, 0],
        "real_either_way": [True, True, False, False],
        "found_1_15": [False, True, False, False],  # a change for less is not the one that was put in
        "found_1_3": [False, True, True, True],
        "found_ramp": [False, True, True, False],
        "found_1_15_among_20": [False, True, False, False],
        "found_1_3_among_20": [False, True, True, True],
        "found_ramp_among_20": [False, True, True, False],
        "spike_as_regression": [False, False, True, False],
        "spike_extra": [False, False, True, False],
        "spike_1_3_as_regression": [False, True, False, False],
        "spike_5_as_regression": [False, True, True, True],
        "inconclusive": [False, False, False, True],
    }
    among = np.array([True, True, True, False])
    assert judgement_rates.rates(hits, among)["false_alarm_rate"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("flags", "clusters", "expected"),
    [
        ([True, False], "aa", None),
        ([True, False, True, False], "aabb", (0.5, 0.5)),  # each draw is half of its windows
        ([True, True, False, False], "aabb", (0, 1)),  # both are a, one of each, or both are b: 1, 1/2, 0
        ([False, False, False], "abc", (0, 0)),
        # a has three windows, b one: a twice, a and b, or b twice are 0/6, 1/4 and 2/2
        ([False, False, False, True], "aaab", (0, 1)),
    ],
)
def test_intervals_by_hand(flags: list[bool], clusters: str, expected: tuple[float, float] | None) -> None:
    found = judgement_rates.interval(np.array(flags), np.array(list(clusters)), np.random.default_rng(1))
    assert found == expected


def test_intervals_are_those_of_naive_draws_and_seeded() -> None:
    rng = np.random.default_rng(7)
    clusters = rng.integers(0, 12, size=200)
    flags = rng.random(200) < 0.05 + 0.03 * clusters
    first, same, other = (judgement_rates.interval(flags, clusters, np.random.default_rng(n)) for n in (1, 1, 2))
    assert first == same != other
    assert first is not None
    drawn = []
    for _ in range(2000):
        chosen = [flags[clusters == one] for one in rng.choice(np.unique(clusters), size=12)]
        drawn.append(np.concatenate(chosen).mean())
    assert first == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.015)


def test_a_spike_is_an_alarm_of_the_online_detectors() -> None:
    found = [window(hours_of(seed=seed), FIRST_DAY + seed) for seed in range(3)]
    hits = judgement_rates.as_episodes(found)
    assert hits["spike_as_episode"].all()
    assert not hits["no_spike_as_episode"].any()


@pytest.fixture
def by_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the judgement of real weeks: real is what is more than 10 % off the mean of the week before."""

    def judged(ga: DaySummary, days: Sequence[DaySummary], before: Any) -> Any:
        past, after = ([day.kpis["kpi"].value for day in of] for of in (before.days, [ga, *days]))
        change = float(np.mean(after) / np.mean(past) - 1)
        real = abs(change) > 0.10
        verdict = "fail" if real and change > 0 else "pass"
        row = SimpleNamespace(baseline="week_before", real=real, change=change, verdict=verdict, p=0.001)
        return SimpleNamespace(rows=[SimpleNamespace(baseline="ga_day", real=True, change=9, verdict="fail"), row])

    monkeypatch.setattr(judgement_rates, "analyse", judged)


@pytest.mark.usefixtures("by_the_means")
def test_the_figures_by_hand(folder: Path) -> None:
    """Seven windows: four of a-01, one of a-02, two of the host; its third KPI is constant, and left out. Their means
    are as before; a day ×2 is 1/8 more, a day ×1.3 is 0.3/8, and the ramp is 0.15 in the mean."""
    found = judgement.weeks(folder, every=1, seed=3)
    assert {name: found[name] for name in ("windows", "disjoint", "series", "clusters")} == {
        "windows": 7,
        "disjoint": 4,
        "series": 4,
        "clusters": 3,
    }
    assert {name: found[name] for name in FIGURES} == {
        "false_alarm_rate": 0,
        "found_1_15": 1,
        "found_1_3": 1,
        "found_ramp": 1,
        "spike_as_regression": 1,
    }
    assert (found["spike_1_3_as_regression"], found["spike_extra"], found["inconclusive"]) == (0, 1, 0)
    assert found["left_out"] == {"constant": 1}
    assert found["left_out_false_alarm_rate"] == 0
    assert found["by_group"]["cloud"]["windows"] == 5
    assert found["by_group"]["hosts"]["clusters"] == 1
    assert found["disjoint_alone"]["found_1_3"] == 1
    assert found["verdicts"]["1_3"] == {"fail": 1}
    assert found["intervals"]["found_1_15"] == (1, 1)


def test_the_judgement_itself_is_measured() -> None:
    given = window()
    before = judgement_weeks.before(given)
    quiet, severe = (judgement_rates._judged(given, name, before) for name in ("as_is", "1_3"))
    assert quiet == Outcome(is_real=False, is_up=quiet.is_up, verdict="pass")
    assert severe == Outcome(is_real=True, is_up=True, verdict="fail", is_clear=True)


# --- made-up days


def test_the_noise_is_what_it_is_said_to_be() -> None:
    for phi in (0.0, 0.9):
        noise = judgement_made_up.ar1(phi, 50, np.random.default_rng(1)) - 1
        assert noise.shape == (50, 1440)
        assert noise.std() == pytest.approx(0.1, rel=0.05)
        assert noise[:, 0].std() == pytest.approx(0.1, rel=0.3)  # from the first minute on
        assert np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] == pytest.approx(phi, abs=0.02)


def test_hourly_means_by_hand() -> None:
    minutes = np.repeat(np.arange(24.0), 60)[np.newaxis] + np.tile([-1.0, 1.0], 720)
    assert judgement_made_up.hourly_means(minutes).tolist() == [list(map(float, range(24)))]


@pytest.mark.parametrize("phi", [0.0, 0.98])
def test_the_same_process_is_seldom_told_apart(phi: float) -> None:
    assert judgement_made_up.aa_rate(phi, 500, np.random.default_rng(3)) <= 0.03


def test_days_that_differ_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    days = iter([np.ones((5, 1440)), np.full((5, 1440), 1.01)])
    monkeypatch.setattr(judgement_made_up, "ar1", lambda *given: next(days))
    assert judgement_made_up.aa_rate(0.0, 5, np.random.default_rng(1)) == 1


def test_the_test_of_the_pairs_is_that_of_a_day_against_the_day_before() -> None:
    """A week of one process: what is said of day 7 against day 6 is what ``aa_rate`` counts."""
    hours = 100 * judgement_made_up.hourly_means(judgement_made_up.ar1(0.9, 15, np.random.default_rng(5)))
    calm = {"avg_cpu_percent": hours}
    days = [judgement_made_up._day(number, {name: of[7 + number] for name, of in calm.items()}) for number in range(8)]
    found = analyse(days[0], days[1:], None)
    row = next(row for row in found.rows if row.baseline == "previous_day")
    assert row.p == pytest.approx(infer_mean(np.log(hours[14] / hours[13]), judgement_made_up.LEVEL).p)


def test_more_usage_without_more_traffic_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement_made_up, "WEEKS", 1)
    found = judgement_made_up.load_cases(seed=3)
    assert set(found) == set(judgement.LOAD_ROWS)
    assert found["cpu_without_more_traffic"] == {"fail": 1}


# --- the cost


def test_a_made_up_service_has_all_its_kpis() -> None:
    release = judgement_scale._release()
    assert len(release.kpis) == 15
    made = judgement_scale.samples(release, 1, 0, np.random.default_rng(1))
    day = judgement_scale.summarise(release, made, 0, judgement_scale.SOURCE, None, False)
    assert [name for name, kpi in day.kpis.items() if kpi.value is None or kpi.coverage < 1] == []
    assert all(len(kpi.hourly) == 24 for kpi in day.kpis.values())


def test_what_a_process_of_its_own_measures() -> None:
    """Service 0 is one of those that are worse from GA on."""
    found = judgement_scale.run(1, seed=3)
    assert {name: found[name] for name in ("services", "kpis", "days", "failing")} == {
        "services": 1,
        "kpis": 15,
        "days": 8,
        "failing": 1,
    }
    assert set(found["parts"]) == {"fold", "slo", "regression", "health"}
    assert found["seconds"] == pytest.approx(sum(found["parts"].values()))
    assert found["fold_before_seconds"] > 0
    assert found["peak_mb"] > 10


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement_scale.sys, "executable", "false")
    with pytest.raises(judgement_scale.ScaleError, match="could not be judged"):
        judgement_scale.run(1, seed=3)


def run_of(services: int, seconds: float) -> dict[str, Any]:
    parts = {"fold": seconds, "slo": 0.0, "regression": 0.0, "health": 0.0}
    common = {"kpis": 15, "days": 8, "parts": parts, "fold_before_seconds": 1.0, "failing": 0}
    return {"services": services, "seconds": seconds, "peak_mb": 100.0 + services, **common}


def test_the_cost_of_a_service_among_many_and_among_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement_scale, "run", lambda services, seed: run_of(services, services / 50))
    found = judgement.scale(500, seed=3)
    assert (found["services"], found["seconds"], found["peak_mb"], found["cost_ratio"]) == (500, 10, 600, 1)
    assert [(of["services"], of["seconds"]) for of in found["sizes"]] == [(100, 2), (300, 6), (500, 10)]


# --- the report


def report_of(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    given = ["--data", str(folder), "--pairs", "20", "--services", "2", "--json", *more]
    assert judgement.main(given) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("by_the_means")
def test_the_whole_report(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(judgement_made_up, "WEEKS", 1)
    monkeypatch.setattr(judgement_scale, "run", lambda services, seed: run_of(services, 4.0))
    report = report_of(folder, capsys)
    assert set(report) == {"weeks", "aa", "load", "scale", "about"}
    assert set(report["weeks"]) >= FIGURES
    assert set(report["weeks"]["intervals"]) >= FIGURES
    assert set(report["weeks"]["by_group"]) == {"cloud", "hosts"}
    assert set(report["weeks"]["verdicts"]) == set(INJECTED)
    assert list(report["aa"]) == ["0", "0.5", "0.8", "0.9", "0.95", "0.98"]
    assert set(report["load"]) == set(judgement.LOAD_ROWS)
    assert set(report["scale"]) >= {"services", "seconds", "peak_mb"}
    text = judgement.table(report)
    assert "| windows | 7 |  |  | 5 | 2 |  |" in text
    assert "Left out: 1 constant; false alarms on these: 0.000." in text
    assert "| one core | 4.0 s | < 60 s |" in text
    rows = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert all(count >= 4 for count in rows)


def test_a_part_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(report_of(folder, capsys, "--only", "aa")) == {"aa", "about"}


@pytest.mark.usefixtures("by_the_means")
def test_the_same_seed_gives_the_same_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, same = (report_of(folder, capsys, "--only", "weeks", "--only", "aa") for _ in range(2))
    assert first == same


def test_the_page_has_a_place_for_the_figures() -> None:
    page = judgement.PAGE.read_text(encoding="utf-8")
    begin, end = figures.marks("judgement")
    assert page.count(begin) == page.count(end) == 1
    assert page.index(begin) < page.index(end)


@pytest.mark.usefixtures("by_the_means")
def test_without_two_windows_there_is_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "a.csv", hours_of(15))
    report = report_of(tmp_path, capsys, "--only", "weeks")
    assert report["weeks"]["intervals"]["found_1_3"] is None
    assert report["weeks"]["left_out_false_alarm_rate"] is None
    assert "| – |" in judgement.table(report)


def test_nothing_is_judged_without_windows() -> None:
    with pytest.raises(ConfigError, match="no fifteen days"):
        judgement_rates.weeks([], [], seed=3)
