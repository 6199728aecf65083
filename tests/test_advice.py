"""What to do with the release: the rules one by one, what speaks for and against, and what waiting costs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts import DaySummary, KpiSummary, PreReleaseSummary, SloDay
from observability.definitions import Direction
from observability.judgement.advice import advise, recommend
from observability.judgement.slo import burn_downs
from observability.model import Window
from observability.verdicts import Advice, Regression

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY = timedelta(days=1)
LOWER, HIGHER, BOTH = Direction.LOWER_IS_BETTER, Direction.HIGHER_IS_BETTER, Direction.TWO_SIDED


def row(name="p99_latency_ms", change=0.34, baseline="week_before", **fields):
    """By default a real, severe and lasting rise; a change of at most 10 % passes."""
    before = 400.0
    fails = change is not None and change > 0.1
    return Regression(
        **{
            "metric_name": name,
            "severity": "high",
            "category": "latency",
            "impact": "slower",
            "baseline_value": before,
            "current_value": None if change is None else before * (1 + change),
            "drift_percent": None,
            "threshold_exceeded": change is not None and change > 0.3,
            "baseline": baseline,
            "role": {"week_before": "decides", "ga_day": "confirms"}.get(baseline, "informs"),
            "unit": "ms",
            "direction": LOWER,
            "real": fails,
            "change": change,
            "persists": fails,
            "verdict": "fail" if fails else "pass",
            **fields,
        }
    )


def slo(burn, total=1_000_000.0, coverage=1.0, name="Availability"):
    """One day of an objective of 99.9 %, of which ``burn`` times the budget was spent; None: no data."""
    bad = None if burn is None else burn * total / 1000
    return SloDay(
        slo_name=name,
        kpi="overall_availability",
        target=99.9,
        budget=0.1,
        unit="%",
        counts_bad=False,
        bad=bad,
        total=None if burn is None else total,
        value=None,
        compliant=None if burn is None else burn <= 1,
        coverage=coverage,
    )


def day(number, *slos, length=DAY, alerts=None, **fields):
    start = GA + number * length
    kpis = {}
    if alerts is not None:
        common = {"unit": "incidents", "direction": LOWER, "category": "incidents", "kind": "incidents"}
        kpis["critical_incident_count"] = KpiSummary(value=alerts, coverage=1.0, **common)
    window = Window(start=start, end=start + length)
    return DaySummary(timestamp=start, day_number=number, window=window, slos=slos, kpis=kpis, **fields)


def days(burns, length=DAY):
    """The GA day and the days after it, one burn rate or objective each."""
    found = [one if isinstance(one, SloDay) else slo(one) for one in burns]
    return [day(number, one, length=length) for number, one in enumerate(found)]


def past(*burns):
    return PreReleaseSummary(days=tuple(day(n, slo(b)) for n, b in zip(range(-7, 0), burns, strict=False)))


QUIET = days([0.1] * 8)


def advised(*rows, week=QUIET, before=None):
    first, *after = week
    return advise(rows or (row(change=0.0),), burn_downs(week), first, after, before)


# Rows.


@pytest.mark.parametrize(
    ("rows", "action"),
    [
        pytest.param([row()], "roll back", id="real, severe, lasting"),
        pytest.param([row(change=0.0)], "keep", id="nothing moved"),
        pytest.param([row(change=-0.6)], "keep", id="for the better"),
        pytest.param([row(change=0.29)], "fix forward", id="real, not severe"),
        pytest.param([row(persists=False)], "fix forward", id="gone on one of the last two days"),
        pytest.param([row(persists=None)], "fix forward", id="nobody knows whether it lasts"),
        pytest.param([row(persists=False, ended=GA + 5 * DAY)], "fix forward", id="it ended"),
        pytest.param([row(ended=GA + 5 * DAY)], "roll back", id="an end that each of the last two days belies"),
        pytest.param([row(real=False, verdict="pass")], "keep", id="large, not significant"),
        pytest.param(
            [row(real=False, verdict="inconclusive"), row("other", 0.0)], "keep", id="large, could not be told"
        ),
        pytest.param([row(real=False, verdict="inconclusive")], "not assessable", id="nothing could be told"),
        pytest.param([row(change=0.0, direction=BOTH)], "not assessable", id="only what cannot get worse was judged"),
        pytest.param(
            [row(verdict="inconclusive", onset=GA - DAY), row("other", 0.0)], "watch", id="real, began before GA"
        ),
        pytest.param([row(onset=GA - DAY)], "watch", id="a severe one that began before GA is no release's"),
        pytest.param(
            [row(change=-0.6, real=True, verdict="inconclusive", onset=GA - DAY), row("other", 0.0)],
            "keep",
            id="better since before GA",
        ),
        pytest.param([row(change=0.09, real=True, verdict="pass")], "keep", id="significant, small"),
        pytest.param(
            [row(real=None, verdict="inconclusive", obstacle="at 2 times the traffic"), row("other", 0.0)],
            "watch",
            id="inconclusive on load, and something else was tested",
        ),
        pytest.param([row(real=None, verdict="inconclusive")], "not assessable", id="nothing was tested"),
        pytest.param([row(change=None, real=None, verdict="no data")], "not assessable", id="no data"),
        pytest.param(
            [row("cpu", None, real=None, verdict="no data", category="resources"), row("other", 0.0)],
            "keep",
            id="no data of one KPI",
        ),
        pytest.param(
            [row(change=None, real=None, verdict="no data", baseline_value=None), row("other", 0.0)],
            "keep",
            id="no data, as before GA",
        ),
        pytest.param(
            [row(change=None, real=None, verdict="no data"), row("other", 0.0)], "watch", id="the latency went missing"
        ),
        pytest.param([row(direction=BOTH, verdict="inconclusive"), row("o", 0.0)], "watch", id="a two-sided KPI"),
        pytest.param([row(direction=BOTH, real=None, verdict="inconclusive"), row("o", 0.0)], "keep", id="untested"),
        pytest.param([row(below_floor=0.1, real=False, verdict="pass")], "keep", id="below the floor"),
        pytest.param([row(baseline="ga_day")], "not assessable", id="no week before GA, so nothing decides"),
        pytest.param([row(change=0.0), row(baseline="ga_day")], "watch", id="the GA day alone says so"),
        pytest.param([row(change=0.0), row(baseline="v1.0.0")], "keep", id="a named baseline informs"),
        pytest.param([row(change=0.0), row(baseline="previous_day")], "keep", id="the day before informs"),
        pytest.param([row(role=None)], "roll back", id="older rows do not say their role"),
        pytest.param([row(role=None, baseline="ga_day"), row(change=0.0)], "watch", id="nor that of the GA day"),
        pytest.param([row(change=None, real=True, threshold_exceeded=True, verdict="fail", persists=True)], "roll back",
                     id="errors where there were none"),
    ],
)  # fmt: skip
def test_the_action(rows, action):
    assert advised(*rows).action == action


@pytest.mark.parametrize(
    ("other", "action"),
    [
        pytest.param(row(change=0.06, baseline="pre_release_median"), "fix forward", id="the median says no"),
        pytest.param(row(change=-0.5, baseline="pre_release_median"), "fix forward", id="the other way"),
        pytest.param(row(change=0.12, baseline="pre_release_median"), "roll back", id="less, but worse"),
        pytest.param(
            row(change=0.06, real=None, verdict="inconclusive", baseline="pre_release_median"), "roll back", id="unsure"
        ),
        pytest.param(
            row(change=None, real=None, verdict="no data", baseline="pre_release_median"), "roll back", id="missing"
        ),
        pytest.param(row(change=0.0, baseline="ga_day"), "roll back", id="the GA day never vetoes"),
        pytest.param(row(change=0.0, baseline="good_day"), "roll back", id="others inform"),
        pytest.param(row("p50_latency_ms", 0.0, "pre_release_median"), "roll back", id="of another KPI"),
    ],
)  # fmt: skip
def test_only_the_pre_release_median_contradicts(other, action):
    assert advised(row(), other).action == action


def test_a_rollback_says_what_speaks_for_it_and_against_it():
    found = advised(
        row(
            interval=(0.22, 0.47),
            p_adjusted=0.00004,
            n=168,
            n_effective=41.4,
            onset=GA + timedelta(hours=3),
            coverage=0.9,
            basis="at like load",
        ),
        row(baseline="ga_day", change=0.31),
        row(baseline="v1.0.0", change=0.02),
        row("p50_latency_ms", 0.31),
    )
    assert found.action == "roll back"
    (reason,) = found.reasons
    assert reason == (
        "p99_latency_ms +34.0 % (400 → 536 ms) against the week before GA, by weekday, "
        "likewise p50_latency_ms +31.0 %, real and severe."
    )
    assert found.evidence_for[0] == (
        "p99_latency_ms +34.0 % (400 → 536 ms) against the week before GA, by weekday: interval +22.0 to +47.0 %, "
        "adjusted p < 0.0001, 168 hours, worth 41 independent ones, 90.0 % seen."
    )
    assert found.evidence_for[1:] == (
        "p99_latency_ms changed 3 hours after GA.",
        "p99_latency_ms was still changed on each of the last two days.",
        "Other baselines agree on p99_latency_ms: +31.0 % against the GA day.",
    )
    assert found.evidence_against == (
        "p99_latency_ms is +34.0 % against the week before GA, by weekday, and +2.0 % against v1.0.0.",
        "p99_latency_ms may have changed by no more than +22.0 %.",
        "p99_latency_ms was judged at like load, because the traffic changed.",
        "Only 90.0 % of p99_latency_ms was seen.",
        "Error budgets kept: 1 of 1 (closest: Availability, burned at 0.1 times the pace at which it lasts).",
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"onset": GA + 3.2 * DAY}, "p99_latency_ms began to change on day 3, not at GA."),
        ({"onset": GA - DAY / 2}, "p99_latency_ms began to change at 2025-11-17T12:00:00Z, before GA."),
        ({"persists": False, "ended": GA + 5 * DAY}, "p99_latency_ms was back at 2025-11-23T00:00:00Z."),
        ({"persists": False}, "p99_latency_ms was back on at least one of the last two days."),
    ],
)
def test_what_speaks_against_it(fields, said):
    assert said in advised(row(**fields)).evidence_against


def test_the_baselines_that_disagree_stand_in_one_sentence():
    found = advised(row(), row(change=0.06, baseline="pre_release_median"))
    said = (
        "p99_latency_ms is +34.0 % against the week before GA, by weekday, and +6.0 % against the pre-release median."
    )
    assert said in found.evidence_against


def test_the_ga_day_is_no_evidence_against():
    """A defect shipped at GA is in it already: no change since is what it looks like."""
    assert not any("GA day" in text for text in advised(row(), row(change=0.0, baseline="ga_day")).evidence_against)


def test_keep_says_how_much_was_tested_and_what_was_not():
    found = advised(
        row(change=0.04),
        row(
            "hits", None, real=None, verdict="no data", category="redis", why="There is no data for the week after GA."
        ),
        row(change=0.2, baseline="staging"),
    )
    assert found.action == "keep"
    assert found.evidence_for[0] == (
        "1 of 2 KPIs could be judged against the week before GA, and none got worse; "
        "closest: p99_latency_ms +4.0 % (400 → 416 ms)."
    )
    assert found.evidence_against == (
        "Could not be judged: hits (hits: There is no data for the week after GA).",
        "p99_latency_ms +20.0 % (400 → 480 ms) against staging.",
    )
    assert found.reasons == ()


def test_availability_and_errors_are_one_matter():
    rows = [
        row("overall_error_rate", 9.0, category="errors", unit="%"),
        row("overall_availability", 9.0, category="availability", direction=HIGHER, of_bad_share=True, unit="%"),
        row("p99_latency_ms", 0.5),
    ]
    reasons = advised(*rows).reasons
    assert [text.partition(" ")[0] for text in reasons] == ["overall_error_rate", "p99_latency_ms"]
    assert "likewise overall_availability +900.0 %" in reasons[0]


def test_the_weightiest_reason_leads():
    found = advised(row("a_ms", 0.35, category="latency"), row("b_ms", 0.9, category="database"))
    assert found.why.startswith("Roll back: b_ms +90.0 %")
    assert "(1 more reason)" in found.why


# What was judged, and what was not.


def test_what_users_see_and_could_not_be_judged_is_named():
    unknown = {"real": False, "verdict": "inconclusive", "why": "With so few events nothing can be told."}
    found = advised(
        row("cpu", 0.0, category="resources"),
        row("disk", 0.02, category="storage", **unknown),
        row("request_rate", 0.0, category="traffic", direction=BOTH, **unknown),
        row("p99_latency_ms", 0.34, **unknown),
        row("p50_latency_ms", 0.05, **unknown),
        row("overall_availability", 0.0, category="availability", **unknown),
        row("overall_error_rate", 0.0, category="errors", **unknown),
    )
    assert found.why == (
        "Keep the release: 1 of 6 KPIs could be judged against the week before GA, and none got worse; of what users "
        "see, not judged: p99_latency_ms, p50_latency_ms, overall_availability and overall_error_rate."
    )
    (said,) = found.evidence_against
    assert said == (
        "Could not be judged: p99_latency_ms +34.0 %, p50_latency_ms, overall_availability, overall_error_rate and "
        "1 more (p99_latency_ms: With so few events nothing can be told)."
    )


@pytest.mark.parametrize("change", [3.0, None])
def test_changes_below_the_floor_are_named(change):
    """One from nothing has no ratio, and is for the worse by its points."""
    errors = row(
        "overall_error_rate", change, points=0.0497, baseline_value=0.0, current_value=0.0497, unit="%",
        category="errors", below_floor=0.1, real=False, verdict="pass",
    )  # fmt: skip
    assert advised(errors).why == (
        "Keep the release: 1 of 1 KPIs could be judged against the week before GA, and none got worse beyond "
        "the floor; overall_error_rate 0 → 0.0497 %."
    )


def test_a_large_change_that_noise_explains_is_said_to_be_so():
    found = advised(row(real=False, verdict="pass"))
    assert found.why.endswith("closest: p99_latency_ms +34.0 % (400 → 536 ms), not significant.")


def test_what_went_silent_is_watched_first():
    gone = {"change": None, "real": None, "verdict": "no data"}
    found = advised(
        row("p99_latency_ms", **gone),
        row("p50_latency_ms", **gone),
        row("db_ms", 3.0, category="database", real=None, verdict="inconclusive"),
        row("ok", 0.0),
    )
    assert found.reasons[0] == "p99_latency_ms and p50_latency_ms have no data since GA (the query, or the service?)."
    alone = advised(row(**gone), row("ok", 0.0))
    said = "p99_latency_ms has no data since GA (the query, or the service?)."
    assert (alone.why, alone.reasons) == (f"Keep the release and watch it: {said}", (said,))


def traffic(before, after, change=None, **fields):
    return row(
        "request_rate", change, baseline_value=before, current_value=after, direction=BOTH, category="traffic",
        **{"unit": "requests/s", "real": None, "verdict": "inconclusive", **fields},
    )  # fmt: skip


def test_no_traffic_since_ga_is_the_first_thing_to_fix():
    rows = [traffic(120.0, 0.0, change=-1.0), row("db_ms", 0.2, category="database")]
    found = advised(*rows, week=days([3.0] * 8))
    assert found.action == "fix forward"
    assert found.reasons[0] == "No traffic since GA (request_rate 120 → 0 requests/s)."
    told = recommend(advised(*rows), rows)
    assert (told.should_rollback, told.priority) == (False, "P0")
    assert told.investigation_items == ("request_rate: no traffic, 120 → 0 requests/s", "db_ms: slower")


@pytest.mark.parametrize(
    ("rows", "action"),
    [
        pytest.param([traffic(0.0, 0.0)], "not assessable", id="none before and none since"),
        pytest.param([traffic(0.0, 0.0), row(change=0.0)], "not assessable", id="whatever else was judged"),
        pytest.param([traffic(0.0, 0.0), row()], "roll back", id="but what is heavier"),
        pytest.param([traffic(0.0, 9.0), row(change=0.0)], "keep", id="it came with the release"),
        pytest.param([traffic(9.0, None), row(change=0.0)], "keep", id="not known is not none"),
        pytest.param([traffic(9.0, 0.0), row()], "roll back", id="a severe regression is heavier"),
        pytest.param([traffic(9.0, 0.0, baseline="ga_day", role="confirms")], "fix forward", id="a new service"),
        pytest.param(
            [traffic(9.0, 0.0, baseline="v1", role="informs"), row(change=0.0)], "keep", id="others only inform"
        ),
        pytest.param([traffic(9.0, 8.0, last_change=-1.0), row(change=0.0)], "watch", id="none on the last day"),
        pytest.param([traffic(9.0, 8.0, last_change=-0.9), row(change=0.0)], "keep", id="little on the last day"),
    ],
)
def test_traffic(rows, action):
    assert advised(*rows).action == action


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"last_change": 4.0}, "watch"),
        ({"last_change": 0.31}, "watch"),
        ({"last_change": 0.3}, "keep"),
        ({"last_change": 0.5, "detectable": 0.6}, "keep"),  # its ordinary days differ as much
        ({"last_change": -0.9}, "keep"),
        ({"last_change": None}, "keep"),
        ({"last_change": 9.0, "direction": BOTH}, "keep"),
        ({"last_change": -0.4, "direction": HIGHER}, "watch"),
        ({"last_change": 0.4, "direction": HIGHER}, "keep"),
        ({"last_change": 0.4, "direction": HIGHER, "of_bad_share": True}, "watch"),
        ({"last_change": 9.0, "baseline": "ga_day"}, "keep"),
    ],
)
def test_the_last_day(fields, action):
    unsure = {"real": False, "verdict": "inconclusive", **fields}
    assert advised(row("other", 0.0), row(change=0.02, **unsure)).action == action


def test_the_last_day_is_told_with_the_week_against_it():
    found = advised(row("o", 0.0), row(change=0.02, real=False, verdict="inconclusive", last_change=4.0))
    assert found.reasons == ("Worse on the last day: p99_latency_ms +400.0 %; one day is not evidence.",)
    said = "Over the week, p99_latency_ms +2.0 % (400 → 408 ms) against the week before GA, by weekday."
    assert said in found.evidence_against


def test_what_began_before_ga_is_not_cured_by_a_rollback():
    found = advised(row(verdict="inconclusive", onset=GA - 2 * DAY), row("ok", 0.0))
    (said,) = found.reasons
    assert said == (
        "p99_latency_ms +34.0 % (400 → 536 ms) against the week before GA, by weekday, real, but began on "
        "2025-11-16T00:00:00Z, before GA: a rollback would not cure it."
    )


@pytest.mark.parametrize(
    ("onset", "words"),
    [
        (None, ()),
        (GA, ("changed at GA",)),
        (GA + DAY, ()),  # perhaps it was there on the GA day, which need not have been compared
        (GA + 1.9 * DAY, ()),
        (GA + 2 * DAY, ("began to change on day 2, not at GA",)),
    ],
)
def test_when_it_began_is_only_told_where_it_is_known(onset, words):
    found = advised(row(onset=onset))
    said = [text for text in (*found.evidence_for, *found.evidence_against) if "at GA" in text]
    assert said == [f"p99_latency_ms {word}." for word in words]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trend": "increasing", "slope_per_day": 0.05}, "p99_latency_ms rises by +5.0 % a day."),
        (
            {"trend": "decreasing", "slope_per_day": -0.05, "direction": HIGHER, "change": -0.34, "real": True,
             "verdict": "fail"},
            "p99_latency_ms falls by -5.0 % a day.",
        ),
        (
            {"trend": "increasing", "slope_per_day": 0.05, "direction": HIGHER, "of_bad_share": True},
            "The bad share of p99_latency_ms rises by +5.0 % a day.",
        ),
        ({"trend": "decreasing", "slope_per_day": -0.05}, None),
        ({"trend": "volatile", "slope_per_day": 0.05}, None),
        ({"trend": "increasing", "slope_per_day": 0.05, "onset": GA + 3 * DAY}, None),
    ],
)  # fmt: skip
def test_a_ramp_is_told_as_one(fields, said):
    evidence = advised(row(**fields)).evidence_for
    assert said in evidence if said else not any("a day." in text for text in evidence)


# From zero, and other sentences.


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.19, 0.21), "overall_error_rate 0 → 0.2 %, a rise from 0 (+0.19 to +0.21 percentage points)"),
        ((0.19, None), "overall_error_rate 0 → 0.2 %, a rise from 0 (at least +0.19 percentage points)"),
        (None, "overall_error_rate 0 → 0.2 %, a rise from 0"),
    ],
)
def test_a_rise_from_zero_is_told_in_percentage_points(ends, said):
    errors = row(
        "overall_error_rate", None, baseline_value=0.0, current_value=0.2, unit="%", category="errors", real=True,
        threshold_exceeded=True, verdict="fail", persists=True, interval=(0.2, None), points_interval=ends,
    )  # fmt: skip
    found = advised(errors, row("overall_error_rate", 0.02, "v1.0.0"))
    assert found.action == "roll back"
    assert found.reasons == (f"{said} against the week before GA, by weekday, real and severe.",)
    texts = (*found.reasons, *found.evidence_for, *found.evidence_against)
    assert not any("?" in text or "undefined" in text for text in texts)


def test_a_share_of_good_events_from_none_bad():
    found = advised(
        row("overall_availability", None, baseline_value=100.0, current_value=99.8, unit="%", category="availability",
            direction=HIGHER, of_bad_share=True, real=True, threshold_exceeded=True, verdict="fail", persists=True,
            points_interval=(0.19, 0.21)),
    )  # fmt: skip
    assert "overall_availability 100 → 99.800 %, a rise from 0 (+0.19 to +0.21 percentage points)" in found.reasons[0]


@pytest.mark.parametrize(
    ("interval", "points", "said"),
    [
        ((0.2, None), (0.1, 0.3), "interval +0.1 to +0.3 percentage points"),
        ((0.2, None), None, "interval at least +20.0 %"),
        ((None, 0.5), None, "interval at most +50.0 %"),
        ((0.2, 0.5), (0.1, 0.3), "interval +20.0 to +50.0 %"),
    ],
)
def test_open_intervals(interval, points, said):
    evidence = advised(row(interval=interval, points_interval=points)).evidence_for[0]
    assert evidence.endswith(f": {said}.")


def test_p_speaks_only_for_what_is_real():
    assert "adjusted p 0.01" in advised(row(p_adjusted=0.01)).evidence_for[0]
    watched = advised(row(change=0.0), row(baseline="ga_day", p_adjusted=0.9, real=None))
    assert watched.evidence_for
    assert not any("p 0.9" in text for text in watched.evidence_for)


def test_the_day_before_is_named():
    agree = advised(row(), row(baseline="previous_day", change=0.2)).evidence_for
    assert "Other baselines agree on p99_latency_ms: +20.0 % against the day before (day 7 against day 6)." in agree
    kept = advised(row(change=0.0), row(baseline="previous_day", change=0.2)).evidence_against
    assert kept == ("p99_latency_ms +20.0 % (400 → 480 ms) against the day before (day 7 against day 6).",)


# Single days.


def test_an_objective_missed_on_one_day_is_watched():
    found = advised(week=days([0.1] * 4 + [3.0] + [0.1] * 3))
    assert (found.action, found.reasons) == ("watch", ("Availability was missed on day 4.",))


@pytest.mark.parametrize(
    ("fired", "before", "action"),
    [
        ({7: 1}, {}, "fix forward"),
        ({3: 2}, {}, "watch"),
        ({7: 1}, {-3: 1}, "watch"),
        ({7: 0}, {}, "keep"),
        ({}, {}, "keep"),
    ],
)
def test_critical_alerts(fired, before, action):
    week = [day(n, slo(0.1), alerts=fired.get(n)) for n in range(8)]
    found = advised(week=week, before=PreReleaseSummary(days=tuple(day(n, alerts=a) for n, a in before.items())))
    assert found.action == action


# Error budgets.


def test_what_an_hour_of_waiting_costs():
    """One million requests a day; the budget of 30 days is 0.1 % of 30 million: 30,000 failures.

    Burn rates 1 on seven days and 5 on the last one: 12,000 failures are spent, 40 %. The last day had 5,000 of them:
    208.3 an hour, 0.694 % of the budget; the other 60 % last 86.4 hours.
    """
    (cost,) = advised(week=days([1.0] * 7 + [5.0])).waiting
    assert (cost.slo_name, cost.day, cost.burn_rate) == ("Availability", 7, pytest.approx(5))
    assert cost.bad_events_per_hour == pytest.approx(5000 / 24)
    assert cost.budget_percent_per_hour == pytest.approx(100 * 5000 / 24 / 30_000)
    assert cost.hours_left == pytest.approx(0.6 * 30_000 / (5000 / 24)) == pytest.approx(86.4)


def test_an_hour_is_told_at_the_day_s_own_traffic():
    """Three days of 1, 1 and 4 million requests, and 0, 0 and 4,000 failures: the last day burns at 1, at which the
    budget lasts 720 hours, whatever the traffic. Spent: 4,000 of the 60,000 that 2 million a day allow in 30 days."""
    (cost,) = advised(week=days([0.0, 0.0, slo(1.0, total=4_000_000)])).waiting
    assert cost.burn_rate == pytest.approx(1)
    assert cost.budget_percent_per_hour == pytest.approx(100 / 720)
    assert cost.bad_events_per_hour == pytest.approx(4000 / 24)
    assert cost.hours_left == pytest.approx(720 * (1 - 4000 / 60_000)) == pytest.approx(672)


def test_hours_are_of_the_clock_where_days_are_shortened():
    """Hours for days: one million requests an hour, 720,000 failures in 30 days of 24 h. At a burn rate of 10 an hour
    costs 10,000 failures, 1.39 %; eight of them are spent."""
    (cost,) = advised(week=days([10.0] * 8, length=timedelta(hours=1))).waiting
    assert cost.bad_events_per_hour == pytest.approx(10_000)
    assert cost.budget_percent_per_hour == pytest.approx(100 * 10_000 / 720_000)
    assert cost.hours_left == pytest.approx(72 - 8)


def test_a_day_seen_by_half_burns_as_fast():
    """Half of the requests and of the failures in half of the hours."""
    half = slo(2.0, total=500_000, coverage=0.5)
    (cost,) = advised(week=days([2.0, 2.0, half])).waiting
    assert cost.bad_events_per_hour == pytest.approx(2000 / 24)
    assert cost.budget_percent_per_hour == pytest.approx(2 * 100 / 720)


@pytest.mark.parametrize(
    ("last", "number", "rate"),
    [
        pytest.param(slo(9.0, coverage=0.4), 1, 2.0, id="too little of it was seen"),
        pytest.param(slo(9.0, total=900), 1, 2.0, id="too few events"),
        pytest.param(slo(None), 1, 2.0, id="no data"),
    ],
)
def test_the_last_day_that_was_counted(last, number, rate):
    (cost,) = advised(week=days([1.0, 2.0, last])).waiting
    assert (cost.day, cost.burn_rate) == (number, pytest.approx(rate))


def test_what_does_not_burn_costs_nothing_and_the_most_expensive_comes_first():
    week = [day(n, slo(0.0), slo(2.0, name="Latency"), slo(3.0, name="Errors")) for n in range(8)]
    assert [cost.slo_name for cost in advised(week=week).waiting] == ["Errors", "Latency"]


def test_a_budget_that_is_gone_has_no_hours_left():
    assert advised(week=days([6.0] * 8)).waiting[0].hours_left == 0


@pytest.mark.parametrize(
    ("burns", "before", "action"),
    [
        # 8 · 3.1/30 = 83 % spent, the rest lasts 17 % · 720 h/3.1 = 40 h
        pytest.param([3.1] * 8, [0.2] * 7, "roll back", id="gone in 40 hours, within the budget before"),
        # 8 · 2.9/30 = 77 % spent, the rest lasts 23 % · 720 h/2.9 = 56 h
        pytest.param([2.9] * 8, [0.2] * 7, "fix forward", id="gone in 56 hours"),
        pytest.param([6.0] * 8, [0.2] * 7, "roll back", id="gone, and still burning"),
        pytest.param([6.0] * 8, [3.0] * 7, "roll back", id="twice as fast as before"),
        pytest.param([6.0] * 8, [3.1] * 7, "fix forward", id="it predates GA"),
        # 6 · 4.5/30 + 2 · 1.1/30 = 97 % spent, the rest lasts 2.7 % · 720 h/1.1 = 17 h
        pytest.param(
            [4.5] * 6 + [1.1] * 2, [0.98] * 7, "fix forward", id="within the budget before, and no clear rise"
        ),
        pytest.param([4.5] * 6 + [1.1] * 2, [0.5] * 7, "roll back", id="and with one"),
        pytest.param([6.0] * 8, [], "fix forward", id="nobody knows the pace before GA"),
        pytest.param([9.0] * 6 + [0.5] * 2, [0.2] * 7, "fix forward", id="gone, and it burns no more"),
        pytest.param([0.1] * 7 + [60.0], [0.2] * 7, "fix forward", id="one bad day is no pace"),
        pytest.param([60.0], [0.2] * 7, "fix forward", id="there is only one day"),
        pytest.param([1.0] * 8, [0.2] * 7, "keep", id="spent to the last event"),
    ],
)
def test_budgets(burns, before, action):
    assert advised(week=days(burns), before=past(*before)).action == action


def test_crumbs_before_ga_say_nothing_about_the_pace():
    crumbs = PreReleaseSummary(days=tuple(day(n, slo(0.1, coverage=0.4)) for n in range(-7, 0)))
    found = advised(week=days([6.0] * 8), before=crumbs)
    assert found.action == "fix forward"
    assert "How fast Availability burned before GA is not known." in found.evidence_against


def test_a_burn_that_predates_ga_is_said():
    found = advised(week=days([6.0] * 8), before=past(*[6.0] * 7))
    (reason,) = found.reasons
    assert reason == (
        "The error budget of Availability burned at 6 times the pace at which it lasts 30 days; "
        "it is gone, and still burns at 6 times."
    )
    assert found.evidence_for == (
        "Availability burned at 6 times on day 6 and 6 times on day 7.",
        "Availability burned at 6 times in the week before GA.",
    )
    said = (
        "More than half of the burn of Availability predates GA (6 times before, 6 times now), "
        "so a rollback does not cure it."
    )
    assert said in found.evidence_against
    assert found.why.endswith("an hour of waiting costs 0.833 % of the 30-day Availability budget.")


@pytest.mark.parametrize(
    ("burns", "said"),
    [
        (
            [0.1] * 7 + [49.8],
            "Availability burned faster than it lasts on only one of the last two counted days (day 7: 49.8 times).",
        ),
        ([9.0] * 6 + [0.5] * 2, "Availability burned faster than it lasts on neither of the last two counted days."),
        ([60.0], "Availability was counted on only one day, which is no pace."),
    ],
)  # fmt: skip
def test_what_speaks_against_a_pace(burns, said):
    found = advised(week=days(burns), before=past(*[0.4] * 7)).evidence_against
    assert said in found
    assert not any("predates" in text for text in found)


@pytest.mark.parametrize(
    ("last", "before", "told"),
    [
        pytest.param(1.2, [1.0] * 7, True, id="faster than it lasts"),
        pytest.param(0.9, [0.8] * 7, False, id="it lasts, and about as before"),
        pytest.param(0.9, [], False, id="it lasts, and nobody knows the pace before"),
        pytest.param(0.9, [0.4] * 7, True, id="clearly faster than before"),
    ],
)
def test_waiting_is_only_told_where_it_costs(last, before, told):
    found = advised(row(), week=days([0.1] * 7 + [last]), before=past(*before))
    assert found.action == "roll back"
    assert ("waiting" in found.why) == told
    assert found.waiting[0].burn_rate == pytest.approx(last)


def test_two_objectives_on_the_same_events_are_one_reason():
    week = [day(n, slo(3.1), slo(3.1, name="Error Rate")) for n in range(8)]
    found = advised(week=week)
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("The error budget of Availability and Error Rate burned at 3.1 times")
    assert "it is gone in 40.3 hours" in found.reasons[0]
    assert len(found.waiting) == 2


def test_partial_days_and_the_order_of_days_do_not_matter():
    week = days([3.1] * 8)
    first, *after = week
    last = day(8, slo(100.0), partial=True)
    mixed = advise((row(change=0.0),), burn_downs(week), first, [last, *reversed(after)], past(*[0.2] * 7))
    assert mixed == advised(week=week, before=past(*[0.2] * 7))


# The documents' keys.


@pytest.mark.parametrize(
    ("rows", "burn", "expected"),
    [
        ([row()], 0.1, (True, "P0")),
        ([row(change=0.2)], 0.1, (False, "P1")),
        ([row(change=0.0)], 6.0, (False, "P0")),  # gone: nothing is left to wait for
        ([row(change=0.0)], 2.0, (False, "P1")),
        ([row(real=None, verdict="inconclusive")], 0.1, (None, "P1")),
        ([row(change=0.2, real=False, verdict="pass")], 0.1, (False, "P3")),
        ([row(change=0.0, last_change=4.0)], 0.1, (False, "P2")),
        ([row(change=0.0)], 0.1, (False, "P3")),
    ],
)
def test_the_recommendation(rows, burn, expected):
    found = advised(*rows, week=days([burn] * 8))
    told = recommend(found, rows)
    assert (told.should_rollback, told.priority) == expected
    assert told.reason == found.why


def test_what_to_investigate():
    rows = [row(), row(baseline="ga_day"), row("cpu", 0.2, category="resources"), row("ok", 0.0)]
    assert recommend(advised(*rows), rows).investigation_items == ("p99_latency_ms: slower", "cpu: slower")
    quiet = [row("ok", 0.0)]
    assert recommend(advised(*quiet), quiet).investigation_items == ()
    drift = [row(change=0.2, real=None, verdict="inconclusive"), row("ok", 0.0)]
    found = advised(*drift)
    assert recommend(found, drift).investigation_items == found.reasons != ()


# Properties.

ROWS = st.lists(
    st.builds(
        row,
        name=st.sampled_from(["a_ms", "b_ms", "c_ms"]),
        change=st.one_of(st.none(), st.floats(-0.9, 3)),
        baseline=st.sampled_from(["week_before", "ga_day", "previous_day", "pre_release_median", "v1"]),
        real=st.sampled_from([True, False, None]),
        verdict=st.sampled_from(["pass", "fail", "inconclusive", "no data"]),
        persists=st.sampled_from([True, False, None]),
        direction=st.sampled_from([LOWER, HIGHER, BOTH, None]),
        interval=st.one_of(st.none(), st.just((None, 0.2)), st.just((-0.1, None)), st.just((0.1, 0.5))),
        onset=st.sampled_from([None, GA - DAY, GA, GA + 4 * DAY]),
        baseline_value=st.sampled_from([None, 0.0, 400.0]),
        current_value=st.sampled_from([None, 0.0, 500.0]),
        last_change=st.sampled_from([None, -1.0, 0.0, 0.4]),
        trend=st.sampled_from([None, "increasing", "decreasing"]),
        slope_per_day=st.sampled_from([None, -0.05, 0.05]),
        points_interval=st.sampled_from([None, (None, 0.2), (0.1, None), (0.1, 0.5)]),
        category=st.sampled_from(["latency", "errors", "resources"]),
    ),
    max_size=6,
)
BURNS = st.lists(st.one_of(st.none(), st.just(0.0), st.floats(1e-3, 900)), min_size=1, max_size=8)


@given(ROWS, BURNS, BURNS)
def test_whatever_comes_the_advice_is_whole(rows, burns, earlier):
    found = advised(*rows, week=days(burns), before=past(*earlier[:7]))
    assert Advice.model_validate_json(found.model_dump_json()) == found
    texts = (found.why, *found.reasons, *found.evidence_for, *found.evidence_against)
    assert all(text.endswith(".") and "None" not in text and "nan" not in text for text in texts)
    assert not any("undefined" in text or " ? " in text for text in texts)
    assert found.reasons or found.action == "keep"
    assert recommend(found, rows).should_rollback in {True, False, None}
    if found.action == "roll back":
        assert any(r.verdict == "fail" and r.direction is not BOTH for r in rows) or found.waiting


@given(ROWS)
def test_two_sided_kpis_never_lead_to_more_than_watch(rows):
    both = [one.model_copy(update={"direction": BOTH}) for one in rows]
    assert advised(row("tested", 0.0), *both).action in {"keep", "watch"}


@given(ROWS, st.floats(0.31, 5))
def test_a_lasting_severe_regression_asks_for_a_rollback_whatever_the_others_say(rows, change):
    assert advised(row("tested", 0.0), *rows, row("new_ms", change)).action == "roll back"
