"""The official Python library. Every kind of refusal becomes a Refused."""

import base64
import copy
import json
import warnings

import nacl.exceptions
import nacl.secret
import pusher
import pusher.crypto
import pusher.http
import pusher.signature
from pusher.version import VERSION  # noqa: F401


class Refused(Exception):
    """The library raised an error or returned None."""


class Unsent:
    """A backend that returns the request instead of sending it."""

    def __init__(self, client, **options):
        pass

    def send_request(self, request):
        return request


class Clock:
    """Replaces the module `time`, so that a request is signed at a given time."""

    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now


def refusing(function, *arguments, **named):
    """Returns the result of the function. The library raises errors of many kinds, some by accident."""
    try:
        result = function(*arguments, **named)
    except Exception as error:  # noqa: BLE001
        raise Refused(f"{type(error).__name__}: {error}"[:200]) from None
    if result is None:
        raise Refused("None")
    return result


def parse(text):
    """Returns the value of a JSON string, parsed by Python's own module."""
    return json.loads(text)


class Peer:
    def __init__(self, application):
        self.secret = application["secret"]
        self.key = application["key"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pusher = pusher.Pusher(
                application["app_id"],
                application["key"],
                application["secret"],
                encryption_master_key_base64=application["master_key"],
                backend=Unsent,
            )
        self.master_key = base64.b64decode(application["master_key"]) if application["master_key"] else None

    def sign(self, text):
        return pusher.signature.sign(self.secret, text)

    def authorize(self, channel, socket_id, data):
        def ask():
            return self.pusher.authenticate(channel, socket_id, None if data is None else parse(data))

        answer = refusing(ask)
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in answer.items()}

    def authenticate_user(self, socket_id, data):
        return refusing(lambda: self.pusher.authenticate_user(socket_id, parse(data)))

    def webhook(self, key, signature, body):
        return refusing(self.pusher.validate_webhook, key, signature, body)

    def request(self, call, arguments):
        """Returns the request of a call, or None if the library has no such call."""
        make = getattr(self, call, None)
        return make and refusing(make, *arguments)

    def trigger(self, channels, event, data, options):
        return self.pusher.trigger(channels, event, parse(data), **({} if options is None else parse(options)))

    def trigger_batch(self, events):
        return self.pusher.trigger_batch(copy.deepcopy(parse(events)))

    def send_to_user(self, user_id, event, data):
        return self.pusher.send_to_user(user_id, event, parse(data))

    def terminate_user_connections(self, user_id):
        return self.pusher.terminate_user_connections(user_id)

    def channels_info(self, prefix, attributes):
        return self.pusher.channels_info(prefix, [] if attributes is None else attributes.split(","))

    def channel_info(self, channel, attributes):
        return self.pusher.channel_info(channel, [] if attributes is None else attributes.split(","))

    def users_info(self, channel):
        return self.pusher.users_info(channel)

    def signed(self, method, path, params, body, timestamp):
        """Returns the library's request for this method, path, parameters and body, signed at this time."""
        request = pusher.http.Request.__new__(pusher.http.Request)
        request.client, request.method, request.path, request.body = self, method, path, body
        request.query_params = dict(params)
        real = pusher.http.time
        pusher.http.time = Clock(timestamp)
        try:
            request._generate_auth()
        finally:
            pusher.http.time = real
        return request.query_string

    def signature(self, method, path, params):
        """Returns the signature of a query with these parameters."""
        return self.sign("\n".join([method, path, pusher.http.make_query_string(params)]))

    def seal(self, channel, data):
        return json.loads(self.pusher.trigger(channel, "an-event", parse(data)).body)["data"]

    def open(self, channel, payload):
        """Returns the decrypted message, or None."""
        try:
            parts = json.loads(payload)
            nonce, sealed = (base64.b64decode(parts[part], validate=True) for part in ("nonce", "ciphertext"))
            secret = pusher.crypto.generate_shared_secret(channel.encode(), self.master_key)
            return nacl.secret.SecretBox(secret).decrypt(sealed, nonce).decode()
        except (nacl.exceptions.CryptoError, nacl.exceptions.ValueError, nacl.exceptions.TypeError, ValueError):
            return None
