"""Runs a case with libpusher and a peer, and compares their results."""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import unquote, urlsplit

import cases
from python_peer import Refused

# The statuses of a refused call. Any other status, such as that of a caught panic, is a failure.
REFUSALS = {
    "authorize": {"INVALID_ARGUMENT", "ENCRYPTION"},
    "authenticate_user": {"INVALID_ARGUMENT"},
    "webhook": {"WEBHOOK_INVALID"},
    "call": {"INVALID_ARGUMENT", "ENCRYPTION", "PAYLOAD_TOO_LARGE"},
    "encrypt": {"INVALID_ARGUMENT", "ENCRYPTION", "PAYLOAD_TOO_LARGE"},
    "decrypt": set(),
}


class Disagreement:
    """libpusher is `stricter` (the peer accepts, libpusher refuses), `looser`, or the results of both `differs` in an aspect."""

    def __init__(self, case, peer, direction, aspect, ours, theirs, text=None):
        self.case, self.peer, self.direction, self.aspect = case, peer, direction, aspect
        self.ours, self.theirs = ours, theirs
        # The JSON that libpusher received, if it is not that of the case.
        self.text = text

    def __str__(self):
        return (
            f"{self.case['kind']}:{self.case['number']}, {self.peer}, {self.direction} ({self.aspect})\n"
            f"  case       {short(json.dumps(self.case))}\n"
            + (f"  given      {short(repr(self.text))}\n" if self.text is not None else "")
            + f"  libpusher  {short(repr(self.ours))}\n  {self.peer:<10} {short(repr(self.theirs))}"
        )


class Comparison:
    """One case and one peer."""

    def __init__(self, case, peer):
        self.case, self.peer = case, peer
        self.checks = 0
        self.disagreements = []
        # Recorded as if libpusher had been stricter: a difference that explains it is wrong.
        self.agreements = []

    def add(self, direction, aspect, ours, theirs, text=None):
        self.disagreements.append(Disagreement(self.case, self.peer, direction, aspect, ours, theirs, text))

    def equal(self, aspect, ours, theirs, text=None):
        self.checks += 1
        if ours != theirs:
            self.add("differs", aspect, ours, theirs, text)
        return ours == theirs

    def both_accept(self, ours, theirs, text=None, aspect="accepted"):
        """Returns whether both accept. `theirs` is {"value"} or {"refused"}."""
        self.checks += 1
        refused = "refused" in theirs
        if not ours.accepted and ours.status not in REFUSALS[self.case["kind"]]:
            self.add("differs", "status", ours, theirs, text)
        elif ours.accepted and refused:
            self.add("looser", aspect, ours, theirs, text)
        elif not ours.accepted and not refused:
            self.add("stricter", aspect, ours, theirs, text)
        elif ours.accepted:
            self.agreements.append(Disagreement(self.case, self.peer, "stricter", aspect, ours, theirs, text))
        return ours.accepted and not refused


def short(text, most=2000):
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def asked(function, *arguments):
    try:
        return {"value": function(*arguments)}
    except Refused as refused:
        return {"refused": str(refused)}


class Authorizations:
    """Authorization of channels and users: the signed string, its signature, and the rest of the result."""

    def __init__(self, case, client, python):
        self.case, self.client, self.python = case, client, python
        self.user = case["kind"] == "authenticate_user"
        self.member = "user_data" if self.user else "channel_data"
        self.answer = self.ask(case["data"])

    def ask(self, data):
        if self.user:
            return self.client.authenticate_user(self.case["socket_id"], data)
        return self.client.authorize(self.case["channel"], self.case["socket_id"], data)

    def ask_python(self):
        if self.user:
            return asked(self.python.authenticate_user, self.case["socket_id"], self.case["data"])
        return asked(self.python.authorize, self.case["channel"], self.case["socket_id"], self.case["data"])

    def compare(self, comparison, theirs):
        data, socket_id = self.case["data"], self.case["socket_id"]
        if comparison.both_accept(self.answer, theirs):
            ours = json.loads(self.answer.text)
            # The result contains the given string, and the signature of the peer's own function matches.
            comparison.equal("given back", ours.get(self.member), data)
            middle = "::user::" if self.user else f":{self.case['channel']}"
            rest = data if self.user else "" if data is None else f":{data}"
            comparison.equal("signature", ours["auth"], f"{self.python.key}:{self.python.sign(socket_id + middle + rest)}")
            comparison.equal("shared_secret", ours.get("shared_secret"), theirs["value"].get("shared_secret"))
            comparison.equal(self.member, ours.get(self.member), theirs["value"].get(self.member))
        if "refused" in theirs:
            return
        # For the peer's own serialization, both results are identical.
        text = theirs["value"].get(self.member)
        answer = self.ask(text)
        if comparison.both_accept(answer, theirs, text, "their text"):
            comparison.equal("their text", json.loads(answer.text), theirs["value"], text)


class Webhooks:
    def __init__(self, case, application, client, python):
        self.case, self.python = case, python
        case["tokens"] = application["tokens"]
        # As late as possible.
        now = int(time.time() * 1000) - case["age_ms"]
        body = case["body"].replace(cases.TIME, str(now)).encode()
        if case["not_utf8"]:
            body += b" \xff"
        token = {
            "own": application,
            "rotated": application["tokens"][case["at"] % 2],
            "unknown": {"key": application["key"] + "x", "secret": application["secret"]},
            "empty": {"key": "", "secret": application["secret"]},
            "missing": {"key": None, "secret": application["secret"]},
        }[case["key"]]
        secret = token["secret"] + ("x" if case["signed"] == "other secret" else "")
        self.key, self.signature = token["key"], self.sign(secret.encode(), body)
        if case["change"] == "append":
            body += b" "
        elif case["change"] == "white space":
            body = b" " + body
        elif case["change"] == "byte" and body:
            at = case["at"] % len(body)
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        self.body = body
        self.answer = client.validate_webhook(self.key, self.signature, body)
        self.theirs = asked(python.webhook, self.key, self.signature, body)
        # For reports of failures.
        case["asked"] = {"key": self.key, "signature": self.signature, "body": body.decode(errors="backslashreplace")}

    def sign(self, secret, body):
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        at = self.case["at"] % 64
        other = "0" if signature[at] != "0" else "1"
        return {
            "right": signature,
            "other secret": signature,
            "upper case": signature.upper(),
            "one digit": signature[:at] + other + signature[at + 1 :],
            "cut": signature[:at],
            "too long": signature + "0",
            "no hex": signature[:at] + "g" + signature[at + 1 :],
            "white space": signature + " ",
            "empty": "",
            "missing": None,
            "not ASCII": signature[:at] + "é" + signature[at + 1 :],
        }[self.case["signed"]]

    def ask_python(self):
        return self.theirs

    def for_node(self):
        return {
            "key": self.key,
            "signature": self.signature,
            "body": base64.b64encode(self.body).decode(),
            "payload": self.answer.text if self.answer.accepted else None,
        }

    def compare(self, comparison, theirs):
        if comparison.both_accept(self.answer, theirs):
            # Identical except for white space around it.
            comparison.equal("payload", self.answer.text, self.body.decode().strip(" \t\r\n"))
            if comparison.peer == "python":
                comparison.equal("parsed", json.loads(self.answer.text), theirs["value"])
            else:
                comparison.equal("parsed", True, theirs["value"])


def pairs_of(query):
    """Returns the parameters as signed: in order and decoded."""
    return [tuple(unquote(part) for part in pair.split("=", 1)) for pair in query.split("&")]


def joined(pairs):
    return "&".join(f"{name}={value}" for name, value in pairs)


class Calls:
    """Requests: their targets, their exact payloads, and their signatures at the time that libpusher used."""

    def __init__(self, case, application, client, python):
        self.case, self.python, self.application = case, python, application
        texts = list(case["arguments"])
        if case["call"] == "trigger" and isinstance(texts[0], list):
            texts[0] = json.dumps(texts[0], ensure_ascii=False)
        self.answer, self.request = client.prepare(case["call"], texts)
        self.values = [self.parsed(text) for text in case["data"] or []]
        if self.request is None:
            return
        url = urlsplit(self.request.url)
        self.path, self.query = url.path, url.query
        self.pairs = pairs_of(url.query)
        self.params = {name: value for name, value in self.pairs if not name.startswith("auth_") and name != "body_md5"}
        self.timestamp = int(dict(self.pairs)["auth_timestamp"])
        self.body = self.request.body if self.request.method == "POST" else None

    @staticmethod
    def parsed(text):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None

    def ask_python(self):
        return asked(self.python.request, self.case["call"], self.case["arguments"])

    def for_node(self):
        if self.request is None:
            return {"ours": None}
        return {
            "ours": {
                "method": self.request.method,
                "path": self.path,
                "params": self.params,
                "body": None if self.body is None else self.body.decode(),
                "timestamp": self.timestamp,
            }
        }

    def payloads(self, body):
        """Returns the exact data of the events, decrypted."""
        events = body.get("batch", [body])
        return [self.opened(event) for event in events]

    def opened(self, event):
        channel = event.get("channel") or event["channels"][0]
        return self.python.open(channel, event["data"]) if channel.startswith("private-encrypted-") else event["data"]

    def canonical(self, text):
        """Returns a body with decrypted events. Data that is not the content of a string is serialized as Python does."""
        body = json.loads(text)
        for event, value, payload in zip(body.get("batch", [body]), self.values, self.payloads(body), strict=True):
            event["data"] = payload if isinstance(value, str) or payload is None else json.dumps(json.loads(payload))
        return body

    def equal_events(self, comparison, ours, theirs, our_payloads, their_payloads):
        """Compares two bodies without their data, then the data of each event in canonical form and as sent."""

        def without_data(body):
            return {**body, "batch": [strip(e) for e in body["batch"]]} if "batch" in body else strip(body)

        def strip(event):
            return {key: value for key, value in event.items() if key != "data"}

        comparison.equal("body", without_data(ours), without_data(theirs))
        both = zip(ours.get("batch", [ours]), theirs.get("batch", [theirs]), self.case["data"], strict=True)
        for one, other, text in both:
            comparison.equal("data", one["data"], other["data"], text)
        for one, other, text in zip(our_payloads, their_payloads, self.case["data"], strict=True):
            comparison.equal("payload", one, other, text)

    def exact_payloads(self):
        """Returns the payloads to send: the content of a string, any other JSON as given."""
        return [
            value if isinstance(value, str) else text.strip(" \t\r\n")
            for value, text in zip(self.values, self.case["data"], strict=True)
        ]

    def compare(self, comparison, theirs):
        if comparison.peer == "python":
            self.compare_with_python(comparison, theirs)
        else:
            self.compare_with_node(comparison, theirs.get("value", theirs))

    def compare_with_python(self, comparison, theirs):
        made = theirs.get("value", "")
        if made is not None and comparison.both_accept(self.answer, theirs):
            params = {key: value for key, value in made.query_params.items() if not key.startswith("auth_") and key != "body_md5"}
            comparison.equal("method", self.request.method, made.method)
            comparison.equal("path", self.path, made.path)
            comparison.equal("params", self.params, params)
            if self.case["data"] is not None:
                bodies = self.body, made.body
                payloads = [self.payloads(json.loads(body)) for body in bodies]
                self.equal_events(comparison, *map(self.canonical, bodies), *payloads)
            elif self.body is not None:
                comparison.equal("body", json.loads(self.body), json.loads(made.body))
        if self.request is None:
            return
        if self.case["data"] is not None:
            comparison.equal("payloads as given", self.payloads(json.loads(self.body)), self.exact_payloads())
        comparison.equal("time", abs(self.timestamp - time.time()) < 5, True)
        signed = self.python.signed(self.request.method, self.path, self.params, self.body or b"", self.timestamp)
        # The Python library sorts auth_signature among the other parameters.
        comparison.equal("query", joined(sorted(self.pairs)), signed)
        without = {name: value for name, value in self.pairs if name != "auth_signature"}
        signature = self.python.signature(self.request.method, self.path, without)
        comparison.equal("signature", dict(self.pairs)["auth_signature"], signature)
        comparison.equal("query in the URL", self.query, joined(self.pairs))

    def compare_with_node(self, comparison, theirs):
        if comparison.both_accept(self.answer, theirs):
            made = theirs["request"]
            comparison.equal("method", self.request.method, made["method"])
            comparison.equal("path", self.path, made["path"])
            comparison.equal("params", self.params, dict(map(tuple, made["params"])))
            if self.case["data"] is not None:
                self.equal_events(comparison, theirs["ours"], made["body"], theirs["our_payloads"], theirs["payloads"])
            else:
                comparison.equal("body", theirs.get("ours"), made.get("body"))
        if self.request is None:
            return
        if self.case["data"] is not None:
            comparison.equal("payloads as given", theirs["our_payloads"], self.exact_payloads())
        comparison.equal("query", joined(self.pairs), theirs["signed"])
        comparison.equal("query in the URL", self.query, theirs["signed"])


class Sealed:
    """Messages that a peer encrypts and libpusher decrypts, in client events of webhooks."""

    def __init__(self, case, application, client, python):
        self.case, self.application, self.client, self.python = case, application, client, python

    def ask_python(self):
        case = self.case
        payload = self.python.seal(case["channel"], case["data"])
        if case["harm"] is not None:
            harm, parts = case["harm"], json.loads(payload)
            changed = bytearray(base64.b64decode(parts[harm["part"]]))
            if harm["cut"]:
                del changed[max(0, len(changed) - harm["cut"]) :]
            if "flip" in harm:
                changed[harm["flip"] % len(changed)] ^= harm["bit"]
            parts[harm["part"]] = base64.b64encode(changed).decode()
            payload = json.dumps(parts)
        return {"value": {"payload": payload, "opened": self.python.open(case["other_channel"] or case["channel"], payload)}}

    def compare(self, comparison, theirs):
        if "refused" in theirs:
            comparison.add("differs", "sealed", None, theirs)
            return
        payload, opened = theirs["value"]["payload"], theirs["value"]["opened"]
        event = {
            "name": "client_event",
            "channel": self.case["other_channel"] or self.case["channel"],
            "event": "client-x",
            "data": json.loads(payload) if self.case["as_object"] else payload,
        }
        body = json.dumps({"time_ms": int(time.time() * 1000), "events": [event]}).encode()
        answer = self.client.validate_webhook(self.python.key, self.python.sign(body.decode()), body)
        comparison.equal("accepted", answer.status, "OK")
        made = json.loads(answer.text)["events"][0]
        comparison.equal("decrypted", "decryption_error" not in made, opened is not None)
        comparison.equal("text", made["data"], event["data"] if opened is None else opened)
        if self.case["harm"] is None and self.case["other_channel"] is None:
            comparison.equal("opened", opened is not None, True)


def make(case, application, client, python):
    if case["kind"] in ("authorize", "authenticate_user"):
        return Authorizations(case, client, python)
    if case["kind"] == "webhook":
        return Webhooks(case, application, client, python)
    if case["kind"] == "decrypt":
        return Sealed(case, application, client, python)
    return Calls(case, application, client, python)
