"""Server SDK for Pusher Channels, on the C library libpusher.

    import libpusher

    client = libpusher.Pusher.from_env()
    client.trigger("my-channel", "my-event", {"hello": "world"})

Names and arguments are those of the package `pusher`.
"""

from libpusher import errors
from libpusher._calls import Event
from libpusher._client import CircuitBreaker, Config, Log, Prepare, Pusher, Retry, WebhookToken
from libpusher._hooks import Observation, Observer, Transport
from libpusher._library import ffi as _ffi
from libpusher._library import lib as _lib
from libpusher._publisher import Publisher, PublisherConfig
from libpusher._request import PreparedRequest, Request, Response, TransportFailure
from libpusher.errors import Delivery, PusherError, Status

__all__ = [
    "CircuitBreaker",
    "Config",
    "Delivery",
    "Event",
    "Log",
    "Observation",
    "Observer",
    "Prepare",
    "PreparedRequest",
    "Publisher",
    "PublisherConfig",
    "Pusher",
    "PusherError",
    "Request",
    "Response",
    "Retry",
    "Status",
    "Transport",
    "TransportFailure",
    "WebhookToken",
    "errors",
]

# The version of the library that is loaded.
__version__: str = _ffi.string(_lib.pusher_version()).decode()
