<?php

declare(strict_types=1);

namespace LibPusher;

use FFI;
use FFI\CData;
use FFI\CType;

/**
 * The C functions, and how a call of one becomes an answer or an exception. It knows nothing of channels and events.
 *
 * What the functions are given is kept out of the traces of exceptions: secrets, payloads, and pointers, which those who print a
 * trace would follow.
 *
 * @internal
 */
final class Native
{
    public const OK = 0;
    public const INVALID_ARGUMENT = 1;
    public const INVALID_CONFIG = 2;
    public const BAD_RESPONSE = 22;
    public const UNAUTHORIZED = 41;
    public const WEBHOOK_INVALID = 60;
    public const TIMED_OUT = 82;

    private static ?FFI $ffi = null;
    private static ?CType $text = null;

    public static function ffi(): FFI
    {
        return self::$ffi ??= self::load();
    }

    /**
     * Calls a function whose last parameter is a place for the document.
     *
     * @param list<mixed> $arguments all but that
     * @param int $also a status that is no failure either
     * @param int|null $status where the status goes
     * @return string|null the document, null where there is none
     * @throws PusherException
     */
    public static function call(
        string $function,
        #[\SensitiveParameter] array $arguments,
        int $also = self::OK,
        ?int &$status = null,
    ): ?string {
        $ffi = self::$ffi ?? self::ffi();
        // Each call has a place of its own: the handler of a signal may call the library between any two lines here.
        $out = $ffi->new(self::$text ??= $ffi->type('char *'));
        $arguments[] = FFI::addr($out);
        $document = null;
        try {
            $status = $ffi->$function(...$arguments);
        } finally {
            // Also where the handler of a signal that came meanwhile has thrown.
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
     * Makes a handle by a function whose last parameters are a place for it, and one for the document.
     *
     * @param string $type what it points to
     * @param string $free the function that frees it
     * @param list<mixed> $arguments all but those two
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

    /** A copy for the library to read, which PHP does not hand over as `uint8_t *` by itself. */
    public static function bytes(string $bytes): CData
    {
        // C knows no array of length 0.
        $copy = self::ffi()->new('uint8_t[' . max(strlen($bytes), 1) . ']');
        FFI::memcpy($copy, $bytes, strlen($bytes));

        return $copy;
    }

    /** A copy with a NUL behind it. */
    public static function text(string $text): CData
    {
        $copy = self::ffi()->new('char[' . (strlen($text) + 1) . ']');
        FFI::memcpy($copy, $text, strlen($text));

        return $copy;
    }

    private static function load(): FFI
    {
        try {
            // What ffi.preload has loaded: once for all requests, and all that a server's ffi.enable=preload allows.
            return FFI::scope('LibPusher');
        } catch (FFI\Exception) {
            // Not preloaded.
        }
        // The number in the library's name changes when its ABI does. PUSHER_LIBRARY is for one that lies elsewhere.
        $library = getenv('PUSHER_LIBRARY') ?: (PHP_OS_FAMILY === 'Darwin' ? 'libpusher.0.dylib' : 'libpusher.so.0');
        try {
            return FFI::cdef((string) file_get_contents(__DIR__ . '/../include/pusher.ffi.h'), $library);
        } catch (FFI\Exception $e) {
            throw new \RuntimeException("libpusher can't be loaded: {$e->getMessage()}", 0, $e);
        }
    }

    /** @return array<string, mixed>|null */
    private static function error(string $document): ?array
    {
        return json_decode($document, true, 512, JSON_BIGINT_AS_STRING)['error'] ?? null;
    }
}
