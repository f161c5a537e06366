<?php

declare(strict_types=1);

namespace LibPusher\Laravel;

use GuzzleHttp\Client;
use Illuminate\Broadcasting\BroadcastManager;
use LibPusher\Pusher;
use Psr\Log\LoggerInterface;

/**
 * Makes Laravel's broadcaster publish with this library, for the drivers `pusher` and `reverb` of config/broadcasting.php. Nothing else
 * changes: events, channels, routes and configuration are Laravel's.
 *
 * `client_options` of a connection, if any, make a Guzzle client that sends the requests.
 */
final class ServiceProvider extends \Illuminate\Support\ServiceProvider
{
    private const DRIVERS = ['pusher', 'reverb'];

    public function register(): void
    {
        // Laravel's broadcaster names the official SDK's classes.
        require_once __DIR__ . '/../../pusher.php';
        $this->callAfterResolving(BroadcastManager::class, function (BroadcastManager $manager): void {
            foreach (self::DRIVERS as $driver) {
                $manager->extend($driver, fn ($app, array $config) => new Broadcaster($this->client($config)));
            }
        });
        // For what Laravel's broadcaster does not do: queries, webhooks, sign-in.
        $this->app->singleton(Pusher::class, function ($app): Pusher {
            $name = $app['config']['broadcasting.default'];
            $name = in_array($name, self::DRIVERS, true) ? $name : self::DRIVERS[0];

            return $this->client($app['config']["broadcasting.connections.$name"]);
        });
    }

    /** @param array<string, mixed> $config a connection of config/broadcasting.php */
    private function client(#[\SensitiveParameter] array $config): Pusher
    {
        $options = $config['client_options'] ?? [];
        $client = $options === [] ? null : new Client($options);
        $pusher = new Pusher($config['key'], $config['secret'], (string) $config['app_id'], $config['options'] ?? [], $client);
        if ($config['log'] ?? false) {
            $pusher->setLogger($this->app->make(LoggerInterface::class));
        }

        return $pusher;
    }
}
