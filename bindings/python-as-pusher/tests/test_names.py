"""The modules of the package `pusher`, and programs that use them. tests/migration/python.tsv names these tests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Listener

import libpusher.backends
import pusher
import pusher.aiohttp
import pusher.gae
import pusher.pusher
import pusher.tornado
from pusher import crypto, errors, http, signature, util
from pusher.authentication_client import AuthenticationClient
from pusher.client import Client
from pusher.pusher_client import PusherClient

Listen = Callable[..., Listener]
ROOT = Path(__file__).resolve().parents[3]
SAMPLES = sorted((ROOT / "tests/migration/samples/python").glob("*.py"))
MASTER_KEY = b"8tW5FQLniQ1sBQFwrw7t6TVEsJZd10yY"


@pytest.fixture
def client() -> PusherClient:
    return PusherClient(app_id="4", key="key", secret="secret", host="somehost")


def test_the_modules_hold_the_librarys_own() -> None:
    assert pusher.Pusher is pusher.pusher.Pusher is libpusher.Pusher
    assert errors.PusherError is libpusher.PusherError
    assert errors.PusherForbidden is libpusher.errors.Forbidden
    assert libpusher.__version__ == pusher.version.VERSION
    assert not (ROOT / "bindings/python-as-pusher").samefile(Path(pusher.__file__).parents[2])


def test_a_client_of_each_class_can_be_made() -> None:
    for kind in (Client, AuthenticationClient, PusherClient):
        made = kind(app_id="4", key="key", secret="secret", ssl=False)
        assert (made.app_id, made.key, made.secret, made.port, made.scheme) == ("4", "key", "secret", 80, "http")
        assert kind("4", b"key", b"secret", True).port == 443
        assert kind("4", "key", b"secret").secret == "secret"
        assert kind("4", "key", "secret", False, None, 4000).port == 4000
        for wrong in ({"ssl": 4}, {"port": "400"}, {"key": 4}, {"secret": 4}, {"app_id": 4}, {"host": 4}, {"cluster": 4}):
            with pytest.raises(TypeError):
                kind(**{"app_id": "4", "key": "key", "secret": "secret", **wrong})
    assert not hasattr(pusher.Pusher("4", "key", "secret"), "secret")


def test_a_request_is_made_without_being_sent(client: PusherClient) -> None:
    request = client.trigger.make_request(["some_channel"], "some_event", {"message": "hello"})
    assert (request.method, request.path) == ("POST", "/apps/4/events")
    assert request.params == {"channels": ["some_channel"], "name": "some_event", "data": '{"message":"hello"}'}
    batch = [{"channel": "a", "name": "e", "data": "1"}, {"channel": "b", "name": "e", "data": "2"}]
    assert client.trigger_batch.make_request(batch).params == {"batch": batch}
    request = client.users_info.make_request("presence-channel")
    assert (request.method, request.path, request.params) == (http.GET, "/apps/4/channels/presence-channel/users", {})


def test_a_request_of_a_query_has_its_parameters(client: PusherClient) -> None:
    for request, path, params in (
        (client.channels_info.make_request(), "/apps/4/channels", {}),
        (client.channels_info.make_request(prefix_filter="test"), "/apps/4/channels", {"filter_by_prefix": "test"}),
        (client.channels_info.make_request(attributes=["attr1", "attr2"]), "/apps/4/channels", {"info": "attr1,attr2"}),
        (client.channel_info.make_request("some_channel"), "/apps/4/channels/some_channel", {}),
        (client.channel_info.make_request("c", attributes=["attr1"]), "/apps/4/channels/c", {"info": "attr1"}),
    ):
        assert (request.method, request.path, request.params) == (http.GET, path, params)


def test_a_request_checks_its_arguments(client: PusherClient) -> None:
    for channels, kind in (
        ({"channels": "c"}, TypeError),
        (["so/me!"], ValueError),
        (["my-chan", "private-encrypted-x"], ValueError),
        ("private-encrypted-x", ValueError),
    ):
        with pytest.raises(kind):
            client.trigger.make_request(channels, "some_event", {"message": "hello"})
        with pytest.raises(kind):
            client.trigger(channels, "some_event", {"message": "hello"})


def test_names_are_checked_as_in_calls() -> None:
    for name in ("1", "abc", "ABCDEFG1234"):
        assert util.validate_user_id(name) == name
    for name in ("", "x" * 201, "abc%&*"):
        with pytest.raises(ValueError, match="user_id"):
            util.validate_user_id(name)
    for name in ("-abc_ABC@012.xpto,987;654", "#server-to-user-123", "#server-to-user-ID-123"):
        assert util.validate_channel(name) == util.validate_channel(name.encode()) == name
    for name in ("#123", "x" * 201, "abc%&*", "#server-to-user1234", "#server-to-users", "#server-to-useR-1", "#server-to-user-"):
        with pytest.raises(ValueError, match=r"must|is|may"):
            util.validate_channel(name)
    assert util.validate_socket_id("1.2") == "1.2"
    with pytest.raises(ValueError, match="socket_id"):
        util.validate_socket_id("1")
    with pytest.raises(TypeError):
        util.ensure_text(4, "name")
    assert (util.ensure_binary("é", "x"), util.ensure_binary(b"\xff", "x")) == ("é".encode(), b"\xff")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_keys_of_encrypted_channels_are_derived() -> None:
    assert crypto.is_encrypted_channel("private-encrypted-x")
    assert not crypto.is_encrypted_channel("private--encrypted-x")
    encoded = base64.b64encode(MASTER_KEY)
    for arguments in ((MASTER_KEY, None), (MASTER_KEY.decode(), None), (None, encoded), (None, encoded.decode())):
        assert crypto.parse_master_key(*arguments) == MASTER_KEY
    assert crypto.parse_master_key(None, None) is None
    secret = crypto.generate_shared_secret(b"private-encrypted-x", MASTER_KEY)
    assert secret == hashlib.sha256(b"private-encrypted-x" + MASTER_KEY).digest()
    for wrong in ((MASTER_KEY, encoded), (b"x" * 31, None), (None, b"x")):
        with pytest.raises(ValueError, match=r"both|32 bytes"):
            crypto.parse_master_key(*wrong)
    with pytest.raises(ValueError, match="master_key"):
        crypto.generate_shared_secret("private-encrypted-x", None)


def test_a_signature_is_verified() -> None:
    signed = hmac.new(b"secret", b"body", hashlib.sha256).hexdigest()
    assert signature.sign("secret", "body") == signed
    assert signature.verify("secret", "body", signed)
    assert not signature.verify("secret", "body", "é")


def test_a_response_is_interpreted_by_the_library() -> None:
    assert http.process_response(200, '{"a":1}') == {"a": 1}
    assert http.process_response(202, b"{}") == {}
    for status, kind in ((400, "BadRequest"), (401, "BadAuth"), (403, "Forbidden"), (404, "BadStatus"), (500, "BadStatus")):
        with pytest.raises(getattr(errors, f"Pusher{kind}")) as raised:
            http.process_response(status, "no")
        # An event of a batch may have been delivered before the server refused another one.
        assert (raised.value.delivery is not None, raised.value.retryable) == (True, False)
    with pytest.raises(libpusher.errors.BadResponse) as unreadable:
        http.process_response(200, "{")
    assert (unreadable.value.delivery, unreadable.value.retryable) == (libpusher.Delivery.UNKNOWN, False)


def test_a_backend_of_the_program_is_used(listen: Listen) -> None:
    sent = []

    class Own:
        def __init__(self, client: Any, answer: int = 200) -> None:
            self.client, self.answer = client, answer

        def send_request(self, request: http.Request) -> Any:
            sent.append((request.client is self.client, request.method, request.path, request.query_params["auth_key"]))
            return http.process_response(self.answer, "{}")

    options: Any = {"answer": 403}
    assert pusher.Pusher("4", "key", "secret", backend=Own).trigger("c", "e", {}) == {}
    with pytest.raises(errors.PusherForbidden):
        pusher.Pusher("4", "key", "secret", backend=Own, **options).trigger("c", "e", {})
    assert sent == [(True, "POST", "/apps/4/events", "key")] * 2


def test_the_backends_have_their_names(listen: Listen) -> None:
    listener = listen()
    for kind in (pusher.requests.RequestsBackend, pusher.gae.GAEBackend):
        assert pusher.Pusher(**listener.config, backend=kind).trigger("c", "e", {}) == {}
    waiting = pusher.Pusher(**listener.config, backend=pusher.aiohttp.AsyncIOBackend)
    assert asyncio.run(waiting.trigger("c", "e", {})) == {}  # type: ignore[arg-type]
    assert len(listener.published()) == 3
    assert pusher.tornado.TornadoBackend is libpusher.backends.TornadoBackend


PUBLISHED = {
    "endpoints": [],
    "events": ["orders", "orders", "audit", "orders", "stock", "#server-to-user-7", "private-encrypted-diary", "orders"],
    "mistakes": [],
    "queries": [],
}


@pytest.mark.parametrize("import_changed", [False, True])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_program_runs_unchanged_or_with_one_changed_line(
    sample: Path, import_changed: bool, listen: Listen, tmp_path: Path
) -> None:
    lines = sample.read_text(encoding="utf-8").splitlines()
    assert lines.count("import pusher") == 1
    if import_changed:
        lines[lines.index("import pusher")] = "import libpusher as pusher"
    program = tmp_path / sample.name
    program.write_text("\n".join(lines), encoding="utf-8")
    listener = listen()
    config = listener.config
    settings = {
        "APP_ID": config["app_id"],
        "KEY": config["key"],
        "SECRET": config["secret"],
        "QUOTED_SECRET": quote(config["secret"], safe=""),
        "HOST": config["host"],
        "PORT": str(config["port"]),
    }
    environment = {**os.environ, **settings}
    if import_changed:
        # The module is not there.
        here = str(Path(pusher.__file__).parents[1])
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path != here)
    shown = subprocess.run(
        [sys.executable, "-W", "error", str(program)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout
    published = [event["channel"] for event in listener.published() if event.get("channel")]
    assert published == PUBLISHED[sample.stem]
    assert shown.stdout == sample.with_suffix(".txt").read_text(encoding="utf-8")


def test_there_are_programs() -> None:
    assert {sample.stem for sample in SAMPLES} == PUBLISHED.keys()
