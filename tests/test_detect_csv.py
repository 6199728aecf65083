"""`detect --csv`: every row comes back in its place with what the online detector says of it."""

import csv
import gzip
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from observability.cli import app
from observability.commands import Stopped
from observability.csv_series import Columns, CsvSeries, read_series
from observability.definitions import Channel
from observability.detection.channels import OURS, bank_of, track
from observability.errors import ConfigError, NotEnoughDataError
from tests.programs import SCRIPTS, postga, stage

EWMA = "ewma:alpha=0.1,threshold=4,warm_up=20"
CHANNEL = Channel(name="ewma", threshold=4, parameters={"alpha": 0.1, "warm_up": 20})
WHAT = ("score", "expected", "low", "high", "alarm")
N = 300
START = 1704110400


def walk(n: int = N, seed: int = 0) -> tuple[list[str], list[str]]:
    """A noisy series at 1 min, with a spike on row 200."""
    values = np.random.default_rng(seed).normal(100.0, 1.0, n)
    values[200:201] = 200.0
    return [str(START + 60 * k) for k in range(n)], [f"{value:.4f}" for value in values]


def save(path: Path, times: Sequence[str], values: Sequence[str]) -> Path:
    lines = [f"{time},{value}" for time, value in zip(times, values, strict=True)]
    path.write_text("\n".join(["timestamp,value", *lines]) + "\n")
    return path


def detect(*flags: str | Path) -> None:
    app(["detect", *map(str, flags)], standalone_mode=False)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def cell(number: float) -> str:
    return "" if np.isnan(number) else repr(float(number))


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return save(tmp_path / "one.csv", *walk())


def test_each_row_has_what_the_online_detector_says(one: Path, tmp_path: Path) -> None:
    detect("--csv", one, "--out", tmp_path / "out.csv", "--channel", EWMA)
    series, rows = read_series(one, Columns()), table(tmp_path / "out.csv")
    reading = track(CHANNEL, [series.times], [series.values])[0]
    assert [(row["timestamp"], row["value"]) for row in rows] == list(zip(*walk(), strict=True))
    for k, row in enumerate(rows):
        numbers = [cell(part[k]) for part in reading[1:5]] if reading.scored[k] else [""] * 4
        alarm = str(int(reading.score[k] >= 4)) if reading.scored[k] else ""
        assert [row[f"ewma_{what}"] for what in WHAT] == [*numbers, alarm]
    assert [k for k, row in enumerate(rows) if row["ewma_alarm"] == "1"] == [200]
    assert [row["ewma_alarm"] for row in rows[:21]] == [""] * 20 + ["0"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_channel_of_ours_scores_what_its_bank_scores(one: Path, tmp_path: Path, name: str) -> None:
    detect("--csv", one, "--out", tmp_path / "out.csv", "--channel", name)
    series, channel = read_series(one, Columns()), Channel(name=name)
    reading = track(channel, [series.times], [series.values])[0]
    alarms = reading.scored & (reading.score >= bank_of(channel, 1).threshold)
    rows = table(tmp_path / "out.csv")
    assert [row[f"{name}_score"] != "" for row in rows] == reading.scored.tolist()
    assert [row[f"{name}_alarm"] == "1" for row in rows] == alarms.tolist()


@pytest.mark.skipif(not {"significance", "novelty"} <= OURS.keys(), reason="a channel of ours is not there")
def test_significance_and_novelty_score_by_default(one: Path, tmp_path: Path) -> None:
    detect("--csv", one, "--out", tmp_path / "out.csv")
    columns = [f"{name}_{what}" for name in ("significance", "novelty") for what in WHAT]
    assert list(table(tmp_path / "out.csv")[0]) == ["timestamp", "value", *columns]


def test_rivers_detectors_are_channels(one: Path, tmp_path: Path) -> None:
    detect("--csv", one, "--out", tmp_path / "out.csv", "--channel", "StandardAbsoluteDeviation:threshold=6")
    rows = table(tmp_path / "out.csv")
    assert rows[200]["StandardAbsoluteDeviation_alarm"] == "1"
    assert {row["StandardAbsoluteDeviation_expected"] for row in rows} == {""}  # it knows none


def test_a_new_level_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three days at 100, then three at 200, every ten minutes; and one spike, long after that."""
    values = np.random.default_rng(5).normal(100.0, 1.0, 6 * 144)
    values[3 * 144 :] += 100
    values[-10] += 1000
    moved = save(tmp_path / "m.csv", [str(START + 600 * k) for k in range(values.size)], [f"{v:.3f}" for v in values])
    detect("--csv", moved, "--out", tmp_path / "o.csv", "--channel", "significance", "--json", "--plot")
    printed = capsys.readouterr()
    (level,) = json.loads(printed.out)["files"][0]["channels"]["significance"]["new_levels"]
    assert (level["since"], level["noticed"]) == ("2024-01-04T12:00:00Z", "2024-01-05T12:00:00Z")
    assert (level["before"], level["after"]) == (pytest.approx(100, abs=1), pytest.approx(200, abs=1))
    figures, told = printed.err.splitlines()
    assert figures.endswith("scored, 1 new level")
    assert level["alarms"] == 145
    assert sum(row["significance_alarm"] == "1" for row in table(tmp_path / "o.csv")) == 146
    assert re.search(r"m.csv: significance: new level: [\d.]+ → [\d.]+ since 2024-01-04T12:00:00Z \(", told)
    assert level["settled"] is True
    assert told.endswith("(noticed 24 hours later, 145 alarms on the way)")
    assert (tmp_path / "o.png").is_file()


def test_what_does_not_come_back_and_goes_on_moving_is_no_new_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A week at 100, then up by 50 a day, every ten minutes."""
    values = np.random.default_rng(5).normal(100.0, 1.0, 11 * 144)
    values[7 * 144 :] += 20 + 50 / 144 * np.arange(4 * 144)
    leak = save(tmp_path / "m.csv", [str(START + 600 * k) for k in range(values.size)], [f"{v:.3f}" for v in values])
    detect("--csv", leak, "--out", tmp_path / "o.csv", "--channel", "significance", "--json", "--plot")
    printed = capsys.readouterr()
    (level,) = json.loads(printed.out)["files"][0]["channels"]["significance"]["new_levels"]
    assert level["settled"] is False
    figures, told = printed.err.splitlines()
    assert figures.endswith("scored, 1 still moving")
    assert "m.csv: significance: has not come back since 2024-01-08T12:00:00Z, still moving: 1" in told
    assert "new level" not in printed.err


def test_rows_that_cannot_be_scored_keep_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times, values = walk()
    times[50], values[60], values[70], values[80] = "yesterday", "", "abc", "inf"
    detect("--csv", save(tmp_path / "a.csv", times, values), "--out", tmp_path / "out.csv", "--channel", EWMA, "--json")
    rows = table(tmp_path / "out.csv")
    assert [(row["timestamp"], row["value"]) for row in rows] == list(zip(times, values, strict=True))
    assert [k for k in range(20, N) if rows[k]["ewma_score"] == ""] == [50, 60, 70, 80]
    printed = capsys.readouterr()
    found = json.loads(printed.out)["files"][0]
    assert (found["rows"], found["missing"], found["late"]) == (N, 4, 0)
    assert found["channels"] == {"ewma": {"threshold": 4.0, "scored": N - 4 - 20, "alarms": 1, "new_levels": []}}
    assert (found["first"], found["last"]) == ("2024-01-01T12:00:00Z", "2024-01-01T16:59:00Z")
    assert "warning: " in printed.err
    assert "(the first on line 52: 'yesterday')" in printed.err
    assert "2 of 300 values (the first on line 72: 'abc')" in printed.err


def test_rows_in_any_order_are_scored_in_time_order(
    one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times, values = walk()
    order = np.random.default_rng(1).permutation(N).tolist()
    mixed = save(tmp_path / "mixed.csv", [times[k] for k in order], [values[k] for k in order])
    detect("--csv", one, "--out", tmp_path / "a.csv", "--channel", EWMA)
    assert "not in time order" not in capsys.readouterr().err
    detect("--csv", mixed, "--out", tmp_path / "b.csv", "--channel", EWMA)
    sorted_rows = table(tmp_path / "a.csv")
    assert table(tmp_path / "b.csv") == [sorted_rows[k] for k in order]
    assert "not in time order" in capsys.readouterr().err


def test_a_clock_that_jumps_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 101 is earlier than row 100; both halves are scored, the later rows first."""
    times, values = walk()
    times = [str(START + 60 * (k if k <= 100 else k - 86400)) for k in range(N)]
    detect("--csv", save(tmp_path / "a.csv", times, values), "--out", tmp_path / "o.csv", "--channel", EWMA, "--json")
    printed = capsys.readouterr()
    assert "not in time order (line 103 is earlier than the row before it);" in printed.err
    rows = table(tmp_path / "o.csv")
    assert [row["ewma_score"] == "" for row in rows[99:123]] == [False] * 2 + [True] * 20 + [False] * 2
    assert json.loads(printed.out)["files"][0]["first"].startswith("2023-11-02")


HINT = "a clock change? write the zone, or UTC"


@pytest.mark.parametrize("minutes", [1, 5, 30, 60])
@pytest.mark.parametrize(("zone", "is_asked"), [("", True), ("Z", False), ("-05:00", False)])
def test_an_hour_that_repeats_in_local_times_may_be_a_clock_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], minutes: int, zone: str, is_asked: bool
) -> None:
    """From row 120 on, which is on line 122, the clock is an hour behind."""
    clock = [START + 60 * minutes * k - 3600 * (k >= 120) for k in range(N)]
    times = [datetime.fromtimestamp(second, UTC).strftime(f"%Y-%m-%dT%H:%M:%S{zone}") for second in clock]
    detect("--csv", save(tmp_path / "a.csv", times, walk()[1]), "--out", tmp_path / "o.csv", "--channel", EWMA)
    printed = capsys.readouterr().err
    where = "the first on line 122" if minutes == 60 else "line 122 is earlier than the row before it"
    assert f"({where}{f'; {HINT}' if is_asked else ''})" in printed
    assert printed.count(HINT) == is_asked


@pytest.mark.parametrize("order", ["doubled", "backwards", "half a day"])
def test_what_else_is_out_of_order_is_no_clock_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], order: str
) -> None:
    rows = {
        "doubled": [k // 2 for k in range(N)],
        "backwards": [N - k for k in range(N)],
        "half a day": [k - 24 * (k >= 120) for k in range(N)],
    }[order]
    times = [datetime.fromtimestamp(START + 1800 * k, UTC).strftime("%Y-%m-%d %H:%M:%S") for k in rows]
    detect("--csv", save(tmp_path / "a.csv", times, walk()[1]), "--out", tmp_path / "o.csv", "--channel", EWMA)
    printed = capsys.readouterr().err
    assert "warning: " in printed
    assert HINT not in printed


def test_of_rows_with_one_time_the_first_in_the_file_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times, values = walk()
    times[101], values[101] = times[100], "500"
    times[103], values[102] = times[102], ""  # nothing was learned at that time: the second is the first with a value
    detect("--csv", save(tmp_path / "a.csv", times, values), "--out", tmp_path / "o.csv", "--channel", EWMA, "--json")
    rows = table(tmp_path / "o.csv")
    assert [rows[k]["ewma_score"] == "" for k in range(100, 104)] == [False, True, True, False]
    printed = capsys.readouterr()
    found = json.loads(printed.out)["files"][0]
    assert (found["missing"], found["late"], found["channels"]["ewma"]["alarms"]) == (1, 1, 1)
    assert "late rows: 1 (the first on line 103);" in printed.err


def test_of_many_rows_with_one_time_the_first_in_the_file_is_scored(tmp_path: Path) -> None:
    times, values = walk()
    order = (np.random.default_rng(2).permutation(2 * N) % N).tolist()  # each row twice, anywhere
    mixed = save(tmp_path / "a.csv", [times[k] for k in order], [values[k] for k in order])
    detect("--csv", mixed, "--out", tmp_path / "o.csv", "--channel", EWMA)
    rows = table(tmp_path / "o.csv")
    scored = [order.index(k) == at and k >= 20 for at, k in enumerate(order)]
    assert [row["ewma_score"] != "" for row in rows] == scored


def test_ten_years_of_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times, values = walk()
    times[150:] = [str(int(time) + 10 * 365 * 86400) for time in times[150:]]
    gap = save(tmp_path / "a.csv", times, values)
    detect("--csv", gap, "--out", tmp_path / "o.csv", "--channel", EWMA, "--plot")
    assert "2024-01-01T12:00:00Z to 2033-12-29T16:59:00Z" in capsys.readouterr().err
    assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")


def test_many_files_at_once_are_scored_as_each_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(3):
        times, values = walk(N - 50 * seed, seed)
        save(folder / f"{seed}.csv", [str(int(time) + seed) for time in times], values)
        detect("--csv", folder / f"{seed}.csv", "--out", tmp_path / f"{seed}.csv", "--channel", EWMA)
    (folder / "packed.CSV.gz").write_bytes(gzip.compress((folder / "1.csv").read_bytes()))
    (folder / "notes.txt").write_text("no CSV")
    capsys.readouterr()
    detect("--csv", folder, "--out", tmp_path / "out", "--channel", EWMA)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.csv", "1.csv", "2.csv", "packed.CSV"]
    for seed in range(3):
        assert (tmp_path / "out" / f"{seed}.csv").read_bytes() == (tmp_path / f"{seed}.csv").read_bytes()
    assert (tmp_path / "out/packed.CSV").read_bytes() == (tmp_path / "1.csv").read_bytes()
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        str(tmp_path / "out" / f"{name}") for name in ("0.csv", "1.csv", "2.csv", "packed.CSV")
    ]
    assert len(printed.err.splitlines()) == 4


def test_a_pattern_and_a_file_that_overlap_are_read_once(one: Path, tmp_path: Path) -> None:
    shutil.copy(one, tmp_path / "other.csv")
    detect("--csv", tmp_path / "o*.csv", "--csv", one, "--out", tmp_path / "out", "--channel", EWMA, "--plot")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["one.csv", "one.png", "other.csv", "other.png"]


def test_one_file_into_a_folder_that_is_there(one: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    detect("--csv", one, "--out", tmp_path / "out", "--channel", EWMA)
    assert (tmp_path / "out/one.csv").is_file()


def test_a_pipe_can_be_read(one: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(one.read_bytes(),))
    writer.start()
    detect("--csv", tmp_path / "pipe", "--out", tmp_path / "out.csv", "--channel", EWMA)
    writer.join()
    assert len(table(tmp_path / "out.csv")) == N


def test_the_same_input_gives_the_same_bytes(one: Path, tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        detect("--csv", one, "--out", tmp_path / "out.csv.gz", "--channel", EWMA, "--plot")
        contents.append([(tmp_path / name).read_bytes() for name in ("out.csv.gz", "out.png")])
    assert contents[0] == contents[1]
    assert gzip.decompress(contents[0][0]).startswith(b"timestamp,value,ewma_score")


def test_scores_on_stdout(one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    detect("--csv", one, "--out", tmp_path / "out.csv", "--channel", EWMA)
    capsys.readouterr()
    detect("--csv", one, "--out", "-", "--channel", EWMA)
    assert capsys.readouterr().out == (tmp_path / "out.csv").read_text()


def no_data(tmp_path: Path, content: str, *flags: str) -> tuple[str, list[dict[str, str]]]:
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(NotEnoughDataError) as caught:
        detect("--csv", tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--channel", EWMA, *flags)
    return str(caught.value), table(tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "it has a header and no rows"),
        (["1704110400,1"], "too few values (1) to warm up ewma"),
        (["1704110400,", "1704110460,NaN"], "not one of its rows has a time and a value that can be scored"),
        (["1704110400,inf"], "not one of its rows has a time and a value that can be scored"),
        (["1704110400,1e305"], "not one of its rows has a time and a value that can be scored"),
        (["1704110400,1", "1704110460,2"], "too few values (2) to warm up ewma"),
    ],
)
def test_a_series_that_cannot_be_scored_is_no_data(tmp_path: Path, rows: list[str], words: str) -> None:
    text, found = no_data(tmp_path, "\n".join(["timestamp,value", *rows]) + "\n", "--plot")
    assert text == f"{tmp_path / 'in.csv'}: no data: {words}."
    assert [f"{row['timestamp']},{row['value']}" for row in found] == rows
    assert {row[f"ewma_{what}"] for row in found for what in WHAT} <= {""}
    assert (tmp_path / "out.png").is_file()


def test_a_constant_series_is_scored_and_quiet(tmp_path: Path) -> None:
    times, _ = walk()
    detect(
        "--csv", save(tmp_path / "a.csv", times, ["7"] * N), "--out", tmp_path / "o.csv", "--channel", EWMA, "--plot"
    )
    assert [row["ewma_alarm"] for row in table(tmp_path / "o.csv")] == [""] * 20 + ["0"] * (N - 20)


def test_one_bad_file_does_not_keep_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "good.csv", *walk())
    save(folder / "short.csv", *walk(3))
    (folder / "bad.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(ConfigError, match=r"^1 of the 3 files could not be read; the others are scored.$"):
        detect("--csv", folder, "--out", tmp_path / "out", "--channel", EWMA, "--json")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.csv", "short.csv"]
    printed = capsys.readouterr()
    assert f"error: {folder / 'bad.csv'} has the columns a, b, c; " in printed.err
    assert f"warning: {folder / 'short.csv'}: no data: too few values (3)" in printed.err
    found = {Path(file["csv"]).name: file for file in json.loads(printed.out)["files"]}
    assert [found[name]["exit_code"] for name in ("good.csv", "short.csv", "bad.csv")] == [0, 4, 2]
    assert found["bad.csv"]["out"] is None


def stopped_at(monkeypatch: pytest.MonkeyPatch, name: str, *flags: str | Path) -> str:
    """What a stop says that comes while the file is read; one file is a group."""

    def read(path: Path, columns: Columns) -> CsvSeries:
        if path.name == name:
            raise Stopped(signal.SIGINT)
        return read_series(path, columns)

    monkeypatch.setattr("observability.score_csv.MOST", 1)
    monkeypatch.setattr("observability.score_csv.read_series", read)
    with pytest.raises(Stopped) as caught:
        detect(*flags, "--channel", EWMA)
    return caught.value.left


def test_a_stop_says_how_many_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "c", "d", "e"):
        save(folder / f"{name}.csv", *walk())
    (folder / "b.csv").write_text("a,b,c\n")
    assert stopped_at(monkeypatch, "a.csv", "--csv", folder, "--out", out) == "nothing was written"
    assert not out.exists()
    assert stopped_at(monkeypatch, "d.csv", "--csv", folder, "--out", out) == "2 of 5 files are written"
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "c.csv"]


def test_groups_of_files_are_scored_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        save(tmp_path / f"{seed}.csv", *walk(seed=seed))
    detect("--csv", tmp_path / "*.csv", "--out", tmp_path / "one", "--channel", EWMA)
    monkeypatch.setattr("observability.score_csv.MOST", 2)
    detect("--csv", tmp_path / "?.csv", "--out", tmp_path / "two", "--channel", EWMA)
    contents = [[(tmp_path / out / f"{k}.csv").read_bytes() for k in range(5)] for out in ("one", "two")]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(("out", "left"), [("o.csv", "nothing was written"), ("-", "what was printed may end early")])
def test_a_program_that_is_interrupted(tmp_path: Path, out: str, left: str) -> None:
    """It waits for the pipe, which is open for writing only once it reads."""
    os.mkfifo(tmp_path / "pipe")
    command = [str(SCRIPTS / "postga"), "detect", "--csv", "pipe", "--out", out, "--channel", EWMA]
    program = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    with program as process, (tmp_path / "pipe").open("wb"):
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=30)[1]
    assert (process.returncode, printed) == (130, f"interrupted: {left}.\n")


def test_a_file_without_data_among_others_is_no_error(tmp_path: Path) -> None:
    save(tmp_path / "good.csv", *walk())
    save(tmp_path / "short.csv", *walk(3))
    detect("--csv", tmp_path / "*.csv", "--out", tmp_path / "out", "--channel", EWMA)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.csv", "short.csv"]


def test_no_file_with_data(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.csv", *walk(3))
    with pytest.raises(NotEnoughDataError, match=r"^None of the 2 files could be scored.$"):
        detect("--csv", tmp_path, "--out", tmp_path / "out", "--channel", EWMA)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--csv one.csv", "--csv needs --out"),
        ("--out out.csv", "--out is about the files of --csv"),
        ("--plot", "--plot is about the files of --csv"),
        ("--json --release release.yaml", "--json is about the files of --csv"),
        ("--csv one.csv --out o.csv --release release.yaml", "--release is about a release"),
        ("--csv one.csv --out o.csv --output-file a.json", "--output-file is about a release"),
        ("--csv one.csv --out o.csv --z-threshold 3", "--z-threshold is about a release"),
        ("--csv none.csv --out o.csv", "none.csv not found; name a CSV file"),
        ("--csv no*.csv --out o.csv", "no*.csv not found; name a CSV file"),
        ("--csv empty --out o.csv", "empty holds no file that ends in .csv"),
        ("--csv one.csv --out one.csv", "one.csv is read and would be written over"),
        ("--csv one.csv --out folder/../one.csv", "one.csv is read and would be written over"),
        ("--csv one.csv --csv folder --out .", "one.csv is read and would be written over"),
        ("--csv one.csv --csv folder --out o", "one.csv and folder/one.csv would both go to o/one.csv"),
        ("--csv one.csv --csv release.yaml --csv one.yaml --out o --plot", "would both go to o/one.png"),
        ("--csv one.csv --out o.png --plot", "o.png would be the scores and the plot"),
        ("--csv one.csv --out no/o.csv", "There is no folder no for o.csv"),
        ("--csv folder --out no/o", "There is no folder no for o"),
        ("--csv folder --out release.yaml", "release.yaml is a file, and the scores of several go into a folder"),
        ("--csv one.csv --out pipe", "pipe is no ordinary file"),
        ("--csv folder --csv one.csv --out -", "--out - prints the scores of one file"),
        ("--csv one.csv --out - --plot", "--out - prints the scores of one file"),
        ("--csv one.csv --out - --json", "would both print to stdout"),
        ("--csv one.csv --out o.csv --channel ewma --channel ewma:alpha=0.1", "--channel names ewma twice"),
        ("--csv one.csv --out o.csv --channel emwa", "unknown detector 'emwa'; did you mean 'ewma'?"),
        ("--csv one.csv --out o.csv --channel ewma:alfa=1", "alfa"),
        ("--csv one.csv --out o.csv --channel ewma:threshold=-1", "must be a number greater than 0"),
        ("--csv one.csv --out o.csv --channel GaussianScorer", "threshold"),
        ("--csv one.csv --out o.csv --channel ewma --value-column cpu", "no column 'cpu'"),
    ],
)
def test_what_can_be_asked_for_wrongly(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "folder"):
        (tmp_path / name).mkdir()
    shutil.copy(one, tmp_path / "folder")
    for name in ("one.yaml", "release.yaml"):
        (tmp_path / name).write_text("release: a\n")
    os.mkfifo(tmp_path / "pipe")
    before = one.read_bytes()
    with pytest.raises(ConfigError) as caught:
        detect(*flags.split())
    assert words.lower() in str(caught.value).lower()
    assert one.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {
        "empty",
        "folder",
        "one.csv",
        "one.yaml",
        "pipe",
        "release.yaml",
    }
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_as_a_program(one: Path, tmp_path: Path) -> None:
    done = stage(
        "observability/anomaly_detector_lightweight.py",
        tmp_path,
        "--csv",
        "one.csv",
        "--out",
        "o.csv",
        "--channel",
        EWMA,
    )
    assert (done.returncode, done.stdout) == (0, "o.csv\n")
    span = "2024-01-01T12:00:00Z to 2024-01-01T16:59:00Z"
    assert done.stderr == f"one.csv: 300 rows, 0 missing, 0 late; {span}; ewma 1 alarm of 280 scored\n"
    done = postga(tmp_path, "detect", "--csv", "none.csv", "--out", "p.csv", "--channel", EWMA)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    save(tmp_path / "short.csv", *walk(3))
    done = postga(tmp_path, "detect", "--csv", "short.csv", "--out", "p.csv", "--channel", EWMA)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (4, "p.csv\n", False)
