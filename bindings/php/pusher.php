<?php

declare(strict_types=1);

// Defines the official SDK's names, for frameworks and packages that name them in their own code. Require it before they are used; the
// official package must not be installed beside it. The names are defined at once: PHP loads no class for `catch` or a type of an
// argument.
require_once __DIR__ . '/autoload.php';

class_alias(LibPusher\PusherInterface::class, 'Pusher\PusherInterface');
class_alias(LibPusher\Pusher::class, 'Pusher\Pusher');
class_alias(LibPusher\PusherException::class, 'Pusher\PusherException');
class_alias(LibPusher\ApiErrorException::class, 'Pusher\ApiErrorException');
class_alias(LibPusher\Webhook::class, 'Pusher\Webhook');
