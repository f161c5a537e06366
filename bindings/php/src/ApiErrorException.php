<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The server said no.
 */
class ApiErrorException extends PusherException
{
}
