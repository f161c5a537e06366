#!/usr/bin/env python3
"""Prints the copyright file of the packages: libpusher's own licence, and those of the Rust crates compiled into it.

    packaging/copyright.py [CARGO] [--program] [--target TARGET] [--full]

With --program, it has those compiled into pusher-testserver. It quotes every licence in full, except Apache's, which Debian has in
/usr/share/common-licenses; with --full, for other systems, that one too."""

import pathlib
import re
import sys

# The source tree stays as it is.
sys.dont_write_bytecode = True
from compiled_in import ROOT, arguments, resolve  # noqa: E402


def compiled_in(given):
    """Returns the packages that a build compiles into the library, or into the program."""
    root, packages, _ = resolve(given.cargo, given.program, given.targets)
    del packages[root]
    return sorted(packages.values(), key=lambda package: (package["name"], package["version"]))


# Debian has this text. A file may have other licences before and after it.
APACHE = re.compile(
    r" *Apache License\s+Version 2\.0, January 2004.*?END OF TERMS AND CONDITIONS(\s+APPENDIX:.*?limitations under the License\.)?",
    re.DOTALL,
)
OTHERS = re.compile(r"Permission is hereby granted|Permission to use|Redistribution and use")


def texts(package, full):
    """Yields the licence texts of a package, with None for Apache's unless all are wanted."""
    for path in sorted(pathlib.Path(package["manifest_path"]).parent.rglob("*")):
        named = re.match(r"(?i)(licen[cs]e|copying|copyright|notice)", path.name)
        if named and path.is_file() and path.suffix not in (".rs", ".py"):
            text = path.read_text(encoding="utf-8", errors="replace")
            if not full and APACHE.search(text):
                text = APACHE.sub("(The text of /usr/share/common-licenses/Apache-2.0)", text) if OTHERS.search(text) else None
            yield text and "\n".join(line.rstrip() for line in text.strip().splitlines())


def main():
    parser = arguments()
    parser.add_argument("--full", action="store_true", help="quote Apache's licence, too")
    given = parser.parse_args()
    packages = compiled_in(given)
    own = (ROOT / "LICENSE-MIT").read_text().strip()
    apache = "The text of the latter is in\n/usr/share/common-licenses/Apache-2.0 on Debian systems; the former is:"
    if given.full:
        apache = "The two texts are:"
        own += f"\n\n{'-' * 80}\n\n{(ROOT / 'LICENSE-APACHE').read_text().strip()}"
    print(f"""libpusher, the server-side SDK for the Pusher Channels HTTP API as a C library

Copyright (c) 2026 The libpusher developers

It is licensed under the MIT licence or the Apache License, version 2.0, at your option. {apache}

{own}


The following Rust crates are compiled into {"pusher-testserver" if given.program else "the library"}, under these licences:
""")
    users = {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        found = list(dict.fromkeys(texts(package, given.full)))
        print(f"  {name}: {package['license'] or 'see below'}" + ("" if found else f" ({', '.join(package['authors'])})"))
        for text in found:
            if text is not None:
                users.setdefault(text, []).append(name)
    if given.full:
        print("\nThe texts:")
    else:
        print("\nWhere Apache-2.0 is named, its text is in /usr/share/common-licenses/Apache-2.0. The other texts:")
    for text, names in users.items():
        print(f"\n{'-' * 80}\n{', '.join(names)}\n\n{text}")


main()
