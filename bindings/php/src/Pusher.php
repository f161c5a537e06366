<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * A client of one Channels application. Forked children may use it: each makes its own connections.
 *
 * A call that fails throws a {@see PusherException}. Results are objects, as in the official SDK.
 */
class Pusher
{
    private Handle $handle;
    private ?object $logger = null;

    /**
     * Makes a client. No connection is made before the first call.
     *
     *     new LibPusher\Pusher('key', 'secret', 'app_id', ['cluster' => 'eu']);
     *
     * @param array<string, mixed> $options the other keys of `pusher_new` (cluster, host, port, ssl, path, timeout_ms, retry,
     *     encryption_master_key_base64, …), and some names of the official SDK: scheme, useTLS, encrypted, timeout and
     *     connect_timeout (seconds). A null value means not set.
     * @throws ConfigurationException
     */
    public function __construct(
        #[\SensitiveParameter] string $auth_key,
        #[\SensitiveParameter] string $secret,
        string $app_id,
        #[\SensitiveParameter] array $options = [],
    ) {
        $config = ['app_id' => $app_id, 'key' => $auth_key, 'secret' => $secret] + self::translate($options);
        try {
            $this->start(Arguments::json($config, 'config'));
        } catch (UsageException $e) {
            // The configuration cannot be written as JSON; the library itself would return INVALID_CONFIG.
            throw $e instanceof ConfigurationException ? $e : new ConfigurationException(
                ['status' => 'INVALID_CONFIG'] + $e->getDocument(),
                Native::INVALID_CONFIG,
            );
        }
    }

    /**
     * @param string $url `https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID`
     * @throws UsageException
     */
    public static function fromUrl(#[\SensitiveParameter] string $url): static
    {
        return self::started(Arguments::text($url, 'config'));
    }

    /**
     * Makes a client from the process's environment: `PUSHER_URL`, or `PUSHER_APP_ID`, `PUSHER_KEY`, `PUSHER_SECRET`, `PUSHER_CLUSTER`,
     * `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME`. (It does not read `$_ENV`.)
     *
     * @throws ConfigurationException
     */
    public static function fromEnv(): static
    {
        return self::started(null);
    }

    /** Returns the version of the loaded C library, such as `0.1.0`. */
    public static function libraryVersion(): string
    {
        return Native::ffi()->pusher_version();
    }

    /**
     * Logs the result of each call: failures as warnings, successes as debug messages, which never contain a secret, a signature or a
     * payload.
     *
     * @param \Psr\Log\LoggerInterface|null $logger
     */
    public function setLogger(?object $logger): void
    {
        if ($logger !== null && !method_exists($logger, 'log')) {
            throw new \TypeError('A logger has a method "log", as that of PSR-3.');
        }
        $this->logger = $logger;
    }

    /**
     * Publishes an event on one or more channels, and waits for the server's response.
     *
     * @param string|list<string> $channels 1 to 100
     * @param mixed $data any JSON value. A string sends its content.
     * @param array<string, mixed> $params `socket_id` (excludes this connection), `info` (attributes to return, a string or a
     *     list), `idempotency_key` (never use a key for another event: see pusher.h), `extra` (an object: more members of the event,
     *     which only some servers know), `extra_in_clear`, `timeout_ms`, `fan_out` (true: up to 10,000
     *     channels, encrypted ones among them, in as many requests as they need; {@see PusherException::getParts()} says if these ended
     *     differently)
     * @param bool $already_encoded requires that `$data` is a string; it has no other effect
     * @return object the server's response: empty, or with `channels` if `info` is set
     * @throws PusherException
     */
    public function trigger(
        string|array $channels,
        string $event,
        mixed $data,
        array $params = [],
        bool $already_encoded = false,
    ): object {
        return $this->perform('trigger', [$channels, $event, $data, $params, $already_encoded]);
    }

    /**
     * Publishes 1 to 10 events in one request.
     *
     *     $pusher->triggerBatch([['channel' => 'a', 'name' => 'e', 'data' => 1], ['channel' => 'b', 'name' => 'e', 'data' => 2]]);
     *
     * @param list<array<string, mixed>> $batch each with `channel`, `name` and `data`, optionally `socket_id` and `info`
     * @param bool $already_encoded requires that each `data` is a string
     * @param array<string, mixed> $params `idempotency_key` (of the whole batch), `timeout_ms`
     * @throws PusherException
     */
    public function triggerBatch(array $batch = [], bool $already_encoded = false, array $params = []): object
    {
        return $this->perform('triggerBatch', [$batch, $already_encoded, $params]);
    }

    /**
     * Publishes an event to all connections of a user who has signed in ({@see authenticateUser()}).
     *
     * @param array<string, mixed> $params `timeout_ms`
     * @throws PusherException
     */
    public function sendToUser(
        string $user_id,
        string $event,
        mixed $data,
        bool $already_encoded = false,
        array $params = [],
    ): object {
        return $this->perform('sendToUser', [$user_id, $event, $data, $already_encoded, $params]);
    }

    /**
     * Closes all connections of a user who has signed in.
     *
     * @param array<string, mixed> $params `timeout_ms`
     * @throws PusherException
     */
    public function terminateUserConnections(string $user_id, array $params = []): object
    {
        return $this->perform('terminateUserConnections', [$user_id, $params]);
    }

    /**
     * Returns the occupied channels.
     *
     * @param array<string, mixed> $params `filter_by_prefix`, `info` (a string or a list), `timeout_ms`
     * @return object with `channels`, an array of objects by channel
     * @throws PusherException
     */
    public function getChannels(array $params = []): object
    {
        return $this->perform('getChannels', [$params]);
    }

    /**
     * Returns the state of a channel.
     *
     * @param array<string, mixed> $params `info` (a string or a list), `timeout_ms`
     * @return object with `occupied` and the requested attributes
     * @throws PusherException
     */
    public function getChannelInfo(string $channel, array $params = []): object
    {
        return $this->perform('getChannelInfo', [$channel, $params]);
    }

    /**
     * Returns the users on a presence channel.
     *
     * @param array<string, mixed> $params `params` (the query, such as soketi's `['with_user_info' => 1]`), `timeout_ms`
     * @return object with `users`, a list of objects with `id`
     * @throws PusherException
     */
    public function getPresenceUsers(string $channel, array $params = []): object
    {
        return $this->perform('getPresenceUsers', [$channel, $params]);
    }

    /**
     * Sends a GET request to any path of the API.
     *
     * @param string $path below `/apps/APP_ID`, such as `/channels`
     * @param array<string, string|int|bool> $params for the query
     * @param bool $associative whether to return arrays instead of objects
     * @param array<string, mixed> $options `timeout_ms`
     * @throws PusherException
     */
    public function get(string $path, array $params = [], bool $associative = false, array $options = []): mixed
    {
        return $this->perform('get', [$path, $params, $associative, $options], $associative);
    }

    /**
     * Sends a POST request to any path of the API.
     *
     * @param string $path below `/apps/APP_ID`, such as `/events`
     * @param mixed $body sent as JSON; a string is JSON already
     * @param array<string, string|int|bool> $params for the query
     * @param array<string, mixed> $options `timeout_ms`
     * @throws PusherException
     */
    public function post(string $path, mixed $body = null, array $params = [], array $options = []): mixed
    {
        return $this->perform('post', [$path, $body, $params, $options]);
    }

    /**
     * Sends a DELETE request without a body to any path of the API.
     *
     * @param string $path below `/apps/APP_ID`
     * @param array<string, string|int|bool> $params for the query
     * @param array<string, mixed> $options `timeout_ms`
     * @throws PusherException
     */
    public function delete(string $path, array $params = [], array $options = []): mixed
    {
        return $this->perform('delete', [$path, $params, $options]);
    }

    /**
     * Authorizes a subscription: returns the JSON that an authorization endpoint sends, unchanged. No network. Authorize only after
     * you checked that the user may see the channel.
     *
     * @param mixed $custom_data for a presence channel `['user_id' => '7', 'user_info' => […]]`; a string is JSON already
     * @throws UsageException|SignatureException
     */
    public function authorizeChannel(string $channel, string $socket_id, mixed $custom_data = null): string
    {
        if ($custom_data !== null) {
            $custom_data = is_string($custom_data)
                ? Arguments::text($custom_data, 'channel_data')
                : Arguments::json($custom_data, 'channel_data');
        }

        return $this->call('pusher_authenticate', [
            $this->handle->pointer,
            Arguments::text($channel, 'channel'),
            Arguments::text($socket_id, 'socket_id'),
            $custom_data,
        ]);
    }

    /**
     * Authorizes a subscription to a presence channel: returns the JSON that an authorization endpoint sends, unchanged. No network.
     *
     * @param array<string, mixed>|object|null $user_info the information about the user that the other members get
     * @throws UsageException
     */
    public function authorizePresenceChannel(string $channel, string $socket_id, string $user_id, mixed $user_info = null): string
    {
        $user = ['user_id' => $user_id];
        // An empty array would be a list in JSON, but only an object is allowed: omit it.
        if ($user_info !== null && $user_info !== []) {
            $user['user_info'] = $user_info;
        }

        return $this->authorizeChannel($channel, $socket_id, $user);
    }

    /**
     * Authorizes several subscriptions of one connection: returns the JSON that an authorization endpoint sends to a batch authorizer,
     * such as pusher-js-auth, unchanged: for each channel `{"status":200,"data":{"auth":…}}` or `{"status":400,"error":{…}}`. No
     * network. Authorize only channels that the user may see, and leave out the others.
     *
     * @param list<string|array<string, mixed>|object> $channels at most 100 names, or
     *     `['channel' => 'presence-a', 'channel_data' => ['user_id' => '7']]`; the data is an object, or a string that is JSON
     * @throws UsageException
     */
    public function authorizeChannels(string $socket_id, array $channels): string
    {
        return $this->call('pusher_authenticate_channels', [
            $this->handle->pointer,
            Arguments::text($socket_id, 'socket_id'),
            Arguments::json(array_values($channels), 'channels'),
        ]);
    }

    /**
     * Signs a user in: returns the JSON that a user authentication endpoint sends, unchanged. No network.
     *
     * @param array<string, mixed>|object $user_data `id`, and any other members
     * @throws UsageException
     */
    public function authenticateUser(string $socket_id, array|object $user_data): string
    {
        return $this->call('pusher_authenticate_user', [
            $this->handle->pointer,
            Arguments::text($socket_id, 'socket_id'),
            Arguments::json($user_data, 'user_data'),
        ]);
    }

    /**
     * Validates a webhook and returns its content.
     *
     * @param array<string, string|list<string>> $headers the request's headers, in upper or lower case, or `$_SERVER`
     * @param string $body the body's bytes, as `file_get_contents('php://input')` gives them
     * @throws SignatureException it is not authentic: respond with 401.
     * @throws UsageException a header contains a NUL byte: respond with 401.
     */
    public function webhook(array $headers, string $body): Webhook
    {
        $said = $this->validateWebhook(self::header($headers, 'X-PUSHER-KEY'), self::header($headers, 'X-PUSHER-SIGNATURE'), $body);

        return new Webhook($said);
    }

    /**
     * Throws unless a webhook is authentic and not too old.
     *
     * @param array<string, string|list<string>> $headers as for {@see webhook()}
     * @throws SignatureException|UsageException
     */
    public function verifySignature(array $headers, string $body): void
    {
        $this->webhook($headers, $body);
    }

    /**
     * Validates a webhook and returns its content.
     *
     * @param string|null $key the header X-Pusher-Key
     * @param string|null $signature the header X-Pusher-Signature
     * @param string $body the body's bytes, before anything decodes them
     * @return object with `time_ms` and `events`
     * @throws SignatureException|UsageException
     */
    public function validateWebhook(?string $key, ?string $signature, string $body): object
    {
        $key = Arguments::optional($key, 'key');
        $signature = Arguments::optional($signature, 'signature');
        $bytes = Native::bytes($body);
        $document = $this->call('pusher_validate_webhook', [$this->handle->pointer, $key, $signature, $bytes, strlen($body)]);

        return Answer::read($document, unreadable: Native::WEBHOOK_INVALID);
    }

    /**
     * Makes a publisher: a queue that sends events in the background.
     *
     * @param array<string, mixed> $config the keys of `pusher_publisher_new`: connections, overflow, reports, …
     * @throws UsageException
     */
    public function publisher(array $config = []): Publisher
    {
        return new Publisher($this->handle, $config);
    }

    /**
     * Signs a call without sending it, for your own HTTP client or event loop.
     *
     *     $request = $pusher->prepare('trigger', 'my-channel', 'my-event', ['hello' => 'world']);
     *
     * @param string $call the name of a method above that makes a network call
     * @param mixed ...$arguments its arguments
     * @throws UsageException
     */
    public function prepare(string $call, mixed ...$arguments): Request
    {
        if (!isset(Arguments::FUNCTIONS[$call])) {
            Arguments::refuse('call', 'is not the name of a method that makes a network call');
        }

        return new Request($this->handle, $call, Arguments::$call(...$arguments));
    }

    private static function started(#[\SensitiveParameter] ?string $config): static
    {
        $client = (new \ReflectionClass(static::class))->newInstanceWithoutConstructor();
        $client->start($config);

        return $client;
    }

    private function start(#[\SensitiveParameter] ?string $config): void
    {
        $this->handle = Native::make('Pusher', 'pusher_free', 'pusher_new', [$config]);
    }

    /**
     * Converts names of the official SDK to the configuration of `pusher_new`.
     *
     * @param array<string, mixed> $options
     * @return array<string, mixed>
     */
    private static function translate(#[\SensitiveParameter] array $options): array
    {
        // Laravel's configuration has keys for unset environment variables, and a port that is a string.
        $options = array_filter($options, static fn (mixed $value): bool => $value !== null);
        if (is_string($options['port'] ?? null) && ctype_digit($options['port'])) {
            $options['port'] = (int) $options['port'];
        }
        // The last one takes precedence.
        $ssl = ['encrypted' => $options['encrypted'] ?? null, 'useTLS' => $options['useTLS'] ?? null];
        foreach (array_filter($ssl, static fn (mixed $value): bool => $value !== null) as $value) {
            $options['ssl'] = $value;
        }
        foreach (['timeout' => 'timeout_ms', 'connect_timeout' => 'connect_timeout_ms'] as $name => $key) {
            if (isset($options[$name])) {
                $seconds = $options[$name];
                $options[$key] = is_int($seconds) || is_float($seconds) ? (int) round($seconds * 1000) : $seconds;
            }
        }
        unset($options['encrypted'], $options['useTLS'], $options['timeout'], $options['connect_timeout']);

        return $options;
    }

    /** @param array<string, mixed> $headers */
    private static function header(array $headers, string $wanted): ?string
    {
        foreach ($headers as $name => $value) {
            $name = strtr(strtoupper((string) $name), '_', '-');
            if ($name === $wanted || $name === "HTTP-$wanted") {
                $value = is_array($value) ? reset($value) : $value;

                return is_string($value) ? $value : null;
            }
        }

        return null;
    }

    /** @param list<mixed> $arguments of the method `$call` */
    private function perform(string $call, array $arguments, bool $associative = false): mixed
    {
        $texts = Arguments::$call(...$arguments);

        return Answer::of($call, $this->call(Arguments::FUNCTIONS[$call], [$this->handle->pointer, ...$texts]), $associative);
    }

    /** @param list<mixed> $arguments */
    private function call(string $function, #[\SensitiveParameter] array $arguments): ?string
    {
        return $this->logger === null ? Native::call($function, $arguments) : $this->logged($function, $arguments);
    }

    /** @param list<mixed> $arguments */
    private function logged(string $function, #[\SensitiveParameter] array $arguments): ?string
    {
        try {
            $document = Native::call($function, $arguments);
            $this->log('debug', "$function: done", []);

            return $document;
        } catch (PusherException $e) {
            // The server's response may contain the request's data.
            $context = array_diff_key($e->getDocument(), ['response' => true, 'message' => true]);
            $this->log($e instanceof InternalException ? 'error' : 'warning', "$function: {$e->getMessage()}", $context);
            throw $e;
        }
    }

    /** @param array<string, mixed> $context */
    private function log(string $level, string $message, array $context): void
    {
        try {
            $this->logger?->log($level, $message, $context);
        } catch (\Throwable) {
            // A failing log must not turn a delivered event into a failure.
        }
    }
}
