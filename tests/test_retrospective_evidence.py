"""What the report says of data that is thinner than it looks: gaps, lower bounds, changed buckets, stale files."""

from datetime import timedelta
from typing import Any

import pytest

from observability.artifacts import KpiSummary
from observability.model import Window
from observability.report import KeyMetric, Retrospective
from observability.verdicts import HealthReport, Regression
from retrospective.render import to_markdown
from tests.weeks import (
    DAY,
    GA,
    WEEK,
    anomaly,
    before,
    burn_down,
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

P99, ERRORS = "p99_latency_ms", "overall_error_rate"


def told(found: Retrospective, start: str) -> list[str]:
    return [text for text in found.not_assessed if text.startswith(start)]


def succeeded(found: Retrospective, metric: str) -> list[str]:
    return [success.description for success in found.successes if success.metric_name == metric]


def metric(found: Retrospective, name: str) -> KeyMetric:
    return next(metric for metric in found.key_metrics if metric.metric_name == name)


class TestZeroBaseline:
    def test_a_gauge_from_0_is_watched_and_condemns_nothing(self) -> None:
        from_zero = row("avg_memory_percent", 0, 0.0007, real=None, obstacle="a baseline of 0 does not say how much")
        found = report(regression=regression(from_zero))
        assert (found.overall_status, found.advice) == ("STABLE", "watch")
        assert "avg_memory_percent went from 0 % to 0.0007 % against the week before GA" in found.why
        assert ": a baseline of 0 does not say how much" in found.why


class TestBelowTheFloor:
    moved = row(ERRORS, 0.0012, 0.0904, below_floor=0.1, threshold_exceeded=False, verdict="pass")

    def found(self) -> Retrospective:
        # The list that the judge puts it in: below the floor is within range.
        summary = regression(row(P99, 400, 400))
        others = [one for one in summary.within_range if (one.metric_name, one.baseline) != (ERRORS, "week_before")]
        return report(regression=summary.model_copy(update={"within_range": (self.moved, *others)}))

    def test_it_is_told_and_decides_nothing(self) -> None:
        found = self.found()
        assert found.overall_status == "EXCELLENT"
        assert "no KPI of 4 changed by more than 10 %" in found.why
        assert "overall_error_rate 0.0012 → 0.0904 %, below the floor of 0.1 percentage points" in found.why

    def test_it_did_not_hold(self) -> None:
        assert not any("held" in text for text in succeeded(self.found(), ERRORS))

    def test_it_stands_among_the_changes_with_its_true_size(self) -> None:
        assert "| 0.0012 → 0.0904 % | +7,433.3 % | below 0.1 points |" in to_markdown(self.found())

    def test_without_a_week_before_it_did_not_hold_either(self) -> None:
        rise = days({n: {ERRORS: 0.09} for n in WEEK})
        found = report(before=None, regression=None, ga=day(0, {ERRORS: 0.0012}), days=rise)
        assert not any("held" in text for text in succeeded(found, ERRORS))

    @pytest.mark.parametrize(("budget", "degraded"), [(0.1, 1), (1.0, 0)])
    def test_an_objective_that_allows_little_lowers_it(self, budget: float, degraded: int) -> None:
        """0.06 points are more than half of 0.1 %, and less than the general floor."""
        fields = {"slos": [slo(20, kpi=ERRORS, target=budget, budget=budget)]}
        found = report(ga=day(0, **fields), days=days({3: {ERRORS: 0.08}}, **fields))
        assert len(found.degradations) == degraded


class TestDirection:
    """The medians of the days went 400 → 385 ms, the paired days rose by 12 %."""

    rising = row(P99, 400, 385, change=0.12, drift_percent=-3.75, real=True, verdict="fail")

    def test_the_change_decides_which_way_it_went(self) -> None:
        found = report(regression=regression(self.rising))
        assert found.overall_status == "NEEDS ATTENTION"
        assert "p99_latency_ms rose 12 % from day to paired day against the week before GA" in found.why
        assert not any("for the better" in text for text in succeeded(found, P99))

    def test_figures_that_go_the_other_way_are_not_shown_beside_it(self) -> None:
        text = to_markdown(report(regression=regression(self.rising)))
        assert "400 → 385 ms" not in text
        assert text.count("| by paired days only | +12.0 % |") == 2  # among the changes, and the drifts

    def test_a_better_share_of_good_events_is_not_worse(self) -> None:
        hits = row("avg_redis_hit_rate", 90, 94, change=-0.4, real=True, verdict="pass")
        found = report(regression=regression(hits))
        assert found.overall_status == "EXCELLENT"
        assert "its share of bad events fell 40 %" in succeeded(found, "avg_redis_hit_rate")[0]


class TestRollback:
    def test_a_quiet_last_day_does_not_drop_the_advice(self) -> None:
        """Day 7 is a Sunday: far below the week's median, and 40 % above the Sunday before."""
        slow = days({n: {P99: 250 if n == 7 else 560} for n in WEEK})
        found = report(regression=regression(row(P99, 400, 560, real=True, persists=True), back=True), days=slow)
        assert (found.overall_status, found.advice) == ("CRITICAL", "roll back")

    def test_what_has_passed_by_its_row_is_not_rolled_back(self) -> None:
        rows = [row(P99, 400, 560, real=True, persists=False)]
        assert report(regression=regression(*rows, back=True)).advice == "fix now"


def hourly(dark: int) -> tuple[float | None, ...]:
    return (1.0,) * (24 - dark) + (None,) * dark


def dying(**dark: int) -> Retrospective:
    """KPI → hours without data at the end of day 7."""
    last = {
        name: kpi(name, 400.0 if name == P99 else 50.0, hourly=hourly(hours), coverage=1 - hours / 24)
        for name, hours in dark.items()
    }
    return report(days=days({7: last}))


OWN = ("overall_availability", ERRORS, "request_rate", P99, "avg_cpu_percent")


class TestTheEndOfTheWindow:
    def test_a_kpi_that_ended_is_watched(self) -> None:
        found = dying(avg_cpu_percent=3)
        assert (found.overall_status, found.advice) == ("STABLE", "watch")
        assert "at the end of day 7 there was no data of avg_cpu_percent, since 21:00 UTC on 2025-11-25" in found.why

    def test_a_service_that_ended_needs_attention(self) -> None:
        found = dying(**dict.fromkeys(OWN, 2))
        assert (found.overall_status, found.advice) == ("NEEDS ATTENTION", "not assessable")
        assert "nothing of the service was seen at the end of day 7, since 22:00 UTC on 2025-11-25" in found.why

    def test_no_traffic_is_not_no_data(self) -> None:
        """A quantile without requests has no value, and its histogram was seen."""
        idle = {
            P99: kpi(P99, 400, hourly=hourly(6), coverage=1.0),
            ERRORS: kpi(ERRORS, 0.02, hourly=hourly(6), coverage=0.9),
            "request_rate": kpi("request_rate", 100, hourly=(1.0,) * 18 + (0.0,) * 6),
        }
        assert report(days=days({7: idle})).overall_status == "EXCELLENT"

    def test_a_ratio_whose_events_were_counted_throughout_did_not_end(self) -> None:
        idle = {"avg_redis_hit_rate": kpi("avg_redis_hit_rate", 93, hourly=hourly(6), coverage=0.99)}
        assert report(days=days({7: idle})).overall_status == "EXCELLENT"


class TestLowerBounds:
    def found(self) -> Retrospective:
        cut = {P99: kpi(P99, 2500, at_least=True)}
        bound = {"baseline_at_least": True, "current_at_least": True, "real": None}
        rows = [
            row(P99, 2500, 2500, baseline=name, obstacle="it lies beyond the last bucket bound", **bound)
            for name in ("week_before", "ga_day")
        ]
        return report(ga=day(0, cut), days=days(dict.fromkeys(WEEK, cut)), regression=regression(*rows))

    def test_they_are_shown_as_such(self) -> None:
        text = to_markdown(self.found())
        assert "| `p99_latency_ms` | 400 ms | ≥ 2,500 ms | ≥ 2,500 ms | ≥ 2,500 ms |" in text

    def test_they_did_not_hold_and_are_not_assessed(self) -> None:
        found = self.found()
        assert succeeded(found, P99) == []
        assert told(found, P99) == [
            "p99_latency_ms on the GA day and days 1–7: beyond the last bucket bound, ≥ 2,500 ms."
        ]
        assert found.overall_status == "STABLE"

    @pytest.mark.parametrize("first", [kpi(P99, 2500, at_least=True), kpi(P99, 2400)])
    def test_without_a_week_before_they_did_not_hold_either(self, first: KpiSummary) -> None:
        cut = {P99: kpi(P99, 2500, at_least=True)}
        found = report(ga=day(0, {P99: first}), days=days(dict.fromkeys(WEEK, cut)), before=None, regression=None)
        assert succeeded(found, P99) == []

    def test_a_change_to_one_is_at_least_so_large(self) -> None:
        found = report(regression=regression(row(P99, 400, 2500, real=True, current_at_least=True)))
        assert "p99_latency_ms rose at least 525 % (400 → ≥ 2,500 ms)" in found.why


class TestChangedBuckets:
    def test_a_day_with_other_buckets_is_not_called_degraded(self) -> None:
        first = {P99: kpi(P99, 400, buckets={"0.5": 1, "+Inf": 1})}
        for bounds, number in (({"0.5": 1, "+Inf": 1}, 1), ({"1.0": 1, "+Inf": 1}, 0)):
            later = days({3: {P99: kpi(P99, 800, buckets=bounds)}})
            assert len(report(before=None, ga=day(0, first), days=later).degradations) == number

    def test_what_kept_a_change_from_being_judged_is_said(self) -> None:
        found = report(regression=regression(row(P99, 400, 900, real=None, obstacle="the histogram's buckets changed")))
        assert found.advice == "not assessable"
        assert "large, and not tested: the histogram's buckets changed" in found.why


class TestSourceWarnings:
    def test_a_day_that_the_source_warned_of_is_no_full_day(self) -> None:
        text = "http_requests: partial response"
        warned = [day(n, warnings=(text,), source_warnings=(text,)) if n in {2, 3} else day(n) for n in WEEK]
        found = report(days=warned)
        assert (found.overall_status, found.advice) == ("STABLE", "watch")
        assert "the source warned on days 2–3, so its answers may not be whole: http_requests: partial" in found.why
        assert told(found, "http_requests: partial") == ["http_requests: partial response (a warning on days 2–3)."]


class TestNoErrorEver:
    def found(self, **fields: Any) -> Retrospective:
        clean = {ERRORS: 0.0, "overall_availability": 100.0}
        ga = day(0, clean, queries={"http_errors": 'errors{code=~"5.."}', "cpu": "x"})
        past = before(kpis={name: kpi(name, value) for name, value in clean.items()})
        return report(**{"ga": ga, "days": days(dict.fromkeys(WEEK, clean)), "before": past, **fields})

    def test_it_is_said_and_costs_nothing(self) -> None:
        found = self.found()
        assert found.overall_status == "EXCELLENT"
        (text,) = told(found, ERRORS)
        assert text.startswith("overall_error_rate: not one error was seen on 15 days, so a wrong label in the query")
        assert text.endswith('(check `http_errors`: `errors{code=~"5.."}`).')

    def test_one_error_shows_that_the_label_is_right(self) -> None:
        assert told(self.found(before=before()), ERRORS) == []


EMPTY = {name: kpi(name, None, coverage=0.0) for name in OWN}


class TestDaysWithoutData:
    def test_a_summary_of_nothing_is_no_complete_day(self) -> None:
        found = report(days=days({4: EMPTY}))
        assert found.days_present == (1, 2, 3, 5, 6, 7)
        assert found.why.startswith("No verdict on v1.0.1: 6 complete daily summaries of 7 (day 4 missing, partial or")
        assert told(found, "Day 4") == ["Day 4: the summary holds no data of the service."]

    def test_what_the_cluster_shows_is_not_the_service(self) -> None:
        alone = EMPTY | {"cluster": kpi("avg_cpu_percent", 30.0, category="cluster")}
        assert 4 not in report(days=days({4: alone})).days_present

    def test_missing_days_come_first_among_reasons_of_their_weight(self) -> None:
        """A real regression on one day of seven is no ground to keep the release."""
        found = report(days=days()[:1], regression=regression(row(P99, 400, 480, real=True)))
        assert (found.overall_status, found.advice) == ("NEEDS ATTENTION", "not assessable")
        assert found.why.startswith("No verdict on v1.0.1: 1 complete daily summary of 7")

    def test_a_kept_budget_says_of_how_many_days(self) -> None:
        compliance = [{"day": n, "value": 99.98, "compliant": True, "budget_consumed": 1} for n in range(2)]
        found = report(days=days()[:1], slos=[burn_down(20, 100_000, compliance_by_day=compliance)])
        assert "the one objective within the error budget over 2 days of 8 (closest" in found.why

    def test_a_kpi_that_was_never_seen_is_watched(self) -> None:
        never = {"avg_memory_percent": kpi("avg_memory_percent", None, coverage=0.0)}
        found = report(ga=day(0, never), days=days(dict.fromkeys(WEEK, never)))
        assert (found.overall_status, found.advice) == ("STABLE", "watch")
        assert "avg_memory_percent had no data on any day" in found.why

    def test_cost_without_prices_and_ratios_without_traffic_are_not_missing(self) -> None:
        values = {
            "estimated_cost_per_hour": kpi("estimated_cost_per_hour", None, coverage=0.0),
            "avg_redis_hit_rate": kpi("avg_redis_hit_rate", None, coverage=1.0),
        }
        found = report(ga=day(0, values), days=days(dict.fromkeys(WEEK, values)))
        assert found.overall_status == "EXCELLENT"


class TestPartialFiles:
    def test_anomalies_that_end_before_the_week_say_so(self) -> None:
        for scored, text in (
            (6, ["Anomalies were scored up to 2025-11-24T00:00:00Z; what came after it is not known."]),
            (8, []),
        ):
            found = report(anomalies=events(window=Window(start=GA, end=GA + scored * DAY)))
            assert told(found, "Anomalies were") == text

    def test_health_of_a_part_of_a_day_is_left_out(self) -> None:
        end = day(2).timestamp
        reports = [
            HealthReport(timestamp=at, day_number=2, health_score=97, status="healthy", coverage=1)
            for at in (end, end - timedelta(hours=9))
        ]
        assert report(health=reports[:1]).health_by_day == {"2": 97}
        found = report(health=reports[1:])
        assert found.health_by_day == {}
        assert told(found, "Health scores of day 2") != []


class TestPace:
    def burned(self, bad_before: float, bad: float = 1_600, **fields: Any) -> str:
        past = before(slos=[slo(bad_before).model_copy(update=fields)])
        return report(slos=[burn_down(bad, 800_000)], before=past).why

    def test_a_burn_that_was_there_before_predates_the_release(self) -> None:
        assert "as it lasts (the same in the week before GA, 1.9 times: it predates the release)" in self.burned(190)
        assert "as it lasts (1.5 times in the week before GA)" in self.burned(150)

    def test_a_pace_that_the_budget_bears_predates_nothing(self) -> None:
        """1.05 times is ahead of the budget, and 0.98 times was not."""
        assert "as it lasts (0.98 times in the week before GA)" in self.burned(98, bad=840)

    def test_crumbs_of_days_are_no_pace(self) -> None:
        assert "in the week before GA" not in self.burned(190, coverage=0.3)
        assert "in the week before GA" in self.burned(190, coverage=0.5)


class TestKeyMetrics:
    def test_the_heading_says_what_was_done(self) -> None:
        flat = report(ga=legacy(0), days=[legacy(n) for n in WEEK], before=None, regression=None, slos=())
        heading = next(line for line in to_markdown(flat).splitlines() if line.startswith("**Key metrics**"))
        assert "from their counts" not in heading
        assert heading.endswith("else the median day)")
        assert {one.folded for one in flat.key_metrics} == {"days", "median"}

    def test_older_files_count_days_with_an_alert(self) -> None:
        fired = report(days=[legacy(n, critical_incident_count=3) for n in WEEK], ga=legacy(0))
        assert metric(fired, "critical_incident_count").week == 7


class TestForTheBetter:
    def test_a_move_the_good_way_is_not_severe(self) -> None:
        fell = anomaly(severity="critical", direction="down")
        found = report(anomalies=events(fell, anomaly(severity="low", direction="up")))
        assert found.recommendations_v1_0_2 == ()
        assert [one.severity for one in found.anomalies] == ["low", "critical"]
        text = to_markdown(found)
        assert "2 anomalies (1 low, 1 for the better):" in text
        assert "| critical |" not in text


class TestWording:
    def test_both_objectives(self) -> None:
        slos = [burn_down(160, 800_000), burn_down(100, 900_000, slo_name="Other")]
        assert "both objectives within the error budget" in report(slos=slos).why

    def test_no_exponents(self) -> None:
        found = report(days=slo_days({2: slo(80_000)}), slos=[burn_down(80_160, 800_000)])
        assert "2,667 % of a 30-day error budget" in found.degradations[0].impact
        assert "100 times as fast as it lasts" in found.why
        assert "e+0" not in to_markdown(found)

    def test_sums_are_exact_on_every_python(self) -> None:
        """Eight times 0.1 is 0.7999999999999999 in Python 3.11, and 0.8 in 3.12."""
        assert report(ga=day(0, coverage=0.1), days=days(coverage=0.1)).coverage == 0.1

    def test_rows_of_older_tools_are_read(self) -> None:
        one = {"severity": "high", "category": "performance", "impact": "", "threshold_exceeded": True}
        found = Regression(metric_name=P99, baseline_value=400, current_value=600, drift_percent=50, **one)
        assert (found.of_bad_share, found.below_floor, found.obstacle) == (False, None, None)
        assert KpiSummary.model_fields["started"].default is None
