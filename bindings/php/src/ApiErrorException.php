<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The server refused the request.
 */
class ApiErrorException extends PusherException
{
}
