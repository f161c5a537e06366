<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\ApiErrorException;
use LibPusher\Arguments;
use LibPusher\NetworkException;
use LibPusher\Request;
use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;

final class RequestTest extends TestCase
{
    public function testAnotherHttpClientSendsIt(): void
    {
        $listener = FaultServer::listen();
        $request = FaultServer::client($listener)->prepare('trigger', 'c', 'e', ['n' => 1], ['socket_id' => '1.2']);
        self::assertEquals(new \stdClass(), self::send($request));
        self::assertEquals([['channel' => 'c', 'name' => 'e', 'data' => '{"n":1}', 'socket_id' => '1.2']], $listener->applied());
    }

    public function testEveryCallCanBePrepared(): void
    {
        $pusher = FaultServer::client(FaultServer::listen());
        $calls = [
            'trigger' => ['c', 'e', 1],
            'triggerBatch' => [[['channel' => 'c', 'name' => 'e', 'data' => 1]]],
            'sendToUser' => ['u', 'e', 1],
            'terminateUserConnections' => ['u'],
            'getChannels' => [],
            'getChannelInfo' => ['c'],
            'getPresenceUsers' => ['presence-c'],
            'get' => ['/channels'],
            'post' => ['/events', ['name' => 'e', 'channel' => 'c', 'data' => 'x']],
            'delete' => ['/channels/c'],
        ];
        self::assertSame(array_keys(Arguments::FUNCTIONS), array_keys($calls));
        foreach ($calls as $call => $arguments) {
            self::assertIsObject(self::send($pusher->prepare($call, ...$arguments)), $call);
        }
        $query = ['info' => 'user_count', 'filter_by_prefix' => 'presence-'];
        self::assertSame([], self::send($pusher->prepare('getChannels', $query))->channels);
        $this->expectExceptionMessage('call: is not the name of a method that makes a network call');
        $pusher->prepare('authorizeChannel', 'private-c', '1.2');
    }

    /** The README's sample interprets a failure of curl. */
    public function testCurlKnowsWhetherARequestMayHaveBeenSent(): void
    {
        $listener = FaultServer::listen(['fault' => 'rst-after-request']);
        $cases = [
            [FaultServer::nowhere(), 'NOT_SENT', 'not_sent'],
            [FaultServer::client($listener), 'DELIVERY_UNKNOWN', 'unknown'],
        ];
        foreach ($cases as [$pusher, $status, $delivery]) {
            try {
                self::send($pusher->prepare('trigger', 'c', 'e', 1));
                self::fail('it was sent');
            } catch (NetworkException $e) {
                self::assertSame([$status, $delivery, 'transport'], [$e->getStatus(), $e->getDelivery(), $e->getNetworkCause()]);
            }
        }
    }

    public function testARefusalThrowsLikeTheCall(): void
    {
        try {
            FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1)->finish(429, 'slow down', ['Retry-After' => '3']);
            self::fail('it was taken');
        } catch (ApiErrorException $e) {
            self::assertSame(['RATE_LIMITED', 'rejected', 3000], [$e->getStatus(), $e->getDelivery(), $e->getRetryAfterMs()]);
            self::assertSame(['slow down', 429, true], [$e->getResponse(), $e->getHttpStatus(), $e->isRetryable()]);
        }
    }

    public function testAnErrorHasTheServersCodeAndRateLimit(): void
    {
        try {
            FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1)
                ->finish(429, '{"code":"rate_limited"}', ['X-RateLimit-Limit' => '100', 'X-RateLimit-Remaining' => '0']);
            self::fail('it was taken');
        } catch (ApiErrorException $e) {
            self::assertSame('rate_limited', $e->getServerCode());
            self::assertSame(['limit' => 100, 'remaining' => 0], $e->getRateLimit());
        }
    }

    public function testAFailureThrowsLikeTheCall(): void
    {
        foreach (['not_sent' => 'NOT_SENT', 'unknown' => 'DELIVERY_UNKNOWN'] as $delivery => $status) {
            try {
                FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1)->fail($delivery, 'timeout', 'the time is up');
            } catch (NetworkException $e) {
                self::assertSame([$status, $delivery, 'timeout'], [$e->getStatus(), $e->getDelivery(), $e->getNetworkCause()]);
                self::assertStringContainsString('the time is up', $e->getMessage());
            }
        }
        $this->expectExceptionMessage('delivery: must be not_sent or unknown');
        FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1)->fail('rejected');
    }

    public function testASocketNeedsNoHttpClient(): void
    {
        $listener = FaultServer::listen();
        $request = FaultServer::client($listener)->prepare('trigger', 'c', 'e', 1);
        self::assertFalse($request->isTls());
        $socket = stream_socket_client("tcp://{$request->getHost()}:{$request->getPort()}");
        fwrite($socket, $request->toBytes());
        do {
            [$state] = $request->feed((string) fread($socket, 1));
        } while ($state === 0);
        self::assertSame([1, [1, 0]], [$state, $request->feed('more')]);
        self::assertEquals(new \stdClass(), $request->finish());
        self::assertCount(1, $listener->applied());
    }

    public function testAResponseThatIsNotWholeIsUnknown(): void
    {
        $request = FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1);
        self::assertSame([[0, 9], [-1, 0]], [$request->feed('HTTP/1.1 '), $request->feed('')]);
        try {
            $request->finish();
            self::fail('it was taken');
        } catch (NetworkException $e) {
            self::assertSame(['DELIVERY_UNKNOWN', 'unknown'], [$e->getStatus(), $e->getDelivery()]);
        }
    }

    public function testANulByteInAResponseIsRefused(): void
    {
        $request = FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1);
        $says = [
            ['headers', fn () => $request->finish(200, '{}', ["Date\0" => 'x'])],
            ['headers', fn () => $request->finish(200, '{}', ['Date' => "x\0"])],
            ['cause', fn () => $request->fail('unknown', "timeout\0")],
            ['message', fn () => $request->fail('unknown', message: "\0")],
        ];
        foreach ($says as [$argument, $say]) {
            try {
                $say();
                self::fail("$argument was taken");
            } catch (UsageException $e) {
                self::assertSame(['INVALID_ARGUMENT', $argument], [$e->getStatus(), $e->getArgument()]);
            }
        }
        // None of these finished it; a request can be finished once.
        self::assertEquals(new \stdClass(), $request->finish(200, '{}'));
        $this->expectException(UsageException::class);
        $this->expectExceptionCode(3);
        $request->finish(200, '{}');
    }

    /** The event was delivered: an exception would make the program send it again. */
    public function testNoResponseOfADeliveredEventThrows(): void
    {
        $pusher = FaultServer::nowhere();
        $nested = static fn (int $depth): string => '{"a":' . str_repeat('[', $depth) . str_repeat(']', $depth) . '}';
        self::assertIsArray($pusher->prepare('trigger', 'c', 'e', 1)->finish(200, $nested(500))->a);
        $values = [
            '', 'null', 'true', '7', '1e999', '12345678901234567890', '"x"', '[]', '[1,"a",{}]', '{}', '{"channels":7}', '{"channels":[1]}',
            '{"channels":{"":{}}}', '{"batch":{}}', '{"error":{"status":"NOT_SENT"}}', '{"\u0000a":1}', '{"channels":{"\u0000a":{}}}',
            $nested(100_000), "\xff", 'no JSON', '{"a":1,"a":2}',
        ];
        $calls = [
            'trigger' => ['c', 'e', 1], 'triggerBatch' => [[['channel' => 'c', 'name' => 'e', 'data' => 1]]], 'sendToUser' => ['u', 'e', 1],
            'terminateUserConnections' => ['u'], 'post' => ['/events', []], 'delete' => ['/channels/c'],
        ];
        foreach ($values as $body) {
            foreach ($calls as $call => $arguments) {
                try {
                    $answer = $pusher->prepare($call, ...$arguments)->finish(200, $body);
                    self::assertTrue(is_object($answer) || in_array($call, ['post', 'delete'], true), "$call: $body");
                } catch (NetworkException $e) {
                    // The library itself cannot read it.
                    self::assertSame('BAD_RESPONSE', $e->getStatus(), "$call: $body");
                    self::assertNull(json_decode($body), "$call: $body");
                }
            }
        }
    }

    public function testAQueryIsAnsweredWithAnyJson(): void
    {
        $pusher = FaultServer::nowhere();
        $calls = ['getChannels' => [], 'getChannelInfo' => ['c'], 'getPresenceUsers' => ['presence-c'], 'get' => ['/channels']];
        foreach (['null', 'true', '7', '1.5', '"x"', '[]', '[1]', '{}', '{"channels":7}', '{"users":{}}', '{"\u0000a":1}'] as $body) {
            foreach ($calls as $call => $arguments) {
                try {
                    $answer = $pusher->prepare($call, ...$arguments)->finish(200, $body);
                    self::assertTrue($call === 'get' || is_object($answer), "$call: $body");
                } catch (NetworkException $e) {
                    self::assertSame(['BAD_RESPONSE', null], [$e->getStatus(), $e->getDelivery()]);
                    self::assertStringContainsString('\u0000', $body);
                }
            }
        }
        $this->expectException(NetworkException::class);
        $pusher->prepare('getChannels')->finish(200, '{"a":' . str_repeat('[', 100_000) . str_repeat(']', 100_000) . '}');
    }

    public function testItHasWhatAnHttpClientNeeds(): void
    {
        $pusher = FaultServer::nowhere();
        $request = $pusher->prepare('trigger', 'c', 'e', 'grüße');
        self::assertSame(['POST', 'application/json'], [$request->getMethod(), $request->getHeaders()['content-type']]);
        self::assertSame('grüße', json_decode($request->getBody())->data);
        self::assertThat($request->getTimeoutMs(), self::logicalAnd(self::greaterThan(0), self::lessThanOrEqual(5000)));
        $get = $pusher->prepare('getChannels', ['filter_by_prefix' => 'presence-']);
        self::assertSame(['GET', ''], [$get->getMethod(), $get->getBody()]);
        self::assertStringContainsString('filter_by_prefix=presence-', $get->getUrl());
    }

    public function testItOutlivesItsClient(): void
    {
        $request = FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1);
        gc_collect_cycles();
        self::assertEquals(new \stdClass(), $request->finish(200, '{}'));
    }

    /** As the README does it. */
    private static function send(Request $request): mixed
    {
        $answered = [];
        $curl = curl_init($request->getUrl());
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $request->getMethod(),
            CURLOPT_HTTPHEADER => array_map(
                static fn (string $name, string $value): string => "$name: $value",
                array_keys($request->getHeaders()),
                $request->getHeaders(),
            ),
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => max($request->getTimeoutMs(), 1),
            CURLOPT_HEADERFUNCTION => static function ($curl, string $line) use (&$answered): int {
                [$name, $value] = explode(':', $line, 2) + [1 => ''];
                $answered[$name][] = trim($value);

                return strlen($line);
            },
        ]);
        if ($request->getMethod() === 'POST') {
            curl_setopt($curl, CURLOPT_POSTFIELDS, $request->getBody());
        }
        $body = curl_exec($curl);
        if ($body === false) {
            $left = curl_getinfo($curl, CURLINFO_PRETRANSFER_TIME_T) !== 0;
            $request->fail($left ? 'unknown' : 'not_sent', message: curl_error($curl));
        }

        return $request->finish(curl_getinfo($curl, CURLINFO_HTTP_CODE), $body, $answered);
    }
}
