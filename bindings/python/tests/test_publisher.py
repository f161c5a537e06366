"""The Python side of a publisher."""

from __future__ import annotations

import gc
import os
import selectors
import signal
import threading
import time
from collections.abc import Callable

import pytest
from conftest import Listener

from libpusher import Pusher, Status, errors

Listen = Callable[..., Listener]


def test_with_sends_what_was_published(listen: Listen) -> None:
    listener = listen()
    with listener.client().publisher() as publisher:
        ids = [publisher.publish("c", "e", number) for number in range(50)]
    assert ids == sorted(set(ids))
    assert min(ids) >= 1
    assert [event["data"] for event in listener.published()] == [str(number) for number in range(50)]


def test_failures_are_reported_by_id(listen: Listen) -> None:
    with listen("status-403").client().publisher(max_batch_events=1, connections=1) as publisher:
        refused = publisher.publish("c", "e", 1)
        publisher.publish("c", "e", 2)
        publisher.flush()
        (report,) = publisher.poll()
    assert (report["id"], report["status"], report["delivery"]) == (refused, "FORBIDDEN", "rejected")
    assert publisher.poll() == []


def test_poll_waits_for_a_report_at_most_for_the_timeout(listen: Listen) -> None:
    with listen("late-answer", params={"ms": 400}).client().publisher(reports="all") as publisher:
        assert publisher.poll() == []
        started = time.monotonic()
        assert publisher.poll(0.3) == []
        assert 0.29 <= time.monotonic() - started < 5
        number = publisher.publish("c", "e", 1)
        # Longer than a slice, so that the wait takes several.
        assert [report["id"] for report in publisher.poll(None)] == [number]
    assert publisher.poll(None) == []


def test_the_descriptor_is_readable_while_reports_wait(listen: Listen) -> None:
    with listen().client().publisher(reports="all") as publisher, selectors.DefaultSelector() as selector:
        selector.register(publisher, selectors.EVENT_READ)
        assert selector.select(0) == []
        number = publisher.publish("c", "e", 1)
        assert len(selector.select(20)) == 1
        assert [report["id"] for report in publisher.poll()] == [number]
        assert selector.select(0) == []
        assert publisher.fileno() == publisher.fileno()
        assert not os.get_inheritable(publisher.fileno())


def test_another_publisher_delivers_what_one_did_not_send(listen: Listen) -> None:
    client = listen().client()
    with client.publisher(max_events_per_second=1, reports="all") as publisher:
        numbers = [publisher.publish("c", "e", number) for number in range(100)]
        drained = publisher.drain()
        ended = {report["id"]: report for report in publisher.poll()}
        assert len(ended) == 100
        waiting = [number for number in numbers if ended[number].get("reason") == "drained"]
        assert waiting
        with pytest.raises(errors.Closed):
            publisher.publish("c", "e", 1)
    with client.publisher(reports="all") as other:
        with pytest.raises(errors.InvalidArgument):
            other.restore(drained.replace('"name"', '"colour"'))
        with pytest.raises(errors.InvalidArgument):
            other.restore(drained + "\0")
        restored = other.restore(drained)
        assert [event["drained_id"] for event in restored] == waiting
        other.flush(60)
        assert {report["id"] for report in other.poll()} == {event["id"] for event in restored}
        assert other.stats()["events"]["delivered"] == len(waiting)


def test_flush_waits_and_raises_after_the_timeout(listen: Listen) -> None:
    with listen("late-answer", params={"ms": 1500}).client().publisher() as publisher:
        publisher.publish("c", "e", 1)
        for timeout in (0, 0.3):
            with pytest.raises(TimeoutError) as raised:
                publisher.flush(timeout)
            assert isinstance(raised.value, errors.TimedOut)
            assert str(raised.value)
        publisher.flush(30)
        assert publisher.stats()["events"]["delivered"] == 1


def test_close_ends_what_is_left(listen: Listen) -> None:
    publisher = listen("silence-after-request", times=0).client(timeout=30).publisher(connections=1, max_batch_events=1)
    flying, waiting = publisher.publish("c", "e", 1), publisher.publish("c", "e", 2)
    deadline = time.monotonic() + 10
    while publisher.stats()["queue"]["in_flight"] == 0:
        assert time.monotonic() < deadline
    with pytest.raises(errors.TimedOut):
        publisher.close(0.05)
    reports = {report["id"]: report["delivery"] for report in publisher.poll()}
    assert reports == {flying: "unknown", waiting: "not_sent"}
    with pytest.raises(errors.Closed):
        publisher.publish("c", "e", 3)
    publisher.close()


def test_a_full_queue_is_queue_full(listen: Listen) -> None:
    import queue

    publisher = listen("silence-after-request", times=0).client(timeout=2, retry={"mode": "never"}).publisher(max_queue_events=1)
    with publisher:
        publisher.publish("c", "e", 1)
        with pytest.raises(queue.Full) as raised:
            publisher.publish("c", "e", 2)
        assert isinstance(raised.value, errors.QueueFull)
        assert raised.value.status is Status.QUEUE_FULL


def test_the_wait_for_space_is_in_seconds(listen: Listen) -> None:
    listener = listen("late-answer", params={"ms": 1000})
    with listener.client().publisher(max_queue_events=1, overflow="block") as publisher:
        publisher.publish("c", "e", 1)
        with pytest.raises(errors.QueueFull):
            publisher.publish("c", "e", 2, timeout=0.001)
        publisher.publish("c", "e", 3, timeout=30)
    assert [event["data"] for event in listener.published()] == ["1", "3"]


def test_an_event_for_a_user_has_no_channels(listen: Listen) -> None:
    listener = listen()
    with listener.client().publisher() as publisher:
        publisher.publish(None, "e", {}, user_id="7")
        with pytest.raises(errors.InvalidArgument):
            publisher.publish(None, "e", {})
    assert [event["channel"] for event in listener.published()] == ["#server-to-user-7"]


def test_requested_attributes_are_in_the_report(listen: Listen) -> None:
    with listen().client().publisher(reports="all") as publisher:
        publisher.publish("c", "e", {}, info="subscription_count")
        publisher.flush()
        assert "answer" in publisher.poll()[0]


def test_a_newer_event_replaces_a_waiting_one(listen: Listen) -> None:
    listener = listen("late-answer", params={"ms": 1000})
    with listener.client().publisher(reports="all", connections=1, max_batch_events=1) as publisher:
        publisher.publish("c", "first", 0)
        older, newer = (publisher.publish("c", "price", price, conflate="EUR") for price in (1, 2))
        publisher.flush()
        reports = {report["id"]: report.get("reason") for report in publisher.poll()}
    assert reports[older] == "superseded"
    assert reports[newer] is None
    assert [event["data"] for event in listener.published()] == ["0", "2"]


def test_statistics_are_a_dict_or_in_prometheus_format(listen: Listen) -> None:
    client = listen().client()
    with client.publisher() as publisher:
        publisher.publish("c", "e", {})
        publisher.flush()
        assert publisher.stats()["events"]["delivered"] == 1
    with client.publisher(stats_format="prometheus") as publisher:
        assert "# TYPE" in publisher.stats()


def test_an_exception_in_with_is_not_hidden(listen: Listen) -> None:
    with pytest.raises(ZeroDivisionError), listen().client().publisher() as publisher:
        publisher.publish("c", "e", 1 / 0)
    with pytest.raises(errors.Closed):
        publisher.publish("c", "e", 1)


def test_an_unclosed_publisher_warns(listen: Listen) -> None:
    publisher = listen().client().publisher()
    with pytest.warns(ResourceWarning, match="unclosed"):
        publisher.__del__()
    publisher.close()


def test_a_publisher_that_could_not_be_made_does_not_warn() -> None:
    client = Pusher("1", "k", "s")
    with pytest.raises(errors.InvalidConfig) as raised:
        client.publisher(connections=0)
    assert raised.value.argument == "connections"
    gc.collect()


@pytest.mark.parametrize("wait", ["poll", "flush"])
def test_ctrl_c_ends_a_wait(listen: Listen, wait: str) -> None:
    publisher = listen("silence-after-request", times=0).client(timeout=60).publisher()
    publisher.publish("c", "e", 1)

    def interrupted() -> None:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        getattr(publisher, wait)(None)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - started < 10
    with pytest.raises(errors.TimedOut):
        publisher.close(0)
