"""HTTP clients of the caller that send an `AsyncPusher`'s requests: an aiohttp or httpx session, or a function."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from libpusher._request import Request, Response, TransportFailure
from libpusher.errors import Delivery

AsyncSend = Callable[[Request], Awaitable[Response]]

# As long a body as the library reads from its own connections.
_MAX_BODY_BYTES = 1 << 20


class _Truncated(Response):
    """The beginning of a response that is too long."""

    def _set(self, response: Any) -> None:
        super()._set(response)
        TransportFailure(Delivery.UNKNOWN, "malformed", "the response has more than 1 MiB")._set(response)


def sender(transport: Any) -> AsyncSend:
    """Returns a function that sends a request with an HTTP client."""
    for kind in type(transport).__mro__:
        package = kind.__module__.partition(".")[0]
        if (package, kind.__name__) == ("aiohttp", "ClientSession"):
            return _of_aiohttp(transport)
        if (package, kind.__name__) == ("httpx", "AsyncClient"):
            return _of_httpx(transport)
    if not callable(transport):
        raise TypeError(
            f"transport must be an aiohttp.ClientSession, an httpx.AsyncClient or a function, not {type(transport).__name__}"
        )
    send: AsyncSend = transport
    return send


async def exchange(send: AsyncSend, request: Request, seconds: float) -> Response:
    """Sends a request, and waits for the response for so long.

    :raises TransportFailure: there was no whole response.
    """
    task = asyncio.ensure_future(send(request))
    try:
        await asyncio.wait({task}, timeout=seconds)
    except BaseException:
        task.cancel()
        raise
    if not task.done():
        task.cancel()
        raise TransportFailure(Delivery.UNKNOWN, "timeout", "no response within the time limit")
    try:
        return task.result()
    except TransportFailure:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}".replace("\0", "")
    raise TransportFailure(Delivery.UNKNOWN, "transport", message)


def _of_aiohttp(session: Any) -> AsyncSend:
    import aiohttp
    import yarl

    async def send(request: Request) -> Response:
        try:
            async with session.request(
                request.method,
                yarl.URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(total=request.timeout),
                # The answer is short, and its length is checked.
                skip_auto_headers=("Accept-Encoding",),
            ) as response:
                body, is_whole = await _body(response.content.iter_any())
                return (Response if is_whole else _Truncated)(response.status, body, response.headers.items())
        except aiohttp.ClientConnectorError as error:
            # aiohttp itself retries other methods: then the first attempt may have arrived.
            delivery = Delivery.NOT_SENT if request.method == "POST" else Delivery.UNKNOWN
            cause = "tls" if isinstance(error, aiohttp.ClientSSLError) else "connect"
            raise TransportFailure(delivery, cause, str(error)) from error
        except asyncio.TimeoutError as error:
            raise TransportFailure(Delivery.UNKNOWN, "timeout", "no response within the time limit") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportFailure(Delivery.UNKNOWN, "reset", f"{type(error).__name__}: {error}") from error

    return send


def _of_httpx(client: Any) -> AsyncSend:
    import httpx

    async def send(request: Request) -> Response:
        headers = {"accept-encoding": "identity", **request.headers}
        try:
            async with client.stream(
                request.method,
                request.url,
                content=request.body,
                headers=headers,
                follow_redirects=False,
                timeout=request.timeout,
            ) as response:
                body, is_whole = await _body(response.aiter_bytes())
                return (Response if is_whole else _Truncated)(response.status_code, body, response.headers.items())
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TransportFailure(Delivery.NOT_SENT, "timeout", str(error)) from error
        except httpx.ConnectError as error:
            raise TransportFailure(Delivery.NOT_SENT, "tls" if _is_of_tls(error) else "connect", str(error)) from error
        except httpx.TimeoutException as error:
            raise TransportFailure(Delivery.UNKNOWN, "timeout", "no response within the time limit") from error
        except httpx.TransportError as error:
            raise TransportFailure(Delivery.UNKNOWN, "reset", f"{type(error).__name__}: {error}") from error

    return send


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


async def _body(pieces: AsyncIterable[bytes]) -> tuple[bytes, bool]:
    """Reads a body, and returns it, or its beginning, and whether it is whole."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            return bytes(body[:_MAX_BODY_BYTES]), False
    return bytes(body), True
