<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use PHPUnit\Framework\TestCase;

/** Programs that were written for the official SDK run with one changed line, or unchanged with pusher.php. */
final class SamplesTest extends TestCase
{
    private const FOLDER = __DIR__ . '/../../../tests/migration/samples/php';

    /** @dataProvider ways */
    public function testProgramsPublish(bool $changed): void
    {
        $listener = FaultServer::listen();
        self::assertSame([
            'asked about 2 channels', 'a batch: {}', 'with attributes: 2', 'later: {}', 'the middleware saw 1',
            'refused: before it was sent', 'too large: 413',
        ], self::said('publish', $changed, $listener));
        $applied = $listener->applied();
        self::assertSame(['shop', 'shop', 'news'], array_slice(array_column($applied, 'channel'), 0, 3));
        $count = array_count_values(array_column($applied, 'name'));
        self::assertSame(
            ['opened' => 3, 'closed' => 2, 'sold' => 8, 'stock' => 1, 'counted' => 2, 'bill' => 2, 'by-guzzle' => 1, 'code' => 1],
            $count,
        );
        $excluded = array_filter($applied, static fn (array $event): bool => ($event['socket_id'] ?? null) === '1234.5678');
        self::assertCount(4, $excluded, 'one event, and one in each batch');
        self::assertStringContainsString('ciphertext', end($applied)['data']);
    }

    /** @dataProvider ways */
    public function testProgramsQuery(bool $changed): void
    {
        $app_id = FaultServer::credentials()['app_id'];
        self::assertSame([
            'occupied: false', 'users: none', 'channels: 0', 'present: 0', 'object: {}', 'array: 0', 'users: 0', 'posted: {}',
            "http://127.0.0.1/apps/$app_id",
        ], self::said('query', $changed, FaultServer::listen()));
    }

    /** @dataProvider ways */
    public function testProgramsHaveEndpoints(bool $changed): void
    {
        $said = self::said('endpoints', $changed, FaultServer::listen());
        ['key' => $key, 'secret' => $secret] = FaultServer::credentials();
        $auth = static fn (string $signed): string => "$key:" . hash_hmac('sha256', $signed, $secret);
        $shared = base64_encode(hash('sha256', 'private-encrypted-safe' . str_repeat('k', 32), true));
        $member = '{"user_id":"7","user_info":{"name":"Zoe","desk":4}}';
        $expected = [
            ['auth' => $auth('1234.5678:private-orders')],
            ['auth' => $auth('1234.5678:private-orders')],
            ['auth' => $auth('1234.5678:private-encrypted-safe'), 'shared_secret' => $shared],
            ['auth' => $auth("1234.5678:presence-staff:$member"), 'channel_data' => $member],
            ['auth' => $auth('1234.5678:presence-staff:{"user_id":"7"}'), 'channel_data' => '{"user_id":"7"}'],
            ['auth' => $auth("1234.5678:presence-staff:$member"), 'channel_data' => $member],
            ['auth' => $auth('1234.5678::user::{"id":"7","name":"Zoe"}'), 'user_data' => '{"id":"7","name":"Zoe"}'],
        ];
        self::assertSame($expected, array_map(static fn (string $line): mixed => json_decode($line, true), array_slice($said, 0, 7)));
        self::assertSame(['1 event: channel_occupied', 'at a time of ours'], array_slice($said, 7));
    }

    public function testEachProgramIsRun(): void
    {
        $names = array_map(static fn (string $file): string => basename($file, '.php'), glob(self::FOLDER . '/*.php'));
        self::assertSame(['endpoints', 'publish', 'query'], $names);
    }

    /** @return iterable<string, array{bool}> */
    public static function ways(): iterable
    {
        yield 'with one changed line' => [true];
        yield 'unchanged' => [false];
    }

    /**
     * Runs a program and returns the lines that it prints.
     *
     * @return list<string>
     */
    private static function said(string $name, bool $changed, Listener $listener): array
    {
        $program = (string) file_get_contents(self::FOLDER . "/$name.php");
        self::assertSame(1, preg_match_all('/^use .*;$/m', $program));
        $program = substr($program, strlen('<?php'));
        if ($changed) {
            $program = preg_replace('/^use Pusher\\\\/m', 'use LibPusher\\', $program);
        }
        $file = tempnam(sys_get_temp_dir(), 'libpusher-sample-');
        $load = 'require "GuzzleHttp/autoload.php";' . ($changed ? '' : 'require ' . var_export(dirname(__DIR__) . '/pusher.php', true) . ';');
        file_put_contents($file, "<?php $program");
        try {
            $said = Wait::program(
                "$load require " . var_export($file, true) . ';',
                // Debian's Guzzle is older than its PHP.
                ['-d', 'error_reporting=' . (E_ALL & ~E_DEPRECATED)],
                array_change_key_case(FaultServer::credentials(), CASE_UPPER) + ['HOST' => '127.0.0.1', 'PORT' => (string) $listener->port],
            );
        } finally {
            unlink($file);
        }

        return explode("\n", trim($said));
    }
}
