<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use GuzzleHttp\Client;
use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Handler\CurlHandler;
use GuzzleHttp\Handler\MockHandler;
use GuzzleHttp\Handler\StreamHandler;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware;
use GuzzleHttp\Promise\Create;
use GuzzleHttp\Promise\Utils;
use GuzzleHttp\Psr7\Request;
use GuzzleHttp\Psr7\Response;
use LibPusher\ApiErrorException;
use LibPusher\ConfigurationException;
use LibPusher\NetworkException;
use LibPusher\Pusher;
use LibPusher\PusherException;
use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;

/** The fifth argument of the constructor, and the methods that return promises. */
final class GuzzleTest extends TestCase
{
    protected function setUp(): void
    {
        OldGuzzle::begin();
    }

    protected function tearDown(): void
    {
        OldGuzzle::end();
    }

    public function testTheClientOfTheProgramSendsEachRequest(): void
    {
        $listener = FaultServer::listen();
        $defaults = ['query' => ['x' => 1], 'json' => 1, 'on_stats' => static function () use (&$stats): void {
            ++$stats;
        }];
        $pusher = self::pusher($listener, new Client(['handler' => self::counted($count)] + $defaults));
        self::assertEquals(new \stdClass(), $pusher->trigger('c', 'e', ['n' => 1]));
        self::assertEquals((object) ['channels' => ['c' => new \stdClass()]], $pusher->trigger('c', 'e', 2, ['info' => 'user_count']));
        self::assertSame([], $pusher->getChannels()->channels);
        self::assertSame(['channels' => []], $pusher->get('/channels', associative: true));
        self::assertEquals(new \stdClass(), $pusher->postAsync('/events', ['name' => 'e', 'channel' => 'c', 'data' => '3'])->wait());
        self::assertSame([5, 5], [$count, $stats]);
        self::assertSame(['{"n":1}', '2', '3'], array_column($listener->applied(), 'data'));
    }

    public function testPromisesRunConcurrently(): void
    {
        $listener = FaultServer::listen(['fault' => 'late-answer', 'params' => ['ms' => 1500], 'times' => 0]);
        $pusher = FaultServer::client($listener);
        $started = microtime(true);
        $promises = array_map(static fn (int $n) => $pusher->triggerAsync('c', 'e', $n), range(1, 4));
        self::assertEquals(array_fill(0, 4, new \stdClass()), Utils::unwrap($promises));
        // One after the other they would take six seconds.
        self::assertLessThan(4.5, microtime(true) - $started);
        self::assertCount(4, $listener->applied());
    }

    public function testWrongArgumentsThrowAtOnce(): void
    {
        $pusher = FaultServer::nowhere();
        $calls = [
            fn () => $pusher->triggerAsync('a b', 'e', 1), fn () => $pusher->triggerBatchAsync([[]]),
            fn () => $pusher->sendToUserAsync('', 'e', 1), fn () => $pusher->terminateUserConnectionsAsync(''),
            fn () => $pusher->postAsync('events', []),
        ];
        foreach ($calls as $index => $call) {
            try {
                $call();
                self::fail("$index");
            } catch (UsageException $e) {
                self::assertSame('not_sent', $e->getDelivery(), "$index");
            }
        }
    }

    /** Middleware may repeat a request, and so may curl. */
    public function testOnlyARequestOfWhichNoByteLeftIsNotSent(): void
    {
        $cases = [
            ['refused', 'not_sent', 'connect'], ['silence', 'unknown', 'timeout'], ['rst-after-request', 'unknown', null],
            ['close-after-request', 'unknown', null],
        ];
        foreach ($cases as [$fault, $delivery, $cause]) {
            $listener = match ($fault) {
                'refused' => null,
                'silence' => FaultServer::listen(['fault' => 'late-answer', 'params' => ['ms' => 3000], 'times' => 0]),
                'close-after-request' => FaultServer::listen(['fault' => 'fin-after-request', 'times' => 0]),
                default => FaultServer::listen(['fault' => $fault, 'times' => 0]),
            };
            $options = ['timeout_ms' => 500];
            $pusher = $listener === null ? FaultServer::nowhere($options) : FaultServer::client($listener, $options);
            foreach ([$pusher, self::pusher($listener, new Client(), $options)] as $index => $client) {
                try {
                    $client->triggerAsync('c', 'e', 1)->wait();
                    self::fail($fault);
                } catch (NetworkException $e) {
                    self::assertSame($delivery, $e->getDelivery(), "$fault $index: {$e->getMessage()}");
                    self::assertContains($e->getNetworkCause(), $cause === null ? ['reset', 'closed'] : [$cause], "$fault $index");
                    self::assertStringNotContainsString('auth_signature', $e->getMessage() . $e->getPrevious()?->getMessage());
                }
            }
        }
    }

    public function testARefusedCertificateIsNotSent(): void
    {
        $listener = FaultServer::listen(['fault' => 'tls-self-signed', 'tls' => true]);
        $pusher = FaultServer::pusher(['host' => 'localhost', 'port' => $listener->port]);
        try {
            $pusher->triggerAsync('c', 'e', 1)->wait();
            self::fail('it was sent');
        } catch (NetworkException $e) {
            self::assertSame(['not_sent', 'tls'], [$e->getDelivery(), $e->getNetworkCause()]);
        }
    }

    /** The first attempt was delivered, its response lost; the client repeats it and fails. */
    public function testARepeatedRequestIsUnknown(): void
    {
        $lost = FaultServer::listen(['fault' => 'rst-after-request']);
        $again = Middleware::retry(static fn (int $retries): bool => $retries < 1);
        $stack = HandlerStack::create(new CurlHandler());
        $stack->push($again);
        // The second attempt goes where nothing listens, or is refused.
        foreach ([null, FaultServer::listen(['fault' => 'status-403'])] as $second) {
            $attempts = 0;
            $stack->push(static function (callable $handler) use ($second, &$attempts): callable {
                return static function ($request, array $options) use ($handler, $second, &$attempts) {
                    $uri = $request->getUri();

                    return $handler(++$attempts > 1 ? $request->withUri($uri->withPort($second->port ?? 1)) : $request, $options);
                };
            }, 'move');
            FaultServer::control('PUT', "/listen/$lost->port", ['fault' => 'rst-after-request']);
            try {
                self::pusher($lost, new Client(['handler' => $stack]))->trigger('c', 'e', 1);
                self::fail('it was delivered');
            } catch (NetworkException $e) {
                self::assertSame('unknown', $e->getDelivery());
            }
            self::assertSame(2, $attempts);
            $stack->remove('move');
        }
    }

    public function testAHandlerThatReportsNothingLeavesItUnknown(): void
    {
        foreach ([new StreamHandler(), new MockHandler([new ConnectException('no', new Request('POST', '/'))])] as $handler) {
            try {
                self::pusher(null, new Client(['handler' => HandlerStack::create($handler)]))->trigger('c', 'e', 1);
                self::fail('it was delivered');
            } catch (NetworkException $e) {
                self::assertSame('unknown', $e->getDelivery());
            }
        }
    }

    /** The reason of a promise may be anything; an exception of the program's own stays what it is. */
    public function testAReasonThatIsNoExceptionLeavesItUnknown(): void
    {
        $own = new \DomainException('of the program');
        foreach (['gave up', ['a'], null, $own] as $reason) {
            $client = new Client(['handler' => static fn () => Create::rejectionFor($reason)]);
            $calls = [
                fn () => self::pusher(null, $client)->trigger('c', 'e', 1),
                fn () => self::pusher(null, $client)->triggerAsync('c', 'e', 1)->wait(),
            ];
            foreach ($calls as $call) {
                try {
                    $call();
                    self::fail('it was delivered');
                } catch (NetworkException $e) {
                    self::assertSame('unknown', $e->getDelivery());
                } catch (\DomainException $e) {
                    self::assertSame($own, $e);
                }
            }
        }
    }

    public function testARefusalIsThatOfTheCall(): void
    {
        $refused = static fn (int $status): Client => new Client(['handler' => HandlerStack::create(new MockHandler([
            new Response($status, ['Retry-After' => '3', 'X-Odd' => "a\xff"], 'slow down'),
        ]))]);
        $statuses = [302 => 'REDIRECTED', 400 => 'BAD_REQUEST', 401 => 'UNAUTHORIZED', 429 => 'RATE_LIMITED', 500 => 'SERVER_ERROR'];
        foreach ($statuses as $http => $status) {
            $calls = [
                fn () => self::pusher(null, $refused($http))->trigger('c', 'e', 1),
                fn () => self::pusher(null, $refused($http))->triggerAsync('c', 'e', 1)->wait(),
            ];
            foreach ($calls as $call) {
                try {
                    $call();
                    self::fail("$http");
                } catch (PusherException $e) {
                    self::assertSame([$status, $http], [$e->getStatus(), $e->getHttpStatus()]);
                    self::assertSame($http, $e->getCode());
                }
            }
        }
    }

    /** A program that set a CA or a proxy would send to others without them. */
    public function testAnOptionThatGuzzleWouldNotFollowIsRefused(): void
    {
        $options = [
            'ca_file' => FaultServer::ready()['ca'], 'tls_roots' => 'bundled', 'proxy' => 'http://127.0.0.1:1', 'unix_socket' => '/tmp/s',
        ];
        foreach ($options as $name => $value) {
            $makes = [
                fn () => self::pusher(null, new Client(), [$name => $value]),
                fn () => FaultServer::pusher([$name => $value])->triggerAsync('c', 'e', 1),
            ];
            foreach ($makes as $make) {
                try {
                    $make();
                    self::fail($name);
                } catch (ConfigurationException $e) {
                    self::assertSame($name, $e->getArgument());
                }
            }
        }
    }

    public function testWithoutGuzzleAPromiseIsRefused(): void
    {
        $code = '$p = new Pusher("k", "s", "7"); try { $p->triggerAsync("c", "e", 1); } catch (LibPusher\ConfigurationException $e) {
            echo $e->getMessage(), json_encode($p instanceof Psr\Log\LoggerAwareInterface); }';
        $said = Wait::program($code);
        self::assertSame('triggerAsync: needs Guzzle (guzzlehttp/guzzle), which is not installed; prepare() and publisher() do notfalse', $said);
        self::assertInstanceOf(\Psr\Log\LoggerAwareInterface::class, FaultServer::nowhere());
    }

    public function testALoggerGetsTheResultOfAPromise(): void
    {
        $logger = new class () extends \Psr\Log\AbstractLogger {
            public array $records = [];

            public function log($level, $message, array $context = []): void
            {
                $this->records[] = [$level, $message];
            }
        };
        $pusher = FaultServer::client(FaultServer::listen());
        $pusher->setLogger($logger);
        $pusher->triggerAsync('c', 'e', 'a payload')->wait();
        $pusher = FaultServer::nowhere();
        $pusher->setLogger($logger);
        $pusher->triggerAsync('c', 'e', 'a payload')->then(null, static fn () => null)->wait();
        $handler = new MockHandler([new Response(403, [], 'no: a payload')]);
        $pusher = self::pusher(null, new Client(['handler' => HandlerStack::create($handler)]));
        $pusher->setLogger($logger);
        $message = $pusher->triggerAsync('c', 'e', 'a payload')->then(null, static fn (ApiErrorException $e) => $e->getMessage())->wait();
        self::assertStringContainsString('a payload', $message, 'for the program, but not for the log');
        self::assertSame(['debug', 'warning', 'warning'], array_column($logger->records, 0));
        self::assertStringNotContainsString('a payload', print_r($logger->records, true));
    }

    public function testAPreparedRequestIsAMessage(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $batch = [['channel' => 'c', 'name' => 'e', 'data' => 2]];
        foreach ([$pusher->make_request('c', 'e', 1), $pusher->make_batch_request($batch)] as $request) {
            self::assertSame(200, (new Client())->send($request)->getStatusCode());
        }
        self::assertSame(['1', '2'], array_column($listener->applied(), 'data'));
    }

    private static function counted(?int &$count): HandlerStack
    {
        $count = 0;
        $stack = HandlerStack::create();
        $stack->push(Middleware::tap(static function () use (&$count): void {
            ++$count;
        }));

        return $stack;
    }

    /** @param array<string, mixed> $options */
    private static function pusher(?Listener $listener, Client $client, array $options = []): Pusher
    {
        ['key' => $key, 'secret' => $secret, 'app_id' => $app_id] = FaultServer::credentials();
        $server = isset($options['ca_file']) || isset($options['unix_socket'])
            ? [] : ['host' => '127.0.0.1', 'port' => $listener->port ?? 1, 'useTLS' => false];

        return new Pusher($key, $secret, $app_id, $options + $server, $client);
    }
}
