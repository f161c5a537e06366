<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * Documents to native values.
 *
 * @internal
 */
final class Answer
{
    /** What is nested more deeply is nothing that a server says. */
    private const DEPTH = 1000;

    /** The methods that only ask: there is no event of which to say what became. */
    private const QUESTIONS = ['getChannels', 'getChannelInfo', 'getPresenceUsers', 'get'];

    /** The answer of the method `$call`. */
    public static function of(string $call, string $document, bool $associative = false): mixed
    {
        $delivery = in_array($call, self::QUESTIONS, true) ? [] : ['delivery' => 'unknown'];
        $answer = self::read($document, $associative, more: $delivery);
        // An array by channel, as the official SDK has it.
        if (is_object($answer) && ($answer->channels ?? null) instanceof \stdClass && !in_array($call, ['get', 'post'], true)) {
            $answer->channels = (array) $answer->channels;
        }

        // A question for a path gives what the server says, and the others an object, whatever it says.
        return $associative || is_object($answer) || in_array($call, ['get', 'post'], true) ? $answer : (object) $answer;
    }

    /**
     * @param int $unreadable the status where the document is nested too deeply, or has a name that PHP's objects can't have
     * @param array<string, mixed> $more what the error says then
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
}
