"""The Markdown: its sections and their order, escaping that renders everywhere, and what empty sections say."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # comes with rich

from observability.artifacts import Status
from observability.events import NewLevel
from observability.report import ReleaseIndex, ServiceEntry
from observability.verdicts import ComplianceDay, HealthReport, SloBurnDown
from retrospective.budgets import state
from retrospective.markdown import code, prose, table
from retrospective.render import index_markdown, to_markdown
from retrospective.wording import both, count, day_list, listed, moved, sentence, signed
from tests.weeks import (
    GA,
    anomaly,
    burn_down,
    cost,
    day,
    days,
    error_rate,
    events,
    kpi,
    legacy,
    regression,
    report,
    row,
    slo,
    slo_days,
)

HOSTILE = "<script>alert(1)</script>|*[x](javascript:alert(1))"
SECTIONS = [
    "Executive Summary",
    "What Went Well ✅",
    "What Could Be Improved ⚠️",
    "Unexpected Drifts 📊",
    "Cost Analysis 💰",
    "SLO Compliance Summary",
    "Recommendations for v1.0.2 🚀",
    "Process Improvements 🔧",
    "Action Items",
    "Not assessed, and why",
    "Method",
]
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def busy(**inputs: Any) -> str:
    """A week in which every section has something to say."""
    bad = {n: [slo(500 if n == 2 else 20), error_rate(500 if n == 2 else 20)] for n in range(1, 8)}
    priced = cost(10.0, compute=6.0, storage=4.0)
    summaries = [one.model_copy(update={"cost": priced}) for one in slo_days(bad)]
    rows = [
        row("p99_latency_ms", 400, 560, real=True, coverage=0.99),
        row("avg_cpu_percent", 50, 58),
        row("request_rate", 100, 120, real=True),
        row("overall_availability", 99.98, 99.79, change=9.5, drift_percent=-0.19, real=None, threshold_exceeded=True),
    ]
    week = {
        "ga": day(0, slos=[slo(), error_rate()]),
        "days": summaries,
        "regression": regression(*rows),
        "anomalies": events(anomaly()),
    }
    return to_markdown(report(**{**week, **inputs}))


def section(markdown: str, name: str) -> str:
    return markdown.split(f"\n## {name}\n")[1].split("\n## ")[0]


def rendered(markdown: str) -> str:
    """The text that a reader sees."""
    return html.unescape(re.sub(r"<[^>]*>", "", MARKDOWN.render(markdown)))


def seen(text: str) -> str:
    """What is left of a text on one line."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class TestSections:
    @pytest.mark.parametrize("markdown", [busy(), to_markdown(report()), to_markdown(report(days=[], regression=None))])
    def test_all_of_them_in_the_documents_order(self, markdown: str) -> None:
        assert re.findall(r"^## (.*)$", markdown, flags=re.M) == SECTIONS
        assert markdown.endswith("file.\n")
        assert not markdown.endswith("\n\n")
        assert "\n\n\n" not in markdown

    @pytest.mark.parametrize("markdown", [busy(), to_markdown(report()), to_markdown(report(days=[], regression=None))])
    def test_tables_have_as_many_cells_in_each_row_and_six_at_most(self, markdown: str) -> None:
        for block in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.M):
            cells = {len(re.split(r"(?<!\\)\|", line)) - 2 for line in block.splitlines()}
            assert len(cells) == 1
            assert cells.pop() <= 6

    def test_the_verdict_stands_first(self) -> None:
        first = section(busy(), "Executive Summary").strip().splitlines()[0]
        assert first.startswith(
            "**✕ CRITICAL: fix now.** Keep v1.0.1 and fix it forward, now: `p99_latency_ms` rose 40 % (400 → 560 ms) "
            "against"
        )

    def test_decisions_are_three_at_most_and_urgent(self) -> None:
        alert = days({2: {"critical_incident_count": 1}})
        text = busy(days=alert, slos=[burn_down(1_600, 800_000)])
        lines = section(text, "Executive Summary").split("**Decisions needed**")[1].split("**Key metrics**")[0]
        assert re.findall(r"- \*\*(P\d)\*\*", lines) == ["P0", "P1", "P1"]

    def test_key_metrics_with_their_units(self) -> None:
        assert "| `p99_latency_ms` | 400 ms | 400 ms | 400 ms | 400 ms | 100 % |" in busy()

    def test_both_labels_of_a_change_are_shown(self) -> None:
        text = section(busy(), "What Could Be Improved ⚠️")
        assert "| 400 → 560 ms | +40.0 % | large, real, worse | 7 days, 99.000 % seen |" in text
        assert "| 50 → 58 % | +16.0 % | drift, not significant, worse | 7 days |" in text
        assert "| 99.980 → 99.790 % | +950.0 % (bad share) | large, not tested, worse | 7 days |" in text

    def test_degradations_stand_under_their_severity(self) -> None:
        text = section(busy(), "What Could Be Improved ⚠️")
        assert re.findall(r"^### (.*)$", text, flags=re.M) == ["High", "Changes against the baselines", "Anomalies"]
        assert "| day 2 | Error Rate and Availability: 0.5 % on day 2 against" in text
        assert "| resolved: Recovered on day 3 (0.02 %) |" in text

    def test_the_ten_most_severe_anomalies_and_the_counts_of_all(self) -> None:
        many = [anomaly(hours=n) for n in range(11)] + [anomaly(severity="critical", hours=99)]
        text = section(to_markdown(report(anomalies=events(*many))), "What Could Be Improved ⚠️")
        assert "12 anomalies (1 critical, 11 high); the 10 most severe:" in text
        assert text.count("| `p99_latency_ms` |") == 10
        assert "| 2025-11-22 03:00 UTC | `p99_latency_ms` | 9 ms | 4 ms | +8.0 | critical |" in text

    @pytest.mark.parametrize(("hours", "lasted"), [(1 / 60, "1 minute"), (1.5, "90 minutes"), (48, "48 hours")])
    def test_how_long_an_anomaly_lasted(self, hours: float, lasted: str) -> None:
        episode = {"start": anomaly(hours=0).timestamp, "end": anomaly(hours=hours).timestamp, "in_maintenance": True}
        text = to_markdown(report(anomalies=events(anomaly(**episode))))
        assert f"| 2025-11-18 00:00 UTC, {lasted} |" in text
        assert "| high (maintenance) |" in text

    @pytest.mark.parametrize(
        ("score", "shown"),
        [
            (0.99913, "0.99913"),
            (0.999, "0.9990"),
            (1 - 1e-9, "1.000000"),
            (1.0, "1.0"),
            (0.0513, "0.051"),
            (8.02, "8.0"),
        ],
    )
    def test_scores_without_a_side_bear_no_sign_and_show_how_close_to_1_they_are(
        self, score: float, shown: str
    ) -> None:
        river = {"channel": "GaussianScorer", "score": score, "z_score": score, "baseline": None}
        assert f"| {shown} `GaussianScorer` | high |" in to_markdown(report(anomalies=events(anomaly(**river))))

    def test_scores_of_a_side_bear_its_sign(self) -> None:
        found = [anomaly(channel="ewma", direction=side, z_score=z) for side, z in (("up", 8.0), ("down", -8.0))]
        text = to_markdown(report(anomalies=events(*found)))
        assert "| +8.0 `ewma` | high |" in text
        assert "| -8.0 `ewma` | for the better |" in text

    def test_new_levels_stand_with_the_drifts(self) -> None:
        level = {
            "metric_name": "avg_cpu_percent",
            "category": "resources",
            "unit": "%",
            "since": GA + timedelta(days=2, hours=14, minutes=5),
            "noticed": GA + timedelta(days=3, hours=14, minutes=5),
            "before": 41.2,
            "after": 62.83,
        }
        moved = [NewLevel(**level), NewLevel(**level, anomalies=("a", "b"), in_maintenance=True)]
        moved += [NewLevel(**level, settled=False)]
        found = report(anomalies=events(new_levels=tuple(moved)))
        text = to_markdown(found)
        line = "- `avg_cpu_percent`: new level: 41.2 → 62.8 % since 2025-11-20 14:05 UTC (noticed 24 hours later"
        drifts = section(text, "Unexpected Drifts 📊")
        assert f"{line})\n{line}, 2 anomalies on the way, began in maintenance)\n" in drifts
        moving = "`avg_cpu_percent`: has not come back since 2025-11-20 14:05 UTC, still moving: 41.2 → 62.8 % (noticed"
        assert moving in drifts
        assert drifts.index("No drift of 10 to 30 % was found") < drifts.index("Moved and did not come back")
        assert "0 anomalies, 2 new levels, 1 move without return\n" in text
        assert found.new_levels == tuple(moved)
        assert "new level" not in to_markdown(report())

    def test_drifts_with_their_candidates(self) -> None:
        text = section(busy(), "Unexpected Drifts 📊")
        assert "| `avg_cpu_percent` | the week before GA | 50 → 58 % | +16.0 % | stable | yes |" in text
        assert (
            "- `avg_cpu_percent`: `overall_availability` went from 99.980 % to 99.790 %, its share of bad events rose"
            in text
        )

    def test_drifts_with_the_same_candidates_share_a_line(self) -> None:
        rows = [row("avg_cpu_percent", 50, 58), row("avg_memory_percent", 50, 57), row("request_rate", 100, 200)]
        rows += [row("p99_latency_ms", 400, 800), row("throughput", 10, 5)]
        text = section(to_markdown(report(regression=regression(*rows))), "Unexpected Drifts 📊")
        assert (
            "- `avg_cpu_percent` and `avg_memory_percent`: `request_rate` rose 100 % (100 → 200 requests/s) in the"
            in text
        )

    def test_cost_by_resource(self) -> None:
        text = section(busy(), "Cost Analysis 💰")
        assert "| compute | 6 USD | 60 % |" in text
        assert "| Total of 7 days | 70 USD |" in text
        assert "- Look at compute first: it is 60 % of the daily cost (6 USD of 10 USD)" in text

    def test_objectives(self) -> None:
        compliance = [ComplianceDay(day=2, value=99.5, compliant=False, budget_consumed=5)]
        text = section(busy(slos=[burn_down(1_600, 800_000, compliance_by_day=compliance)]), "SLO Compliance Summary")
        assert "| Availability: at least 99.9 % | 99.800 % | 200 % | 53.3 % | 7.0 | ⚠️ At Risk |" in text
        assert "- Availability: missed on day 2. " in text
        errors = busy(slos=[burn_down(100, 800_000, slo_name="Error Rate", target=0.1, value=0.0125)])
        assert "| Error Rate: at most 0.1 % | 0.0125 % | 12.5 % |" in errors

    def test_recommendations_are_numbered_and_tagged(self) -> None:
        assert (
            section(busy(), "Recommendations for v1.0.2 🚀")
            .strip()
            .startswith("1. **P0** Fix what made `p99_latency_ms` worse: ")
        )

    def test_action_items_are_boxes_by_priority(self) -> None:
        text = section(busy(), "Action Items")
        assert re.findall(r"^### (P\d)$", text, flags=re.M) == ["P0", "P1", "P2"]
        item = "- [ ] Fix what made `p99_latency_ms` worse — OWNER NEEDED. Done when: `regression_summary.json` of the"
        assert item in text

    def test_the_method_names_source_step_and_detector(self) -> None:
        numbers = {"significance": {"threshold": 5.0, "warm_up": 100}, "ewma": {"threshold": 3.0, "alpha": 0.3}}
        told = {"channels": numbers, "scored_from": "GA, warmed up by the days before it"}
        text = section(to_markdown(report(anomalies=events(detector=told))), "Method")
        assert "- Source: http://prometheus:9090, one sample every 60 s." in text
        named = "significance (threshold 5.0, `warm_up` 100); ewma (threshold 3.0, alpha 0.3)"
        assert f"Detector: {named}; scored from GA, warmed up by the days before it." in text

    def test_the_method_names_the_detector_of_older_files_and_of_none(self) -> None:
        for told, said in (({"channel": "ewma", "alpha": 0.01}, "channel ewma, alpha 0.01."), ({}, "not stated.")):
            text = section(to_markdown(report(anomalies=events(detector=told))), "Method")
            assert f"Detector: {said}" in text

    def test_the_anomalies_of_several_detectors_are_told_apart(self) -> None:
        seen = [
            anomaly(channel="novelty", z_score=0.02345, direction="up"),
            anomaly(channel="significance", z_score=-7.25),
            anomaly(channel="novelty", z_score=None),
        ]
        text = section(to_markdown(report(anomalies=events(*seen))), "What Could Be Improved ⚠️")
        assert "3 anomalies (3 high; 2 by novelty, 1 by significance):" in text
        assert "3 anomalies of 2 detectors" in to_markdown(report(anomalies=events(*seen)))
        rows = [line for line in text.splitlines() if line.startswith("| 2025") or "`p99_latency_ms`" in line]
        assert [row.split("|")[5].strip() for row in rows[-3:]] == [
            "-7.2 `significance`",
            "+0.023 `novelty`",
            "? `novelty`",
        ]

    def test_health_by_day(self) -> None:
        scores = [
            HealthReport(timestamp=day(n).timestamp, day_number=n, health_score=s, status="healthy", coverage=1)
            for n, s in ((1, 97.4), (2, None))
        ]
        assert "- Health by day, 0 to 100: day 1 97, day 2 ?" in to_markdown(report(health=scores))


class TestNothingToSay:
    def test_a_quiet_week_says_what_was_looked_at(self) -> None:
        text = to_markdown(report())
        assert "None was found on the GA day and 7 days after it, in 1 objective, critical alerts and 5 KPIs." in text
        assert "No change beyond 10 % was found in 5 KPIs against the week before GA and the GA day." in text
        assert "No anomaly was found in 11,520 samples of 1 KPI." in text
        unscored = to_markdown(report(anomalies=events(scored={"p99_latency_ms": 0})))
        assert "Not assessed: not one sample could be scored." in unscored
        assert "None: nothing in the data asks for a change." in text

    def test_missing_data_is_not_taken_for_peace(self) -> None:
        nothing = {"before": None, "regression": None, "anomalies": None, "slos": ()}
        text = to_markdown(report(ga=day(0, dict.fromkeys(("request_rate",)), kpis={}, slos=[]), days=[], **nothing))
        assert "No KPI has a value on any day." in text
        for name in ("What Went Well ✅", "Unexpected Drifts 📊", "SLO Compliance Summary"):
            assert section(text, name).strip().startswith("Not assessed: ")
        assert section(text, "What Could Be Improved ⚠️").count("Not assessed: ") == 3
        assert section(text, "Cost Analysis 💰").strip().startswith("No cost: ")
        assert "No anomaly was found" not in text

    def test_files_of_older_tools(self) -> None:
        text = to_markdown(
            report(ga=legacy(0), days=[legacy(n) for n in range(1, 8)], before=None, regression=None, slos=())
        )
        assert "release not named · GA 2025-11-18 00:00 UTC · week to 2025-11-25 23:59 UTC · baselines: GA day" in text
        assert "| `avg_p99_latency_ms` | no data | 412 ms | 412 ms | 412 ms | not stated |" in text
        assert "| Total of 7 days | 2,100 |" in text

    def test_one_is_singular(self) -> None:
        text = to_markdown(report(days=days()[:1], anomalies=events(anomaly(severity="low"))))
        assert "- 1 complete daily summary of 7" in text
        assert "1 anomaly (1 low):" in text
        assert not re.search(r"\b1 (days|summaries|anomalies|KPIs|objectives)\b", text)


class TestEscaping:
    def test_hostile_names_stay_text(self) -> None:
        hostile = {"service": HOSTILE, "release": f"v1\n# {HOSTILE}"}
        values = {HOSTILE: kpi("p99_latency_ms", 400)}
        summaries = [
            day(n, values | ({HOSTILE: kpi("p99_latency_ms", 900)} if n == 3 else {}), **hostile) for n in range(1, 8)
        ]
        text = to_markdown(report(ga=day(0, values, **hostile), days=summaries))
        page = MARKDOWN.render(text)
        assert "<script" not in page
        assert "<a " not in page
        assert page.count("<h1>") == 1
        assert HOSTILE in rendered(text)
        assert f"{HOSTILE}: 900 ms on day 3 against 400 ms on the GA day" in rendered(text)

    @given(st.text(max_size=60))
    @example("a|b")
    @example("a\\|b")
    @example("`a|b`")
    @example("``` x_y")
    @example("p99_latency_ms|*x_y*")
    @example("&lt;b&gt; ~~no~~ [x](y) ![i](j) #1 @you $x$ !2 \u202e")
    def test_a_cell_shows_its_text_and_stays_one_cell(self, text: str) -> None:
        page = MARKDOWN.render(table(("A", "B", "C"), [(f"x{prose(text)}x", f"x{code(text)}x", "end")]))
        cells = [
            html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", page, flags=re.S)
        ]
        shown = seen(text).replace("`", "")
        assert [cell.replace("`", "") for cell in cells] == [f"x{shown}x", f"x{shown}x", "end"]

    def test_names_become_code(self) -> None:
        assert prose("p99_latency_ms rose; see ga_kpis/ga_kpi_summary.json.") == (
            "`p99_latency_ms` rose; see `ga_kpis/ga_kpi_summary.json`."
        )

    @pytest.mark.parametrize("mark", list("\\`*_{}[]<>#|~&!$@"))
    def test_marks_are_escaped(self, mark: str) -> None:
        assert prose(f"a {mark} b") == f"a \\{mark} b"


class TestIndex:
    def entry(self, service: str, status: Status) -> ServiceEntry:
        return ServiceEntry(
            service=service,
            overall_status=status,
            advice="keep",
            why="p99_latency_ms held.",
            coverage=None,
            report=f"{service}/docs/final/GA 7.md",
        )

    def test_the_worst_service_comes_first(self) -> None:
        statuses: tuple[Status, ...] = ("STABLE", "EXCELLENT", "CRITICAL", "NEEDS ATTENTION")
        entries = tuple(self.entry(f"s{n}", status) for n, status in enumerate(statuses))
        text = index_markdown(ReleaseIndex(release="v1.0.1", ga_day_timestamp=GA, services=entries))
        assert re.findall(r"^\| `(s\d)` \|", text, flags=re.M) == ["s2", "s3", "s0", "s1"]
        assert text.startswith(
            "# `v1.0.1`: services after GA\n\nGA 2025-11-18 00:00 UTC · 4 services · the worst first\n"
        )
        assert text.endswith("|\n")

    def test_links_cannot_be_broken_out_of(self) -> None:
        entries = (self.entry("javascript:alert(1)|[x]", "STABLE"),)
        page = MARKDOWN.render(index_markdown(ReleaseIndex(release="v1", ga_day_timestamp=GA, services=entries)))
        assert re.findall(r'href="([^"]*)"', page) == ["javascript%3Aalert%281%29%7C%5Bx%5D/docs/final/GA%207.md"]


class TestSloState:
    @pytest.mark.parametrize(
        ("slo", "expected"),
        [
            (burn_down(100, 800_000), "✅ Healthy"),
            (burn_down(401, 800_000), "⚡ Moderate"),  # 50.1 % of the window's budget
            (burn_down(801, 800_000), "⚠️ At Risk"),
            (burn_down(3_000, 800_000), "🚨 Critical"),  # 3.75 · 8 / 30
            (burn_down(100, 800_000, verdict="inconclusive"), "? Not assessable"),
            (
                burn_down(100, 800_000, verdict="no data", burn_rate=None, budget_consumed_percent=None),
                "? Not assessable",
            ),
        ],
    )
    def test_by_burn_and_budget(self, slo: SloBurnDown, expected: str) -> None:
        assert state(slo) == expected

    def test_a_missed_day_is_moderate(self) -> None:
        missed = [ComplianceDay(day=2, value=99.8, compliant=False, budget_consumed=10)]
        assert state(burn_down(100, 800_000, compliance_by_day=missed)) == "⚡ Moderate"


class TestWording:
    @pytest.mark.parametrize(
        ("days", "expected"),
        [
            ([3], "day 3"),
            ([1, 2, 3, 5], "days 1–3 and 5"),
            ([0], "the GA day"),
            ([0, 2], "the GA day and day 2"),
            ([], ""),
        ],
    )
    def test_days(self, days: list[int], expected: str) -> None:
        assert day_list(days) == expected

    def test_counts(self) -> None:
        assert [count(n, "day") for n in (0, 1, 2, 1_200)] == ["0 days", "1 day", "2 days", "1,200 days"]

    def test_lists(self) -> None:
        assert [listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
        assert listed(list("abcde"), 3) == "a, b, c and 2 more"

    def test_pairs_share_their_unit_where_it_is_one(self) -> None:
        assert both(412, 486, "ms") == "412 → 486 ms"
        assert both(2.0**29, 2.0**30, "bytes") == "512 MiB → 1 GiB"
        assert both(None, 5, "ms") == "no data → 5 ms"
        assert both(1, 2, "") == "1 → 2"

    @pytest.mark.parametrize(
        ("change", "expected"),
        [(20.4, "rose 20 %"), (-3.46, "fell 3.5 %"), (0.04, "did not change"), (9500, "rose 9,500 %")],
    )
    def test_changes(self, change: float, expected: str) -> None:
        assert moved(change) == expected

    def test_a_change_of_nothing_has_no_minus(self) -> None:
        assert [signed(x) for x in (-0.04, 1234.5, -2.0)] == ["+0.0 %", "+1,234.5 %", "-2.0 %"]

    def test_a_name_keeps_its_case_at_the_start_of_a_sentence(self) -> None:
        assert [sentence(text) for text in ("p99_latency_ms: no data", "day 3.")] == [
            "p99_latency_ms: no data.",
            "Day 3.",
        ]
