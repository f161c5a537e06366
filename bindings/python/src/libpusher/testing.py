"""A Channels server for the tests of an application: it records what was published, and fails on request.

    def test_an_order_is_announced(pusher_server):
        shop = Shop(libpusher.Pusher(**pusher_server.config))
        shop.order(7)
        pusher_server.assert_triggered("orders", "created", data={"id": 7})

The fixture `pusher_server` comes with this package. Without pytest, `serve()` does the same. docs/testing-your-app.md has the
faults. The server is the program pusher-testserver: that which PUSHER_TESTSERVER names, or in the wheel, or in PATH.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ANY", "Event", "Program", "Server", "serve"]


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY: Any = _Any()
"""The default of `data` and `socket_id`: any value, also none."""


@dataclass(frozen=True)
class Event:
    """A published event."""

    channel: str
    event: str
    text: str
    """The data as it was sent. On an encrypted channel it is encrypted."""
    socket_id: str | None
    """The connection that does not receive the event."""
    user: str | None
    """The user whom the event was sent to."""

    @property
    def data(self) -> Any:
        """Returns the data as the application passed it: the value of the JSON, or the text if it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text

    def __str__(self) -> str:
        return f"{self.event} on {self.channel}: {self.text}"


class Program:
    """A running pusher-testserver. It ends with this process, or by `close()`. Any number of threads may use it."""

    def __init__(self) -> None:
        path = _path()
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{path} ended with {self._process.wait()}")
        self._port: int = json.loads(line)["control"]

    def open(self, fault: str = "none", *, tls: bool = False, times: int = 1, warm: int = 0, **params: Any) -> Server:
        """Opens a server. If it has a fault, `warm` requests succeed first, and then `times` attempts fail; 0 is all. `params`
        are those of the fault."""
        order = {"fault": fault, "tls": tls, "times": times, "warm": warm, "params": params}
        return Server(self, self._ask("POST", "/listen", order), tls)

    def faults(self) -> list[dict[str, Any]]:
        """Returns the faults: the `name` of each, `what` it does, and what an `honest` client may report."""
        found: list[dict[str, Any]] = self._ask("GET", "/faults")
        return found

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: Any = None, patience: float = 0) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60 + patience)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status != 200:
            raise ValueError(f"pusher-testserver: {answer['error']}")
        return answer


class Server:
    """A Channels server on a port of its own. It checks signatures, records events, and fails on request."""

    def __init__(self, program: Program, opened: dict[str, Any], tls: bool) -> None:
        self._program, self._tls = program, tls
        self._path = f"/listen/{opened['port']}"
        self.config: dict[str, Any] = opened["config"]
        """The arguments of `libpusher.Pusher`."""
        self.url: str = opened["url"]
        """The value of PUSHER_URL. A TLS server also needs `config["ca_file"]`, a proxy `config["proxy"]`."""

    @property
    def events(self) -> list[Event]:
        """Returns what was published, in order."""
        return self._events(0, 0)

    @property
    def terminated(self) -> list[str]:
        """Returns the users whose connections were terminated."""
        found: list[str] = self._record()["terminated"]
        return found

    @property
    def refused(self) -> list[str]:
        """Returns why the server refused requests: a wrong signature, an unknown path and so on."""
        found: list[str] = self._record()["refused"]
        return found

    @property
    def attempts(self) -> int:
        """Returns the number of requests, and of connections that failed before a request."""
        found: int = self._record()["attempts"]
        return found

    def wait_for(self, count: int, timeout: float = 10) -> list[Event]:
        """Waits until `count` events are published, and returns all events. Fails after `timeout` seconds."""
        __tracebackhide__ = True
        events = self._events(count, timeout)
        if len(events) < count:
            raise AssertionError(f"{len(events)} of {count} events after {timeout} s. {self._seen(events)}")
        return events

    def assert_triggered(
        self,
        channel: str,
        event: str,
        data: Any = ANY,
        *,
        socket_id: Any = ANY,
        times: int | None = None,
        timeout: float = 0,
    ) -> Event:
        """Checks that this event was published, `times` times if given, and returns the first. `data` is a value, as passed to
        `trigger`. Waits up to `timeout` seconds, which a program needs that publishes in the background."""
        __tracebackhide__ = True
        deadline = time.monotonic() + timeout
        events = self.events
        while True:
            found = [one for one in events if _fits(one, channel, event, data, socket_id)]
            left = deadline - time.monotonic()
            if len(found) >= (times or 1) or left <= 0:
                break
            events = self._events(len(events) + 1, left)
        if not found or len(found) != (times or len(found)):
            wanted = f"{event} on {channel}" + ("" if data is ANY else f" with {data!r}")
            wanted += "" if socket_id is ANY else f" without {socket_id}"
            often = "not" if not found else f"{len(found)} times, not {times} times,"
            raise AssertionError(f"{wanted} was {often} published. {self._seen(events)}")
        return found[0]

    def assert_not_triggered(self, channel: str | None = None, event: str | None = None) -> None:
        """Checks that nothing was published, on this channel and by this name if they are given."""
        __tracebackhide__ = True
        found = [one for one in self.events if channel in (None, one.channel) and event in (None, one.event)]
        if found:
            raise AssertionError(f"{found[0]} was published. {self._seen(self.events)}")

    def fail_next(self, fault: str, *, times: int = 1, warm: int = 0, **params: Any) -> None:
        """Makes the next attempts fail, after `warm` that succeed. 0 `times` is all, until `clear()`. A fault of a connection
        strikes the next new connection. Some faults need a server of their own: `Program.open()`, or the fixture
        `pusher_servers`."""
        self._order(fault, times=times, warm=warm, params=params)

    def clear(self) -> None:
        """Forgets the events so far, and the faults that have not struck yet."""
        self._order("none")
        self._program._ask("DELETE", f"{self._path}/events")

    def close(self) -> None:
        """Closes the port and its connections."""
        self._program._ask("DELETE", self._path)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _order(self, fault: str, **order: Any) -> None:
        self._program._ask("PUT", self._path, {"fault": fault, "tls": self._tls, **order})

    def _record(self, count: int = 0, timeout: float = 0) -> Any:
        query = f"count={count}&timeout_ms={int(timeout * 1000)}"
        return self._program._ask("GET", f"{self._path}/events?{query}", patience=timeout)

    def _events(self, count: int, timeout: float) -> list[Event]:
        return [
            Event(one["channel"], one["event"], one["data"], one["socket_id"], one["user"])
            for one in self._record(count, timeout)["events"]
        ]

    def _seen(self, events: list[Event]) -> str:
        seen = "Published: " + ("; ".join(map(str, events)) or "nothing") + "."
        return seen + "".join(f" A request was refused: {why}." for why in self.refused)


def _fits(one: Event, channel: str, event: str, data: Any, socket_id: Any) -> bool:
    return (
        (one.channel, one.event) == (channel, event)
        and (data is ANY or data == one.text or data == one.data)
        and (socket_id is ANY or socket_id == one.socket_id)
    )


def _path() -> str:
    bundled = Path(__file__).with_name("lib") / ("pusher-testserver.exe" if sys.platform == "win32" else "pusher-testserver")
    found = os.environ.get("PUSHER_TESTSERVER") or (str(bundled) if bundled.exists() else shutil.which("pusher-testserver"))
    if not found:
        raise FileNotFoundError("pusher-testserver is not in this package and not in PATH; PUSHER_TESTSERVER can name it")
    return found


@contextlib.contextmanager
def serve(fault: str = "none", *, tls: bool = False, times: int = 1, warm: int = 0, **params: Any) -> Iterator[Server]:
    """Starts the program for one server: `with serve() as server:`."""
    with Program() as program:
        yield program.open(fault, tls=tls, times=times, warm=warm, **params)
