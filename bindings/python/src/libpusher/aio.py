"""A client for asyncio: each call is awaited, and none of them blocks the event loop.

from libpusher.aio import AsyncPusher

async with AsyncPusher.from_env() as client:
    await client.trigger("my-channel", "my-event", {"hello": "world"})
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import warnings
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any

from libpusher import _texts
from libpusher._batching import Batches
from libpusher._calls import Calls
from libpusher._client import Config, Log, Prepare, Pusher, _Url
from libpusher._connector import Settings
from libpusher._hooks import Observer
from libpusher._library import ffi
from libpusher._pool import Connections
from libpusher._publisher import Publisher, PublisherConfig
from libpusher._request import Exchange, PreparedRequest, TransportFailure
from libpusher._sessions import AsyncSend, exchange, sender
from libpusher._signatures import Signatures
from libpusher.errors import Delivery, PusherError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["AsyncPusher", "AsyncSend"]

Answer = Coroutine[Any, Any, dict[str, Any]]

# The library alone knows how to follow these keys, so it makes the calls, on threads.
_LIBRARY_KEYS = frozenset(("proxy", "circuit_breaker", "observer"))
_MAX_THREADS = 64

_PUBLISHING = frozenset(("trigger", "trigger_batch", "send_to_user"))

# The waits before retries, in seconds, and the budget for them, in calls: as in the library.
_MAX_FIRST_WAIT, _MAX_WAIT, _MAX_TOKENS = 0.1, 5.0, 10.0


class _Options(_Url, total=False):
    """The options of from_url() and from_env()."""

    json_encoder: type[json.JSONEncoder] | None
    json_decoder: type[json.JSONDecoder] | None
    log: Log | None
    observer: Observer | None
    transport: Any
    batching: bool | PublisherConfig
    max_connections: int


class _State:
    """What a client has in one event loop of one process."""

    def __init__(self, client: AsyncPusher, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.pid = loop, os.getpid()
        self.connections = Connections(loop, client._settings)
        self.threads: ThreadPoolExecutor | None = None
        # Those of the calls on threads.
        self.handles: set[Pusher] = set()
        self.batches: Batches | None = None


class AsyncPusher(Signatures, Calls[Answer]):
    """A client of one Channels application for asyncio.

    Its calls are those of `libpusher.Pusher`, with the same names, arguments, results and exceptions, but must be awaited. The
    calls that need no network are functions, as there. Use a client in one event loop at a time, and only on the loop's thread.

    A task that is cancelled while it waits for a call ends at once, and the call's connection is closed. The event may have been
    delivered, unless the call had not begun to send.
    """

    def __init__(
        self,
        app_id: str | bytes,
        key: str | bytes,
        secret: str | bytes,
        ssl: bool | None = None,
        host: str | bytes | None = None,
        port: int | None = None,
        timeout: float | None = None,
        cluster: str | bytes | None = None,
        encryption_master_key: str | bytes | None = None,
        encryption_master_key_base64: str | bytes | None = None,
        json_encoder: type[json.JSONEncoder] | None = None,
        json_decoder: type[json.JSONDecoder] | None = None,
        *,
        transport: Any = None,
        batching: bool | PublisherConfig = False,
        max_connections: int = 100,
        log: Log | None = None,
        observer: Observer | None = None,
        **config: Unpack[Config],
    ) -> None:
        """
        The arguments are those of `libpusher.Pusher`, and these:

        :param transport: an `aiohttp.ClientSession` or `httpx.AsyncClient` that sends the requests, or a coroutine function of a
            `Request` that returns a `Response` or raises `TransportFailure`. You close it. It must verify certificates itself,
            follow no redirects, and retry nothing.
        :param batching: whether events that are triggered at the same time share requests: True, or the configuration of a
            publisher. Each call still waits for its own event. An event that was queued is sent even if its task is cancelled.
        :param max_connections: the most connections at the same time: 100. Further calls wait for one.
        """
        client = Pusher(
            app_id,
            key,
            secret,
            ssl,
            host,
            port,
            timeout,
            cluster,
            encryption_master_key,
            encryption_master_key_base64,
            json_encoder,
            json_decoder,
            log=log,
            observer=observer,
            **config,
        )
        self._open(client, {**config, "observer": observer}, timeout, transport, batching, max_connections)

    @classmethod
    def from_url(cls, url: str, *, timeout: float | None = None, **options: Unpack[_Options]) -> Self:
        """Makes a client from `https://KEY:SECRET@HOST/apps/APP_ID`. The options override its parts."""
        own = _own(options)
        made = cls.__new__(cls)
        made._open(Pusher.from_url(url, timeout=timeout, **options), options, timeout, *own)  # type: ignore[misc]
        return made

    @classmethod
    def from_env(cls, env: str = "PUSHER_URL", *, timeout: float | None = None, **options: Unpack[_Options]) -> Self:
        """Makes a client from the environment, as `libpusher.Pusher.from_env` does."""
        own = _own(options)
        made = cls.__new__(cls)
        made._open(Pusher.from_env(env, timeout=timeout, **options), options, timeout, *own)  # type: ignore[misc]
        return made

    def _open(
        self,
        client: Pusher,
        config: Mapping[str, Any],
        timeout: float | None,
        transport: Any,
        batching: bool | PublisherConfig,
        max_connections: int,
    ) -> None:
        self._state: _State | None = None
        self._client, self._handle = client, client._handle
        self._encode, self._decode = client._encode, client._decode
        # None means that a key is not set. The configuration itself has the secret, so it is not kept.
        given = {name: value for name, value in config.items() if value is not None}
        library = sorted(_LIBRARY_KEYS & given.keys())
        if given.get("tls_roots", "system") != "system":
            library.append("tls_roots")
        if transport is not None and library:
            raise _texts.invalid_config(library[0], "is for the library's own connections, and cannot be followed by a transport")
        self._transport = None if transport is None else sender(transport)
        self._is_on_threads = bool(library)
        self._batching: PublisherConfig | None = None
        if batching:
            self._batching = {} if batching is True else batching
        elif isinstance(batching, dict):
            self._batching = batching
        if transport is not None and self._batching is not None:
            raise _texts.invalid_config("batching", "uses the library's own connections, and cannot be combined with a transport")
        if not isinstance(max_connections, int) or max_connections < 1:
            raise _texts.invalid_config("max_connections", "must be at least 1")
        self._settings = Settings(
            connect_timeout=given.get("connect_timeout_ms", 3000) / 1000,
            max_connections=max_connections,
            max_idle=given.get("max_idle_connections", 8),
            idle_timeout=given.get("idle_timeout_ms", 15_000) / 1000,
            max_age=given.get("max_connection_age_ms", 300_000) / 1000,
            **{name: given[name] or None for name in _FILES if name in given},
        )
        self._timeout = timeout if timeout is not None else given.get("timeout_ms", 5000) / 1000
        self._has_attempt_timeout = "attempt_timeout_ms" in given
        retry = given.get("retry", {})
        self._mode, self._max_attempts = retry.get("mode", "safe"), retry.get("max_attempts", 3)
        self._ratio = retry.get("ratio", 0.1)
        self._tokens = _MAX_TOKENS
        # How long the server recognizes a repeated request.
        self._window = -1.0
        if given.get("server_deduplicates"):
            self._window = given.get("idempotency_window_ms", 120_000) / 1000

    def _here(self) -> _State:
        """Returns what the client has in this event loop of this process."""
        loop, state = asyncio.get_running_loop(), self._state
        if state is not None:
            if state.loop is loop and state.pid == os.getpid():
                return state
            if state.pid == os.getpid() and not state.loop.is_closed():
                raise RuntimeError("this AsyncPusher is in use in another event loop: make one for each, or close it there first")
            state.connections.abandon()
        self._state = _State(self, loop)
        return self._state

    def _send(self, call: str, *texts: Any) -> Answer:
        if self._batching is not None and (event := _event_of(call, texts)) is not None:
            return self._publish(event)
        if self._is_on_threads or (call == "trigger" and b'"fan_out":true' in _bytes(texts[-1])):
            return self._call_on_thread(call, texts)
        return self._call(call, texts)

    async def _call(self, call: str, texts: tuple[Any, ...]) -> dict[str, Any]:
        """Makes the attempts of a call, as the library makes those of its own."""
        self._tokens = min(_MAX_TOKENS, self._tokens + self._ratio)
        kind = Exchange if self._transport is None else PreparedRequest
        attempts, started, deadline = 0, 0.0, None
        first_unknown: PusherError | None = None
        while True:
            attempts += 1
            try:
                request = kind(self._handle, call, texts, self._decode, self._client._hooks)
                state = self._here()
                left, now = request._left(), state.loop.time()
                if deadline is None:
                    # With a limit of an attempt, that is what is left.
                    started, deadline = now, now + (self._limit(texts) if self._has_attempt_timeout else left)
                return await self._attempt(state, request, min(now + left, deadline))
            except PusherError as error:
                error.document = {**error.document, "attempts": attempts if deadline is not None else error.attempts}
                wait = None
                if deadline is not None and self._mode != "never" and attempts < self._max_attempts:
                    key = request._idempotency_key() if call in _PUBLISHING else None
                    recognized = key is not None and deadline <= started + self._window
                    wait = self._wait(error, attempts, deadline - state.loop.time(), recognized)
                if wait is None:
                    # A later attempt that was not delivered does not change that an earlier one may have been.
                    if first_unknown is not None:
                        first_unknown.document = {**first_unknown.document, "attempts": attempts}
                        raise first_unknown from None
                    raise
                if first_unknown is None and error.delivery is Delivery.UNKNOWN:
                    first_unknown = error
                if key is not None and attempts == 1:
                    # All attempts have the same key, so that the server can recognize them.
                    texts = (*texts[:-1], _with(texts[-1], {"idempotency_key": key}))
            await asyncio.sleep(wait)

    async def _attempt(self, state: _State, request: Any, deadline: float) -> dict[str, Any]:
        left = deadline - state.loop.time()
        try:
            if left <= 0:
                raise TransportFailure(Delivery.NOT_SENT, "timeout", "the time was up before the request was sent")
            if self._transport is None:
                await state.connections.send(request, deadline)
                result: dict[str, Any] = request._finish(None)
            else:
                result = request._finish(await exchange(self._transport, request, left))
        except TransportFailure as failure:
            result = request._finish(failure)
        return result

    def _wait(self, error: PusherError, attempts: int, left: float, recognized: bool) -> float | None:
        """Returns how long to wait before the next attempt, or None if there is none."""
        refused = error.http_status is not None and 400 <= error.http_status < 500
        unknown = error.delivery is Delivery.UNKNOWN and not refused
        if not (error.retryable or (unknown and (recognized or self._mode == "at_least_once"))):
            return None
        longest = min(_MAX_FIRST_WAIT * 2 ** min(attempts - 1, 16), _MAX_WAIT)
        wait: float = max(random.random() * longest, error.retry_after or 0.0)
        if wait >= left:
            return None
        if self._ratio < 1:
            if self._tokens < 1:
                return None
            self._tokens -= 1
        return wait

    def _limit(self, texts: tuple[Any, ...]) -> float:
        """Returns the time for all attempts of a call."""
        options = json.loads(_bytes(texts[-1]) or b"{}")
        return float(options["timeout_ms"]) / 1000 if "timeout_ms" in options else self._timeout

    async def _call_on_thread(self, call: str, texts: tuple[Any, ...]) -> dict[str, Any]:
        handle = self._client.clone()
        state = self._here()
        if state.threads is None:
            state.threads = ThreadPoolExecutor(_MAX_THREADS, "libpusher")
        state.handles.add(handle)
        try:
            return await state.loop.run_in_executor(state.threads, handle._send_now, call, *texts)
        except BaseException:
            # Ends the call at once, if it is still running.
            handle.cancel()
            raise
        finally:
            state.handles.discard(handle)

    async def _publish(self, texts: tuple[Any, ...]) -> dict[str, Any]:
        state = self._here()
        if state.batches is None:
            state.batches = Batches(state.loop, self._client, self._batching or {})
        result: dict[str, Any] = await state.batches.publish(texts, state.loop.time() + self._timeout)
        return result

    def publisher(self, **config: Unpack[PublisherConfig]) -> Publisher:
        """Makes a publisher: a queue that sends events in the background. Its `fileno()` is for `loop.add_reader()`."""
        return self._client.publisher(**config)

    @property
    def prepare(self) -> Prepare:
        """The same calls, signed but not sent: `client.prepare.trigger(…)` returns a request for your own HTTP client."""
        return self._client.prepare

    async def aclose(self, timeout: float = 10) -> None:
        """Closes the connections; calls in progress fail. With `batching` it first waits until the events have ended.

        :param timeout: how long to wait for them, in seconds. Then those that wait end as `not_sent`, and those in flight as
            `unknown`.
        """
        state, self._state = self._state, None
        self._handle = ffi.NULL
        if state is None or state.pid != os.getpid() or state.loop.is_closed():
            if state is not None:
                state.connections.abandon()
            self._client.close()
            return
        try:
            if state.batches is not None:
                await state.batches.close(timeout)
        finally:
            for handle in [*state.handles]:
                handle.cancel()
            await state.connections.close()
            if state.threads is not None:
                await asyncio.shield(state.loop.run_in_executor(None, state.threads.shutdown))
            self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        state = getattr(self, "_state", None)
        if state is None or state.pid != os.getpid() or not (len(state.connections) or state.batches):
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        if state.loop.is_closed():
            state.connections.abandon()
        else:
            # The loop still watches the sockets, and this may be another thread.
            state.loop.call_soon_threadsafe(state.connections.shut)


_FILES = ("unix_socket", "ca_file", "extra_ca_file", "client_certificate_file", "client_key_file")


def _own(options: dict[str, Any] | _Options) -> tuple[Any, Any, Any]:
    """Takes the options that the synchronous client does not have."""
    given: Any = options
    return given.pop("transport", None), given.pop("batching", False), given.pop("max_connections", 100)


def _bytes(text: Any) -> bytes:
    return b"" if text == ffi.NULL else text


def _with(options: Any, more: Mapping[str, Any]) -> bytes:
    """Adds members to a call's options, which keep their own."""
    return _texts.value({**more, **json.loads(_bytes(options) or b"{}")}, "options", _texts.own_json)


def _event_of(call: str, texts: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Returns the arguments with which a publisher sends the event of a call, or None if it cannot."""
    options = texts[-1]
    if call not in ("trigger", "send_to_user") or any(name in _bytes(options) for name in (b'"headers"', b'"timeout_ms"')):
        return None
    if call == "trigger":
        return texts
    return (ffi.NULL, *texts[1:-1], _with(options, {"user_id": texts[0].decode()}))
