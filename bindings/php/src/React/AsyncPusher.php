<?php

declare(strict_types=1);

namespace LibPusher\React;

use LibPusher\Answer;
use LibPusher\ConfigurationException;
use LibPusher\Native;
use LibPusher\Publisher;
use LibPusher\Pusher;
use LibPusher\PusherException;
use LibPusher\UsageException;
use React\EventLoop\Loop;
use React\EventLoop\LoopInterface;
use React\EventLoop\TimerInterface;
use React\Promise\Promise;
use React\Promise\PromiseInterface;
use React\Socket\ConnectorInterface;

/**
 * A client for programs with ReactPHP's event loop: its methods do not block, and return promises. They have the names and the
 * arguments of {@see Pusher}.
 *
 *     $async = new LibPusher\React\AsyncPusher($pusher);
 *     $async->triggerAsync('my-channel', 'my-event', ['hello' => 'world'])->then(…, …);
 *
 * A promise is fulfilled with what the method of {@see Pusher} returns, or rejected with the {@see PusherException} that it throws.
 * Wrong arguments throw a {@see UsageException} at once, as the promises of the official SDK do.
 *
 * Events go through a {@see Publisher}, whose threads run no PHP: TLS, retries and proxies are those of the library. The other methods
 * make one attempt over a socket of the connector. While no promise is pending, nothing keeps the loop running.
 */
final class AsyncPusher
{
    /** How long the descriptor rests if it is readable without reports, because the queue has space again. */
    private const REST_SECONDS = 0.05;

    /** How often to look for events whose reports were lost. */
    private const CHECK_SECONDS = 1.0;

    private readonly LoopInterface $loop;
    private readonly Publisher $publisher;

    /** @var resource the publisher's descriptor */
    private $stream;
    private bool $watches = false;
    private ?TimerInterface $check = null;

    /** @var array<int, array{callable, callable, string|array|null}> by the event's id: both ends of its promise, and its channels */
    private array $pending = [];

    /**
     * @param array<string, mixed> $publisher the keys of `pusher_publisher_new` except `reports`: connections, linger_ms, …
     * @param LoopInterface|null $loop null: `Loop::get()`
     * @param ConnectorInterface|null $connector makes the connections of all methods that publish no single event, such as
     *     `new React\Socket\Connector()`; its options say what TLS accepts. Without one, these methods throw.
     * @throws ConfigurationException
     */
    public function __construct(
        private readonly Pusher $pusher,
        array $publisher = [],
        ?LoopInterface $loop = null,
        private readonly ?ConnectorInterface $connector = null,
    ) {
        if (isset($publisher['reports']) || ($publisher['overflow'] ?? null) === 'block') {
            self::refuse(isset($publisher['reports']) ? 'reports' : 'overflow', 'is not for promises');
        }
        if ($connector !== null && $pusher->connectionOptions() !== []) {
            self::refuse($pusher->connectionOptions()[0], 'cannot be combined with a connector: set it there, or use no connector');
        }
        $this->loop = $loop ?? Loop::get();
        $this->publisher = $pusher->publisher(['reports' => 'all'] + $publisher);
        // The name duplicates the descriptor. It exists on the command line only, and so do event loops.
        $this->stream = @fopen('php://fd/' . $this->publisher->fd(), 'r') ?: self::refuse('loop', 'needs the command line of PHP');
    }

    /**
     * @param string|list<string> $channels
     * @param array<string, mixed> $params as for {@see Pusher::trigger()}, and `conflate`
     * @throws UsageException
     * @see Pusher::triggerAsync()
     */
    public function triggerAsync(
        string|array $channels,
        string $event,
        mixed $data,
        array $params = [],
        bool $already_encoded = false,
    ): PromiseInterface {
        return $this->publish($channels, $event, $data, $params, $already_encoded);
    }

    /**
     * @param array<string, mixed> $params `timeout_ms`
     * @throws UsageException
     * @see Pusher::sendToUserAsync()
     */
    public function sendToUserAsync(
        string $user_id,
        string $event,
        mixed $data,
        bool $already_encoded = false,
        array $params = [],
    ): PromiseInterface {
        return $this->publish(null, $event, $data, ['user_id' => $user_id] + $params, $already_encoded);
    }

    /**
     * @param list<array<string, mixed>> $batch
     * @param array<string, mixed> $params
     * @throws UsageException
     * @see Pusher::triggerBatchAsync()
     */
    public function triggerBatchAsync(array $batch = [], bool $already_encoded = false, array $params = []): PromiseInterface
    {
        return $this->request('triggerBatch', [$batch, $already_encoded, $params]);
    }

    /**
     * @param array<string, mixed> $params
     * @throws UsageException
     * @see Pusher::terminateUserConnectionsAsync()
     */
    public function terminateUserConnectionsAsync(string $user_id, array $params = []): PromiseInterface
    {
        return $this->request('terminateUserConnections', [$user_id, $params]);
    }

    /**
     * @param array<string, mixed> $params
     * @throws UsageException
     * @see Pusher::getChannels()
     */
    public function getChannelsAsync(array $params = []): PromiseInterface
    {
        return $this->request('getChannels', [$params]);
    }

    /**
     * @param array<string, mixed> $params
     * @throws UsageException
     * @see Pusher::getChannelInfo()
     */
    public function getChannelInfoAsync(string $channel, array $params = []): PromiseInterface
    {
        return $this->request('getChannelInfo', [$channel, $params]);
    }

    /**
     * @param array<string, mixed> $params
     * @throws UsageException
     * @see Pusher::getPresenceUsers()
     */
    public function getPresenceUsersAsync(string $channel, array $params = []): PromiseInterface
    {
        return $this->request('getPresenceUsers', [$channel, $params]);
    }

    /**
     * @param array<string, string|int|bool> $params
     * @param array<string, mixed> $options
     * @throws UsageException
     * @see Pusher::get()
     */
    public function getAsync(string $path, array $params = [], array $options = []): PromiseInterface
    {
        return $this->request('get', [$path, $params, false, $options]);
    }

    /**
     * @param array<string, string|int|bool> $params
     * @param array<string, mixed> $options
     * @throws UsageException
     * @see Pusher::postAsync()
     */
    public function postAsync(string $path, mixed $body = null, array $params = [], array $options = []): PromiseInterface
    {
        return $this->request('post', [$path, $body, $params, $options]);
    }

    /**
     * @param array<string, string|int|bool> $params
     * @param array<string, mixed> $options
     * @throws UsageException
     * @see Pusher::delete()
     */
    public function deleteAsync(string $path, array $params = [], array $options = []): PromiseInterface
    {
        return $this->request('delete', [$path, $params, $options]);
    }

    /**
     * Takes no more events, and settles the promises of those that were published. It blocks the loop for at most the time, and not at
     * all if all promises are settled.
     */
    public function close(int $timeout_ms = 5000): void
    {
        $this->publisher->close($timeout_ms);
        $this->settleLost();
    }

    private function publish(
        string|array|null $channels,
        string $event,
        mixed $data,
        array $params,
        bool $already_encoded,
    ): PromiseInterface {
        $refused = $id = null;
        try {
            $id = $this->publisher->publish($channels, $event, $data, $params, $already_encoded);
        } catch (UsageException $e) {
            throw $e;
        } catch (PusherException $e) {
            // The queue is full or closed.
            $refused = $e;
        }

        return new Promise(
            function (callable $resolve, callable $reject) use ($id, $channels, $refused): void {
                if ($refused !== null) {
                    $reject($refused);

                    return;
                }
                $this->pending[$id] = [$resolve, $reject, $channels];
                $this->watch();
            },
            function () use ($id): void {
                $this->giveUp($id, 'cancelled', 'the promise was cancelled, but not the event, which may be delivered');
            },
        );
    }

    /** @param list<mixed> $arguments of the method `$call` */
    private function request(string $call, array $arguments): PromiseInterface
    {
        if ($this->connector === null) {
            self::refuse("{$call}Async", 'needs a connector, such as React\Socket\Connector');
        }
        $request = $this->pusher->prepare($call, ...$arguments);

        return (new Exchange($request, $this->loop))->promise($this->connector);
    }

    /** Keeps the loop running until all promises are settled. */
    private function watch(): void
    {
        if (!$this->watches && $this->pending !== []) {
            $this->watches = true;
            $this->loop->addReadStream($this->stream, $this->settleReported(...));
            $this->check ??= $this->loop->addPeriodicTimer(self::CHECK_SECONDS, $this->settleLost(...));
        }
    }

    private function rest(): void
    {
        if ($this->watches) {
            $this->watches = false;
            $this->loop->removeReadStream($this->stream);
        }
        if ($this->pending === [] && $this->check !== null) {
            $this->loop->cancelTimer($this->check);
            $this->check = null;
        }
    }

    private function settleReported(): void
    {
        if ($this->settle() === 0 && $this->pending !== []) {
            $this->rest();
            $this->loop->addTimer(self::REST_SECONDS, $this->watch(...));
        }
    }

    /** Settles what has ended without a report: a publisher discards reports if too many wait while the loop is blocked. */
    private function settleLost(): void
    {
        try {
            $ended = $this->publisher->stats()->queue->events === 0;
        } catch (PusherException) {
            // In a forked child. settle() rejects the promises.
            $ended = false;
        }
        while ($this->settle() > 0) {
            // More may wait.
        }
        foreach ($ended ? array_keys($this->pending) : [] as $id) {
            $this->giveUp($id, null, 'the report of this event was lost, because too many waited');
        }
    }

    /** Fetches reports, settles their promises, and returns their number. */
    private function settle(): int
    {
        try {
            $reports = $this->publisher->poll();
        } catch (PusherException $e) {
            foreach (array_keys($this->pending) as $id) {
                $this->giveUp($id, null, "no report of this event can be fetched: {$e->getMessage()}");
            }

            return 0;
        }
        foreach ($reports as $report) {
            if (!isset($this->pending[$report->id])) {
                // It was given up.
                continue;
            }
            [$resolve, $reject, $channels] = $this->pending[$report->id];
            unset($this->pending[$report->id]);
            if ($report->delivery === 'delivered') {
                $resolve(self::result($report, $channels));
            } else {
                $document = json_decode((string) json_encode($report), true);
                $reject(PusherException::of(self::code($report->status), array_diff_key($document, ['id' => true])));
            }
        }
        if ($this->pending === []) {
            $this->rest();
        }

        return count($reports);
    }

    private function giveUp(?int $id, ?string $cause, string $message): void
    {
        if (!isset($this->pending[$id])) {
            return;
        }
        [, $reject] = $this->pending[$id];
        unset($this->pending[$id]);
        $document = ['status' => 'DELIVERY_UNKNOWN', 'message' => $message, 'delivery' => 'unknown'];
        $reject(PusherException::of(Native::DELIVERY_UNKNOWN, $document + ($cause === null ? [] : ['cause' => $cause])));
        if ($this->pending === []) {
            $this->rest();
        }
    }

    /**
     * Returns what `trigger` returns: an object, with the attributes that `info` asked for, by channel.
     *
     * @param string|list<string>|null $channels
     */
    private static function result(object $report, string|array|null $channels): object
    {
        $answer = $report->answer ?? null;
        if ($answer === null || is_string($answer) || $channels === null) {
            return new \stdClass();
        }
        $channels = (array) $channels;

        return (object) ['channels' => count($channels) === 1 ? [reset($channels) => $answer] : (array) $answer];
    }

    /** Returns the number of a status. */
    private static function code(string $name): int
    {
        static $codes = [];
        if ($codes === []) {
            foreach (range(0, Native::INTERNAL) as $code) {
                $codes[Native::ffi()->pusher_status_name($code)] ??= $code;
            }
        }

        return $codes[$name] ?? Native::INTERNAL;
    }

    private static function refuse(string $argument, string $problem): never
    {
        $document = ['status' => 'INVALID_CONFIG', 'message' => "$argument: $problem", 'argument' => $argument];
        throw new ConfigurationException($document, Native::INVALID_CONFIG);
    }
}
