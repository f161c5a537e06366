"""The class that signs."""

from pusher.client import Client

__all__ = ["AuthenticationClient"]


class AuthenticationClient(Client):
    """A client."""
