<?php

declare(strict_types=1);

namespace LibPusher;

use FFI\CData;

/**
 * A pointer from the library, freed with its last reference.
 *
 * @internal
 */
final class Handle
{
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;

    /** Null once freed: calls with the handle then fail with the library's error. */
    public ?CData $pointer;

    /** @var \WeakMap<Handle, true>|null the handles that are not freed yet */
    private static ?\WeakMap $live = null;

    public function __construct(CData $pointer, private readonly string $free)
    {
        $this->pointer = $pointer;
        if (self::$live === null) {
            self::$live = new \WeakMap();
            register_shutdown_function(static function (): void {
                if (self::noDestructors()) {
                    // After the program's own shutdown functions, which may still publish.
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

    /** Returns whether a fatal error ends the program. error_get_last() also reports an uncaught exception, which is not one. */
    private static function noDestructors(): bool
    {
        ['type' => $type, 'message' => $message] = error_get_last() ?? ['type' => 0, 'message' => ''];

        return ($type & self::FATAL) !== 0 && !str_starts_with($message, 'Uncaught ');
    }

    /**
     * Frees all handles. After a fatal error PHP calls no destructors, and a server's process continues: each such request would leak a
     * publisher's threads and a client's connections.
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
