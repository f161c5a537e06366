"""The names of the package `pusher`, on libpusher.

For programs whose imports cannot be changed. Others import `libpusher`, which has the same calls.
"""

from libpusher import Pusher
from pusher import authentication_client, client, crypto, errors, http, pusher_client, requests, signature, util, version

__all__ = [
    "Pusher",
    "authentication_client",
    "client",
    "crypto",
    "errors",
    "http",
    "pusher_client",
    "requests",
    "signature",
    "util",
    "version",
]
