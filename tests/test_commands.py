"""What the commands share: help, the clock, and where things go."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability import commands
from observability.cli import app
from observability.model import Window
from observability.release import flags_release

ROOT = Path(__file__).parents[1]
GA = datetime(2025, 11, 18, tzinfo=UTC)
FILES = (
    "observability/ga_kpi_collector.py",
    "observability/stability_monitor_7day.py",
    "observability/anomaly_detector_lightweight.py",
    "observability/daily_health_reporter.py",
    "observability/regression_analyzer.py",
    "observability/slo_burn_down.py",
    "scripts/generate_retrospective.py",
)


def shown(*command: str) -> str:
    return subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", FILES)
def test_a_stage_runs_as_a_file_and_shows_an_example(name: str) -> None:
    assert f"Example: {Path(name).name}" in shown(str(ROOT / name))


def test_every_verb_shows_an_example() -> None:
    for verb in app.registered_commands:
        assert "Example: " in str(verb.callback.__doc__), verb.name


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from observability import cli; print([m for m in HEAVY if m in sys.modules])"
    heavy = (
        "HEAVY = ['numpy', 'pandas', 'river', 'matplotlib', 'requests', 'jinja2', 'yaml', 'pydantic', 'rich.progress']"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{heavy}\n{code}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("folder", "root", "summary"),
    [
        ("ga_kpis", ".", "ga_kpis/ga_kpi_summary.json"),
        ("/x/ga_kpis", "/x", "/x/ga_kpis/ga_kpi_summary.json"),
        ("/data", "/data", "/data/ga_kpi_summary.json"),
    ],
)
def test_evidence_goes_beside_a_folder_of_the_documents_name(folder: str, root: str, summary: str) -> None:
    layout = commands.layout_of(flags_release(GA, "http://localhost:9090"), Path(folder), "ga")
    assert layout.store.location(layout.ga_summary("default")) == summary
    assert layout.store.location(layout.evidence("default", 3)) == str(Path(root) / "evidence/day_03.csv.gz")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(GA + timedelta(hours=23, minutes=59))
    monkeypatch.setattr(commands.time, "sleep", clock.sleep)
    monkeypatch.setattr(commands, "the_present", lambda now: clock.now)
    return clock


WINDOW = Window(start=GA, end=GA + timedelta(days=1))


def test_the_last_minutes_of_a_day_are_waited_for(clock: Clock) -> None:
    assert commands.wait_until_over(WINDOW, "day", None, commands.WAIT_AT_MOST) == WINDOW.end


def test_more_than_that_is_not(clock: Clock) -> None:
    clock.now = GA + timedelta(hours=12)
    assert commands.wait_until_over(WINDOW, "day", None, commands.WAIT_AT_MOST) == clock.now == GA + timedelta(hours=12)


def test_the_ga_day_is_waited_for_however_long(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now = GA
    assert commands.wait_until_over(WINDOW, "GA day", None, None) == WINDOW.end
    assert capsys.readouterr().err == "GA day ends at 2025-11-19T00:00:00Z; waiting for it.\n"
