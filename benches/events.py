"""Measures the events per second of the publisher, of the calls, and of other libraries, each in its own process, on one sink.

    events.py ROUNDS SECONDS FOLDER [PEER=REASON]...

FOLDER holds the programs that benches/run.sh has built and installed. A peer that is not available is given with the reason,
which is printed. The table goes to standard output, and the figures to FOLDER/events.json.

The contenders run in an order that rotates. Ratios are taken within a round, and the median of all rounds is the result. Nothing
is pinned to a core: the sink and the threads of the contender share all cores.
"""

import json
import os
import statistics
import subprocess
import sys

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


class Contender:
    """A process that publishes on request."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)

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
        self.per_second, self.cpu_us = [], []

    def run(self, seconds):
        events, elapsed, cpu = self.contender.ask(self.what, self.at_once, seconds)
        self.per_second.append(events / elapsed)
        self.cpu_us.append(cpu / events * 1e6)


def ratios(ones, others):
    """Returns the ratio within each round."""
    return [one / other for one, other in zip(ones, others, strict=True)]


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


class Target:
    def __init__(self, what, unit, values, bound, at_most=False):
        self.what, self.unit, self.values, self.bound, self.at_most = what, unit, values, bound, at_most

    def met(self):
        value = statistics.median(self.values)
        return value <= self.bound if self.at_most else value >= self.bound

    def line(self):
        sign, verdict = "<=" if self.at_most else ">=", "met" if self.met() else "NOT MET"
        return f"{self.what:58} {spread(self.values, 2):>24} {self.unit:16} {sign} {self.bound:5.2f}  {verdict}"

    def as_json(self):
        return {
            "what": self.what,
            "unit": self.unit,
            "at_most" if self.at_most else "at_least": self.bound,
            "met": self.met(),
            "median": statistics.median(self.values),
            "least": min(self.values),
            "most": max(self.values),
        }


def main():
    rounds, seconds, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    missing = dict(peer.split("=", 1) for peer in sys.argv[4:])
    sink = subprocess.Popen([f"{folder}/sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = sink.stdout.readline().strip()

    library = Contender([f"{folder}/events", port])
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
    publishers.append(Way("publisher, 4 publishing, 8 connections", library, "wide", 4))
    peer_ways = {"trigger": [], "batch": []}
    for name, peer in peers.items():
        for what, word in ("trigger", "trigger"), ("batch", "batch of 10"):
            peer_ways[what].append(Way(f"{name}, {word}", peer, what, 1))
            # The library for Python waits for each response.
            if name != "pusher (PyPI)":
                peer_ways[what].append(Way(f"{name}, {word}, 8 at once", peer, what, 8))
    ways = [trigger, batch, *publishers, *peer_ways["trigger"], *peer_ways["batch"]]

    for way in ways:
        way.contender.ask(way.what, way.at_once, WARM_UP)
    medians, tails, clocks = [], [], []
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
        for index in range(len(ways)):
            ways[(index + turn) % len(ways)].run(seconds)
        median, tail, _ = library.ask("latency", 1, seconds)
        medians.append(median)
        tails.append(tail)
        clocks.append(library.ask("clock", 1, seconds / 10)[0])
    for contender in library, *peers.values():
        contender.close()
    sink.stdin.close()
    sink.wait(10)

    print(f"\n{'events of 100 bytes':42} {'events/s (min - max)':>28} {'CPU us/event':>14}")
    for way in ways:
        print(f"  {way.name:40} {spread(way.per_second, 0):>28} {statistics.median(way.cpu_us):14.2f}")
    for name, reason in missing.items():
        print(f"  {name:40} not measured: {reason}")
    print(f"\n{'pusher_publisher_publish, us':42} {'median':>20} {'99.9 %':>24}")
    print(f"  {'in bursts that do not fill the queue':40} {spread(medians, 2):>20} {spread(tails, 2):>24}")
    print(f"  {'of which reading the clock':40} {spread(clocks, 2):>20}")

    targets = []
    for publisher in publishers:
        for what, bound in ("trigger", 10), ("batch", 3):
            if peer_ways[what]:
                best = max(peer_ways[what], key=lambda way: statistics.median(way.per_second))
                times = ratios(publisher.per_second, best.per_second)
                targets.append(Target(f"{publisher.name}: events/s", f"of the best peer's {what}", times, bound))
                # The best peer that makes one call after the other, as most programs do.
                best = max(
                    (way for way in peer_ways[what] if way.at_once == 1), key=lambda way: statistics.median(way.per_second)
                )
                times = ratios(publisher.per_second, best.per_second)
                targets.append(Target(f"{publisher.name}: events/s", "of it, one at a time", times, bound))
        targets.append(
            Target(f"{publisher.name}: CPU per event", "of a trigger's", ratios(publisher.cpu_us, trigger.cpu_us), 0.2, True)
        )
    targets.append(Target("pusher_publisher_publish, median", "us", medians, 1.5, True))
    targets.append(Target("pusher_publisher_publish, 99.9 %", "us", tails, 50, True))
    print(f"\n{'':58} {'median (min - max)':>24} {'target':>22}")
    for target in targets:
        print(target.line())

    figures = [{"name": way.name, "events_per_second": way.per_second, "cpu_us_per_event": way.cpu_us} for way in ways]
    with open(f"{folder}/events.json", "w", encoding="utf-8") as file:
        json.dump({"ways": figures, "missing": missing, "targets": [target.as_json() for target in targets]}, file, indent=1)


main()
