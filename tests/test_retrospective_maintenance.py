"""What the retrospective makes of maintenance: windows, both figures, days that are not judged."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from observability.artifacts import DaySummary, MaintenanceWindow
from observability.report import BothFigures
from retrospective.degradations import still_firing
from retrospective.maintenance import both_figures
from retrospective.record import week_of
from retrospective.render import to_markdown
from tests.weeks import GA, before, burn_down, day, days, events, kpi, report, slo
from tests.weeks import anomaly as anomaly_of

HOUR = timedelta(hours=1)


def maintained(
    number: int, hours: float, start: float = 2, reason: str = "database upgrade", **fields: Any
) -> DaySummary:
    """Day ``number`` with so many hours of maintenance, from hour ``start`` on."""
    begin = GA + timedelta(days=number) + start * HOUR
    window = MaintenanceWindow(start=begin, end=begin + hours * HOUR, reason=reason, seconds=hours * 3600)
    return day(number, **{"maintenance": (window,), "maintenance_seconds": hours * 3600, **fields})


def unjudged(number: int) -> DaySummary:
    """A day that is maintenance throughout."""
    found = maintained(number, 24, 0, coverage=None, slos=(slo(None, None),))
    kpis = {
        name: one.model_copy(update={"value": None, "coverage": 0.0, "with_maintenance": one.value})
        for name, one in found.kpis.items()
    }
    return found.model_copy(update={"kpis": kpis})


def week(given: Mapping[int, DaySummary]) -> list[DaySummary]:
    return [given.get(one.day_number, one) for one in days()]


def test_each_window_is_named_with_what_it_leaves_out() -> None:
    crossing = MaintenanceWindow(start=GA + 46 * HOUR, end=GA + 50 * HOUR, reason="a | b", seconds=7200)
    one = day(1, maintenance=(crossing,), maintenance_seconds=7200)
    two = day(2, maintenance=(crossing,), maintenance_seconds=7200)
    past = before().model_copy(
        update={"days": tuple(maintained(n, 1, reason="") if n == -3 else day(n) for n in range(-7, 0))}
    )
    found = report(days=week({1: one, 2: two}), before=past)
    assert [(window.days, window.minutes) for window in found.maintenance] == [((-3,), 60), ((1, 2), 240)]
    text = to_markdown(found)
    assert "- 2 maintenance windows left out of the verdicts\n" in text
    assert "| 2025-11-15 02:00 UTC to 2025-11-15 03:00 UTC | not stated | the week before GA | 60 |\n" in text
    assert "| 2025-11-19 22:00 UTC to 2025-11-20 02:00 UTC | a \\| b | days 1–2 | 240 |\n" in text
    assert any(line.startswith("Maintenance: ") for line in found.method)


def test_the_minutes_are_those_of_the_steps_that_a_window_leaves_out() -> None:
    """Two milliseconds over midnight take a step of each day, and with what comes late one of them two."""
    start, end = GA + 48 * HOUR - timedelta(milliseconds=1), GA + 48 * HOUR + timedelta(milliseconds=1)
    one, two = (MaintenanceWindow(start=start, end=end, reason="x", seconds=seconds) for seconds in (60, 120))
    given = {
        1: day(1, maintenance=(one,), maintenance_seconds=60),
        2: day(2, maintenance=(two,), maintenance_seconds=120),
    }
    found = report(days=week(given))
    assert [(window.days, window.minutes) for window in found.maintenance] == [((1, 2), 3)]
    assert "| days 1–2 | 3 |\n" in to_markdown(found)
    short = one.model_copy(update={"seconds": 15})
    given = {1: day(1, maintenance=(short,), maintenance_seconds=15)}
    assert "| day 1 | 0.25 |\n" in to_markdown(report(days=week(given)))


def test_both_figures_stand_where_they_differ_by_a_drift() -> None:
    given = {
        "overall_error_rate": kpi("overall_error_rate", 0.02, with_maintenance=0.5),
        "p99_latency_ms": kpi("p99_latency_ms", 400.0, with_maintenance=439.0),
        "avg_cpu_percent": kpi("avg_cpu_percent", 50.0, with_maintenance=56.0),
        "critical_incident_count": kpi("critical_incident_count", 0.0, with_maintenance=1.0),
    }
    found = report(days=week({3: maintained(3, 1).model_copy(update={"kpis": {**day(3).kpis, **given}})}))
    assert [(both.metric_name, both.value, both.with_maintenance) for both in found.both_figures] == [
        ("overall_error_rate", 0.02, 0.5),
        ("avg_cpu_percent", 50.0, 56.0),
        ("critical_incident_count", 0.0, 1.0),
    ]
    assert "| `overall_error_rate` | day 3 | 0.02 % | 0.5 % |\n" in to_markdown(found)
    assert found.overall_status == "EXCELLENT"


def test_a_week_without_maintenance_says_nothing_of_it() -> None:
    found = report()
    assert (found.maintenance, found.both_figures) == ((), ())
    assert "aintenance" not in to_markdown(found)


def test_a_day_that_is_maintenance_throughout_is_neither_missing_nor_fine() -> None:
    found = report(days=week({3: unjudged(3)}))
    assert (found.overall_status, found.advice) == ("STABLE", "watch")
    assert "nothing of day 3 was judged, because all of it is maintenance" in found.why
    assert found.coverage == 1.0
    assert found.days_present == (1, 2, 4, 5, 6, 7)
    assert [text for text in found.not_assessed if "aintenance" in text] == [
        "Day 3: all of it is maintenance, so nothing of it was judged."
    ]
    assert not any("less than half" in text for text in found.not_assessed)
    assert all(metric.coverage == 1.0 for metric in found.key_metrics)
    assert found.process_improvements == report().process_improvements
    held = {success.metric_name: success.description for success in found.successes}
    assert held["critical_incident_count"].endswith("assessed days; not assessed: day 3")
    assert held["overall_availability"].endswith("assessed days; not assessed: day 3")
    told = {both.metric_name: both for both in found.both_figures}
    assert told["p99_latency_ms"] == BothFigures(
        metric_name="p99_latency_ms", day_number=3, unit="ms", value=None, with_maintenance=400.0
    )
    assert "| `p99_latency_ms` | day 3 | no data | 400 ms |\n" in to_markdown(found)


def test_days_weigh_by_what_is_left_of_them() -> None:
    """Seven whole days, all seen, and six hours of the eighth, half seen: (7 + 0.25 · 0.5) / 7.25."""
    found = report(days=week({3: maintained(3, 18, coverage=0.5)}))
    assert found.coverage == pytest.approx((7 + 0.25 * 0.5) / 7.25)
    assert report(ga=unjudged(0), days=[one for one in days() if one.day_number != 2]).coverage == pytest.approx(6 / 7)


def test_a_day_of_other_hours_is_not_called_degraded() -> None:
    """Without its night a day uses more CPU on the mean; its latency is of the requests, and compares."""
    worse = {"avg_cpu_percent": 70.0, "p99_latency_ms": 600.0}
    for hours, names in ((1, {"avg_cpu_percent", "p99_latency_ms"}), (4, {"p99_latency_ms"}), (13, set())):
        found = report(days=week({3: maintained(3, hours, values=worse)})).degradations
        assert {item.metric_name for item in found} == names


def test_the_end_of_a_week_in_maintenance_is_not_a_dead_service() -> None:
    hourly = (1.0,) * 22 + (None,) * 2
    dark = {name: one.model_copy(update={"hourly": hourly, "coverage": 0.9}) for name, one in day(7).kpis.items()}
    assert "nothing of the service was seen at the end" in report(days=week({7: day(7, dark)})).why
    found = report(days=week({7: maintained(7, 2, 22, values=dark)}))
    assert "at the end of day 7" not in found.why


def test_an_alert_before_the_last_maintenance_does_not_still_fire() -> None:
    fired = kpi("critical_incident_count", 1.0, started=1.0, hourly=(0.0,) * 20 + (1.0, 0.0, None, None))
    for last, firing in (
        (maintained(7, 2, 22, values={"critical_incident_count": fired}), False),
        (day(7, {"critical_incident_count": fired}), True),
    ):
        assert still_firing(week_of(day(0), week({7: last}), None, None, None, (), ())) is firing


def test_anomalies_in_maintenance_come_last_and_are_counted_apart() -> None:
    inside, outside = anomaly_of(severity="critical", in_maintenance=True), anomaly_of(severity="low", hours=70)
    found = report(anomalies=events(inside, outside))
    assert [event.severity for event in found.anomalies] == ["low", "critical"]
    assert "2 anomalies (1 low, 1 in maintenance):" in to_markdown(found)


def test_the_events_of_an_objective_with_maintenance_stand_beside() -> None:
    why = "Bad events in 8 days: 160 of 800,000; the objective allows 800.0. With maintenance: 900 of 810,000."
    found = report(slos=[burn_down(160, 800_000, why=why, bad_with_maintenance=900, total_with_maintenance=810_000)])
    assert found.slo_burn_downs[0].bad_with_maintenance == 900
    assert f"- Availability: {why}\n" in to_markdown(found)


def test_a_kpi_without_a_figure_on_a_day_has_no_two() -> None:
    assert both_figures(week_of(day(0), [maintained(1, 2)], None, None, None, (), ()), ["p99_latency_ms", "x"]) == ()
