<?php

declare(strict_types=1);

namespace LibPusher;

// psr/log is optional, so this interface is Psr\Log\LoggerAwareInterface only where that exists.
if (interface_exists(\Psr\Log\LoggerAwareInterface::class)) {
    /**
     * The interface of a class with the method `setLogger`.
     *
     * @internal
     */
    interface LoggerAware extends \Psr\Log\LoggerAwareInterface
    {
    }
} else {
    /**
     * The interface of a class with the method `setLogger`.
     *
     * @internal
     */
    interface LoggerAware
    {
    }
}
