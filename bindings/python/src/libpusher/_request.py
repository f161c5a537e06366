"""A signed request for the caller's own HTTP client, such as one in an event loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from libpusher import _texts
from libpusher._library import ffi, lib
from libpusher.errors import Delivery

_DELIVERIES = {Delivery.NOT_SENT: 1, Delivery.UNKNOWN: 3}


class Request:
    """A request to send unchanged, once, and without following a redirect."""

    method: str
    url: str
    """Holds the signature: do not log it."""
    headers: dict[str, str]
    body: bytes | None
    """None for a GET: HTTP clients take an empty body for one."""
    timeout: float
    """What is left of the call's time, in seconds; 0 when it is up: do not send then."""

    def __init__(self, handle: Any) -> None:
        self.method = ffi.string(lib.pusher_request_method(handle)).decode()
        self.url = ffi.string(lib.pusher_request_url(handle)).decode()
        self.headers = _headers(handle)
        size = ffi.new("size_t *")
        body = lib.pusher_request_body(handle, size)
        self.body = bytes(ffi.buffer(body, size[0])) if self.method == "POST" else None
        self.timeout = lib.pusher_request_timeout_ms(handle) / 1000

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method}>"


def _headers(handle: Any) -> dict[str, str]:
    headers = {}
    name, value = ffi.new("char **"), ffi.new("char **")
    for index in range(lib.pusher_request_header_count(handle)):
        lib.pusher_request_header(handle, index, name, value)
        headers[ffi.string(name[0]).decode()] = ffi.string(value[0]).decode()
    return headers


class Exchange:
    """A signed request, and what became of it."""

    def __init__(self, client: Any, call: str, texts: Iterable[Any], decode: _texts.Decode, hooks: Any) -> None:
        # cffi makes an array of addresses only: keep the strings alive.
        held = [text if text == ffi.NULL else ffi.from_buffer("char[]", text + b"\0") for text in texts]
        handle, out = ffi.new("PusherRequest **"), _texts.place()
        status = lib.pusher_prepare(client, call.encode(), ffi.new("char *[]", held), len(held), handle, out)
        _texts.answer(status, out)
        self._handle = ffi.gc(handle[0], lib.pusher_request_free)
        # finish may log after the client object is gone.
        self._client, self._hooks = client, hooks
        self._call, self._decode = call, decode
        self._fed: Any = None

    def _left(self) -> float:
        return float(lib.pusher_request_timeout_ms(self._handle)) / 1000

    def _idempotency_key(self) -> str | None:
        return _headers(self._handle).get("x-idempotency-key")

    @property
    def host(self) -> str:
        """The host to connect to: a name or an IP address, IPv6 without brackets."""
        return ffi.string(_texts.made(lib.pusher_request_host(self._handle))).decode()  # type: ignore[no-any-return]

    @property
    def port(self) -> int:
        """The port to connect to."""
        return int(lib.pusher_request_port(self._handle))

    @property
    def tls(self) -> bool:
        """Whether to speak TLS."""
        return bool(lib.pusher_request_tls(self._handle))

    def to_bytes(self) -> bytes:
        """Returns the whole HTTP/1.1 request, for a socket of your own. It holds the signature: do not log it."""
        size = ffi.new("size_t *")
        return bytes(ffi.buffer(_texts.made(lib.pusher_request_bytes(self._handle, size)), size[0]))

    def feed(self, data: bytes) -> tuple[int, int]:
        """Reads bytes of the response as they came from a socket, in any pieces. No bytes are the end of the input.

        :return: 1 if the response is whole (call `finish` without a status), 0 if more is to come, -1 if it is not HTTP or ends
            too early (call `finish`, too); and how many of the bytes belong to the response.
        """
        if self._fed is None:
            self._fed = ffi.gc(lib.pusher_response_new(), lib.pusher_response_free)
        used = ffi.new("size_t *")
        state = lib.pusher_response_feed(self._fed, ffi.from_buffer(data), len(data), used)
        return int(state), int(used[0])

    def finish(
        self, status: int | None = None, body: bytes = b"", headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """Interprets the server's response. Returns or raises what the call itself would have.

        :param status: without one, the response is what `feed` was given.
        :param body: the whole body, without its transfer coding.
        :param headers: all headers: an empty body without a length counts as truncated.
        """
        return self._finish(None if status is None else Response(status, body, headers))

    def fail(self, delivery: Delivery = Delivery.UNKNOWN, cause: str = "transport", message: str = "") -> dict[str, Any]:
        """Reports that there was no complete response. Raises what the call itself would have.

        :param delivery: NOT_SENT only if the request's last byte certainly was not sent.
        :param cause: dns, connect, tls, proxy, write, timeout, reset, closed, malformed, cancelled or transport.
        """
        return self._finish(TransportFailure(delivery, cause, message))

    def _finish(self, outcome: Response | TransportFailure | None) -> dict[str, Any]:
        # A failure does not outweigh a status that was fed.
        response = self._fed or ffi.gc(lib.pusher_response_new(), lib.pusher_response_free)
        if outcome is not None:
            outcome._set(response)
        out = _texts.place()
        status = lib.pusher_finish(self._client, self._handle, response, out)
        result: dict[str, Any] = _texts.response(self._call, status, out, self._decode)
        return result


class PreparedRequest(Exchange, Request):
    """A signed request. Only one thread at a time may use it. Call `finish` or `fail` once; to retry, prepare the call again."""

    def __init__(self, client: Any, call: str, texts: Iterable[Any], decode: _texts.Decode, hooks: Any) -> None:
        Exchange.__init__(self, client, call, texts, decode, hooks)
        Request.__init__(self, self._handle)


class Response:
    """A server's response, for a transport to return."""

    def __init__(self, status: int, body: bytes = b"", headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self.status = status
        self.body = body
        self.headers = list(headers.items() if isinstance(headers, Mapping) else headers)

    def _set(self, response: Any) -> None:
        names = [(_texts.text(name, "headers"), _texts.text(value, "headers")) for name, value in self.headers]
        lib.pusher_response_set(response, self.status, self.body, len(self.body))
        for name, value in names:
            lib.pusher_response_set_header(response, name, value)


class TransportFailure(Exception):
    """A transport raises this if there was no complete response. Any other exception counts as UNKNOWN."""

    def __init__(self, delivery: Delivery = Delivery.UNKNOWN, cause: str = "transport", message: str = "") -> None:
        super().__init__(delivery, cause, message)
        self.delivery = Delivery(delivery)
        self.cause = cause
        self.message = message

    def _set(self, response: Any) -> None:
        delivery = _DELIVERIES.get(self.delivery, _DELIVERIES[Delivery.UNKNOWN])
        cause, message = _texts.text(self.cause, "cause"), _texts.text(self.message, "message")
        lib.pusher_response_fail(response, delivery, cause, message if message else ffi.NULL)
