"""Signs what browsers ask for, and takes a webhook, as the endpoints of an application do."""

import hashlib
import hmac
import json
import os
import time

import pusher

client = pusher.Pusher(
    app_id=os.environ["APP_ID"],
    key=os.environ["KEY"],
    secret=os.environ["SECRET"],
    cluster="eu",
    encryption_master_key_base64="ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI=",
)

# The endpoint for channels. The socket id and the channel are in the request.
print(client.authenticate(channel="private-orders", socket_id="1234.12")["auth"])

member = client.authenticate(
    channel="presence-room",
    socket_id="1234.12",
    custom_data={"user_id": "7", "user_info": {"name": "Zoë", "nick": None}},
)
print(member["auth"], json.loads(member["channel_data"])["user_id"])

secret = client.authenticate("private-encrypted-diary", "1234.12")
print(secret["auth"], len(secret["shared_secret"]))

# The endpoint for users.
user = client.authenticate_user(socket_id="1234.12", user_data={"id": "7", "name": "Zoë"})
print(user["auth"], json.loads(user["user_data"])["id"])

# The endpoint for webhooks.
body = json.dumps({"time_ms": int(time.time() * 1000), "events": [{"name": "channel_occupied", "channel": "orders"}]})
signature = hmac.new(os.environ["SECRET"].encode(), body.encode(), hashlib.sha256).hexdigest()
webhook = client.validate_webhook(key=os.environ["KEY"], signature=signature, body=body)
for event in webhook["events"]:
    print(event["name"], event["channel"])

if client.validate_webhook(os.environ["KEY"], "forged", body) is None:
    print("refused")
