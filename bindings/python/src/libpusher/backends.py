"""Backends for `Pusher(…, backend=…)`, with the names of those in the package `pusher`.

In each of them the library makes the call: with its retries, its certificates and its report of delivery.
"""

from __future__ import annotations

import asyncio
from typing import Any

from libpusher._backends import Backend, Call, Requests

__all__ = ["AsyncIOBackend", "Backend", "Call", "GAEBackend", "Requests", "RequestsBackend", "TornadoBackend"]


class RequestsBackend:
    """Makes the call on the thread of the caller, as without a backend."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def send_request(self, request: Call) -> Any:
        return request.send()


GAEBackend = RequestsBackend


class AsyncIOBackend(RequestsBackend):
    """Makes the call on another thread. Each call returns a coroutine: `await client.trigger(…)`."""

    async def send_request(self, request: Call) -> Any:
        return await asyncio.to_thread(request.send)


class TornadoBackend(RequestsBackend):
    """Begins the call on another thread at once. Each call returns a future of the current IOLoop."""

    def send_request(self, request: Call) -> Any:
        from tornado.ioloop import IOLoop

        return IOLoop.current().run_in_executor(None, request.send)
