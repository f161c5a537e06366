"""The module of the class `Pusher`."""

from libpusher import Pusher

__all__ = ["Pusher"]
