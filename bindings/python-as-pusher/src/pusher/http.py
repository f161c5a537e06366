"""What a backend of the program's own uses."""

from collections.abc import Callable
from typing import Any

from libpusher.backends import Call as Request
from libpusher.backends import Requests
from pusher.util import _CLIENT

__all__ = ["GET", "POST", "Request", "RequestMethod", "process_response", "request_method"]

GET, POST = "GET", "POST"


class RequestMethod:
    """A call of a client."""

    def __init__(self, client: Any, f: Callable[..., Any]) -> None:
        self.client, self.f = client, f

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.f(self.client, *arguments, **options)

    def make_request(self, *arguments: Any, **options: Any) -> Request:
        """Returns the request that the call would give to a backend."""
        request: Request = self.f(Requests(self.client), *arguments, **options)
        return request


def request_method(f: Callable[..., Any]) -> property:
    """Makes a call that has `make_request`."""
    return property(lambda client: RequestMethod(client, f), doc=f.__doc__)


def process_response(status: int, body: str | bytes) -> Any:
    """Returns or raises what a call that publishes does after this response."""
    raw = body.encode() if isinstance(body, str) else body
    # The call is not known. As a query, its error would have no delivery, and might be retried after an event arrived.
    return _CLIENT.prepare.post("/events").finish(status, raw, {"Content-Length": str(len(raw))})
