"""The default backend."""

from libpusher.backends import RequestsBackend

__all__ = ["RequestsBackend"]
