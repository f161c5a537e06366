<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * A webhook is not authentic, or encryption or decryption failed.
 */
final class SignatureException extends PusherException
{
}
