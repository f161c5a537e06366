<?php

declare(strict_types=1);

namespace LibPusher\Laravel;

use Illuminate\Broadcasting\Broadcasters\PusherBroadcaster;
use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Support\Arr;
use LibPusher\ApiErrorException;

/**
 * Laravel's broadcaster. Its BroadcastException has the exception of this library, which tells whether the event may have been
 * delivered, as the previous one.
 *
 * @internal
 */
final class Broadcaster extends PusherBroadcaster
{
    /** More need several requests. */
    private const CHANNELS_PER_REQUEST = 100;

    public function broadcast(array $channels, $event, array $payload = [])
    {
        $params = ['socket_id' => Arr::pull($payload, 'socket')];
        if (count($channels) > self::CHANNELS_PER_REQUEST) {
            $params['fan_out'] = true;
        }
        try {
            $this->pusher->trigger($this->formatChannels($channels), $event, $payload, $params);
        } catch (ApiErrorException $e) {
            throw new BroadcastException("Pusher error: {$e->getMessage()}.", $e->getCode(), $e);
        }
    }
}
