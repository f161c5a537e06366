"""Finds the shared library and checks its version."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from libpusher._native import ffi as _ffi

ffi: Any = _ffi

_NAMES = {"darwin": ("libpusher.dylib", "libpusher.0.dylib"), "win32": ("pusher.dll", "pusher.dll")}


def _load() -> Any:
    bundled, system = _NAMES.get(sys.platform, ("libpusher.so", "libpusher.so.0"))
    beside = Path(__file__).with_name("lib") / bundled
    # PUSHER_LIBRARY selects another build. A wheel contains the library; a distribution's package uses the system's.
    path = os.environ.get("PUSHER_LIBRARY") or (str(beside) if beside.exists() else system)
    try:
        library = ffi.dlopen(path)
    except OSError as error:
        raise ImportError(f"libpusher's shared library cannot be loaded: {error}", path=path) from None
    found, needed = library.pusher_version_number(), library.PUSHER_VERSION_NUMBER
    # Within a major version, functions are only added.
    if found < needed or found >> 16 != needed >> 16:
        raise ImportError(
            f"{path} is libpusher {found:#08x}, and at least {needed:#08x} of its major version is needed", path=path
        )
    return library


lib: Any = _load()
