<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The network failed. Whether the event was delivered is told by getDelivery().
 */
final class NetworkException extends PusherException
{
}
