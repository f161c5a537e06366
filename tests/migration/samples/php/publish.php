<?php

use Pusher\{ApiErrorException, Pusher, PusherException};

// Publishes in all the ways of the official SDK. The environment names the server.
['KEY' => $key, 'SECRET' => $secret, 'APP_ID' => $app_id, 'HOST' => $host, 'PORT' => $port] = getenv();
$options = ['host' => $host, 'port' => $port, 'scheme' => 'http', 'useTLS' => false, 'timeout' => 5];
$pusher = new Pusher($key, $secret, $app_id, $options);

// One channel, several channels, and without the connection that caused the event.
$pusher->trigger('shop', 'opened', ['by' => 'Zoe', 'visitors' => 3]);
$pusher->trigger(['shop', 'news'], 'closed', 'see you tomorrow');
$pusher->trigger('shop', 'sold', ['article' => 7], ['socket_id' => '1234.5678']);
$pusher->trigger('shop', 'sold', ['article' => 8], ['socket_id' => null]);

// JSON that is encoded already.
$pusher->trigger('shop', 'stock', '{"apples":12}', [], true);

// What the server knows about the channels.
$result = $pusher->trigger(['shop', 'presence-staff'], 'counted', [], ['info' => 'subscription_count,user_count']);
echo 'asked about ', count($result->channels), " channels\n";

// Batches. The parameters of an event may be in an array of their own.
$batch = [];
$batch[] = ['channel' => 'shop', 'name' => 'sold', 'data' => ['article' => 9]];
$batch[] = ['channel' => 'news', 'name' => 'sold', 'data' => ['article' => 9], ['socket_id' => '1234.5678']];
$result = $pusher->triggerBatch($batch);
echo 'a batch: ', json_encode($result), "\n";
$batch[0]['info'] = 'subscription_count';
echo 'with attributes: ', count($pusher->triggerBatch($batch)->batch), "\n";

// Promises.
$pusher->triggerAsync(['shop', 'news'], 'opened', 'again')
    ->then(fn ($answer) => print('later: ' . json_encode($answer) . "\n"))
    ->wait();
$pusher->triggerBatchAsync($batch)->wait();

// To a user, wherever the user is connected; and to nobody any more.
$pusher->sendToUser('user-7', 'bill', ['total' => 12.5]);
$pusher->sendToUserAsync('user-7', 'bill', ['total' => 13])->wait();
$pusher->terminateUserConnections('user-7');
$pusher->terminateUserConnectionsAsync('user-7')->wait();

// A Guzzle client of the program's own.
$seen = 0;
$stack = GuzzleHttp\HandlerStack::create();
$stack->push(GuzzleHttp\Middleware::tap(function () use (&$seen) {
    ++$seen;
}));
$guzzle = new Pusher($key, $secret, $app_id, $options, new GuzzleHttp\Client(['handler' => $stack]));
$guzzle->trigger('shop', 'by-guzzle', 'hello');
echo "the middleware saw $seen\n";

// Encrypted from end to end.
$options['encryption_master_key_base64'] = base64_encode(str_repeat('k', 32));
$encrypting = new Pusher($key, $secret, $app_id, $options);
$encrypting->trigger('private-encrypted-safe', 'code', ['number' => 4711]);

// What goes wrong.
try {
    $pusher->trigger('not a channel', 'event', []);
} catch (PusherException $e) {
    echo 'refused: ', get_class($e) !== ApiErrorException::class ? 'before it was sent' : 'by the server', "\n";
}
try {
    $pusher->trigger('shop', 'large', str_repeat('x', 11 * 1024));
} catch (ApiErrorException $e) {
    echo "too large: {$e->getCode()}\n";
}
