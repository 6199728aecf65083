"""`postga gate`: what it prints where, and its exit codes."""

import json
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import typer

from observability import waiting
from observability.artifacts import Verdict
from observability.errors import ConfigError, NotEnoughDataError, PostgaError
from observability.gate_release import exit_code, main
from observability.gate_text import gate_text
from observability.gating import aligned
from observability.judgement.gate import not_begun
from observability.model import Window, format_instant
from observability.release import load
from observability.verdicts import GateReport
from tests.programs import ROOT, postga, program

RELEASE, RECORDING = ROOT / "test_data/release.yaml", ROOT / "test_data/recording"
QUIET, BURST = "2025-11-17T12:00:00Z", "2025-11-20T14:20:00Z"
AFTER = "2025-12-01T00:00:00Z"


def gate(capsys: pytest.CaptureFixture[str], since: str = "GA", **flags: object) -> tuple[int, str]:
    """The exit code and what stands on stdout."""
    given: dict[str, object] = {"recording": RECORDING, "now": AFTER, **flags}
    with pytest.raises(typer.Exit) as ended:
        main(RELEASE, since=since, **given)  # type: ignore[arg-type]
    return ended.value.exit_code, capsys.readouterr().out


def test_a_quiet_service_passes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = gate(capsys, QUIET, service=["checkout"])
    assert code == 0
    assert out.startswith("checkout: pass. 30 minutes since the release exclude a severe worsening of overall_avail")
    assert "judged: 2025-11-17T12:00:00Z to 2025-11-17T12:30:00Z" in out
    assert "advice: keep" in out


def test_a_burst_of_errors_fails_and_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = gate(capsys, BURST, as_json=True)
    services = json.loads(out)["services"]
    assert code == 1
    assert [(one["service"], one["verdict"]) for one in services] == [("checkout", "fail"), ("reports", "inconclusive")]
    report = GateReport.model_validate(services[0])
    assert report.advice is not None
    assert report.advice.action == "roll back"
    assert "NaN" not in out


def test_the_table_labels_shares_and_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = gate(capsys, BURST, service=["checkout"])
    (share, budget) = (line for line in out.splitlines() if "overall_availability" in line and "  " in line)
    assert re.search(r"  bad share \+\S+ points  ", share)
    assert "overall_availability, budget  allowed 0.1 %" in budget


def test_the_release_of_the_recording_is_watched(capsys: pytest.CaptureFixture[str]) -> None:
    """Its latency step of 25 % is real, and does not stop it; reports has no traffic at midnight."""
    code, out = gate(capsys, as_json=True)
    reports, checkout = (GateReport.model_validate(one) for one in json.loads(out)["services"])
    assert code == 4
    assert (reports.verdict, checkout.verdict) == ("no data", "pass")
    assert checkout.advice is not None
    assert checkout.advice.action == "watch"
    rows = {(row.metric_name, row.baseline): row for row in checkout.rows}
    assert rows["p50_latency_ms", "earlier_days"].change == pytest.approx(0.25, abs=0.02)


def test_the_answer_is_the_same_later(capsys: pytest.CaptureFixture[str]) -> None:
    first = gate(capsys, QUIET, service=["checkout"], now="2025-11-17T12:31:00Z", wait=True)
    assert first == gate(capsys, QUIET, service=["checkout"])


def test_of_the_window_what_has_passed_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = gate(capsys, QUIET, service=["checkout"], now="2025-11-17T12:12:40Z")
    assert "judged: 2025-11-17T12:00:00Z to 2025-11-17T12:11:00Z" in out


@pytest.mark.parametrize(
    ("since", "now", "told"),
    [
        (QUIET, "2025-11-17T12:00:00Z", "Less than a minute since 2025-11-17T12:00:00Z has passed"),
        (QUIET, "2025-11-17T12:01:59Z", "Less than a minute"),
        (QUIET, "2025-11-17T11:00:00Z", "still to come"),
        ("GA", "2025-11-17T11:00:00Z", "still to come"),
    ],
)
def test_too_early_is_inconclusive(since: str, now: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = gate(capsys, since, now=now, as_json=True)
    first, second = json.loads(out)["services"]
    assert (code, first["verdict"], second["verdict"], first["window"]) == (4, "inconclusive", "inconclusive", None)
    assert told in first["why"]


@pytest.mark.parametrize(
    ("flags", "error", "told"),
    [
        ({"window": "0m"}, ConfigError, "--window: '0m' is not a duration"),
        ({"window": "-5m"}, ConfigError, "--window: '-5m' is not a duration"),
        ({"window": "thirty"}, ConfigError, "--window: 'thirty' is not a duration"),
        ({"window": "30s"}, ConfigError, "--window 30s is not between 60 s and 6 h"),
        ({"window": "7h"}, ConfigError, "for longer times, use postga run"),
        ({"since": "yesterday"}, ConfigError, "--since 'yesterday' is not an ISO 8601 time"),
        ({"since": "2025-11-18T00:00:00"}, ConfigError, "--since '2025-11-18T00:00:00' has no time zone"),
        ({"since": "ga"}, ConfigError, "--since 'ga'"),
        ({"service": ["shop"]}, ConfigError, "--service: there is no service 'shop'; there are checkout, reports."),
        ({"recording": Path("nowhere")}, ConfigError, "nowhere"),
        ({"now": "noon"}, ConfigError, "--now 'noon'"),
        ({"since": "2025-11-01T00:00:00Z"}, NotEnoughDataError, "the recording does not hold this day"),
    ],
)
def test_what_cannot_be_asked(flags: dict[str, object], error: type[PostgaError], told: str) -> None:
    given: dict[str, object] = {"recording": RECORDING, "now": AFTER, **flags}
    with pytest.raises(error) as raised:
        main(RELEASE, **given)  # type: ignore[arg-type]
    assert told in str(raised.value)


def test_a_server_that_is_down(tmp_path: Path) -> None:
    done = postga(tmp_path, "gate", str(RELEASE), "--since", QUIET, "--prometheus-url", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "http://127.0.0.1:9" in done.stderr


def test_waiting_ends_with_the_window(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two minutes from 12:00:00 on, asked at 12:01:30: over once the last samples are there, a minute later."""
    clock = [aligned(load(RELEASE), load(RELEASE).ga) - timedelta(hours=12) + timedelta(seconds=90)]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += timedelta(seconds=seconds)

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    monkeypatch.setattr(
        waiting.commands, "the_present", lambda now: clock[0] if now is None else pytest.fail("no --now is given")
    )
    _, out = gate(capsys, QUIET, service=["checkout"], now=None, wait=True, window="2m")
    assert sum(slept) == 90
    assert "judged: 2025-11-17T12:00:00Z to 2025-11-17T12:02:00Z" in out


@pytest.mark.parametrize("module", ["observability.cli", "observability"])
def test_as_a_module_it_is_the_same(module: str, tmp_path: Path) -> None:
    done = program([sys.executable, "-m", module], tmp_path, "gate", str(tmp_path / "none.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "none.yaml" in done.stderr


def report(verdict: Verdict) -> GateReport:
    chosen = load(RELEASE)
    window = Window(start=chosen.ga, end=chosen.ga + timedelta(minutes=30))
    return not_begun(chosen, "checkout", window, "Why.").model_copy(update={"verdict": verdict})


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["pass"], 0),
        (["pass", "pass"], 0),
        (["fail"], 1),
        (["inconclusive"], 4),
        (["no data"], 4),
        (["pass", "inconclusive"], 4),
        (["pass", "no data", "inconclusive"], 4),
        (["no data", "fail", "pass"], 1),
        (["inconclusive", "fail"], 1),
    ],
)
def test_exit_codes(verdicts: list[Verdict], code: int) -> None:
    assert exit_code([report(verdict) for verdict in verdicts]) == code


def test_text_without_a_table() -> None:
    assert gate_text(report("inconclusive")).splitlines() == [
        "checkout: inconclusive. Why.",
        "",
        "advice: not assessable",
    ]
    assert format_instant(report("fail").since) == "2025-11-18T00:00:00Z"
