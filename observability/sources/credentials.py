"""What the settings of a server refer to: environment variables and files with secrets, certificates and keys.

They are read anew for each request, because tokens and certificates are renewed while a week is watched. Relative file
names are relative to the working directory. Messages name the field and the variable or file, never what it holds.
"""

from __future__ import annotations

import os
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from observability.errors import ConfigError
from observability.http_config import BasicAuth, Header, Server, is_proxy, variable_of


def headers(settings: Server) -> dict[str, str]:
    """The headers that the settings add to a request. Several values of one header are joined, as RFC 9110 has it."""
    found = {name: ", ".join(_values(settings, name, header)) for name, header in settings.http_headers.items()}
    authorization = _authorization(settings)
    if authorization is not None:
        found["Authorization"] = authorization
    return {name: value.encode().decode("latin-1") for name, value in found.items()}  # UTF-8, as it will be written


def proxy(settings: Server) -> str | None:
    """The proxy that the settings name, with its credentials."""
    if settings.proxy_url is None:
        return None
    field = f"{settings.section}.proxy_url"
    url = _text(settings.proxy_url, field)
    if not is_proxy(url):
        raise ConfigError(
            f"{field}: the environment variable {variable_of(settings.proxy_url)} is not the URL of a "
            "proxy; write it like http://proxy.example.com:3128."
        )
    return url


def url(settings: Server) -> str:
    """The server's URL, with its credentials, where the settings may name a variable in its place."""
    field = f"{settings.section}.url"
    found = _text(settings.url, field)
    if not is_proxy(found):
        raise ConfigError(
            f"{field}: the environment variable {variable_of(settings.url)} is not a URL; write it like "
            "https://example.com/hook."
        )
    return found


def ca(settings: Server, url: str) -> str | bool:
    """The file with the CAs to believe, else whether to verify the certificate at all, in the form of requests."""
    tls = settings.tls_config
    if tls.insecure_skip_verify:
        return False
    if tls.ca_file is not None:
        return _readable(tls.ca_file, f"{settings.section}.tls_config.ca_file")
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if url.startswith("https:") and os.environ.get(variable):
            path = Path(os.environ[variable])
            return str(path) if path.is_dir() else _readable(path, f"the environment variable {variable}")
    return True


def certificate(settings: Server) -> tuple[str, str] | None:
    """The files with the certificate to show and its key."""
    tls, field = settings.tls_config, f"{settings.section}.tls_config"
    if tls.cert_file is None or tls.key_file is None:
        return None
    return _readable(tls.cert_file, f"{field}.cert_file"), _readable(tls.key_file, f"{field}.key_file")


def check(settings: Server) -> None:
    """Raises ``ConfigError`` for whatever could not be used later."""
    headers(settings)
    proxy(settings)
    field, context = f"{settings.section}.tls_config", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bundle, shown = ca(settings, settings.url), certificate(settings)
    if isinstance(bundle, str) and not Path(bundle).is_dir():
        _load_ca(context, bundle, field)
    if shown is not None:
        _load_certificate(context, *shown, field)


def _load_ca(context: ssl.SSLContext, bundle: str, field: str) -> None:
    try:
        context.load_verify_locations(bundle)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{bundle} holds no CA certificates in PEM form ({error.reason or error}); name a file that does as "
            f"{field}.ca_file."
        ) from None


def _load_certificate(context: ssl.SSLContext, cert: str, key: str, field: str) -> None:
    try:
        context.load_cert_chain(cert, key, password="")  # without one, OpenSSL would ask for it on the terminal
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"{field}: {cert} and {key} are not a certificate and its key without a passphrase in PEM "
            f"form ({getattr(error, 'reason', None) or error}); name files that belong together."
        ) from None


def _authorization(settings: Server) -> str | None:
    """Credentials in the URL come first: a flag that names them overrides the release file."""
    parts = urlsplit(settings.url)
    if parts.username is not None:
        return _basic(unquote(parts.username), unquote(parts.password or ""))
    if settings.basic_auth is not None:
        return _basic(*_login(settings.basic_auth, f"{settings.section}.basic_auth"))
    if settings.authorization is not None:
        given = settings.authorization
        token = _one_of(given.credentials, given.credentials_file, f"{settings.section}.authorization.credentials")
        return f"{given.type} {token}"
    return None


def _login(settings: BasicAuth, field: str) -> tuple[str, str]:
    password = ""
    if settings.password is not None or settings.password_file is not None:
        password = _one_of(settings.password, settings.password_file, f"{field}.password")
    return _one_of(settings.username, settings.username_file, f"{field}.username"), password


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _values(settings: Server, name: str, header: Header) -> Iterator[str]:
    field = f"{settings.section}.http_headers.{name}"
    for text in header.values:
        yield _text(text, f"{field}.values")
    for text in header.secrets:
        yield _text(text, f"{field}.secrets")
    for path in header.files:
        yield _content(path, f"{field}.files")


def _one_of(text: str | None, path: Path | None, field: str) -> str:
    """The value of ``field``, or of ``<field>_file``; the settings see to it that one of them is given."""
    if path is not None:
        return _content(path, f"{field}_file")
    assert text is not None
    return _text(text, field)


def _text(text: str, field: str) -> str:
    variable = variable_of(text)
    if variable is None:
        return _one_line(text, f"{field}: the value")
    if variable not in os.environ:
        raise ConfigError(f"{field}: the environment variable {variable} is not set; set it.")
    return _one_line(os.environ[variable], f"{field}: the environment variable {variable}")


def _content(path: Path, field: str) -> str:
    try:
        text = Path(_readable(path, f"{field}")).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{field}: {path} is not UTF-8 text; write the value into it.") from None
    return _one_line(text, f"{field}: {path}")


def _one_line(text: str, where: str) -> str:
    """Without the newline that editors add, as Prometheus takes it."""
    line = text.strip()
    if not line:
        raise ConfigError(f"{where} is empty; write the value into it.")
    if re.search(r"[\x00-\x1f\x7f]", line):
        raise ConfigError(f"{where} has more than one line, or control characters; write the bare value into it.")
    return line


def _readable(path: Path, field: str) -> str:
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise ConfigError(f"{field}: {path} cannot be read ({error.strerror}); name a readable file.") from None
