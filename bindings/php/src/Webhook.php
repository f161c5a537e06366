<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * An authentic webhook ({@see Pusher::webhook()}). The names are those of the official SDK.
 */
final class Webhook
{
    /** @internal */
    public function __construct(private readonly object $said)
    {
    }

    /**
     * @return list<object> each with `name` and further members, mostly `channel`
     */
    public function get_events(): array
    {
        return is_array($this->said->events ?? null) ? $this->said->events : [];
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
