"""How a server is asked: who asks, over which way, and how patiently."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from observability.errors import ConfigError, SourceError
from observability.model import PrometheusSettings
from observability.sources import connection
from observability.sources.connection import connect
from observability.sources.prometheus import Prometheus
from tests.http_servers import EMPTY, INSTANT, ask, basic, headers_of, moved, nothing_around, opened, prometheus, url_of

BEARER = {"authorization": {"credentials": "${TOKEN}"}}


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_around(monkeypatch)


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request(INSTANT).respond_with_json(EMPTY)
    return httpserver


# Who asks


def test_without_credentials_none_are_sent(server: HTTPServer) -> None:
    ask(url_of(server))
    assert "Authorization" not in headers_of(server)


def test_basic_auth_from_the_environment(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "sé:cret@")
    ask(url_of(server), basic_auth={"username": "mé", "password": "${PASSWORD}"})
    assert headers_of(server)["Authorization"] == basic("mé", "sé:cret@")


def test_basic_auth_from_files(server: HTTPServer, tmp_path: Path) -> None:
    user, password = tmp_path / "user", tmp_path / "password"
    user.write_text("sre\n")
    password.write_text("secret\r\n")
    ask(url_of(server), basic_auth={"username_file": user, "password_file": password})
    assert headers_of(server)["Authorization"] == basic("sre", "secret")


def test_basic_auth_without_a_password(server: HTTPServer) -> None:
    ask(url_of(server), basic_auth={"username": "token"})
    assert headers_of(server)["Authorization"] == basic("token", "")


def test_authorization_has_a_type(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "abc")
    ask(url_of(server), **BEARER)
    assert headers_of(server)["Authorization"] == "Bearer abc"
    ask(url_of(server), authorization={"type": "ApiKey", "credentials": "${TOKEN}"})
    assert headers_of(server)["Authorization"] == "ApiKey abc"


def test_a_token_that_is_renewed_is_read_again(server: HTTPServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    source = None
    for text in ("monday", "tuesday"):
        token.write_text(text)
        source = source or opened(url_of(server), authorization={"credentials_file": token})
        source.instant("q", "up", datetime(2025, 11, 18, tzinfo=UTC))
        assert headers_of(server)["Authorization"] == f"Bearer {text}"


def test_a_relative_file_is_relative_to_the_working_directory(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("abc")
    monkeypatch.chdir(tmp_path)
    ask(url_of(server), authorization={"credentials_file": "token"})
    assert headers_of(server)["Authorization"] == "Bearer abc"


def test_headers_arrive(server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("KEY", "from the environment")
    ask(
        url_of(server),
        http_headers={
            "X-Scope-OrgID": {"values": ["team-ä|team-b"]},
            "X-Key": {"values": ["plain"], "secrets": ["${KEY}"], "files": [tmp_path / "key"]},
        },
    )
    assert headers_of(server)["X-Scope-OrgID"].encode("latin-1").decode() == "team-ä|team-b"
    assert headers_of(server)["X-Key"] == "plain, from the environment, from a file"


def test_credentials_of_the_flags_url_override_those_of_the_release_file(server: HTTPServer) -> None:
    """The flag's URL is laid over the file's settings without validating them again."""
    settings = PrometheusSettings.model_validate({"basic_auth": {"username": "file"}, "concurrency": 1})
    laid_over = settings.model_copy(update={"url": f"http://flag:pass@{server.host}:{server.port}"})
    Prometheus(laid_over).instant("q", "up", datetime(2025, 11, 18, tzinfo=UTC))
    assert headers_of(server)["Authorization"] == basic("flag", "pass")


@pytest.mark.parametrize("fields", [{}, BEARER])
def test_netrc_is_not_used(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {server.host} login netrc password netrc\nmachine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("TOKEN", "ours")
    server.expect_request("/old" + INSTANT).respond_with_response(moved(f"http://127.0.0.1:{server.port}{INSTANT}"))
    ask(url_of(server), **fields)
    assert headers_of(server).get("Authorization") == ("Bearer ours" if fields else None)
    ask(url_of(server) + "/old", **fields)
    assert "Authorization" not in headers_of(server)


@pytest.mark.parametrize(("host", "sent"), [("localhost", True), ("127.0.0.1", False)])
def test_what_says_who_asks_is_not_sent_to_another_host(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch, host: str, sent: bool
) -> None:
    monkeypatch.setenv("TOKEN", "abc")
    server.expect_request("/old" + INSTANT).respond_with_response(moved(f"http://{host}:{server.port}{INSTANT}"))
    ask(f"http://localhost:{server.port}/old", http_headers={"X-Scope-OrgID": {"values": ["team-a"]}}, **BEARER)
    assert ("Authorization" in headers_of(server)) is sent
    assert ("X-Scope-OrgID" in headers_of(server)) is sent


@pytest.mark.parametrize(
    ("fields", "content", "said"),
    [
        (BEARER, None, r"prometheus\.authorization\.credentials: the environment variable TOKEN is not set; set it"),
        ({"authorization": {"credentials_file": "secret"}}, None, r"credentials_file: secret cannot be read \(No such"),
        ({"authorization": {"credentials_file": "."}}, None, r"credentials_file: \. cannot be read \(Is a directory"),
        ({"authorization": {"credentials_file": "secret"}}, b" \n", "credentials_file: secret is empty"),
        (
            {"authorization": {"credentials_file": "secret"}},
            b"a\nhunter2",
            "credentials_file: secret has more than one",
        ),
        ({"authorization": {"credentials_file": "secret"}}, b"\xffhunter2", "credentials_file: secret is not UTF-8"),
        ({"basic_auth": {"username_file": "secret"}}, None, r"prometheus\.basic_auth\.username_file: secret cannot"),
        ({"basic_auth": {"username": "a", "password_file": "secret"}}, None, "basic_auth.password_file: secret cannot"),
        (
            {"http_headers": {"X-A": {"files": ["secret"]}}},
            None,
            r"prometheus\.http_headers\.X-A\.files: secret cannot",
        ),
        ({"http_headers": {"X-A": {"secrets": ["${NO}"]}}}, None, r"X-A\.secrets: the environment variable NO is not"),
        ({"http_headers": {"X-A": {"values": ["a\nb"]}}}, None, r"X-A\.values: the value has more than one line"),
        ({"proxy_url": "${NO}"}, None, r"prometheus\.proxy_url: the environment variable NO is not set"),
        ({"proxy_url": "${BAD}"}, None, r"proxy_url: the environment variable BAD is not the URL of a proxy"),
        ({"tls_config": {"ca_file": "secret"}}, None, r"prometheus\.tls_config\.ca_file: secret cannot be read"),
        ({"tls_config": {"ca_file": "secret"}}, b"hunter2", r"^secret holds no CA certificates in PEM form .*ca_file"),
        ({"tls_config": {"cert_file": "x", "key_file": "y"}}, None, r"prometheus\.tls_config\.cert_file: x cannot be"),
        (
            {"tls_config": {"cert_file": "secret", "key_file": "secret"}},
            b"hunter2",
            r"prometheus\.tls_config: secret and secret are not a certificate and its key",
        ),
    ],
)
def test_what_cannot_be_read_is_named_when_the_connection_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], content: bytes | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAD", "hunter2:pw@proxy")
    if content is not None:
        Path("secret").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as raised:
        connect(PrometheusSettings.model_validate(fields))
    assert "hunter2" not in str(raised.value)


def test_a_token_file_that_vanishes_while_it_is_used_is_named(server: HTTPServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("abc")
    source = opened(url_of(server), authorization={"credentials_file": token})
    token.unlink()
    with pytest.raises(ConfigError, match=r"credentials_file: .*token cannot be read"):
        source.instant("q", "up", datetime(2025, 11, 18, tzinfo=UTC))


def test_an_open_connection_does_not_show_what_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    for fields in ({"url": "http://me:hunter2@host"}, {"url": "http://host", **BEARER}):
        opened_one = connect(PrometheusSettings.model_validate(fields))
        assert "hunter2" not in f"{opened_one!r} {vars(opened_one)} {vars(opened_one.session)}"


# Over which way


def proxied(server: HTTPServer) -> list[str]:
    """The hosts that a server was asked for."""
    return [request.host for request, _ in server.log]


def test_proxy_url_is_the_way(server: HTTPServer) -> None:
    ask("http://prometheus.invalid:9090", proxy_url=url_of(server))
    assert proxied(server) == ["prometheus.invalid:9090"]


def test_the_proxy_may_have_credentials_from_the_environment(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY", f"http://me:secret@{server.host}:{server.port}")
    ask("http://prometheus.invalid:9090", proxy_url="${PROXY}")
    assert headers_of(server)["Proxy-Authorization"] == basic("me", "secret")
    assert "Authorization" not in headers_of(server)


def test_without_proxy_url_the_environments_proxy_is_the_way(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url_of(server))
    ask("http://prometheus.invalid:9090")
    monkeypatch.setenv("NO_PROXY", f"example.com,{server.host}")
    ask(url_of(server))
    assert proxied(server) == ["prometheus.invalid:9090", f"{server.host}:{server.port}"]


def test_proxy_url_overrides_the_environments_proxy(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    ask("http://prometheus.invalid:9090", proxy_url=url_of(server))
    assert proxied(server) == ["prometheus.invalid:9090"]


def test_what_no_proxy_excepts_is_asked_directly(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    ask(url_of(server), proxy_url="http://127.0.0.1:1", no_proxy=f"example.com, {server.host}")
    assert proxied(server) == [f"{server.host}:{server.port}"]


def test_a_redirect_to_a_host_that_no_proxy_excepts_leaves_the_proxy(server: HTTPServer) -> None:
    with prometheus() as near:
        server.expect_request("/old" + INSTANT).respond_with_response(moved(f"{url_of(near)}{INSTANT}"))
        ask("http://prometheus.invalid:9090/old", proxy_url=url_of(server), no_proxy=near.host)
        assert proxied(server) == ["prometheus.invalid:9090"]
        assert proxied(near) == [f"{near.host}:{near.port}"]


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("*", True),
        ("prometheus.example.com", True),
        ("example.com", True),
        (".example.com", True),
        ("EXAMPLE.com", True),
        ("ample.com", False),
        ("other.org, example.com:9090", True),
        ("example.com:80", False),
        ("10.0.0.0/8", False),
    ],
)
def test_names_that_no_proxy_excepts(no_proxy: str, direct: bool) -> None:
    assert connection._is_direct("http://prometheus.example.com:9090/x", no_proxy) is direct


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("http://10.1.2.3:9090", "10.0.0.0/8", True),
        ("http://11.1.2.3:9090", "10.0.0.0/8", False),
        ("http://10.1.2.3:9090", "10.1.2.3", True),
        ("http://10.1.2.3", "10.1.2.3:80", True),
        ("https://10.1.2.3", "10.1.2.3:80", False),
        ("http://[fd00::1]:9090", "fd00::/8", True),
    ],
)
def test_addresses_that_no_proxy_excepts(url: str, no_proxy: str, direct: bool) -> None:
    assert connection._is_direct(url, no_proxy) is direct


# How patiently


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited before another attempt; the clock stands still."""
    found: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=found.append))
    monkeypatch.setattr("observability.sources.connection.time", SimpleNamespace(time=NOW.timestamp))
    return found


NOW = datetime(2025, 11, 26, 12, tzinfo=UTC)


def date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked_for", "waited"),
    [("2", [2.0]), ("60", [60.0]), (date(30), [30.0]), (date(-30), []), ("0", []), ("soon", []), ("", [])],
)
def test_retry_after_is_honoured(
    httpserver: HTTPServer, waits: list[float], status: int, asked_for: str, waited: list[float]
) -> None:
    busy = {"status": status, "headers": {"Retry-After": asked_for}}
    httpserver.expect_ordered_request(INSTANT).respond_with_data("", **busy)
    httpserver.expect_ordered_request(INSTANT).respond_with_json(EMPTY)
    ask(url_of(httpserver))
    assert waits == waited


@pytest.mark.parametrize(
    ("asked_for", "said"),
    [
        ("61", "in 61 s"),
        ("600", "in 10 min"),
        ("601", "in 11 min"),
        ("86400", "in 24 h"),
        (date(7200), "in 2 h"),
        ("9" * 30, " h;"),
    ],
)
def test_a_server_that_wants_to_be_left_alone_for_longer_is_not_asked_again(
    httpserver: HTTPServer, waits: list[float], asked_for: str, said: str
) -> None:
    httpserver.expect_request(INSTANT).respond_with_json(
        {"error": "too many requests"}, status=429, headers={"Retry-After": asked_for}
    )
    with pytest.raises(SourceError) as raised:
        ask(url_of(httpserver))
    text = str(raised.value)
    assert text.startswith(f"query 'q' at {url_of(httpserver)}: HTTP 429 (too many requests): the server asks to come ")
    assert said in text
    assert text.endswith("; run the command again then.")
    assert waits == []
    assert len(httpserver.log) == 1


def test_waiting_can_be_interrupted(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=interrupted))
    httpserver.expect_request(INSTANT).respond_with_data("", status=429, headers={"Retry-After": "60"})
    with pytest.raises(KeyboardInterrupt):
        ask(url_of(httpserver))
