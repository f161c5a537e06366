<?php

declare(strict_types=1);

namespace LibPusher\Tests;

/** Waits with a time limit. */
final class Wait
{
    public const SECONDS = 60;

    /**
     * Returns the next line of a pipe.
     *
     * @param resource $pipe
     */
    public static function line($pipe): string
    {
        return self::read($pipe, static fn (string $read): bool => str_contains($read, "\n"));
    }

    /**
     * Returns everything until the pipe ends or the function returns true.
     *
     * @param resource $pipe
     */
    public static function read($pipe, ?callable $enough = null): string
    {
        stream_set_blocking($pipe, false);
        $finish = microtime(true) + self::SECONDS;
        $text = '';
        while (!feof($pipe) && ($enough === null || !$enough($text))) {
            $left = $finish - microtime(true);
            if ($left <= 0) {
                throw new \RuntimeException("nothing follows: $text");
            }
            $readable = [$pipe];
            $none = null;
            if (stream_select($readable, $none, $none, (int) ceil($left)) > 0) {
                $text .= fread($pipe, 65536);
            }
        }

        return $text;
    }

    /**
     * Runs a PHP program and returns its output, including errors. The program must end by itself, with the code.
     *
     * @param list<string> $options of php
     * @param array<string, string> $environment
     */
    public static function program(string $code, array $options = [], array $environment = [], int $expected = 0): string
    {
        $code = 'require ' . var_export(dirname(__DIR__) . '/autoload.php', true) . '; use LibPusher\Pusher; ' . $code;
        $command = [PHP_BINARY, '-d', 'display_errors=stdout', '-d', 'log_errors=0', ...$options, '-r', $code];
        $files = [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]];
        $process = proc_open($command, $files, $pipes, null, $environment + getenv());
        try {
            $said = self::read($pipes[1]);
        } catch (\RuntimeException $e) {
            proc_terminate($process, SIGKILL);
            throw $e;
        } finally {
            fclose($pipes[1]);
            $status = proc_close($process);
        }
        if ($status !== $expected) {
            throw new \RuntimeException("the program ended with $status: $said");
        }

        return $said;
    }
}
