<?php

declare(strict_types=1);

// A website that publishes orders, authorizes its users, and takes webhooks. The classes are preloaded.

use LibPusher\{NetworkException, Pusher, PusherException};

/** Returns the id of the user, whose session this header stands for. */
function current_user(): string
{
    return substr($_SERVER['HTTP_AUTHORIZATION'] ?? '', strlen('Bearer ')) ?: respond(403);
}

function respond(int $status, string $json = ''): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit($json);
}

function create_order(Pusher $pusher): never
{
    $order = ['id' => $_POST['id']];
    try {
        // The connection that made the order already knows it.
        $pusher->trigger('private-orders', 'order-created', $order, ['socket_id' => $_POST['socket_id'] ?? null]);
    } catch (NetworkException $e) {
        // "not_sent": the event can be sent again. "unknown": it may have arrived.
        respond(503, json_encode(['delivery' => $e->getDelivery()]));
    }
    respond(200, json_encode($order));
}

function authorize_channel(Pusher $pusher): never
{
    $user = current_user();
    ['channel_name' => $channel, 'socket_id' => $socket_id] = $_POST;
    respond(200, str_starts_with($channel, 'presence-')
        ? $pusher->authorizePresenceChannel($channel, $socket_id, $user, ['name' => $user])
        : $pusher->authorizeChannel($channel, $socket_id));
}

function authenticate_user(Pusher $pusher): never
{
    respond(200, $pusher->authenticateUser($_POST['socket_id'], ['id' => current_user()]));
}

function take_webhook(Pusher $pusher): never
{
    try {
        $events = $pusher->webhook($_SERVER, file_get_contents('php://input'))->get_events();
    } catch (PusherException) {
        respond(401);
    }
    foreach ($events as $event) {
        file_put_contents(getenv('STATE'), json_encode($event) . "\n", FILE_APPEND | LOCK_EX);
    }
    respond(200);
}

// It reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more, which the pool's configuration passes on.
$pusher = Pusher::fromEnv();
match ($_SERVER['REQUEST_URI']) {
    '/orders' => create_order($pusher),
    '/pusher/auth' => authorize_channel($pusher),
    '/pusher/user-auth' => authenticate_user($pusher),
    '/pusher/webhook' => take_webhook($pusher),
    '/webhooks' => respond(200, '[' . implode(',', @file(getenv('STATE'), FILE_IGNORE_NEW_LINES) ?: []) . ']'),
    '/up' => respond(200),
};
