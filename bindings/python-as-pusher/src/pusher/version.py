"""The version."""

from libpusher import __version__ as VERSION

__all__ = ["VERSION"]
