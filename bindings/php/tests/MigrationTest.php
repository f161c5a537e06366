<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use GuzzleHttp\Client;
use GuzzleHttp\Handler\CurlHandler;
use GuzzleHttp\Handler\MockHandler;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware;
use GuzzleHttp\Psr7\Response;
use PHPUnit\Framework\TestCase;
use Pusher\ApiErrorException;
use Pusher\Pusher;
use Pusher\PusherException;
use Pusher\PusherInterface;
use Pusher\Webhook;

require_once __DIR__ . '/../pusher.php';

/**
 * What the official suite asks for, by the official names (pusher.php). Each test has a row in tests/migration/php.tsv, which names the
 * official tests that it stands for.
 */
final class MigrationTest extends TestCase
{
    private const WRONG_CHANNELS = ['c:', ':c', "c\n:", ":\nc", 'c\n:', ':\nc'];
    private const WRONG_SOCKETS = ['1.1:', ':1.1', "1.1\n:", ":\n1.1", '1.1\n:', ':\n1.1'];
    private const MASTER_KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

    /** @var list<array<string, mixed>> */
    private array $history = [];

    protected function setUp(): void
    {
        OldGuzzle::begin();
    }

    protected function tearDown(): void
    {
        OldGuzzle::end();
    }

    public function testUsersSignIn(): void
    {
        // An application's id may be a number: the official SDK's tests give one, in files without strict types.
        $pusher = self::nowhere();
        self::assertInstanceOf(PusherInterface::class, $pusher);
        foreach ([['id' => '7'], ['id' => '7', 'name' => 'Zoe Quinn']] as $user) {
            $data = json_encode($user);
            $answer = json_decode($pusher->authenticateUser('12345.6789', $user), true);
            self::assertSame($data, $answer['user_data']);
            self::assertSame('k:' . hash_hmac('sha256', "12345.6789::user::$data", 's'), $answer['auth']);
        }
        self::refused(fn () => $pusher->authenticateUser('no-socket', ['id' => '7']));
        self::refused(fn () => $pusher->authenticateUser('12345.6789', ['id' => '']));
        self::refused(fn () => $pusher->authenticateUser('12345.6789', ['name' => 'Zoe Quinn']));
    }

    public function testNamesAndIdsThatAreNotAreRefused(): void
    {
        $pusher = self::nowhere();
        foreach (self::WRONG_CHANNELS as $channel) {
            self::refused(fn () => $pusher->authorizeChannel($channel, '1.1'));
            self::refused(fn () => $pusher->socketAuth($channel, '1.1'));
            self::refused(fn () => $pusher->presence_auth("presence-$channel", '1.1', '7'));
            self::refused(fn () => $pusher->get_channel_info($channel));
            self::refused(fn () => $pusher->getChannelInfo($channel));
            self::refused(fn () => $pusher->trigger($channel, 'e', []));
            self::refused(fn () => $pusher->trigger(['fine', $channel], 'e', []));
        }
        foreach ([...self::WRONG_SOCKETS, false, ''] as $socket) {
            self::refused(fn () => $pusher->trigger('c', 'e', [], ['socket_id' => $socket]));
            self::refused(fn () => $pusher->socket_auth('private-c', (string) $socket));
        }
    }

    public function testTheSettingsHaveTheOfficialNames(): void
    {
        $settings = static fn (array $options): array => (new Pusher('k', 's', '7', $options))->getSettings();
        $cases = [
            [['useTLS' => true], ['scheme' => 'https', 'host' => 'api-mt1.pusher.com', 'port' => 443]],
            [['cluster' => 'eu'], ['host' => 'api-eu.pusher.com', 'auth_key' => 'k', 'app_id' => '7', 'base_path' => '/apps/7']],
            [['cluster' => 'eu', 'host' => 'api.example.org'], ['host' => 'api.example.org']],
            [['timeout' => 10], ['timeout' => 10]],
            [['host' => 'http://api.example.org'], ['scheme' => 'https', 'host' => 'api.example.org']],
        ];
        foreach ($cases as [$options, $expected]) {
            self::assertSame($expected, array_intersect_key($settings($options), $expected));
            self::assertArrayNotHasKey('secret', $settings($options));
        }
        self::assertTrue(version_compare(Pusher::$VERSION, '7.2', '>='));
    }

    public function testAUserWithoutAnIdIsRefusedAtOnce(): void
    {
        foreach ([self::nowhere(), $this->answering()] as $pusher) {
            self::refused(fn () => $pusher->sendToUser('', 'e', 'd'));
            self::refused(fn () => $pusher->sendToUserAsync('', 'e', 'd'));
            self::refused(fn () => $pusher->terminateUserConnections(''));
            self::refused(fn () => $pusher->terminateUserConnectionsAsync(''));
        }
    }

    public function testConnectionsOfAUserAreTerminated(): void
    {
        $pusher = $this->answering([200, '{}'], [200, '{}'], [500, '{}'], [500, '{}']);
        self::assertEquals(new \stdClass(), $pusher->terminateUserConnections('123'));
        self::assertEquals(new \stdClass(), $pusher->terminateUserConnectionsAsync('123')->wait());
        foreach ($this->history as ['request' => $request]) {
            self::assertSame('POST', $request->getMethod());
            self::assertSame('api-test1.pusher.com', $request->getUri()->getHost());
            self::assertSame('/apps/7/users/123/terminate_connections', $request->getUri()->getPath());
        }
        self::refused(fn () => $pusher->terminateUserConnections('123'), ApiErrorException::class, 500);
        self::refused(fn () => $pusher->terminateUserConnectionsAsync('123')->wait(), ApiErrorException::class, 500);
        self::assertCount(4, $this->history, 'each call is one request');
        // Without a Guzzle client too.
        self::assertEquals(new \stdClass(), self::server()->terminateUserConnections('123'));
    }

    public function testAForgedWebhookIsRefused(): void
    {
        $pusher = self::nowhere();
        $body = sprintf('{"time_ms":%d,"events":[{"name":"channel_occupied","channel":"c"}]}', time() * 1000);
        $headers = ['X-Pusher-Key' => 'k', 'X-Pusher-Signature' => hash_hmac('sha256', $body, 's')];
        $pusher->ensure_valid_signature($headers, $body);
        self::assertInstanceOf(Webhook::class, $pusher->webhook($headers, $body));
        $headers['X-Pusher-Signature'] = 'potato';
        foreach (['ensure_valid_signature', 'verifySignature', 'webhook'] as $method) {
            self::refused(fn () => $pusher->$method($headers, $body));
        }
    }

    public function testTheStateIsQueriedByOldAndNewNames(): void
    {
        $server = <<<'BODIES'
            {"occupied":false}
            {"channels":{}}
            {"channels":{"my-channel":{}}}
            {"users":[]}
            BODIES;
        [$channel, $none, $one, $users] = explode("\n", $server);
        $pusher = $this->answering(
            [200, $channel], [200, $none], [200, $none], [200, $one], [200, $users], [200, $one], [200, $one], [200, $channel],
        );
        self::assertFalse($pusher->get_channel_info('c')->occupied);
        self::assertSame([], $pusher->get_channels()->channels);
        self::assertSame([], $pusher->get_channels(['filter_by_prefix' => 'fish'])->channels);
        self::assertCount(1, $pusher->get_channels(['filter_by_prefix' => 'my-'])->channels);
        self::assertSame([], $pusher->get_users_info('presence-c')->users);
        self::assertSame([], $pusher->get('/channels', [], true)['channels']['my-channel']);
        self::assertCount(1, $pusher->get('/channels', ['filter_by_prefix' => 'my-', 'info' => ['a', 'b']], true)['channels']);
        self::assertFalse($pusher->get('/channels/c')->occupied);
        $queries = array_map(static function (array $transfer): array {
            parse_str($transfer['request']->getUri()->getQuery(), $query);

            return array_intersect_key($query, ['filter_by_prefix' => 1, 'info' => 1]);
        }, $this->history);
        self::assertSame([
            [], [], ['filter_by_prefix' => 'fish'], ['filter_by_prefix' => 'my-'], [], [], ['filter_by_prefix' => 'my-', 'info' => 'a,b'], [],
        ], $queries);
        // Real requests, without Guzzle.
        $pusher = self::server();
        self::assertSame([], $pusher->get_channels()->channels);
        self::assertFalse($pusher->get_channel_info('c')->occupied);
        self::assertSame([], $pusher->get_users_info('presence-c')->users);
        $pusher = $this->answering([400, 'user_count may only be requested for presence channels']);
        self::refused(
            fn () => $pusher->get_channels(['filter_by_prefix' => 'test_', 'info' => 'user_count']),
            ApiErrorException::class,
            400,
            'user_count may only be requested',
        );
    }

    public function testTheClientsMiddlewareSeesEachRequest(): void
    {
        $count = 0;
        // Without Guzzle's own middleware.
        $stack = new HandlerStack(new CurlHandler());
        $stack->push(Middleware::tap(static function () use (&$count): void {
            ++$count;
        }));
        self::server(null, new Client(['handler' => $stack]))->trigger('c', 'e', 'a string');
        self::assertSame(1, $count);
    }

    public function testAnEventGoesToAUser(): void
    {
        $listener = FaultServer::listen();
        $pusher = self::server($listener);
        self::assertEquals(new \stdClass(), $pusher->sendToUser('123', 'e', 'a string'));
        self::assertEquals(new \stdClass(), $pusher->sendToUserAsync('123', 'e', 'a string')->wait());
        self::assertSame(array_fill(0, 2, '#server-to-user-123'), array_column($listener->applied(), 'channel'));
    }

    /** @dataProvider ways */
    public function testEventsAreTriggered(bool $async): void
    {
        $listener = FaultServer::listen();
        $trigger = self::way($async, 'trigger');
        $pusher = self::server($listener);
        self::assertEquals(new \stdClass(), $trigger($pusher, 'c', 'e', 'a string'));
        self::assertEquals(new \stdClass(), $trigger($pusher, 'c', 'e', ['test' => 1]));
        self::assertEquals(new \stdClass(), $trigger($pusher, 'c', 'e', 2, ['socket_id' => '123.456']));
        self::assertEquals(new \stdClass(), $trigger($pusher, 'c', 'e', 3, ['socket_id' => null, 'info' => null]));
        self::assertEquals(new \stdClass(), $trigger($pusher, ['a', 'b'], 'e', 4));
        $answer = $trigger($pusher, ['a', 'presence-b'], 'e', 5, ['info' => 'user_count,subscription_count']);
        self::assertEquals(['a' => new \stdClass(), 'presence-b' => new \stdClass()], $answer->channels);
        $encrypting = self::server($listener, null, ['encryption_master_key_base64' => self::MASTER_KEY]);
        self::assertEquals(new \stdClass(), $trigger($encrypting, ['private-encrypted-c'], 'e', ['secret' => 1]));
        $applied = $listener->applied();
        self::assertSame(['a string', '{"test":1}', '2', '3', '4', '4', '5', '5'], array_slice(array_column($applied, 'data'), 0, 8));
        self::assertStringContainsString('ciphertext', $applied[8]['data']);
        self::assertSame('123.456', $applied[2]['socket_id']);
    }

    /** @dataProvider ways */
    public function testEventsThatCannotBeSentAreRefused(bool $async): void
    {
        $trigger = self::way($async, 'trigger');
        $pusher = self::nowhere();
        $many = array_map(static fn (int $n): string => "channel-$n", range(1, 101));
        self::refused(fn () => $trigger($pusher, $many, 'e', ['a' => 1]));
        $encrypting = new Pusher('k', 's', '7', ['encryption_master_key_base64' => self::MASTER_KEY]);
        self::refused(fn () => $trigger($encrypting, ['c', 'private-encrypted-c'], 'e', ['a' => 1]));
    }

    /** @dataProvider ways */
    public function testAnEventThatIsTooLargeHasTheCodeOfTheServer(bool $async): void
    {
        $large = str_repeat('a', 11 * 1024);
        $pusher = self::nowhere();
        $calls = [
            fn () => self::way($async, 'trigger')($pusher, 'c', 'e', $large, [], true),
            fn () => self::way($async, 'triggerBatch')($pusher, [['channel' => 'c', 'name' => 'e', 'data' => $large]], true),
        ];
        foreach ($calls as $call) {
            self::refused($call, ApiErrorException::class, 413, 'content of this event');
        }
    }

    /** @dataProvider ways */
    public function testAnOutageIsAnApiErrorException(bool $async): void
    {
        $pusher = self::nowhere();
        $event = ['channel' => 'c', 'name' => 'e', 'data' => 1];
        self::refused(fn () => self::way($async, 'trigger')($pusher, 'c', 'e', 1), ApiErrorException::class);
        self::refused(fn () => self::way($async, 'triggerBatch')($pusher, [$event]), ApiErrorException::class);
    }

    /** @dataProvider ways */
    public function testBatchesAreTriggered(bool $async): void
    {
        $listener = FaultServer::listen();
        $trigger = self::way($async, 'triggerBatch');
        $pusher = self::server($listener, null, ['encryption_master_key_base64' => self::MASTER_KEY]);
        $string = ['channel' => 'c', 'name' => 'e', 'data' => 'a string'];
        $array = ['channel' => 'd', 'name' => 'e', 'data' => ['my' => 'data'], 'socket_id' => null, 'info' => null];
        $sealed = ['channel' => 'private-encrypted-c'] + $string;
        foreach ([[$array], [$array, $array], [$string], [$string, $string], [$string, $array], [$sealed], [$string, $sealed]] as $batch) {
            self::assertEquals(new \stdClass(), $trigger($pusher, $batch));
        }
        self::assertEquals(new \stdClass(), $trigger($pusher, [$string, ['data' => ['a' => 'secret']] + $sealed]));
        $with = [['info' => 'subscription_count'] + $string, $array];
        self::assertEquals([new \stdClass(), new \stdClass()], $trigger($pusher, $with)->batch);
        // The official README has the parameters of an event in an array of their own.
        $trigger($pusher, [[...$string, ['socket_id' => '1.2']]]);
        $applied = $listener->applied();
        self::assertCount(16, $applied);
        self::assertSame('1.2', $applied[15]['socket_id']);
        self::assertStringContainsString('ciphertext', $applied[8]['data']);
    }

    /** @return iterable<string, array{bool}> */
    public static function ways(): iterable
    {
        yield 'at once' => [false];
        yield 'with a promise' => [true];
    }

    /** Returns a method, or its counterpart with a promise. */
    private static function way(bool $async, string $method): callable
    {
        return static fn (Pusher $pusher, mixed ...$arguments): object => $async
            ? $pusher->{"{$method}Async"}(...$arguments)->wait()
            : $pusher->$method(...$arguments);
    }

    private static function nowhere(): Pusher
    {
        return new Pusher('k', 's', '7', ['host' => '127.0.0.1', 'port' => '1', 'useTLS' => false]);
    }

    /** Returns a client whose Guzzle client gives these responses, and records the requests. */
    private function answering(array ...$responses): Pusher
    {
        $responses = array_map(static fn (array $response): Response => new Response($response[0], [], $response[1]), $responses);
        $stack = HandlerStack::create(new MockHandler($responses));
        $this->history = [];
        $stack->push(Middleware::history($this->history));

        return new Pusher('k', 's', '7', ['cluster' => 'test1'], new Client(['handler' => $stack]));
    }

    private static function server(?Listener $listener = null, ?Client $client = null, array $options = []): Pusher
    {
        $listener ??= FaultServer::listen();
        ['key' => $key, 'secret' => $secret, 'app_id' => $app_id] = FaultServer::credentials();
        $server = ['scheme' => 'http', 'host' => '127.0.0.1', 'port' => (string) $listener->port, 'useTLS' => false];

        return new Pusher($key, $secret, $app_id, $options + $server, $client);
    }

    private static function refused(
        callable $call,
        string $class = PusherException::class,
        ?int $code = null,
        string $message = '',
    ): void {
        try {
            $call();
        } catch (PusherException $e) {
            self::assertInstanceOf($class, $e);
            self::assertSame($code ?? $e->getCode(), $e->getCode());
            self::assertStringContainsString($message, $e->getMessage());

            return;
        }
        self::fail('it was taken');
    }
}
