"""`--fail-on`: a finding is 1, nothing to assess is 4, and neither is ever a pass."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from observability import readers, run_week
from observability.artifacts import RollbackRecommendation, Verdict
from observability.cli import app
from observability.errors import ConfigError, FoundError, NotEnoughDataError
from observability.fail_on import CONDITIONS, Condition, ask, conditions
from observability.judgement import regression as judge
from observability.report import ReleaseIndex
from observability.store import Store
from observability.verdicts import Advice, Regression, RegressionSummary, SloBurnDown
from tests import weeks


def row(metric: str, verdict: Verdict, **fields: Any) -> Regression:
    return weeks.row(metric, 400, 500, verdict=verdict, **{"role": "decides", **fields})


def summary(*rows: Regression, back: bool | None = False, service: str = "checkout") -> RegressionSummary:
    advised = RollbackRecommendation(should_rollback=back, reason="As told.")
    return RegressionSummary(service=service, regressions=rows, rollback_recommendation=advised)


PASSES = row("p99_latency_ms", "pass")
FAILS = row("p99_latency_ms", "fail")
UNKNOWN = row("p50_latency_ms", "inconclusive")
ABSENT = row("p50_latency_ms", "no data")
LOST = weeks.row("p99_latency_ms", 400, None, role="decides", verdict="no data")
TRAFFIC = row("request_rate", "pass")
INFORMS = row("avg_cpu_percent", "fail", role="informs", baseline="v1")
KEPT, MISSED = weeks.burn_down(1, 100_000), weeks.burn_down(1000, 100_000)
UNDECIDED = weeks.burn_down(0, 10, slo_name="P99 Latency", verdict="inconclusive")
NO_EVENTS = weeks.burn_down(1, 100_000, slo_name="Error Rate", verdict="no data")

FOUND, CLEAN, NOTHING = "found", "clean", "nothing"


def outcome(
    condition: Condition, rows: Sequence[Regression] = (), back: bool | None = None, slos: Sequence[SloBurnDown] = ()
) -> str:
    found = ask([condition], {"checkout": (summary(*rows, back=back), slos)})
    if found.found is not None:
        return FOUND
    return CLEAN if found.unknown is None else NOTHING


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([FAILS], FOUND),
        ([PASSES], CLEAN),
        ([FAILS, PASSES, UNKNOWN, ABSENT], FOUND),
        ([PASSES, UNKNOWN, ABSENT], CLEAN),
        ([PASSES, INFORMS], CLEAN),
        ([UNKNOWN], NOTHING),
        ([ABSENT], NOTHING),
        ([UNKNOWN, ABSENT, INFORMS], NOTHING),
        ([INFORMS], NOTHING),
        ([TRAFFIC], NOTHING),
        ([row("p99_latency_ms", "pass", role="confirms")], NOTHING),
        ([row("p99_latency_ms", "pass", role=None)], NOTHING),
        ([], NOTHING),
    ],
)
def test_a_regression_is_the_deciding_baselines(rows: list[Regression], expected: str) -> None:
    assert outcome("regression", rows) == expected


def lost(metric: str, **fields: Any) -> Regression:
    return weeks.row(metric, 99.0, None, **{"role": "decides", "verdict": "no data", **fields})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([PASSES, LOST], NOTHING),
        ([PASSES, lost("overall_availability")], NOTHING),
        ([PASSES, lost("overall_error_rate")], NOTHING),
        ([PASSES, UNKNOWN, LOST], NOTHING),
        ([FAILS, LOST], FOUND),
        ([PASSES, lost("avg_cpu_percent")], CLEAN),
        ([PASSES, lost("p50_latency_ms", role="informs")], CLEAN),
        ([PASSES, weeks.row("p50_latency_ms", None, None, role="decides", verdict="no data")], CLEAN),
        ([PASSES, weeks.row("p50_latency_ms", None, 400, role="decides", verdict="no data")], CLEAN),
    ],
)
def test_what_users_see_and_was_lost_since_ga_is_no_pass(rows: list[Regression], expected: str) -> None:
    assert outcome("regression", rows) == expected


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([LOST], "p99_latency_ms had data before GA and has none since"),
        (
            [LOST, lost("overall_availability")],
            "p99_latency_ms, overall_availability had data before GA and have none since",
        ),
    ],
)
def test_what_was_lost_is_named(rows: list[Regression], told: str) -> None:
    found = ask(["regression"], {"checkout": (summary(PASSES.model_copy(), *rows), ())})
    assert found.unknown == f"--fail-on cannot be answered: {told}."


@pytest.mark.parametrize(("back", "expected"), [(True, FOUND), (False, CLEAN), (None, NOTHING)])
def test_a_rollback_is_one_that_is_advised(back: bool | None, expected: str) -> None:
    assert outcome("rollback", [PASSES], back) == expected


def test_a_summary_without_a_recommendation_says_nothing_of_a_rollback() -> None:
    assert ask(["rollback"], {"checkout": (RegressionSummary(), ())}).unknown is not None


@pytest.mark.parametrize(
    ("slos", "expected"),
    [
        ([MISSED], FOUND),
        ([KEPT], CLEAN),
        ([KEPT, UNDECIDED, MISSED.model_copy(update={"slo_name": "B"})], FOUND),
        ([KEPT, UNDECIDED], CLEAN),
        ([UNDECIDED], NOTHING),
        ([NO_EVENTS], NOTHING),
        ([], NOTHING),
    ],
)
def test_an_slo_is_one_that_is_missed(slos: list[SloBurnDown], expected: str) -> None:
    assert outcome("slo", slos=slos) == expected


def test_what_was_found_is_one_sentence() -> None:
    found = ask(CONDITIONS, {"checkout": (summary(FAILS, back=True), [MISSED])})
    assert found.found == (
        "--fail-on: regression of p99_latency_ms; a rollback is advised; overspent error budget of Availability."
    )


def test_of_many_kpis_some_are_named() -> None:
    rows = [row("p99_latency_ms", "fail").model_copy(update={"metric_name": f"kpi_{n}"}) for n in range(8)]
    (said,) = [ask(["regression"], {"checkout": (summary(*rows), ())}).found]
    assert said == "--fail-on: regression of kpi_0, kpi_1, kpi_2, kpi_3, kpi_4, 3 more."


def test_of_several_services_each_answers_for_itself() -> None:
    judged = {"checkout": (summary(FAILS), ()), "reports": (summary(UNKNOWN, service="reports"), ())}
    found = ask(["regression"], judged)
    assert found.found == "--fail-on: checkout: regression of p99_latency_ms."
    assert found.unknown == ("--fail-on cannot be answered: reports: no KPI could be tested against week_before.")


def test_what_was_not_assessed_beside_the_rest_is_told() -> None:
    found = ask(["regression", "slo"], {"checkout": (summary(PASSES, UNKNOWN), [KEPT, UNDECIDED])})
    assert (found.found, found.unknown) == (None, None)
    assert found.warnings == (
        "--fail-on regression: not assessed: p50_latency_ms",
        "--fail-on slo: not assessed: P99 Latency",
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ()),
        (["slo"], ("slo",)),
        (["slo,regression"], ("regression", "slo")),
        (["slo", "rollback", "slo"], ("rollback", "slo")),
        (["regression, slo"], ("regression", "slo")),
    ],
)
def test_conditions_are_given_several_times_or_with_commas(flags: list[str], expected: tuple[str, ...]) -> None:
    assert conditions(flags) == expected


@pytest.mark.parametrize("flag", ["", ",", "slo,", "slos", "SLO", "all", "regression rollback"])
def test_a_condition_that_is_none(flag: str) -> None:
    with pytest.raises(ConfigError, match="is none of regression, rollback, slo"):
        conditions([flag])


# The command


@pytest.fixture
def week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the documents' names, in which commands are run."""
    store = Store(tmp_path)
    store.write("ga_kpis/ga_kpi_summary.json", weeks.day(0))
    store.write("ga_kpis/pre_release_summary.json", weeks.before())
    for day in weeks.days():
        store.write(f"stability/day_{day.day_number:02d}_summary.json", day)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Judge = Callable[..., None]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Say what the judgement will be."""

    def say(*rows: Regression, back: bool | None = False) -> None:
        found = summary(*rows, back=back).model_copy(update={"advice": Advice(action="watch", why="As told.")})
        monkeypatch.setattr(judge, "analyse", lambda *args, **named: found)

    return say


def run(*flags: str) -> None:
    app(["regressions", *flags], standalone_mode=False)


@pytest.mark.parametrize(
    ("rows", "back", "flags", "error"),
    [
        ([FAILS], False, "regression", FoundError),
        ([FAILS], True, "rollback", FoundError),
        ([FAILS], False, "rollback", None),
        ([PASSES], False, "regression,rollback,slo", None),
        ([UNKNOWN], None, "regression", NotEnoughDataError),
        ([PASSES, LOST], False, "regression", NotEnoughDataError),
        ([FAILS, LOST], False, "regression", FoundError),
        ([PASSES], None, "rollback", NotEnoughDataError),
        ([FAILS], None, "regression,rollback", FoundError),
    ],
)
def test_the_files_are_written_before_the_command_ends(
    week: Path, judged: Judge, rows: list[Regression], back: bool | None, flags: str, error: type[Exception] | None
) -> None:
    judged(*rows, back=back)
    if error is None:
        run("--fail-on", flags)
    else:
        with pytest.raises(error):
            run("--fail-on", flags)
    assert (week / "regression_summary.json").is_file()
    assert (week / "regression_summary.md").is_file()


def test_the_exit_codes_are_apart_from_errors() -> None:
    assert (FoundError.exit_code, ConfigError.exit_code, NotEnoughDataError.exit_code) == (1, 2, 4)


def test_an_slo_is_asked_of_the_days(week: Path, judged: Judge) -> None:
    judged(PASSES)
    for day in weeks.days(slos=(weeks.slo(5_000),)):
        Store(week).write(f"stability/day_{day.day_number:02d}_summary.json", day)
    with pytest.raises(FoundError, match="overspent error budget of Availability"):
        run("--fail-on", "slo")


def test_a_condition_that_is_none_writes_nothing(week: Path, judged: Judge) -> None:
    judged(PASSES)
    with pytest.raises(ConfigError):
        run("--fail-on", "regresion")
    assert not (week / "regression_summary.json").exists()


def test_what_it_prints_begins_with_the_location(week: Path, judged: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    judged(FAILS.model_copy(update={"why": "It rose."}), INFORMS, PASSES)
    run()
    assert capsys.readouterr().out.splitlines() == [
        "regression_summary.json",
        "regression_summary.md",
        "checkout: watch",
        "  As told.",
        "  p99_latency_ms: It rose.",
    ]


def test_as_json_it_is_the_summary_alone(week: Path, judged: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    judged(PASSES)
    run("--json")
    printed = capsys.readouterr().out
    assert RegressionSummary.model_validate_json(printed).regressions == (PASSES,)
    assert printed == (week / "regression_summary.json").read_text()


def test_the_markdown_is_not_written_over_the_json(week: Path, judged: Judge) -> None:
    judged(PASSES)
    with pytest.raises(ConfigError, match=r"goes beside the JSON; write one in \.json"):
        run("--output", "regressions.md")


@pytest.mark.parametrize(("output", "text"), [("out/r.json", "out/r.md"), ("verdict", "verdict.md")])
def test_the_markdown_lies_beside_the_json(week: Path, judged: Judge, output: str, text: str) -> None:
    judged(PASSES)
    run("--output", output)
    assert (week / output).is_file()
    assert (week / text).is_file()


@pytest.mark.parametrize("day", ["-8", "8", "99"])
def test_a_good_day_that_no_release_has(week: Path, judged: Judge, day: str) -> None:
    judged(PASSES)
    with pytest.raises(ConfigError, match=f"--good-day {day} is no day of this release; give -7 to 7"):
        run("--good-day", day)


def test_a_good_day_that_is_not_there_is_told(week: Path, judged: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    judged(PASSES)
    (week / "stability/day_03_summary.json").unlink()
    run("--good-day", "3")
    assert capsys.readouterr().err == (
        "warning: There is no whole day 3 of checkout, which was pinned as good, so nothing is compared with it.\n"
    )


def test_baselines_and_the_good_day_are_handed_to_the_judgement(week: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def analyse(*args: Any, **named: Any) -> RegressionSummary:
        asked.append((*args[3:], *named.values()))
        return summary(PASSES)

    monkeypatch.setattr(judge, "analyse", analyse)
    Store(week).write("staging.json", weeks.day(0, {"p99_latency_ms": 371.0}))
    run("--baseline", "staging=staging.json", "--good-day", "-2")
    ((named, good_day, slos),) = asked
    assert [(one.name, one.source, len(one.days)) for one in named] == [("staging", "staging.json", 1)]
    assert good_day == -2
    assert [slo.slo_name for slo in slos] == ["Availability"]


def test_a_baseline_that_cannot_be_used_writes_nothing(week: Path, judged: Judge) -> None:
    judged(PASSES)
    with pytest.raises(ConfigError, match=r"nowhere\.json is not there"):
        run("--baseline", "v1=nowhere.json")
    assert not (week / "regression_summary.json").exists()


# The whole week


def conclude(monkeypatch: pytest.MonkeyPatch, rows: Sequence[Regression], missing: str | None) -> None:
    """The end of `postga run --fail-on regression`, of a week that was judged so."""
    monkeypatch.setattr(readers, "missing_baselines", lambda release, layout: missing)
    finished: Any = SimpleNamespace(release=None, layout=None, verdicts={"checkout": (summary(*rows), ())})
    index = ReleaseIndex(release="v1", ga_day_timestamp=weeks.GA, services=())
    run_week.conclude(finished, index, as_json=True, wanted=["regression"])


@pytest.mark.parametrize(
    ("rows", "missing", "error", "words"),
    [
        ([PASSES], None, None, ""),
        ([FAILS], None, FoundError, "regression of p99_latency_ms"),
        ([UNKNOWN], None, NotEnoughDataError, "cannot be answered"),
        ([PASSES], "There is no baseline of reports.", NotEnoughDataError, "no baseline of reports"),
        ([FAILS], "There is no baseline of reports.", FoundError, "regression of p99_latency_ms"),
        ([UNKNOWN], "There is no baseline of reports.", NotEnoughDataError, "no baseline of reports"),
    ],
)
def test_a_finding_goes_before_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: list[Regression],
    missing: str | None,
    error: type[Exception] | None,
    words: str,
) -> None:
    with nullcontext() if error is None else pytest.raises(error, match=words):
        conclude(monkeypatch, rows, missing)
    assert '"services": []' in capsys.readouterr().out
