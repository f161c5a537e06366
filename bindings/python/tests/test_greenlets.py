"""gevent and eventlet: a call blocks all greenlets of its thread, unless a thread of the pool makes it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import Listener

Listen = Callable[..., Listener]

GEVENT = """
import gevent
from gevent import monkey
monkey.patch_all()
spawn, sleep, pool = gevent.spawn, gevent.sleep, gevent.get_hub().threadpool.apply
in_a_thread = lambda call, *arguments: pool(call, arguments)
"""
EVENTLET = """
import warnings
warnings.simplefilter("ignore")
import eventlet
from eventlet import tpool
eventlet.monkey_patch()
spawn, sleep, in_a_thread = eventlet.spawn, eventlet.sleep, tpool.execute
"""
PROGRAM = """
import json, os
import libpusher
client = libpusher.Pusher(**json.loads(os.environ["CONFIG"]))
ticks = []
def tick():
    while True:
        ticks.append(0)
        sleep(0.01)
spawn(tick)
sleep(0.05)

def meanwhile(call):
    before = len(ticks)
    call()
    return len(ticks) - before

def publish():
    with client.publisher() as publisher:
        for _ in range(100):
            publisher.publish("c", "e", {})
        while publisher.stats()["queue"]["events"]:
            sleep(0.01)

def refused():
    try:
        in_a_thread(client.trigger, "a b", "e", {})
    except libpusher.errors.InvalidArgument as error:
        assert error.argument == "channels"

print(json.dumps({
    "blocking": meanwhile(lambda: client.trigger("c", "e", {})),
    "in a thread": meanwhile(lambda: in_a_thread(client.trigger, "c", "e", {})),
    "publisher": meanwhile(publish),
    "signature": client.authenticate("private-c", "1.2")["auth"][:5],
    "refused": refused(),
}))
"""


@pytest.mark.parametrize(("library", "prelude"), [("gevent", GEVENT), ("eventlet", EVENTLET)])
def test_greenlets_run_while_another_thread_makes_a_call(library: str, prelude: str, listen: Listen) -> None:
    # Only the other process imports it: importing it changes fork.
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    # The response takes about a quarter of a second.
    listener = listen("slow-answer", times=0, params={"ms": 1})
    shown = subprocess.run(
        [sys.executable, "-c", prelude + PROGRAM],
        env={**os.environ, "CONFIG": json.dumps(listener.config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    seen = json.loads(shown.stdout)
    assert seen["blocking"] == 0
    assert seen["in a thread"] > 5
    assert seen["publisher"] > 5
    assert seen["signature"] == listener.config["key"][:5]
