<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\ApiErrorException;
use LibPusher\AuthenticationException;
use LibPusher\ConfigurationException;
use LibPusher\InternalException;
use LibPusher\NetworkException;
use LibPusher\PublisherException;
use LibPusher\Pusher;
use LibPusher\PusherException;
use LibPusher\SignatureException;
use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;

final class ClientTest extends TestCase
{
    public function testAnEventArrivesUnchanged(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $values = ['a text', ['hello' => 'Zoë/1'], [1, 2.0, null, true], [], new \stdClass(), 7, null];
        foreach ($values as $value) {
            self::assertEquals(new \stdClass(), $pusher->trigger('c', 'e', $value));
        }
        $sent = ['a text', '{"hello":"Zoë/1"}', '[1,2.0,null,true]', '[]', '{}', '7', 'null'];
        self::assertSame($sent, array_column($listener->applied(), 'data'));
    }

    public function testEncodedDataIsNotEncodedAgain(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $json = '{ "n" : 1.50 }';
        $pusher->trigger('c', 'e', $json, [], true);
        $pusher->sendToUser('7', 'e', $json, true);
        $pusher->triggerBatch([['channel' => 'c', 'name' => 'e', 'data' => $json]], true);
        self::assertSame([$json, $json, $json], array_column($listener->applied(), 'data'));
        self::refused('data', fn () => $pusher->trigger('c', 'e', ['n' => 1], [], true), 'not_sent');
        $batch = [['channel' => 'c', 'name' => 'e', 'data' => 1]];
        self::refused('events[0].data', fn () => $pusher->triggerBatch($batch, true), 'not_sent');
    }

    public function testInfoMayBeAListAndComesByChannel(): void
    {
        $pusher = FaultServer::client(FaultServer::listen());
        $answer = $pusher->trigger(['a', 'b'], 'e', 1, ['info' => ['subscription_count', 'user_count'], 'timeout_ms' => 5000]);
        self::assertEquals(['a' => new \stdClass(), 'b' => new \stdClass()], $answer->channels);
        $batch = [['channel' => 'a', 'name' => 'e', 'data' => 1, 'info' => ['user_count']]];
        self::assertEquals([new \stdClass()], $pusher->triggerBatch($batch)->batch);
        self::assertSame([], $pusher->getChannels()->channels);
        self::assertFalse($pusher->getChannelInfo('presence-c', ['info' => ['user_count']])->occupied);
        self::assertSame(['channels' => []], $pusher->get('/channels', associative: true));
        self::assertEquals((object) ['channels' => new \stdClass()], $pusher->get('/channels', ['filter_by_prefix' => 'c']));
        self::refused('options.socket', fn () => $pusher->trigger('a', 'e', 1, ['socket' => '1.2']), 'not_sent');
    }

    public function testABodyThatIsAStringIsJsonAlready(): void
    {
        $listener = FaultServer::listen();
        FaultServer::client($listener)->post('/events', '{"name":"e","channel":"c","data":"x"}');
        self::assertSame(['x'], array_column($listener->applied(), 'data'));
        self::refused('body', fn () => FaultServer::nowhere()->post('/events', "{}\0"), 'not_sent');
        self::refused('body', fn () => FaultServer::nowhere()->post('/events', '{'), 'not_sent');
    }

    public function testAMemberOfAPresenceChannelIsGivenByIdAndInformationOrAsJson(): void
    {
        $pusher = FaultServer::nowhere();
        $json = '{"user_id":"7","user_info":{"name":"Zoë"}}';
        $answer = $pusher->authorizePresenceChannel('presence-c', '1.2', '7', ['name' => 'Zoë']);
        self::assertSame($json, json_decode($answer)->channel_data);
        self::assertSame($answer, $pusher->authorizeChannel('presence-c', '1.2', $json));
        $member = ['user_id' => '7', 'user_info' => ['name' => 'Zoë']];
        self::assertSame($answer, $pusher->authorizeChannel('presence-c', '1.2', $member));
        foreach ([null, [], false, ''] as $none) {
            $answer = $pusher->authorizePresenceChannel('presence-c', '1.2', '7', $none);
            self::assertSame('{"user_id":"7"}', json_decode($answer)->channel_data);
            $plain = $pusher->authorizeChannel('private-c', '1.2');
            self::assertSame($plain, $pusher->authorizeChannel('private-c', '1.2', $none), 'an empty array is not signed');
            self::refused('channel_data', fn () => $pusher->authorizeChannel('presence-c', '1.2', $none));
        }
        self::refused('channel_data', fn () => $pusher->authorizeChannel('private-c', '1.2', "\"a\0\""));
    }

    public function testAStringThatIsNotUnicodeIsRefusedAndNamed(): void
    {
        $pusher = FaultServer::nowhere();
        self::refused('channels', fn () => $pusher->trigger("a\xff", 'e', 1), 'not_sent');
        self::refused('channels', fn () => $pusher->trigger(['a', "a\xff"], 'e', 1), 'not_sent');
        self::refused('event', fn () => $pusher->trigger('a', "e\xff", 1), 'not_sent');
        self::refused('data', fn () => $pusher->trigger('a', 'e', "d\xff"), 'not_sent');
        self::refused('channel', fn () => $pusher->getChannelInfo("\xff"));
        self::refused('path', fn () => $pusher->get("/\xff"));
        self::refused('socket_id', fn () => $pusher->authorizeChannel('private-c', "1.2\xff"));
    }

    public function testNoTextIsChangedBeforeItIsSigned(): void
    {
        $pusher = FaultServer::nowhere();
        $wrong = [
            "\xff", "a\xc0\xaf", "\xed\xa0\x80", ["\xff"], ['a' => ['b' => ["\xff"]]], ["\xff" => 1], ['a' => ["\xff" => null]],
            (object) ['a' => (object) ['b' => "\xff"]], new \ArrayObject(["\xff"]),
            new class () implements \JsonSerializable {
                public function jsonSerialize(): mixed
                {
                    return ['a' => "\xff"];
                }
            },
        ];
        foreach ($wrong as $value) {
            self::refused('data', fn () => $pusher->trigger('c', 'e', $value), 'not_sent');
            self::refused('data', fn () => $pusher->sendToUser('7', 'e', $value), 'not_sent');
            self::refused('data', fn () => $pusher->publisher()->publish('c', 'e', $value), 'not_sent');
            $batch = [['channel' => 'c', 'name' => 'e', 'data' => $value]];
            self::refused('events', fn () => $pusher->triggerBatch($batch), 'not_sent');
            self::refused('body', fn () => $pusher->post('/events', ['data' => $value]), 'not_sent');
            self::refused('user_data', fn () => $pusher->authenticateUser('1.2', ['id' => '7', 'more' => $value]));
            self::refused('channel_data', fn () => $pusher->authorizePresenceChannel('presence-c', '1.2', '7', ['more' => $value]));
            self::refused('channels', fn () => $pusher->authorizeChannels('1.2', [['channel' => 'private-c', 'channel_data' => $value]]));
            self::refused('options', fn () => $pusher->trigger('c', 'e', 1, ['extra' => ['more' => $value]]), 'not_sent');
        }
        foreach (["\xff", "{\"a\":\"\xff\"}"] as $json) {
            self::refused('data', fn () => $pusher->trigger('c', 'e', $json, [], true), 'not_sent');
            self::refused('body', fn () => $pusher->post('/events', $json), 'not_sent');
            self::refused('channel_data', fn () => $pusher->authorizeChannel('private-c', '1.2', $json));
        }
        self::refused('config', fn () => FaultServer::nowhere(['path' => "/\xff"]), null, ConfigurationException::class);
    }

    public function testDataThatJsonCannotRepresentIsRefused(): void
    {
        $pusher = FaultServer::nowhere();
        $nested = array_reduce(range(1, 600), static fn (array $inner): array => [$inner], []);
        foreach ([NAN, ['a' => INF], $nested, fopen('php://memory', 'r')] as $data) {
            self::refused('data', fn () => $pusher->trigger('c', 'e', $data), 'not_sent');
        }
        self::refused('attributes', fn () => $pusher->getChannelInfo('c', ['info' => 1.5]));
        self::refused('prefix_filter', fn () => $pusher->getChannels(['filter_by_prefix' => []]));
    }

    public function testTheNamesOfTheOfficialSdkConfigureIt(): void
    {
        $cases = [
            [['scheme' => 'http'], 'http://127.0.0.1:1'],
            [['scheme' => 'https'], 'https://127.0.0.1:1'],
            [['useTLS' => false], 'http://127.0.0.1:1'],
            [['encrypted' => true], 'https://127.0.0.1:1'],
            [['useTLS' => 1], 'https://127.0.0.1:1'],
            [['scheme' => ''], 'https://127.0.0.1:1'],
            [[], 'https://127.0.0.1:1'],
            // As in Laravel, whose environment has strings only.
            [['port' => '6001', 'cluster' => null, 'useTLS' => false], 'http://127.0.0.1:6001'],
            [['port' => '6001', 'cluster' => '', 'scheme' => 'http', 'encrypted' => true, 'useTLS' => false], 'http://127.0.0.1:6001'],
            // As in older versions.
            [['debug' => false, 'curl_options' => [], 'encrypted' => true], 'https://127.0.0.1:1'],
        ];
        foreach ($cases as [$options, $url]) {
            $pusher = new Pusher('k', 's', '7', $options + ['host' => '127.0.0.1', 'port' => 1]);
            self::assertStringStartsWith("$url/apps/7/events?", $pusher->prepare('trigger', 'c', 'e', 1)->getUrl());
        }
        self::assertLessThanOrEqual(1500, FaultServer::nowhere(['timeout' => 1.5])->prepare('get', '/channels')->getTimeoutMs());
        self::refused('timeout_ms', fn () => FaultServer::nowhere(['timeout' => 'soon']), null, ConfigurationException::class);
        self::assertLessThanOrEqual(1500, FaultServer::nowhere(['timeout' => '1.5'])->prepare('get', '/channels')->getTimeoutMs());
        self::refused('clutser', fn () => FaultServer::nowhere(['clutser' => 'eu']), null, ConfigurationException::class);
        self::refused('config', fn () => new Pusher("k\xff", 's', '7'), null, ConfigurationException::class);
    }

    /** No spelling turns TLS off but the library's own. */
    public function testNothingButTheLibraryDecidesAboutTls(): void
    {
        $wrong = [
            ['scheme' => 'wss'], ['scheme' => 'https://'], ['scheme' => 7], ['scheme' => false], ['scheme' => 'http', 'useTLS' => true],
            ['scheme' => 'https', 'useTLS' => false], ['scheme' => 'http', 'encrypted' => true], ['useTLS' => 0], ['useTLS' => '0'],
            ['useTLS' => 'no'], ['useTLS' => []], ['encrypted' => 0], ['ssl' => true, 'useTLS' => false], ['ssl' => 0],
            ['host' => 'wss://127.0.0.1'], ['host' => 'http://127.0.0.1', 'useTLS' => true],
            ['host' => 'http://127.0.0.1', 'scheme' => 'https'], ['host' => 'https://127.0.0.1', 'scheme' => 'http'],
            ['host' => 'https://127.0.0.1', 'useTLS' => false], ['host' => 'https://127.0.0.1', 'scheme' => 'wss'],
            ['host' => "https://127.0.0.1\n"], ['host' => 'https://127.0.0.1/path'], ['host' => 'https://127.0.0.1/'],
            ['host' => 'http://127.0.0.1', 'ssl' => true], ['host' => 'http://127.0.0.1', 'useTLS' => 0], ['host' => 'https://127.0.0.1:1'],
        ];
        foreach ($wrong as $options) {
            try {
                $url = self::url($options);
            } catch (ConfigurationException) {
                continue;
            }
            self::fail(json_encode($options) . " was taken: $url");
        }
        $right = [
            ['scheme' => 'HTTPS'], ['scheme' => 'HTTPS', 'useTLS' => true], ['scheme' => ''], ['scheme' => null], ['useTLS' => null],
            ['useTLS' => ''], ['useTLS' => true], ['useTLS' => '1'], ['encrypted' => 1], ['ssl' => true, 'useTLS' => true],
            ['host' => 'http://127.0.0.1'], ['host' => 'https://127.0.0.1'], ['host' => 'HTTPS://127.0.0.1', 'scheme' => 'https', 'useTLS' => true],
            ['host' => 'HTTP://127.0.0.1', 'scheme' => '', 'useTLS' => ''],
        ];
        foreach ($right as $options) {
            self::assertStringStartsWith('https://127.0.0.1:1/', self::url($options), json_encode($options));
        }
        $plain = [
            ['scheme' => 'HTTP'], ['host' => 'http://127.0.0.1', 'scheme' => 'http'], ['host' => 'http://127.0.0.1', 'useTLS' => false],
        ];
        foreach ($plain as $options) {
            self::assertStringStartsWith('http://127.0.0.1:1/', self::url($options), json_encode($options));
        }
    }

    public function testTheSettingsHaveNoSecret(): void
    {
        $pusher = new Pusher('k', 'a secret', '7', ['cluster' => 'eu', 'path' => '/a/apps/b', 'timeout' => 2]);
        self::assertSame([
            'scheme' => 'https', 'host' => 'api-eu.pusher.com', 'port' => 443, 'path' => '/a/apps/b', 'timeout' => 2,
            'auth_key' => 'k', 'app_id' => '7', 'base_path' => '/apps/7',
        ], $pusher->getSettings());
    }

    public function testAnExceptionCanBeMadeWithAMessage(): void
    {
        $e = new ApiErrorException('over quota', 403);
        self::assertSame(['over quota', 403, '(Status 403) over quota'], [$e->getMessage(), $e->getCode(), (string) $e]);
        self::assertSame(['', null, null], [$e->getStatus(), $e->getDelivery(), $e->getHttpStatus()]);
    }

    public function testAUrlAndTheEnvironmentConfigureIt(): void
    {
        $url = 'https://key:secret@api-eu.pusher.com/apps/7';
        $expected = 'https://api-eu.pusher.com/apps/7/channels?auth_key=key&';
        self::assertStringStartsWith($expected, Pusher::fromUrl($url)->prepare('get', '/channels')->getUrl());
        $show = 'echo Pusher::fromEnv()->prepare("get", "/channels")->getUrl();';
        self::assertStringStartsWith($expected, Wait::program($show, environment: ['PUSHER_URL' => $url]));
        $single = ['PUSHER_APP_ID' => '7', 'PUSHER_KEY' => 'key', 'PUSHER_SECRET' => 'secret', 'PUSHER_CLUSTER' => 'eu'];
        self::assertStringStartsWith($expected, Wait::program($show, environment: $single));
        self::refused('config', fn () => Pusher::fromUrl("$url\0"));
        $reverb = [
            'REVERB_APP_ID' => '7', 'REVERB_APP_KEY' => 'key', 'REVERB_APP_SECRET' => 'secret', 'REVERB_HOST' => '127.0.0.1',
            'REVERB_PORT' => '8080', 'REVERB_SCHEME' => 'http',
        ];
        $show = 'echo Pusher::fromEnv("reverb")->prepare("get", "/channels")->getUrl();';
        self::assertStringStartsWith('http://127.0.0.1:8080/apps/7/', Wait::program($show, environment: $reverb));
    }

    public function testNoOutputContainsASecret(): void
    {
        $secret = FaultServer::credentials()['secret'];
        $pusher = FaultServer::nowhere();
        $shown = print_r([$pusher, $pusher->publisher(), $pusher->prepare('trigger', 'c', 'e', 1)], true);
        $wrong = [
            fn () => FaultServer::nowhere(['cluster' => 7]),
            fn () => FaultServer::nowhere(['webhook_tokens' => [['key' => 'k', 'secret' => $secret, 'x' => 1]]]),
            fn () => Pusher::fromUrl("ftp://k:$secret@example.org/apps/7"),
            fn () => Pusher::fromUrl("https://k:$secret@example.org/apps/7\0"),
            fn () => new Pusher('k', "$secret\xff", '7'),
        ];
        foreach ($wrong as $make) {
            try {
                $make();
                self::fail('it was made');
            } catch (UsageException $e) {
                // Only the library's frames: those of the tests contain the secret.
                $ours = '/^LibPusher\\\\(?!Tests)/';
                $frames = array_filter($e->getTrace(), static fn (array $frame) => preg_match($ours, $frame['class'] ?? '') === 1);
                self::assertNotEmpty($frames);
                $shown .= $e->getMessage() . print_r($e->getDocument(), true) . print_r($frames, true);
            }
        }
        self::assertStringNotContainsString($secret, $shown);
        try {
            serialize($pusher);
            self::fail('it was serialized');
        } catch (\Exception $e) {
            self::assertStringContainsString('not allowed', $e->getMessage());
        }
    }

    public function testACopyIsTheSameClient(): void
    {
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener);
        $copy = clone $pusher;
        unset($pusher);
        $copy->trigger('c', 'e', 'x');
        unset($copy);
        self::assertCount(1, $listener->applied());
    }

    public function testEachKindOfFailureHasItsClass(): void
    {
        $kinds = [
            1 => UsageException::class, 2 => ConfigurationException::class, 3 => UsageException::class,
            20 => NetworkException::class, 22 => NetworkException::class, 40 => ApiErrorException::class, 41 => AuthenticationException::class,
            47 => ApiErrorException::class, 60 => SignatureException::class, 61 => SignatureException::class,
            80 => PublisherException::class, 83 => PublisherException::class, 255 => InternalException::class,
            // Unknown statuses, treated by range.
            19 => UsageException::class, 39 => NetworkException::class, 59 => ApiErrorException::class,
            79 => SignatureException::class, 99 => PublisherException::class, 100 => InternalException::class,
        ];
        foreach ($kinds as $status => $class) {
            $e = PusherException::of($status, null);
            // The code of a server's refusal is its HTTP status, as in the official SDK.
            $code = $class !== NetworkException::class && is_a($class, ApiErrorException::class, true) ? 0 : $status;
            self::assertSame([$class, $code], [$e::class, $e->getCode()]);
        }
        self::assertSame(413, PusherException::of(44, null)->getCode());
        self::assertSame(503, PusherException::of(46, ['status' => 'SERVER_ERROR', 'message' => 'm', 'http_status' => 503])->getCode());
        self::assertSame('FORKED', PusherException::of(83, null)->getStatus());
    }

    public function testAnExceptionHasAllMembersOfTheDocument(): void
    {
        try {
            FaultServer::nowhere(['retry' => ['mode' => 'never']])->trigger('c', 'e', 1);
            self::fail('it was delivered');
        } catch (NetworkException $e) {
            self::assertSame(['NOT_SENT', 20, 'not_sent'], [$e->getStatus(), $e->getCode(), $e->getDelivery()]);
            self::assertSame(['connect', true, 1], [$e->getNetworkCause(), $e->isRetryable(), $e->getAttempts()]);
        }
        try {
            FaultServer::client(FaultServer::listen(['fault' => 'retry-after-99999']))->trigger('c', 'e', 1);
            self::fail('it was delivered');
        } catch (ApiErrorException $e) {
            // A day is the maximum.
            self::assertSame([429, 86_400_000, 'rejected'], [$e->getHttpStatus(), $e->getRetryAfterMs(), $e->getDelivery()]);
            self::assertNotNull($e->getResponse());
        }
    }

    public function testALoggerGetsTheResultOfEachCall(): void
    {
        $logger = new class () {
            public array $records = [];

            public function log(mixed $level, string|\Stringable $message, array $context = []): void
            {
                $this->records[] = [$level, $message, $context];
                throw new \LogicException('a disk is full');
            }
        };
        $listener = FaultServer::listen();
        $pusher = FaultServer::client($listener, ['retry' => ['mode' => 'never']]);
        $pusher->setLogger($logger);
        $pusher->trigger('c', 'e', 'a payload');
        FaultServer::control('PUT', "/listen/$listener->port", ['fault' => 'status-403']);
        try {
            $pusher->trigger('c', 'e', 'a payload');
            self::fail('it was delivered');
        } catch (ApiErrorException) {
        }
        self::assertSame(['debug', 'warning'], array_column($logger->records, 0));
        self::assertSame(['FORBIDDEN', 'rejected', 403], [
            $logger->records[1][2]['status'], $logger->records[1][2]['delivery'], $logger->records[1][2]['http_status'],
        ]);
        self::assertStringNotContainsString('a payload', print_r($logger->records, true));
        $pusher->setLogger(null);
        $this->expectException(\TypeError::class);
        $pusher->setLogger(new \stdClass());
    }

    /** An exception in the handler changes neither the delivery nor the client. */
    public function testASignalDuringACallIsHandledAfterIt(): void
    {
        $listener = FaultServer::listen(['fault' => 'late-answer', 'params' => ['ms' => 3500]]);
        $pusher = FaultServer::client($listener);
        $async = pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => throw new \DomainException('the time is up'));
        pcntl_alarm(2);
        try {
            $pusher->trigger('c', 'e', 'first');
            self::fail('nothing was thrown');
        } catch (\DomainException) {
        } finally {
            pcntl_signal(SIGALRM, SIG_DFL);
            pcntl_async_signals($async);
        }
        $pusher->trigger('c', 'e', 'second');
        self::assertSame(['first', 'second'], array_column($listener->applied(), 'data'));
    }

    /** @param array<string, mixed> $options */
    private static function url(array $options): string
    {
        $pusher = new Pusher('k', 's', '7', $options + ['host' => '127.0.0.1', 'port' => 1]);

        return $pusher->prepare('get', '/channels')->getUrl();
    }

    private static function refused(
        string $argument,
        callable $call,
        ?string $delivery = null,
        string $class = UsageException::class,
    ): void {
        try {
            $call();
        } catch (UsageException $e) {
            self::assertInstanceOf($class, $e);
            $named = preg_replace('/\[\d+\]$/', '', (string) $e->getArgument());
            self::assertSame([$argument, $delivery], [$named, $e->getDelivery()]);

            return;
        }
        self::fail("$argument was taken");
    }
}
