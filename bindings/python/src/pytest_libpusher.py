"""The fixtures of libpusher.testing for pytest. A module of its own: other test runs do not load the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from libpusher.testing import Program, Server


@pytest.fixture(scope="session")
def pusher_testserver() -> Iterator[Program]:
    """The running pusher-testserver."""
    from libpusher.testing import Program

    with Program() as program:
        yield program


@pytest.fixture
def pusher_servers(pusher_testserver: Program) -> Iterator[Callable[..., Server]]:
    """Opens Channels servers for one test: `pusher_servers("refused")`, `pusher_servers(tls=True)`."""
    opened: list[Server] = []

    def open_one(fault: str = "none", **order: object) -> Server:
        opened.append(pusher_testserver.open(fault, **order))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for server in opened:
        server.close()


@pytest.fixture
def pusher_server(pusher_servers: Callable[..., Server]) -> Server:
    """A Channels server for one test, which records what is published and fails on request."""
    return pusher_servers()
