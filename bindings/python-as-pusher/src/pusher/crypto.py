"""Keys of encrypted channels."""

import base64
from typing import Any

from libpusher import Pusher
from pusher.util import ensure_binary, ensure_text

__all__ = ["ENCRYPTED_PREFIX", "ensure_binary", "generate_shared_secret", "is_encrypted_channel", "parse_master_key"]

ENCRYPTED_PREFIX = "private-encrypted-"


def is_encrypted_channel(channel: str) -> bool:
    """Returns whether the events on a channel are encrypted."""
    return channel.startswith(ENCRYPTED_PREFIX)


def parse_master_key(encryption_master_key: Any, encryption_master_key_base64: Any) -> bytes | None:
    """Returns the master key that a client would use, or raises a ValueError."""
    Pusher("0", "key", "secret", None, None, None, None, None, encryption_master_key, encryption_master_key_base64)
    if encryption_master_key is not None:
        return ensure_binary(encryption_master_key, "encryption_master_key")
    return None if encryption_master_key_base64 is None else base64.b64decode(encryption_master_key_base64)


def generate_shared_secret(channel: Any, encryption_master_key: Any) -> bytes:
    """Returns the secret that the subscribers of an encrypted channel share."""
    key = (
        None if encryption_master_key is None else base64.b64encode(ensure_binary(encryption_master_key, "encryption_master_key"))
    )
    signer = Pusher("0", "key", "secret", encryption_master_key_base64=key)
    return base64.b64decode(signer.authenticate(ensure_text(channel, "channel"), "1.1")["shared_secret"])
