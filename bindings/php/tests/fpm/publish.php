<?php

declare(strict_types=1);

// Nothing is required: the classes are preloaded.
$pusher = LibPusher\Pusher::fromUrl($_SERVER['TEST_URL']);
$answer = $pusher->trigger('fpm', 'e', ['n' => (int) $_SERVER['TEST_NUMBER']]);
try {
    $pusher->trigger("fpm\0", 'e', 1);
} catch (LibPusher\UsageException $e) {
    $refused = $e->getArgument();
}
try {
    FFI::cdef('int getpid(void);')->getpid();
} catch (FFI\Exception $e) {
    $restricted = $e->getMessage();
}
header('Content-Type: application/json');
echo json_encode([
    'pid' => getmypid(),
    'version' => LibPusher\Pusher::libraryVersion(),
    'answer' => $answer,
    'refused' => $refused ?? null,
    'restricted' => $restricted ?? null,
]);
