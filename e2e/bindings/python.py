"""The Python program for bindings.test.mjs, which describes the protocol of these programs."""

import json
import os
import sys

import libpusher
from libpusher import errors


def publish(client, job):
    """Publishes 0, 1, 2… through a publisher, and returns the reports."""
    with client.publisher(reports="all") as publisher:
        for number in range(job["count"]):
            publisher.publish(job["channel"], job["event"], number)
        publisher.flush(timeout=10)
        return {"reports": publisher.poll()}


CALLS = {
    "trigger": lambda client, job: client.trigger(job["channels"], job["event"], job["data"]),
    "trigger_batch": lambda client, job: client.trigger_batch(job["events"]),
    "publish": publish,
    "send_to_user": lambda client, job: client.send_to_user(job["user_id"], job["event"], job["data"]),
    "terminate_user_connections": lambda client, job: client.terminate_user_connections(job["user_id"]),
    "channels_info": lambda client, job: client.channels_info(job["prefix"]),
    "users_info": lambda client, job: client.users_info(job["channel"]),
    "authenticate": lambda client, job: client.authenticate(job["channel"], job["socket_id"], job.get("data")),
    "authenticate_channels": lambda client, job: client.authenticate_channels(job["socket_id"], job["channels"]),
    "authenticate_user": lambda client, job: client.authenticate_user(job["socket_id"], job["data"]),
    "validate_webhook": lambda client, job: client.validate_webhook_or_raise(job["key"], job["signature"], job["body"].encode()),
}

client = libpusher.Pusher.from_env(encryption_master_key_base64=os.environ["MASTER_KEY"])
for line in sys.stdin:
    job = json.loads(line)
    try:
        answer = {"ok": CALLS[job["call"]](client, job)}
    except errors.PusherError as error:
        answer = {"error": error.status.name}
    print(json.dumps(answer), flush=True)
