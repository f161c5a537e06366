"""The official Python library. A refusal, however it makes it, is a Refused."""

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
    """It raised an error, or returned nothing."""


class Unsent:
    """A backend that hands back what it is to send."""

    def __init__(self, client, **options):
        pass

    def send_request(self, request):
        return request


class Clock:
    """Stands in for the module `time` while a request is signed at a time of ours."""

    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now


def refusing(function, *arguments, **named):
    """What the function returns. Callers of this library get errors of many kinds, some of them by accident."""
    try:
        result = function(*arguments, **named)
    except Exception as error:  # noqa: BLE001
        raise Refused(f"{type(error).__name__}: {error}"[:200]) from None
    if result is None:
        raise Refused("None")
    return result


def parse(text):
    """A caller's value of a JSON text, as Python's own module reads it."""
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
        """The request of a call, or None where this library has no such call."""
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
        """This library's own request for a method, path, parameters and body of ours, signed at a time of ours."""
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
        """The signature of a query whose parameters are all given."""
        return self.sign("\n".join([method, path, pusher.http.make_query_string(params)]))

    def seal(self, channel, data):
        return json.loads(self.pusher.trigger(channel, "an-event", parse(data)).body)["data"]

    def open(self, channel, payload):
        """A message's text, or None."""
        try:
            parts = json.loads(payload)
            nonce, sealed = (base64.b64decode(parts[part], validate=True) for part in ("nonce", "ciphertext"))
            secret = pusher.crypto.generate_shared_secret(channel.encode(), self.master_key)
            return nacl.secret.SecretBox(secret).decrypt(sealed, nonce).decode()
        except (nacl.exceptions.CryptoError, nacl.exceptions.ValueError, nacl.exceptions.TypeError, ValueError):
            return None
