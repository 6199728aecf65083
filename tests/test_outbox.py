"""The outbox: what was put is there after whatever end, once, in its order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observability.errors import ConfigError
from observability.events import Notification
from observability.watching import outbox
from observability.watching.outbox import FILE, KNOWN, Outbox
from tests.notifications import notification
from tests.programs import ROOT

KEY, WHO = "outbox_webhook.json", "webhook http://localhost/hook"
LINE = 1000  # bytes; a notification's line has a little less


def held(box: Outbox, number: int = 0) -> list[Notification]:
    """Everything from a number on."""
    found = []
    while (entry := box.after(number)) is not None:
        found.append(entry[1])
        number = entry[0] + 1
    return found


def three() -> list[Notification]:
    return [notification(), notification(status="escalated", severity="critical"), notification("other-1")]


def filled(folder: Path) -> Outbox:
    box = Outbox(folder)
    assert [box.put(one) for one in three()] == [True, True, True]
    return box


def test_what_was_put_is_there_in_its_order(tmp_path: Path) -> None:
    for box in (filled(tmp_path), Outbox(tmp_path)):
        assert held(box) == three()
        assert held(box, 2) == three()[2:]
        assert box.next_number == 3


def test_a_line_is_the_notification_as_json(tmp_path: Path) -> None:
    filled(tmp_path)
    first = json.loads((tmp_path / FILE).read_text().splitlines()[0])
    assert first.pop("number") == 0
    assert first == notification().model_dump(mode="json")
    assert 0.5 * LINE < (tmp_path / FILE).stat().st_size / 3 < LINE


def test_an_id_is_put_once(tmp_path: Path) -> None:
    for box in (filled(tmp_path), Outbox(tmp_path)):
        assert not box.put(notification())
        assert held(box) == three()


def test_a_torn_line_is_cut_off_and_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    filled(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last, len(whole), 7):
        (tmp_path / FILE).write_bytes(whole[:length])
        box = Outbox(tmp_path)
        assert held(box) == three()[:2]
        assert box.put(three()[2])
        assert (tmp_path / FILE).read_bytes() == whole


def test_a_torn_line_that_is_longer_than_the_next_one(tmp_path: Path) -> None:
    filled(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + b"x" * 10 * LINE)
    box = Outbox(tmp_path)
    box.put(notification("new"))
    assert (tmp_path / FILE).stat().st_size < len(whole) + LINE
    assert len(held(Outbox(tmp_path))) == 4


def test_a_broken_line_is_refused_and_left_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(ConfigError, match=r"outbox\.jsonl:2 is no notification \(Field required\); restore the file"):
        Outbox(tmp_path)
    assert (tmp_path / FILE).read_bytes() == lines[0] + b"{}\n" + lines[2]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Outbox(tmp_path / "folder")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """One clear sentence; what was put before is there, and the next one has its place."""
    program = f"""
import resource, sys
from pathlib import Path
from observability.errors import ConfigError
from observability.watching.outbox import Outbox
from tests.notifications import notification
resource.setrlimit(resource.RLIMIT_FSIZE, ({2 * LINE}, {2 * LINE}))
box = Outbox(Path(sys.argv[1]))
for k in range(9):
    try:
        box.put(notification(f"incident-{{k}}"))
    except ConfigError as error:
        print(k, box.next_number, error)
        break
box.put(notification("again"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    where = tmp_path / FILE
    assert done.stdout == f"2 2 {where} cannot be written: File too large; make room, or name another folder.\n"
    assert "ConfigError" in done.stderr.splitlines()[-1]
    box = Outbox(tmp_path)
    assert [one.incident.id for one in held(box)] == ["incident-0", "incident-1"]
    assert box.put(notification("incident-2"))
    assert len(held(Outbox(tmp_path))) == 3


# How far receivers are


def test_a_receiver_goes_on_where_it_was(tmp_path: Path) -> None:
    box = filled(tmp_path)
    assert box.begin(KEY, WHO) == 0
    box.advance(KEY, WHO, 2)
    assert Outbox(tmp_path).begin(KEY, WHO) == 2


def test_a_new_receiver_begins_with_what_is_not_over(tmp_path: Path) -> None:
    """Incidents: a opens and resolves (0, 1), b opens (2), c opens and resolves (3, 4)."""
    box = Outbox(tmp_path)
    assert box.begin("first", WHO) == 0
    for name, statuses in (("a", ("open", "resolved")), ("b", ("open",)), ("c", ("open", "resolved"))):
        for status in statuses:
            box.put(notification(name, status))  # type: ignore[arg-type]
    assert box.begin("second", WHO) == 2
    box.put(notification("b", "resolved"))
    assert box.begin("third", WHO) == 6
    # A new one is not new again after a restart: b was not over when it came, and it has not been told so.
    assert Outbox(tmp_path).begin("second", WHO) == 2


def test_a_cursor_of_another_outbox_is_a_new_one(tmp_path: Path) -> None:
    filled(tmp_path).advance(KEY, WHO, 3)
    (tmp_path / FILE).unlink()
    box = Outbox(tmp_path)
    assert box.begin(KEY, WHO) == 0
    box.put(notification())
    assert Outbox(tmp_path).begin(KEY, WHO) == 0


def test_a_broken_cursor_is_refused(tmp_path: Path) -> None:
    box = filled(tmp_path)
    (tmp_path / KEY).write_text("{")
    with pytest.raises(ConfigError, match=r"outbox_webhook\.json is not JSON .*; delete it, and webhook http"):
        box.begin(KEY, WHO)


def test_open_incidents_as_a_receiver_knows_them(tmp_path: Path) -> None:
    box = filled(tmp_path)
    box.put(notification(status="resolved", severity="critical"))

    def known(before: int) -> list[str]:
        return [told.id for told in box.open_incidents(before)]

    assert known(0) == []
    assert known(1) == ["checkout-1/open/high"]
    assert known(3) == ["checkout-1/escalated/critical", "other-1/open/high"]
    assert known(4) == ["other-1/open/high"]


# Beginning anew


def test_it_is_begun_anew_without_what_everybody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = filled(tmp_path)
    box.put(notification(status="resolved", severity="critical"))
    monkeypatch.setattr(outbox, "LARGE", LINE)
    box.shrink(3)  # the end of the first incident is not delivered, so its lines stay
    assert len(held(box)) == 4
    box.shrink(4)
    for again in (box, Outbox(tmp_path)):
        assert [one.id for one in held(again)] == ["other-1/open/high"]
        assert again.next_number == 4
        assert [one.id for one in again.open_incidents(4)] == ["other-1/open/high"]
        assert not again.put(notification())
    assert Outbox(tmp_path).put(notification("new"))
    assert [one.id for one in held(Outbox(tmp_path), 4)] == ["new/open/high"]


def test_it_stays_bounded_and_remembers_ten_thousand_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LARGE", 3 * LINE)
    monkeypatch.setattr(outbox, "KNOWN", 10)
    monkeypatch.setattr("os.fsync", lambda _: None)
    box, sizes = Outbox(tmp_path), []
    for k in range(60):
        box.put(notification(f"n-{k:03}", "resolved"))
        box.shrink(box.next_number)
        sizes.append((tmp_path / FILE).stat().st_size)
    assert max(sizes) < 5 * LINE
    assert not any(Outbox(tmp_path).put(notification(f"n-{k:03}", "resolved")) for k in range(50, 60))
    assert KNOWN == 10_000


def test_a_head_that_is_large_by_itself_is_not_written_at_each_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = filled(tmp_path)
    box.put(notification(status="resolved", severity="critical"))
    monkeypatch.setattr(outbox, "LARGE", 60)  # less than the ids that it remembers
    box.shrink(4)
    before = (tmp_path / FILE).stat().st_ino
    box.shrink(4)
    assert (tmp_path / FILE).stat().st_ino == before


def test_no_room_to_begin_anew_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = filled(tmp_path)
    monkeypatch.setattr(outbox, "LARGE", 0)

    def full(*_: object) -> str:
        raise ConfigError("no room")

    monkeypatch.setattr(box._store, "write_bytes", full)
    box.shrink(3)
    assert held(box) == three()


# Against a list

STATUS: tuple[Literal["open"], Literal["escalated"], Literal["resolved"]] = ("open", "escalated", "resolved")
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(st.sampled_from(["put", "deliver", "restart", "tear", "shrink"]), st.integers(0, 5), st.integers(0, 2)),
    max_size=40,
)


@given(steps)
@example([("put", 4, 2), ("put", 4, 0), *[("deliver", 0, 0)] * 2, *[("deliver", 0, 1)] * 2, ("shrink", 0, 0)])
def test_it_does_what_a_list_does(done: list[Step]) -> None:
    """Whatever happens between: nobody misses a notification, and nobody gets one twice or early."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        patch.setattr(outbox, "LARGE", 1)
        folder, plain = Path(name), list[Notification]()
        box, got = Outbox(folder), {key: list[Notification]() for key in ("a", "b")}
        for key in got:
            box.begin(key, key)
        for action, number, which in done:
            if action == "put":
                one = notification(str(number), STATUS[which])
                assert box.put(one) == (one not in plain)
                plain += [one] if one not in plain else []
            elif action == "deliver":
                key = "ab"[which % 2]
                found = box.after(box.begin(key, key))
                if found is not None:
                    got[key].append(found[1])
                    box.advance(key, key, found[0] + 1)
            elif action == "shrink":
                box.shrink(min(box.begin(key, key) for key in got))
            else:
                if action == "tear":
                    with (folder / FILE).open("ab") as file:
                        file.write(b'{"schema_version":1,"id":"torn')
                box = Outbox(folder)
        for key, taken in got.items():
            assert taken + held(box, box.begin(key, key)) == plain
            last = {one.incident.id: one for one in taken}
            known = [one for one in last.values() if one.status != "resolved"]
            assert sorted(one.id for one in box.open_incidents(box.begin(key, key))) == sorted(one.id for one in known)
