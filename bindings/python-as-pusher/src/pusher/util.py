"""Checks of arguments, which the library makes."""

from typing import Any

from libpusher import Pusher

__all__ = ["ensure_binary", "ensure_text", "validate_channel", "validate_socket_id", "validate_user_id"]

SERVER_TO_USER_PREFIX = "#server-to-user-"

_CLIENT = Pusher("0", "key", "secret")


def ensure_text(obj: Any, name: str) -> str:
    """Returns a str that was given as str or bytes."""
    if isinstance(obj, bytes):
        return obj.decode()
    if isinstance(obj, str):
        return obj
    raise TypeError(f"{name} must be a str, not {type(obj).__name__}")


def ensure_binary(obj: Any, name: str) -> bytes:
    """Returns bytes that were given as str or bytes."""
    return ensure_text(obj, name).encode() if not isinstance(obj, bytes) else obj


def validate_channel(channel: Any) -> str:
    """Returns the name of a channel, or raises a ValueError."""
    name = ensure_text(channel, "channel")
    if name.startswith(SERVER_TO_USER_PREFIX):
        validate_user_id(name.removeprefix(SERVER_TO_USER_PREFIX))
    else:
        _CLIENT.prepare.channel_info(name)
    return name


def validate_user_id(user_id: Any) -> str:
    """Returns the id of a user, or raises a ValueError."""
    name = ensure_text(user_id, "user_id")
    _CLIENT.prepare.terminate_user_connections(name)
    return name


def validate_socket_id(socket_id: Any) -> str:
    """Returns the id of a connection, or raises a ValueError."""
    name = ensure_text(socket_id, "socket_id")
    _CLIENT.authenticate("private-channel", name)
    return name
