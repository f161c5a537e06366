"""Requests that the caller sends: prepared requests, and a client's transport."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import Listener

from libpusher import Delivery, PreparedRequest, Pusher, Request, Response, Retry, TransportFailure, errors

Listen = Callable[..., Listener]
ONCE: Retry = {"mode": "never"}


def send(request: Request) -> Response:
    """A minimal HTTP client."""
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=request.timeout)
    try:
        connection.request(request.method, f"{url.path}?{url.query}", request.body, request.headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.read(), answer.getheaders())
    except ConnectionRefusedError as error:
        raise TransportFailure(Delivery.NOT_SENT, "connect", str(error)) from error
    finally:
        connection.close()


@pytest.fixture
def client() -> Pusher:
    return Pusher("1", "k", "s", retry=ONCE)


def test_a_prepared_call_is_sent_by_another_client_and_finished(listen: Listen) -> None:
    listener = listen()
    client = listener.client()
    for request in (
        client.prepare.trigger(["a", "b"], "e", {"k": 1}, "1.2"),
        client.prepare.trigger_batch([{"channel": "a", "name": "e", "data": "x"}]),
        client.prepare.send_to_user("u", "e", "x"),
        client.prepare.terminate_user_connections("u"),
        client.prepare.post("/events", None, {"name": "e", "channel": "c", "data": "x"}),
    ):
        assert request.method == "POST"
        assert json.loads(request.body or b"") is not None
        assert 0 < request.timeout <= 5
        answer = send(request)
        assert request.finish(answer.status, answer.body, answer.headers) == {}
    request = client.prepare.delete("/channels/c", {"a": 1})
    assert (request.method, request.body) == ("DELETE", None)
    answer = send(request)
    assert request.finish(answer.status, answer.body, answer.headers) == {}
    for request, result in (
        (client.prepare.channels_info("presence-", ["user_count"]), {"channels": {}}),
        (client.prepare.channel_info("c"), {"occupied": False}),
        (client.prepare.users_info("presence-c"), {"users": []}),
        (client.prepare.get("/channels", {"a": 1}), {"channels": {}}),
    ):
        assert (request.method, request.body) == ("GET", None)
        answer = send(request)
        assert request.finish(answer.status, answer.body, dict(answer.headers)) == result
    assert len(listener.published()) == 7


def test_asyncio_streams_need_no_http_client(listen: Listen) -> None:
    listener = listen()
    client = listener.client()

    async def trigger(number: int) -> None:
        request = client.prepare.trigger(f"c{number}", "e", number)
        assert not request.tls
        reader, writer = await asyncio.open_connection(request.host, request.port)
        writer.write(request.to_bytes())
        while (fed := request.feed(await reader.read(7)))[0] == 0:
            assert fed[1] > 0
        writer.close()
        assert (fed[0], request.finish()) == (1, {})

    async def main() -> None:
        await asyncio.gather(*(trigger(number) for number in range(50)))

    asyncio.run(main())
    assert len(listener.published()) == 50


def test_a_response_that_is_not_whole_is_unknown(client: Pusher) -> None:
    request = client.prepare.trigger("c", "e", 1)
    assert [request.feed(part) for part in (b"HTTP/1.1 ", b"")] == [(0, 9), (-1, 0)]
    with pytest.raises(errors.DeliveryUnknown):
        request.finish()
    # The status that came decides.
    request = client.prepare.trigger("c", "e", 1)
    assert request.feed(b"HTTP/1.1 200 OK\r\n") == (0, 17)
    with pytest.raises(errors.BadResponse):
        request.fail(Delivery.NOT_SENT, "write")
    request = client.prepare.trigger("c", "e", 1)
    assert request.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}rest") == (1, 40)
    assert request.finish() == {}


def test_an_event_loop_sends_many_at_once(listen: Listen) -> None:
    listener = listen()
    client = listener.client()

    async def trigger(http: httpx.AsyncClient, number: int) -> None:
        request = client.prepare.trigger(f"c{number}", "e", number)
        answer = await http.request(
            request.method, request.url, content=request.body, headers=request.headers, timeout=request.timeout
        )
        assert request.finish(answer.status_code, answer.content, answer.headers) == {}

    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            await asyncio.gather(*(trigger(http, number) for number in range(50)))

    asyncio.run(main())
    assert sorted(event["channel"] for event in listener.published()) == sorted(f"c{number}" for number in range(50))


def test_finish_returns_or_raises_like_the_call(client: Pusher) -> None:
    request = client.prepare.trigger("c", "e", {})
    with pytest.raises(errors.Forbidden) as refused:
        request.finish(403, b"over quota", {"Content-Length": "10"})
    assert (refused.value.response, refused.value.delivery) == ("over quota", Delivery.REJECTED)
    with pytest.raises(errors.InvalidState):
        request.finish(200, b"{}")
    with pytest.raises(errors.NotSent) as failed:
        client.prepare.trigger("c", "e", {}).fail(Delivery.NOT_SENT, "connect", "nobody listens")
    assert (failed.value.cause, failed.value.delivery) == ("connect", Delivery.NOT_SENT)
    with pytest.raises(errors.DeliveryUnknown):
        client.prepare.trigger("c", "e", {}).fail()
    # An empty body without a length may be truncated.
    with pytest.raises(errors.BadResponse):
        client.prepare.trigger("c", "e", {}).finish(200)
    assert client.prepare.trigger("c", "e", {}).finish(200, b"", [("content-length", "0")]) == {}


def test_a_prepared_request_outlives_its_client() -> None:
    lines: list[str] = []
    client = Pusher("1", "k", "s", log_level="debug", log=lambda level, sentence, fields: lines.append(sentence))
    request = client.prepare.trigger("c", "e", {})
    del client
    gc.collect()
    assert request.finish(200, b"{}") == {}
    # Its log outlives the client too.
    assert lines


def test_a_wrong_call_is_not_prepared(client: Pusher) -> None:
    with pytest.raises(errors.InvalidArgument) as raised:
        client.prepare.trigger("a b", "e", {})
    assert raised.value.argument == "channels"
    with pytest.raises(errors.PayloadTooLarge):
        client.prepare.trigger("c", "e", "x" * 10241)


def test_a_nul_is_refused_in_each_string(client: Pusher) -> None:
    for prepare, argument in (
        (lambda: client.prepare.trigger("c\0", "e", {}), "channels"),
        (lambda: client.prepare.trigger("c", "e\0", {}), "event"),
        (lambda: client.prepare.send_to_user("u\0", "e", {}), "user_id"),
        (lambda: client.prepare.get("/channels\0"), "path"),
        (lambda: client.prepare.trigger("c", "e", {}).finish(200, b"{}", {"Date\0": "x"}), "headers"),
        (lambda: client.prepare.trigger("c", "e", {}).finish(200, b"{}", {"Date": "x\0"}), "headers"),
        (lambda: client.prepare.trigger("c", "e", {}).fail(cause="reset\0"), "cause"),
        (lambda: client.prepare.trigger("c", "e", {}).fail(message="a\0b"), "message"),
    ):
        with pytest.raises(errors.InvalidArgument) as raised:
            prepare()
        assert raised.value.argument == argument
    # In bytes a NUL is allowed.
    with pytest.raises(errors.BadResponse):
        client.prepare.trigger("c", "e", {}).finish(200, b"{}\0")


def test_a_transport_sends_the_same_request_as_the_client(listen: Listen) -> None:
    listener = listen("status-429")
    client = listener.client(transport=send)
    assert client.trigger("c", "e", {"k": 1}) == {}
    assert client.channels_info() == {"channels": {}}
    # Signing, retries and classification stay in the library.
    assert [attempt["path"] for attempt in listener.ledger()["attempts"]] == ["/apps/4711/events"] * 2 + ["/apps/4711/channels"]
    assert len(listener.published()) == 1


def test_a_failing_transport_reports_the_cause(listen: Listen) -> None:
    def interrupted(request: Request) -> Response:
        raise TransportFailure(Delivery.NOT_SENT, "reset", "somebody pulled the plug")

    def confused(request: Request) -> Response:
        raise RuntimeError("a bug\0")

    def empty(request: Request) -> Response:
        return None  # type: ignore[return-value]

    with pytest.raises(errors.NotSent) as raised:
        Pusher("1", "k", "s", transport=interrupted, retry=ONCE).trigger("c", "e", {})
    assert raised.value.cause == "reset"
    for transport in (confused, empty):
        with pytest.raises(errors.DeliveryUnknown) as unknown:
            Pusher("1", "k", "s", transport=transport, retry=ONCE).trigger("c", "e", {})
        assert unknown.value.cause == "transport"
    with pytest.raises(errors.InvalidState):
        Pusher("1", "k", "s", transport=send).publisher()


def test_a_request_does_not_show_its_signature(client: Pusher) -> None:
    request: PreparedRequest = client.prepare.trigger("c", "e", {})
    assert "auth_signature" in request.url
    assert "auth_signature" not in repr(request)


def test_an_error_has_the_servers_code_and_rate_limit() -> None:
    client = Pusher("1", "k", "s")
    headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0"}
    with pytest.raises(errors.RateLimited) as raised:
        client.prepare.trigger("c", "e", {}).finish(429, b'{"code":"rate_limited"}', headers)
    assert (raised.value.server_code, raised.value.rate_limit) == ("rate_limited", {"limit": 100, "remaining": 0})
    with pytest.raises(errors.RateLimited) as silent:
        client.prepare.trigger("c", "e", {}).finish(429, b"no")
    assert (silent.value.server_code, silent.value.rate_limit) == (None, {})


def test_an_event_has_members_that_only_some_servers_know() -> None:
    client = Pusher("1", "k", "s")
    extra = {"tags": {"a": "b"}}
    for request in (client.prepare.trigger("c", "e", 1, extra=extra), client.prepare.send_to_user("u", "e", 1, extra=extra)):
        assert json.loads(request.body or b"")["tags"] == {"a": "b"}
    batch = client.prepare.trigger_batch([{"channel": "c", "name": "e", "data": 1, "extra": extra, "extra_in_clear": False}])
    assert json.loads(batch.body or b"")["batch"][0]["tags"] == {"a": "b"}
    assert "with_user_info=1" in client.prepare.users_info("presence-c", params={"with_user_info": 1}).url


def test_a_client_has_headers_for_a_gateway() -> None:
    request = Pusher("1", "k", "s", headers={"X-Tenant": "a"}).prepare.trigger("c", "e", 1)
    assert ("x-tenant", "a") in [(name.lower(), value) for name, value in dict(request.headers).items()]
    with pytest.raises(errors.InvalidConfig) as raised:
        Pusher("1", "k", "s", headers={"Host": "a"})
    assert raised.value.argument == "headers.Host"
