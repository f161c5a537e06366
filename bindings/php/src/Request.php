<?php

declare(strict_types=1);

namespace LibPusher;

use FFI;
use FFI\CData;

/**
 * A signed request for your own HTTP client. It is one attempt: to retry, prepare the call again.
 *
 * Send method, URL, headers and body unchanged and once, follow no redirect, and respect {@see getTimeoutMs()}. Then {@see finish()} or
 * {@see fail()} returns or throws what the call itself would have.
 */
final class Request
{
    private const DELIVERIES = ['not_sent' => 1, 'unknown' => 3];

    private readonly Handle $handle;

    /** What {@see feed()} was given. */
    private ?Handle $fed = null;

    /**
     * @internal
     * @param list<string|null> $texts
     * @param bool $associative whether {@see finish()} returns arrays instead of objects
     */
    public function __construct(
        private readonly Handle $client,
        private readonly string $call,
        array $texts,
        private readonly bool $associative = false,
    ) {
        $ffi = Native::ffi();
        $copies = array_map(static fn (?string $text): ?CData => $text === null ? null : Native::text($text), $texts);
        $list = $ffi->new('const char *[' . count($texts) . ']');
        foreach ($copies as $index => $copy) {
            $list[$index] = $copy === null ? null : $ffi->cast('const char *', $copy);
        }
        $name = substr(Arguments::FUNCTIONS[$call], strlen('pusher_'));
        $this->handle = Native::make(
            'PusherRequest',
            'pusher_request_free',
            'pusher_prepare',
            [$client->pointer, $name, $list, count($texts)],
        );
    }

    /** Returns `POST` or `GET`. */
    public function getMethod(): string
    {
        return Native::ffi()->pusher_request_method($this->handle->pointer);
    }

    /** Returns the whole URL. It contains the signature: do not log it. */
    public function getUrl(): string
    {
        return Native::ffi()->pusher_request_url($this->handle->pointer);
    }

    /**
     * Returns the headers, without Host and Content-Length, which HTTP clients set.
     *
     * @return array<string, string>
     */
    public function getHeaders(): array
    {
        $ffi = Native::ffi();
        $name = $ffi->new('const char *');
        $value = $ffi->new('const char *');
        $headers = [];
        $count = $ffi->pusher_request_header_count($this->handle->pointer);
        for ($index = 0; $index < $count; ++$index) {
            $ffi->pusher_request_header($this->handle->pointer, $index, FFI::addr($name), FFI::addr($value));
            $headers[FFI::string($name)] = FFI::string($value);
        }

        return $headers;
    }

    /** Returns the body exactly as it was signed, empty for a GET. */
    public function getBody(): string
    {
        $length = Native::ffi()->new('size_t');
        $body = Native::ffi()->pusher_request_body($this->handle->pointer, FFI::addr($length));

        return FFI::string($body, $length->cdata);
    }

    /** Returns the remaining time in milliseconds; 0: do not send. */
    public function getTimeoutMs(): int
    {
        return Native::ffi()->pusher_request_timeout_ms($this->handle->pointer);
    }

    /** Returns the host to connect to: a name or an IP address, IPv6 without brackets. */
    public function getHost(): string
    {
        return Native::ffi()->pusher_request_host($this->handle->pointer) ?? throw new \RuntimeException('out of memory');
    }

    /** Returns the port to connect to. */
    public function getPort(): int
    {
        return Native::ffi()->pusher_request_port($this->handle->pointer);
    }

    /** Returns whether to speak TLS. */
    public function isTls(): bool
    {
        return Native::ffi()->pusher_request_tls($this->handle->pointer) === 1;
    }

    /** Returns the whole HTTP/1.1 request, for a socket of your own. It contains the signature: do not log it. */
    public function toBytes(): string
    {
        $length = Native::ffi()->new('size_t');
        $bytes = Native::ffi()->pusher_request_bytes($this->handle->pointer, FFI::addr($length));

        return $bytes === null ? throw new \RuntimeException('out of memory') : FFI::string($bytes, $length->cdata);
    }

    /**
     * Reads bytes of the response as they came from a socket, in any pieces.
     *
     * @param string $data no bytes are the end of the input
     * @return array{int, int} 1 if the response is whole (call {@see finish()} without a status), 0 if more is to come, -1 if it is not
     *     HTTP or ends too early (call {@see finish()}, too); and how many of the bytes belong to the response
     */
    public function feed(string $data): array
    {
        $this->fed ??= self::response();
        $used = Native::ffi()->new('size_t');
        $bytes = Native::bytes($data);
        $state = Native::ffi()->pusher_response_feed($this->fed->pointer, $bytes, strlen($data), FFI::addr($used));

        return [$state, $used->cdata];
    }

    /**
     * Interprets the server's response.
     *
     * @param int|null $status from 200 to 599; without one, the response is what {@see feed()} was given
     * @param string $body the whole body
     * @param array<string, string|list<string>> $headers all headers
     * @return mixed what the call itself would have returned
     * @throws PusherException as the call itself would have
     */
    public function finish(?int $status = null, string $body = '', array $headers = []): mixed
    {
        $response = $this->fed ?? self::response();
        if ($status === null) {
            return $this->end($response);
        }
        Native::ffi()->pusher_response_set($response->pointer, $status, Native::bytes($body), strlen($body));
        foreach ($headers as $name => $values) {
            foreach ((array) $values as $value) {
                $name = Arguments::text((string) $name, 'headers');
                $value = Arguments::text((string) $value, 'headers');
                Native::ffi()->pusher_response_set_header($response->pointer, $name, $value);
            }
        }

        return $this->end($response);
    }

    /**
     * Reports that there was no complete response.
     *
     * @param string $delivery `not_sent` only if the request's last byte certainly was not sent, otherwise `unknown`
     * @param string|null $cause dns, connect, tls, proxy, write, timeout, reset, closed, malformed, cancelled or transport
     * @param string|null $message a message for people
     * @throws PusherException always
     */
    public function fail(string $delivery, ?string $cause = null, ?string $message = null): never
    {
        $value = self::DELIVERIES[$delivery] ?? Arguments::refuse('delivery', 'must be not_sent or unknown');
        // A failure does not outweigh a status that was fed.
        $response = $this->fed ?? self::response();
        $cause = Arguments::optional($cause, 'cause');
        Native::ffi()->pusher_response_fail($response->pointer, $value, $cause, Arguments::optional($message, 'message'));
        $this->end($response);
        throw new \LogicException('a failure that is none');
    }

    private static function response(): Handle
    {
        return new Handle(Native::ffi()->pusher_response_new(), 'pusher_response_free');
    }

    private function end(Handle $response): mixed
    {
        $document = Native::call('pusher_finish', [$this->client->pointer, $this->handle->pointer, $response->pointer]);

        return Answer::of($this->call, $document, $this->associative);
    }
}
