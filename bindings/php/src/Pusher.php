<?php

declare(strict_types=1);

namespace LibPusher;

use GuzzleHttp\ClientInterface;
use GuzzleHttp\Promise\PromiseInterface;

/**
 * A client of one Channels application. Forked children may use it: each makes its own connections.
 *
 * A call that fails throws a {@see PusherException}. Results are objects, as in the official SDK.
 */
class Pusher implements LoggerAware, PusherInterface
{
    /** The version of the official SDK whose methods this class has. {@see libraryVersion()} returns that of the C library. */
    public static string $VERSION = '7.2.6';

    /** Options of the official SDK, of any version, that have no effect in its newest one, or none that this client could have. */
    private const IGNORED = ['curl_options', 'debug', 'notification_host', 'notification_scheme'];

    /** Options about connections, which a Guzzle client would not follow. */
    private const CONNECTION = [
        'ca_file', 'client_certificate_file', 'client_key_file', 'extra_ca_file', 'proxy', 'tls_roots', 'unix_socket',
    ];

    private Handle $handle;
    private ?object $logger = null;

    /** The Guzzle client that sends all requests, if the program gave one. */
    private ?Guzzle $guzzle = null;

    /** The Guzzle client of asynchronous calls without it. */
    private ?Guzzle $promises = null;

    /** @var list<string> the options among {@see CONNECTION} that are set */
    private array $connection = [];

    /**
     * Makes a client. No connection is made before the first call.
     *
     *     new LibPusher\Pusher('key', 'secret', 'app_id', ['cluster' => 'eu']);
     *
     * @param array<string, mixed> $options the other keys of `pusher_new` (cluster, host, port, ssl, path, timeout_ms, retry,
     *     encryption_master_key_base64, …), and the names of the official SDK: scheme, useTLS, encrypted, timeout and
     *     connect_timeout (seconds). Null and an empty string mean not set.
     * @param ClientInterface|null $client a Guzzle client that sends each request, once, instead of the library: see README, Guzzle
     * @throws ConfigurationException
     */
    public function __construct(
        #[\SensitiveParameter] string $auth_key,
        #[\SensitiveParameter] string $secret,
        string $app_id,
        #[\SensitiveParameter] array $options = [],
        ?ClientInterface $client = null,
    ) {
        $options = self::translate($options);
        $this->connection = array_values(array_filter(
            self::CONNECTION,
            static fn (string $name): bool => !in_array($options[$name] ?? null, [null, ''], true),
        ));
        $this->guzzle = $client === null ? null : $this->guzzle($client);
        $config = ['app_id' => $app_id, 'key' => $auth_key, 'secret' => $secret] + $options;
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
     * @param string|null $server `reverb` takes the variables of Laravel Reverb instead: `REVERB_APP_ID` and so on
     * @throws ConfigurationException
     */
    public static function fromEnv(?string $server = null): static
    {
        return self::started($server === null ? null : Arguments::json(['server' => $server], 'config'));
    }

    /**
     * Returns the settings that are no secret, by the official SDK's names.
     *
     * @return array{scheme: string, host: string, port: int, path: string, timeout: int, auth_key: string, app_id: string,
     *     base_path: string} `timeout` is in whole seconds
     * @throws UsageException
     */
    public function getSettings(): array
    {
        // The library decides; a signed request has all of them.
        $request = $this->prepare('get', '/channels');
        $url = parse_url($request->getUrl());
        parse_str($url['query'], $query);
        $path = substr($url['path'], 0, -strlen('/channels'));
        $apps = (int) strrpos($path, '/apps/');

        return [
            'scheme' => $url['scheme'],
            'host' => $url['host'],
            'port' => $url['port'] ?? ($url['scheme'] === 'https' ? 443 : 80),
            'path' => substr($path, 0, $apps),
            'timeout' => (int) ceil($request->getTimeoutMs() / 1000),
            'auth_key' => $query['auth_key'],
            'app_id' => substr($path, $apps + strlen('/apps/')),
            'base_path' => substr($path, $apps),
        ];
    }

    /**
     * Makes the calls of this object fail from now on, for good: they throw a {@see NetworkException} with the cause `cancelled`, and
     * nothing is sent. The clones of an object (`clone $pusher`) share its connections, and are cancelled separately.
     *
     * PHP runs signal handlers between calls: `cancel()` in a handler does not end a call that is running in the same process.
     */
    public function cancel(): void
    {
        Native::ffi()->pusher_cancel($this->handle->pointer);
    }

    /** Gives a clone its own cancellation. */
    public function __clone()
    {
        $this->handle = Native::make('Pusher', 'pusher_free', 'pusher_clone', [$this->handle->pointer]);
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
        $channels,
        string $event,
        $data,
        array $params = [],
        bool $already_encoded = false,
    ): object {
        return $this->perform('trigger', [$channels, $event, $data, $params, $already_encoded]);
    }

    /**
     * Publishes an event as {@see trigger()} does, with Guzzle.
     *
     * @param string|list<string> $channels
     * @return PromiseInterface what `trigger` returns, or the exception that it throws
     * @throws UsageException for wrong arguments, at once
     */
    public function triggerAsync(
        $channels,
        string $event,
        $data,
        array $params = [],
        bool $already_encoded = false,
    ): PromiseInterface {
        return $this->performAsync('trigger', [$channels, $event, $data, $params, $already_encoded]);
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
     * Publishes events as {@see triggerBatch()} does, with Guzzle.
     *
     * @throws UsageException for wrong arguments, at once
     */
    public function triggerBatchAsync(array $batch = [], bool $already_encoded = false, array $params = []): PromiseInterface
    {
        return $this->performAsync('triggerBatch', [$batch, $already_encoded, $params]);
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
     * Publishes an event as {@see sendToUser()} does, with Guzzle.
     *
     * @throws UsageException for wrong arguments, at once
     */
    public function sendToUserAsync(
        string $user_id,
        string $event,
        $data,
        bool $already_encoded = false,
        array $params = [],
    ): PromiseInterface {
        return $this->performAsync('sendToUser', [$user_id, $event, $data, $already_encoded, $params]);
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
     * Closes connections as {@see terminateUserConnections()} does, with Guzzle.
     *
     * @throws UsageException for wrong arguments, at once
     */
    public function terminateUserConnectionsAsync(string $user_id, array $params = []): PromiseInterface
    {
        return $this->performAsync('terminateUserConnections', [$user_id, $params]);
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
     * @param array<string, string|int|bool|list<string>> $params for the query; a list is joined with commas
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
     * Sends a POST request as {@see post()} does, with Guzzle.
     *
     * @throws UsageException for wrong arguments, at once
     */
    public function postAsync(string $path, mixed $body = null, array $params = [], array $options = []): PromiseInterface
    {
        return $this->performAsync('post', [$path, $body, $params, $options]);
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
     * @param mixed $custom_data for a presence channel `['user_id' => '7', 'user_info' => […]]`; a string is JSON already. Null, an
     *     empty array and an empty string are none.
     * @throws UsageException|SignatureException
     */
    public function authorizeChannel(string $channel, string $socket_id, mixed $custom_data = null): string
    {
        return $this->call('pusher_authenticate', [
            $this->handle->pointer,
            Arguments::text($channel, 'channel'),
            Arguments::text($socket_id, 'socket_id'),
            match (true) {
                // What is false is none, as in the official SDK.
                !$custom_data => null,
                is_string($custom_data) => Arguments::text($custom_data, 'channel_data'),
                default => Arguments::json($custom_data, 'channel_data'),
            },
        ]);
    }

    /**
     * Authorizes a subscription to a presence channel: returns the JSON that an authorization endpoint sends, unchanged. No network.
     *
     * @param array<string, mixed>|object|null $user_info the information about the user that the other members get; what is false is none
     * @throws UsageException
     */
    public function authorizePresenceChannel(string $channel, string $socket_id, string $user_id, mixed $user_info = null): string
    {
        $user = ['user_id' => $user_id];
        if ($user_info) {
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
     * @throws SignatureException it is not authentic, or its `events` are no list: respond with 401.
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

    /** @deprecated in favour of {@see authorizeChannel()} */
    public function socketAuth(string $channel, string $socket_id, ?string $custom_data = null): string
    {
        return $this->authorizeChannel($channel, $socket_id, $custom_data);
    }

    /** @deprecated in favour of {@see authorizeChannel()} */
    public function socket_auth(string $channel, string $socket_id, ?string $custom_data = null): string
    {
        return $this->authorizeChannel($channel, $socket_id, $custom_data);
    }

    /** @deprecated in favour of {@see authorizePresenceChannel()} */
    public function presenceAuth(string $channel, string $socket_id, string $user_id, $user_info = null): string
    {
        return $this->authorizePresenceChannel($channel, $socket_id, $user_id, $user_info);
    }

    /** @deprecated in favour of {@see authorizePresenceChannel()} */
    public function presence_auth(string $channel, string $socket_id, string $user_id, $user_info = null): string
    {
        return $this->authorizePresenceChannel($channel, $socket_id, $user_id, $user_info);
    }

    /** @deprecated in favour of {@see getChannelInfo()} */
    public function get_channel_info(string $channel, array $params = []): object
    {
        return $this->getChannelInfo($channel, $params);
    }

    /** @deprecated in favour of {@see getChannels()} */
    public function get_channels(array $params = []): object
    {
        return $this->getChannels($params);
    }

    /** @deprecated in favour of {@see getPresenceUsers()} */
    public function get_users_info(string $channel): object
    {
        return $this->getPresenceUsers($channel);
    }

    /** @deprecated in favour of {@see verifySignature()} */
    public function ensure_valid_signature(array $headers, string $body): void
    {
        $this->verifySignature($headers, $body);
    }

    /** @deprecated in favour of {@see prepare()} */
    public function make_request(
        $channels,
        string $event,
        $data,
        array $params = [],
        bool $already_encoded = false,
    ): \GuzzleHttp\Psr7\Request {
        return self::message($this->prepare('trigger', $channels, $event, $data, $params, $already_encoded));
    }

    /** @deprecated in favour of {@see prepare()} */
    public function make_batch_request(array $batch = [], bool $already_encoded = false): \GuzzleHttp\Psr7\Request
    {
        return self::message($this->prepare('triggerBatch', $batch, $already_encoded));
    }

    private static function message(Request $request): \GuzzleHttp\Psr7\Request
    {
        return new \GuzzleHttp\Psr7\Request($request->getMethod(), $request->getUrl(), $request->getHeaders(), $request->getBody());
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
        // Environments have only strings, and empty ones for what is not set. The library takes null and empty strings where it takes
        // strings.
        foreach (['port', 'ssl', 'useTLS', 'encrypted', 'timeout', 'connect_timeout', 'timeout_ms'] as $name) {
            if (($options[$name] ?? null) === '') {
                unset($options[$name]);
            }
        }
        if (is_string($options['port'] ?? null) && ctype_digit($options['port'])) {
            $options['port'] = (int) $options['port'];
        }
        foreach (['timeout' => 'timeout_ms', 'connect_timeout' => 'connect_timeout_ms'] as $name => $key) {
            if (isset($options[$name])) {
                $seconds = $options[$name];
                $options[$key] = is_numeric($seconds) ? (int) round($seconds * 1000) : $seconds;
            }
        }
        // The official SDK ignores `encrypted`, which is the older name, beside useTLS: Laravel sets both. The library decides what the
        // value means, and whether it contradicts `scheme`.
        foreach (['useTLS', 'encrypted'] as $name) {
            if (isset($options[$name])) {
                $tls = in_array($options[$name], [1, '1', 'true'], true) ? true : $options[$name];
                if (($options['ssl'] ?? $tls) !== $tls) {
                    self::refuse($name, 'contradicts ssl');
                }
                $options['ssl'] = $tls;
                break;
            }
        }
        // The official SDK ignores http:// before the host, and uses TLS. The library alone would turn TLS off, so it decides without it.
        // It takes or refuses all other schemes.
        if (is_string($options['host'] ?? null) && !isset($options['ssl']) && ($options['scheme'] ?? '') === '') {
            $options['host'] = preg_replace('~^http://~i', '', $options['host']);
        }
        if (is_string($options['encryption_master_key'] ?? null) && $options['encryption_master_key'] !== '') {
            $options['encryption_master_key_base64'] ??= base64_encode($options['encryption_master_key']);
        }
        $translated = ['timeout', 'connect_timeout', 'useTLS', 'encrypted', 'encryption_master_key'];

        return array_diff_key($options, array_flip([...$translated, ...self::IGNORED]));
    }

    private static function refuse(string $option, string $problem): never
    {
        $document = ['status' => 'INVALID_CONFIG', 'message' => "$option: $problem", 'argument' => $option];
        throw new ConfigurationException($document, Native::INVALID_CONFIG);
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
        if ($this->guzzle !== null) {
            $send = fn (): mixed => $this->guzzle->send(new Request($this->handle, $call, $texts, $associative));

            return $this->logged(Arguments::FUNCTIONS[$call], $send);
        }

        return Answer::of($call, $this->call(Arguments::FUNCTIONS[$call], [$this->handle->pointer, ...$texts]), $associative);
    }

    /** @param list<mixed> $arguments of the method `$call` */
    private function performAsync(string $call, array $arguments): PromiseInterface
    {
        if ($this->guzzle === null && $this->promises === null) {
            if (!class_exists(\GuzzleHttp\Client::class)) {
                self::refuse("{$call}Async", 'needs Guzzle (guzzlehttp/guzzle), which is not installed; prepare() and publisher() do not');
            }
            $this->promises = $this->guzzle(new \GuzzleHttp\Client());
        }
        $request = new Request($this->handle, $call, Arguments::$call(...$arguments));
        $promise = ($this->guzzle ?? $this->promises)->sendAsync($request);
        if ($this->logger === null) {
            return $promise;
        }
        $function = Arguments::FUNCTIONS[$call];

        return $promise->then(
            fn (mixed $answer): mixed => $this->logged($function, static fn (): mixed => $answer),
            fn (mixed $reason): mixed => $this->logged($function, static fn (): mixed => throw $reason),
        );
    }

    /** Returns Guzzle, unless it would not follow an option. */
    private function guzzle(ClientInterface $client): Guzzle
    {
        if ($this->connection !== []) {
            self::refuse($this->connection[0], 'cannot be combined with Guzzle: set it as an option of the Guzzle client');
        }

        return new Guzzle($client);
    }

    /**
     * Returns counters and times.
     *
     * @return object|string a string in Prometheus' format if `stats_format` is `prometheus`
     */
    public function stats(): object|string
    {
        $document = Native::call('pusher_stats', [$this->handle->pointer]);

        return str_starts_with($document, '{') ? Answer::read($document) : $document;
    }

    /**
     * Returns the options about connections that are set, which another transport would not follow.
     *
     * @internal
     * @return list<string>
     */
    public function connectionOptions(): array
    {
        return $this->connection;
    }

    /** @param list<mixed> $arguments */
    private function call(string $function, #[\SensitiveParameter] array $arguments): ?string
    {
        return $this->logger === null
            ? Native::call($function, $arguments)
            : $this->logged($function, static fn (): ?string => Native::call($function, $arguments));
    }

    /** Calls the function and logs how it ended. */
    private function logged(string $function, callable $work): mixed
    {
        if ($this->logger === null) {
            return $work();
        }
        try {
            $result = $work();
            $this->log('debug', "$function: done", []);

            return $result;
        } catch (PusherException $e) {
            // The server's response, with whose words the message may end, may contain the request's data.
            $context = array_diff_key($e->getDocument(), ['response' => true, 'message' => true]);
            $message = $e->getResponse() === null ? $e->getMessage() : "the server answered {$e->getHttpStatus()}";
            $this->log($e instanceof InternalException ? 'error' : 'warning', "$function: $message", $context);
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
