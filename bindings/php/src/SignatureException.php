<?php

declare(strict_types=1);

namespace LibPusher;

/**
 * A webhook is not authentic, or something can't be encrypted or decrypted.
 */
final class SignatureException extends PusherException
{
}
