"""The exceptions that calls raise. They say what to do and what happened to the event."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Any

# Sorted; they include the names of the package `pusher`.
__all__ = [
    "BadRequest",
    "BadResponse",
    "Closed",
    "Delivery",
    "DeliveryUnknown",
    "EncryptionFailed",
    "Forbidden",
    "Forked",
    "InternalError",
    "InvalidArgument",
    "InvalidConfig",
    "InvalidState",
    "NetworkError",
    "NotFound",
    "NotSent",
    "OtherBadRequest",
    "PartiallyDelivered",
    "PayloadTooLarge",
    "PusherBadAuth",
    "PusherBadRequest",
    "PusherBadStatus",
    "PusherError",
    "PusherForbidden",
    "QueueFull",
    "RateLimited",
    "Redirected",
    "Refused",
    "ServerError",
    "Status",
    "TimedOut",
    "Unauthorized",
    "UsageError",
    "WebhookInvalid",
]


class Status(IntEnum):
    """The result of a call.

    1-19 the call was wrong; 20-39 the network failed; 40-59 the server refused; 60-79 signatures and encryption;
    80-99 the publisher.
    """

    OK = 0
    INVALID_ARGUMENT = 1
    INVALID_CONFIG = 2
    INVALID_STATE = 3
    NOT_SENT = 20
    DELIVERY_UNKNOWN = 21
    BAD_RESPONSE = 22
    BAD_REQUEST = 40
    UNAUTHORIZED = 41
    FORBIDDEN = 42
    NOT_FOUND = 43
    PAYLOAD_TOO_LARGE = 44
    RATE_LIMITED = 45
    SERVER_ERROR = 46
    REDIRECTED = 47
    PARTIAL = 48
    WEBHOOK_INVALID = 60
    ENCRYPTION = 61
    QUEUE_FULL = 80
    CLOSED = 81
    TIMED_OUT = 82
    FORKED = 83
    INTERNAL = 255

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        # A later library may have more statuses: callers treat them by range.
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"STATUS_{value}"
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Python 3.11.0 to 3.11.3 pickle members by name, which fails for a status of a later library.
        return type(self), (self._value_,)


class Delivery(str, Enum):
    """What happened to the events of a call."""

    NOT_SENT = "not_sent"
    """The request's last byte was not sent: certainly not delivered."""
    REJECTED = "rejected"
    """The server refused before it looked at any event: certainly not delivered."""
    UNKNOWN = "unknown"
    """It may have been delivered. A retry may deliver it twice."""
    DELIVERED = "delivered"
    """The server accepted it."""


class PusherError(Exception):
    """The base class of all errors. Each status has a class, and so do some groups of statuses."""

    status: Status
    """The status of the call."""
    document: Mapping[str, Any]
    """The members of the error document, including those without an attribute here."""

    def __init__(self, status: int | str | None = None, document: Mapping[str, Any] | None = None) -> None:
        if not isinstance(status, int):
            # The package `pusher` has only a message, and tests of programs make exceptions with one.
            document = {} if status is None else {"message": str(status)}
            status = next((number for number, kind in _CLASSES.items() if isinstance(self, kind)), Status.INTERNAL)
        document = {} if document is None else document
        # Both are the exception's `args`, so that a task queue can pickle it and pass it between processes.
        super().__init__(status, document)
        self.status = Status(status)
        self.document = document

    def __str__(self) -> str:
        return str(self.document.get("message", self.status.name))

    @property
    def delivery(self) -> Delivery | None:
        """What happened to the events; None if the call delivers nothing, such as a query."""
        delivery = self.document.get("delivery")
        return None if delivery is None else Delivery(delivery)

    @property
    def cause(self) -> str | None:
        """The cause of a network failure, such as connect, timeout or closed: see `docs/errors.md`.

        It is cancelled after `cancel`, and circuit if the call was not made because the server cannot be reached.
        """
        return self.document.get("cause")

    @property
    def argument(self) -> str | None:
        """The wrong argument or configuration key, such as `channels[3]`."""
        return self.document.get("argument")

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later, without delivering anything twice."""
        return bool(self.document.get("retryable", False))

    @property
    def attempts(self) -> int:
        """The number of requests that were tried."""
        return int(self.document.get("attempts", 0))

    @property
    def http_status(self) -> int | None:
        """The HTTP status of the response."""
        return self.document.get("http_status")

    @property
    def response(self) -> str | None:
        """The first KiB of the response's body."""
        return self.document.get("response")

    @property
    def retry_after(self) -> float | None:
        """The server's Retry-After, in seconds."""
        milliseconds = self.document.get("retry_after_ms")
        return None if milliseconds is None else milliseconds / 1000

    @property
    def server_code(self) -> str | None:
        """The member `code` of the response, such as sockudo's `feature_disabled`."""
        return self.document.get("server_code")

    @property
    def rate_limit(self) -> Mapping[str, int]:
        """The figures of the server's X-RateLimit headers: limit, remaining and reset.

        `reset` is in seconds from now or since 1970: servers differ.
        """
        figures: Mapping[str, int] = self.document.get("rate_limit", {})
        return figures


class UsageError(PusherError):
    """The call was wrong; nothing was sent."""


class InvalidArgument(UsageError, ValueError):
    """An argument is malformed or exceeds a limit. `argument` names it."""


class InvalidConfig(UsageError, ValueError):
    """The configuration is wrong. `argument` names the key."""


class InvalidState(UsageError, RuntimeError):
    """Calls were made in the wrong order."""


class NetworkError(PusherError):
    """There was no response, or none that could be read. `delivery` says whether the event may have been delivered."""


class NotSent(NetworkError):
    """The request's last byte was not sent: certainly not delivered. `cause` says why."""


class DeliveryUnknown(NetworkError):
    """The request was sent completely, but no valid response arrived: it may have been delivered."""


class BadResponse(NetworkError):
    """A 2xx response that cannot be read: the event may have been delivered."""


class Refused(PusherError):
    """The server refused the request."""


class PusherBadStatus(Refused):
    """The server refused with another status than 400, 401 and 403, which have classes of their own."""


class BadRequest(Refused):
    """400, or another 4xx that has no class of its own."""


class OtherBadRequest(BadRequest, PusherBadStatus):
    """Another 4xx, which the package `pusher` counts among the other statuses."""


class Unauthorized(Refused):
    """401: the key, the secret or the clock is wrong."""


class Forbidden(Refused):
    """403: the application is disabled or over its quota."""


class NotFound(PusherBadStatus):
    """404: no such application or path."""


class PayloadTooLarge(PusherBadStatus, ValueError):
    """413, or data that was found too large before sending."""


class RateLimited(PusherBadStatus):
    """429: rejected; retry later."""


class ServerError(PusherBadStatus):
    """Any 5xx: the event may have been delivered."""


class Redirected(PusherBadStatus):
    """Any 3xx: never followed, not delivered."""


class PartiallyDelivered(PusherBadStatus):
    """The requests of a fan-out ended differently. `parts` says how each did."""

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """The requests in their order: `{"channels", "status", "delivery"}`, possibly with `cause` and `http_status`."""
        return list(self.document.get("parts", ()))


class WebhookInvalid(PusherError):
    """The webhook is not authentic: respond with 401."""


class EncryptionFailed(PusherError, ValueError):
    """There is no master key for an encrypted channel, or a payload cannot be decrypted."""


class QueueFull(PusherError, queue.Full):
    """The publisher's queue is full: the event was not queued."""


class Closed(PusherError, RuntimeError):
    """The publisher is closed."""


class TimedOut(PusherError, TimeoutError):
    """The time was up first.

    After `close`, the events that had not ended are reported as not sent or unknown. Otherwise nothing is lost.
    """

    # TimeoutError is an OSError, which treats two arguments as an errno and its message.
    def __str__(self) -> str:
        return PusherError.__str__(self)


class Forked(PusherError, RuntimeError):
    """This publisher belongs to the parent process: make a new one in the child."""


class InternalError(PusherError):
    """A bug in libpusher, caught (please report it), or the system is out of memory or randomness."""


# The names in the package `pusher`.
PusherBadRequest = BadRequest
PusherBadAuth = Unauthorized
PusherForbidden = Forbidden

_CLASSES: dict[int, type[PusherError]] = {
    Status.INVALID_ARGUMENT: InvalidArgument,
    Status.INVALID_CONFIG: InvalidConfig,
    Status.INVALID_STATE: InvalidState,
    Status.NOT_SENT: NotSent,
    Status.DELIVERY_UNKNOWN: DeliveryUnknown,
    Status.BAD_RESPONSE: BadResponse,
    Status.BAD_REQUEST: BadRequest,
    Status.UNAUTHORIZED: Unauthorized,
    Status.FORBIDDEN: Forbidden,
    Status.NOT_FOUND: NotFound,
    Status.PAYLOAD_TOO_LARGE: PayloadTooLarge,
    Status.RATE_LIMITED: RateLimited,
    Status.SERVER_ERROR: ServerError,
    Status.REDIRECTED: Redirected,
    Status.PARTIAL: PartiallyDelivered,
    Status.WEBHOOK_INVALID: WebhookInvalid,
    Status.ENCRYPTION: EncryptionFailed,
    Status.QUEUE_FULL: QueueFull,
    Status.CLOSED: Closed,
    Status.TIMED_OUT: TimedOut,
    Status.FORKED: Forked,
    Status.INTERNAL: InternalError,
}


def _of(status: int, document: Mapping[str, Any]) -> PusherError:
    """Returns the exception of a status; an unknown status is treated by its range."""
    known = _CLASSES.get(status)
    if known is None:
        ranges = ((1, 19, UsageError), (20, 39, NetworkError), (40, 59, PusherBadStatus))
        known = next((family for low, high, family in ranges if low <= status <= high), PusherError)
    if known is BadRequest and document.get("http_status", 400) != 400:
        known = OtherBadRequest
    return known(status, document)
