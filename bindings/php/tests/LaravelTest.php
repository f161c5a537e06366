<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Broadcasting\BroadcastServiceProvider;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Contracts\Broadcasting\Broadcaster;
use Illuminate\Http\Request;
use LibPusher\Laravel\ServiceProvider;
use LibPusher\NetworkException;
use LibPusher\Pusher;
use PHPUnit\Framework\TestCase;
use Psr\Log\AbstractLogger;
use Psr\Log\LoggerInterface;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

require_once __DIR__ . '/../pusher.php';
foreach (['Broadcasting', 'Config', 'Container', 'Http'] as $component) {
    require_once "Illuminate/$component/autoload.php";
}

/** Laravel's own broadcaster, with the names of pusher.php, and with the service provider. e2e/frameworks/laravel is a whole application. */
final class LaravelTest extends TestCase
{
    protected function setUp(): void
    {
        OldGuzzle::begin();
    }

    protected function tearDown(): void
    {
        OldGuzzle::end();
    }

    /** @dataProvider ways */
    public function testTheBroadcasterDoesWhatItDoesWithTheOfficialSdk(bool $provider): void
    {
        $listener = FaultServer::listen();
        $app = self::application($listener, $provider);
        $broadcaster = $app->make(Broadcaster::class);
        self::assertInstanceOf(Pusher::class, $broadcaster->getPusher());
        $broadcaster->broadcast(['private-orders', 'news'], 'OrderCreated', ['id' => 7, 'socket' => '1.2']);
        $broadcaster->broadcast(['news'], 'OrderCreated', ['id' => 8, 'socket' => null]);
        $applied = $listener->applied();
        self::assertSame(['private-orders', 'news', 'news'], array_column($applied, 'channel'));
        self::assertSame(['{"id":7}', '{"id":7}', '{"id":8}'], array_column($applied, 'data'));
        self::assertSame([0 => '1.2', 1 => '1.2'], array_column($applied, 'socket_id'));

        $broadcaster->channel('orders', static fn (): bool => true);
        $broadcaster->channel('staff', static fn (object $user): array => ['name' => $user->name]);
        ['auth' => $auth] = $broadcaster->auth(self::request('private-orders'));
        ['key' => $key, 'secret' => $secret] = FaultServer::credentials();
        self::assertSame("$key:" . hash_hmac('sha256', '1.2:private-orders', $secret), $auth);
        // A user's id is a number.
        self::assertSame(
            '{"user_id":"7","user_info":{"name":"Zoe"}}',
            $broadcaster->auth(self::request('presence-staff'))['channel_data'],
        );
        $this->expectException(AccessDeniedHttpException::class);
        $broadcaster->auth(self::request('private-others'));
    }

    public function testALogAndGuzzlesOptionsAreUsed(): void
    {
        $app = self::application(null, true, ['log' => true, 'client_options' => ['handler' => static function () use (&$sent) {
            $sent = true;
            throw new \GuzzleHttp\Exception\TransferException('no');
        }]]);
        $app->instance(LoggerInterface::class, $logger = new class () extends AbstractLogger {
            public array $levels = [];

            public function log($level, $message, array $context = []): void
            {
                $this->levels[] = $level;
            }
        });
        try {
            $app->make(Broadcaster::class)->broadcast(['news'], 'e', []);
            self::fail('it was sent');
        } catch (BroadcastException $e) {
            self::assertInstanceOf(NetworkException::class, $e->getPrevious());
            self::assertSame('unknown', $e->getPrevious()->getDelivery());
        }
        self::assertTrue($sent);
        self::assertSame(['warning'], $logger->levels);
        self::assertSame($app->make(Pusher::class), $app->make(Pusher::class));
    }

    public function testAFailureIsLaravelsAndTellsTheDelivery(): void
    {
        foreach ([[null, 'not_sent'], ['status-403', 'rejected'], ['status-500', 'unknown']] as [$fault, $delivery]) {
            $listener = $fault === null ? null : FaultServer::listen(['fault' => $fault, 'times' => 0]);
            try {
                self::application($listener, true)->make(Broadcaster::class)->broadcast(['news'], 'e', []);
                self::fail('it was delivered');
            } catch (BroadcastException $e) {
                self::assertSame($delivery, $e->getPrevious()->getDelivery());
            }
        }
    }

    public function testAnEventGoesToMoreChannelsThanOneRequestTakes(): void
    {
        $listener = FaultServer::listen();
        $channels = array_map(static fn (int $n): string => "news-$n", range(1, 101));
        self::application($listener, true)->make(Broadcaster::class)->broadcast($channels, 'e', []);
        self::assertSame($channels, array_column($listener->applied(), 'channel'));
    }

    /** @return iterable<string, array{bool}> */
    public static function ways(): iterable
    {
        yield 'with the service provider' => [true];
        yield "by Laravel's own driver" => [false];
    }

    /** @param array<string, mixed> $more of the connection */
    private static function application(?Listener $listener, bool $provider, array $more = []): Container
    {
        $app = new Container();
        $app->instance('config', new Repository(['broadcasting' => ['default' => 'pusher', 'connections' => ['pusher' => $more + [
            'driver' => 'pusher',
            ...FaultServer::credentials(),
            // As config/broadcasting.php has it, with the environment of a server in the same machine.
            'options' => [
                'cluster' => '', 'host' => '127.0.0.1', 'port' => (string) ($listener->port ?? 1), 'scheme' => 'http', 'encrypted' => true,
                'useTLS' => false,
            ],
            'client_options' => [],
        ]]]]));
        (new BroadcastServiceProvider($app))->register();
        if ($provider) {
            (new ServiceProvider($app))->register();
        }
        self::assertInstanceOf(BroadcastManager::class, $app->make(BroadcastManager::class));

        return $app;
    }

    private static function request(string $channel): Request
    {
        $request = Request::create('/broadcasting/auth', 'POST', ['channel_name' => $channel, 'socket_id' => '1.2']);
        $request->setUserResolver(static fn (): object => new class () {
            public string $name = 'Zoe';

            public function getAuthIdentifier(): int
            {
                return 7;
            }
        });

        return $request;
    }
}
