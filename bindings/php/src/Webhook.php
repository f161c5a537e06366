<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * An authentic webhook ({@see Pusher::webhook()}). The names are those of the official SDK.
 */
final class Webhook
{
    /**
     * @internal
     * @throws SignatureException
     */
    public function __construct(private readonly object $said)
    {
        if (!is_array($said->events ?? [])) {
            $problem = ['argument' => 'body.events', 'message' => 'body.events: is not a list'];
            throw PusherException::of(Native::WEBHOOK_INVALID, ['status' => 'WEBHOOK_INVALID'] + $problem);
        }
    }

    /**
     * @return list<object> each with `name` and further members, mostly `channel`
     */
    public function get_events(): array
    {
        return $this->said->events ?? [];
    }

    /**
     * Returns the time when it was first sent, in milliseconds since 1970. (0 without `time_ms`, which only `webhook_max_age_ms` of 0
     * allows.)
     */
    public function get_time_ms(): int
    {
        $time = $this->said->time_ms ?? null;
        // Slanger writes a string.
        return is_int($time) || (is_string($time) && ctype_digit($time)) ? (int) $time : 0;
    }
}
