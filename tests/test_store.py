"""Artifacts are replaced whole or not at all, on a disk and on an object store."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from observability import store as store_module
from observability.artifacts import DaySummary
from observability.errors import ConfigError
from observability.events import AnomalyEvents
from observability.store import Store, beside, within

GA = datetime(2025, 11, 18, tzinfo=UTC)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    store, summary = Store(tmp_path), DaySummary(timestamp=GA, overall_availability=0.0)
    assert store.write("a/b/day.json", summary) == str(tmp_path / "a/b/day.json")
    assert store.exists("a/b/day.json")
    assert store.read("a/b/day.json", DaySummary, "") == summary


@pytest.mark.parametrize("root", ["a folder", "memory://store"])
def test_what_was_deleted_is_gone_and_may_have_been_before(tmp_path: Path, root: str) -> None:
    store = Store(root if "://" in root else tmp_path)
    store.write_bytes("gone.json", b"{}")
    store.delete("gone.json")
    store.delete("gone.json")
    assert not store.exists("gone.json")


def test_the_same_artifact_gives_the_same_bytes(tmp_path: Path) -> None:
    store, summary = Store(tmp_path), DaySummary(timestamp=GA)
    store.write("one.json", summary)
    store.write("two.json", store.read("one.json", DaySummary, ""))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_write_that_fails_leaves_the_old_artifact_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.write_bytes("day.json", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        store.write_bytes("day.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["day.json"]
    assert (tmp_path / "day.json").read_bytes() == b"old"


def test_an_artifact_has_the_usual_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        Store(tmp_path).write_bytes("day.json", b"")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "day.json").stat().st_mode) == 0o644


def test_an_object_store_is_a_url() -> None:
    store, summary = Store("memory://release"), DaySummary(timestamp=GA)
    assert store.write("ga_kpis/day.json", summary) == "memory://release/ga_kpis/day.json"
    assert store.exists("ga_kpis/day.json")
    assert store.read("ga_kpis/day.json", DaySummary, "") == summary
    assert not store.exists("other.json")
    with pytest.raises(ConfigError, match=r"memory://release/other\.json not found; look again\."):
        store.read("other.json", DaySummary, "look again")


def test_absolute_paths_and_urls_stand_for_themselves(tmp_path: Path) -> None:
    store = Store("elsewhere")
    assert store.location(str(tmp_path)) == str(tmp_path)
    assert store.location("s3://bucket/key") == "s3://bucket/key"
    assert store.location("key") == "elsewhere/key"


def test_anomalies_may_be_a_bare_list(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text(
        '[{"timestamp": "2025-11-18T01:00:00Z", "metric_name": "m", "value": 0, "baseline": 0, "z_score": -3.5,'
        ' "severity": "high", "category": "errors"}]'
    )
    events = Store(tmp_path).read("events.json", AnomalyEvents, "")
    assert [(event.value, event.z_score, event.in_maintenance) for event in events.anomalies] == [(0, -3.5, None)]


@pytest.mark.parametrize(
    ("key", "name", "expected"), [("a/b.json", "c", "a/c"), ("b.json", "c", "c"), ("s3://x/b", "c", "s3://x/c")]
)
def test_beside(key: str, name: str, expected: str) -> None:
    assert beside(key, name) == expected


@pytest.mark.parametrize(("folder", "expected"), [("a", "a/c"), ("a/", "a/c"), ("s3://x", "s3://x/c")])
def test_within(folder: str, expected: str) -> None:
    assert within(folder, "c") == expected
