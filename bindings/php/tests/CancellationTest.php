<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\NetworkException;
use PHPUnit\Framework\TestCase;

final class CancellationTest extends TestCase
{
    public function testACancelledObjectSendsNothingAndItsClonesGoOn(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $pusher->trigger('c', 'first', 1);
        $clone = clone $pusher;
        $clone->trigger('c', 'second', 1);
        $clone->cancel();
        foreach ([static fn () => $clone->trigger('c', 'e', 1), static fn () => $clone->getChannels()] as $call) {
            try {
                $call();
                self::fail('it was sent');
            } catch (NetworkException $e) {
                self::assertSame(['NOT_SENT', 'cancelled'], [$e->getStatus(), $e->getDocument()['cause']]);
                self::assertFalse($e->isRetryable());
            }
        }
        // Signing goes on, and so do other objects.
        self::assertStringContainsString('auth', $clone->authorizeChannel('private-c', '1.2'));
        (clone $clone)->trigger('c', 'third', 1);
        $pusher->trigger('c', 'fourth', 1);
        self::assertSame(['first', 'second', 'third', 'fourth'], array_column($listener->applied(), 'name'));
        self::assertSame(1, $listener->ledger()['connections']);
    }

    public function testACloneOutlivesItsObject(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $clone = clone $pusher;
        unset($pusher);
        $clone->trigger('c', 'e', 1);
        self::assertCount(1, $listener->applied());
    }
}
