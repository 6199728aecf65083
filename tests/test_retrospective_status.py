"""What the week comes to: status, advice and why, what to do about it, and what could not be assessed."""

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from observability.artifacts import DaySummary
from observability.errors import ConfigError
from observability.report import KeyMetric, Retrospective
from observability.verdicts import ComplianceDay, HealthReport, Regression, RegressionSummary, SloBurnDown
from retrospective.record import FLAT_KPIS, INCIDENTS, TWINS
from retrospective.render import to_markdown
from tests.weeks import (
    GA,
    anomaly,
    burn_down,
    cost,
    day,
    days,
    events,
    kpi,
    legacy,
    regression,
    report,
    row,
    slo,
    slo_days,
)

ROOT = Path(__file__).parents[1]

SEVERE = row("p99_latency_ms", 400, 560, real=True)
SLOW = days({n: {"p99_latency_ms": 560} for n in range(1, 8)})


class TestStatus:
    @pytest.mark.parametrize(
        ("inputs", "status", "advice"),
        [
            ({}, "EXCELLENT", "keep"),
            ({"regression": regression(row("p99_latency_ms", 400, 360, real=True))}, "EXCELLENT", "keep"),
            ({"regression": regression(row("p99_latency_ms", 400, 448))}, "STABLE", "keep"),  # 12 %, not real
            ({"regression": regression(row("p99_latency_ms", 400, 480))}, "STABLE", "watch"),  # 20 %
            ({"regression": regression(row("p99_latency_ms", 400, 560))}, "STABLE", "watch"),  # large, not real
            ({"regression": regression(row("request_rate", 100, 140, real=True))}, "STABLE", "watch"),
            ({"days": days({3: {"p99_latency_ms": 600}})}, "STABLE", "keep"),  # one day, recovered
            ({"days": days({7: {"p99_latency_ms": 600}})}, "STABLE", "watch"),
            ({"before": None, "regression": regression(quiet=False)}, "NEEDS ATTENTION", "not assessable"),
            ({"slos": ()}, "STABLE", "watch"),
            ({"regression": regression(row("p99_latency_ms", 400, 480, real=True))}, "NEEDS ATTENTION", "fix forward"),
            (
                {"regression": regression(row("p99_latency_ms", 400, 560, real=None))},
                "NEEDS ATTENTION",
                "not assessable",
            ),
            ({"slos": [burn_down(1_600, 800_000)]}, "NEEDS ATTENTION", "fix forward"),  # burn rate 2
            ({"slos": [burn_down(2_000, 800_000)]}, "NEEDS ATTENTION", "fix forward"),
            ({"days": days({2: {"critical_incident_count": 1}})}, "NEEDS ATTENTION", "fix forward"),
            ({"days": days()[:5]}, "NEEDS ATTENTION", "not assessable"),
            ({"days": days(coverage=0.9)}, "NEEDS ATTENTION", "not assessable"),
            ({"regression": None}, "NEEDS ATTENTION", "not assessable"),
            ({"slos": [burn_down(0, 800, verdict="inconclusive")]}, "NEEDS ATTENTION", "not assessable"),
            ({"regression": regression(SEVERE), "days": SLOW}, "CRITICAL", "fix now"),
            ({"regression": regression(SEVERE, back=True), "days": SLOW}, "CRITICAL", "roll back"),
            ({"regression": regression(SEVERE, back=True)}, "CRITICAL", "roll back"),  # as the summary advises
            ({"slos": [burn_down(3_000, 800_000)]}, "CRITICAL", "fix now"),  # burn 3.75 for 8 days: 30 days' budget
            ({"days": days({7: {"critical_incident_count": 1}})}, "CRITICAL", "fix now"),
        ],
    )
    def test_the_table(self, inputs: dict[str, Any], status: str, advice: str) -> None:
        found = report(**inputs)
        assert (found.overall_status, found.advice) == (status, advice)

    @pytest.mark.parametrize("after", [400, 600])
    def test_the_ga_day_does_not_veto_and_does_not_accuse(self, after: float) -> None:
        rows = [row("p99_latency_ms", 400, 480, real=True), row("p99_latency_ms", 480, 480, baseline="ga_day")]
        assert report(regression=regression(*rows)).overall_status == "NEEDS ATTENTION"
        other = [row("p99_latency_ms", 480, 480), row("p99_latency_ms", 400, after, baseline="ga_day")]
        assert report(regression=regression(*other)).overall_status == "EXCELLENT"

    def test_a_quiet_week_says_what_would_have_been_found(self) -> None:
        moved = row("request_rate", 100, 104)
        assert report(regression=regression(moved)).why == (
            "Keep v1.0.1: no KPI of 5 changed by more than 10 % for the worse against the week before GA; largest "
            "change: request_rate rose 4.0 % (100 → 104 requests/s); the one objective within the error budget "
            "(closest: Availability, 20 % of the window's budget used); coverage 100 %."
        )

    def test_why_names_magnitude_values_baseline_certainty_and_load(self) -> None:
        rows = [
            row("avg_cpu_percent", 50, 60, real=True, interval=(0.15, 0.25)),
            row("request_rate", 100, 120, real=True),
        ]
        assert report(regression=regression(*rows)).why.startswith(
            "Keep v1.0.1 and fix it forward: avg_cpu_percent rose 20 % (50 → 60 %) against the week before GA "
            "(interval +15.0 to +25.0 %, centre of 7 same-weekday changes, 50 % on day 7, "
            "meanwhile request_rate rose 20 % (100 → 120 requests/s)); "
        )

    def test_the_kpi_with_the_objective_speaks_for_its_family(self) -> None:
        fast = slo(name="P99 Latency", kpi="p99_latency_ms", target=99, budget=1, unit="% within 500 ms")
        rows = [row("p50_latency_ms", 100, 128, real=True), row("p99_latency_ms", 400, 480, real=True)]
        found = report(regression=regression(*rows), days=days(slos=[fast]))
        assert (
            "forward: p99_latency_ms rose 20 % (400 → 480 ms), likewise p50_latency_ms (rose 28 %) against" in found.why
        )

    def test_critical_names_the_cost_of_waiting(self) -> None:
        """Day 7 burns 3.6 times its budget: 3.6 / (30 · 24) of the 30-day budget an hour."""
        found = report(slos=[burn_down(3_000, 800_000)], days=slo_days({7: slo(360)}))
        assert "at day 7's rate an hour of waiting costs 0.5 % of the 30-day Availability budget" in found.why

    def test_a_budget_is_compared_with_the_week_before(self) -> None:
        found = report(slos=[burn_down(1_600, 800_000)], days=slo_days({7: slo(200)}))
        assert found.why.startswith(
            "Keep v1.0.1 and fix it forward: Availability burned the error budget 2 times as fast as it lasts "
            "(0.2 times in the week before GA): 53.3 % of the 30-day budget is spent, "
            "and the rest lasts 7 days at this rate; "
        )

    def test_too_little_data_is_no_verdict(self) -> None:
        found = report(ga=day(0, release="checkout-7"), days=days()[:5], regression=None)
        assert found.why.startswith(
            "No verdict on checkout-7: 5 complete daily summaries of 7 (days 6–7 missing, partial or without data); "
        )

    def test_no_adjective_stands_for_a_cause(self) -> None:
        found = report(regression=regression(SEVERE, back=True), days=SLOW)
        assert not {"caused", "because of", "due to"} & set(found.why.split())


class TestChanges:
    def older(self, metric: str, **fields: Any) -> Retrospective:
        """A row as older tools wrote it: no unit, direction, change or test."""
        one = {"severity": "high", "category": "performance", "impact": "", "threshold_exceeded": True}
        found = Regression(
            metric_name=metric, baseline_value=412, current_value=600, drift_percent=45.6, **one, **fields
        )
        return report(regression=RegressionSummary(regressions=(found,)))

    def test_rows_of_older_tools(self) -> None:
        found = self.older("avg_p99_latency_ms")
        assert (found.overall_status, found.advice) == ("NEEDS ATTENTION", "not assessable")
        assert "avg_p99_latency_ms rose 46 % (412 → 600 ms) against the GA day: large, and not tested" in found.why

    def test_a_kpi_that_nobody_knows_is_listed_as_worse_because_it_is_listed(self) -> None:
        assert "queue_age rose 46 % (412 → 600) against the GA day" in self.older("queue_age").why

    def test_from_nothing_there_is_no_per_cent(self) -> None:
        found = report(regression=regression(row("overall_error_rate", 0, 0.25, real=True)))
        assert found.overall_status == "CRITICAL"
        assert found.why.startswith(
            "Keep v1.0.1 and fix it forward, now: overall_error_rate went from 0 % to 0.25 % against the week before GA"
        )
        assert "| 0 → 0.25 % | a rise from 0 | large, real, worse |" in to_markdown(found)

    def test_a_row_without_a_partner_day_has_no_change(self) -> None:
        alone = row("p99_latency_ms", 400, 500, change=None, days=0, threshold_exceeded=False, real=None)
        found = report(regression=regression(alone))
        assert (found.overall_status, found.advice) == ("STABLE", "watch")
        assert "1 KPI could not be tested against the week before GA: p99_latency_ms" in found.why


class TestRecommendations:
    def test_each_starts_with_its_priority_the_most_urgent_first(self) -> None:
        found = report(
            regression=regression(SEVERE, row("request_rate", 100, 120)), days=SLOW, slos=[burn_down(1_600, 800_000)]
        )
        assert [text[:5] for text in found.recommendations_v1_0_2] == ["[P0] ", "[P1] ", "[P2] "]
        assert found.recommendations_v1_0_2[0].startswith(
            "[P0] Fix what made p99_latency_ms worse: p99_latency_ms rose 40 %"
        )

    def test_at_most_ten(self) -> None:
        seen = events(
            *[
                anomaly(metric)
                for metric in (
                    "p50_latency_ms",
                    "throughput",
                    "avg_memory_percent",
                    "avg_redis_hit_rate",
                    "request_rate",
                )
            ]
        )
        found = report(
            days=[day(1, coverage=0.1)],
            slos=(),
            before=None,
            regression=None,
            anomalies=seen,
            ga=day(0, {"critical_incident_count": None, "request_rate": None}),
        )
        assert len(found.recommendations_v1_0_2) == 10

    def test_a_quiet_week_asks_for_nothing(self) -> None:
        assert report().recommendations_v1_0_2 == ()
        assert report().action_items == ()

    def test_severe_anomalies_that_nothing_else_tells(self) -> None:
        (text,) = report(anomalies=events(anomaly(), anomaly(hours=70))).recommendations_v1_0_2
        assert text.startswith("[P2] Look at p99_latency_ms: 2 high or critical anomalies in the week")
        assert report(anomalies=events(anomaly(severity="medium"))).recommendations_v1_0_2 == ()

    def test_a_severe_anomaly_that_two_detectors_saw_is_counted_once(self) -> None:
        ends = {"start": anomaly().timestamp, "end": anomaly(hours=70).timestamp}
        seen = [anomaly(channel=channel, **ends) for channel in ("significance", "ewma")]
        (text,) = report(anomalies=events(*seen)).recommendations_v1_0_2
        assert text.startswith("[P2] Look at p99_latency_ms: 1 high or critical anomaly in the week")

    def test_anomalies_do_not_decide_the_status(self) -> None:
        assert report(anomalies=events(anomaly(severity="critical"))).overall_status == "EXCELLENT"

    def test_an_untested_rollback_advice_is_put_to_people(self) -> None:
        found = report(regression=regression(row("p99_latency_ms", 400, 560, real=None), back=True))
        assert any("advises a rollback (As told)" in text for text in found.recommendations_v1_0_2)


class TestActionItems:
    def test_an_item_has_an_owner_to_be_named_and_a_check(self) -> None:
        item = report(regression=regression(SEVERE), days=SLOW).action_items[0]
        assert (item.priority, item.owner, item.status) == ("P0", "OWNER NEEDED", "open")
        assert item.done_when == "regression_summary.json of the next week: p99_latency_ms is within 10 % of 400 ms"

    def test_at_most_five_urgent_ones_and_these_first(self) -> None:
        metrics = (
            "p99_latency_ms",
            "avg_cpu_percent",
            "avg_memory_percent",
            "estimated_cost_per_hour",
            "overall_error_rate",
        )
        rows = [row(metric, 100, 120, real=True) for metric in metrics]
        found = report(regression=regression(*rows, row("request_rate", 100, 120)), slos=[burn_down(1_600, 800_000)])
        assert [item.priority for item in found.action_items] == ["P1"] * 5 + ["P2"]


class TestProcessImprovements:
    def test_a_miss_that_no_alert_told(self) -> None:
        (text,) = report(ga=day(0, cost=cost(1)), days=slo_days({2: slo(500)})).process_improvements
        assert text == (
            "Alert on the burn rate of Availability: no critical alert fired on day 2, when it was missed "
            "(99.500 % on day 2, objective at least 99.9 %)"
        )

    def test_a_miss_with_an_alert_asks_for_none(self) -> None:
        summaries = [day(2, {"critical_incident_count": 1}, slos=[slo(500)]), *[day(n) for n in (1, 3, 4, 5, 6, 7)]]
        assert not any("Alert on the burn" in text for text in report(days=summaries).process_improvements)

    def test_what_the_data_supports_and_no_more_than_five(self) -> None:
        blind = {"avg_memory_percent": None, "request_rate": None}
        found = report(ga=day(0, blind), days=[day(n, blind, slos=[slo(500)]) for n in (1, 2, 4)], before=None)
        assert [text.split()[0] for text in found.process_improvements] == [
            "Alert",
            "Instrument",
            "Schedule",
            "Keep",
            "Add",
        ]
        assert "2 KPIs of 7 had no data on any day" in found.process_improvements[1]
        assert found.process_improvements[2].endswith("there is no summary of days 3 and 5–7")

    def test_a_change_that_the_ga_day_showed_already(self) -> None:
        row_found = row("p99_latency_ms", 400, 500, real=True, verdict="fail")
        values = {"p99_latency_ms": 496.0}
        found = report(ga=day(0, values), days=[day(n, values) for n in range(1, 8)], regression=regression(row_found))
        assert (
            "Compare p99_latency_ms with the running version before GA: on the GA day it had already moved "
            "400 → 496 ms from the week before"
        ) in found.process_improvements

    def test_a_change_that_came_after_the_ga_day(self) -> None:
        row_found = row("p99_latency_ms", 400, 500, real=True, verdict="fail")
        found = report(days=days({n: {"p99_latency_ms": 500.0} for n in range(1, 8)}), regression=regression(row_found))
        assert not any(text.startswith("Compare") for text in found.process_improvements)

    def test_a_change_that_crept_up(self) -> None:
        row_found = row("avg_cpu_percent", 50, 62, real=True, verdict="fail")
        rising = {n: {"avg_cpu_percent": 50.0 + 3 * n} for n in range(1, 8)}
        found = report(days=days(rising), regression=regression(row_found))
        assert "Alert on the trend of avg_cpu_percent: it went 50 → 71 % from the GA day to day 7" in (
            found.process_improvements
        )

    def test_gaps_in_the_samples(self) -> None:
        gap = {"p99_latency_ms": kpi("p99_latency_ms", 400, coverage=0.9)}
        assert any(
            "on day 4 a KPI was seen less than 99 % of the time (90 % on day 4)" in text
            for text in report(days=days({4: gap})).process_improvements
        )


class TestNotAssessed:
    def test_what_is_missing_is_named(self) -> None:
        note = "no data, because the release file has no `prices:`"
        values = {
            "avg_memory_percent": None,
            "estimated_cost_per_hour": kpi("estimated_cost_per_hour", None, note=note),
        }
        summaries = [day(n, values | ({"p99_latency_ms": None} if n == 3 else {})) for n in range(1, 6)]
        found = report(
            ga=day(0, values), days=[*summaries, day(6, partial=True)], anomalies=None, before=None, regression=None
        )
        assert set(found.not_assessed) == {
            "Day 7: no daily summary was given.",
            "Day 6: the summary is of a day that was not over, and is left out.",
            "Regressions and drifts: no regression summary was given.",
            "Anomalies: no anomaly events were given.",
            "Health scores: no health report was given.",
            "avg_memory_percent: no data.",
            f"estimated_cost_per_hour: {note}.",
            f"No cost: {note}.",
            "p99_latency_ms on day 3: no data, or less than half of the day seen.",
        }

    def test_untested_changes_are_counted(self) -> None:
        assert (
            "5 changes were not tested against the GA day: it is part of the release, and is one day."
            in report().not_assessed
        )

    @pytest.mark.parametrize("warnings", [(), ("There is no week before GA: what came with the release is unseen.",)])
    def test_a_missing_week_before_is_told_once(self, warnings: tuple[str, ...]) -> None:
        found = report(before=None, regression=regression(warnings=warnings)).not_assessed
        assert sum(text.startswith(("The week before GA", "There is no week before")) for text in found) == 1

    def test_an_inconclusive_row_says_why(self) -> None:
        rows = [row("avg_cpu_percent", 50, 90, real=None, why="At 1.8 times the traffic.")]
        found = report(regression=regression(*rows)).not_assessed
        assert "1 change was not tested against the week before GA: avg_cpu_percent: At 1.8 times the traffic." in found

    def test_warnings_of_the_source_are_passed_on(self) -> None:
        summaries = days(warnings=("PromQL info: a partial response",))
        assert any(
            text.startswith("PromQL info: a partial response (a warning on days 1–7)")
            for text in report(days=summaries).not_assessed
        )


class TestAssemble:
    def test_times(self) -> None:
        found = json.loads(report().model_dump_json())
        assert found["ga_day_timestamp"] == "2025-11-18T00:00:00Z"
        assert found["seven_day_end_timestamp"] == "2025-11-25T23:59:59Z"
        assert found["generation_timestamp"] == "2025-11-26T00:00:00Z"

    def test_the_generation_time_can_be_given(self) -> None:
        now = datetime.fromisoformat("2025-12-01T09:00:00+00:00")
        assert report(now=now).generation_timestamp == now

    def test_a_rehearsal_has_shorter_days(self) -> None:
        short = {"start": GA, "end": GA + (report().generation_timestamp - GA) / 64}  # 3 h
        assert report(ga=day(0, window=short)).seven_day_end_timestamp == datetime.fromisoformat(
            "2025-11-18T23:59:59+00:00"
        )

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        assert report().model_dump_json() == report().model_dump_json()
        assert Retrospective.model_validate_json(report().model_dump_json()) == report()

    @pytest.mark.parametrize(
        ("summaries", "message"),
        [
            ([day(3), day(3)], "two summaries of day 3"),
            ([day(0)], "of day 0"),
            ([day(1, service="other")], "of service 'other', that of the GA day of 'checkout'"),
        ],
    )
    def test_days_that_do_not_belong_together_are_refused(self, summaries: list[DaySummary], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            report(days=summaries)

    def test_older_files_say_what_cannot_be_assessed(self) -> None:
        found = report(
            ga=legacy(0), days=[legacy(n) for n in range(1, 8)], before=None, regression=None, anomalies=None, slos=()
        )
        assert (found.overall_status, found.advice, found.coverage) == ("NEEDS ATTENTION", "not assessable", None)
        assert "How much of the week was observed: the files do not state their coverage." in found.not_assessed
        assert found.seven_day_end_timestamp == report().seven_day_end_timestamp

    def test_older_burn_downs_state_only_what_was_consumed(self) -> None:
        compliance = [ComplianceDay(day=n, value=99.7, compliant=False, budget_consumed=37.5) for n in range(8)]
        older = SloBurnDown(
            slo_name="Availability",
            target=99.9,
            budget=0.1,
            budget_consumed_percent=300.0,
            days_to_exhaustion=2.0,
            compliance_by_day=compliance,
        )
        found = report(slos=[older])
        assert found.overall_status == "NEEDS ATTENTION"  # 3 times as fast as it lasts, for 8 of 30 days: 80 %
        assert "80 % of the 30-day budget is spent" in found.why

    def test_health_scores_are_passed_on_by_day(self) -> None:
        scores = [
            HealthReport(timestamp=day(n).timestamp, day_number=n, health_score=s, status="healthy", coverage=1)
            for n, s in ((2, None), (1, 97.0))
        ]
        assert report(health=scores).health_by_day == {"1": 97.0, "2": None}

    def test_a_week_s_ratio_comes_from_its_counts(self) -> None:
        """0.02 % of 9,000 requests on six days and 2 % of 1,000 on one: (10.8 + 20) of 55,000."""
        counted = {n: {"overall_error_rate": kpi("overall_error_rate", 0.02, denominator=9_000)} for n in range(1, 8)}
        counted[3] = {"overall_error_rate": kpi("overall_error_rate", 2.0, denominator=1_000)}
        metric = next(m for m in report(days=days(counted)).key_metrics if m.metric_name == "overall_error_rate")
        assert metric.week == pytest.approx(100 * 30.8 / 55_000)

    def test_percentiles_are_not_averaged(self) -> None:
        fast = kpi("p99_latency_ms", 400, denominator=1_000, buckets={"+Inf": 1_000})
        slow = fast.model_copy(update={"value": 4_000.0})
        summaries = days({n: {"p99_latency_ms": slow if n == 3 else fast} for n in range(1, 8)})
        assert next(m for m in report(days=summaries).key_metrics if m.metric_name == "p99_latency_ms").week == 400

    def metric(self, found: Retrospective, name: str) -> KeyMetric:
        return next(metric for metric in found.key_metrics if metric.metric_name == name)

    def test_an_alert_that_keeps_firing_is_one(self) -> None:
        """It began on day 1 and was seen on all seven days; on day 4 a second one began."""
        seen = {n: kpi(INCIDENTS, 2.0 if n == 4 else 1.0, started=1.0 if n in {1, 4} else 0.0) for n in range(1, 8)}
        found = report(days=days({n: {INCIDENTS: value} for n, value in seen.items()}))
        assert (self.metric(found, INCIDENTS).week, self.metric(found, INCIDENTS).folded) == (2, "runs")
        assert "2 critical alerts on days 1–7" in found.why
        assert "incidents as distinct runs" in to_markdown(found)

    def test_without_starts_the_days_are_counted_and_not_the_alerts(self) -> None:
        found = report(days=days({n: {INCIDENTS: 1} for n in range(1, 8)}))
        assert (self.metric(found, INCIDENTS).week, self.metric(found, INCIDENTS).folded) == (7, "days")
        assert "critical alerts on days 1–7" in found.why
        assert "incidents as days with one, because the files do not say which went on" in to_markdown(found)

    def test_a_missing_day_counts_as_unseen(self) -> None:
        assert report(days=days()[:4]).coverage == 5 / 8

    def test_of_equally_severe_anomalies_those_of_the_first_detector_come_first(self) -> None:
        told = {"channels": {"significance": {}, "novelty": {}}}
        seen = [anomaly(channel=name, score=at) for name, at in (("LODA", 1e9), ("novelty", 80), ("significance", 6))]
        found = report(anomalies=events(*seen, detector=told)).anomalies
        assert [event.channel for event in found] == ["significance", "novelty", "LODA"]

    def test_anomalies_come_most_severe_first(self) -> None:
        seen = events(anomaly(severity="low"), anomaly(severity="critical"), anomaly(score=20.0), anomaly(score=-30.0))
        assert [(a.severity, a.score) for a in report(anomalies=seen).anomalies] == [
            ("critical", None),
            ("high", -30.0),
            ("high", 20.0),
            ("low", None),
        ]

    def test_changes_that_are_small_and_not_real_are_not_listed(self) -> None:
        rows = [
            row("p99_latency_ms", 400, 480),
            row("avg_cpu_percent", 50, 54, real=True),
            row("request_rate", 100, 101),
        ]
        assert [r.metric_name for r in report(regression=regression(*rows)).regressions] == [
            "avg_cpu_percent",
            "p99_latency_ms",
        ]

    def test_the_flat_keys_are_as_the_catalog_has_them(self) -> None:
        catalog = yaml.safe_load((ROOT / "observability/catalog/kpis.yaml").read_text(encoding="utf-8"))["kpis"]
        assert {
            name: (k["unit"], k["direction"], k["category"]) for name, k in catalog.items() if name in FLAT_KPIS
        } == FLAT_KPIS
        assert set(TWINS.items()) <= {(a, b) for a in catalog for b in catalog}

    def test_no_figure_is_infinite(self) -> None:
        found = report(ga=day(0, {"overall_error_rate": 0.0}), days=days({3: {"overall_error_rate": 0.25}}))
        assert not any(isinstance(v, float) and not math.isfinite(v) for v in found.model_dump().values())
