"""Callbacks: functions of the caller that the library calls on the thread that makes a call, and only during the call.

The library never calls them on its own threads, so there is no `hooks_on_threads`: while the interpreter shuts down, it would end
a thread that waits for it, in the middle of the library.
"""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Callable
from typing import Any

from libpusher import _texts
from libpusher._library import ffi, lib
from libpusher._request import Request, Response, TransportFailure

Transport = Callable[[Request], Response]


class Observation(enum.IntEnum):
    """The kind of an observation."""

    CALL_START = 1
    ATTEMPT_START = 2
    ATTEMPT_END = 3
    CALL_END = 4


Observer = Callable[[Observation, int, dict[str, Any]], None]

_OBSERVATIONS = frozenset(Observation)
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


def keep_log(client: Any, log: Any) -> Any:
    """Sets the log callback. The returned object must live as long as the client."""

    # Exceptions go to sys.unraisablehook, as those of a __del__ do: they must not fail the call.
    @ffi.callback("PusherLogFn")  # type: ignore[untyped-decorator, unused-ignore]
    def call(_: Any, level: int, message: Any, fields: Any) -> None:
        sentence, what = ffi.string(message).decode(), ffi.string(fields).decode()
        level = _LEVELS.get(level, logging.DEBUG)
        if isinstance(log, logging.Logger):
            log.log(level, "%s %s", sentence, what)
        else:
            log(level, sentence, json.loads(what))

    out = _texts.place()
    _texts.answer(lib.pusher_set_log(client, call, ffi.NULL, ffi.NULL, out), out)
    return call


def keep_observer(client: Any, observe: Observer) -> Any:
    """Sets the observer callback. The returned object must live as long as the client."""

    # Exceptions go to sys.unraisablehook, as those of a log do.
    @ffi.callback("PusherObserveFn")  # type: ignore[untyped-decorator, unused-ignore]
    def call(_: Any, kind: int, call_id: int, fields: Any) -> None:
        # A later version of the library may know more kinds.
        if kind in _OBSERVATIONS:
            observe(Observation(kind), call_id, json.loads(ffi.string(fields)))

    out = _texts.place()
    _texts.answer(lib.pusher_set_observer(client, call, ffi.NULL, ffi.NULL, out), out)
    return call


def keep_transport(client: Any, send: Transport) -> Any:
    """Sets the transport callback. The returned object must live as long as the client."""

    # If the callback reports nothing, the library assumes that the event may have been delivered.
    @ffi.callback("PusherSendFn")  # type: ignore[untyped-decorator, unused-ignore]
    def call(_: Any, request: Any, response: Any) -> None:
        try:
            send(Request(request))._set(response)
        except TransportFailure as failure:
            failure._set(response)
        except Exception as error:
            TransportFailure(message=f"{type(error).__name__}: {error}".replace("\0", ""))._set(response)

    out = _texts.place()
    _texts.answer(lib.pusher_set_transport(client, call, ffi.NULL, ffi.NULL, out), out)
    return call
