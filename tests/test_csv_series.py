"""A series from a CSV: which columns, what a time and a number look like, and what a file can get wrong."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from observability.csv_series import Columns, CsvSeries, read_series
from observability.detection.bank import LARGEST
from observability.errors import ConfigError, NotEnoughDataError, PostgaError

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp()
MINUTE = 60.0


def read(folder: Path, content: str | bytes, timestamp: str | None = None, value: str | None = None) -> CsvSeries:
    path = folder / "in.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_series(path, Columns(timestamp, value))


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01T12:00:00Z",
        "2024-01-01 12:00:00",
        "2024-01-01 12:00",
        "2024-01-01 12:00:00 UTC",
        "20240101120000 UTC",
        "2024-01-01T13:00:00+01:00",
        "2024-01-01T07:00:00.000-0500",
        "2024-01-01 12:00:00.000000",
        "20240101T120000Z",
        "20240101120000",
        " 2024-01-01T12:00:00Z ",
        "1704110400",
        "1704110400.0",
        "1.7041104e9",
        "1704110400000",
        "1704110400000000",
        "1704110400000000000",
    ],
)
def test_the_same_instant_in_many_spellings(tmp_path: Path, text: str) -> None:
    series = read(tmp_path, f"timestamp,value\n{text},1\n")
    assert series.times.tolist() == [NOON]
    assert series.timestamps == [text]


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    assert read(tmp_path, "date,value\n2024-01-01,1\n20240102,2\n").times.tolist() == [
        NOON - 720 * MINUTE,
        NOON + 720 * MINUTE,
    ]


def test_the_column_decides_on_the_unit_of_its_epoch_times(tmp_path: Path) -> None:
    """0 and 60,000 are seconds by themselves; among milliseconds they are the first two minutes of 1970."""
    rows = "".join(f"{1704110400000 + 60000 * k},1\n" for k in range(3))
    series = read(tmp_path, f"ts,value\n0,1\n60000,1\n{rows}")
    assert series.times.tolist() == [0.0, 60.0, NOON, NOON + MINUTE, NOON + 2 * MINUTE]


@pytest.mark.parametrize("text", ["", "now", "today", "NaN", "inf", "1e300", "01/02/2024", "2024-13-01", "noon"])
def test_a_timestamp_that_cannot_be_read_is_a_row_without_a_time(tmp_path: Path, text: str) -> None:
    series = read(tmp_path, f"timestamp,value\n2024-01-01 12:00,1\n{text},2\n")
    assert series.times[0] == NOON
    assert np.isnan(series.times[1])
    assert series.warnings == (
        f"unreadable timestamps: 1 of 2 rows (the first on line 3: '{text}'), which are not scored.",
    )


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1.0), ("-1.5e-3", -0.0015), (" 2 ", 2.0), ("0.1", 0.1), ("9007199254740993", 2.0**53)]
)
def test_numbers(tmp_path: Path, text: str, value: float) -> None:
    assert read(tmp_path, f"timestamp,value\n1704110400,{text}\n").values.tolist() == [value]


@pytest.mark.parametrize("text", ["", "-", "nan", "NaN", "null", "NULL", "N/A", "None"])
def test_an_expected_blank_is_missing_without_a_word(tmp_path: Path, text: str) -> None:
    series = read(tmp_path, f"timestamp,value\n1704110400,1\n1704110460,{text}\n")
    assert np.isnan(series.values).tolist() == [False, True]
    assert series.warnings == ()


@pytest.mark.parametrize("text", ["abc", "1 234", "12%", "Inf", "-inf", "1e999", "1.1e300", "-1e305"])
def test_what_is_no_number_or_too_large_is_missing_and_said(tmp_path: Path, text: str) -> None:
    series = read(tmp_path, f"timestamp,value\n1704110400,1\n\n1704110460,{text}\n1704110520,x\n")
    assert np.isnan(series.values).tolist() == [False, True, True]
    assert series.texts == ["1", text, "x"]
    assert series.warnings == (
        f"no numbers, or beyond ±1e300: 2 of 3 values (the first on line 4: '{text}'), which count as missing.",
    )


@pytest.mark.parametrize("text", ["inf", "1e305"])
def test_a_file_of_values_too_large_has_no_data_but_is_no_wrong_column(tmp_path: Path, text: str) -> None:
    series = read(tmp_path, f"timestamp,value\n1704110400,{text}\n1704110460,x\n")
    assert np.isnan(series.values).all()
    assert "2 of 2 values" in series.warnings[0]


def test_the_largest_values_are_values(tmp_path: Path) -> None:
    series = read(tmp_path, "timestamp,value\n1704110400,1e300\n1704110460,-1e300\n")
    assert (series.values.tolist(), series.warnings) == ([LARGEST, -LARGEST], ())


@pytest.mark.parametrize(
    "header", ["2024-01-01,", "2024-01-01,NaN", "2024-01-01,-", "1704110400,null", "2024-01-01,inf", "2024-01-01;1,5"]
)
def test_a_first_row_without_a_value_is_no_header(tmp_path: Path, header: str) -> None:
    with pytest.raises(ConfigError, match="has no header: its first line is data"):
        read(tmp_path, f"{header}\n{header}\n")


def test_a_header_may_read_as_a_time_or_a_blank(tmp_path: Path) -> None:
    """A value column without a name, and one that is named as a date."""
    assert read(tmp_path, "time,\n2024-01-01 12:00,1\n").values.tolist() == [1.0]
    assert read(tmp_path, "time,2024-01-01\n2024-01-01 12:00,1\n").values.tolist() == [1.0]


INDEX = "".join(f"{k},{100 + k}\n" for k in range(5))


def test_an_index_is_not_taken_for_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"id,value\n{INDEX}")
    assert str(caught.value) == (
        f"{tmp_path / 'in.csv'}: column 'id' holds no epoch times (0, 1, 2 …); name that of the times with "
        "--timestamp-column."
    )
    with pytest.raises(ConfigError, match=r"column 'load' holds no epoch times \(1\.5, 99999999\)"):
        read(tmp_path, "load,other\n1.5,1\n99999999,2\n")


def test_an_index_that_is_named_as_the_time_is_taken_for_it_with_a_warning(tmp_path: Path) -> None:
    series = read(tmp_path, f"id,value\n{INDEX}", timestamp="id")
    assert series.times.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert series.warnings == ("column 'id' is read as epoch times, and most lie before 1974 (0, 1, 2 …).",)
    assert "column 'time' is read" in read(tmp_path, f"time,value\n{INDEX}").warnings[0]


@pytest.mark.parametrize(
    "rows", ["100000000,1\n", "1704110400,1\n0,2\n1704110400,3\n", "1965-01-01T00:00Z,1\n1965-01-02T00:00Z,1\n0,2\n"]
)
def test_what_may_be_time_needs_no_name(tmp_path: Path, rows: str) -> None:
    assert read(tmp_path, f"when,cpu\n{rows}").warnings == ()


@pytest.mark.parametrize(
    ("odd", "usual", "unit"),
    [
        ("1704110400", "1704110460000", "milliseconds"),
        ("1704110400000", "1704110460000000000", "nanoseconds"),
        ("1704110400000", "1704110460", "seconds"),
    ],
)
def test_units_that_are_mixed_are_said(tmp_path: Path, odd: str, usual: str, unit: str) -> None:
    series = read(tmp_path, f"ts,y\n{usual},1\n{odd},2\n{usual},3\n0,4\n")
    assert series.warnings[-1] == (
        f"timestamps in another unit than the rest: 1 of 4 rows (the first on line 3: '{odd}'), which are read as "
        f"{unit} too."
    )


def test_times_of_one_unit_are_not_mixed(tmp_path: Path) -> None:
    """From March 1973 to the year 2286, beside ISO times; and a number that is a time in no unit."""
    series = read(tmp_path, "ts,y\n100000000,1\n1704110400,2\n9999999999,3\n2024-01-01T12:00:00Z,4\n1e250,5\n")
    assert not any("another unit" in text for text in series.warnings)


def test_times_without_a_zone_among_others_are_said(tmp_path: Path) -> None:
    content = "ts,y\n2024-01-01T12:00Z,1\n2024-01-01 12:01,2\n20240101T120200,3\n2024-01-01 12:03:00 UTC,4\nx,5\n"
    series = read(tmp_path, content)
    assert series.zoneless.tolist() == [False, True, True, False, False]
    assert series.warnings[1:] == (
        "timestamps without a zone: 2 of 5 rows (the first on line 3: '2024-01-01 12:01'), which are taken as UTC.",
    )


@pytest.mark.parametrize(
    "times", [("2024-01-01 12:00", "20240102", "x"), ("2024-01-01T12:00Z", "2024-01-01T12:00+01:00", "1704110400")]
)
def test_times_that_all_have_a_zone_or_none_are_not_mixed(tmp_path: Path, times: tuple[str, ...]) -> None:
    series = read(tmp_path, "ts,y\n" + "".join(f"{time},1\n" for time in times))
    assert not any("zone" in text for text in series.warnings)


@pytest.mark.parametrize(
    "content",
    [
        "timestamp,value\n2024-01-01 12:00,1.5\n",
        "TimeStamp,Value,Label\n2024-01-01 12:00,1.5,0\n",
        "label,VALUE,time\nx,1.5,2024-01-01 12:00\n",
        "ts,cpu\n2024-01-01 12:00,1.5\n",
        "cpu,time\n1.5,2024-01-01 12:00\n",
        "value,when\n1.5,2024-01-01 12:00\n",
        "when,cpu\n2024-01-01 12:00,1.5\n",
        '"time","value"\r\n"2024-01-01 12:00","1.5"\r\n',
        "time;value\n2024-01-01 12:00;1.5\n",
        "time;value\n2024-01-01 12:00;1,5\n",
        "time\tvalue\n2024-01-01 12:00\t1.5\n",
        "time, value\n2024-01-01 12:00, 1.5\n",
        "time,value\r2024-01-01 12:00,1.5\r",
        "time,value\n2024-01-01 12:00,1.5,,\n",
        b"\xef\xbb\xbftime,value\n2024-01-01 12:00,1.5\n",
        gzip.compress(b"time,value\n2024-01-01 12:00,1.5\n"),
    ],
)
def test_columns_and_dialects(tmp_path: Path, content: str | bytes) -> None:
    series = read(tmp_path, content)
    assert (series.times.tolist(), series.values.tolist(), series.warnings) == ([NOON], [1.5], ())


def test_flags_name_the_columns(tmp_path: Path) -> None:
    content = "timestamp,seen,value,cpu\n0,1704110400,5,7\n"
    series = read(tmp_path, content, timestamp="seen", value="cpu")
    assert (series.timestamps, series.texts) == (["1704110400"], ["7"])
    assert read(tmp_path, content, value="cpu").timestamps == ["0"]


def test_a_short_row_is_a_row(tmp_path: Path) -> None:
    series = read(tmp_path, "timestamp,value\n1704110400,1\n1704110460\n")
    assert (series.texts, series.lines) == (["1", ""], [2, 3])
    assert np.isnan(series.values).tolist() == [False, True]


def test_a_row_over_several_lines_keeps_the_count_of_lines(tmp_path: Path) -> None:
    series = read(tmp_path, 'timestamp,value,note\n1704110400,1,"a\nb"\n1704110460,x,\n')
    assert "line 4: 'x'" in series.warnings[0]


def test_a_header_without_rows_is_a_series_without_rows(tmp_path: Path) -> None:
    series = read(tmp_path, "timestamp,value\n")
    assert (series.times.shape, series.values.shape, series.texts, series.warnings) == ((0,), (0,), [], ())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        ("a,b,c\n1,2,3\n", "has the columns a, b, c; say with --timestamp-column which is the timestamp"),
        ("time,b,c\n1,2,3\n", "has the columns time, b, c; say with --value-column which is the value"),
        (",".join("abcdefghijkl") + "\n", "has the columns a, b, c, d, e, f, g, h, i, j and 2 more; say with"),
        ("value\n1\n", "say with --timestamp-column"),
        ("time,value,value\n1,2,3\n", "2 columns named 'value'"),
        ("2024-01-01,5\n2024-01-02,6\n", "has no header"),
        ("1704110400,5\n1704110460,6\n", "has no header"),
        ("time,value\n1704110400,1,5\n", "line 2, has 3 cells, and the header 2"),
        ("time,value\n1704110400,abc\n1704110460,\n", "no value in column 'value' is a number"),
        ("time,value\nabc,1\n,2\n", "no timestamp in column 'time' can be read (the first on line 2: 'abc')"),
        ('time,value\n1704110400,"1\n1704110460,2\n', "line 3, is not CSV"),
        (b"time,value\n1704110400,\xe9\n", "line 2, is not in UTF-8"),
        ("time,value\n1704110400,1\n".encode("utf-16"), "is in UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not a text file"),
        (gzip.compress(b"time,value\n1704110400,1\n" * 99)[:-20], "is a damaged gzip file"),
        (b"\x1f\x8bnonsense", "is a damaged gzip file"),
    ],
)
def test_what_a_file_can_get_wrong(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(PostgaError) as caught:
        read(tmp_path, content)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / "in.csv"))
    assert words in text
    assert text.endswith(".")
    assert "\n" not in text
    assert type(caught.value) is (NotEnoughDataError if words == "is empty" else ConfigError)


def test_an_unknown_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column 'cpu' \(--value-column\); its columns are time, load;"):
        read(tmp_path, "time,load\n1704110400,1\n", value="cpu")
    with pytest.raises(ConfigError, match=r"no column 'ts' \(--timestamp-column\)"):
        read(tmp_path, "time,load\n1704110400,1\n", timestamp="ts")


def test_one_column_cannot_be_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'load' cannot be both timestamp and value"):
        read(tmp_path, "time,load,x\n1704110400,1,2\n", timestamp="load", value="load")


def test_a_long_cell_is_quoted_in_part(tmp_path: Path) -> None:
    series = read(tmp_path, f"time,value\n1704110400,1\n1704110460,{'x' * 5000}\n")
    assert f"'{'x' * 40}…'" in series.warnings[0]


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_series(tmp_path, Columns())
