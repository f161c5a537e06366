"""Random strings: JSON in all its forms, names and ids. Also an independent JSON parser."""

import functools
import json
import string

CHANNEL_CHARACTERS = string.ascii_letters + string.digits + "_-=@,.;"

# Pieces of malicious input: separators of signed strings, line ends, digits and letters of other scripts, and the special
# characters of paths and queries.
ODD_CHARACTERS = [
    "\n", "\r", "\t", " ", ":", "::", "/", "#", "?", "&", "%", "%2e", "+", "*", "[", "]", "{", '"', "'", "\\", "\x7f", "\u0661",
    "\u0967", "\uff11", "é", "ß", "λ", "\u2028", "\ufeff", "\u200b", "\U0001f600", "!", "~", "|", "<", ">", "^", "$",
]  # fmt: skip

# Characters for contents: ASCII, controls, each length of UTF-8, and those that serializers treat specially.
CONTENT_CHARACTERS = [
    *string.ascii_letters, *string.digits, *" \"\\/:,{}[]<>&'#%", "\n", "\t", "\x00", "\x1f", "\x7f", "\x80",
    "é", "ü", "ß", "λ", "д", "漢", "字", "\u2028", "\u2029", "\ufeff", "\ufffd", "\uffff", "\U0001f600",
    "\U0001f468\u200d\U0001f469", "\U0010ffff",
]  # fmt: skip


def chance(rng, one_in):
    return rng.randrange(one_in) == 0


def content(rng, most=24):
    return "".join(rng.choices(CONTENT_CHARACTERS, k=rng.randrange(most + 1)))


def name(rng, least=1, most=24):
    return "".join(rng.choices(CHANNEL_CHARACTERS, k=rng.randint(least, most)))


def spoiled(rng, text):
    """Returns `text` with an odd piece inserted, usually at its start or end."""
    at = rng.choice([0, len(text), len(text), rng.randint(0, len(text))])
    return text[:at] + rng.choice(ODD_CHARACTERS) + text[at:]


def channel(rng, prefixes, spoiled_in=8):
    """Returns a channel name; one in `spoiled_in` may be invalid."""
    prefix = rng.choice(prefixes)
    if not chance(rng, spoiled_in):
        return prefix + name(rng)
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(["", prefix, ".", "..", "[", "[]", '["a"]', '["a","b"]', " a", "-", "private", "presence"])
    if kind == 1:
        # Around the limit of the length.
        length = rng.choice([199, 200, 201, 202, 400])
        return (prefix + name(rng, 200, 200) + "x" * 200)[:length]
    if kind == 2:
        return "#server-to-user-" + rng.choice(["", name(rng), spoiled(rng, name(rng))])
    return spoiled(rng, prefix + name(rng))


def socket_id(rng, spoiled_in=9):
    def number():
        return str(rng.randrange(10 ** rng.randint(1, 12)))

    valid = f"{number()}.{number()}"
    if not chance(rng, spoiled_in):
        return valid
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(["", ".", "1", "1.", ".1", "1.1.1", "-1.1", "1,1", "0x1.1", "1e3.1", "nan", "1.1\n", "\n1.1"])
    if kind == 1:
        # Digits outside ASCII.
        zero = rng.choice([0x0660, 0x0966, 0xFF10, 0x1D7CE])
        at = rng.choice([i for i, c in enumerate(valid) if c != "."])
        return valid[:at] + chr(zero + int(valid[at])) + valid[at + 1 :]
    if kind == 2:
        return valid + ":" + name(rng)
    return spoiled(rng, valid)


def user_id(rng, spoiled_in=7):
    if not chance(rng, spoiled_in):
        return name(rng)
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(["", ".", "..", "...", "-", "@"])
    if kind == 1:
        return name(rng, 200, 200)[: rng.choice([183, 184, 185, 199, 200])]
    if kind == 2:
        return name(rng, 201, 300)
    return spoiled(rng, name(rng))


class Writer:
    """Writes random JSON as other serializers would: any white space, escapes and forms of numbers."""

    def __init__(self, rng):
        self.rng = rng
        # Most documents are compact, as serializers write them.
        self.loose = chance(rng, 3)
        self.escapes = rng.choice([0, 0, 10, 3])
        self.surrogates = chance(rng, 25)

    def space(self):
        if not self.loose:
            return ""
        return "".join(self.rng.choices(" \n\t\r", k=self.rng.randrange(3)))

    def string(self, text):
        short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        parts = []
        for character in text:
            must = character in '"\\' or character < " "
            if not must and not (self.escapes and chance(self.rng, self.escapes)):
                parts.append(character)
            elif character in short and not chance(self.rng, 4):
                parts.append(short[character])
            else:
                units = character.encode("utf-16-be")
                digits = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
                parts.extend("\\u" + (d.upper() if chance(self.rng, 2) else d) for d in digits)
        if self.surrogates and chance(self.rng, 4):
            parts.insert(self.rng.randint(0, len(parts)), self.rng.choice(["\\ud800", "\\udfff", "\\uDBFFx", "\\udc00\\ud800"]))
        return '"' + "".join(parts) + '"'

    def number(self):
        rng = self.rng
        return rng.choice([
            lambda: str(rng.randrange(-1000, 1000)),
            lambda: str(rng.randrange(-(10**18), 10**18)),
            lambda: str(rng.randrange(2**53 - 2, 2**53 + 3)),
            lambda: str(rng.randrange(10**40)),
            lambda: repr(rng.uniform(-1e6, 1e6)),
            lambda: f"{rng.randrange(1000)}.{rng.randrange(100)}0",
            lambda: f"{rng.randrange(1, 10)}{rng.choice('eE')}{rng.choice(['', '+', '-'])}{rng.randrange(30)}",
            lambda: rng.choice(["0", "-0", "0.0", "-0.0", "1.0", "1e400", "-1e400", "1e-400", "0e0", "1E+2"]),
        ])()  # fmt: skip

    def array(self, values):
        return "[" + self.space() + (self.space() + "," + self.space()).join(values) + self.space() + "]"

    def object(self, members):
        """Writes an object from pairs of a key and a value in JSON."""
        written = [self.string(key) + self.space() + ":" + self.space() + value for key, value in members]
        return "{" + self.space() + (self.space() + "," + self.space()).join(written) + self.space() + "}"

    def value(self, depth=3):
        kind = self.rng.randrange(9 if depth else 6)
        if kind < 2:
            return self.string(content(self.rng))
        if kind < 4:
            return self.number()
        if kind < 6:
            return self.rng.choice(["true", "false", "null", '""', "0", "{}", "[]", "[[]]"])
        if kind == 6:
            return self.array([self.value(depth - 1) for _ in range(self.rng.randrange(4))])
        return self.object(self.members(depth))

    def members(self, depth=3):
        names = ["a", "b", "1", "0", "__proto__", "ü", "id"]
        keys = [self.rng.choice([*names, content(self.rng, 6)]) for _ in range(self.rng.randrange(5))]
        members = [(key, self.value(depth - 1)) for key in dict.fromkeys(keys)]
        if members and chance(self.rng, 40):
            members.append((self.rng.choice(members)[0], self.value(0)))
        return members

    def around(self, text):
        return self.space() + text + self.space()


def broken(rng, text):
    """Returns a string that is usually not JSON."""
    return rng.choice([
        lambda: text[: rng.randrange(len(text) + 1)],
        lambda: text + rng.choice([",", "}", "]", "x", " {}", "\x0b", "\ufeff"]),
        lambda: rng.choice(["\ufeff", "\x0c", ",", "\u00a0"]) + text,
        lambda: rng.choice(["", " ", "NaN", "Infinity", "-Infinity", "undefined", "nul", "True", "'a'", "01", "+1", ".5",
                            "1.", "0x1", '"\\x41"', '"\\u12"', '"a\nb"', '"\x01"', '{"a":1,}', "{a:1}", "[1,]", "[1 2]",
                            "//", "\u0661"]),
        lambda: '{"user_id":"1","id":"1","user_info":{"a":' + rng.choice(["NaN", "-Infinity", "Infinity", "01", "'b'"]) + "}}",
    ])()  # fmt: skip


def payload(rng):
    """Returns the data of an event: any JSON, rarely malformed."""
    writer = Writer(rng)
    text = writer.around(writer.value())
    return broken(rng, text) if chance(rng, 30) else text


class Pairs(list):
    """The members of an object, including repeated keys."""


@functools.lru_cache(maxsize=64)
def look_at(text):
    return Look(text)


class Look:
    """Parsed JSON, independent of the compared libraries."""

    def __init__(self, text):
        self.valid = self.deep = self.has_constants = False
        self._constants = 0
        self.value = None
        try:
            self.value = json.loads(text, object_pairs_hook=Pairs, parse_constant=self._constant)
            # Only for the whole string: a name may also begin with `NaN`.
            self.has_constants = self._constants > 0
            self.valid = not self.has_constants
        except RecursionError:
            # Too deep for this parser. The cases contain only well-formed documents of this depth.
            self.deep = self.valid = True
        except ValueError:
            pass

    def _constant(self, _):
        self._constants += 1
        return 0

    @property
    def is_object(self):
        return isinstance(self.value, Pairs)

    @property
    def keys(self):
        return [key for key, _ in self.value] if self.is_object else []

    @property
    def repeats_a_key(self):
        return len(set(self.keys)) < len(self.keys)

    def get(self, key, default=None):
        """Returns a member: the last one of repeated members, as all parsers do."""
        return dict(self.value).get(key, default) if self.is_object else default


def has_lone_surrogate(text):
    return any("\ud800" <= character <= "\udfff" for character in text)
