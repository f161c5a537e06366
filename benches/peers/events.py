"""Publishes events with the official library for Python, as benches/events.py tells it to."""

import os
import sys
import time

import pusher

value = os.environ.__getitem__
client = pusher.Pusher(
    app_id=value("EVENTS_APP_ID"),
    key=value("EVENTS_KEY"),
    secret=value("EVENTS_SECRET"),
    host="127.0.0.1",
    port=int(sys.argv[1]),
    ssl=False,
)
channel, event, data = value("EVENTS_CHANNEL"), value("EVENTS_EVENT"), value("EVENTS_DATA")

for line in sys.stdin:
    kind, _, seconds = line.split()
    start, cpu, events = time.monotonic(), time.process_time(), 0
    while time.monotonic() < start + float(seconds):
        if kind == "batch":
            client.trigger_batch([{"channel": channel, "name": event, "data": data} for _ in range(10)])
            events += 10
        else:
            client.trigger(channel, event, data)
            events += 1
    print(events, time.monotonic() - start, time.process_time() - cpu, flush=True)
