<?php

declare(strict_types=1);

namespace LibPusher;

use GuzzleHttp\Promise\PromiseInterface;

/**
 * The methods of {@see Pusher} that the official SDK's interface of this name has, so that a program may declare it and replace it in
 * its tests.
 */
interface PusherInterface
{
    public function getSettings();

    public function trigger($channels, string $event, $data, array $params = [], bool $already_encoded = false): object;

    public function triggerAsync(
        $channels,
        string $event,
        $data,
        array $params = [],
        bool $already_encoded = false,
    ): PromiseInterface;

    public function triggerBatch(array $batch = [], bool $already_encoded = false): object;

    public function triggerBatchAsync(array $batch = [], bool $already_encoded = false): PromiseInterface;

    public function getChannelInfo(string $channel, array $params = []): object;

    public function getChannels(array $params = []): object;

    public function getPresenceUsers(string $channel): object;

    public function get(string $path, array $params = [], bool $associative = false);

    public function socketAuth(string $channel, string $socket_id, ?string $custom_data = null): string;

    public function presenceAuth(string $channel, string $socket_id, string $user_id, $user_info = null): string;

    public function webhook(array $headers, string $body): object;

    public function verifySignature(array $headers, string $body);

    /** @deprecated */
    public function get_channel_info(string $channel, array $params = []): object;

    /** @deprecated */
    public function get_channels(array $params = []): object;

    /** @deprecated */
    public function get_users_info(string $channel): object;

    /** @deprecated */
    public function socket_auth(string $channel, string $socket_id, ?string $custom_data = null): string;

    /** @deprecated */
    public function presence_auth(string $channel, string $socket_id, string $user_id, $user_info = null): string;

    /** @deprecated */
    public function ensure_valid_signature(array $headers, string $body);
}
