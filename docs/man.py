#!/usr/bin/env python3
"""Writes the manual pages in docs/man from include/pusher.h and docs/examples.

    docs/man.py             writes them
    docs/man.py --check     names those that are out of date, and writes nothing

The pages are committed, as the header is, so that installing and packaging libpusher needs neither Python nor Doxygen. Each
function, enumeration and callback type has a page, and libpusher(3) lists them by task.
"""

import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "man"

EXAMPLES = ROOT / "docs" / "examples"

# The widest line of a page that man(1) does not fill, in columns without its indentation.
MAX_CODE = 76

# The pages of a family refer to each other.
FAMILIES = [
    r"pusher_(new|clone|cancel|free|set_log|set_observer|set_transport|stats)$",
    r"pusher_(string_free|json_string|error_|status_name)|Pusher(Status|Delivery)$",
    r"pusher_(trigger|trigger_batch|send_to_user)$|PusherStatus$",
    r"pusher_(send_to_user|terminate_user_connections|authenticate_user|users_info)$",
    r"pusher_(channels_info|channel_info|users_info|get|post|delete)$",
    r"pusher_(authenticate|authenticate_channels|authenticate_user|validate_webhook)$",
    r"pusher_(prepare|finish|request_)|PusherSendFn$",
    r"pusher_(finish|response_)|PusherSendFn$",
    r"pusher_set_|Pusher(Send|Log|Observe|Drop)Fn$|Pusher(LogLevel|Observation)$",
    r"pusher_publisher_",
    r"pusher_(publisher_)?stats$",
    r"pusher_version",
]

# The statuses of failed calls. INVALID_ARGUMENT and INTERNAL can come from every function that returns a status.
NETWORK = (
    "NOT_SENT DELIVERY_UNKNOWN BAD_RESPONSE BAD_REQUEST UNAUTHORIZED FORBIDDEN NOT_FOUND PAYLOAD_TOO_LARGE RATE_LIMITED "
    "SERVER_ERROR REDIRECTED"
)
ERRORS = {
    "pusher_new": "INVALID_CONFIG",
    "pusher_clone": "",
    "pusher_set_transport": "INVALID_STATE",
    "pusher_set_log": "INVALID_STATE",
    "pusher_set_observer": "INVALID_STATE",
    "pusher_stats": "",
    "pusher_trigger": f"{NETWORK} PARTIAL ENCRYPTION",
    "pusher_trigger_batch": f"{NETWORK} ENCRYPTION",
    "pusher_send_to_user": NETWORK,
    "pusher_terminate_user_connections": NETWORK,
    "pusher_channels_info": NETWORK,
    "pusher_channel_info": NETWORK,
    "pusher_users_info": NETWORK,
    "pusher_get": NETWORK,
    "pusher_post": NETWORK,
    "pusher_delete": NETWORK,
    "pusher_authenticate": "ENCRYPTION",
    "pusher_authenticate_channels": "",
    "pusher_authenticate_user": "",
    "pusher_validate_webhook": "WEBHOOK_INVALID",
    "pusher_json_string": "",
    "pusher_prepare": "PAYLOAD_TOO_LARGE ENCRYPTION",
    "pusher_finish": f"INVALID_STATE {NETWORK}",
    "pusher_publisher_new": "INVALID_CONFIG INVALID_STATE",
    "pusher_publisher_publish": "PAYLOAD_TOO_LARGE ENCRYPTION QUEUE_FULL CLOSED FORKED",
    "pusher_publisher_poll": "TIMED_OUT FORKED",
    "pusher_publisher_fd": "FORKED",
    "pusher_publisher_flush": "TIMED_OUT FORKED",
    "pusher_publisher_close": "TIMED_OUT FORKED",
    "pusher_publisher_drain": "FORKED",
    "pusher_publisher_restore": "PAYLOAD_TOO_LARGE ENCRYPTION QUEUE_FULL CLOSED FORKED",
    "pusher_publisher_stats": "FORKED",
}

# What the thread safety of a function depends on: the handle that no other thread may use meanwhile, or the environment.
SAFETY = [
    (r"pusher_new$", "MT-Safe env"),
    (r"pusher_cancel$", "MT-Safe AS-Safe"),
    (r"pusher_(free|set_transport|set_log|set_observer)$", "MT-Safe race:client"),
    (r"pusher_publisher_free$", "MT-Safe race:publisher"),
    (r"pusher_finish$", "MT-Safe race:request race:response"),
    (r"pusher_request_", "MT-Safe race:request"),
    (r"pusher_response_(?!new$)", "MT-Safe race:response"),
    (r"", "MT-Safe"),
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


def read_index(about):
    """The functions by task: of each task its title and the functions, each with its line in the index."""
    tasks = []
    for first, second in re.findall(r"^\| *(.*?) *\| *(.*?) *\|$", about, re.M):
        if found := re.fullmatch(r"(pusher_\w+)\(\)", first):
            tasks[-1][1].append((found[1], second))
        elif first.strip("-"):
            tasks.append((first, []))
    return tasks


def read_examples():
    """The code of the examples by the name of each page that shows it."""
    examples = {}
    for file in sorted(EXAMPLES.glob("*.c")):
        _, *parts = re.split(r"^/\* EXAMPLE\s+([^/]*)\*/\n", file.read_text(encoding="ascii"), flags=re.M)
        for names, code in zip(parts[::2], parts[1::2], strict=True):
            for name in re.findall(r"\w+", names):
                if name in examples:
                    sys.exit(f"docs/man.py: {name} has two examples")
                examples[name] = code.strip("\n")
    return examples


def plain(text):
    """Text as roff takes it."""
    for what, roff in (("\\", "\\e"), ("'", "\\(aq"), ("`", "\\(ga"), ("^", "\\(ha"), ("~", "\\(ti")):
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
        """Each row becomes an entry of a list: its first cell, then the others with the titles of their columns."""
        cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
        titles = cells[0]
        for row in cells[2:]:
            self.macro(".TP")
            self.text(row[0])
            if len(row) == 2:
                self.text(sentence(row[1]))
            else:
                # The last column of a table of keys needs no title: it is the text.
                parts = [
                    sentence(cell if title == "meaning" else f"{title}: {cell}")
                    for title, cell in zip(titles[1:], row[1:], strict=True)
                    if cell != "none" or title == "default"
                ]
                self.text(" ".join(parts))

    def body(self, text, first=".PP"):
        """Paragraphs, lists, tables and samples."""
        begin = first
        for part in re.split(r"(@(?:code|verbatim)\n.*?@end(?:code|verbatim))", text, flags=re.S):
            if part.startswith("@"):
                self.code(part.split("\n", 1)[1].rsplit("\n", 1)[0])
                begin = ".PP"
                continue
            for block in re.split(r"\n\s*\n", part.strip("\n")):
                if not block.strip():
                    continue
                lines = [line.strip() for line in block.splitlines()]
                rows = [line for line in lines if line.startswith("|")]
                before = [line for line in lines if not line.startswith("|")]
                items = re.split(r"^(?:- |(?=Threads: |Lifetime: ))", "\n".join(before), flags=re.M)
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


def sentence(text):
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def brief(text):
    """A page's one line: the first sentence, without markup, its first letter small."""
    first = re.split(r"\n\s*\n", text.strip())[0]
    line = re.split(r"(?<=[.:])\s", " ".join(first.split()))[0].rstrip(".:")
    line = re.sub(r"`|\*\*|::", "", line)
    return line[:1].lower() + line[1:] if not re.match(r"[A-Z]{2}", line) else line


def prototype(declaration):
    """A declaration, in one line if that fits, else with one parameter a line."""
    line = " ".join(declaration.split())
    if len(line) <= MAX_CODE:
        return [line]
    opening = line.index("(", line.index(")") if line.startswith("typedef") else 0) + 1
    return (line[:opening] + line[opening:].replace(", ", ",\n" + " " * opening)).splitlines()


def related(name, pages):
    """Pages of the same families, and the one that lists all."""
    names = [other for family in FAMILIES if re.match(family, name) for other in pages if re.match(family, other)]
    names = sorted({other for other in names if other != name}, key=lambda other: (other.lower(), other))
    return [*names, "libpusher"]


def heading(name, version, summary):
    """All up to what a program includes. (The first line asks man(1) for the preprocessor tbl.)"""
    return [
        "'\\\" t",
        '.\\" Written by docs/man.py from include/pusher.h and docs/examples; do not edit.',
        f'.TH {name} 3 "" "libpusher {version}" "libpusher manual"',
        # Do not hyphenate code, and do not fill lines with spaces.
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


def errors(writer, item, statuses):
    """The statuses of failed calls, each with the first words of its description."""
    returns_status = item.declaration.startswith("PusherStatus ")
    if returns_status != (item.name in ERRORS):
        sys.exit(f"docs/man.py: ERRORS is wrong about {item.name}")
    if not returns_status:
        return
    wanted = {"INVALID_ARGUMENT", "INTERNAL", *ERRORS[item.name].split()}
    if unknown := wanted - statuses.keys():
        sys.exit(f"docs/man.py: {item.name}: there is no status {unknown}")
    writer.macro(".SH ERRORS")
    for name, words in statuses.items():
        if name in wanted:
            writer.macro(".TP", f"\\fBPUSHER_STATUS_{name}\\fR")
            writer.text(words)


def attributes(writer, item):
    safety = next(safety for name, safety in SAFETY if re.match(name, item.name))
    writer.macro(".SH ATTRIBUTES", "For the terms see", ".BR attributes (7).", ".TS", "allbox;", "lB lB lB", "l l l.")
    writer.macro("Interface\tAttribute\tValue")
    writer.macro(f"\\fB{literal(item.name)}\\fR()\tThread safety\t{literal(safety)}", ".TE")


def page(item, summary, pages, statuses, example, version):
    description, parameters, returned = split_tags(item.comment)
    writer = Writer(pages, item.name)
    writer.macro(*heading(item.name, version, plain(summary)))
    if item.kind == "enum":
        width = max(len(value[1]) for value, _ in item.values)
        writer.macro(f"\\fBenum {item.name} {{\\fR")
        writer.macro(*(f"\\fB    {value[1].ljust(width)} = {value[2]},\\fR" for value, _ in item.values), "\\fB};\\fR")
    else:
        writer.macro(*(f"\\fB{literal(line)}\\fR" for line in prototype(item.declaration)))
    writer.macro(".fi", ".SH DESCRIPTION")
    # The first sentence, where NAME has the same and another follows.
    rest = re.sub(r"\A[^.]*\.\s+(?=\S)", "", description) if brief(description) == summary else description
    writer.body(rest, first=None)
    if item.kind == "enum":
        writer.macro(".SS Values")
        for value, what in item.values:
            writer.macro(".TP", f"\\fB{value[1]}\\fR ({value[2]})")
            writer.text(what)
    if parameters:
        writer.macro(".SS Parameters")
        for name, what in parameters:
            writer.macro(".TP", f"\\fI{literal(name)}\\fR")
            writer.body(sentence(what), first=None)
    if item.kind == "function":
        writer.macro(".SH RETURN VALUE")
        writer.body(sentence(returned) if returned else "None.", first=None)
        errors(writer, item, statuses)
        attributes(writer, item)
    writer.macro(".SH EXAMPLES")
    writer.body(example, first=None)
    see_also(writer, related(item.name, pages))
    return "\n".join(writer.lines) + "\n"


def overview(about, tasks, items, pages, version):
    writer = Writer(pages, "libpusher")
    title, rest = re.sub(r"^@file.*\n", "", about).split("\n", 1)
    writer.macro(
        *heading("libpusher", version, plain(title.partition(": ")[2].rstrip("."))),
        "\\fBcc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs pusher)\\fR",
        ".fi",
        ".SH DESCRIPTION",
    )
    words, sample = re.match(r"(.*?)(@code\n.*?@endcode)", rest, re.S).groups()
    writer.body(words, first=None)
    writer.macro(".SH FUNCTIONS")
    for task, functions in tasks:
        writer.macro(f".SS {task}")
        for name, line in functions:
            writer.macro(".TP", f".BR {literal(name)} (3)")
            writer.text(line)
    writer.macro(".SH TYPES")
    for item in items:
        if item.kind != "function":
            writer.macro(".TP", f".BR {literal(item.name)}" + (" (3)" if item.name in pages else ""))
            writer.text(" ".join(item.comment.split()) if item.kind == "handle" else sentence(brief(item.comment)))
    status = next(item for item in items if item.name == "PusherStatus")
    writer.macro(".SH ERRORS", "A function that fails returns a value of one of these ranges:")
    writer.table([line for line in re.split(r"\n\s*\n", status.comment)[1].splitlines()])
    writer.macro(".PP")
    writer.text("::PusherStatus has the values, and the members of an error document.")
    writer.macro(".SH EXAMPLES")
    writer.body(sample, first=None)
    see_also(writer, [name for name in pages if name.startswith("Pusher")])
    return "\n".join(writer.lines) + "\n"


def write(text):
    """All pages by the names of their files."""
    about, items = read_header(text)
    tasks, examples = read_index(about), read_examples()
    summaries = {name: brief(line) for _, functions in tasks for name, line in functions}
    version = ".".join(re.search(rf"PUSHER_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))
    status = next(item for item in items if item.name == "PusherStatus")
    statuses = {value[1].removeprefix("PUSHER_STATUS_"): words for value, words in status.values}
    pages = [item.name for item in items if item.kind != "handle"]
    written = {}
    for item in items:
        if item.name not in pages:
            continue
        if item.kind == "function" and item.name not in summaries:
            sys.exit(f"docs/man.py: {item.name} is not in the index of pusher.h")
        sample = re.search(r"@code\n.*?@endcode", item.comment, re.S)
        if (item.name in examples) == bool(sample):
            sys.exit(f"docs/man.py: {item.name} needs one example, in docs/examples or in its comment")
        if sample:
            item.comment = item.comment.replace(sample[0], "").replace(":\n\n\n", ":\n\n")
        example = sample[0] if sample else f"@code\n{examples[item.name]}\n@endcode"
        summary = summaries.get(item.name) or brief(item.comment)
        written[f"{item.name}.3"] = page(item, summary, pages, statuses, example, version)
    written["libpusher.3"] = overview(about, tasks, items, pages, version)
    return written


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    pages = write((ROOT / "include" / "pusher.h").read_text(encoding="utf-8"))
    there = {file.name: file.read_text(encoding="utf-8") for file in PAGES.glob("*.3")} if PAGES.is_dir() else {}
    wrong = sorted(name for name in pages.keys() | there.keys() if pages.get(name) != there.get(name))
    if check:
        if wrong:
            sys.exit(f"docs/man is out of date: run docs/man.py: {', '.join(wrong)}")
        return
    PAGES.mkdir(exist_ok=True)
    for name in wrong:
        if name in pages:
            (PAGES / name).write_text(pages[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()


if __name__ == "__main__":
    main()
