<?php

declare(strict_types=1);

// For opcache.preload: with `ffi.enable=preload`, PHP's default, only preloaded files of a server may use FFI. Also set
// `ffi.preload=…/include/pusher.ffi.h`, which loads the library (README, PHP-FPM).
foreach (glob(__DIR__ . '/src/*.php') as $file) {
    opcache_compile_file($file);
}
