"""What the watcher says of itself: its metrics, and the endpoint that serves them."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from observability import __version__
from observability.errors import ConfigError
from observability.watching import endpoint
from observability.watching.endpoint import serve
from observability.watching.metrics import PREFIX, Metrics

START = datetime(2025, 11, 18, tzinfo=UTC)
STEP = timedelta(minutes=1)
PAGE = Path(__file__).parents[1] / "docs/watch.md"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def made(now: datetime = START, channels: tuple[str, ...] = (), queries: tuple[str, ...] = ()) -> Metrics:
    return Metrics(START, lambda: now, channels, queries)


def told(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"{PREFIX}_{name}", labels)


def lines(metrics: Metrics) -> list[str]:
    return metrics.exposition()[1].decode().splitlines()


# --- the metrics


def test_a_step_is_told() -> None:
    metrics = made()
    metrics.stepped(START + STEP, samples=300, seconds=0.5, late=2)
    metrics.stepped(START + 2 * STEP, samples=310, seconds=0.25)
    assert told(metrics, "steps_total") == 2
    assert told(metrics, "samples_total") == 610
    assert told(metrics, "late_samples_total") == 2
    assert told(metrics, "samples_per_second") == 310 / 0.25
    assert told(metrics, "last_step_timestamp_seconds") == (START + 2 * STEP).timestamp()
    assert told(metrics, "step_duration_seconds_count") == 2
    assert told(metrics, "step_duration_seconds_sum") == 0.75
    assert told(metrics, "step_duration_seconds_bucket", le="0.2") == 0
    assert told(metrics, "step_duration_seconds_bucket", le="0.5") == 2


def test_steps_that_were_read_together_last_their_mean() -> None:
    """A day at once in 72 s: 1,440 steps of 50 ms."""
    metrics = made()
    metrics.stepped(START + 1440 * STEP, samples=1440 * 7, seconds=72, steps=1440)
    assert told(metrics, "steps_total") == 1440
    assert told(metrics, "step_duration_seconds_sum") == 0.05


def test_a_step_that_took_no_time_has_no_rate() -> None:
    metrics = made()
    metrics.stepped(START + STEP, samples=3, seconds=0.0)
    assert told(metrics, "samples_per_second") == pytest.approx(nan, nan_ok=True)


def test_the_lag_is_taken_at_the_scrape() -> None:
    """From where the watch begins, then from the end of the last step."""
    now = START
    metrics = Metrics(START, lambda: now)
    assert told(metrics, "lag_seconds") == 0
    now = START + timedelta(seconds=90)
    assert told(metrics, "lag_seconds") == 90
    metrics.stepped(START + STEP, samples=1, seconds=1)
    assert told(metrics, "lag_seconds") == 30
    now += timedelta(hours=6)
    assert told(metrics, "lag_seconds") == 6 * 3600 + 30


def test_what_is_found_is_counted() -> None:
    metrics = made()
    metrics.episode("high", "novelty")
    metrics.episode("high", "novelty")
    metrics.incident("critical")
    metrics.failed("http_requests")
    metrics.set_open(incidents=1, episodes=2)
    metrics.set_series(10_000)
    metrics.checkpointed(START + 5 * STEP)
    assert told(metrics, "episodes_total", severity="high", channel="novelty") == 2
    assert told(metrics, "incidents_total", severity="critical") == 1
    assert told(metrics, "query_failures_total", query="http_requests") == 1
    assert (told(metrics, "open_incidents"), told(metrics, "open_episodes")) == (1, 2)
    assert told(metrics, "series") == 10_000
    assert told(metrics, "checkpoint_timestamp_seconds") == (START + 5 * STEP).timestamp()
    assert told(metrics, "build_info", version=__version__) == 1


def test_what_is_known_is_told_before_anything_happens() -> None:
    """``increase()`` of a counter that appears with 1 is 0: its first event would be missed."""
    metrics = made(channels=("significance",), queries=("http_requests",))
    for severity in ("low", "medium", "high", "critical"):
        assert told(metrics, "episodes_total", severity=severity, channel="significance") == 0
        assert told(metrics, "incidents_total", severity=severity) == 0
    assert told(metrics, "query_failures_total", query="http_requests") == 0


def test_an_instant_that_is_not_known_is_no_number() -> None:
    """0 would be 1970, and each alert on its age would fire."""
    for name in ("last_step", "checkpoint"):
        assert f"{PREFIX}_{name}_timestamp_seconds NaN" in lines(made())


def test_sinks_are_asked_at_each_scrape() -> None:
    pending, failures = {"alertmanager": 0}, {"alertmanager": 0}
    metrics = made()
    metrics.sinks(lambda: pending, lambda: failures)
    assert told(metrics, "notifications_pending", sink="alertmanager") == 0
    pending["alertmanager"], failures["alertmanager"] = 3, 14
    assert told(metrics, "notifications_pending", sink="alertmanager") == 3
    assert told(metrics, "notification_failures_total", sink="alertmanager") == 14


def test_two_in_one_process_are_apart() -> None:
    one, other = made(), made()
    one.incident("high")
    assert told(other, "incidents_total", severity="high") == 0


def test_both_formats_are_read_by_their_parsers() -> None:
    metrics = full()
    plain, content = metrics.exposition()
    assert plain.startswith("text/plain; version=0.0.4")
    assert {family.name for family in text_string_to_metric_families(content.decode())} >= {f"{PREFIX}_samples"}
    asked, content = metrics.exposition(OPENMETRICS)
    assert asked.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in openmetrics(content.decode())} >= {f"{PREFIX}_samples", f"{PREFIX}_lag_seconds"}


def test_counters_are_told_once() -> None:
    assert [line for line in lines(full()) if "_created" in line] == []


def full() -> Metrics:
    """With something of everything."""
    metrics = made(channels=("significance",), queries=("http_requests",))
    metrics.sinks(lambda: {'http://a/"b"': 1}, lambda: {'http://a/"b"': 2})
    metrics.stepped(START + STEP, samples=1, seconds=1)
    return metrics


def test_the_page_names_every_metric_with_its_labels() -> None:
    families = {family.name: family for family in full().registry.collect() if family.name.startswith(PREFIX)}
    suffixes = {"counter": "_total", "info": "_info"}
    exported = {
        f"{name}{suffixes.get(family.type, '')}": sorted({*family.samples[0].labels} - {"le"})
        for name, family in families.items()
    }
    rows = re.findall(rf"^\| `({PREFIX}_\w+)(?:\{{(.*?)\}})?` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {name: sorted(filter(None, labels.split(","))) for name, labels in rows} == exported


# --- the endpoint


@pytest.fixture
def address() -> Iterator[str]:
    with serve("127.0.0.1:0", full(), lambda: (True, "12 s behind.")) as address:
        yield address


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    with contextlib.closing(http.client.HTTPConnection(address, timeout=10)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()


def test_the_metrics_are_served_in_the_format_that_is_asked_for(address: str) -> None:
    response, body = ask(address, "/metrics")
    assert (response.status, response.headers["Content-Type"][:25]) == (200, "text/plain; version=0.0.4")
    assert f"{PREFIX}_samples_total 1.0" in body.decode().splitlines()
    assert any(line.startswith("process_resident_memory_bytes") for line in body.decode().splitlines())
    response, body = ask(address, "/metrics", Accept=OPENMETRICS)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_health_is_a_sentence() -> None:
    health = (True, "The last step was scored 12 s ago.")
    with serve("127.0.0.1:0", made(), lambda: health) as address:
        response, body = ask(address, "/-/healthy")
        assert (response.status, body) == (200, b"The last step was scored 12 s ago.\n")
        health = (False, "The loop has ended.")
        response, body = ask(address, "/-/healthy")
        assert (response.status, body) == (503, b"The loop has ended.\n")


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/-/ready", "/../metrics", "*"])
def test_there_is_nothing_else(address: str, path: str) -> None:
    assert ask(address, path)[0].status == 404


def test_a_path_may_have_a_query(address: str) -> None:
    assert ask(address, "/metrics?a=b")[0].status == 200


def test_head_is_get_without_the_body(address: str) -> None:
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"HEAD /-/healthy HTTP/1.0\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert b"Content-Length: 13" in head.splitlines()  # of "12 s behind.\n"
    assert body == b""
    assert ask(address, "/metrics", "HEAD")[0].status == 200
    assert ask(address, "/else", "HEAD")[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(address: str, method: str) -> None:
    response, _ = ask(address, "/metrics", method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_silent_clients_keep_nobody_waiting(address: str) -> None:
    host, port = address.split(":")
    with contextlib.ExitStack() as stack:
        for begun in (b"", b"GET /metrics HT", b"GET /metrics HTTP/1.1\r\nA:"):
            silent = stack.enter_context(socket.create_connection((host, int(port))))
            silent.sendall(begun)
        assert ask(address, "/metrics")[0].status == 200


def test_whoever_says_nothing_or_goes_on_for_ever_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte breaks the silence, so there is a limit for the whole."""
    monkeypatch.setattr(endpoint, "LONGEST_REQUEST_S", 0.3)
    with serve("127.0.0.1:0", made(), lambda: (True, "")) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=0.01) as slow:
            assert is_hung_up_on(slow)
        assert ask(address, "/-/healthy")[0].status == 200


def is_hung_up_on(client: socket.socket) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            client.sendall(b"x")
            if client.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_more_clients_than_it_serves_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_CLIENTS", 2)
    with serve("127.0.0.1:0", made(), lambda: (True, "")) as address:
        host, port = address.split(":")
        with contextlib.ExitStack() as stack:
            first, *_, last = (stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(3))
            last.settimeout(10)
            assert last.recv(1) == b""
            first.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            assert first.makefile("rb").read().startswith(b"HTTP/1.0 200")


def test_only_those_who_are_there_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_CLIENTS", 10)
    with serve("127.0.0.1:0", made(), lambda: (True, "")) as address:
        assert {ask(address, "/-/healthy")[0].status for _ in range(30)} == {200}


def test_a_client_that_goes_away_is_no_news(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closing sends a reset
        rude.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert ask(address, "/metrics")[0].status == 200
    assert capsys.readouterr() == ("", "")


def test_a_defect_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> tuple[bool, str]:
        raise KeyError("the defect")

    with serve("127.0.0.1:0", made(), broken) as address:
        with pytest.raises(http.client.HTTPException):
            ask(address, "/-/healthy")
        assert ask(address, "/metrics")[0].status == 200
    assert "KeyError: 'the defect'" in capsys.readouterr().err


def test_the_port_is_free_afterwards() -> None:
    with serve("127.0.0.1:0", made(), lambda: (True, "")) as address:
        ask(address, "/metrics")
    with serve(address, made(), lambda: (True, "")) as again:
        assert again == address


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_every_address_of_the_machine_may_be_asked() -> None:
    with serve(":0", made(), lambda: (True, "")) as address:
        port = address.rpartition(":")[2]
        assert address == f"[::]:{port}"
        for host in (f"127.0.0.1:{port}", f"[::1]:{port}"):
            assert ask(host, "/-/healthy")[0].status == 200
    with serve("[::1]:0", made(), lambda: (True, "")) as address:
        assert ask(address, "/-/healthy")[0].status == 200


@pytest.mark.parametrize(
    "address", ["", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:9464", "a:b", "[]:1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    assert refusal(address) == (
        f"--listen: '{address}' is no address; write it like 127.0.0.1:9464, [::1]:9464 or :9464."
    )


def test_a_port_that_is_taken_is_named() -> None:
    with serve("127.0.0.1:0", made(), lambda: (True, "")) as address:
        assert refusal(address) == (
            f"--listen: cannot listen on {address}: another process has this port; "
            "give another one, or 0 for any that is free."
        )


def test_an_address_of_another_machine_is_named() -> None:
    assert refusal("192.0.2.1:0") == (
        "--listen: cannot listen on 192.0.2.1:0: this machine does not have this address; "
        "give one that it has, or none for all of them."
    )


def test_a_host_that_nobody_knows_is_named() -> None:
    text = refusal("no-such-host.invalid:9464")
    assert text.startswith("--listen: cannot listen on no-such-host.invalid:9464: ")
    assert text.endswith("; check the host's name.")
    assert refusal(f"{'a' * 70}.example:9464").endswith("; check the host's name.")


def refusal(address: str) -> str:
    with pytest.raises(ConfigError) as refused, serve(address, made(), lambda: (True, "")):
        pass
    return str(refused.value)
