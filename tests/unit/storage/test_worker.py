"""The thread that writes and syncs."""

from __future__ import annotations

import threading

import pytest

from perdure._storage.journal.worker import Inline, Worker


@pytest.fixture(params=[Worker, Inline])
def work(request):
    work = request.param("test") if request.param is Worker else Inline()
    yield work
    work.stop()


def test_functions_run_one_after_the_other_in_order(work):
    seen: list[int] = []
    futures = [work.submit(lambda number=number: seen.append(number)) for number in range(50)]
    for future in futures:
        future.result(10)
    assert seen == list(range(50))


def test_a_result_comes_back(work):
    assert work.submit(lambda: 42).result(10) == 42


def test_an_exception_comes_back(work):
    with pytest.raises(KeyError):
        work.submit(lambda: {}["x"]).result(10)


def test_a_worker_goes_on_after_an_exception(work):
    work.submit(lambda: {}["x"])
    assert work.submit(lambda: 1).result(10) == 1


def test_a_worker_has_one_thread_of_its_own():
    worker = Worker("perdure-test")
    threads = {worker.submit(threading.current_thread).result(10) for _ in range(5)}
    (thread,) = threads
    assert thread.name == "perdure-test"
    assert thread.daemon
    worker.stop()
    assert not thread.is_alive()


def test_stop_finishes_what_was_submitted():
    worker = Worker("perdure-test")
    futures = [worker.submit(lambda: 1) for _ in range(20)]
    worker.stop()
    assert all(future.done() for future in futures)


def test_a_worker_that_did_nothing_has_no_thread():
    before = threading.active_count()
    worker = Worker("perdure-test")
    assert threading.active_count() == before
    worker.stop()
