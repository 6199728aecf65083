"""The Markdown of the regressions: what comes first, that nothing is interpreted, that a quiet week is short."""

import re
from datetime import timedelta
from typing import Any

import pytest

from observability.model import Window
from observability.verdicts import (
    Advice,
    BaselineUsed,
    CostDriver,
    CostReport,
    Regression,
    RegressionSummary,
    Waiting,
)
from retrospective.regression_text import to_text
from tests import weeks

WEEK = Window(start=weeks.GA, end=weeks.GA + 8 * weeks.DAY)
KEEP = Advice(action="keep", why="No KPI got worse for real.", evidence_for=("13 of 15 KPIs passed.",))
BASELINES = (
    BaselineUsed(name="week_before", about="the week before GA", role="decides", days=7),
    BaselineUsed(name="ga_day", about="the GA day", role="confirms", days=1),
    BaselineUsed(name="previous_day", about="the day before", role="informs", days=1),
    BaselineUsed(name="pre_release_median", about="the pre-release median", role="informs", days=7),
    BaselineUsed(name="v1", about="v1", role="informs", days=0, source="../v1", note="it has no whole day"),
)
FULL: dict[str, Any] = {
    "verdict": "fail",
    "role": "decides",
    "real": True,
    "interval": (0.12, 0.195),
    "p_adjusted": 0.00123,
    "n": 168,
    "n_effective": 41.7,
    "coverage": 0.994,
    "onset": weeks.GA + timedelta(hours=5),
    "why": "It rose.",
}
TABLES = "## Every KPI"


def quiet(**fields: Any) -> RegressionSummary:
    return weeks.regression(
        *(weeks.row(name, 10.0, 10.1, role="decides", verdict="pass") for name in list(weeks.ABOUT)[:15]),
        quiet=False,
        **{"window": WEEK, "advice": KEEP, "baselines": BASELINES, **fields},
    )


def failing(**fields: Any) -> Regression:
    return weeks.row("p99_latency_ms", 400.0, 464.0, **{**FULL, **fields})


def line_of(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(start)]
    return found


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def headings(text: str) -> list[str]:
    return re.findall(r"^##? (.*)$", text, flags=re.MULTILINE)


def test_a_quiet_week_fits_on_a_screen_up_to_its_tables() -> None:
    text = to_text(quiet())
    assert headings(text) == [
        "Regressions: `checkout`",
        "Advice: keep (P3)",
        "Failed",
        "Baselines",
        "Every KPI",
        "Every KPI against every baseline",
    ]
    assert len(text.partition(TABLES)[0].splitlines()) <= 30
    assert "None. 12 of 12 KPIs passed." in text


def test_the_advice_comes_first_with_its_reasons_and_what_waiting_costs() -> None:
    waiting = Waiting(
        slo_name="Availability",
        day=7,
        burn_rate=4.2,
        budget_percent_per_hour=0.583,
        bad_events_per_hour=1234,
        hours_left=36.0,
    )
    advice = Advice(
        action="roll back",
        why="It persists.",
        reasons=("A reason.",),
        evidence_for=("Something for it.",),
        evidence_against=("Something against it.",),
        waiting=(waiting, waiting.model_copy(update={"slo_name": "P99", "hours_left": 0.0})),
    )
    text = to_text(quiet(advice=advice, back=True))
    parts = [
        "## Advice: roll back (P3)",
        "It persists.",
        "- A reason.",
        "- Something for it.",
        "- Something against it.",
        "| Availability | 4.2× (day 7) | 0.583 % | 1,234 | 36 hours |",
        "| P99 | 4.2× (day 7) | 0.583 % | 1,234 | gone |",
        "## Failed",
    ]
    assert sorted(map(text.index, parts)) == list(map(text.index, parts))


def test_a_budget_that_lasts_is_no_number() -> None:
    waiting = Waiting(
        slo_name="A", day=7, burn_rate=0.0, budget_percent_per_hour=0.0, bad_events_per_hour=0.0, hours_left=None
    )
    text = to_text(quiet(advice=KEEP.model_copy(update={"waiting": (waiting,)})))
    assert "| A | 0× (day 7) | 0 % | 0 | not at this rate |" in text


def test_a_failed_row_has_its_evidence() -> None:
    text = to_text(quiet().model_copy(update={"regressions": (failing(),), "within_range": ()}))
    assert section(text, "Failed").strip().splitlines()[-1] == (
        "| `p99_latency_ms` | 400 → 464 ms | +16.0 % (+12.0 to +19.5 %) | 2025-11-18T05:00:00Z | It rose. |"
    )
    assert line_of(section(text, "Every KPI"), "| `p99") == (
        "| `p99_latency_ms` | `week_before` | 400 → 464 ms | +16.0 % (+12.0 to +19.5 %) | 0.0012 | 168 (41.7) "
        "| 99.400 % | drift, real, worse | 2025-11-18T05:00:00Z | ✕ fail |"
    )


def test_a_change_that_ended_says_so() -> None:
    row = failing(ended=weeks.GA + timedelta(hours=30))
    text = to_text(quiet().model_copy(update={"regressions": (row,)}))
    assert "2025-11-18T05:00:00Z, until 2025-11-19T06:00:00Z" in text


def test_shares_say_their_points_and_open_ends() -> None:
    row = weeks.row(
        "overall_error_rate",
        0.02,
        0.1,
        **{**FULL, "points": 0.081, "points_interval": (0.02, None), "interval": (0.5, None)},
    )
    text = to_text(quiet().model_copy(update={"regressions": (row,)}))
    assert "+400.0 %, +0.081 pp (+0.02 pp or more)" in text


def test_what_was_judged_at_like_load_says_so() -> None:
    text = to_text(quiet().model_copy(update={"regressions": (failing(basis="per request"),)}))
    assert "+16.0 % (+12.0 to +19.5 %), per request" in text
    assert "as measured" not in to_text(quiet().model_copy(update={"regressions": (failing(basis="as measured"),)}))


def test_kpis_without_a_verdict_are_told_by_their_reason() -> None:
    rows = (
        failing(metric_name="a_b", verdict="inconclusive", obstacle="too few hours"),
        failing(metric_name="c_d", verdict="inconclusive", obstacle="too few hours"),
        failing(metric_name="e_f", verdict="no data", current_value=None, why="There is no data for the week."),
    )
    text = to_text(quiet().model_copy(update={"regressions": rows}))
    assert section(text, "Without a verdict, and why").strip().splitlines() == [
        "- `a_b`, `c_d`: Too few hours.",
        "- `e_f`: There is no data for the week.",
    ]
    assert line_of(section(text, "Every KPI"), "| `e_f`") == (
        "| `e_f` | `week_before` | 400 ms → no data | – | 0.0012 | 168 (41.7) | 99.400 % | – | 2025-11-18T05:00:00Z "
        "| · no data |"
    )


def test_what_did_not_fail_is_not_among_what_failed() -> None:
    better = weeks.row("p99_latency_ms", 400.0, 150.0, **{**FULL, "verdict": "pass"})
    informs = failing(metric_name="avg_cpu_percent", verdict="pass")
    against = failing(metric_name="avg_cpu_percent", baseline="v1", role="informs")
    text = to_text(quiet().model_copy(update={"regressions": (better, informs, against), "within_range": ()}))
    assert section(text, "Failed").strip().startswith("None. ")


def test_nothing_tested_does_not_read_like_a_pass() -> None:
    row = failing(verdict="inconclusive", real=None, obstacle="too few hours")
    text = to_text(RegressionSummary(service="checkout", regressions=(row,)))
    assert "None. 0 of 1 KPI passed." in text


def test_the_matrix_has_a_column_per_baseline_and_a_mark_per_verdict() -> None:
    rows = (
        failing(),
        failing(baseline="ga_day", change=0.004, verdict="pass", role="confirms"),
        failing(baseline="v1", change=-0.1, verdict="inconclusive", role="informs"),
        failing(baseline="previous_day", verdict="no data", current_value=None, change=None, role="informs"),
        weeks.row("avg_cpu_percent", 0.0, 5.0, verdict="inconclusive", role="decides"),
    )
    summary = quiet().model_copy(update={"regressions": rows, "unexpected_drifts": (), "within_range": ()})
    found = section(to_text(summary), "Every KPI against every baseline").strip().splitlines()
    assert found == [
        "| KPI | `week_before` | `ga_day` | `previous_day` | `v1` |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| `p99_latency_ms` | +16.0 % ✕ | +0.4 % ✓ | · | -10.0 % ? |",
        "| `avg_cpu_percent` | a rise from 0 ? | – | – | – |",
        "",
        "✕ fail, ✓ pass, ? inconclusive, · no data",
    ]


def test_baselines_that_are_absent_say_why() -> None:
    text = to_text(quiet())
    assert "| `v1` | v1 | informs | 0 | `../v1` | it has no whole day |" in text


def test_disagreements_and_warnings_are_told_before_the_tables() -> None:
    text = to_text(quiet(disagreements=("p99_latency_ms: one up, one down",), warnings=("Day 3 is maintenance.",)))
    assert text.index("- `p99_latency_ms`: one up, one down") < text.index(TABLES)
    assert text.index("- Day 3 is maintenance.") < text.index(TABLES)


def test_the_cost_is_the_last() -> None:
    cost = CostReport(
        currency="EUR",
        ga_day=10.0,
        daily_average=12.5,
        before_daily_average=None,
        trend="increasing",
        drivers=(CostDriver(name="cpu", change_per_day=2.5, why="CPU grew by 2.5 EUR a day."),),
    )
    text = to_text(quiet(cost=cost))
    assert headings(text)[-1] == "Cost"
    assert "| A day since | 12.5 EUR |" in text
    assert "| A day of the week before GA | no data |" in text
    assert "- cpu: CPU grew by 2.5 EUR a day." in text


def test_without_advice_the_recommendation_stands_in_its_place() -> None:
    text = to_text(quiet(advice=None, back=None))
    assert "**Not assessable.** As told." in text


def test_a_summary_of_older_tools_is_shown_as_far_as_it_goes() -> None:
    text = to_text(RegressionSummary())
    assert headings(text) == ["Regressions: `default`", "Failed"]


NASTY = "a|b <script>x</script> *c* [d](http://e) `f` \n# g ~~h~~ $i$ @j"


@pytest.mark.parametrize("place", ["why", "obstacle", "metric_name", "baseline"])
def test_nothing_in_a_row_is_interpreted(place: str) -> None:
    row = failing(**{place: NASTY, "verdict": "inconclusive" if place == "obstacle" else "fail"})
    assert_harmless(to_text(quiet().model_copy(update={"regressions": (row,)})))


@pytest.mark.parametrize("place", ["disagreements", "warnings"])
def test_nothing_in_a_summary_is_interpreted(place: str) -> None:
    assert_harmless(to_text(quiet(**{place: (NASTY,)})))


def test_nothing_in_names_and_advice_is_interpreted() -> None:
    used = BaselineUsed(name=NASTY, about=NASTY, role="informs", days=1, source=NASTY, note=NASTY)
    advice = Advice(action="watch", why=NASTY, reasons=(NASTY,), evidence_for=(NASTY,), evidence_against=(NASTY,))
    text = to_text(quiet(baselines=(used,), advice=advice).model_copy(update={"service": NASTY}))
    assert_harmless(text)


def assert_harmless(text: str) -> None:
    """As many cells in a row as in its header, no tag, no heading and no link of the input's making."""
    assert "<script>" not in text.replace("\\<", "")
    assert "](http" not in text.replace("\\]", "")
    assert "\n# g" not in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_the_same_summary_gives_the_same_text_and_ends_with_a_line() -> None:
    text = to_text(quiet())
    assert text == to_text(quiet())
    assert text.endswith("· no data\n")
    assert "nan" not in text.lower().split()
