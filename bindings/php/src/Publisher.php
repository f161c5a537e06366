<?php

declare(strict_types=1);

namespace LibPusher;

use FFI;

/**
 * A queue that sends events in the background, on the library's threads, which run no PHP. Only the process that made it may use it: in
 * a forked child every call throws a {@see PublisherException} with the status `FORKED`.
 *
 *     $publisher = $pusher->publisher(['reports' => 'failures']);
 *     $publisher->publish('my-channel', 'my-event', ['hello' => 'world']);
 *     …
 *     $publisher->close();
 *     foreach ($publisher->poll() as $report) { … }
 */
final class Publisher
{
    /** PHP handles signals between C calls, so each wait is at most this long. */
    private const SLICE_MS = 100;

    private readonly Handle $handle;
    private bool $closed = false;

    /**
     * @internal
     * @param array<string, mixed> $config
     */
    public function __construct(Handle $client, array $config)
    {
        $this->handle = Native::make(
            'PusherPublisher',
            'pusher_publisher_free',
            'pusher_publisher_new',
            [$client->pointer, Arguments::object($config, 'config')],
        );
    }

    /**
     * Queues an event without waiting for the network. With `overflow` set to `block` it waits for space.
     *
     * @param string|list<string>|null $channels null with the parameter `user_id`
     * @param mixed $data as for {@see Pusher::trigger()}
     * @param array<string, mixed> $params `socket_id`, `info`, `user_id`, `conflate`, `idempotency_key`, `extra`, `extra_in_clear`,
     *     `fan_out`, `timeout_ms`
     * @return int the event's id, which its report repeats
     * @throws PublisherException it was not queued: `QUEUE_FULL`, `CLOSED` or `FORKED`.
     * @throws PusherException
     */
    public function publish(
        string|array|null $channels,
        string $event,
        mixed $data,
        array $params = [],
        bool $already_encoded = false,
    ): int {
        $id = Native::ffi()->new('uint64_t');
        $texts = Arguments::trigger($channels, $event, $data, $params, $already_encoded);
        Native::call('pusher_publisher_publish', [$this->handle->pointer, ...$texts, FFI::addr($id)]);

        return $id->cdata;
    }

    /**
     * Returns reports of how events ended, and waits for the first of them.
     *
     * @param int|null $timeout_ms how long to wait; null waits forever
     * @return list<object> at most 1,000, oldest first, each with `id`, `delivery`, `status` and further members. Empty if the
     *     time is up, or if the publisher is closed and all reports were fetched.
     * @throws PublisherException
     */
    public function poll(?int $timeout_ms = 0): array
    {
        $document = null;
        $this->wait($timeout_ms, function (int $time) use (&$document): bool {
            $closed = $this->closed;
            $document = Native::call('pusher_publisher_poll', [$this->handle->pointer, $time], Native::TIMED_OUT);

            // A closed publisher has nothing to wait for.
            return $document !== null || $closed;
        });

        return $document === null ? [] : Answer::reports($document);
    }

    /**
     * Returns a descriptor that is readable while reports wait, and when there is space again after `QUEUE_FULL` until the next
     * {@see publish()}. PHP makes no stream of a number, except by the name `php://fd/NUMBER`, which duplicates it, in the CLI:
     *
     *     $stream = fopen('php://fd/' . $publisher->fd(), 'r');
     *     $read = [$stream];
     *     stream_select($read, $write, $except, 1);
     *
     * Never read from the stream, and call {@see poll()} instead.
     *
     * @throws PublisherException
     */
    public function fd(): int
    {
        $place = Native::ffi()->new('intptr_t');
        Native::call('pusher_publisher_fd', [$this->handle->pointer, FFI::addr($place)]);

        return $place->cdata;
    }

    /**
     * Waits until every published event has ended.
     *
     * @param int|null $timeout_ms how long to wait; null waits forever
     * @return bool whether they have ended
     * @throws PublisherException
     */
    public function flush(?int $timeout_ms = null): bool
    {
        return $this->wait($timeout_ms, fn (int $time): bool => $this->ended('pusher_publisher_flush', $time));
    }

    /**
     * Takes no more events and waits until the published events have ended. Events that have not ended by then end as `not_sent` or
     * `unknown`. Reports can still be fetched.
     *
     * @param int $timeout_ms how long to wait; nothing interrupts it
     * @return bool whether all events ended in time
     * @throws PublisherException
     */
    public function close(int $timeout_ms = 5000): bool
    {
        $ended = $this->ended('pusher_publisher_close', max($timeout_ms, 0));
        $this->closed = true;

        return $ended;
    }

    /**
     * Takes no more events, and returns those that were never sent as a document for {@see restore()} of another publisher, also in
     * another process. They end as `not_sent` with the reason `drained`. Keep the document as you would keep their data.
     *
     * @param int $timeout_ms how long to wait for the requests in flight; nothing interrupts it. Events that are still being sent
     *     then end as `unknown`, and are not in the document.
     * @throws PublisherException
     */
    public function drain(int $timeout_ms = 5000): string
    {
        $document = Native::call('pusher_publisher_drain', [$this->handle->pointer, max($timeout_ms, 0)]);
        $this->closed = true;

        return $document;
    }

    /**
     * Queues all events of a document of {@see drain()}, or none. Restore a document once.
     *
     * @return list<object> `id` and `drained_id` of each event: its id here, and the one that it had
     * @throws PublisherException none was queued: `QUEUE_FULL`, `CLOSED` or `FORKED`
     */
    public function restore(#[\SensitiveParameter] string $drained): array
    {
        $text = Arguments::text($drained, 'drained');
        $document = Native::call('pusher_publisher_restore', [$this->handle->pointer, $text]);

        return Answer::read($document)->restored;
    }

    /**
     * Returns counters and times.
     *
     * @return object|string a string in Prometheus' format if `stats_format` is `prometheus`
     * @throws PublisherException
     */
    public function stats(): object|string
    {
        $document = Native::call('pusher_publisher_stats', [$this->handle->pointer]);

        return str_starts_with($document, '{') ? Answer::read($document) : $document;
    }

    /** Returns whether a waiting C function returned OK, not TIMED_OUT. */
    private function ended(string $function, int $timeout_ms): bool
    {
        $status = Native::OK;
        Native::call($function, [$this->handle->pointer, $timeout_ms], Native::TIMED_OUT, $status);

        return $status === Native::OK;
    }

    /** Calls the function with slices of the time until it returns true. */
    private function wait(?int $timeout_ms, callable $work): bool
    {
        $finish = $timeout_ms === null ? null : self::now() + max($timeout_ms, 0);
        while (true) {
            $left = $finish === null ? self::SLICE_MS : max($finish - self::now(), 0);
            if ($work(min($left, self::SLICE_MS))) {
                return true;
            }
            if ($finish !== null && $left <= self::SLICE_MS) {
                return false;
            }
        }
    }

    private static function now(): int
    {
        return intdiv(hrtime(true), 1_000_000);
    }
}
