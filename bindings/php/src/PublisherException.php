<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * A publisher did not queue an event: its queue is full, it is closed, or it belongs to the parent process.
 */
final class PublisherException extends PusherException
{
}
