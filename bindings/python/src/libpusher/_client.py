"""A client of one Channels application."""

from __future__ import annotations

import base64
import json
import logging
import os
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from urllib.parse import parse_qs, urlsplit

from libpusher import _texts
from libpusher._backends import Backend, Call
from libpusher._calls import Calls
from libpusher._hooks import Observer, Transport, keep_log, keep_observer, keep_transport
from libpusher._library import ffi, lib
from libpusher._publisher import Publisher, PublisherConfig
from libpusher._request import PreparedRequest
from libpusher._signatures import Signatures

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


class CircuitBreaker(TypedDict, total=False):
    """Configures when calls fail at once, with the cause `circuit`, because the server cannot be reached."""

    failures: int
    """Failures in a row that open it: 5."""
    open_ms: int
    """When one call is sent to find out: 10,000."""


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
    circuit_breaker: CircuitBreaker
    """Calls fail at once while the server cannot be reached: off; `{}` turns it on."""
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
    stats_format: str
    """For `stats()`: `"json"` or `"prometheus"`."""


class _Options(TypedDict, total=False):
    json_encoder: type[json.JSONEncoder] | None
    json_decoder: type[json.JSONDecoder] | None
    backend: Callable[..., Backend] | None
    log: Log | None
    transport: Transport | None
    observer: Observer | None


class _Url(Config, total=False):
    """The parts of a URL that options override."""

    app_id: str | bytes
    key: str | bytes
    secret: str | bytes
    cluster: str | bytes | None
    host: str | bytes | None
    port: int | None
    ssl: bool | None
    encryption_master_key: str | bytes | None
    encryption_master_key_base64: str | bytes | None


class _UrlOptions(_Url, _Options, total=False):
    """The options of from_url() and from_env()."""


class Target(NamedTuple):
    """What a client's attributes say."""

    scheme: str
    host: str
    port: int
    app_id: str
    key: str
    timeout: float


# Checked as the package `pusher` does: a wrong type is a TypeError.
_STRINGS = ("app_id", "key", "secret", "host", "cluster", "encryption_master_key_base64")


class Pusher(Signatures, Calls[dict[str, Any]]):
    """A client of one Channels application.

    Any number of threads may use a client at the same time; a call lets other threads run while it waits. A forked child may use
    its parent's client, which then makes its own connections. No connection is made before the first call.

    A call that fails raises a `libpusher.errors.PusherError`, whose `delivery` says whether the event may have been delivered.
    """

    def __init__(
        self,
        app_id: str | bytes,
        key: str | bytes,
        secret: str | bytes,
        ssl: bool | None = None,
        host: str | bytes | None = None,
        port: int | None = None,
        timeout: float | None = None,
        cluster: str | bytes | None = None,
        encryption_master_key: str | bytes | None = None,
        encryption_master_key_base64: str | bytes | None = None,
        json_encoder: type[json.JSONEncoder] | None = None,
        json_decoder: type[json.JSONDecoder] | None = None,
        backend: Callable[..., Backend] | None = None,
        *,
        log: Log | None = None,
        transport: Transport | None = None,
        observer: Observer | None = None,
        **config: Unpack[Config],
    ) -> None:
        """
        :param ssl: whether to use TLS: by default, unless `unix_socket` is set. Certificates are always verified.
        :param host: your own server, instead of a cluster.
        :param timeout: the time limit of a whole call, including retries, in seconds; 5 by default.
        :param cluster: such as `"eu"`; `"mt1"` by default.
        :param encryption_master_key: deprecated: the 32 bytes themselves.
        :param encryption_master_key_base64: 32 bytes, for `private-encrypted-` channels.
        :param json_encoder: a class that encodes payloads, instead of `json.JSONEncoder`.
        :param json_decoder: a class that decodes responses and webhooks, instead of `json.JSONDecoder`.
        :param backend: a class of `libpusher.backends`, or one of your own for the package `pusher`. With one, arguments that are
            no configuration keys go to it.
        :param log: receives log messages down to `log_level`.
        :param transport: sends requests, instead of the library.
        :param observer: is told of the start and the end of each call and attempt: a function of an `Observation`, the id of the
            call, and a mapping of fields.
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
            "encryption_master_key": encryption_master_key,
            "encryption_master_key_base64": encryption_master_key_base64,
        }
        if timeout is not None:
            given["timeout_ms"] = _texts.milliseconds(timeout, "timeout")
        self._open({**given, **config}, json_encoder, json_decoder, backend, log, transport, observer)

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
        names = ("json_encoder", "json_decoder", "backend", "log", "transport", "observer")
        own = [options.pop(name, None) for name in names]
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
        backend: Callable[..., Backend] | None,
        log: Log | None,
        transport: Transport | None,
        observer: Observer | None,
    ) -> None:
        # Do not keep the configuration, so that no attribute, traceback or dump of this object contains the secret.
        self._handle = ffi.NULL
        self._encode = _texts.encoder(json_encoder)
        self._decode = _texts.decoder(json_decoder)
        options: dict[str, Any] = {}
        if backend is not None and config is not None:
            known = {*Config.__annotations__, *_STRINGS, "url", "ssl", "port", "encryption_master_key"}
            options = {name: config.pop(name) for name in list(config) if name not in known}
        text = ffi.NULL if config is None else _texts.value(_checked(config), "config", _texts.own_json)
        handle, out = ffi.new("Pusher **"), _texts.place()
        _texts.answer(lib.pusher_new(text, handle, out), out)
        # Freed with its last reference: calls that are running in other threads hold one too.
        self._handle = ffi.gc(handle[0], lib.pusher_free)
        # The library holds only the addresses of the returned objects: they must live as long as the handle.
        self._hooks = [
            keep_log(self._handle, log) if log else None,
            keep_transport(self._handle, transport) if transport else None,
            keep_observer(self._handle, observer) if observer else None,
        ]
        self._target: Target | None = None
        self._backend = None if backend is None else backend(self, **options)

    def stats(self) -> Any:
        """Returns counters and times: a dict, or with `stats_format="prometheus"` a str in Prometheus' format."""
        out = _texts.place()
        text = _texts.answer(lib.pusher_stats(self._handle, out), out)
        return json.loads(text) if text.startswith("{") else text

    def _read(self) -> Target:
        """Reads what the library uses, however it was configured, from a signed request."""
        if self._target is None:
            request = PreparedRequest(self._handle, "channels_info", (ffi.NULL,) * 3, self._decode, self._hooks)
            parts = urlsplit(request.url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            app_id = parts.path.rsplit("/", 2)[1]
            key = parse_qs(parts.query)["auth_key"][0]
            self._target = Target(parts.scheme, parts.hostname or "", port, app_id, key, request.timeout)
        return self._target

    @property
    def scheme(self) -> str:
        """`"https"` or `"http"`."""
        return self._read().scheme

    @property
    def ssl(self) -> bool:
        """Whether calls use TLS."""
        return self.scheme == "https"

    @property
    def host(self) -> str:
        """The host that calls connect to."""
        return self._read().host

    @property
    def port(self) -> int:
        """The port that calls connect to."""
        return self._read().port

    @property
    def app_id(self) -> str:
        """The application's id."""
        return self._read().app_id

    @property
    def key(self) -> str:
        """The application's key, which browsers need. The secret cannot be read."""
        return self._read().key

    @property
    def timeout(self) -> float:
        """The time limit of a whole call, in seconds."""
        return self._read().timeout

    def clone(self) -> Self:
        """Makes a handle of the same client whose calls are cancelled separately: `with client.clone() as handle: …`.

        It shares the connections, the log and the transport, and needs neither a thread nor a descriptor.
        """
        handle, out = ffi.new("Pusher **"), _texts.place()
        _texts.answer(lib.pusher_clone(self._handle, handle, out), out)
        clone = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone._handle = ffi.gc(handle[0], lib.pusher_free)
        return clone

    def cancel(self) -> None:
        """Ends the running calls of this handle at once, and makes its later calls fail, for good.

        Each of them raises an exception with the `cause` `"cancelled"`, whose `delivery` says whether its event may have been
        delivered. Call it from another thread: Python runs a signal handler only after the main thread's call has returned.
        Other handles of the client go on (see `clone`), and so do publishers.
        """
        lib.pusher_cancel(self._handle)

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
        if self._backend is not None:
            backed: dict[str, Any] = self._backend.send_request(Call(self, call, texts))
            return backed
        return self._send_now(call, *texts)

    def _send_now(self, call: str, *texts: Any) -> dict[str, Any]:
        out = _texts.place()
        status = getattr(lib, "pusher_" + call)(self._handle, *texts, out)
        result: dict[str, Any] = _texts.response(call, status, out, self._decode)
        return result

    def publisher(self, **config: Unpack[PublisherConfig]) -> Publisher:
        """Makes a publisher: a queue that sends events in the background."""
        return Publisher(self, **config)

    @property
    def prepare(self) -> Prepare:
        """The same calls, signed but not sent: `client.prepare.trigger(…)` returns a request for your own HTTP client."""
        return Prepare(self)


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration for the library. Its own rules are the library's; only types are Python's."""
    given = {name: value for name, value in config.items() if value is not None}
    # As the library treats empty strings; an empty environment variable is one.
    if given.get("port") == "":
        del given["port"]
    for name in _STRINGS:
        if not isinstance(given.get(name, ""), (str, bytes)):
            raise TypeError(f"{name} must be a str, not {type(given[name]).__name__}")
    if not isinstance(given.get("ssl", True), bool):
        raise TypeError(f"ssl must be a bool, not {type(given['ssl']).__name__}")
    if not isinstance(given.get("port", 0), int):
        raise TypeError(f"port must be an int, not {type(given['port']).__name__}")
    raw = given.pop("encryption_master_key", None)
    if raw is not None:
        if "encryption_master_key_base64" in given:
            raise _texts.invalid_config("encryption_master_key", "is given, and encryption_master_key_base64 too, not both")
        warnings.warn("encryption_master_key is deprecated: use encryption_master_key_base64", DeprecationWarning, stacklevel=4)
        master_key = raw if isinstance(raw, bytes) else _texts.encoded(raw, "encryption_master_key")
        if len(master_key) != 32:
            raise _texts.invalid_config("encryption_master_key", f"must be 32 bytes long, not {len(master_key)}")
        given["encryption_master_key_base64"] = base64.b64encode(master_key)
    return {name: _texts.setting(value, name) if isinstance(value, (str, bytes)) else value for name, value in given.items()}


class Prepare(Calls[PreparedRequest]):
    """The client's calls, signed but not sent."""

    def __init__(self, client: Pusher) -> None:
        self._client = client
        self._encode = client._encode

    def _send(self, call: str, *texts: Any) -> PreparedRequest:
        return PreparedRequest(self._client._handle, call, texts, self._client._decode, self._client._hooks)
