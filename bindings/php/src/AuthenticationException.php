<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * The server does not take the key or the signature (401).
 */
final class AuthenticationException extends ApiErrorException
{
}
