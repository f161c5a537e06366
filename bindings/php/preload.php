<?php

declare(strict_types=1);

// For opcache.preload: with `ffi.enable=preload`, PHP's default, only preloaded files of a server may use FFI. Also set
// `ffi.preload=…/include/pusher.ffi.h`, which loads the library (README, PHP-FPM).
//
// The files are included, not only compiled, because the interface of loggers depends on psr/log: to have it, require Composer's
// autoloader before this file.
require_once __DIR__ . '/autoload.php';
foreach (glob(__DIR__ . '/src/*.php') as $file) {
    require_once $file;
}
