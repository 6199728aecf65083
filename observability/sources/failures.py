"""What a server says when it does not answer as asked, as one sentence and the error that it becomes."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator

import requests
from requests import exceptions
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

from observability.errors import ConfigError, PostgaError, SourceError
from observability.http_config import without_credentials
from observability.sources.connection import READ_RETRIES, RETRIED_STATUS, RETRIES, RETRY_AFTER_MAX_S, retry_after_s

ERROR_LENGTH = 300
PUBLIC_HEADERS = frozenset({"user-agent", "accept", "accept-encoding", "connection", "host", "x-scope-orgid"})
SHORTEST_SECRET = 4  # characters; a shorter value stands in many words by chance

TOO_LARGE = frozenset({413, 414, 431})
# OpenSSL's codes of what is wrong with a certificate (openssl-verification-options(1), X509_V_ERR_*)
NOT_YET_VALID, EXPIRED, OTHER_NAME, OTHER_ADDRESS = 9, 10, 62, 64


def refusal(response: requests.Response, where: str, promql: str) -> PostgaError:
    """Of an answer whose status is not 200. ``where`` names the query and the server."""
    status, reason = response.status_code, _reason(response)
    said = f"{where}: HTTP {status} ({reason})"
    wait_s = retry_after_s(response.headers)
    if status in {400, 422} and _error(response) is not None:
        return ConfigError(f"{said}; correct the query: {promql}")
    if status in {401, 403}:
        return SourceError(f"{said}; {_credentials(response, reason)}.")
    if wait_s is not None and wait_s > RETRY_AFTER_MAX_S:
        return SourceError(f"{said}: the server asks to come back in {rounded(wait_s)}; run the command again then.")
    if status in RETRIED_STATUS:
        return SourceError(f"{said}, also after {RETRIES} more attempts; {_later(status, reason)}.")
    return SourceError(f"{said}; {_to_check(response)}.")


def not_json(response: requests.Response, where: str) -> SourceError:
    """Of an answer with status 200 that is something else, such as a login page."""
    content = response.headers.get("Content-Type", "no content type").partition(";")[0]
    return SourceError(
        f"{where}: the answer ({content}) is not JSON; check that the URL is Prometheus' own, and that no login page "
        "stands before it."
    )


def reported(error: str, response: requests.Response, where: str) -> SourceError:
    """Of an answer with status 200 that says that it is an error."""
    reason = said(error, response.request) or "without a reason"
    return SourceError(f"{where}: the server reports an error ({reason}); see the server's log.")


def said(text: object, request: requests.PreparedRequest) -> str:
    """A server's own words on one line, without the secrets that some servers repeat: what the request carried in
    headers of ours."""
    words = str(text)
    for secret in sorted(_secrets(request), key=len, reverse=True):
        words = words.replace(secret, "…")
    return _short(words)


def unreachable(error: requests.RequestException, where: str, timeout_s: float) -> SourceError:
    """Of a request that no answer, or only a part of one, came to."""
    return SourceError(f"{where}: {_what_failed(error, list(_causes(error)), timeout_s)}.")


def why(error: requests.RequestException) -> str:
    """What went wrong on the way, in a few words."""
    chain = list(_causes(error))
    if isinstance(error, exceptions.ProxyError):
        return f"the proxy{_proxy(chain)} does not connect ({_last(chain)})"
    return _tls(chain) if isinstance(error, exceptions.SSLError) else _last(chain)


def _what_failed(error: requests.RequestException, chain: list[BaseException], timeout_s: float) -> str:
    match error:
        case exceptions.TooManyRedirects():
            return "the server redirects again and again; check the URL, and that no login page stands before it"
        case exceptions.InvalidURL() | exceptions.InvalidSchema():
            return (
                "the URL of the proxy, or one that the server redirects to, cannot be used; check `proxy_url` in the "
                "release file, or the variables HTTP_PROXY and HTTPS_PROXY"
            )
        case exceptions.ProxyError():
            return f"the proxy{_proxy(chain)} does not connect ({_last(chain)}); check it, and its user and password"
        case exceptions.SSLError():
            return _tls(chain)
    if any(isinstance(cause, ReadTimeoutError) for cause in chain):
        return f"no answer within {timeout_s:g} s; raise `timeout` under `prometheus:` in the release file"
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return f"the answer broke off or was garbled on its way ({_last(chain)}); run the command again"
    if any(isinstance(cause, ProtocolError) for cause in chain):
        again = f"also at attempt {READ_RETRIES + 1}; check that the URL begins with the right http:// or https://"
        return f"the server closed the connection without an answer ({_last(chain)}), {again}"
    return f"the server cannot be reached ({_last(chain)}); check the URL and that the server runs"


def _tls(chain: list[BaseException]) -> str:
    """What is wrong with a certificate, the server's or ours."""
    found = next((cause for cause in chain if isinstance(cause, ssl.SSLError)), None)
    if not isinstance(found, ssl.SSLCertVerificationError):
        return _tls_refused(found, chain)
    said = f"({found.verify_message.rstrip('.')})"
    match found.verify_code:
        case code if code == EXPIRED:
            return f"the server's certificate has expired {said}; renew it"
        case code if code == NOT_YET_VALID:
            return f"the server's certificate is not valid yet {said}; check the clocks of this machine and the server"
        case code if code in {OTHER_NAME, OTHER_ADDRESS}:
            return (
                f"the server's certificate bears another name {said}; check the URL, or write the certificate's name "
                "as `server_name` under `tls_config` in the release file"
            )
    return (
        f"the server's certificate is not trusted {said}; name the CA that signed it as `ca_file` under `tls_config` "
        "in the release file"
    )


def _tls_refused(found: ssl.SSLError | None, chain: list[BaseException]) -> str:
    reason = (found.reason if found is not None else None) or _last(chain)
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return (
            f"the server wants a client certificate that it trusts ({reason}); name one as `cert_file` and `key_file` "
            "under `tls_config` in the release file"
        )
    return (
        f"no TLS connection to the server ({reason}); check that the URL should begin with https://, and whether the "
        "server wants a client certificate"
    )


def _credentials(response: requests.Response, reason: str) -> str:
    """What to do about 401 and 403, by what was sent."""
    if "org id" in reason.lower():
        return "name the tenant under `http_headers` in the release file, as in X-Scope-OrgID: {values: [team-a]}"
    scheme = _sent(response).partition(" ")[0]
    if not scheme:
        return (
            "no credentials were sent: give `basic_auth` or `authorization` under `prometheus:` in the release file, "
            "or https://user:password@host in PROMETHEUS_URL"
        )
    return f"{scheme} credentials were sent: check that they are right and may read"


def _later(status: int, reason: str) -> str:
    if "timed out" in reason:
        return "narrow the query, or raise `timeout` under `prometheus:` and the server's own --query.timeout"
    if status == requests.codes.too_many_requests:
        return "lower `concurrency` under `prometheus:` in the release file, or run the command again later"
    return "run the command again later"


def _to_check(response: requests.Response) -> str:
    status = response.status_code
    if status == requests.codes.not_found:
        return "check that this is Prometheus' base URL, with its path prefix if it has one"
    if status == requests.codes.proxy_authentication_required:
        return f"the proxy{_used_proxy(response)} wants other credentials: check its user and password"
    if status in TOO_LARGE:
        return "the request or its answer is too large: ask for fewer services at once, or with a longer `step`"
    if status == requests.codes.bad_request:
        return "check the URL, and whether it should begin with https://"
    return "check the URL"


def _used_proxy(response: requests.Response) -> str:
    proxies = response.connection.proxy_manager
    return "".join(f" {without_credentials(url)}" for url in proxies)


def _proxy(chain: list[BaseException]) -> str:
    """The proxy's address, without credentials, from the connection pool that failed."""
    pool = next((cause.pool for cause in chain if isinstance(cause, MaxRetryError)), None)
    proxy = getattr(pool, "proxy", None)
    return "" if proxy is None else f" {proxy.scheme}://{proxy.netloc}"


def rounded(seconds: float) -> str:
    """A duration in its largest whole unit, rounded up."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{-(-seconds // size):.0f} {unit}"
    return f"{seconds:.0f} s"


def _error(response: requests.Response) -> object | None:
    """The error that the answer names, if it is one as Prometheus writes it."""
    try:
        payload = json.loads(response.content)
    except ValueError:
        return None
    return payload.get("error") if isinstance(payload, dict) else None


def _reason(response: requests.Response) -> str:
    """The server's own words, without the credentials that some servers repeat."""
    plain = response.headers.get("Content-Type", "").startswith("text/plain") and "<" not in response.text
    return said(_error(response) or (plain and response.text.strip()) or response.reason, response.request)


def _secrets(request: requests.PreparedRequest) -> Iterator[str]:
    """The credentials of the request, also as a user writes them, and the values of its other headers of ours."""
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if name.lower() == "authorization":
            scheme, _, credentials = text.partition(" ")
            yield from filter(None, [credentials, *(_password(credentials) if scheme == "Basic" else [])])
        elif name.lower() not in PUBLIC_HEADERS and len(text) >= SHORTEST_SECRET:
            yield text


def _password(credentials: str) -> list[str]:
    try:
        password = base64.b64decode(credentials).decode().partition(":")[2]
    except ValueError:
        return []
    return [password] if password else []


def _sent(response: requests.Response) -> str:
    """The Authorization header of the request."""
    return response.request.headers.get("Authorization", "")


def _short(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= ERROR_LENGTH else line[:ERROR_LENGTH] + "…"


def _last(chain: list[BaseException]) -> str:
    return _short(getattr(chain[-1], "strerror", None) or chain[-1]).rstrip(".")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it comes from. Some of urllib3's errors only hold theirs as an argument."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        held = next((argument for argument in cause.args if isinstance(argument, BaseException)), None)
        cause = cause.__cause__ or cause.__context__ or held
