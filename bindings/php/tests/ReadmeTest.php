<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use PHPUnit\Framework\TestCase;

/** The README's blocks work as written, from the first to the last. */
final class ReadmeTest extends TestCase
{
    private const BODY = '{"time_ms":%d,"events":[{"name":"channel_occupied","channel":"c"}]}';

    public function testEveryBlockOfTheReadmeAndOfTheGuideRuns(): void
    {
        $readme = (string) file_get_contents(__DIR__ . '/../README.md');
        preg_match_all('/^```php\n(.*?)^```$/ms', $readme, $blocks);
        $marks = preg_match_all('/^```/m', $readme);
        self::assertSame($marks, 2 * (count($blocks[1]) + 1), 'a block that is neither PHP nor the one of settings');

        // The block of migrating.md comes after them: it makes its own client.
        preg_match_all('/^```php\n(.*?)^```$/ms', (string) file_get_contents(__DIR__ . '/../../../docs/migrating.md'), $guide);
        self::assertNotEmpty($guide[1]);
        array_push($blocks[1], ...$guide[1]);

        $listener = FaultServer::listen();
        ['key' => $key, 'secret' => $secret] = FaultServer::credentials();
        $body = sprintf(self::BODY, time() * 1000);
        // The webhook block's input. The command line has no request, so this body replaces php://input.
        $program = strtr(implode("\n", $blocks[1]), [
            "file_get_contents('php://input')" => var_export($body, true),
            'use LibPusher\Pusher;' => '',
        ]);
        $bootstrap = 'require ' . var_export(__DIR__ . '/bootstrap.php', true) . ";\n";
        $said = Wait::program($bootstrap . $program, environment: [
            'PUSHER_URL' => FaultServer::url($listener),
            'HTTP_X_PUSHER_KEY' => $key,
            'HTTP_X_PUSHER_SIGNATURE' => hash_hmac('sha256', $body, $secret),
        ]);

        [$private, $presence, $batch, $user, $webhook, $promise] = explode("\n", $said) + ['', '', '', '', '', ''];
        self::assertSame(['auth'], array_keys(json_decode($private, true)));
        self::assertSame(['auth', 'channel_data'], array_keys(json_decode($presence, true)));
        self::assertSame(['private-orders', 'private-news'], array_keys(json_decode($batch, true)));
        self::assertSame(['auth', 'user_data'], array_keys(json_decode($user, true)));
        self::assertSame('channel_occupied on c', $webhook);
        self::assertSame('delivered', $promise);
        self::assertCount(7, explode("\n", $said), $said);
        $name = static fn (array $event): string => ($event['channel'] ?? '') . ' ' . ($event['name'] ?? '');
        $events = array_map($name, $listener->applied());
        foreach (['channel-1 my-event', 'channel-2 my-event', '#server-to-user-user-7 my-event', 'orders paid'] as $event) {
            self::assertContains($event, $events);
        }
        self::assertCount(5, array_keys($events, 'my-channel my-event', true), 'trigger, publish, prepare, a promise, and the guide');
    }

    public function testTheReadmesSettingsAreThoseOfThePhpFpmTest(): void
    {
        $readme = (string) file_get_contents(__DIR__ . '/../README.md');
        preg_match('/^```ini\n(.*?)^```$/ms', $readme, $block);
        preg_match_all('/^([\w.]+) =/m', $block[1], $names);
        foreach ($names[1] as $name) {
            self::assertStringContainsString("'$name' =>", (string) file_get_contents(__DIR__ . '/Fpm.php'));
        }
        self::assertCount(4, $names[1]);
    }
}
