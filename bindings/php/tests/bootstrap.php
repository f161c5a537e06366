<?php

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'LibPusher\\Tests\\')) {
        require __DIR__ . '/' . strtr(substr($class, strlen('LibPusher\\Tests\\')), '\\', '/') . '.php';
    }
});

// Debian's packages, with psr/log.
require_once 'GuzzleHttp/autoload.php';
require_once 'React/Promise/autoload.php';
require_once __DIR__ . '/React/interfaces.php';
