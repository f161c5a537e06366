"""AsyncPusher: the calls in an event loop, and what they say after faults and cancellations."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import select
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx
import pytest
import uvloop
from conftest import FaultServer, Listener

from libpusher import Delivery, Pusher, Request, Response, Retry, TransportFailure, errors
from libpusher._calls import Calls
from libpusher._connection import reuse_of
from libpusher._connector import Settings
from libpusher.aio import AsyncPusher

Listen = Callable[..., Listener]
Body = Callable[[], Awaitable[None]]
Run = Callable[[Body], None]
ONCE: Retry = {"mode": "never"}
ALL = 100


def client_of(listener: Listener, **more: Any) -> AsyncPusher:
    return AsyncPusher(**{**listener.config, **more})


def sockets() -> set[str]:
    """Returns the open sockets of this process."""
    links = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {link for link in links if link.startswith("socket:")}


async def until(is_there: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := is_there()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    return found


async def and_no_task_is_left(body: Body) -> None:
    await body()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


def with_asyncio(body: Body) -> None:
    asyncio.run(and_no_task_is_left(body))


def with_debug(body: Body) -> None:
    asyncio.run(and_no_task_is_left(body), debug=True)


def with_uvloop(body: Body) -> None:
    uvloop.run(and_no_task_is_left(body))


def with_anyio(body: Body) -> None:
    anyio.run(and_no_task_is_left, body)


@pytest.fixture
def no_socket_is_left() -> Iterator[None]:
    before = sockets()
    yield
    deadline = time.monotonic() + 20
    # Threads of the library may still close theirs.
    while not sockets() <= before:
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


@pytest.fixture
def run(no_socket_is_left: None) -> Run:
    return with_asyncio


@pytest.fixture(params=[with_asyncio, with_uvloop, with_anyio])
def run_everywhere(request: pytest.FixtureRequest, no_socket_is_left: None) -> Run:
    chosen: Run = request.param
    return chosen


async def failure_of(call: Awaitable[Any]) -> errors.PusherError:
    with pytest.raises(errors.PusherError) as raised:
        await call
    return raised.value


def test_every_call_has_the_names_and_arguments_of_the_client() -> None:
    calls = [name for name in vars(Calls) if not name.startswith("_")]
    assert len(calls) >= 10
    signatures = ["authenticate", "authenticate_channels", "authenticate_user", "validate_webhook", "validate_webhook_or_raise"]
    for name in [*calls, *signatures, "publisher", "from_env", "from_url"]:
        own, other = (list(inspect.signature(getattr(kind, name)).parameters) for kind in (AsyncPusher, Pusher))
        assert own == other, name
    made, other = (list(inspect.signature(kind).parameters) for kind in (AsyncPusher, Pusher))
    assert made[:12] == other[:12]


@pytest.mark.parametrize("run_with", [with_asyncio, with_debug, with_uvloop, with_anyio])
@pytest.mark.parametrize("tls", [False, True])
def test_every_call_returns_what_the_client_does(listen: Listen, no_socket_is_left: None, run_with: Run, tls: bool) -> None:
    listener = listen(tls=tls)

    async def body() -> None:
        async with client_of(listener) as client:
            assert await client.trigger(["a", "b"], "e", {"k": 1}, "1.2") == {}
            assert await client.trigger_batch([{"channel": "a", "name": "e", "data": "x"}]) == {}
            assert await client.send_to_user("u", "e", "x") == {}
            assert await client.terminate_user_connections("u") == {}
            assert await client.channels_info("presence-", ["user_count"]) == {"channels": {}}
            assert await client.channel_info("c") == {"occupied": False}
            assert await client.users_info("presence-c") == {"users": []}
            assert await client.get("/channels", {"a": 1}) == {"channels": {}}
            assert await client.post("/events", None, {"name": "e", "channel": "c", "data": "x"}) == {}
            assert await client.delete("/channels/c") == {}
            with listener.client() as other:
                assert client.authenticate("private-c", "1.2") == other.authenticate("private-c", "1.2")
            assert client.validate_webhook("k", "s", b"{}") is None
            assert client.prepare.trigger("c", "e", 1).method == "POST"

    run_with(body)
    assert len(listener.published()) == 7
    # One call after the other needs one connection.
    assert listener.ledger()["connections"] == 1


def test_a_hundred_calls_in_flight_share_as_many_connections(listen: Listen, run_everywhere: Run) -> None:
    listener = listen()

    async def body() -> None:
        async def some(client: AsyncPusher, task: int) -> None:
            for number in range(10):
                assert await client.trigger(f"c{task}", "e", number) == {}

        async with client_of(listener, max_connections=ALL, timeout=60) as client:
            await asyncio.gather(*(some(client, task) for task in range(2 * ALL)))

    run_everywhere(body)
    events = [(event["channel"], event["data"]) for event in listener.published()]
    assert sorted(events) == sorted((f"c{task}", str(number)) for task in range(2 * ALL) for number in range(10))
    assert listener.ledger()["connections"] <= ALL


def test_wrong_arguments_are_errors_before_anything_is_sent(listen: Listen, run: Run) -> None:
    listener = listen()

    async def body() -> None:
        async with client_of(listener) as client:
            assert (await failure_of(client.trigger("a b", "e", 1))).argument == "channels"
            with pytest.raises(errors.InvalidArgument):
                await client.trigger("c\0", "e", 1)
            assert isinstance(await failure_of(client.trigger("c", "e", "x" * 10_241)), errors.PayloadTooLarge)
        assert isinstance(await failure_of(client.trigger("c", "e", 1)), errors.UsageError)

    run(body)
    assert listener.ledger()["attempts"] == []
    for more in (
        {"max_connections": 0},
        {"batching": True, "transport": print},
        {"proxy": "http://127.0.0.1:9", "transport": print},
    ):
        with pytest.raises(errors.InvalidConfig):
            AsyncPusher("1", "k", "s", **more)
    with pytest.raises(TypeError):
        AsyncPusher("1", "k", "s", transport=object())


# What a call says after a fault of the server, and the cause.
FAULTS: list[tuple[str, dict[str, Any], Delivery, str | None]] = [
    ("refused", {}, Delivery.NOT_SENT, "connect"),
    ("rst-after-request", {}, Delivery.UNKNOWN, "reset"),
    ("rst-after-request-applied", {}, Delivery.UNKNOWN, "reset"),
    ("fin-after-request-applied", {"tls": True}, Delivery.UNKNOWN, "closed"),
    ("cut-after-request-applied", {"tls": True}, Delivery.UNKNOWN, "closed"),
    ("silence-after-request", {}, Delivery.UNKNOWN, "timeout"),
    ("silence-after-request-applied", {"tls": True}, Delivery.UNKNOWN, "timeout"),
    ("answer-cut-fin", {}, Delivery.UNKNOWN, "closed"),
    ("answer-cut-rst", {"tls": True}, Delivery.UNKNOWN, "reset"),
    ("answer-cut-silence", {}, Delivery.UNKNOWN, "timeout"),
    ("status-403", {}, Delivery.REJECTED, None),
    ("refusal-cut-rst", {}, Delivery.REJECTED, None),
    ("refusal-cut-silence", {"tls": True}, Delivery.REJECTED, None),
    ("status-503-applied", {}, Delivery.UNKNOWN, None),
    ("tls-silence", {"tls": True}, Delivery.NOT_SENT, "timeout"),
    ("tls-rst-after-hello", {"tls": True}, Delivery.NOT_SENT, "reset"),
    ("tls-garbage", {"tls": True}, Delivery.NOT_SENT, "tls"),
]


@pytest.mark.parametrize(("fault", "more", "delivery", "cause"), FAULTS)
def test_a_fault_says_what_happened(
    listen: Listen, run: Run, fault: str, more: dict[str, Any], delivery: Delivery, cause: str | None
) -> None:
    listener = listen(fault, **more)

    async def body() -> None:
        # Only silence takes the whole time.
        async with client_of(listener, retry=ONCE, timeout=2 if cause == "timeout" else 30) as client:
            error = await failure_of(client.trigger("c", "e", 1))
            assert (error.delivery, error.cause) == (delivery, cause), error
            assert error.attempts == 1

    run(body)


@pytest.mark.parametrize("fault", ["tls-expired", "tls-not-yet-valid", "tls-self-signed", "tls-wrong-host", "tls-wrong-ca"])
def test_certificates_are_verified(listen: Listen, run: Run, fault: str) -> None:
    listener = listen(fault, tls=True, times=0)

    async def body() -> None:
        async with client_of(listener) as client:
            error = await failure_of(client.trigger("c", "e", 1))
            assert (error.delivery, error.cause, error.attempts) == (Delivery.NOT_SENT, "tls", 1), error
            assert "certificate" in str(error).lower()

    run(body)
    assert listener.published() == []


def test_the_system_does_not_trust_the_authority_of_a_file(listen: Listen, run: Run) -> None:
    listener = listen(tls=True)

    async def body() -> None:
        async with client_of(listener, ca_file=None) as client:
            assert (await failure_of(client.trigger("c", "e", 1))).cause == "tls"
        async with client_of(listener, ca_file=None, extra_ca_file=listener.config["ca_file"]) as client:
            assert await client.trigger("c", "e", 1) == {}
        async with client_of(listener, ca_file="/nowhere.pem") as client:
            error = await failure_of(client.trigger("c", "e", 1))
            assert (error.cause, error.delivery) == ("tls", Delivery.NOT_SENT)

    run(body)
    context = Settings().context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


# Every fault of the server, on a new connection and on one that was used before. It is the ledger that says what is true.
@pytest.mark.parametrize("tls", [False, True])
def test_no_fault_makes_a_call_lie(server: FaultServer, run: Run, tls: bool) -> None:
    catalogue: list[dict[str, Any]] = server.ask("GET", "/faults")
    jobs = [
        (fault["name"], warm)
        for fault in catalogue
        for warm in (0, 1)
        if fault["tls" if tls else "plain"] and not fault["proxy"] and (fault["reused"] or not warm)
    ]
    assert len(jobs) > 150
    seen: set[Delivery | None] = set()

    async def one(name: str, warm: int, many: asyncio.Semaphore) -> None:
        async with many:
            listener = await asyncio.to_thread(Listener, server, {"fault": name, "tls": tls, "warm": warm})
            said: list[Delivery | None] = []
            async with client_of(listener, retry=ONCE, timeout=1) as client:
                for number in range(3):
                    try:
                        await client.trigger("c", "e", number)
                        said.append(Delivery.DELIVERED)
                    except errors.PusherError as error:
                        said.append(error.delivery)
            applied = [event["data"] for event in await asyncio.to_thread(listener.published)]
            await asyncio.to_thread(listener.close)
        for number, delivery in enumerate(said):
            count = applied.count(str(number))
            assert count <= 1, (name, warm, "was sent twice")
            if delivery is not Delivery.UNKNOWN:
                assert count == (delivery is Delivery.DELIVERED), (name, warm, number, delivery)
        seen.update(said)

    async def body() -> None:
        many = asyncio.Semaphore(24)
        await asyncio.gather(*(one(name, warm, many) for name, warm in jobs))

    run(body)
    assert seen == set(Delivery)


def test_a_hundred_calls_under_random_faults_are_all_true(listen: Listen, run_everywhere: Run) -> None:
    faults = ["rst-after-request-applied", "fin-after-request", "answer-cut-rst", "status-500-applied", "silent-close-at-once"]
    listener = listen(times=0, mix={"seed": 7, "one_in": 4, "faults": [*faults, "status-429", "rst-at-first-byte"]})
    said: dict[str, Delivery | None] = {}

    async def body() -> None:
        async def some(client: AsyncPusher, task: int) -> None:
            for number in range(3):
                event = f"{task}-{number}"
                try:
                    await client.trigger("c", event, 1)
                    said[event] = Delivery.DELIVERED
                except errors.PusherError as error:
                    said[event] = error.delivery

        async with client_of(listener, timeout=20, retry={"ratio": 1}) as client:
            await asyncio.gather(*(some(client, task) for task in range(ALL)))

    run_everywhere(body)
    applied = [event["name"] for event in listener.published()]
    assert len(said) == 3 * ALL
    assert len(set(applied)) == len(applied)
    for event, delivery in said.items():
        if delivery is not Delivery.UNKNOWN:
            assert (event in applied) == (delivery is Delivery.DELIVERED), (event, delivery)
    assert {Delivery.DELIVERED, Delivery.UNKNOWN} <= set(said.values())


@pytest.mark.parametrize("tls", [False, True])
def test_a_request_whose_last_byte_the_kernel_did_not_take_was_not_sent(listen: Listen, run: Run, tls: bool) -> None:
    # More than the kernel buffers.
    data, limit = "x" * 12_000_000, {"max_data_bytes": 20_000_000}
    listener = listen("silence-mid-request", tls=tls)

    async def body() -> None:
        async with client_of(listener, retry=ONCE, timeout=1, **limit) as client:
            error = await failure_of(client.trigger("c", "e", data))
            assert (error.delivery, error.cause) == (Delivery.NOT_SENT, "timeout")
            task = asyncio.ensure_future(client.trigger("c", "e", data, timeout=60))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with client_of(listen("rst-mid-request", tls=tls), retry=ONCE, timeout=20, **limit) as client:
            error = await failure_of(client.trigger("c", "e", data))
            assert (error.delivery, error.cause) == (Delivery.NOT_SENT, "reset")
            assert await client.trigger("c", "e", data) == {}

    run(body)
    assert not any(attempt["applied_all"] for attempt in listener.ledger()["attempts"])


@pytest.mark.parametrize("fault", ["idle-fin", "idle-rst", "idle-408", "idle-extra-bytes", "stale-fin", "connection-close"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_the_server_has_closed_is_not_used_again(listen: Listen, run: Run, fault: str, tls: bool) -> None:
    listener = listen(fault, tls=tls)

    async def body() -> None:
        async with client_of(listener, retry=ONCE) as client:
            await client.trigger("c", "e", 0)
            state = client._state
            assert state is not None
            # Without a turn of the event loop: the call itself must look.
            for connection in state.connections._idle:
                assert select.select([connection._descriptor], [], [], 20)[0]
            await client.trigger("c", "e", 1)

    run(body)
    assert [event["data"] for event in listener.published()] == ["0", "1"]
    assert listener.ledger()["connections"] == 2


def test_a_server_that_closes_in_silence_is_found_out(listen: Listen, run: Run) -> None:
    listener = listen("silent-close-at-once", times=0)

    async def body() -> None:
        async with client_of(listener, retry=ONCE) as client:
            for number in range(6):
                await client.trigger("c", "e", number)

    run(body)
    assert len(listener.published()) == 6


def test_idle_connections_are_limited_and_end(listen: Listen, run: Run) -> None:
    listener = listen()

    async def body() -> None:
        async with client_of(listener, max_idle_connections=2, idle_timeout_ms=100) as client:
            await asyncio.gather(*(client.trigger("c", "e", number) for number in range(10)))
            state = client._state
            assert state is not None
            assert len(state.connections) == 2
            await asyncio.sleep(0.15)
            await client.trigger("c", "e", 1)
            assert listener.ledger()["connections"] == 11

    run(body)


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2", (True, None)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", (True, None)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5, max=9", (True, 5.0)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive", (True, float("inf"))),
        ("HTTP/1.1 404 No\r\nContent-Length: 2", (True, None)),
        ("HTTP/1.1 404 No\r\nContent-Length: 3", (False, None)),
        ("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked", (False, None)),
        ("HTTP/1.1 503 No\r\nContent-Length: 2", (False, None)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2", (False, None)),
        ("HTTP/1.1 100 Continue", (False, None)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close", (False, None)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, close", (False, None)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", (False, None)),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", (False, None)),
    ],
)
def test_a_connection_is_kept_if_the_response_surely_lets_it(head: str, kept: tuple[bool, float | None]) -> None:
    data = f"{head}\r\n\r\n{{}}".encode()
    assert reuse_of(data) == kept
    # A head in pieces is not looked at.
    assert reuse_of(data[:-3]) == (False, None)


def test_a_failure_that_delivered_nothing_is_retried(listen: Listen, run: Run) -> None:
    listener = listen("status-429", times=2)

    async def body() -> None:
        async with client_of(listener) as client:
            assert await client.trigger("c", "e", 1) == {}
        async with client_of(listen("status-429", times=0)) as client:
            error = await failure_of(client.trigger("c", "e", 1))
            assert (error.attempts, error.http_status, error.delivery) == (3, 429, Delivery.REJECTED)
        async with client_of(listen("status-429", times=0), retry={"max_attempts": 2}) as client:
            assert (await failure_of(client.trigger("c", "e", 1))).attempts == 2
        async with client_of(listen("retry-after-99999")) as client:
            assert (await failure_of(client.trigger("c", "e", 1))).attempts == 1

    run(body)
    assert len(listener.ledger()["attempts"]) == 3


def test_what_may_have_arrived_is_resent_only_if_the_caller_says_so(listen: Listen, run: Run) -> None:
    async def applied(**more: Any) -> list[int]:
        listener = listen("rst-after-request-applied")
        async with client_of(listener, **more) as client:
            with contextlib.suppress(errors.DeliveryUnknown):
                await client.trigger("c", "e", 1)
        return [len(attempt["applied"]) for attempt in listener.ledger()["attempts"]]

    async def body() -> None:
        assert await applied() == [1]
        assert await applied(retry={"mode": "at_least_once"}, idempotency="off") == [1, 1]
        # The server knows the key of the second attempt.
        assert await applied(retry={"mode": "at_least_once"}, idempotency="auto") == [1, 0]
        assert await applied(server_deduplicates=True, idempotency="auto") == [1, 0]
        assert await applied(server_deduplicates=True, idempotency="off") == [1]
        # It would forget the key during the call.
        assert await applied(server_deduplicates=True, idempotency="auto", idempotency_window_ms=1000) == [1]
        # The first attempt may have been delivered, whatever the last one says.
        listener = listen(times=0, mix={"seed": 1, "one_in": 1, "faults": ["rst-after-request-applied", "status-403"]})
        retry: Retry = {"mode": "at_least_once", "max_attempts": 2, "ratio": 1}
        counts = set()
        async with client_of(listener, retry=retry, idempotency="off") as client:
            for number in range(20):
                first = len(listener.ledger()["attempts"])
                error = await failure_of(client.trigger("c", "e", number))
                made = [len(attempt["applied"]) for attempt in listener.ledger()["attempts"][first:]]
                counts.add(tuple(made))
                assert (error.attempts, error.delivery) == (len(made), Delivery.UNKNOWN if any(made) else Delivery.REJECTED)
        assert counts == {(0,), (1, 0), (1, 1)}

    run(body)


def test_retries_are_limited_to_a_share_of_the_calls(listen: Listen, run: Run) -> None:
    listener = listen("status-429", times=0)

    async def body() -> None:
        async with client_of(listener, retry={"max_attempts": 2}) as client:
            for _ in range(30):
                await failure_of(client.trigger("c", "e", 1))

    run(body)
    # Ten, and a tenth of the calls.
    assert len(listener.ledger()["attempts"]) in (42, 43)


def test_a_call_ends_within_its_time(listen: Listen, run_everywhere: Run) -> None:
    async def body() -> None:
        async with client_of(listen("silence-after-request", times=0), timeout=30) as client:
            started = time.monotonic()
            error = await failure_of(client.trigger("c", "e", 1, timeout=0.2))
            assert (error.cause, error.delivery) == ("timeout", Delivery.UNKNOWN)
            assert 0.19 < time.monotonic() - started < 15
        async with client_of(listen("black-hole"), timeout=30, connect_timeout_ms=200, retry=ONCE) as client:
            error = await failure_of(client.trigger("c", "e", 1))
            assert (error.cause, error.delivery) == ("timeout", Delivery.NOT_SENT)
            assert "connect_timeout_ms" in str(error)
        async with client_of(listen("silence-after-request"), timeout=30, attempt_timeout_ms=1000) as client:
            # A query is retried, with what is left of the time.
            assert await client.channels_info() == {"channels": {}}
        async with client_of(listen("late-answer", params={"ms": 1500}), max_connections=1) as client:
            first = asyncio.ensure_future(client.trigger("c", "e", 1))
            await asyncio.sleep(0)
            error = await failure_of(client.trigger("c", "e", 2, timeout=0.1))
            assert (error.cause, error.delivery) == ("timeout", Delivery.NOT_SENT)
            assert await first == {}

    run_everywhere(body)


# Where a call is when it is cancelled: the fault of the server, and options of the listener and of the client.
PHASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "connecting": ("black-hole", {}, {}),
    "handshake": ("tls-silence", {"tls": True}, {}),
    "waiting": ("silence-after-request-applied", {}, {}),
    "waiting with TLS": ("silence-after-request-applied", {"tls": True}, {}),
    "reading": ("answer-cut-silence", {}, {}),
    "between attempts": ("retry-after-99999", {}, {"timeout": 200_000}),
    "on a thread": ("silence-after-request-applied", {}, {"circuit_breaker": {}}),
    "aiohttp": ("silence-after-request-applied", {}, {"session": "aiohttp"}),
    "httpx": ("silence-after-request-applied", {}, {"session": "httpx"}),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancelled_call_ends_at_once(listen: Listen, run_everywhere: Run, phase: str) -> None:
    fault, more, config = PHASES[phase]
    listener = listen(fault, **more)
    config = {"timeout": 60, "connect_timeout_ms": 60_000, **config}
    if config["timeout"] > 600:
        # The longest time that a call may have, so that the wait for Retry-After is shorter.
        listener, config["timeout"] = listen("retry-after-1", times=0), 600

    async def body() -> None:
        async with contextlib.AsyncExitStack() as stack:
            session: Any = None
            if (kind := config.pop("session", None)) == "aiohttp":
                session = await stack.enter_async_context(aiohttp.ClientSession())
            elif kind == "httpx":
                session = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            client = await stack.enter_async_context(client_of(listener, transport=session, **config))
            task = asyncio.ensure_future(client.trigger("c", "e", 1))
            if fault == "black-hole":
                await asyncio.sleep(0.2)
            else:
                await until(lambda: listener.ledger()["attempts"])
            await asyncio.sleep(0.05)
            started = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - started < 10
            state = client._state
            assert state is not None
            assert len(state.connections) == 0 or phase == "between attempts"
            if phase in ("waiting", "waiting with TLS", "reading", "on a thread", "aiohttp", "httpx"):
                # The fault was for one request; the client goes on.
                assert await client.trigger("c", "later", 1) == {}

    run_everywhere(body)


def test_a_call_that_waits_for_a_connection_or_a_lookup_can_be_cancelled(
    listen: Listen, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = listen("silence-after-request")

    async def body() -> None:
        async with client_of(listener, max_connections=1, timeout=60) as client:
            first, second, third = (asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(3))
            await until(lambda: listener.ledger()["attempts"])
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            first.cancel()
            # Its turn goes to the next one.
            assert await third == {}

        async def never(*_: Any, **__: Any) -> Any:
            await asyncio.sleep(600)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
        async with client_of(listener, host="localhost", timeout=60) as client:
            tasks = [asyncio.ensure_future(client.trigger("c", "e", 1)) for _ in range(3)]
            await asyncio.sleep(0.05)
            tasks[0].cancel()
            await asyncio.sleep(0.05)
            assert [task.done() for task in tasks] == [True, False, False]
            await client.aclose()
            for task in tasks[1:]:
                assert (await failure_of(task)).delivery is Delivery.NOT_SENT
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]

    run(body)


def test_cancelled_calls_leave_nothing_behind(listen: Listen, run_everywhere: Run) -> None:
    listener = listen("late-answer", params={"ms": 5}, times=0)

    async def body() -> None:
        async with client_of(listener, timeout=60) as client:
            for turn in range(10):
                tasks = [asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(ALL)]
                # Each turn cancels them a little later.
                await asyncio.sleep(turn / 1000)
                for task in tasks:
                    task.cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    assert result == {} or isinstance(result, asyncio.CancelledError)
            assert await client.trigger("c", "last", 1) == {}
            state = client._state
            assert state is not None
            assert len(state.connections) <= 8
            assert (state.connections._in_use, list(state.connections._queue), state.connections._woken) == (0, [], 0)
            assert not state.connections._making

    run_everywhere(body)


def test_a_scope_of_anyio_cancels_a_call(listen: Listen, no_socket_is_left: None) -> None:
    listener = listen("silence-after-request")

    async def body() -> None:
        async with client_of(listener, timeout=60) as client:
            with anyio.move_on_after(0.2) as scope:
                await client.trigger("c", "e", 1)
            assert scope.cancelled_caught
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(client.trigger, "c", "e", number)

    anyio.run(body)
    assert len(listener.published()) == 10


def test_the_end_of_a_client_ends_its_calls(listen: Listen, run_everywhere: Run) -> None:
    async def body() -> None:
        listener = listen("silence-after-request-applied", times=0)
        more: dict[str, Any]
        for more in ({}, {"circuit_breaker": {}}):
            client = client_of(listener, timeout=60, **more)
            expected = len(listener.published()) + 3
            tasks = [asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(3)]
            await until(lambda expected=expected: len(listener.published()) == expected)  # type: ignore[misc]
            await client.aclose()
            for task in tasks:
                error = await failure_of(task)
                assert (error.delivery, error.cause) == (Delivery.UNKNOWN, "cancelled")
            await client.aclose()

    run_everywhere(body)


def test_a_client_is_used_in_one_loop_at_a_time(listen: Listen, no_socket_is_left: None) -> None:
    listener = listen()
    client = client_of(listener)

    async def trigger() -> None:
        assert await client.trigger("c", "e", 1) == {}

    async def twice() -> None:
        await trigger()
        with pytest.raises(RuntimeError, match="event loop"):
            await asyncio.to_thread(asyncio.run, trigger())

    # A loop that was closed has left its connections.
    asyncio.run(twice())
    asyncio.run(trigger())
    asyncio.run(client.aclose())
    assert len(listener.published()) == 3 - 1


def test_an_unclosed_client_warns(listen: Listen, run: Run) -> None:
    async def body() -> None:
        client = client_of(listen())
        await client.trigger("c", "e", 1)
        with pytest.warns(ResourceWarning, match="unclosed"):
            client.__del__()
        await asyncio.sleep(0)

    run(body)


# Python 3.12 and later warn: other threads may hold a lock at the fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_its_own_connections(listen: Listen, no_socket_is_left: None) -> None:
    listener = listen()
    client = client_of(listener)

    async def trigger(name: str) -> None:
        assert await client.trigger("c", name, 1) == {}

    async def body() -> None:
        await trigger("parent")
        child = os.fork()
        if child == 0:
            try:
                asyncio._set_running_loop(None)
                asyncio.new_event_loop().run_until_complete(trigger("child"))
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        await trigger("parent again")
        await client.aclose()

    asyncio.run(body())
    assert [event["name"] for event in listener.published()] == ["parent", "child", "parent again"]
    assert listener.ledger()["connections"] == 2


def test_an_event_that_needs_several_requests_and_a_proxy_are_the_librarys(listen: Listen, run: Run) -> None:
    listener = listen()
    proxy = listen("proxy-407")

    async def body() -> None:
        async with client_of(listener) as client:
            assert await client.trigger([f"c{number}" for number in range(150)], "e", 1, fan_out=True) == {}
        async with client_of(listener, proxy=f"http://127.0.0.1:{proxy.port}") as client:
            error = await failure_of(client.trigger("c", "e", 1))
            assert error.http_status == 407
        seen: list[Any] = []
        async with client_of(listener, observer=lambda kind, call, fields: seen.append(kind)) as client:
            assert await client.trigger("c", "e", 1) == {}
        assert len(seen) == 4
        async with client_of(listen("refused"), circuit_breaker={"failures": 1}, retry=ONCE) as client:
            assert (await failure_of(client.trigger("c", "e", 1))).cause == "connect"
            assert (await failure_of(client.trigger("c", "e", 1))).cause == "circuit"

    run(body)
    assert len(listener.published()) == 151


def test_a_unix_socket_carries_requests(listen: Listen, run: Run, tmp_path: Path) -> None:
    listener = listen()
    path = str(tmp_path / "socket")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other, there = await asyncio.open_connection("127.0.0.1", listener.port)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(4096):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, there), copy(other, writer))

    async def body() -> None:
        own = listener.config
        async with await asyncio.start_unix_server(serve, path):
            async with AsyncPusher(own["app_id"], own["key"], own["secret"], unix_socket=path) as client:
                assert await client.trigger("c", "e", 1) == {}
            await until(lambda: len(asyncio.all_tasks()) == 1)

    run(body)
    assert len(listener.published()) == 1


def test_an_address_that_does_not_answer_does_not_hold_up_the_next(
    listen: Listen, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, slow, refused = listen(), listen("black-hole"), listen("refused")

    async def body() -> None:
        async def found(*_: Any, **__: Any) -> Any:
            ports = (refused.port, slow.port, listener.port)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        async with client_of(listener, host="localhost", connect_timeout_ms=20_000, timeout=20) as client:
            assert await client.trigger("c", "e", 1) == {}

    run(body)
    assert len(listener.published()) == 1


@pytest.fixture(params=["aiohttp", "httpx"])
def session(request: pytest.FixtureRequest) -> Callable[[], Any]:
    return aiohttp.ClientSession if request.param == "aiohttp" else lambda: httpx.AsyncClient(trust_env=False)


def test_a_session_of_the_caller_sends_the_requests(listen: Listen, run: Run, session: Callable[[], Any]) -> None:
    listener = listen("status-429")

    async def body() -> None:
        async with session() as http, client_of(listener, transport=http) as client:
            assert await client.trigger("c", "é", {"k": "ü"}) == {}
            assert await client.channels_info() == {"channels": {}}
            await asyncio.gather(*(client.trigger("c", "e", number) for number in range(50)))
            # aclose leaves it open.
            await client.aclose()
            assert not (http.closed if hasattr(http, "closed") else http.is_closed)
            # aiohttp closes its connections in the next turns of the loop.
        await asyncio.sleep(0.05)

    run(body)
    assert len(listener.published()) == 51


SESSION_FAULTS = [
    ("refused", Delivery.NOT_SENT, "connect"),
    ("rst-after-request-applied", Delivery.UNKNOWN, "reset"),
    ("silence-after-request-applied", Delivery.UNKNOWN, "timeout"),
    ("answer-cut-fin", Delivery.UNKNOWN, "reset"),
    ("status-403", Delivery.REJECTED, None),
    ("status-503-applied", Delivery.UNKNOWN, None),
    ("redirect-307", Delivery.REJECTED, None),
    ("gzip-unasked", None, None),
]


@pytest.mark.parametrize(("fault", "delivery", "cause"), SESSION_FAULTS)
def test_a_fault_under_a_session_says_what_happened(
    listen: Listen, run: Run, session: Callable[[], Any], fault: str, delivery: Delivery | None, cause: str | None
) -> None:
    listener = listen(fault)

    async def body() -> None:
        async with (
            session() as http,
            client_of(listener, transport=http, retry=ONCE, timeout=2 if cause == "timeout" else 30) as client,
        ):
            if delivery is None:
                assert await client.trigger("c", "e", 1) == {}
            else:
                error = await failure_of(client.trigger("c", "e", 1))
                assert (error.delivery, error.cause) == (delivery, cause), error
        await asyncio.sleep(0.05)

    run(body)


def test_a_function_of_the_caller_sends_the_requests(run: Run) -> None:
    async def send(request: Request) -> Response:
        assert (request.method, 0 < request.timeout <= 5) == ("POST", True)
        return Response(200, b"{}")

    async def plug(request: Request) -> Response:
        raise TransportFailure(Delivery.NOT_SENT, "reset", "somebody pulled the plug")

    async def confused(request: Request) -> Response:
        raise RuntimeError("a bug\0")

    async def slow(request: Request) -> Response:
        await asyncio.sleep(600)
        raise AssertionError

    async def body() -> None:
        async with AsyncPusher("1", "k", "s", transport=send) as client:
            assert await client.trigger("c", "e", 1) == {}
        for transport, delivery, cause in (
            (plug, Delivery.NOT_SENT, "reset"),
            (confused, Delivery.UNKNOWN, "transport"),
            (slow, Delivery.UNKNOWN, "timeout"),
        ):
            async with AsyncPusher("1", "k", "s", transport=transport, retry=ONCE, timeout=0.3) as client:
                error = await failure_of(client.trigger("c", "e", 1))
                assert (error.delivery, error.cause) == (delivery, cause)

    run(body)


def test_events_of_the_same_time_share_requests(listen: Listen, run_everywhere: Run) -> None:
    listener = listen()

    async def body() -> None:
        async with client_of(listener, batching=True) as client:
            results = await asyncio.gather(*(client.trigger("c", "e", number) for number in range(500)))
            assert results == [{}] * 500
            assert await client.send_to_user("u", "e", 1) == {}
            # A publisher cannot send these.
            assert await client.trigger("c", "e", 1, headers={"X-Tenant": "a"}) == {}
            assert await client.trigger("c", "e", 1, timeout=3) == {}
            assert await client.channels_info() == {"channels": {}}
            assert (await failure_of(client.trigger("a b", "e", 1))).argument == "channels"

    run_everywhere(body)
    ledger = listener.ledger()
    assert sum(len(attempt["applied"]) for attempt in ledger["attempts"]) == 503
    assert len(ledger["attempts"]) < 503
    # A channel's events keep their order.
    assert [event["data"] for event in listener.published()][:500] == [str(number) for number in range(500)]


def test_each_event_of_a_batch_has_its_own_end(listen: Listen, run: Run) -> None:
    async def body() -> None:
        async with client_of(listen("status-403"), batching={"max_batch_events": 1, "connections": 1}) as client:
            first, *rest = await asyncio.gather(*(client.trigger("c", "e", n) for n in range(5)), return_exceptions=True)
            assert isinstance(first, errors.Forbidden)
            assert (first.delivery, rest) == (Delivery.REJECTED, [{}] * 4)
        async with client_of(listen("rst-after-request-applied", times=0), batching=True) as client:
            for error in await asyncio.gather(*(client.trigger("c", "e", n) for n in range(25)), return_exceptions=True):
                assert isinstance(error, errors.DeliveryUnknown)

    run(body)


def test_calls_wait_for_space_in_the_queue(listen: Listen, run_everywhere: Run) -> None:
    listener = listen()
    blocked = listen("silence-after-request", times=0)

    async def body() -> None:
        async with client_of(listener, batching={"max_queue_events": 3, "max_reports": 2}, timeout=60) as client:
            assert await asyncio.gather(*(client.trigger("c", "e", number) for number in range(300))) == [{}] * 300
        client = client_of(blocked, batching={"max_queue_events": 1}, timeout=0.5, retry=ONCE)
        async with client:
            first, second, third = (asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(3))
            await asyncio.sleep(0.05)
            third.cancel()
            assert (await failure_of(second)).delivery in (Delivery.NOT_SENT, Delivery.UNKNOWN)
            assert (await failure_of(first)).delivery is Delivery.UNKNOWN
            with pytest.raises(asyncio.CancelledError):
                await third

    run_everywhere(body)
    assert sorted(int(event["data"]) for event in listener.published()) == list(range(300))


def test_space_that_nobody_waits_for_does_not_keep_the_loop_busy(listen: Listen, run: Run) -> None:
    listener = listen("late-answer", params={"ms": 300}, times=0)

    async def body() -> None:
        async with client_of(listener, batching={"max_queue_events": 2, "max_batch_events": 1, "connections": 1}) as client:
            tasks = [asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(3)]
            await asyncio.sleep(0.05)
            tasks[2].cancel()
            state = client._state
            assert state is not None
            assert state.batches is not None
            fetched, fetch = 0, state.batches._fetch

            def counted() -> None:
                nonlocal fetched
                fetched += 1
                fetch()

            state.batches._unwatch()
            state.batches._fetch = counted  # type: ignore[method-assign]
            state.batches._watch()
            started = time.monotonic()
            assert await asyncio.gather(*tasks[:2]) == [{}, {}]
            # A loop that is kept busy calls it many thousands of times a second.
            assert fetched < 50 + 300 * (time.monotonic() - started)

    run(body)


def test_the_end_of_a_client_waits_for_queued_events(listen: Listen, run_everywhere: Run) -> None:
    slow = listen("late-answer", params={"ms": 300})
    silent = listen("silence-after-request", times=0)

    async def body() -> None:
        client = client_of(slow, batching=True)
        tasks = [asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(30)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await client.aclose()
        assert [task.result() for task in tasks if not task.cancelled()] == [{}] * 29
        client = client_of(silent, batching={"max_batch_events": 1, "connections": 1}, timeout=1.5, retry=ONCE)
        flying, waiting = (asyncio.ensure_future(client.trigger("c", "e", number)) for number in range(2))
        await until(lambda: silent.ledger()["attempts"])
        await client.aclose(0.1)
        assert (await failure_of(flying)).delivery is Delivery.UNKNOWN
        assert (await failure_of(waiting)).delivery is Delivery.NOT_SENT

    run_everywhere(body)
    # An event that was queued is sent, even if its task was cancelled.
    assert len(slow.published()) == 30
