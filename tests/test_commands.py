"""What the commands share: help, the clock, and where things go."""

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability import __version__, cli, commands, waiting
from observability.cli import app
from observability.model import Calendar, Window
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
    monkeypatch.setattr(waiting.time, "sleep", clock.sleep)
    monkeypatch.setattr(commands, "the_present", lambda now: clock.now)
    return clock


WINDOW = Window(start=GA, end=GA + timedelta(days=1))
SETTLED = WINDOW.end + waiting.SETTLED  # the last samples are there a minute later


def test_the_last_minutes_of_a_day_are_waited_for(clock: Clock) -> None:
    assert waiting.wait_until_over(WINDOW, "day", None, waiting.WAIT_AT_MOST) == SETTLED


def test_more_than_that_is_not(clock: Clock) -> None:
    clock.now = GA + timedelta(hours=12)
    assert waiting.wait_until_over(WINDOW, "day", None, waiting.WAIT_AT_MOST) == clock.now == GA + timedelta(hours=12)


def test_the_ga_day_is_waited_for_however_long(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now = GA
    assert waiting.wait_until_over(WINDOW, "GA day", None, None) == SETTLED
    hourly = [f"GA day: {hours}:00:00 to go.\n" for hours in range(23, 0, -1)]
    assert capsys.readouterr().err == "GA day ends at 2025-11-19T00:00:00Z; waiting for it.\n" + "".join(hourly)


def test_a_day_that_has_just_ended_is_given_a_minute_for_its_last_samples(clock: Clock) -> None:
    clock.now = WINDOW.end + timedelta(seconds=10)
    assert waiting.wait_until_over(WINDOW, "GA day", None, None) == SETTLED


def test_a_day_that_is_long_over_is_not_waited_for(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now = WINDOW.end + timedelta(days=1)
    assert waiting.wait_until_over(WINDOW, "GA day", None, None) == clock.now == WINDOW.end + timedelta(days=1)
    assert capsys.readouterr().err == ""


def test_a_wait_that_is_begun_again_knows_how_much_is_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now = GA + timedelta(hours=21, minutes=30)
    waiting.wait_until_over(WINDOW, "GA day", None, None)
    assert [line for line in capsys.readouterr().err.splitlines() if "to go" in line] == [
        "GA day: 1:30:00 to go.",
        "GA day: 0:30:00 to go.",
    ]


@pytest.mark.parametrize(
    ("present", "slept"),
    [
        pytest.param(WINDOW.end + timedelta(seconds=10), timedelta(seconds=50), id="the GA day has just ended"),
        pytest.param(GA - timedelta(days=6) + timedelta(seconds=59), timedelta(seconds=1), id="the first day before"),
        pytest.param(GA + timedelta(days=8, seconds=1), timedelta(seconds=59), id="the last day"),
        pytest.param(WINDOW.end + timedelta(seconds=60), timedelta(), id="a minute ago"),
        pytest.param(WINDOW.end - timedelta(seconds=1), timedelta(), id="not over"),
        pytest.param(GA + timedelta(days=9, seconds=1), timedelta(), id="a day after the week"),
        pytest.param(GA - timedelta(days=7) + timedelta(seconds=1), timedelta(), id="before the first day is over"),
    ],
)
def test_a_run_gives_the_last_day_a_minute_for_its_last_samples(
    clock: Clock, present: datetime, slept: timedelta
) -> None:
    clock.now = present
    assert waiting.settled(Calendar(GA), None) == clock.now == present + slept


def test_nothing_is_waited_for_in_a_present_that_is_given(clock: Clock) -> None:
    clock.now = WINDOW.end
    assert waiting.settled(Calendar(GA), "2025-11-19T00:00:00Z") == clock.now == WINDOW.end


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.app(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"{__version__}\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as what is done where that is known; and gone at the end."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with commands.progress("scoring") as advance:
        advance("novelty on 3", 0.25)
        advance("writing 1 of 1")
        advance("significance on 3 [of 9]", 0.5)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "scoring: significance on 3 [of 9]" in shown
    assert "50%" in shown
    assert shown.endswith("\x1b[2K")


def test_pipes_and_logs_stay_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with commands.progress("scoring") as advance:
        advance("day 1")
        advance("novelty", 0.5)
    assert capsys.readouterr() == ("", "")
