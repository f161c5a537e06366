"""Converts native values to C strings, and documents to native values.

A NUL ends a C string: the rest would be neither sent nor signed, so strings with a NUL are refused. In JSON a NUL is an
escape, and harmless.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from libpusher._library import ffi, lib
from libpusher.errors import BadResponse, InvalidArgument, InvalidConfig, PusherError, Status, WebhookInvalid, _of

# A JSON encoder's `encode`. The caller's values may have any type.
Encode = Callable[[Any], str]
# Decodes the library's JSON.
Decode = Callable[[str], Any]

# For failures that must not fail a call.
_LOG = logging.getLogger("libpusher")

_SURROGATE = "has a lone surrogate, which UTF-8 cannot represent"
# The escape of a surrogate: half of a pair, or alone.
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def encoder(cls: type[json.JSONEncoder] | None) -> Encode:
    """Returns an encoder of compact JSON, because payloads are limited in size. It refuses values that JSON lacks."""
    made = (cls or json.JSONEncoder)(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    compiled = getattr(json.encoder, "c_make_encoder", None)
    if cls:
        return lambda value: _whole(made.encode(value))
    if compiled is None:
        return made.encode
    # `encode` would make one of these per call, which costs more than signing. Without markers, a cycle is a RecursionError.
    chunks = compiled(None, made.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


def _whole(encoded: str) -> str:
    """Returns the output of the caller's encoder, which may write a lone surrogate as an escape."""
    if _ESCAPED_SURROGATE.search(encoded):
        json.dumps(json.loads(encoded), ensure_ascii=False).encode()
    return encoded


def decoder(cls: type[json.JSONDecoder] | None) -> Decode:
    return (cls or json.JSONDecoder)().decode


# For the library's own values, independent of the caller's encoder.
own_json = encoder(None)


def invalid(argument: str, what: str) -> InvalidArgument:
    return InvalidArgument(Status.INVALID_ARGUMENT, _document(Status.INVALID_ARGUMENT, argument, what))


def invalid_config(argument: str, what: str) -> InvalidConfig:
    return InvalidConfig(Status.INVALID_CONFIG, _document(Status.INVALID_CONFIG, argument, what))


def _document(status: Status, argument: str, what: str) -> dict[str, str]:
    return {"status": status.name, "message": f"{argument}: {what}", "delivery": "not_sent", "argument": argument}


def string(value: str | bytes, argument: str) -> str:
    """Returns a string that the caller gave as str, or in UTF-8 as bytes."""
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass
    raise invalid(argument, "is not UTF-8")


def setting(value: str | bytes, name: str) -> str:
    """Returns a string of the configuration."""
    try:
        # A lone surrogate cannot be encoded.
        return string(value, name).encode().decode()
    except ValueError:
        pass
    raise invalid_config(name, "is not UTF-8")


def encoded(value: str, argument: str) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        pass
    # Raised here, because the other exception holds the string, which may be a secret.
    raise invalid(argument, _SURROGATE)


def text(value: str | bytes, argument: str) -> bytes:
    """Converts a string for C."""
    made = encoded(value if isinstance(value, str) else string(value, argument), argument)
    if b"\0" in made:
        raise invalid(argument, "has a NUL")
    return made


def optional(value: str | bytes | None, argument: str) -> Any:
    return ffi.NULL if value is None else text(value, argument)


def value(value: Any, argument: str, encode: Encode) -> bytes:
    """Encodes a value of the caller as JSON."""
    encoded, problem = b"", ""
    try:
        encoded = encode(value).encode()
    except UnicodeEncodeError:
        problem = _SURROGATE
    except (ValueError, RecursionError) as error:
        # NaN, a cycle. A type that JSON lacks raises a TypeError, which stays one.
        problem = f"cannot be written as JSON: {error}"
    if problem:
        raise invalid(argument, problem)
    # JSON contains no NUL, but the output of the caller's encoder may.
    if b"\0" in encoded:
        raise invalid(argument, "has a NUL outside of a JSON string's escapes")
    return encoded


def channels(names: str | bytes | Iterable[str | bytes]) -> bytes:
    """Converts one name, or several to a JSON array."""
    if isinstance(names, (str, bytes)):
        encoded = text(names, "channels")
        # C parses a string that begins with a bracket as an array: a name from outside must not become several names.
        return value([encoded.decode()], "channels", own_json) if b"[" in encoded else encoded
    if isinstance(names, Mapping):
        raise TypeError(f"channels must be a str or a list of them, not {type(names).__name__}")
    listed = [text(name, f"channels[{place}]").decode() for place, name in enumerate(names)]
    return value(listed, "channels", own_json)


def attributes(names: str | bytes | Iterable[str | bytes] | None) -> Any:
    """Joins the names with commas, as the API takes them."""
    if not names:
        return ffi.NULL
    if isinstance(names, (str, bytes)):
        return text(names, "attributes")
    return text(",".join(string(name, "attributes") for name in names), "attributes")


def milliseconds(seconds: float, argument: str) -> int:
    """Rounds up, so that a very short wait is not 0."""
    if not math.isfinite(seconds):
        raise invalid(argument, "is not a valid time")
    return math.ceil(seconds * 1000)


def options(timeout: float | None, **more: Any) -> Any:
    """Makes a JSON object of the options that are set."""
    given = {name: _native(option, name) for name, option in more.items() if option is not None}
    if timeout is not None:
        given["timeout_ms"] = milliseconds(timeout, "timeout")
    return value(given, "options", own_json) if given else ffi.NULL


def _native(option: Any, name: str) -> Any:
    return string(option, name) if isinstance(option, bytes) else option


def members(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Copies an object of the caller, with those members as str that may be bytes."""
    return {name: _native(option, name) if name in names else option for name, option in given.items()}


# Look these up once: each call uses them.
_OUT = ffi.typeof("char **")
_string, _free, _quoted = ffi.string, lib.pusher_string_free, json.encoder.encode_basestring


def made(pointer: Any) -> Any:
    """Returns a pointer that is NULL only if memory ran out."""
    if pointer == ffi.NULL:
        raise MemoryError
    return pointer


def place() -> Any:
    """Makes a place for a call's document."""
    return ffi.new(_OUT)


def answer(status: int, out: Any) -> str:
    """Returns a call's document, or raises its exception."""
    document = take(out)
    if status:
        # There is no document if memory ran out.
        error = loads(document)["error"] if document else {}
        raise _of(status, error)
    return document


# The calls that change nothing.
_QUERIES = {"channels_info", "channel_info", "users_info", "get"}


def response(call: str, status: int, out: Any, decode: Decode) -> Any:
    """Returns the server's response to a call, or raises the call's exception.

    Python cannot read JSON that is nested too deeply or has a number that is too long, and the caller's decoder may refuse more.
    That must not look like a failure of a call that has delivered an event, or the caller would retry it.
    """
    document = answer(status, out)
    try:
        return decode(document) if document else None
    except Exception as error:
        failure = error
    if call in _QUERIES:
        raise _unreadable(BadResponse, Status.BAD_RESPONSE, "response", failure) from failure
    _LOG.error("%s succeeded, but its response cannot be decoded", call, exc_info=failure)
    return loads(document)


# How deep JSON may be nested, and how long an integer may be, for Python to read it without trouble.
_MAX_DEPTH, _MAX_DIGITS = 100, 4000
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def loads(document: str) -> Any:
    """Reads the library's own JSON, parts of which may come from a server.

    What is nested too deeply becomes None, and an integer that is too long a float.
    """
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        pass
    kept, start, depth = [], 0, 0
    for found in _BRACKETS.finditer(document):
        if found[0] in "[{":
            depth += 1
            if depth == _MAX_DEPTH:
                kept.append(document[start : found.start()] + "null")
        elif found[0] in "]}":
            depth -= 1
            if depth == _MAX_DEPTH - 1:
                start = found.end()
    kept.append(document[start:])
    return json.loads("".join(kept), parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else float(digits))


def webhook(status: int, out: Any, decode: Decode) -> Any:
    """Returns the webhook, or raises the exception of its validation."""
    document = answer(status, out)
    try:
        return decode(document)
    except Exception as error:
        raise _unreadable(WebhookInvalid, Status.WEBHOOK_INVALID, "webhook", error) from error


def _unreadable(kind: type[PusherError], status: Status, what: str, error: Exception) -> PusherError:
    cause = f"{type(error).__name__}: {error}"
    return kind(
        status, {"status": status.name, "message": f"the {what} is JSON that cannot be decoded: {cause}", "retryable": False}
    )


def signature(status: int, out: Any, member: str, data: bytes | None) -> Any:
    """Returns the result of a signature: `{"auth":…}`, possibly with more members.

    The usual form needs no parser, which would take longer than signing. The caller's decoder is not used.
    """
    document = answer(status, out)
    # Neither a key nor a hexadecimal number contains an escape.
    if data is None:
        auth = document[9:-2]
        if '"' not in auth:
            return {"auth": auth}
    else:
        auth, given = document[9 : document.find('"', 9)], data.decode()
        if document == f'{{"auth":"{auth}","{member}":{_quoted(given)}}}':
            return {"auth": auth, member: given}
    result = json.loads(document)
    if "shared_secret" in result:
        result["shared_secret"] = SharedSecret(result["shared_secret"])
    return result


class SharedSecret(str):
    """A str, because the result is sent as JSON. Programs for the package `pusher` have bytes, and decode them."""

    __slots__ = ()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Returns the str."""
        return str(self)


def take(out: Any) -> str:
    """Copies and frees the string that a call wrote; an empty string if it wrote none."""
    pointer = out[0]
    if not pointer:
        return ""
    try:
        return _string(pointer).decode()  # type: ignore[no-any-return]
    finally:
        _free(pointer)
