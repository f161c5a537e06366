#!/usr/bin/env -S python3 -B
"""Writes the documentation as a web site: the guides, and the reference by Doxygen.

    docs/site.py FOLDER [--doxygen PROGRAM]

`make docs` calls it, and so does the target pusher-docs of CMake. It needs Python and Doxygen, and no network.

Doxygen reads copies of the guides and of the headers, with the same lines. In a guide, each heading gets the anchor that GitHub
gives it, and each link leads to a page of the site or to the repository. In pusher.h each function gets its group: the index by
task at the top of the header has the groups. Doxygen's pages are then completed: with landmarks, headings and tables that a
screen reader can read, the list of pages, and the entries of the search.

The theme is our own. The library for this is doxygen-awesome-css. It is not on npm, where the project pins such tools, and the
target of CMake must not fetch it. It also keeps Doxygen's markup, in which axe-core finds violations of eight rules.
"""

import argparse
import ast
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import man

ROOT = pathlib.Path(__file__).resolve().parent.parent
THEME = ROOT / "docs" / "site"

# The pages beside docs/*.md, by file.
PAGES = {
    "README.md": "overview",
    "bindings/go/README.md": "go",
    "bindings/go-as-pusher/README.md": "go-as-pusher",
    "bindings/python/README.md": "python",
    "bindings/python-as-pusher/README.md": "python-as-pusher",
    "bindings/ruby/README.md": "ruby",
    "bindings/php/README.md": "php",
    "c_examples/README.md": "examples",
    "c_examples/chat/README.md": "chat",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
}

# The pages of Doxygen that stand for files and folders of the repository.
REFERENCE = {
    "include/pusher.h": "pusher_8h.html",
    "include/pusher.hpp": "pusher_8hpp.html",
    "include/pusher_asio.hpp": "pusher__asio_8hpp.html",
    "bindings/go": "go.html",
    "bindings/python": "python.html",
    "bindings/ruby": "ruby.html",
    "bindings/php": "php.html",
    "c_examples": "examples.html",
    "c_examples/chat": "chat.html",
}

# The end of the list of pages. The guides, and the functions by task, come before.
OTHER_PAGES = [
    (
        "Reference",
        [
            ("pusher_8h.html", "pusher.h"),
            ("pusher_8hpp.html", "pusher.hpp"),
            ("pusher__asio_8hpp.html", "pusher_asio.hpp"),
            ("namespacepusher.html", "C++: namespace pusher"),
        ],
    ),
    ("Languages", [("go.html", "Go"), ("python.html", "Python"), ("ruby.html", "Ruby"), ("php.html", "PHP")]),
    (
        "Project",
        [
            ("examples.html", "Examples"),
            ("changelog.html", "Changelog"),
            ("contributing.html", "Contributing"),
            ("security.html", "Security"),
        ],
    ),
]

# The first program in each language: its first block in a page whose blocks are run by the tests.
PROGRAMS = [
    ("C", "c", "README.md"),
    ("C++", "cpp", "docs/getting-started.md"),
    ("Go", "go", "bindings/go/README.md"),
    ("Python", "python", "bindings/python/README.md"),
    ("Ruby", "ruby", "bindings/ruby/README.md"),
    ("PHP", "php", "bindings/php/README.md"),
]

# A type is in the group of a function.
TYPES = {
    "Pusher": "pusher_new",
    "PusherDelivery": "pusher_error_delivery",
    "PusherDropFn": "pusher_set_transport",
    "PusherLogFn": "pusher_set_log",
    "PusherLogLevel": "pusher_set_log",
    "PusherObservation": "pusher_set_observer",
    "PusherObserveFn": "pusher_set_observer",
    "PusherPublisher": "pusher_publisher_new",
    "PusherRequest": "pusher_prepare",
    "PusherResponse": "pusher_finish",
    "PusherSendFn": "pusher_set_transport",
    "PusherStatus": "pusher_error_status",
}

LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")

# The words in code that lead to the reference. Doxygen also links words of the same name in other languages.
LINKED = re.compile(r"(pusher_\w+|PUSHER_\w+|Pusher\w+|pusher\w*\.hp*)$")

# A detailed description, with its heading.
DETAILS = re.compile(
    r'<a name="details" id="details"></a><h2 class="groupheader">Detailed Description</h2>(.*?)'
    r'(?=<h2 class="groupheader"|</div><!-- contents -->)',
    re.S,
)

# The parser of Doxygen that colours the code of each language: at least its strings and comments.
COLOURS = {"c": "c", "cpp": "cpp", "go": "go", "js": "js", "python": "py", "php": "php", "ruby": "rb", "java": "java"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def anchor(title):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def slug(title):
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def plain(text):
    """Markdown without its marks."""
    return re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", text)


def headings(body, label, is_guide):
    """Gives the headings the levels below the title, and the anchors that links expect."""
    if is_guide:
        body = re.sub(r"<(/?)h([1-5])\b", lambda found: f"<{found[1]}h{int(found[2]) + 1}", body)
    body = re.sub(r'<h2 class="memtitle">(.*?)</h2>', r'<h3 class="memtitle">\1</h3>', body, flags=re.S)
    body = re.sub(
        r'<(h\d)( class="groupheader")?><a (?:class="anchor" )?id="([^"]*)"(?: name="[^"]*")?></a>\s*', r'<\1\2 id="\3">', body
    )
    body = body.replace(f'id="{label}--', 'id="')
    return re.sub(
        r'<span class="permalink"><a href="([^"]*)">.*?</a></span>(.*?)</h3>',
        lambda found: f'{found[2]}<a class="permalink" href="{found[1]}" aria-label="Link to {no_tags(found[2])}">#</a></h3>',
        body,
    )


def content(body):
    # The description comes first.
    if details := DETAILS.search(body):
        body = body[: details.start()] + body[details.end() :]
        body = re.sub(r'<p>((?!</p>).)*<a href="[^"]*#details">More...</a></p>', "", body, flags=re.S)
        body = body.replace('<div class="contents">', f'<div class="contents"><div id="details">{details[1]}</div>', 1)
    # The name before it is a link already.
    body = re.sub(r'\s*<a href="[^"]*">More...</a>', "", body)
    # Inherited members are always shown.
    body = re.sub(r' onclick="javascript:[^"]*"><img src="closed.png" alt="-"/>&#160;', ">", body)
    body = re.sub(r'<a class="code[^>]*>(.*?)</a>', lambda found: found[0] if LINKED.match(found[1]) else found[1], body)
    # Doxygen takes a URL in code for a link.
    body = re.sub(r'(<code>[^<]*)<a href="https?:[^>]*>(.*?)</a>', r"\1\2", body)
    # Newer versions of Doxygen give the rows anchors.
    body = re.sub(r'(<tr class="mem[^"]*") id="r_\w*"', r"\1", body)
    body = re.sub(r'<table class="memname">(.*?)</table>', prototype, body, flags=re.S)
    # A table without titles has no row of them.
    body = re.sub(r'<tr class="markdownTableHead">\s*(<th class="[^"]*">\s*</th>\s*)+</tr>', "", body)
    body = re.sub(r'<th (class="[^"]*")>\s*</th>', r"<td \1></td>", body)

    def wide(table):
        code = r"(?<=<code>)[^<]*(?=</code>)|(?<=>)[^<]*(?=</a></code>)"
        return f'<div class="wide">{re.sub(code, breakable, table[0])}</div>'

    return re.sub(r'<table class="(?:markdownTable|doxtable)">.*?</table>', wide, body, flags=re.S)


def prototype(table):
    """A table of Doxygen's with a declaration, as lines of code: one for each parameter."""
    lines = []
    for row in re.findall(r"<tr>(.*?)</tr>", table[1], re.S):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", re.sub(r"</?em>", "", row).replace("&#160;", " "), re.S)
        line = " ".join(" ".join(cells).split())
        # No space between a star or a reference and the name, nor beside the first parenthesis.
        line = re.sub(r" ((?:\*|&amp;)+) (?=\w)", r" \1", line)
        if "(" in cells:
            line = re.sub(r" \( ?", "(", line, count=1)
        if line.startswith(")"):
            lines[-1] += line
        else:
            lines.append(line)
    text = re.sub(r" \)", ")", "\n    ".join(lines))
    return f'<pre class="memname">{text}</pre>'


def breakable(found):
    """Code in a table, which may be broken after some of its marks."""
    return re.sub(r"([_,/.])(?=\w|&quot;|\{)", r"\1<wbr/>", found[0]) if len(no_tags(found[0])) > 12 else found[0]


def table_of_contents(body):
    sections = re.findall(r'<h2(?: class="[^"]*")? id="([^"]+)">(.*?)</h2>', body, re.S)
    if len(sections) < 3:
        return ""
    items = "".join(f'<li><a href="#{anchor}">{no_tags(title)}</a></li>\n' for anchor, title in sections)
    return f'<nav class="toc" aria-label="On this page">\n<h2>On this page</h2>\n<ul>\n{items}</ul>\n</nav>\n'


def no_tags(text):
    return re.sub("<.*?>", "", text).strip()


def guide_table():
    """The table of guides in the README."""
    part = read("README.md").split("\n## Guides\n")[1].split("\n## ")[0]
    return "".join(line + "\n" for line in part.splitlines() if line.startswith("|"))


class Site:
    def __init__(self, folder, doxygen):
        self.folder, self.doxygen = folder, doxygen
        package = dict(re.findall(r'^([\w-]+) = "(.*)"$', read("Cargo.toml").split("\n[")[0], re.M))
        self.version, self.repository = package["version"], package["repository"]
        guides = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "docs").glob("*.md"))
        self.pages = {**PAGES, **{file: pathlib.Path(file).stem for file in guides}}
        self.images, self.markup = {}, []
        about, self.items = man.read_header(read("include/pusher.h"))
        self.tasks = man.read_index(about)
        self.groups = {}
        for task, functions in self.tasks:
            for name, _ in functions:
                if name in self.groups:
                    sys.exit(f"docs/site.py: {name} is twice in the index of pusher.h")
                self.groups[name] = f"c-{slug(task)}"
        self.groups |= {name: self.groups[function] for name, function in TYPES.items()}

    # What Doxygen reads.

    def target(self, link, file):
        """Where a link in a file leads from the site."""
        if re.match(r"\w+:", link):
            return link
        path, _, part = link.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(file), path)) if path else file
        if path in self.pages:
            return f"{self.pages[path]}.html" + (f"#{part}" if part else "")
        if path in REFERENCE:
            return REFERENCE[path]
        if not (ROOT / path).exists():
            sys.exit(f"docs/site.py: {file} leads to {link}, which does not exist")
        if path.endswith((".png", ".svg")):
            return self.image(path)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{self.repository}/{kind}/main/{path}" + (f"#{part}" if part else "")

    def image(self, path):
        name = pathlib.Path(path).name
        self.images[name] = path
        return name

    def prose(self, text, file):
        """Markdown without fenced code, as Doxygen takes it: with links of the site, without words that are Doxygen's orders."""

        def span(found):
            # A single quote would end a span of one backtick.
            words = " ".join(found[2].split("\n"))
            return (f"``{words}``" if len(found[1]) == 1 else f"{found[1]}{words}{found[1]}") + "\n" * found[2].count("\n")

        def markup(found):
            # Doxygen does not know the element: it is put in afterwards.
            part = re.sub(r'(?<=src="|set=")[^"]*', lambda link: self.target(link[0], file), found[0])
            self.markup.append(part)
            return f"MARKUP{len(self.markup) - 1}END"

        def words(part):
            part = re.sub(r"(?<![\w(])([@\\#])(?=\w)", r"\\\1", part)
            part = re.sub(
                r"!\[([^]]*)\]\(([^)\s]+)\)",
                lambda found: f'<img src="{self.target(found[2], file)}" alt="{html.escape(found[1])}"/>',
                part,
            )
            return re.sub(r"\]\(([^)\s]+)\)", lambda found: f"]({self.target(found[1], file)})", part)

        text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
        text = re.sub(r"<picture>.*?</picture>", markup, text, flags=re.S)
        at, out = 0, []
        for found in re.finditer(r"(`+)((?:(?!\n\n).)+?)(?<!`)\1(?!`)", text, re.S):
            out += [words(text[at : found.start()]), span(found)]
            at = found.end()
        return "".join([*out, words(text[at:])])

    def guide(self, text, file, label):
        """A page of Markdown as Doxygen takes it."""
        anchors = {}

        def heading(found):
            name = anchor(plain(found[2]))
            anchors[name] = anchors.get(name, -1) + 1
            name += f"-{anchors[name]}" if anchors[name] else ""
            # A label is unique in the whole site. The anchor of the page is its end.
            name = label if len(found[1]) == 1 else f"{label}--{name}"
            return f"{found[1]} {found[2]} {{#{name}}}"

        parts = re.split(r"^( *```.*?^ *```)$", text, flags=re.S | re.M)
        for at, part in enumerate(parts):
            if at % 2:
                language = re.match(r" *```(\S*)", part)[1]
                parts[at] = part.replace(f"```{language}", f"```{{.{COLOURS.get(language, 'unparsed')}}}", 1)
            else:
                parts[at] = re.sub(r"^(#+) (.*)$", heading, self.prose(part, file), flags=re.M)
        return "".join(parts)

    def header(self):
        """pusher.h, each of its comments with a group."""
        text = read("include/pusher.h")
        for item in self.items:
            if item.name not in self.groups:
                sys.exit(f"docs/site.py: {item.name} is neither in the index of pusher.h nor in TYPES")
            at = text.index(item.comment.splitlines()[0] + "\n", text.index("#define PUSHER_VERSION_MAJOR"))
            begin = text.rindex("/**", 0, at)
            end = text.index("*/", begin)
            text = f"{text[:end]}* @ingroup {self.groups[item.name]} {text[end:]}"
        # C has no base type of an enum before C23, so the reference leaves it out.
        return re.sub(r"^#if defined\(__cplusplus\) \|\| __STDC.*\n  : int32_t\n#endif.*\n", "\n\n\n", text, flags=re.M)

    def group_pages(self):
        """The groups, each with its introduction."""
        _, *parts = re.split(r"^# (.+)$", read("docs/site/groups.md"), flags=re.M)
        words = dict(zip(parts[::2], parts[1::2], strict=True))
        if list(words) != [task for task, _ in self.tasks]:
            sys.exit("docs/site.py: the headings of docs/site/groups.md are not those of the index of pusher.h")
        pages = []
        for task, text in words.items():
            text = self.prose(text.strip(), "docs/site/groups.md")
            pages.append(f"/*! @defgroup c-{slug(task)} {task}\n\n{text}\n*/\n")
        return "\n".join(pages)

    def program(self, language, file):
        block = re.search(rf"^```{language}\n.*?^```$", read(file), re.S | re.M)
        return block[0]

    def guides(self):
        """The guides, each as its file and its title, in the order of the README. Those in its table come first."""
        named = [link for _, link in LINK.findall(guide_table() + read("README.md"))]
        guides = [file for file in dict.fromkeys(named) if file in self.pages and file.startswith("docs/")]
        if missing := sorted({file for file in self.pages if file.startswith("docs/")} - set(guides)):
            sys.exit(f"docs/site.py: README.md does not lead to {', '.join(missing)}")
        return [(file, re.match("# (.*)", read(file))[1]) for file in guides]

    def front(self):
        programs = "".join(f"### {title}\n\n{self.program(language, file)}\n\n" for title, language, file in PROGRAMS)
        guides = guide_table().replace("](", "](../../").replace("| | |", "| Guide | Contents |", 1)
        groups = "| Task | Functions |\n|---|---|\n"
        for task, functions in self.tasks:
            names = ", ".join(f"{name}()" for name, _ in functions)
            groups += f"| [{task}](https:group__c-{slug(task)}.html) | {names} |\n"
        text = read("docs/site/front.md")
        for name, part in (("programs", programs), ("guides", guides), ("groups", groups)):
            text = text.replace(f"@{name}", part)
        return self.guide(text, "docs/site/front.md", "front").replace("](https:group", "](group")

    def prepare(self, work):
        """Writes what Doxygen reads into a folder."""
        (work / "include").mkdir()
        (work / "guides").mkdir()
        for name in ("pusher.hpp", "pusher_asio.hpp"):
            # The name of the inline namespace depends on the compiler's flags.
            text = re.sub(r"^(inline namespace|\} // namespace PUSHER_(INLINE|ASIO)).*", "", read(f"include/{name}"), flags=re.M)
            (work / "include" / name).write_text(text, encoding="utf-8")
        (work / "include" / "pusher.h").write_text(self.header(), encoding="utf-8")
        (work / "groups.dox").write_text(self.group_pages(), encoding="utf-8")
        (work / "front.md").write_text(self.front(), encoding="utf-8")
        for file, label in self.pages.items():
            (work / "guides" / f"{label}.md").write_text(self.guide(read(file), file, label), encoding="utf-8")
        page = (THEME / "page.html").read_text(encoding="utf-8")
        header, footer = page.split("<!-- content -->")
        (work / "header.html").write_text(header, encoding="utf-8")
        (work / "footer.html").write_text(footer, encoding="utf-8")

    def run_doxygen(self, work, out):
        environment = {**os.environ, "PUSHER_DOCS_VERSION": self.version, "PUSHER_DOCS_OUTPUT": str(out)}
        result = subprocess.run(
            [self.doxygen, ROOT / "docs" / "Doxyfile"], cwd=work, env=environment, stderr=subprocess.PIPE, text=True, check=False
        )
        sys.stderr.write(result.stderr.replace(f"{work}/", ""))
        if result.returncode:
            sys.exit("docs/site.py: Doxygen failed")

    # What becomes of Doxygen's pages.

    def list_of_pages(self, current):
        """The list that each page has."""
        guides = [(f"{self.pages[file]}.html", title) for file, title in self.guides()]
        parts = [
            ("Start", [("overview.html", "Overview"), *guides[:1]]),
            ("Guides", guides[1:]),
            ("C by task", [(f"group__c-{slug(task)}.html", task) for task, _ in self.tasks]),
            *OTHER_PAGES,
        ]
        text = ""
        for heading, links in parts:
            text += f"<h2>{heading}</h2>\n<ul>\n"
            for href, title in links:
                mark = ' aria-current="page"' if href == current else ""
                text += f'<li><a href="{href}"{mark}>{html.escape(title)}</a></li>\n'
            text += "</ul>\n"
        return text

    def complete(self, name, text):
        """A page of Doxygen's with what it lacks."""
        start, rest = text.split('<main id="content">', 1)
        body, end = rest.split("</main>", 1)
        label = "front" if name == "index.html" else name.removesuffix(".html")
        title = re.search(r'<div class="title">(.*?)</div>', body, re.S)[1].strip()
        source = next((file for file, page in self.pages.items() if page == label), None)
        body = body[body.index('<div class="contents">') :]
        body = headings(body, label, is_guide=bool(source) or label == "front")
        body = re.sub(r"MARKUP(\d+)END", lambda found: self.markup[int(found[1])], content(body))
        if label == "front":
            body = re.sub(
                '(<h3 id="c">.*<!-- fragment -->)', r'<div class="programs" aria-label="Languages">\1</div>', body, flags=re.S
            )
        contents = table_of_contents(body) if label != "front" else ""
        start += '<main id="content" class="with-toc">' if contents else '<main id="content">'
        end = end.replace("<!-- pages -->", self.list_of_pages(name))
        address = f"{self.repository}/blob/main/{source}" if source else self.repository
        end = end.replace("<!-- source -->", f'<a href="{address}">{"Source of this page" if source else "Source"}</a>')
        return f"{start}\n{contents}<h1>{title}</h1>\n{body}</main>{end}"

    def write(self):
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work).resolve()
            self.prepare(work)
            out = work / "html"
            self.run_doxygen(work, out)
            # Doxygen also writes indexes that no page leads to.
            pages, names = {}, ["index.html"]
            while names:
                name = names.pop()
                if name not in pages and (out / name).exists():
                    pages[name] = self.complete(name, (out / name).read_text(encoding="utf-8"))
                    names += re.findall(r'href="([^"#:]+\.html)', pages[name])
            self.clear()
            for name, text in pages.items():
                (self.folder / name).write_text(text, encoding="utf-8")
            for name in ("site.css", "site.js", "icon.svg"):
                shutil.copy(THEME / name, self.folder)
            for name, path in self.images.items():
                shutil.copy(ROOT / path, self.folder / name)
            entries = self.entries(out / "search", dict(sorted(pages.items())))
            (self.folder / "entries.js").write_text(
                f"window.entries = {json.dumps(entries, ensure_ascii=False)};\n", encoding="utf-8"
            )

    def clear(self):
        """Removes an older site: a page that is no longer written must not stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = list(self.folder.iterdir())
        if files and not (self.folder / "entries.js").exists():
            sys.exit(f"docs/site.py: {self.folder} has other files than a site")
        for file in files:
            file.unlink()

    def entries(self, index, pages):
        """What the search finds: Doxygen's index, and the headings of the guides."""
        entries = []
        for file in sorted(index.glob("all_*.js")):
            for _, (name, *places) in ast.literal_eval(file.read_text(encoding="utf-8").partition("=")[2].strip().rstrip(";")):
                for href, _, where in places:
                    if "--" in href:  # a heading: see below
                        continue
                    words, where = html.unescape(name), html.unescape(where)
                    # A member of a namespace is found by its whole name, which Doxygen gives only to overloads.
                    if re.match(r"pusher(::|$)", where):
                        scope = where.partition("(")[0]
                        words, where = scope if scope.endswith(f"::{words}") else f"{scope}::{words}", "C++"
                    entries.append((words, href.removeprefix("../"), where))
        for name, text in pages.items():
            if name.removesuffix(".html") in self.pages.values():
                title = re.search(r"<h1>(.*?)</h1>", text, re.S)[1]
                for id, words in re.findall(r'<h[23] id="([^"]+)">(.*?)</h[23]>', text, re.S):
                    entries.append((html.unescape(no_tags(words)), f"{name}#{id}", html.unescape(title)))
        return [entry for entry in dict.fromkeys(entries) if entry[1].partition("#")[0] in pages]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--doxygen", default="doxygen")
    arguments = parser.parse_args()
    Site(arguments.folder.resolve(), arguments.doxygen).write()


if __name__ == "__main__":
    main()
