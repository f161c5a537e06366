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

    /**
     * Interprets the server's response.
     *
     * @param int $status from 200 to 599
     * @param string $body the whole body
     * @param array<string, string|list<string>> $headers all headers
     * @return mixed what the call itself would have returned
     * @throws PusherException as the call itself would have
     */
    public function finish(int $status, string $body = '', array $headers = []): mixed
    {
        $response = self::response();
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
        $response = self::response();
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
