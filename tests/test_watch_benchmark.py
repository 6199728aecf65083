"""The watcher's benchmark: what it watches, how it is told, and what it says when it cannot measure."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks import figures, watch, watch_data, watch_steps
from benchmarks.series import Series
from benchmarks.watch_steps import Step
from observability.definitions import Release
from observability.model import Window
from observability.release import load
from observability.sources import Followed, Memory

MINUTE_MS = 60_000
ABOUT = {"date": "2026-11-20", "machine": "m", "python": "3.11", "prometheus": "2.42.0", "commit": "abc"}


def made_release(tmp_path: Path, count: int) -> Release:
    path = tmp_path / "release.yaml"
    path.write_text(watch_data.release(count, "http://localhost:1"), encoding="utf-8")
    return load(path)


def of_service(series: list[Series], name: str) -> dict[str, Series]:
    return {one.name: one for one in series if one.labels["service"] == name}


# --- what is watched


def test_each_series_is_read_for_a_kpi_of_its_own(tmp_path: Path) -> None:
    release = made_release(tmp_path, 3)
    assert release.services == ("service-0000", "service-0001", "service-0002")
    assert len(release.kpis) == watch_data.PER_SERVICE == 10
    assert all(kpi.detect for kpi in release.kpis.values())
    asked = {name for query in release.plan.queries for name in metrics() if f"{name}{{" in query.promql}
    assert (len(release.plan.queries), asked) == (10, metrics())


def metrics() -> set[str]:
    return {*watch_data.COUNTERS, *watch_data.GAUGES}


def test_services_are_scraped_once_a_step_from_the_history_on() -> None:
    series = watch_data.series(4, 100, seed=1)
    first, last = watch_data.borders_ms(100)[0], watch_data.borders_ms(100)[-1]
    assert len(series) == 4 * (watch_data.PER_SERVICE + 1)
    for one in series:
        assert {*np.diff(one.times_ms)} == {MINUTE_MS}
        assert first <= one.times_ms[0] < first + MINUTE_MS
        assert last - MINUTE_MS <= one.times_ms[-1] < last
    for number in range(4):
        found = of_service(series, f"service-{number:04}")
        assert found.keys() == metrics() | {"up"}
        assert all((np.diff(found[name].values) >= 0).all() for name in watch_data.COUNTERS)
        assert {*found["up"].values} == {1}


def test_the_same_seed_makes_the_same_series() -> None:
    one, same, other = (watch_data.series(2, 50, seed) for seed in (1, 1, 2))
    assert all((a.values == b.values).all() for a, b in zip(one, same, strict=True))
    assert any(
        a.values.shape != b.values.shape or (a.values != b.values).any() for a, b in zip(one, other, strict=True)
    )


def test_one_service_is_ill_at_a_time() -> None:
    steps = 40 * watch_data.INCIDENT_STEPS
    turns = np.array([watch_data.ill(number, 40, steps) for number in range(40)])
    assert (turns.sum(axis=0) == 1).all()
    assert (turns.sum(axis=1) == watch_data.INCIDENT_STEPS).all()  # each once, as 37 and 40 have no common divisor


def test_who_is_ill_fails_more() -> None:
    found = of_service(watch_data.series(3, 600, seed=1), "service-0001")
    is_ill = watch_data.ill(1, 3, found["queue_length"].values.size)
    assert found["queue_length"].values[is_ill].mean() > 5 * found["queue_length"].values[~is_ill].mean()
    errors = np.diff(found["http_errors_total"].values)
    assert errors[is_ill[1:]].mean() > 5 * errors[~is_ill[1:]].mean()


@pytest.mark.parametrize(
    ("steps", "hours"),
    [(60, [-6, 0, 1]), (1440, [-6, 0, 24]), (1500, [-6, 0, 24, 25]), (2000, [-6, 0, 24, 100 / 3])],
)
def test_blocks_end_at_midnight(steps: int, hours: list[float]) -> None:
    ga_ms = 1000 * watch_data.GA.timestamp()
    assert watch_data.borders_ms(steps) == pytest.approx([ga_ms + hour * 3_600_000 for hour in hours])


# --- what a step takes


class Slow:
    """A follower whose clock goes on by two seconds for each window that is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.remembered: Memory = {}

    def read(self, window: Window) -> Followed:
        self.now += 2
        return Followed({}, points=7)

    def memory(self) -> Memory:
        return {"steps": np.array([1])}

    def remember(self, memory: Memory) -> None:
        self.remembered = memory


def test_reading_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    monkeypatch.setattr(watch_steps.time, "perf_counter", lambda: slow.now)
    timed = watch_steps.Timed(slow)
    window = Window(start=watch_data.GA, end=watch_data.GA + timedelta(minutes=1))
    assert (timed.read(window).points, timed.read(window).points) == (7, 7)
    assert timed.seconds == 4
    timed.remember(timed.memory())
    assert slow.remembered == slow.memory()


def test_memory_is_that_of_the_process() -> None:
    status = Path("/proc/self/status").read_text()
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert watch_steps._memory_mb() == pytest.approx(kib * 1024 / 1e6, rel=0.05)


# --- the report


def steps_of(seconds: list[float], mb: list[float]) -> list[Step]:
    return [Step(took, took / 2, 10, 1, held, held + 5) for took, held in zip(seconds, mb, strict=True)]


def test_the_figures_by_hand() -> None:
    """300 steps: 1 s each, but for three of 3, 4 and 5 s. Their 99th percentile is the 297th in order, 1 s.

    500 MB are left of the history for 100 steps. Then it is 300 MB, and 20 MB more in every tenth step.
    """
    seconds = [1.0] * 297 + [3.0, 5.0, 4.0]
    mb = [500.0 if step <= 100 else 320.0 if step % 10 == 5 else 300.0 for step in range(1, 301)]
    report = watch.summary(10, steps_of(seconds, mb), ABOUT)
    assert (report["step_s"], report["step_p99_s"], report["step_max_s"]) == (1.0, 1.0, 5.0)
    assert report["reading_s"] == 0.5
    assert (report["mb_at_200"], report["mb_at_end"], report["growth"]) == (320.0, 320.0, 1.0)
    assert report["peak_mb"] == 505.0
    assert (report["steps"], report["points_per_step"], report["found"]) == (300, 10, 300)


def test_the_99th_percentile_is_reached_by_one_in_a_hundred() -> None:
    assert watch.summary(10, steps_of([1.0] * 98 + [2.0, 3.0], [1.0] * 100), ABOUT)["step_p99_s"] == 2.0
    assert watch.summary(10, steps_of([2.0], [1.0]), ABOUT)["step_p99_s"] == 2.0


def test_growth_is_seen() -> None:
    mb = [100.0] * 200 + [150.0] * 1800
    assert watch.summary(10, steps_of([1.0] * 2000, mb), ABOUT)["growth"] == 1.5


def test_growth_needs_steps() -> None:
    report = watch.summary(10, steps_of([1.0] * 249, [1.0] * 249), ABOUT)
    assert (report["mb_at_200"], report["growth"]) == (None, None)
    assert "| memory after 200 steps | not measured |  |" in watch.table(report).splitlines()


def test_the_table_is_markdown() -> None:
    lines = watch.table(watch.summary(10_000, steps_of([1.25] * 300, [100.0] * 300), ABOUT)).splitlines()
    assert lines[2] == "| 10,000 series, 300 steps | | target |"
    assert "| a step, median | 1.25 s | < 2 s |" in lines
    assert "| the one over the other | 1.00 | 1 |" in lines
    assert {line.count("|") for line in lines[2:]} == {4}


def test_it_is_told_as_json_and_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "watch.md"
    page.write_text(watch.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(watch, "PAGE", page)
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    monkeypatch.setattr(watch, "_steps", lambda *_: steps_of([0.5] * 300, [100.0] * 300))
    monkeypatch.setattr(watch.server, "require_programs", lambda: None)
    monkeypatch.setattr(watch.server, "version", lambda: "2.42.0")
    assert watch.main(["--json", "--document"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"series", "steps", "step_s", "step_p99_s", "peak_mb", "mb_at_200", "mb_at_end", "growth", "about"} <= {
        *report
    }
    assert "| a step, median | 0.50 s | < 2 s |" in page.read_text(encoding="utf-8")


def test_the_page_has_a_place_for_the_figures() -> None:
    text = watch.PAGE.read_text(encoding="utf-8")
    assert all(text.count(mark) == 1 for mark in figures.marks("watch"))


# --- what goes wrong


@pytest.mark.parametrize("arguments", [["--series", "15"], ["--series", "0"], ["--steps", "0"], ["--steps", "x"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        watch.main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert watch.main([]) == 3
    said = "error: prometheus and promtool not found; get them with: apt-get install prometheus\n"
    assert capsys.readouterr() == ("", said)


def test_a_watcher_that_ends_early_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(watch.server.ServerError, match="ended before its last step"):
        list(watch._run(tmp_path / "none.yaml", tmp_path / "watched", 3))
    assert capfd.readouterr().err.startswith(f"error: {tmp_path}/none.yaml cannot be read")
