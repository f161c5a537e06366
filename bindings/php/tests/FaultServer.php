<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\Pusher;

/**
 * The fault server (tools/fault-server/README.md): one process for all tests, with a listener for each test that needs one. FAULT_SERVER
 * names the program. It ends with this process, which owns its standard input.
 */
final class FaultServer
{
    private static ?array $ready = null;

    /** @var resource */
    private static $process;

    /** @var array<int, resource> */
    private static array $pipes = [];

    /** The members of its first line: ca, control, key, secret. */
    public static function ready(): array
    {
        if (self::$ready === null) {
            $binary = getenv('FAULT_SERVER') ?: throw new \RuntimeException('FAULT_SERVER is not set');
            self::$process = proc_open([$binary], [['pipe', 'r'], ['pipe', 'w']], self::$pipes);
            self::$ready = json_decode(Wait::line(self::$pipes[1]), true, flags: JSON_THROW_ON_ERROR);
        }

        return self::$ready;
    }

    /** @return array{app_id: string, key: string, secret: string} */
    public static function credentials(): array
    {
        return ['app_id' => '4711', 'key' => self::ready()['key'], 'secret' => self::ready()['secret']];
    }

    /** @param array<string, mixed> $body of POST /listen */
    public static function listen(array $body = ['fault' => 'none']): Listener
    {
        return new Listener(self::control('POST', '/listen', $body)['port']);
    }

    /** @param array<string, mixed> $options */
    public static function client(Listener $listener, array $options = []): Pusher
    {
        return self::pusher($options + ['host' => '127.0.0.1', 'port' => $listener->port, 'ssl' => false]);
    }

    /**
     * Returns a client that cannot send: nothing listens on port 1.
     *
     * @param array<string, mixed> $options
     */
    public static function nowhere(array $options = []): Pusher
    {
        return self::pusher($options + ['host' => '127.0.0.1', 'port' => 1, 'ssl' => false]);
    }

    /** @param array<string, mixed> $config with or without credentials */
    public static function pusher(array $config): Pusher
    {
        $config += self::credentials();
        ['key' => $key, 'secret' => $secret, 'app_id' => $app_id] = $config;
        unset($config['key'], $config['secret'], $config['app_id']);

        return new Pusher($key, $secret, $app_id, $config);
    }

    /** Returns a URL for `Pusher::fromUrl`. */
    public static function url(Listener $listener): string
    {
        ['key' => $key, 'secret' => $secret, 'app_id' => $app_id] = self::credentials();

        return "http://$key:" . rawurlencode($secret) . "@127.0.0.1:$listener->port/apps/$app_id";
    }

    public static function control(string $method, string $path, ?array $body = null): array
    {
        $request = curl_init('http://127.0.0.1:' . self::ready()['control'] . $path);
        curl_setopt_array($request, [CURLOPT_CUSTOMREQUEST => $method, CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 30]);
        if ($body !== null) {
            curl_setopt($request, CURLOPT_POSTFIELDS, json_encode($body, JSON_THROW_ON_ERROR));
        }
        $answer = curl_exec($request);
        if (curl_getinfo($request, CURLINFO_HTTP_CODE) !== 200) {
            throw new \RuntimeException("the fault server says: $answer" . curl_error($request));
        }

        return json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
    }
}
