"""The backend for Tornado."""

from libpusher.backends import TornadoBackend

__all__ = ["TornadoBackend"]
