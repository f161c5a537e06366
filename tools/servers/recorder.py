#!/usr/bin/env python3
"""Serves the events endpoint of the Channels HTTP API, and prints each event whose request is valid.

    recorder.py [--events N] [--seconds S]

The first line on standard output is `export PUSHER_URL=URL`. The recorder checks signature, timestamp and body_md5
independently of libpusher, and responds to an invalid request with the reason. It exits after N events (default 1),
or after S seconds (default 60) with exit code 1. It listens on 127.0.0.1 only, and needs only Python.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time
import urllib.parse

APP_ID, KEY, SECRET = "100001", "test-key", "test-secret"


class Refused(Exception):
    """A request that the API would refuse, with the status and the reason."""


def verify(method, target, body):
    """Checks a request by the rules of the API's documentation, and returns its parsed body."""
    path, _, query = target.partition("?")
    if (method, path) != ("POST", f"/apps/{APP_ID}/events"):
        raise Refused(404, f"there is no {method} {path}")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise Refused(400, "a repeated parameter")
    signature = parameters.pop("auth_signature", "")
    if parameters.get("auth_key") != KEY:
        raise Refused(401, "unknown auth_key")
    if parameters.get("auth_version") != "1.0":
        raise Refused(401, "auth_version is not 1.0")
    signed_query = "&".join(f"{name.lower()}={parameters[name]}" for name in sorted(parameters, key=str.lower))
    text = "\n".join([method, path, signed_query])
    expected = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise Refused(401, "the signature is wrong")
    if abs(time.time() - int(parameters.get("auth_timestamp", "0"))) > 600:
        raise Refused(401, "the timestamp is more than 600 s off")
    if parameters.get("body_md5") != hashlib.md5(body).hexdigest():
        raise Refused(401, "body_md5 does not match the body")
    event = json.loads(body)
    if not isinstance(event.get("data"), str) or not isinstance(event.get("name"), str) or not event.get("channels"):
        raise Refused(400, "name, channels and data are required, and data must be a string")
    return event


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_POST(self):
        event = None
        try:
            if "Content-Length" not in self.headers:
                self.close_connection = True
                raise Refused(411, "Content-Length is required")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            event = verify(self.command, self.path, body)
            status, answer = 200, b"{}"
        except Refused as refused:
            status, reason = refused.args
            answer = reason.encode()
            print(f"refused: {reason}", flush=True)
        except ValueError as error:
            status, answer = 400, str(error).encode()
            print(f"refused: {error}", flush=True)
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if event is not None:
            self.server.took(event)

    def log_message(self, format, *args):
        pass


class Recorder(http.server.ThreadingHTTPServer):
    def __init__(self, events):
        super().__init__(("127.0.0.1", 0), Handler)
        self.left = events
        self.lock = threading.Lock()

    def took(self, event):
        with self.lock:
            channels, name, data = ", ".join(event["channels"]), event["name"], event["data"]
            print(f"{name} on {channels}\n{data}", flush=True)
            self.left -= 1
            if self.left == 0:
                threading.Thread(target=self.shutdown).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1, metavar="N")
    parser.add_argument("--seconds", type=float, default=60, metavar="S")
    arguments = parser.parse_args()
    recorder = Recorder(arguments.events)
    print(f"export PUSHER_URL=http://{KEY}:{SECRET}@127.0.0.1:{recorder.server_port}/apps/{APP_ID}", flush=True)
    limit = threading.Timer(arguments.seconds, recorder.shutdown)
    limit.daemon = True
    limit.start()
    recorder.serve_forever()
    sys.exit(0 if recorder.left <= 0 else 1)


if __name__ == "__main__":
    main()
