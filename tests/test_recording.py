"""Recordings and evidence files: what goes in comes out, and what is broken is named."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ConfigError, NotEnoughDataError
from observability.model import Calendar, Plan, Query, Samples, SourceInfo
from observability.sources.evidence import Evidence, Origin, decode_evidence, encode_evidence, recorded_queries
from observability.sources.recording import Recorded, Recording, evidence_path

GA = datetime(2025, 11, 18, tzinfo=UTC)
STEP = 600
CALENDAR = Calendar(GA, timedelta(hours=4))
STEPS = 24
DAY = CALENDAR.window(1)
NAN = float("nan")
SOURCE = SourceInfo(prometheus="https://prom.example:9090", step_s=STEP)
WHERE = "evidence/day_01.csv.gz"


def query(name, kind="gauge"):
    return Query(name=name, type=kind, promql=f"last_over_time({name}[600s])")


QUERIES = (query("up"), query("lat", "buckets"), query("alerts", "alerts"), query("absent"))
PLAN = Plan(("shop",), None, STEP, QUERIES)
ORIGIN = Origin.of(PLAN, "shop", SOURCE)
COLUMNS = {
    "up": np.array([0.1 + 0.2, NAN, -0.0, 1e-07, 12.0, 1e300] * 4),
    "lat.le.0.5": np.arange(24.0),
    "lat.le.+Inf": np.arange(24.0) * 2,
    "alerts": np.zeros(24),
    "alerts.started": np.zeros(24),
}
WARNINGS = ("up: partial response: store-2", 'lat: odd "text"\n# with a line, and ünicode')
SAMPLES = Samples("shop", DAY, STEP, COLUMNS, WARNINGS)
KPIS = {"error_rate": np.full(24, 0.25), "up_percent": np.full(24, NAN)}


def same(one, other):
    """Whether samples are alike to the last bit, the order of their columns included."""
    return (
        replace(one, columns={}) == replace(other, columns={})
        and list(one.columns) == list(other.columns)
        and all(one.columns[name].tobytes() == other.columns[name].tobytes() for name in one.columns)
    )


def encode(samples=SAMPLES, kpis=KPIS, origin=ORIGIN):
    return encode_evidence(samples, kpis, origin)


def decode(data):
    return decode_evidence(data, "shop", DAY, STEP, WHERE).samples


def repacked(change):
    """The evidence file with its text changed."""
    return gzip.compress(change(gzip.decompress(encode()).decode()).encode())


# The file


def test_evidence_round_trips():
    assert same(decode(encode()), SAMPLES)


@given(
    st.lists(st.floats(allow_infinity=False), min_size=STEPS, max_size=STEPS),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
    st.text("abc_,\"' .é", min_size=1),
)
def test_any_numbers_warnings_and_names_round_trip(values, warnings, name):
    column = np.array(values)
    column[np.isnan(column)] = NAN  # of the many NaNs, the one that numpy has
    samples = Samples("shop", DAY, STEP, {name: column}, tuple(warnings))
    assert same(decode(encode(samples, {})), samples)


def test_evidence_without_columns_round_trips():
    empty = Samples("shop", DAY, STEP, {})
    assert same(decode(encode(empty, {})), empty)


def test_the_text_is_as_documented():
    lines = gzip.decompress(encode()).decode().split("\n")
    assert json.loads(lines[0].removeprefix("# ")) == {
        "source": "https://prom.example:9090",
        "queries": {query.name: {"type": query.type, "promql": query.promql} for query in QUERIES},
    }
    assert lines[1:6] == [
        '# "up: partial response: store-2"',
        '# "lat: odd \\"text\\"\\n# with a line, and \\u00fcnicode"',
        "time,error_rate,up_percent,query.up,query.lat.le.0.5,query.lat.le.+Inf,query.alerts,query.alerts.started",
        "2025-11-18T04:00:00Z,0.25,,0.30000000000000004,0.0,0.0,0.0,0.0",
        "2025-11-18T04:10:00Z,0.25,,,1.0,2.0,0.0,0.0",
    ]
    assert len(lines) == 1 + 2 + 1 + STEPS + 1
    assert lines[-1] == ""


def test_the_same_samples_give_the_same_bytes():
    data = encode()
    assert data == encode()
    assert data[4:8] == bytes(4)  # no time of writing (RFC 1952, MTIME)
    assert data[3] == 0  # no file name (RFC 1952, FLG)


def edited(old, new):
    """The evidence file with the first ``old`` in its text made ``new``."""
    return repacked(lambda text: text.replace(old, new, 1))


def times(number, line):
    """The evidence file with a line, counted from 1, written ``number`` times."""
    return repacked(
        lambda text: "".join(
            each * (number if i == line else 1) for i, each in enumerate(text.splitlines(keepends=True), start=1)
        )
    )


WHOLE = encode()
LAST = 1 + 2 + 1 + STEPS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(WHOLE[:-9], "not gzipped text", id="truncated"),
        pytest.param(WHOLE[:5], "not gzipped text", id="truncated header"),
        pytest.param(WHOLE[:20] + bytes(20) + WHOLE[40:], "not gzipped text", id="corrupt"),
        pytest.param(WHOLE[:-8] + bytes(8), "not gzipped text", id="checksum"),
        pytest.param(b"time,query.up\n", "not gzipped text", id="not gzip"),
        pytest.param(gzip.compress(b"time,\xff\n"), "not gzipped text", id="not UTF-8"),
        pytest.param(b"", "no header", id="empty file"),
        pytest.param(gzip.compress(b""), "no header", id="empty text"),
        pytest.param(
            gzip.compress(gzip.decompress(WHOLE).split(b"\n", 1)[1]), "first line does not say", id="no origin"
        ),
        pytest.param(edited('"queries"', '"questions"'), "first line does not say", id="another origin"),
        pytest.param(gzip.compress(b'# "only a warning"\n'), "no header", id="no header after the warnings"),
        pytest.param(edited("time,", "when,"), "no header", id="another first column"),
        pytest.param(edited("up_percent", "error_rate"), "no header", id="a column twice"),
        pytest.param(edited("up_percent", "up\rpercent"), "no header", id="no CSV"),
        pytest.param(edited('# "up', "# up"), "not a JSON string", id="no JSON"),
        pytest.param(edited('"up: partial response: store-2"', "[1]"), "not a JSON string", id="other JSON"),
        pytest.param(edited(",0.25,", ","), "line 5 has 7 fields, not 8", id="a field less"),
        pytest.param(repacked(lambda text: text[:-5]), "line 28 has 7 fields, not 8", id="cut off"),
        pytest.param(edited("1e+300", "many"), "column 'query.up': .*'many'", id="no number"),
        pytest.param(edited("1e+300", "inf"), "column 'query.up' holds an infinite value", id="infinite"),
        pytest.param(times(0, 7), "T04:30:00Z' stands where the step 2025-11-18T04:20:00Z", id="row missing"),
        pytest.param(times(2, 7), "T04:20:00Z' stands where the step 2025-11-18T04:30:00Z", id="row twice"),
        pytest.param(edited("04:00:00Z", "04:00:00"), "'2025-11-18T04:00:00' stands", id="naive time"),
        pytest.param(times(0, LAST), "23 steps, not 24", id="last row missing"),
        pytest.param(repacked(lambda text: text[: text.index("\n2025")]), "0 steps, not 24", id="no rows"),
    ],
)
def test_a_broken_file_is_named_with_its_defect(data, message):
    with pytest.raises(ConfigError, match=message) as raised:
        decode(data)
    assert WHERE in str(raised.value)


def test_the_evidence_of_another_day_is_refused():
    with pytest.raises(ConfigError, match="'2025-11-18T04:00:00Z' stands where the step 2025-11-18T08:00:00Z"):
        decode_evidence(encode(), "shop", CALENDAR.window(2), STEP, WHERE)


@pytest.mark.parametrize(
    ("services", "day", "path"),
    [
        (("shop",), 0, "evidence/day_00.csv.gz"),
        (("shop",), 7, "evidence/day_07.csv.gz"),
        (("shop",), -7, "evidence/day_-7.csv.gz"),
        (("shop", "desk"), 1, "shop/evidence/day_01.csv.gz"),
    ],
)
def test_where_evidence_lies(services, day, path):
    assert evidence_path(services, "shop", day) == path


# The recording


def record(root, plan=PLAN, days=(1,), samples=SAMPLES):
    """Write a recording with the same numbers on each of the days."""
    recorded = Recorded.of(plan, CALENDAR, SOURCE)
    (root / "recording.json").write_text(recorded.model_dump_json(indent=2))
    for service in plan.services:
        for day in days:
            path = root / evidence_path(plan.services, service, day)
            path.parent.mkdir(parents=True, exist_ok=True)
            of_day = replace(samples, service=service, window=CALENDAR.window(day))
            path.write_bytes(encode(of_day, origin=Origin.of(plan, service, SOURCE)))
    return Recording(root)


def test_a_recording_gives_what_was_recorded(tmp_path):
    assert same(record(tmp_path).fetch(PLAN, DAY)["shop"], SAMPLES)


def test_a_recording_has_the_recorded_servers_name(tmp_path):
    assert record(tmp_path).info(PLAN) == SOURCE


def test_recorded_round_trips_as_json():
    recorded = Recorded.of(PLAN, CALENDAR, SOURCE)
    assert Recorded.model_validate_json(recorded.model_dump_json()) == recorded
    assert json.loads(recorded.model_dump_json()) == {
        "schema_version": 1,
        "ga": "2025-11-18T00:00:00Z",
        "day_s": 14400,
        "step_s": 600,
        "services": ["shop"],
        "service_label": None,
        "queries": {query.name: {"type": query.type, "promql": query.promql} for query in QUERIES},
        "source": {"prometheus": "https://prom.example:9090", "step_s": 600},
    }


def test_several_services_and_the_days_before(tmp_path):
    plan = Plan(("shop", "desk"), "service", STEP, QUERIES)
    found = record(tmp_path, plan, days=(-7, 0)).fetch(plan, CALENDAR.window(-7))
    assert list(found) == ["shop", "desk"]
    assert same(found["desk"], replace(SAMPLES, service="desk", window=CALENDAR.window(-7)))


def test_a_plan_may_ask_for_less(tmp_path):
    """A release file with `only:` has the columns and the warnings of its own queries, as live."""
    plan = Plan(("shop",), None, STEP, (query("lat", "buckets"),))
    samples = record(tmp_path).fetch(plan, DAY)["shop"]
    assert list(samples.columns) == ["lat.le.0.5", "lat.le.+Inf"]
    assert samples.warnings == WARNINGS[1:]


def test_a_part_of_a_day(tmp_path):
    samples = record(tmp_path)
    part = type(DAY)(start=DAY.start + timedelta(minutes=20), end=DAY.start + timedelta(minutes=50))
    found = samples.fetch(PLAN, part)["shop"]
    np.testing.assert_array_equal(found.columns["lat.le.0.5"], [2, 3, 4])
    assert found.window == part


def test_a_part_without_samples_has_no_column(tmp_path):
    one = type(DAY)(start=DAY.start + timedelta(minutes=10), end=DAY.start + timedelta(minutes=20))
    assert "up" not in record(tmp_path).fetch(PLAN, one)["shop"].columns


def test_a_missing_day_is_not_enough_data(tmp_path):
    with pytest.raises(NotEnoughDataError, match=r"day_-3\.csv\.gz not found"):
        record(tmp_path).fetch(PLAN, CALENDAR.window(-3))


def test_a_day_that_was_recorded_in_part_is_not_enough_data(tmp_path):
    source = record(tmp_path)
    until = type(DAY)(start=DAY.start, end=DAY.start + timedelta(minutes=30))
    short = replace(SAMPLES, window=until, columns={name: values[:3] for name, values in COLUMNS.items()})
    (tmp_path / WHERE).write_bytes(encode(short, {}))
    assert same(source.fetch(PLAN, until)["shop"], short)
    with pytest.raises(NotEnoughDataError, match=r"day_01\.csv\.gz holds 3 steps of the day, not 24"):
        source.fetch(PLAN, DAY)


def test_a_broken_day_is_named(tmp_path):
    source = record(tmp_path)
    (tmp_path / WHERE).write_bytes(b"")
    with pytest.raises(ConfigError, match=f"{tmp_path / WHERE}.*no header"):
        source.fetch(PLAN, DAY)


def test_a_day_that_cannot_be_read_is_named(tmp_path):
    source = record(tmp_path)
    (tmp_path / WHERE).unlink()
    (tmp_path / WHERE).mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        source.fetch(PLAN, DAY)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(timedelta(), timedelta(days=1), id="more than a day"),
        pytest.param(timedelta(minutes=5), timedelta(minutes=15), id="between the steps"),
        pytest.param(timedelta(hours=1), timedelta(hours=5), id="another GA instant"),
    ],
)
def test_a_window_that_is_not_within_a_day_is_refused(tmp_path, start, end):
    with pytest.raises(ConfigError, match="recorded GA instant, 2025-11-18T00:00:00Z"):
        record(tmp_path).fetch(PLAN, type(DAY)(start=DAY.start + start, end=DAY.start + end))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("recording.json", {"step_s": 60}, "made at a step of 600s, not 60s"),
        ("recording.json", {"services": ("shop", "desk")}, "does not hold the service 'desk'; it holds shop"),
        (WHERE, {"queries": (*QUERIES, query("more"))}, "does not hold the query 'more'"),
        (
            WHERE,
            {"queries": (QUERIES[0].model_copy(update={"promql": "vector(1)"}),)},
            r"'up' as gauge .*, not as gauge vector",
        ),
        (WHERE, {"queries": (QUERIES[0].model_copy(update={"type": "counter"}),)}, r"'up' as gauge .*, not as counter"),
    ],
)
def test_another_plan_is_refused(tmp_path, file, change, message):
    with pytest.raises(ConfigError, match=message) as raised:
        record(tmp_path).fetch(replace(PLAN, **change), DAY)
    assert str(tmp_path / file) in str(raised.value)


def test_a_file_of_other_queries_is_refused_whatever_the_index_says(tmp_path):
    """As a collection that was stopped half-way leaves it."""
    source = record(tmp_path)
    other = Plan(("shop",), None, STEP, (QUERIES[0].model_copy(update={"promql": "vector(1)"}), *QUERIES[1:]))
    (tmp_path / WHERE).write_bytes(encode(origin=Origin.of(other, "shop", SOURCE)))
    with pytest.raises(ConfigError, match=r"day_01\.csv\.gz holds the query 'up' as gauge vector\(1\), not as"):
        source.fetch(PLAN, DAY)


def test_a_file_of_another_source_is_refused(tmp_path):
    source = record(tmp_path)
    (tmp_path / WHERE).write_bytes(encode(origin=Origin(source="http://old", queries=ORIGIN.queries)))
    with pytest.raises(ConfigError, match=r"day_01\.csv\.gz comes from http://old, and .*recording\.json names https"):
        source.fetch(PLAN, DAY)


def test_evidence_says_what_it_is_of():
    found = decode_evidence(encode(), "shop", DAY, STEP, WHERE)
    assert isinstance(found, Evidence)
    assert found.origin == ORIGIN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a recording's index: Invalid JSON"),
        ("{}", "is not a recording's index: ga: Field required; "),
        (None, "cannot be read: No such file or directory; name a recording's folder"),
    ],
)
def test_a_broken_index_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "recording.json").write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        Recording(tmp_path)
    assert str(raised.value).startswith(str(tmp_path / "recording.json"))


SEVERAL = Plan(
    ("shop", "my-desk"),
    "service",
    STEP,
    (Query(name="up", type="gauge", promql='up{env="a",service=~"shop|my\\\\-desk"}'),),
)


def test_the_queries_stand_in_a_file_as_for_its_service_alone():
    origin = Origin.of(SEVERAL, "my-desk", SOURCE)
    assert (origin.service, origin.queries["up"].promql) == ("my-desk", 'up{env="a",service="my-desk"}')
    assert origin.held(SEVERAL, "my-desk") == {"up"}
    assert origin.held(SEVERAL, "shop") == set()


def test_a_file_of_an_older_version_is_read(tmp_path):
    """It names no service, and has the queries as they were asked for all services."""
    source = record(tmp_path, SEVERAL)
    old = Origin(source=SOURCE.prometheus, queries=recorded_queries(SEVERAL))
    path = tmp_path / "shop" / WHERE
    path.write_bytes(encode(replace(SAMPLES, warnings=()), origin=old))
    assert b'"service"' not in gzip.decompress(path.read_bytes())
    assert list(source.fetch(SEVERAL, DAY)["shop"].columns) == ["up"]


def test_the_evidence_of_another_service_is_refused(tmp_path):
    source = record(tmp_path, SEVERAL)
    (tmp_path / "shop" / WHERE).write_bytes((tmp_path / "my-desk" / WHERE).read_bytes())
    with pytest.raises(ConfigError, match=r"shop/evidence/day_01\.csv\.gz is of the service 'my-desk', not of 'shop'"):
        source.fetch(SEVERAL, DAY)
