"""Backends, which send requests in the package `pusher`. Here the library sends them, and a backend says on which thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from libpusher._calls import Calls
from libpusher._request import PreparedRequest

if TYPE_CHECKING:
    from libpusher._client import Pusher


class Backend(Protocol):
    """An object that is made of the client and of the options that are no configuration keys."""

    def send_request(self, request: Any) -> Any:
        """Takes a `Call`, and returns what the call returns."""


class Call:
    """A call that a backend makes, with the attributes of a request in the package `pusher`.

    The first use of an attribute signs the request.
    """

    def __init__(self, client: Pusher, call: str, texts: tuple[Any, ...]) -> None:
        self.client, self._call, self._texts = client, call, texts
        self._prepared: PreparedRequest | None = None

    def send(self) -> dict[str, Any]:
        """Makes the call, and waits for the result."""
        return self.client._send_now(self._call, *self._texts)

    @property
    def prepared(self) -> PreparedRequest:
        """The signed request."""
        if self._prepared is None:
            self._prepared = self.client.prepare._send(self._call, *self._texts)
        return self._prepared

    @property
    def method(self) -> str:
        """`"GET"`, `"POST"` or `"DELETE"`."""
        return self.prepared.method

    @property
    def url(self) -> str:
        """The signed URL: do not log it."""
        return self.prepared.url

    @property
    def base_url(self) -> str:
        """The URL up to the path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.url).path

    @property
    def query_string(self) -> str:
        """The signed query."""
        return urlsplit(self.url).query

    @property
    def signed_path(self) -> str:
        """The path with the signed query."""
        return f"{self.path}?{self.query_string}"

    @property
    def query_params(self) -> dict[str, str]:
        """The members of the signed query, decoded."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def params(self) -> Any:
        """The body of a POST, decoded, or the query without what signs it."""
        if self.body:
            return json.loads(self.body)
        return {name: value for name, value in self.query_params.items() if not name.startswith(("auth_", "body_md5"))}

    @property
    def headers(self) -> dict[str, str]:
        """All headers, those of the connection too."""
        return self.prepared.headers

    @property
    def body(self) -> bytes:
        """The body of a POST; otherwise empty."""
        return self.prepared.body or b""


class Requests(Calls[Call]):
    """A client's calls as a backend is given them, signed at once."""

    def __init__(self, client: Pusher) -> None:
        self._client, self._encode = client, client._encode

    def _send(self, call: str, *texts: Any) -> Call:
        made = Call(self._client, call, texts)
        # Raises errors in the arguments.
        _ = made.prepared
        return made
