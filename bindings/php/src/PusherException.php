<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The base class of all errors. The class names the kind of failure, {@see getStatus()} the exact one, and {@see getDelivery()} what
 * happened to the event. The delivery, not the class, decides whether you may retry.
 *
 *     try {
 *         $pusher->trigger('orders', 'paid', $order);
 *     } catch (LibPusher\PusherException $e) {
 *         if (!in_array($e->getDelivery(), ['not_sent', 'rejected'], true)) {
 *             throw $e;
 *         }
 *         retry_later($order);    // it certainly was not delivered
 *     }
 */
class PusherException extends \Exception
{
    private const HTTP_TOO_LARGE = 413;

    /** @var array<string, mixed> the members of `error` in an error document */
    private readonly array $document;

    /**
     * Makes an exception; your tests may throw one with a message and a code, as with the official SDK.
     *
     * @param string|array<string, mixed> $document the message, or the members of `error` in an error document
     */
    public function __construct(string|array $document = '', int $code = 0, ?\Throwable $previous = null)
    {
        $this->document = is_string($document) ? ['message' => $document] : $document;
        parent::__construct((string) ($this->document['message'] ?? ''), $code, $previous);
    }

    /**
     * Returns the status, such as `NOT_SENT`. getCode() is its number, such as 20, and the HTTP status in an {@see ApiErrorException}.
     */
    public function getStatus(): string
    {
        return $this->document['status'] ?? '';
    }

    /**
     * Returns what happened to the event: `not_sent` and `rejected` (not delivered), or `unknown` (it may have been delivered). Null if
     * there was no event.
     */
    public function getDelivery(): ?string
    {
        return $this->document['delivery'] ?? null;
    }

    /**
     * Returns the cause of a network failure: dns, connect, tls, proxy, write, timeout, reset, closed, malformed, transport, cancelled or circuit.
     */
    public function getNetworkCause(): ?string
    {
        return $this->document['cause'] ?? null;
    }

    /**
     * Returns the wrong argument, such as `events[3].channel`.
     */
    public function getArgument(): ?string
    {
        return $this->document['argument'] ?? null;
    }

    /**
     * Returns whether the same call may succeed later. It is independent of the delivery.
     */
    public function isRetryable(): bool
    {
        return ($this->document['retryable'] ?? false) === true;
    }

    /**
     * Returns the number of requests that were tried.
     */
    public function getAttempts(): ?int
    {
        return $this->document['attempts'] ?? null;
    }

    /**
     * Returns the response's HTTP status, such as 429.
     */
    public function getHttpStatus(): ?int
    {
        return $this->document['http_status'] ?? null;
    }

    /**
     * Returns the beginning of the response's body.
     */
    public function getResponse(): ?string
    {
        return $this->document['response'] ?? null;
    }

    /**
     * Returns how each request of a fan-out ended, if they ended differently (status `PARTIAL`).
     *
     * @return list<array<string, mixed>>|null `channels`, `status`, `delivery`, and possibly `cause` and `http_status`
     */
    public function getParts(): ?array
    {
        return $this->document['parts'] ?? null;
    }

    /**
     * Returns the server's Retry-After in milliseconds.
     */
    public function getRetryAfterMs(): ?int
    {
        return $this->document['retry_after_ms'] ?? null;
    }

    /**
     * Returns the member `code` of the response, such as sockudo's `feature_disabled`.
     */
    public function getServerCode(): ?string
    {
        return $this->document['server_code'] ?? null;
    }

    /**
     * Returns the figures of the server's X-RateLimit headers. `reset` is in seconds from now or since 1970: servers differ.
     *
     * @return array{limit?: int, remaining?: int, reset?: int}
     */
    public function getRateLimit(): array
    {
        return (array) ($this->document['rate_limit'] ?? []);
    }

    /**
     * Returns the whole error document, which the methods above read.
     *
     * @return array<string, mixed>
     */
    public function getDocument(): array
    {
        return $this->document;
    }

    /**
     * Returns the exception for a status. An unknown status is treated by its range, as pusher.h requires.
     *
     * @internal
     * @param array<string, mixed>|null $document
     */
    public static function of(int $code, ?array $document): self
    {
        if ($document === null) {
            $name = Native::ffi()->pusher_status_name($code);
            $document = ['status' => $name, 'message' => $name];
        }
        $class = match (true) {
            $code === Native::INVALID_CONFIG => ConfigurationException::class,
            $code === Native::UNAUTHORIZED => AuthenticationException::class,
            $code >= 1 && $code <= 19 => UsageException::class,
            $code >= 20 && $code <= 39 => NetworkException::class,
            $code >= 40 && $code <= 59 => ApiErrorException::class,
            $code >= 60 && $code <= 79 => SignatureException::class,
            $code >= 80 && $code <= 99 => PublisherException::class,
            default => InternalException::class,
        };

        if ($class !== NetworkException::class && is_a($class, ApiErrorException::class, true)) {
            $code = $document['http_status'] ?? ($code === Native::PAYLOAD_TOO_LARGE ? self::HTTP_TOO_LARGE : 0);
        }

        return new $class($document, $code);
    }
}
