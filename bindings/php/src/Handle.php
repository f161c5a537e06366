<?php

declare(strict_types=1);

namespace LibPusher;

use FFI\CData;

/**
 * A pointer that the library gave, which is freed when nobody has it any more.
 *
 * @internal
 */
final class Handle
{
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;

    /** Null when it is freed: what still has the handle then is told so by the library. */
    public ?CData $pointer;

    /** @var \WeakMap<Handle, true>|null those that are not freed yet */
    private static ?\WeakMap $live = null;

    public function __construct(CData $pointer, private readonly string $free)
    {
        $this->pointer = $pointer;
        if (self::$live === null) {
            self::$live = new \WeakMap();
            register_shutdown_function(static function (): void {
                if (self::noDestructors()) {
                    // Behind the program's own, which may still publish.
                    register_shutdown_function(self::freeAll(...));
                }
            });
        }
        self::$live[$this] = true;
    }

    public function __destruct()
    {
        $this->free();
    }

    /** Whether the program ends by a fatal error. An exception that nobody catches is told likewise, but it is none. */
    private static function noDestructors(): bool
    {
        ['type' => $type, 'message' => $message] = error_get_last() ?? ['type' => 0, 'message' => ''];

        return ($type & self::FATAL) !== 0 && !str_starts_with($message, 'Uncaught ');
    }

    /**
     * After a fatal error PHP calls no destructors, and a server's process lives on: with each such request a publisher would leave
     * its threads there, and a client its connections.
     */
    private static function freeAll(): void
    {
        foreach (self::$live as $handle => $_) {
            $handle->free();
        }
    }

    private function free(): void
    {
        $pointer = $this->pointer;
        $this->pointer = null;
        if ($pointer !== null) {
            Native::ffi()->{$this->free}($pointer);
        }
    }
}
