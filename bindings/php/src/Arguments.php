<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * Converts native values to the string arguments of the C functions, in their order. Each method of the first part has the name and
 * the arguments of a method of {@see Pusher}; errors name the argument as the C function does.
 *
 * @internal
 */
final class Arguments
{
    /** The C function of each method that makes a network call. */
    public const FUNCTIONS = [
        'trigger' => 'pusher_trigger',
        'triggerBatch' => 'pusher_trigger_batch',
        'sendToUser' => 'pusher_send_to_user',
        'terminateUserConnections' => 'pusher_terminate_user_connections',
        'getChannels' => 'pusher_channels_info',
        'getChannelInfo' => 'pusher_channel_info',
        'getPresenceUsers' => 'pusher_users_info',
        'get' => 'pusher_get',
        'post' => 'pusher_post',
        'delete' => 'pusher_delete',
    ];

    /** Errors found here have a delivery too if the call publishes. */
    private const NOT_SENT = ['delivery' => 'not_sent'];

    private const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION;

    /** @return list<string|null> */
    public static function trigger(
        mixed $channels,
        string $event,
        mixed $data,
        array $params = [],
        bool $already_encoded = false,
    ): array {
        return [
            self::channels($channels),
            self::text($event, 'event', self::NOT_SENT),
            self::data($data, $already_encoded, 'data'),
            self::options($params, self::NOT_SENT),
        ];
    }

    /** @return list<string|null> */
    public static function triggerBatch(array $batch = [], bool $already_encoded = false, array $params = []): array
    {
        $events = [];
        foreach (array_values($batch) as $index => $event) {
            if (is_array($event)) {
                if (is_array($event[0] ?? null)) {
                    // The official README gives the parameters of an event as a list's element.
                    $event += $event[0];
                    unset($event[0]);
                }
                if ($already_encoded && !is_string($event['data'] ?? null)) {
                    self::refuse("events[$index].data", 'must be a string, because already_encoded is set', self::NOT_SENT);
                }
                $event = self::withInfo($event, self::NOT_SENT);
            }
            $events[] = $event;
        }

        return [self::json($events, 'events', self::NOT_SENT), self::options($params, self::NOT_SENT)];
    }

    /** @return list<string|null> */
    public static function sendToUser(
        string $user_id,
        string $event,
        mixed $data,
        bool $already_encoded = false,
        array $params = [],
    ): array {
        return [
            self::text($user_id, 'user_id', self::NOT_SENT),
            self::text($event, 'event', self::NOT_SENT),
            self::data($data, $already_encoded, 'data'),
            self::options($params, self::NOT_SENT),
        ];
    }

    /** @return list<string|null> */
    public static function terminateUserConnections(string $user_id, array $params = []): array
    {
        return [self::text($user_id, 'user_id', self::NOT_SENT), self::options($params, self::NOT_SENT)];
    }

    /** @return list<string|null> */
    public static function getChannels(array $params = []): array
    {
        $prefix = self::optional($params['filter_by_prefix'] ?? null, 'prefix_filter');
        $attributes = self::attributes($params['info'] ?? null);
        unset($params['filter_by_prefix'], $params['info']);

        return [$prefix, $attributes, self::options($params)];
    }

    /** @return list<string|null> */
    public static function getChannelInfo(string $channel, array $params = []): array
    {
        $attributes = self::attributes($params['info'] ?? null);
        unset($params['info']);

        return [self::text($channel, 'channel'), $attributes, self::options($params)];
    }

    /** @return list<string|null> */
    public static function getPresenceUsers(string $channel, array $params = []): array
    {
        return [self::text($channel, 'channel'), self::options($params)];
    }

    /** @return list<string|null> */
    public static function get(string $path, array $params = [], bool $associative = false, array $options = []): array
    {
        return [self::text($path, 'path'), self::query($params), self::options($options)];
    }

    /** @return list<string|null> */
    public static function post(string $path, mixed $body = null, array $params = [], array $options = []): array
    {
        return [
            self::text($path, 'path', self::NOT_SENT),
            self::query($params, self::NOT_SENT),
            self::body($body),
            self::options($options, self::NOT_SENT),
        ];
    }

    /** @return list<string|null> */
    public static function delete(string $path, array $params = [], array $options = []): array
    {
        return [
            self::text($path, 'path', self::NOT_SENT),
            self::query($params, self::NOT_SENT),
            self::options($options, self::NOT_SENT),
        ];
    }

    /**
     * Returns a string for C. A NUL byte would end it: one name would be checked and another one signed.
     *
     * @param array<string, mixed> $document
     */
    public static function text(#[\SensitiveParameter] string $value, string $argument, array $document = []): string
    {
        return str_contains($value, "\0") ? self::refuse($argument, 'must not have a NUL byte', $document) : $value;
    }

    /** @param array<string, mixed> $document */
    public static function optional(mixed $value, string $argument, array $document = []): ?string
    {
        return match (true) {
            $value === null => null,
            is_string($value), is_int($value), $value instanceof \Stringable => self::text((string) $value, $argument, $document),
            default => self::refuse($argument, 'must be a string', $document),
        };
    }

    /**
     * Encodes compact JSON. It writes a NUL as `\u0000`, so a payload may contain NULs.
     *
     * @param array<string, mixed> $document
     */
    public static function json(#[\SensitiveParameter] mixed $value, string $argument, array $document = []): string
    {
        try {
            return json_encode($value, self::JSON);
        } catch (\JsonException $e) {
            return self::refuse($argument, "cannot be written as JSON: {$e->getMessage()}", $document);
        }
    }

    /**
     * Returns a JSON object, or null if it would be empty.
     *
     * @param array<string, mixed> $document
     */
    public static function object(array $value, string $argument, array $document = []): ?string
    {
        return $value === [] ? null : self::json($value, $argument, $document);
    }

    /** @param array<string, mixed> $document */
    public static function refuse(string $argument, string $problem, array $document = []): never
    {
        $document += ['status' => 'INVALID_ARGUMENT', 'message' => "$argument: $problem", 'argument' => $argument];
        throw new UsageException($document, Native::INVALID_ARGUMENT);
    }

    /**
     * Returns one name as it is, several as a JSON array. A single name that looks like an array stays one name: a name from outside
     * must not become several.
     */
    private static function channels(mixed $channels): ?string
    {
        if ($channels === null) {
            return null;
        }
        if (is_array($channels)) {
            return self::json(array_values($channels), 'channels', self::NOT_SENT);
        }
        if (!is_string($channels)) {
            self::refuse('channels', 'must be a string or a list of strings', self::NOT_SENT);
        }
        self::text($channels, 'channels', self::NOT_SENT);

        // C parses a string that begins with white space or a bracket as an array. No name begins so.
        return preg_match('/^[\x00-\x20[]/', $channels) === 1 ? self::json([$channels], 'channels', self::NOT_SENT) : $channels;
    }

    /** Encodes `data`. A string becomes a JSON string, whose content is sent, even if it is encoded already. */
    private static function data(mixed $data, bool $already_encoded, string $argument): string
    {
        if ($already_encoded && !is_string($data)) {
            self::refuse($argument, 'must be a string, because already_encoded is set', self::NOT_SENT);
        }

        return self::json($data, $argument, self::NOT_SENT);
    }

    /** Encodes a body. A string is JSON already, as in the official SDK: no path of the API takes a JSON string. */
    private static function body(mixed $body): ?string
    {
        return $body === null || is_string($body)
            ? self::optional($body, 'body', self::NOT_SENT)
            : self::json($body, 'body', self::NOT_SENT);
    }

    /**
     * Encodes the parameters of a query. A list is joined, and null is not given.
     *
     * @param array<string, mixed> $document
     */
    private static function query(array $params, array $document = []): ?string
    {
        $given = array_filter($params, static fn (mixed $value): bool => $value !== null);
        $join = static fn (mixed $value): mixed => is_array($value) ? self::joined($value, 'params', $document) : $value;

        return self::object(array_map($join, $given), 'params', $document);
    }

    /**
     * Joins the strings of a list.
     *
     * @param array<string, mixed> $document
     */
    private static function joined(array $values, string $argument, array $document = []): string
    {
        return implode(',', array_map(static fn (mixed $value): ?string => self::optional($value, $argument, $document), $values));
    }

    private static function attributes(mixed $value): ?string
    {
        return self::optional(is_array($value) ? self::joined($value, 'attributes') : $value, 'attributes');
    }

    /** @param array<string, mixed> $document */
    private static function options(array $params, array $document = []): ?string
    {
        return self::object(self::withInfo($params, $document), 'options', $document);
    }

    /**
     * Joins `info`, which may be a list.
     *
     * @param array<string, mixed> $document
     */
    private static function withInfo(array $params, array $document): array
    {
        if (is_array($params['info'] ?? null)) {
            $params['info'] = self::joined($params['info'], 'info', $document);
        }

        return $params;
    }
}
