"""Measures the events per second of the publisher, of the calls, and of other libraries, each in its own process, on one sink.

    events.py ROUNDS SECONDS FOLDER [PEER=REASON]...

FOLDER holds the programs that benches/run.sh has built and installed. A peer that is not available is given with the reason,
which is printed. The table goes to standard output, and the figures and targets to FOLDER/events.json: see report.py.

The contenders run in an order that rotates. Ratios are taken within a round, and the median of all rounds is the result. The
publisher with eight connections runs once for each peer that sends batches with 8 in flight, right before or right after it. The
other publishers run right beside pusher_trigger, which their processor time is compared with, and the one with co_await between
two in C: as it is, and with the report of each event. They run several times in a round, forwards and backwards, because it
matters which of their threads share a core. The calls that are awaited in Python run beside those of the official library.
Nothing is pinned to a core: the sink and the threads of the contender share all cores.
"""

import json
import os
import statistics
import subprocess
import sys
import time

# 100 bytes of JSON, as in harness.h.
DATA = '{"message":"hello, world","from":"a server out there","room":"general","sequence":1234567890,"n":12}'
assert len(DATA) == 100
ENVIRONMENT = os.environ | {
    "EVENTS_APP_ID": "1234567",
    "EVENTS_KEY": "278d425bdf160c739803",
    "EVENTS_SECRET": "7ad3773142a6692b25b8",
    "EVENTS_CHANNEL": "my-channel-0",
    "EVENTS_EVENT": "my-event",
    "EVENTS_DATA": DATA,
}
WARM_UP = 0.1
PUBLISHER_SAMPLES = 4
WIDE = "publisher, 8 connections"
# The calls that are awaited in Python are made by as many tasks at the same time.
TASKS = 100


class Contender:
    """A process that publishes on request."""

    def __init__(self, command, **environment):
        environment = ENVIRONMENT | environment
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, what, at_once, seconds):
        """Sends one request, and returns the three figures of the response."""
        self.process.stdin.write(f"{what} {at_once} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 3:
            raise SystemExit(f"{self.process.args} ended with {self.process.wait(10)} at {what} {at_once}")
        return tuple(map(float, answer))

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Way:
    """One way to publish: a contender, and the request to it."""

    def __init__(self, name, contender, what, at_once):
        self.name, self.contender, self.what, self.at_once = name, contender, what, at_once
        self.samples, self.per_second, self.cpu_us = [], [], []

    def run(self, seconds):
        self.samples.append(self.contender.ask(self.what, self.at_once, seconds))

    def end_round(self):
        """Makes one figure of the samples of a round."""
        events, elapsed, cpu = map(sum, zip(*self.samples, strict=True))
        self.samples.clear()
        self.per_second.append(events / elapsed)
        self.cpu_us.append(cpu / events * 1e6)


def ratios(ones, others):
    """Returns the ratio within each round."""
    return [one / other for one, other in zip(ones, others, strict=True)]


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def row(name, unit, values):
    return {"name": name, "unit": unit, **summary(values)}


def target(name, unit, values, bound, at_most=False):
    return {**row(name, unit, values), "at_most" if at_most else "at_least": bound}


def best_of(ways):
    return max(ways, key=lambda way: statistics.median(way.per_second))


def await_ways(folder, port, missing):
    """Returns the ways to await calls in Python: the official library's, and libpusher's with and without batches."""
    if "pusher (PyPI)" in missing:
        return []
    command = [f"{folder}/python/bin/python", "-B", "benches/peers/await.py"]
    theirs = Contender([*command, "pusher", port])
    ours = Contender(
        [*command, "libpusher", port], PYTHONPATH=f"{folder}/binding", PUSHER_LIBRARY=os.path.abspath(f"{folder}/libpusher.so.0")
    )
    return [
        Way(f"await, pusher (PyPI) on aiohttp, {TASKS} tasks", theirs, "trigger", TASKS),
        Way(f"await, AsyncPusher, {TASKS} tasks", ours, "trigger", TASKS),
        Way(f"await, AsyncPusher with batching, {TASKS} tasks", ours, "batching", TASKS),
    ]


def main():
    rounds, seconds, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    missing = dict(peer.split("=", 1) for peer in sys.argv[4:])
    sink = subprocess.Popen([f"{folder}/sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = sink.stdout.readline().strip()

    library = Contender([f"{folder}/events", port])
    asio = Contender([f"{folder}/asio", port])
    commands = {
        "pushers (Rust)": [f"{folder}/rust-peers", "pushers", port],
        "sockudo-http (Rust)": [f"{folder}/rust-peers", "sockudo-http", port],
        "pusher (npm)": ["node", "benches/peers/events.cjs", port],
        "pusher (PyPI)": [f"{folder}/python/bin/python", "-B", "benches/peers/events.py", port],
    }
    peers = {name: Contender(command) for name, command in commands.items() if name not in missing}

    trigger = Way("pusher_trigger", library, "trigger", 1)
    batch = Way("pusher_trigger_batch of 10", library, "batch", 1)
    publishers = [Way(f"publisher, {threads} publishing", library, "publisher", threads) for threads in (1, 4)]
    reported = Way("publisher, 1 publishing, reading each report", library, "reported", 1)
    awaiting = Way("publisher, 1000 coroutines of Asio on a thread", asio, "await", 1000)
    peer_ways = {"trigger": [], "batch": []}
    for name, peer in peers.items():
        for what, word in ("trigger", "trigger"), ("batch", "batch of 10"):
            peer_ways[what].append(Way(f"{name}, {word}", peer, what, 1))
            # The library for Python waits for each response.
            if name != "pusher (PyPI)":
                peer_ways[what].append(Way(f"{name}, {word}, 8 at once", peer, what, 8))
    # The rivals of the publisher with eight connections send batches of 10 with 8 in flight. Each has its own samples of it.
    rivals = [way for way in peer_ways["batch"] if way.at_once == 8]
    wide = {way: Way(f"{WIDE}, beside {way.name.split(',')[0]}", library, "wide", 4) for way in rivals}
    others = [way for way in peer_ways["batch"] if way not in wide]
    groups = [
        [trigger, publishers[1], publishers[0], awaiting, reported],
        *([way] for way in (batch, *peer_ways["trigger"], *others)),
    ]
    groups += [[publisher, way] for way, publisher in wide.items()]
    lonely = Way(WIDE, library, "wide", 4)
    if not wide:
        groups.append([lonely])
    awaited = await_ways(folder, port, missing)
    groups.append(awaited)
    ways = [way for group in groups for way in group]

    for way in ways:
        way.contender.ask(way.what, way.at_once, WARM_UP)
    medians, tails, clocks = [], [], []
    start = time.monotonic()
    for turn in range(rounds):
        for index in range(len(groups)):
            group = groups[(index + turn) % len(groups)]
            for repetition in range(PUBLISHER_SAMPLES if group is groups[0] else 1):
                for way in group if (turn + repetition) % 2 == 0 else reversed(group):
                    way.run(seconds)
        for way in ways:
            way.end_round()
        median, tail, _ = library.ask("latency", 1, seconds)
        medians.append(median)
        tails.append(tail)
        clocks.append(library.ask("clock", 1, seconds / 10)[0])
        left = (time.monotonic() - start) / (turn + 1) * (rounds - turn - 1)
        print(f"   events: round {turn + 1} of {rounds} done, {left:.0f} s left", file=sys.stderr)
    for contender in {library, asio, *peers.values(), *(way.contender for way in awaited)}:
        contender.close()
    sink.stdin.close()
    sink.wait(10)

    print(f"\n{'events of 100 bytes':54} {'events/s (min - max)':>28} {'CPU us/event':>14}")
    for way in ways:
        print(f"  {way.name:52} {spread(way.per_second, 0):>28} {statistics.median(way.cpu_us):14.2f}")
    for name, reason in missing.items():
        print(f"  {name:52} not measured: {reason}")
    print(f"\n{'pusher_publisher_publish, us':42} {'median':>20} {'99.9 %':>24}")
    print(f"  {'in bursts that do not fill the queue':40} {spread(medians, 2):>20} {spread(tails, 2):>24}")
    print(f"  {'of which reading the clock':40} {spread(clocks, 2):>20}")

    targets = []

    def compare(publisher, name, rivals, unit, bound):
        if rivals:
            times = ratios(publisher.per_second, best_of(rivals).per_second)
            targets.append(target(f"{name}: events/s", unit, times, bound))

    # Most programs make one call after the other: "x 1" in the units. "x 8" is eight in flight.
    patient = {what: [way for way in peer_ways[what] if way.at_once == 1] for what in peer_ways}
    if wide:
        publisher = wide[best_of(wide)]
        compare(publisher, WIDE, wide, "of the best batch x 8", 2.2)
    else:
        publisher = lonely
    compare(publisher, WIDE, patient["batch"], "of the best batch x 1", 3)
    compare(publisher, WIDE, peer_ways["trigger"], "of the best trigger", 10)
    compare(publisher, WIDE, patient["trigger"], "of the best trigger x 1", 10)
    targets.append(target(f"{WIDE}: CPU per event", "us", publisher.cpu_us, 2.0, True))
    for publisher in publishers:
        for what, bound in ("trigger", 10), ("batch", 3):
            compare(publisher, publisher.name, peer_ways[what], f"of the best {what}", bound)
            compare(publisher, publisher.name, patient[what], f"of the best {what} x 1", bound)
        times = ratios(publisher.cpu_us, trigger.cpu_us)
        targets.append(target(f"{publisher.name}: CPU per event", "of a trigger's", times, 0.2, True))
    if awaited:
        theirs, ours, _ = awaited
        times = ratios(ours.per_second, theirs.per_second)
        targets.append(target(f"await in Python, {TASKS} tasks: events/s", "of the official aiohttp backend", times, 5))
    for publisher, unit in (publishers[0], "of 1 publishing"), (reported, "of 1 that reads each report"):
        times = ratios(awaiting.per_second, publisher.per_second)
        targets.append(target(f"{awaiting.name}: events/s", unit, times, 0.9))
    targets.append(target("pusher_publisher_publish, median", "us", medians, 1.5, True))
    targets.append(target("pusher_publisher_publish, 99.9 %", "us", tails, 50, True))

    rows = [row(way.name, "events/s", way.per_second) for way in ways]
    rows += [row(way.name, "CPU us/event", way.cpu_us) for way in ways]
    with open(f"{folder}/events.json", "w", encoding="utf-8") as file:
        json.dump({"part": "events", "rows": rows, "targets": targets, "missing": missing}, file, indent=1)


main()
