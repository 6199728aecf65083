"""Requests on their way while answers are read: everything arrives once, errors too, and nothing runs on."""

import threading

import pytest

from observability.sources import in_flight


def test_every_result_arrives_and_those_of_one_job_in_their_order():
    found = list(in_flight.each(lambda job, _: iter([(job, k) for k in range(3)]), range(20), "abc"))
    assert sorted(found) == [(job, k) for job in range(20) for k in range(3)]
    assert [k for job, k in found if job == 7] == [0, 1, 2]


def test_no_job_is_no_result():
    assert list(in_flight.each(lambda job, _: iter([job]), [], "ab")) == []


def test_a_client_has_one_job_at_a_time():
    busy = {"a": threading.Lock(), "b": threading.Lock()}

    def work(job, client):
        assert busy[client].acquire(blocking=False)
        yield job
        busy[client].release()

    assert sorted(in_flight.each(work, range(50), "ab")) == list(range(50))


def test_the_first_error_is_raised_where_the_results_are_read():
    def work(job, _):
        if job == 3:
            raise ValueError("the third")
        yield job

    with pytest.raises(ValueError, match="the third"):
        list(in_flight.each(work, range(10), "a"))


def test_nobody_works_on_when_the_results_are_no_longer_read():
    done = []

    def work(job, _):
        done.append(job)
        yield job

    before = threading.active_count()
    results = in_flight.each(work, range(1000), "ab")
    next(results)
    results.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon and "run" in thread.name:
            thread.join(timeout=20)
    assert threading.active_count() <= before
    assert len(done) < 10


def test_a_job_of_many_parts_is_given_up_too():
    """Its client is another reader's next, so nothing may be sent on it any more."""
    done, running = [], threading.Event()

    def work(job, _):
        for part in range(50):
            done.append(part)
            yield part
        running.set()

    results = in_flight.each(work, [1], "a")
    next(results)
    results.close()
    assert not running.wait(timeout=1)
    assert len(done) < 5
