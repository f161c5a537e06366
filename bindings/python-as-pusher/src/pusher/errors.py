"""The exceptions."""

from libpusher.errors import *  # noqa: F403
