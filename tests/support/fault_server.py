"""The fault server for tests in Python: see tools/fault-server/README.md. The scripts have this folder in PYTHONPATH."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import urllib.parse
from typing import Any


class FaultServer:
    """The program that FAULT_SERVER names. Closing its standard input ends it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([os.environ["FAULT_SERVER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        ready = json.loads(self.process.stdout.readline())
        self.control: int = ready["control"]
        self.key: str = ready["key"]
        self.secret: str = ready["secret"]

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the program."""
        self.process.communicate(timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Asks the control port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        assert response.status == 200, answer
        return json.loads(answer) if answer else None

    def listen(self, **fault: Any) -> int:
        """Opens a listener, without a fault unless there is a `fault` or a `mix`, and returns its port."""
        return self.ask("POST", "/listen", fault if "mix" in fault else {"fault": "none", **fault})["port"]

    def url(self, port: int) -> str:
        """Returns the PUSHER_URL of a listener."""
        secret = urllib.parse.quote(self.secret, safe="")
        return f"http://{self.key}:{secret}@127.0.0.1:{port}/apps/4711"

    def attempts(self, port: int) -> list[dict[str, Any]]:
        """Returns the ledger of a listener."""
        return self.ask("GET", f"/listen/{port}")["attempts"]

    def applied(self, port: int) -> list[dict[str, Any]]:
        """Returns the events that a listener has published, in order."""
        return [event for attempt in self.attempts(port) for event in attempt["applied"]]
