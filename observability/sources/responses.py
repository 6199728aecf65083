"""What a server's answer holds, and what is wrong with one that is no answer of Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import msgspec
import requests

from observability.errors import ConfigError, SourceError
from observability.model import SERVER_WARNED
from observability.sources import failures
from observability.sources.answer import Names, Payload, Series

PARTIAL = "the answer is only a part"
NOT_NUMBERS = {"string": "a text", "matrix": "a range vector"}

P = TypeVar("P", Payload, Names)


def read(response: requests.Response, kind: str, where: str) -> tuple[list[Series], list[str]]:
    """The series of a vector or a matrix, and what the server warned of."""
    payload = decoded(response, Payload, where)
    if payload.data is None or payload.data.result_type != kind:
        raise SourceError(f"{where}: the answer is not a {kind}, as Prometheus' would be; check the URL.")
    warnings = [*(payload.warnings or []), *([PARTIAL] if payload.is_partial else [])]
    return payload.data.result, [SERVER_WARNED + failures.said(warning, response.request) for warning in warnings]


def vector(response: requests.Response, promql: str, where: str) -> tuple[list[Series], list[str]]:
    """The series of a vector, a scalar as one without labels, and what the server warned of."""
    found = _other_thanvector(response)
    if found is None:
        return read(response, "vector", where)
    if found.result_type != "scalar":
        what = NOT_NUMBERS[found.result_type]
        raise ConfigError(f"{where}: it returns {what}, and not numbers; correct the query: {promql}")
    return [Series(metric={}, value=msgspec.json.decode(found.result, type=tuple[float, str]))], []


@contextmanager
def understood(where: str) -> Iterator[None]:
    """What is read here may be no answer of Prometheus."""
    try:
        yield
    except (TypeError, ValueError):
        raise SourceError(f"{where}: the answer is not one of Prometheus; check the URL.") from None


class _Result(msgspec.Struct, rename="camel"):
    result_type: Literal["scalar", "string", "matrix"]
    result: msgspec.Raw


class _Other(msgspec.Struct):
    data: _Result


def _other_thanvector(response: requests.Response) -> _Result | None:
    """What PromQL may be instead; None for a vector, and for what is no answer of Prometheus."""
    try:
        return msgspec.json.decode(response.content, type=_Other).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decoded(response: requests.Response, shape: type[P], where: str) -> P:
    try:
        payload = msgspec.json.decode(response.content, type=shape)
    except msgspec.ValidationError:
        raise SourceError(f"{where}: the answer is not one of Prometheus; check the URL.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise failures.not_json(response, where) from None
    if payload.status != "success":
        raise failures.reported(payload.error, response, where)
    return payload
