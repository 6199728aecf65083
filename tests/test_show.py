"""`postga show`: a service's week as a table, from the artifacts at hand."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability import commands
from observability.artifacts import DaySummary, MaintenanceWindow, PreReleaseSummary
from observability.model import Calendar
from observability.show_week import main
from observability.store import Store
from observability.week_table import Row, WeekTable, tabulate
from observability.week_text import ALL_DAYS, LEVELS, sparkline, week_text
from tests.weeks import before, day, days, kpi, legacy

KPI = "p99_latency_ms"


def show(*arguments: str | Path) -> int:
    kept, sys.argv = sys.argv, ["show", *map(str, arguments)]
    try:
        commands.run(main)
    except SystemExit as end:
        return int(str(end.code or 0))
    finally:
        sys.argv = kept
    return 0


def table(values: Mapping[int, float | None], name: str = KPI, **fields: Any) -> WeekTable:
    """The table of days that have one KPI each; ``fields`` are of all its days."""
    return tabulate({n: _day(n, {name: kpi(name, value, **fields)}) for n, value in values.items()})


def _day(number: int, kpis: Mapping[str, Any], **fields: Any) -> DaySummary:
    return day(number).model_copy(update={"kpis": kpis, **fields})


def row(values: Mapping[int, float | None], name: str = KPI, **fields: Any) -> Row:
    return table(values, name, **fields).rows[0]


def text(found: WeekTable, width: int | None = None, colours: bool = False) -> str:
    return week_text(found, width, colours)


def write(folder: Path, found: Sequence[DaySummary], past: PreReleaseSummary | None = None, service: str = "") -> None:
    store = Store(folder / service)
    for one in found:
        key = (
            "ga_kpis/ga_kpi_summary.json" if one.day_number == 0 else f"stability/day_{one.day_number:02d}_summary.json"
        )
        store.write(key, one)
    if past is not None:
        store.write("ga_kpis/pre_release_summary.json", past)


# --- the sparkline


def test_a_sparkline_goes_from_the_lowest_value_to_the_highest() -> None:
    """Eight levels over 0 to 14: the level is value / 2, 7 for the highest."""
    values = {number: float(number + 7) for number in ALL_DAYS}
    assert sparkline(row(values), list(ALL_DAYS)) == "▁▂▂▃▃▄▄[▅]▅▆▆▇▇██"


def test_a_day_without_data_and_one_that_is_not_there_are_told_apart() -> None:
    found = row({-1: 1.0, 0: 2.0, 1: None, 3: 3.0})
    assert sparkline(found, [-1, 0, 1, 3]) == "      ▁[▅]· █    "
    assert sparkline(row({1: 2.0}), [1]) == "       [ ]▅      "


@given(st.dictionaries(st.sampled_from(list(ALL_DAYS)), st.none() | st.floats(-1e12, 1e12), min_size=1))
def test_a_sparkline_has_one_cell_per_day_in_the_order_of_the_values(values: dict[int, float | None]) -> None:
    cells = sparkline(row(values), list(values)).replace("[", "").replace("]", "")
    assert len(cells) == 15
    shown = [(value, LEVELS.index(cells[number + 7])) for number, value in values.items() if value is not None]
    for value, level in shown:
        for other, other_level in shown:
            assert (level <= other_level) or value > other
    for number in ALL_DAYS:
        assert (cells[number + 7] == " ") == (number not in values)


# --- changes


@pytest.mark.parametrize(
    ("name", "ga", "latest", "is_worse"),
    [
        ("p99_latency_ms", 400.0, 441.0, True),  # +10.25 %
        ("p99_latency_ms", 400.0, 440.0, False),  # +10 %
        ("p99_latency_ms", 400.0, 300.0, False),  # for the better
        ("throughput", 100.0, 80.0, True),
        ("throughput", 100.0, 130.0, False),
        ("request_rate", 100.0, 300.0, None),  # two-sided
        ("overall_error_rate", 0.5, 0.65, True),  # +0.15 points, +30 % of the bad ones
        ("overall_error_rate", 0.02, 0.04, False),  # +100 %, and 0.02 points: below the floor of 0.1
        ("overall_availability", 99.5, 99.3, True),  # the bad ones: 0.5 to 0.7 %
        ("avg_redis_hit_rate", 93.0, 92.8, False),  # -0.2 points, and the misses +2.9 %
        ("critical_incident_count", 0.0, 2.0, True),  # from 0 there is no per cent
        ("critical_incident_count", 0.0, 0.0, False),
        ("p99_latency_ms", None, 500.0, None),
        ("p99_latency_ms", 500.0, None, None),
    ],
)
def test_worse_is_large_and_the_wrong_way(
    name: str, ga: float | None, latest: float | None, is_worse: bool | None
) -> None:
    found = table({0: ga, 1: latest}, name)
    assert found.rows[0].is_worse is is_worse
    assert ("! over 10 % worse than the GA day" in text(found)) == (is_worse is True)


def test_the_floor_is_half_of_the_tightest_budget_of_the_same_events() -> None:
    """An objective of 99.99 % leaves 0.01 %: half of that is a floor of 0.005 points."""
    values = {"overall_availability": kpi("overall_availability", 99.98, numerator=2.0, denominator=1e4)}
    tight = day(1).slos[0].model_copy(update={"kpi": "overall_availability", "budget": 0.01})
    ga = _day(0, {"overall_availability": kpi("overall_availability", 99.99)})
    assert tabulate({0: ga, 1: _day(1, values, slos=(tight,))}).rows[0].is_worse is True
    assert tabulate({0: ga, 1: _day(1, values, slos=())}).rows[0].is_worse is False


def test_a_partial_day_is_shown_and_not_compared() -> None:
    whole, part = _day(0, {KPI: kpi(KPI, 400.0)}), _day(1, {KPI: kpi(KPI, 900.0)}, partial=True)
    found = tabulate({0: whole, 1: part})
    assert found.rows[0].values[1] == 900.0
    assert (found.rows[0].change, found.rows[0].difference, found.rows[0].is_worse) == (None, None, None)
    shown = text(found)
    assert "days: GA, 1* (2025-11-18T00:00:00Z to 2025-11-20T00:00:00Z); missing: −7 to −1, 2 to 7" in shown
    assert " day 1*" in shown
    assert "* partial day, which is not compared" in shown


def test_nothing_is_compared_with_a_partial_ga_day() -> None:
    ga, later = _day(0, {KPI: kpi(KPI, 400.0)}, partial=True), _day(1, {KPI: kpi(KPI, 900.0)})
    assert tabulate({0: ga, 1: later}).rows[0].difference is None


def test_a_recording_is_told_how_to_become_a_week(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recording.json").write_text("{}")
    assert show(tmp_path) == 4
    assert f"postga rebuild FILE --output-dir {tmp_path}, " in capsys.readouterr().err


def test_a_quantile_beyond_its_buckets_is_not_compared() -> None:
    found = tabulate({0: _day(0, {KPI: kpi(KPI, 400.0)}), 1: _day(1, {KPI: kpi(KPI, 2500.0, at_least=True)})})
    assert found.rows[0].change is None
    assert "≥ 2,500" in text(found)


def test_quantiles_of_other_buckets_are_not_compared() -> None:
    one, other = {"0.1": 5.0, "+Inf": 9.0}, {"0.2": 5.0, "+Inf": 9.0}
    found = tabulate({0: _day(0, {KPI: kpi(KPI, 1.0, buckets=one)}), 1: _day(1, {KPI: kpi(KPI, 2.0, buckets=other)})})
    assert found.rows[0].difference is None


# --- the text


def test_the_whole_table() -> None:
    values = {-2: 380.0, -1: 390.0, 0: 400.0, 1: 410.0, 2: 500.0}
    found = tabulate(
        {
            n: _day(
                n,
                {
                    KPI: kpi(KPI, value),
                    "overall_error_rate": kpi("overall_error_rate", 0.02),
                    "throughput": kpi("throughput", None, coverage=0.0),
                },
                coverage=0.5 if n == 1 else 1.0,
            )
            for n, value in values.items()
        }
    )
    assert text(found) == (
        "checkout of v1.0.1, GA 2025-11-18T00:00:00Z\n"
        "days: −2 to −1, GA, 1 to 2 (2025-11-16T00:00:00Z to 2025-11-21T00:00:00Z); missing: −7 to −3, 3 to 7\n"
        "coverage: 90 %; below 95 %: day 1 50 %\n"
        "\n"
        "KPI                unit GA day −7     [GA]     7  day 2   change coverage\n"
        "p99_latency_ms     ms      400      ▁▂[▂]▃█         500 +25.0 %!    100 %\n"
        "overall_error_rate %      0.02      ▅▅[▅]▅▅        0.02   +0 pp     100 %\n"
        "\n"
        "no data on any day: throughput\n"
        "\n"
        "days: ▁ the row's lowest, █ its highest; · no data; blank: not collected\n"
        "! over 10 % worse than the GA day (a share: its bad part); one day is no verdict\n"
    )


def test_a_low_coverage_is_marked_on_the_kpi() -> None:
    found = tabulate({0: _day(0, {KPI: kpi(KPI, 1.0)}), 1: _day(1, {KPI: kpi(KPI, 1.0, coverage=0.94)})})
    assert "p99_latency_ms° " in text(found)
    assert "° the coverage of a day is below 95 %" in text(found, width=50)
    assert "97 %" in text(found)  # the mean of 100 and 94 %


def test_maintenance_is_told() -> None:
    found = tabulate({0: _day(0, {KPI: kpi(KPI, 1.0)}), 3: _day(3, {KPI: kpi(KPI, 1.0)}, maintenance_seconds=5400.0)})
    assert "maintenance, left out of the figures: day 3 1.5 h\n" in text(found)


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (None, "KPI unit GA day −7 [GA] 7 day 7 change coverage"),
        (80, "KPI GA day −7 [GA] 7 day 7 change coverage"),
        (70, "KPI GA day −7 [GA] 7 day 7 change"),
        (60, "KPI −7 [GA] 7 day 7 change"),
        (50, "KPI −7 [GA] 7 day 7"),
        (10, "KPI −7 [GA] 7 day 7"),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(width: int | None, titles: str) -> None:
    names = ("critical_incident_count", "estimated_cost_per_hour")
    found = tabulate({n: _day(n, {name: kpi(name, 1234.0 + n) for name in names}) for n in (0, 7)})
    lines = text(found, width).splitlines()
    assert " ".join(next(line for line in lines if line.startswith("KPI")).split()) == titles
    if width is not None and width >= 50:
        assert max(len(line) for line in lines if line.startswith(("KPI", *names))) <= width


def test_colours_only_repeat_what_the_marks_say() -> None:
    found = table({0: 400.0, 1: 500.0}, coverage=0.5)
    plain, coloured = text(found), text(found, colours=True)
    assert "\x1b[" not in plain
    assert "\x1b[31m" in coloured
    for code in (0, 1, 31, 33):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


# --- the command


def test_a_folder_with_one_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, [day(0), *days()], before())
    assert show(tmp_path) == 0
    out = capsys.readouterr().out
    assert out.startswith("checkout of v1.0.1, GA 2025-11-18T00:00:00Z\ndays: −7 to −1, GA, 1 to 7 (")
    assert "\x1b[" not in out
    assert show(tmp_path / "ga_kpis") == 0
    assert capsys.readouterr().out == out


def test_files_without_the_documents_folders_are_found_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    store.write("ga_kpi_summary.json", day(0))
    store.write("day_01_summary.json", day(1))
    assert show(tmp_path) == 0
    assert "days: GA, 1 (2025-11-18" in capsys.readouterr().out


def test_several_services_one_below_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for service in ("checkout", "reports"):
        found = [one.model_copy(update={"service": service}) for one in days()]
        write(tmp_path, found, service=service)
    assert show(tmp_path) == 0
    both = capsys.readouterr().out
    assert [line.split(" of ")[0] for line in both.splitlines() if " of v1.0.1" in line] == ["checkout", "reports"]
    assert show(tmp_path, "--service", "reports") == 0
    assert both.endswith("\n" + capsys.readouterr().out)


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, [_day(0, {KPI: kpi(KPI, 400.0)}), _day(1, {KPI: kpi(KPI, 500.0)})])
    assert show(tmp_path, "--json") == 0
    [service] = json.loads(capsys.readouterr().out)["services"]
    assert (service["service"], service["ga"], service["latest"]) == ("checkout", "2025-11-18T00:00:00Z", 1)
    assert [found["number"] for found in service["days"]] == [0, 1]
    [found] = service["rows"]
    assert (found["kpi"], found["unit"], found["values"]) == (KPI, "ms", {"0": 400.0, "1": 500.0})
    assert (found["change"], found["difference"], found["is_worse"]) == (0.25, 100.0, True)


def test_files_of_older_tools_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, [legacy(0, overall_error_rate=0.02), legacy(1, overall_error_rate=0.03)])
    assert show(tmp_path) == 0
    out = capsys.readouterr().out
    assert out.startswith("default, GA 2025-11-18T00:00:00Z\ndays: GA, 1; missing: −7 to −1, 2 to 7\n\n")
    assert "overall_error_rate" in out
    assert "+50.0 % " in out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--kpi", "p99_latency"], 2, "There is no KPI 'p99_latency' in the artifacts; did you mean 'p99_latency_ms'?"),
        (["--service", "chekout"], 2, "There is no service 'chekout' in the artifacts; did you mean 'checkout'?"),
        (["--service", "x"], 2, "There is no service 'x' in the artifacts; there are checkout."),
    ],
)
def test_names_that_are_not_there(
    arguments: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, days())
    assert show(tmp_path, *arguments) == code
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_folder_without_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(tmp_path) == 4
    assert capsys.readouterr().err == (
        f"error: {tmp_path} holds no day yet; collect the GA day with postga baseline, or postga run.\n"
    )
    assert show(tmp_path / "nowhere") == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_day_of_another_release_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = day(1).model_copy(update={"window": day(2).window})
    write(tmp_path, [day(0), other])
    assert show(tmp_path) == 2
    assert "day_01_summary.json covers 2025-11-20T00:00:00Z" in capsys.readouterr().err


def test_a_truncated_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, days())
    (tmp_path / "stability/day_03_summary.json").write_text('{"timestamp":')
    assert show(tmp_path) == 2
    assert "day_03_summary.json is not JSON" in capsys.readouterr().err


def test_days_of_other_hours_are_not_compared() -> None:
    """Eight hours of day 7 are maintenance, among them its night."""
    window = Calendar(day(0).timestamp).window(7)
    drill = MaintenanceWindow(start=window.start, end=window.start + timedelta(hours=8), seconds=8 * 3600.0)
    gauge = {number: kpi("avg_cpu_percent", value) for number, value in ((0, 20.0), (7, 30.0))}
    found = [_day(0, {"avg_cpu_percent": gauge[0]}), _day(7, {"avg_cpu_percent": gauge[7]})]
    assert tabulate({0: found[0], 7: found[1]}).rows[0].change is not None
    cut = found[1].model_copy(update={"maintenance": (drill,), "maintenance_seconds": drill.seconds})
    (compared,) = tabulate({0: found[0], 7: cut}).rows
    assert (compared.change, compared.is_worse) == (None, None)


def test_two_folders_of_one_service_are_not_one_week(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write(tmp_path, [day(0), day(1)], service=name)
    assert show(tmp_path) == 2
    assert f"{tmp_path}/a and {tmp_path}/b both hold the service" in capsys.readouterr().err
