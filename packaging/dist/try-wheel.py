"""Sends an event by the Python binding, as packaging/dist/try.c does by the library alone. packaging/dist/try.py runs it."""

import os
from pathlib import Path

import libpusher

# The library of the wheel, and no other.
assert "PUSHER_LIBRARY" not in os.environ
maps = Path("/proc/self/maps").read_text(encoding="utf-8")
assert str(Path(libpusher.__file__).with_name("lib") / "libpusher.so") in maps, maps
status = "OK"
try:
    libpusher.Pusher.from_env().trigger("my-channel", "my-event", {"hello": "world"})
except libpusher.errors.PusherError as error:
    status = error.status.name
print(libpusher.__version__, status)
