"""Publishes events, in each way that there is."""

import os

import pusher

client = pusher.Pusher(
    app_id=os.environ["APP_ID"],
    key=os.environ["KEY"],
    secret=os.environ["SECRET"],
    host=os.environ["HOST"],
    port=int(os.environ["PORT"]),
    ssl=False,
    timeout=10,
    encryption_master_key_base64="ZUhQVldIZzduRkdZVkJzS2pPRkRYV1JyaWJJUjJiMGI=",
)

# One channel, with any value that JSON has.
print(client.trigger("orders", "created", {"id": 7, "items": ["tea", "żółw 🐢"]}))

# Several channels, but not the connection that caused the event.
print(client.trigger(["orders", "audit"], "changed", {"id": 7}, "1234.12"))

# Different events in one request.
print(
    client.trigger_batch(
        [
            {"channel": "orders", "name": "paid", "data": {"id": 7}, "socket_id": "1234.12"},
            {"channel": "stock", "name": "reserved", "data": "tea"},
        ]
    )
)

# All connections of a user who signed in.
print(client.send_to_user("7", "receipt", {"total": 12.5}))

# Encrypted: the server cannot read it.
print(client.trigger("private-encrypted-diary", "written", {"text": "…"}))

# Another client of the same application, with a URL.
url = "http://{KEY}:{SECRET}@{HOST}:{PORT}/apps/{APP_ID}".format(**{**os.environ, "SECRET": os.environ["QUOTED_SECRET"]})
print(pusher.Pusher.from_url(url, timeout=10).trigger("orders", "closed", {"id": 7}))

print(client.terminate_user_connections("7"))
