"""A FastAPI application that publishes orders, authorizes its users, and takes webhooks, all on the event loop."""

import json
import os
import pathlib
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from libpusher import errors
from libpusher.aio import AsyncPusher

# Reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more. Connections are made by the first call.
pusher = AsyncPusher.from_env()


@asynccontextmanager
async def lifespan(app: FastAPI):
    # Closes the connections with the server.
    async with pusher:
        yield


app = FastAPI(lifespan=lifespan)
state = pathlib.Path(os.environ["STATE"])


def current_user(authorization: Annotated[str, Header()] = "") -> str:
    """Returns the id of the user, whose session this header stands for."""
    user = authorization.removeprefix("Bearer ")
    if not user:
        raise HTTPException(403)
    return user


User = Annotated[str, Depends(current_user)]
Field = Annotated[str, Form()]


@app.post("/orders")
async def create_order(id: Field, socket_id: Annotated[str | None, Form()] = None):
    order = {"id": id}
    # Other requests are served while this one waits.
    await pusher.trigger("private-orders", "order-created", order, socket_id)
    return order


@app.exception_handler(errors.NetworkError)
async def no_answer(request: Request, error: errors.NetworkError):
    return JSONResponse({"delivery": error.delivery}, 503)


@app.post("/pusher/auth")
async def authorize_channel(user: User, socket_id: Field, channel_name: Field):
    member = {"user_id": user, "user_info": {"name": user}} if channel_name.startswith("presence-") else None
    return pusher.authenticate(channel_name, socket_id, member)


@app.post("/pusher/user-auth")
async def authenticate_user(user: User, socket_id: Field):
    return pusher.authenticate_user(socket_id, {"id": user})


@app.post("/pusher/webhook")
async def webhook(request: Request):
    webhook = pusher.validate_webhook(
        request.headers.get("X-Pusher-Key"),
        request.headers.get("X-Pusher-Signature"),
        await request.body(),
    )
    if webhook is None:
        raise HTTPException(401)
    with state.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in webhook["events"])
    if webhook["events"]:
        await pusher.trigger("webhooks", "webhook-taken", len(webhook["events"]))


@app.get("/webhooks")
async def webhooks():
    lines = state.read_text(encoding="utf-8").splitlines() if state.exists() else []
    return [json.loads(line) for line in lines]


@app.get("/up")
async def up():
    return ""
