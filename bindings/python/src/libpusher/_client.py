"""A client of one Channels application."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from libpusher import _texts
from libpusher._calls import Calls
from libpusher._hooks import Transport, keep_log, keep_transport
from libpusher._library import ffi, lib
from libpusher._publisher import Publisher, PublisherConfig
from libpusher._request import PreparedRequest

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

# A logger, or a function of a level of `logging`, a message, and a mapping of fields.
Log = logging.Logger | Callable[[int, str, dict[str, Any]], None]


class Retry(TypedDict, total=False):
    """Configures retries."""

    mode: str
    """`"safe"`, `"never"` or `"at_least_once"`."""
    max_attempts: int
    ratio: float
    """The share of the calls that may be retried, beyond the first ten retries: 0.1; 1 for no limit."""


class WebhookToken(TypedDict):
    """An additional key for webhooks."""

    key: str
    secret: str


class Config(TypedDict, total=False):
    """Configuration keys without their own argument; pusher.h describes each."""

    server: str
    """The kind of server: `"pusher"`, or another of docs/servers.md. Sets the defaults of other keys."""
    scheme: str
    """`"https"` or `"http"`, in place of `ssl`, in any case of its letters. An error if `ssl` says otherwise."""
    path: str
    """A prefix of the API's path, where a self-hosted server has one."""
    sign_path_prefix: bool
    """False where a proxy strips that prefix."""
    timeout_ms: int
    """Per call in all: 5000. The argument `timeout` is the same in seconds."""
    attempt_timeout_ms: int
    """Per attempt of a call: none."""
    connect_timeout_ms: int
    """To connect: 3000."""
    retry: Retry
    """`{"mode": "safe", "max_attempts": 3}`."""
    idempotency: str
    """`"auto"` gives each request that publishes a key; `"off"` does not."""
    server_deduplicates: bool
    """The server publishes a request with a key only once, so that results that are `unknown` are retried."""
    idempotency_window_ms: int
    """How long the server remembers a key: 120,000."""
    clock_correction: bool
    max_idle_connections: int
    idle_timeout_ms: int
    max_connection_age_ms: int
    """How long to reuse a connection: 300,000."""
    unix_socket: str
    headers: Mapping[str, str]
    """The path of a Unix domain socket to connect to."""
    proxy: str
    """`http://USER:PASSWORD@HOST:PORT`; `"env"` takes the environment's."""
    ca_file: str
    """PEM certificates to trust instead of the system's."""
    extra_ca_file: str
    """PEM certificates to trust besides the system's, or those of `ca_file`."""
    client_certificate_file: str
    """PEM file of the client's own certificate, for servers that require one."""
    client_key_file: str
    """PEM file of its private key."""
    tls_roots: str
    """`"system"`, `"bundled"` or `"both"`."""
    webhook_tokens: list[WebhookToken]
    webhook_max_age_ms: int
    """How old a webhook may be: 600,000; 0 for any age."""
    max_data_bytes: int
    max_batch_events: int
    max_channels: int
    max_request_bytes: int
    """The limit of a request, head and body: none."""
    max_response_bytes: int
    batch_route: bool | str
    """Whether the server has the route for batches: `True`, `False` or `"auto"`. By `server`."""
    channel_characters: str
    """Characters that channel names may have beside Pusher's: `":"`, `"#"` or `":#"`. By `server`."""
    log_level: str
    """For `log`: `"error"`, `"warn"`, `"info"` or `"debug"`."""


class _Options(TypedDict, total=False):
    json_encoder: type[json.JSONEncoder] | None
    json_decoder: type[json.JSONDecoder] | None
    log: Log | None
    transport: Transport | None


class _UrlOptions(Config, _Options, total=False):
    """The options of from_url() and from_env()."""

    cluster: str
    host: str
    port: int
    ssl: bool
    encryption_master_key_base64: str


class Pusher(Calls[dict[str, Any]]):
    """A client of one Channels application.

    Any number of threads may use a client at the same time; a call lets other threads run while it waits. A forked child may use
    its parent's client, which then makes its own connections. No connection is made before the first call.

    A call that fails raises a `libpusher.errors.PusherError`, whose `delivery` says whether the event may have been delivered.
    """

    def __init__(
        self,
        app_id: str | int,
        key: str,
        secret: str,
        ssl: bool | None = None,
        host: str | None = None,
        port: int | None = None,
        timeout: float | None = None,
        cluster: str | None = None,
        *,
        encryption_master_key_base64: str | None = None,
        json_encoder: type[json.JSONEncoder] | None = None,
        json_decoder: type[json.JSONDecoder] | None = None,
        log: Log | None = None,
        transport: Transport | None = None,
        **config: Unpack[Config],
    ) -> None:
        """
        :param ssl: whether to use TLS: by default, unless `unix_socket` is set. Certificates are always verified.
        :param host: your own server, instead of a cluster.
        :param timeout: the time limit of a whole call, including retries, in seconds; 5 by default.
        :param cluster: such as `"eu"`; `"mt1"` by default.
        :param encryption_master_key_base64: 32 bytes, for `private-encrypted-` channels.
        :param json_encoder: a class that encodes payloads, instead of `json.JSONEncoder`.
        :param json_decoder: a class that decodes responses and webhooks, instead of `json.JSONDecoder`.
        :param log: receives log messages down to `log_level`.
        :param transport: sends requests, instead of the library.
        :param config: see `Config`.
        """
        given: dict[str, Any] = {
            "app_id": app_id,
            "key": key,
            "secret": secret,
            "ssl": ssl,
            "host": host,
            "port": port,
            "cluster": cluster,
            "encryption_master_key_base64": encryption_master_key_base64,
        }
        if timeout is not None:
            given["timeout_ms"] = _texts.milliseconds(timeout, "timeout")
        given = {name: value for name, value in given.items() if value is not None}
        self._open({**given, **config}, json_encoder, json_decoder, log, transport)

    @classmethod
    def from_url(cls, url: str, *, timeout: float | None = None, **options: Unpack[_UrlOptions]) -> Self:
        """Makes a client from `https://KEY:SECRET@HOST/apps/APP_ID`. The options override its parts."""
        _texts.text(url, "config")
        return cls._from({"url": url}, timeout, dict(options))

    @classmethod
    def from_env(cls, env: str = "PUSHER_URL", *, timeout: float | None = None, **options: Unpack[_UrlOptions]) -> Self:
        """Makes a client from the URL in an environment variable.

        Without `PUSHER_URL` it reads `PUSHER_APP_ID`, `PUSHER_KEY`, `PUSHER_SECRET`, `PUSHER_CLUSTER`, `PUSHER_HOST`,
        `PUSHER_PORT` and `PUSHER_SCHEME`, and then accepts no configuration options.

        `from_env(server="reverb")` reads `REVERB_APP_ID`, `REVERB_APP_KEY`, `REVERB_APP_SECRET`, `REVERB_HOST`, `REVERB_PORT`
        and `REVERB_SCHEME` instead. The options override them.
        """
        if env == "PUSHER_URL" and options.get("server") == "reverb":
            return cls._from({}, timeout, dict(options))
        url = os.environ.get(env)
        if url:
            return cls.from_url(url, timeout=timeout, **options)
        if env != "PUSHER_URL":
            raise KeyError(f"there is no environment variable {env}")
        return cls._from(None, timeout, dict(options))

    @classmethod
    def _from(cls, source: dict[str, Any] | None, timeout: float | None, options: dict[str, Any]) -> Self:
        own = [options.pop(name, None) for name in ("json_encoder", "json_decoder", "log", "transport")]
        if timeout is not None:
            options["timeout_ms"] = _texts.milliseconds(timeout, "timeout")
        if source is None and options:
            raise TypeError(
                f"without PUSHER_URL the environment is the whole configuration: {', '.join(options)} cannot be added"
            )
        client = cls.__new__(cls)
        client._open(None if source is None else {**source, **options}, *own)
        return client

    def _open(
        self,
        config: dict[str, Any] | None,
        json_encoder: type[json.JSONEncoder] | None,
        json_decoder: type[json.JSONDecoder] | None,
        log: Log | None,
        transport: Transport | None,
    ) -> None:
        # Do not keep the configuration, so that no attribute, traceback or dump of this object contains the secret.
        self._handle: Any = ffi.NULL
        self._encode = _texts.encoder(json_encoder)
        self._decode = _texts.decoder(json_decoder)
        text = ffi.NULL if config is None else _texts.value(config, "config", _texts.own_json)
        handle, out = ffi.new("Pusher **"), _texts.place()
        _texts.answer(lib.pusher_new(text, handle, out), out, self._decode)
        # Freed with its last reference: calls that are running in other threads hold one too.
        self._handle = ffi.gc(handle[0], lib.pusher_free)
        # The library holds only the addresses of the returned objects: they must live as long as the handle.
        self._hooks = [
            keep_log(self._handle, log) if log else None,
            keep_transport(self._handle, transport) if transport else None,
        ]

    def close(self) -> None:
        """Closes the idle connections, after the running calls of other threads. Otherwise the object's end closes them.

        Publishers and prepared requests continue.
        """
        self._handle = ffi.NULL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _send(self, call: str, *texts: Any) -> dict[str, Any]:
        out = _texts.place()
        result: dict[str, Any] = _texts.answer(getattr(lib, "pusher_" + call)(self._handle, *texts, out), out, self._decode)
        return result

    def authenticate(self, channel: str, socket_id: str, custom_data: Any = None) -> dict[str, str]:
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

    def authenticate_channels(self, socket_id: str, channels: Iterable[str | Mapping[str, Any]]) -> dict[str, Any]:
        """Authorizes several subscriptions of one connection. Your endpoint returns the result to a batch authorizer. No network.

        Authorize only channels that the user may see, and leave out the others. An invalid channel does not affect the others.

        :param channels: at most 100 names, or `{"channel": …, "channel_data": …}`; the data is an object, or a str of JSON.
        :returns: for each channel `{"status": 200, "data": {"auth": …}}` or `{"status": 400, "error": {…}}`.
        """
        if isinstance(channels, (str, bytes, Mapping)):
            raise TypeError(f"channels must be a list, not {type(channels).__name__}")
        out = _texts.place()
        status = lib.pusher_authenticate_channels(
            self._handle,
            _texts.text(socket_id, "socket_id"),
            _texts.value(list(channels), "channels", self._encode),
            out,
        )
        result: dict[str, Any] = _texts.answer(status, out, json.loads)
        return result

    def authenticate_user(self, socket_id: str, user_data: Mapping[str, Any]) -> dict[str, str]:
        """Signs a user in on a connection. Your user authentication endpoint returns the result as JSON. No network.

        :param user_data: has an `id`, a non-empty str, and any other members.
        :returns: `{"auth": …, "user_data": …}`.
        """
        data = _texts.value(user_data, "user_data", self._encode)
        out = _texts.place()
        status = lib.pusher_authenticate_user(self._handle, _texts.text(socket_id, "socket_id"), data, out)
        result: dict[str, str] = _texts.signature(status, out, "user_data", data)
        return result

    def validate_webhook(self, key: str | None, signature: str | None, body: bytes | str) -> dict[str, Any]:
        """Validates a webhook and returns it: `{"time_ms": …, "events": [{…}]}`. No network.

        :param key: the request's `X-Pusher-Key` header, None if it has none.
        :param signature: the request's `X-Pusher-Signature` header, None if it has none.
        :param body: the request's raw body, before anything decodes it.
        :raises WebhookInvalid: it is not authentic, or too old. Respond with 401.
        """
        raw = body.encode() if isinstance(body, str) else bytes(body)
        out = _texts.place()
        status = lib.pusher_validate_webhook(
            self._handle, _texts.optional(key, "key"), _texts.optional(signature, "signature"), raw, len(raw), out
        )
        result: dict[str, Any] = _texts.answer(status, out, self._decode)
        return result

    def publisher(self, **config: Unpack[PublisherConfig]) -> Publisher:
        """Makes a publisher: a queue that sends events in the background."""
        return Publisher(self, **config)

    @property
    def prepare(self) -> Prepare:
        """The same calls, signed but not sent: `client.prepare.trigger(…)` returns a request for your own HTTP client."""
        return Prepare(self)


class Prepare(Calls[PreparedRequest]):
    """The client's calls, signed but not sent."""

    def __init__(self, client: Pusher) -> None:
        self._client = client
        self._encode = client._encode

    def _send(self, call: str, *texts: Any) -> PreparedRequest:
        return PreparedRequest(self._client._handle, call, texts, self._client._decode, self._client._hooks)
