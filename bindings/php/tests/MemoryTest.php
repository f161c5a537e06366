<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;

/** Everything that the library returns is freed. */
final class MemoryTest extends TestCase
{
    private const ROUNDS = 5;

    /** A leak makes every round grow by more than this; PHP's heap grows in some rounds only. */
    private const LIMIT_KIB = 400;

    public function testResultsAndErrorsAreFreed(): void
    {
        $pusher = FaultServer::nowhere();
        $this->flat('answers', 20_000, static fn () => $pusher->authorizeChannel('private-c', '1234.5678'));
        $this->flat('errors', 10_000, static function () use ($pusher): void {
            try {
                $pusher->authorizeChannel('public', '1234.5678');
            } catch (UsageException) {
            }
        });
    }

    public function testClientsPublishersRequestsAndResponsesAreFreed(): void
    {
        $this->flat('clients', 3000, static fn () => FaultServer::nowhere());
        $pusher = FaultServer::nowhere();
        $this->flat('publishers', 3000, static fn () => $pusher->publisher());
        $this->flat('requests', 1000, static fn () => $pusher->prepare('trigger', 'c', 'e', str_repeat('x', 2000)));
        $answer = '{}' . str_repeat(' ', 2000);
        $this->flat('responses', 1000, static fn () => $pusher->prepare('trigger', 'c', 'e', 'x')->finish(200, $answer));
    }

    private function flat(string $what, int $times, callable $work): void
    {
        $sizes = [];
        for ($round = 0; $round <= self::ROUNDS; ++$round) {
            for ($time = 0; $time < $times; ++$time) {
                $work();
            }
            gc_collect_cycles();
            preg_match('/^VmRSS:\s+(\d+)/m', (string) file_get_contents('/proc/self/status'), $match);
            $sizes[] = (int) $match[1];
        }
        $more = static fn (int $before, int $after): int => $after - $before;
        $grown = array_map($more, array_slice($sizes, 0, -1), array_slice($sizes, 1));
        self::assertLessThan(self::LIMIT_KIB, min($grown), "$what: KiB more after every $times: " . implode(' ', $grown));
    }
}
