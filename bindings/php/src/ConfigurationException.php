<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The configuration of a client or a publisher is wrong; getArgument() names the key.
 */
final class ConfigurationException extends UsageException
{
}
