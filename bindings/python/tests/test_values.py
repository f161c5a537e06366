"""Values from outside: strings that are no UTF-8, and every type of JSON in every place of responses and webhooks."""

from __future__ import annotations

import enum
import hashlib
import hmac
import itertools
import json
import logging
import os
import time
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from conftest import Listener

from libpusher import Pusher, Request, Response, _texts, errors

Listen = Callable[..., Listener]
# As Python reads the byte 0x80 from the environment, a file's name or a command's output.
FOREIGN = os.fsdecode(b"a\x80b")
DEEP = "[" * 5_000 + "]" * 5_000
LONG = "9" * 5_000
# One of each type, and what Python's decoder cannot read although it is JSON.
VALUES = ["null", "true", "0", "-1.5e300", "1E400", LONG, '""', '"\\ud800"', "[]", "[[],{}]", "{}", '{"":null}', DEEP]


def member(data: Any) -> dict[str, Any]:
    return {"user_id": "7", "user_info": {"k": data}}


class Outer(json.JSONEncoder):
    """Writes escapes, whatever it is told."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": True})


class Name(str, enum.Enum):
    FOREIGN = FOREIGN


@pytest.mark.parametrize("encoder", [None, json.JSONEncoder, Outer])
@pytest.mark.parametrize("foreign", [FOREIGN, "\ud800", "\ude00\ud83d", Name.FOREIGN])
def test_a_string_that_is_no_utf_8_is_refused_at_any_depth(listen: Listen, encoder: Any, foreign: str) -> None:
    listener = listen()
    client = listener.client(json_encoder=encoder)
    places = [foreign, [foreign], {"k": foreign}, {foreign: 1}, {"k": [{"l": [0, {"m": foreign}]}]}, [[{foreign: []}]]]
    publisher = client.publisher()
    calls: list[tuple[str, Callable[[Any], Any]]] = [
        ("data", lambda data: client.trigger("c", "e", data)),
        ("data", lambda data: client.prepare.trigger("c", "e", data)),
        ("data", lambda data: client.send_to_user("7", "e", data)),
        ("data", lambda data: publisher.publish("c", "e", data)),
        ("body", lambda data: client.post("/events", None, {"k": data})),
        ("events", lambda data: client.trigger_batch([{"channel": "c", "name": "e", "data": data}])),
        ("channel_data", lambda data: client.authenticate("presence-c", "1.2", member(data))),
        ("user_data", lambda data: client.authenticate_user("1.2", {"id": "7", "k": data})),
        (
            "channels",
            lambda data: client.authenticate_channels("1.2", [{"channel": "presence-c", "channel_data": member(data)}]),
        ),
    ]
    with publisher:
        for data, (argument, call) in itertools.product(places, calls):
            with pytest.raises(errors.InvalidArgument) as raised:
                call(data)
            assert raised.value.argument == argument
            assert raised.value.__context__ is None
    assert listener.published() == []


@pytest.mark.parametrize("encoder", [None, Outer])
def test_pairs_of_surrogates_are_characters(listen: Listen, encoder: Any) -> None:
    listener = listen()
    client = listener.client(json_encoder=encoder)
    for data in ("🐢", {"🐢": ["\U0010ffff"]}, "\\ud800 in words", {"k": "\\\\ud800"}):
        client.trigger("c", "e", data)
        seen = listener.published()[-1]["data"]
        assert (data if isinstance(data, str) else json.loads(seen)) == data


def test_a_name_or_an_id_that_is_no_utf_8_is_refused(listen: Listen) -> None:
    listener = listen()
    client = listener.client()
    for bad in (FOREIGN, FOREIGN.encode("utf-8", "surrogateescape")):
        calls: list[Callable[[Any], Any]] = [
            lambda bad: client.trigger(bad, "e", 1),
            lambda bad: client.trigger(["c", bad], "e", 1),
            lambda bad: client.trigger("c", bad, 1),
            lambda bad: client.trigger("c", "e", 1, bad),
            lambda bad: client.trigger("c", "e", 1, info=bad),
            lambda bad: client.trigger("c", "e", 1, extra={"tags": {FOREIGN: 1}}),
            lambda bad: client.trigger("c", "e", 1, idempotency_key=FOREIGN),
            lambda bad: client.trigger_batch([{"channel": bad, "name": "e", "data": 1}]),
            lambda bad: client.send_to_user(bad, "e", 1),
            lambda bad: client.terminate_user_connections(bad),
            lambda bad: client.channel_info(bad),
            lambda bad: client.channel_info("c", [bad]),
            lambda bad: client.channels_info(bad),
            lambda bad: client.users_info("presence-c", params={"k": FOREIGN}),
            lambda bad: client.get(FOREIGN),
            lambda bad: client.authenticate(bad, "1.2"),
            lambda bad: client.authenticate("private-c", bad),
            lambda bad: client.authenticate_user(bad, {"id": "7"}),
            lambda bad: client.authenticate_channels("1.2", [bad]),
            lambda bad: Pusher.from_url(f"http://key:{FOREIGN}@h/apps/1"),
        ]
        for call in calls:
            with pytest.raises(errors.InvalidArgument):
                call(bad)
        for name in ("app_id", "key", "secret", "host", "cluster", "proxy"):
            with pytest.raises(errors.InvalidConfig) as raised:
                listener.client(**{name: bad})
            assert raised.value.argument == name
            # The secret is in no exception that a report of errors could contain.
            assert raised.value.__cause__ is None
            assert raised.value.__context__ is None
    assert listener.published() == []


def answering(body: str, **more: Any) -> Pusher:
    """Returns a client whose server answers 200 with a body."""

    def send(request: Request) -> Response:
        return Response(200, body.encode(), {"Content-Length": str(len(body.encode()))})

    config: dict[str, Any] = {"app_id": "4711", "key": "key", "secret": "secret", "transport": send}
    return Pusher(**{**config, **more})


def bodies() -> list[str]:
    """Returns each value alone, and as a member of what responses have."""
    members = ("channels", "users", "event_ids", "error", "status")
    return [
        *VALUES,
        *(f'{{"{member}":{value}}}' for member, value in itertools.product(members, VALUES)),
        *(f'{{"channels":{{"c":{value}}}}}' for value in VALUES),
        *(f'{{"users":[{value},{{"id":{value}}}]}}' for value in VALUES),
    ]


PUBLISHING: list[Callable[[Any], Any]] = [
    lambda client: client.trigger("c", "e", 1),
    lambda client: client.trigger(["c", "d"], "e", 1, info="user_count"),
    lambda client: client.trigger(["c", "d", "private-encrypted-e"], "e", 1, info="user_count", fan_out=True),
    lambda client: client.trigger_batch([{"channel": "c", "name": "e", "data": 1, "info": "user_count"}]),
    lambda client: client.send_to_user("7", "e", 1),
    lambda client: client.terminate_user_connections("7"),
    lambda client: client.post("/events", None, {}),
    lambda client: client.delete("/events"),
]
QUERIES: list[Callable[[Any], Any]] = [
    lambda client: client.channels_info(),
    lambda client: client.channel_info("c"),
    lambda client: client.users_info("presence-c"),
    lambda client: client.get("/channels"),
]


def nested(levels: int) -> Any:
    """Returns lists in lists, with None in the last."""
    value: Any = None
    for _ in range(levels):
        value = [value]
    return value


class Refusing(json.JSONDecoder):
    """Refuses everything."""

    def decode(self, text: str, *more: Any) -> Any:
        raise KeyError("no such field")


@pytest.mark.parametrize("decoder", [None, Refusing])
def test_an_event_that_a_server_took_is_never_an_error(decoder: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "libpusher")
    key = "ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI="
    for body, call in itertools.product(bodies(), PUBLISHING):
        client = answering(body, json_decoder=decoder, encryption_master_key_base64=key)
        call(client)


def test_what_cannot_be_decoded_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert answering(f'{{"channels":{{"c":{DEEP}}},"n":-{LONG}}}').trigger("c", "e", 1) == {
        "channels": {"c": nested(97)},
        "n": -inf,
    }
    assert answering('{"n":1}', json_decoder=Refusing).trigger("c", "e", 1) == {"n": 1}
    assert [record.name for record in caplog.records] == ["libpusher"] * 2
    assert "trigger" in caplog.text
    assert "no such field" in caplog.text


def test_a_query_raises_only_errors_of_this_package() -> None:
    unreadable = 0
    for body, call in itertools.product(bodies(), QUERIES):
        try:
            call(answering(body))
        except errors.BadResponse:
            unreadable += 1
    assert unreadable
    with pytest.raises(errors.BadResponse, match="no such field") as raised:
        answering("{}", json_decoder=Refusing).channels_info()
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(errors.BadResponse):
        answering("{}").prepare.channels_info().finish(200, DEEP.encode(), {"Content-Length": str(len(DEEP))})


def test_a_prepared_request_that_succeeded_is_never_an_error() -> None:
    for body in (DEEP, LONG, "[]", "null"):
        answering("").prepare.trigger("c", "e", 1).finish(200, body.encode(), {"Content-Length": str(len(body))})


def test_a_webhook_of_any_json_raises_only_errors_of_this_package() -> None:
    client = answering("")
    now = f"{time.time() * 1000:.0f}"
    event = '{{"name":{0},"channel":{0},"user_id":{0},"data":{0},"socket_id":{0},"event":{0},"more":{0}}}'
    forms = [
        *VALUES,
        *(f'{{"time_ms":{value},"events":[]}}' for value in VALUES),
        *(f'{{"time_ms":{now},"events":{value}}}' for value in VALUES),
        *(f'{{"time_ms":{now},"events":[{value}]}}' for value in VALUES),
        *(f'{{"time_ms":{now},"events":[{event.format(value)}]}}' for value in VALUES),
        *(f'{{"time_ms":{now},"events":[],"more":{value}}}' for value in VALUES),
    ]
    valid = 0
    for body in forms:
        signature = hmac.new(b"secret", body.encode(), hashlib.sha256).hexdigest()
        webhook = client.validate_webhook("key", signature, body)
        if webhook is None:
            with pytest.raises(errors.WebhookInvalid):
                client.validate_webhook_or_raise("key", signature, body)
            continue
        valid += 1
        # Nothing is left out.
        assert webhook == json.loads(body)
    assert valid > 3 * len(VALUES)


def test_reports_are_read_whatever_the_server_answered(listen: Listen) -> None:
    with listen().client(json_decoder=Refusing).publisher(reports="all") as publisher:
        publisher.publish("c", "e", {}, info="user_count")
        publisher.flush(10)
        assert [report["status"] for report in publisher.poll()] == ["OK"]
        assert publisher.stats()["events"]
    for value in VALUES:
        text = f'{{"reports":[{{"id":1,"answer":{{"k]":{value}}}}},{{"id":2,"answer":{{"a":"[","b":{value}}}}}]}}'
        assert [report["id"] for report in _texts.loads(text)["reports"]] == [1, 2]
