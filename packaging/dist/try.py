#!/usr/bin/env python3
"""Tries a library and a pusher-testserver of a release together: an event arrives, and a simulated fault is reported.

    packaging/dist/try.py VERSION PROGRAM LIBRARY SERVER [EMULATOR…]

PROGRAM is packaging/dist/try.c, compiled. EMULATOR runs all three where this machine cannot."""

import json
import os
import subprocess
import sys
import urllib.request

version, program, library, server, *emulator = sys.argv[1:]


def ask(method, path, body=None):
    """Sends a request to the control port, and returns the answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{control}{path}", method=method, data=body and json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def sends(status):
    """Sends an event by the library, and checks the status."""
    environment = {**os.environ, "PUSHER_URL": opened["url"]}
    said = subprocess.run([*emulator, program, library], env=environment, capture_output=True, text=True, timeout=120)
    if said.returncode or said.stdout.split() != [version, status]:
        sys.exit(f"{library}: {version} {status} is expected; {said.returncode} after: {said.stdout}{said.stderr}")


with subprocess.Popen([*emulator, server], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
    line = running.stdout.readline()
    if not line:
        sys.exit(f"{server} ended with {running.wait()}")
    control = json.loads(line)["control"]
    opened = ask("POST", "/listen", {"fault": "none"})
    path = f"/listen/{opened['port']}"
    sends("OK")
    ask("PUT", path, {"fault": "status-403"})
    sends("FORBIDDEN")
    record = ask("GET", f"{path}/events")
    events = [(event["channel"], event["event"], event["data"]) for event in record["events"]]
    if events != [("my-channel", "my-event", '{"hello":"world"}')] or record["attempts"] != 2:
        sys.exit(f"{server} has recorded: {record}")
    running.stdin.close()
    if running.wait(timeout=60):
        sys.exit(f"{server} ended with {running.returncode}")
