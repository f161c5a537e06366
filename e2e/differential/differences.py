"""The list of intended differences from the official libraries.

A disagreement that no difference explains fails the test. A string that libpusher accepts although a difference says that
libpusher is stricter fails the test too. docs/differences.md shows this list, and a test compares the two. Each difference has a
function that decides, from the case alone where it can, whether it explains a disagreement.
"""

import json
import re
import sys

import texts
from texts import has_lone_surrogate, look_at

DIFFERENCES = {}
BOTH = ("node", "python")
LIMIT = 10240


class Difference:
    def __init__(self, name, peers, directions, kinds, peer_does, we_do, why, explains):
        self.name, self.peers, self.directions, self.kinds = name, peers, directions, kinds
        self.peer_does, self.we_do, self.why, self.explains = peer_does, we_do, why, explains

    def accounts_for(self, disagreement):
        return (
            disagreement.peer in self.peers
            and disagreement.direction in self.directions
            and disagreement.case["kind"] in self.kinds
            and bool(self.explains(disagreement))
        )


def difference(name, peers, directions, kinds, peer_does, we_do, why):
    """`directions`: libpusher is "stricter", "looser", or its answer "differs"."""

    def register(explains):
        DIFFERENCES[name] = Difference(
            name, peers, directions.split(), kinds.replace("call", "call encrypt").split(), peer_does, we_do, why, explains
        )
        return explains

    return register


def explanations(disagreement):
    return [name for name, one in DIFFERENCES.items() if one.accounts_for(disagreement)]


# --- The parts of cases. ---


def given(disagreement):
    """Returns the JSON that was authorized or signed."""
    text = disagreement.text if disagreement.text is not None else disagreement.case["data"]
    return look_at("" if text is None else text)


def body_of(disagreement):
    """Returns the body of a webhook."""
    return look_at(disagreement.case["asked"]["body"])


def argument(case, index):
    return case["arguments"][index] if index < len(case["arguments"]) else None


def options(case):
    text = argument(case, 3) if case["call"] == "trigger" else None
    return look_at("{}" if text is None else text)


def events(case):
    """Returns the events of a batch as pairs of members; skips elements that are not objects."""
    if case["call"] != "trigger_batch":
        return []
    value = look_at(argument(case, 0)).value
    return [one for one in value if isinstance(one, texts.Pairs)] if isinstance(value, list) else []


def socket_ids(case):
    if case["kind"] in ("authorize", "authenticate_user"):
        return [case["socket_id"]]
    found = [options(case).get("socket_id")] + [dict(event).get("socket_id") for event in events(case)]
    return [one for one in found if one is not None]


def channels(case):
    if case["call"] == "trigger":
        return [case["arguments"][0]] if isinstance(case["arguments"][0], str) else case["arguments"][0]
    if case["call"] in ("channel_info", "users_info"):
        return [argument(case, 0)]
    return [dict(event).get("channel") for event in events(case)]


def event_names(case):
    if case["call"] in ("trigger", "send_to_user"):
        return [argument(case, 1)]
    return [dict(event).get("name") for event in events(case)]


def parameters(case):
    text = argument(case, 1) if case["call"] in ("get", "post") else None
    return look_at("{}" if text is None else text)


def is_name(text):
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_\-=@,.;]{1,200}", text) is not None


def is_socket_id(text):
    return isinstance(text, str) and re.fullmatch(r"[0-9]+\.[0-9]+", text) is not None


def is_list_of_attributes(text):
    return isinstance(text, str) and re.fullmatch(r"[a-z0-9_]+(,[a-z0-9_]+)*", text) is not None


def is_encrypted(channel):
    return isinstance(channel, str) and channel.startswith("private-encrypted-")


def normal(text):
    """Returns the parsed value in a form that all serializers preserve: numbers as doubles, infinite ones as null."""

    def number(text):
        value = float(text)
        return None if value in (float("inf"), float("-inf")) else value

    return json.loads(text, parse_int=number, parse_float=number, parse_constant=lambda _: None)


def same_json(one, other):
    try:
        return normal(one) == normal(other)
    except (ValueError, TypeError):
        return False


# --- Names, ids and strings. ---


@difference(
    "unicode-digits", ("python",), "stricter", "authorize authenticate_user call",
    "accepts digits of every script in a socket id",
    "ASCII digits only",
    "The string is signed, so it must be one that a server can issue.",
)  # fmt: skip
def _(d):
    return any(isinstance(i, str) and re.fullmatch(r"\d+\.\d+", i) and not is_socket_id(i) for i in socket_ids(d.case))


@difference(
    "lone-surrogates", BOTH, "stricter", "authorize authenticate_user webhook call",
    'accept half a surrogate pair (`"\\ud800"`) in strings that they check or send',
    "an error",
    "It is not a Unicode string, and cannot be UTF-8. In JSON that is passed through, it stays "
    "as it is.",
)  # fmt: skip
def _(d):
    case = d.case
    if case["kind"] == "webhook":
        return any(map(has_lone_surrogate, body_of(d).keys))
    if "data" in case and "call" not in case:
        look, user = given(d), case["kind"] == "authenticate_user"
        # The data of a private channel is not parsed.
        looked_at = [*look.keys, look.get("id" if user else "user_id")]
        looked_at = looked_at if user or case["channel"].startswith("presence-") else []
    else:
        looked_at = [look_at(text).value for text in case["data"] or []]
        for members in [*events(case), options(case).value, parameters(case).value]:
            if isinstance(members, texts.Pairs):
                looked_at += [text for pair in members for text in pair]
    return any(isinstance(text, str) and has_lone_surrogate(text) for text in looked_at)


@difference(
    "encrypted-surrogates", ("python",), "looser", "call",
    "cannot encrypt data that contains `\\ud800` in a string",
    "the escape is ASCII, and is encrypted as given",
    "JSON is passed through unchanged.",
)  # fmt: skip
def _(d):
    pairs = [(dict(event).get("channel"), dict(event).get("data")) for event in events(d.case)]
    if d.case["call"] == "trigger":
        pairs = [(channel, look_at(d.case["data"][0]).value) for channel in channels(d.case)]
    return any(is_encrypted(channel) and has_lone_surrogate(json.dumps(value, ensure_ascii=False)) for channel, value in pairs)


@difference(
    "repeated-keys", BOTH, "stricter", "authorize authenticate_user webhook call",
    "take the last of repeated keys",
    "an error, at the top level of JSON that is checked: `channel_data` of presence channels, "
    "`user_data`, events, options, parameters, a webhook",
    "Parsers differ in which one they take, so one value could be checked and another used.",
)  # fmt: skip
def _(d):
    case = d.case
    if case["kind"] == "webhook":
        return body_of(d).repeats_a_key
    if "call" not in case:
        return (case["kind"] == "authenticate_user" or case["channel"].startswith("presence-")) and given(d).repeats_a_key
    members = [*events(case), options(case).value, parameters(case).value]
    return any(isinstance(one, texts.Pairs) and len({key for key, _ in one}) < len(one) for one in members)


@difference(
    "not-a-number", ("python",), "stricter", "authorize authenticate_user webhook call",
    "reads and writes `NaN` and `Infinity`",
    "an error",
    "They are not JSON, and browsers cannot read them.",
)  # fmt: skip
def _(d):
    case = d.case
    if case["kind"] == "webhook":
        return body_of(d).has_constants
    if "call" not in case:
        return given(d).has_constants
    # The arguments that are JSON.
    places = {"trigger": (2, 3), "send_to_user": (2,), "trigger_batch": (0,), "get": (1,), "post": (1, 2)}
    documents = [argument(case, place) for place in places.get(case["call"], ())]
    return any(text is not None and look_at(text).has_constants for text in documents)


@difference(
    "depth", BOTH, "looser", "authorize authenticate_user",
    "fail on deeply nested JSON",
    "accepts any depth",
    "The scan needs no stack.",
)  # fmt: skip
def _(d):
    return "[" * 10_000 in (d.case["data"] or "")


@difference(
    "json-as-given", BOTH, "differs", "authorize authenticate_user call",
    "parse JSON and write it again: with other white space, escapes, order of keys and, for "
    "large or long numbers, other numbers",
    "signed, sent and returned byte for byte as given (except white space around `data`)",
    "The bytes that the caller made are signed. Given the string that the other library writes,"
    " the results are equal.",
)  # fmt: skip
def _(d):
    if d.aspect not in ("channel_data", "user_data", "payload"):
        return False
    if d.aspect == "payload" and isinstance(look_at(d.text).value, str):
        return False
    # Another check, which no difference explains, compares libpusher's string with the given one.
    return isinstance(d.ours, str) and isinstance(d.theirs, str) and same_json(d.ours, d.theirs)


# --- Authorization. ---


@difference(
    "public-channel", BOTH, "stricter", "authorize",
    "sign for a channel that is neither private nor presence",
    "an error",
    "There is nothing to authorize: it usually is a mistake in a name (`Private-…`).",
)  # fmt: skip
def _(d):
    return not d.case["channel"].startswith(("private-", "presence-"))


@difference(
    "presence-data", BOTH, "stricter", "authorize",
    "sign for a presence channel without checking `channel_data`, or without any",
    "requires an object with `user_id`, a non-empty string or an integer, and optionally "
    "`user_info`, an object or `null`",
    "The server refuses such a subscription later, where the cause is hard to see.",
)  # fmt: skip
def _(d):
    if not d.case["channel"].startswith("presence-"):
        return False
    look = given(d)
    if not look.is_object:
        return True
    user_id = look.get("user_id")
    fits = user_id != "" if isinstance(user_id, str) else isinstance(user_id, int) and not isinstance(user_id, bool)
    return not fits or not isinstance(look.get("user_info"), (texts.Pairs, type(None)))


@difference(
    "falsy-channel-data", BOTH, "differs", "authorize",
    'leave out `channel_data` whose value counts as false: `0`, `""`, `false`, `null`, and in '
    "Python `{}` and `[]`",
    "signed and returned as given; NULL leaves it out",
    "The value that the caller gave is signed.",
)  # fmt: skip
def _(d):
    if d.aspect != "channel_data" or d.theirs is not None or d.ours is None:
        return False
    value = look_at(d.ours).value
    return not value and not (d.peer == "node" and isinstance(value, list))


@difference(
    "user-data-id", ("node",), "stricter", "authenticate_user",
    "accepts any non-empty string as the `id` of `user_data`",
    "1 to 200 of the characters of channel names",
    "As in the Python library. Events can be sent only to users with such an id.",
)  # fmt: skip
def _(d):
    user_id = given(d).get("id")
    return isinstance(user_id, str) and user_id != "" and not is_name(user_id)


# --- Webhooks. ---


@difference(
    "webhook-window", ("python",), "stricter looser", "webhook",
    "accepts `time_ms` from 5 minutes ago to 5 minutes ahead",
    "from 10 minutes ago (`webhook_max_age_ms`) to 1 minute ahead",
    "Pusher retries for 5 minutes, and a webhook that took longer is still true. Clocks are not"
    " minutes ahead.",
)  # fmt: skip
def _(d):
    age = d.case["age_ms"] / 1000
    return 300 < age < 600 if d.direction == "looser" else -300 < age < -60


@difference(
    "webhook-no-window", ("node",), "stricter", "webhook",
    "never checks `time_ms`",
    "requires an integer within the window",
    "Otherwise a captured webhook could be replayed forever.",
)  # fmt: skip
def _(d):
    time = body_of(d).get("time_ms")
    return type(time) is not int or not -60 < d.case["age_ms"] / 1000 < 600 or not 10**12 < time < 10**13


@difference(
    "webhook-time-form", ("python",), "stricter", "webhook",
    "accepts a `time_ms` with a fraction or an exponent",
    "an integer",
    "Servers write integers.",
)  # fmt: skip
def _(d):
    return isinstance(body_of(d).get("time_ms"), float)


@difference(
    "webhook-object", ("node",), "stricter", "webhook",
    "accepts any JSON, such as `[]`",
    "an object",
    "A webhook is an object.",
)  # fmt: skip
def _(d):
    look = body_of(d)
    return look.valid and not look.is_object


@difference(
    "webhook-upper-case", BOTH, "looser", "webhook",
    "refuse a signature in upper-case hex",
    "hex in either case",
    "It is the same signature: its 32 bytes are compared.",
)  # fmt: skip
def _(d):
    return d.case["signed"] == "upper case"


@difference(
    "webhook-tokens", ("python",), "looser", "webhook",
    "knows one key only",
    "also the keys in `webhook_tokens`",
    "This allows key rotation. The Node.js library does the same.",
)  # fmt: skip
def _(d):
    return d.case["key"] == "rotated"


@difference(
    "webhook-content-type", ("node",), "looser", "webhook",
    "requires exactly `Content-Type: application/json`",
    "is not given the header",
    "The body is signed and has to be JSON; the header is not signed.",
)  # fmt: skip
def _(d):
    return d.case["content_type"] != "application/json"


# --- Requests. ---


@difference(
    "md5-of-nothing", ("python",), "differs", "call",
    "signs a `body_md5` of the empty body on a GET",
    "none on a GET",
    "As in the documentation; one self-hosted server responds to the other with 401.",
)  # fmt: skip
def _(d):
    asks = d.case["call"] in ("get", "channels_info", "channel_info", "users_info")
    return asks and d.aspect == "query" and "body_md5" not in d.ours


@difference(
    "query-encoding", BOTH, "differs", "call",
    "write query values into the URL as they are signed, without encoding",
    "percent-encoded in the URL, and unencoded where they are signed",
    "A `&`, `#` or `%` in a value would change the query.",
)  # fmt: skip
def _(d):
    from compare import joined, pairs_of

    return d.aspect == "query in the URL" and joined(pairs_of(d.ours)) == d.theirs


@difference(
    "channels-of-users", ("python",), "stricter", "call",
    "accepts `#server-to-user-…` as a channel in every call",
    "only `pusher_send_to_user` uses such a channel",
    "Only a user id that was checked becomes part of such a name, also where a server takes `#` in names (`channel_characters`).",
)  # fmt: skip
def _(d):
    return any(isinstance(name, str) and name.startswith("#server-to-user-") for name in channels(d.case))


@difference(
    "long-user-id", ("python",), "looser", "call",
    "counts `#server-to-user-` as part of the 200 characters when it sends to a user",
    "the user id alone may have 200",
    "Servers accept it, and so does the Python library when it terminates connections.",
)  # fmt: skip
def _(d):
    return d.case["call"] == "send_to_user" and 184 < len(d.case["arguments"][0]) <= 200 and is_name(d.case["arguments"][0])


@difference(
    "steps-in-paths", BOTH, "stricter", "call authenticate_user",
    "put a channel or a user id that is `.` or `..` into a path, and sign such a user in",
    "an error",
    "HTTP clients resolve it to another path than the one that was signed.",
)  # fmt: skip
def _(d):
    if d.case["kind"] == "authenticate_user":
        return given(d).get("id") in (".", "..")
    in_path = d.case["call"] not in ("trigger", "trigger_batch", "channels_info")
    return in_path and re.search(r"(^|/)\.\.?(/|$)", d.case["arguments"][0])


@difference(
    "terminate-path", ("python",), "differs", "call",
    "posts to `/users/{id}/terminate_connections`",
    "to `/apps/{app_id}/users/{id}/terminate_connections`",
    "As in the documentation and the Node.js library.",
)  # fmt: skip
def _(d):
    return d.aspect == "path" and d.case["call"] == "terminate_user_connections" and d.ours.endswith(d.theirs)


@difference(
    "unchecked-paths", ("node",), "stricter", "call",
    "puts user ids into names and paths, and paths into requests, without checking them",
    "user ids consist of the characters of channel names, at most 200, and the parts of a path of "
    "these and `:`",
    "A `/`, `?` or `#` leads to another path than the intended one.",
)  # fmt: skip
def _(d):
    call, text = d.case["call"], d.case["arguments"][0]
    if call in ("get", "post"):
        return not re.fullmatch(r"(/[A-Za-z0-9_\-=@,.;:]+)+", text)
    return call in ("send_to_user", "terminate_user_connections", "channel_info", "users_info") and not is_name(text)


@difference(
    "prefixes", BOTH, "stricter", "call",
    "accept any string as `filter_by_prefix`",
    "the beginning of a channel's name, or an empty string",
    "No channel's name can begin with anything else.",
)  # fmt: skip
def _(d):
    prefix = argument(d.case, 0)
    return d.case["call"] == "channels_info" and bool(prefix) and not is_name(prefix)


@difference(
    "empty-prefix", BOTH, "differs", "call",
    "send an empty `filter_by_prefix`",
    "send none",
    "It is the prefix of every channel.",
)  # fmt: skip
def _(d):
    return d.case["call"] == "channels_info" and argument(d.case, 0) == ""


@difference(
    "attributes", BOTH, "stricter", "call",
    "accept any string as `info`",
    "names of `a-z 0-9 _`, separated by commas",
    "Anything else is a mistake, and with `&` or `=` it would be another query.",
)  # fmt: skip
def _(d):
    call = d.case["call"]
    asked = [argument(d.case, 1)] if call in ("channels_info", "channel_info") else []
    asked += [options(d.case).get("info")] if "info" in options(d.case).keys else []
    asked += [dict(event)["info"] for event in events(d.case) if "info" in dict(event)]
    return any(one is not None and not is_list_of_attributes(one) for one in asked)


@difference(
    "info-on-trigger", ("python",), "looser", "call",
    "has no `info` for a trigger",
    "an option",
    "As in the API and the Node.js library.",
)  # fmt: skip
def _(d):
    return "info" in options(d.case).keys


@difference(
    "unknown-members", BOTH, "stricter", "call",
    "pass on unknown members of a batch's events; Node.js also passes on unknown options of a "
    "trigger",
    "an error that names the member; members in `extra` are passed on",
    "It usually is a mistake in a name.",
)  # fmt: skip
def _(d):
    known = {"channel", "name", "data", "socket_id", "info"}
    if any(set(dict(event)) - known for event in events(d.case)):
        return True
    return d.peer == "node" and bool(set(options(d.case).keys) - {"socket_id", "info"})


@difference(
    "list-of-channels", BOTH, "looser", "call",
    "refuse a channel name that looks like a JSON array; they have a list type for several "
    "channels",
    "a string that begins with `[` is a JSON array of names",
    "C has no such type, and no name begins with `[`. If a channel's name comes from outside, "
    "check it first.",
)  # fmt: skip
def _(d):
    name = d.case["arguments"][0]
    if d.case["call"] != "trigger" or not isinstance(name, str) or not name.lstrip(" \t\r\n").startswith("["):
        return False
    value = look_at(name).value
    return isinstance(value, list) and 1 <= len(value) <= 100 and all(map(is_name, value))


@difference(
    "no-channels", ("node",), "stricter", "call",
    "triggers on an empty list of channels",
    "1 to 100 channels",
    "Nothing would be sent.",
)  # fmt: skip
def _(d):
    return d.case["call"] == "trigger" and d.case["arguments"][0] == []


@difference(
    "empty-event-name", BOTH, "stricter", "call",
    "accept an empty event name",
    "1 to 200 characters",
    "No client can bind to it.",
)  # fmt: skip
def _(d):
    return "" in event_names(d.case)


@difference(
    "event-name-units", ("node",), "looser", "call",
    "counts UTF-16 units in the 200 of an event name",
    "characters",
    "As in the documentation and the Python library.",
)  # fmt: skip
def _(d):
    names = [name for name in event_names(d.case) if isinstance(name, str)]
    return any(len(name) <= 200 < len(name.encode("utf-16-le", "surrogatepass")) // 2 for name in names)


@difference(
    "data-size", BOTH, "stricter looser", "call",
    "Python counts the bytes that its object takes in memory, before encryption (at most "
    "30,720, or 10,240 in a batch); Node.js counts nothing",
    "at most 10,240 bytes (`max_data_bytes`) as they are sent, after encryption",
    "The server counts these bytes.",
)  # fmt: skip
def _(d):
    case = d.case
    in_batch = case["call"] == "trigger_batch"
    names = [None] if case["call"] == "send_to_user" else channels(case)
    for channel, text in zip(names, case["data"] or [], strict=False):
        look = look_at(text)
        content = look.value if isinstance(look.value, str) else text.strip(" \t\r\n")
        size = len(content.encode("utf-8", "surrogatepass"))
        if is_encrypted(channel):
            # The Base64 of the data and a tag of 16 bytes, in an object with a nonce.
            size = len('{"nonce":"","ciphertext":""}') + 32 + -(-(size + 16) // 3) * 4
        if d.direction == "stricter" and size > LIMIT:
            return d.ours.status != "INVALID_ARGUMENT"
        if d.direction == "looser" and look.valid:
            in_python = look.value if isinstance(look.value, str) else json.dumps(json.loads(text), ensure_ascii=False)
            if d.peer == "python" and sys.getsizeof(in_python) > (LIMIT if in_batch else 30720) and size <= LIMIT:
                return True
    return False


@difference(
    "excluded-socket-id", BOTH, "stricter", "call",
    "do not check an excluded `socket_id` that counts as false",
    "a socket id, or left out",
    "It usually is a variable that was never set: the sender would get its own event.",
)  # fmt: skip
def _(d):
    look = options(d.case)
    return "socket_id" in look.keys and look.get("socket_id") is not None and not look.get("socket_id")


@difference(
    "null-members", BOTH, "differs looser", "call",
    "send options, members of a batch's events and parameters that are null, as null, or refuse them",
    "not given, except for `data`",
    "Null is what languages write for a variable that was never set.",
)  # fmt: skip
def _(d):
    objects = [dict(event) for event in events(d.case)]
    objects += [dict(look.value) for look in (options(d.case), parameters(d.case)) if look.is_object]
    return any(value is None for members in objects for name, value in members.items() if name != "data")


@difference(
    "unchecked-batch", BOTH, "stricter", "call",
    "check little of a batch: Python neither its length nor socket ids, Node.js nothing",
    "checks everything that it checks for a trigger; 1 to 10 events",
    "The server stops at the bad event, after it has delivered the events before it.",
)  # fmt: skip
def _(d):
    if d.case["call"] != "trigger_batch":
        return False
    found = [dict(event) for event in events(d.case)]
    if not 1 <= len(found) <= 10 or any(
        event.get("socket_id") is not None and not is_socket_id(event["socket_id"]) for event in found
    ):
        return True
    if d.peer == "python":
        return False
    no_key = d.ours.status == "ENCRYPTION"
    return not no_key and any(
        not is_name(event.get("channel")) or not isinstance(event.get("name"), str) or len(event["name"]) > 200 for event in found
    )


@difference(
    "encrypted-strings", ("node",), "differs", "call",
    "encrypts a string with its quotation marks, as JSON",
    "encrypts its content, as it is sent on other channels",
    "As in the Python library. Subscribers that parse the decrypted payload get the same, "
    "unless the content is JSON itself.",
)  # fmt: skip
def _(d):
    if d.aspect not in ("payload", "data") or not isinstance(look_at(d.text).value, str):
        return False
    return any(map(is_encrypted, channels(d.case))) and isinstance(d.theirs, str) and look_at(d.theirs).value == d.ours


@difference(
    "empty-posts", ("node",), "differs", "call",
    "posts no body, and signs none, if there is none or its value counts as false",
    "`{}` for NULL, anything else as given",
    "The documentation has a `body_md5` on every POST.",
)  # fmt: skip
def _(d):
    if d.aspect != "body" or d.case["call"] != "post" or d.theirs is not None:
        return False
    body = argument(d.case, 2)
    value = None if body is None else look_at(body).value
    return not value and not isinstance(value, list)


@difference(
    "parameters", ("node",), "stricter", "call",
    "accepts any parameters except five names, and converts their values to strings as "
    "JavaScript does",
    "names of `a-z 0-9 _` that do not begin with `auth_` or `body_md5`; strings without control"
    " characters, integers, booleans",
    "The signature covers lower-case names in order. A list or a fraction has no single form as"
    " a string.",
)  # fmt: skip
def _(d):
    look = parameters(d.case)
    if not look.is_object:
        return look.valid and d.case["call"] in ("get", "post")
    for name, value in look.value:
        if not re.fullmatch(r"[a-z0-9_]+", name) or name.startswith(("auth_", "body_md5")):
            return True
        if not isinstance(value, (str, int, bool, type(None))):
            return True
        if isinstance(value, str) and re.search(r"[\x00-\x1f\x7f-\x9f]", value):
            return True
    return False


@difference(
    "parameter-numbers", ("node",), "differs", "call",
    "writes an integer beyond 2^53 in a parameter as the nearest that it can represent, and "
    "`-0` as `0`",
    "as given",
    "The value that the caller gave is signed.",
)  # fmt: skip
def _(d):
    if d.aspect != "params" or d.ours.keys() != d.theirs.keys():
        return False
    pairs = [(d.ours[name], d.theirs[name]) for name in d.ours if d.ours[name] != d.theirs[name]]
    return all(re.fullmatch(r"-?[0-9]+", ours) and float(ours) == float(theirs) for ours, theirs in pairs)
