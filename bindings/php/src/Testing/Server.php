<?php

declare(strict_types=1);

namespace LibPusher\Testing;

use LibPusher\Pusher;

/**
 * A Channels server for the tests of an application: it records what was published, and fails on request. docs/testing-your-app.md has
 * the faults. PusherAssertions wraps it for PHPUnit.
 *
 * The server is the program pusher-testserver, of libpusher's installation: the one that PUSHER_TESTSERVER names, or the one in PATH. One
 * process serves all tests. It ends with this process.
 */
final class Server
{
    /** Stands for any data. It is no data of an event: none has a NUL. */
    public const ANY = "\0";

    /** The value of PUSHER_URL. A TLS server also needs `$config['ca_file']`, a proxy `$config['proxy']`. */
    public readonly string $url;

    /** The configuration of a client: `app_id`, `key`, `secret`, `host`, `port` and so on. */
    public readonly array $config;

    private static ?int $port = null;

    /** @var resource */
    private static $process;

    /** @var array<int, resource> */
    private static array $pipes = [];

    private readonly string $path;

    /**
     * Opens a server. If it has a fault, `warm` requests succeed first, and then `times` attempts fail; 0 is all.
     *
     * @param array<string, mixed> $params those of the fault
     */
    public function __construct(string $fault = 'none', private readonly bool $tls = false, int $times = 1, int $warm = 0, array $params = [])
    {
        $order = ['fault' => $fault, 'tls' => $tls, 'times' => $times, 'warm' => $warm, 'params' => (object) $params];
        $opened = self::ask('POST', '/listen', $order);
        $this->path = "/listen/{$opened['port']}";
        $this->url = $opened['url'];
        $this->config = $opened['config'];
    }

    /**
     * Makes a client of the server.
     *
     * @param array<string, mixed> $options
     */
    public function client(array $options = []): Pusher
    {
        ['app_id' => $app, 'key' => $key, 'secret' => $secret] = $this->config;

        return new Pusher($key, $secret, $app, $options + array_diff_key($this->config, ['app_id' => 0, 'key' => 0, 'secret' => 0]));
    }

    /** @return list<Event> what was published, in order */
    public function events(): array
    {
        return $this->read(0, 0);
    }

    /** @return list<string> the users whose connections were terminated */
    public function terminated(): array
    {
        return $this->record()['terminated'];
    }

    /** @return list<string> why the server refused requests: a wrong signature, an unknown path and so on */
    public function refused(): array
    {
        return $this->record()['refused'];
    }

    /** Returns the number of requests, and of connections that failed before a request. */
    public function attempts(): int
    {
        return $this->record()['attempts'];
    }

    /**
     * Waits until `count` events are published, at most `timeout` seconds.
     *
     * @return list<Event> all events so far
     */
    public function waitFor(int $count, float $timeout = 10): array
    {
        return $this->read($count, $timeout);
    }

    /**
     * Waits up to `timeout` seconds for an event that matches.
     *
     * @return list<Event> the events that match
     */
    public function find(string $channel, string $event, mixed $data = self::ANY, float $timeout = 0): array
    {
        $value = self::sorted(json_decode(json_encode($data, JSON_THROW_ON_ERROR), true));
        $fits = static fn (Event $one): bool => [$one->channel, $one->event] === [$channel, $event] &&
            ($data === self::ANY || $data === $one->text || $value === self::sorted($one->data));
        $deadline = microtime(true) + $timeout;
        for ($events = $this->events(); ; $events = $this->read(count($events) + 1, $left)) {
            $found = array_values(array_filter($events, $fits));
            $left = $deadline - microtime(true);
            if ($found !== [] || $left <= 0) {
                return $found;
            }
        }
    }

    /**
     * Makes the next attempts fail, after `warm` that succeed. 0 `times` is all, until clear(). A fault of a connection strikes the next
     * new connection. Some faults need a server of their own: the constructor.
     *
     * @param array<string, mixed> $params those of the fault
     */
    public function failNext(string $fault, int $times = 1, int $warm = 0, array $params = []): void
    {
        $order = ['fault' => $fault, 'tls' => $this->tls, 'times' => $times, 'warm' => $warm, 'params' => (object) $params];
        self::ask('PUT', $this->path, $order);
    }

    /** Forgets the events so far, and the faults that have not struck yet. */
    public function clear(): void
    {
        $this->failNext('none');
        self::ask('DELETE', "$this->path/events");
    }

    /** Closes the port and its connections. */
    public function close(): void
    {
        self::ask('DELETE', $this->path);
    }

    /** Returns what was published and refused, for messages. */
    public function __toString(): string
    {
        $seen = implode('; ', $this->events());

        return 'Published: ' . ($seen === '' ? 'nothing' : $seen) . '.' .
            implode('', array_map(static fn (string $why): string => " A request was refused: $why.", $this->refused()));
    }

    /** @return array{attempts: int, events: list<array>, terminated: list<string>, refused: list<string>} */
    private function record(int $count = 0, float $timeout = 0): array
    {
        return self::ask('GET', "$this->path/events?count=$count&timeout_ms=" . (int) ($timeout * 1000), patience: $timeout);
    }

    /** @return list<Event> */
    private function read(int $count, float $timeout): array
    {
        return array_map(
            static fn (array $one): Event => new Event($one['channel'], $one['event'], $one['data'], $one['socket_id'], $one['user']),
            $this->record($count, $timeout)['events'],
        );
    }

    /** Sorts the keys of arrays, so that === compares objects without their order. */
    private static function sorted(mixed $value): mixed
    {
        if (!is_array($value)) {
            return $value;
        }
        ksort($value);

        return array_map(self::sorted(...), $value);
    }

    private static function ask(string $method, string $path, ?array $body = null, float $patience = 0): array
    {
        $content = $body === null ? '' : json_encode($body, JSON_THROW_ON_ERROR);
        $http = [
            'method' => $method, 'protocol_version' => 1.1, 'timeout' => 60 + $patience, 'ignore_errors' => true, 'content' => $content,
            'header' => ['Content-Type: application/json', 'Content-Length: ' . strlen($content), 'Connection: close'],
        ];
        $stream = fopen('http://127.0.0.1:' . self::port() . $path, 'r', false, stream_context_create(['http' => $http]));
        // The server keeps the connection open, so read only as much as it announces.
        $headers = implode("\n", stream_get_meta_data($stream)['wrapper_data']);
        $answer = json_decode(stream_get_contents($stream, (int) preg_replace('/.*^content-length: (\d+).*/ims', '$1', $headers)), true);
        if (isset($answer['error'])) {
            throw new \InvalidArgumentException("pusher-testserver: {$answer['error']}");
        }

        return $answer;
    }

    private static function port(): int
    {
        if (self::$port === null) {
            $program = getenv('PUSHER_TESTSERVER') ?: 'pusher-testserver';
            self::$process = proc_open([$program], [['pipe', 'r'], ['pipe', 'w']], self::$pipes);
            $line = self::$process ? fgets(self::$pipes[1]) : false;
            if ($line === false) {
                throw new \RuntimeException("$program does not run");
            }
            self::$port = json_decode($line, true, flags: JSON_THROW_ON_ERROR)['control'];
        }

        return self::$port;
    }
}
