<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The server refused the request. getCode() is the HTTP status: 413 also for an event that was found too large before it was sent, and 0
 * if the requests of a fan-out ended differently.
 */
class ApiErrorException extends PusherException
{
    public function __toString(): string
    {
        return "(Status {$this->getCode()}) {$this->getMessage()}";
    }
}
