"""Writes docs/benchmarks.md and its pictures from the figures of a run, without measuring anything.

    page.py RESULTS DOCS [--readme README]

RESULTS is the results.json of report.py, and DOCS the folder for the page and the pictures. A run that was not whole, because a
part or a peer is missing or because it was a quick try, is refused: its figures would be published as if it were. --readme also
writes the picture and a sentence between the marks of the README.
"""

import argparse
import html
import json
import math
import pathlib
import sys

PARTS = ["trigger", "tls", "signatures", "growth", "overflow", "outage", "events", "allocations", "memory", "size", "languages"]
LANGUAGES = ["C++", "Go", "Python", "Ruby", "PHP"]
LEAST_ROUNDS, LEAST_SECONDS = 21, 0.3
MARKS = "<!-- benchmarks: begin -->\n", "<!-- benchmarks: end -->\n"

STYLE = """\
text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 14px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 11px; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.paper { fill: #ffffff; }
.ours { fill: #6c5ce7; } .floor { fill: #9aa3ad; } .peer { fill: #e69f00; }
.line { fill: none; stroke: #6c5ce7; stroke-width: 2; }
.spread { stroke: #1f2328; stroke-width: 1.2; } .grid { stroke: #d0d7de; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .paper { fill: #0d1117; }
  .ours { fill: #8b7cf6; } .floor { fill: #7d8590; } .peer { fill: #d18f00; }
  .line { stroke: #8b7cf6; }
  .spread { stroke: #e6edf3; } .grid { stroke: #30363d; }
}
"""
WIDTH, LEFT, RIGHT = 760, 300, 90


def short(value):
    """Returns a number with three digits and a suffix for thousands."""
    for size, suffix in (1e9, "G"), (1e6, "M"), (1e3, "k"):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}" if value < 999 * size else f"{value / size:.0f}{suffix}"
    return f"{value:.3g}"


def nanoseconds(value):
    for size, unit in (1e9, "s"), (1e6, "ms"), (1e3, "µs"):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} ns"


class Picture:
    """An SVG whose height grows with its content."""

    def __init__(self, about):
        self.about, self.y, self.lines = about, 12, []

    def text(self, x, y, words, kind=""):
        attribute = f' class="{kind}"' if kind else ""
        self.lines.append(f'<text{attribute} x="{x:.0f}" y="{y:.0f}">{html.escape(words, quote=False)}</text>')

    def line(self, x1, y1, x2, y2, kind):
        self.lines.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def legend(self, kinds):
        x = 12
        for kind, words in kinds:
            self.lines.append(f'<rect class="{kind}" x="{x}" y="{self.y}" width="12" height="12" rx="2"/>')
            self.text(x + 18, self.y + 10, words)
            x += 36 + 7 * len(words)
        self.y += 26

    def bars(self, title, rows, say=short, mark=None):
        """Adds a bar for each (kind, name, row), with its smallest and largest value, and a line at the value `mark`."""
        self.text(12, self.y + 14, title, "title")
        self.y += 26
        scale = (WIDTH - LEFT - RIGHT) / max(max(row["most"] for _, _, row in rows), mark or 0)
        top = self.y
        for kind, name, row in rows:
            length = max(row["median"] * scale, 1)
            self.text(LEFT - 8, self.y + 13, name, "end")
            self.lines.append(f'<rect class="{kind}" x="{LEFT}" y="{self.y}" width="{length:.1f}" height="17" rx="2"/>')
            if row["most"] > row["least"]:
                self.line(LEFT + row["least"] * scale, self.y + 8.5, LEFT + row["most"] * scale, self.y + 8.5, "spread")
            end = max(length, row["most"] * scale)
            if mark and end < mark * scale < end + 40:
                end = mark * scale
            self.text(LEFT + end + 6, self.y + 13, say(row["median"]))
            self.y += 22
        if mark:
            self.line(LEFT + mark * scale, top - 2, LEFT + mark * scale, self.y - 3, "spread")
        self.y += 10

    def curve(self, title, points):
        """Adds a curve through (name, x, row), with logarithmic axes."""
        self.text(12, self.y + 14, title, "title")
        self.y += 42
        height, left, inset, right = 120, 70, 40, 40
        values = [row[which] for _, _, row in points for which in ("least", "most", "median")]
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        high = max(high, low + 1)
        first, last = math.log10(points[0][1]), math.log10(points[-1][1])
        x_of = lambda x: left + inset + (math.log10(x) - first) / (last - first) * (WIDTH - left - inset - right)  # noqa: E731
        y_of = lambda value: self.y + (high - math.log10(value)) / (high - low) * height  # noqa: E731
        for power in range(low, high + 1):
            self.line(left, y_of(10**power), WIDTH - right, y_of(10**power), "grid")
            self.text(left - 8, y_of(10**power) + 4, nanoseconds(10**power), "quiet end")
        corners = " ".join(f"{x_of(x):.1f},{y_of(row['median']):.1f}" for _, x, row in points)
        self.lines.append(f'<polyline class="line" points="{corners}"/>')
        for name, x, row in points:
            self.line(x_of(x), y_of(row["least"]), x_of(x), y_of(row["most"]), "spread")
            self.lines.append(f'<circle class="ours" cx="{x_of(x):.1f}" cy="{y_of(row["median"]):.1f}" r="3.5"/>')
            self.text(x_of(x), y_of(row["most"]) - 8, nanoseconds(row["median"]), "middle")
            self.text(x_of(x), self.y + height + 16, name, "quiet middle")
        self.y += height + 30

    def svg(self):
        about = html.escape(self.about, quote=False)
        size = f'width="{WIDTH}" height="{self.y}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {self.y}" role="img">'
        paper = f'<rect class="paper" {size}/>'
        return "\n".join([head, f"<title>{about}</title>", f"<style>\n{STYLE}</style>", paper, *self.lines, "</svg>"]) + "\n"


class Results:
    """The figures of a run."""

    def __init__(self, content):
        self.machine, self.parts = content["machine"], {part["part"]: part for part in content["parts"]}

    def rows(self, part, unit):
        return [row for row in self.parts[part]["rows"] if row["unit"] == unit]

    def by_name(self, part, unit):
        return {row["name"]: row for row in self.rows(part, unit)}

    def row(self, part, unit, name):
        return self.by_name(part, unit)[name]

    def targets(self):
        return [target for part in self.parts.values() for target in part["targets"]]

    def what_is_missing(self):
        """Returns what keeps this run from being a whole one."""
        missing = [f"the part {part}" for part in PARTS if part not in self.parts]
        missing += [f"the peer {peer}" for part in self.parts.values() for peer in part.get("missing", {})]
        if "languages" in self.parts:
            measured = {row["name"].partition(":")[0] for row in self.parts["languages"]["rows"]}
            missing += [f"the language {language}" for language in LANGUAGES if language not in measured]
        words = self.machine["measured"].split()
        if int(words[1]) < LEAST_ROUNDS or float(words[4]) < LEAST_SECONDS:
            missing.append(f"{LEAST_ROUNDS} rounds of {LEAST_SECONDS} s")
        if "changed" in self.machine["libpusher"]:
            missing.append("a commit without changes")
        return missing


def settings(results, part):
    """Returns the settings of a race, each with its contenders in the order of the table: the floor, the library, the peer."""
    found = {}
    for row in results.rows(part, "requests/s"):
        setting, _, contender = row["name"].rpartition(": ")
        kind = ("floor", "ours", "peer")[len(found.setdefault(setting, []))]
        found[setting].append((kind, contender, row))
    return found


def race(results, part, about):
    picture = Picture(about)
    picture.legend([("ours", "libpusher"), ("floor", "floor: raw sockets"), ("peer", "libcurl")])
    for setting, rows in settings(results, part).items():
        picture.bars(f"{setting}: requests/s", rows)
    return picture


def is_ours(name):
    return name.startswith(("pusher_trigger", "publisher,", "await, AsyncPusher"))


def publisher(results):
    picture = Picture("Events per second of the publisher, of calls and of other libraries")
    picture.legend([("ours", "libpusher"), ("peer", "other libraries")])
    # The same publisher is measured once beside each rival. The table has all of these; the picture needs one.
    rows = {row["name"].partition(", beside ")[0]: row for row in results.rows("events", "events/s")}
    ordered = sorted(rows.items(), key=lambda item: item[1]["median"], reverse=True)
    picture.bars("events/s", [("ours" if is_ours(name) else "peer", name, row) for name, row in ordered])
    return picture


SIGNATURES = [
    (
        "authorize a private channel",
        [("floor", "2 SHA-256 compressions"), ("ours", "pusher_authenticate"), ("peer", "authorize_channel of pushers")],
    ),
    ("validate a webhook of 300 B", [("floor", "HMAC + JSON check, 300 B"), ("ours", "pusher_validate_webhook, 300 B")]),
    ("validate a webhook of 10 KB", [("floor", "HMAC + JSON check, 10 KB"), ("ours", "pusher_validate_webhook, 10 KB")]),
]


def signatures(results):
    picture = Picture("The time of the calls that need no network, beside their minimum and a peer")
    picture.legend([("ours", "libpusher"), ("floor", "floor: the least work"), ("peer", "the crate pushers")])
    for title, rows in SIGNATURES:
        bars = [(kind, name, results.row("signatures", "ns", name)) for kind, name in rows]
        picture.bars(f"{title}: less is better", bars, nanoseconds)
    return picture


def size_of(name):
    number, unit = name.split()
    return float(number) * {"B": 1, "KB": 1e3, "MB": 1e6}[unit]


def growth(results):
    picture = Picture("The time of calls by the size of the payload, of the webhook and of the queue")
    for call in "pusher_trigger", "pusher_validate_webhook":
        points = []
        for row in results.rows("growth", "ns"):
            name, _, size = row["name"].rpartition(", ")
            if name == call:
                points.append((size, size_of(size), row))
        picture.curve(f"{call}: time by bytes", points)
    points = []
    for row in results.rows("growth", "CPU ns"):
        depth = float(row["name"].split()[2])
        points.append((short(depth), depth, row))
    picture.curve("pusher_publisher_publish: time by events in the queue", points)
    return picture


def times(value):
    return f"{value:.2f}"


def languages(results):
    picture = Picture("How many times as fast as the same work without libpusher each binding is")
    for language in LANGUAGES:
        rows = [row for row in results.parts["languages"]["rows"] if row["name"].startswith(f"{language}:")]
        bars = [("ours", row["name"].partition(": ")[2], row) for row in rows]
        picture.bars(f"{language}: {rows[0]['unit']}", bars, times, 1)
    return picture


def spread(row, say):
    if row["least"] == row["most"]:
        return say(row["median"])
    return f"{say(row['median'])} ({say(row['least'])} – {say(row['most'])})"


def table(head, rows):
    first, *others = (f"| {' | '.join(row)} |" for row in [head, *rows])
    return "\n".join([first, "|---" + "|---:" * (len(head) - 1) + "|", *others, ""])


def race_table(results, part):
    lines = []
    for setting, contenders in settings(results, part).items():
        for _, name, row in contenders:
            cpu = results.row(part, "CPU us/request", row["name"])
            ratio = results.row(part, "of raw", row["name"])
            lines.append([f"{setting}: {name}", spread(row, short), spread(cpu, short), spread(ratio, times)])
    return table(["", "requests/s", "CPU µs/request", "of raw sockets"], lines)


def events_table(results):
    cpu, speed = results.by_name("events", "CPU us/event"), results.by_name("events", "events/s")
    lines = [[name, spread(row, short), spread(cpu[name], short)] for name, row in speed.items()]
    return table(["", "events/s", "CPU µs/event"], lines)


def signatures_table(results):
    return table(["", "time"], [[row["name"], spread(row, nanoseconds)] for row in results.rows("signatures", "ns")])


def growth_table(results):
    rows = [row for unit in ("ns", "CPU ns") for row in results.rows("growth", unit)]
    return table(["", "time"], [[row["name"], spread(row, nanoseconds)] for row in rows])


def languages_table(results):
    lines = []
    for row in results.parts["languages"]["rows"]:
        lines.append([row["name"], times(row["median"]), row["unit"].removeprefix("times as fast as ")])
    return table(["", "ratio", "beside"], lines)


def memory_table(results):
    number = results.by_name("allocations", "allocations/call")
    size = results.by_name("allocations", "bytes allocated/call")
    calls = [[name, f"{row['median']:.3g}", f"{size[name]['median']:,.0f}"] for name, row in number.items()]
    heap = [[row["name"], f"{row['median']:,.0f}"] for row in results.rows("memory", "bytes")]
    return f"{table(['a call', 'allocations', 'bytes'], calls)}\n{table(['', 'bytes of the heap'], heap)}"


def outage_table(results):
    served = {row["name"].rpartition(": ")[0]: row for row in results.rows("outage", "of those before")}
    recovery = {row["name"].rpartition(": ")[0]: row for row in results.rows("outage", "s")}
    lines = [[name, times(row["median"]), nanoseconds(1e9 * recovery[name]["median"])] for name, row in served.items()]
    return table(["", "served during the outage, of those before", "until an event is delivered again"], lines)


def targets_table(results):
    lines = []
    for target in results.targets():
        sign, bound = ("≤", target["at_most"]) if "at_most" in target else ("≥", target["at_least"])
        # A figure that misses its target by a hair must not look like the target.
        say = short if short(target["median"]) != short(bound) else "{:.5g}".format
        measured, verdict = f"{spread(target, say)} {target['unit']}", "met" if target["met"] else "**not met**"
        lines.append([target["name"], measured, f"{sign} {bound:g}", verdict])
    return table(["", "measured", "target", ""], lines)


# The name of the picture, the title, the words, and what makes the picture and the table. Some have a table only.
SECTIONS = [
    (
        "trigger",
        "Requests on kept-alive connections",
        "One event of 100 bytes in each request, to a server on the same machine. The floor is a program that writes the\n"
        "bytes of a finished request to a socket and reads the response.",
        lambda results: race(results, "trigger", "Requests per second beside raw sockets and libcurl"),
        lambda results: race_table(results, "trigger"),
    ),
    (
        "tls",
        "TLS",
        "The same over TLS 1.3. The floor and libcurl use OpenSSL.",
        lambda results: race(results, "tls", "Requests per second over TLS 1.3 beside OpenSSL and libcurl"),
        lambda results: race_table(results, "tls"),
    ),
    (
        "publisher",
        "The publisher",
        "Events of 100 bytes, sent in the background and in batches, beside calls that wait and beside other libraries.\n"
        '"8 at once" has eight requests in flight.',
        publisher,
        events_table,
    ),
    (
        "signatures",
        "Signatures and webhooks",
        "These calls need no network. The floor is the least work that the result takes: the compressions of SHA-256, or\n"
        "the HMAC of the body and one check of its JSON.",
        signatures,
        signatures_table,
    ),
    (
        "growth",
        "Growth",
        "Time by the size of the payload, of the webhook and of the queue. Both axes are logarithmic.",
        growth,
        growth_table,
    ),
    (
        "languages",
        "Languages",
        "Each binding beside the official library where it can be had here, and otherwise beside the same work by hand in\n"
        "its language: more than 1 is faster. C++ is beside the C functions, of which it is a wrapper.",
        languages,
        languages_table,
    ),
    (
        "memory",
        "Memory",
        "The calls of malloc() of one call, and the bytes that a client and its connections keep. A client has no connection\n"
        "before its first call.",
        None,
        memory_table,
    ),
    (
        "outage",
        "An outage",
        "A host with eight threads sends an event in each request that it serves. Its Channels server then refuses connections,\n"
        "or takes them and is silent, for four seconds. The [circuit breaker](configuration.md) is off by default.",
        None,
        outage_table,
    ),
]


def page(results):
    met = sum(target["met"] for target in results.targets())
    lines = [
        "# Benchmarks\n",
        "<!-- Written by `make bench`. -->\n",
        "`make bench` measures this and writes this page. Everything runs on one machine, over the loopback: the ratios are of\n"
        "interest, not the figures. A figure is the median of all rounds, with the smallest and the largest in brackets and as\n"
        "a thin line. What is compared runs side by side within a round.\n",
        table(["", ""], [[name, value] for name, value in results.machine.items()]),
    ]
    for name, title, words, picture, rows in SECTIONS:
        image = [f"![{title}](bench-{name}.svg)\n"] if picture else []
        lines += [f"## {title}\n", f"{words}\n", *image, rows(results)]
    lines += ["## Targets\n", f"{met} of {len(results.targets())} are met.\n", targets_table(results)]
    return "\n".join(lines)


def readme_lines(results):
    """Returns the sentence and the picture of the README: one thread that shares a core with its server."""
    setting, contenders = next(iter(settings(results, "trigger").items()))
    _, ours, _ = (row for _, _, row in contenders)
    # Within a round, as on the page: the machine is not equally fast in all of them.
    raw = results.row("trigger", "of raw", ours["name"])["median"]
    beside = (f"pusher_trigger, {setting}", "of libcurl")
    libcurl = next(one["median"] for one in results.targets() if (one["name"], one["unit"]) == beside)
    return (
        f"**It is fast**: {short(ours['median'])} events a second from one core, **{libcurl:.2f}** times as many as with\n"
        f"libcurl, and **{raw:.2f}** of what raw sockets can do ([benchmarks](docs/benchmarks.md)).\n\n"
        f"![{setting}](docs/bench-trigger.svg)\n"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("docs", type=pathlib.Path)
    parser.add_argument("--readme", type=pathlib.Path)
    arguments = parser.parse_args()
    results = Results(json.loads(arguments.results.read_text(encoding="utf-8")))
    missing = results.what_is_missing()
    if missing:
        sys.exit(f"The run was not whole, so docs/benchmarks.md is not written. It lacks {', '.join(missing)}.")
    arguments.docs.joinpath("benchmarks.md").write_text(page(results), encoding="utf-8")
    for name, _, _, picture, _ in SECTIONS:
        if picture:
            arguments.docs.joinpath(f"bench-{name}.svg").write_text(picture(results).svg(), encoding="utf-8")
    if arguments.readme:
        before, found, rest = arguments.readme.read_text(encoding="utf-8").partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        if not found or not end:
            sys.exit(f"{arguments.readme} has no marks for the benchmarks")
        arguments.readme.write_text(before + found + readme_lines(results) + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
