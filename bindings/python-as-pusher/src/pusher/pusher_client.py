"""The class that sends."""

from typing import Any

from pusher.client import Client
from pusher.http import request_method

__all__ = ["PusherClient"]


class PusherClient(Client):
    """A client whose calls can also be prepared for a backend, by `make_request`."""

    trigger: Any = request_method(Client.trigger)
    trigger_batch: Any = request_method(Client.trigger_batch)
    channels_info: Any = request_method(Client.channels_info)
    channel_info: Any = request_method(Client.channel_info)
    users_info: Any = request_method(Client.users_info)
    terminate_user_connections: Any = request_method(Client.terminate_user_connections)
