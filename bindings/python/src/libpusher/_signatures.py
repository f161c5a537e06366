"""The calls that need no network: signatures and webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from libpusher import _texts
from libpusher._library import ffi, lib
from libpusher.errors import InvalidArgument, WebhookInvalid


class Signatures:
    """The calls of a client that need no network."""

    _handle: Any
    _encode: _texts.Encode
    _decode: _texts.Decode

    def authenticate(self, channel: str | bytes, socket_id: str | bytes, custom_data: Any = None) -> dict[str, str]:
        """Authorizes a connection to subscribe to a channel. Your authorization endpoint returns the result as JSON. No network.

        Authorize only after you checked that the user may see the channel.

        :param channel: a `private-` or `presence-` channel.
        :param socket_id: the connection's id, such as `"1234.5678"`.
        :param custom_data: for a presence channel `{"user_id": …, "user_info": {…}}`.
        :returns: `{"auth": …}`, with `channel_data`, and for an encrypted channel `shared_secret`.
        """
        data = None if custom_data is None else _texts.value(custom_data, "channel_data", self._encode)
        out = _texts.place()
        status = lib.pusher_authenticate(
            self._handle,
            _texts.text(channel, "channel"),
            _texts.text(socket_id, "socket_id"),
            ffi.NULL if data is None else data,
            out,
        )
        result: dict[str, str] = _texts.signature(status, out, "channel_data", data)
        return result

    def authenticate_channels(
        self, socket_id: str | bytes, channels: Iterable[str | bytes | Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Authorizes several subscriptions of one connection. Your endpoint returns the result to a batch authorizer. No network.

        Authorize only channels that the user may see, and leave out the others. An invalid channel does not affect the others.

        :param channels: at most 100 names, or `{"channel": …, "channel_data": …}`; the data is an object, or a str of JSON.
        :returns: for each channel `{"status": 200, "data": {"auth": …}}` or `{"status": 400, "error": {…}}`.
        """
        if isinstance(channels, (str, bytes, Mapping)):
            raise TypeError(f"channels must be a list, not {type(channels).__name__}")
        listed = [
            _texts.members(channel, ("channel",))
            if isinstance(channel, Mapping)
            else _texts.string(channel, f"channels[{place}]")
            for place, channel in enumerate(channels)
        ]
        out = _texts.place()
        status = lib.pusher_authenticate_channels(
            self._handle, _texts.text(socket_id, "socket_id"), _texts.value(listed, "channels", self._encode), out
        )
        result: dict[str, Any] = json.loads(_texts.answer(status, out))
        return result

    def authenticate_user(self, socket_id: str | bytes, user_data: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Signs a user in on a connection. Your user authentication endpoint returns the result as JSON. No network.

        :param user_data: required: has an `id`, a non-empty str, and any other members.
        :returns: `{"auth": …, "user_data": …}`.
        """
        data = _texts.value(user_data, "user_data", self._encode)
        out = _texts.place()
        status = lib.pusher_authenticate_user(self._handle, _texts.text(socket_id, "socket_id"), data, out)
        result: dict[str, str] = _texts.signature(status, out, "user_data", data)
        return result

    def validate_webhook(
        self, key: str | bytes | None, signature: str | bytes | None, body: bytes | bytearray | memoryview | str
    ) -> dict[str, Any] | None:
        """Validates a webhook and returns it: `{"time_ms": …, "events": [{…}]}`. No network.

        :param key: the request's `X-Pusher-Key` header, None if it has none.
        :param signature: the request's `X-Pusher-Signature` header, None if it has none.
        :param body: the request's raw body, before anything decodes it.
        :returns: None if the webhook is not authentic, or too old: respond with 401.
        """
        try:
            return self.validate_webhook_or_raise(key, signature, body)
        except WebhookInvalid:
            return None
        except InvalidArgument as error:
            # A header or a body that cannot be a string comes from outside, too.
            if error.argument in ("key", "signature", "body"):
                return None
            raise

    def validate_webhook_or_raise(
        self, key: str | bytes | None, signature: str | bytes | None, body: bytes | bytearray | memoryview | str
    ) -> dict[str, Any]:
        """Does the same, and raises an exception that says why a webhook is not valid.

        :raises WebhookInvalid: it is not authentic, or too old. Respond with 401.
        :raises InvalidArgument: a header or the body contains a NUL or is not UTF-8.
        """
        if isinstance(body, str):
            raw = _texts.encoded(body, "body")
        elif isinstance(body, (bytes, bytearray, memoryview)):
            raw = bytes(body)
        else:
            raise TypeError(f"body must be bytes or a str, not {type(body).__name__}")
        out = _texts.place()
        status = lib.pusher_validate_webhook(
            self._handle, _texts.optional(key, "key"), _texts.optional(signature, "signature"), raw, len(raw), out
        )
        result: dict[str, Any] = _texts.webhook(status, out, self._decode)
        return result
