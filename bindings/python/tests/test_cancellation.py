"""Cancelled calls end at once, and their errors say what happened to the events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from libpusher import Delivery, Pusher
from libpusher.errors import PusherError, Status


def cancelled(handle: Pusher, is_there: Callable[[], Any], call: Callable[[Pusher], Any]) -> PusherError:
    """Makes a call in a thread, cancels it there, and returns its error."""
    errors: list[PusherError] = []

    def run() -> None:
        with pytest.raises(PusherError) as caught:
            call(handle)
        errors.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    while not is_there():
        time.sleep(0.001)
    start = time.monotonic()
    handle.cancel()
    thread.join(20)
    assert time.monotonic() - start < 10
    return errors[0]


def test_a_cancelled_call_ends_at_once_and_other_handles_go_on(listen: Any) -> None:
    listener = listen("silence-after-request-applied", times=1)
    client = listener.client(timeout=20)
    with client.clone() as handle:
        error = cancelled(handle, listener.published, lambda handle: handle.trigger("c", "e", 1))
        assert (error.status, error.delivery, error.cause) == (Status.DELIVERY_UNKNOWN, Delivery.UNKNOWN, "cancelled")
        assert not error.retryable
        with pytest.raises(PusherError) as caught:
            handle.trigger("c", "later", 1)
        assert (caught.value.status, caught.value.delivery, caught.value.cause) == (
            Status.NOT_SENT,
            Delivery.NOT_SENT,
            "cancelled",
        )
        # Signing goes on, and so do other handles.
        assert "auth" in handle.authenticate("private-c", "1.2")
        assert handle.clone().trigger("c", "other", 1) == {}
    assert client.trigger("c", "other", 1) == {}
    assert [event["name"] for event in listener.published()] == ["e", "other", "other"]


def test_a_clone_shares_the_connections_and_the_log(listen: Any) -> None:
    listener = listen()
    messages: list[Any] = []
    client = listener.client(log=lambda *line: messages.append(line), log_level="debug")
    for handle in (client, client.clone(), client.clone().clone()):
        handle.trigger("c", "e", 1)
    clone = client.clone()
    client.close()
    del client
    clone.trigger("c", "e", 1)
    assert len(messages) == 4
    assert listener.ledger()["connections"] == 1


def test_a_closed_client_is_neither_cloned_nor_cancelled(listen: Any) -> None:
    client = listen().client()
    client.close()
    client.cancel()
    with pytest.raises(PusherError):
        client.clone()


def test_a_clone_keeps_the_types_and_encoders_of_its_client(listen: Any) -> None:
    class Own(Pusher):
        pass

    client = Own(**listen().config, backend=Backend)
    clone = client.clone()
    assert type(clone) is Own
    assert clone.trigger("c", "e", 1) == {"handle": id(clone)}


class Backend:
    def __init__(self, client: Pusher, **options: Any) -> None:
        pass

    def send_request(self, call: Any) -> dict[str, Any]:
        return {"handle": id(call.client)}
