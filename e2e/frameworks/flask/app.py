"""A Flask application that publishes orders, authorizes its users, and takes webhooks."""

import json
import os
import pathlib

import libpusher
from flask import Flask, abort, jsonify, request
from libpusher import errors

app = Flask(__name__)
# Made once, in the parent of the workers: it reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more.
pusher = libpusher.Pusher.from_env()
state = pathlib.Path(os.environ["STATE"])


def current_user():
    """Returns the id of the user, whose session this header stands for."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ") or abort(403)


@app.post("/orders")
def create_order():
    order = {"id": request.form["id"]}
    # The connection that made the order already knows it.
    pusher.trigger("private-orders", "order-created", order, request.form.get("socket_id"))
    return jsonify(order)


@app.errorhandler(errors.NetworkError)
def no_answer(error):
    # "not_sent": the event can be sent again. "unknown": it may have arrived.
    return jsonify(delivery=error.delivery.name.lower()), 503


@app.post("/pusher/auth")
def authorize_channel():
    user = current_user()
    channel = request.form["channel_name"]
    member = {"user_id": user, "user_info": {"name": user}} if channel.startswith("presence-") else None
    return jsonify(pusher.authenticate(channel, request.form["socket_id"], member))


@app.post("/pusher/user-auth")
def authenticate_user():
    return jsonify(pusher.authenticate_user(request.form["socket_id"], {"id": current_user()}))


@app.post("/pusher/webhook")
def webhook():
    webhook = pusher.validate_webhook(
        request.headers.get("X-Pusher-Key"),
        request.headers.get("X-Pusher-Signature"),
        request.get_data(),
    )
    if webhook is None:
        abort(401)
    with state.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in webhook["events"])
    return ""


@app.get("/webhooks")
def webhooks():
    lines = state.read_text(encoding="utf-8").splitlines() if state.exists() else []
    return jsonify([json.loads(line) for line in lines])


@app.get("/up")
def up():
    return ""
