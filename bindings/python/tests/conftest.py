"""Shared fixtures: the fault server, which fails on request and keeps a ledger of what it really did."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from libpusher import Pusher


class FaultServer:
    """The program that FAULT_SERVER names, started once. Closing its standard input ends it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([os.environ["FAULT_SERVER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.ready["control"], timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return json.loads(answer) if answer else None
        finally:
            connection.close()

    def close(self) -> None:
        self.process.communicate(timeout=10)


class Listener:
    """A port of the fault server, for one test."""

    def __init__(self, server: FaultServer, fault: dict[str, Any]) -> None:
        self.server, self.tls = server, fault.get("tls", False)
        self.port: int = server.ask("POST", "/listen", fault)["port"]

    @property
    def config(self) -> dict[str, Any]:
        """Returns the configuration of a client for this port."""
        ready = self.server.ready
        where = {"host": "localhost", "ssl": True, "ca_file": ready["ca"]} if self.tls else {"host": "127.0.0.1", "ssl": False}
        return {"app_id": "4711", "key": ready["key"], "secret": ready["secret"], "port": self.port, **where}

    def client(self, **more: Any) -> Pusher:
        return Pusher(**{**self.config, **more})

    def ledger(self) -> Any:
        return self.server.ask("GET", f"/listen/{self.port}")

    def published(self) -> list[dict[str, Any]]:
        """Returns the applied events of all attempts, in order."""
        return [event for attempt in self.ledger()["attempts"] for event in attempt["applied"]]

    def close(self) -> None:
        self.server.ask("DELETE", f"/listen/{self.port}")


@pytest.fixture(scope="session")
def server() -> Iterator[FaultServer]:
    server = FaultServer()
    yield server
    server.close()


@pytest.fixture
def listen(server: FaultServer) -> Iterator[Any]:
    """Opens listeners: `listen()`, `listen("status-500", times=0)`, `listen(mix={…})`."""
    opened: list[Listener] = []

    def open_one(fault: str = "none", **more: Any) -> Listener:
        opened.append(Listener(server, more if "mix" in more else {"fault": fault, **more}))
        return opened[-1]

    yield open_one
    for listener in opened:
        listener.close()
