<?php

// The PHP program for bindings.test.mjs, which describes the protocol of these programs.

declare(strict_types=1);

use LibPusher\Pusher;
use LibPusher\PusherException;

require dirname(__DIR__, 2) . '/bindings/php/autoload.php';

/** Publishes 0, 1, 2… through a publisher, and returns the reports. */
function publish(Pusher $pusher, object $job): array
{
    $publisher = $pusher->publisher(['reports' => 'all']);
    for ($number = 0; $number < $job->count; $number++) {
        $publisher->publish($job->channel, $job->event, $number);
    }
    if (!$publisher->close(10000)) {
        throw new RuntimeException('events are left');
    }

    return ['reports' => $publisher->poll()];
}

/** Performs a job. Decodes the results of authorizations, which are JSON strings. */
function perform(Pusher $pusher, object $job): mixed
{
    return match ($job->call) {
        'trigger' => $pusher->trigger($job->channels, $job->event, $job->data),
        'trigger_batch' => $pusher->triggerBatch(array_map(fn ($event) => (array) $event, $job->events)),
        'publish' => publish($pusher, $job),
        'send_to_user' => $pusher->sendToUser($job->user_id, $job->event, $job->data),
        'terminate_user_connections' => $pusher->terminateUserConnections($job->user_id),
        'channels_info' => $pusher->getChannels(['filter_by_prefix' => $job->prefix]),
        'users_info' => $pusher->getPresenceUsers($job->channel),
        'authenticate' => json_decode(
            isset($job->data)
                ? $pusher->authorizePresenceChannel($job->channel, $job->socket_id, $job->data->user_id, $job->data->user_info)
                : $pusher->authorizeChannel($job->channel, $job->socket_id),
        ),
        'authenticate_channels' => json_decode($pusher->authorizeChannels($job->socket_id, $job->channels)),
        'authenticate_user' => json_decode($pusher->authenticateUser($job->socket_id, $job->data)),
        'validate_webhook' => $pusher->validateWebhook($job->key, $job->signature, $job->body),
    };
}

$url = parse_url(getenv('PUSHER_URL'));
$pusher = new Pusher($url['user'], $url['pass'], basename($url['path']), [
    'scheme' => $url['scheme'],
    'host' => $url['host'],
    'port' => $url['port'],
    'encryption_master_key_base64' => getenv('MASTER_KEY'),
]);
while (($line = fgets(STDIN)) !== false) {
    try {
        $answer = ['ok' => perform($pusher, json_decode($line, flags: JSON_THROW_ON_ERROR))];
    } catch (PusherException $e) {
        $answer = ['error' => $e->getStatus()];
    }
    echo json_encode($answer, JSON_THROW_ON_ERROR), "\n";
}
