"""The backend for asyncio."""

from libpusher.backends import AsyncIOBackend

__all__ = ["AsyncIOBackend"]
