"""Signatures."""

import hashlib
import hmac

__all__ = ["sign", "verify"]


def sign(secret: str, string_to_sign: str) -> str:
    """Returns the signature of a string."""
    return hmac.new(secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()


def verify(secret: str, string_to_sign: str, signature: str) -> bool:
    """Returns whether a signature is that of the string."""
    return hmac.compare_digest(signature.encode(), sign(secret, string_to_sign).encode())
