"""Makes the connections of an event loop to one server: the lookup, the connection, and the TLS handshake."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from libpusher._connection import SEND_FLAGS, Tls, cause_of
from libpusher._poller import Poller
from libpusher._request import Exchange, TransportFailure
from libpusher.errors import Delivery

T = TypeVar("T")

# In seconds, as in the library.
_CONNECTION_ATTEMPT_DELAY = 0.25
_TCP_KEEP_ALIVE = 45

_READ_BYTES = 16384


@dataclass(frozen=True)
class Settings:
    """The configuration keys that concern connections. Times are in seconds."""

    connect_timeout: float = 3.0
    max_connections: int = 100
    max_idle: int = 8
    idle_timeout: float = 15.0
    max_age: float = 300.0
    unix_socket: str | None = None
    ca_file: str | None = None
    extra_ca_file: str | None = None
    client_certificate_file: str | None = None
    client_key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        """Makes a context that verifies certificates and host names."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.extra_ca_file is not None:
            context.load_verify_locations(self.extra_ca_file)
        if self.client_certificate_file is not None:
            context.load_cert_chain(self.client_certificate_file, self.client_key_file)
        return context


class _Shared:
    """A result that several tasks wait for, and that is made once at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Future[Any] | None = None

    async def get(self, make: Callable[[], Awaitable[T]]) -> T:
        task = self._task
        if task is None:
            task = self._task = asyncio.ensure_future(make(), loop=self._loop)
            task.add_done_callback(self._done)
        # The end of one of them does not end it for the others.
        result: T = await asyncio.shield(task)
        return result

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Progress:
    """The phase of making a connection, for the message of a timeout."""

    phase = "looking up the host name"


class Connector:
    """Makes connections to one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, poller: Poller, settings: Settings) -> None:
        self._loop, self._poller, self._settings = loop, poller, settings
        self._lookup, self._reading = _Shared(loop), _Shared(loop)
        self._context: ssl.SSLContext | None = None

    async def connect(self, request: Exchange, progress: Progress) -> tuple[socket.socket, Tls | None]:
        """Connects to the server of a request, with TLS if the request needs it.

        :raises TransportFailure: there is no connection.
        """
        host = request.host
        context = await self._tls_context() if request.tls else None
        connected = await self._connect_to_any(await self._addresses(host, request.port), progress)
        try:
            tls = None
            if context is not None:
                progress.phase = "the TLS handshake"
                tls = await self._handshake(context, connected, host.removesuffix("."))
        except BaseException:
            connected.close()
            raise
        return connected, tls

    async def _tls_context(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                # It reads files.
                self._context = await self._reading.get(lambda: self._loop.run_in_executor(None, self._settings.context))
            except OSError as error:
                raise TransportFailure(Delivery.NOT_SENT, "tls", f"the certificates cannot be read: {error}") from None
        return self._context

    async def _addresses(self, host: str, port: int) -> list[tuple[int, Any]]:
        if self._settings.unix_socket is not None:
            return [(socket.AF_UNIX, self._settings.unix_socket)]
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            pass
        else:
            return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
        try:
            found = await self._lookup.get(lambda: self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            raise TransportFailure(Delivery.NOT_SENT, "dns", f"looking up the host name failed: {error}") from None
        return [(family, address) for family, _, _, _, address in found]

    async def _connect_to_any(self, addresses: list[tuple[int, Any]], progress: Progress) -> socket.socket:
        """Connects to the first address that accepts. Tries the next one when one fails or is slow."""
        progress.phase = "connecting"
        failure: OSError = ConnectionError("the host name has no address")
        pending: set[asyncio.Task[socket.socket]] = set()
        left = deque(addresses)
        try:
            while left or pending:
                if left:
                    pending.add(self._loop.create_task(self._connect_to(*left.popleft())))
                delay = _CONNECTION_ATTEMPT_DELAY if left else None
                done, pending = await asyncio.wait(pending, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                won = []
                for task in done:
                    error = task.exception()
                    if error is None:
                        won.append(task.result())
                    elif isinstance(error, OSError):
                        failure = error
                    else:
                        raise error
                for late in won[1:]:
                    late.close()
                if won:
                    return won[0]
        finally:
            for task in pending:
                dispose(task, socket.socket.close)
        cause, what = cause_of(failure, "connect")
        raise TransportFailure(Delivery.NOT_SENT, cause, f"connecting failed: {what}")

    async def _connect_to(self, family: int, address: Any) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            if family != socket.AF_UNIX:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
                    if hasattr(socket, name):
                        made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), _TCP_KEEP_ALIVE)
            error = made.connect_ex(address)
            if error in (errno.EINPROGRESS, errno.EINTR):
                await self._poller.wait(made.fileno(), for_space=True)
                error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
        except BaseException:
            made.close()
            raise
        return made

    async def _handshake(self, context: ssl.SSLContext, connected: socket.socket, host: str) -> Tls:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
        is_done = False
        try:
            while True:
                try:
                    tls.do_handshake()
                    is_done = True
                except ssl.SSLWantReadError:
                    pass
                if outgoing.pending:
                    await self._send(connected, outgoing.read())
                if is_done:
                    return tls, incoming, outgoing
                data = await self._receive(connected)
                if data:
                    incoming.write(data)
                else:
                    incoming.write_eof()
        except ssl.SSLEOFError:
            cause, what = "closed", "the server closed the connection"
        except ssl.SSLError as error:
            cause, what = "tls", str(error)
            # Tells the server why.
            with_alert = outgoing.read()
            if with_alert:
                with contextlib.suppress(OSError):
                    connected.send(with_alert, SEND_FLAGS)
        except OSError as error:
            cause, what = cause_of(error, "tls")
        raise TransportFailure(Delivery.NOT_SENT, cause, f"the TLS handshake failed: {what}")

    async def _send(self, connected: socket.socket, data: bytes) -> None:
        while data:
            try:
                data = data[connected.send(data, SEND_FLAGS) :]
            except (BlockingIOError, InterruptedError):
                await self._poller.wait(connected.fileno(), for_space=True)

    async def _receive(self, connected: socket.socket) -> bytes:
        while True:
            try:
                return connected.recv(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                await self._poller.wait(connected.fileno(), for_space=False)

    def cancel(self) -> None:
        """Ends what several connections wait for."""
        self._lookup.cancel()
        self._reading.cancel()


async def within(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], deadline: float) -> None:
    """Waits until a future is done, or its time is up. Cancels nothing."""
    if not future.done():
        await asyncio.wait({future}, timeout=max(0.0, deadline - loop.time()))


def dispose(task: asyncio.Task[T], close: Callable[[T], None]) -> None:
    """Ends a task, and closes what it has made."""

    def done(task: asyncio.Task[T]) -> None:
        if not task.cancelled() and task.exception() is None:
            close(task.result())

    task.add_done_callback(done)
    task.cancel()
