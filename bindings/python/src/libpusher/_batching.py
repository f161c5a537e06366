"""Events of an event loop that a publisher sends, several in one request. Each has a future, which its own report ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from libpusher import _texts
from libpusher._connector import within
from libpusher._library import ffi, lib
from libpusher._publisher import Publisher
from libpusher.errors import Closed, QueueFull, Status, TimedOut, _of

if TYPE_CHECKING:
    from libpusher._client import Pusher

# As many reports as a publisher keeps.
_MAX_OUTSTANDING = 10_000

# In seconds, between two looks at a descriptor that is readable without a report.
_PAUSE = 0.01


class Batches:
    """A publisher, and the futures of its events."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Pusher, config: Mapping[str, Any]) -> None:
        given = dict(config)
        if given.get("reports", "all") != "all" or given.get("overflow", "reject") != "reject":
            raise _texts.invalid_config(
                "batching", "needs reports and overflow as they are by default: each await waits for both"
            )
        self._most = given.setdefault("max_reports", _MAX_OUTSTANDING)
        given["reports"] = "all"
        self._loop, self._publisher = loop, Publisher(client, **given)
        self._descriptor = self._publisher.fileno()
        # The events that have not ended, by their ids.
        self._ends: dict[int, asyncio.Future[Any]] = {}
        # The calls that wait for space, the first one first.
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_watched = self._is_closed = False

    async def publish(self, texts: tuple[Any, ...], deadline: float) -> Any:
        """Publishes an event, and waits until it has ended. Returns the server's answer.

        An event that was queued is sent, even if the wait for it is cancelled.
        """
        number = None if self._waiting else self._queue(texts)
        if number is None:
            number = await self._queue_later(texts, deadline)
        end: asyncio.Future[Any] = self._loop.create_future()
        self._ends[number] = end
        return await end

    def _queue(self, texts: tuple[Any, ...]) -> int | None:
        """Queues an event and returns its id, or None if there is no space."""
        if self._is_closed:
            raise Closed(Status.CLOSED, _refusal(Status.CLOSED, "the client was closed"))
        # A report that nobody fetched in time would be lost, and its event's future with it.
        if len(self._ends) >= self._most:
            return None
        number, out = ffi.new("uint64_t *"), _texts.place()
        status = lib.pusher_publisher_publish(self._publisher._handle, *texts, number, out)
        self._watch()
        if status == Status.QUEUE_FULL:
            _texts.take(out)
            return None
        _texts.answer(status, out)
        return int(number[0])

    async def _queue_later(self, texts: tuple[Any, ...], deadline: float) -> int:
        """Queues an event when there is space."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        while True:
            try:
                await within(self._loop, turn, deadline)
            except BaseException:
                self._leave(turn)
                raise
            if not turn.done():
                self._leave(turn)
                raise QueueFull(
                    Status.QUEUE_FULL, _refusal(Status.QUEUE_FULL, "the queue was full for the whole time of the call")
                )
            try:
                number = self._queue(texts)
            except BaseException:
                self._wake()
                raise
            if number is not None:
                self._wake()
                return number
            # Still the first in the line.
            turn = self._loop.create_future()
            self._waiting.appendleft(turn)

    def _leave(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            # It was this call's turn. It is the next one's now.
            self._wake()
        else:
            self._waiting.remove(turn)

    def _wake(self) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)

    def _fetch(self) -> None:
        """Ends the futures of the events that have ended, and lets a call that waits for space try again."""
        reports = self._publisher.poll()
        for report in reports:
            end = self._ends.pop(report["id"], None)
            # It has been cancelled if nobody waits any more.
            if end is None or end.done():
                continue
            if report["status"] == "OK":
                end.set_result(report.get("answer", {}))
            else:
                status = Status.__members__.get(report["status"], Status.INTERNAL)
                end.set_exception(_of(status, {name: value for name, value in report.items() if name != "id"}))
        if self._waiting:
            self._wake()
        elif not reports:
            # There is space again, and the descriptor says so until the next event is queued, but nobody waits for it.
            self._unwatch()
            if self._ends and not self._is_closed:
                self._loop.call_later(_PAUSE, self._watch)

    def _watch(self) -> None:
        if not self._is_watched and not self._is_closed:
            self._is_watched = True
            self._loop.add_reader(self._descriptor, self._fetch)

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self._descriptor)

    async def close(self, timeout: float) -> None:
        """Waits until the events have ended, and ends those that have not by then."""
        while self._waiting:
            self._wake()
        until = self._loop.time() + timeout
        try:
            for end in [*self._ends.values()]:
                await within(self._loop, end, until)
        finally:
            self._is_closed = True
            self._unwatch()
            # It joins threads.
            left = max(0.0, until - self._loop.time())
            await asyncio.shield(self._loop.run_in_executor(None, self._close, left))
            while self._ends:
                before = len(self._ends)
                self._fetch()
                if len(self._ends) == before:
                    break

    def _close(self, timeout: float) -> None:
        with contextlib.suppress(TimedOut):
            self._publisher.close(timeout)


def _refusal(status: Status, message: str) -> dict[str, Any]:
    return {"status": status.name, "message": message, "delivery": "not_sent"}
