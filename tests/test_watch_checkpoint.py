"""The checkpoint: all of it or none, and of this release or refused."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.definitions import Channel, IncidentSettings, PriceList, Release
from observability.errors import ConfigError
from observability.layout import WATCH
from observability.store import Store
from observability.watching import checkpoint
from observability.watching.checkpoint import UnusableError
from tests.test_stream import BASE, GA, RELEASE, START, STEP
from tests.watched import Source, logged_in, notified_in, run, watcher_in

STEPS_DONE = 330


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is watched until some of what happened is over."""
    folder = tmp_path_factory.mktemp("watched")
    run(watcher_in(folder), START + STEPS_DONE * STEP)
    return folder


@pytest.fixture
def folder(watched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(watched, tmp_path / "copy"))


def read(content: bytes, folder: Path) -> checkpoint.Checkpoint | None:
    (folder / checkpoint.FILE).write_bytes(content)
    return checkpoint.read(Store(folder))


def file_of(folder: Path) -> Path:
    return folder / WATCH / checkpoint.FILE


def rewritten(folder: Path, about: Callable[[dict[str, Any]], None], **arrays: Any) -> None:
    """The checkpoint with other words or arrays."""
    with np.load(file_of(folder)) as file:
        kept = dict(file)
    said = json.loads(kept["about"].tobytes())
    about(said)
    kept["about"] = np.frombuffer(json.dumps(said).encode(), dtype=np.uint8)
    written = io.BytesIO()
    np.savez(written, **{**kept, **arrays})
    file_of(folder).write_bytes(written.getvalue() + hashlib.sha256(written.getvalue()).digest())


# Damage


def test_it_is_read_as_it_was_written(folder: Path) -> None:
    watcher = watcher_in(folder)
    kept = checkpoint.read(Store(folder / WATCH))
    assert kept is not None
    assert (kept.begun, kept.logged) == (START, watcher.log.size)
    assert kept.identity == json.loads(json.dumps(checkpoint.identity(RELEASE, START, GA)))
    for name, array in watcher.stream.memory().items():
        np.testing.assert_array_equal(kept.stream[name], array, err_msg=name)
    assert watcher.until == START + STEPS_DONE * STEP


def test_none_is_there(tmp_path: Path) -> None:
    assert checkpoint.read(Store(tmp_path)) is None


@settings(max_examples=80)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(watched: Path, tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    content = file_of(watched).read_bytes()
    with pytest.raises(UnusableError, match=r"checkpoint\.npz is damaged \("):
        read(content[: int(share * len(content))], tmp_path_factory.mktemp("cut"))


@settings(max_examples=80)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_bit_that_flips(watched: Path, tmp_path_factory: pytest.TempPathFactory, share: float, bit: int) -> None:
    content = bytearray(file_of(watched).read_bytes())
    content[int(share * len(content))] ^= 1 << bit
    with pytest.raises(UnusableError, match=r"checkpoint\.npz is damaged \(its checksum is wrong\)"):
        read(bytes(content), tmp_path_factory.mktemp("flip"))


def test_objects_are_not_unpickled(folder: Path) -> None:
    rewritten(folder, lambda about: None, **{"stream.runs": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(UnusableError, match=r"is damaged \(Object arrays cannot be loaded"):
        checkpoint.read(Store(folder / WATCH))


@pytest.mark.parametrize("content", [b"", b"not one", bytes(5000)])
def test_another_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnusableError, match="is damaged"):
        read(content, tmp_path)


@pytest.mark.parametrize("missing", ["version", "identity", "begun", "logged"])
def test_an_unknown_description(folder: Path, missing: str) -> None:
    rewritten(folder, lambda about: about.pop(missing))
    with pytest.raises(UnusableError, match="is damaged"):
        checkpoint.read(Store(folder / WATCH))


def damaged(folder: Path) -> None:
    file_of(folder).write_bytes(file_of(folder).read_bytes()[:-1000])


def of_version_2(folder: Path) -> None:
    rewritten(folder, lambda about: about.update(version=2))


def with_a_shorter_log(folder: Path) -> None:
    log = folder / WATCH / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (damaged, r"{0}/checkpoint.npz is damaged (its checksum is wrong)"),
        (of_version_2, r"{0}/checkpoint.npz has version 2, and this postga reads 1"),
        (with_a_shorter_log, r"{0}/log.jsonl is shorter than it was at the last checkpoint"),
    ],
)
def test_without_a_usable_one_it_begins_again(
    watched: Path, folder: Path, break_it: Callable[[Path], None], said: str
) -> None:
    """From the history; it finds the same, and tells nobody twice."""
    run(watcher_in(watched_whole := Path(shutil.copytree(watched, folder.with_name("whole")))))
    break_it(folder)
    warnings: list[str] = []
    watcher = watcher_in(folder, warnings=warnings)
    text = "it is begun again from the history, and what the log holds is not told again"
    assert warnings == [f"{said.format(folder / WATCH)}; {text}."]
    assert watcher.until == START
    run(watcher)
    assert logged_in(folder) == logged_in(watched_whole)
    assert ids(folder) == ids(watched_whole)


def ids(folder: Path) -> list[str]:
    return sorted(told.id for told in notified_in(folder) if told.status != "escalated")


# Another release


def other(**changes: Any) -> Release:
    return RELEASE.model_copy(update=changes)


def other_kpi(**changes: Any) -> Release:
    kpi = RELEASE.kpis["request_rate"].model_copy(update=changes)
    return other(kpis={**RELEASE.kpis, "request_rate": kpi})


def other_query() -> Release:
    query = RELEASE.queries["http_requests"]
    return other(queries={**RELEASE.queries, "http_requests": query.model_copy(update={"promql": "sum(up)"})})


def without(kpi: str) -> Release:
    return other(kpis={name: one for name, one in RELEASE.kpis.items() if name != kpi})


@pytest.mark.parametrize(
    ("release", "first"),
    [
        (other(release="v2"), f"release was {RELEASE.release} and is v2"),
        (other(ga=GA + STEP), "ga was 2025-11-18T00:00:00Z and is 2025-11-18T00:30:00Z"),
        (other(step=timedelta(minutes=15)), "step was 1800 and is 900"),
        (other_query(), "query http_requests has changed"),
        (other_kpi(scale=2.0), "KPI request_rate has changed"),
        (
            without("db_connections"),
            "service shop has changed, service cart has changed, KPI db_connections is gone and 1 more",
        ),
        (other(channels=RELEASE.channels[:2]), "detector ewma is gone"),
        (
            other(channels=(*RELEASE.channels[:2], Channel(name="ewma", threshold=5.0))),
            "detector ewma has changed",
        ),
        (other(services=("cart", "shop")), "the services are in another order"),
        (other(services=("shop", "cart", "till")), "service till is new"),
        (other(prices=PriceList(currency="EUR", cpu_core_hour=0.1)), "the prices have changed"),
        (other(incidents=IncidentSettings(threshold=9.0)), "incidents' parameter threshold has changed"),
        (other(service_label="app"), "service_label was None and is app"),
    ],
)
def test_one_of_another_release_is_refused(folder: Path, release: Release, first: str) -> None:
    """What has changed is named."""
    before = file_of(folder).read_bytes()
    with pytest.raises(ConfigError) as raised:
        watcher_in(folder, release=release)
    said, what_to_do = str(raised.value).split("; ")
    assert said.startswith(f"{file_of(folder)} is of another watch: {first}")
    anew = "add --anew to begin again from the history (what was found before is kept beside the log)"
    assert what_to_do == f"undo that, name another folder, or {anew}."
    assert file_of(folder).read_bytes() == before


def test_another_span_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="since was 2025-11-18T00:00:00Z and is 2025-11-18T00:30:00Z; undo"):
        watcher_in(folder, since=GA + STEP)


@pytest.mark.parametrize(
    "changes",
    [
        {"slos": BASE.slos[:1]},
        {"maintenance": ()},
        {"prometheus": BASE.prometheus.model_copy(update={"url": "http://elsewhere:9090"})},
    ],
)
def test_what_scores_do_not_depend_on_may_change(folder: Path, changes: dict[str, Any]) -> None:
    assert watcher_in(folder, release=other(**changes)).resumed


def test_anew(folder: Path) -> None:
    """Of another release too; what was found before is kept."""
    log = logged_in(folder)
    watcher = watcher_in(folder, release=other_kpi(scale=2.0), anew=True)
    assert (watcher.resumed, watcher.until, watcher.log.found) == (False, START, [])
    assert sorted((folder / WATCH / "log.jsonl.1").read_text().splitlines()) == log
    run(watcher, START + STEPS_DONE * STEP)
    assert watcher_in(folder, release=other_kpi(scale=2.0)).resumed


def test_anew_from_a_damaged_log(folder: Path) -> None:
    log = folder / WATCH / "log.jsonl"
    log.write_bytes(b"?" + log.read_bytes())
    with pytest.raises(ConfigError, match=r"log\.jsonl:1 is no finding; restore the file, or add --anew"):
        watcher_in(folder)
    assert watcher_in(folder, anew=True).log.found == []


def test_rivers_detectors_begin_again(tmp_path: Path) -> None:
    """Their state is no numbers; the log and the outbox know what was told."""
    river = Channel(name="StandardAbsoluteDeviation", threshold=6.0)
    release = other(channels=(RELEASE.channels[2], river))
    run(watcher_in(tmp_path, release=release), START + STEPS_DONE * STEP)
    log = logged_in(tmp_path)
    assert log
    source = Source()
    again = watcher_in(tmp_path, source, release=release, now=GA)
    assert (again.begun, again.resumed) == (START, False)
    run(again, START + STEPS_DONE * STEP)
    assert source.read[0].start == START
    assert logged_in(tmp_path) == log
