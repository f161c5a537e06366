<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * What every failure is. Its class says what kind of thing went wrong, {@see getStatus()} what exactly, and {@see getDelivery()}
 * what became of the event: that, and not the class, decides whether it may be sent again.
 *
 *     try {
 *         $pusher->trigger('orders', 'paid', $order);
 *     } catch (LibPusher\PusherException $e) {
 *         if (!in_array($e->getDelivery(), ['not_sent', 'rejected'], true)) {
 *             throw $e;
 *         }
 *         retry_later($order);    // it was certainly not delivered
 *     }
 */
class PusherException extends \Exception
{
    /**
     * @internal
     * @param array<string, mixed> $document the members of `error` in an error document
     * @param int $code the number of the status
     */
    final public function __construct(private readonly array $document, int $code)
    {
        parent::__construct((string) ($document['message'] ?? ''), $code);
    }

    /**
     * The status, such as `NOT_SENT`; getCode() is its number, such as 20.
     */
    public function getStatus(): string
    {
        return $this->document['status'];
    }

    /**
     * What became of the event: `not_sent`, `rejected` (neither was delivered), or `unknown` (it may have been). Null where there
     * was no event.
     */
    public function getDelivery(): ?string
    {
        return $this->document['delivery'] ?? null;
    }

    /**
     * Why the network failed: dns, connect, tls, proxy, write, timeout, reset, closed, malformed or transport.
     */
    public function getNetworkCause(): ?string
    {
        return $this->document['cause'] ?? null;
    }

    /**
     * The argument that is wrong, such as `events[3].channel`.
     */
    public function getArgument(): ?string
    {
        return $this->document['argument'] ?? null;
    }

    /**
     * Whether the same call may succeed later. It says nothing about delivery.
     */
    public function isRetryable(): bool
    {
        return ($this->document['retryable'] ?? false) === true;
    }

    /**
     * How often the call was sent, or tried to be.
     */
    public function getAttempts(): ?int
    {
        return $this->document['attempts'] ?? null;
    }

    /**
     * The server's status, such as 429.
     */
    public function getHttpStatus(): ?int
    {
        return $this->document['http_status'] ?? null;
    }

    /**
     * The beginning of what the server said.
     */
    public function getResponse(): ?string
    {
        return $this->document['response'] ?? null;
    }

    /**
     * How many milliseconds the server wants to be left alone.
     */
    public function getRetryAfterMs(): ?int
    {
        return $this->document['retry_after_ms'] ?? null;
    }

    /**
     * The whole error document: what the methods above read.
     *
     * @return array<string, mixed>
     */
    public function getDocument(): array
    {
        return $this->document;
    }

    /**
     * The exception for a status. One that is not known yet is told by its range, as pusher.h asks for.
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

        return new $class($document, $code);
    }
}
