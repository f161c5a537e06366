<?php

declare(strict_types=1);

// Compares channel authorization and trigger with hash_hmac and curl, used as in the official SDK: with its checks of names, without
// Guzzle's layers, and with one curl handle that keeps its connection. It prints figures and makes no verdict.
//
//   PUSHER_LIBRARY=…/libpusher.so SINK=…/sink php bench/benchmark.php
//
// SINK is benches/sink.c, a server that responds to anything at once. Rounds alternate, so that other load affects both alike; the
// table shows medians.

require __DIR__ . '/../autoload.php';

const KEY = 'test-key';
const SECRET = 'test-secret';
const APP_ID = '4711';
const DATA = ['message' => 'hello world', 'from' => 'php', 'n' => 42];

/** The same work as the official SDK does, without it. */
final class ByHand
{
    private readonly CurlHandle $curl;

    public function __construct(private readonly int $port)
    {
        $this->curl = curl_init();
        curl_setopt_array($this->curl, [
            CURLOPT_POST => true,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => 30,
            CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'X-Pusher-Library: by-hand'],
        ]);
    }

    public function authorizeChannel(string $channel, string $socket_id, ?string $custom_data = null): string
    {
        self::check($channel);
        if (preg_match('/\A\d+\.\d+\z/', $socket_id) !== 1) {
            throw new InvalidArgumentException($socket_id);
        }
        $signed = $custom_data === null ? "$socket_id:$channel" : "$socket_id:$channel:$custom_data";
        $answer = ['auth' => KEY . ':' . hash_hmac('sha256', $signed, SECRET)];
        if ($custom_data !== null) {
            $answer['channel_data'] = $custom_data;
        }

        return json_encode($answer, JSON_UNESCAPED_SLASHES);
    }

    public function authorizePresenceChannel(string $channel, string $socket_id, string $user_id, mixed $user_info = null): string
    {
        $user = ['user_id' => $user_id, 'user_info' => $user_info];

        return $this->authorizeChannel($channel, $socket_id, json_encode($user, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR));
    }

    public function trigger(string $channel, string $event, mixed $data): object
    {
        self::check($channel);
        $body = json_encode(['name' => $event, 'data' => json_encode($data, JSON_THROW_ON_ERROR), 'channels' => [$channel]]);
        $params = ['auth_key' => KEY, 'auth_timestamp' => time(), 'auth_version' => '1.0', 'body_md5' => md5($body)];
        ksort($params);
        $path = '/apps/' . APP_ID . '/events';
        $query = http_build_query($params);
        $signature = hash_hmac('sha256', "POST\n$path\n$query", SECRET);
        curl_setopt($this->curl, CURLOPT_URL, "http://127.0.0.1:$this->port$path?$query&auth_signature=$signature");
        curl_setopt($this->curl, CURLOPT_POSTFIELDS, $body);
        $answer = curl_exec($this->curl);
        if (curl_getinfo($this->curl, CURLINFO_HTTP_CODE) !== 200) {
            throw new RuntimeException((string) $answer);
        }

        return json_decode($answer, false, 512, JSON_THROW_ON_ERROR);
    }

    private static function check(string $channel): void
    {
        if (strlen($channel) > 200 || preg_match('/\A[-a-zA-Z0-9_=@,.;]+\z/', $channel) !== 1) {
            throw new InvalidArgumentException($channel);
        }
    }
}

function rate(callable $work, object $client, float $seconds): float
{
    $start = hrtime(true);
    $finish = $start + $seconds * 1e9;
    $count = 0;
    while (hrtime(true) < $finish) {
        for ($again = 0; $again < 20; ++$again) {
            $work($client);
        }
        $count += 20;
    }

    return $count / (hrtime(true) - $start) * 1e9;
}

function median(array $values): float
{
    sort($values);

    return $values[intdiv(count($values), 2)];
}

$sink = proc_open([getenv('SINK')], [['pipe', 'r'], ['pipe', 'w']], $pipes);
$port = (int) fgets($pipes[1]);
$ours = new LibPusher\Pusher(KEY, SECRET, APP_ID, ['host' => '127.0.0.1', 'port' => $port, 'useTLS' => false]);
$theirs = new ByHand($port);
$member = ['name' => 'Zoë'];
$arguments = ['presence-c', '1.2', '7', $member];
if (json_decode($ours->authorizePresenceChannel(...$arguments)) != json_decode($theirs->authorizePresenceChannel(...$arguments))) {
    throw new RuntimeException('the signatures differ');
}

$cases = [
    'authorize a private channel' => fn (object $client) => $client->authorizeChannel('private-my-channel', '1234.5678'),
    'authorize a presence channel' =>
        fn (object $client) => $client->authorizePresenceChannel('presence-my-channel', '1234.5678', '7', $member),
    'trigger' => fn (object $client) => $client->trigger('my-channel', 'my-event', DATA),
];
$rounds = (int) (getenv('BENCH_ROUNDS') ?: 11);
$seconds = (float) (getenv('BENCH_SECONDS') ?: 0.2);
printf("%-30s %14s %14s %8s\n", 'PHP ' . PHP_VERSION . ', per second', 'libpusher', 'by hand', 'ratio');
foreach ($cases as $name => $work) {
    $rates = [[], []];
    for ($round = 0; $round < $rounds; ++$round) {
        $rates[0][] = rate($work, $ours, $seconds);
        $rates[1][] = rate($work, $theirs, $seconds);
    }
    [$our_median, $their_median] = array_map(median(...), $rates);
    printf("%-30s %14.0f %14.0f %8.2f\n", $name, $our_median, $their_median, $our_median / $their_median);
}
fclose($pipes[0]);
proc_close($sink);
