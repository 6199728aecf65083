"""The settings of the server as a release file has them: what is refused, and that nothing shows a secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from observability.http_config import has_credentials, variable_of, without_credentials
from observability.model import PrometheusSettings
from observability.release import load

WHOLE = {
    "url": "https://prometheus.example.com/prom",
    "timeout": "1m",
    "concurrency": 4,
    "basic_auth": {"username": "sre", "password": "${PASSWORD}"},
    "tls_config": {"ca_file": "ca.pem", "cert_file": "me.pem", "key_file": "me.key", "server_name": "prometheus"},
    "proxy_url": "http://proxy:3128",
    "no_proxy": "localhost,10.0.0.0/8",
    "http_headers": {"X-Scope-OrgID": {"values": ["team-a"]}, "X-Key": {"secrets": ["${KEY}"], "files": ["key"]}},
}


def settings(**fields: object) -> PrometheusSettings:
    return PrometheusSettings.model_validate(fields)


def test_everything_that_may_be_written_comes_back_as_json() -> None:
    whole = settings(**WHOLE)
    assert PrometheusSettings.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"basic_auth": {"username": "a", "password": "hunter2"}}, "basic_auth.password", "or password_file"),
        ({"authorization": {"credentials": "hunter2"}}, "authorization.credentials", "or credentials_file"),
        ({"authorization": {"credentials": "x${hunter2}"}}, "authorization.credentials", "or credentials_file"),
        ({"http_headers": {"X-Key": {"secrets": ["hunter2"]}}}, "http_headers.X-Key.secrets.0", "or files"),
        ({"proxy_url": "http://me:hunter2@proxy:3128"}, "proxy_url", "for a variable with it"),
    ],
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(
    fields: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(**fields)
    assert "a secret does not belong in a release file; write ${NAME} " in str(raised.value)
    assert said in str(raised.value)
    [found] = raised.value.errors()
    assert ".".join(map(str, found["loc"])) == field
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"basic_auth": {"username": "a"}, "authorization": {"credentials_file": "t"}},
            "basic_auth and authorization exclude each other",
        ),
        ({"basic_auth": {}}, "write username or username_file"),
        ({"basic_auth": {"username": "a", "username_file": "u"}}, "username and username_file exclude each other"),
        (
            {"basic_auth": {"username": "a", "password": "${P}", "password_file": "p"}},
            "password and password_file exclude each other",
        ),
        ({"authorization": {}}, "write credentials or credentials_file"),
        (
            {"authorization": {"credentials": "${T}", "credentials_file": "t"}},
            "credentials and credentials_file exclude each other",
        ),
        ({"authorization": {"type": "basic", "credentials": "${T}"}}, "for the type Basic write basic_auth"),
        ({"authorization": {"type": "a b", "credentials": "${T}"}}, "type must be one word"),
        ({"tls_config": {"cert_file": "c"}}, "cert_file and key_file belong together"),
        ({"no_proxy": "localhost"}, "no_proxy holds for proxy_url; write proxy_url too"),
        ({"proxy_url": "socks5://proxy:1080"}, "write it like http://proxy.example.com:3128"),
        ({"proxy_url": "proxy:3128"}, "write it like http://proxy.example.com:3128"),
        ({"proxy_url": "http://[::1"}, "write it like http://proxy.example.com:3128"),
        ({"http_headers": {"X-Key": {}}}, "write values, secrets or files"),
        ({"http_headers": {"X Key": {"values": ["a"]}}}, "'X Key' cannot name a header"),
        ({"http_headers": {"authorization": {"values": ["a"]}}}, "write basic_auth or authorization instead"),
        ({"http_headers": {"Host": {"values": ["a"]}}}, "the header Host is set by the connection itself"),
        ({"concurrency": 0}, "greater than or equal to 1"),
        ({"concurrency": 65}, "less than or equal to 64"),
        ({"oauth2": {}}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(**fields)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_what_is_referred_to_is_not_looked_for_before_it_is_needed(tmp_path: Path) -> None:
    """The file may be validated on another machine than the one that has the secrets."""
    path = tmp_path / "release.yaml"
    path.write_text(
        "release: a\nga: 2025-11-18T00:00:00Z\n"
        "prometheus: {basic_auth: {username: a, password: '${NOT_HERE}'}, tls_config: {ca_file: /not/here}}\n"
    )
    given = load(path).prometheus.basic_auth
    assert given is not None
    assert given.password == "${NOT_HERE}"


def test_credentials_in_the_url_are_not_shown(tmp_path: Path) -> None:
    found = settings(url="https://me:hunter2@host:9090/prom")
    assert found.url == "https://me:hunter2@host:9090/prom"
    for shown in (repr(found), str(found), found.model_dump_json()):
        assert "hunter2" not in shown
        assert "https://host:9090/prom" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/a@b", "http://host/a@b"),
        ("http://me@host", "http://host"),
        ("http://me:p@ss@host:1/x", "http://host:1/x"),
        ("//me:pw@host", "//host"),
        ("http://me:p?w@host", "http://host"),
        ("not a url", "not a url"),
    ],
)
def test_a_url_without_its_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
    assert has_credentials(url) == (url != shown)


@pytest.mark.parametrize(
    ("text", "name"), [("${A_1}", "A_1"), ("$A", None), ("${1}", None), (" ${A}", None), ("${A}${B}", None), ("", None)]
)
def test_what_stands_for_a_variable(text: str, name: str | None) -> None:
    assert variable_of(text) == name
