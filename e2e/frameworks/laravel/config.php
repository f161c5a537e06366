<?php

// config/broadcasting.php, as Laravel creates it.

$env = static fn (string $name, ?string $default = null): ?string => getenv($name) === false ? $default : getenv($name);

return [
    'default' => 'pusher',
    'connections' => [
        'pusher' => [
            'driver' => 'pusher',
            'key' => $env('PUSHER_APP_KEY'),
            'secret' => $env('PUSHER_APP_SECRET'),
            'app_id' => $env('PUSHER_APP_ID'),
            'options' => [
                'cluster' => $env('PUSHER_APP_CLUSTER'),
                'host' => $env('PUSHER_HOST') ?: 'api-' . $env('PUSHER_APP_CLUSTER', 'mt1') . '.pusher.com',
                'port' => $env('PUSHER_PORT', '443'),
                'scheme' => $env('PUSHER_SCHEME', 'https'),
                'encrypted' => true,
                'useTLS' => $env('PUSHER_SCHEME', 'https') === 'https',
            ],
            'client_options' => [],
        ],
    ],
];
