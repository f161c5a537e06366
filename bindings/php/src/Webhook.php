<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * What an authentic webhook says ({@see Pusher::webhook()}). Its names are those of the official SDK.
 */
final class Webhook
{
    /** @internal */
    public function __construct(private readonly object $said)
    {
    }

    /**
     * @return list<object> each with `name`, `channel` and what belongs to it
     */
    public function get_events(): array
    {
        return is_array($this->said->events ?? null) ? $this->said->events : [];
    }

    /**
     * When it was first sent, in milliseconds since 1970. (0 where it does not say, which only `webhook_max_age_ms` of 0 allows.)
     */
    public function get_time_ms(): int
    {
        return is_int($this->said->time_ms ?? null) ? $this->said->time_ms : 0;
    }
}
