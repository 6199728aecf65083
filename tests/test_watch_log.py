"""The watcher's log: whole lines, each once, whatever a crash or a full disk has left at its end."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.errors import ConfigError
from observability.events import Anomaly, Finding, NewLevel
from observability.watching.log import Log, key_of, set_aside
from tests.notifications import START, incident

ANOMALY = Anomaly(
    timestamp=START,
    metric_name="p99_latency_ms",
    value=812.25,
    baseline=240.1,
    z_score=9.5,
    severity="high",
    category="latency",
    id="checkout/p99_latency_ms/significance/2025-11-20T14:02:00Z",
    service="checkout",
    start=START,
    end=START,
)
LEVEL = NewLevel(
    metric_name="p99_latency_ms",
    since=START,
    noticed=START,
    before=240.1,
    after=300.5,
    category="latency – slow",
    service="checkout",
    channel="significance",
)
FINDINGS: tuple[Finding, ...] = (ANOMALY, LEVEL, incident(), incident("checkout-2"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_what_is_appended_is_read_again(path: Path) -> None:
    log = Log(path)
    assert log.append(FINDINGS[:2]) == list(FINDINGS[:2])
    assert log.append(FINDINGS[2:]) == list(FINDINGS[2:])
    again = Log(path)
    assert again.found == list(FINDINGS) == log.found
    assert again.size == log.size == path.stat().st_size


def test_a_line_says_what_it_is(path: Path) -> None:
    Log(path).append(FINDINGS)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["kind"] for entry in entries] == ["anomaly", "new_level", "incident", "incident"]
    assert entries[0]["found"]["id"] == ANOMALY.id


def test_nothing_is_in_it_twice(path: Path) -> None:
    log = Log(path)
    log.append(FINDINGS[:3])
    before = path.read_bytes()
    assert log.append(FINDINGS[:3]) == []
    assert Log(path).append([ANOMALY.model_copy(update={"score": 3.0})]) == []  # it is the id that counts
    assert path.read_bytes() == before


def test_without_findings_there_is_no_file(path: Path) -> None:
    assert Log(path).append([]) == []
    assert not path.exists()


def test_findings_of_different_kinds_have_different_keys() -> None:
    moved = LEVEL.model_copy(update={"channel": "ewma"})
    assert len({key_of(one) for one in (*FINDINGS, moved)}) == 5


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_a_crash_leaves_of_the_last_lines(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut anywhere, with anything behind that is no line: what was whole stands, and the rest can be appended again."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    Log(path).append(FINDINGS)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    rest = data.draw(st.sampled_from([b"", bytes(4096), b"\xff\xfe\n\n", b"{}\n", b'{"kind": "anomaly"}\n', b"\r\r\n"]))
    path.write_bytes(whole[:cut] + rest)
    log, lines = Log(path), whole[:cut].count(b"\n")
    assert log.found == list(FINDINGS[:lines])
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:lines])
    assert log.append(FINDINGS) == list(FINDINGS[lines:])
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"?", bytes(20)])
def test_damage_before_whole_lines_is_no_crash(path: Path, damage: bytes) -> None:
    """Nothing is cut off: somebody may want to see to it."""
    Log(path).append(FINDINGS)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = damage + lines[1]
    path.write_bytes(b"".join(lines))
    with pytest.raises(ConfigError) as raised:
        Log(path)
    restore = "restore the file, or add --anew to begin again from the history"
    assert str(raised.value) == f"{path}:2 is no finding; {restore}."
    assert path.read_bytes() == b"".join(lines)


def test_one_that_is_set_aside_is_kept(path: Path) -> None:
    set_aside(path)
    for number in (1, 2, 3):
        Log(path).append(FINDINGS[:number])
        set_aside(path)
        assert not path.exists()
        assert Log(path.with_name(f"log.jsonl.{number}")).found == list(FINDINGS[:number])


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks off in the middle of the text, once and again, and in the end there is room."""
    log, real = Log(path), os.write
    log.append(FINDINGS[:1])
    room = [40, 0, 90, 10**6, 10**6]

    def write(handle: int, text: bytes) -> int:
        left = room.pop(0)
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, text[:left])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ConfigError) as raised:
        log.append(FINDINGS)
    said = "No space left on device; make room, or name another folder"
    assert str(raised.value) == f"{path} cannot be written: {said}."
    assert log.found == [ANOMALY]
    assert log.append(FINDINGS) == list(FINDINGS[1:])
    assert Log(path).found == list(FINDINGS)


def test_a_file_that_was_taken_away(path: Path) -> None:
    """What is written then is whole; that something is missing, the checkpoint knows."""
    log = Log(path)
    log.append(FINDINGS[:2])
    path.unlink()
    log.append(FINDINGS[2:])
    assert Log(path).found == list(FINDINGS[2:])
    assert Log(path).size < log.size


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match=r"log\.jsonl cannot be written: Is a directory"):
        Log(path)
