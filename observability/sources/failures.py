"""What a server says when it does not answer as asked, as one sentence and the error that it becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests
from urllib3.exceptions import ReadTimeoutError

from observability.errors import ConfigError, PostgaError, SourceError
from observability.sources.connection import RETRIED_STATUS, RETRIES

ERROR_LENGTH = 300


def refusal(response: requests.Response, where: str, promql: str) -> PostgaError:
    """Of an answer whose status is not 200. ``where`` names the query and the server."""
    status, said = response.status_code, f"{where}: HTTP {response.status_code} ({_reason(response)})"
    if status in {400, 422}:
        return ConfigError(f"{said}; correct the query: {promql}")
    if status in {401, 403}:
        return SourceError(f"{said}; give credentials that may read, as in https://user:password@host.")
    if status == requests.codes.not_found:
        return SourceError(f"{said}; check that this is Prometheus' base URL, with its path prefix if it has one.")
    if status in RETRIED_STATUS:
        return SourceError(f"{said}, also after {RETRIES} more attempts; run the command again later.")
    return SourceError(f"{said}; check the URL.")


def not_json(response: requests.Response, where: str) -> SourceError:
    """Of an answer with status 200 that is something else, such as a login page."""
    content = response.headers.get("Content-Type", "no content type").partition(";")[0]
    return SourceError(
        f"{where}: the answer ({content}) is not JSON; check that the URL is Prometheus' own, and that no login page "
        "stands before it."
    )


def reported(payload: dict[str, Any], where: str) -> SourceError:
    """Of an answer with status 200 that says that it is an error."""
    return SourceError(f"{where}: the server reports an error ({_short(payload.get('error'))}); see the server's log.")


def unreachable(error: requests.RequestException, where: str, timeout_s: float) -> SourceError:
    """Of a request that no answer came to."""
    chain = list(_causes(error))
    if any(isinstance(cause, ReadTimeoutError) for cause in chain):
        what = f"no answer within {timeout_s:g} s; raise `timeout` under `prometheus:` in the release file"
    else:
        reason = str(getattr(chain[-1], "strerror", None) or chain[-1]).rstrip(".")
        what = f"the server cannot be reached ({reason}); check the URL and that the server runs"
    return SourceError(f"{where}: {what}.")


def _reason(response: requests.Response) -> str:
    try:
        payload = json.loads(response.content)
    except ValueError:
        payload = None
    return _short((payload.get("error") if isinstance(payload, dict) else None) or response.reason)


def _short(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= ERROR_LENGTH else line[:ERROR_LENGTH] + "…"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
