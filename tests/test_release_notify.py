"""The section `notify` of a release file: what it may say, what is refused and where, and that it shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from observability.notify import Notify
from observability.release import examine, load
from observability.release_yaml import Problem

HEAD = "release: shop-v2\nga: 2025-11-18T00:00:00Z\n"


def problems(folder: Path, text: str) -> list[Problem]:
    path = folder / "release.yaml"
    path.write_text(HEAD + text)
    return examine(path)[1]


def loaded(folder: Path, text: str) -> Notify:
    path = folder / "release.yaml"
    path.write_text(HEAD + text)
    return load(path).notify


def test_nobody_is_told_by_default(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == Notify()
    assert loaded(tmp_path, "notify: {}\n") == Notify()


@pytest.mark.parametrize("entry", ["{url: http://a:9093/prefix}", "[{url: http://a:9093/prefix}]"])
def test_one_alertmanager_or_a_list(tmp_path: Path, entry: str) -> None:
    [found] = loaded(tmp_path, f"notify: {{alertmanager: {entry}}}\n").alertmanager
    assert found.url == "http://a:9093/prefix"


def test_everything_that_may_be_written(tmp_path: Path) -> None:
    text = """notify:
  alertmanager:
    - {url: http://a:9093, basic_auth: {username: postga, password_file: secret}}
    - {url: "${AM}", proxy_url: http://proxy:3128, tls_config: {ca_file: ca.pem}}
  webhooks:
    - {url: 'https://example.com/hook?room=7', authorization: {credentials: "${TOKEN}"}}
    - {url: "${HOOK}", http_headers: {X-Key: {secrets: ["${KEY}"]}}}
  labels: {team: shop, _x1: "7"}
"""
    found = loaded(tmp_path, text)
    assert [one.shown for one in found.alertmanager] == ["http://a:9093", "${AM}"]
    assert [one.shown for one in found.webhooks] == ["https://example.com/hook", "${HOOK}"]
    assert Notify.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("text", "place", "field", "said"),
    [
        ("notify:\n", (3, 1), "notify", "write fields with their values"),
        ("notify: {mail: x}\n", (3, 10), "notify.mail", "there is no such field; check its spelling"),
        ("notify: {webhook: []}\n", (3, 10), "notify.webhook", "did you mean 'webhooks'?"),
        ("notify: {alertmanager: http://a}\n", (3, 10), "notify.alertmanager", "write fields with their values"),
        (
            "notify:\n  alertmanager: {urll: http://a, url: http://a}\n",
            (4, 18),
            "notify.alertmanager.urll",
            "did you mean 'url'?",
        ),
        (
            "notify:\n  alertmanager:\n    - {url: http://a}\n    - {url: http://b, timeout: 3s}\n",
            (6, 23),
            "notify.alertmanager.1.timeout",
            "there is no such field",
        ),
        ("notify: {alertmanager: }\n", (3, 10), "notify.alertmanager", "write fields with their values"),
        ("notify: {alertmanager: {}}\n", (3, 10), "notify.alertmanager.url", "is missing"),
        ("notify: {alertmanager: {url: localhost}}\n", (3, 25), "notify.alertmanager.url", "write it like http://"),
        ("notify: {alertmanager: {url: 'http://a?b=c'}}\n", (3, 25), "notify.alertmanager.url", "cannot be used"),
        ("notify: {webhooks: {url: http://a}}\n", (3, 10), "notify.webhooks", "write a list"),
        ("notify: {webhooks: [{url: ftp://a}]}\n", (3, 22), "notify.webhooks.0.url", "cannot be used"),
        ("notify: {webhooks: [{url: http://a#b}]}\n", (3, 22), "notify.webhooks.0.url", "cannot be used"),
        (
            "notify:\n  webhooks:\n    - url: http://a\n      basic_auth: {username: a, passwort_file: b}\n",
            (6, 33),
            "notify.webhooks.0.basic_auth.passwort_file",
            "did you mean 'password_file'?",
        ),
        (
            "notify: {webhooks: [{url: http://a}, {url: http://a}]}\n",
            (3, 1),
            "notify",
            "http://a is named twice; leave one of them out",
        ),
        ("notify: {labels: {severity: x}}\n", (3, 10), "notify.labels", "the label severity says what the alert is"),
        ("notify: {labels: {my-team: x}}\n", (3, 10), "notify.labels", "'my-team' cannot name a label"),
        ("notify: {labels: {team: ''}}\n", (3, 10), "notify.labels", "the label team is empty"),
        ("notify: {labels: {team: 7}}\n", (3, 19), "notify.labels.team", "write it as text, in quotes"),
    ],
)
def test_what_is_refused_and_where(tmp_path: Path, text: str, place: tuple[int, int], field: str, said: str) -> None:
    [found] = problems(tmp_path, text)
    assert ((found.line, found.column), found.field) == (place, field)
    assert said in found.text


@pytest.mark.parametrize(
    "text",
    [
        "notify: {webhooks: [{url: 'http://me:hunter2@a/hook'}]}\n",
        "notify: {alertmanager: {url: 'http://me:hunter2@a'}}\n",
        "notify: {webhooks: [{url: http://a, authorization: {credentials: hunter2}}]}\n",
        "notify: {webhooks: [{url: http://a, http_headers: {X-Key: {secrets: [hunter2]}}}]}\n",
        "notify: {webhooks: [{url: 'a/b?key=hunter2'}]}\n",
        "notify: {webhooks: [{url: 'http://a?key=hunter2'}, {url: 'http://a?key=hunter2'}]}\n",
    ],
)
def test_a_secret_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    [found] = problems(tmp_path, text)
    assert "hunter2" not in found.sentence("release.yaml")


def test_what_is_wrong_with_it_hides_nothing_else(tmp_path: Path) -> None:
    found = problems(tmp_path, "notify: {mail: x}\nonly: [no_such_kpi]\n")
    assert [problem.field for problem in found] == ["notify.mail", "only.0"]


def test_urls_of_variables_are_not_shown_with_what_they_hold(tmp_path: Path) -> None:
    settings = Notify.model_validate({"webhooks": [{"url": "${HOOK}"}]}).webhooks[0]
    resolved = settings.model_copy(update={"url": "http://me:hunter2@a/hook"})
    assert "hunter2" not in repr(resolved) + resolved.model_dump_json()
