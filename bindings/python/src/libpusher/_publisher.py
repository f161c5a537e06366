"""A queue that sends events in the background."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from libpusher import _texts
from libpusher._library import ffi, lib
from libpusher.errors import Status

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from libpusher._client import Pusher, Retry

# Python handles Ctrl-C only between calls into C: each wait is at most this long.
_SLICE = 0.25


class PublisherConfig(TypedDict, total=False):
    """The configuration of a publisher."""

    connections: int
    """Requests under way at the same time: 2."""
    max_queue_events: int
    """Events that have not ended: 10,000."""
    max_queue_bytes: int
    """All they take: 16 MiB."""
    overflow: str
    """When full: `"reject"` raises QueueFull, `"block"` waits up to `timeout`, `"drop_oldest"` gives up the oldest."""
    max_batch_events: int
    max_batch_bytes: int
    linger_ms: int
    """How long the first of several events waits for more: 5. One that is alone never waits."""
    event_ttl_ms: int
    """Events that have waited longer are not sent; 0 for none."""
    max_events_per_second: int
    pace_by_rate_limit: bool
    """Whether to wait before the server would answer 429, by the headers of its rate limit: False."""
    reports: str
    """`"failures"`, `"all"` or `"none"`."""
    max_reports: int
    """How many are kept until they are fetched: 10,000."""
    batch_is_atomic: bool
    """Whether a batch that the server refuses is refused as a whole."""
    retry: Retry
    timeout_ms: int
    stats_format: str
    """`"json"` or `"prometheus"`."""


class Publisher:
    """A queue that sends events in the background, several in one request, each channel's events in order.

    Any number of threads may use a publisher at the same time. In a forked child it raises Forked: make a new one there, from the
    same client. The end of a `with` block closes the publisher, which sends the events published before.
    """

    def __init__(self, client: Pusher, **config: Unpack[PublisherConfig]) -> None:
        self._closed = True
        if "hooks_on_threads" in config:
            raise TypeError("hooks_on_threads: Python functions cannot be called safely on the library's threads")
        self._encode, self._pid = client._encode, os.getpid()
        handle, out = ffi.new("PusherPublisher **"), _texts.place()
        text = _texts.value(config, "config", _texts.own_json)
        _texts.answer(lib.pusher_publisher_new(client._handle, text, handle, out), out)
        self._handle = ffi.gc(handle[0], lib.pusher_publisher_free)
        # The library keeps what it needs of the client, but only the addresses of these.
        self._hooks = client._hooks
        self._closed = False

    def publish(
        self,
        channels: str | bytes | Iterable[str | bytes] | None,
        event_name: str | bytes,
        data: Any,
        socket_id: str | bytes | None = None,
        *,
        info: str | bytes | None = None,
        user_id: str | bytes | None = None,
        conflate: str | None = None,
        idempotency_key: str | None = None,
        fan_out: bool = False,
        extra: Mapping[str, Any] | None = None,
        extra_in_clear: bool | None = None,
        timeout: float | None = None,
    ) -> int:
        """Queues an event without waiting for the network. Raises errors in the arguments at once.

        :param channels: as for `Pusher.trigger`; None with `user_id`.
        :param user_id: sends to a user instead, as `Pusher.send_to_user` does.
        :param conflate: replaces a waiting event with the same channel, name and `conflate`.
        :param idempotency_key: as for `Pusher.trigger`. The event is sent alone, and cannot have `conflate`.
        :param fan_out: as for `Pusher.trigger`. The event has one report.
        :param extra: as for `Pusher.trigger`, like `extra_in_clear`.
        :param timeout: how long to wait for space if `overflow` is `"block"`, in seconds.
        :returns: the event's id, which its report repeats.
        :raises QueueFull: the queue is full, and the event was not queued.
        """
        number, out = ffi.new("uint64_t *"), _texts.place()
        status = lib.pusher_publisher_publish(
            self._handle,
            ffi.NULL if channels is None else _texts.channels(channels),
            _texts.text(event_name, "event"),
            _texts.value(data, "data", self._encode),
            _texts.options(
                timeout,
                socket_id=socket_id,
                info=info,
                user_id=user_id,
                conflate=conflate,
                idempotency_key=idempotency_key,
                fan_out=fan_out or None,
                extra=None if extra is None else dict(extra),
                extra_in_clear=extra_in_clear,
            ),
            number,
            out,
        )
        _texts.answer(status, out)
        return int(number[0])

    def poll(self, timeout: float | None = 0) -> list[dict[str, Any]]:
        """Returns up to 1,000 reports of how events ended, oldest first: `{"id", "status", "delivery", …}`.

        :param timeout: how long to wait for the first report, in seconds; None waits forever. A closed publisher does not
            wait.
        :returns: an empty list if the time was up.
        """
        ends = _end(timeout)
        while True:
            closed, milliseconds = self._closed, _slice(ends)
            out = _texts.place()
            status = lib.pusher_publisher_poll(self._handle, milliseconds, out)
            if status != Status.TIMED_OUT:
                reports: list[dict[str, Any]] = _texts.loads(_texts.answer(status, out))["reports"]
                return reports
            if closed or (ends is not None and time.monotonic() >= ends):
                return []

    def fileno(self) -> int:
        """Returns a descriptor that is readable while reports wait, and when there is space again after `QueueFull`, until the
        next `publish`. Wait on it with `select`, `selectors` or `loop.add_reader`, and then call `poll()`.

        The publisher owns it and closes it when it is freed: never read it or close it, and stop waiting on it before.
        """
        place, out = ffi.new("intptr_t *"), _texts.place()
        _texts.answer(lib.pusher_publisher_fd(self._handle, place, out), out)
        return int(place[0])

    def flush(self, timeout: float | None = None) -> None:
        """Waits until every published event has ended. Meanwhile events do not linger.

        :param timeout: in seconds; None waits forever.
        :raises TimedOut: the time was up first. Nothing is lost.
        """
        ends = _end(timeout)
        while True:
            out = _texts.place()
            status = lib.pusher_publisher_flush(self._handle, _slice(ends), out)
            if status == Status.TIMED_OUT and (ends is None or time.monotonic() < ends):
                _texts.take(out)
                continue
            _texts.answer(status, out)
            return

    def close(self, timeout: float = 10) -> None:
        """Takes no more events and waits until the published events have ended. Reports can still be fetched.

        :param timeout: in seconds. After that, waiting events end as `not_sent` and events that are being sent as `unknown`.
        :raises TimedOut: some events had to be ended.
        """
        out = _texts.place()
        status = lib.pusher_publisher_close(self._handle, _milliseconds(timeout), out)
        self._closed = True
        _texts.answer(status, out)

    def drain(self, timeout: float = 10) -> str:
        """Takes no more events, and returns those that were never sent as a document for `restore` of another publisher, also in
        another process. They end as `not_sent` with the reason `drained`. Keep the document as you would keep their data.

        :param timeout: how long to wait for the requests in flight, in seconds. Events that are still being sent then end as
            `unknown`, and are not in the document. A signal handler that raises meanwhile loses the document.
        """
        out = _texts.place()
        status = lib.pusher_publisher_drain(self._handle, _milliseconds(timeout), out)
        document = _texts.answer(status, out)
        self._closed = True
        return document

    def restore(self, drained: str | bytes) -> list[dict[str, int]]:
        """Queues all events of a document of `drain`, or none. Restore a document once.

        :returns: `{"id", "drained_id"}` of each event: its id here, and the one that it had.
        :raises QueueFull: there is no space for all of them.
        """
        text, out = _texts.text(drained, "drained"), _texts.place()
        answer = _texts.answer(lib.pusher_publisher_restore(self._handle, text, out), out)
        restored: list[dict[str, int]] = json.loads(answer)["restored"]
        return restored

    def stats(self) -> Any:
        """Returns counters and times: a dict, or with `stats_format="prometheus"` a str in Prometheus' format."""
        out = _texts.place()
        status = lib.pusher_publisher_stats(self._handle, out)
        text = _texts.answer(status, out)
        return json.loads(text) if text.startswith("{") else text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed and self._pid == os.getpid():
            warnings.warn(f"unclosed {self!r}: its last events may be lost", ResourceWarning, source=self, stacklevel=2)


def _end(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _slice(ends: float | None) -> int:
    return _milliseconds(_SLICE if ends is None else min(_SLICE, max(0.0, ends - time.monotonic())))


def _milliseconds(timeout: float) -> int:
    # One less than the value that C treats as forever: 49 days.
    return min(max(0, _texts.milliseconds(timeout, "timeout")), 2**32 - 2)
