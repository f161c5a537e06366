<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The call was wrong: nothing was sent.
 */
class UsageException extends PusherException
{
}
