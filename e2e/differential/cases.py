"""Random cases. Each depends only on the seed, its kind and its number, so that a single case can be repeated."""

import base64
import json
import random

import texts
from texts import Writer, chance

PREFIXES = [
    *["private-"] * 4, *["presence-"] * 4, *["private-encrypted-"] * 3, "private-cache-", "presence-cache-",
    "private-encrypted-cache-", "private-encrypted", "", "cache-", "Private-",
]  # fmt: skip
PLAIN_PREFIXES = ["", "", "private-", "presence-", "cache-", "private-encrypted"]
ENCRYPTED_PREFIXES = ["private-encrypted-", "private-encrypted-cache-"]

# A placeholder in webhooks, replaced by the time when the case runs.
TIME = "@time@"


def generator(seed, *what):
    return random.Random(":".join(map(str, (seed, *what))))


def applications(seed):
    """Credentials: secrets of all lengths (HMAC hashes those longer than a block) and scripts, master keys of all bytes."""
    rng = generator(seed, "applications")
    made = []
    for index in range(6):
        secret = ["s", texts.name(rng, 64, 64), texts.name(rng, 65, 300), "sécret λ 漢 \U0001f600"]
        master_key = [bytes(32), b"\xff" * 32, rng.randbytes(32), rng.randbytes(32)]
        made.append({
            "app_id": str(rng.randrange(1, 10**9)),
            "key": "".join(rng.choices("0123456789abcdefABCXYZ_-", k=rng.randint(1, 30))) + str(index),
            "secret": secret[index] if index < 4 else texts.name(rng, 20, 20),
            "master_key": base64.b64encode(master_key[index]).decode() if index < 4 else None,
            "tokens": [{"key": f"rotated-{index}-{i}", "secret": texts.name(rng, 20, 20)} for i in range(2)],
        })  # fmt: skip
    return made


def deep(rng):
    depth = rng.choice([100, 400, 100_000])
    return "[" * depth + "]" * depth


def presence_data(rng):
    writer = Writer(rng)
    members = []
    if not chance(rng, 12):
        user_id = writer.string(texts.user_id(rng)) if not chance(rng, 4) else writer.value(2)
        if chance(rng, 4):
            user_id = rng.choice([str(rng.randrange(10**6)), str(-rng.randrange(10**6)), writer.number()])
        members.append(("user_id", user_id))
    if chance(rng, 2):
        members.append(("user_info", writer.value(2) if chance(rng, 6) else writer.object(writer.members())))
    members += [pair for pair in writer.members() if pair[0] not in ("user_id", "user_info")]
    if chance(rng, 30):
        members.append(("user_id", '"again"'))
    rng.shuffle(members)
    return writer.around(writer.object(members))


def authorize(rng):
    channel = texts.channel(rng, PREFIXES)
    data = None
    if channel.startswith("presence-"):
        if not chance(rng, 15):
            data = presence_data(rng)
    elif chance(rng, 3):
        data = presence_data(rng)
    if chance(rng, 6):
        writer = Writer(rng)
        data = writer.around(writer.value())
    if chance(rng, 30):
        data = texts.broken(rng, data or presence_data(rng))
    if chance(rng, 250):
        data = '{"user_id":"1","user_info":{"deep":' + deep(rng) + "}}"
    return {"channel": channel, "socket_id": texts.socket_id(rng), "data": data}


def authenticate_user(rng):
    writer = Writer(rng)
    members = []
    if not chance(rng, 12):
        members.append(("id", writer.string(texts.user_id(rng)) if not chance(rng, 5) else writer.value(2)))
    if chance(rng, 2):
        members.append(("user_info", writer.value(2)))
    if chance(rng, 3):
        members.append(("watchlist", writer.array([writer.string(texts.name(rng)) for _ in range(rng.randrange(4))])))
    members += [pair for pair in writer.members() if pair[0] not in ("id", "user_info", "watchlist")]
    if chance(rng, 30):
        members.append(("id", '"again"'))
    rng.shuffle(members)
    data = writer.around(writer.object(members))
    if chance(rng, 20):
        data = writer.around(writer.value())
    if chance(rng, 30):
        data = texts.broken(rng, data)
    if chance(rng, 250):
        data = '{"id":"1","deep":' + deep(rng) + "}"
    return {"socket_id": texts.socket_id(rng), "data": data}


def webhook(rng):
    """Returns a webhook. TIME in its body is replaced by the time `age_ms` before the case runs."""
    writer = Writer(rng)
    # Twenty seconds away from each limit, because time passes while the libraries run.
    age = rng.choice([*[(0, 280)] * 12, (320, 580), (620, 660), (620, 10**6), (-40, 0), (-280, -80), (-(10**6), -320)])
    time = TIME
    if chance(rng, 10):
        suffix = rng.choice([".0", ".5", "e0", "0" * 12])
        time = rng.choice([TIME + suffix, TIME + suffix, f'"{TIME}"', "-" + TIME, "null", "0", "-0", "true", "[]"])

    def event():
        kind = rng.choice(["channel_occupied", "channel_vacated", "member_added", "member_removed", "client_event", "cache_miss",
                           "subscription_count", texts.content(rng)])  # fmt: skip
        members = [("name", writer.string(kind)), ("channel", writer.string(texts.channel(rng, ["", "private-", "presence-"])))]
        if kind == "client_event":
            members += [("event", writer.string("client-" + texts.content(rng))), ("data", writer.string(writer.value(2)))]
            members += [("socket_id", writer.string(texts.socket_id(rng)))]
        members += [pair for pair in writer.members(2) if pair[0] not in ("name", "channel", "event", "data", "socket_id")]
        return writer.object(members)

    members = [] if chance(rng, 30) else [("time_ms", time)]
    members.append(("events", writer.value(2) if chance(rng, 20) else writer.array([event() for _ in range(rng.randrange(4))])))
    if chance(rng, 20):
        members += [pair for pair in writer.members(2) if pair[0] not in ("time_ms", "events")]
    if chance(rng, 60):
        members.append(("time_ms", TIME))
    body = writer.around(writer.object(members))
    if chance(rng, 30):
        body = writer.around(writer.value())
    if chance(rng, 30):
        body = texts.broken(rng, body)
    key = "own" if not chance(rng, 6) else rng.choice(["rotated", "rotated", "unknown", "empty", "missing"])
    signed = "right" if not chance(rng, 6) else rng.choice(
        ["upper case", "other secret", "one digit", "cut", "too long", "no hex", "white space", "empty", "missing", "not ASCII"]
    )  # fmt: skip
    change = None if not chance(rng, 15) else rng.choice(["append", "byte", "white space"])
    return {
        "body": body,
        "age_ms": rng.randint(age[0] * 1000, age[1] * 1000),
        "key": key,
        "signed": signed,
        "change": change,
        "not_utf8": chance(rng, 60),
        "content_type": "application/json" + (rng.choice(["; charset=utf-8", "x"]) if chance(rng, 30) else ""),
        "at": rng.randrange(10**6),
    }


def event_name(rng):
    if not chance(rng, 8):
        return texts.content(rng).replace("\0", "") or "an-event"
    return rng.choice([
        lambda: "",
        lambda: "x" * rng.choice([199, 200, 201, 300]),
        lambda: "é" * rng.choice([199, 200, 201]),
        lambda: "\U0001f600" * rng.choice([99, 100, 101, 199, 200, 201]),
    ])()  # fmt: skip


def info(rng):
    return rng.choice(["user_count", "subscription_count", "user_count,subscription_count", "cache",
                       rng.choice(["", ",", "user_count,", "user count", "A", "a&b=c", "é"])])  # fmt: skip


def data(rng, encrypted=False):
    """Returns the data of an event, sometimes around the limit of 10,240 bytes."""
    if not chance(rng, 12):
        return texts.payload(rng)
    # In memory, where one library counts, a text of ASCII takes 49 bytes more, and others up to four bytes for each character.
    edges = [7619, 7620] if encrypted else [10191, 10192, 10240, 10241]
    size = rng.choice([*edges, 30671, 30672])
    character = rng.choice(["x", "x", "x", "é", "漢"])
    text = character * ((size - len(character.encode())) // len(character.encode()))
    text += "x" * (size - len(text.encode()))
    if chance(rng, 6):
        text = text[:-8] + "x" * (len(text[-8:].encode()) - 4) + "\U0001f600"
    return json.dumps(text, ensure_ascii=False) if chance(rng, 2) else json.dumps([text[:-4]], ensure_ascii=False)


def options(rng):
    if not chance(rng, 3):
        return None
    writer = Writer(rng)
    members = []
    if chance(rng, 2):
        usual, other = writer.string(texts.socket_id(rng)), rng.choice([writer.value(1), '""', "null", "0", "false"])
        members.append(("socket_id", other if chance(rng, 10) else usual))
    if chance(rng, 4):
        members.append(("info", writer.string(info(rng))))
    if chance(rng, 30):
        members.append((texts.name(rng), writer.value(1)))
    return writer.object(members)


def trigger(rng):
    if chance(rng, 3):
        return encrypted_trigger(rng)
    channels = texts.channel(rng, PLAIN_PREFIXES)
    if chance(rng, 3):
        count = rng.choice([1, 2, 3, 5]) if not chance(rng, 10) else rng.choice([0, 99, 100, 101])
        channels = [texts.channel(rng, PLAIN_PREFIXES, 100) for _ in range(count)]
        if chance(rng, 10):
            channels.append(texts.channel(rng, ENCRYPTED_PREFIXES))
    text = data(rng)
    return {"call": "trigger", "arguments": [channels, event_name(rng), text, options(rng)], "data": [text]}


def encrypted_trigger(rng):
    channels = texts.channel(rng, ENCRYPTED_PREFIXES)
    if chance(rng, 5):
        channels = [channels]
    text = data(rng, True)
    return {"call": "trigger", "arguments": [channels, event_name(rng), text, options(rng)], "data": [text]}


def trigger_batch(rng):
    writer = Writer(rng)
    count = rng.choice([1, 1, 2, 3]) if not chance(rng, 20) else rng.choice([0, 10, 11])
    payloads, events = [], []
    for _ in range(count):
        prefixes = ENCRYPTED_PREFIXES if chance(rng, 3) else PLAIN_PREFIXES
        payloads.append(data(rng, prefixes is ENCRYPTED_PREFIXES))
        members = [
            ("channel", writer.string(texts.channel(rng, prefixes, 12))),
            ("name", writer.string(event_name(rng))),
            ("data", payloads[-1]),
        ]
        if chance(rng, 6):
            members.append(("socket_id", writer.string(texts.socket_id(rng))))
        if chance(rng, 8):
            members.append(("info", writer.string(info(rng))))
        if chance(rng, 40):
            members.append((texts.name(rng), writer.value(1)))
        if chance(rng, 60):
            members.append(("name", '"again"'))
        if chance(rng, 60):
            members.pop(rng.randrange(2))
        rng.shuffle(members)
        events.append(writer.object(members))
    return {"call": "trigger_batch", "arguments": [writer.array(events)], "data": payloads}


def send_to_user(rng):
    text = data(rng)
    return {"call": "send_to_user", "arguments": [texts.user_id(rng), event_name(rng), text], "data": [text]}


def attributes(rng):
    return None if chance(rng, 2) else info(rng)


def get(rng):
    path = rng.choice(["/channels", "/channels/" + texts.name(rng), "/a/b/c"])
    if chance(rng, 5):
        path = rng.choice(["", "channels", "/", "//", "/..", "/a/../b", "/a//b", "/a/", spoiled_path(rng), spoiled_path(rng)])
    writer = Writer(rng)
    members = []
    for _ in range(rng.randrange(5)):
        key = rng.choice(["info", "filter_by_prefix", "a", "b", "z9", "a_b", "_", "authx"])
        if chance(rng, 12):
            reserved = ["auth_key", "auth_timestamp", "auth_signature", "auth_x", "body_md5", "body_md5x", "Auth_Key"]
            key = rng.choice([*reserved, "A", "", "ü", "a-b", "a=b", "a&b"])
        value = writer.string(texts.content(rng))
        if chance(rng, 2):
            value = writer.string(texts.name(rng))
        if chance(rng, 6):
            value = rng.choice(["1", "-7", "true", "false", "9007199254740993", "-0", writer.value(1)])
        members.append((key, value))
    if not chance(rng, 30):
        members = list(dict(members).items())
    params = writer.object(members) if not chance(rng, 6) else None
    if chance(rng, 60):
        params = rng.choice(["[]", "1", '"a"', "{", "NaN"])
    return {"call": "get", "arguments": [path, params], "data": None}


def spoiled_path(rng):
    return texts.spoiled(rng, "/channels/" + texts.name(rng))


def post(rng):
    case = get(rng)
    writer = Writer(rng)
    body = writer.around(writer.object(writer.members()))
    if chance(rng, 4):
        body = rng.choice([None, texts.payload(rng)])
    return {"call": "post", "arguments": [*case["arguments"], body], "data": None}


def terminate_user_connections(rng):
    return {"call": "terminate_user_connections", "arguments": [texts.user_id(rng)], "data": None}


def channels_info(rng):
    prefix = None if chance(rng, 3) else "" if chance(rng, 20) else texts.channel(rng, PREFIXES)
    return {"call": "channels_info", "arguments": [prefix, attributes(rng)], "data": None}


def channel_info(rng):
    return {"call": "channel_info", "arguments": [texts.channel(rng, PREFIXES), attributes(rng)], "data": None}


def users_info(rng):
    return {"call": "users_info", "arguments": [texts.channel(rng, ["presence-"] * 10 + PREFIXES)], "data": None}


def call(rng):
    make = rng.choice([
        trigger, trigger, trigger, trigger_batch, trigger_batch, send_to_user, get, post,
        terminate_user_connections,
        channels_info, channel_info, users_info,
    ])  # fmt: skip
    return make(rng)


def encrypt(rng):
    return encrypted_trigger(rng)


def decrypt(rng):
    """Returns an event for a webhook that a peer encrypts, sometimes corrupted."""
    writer = Writer(rng)
    # A string that is not Unicode cannot be encrypted.
    writer.surrogates = False
    harm = None
    if chance(rng, 3):
        harm = {"part": rng.choice(["nonce", "ciphertext"]), "cut": 0}
        if chance(rng, 3):
            harm["cut"] = rng.choice([1, 2, 3, 8, 16, 24, 40])
        else:
            harm["flip"], harm["bit"] = rng.randrange(10**6), 1 << rng.randrange(8)
    channel = rng.choice(ENCRYPTED_PREFIXES) + texts.name(rng)
    return {
        "channel": channel,
        "other_channel": channel + "x" if chance(rng, 12) else None,
        "data": writer.value(),
        "harm": harm,
        "as_object": chance(rng, 4),
    }


# The kinds of cases, with their shares of a run in percent.
KINDS = {
    "authorize": (authorize, 25),
    "authenticate_user": (authenticate_user, 15),
    "webhook": (webhook, 20),
    "call": (call, 25),
    "encrypt": (encrypt, 8),
    "decrypt": (decrypt, 7),
}


def make(seed, kind, number):
    rng = generator(seed, kind, number)
    case = {"kind": kind, "number": number}
    # The last two applications have no master key, so they cannot decrypt.
    case["application"] = rng.randrange(4 if kind == "decrypt" else 6)
    case.update(KINDS[kind][0](rng))
    return case


def all_of(seed, total):
    shares = sum(share for _, share in KINDS.values())
    for kind, (_, share) in KINDS.items():
        for number in range(-(-total * share // shares)):
            yield make(seed, kind, number)
