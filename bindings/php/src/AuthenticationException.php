<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The server refused the key or the signature (401).
 */
final class AuthenticationException extends ApiErrorException
{
}
