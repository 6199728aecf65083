"""What the retrospective finds in a week: figures worked by hand, and nothing from missing data."""

import json
from pathlib import Path
from typing import Any

import pytest

from observability.artifacts import PreReleaseSummary
from observability.report import Degradation, Retrospective
from observability.verdicts import ComplianceDay, SloBurnDown
from retrospective.drifts import trend
from scripts.generate_retrospective import main as generate_retrospective
from tests.weeks import (
    anomaly,
    before,
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


def named(found: Retrospective, metric: str) -> list[str]:
    return [success.description for success in found.successes if success.metric_name == metric]


def degraded(**inputs: Any) -> tuple[Degradation, ...]:
    return report(**inputs).degradations


class TestSuccessAnalyzer:
    def test_an_objective_met_on_all_days(self) -> None:
        success = report().successes[0]
        assert success.description == "Availability met its objective on each of the 8 assessed days"
        assert (success.target_value, success.actual_value) == ("at least 99.9 %", "99.980 %")
        assert success.achievement_percent == pytest.approx(100 * 99.98 / 99.9)

    def test_where_lower_is_better_achievement_is_target_over_actual(self) -> None:
        success = report(ga=day(0, slos=[error_rate()]), days=days(slos=[error_rate()])).successes[0]
        assert success.target_value == "at most 0.1 %"
        assert success.achievement_percent == pytest.approx(100 * 0.1 / 0.02)

    def test_without_any_error_achievement_is_undefined(self) -> None:
        success = report(ga=day(0, slos=[error_rate(0)]), days=days(slos=[error_rate(0)])).successes[0]
        assert (success.actual_value, success.achievement_percent) == ("0 %", None)

    def test_every_event_counts_once_however_quiet_its_day(self) -> None:
        lean = [day(n, slos=[slo(1, 1_000)]) for n in range(1, 8)]
        success = report(ga=day(0, slos=[slo(0, 93_000)]), days=lean).successes[0]
        assert success.actual_value == "99.9930 %"  # 7 bad of 100,000 events; the mean of the days' shares is 99.9125

    def test_a_latency_objective_is_a_share_of_requests(self) -> None:
        fast = {"name": "P99 Latency", "kpi": "p99_latency_ms", "target": 99, "budget": 1, "unit": "% within 500 ms"}
        success = report(ga=day(0, slos=[slo(500, **fast)]), days=days(slos=[slo(500, **fast)])).successes[0]
        assert (success.target_value, success.actual_value) == ("at least 99 % within 500 ms", "99.500 % within 500 ms")

    def test_an_objective_missed_on_one_day_is_no_success(self) -> None:
        assert named(report(days=slo_days({3: slo(200)})), "overall_availability") == []

    def test_a_day_without_data_is_named_and_not_counted(self) -> None:
        found = named(report(days=slo_days({3: slo(None, None)})), "overall_availability")
        assert found == ["Availability met its objective on each of the 7 assessed days; not assessed: day 3"]

    def test_an_objective_that_was_never_assessed_is_no_success(self) -> None:
        unseen = slo(None, None)
        assert named(report(ga=day(0, slos=[unseen]), days=days(slos=[unseen])), "overall_availability") == []

    def test_older_burn_downs_hold_the_days_that_summaries_do_not(self) -> None:
        compliance = [ComplianceDay(day=n, value=99.95, compliant=True, budget_consumed=1.0) for n in range(8)]
        slos = [
            SloBurnDown(
                slo_name="Availability",
                kpi="overall_availability",
                target=99.9,
                budget=0.1,
                budget_consumed_percent=8.0,
                days_to_exhaustion=None,
                compliance_by_day=compliance,
            )
        ]
        found = report(ga=day(0, slos=[]), days=days(slos=[]), slos=slos)
        assert named(found, "Availability") == [] != named(found, "overall_availability")

    def test_no_critical_alert(self) -> None:
        found = named(report(), "critical_incident_count")
        assert found == ["No critical alert fired on any of the 8 assessed days"]

    @pytest.mark.parametrize("value", [None, 1.0])
    def test_alerts_that_fired_or_were_never_observed_are_no_success(self, value: float | None) -> None:
        one = {"critical_incident_count": value}
        assert (
            named(report(ga=day(0, one), days=days(dict.fromkeys(range(1, 8), one))), "critical_incident_count") == []
        )

    def test_a_kpi_within_ten_per_cent_of_both_baselines(self) -> None:
        rows = [row("p99_latency_ms", 400, 420), row("p99_latency_ms", 410, 420, baseline="ga_day")]
        success = next(s for s in report(regression=regression(*rows)).successes if s.metric_name == "p99_latency_ms")
        assert success.description == "p99_latency_ms held within 10 % of the week before GA and of the GA day"
        assert success.actual_value == "+5.0 % and +2.4 %"  # 420 / 400 and 420 / 410

    @pytest.mark.parametrize(("week_before", "ga_day"), [(450, 410), (410, 450), (None, 400), (400, None)])
    def test_one_baseline_is_not_enough(self, week_before: float | None, ga_day: float | None) -> None:
        rows = [
            row("p99_latency_ms", 400 if week_before else None, week_before),
            row("p99_latency_ms", 400 if ga_day else None, ga_day, baseline="ga_day"),
        ]
        assert named(report(regression=regression(*rows)), "p99_latency_ms") == []

    def test_without_a_week_before_the_ga_day_alone_is_named_as_such(self) -> None:
        found = report(before=None, regression=None, days=days({n: {"p99_latency_ms": 420} for n in range(1, 8)}))
        assert named(found, "p99_latency_ms") == [
            "p99_latency_ms held within 10 % of the GA day on days 1–7 (there is no week before GA)"
        ]

    def test_availability_is_judged_by_its_bad_share(self) -> None:
        """99.9 → 99.0 % is 0.9 % off the GA day, and ten times the errors."""
        values = {"overall_availability": 99.0, "overall_error_rate": None}
        found = report(
            before=None,
            regression=None,
            ga=day(0, {"overall_availability": 99.9, "overall_error_rate": None}, slos=[]),
            days=days(dict.fromkeys(range(1, 8), values), slos=[]),
        )
        assert named(found, "overall_availability") == []
        assert found.degradations[0].description == (
            "overall_availability: 99.000 % on day 1 against 99.900 % on the GA day "
            "(900 % worse, the worst of days 1–7)"
        )

    def test_a_real_improvement_is_named(self) -> None:
        found = report(regression=regression(row("p99_latency_ms", 400, 150, real=True)))
        assert named(found, "p99_latency_ms") == [
            "p99_latency_ms fell 62 % (400 → 150 ms) against the week before GA: a real change for the better"
        ]

    @pytest.mark.parametrize("real", [None, False])
    def test_an_improvement_that_is_not_known_to_be_real_is_not(self, real: bool | None) -> None:
        assert named(report(regression=regression(row("p99_latency_ms", 400, 150, real=real))), "p99_latency_ms") == []

    def test_a_kpi_that_was_degraded_on_a_day_did_not_hold(self) -> None:
        found = report(days=days({3: {"p99_latency_ms": 700}}))
        assert named(found, "p99_latency_ms") == []

    def test_twins_are_told_once(self) -> None:
        assert len(named(report(), "overall_error_rate")) == 1
        assert named(report(), "overall_availability") == [
            "Availability met its objective on each of the 8 assessed days"
        ]


class TestDegradationAnalyzer:
    def test_a_burst_with_its_figures(self) -> None:
        found = degraded(days=slo_days({2: slo(500)}))
        assert found[0].description == (
            "Availability: 99.500 % on day 2 against an objective of at least 99.9 %, 99.980 % on the GA day"
        )
        # 500 of the 100 events that a day's budget allows: 5 of 30 days' budget.
        assert found[0].impact == "500 of 100,000 events bad: 16.7 % of a 30-day error budget"
        assert (found[0].day_occurred, found[0].metric_name) == (2, "overall_availability")

    @pytest.mark.parametrize(
        ("bad", "severity"), [(150, "medium"), (299, "medium"), (300, "high"), (2_999, "high"), (3_000, "critical")]
    )
    def test_severity_by_the_share_of_the_30_day_budget(self, bad: float, severity: str) -> None:
        """A day allows 100 bad events; 10 % of 30 days' budget are 300, all of it 3,000."""
        assert degraded(days=slo_days({2: slo(bad)}))[0].severity == severity

    @pytest.mark.parametrize(
        ("bad_days", "status", "details"),
        [
            ({2: 500}, "resolved", "Recovered on day 3 (99.980 %)"),
            ({6: 500}, "resolved", "Recovered on day 7 (99.980 %)"),
            ({6: 500, 7: 500}, "ongoing", "Still so on day 7"),
            ({3: 500, 4: None}, "unknown", "No data on day 4"),
        ],
    )
    def test_resolution(self, bad_days: dict[int, float | None], status: str, details: str) -> None:
        summaries = slo_days({n: slo(bad, None if bad is None else 100_000) for n, bad in bad_days.items()})
        found = degraded(days=summaries)[0]
        assert (found.resolution_status, found.resolution_details) == (status, details)

    def test_a_missing_day_ends_a_run_without_resolving_it(self) -> None:
        summaries = [one for one in slo_days({2: slo(500), 4: slo(500)}) if one.day_number != 3]
        assert [(d.day_occurred, d.resolution_status) for d in degraded(days=summaries)] == [
            (2, "unknown"),
            (4, "resolved"),
        ]

    def test_consecutive_days_are_one_run_and_its_worst_day_is_named(self) -> None:
        found = degraded(days=slo_days({2: slo(200), 3: slo(800), 5: slo(200)}))
        assert [d.day_occurred for d in found] == [2, 5]
        assert "99.200 % on day 3" in found[0].description
        assert found[0].description.endswith("the worst of days 2–3")

    def test_the_ga_day_can_be_degraded_too(self) -> None:
        assert degraded(ga=day(0, slos=[slo(500)]))[0].description == (
            "Availability: 99.500 % on the GA day against an objective of at least 99.9 %"
        )

    def test_two_objectives_on_the_same_events_are_one_matter(self) -> None:
        found = degraded(
            ga=day(0, slos=[slo(), error_rate()]), days=slo_days({n: [slo(), error_rate()] for n in (1, 3, 4, 5, 6, 7)})
        )
        assert found == ()
        both = {n: [slo(500 if n == 2 else 20), error_rate(500 if n == 2 else 20)] for n in range(1, 8)}
        found = degraded(ga=day(0, slos=[slo(), error_rate()]), days=slo_days(both))
        assert [d.description[:29] for d in found] == ["Error Rate and Availability: "]

    def test_a_kpi_more_than_30_per_cent_worse_than_on_the_ga_day(self) -> None:
        found = degraded(before=None, days=days({3: {"p99_latency_ms": 600}, 4: {"p99_latency_ms": 520}}))
        assert [d.description for d in found] == [
            "p99_latency_ms: 600 ms on day 3 against 400 ms on the GA day (50 % worse)"
        ]
        assert found[0].severity == "medium"
        assert degraded(days=days({3: {"p99_latency_ms": 801}}))[0].severity == "high"

    def test_the_week_before_ga_is_held_against_by_weekday(self) -> None:
        """A defect that came with the release is in the GA day too. Day −4 is the weekday of day 3."""
        slow = {"p99_latency_ms": 600}
        (found,) = degraded(ga=day(0, slow), days=days(dict.fromkeys(range(1, 8), slow)))
        assert (found.day_occurred, found.resolution_status) == (0, "ongoing")
        assert found.description == (
            "p99_latency_ms: 600 ms on the GA day against 400 ms on the same weekday before GA "
            "(50 % worse, the worst of the GA day and days 1–7)"
        )
        past = PreReleaseSummary(days=[day(n, slow if n == -4 else None) for n in range(-7, 0)])
        assert degraded(before=past, days=days({3: slow})) == ()

    @pytest.mark.parametrize("fields", [{"basis": "at like load"}, {"obstacle": "the traffic changed"}])
    def test_more_traffic_is_no_degradation(self, fields: dict[str, Any]) -> None:
        busy = {"avg_cpu_percent": 80}
        rows = regression(row("avg_cpu_percent", 50, 80, change=0.0, **fields))
        assert degraded(ga=day(0, busy), days=days(dict.fromkeys(range(1, 8), busy)), regression=rows) == ()

    @pytest.mark.parametrize(
        ("metric", "ga_value", "value"),
        [
            ("request_rate", 100, 300),  # two-sided
            ("p99_latency_ms", 400, 150),  # better
            ("overall_error_rate", 0.02, 0.11),  # 0.09 percentage points
            ("avg_cpu_percent", 0, 5),  # nothing to divide by
            ("avg_cpu_percent", None, 90),
        ],
    )
    def test_no_degradation(self, metric: str, ga_value: float | None, value: float) -> None:
        assert degraded(before=None, ga=day(0, {metric: ga_value}), days=days({3: {metric: value}})) == ()

    def test_errors_from_none_are_a_degradation(self) -> None:
        none = {"overall_error_rate": 0.0}
        found = degraded(before=None, ga=day(0, none), days=days({3: {"overall_error_rate": 0.25}}))
        assert found[0].description == "overall_error_rate: 0.25 % on day 3 against 0 % on the GA day (from 0)"

    def test_where_higher_is_better_a_fall_is_worse(self) -> None:
        found = degraded(
            ga=day(0, {"throughput": 10}),
            days=days({n: {"throughput": 10} for n in range(1, 7)} | {7: {"throughput": 6}}),
        )
        assert found[0].description.endswith("(40 % worse)")

    def test_a_day_of_which_little_was_seen_is_no_evidence(self) -> None:
        assert degraded(days=days({3: {"p99_latency_ms": kpi("p99_latency_ms", 900, coverage=0.4)}})) == ()

    def test_a_missed_objective_speaks_for_the_kpi_on_its_days(self) -> None:
        summaries = [
            day(n, {"overall_error_rate": 0.5 if n == 2 else 0.02}, slos=[slo(500 if n == 2 else 20)])
            for n in range(1, 8)
        ]
        assert [d.metric_name for d in degraded(days=summaries)] == ["overall_availability"]

    def test_kpis_of_one_family_on_the_same_days_are_one_run(self) -> None:
        slow = {3: {"p99_latency_ms": 800, "p50_latency_ms": 150}}
        fast = {n: {"p50_latency_ms": 100} for n in (1, 2, 4, 5, 6, 7)}
        found = degraded(before=None, ga=day(0, {"p50_latency_ms": 100}), days=days(slow | fast))
        assert len(found) == 1
        assert found[0].description == (
            "p99_latency_ms: 800 ms on day 3 against 400 ms on the GA day (100 % worse), "
            "likewise p50_latency_ms (50 % worse)"
        )

    def test_a_twin_adds_nothing(self) -> None:
        slow = {3: {"p99_latency_ms": 800, "avg_p99_latency_ms": 700}}
        fast = {n: {"avg_p99_latency_ms": 300} for n in (1, 2, 4, 5, 6, 7)}
        found = degraded(ga=day(0, {"avg_p99_latency_ms": 300}), days=days(slow | fast))
        assert "likewise" not in found[0].description

    def test_critical_alerts(self) -> None:
        found = degraded(days=days({2: {"critical_incident_count": 1}, 4: {"critical_incident_count": 3}}))[1]
        assert found.description == "3 critical alerts on day 4"
        assert (found.severity, found.resolution_status) == ("high", "resolved")

    @pytest.mark.parametrize(
        ("hourly", "severity", "status"),
        [
            ((0.0,) * 23 + (1.0,), "critical", "ongoing"),
            ((1.0,) + (0.0,) * 23, "high", "resolved"),
            ((), "critical", "ongoing"),
        ],
    )
    def test_an_alert_of_the_last_day(self, hourly: tuple[float, ...], severity: str, status: str) -> None:
        last = {"critical_incident_count": kpi("critical_incident_count", 1.0, hourly=hourly)}
        found = degraded(days=days({7: last}))[0]
        assert (found.severity, found.resolution_status) == (severity, status)

    def test_the_worst_comes_first(self) -> None:
        summaries = slo_days({2: slo(150), 5: slo(4_000)})
        assert [d.severity for d in degraded(days=summaries)] == ["critical", "medium"]


class TestDriftAnalyzer:
    def drift(self, *rows: Any, **inputs: Any) -> Any:
        found = report(regression=regression(*rows), **inputs).unexpected_drifts
        assert len(found) == 1
        return found[0]

    def test_the_figures_are_the_row_s(self) -> None:
        drift = self.drift(row("avg_cpu_percent", 45.2, 52.3))
        assert (drift.baseline_value, drift.final_value, drift.unit) == (45.2, 52.3, "%")
        assert drift.drift_percent == pytest.approx(15.7, abs=0.01)

    def test_the_week_before_decides(self) -> None:
        rows = [row("avg_cpu_percent", 40, 50, baseline="ga_day"), row("avg_cpu_percent", 45, 50)]
        assert self.drift(*rows).baseline == "week_before"

    def test_without_data_of_the_week_before_the_ga_day_does(self) -> None:
        rows = [
            row("avg_cpu_percent", 40, 50, baseline="ga_day"),
            row("avg_cpu_percent", None, 50, threshold_exceeded=False),
        ]
        assert self.drift(*rows).baseline == "ga_day"

    def test_what_the_week_before_holds_within_range_has_not_drifted(self) -> None:
        rows = [row("avg_cpu_percent", 40, 50, baseline="ga_day"), row("avg_cpu_percent", 49, 50)]
        assert report(regression=regression(*rows)).unexpected_drifts == ()

    def test_without_a_regression_summary_nothing_is_known_to_drift(self) -> None:
        assert report(regression=None).unexpected_drifts == ()

    @pytest.mark.parametrize(("after", "look"), [(115, False), (115.2, True), (84.8, True), (86, False)])
    def test_beyond_15_per_cent_it_is_worth_a_look(self, after: float, look: bool) -> None:
        assert self.drift(row("request_rate", 100, after)).investigation_needed is look

    def test_15_per_cent_themselves_are_not_beyond(self) -> None:
        assert self.drift(row("request_rate", 100, 115, change=0.15)).investigation_needed is False

    def test_of_a_share_of_good_events_the_bad_share_drifts(self) -> None:
        """95 → 94 % hits are 5 → 6 % misses: 20 % more."""
        drift = self.drift(row("avg_redis_hit_rate", 95, 94, change=0.2))
        assert drift.drift_percent == pytest.approx(20)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([50, 51, 52, 53, 54, 55, 56, 57], "increasing"),  # 7 of 53.5 on a straight line
            ([57, 56, 55, 54, 53, 52, 51, 50], "decreasing"),
            ([50, 51, 49, 50, 51, 49, 50, 50], "stable"),
            ([50, 50, 50, 50, 50, 50, 50, 51], "stable"),  # one day is no trend
            ([50, 80, 45, 85, 50, 75, 40, 60], "volatile"),
            ([0, 0, 0, 0], "stable"),
            ([50, 60, 70], "unknown"),
            ([], "unknown"),
        ],
    )
    def test_trend(self, values: list[float], expected: str) -> None:
        assert trend(dict(enumerate(values))) == expected

    def test_a_gap_in_the_days_keeps_its_width(self) -> None:
        assert trend({0: 50.0, 1: 51.0, 6: 56.0, 7: 57.0}) == "increasing"

    def test_the_daily_values_make_the_trend(self) -> None:
        ramp = days({n: {"avg_cpu_percent": 50 + 2 * n} for n in range(1, 8)})
        assert self.drift(row("avg_cpu_percent", 50, 58), days=ramp).trend == "increasing"

    def test_candidates_are_what_moved_with_it_ranked_by_size(self) -> None:
        rows = [
            row("avg_cpu_percent", 50, 58),
            row("request_rate", 100, 120),
            row("p99_latency_ms", 400, 600),
        ]
        drift = next(
            d for d in report(regression=regression(*rows)).unexpected_drifts if d.metric_name == "avg_cpu_percent"
        )
        assert drift.potential_causes == (
            "p99_latency_ms rose 50 % (400 → 600 ms) in the same week",
            "request_rate rose 20 % (100 → 120 requests/s) in the same week",
        )

    def test_at_most_three_candidates_one_per_family(self) -> None:
        rows = [
            row("avg_cpu_percent", 50, 58),
            row("request_rate", 100, 170),
            row("p99_latency_ms", 400, 600),
            row("p50_latency_ms", 100, 140),
            row("avg_memory_percent", 50, 66),
            row("throughput", 10, 12),
        ]
        drift = next(
            d for d in report(regression=regression(*rows)).unexpected_drifts if d.metric_name == "avg_cpu_percent"
        )
        assert [cause.split()[0] for cause in drift.potential_causes] == [
            "request_rate",
            "p99_latency_ms",
            "avg_memory_percent",
        ]

    @pytest.mark.parametrize(
        "other",
        [
            row("request_rate", 100, 105),  # moved too little
            row("request_rate", 100, 150, baseline="ga_day"),  # against another baseline
            row("estimated_cost_per_hour", 1, 2),  # follows from usage
        ],
    )
    def test_nothing_is_guessed(self, other: Any) -> None:
        found = report(regression=regression(row("avg_cpu_percent", 50, 58), other)).unexpected_drifts
        causes = next(d.potential_causes for d in found if d.metric_name == "avg_cpu_percent")
        assert causes == ("undetermined from this data",)

    def test_coinciding_anomalies_and_alerts_are_candidates(self) -> None:
        seen = events(
            anomaly("p99_latency_ms", 40),
            anomaly("p99_latency_ms", 38),
            anomaly("avg_cpu_percent", 38),
            anomaly("request_rate", 50, severity="low"),
            anomaly("overall_error_rate", 50, in_maintenance=True),
        )
        fired = days({2: {"critical_incident_count": 1}})
        assert self.drift(row("avg_cpu_percent", 50, 58), anomalies=seen, days=fired).potential_causes == (
            "2 high or critical anomalies of p99_latency_ms, the first at 2025-11-19T14:00:00Z",
            "critical alerts fired on day 2",
        )


class TestCostAnalyzer:
    def analysis(self, totals: list[float | None], ga: float | None = 300.0) -> Any:
        summaries = [day(n, cost=None if total is None else cost(total)) for n, total in enumerate(totals, 1)]
        return report(ga=day(0, cost=None if ga is None else cost(ga)), days=summaries).cost_analysis

    def test_totals(self) -> None:
        found = self.analysis([330, 331, 332, 336, 340, 341, 342])
        assert (found.ga_day_cost, found.seven_day_total_cost, found.daily_average_cost) == (300, 2352, 336)
        assert (found.currency, found.days_counted) == ("USD", 7)

    @pytest.mark.parametrize(
        ("totals", "expected"),
        [
            ([100, 100, 100, 900, 110, 110, 110], "increasing"),  # day 4 belongs to neither half
            ([100, 100, 100, 100, 109, 109, 109], "stable"),
            ([100, 100, 100, 100, 90, 90, 90], "decreasing"),
            ([100, None, 100, 100, 120, 120, None], "increasing"),  # two days of each half
            ([100, None, None, 100, 120, 120, 120], "unknown"),
            ([None] * 7, "unknown"),
        ],
    )
    def test_trend_of_the_halves(self, totals: list[float | None], expected: str) -> None:
        assert self.analysis(totals).cost_trend == expected

    def test_without_cost_there_is_no_advice_and_the_reason_is_named(self) -> None:
        priced = kpi(
            "estimated_cost_per_hour", None, coverage=0.0, note="no data, because the release file has no `prices:`"
        )
        found = report(ga=day(0, {"estimated_cost_per_hour": priced})).cost_analysis
        assert (found.ga_day_cost, found.seven_day_total_cost, found.cost_optimization_recommendations) == (
            None,
            None,
            (),
        )
        assert found.note == "No cost: no data, because the release file has no `prices:`."

    def test_the_breakdown_adds_up_to_the_daily_average(self) -> None:
        parts = cost(10.0, compute=6.0, storage=3.0, network=1.0)
        found = report(ga=day(0, cost=parts), days=days(cost=parts)).cost_analysis
        assert found.cost_breakdown == {"compute": 6.0, "storage": 3.0, "network": 1.0, "other": None}
        assert found.cost_optimization_recommendations == (
            "Look at compute first: it is 60 % of the daily cost (6 USD of 10 USD)",
        )

    def test_what_grew_is_named(self) -> None:
        grown = [day(n, cost=cost(8.0 + n / 10, compute=6.0, network=1.0 if n < 4 else 1.5)) for n in range(1, 8)]
        found = report(ga=day(0, cost=cost(8.0)), days=grown).cost_analysis
        assert "Find out why network rose 50 % from days 1–3 to days 5–7 (1 → 1.5 USD a day)" in (
            found.cost_optimization_recommendations
        )

    def test_a_million_requests_against_the_week_before(self) -> None:
        """100 requests/s are 8.64 million a day: 8.64 USD a day are 1 USD per million, 10.8 USD are 1.25."""
        found = report(before=before(cost=cost(8.64)), days=days(cost=cost(10.8))).cost_analysis
        assert found.cost_optimization_recommendations == (
            "Find out why a day costs 25 % more than a day of the week before GA (8.64 → 10.8 USD)",
            "Find out why a million requests cost 25 % more than in the week before GA (1 → 1.25 USD)",
        )

    def test_older_files_have_a_cost_per_hour(self) -> None:
        found = report(ga=legacy(0), days=[legacy(n) for n in range(1, 8)], before=None).cost_analysis
        assert (found.ga_day_cost, found.seven_day_total_cost) == (300, 2100)  # 12.5 an hour
        assert found.cost_breakdown == dict.fromkeys(["compute", "storage", "network", "other"])
        assert found.currency is None


class TestCommand:
    def test_the_documents_command(self, tmp_path: Path) -> None:
        (tmp_path / "ga").mkdir()
        (tmp_path / "days").mkdir()
        (tmp_path / "ga/ga_kpi_summary.json").write_text(day(0).model_dump_json(), encoding="utf-8")
        for summary in days():
            (tmp_path / f"days/day_0{summary.day_number}_summary.json").write_text(
                summary.model_dump_json(), encoding="utf-8"
            )
        generate_retrospective(
            ga_data=tmp_path / "ga", seven_day_data=tmp_path / "days", output=tmp_path / "out/report.md"
        )
        assert json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))["service"] == "checkout"
        assert (tmp_path / "out/report.md").read_text(encoding="utf-8").startswith("# ")
