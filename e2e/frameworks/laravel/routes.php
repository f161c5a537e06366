<?php

// routes/channels.php and routes/web.php.

use App\OrderCreated;
use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Http\Request;
use LibPusher\{Pusher, PusherException};

/** @var Illuminate\Broadcasting\BroadcastManager $broadcast */
$broadcast->routes(['middleware' => ['auth']]);
$broadcast->channel('orders', fn ($user) => true);
$broadcast->channel('hook', fn ($user) => true);
$broadcast->channel('shop', fn ($user) => ['name' => $user->name]);

/** @var Illuminate\Routing\Router $router */
$router->post('/orders', function (Request $request) use ($events) {
    $event = new OrderCreated($request->input('id'));
    // As broadcast($event)->toOthers() does, with the header X-Socket-ID.
    $event->socket = $request->input('socket_id');
    try {
        $events->dispatch($event);
    } catch (BroadcastException $e) {
        // "not_sent" and "rejected": the event can be sent again. "unknown": it may have arrived.
        return response_json(['delivery' => $e->getPrevious()->getDelivery()], 503);
    }

    return response_json(['id' => $event->id]);
});

$router->post('/pusher/webhook', function (Request $request, Pusher $pusher) {
    try {
        $webhook = $pusher->webhook($request->header(), $request->getContent());
    } catch (PusherException) {
        return response_json(null, 401);
    }
    foreach ($webhook->get_events() as $event) {
        file_put_contents(getenv('STATE'), json_encode($event) . "\n", FILE_APPEND | LOCK_EX);
    }

    return response_json(null);
});

$router->post('/pusher/user-auth', function (Request $request, Pusher $pusher) {
    abort_unless_signed_in($request);

    return $pusher->authenticateUser($request->input('socket_id'), ['id' => $request->user()->getAuthIdentifier()]);
})->middleware('auth');

$router->get('/webhooks', fn () => '[' . implode(',', @file(getenv('STATE'), FILE_IGNORE_NEW_LINES) ?: []) . ']');
$router->get('/up', fn () => '');
