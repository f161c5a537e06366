"""The Python side of a client: exceptions, types, configuration, logs."""

from __future__ import annotations

import datetime
import gc
import hashlib
import hmac
import json
import logging
import math
import pickle
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Listener

import libpusher
from libpusher import Delivery, Pusher, PusherError, Status, errors

CONFIG: dict[str, Any] = {"app_id": "4711", "key": "key", "secret": "s3cr3t-canary", "host": "127.0.0.1", "port": 1, "ssl": False}
Listen = Callable[..., Listener]


@pytest.fixture
def client() -> Pusher:
    """A client that cannot reach a server."""
    return Pusher(**CONFIG, retry={"mode": "never"})


def test_a_failure_has_all_members_of_the_document(listen: Listen) -> None:
    client = listen("retry-after-1").client(retry={"mode": "never"})
    with pytest.raises(errors.RateLimited) as raised:
        client.trigger("c", "e", {})
    error = raised.value
    assert isinstance(error, errors.PusherBadStatus)
    assert (error.status, error.delivery, error.http_status, error.attempts) == (Status.RATE_LIMITED, Delivery.REJECTED, 429, 1)
    assert error.retryable
    assert error.retry_after == 1.0
    assert error.response is not None
    assert error.cause is None
    assert error.argument is None
    assert str(error) == error.document["message"]


@pytest.mark.parametrize("name", errors.__all__)
def test_an_exception_can_be_pickled_to_another_process(name: str) -> None:
    kind = getattr(errors, name)
    if not issubclass(kind, PusherError):
        return
    error = kind(Status.NOT_SENT, {"message": "nobody listens", "delivery": "not_sent", "cause": "connect"})
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.status, again.delivery) == ("nobody listens", Status.NOT_SENT, Delivery.NOT_SENT)
    assert again.document == error.document


def test_each_status_of_the_library_has_an_exception_and_the_same_number() -> None:
    from libpusher._library import lib

    names = {name.removeprefix("PUSHER_STATUS_") for name in dir(lib) if name.startswith("PUSHER_STATUS_")}
    assert names == {status.name for status in Status}
    for status in Status:
        assert getattr(lib, f"PUSHER_STATUS_{status.name}") == status
        if status:
            assert type(errors._of(status, {})) not in (PusherError, errors.PusherBadStatus, errors.NetworkError)
    assert {delivery.name for delivery in Delivery} == {
        name.removeprefix("PUSHER_DELIVERY_") for name in dir(lib) if name.startswith("PUSHER_DELIVERY_")
    }


def test_the_guide_has_each_exception() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs/errors.md").read_text(encoding="utf-8")
    section = guide.partition("\n## Python\n")[2].partition("\n## ")[0]
    documented = []
    for row in re.findall(r"^\| `(.*)", section, re.MULTILINE):
        names, also, status = re.split(r" *\| *", "`" + row)[:3]
        kinds = [getattr(errors, name) for name in re.findall(r"`(\w+)`", names)]
        assert len(set(kinds)) == 1
        (kind,) = set(kinds)
        documented.append(kind)
        assert [base.__name__ for base in kind.__bases__ if base is not PusherError] == [
            name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", also)
        ]
        number, name = re.fullmatch(r"(\d+) `(\w+)`", status).groups()  # type: ignore[union-attr]
        assert Status[name] == int(number)
        assert errors._CLASSES[int(number)] in kind.__mro__
    leaves = {*errors._CLASSES.values(), errors.OtherBadRequest}
    assert set(documented) == leaves
    assert len(documented) == len(leaves)


@pytest.mark.parametrize(
    ("number", "family"),
    [(7, errors.UsageError), (29, errors.NetworkError), (55, errors.PusherBadStatus), (75, PusherError), (999, PusherError)],
)
def test_a_status_of_a_later_library_is_treated_by_its_range(number: int, family: type[PusherError]) -> None:
    error = errors._of(number, {"message": "new"})
    assert type(error) is family
    assert error.status == number
    assert pickle.loads(pickle.dumps(error)).status == number


def test_wrong_arguments_raise_pythons_own_error_types_too(client: Pusher) -> None:
    with pytest.raises(ValueError, match="channels"):
        client.trigger("a b", "e", {})
    with pytest.raises(ValueError, match="cluster"):
        Pusher("1", "k", "s", cluster="a.b")
    publisher = client.publisher()
    publisher.close()
    with pytest.raises(RuntimeError):
        publisher.publish("c", "e", {})


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.trigger(5, "e", {}),
        lambda client: client.trigger({"c": 1}, "e", {}),
        lambda client: client.trigger(["a", 5], "e", {}),
        lambda client: client.trigger("c", "e", datetime.date(2024, 1, 1)),
        lambda client: client.trigger("c", "e", b"bytes"),
        lambda client: client.trigger("c", "e", {}, colour="red"),
        lambda client: client.trigger_batch([{"channel": "c", "name": "e", "data": {}}], already_encoded=True),
        lambda client: client.authenticate(None, "1.2"),
        lambda client: client.channel_info("c", [5]),
        lambda client: client.publisher(hooks_on_threads=True),
    ],
)
def test_a_wrong_type_is_a_type_error(client: Pusher, call: Callable[[Pusher], Any]) -> None:
    with pytest.raises(TypeError):
        call(client)


def test_values_that_json_lacks_are_refused(client: Pusher) -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for data in (math.nan, math.inf, circle, deep, "\ud800", {"k": "\ud800"}):
        with pytest.raises(errors.InvalidArgument) as raised:
            client.trigger("c", "e", data)
        assert raised.value.argument == "data"
    with pytest.raises(errors.InvalidArgument) as raised:
        client.trigger("c\ud800", "e", {})
    assert raised.value.argument == "channels"
    for timeout in (math.nan, math.inf):
        with pytest.raises(errors.InvalidArgument) as raised:
            client.trigger("c", "e", {}, timeout=timeout)
        assert raised.value.argument == "timeout"


def test_numbers_are_sent_as_they_are(listen: Listen) -> None:
    listener = listen()
    listener.client().trigger("c", "e", {"big": 2**70, "small": 1e-300, "exact": 0.1})
    assert listener.published()[0]["data"] == '{"big":1180591620717411303424,"small":1e-300,"exact":0.1}'


def test_channels_may_be_any_iterable(listen: Listen) -> None:
    listener = listen()
    client = listener.client()
    client.trigger(("a", "b"), "e", 1)
    client.trigger((name for name in "cd"), "e", 2)
    assert [event["channel"] for event in listener.published()] == ["a", "b", "c", "d"]


def test_a_batch_is_not_modified(listen: Listen) -> None:
    listener = listen()
    batch: list[libpusher.Event] = [{"channel": "c", "name": "e", "data": {"k": 1}, "socket_id": None}]
    listener.client().trigger_batch(batch)
    listener.client().trigger_batch([{"channel": "c", "name": "e", "data": '{"k":2}'}], already_encoded=True)
    assert batch == [{"channel": "c", "name": "e", "data": {"k": 1}, "socket_id": None}]
    assert [event["data"] for event in listener.published()] == ['{"k":1}', '{"k":2}']


def test_the_callers_encoder_writes_payloads_and_its_decoder_reads_results(listen: Listen) -> None:
    class Encoder(json.JSONEncoder):
        def default(self, value: Any) -> Any:
            return value.isoformat() if isinstance(value, datetime.date) else super().default(value)

    class Decoder(json.JSONDecoder):
        def decode(self, text: str, *more: Any) -> Any:
            return {"decoded": super().decode(text, *more)}

    listener = listen()
    client = listener.client(json_encoder=Encoder, json_decoder=Decoder)
    day = datetime.date(2024, 2, 29)
    assert client.trigger("c", "e", day) == {"decoded": {}}
    client.trigger_batch([{"channel": "c", "name": "e", "data": [day]}])
    assert [event["data"] for event in listener.published()] == ["2024-02-29", '["2024-02-29"]']
    # The decoder does not decode errors or the library's own documents.
    with pytest.raises(errors.InvalidArgument):
        client.trigger("", "e", day)
    for channel, data in (("private-c", None), ("private-c", day), ("presence-c", {"user_id": "7", "since": day})):
        assert client.authenticate(channel, "1.2", data)["auth"].startswith(listener.config["key"])


def test_a_nul_that_an_encoder_writes_is_refused() -> None:
    class Encoder(json.JSONEncoder):
        def encode(self, value: Any) -> str:
            return f'"{value}"'

    raw = Pusher(**CONFIG, json_encoder=Encoder)
    for call, argument in (
        (lambda: raw.trigger("c", "e", "a\0b"), "data"),
        (lambda: raw.prepare.trigger("c", "e", "a\0b"), "data"),
        (lambda: raw.authenticate("private-c", "1.2", "a\0b"), "channel_data"),
    ):
        with pytest.raises(errors.InvalidArgument) as raised:
            call()
        assert raised.value.argument == argument


def test_the_time_limit_is_in_seconds(listen: Listen) -> None:
    client = listen("silence-after-request", times=0).client(timeout=0.2, retry={"mode": "never"})
    for timeout in (None, 0.15):
        started = time.monotonic()
        with pytest.raises(errors.DeliveryUnknown) as raised:
            client.trigger("c", "e", {}, timeout=timeout)
        assert raised.value.cause == "timeout"
        assert (timeout or 0.2) - 0.01 <= time.monotonic() - started < 5


def test_a_client_by_url(listen: Listen) -> None:
    listener = listen()
    key, port = listener.config["key"], listener.port
    secret = "s3cr3t%2FCanary+&=%25%C3%A9"
    Pusher.from_url(f"http://{key}:{secret}@127.0.0.1:{port}/apps/4711").trigger("c", "e", 1)
    Pusher.from_url(f"http://{key}:{secret}@127.0.0.1:1/apps/4711", port=port, timeout=9).trigger("c", "e", 2)
    assert [event["data"] for event in listener.published()] == ["1", "2"]


def test_a_client_by_the_environment(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = listen()
    config = listener.config
    url = f"http://{config['key']}:s3cr3t%2FCanary+&=%25%C3%A9@127.0.0.1:{listener.port}/apps/4711"
    for name in ("PUSHER_URL", "MY_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(errors.InvalidConfig):
        Pusher.from_env()
    with pytest.raises(KeyError, match="MY_URL"):
        Pusher.from_env("MY_URL")
    monkeypatch.setenv("MY_URL", url)
    Pusher.from_env("MY_URL").trigger("c", "e", 1)
    monkeypatch.setenv("PUSHER_URL", url)
    Pusher.from_env(timeout=9).trigger("c", "e", 2)
    monkeypatch.delenv("PUSHER_URL")
    parts = {"APP_ID": "4711", "KEY": config["key"], "SECRET": config["secret"], "HOST": "127.0.0.1", "PORT": str(listener.port)}
    for name, value in {**parts, "SCHEME": "http"}.items():
        monkeypatch.setenv(f"PUSHER_{name}", value)
    Pusher.from_env().trigger("c", "e", 3)
    with pytest.raises(TypeError, match="ca_file"):
        Pusher.from_env(ca_file="x")
    assert [event["data"] for event in listener.published()] == ["1", "2", "3"]


def test_a_client_of_reverb_by_the_environment(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = listen()
    monkeypatch.setenv("PUSHER_URL", "http://k:s@h.invalid/apps/1")
    parts = {"APP_ID": "4711", "APP_KEY": listener.config["key"], "APP_SECRET": listener.config["secret"], "SCHEME": "http"}
    for name, value in parts.items():
        monkeypatch.setenv(f"REVERB_{name}", value)
    with pytest.raises(errors.InvalidConfig) as raised:
        Pusher.from_env(server="reverb")
    assert raised.value.argument == "host"
    monkeypatch.setenv("REVERB_HOST", "127.0.0.1")
    monkeypatch.setenv("REVERB_PORT", "1")
    client = Pusher.from_env(server="reverb", port=listener.port)
    client.trigger("c", "e", 1)
    assert [event["data"] for event in listener.published()] == ["1"]
    with pytest.raises(errors.InvalidArgument) as refused:
        client.send_to_user("7", "e", 1)
    assert refused.value.argument == "server"


def test_a_key_that_the_library_does_not_have_is_named() -> None:
    with pytest.raises(errors.InvalidConfig) as raised:
        Pusher(**{**CONFIG, "colour": "red"})
    assert raised.value.argument == "colour"


def test_no_output_shows_the_secret(listen: Listen) -> None:
    lines: list[Any] = []
    client = Pusher(**CONFIG, retry={"mode": "never"}, log_level="debug", log=lambda *line: lines.append(line))
    with pytest.raises(errors.NotSent) as raised:
        client.trigger("c", "e", {})
    request = client.prepare.trigger("c", "e", {})
    assert lines
    for shown in (repr(client), repr(vars(client)), repr(raised.value), str(raised.value), lines, repr(request)):
        assert "s3cr3t-canary" not in str(shown)
        assert "auth_signature" not in str(shown)


def test_a_signature_covers_the_returned_string(client: Pusher) -> None:
    data = {"user_id": "7", "user_info": {"name": 'Zoë "</script>" 🐢\u2028', "list": [1, None, True]}}
    answer = client.authenticate("presence-c", "1.2", data)
    signed = f"1.2:presence-c:{answer['channel_data']}"
    assert answer["auth"] == "key:" + hmac.new(b"s3cr3t-canary", signed.encode(), hashlib.sha256).hexdigest()
    assert json.loads(answer["channel_data"]) == data
    answer = client.authenticate_user("1.2", {"id": "7", **data})
    signed = f"1.2::user::{answer['user_data']}"
    assert answer["auth"] == "key:" + hmac.new(b"s3cr3t-canary", signed.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda body: body.decode()])
def test_a_webhooks_body_may_be_bytes_or_str(client: Pusher, kind: Callable[[bytes], Any]) -> None:
    body = json.dumps({"time_ms": time.time_ns() // 1_000_000, "events": [{"name": "Zoë"}]}, ensure_ascii=False).encode()
    signature = hmac.new(b"s3cr3t-canary", body, hashlib.sha256).hexdigest()
    assert client.validate_webhook("key", signature, kind(body)) == json.loads(body)
    assert client.validate_webhook("key", signature, kind(body + b"\xc3\xa9")) is None
    with pytest.raises(errors.WebhookInvalid):
        client.validate_webhook_or_raise("key", signature, kind(body + b"\xc3\xa9"))


def test_a_log_function_receives_messages(listen: Listen) -> None:
    lines: list[tuple[int, str, dict[str, Any]]] = []
    client = listen("status-403").client(log=lambda *line: lines.append(line), log_level="debug")
    with pytest.raises(errors.Forbidden):
        client.trigger("c", "e", {})
    client.trigger("c", "e", {})
    levels = [level for level, _, _ in lines]
    assert logging.WARNING in levels
    assert logging.DEBUG in levels
    assert all(sentence and isinstance(fields, dict) for _, sentence, fields in lines)


def test_a_logger_receives_messages(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    client = listen("status-403").client(log=logging.getLogger("pusher-log"))
    with caplog.at_level(logging.DEBUG, "pusher-log"), pytest.raises(errors.Forbidden):
        client.trigger("c", "e", {})
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "403" in caplog.text


def test_an_exception_in_the_log_does_not_fail_the_call(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(str(unraisable.exc_value)))

    def fail(*line: Any) -> None:
        raise RuntimeError("the disk is full")

    listener = listen()
    listener.client(log=fail, log_level="debug").trigger("c", "e", {})
    assert len(listener.published()) == 1
    assert set(raised) == {"the disk is full"}


def test_an_observer_is_told_of_calls_and_attempts(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(str(unraisable.exc_value)))
    seen: list[tuple[libpusher.Observation, int, dict[str, Any]]] = []

    def observe(kind: libpusher.Observation, call_id: int, fields: dict[str, Any]) -> None:
        seen.append((kind, call_id, fields))
        if kind is libpusher.Observation.CALL_END:
            raise RuntimeError("the disk is full")

    client = listen().client(observer=observe)
    client.trigger("c", "e", {})
    assert [kind for kind, _, _ in seen] == list(libpusher.Observation)
    assert {call_id for _, call_id, _ in seen} == {1}
    assert {fields["call"] for _, _, fields in seen} == {"trigger"}
    assert seen[2][2]["http_status"] == 200
    assert raised == ["the disk is full"]


def test_statistics_count_calls(listen: Listen) -> None:
    client = listen().client()
    client.trigger("c", "e", {})
    stats = client.stats()
    assert stats["calls"]["trigger"]["delivered"] == 1
    assert stats["connections"] == {"idle": 1, "opened": 1, "reused": 0}
    assert "pusher_client_requests_total 0" in listen().client(stats_format="prometheus").stats()


def test_a_closed_client_refuses_calls_and_its_publisher_continues(listen: Listen) -> None:
    listener = listen()
    with listener.client() as client:
        publisher = client.publisher()
    with pytest.raises(errors.InvalidArgument) as raised:
        client.trigger("c", "e", {})
    assert raised.value.argument == "client"
    client.close()
    del client
    gc.collect()
    with publisher:
        publisher.publish("c", "e", {})
    assert len(listener.published()) == 1


def test_the_version_is_that_of_the_library() -> None:
    from importlib.metadata import version

    assert libpusher.__version__ == version("libpusher")
