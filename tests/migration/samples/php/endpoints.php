<?php

use Pusher\Pusher;

// The endpoints of a website: authorization, sign-in and webhooks. Nothing is sent.
['KEY' => $key, 'SECRET' => $secret, 'APP_ID' => $app_id] = getenv();
$master_key = base64_encode(str_repeat('k', 32));
$pusher = new Pusher($key, $secret, $app_id, ['cluster' => 'eu', 'encryption_master_key_base64' => $master_key]);

// A subscription, with the names of all versions.
$socket_id = '1234.5678';
echo $pusher->authorizeChannel('private-orders', $socket_id), "\n";
echo $pusher->socketAuth('private-orders', $socket_id), "\n";
echo $pusher->authorizeChannel('private-encrypted-safe', $socket_id), "\n";

// A member of a presence channel.
$staff = ['name' => 'Zoe', 'desk' => 4];
echo $pusher->authorizePresenceChannel('presence-staff', $socket_id, '7', $staff), "\n";
echo $pusher->presence_auth('presence-staff', $socket_id, '7'), "\n";
echo $pusher->authorizeChannel('presence-staff', $socket_id, json_encode(['user_id' => '7', 'user_info' => $staff])), "\n";

// A user.
echo $pusher->authenticateUser($socket_id, ['id' => '7', 'name' => 'Zoe']), "\n";

// A webhook, as the server sends it.
$body = json_encode(['time_ms' => time() * 1000, 'events' => [['name' => 'channel_occupied', 'channel' => 'shop']]]);
$headers = ['X-Pusher-Key' => $key, 'X-Pusher-Signature' => hash_hmac('sha256', $body, $secret)];
$webhook = $pusher->webhook($headers, $body);
echo count($webhook->get_events()), ' event: ', $webhook->get_events()[0]->name, "\n";
echo 'at ', $webhook->get_time_ms() > 1_700_000_000_000 ? 'a time of ours' : 'no time', "\n";
$pusher->verifySignature($headers, $body);
