<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\PusherException;
use LibPusher\Testing\PusherAssertions;
use LibPusher\Testing\Server;
use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\TestCase;

/** The helpers for the tests of applications. docs/testing-your-app.md has an example, which scripts/bindings/php.sh runs. */
final class TestingTest extends TestCase
{
    use PusherAssertions;

    public static function setUpBeforeClass(): void
    {
        putenv('PUSHER_TESTSERVER=' . getenv('FAULT_SERVER'));
    }

    public function testAnEventHasAllThatWasPublished(): void
    {
        $server = $this->pusherServer();
        $pusher = $server->client();
        $pusher->trigger(['a', 'b'], 'e', ['k' => [1, 'ü'], 'l' => 2], ['socket_id' => '1.2']);
        $pusher->sendToUser('7', 'f', 'text');
        $pusher->terminateUserConnections('7');
        [$first, $second, $third] = $server->events();
        self::assertSame(['a', 'e', ['k' => [1, 'ü'], 'l' => 2], '1.2', null], [$first->channel, $first->event, $first->data, $first->socketId, $first->user]);
        self::assertSame(['b', '#server-to-user-7', '7'], [$second->channel, $third->channel, $third->user]);
        self::assertSame([['7'], [], 3], [$server->terminated(), $server->refused(), $server->attempts()]);
        // Objects have no order.
        self::assertEquals($first, $this->assertTriggered('a', 'e', ['l' => 2, 'k' => [1, 'ü']]));
        $server->clear();
        self::assertSame(0, $server->attempts());
        $this->assertNotTriggered();
    }

    public function testWhatFailsSaysWhatWasPublishedAndRefused(): void
    {
        $server = $this->pusherServer();
        $server->client()->trigger('a', 'e', ['k' => 1]);
        $failing = [
            'e on b was not published. Published: e on a: {"k":1}.' => fn () => $this->assertTriggered('b', 'e'),
            'e on a with {"k":"1"} was not published.' => fn () => $this->assertTriggered('a', 'e', ['k' => '1']),
            'Something was published.' => fn () => $this->assertNotTriggered('a'),
        ];
        foreach ($failing as $says => $call) {
            self::assertStringContainsString($says, self::failure($call));
        }
        $this->assertNotTriggered('b');
        $this->assertNotTriggered('a', 'f');
        $server->clear();
        $wrong = new \LibPusher\Pusher($server->config['key'], 'another', '1', ['host' => '127.0.0.1', 'port' => $server->config['port'], 'ssl' => false]);
        try {
            $wrong->trigger('a', 'e', 1);
            self::fail('a wrong signature is accepted');
        } catch (PusherException $e) {
            self::assertSame('UNAUTHORIZED', $e->getStatus());
        }
        $said = self::failure(fn () => $this->assertTriggered('a', 'e'));
        self::assertStringContainsString('Published: nothing. A request was refused: the signature is wrong.', $said);
    }

    public function testFaults(): void
    {
        $server = $this->pusherServer();
        $pusher = $server->client(['retry' => ['mode' => 'never']]);
        $server->failNext('status-403', times: 2, warm: 1);
        $results = [];
        for ($call = 0; $call < 4; $call++) {
            try {
                $pusher->trigger('a', 'e', 1);
                $results[] = 'OK';
            } catch (PusherException $e) {
                $results[] = $e->getStatus();
            }
        }
        self::assertSame(['OK', 'FORBIDDEN', 'FORBIDDEN', 'OK'], $results);
        $server->failNext('late-answer', params: ['ms' => 1]);
        $pusher->trigger('a', 'late', 1);
        self::assertCount(3, $server->waitFor(3));
        self::assertCount(1, $server->find('a', 'late', 1, timeout: 10));
        $tls = new Server(tls: true);
        $tls->client()->trigger('a', 'e', 1);
        self::assertCount(1, $tls->events());
        $tls->close();
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage('there is no fault "nonsense"');
        $server->failNext('nonsense');
    }

    private static function failure(callable $call): string
    {
        try {
            $call();
        } catch (AssertionFailedError $e) {
            return $e->getMessage();
        }
        self::fail('it did not fail');
    }
}
