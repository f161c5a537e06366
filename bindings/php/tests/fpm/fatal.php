<?php

declare(strict_types=1);

// A program that dies while a publisher has threads.
$publisher = LibPusher\Pusher::fromUrl($_SERVER['TEST_URL'])->publisher();
$publisher->publish('fatal', 'e', (int) $_SERVER['TEST_NUMBER']);
ini_set('memory_limit', '64M');
str_repeat('x', PHP_INT_MAX >> 8); // more memory than there may be: no exception, and no destructors
