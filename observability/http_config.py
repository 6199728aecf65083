"""How a server is reached: the names and rules of Prometheus' own ``<http_config>``, as far as asking needs them.

Here are the settings as they are written, without I/O: a secret is only a reference, ``${NAME}`` or a file's name, so
nothing here has to be hidden. ``sources.credentials`` reads what they refer to.

Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, token
_RESERVED_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host", "keep-alive"}
    | {"proxy-authenticate", "proxy-authorization", "transfer-encoding", "user-agent", "www-authenticate"}
)


def variable_of(text: str) -> str | None:
    """The environment variable that ``${NAME}`` stands for; ``None`` for any other text."""
    match = _REFERENCE.fullmatch(text)
    return match[1] if match else None


def _reference(text: str, info: ValidationInfo) -> str:
    """Refuses a secret that is written out: release files are shared and committed."""
    if variable_of(text) is None:
        instead = "files" if info.field_name == "secrets" else f"{info.field_name}_file"
        raise ValueError(
            f"a secret does not belong in a release file; write ${{NAME}} for an environment variable, or {instead}"
        )
    return text


Secret = Annotated[str, AfterValidator(_reference)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def _at_most_one(self, *fields: str) -> None:
        given = [field for field in fields if getattr(self, field) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; leave one of them out")

    def _exactly_one(self, *fields: str) -> None:
        self._at_most_one(*fields)
        if all(getattr(self, field) is None for field in fields):
            raise ValueError(f"write {' or '.join(fields)}")


class BasicAuth(_Settings):
    """A user name and a password. Without a password it is empty."""

    username: str | None = None
    username_file: Path | None = None
    password: Secret | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._exactly_one("username", "username_file")
        self._at_most_one("password", "password_file")
        return self


class Authorization(_Settings):
    """The ``Authorization`` header: ``type``, a space, and the credentials."""

    type: str = "Bearer"
    credentials: Secret | None = None
    credentials_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not _HEADER_NAME.fullmatch(self.type):
            raise ValueError("type must be one word, such as Bearer")
        if self.type.lower() == "basic":
            raise ValueError("for the type Basic write basic_auth instead")
        self._exactly_one("credentials", "credentials_file")
        return self


class TlsConfig(_Settings):
    """Whom to believe, and what to show. ``server_name`` is the name that the server's certificate must have."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together; write both")
        return self


class Header(_Settings):
    """The values of one header: written out, secret, and each from a file."""

    values: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    files: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not (self.values or self.secrets or self.files):
            raise ValueError("write values, secrets or files")
        return self


class HttpConfig(_Settings):
    """Credentials, TLS, proxy and headers. Without ``proxy_url`` the environment's proxies hold."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TlsConfig = TlsConfig()
    proxy_url: str | None = None
    no_proxy: str | None = None
    http_headers: Mapping[str, Header] = {}

    @field_validator("proxy_url")
    @classmethod
    def _proxy(cls, text: str | None) -> str | None:
        if text is not None and variable_of(text) is None:
            if not is_proxy(text):
                raise ValueError("write it like http://proxy.example.com:3128")
            if has_credentials(text):
                raise ValueError("a secret does not belong in a release file; write ${NAME} for a variable with it")
        return text

    @field_validator("http_headers")
    @classmethod
    def _headers(cls, headers: Mapping[str, Header]) -> Mapping[str, Header]:
        for name in headers:
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"'{name}' cannot name a header")
            if name.lower() == "authorization":
                raise ValueError("for the header Authorization write basic_auth or authorization instead")
            if name.lower() in _RESERVED_HEADERS:
                raise ValueError(f"the header {name} is set by the connection itself; leave it out")
        return headers

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._at_most_one("basic_auth", "authorization")
        if self.no_proxy is not None and self.proxy_url is None:
            raise ValueError("no_proxy holds for proxy_url; write proxy_url too, or set NO_PROXY instead")
        return self


class Server(HttpConfig):
    """A server and the way to it. ``section`` is where its settings stand in the release file.

    The URL may have credentials, from a flag or the environment. They are not shown, and not written as JSON.
    """

    section: ClassVar[str]
    url: str

    @field_serializer("url", when_used="json")
    def _shown(self, url: str) -> str:
        return without_credentials(url)

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return [(name, self._shown(self.url) if name == "url" else value) for name, value in super().__repr_args__()]


def is_proxy(url: str) -> bool:
    """Whether ``url`` can name an HTTP proxy."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
        )
    except ValueError:
        return False


def is_server_url(url: str) -> bool:
    """Whether ``url`` can be the one that a server's API lies below."""
    return is_proxy(url) and not re.search("[?#]", url)


def has_credentials(url: str) -> bool:
    """Whether a user, and perhaps a password, stand before the host."""
    return re.match(r"[^/?#]*//[^/]*@", url) is not None


def without_credentials(url: str) -> str:
    """The URL as it can be shown."""
    return re.sub(r"^([^/?#]*//)[^/]*@", r"\1", url)
