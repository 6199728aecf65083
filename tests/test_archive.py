"""Evidence and its generations. What collecting again makes of them is in ``test_stages``."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from observability.archive import Archive
from observability.definitions import Release
from observability.errors import ConfigError
from observability.layout import Layout
from observability.model import Array, Samples, SourceInfo
from observability.release import load
from observability.store import Store

SERVER, OTHER = "http://prometheus:9090", "http://other:9090"
RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
step: 1h
only: [overall_error_rate, db_connections]
slos: []
"""
NAN = np.nan
WHOLE = {"http_requests": np.full(24, 9.0), "http_errors": np.full(24, 1.0), "db_sessions": np.full(24, 5.0)}


def release(tmp_path: Path, more: str = "") -> Release:
    (tmp_path / "release.yaml").write_text(RELEASE + more)
    return load(tmp_path / "release.yaml")


def archive(tmp_path: Path, more: str = "") -> Archive:
    found = release(tmp_path, more)
    return Archive(found, Layout(Store(tmp_path / "out"), found.services))


def keep(archive: Archive, columns: Mapping[str, Array], day: int = 1, server: str = SERVER) -> Samples:
    samples = Samples("default", archive.release.calendar.window(day), 3600, columns)
    archive.keep(day, {"default": samples}, {}, SourceInfo(prometheus=server, step_s=3600))
    return samples


def best(archive: Archive, day: int = 1, server: str = SERVER) -> dict[str, list[float]]:
    return {name: list(values) for name, values in archive.best(day, server)["default"].samples.columns.items()}


def until(hours: int, values: Array) -> Array:
    return np.where(np.arange(24) < hours, values, NAN)


def replaced(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "out/evidence").glob("replaced/*"))


def test_the_generation_that_saw_more_is_the_best(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    keep(kept, {name: until(10, values) for name, values in WHOLE.items()})
    assert len(replaced(tmp_path)) == 1
    assert best(kept) == {name: list(values) for name, values in WHOLE.items()}


def test_every_generation_that_held_more_is_kept(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    for hours in (20, 15, 10):
        keep(kept, {name: until(hours, values) for name, values in WHOLE.items()})
    assert len(replaced(tmp_path)) == 2
    assert np.isfinite(best(kept)["http_requests"]).sum() == 20


def test_a_file_that_nobody_can_read_is_not_kept(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    (tmp_path / "out/evidence/day_01.csv.gz").write_bytes(b"not gzip")
    keep(kept, WHOLE)
    assert replaced(tmp_path) == []


def test_evidence_of_another_ga_instant_is_kept(tmp_path: Path) -> None:
    """Under the name of the same day, after GA was corrected by an hour."""
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    hour = timedelta(hours=1)
    moved = kept.release.model_copy(update={"ga": kept.release.ga + hour})
    keep(Archive(moved, kept.layout), WHOLE)
    assert len(replaced(tmp_path)) == 1
    assert best(kept) == {name: list(values) for name, values in WHOLE.items()}


def test_what_a_kpi_relates_is_of_one_generation_and_what_it_does_not_is_of_its_own_best(tmp_path: Path) -> None:
    """24 + 10 values of the counts then, 20 + 20 now: the later ones win together. Of the sessions 24 beat 20."""
    kept = archive(tmp_path)
    keep(kept, {**WHOLE, "http_errors": until(10, WHOLE["http_errors"])})
    keep(kept, {name: until(20, values + 1) for name, values in WHOLE.items()})
    found = best(kept)
    assert np.nansum(found["http_requests"]) == 20 * 10
    assert np.nansum(found["http_errors"]) == 20 * 2
    assert found["db_sessions"] == [5.0] * 24


def test_columns_that_tell_of_others_do_not_make_a_generation_better(tmp_path: Path) -> None:
    """10 hours with the share of the targets that were seen in each of 24 are fewer than 24 hours."""
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    share = np.where(np.arange(24) < 10, 1.0, 0.0)
    beside = {"http_requests.seen": share, "http_errors.seen": share, "http_requests.earlier": share}
    keep(kept, {**{name: until(10, values) for name, values in WHOLE.items()}, **beside})
    assert best(kept) == {name: list(values) for name, values in WHOLE.items()}


def test_another_servers_evidence_is_not_taken_and_not_lost(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    keep(kept, {"db_sessions": np.full(24, 7.0)}, server=OTHER)
    assert best(kept, server=OTHER) == {"db_sessions": [7.0] * 24}
    assert best(kept) == {name: list(values) for name, values in WHOLE.items()}
    assert kept.best(1, "http://third:9090") == {}


def test_what_an_earlier_collection_saw_more_of_is_told(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    now = Samples(
        "default", kept.release.calendar.window(1), 3600, {**WHOLE, "db_sessions": until(3, WHOLE["db_sessions"])}
    )
    assert kept.lost(1, now) == ["db_sessions"]
    assert kept.lost(2, now) == []


def test_the_same_evidence_again_replaces_nothing(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    before = (tmp_path / "out/evidence/day_01.csv.gz").read_bytes()
    keep(kept, WHOLE)
    assert (tmp_path / "out/evidence/day_01.csv.gz").read_bytes() == before
    assert replaced(tmp_path) == []


def test_days_whose_evidence_does_not_hold_a_query(tmp_path: Path) -> None:
    """A day without any evidence is missing as a whole, and lacks nothing."""
    first = archive(tmp_path)
    keep(first, WHOLE, day=1)
    second = archive(tmp_path, "queries: {db_sessions: 'sum(other{$match})'}\n")
    keep(second, WHOLE, day=2)
    assert second.lacking(range(4), SERVER) == {"db_sessions": [1]}
    assert archive(tmp_path).lacking(range(4), SERVER) == {"db_sessions": [2]}


@pytest.mark.parametrize("content", [b"", b"no evidence"])
def test_a_file_that_nobody_can_read_is_refused_unless_another_generation_stands_in(
    tmp_path: Path, content: bytes
) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE)
    path = tmp_path / "out/evidence/day_01.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"out/evidence/day_01\.csv\.gz is not an evidence file that can be used"):
        kept.lacking([1], SERVER)
    path.unlink()
    keep(kept, WHOLE)
    keep(kept, {name: until(10, values) for name, values in WHOLE.items()})
    path.write_bytes(content)
    assert kept.lacking([1], SERVER) == {}


CLIENT_ERRORS = """
only: [overall_error_rate, request_rate, client_error_rate]
queries: {http_4xx: {type: counter, promql: 'last_over_time(http_4xx{$match}[$step])'}}
kpis:
  client_error_rate: {about: Bad requests., kind: ratio, numerator: http_4xx, denominator: http_requests, scale: 100,
                      unit: "%", direction: lower is better, category: errors}
"""


def test_a_new_kpi_leaves_what_is_held_of_the_queries_it_shares(tmp_path: Path) -> None:
    keep(archive(tmp_path), WHOLE)
    (tmp_path / "release.yaml").write_text(
        RELEASE.replace("only: [overall_error_rate, db_connections]\n", CLIENT_ERRORS)
    )
    found = load(tmp_path / "release.yaml")
    edited = Archive(found, Layout(Store(tmp_path / "out"), found.services))
    assert edited.lacking([1], SERVER) == {"http_4xx": [1]}
    assert {name: list(values) for name, values in WHOLE.items()} == best(edited)


def test_the_evidence_of_another_day_is_refused_under_a_days_name(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    keep(kept, WHOLE, day=1)
    evidence = tmp_path / "out/evidence"
    (evidence / "day_02.csv.gz").write_bytes((evidence / "day_01.csv.gz").read_bytes())
    with pytest.raises(ConfigError, match=r"day_02\.csv\.gz .*'2025-11-19T00:00:00Z' stands where the step 2025-11-20"):
        kept.lacking([2], SERVER)


def of_services(tmp_path: Path, services: str) -> Archive:
    return archive(tmp_path, f"services: [{services}]\n")


def keep_services(archive: Archive, services: str) -> None:
    window = archive.release.calendar.window(1)
    found = {
        name: Samples(name, window, 3600, {"db_sessions": np.full(24, float(len(name)))})
        for name in services.split(", ")
    }
    archive.keep(1, found, {}, SourceInfo(prometheus=SERVER, step_s=3600))


@pytest.mark.parametrize(
    ("before", "after", "stay"),
    [
        ("a, bb", "bb, a", {"a", "bb"}),
        ("a, bb", "a, bb, ccc", {"a", "bb"}),
        ("a, bb, ccc", "ccc, a", {"a", "ccc"}),
        ("a, bb", "bb", {"bb"}),
        ("bb", "a, bb", {"bb"}),
    ],
    ids=["reordered", "added", "removed", "one is left", "one gets company"],
)
def test_the_services_that_stay_keep_their_evidence(tmp_path: Path, before: str, after: str, stay: set[str]) -> None:
    keep_services(of_services(tmp_path, before), before)
    edited = of_services(tmp_path, after)
    found = edited.best(1, SERVER)
    assert found.keys() == stay
    for name, evidence in found.items():
        assert evidence.held(edited.release.plan) == {"http_requests", "http_errors", "db_sessions"}
        assert list(evidence.samples.columns["db_sessions"]) == [len(name)] * 24


def test_the_evidence_of_another_service_is_refused_under_a_services_name(tmp_path: Path) -> None:
    kept = of_services(tmp_path, "a, bb")
    keep_services(kept, "a, bb")
    evidence = tmp_path / "out/a/evidence/day_01.csv.gz"
    evidence.write_bytes((tmp_path / "out/bb/evidence/day_01.csv.gz").read_bytes())
    assert kept.best(1, SERVER).keys() == {"bb"}
    with pytest.raises(ConfigError, match=r"out/a/evidence/day_01\.csv\.gz is of the service 'bb', not of 'a'"):
        kept.lacking([1], SERVER)
    keep_services(kept, "a, bb")
    assert len(list((tmp_path / "out/a/evidence/replaced").iterdir())) == 1  # what it replaced is not lost
