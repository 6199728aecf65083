"""Servers with certificates: whom we believe, what we show, and what is said when one side does not trust the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from observability.errors import ConfigError, SourceError
from observability.model import PrometheusSettings
from observability.sources.connection import connect
from tests.certificates import DAY, NOW, Authority, Pair
from tests.http_servers import INSTANT, ask, moved, nothing_around, opened, prometheus, tunnel

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_around(monkeypatch)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    return authority.signs("server", HOST, "localhost")


@pytest.fixture(scope="module")
def server(ours: Pair) -> Iterator[HTTPServer]:
    with prometheus(ours.serving()) as running:
        yield running


def url_of(server: HTTPServer) -> str:
    return f"https://{server.host}:{server.port}"


def refused(url: str, **tls: Any) -> str:
    with pytest.raises(SourceError) as raised:
        ask(url, tls_config=tls)
    assert str(raised.value).startswith(f"query 'q' at {url}: ")
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(f"query 'q' at {url}: ")


def test_ca_file_is_believed(server: HTTPServer, authority: Authority) -> None:
    assert ask(url_of(server), tls_config={"ca_file": authority.file}) == []


def test_an_authority_that_nobody_named_is_not_believed(server: HTTPServer) -> None:
    server.clear_log()
    text = refused(url_of(server))
    assert text.startswith("the server's certificate is not trusted (")
    assert text.endswith("); name the CA that signed it as `ca_file` under `tls_config` in the release file.")
    assert server.log == []


def test_the_environments_authorities_hold_where_none_is_named(
    server: HTTPServer, authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    assert ask(url_of(server)) == []
    assert "is not trusted" in refused(url_of(server), ca_file=stranger.file)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.file))
    assert ask(url_of(server), tls_config={"ca_file": authority.file}) == []
    assert ask(url_of(server), tls_config={"insecure_skip_verify": True}) == []
    assert "is not trusted" in refused(url_of(server))


def test_authorities_of_the_environment_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/here.pem")
    with pytest.raises(
        ConfigError, match=r"the environment variable REQUESTS_CA_BUNDLE: /not/here\.pem cannot be read"
    ):
        connect(PrometheusSettings(url="https://localhost"))
    connect(PrometheusSettings(url="http://localhost"))


@pytest.mark.filterwarnings("error")
def test_a_certificate_that_is_not_verified_is_not_warned_of(server: HTTPServer) -> None:
    assert ask(url_of(server), tls_config={"insecure_skip_verify": True}) == []


def test_a_certificate_of_another_name(authority: Authority) -> None:
    other = authority.signs("other", "prometheus.internal")
    with prometheus(other.serving()) as running:
        text = refused(url_of(running), ca_file=authority.file)
        assert text.startswith("the server's certificate bears another name (")
        assert "`server_name` under `tls_config`" in text
        assert "bears another name" in refused(f"https://localhost:{running.port}", ca_file=authority.file)
        named = {"ca_file": authority.file, "server_name": "prometheus.internal"}
        assert ask(url_of(running), tls_config=named) == []
        assert "bears another name" in refused(url_of(running), **{**named, "server_name": "else"})


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (NOW - 2 * DAY, NOW - DAY, "the server's certificate has expired ("),
        (NOW + DAY, NOW + 2 * DAY, "the server's certificate is not valid yet ("),
    ],
)
def test_a_certificate_of_another_time(authority: Authority, since: Any, until: Any, said: str) -> None:
    with prometheus(authority.signs("dated", HOST, since=since, until=until).serving()) as running:
        assert refused(url_of(running), ca_file=authority.file).startswith(said)


def test_a_certificate_is_shown_to_a_server_that_asks_for_one(
    ours: Pair, authority: Authority, stranger: Authority
) -> None:
    client, unknown = authority.signs("client"), stranger.signs("unknown")
    with prometheus(ours.serving(authority.file)) as running:
        tls = {"ca_file": authority.file}
        shown = {**tls, "cert_file": client.cert, "key_file": client.key}
        assert ask(url_of(running), tls_config=shown) == []
        assert "and whether the server wants a client certificate" in refused(url_of(running), **tls)
        text = refused(url_of(running), **{**tls, "cert_file": unknown.cert, "key_file": unknown.key})
    assert text.startswith("the server wants a client certificate that it trusts (")
    assert text.endswith("; name one as `cert_file` and `key_file` under `tls_config` in the release file.")


def test_files_that_do_not_belong_together(authority: Authority) -> None:
    one, other = authority.signs("one"), authority.signs("two", passphrase=b"hunter2")
    for pair in (Pair(one.cert, other.key), Pair(other.cert, one.key), other):
        tls = {"cert_file": pair.cert, "key_file": pair.key}
        with pytest.raises(ConfigError, match=r"a certificate and its key without a passphrase in PEM form \("):
            connect(PrometheusSettings.model_validate({"tls_config": tls}))


def test_a_certificate_that_vanishes_while_it_is_used_is_named(server: HTTPServer, authority: Authority) -> None:
    client = authority.signs("vanishing")
    tls = {"ca_file": authority.file, "cert_file": client.cert, "key_file": client.key}
    source = opened(url_of(server), tls_config=tls)
    client.cert.unlink()
    with pytest.raises(ConfigError, match=r"prometheus\.tls_config\.cert_file: .*vanishing\.pem cannot be read"):
        source.instant("q", "up", NOW)


def test_a_proxy_is_a_tunnel_for_https(
    server: HTTPServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "for the server alone")
    log: list[str] = []
    with tunnel(log) as address:
        fields: dict[str, Any] = {"tls_config": {"ca_file": authority.file}, "proxy_url": f"http://{address}"}
        assert ask(url_of(server), authorization={"credentials": "${TOKEN}"}, **fields) == []
    assert log[0].startswith(f"CONNECT {HOST}:{server.port} ")
    assert "for the server alone" not in log[0]
    assert server.log[-1][0].headers["Authorization"] == "Bearer for the server alone"


def test_the_certificates_name_holds_behind_a_proxy_too(authority: Authority) -> None:
    with prometheus(authority.signs("far", "prometheus.internal").serving()) as running, tunnel([]) as address:
        tls = {"ca_file": authority.file, "server_name": "prometheus.internal"}
        assert ask(url_of(running), tls_config=tls, proxy_url=f"http://{address}") == []


def test_https_that_is_http() -> None:
    with prometheus() as plain:
        text = refused(url_of(plain))
    assert text.startswith("no TLS connection to the server (")
    assert "; check that the URL should begin with https://, and whether" in text


def test_http_that_is_https(server: HTTPServer) -> None:
    text = refused(f"http://{server.host}:{server.port}")
    assert "check that the URL begins with the right http:// or https://" in text


def test_credentials_do_not_follow_from_https_to_http(
    server: HTTPServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    with prometheus() as plain:
        server.expect_request("/old" + INSTANT).respond_with_response(moved(f"http://{HOST}:{plain.port}{INSTANT}"))
        tls = {"ca_file": authority.file}
        ask(url_of(server) + "/old", tls_config=tls, authorization={"credentials": "${TOKEN}"})
        assert "Authorization" not in plain.log[-1][0].headers


def test_a_certificate_that_is_renewed_is_shown_from_the_next_connection_on(
    ours: Pair, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    old, new = stranger.signs("old"), authority.signs("new")
    cert, key = tmp_path / "cert", tmp_path / "key"
    with prometheus(ours.serving(authority.file)) as running:
        source = None
        for pair, trusted in ((old, False), (new, True)):
            cert.write_bytes(pair.cert.read_bytes())
            key.write_bytes(pair.key.read_bytes())
            tls = {"ca_file": authority.file, "cert_file": cert, "key_file": key}
            source = source or opened(url_of(running), tls_config=tls)
            if trusted:
                assert source.instant("q", "up", NOW) == []
            else:
                with pytest.raises(SourceError, match="wants a client certificate that it trusts"):
                    source.instant("q", "up", NOW)
