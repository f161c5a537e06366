"""Runs tests/conformance.json and answers.json, the common behaviour of all bindings. Their `about` describes the members."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nacl.secret
import pytest
from conftest import Listener

from libpusher import Pusher, PusherError

TESTS = Path(__file__).resolve().parents[3] / "tests"


def long_string(value: dict[str, Any]) -> Any:
    """Expands `{"repeat":…,"times":…}` to the string; returns any other object unchanged."""
    return value["repeat"] * value["times"] if value.keys() == {"repeat", "times"} else value


FILE = json.loads((TESTS / "conformance.json").read_text(encoding="utf-8"), object_hook=long_string)
ANSWERS = json.loads((TESTS / "answers.json").read_text(encoding="utf-8"), object_hook=long_string)
HEADER = (TESTS / "../include/pusher.h").read_text(encoding="utf-8")
# JSON arguments: a NUL is an escape there. All other arguments must refuse it.
CONTENT = {"data", "body", "channel_data", "user_data"}
# A JSON array whose strings may contain a NUL.
CONTENT_OF = {("authenticate_channels", "channels")}
# The call of the package `pusher` returns None instead of raising an exception.
CALLS = {"validate_webhook": "validate_webhook_or_raise"}
# The names of C's parameters in the package `pusher`.
NAMES = {"event": "event_name", "events": "batch", "channel_data": "custom_data"}


@pytest.mark.parametrize("case", FILE["cases"] + ANSWERS["cases"], ids=lambda case: case["name"])
def test_conformance(case: dict[str, Any], listen: Callable[..., Listener]) -> None:
    if case["server"] is None:
        listener, config = None, {**FILE["credentials"], "host": "127.0.0.1", "port": 1, "ssl": False}
    else:
        listener = listen(**case["server"])
        config = listener.config
    config = {**config, **case.get("config", {})}
    expected = case.get("error")

    reports: list[dict[str, Any]] = []
    if expected is not None:
        with pytest.raises(PusherError) as raised:
            run(case["call"], case["arguments"], config, reports)
        document = {**raised.value.document, "status": raised.value.status.name}
        assert {member: document.get(member) for member in expected} == expected, document
        # The attribute has the document's value, with its own type.
        assert raised.value.delivery == document.get("delivery")
    else:
        result = run(case["call"], case["arguments"], config, reports)
        if "ok_keys" in case:
            assert sorted(result) == sorted(case["ok_keys"])
        else:
            assert result == case["ok"]
    if "reports" in case:
        reports.sort(key=lambda report: int(report["id"]))
        assert len(reports) == len(case["reports"]), reports
        for report, wanted in zip(reports, case["reports"], strict=True):
            assert {member: report.get(member) for member in wanted} == wanted
    if "published" in case:
        assert listener is not None
        published = listener.published()
        assert len(published) == len(case["published"]), published
        for event, wanted in zip(published, case["published"], strict=True):
            assert opened(event, wanted) == wanted


def run(call: str, arguments: dict[str, Any], config: dict[str, Any], reports: list[dict[str, Any]]) -> Any:
    if call == "new":
        with Pusher.from_url(arguments["config"]) if "config" in arguments else Pusher(**config):
            return None
    with Pusher(**config) as client:
        if call == "publish":
            return publish(client, arguments, reports)
        options = spread(arguments.get("options", {}))
        given = {NAMES.get(name, name): value for name, value in arguments.items() if name != "options"}
        return getattr(client, CALLS.get(call, call))(**given, **options)


def publish(client: Pusher, arguments: dict[str, Any], reports: list[dict[str, Any]]) -> int:
    with client.publisher(**{"reports": "all", **arguments.get("publisher", {})}) as publisher:
        for event in arguments["events"]:
            publisher.publish(event["channels"], event["event"], event["data"], **spread(event.get("options", {})))
        publisher.flush(10)
        while found := publisher.poll():
            reports += found
    return len(arguments["events"])


def spread(options: dict[str, Any]) -> dict[str, Any]:
    """Options are arguments in Python, and times are in seconds."""
    given = dict(options)
    if (ms := given.pop("timeout_ms", None)) is not None:
        given["timeout"] = ms / 1000
    return given


def opened(event: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Returns an event in the file's form, decrypted if it is encrypted."""
    if "encrypted" not in wanted:
        return event
    secret = wanted["encrypted"]["shared_secret"]
    event = dict(event)
    sealed = {name: base64.b64decode(value) for name, value in json.loads(event.pop("data")).items()}
    assert sorted(sealed) == ["ciphertext", "nonce"]
    data = nacl.secret.SecretBox(base64.b64decode(secret)).decrypt(sealed["ciphertext"], sealed["nonce"]).decode()
    return {**event, "encrypted": {"data": data, "shared_secret": secret}}


def test_each_string_argument_of_the_c_functions_has_a_case_with_a_nul() -> None:
    """Fails for a new function or argument until the file has a case."""
    found = {
        (case["call"], name)
        for case in FILE["cases"]
        for name in with_nul(case)
        if name in CONTENT or (case["call"], name) in CONTENT_OF or refused(case)
    }
    # tests/test_requests.py covers pusher_finish(), requests and responses, which are not in the file, and
    # tests/test_publisher.py drained documents. Python writes JSON itself.
    own_tests = {"pusher_prepare", "pusher_finish", "pusher_json_string", "pusher_publisher_restore"}
    text = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
    functions = re.findall(r"^PusherStatus (pusher_\w+)\(([^;]*)\);", text, re.MULTILINE)
    assert len(functions) >= 20
    for function, parameters in functions:
        call = function.removeprefix("pusher_").removeprefix("publisher_")
        if function in own_tests:
            continue
        for name in re.findall(r"const char \*(\w+)|const uint8_t \*(\w+)", parameters):
            name = name[0] or name[1]
            if function == "pusher_publisher_new":
                call, name = "publish", "publisher"
            # Calls whose only option is a time limit have no string in their options.
            if name == "options" and call not in ("trigger", "send_to_user", "publish"):
                continue
            assert (call, name) in found, f"{function}: {name}"


def refused(case: dict[str, Any]) -> bool:
    return "error" in case and case["error"].get("status") in ("INVALID_ARGUMENT", "INVALID_CONFIG") and not case.get("published")


def with_nul(case: dict[str, Any]) -> set[str]:
    """Returns the arguments of a case that contain a NUL."""
    if case["call"] == "new" and "\0" in str(case.get("config", "")).encode().decode("unicode_escape"):
        return {"config"}
    arguments = dict(case["arguments"])
    for event in arguments.pop("events", []) if case["call"] == "publish" else []:
        arguments.update(event)
    return {name for name, value in arguments.items() if "\\u0000" in json.dumps(value)}
