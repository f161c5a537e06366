"""Runs a program of the manual: it publishes its event to the fault server, and reports an error if there is no server."""

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request

program = sys.argv[1]


def run(key, secret, port):
    secret = urllib.parse.quote(secret, safe="")
    environment = dict(os.environ, PUSHER_URL=f"http://{key}:{secret}@127.0.0.1:{port}/apps/4711")
    return subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60, check=False)


refused = run("key", "secret", 1)
assert refused.returncode == 1 and refused.stderr.strip() and not refused.stdout, refused

# The server ends with its input.
with subprocess.Popen([os.environ["FAULT_SERVER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
    ready = json.loads(server.stdout.readline())

    def ask(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{ready['control']}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    port = ask("POST", "/listen", {"fault": "none"})["port"]
    published = run(ready["key"], ready["secret"], port)
    assert published.returncode == 0 and not published.stderr, published
    assert json.loads(published.stdout)["auth"].startswith(ready["key"] + ":"), published
    applied = [event for attempt in ask("GET", f"/listen/{port}")["attempts"] for event in attempt["applied"]]
    assert [(event["channel"], event["name"], event["data"]) for event in applied] == [
        ("my-channel", "my-event", '{"hello":"world"}')
    ], applied
    server.stdin.close()
