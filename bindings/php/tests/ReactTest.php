<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\ApiErrorException;
use LibPusher\ConfigurationException;
use LibPusher\NetworkException;
use LibPusher\PublisherException;
use LibPusher\Pusher;
use LibPusher\PusherException;
use LibPusher\React\AsyncPusher;
use LibPusher\Tests\React\Connector;
use LibPusher\Tests\React\EventLoop;
use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;
use React\Promise\PromiseInterface;

/** Promises for ReactPHP, on an event loop of the tests. */
final class ReactTest extends TestCase
{
    private EventLoop $loop;

    protected function setUp(): void
    {
        $this->loop = new EventLoop();
    }

    public function testManyEventsAreInFlightAndTheLoopEndsWithThem(): void
    {
        $listener = FaultServer::listen(['fault' => 'late-answer', 'params' => ['ms' => 300], 'times' => 0]);
        $async = $this->async(FaultServer::client($listener), ['connections' => 20, 'max_batch_events' => 1]);
        $results = [];
        $ticks = 0;
        $tick = $this->loop->addPeriodicTimer(0.01, function () use (&$ticks, &$results, &$tick): void {
            ++$ticks;
            if (count($results) === 20) {
                $this->loop->cancelTimer($tick);
            }
        });
        $started = hrtime(true);
        for ($n = 0; $n < 20; ++$n) {
            $async->triggerAsync("c-$n", 'e', $n)->then(static function (object $result) use (&$results): void {
                $results[] = $result;
            });
        }
        $this->loop->run();
        self::assertEquals(array_fill(0, 20, new \stdClass()), $results);
        self::assertLessThan(3, (hrtime(true) - $started) / 1e9, 'one after another they take 6 s');
        self::assertGreaterThan(5, $ticks);
        self::assertCount(20, $listener->applied());
    }

    public function testAPromiseHasWhatTheCallReturns(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $async = $this->async($pusher);
        $info = ['info' => 'user_count'];
        foreach (['c', ['c'], ['c', 'd']] as $channels) {
            $expected = $pusher->trigger($channels, 'e', 1, $info);
            self::assertEquals($expected, $this->wait($async->triggerAsync($channels, 'e', 1, $info)));
        }
        self::assertEquals(new \stdClass(), $this->wait($async->sendToUserAsync('7', 'e', '{"a":1}', true)));
        self::assertContains(['#server-to-user-7', '{"a":1}'], array_map(
            static fn (array $event): array => [$event['channel'], $event['data']],
            $listener->applied(),
        ));
    }

    public function testTheOtherCallsGoOverTheConnector(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $connector = new Connector($this->loop);
        $async = new AsyncPusher($pusher, [], $this->loop, $connector);
        $batch = [['channel' => 'c', 'name' => 'e', 'data' => 1], ['channel' => 'd', 'name' => 'e', 'data' => 2]];
        self::assertEquals($pusher->getChannels(), $this->wait($async->getChannelsAsync()));
        self::assertEquals($pusher->getChannelInfo('c'), $this->wait($async->getChannelInfoAsync('c')));
        self::assertEquals($pusher->getPresenceUsers('presence-c'), $this->wait($async->getPresenceUsersAsync('presence-c')));
        self::assertEquals($pusher->get('/channels'), $this->wait($async->getAsync('/channels')));
        self::assertEquals($pusher->triggerBatch($batch), $this->wait($async->triggerBatchAsync($batch)));
        $event = ['name' => 'e', 'channel' => 'c', 'data' => '3'];
        self::assertEquals($pusher->post('/events', $event), $this->wait($async->postAsync('/events', $event)));
        self::assertEquals($pusher->terminateUserConnections('7'), $this->wait($async->terminateUserConnectionsAsync('7')));
        self::assertSame(404, $this->failure($async->deleteAsync('/users/7'))->getHttpStatus(), 'the server has no such path');
        self::assertSame(array_fill(0, 8, "tcp://127.0.0.1:$listener->port"), $connector->uris);
        self::assertSame(['1', '2', '1', '2', '3', '3'], array_column($listener->applied(), 'data'));
    }

    /** @return array<string, array{string|null, string, string|null}> */
    public static function faults(): array
    {
        return [
            'nothing listens' => [null, 'not_sent', 'connect'],
            'the response is lost' => ['rst-after-request', 'unknown', null],
            'no response' => ['silence-after-request-applied', 'unknown', 'timeout'],
            'closed without a response' => ['fin-after-request', 'unknown', null],
            'refused' => ['status-403', 'rejected', null],
        ];
    }

    /** @dataProvider faults */
    public function testAFailureTellsTheDelivery(?string $fault, string $delivery, ?string $cause): void
    {
        $options = ['timeout_ms' => $cause === 'timeout' ? 500 : 30_000, 'retry' => ['mode' => 'never']];
        $client = static fn () => $fault === null ? FaultServer::nowhere($options)
            : FaultServer::client(FaultServer::listen(['fault' => $fault, 'times' => 0]), $options);
        foreach ([
            fn () => $this->async($client())->triggerAsync('c', 'e', 1),
            fn () => $this->async($client())->postAsync('/events', ['name' => 'e', 'channel' => 'c', 'data' => '1']),
        ] as $call) {
            $e = $this->failure($call());
            self::assertSame($delivery, $e->getDelivery(), $e->getMessage());
            self::assertInstanceOf($delivery === 'rejected' ? ApiErrorException::class : NetworkException::class, $e);
            self::assertSame($delivery === 'rejected' ? 403 : null, $e->getHttpStatus());
            if ($cause !== null) {
                self::assertSame($cause, $e->getNetworkCause());
            }
            self::assertStringNotContainsString('auth_signature', $e->getMessage());
        }
    }

    /** A connection that never comes does not keep the loop running. */
    public function testACallThatGetsNoConnectionEndsAtItsTimeout(): void
    {
        $listener = FaultServer::listen(['fault' => 'black-hole', 'times' => 0]);
        $async = $this->async(FaultServer::client($listener, ['timeout_ms' => 300]));
        $e = $this->failure($async->postAsync('/events', ['name' => 'e', 'channel' => 'c', 'data' => '1']));
        self::assertSame(['not_sent', 'timeout'], [$e->getDelivery(), $e->getNetworkCause()]);
        $started = hrtime(true);
        $this->loop->run();
        self::assertLessThan(10, (hrtime(true) - $started) / 1e9);
    }

    /** The event was applied, so what is said of a cancelled promise must not be that it was not sent. */
    public function testACancelledPromiseIsUnknownOnceTheRequestMayHaveLeft(): void
    {
        $listener = FaultServer::listen(['fault' => 'silence-after-request-applied', 'times' => 0]);
        $async = $this->async(FaultServer::client($listener, ['timeout_ms' => 60_000]));
        $event = ['name' => 'e', 'channel' => 'c', 'data' => '1'];
        foreach ([$async->triggerAsync('c', 'e', 1), $async->postAsync('/events', $event)] as $index => $promise) {
            $look = $this->loop->addPeriodicTimer(0.05, function () use ($listener, $promise, $index, &$look): void {
                if (count($listener->applied()) > $index) {
                    $this->loop->cancelTimer($look);
                    $promise->cancel();
                }
            });
            $e = $this->failure($promise);
            self::assertSame(['unknown', 'cancelled'], [$e->getDelivery(), $e->getNetworkCause()]);
        }
        $promise = $async->postAsync('/events', $event);
        $promise->cancel();
        $e = $this->failure($promise);
        self::assertSame(['not_sent', 'cancelled'], [$e->getDelivery(), $e->getNetworkCause()]);
        self::assertCount(2, $listener->attempts());
    }

    public function testWrongArgumentsThrowAtOnceAndAFullQueueRejects(): void
    {
        $listener = FaultServer::listen(['fault' => 'late-answer', 'params' => ['ms' => 1000]]);
        $async = $this->async(FaultServer::client($listener), ['max_queue_events' => 1]);
        foreach ([
            fn () => $async->triggerAsync('a b', 'e', 1), fn () => $async->sendToUserAsync('', 'e', 1),
            fn () => $async->triggerBatchAsync([[]]), fn () => $async->postAsync('events', []),
        ] as $index => $call) {
            try {
                $call();
                self::fail("$index");
            } catch (UsageException $e) {
                self::assertSame('not_sent', $e->getDelivery(), "$index");
            }
        }
        $first = $async->triggerAsync('c', 'e', 1);
        $e = $this->failure($async->triggerAsync('c', 'e', 2));
        self::assertInstanceOf(PublisherException::class, $e);
        self::assertSame(['QUEUE_FULL', 'not_sent'], [$e->getStatus(), $e->getDelivery()]);
        self::assertEquals(new \stdClass(), $this->wait($first));
        // The descriptor stays readable, because the queue has space again. The loop must not spin.
        $before = $this->loop->turns;
        $stop = $this->loop->addTimer(0.5, fn () => $this->loop->stop());
        $async->triggerAsync('c', 'e', 3)->then(null, null);
        $this->loop->run();
        $this->loop->cancelTimer($stop);
        self::assertLessThan(200, $this->loop->turns - $before);
    }

    public function testLostReportsLeaveNoPromisePending(): void
    {
        $async = $this->async(FaultServer::client(FaultServer::listen()), ['max_reports' => 2]);
        $deliveries = [];
        for ($n = 0; $n < 5; ++$n) {
            $async->triggerAsync('c', 'e', $n)->then(
                static function () use (&$deliveries): void {
                    $deliveries[] = 'delivered';
                },
                static function (PusherException $e) use (&$deliveries): void {
                    $deliveries[] = $e->getDelivery();
                },
            );
        }
        $async->close();
        sort($deliveries);
        self::assertSame(['delivered', 'delivered', 'unknown', 'unknown', 'unknown'], $deliveries);
        self::assertSame('CLOSED', $this->failure($async->triggerAsync('c', 'e', 1))->getStatus());
        // Nothing is left in the loop.
        $this->loop->run();
    }

    public function testWhatAnAsyncPusherCannotHonourIsRefused(): void
    {
        $pusher = FaultServer::nowhere();
        $proxied = FaultServer::nowhere(['proxy' => 'http://127.0.0.1:1']);
        $cases = [
            'reports' => fn () => new AsyncPusher($pusher, ['reports' => 'none'], $this->loop),
            'overflow' => fn () => new AsyncPusher($pusher, ['overflow' => 'block'], $this->loop),
            'proxy' => fn () => new AsyncPusher($proxied, [], $this->loop, new Connector($this->loop)),
            'getChannelsAsync' => fn () => (new AsyncPusher($proxied, [], $this->loop))->getChannelsAsync(),
        ];
        foreach ($cases as $argument => $case) {
            try {
                $case();
                self::fail($argument);
            } catch (ConfigurationException $e) {
                self::assertSame($argument, $e->getArgument());
            }
        }
    }

    public function testSettledPromisesLeaveNothing(): void
    {
        $async = $this->async(FaultServer::client(FaultServer::listen(['fault' => 'none'])));
        $round = function () use ($async): void {
            for ($n = 0; $n < 500; ++$n) {
                $async->triggerAsync('c', 'e', $n);
            }
            $this->wait($async->getChannelsAsync());
            $this->loop->run();
        };
        $round();
        gc_collect_cycles();
        [$memory, $descriptors] = [memory_get_usage(), count(scandir('/proc/self/fd'))];
        for ($n = 0; $n < 5; ++$n) {
            $round();
        }
        gc_collect_cycles();
        self::assertLessThan(200_000, memory_get_usage() - $memory);
        self::assertLessThanOrEqual($descriptors + 2, count(scandir('/proc/self/fd')));
    }

    /** @param array<string, mixed> $publisher */
    private function async(Pusher $pusher, array $publisher = []): AsyncPusher
    {
        return new AsyncPusher($pusher, $publisher, $this->loop, new Connector($this->loop));
    }

    /** Runs the loop until the promise is settled. */
    private function wait(PromiseInterface $promise): mixed
    {
        $settled = null;
        $promise->then(
            function (mixed $result) use (&$settled): void {
                $settled = [$result, null];
                $this->loop->stop();
            },
            function (\Throwable $e) use (&$settled): void {
                $settled = [null, $e];
                $this->loop->stop();
            },
        );
        if ($settled === null) {
            $limit = $this->loop->addTimer(Wait::SECONDS, fn () => $this->loop->stop());
            $this->loop->run();
            $this->loop->cancelTimer($limit);
        }
        [$result, $e] = $settled ?? self::fail('the promise is not settled');

        return $e === null ? $result : throw $e;
    }

    private function failure(PromiseInterface $promise): PusherException
    {
        try {
            $this->wait($promise);
        } catch (PusherException $e) {
            return $e;
        }
        self::fail('it was delivered');
    }
}
