"""Shows how mistakes of a program and refusals of the server are told from each other."""

import os

import pusher


def make(**changes):
    settings = {
        "app_id": os.environ["APP_ID"],
        "key": os.environ["KEY"],
        "secret": os.environ["SECRET"],
        "host": os.environ["HOST"],
        "port": int(os.environ["PORT"]),
        "ssl": False,
    }
    return pusher.Pusher(**{**settings, **changes})


for arguments in ((4, "event", {}), ("channel", 4, {}), ("channel", "event", object())):
    try:
        make().trigger(*arguments)
    except TypeError as error:
        print("TypeError:", bool(str(error)))

for arguments in (
    ("a channel", "event", {}),
    ("channel", "e" * 201, {}),
    ("channel", "event", "x" * 40_000),
    (["channel"] * 101, "event", {}),
):
    try:
        make().trigger(*arguments)
    except ValueError as error:
        print("ValueError:", bool(str(error)))

try:
    make(port="80")
except TypeError:
    print("the port is no number")

try:
    make(secret="wrong").trigger("channel", "event", {})
except pusher.errors.PusherBadStatus:
    print("another status")
except pusher.errors.PusherBadAuth:
    print("the secret is wrong")
