"""Threads, forks, and memory."""

from __future__ import annotations

import gc
import hashlib
import hmac
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Listener

from libpusher import Pusher, PusherError, errors

Listen = Callable[..., Listener]
THREADS = 64


def test_threads_get_their_own_results_and_errors(listen: Listen) -> None:
    listener = listen()
    client = listener.client(timeout=30, max_idle_connections=THREADS)
    key, secret = listener.config["key"], listener.config["secret"].encode()
    together = threading.Barrier(THREADS)

    def work(number: int) -> None:
        together.wait(30)
        # The message names the wrong character, which differs in each thread.
        wrong = chr(0x4E00 + number)
        for turn in range(20):
            assert client.trigger(f"c{number}", "e", {"turn": turn}, info="user_count") == {"channels": {f"c{number}": {}}}
            with pytest.raises(errors.InvalidArgument) as raised:
                client.trigger(f"c-{wrong}", "e", {})
            assert wrong in str(raised.value)
            with pytest.raises(errors.PusherBadStatus) as refused:
                client.get(f"/nothing-{number % 7}")
            assert refused.value.http_status == 404
            auth = hmac.new(secret, f"1.{turn}:private-{number}".encode(), hashlib.sha256).hexdigest()
            assert client.authenticate(f"private-{number}", f"1.{turn}") == {"auth": f"{key}:{auth}"}

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert listener.ledger()["connections"] <= THREADS
    published = listener.published()
    for number in range(THREADS):
        turns = [event["data"] for event in published if event["channel"] == f"c{number}"]
        assert turns == [f'{{"turn":{turn}}}' for turn in range(20)]


def test_a_wait_lets_the_other_threads_run(listen: Listen) -> None:
    client = listen("silence-after-request", times=0).client(timeout=1, retry={"mode": "never"})
    started = time.monotonic()

    def work(_: int) -> None:
        with pytest.raises(errors.DeliveryUnknown):
            client.trigger("c", "e", {})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    # In sequence they would take 16.
    assert time.monotonic() - started < 8


def test_threads_share_a_publisher(listen: Listen) -> None:
    listener = listen()
    with listener.client().publisher(connections=4) as publisher:

        def work(number: int) -> list[int]:
            return [publisher.publish(f"c{number}", "e", turn) for turn in range(50)]

        with ThreadPoolExecutor(THREADS) as pool:
            ids = [number for some in pool.map(work, range(THREADS)) for number in some]
    assert len(set(ids)) == THREADS * 50
    published = listener.published()
    for number in range(THREADS):
        assert [event["data"] for event in published if event["channel"] == f"c{number}"] == [str(turn) for turn in range(50)]


def test_a_client_that_is_closed_during_calls_is_freed_after_them(listen: Listen) -> None:
    client = listen("late-answer", params={"ms": 300}, times=0).client()
    outcomes: list[Any] = []

    def work() -> None:
        try:
            outcomes.append(client.trigger("c", "e", {}))
        except errors.InvalidArgument as error:
            outcomes.append(error.argument)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    # Each call has begun and holds the client, or begins later and is refused.
    client.close()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == 8
    assert all(outcome in ({}, "client") for outcome in outcomes)


# Python 3.12 and later warn: other threads may hold a lock at the fork. This tests that the library's locks survive it.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_children_use_their_parents_client_with_their_own_connections(listen: Listen) -> None:
    listener = listen()
    client = listener.client()
    client.trigger("parent", "e", 0)
    publisher = client.publisher()
    publisher.publish("parent", "e", 1)
    publisher.flush()

    def child(number: int) -> int:
        for turn in range(10):
            client.trigger(f"child-{number}", "e", turn)
        for call in (lambda: publisher.publish("c", "e", 1), publisher.poll, lambda: publisher.flush(1), publisher.stats):
            try:
                call()
            except errors.Forked:
                continue
            return 2
        with client.publisher() as own:
            own.publish(f"child-{number}", "e", "mine")
        return 0

    children = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            # No pytest code may run in the child, and a child that hangs is killed.
            signal.alarm(60)
            try:
                code = child(number)
            except BaseException:
                code = 1
            os._exit(code)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 8
    client.trigger("parent", "e", 2)
    publisher.close()
    users: dict[int, set[str]] = {}
    for attempt in listener.ledger()["attempts"]:
        process = attempt["applied"][0]["channel"]
        users.setdefault(attempt["connection"], set()).add(process)
    assert all(len(processes) == 1 for processes in users.values()), users
    published = listener.published()
    for number in range(8):
        mine = [event["data"] for event in published if event["channel"] == f"child-{number}"]
        assert mine == [*(str(turn) for turn in range(10)), "mine"]
    assert [event["data"] for event in published if event["channel"] == "parent"] == ["0", "1", "2"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_an_error_comes_back_from_a_pool_of_processes() -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(errors.InvalidArgument) as raised:
        pool.apply_async(_fail).get(30)
    assert raised.value.argument == "channels"


def _fail() -> None:
    Pusher("1", "k", "s").trigger("a b", "e", {})


@pytest.mark.parametrize("what", ["authenticate", "failure", "trigger", "prepare", "publish", "client", "transport"])
def test_memory_stays_flat(listen: Listen, what: str) -> None:
    client = listen().client()
    publisher = client.publisher(reports="all")
    big = {"user_id": "7", "user_info": {"text": "x" * 2000}}

    def refused() -> None:
        with pytest.raises(PusherError):
            client.trigger("a b", "e", big)

    def published() -> None:
        publisher.publish("c", "e", big)
        publisher.flush()
        assert publisher.poll()

    def transported() -> None:
        from libpusher import Response

        own = Pusher("1", "k", "s", transport=lambda request: Response(200, b"{}"), log=lambda *line: None, log_level="debug")
        assert own.trigger("c", "e", big) == {}

    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "authenticate": (lambda: client.authenticate("presence-c", "1.2", big), 20_000),
        "failure": (refused, 5_000),
        "trigger": (lambda: client.trigger("c", "e", big), 2_000),
        "prepare": (lambda: client.prepare.trigger("c", "e", big).finish(200, b"{}"), 5_000),
        "publish": (published, 2_000),
        "client": (lambda: Pusher("1", "k", "s").close(), 5_000),
        "transport": (transported, 2_000),
    }
    call, times = calls[what]

    def after(rounds: int) -> int:
        for _ in range(rounds):
            call()
        gc.collect()
        return resident()

    try:
        after(times // 2)
        before = after(times // 2)
        # This detects a leak of 100 bytes per call; the allocator itself keeps less.
        assert after(times * 2) - before < max(times * 2 * 100, 1 << 20)
    finally:
        publisher.close()


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
