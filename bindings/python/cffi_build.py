"""Makes libpusher/_native.py, the C declarations for cffi, from include/pusher.ffi.h. It needs no compiler.

setup.py runs it when the wheel is built.
"""

from __future__ import annotations

from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
# A checkout uses the header that the library is built with; a source distribution contains a copy.
HEADER = next(path for path in (HERE / "../../include/pusher.ffi.h", HERE / "pusher.ffi.h") if path.exists())

ffi = cffi.FFI()
ffi.cdef(HEADER.read_text(encoding="utf-8"))
ffi.set_source("libpusher._native", None)
