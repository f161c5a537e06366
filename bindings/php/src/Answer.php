<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * Converts documents to native values.
 *
 * @internal
 */
final class Answer
{
    /** No server's response is nested more deeply. */
    private const DEPTH = 1000;

    /** The methods that only query. */
    private const QUESTIONS = ['getChannels', 'getChannelInfo', 'getPresenceUsers', 'get'];

    /** The methods for any path of the API, whose responses are returned as they are. */
    private const ANY_PATH = ['get', 'post', 'delete'];

    /**
     * Returns the result of the method `$call`. A call that publishes succeeded, and its event may not be sent again: if PHP cannot
     * represent the response, the result is an empty object.
     */
    public static function of(string $call, ?string $document, bool $associative = false): mixed
    {
        try {
            $answer = self::read($document ?? 'null', $associative);
        } catch (PusherException $e) {
            if (in_array($call, self::QUESTIONS, true)) {
                throw $e;
            }
            $answer = null;
        }
        // An array by channel, as in the official SDK.
        if (is_object($answer) && ($answer->channels ?? null) instanceof \stdClass && !in_array($call, self::ANY_PATH, true)) {
            $answer->channels = (array) $answer->channels;
        }

        // These methods return any response, the other methods an object.
        return $associative || is_object($answer) || in_array($call, self::ANY_PATH, true) ? $answer : (object) $answer;
    }

    /**
     * @param int $unreadable the status if the document is nested too deeply, or has a name that PHP's objects cannot have
     * @param array<string, mixed> $more further members of that error
     */
    public static function read(
        string $document,
        bool $associative = false,
        int $unreadable = Native::BAD_RESPONSE,
        array $more = [],
    ): mixed {
        try {
            return json_decode($document, $associative, self::DEPTH, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
        } catch (\JsonException $e) {
            $name = Native::ffi()->pusher_status_name($unreadable);
            throw PusherException::of($unreadable, ['status' => $name, 'message' => $e->getMessage()] + $more);
        }
    }

    /**
     * Returns the reports of a publisher. A response with a name that PHP's objects cannot have must not cost the other reports: then
     * the responses consist of arrays.
     *
     * @return list<object>
     */
    public static function reports(string $document): array
    {
        try {
            return self::read($document)->reports;
        } catch (PusherException) {
            return array_map(static fn (array $report): object => (object) $report, self::read($document, true)['reports']);
        }
    }
}
