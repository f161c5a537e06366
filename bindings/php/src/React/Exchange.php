<?php

declare(strict_types=1);

namespace LibPusher\React;

use LibPusher\PusherException;
use LibPusher\Request;
use React\EventLoop\LoopInterface;
use React\EventLoop\TimerInterface;
use React\Promise\Promise;
use React\Promise\PromiseInterface;
use React\Socket\ConnectionInterface;
use React\Socket\ConnectorInterface;

/**
 * Sends a signed request over a connection of ReactPHP, once, and settles a promise with what happened to it.
 *
 * @internal
 */
final class Exchange
{
    private ?PromiseInterface $connecting = null;
    private ?ConnectionInterface $connection = null;
    private ?TimerInterface $timer = null;
    private bool $ended = false;

    /** @var callable */
    private $resolve;

    /** @var callable */
    private $reject;

    public function __construct(private readonly Request $request, private readonly LoopInterface $loop)
    {
    }

    public function promise(ConnectorInterface $connector): PromiseInterface
    {
        return new Promise(
            function (callable $resolve, callable $reject) use ($connector): void {
                [$this->resolve, $this->reject] = [$resolve, $reject];
                $this->connect($connector);
            },
            fn () => $this->fail('cancelled', 'the promise was cancelled'),
        );
    }

    private function connect(ConnectorInterface $connector): void
    {
        $time = $this->request->getTimeoutMs();
        if ($time === 0) {
            $this->fail('timeout', 'the time was up before the request was sent');

            return;
        }
        $this->timer = $this->loop->addTimer($time / 1000, fn () => $this->fail('timeout', 'no response within the time limit'));
        $host = $this->request->getHost();
        $host = str_contains($host, ':') ? "[$host]" : $host;
        $this->connecting = $connector->connect(($this->request->isTls() ? 'tls' : 'tcp') . "://$host:{$this->request->getPort()}");
        $this->connecting->then(
            $this->send(...),
            fn (mixed $e) => $this->fail('connect', $e instanceof \Throwable ? $e->getMessage() : 'there was no connection'),
        );
    }

    private function send(ConnectionInterface $connection): void
    {
        if ($this->ended) {
            $connection->close();

            return;
        }
        $this->connection = $connection;
        $connection->on('data', fn (string $data) => $this->feed($data));
        $connection->on('close', fn () => $this->feed(''));
        $connection->write($this->request->toBytes());
    }

    /** @param string $data empty at the end of the connection */
    private function feed(string $data): void
    {
        if (!$this->ended && $this->request->feed($data)[0] !== 0) {
            $this->end(fn (): mixed => $this->request->finish());
        }
    }

    /** Ends without a response. Once the connection has the request, nobody knows what of it was sent. */
    private function fail(string $cause, string $message): void
    {
        $delivery = $this->connection === null ? 'not_sent' : 'unknown';
        $this->end(fn (): mixed => $this->request->fail($delivery, $cause, str_replace("\0", '', $message)));
    }

    /** @param callable(): mixed $work returns the result, or throws the failure */
    private function end(callable $work): void
    {
        if ($this->ended) {
            return;
        }
        $this->ended = true;
        if ($this->timer !== null) {
            $this->loop->cancelTimer($this->timer);
        }
        $this->connection?->close();
        // No effect on a connection that there is. react/promise 2 has no cancel() in its interface.
        if ($this->connecting !== null && method_exists($this->connecting, 'cancel')) {
            $this->connecting->cancel();
        }
        try {
            $result = $work();
        } catch (PusherException $e) {
            ($this->reject)($e);

            return;
        }
        ($this->resolve)($result);
    }
}
