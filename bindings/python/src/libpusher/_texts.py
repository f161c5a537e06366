"""Converts native values to C strings, and documents to native values.

A NUL ends a C string: the rest would be neither sent nor signed, so strings with a NUL are refused. In JSON a NUL is an
escape, and harmless.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from libpusher._library import ffi, lib
from libpusher.errors import InvalidArgument, Status, _of

# A JSON encoder's `encode`. The caller's values may have any type.
Encode = Callable[[Any], str]
# Decodes the library's JSON.
Decode = Callable[[str], Any]


def encoder(cls: type[json.JSONEncoder] | None) -> Encode:
    """Returns an encoder of compact JSON, because payloads are limited in size. It refuses values that JSON lacks."""
    made = (cls or json.JSONEncoder)(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    compiled = getattr(json.encoder, "c_make_encoder", None)
    if cls or compiled is None:
        return made.encode
    # `encode` would make one of these per call, which costs more than signing. Without markers, a cycle is a RecursionError.
    chunks = compiled(None, made.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


def decoder(cls: type[json.JSONDecoder] | None) -> Decode:
    return (cls or json.JSONDecoder)().decode


# For the library's own values, independent of the caller's encoder.
own_json = encoder(None)


def invalid(argument: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        Status.INVALID_ARGUMENT,
        {"status": "INVALID_ARGUMENT", "message": f"{argument}: {what}", "delivery": "not_sent", "argument": argument},
    )


def text(value: str, argument: str) -> bytes:
    """Converts a string for C."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise invalid(argument, "has a lone surrogate, which UTF-8 cannot represent") from None
    if b"\0" in encoded:
        raise invalid(argument, "has a NUL")
    return encoded


def optional(value: str | None, argument: str) -> Any:
    return ffi.NULL if value is None else text(value, argument)


def value(value: Any, argument: str, encode: Encode) -> bytes:
    """Encodes a value of the caller as JSON."""
    try:
        encoded = encode(value).encode()
    except (ValueError, RecursionError) as error:
        # NaN, a lone surrogate, a cycle. A type that JSON lacks raises a TypeError, which stays one.
        raise invalid(argument, f"cannot be written as JSON: {error}") from error
    # JSON contains no NUL, but the output of the caller's encoder may.
    if b"\0" in encoded:
        raise invalid(argument, "has a NUL outside of a JSON string's escapes")
    return encoded


def channels(names: str | Iterable[str]) -> bytes:
    """Converts one name, or several to a JSON array."""
    if isinstance(names, str):
        encoded = text(names, "channels")
        # C parses a string that begins with a bracket as an array: a name from outside must not become several names.
        return value([names], "channels", own_json) if b"[" in encoded else encoded
    if isinstance(names, (bytes, Mapping)):
        raise TypeError(f"channels must be a str or a list of them, not {type(names).__name__}")
    listed = list(names)
    for place, name in enumerate(listed):
        text(name, f"channels[{place}]")
    return value(listed, "channels", own_json)


def attributes(names: str | Iterable[str] | None) -> Any:
    """Joins the names with commas, as the API takes them."""
    if not names:
        return ffi.NULL
    return text(names if isinstance(names, str) else ",".join(names), "attributes")


def milliseconds(seconds: float, argument: str) -> int:
    """Rounds up, so that a very short wait is not 0."""
    if not math.isfinite(seconds):
        raise invalid(argument, "is not a valid time")
    return math.ceil(seconds * 1000)


def options(timeout: float | None, **more: Any) -> Any:
    """Makes a JSON object of the options that are set."""
    given = {name: option for name, option in more.items() if option is not None}
    if timeout is not None:
        given["timeout_ms"] = milliseconds(timeout, "timeout")
    return value(given, "options", own_json) if given else ffi.NULL


# Look these up once: each call uses them.
_OUT = ffi.typeof("char **")
_string, _free, _quoted = ffi.string, lib.pusher_string_free, json.encoder.encode_basestring


def place() -> Any:
    """Makes a place for a call's document."""
    return ffi.new(_OUT)


def answer(status: int, out: Any, decode: Decode) -> Any:
    """Returns a call's result, or raises its exception."""
    document = take(out)
    if status:
        # There is no document if memory ran out.
        error = json.loads(document)["error"] if document else {}
        raise _of(status, error)
    return decode(document) if document else None


def signature(status: int, out: Any, member: str, data: bytes | None) -> Any:
    """Returns the result of a signature: `{"auth":…}`, possibly with more members.

    The usual form needs no parser, which would take longer than signing. The caller's decoder is not used.
    """
    if status:
        return answer(status, out, json.loads)
    document = take(out)
    # Neither a key nor a hexadecimal number contains an escape.
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
    """Copies and frees the string that a call wrote; an empty string if it wrote none."""
    pointer = out[0]
    if not pointer:
        return ""
    try:
        return _string(pointer).decode()  # type: ignore[no-any-return]
    finally:
        _free(pointer)
