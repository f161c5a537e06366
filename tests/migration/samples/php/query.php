<?php

use Pusher\Pusher;

// Asks the server about channels and users.
['KEY' => $key, 'SECRET' => $secret, 'APP_ID' => $app_id, 'HOST' => $host, 'PORT' => $port] = getenv();
$pusher = new Pusher($key, $secret, $app_id, ['host' => $host, 'port' => $port, 'scheme' => 'http']);

$info = $pusher->getChannelInfo('shop');
echo 'occupied: ', json_encode($info->occupied), "\n";
$info = $pusher->getChannelInfo('presence-staff', ['info' => 'user_count']);
echo 'users: ', $info->user_count ?? 'none', "\n";

// All channels, and some of them.
echo 'channels: ', count($pusher->getChannels()->channels), "\n";
$some = $pusher->getChannels(['filter_by_prefix' => 'presence-']);
foreach ($some->channels as $name => $channel) {
    echo "$name\n";
}

$result = $pusher->getPresenceUsers('presence-staff');
echo 'present: ', count($result->users), "\n";

// Any path, as objects or as arrays.
$response = $pusher->get('/channels', ['filter_by_prefix' => 'presence-']);
echo 'object: ', json_encode($response->channels), "\n";
$response = $pusher->get('/channels', [], true);
echo 'array: ', count($response['channels']), "\n";
$response = $pusher->get('/channels/presence-staff/users');
echo 'users: ', count($response->users), "\n";
$response = $pusher->post('/events', json_encode(['name' => 'opened', 'channel' => 'shop', 'data' => '{}']));
echo 'posted: ', json_encode($response), "\n";

$settings = $pusher->getSettings();
echo "$settings[scheme]://$settings[host]$settings[base_path]\n";
