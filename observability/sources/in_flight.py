"""Requests that are on their way while the answers to others are read."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

Job = TypeVar("Job")
Client = TypeVar("Client")
Found = TypeVar("Found")

GLANCE_S = 0.2  # how soon a thread that waits to hand something over sees that nobody wants it any more


def each(
    work: Callable[[Job, Client], Iterator[Found]], jobs: Iterable[Job], clients: Sequence[Client]
) -> Iterator[Found]:
    """What ``work`` yields for each job, as it comes; one thread per client takes one job after the other.

    No thread is further ahead than one result. The first error ends it and is raised here. The threads are daemons, so
    that an interrupted program does not wait for a slow server.
    """
    todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        todo.put(job)
    results: queue.Queue[Found | BaseException | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def hand_over(result: Found | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                results.put(result, timeout=GLANCE_S)
            except queue.Full:
                continue
            return

    def run(client: Client) -> None:
        try:
            while not stopped.is_set():
                for found in work(todo.get_nowait(), client):
                    hand_over(found)
                    if stopped.is_set():
                        return
        except queue.Empty:
            hand_over(None)
        except BaseException as error:  # raised again where the results are read
            hand_over(error)

    for client in clients:
        threading.Thread(target=run, args=(client,), daemon=True).start()
    running = len(clients)
    try:
        while running:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        stopped.set()
