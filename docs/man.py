#!/usr/bin/env python3
"""Writes the manual pages in docs/man from include/pusher.h.

    docs/man.py             writes them anew
    docs/man.py --check     says which are out of date, and writes nothing

The pages are committed, as the header itself is, so that whoever installs or packages libpusher needs neither Python nor
Doxygen. Each function, each enumeration and each type of callback has one, and libpusher(3) lists them all.
"""

import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "man"

# Whose pages a reader of one of them is likely to want next, in the order of the header.
FAMILIES = [
    r"pusher_(new|free|set_log|set_transport)$",
    r"pusher_(string_free|error_|status_name)|Pusher(Status|Delivery)$",
    r"pusher_(trigger|trigger_batch|send_to_user)$",
    r"pusher_(send_to_user|terminate_user_connections|authenticate_user|users_info)$",
    r"pusher_(channels_info|channel_info|users_info|get|post)$",
    r"pusher_(authenticate|authenticate_user|validate_webhook)$",
    r"pusher_(prepare|finish|request_)|PusherSendFn$",
    r"pusher_(finish|response_)|PusherSendFn$",
    r"pusher_set_|Pusher(Send|Log|Drop)Fn$|PusherLogLevel$",
    r"pusher_publisher_",
    r"pusher_version",
]


class Item:
    """Something declared in the header, with its comment."""

    def __init__(self, name, kind, comment, declaration):
        self.name, self.kind, self.comment, self.declaration = name, kind, comment, declaration


def read_header(text):
    """The comment of the file, and all items in their order."""
    comments = list(re.finditer(r"^( *)/\*\*\n(.*?)^ *\*/\n", text, re.S | re.M))
    about, items = None, []
    for comment in comments:
        body = "\n".join(re.sub(r"^ *\* ?", "", line) for line in comment[2].splitlines())
        rest = text[comment.end() :]
        if "@file" in body:
            about = body
        elif comment[1]:
            items[-1].values.append((re.match(r"\s*(\w+) = (\d+)", rest), body))
        elif found := re.match(r"enum (\w+)", rest):
            items.append(Item(found[1], "enum", body, None))
            items[-1].values = []
        elif found := re.match(r"typedef struct (\w+) (\w+);", rest):
            items.append(Item(found[1], "handle", body, found[0]))
        elif found := re.match(r"typedef void \(\*(\w+)\)\([^;]*;", rest):
            items.append(Item(found[1], "callback", body, found[0]))
        elif found := re.match(r"[\w *]*?\b(pusher_\w+)\([^;]*;", rest):
            items.append(Item(found[1], "function", body, found[0]))
        else:
            sys.exit(f"docs/man.py: a comment on something unknown: {rest.splitlines()[0]}")
    return about, items


def plain(text):
    """Text as roff takes it."""
    for what, roff in (
        ("\\", "\\e"),
        ("–", "\\(en"),
        ("…", "\\&..."),
        ("'", "\\(aq"),
        ("`", "\\(ga"),
        ("^", "\\(ha"),
        ("~", "\\(ti"),
    ):
        text = text.replace(what, roff)
    return text


def literal(text):
    """Text whose hyphens are to be pasted into a program."""
    return plain(text).replace("-", "\\-")


class Writer:
    """Turns the comments' markup into roff."""

    def __init__(self, pages, name):
        self.pages, self.name, self.lines = pages, name, []

    def inline(self, text):
        """Code and names in bold; functions and types that have a page with their section."""

        def span(found):
            code, function, reference, strong = found.groups()
            if code is not None:
                # Where a line may end within a long one.
                return f"\\fB{re.sub(r'(?<=[,/])', chr(92) + ':', literal(code)) if len(code) > 30 else literal(code)}\\fR"
            if strong is not None:
                return f"\\fI{plain(strong)}\\fR"
            name = function or reference
            section = "" if name == self.name or name not in self.pages else "(3)"
            return f"\\fB{literal(name)}\\fR{section or ('()' if function else '')}"

        out, at = [], 0
        for found in re.finditer(r"`([^`]+)`|\b(pusher_\w+)\(\)|(?:::|#)(P\w+)|\*\*(.+?)\*\*", text):
            out += [plain(text[at : found.start()]), span(found)]
            at = found.end()
        return "".join([*out, plain(text[at:])])

    def macro(self, *lines):
        self.lines += lines

    def text(self, words):
        for line in textwrap.wrap(self.inline(" ".join(words.split())), 110, break_long_words=False, break_on_hyphens=False):
            # A line that begins so would be taken for an order.
            self.lines.append("\\&" + line if line[0] in ".'" else line)

    def code(self, text):
        if not self.lines[-1].startswith(".SH"):
            self.macro(".PP")
        self.macro(".in +4n", ".nf")
        for line in text.strip("\n").splitlines():
            line = literal(line)
            self.lines.append("\\&" + line if line[:1] in (".", "'") else line)
        self.macro(".fi", ".in")

    def table(self, rows):
        """A row is an entry of a list: what it is about, its default, and what is said of it."""
        for row in rows[2:]:
            keys, default, what = (cell.strip() for cell in row.strip("|").split("|"))
            if what in ("above", "below"):
                what = "see DESCRIPTION"
            what = what[:1].upper() + what[1:] + "." if what else ""
            self.macro(".TP")
            self.text(keys)
            self.text(f"Required. {what}" if default == "required" else f"Default: {default}. {what}")

    def body(self, text, first=".PP"):
        """Paragraphs, lists, tables and samples."""
        begin = first
        for part in re.split(r"(@code\n.*?@endcode)", text, flags=re.S):
            if part.startswith("@code"):
                self.code(part[len("@code\n") : -len("@endcode")])
                begin = ".PP"
                continue
            for block in re.split(r"\n\s*\n", part.strip("\n")):
                if not block.strip():
                    continue
                lines = [line.strip() for line in block.splitlines()]
                rows = [line for line in lines if line.startswith("|")]
                before = [line for line in lines if not line.startswith("|")]
                items = re.split(r"^- ", "\n".join(before), flags=re.M)
                if items[0].strip():
                    if begin:
                        self.macro(begin)
                    self.text(items[0])
                for item in items[1:]:
                    self.macro(".IP \\(bu 2")
                    self.text(item)
                if rows:
                    self.macro(".RS")
                    self.table(rows)
                    self.macro(".RE")
                begin = ".PP"


def split_tags(comment):
    """The description, what is said of each parameter, and what is returned."""
    description, *tags = re.split(r"^@(param|return)\b", comment, flags=re.M)
    parameters, returned = [], None
    for kind, text in zip(tags[::2], tags[1::2], strict=True):
        if kind == "param":
            name, what = text.split(None, 1)
            parameters.append((name, what))
        else:
            returned = text
    return description, parameters, returned


def brief(description):
    """A page's one line: the first sentence, without markup."""
    first = re.split(r"\n\s*\n", description.strip())[0]
    sentence = re.split(r"(?<=[.:])\s", " ".join(first.split()))[0].rstrip(".:")
    sentence = re.sub(r"`|\*\*|::", "", sentence)
    return sentence[:1].lower() + sentence[1:] if not re.match(r"[A-Z]{2}", sentence) else sentence


def related(name, pages):
    """Pages of the same families, and the one that lists all."""
    names = [other for family in FAMILIES if re.match(family, name) for other in pages if re.match(family, other)]
    names = sorted({other for other in names if other != name}, key=lambda other: (other.lower(), other))
    return [*names, "libpusher"]


def heading(name, version, summary):
    """All up to what a program includes."""
    return [
        '.\\" Written by docs/man.py from include/pusher.h; not to be edited.',
        f'.TH {name} 3 "" "libpusher {version}" "libpusher manual"',
        # Code is not to be broken in the middle of a word, nor filled up with spaces.
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{literal(name)} \\- {summary}",
        ".SH LIBRARY",
        "Pusher Channels server library",
        "(\\fIlibpusher\\fR, \\fI\\-lpusher\\fR)",
        ".SH SYNOPSIS",
        ".nf",
        ".B #include <pusher.h>",
        ".PP",
    ]


def see_also(writer, names):
    writer.macro(".SH SEE ALSO")
    writer.macro(",\n".join(f".BR {literal(name)} (3)" for name in names).replace(" (3),", " (3),"))


def page(item, pages, version):
    description, parameters, returned = split_tags(item.comment)
    writer = Writer(pages, item.name)
    writer.macro(*heading(item.name, version, plain(brief(description))))
    if item.kind == "enum":
        width = max(len(value[1]) for value, _ in item.values)
        writer.macro(f"\\fBenum {item.name} {{\\fR")
        writer.macro(*(f"\\fB    {value[1].ljust(width)} = {value[2]},\\fR" for value, _ in item.values), "\\fB};\\fR")
    else:
        writer.macro(*(f"\\fB{literal(line)}\\fR" for line in item.declaration.splitlines()))
    writer.macro(".fi", ".SH DESCRIPTION")
    writer.body(description, first=None)
    if item.kind == "enum":
        for value, what in item.values:
            writer.macro(".TP", f"\\fB{value[1]}\\fR")
            writer.text(what)
    if parameters:
        writer.macro(".SS Parameters")
        for name, what in parameters:
            writer.macro(".TP", f"\\fI{literal(name)}\\fR")
            writer.body(what, first=None)
    if returned:
        writer.macro(".SH RETURN VALUE")
        returned = returned.strip()
        writer.body(returned[:1].upper() + returned[1:], first=None)
    elif item.kind == "function" and not item.declaration.startswith("void "):
        writer.macro(".SH RETURN VALUE", "As above.")
    elif item.kind == "function":
        writer.macro(".SH RETURN VALUE", "None.")
    see_also(writer, related(item.name, pages))
    return "\n".join(writer.lines) + "\n"


def overview(about, items, pages, version):
    writer = Writer(pages, "libpusher")
    about = re.sub(r"^@file.*\n", "", about)
    about = re.sub(r"\n\s*Generated from the sources.*", "", about, flags=re.S)
    title, rest = about.split("\n", 1)
    writer.macro(
        *heading("libpusher", version, plain(title.partition(": ")[2].rstrip("."))),
        "\\fBcc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs pusher)\\fR",
        ".fi",
        ".SH DESCRIPTION",
    )
    words, sample = re.match(r"(.*?)(@code\n.*@endcode)", rest, re.S).groups()
    writer.body(words, first=None)
    writer.macro(".SH EXAMPLES")
    writer.body(sample, first=None)
    for title, kinds in (("FUNCTIONS", ("function",)), ("TYPES", ("enum", "callback", "handle"))):
        writer.macro(f".SH {title}")
        for item in items:
            if item.kind in kinds:
                writer.macro(".TP", f".BR {literal(item.name)}" + (" (3)" if item.name in pages else ""))
                if item.kind == "handle":
                    writer.text(" ".join(item.comment.split()))
                else:
                    writer.text(brief(item.comment) + ".")
    return "\n".join(writer.lines) + "\n"


def write(text):
    """All pages by the names of their files."""
    about, items = read_header(text)
    version = ".".join(re.search(rf"PUSHER_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))
    pages = [item.name for item in items if item.kind != "handle"]
    written = {f"{item.name}.3": page(item, pages, version) for item in items if item.name in pages}
    written["libpusher.3"] = overview(about, items, pages, version)
    return written


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    pages = write((ROOT / "include" / "pusher.h").read_text(encoding="utf-8"))
    there = {file.name: file.read_text(encoding="utf-8") for file in PAGES.glob("*")} if PAGES.is_dir() else {}
    wrong = sorted(name for name in pages.keys() | there.keys() if pages.get(name) != there.get(name))
    if check:
        if wrong:
            sys.exit(f"docs/man is not what docs/man.py writes of include/pusher.h: {', '.join(wrong)}")
        return
    PAGES.mkdir(exist_ok=True)
    for name in wrong:
        if name in pages:
            (PAGES / name).write_text(pages[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()


if __name__ == "__main__":
    main()
