"""What a program for the package `pusher` does after its import is changed. tests/migration/python.tsv names these tests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Listener

from libpusher import Delivery, Pusher, Status, backends, errors

Listen = Callable[..., Listener]
CREDENTIALS: dict[str, Any] = {"app_id": "4", "key": "key", "secret": "secret"}
MASTER_KEY = b"8tW5FQLniQ1sBQFwrw7t6TVEsJZd10yY"


def make(**more: Any) -> Pusher:
    return Pusher(**{**CREDENTIALS, **more})


def sign(body: bytes, secret: bytes = b"secret") -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def test_the_type_of_a_setting_is_checked_when_the_client_is_made() -> None:
    wrong: list[dict[str, Any]] = [
        {name: 4} for name in ("app_id", "key", "secret", "host", "cluster", "encryption_master_key_base64")
    ]
    for more in [*wrong, {"ssl": 4}, {"ssl": "yes"}, {"port": "400"}, {"port": 4.5}, {"timeout": "5"}]:
        with pytest.raises(TypeError):
            make(**more)
    for more in ({}, {"host": "foo"}, {"cluster": "eu"}, {"ssl": True}, {"ssl": False}, {"port": 400}, {"timeout": 0.5}):
        make(**more)
    with pytest.raises(TypeError):
        Pusher.from_url("http://key:secret@somehost/apps/4", port="400")  # type: ignore[arg-type]


def test_settings_may_be_bytes() -> None:
    given: dict[str, Any] = {
        "app_id": b"4",
        "key": b"key",
        "secret": b"secret",
        "cluster": b"eu",
        "encryption_master_key_base64": base64.b64encode(MASTER_KEY),
    }
    text = make(cluster="eu", encryption_master_key_base64=base64.b64encode(MASTER_KEY).decode())
    for channel in ("private-c", "private-encrypted-c"):
        assert Pusher(**given).authenticate(channel, "1.2") == text.authenticate(channel, "1.2")
    for name in given:
        with pytest.raises(errors.InvalidConfig) as raised:
            make(**{name: b"\xff"})
        assert raised.value.argument == name
        assert "xff" not in str(raised.value)


def test_names_and_ids_may_be_bytes(listen: Listen) -> None:
    listener = listen()
    client = listener.client()
    client.trigger(b"one", b"e", 1, b"1.2")
    client.trigger([b"two", "three"], "e", 2)
    client.trigger_batch([{"channel": b"four", "name": b"e", "data": 3, "socket_id": b"1.2"}])
    client.channel_info(b"c", [b"user_count"])
    client.channels_info(b"presence-", b"user_count")
    client.users_info(b"presence-c")
    client.send_to_user(b"7", b"e", 4)
    client.terminate_user_connections(b"7")
    with client.publisher() as publisher:
        publisher.publish(b"five", b"e", 5, b"1.2")
    published = listener.published()
    names = ["one", "two", "three", "four", "#server-to-user-7", None, "five"]
    assert [event.get("channel") for event in published] == names
    assert [event.get("socket_id") for event in published] == ["1.2", None, None, "1.2", None, None, "1.2"]
    assert client.authenticate(b"private-c", b"1.2") == client.authenticate("private-c", "1.2")
    assert client.authenticate_user(b"1.2", {"id": "7"}) == client.authenticate_user("1.2", {"id": "7"})
    assert client.authenticate_channels(b"1.2", [b"private-c", {"channel": b"private-d"}]).keys() == {"private-c", "private-d"}
    with pytest.raises(ValueError, match="not UTF-8"):
        client.trigger(b"\xff", "e", 1)


def test_an_empty_host_or_cluster_is_not_given() -> None:
    assert make(host="", cluster="").host == make().host
    assert make(host="", cluster="eu").host == "api-eu.pusher.com"
    assert make(host=None, cluster=None, port=None, ssl=None).port == 443


def test_a_client_tells_what_it_connects_to() -> None:
    client = make(cluster="eu", timeout=2)
    assert (client.app_id, client.key, client.host, client.port) == ("4", "key", "api-eu.pusher.com", 443)
    assert (client.ssl, client.scheme, client.timeout) == (True, "https", 2.0)
    assert make(host="foo", cluster="eu").host == "foo"
    assert (make(ssl=False).port, make(ssl=False, port=4000).port, make(ssl=False).scheme) == (80, 4000, "http")
    by_url = Pusher.from_url("http://k:s3cr3t@h:81/apps/5")
    assert (by_url.app_id, by_url.key, by_url.host, by_url.port, by_url.ssl) == ("5", "k", "h", 81, False)
    assert make(host="::1", path="/a/b/").host == "::1"
    assert not hasattr(by_url, "secret")
    assert "s3cr3t" not in repr(vars(by_url))


def test_a_shared_secret_is_a_str_that_can_be_decoded() -> None:
    client = make(key="foo", secret="bar", encryption_master_key_base64=base64.b64encode(MASTER_KEY))
    result = client.authenticate("private-encrypted-channel", "345.23")
    raw = base64.b64encode(hashlib.sha256(b"private-encrypted-channel" + MASTER_KEY).digest()).decode()
    secret: Any = result["shared_secret"]
    assert secret == secret.decode() == secret.decode("ascii") == raw
    assert json.loads(json.dumps(result))["shared_secret"] == raw


def test_a_private_channel_is_authorized() -> None:
    client = make(key="foo", secret="bar")
    signed = sign(b"345.23:private-channel", b"bar")
    assert client.authenticate("private-channel", "345.23") == {"auth": f"foo:{signed}"}
    for channel, socket_id, kind in ((2423, "34554", TypeError), ("plah", 234234, TypeError), ("::", "345345", ValueError)):
        with pytest.raises(kind):
            client.authenticate(channel, socket_id)  # type: ignore[arg-type]


def test_users_are_signed_in_only_with_data() -> None:
    with pytest.raises(ValueError, match="user_data"):
        make().authenticate_user("1.2")
    with pytest.raises(ValueError, match="id"):
        make().authenticate_user("1.2", {})


def test_a_webhook_that_is_not_authentic_is_none() -> None:
    client = make()
    for body in (b"some body", b'{"time_ms":1000000}', b'{"time_ms":"1"}', b"[]", b"\xff", b""):
        assert client.validate_webhook("key", sign(body), body) is None
    good = b'{"time_ms":%d,"events":[]}' % (time.time() * 1000)
    assert client.validate_webhook("key", sign(good), good) == json.loads(good)
    assert client.validate_webhook(b"key", sign(good).encode(), good.decode()) == json.loads(good)
    for key, signature in (("badkey", sign(good)), ("key", "some signature"), (None, None), ("\ud800", "a\0b"), ("", b"\xff")):
        assert client.validate_webhook(key, signature, good) is None
    assert client.validate_webhook("key", sign(good), "\udc80") is None
    client.close()
    # An error of the program is not a webhook's.
    with pytest.raises(errors.InvalidArgument):
        client.validate_webhook("key", sign(good), good)


def test_the_call_that_raises_says_why_a_webhook_is_not_authentic() -> None:
    with pytest.raises(errors.WebhookInvalid, match="key"):
        make().validate_webhook_or_raise("badkey", "0" * 64, b"{}")
    with pytest.raises(errors.InvalidArgument, match="signature"):
        make().validate_webhook_or_raise("key", "a\0b", b"{}")


@pytest.mark.parametrize("body", [4, 10**9, None, {"time_ms": 1}, ["a"]])
def test_a_webhooks_body_of_another_type_is_a_type_error(body: Any) -> None:
    for arguments in (("key", "signature", body), (4, "signature", "body"), ("key", 4, "body")):
        with pytest.raises(TypeError):
            make().validate_webhook(*arguments)


def test_data_that_is_too_large_is_a_value_error() -> None:
    client = make(host="127.0.0.1", port=1)
    for data in ("a" * 30721, "ä" * 20000, {"k": "a" * 30721}):
        calls: list[Callable[[Any], Any]] = [
            lambda data: client.trigger("c", "e", data),
            lambda data: client.trigger_batch([{"channel": "c", "name": "e", "data": data}]),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="data") as raised:
                call(data)
            assert isinstance(raised.value, errors.PayloadTooLarge)
            assert isinstance(raised.value, errors.PusherBadStatus)


def test_an_encrypted_channel_without_a_master_key_is_a_value_error() -> None:
    client = make(host="127.0.0.1", port=1)
    for call in (
        lambda: client.trigger("private-encrypted-c", "e", {}),
        lambda: client.trigger_batch([{"channel": "private-encrypted-c", "name": "e", "data": {}}]),
        lambda: client.authenticate("private-encrypted-c", "1.2"),
    ):
        with pytest.raises(ValueError, match="encryption_master_key_base64") as raised:
            call()
        assert isinstance(raised.value, errors.EncryptionFailed)


def test_channels_are_checked(listen: Listen) -> None:
    listener = listen()
    client = listener.client(encryption_master_key_base64=base64.b64encode(MASTER_KEY))
    wrong: list[tuple[Any, type[Exception]]] = [
        ({"channels": "c"}, TypeError),
        (4, TypeError),
        (["so/me!"], ValueError),
        (["c", "private-encrypted-c"], ValueError),
        (["c"] * 101, ValueError),
    ]
    for channels, kind in wrong:
        with pytest.raises(kind):
            client.trigger(channels, "e", {})
    with pytest.raises(ValueError, match="event"):
        client.trigger("c", "e" * 201, {})
    assert listener.published() == []


def test_calls_take_the_same_arguments(listen: Listen) -> None:
    listener = listen()
    client = listener.client()
    assert client.trigger("c", "e", {"some": "data"}) == {}
    assert client.trigger(["a", "b"], "e", {"some": "data"}, "1234.12") == {}
    batch: Any = [{"channel": "c", "name": "e", "data": {"k": 1}, "socket_id": "1.2"}, {"channel": "c", "name": "e", "data": "x"}]
    assert client.trigger_batch(batch) == {}
    assert client.trigger_batch(batch=[{"channel": "c", "name": "e", "data": "{}"}], already_encoded=True) == {}
    assert client.send_to_user("7", "e", {"some": "data"}) == {}
    assert client.terminate_user_connections("7") == {}
    with pytest.raises(ValueError, match="events"):
        client.trigger_batch()
    names = ["c", "a", "b", "c", "c", "c", "#server-to-user-7", None]
    assert [event.get("channel") for event in listener.published()] == names


def test_queries_take_the_same_arguments(listen: Listen) -> None:
    client = listen().client()
    for result in (
        client.channels_info(),
        client.channels_info("", []),
        client.channels_info(prefix_filter="presence-"),
        client.channels_info("presence-", ["user_count"]),
        client.channels_info("presence-", ("user_count", "subscription_count")),
    ):
        assert result.keys() == {"channels"}
    assert "occupied" in client.channel_info("c")
    assert "occupied" in client.channel_info("c", ["subscription_count"])
    assert client.users_info("presence-c").keys() == {"users"}


def test_the_constructor_takes_its_arguments_by_place(listen: Listen) -> None:
    class Encoder(json.JSONEncoder):
        def default(self, value: Any) -> Any:
            return sorted(value)

    listener = listen()
    config = listener.config
    encoded = base64.b64encode(MASTER_KEY).decode()
    client = Pusher(
        config["app_id"],
        config["key"],
        config["secret"],
        False,
        "127.0.0.1",
        listener.port,
        5,
        None,
        None,
        encoded,
        Encoder,
        None,
        None,
    )
    client.trigger("c", "e", {3, 1, 2})
    assert listener.published()[0]["data"] == "[1,2,3]"
    assert "shared_secret" in client.authenticate("private-encrypted-c", "1.2")


@pytest.mark.filterwarnings("default")
def test_the_old_master_key_is_taken() -> None:
    expected = make(encryption_master_key_base64=base64.b64encode(MASTER_KEY)).authenticate("private-encrypted-c", "1.2")
    for key in (MASTER_KEY, MASTER_KEY.decode()):
        with pytest.warns(DeprecationWarning, match="encryption_master_key_base64"):
            client = make(encryption_master_key=key)
        assert client.authenticate("private-encrypted-c", "1.2") == expected
    with pytest.warns(DeprecationWarning, match="deprecated"):
        make(encryption_master_key="this key has nonprintable char \x00")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("some bytes", "also some bytes", "both"),
        ("x" * 31, None, "32 bytes"),
        ("x" * 33, None, "32 bytes"),
        ("\udc80" * 32, None, "UTF-8"),
        (None, base64.b64encode(b"x" * 31).decode(), "decodes to 32 bytes"),
        (None, base64.b64encode(b"x" * 33).decode(), "decodes to 32 bytes"),
        (None, base64.b64encode(b"x" * 31).decode()[:-1], "valid base64"),
        (None, "dGhpcyBpcyA!MiBieXRlcyAxMjM0NTY3OD#wMTIzNDU=", "valid base64"),
    ],
)
def test_a_wrong_master_key_is_a_value_error(old: str | None, new: str | None, text: str) -> None:
    with pytest.raises(ValueError, match=text) as raised:
        make(encryption_master_key=old, encryption_master_key_base64=new)
    assert (old or new or "") not in str(raised.value)


def test_exceptions_are_siblings_as_in_the_official_package(listen: Listen) -> None:
    expected: dict[str, type[errors.PusherError]] = {
        "400": errors.PusherBadRequest,
        "401": errors.PusherBadAuth,
        "403": errors.PusherForbidden,
        "404": errors.PusherBadStatus,
        "413": errors.PusherBadStatus,
        "429": errors.PusherBadStatus,
        "500": errors.PusherBadStatus,
        "503": errors.PusherBadStatus,
    }
    official = (errors.PusherBadRequest, errors.PusherBadAuth, errors.PusherForbidden, errors.PusherBadStatus)
    for status, kind in expected.items():
        with pytest.raises(errors.PusherError) as raised:
            listen(f"status-{status}").client(retry={"mode": "never"}).trigger("c", "e", {})
        assert [kind for kind in official if isinstance(raised.value, kind)] == [kind]
        assert raised.value.http_status == int(status)
    for number in (405, 422):
        with pytest.raises(errors.PusherBadStatus) as other:
            make().prepare.trigger("c", "e", {}).finish(number, b"no", {"Content-Length": "2"})
        assert isinstance(other.value, errors.BadRequest)


def test_an_exception_can_be_made_of_a_message() -> None:
    for kind in (
        errors.PusherError,
        errors.PusherBadRequest,
        errors.PusherBadAuth,
        errors.PusherForbidden,
        errors.PusherBadStatus,
    ):
        error = kind("no such channel")
        assert str(error) == str(pickle.loads(pickle.dumps(error))) == "no such channel"
        assert error.delivery is None
    assert errors.PusherForbidden("x").status == Status.FORBIDDEN
    assert str(errors.PusherError()) == "INTERNAL"


def test_a_backend_that_sends_itself_is_called(listen: Listen) -> None:
    import httpx

    class Own:
        def __init__(self, client: Any, **options: Any) -> None:
            self.client, self.options = client, options

        def send_request(self, request: Any) -> Any:
            with httpx.Client(trust_env=False, timeout=self.client.timeout, **self.options) as http:
                response = http.request(request.method, request.url, headers=request.headers, content=request.body)
            return request.prepared.finish(response.status_code, response.content, response.headers)

    listener = listen()
    client = listener.client(backend=Own, http2=False, retry={"mode": "never"})
    assert client.trigger("c", "e", {"k": 1}) == {}
    assert client.channels_info("presence-").keys() == {"channels"}
    assert listener.published()[0]["data"] == '{"k":1}'
    with pytest.raises(errors.PusherForbidden):
        listen("status-403").client(backend=Own).trigger("c", "e", {})
    with pytest.raises(ValueError, match="channels"):
        client.prepare.trigger("a b", "e", {})


def test_a_request_has_the_attributes_of_the_official_one() -> None:
    request = backends.Requests(make(host="h", port=81, ssl=False)).trigger(["c"], "e", {"k": 1}, "1.2")
    assert (request.method, request.path, request.base_url) == ("POST", "/apps/4/events", "http://h:81")
    assert request.params == {"name": "e", "channels": ["c"], "data": '{"k":1}', "socket_id": "1.2"}
    assert request.url == request.base_url + request.signed_path
    assert request.query_params["auth_key"] == "key"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == request.params
    request = backends.Requests(make()).channels_info("a-", ["user_count"])
    assert (request.method, request.body) == ("GET", b"")
    assert request.params == {"filter_by_prefix": "a-", "info": "user_count"}
    with pytest.raises(ValueError, match="channels"):
        backends.Requests(make()).trigger("a b", "e", {})


def test_the_official_backends_are_threads(listen: Listen) -> None:
    listener = listen()
    for backend in (backends.RequestsBackend, backends.GAEBackend):
        assert listener.client(backend=backend).trigger("c", "e", {}) == {}

    async def main() -> None:
        client: Any = listener.client(backend=backends.AsyncIOBackend)
        assert await client.trigger("c", "e", {}) == {}
        assert await asyncio.gather(*(client.trigger("c", "e", {}) for _ in range(3))) == [{}] * 3
        with pytest.raises(ValueError, match="channels"):
            await client.trigger("a b", "e", {})

    asyncio.run(main())
    assert len(listener.published()) == 6
    with pytest.raises(TypeError, match="verify"):
        listener.client(backend=backends.RequestsBackend, verify=False)
    with pytest.raises(errors.InvalidConfig, match="verify"):
        listener.client(verify=False)


def test_the_future_of_tornado_is_returned(listen: Listen) -> None:
    tornado = pytest.importorskip("tornado.ioloop")
    listener = listen()
    client: Any = listener.client(backend=backends.TornadoBackend)

    async def main() -> Any:
        return await client.trigger("c", "e", {})

    assert tornado.IOLoop().run_sync(main) == {}
    assert len(listener.published()) == 1


def test_delivery_of_a_refusal_is_known(listen: Listen) -> None:
    with pytest.raises(errors.PusherForbidden) as raised:
        listen("status-403").client().trigger("c", "e", {})
    assert raised.value.delivery is Delivery.REJECTED
