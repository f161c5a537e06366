"""Runs a program of the manual: it publishes its event to the fault server, and reports an error if there is no server."""

import json
import os
import subprocess
import sys

from fault_server import FaultServer

program = sys.argv[1]


def run(url):
    environment = dict(os.environ, PUSHER_URL=url)
    return subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60, check=False)


refused = run("http://key:secret@127.0.0.1:1/apps/4711")
assert refused.returncode == 1 and refused.stderr.strip() and not refused.stdout, refused

with FaultServer() as server:
    port = server.listen()
    published = run(server.url(port))
    assert published.returncode == 0 and not published.stderr, published
    assert json.loads(published.stdout)["auth"].startswith(server.key + ":"), published
    applied = server.applied(port)
    assert [(event["channel"], event["name"], event["data"]) for event in applied] == [
        ("my-channel", "my-event", '{"hello":"world"}')
    ], applied
