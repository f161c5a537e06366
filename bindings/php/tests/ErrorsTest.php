<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\ApiErrorException;
use LibPusher\NetworkException;
use LibPusher\PusherException;
use PHPUnit\Framework\TestCase;

/** The table of exceptions in docs/errors.md is that of the classes. */
final class ErrorsTest extends TestCase
{
    public function testTheTableHasTheClassAndTheCodeOfEachStatus(): void
    {
        $rows = [];
        foreach (self::table() as [$class, $code, $status, $delivery]) {
            preg_match('/`(\w+)`/', $class, $name);
            preg_match('/`(\w+)`/', $status, $word);
            $rows[$word[1]] = ["LibPusher\\$name[1]", $code, $delivery];
        }
        // Not an exception: a wait of a publisher returns false.
        $statuses = array_diff_key(self::statuses(), ['OK' => 1, 'TIMED_OUT' => 1]);
        self::assertEqualsCanonicalizing(array_keys($statuses), array_keys($rows));
        foreach ($statuses as $status => $number) {
            [$class, $code] = $rows[$status];
            $http = match (true) {
                $class === NetworkException::class, !is_a($class, ApiErrorException::class, true), $code === '0' => null,
                default => (int) strtr($code, ['xx' => '03']),
            };
            $e = PusherException::of($number, ['status' => $status, 'message' => 'm'] + ($http === null ? [] : ['http_status' => $http]));
            self::assertSame([$class, $status, $http ?? (int) $code], [$e::class, $e->getStatus(), $e->getCode()]);
        }
    }

    public function testTheTableHasTheDeliveries(): void
    {
        foreach (self::table() as [, $code, $status, $delivery]) {
            preg_match('/`(\w+)`/', $status, $word);
            if (preg_match('/^\dxx$|^\d{3}\b/', $code) !== 1 || $word[1] === 'INTERNAL') {
                continue;
            }
            $http = (int) strtr($code, ['xx' => '03']);
            try {
                FaultServer::nowhere()->prepare('trigger', 'c', 'e', 1)->finish($http, 'no');
                self::fail("$http was taken");
            } catch (PusherException $e) {
                self::assertSame([$word[1], $http], [$e->getStatus(), $e->getCode()]);
                self::assertStringContainsString("`{$e->getDelivery()}`", $delivery, $word[1]);
            }
        }
    }

    /** @return list<list<string>> the cells of each row */
    private static function table(): array
    {
        $page = (string) file_get_contents(__DIR__ . '/../../../docs/errors.md');
        self::assertSame(1, preg_match('/^<!-- table: PHP -->\n\|.*\n\|.*\n((?:\|.*\n)+)/m', $page, $found));

        return array_map(
            static fn (string $line): array => array_map('trim', explode('|', trim($line, '|'))),
            explode("\n", trim($found[1])),
        );
    }

    /** @return array<string, int> */
    private static function statuses(): array
    {
        $header = (string) file_get_contents(__DIR__ . '/../include/pusher.ffi.h');
        preg_match_all('/PUSHER_STATUS_(\w+) = (\d+)/', $header, $found);

        return array_combine($found[1], array_map('intval', $found[2]));
    }
}
