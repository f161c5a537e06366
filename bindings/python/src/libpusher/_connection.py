"""One connection of an event loop: it carries requests that the library has signed, one at a time.

Only this module passes bytes to the kernel, so it knows whether the kernel took the last byte of a request.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import ssl
from collections.abc import Callable

from libpusher._poller import Poller
from libpusher._request import Exchange
from libpusher.errors import Delivery

# The time for the body of a refusal, in seconds: its status is known, and decides.
_ERROR_BODY_TIMEOUT = 0.5

_READ_BYTES = 16384
# A host that embeds Python may have another action for SIGPIPE than to ignore it.
SEND_FLAGS = getattr(socket, "MSG_NOSIGNAL", 0)

_NOTHING = ssl.MemoryBIO()

# What encrypts, and the encrypted bytes that came and that are to be sent.
Tls = tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]


class Idleness(enum.Enum):
    """The state of a connection on which nothing is in flight."""

    OPEN = enum.auto()
    ENDED = enum.auto()
    """The server has closed it."""
    UNUSABLE = enum.auto()
    """It was reset, or the server has sent bytes that were not asked for."""


class Connection:
    """A connected socket, with TLS if it has any, and the exchange that is in flight on it."""

    __slots__ = (
        "_began",
        "_deadline",
        "_descriptor",
        "_incoming",
        "_is_refusal",
        "_is_writing",
        "_loop",
        "_on_end",
        "_outgoing",
        "_poller",
        "_request",
        "_socket",
        "_timer",
        "_tls",
        "_unsent",
        "_waiter",
        "_write_failure",
        "end",
        "failure",
        "idle_time",
        "is_kept",
        "is_open",
        "is_sent",
        "keep_alive",
        "last_response",
        "responses",
        "since",
        "until",
        "was_closed_unanswered",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        connected: socket.socket,
        tls: Tls | None,
        on_end: Callable[[Connection], None],
    ) -> None:
        self._loop, self._poller, self._socket, self._on_end = loop, poller, connected, on_end
        self._tls: ssl.SSLObject | None = None
        self._incoming = self._outgoing = _NOTHING
        if tls is not None:
            self._tls, self._incoming, self._outgoing = tls
        self._descriptor = connected.fileno()
        self._request: Exchange | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: bytes | memoryview = b""
        self._is_writing = self._began = self._is_refusal = False
        self._write_failure: tuple[str, str] | None = None
        self._deadline = 0.0
        self.is_open, self.is_sent = True, False
        self.end = Idleness.OPEN
        self.failure: tuple[Delivery, str, str] | None = None
        self.is_kept = self.was_closed_unanswered = False
        self.keep_alive: float | None = None
        self.since = self.last_response = loop.time()
        self.responses, self.idle_time, self.until = 0, 0.0, 0.0
        # It stays there while the connection is idle, which costs nothing, and notices the server's close.
        poller.on_input(self._descriptor, self._read)

    def close(self) -> None:
        """Closes the connection at once."""
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._poller.on_input(self._descriptor, None)
        self._stop_writing()
        self._socket.close()

    def abandon(self) -> None:
        """Closes the socket without the loop, which is closed, or is that of the parent process."""
        if self.is_open:
            self.is_open = False
            self._socket.close()

    def start(self, request: Exchange, waiter: asyncio.Future[None], deadline: float) -> None:
        """Begins to send a request. The waiter is done when the exchange has ended; `failure` then says how it failed."""
        self._request, self._waiter = request, waiter
        self.failure = self._write_failure = self.keep_alive = None
        self.is_sent = self.is_kept = self._began = self._is_refusal = self.was_closed_unanswered = False
        self._deadline = deadline
        self._timer = self._loop.call_at(deadline, self._expire)
        data = request.to_bytes()
        if self._tls is not None:
            try:
                self._tls.write(data)
            except (ssl.SSLError, OSError) as error:
                self._fail_to_write("tls", str(error))
                return
            data = self._outgoing.read()
        # What is left of such an answer goes first.
        self._unsent = bytes(self._unsent) + data if self._unsent else data
        self._send()

    def _send(self) -> None:
        try:
            count = self._socket.send(self._unsent, SEND_FLAGS)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as error:
            self._stop_writing()
            self._fail_to_write(*cause_of(error, "write"))
            return
        if count == len(self._unsent):
            self._unsent, self.is_sent = b"", True
            self._stop_writing()
            return
        self._unsent = memoryview(self._unsent)[count:]
        if not self._is_writing:
            self._is_writing = True
            self._poller.on_space(self._descriptor, self._send)

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._poller.on_space(self._descriptor, None)

    def _fail_to_write(self, cause: str, what: str) -> None:
        """Takes note that a write failed. After a reset, what the server sent before it can still be read; no more will come."""
        self._write_failure = cause, f"sending the request failed: {what}"
        while self.is_open and self._is_busy and self._read():
            pass
        self._fail("write", "")

    @property
    def _is_busy(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _read(self) -> bool:
        """Reads what there is. Returns whether there was something."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._stop(Idleness.UNUSABLE, *cause_of(error, "reset"))
            return False
        if self._tls is not None:
            return self._decrypt(data)
        if not data:
            self._receive_end()
            return False
        self._receive(data)
        return True

    def _decrypt(self, data: bytes) -> bool:
        assert self._tls is not None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        try:
            while self.is_open:
                plain = self._tls.read(_READ_BYTES)
                if not plain:
                    self._receive_end()
                    return False
                self._receive(plain)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._receive_end()
        except ssl.SSLEOFError:
            # Without close_notify, the response may have been cut by another.
            self._stop(Idleness.ENDED, "closed", "the connection was closed without close_notify")
        except (ssl.SSLError, OSError) as error:
            self._stop(Idleness.UNUSABLE, "tls", str(error))
        # An answer to a change of keys. It must wait for the rest of a request, whose last byte would not be known otherwise.
        if self.is_open and self._outgoing.pending and (self.is_sent or not self._is_busy):
            self._unsent = bytes(self._unsent) + self._outgoing.read()
            self._send()
        return bool(data)

    def _receive(self, data: bytes) -> None:
        if not self._is_busy:
            self._stop(Idleness.UNUSABLE, "closed", "the server sent bytes that were not asked for")
            return
        assert self._request is not None
        is_first = not self._began
        if is_first:
            self._began = True
            self.is_kept, self.keep_alive = reuse_of(data)
            self._is_refusal = data.startswith(b"HTTP/1.") and data[9:10] in (b"3", b"4", b"5")
        state, used = self._request.feed(data)
        if state == 0:
            if is_first and self._is_refusal:
                self._hurry()
            return
        if state < 0 or used < len(data) or not self.is_sent or self._unsent:
            self.is_kept = False
        if state > 0 and not self.is_sent:
            # A success is then not certain; a refusal decides.
            self.failure = Delivery.NOT_SENT, "write", "the response came before the request was sent whole"
        self._finish()

    def _receive_end(self) -> None:
        if self._is_busy and self._write_failure is None and self.is_sent:
            assert self._request is not None
            self.is_kept, self.was_closed_unanswered = False, not self._began
            self._request.feed(b"")
            self._finish()
        else:
            self._stop(Idleness.ENDED, "closed", "the server closed the connection")

    def _stop(self, end: Idleness, cause: str, message: str) -> None:
        """Ends the exchange in flight, or the idle connection."""
        if self._is_busy:
            self.was_closed_unanswered = not self._began and cause in ("closed", "reset")
            self._fail(cause, message)
        else:
            self.end = end
            if self._request is None:
                self.failure = Delivery.NOT_SENT, cause, message
            self.close()
            self._on_end(self)

    def _expire(self) -> None:
        what = "no response within" if self.is_sent else "sending the request took longer than"
        self._fail("timeout", f"{what} the time limit")

    def _hurry(self) -> None:
        hurried = self._loop.time() + _ERROR_BODY_TIMEOUT
        if hurried < self._deadline and self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_at(hurried, self._expire)

    def _fail(self, cause: str, message: str) -> None:
        if not self._is_busy:
            return
        if self._write_failure is not None:
            cause, message = self._write_failure
        self.is_kept = False
        if self._is_refusal and self.is_sent:
            assert self._request is not None
            # Its status decides, even if the body was cut.
            if self._request.feed(b"")[0] == 1:
                self._finish()
                return
        self.failure = Delivery.UNKNOWN if self.is_sent else Delivery.NOT_SENT, cause, message
        self._finish()

    def cancel(self) -> None:
        """Ends the exchange in flight, because the client is closed."""
        if self._request is None:
            self.failure = Delivery.NOT_SENT, "cancelled", "the client was closed"
        self._fail("cancelled", "the client was closed")
        self.close()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def rest(self) -> None:
        """Takes note that the exchange has ended, and that the connection is idle."""
        self._request = self._waiter = None

    def probe(self) -> Idleness:
        """Returns whether a request can be sent."""
        if not self.is_open:
            return self.end
        if self._tls is not None:
            # Records may come that are no end, such as session tickets.
            while self.is_open and self._read():
                pass
            return self.end
        try:
            return Idleness.UNUSABLE if self._socket.recv(1, socket.MSG_PEEK) else Idleness.ENDED
        except (BlockingIOError, InterruptedError):
            return Idleness.OPEN
        except OSError:
            return Idleness.UNUSABLE


def reuse_of(data: bytes) -> tuple[bool, float | None]:
    """Returns whether the server may keep the connection after a response that begins so, and for how long it says that.

    It says no where it is not sure: then the connection is closed, which is always right. The time is infinite if the server only
    says that it keeps it.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or not data.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4")):
        return False, None
    head = data[:end].lower()
    # Of a refusal, the library may not read all: it must have come whole.
    if data[9:10] != b"2" and b"\r\ncontent-length: %d\r\n" % (len(data) - end - 4) not in head + b"\r\n":
        return False, None
    if b"connection" not in head and b"keep-alive" not in head:
        # The two together may be an attempt to smuggle a response.
        return b"\r\ntransfer-encoding:" not in head or b"\r\ncontent-length:" not in head, None
    keeps: float | None = None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        if name == b"connection":
            if value != b"keep-alive":
                return False, None
            keeps = keeps or float("inf")
        elif name == b"keep-alive":
            keeps = keeps or float("inf")
            for element in value.split(b","):
                key, _, number = element.strip(b" \t").partition(b"=")
                if key.strip() == b"timeout" and number.strip().isdigit() and len(number) < 10:
                    keeps = float(number)
        elif name == b"transfer-encoding" and b"\r\ncontent-length:" in head:
            return False, None
    return True, keeps


def cause_of(error: OSError, fallback: str) -> tuple[str, str]:
    """Returns the cause of a failure as the library names it, and a message."""
    if isinstance(error, TimeoutError):
        return "timeout", "timed out"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return "reset", "the connection was reset"
    return fallback, str(error)
