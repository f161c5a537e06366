<?php

declare(strict_types=1);

namespace LibPusher;

use GuzzleHttp\ClientInterface;
use GuzzleHttp\Exception\BadResponseException;
use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Exception\GuzzleException;
use GuzzleHttp\Exception\RequestException;
use GuzzleHttp\Promise\PromiseInterface;
use GuzzleHttp\Promise\RejectionException;
use GuzzleHttp\TransferStats;
use Psr\Http\Message\ResponseInterface;

/**
 * Sends signed requests with a Guzzle client, and reports what happened to them.
 *
 * Middleware of the client may send a request several times, so a failure is `not_sent` only if the handler reports that no attempt
 * sent a byte.
 *
 * @internal
 */
final class Guzzle
{
    /** The causes of curl's errors; others are `transport`. */
    private const CAUSES = [
        5 => 'proxy', 6 => 'dns', 7 => 'connect', 28 => 'timeout', 35 => 'tls', 51 => 'tls', 52 => 'closed', 55 => 'write', 56 => 'reset',
        58 => 'tls', 60 => 'tls', 77 => 'tls', 97 => 'proxy',
    ];

    public function __construct(private readonly ClientInterface $client)
    {
    }

    public function send(Request $request): mixed
    {
        $seen = self::seen($request);
        try {
            $response = $this->client->request($request->getMethod(), $request->getUrl(), $this->options($request, $seen));
        } catch (GuzzleException|RejectionException $e) {
            return self::failed($request, $seen, $e);
        }

        return self::answered($request, $seen, $response);
    }

    public function sendAsync(Request $request): PromiseInterface
    {
        $seen = self::seen($request);

        return $this->client->requestAsync($request->getMethod(), $request->getUrl(), $this->options($request, $seen))->then(
            static fn (ResponseInterface $response): mixed => self::answered($request, $seen, $response),
            // Another exception is the program's own: of its middleware, or of a promise that it cancelled.
            static fn (mixed $reason): mixed => $reason instanceof \Throwable && !$reason instanceof GuzzleException
                ? throw $reason
                : self::failed($request, $seen, $reason),
        );
    }

    /** Returns the counters of attempts: all, and those that may have sent a byte. */
    private static function seen(Request $request): object
    {
        if ($request->getTimeoutMs() === 0) {
            $request->fail('not_sent', 'timeout', 'the time was up before the request was sent');
        }

        return (object) ['attempts' => 0, 'sent' => 0];
    }

    /** @return array<string, mixed> */
    private function options(Request $request, object $seen): array
    {
        $body = $request->getMethod() === 'POST' ? $request->getBody() : null;
        // A stack without Guzzle's own middleware would send chunks, which not all servers take.
        $length = $body === null ? [] : ['Content-Length' => (string) strlen($body)];

        $others = method_exists($this->client, 'getConfig') ? $this->client->getConfig('on_stats') : null;

        return [
            'headers' => $length + $request->getHeaders(),
            'body' => $body,
            'timeout' => $request->getTimeoutMs() / 1000,
            'http_errors' => false,
            'allow_redirects' => false,
            'on_stats' => static function (TransferStats $stats) use ($seen, $others): void {
                ++$seen->attempts;
                // Of curl: the bytes of all requests in this attempt, also of those that curl itself repeated.
                $seen->sent += (int) (($stats->getHandlerStats()['request_size'] ?? null) !== 0);
                if (is_callable($others)) {
                    $others($stats);
                }
            },
            // Null removes what the client has as its default, and what would change the signed request or its response.
            'query' => null,
            'json' => null,
            'form_params' => null,
            'multipart' => null,
            'stream' => null,
            'sink' => null,
        ];
    }

    private static function answered(Request $request, object $seen, ResponseInterface $response): mixed
    {
        $status = $response->getStatusCode();
        if ($status < 200 || $status > 599) {
            $request->fail('unknown', 'malformed', "the server answered $status");
        }
        if ($seen->sent > 1 && $status >= 300 && $request->getMethod() !== 'GET') {
            // An earlier attempt of the client may have been delivered.
            $request->fail('unknown', 'transport', "the HTTP client sent it $seen->sent times; the last response was $status");
        }
        try {
            $body = (string) $response->getBody();
        } catch (\RuntimeException) {
            $request->fail('unknown', 'closed', 'the response cannot be read');
        }
        $headers = array_map(
            static fn (array $values): array => array_filter($values, static fn (string $value): bool => !str_contains($value, "\0")),
            $response->getHeaders(),
        );

        return $request->finish($status, $body, $headers);
    }

    /** @param mixed $e what the client threw, or the reason of its promise, which may be anything */
    private static function failed(Request $request, object $seen, mixed $e): mixed
    {
        if ($e instanceof BadResponseException) {
            return self::answered($request, $seen, $e->getResponse());
        }
        // Guzzle's message has the URL, and so the signature.
        $context = $e instanceof RequestException || $e instanceof ConnectException ? $e->getHandlerContext() : [];
        $request->fail(
            $seen->attempts > 0 && $seen->sent === 0 ? 'not_sent' : 'unknown',
            self::CAUSES[$context['errno'] ?? 0] ?? 'transport',
            str_replace("\0", '', (string) ($context['error'] ?? get_debug_type($e))),
        );
    }
}
