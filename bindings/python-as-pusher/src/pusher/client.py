"""The base class of clients."""

from typing import Any

from libpusher import Pusher
from pusher.util import ensure_text

__all__ = ["Client"]


class Client(Pusher):
    """A client that keeps its secret in an attribute. `pusher.Pusher` does not."""

    def __init__(self, app_id: Any, key: Any, secret: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(app_id, key, secret, *arguments, **options)
        self.secret = ensure_text(secret, "secret")
