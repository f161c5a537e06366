<?php

declare(strict_types=1);

namespace LibPusher;

use FFI;
use FFI\CData;
use FFI\CType;

/**
 * Declares the C functions and converts their results to values or exceptions. It knows nothing of channels and events.
 *
 * Arguments do not appear in the traces of exceptions: they are secrets, payloads, and pointers, which code that prints a trace would
 * follow.
 *
 * @internal
 */
final class Native
{
    public const OK = 0;
    public const INVALID_ARGUMENT = 1;
    public const INVALID_CONFIG = 2;
    public const DELIVERY_UNKNOWN = 21;
    public const BAD_RESPONSE = 22;
    public const UNAUTHORIZED = 41;
    public const PAYLOAD_TOO_LARGE = 44;
    public const WEBHOOK_INVALID = 60;
    public const TIMED_OUT = 82;
    public const INTERNAL = 255;

    private static ?FFI $ffi = null;
    private static ?CType $text = null;

    public static function ffi(): FFI
    {
        return self::$ffi ??= self::load();
    }

    /**
     * Calls a function whose last parameter is the place for the document.
     *
     * @param list<mixed> $arguments all other arguments
     * @param int $also another status that is not a failure
     * @param int|null $status receives the status
     * @return string|null the document, null if there is none
     * @throws PusherException
     */
    public static function call(
        string $function,
        #[\SensitiveParameter] array $arguments,
        int $also = self::OK,
        ?int &$status = null,
    ): ?string {
        $ffi = self::$ffi ?? self::ffi();
        // Each call needs its own place: a signal handler may call the library between any two lines here.
        $out = $ffi->new(self::$text ??= $ffi->type('char *'));
        $arguments[] = FFI::addr($out);
        $document = null;
        try {
            $status = $ffi->$function(...$arguments);
        } finally {
            // Also if a signal handler threw meanwhile.
            if (!FFI::isNull($out)) {
                $document = FFI::string($out);
                $ffi->pusher_string_free($out);
            }
        }
        if ($status === self::OK || $status === $also) {
            return $document;
        }
        throw PusherException::of($status, $document === null ? null : self::error($document));
    }

    /**
     * Makes a handle with a function whose last parameters are the places for it and for the document.
     *
     * @param string $type the type it points to
     * @param string $free the function that frees it
     * @param list<mixed> $arguments all other arguments
     * @throws PusherException
     */
    public static function make(
        string $type,
        string $free,
        string $function,
        #[\SensitiveParameter] array $arguments,
    ): Handle {
        $handle = new Handle(self::ffi()->new("$type *"), $free);
        $arguments[] = FFI::addr($handle->pointer);
        self::call($function, $arguments);

        return $handle;
    }

    /** Copies a string to a `uint8_t` array, which PHP does not do by itself. */
    public static function bytes(string $bytes): CData
    {
        // C has no array of length 0.
        $copy = self::ffi()->new('uint8_t[' . max(strlen($bytes), 1) . ']');
        FFI::memcpy($copy, $bytes, strlen($bytes));

        return $copy;
    }

    /** Copies a string and appends a NUL. */
    public static function text(string $text): CData
    {
        $copy = self::ffi()->new('char[' . (strlen($text) + 1) . ']');
        FFI::memcpy($copy, $text, strlen($text));

        return $copy;
    }

    private static function load(): FFI
    {
        try {
            // ffi.preload loaded it, once for all requests. A server with ffi.enable=preload allows nothing else.
            return FFI::scope('LibPusher');
        } catch (FFI\Exception) {
            // Not preloaded.
        }
        // The number in the library's name changes with its ABI. PUSHER_LIBRARY selects a library elsewhere.
        $library = getenv('PUSHER_LIBRARY') ?: (PHP_OS_FAMILY === 'Darwin' ? 'libpusher.0.dylib' : 'libpusher.so.0');
        try {
            return FFI::cdef((string) file_get_contents(__DIR__ . '/../include/pusher.ffi.h'), $library);
        } catch (FFI\Exception $e) {
            throw new \RuntimeException("libpusher cannot be loaded: {$e->getMessage()}", 0, $e);
        }
    }

    /** @return array<string, mixed>|null */
    private static function error(string $document): ?array
    {
        return json_decode($document, true, 512, JSON_BIGINT_AS_STRING)['error'] ?? null;
    }
}
