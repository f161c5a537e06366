"""What a call raises when it fails: an exception that says what may be done now, and what happened to the event."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Any

# Names sorted by status. The last are those of the package `pusher`.
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
    "PayloadTooLarge",
    "PusherBadAuth",
    "PusherBadRequest",
    "PusherBadStatus",
    "PusherError",
    "PusherForbidden",
    "QueueFull",
    "RateLimited",
    "Redirected",
    "ServerError",
    "Status",
    "TimedOut",
    "Unauthorized",
    "UsageError",
    "WebhookInvalid",
]


class Status(IntEnum):
    """What a call says it came to.

    1-19 the call was wrong; 20-39 the network; 40-59 the server said no; 60-79 signatures and encryption; 80-99 the publisher.
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
    WEBHOOK_INVALID = 60
    ENCRYPTION = 61
    QUEUE_FULL = 80
    CLOSED = 81
    TIMED_OUT = 82
    FORKED = 83
    INTERNAL = 255

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        # A later library may have more of them: they are to be treated by their range, not to fail here.
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"STATUS_{value}"
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Python 3.11.0 to 3.11.3 pickle members by name, by which one of a later library can't be found.
        return type(self), (self._value_,)


class Delivery(str, Enum):
    """What happened to the events of a call."""

    NOT_SENT = "not_sent"
    """The request's last byte never left: certainly not delivered."""
    REJECTED = "rejected"
    """The server refused before it looked at any event: certainly not delivered."""
    UNKNOWN = "unknown"
    """It may have been delivered. Sending it again may deliver it twice."""
    DELIVERED = "delivered"
    """The server accepted it."""


class PusherError(Exception):
    """A call has failed. There is a class for each status, and for some families of them."""

    status: Status
    """What the call came to."""
    document: Mapping[str, Any]
    """All that the library says of it; what has no attribute here is in it as well."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        # Both are the exception's `args`, so that it can be pickled: a task queue hands it from process to process.
        super().__init__(status, document)
        self.status = Status(status)
        self.document = document

    def __str__(self) -> str:
        return str(self.document.get("message", self.status.name))

    @property
    def delivery(self) -> Delivery | None:
        """What happened to the events; None where the call had none, such as a question."""
        delivery = self.document.get("delivery")
        return None if delivery is None else Delivery(delivery)

    @property
    def cause(self) -> str | None:
        """What went wrong on the network: dns, connect, tls, proxy, write, timeout, reset, closed, malformed or transport."""
        return self.document.get("cause")

    @property
    def argument(self) -> str | None:
        """Which argument or key of the configuration was wrong, such as `channels[3]`."""
        return self.document.get("argument")

    @property
    def retryable(self) -> bool:
        """Whether the same call may go well later, without anything being delivered twice."""
        return bool(self.document.get("retryable", False))

    @property
    def attempts(self) -> int:
        """How often it was sent."""
        return int(self.document.get("attempts", 0))

    @property
    def http_status(self) -> int | None:
        """What the server answered."""
        return self.document.get("http_status")

    @property
    def response(self) -> str | None:
        """The first KiB of the server's text."""
        return self.document.get("response")

    @property
    def retry_after(self) -> float | None:
        """When the server wants to be asked again, in seconds."""
        milliseconds = self.document.get("retry_after_ms")
        return None if milliseconds is None else milliseconds / 1000


class UsageError(PusherError):
    """The call was wrong; nothing was sent."""


class InvalidArgument(UsageError, ValueError):
    """An argument is malformed or breaks a limit. `argument` names it."""


class InvalidConfig(UsageError, ValueError):
    """The configuration is wrong. `argument` names the key."""


class InvalidState(UsageError, RuntimeError):
    """Calls in the wrong order."""


class NetworkError(PusherError):
    """No answer, or none that can be read. `delivery` says whether the event may have been delivered."""


class NotSent(NetworkError):
    """The request's last byte never left: certainly not delivered. `cause` says why."""


class DeliveryUnknown(NetworkError):
    """Sent whole, and no valid answer came: it may have been delivered."""


class BadResponse(NetworkError):
    """The server said yes, but its answer can't be read: it may or may not have been delivered."""


class PusherBadStatus(PusherError):
    """The server said no."""


class BadRequest(PusherBadStatus):
    """400, or another 4xx."""


class Unauthorized(PusherBadStatus):
    """401: the key, the secret or the clock is wrong."""


class Forbidden(PusherBadStatus):
    """403: the application is disabled or over its quota."""


class NotFound(PusherBadStatus):
    """404: no such application or path."""


class PayloadTooLarge(PusherBadStatus):
    """413, or data that was found too large before sending."""


class RateLimited(PusherBadStatus):
    """429: rejected; try again later."""


class ServerError(PusherBadStatus):
    """Any 5xx: it may or may not have been delivered."""


class Redirected(PusherBadStatus):
    """Any 3xx: never followed, not delivered."""


class WebhookInvalid(PusherError):
    """The webhook is not authentic: answer it with 401."""


class EncryptionFailed(PusherError):
    """There is no master key for an encrypted channel, or a payload can't be decrypted."""


class QueueFull(PusherError, queue.Full):
    """The publisher's queue is full: the event was not taken."""


class Closed(PusherError, RuntimeError):
    """The publisher is closed."""


class TimedOut(PusherError, TimeoutError):
    """The wait ended first. Nothing was lost."""

    # TimeoutError is an OSError, which takes two arguments for an errno and its text.
    def __str__(self) -> str:
        return PusherError.__str__(self)


class Forked(PusherError, RuntimeError):
    """This publisher belongs to the parent process: make one in the child."""


class InternalError(PusherError):
    """A bug in libpusher, caught (please report it), or the system is out of memory or randomness."""


# What the package `pusher` calls them.
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
    Status.WEBHOOK_INVALID: WebhookInvalid,
    Status.ENCRYPTION: EncryptionFailed,
    Status.QUEUE_FULL: QueueFull,
    Status.CLOSED: Closed,
    Status.TIMED_OUT: TimedOut,
    Status.FORKED: Forked,
    Status.INTERNAL: InternalError,
}


def _of(status: int, document: Mapping[str, Any]) -> PusherError:
    """The exception of a status; one that is new is treated by its range."""
    known = _CLASSES.get(status)
    if known is None:
        ranges = ((1, 19, UsageError), (20, 39, NetworkError), (40, 59, PusherBadStatus))
        known = next((family for low, high, family in ranges if low <= status <= high), PusherError)
    return known(status, document)
