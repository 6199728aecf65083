"""One attempt to post something to a receiver, bounded in time, and why it failed."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Thread

import requests
import urllib3

from observability.errors import ConfigError
from observability.http_config import without_credentials
from observability.notify import Receiver
from observability.sources import credentials, failures
from observability.sources.connection import retry_after_s, session

LATER = frozenset({408, 425, 429})  # of 4xx, those that may pass by themselves
MOST_HANGING = 3
SAID_BYTES = 2000  # of an answer's text


@dataclass(frozen=True)
class Message:
    """A JSON body and where to post it, below the receiver's URL."""

    body: bytes
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why a message was not taken. ``is_refusal``: the receiver does not want it as it is, now or later."""

    reason: str
    is_refusal: bool = False
    retry_after_s: float = 0.0


class Post:
    """Posts to one receiver, from one thread.

    An attempt has a thread of its own, because the timeouts of a socket do not bound it: they begin again with every
    byte. One that takes too long has failed, and is left to end by itself.
    """

    def __init__(self, receiver: Receiver, timeout_s: float) -> None:
        """Raises ``ConfigError`` for variables and files that the receiver's settings refer to."""
        self._receiver, self._timeout_s = receiver, timeout_s
        self._hanging: list[Thread] = []
        session(_named(receiver), retries=False).close()

    def __call__(self, message: Message) -> Failure | None:
        """``None`` when it was taken. Raises nothing."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) == MOST_HANGING:
            return Failure(f"{MOST_HANGING} earlier requests are still being answered")
        answers: queue.SimpleQueue[Failure | None] = queue.SimpleQueue()
        thread = Thread(target=lambda: answers.put(self._attempt(message)), daemon=True)
        thread.start()
        try:
            return answers.get(timeout=self._timeout_s)
        except queue.Empty:
            self._hanging.append(thread)
            return Failure(self._too_late)

    def _attempt(self, message: Message) -> Failure | None:
        try:
            receiver = _named(self._receiver)
            url = without_credentials(receiver.url).rstrip("/" if message.path else "") + message.path
            with session(receiver, retries=False) as way:
                return _judged(self._sent(way, url, message))
        except ConfigError as error:
            return Failure(str(error).rstrip("."))
        except requests.Timeout:
            return Failure(self._too_late)
        except requests.exceptions.InvalidURL:
            return Failure("its URL, or that of the proxy to it, cannot be used")
        except requests.RequestException as error:
            return Failure(f"the request failed: {failures.why(error)}")
        except Exception as error:  # whatever it is, the notification stays, and the thread that posts goes on
            return Failure(f"{type(error).__name__} while posting to it")

    def _sent(self, way: requests.Session, url: str, message: Message) -> requests.Response:
        """The answer's head; its body may have no end."""
        return way.post(
            url,
            data=message.body,
            headers={"Content-Type": "application/json", **message.headers},
            timeout=self._timeout_s,
            stream=True,
            allow_redirects=False,  # a redirected POST becomes a GET, which delivers nothing
        )

    @property
    def _too_late(self) -> str:
        return f"no answer within {self._timeout_s:g} s"


def _named(receiver: Receiver) -> Receiver:
    """With the URL that a variable stands for."""
    return receiver.model_copy(update={"url": credentials.url(receiver)})


def _judged(response: requests.Response) -> Failure | None:
    status = response.status_code
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Failure(f"HTTP {status}: it redirects; write the URL that it redirects to", is_refusal=True)
    is_refusal = 400 <= status < 500 and status not in LATER
    return Failure(f"HTTP {status} ({_reason(response)})", is_refusal, retry_after_s(response.headers) or 0.0)


def _reason(response: requests.Response) -> str:
    """The receiver's own words, without secrets of ours that it repeats, as far as they come with the head."""
    try:
        text = response.raw.read1(SAID_BYTES, decode_content=True).decode(errors="replace").strip()
    except urllib3.exceptions.HTTPError:
        text = ""
    return failures.said(response.reason if not text or "<" in text else text, response.request)
