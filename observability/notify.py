"""Whom to tell of incidents: the section ``notify`` of a release file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, field_validator, model_validator

from observability.http_config import Server, has_credentials, is_proxy, is_server_url, variable_of
from observability.model import Frozen

OUR_LABELS = ("alertname", "service", "severity", "release", "incident")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Receiver(Server):
    """One that is told of incidents. ``url`` may be ``${NAME}``: an address that only its owner knows is a secret."""

    @property
    def shown(self) -> str:
        """The URL without what might be a secret."""
        return self.url.partition("?")[0]

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        if variable_of(url) is None:
            if has_credentials(url):
                raise ValueError("a user and a password do not belong in a release file; write basic_auth")
            if not cls._is_url(url):
                raise ValueError("the URL cannot be used; write it like http://localhost:9093, or ${NAME}")
        return url

    @classmethod
    def _is_url(cls, url: str) -> bool:
        return is_proxy(url) and "#" not in url


class Alertmanager(Receiver):
    """An Alertmanager's base URL, with its path prefix if it has one. Each member of a cluster is told by itself."""

    section = "notify.alertmanager"

    @classmethod
    def _is_url(cls, url: str) -> bool:
        return is_server_url(url)


class Webhook(Receiver):
    """A URL that each notification is posted to, as JSON."""

    section = "notify.webhooks"


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class Notify(Frozen):
    """Everybody who is told of incidents, and the labels that alerts have beside ours."""

    alertmanager: Annotated[tuple[Alertmanager, ...], BeforeValidator(_listed)] = ()
    webhooks: tuple[Webhook, ...] = ()
    labels: Mapping[str, str] = {}

    @field_validator("labels")
    @classmethod
    def _free(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in labels.items():
            if not _LABEL.fullmatch(name):
                raise ValueError(f"'{name}' cannot name a label; write letters, digits and underscores")
            if name in OUR_LABELS:
                raise ValueError(f"the label {name} says what the alert is about; leave it out")
            if not value:
                raise ValueError(f"the label {name} is empty; leave it out")
        return labels

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for receivers in (self.alertmanager, self.webhooks):
            urls = [receiver.url for receiver in receivers]
            twice = next((receiver for receiver in receivers if urls.count(receiver.url) > 1), None)
            if twice is not None:
                raise ValueError(f"{twice.shown} is named twice; leave one of them out")
        return self
