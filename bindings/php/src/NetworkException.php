<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The network failed. getDelivery() says whether the event may have been delivered.
 */
final class NetworkException extends PusherException
{
}
