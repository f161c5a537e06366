"""Native values to the texts that C takes, and its documents back.

C takes a NUL for the end of a text: what is behind it would be neither sent nor signed. So no text with one gets there. In JSON
it is an escape like any other, and harmless.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from libpusher._library import ffi, lib
from libpusher.errors import InvalidArgument, Status, _of

# A JSON encoder's `encode`. The values that it is given are the caller's: of any type.
Encode = Callable[[Any], str]
# What turns the library's JSON into values.
Decode = Callable[[str], Any]


def encoder(cls: type[json.JSONEncoder] | None) -> Encode:
    """Compact, since the size of payloads is limited, and with nothing in it that is not JSON."""
    made = (cls or json.JSONEncoder)(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    compiled = getattr(json.encoder, "c_make_encoder", None)
    if cls or compiled is None:
        return made.encode
    # `encode` makes one of these each time, which costs more than signing. Without markers, a circle ends as a RecursionError.
    chunks = compiled(None, made.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


def decoder(cls: type[json.JSONDecoder] | None) -> Decode:
    return (cls or json.JSONDecoder)().decode


# For what is the library's own, whatever encoder the caller has.
own_json = encoder(None)


def invalid(argument: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        Status.INVALID_ARGUMENT,
        {"status": "INVALID_ARGUMENT", "message": f"{argument}: {what}", "delivery": "not_sent", "argument": argument},
    )


def text(value: str, argument: str) -> bytes:
    """A text as C takes it."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise invalid(argument, "has a lone surrogate, which UTF-8 does not have") from None
    if b"\0" in encoded:
        raise invalid(argument, "has a NUL")
    return encoded


def optional(value: str | None, argument: str) -> Any:
    return ffi.NULL if value is None else text(value, argument)


def value(value: Any, argument: str, encode: Encode) -> bytes:
    """A value of the caller's as JSON."""
    try:
        encoded = encode(value).encode()
    except (ValueError, RecursionError) as error:
        # NaN, a lone surrogate, a circle. A type that JSON does not have is a TypeError, and goes on as that.
        raise invalid(argument, f"can't be written as JSON: {error}") from error
    # JSON has none, but an encoder of the caller's may.
    if b"\0" in encoded:
        raise invalid(argument, "has a NUL outside of a JSON string's escapes")
    return encoded


def channels(names: str | Iterable[str]) -> bytes:
    """One name, or a JSON array of several."""
    if isinstance(names, str):
        encoded = text(names, "channels")
        # C takes a text with a bracket for an array of names: a name that somebody else chose must not become several.
        return value([names], "channels", own_json) if b"[" in encoded else encoded
    if isinstance(names, (bytes, Mapping)):
        raise TypeError(f"channels must be a str or a list of them, not {type(names).__name__}")
    listed = list(names)
    for place, name in enumerate(listed):
        text(name, f"channels[{place}]")
    return value(listed, "channels", own_json)


def attributes(names: str | Iterable[str] | None) -> Any:
    """The names as the API takes them, with commas between them."""
    if not names:
        return ffi.NULL
    return text(names if isinstance(names, str) else ",".join(names), "attributes")


def milliseconds(seconds: float, argument: str) -> int:
    """Rounded up: a wait of next to nothing is not none."""
    if not math.isfinite(seconds):
        raise invalid(argument, "is no time")
    return math.ceil(seconds * 1000)


def options(timeout: float | None, **more: Any) -> Any:
    """A JSON object of those that were given."""
    given = {name: option for name, option in more.items() if option is not None}
    if timeout is not None:
        given["timeout_ms"] = milliseconds(timeout, "timeout")
    return value(given, "options", own_json) if given else ffi.NULL


# What each call needs is looked up once.
_OUT = ffi.typeof("char **")
_string, _free, _quoted = ffi.string, lib.pusher_string_free, json.encoder.encode_basestring


def place() -> Any:
    """Where a call's document goes."""
    return ffi.new(_OUT)


def answer(status: int, out: Any, decode: Decode) -> Any:
    """What a call has come to: its result, or the exception that it raises."""
    document = take(out)
    if status:
        # Without a document, memory has run out for that as well.
        error = json.loads(document)["error"] if document else {}
        raise _of(status, error)
    return decode(document) if document else None


def signature(status: int, out: Any, member: str, data: bytes | None) -> Any:
    """The same for a signature: `{"auth":…}`, and perhaps more.

    What is as expected needs no parser, which would take longer than to sign. A decoder of the caller's has no part in it.
    """
    if status:
        return answer(status, out, json.loads)
    document = take(out)
    # Neither a key nor a hexadecimal number has an escape in it.
    if data is None:
        auth = document[9:-2]
        if '"' not in auth:
            return {"auth": auth}
    else:
        auth, given = document[9 : document.find('"', 9)], data.decode()
        if document == f'{{"auth":"{auth}","{member}":{_quoted(given)}}}':
            return {"auth": auth, member: given}
    return json.loads(document)


def take(out: Any) -> str:
    """The text that a call has written, freed; an empty one where it has written none."""
    pointer = out[0]
    if not pointer:
        return ""
    try:
        return _string(pointer).decode()  # type: ignore[no-any-return]
    finally:
        _free(pointer)
