"""Checks each link of the documentation site: its page and its anchor exist, and so does the file if it leads to the repository.

links.py SITE
"""

import collections
import html.parser
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REPOSITORY = re.search(r'^repository = "(.*)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.M)[1]
# What the repository's host shows beside files.
HOSTED = re.compile(r"/(discussions|issues|security/advisories/new)?$")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = collections.Counter(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.update({name for name in (attributes.get("id"), attributes.get("name") if tag == "a" else None) if name})
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]


def check(site):
    pages = {file.name: Page(file.read_text(encoding="utf-8")) for file in sorted(site.glob("*.html"))}
    wrong, count = [], 0
    for name, page in pages.items():
        wrong += [f"{name} has the anchor {anchor} twice" for anchor, times in page.anchors.items() if times > 1]
        for link in page.links:
            count += 1
            target = urllib.parse.urlsplit(link)
            if link.startswith(REPOSITORY):
                path = re.match(r"/(?:blob|tree)/main/(.+)", target.path.removeprefix(urllib.parse.urlsplit(REPOSITORY).path))
                found = (ROOT / path[1]).exists() if path else HOSTED.match(link.removeprefix(REPOSITORY) or "/")
            elif target.scheme:
                found = target.scheme in ("http", "https", "mailto")
            elif not target.path or target.path in pages:
                anchor = urllib.parse.unquote(target.fragment)
                found = not anchor or anchor in pages[target.path or name].anchors
            else:
                found = not target.fragment and (site / target.path).is_file()
            if not found:
                wrong.append(f"{name} leads to {link}")
    if count < 5000 or len(pages) < 60:
        wrong.append(f"only {count} links on {len(pages)} pages")
    return wrong


if __name__ == "__main__":
    sys.exit("\n".join(check(pathlib.Path(sys.argv[1]))) or 0)
