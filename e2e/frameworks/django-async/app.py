"""A Django application in one file: it publishes orders, authorizes its users, and takes webhooks, on the event loop."""

import json
import os
import pathlib

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import async_only_middleware
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from libpusher import errors
from libpusher.aio import AsyncPusher

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware", "app.no_answer"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only for tests"),
)

# Reads PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET and more. Connections are made by the first call, in the event loop.
pusher = AsyncPusher.from_env()
state = pathlib.Path(os.environ["STATE"])


@async_only_middleware
def no_answer(get_response):
    """Makes a response of what happened to an event."""

    async def middleware(request):
        return await get_response(request)

    def process_exception(request, error):
        if isinstance(error, errors.NetworkError):
            return JsonResponse({"delivery": error.delivery}, status=503)
        return None

    middleware.process_exception = process_exception
    return middleware


def current_user(request):
    """Returns the id of the user, whose session this header stands for."""
    user = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not user:
        raise PermissionDenied
    return user


# The header that stands for the session is no cookie, so a form of another site cannot send it.
@csrf_exempt
@require_POST
async def create_order(request):
    order = {"id": request.POST["id"]}
    # Other requests are served while this one waits.
    await pusher.trigger("private-orders", "order-created", order, request.POST.get("socket_id"))
    return JsonResponse(order)


@csrf_exempt
@require_POST
async def authorize_channel(request):
    user = current_user(request)
    channel = request.POST["channel_name"]
    member = {"user_id": user, "user_info": {"name": user}} if channel.startswith("presence-") else None
    return JsonResponse(pusher.authenticate(channel, request.POST["socket_id"], member))


@csrf_exempt
@require_POST
async def authenticate_user(request):
    return JsonResponse(pusher.authenticate_user(request.POST["socket_id"], {"id": current_user(request)}))


# The server that sends webhooks has no token of a form.
@csrf_exempt
@require_POST
async def webhook(request):
    webhook = pusher.validate_webhook(
        request.headers.get("X-Pusher-Key"),
        request.headers.get("X-Pusher-Signature"),
        request.body,
    )
    if webhook is None:
        return HttpResponse(status=401)
    with state.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in webhook["events"])
    return HttpResponse()


async def webhooks(request):
    lines = state.read_text(encoding="utf-8").splitlines() if state.exists() else []
    return JsonResponse([json.loads(line) for line in lines], safe=False)


async def up(request):
    return HttpResponse()


urlpatterns = [
    path("orders", create_order),
    path("pusher/auth", authorize_channel),
    path("pusher/user-auth", authenticate_user),
    path("pusher/webhook", webhook),
    path("webhooks", webhooks),
    path("up", up),
]

app = get_asgi_application()
