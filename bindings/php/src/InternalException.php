<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * A bug in libpusher, or the system is out of memory.
 */
final class InternalException extends PusherException
{
}
