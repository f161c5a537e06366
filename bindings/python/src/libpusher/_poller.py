"""Waits for sockets in an event loop.

The loop watches one epoll, which tells what happened to all of them. That costs less than if the loop watched each, and uvloop
forgets a socket that is reset while it is watched.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

_Callbacks = dict[int, Callable[[], object]]


class Poller:
    """The sockets of one client that an event loop waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readers: _Callbacks = {}
        self._writers: _Callbacks = {}
        # Open while there is a socket.
        self._epoll: select.epoll | None = None

    def on_input(self, descriptor: int, callback: Callable[[], object] | None) -> None:
        """Calls a function whenever there is input, the end of it, or an error; None ends that."""
        self._set(self._readers, descriptor, callback)

    def on_space(self, descriptor: int, callback: Callable[[], object] | None) -> None:
        """Calls a function whenever there is space for output, or an error; None ends that."""
        self._set(self._writers, descriptor, callback)

    async def wait(self, descriptor: int, for_space: bool) -> None:
        """Waits once for input, or for space."""
        ready: asyncio.Future[None] = self._loop.create_future()
        watch = self.on_space if for_space else self.on_input
        watch(descriptor, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            watch(descriptor, None)

    def _set(self, callbacks: _Callbacks, descriptor: int, callback: Callable[[], object] | None) -> None:
        before = self._mask(descriptor)
        if callback is not None:
            callbacks[descriptor] = callback
        else:
            callbacks.pop(descriptor, None)
        after = self._mask(descriptor)
        if after == before:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._run)
        if not before:
            self._epoll.register(descriptor, after)
        elif after:
            self._epoll.modify(descriptor, after)
        else:
            self._epoll.unregister(descriptor)
            if not self._readers and not self._writers:
                self._loop.remove_reader(self._epoll.fileno())
                self.abandon()

    def _mask(self, descriptor: int) -> int:
        return (select.EPOLLIN if descriptor in self._readers else 0) | (select.EPOLLOUT if descriptor in self._writers else 0)

    def _run(self) -> None:
        if self._epoll is None:
            return
        for descriptor, events in self._epoll.poll(0):
            # A callback may have ended the wait for another one.
            if events & ~select.EPOLLOUT and (callback := self._readers.get(descriptor)) is not None:
                callback()
            if events & ~select.EPOLLIN and (callback := self._writers.get(descriptor)) is not None:
                callback()

    def abandon(self) -> None:
        """Closes the epoll without the loop, which is closed, or is that of the parent process."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
        self._readers.clear()
        self._writers.clear()
