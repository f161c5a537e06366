"""The backend for App Engine."""

from libpusher.backends import GAEBackend

__all__ = ["GAEBackend"]
