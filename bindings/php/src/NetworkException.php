<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The request was not sent, or its response is missing or cannot be read. getDelivery() tells them apart. It is an
 * {@see ApiErrorException} because the official SDK throws that; its code is the number of the status, and no HTTP status.
 */
final class NetworkException extends ApiErrorException
{
    public function __toString(): string
    {
        return \Exception::__toString();
    }
}
