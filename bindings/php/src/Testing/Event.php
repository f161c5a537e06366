<?php

declare(strict_types=1);

namespace LibPusher\Testing;

/** A published event. */
final class Event
{
    /** The data as the application passed it, objects as arrays: the value of the JSON, or the text if it is no JSON. */
    public readonly mixed $data;

    /**
     * @param string $text the data as it was sent; encrypted on an encrypted channel
     * @param string|null $socketId the connection that does not receive the event
     * @param string|null $user the user whom the event was sent to
     */
    public function __construct(
        public readonly string $channel,
        public readonly string $event,
        public readonly string $text,
        public readonly ?string $socketId,
        public readonly ?string $user,
    ) {
        $value = json_decode($text, true);
        $this->data = json_last_error() === JSON_ERROR_NONE ? $value : $text;
    }

    public function __toString(): string
    {
        return "$this->event on $this->channel: $this->text";
    }
}
