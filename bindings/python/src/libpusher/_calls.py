"""The calls that use the network. The client sends them, or the caller does after preparing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypedDict, TypeVar

from libpusher import _texts
from libpusher._library import ffi

T = TypeVar("T")


class _Event(TypedDict):
    channel: str | bytes
    name: str | bytes
    data: Any


class Event(_Event, total=False):
    """An event of a batch."""

    socket_id: str | bytes | None
    info: str | bytes | None
    extra: Mapping[str, Any] | None
    extra_in_clear: bool | None


class Calls(Generic[T]):
    """Names and arguments are those of the package `pusher`; arguments after the `*` are new.

    Names and ids may be bytes in UTF-8, as there. `timeout` is in seconds and limits all attempts together.
    """

    _encode: _texts.Encode

    def _send(self, call: str, *texts: Any) -> T:
        raise NotImplementedError

    def trigger(
        self,
        channels: str | bytes | Iterable[str | bytes],
        event_name: str | bytes,
        data: Any,
        socket_id: str | bytes | None = None,
        *,
        info: str | bytes | None = None,
        idempotency_key: str | None = None,
        fan_out: bool = False,
        extra: Mapping[str, Any] | None = None,
        extra_in_clear: bool | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Publishes an event on one or more channels.

        :param channels: one name, or a list of 1 to 100 of them. An event on a `private-encrypted-` channel is encrypted
            first, and can only be triggered on that one. With `fan_out`, up to 10,000 of any kind.
        :param event_name: 1 to 200 characters.
        :param data: the payload, any JSON value; a str is sent as its content. At most 10,240 bytes.
        :param socket_id: excludes this connection.
        :param info: attributes of the channels to return, such as `"user_count,subscription_count"`.
        :param idempotency_key: makes a server that knows it answer as before and publish nothing. Never use a key for
            another event.
        :param headers: headers to add to the request, such as `traceparent`.
        :param fan_out: sends as many requests as the channels need. `PartiallyDelivered` says if they ended differently.
        :param extra: more members of the event, which only some servers know, such as `{"tags": {…}}`.
        :param extra_in_clear: sends `extra` to an encrypted channel, too, where it is not encrypted.
        :returns: the server's response: `{}`, or with `info` `{"channels": {…}}`. The event was delivered.
        """
        return self._send(
            "trigger",
            _texts.channels(channels),
            _texts.text(event_name, "event"),
            _texts.value(data, "data", self._encode),
            _texts.options(
                timeout,
                headers=_object(headers),
                socket_id=socket_id,
                info=info,
                idempotency_key=idempotency_key,
                extra=_object(extra),
                extra_in_clear=extra_in_clear,
                fan_out=fan_out or None,
            ),
        )

    def trigger_batch(
        self,
        batch: Iterable[Event] = (),
        already_encoded: bool = False,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Publishes several events in one request.

        A batch is not atomic: a server that refuses one of its events may have delivered those before it.

        :param batch: 1 to 10 of `{"channel", "name", "data"}`, with optional `socket_id` and `info`.
        :param already_encoded: promises that each `data` is a str. A str is sent as its content in any case.
        :param idempotency_key: that of the whole batch, as for `trigger`.
        """
        events = [_event(event, already_encoded) for event in batch]
        return self._send(
            "trigger_batch",
            _texts.value(events, "events", self._encode),
            _texts.options(timeout, headers=_object(headers), idempotency_key=idempotency_key),
        )

    def send_to_user(
        self,
        user_id: str | bytes,
        event_name: str | bytes,
        data: Any,
        *,
        socket_id: str | bytes | None = None,
        info: str | bytes | None = None,
        idempotency_key: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Publishes an event to all connections of a user who has signed in (`authenticate_user`)."""
        return self._send(
            "send_to_user",
            _texts.text(user_id, "user_id"),
            _texts.text(event_name, "event"),
            _texts.value(data, "data", self._encode),
            _texts.options(
                timeout,
                headers=_object(headers),
                socket_id=socket_id,
                info=info,
                idempotency_key=idempotency_key,
                extra=_object(extra),
            ),
        )

    def terminate_user_connections(self, user_id: str | bytes, *, timeout: float | None = None) -> T:
        """Closes all connections of a user who has signed in."""
        return self._send("terminate_user_connections", _texts.text(user_id, "user_id"), _texts.options(timeout))

    def channels_info(
        self,
        prefix_filter: str | bytes | None = None,
        attributes: str | bytes | Iterable[str | bytes] | None = None,
        *,
        timeout: float | None = None,
    ) -> T:
        """Returns the occupied channels: `{"channels": {NAME: {…}}}`.

        :param prefix_filter: only channels whose names begin with this, such as `"presence-"`.
        :param attributes: attributes of each channel to return, such as `["user_count"]`.
        """
        return self._send(
            "channels_info",
            _texts.optional(prefix_filter or None, "prefix_filter"),
            _texts.attributes(attributes),
            _texts.options(timeout),
        )

    def channel_info(
        self, channel: str | bytes, attributes: str | bytes | Iterable[str | bytes] | None = None, *, timeout: float | None = None
    ) -> T:
        """Returns the state of a channel: `{"occupied": True, …}`.

        :param attributes: attributes to return, such as `["user_count", "subscription_count"]`.
        """
        return self._send("channel_info", _texts.text(channel, "channel"), _texts.attributes(attributes), _texts.options(timeout))

    def users_info(
        self, channel: str | bytes, *, params: Mapping[str, str | int | bool] | None = None, timeout: float | None = None
    ) -> T:
        """Returns the users on a presence channel: `{"users": [{"id": …}]}`.

        :param params: the query, such as soketi's `{"with_user_info": 1}`.
        """
        return self._send("users_info", _texts.text(channel, "channel"), _texts.options(timeout, params=_object(params)))

    def get(self, path: str, params: Mapping[str, str | int | bool] | None = None, *, timeout: float | None = None) -> T:
        """Sends a GET request to any path below `/apps/APP_ID`, such as `"/channels"`."""
        return self._send("get", _texts.text(path, "path"), _params(params), _texts.options(timeout))

    def post(
        self,
        path: str,
        params: Mapping[str, str | int | bool] | None = None,
        body: Any = None,
        *,
        timeout: float | None = None,
    ) -> T:
        """Sends a POST request to any path below `/apps/APP_ID`, such as `"/events"`. Without a body it sends `{}`."""
        encoded = ffi.NULL if body is None else _texts.value(body, "body", self._encode)
        return self._send("post", _texts.text(path, "path"), _params(params), encoded, _texts.options(timeout))

    def delete(self, path: str, params: Mapping[str, str | int | bool] | None = None, *, timeout: float | None = None) -> T:
        """Sends a DELETE request without a body to any path below `/apps/APP_ID`."""
        return self._send("delete", _texts.text(path, "path"), _params(params), _texts.options(timeout))


def _object(members: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if members is None else dict(members)


def _params(params: Mapping[str, Any] | None) -> Any:
    return ffi.NULL if params is None else _texts.value(dict(params), "params", _texts.own_json)


def _event(event: Event, already_encoded: bool) -> dict[str, Any]:
    if already_encoded and not isinstance(event.get("data"), str):
        raise TypeError("with already_encoded, each event's data must be a str")
    # None means that an option is not set.
    given = {name: value for name, value in event.items() if value is not None or name == "data"}
    return _texts.members(given, ("channel", "name", "socket_id", "info"))
