"""Awaits calls with asyncio, as benches/events.py tells it to.

    await.py pusher|libpusher PORT

The calls are those of libpusher, or those of the official library on aiohttp.
"""

import asyncio
import os
import sys
import time
import warnings

value = os.environ.__getitem__
config = {
    "app_id": value("EVENTS_APP_ID"),
    "key": value("EVENTS_KEY"),
    "secret": value("EVENTS_SECRET"),
    "host": "127.0.0.1",
    "port": int(sys.argv[2]),
    "ssl": False,
}
channel, event, data = value("EVENTS_CHANNEL"), value("EVENTS_EVENT"), value("EVENTS_DATA")

if sys.argv[1] == "pusher":
    with warnings.catch_warnings():
        # Its regular expressions make Python warn.
        warnings.simplefilter("ignore")
        import pusher.aiohttp
    clients = {"trigger": pusher.Pusher(**config, backend=pusher.aiohttp.AsyncIOBackend)}
else:
    from libpusher.aio import AsyncPusher

    clients = {"trigger": AsyncPusher(**config), "batching": AsyncPusher(**config, batching=True)}


async def publish(client, tasks, seconds):
    """Publishes from as many tasks, one event after the other in each, and returns the number of events."""
    count, end = 0, time.monotonic() + seconds

    async def task():
        nonlocal count
        while time.monotonic() < end:
            await client.trigger(channel, event, data)
            count += 1

    await asyncio.gather(*(task() for _ in range(tasks)))
    return count


async def main():
    # Reading a line blocks the loop, which has nothing else to do then.
    for line in sys.stdin:
        kind, at_once, seconds = line.split()
        start, cpu = time.monotonic(), time.process_time()
        count = await publish(clients[kind], int(at_once), float(seconds))
        print(count, time.monotonic() - start, time.process_time() - cpu, flush=True)
    for client in clients.values():
        if hasattr(client, "aclose"):
            await client.aclose()


asyncio.run(main())
