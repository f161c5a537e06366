<?php

declare(strict_types=1);

namespace LibPusher\Tests;

/** Ignores the deprecations in Debian's Guzzle, which is older than its PHP. */
final class OldGuzzle
{
    public static function begin(): void
    {
        $others = null;
        $others = set_error_handler(static function (int $level, string $message, string $file, int $line) use (&$others): bool {
            $ignored = $level === E_DEPRECATED && str_contains($file, '/GuzzleHttp/');

            return $ignored || ($others !== null && $others($level, $message, $file, $line));
        });
    }

    public static function end(): void
    {
        restore_error_handler();
    }
}
