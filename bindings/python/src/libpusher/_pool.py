"""An event loop's connections to one server.

The rules are those of the library's own connections, in docs/connections.md: when one is kept, and when it is used again.
"""

from __future__ import annotations

import asyncio
import enum
import os
from collections import deque

from libpusher._connection import Connection, Idleness
from libpusher._connector import Connector, Progress, Settings, dispose, within
from libpusher._poller import Poller
from libpusher._request import Exchange, TransportFailure
from libpusher.errors import Delivery

# In seconds, and their number, as in the library.
_SETTLING = 0.02
_SILENT_CLOSE = 1.0
_MAX_SILENT_CLOSES = 2
_NOT_KEEPING = 60.0
_KEEP_ALIVE_MARGIN = 1.0


class _Server(enum.Enum):
    """Whether the server keeps connections: some close after each response without saying so."""

    UNKNOWN = enum.auto()
    KEEPS = enum.auto()
    CLOSES = enum.auto()


class Connections:
    """The connections of one client in one event loop of one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
        self.loop, self.pid, self._settings = loop, os.getpid(), settings
        self._open: set[Connection] = set()
        # The newest is at the end.
        self._idle: deque[Connection] = deque()
        self._server, self._closes_until, self._silent_closes = _Server.UNKNOWN, 0.0, 0
        # How many calls have the right to a connection, and those that wait for it.
        self._in_use, self._queue = 0, deque[asyncio.Future[None]]()
        # How many of the idle connections are for calls that were just woken.
        self._woken = 0
        self._making: set[asyncio.Task[Connection]] = set()
        self._poller = Poller(loop)
        self._connector = Connector(loop, self._poller, settings)
        self.is_closed = False

    async def send(self, request: Exchange, deadline: float) -> None:
        """Sends a request and reads the response: `request` can be finished then.

        :raises TransportFailure: there was no whole response.
        """
        await self._enter(deadline)
        try:
            connection = await self._take(deadline) or await self._connect(request, deadline)
            try:
                if connection.is_open:
                    waiter: asyncio.Future[None] = self.loop.create_future()
                    connection.start(request, waiter, deadline)
                    await waiter
            except BaseException:
                self._discard(connection)
                raise
            if connection.was_closed_unanswered:
                self._note_close(connection)
            failure = connection.failure
            self._put(connection)
        finally:
            self._leave()
        if failure is not None:
            raise TransportFailure(*failure)

    async def _enter(self, deadline: float) -> None:
        """Waits for the right to a connection."""
        if not self.is_closed and self._in_use < self._settings.max_connections:
            self._in_use += 1
            return
        waiter: asyncio.Future[None] = self.loop.create_future()
        if not self.is_closed:
            self._queue.append(waiter)
            try:
                await within(self.loop, waiter, deadline)
            except BaseException:
                self._give_up(waiter)
                raise
        if self.is_closed:
            raise TransportFailure(Delivery.NOT_SENT, "cancelled", "the client was closed")
        if not waiter.done():
            self._give_up(waiter)
            raise TransportFailure(Delivery.NOT_SENT, "timeout", "all connections (max_connections) were in use")
        self._woken -= 1

    def _give_up(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            self._queue.remove(waiter)
        elif not self.is_closed:
            self._woken -= 1
            self._leave()

    def _leave(self) -> None:
        if self._queue:
            self._woken += 1
            self._queue.popleft().set_result(None)
        else:
            self._in_use -= 1

    async def _take(self, deadline: float) -> Connection | None:
        """Takes an idle connection that is as good as a new one."""
        while self._idle:
            connection = self._idle.pop()
            now = self.loop.time()
            if now >= connection.until:
                self._discard(connection)
                continue
            connection.idle_time = now - connection.last_response
            if self._server is not _Server.KEEPS:
                try:
                    await asyncio.sleep(min(deadline, connection.last_response + _SETTLING) - now)
                except BaseException:
                    self._discard(connection)
                    raise
            idleness = connection.probe()
            if idleness is Idleness.OPEN:
                if self._server is _Server.UNKNOWN:
                    self._server = _Server.KEEPS
                return connection
            self._discard(connection)
            if idleness is Idleness.ENDED and connection.end is Idleness.OPEN:
                self._note_close(connection)
        return None

    def _put(self, connection: Connection) -> None:
        """Keeps a connection after a response, if the server and the limits allow it."""
        connection.rest()
        if not (connection.is_kept and connection.is_open) or self.is_closed:
            self._discard(connection)
            return
        settings, now = self._settings, self.loop.time()
        connection.last_response = now
        connection.responses += 1
        kept = settings.idle_timeout
        if connection.keep_alive is not None:
            kept = min(kept, max(0.0, connection.keep_alive - _KEEP_ALIVE_MARGIN))
        connection.until = min(now + kept, connection.since + settings.max_age)
        if self._server is _Server.CLOSES:
            if now >= self._closes_until:
                self._server = _Server.UNKNOWN
        elif self._server is _Server.UNKNOWN and connection.keep_alive is not None:
            self._server = _Server.KEEPS
        if connection.until <= now or settings.max_idle == 0 or self._server is _Server.CLOSES:
            self._discard(connection)
            return
        if connection.responses > 1:
            self._silent_closes = 0
        self._idle.append(connection)
        # The first has been idle for longest.
        while len(self._idle) > settings.max_idle + self._woken or self._idle[0].until <= now:
            self._discard(self._idle.popleft())

    def _discard(self, connection: Connection) -> None:
        connection.close()
        self._open.discard(connection)

    def _end(self, connection: Connection) -> None:
        """Takes note that the server ended a connection on which nothing is in flight."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            connection.idle_time = self.loop.time() - connection.last_response
        if connection.end is Idleness.ENDED:
            self._note_close(connection)

    def _note_close(self, connection: Connection) -> None:
        if connection.responses != 1 or connection.idle_time >= _SILENT_CLOSE:
            return
        self._silent_closes += 1
        if self._silent_closes < _MAX_SILENT_CLOSES:
            self._server = _Server.UNKNOWN
            return
        self._server, self._closes_until = _Server.CLOSES, self.loop.time() + _NOT_KEEPING
        while self._idle:
            self._discard(self._idle.popleft())

    async def _connect(self, request: Exchange, deadline: float) -> Connection:
        progress = Progress()
        until = min(deadline, self.loop.time() + self._settings.connect_timeout)
        task = self.loop.create_task(self._make(request, progress))
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        try:
            await within(self.loop, task, until)
        except BaseException:
            dispose(task, self._discard)
            raise
        if not task.done():
            dispose(task, self._discard)
            limit = "connect_timeout_ms" if until < deadline else "the time limit"
            raise TransportFailure(Delivery.NOT_SENT, "timeout", f"{progress.phase} took longer than {limit}")
        if task.cancelled():
            raise TransportFailure(Delivery.NOT_SENT, "cancelled", "the client was closed")
        return task.result()

    async def _make(self, request: Exchange, progress: Progress) -> Connection:
        connected, tls = await self._connector.connect(request, progress)
        connection = Connection(self.loop, self._poller, connected, tls, self._end)
        self._open.add(connection)
        return connection

    async def close(self) -> None:
        """Closes all connections, and ends the calls that use them."""
        making = [*self._making]
        self.shut()
        if making:
            await asyncio.wait(making)

    def shut(self) -> None:
        """Closes all connections, without waiting for what is being made."""
        self.is_closed = True
        for connection in [*self._open]:
            connection.cancel()
        for waiter in self._queue:
            waiter.set_result(None)
        for task in self._making:
            task.cancel()
        self._connector.cancel()
        self._forget()

    def abandon(self) -> None:
        """Closes all sockets without the loop, which is closed, or is that of the parent process."""
        self.is_closed = True
        for connection in self._open:
            connection.abandon()
        self._poller.abandon()
        self._forget()

    def _forget(self) -> None:
        self._open.clear()
        self._idle.clear()
        self._queue.clear()

    def __len__(self) -> int:
        return len(self._open)
