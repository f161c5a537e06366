"""Asks which channels have subscribers, and who is on them."""

import os

import pusher

client = pusher.Pusher(
    os.environ["APP_ID"],
    os.environ["KEY"],
    os.environ["SECRET"],
    False,
    os.environ["HOST"],
    int(os.environ["PORT"]),
)

everything = client.channels_info()
print(sorted(everything["channels"]))

rooms = client.channels_info("presence-", ["user_count"])
for name, room in rooms["channels"].items():
    print(name, room["user_count"])

room = client.channel_info("presence-room", ["user_count", "subscription_count"])
print(room["occupied"], room.get("user_count"))

for user in client.users_info("presence-room")["users"]:
    print(user["id"])
