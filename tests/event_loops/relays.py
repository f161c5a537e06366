"""Runs the programs of c_examples/event_loops: relays.py PROGRAM….

Each gets 10,000 lines while the fault server breaks some requests. The reports agree with the server's ledger, an idle program
makes no system call in five seconds, and SIGTERM ends it.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from fault_server import FaultServer

EVENTS = 10_000
FAULTS = ["rst-after-request-applied", "fin-after-request", "rst-mid-request", "status-503", "answer-cut-rst"]
IDLE_SECONDS = 5
# The last requests may come late on a loaded machine. What polls does so each time.
TRIES = int(os.environ.get("TRIES", "3"))


def published_by(server: FaultServer, port: int) -> collections.Counter[str]:
    """Returns how often each payload was published."""
    return collections.Counter(event["data"] for event in server.applied(port))


def wait_until_settled(server: FaultServer, port: int) -> None:
    """Waits until no request has come for a second."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 1:
        attempts = len(server.attempts(port))
        if attempts != seen:
            seen, since = attempts, time.monotonic()
        time.sleep(0.1)


def listening_port(file: str, program: subprocess.Popen[bytes]) -> int:
    """Returns the port that a relay prints first."""
    while program.poll() is None:
        printed = re.match(r"listening on 127\.0\.0\.1:(\d+)\n", pathlib.Path(file).read_text())
        if printed:
            return int(printed[1])
        time.sleep(0.05)
    raise AssertionError(f"it ended with {program.returncode}")


def send_lines(port: int) -> None:
    """Sends the lines, in pieces that do not end with lines, and waits until the relay has read them."""
    lines = "".join(f"line {n}\n" for n in range(EVENTS)).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=240) as connection:
        for start in range(0, len(lines), 1001):
            connection.sendall(lines[start : start + 1001])
        connection.shutdown(socket.SHUT_WR)
        # The relay closes the connection when it has published everything.
        assert connection.recv(1) == b""


def system_calls(program: subprocess.Popen[bytes]) -> list[str]:
    """Returns the system calls that the threads of a program finish in five seconds."""
    command = ["strace", "-f", "-qq", "-o", "/dev/stdout", "-p", str(program.pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tracer:
        time.sleep(IDLE_SECONDS)
        tracer.send_signal(signal.SIGINT)
        traced, said = tracer.communicate(timeout=30)
    assert traced, f"strace saw no thread: {said}"
    # A call that a thread is in at the beginning or at the end has no result.
    return [line for line in traced.splitlines() if " = " in line]


def check_idle(program: subprocess.Popen[bytes], path: str) -> None:
    """Fails if a program makes system calls each time that it is watched."""
    for _ in range(TRIES):
        idle = system_calls(program)
        if not idle:
            return
    raise AssertionError(f"{path} is not idle: {idle[:10]}")


def relay(server: FaultServer, path: str) -> str:
    """Tests one program and returns what was measured."""
    port = server.listen(mix={"seed": 7, "one_in": 20, "faults": FAULTS}, times=0)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUSHER_")}
    environment["PUSHER_URL"] = server.url(port)
    wrapper = os.environ.get("WRAPPER", "").split()
    # In files: a relay that nobody reads would wait for its reader.
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        command = [*wrapper, path, "0", "lines", "line"]
        with subprocess.Popen(command, stdout=open(out.name, "w"), stderr=open(err.name, "w"), env=environment) as program:
            try:
                send_lines(listening_port(out.name, program))
                wait_until_settled(server, port)
                if not wrapper:
                    check_idle(program, path)
                program.terminate()
                program.wait(timeout=60)
            finally:
                program.kill()
        said, complaints = out.read(), err.read()
    assert program.returncode == 0 and not complaints, (program.returncode, complaints)
    _, *reports, stats = [json.loads(line) if line.startswith("{") else line for line in said.splitlines()]

    # The first event has the first number. Without a report an event is delivered.
    delivery = {report["id"]: report["delivery"] for page in reports for report in page["reports"]}
    published, first = published_by(server, port), 1
    counts: collections.Counter[str] = collections.Counter()
    for n in range(EVENTS):
        reported, times = delivery.get(n + first, "delivered"), published[f"line {n}"]
        allowed = {"delivered": [1], "unknown": [0, 1], "not_sent": [0], "rejected": [0]}[reported]
        assert times in allowed, f"line {n} is {reported}, and was published {times} times"
        counts[reported] += 1
    events = stats["events"]
    assert events["published"] == EVENTS and stats["queue"]["events"] == 0, stats
    assert all(events[said] == counts[said] for said in ("delivered", "unknown", "not_sent", "rejected")), (events, counts)
    assert counts["delivered"] > EVENTS / 2 and counts["unknown"] > 0, counts
    # In valgrind a relay may be so slow that its queue never is.
    assert events["refused"] > 0 or wrapper, "the queue was never full"
    server.ask("DELETE", f"/listen/{port}")
    name = os.path.basename(path)
    return f"{name}: {counts['delivered']} delivered, {counts['unknown']} unknown, queue full {events['refused']} times"


def main() -> None:
    """Tests all programs at the same time, because each is idle for five seconds."""
    with FaultServer() as server, ThreadPoolExecutor() as threads:
        for line in threads.map(lambda path: relay(server, path), sys.argv[1:]):
            print(line)


if __name__ == "__main__":
    main()
