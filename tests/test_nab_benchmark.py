"""The command on a made-up corpus of three files: what it prints, what it writes, what it refuses."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import figures, nab, nab_corpus
from benchmarks.nab_scoring import PROFILES, sweep, weigh
from observability.definitions import Channel

START = datetime(2014, 4, 1)  # noqa: DTZ001 — NAB's timestamps have no zone
ROWS = 200
WINDOWS = {"kind/one.csv": [(120, 139)], "kind/two.csv": [(80, 89), (150, 169)], "other/quiet.csv": []}
CHANNEL = "ewma:alpha=0.05"


def at(row: int) -> str:
    return str(START + timedelta(minutes=5 * row))


def write_csv(path: Path, spikes: list[int], seed: int) -> None:
    values = 10 + np.random.default_rng(seed).normal(size=ROWS)
    values[spikes] = 60
    lines = [f"{at(row)},{value:.2f}" for row, value in enumerate(values)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["timestamp,value", *lines, ""]), encoding="utf-8")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Its files leap in the first row of each window and nowhere else, so that they can be scored perfectly."""
    for seed, (name, windows) in enumerate(WINDOWS.items()):
        write_csv(tmp_path / "data" / name, [start for start, _ in windows], seed)
    (tmp_path / "data/README.md").write_text("No data.", encoding="utf-8")
    label(tmp_path, {name: [[at(row) + ".000000" for row in one] for one in of] for name, of in WINDOWS.items()})
    return tmp_path


def label(corpus: Path, labels: object) -> None:
    (corpus / "labels").mkdir(exist_ok=True)
    (corpus / nab_corpus.LABELS).write_text(json.dumps(labels), encoding="utf-8")


def run_json(corpus: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict:
    assert nab.main(["--nab", str(corpus), "--channel", CHANNEL, "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_one_object_with_everything(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(corpus, capsys)
    assert [found[name] for name in PROFILES] == pytest.approx([100, 100, 100])
    assert (found["files"], found["rows"], found["windows"]) == (3, 3 * ROWS, 3)
    assert (found["channel"], found["threshold"], found["parameters"]["alpha"]) == ("ewma", 3, 0.05)
    assert set(found["thresholds"]) == set(found["at_shipped_threshold"]) == set(PROFILES)
    assert all(threshold > 3 for threshold in found["thresholds"].values())
    assert set(found["about"]) == {"date", "machine", "python", "commit"}


def test_at_its_own_threshold_the_channel_pays_for_its_false_alarms(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(corpus / "data/other/quiet.csv", [100], 3)
    # At 20 the windows are found and row 100 is false: 100 (3 − .11 + 3)/6; of low FN 100 (3 − .11 + 6)/9.
    found = run_json(corpus, capsys, "--channel", f"{CHANNEL},threshold=20")
    assert found["threshold"] == 20
    assert list(found["at_shipped_threshold"].values()) == pytest.approx([589 / 6, 578 / 6, 889 / 9])
    assert found["thresholds"]["standard"] > 3


def test_nothing_found_is_0_and_no_threshold(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = "\n".join(["timestamp,value", *(f"{at(row)},7" for row in range(ROWS)), ""])
    (corpus / "data/kind/one.csv").write_text(flat, encoding="utf-8")
    (corpus / "data/kind/two.csv").write_text(flat, encoding="utf-8")
    found = run_json(corpus, capsys)
    assert [found[name] for name in PROFILES] == [0, 0, 0]
    assert found["thresholds"] == dict.fromkeys(PROFILES)


# --- robustness


def test_robustness_is_seeded(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once, again = (run_json(corpus, capsys, "--robustness", "--draws", "3", "--sets", "4") for _ in range(2))
    assert {**once, "about": {}} == {**again, "about": {}}
    assert once["jitter_draws"] == 3
    assert once["jitter_median"] == once["jitter_lowest"] == pytest.approx(100)  # with any α near .05
    assert 50 < once["threshold_half_tested"] <= 100
    assert once["half_tested_sets"] == 4
    assert list(once["half_tested"]) == list(PROFILES)
    assert all(50 < tested <= 100 for tested in once["half_tested"].values())


def test_the_shipped_parameters_are_not_among_those_that_are_chosen(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    never_warm = Channel(name="ewma", parameters={"warm_up": ROWS})
    monkeypatch.setattr(nab, "scattered", lambda *_: [never_warm])
    found = run_json(corpus, capsys, "--robustness", "--draws", "1")
    assert found["threshold_half_tested"] > 50
    assert found["half_tested"] == dict.fromkeys(PROFILES, 0)


def test_robustness_needs_two_files_with_windows(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "data/kind/two.csv").unlink()
    label(corpus, {"kind/one.csv": [[at(120), at(139)]], "other/quiet.csv": []})
    assert nab.main(["--nab", str(corpus), "--channel", CHANNEL, "--robustness"]) == 2
    assert "leave it out" in capsys.readouterr().err


# --- the table


def test_the_table_is_markdown(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nab.main(["--nab", str(corpus), "--channel", CHANNEL, "--robustness", "--draws", "1", "--sets", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "3 files, 600 rows, 3 windows." in lines
    assert "| ewma, best threshold | 100.0 | 100.0 | 100.0 |" in lines
    assert "| `alpha` | 0.05 |" in lines
    rows = [line for line in lines[: lines.index("| ewma | measured with |")] if line.startswith("|")]
    assert {row.count("|") for row in rows} == {5}


def test_the_page_gets_the_table(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = corpus / "detector.md"
    begin, end = figures.marks("nab")
    page.write_text(f"before\n{begin}figures of yesterday\n{end}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(figures, "ROOT", corpus)
    monkeypatch.setattr(figures, "DETECTOR_PAGE", page)
    assert nab.main(["--nab", str(corpus), "--channel", CHANNEL, "--document"]) == 0
    text = page.read_text(encoding="utf-8")
    assert "| ewma, best threshold | 100.0 |" in text
    assert "yesterday" not in text
    assert (text[:7], text[-6:]) == ("before\n", "after\n")


# --- result files


def test_results_are_written_as_nab_reads_them(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run_json(corpus, capsys, "--results", str(corpus / "results"))
    paths = sorted((corpus / "results").rglob("*.csv"))
    names = ["kind/ewma_one.csv", "kind/ewma_two.csv", "other/ewma_quiet.csv"]
    assert [path.relative_to(corpus / "results/ewma").as_posix() for path in paths] == names
    results = [pd.read_csv(path, dtype={"value": str}) for path in paths]
    for result, (name, windows) in zip(results, WINDOWS.items(), strict=True):
        assert list(result) == ["timestamp", "value", "anomaly_score", "label"]
        given = pd.read_csv(corpus / "data" / name, dtype=str)
        assert result[["timestamp", "value"]].equals(given)
        assert np.flatnonzero(result["label"]).tolist() == [i for a, b in windows for i in range(a, b + 1)]
        assert result["anomaly_score"].between(0, 1, inclusive="left").all()
    assert_scored_the_same(report, results)


def assert_scored_the_same(report: dict, results: list[pd.DataFrame]) -> None:
    weights = [weigh(ROWS, windows) for windows in WINDOWS.values()]
    swept = sweep(weights, [result["anomaly_score"].to_numpy() for result in results])
    for name, profile in PROFILES.items():
        threshold = report["thresholds"][name]
        assert swept.best(profile) == pytest.approx(threshold / (1 + threshold))
        assert swept.at(swept.best(profile), profile) == pytest.approx(report[name])


def test_what_is_squashed_keeps_its_order() -> None:
    scores = np.array([-3.0, -0.5, 0.0, 1e-9, 0.016, 3.0, 3.0, 1000.0])
    squashed = nab_corpus.squashed(scores)
    assert squashed[4] == pytest.approx(0.016 / 1.016)
    assert (np.diff(squashed) > 0).tolist() == (np.diff(scores) > 0).tolist()
    assert abs(squashed).max() < 1


# --- what cannot be used


def relabelled(windows: object) -> dict:
    return {"kind/one.csv": windows, "kind/two.csv": [], "other/quiet.csv": []}


LABELS = [
    ({"kind/one.csv": []}, "data/kind/two.csv has no entry"),
    ({**relabelled([]), "kind/three.csv": []}, "data/kind/three.csv is not there, but labelled"),
    (relabelled([]), "has no window"),
    ([], "must map each file"),
    (relabelled([at(1), at(2)]), "must map each file"),
    (relabelled([["soon", at(2)]]), "one.csv cannot be used"),
    (relabelled([[at(900), at(901)]]), "no row lies in its window from 2014-04-04"),
    (relabelled([[at(50), at(60)], [at(60), at(70)]]), "two of its windows overlap"),
]


@pytest.mark.parametrize(("labels", "said"), LABELS)
def test_labels_that_do_not_fit(corpus: Path, capsys: pytest.CaptureFixture[str], labels: object, said: str) -> None:
    label(corpus, labels)
    assert_refused(corpus, capsys, said)


DATA = [
    ("", "one.csv cannot be used"),
    ("time,value\n2014-04-01 00:00:00,1\n", "one.csv cannot be used"),
    (f"timestamp,value\n{at(0)},1\n{at(130)},high\n", "high"),
    (f"timestamp,value\n{at(0)},1\nsoon,1\n", "soon"),
    ("timestamp,value\n", "no row lies in its window"),
]


@pytest.mark.parametrize(("text", "said"), DATA)
def test_data_that_cannot_be_read(corpus: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    (corpus / "data/kind/one.csv").write_text(text, encoding="utf-8")
    assert_refused(corpus, capsys, said)


def test_a_folder_without_nab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(tmp_path / "nowhere", capsys, "cannot be read (No such file or directory); name the folder")
    (tmp_path / "labels").mkdir()
    (tmp_path / nab_corpus.LABELS).write_text("{", encoding="utf-8")
    assert_refused(tmp_path, capsys, "is not JSON")


def test_results_that_cannot_be_written(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "results").write_text("a file", encoding="utf-8")
    assert nab.main(["--nab", str(corpus), "--channel", CHANNEL, "--results", str(corpus / "results")]) == 2
    assert "name another --results folder" in capsys.readouterr().err


def test_an_unknown_channel(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nab.main(["--nab", str(corpus), "--channel", "ewma:alfa=0.1"]) == 2
    assert "alfa" in capsys.readouterr().err


def assert_refused(folder: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    """One sentence, and nothing else."""
    assert nab.main(["--nab", str(folder), "--channel", CHANNEL]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
