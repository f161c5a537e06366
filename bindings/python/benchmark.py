"""Compares channel authorization and trigger with the official package: `pip install pusher` first.

    FAULT_SERVER=target/release/examples/fault-server python benchmark.py

Each round measures both in turn; the table shows the medians. It makes no verdict: trust the ratio, not the numbers.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
import urllib.request
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import libpusher

with warnings.catch_warnings():
    # Its regular expressions make Python warn.
    warnings.simplefilter("ignore")
    import pusher

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "0.3"))
DATA = {"message": "hello world", "numbers": [1, 2, 3], "who": "Zoë"}
MEMBER = {"user_id": "7", "user_info": {"name": "Zoë"}}


def per_second(call: Callable[[], Any]) -> float:
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < SECONDS:
        call()
        count += 1
    return count / passed


def with_threads(call: Callable[[], Any], threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(per_second, [call] * threads))


def measure(what: str, call: Callable[[Any], Any], clients: tuple[Any, Any], threads: int = 1) -> None:
    calls = [partial(call, client) for client in clients]
    for each in calls:
        each()
    rounds = [[with_threads(each, threads) if threads > 1 else per_second(each) for each in calls] for _ in range(ROUNDS)]
    own, their = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{what:<32} {own:>12,.0f} {their:>12,.0f} {own / their:>8.1f}", flush=True)


def main() -> None:
    server = subprocess.Popen([os.environ["FAULT_SERVER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    ready = json.loads(server.stdout.readline())

    def listen() -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{ready['control']}/listen", b'{"fault":"none"}', method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(json.load(answer)["port"])

    config: dict[str, Any] = {"app_id": "4711", "key": ready["key"], "secret": ready["secret"], "host": "127.0.0.1"}
    ours = libpusher.Pusher(**config, port=listen(), ssl=False)
    clients = (ours, pusher.Pusher(**config, port=listen(), ssl=False))
    print(f"{'per second':<32} {'libpusher':>12} {'pusher':>12} {'ratio':>8}")
    measure("authorize a private channel", lambda client: client.authenticate("private-channel", "1234.5678"), clients)
    measure("authorize a presence channel", lambda client: client.authenticate("presence-channel", "1234.5678", MEMBER), clients)
    measure("sign a user in", lambda client: client.authenticate_user("1234.5678", {"id": "7"}), clients)
    measure("trigger", lambda client: client.trigger("my-channel", "my-event", DATA), clients)
    measure("trigger, 8 threads", lambda client: client.trigger("my-channel", "my-event", DATA), clients, threads=8)

    publisher = ours.publisher(overflow="block")
    started, count = time.perf_counter(), 50_000
    for number in range(count):
        publisher.publish(f"channel-{number % 100}", "my-event", DATA, timeout=30)
    publisher.flush()
    print(f"{'publish in the background':<32} {count / (time.perf_counter() - started):>12,.0f}")
    publisher.close()
    server.communicate(timeout=30)


if __name__ == "__main__":
    main()
