"""libpusher.testing and its fixtures, and the table of faults in docs/testing-your-app.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import libpusher
from libpusher import errors, testing
from libpusher.testing import Program, Server

PAGE = (Path(__file__).resolve().parents[3] / "docs/testing-your-app.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z0-9-]+)` \| [^|]+ \| `(\w+)` \| ([a-z ]*)\| (yes|no) \| ([^|]*)\|$", PAGE, re.MULTILINE)


def client(server: Server, **config: object) -> libpusher.Pusher:
    return libpusher.Pusher(**{**server.config, **config})


def test_the_table_has_rows() -> None:
    assert len(ROWS) == PAGE[PAGE.index("<!-- faults -->") : PAGE.index("<!-- end -->")].count("| `") - len(ROWS)
    assert len(ROWS) >= 15


@pytest.mark.parametrize(("fault", "status", "delivery", "published", "needs"), ROWS, ids=[row[0] for row in ROWS])
def test_a_fault_leads_to_what_the_table_says(
    pusher_servers: Callable[..., Server], fault: str, status: str, delivery: str, published: str, needs: str
) -> None:
    if "its own server" in needs:
        server = pusher_servers(fault, tls="TLS" in needs, times=0)
    else:
        server = pusher_servers()
        server.fail_next(fault)
    silent = "silence" in fault or fault == "black-hole"
    pusher = client(server, retry={"mode": "never"}, timeout_ms=500 if silent else 20_000)
    said = "OK", ""
    try:
        pusher.trigger("c", "e", {"a": 1})
    except errors.PusherError as error:
        said = error.status.name, error.delivery.name.lower().replace("_", " ") if error.delivery else "none"
    assert said == (status, delivery.strip())
    if published == "yes":
        server.assert_triggered("c", "e", {"a": 1}, times=1, timeout=10)
    else:
        server.assert_not_triggered()


def test_an_event_has_all_that_was_published(pusher_server: Server) -> None:
    pusher = client(pusher_server)
    pusher.trigger(["a", "b"], "e", {"k": [1, "ü"]}, "1.2")
    pusher.send_to_user("7", "f", "text")
    pusher.terminate_user_connections("7")
    first, second, third = pusher_server.events
    assert (first.channel, first.event, first.data, first.socket_id, first.user) == ("a", "e", {"k": [1, "ü"]}, "1.2", None)
    assert second.channel == "b"
    assert (third.channel, third.data, third.user) == ("#server-to-user-7", "text", "7")
    assert (pusher_server.terminated, pusher_server.refused, pusher_server.attempts) == (["7"], [], 3)
    assert pusher_server.assert_triggered("a", "e", {"k": [1, "ü"]}, socket_id="1.2", times=1) == first
    pusher_server.assert_triggered("#server-to-user-7", "f", "text")
    pusher_server.clear()
    assert (pusher_server.events, pusher_server.attempts) == ([], 0)
    pusher_server.assert_not_triggered()


def test_what_fails_says_what_was_published_and_refused(pusher_server: Server) -> None:
    pusher = client(pusher_server)
    pusher.trigger("a", "e", "x")
    pusher.trigger("a", "e", "y")
    for failing, says in (
        (lambda: pusher_server.assert_triggered("b", "e"), r"^e on b was not published. Published: e on a: x; e on a: y\.$"),
        (lambda: pusher_server.assert_triggered("a", "e", {"k": 1}), r"^e on a with \{'k': 1\} was not published"),
        (lambda: pusher_server.assert_triggered("a", "e", socket_id="1.2"), r"^e on a without 1.2 was not published"),
        (lambda: pusher_server.assert_triggered("a", "e", times=3), r"^e on a was 2 times, not 3 times, published"),
        (lambda: pusher_server.assert_triggered("a", "e", times=1), r"^e on a was 2 times, not 1 times, published"),
        (lambda: pusher_server.assert_not_triggered("a"), r"^e on a: x was published"),
        (lambda: pusher_server.wait_for(3, timeout=0.05), r"^2 of 3 events after 0.05 s"),
    ):
        with pytest.raises(AssertionError, match=says):
            failing()
    pusher_server.assert_not_triggered("b")
    pusher_server.assert_not_triggered("a", "f")
    pusher_server.clear()
    with pytest.raises(errors.Unauthorized):
        client(pusher_server, secret="another").trigger("a", "e", 1)
    with pytest.raises(AssertionError, match=r"Published: nothing\. A request was refused: the signature is wrong\.$"):
        pusher_server.assert_triggered("a", "e")


def test_one_can_wait_for_what_is_published_in_the_background(pusher_server: Server) -> None:
    # The first attempt of the event waits for the server.
    pusher_server.fail_next("late-answer", ms=200, times=0)
    with client(pusher_server).publisher(connections=1) as publisher:
        for number in range(3):
            publisher.publish("a", f"e{number}", number)
        pusher_server.assert_triggered("a", "e2", 2, timeout=30)
        assert len(pusher_server.wait_for(3, timeout=30)) == 3


def test_a_fault_strikes_as_often_as_it_was_asked_to(pusher_server: Server) -> None:
    pusher = client(pusher_server, retry={"mode": "never"})
    pusher_server.fail_next("status-403", warm=1, times=2)
    results = []
    for _ in range(4):
        try:
            pusher.trigger("a", "e", 1)
            results.append("OK")
        except errors.Forbidden:
            results.append("FORBIDDEN")
    assert results == ["OK", "FORBIDDEN", "FORBIDDEN", "OK"]
    pusher_server.fail_next("status-403", times=0)
    pusher_server.clear()
    pusher.trigger("a", "e", 1)


def test_a_wrong_order_is_refused(pusher_server: Server) -> None:
    for fault, says in (("nonsense", "there is no fault"), ("refused", "needs a listener of its own"), ("proxy-502", "a proxy")):
        with pytest.raises(ValueError, match=says):
            pusher_server.fail_next(fault)


def test_without_pytest() -> None:
    with testing.serve(tls=True) as server:
        client(server).trigger("a", "e", 1)
        server.assert_triggered("a", "e", 1)
    with Program() as program, program.open("status-500") as server:
        assert "status-500" in [fault["name"] for fault in program.faults()]
        with pytest.raises(errors.ServerError):
            libpusher.Pusher.from_url(server.url).trigger("a", "e", 1)


def test_the_program_is_that_of_the_wheel_or_a_named_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = Path(libpusher.__file__).parent / "lib/pusher-testserver"
    assert os.access(bundled, os.X_OK)
    monkeypatch.setenv("PUSHER_TESTSERVER", "/nonexistent/pusher-testserver")
    with pytest.raises(FileNotFoundError, match="/nonexistent/pusher-testserver"):
        Program()


def test_the_program_ends_with_a_process_that_is_killed() -> None:
    code = "import libpusher.testing as t, time; p = t.Program(); print(p._process.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{number}") and "Z" not in Path(f"/proc/{number}/stat").read_text().split(")")[1][:3]:
        assert time.monotonic() < deadline, "the program still runs"
        time.sleep(0.01)


def test_other_test_runs_do_not_load_the_library(tmp_path: Path) -> None:
    # pytest loads the fixtures of every installed package.
    (tmp_path / "test_nothing.py").write_text("import sys\ndef test_nothing():\n    assert 'libpusher' not in sys.modules\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
